// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone.c - files that share extents
 *
 * The pieces of the source's range are looked up, then put into the other file
 * with a reference each; preallocated space is shared as such, and holes stay
 * holes.  Inline data can't be shared: it is copied.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "extent.h"

struct clone {
	struct r3_btrfs_inode from, to;
	uint64_t from_off, to_off, len; /* of the source, as far as it goes */
	uint64_t size;			/* the source's */
};

static uint64_t flags_sum(const struct r3_btrfs_stat *st)
{
	return st->flags & BTRFS_INODE_NODATASUM;
}

static int check_kind(struct r3_btrfs *fs, const struct r3_btrfs_stat *a,
		      const struct r3_btrfs_stat *b)
{
	if (S_ISDIR(a->st.st_mode))
		return btrfs_fail(fs, -EISDIR, "it is a directory");
	if (!S_ISREG(a->st.st_mode))
		return btrfs_fail(fs, -EINVAL, "it is no regular file");
	if (flags_sum(a) != flags_sum(b))
		return btrfs_fail(fs, -EINVAL, "one of the files is without "
				  "checksums (NODATASUM), they can't share "
				  "data");
	return 0;
}

/* The rules of FICLONERANGE, ioctl_ficlonerange(2). */
static int check_range(struct r3_btrfs *fs, const struct clone *c,
		       uint64_t to_size)
{
	uint64_t from_end, to_end;
	bool same = c->from.subvol == c->to.subvol &&
		    c->from.ino == c->to.ino;

	if (!r3_add(c->from_off, c->len, &from_end) || from_end > c->size)
		return btrfs_fail(fs, -EINVAL, "the source ends at %llu",
				  (unsigned long long)c->size);
	if (!r3_add(c->to_off, c->len, &to_end) ||
	    to_end > BTRFS_FILE_MAX)
		return btrfs_fail(fs, -EFBIG, "a file can't be that long");
	if (!r3_is_aligned(c->from_off | c->to_off, BTRFS_SECTOR))
		return btrfs_fail(fs, -EINVAL, "offsets must be multiples of "
				  "%u", BTRFS_SECTOR);
	if (!r3_is_aligned(c->len, BTRFS_SECTOR) &&
	    (from_end != c->size || to_end < to_size))
		return btrfs_fail(fs, -EINVAL, "the length must be a multiple "
				  "of %u, or reach both files' ends",
				  BTRFS_SECTOR);
	if (same && c->from_off < to_end && c->to_off < from_end)
		return btrfs_fail(fs, -EINVAL, "the ranges overlap");
	return 0;
}

/* ---- inline data ----------------------------------------------------------*/

static int copy_inline(struct r3_btrfs *fs, const struct clone *c)
{
	uint8_t *buf = malloc(BTRFS_SECTOR);
	size_t got;
	int err = -ENOMEM;

	if (buf)
		err = r3_btrfs_read(fs, c->from, 0, buf,
				    r3_min(c->len, BTRFS_SECTOR), &got);
	if (!err && got)
		err = r3_btrfs_write(fs, c->to, c->to_off, buf, got);
	free(buf);
	return err;
}

/* ---- shared extents -------------------------------------------------------*/

/* As much of a piece as lies in [from, to), moved by @shift (which may be less
 * than 0, as it wraps). */
static struct btrfs_fx part_of(const struct btrfs_fx *x, uint64_t from,
			       uint64_t to, uint64_t shift)
{
	struct btrfs_fx p = *x;
	uint64_t start = r3_max(x->start, from);

	p.len = r3_min(btrfs_fx_end(x), to) - start;
	p.offset += start - x->start;
	p.start = start + shift;
	return p;
}

/* The source's pieces in [from, *to) into r->x, without holes; *to: how far
 * those reach that fit. */
static int take_pieces(struct btrfs_replace *r, const struct clone *c,
		       uint64_t from, uint64_t *to)
{
	struct btrfs_tree *tree;
	struct btrfs_cursor cur;
	struct btrfs_fx x;
	int err = btrfs_tree_get(r->fs, c->from.subvol, &tree);

	if (err)
		return err;
	btrfs_cursor_init(&cur, r->fs, tree->root);
	err = btrfs_fx_seek(&cur, c->from.ino, from, &x);
	for (; !err && x.start < *to; err = btrfs_fx_next(&cur, &x)) {
		if (!x.logical)
			continue;
		if (r->count == BTRFS_PUT_MAX) {
			*to = r3_max(x.start, from);
			break;
		}
		r->x[r->count++] = part_of(&x, from, *to,
					   c->to_off - c->from_off);
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}

static void mark(struct btrfs_replace *r)
{
	bool prealloc = false;

	for (unsigned i = 0; i < r->count; i++)
		prealloc |= r->x[i].type == BTRFS_FILE_PREALLOC;
	if (prealloc)
		r->node.item.flags = to_le64(le64(r->node.item.flags) |
					     BTRFS_INODE_PREALLOC);
}

/* What another subvolume refers to from now on, at most. */
static uint64_t disk_bytes(const struct btrfs_replace *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->count; i++)
		sum += r->x[i].disk_len;
	return sum;
}

/* Share from *@at of the source on, up to @end, and say how far it went. */
static int share_step(struct r3_btrfs *fs, const struct clone *c, uint64_t *at,
		      uint64_t end)
{
	uint64_t shift = c->to_off - c->from_off, to, reach;
	struct btrfs_replace r;
	unsigned drops;
	int err = btrfs_file_reach(fs, c->to, *at + shift, end + shift,
				   BTRFS_DROP_MAX, &reach, &drops);

	if (!err)
		err = btrfs_replace_begin(&r, fs, c->to, BTRFS_PUT_MAX, drops,
					  0, BTRFS_USES);
	if (err)
		return err;
	to = reach - shift;
	err = take_pieces(&r, c, *at, &to);
	if (!err && c->to.subvol != c->from.subvol)
		err = btrfs_quota_reserve(fs, c->to.subvol, disk_bytes(&r));
	if (err)
		return btrfs_replace_cancel(&r, err);
	r.from = *at + shift;
	r.to = to + shift;
	r.size = r3_max(r.size, r3_min(to, c->from_off + c->len) + shift);
	mark(&r);
	*at = to;
	return btrfs_replace_end(&r);
}

static int share(struct r3_btrfs *fs, const struct clone *c)
{
	uint64_t at = c->from_off, end = btrfs_sectors(c->from_off + c->len);
	int err = btrfs_make_way(fs, c->to, c->to_off);

	while (!err && at < end) {
		do {
			err = share_step(fs, c, &at, end);
		} while (btrfs_replace_again(fs, err));
	}
	return err;
}

static int source_is_inline(struct r3_btrfs *fs, const struct clone *c,
			    bool *out)
{
	struct btrfs_tree *tree;
	struct btrfs_fx x;
	int err = btrfs_tree_get(fs, c->from.subvol, &tree);

	*out = false;
	if (!err)
		err = btrfs_fx_find(fs, tree, c->from.ino, 0, &x);
	if (!err)
		*out = x.type == BTRFS_FILE_INLINE;
	return err == -ENOENT ? 0 : err;
}

int r3_btrfs_clone(struct r3_btrfs *fs, struct r3_btrfs_inode from,
		   uint64_t from_off, uint64_t len, struct r3_btrfs_inode to,
		   uint64_t to_off)
{
	struct clone c = { from, to, from_off, to_off, len, 0 };
	struct r3_btrfs_stat a, b;
	bool is_inline;
	int err = r3_btrfs_stat(fs, from, &a);

	if (!err)
		err = btrfs_file_writable(fs, to, &b);
	if (!err)
		err = check_kind(fs, &a, &b);
	if (err)
		return err;
	c.size = (uint64_t)a.st.st_size;
	if (!len && from_off < c.size)
		c.len = c.size - from_off;
	err = check_range(fs, &c, (uint64_t)b.st.st_size);
	if (err || !c.len)
		return err;
	err = source_is_inline(fs, &c, &is_inline);
	if (!err && is_inline && !from_off) {
		err = copy_inline(fs, &c);
		/* an old kernel's file may go on after its inline data */
		if (err || c.len <= BTRFS_SECTOR)
			return err;
		c.from_off += BTRFS_SECTOR;
		c.to_off += BTRFS_SECTOR;
		c.len -= BTRFS_SECTOR;
	}
	return err ? err : share(fs, &c);
}
