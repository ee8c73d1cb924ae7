// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trees.c - the trees of a volume that may change, and their root items
 *
 * A tree that is changed has its place of now in memory; the root tree's item
 * follows at commit, or, for readers of the root tree, when it is made.
 */
#include "edit.h"

static struct btrfs_tree **tree_slot(const struct r3_btrfs *fs, uint64_t id)
{
	uint64_t h = id * UINT64_C(0x9e3779b97f4a7c15);

	return &fs->trans->trees[(h >> 40) % BTRFS_TREES_HASH];
}

static struct btrfs_tree *tree_find(const struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_tree *t = *tree_slot(fs, id);

	while (t && t->root->id != id)
		t = t->next;
	return t;
}

struct btrfs_tree *btrfs_tree_live(const struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_tree *t;

	if (!fs->trans || fs->trans->aborted)
		return NULL;
	t = tree_find(fs, id);
	return t && t->root->bytenr ? t : NULL;
}

/* Where readers look for the root of a tree that everybody needs. */
static struct btrfs_root *known_root(struct r3_btrfs *fs, uint64_t id)
{
	switch (id) {
	case BTRFS_ROOT_TREE:
		return &fs->tree_root;
	case BTRFS_EXTENT_TREE:
		return &fs->extent;
	case BTRFS_CHUNK_TREE:
		return &fs->chunk_root;
	case BTRFS_DEV_TREE:
		return &fs->dev_tree;
	case BTRFS_CSUM_TREE:
		return &fs->csum;
	case BTRFS_QUOTA_TREE:
		return &fs->quota;
	case BTRFS_UUID_TREE:
		return &fs->uuid;
	case BTRFS_FREE_SPACE_TREE:
		return &fs->free_space;
	case BTRFS_BLOCK_GROUP_TREE:
		return &fs->block_groups;
	}
	return NULL;
}

static int tree_alloc(struct r3_btrfs *fs, uint64_t id,
		      struct btrfs_tree **out)
{
	struct btrfs_tree *t = calloc(1, sizeof(*t)), **slot;
	struct btrfs_root *known = known_root(fs, id);

	if (!t)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	t->root = known ? known : &t->own;
	t->root->id = id;
	slot = tree_slot(fs, id);
	t->next = *slot;
	*slot = t;
	*out = t;
	return 0;
}

static void tree_free(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_tree **p = tree_slot(fs, tree->root->id);

	while (*p != tree)
		p = &(*p)->next;
	*p = tree->next;
	free(tree);
}

void btrfs_trees_free(struct r3_btrfs *fs)
{
	struct btrfs_trans *t = fs->trans;

	for (unsigned i = 0; i < BTRFS_TREES_HASH; i++) {
		while (t->trees[i]) {
			struct btrfs_tree *tree = t->trees[i];

			t->trees[i] = tree->next;
			free(tree);
		}
	}
	vec_free(&t->changed);
}

static int tree_load(struct r3_btrfs *fs, uint64_t id, struct btrfs_tree **out)
{
	struct btrfs_root_item item = { 0 };
	struct btrfs_root root;
	struct btrfs_key key = { 0 };
	int err = 0;

	if (id == BTRFS_ROOT_TREE || id == BTRFS_CHUNK_TREE)
		root = *known_root(fs, id);
	else
		err = btrfs_root_load(fs, id, &key, &item, &root);
	if (!err)
		err = tree_alloc(fs, id, out);
	if (err)
		return err;
	*(*out)->root = (*out)->committed = (*out)->written = root;
	(*out)->item_key = key;
	(*out)->item = item;
	(*out)->last_snapshot = le64(item.last_snapshot);
	if (root.level > fs->trans->level_max)
		fs->trans->level_max = root.level;
	return 0;
}

int btrfs_tree_get(struct r3_btrfs *fs, uint64_t id, struct btrfs_tree **out)
{
	struct btrfs_tree *t;

	if (!fs->trans)
		return btrfs_fail(fs, -EROFS, "the volume was opened for "
				  "reading");
	t = tree_find(fs, id);
	if (!t)
		return tree_load(fs, id, out);
	if (!t->root->bytenr)
		return btrfs_fail(fs, -ENOENT, "there is no tree %s",
				  btrfs_tree_text(id).s);
	*out = t;
	return 0;
}

static int tree_changed(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	if (tree->changed)
		return 0;
	if (!vec_push(&fs->trans->changed, tree))
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	tree->changed_at = fs->trans->changed.n - 1;
	tree->changed = true;
	return 0;
}

static void tree_unchanged(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_trans *t = fs->trans;

	if (!tree->changed)
		return;
	t->changed.p[tree->changed_at] = t->changed.p[--t->changed.n];
	t->changed.p[tree->changed_at]->changed_at = tree->changed_at;
}

int btrfs_tree_set_root(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const struct btrfs_block *b)
{
	int err = tree_changed(fs, tree);

	if (err)
		return err; /* what is not among those is not reverted */
	tree->root->bytenr = b->logical;
	tree->root->generation = b->generation;
	tree->root->level = b->level;
	if (b->level > fs->trans->level_max)
		fs->trans->level_max = b->level;
	return 0;
}

int btrfs_tree_touch(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	fs->trans->edited = true;
	tree->touched = true;
	return tree_changed(fs, tree);
}

/* A tree with this root block, and its item, which readers may look for. */
static int tree_begin(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key item_key, const struct btrfs_block *b)
{
	int err = btrfs_tree_set_root(fs, tree, b);

	tree->item_key = item_key;
	tree->item.bytes_used = to_le64(fs->nodesize);
	if (!err)
		err = btrfs_tree_write(fs, tree, true);
	tree->touched = true; /* the caller fills in the rest */
	return err;
}

int btrfs_tree_new(struct r3_btrfs *fs, struct btrfs_key item_key,
		   struct btrfs_tree **out)
{
	struct btrfs_tree *tree = tree_find(fs, item_key.objectid);
	struct btrfs_block *b;
	int err = 0;

	assert(!tree);
	err = tree_alloc(fs, item_key.objectid, &tree);
	if (err)
		return err;
	err = btrfs_block_new_ref(fs, tree, 0, &b);
	if (err) {
		tree_free(fs, tree);
		return err;
	}
	err = tree_begin(fs, tree, item_key, b);
	if (!err)
		*out = tree;
	return err;
}

int btrfs_tree_copy(struct r3_btrfs *fs, struct btrfs_tree *source,
		    struct btrfs_key item_key, struct btrfs_tree **out)
{
	struct btrfs_expect e = { .tree = source->root->id,
				  .generation = source->root->generation,
				  .level = source->root->level };
	struct btrfs_block *from, *copy;
	struct btrfs_tree *tree;
	int err = btrfs_block_get(fs, source->root->bytenr, &e, &from);

	if (err)
		return err;
	err = tree_alloc(fs, item_key.objectid, &tree);
	if (!err) {
		err = btrfs_cow_root_copy(fs, tree, from, &copy);
		if (err)
			tree_free(fs, tree);
	}
	btrfs_block_put(from);
	if (!err)
		err = tree_begin(fs, tree, item_key, copy);
	if (err)
		return err;
	tree->item.bytes_used = source->item.bytes_used;
	tree->last_snapshot = source->last_snapshot = btrfs_transid(fs);
	tree->shared_born = source->shared_born = ++fs->trans->born;
	copy->born = ++fs->trans->born;
	source->path.transid = 0;
	tree->path.transid = 0;
	*out = tree;
	return btrfs_tree_touch(fs, source);
}

int btrfs_tree_remove(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_tree *root_tree;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &root_tree);

	if (!err)
		err = btrfs_item_delete(fs, root_tree, tree->item_key);
	if (err)
		return err;
	if (fs->fs_cached.id == tree->root->id)
		fs->fs_cached.id = 0;
	tree->root->bytenr = 0;
	tree_unchanged(fs, tree);
	tree_free(fs, tree);
	return 0;
}

/* ---- root items ---------------------------------------------------------- */

static bool root_same(const struct btrfs_root *a, const struct btrfs_root *b)
{
	return a->bytenr == b->bytenr && a->generation == b->generation &&
	       a->level == b->level;
}

static bool has_item(const struct btrfs_tree *tree)
{
	return tree->item_key.type == BTRFS_ROOT_ITEM;
}

/* Its item into the root tree, as the tree is now. */
int btrfs_tree_write(struct r3_btrfs *fs, struct btrfs_tree *tree, bool fresh)
{
	struct btrfs_root_item *item = &tree->item;
	struct btrfs_tree *root_tree;
	struct btrfs_spot spot;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &root_tree);

	item->bytenr = to_le64(tree->root->bytenr);
	item->level = tree->root->level;
	item->generation = to_le64(tree->root->generation);
	item->generation_v2 = item->generation;
	item->last_snapshot = to_le64(tree->last_snapshot);
	tree->written = *tree->root;
	tree->touched = false;
	if (err)
		return err;
	if (fresh)
		return btrfs_item_insert(fs, root_tree, tree->item_key, item,
					 sizeof(*item), NULL);
	err = btrfs_item_edit(fs, root_tree, tree->item_key, &spot);
	if (!err && spot.size != sizeof(*item))
		err = btrfs_item_resize(fs, root_tree, tree->item_key,
					sizeof(*item), &spot);
	if (!err)
		memcpy(spot.data, item, sizeof(*item));
	return err;
}

int btrfs_trees_write(struct r3_btrfs *fs, bool *again)
{
	struct btrfs_trans *t = fs->trans;
	int err = 0;

	for (size_t i = 0; !err && i < t->changed.n; i++) {
		struct btrfs_tree *tree = t->changed.p[i];

		if (!has_item(tree) ||
		    (!tree->touched && root_same(tree->root, &tree->written)))
			continue;
		*again = true;
		err = btrfs_tree_write(fs, tree, false);
	}
	return err;
}

void btrfs_trees_committed(struct r3_btrfs *fs)
{
	struct btrfs_trans *t = fs->trans;

	for (size_t i = 0; i < t->changed.n; i++) {
		t->changed.p[i]->committed = *t->changed.p[i]->root;
		t->changed.p[i]->changed = false;
	}
	t->changed.n = 0;
}

void btrfs_trees_revert(struct r3_btrfs *fs)
{
	struct btrfs_trans *t = fs->trans;

	for (size_t i = 0; i < t->changed.n; i++) {
		struct btrfs_tree *tree = t->changed.p[i];
		uint64_t id = tree->root->id;

		*tree->root = tree->committed;
		tree->root->id = id;
	}
	fs->fs_cached.id = 0;
}
