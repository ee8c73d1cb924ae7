// SPDX-License-Identifier: GPL-2.0-or-later
/* inode.c - inodes, directories, paths, xattrs, as a mount shows them */
#include <sys/stat.h>
#include <dirent.h>
#include <sys/sysmacros.h>

#include "priv.h"

static const uint8_t dt_of[BTRFS_FT_MAX] = {
	[BTRFS_FT_REG] = DT_REG,   [BTRFS_FT_DIR] = DT_DIR,
	[BTRFS_FT_CHR] = DT_CHR,   [BTRFS_FT_BLK] = DT_BLK,
	[BTRFS_FT_FIFO] = DT_FIFO, [BTRFS_FT_SOCK] = DT_SOCK,
	[BTRFS_FT_LNK] = DT_LNK,
};

/* A cursor on the first item of @in that is >= (type, offset); -ENOENT when
 * the inode has no such item.  The caller ends it in every case. */
static int seek_in(struct r3_btrfs *fs, struct btrfs_cursor *c,
		   struct r3_btrfs_inode in, uint8_t type, uint64_t offset)
{
	struct btrfs_root root = { 0 };
	int err = btrfs_subvol_root(fs, in.subvol, &root);

	btrfs_cursor_init(c, fs, &root);
	if (!err)
		err = btrfs_cursor_seek(c, KEY(in.ino, type, offset));
	if (!err && (c->key.objectid != in.ino || c->key.type != type))
		err = -ENOENT;
	return err;
}

/* The next item of the same inode and type. */
static int next_in(struct btrfs_cursor *c)
{
	struct btrfs_key key = c->key;
	int err = btrfs_cursor_next(c);

	if (!err && (c->key.objectid != key.objectid ||
		     c->key.type != key.type))
		err = -ENOENT;
	return err;
}

/* What a mount shows for a subvolume inside a snapshot of its parent. */
static void stat_stub(struct r3_btrfs_stat *out)
{
	*out = (struct r3_btrfs_stat){
		.st = { .st_ino = BTRFS_STUB_DIR, .st_nlink = 1,
			.st_mode = S_IFDIR | 0755 },
	};
}

static void stat_fill(struct r3_btrfs_stat *out, uint64_t ino,
		      const struct btrfs_inode_item *i)
{
	uint64_t rdev = le64(i->rdev);

	memset(out, 0, sizeof(*out));
	out->st.st_ino = ino;
	out->st.st_size = (off_t)le64(i->size);
	out->st.st_blocks = (blkcnt_t)((le64(i->nbytes) + 511) / 512);
	out->st.st_blksize = BTRFS_SECTOR;
	out->st.st_nlink = le32(i->nlink);
	out->st.st_uid = le32(i->uid);
	out->st.st_gid = le32(i->gid);
	out->st.st_mode = le32(i->mode);
	/* As the kernel packs it: 20 bits of minor, 12 of major above. */
	out->st.st_rdev = makedev((unsigned)(rdev >> 20),
				  (unsigned)(rdev & 0xfffff));
	out->st.st_atim = btrfs_time_get(i->atime);
	out->st.st_mtim = btrfs_time_get(i->mtime);
	out->st.st_ctim = btrfs_time_get(i->ctime);
	out->otime = btrfs_time_get(i->otime);
	out->flags = le64(i->flags);
	out->rdev = rdev;
	out->generation = le64(i->generation);
	out->transid = le64(i->transid);
}

int r3_btrfs_stat(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		  struct r3_btrfs_stat *out)
{
	struct btrfs_cursor c;
	int err;

	if (in.ino == BTRFS_STUB_DIR) {
		stat_stub(out);
		return 0;
	}
	err = seek_in(fs, &c, in, BTRFS_INODE_ITEM, 0);
	if (err == -ENOENT)
		btrfs_fail(fs, err, "subvolume %llu has no inode %llu",
			   (unsigned long long)in.subvol,
			   (unsigned long long)in.ino);
	if (!err)
		stat_fill(out, in.ino, c.data);
	btrfs_cursor_fini(&c);
	return err;
}

/* Is the subvolume that @e names really here, or only seen through a snapshot
 * of its parent?  It has one place, which its ROOT_BACKREF says. */
static int is_stub(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		   uint64_t child, struct r3_btrfs_dirent *e)
{
	char name[BTRFS_NAME_MAX + 1];
	uint64_t parent, dirid;
	int err = btrfs_subvol_parent(fs, child, &parent, &dirid, name);

	if (err && err != -ENOENT)
		return err;
	e->stub = err || parent != dir.subvol || dirid != dir.ino ||
		  strcmp(name, e->name);
	return 0;
}

/* A directory has one name.  Who walks a tree may rely on that: without it a
 * damaged image could hold a directory in itself, or twice. */
static int has_one_place(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			 const struct r3_btrfs_dirent *e)
{
	char name[BTRFS_NAME_MAX + 1];
	struct btrfs_root root;
	uint64_t parent = 0;
	int err = btrfs_subvol_root(fs, dir.subvol, &root);

	if (!err)
		err = btrfs_inode_name(fs, &root, e->in.ino, &parent, name);
	if (err && err != -ENOENT)
		return err;
	if (!err && parent == dir.ino && !strcmp(name, e->name))
		return 0;
	return btrfs_fail(fs, -EUCLEAN, "subvolume %llu directory %llu: its "
			  "entry for inode %llu is not that directory's name",
			  (unsigned long long)dir.subvol,
			  (unsigned long long)dir.ino,
			  (unsigned long long)e->in.ino);
}

static int entry_fill(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		      const struct btrfs_dir_item *d,
		      struct r3_btrfs_dirent *e)
{
	struct btrfs_key to = btrfs_key_get(&d->location);
	int err;

	e->in = (struct r3_btrfs_inode){ dir.subvol, to.objectid };
	e->type = dt_of[d->type];
	e->stub = false;
	e->name_len = le16(d->name_len);
	memcpy(e->name, d + 1, e->name_len);
	e->name[e->name_len] = 0;
	if (to.type != BTRFS_ROOT_ITEM)
		return e->type == DT_DIR ? has_one_place(fs, dir, e) : 0;
	err = is_stub(fs, dir, to.objectid, e);
	if (err)
		return err;
	e->in = e->stub ? (struct r3_btrfs_inode){ dir.subvol, BTRFS_STUB_DIR }
			: (struct r3_btrfs_inode){ to.objectid,
						   R3_BTRFS_ROOT_INO };
	return 0;
}

int r3_btrfs_each_entry(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			uint64_t from,
			int (*each)(void *arg,
				    const struct r3_btrfs_dirent *entry),
			void *arg)
{
	struct r3_btrfs_dirent e;
	struct btrfs_cursor c;
	int err;

	if (dir.ino == BTRFS_STUB_DIR)
		return 0;
	err = seek_in(fs, &c, dir, BTRFS_DIR_INDEX, from);
	for (; !err; err = next_in(&c)) {
		e.index = c.key.offset;
		err = entry_fill(fs, dir, c.data, &e);
		if (!err)
			err = each(arg, &e);
		if (err)
			goto out;
	}
	if (err == -ENOENT)
		err = 0;
out:
	btrfs_cursor_fini(&c);
	return err;
}

const struct btrfs_dir_item *btrfs_dir_item_pick(struct r3_span s,
						 const char *name, size_t len)
{
	while (s.len) {
		const struct btrfs_dir_item *d = r3_take(&s, sizeof(*d));
		const void *its = r3_take(&s, le16(d->name_len));

		r3_take(&s, le16(d->data_len));
		if (le16(d->name_len) == len && !memcmp(its, name, len))
			return d;
	}
	return NULL;
}

/* One name of a directory, by its hash. */
int r3_btrfs_lookup_at(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		       const char *name, size_t len,
		       struct r3_btrfs_dirent *out)
{
	uint64_t hash = btrfs_name_hash(name, len);
	const struct btrfs_dir_item *d;
	struct btrfs_cursor c;
	int err;

	if (dir.ino == BTRFS_STUB_DIR)
		return -ENOENT;
	err = seek_in(fs, &c, dir, BTRFS_DIR_ITEM, hash);
	if (!err && c.key.offset != hash)
		err = -ENOENT;
	if (!err) {
		d = btrfs_dir_item_pick((struct r3_span){ c.data, c.size },
					name, len);
		err = d ? entry_fill(fs, dir, d, out) : -ENOENT;
		out->index = 0;
	}
	btrfs_cursor_fini(&c);
	return err;
}

static int lookup_fail(struct r3_btrfs *fs, int err, const char *path,
		       size_t len)
{
	return btrfs_fail(fs, err, "%.*s: %s", (int)len, path, strerror(-err));
}

int r3_btrfs_lookup(struct r3_btrfs *fs, const char *path,
		    struct r3_btrfs_inode *out)
{
	/* ".." takes the last one away: no path is deeper than this */
	struct r3_btrfs_inode stack[R3_BTRFS_PATH_MAX / 2 + 1] = {
		{ R3_BTRFS_TOP, R3_BTRFS_ROOT_INO } };
	struct r3_btrfs_dirent e = { .type = DT_DIR };
	unsigned depth = 0;
	const char *p = path;
	int err;

	if (strlen(path) >= R3_BTRFS_PATH_MAX)
		return lookup_fail(fs, -ENAMETOOLONG, path, 64);
	while (*(p += strspn(p, "/"))) {
		size_t len = strcspn(p, "/"), upto = (size_t)(p - path) + len;

		if (e.type != DT_DIR)
			return lookup_fail(fs, -ENOTDIR, path, upto);
		if (len == 2 && !memcmp(p, "..", 2)) {
			depth -= depth > 0;
		} else if (len > 1 || *p != '.') {
			err = len > BTRFS_NAME_MAX ? -ENAMETOOLONG :
			      r3_btrfs_lookup_at(fs, stack[depth], p, len,
						 &e);
			if (err == -ENOENT || err == -ENAMETOOLONG)
				return lookup_fail(fs, err, path, upto);
			if (err)
				return err;
			stack[++depth] = e.in;
		}
		p += len;
	}
	if (e.type != DT_DIR && p[-1] == '/')
		return lookup_fail(fs, -ENOTDIR, path, (size_t)(p - path));
	*out = stack[depth];
	return 0;
}

int r3_btrfs_each_xattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			int (*each)(void *arg, const char *name,
				    size_t name_len, const void *value,
				    size_t len),
			void *arg)
{
	struct btrfs_cursor c;
	int err;

	if (in.ino == BTRFS_STUB_DIR)
		return 0;
	err = seek_in(fs, &c, in, BTRFS_XATTR_ITEM, 0);
	for (; !err; err = next_in(&c)) {
		struct r3_span s = { c.data, c.size };

		while (s.len && !err) {
			const struct btrfs_dir_item *d =
				r3_take(&s, sizeof(*d));
			const char *name = r3_take(&s, le16(d->name_len));

			err = each(arg, name, le16(d->name_len),
				   r3_take(&s, le16(d->data_len)),
				   le16(d->data_len));
		}
		if (err)
			goto out;
	}
	if (err == -ENOENT)
		err = 0;
out:
	btrfs_cursor_fini(&c);
	return err;
}

int r3_btrfs_get_xattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const char *name, size_t name_len, void *value,
		       size_t room, size_t *len)
{
	uint64_t hash = btrfs_name_hash(name, name_len);
	const struct btrfs_dir_item *d = NULL;
	struct btrfs_cursor c;
	int err;

	if (in.ino == BTRFS_STUB_DIR)
		return -ENODATA;
	err = seek_in(fs, &c, in, BTRFS_XATTR_ITEM, hash);
	if (!err && c.key.offset == hash)
		d = btrfs_dir_item_pick((struct r3_span){ c.data, c.size },
					name, name_len);
	if (err == -ENOENT || (!err && !d))
		err = -ENODATA;
	if (!err) {
		*len = le16(d->data_len);
		if (*len > room)
			err = -ERANGE;
		else
			memcpy(value, (const char *)(d + 1) + name_len, *len);
	}
	btrfs_cursor_fini(&c);
	return err;
}

int r3_btrfs_readlink(struct r3_btrfs *fs, struct r3_btrfs_inode in, char *out)
{
	const struct btrfs_file_extent *x;
	struct btrfs_cursor c;
	size_t len;
	int err = seek_in(fs, &c, in, BTRFS_EXTENT_DATA, 0);

	if (err == -ENOENT)
		btrfs_fail(fs, err = -EUCLEAN, "subvolume %llu inode %llu: a "
			   "symbolic link without a target",
			   (unsigned long long)in.subvol,
			   (unsigned long long)in.ino);
	if (!err) {
		x = c.data;
		len = c.size - sizeof(*x);
		if (x->type != BTRFS_FILE_INLINE || x->compression ||
		    len >= R3_BTRFS_PATH_MAX || memchr(x + 1, 0, len)) {
			err = btrfs_fail(fs, -EUCLEAN, "%s: not the target of "
					 "a symbolic link",
					 btrfs_cursor_where(&c).s);
		} else {
			memcpy(out, x + 1, len);
			out[len] = 0;
		}
	}
	btrfs_cursor_fini(&c);
	return err;
}

uint8_t btrfs_type_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return BTRFS_FT_REG;
	case S_IFDIR:
		return BTRFS_FT_DIR;
	case S_IFCHR:
		return BTRFS_FT_CHR;
	case S_IFBLK:
		return BTRFS_FT_BLK;
	case S_IFIFO:
		return BTRFS_FT_FIFO;
	case S_IFSOCK:
		return BTRFS_FT_SOCK;
	case S_IFLNK:
		return BTRFS_FT_LNK;
	}
	return BTRFS_FT_UNKNOWN;
}
