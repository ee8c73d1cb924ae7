// SPDX-License-Identifier: GPL-2.0-or-later
/* node.c - inode items that change; numbers of new inodes and entries */
#include <stdlib.h>

#include "names.h"

enum { DIRS = 1024 }; /* directories whose last index is remembered */

struct btrfs_names {
	struct {
		uint64_t tree, ino, generation, next;
	} dirs[DIRS]; /* by a hash; a later one pushes an earlier one out */
};

int btrfs_subvol_writable(struct r3_btrfs *fs, uint64_t id,
			  struct btrfs_tree **out)
{
	struct btrfs_tree *tree;
	int err = btrfs_trans_writable(fs);

	if (err)
		return err;
	if (!btrfs_is_fs_tree(id))
		return btrfs_fail(fs, -ENOENT, "%llu is no subvolume",
				  (unsigned long long)id);
	err = btrfs_tree_get(fs, id, &tree);
	if (err)
		return err;
	if (!le32(tree->item.refs) && fs->receiving != id)
		return btrfs_fail(fs, -ENOENT, "subvolume %llu is being "
				  "deleted", (unsigned long long)id);
	if (le64(tree->item.flags) & BTRFS_ROOT_RDONLY)
		return btrfs_fail(fs, -EROFS, "subvolume %llu is read-only",
				  (unsigned long long)id);
	*out = tree;
	return 0;
}

int btrfs_node_read(struct r3_btrfs *fs, struct btrfs_tree *tree,
		    uint64_t ino, struct btrfs_node *out)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_find(&c, KEY(ino, BTRFS_INODE_ITEM, 0));
	if (err == -ENOENT)
		btrfs_fail(fs, err, "subvolume %llu has no inode %llu",
			   (unsigned long long)tree->root->id,
			   (unsigned long long)ino);
	if (!err) {
		out->tree = tree;
		out->ino = ino;
		memcpy(&out->item, c.data, sizeof(out->item));
	}
	btrfs_cursor_fini(&c);
	return err;
}

int btrfs_node_get(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		   struct btrfs_node *out)
{
	struct btrfs_tree *tree;
	int err = btrfs_subvol_writable(fs, in.subvol, &tree);

	if (!err && in.ino == BTRFS_STUB_DIR)
		err = btrfs_fail(fs, -EROFS, "a subvolume inside a snapshot "
				 "is not part of it, only its place is");
	return err ? err : btrfs_node_read(fs, tree, in.ino, out);
}

int btrfs_node_get_dir(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       struct btrfs_node *out)
{
	int err = btrfs_node_get(fs, in, out);

	if (!err && !btrfs_node_is_dir(out))
		err = btrfs_fail(fs, -ENOTDIR, "inode %llu is no directory",
				 (unsigned long long)in.ino);
	return err;
}

int btrfs_node_put(struct r3_btrfs *fs, struct btrfs_node *node, bool ctime)
{
	struct btrfs_inode_item *i = &node->item;
	struct btrfs_spot spot;
	int err;

	i->transid = to_le64(btrfs_transid(fs));
	i->sequence = to_le64(le64(i->sequence) + 1);
	if (ctime)
		btrfs_now(fs, &i->ctime);
	err = btrfs_item_edit(fs, node->tree,
			      KEY(node->ino, BTRFS_INODE_ITEM, 0), &spot);
	if (!err)
		memcpy(spot.data, i, sizeof(*i));
	return err;
}

/* Before the operation the reservation may make room by a commit; a commit at
 * the operation's start drops it again. */
int btrfs_start_within_quota(struct r3_btrfs *fs, uint64_t subvol,
			     unsigned items, uint64_t bytes)
{
	int err = btrfs_quota_reserve(fs, subvol, bytes);
	uint64_t transid = btrfs_transid(fs);

	if (!err)
		err = btrfs_trans_start(fs, items, BTRFS_USES);
	if (err || btrfs_transid(fs) == transid)
		return err;
	err = btrfs_quota_reserve(fs, subvol, bytes);
	return err ? btrfs_trans_end(fs, err) : 0;
}

/* As the kernel: the highest number in use and one, so that numbers of removed
 * inodes may come again in a later opening, but never in one. */
int btrfs_node_next_ino(struct r3_btrfs *fs, struct btrfs_tree *tree,
			uint64_t *ino)
{
	struct btrfs_cursor c;
	int err = 0;

	if (!tree->next_ino) {
		btrfs_cursor_init(&c, fs, tree->root);
		err = btrfs_cursor_seek_back(&c, KEY(BTRFS_LAST_FREE,
						     UINT8_MAX, UINT64_MAX));
		if (!err)
			tree->next_ino = r3_max(c.key.objectid,
						BTRFS_FIRST_FREE - 1) + 1;
		btrfs_cursor_fini(&c);
	}
	if (!err && tree->next_ino >= BTRFS_LAST_FREE)
		err = btrfs_fail(fs, -ENOSPC, "subvolume %llu has no inode "
				 "number left",
				 (unsigned long long)tree->root->id);
	if (!err)
		*ino = tree->next_ino++;
	return err;
}

/* ---- the index of entries ----------------------------------------------- */

/* One past the last entry's. */
static int find_next_index(struct r3_btrfs *fs, const struct btrfs_node *dir,
			   uint64_t *next)
{
	struct btrfs_cursor c;
	int err;

	*next = BTRFS_DIR_FIRST_INDEX;
	btrfs_cursor_init(&c, fs, dir->tree->root);
	err = btrfs_cursor_seek_back(&c, KEY(dir->ino, BTRFS_DIR_INDEX,
					     UINT64_MAX));
	if (!err && c.key.objectid == dir->ino &&
	    c.key.type == BTRFS_DIR_INDEX)
		*next = r3_max(c.key.offset + 1, *next);
	if (!err && c.key.offset >= UINT64_MAX - 1 &&
	    c.key.type == BTRFS_DIR_INDEX) /* the one after ours must fit */
		err = btrfs_fail(fs, -EUCLEAN, "%s: the last index there is",
				 btrfs_cursor_where(&c).s);
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

int btrfs_node_next_index(struct r3_btrfs *fs, const struct btrfs_node *dir,
			  uint64_t *index)
{
	uint64_t tree = dir->tree->root->id, generation, next;
	unsigned slot;
	int err;

	if (!fs->names)
		fs->names = calloc(1, sizeof(*fs->names));
	if (!fs->names)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	generation = le64(dir->item.generation);
	slot = (unsigned)((dir->ino ^ tree << 20) * 0x9e3779b97f4a7c15u >> 32) %
	       DIRS;
	if (fs->names->dirs[slot].tree == tree &&
	    fs->names->dirs[slot].ino == dir->ino &&
	    fs->names->dirs[slot].generation == generation) {
		*index = fs->names->dirs[slot].next++;
		return 0;
	}
	err = find_next_index(fs, dir, &next);
	if (err)
		return err;
	fs->names->dirs[slot].tree = tree;
	fs->names->dirs[slot].ino = dir->ino;
	fs->names->dirs[slot].generation = generation;
	fs->names->dirs[slot].next = next + 1;
	*index = next;
	return 0;
}

void btrfs_names_free(struct r3_btrfs *fs)
{
	free(fs->names);
	fs->names = NULL;
}
