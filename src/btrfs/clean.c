// SPDX-License-Identifier: GPL-2.0-or-later
/* clean.c - dead subvolumes are given back, those too that a kernel left; and
 * what was left in read-only ones */
#include "subvol.h"

enum {
	STEP_BLOCKS = 32, /* of one operation */
	/* Each step may change the references of two blocks' content, which
	 * lie in few leaves of the extent tree. */
	STEP_ITEMS = 64,
};

/* The first ORPHAN_ITEM from @id on; -ENOENT. */
static int next_orphan(struct r3_btrfs *fs, uint64_t *id)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM,
					*id));
	if (!err && (c.key.objectid != BTRFS_ORPHANS ||
		     c.key.type != BTRFS_ORPHAN_ITEM))
		err = -ENOENT;
	if (!err)
		*id = c.key.offset;
	btrfs_cursor_fini(&c);
	return err;
}

/* The first dead subvolume from @id on; -ENOENT.  Old kernels left orphan items for files
 * of the root tree, too. */
static int next_dead(struct r3_btrfs *fs, uint64_t id,
		     struct btrfs_tree **out)
{
	struct btrfs_tree *tree;
	int err;

	for (;; id++) {
		err = next_orphan(fs, &id);
		if (err)
			return err;
		if (!btrfs_is_fs_tree(id))
			return -ENOENT;
		err = btrfs_tree_get(fs, id, &tree);
		if (!err && !le32(tree->item.refs) && id != fs->receiving) {
			*out = tree;
			return 0;
		}
		if (err && err != -ENOENT)
			return err;
	}
}

static int forget(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	uint64_t id = tree->root->id;
	struct btrfs_tree *roots;
	int err = subvol_ids_known(fs);

	if (!err)
		err = btrfs_tree_remove(fs, tree);
	if (!err)
		err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);
	if (!err)
		err = btrfs_item_delete(fs, roots,
					KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM,
					    id));
	return err ? err : btrfs_quota_subvol_gone(fs, id);
}

static int clean_step(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      unsigned *blocks)
{
	unsigned now = (unsigned)r3_min(*blocks, STEP_BLOCKS), left = now;
	bool done;
	int err = btrfs_trans_start(fs, STEP_ITEMS, BTRFS_CLEANS);

	if (err)
		return err;
	err = subvol_drop_step(fs, tree, &left, &done);
	if (!err && done)
		err = forget(fs, tree);
	*blocks -= now - left;
	return btrfs_trans_end(fs, err);
}

/* The subvolume's ROOT_ITEM is gone with the last of it. */
int btrfs_subvol_clean(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_tree *tree;
	unsigned blocks;
	int err;

	for (;;) {
		err = btrfs_tree_get(fs, id, &tree);
		if (err)
			return err == -ENOENT ? 0 : err;
		blocks = STEP_BLOCKS;
		err = clean_step(fs, tree, &blocks);
		if (err)
			return err;
	}
}

/* Damage in one of them, and nothing changed: the others can go. */
static bool is_stuck(const struct r3_btrfs *fs, int err)
{
	return (err == -EIO || err == -EUCLEAN) &&
	       !btrfs_trans_is_aborted(fs);
}

int r3_btrfs_clean(struct r3_btrfs *fs, unsigned blocks, bool *more)
{
	uint64_t from = BTRFS_FIRST_FREE;
	struct btrfs_tree *tree;
	struct r3_btrfs_why why;
	int err, stuck = 0;

	if (!fs->trans)
		return btrfs_fail(fs, -EROFS, "the volume was opened for "
				  "reading");
	for (;;) {
		err = next_dead(fs, from, &tree);
		if (err || !blocks)
			break;
		from = tree->root->id;
		err = clean_step(fs, tree, &blocks);
		if (err && !is_stuck(fs, err))
			return err;
		if (err) {
			stuck = err;
			why = fs->why;
			from++;
		}
	}
	if (err && err != -ENOENT)
		return err;
	if (err) {
		err = btrfs_orphans_clean_rest(fs, &blocks, more);
		if (!err && stuck && !*more)
			err = btrfs_fail(fs, stuck, "%s", why.text);
		return err;
	}
	*more = true;
	return 0;
}
