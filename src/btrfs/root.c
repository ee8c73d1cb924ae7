// SPDX-License-Identifier: GPL-2.0-or-later
/* root.c - trees and subvolumes: their items in the root tree */
#include <stdlib.h>

#include "trans.h"

/* Subvolumes lie in each other at most this deep; also ends a loop of
 * references to the parent. */
enum { NEST_MAX = 1024 };

void btrfs_root_item_get(struct btrfs_root_item *out, const void *data,
			 size_t len)
{
	struct btrfs_root_item r = { 0 };

	memcpy(&r, data, r3_min(len, sizeof(r)));
	/* A kernel of before 3.5 changes the generation, not its copy: then
	 * what follows the copy is of no use. */
	if (le64(r.generation) != le64(r.generation_v2))
		memset((char *)&r + BTRFS_ROOT_ITEM_V1, 0,
		       sizeof(r) - BTRFS_ROOT_ITEM_V1);
	*out = r;
}

int btrfs_root_load(struct r3_btrfs *fs, uint64_t id, struct btrfs_key *key,
		    struct btrfs_root_item *item, struct btrfs_root *out)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(id, BTRFS_ROOT_ITEM, 0));
	if (!err && (c.key.objectid != id || c.key.type != BTRFS_ROOT_ITEM))
		err = -ENOENT;
	if (err == -ENOENT)
		btrfs_fail(fs, err, "there is no tree %s",
			   btrfs_tree_text(id).s);
	if (!err) {
		*key = c.key;
		btrfs_root_item_get(item, c.data, c.size);
		if (!le64(item->bytenr))
			err = btrfs_fail(fs, -EUCLEAN, "%s: block 0",
					 btrfs_cursor_where(&c).s);
		else
			*out = (struct btrfs_root){ id, le64(item->bytenr),
						    le64(item->generation),
						    item->level };
	}
	btrfs_cursor_fini(&c);
	return err;
}

int btrfs_root_find(struct r3_btrfs *fs, uint64_t id, struct btrfs_root *out)
{
	const struct btrfs_tree *live = btrfs_tree_live(fs, id);
	struct btrfs_root_item item;
	struct btrfs_key key;

	if (!live)
		return btrfs_root_load(fs, id, &key, &item, out);
	*out = *live->root;
	return 0;
}

static bool is_dead(const struct btrfs_root_item *item)
{
	return !le32(item->refs) || le64(item->flags) & BTRFS_ROOT_DEAD;
}

static int no_subvol(struct r3_btrfs *fs, uint64_t id)
{
	return btrfs_fail(fs, -ENOENT, "%llu is no subvolume",
			  (unsigned long long)id);
}

int btrfs_subvol_root(struct r3_btrfs *fs, uint64_t id, struct btrfs_root *out)
{
	const struct btrfs_tree *live = btrfs_tree_live(fs, id);
	struct btrfs_root_item item;
	struct btrfs_key key;
	int err;

	if (!btrfs_is_fs_tree(id) ||
	    (live && is_dead(&live->item) && id != fs->receiving))
		return no_subvol(fs, id);
	if (live) {
		*out = *live->root;
		return 0;
	}
	if (fs->fs_cached.id != id) {
		fs->fs_cached.id = 0;
		err = btrfs_root_load(fs, id, &key, &item, out);
		if (err)
			return err;
		if (is_dead(&item))
			return no_subvol(fs, id);
		fs->fs_cached = *out;
	}
	*out = fs->fs_cached;
	return 0;
}

/* The ROOT_BACKREF of @id: its parent, and its name there. */
int btrfs_subvol_parent(struct r3_btrfs *fs, uint64_t id, uint64_t *parent,
			uint64_t *dirid, char *name)
{
	const struct btrfs_root_ref *r;
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(id, BTRFS_ROOT_BACKREF, 0));
	if (!err && (c.key.objectid != id || c.key.type != BTRFS_ROOT_BACKREF))
		err = -ENOENT;
	if (!err) {
		r = c.data;
		*parent = c.key.offset;
		*dirid = le64(r->dirid);
		memcpy(name, r + 1, le16(r->name_len));
		name[le16(r->name_len)] = 0;
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* Put "@text/" before what @out holds at @at; the new start, or < 0. */
static int prepend(char *out, int at, const char *text)
{
	int len = (int)strlen(text);

	if (at < len + 1)
		return -ENAMETOOLONG;
	out[--at] = '/';
	memcpy(out + at - len, text, (size_t)len);
	return at - len;
}

/* The inode's first name and parent directory; one name of many is enough. */
int btrfs_inode_name(struct r3_btrfs *fs, const struct btrfs_root *root,
		     uint64_t ino, uint64_t *parent, char *name)
{
	const struct btrfs_inode_extref *x;
	const struct btrfs_inode_ref *r;
	struct btrfs_cursor c;
	unsigned len = 0;
	int err;

	btrfs_cursor_init(&c, fs, root);
	err = btrfs_cursor_seek(&c, KEY(ino, BTRFS_INODE_REF, 0));
	if (!err && c.key.objectid == ino && c.key.type == BTRFS_INODE_REF) {
		r = c.data;
		*parent = c.key.offset;
		memcpy(name, r + 1, len = le16(r->name_len));
	} else if (!err && c.key.objectid == ino &&
		   c.key.type == BTRFS_INODE_EXTREF) {
		x = c.data;
		*parent = le64(x->parent);
		memcpy(name, x + 1, len = le16(x->name_len));
	} else if (!err) {
		err = -ENOENT;
	}
	name[len] = 0;
	btrfs_cursor_fini(&c);
	return err;
}

/* Prepend the path of @ino within its subvolume. */
static int prepend_inode(struct r3_btrfs *fs, uint64_t subvol, uint64_t ino,
			 char *out, int at)
{
	char name[BTRFS_NAME_MAX + 1];
	struct btrfs_root root;
	int err = btrfs_subvol_root(fs, subvol, &root);

	for (int i = 0; !err && ino != R3_BTRFS_ROOT_INO; i++) {
		if (i == R3_BTRFS_PATH_MAX / 2)
			return -ELOOP;
		err = btrfs_inode_name(fs, &root, ino, &ino, name);
		if (!err)
			at = prepend(out, at, name);
		if (!err && at < 0)
			err = at;
	}
	return err ? err : at;
}

int btrfs_inode_path(struct r3_btrfs *fs, uint64_t subvol, uint64_t ino,
		     char *out)
{
	char buf[R3_BTRFS_PATH_MAX];
	int at = prepend_inode(fs, subvol, ino, buf, sizeof(buf));

	if (at < 0)
		return at;
	memcpy(out, buf + at, sizeof(buf) - (size_t)at);
	out[sizeof(buf) - (size_t)at - (at < (int)sizeof(buf))] = 0;
	return 0;
}

int btrfs_subvol_path(struct r3_btrfs *fs, uint64_t id, char *out)
{
	char buf[R3_BTRFS_PATH_MAX], name[BTRFS_NAME_MAX + 1];
	int err, at = sizeof(buf);
	uint64_t parent, dirid;

	for (unsigned i = 0; id != BTRFS_FS_TREE; i++) {
		if (i == NEST_MAX)
			return btrfs_fail(fs, -ELOOP, "subvolume %llu lies in "
					  "itself", (unsigned long long)id);
		err = btrfs_subvol_parent(fs, id, &parent, &dirid, name);
		if (err)
			return err;
		at = prepend(buf, at, name);
		if (at >= 0)
			at = prepend_inode(fs, parent, dirid, buf, at);
		if (at < 0)
			return at;
		id = parent;
	}
	memcpy(out, buf + at, sizeof(buf) - (size_t)at);
	/* "a/b/": without the last slash */
	out[sizeof(buf) - (size_t)at - (at < (int)sizeof(buf))] = 0;
	return 0;
}

static int subvol_fill(struct r3_btrfs *fs, const struct btrfs_cursor *c,
		       struct r3_btrfs_subvol *s)
{
	const struct btrfs_tree *live =
		btrfs_tree_live(fs, c->key.objectid);
	struct btrfs_root_item r;
	int err;

	btrfs_root_item_get(&r, c->data, c->size);
	if (live)
		r = live->item;
	memset(s, 0, offsetof(struct r3_btrfs_subvol, path) + 1);
	s->id = c->key.objectid;
	s->snapshot = c->key.offset;
	s->generation = live ? live->root->generation : le64(r.generation);
	s->otransid = le64(r.otransid);
	s->ctransid = le64(r.ctransid);
	s->stransid = le64(r.stransid);
	s->rtransid = le64(r.rtransid);
	s->flags = le64(r.flags);
	s->readonly = s->flags & BTRFS_ROOT_RDONLY;
	s->dead = is_dead(&r);
	s->otime = btrfs_time_get(r.otime);
	s->ctime = btrfs_time_get(r.ctime);
	memcpy(s->uuid, r.uuid, 16);
	memcpy(s->parent_uuid, r.parent_uuid, 16);
	memcpy(s->received_uuid, r.received_uuid, 16);
	if (s->dead)
		return 0;
	err = btrfs_subvol_parent(fs, s->id, &s->parent, &s->dirid,
				  s->name);
	if (!err)
		err = btrfs_subvol_path(fs, s->id, s->path);
	/* An orphan has no path, which is not this call's failure. */
	return err == -ENOENT || err == -ENAMETOOLONG || err == -ELOOP ? 0
								     : err;
}

int r3_btrfs_get_subvol(struct r3_btrfs *fs, uint64_t id,
			struct r3_btrfs_subvol *out)
{
	struct btrfs_cursor c;
	int err = -ENOENT;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	if (btrfs_is_fs_tree(id))
		err = btrfs_cursor_seek(&c, KEY(id, BTRFS_ROOT_ITEM, 0));
	if (!err && (c.key.objectid != id || c.key.type != BTRFS_ROOT_ITEM))
		err = -ENOENT;
	if (!err)
		err = subvol_fill(fs, &c, out);
	if (!err && out->dead)
		err = -ENOENT;
	if (err == -ENOENT)
		btrfs_fail(fs, err, "there is no subvolume %llu",
			   (unsigned long long)id);
	btrfs_cursor_fini(&c);
	return err;
}

int r3_btrfs_each_subvol(struct r3_btrfs *fs,
			 int (*each)(void *arg,
				     const struct r3_btrfs_subvol *subvol),
			 void *arg)
{
	struct r3_btrfs_subvol *s = malloc(sizeof(*s));
	struct btrfs_cursor c;
	int err;

	if (!s)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_FIRST_FREE, 0, 0));
	for (; !err && c.key.objectid <= BTRFS_LAST_FREE;
	     err = btrfs_cursor_next(&c)) {
		if (c.key.type != BTRFS_ROOT_ITEM)
			continue;
		err = subvol_fill(fs, &c, s);
		if (!err)
			err = each(arg, s);
		if (err)
			goto out;
	}
	if (err == -ENOENT)
		err = 0;
out:
	btrfs_cursor_fini(&c);
	free(s);
	return err;
}
