// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hidden.c - a subvolume that shows up complete or not at all
 *
 *	hidden --show--> named, read-only, received
 *	hidden --crash or failure--> dead, and cleaned away as any other
 *
 * While it fills it is what a deleted subvolume is: a ROOT_ITEM that counts no
 * reference, and an ORPHAN_ITEM.  So commits may come in between.
 */
#include "quota.h"
#include "subvol.h"

enum {
	HIDE_ITEMS = 6, /* inode, its reference, two ROOT_ITEMs, ORPHAN_ITEM */
	/* entry (2), its directory, ROOT_ITEM, two references, two uuids,
	 * ORPHAN_ITEM */
	SHOW_ITEMS = 10,
};

static int orphan_change(struct r3_btrfs *fs, uint64_t id, bool add)
{
	struct btrfs_key key = KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM, id);
	struct btrfs_tree *roots;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);

	if (err)
		return err;
	return add ? btrfs_item_insert(fs, roots, key, NULL, 0, NULL)
		   : btrfs_item_delete(fs, roots, key);
}

static int hide(struct r3_btrfs *fs, struct btrfs_tree *source, uint64_t id)
{
	static const struct btrfs_inode_item nobody; /* owner 0, group 0 */
	struct btrfs_root_item *r;
	struct btrfs_tree *tree;
	int err = source ? subvol_tree_copy(fs, source, id, false, &tree)
			 : subvol_tree_new(fs, &nobody, id, &tree);

	if (err)
		return err;
	r = &tree->item;
	r->refs = to_le32(0);
	r->flags = to_le64(le64(r->flags) | BTRFS_ROOT_DEAD);
	err = btrfs_tree_touch(fs, tree);
	if (!err)
		err = orphan_change(fs, id, true);
	return err ? err : btrfs_quota_subvol_new(fs, id,
						  source ? source->root->id
							 : 0, NULL, 0);
}

int btrfs_subvol_hidden(struct r3_btrfs *fs, uint64_t source, uint64_t *id)
{
	struct btrfs_tree *from = NULL;
	uint64_t new_id = 0;
	int err = btrfs_trans_start(fs, HIDE_ITEMS, BTRFS_USES);

	if (err)
		return err;
	if (source)
		err = subvol_tree(fs, source, &from);
	if (!err)
		err = subvol_next_id(fs, &new_id);
	if (!err)
		err = hide(fs, from, new_id);
	err = btrfs_trans_end(fs, err);
	if (!err)
		*id = new_id;
	return err;
}

static int show(struct r3_btrfs *fs, struct btrfs_tree *tree,
		struct subvol_place *place, const uint8_t *uuid,
		uint64_t stransid)
{
	struct btrfs_root_item *r = &tree->item;
	struct btrfs_key key = tree->item_key;
	int err = orphan_change(fs, key.objectid, false);

	r->refs = to_le32(1);
	r->flags = to_le64(le64(r->flags) & ~BTRFS_ROOT_DEAD);
	if (key.offset)
		key.offset = UINT64_MAX; /* so are snapshots named */
	if (!err)
		err = subvol_place_put(fs, place, key);
	if (!err)
		err = btrfs_uuid_add(fs, r->uuid, BTRFS_UUID_SUBVOL,
				     key.objectid);
	return err ? err : subvol_set_received(fs, tree, uuid, stransid);
}

int btrfs_subvol_show(struct r3_btrfs *fs, uint64_t id,
		      struct r3_btrfs_inode dir, const char *name, size_t len,
		      const uint8_t *uuid, uint64_t stransid)
{
	struct subvol_place place;
	struct btrfs_tree *tree;
	int err = btrfs_quota_reserve(fs, dir.subvol, fs->nodesize);

	if (!err)
		err = btrfs_trans_start(fs, SHOW_ITEMS, BTRFS_USES);
	if (err)
		return err;
	err = btrfs_tree_get(fs, id, &tree);
	if (!err)
		err = subvol_place_find(fs, dir, name, len, &place);
	if (!err)
		err = show(fs, tree, &place, uuid, stransid);
	return btrfs_trans_end(fs, err);
}
