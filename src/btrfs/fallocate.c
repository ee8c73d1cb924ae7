// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fallocate.c - preallocation, holes, zeros
 *
 * A range goes in steps, each an operation.  Sectors that a hole or zeros cover
 * only in part are written.
 */
#include <fcntl.h>

#include "extent.h"

/* Zeros from @off to @end, within one sector; only where there is data. */
static int zero_part(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     uint64_t off, uint64_t end, uint64_t size)
{
	static const uint8_t zeros[BTRFS_SECTOR];
	struct btrfs_tree *tree;
	struct btrfs_fx x;
	int err;

	end = r3_min(end, size);
	if (off >= end)
		return 0;
	err = btrfs_tree_get(fs, in.subvol, &tree);
	if (!err)
		err = btrfs_fx_find(fs, tree, in.ino, off, &x);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (x.start > off || x.type == BTRFS_FILE_PREALLOC ||
	    (x.type == BTRFS_FILE_REG && !x.logical))
		return 0;
	return r3_btrfs_write(fs, in, off, zeros, end - off);
}

/* The parts of sectors at both ends; *from, *to: the whole ones between. */
static int zero_ends(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     uint64_t off, uint64_t end, uint64_t size, uint64_t *from,
		     uint64_t *to)
{
	int err;

	*from = btrfs_sectors(off);
	*to = r3_align_down(end, BTRFS_SECTOR);
	if (*from > *to) /* within one sector */
		return zero_part(fs, in, off, end, size);
	err = zero_part(fs, in, off, *from, size);
	return err ? err : zero_part(fs, in, *to, end, size);
}

static int punch_step(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t *from, uint64_t to)
{
	struct btrfs_replace r;
	uint64_t reach;
	unsigned drops;
	int err = btrfs_file_reach(fs, in, *from, to, BTRFS_DROP_MAX, &reach,
				   &drops);

	if (!err)
		err = btrfs_replace_begin(&r, fs, in, 1, drops, 0,
					  BTRFS_FREES);
	if (err)
		return err;
	r.from = *from;
	r.to = reach;
	err = btrfs_replace_end(&r);
	if (!err)
		*from = reach;
	return err;
}

static int punch(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		 uint64_t end, uint64_t size)
{
	uint64_t from, to;
	int err;

	if (end >= size) /* the last sector goes whole */
		end = btrfs_sectors(end);
	err = zero_ends(fs, in, off, end, size, &from, &to);
	while (!err && from < to) {
		do {
			err = punch_step(fs, in, &from, to);
		} while (btrfs_replace_again(fs, err));
	}
	return err;
}

/* ---- preallocation --------------------------------------------------------*/

struct run {
	uint64_t from, to;
	unsigned drops;
};

/* Is a piece to become preallocated space: a hole; for zeros, data too? */
static bool wants(const struct btrfs_fx *x, bool zero)
{
	if (x->type == BTRFS_FILE_PREALLOC)
		return false;
	return zero || (x->type == BTRFS_FILE_REG && !x->logical);
}

/* The first run from @from on that is to be preallocated; -ENOENT. */
static int find_run(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		    uint64_t from, uint64_t to, bool zero, struct run *out)
{
	struct btrfs_tree *tree;
	struct btrfs_cursor c;
	struct btrfs_fx x;
	int err = btrfs_tree_get(fs, in.subvol, &tree);

	if (err)
		return err;
	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_fx_seek(&c, in.ino, from, &x);
	while (!err && x.start <= from && !wants(&x, zero)) {
		from = btrfs_fx_end(&x);
		err = btrfs_fx_next(&c, &x);
	}
	*out = (struct run){ .from = from, .to = to };
	while (!err && x.start < to) {
		if (!wants(&x, zero) || out->drops == BTRFS_DROP_MAX) {
			out->to = x.start;
			break;
		}
		out->drops++;
		err = btrfs_fx_next(&c, &x);
	}
	btrfs_cursor_fini(&c);
	if (err && err != -ENOENT)
		return err;
	return out->from < out->to ? 0 : -ENOENT;
}

/* Space for the run in extents; what was not found is left for the next. */
static int reserve_run(struct btrfs_replace *r, uint64_t to)
{
	uint64_t at = r->from, logical, got;
	int err;

	to = r3_min(to, at + (uint64_t)BTRFS_PUT_MAX * BTRFS_EXTENT_MAX);
	err = btrfs_quota_reserve(r->fs, r->in.subvol, to - at);
	while (!err && at < to && r->count < BTRFS_PUT_MAX) {
		err = btrfs_alloc_data(r->fs, r3_min(to - at,
						     BTRFS_EXTENT_MAX),
				       BTRFS_SECTOR, &logical, &got);
		if (err)
			break;
		r->x[r->count++] = (struct btrfs_fx){
			.start = at, .len = got, .logical = logical,
			.disk_len = got, .ram_len = got,
			.type = BTRFS_FILE_PREALLOC };
		at += got;
	}
	r->to = at;
	return err == -ENOSPC && r->count ? 0 : err;
}

static int prealloc_step(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 const struct run *run, uint64_t size, uint64_t *done)
{
	struct btrfs_replace r;
	int err = btrfs_replace_begin(&r, fs, in, BTRFS_PUT_MAX, run->drops, 0,
				      BTRFS_USES);

	if (err)
		return err;
	r.from = run->from;
	err = reserve_run(&r, run->to);
	if (err)
		return btrfs_replace_cancel(&r, err);
	/* the size follows the space, for those who look meanwhile */
	r.size = r3_max(r.size, r3_min(size, r.to));
	*done = r.to;
	/* The kernel's mark: there may be preallocated space. */
	r.node.item.flags = to_le64(le64(r.node.item.flags) |
				    BTRFS_INODE_PREALLOC);
	return btrfs_replace_end(&r);
}

/* Is there space for all of it? */
static int room(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t from,
		uint64_t to, bool zero)
{
	uint64_t need = 0;
	struct run run;
	int err;

	while (!(err = find_run(fs, in, from, to, zero, &run))) {
		need += run.to - run.from;
		from = run.to;
	}
	if (err != -ENOENT)
		return err;
	if (need > btrfs_data_left(fs))
		return btrfs_fail(fs, -ENOSPC, "there is no space for %llu "
				  "bytes", (unsigned long long)need);
	return 0;
}

/* All of [from, to) has space, and reads as zeros when @zero. */
static int prealloc(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		    uint64_t from, uint64_t to, uint64_t size, bool zero)
{
	struct run run;
	int err;

	/* Again is each step, not the whole: that would free some sectors each
	 * time, which would be a reason for another time, for ever. */
	do {
		err = room(fs, in, from, to, zero);
	} while (btrfs_replace_again(fs, err));
	while (!err) {
		err = find_run(fs, in, from, to, zero, &run);
		if (err)
			break;
		do {
			err = prealloc_step(fs, in, &run, size, &from);
		} while (btrfs_replace_again(fs, err));
	}
	return err == -ENOENT ? 0 : err;
}

static int allocate(struct r3_btrfs *fs, struct r3_btrfs_inode in, int mode,
		    uint64_t off, uint64_t end, uint64_t size)
{
	uint64_t grow = mode & FALLOC_FL_KEEP_SIZE ? 0 : end, from, to;
	struct r3_btrfs_stat st;
	int err;

	/* also for space behind the end: nothing follows inline data */
	do {
		err = btrfs_make_way(fs, in, INT64_MAX);
	} while (btrfs_replace_again(fs, err));
	if (!err && mode & FALLOC_FL_ZERO_RANGE) {
		err = zero_ends(fs, in, off, end, size, &from, &to);
		if (!err && from < to)
			err = prealloc(fs, in, from, to, grow, true);
	}
	/* of what is left only holes, as the sectors at the ends of zeros */
	if (!err)
		err = prealloc(fs, in, r3_align_down(off, BTRFS_SECTOR),
			       btrfs_sectors(end), grow, false);
	if (!err)
		err = r3_btrfs_stat(fs, in, &st);
	if (!err && (uint64_t)st.st.st_size < grow)
		err = r3_btrfs_truncate(fs, in, grow);
	return err;
}

int r3_btrfs_fallocate(struct r3_btrfs *fs, struct r3_btrfs_inode in, int mode,
		       uint64_t off, uint64_t len)
{
	uint64_t end, size;
	struct r3_btrfs_stat st;
	int err;

	if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE &&
	    mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) &&
	    (mode & ~FALLOC_FL_KEEP_SIZE) != FALLOC_FL_ZERO_RANGE)
		return btrfs_fail(fs, -EOPNOTSUPP, "fallocate mode 0x%x",
				  (unsigned)mode);
	if (!len)
		return btrfs_fail(fs, -EINVAL, "no bytes to allocate");
	if (!r3_add(off, len, &end) || end > BTRFS_FILE_MAX)
		return btrfs_fail(fs, -EFBIG, "a file can't be that long");
	err = btrfs_file_writable(fs, in, &st);
	if (err)
		return err;
	size = (uint64_t)st.st.st_size;
	return mode & FALLOC_FL_PUNCH_HOLE
		       ? punch(fs, in, off, end, size)
		       : allocate(fs, in, mode, off, end, size);
}
