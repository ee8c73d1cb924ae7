/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.h - what the files of the check share
 *
 *	check_extents  reads the extent tree: what is allocated, and who is said
 *		       to refer to it
 *	check_walk     reads every tree block once: who really refers to it,
 *		       and sums over the content of subvolumes
 *	check_fs       names what is wrong in a subvolume whose sums differ
 *	check_space    chunks, device, block groups, free space, checksums
 *	check_roots    subvolumes and their names
 *	check_quota    quota numbers (qcount.c counts)
 *	check_data     all data against its checksums
 *
 * Time is O(tree blocks + references), however many snapshots share them.
 */
#ifndef BTRFS_CHECK_H
#define BTRFS_CHECK_H

#include "priv.h"
#include "qcount.h"
#include "ring3/vec.h"

struct check_extent {
	uint64_t bytenr, len, refs, generation;
	bool data, full_backref;
	uint8_t level; /* of a tree block */
	uint32_t block; /* index in blocks, + 1 once the block was read */
};

/* One kind of reference to one extent, and how often. */
struct check_ref {
	uint64_t bytenr;
	uint64_t who;	   /* root, or parent block */
	uint64_t ino, off; /* of an EXTENT_DATA_REF */
	uint32_t count;
	uint8_t type; /* BTRFS_*_REF */
};

/*
 * Sums over the items of a subtree.  Each pair is equal in a sound subvolume.
 * The terms are hashes with a secret seed, so only equal sets of items give
 * equal sums.  Sums of subtrees add up, so a shared subtree is read once.
 */
struct check_sums {
	uint64_t by_item, by_index;	  /* names in DIR_ITEM, DIR_INDEX */
	uint64_t index_links, ref_links;  /* names in DIR_INDEX, INODE_REF */
	uint64_t inode_types, name_types; /* nlink x type, names x type */
	uint64_t inode_sizes, name_sizes; /* directories' sizes */
	uint64_t inode_bytes, extent_bytes; /* files' nbytes */
	uint64_t inodes, files;
	/* extents at the ends, to find overlaps between blocks */
	uint64_t first_ino, first_off, last_ino, last_end;
};

/* A tree block that was read. */
struct check_block {
	uint32_t extent; /* index */
	uint8_t level;
	uint64_t generation, owner;
	bool reloc; /* made by a balance, which may share what is newer */
	struct btrfs_key first, last;
	struct check_sums sums; /* of its whole subtree, in subvolumes */
};

struct check_group {
	uint64_t start, len, used, flags;
	uint64_t found; /* bytes of extents in it */
	bool has_chunk;
};

struct check_range {
	uint64_t start, end;
};

struct check {
	struct r3_btrfs *fs;
	const struct r3_btrfs_check_options *opts;
	struct r3_btrfs_check_result res;
	uint64_t seed;
	bool out_of_memory;
	unsigned detailed; /* subvolumes that were looked at closely */
	bool incomplete; /* some tree block could not be read */
	VEC(struct check_extent) extents; /* by bytenr */
	VEC(struct check_ref) said;	  /* by the extent tree */
	VEC(struct check_ref) found;	  /* by the walk */
	VEC(struct check_block) blocks;
	VEC(struct check_group) groups;	  /* by start */
	VEC(struct check_range) csums;	  /* merged, by start */
	VEC(uint64_t) dead;		  /* subvolumes being deleted */
	struct btrfs_qcount *qcount;	  /* NULL: quota is off */
	struct check_data *data;	  /* NULL: not asked for */
};

void check_problem(struct check *c, const char *fmt, ...) R3_PRINTF(2, 3);
/* The extent that begins at @bytenr, or NULL. */
struct check_extent *check_extent_at(struct check *c, uint64_t bytenr);
/* The first extent that ends after @bytenr; its index, or the count. */
size_t check_extent_after(const struct check *c, uint64_t bytenr);
/* Are all of these bytes in the ranges of checksums? */
bool check_has_csums(const struct check *c, uint64_t start, uint64_t end);

int check_load_extents(struct check *c);
void check_compare_refs(struct check *c);
int check_walk_trees(struct check *c);
int check_subvolume(struct check *c, const struct btrfs_root *root);
int check_load_csums(struct check *c);
int check_space(struct check *c);
int check_roots(struct check *c);
int check_quota(struct check *c);
/* Data is read while the trees are checked; then what came of it. */
int check_data_begin(struct check *c);
int check_data(struct check *c);
void check_data_end(struct check *c);

#endif
