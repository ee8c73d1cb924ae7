// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tree.c - cursors: walk a tree in the order of its keys
 *
 * Every step down lowers the level, and levels are below 8, so no loop of
 * pointers can hold a cursor.
 */
#include "priv.h"

void btrfs_cursor_init(struct btrfs_cursor *c, struct r3_btrfs *fs,
		       const struct btrfs_root *root)
{
	memset(c, 0, sizeof(*c));
	c->fs = fs;
	c->root = *root;
}

static void drop_below(struct btrfs_cursor *c, unsigned level)
{
	for (unsigned i = 0; i < level; i++) {
		if (c->path[i])
			btrfs_block_put(c->path[i]);
		c->path[i] = NULL;
	}
}

void btrfs_cursor_fini(struct btrfs_cursor *c)
{
	drop_below(c, BTRFS_LEVELS_MAX);
	c->valid = false;
}

unsigned btrfs_block_search(const struct btrfs_block *b, struct btrfs_key key)
{
	unsigned lo = 0, hi = b->nritems;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (btrfs_key_cmp(btrfs_block_key(b, mid), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int btrfs_cursor_load_root(struct btrfs_cursor *c)
{
	struct btrfs_expect e = { .tree = c->root.id,
				  .generation = c->root.generation,
				  .level = c->root.level };

	if (!c->root.bytenr)
		return btrfs_fail(c->fs, -ENOENT, "there is no tree %s",
				  btrfs_tree_text(c->root.id).s);
	return btrfs_block_get(c->fs, c->root.bytenr, &e,
			       &c->path[c->root.level]);
}

/* The child below slot[level]. */
int btrfs_cursor_load_child(struct btrfs_cursor *c, unsigned level)
{
	const struct btrfs_key_ptr *p =
		btrfs_ptr_at(c->path[level], c->slot[level]);
	struct btrfs_expect e = { .tree = c->root.id,
				  .generation = le64(p->generation),
				  .level = (int)level - 1,
				  .has_key = true,
				  .key = btrfs_key_get(&p->key) };

	for (unsigned l = level; l <= c->root.level && !e.has_limit; l++) {
		if (c->slot[l] + 1 < c->path[l]->nritems) {
			e.has_limit = true;
			e.limit = btrfs_block_key(c->path[l], c->slot[l] + 1);
		}
	}
	return btrfs_block_get(c->fs, le64(p->blockptr), &e,
			       &c->path[level - 1]);
}

static void take_item(struct btrfs_cursor *c)
{
	const struct btrfs_block *leaf = c->path[0];

	c->key = btrfs_block_key(leaf, c->slot[0]);
	c->data = btrfs_item_data(leaf, c->slot[0]);
	c->size = btrfs_item_size(leaf, c->slot[0]);
	c->valid = true;
}

/* Down to the leaf where @key would be: in each node the last child whose key
 * is not above it. */
static int descend(struct btrfs_cursor *c, struct btrfs_key key)
{
	int err;

	btrfs_cursor_fini(c);
	err = btrfs_cursor_load_root(c);
	for (unsigned l = c->root.level; !err && l; l--) {
		unsigned s = btrfs_block_search(c->path[l], key);

		if (s == c->path[l]->nritems ||
		    btrfs_key_cmp(btrfs_block_key(c->path[l], s), key) > 0)
			s -= s > 0;
		c->slot[l] = s;
		err = btrfs_cursor_load_child(c, l);
	}
	if (!err)
		c->slot[0] = btrfs_block_search(c->path[0], key);
	return err;
}

/* The first item of the next leaf. */
static int next_leaf(struct btrfs_cursor *c)
{
	unsigned l = 1;
	int err;

	while (l <= c->root.level && c->slot[l] + 1 >= c->path[l]->nritems)
		l++;
	if (l > c->root.level) {
		c->valid = false;
		return -ENOENT;
	}
	drop_below(c, l);
	c->slot[l]++;
	for (; l; l--) {
		err = btrfs_cursor_load_child(c, l);
		if (err) {
			c->valid = false;
			return err;
		}
		c->slot[l - 1] = 0;
	}
	return 0;
}

int btrfs_cursor_seek(struct btrfs_cursor *c, struct btrfs_key key)
{
	int err = descend(c, key);

	if (!err && c->slot[0] >= c->path[0]->nritems)
		err = next_leaf(c);
	if (!err)
		take_item(c);
	return err;
}

int btrfs_cursor_find(struct btrfs_cursor *c, struct btrfs_key key)
{
	int err = btrfs_cursor_seek(c, key);

	return !err && btrfs_key_cmp(c->key, key) ? -ENOENT : err;
}

int btrfs_cursor_seek_back(struct btrfs_cursor *c, struct btrfs_key key)
{
	int err = descend(c, key);
	const struct btrfs_block *leaf = c->path[0];

	if (err)
		return err;
	if (c->slot[0] >= leaf->nritems ||
	    btrfs_key_cmp(btrfs_block_key(leaf, c->slot[0]), key)) {
		/* the leaf's first key is <= key unless it is the first leaf */
		if (!c->slot[0])
			return -ENOENT;
		c->slot[0]--;
	}
	take_item(c);
	return 0;
}

int btrfs_cursor_next(struct btrfs_cursor *c)
{
	int err;

	assert(c->valid);
	if (++c->slot[0] >= c->path[0]->nritems) {
		err = next_leaf(c);
		if (err)
			return err;
	}
	take_item(c);
	return 0;
}

int btrfs_cursor_prev(struct btrfs_cursor *c)
{
	struct btrfs_key key = c->key;

	assert(c->valid);
	if (c->slot[0]) {
		c->slot[0]--;
		take_item(c);
		return 0;
	}
	if (key.offset--)
		return btrfs_cursor_seek_back(c, key);
	if (key.type--)
		return btrfs_cursor_seek_back(c, key);
	return key.objectid-- ? btrfs_cursor_seek_back(c, key) : -ENOENT;
}

struct btrfs_where btrfs_cursor_where(const struct btrfs_cursor *c)
{
	struct btrfs_where w;

	snprintf(w.s, sizeof(w.s), "tree %s block %llu key %s",
		 btrfs_tree_text(c->root.id).s,
		 c->path[0] ? (unsigned long long)c->path[0]->logical : 0,
		 btrfs_key_text(c->key).s);
	return w;
}
