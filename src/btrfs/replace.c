// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * replace.c - a range of a file becomes other extents, in one operation
 *
 * What can be refused comes before the first change: space was found, data is
 * on the device in space that was free, and only the trees are left to change.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "extent.h"
#include "names.h"

int btrfs_file_reach(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     uint64_t from, uint64_t to, unsigned max, uint64_t *reach,
		     unsigned *count)
{
	struct btrfs_tree *tree;
	struct btrfs_cursor c;
	struct btrfs_fx x;
	int err = btrfs_subvol_writable(fs, in.subvol, &tree);

	if (err)
		return err;
	*reach = to;
	*count = 0;
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_fx_seek(&c, in.ino, from, &x);
	while (!err && x.start < to) {
		if (*count == max) {
			*reach = x.start;
			break;
		}
		++*count;
		err = btrfs_fx_next(&c, &x);
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* Items that hold the checksums of @len bytes, at most. */
static unsigned csum_items(const struct r3_btrfs *fs, uint64_t len)
{
	/* items hold at least half of what fits into a leaf */
	return 2 + (unsigned)(len / BTRFS_SECTOR * fs->csum_size /
			      (fs->nodesize / 2));
}

/*
 * What an operation changes, in items that are far from each other: the inode,
 * checksums of each extent, and the file's extents.  These follow each other,
 * so they count as the leaves that they fill by half: those that come, the ends
 * of those that are cut, and with hole items one beside each.
 */
static unsigned items(const struct r3_btrfs *fs, unsigned puts,
		      unsigned drops, uint64_t bytes)
{
	bool holes = !(fs->incompat & BTRFS_INCOMPAT_NO_HOLES);
	uint32_t size = 2 * (sizeof(struct btrfs_item) +
			     sizeof(struct btrfs_file_extent_reg));

	return 1 + (bytes ? puts + csum_items(fs, bytes) : 0) +
	       2 + (1 + holes) * (puts + 2 * drops) * size / fs->nodesize;
}

static int check_kind(struct r3_btrfs *fs, uint32_t mode)
{
	if (S_ISDIR(mode))
		return btrfs_fail(fs, -EISDIR, "it is a directory");
	return S_ISREG(mode) ? 0 : btrfs_fail(fs, -EINVAL, "it is no regular "
					      "file");
}

int btrfs_file_writable(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			struct r3_btrfs_stat *st)
{
	struct btrfs_tree *tree;
	int err = btrfs_subvol_writable(fs, in.subvol, &tree);

	if (!err)
		err = r3_btrfs_stat(fs, in, st);
	return err ? err : check_kind(fs, st->st.st_mode);
}

int btrfs_replace_begin(struct btrfs_replace *r, struct r3_btrfs *fs,
			struct r3_btrfs_inode in, unsigned puts,
			unsigned drops, uint64_t bytes,
			enum btrfs_purpose purpose)
{
	int err = btrfs_trans_start(fs, items(fs, puts, drops, bytes),
				    purpose);

	if (err)
		return err;
	memset(r, 0, offsetof(struct btrfs_replace, x));
	r->fs = fs;
	r->in = in;
	r->count = r->run_count = 0;
	r->inline_data = NULL;
	r->sums = NULL;
	r->sum_count = r->sum_room = 0;
	err = btrfs_node_get(fs, in, &r->node);
	if (!err)
		err = check_kind(fs, le32(r->node.item.mode));
	if (err)
		return btrfs_replace_cancel(r, err);
	r->size = le64(r->node.item.size);
	return 0;
}

int btrfs_replace_cancel(struct btrfs_replace *r, int err)
{
	int ended;

	free(r->sums);
	r->sums = NULL;
	ended = btrfs_trans_end(r->fs, 0);
	return err ? err : ended;
}

bool btrfs_replace_again(struct r3_btrfs *fs, int err)
{
	if (err == -EDQUOT)
		return btrfs_quota_again(fs);
	return err == -ENOSPC && fs->freed_transid == btrfs_transid(fs) &&
	       !btrfs_trans_commit(fs);
}

/* ---- data and its checksums -----------------------------------------------*/

static int sums_room(struct btrfs_replace *r, size_t sectors)
{
	size_t room = r3_max(r->sum_room * 2, r->sum_count + sectors);
	uint8_t *p;

	if (r->sum_count + sectors <= r->sum_room)
		return 0;
	p = realloc(r->sums, room * r->fs->csum_size);
	if (!p)
		return -ENOMEM;
	r->sums = p;
	r->sum_room = room;
	return 0;
}

static int add_sums(struct btrfs_replace *r, uint64_t logical,
		    const uint8_t *data, size_t len)
{
	struct r3_btrfs *fs = r->fs;
	unsigned n = r->run_count;
	int err = sums_room(r, len / BTRFS_SECTOR);

	if (err)
		return err;
	if (!n || r->run[n - 1].logical +
		  r->run[n - 1].sectors * BTRFS_SECTOR != logical) {
		assert(n < BTRFS_PUT_MAX);
		r->run[n].logical = logical;
		r->run[n].sectors = 0;
		r->run_count = ++n;
	}
	r->run[n - 1].sectors += len / BTRFS_SECTOR;
	for (size_t at = 0; at < len; at += BTRFS_SECTOR)
		btrfs_csum(fs->csum_type, data + at, BTRFS_SECTOR,
			   r->sums + r->sum_count++ * fs->csum_size);
	return 0;
}

int btrfs_replace_write(struct btrfs_replace *r, uint64_t logical,
			const void *data, size_t len)
{
	bool sums = !(le64(r->node.item.flags) & BTRFS_INODE_NODATASUM);
	const uint8_t *p = data;
	int err = 0;

	/* what a reader holds unpacked may have been there before */
	r->fs->file_cached.logical = 0;
	while (!err && len) {
		/* summed while it is in the processor's cache */
		size_t n = r3_min(len, R3_MIB);

		if (sums)
			err = add_sums(r, logical, p, n);
		if (!err)
			err = btrfs_write_logical(r->fs, logical, p, n);
		p += n;
		logical += n;
		len -= n;
	}
	return err;
}

/* ---- what follows the extent before it ------------------------------------*/

static bool follows(const struct btrfs_fx *a, const struct btrfs_fx *b)
{
	return a->type == BTRFS_FILE_REG && b->type == BTRFS_FILE_REG &&
	       !a->compression && !b->compression && a->logical &&
	       btrfs_fx_end(a) == b->start && !b->offset &&
	       a->logical + a->disk_len == b->logical &&
	       a->offset + a->len == a->disk_len &&
	       a->disk_len + b->disk_len <= BTRFS_EXTENT_MAX;
}

static int lengthen(struct btrfs_replace *r, const struct btrfs_fx *a,
		    const struct btrfs_fx *b)
{
	struct btrfs_fx x = *a;
	struct btrfs_file_extent_reg item;
	struct btrfs_spot spot;
	int err;

	x.len += b->len;
	x.disk_len += b->disk_len;
	x.ram_len += b->disk_len;
	item = btrfs_fx_put(&x);
	r->node.item.nbytes = to_le64(le64(r->node.item.nbytes) + b->len);
	err = btrfs_item_edit(r->fs, r->node.tree,
			      btrfs_fx_key(r->node.ino, a->start), &spot);
	if (!err)
		memcpy(spot.data, &item, sizeof(item));
	return err;
}

/* Small writes one after the other make one extent: when the first new one lies
 * behind the one before it on the device too, and that was written in this
 * transaction and is nobody else's, it grows. */
static int grow_last(struct btrfs_replace *r, unsigned *grown)
{
	struct btrfs_fx last, *x = r->x;
	struct btrfs_ref ref;
	int err;

	*grown = 0;
	if (!r->count || !x->start || x->start != r->from || x->generation)
		return 0;
	err = btrfs_fx_find(r->fs, r->node.tree, r->node.ino, x->start - 1,
			    &last);
	if (err || !follows(&last, x) ||
	    last.generation != btrfs_transid(r->fs) ||
	    last.generation <= r->node.tree->last_snapshot)
		return err == -ENOENT ? 0 : err;
	ref = btrfs_fx_ref(&r->node, &last);
	if (!btrfs_ref_grow(r->fs, &ref, x->disk_len))
		return 0;
	*grown = 1;
	return lengthen(r, &last, x);
}

/* ---- the change -----------------------------------------------------------*/

static int add_refs(struct btrfs_replace *r, unsigned first)
{
	int err = 0;

	for (unsigned i = first; !err && i < r->count; i++) {
		struct btrfs_ref ref = btrfs_fx_ref(&r->node, &r->x[i]);

		err = r->x[i].logical ? btrfs_ref_add(r->fs, &ref) : 0;
	}
	return err;
}

static int insert_x(struct btrfs_replace *r, struct btrfs_fx *x)
{
	struct btrfs_file_extent_reg item;
	uint64_t nbytes = le64(r->node.item.nbytes);

	if (!x->generation)
		x->generation = btrfs_transid(r->fs);
	item = btrfs_fx_put(x);
	r->node.item.nbytes = to_le64(nbytes + btrfs_fx_bytes(x));
	return btrfs_item_insert(r->fs, r->node.tree,
				 btrfs_fx_key(r->node.ino, x->start), &item,
				 sizeof(item), NULL);
}

static int insert_inline(struct btrfs_replace *r)
{
	struct btrfs_file_extent h = {
		.generation = to_le64(btrfs_transid(r->fs)),
		.ram_bytes = to_le64(r->inline_ram),
		.compression = r->inline_compression,
		.type = BTRFS_FILE_INLINE,
	};
	uint32_t size = (uint32_t)(sizeof(h) + r->inline_len);
	struct btrfs_spot spot;
	int err = btrfs_item_insert(r->fs, r->node.tree,
				    btrfs_fx_key(r->node.ino, 0), NULL, size,
				    &spot);

	if (err)
		return err;
	memcpy(spot.data, &h, sizeof(h));
	memcpy(spot.data + sizeof(h), r->inline_data, r->inline_len);
	r->node.item.nbytes = to_le64(le64(r->node.item.nbytes) +
				      r->inline_ram);
	return 0;
}

static int insert_sums(struct btrfs_replace *r)
{
	const uint8_t *at = r->sums;
	int err = 0;

	for (unsigned i = 0; !err && i < r->run_count; i++) {
		err = btrfs_csums_insert(r->fs, r->run[i].logical, at,
					 r->run[i].sectors);
		at += r->run[i].sectors * r->fs->csum_size;
	}
	return err;
}

/* The first gap at or after *@at, up to @end. */
static int next_gap(struct btrfs_replace *r, uint64_t *at, uint64_t *end)
{
	struct btrfs_cursor c;
	struct btrfs_fx x;
	int err;

	btrfs_cursor_init(&c, r->fs, r->node.tree->root);
	err = btrfs_fx_seek(&c, r->node.ino, *at, &x);
	while (!err && x.start <= *at) {
		*at = btrfs_fx_end(&x);
		err = btrfs_fx_next(&c, &x);
	}
	btrfs_cursor_fini(&c);
	if (!err)
		*end = r3_min(*end, x.start);
	return err == -ENOENT ? 0 : err;
}

/* Without the feature NO_HOLES every sector up to the size has an item. */
static int fill_holes(struct btrfs_replace *r, uint64_t old_size)
{
	uint64_t at = r->from, end = btrfs_sectors(r->size), gap_end;
	int err = 0;

	if (r->fs->incompat & BTRFS_INCOMPAT_NO_HOLES)
		return 0;
	if (r->size > old_size)
		at = r3_min(at, btrfs_sectors(old_size));
	else
		end = r3_min(end, r->to);
	while (!err && at < end) {
		gap_end = end;
		err = next_gap(r, &at, &gap_end);
		if (!err && at < gap_end) {
			struct btrfs_fx hole = { .start = at,
						 .len = gap_end - at,
						 .ram_len = gap_end - at,
						 .type = BTRFS_FILE_REG };

			err = insert_x(r, &hole);
			at = gap_end;
		}
	}
	return err;
}

static int change(struct btrfs_replace *r)
{
	struct btrfs_inode_item *item = &r->node.item;
	uint64_t old_size = le64(item->size);
	bool done = false;
	unsigned grown = 0;
	int err = 0;

	while (!err && !done && r->from < r->to)
		err = btrfs_file_drop(r->fs, &r->node, r->from, r->to,
				      BTRFS_DROP_MAX, &done);
	if (!err)
		err = grow_last(r, &grown);
	if (!err)
		err = add_refs(r, grown);
	for (unsigned i = grown; !err && i < r->count; i++)
		err = insert_x(r, &r->x[i]);
	if (!err && r->inline_data)
		err = insert_inline(r);
	if (!err)
		err = insert_sums(r);
	if (!err)
		err = fill_holes(r, old_size);
	if (err)
		return err;
	item->size = to_le64(r->size);
	if (!r->fs->opts.keep_times)
		btrfs_now(r->fs, &item->mtime);
	return btrfs_node_put(r->fs, &r->node, !r->fs->opts.keep_times);
}

int btrfs_replace_end(struct btrfs_replace *r)
{
	int err = change(r);

	free(r->sums);
	r->sums = NULL;
	return btrfs_trans_end(r->fs, err);
}
