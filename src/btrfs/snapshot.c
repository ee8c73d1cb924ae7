// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snapshot.c - a second tree that shares everything below its root block
 *
 * What it costs is one block, and a reference more for each that this block
 * points to, whatever the subvolume's size.  It shows the source as it is at
 * this moment, also what was changed since the last commit.
 *
 * The offset of a snapshot's ROOT_ITEM tells a kernel which blocks are older
 * than the snapshot: those with a generation up to it are never the
 * snapshot's own, and when it deletes the snapshot it does not look at who
 * owns them.  A kernel makes snapshots in the middle of a commit, after the
 * last change, and writes the commit's number.  Here the snapshot, or the
 * source, may change again in the same transaction; so it is the number
 * before.
 */
#include "subvol.h"

enum { SNAPSHOT_ITEMS = 12 };

/* What a snapshot has of its own.  @r begins as the source's. */
static void root_item_fill(struct r3_btrfs *fs, struct btrfs_root_item *r,
			   const uint8_t *parent_uuid, bool readonly)
{
	uint64_t flags = le64(r->flags) & ~BTRFS_ROOT_RDONLY;

	r->flags = to_le64(flags | (readonly ? BTRFS_ROOT_RDONLY : 0));
	r->refs = to_le32(1);
	memcpy(r->parent_uuid, parent_uuid, sizeof(r->parent_uuid));
	btrfs_random(fs, r->uuid, sizeof(r->uuid));
	r->otransid = to_le64(btrfs_transid(fs));
	btrfs_now(fs, &r->otime);
	if (readonly)
		return;
	memset(r->received_uuid, 0, sizeof(r->received_uuid));
	r->stransid = r->rtransid = to_le64(0);
	r->stime = r->rtime = (struct btrfs_disk_time){ 0 };
}

/* The source's ROOT_ITEM, but for where the tree is; last_snapshot follows from
 * the tree. */
static void root_item_copy(struct btrfs_root_item *to,
			   const struct btrfs_root_item *from)
{
	struct btrfs_root_item old = *to;

	*to = *from;
	to->bytenr = old.bytenr;
	to->generation = old.generation;
	to->generation_v2 = old.generation_v2;
	to->level = old.level;
}

int subvol_tree_copy(struct r3_btrfs *fs, struct btrfs_tree *source,
		     uint64_t id, bool readonly, struct btrfs_tree **out)
{
	uint64_t transid = btrfs_transid(fs);
	struct btrfs_key key = KEY(id, BTRFS_ROOT_ITEM, transid - 1);
	struct btrfs_tree *tree;
	int err = btrfs_tree_copy(fs, source, key, &tree);

	if (err)
		return err;
	root_item_copy(&tree->item, &source->item);
	root_item_fill(fs, &tree->item, source->item.uuid, readonly);
	*out = tree;
	return btrfs_tree_touch(fs, tree);
}

static int snapshot(struct r3_btrfs *fs, struct btrfs_tree *source,
		    struct subvol_place *place, uint64_t id, bool readonly,
		    const struct r3_btrfs_inherit *inherit)
{
	uint64_t from = source->root->id;
	struct btrfs_tree *tree;
	int err = subvol_tree_copy(fs, source, id, readonly, &tree);

	if (!err)
		err = subvol_place_put(fs, place, KEY(id, BTRFS_ROOT_ITEM,
						      UINT64_MAX));
	if (!err)
		err = btrfs_uuid_add(fs, tree->item.uuid, BTRFS_UUID_SUBVOL,
				     id);
	if (!err)
		err = btrfs_uuid_add(fs, tree->item.received_uuid,
				     BTRFS_UUID_RECEIVED, id);
	if (!err)
		err = btrfs_quota_subvol_new(fs, id, from,
					     inherit ? inherit->groups : NULL,
					     inherit ? inherit->count : 0);
	return err;
}

int r3_btrfs_snapshot(struct r3_btrfs *fs, uint64_t source,
		      struct r3_btrfs_inode dir, const char *name, size_t len,
		      bool readonly, const struct r3_btrfs_inherit *inherit,
		      uint64_t *id)
{
	struct subvol_place place;
	struct btrfs_tree *tree;
	uint64_t new_id = 0;
	int err = btrfs_quota_reserve(fs, dir.subvol, fs->nodesize);

	if (!err)
		err = btrfs_trans_start(fs, SNAPSHOT_ITEMS, BTRFS_USES);
	if (err)
		return err;
	err = subvol_tree(fs, source, &tree);
	if (!err)
		err = subvol_place_find(fs, dir, name, len, &place);
	if (!err)
		err = subvol_may_inherit(fs, inherit);
	if (!err)
		err = subvol_next_id(fs, &new_id);
	if (!err)
		err = snapshot(fs, tree, &place, new_id, readonly, inherit);
	err = btrfs_trans_end(fs, err);
	if (err)
		return err;
	*id = new_id;
	/* Somebody holds them in the source, nobody here. */
	err = btrfs_orphans_clean_in(fs, new_id);
	return btrfs_trans_is_aborted(fs) ? err : 0;
}
