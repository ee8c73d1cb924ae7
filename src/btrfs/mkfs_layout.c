// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_layout.c - the last trees: root, free space, block group, extent
 *
 * The extent tree lists its own blocks, so how large it is depends on how
 * large it is.  The last trees are laid out dry, with the addresses that the
 * layout before gave, until nothing changes; then they are written.  More
 * blocks need more items and never fewer, and an item is far smaller than a
 * block, so this ends.
 */
#include "mkfs.h"

enum { ROUNDS_MAX = 32 };

/* What is allocated, as the dry run before left it. */
struct layout {
	struct mkfs *m;
	VEC(struct mkfs_block) blocks; /* by bytenr */
	VEC(struct mkfs_block) tail;   /* the last trees' own, as made */
};

static int by_bytenr(const void *a, const void *b)
{
	const struct mkfs_block *x = a, *y = b;

	return x->bytenr < y->bytenr ? -1 : x->bytenr > y->bytenr;
}

static void put_group(struct mkfs_tree *t, const struct mkfs_chunk *c,
		      uint64_t used)
{
	struct btrfs_block_group_item *g =
		mkfs_item(t, KEY(c->logical, BTRFS_BLOCK_GROUP_ITEM,
				 c->length), sizeof(*g));

	if (g)
		*g = (struct btrfs_block_group_item){
			.used = to_le64(used),
			.chunk_objectid = to_le64(BTRFS_FIRST_CHUNK),
			.flags = to_le64(c->type),
		};
}

static void put_data_extent(struct mkfs_tree *t, const struct mkfs_data_ref *d)
{
	struct btrfs_extent_data_ref ref = {
		to_le64(d->root), to_le64(d->ino), to_le64(d->off), to_le32(1)
	};
	struct btrfs_extent_item *x =
		mkfs_item(t, KEY(d->bytenr, BTRFS_EXTENT_ITEM, d->len),
			  sizeof(*x) + 1 + sizeof(ref));
	uint8_t *to;

	if (!x)
		return;
	*x = (struct btrfs_extent_item){ to_le64(1), to_le64(MKFS_GENERATION),
					 to_le64(BTRFS_EXTENT_FLAG_DATA) };
	to = (uint8_t *)(x + 1);
	*to = BTRFS_EXTENT_DATA_REF;
	memcpy(to + 1, &ref, sizeof(ref));
}

static void put_block_extent(struct mkfs_tree *t, const struct mkfs_block *b)
{
	struct btrfs_inline_ref *ref;
	struct btrfs_extent_item *x =
		mkfs_item(t, KEY(b->bytenr, BTRFS_METADATA_ITEM, b->level),
			  sizeof(*x) + sizeof(*ref));

	if (!x)
		return;
	*x = (struct btrfs_extent_item){
		to_le64(1), to_le64(MKFS_GENERATION),
		to_le64(BTRFS_EXTENT_FLAG_TREE_BLOCK)
	};
	ref = (struct btrfs_inline_ref *)(x + 1);
	ref->type = BTRFS_TREE_BLOCK_REF;
	ref->offset = to_le64(b->owner);
}

static uint64_t used_of(const struct layout *l, const struct mkfs_chunk *c)
{
	uint64_t used = 0;

	if (c->type & BTRFS_BG_DATA)
		return c->used;
	for (size_t i = 0; i < l->blocks.n; i++) {
		if (l->blocks.p[i].bytenr >= c->logical &&
		    l->blocks.p[i].bytenr < c->logical + c->length)
			used += l->m->nodesize;
	}
	return used;
}

/* One chunk after the other: extents, with the block group's item after the
 * one that begins where it does. */
static int extent_tree(struct layout *l)
{
	struct mkfs *m = l->m;
	bool groups = !m->opts->block_group_tree;
	size_t b = 0, d = 0;
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_EXTENT_TREE);
	for (size_t i = 0; i < m->chunks.n && !t.err; i++) {
		const struct mkfs_chunk *c = &m->chunks.p[i];
		uint64_t end = c->logical + c->length, at;
		bool open = groups;

		for (;;) {
			bool data = d < m->refs.n && m->refs.p[d].bytenr < end;
			bool block = b < l->blocks.n &&
				     l->blocks.p[b].bytenr < end;

			at = data ? m->refs.p[d].bytenr
				  : block ? l->blocks.p[b].bytenr : end;
			if (open && at > c->logical) {
				put_group(&t, c, used_of(l, c));
				open = false;
			}
			if (data)
				put_data_extent(&t, &m->refs.p[d++]);
			else if (block)
				put_block_extent(&t, &l->blocks.p[b++]);
			else
				break;
		}
	}
	return mkfs_tree_end(&t, &m->extent_root);
}

static int group_tree(struct layout *l)
{
	struct mkfs *m = l->m;
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_BLOCK_GROUP_TREE);
	for (size_t i = 0; i < m->chunks.n; i++)
		put_group(&t, &m->chunks.p[i], used_of(l, &m->chunks.p[i]));
	return mkfs_tree_end(&t, &m->group_root);
}

static void put_free(struct mkfs_tree *t, uint64_t from, uint64_t to,
		     uint32_t *count)
{
	if (from >= to)
		return;
	if (t)
		mkfs_item(t, KEY(from, BTRFS_FREE_SPACE_EXTENT, to - from), 0);
	++*count;
}

/* The free ranges of a chunk; with @t NULL only counts them. */
static uint32_t free_ranges(const struct layout *l, struct mkfs_tree *t,
			    const struct mkfs_chunk *c, size_t *b, size_t *d)
{
	const struct mkfs *m = l->m;
	uint64_t at = c->logical, end = at + c->length;
	uint32_t count = 0;

	for (;;) {
		if (*d < m->refs.n && m->refs.p[*d].bytenr < end) {
			put_free(t, at, m->refs.p[*d].bytenr, &count);
			at = m->refs.p[*d].bytenr + m->refs.p[*d].len;
			++*d;
		} else if (*b < l->blocks.n && l->blocks.p[*b].bytenr < end) {
			put_free(t, at, l->blocks.p[*b].bytenr, &count);
			at = l->blocks.p[*b].bytenr + m->nodesize;
			++*b;
		} else {
			break;
		}
	}
	put_free(t, at, end, &count);
	return count;
}

static int free_tree(struct layout *l)
{
	struct mkfs *m = l->m;
	size_t b = 0, d = 0;
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_FREE_SPACE_TREE);
	for (size_t i = 0; i < m->chunks.n && !t.err; i++) {
		const struct mkfs_chunk *c = &m->chunks.p[i];
		size_t count_b = b, count_d = d;
		uint32_t count = free_ranges(l, NULL, c, &count_b, &count_d);
		struct btrfs_free_space_info *info =
			mkfs_item(&t, KEY(c->logical, BTRFS_FREE_SPACE_INFO,
					  c->length), sizeof(*info));

		if (info)
			*info = (struct btrfs_free_space_info){
				to_le32(count), to_le32(0) };
		free_ranges(l, &t, c, &b, &d);
	}
	return mkfs_tree_end(&t, &m->free_root);
}

static int last_trees(struct layout *l)
{
	struct mkfs *m = l->m;
	int err = mkfs_root_tree(m);

	if (!err)
		err = free_tree(l);
	if (!err && m->opts->block_group_tree)
		err = group_tree(l);
	return err ? err : extent_tree(l);
}

static int take_layout(struct layout *l)
{
	struct mkfs *m = l->m;

	l->blocks.n = 0;
	for (size_t i = 0; i < m->blocks.n; i++) {
		if (!vec_push(&l->blocks, m->blocks.p[i]))
			return mkfs_fail(m, -ENOMEM, "out of memory");
	}
	qsort(l->blocks.p, l->blocks.n, sizeof(*l->blocks.p), by_bytenr);
	return 0;
}

/* Are the blocks after the first @fixed the ones of the round before? */
static bool same_tail(struct layout *l, size_t fixed)
{
	const struct mkfs *m = l->m;
	size_t n = m->blocks.n - fixed;
	bool same = l->tail.n == n;

	for (size_t i = 0; same && i < n; i++)
		same = l->tail.p[i].bytenr == m->blocks.p[fixed + i].bytenr &&
		       l->tail.p[i].owner == m->blocks.p[fixed + i].owner &&
		       l->tail.p[i].level == m->blocks.p[fixed + i].level;
	l->tail.n = 0;
	for (size_t i = 0; i < n; i++) {
		if (!vec_push(&l->tail, m->blocks.p[fixed + i]))
			return false;
	}
	return same;
}

static int settle(struct layout *l)
{
	struct mkfs *m = l->m;
	uint32_t chunk = m->current[MKFS_METADATA];
	uint64_t next = m->chunks.p[chunk].next, used = m->chunks.p[chunk].used;
	size_t fixed = m->blocks.n, chunks = m->chunks.n;
	bool settled = false;
	int err = take_layout(l);

	/* The last round is the same as the one before it, and is written. */
	for (int i = 0; !err && i < ROUNDS_MAX; i++) {
		m->dry = !settled;
		m->blocks.n = fixed;
		m->chunks.p[chunk].next = next;
		m->chunks.p[chunk].used = used;
		err = last_trees(l);
		assert(err || m->chunks.n == chunks); /* as reserved */
		if (err || settled)
			return err;
		settled = same_tail(l, fixed);
		err = take_layout(l);
	}
	return err ? err : mkfs_fail(m, -EFBIG, "the trees do not settle");
}

uint64_t mkfs_last_trees_bound(const struct mkfs *m)
{
	uint64_t items = m->refs.n * 78 + m->blocks.n * 58 +
			 m->chunks.n * 1000 + m->subvols.n * 2000;

	return (items / (m->nodesize - 1000) * 2 + 64) * m->nodesize;
}

int mkfs_last_trees(struct mkfs *m)
{
	struct layout l = { .m = m };
	int err = settle(&l);

	vec_free(&l.blocks);
	vec_free(&l.tail);
	return err;
}
