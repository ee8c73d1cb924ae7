/* SPDX-License-Identifier: GPL-2.0-or-later */
/* subvol.h - what the files about subvolumes share */
#ifndef BTRFS_SUBVOL_H
#define BTRFS_SUBVOL_H

#include "trans.h"

/* Where a new subvolume is to appear. */
struct subvol_place {
	struct btrfs_node dir;
	const char *name;
	size_t len;
};

/* subvol.c */
/* Looks only: is there a directory, and the name free in it? */
int subvol_place_find(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		      const char *name, size_t len, struct subvol_place *out);
/* The entry, and references from the parent and back. */
int subvol_place_put(struct r3_btrfs *fs, struct subvol_place *place,
		     struct btrfs_key root_key);
/* A living subvolume's tree; -ENOENT with a text. */
int subvol_tree(struct r3_btrfs *fs, uint64_t id, struct btrfs_tree **out);
/* Are the groups there that a new one shall be in?  -ENOENT, -ENOTCONN. */
int subvol_may_inherit(struct r3_btrfs *fs,
		       const struct r3_btrfs_inherit *inherit);
/* A tree with a root directory, owned as @parent is, and its ROOT_ITEM. */
int subvol_tree_new(struct r3_btrfs *fs, const struct btrfs_inode_item *parent,
		    uint64_t id, struct btrfs_tree **out);
/* What a receiver notes; the subvolume is read-only then. */
int subvol_set_received(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const uint8_t *uuid, uint64_t stransid);
/* A number that no subvolume has had since the volume was opened. */
int subvol_next_id(struct r3_btrfs *fs, uint64_t *out);
/* Before one goes for good, whose number might be the largest. */
int subvol_ids_known(struct r3_btrfs *fs);

/* snapshot.c: the copy of a tree and of its ROOT_ITEM. */
int subvol_tree_copy(struct r3_btrfs *fs, struct btrfs_tree *source,
		     uint64_t id, bool readonly, struct btrfs_tree **out);

/* drop_tree.c */
/**
 * subvol_drop_step() - give back a part of a dead subvolume's tree
 * @tree:   its ROOT_ITEM counts no reference
 * @blocks: tree blocks to look at, about; counted down
 * @done:   nothing is left; the caller removes what says that it was
 *
 * Within an operation.  How far it went is in the ROOT_ITEM, and, for who goes
 * on in this process, in fs->drop.
 */
int subvol_drop_step(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     unsigned *blocks, bool *done);
/* The path that is kept in memory; also when the volume is closed. */
void subvol_drop_forget(struct r3_btrfs *fs);

/* uuid.c; a uuid of zeros is none, and never in the tree. */
bool btrfs_uuid_none(const uint8_t *uuid);
int btrfs_uuid_add(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		   uint64_t id);
int btrfs_uuid_remove(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		      uint64_t id);

#endif
