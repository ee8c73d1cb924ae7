// SPDX-License-Identifier: GPL-2.0-or-later
/* change.c - names and attributes that change, as the kernel asks */
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

enum { ACL_MAX = 65536 }; /* bytes; the kernel's limit of an xattr */

static void done(struct mount *m, fuse_req_t req, int err)
{
	if (err) {
		mount_fail(m, req, err);
		return;
	}
	mount_dirty(m);
	fuse_reply_err(req, 0);
}

/* ---- new names ------------------------------------------------------------*/

/* What a new inode takes from its directory, and the umask. */
struct heritage {
	struct r3_btrfs_new what;
	size_t acl_len; /* of the directory's default list, in mount.buf */
	bool list;	/* the inode gets one of its own, at mount.buf */
};

static int inherit(struct mount *m, fuse_req_t req, struct r3_btrfs_inode dir,
		   struct heritage *h)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	mode_t *mode = &h->what.mode;
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(m->fs, dir, &st);

	if (err)
		return err;
	h->what.uid = ctx->uid;
	h->what.gid = ctx->gid;
	if (st.st.st_mode & S_ISGID) {
		h->what.gid = st.st.st_gid;
		if (S_ISDIR(*mode))
			*mode |= S_ISGID;
	}
	if (S_ISLNK(*mode))
		return 0;
	err = r3_btrfs_get_xattr(m->fs, dir, ACL_DEFAULT, strlen(ACL_DEFAULT),
				 m->buf, ACL_MAX, &h->acl_len);
	if (err == -ENODATA) {
		*mode &= ~ctx->umask;
		return 0;
	}
	if (err)
		return err;
	memcpy(m->buf + ACL_MAX, m->buf, h->acl_len); /* for a directory */
	return acl_inherit(m->buf, h->acl_len, mode, &h->list);
}

static int put_acls(struct mount *m, struct r3_btrfs_inode in,
		    const struct heritage *h)
{
	int err = 0;

	if (h->list)
		err = r3_btrfs_setxattr(m->fs, in, ACL_ACCESS,
					strlen(ACL_ACCESS), m->buf,
					h->acl_len, 0);
	if (!err && h->acl_len && S_ISDIR(h->what.mode))
		err = r3_btrfs_setxattr(m->fs, in, ACL_DEFAULT,
					strlen(ACL_DEFAULT), m->buf + ACL_MAX,
					h->acl_len, 0);
	return err;
}

static int make(fuse_req_t req, fuse_ino_t parent, const char *name,
		const struct r3_btrfs_new *what, struct fuse_entry_param *out)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode in, dir = mount_inode(m, parent);
	struct heritage h = { .what = *what };
	size_t len = strlen(name);
	int err = inherit(m, req, dir, &h);

	if (!err)
		err = r3_btrfs_make(m->fs, dir, name, len, &h.what, &in);
	if (err)
		return err;
	mount_dirty(m);
	err = put_acls(m, in, &h);
	if (!err)
		err = mount_entry(m, in, 0, out);
	if (err && S_ISDIR(what->mode))
		r3_btrfs_rmdir(m->fs, dir, name, len);
	else if (err)
		r3_btrfs_unlink(m->fs, dir, name, len);
	return err;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent,
			   const char *name, const struct r3_btrfs_new *what)
{
	struct fuse_entry_param entry;
	int err = make(req, parent, name, what, &entry);

	if (err)
		mount_fail(mount_of(req), req, err);
	else
		fuse_reply_entry(req, &entry);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct r3_btrfs_new what = { .mode = mode, .rdev = rdev };

	make_and_reply(req, parent, name, &what);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct r3_btrfs_new what = { .mode = S_IFDIR | mode };

	make_and_reply(req, parent, name, &what);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct r3_btrfs_new what = { .mode = S_IFLNK | 0777,
				     .target = target };

	make_and_reply(req, parent, name, &what);
}

/* Without opens there is nothing to release either, but the kernel tells of the
 * release of what it opened so; with MKNOD it does not (Linux 6.18,
 * fuse_create_open, fuse_file_open). */
static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | (mode & 07777) };
	struct mount *m = mount_of(req);
	struct fuse_entry_param entry;
	int err = m->no_open ? -ENOSYS : make(req, parent, name, &what, &entry);

	if (err) {
		mount_fail(m, req, err);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_create(req, &entry, fi);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode in = mount_inode(m, ino);
	struct fuse_entry_param entry;
	int err = r3_btrfs_link(m->fs, in, mount_inode(m, parent), name,
				strlen(name));

	if (!err) {
		mount_dirty(m);
		err = mount_entry(m, in, 0, &entry);
	}
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_entry(req, &entry);
}

/* ---- names that go --------------------------------------------------------*/

/* An inode that the kernel knows may be open: it is held until the kernel
 * forgets it. */
bool mount_in_use(void *arg, struct r3_btrfs_inode in)
{
	struct mount *m = arg;

	m->victim = nodes_find(&m->nodes, in, 0);
	return m->victim;
}

/* After a change that may have taken a last name away. */
static int victim_end(struct mount *m, int err)
{
	if (m->victim && !err)
		nodes_at(&m->nodes, m->victim)->held = true;
	m->victim = 0;
	if (!err)
		mount_dirty(m);
	return err;
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);

	done(m, req, victim_end(m, r3_btrfs_unlink(m->fs,
						   mount_inode(m, parent),
						   name, strlen(name))));
}

static int one_entry(void *arg, const struct r3_btrfs_dirent *entry)
{
	(void)arg;
	(void)entry;
	return -ENOTEMPTY;
}

/* An empty subvolume goes like a directory, as in the kernel (rmdir since Linux
 * 4.18). */
static int rmdir_subvol(struct mount *m, struct r3_btrfs_inode dir,
			const char *name)
{
	struct r3_btrfs_dirent e;
	int err = r3_btrfs_lookup_at(m->fs, dir, name, strlen(name), &e);

	if (!err && (e.stub || e.in.ino != R3_BTRFS_ROOT_INO))
		err = -EBUSY;
	if (!err)
		err = r3_btrfs_each_entry(m->fs, e.in, 0, one_entry, NULL);
	if (!err)
		err = r3_btrfs_subvol_delete(m->fs, e.in.subvol);
	if (!err) {
		m->cleaning = true;
		mount_dirty(m);
	}
	return err;
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode dir = mount_inode(m, parent);
	int err = victim_end(m, r3_btrfs_rmdir(m->fs, dir, name,
					       strlen(name)));

	if (err == -EBUSY)
		err = rmdir_subvol(m, dir, name);
	done(m, req, err);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t to_parent, const char *to, unsigned flags)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode dir = mount_inode(m, parent);
	struct r3_btrfs_inode to_dir = mount_inode(m, to_parent);
	int err = 0;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		err = -EINVAL;
	if (!err)
		err = victim_end(m, r3_btrfs_rename(m->fs, dir, name,
						    strlen(name), to_dir, to,
						    strlen(to), flags));
	done(m, req, err);
}

/* ---- attributes -----------------------------------------------------------*/

static struct r3_btrfs_attr attr_of(const struct stat *st, int set)
{
	struct r3_btrfs_attr a = { .mode = st->st_mode, .uid = st->st_uid,
				   .gid = st->st_gid, .atime = st->st_atim,
				   .mtime = st->st_mtim,
				   .ctime = st->st_ctim };

	if (set & FUSE_SET_ATTR_MODE)
		a.set |= R3_BTRFS_SET_MODE;
	if (set & FUSE_SET_ATTR_UID)
		a.set |= R3_BTRFS_SET_UID;
	if (set & FUSE_SET_ATTR_GID)
		a.set |= R3_BTRFS_SET_GID;
	if (set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
		a.set |= R3_BTRFS_SET_ATIME;
	if (set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		a.set |= R3_BTRFS_SET_MTIME;
	if (set & FUSE_SET_ATTR_CTIME)
		a.set |= R3_BTRFS_SET_CTIME;
	if (set & FUSE_SET_ATTR_ATIME_NOW)
		mount_now(&a.atime);
	if (set & FUSE_SET_ATTR_MTIME_NOW)
		mount_now(&a.mtime);
	return a;
}

/* A list says what the mode says. */
static int chmod_acl(struct mount *m, struct r3_btrfs_inode in, mode_t mode)
{
	size_t len;
	int err = r3_btrfs_get_xattr(m->fs, in, ACL_ACCESS, strlen(ACL_ACCESS),
				     m->buf, ACL_MAX, &len);

	if (err)
		return err == -ENODATA ? 0 : err;
	err = acl_chmod(m->buf, len, mode);
	if (err)
		return err;
	return r3_btrfs_setxattr(m->fs, in, ACL_ACCESS, strlen(ACL_ACCESS),
				 m->buf, len, 0);
}

/* Who is not of the file's group must not keep or get its rights.  The other
 * groups that a process is in can't be seen from here. */
static mode_t drop_sgid(fuse_req_t req, const struct stat *st, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return ctx->uid && ctx->gid != st->st_gid ? mode & ~(mode_t)S_ISGID
						  : mode;
}

static mode_t without_sugid(mode_t mode)
{
	mode &= ~(mode_t)S_ISUID;
	return mode & S_IXGRP ? mode & ~(mode_t)S_ISGID : mode;
}

int change_kill(fuse_req_t req, struct r3_btrfs_inode in)
{
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE };
	struct mount *m = mount_of(req);
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(m->fs, in, &st);

	a.mode = drop_sgid(req, &st.st, without_sugid(st.st.st_mode));
	if (err || a.mode == st.st.st_mode)
		return err;
	return r3_btrfs_setattr(m->fs, in, &a);
}

/* Does the kernel leave it to us to take setuid and setgid away?  On a change
 * of owner always; on truncation it says so. */
static bool kills(struct mount *m, struct r3_btrfs_inode in, int set)
{
	struct r3_btrfs_stat st;

	if (set & FUSE_SET_ATTR_MODE ||
	    !(set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID |
		     FUSE_SET_ATTR_KILL_SUID)))
		return false;
	return !r3_btrfs_stat(m->fs, in, &st) && !S_ISDIR(st.st.st_mode);
}

/* The kernel writes the times of an inode that it is about to forget, and that
 * has no name: nobody will see them. */
static bool is_vain(const struct node *n, int set)
{
	return n->held && !(set & ~(FUSE_SET_ATTR_CTIME |
				    FUSE_SET_ATTR_MTIME));
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		       int set, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode in = mount_inode(m, ino);
	const struct node *n = nodes_at(&m->nodes, ino);
	struct r3_btrfs_attr a = attr_of(st, set);
	struct stat is;
	int err = n ? 0 : -ESTALE;

	(void)fi;
	if (!err && is_vain(n, set))
		a.set = set = 0;
	if (!err && set & FUSE_SET_ATTR_SIZE)
		err = r3_btrfs_truncate(m->fs, in, (uint64_t)st->st_size);
	if (!err && set & FUSE_SET_ATTR_MODE)
		err = chmod_acl(m, in, a.mode);
	if (!err && kills(m, in, set))
		err = change_kill(req, in);
	if (!err && a.set)
		err = r3_btrfs_setattr(m->fs, in, &a);
	mount_dirty(m);
	if (!err)
		err = mount_attr(m, n, &is);
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_attr(req, &is, MOUNT_KEEP_S);
}

/* ---- extended attributes --------------------------------------------------*/

/* A list that only says what a mode can say becomes the mode. */
static int set_acl(fuse_req_t req, struct r3_btrfs_inode in, const char *value,
		   size_t len, int flags)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE };
	struct r3_btrfs_stat st;
	bool needed;
	int err = r3_btrfs_stat(m->fs, in, &st);

	if (err)
		return err;
	if (len > ACL_MAX)
		return -E2BIG;
	memcpy(m->buf, value, len);
	a.mode = st.st.st_mode & 07777;
	err = acl_mode(m->buf, len, &a.mode, &needed);
	if (err)
		return err;
	a.mode = drop_sgid(req, &st.st, a.mode);
	if (needed)
		err = r3_btrfs_setxattr(m->fs, in, ACL_ACCESS,
					strlen(ACL_ACCESS), value, len, flags);
	else
		err = r3_btrfs_removexattr(m->fs, in, ACL_ACCESS,
					   strlen(ACL_ACCESS));
	if (err && (needed || err != -ENODATA))
		return err;
	return r3_btrfs_setattr(m->fs, in, &a);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t len, int flags)
{
	struct mount *m = mount_of(req);
	struct r3_btrfs_inode in = mount_inode(m, ino);
	int err;

	if (!strcmp(name, ACL_ACCESS))
		err = set_acl(req, in, value, len, flags);
	else
		err = r3_btrfs_setxattr(m->fs, in, name, strlen(name), value,
					len, flags);
	/* setxattr(2) knows no other word for it */
	done(m, req, err == -ERANGE ? -ENOSPC : err);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct mount *m = mount_of(req);

	done(m, req, r3_btrfs_removexattr(m->fs, mount_inode(m, ino), name,
					  strlen(name)));
}

/* ---- the whole ------------------------------------------------------------*/

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	struct statvfs v = { .f_bsize = 4096, .f_frsize = 4096,
			     .f_namemax = R3_BTRFS_NAME_MAX };
	struct r3_btrfs_space s;

	(void)ino;
	r3_btrfs_get_space(m->fs, &s);
	v.f_blocks = s.total / v.f_frsize;
	v.f_bfree = s.data_left / v.f_frsize;
	v.f_bavail = v.f_bfree;
	fuse_reply_statfs(req, &v);
}

void change_ops(struct fuse_lowlevel_ops *ops)
{
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->create = op_create;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
	ops->setattr = op_setattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
	ops->statfs = op_statfs;
}
