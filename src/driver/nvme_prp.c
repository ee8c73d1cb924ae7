// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_prp.c - physical region pages: how a command names its buffer */
#include "nvme_prp.h"

#define ENTRY 8u /* bytes of a list entry */

/* Entries written so far: the first goes into PRP1, the rest into the list. */
struct builder {
	const struct nvme_prp_list *list;
	uint64_t first;
	unsigned count; /* in all */
	unsigned pos;	/* next free entry of the list */
};

static bool ends_page(const struct nvme_prp_list *l, unsigned pos)
{
	return ((l->iova + (uint64_t)pos * ENTRY) & (NVME_PAGE - 1)) ==
	       NVME_PAGE - ENTRY;
}

/* The entry at the end of a page becomes a pointer to the next page as soon as
 * another entry follows it (4.3, "PRP List"). */
static bool put(struct builder *b, uint64_t addr)
{
	const struct nvme_prp_list *l = b->list;

	if (b->count == 0) {
		b->first = addr;
		b->count = 1;
		return true;
	}
	if (b->pos && ends_page(l, b->pos - 1)) {
		if (l->count - b->pos < 2)
			return false;
		l->entry[b->pos] = l->entry[b->pos - 1];
		l->entry[b->pos - 1] =
			r3_le64_of(l->iova + (uint64_t)b->pos * ENTRY);
		b->pos++;
	}
	if (b->pos == l->count)
		return false;
	l->entry[b->pos++] = r3_le64_of(addr);
	b->count++;
	return true;
}

static void step(struct nvme_cursor *c, uint64_t len)
{
	c->off += len;
	if (c->off == c->seg->len) {
		c->seg++;
		c->left--;
		c->off = 0;
	}
}

static uint64_t walk(struct nvme_cursor *c, uint64_t max, struct builder *b)
{
	uint64_t bytes = 0, end = 0; /* end: device address after the last */

	while (bytes < max && c->left) {
		uint64_t addr = c->seg->iova + c->off;
		uint64_t in_page = addr & (NVME_PAGE - 1);
		uint64_t len = r3_min(r3_min(NVME_PAGE - in_page,
					     c->seg->len - c->off),
				      max - bytes);

		if (!len) { /* an empty piece */
			step(c, 0);
			continue;
		}
		if (b->count == 0 ? addr & 3 : in_page && addr != end)
			break;
		if (b->count && end & (NVME_PAGE - 1) && addr != end)
			break; /* a hole inside a page */
		if ((!in_page || b->count == 0) && !put(b, addr))
			break;
		step(c, len);
		bytes += len;
		end = addr + len;
	}
	return bytes;
}

uint64_t nvme_prp_build(struct nvme_cursor *c, uint64_t max, uint32_t block,
			const struct nvme_prp_list *list, uint64_t prp[2])
{
	struct nvme_cursor at = *c;
	struct builder b = { .list = list };
	uint64_t bytes = walk(&at, max, &b);

	if (bytes & (block - 1)) { /* ends inside a block: again, shorter */
		bytes = r3_align_down(bytes, block);
		b = (struct builder){ .list = list };
		at = *c;
		if (bytes)
			walk(&at, bytes, &b);
	}
	if (!bytes)
		return 0;
	prp[0] = b.first;
	prp[1] = 0;
	if (b.count == 2)
		prp[1] = r3_get_le64(list->entry[0]);
	else if (b.count > 2)
		prp[1] = list->iova;
	*c = at;
	return bytes;
}

uint64_t nvme_cursor_len(const struct nvme_cursor *c)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < c->left; i++)
		len += c->seg[i].len;
	return c->left ? len - c->off : 0;
}

/* The next contiguous bytes, at most @want. */
static uint8_t *take(struct nvme_cursor *c, uint64_t want, uint64_t *len)
{
	uint8_t *p;

	while (c->off == c->seg->len)
		step(c, 0);
	p = c->seg->host + c->off;
	*len = r3_min(want, c->seg->len - c->off);
	step(c, *len);
	return p;
}

void nvme_cursor_gather(struct nvme_cursor *c, void *flat, uint64_t len)
{
	uint8_t *to = flat;

	for (uint64_t n; len; len -= n, to += n) {
		const uint8_t *p = take(c, len, &n);

		memcpy(to, p, n);
	}
}

void nvme_cursor_scatter(struct nvme_cursor *c, const void *flat,
			 uint64_t len)
{
	const uint8_t *from = flat;

	for (uint64_t n; len; len -= n, from += n) {
		uint8_t *p = take(c, len, &n);

		memcpy(p, from, n);
	}
}

void nvme_cursor_skip(struct nvme_cursor *c, uint64_t len)
{
	for (uint64_t n; len; len -= n)
		take(c, len, &n);
}
