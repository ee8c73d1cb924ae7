// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * free.c - the free space tree: a block group's free ranges as extents, or as
 * bitmaps when there are so many that those take less room
 *
 * The counts of a group's FREE_SPACE_INFO are kept in memory and written by the
 * commit.  Thresholds and the form of both are the kernel's
 * (fs/btrfs/free-space-tree.c).
 */
#include <stdlib.h>

#include "space.h"

#define BITMAP_RANGE ((uint64_t)BTRFS_BITMAP_BYTES * 8 * BTRFS_SECTOR)

static int fst(struct r3_btrfs *fs, struct btrfs_tree **out)
{
	return btrfs_tree_get(fs, BTRFS_FREE_SPACE_TREE, out);
}

static uint64_t group_end(const struct btrfs_group *g)
{
	return g->start + g->len;
}

static int damaged(struct r3_btrfs *fs, uint64_t at)
{
	return btrfs_fail(fs, -EUCLEAN, "tree free-space: what it says of %llu "
			  "is not what the extent tree says",
			  (unsigned long long)at);
}

/* ---- loading ------------------------------------------------------------- */

static void load_bitmap(struct r3_btrfs *fs, struct btrfs_group *g,
			const struct btrfs_cursor *c)
{
	uint64_t bits = c->key.offset / BTRFS_SECTOR, from = 0;
	const uint8_t *map = c->data;

	for (uint64_t i = 0; i <= bits; i++) {
		bool set = i < bits && map[i / 8] & 1u << i % 8;

		if (set)
			continue;
		if (from < i)
			btrfs_group_give(fs, g, c->key.objectid +
					 from * BTRFS_SECTOR,
					 (i - from) * BTRFS_SECTOR);
		from = i + 1;
	}
}

/* Bytes that the item says are free. */
static uint64_t free_bytes(const struct btrfs_cursor *c)
{
	const uint8_t *map = c->data;
	uint64_t sum = 0;

	if (c->key.type == BTRFS_FREE_SPACE_EXTENT)
		return c->key.offset;
	for (uint32_t i = 0; i < c->size; i++)
		sum += (uint64_t)BTRFS_SECTOR *
		       (unsigned)__builtin_popcount(map[i]);
	return sum;
}

static int load_ranges(struct r3_btrfs *fs, struct btrfs_group *g,
		       struct btrfs_cursor *c)
{
	uint64_t sum = 0, last = g->start;
	int err = 0;

	while (!err && (err = btrfs_cursor_next(c)) == 0 &&
	       c->key.objectid < group_end(g)) {
		if (c->key.type == BTRFS_FREE_SPACE_INFO)
			continue; /* left by btrfs-progs 6.2's mkfs */
		if (c->key.objectid < last ||
		    c->key.offset > group_end(g) - c->key.objectid ||
		    g->bitmaps != (c->key.type == BTRFS_FREE_SPACE_BITMAP))
			return damaged(fs, c->key.objectid);
		last = c->key.objectid + c->key.offset;
		sum += free_bytes(c);
		if (g->bitmaps)
			load_bitmap(fs, g, c);
		else
			btrfs_group_give(fs, g, c->key.objectid,
					 c->key.offset);
	}
	if (err && err != -ENOENT)
		return err;
	return sum == g->len - g->used ? 0 : damaged(fs, g->start);
}

int btrfs_fst_load(struct r3_btrfs *fs)
{
	struct btrfs_cursor c;
	int err = 0;

	btrfs_cursor_init(&c, fs, &fs->free_space);
	for (unsigned i = 0; !err && i < fs->space->count; i++) {
		struct btrfs_group *g = fs->space->groups[i];
		struct btrfs_key key = KEY(g->start, BTRFS_FREE_SPACE_INFO,
					   g->len);
		const struct btrfs_free_space_info *info;

		err = btrfs_cursor_seek(&c, key);
		if (err == -ENOENT || (!err && btrfs_key_cmp(c.key, key)))
			err = damaged(fs, g->start);
		if (err)
			break;
		info = c.data;
		g->extents = le32(info->extent_count);
		g->bitmaps = le32(info->flags) & BTRFS_FREE_SPACE_BITMAPS;
		err = load_ranges(fs, g, &c);
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* ---- from extents to bitmaps and back ------------------------------------ */

/* A group has so many free ranges at most before it gets bitmaps; these take a
 * fixed room. */
static uint64_t extents_max(const struct btrfs_group *g)
{
	uint64_t bitmaps = (g->len + BITMAP_RANGE - 1) / BITMAP_RANGE;

	return bitmaps * (sizeof(struct btrfs_item) + BTRFS_BITMAP_BYTES) /
	       sizeof(struct btrfs_item);
}

/* And extents again below this. */
static uint64_t extents_min(const struct btrfs_group *g)
{
	uint64_t max = extents_max(g);

	return max > 100 ? max - 100 : 0;
}

/* The ranges of @g in the tree, as bits; the caller frees them. */
static int read_bits(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		     const struct btrfs_group *g, uint8_t **out)
{
	uint8_t *bits = calloc(1, g->len / BTRFS_SECTOR / 8 + 1);
	struct btrfs_cursor c;
	int err;

	if (!bits)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek(&c, KEY(g->start, BTRFS_FREE_SPACE_EXTENT, 0));
	for (; !err && c.key.objectid < group_end(g);
	     err = btrfs_cursor_next(&c)) {
		uint64_t at = (c.key.objectid - g->start) / BTRFS_SECTOR;
		uint64_t end = at + c.key.offset / BTRFS_SECTOR;

		if (c.key.type == BTRFS_FREE_SPACE_BITMAP)
			memcpy(bits + at / 8, c.data, c.size);
		else if (c.key.type == BTRFS_FREE_SPACE_EXTENT)
			for (; at < end; at++)
				bits[at / 8] |= (uint8_t)(1u << at % 8);
	}
	btrfs_cursor_fini(&c);
	if (!err || err == -ENOENT) {
		*out = bits;
		return 0;
	}
	free(bits);
	return err;
}

static int remove_ranges(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_group *g)
{
	unsigned count;

	return btrfs_items_delete(
		fs, tree, KEY(g->start, BTRFS_FREE_SPACE_EXTENT, 0),
		KEY(group_end(g) - 1, BTRFS_FREE_SPACE_BITMAP, UINT64_MAX),
		UINT32_MAX, &count);
}

static int write_bitmaps(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_group *g, const uint8_t *bits)
{
	int err = 0;

	for (uint64_t at = 0; at < g->len && !err; at += BITMAP_RANGE) {
		uint64_t len = r3_min(BITMAP_RANGE, g->len - at);

		err = btrfs_item_insert(
			fs, tree,
			KEY(g->start + at, BTRFS_FREE_SPACE_BITMAP, len),
			bits + at / BTRFS_SECTOR / 8,
			(uint32_t)((len / BTRFS_SECTOR + 7) / 8), NULL);
	}
	return err;
}

static int write_extents(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_group *g, const uint8_t *bits)
{
	uint64_t n = g->len / BTRFS_SECTOR, from = 0;
	int err = 0;

	for (uint64_t i = 0; i <= n && !err; i++) {
		if (i < n && bits[i / 8] & 1u << i % 8)
			continue;
		if (from < i)
			err = btrfs_item_insert(
				fs, tree,
				KEY(g->start + from * BTRFS_SECTOR,
				    BTRFS_FREE_SPACE_EXTENT,
				    (i - from) * BTRFS_SECTOR), NULL, 0, NULL);
		from = i + 1;
	}
	return err;
}

static int convert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_group *g)
{
	uint8_t *bits = NULL;
	int err = read_bits(fs, tree, g, &bits);

	if (err)
		return err;
	err = remove_ranges(fs, tree, g);
	if (!err)
		err = g->bitmaps ? write_extents(fs, tree, g, bits)
				 : write_bitmaps(fs, tree, g, bits);
	g->bitmaps = !g->bitmaps;
	free(bits);
	return err;
}

/* So many free ranges more, or less. */
static int count(struct r3_btrfs *fs, struct btrfs_tree *tree,
		 struct btrfs_group *g, int more)
{
	if (!more)
		return 0;
	g->extents += (uint32_t)more;
	g->info_changed = true;
	if (g->bitmaps ? g->extents < extents_min(g)
		       : g->extents > extents_max(g))
		return convert(fs, tree, g);
	return 0;
}

/* ---- bitmaps ------------------------------------------------------------- */

static struct btrfs_key bitmap_key(const struct btrfs_group *g, uint64_t at)
{
	uint64_t from = (at - g->start) / BITMAP_RANGE * BITMAP_RANGE;

	return KEY(g->start + from, BTRFS_FREE_SPACE_BITMAP,
		   r3_min(BITMAP_RANGE, g->len - from));
}

/* Is the sector at @at free?  Not outside the group. */
static int bit_at(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		  const struct btrfs_group *g, uint64_t at, bool *out)
{
	struct btrfs_cursor c;
	struct btrfs_key key;
	int err;

	*out = false;
	if (at < g->start || at >= group_end(g))
		return 0;
	key = bitmap_key(g, at);
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek(&c, key);
	if (err == -ENOENT || (!err && btrfs_key_cmp(c.key, key))) {
		err = damaged(fs, at);
	} else if (!err) {
		uint64_t i = (at - key.objectid) / BTRFS_SECTOR;

		*out = ((const uint8_t *)c.data)[i / 8] & 1u << i % 8;
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* Set or clear bits of one bitmap, all of which must be the other way. */
static bool bits_change(uint8_t *map, uint64_t from, uint64_t to, bool set)
{
	for (uint64_t i = from; i < to; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		if (!(map[i / 8] & bit) != set)
			return false;
		map[i / 8] ^= bit;
	}
	return true;
}

static int bitmaps_change(struct r3_btrfs *fs, struct btrfs_tree *tree,
			  struct btrfs_group *g, uint64_t start, uint64_t len,
			  bool set)
{
	uint64_t end = start + len, at = start;
	bool before, after;
	int err = bit_at(fs, tree, g, start - BTRFS_SECTOR, &before);

	if (!err)
		err = bit_at(fs, tree, g, end, &after);
	while (!err && at < end) {
		struct btrfs_key key = bitmap_key(g, at);
		uint64_t stop = r3_min(end, key.objectid + key.offset);
		struct btrfs_spot spot;

		err = btrfs_item_edit(fs, tree, key, &spot);
		if (err == -ENOENT ||
		    (!err && !bits_change(spot.data,
					  (at - key.objectid) / BTRFS_SECTOR,
					  (stop - key.objectid) / BTRFS_SECTOR,
					  set)))
			err = damaged(fs, at);
		at = stop;
	}
	if (err)
		return err;
	return count(fs, tree, g, set ? 1 - before - after
				      : before + after - 1);
}

/* ---- extents ------------------------------------------------------------- */

/* The free ranges before and after an address; len 0: there is none. */
struct neighbours {
	struct btrfs_range before, after;
};

/* Where @c stands, unless another group's items begin there. */
static bool is_range(const struct btrfs_cursor *c, const struct btrfs_group *g)
{
	return c->key.type == BTRFS_FREE_SPACE_EXTENT &&
	       c->key.objectid >= g->start && c->key.objectid < group_end(g);
}

/* The last range that begins at or before @at, and the one that follows. */
static int find_neighbours(struct r3_btrfs *fs, const struct btrfs_tree *tree,
			   const struct btrfs_group *g, uint64_t at,
			   struct neighbours *out)
{
	struct btrfs_cursor c;
	int err;

	*out = (struct neighbours){ 0 };
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek_back(&c, KEY(at, BTRFS_FREE_SPACE_EXTENT,
					     UINT64_MAX));
	if (!err && is_range(&c, g))
		out->before = (struct btrfs_range){ c.key.objectid,
						    c.key.offset };
	if (!err)
		err = btrfs_cursor_next(&c);
	if (!err && is_range(&c, g))
		out->after = (struct btrfs_range){ c.key.objectid,
						   c.key.offset };
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

static struct btrfs_key range_key(uint64_t start, uint64_t end)
{
	return KEY(start, BTRFS_FREE_SPACE_EXTENT, end - start);
}

static int extent_give(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       struct btrfs_group *g, uint64_t start, uint64_t end)
{
	struct neighbours n;
	int err = find_neighbours(fs, tree, g, start, &n);
	uint64_t before_end = n.before.start + n.before.len;
	bool joins, joined;

	if (err)
		return err;
	if (before_end > start || (n.after.len && n.after.start < end))
		return damaged(fs, start);
	joins = n.before.len && before_end == start;
	joined = n.after.len && n.after.start == end;
	if (joined && joins)
		err = btrfs_item_delete(fs, tree,
					range_key(end, end + n.after.len));
	if (err)
		return err;
	if (joins)
		err = btrfs_item_rekey(
			fs, tree, range_key(n.before.start, start),
			range_key(n.before.start,
				  joined ? end + n.after.len : end));
	else if (joined)
		err = btrfs_item_rekey(fs, tree,
				       range_key(end, end + n.after.len),
				       range_key(start, end + n.after.len));
	else
		err = btrfs_item_insert(fs, tree, range_key(start, end), NULL,
					0, NULL);
	return err ? err : count(fs, tree, g, 1 - joins - joined);
}

static int extent_take(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       struct btrfs_group *g, uint64_t start, uint64_t end)
{
	struct neighbours n;
	int err = find_neighbours(fs, tree, g, start, &n);
	uint64_t from = n.before.start, to = from + n.before.len;
	struct btrfs_key whole = range_key(from, to);

	if (err)
		return err;
	if (!n.before.len || to < end)
		return damaged(fs, start);
	if (from == start && to == end)
		err = btrfs_item_delete(fs, tree, whole);
	else if (from == start)
		err = btrfs_item_rekey(fs, tree, whole, range_key(end, to));
	else
		err = btrfs_item_rekey(fs, tree, whole,
				       range_key(from, start));
	if (!err && from < start && end < to)
		err = btrfs_item_insert(fs, tree, range_key(end, to), NULL, 0,
					NULL);
	return err ? err : count(fs, tree, g, (from < start) + (end < to) - 1);
}

/* ---- what the others call ------------------------------------------------ */

static int change(struct r3_btrfs *fs, uint64_t start, uint64_t len, bool give)
{
	struct btrfs_group *g = btrfs_group_find(fs, start);
	struct btrfs_tree *tree;
	int err = fst(fs, &tree);

	if (err)
		return err;
	if (!g || len > group_end(g) - start)
		return btrfs_fail(fs, -EUCLEAN, "extent %llu is not in one "
				  "block group", (unsigned long long)start);
	if (g->bitmaps)
		return bitmaps_change(fs, tree, g, start, len, give);
	return give ? extent_give(fs, tree, g, start, start + len)
		    : extent_take(fs, tree, g, start, start + len);
}

int btrfs_fst_give(struct r3_btrfs *fs, uint64_t start, uint64_t len)
{
	return change(fs, start, len, true);
}

int btrfs_fst_take(struct r3_btrfs *fs, uint64_t start, uint64_t len)
{
	return change(fs, start, len, false);
}

int btrfs_fst_group_new(struct r3_btrfs *fs, struct btrfs_group *g)
{
	const struct btrfs_free_space_info info = { .extent_count =
							    to_le32(1) };
	struct btrfs_tree *tree;
	int err = fst(fs, &tree);

	if (!err)
		err = btrfs_item_insert(
			fs, tree, KEY(g->start, BTRFS_FREE_SPACE_INFO, g->len),
			&info, sizeof(info), NULL);
	if (!err)
		err = btrfs_item_insert(fs, tree,
					range_key(g->start, group_end(g)),
					NULL, 0, NULL);
	g->extents = 1;
	return err;
}

int btrfs_fst_infos_write(struct r3_btrfs *fs, bool *again)
{
	struct btrfs_tree *tree;
	int err = fst(fs, &tree);

	for (unsigned i = 0; !err && i < fs->space->count; i++) {
		struct btrfs_group *g = fs->space->groups[i];
		struct btrfs_free_space_info info = {
			.extent_count = to_le32(g->extents),
			.flags = to_le32(g->bitmaps ? BTRFS_FREE_SPACE_BITMAPS
						    : 0),
		};
		struct btrfs_spot spot;

		if (!g->info_changed)
			continue;
		g->info_changed = false;
		err = btrfs_item_edit(fs, tree, KEY(g->start,
						    BTRFS_FREE_SPACE_INFO,
						    g->len), &spot);
		if (err == -ENOENT)
			err = damaged(fs, g->start);
		if (!err)
			memcpy(spot.data, &info, sizeof(info));
		*again = true;
	}
	return err;
}
