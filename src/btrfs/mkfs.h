/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mkfs.h - what the files that make an image share
 *
 *	mkfs_scan   the source directory, in memory: inodes and names
 *	mkfs_data   file data, compressed by threads, written in order
 *	mkfs_fs     the items of subvolumes
 *	mkfs_meta   the trees that describe the others; the super block
 *	mkfs_layout the last of them, which describe themselves
 *	mkfs_space  chunks, addresses, writing in large pieces
 *	mkfs_tree   a tree from items that come in order
 */
#ifndef BTRFS_MKFS_H
#define BTRFS_MKFS_H

#include "priv.h"
#include "ring3/vec.h"

enum { MKFS_GENERATION = 1, MKFS_STAGE = 1 << 20, MKFS_CHUNKS_MAX = 4096,
       MKFS_INLINE_MAX = 2048 };

/* ---- source ---------------------------------------------------------------*/

#define MKFS_NONE UINT32_MAX

struct mkfs_inode {
	uint32_t mode, uid, gid, nlink;
	uint64_t size, rdev, nbytes, dir_size;
	struct timespec atime, mtime, ctime;
	uint32_t first_link;  /* its names, MKFS_NONE: the root directory */
	uint32_t first_entry; /* a directory's names: entries to + count */
	uint32_t entry_count;
	uint32_t first_extent, extent_count;
	size_t xattrs;	      /* offset in text */
	uint32_t xattrs_len;  /* {le16 name, le16 value, name, value}... */
	size_t inline_at;     /* offset in text, of inline data */
	uint32_t inline_len;
	bool is_inline, holes;
};

struct mkfs_link { /* a name */
	uint32_t parent, child; /* inodes of one subvolume */
	uint32_t next;		/* of the same child */
	uint32_t subvol;	/* index; the entry leads there if not 0 */
	uint32_t index;		/* DIR_INDEX */
	uint16_t len;
	size_t name; /* offset in text */
};

struct mkfs_extent {
	uint64_t start, len; /* in the file; whole sectors */
	uint64_t logical, disk_len;
	uint8_t compression;
};

struct mkfs_subvol {
	uint64_t id;
	uint32_t parent, link; /* where its entry is: subvol index, link */
	char *path;	       /* from rootdir; "" for the top */
	bool readonly, make_default;
	uint8_t uuid[BTRFS_UUID_SIZE];
	VEC(struct mkfs_inode) inodes; /* number 256 + index */
	VEC(struct mkfs_link) links;   /* a directory's lie together */
	VEC(struct mkfs_extent) extents;
	struct btrfs_root root;
	uint64_t bytes_used;
};

/* ---- target ---------------------------------------------------------------*/

struct mkfs_chunk {
	uint64_t logical, length, type, physical[2], used;
	uint64_t next; /* first logical address not given away */
	unsigned copies;
};

/* Writing that comes in order, in large pieces. */
struct mkfs_stage {
	uint8_t *buf; /* MKFS_STAGE */
	uint64_t logical;
	size_t len;
};

struct mkfs_block {
	uint64_t bytenr, owner;
	uint8_t level;
};

struct mkfs_data_ref { /* a data extent and its one reference */
	uint64_t bytenr, len, root, ino, off;
};

struct mkfs_csums { /* of sectors that follow each other */
	uint64_t logical;
	uint64_t count;
	size_t at; /* in csum_bytes */
};

struct mkfs {
	const struct r3_btrfs_mkfs_options *opts;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why *why;
	struct r3_btrfs_mkfs_result res;
	uint32_t nodesize;
	enum btrfs_csum_type csum_type;
	unsigned csum_size;
	struct timespec now;
	uint8_t fsid[16], chunk_tree_uuid[16], dev_uuid[16];
	int root_fd;
	uint64_t total_bytes; /* to copy, for the progress */

	VEC(struct mkfs_subvol) subvols; /* 0: the top */
	VEC(char) text;			 /* names, xattrs, inline data */

	VEC(struct mkfs_chunk) chunks;
	uint64_t next_logical, next_physical, limit; /* limit 0: grows */
	uint32_t current[3]; /* chunk to allocate from: data, system, meta */
	struct mkfs_stage data, meta;
	VEC(struct mkfs_block) blocks; /* every tree block, by bytenr */
	VEC(struct mkfs_data_ref) refs;
	VEC(struct mkfs_csums) csums;
	VEC(uint8_t) csum_bytes;
	uint64_t written_data;
	bool dry; /* blocks get addresses but are not written */

	struct btrfs_root csum_root, uuid_root, reloc_root, dev_root,
		chunk_root, root_root, extent_root, free_root, group_root;
};

int mkfs_fail(struct mkfs *m, int err, const char *fmt, ...) R3_PRINTF(3, 4);
/* Likewise of what the device said to a write or a flush. */
int mkfs_write_fail(struct mkfs *m, int err);

/* ---- space */
enum mkfs_kind { MKFS_DATA, MKFS_SYSTEM, MKFS_METADATA };
/* @want: how much is coming, so that a chunk is not smaller than needed. */
int mkfs_alloc(struct mkfs *m, enum mkfs_kind kind, uint64_t len,
	       uint64_t want, uint64_t *logical);
/* A metadata chunk in which @bytes fit without another one. */
int mkfs_reserve(struct mkfs *m, uint64_t bytes);
int mkfs_write(struct mkfs *m, struct mkfs_stage *s, uint64_t logical,
	       const void *bytes, size_t len);
/* Room for @len bytes that will be written at @logical. */
int mkfs_stage_room(struct mkfs *m, struct mkfs_stage *s, uint64_t logical,
		    size_t len, uint8_t **out);
int mkfs_flush(struct mkfs *m, struct mkfs_stage *s);
struct mkfs_chunk *mkfs_chunk_of(struct mkfs *m, uint64_t logical);

/* ---- trees */
struct mkfs_level {
	uint8_t *buf;
	uint32_t nritems, data_end;
	struct btrfs_key first;
};

struct mkfs_tree {
	struct mkfs *m;
	uint64_t id;
	enum mkfs_kind kind;
	struct mkfs_level level[BTRFS_LEVELS_MAX];
	unsigned top;
	uint64_t blocks;
	int err; /* sticky */
};

void mkfs_tree_begin(struct mkfs_tree *t, struct mkfs *m, uint64_t id);
/* The item's data, to be filled; keys ascend.  NULL after a failure. */
void *mkfs_item(struct mkfs_tree *t, struct btrfs_key key, size_t size);
int mkfs_tree_end(struct mkfs_tree *t, struct btrfs_root *root);
static inline uint32_t mkfs_item_max(const struct mkfs *m)
{
	return m->nodesize - (uint32_t)(sizeof(struct btrfs_header) +
					sizeof(struct btrfs_item));
}

/* ---- parts, in the order in which they run */
int mkfs_scan(struct mkfs *m);
int mkfs_copy_data(struct mkfs *m);
int mkfs_fs_trees(struct mkfs *m);
int mkfs_meta_trees(struct mkfs *m);
int mkfs_super(struct mkfs *m);

/* ---- for mkfs_meta_trees() */
int mkfs_root_tree(struct mkfs *m);
/* An upper bound of the bytes that the last trees take, with room to settle;
 * to be reserved before, as no chunk may come while they do. */
uint64_t mkfs_last_trees_bound(const struct mkfs *m);
/* Root, free space, block group and extent tree: no block may come after. */
int mkfs_last_trees(struct mkfs *m);

/* compression (compress.c): 0 when the result is no smaller than @room */
struct btrfs_packer;
struct btrfs_packer *btrfs_packer_new(unsigned type, int level);
void btrfs_packer_free(struct btrfs_packer *p);
size_t btrfs_pack(struct btrfs_packer *p, const uint8_t *in, size_t len,
		  uint8_t *out, size_t room);

#endif
