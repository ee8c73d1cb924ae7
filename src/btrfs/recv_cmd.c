// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recv_cmd.c - the commands of a stream
 *
 * Owner, mode and times of an inode come one after the other and become one
 * change; so do writes that follow each other.  They wait until the stream goes
 * on to something else.  The kernel makes everything under a name like o257-9-0
 * and then renames it: it is made under its second name.
 */
#include <stdarg.h>
#include <sys/sysmacros.h>

#include "recv.h"

int recv_bad(struct recv *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->fs->why.text, sizeof(r->fs->why.text), fmt, ap);
	va_end(ap);
	return -EPROTO;
}

struct recv_text recv_text(const char *path, size_t len)
{
	struct recv_text t;
	size_t n = r3_min(len, sizeof(t.s) - 1);

	for (size_t i = 0; i < n; i++)
		t.s[i] = path[i] < ' ' || path[i] == 127 ? '?' : path[i];
	t.s[n] = 0;
	return t;
}

int recv_late(struct recv *r, int err, const char *path, size_t len)
{
	struct r3_btrfs_why was;

	if (!err)
		return 0;
	was = r->fs->why;
	return btrfs_fail(r->fs, err, "before, '%s': %.300s",
			  recv_text(path, len).s,
			  *was.text ? was.text : strerror(-err));
}

/* The parser has checked that attributes are there and as long as they are to
 * be; one that may be left out is 0 then. */
uint64_t recv_u64(const struct btrfs_stream_cmd *c, enum btrfs_send_attr attr)
{
	r3_le64 v = { { 0 } };

	if (c->attr[attr].p)
		memcpy(&v, c->attr[attr].p, sizeof(v));
	return le64(v);
}

uint32_t recv_u32(const struct btrfs_stream_cmd *c, enum btrfs_send_attr attr)
{
	r3_le32 v = { { 0 } };

	if (c->attr[attr].p)
		memcpy(&v, c->attr[attr].p, sizeof(v));
	return le32(v);
}

/* ---- what gathers ---------------------------------------------------------*/

static int flush_attr(struct recv *r)
{
	struct r3_btrfs_attr attr;

	if (!r->attr.set)
		return 0;
	attr = r->attr;
	r->attr.set = 0;
	return recv_late(r, r3_btrfs_setattr(r->fs, r->in, &attr), r->at,
			 r->at_len);
}

static bool same_path(const struct recv *r, struct r3_span path)
{
	return r->at_set && path.len == r->at_len &&
	       !memcmp(path.p, r->at, path.len);
}

/* r->in becomes what @path leads to. */
static int go_to(struct recv *r, struct r3_span path)
{
	int err;

	if (same_path(r, path))
		return 0;
	r->at_set = false;
	if (path.len >= sizeof(r->at))
		return recv_bad(r, "a path of %zu bytes", path.len);
	err = recv_find(r, r->id, path, &r->in);
	if (err)
		return err;
	memcpy(r->at, path.p, path.len);
	r->at_len = path.len;
	r->at_set = true;
	return 0;
}

/* ---- names ----------------------------------------------------------------*/

static int make_at(struct recv *r, struct r3_span path)
{
	struct r3_btrfs_inode in;
	struct recv_place place;
	int err = recv_find_place(r, path, &place);

	if (!err)
		err = r3_btrfs_make(r->fs, place.dir, place.name, place.len,
				    &r->make, &in);
	if (!err)
		recv_remember(r, &place, in.ino,
			      btrfs_type_of_mode(r->make.mode));
	return err;
}

static struct r3_span make_path(const struct recv *r)
{
	return (struct r3_span){ (const uint8_t *)r->make_path, r->make_len };
}

static int flush_make(struct recv *r)
{
	int err = r->make.mode ? make_at(r, make_path(r)) : 0;

	r->make.mode = 0;
	return recv_late(r, err, r->make_path, r->make_len);
}

/* It is made when the next command comes. */
static int make_later(struct recv *r, const struct btrfs_stream_cmd *c,
		      const struct r3_btrfs_new *what)
{
	struct r3_span path = c->attr[BTRFS_A_PATH];
	struct recv_place place;
	int err = recv_find_place(r, path, &place);

	if (err)
		return err;
	if (path.len >= sizeof(r->make_path))
		return recv_bad(r, "a path of %zu bytes", path.len);
	r->make = *what;
	r->make_len = path.len;
	memcpy(r->make_path, path.p, path.len);
	return 0;
}

/* At most one of the three has something, or data and then attributes: see
 * recv_command(). */
int recv_flush(struct recv *r)
{
	int err = flush_make(r);

	if (!err)
		err = recv_flush_data(r);
	return err ? err : flush_attr(r);
}

/* Permissions come later, in a CHMOD. */
static int cmd_make(struct recv *r, const struct btrfs_stream_cmd *c)
{
	static const mode_t modes[BTRFS_SEND_CMDS] = {
		[BTRFS_SEND_MKFILE] = S_IFREG | 0600,
		[BTRFS_SEND_MKDIR] = S_IFDIR | 0700,
		[BTRFS_SEND_MKFIFO] = S_IFIFO | 0600,
		[BTRFS_SEND_MKSOCK] = S_IFSOCK | 0600,
	};
	struct r3_btrfs_new what = { .mode = modes[c->cmd] };

	return make_later(r, c, &what);
}

static int cmd_mknod(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t mode = recv_u64(c, BTRFS_A_MODE);
	uint64_t dev = recv_u64(c, BTRFS_A_RDEV);
	struct r3_btrfs_new what = {
		.mode = (mode_t)mode & (S_IFMT | 0777),
		/* as the kernel encodes a device for user space */
		.rdev = makedev((unsigned)(dev >> 8 & 0xfff),
				(unsigned)((dev & 0xff) |
					   (dev >> 12 & 0xfff00))),
	};

	if (!S_ISCHR(what.mode) && !S_ISBLK(what.mode))
		return recv_bad(r, "mode 0%llo is no device's",
				(unsigned long long)mode);
	return make_later(r, c, &what);
}

static int cmd_symlink(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_span link = c->attr[BTRFS_A_PATH_LINK];
	struct r3_btrfs_new what = { .mode = S_IFLNK | 0777,
				     .target = r->make_target };

	if (!link.len || link.len >= sizeof(r->make_target) ||
	    memchr(link.p, 0, link.len))
		return recv_bad(r, "a target of %zu bytes, or with a NUL",
				link.len);
	memcpy(r->make_target, link.p, link.len);
	r->make_target[link.len] = 0;
	return make_later(r, c, &what);
}

static int cmd_rename(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_span path = c->attr[BTRFS_A_PATH];
	struct recv_place from, to;
	uint64_t ino;
	uint8_t type;
	bool known;
	int err = -EEXIST;

	if (r->make.mode && path.len == r->make_len &&
	    !memcmp(path.p, r->make_path, path.len)) {
		err = make_at(r, c->attr[BTRFS_A_PATH_TO]);
		if (!err)
			r->make.mode = 0;
	}
	if (err != -EEXIST)
		return err;
	err = flush_make(r);
	if (!err)
		err = recv_find_place(r, path, &from);
	if (!err)
		err = recv_find_place(r, c->attr[BTRFS_A_PATH_TO], &to);
	if (err)
		return err;
	r->at_set = false;
	known = recv_known(r, &from, &ino, &type);
	recv_forget(r, &from);
	recv_forget(r, &to);
	err = r3_btrfs_rename(r->fs, from.dir, from.name, from.len, to.dir,
			      to.name, to.len, 0);
	if (!err && known)
		recv_remember(r, &to, ino, type);
	return err;
}

static int cmd_link(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_btrfs_inode in;
	struct recv_place place;
	int err = recv_find(r, r->id, c->attr[BTRFS_A_PATH_LINK], &in);

	if (!err)
		err = recv_find_place(r, c->attr[BTRFS_A_PATH], &place);
	return err ? err : r3_btrfs_link(r->fs, in, place.dir, place.name,
					 place.len);
}

static int cmd_remove(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct recv_place place;
	int err = recv_find_place(r, c->attr[BTRFS_A_PATH], &place);

	if (err)
		return err;
	r->at_set = false;
	recv_forget(r, &place);
	if (c->cmd == BTRFS_SEND_RMDIR)
		return r3_btrfs_rmdir(r->fs, place.dir, place.name, place.len);
	return r3_btrfs_unlink(r->fs, place.dir, place.name, place.len);
}

/* ---- attributes -----------------------------------------------------------*/

static int cmd_chmod(struct recv *r, const struct btrfs_stream_cmd *c)
{
	r->attr.set |= R3_BTRFS_SET_MODE;
	r->attr.mode = (mode_t)(recv_u64(c, BTRFS_A_MODE) & 07777);
	return 0;
}

static int cmd_chown(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t uid = recv_u64(c, BTRFS_A_UID);
	uint64_t gid = recv_u64(c, BTRFS_A_GID);

	if (uid > UINT32_MAX || gid > UINT32_MAX)
		return recv_bad(r, "an owner above 2^32");
	r->attr.set |= R3_BTRFS_SET_UID | R3_BTRFS_SET_GID;
	r->attr.uid = (uint32_t)uid;
	r->attr.gid = (uint32_t)gid;
	return 0;
}

static int get_time(struct recv *r, const struct btrfs_stream_cmd *c,
		    enum btrfs_send_attr attr, unsigned bit,
		    struct timespec *out)
{
	struct btrfs_disk_time t;

	if (!c->attr[attr].p)
		return 0; /* the time of making came with version 2 */
	memcpy(&t, c->attr[attr].p, sizeof(t));
	if (le32(t.nsec) >= R3_NS_PER_S)
		return recv_bad(r, "a time with %u nanoseconds",
				le32(t.nsec));
	*out = btrfs_time_get(t);
	r->attr.set |= bit;
	return 0;
}

static int cmd_utimes(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_btrfs_attr *a = &r->attr;
	int err = get_time(r, c, BTRFS_A_ATIME, R3_BTRFS_SET_ATIME, &a->atime);

	if (!err)
		err = get_time(r, c, BTRFS_A_MTIME, R3_BTRFS_SET_MTIME,
			       &a->mtime);
	if (!err)
		err = get_time(r, c, BTRFS_A_CTIME, R3_BTRFS_SET_CTIME,
			       &a->ctime);
	if (!err)
		err = get_time(r, c, BTRFS_A_OTIME, R3_BTRFS_SET_OTIME,
			       &a->otime);
	return err;
}

static int cmd_set_xattr(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_span name = c->attr[BTRFS_A_XATTR_NAME];
	struct r3_span value = c->attr[BTRFS_A_XATTR_DATA];

	return r3_btrfs_setxattr(r->fs, r->in, (const char *)name.p, name.len,
				 value.p, value.len, 0);
}

static int cmd_remove_xattr(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_span name = c->attr[BTRFS_A_XATTR_NAME];

	return r3_btrfs_removexattr(r->fs, r->in, (const char *)name.p,
				    name.len);
}

/* ---- data -----------------------------------------------------------------*/

static int cmd_truncate(struct recv *r, const struct btrfs_stream_cmd *c)
{
	return r3_btrfs_truncate(r->fs, r->in, recv_u64(c, BTRFS_A_SIZE));
}

static int cmd_fallocate(struct recv *r, const struct btrfs_stream_cmd *c)
{
	return r3_btrfs_fallocate(r->fs, r->in,
				  (int)recv_u32(c, BTRFS_A_FALLOCATE_MODE),
				  recv_u64(c, BTRFS_A_FILE_OFFSET),
				  recv_u64(c, BTRFS_A_SIZE));
}

static int cmd_update_extent(struct recv *r, const struct btrfs_stream_cmd *c)
{
	(void)c;
	return recv_bad(r, "the stream was made without data, for looking at "
			"only");
}

/* Inode flags.  btrfs receive leaves them out, and what follows may have to
 * change a file that is marked as one that never changes. */
static int cmd_fileattr(struct recv *r, const struct btrfs_stream_cmd *c)
{
	(void)r;
	(void)c;
	return 0;
}

static int cmd_verity(struct recv *r, const struct btrfs_stream_cmd *c)
{
	(void)c;
	return btrfs_fail(r->fs, -EOPNOTSUPP, "files with fs-verity are not "
			  "supported");
}

/* ---- all of them ----------------------------------------------------------*/

enum {
	TO_INODE = 1, /* PATH leads to what it is about: r->in */
	DATA = 2,     /* may follow data that gathers, */
	ATTR = 4,     /* or attributes */
};

static const struct {
	int (*run)(struct recv *r, const struct btrfs_stream_cmd *c);
	unsigned flags;
} commands[BTRFS_SEND_CMDS] = {
	[BTRFS_SEND_MKFILE] = { cmd_make, 0 },
	[BTRFS_SEND_MKDIR] = { cmd_make, 0 },
	[BTRFS_SEND_MKNOD] = { cmd_mknod, 0 },
	[BTRFS_SEND_MKFIFO] = { cmd_make, 0 },
	[BTRFS_SEND_MKSOCK] = { cmd_make, 0 },
	[BTRFS_SEND_SYMLINK] = { cmd_symlink, 0 },
	[BTRFS_SEND_RENAME] = { cmd_rename, 0 },
	[BTRFS_SEND_LINK] = { cmd_link, 0 },
	[BTRFS_SEND_UNLINK] = { cmd_remove, 0 },
	[BTRFS_SEND_RMDIR] = { cmd_remove, 0 },
	[BTRFS_SEND_SET_XATTR] = { cmd_set_xattr, TO_INODE },
	[BTRFS_SEND_REMOVE_XATTR] = { cmd_remove_xattr, TO_INODE },
	[BTRFS_SEND_WRITE] = { recv_write, TO_INODE | DATA },
	[BTRFS_SEND_CLONE] = { recv_clone, TO_INODE },
	[BTRFS_SEND_TRUNCATE] = { cmd_truncate, TO_INODE },
	[BTRFS_SEND_CHMOD] = { cmd_chmod, TO_INODE | ATTR },
	[BTRFS_SEND_CHOWN] = { cmd_chown, TO_INODE | ATTR },
	[BTRFS_SEND_UTIMES] = { cmd_utimes, TO_INODE | ATTR },
	[BTRFS_SEND_UPDATE_EXTENT] = { cmd_update_extent, 0 },
	[BTRFS_SEND_FALLOCATE] = { cmd_fallocate, TO_INODE },
	[BTRFS_SEND_FILEATTR] = { cmd_fileattr, 0 },
	[BTRFS_SEND_ENCODED_WRITE] = { recv_encoded, TO_INODE | DATA },
	[BTRFS_SEND_ENABLE_VERITY] = { cmd_verity, 0 },
};

int recv_command(struct recv *r, const struct btrfs_stream_cmd *c)
{
	struct r3_span path = c->attr[BTRFS_A_PATH];
	unsigned flags = commands[c->cmd].flags;
	int err = 0;

	if (c->cmd != BTRFS_SEND_RENAME)
		err = flush_make(r);
	if (!err && (!(flags & DATA) || !same_path(r, path)))
		err = recv_flush_data(r);
	if (!err && (!(flags & ATTR) || !same_path(r, path)))
		err = flush_attr(r);
	if (!err && flags & TO_INODE)
		err = go_to(r, path);
	return err ? err : commands[c->cmd].run(r, c);
}
