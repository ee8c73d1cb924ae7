// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_space.c - chunks made as needed, addresses given away in order, writing
 * in large pieces
 *
 * A super block's copy may lie inside a chunk.  The bytes around it are never
 * given away, as in the kernel; the free space tree counts them as free.
 */
#include "mkfs.h"

static const uint64_t kind_bits[] = {
	[MKFS_DATA] = BTRFS_BG_DATA,
	[MKFS_SYSTEM] = BTRFS_BG_SYSTEM | BTRFS_BG_DUP,
	[MKFS_METADATA] = BTRFS_BG_METADATA | BTRFS_BG_DUP,
};

static uint64_t round_mib(uint64_t n)
{
	return (n + R3_MIB - 1) & ~(R3_MIB - 1);
}

/* What is wanted, up to 1 GiB of data and 256 MiB of metadata; on a device of a
 * given size at least a tenth of it for data, a twentieth (twice) for metadata,
 * so that the kernel finds the room that its own mkfs would leave it. */
static uint64_t chunk_size(const struct mkfs *m, enum mkfs_kind kind,
			   uint64_t want)
{
	uint64_t size, max, part = kind == MKFS_DATA ? 10 : 20;

	if (kind == MKFS_SYSTEM)
		return m->limit && m->limit < 256 * R3_MIB ? 4 * R3_MIB
							   : 8 * R3_MIB;
	max = kind == MKFS_DATA ? R3_GIB : 256 * R3_MIB;
	size = r3_min(round_mib(want), max);
	size = r3_max(size, kind == MKFS_DATA ? 8 * R3_MIB : 16 * R3_MIB);
	if (m->limit)
		size = r3_max(size, r3_min(round_mib(m->limit / part), max));
	return size;
}

static int not_enough(struct mkfs *m)
{
	return mkfs_fail(m, -ENOSPC, "%llu bytes are not enough; --size "
			 "gives more, also to a file that is there",
			 (unsigned long long)m->limit);
}

static int new_chunk(struct mkfs *m, enum mkfs_kind kind, uint64_t want)
{
	struct mkfs_chunk c = { .type = kind_bits[kind] };
	uint64_t left;

	c.copies = c.type & BTRFS_BG_DUP ? 2 : 1;
	c.length = chunk_size(m, kind, want);
	if (m->limit) {
		left = m->limit > m->next_physical
			       ? (m->limit - m->next_physical) / c.copies : 0;
		left &= ~(R3_MIB - 1);
		if (left < c.length)
			c.length = left;
		if (!left)
			return not_enough(m);
	}
	c.logical = c.next = m->next_logical;
	for (unsigned i = 0; i < c.copies; i++) {
		c.physical[i] = m->next_physical;
		m->next_physical += c.length;
	}
	m->next_logical += c.length;
	m->current[kind] = (uint32_t)m->chunks.n;
	if (m->chunks.n == MKFS_CHUNKS_MAX || !vec_push(&m->chunks, c))
		return mkfs_fail(m, -ENOMEM, "too many chunks");
	return 0;
}

/* Where the range may begin, past any super block that it would cover. */
static uint64_t skip_supers(const struct mkfs_chunk *c, uint64_t at,
			    uint64_t len)
{
	for (unsigned i = 0; i < c->copies; i++) {
		for (unsigned s = 0; s < BTRFS_SUPER_COPIES; s++) {
			uint64_t from = btrfs_super_offsets[s];
			uint64_t to = from + BTRFS_STRIPE_LEN;
			uint64_t p = c->physical[i] + (at - c->logical);

			if (p < to && p + len > from) {
				at += to - p;
				/* another copy may lie in the new place */
				i = UINT32_MAX;
				break;
			}
		}
		if (i == UINT32_MAX)
			continue;
	}
	return at;
}

static bool fits(struct mkfs_chunk *c, uint64_t len, uint64_t *at)
{
	*at = skip_supers(c, c->next, len);
	return *at + len <= c->logical + c->length;
}

int mkfs_alloc(struct mkfs *m, enum mkfs_kind kind, uint64_t len,
	       uint64_t want, uint64_t *logical)
{
	struct mkfs_chunk *c;
	uint64_t at;
	int err;

	for (int i = 0; i < 3; i++) {
		c = m->current[kind] == MKFS_NONE
			    ? NULL : &m->chunks.p[m->current[kind]];
		if (c && fits(c, len, &at)) {
			c->next = at + len;
			c->used += len;
			*logical = at;
			return 0;
		}
		err = new_chunk(m, kind, r3_max(want, len));
		if (err)
			return err;
	}
	return not_enough(m);
}

int mkfs_reserve(struct mkfs *m, uint64_t bytes)
{
	uint64_t at;
	int err;

	/* twice a super block's surroundings may have to be jumped over */
	bytes += 4 * BTRFS_STRIPE_LEN;
	if (m->current[MKFS_METADATA] != MKFS_NONE &&
	    fits(&m->chunks.p[m->current[MKFS_METADATA]], bytes, &at))
		return 0;
	err = new_chunk(m, MKFS_METADATA, bytes);
	if (!err && !fits(&m->chunks.p[m->current[MKFS_METADATA]], bytes, &at))
		err = not_enough(m);
	return err;
}

struct mkfs_chunk *mkfs_chunk_of(struct mkfs *m, uint64_t logical)
{
	size_t lo = 0, hi = m->chunks.n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->chunks.p[mid].logical <= logical)
			lo = mid;
		else
			hi = mid;
	}
	return &m->chunks.p[lo];
}

int mkfs_flush(struct mkfs *m, struct mkfs_stage *s)
{
	const struct mkfs_chunk *c;
	int err;

	if (!s->len)
		return 0;
	c = mkfs_chunk_of(m, s->logical);
	for (unsigned i = 0; i < c->copies; i++) {
		err = m->dev->ops->write(m->dev, c->physical[i] +
					 (s->logical - c->logical), s->buf,
					 s->len);
		if (err)
			return mkfs_write_fail(m, err);
	}
	s->len = 0;
	return 0;
}

int mkfs_stage_room(struct mkfs *m, struct mkfs_stage *s, uint64_t logical,
		    size_t len, uint8_t **out)
{
	const struct mkfs_chunk *c;
	int err;

	if (s->len) {
		c = mkfs_chunk_of(m, s->logical);
		if (logical != s->logical + s->len ||
		    s->len + len > MKFS_STAGE ||
		    logical >= c->logical + c->length) {
			err = mkfs_flush(m, s);
			if (err)
				return err;
		}
	}
	if (!s->len)
		s->logical = logical;
	*out = s->buf + s->len;
	s->len += len;
	return 0;
}

int mkfs_write(struct mkfs *m, struct mkfs_stage *s, uint64_t logical,
	       const void *bytes, size_t len)
{
	uint8_t *to;
	int err = mkfs_stage_room(m, s, logical, len, &to);

	if (!err)
		memcpy(to, bytes, len);
	return err;
}
