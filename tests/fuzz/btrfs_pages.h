/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs_pages.h - a device of 64 MiB out of a fuzzer's input
 *
 * The input is a list of pages, { le32 page number, 4096 bytes }; all others
 * are zeros.  What is written stays in the device.
 */
#ifndef FUZZ_BTRFS_PAGES_H
#define FUZZ_BTRFS_PAGES_H

#include <stdlib.h>

#include "ring3/btrfs.h"

enum { PAGE = 4096, DEVICE = 64 << 20 };

struct pages {
	struct r3_btrfs_dev dev;
	const uint8_t *page[DEVICE / PAGE]; /* NULL: zeros */
	uint8_t *own[DEVICE / PAGE]; /* that were written */
};

static int pages_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		      size_t len)
{
	struct pages *p = R3_CONTAINER(dev, struct pages, dev);
	uint8_t *to = buf;

	if (off > dev->size || len > dev->size - off)
		return -EIO;
	while (len) {
		const uint8_t *page = p->page[off / PAGE];
		size_t n = r3_min(len, PAGE - off % PAGE);

		if (page)
			memcpy(to, page + off % PAGE, n);
		else
			memset(to, 0, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int pages_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		       size_t len)
{
	struct pages *p = R3_CONTAINER(dev, struct pages, dev);
	const uint8_t *from = buf;

	if (off > dev->size || len > dev->size - off)
		return -EIO;
	while (len) {
		uint64_t i = off / PAGE;
		size_t n = r3_min(len, PAGE - off % PAGE);

		if (!p->own[i]) {
			p->own[i] = calloc(1, PAGE);
			if (p->page[i])
				memcpy(p->own[i], p->page[i], PAGE);
			p->page[i] = p->own[i];
		}
		memcpy(p->own[i] + off % PAGE, from, n);
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int pages_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return 0;
}

static const struct r3_btrfs_dev_ops pages_ops = {
	.read = pages_read, .write = pages_write, .flush = pages_flush,
};

static struct pages *pages_new(const uint8_t *in, size_t size)
{
	struct pages *p = calloc(1, sizeof(*p));

	p->dev = (struct r3_btrfs_dev){ .ops = &pages_ops, .size = DEVICE };
	for (; size >= 4 + PAGE; in += 4 + PAGE, size -= 4 + PAGE) {
		uint32_t n = in[0] | in[1] << 8 | in[2] << 16;

		p->page[n % (DEVICE / PAGE)] = in + 4;
	}
	return p;
}

static void pages_free(struct pages *p)
{
	for (unsigned i = 0; i < DEVICE / PAGE; i++)
		free(p->own[i]);
	free(p);
}

#endif
