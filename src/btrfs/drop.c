// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drop.c - take a range out of a file
 *
 *	|------ extent ------|		an extent whole in the range: its item
 *	   |== range ==|		goes, and its reference
 *	|--|           |-----|		one that sticks out is cut; its item
 *					still refers to all of the extent, of
 *					which only this much can be seen; two
 *					pieces left are two references
 *
 * From the range's end to its start, so that a truncation in several steps
 * leaves a shorter file after each.
 */
#include "extent.h"

enum { BATCH = 64 };

/* Extents that reach into [from, to), the last first. */
static int gather(struct r3_btrfs *fs, const struct btrfs_node *node,
		  uint64_t from, uint64_t to, struct btrfs_fx *out,
		  unsigned max, unsigned *count, bool *more)
{
	struct btrfs_cursor c;
	struct btrfs_fx x;
	int err;

	*count = 0;
	*more = false;
	btrfs_cursor_init(&c, fs, node->tree->root);
	err = btrfs_cursor_seek_back(&c, btrfs_fx_key(node->ino, to - 1));
	for (; !err; err = btrfs_cursor_prev(&c)) {
		if (c.key.objectid != node->ino ||
		    c.key.type != BTRFS_EXTENT_DATA)
			break;
		btrfs_fx_get(&c, &x);
		if (btrfs_fx_end(&x) <= from)
			break;
		if (*count == max) {
			*more = true;
			break;
		}
		out[(*count)++] = x;
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

static void less_bytes(struct btrfs_node *node, uint64_t n)
{
	uint64_t has = le64(node->item.nbytes);

	/* damage: check finds it, and it must not wrap */
	node->item.nbytes = to_le64(has - r3_min(has, n));
}

static int shorten(struct r3_btrfs *fs, struct btrfs_node *node,
		   const struct btrfs_fx *x, uint64_t len)
{
	struct btrfs_file_extent_reg *r;
	struct btrfs_spot spot;
	int err = btrfs_item_edit(fs, node->tree,
				  btrfs_fx_key(node->ino, x->start), &spot);

	if (err)
		return err;
	r = (struct btrfs_file_extent_reg *)spot.data;
	r->num_bytes = to_le64(len);
	return 0;
}

/* The piece as it is from @to on. */
static struct btrfs_fx tail_of(const struct btrfs_fx *x, uint64_t to)
{
	struct btrfs_fx t = *x;

	t.start = to;
	t.len = btrfs_fx_end(x) - to;
	if (x->logical)
		t.offset += to - x->start;
	return t;
}

static int keep_tail(struct r3_btrfs *fs, struct btrfs_node *node,
		     const struct btrfs_fx *x, uint64_t to)
{
	struct btrfs_fx t = tail_of(x, to);
	struct btrfs_file_extent_reg r = btrfs_fx_put(&t);
	struct btrfs_key key = btrfs_fx_key(node->ino, to);
	struct btrfs_spot spot;
	int err;

	err = btrfs_item_rekey(fs, node->tree,
			       btrfs_fx_key(node->ino, x->start), key);
	if (!err)
		err = btrfs_item_edit(fs, node->tree, key, &spot);
	if (!err)
		memcpy(spot.data, &r, sizeof(r));
	return err;
}

/* Both ends stay: a second item, a second reference. */
static int keep_both(struct r3_btrfs *fs, struct btrfs_node *node,
		     const struct btrfs_fx *x, uint64_t from, uint64_t to)
{
	struct btrfs_fx t = tail_of(x, to);
	struct btrfs_file_extent_reg r = btrfs_fx_put(&t);
	struct btrfs_ref ref = btrfs_fx_ref(node, &t);
	int err = x->logical ? btrfs_ref_add(fs, &ref) : 0;

	if (!err)
		err = shorten(fs, node, x, from - x->start);
	if (!err)
		err = btrfs_item_insert(fs, node->tree,
					btrfs_fx_key(node->ino, to), &r,
					sizeof(r), NULL);
	return err;
}

static bool is_whole(const struct btrfs_fx *x, uint64_t from, uint64_t to)
{
	return x->type == BTRFS_FILE_INLINE ||
	       (x->start >= from && btrfs_fx_end(x) <= to);
}

static int cut(struct r3_btrfs *fs, struct btrfs_node *node,
	       const struct btrfs_fx *x, uint64_t from, uint64_t to)
{
	uint64_t gone = r3_min(btrfs_fx_end(x), to) - r3_max(x->start, from);
	int err;

	if (x->start >= from)
		err = keep_tail(fs, node, x, to);
	else if (btrfs_fx_end(x) <= to)
		err = shorten(fs, node, x, from - x->start);
	else
		err = keep_both(fs, node, x, from, to);
	if (!err && x->logical)
		less_bytes(node, gone);
	return err;
}

/* Items that follow each other, the last first. */
static int remove_whole(struct r3_btrfs *fs, struct btrfs_node *node,
			const struct btrfs_fx *x, unsigned count)
{
	unsigned went;
	int err = btrfs_items_delete(fs, node->tree,
				     btrfs_fx_key(node->ino,
						  x[count - 1].start),
				     btrfs_fx_key(node->ino, x[0].start),
				     count, &went);

	for (unsigned i = 0; !err && i < count; i++) {
		struct btrfs_ref ref = btrfs_fx_ref(node, &x[i]);

		less_bytes(node, btrfs_fx_bytes(&x[i]));
		if (!x[i].logical)
			continue;
		fs->freed_transid = btrfs_transid(fs);
		err = btrfs_ref_drop(fs, &ref);
	}
	return err;
}

/* Only the first and the last of them can stick out. */
static int drop_batch(struct r3_btrfs *fs, struct btrfs_node *node,
		      uint64_t from, uint64_t to, const struct btrfs_fx *x,
		      unsigned count)
{
	unsigned first = 0, last = count;
	int err = 0;

	if (first < last && !is_whole(&x[first], from, to))
		err = cut(fs, node, &x[first++], from, to);
	if (!err && first < last && !is_whole(&x[last - 1], from, to))
		err = cut(fs, node, &x[--last], from, to);
	if (!err && first < last)
		err = remove_whole(fs, node, x + first, last - first);
	return err;
}

int btrfs_file_drop(struct r3_btrfs *fs, struct btrfs_node *node,
		    uint64_t from, uint64_t to, unsigned max_items, bool *done)
{
	struct btrfs_fx x[BATCH];
	bool more = true;
	unsigned n;
	int err = 0;

	while (!err && more && max_items) {
		err = gather(fs, node, from, to, x, r3_min(max_items, BATCH),
			     &n, &more);
		if (!err)
			err = drop_batch(fs, node, from, to, x, n);
		max_items -= n;
	}
	if (!err)
		*done = !more;
	return err;
}
