/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvme_prp.h - physical region pages: how a command names its buffer
 *
 * Pure: memory and device addresses in, PRP entries out.  NVMe 1.4, 4.3.
 */
#ifndef DRIVER_NVME_PRP_H
#define DRIVER_NVME_PRP_H

#include "ring3/channel.h"

#define NVME_PAGE 4096u /* CC.MPS = 0, the only page size used here */

/* A place in a list of pieces (a channel's own, so that nothing is translated),
 * consumed from the front.  iova + len of a piece does not wrap. */
struct nvme_cursor {
	const struct r3_vq_seg *seg;
	unsigned left; /* pieces from seg on */
	uint64_t off;  /* bytes of *seg already consumed */
};

/* Memory for a command's PRP list, contiguous for the device too.  When it
 * goes over the end of a page, the last entry of that page leads on. */
struct nvme_prp_list {
	r3_le64 *entry;
	uint64_t iova;	/* multiple of 8 */
	unsigned count; /* entries there is room for */
};

/**
 * nvme_prp_build() - describe as much of a buffer as one command can
 * @c:	   moved past what was described
 * @max:   bytes, not 0, at most; a multiple of @block
 * @block: what is described is a multiple of this, a power of 2
 * @list:  written when more than two pages are needed
 * @prp:   the command's PRP1 and PRP2
 *
 * Stops where PRPs can't go on: at a piece that does not start on a page (the
 * first may, on a dword), behind one that does not end on a page, when the
 * list is full.
 * Return: bytes; 0 = not even one block: it must be copied.
 */
uint64_t nvme_prp_build(struct nvme_cursor *c, uint64_t max, uint32_t block,
			const struct nvme_prp_list *list, uint64_t prp[2]);

/* Bytes from the cursor to the end. */
uint64_t nvme_cursor_len(const struct nvme_cursor *c);

/* Copy @len bytes between the cursor's buffer and @flat, consuming them;
 * the cursor holds at least that many. */
void nvme_cursor_gather(struct nvme_cursor *c, void *flat, uint64_t len);
void nvme_cursor_scatter(struct nvme_cursor *c, const void *flat,
			 uint64_t len);
/* Consume @len bytes. */
void nvme_cursor_skip(struct nvme_cursor *c, uint64_t len);

#endif
