/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h - walk the nodes of a tree, not only its items
 *
 * A walk stands on a pointer of a node or on an item of a leaf, and either goes
 * down or over it; so whole subtrees can be left out.
 */
#ifndef BTRFS_WALK_H
#define BTRFS_WALK_H

#include "priv.h"

struct btrfs_walk {
	struct btrfs_cursor c; /* path and slots; its item is not filled in */
	unsigned level;
	bool end;
};

/* On the first thing in the root block.  btrfs_walk_fini() in every case. */
int btrfs_walk_init(struct btrfs_walk *w, struct r3_btrfs *fs,
		    const struct btrfs_root *root);
void btrfs_walk_fini(struct btrfs_walk *w);
int btrfs_walk_down(struct btrfs_walk *w); /* level > 0 */
void btrfs_walk_over(struct btrfs_walk *w);

static inline struct btrfs_key btrfs_walk_key(const struct btrfs_walk *w)
{
	return btrfs_block_key(w->c.path[w->level], w->c.slot[w->level]);
}

static inline const struct btrfs_key_ptr *btrfs_walk_ptr(
	const struct btrfs_walk *w)
{
	return btrfs_ptr_at(w->c.path[w->level], w->c.slot[w->level]);
}

/* An item that is not the same in both trees; NULL where it is not. */
struct btrfs_pair {
	struct btrfs_key key;
	const void *old, *new;
	uint32_t old_size, new_size;
};

/* Every item in which two trees differ, by key, until @each returns other than
 * 0; returns that.  Blocks that both trees share are not read. */
int btrfs_compare(struct r3_btrfs *fs, const struct btrfs_root *old,
		  const struct btrfs_root *new,
		  int (*each)(void *arg, const struct btrfs_pair *pair),
		  void *arg);

#endif
