// SPDX-License-Identifier: GPL-2.0-or-later
/* data.c - file data that changes, as the kernel asks, and making it durable */
#include <fcntl.h>
#include <linux/btrfs.h>
#include <sys/stat.h>

#include "mount.h"

enum {
	SECTOR = 4096,
	/* bytes of one copy's reply, which counts them in 32 bits */
	COPY_MAX = 1 << 30,
};

/* A read-only subvolume in a mount that is none: the kernel can't know. */
static bool is_frozen(struct mount *m, uint64_t subvol)
{
	struct r3_btrfs_subvol s;

	return subvol != R3_BTRFS_TOP &&
	       !r3_btrfs_get_subvol(m->fs, subvol, &s) && s.readonly;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);

	if (m->no_open) {
		fuse_reply_err(req, ENOSYS); /* and it never asks again */
		return;
	}
	if ((fi->flags & O_ACCMODE) != O_RDONLY &&
	    is_frozen(m, mount_inode(m, ino).subvol)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf,
		     size_t size, off_t off, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int err = !size ? 0 : r3_btrfs_write(m->fs, mount_inode(m, ino),
					     (uint64_t)off, buf, size);

	(void)fi;
	if (!err && m->kill_sgid)
		err = change_kill(req, mount_inode(m, ino));
	mount_dirty(m);
	/* of many writes that fail, fsync(2) has the last one's error */
	if (err && m->failed)
		err = -mount_write_err(m);
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_write(req, size);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			 off_t len, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int err = r3_btrfs_fallocate(m->fs, mount_inode(m, ino), mode,
				     (uint64_t)off, (uint64_t)len);

	(void)fi;
	mount_dirty(m);
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_err(req, 0);
}

/* ---- copies ---------------------------------------------------------------*/

struct copy {
	struct r3_btrfs_inode from, to;
	uint64_t from_off, to_off, len;
	uint64_t from_size, to_size;
};

static int copy_look(struct mount *m, struct copy *c)
{
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(m->fs, c->from, &st);

	if (err)
		return err;
	c->from_size = (uint64_t)st.st.st_size;
	err = r3_btrfs_stat(m->fs, c->to, &st);
	c->to_size = (uint64_t)st.st.st_size;
	if (c->from_off >= c->from_size)
		c->len = 0;
	else
		c->len = r3_min(c->len, c->from_size - c->from_off);
	c->len = r3_min(c->len, (uint64_t)COPY_MAX);
	return err;
}

/* How much of it can be shared: whole sectors, and the source's last one when
 * it becomes the last one there too. */
static uint64_t shareable(const struct copy *c)
{
	if (c->from_off % SECTOR || c->to_off % SECTOR)
		return 0;
	if (c->from_off + c->len == c->from_size &&
	    c->to_off + c->len >= c->to_size)
		return c->len;
	return c->len - c->len % SECTOR;
}

/* A copy may be shorter than asked for: the caller goes on with the rest. */
static int copy(struct mount *m, struct copy *c, uint64_t *copied)
{
	uint64_t share = shareable(c);
	size_t got = 0;
	int err = -EOPNOTSUPP;

	*copied = 0;
	if (!c->len)
		return 0;
	if (share)
		err = r3_btrfs_clone(m->fs, c->from, c->from_off, share, c->to,
				     c->to_off);
	if (!err) {
		*copied = share;
		return 0;
	}
	if (err != -EOPNOTSUPP && err != -EINVAL)
		return err;
	err = r3_btrfs_read(m->fs, c->from, c->from_off, m->buf,
			    r3_min(c->len, (uint64_t)MOUNT_IO_MAX), &got);
	if (!err && got)
		err = r3_btrfs_write(m->fs, c->to, c->to_off, m->buf, got);
	*copied = got;
	return err;
}

static void op_copy(fuse_req_t req, fuse_ino_t from, off_t from_off,
		    struct fuse_file_info *from_fi, fuse_ino_t to,
		    off_t to_off, struct fuse_file_info *to_fi, size_t len,
		    int flags)
{
	struct mount *m = mount_of(req);
	struct copy c = { mount_inode(m, from), mount_inode(m, to),
			  (uint64_t)from_off, (uint64_t)to_off, len, 0, 0 };
	uint64_t copied = 0;
	int err = flags ? -EINVAL : copy_look(m, &c);

	(void)from_fi;
	(void)to_fi;
	if (!err)
		err = copy(m, &c, &copied);
	mount_dirty(m);
	if (err)
		mount_fail(m, req, err);
	else
		fuse_reply_write(req, copied);
}

/* ---- durable --------------------------------------------------------------*/

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	mount_sync_for(mount_of(req), (struct waiter){ .req = req });
}

/* 'btrfs filesystem sync' and its like.  Starting is all of it, so what follows
 * has nothing left to wait for. */
static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
		     struct fuse_file_info *fi, unsigned flags, const void *in,
		     size_t in_size, size_t out_size)
{
	struct waiter w = { .req = req, .ioctl = true };

	(void)ino;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	switch (cmd) {
	case BTRFS_IOC_START_SYNC:
		w.out = r3_min(out_size, sizeof(uint64_t));
		break;
	case BTRFS_IOC_SYNC:
	case BTRFS_IOC_WAIT_SYNC:
		break;
	default:
		fuse_reply_err(req, ENOTTY);
		return;
	}
	mount_sync_for(mount_of(req), w);
}

void data_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->write = op_write;
	ops->fallocate = op_fallocate;
	ops->copy_file_range = op_copy;
	ops->fsync = op_fsync;
	ops->fsyncdir = op_fsync;
	ops->ioctl = op_ioctl;
}
