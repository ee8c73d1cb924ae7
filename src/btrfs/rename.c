// SPDX-License-Identifier: GPL-2.0-or-later
/* rename.c - names that move, replace others, or change places */
#include <stdio.h>

#include "names.h"

/* Directories are at most this deep; also ends a loop in a damaged image. */
enum { DEPTH_MAX = 1 << 20 };

/* One of the two names. */
struct side {
	struct btrfs_node *dir;
	const char *name;
	size_t len;
	bool there;
	struct btrfs_entry entry; /* when there */
};

struct rename {
	struct btrfs_node dirs[2]; /* the second is unused when there is one */
	struct side from, to;
	unsigned flags;
	bool replaces;		   /* what to names goes */
	struct btrfs_victim victim;
};

static bool is_subvol(const struct side *s)
{
	return s->entry.location.type == BTRFS_ROOT_ITEM;
}

static bool is_dir(const struct side *s)
{
	return s->entry.type == BTRFS_FT_DIR;
}

static struct btrfs_backref backref(const struct side *what,
				    const struct side *where)
{
	return (struct btrfs_backref){ .location = what->entry.location,
				       .dir = where->dir->ino,
				       .name = where->name,
				       .len = where->len };
}

/* ---- looking ------------------------------------------------------------ */

/* One directory up; -ENOENT at the top. */
static int parent_of(struct r3_btrfs *fs, struct r3_btrfs_inode *in)
{
	char name[BTRFS_NAME_MAX + 1];
	struct btrfs_root root;
	int err;

	if (in->ino == R3_BTRFS_ROOT_INO) {
		if (in->subvol == R3_BTRFS_TOP)
			return -ENOENT;
		return btrfs_subvol_parent(fs, in->subvol, &in->subvol,
					   &in->ino, name);
	}
	err = btrfs_subvol_root(fs, in->subvol, &root);
	return err ? err : btrfs_inode_name(fs, &root, in->ino, &in->ino,
					    name);
}

/* -EINVAL when the directory @at is @what or lies in it. */
static int not_below(struct r3_btrfs *fs, const struct side *what,
		     const struct btrfs_node *at)
{
	struct r3_btrfs_inode top = { what->dir->tree->root->id,
				      what->entry.location.objectid };
	struct r3_btrfs_inode in = btrfs_node_in(at);
	int err = 0;

	if (is_subvol(what))
		top = (struct r3_btrfs_inode){ top.ino, R3_BTRFS_ROOT_INO };
	for (unsigned i = 0; !err; i++) {
		if (in.subvol == top.subvol && in.ino == top.ino)
			return btrfs_fail(fs, -EINVAL, "%.*s: a directory "
					  "can't move into itself",
					  (int)what->len, what->name);
		if (i == DEPTH_MAX)
			return btrfs_fail(fs, -ELOOP, "directory %llu lies in "
					  "itself",
					  (unsigned long long)at->ino);
		err = parent_of(fs, &in);
	}
	return err == -ENOENT ? 0 : err;
}

/* What may not leave the subvolume, or its place.  Source: the kernel's
 * btrfs_rename() and btrfs_rename_exchange(). */
static int may_move(struct r3_btrfs *fs, const struct rename *r,
		    const struct side *s)
{
	struct btrfs_tree *tree;

	if (!is_subvol(s) && r->from.dir->tree != r->to.dir->tree)
		return btrfs_fail(fs, -EXDEV, "%.*s: only a subvolume moves "
				  "to another one", (int)s->len, s->name);
	if (s->entry.stub)
		return btrfs_fail(fs, -ENOTEMPTY, "%.*s: a subvolume that a "
				  "snapshot only shows", (int)s->len, s->name);
	/* its parent changes, which is a change of the directory itself */
	return is_subvol(s) && r->from.dir != r->to.dir
		       ? btrfs_subvol_writable(fs, s->entry.location.objectid,
					       &tree) : 0;
}

static int may_replace(struct r3_btrfs *fs, const struct rename *r)
{
	const struct side *to = &r->to;

	if (is_dir(to) && !is_dir(&r->from))
		return btrfs_name_fail(fs, -EISDIR, to->name, to->len);
	if (!is_dir(to) && is_dir(&r->from))
		return btrfs_name_fail(fs, -ENOTDIR, to->name, to->len);
	if (is_subvol(to) && !to->entry.stub)
		return btrfs_fail(fs, -ENOTEMPTY, "%.*s: a subvolume is in "
				  "the way", (int)to->len, to->name);
	return 0;
}

/* In the order in which a kernel would refuse. */
static int may_rename(struct r3_btrfs *fs, const struct rename *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;
	bool apart = r->from.dir != r->to.dir;
	int err = 0;

	if (apart && is_dir(&r->from))
		err = not_below(fs, &r->from, r->to.dir);
	if (!err && apart && exchange && is_dir(&r->to))
		err = not_below(fs, &r->to, r->from.dir);
	if (!err && r->to.there && !exchange)
		err = may_replace(fs, r);
	if (!err)
		err = may_move(fs, r, &r->from);
	return err || !exchange ? err : may_move(fs, r, &r->to);
}

static int find_dirs(struct r3_btrfs *fs, struct r3_btrfs_inode from,
		     struct r3_btrfs_inode to, struct rename *r)
{
	bool same = from.subvol == to.subvol && from.ino == to.ino;
	int err = btrfs_node_get_dir(fs, from, &r->dirs[0]);

	if (!err && !same)
		err = btrfs_node_get_dir(fs, to, &r->dirs[1]);
	r->from.dir = &r->dirs[0];
	r->to.dir = &r->dirs[!same];
	return err;
}

static int find_names(struct r3_btrfs *fs, struct rename *r)
{
	struct side *from = &r->from, *to = &r->to;
	int err = btrfs_name_get(fs, from->dir->tree, from->dir->ino,
				 from->name, from->len, &from->entry);

	if (err)
		return err;
	err = btrfs_name_get(fs, to->dir->tree, to->dir->ino, to->name,
			     to->len, &to->entry);
	to->there = !err;
	if (err && (err != -ENOENT || r->flags & RENAME_EXCHANGE))
		return err;
	if (to->there && r->flags & RENAME_NOREPLACE)
		return btrfs_name_fail(fs, -EEXIST, to->name, to->len);
	return to->there ? 0 : btrfs_name_may_add(fs, to->dir, to->name,
						  to->len);
}

/* Two names of one inode, or one name twice: nothing is to be done. */
static bool is_same(const struct rename *r)
{
	return r->to.there && r->from.dir->tree == r->to.dir->tree &&
	       !btrfs_key_cmp(r->from.entry.location, r->to.entry.location);
}

static int look(struct r3_btrfs *fs, struct rename *r)
{
	struct btrfs_backref there = backref(&r->from, &r->to);
	struct btrfs_backref back = backref(&r->to, &r->from);
	bool exchange = r->flags & RENAME_EXCHANGE;
	int err = may_rename(fs, r);

	if (!err && r->to.there && !exchange) {
		r->replaces = true;
		err = btrfs_victim_get(fs, r->to.dir->tree, &r->to.entry,
				       &r->victim);
	}
	if (!err)
		err = btrfs_backref_room(fs, r->to.dir->tree, &there);
	if (!err && exchange)
		err = btrfs_backref_room(fs, r->from.dir->tree, &back);
	return err;
}

/* ---- changing ----------------------------------------------------------- */

static int take_away(struct r3_btrfs *fs, const struct side *s)
{
	struct btrfs_backref ref = backref(s, s);
	int err = btrfs_name_remove(fs, s->dir, s->name, s->len, &s->entry);

	return err ? err : btrfs_backref_remove(fs, s->dir->tree, &ref);
}

/* @what gets the name of @where; its own change is noted. */
static int put_there(struct r3_btrfs *fs, const struct side *what,
		     const struct side *where)
{
	struct btrfs_backref ref = backref(what, where);
	struct btrfs_entry entry = what->entry;
	struct btrfs_node node;
	int err = btrfs_name_add(fs, where->dir, where->name, where->len,
				 &entry);

	ref.index = entry.index;
	if (!err)
		err = btrfs_backref_add(fs, where->dir->tree, &ref);
	if (err || is_subvol(what))
		return err;
	err = btrfs_node_read(fs, where->dir->tree,
			      what->entry.location.objectid, &node);
	return err ? err : btrfs_node_put(fs, &node, true);
}

static int change(struct r3_btrfs *fs, struct rename *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;
	int err = 0;

	if (r->replaces)
		err = btrfs_victim_unlink(fs, r->to.dir, r->to.name,
					  r->to.len, &r->to.entry,
					  &r->victim);
	if (!err)
		err = take_away(fs, &r->from);
	if (!err && exchange)
		err = take_away(fs, &r->to);
	if (!err)
		err = put_there(fs, &r->from, &r->to);
	if (!err && exchange)
		err = put_there(fs, &r->to, &r->from);
	return err;
}

/* Entries and a reference come, and each leaf of the ways to them may have to
 * be copied. */
static int start(struct r3_btrfs *fs, const struct rename *r)
{
	uint64_t bytes = btrfs_meta_bytes(3, 80 + 3 * r->to.len);
	uint64_t from = r->from.dir->tree->root->id;
	uint64_t to = r->to.dir->tree->root->id;
	int err;

	if (r->flags & RENAME_EXCHANGE)
		bytes += btrfs_meta_bytes(3, 80 + 3 * r->from.len);
	do {
		err = btrfs_start_within_quota(fs, to, 16 + r->victim.items,
					       bytes);
		if (err)
			return err;
		if (from != to)
			err = btrfs_quota_reserve(fs, from, bytes);
		if (err)
			err = btrfs_trans_end(fs, err);
	} while (err == -EDQUOT && btrfs_quota_again(fs));
	return err;
}

int r3_btrfs_rename(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		    const char *name, size_t len, struct r3_btrfs_inode to_dir,
		    const char *to, size_t to_len, unsigned flags)
{
	struct rename r = { .from = { .name = name, .len = len },
			    .to = { .name = to, .len = to_len },
			    .flags = flags };
	int err;

	if (flags && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return btrfs_fail(fs, -EINVAL, "rename flags 0x%x", flags);
	err = find_dirs(fs, dir, to_dir, &r);
	if (!err)
		err = find_names(fs, &r);
	if (err || is_same(&r))
		return err;
	err = look(fs, &r);
	if (!err)
		err = start(fs, &r);
	if (!err)
		err = btrfs_trans_end(fs, change(fs, &r));
	return err || !r.replaces ? err : btrfs_victim_finish(fs, &r.victim);
}
