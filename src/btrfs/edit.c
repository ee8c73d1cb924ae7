// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * edit.c - items in, out and changed in a tree: paths, splits and merges
 *
 * Going down to change something copies each block on the way (cow.c), so what
 * a path holds may be changed in place.  A parent's key for a child is the
 * child's first key at all times.  Within one block: edit_block.c.
 */
#include "edit.h"

/* The last child that begins at or below @key, or the first of all. */
static unsigned child_slot(const struct btrfs_block *node,
			   struct btrfs_key key)
{
	unsigned s = btrfs_block_search(node, key);

	if (s < node->nritems && !btrfs_key_cmp(btrfs_block_key(node, s), key))
		return s;
	return s ? s - 1 : 0;
}

/* ---- paths --------------------------------------------------------------- */

/* Between which keys the path's leaf lies. */
static void path_bounds(struct btrfs_tree *tree)
{
	struct btrfs_path *p = &tree->path;

	p->has_low = p->has_high = false;
	for (unsigned l = 1; l <= tree->root->level; l++) {
		struct btrfs_block *b = p->block[l];
		unsigned s = p->slot[l];

		if (!p->has_high && s + 1 < b->nritems) {
			p->has_high = true;
			p->high = btrfs_block_key(b, s + 1);
		}
		if (!p->has_low && s) {
			p->has_low = true;
			p->low = btrfs_block_key(b, s);
		}
	}
}

/* A block's copy that may be changed: the root, or what is in @parent's
 * @slot. */
static int open_block(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_block *parent, unsigned slot,
		      struct btrfs_block **out)
{
	struct btrfs_expect e = { .tree = tree->root->id };
	struct btrfs_block *b;
	uint64_t logical;
	int err;

	if (parent) {
		const struct btrfs_key_ptr *p = btrfs_ptr_at(parent, slot);

		logical = le64(p->blockptr);
		e.generation = le64(p->generation);
		e.level = parent->level - 1;
		e.has_key = true;
		e.key = btrfs_key_get(&p->key);
		if (slot + 1 < parent->nritems) {
			e.has_limit = true;
			e.limit = btrfs_block_key(parent, slot + 1);
		}
	} else {
		logical = tree->root->bytenr;
		e.generation = tree->root->generation;
		e.level = tree->root->level;
	}
	err = btrfs_block_get(fs, logical, &e, &b);
	if (err)
		return err;
	err = btrfs_cow(fs, tree, b, parent, slot, out);
	btrfs_block_put(b);
	return err;
}

int btrfs_tree_root_cow(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_block *b;

	return open_block(fs, tree, NULL, 0, &b);
}

static bool path_holds(const struct r3_btrfs *fs,
		       const struct btrfs_path *p, struct btrfs_key key)
{
	return p->transid == btrfs_transid(fs) &&
	       (!p->has_low || btrfs_key_cmp(key, p->low) >= 0) &&
	       (!p->has_high || btrfs_key_cmp(key, p->high) < 0);
}

/* The tree's path to the leaf where @key is or belongs, and its place there:
 * that of the first item not below it. */
static int find(struct r3_btrfs *fs, struct btrfs_tree *tree,
		struct btrfs_key key)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *b = NULL;
	unsigned slot = 0;
	int err;

	if (fs->trans->aborted)
		return btrfs_fail(fs, -EROFS, "an earlier change failed in "
				  "the middle; open the volume again");
	if (!path_holds(fs, p, key)) {
		memset(p, 0, sizeof(*p));
		for (int l = tree->root->level; l >= 0; l--) {
			err = open_block(fs, tree, b, slot, &p->block[l]);
			if (err)
				return err;
			b = p->block[l];
			slot = p->slot[l] = l ? child_slot(b, key) : 0;
		}
		path_bounds(tree);
		p->transid = btrfs_transid(fs);
	}
	p->slot[0] = btrfs_block_search(p->block[0], key);
	return 0;
}

/* As find(), for an item that must be there. */
static int find_item(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_key key)
{
	const struct btrfs_path *p = &tree->path;
	int err = find(fs, tree, key);

	if (err)
		return err;
	if (p->slot[0] >= p->block[0]->nritems ||
	    btrfs_key_cmp(btrfs_block_key(p->block[0], p->slot[0]), key))
		return btrfs_fail(fs, -ENOENT, "tree %s: there is no key %s",
				  btrfs_tree_text(tree->root->id).s,
				  btrfs_key_text(key).s);
	return 0;
}

/* The key of the path's block at @level has changed: tell those above. */
static void fix_keys(struct btrfs_tree *tree, unsigned level)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_disk_key key =
		btrfs_key_put(btrfs_block_key(p->block[level], 0));

	for (unsigned l = level + 1; l <= tree->root->level; l++) {
		btrfs_ptr(p->block[l], p->slot[l])->key = key;
		if (p->slot[l])
			break;
	}
	if (p->has_low)
		p->low = btrfs_key_get(&key);
}

/* An item of the tree is about to change. */
static void mark(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	fs->trans->edited = true;
	if (tree->edited == btrfs_transid(fs))
		return;
	tree->edited = btrfs_transid(fs);
	if (!btrfs_is_fs_tree(tree->root->id))
		return;
	tree->item.ctransid = to_le64(tree->edited);
	btrfs_now(fs, &tree->item.ctime);
	btrfs_tree_touch(fs, tree);
}

static void count_block(struct r3_btrfs *fs, struct btrfs_tree *tree, int n)
{
	uint64_t used = le64(tree->item.bytes_used);

	tree->item.bytes_used = to_le64(n > 0 ? used + fs->nodesize
					      : used - fs->nodesize);
	tree->touched = true; /* it has changed anyway */
}

static int drop_block(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_block *b)
{
	count_block(fs, tree, -1);
	return btrfs_block_drop(fs, tree, b, 0);
}

static int new_block(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     uint8_t level, struct btrfs_block **out)
{
	count_block(fs, tree, 1);
	return btrfs_block_new_ref(fs, tree, level, out);
}

/* ---- nodes --------------------------------------------------------------- */

/* A new root above the old one. */
static int root_grow(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_path *p = &tree->path;
	unsigned level = tree->root->level + 1u;
	struct btrfs_block *old = p->block[level - 1], *b;
	int err;

	if (level == BTRFS_LEVELS_MAX)
		return btrfs_fail(fs, -EOVERFLOW, "tree %s has grown too high",
				  btrfs_tree_text(tree->root->id).s);
	err = new_block(fs, tree, (uint8_t)level, &b);
	if (err)
		return err;
	btrfs_ptr_insert(b, 0, btrfs_block_key(old, 0), old);
	p->block[level] = b;
	p->slot[level] = 0;
	return btrfs_tree_set_root(fs, tree, b);
}

/* Room for one more pointer in the path's node at @level.  Nodes are few, and
 * there are at most 7 levels to climb. */
static int node_ready(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      unsigned level)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *b, *right;
	unsigned cut;
	int err;

	if (level > tree->root->level)
		return root_grow(fs, tree);
	b = p->block[level];
	if (b->nritems < btrfs_node_room(fs))
		return 0;
	err = node_ready(fs, tree, level + 1);
	if (!err)
		err = new_block(fs, tree, (uint8_t)level, &right);
	if (err)
		return err;
	/* Keys that only grow fill their nodes. */
	cut = p->slot[level] + 1 == b->nritems ? b->nritems - 1
					       : b->nritems / 2;
	btrfs_ptrs_append(right, b, cut);
	b->nritems = cut;
	btrfs_ptr_insert(p->block[level + 1], p->slot[level + 1] + 1,
		   btrfs_block_key(right, 0), right);
	if (p->slot[level] >= cut) {
		p->block[level] = right;
		p->slot[level] -= cut;
		p->slot[level + 1]++;
	}
	return 0;
}

/* ---- leaves -------------------------------------------------------------- */

/* Cut the path's leaf in two; the path goes to the side that @cut says.
 * @key: of the item to come, for a new leaf that is still empty. */
static int leaf_split(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_cut cut, struct btrfs_key key)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *leaf = p->block[0], *right;
	int err = node_ready(fs, tree, 1);

	if (!err)
		err = new_block(fs, tree, 0, &right);
	if (err)
		return err;
	if (cut.at < leaf->nritems) {
		key = btrfs_block_key(leaf, cut.at);
		btrfs_items_append(fs, right, leaf, cut.at);
		leaf->nritems = cut.at;
	}
	btrfs_ptr_insert(p->block[1], p->slot[1] + 1, key, right);
	if (cut.right) {
		p->block[0] = right;
		p->slot[0] -= cut.at;
		p->slot[1]++;
	}
	path_bounds(tree);
	return 0;
}

/* @more bytes of room in the path's leaf, for the item at its slot or for a
 * @fresh one there.  Between two large items it takes two cuts. */
static int leaf_ready(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key, uint32_t more, bool fresh)
{
	struct btrfs_path *p = &tree->path;
	int err = 0;

	while (!err && btrfs_leaf_free(fs, p->block[0]) < more)
		err = leaf_split(fs, tree,
				 btrfs_leaf_cut(fs, p->block[0], p->slot[0],
						more, fresh), key);
	if (err)
		p->transid = 0;
	return err;
}

/* ---- out and together ---------------------------------------------------- */

static int node_remove(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       unsigned level, unsigned slot);

/* A root with one child gives way to it. */
static int root_shrink(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_block *root, *child;
	int err = open_block(fs, tree, NULL, 0, &root);

	while (!err && root->level && root->nritems == 1) {
		err = open_block(fs, tree, root, 0, &child);
		if (!err)
			err = btrfs_tree_set_root(fs, tree, child);
		if (!err)
			err = drop_block(fs, tree, root);
		root = child;
	}
	return err;
}

/* The last block of a tree has gone: an empty leaf takes the root's place. */
static int root_empty(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_block *root)
{
	struct btrfs_block *leaf;
	int err = new_block(fs, tree, 0, &leaf);

	if (!err)
		err = btrfs_tree_set_root(fs, tree, leaf);
	return err ? err : drop_block(fs, tree, root);
}

/* Could the children at @slot and at @slot + 1 of @node be one?  Looks only. */
static int may_merge(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_block *node, unsigned slot, bool *yes)
{
	struct btrfs_block *b[2];
	int err;

	*yes = false;
	if (slot + 1 >= node->nritems)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		const struct btrfs_key_ptr *p = btrfs_ptr_at(node, slot + i);
		struct btrfs_expect e = {
			.tree = tree->root->id, .has_key = true,
			.generation = le64(p->generation),
			.level = node->level - 1,
			.key = btrfs_key_get(&p->key),
		};

		err = btrfs_block_get(fs, le64(p->blockptr), &e, &b[i]);
		if (err) {
			if (i)
				btrfs_block_put(b[0]);
			return err;
		}
	}
	*yes = btrfs_fits_in(fs, b[1], b[0]);
	btrfs_block_put(b[0]);
	btrfs_block_put(b[1]);
	return 0;
}

/* The child at @slot + 1 of the path's node at @level joins that at @slot. */
static int merge(struct r3_btrfs *fs, struct btrfs_tree *tree, unsigned level,
		 unsigned slot)
{
	struct btrfs_block *node = tree->path.block[level], *left, *right;
	int err = open_block(fs, tree, node, slot, &left);

	if (!err)
		err = open_block(fs, tree, node, slot + 1, &right);
	if (err)
		return err;
	if (left->level)
		btrfs_ptrs_append(left, right, 0);
	else
		btrfs_items_append(fs, left, right, 0);
	err = drop_block(fs, tree, right);
	return err ? err : node_remove(fs, tree, level, slot + 1);
}

/* The path's block at @level has shrunk: join it with a neighbour if that has
 * room.  The path is of no use afterwards. */
static int balance(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   unsigned level)
{
	struct btrfs_path *p = &tree->path;
	unsigned slot = p->slot[level + 1];
	struct btrfs_block *node = p->block[level + 1];
	bool yes = false;
	int err = 0;

	if (slot)
		err = may_merge(fs, tree, node, slot - 1, &yes);
	if (!err && yes)
		return merge(fs, tree, level + 1, slot - 1);
	if (!err)
		err = may_merge(fs, tree, node, slot, &yes);
	if (!err && yes)
		return merge(fs, tree, level + 1, slot);
	return err;
}

/* Take a pointer out of the path's node at @level, whose child is gone. */
static int node_remove(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       unsigned level, unsigned slot)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *b = p->block[level];
	bool is_root = level == tree->root->level;
	int err;

	p->transid = 0;
	btrfs_ptr_remove(b, slot);
	if (is_root)
		return b->nritems ? root_shrink(fs, tree)
				  : root_empty(fs, tree, b);
	if (!b->nritems) {
		err = drop_block(fs, tree, b);
		return err ? err : node_remove(fs, tree, level + 1,
					       p->slot[level + 1]);
	}
	if (!slot)
		fix_keys(tree, level);
	if (b->nritems < btrfs_node_room(fs) / 4)
		return balance(fs, tree, level);
	return 0;
}

/* Items left the path's leaf: its place in the tree may have to change. */
static int leaf_shrunk(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       bool first_gone)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *leaf = p->block[0];
	uint32_t all = btrfs_leaf_room(fs);
	int err;

	if (!tree->root->level)
		return 0;
	if (!leaf->nritems) {
		err = drop_block(fs, tree, leaf);
		return err ? err : node_remove(fs, tree, 1, p->slot[1]);
	}
	if (first_gone)
		fix_keys(tree, 0);
	if (all - btrfs_leaf_free(fs, leaf) < all / 3)
		return balance(fs, tree, 0);
	return 0;
}

/* ---- the calls ----------------------------------------------------------- */

static void spot_at(struct btrfs_tree *tree, struct btrfs_spot *spot)
{
	struct btrfs_block *leaf = tree->path.block[0];
	unsigned slot = tree->path.slot[0];

	if (!spot)
		return;
	spot->key = btrfs_block_key(leaf, slot);
	spot->size = btrfs_item_size(leaf, slot);
	spot->data = leaf->data + sizeof(struct btrfs_header) +
		     le32(btrfs_item_at(leaf, slot)->offset);
}

static int size_check(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		      struct btrfs_key key, uint32_t size)
{
	if (size <= btrfs_item_max(fs))
		return 0;
	return btrfs_fail(fs, -EOVERFLOW, "tree %s: an item of %u bytes at %s "
			  "fits in no leaf", btrfs_tree_text(tree->root->id).s,
			  size, btrfs_key_text(key).s);
}

/* Would an item of that key come before the one at the path's slot? */
static bool in_gap(const struct btrfs_path *p, struct btrfs_key key)
{
	const struct btrfs_block *leaf = p->block[0];

	if (p->slot[0] < leaf->nritems)
		return btrfs_key_cmp(key, btrfs_block_key(leaf,
							  p->slot[0])) < 0;
	return !p->has_high || btrfs_key_cmp(key, p->high) < 0;
}

/* The path to where @key is not yet. */
static int find_place(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key)
{
	const struct btrfs_path *p = &tree->path;
	int err = find(fs, tree, key);

	if (err)
		return err;
	if (p->slot[0] < p->block[0]->nritems &&
	    !btrfs_key_cmp(btrfs_block_key(p->block[0], p->slot[0]), key))
		return btrfs_fail(fs, -EEXIST, "tree %s: key %s is there "
				  "already", btrfs_tree_text(tree->root->id).s,
				  btrfs_key_text(key).s);
	return 0;
}

/* The first of @n new items, and as many more as belong behind it in the same
 * leaf and find room there. */
static int leaf_insert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       const struct btrfs_key *keys, unsigned n, uint32_t size,
		       unsigned *done)
{
	const uint32_t each = size + (uint32_t)sizeof(struct btrfs_item);
	struct btrfs_path *p = &tree->path;
	unsigned fit, count = 1;
	int err = find_place(fs, tree, keys[0]);

	if (err)
		return err;
	mark(fs, tree);
	err = leaf_ready(fs, tree, keys[0], each, true);
	if (err)
		return err;
	fit = r3_min(n, btrfs_leaf_free(fs, p->block[0]) / each);
	while (count < fit && in_gap(p, keys[count]))
		count++;
	btrfs_leaf_open(fs, p->block[0], p->slot[0], keys, count, size);
	if (!p->slot[0])
		fix_keys(tree, 0);
	*done = count;
	return 0;
}

int btrfs_item_insert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key, const void *data, uint32_t size,
		      struct btrfs_spot *spot)
{
	struct btrfs_spot at;
	unsigned done;
	int err = size_check(fs, tree, key, size);

	if (!err)
		err = leaf_insert(fs, tree, &key, 1, size, &done);
	if (err)
		return err;
	spot_at(tree, &at);
	if (data)
		memcpy(at.data, data, size);
	else
		memset(at.data, 0, size);
	if (spot)
		*spot = at;
	return 0;
}

int btrfs_items_insert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       const struct btrfs_key *keys, unsigned n)
{
	unsigned done = 0;
	int err = 0;

	for (; !err && n; keys += done, n -= done)
		err = leaf_insert(fs, tree, keys, n, 0, &done);
	return err;
}

int btrfs_item_edit(struct r3_btrfs *fs, struct btrfs_tree *tree,
		    struct btrfs_key key, struct btrfs_spot *spot)
{
	int err = find_item(fs, tree, key);

	if (err)
		return err;
	mark(fs, tree);
	spot_at(tree, spot);
	return 0;
}

int btrfs_item_resize(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key, uint32_t size,
		      struct btrfs_spot *spot)
{
	struct btrfs_path *p = &tree->path;
	uint32_t old;
	int err = size_check(fs, tree, key, size);

	if (!err)
		err = find_item(fs, tree, key);
	if (err)
		return err;
	mark(fs, tree);
	old = btrfs_item_size(p->block[0], p->slot[0]);
	if (size > old)
		err = leaf_ready(fs, tree, key, size - old, false);
	if (err)
		return err;
	btrfs_leaf_resize(fs, p->block[0], p->slot[0], size);
	spot_at(tree, spot);
	return 0;
}

int btrfs_item_delete(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key)
{
	struct btrfs_path *p = &tree->path;
	int err = find_item(fs, tree, key);

	if (err)
		return err;
	mark(fs, tree);
	btrfs_leaf_remove(fs, p->block[0], p->slot[0], 1);
	return leaf_shrunk(fs, tree, !p->slot[0]);
}

/* Those of one leaf; *next: where to go on, when *more. */
static int leaf_delete(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       struct btrfs_key *from, struct btrfs_key to,
		       unsigned max, unsigned *count, bool *more)
{
	struct btrfs_path *p = &tree->path;
	struct btrfs_block *leaf;
	unsigned slot, n = 0;
	int err = find(fs, tree, *from);

	if (err)
		return err;
	leaf = p->block[0];
	slot = p->slot[0];
	while (slot + n < leaf->nritems && n < max &&
	       btrfs_key_cmp(btrfs_block_key(leaf, slot + n), to) <= 0)
		n++;
	*more = slot + n == leaf->nritems && p->has_high && n < max;
	if (*more)
		*from = p->high;
	*count += n;
	if (!n)
		return 0;
	mark(fs, tree);
	btrfs_leaf_remove(fs, leaf, slot, n);
	return leaf_shrunk(fs, tree, !slot);
}

int btrfs_items_delete(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       struct btrfs_key from, struct btrfs_key to,
		       unsigned max, unsigned *count)
{
	bool more = true;
	int err = 0;

	*count = 0;
	while (!err && more && *count < max && btrfs_key_cmp(from, to) <= 0)
		err = leaf_delete(fs, tree, &from, to, max - *count, count,
				  &more);
	return err;
}

int btrfs_item_rekey(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_key from, struct btrfs_key to)
{
	struct btrfs_path *p = &tree->path;
	int err = find_item(fs, tree, from);

	if (err)
		return err;
	mark(fs, tree);
	btrfs_item(p->block[0], p->slot[0])->key = btrfs_key_put(to);
	if (!p->slot[0])
		fix_keys(tree, 0);
	return 0;
}
