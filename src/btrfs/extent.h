/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extent.h - a file's extents, for those that change them
 *
 *	write.c		new data, plain or, with packed.c, packed
 *	truncate.c	the file's size
 *	fallocate.c	preallocation, holes, zeros
 *	clone.c		extents of another file; encoded.c: packed by another
 *	        |
 *	replace.c	[from, to) of a file becomes a list of extents
 *	drop.c		what was there goes
 */
#ifndef BTRFS_EXTENT_H
#define BTRFS_EXTENT_H

#include "trans.h"

/* A piece of a file: an EXTENT_DATA item.  All but inline ones are whole
 * sectors. */
struct btrfs_fx {
	uint64_t start, len;	/* in the file; an inline one: whole sectors */
	uint64_t logical;	/* 0: a hole, or inline */
	uint64_t disk_len, offset, ram_len, generation;
	uint8_t type, compression; /* BTRFS_FILE_*, BTRFS_COMPRESS_* */
};

static inline uint64_t btrfs_fx_end(const struct btrfs_fx *x)
{
	return x->start + x->len;
}

/* What a file's nbytes count of it. */
static inline uint64_t btrfs_fx_bytes(const struct btrfs_fx *x)
{
	if (x->type == BTRFS_FILE_INLINE)
		return x->ram_len;
	return x->logical ? x->len : 0;
}

/* Sectors that hold @n bytes of a file, as bytes; no file is that long that
 * this could wrap. */
static inline uint64_t btrfs_sectors(uint64_t n)
{
	return r3_align_down(n + BTRFS_SECTOR - 1, BTRFS_SECTOR);
}

struct btrfs_key btrfs_fx_key(uint64_t ino, uint64_t off);
/* The item on which the cursor stands. */
void btrfs_fx_get(const struct btrfs_cursor *c, struct btrfs_fx *out);
/* The piece that holds @off, or the next one; -ENOENT. */
int btrfs_fx_seek(struct btrfs_cursor *c, uint64_t ino, uint64_t off,
		  struct btrfs_fx *out);
int btrfs_fx_next(struct btrfs_cursor *c, struct btrfs_fx *out);
/* As btrfs_fx_seek(), for one look. */
int btrfs_fx_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		  uint64_t ino, uint64_t off, struct btrfs_fx *out);
/* An extent item in disk form. */
struct btrfs_file_extent_reg btrfs_fx_put(const struct btrfs_fx *x);
/* The reference that it holds. */
struct btrfs_ref btrfs_fx_ref(const struct btrfs_node *node,
			      const struct btrfs_fx *x);

/* ---- an operation on a file's data (replace.c) ----------------------------*/

enum {
	BTRFS_PUT_MAX = 32,	   /* extents that go in at once */
	BTRFS_DROP_MAX = 64,	   /* extents that go out at once */
	BTRFS_INLINE_MAX = 2048,   /* the kernel's max_inline */
	BTRFS_EXTENT_MAX = 128 << 20,
};
#define BTRFS_FILE_MAX INT64_MAX /* bytes; its last sector ends one behind */

/*
 * One operation: [from, to) of a file becomes the extents x, and holes where
 * there are none.  From begin to end, whatever can fail is done and x filled:
 * space, data on the device, checksums in memory.  End changes the trees, and
 * cancel leaves them as they are.
 */
struct btrfs_replace {
	struct r3_btrfs *fs;
	struct r3_btrfs_inode in;
	struct btrfs_node node;
	uint64_t from, to; /* whole sectors; to UINT64_MAX: all that follows */
	uint64_t size;	   /* the file's, afterwards; begin: as it is */
	struct btrfs_fx x[BTRFS_PUT_MAX]; /* by start; generation 0: new */
	unsigned count;
	/* instead of x: all of the file */
	const uint8_t *inline_data;
	size_t inline_len, inline_ram;
	uint8_t inline_compression;
	/* of what was written */
	struct {
		uint64_t logical;
		size_t sectors;
	} run[BTRFS_PUT_MAX];
	unsigned run_count;
	uint8_t *sums;
	size_t sum_count, sum_room; /* sectors */
};

/* May it be changed, and is it a regular file?  -EROFS, -EISDIR, -EINVAL.  For
 * calls that do not come to btrfs_replace_begin() in every case. */
int btrfs_file_writable(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			struct r3_btrfs_stat *st);
/* How far from @from up to @to an operation that drops at most @max extents
 * gets, in whole sectors, and how many it drops.  Before begin. */
int btrfs_file_reach(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     uint64_t from, uint64_t to, unsigned max, uint64_t *reach,
		     unsigned *count);
/* At most so many extents in and out, and @bytes that get checksums.  -EISDIR,
 * -EINVAL: no regular file.  After a failure there is nothing to cancel. */
int btrfs_replace_begin(struct btrfs_replace *r, struct r3_btrfs *fs,
			struct r3_btrfs_inode in, unsigned puts,
			unsigned drops, uint64_t bytes,
			enum btrfs_purpose purpose);
/* Returns @err. */
int btrfs_replace_cancel(struct btrfs_replace *r, int err);
int btrfs_replace_end(struct btrfs_replace *r);
/* After -ENOSPC or -EDQUOT: has a commit given back what was freed since the
 * last one, so that it is worth to try once more? */
bool btrfs_replace_again(struct r3_btrfs *fs, int err);
/* Whole sectors of data, at their place on the device. */
int btrfs_replace_write(struct btrfs_replace *r, uint64_t logical,
			const void *data, size_t len);

/* ---- new data (write.c) ---------------------------------------------------*/

/* Before a file becomes longer at @off, behind its last sector: that becomes an
 * extent of its own when it is inline, where nothing may follow, or packed,
 * where what follows the file's end in it may not be zeros. */
int btrfs_make_way(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off);
/* Is the file's data inline? */
int btrfs_is_inline(struct r3_btrfs *fs, const struct btrfs_node *node,
		    bool *out);
/* Before the first extent of that type. */
void btrfs_packer_feature(struct r3_btrfs *fs, unsigned type);
/* The sector at @at (@keep bytes of it, then zeros) into r->x. */
int btrfs_keep_sector(struct btrfs_replace *r, uint64_t at, size_t keep);

/* ---- packed (packed.c) ----------------------------------------------------*/

struct btrfs_packer_choice {
	unsigned type; /* 0: as it is */
	int level;
};
/* What the file's flags and property and the volume's options come to. */
int btrfs_packer_choose(struct r3_btrfs *fs, const struct btrfs_node *node,
			struct r3_btrfs_inode in,
			struct btrfs_packer_choice *out);
/* Pack @len bytes, 1 to BTRFS_COMPRESSED_MAX, into at most @room; *packed 0:
 * they don't get that small.  *out is the volume's, until the next call. */
int btrfs_pack_bytes(struct r3_btrfs *fs,
		     const struct btrfs_packer_choice *how,
		     const uint8_t *in, size_t len, size_t room,
		     uint8_t **out, size_t *packed);
void btrfs_packer_close(struct r3_btrfs *fs);

#endif
