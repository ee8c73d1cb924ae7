/* SPDX-License-Identifier: GPL-2.0-or-later */
/* edit.h - what trans.c, edit.c and cow.c share */
#ifndef BTRFS_EDIT_H
#define BTRFS_EDIT_H

#include "trans.h"
#include "vec.h"

enum { BTRFS_TREES_HASH = 4096 };

struct btrfs_trans {
	bool open;     /* an operation is */
	bool edited;   /* and has changed something */
	bool aborted;
	bool super_changed; /* what only the super block says */
	uint64_t born; /* counts new blocks and snapshots */
	unsigned level_max; /* of all trees seen so far */
	uint8_t chunk_tree_uuid[BTRFS_UUID_SIZE];
	struct btrfs_super committed; /* as on the device */
	struct btrfs_tree *trees[BTRFS_TREES_HASH];
	VEC(struct btrfs_tree *) changed;
};

/* commit.c: everything onto the device. */
int btrfs_commit(struct r3_btrfs *fs);

/* trees.c */
void btrfs_trees_free(struct r3_btrfs *fs);
/* Root items of trees that have changed since theirs was written. */
int btrfs_trees_write(struct r3_btrfs *fs, bool *again);
int btrfs_tree_write(struct r3_btrfs *fs, struct btrfs_tree *tree, bool fresh);
void btrfs_trees_committed(struct r3_btrfs *fs);
/* Back to what is on the device. */
void btrfs_trees_revert(struct r3_btrfs *fs);
/* The tree's root block is now this one. */
int btrfs_tree_set_root(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const struct btrfs_block *b);

/* The block to change instead of @b, which hangs in @parent's @slot, or is the
 * root (NULL); often @b itself. */
int btrfs_cow(struct r3_btrfs *fs, struct btrfs_tree *tree,
	      struct btrfs_block *b, struct btrfs_block *parent, unsigned slot,
	      struct btrfs_block **out);
/* A new block of @tree with its reference. */
int btrfs_block_new_ref(struct r3_btrfs *fs, struct btrfs_tree *tree,
			uint8_t level, struct btrfs_block **out);
/* Add or drop the references of all that @b refers to: those of its owner, or
 * @shared ones, of the block itself. */
int btrfs_mod_refs(struct r3_btrfs *fs, const struct btrfs_block *b,
		   bool shared,
		   int (*mod)(struct r3_btrfs *fs,
			      const struct btrfs_ref *ref));
/* A copy of a root block, for another tree. */
int btrfs_cow_root_copy(struct r3_btrfs *fs, struct btrfs_tree *to,
			const struct btrfs_block *from,
			struct btrfs_block **out);
/* The root block of a tree may be changed, and with it the tree is. */
int btrfs_tree_root_cow(struct r3_btrfs *fs, struct btrfs_tree *tree);

static inline unsigned btrfs_node_room(const struct r3_btrfs *fs)
{
	return (unsigned)((fs->nodesize - sizeof(struct btrfs_header)) /
			  sizeof(struct btrfs_key_ptr));
}

static inline struct btrfs_key_ptr *btrfs_ptr(struct btrfs_block *b,
					      unsigned slot)
{
	return (struct btrfs_key_ptr *)(b->data +
					sizeof(struct btrfs_header)) + slot;
}

static inline struct btrfs_item *btrfs_item(struct btrfs_block *b,
					    unsigned slot)
{
	return (struct btrfs_item *)(b->data + sizeof(struct btrfs_header)) +
	       slot;
}

#endif
