// SPDX-License-Identifier: GPL-2.0-or-later
/* unlink.c - names that go */
#include "names.h"

static int unlink_entry(struct r3_btrfs *fs, struct btrfs_node *dir,
			const char *name, size_t len,
			const struct btrfs_entry *entry)
{
	struct btrfs_victim v;
	int err = btrfs_victim_get(fs, dir->tree, entry, &v);

	if (!err)
		err = btrfs_trans_start(fs, 3 + v.items, BTRFS_FREES);
	if (!err)
		err = btrfs_trans_end(fs, btrfs_victim_unlink(fs, dir, name,
							      len, entry, &v));
	return err ? err : btrfs_victim_finish(fs, &v);
}

/* The directory and its entry of that name; -ENOENT, -ENOTDIR. */
static int find_entry(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		      const char *name, size_t len, struct btrfs_node *node,
		      struct btrfs_entry *entry)
{
	int err = btrfs_node_get_dir(fs, dir, node);

	return err ? err : btrfs_name_get(fs, node->tree, dir.ino, name, len,
					  entry);
}

int r3_btrfs_unlink(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		    const char *name, size_t len)
{
	struct btrfs_entry entry;
	struct btrfs_node node;
	int err = find_entry(fs, dir, name, len, &node, &entry);

	if (!err && entry.type == BTRFS_FT_DIR)
		err = btrfs_name_fail(fs, -EISDIR, name, len);
	return err ? err : unlink_entry(fs, &node, name, len, &entry);
}

int r3_btrfs_rmdir(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		   const char *name, size_t len)
{
	struct btrfs_entry entry;
	struct btrfs_node node;
	int err = find_entry(fs, dir, name, len, &node, &entry);

	if (!err && entry.type != BTRFS_FT_DIR)
		err = btrfs_name_fail(fs, -ENOTDIR, name, len);
	if (!err && entry.location.type == BTRFS_ROOT_ITEM && !entry.stub)
		err = btrfs_fail(fs, -EBUSY, "%.*s: a subvolume; only "
				 "'subvolume delete' takes it away", (int)len,
				 name);
	return err ? err : unlink_entry(fs, &node, name, len, &entry);
}
