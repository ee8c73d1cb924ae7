// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cow.c - tree blocks copied before their first change in a transaction
 *
 * A block that several trees share is not copied for free: the copy refers to
 * everything that the old block refers to.  Which of the two keeps the keyed
 * references (of a tree) and which gets shared ones (of a parent block) decides
 * how others find their way up; the rules here are those of the kernel's
 * fs/btrfs/ctree.c, update_ref_for_cow().
 */
#include "edit.h"

/* Trees whose blocks snapshots share, and whose leaves hold data extents. */
static bool can_share(const struct btrfs_tree *tree)
{
	return btrfs_is_fs_tree(tree->root->id);
}

/* Might another tree have this block?  Roots are never shared: a snapshot
 * begins with a copy of one. */
static bool maybe_shared(const struct btrfs_tree *tree,
			 const struct btrfs_block *b)
{
	if (!can_share(tree) || b->logical == tree->root->bytenr)
		return false;
	if (b->flags & BTRFS_HEADER_RELOC)
		return true;
	return b->dirty ? b->born <= tree->shared_born
			: b->generation <= tree->last_snapshot;
}

static int block_refs(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		      const struct btrfs_block *b, uint64_t *refs,
		      uint64_t *flags)
{
	int err;

	*refs = 1;
	*flags = 0;
	if (!maybe_shared(tree, b))
		return 0;
	err = btrfs_ref_lookup(fs, b->logical, b->level, refs, flags);
	if (!err && !*refs)
		err = btrfs_fail(fs, -EUCLEAN, "tree %s block %llu: the extent "
				 "tree has no reference to it",
				 btrfs_tree_text(tree->root->id).s,
				 (unsigned long long)b->logical);
	return err;
}

/* A new block in the cache, dirty, its address allocated; its first reference
 * is the caller's to add.  @like: see btrfs_cache_new(). */
static int block_new(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		     uint8_t level, const struct btrfs_block *like,
		     struct btrfs_block **out)
{
	struct btrfs_trans *t = fs->trans;
	struct btrfs_block *b;
	uint64_t logical;
	int err = btrfs_alloc_block(fs, tree->root->id, &logical);

	if (!err)
		err = btrfs_cache_new(fs, logical, like, &b);
	if (err)
		return err;
	t->edited = true;
	b->born = ++t->born;
	b->generation = btrfs_transid(fs);
	b->owner = tree->root->id;
	b->flags = BTRFS_HEADER_WRITTEN | BTRFS_MIXED_BACKREF_REV;
	b->level = level;
	b->nritems = like ? like->nritems : 0;
	*out = b;
	return 0;
}

static struct btrfs_ref own_ref(const struct r3_btrfs *fs,
				const struct btrfs_tree *tree,
				const struct btrfs_block *b, uint64_t parent)
{
	return (struct btrfs_ref){ .bytenr = b->logical, .len = fs->nodesize,
				   .root = tree->root->id, .parent = parent,
				   .level = b->level };
}

static int block_new_ref(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 uint8_t level, const struct btrfs_block *like,
			 struct btrfs_block **out)
{
	struct btrfs_ref ref;
	int err = block_new(fs, tree, level, like, out);

	if (err)
		return err;
	ref = own_ref(fs, tree, *out, 0);
	return btrfs_ref_add(fs, &ref);
}

int btrfs_block_new_ref(struct r3_btrfs *fs, struct btrfs_tree *tree,
			uint8_t level, struct btrfs_block **out)
{
	return block_new_ref(fs, tree, level, NULL, out);
}

int btrfs_block_drop(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_block *b, uint64_t parent)
{
	struct btrfs_ref ref = own_ref(fs, tree, b, parent);
	uint64_t refs = 0, flags;
	int err = 0;

	if (b->dirty)
		err = block_refs(fs, tree, b, &refs, &flags);
	if (err)
		return err;
	fs->trans->edited = true;
	tree->path.transid = 0;
	if (refs == 1)
		btrfs_cache_forget(fs, b);
	return btrfs_ref_drop(fs, &ref);
}

/* The data extent that an item refers to; false: none. */
static bool data_ref(const struct btrfs_block *leaf, unsigned slot,
		     struct btrfs_ref *ref)
{
	const struct btrfs_file_extent_reg *e = btrfs_item_data(leaf, slot);
	struct btrfs_key key = btrfs_block_key(leaf, slot);

	if (key.type != BTRFS_EXTENT_DATA ||
	    e->head.type == BTRFS_FILE_INLINE || !le64(e->disk_bytenr))
		return false;
	ref->bytenr = le64(e->disk_bytenr);
	ref->len = le64(e->disk_num_bytes);
	ref->ino = key.objectid;
	ref->off = key.offset - le64(e->offset);
	ref->data = true;
	return true;
}

int btrfs_mod_refs(struct r3_btrfs *fs, const struct btrfs_block *b,
		   bool shared,
		   int (*mod)(struct r3_btrfs *fs,
			      const struct btrfs_ref *ref))
{
	struct btrfs_ref ref = { .root = b->owner, .len = fs->nodesize,
				 .parent = shared ? b->logical : 0 };
	int err = 0;

	for (unsigned i = 0; !err && i < b->nritems; i++) {
		if (b->level) {
			ref.bytenr = le64(btrfs_ptr_at(b, i)->blockptr);
			ref.level = b->level - 1;
		} else if (!data_ref(b, i, &ref)) {
			continue;
		}
		err = mod(fs, &ref);
	}
	return err;
}

/* What @old and its copy refer to, when the block was maybe shared. */
static int share_refs(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		      const struct btrfs_block *old,
		      const struct btrfs_block *copy, uint64_t refs,
		      uint64_t flags)
{
	bool full = flags & BTRFS_EXTENT_FLAG_FULL_BACKREF;
	int err;

	if (refs > 1 && old->owner == tree->root->id && !full) {
		/* The keyed ones go with this tree, to the copy. */
		err = btrfs_mod_refs(fs, old, true, btrfs_ref_add);
		if (!err)
			err = btrfs_ref_make_full(fs, old->logical,
						  old->level);
		return err;
	}
	if (refs == 1 && !full)
		return 0; /* the copy takes them over */
	err = btrfs_mod_refs(fs, copy, false, btrfs_ref_add);
	if (!err && refs == 1)
		err = btrfs_mod_refs(fs, old, true, btrfs_ref_drop);
	return err;
}

static int hang_in(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_block *parent, unsigned slot,
		   const struct btrfs_block *b)
{
	if (!parent)
		return btrfs_tree_set_root(fs, tree, b);
	btrfs_ptr(parent, slot)->blockptr = to_le64(b->logical);
	btrfs_ptr(parent, slot)->generation = to_le64(b->generation);
	return 0;
}

int btrfs_cow(struct r3_btrfs *fs, struct btrfs_tree *tree,
	      struct btrfs_block *b, struct btrfs_block *parent, unsigned slot,
	      struct btrfs_block **out)
{
	struct btrfs_block *copy;
	struct btrfs_ref own;
	uint64_t refs, flags;
	int err = block_refs(fs, tree, b, &refs, &flags);

	if (err)
		return err;
	if (b->dirty && refs == 1 &&
	    !(flags & BTRFS_EXTENT_FLAG_FULL_BACKREF)) {
		if (b->born <= tree->shared_born)
			b->born = ++fs->trans->born; /* not asked again */
		*out = b;
		return btrfs_block_own(fs, b);
	}
	own = own_ref(fs, tree, b, 0);
	err = block_new_ref(fs, tree, b->level, b, &copy);
	if (!err)
		err = share_refs(fs, tree, b, copy, refs, flags);
	if (!err)
		err = hang_in(fs, tree, parent, slot, copy);
	if (err)
		return err;
	if (b->dirty && refs == 1)
		btrfs_cache_forget(fs, b);
	*out = copy;
	err = btrfs_block_own(fs, copy);
	return err ? err : btrfs_ref_drop(fs, &own);
}

int btrfs_cow_root_copy(struct r3_btrfs *fs, struct btrfs_tree *to,
			const struct btrfs_block *from,
			struct btrfs_block **out)
{
	int err = block_new_ref(fs, to, from->level, from, out);

	return err ? err : btrfs_mod_refs(fs, *out, false, btrfs_ref_add);
}
