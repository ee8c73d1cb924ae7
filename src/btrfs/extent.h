/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extent.h - a file's extents, for those that change them
 *
 *	write.c		new data, packed or plain
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

#endif
