// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * truncate.c - a file's size
 *
 * Shorter: extents go from the end on, and the sector that is left in part gets
 * zeros after its end, so that a file that grows again reads zeros there.  One
 * with very many extents takes several operations, and is shorter after each.
 * Longer counts against a quota, as every change that frees nothing.
 */
#include "extent.h"
#include "names.h"

/* Where the last so many extents begin: to cut there is one operation. */
static int step_start(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t size, uint64_t *out)
{
	struct btrfs_tree *tree;
	struct btrfs_cursor c;
	struct btrfs_fx x;
	int err = btrfs_subvol_writable(fs, in.subvol, &tree);

	*out = size;
	if (err)
		return err;
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek_back(&c, btrfs_fx_key(in.ino, UINT64_MAX));
	for (unsigned n = 0; !err; n++, err = btrfs_cursor_prev(&c)) {
		if (c.key.objectid != in.ino ||
		    c.key.type != BTRFS_EXTENT_DATA)
			break;
		btrfs_fx_get(&c, &x);
		if (btrfs_fx_end(&x) <= size)
			break;
		if (n == BTRFS_DROP_MAX) {
			*out = btrfs_fx_end(&x);
			break;
		}
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* Does the sector that holds @at have data on the device? */
static int has_data(struct btrfs_replace *r, uint64_t at, bool *out)
{
	struct btrfs_fx x;
	int err = btrfs_fx_find(r->fs, r->node.tree, r->node.ino, at, &x);

	*out = !err && x.start <= at && x.logical &&
	       x.type == BTRFS_FILE_REG;
	return err == -ENOENT ? 0 : err;
}

/* Inline data of another size: in memory, then as any small write. */
static int resize_inline(struct r3_btrfs *fs, struct btrfs_replace *r,
			 uint64_t size, uint8_t *buf)
{
	size_t got = 0;
	int err = r3_btrfs_read(fs, r->in, 0, buf, size, &got);

	if (err)
		return err;
	memset(buf + got, 0, size - got);
	r->from = 0;
	r->to = BTRFS_SECTOR;
	r->size = size;
	r->inline_data = size ? buf : NULL;
	r->inline_len = r->inline_ram = size;
	r->inline_compression = 0;
	return 0;
}

/* What an operation does that sets @size and is the last one. */
static int prepare(struct r3_btrfs *fs, struct btrfs_replace *r,
		   uint64_t size, uint8_t *buf)
{
	uint64_t sector = r3_align_down(size, BTRFS_SECTOR), old = r->size;
	bool is_inline, data = false;
	int err = btrfs_is_inline(fs, &r->node, &is_inline);

	if (!err && is_inline && size <= BTRFS_INLINE_MAX)
		return resize_inline(fs, r, size, buf);
	r->from = r->to = sector;
	r->size = size;
	if (!err && is_inline) {
		/* longer than it may be when it is not packed */
		err = btrfs_keep_sector(r, 0, r3_min(size, BTRFS_SECTOR));
		r->from = 0;
		r->to = BTRFS_SECTOR;
		return err;
	}
	if (err || size > old) {
		r->from = r->to = btrfs_sectors(size);
		return err;
	}
	r->to = UINT64_MAX;
	if (size != sector && size < old)
		err = has_data(r, sector, &data);
	if (!err && data)
		err = btrfs_keep_sector(r, sector, size - sector);
	else if (!err)
		r->from = btrfs_sectors(size);
	return err;
}

/* All from @from on goes; the last step sets the size. */
static int truncate_step(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 uint64_t size, uint64_t from, bool last)
{
	uint8_t buf[BTRFS_INLINE_MAX];
	struct btrfs_replace r;
	int err = btrfs_replace_begin(&r, fs, in, 1, BTRFS_DROP_MAX + 1,
				      BTRFS_SECTOR, BTRFS_FREES);

	if (err)
		return err;
	if (size > r.size)
		err = btrfs_quota_reserve(fs, in.subvol,
					  btrfs_meta_bytes(1, 0));
	if (err)
		return btrfs_replace_cancel(&r, err);
	if (last) {
		err = prepare(fs, &r, size, buf);
	} else {
		r.from = from;
		r.to = UINT64_MAX;
		r.size = r3_min(r.size, from);
	}
	return err ? btrfs_replace_cancel(&r, err) : btrfs_replace_end(&r);
}

static int truncate_once(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 uint64_t size)
{
	uint64_t end = btrfs_sectors(size), from = end;
	struct r3_btrfs_stat st;
	int err;

	err = r3_btrfs_stat(fs, in, &st);
	if (!err && size > (uint64_t)st.st.st_size)
		err = btrfs_make_way(fs, in, end);
	do {
		if (!err && size <= (uint64_t)st.st.st_size)
			err = step_start(fs, in, end, &from);
		if (!err)
			err = truncate_step(fs, in, size, from, from == end);
	} while (!err && from != end);
	return err;
}

int r3_btrfs_truncate(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t size)
{
	int err;

	if (size > BTRFS_FILE_MAX)
		return btrfs_fail(fs, -EFBIG, "a file can't be that long");
	do {
		err = truncate_once(fs, in, size);
	} while (btrfs_replace_again(fs, err));
	return err;
}
