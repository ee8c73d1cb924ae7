/* SPDX-License-Identifier: GPL-2.0-or-later */
/* edit.h - an open transaction: its trees, and blocks that may be changed */
#ifndef BTRFS_EDIT_H
#define BTRFS_EDIT_H

#include "trans.h"
#include "ring3/vec.h"

enum { BTRFS_TREES_HASH = 4096 };

struct btrfs_trans {
	bool open;     /* an operation is */
	bool edited;   /* and has changed something */
	int aborted; /* by what, negative; 0: it is not */
	struct r3_btrfs_why aborted_why;
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

/* ---- edit_block.c: within one block that may be changed ----------------- */

/* Where to cut a leaf that has not enough room. */
struct btrfs_cut {
	unsigned at; /* items from here on go to a new leaf */
	bool right;  /* and so does what needs the room */
};

/* Bytes for items to come, their places in the table among them. */
uint32_t btrfs_leaf_free(const struct r3_btrfs *fs,
			 const struct btrfs_block *leaf);
/* Make room in the table and the data for @n items of @size bytes each, from
 * @slot on; the leaf has it. */
void btrfs_leaf_open(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		     unsigned slot, const struct btrfs_key *keys, unsigned n,
		     uint32_t size);
void btrfs_leaf_remove(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		       unsigned slot, unsigned n);
/* The item's bytes stay at its start; the leaf has room. */
void btrfs_leaf_resize(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		       unsigned slot, uint32_t size);
/* The place that leaves both halves most alike.  @more: bytes that the item at
 * @slot, or a @fresh one before it, needs in addition. */
struct btrfs_cut btrfs_leaf_cut(const struct r3_btrfs *fs,
				const struct btrfs_block *leaf, unsigned slot,
				uint32_t more, bool fresh);
/* A pointer to @child comes to @slot; the node has room. */
void btrfs_ptr_insert(struct btrfs_block *node, unsigned slot,
		      struct btrfs_key key, const struct btrfs_block *child);
void btrfs_ptr_remove(struct btrfs_block *node, unsigned slot);
/* Items (pointers) of @from from @slot on come, as a copy, behind those of
 * @to, which has room. */
void btrfs_items_append(const struct r3_btrfs *fs, struct btrfs_block *to,
			const struct btrfs_block *from, unsigned slot);
void btrfs_ptrs_append(struct btrfs_block *to, const struct btrfs_block *from,
		       unsigned slot);
/* Would all of @from fit behind what is in @to?  Both of one level. */
bool btrfs_fits_in(const struct r3_btrfs *fs, const struct btrfs_block *from,
		   const struct btrfs_block *to);

/* Bytes for a leaf's items: table and data together. */
static inline uint32_t btrfs_leaf_room(const struct r3_btrfs *fs)
{
	return fs->nodesize - (uint32_t)sizeof(struct btrfs_header);
}

/* How many pointers a node can hold. */
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
