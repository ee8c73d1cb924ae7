// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * orphan.c - inodes that lose their last name
 *
 *	name goes --few items, not held--> gone, in the same operation
 *	    |
 *	    +--> orphan item --not held, or released, or found after a crash-->
 *		 data and items go in steps, an operation each --> gone
 *
 * The orphan item (BTRFS_ORPHANS, ORPHAN_ITEM, ino) in the subvolume's tree is
 * what a kernel, too, finds and finishes: when it looks a subvolume up for the
 * first time.  Here those that can be written are looked at when the volume is
 * opened for changes.  A read-only one has some only if it was made so while
 * they were held, or the crash came between it and its own cleaning, and there
 * may be thousands: they follow with r3_btrfs_clean(), or when they become
 * writable, or the source of a snapshot.
 */
#include "names.h"

enum {
	AT_ONCE = 16, /* items of an inode that goes in one operation */
	STEP = 64,    /* items of a larger one, that go in one operation */
};

static struct btrfs_key orphan_key(uint64_t ino)
{
	return KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM, ino);
}

static bool has_data(const struct btrfs_node *node)
{
	return S_ISREG(le32(node->item.mode));
}

/* ---- an entry that goes ------------------------------------------------- */

/* An inode's items, counted up to AT_ONCE and one. */
static int count_items(struct r3_btrfs *fs, const struct btrfs_node *node,
		       unsigned *count)
{
	struct btrfs_cursor c;
	int err;

	*count = 0;
	btrfs_cursor_init(&c, fs, node->tree->root);
	err = btrfs_cursor_seek(&c, KEY(node->ino, 0, 0));
	while (!err && c.key.objectid == node->ino && ++*count <= AT_ONCE)
		err = btrfs_cursor_next(&c);
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

int btrfs_victim_get(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     const struct btrfs_entry *entry,
		     struct btrfs_victim *out)
{
	struct btrfs_victim v = { .inode = !entry->stub };
	unsigned count;
	int err;

	if (!v.inode) {
		*out = v;
		return 0;
	}
	err = btrfs_node_read(fs, tree, entry->location.objectid, &v.node);
	if (!err && btrfs_node_is_dir(&v.node))
		err = btrfs_dir_empty(fs, tree, v.node.ino);
	v.last = !err && le32(v.node.item.nlink) <= 1;
	v.items = 3; /* inode item, reference, orphan */
	v.used = v.last && fs->opts.in_use &&
		 fs->opts.in_use(fs->opts.arg, btrfs_node_in(&v.node));
	if (v.last && !v.used && !btrfs_held(fs, btrfs_node_in(&v.node))) {
		err = count_items(fs, &v.node, &count);
		v.at_once = count <= AT_ONCE;
		if (v.at_once)
			v.items += 2 * count;
	}
	if (!err)
		*out = v;
	return err;
}

/* All that an inode has; its data's references go first. */
static int remove_at_once(struct r3_btrfs *fs, struct btrfs_node *node)
{
	unsigned count;
	bool done;
	int err = 0;

	if (has_data(node))
		err = btrfs_file_drop(fs, node, 0, UINT64_MAX, AT_ONCE, &done);
	return err ? err : btrfs_items_delete(fs, node->tree,
					      KEY(node->ino, 0, 0),
					      KEY(node->ino, UINT8_MAX,
						  UINT64_MAX),
					      AT_ONCE, &count);
}

int btrfs_victim_unlink(struct r3_btrfs *fs, struct btrfs_node *dir,
			const char *name, size_t len,
			const struct btrfs_entry *entry,
			struct btrfs_victim *v)
{
	struct btrfs_backref ref = { .location = entry->location,
				     .dir = dir->ino, .name = name,
				     .len = len };
	uint32_t nlink = le32(v->node.item.nlink);
	int err = v->used ? r3_btrfs_hold(fs, btrfs_node_in(&v->node)) : 0;

	if (!err)
		err = btrfs_name_remove(fs, dir, name, len, entry);
	if (err || !v->inode)
		return err;
	if (v->at_once)
		return remove_at_once(fs, &v->node);
	err = btrfs_backref_remove(fs, dir->tree, &ref);
	if (!err && v->last)
		err = btrfs_item_insert(fs, dir->tree, orphan_key(v->node.ino),
					NULL, 0, NULL);
	v->node.item.nlink = to_le32(nlink - (nlink > 0));
	return err ? err : btrfs_node_put(fs, &v->node, true);
}

/* ---- the rest of it, in steps ------------------------------------------- */

/* One operation; *done: nothing is left of the inode. */
static int remove_step(struct r3_btrfs *fs, struct btrfs_node *node,
		       bool *done)
{
	unsigned count = 0;
	int err = 0;

	*done = true;
	if (has_data(node))
		err = btrfs_file_drop(fs, node, 0, UINT64_MAX, STEP, done);
	if (!err && !*done)
		return btrfs_node_put(fs, node, false);
	if (!err)
		err = btrfs_items_delete(fs, node->tree, KEY(node->ino, 0, 0),
					 KEY(node->ino, UINT8_MAX, UINT64_MAX),
					 STEP, &count);
	*done = count < STEP;
	if (!err && *done)
		err = btrfs_item_delete(fs, node->tree, orphan_key(node->ino));
	return err;
}

static int remove_orphan(struct r3_btrfs *fs, struct btrfs_node *node)
{
	bool done = false;
	int err = 0;

	while (!err && !done) {
		err = btrfs_trans_start(fs, STEP + 2, BTRFS_FREES);
		if (!err)
			err = btrfs_trans_end(fs, remove_step(fs, node,
							      &done));
	}
	return err;
}

int btrfs_victim_finish(struct r3_btrfs *fs, const struct btrfs_victim *v)
{
	struct btrfs_node node = v->node;
	int err;

	if (!v->inode || !v->last || v->at_once ||
	    btrfs_held(fs, btrfs_node_in(&v->node)))
		return 0;
	err = remove_orphan(fs, &node);
	/* The name is gone, as it was to; the rest waits for the next opening. */
	return btrfs_trans_is_aborted(fs) ? err : 0;
}

int btrfs_released(struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	struct btrfs_tree *tree;
	struct btrfs_node node;
	int err;

	if (!fs->trans || !btrfs_is_fs_tree(in.subvol))
		return 0;
	err = btrfs_tree_get(fs, in.subvol, &tree);
	if (!err)
		err = btrfs_node_read(fs, tree, in.ino, &node);
	if (err == -ENOENT || (!err && le32(node.item.nlink)))
		return 0; /* gone with its subvolume; or it has a name */
	return err ? err : remove_orphan(fs, &node);
}

/* ---- what a crash left -------------------------------------------------- */

/* An orphan item of an inode that has names: kernels before 4.19 used them for
 * truncation, which this finishes. */
static int finish_truncate(struct r3_btrfs *fs, struct btrfs_tree *tree,
			   struct btrfs_node *node)
{
	bool done = false;
	uint64_t end = 0;
	int err = 0;

	/* a size at the very end has nothing behind it */
	if (has_data(node) &&
	    r3_align_up(le64(node->item.size), BTRFS_SECTOR, &end)) {
		while (!err && !done) {
			err = btrfs_trans_start(fs, STEP + 2, BTRFS_FREES);
			if (err)
				return err;
			err = btrfs_file_drop(fs, node, end, UINT64_MAX, STEP,
					      &done);
			if (!err)
				err = btrfs_node_put(fs, node, false);
			err = btrfs_trans_end(fs, err);
		}
	}
	if (!err)
		err = btrfs_trans_start(fs, 1, BTRFS_FREES);
	if (!err)
		err = btrfs_trans_end(fs, btrfs_item_delete(fs, tree,
					orphan_key(node->ino)));
	return err;
}

static int clean_one(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     uint64_t ino)
{
	struct btrfs_node node = { .tree = tree, .ino = ino };
	int err;

	/* no kernel leaves such a one; removing it would harm */
	if (ino <= R3_BTRFS_ROOT_INO || ino > BTRFS_LAST_FREE)
		return 0;
	err = btrfs_node_read(fs, tree, ino, &node);
	if (err && err != -ENOENT)
		return err;
	if (!err && le32(node.item.nlink))
		return finish_truncate(fs, tree, &node);
	/* Whoever made an orphan of a directory with entries, its entries are
	 * worth more than its space. */
	if (!err && btrfs_node_is_dir(&node) &&
	    btrfs_dir_empty(fs, tree, ino))
		return 0;
	return remove_orphan(fs, &node);
}

/* The next orphan from @from on. */
static int next_orphan(struct r3_btrfs *fs, const struct btrfs_root *root,
		       uint64_t from, uint64_t *ino)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, root);
	err = btrfs_cursor_seek(&c, orphan_key(from));
	if (!err && (c.key.objectid != BTRFS_ORPHANS ||
		     c.key.type != BTRFS_ORPHAN_ITEM))
		err = -ENOENT;
	if (!err)
		*ino = c.key.offset;
	btrfs_cursor_fini(&c);
	return err;
}

/* One that damage keeps, before anything of it changed: the others, and whoever
 * changes something else, need not mind. */
static int clean_or_leave(struct r3_btrfs *fs, struct btrfs_tree *tree,
			  uint64_t ino)
{
	int err = clean_one(fs, tree, ino);

	if ((err != -EIO && err != -EUCLEAN) || btrfs_trans_is_aborted(fs))
		return err;
	fs->left = fs->why;
	return 0;
}

int btrfs_orphans_clean_in(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_tree *tree;
	struct btrfs_root root;
	uint64_t ino = 0;
	int err = btrfs_subvol_root(fs, id, &root);

	if (fs->keep_orphans)
		return 0;
	if (!err)
		err = next_orphan(fs, &root, 0, &ino);
	if (err) /* of damage here, whoever changes this subvolume is told */
		return 0;
	err = btrfs_tree_get(fs, id, &tree);
	if (!err && !le32(tree->item.refs))
		return 0;
	while (!err) {
		err = clean_or_leave(fs, tree, ino);
		if (err || ino == UINT64_MAX)
			break;
		err = next_orphan(fs, tree->root, ino + 1, &ino);
	}
	return err == -ENOENT ? 0 : err;
}

static bool is_subvol(const struct btrfs_cursor *c, bool readonly)
{
	struct btrfs_root_item item;

	if (!btrfs_is_fs_tree(c->key.objectid) ||
	    c->key.type != BTRFS_ROOT_ITEM)
		return false;
	btrfs_root_item_get(&item, c->data, c->size);
	return readonly == !!(le64(item.flags) & BTRFS_ROOT_RDONLY);
}

/* The next subvolume from @from on that is read-only, or is not. */
static int next_subvol(struct r3_btrfs *fs, uint64_t from, bool readonly,
		       uint64_t *id)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(from, BTRFS_ROOT_ITEM, 0));
	while (!err && !is_subvol(&c, readonly)) {
		if (c.key.objectid > BTRFS_LAST_FREE)
			err = -ENOENT;
		else
			err = btrfs_cursor_next(&c);
	}
	if (!err)
		*id = c.key.objectid;
	btrfs_cursor_fini(&c);
	return err;
}

int btrfs_orphans_clean(struct r3_btrfs *fs)
{
	uint64_t id;
	int err = next_subvol(fs, BTRFS_FS_TREE, false, &id);

	while (!err) {
		err = btrfs_orphans_clean_in(fs, id);
		if (!err)
			err = next_subvol(fs, id + 1, false, &id);
	}
	/* On a full volume they stay for a better day. */
	return err == -ENOENT || err == -ENOSPC ? 0 : err;
}

int btrfs_orphans_clean_rest(struct r3_btrfs *fs, unsigned *roots, bool *more)
{
	int err = 0;

	while (!err && *roots && fs->orphans_seen < BTRFS_LAST_FREE) {
		uint64_t id = BTRFS_LAST_FREE;

		err = next_subvol(fs, fs->orphans_seen + 1, true, &id);
		if (!err && !btrfs_holds_subvol(fs, id))
			err = btrfs_orphans_clean_in(fs, id);
		if (err == -ENOENT || err == -ENOSPC)
			err = 0;
		if (!err)
			fs->orphans_seen = id;
		--*roots;
	}
	*more = fs->orphans_seen < BTRFS_LAST_FREE;
	return err;
}
