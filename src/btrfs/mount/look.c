// SPDX-License-Identifier: GPL-2.0-or-later
/* look.c - names, directories, attributes and data, as the kernel asks */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount.h"

enum { STUB_INO = 2 }; /* as r3_btrfs_stat() gives it for stubs */

struct r3_btrfs_inode mount_inode(const struct mount *m, fuse_ino_t ino)
{
	const struct node *n = nodes_at(&m->nodes, ino);

	return n ? n->in : (struct r3_btrfs_inode){ 0 };
}

/*
 * A mount has one st_dev, and programs take two names with one (st_dev, st_ino)
 * for hard links.  So inodes of other subvolumes than the mounted one get the
 * subvolume's number into st_ino, and stubs their own.
 */
static ino_t shown_ino(const struct mount *m, struct r3_btrfs_inode in,
		       uint64_t stub)
{
	uint64_t mixed;

	if (stub)
		return stub | UINT64_C(3) << 62;
	if (in.subvol == m->subvol)
		return in.ino;
	if (in.subvol < 1 << 15 && !(in.ino >> 48))
		return in.subvol << 48 | in.ino;
	mixed = (in.subvol * UINT64_C(0x9e3779b97f4a7c15)) ^ in.ino;
	return (mixed & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
}

int mount_attr(struct mount *m, const struct node *n, struct stat *out)
{
	struct r3_btrfs_stat s;
	int err = r3_btrfs_stat(m->fs, n->in, &s);

	if (err)
		return err;
	*out = s.st;
	out->st_ino = shown_ino(m, n->in, n->stub);
	return 0;
}

int mount_entry(struct mount *m, struct r3_btrfs_inode in, uint64_t stub,
		struct fuse_entry_param *out)
{
	struct node gone, n = { .in = in, .stub = stub };
	int err;

	memset(out, 0, sizeof(*out));
	err = nodes_get(&m->nodes, in, stub, &out->ino);
	if (err)
		return err;
	err = mount_attr(m, &n, &out->attr);
	if (err)
		nodes_put(&m->nodes, out->ino, 1, &gone);
	out->attr_timeout = MOUNT_KEEP_S;
	out->entry_timeout = MOUNT_KEEP_S;
	return err;
}

static uint64_t stub_of(struct r3_btrfs_inode dir,
			const struct r3_btrfs_dirent *e)
{
	return e->stub ? nodes_stub(dir, e->name, e->name_len) : 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode dir = mount_inode(m, parent);
	struct fuse_entry_param entry;
	struct r3_btrfs_dirent e;
	size_t len = strlen(name);
	int err = -ENAMETOOLONG;

	if (len <= R3_BTRFS_NAME_MAX)
		err = r3_btrfs_lookup_at(m->fs, dir, name, len, &e);
	if (err == -ENOENT) { /* which the kernel may remember as well */
		entry = (struct fuse_entry_param){ .entry_timeout =
							   MOUNT_KEEP_S };
		fuse_reply_entry(req, &entry);
		return;
	}
	if (!err)
		err = mount_entry(m, e.in, stub_of(dir, &e), &entry);
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_entry(req, &entry);
}

static void forget(struct mount *m, fuse_ino_t ino, uint64_t count)
{
	struct node gone;

	if (nodes_put(&m->nodes, ino, count, &gone) && gone.held) {
		r3_btrfs_release(m->fs, gone.in);
		mount_dirty(m);
	}
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget(mount_of(req), ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(mount_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	const struct node *n = nodes_at(&m->nodes, ino);
	struct stat st;
	int err = n ? mount_attr(m, n, &st) : -ESTALE;

	(void)fi;
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_attr(req, &st, MOUNT_KEEP_S);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	char target[R3_BTRFS_PATH_MAX];
	int err = r3_btrfs_readlink(m->fs, mount_inode(m, ino), target);

	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_readlink(req, target);
}

/* ---- directories ----------------------------------------------------------*/

struct listing {
	struct mount *m;
	fuse_req_t req;
	struct r3_btrfs_inode dir;
	size_t len, room;
	bool plus;
};

/* Room for one more?  Its bytes are the same for every content. */
static bool fits(const struct listing *l, const char *name)
{
	size_t n = l->plus ? fuse_add_direntry_plus(l->req, NULL, 0, name,
						    NULL, 0)
			   : fuse_add_direntry(l->req, NULL, 0, name, NULL, 0);

	return l->len + n <= l->room;
}

/* @entry: with its attributes, for plus, else only type and number; @next:
 * where the next one begins. */
static void put(struct listing *l, const char *name,
		const struct fuse_entry_param *entry, off_t next)
{
	char *to = (char *)l->m->buf + l->len;
	size_t room = l->room - l->len;

	l->len += l->plus ? fuse_add_direntry_plus(l->req, to, room, name,
						   entry, next)
			  : fuse_add_direntry(l->req, to, room, name,
					      &entry->attr, next);
}

/* Offset 0 is ".", 1 is "..", and an entry's is its index, from 2 on. */
static int put_dots(struct listing *l, off_t off)
{
	static const char *const names[] = { ".", ".." };
	struct fuse_entry_param e = { .attr = { .st_mode = S_IFDIR } };

	e.attr.st_ino = shown_ino(l->m, l->dir, 0);
	for (; off < 2; off++) {
		if (!fits(l, names[off]))
			return 1;
		put(l, names[off], &e, off + 1);
	}
	return 0;
}

static int put_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = { 0 };
	uint64_t stub = stub_of(l->dir, e);
	int err = 0;

	if (!fits(l, e->name))
		return 1;
	if (l->plus)
		err = mount_entry(l->m, e->in, stub, &entry);
	if (err)
		return err;
	entry.attr.st_ino = shown_ino(l->m, e->in, stub);
	if (!l->plus)
		entry.attr.st_mode = DTTOIF(e->type);
	put(l, e->name, &entry, (off_t)e->index + 1);
	return 0;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 bool plus)
{
	struct mount *m = mount_of(req);
	struct listing l = { m, req, mount_inode(m, ino), 0,
			     r3_min(size, MOUNT_IO_MAX), plus };
	int err = off < 2 ? put_dots(&l, off) : 0;

	if (!err)
		err = r3_btrfs_each_entry(m->fs, l.dir,
					  off < 2 ? 2 : (uint64_t)off,
					  put_entry, &l);
	/* what has been counted as looked up must get to the kernel */
	if (err < 0 && !l.len)
		mount_fail(m, req, err);
	else
		fuse_reply_buf(req, (char *)m->buf, l.len);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

/* Nothing is kept for an open directory, so the kernel need not tell. */
static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
}

/* ---- files ----------------------------------------------------------------*/

/* Of a mount that is read-only the kernel itself refuses to open for writing;
 * data.c has the other. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	size_t got;
	int err = r3_btrfs_read(m->fs, mount_inode(m, ino), (uint64_t)off,
				m->buf, r3_min(size, MOUNT_IO_MAX), &got);

	(void)fi;
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_buf(req, (char *)m->buf, got);
}

void look_seek(struct mount *m, fuse_req_t req, fuse_ino_t ino, off_t off,
	       int whence)
{
	uint64_t at;
	int err = off < 0 ? -ENXIO :
		  r3_btrfs_seek(m->fs, mount_inode(m, ino), (uint64_t)off,
				whence, &at);

	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_lseek(req, (off_t)at);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);

	(void)fi;
	if (m->flush && off >= 0)
		flush_then_seek(m, req, ino, off, whence);
	else
		look_seek(m, req, ino, off, whence);
}

/* ---- extended attributes --------------------------------------------------*/

static void get_why(fuse_req_t req, size_t size)
{
	const char *why = mount_why(mount_of(req));
	size_t len = strlen(why);

	if (!size)
		fuse_reply_xattr(req, len);
	else if (size < len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, why, len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct mount *m = mount_of(req);
	size_t len = 0;
	int err;

	if (ino == FUSE_ROOT_ID && !strcmp(name, R3_BTRFS_MOUNT_WHY)) {
		get_why(req, size);
		return;
	}
	err = r3_btrfs_get_xattr(m->fs, mount_inode(m, ino), name,
				 strlen(name), m->buf,
				 size ? r3_min(size, MOUNT_IO_MAX) : 0, &len);

	if (!size && (!err || err == -ERANGE))
		fuse_reply_xattr(req, len);
	else if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_buf(req, (char *)m->buf, len);
}

struct names {
	char *to;
	size_t len, room;
};

static int put_name(void *arg, const char *name, size_t name_len,
		    const void *value, size_t len)
{
	struct names *n = arg;

	(void)value;
	(void)len;
	if (n->len + name_len + 1 > n->room)
		return -ERANGE;
	memcpy(n->to + n->len, name, name_len);
	n->to[n->len + name_len] = 0;
	n->len += name_len + 1;
	return 0;
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct mount *m = mount_of(req);
	struct names n = { (char *)m->buf, 0, MOUNT_IO_MAX };
	int err = r3_btrfs_each_xattr(m->fs, mount_inode(m, ino), put_name,
				      &n);

	if (!err && size && n.len > size)
		err = -ERANGE;
	if (err)
		mount_fail(m, req, err);
	else if (!size)
		fuse_reply_xattr(req, n.len);
	else
		fuse_reply_buf(req, n.to, n.len);
}

/* ---- the whole ------------------------------------------------------------*/

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_info info;
	struct statvfs v = { .f_bsize = 4096, .f_frsize = 4096,
			     .f_namemax = R3_BTRFS_NAME_MAX };
	int err = r3_btrfs_get_info(m->fs, &info);

	(void)ino;
	if (err) {
		mount_fail(m, req, err);
		return;
	}
	v.f_blocks = info.total_bytes / v.f_frsize;
	v.f_bfree = (info.total_bytes - r3_min(info.bytes_used,
					       info.total_bytes)) / v.f_frsize;
	v.f_bavail = v.f_bfree;
	fuse_reply_statfs(req, &v);
}

void look_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->getattr = op_getattr;
	ops->readlink = op_readlink;
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->open = op_open;
	ops->read = op_read;
	ops->lseek = op_lseek;
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->statfs = op_statfs;
}
