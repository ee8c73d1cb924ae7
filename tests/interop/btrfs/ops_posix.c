// SPDX-License-Identifier: GPL-2.0-or-later
/* ops_posix.c - the operations on a mounted Btrfs */
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ops.h"

enum { FULL = 2 * OPS_PATH_MAX };

static int result(int ret)
{
	return ret < 0 ? -errno : 0;
}

static int with_file(const char *path, int (*call)(int fd, const struct op *op,
						   const uint8_t *data),
		     const struct op *op, const uint8_t *data)
{
	int ret, fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret = call(fd, op, data);
	close(fd);
	return ret;
}

static int put_data(int fd, const struct op *op, const uint8_t *data)
{
	uint64_t done = 0;

	while (done < op->len) {
		ssize_t n = pwrite(fd, data + done, op->len - done,
				   (off_t)(op->off + done));

		if (n < 0)
			return -errno;
		done += (uint64_t)n;
	}
	return 0;
}

static int allocate(int fd, const struct op *op, const uint8_t *data)
{
	int mode = op->kind == OP_PUNCH ? FALLOC_FL_PUNCH_HOLE |
						  FALLOC_FL_KEEP_SIZE
		   : op->kind == OP_ZERO ? FALLOC_FL_ZERO_RANGE : 0;

	(void)data;
	return result(fallocate(fd, mode, (off_t)op->off, (off_t)op->len));
}

static int clone_range(const char *from, const char *to, const struct op *op)
{
	struct file_clone_range r = { .src_offset = op->off,
				      .src_length = op->len,
				      .dest_offset = op->other_off };
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_RDWR | O_CLOEXEC);
	int ret;

	r.src_fd = in;
	ret = in < 0 || out < 0 ? -errno : result(ioctl(out, FICLONERANGE, &r));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ret;
}

/* The directory of @path, and its last name. */
static int open_parent(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char up[FULL];

	snprintf(up, sizeof(up), "%.*s", (int)(slash - path), path);
	*name = slash + 1;
	return open(up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int subvol(const char *path, const char *source, const struct op *op)
{
	struct btrfs_ioctl_vol_args_v2 v = { .fd = -1 };
	struct btrfs_ioctl_vol_args d = { 0 };
	const char *name;
	struct stat st;
	int ret, dir = open_parent(path, &name);

	if (dir < 0)
		return -errno;
	strncpy(v.name, name, sizeof(v.name) - 1);
	strncpy(d.name, name, sizeof(d.name) - 1);
	if (op->kind == OP_SUBVOL) {
		ret = result(ioctl(dir, BTRFS_IOC_SUBVOL_CREATE, &d));
		/* ours belongs to whom the directory does */
		if (!ret && !fstat(dir, &st))
			ret = result(lchown(path, st.st_uid, st.st_gid));
	} else if (op->kind == OP_DELETE) {
		ret = result(ioctl(dir, BTRFS_IOC_SNAP_DESTROY, &d));
	} else {
		v.fd = open(source, O_RDONLY | O_CLOEXEC);
		v.flags = op->kind == OP_SNAPSHOT_RO ? BTRFS_SUBVOL_RDONLY : 0;
		ret = v.fd < 0 ? -errno
			       : result(ioctl(dir, BTRFS_IOC_SNAP_CREATE_V2,
					      &v));
		if (v.fd >= 0)
			close((int)v.fd);
	}
	close(dir);
	return ret;
}

static int sync_all(const char *root)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : result(syncfs(fd));

	if (fd >= 0)
		close(fd);
	return ret;
}

static int run(struct ops_target *t, const struct op *op, const uint8_t *data)
{
	const char *root = R3_CONTAINER(t, struct ops_posix, target)->root;
	char a[FULL], b[FULL], name[16];

	snprintf(a, sizeof(a), "%s/%s", root, op->path);
	snprintf(b, sizeof(b), "%s/%s", root, op->other);
	snprintf(name, sizeof(name), "user.%u", op->number);
	switch (op->kind) {
	case OP_FILE:
		return result(mknod(a, S_IFREG | 0644, 0));
	case OP_DIR:
		return result(mkdir(a, 0755));
	case OP_SYMLINK:
		return result(symlink("where/it/leads", a));
	case OP_FIFO:
		return result(mknod(a, S_IFIFO | 0600, 0));
	case OP_LINK:
		return result(link(a, b));
	case OP_WRITE:
		return with_file(a, put_data, op, data);
	case OP_TRUNCATE:
		return result(truncate(a, (off_t)op->off));
	case OP_ALLOCATE:
	case OP_PUNCH:
	case OP_ZERO:
		return with_file(a, allocate, op, data);
	case OP_CLONE:
		return clone_range(a, b, op);
	case OP_RENAME:
		return result(rename(a, b));
	case OP_EXCHANGE:
		return result(renameat2(AT_FDCWD, a, AT_FDCWD, b,
					RENAME_EXCHANGE));
	case OP_UNLINK:
		return result(unlink(a));
	case OP_RMDIR:
		return result(rmdir(a));
	case OP_CHMOD:
		return result(chmod(a, op->number & 0777));
	case OP_CHOWN:
		return result(lchown(a, op->number, op->number / 2));
	case OP_SETXATTR:
		return result(lsetxattr(a, name, data, op->len, 0));
	case OP_REMOVEXATTR:
		return result(lremovexattr(a, name));
	case OP_SUBVOL:
	case OP_DELETE:
		return subvol(a, NULL, op);
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_RO:
		return subvol(b, a, op);
	default:
		return sync_all(root);
	}
}

void ops_posix_init(struct ops_posix *p, const char *root)
{
	p->target.run = run;
	p->root = root;
}
