/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names.h - what the files that change inodes and names share */
#ifndef BTRFS_NAMES_H
#define BTRFS_NAMES_H

#include <sys/stat.h>

#include "trans.h"

enum {
	BTRFS_DIR_FIRST_INDEX = 2, /* 0 and 1 stand for "." and ".." */
	BTRFS_LINKS_MAX = 65535,
};

static inline bool btrfs_node_is_dir(const struct btrfs_node *n)
{
	return S_ISDIR(le32(n->item.mode));
}

static inline struct r3_btrfs_inode btrfs_node_in(const struct btrfs_node *n)
{
	return (struct r3_btrfs_inode){ n->tree->root->id, n->ino };
}

/* Of a tree that is known, whether or not users may change it.  -ENOENT. */
int btrfs_node_read(struct r3_btrfs *fs, struct btrfs_tree *tree,
		    uint64_t ino, struct btrfs_node *out);
int btrfs_node_get_dir(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       struct btrfs_node *out); /* -ENOTDIR */

static inline size_t btrfs_dir_item_size(const struct btrfs_dir_item *d)
{
	return sizeof(*d) + le16(d->name_len) + le16(d->data_len);
}

/* "NAME: what strerror() says"; returns @err. */
int btrfs_name_fail(struct r3_btrfs *fs, int err, const char *name,
		    size_t len);
/* As btrfs_name_find(), with a text when there is none. */
int btrfs_name_get(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		   uint64_t dir, const char *name, size_t len,
		   struct btrfs_entry *out);
/* A new name: -EEXIST, -EOVERFLOW, -EINVAL, -ENAMETOOLONG, -ENOENT (@dir has
 * been removed). */
int btrfs_name_may_add(struct r3_btrfs *fs, const struct btrfs_node *dir,
		       const char *name, size_t len);
/* Does a directory have no entries?  -ENOTEMPTY. */
int btrfs_dir_empty(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t ino);
/* Metadata that @items with @bytes of data in them take of a quota: leaves
 * are half full at worst. */
static inline uint64_t btrfs_meta_bytes(unsigned items, size_t bytes)
{
	return 2 * (items * sizeof(struct btrfs_item) + bytes);
}

/* An operation that takes @bytes of metadata in @subvol.  -EDQUOT. */
int btrfs_start_within_quota(struct r3_btrfs *fs, uint64_t subvol,
			     unsigned items, uint64_t bytes);

/* An entry that goes, and what it leads to; see orphan.c. */
struct btrfs_victim {
	struct btrfs_node node;
	bool inode;    /* else a stub, which is nothing but its entry */
	bool last;     /* no other name is left */
	bool used;     /* the caller says so: will be held */
	bool at_once;  /* few items, not held: goes with its name */
	unsigned items; /* that the operation changes on its account */
};

/* Look; not within an operation. */
int btrfs_victim_get(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     const struct btrfs_entry *entry,
		     struct btrfs_victim *out);
/* Take the name away, and the inode with its last name, or make it an
 * orphan. */
int btrfs_victim_unlink(struct r3_btrfs *fs, struct btrfs_node *dir,
			const char *name, size_t len,
			const struct btrfs_entry *entry,
			struct btrfs_victim *v);
/* After the operation: remove in steps what is too large for one. */
int btrfs_victim_finish(struct r3_btrfs *fs, const struct btrfs_victim *v);

bool btrfs_held(const struct r3_btrfs *fs, struct r3_btrfs_inode in);
/* Nobody holds @in any more: without a name, it goes. */
int btrfs_released(struct r3_btrfs *fs, struct r3_btrfs_inode in);

#endif
