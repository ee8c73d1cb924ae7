// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pack.c - items that hold several entries, one after the other
 *
 * Names and xattrs with one hash, and names of an inode in one directory.
 */
#include "trans.h"

int btrfs_pack_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    struct btrfs_key key, size_t len)
{
	struct btrfs_cursor c;
	size_t have = 0;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_find(&c, key);
	if (!err)
		have = c.size;
	btrfs_cursor_fini(&c);
	if (err && err != -ENOENT)
		return err;
	return have + len > btrfs_item_max(fs) ? -EOVERFLOW : 0;
}

int btrfs_pack_add(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_key key, const void *entry, size_t len)
{
	struct btrfs_spot spot;
	uint32_t have;
	int err = btrfs_item_insert(fs, tree, key, entry, (uint32_t)len, NULL);

	if (err != -EEXIST)
		return err;
	err = btrfs_item_edit(fs, tree, key, &spot);
	if (err)
		return err;
	have = spot.size;
	err = btrfs_item_resize(fs, tree, key, have + (uint32_t)len, &spot);
	if (!err)
		memcpy(spot.data + have, entry, len);
	return err;
}

int btrfs_pack_cut(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_key key, size_t at, size_t len)
{
	struct btrfs_spot spot;
	int err = btrfs_item_edit(fs, tree, key, &spot);

	if (err)
		return err;
	assert(at + len <= spot.size);
	if (len == spot.size)
		return btrfs_item_delete(fs, tree, key);
	memmove(spot.data + at, spot.data + at + len, spot.size - at - len);
	return btrfs_item_resize(fs, tree, key, spot.size - (uint32_t)len,
				 NULL);
}
