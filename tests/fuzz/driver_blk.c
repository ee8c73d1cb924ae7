/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver_blk.c - fuzz the virtio-blk request parser
 *
 * The input is a shape (how the disk is, how many pieces, how long each) and
 * the readable bytes.  What is for the device lies on the disk, and nothing
 * outside the pieces is touched: each is an allocation of its own.
 */
#include <stdlib.h>

#include "blk_req.h"

enum { PIECES = 6, PIECE_MAX = 0x1fff };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct blk_disk *d, const struct blk_cmd *c)
{
	uint64_t end = d->sectors / (d->block_size / BLK_SECTOR), len = 0;

	assert(c->op <= NVME_TRIM);
	if (c->op == NVME_FLUSH)
		return;
	assert(!d->readonly || c->op == NVME_READ);
	assert(c->range_count <= BLK_TRIM_MAX);
	for (unsigned i = 0; i < c->range_count; i++)
		assert(c->range[i].lba <= end && c->range[i].blocks &&
		       c->range[i].blocks <= end - c->range[i].lba);
	assert(c->lba <= end && c->blocks <= end - c->lba);
	if (c->op == NVME_TRIM || c->op == NVME_ZEROES)
		return;
	for (unsigned i = 0; i < c->seg_count; i++) {
		len += c->seg[i].len;
		memset(c->seg[i].host, 0x55, c->seg[i].len);
	}
	assert(len == c->blocks * d->block_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct r3_span s = { data, size };
	const uint8_t *shape = r3_take(&s, 2 + 2 * PIECES);
	struct blk_disk d = { .id = "fuzz" };
	struct r3_vq_seg seg[PIECES];
	uint8_t *own[PIECES];
	struct r3_vq_req req = { .seg = seg };
	struct blk_cmd cmd = { 0 };
	unsigned count;

	if (!shape)
		return 0;
	d.sectors = 8ull << (shape[0] >> 3);
	d.block_size = shape[0] & 1 ? 4096 : 512;
	d.readonly = shape[0] & 2;
	d.trim = d.zeroes = shape[0] & 4;
	count = shape[1] % (PIECES + 1);
	req.readable = (uint16_t)((shape[1] >> 4) % (count + 1));
	req.writable = (uint16_t)(count - req.readable);
	for (unsigned i = 0; i < count; i++) {
		uint32_t len = 1 + ((shape[2 + 2 * i] | shape[3 + 2 * i] << 8) &
				    PIECE_MAX);
		size_t have = r3_min(len, s.len);

		own[i] = calloc(1, len);
		if (have)
			memcpy(own[i], r3_take(&s, have), have);
		seg[i] = (struct r3_vq_seg){ own[i], i << 16, len };
	}
	switch (blk_parse(&d, &req, &cmd)) {
	case 1:
		check(&d, &cmd);
		/* fallthrough */
	case 0:
		*cmd.status = cmd.answer;
		break;
	default:
		assert(!req.writable);
	}
	for (unsigned i = 0; i < count; i++)
		free(own[i]);
	return 0;
}
