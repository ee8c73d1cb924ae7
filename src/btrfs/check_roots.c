// SPDX-License-Identifier: GPL-2.0-or-later
/* check_roots.c - subvolumes: their place, their names, both ways */
#include "check.h"

/* The item with exactly this key, in @cur; false when it isn't there. */
static int find_exactly(struct btrfs_cursor *cur, struct btrfs_key key,
			bool *there)
{
	int err = btrfs_cursor_seek(cur, key);

	*there = !err && !btrfs_key_cmp(cur->key, key);
	return err == -ENOENT ? 0 : err;
}

/* Does the entry at (dirid, DIR_INDEX, sequence) of @parent lead to @child? */
static int has_entry(struct check *c, uint64_t parent, uint64_t child,
		     const struct btrfs_root_ref *ref, bool *there)
{
	const struct btrfs_dir_item *d;
	struct btrfs_cursor cur;
	struct btrfs_root root;
	int err = btrfs_root_find(c->fs, parent, &root);

	*there = false;
	if (err)
		return err == -ENOENT ? 0 : err;
	btrfs_cursor_init(&cur, c->fs, &root);
	err = find_exactly(&cur, KEY(le64(ref->dirid), BTRFS_DIR_INDEX,
				     le64(ref->sequence)), there);
	if (!err && *there) {
		d = cur.data;
		*there = le64(d->location.objectid) == child &&
			 d->location.type == BTRFS_ROOT_ITEM &&
			 le16(d->name_len) == le16(ref->name_len) &&
			 !memcmp(d + 1, ref + 1, le16(ref->name_len));
	}
	btrfs_cursor_fini(&cur);
	return err;
}

/* A ROOT_REF or ROOT_BACKREF under the cursor: the other one is equal, and
 * the parent's directory has the entry. */
static int check_ref(struct check *c, const struct btrfs_cursor *at)
{
	bool back = at->key.type == BTRFS_ROOT_BACKREF, there;
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, c->fs, &c->fs->tree_root);
	err = find_exactly(&cur, KEY(at->key.offset,
				     back ? BTRFS_ROOT_REF
					  : BTRFS_ROOT_BACKREF,
				     at->key.objectid), &there);
	if (!err && (!there || cur.size != at->size ||
		     memcmp(cur.data, at->data, at->size)))
		check_problem(c, "%s: nothing like it the other way round",
			      btrfs_cursor_where(at).s);
	btrfs_cursor_fini(&cur);
	if (err || back)
		return err;
	err = has_entry(c, at->key.objectid, at->key.offset, at->data, &there);
	if (!err && !there)
		check_problem(c, "%s: no such entry in directory %llu",
			      btrfs_cursor_where(at).s,
			      (unsigned long long)le64(
			      ((const struct btrfs_root_ref *)
			       at->data)->dirid));
	return err;
}

/* ROOT_ITEM comes right before ROOT_BACKREF: @open is the subvolume whose
 * place was not seen yet. */
static void no_place(struct check *c, uint64_t open)
{
	if (open)
		check_problem(c, "tree root key (%llu ROOT_ITEM): the "
			      "subvolume is in no directory",
			      (unsigned long long)open);
}

int check_roots(struct check *c)
{
	struct btrfs_root_item r;
	struct btrfs_cursor cur;
	uint64_t open = 0;
	int err;

	btrfs_cursor_init(&cur, c->fs, &c->fs->tree_root);
	err = btrfs_cursor_seek(&cur, KEY(BTRFS_FS_TREE, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		uint64_t id = cur.key.objectid;

		if (cur.key.type == BTRFS_ROOT_ITEM && btrfs_is_fs_tree(id)) {
			no_place(c, open);
			btrfs_root_item_get(&r, cur.data, cur.size);
			open = le32(r.refs) && id != BTRFS_FS_TREE ? id : 0;
		}
		if (cur.key.type == BTRFS_ROOT_BACKREF && id == open)
			open = 0;
		if (cur.key.type == BTRFS_ROOT_REF ||
		    cur.key.type == BTRFS_ROOT_BACKREF)
			err = check_ref(c, &cur);
		if (err)
			break;
	}
	btrfs_cursor_fini(&cur);
	if (err && err != -ENOENT)
		return err;
	no_place(c, open);
	return 0;
}
