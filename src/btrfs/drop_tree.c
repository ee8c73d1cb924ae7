// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drop_tree.c - a dead subvolume's tree is given back, a part at a time
 *
 * The walk goes down from the root, in the order of keys, and stands on one
 * block at a time.
 *
 *	DROP	the block is this tree's alone: its children first, then its
 *		references to data, then itself
 *	KEEP	the block has other users, who stay: this tree's reference
 *		goes, and nothing below is touched
 *	SHARE	as KEEP, but the references of the block and of what lies below
 *		are keyed by this tree, which soon nobody can find any more:
 *		first they become shared ones, of the block itself, and
 *		it is marked with FULL_BACKREF.  So do the subtree's blocks that
 *		this tree made; others' are keyed by their makers.
 *
 * These are the kernel's rules (fs/btrfs/extent-tree.c: walk_down_proc(),
 * do_walk_down(), walk_up_proc()), and it can go on where this stopped, and the
 * other way round: drop_level and drop_progress in the ROOT_ITEM name the node,
 * whose users are this tree alone, and the first of its children that was not
 * dropped.  SHARE may be interrupted too; the marks tell what it has done.
 *
 * Nothing changes a dead tree's blocks, so between operations the path is kept
 * as addresses.
 */
#include <stdlib.h>

#include "edit.h"
#include "subvol.h"

struct frame {
	struct btrfs_expect expect;
	uint64_t bytenr;
	uint64_t refs, flags; /* as they were when the walk came here */
	unsigned slot;	      /* the child where the walk is or goes next */
	unsigned nritems;     /* once the block was @seen */
	bool seen;
};

struct btrfs_drop {
	uint64_t id;
	unsigned level, top;
	int share; /* the level where SHARE began, or -1 */
	struct frame frames[BTRFS_LEVELS_MAX];
};

enum { DROP_NONE = -1 };

static bool is_full(const struct frame *f)
{
	return f->flags & BTRFS_EXTENT_FLAG_FULL_BACKREF;
}

static struct frame *top_frame(struct btrfs_drop *d)
{
	return &d->frames[d->level];
}

/* What keeps the block below @level: 0, the tree; else the block above it. */
static uint64_t parent_of(const struct btrfs_drop *d, unsigned level)
{
	const struct frame *up = &d->frames[level < d->top ? level + 1 : level];

	return is_full(up) ? up->bytenr : 0;
}

static int make_shared(struct r3_btrfs *fs, const struct btrfs_block *b,
		       struct frame *f)
{
	int err = btrfs_mod_refs(fs, b, true, btrfs_ref_add);

	if (!err)
		err = btrfs_mod_refs(fs, b, false, btrfs_ref_drop);
	if (!err)
		err = btrfs_ref_make_full(fs, b->logical, b->level);
	f->flags |= BTRFS_EXTENT_FLAG_FULL_BACKREF;
	return err;
}

/* ---- the walk -------------------------------------------------------------*/

static int frame_fill(struct r3_btrfs *fs, struct frame *f, uint64_t bytenr,
		      const struct btrfs_expect *e)
{
	int err;

	*f = (struct frame){ .expect = *e, .bytenr = bytenr };
	err = btrfs_ref_lookup(fs, bytenr, (uint8_t)e->level, &f->refs,
			       &f->flags);
	if (!err && !f->refs)
		err = btrfs_fail(fs, -EUCLEAN, "tree %llu block %llu: the "
				 "extent tree counts too few references to it",
				 (unsigned long long)e->tree,
				 (unsigned long long)bytenr);
	return err;
}

/* The limit keeps subtrees apart, so that none is walked twice. */
static struct btrfs_expect child_expect(const struct btrfs_drop *d,
					const struct btrfs_block *b,
					unsigned slot)
{
	struct btrfs_expect e = d->frames[b->level].expect;

	e.generation = le64(btrfs_ptr_at(b, slot)->generation);
	e.level = b->level - 1;
	e.has_key = true;
	e.key = btrfs_block_key(b, slot);
	if (slot + 1 < b->nritems) {
		e.has_limit = true;
		e.limit = btrfs_block_key(b, slot + 1);
	}
	return e;
}

/* This tree's reference to a block that others keep. */
static int drop_kept(struct r3_btrfs *fs, const struct btrfs_drop *d,
		     uint64_t bytenr, const struct btrfs_expect *e)
{
	struct btrfs_ref ref = {
		.bytenr = bytenr,
		.len = fs->nodesize,
		.root = d->id,
		.parent = parent_of(d, (unsigned)e->level),
		.level = (uint8_t)e->level,
	};
	int err = btrfs_quota_subtree(fs, bytenr, e);

	return err ? err : btrfs_ref_drop(fs, &ref);
}

/* The child at the frame's slot: go down to it, or be done with it here. */
static int child(struct r3_btrfs *fs, struct btrfs_drop *d,
		 const struct btrfs_tree *tree, const struct btrfs_block *b)
{
	struct frame *f = top_frame(d), *below = f - 1;
	struct btrfs_expect e = child_expect(d, b, f->slot);
	uint64_t bytenr = le64(btrfs_ptr_at(b, f->slot)->blockptr);
	bool keyed = e.generation > tree->item_key.offset;
	int err;

	if (d->share >= 0 && !keyed) {
		f->slot++;
		return 0;
	}
	err = frame_fill(fs, below, bytenr, &e);
	if (err)
		return err;
	/* A node with the mark may be where SHARE was cut off. */
	if (!e.level && is_full(below))
		keyed = false;
	if (keyed || (d->share < 0 && below->refs == 1)) {
		if (d->share < 0 && below->refs > 1)
			d->share = e.level;
		d->level--;
		return 0;
	}
	f->slot++;
	return d->share >= 0 ? 0 : drop_kept(fs, d, bytenr, &e);
}

static void leave(struct btrfs_drop *d)
{
	d->level++;
	if (d->level <= d->top)
		top_frame(d)->slot++;
}

/* The first time in a block.  What another tree made and SHARE comes to is
 * keyed by that one, with all below. */
static int enter(struct r3_btrfs *fs, struct btrfs_drop *d,
		 const struct btrfs_block *b)
{
	struct frame *f = top_frame(d);

	f->seen = true;
	f->nritems = b->nritems;
	if (d->share < 0 && !is_full(f) && b->owner != d->id)
		return btrfs_fail(fs, -EUCLEAN, "tree %llu block %llu: its "
				  "only reference is keyed by another tree, "
				  "%llu", (unsigned long long)d->id,
				  (unsigned long long)b->logical,
				  (unsigned long long)b->owner);
	if (d->share < 0)
		return 0;
	if (b->owner != d->id)
		f->slot = b->nritems;
	else if (!is_full(f))
		return make_shared(fs, b, f);
	return 0;
}

/* SHARE is done with the block where it began.  The others may have gone
 * meanwhile. */
static int share_end(struct r3_btrfs *fs, struct btrfs_drop *d,
		     const struct btrfs_block *b)
{
	struct frame *f = top_frame(d);
	int err = btrfs_ref_lookup(fs, f->bytenr, b->level, &f->refs,
				   &f->flags);

	if (err)
		return err;
	d->share = DROP_NONE;
	if (f->refs == 1) {
		f->slot = 0;
		return 0;
	}
	err = drop_kept(fs, d, f->bytenr, &f->expect);
	leave(d);
	return err;
}

/* A block with nothing left below it. */
static int finish(struct r3_btrfs *fs, struct btrfs_drop *d,
		  struct btrfs_tree *tree, struct btrfs_block *b)
{
	int err = 0;

	if (d->share == (int)d->level)
		return share_end(fs, d, b);
	if (d->share < 0 && !b->level)
		err = btrfs_mod_refs(fs, b, is_full(top_frame(d)),
				     btrfs_ref_drop);
	if (!err && d->share < 0)
		err = btrfs_block_drop(fs, tree, b, parent_of(d, d->level));
	leave(d);
	return err;
}

static int one_step(struct r3_btrfs *fs, struct btrfs_drop *d,
		    struct btrfs_tree *tree)
{
	struct frame *f = top_frame(d);
	struct btrfs_block *b;
	int err = btrfs_block_get(fs, f->bytenr, &f->expect, &b);

	if (err)
		return err;
	if (!f->seen)
		err = enter(fs, d, b);
	if (!err && b->level && f->slot < b->nritems)
		err = child(fs, d, tree, b);
	else if (!err)
		err = finish(fs, d, tree, b);
	btrfs_block_put(b);
	return err;
}

/* ---- where it stands ------------------------------------------------------*/

static int root_frame(struct r3_btrfs *fs, struct btrfs_drop *d,
		      const struct btrfs_tree *tree)
{
	const struct btrfs_root *root = tree->root;
	struct btrfs_expect e = { .tree = d->id,
				  .generation = root->generation,
				  .level = root->level };

	d->share = DROP_NONE;
	d->level = d->top = root->level;
	return frame_fill(fs, top_frame(d), root->bytenr, &e);
}

/* Only this tree's own blocks are on the path. */
static int path_check(struct r3_btrfs *fs, const struct btrfs_drop *d)
{
	const struct frame *f = &d->frames[d->level];

	if (f->refs == 1)
		return 0;
	return btrfs_fail(fs, -EUCLEAN, "tree %llu block %llu: others use it, "
			  "where deleting the tree has come to",
			  (unsigned long long)d->id,
			  (unsigned long long)f->bytenr);
}

/* The slot on the way to @key; at the @last level the first that is not below
 * it. */
static unsigned slot_of(const struct btrfs_block *b, struct btrfs_key key,
			bool last)
{
	unsigned slot = 0;

	while (slot < b->nritems &&
	       btrfs_key_cmp(btrfs_block_key(b, slot), key) < 0)
		slot++;
	if (!last && slot && (slot == b->nritems ||
			      btrfs_key_cmp(btrfs_block_key(b, slot), key)))
		slot--;
	return slot;
}

/* In the node where the walk is: to the child on the way to @key. */
static int go_to(struct r3_btrfs *fs, struct btrfs_drop *d,
		 struct btrfs_key key, bool last)
{
	struct frame *f = top_frame(d);
	struct btrfs_expect e;
	struct btrfs_block *b;
	uint64_t bytenr = 0;
	int err = btrfs_block_get(fs, f->bytenr, &f->expect, &b);

	if (err)
		return err;
	f->seen = true;
	f->nritems = b->nritems;
	f->slot = slot_of(b, key, last);
	if (!last) {
		e = child_expect(d, b, f->slot);
		bytenr = le64(btrfs_ptr_at(b, f->slot)->blockptr);
	}
	btrfs_block_put(b);
	if (last)
		return 0;
	d->level--;
	err = frame_fill(fs, f - 1, bytenr, &e);
	return err ? err : path_check(fs, d);
}

/* Down to where the ROOT_ITEM says. */
static int resume(struct r3_btrfs *fs, struct btrfs_drop *d,
		  const struct btrfs_tree *tree)
{
	struct btrfs_key key = btrfs_key_get(&tree->item.drop_progress);
	unsigned to = tree->item.drop_level;
	int err = root_frame(fs, d, tree);

	if (!err)
		err = path_check(fs, d);
	if (err || !key.objectid)
		return err;
	if (!to || to > d->top)
		return btrfs_fail(fs, -EUCLEAN, "tree %llu: deleting it stands "
				  "at level %u of %u",
				  (unsigned long long)d->id, to, d->top);
	while (!err && d->level > to)
		err = go_to(fs, d, key, false);
	return err ? err : go_to(fs, d, key, true);
}

/* Nothing of the subtree that the ROOT_ITEM would name is dropped. */
static bool at_rest(struct btrfs_drop *d)
{
	const struct frame *f = top_frame(d);

	return d->share >= 0 || !d->level || !f->seen ||
	       f->slot < f->nritems;
}

static int save(struct r3_btrfs *fs, struct btrfs_drop *d,
		struct btrfs_tree *tree)
{
	unsigned level = d->share >= 0 ? (unsigned)d->share + 1 : d->level;
	struct frame *f;
	struct btrfs_block *b;
	int err;

	level += !level;
	if (level > d->top)
		return 0; /* a leaf, and nothing done */
	f = &d->frames[level];
	err = btrfs_block_get(fs, f->bytenr, &f->expect, &b);
	if (err)
		return err;
	tree->item.drop_progress = btrfs_key_put(btrfs_block_key(b, f->slot));
	tree->item.drop_level = (uint8_t)level;
	btrfs_block_put(b);
	return btrfs_tree_touch(fs, tree);
}

static int begin(struct r3_btrfs *fs, const struct btrfs_tree *tree)
{
	subvol_drop_forget(fs);
	fs->drop = calloc(1, sizeof(*fs->drop));
	if (!fs->drop)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	fs->drop->id = tree->root->id;
	return resume(fs, fs->drop, tree);
}

void subvol_drop_forget(struct r3_btrfs *fs)
{
	free(fs->drop);
	fs->drop = NULL;
}

static bool can_read(struct r3_btrfs *fs, struct btrfs_drop *d)
{
	struct frame *f = top_frame(d);
	struct btrfs_block *b;

	if (btrfs_block_get(fs, f->bytenr, &f->expect, &b))
		return false;
	btrfs_block_put(b);
	return true;
}

/* In front of a block that can't be read: what was done is noted, so that the
 * next step fails before it changes anything. */
static int stop_before(struct r3_btrfs *fs, struct btrfs_drop *d,
		       struct btrfs_tree *tree)
{
	int err;

	d->level++;
	err = save(fs, d, tree);
	subvol_drop_forget(fs);
	return err;
}

int subvol_drop_step(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     unsigned *blocks, bool *done)
{
	struct btrfs_drop *d;
	int err = 0;

	*done = false;
	if (!fs->drop || fs->drop->id != tree->root->id)
		err = begin(fs, tree);
	d = fs->drop;
	while (!err && d->level <= d->top && (*blocks || !at_rest(d))) {
		if (fs->trans->edited && !top_frame(d)->seen &&
		    !can_read(fs, d))
			return stop_before(fs, d, tree);
		err = one_step(fs, d, tree);
		*blocks -= *blocks > 0;
	}
	if (!err && d->level <= d->top)
		return save(fs, d, tree);
	subvol_drop_forget(fs);
	*done = !err;
	return err;
}
