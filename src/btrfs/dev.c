// SPDX-License-Identifier: GPL-2.0-or-later
/* dev.c - the device below a volume: a file, a block device, memory */
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "priv.h"

/* As much as a commit, or mkfs, writes in one place before it goes to another:
 * that of the other copy. */
enum { WRITE_BEHIND = 1 << 20 };
enum { PIECE = 1 << 20 }; /* bytes, for what has been written to */

struct file_dev {
	struct r3_btrfs_dev dev;
	int fd;
	uint64_t behind_off, behind_len; /* written, not yet on its way */
	uint64_t from, to; /* what was written since the last flush, at most */
	/* A bit a piece: written to.  NULL: not a file with holes, or too large
	 * a one; it keeps all blocks. */
	uint8_t *pieces;
};

struct mem_dev {
	struct r3_btrfs_dev dev;
	uint8_t *bytes;
};

static int file_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		     size_t len)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(f->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static void pieces_mark(struct file_dev *f, uint64_t off, size_t len)
{
	uint64_t end = r3_min(off + len, f->dev.size);

	for (uint64_t i = off / PIECE; f->pieces && i * PIECE < end; i++)
		f->pieces[i / 8] |= (uint8_t)(1 << i % 8);
}

static int bad_write(struct r3_btrfs_dev *dev, uint64_t off)
{
	dev->bad.off = off;
	dev->bad.err = -errno;
	return dev->bad.err;
}

/* Long runs of writes go on their way to the disk as they come, so that the
 * flush at the end does not find all of them waiting.  Only a hint. */
static void write_behind(struct file_dev *f, uint64_t off, size_t len)
{
	if (off != f->behind_off + f->behind_len) {
		f->behind_off = off;
		f->behind_len = 0;
	}
	f->behind_len += len;
	if (f->behind_len < WRITE_BEHIND)
		return;
	sync_file_range(f->fd, (off_t)f->behind_off, (off_t)f->behind_len,
			SYNC_FILE_RANGE_WRITE);
	f->behind_off += f->behind_len;
	f->behind_len = 0;
}

static int file_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		      size_t len)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);
	const uint8_t *p = buf;

	f->from = f->to ? r3_min(f->from, off) : off;
	f->to = r3_max(f->to, off + len);
	pieces_mark(f, off, len);
	while (len) {
		ssize_t n = pwrite(f->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bad_write(dev, off);
		write_behind(f, off, (size_t)n);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_flush(struct r3_btrfs_dev *dev)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);

	if (fdatasync(f->fd)) {
		/* What is in the cache may not be what is on the disk. */
		free(f->pieces);
		f->pieces = NULL;
		return -errno;
	}
	f->to = 0;
	return 0;
}

/* A file system that can't say leaves it at that. */
static int file_settle(struct r3_btrfs_dev *dev)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);

	if (!f->to || !sync_file_range(f->fd, (off_t)f->from,
				       (off_t)(f->to - f->from),
				       SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER))
		return 0;
	return errno == ENOSYS || errno == EINVAL || errno == ESPIPE
		       ? 0 : bad_write(dev, f->from);
}

static void file_discard(struct r3_btrfs_dev *dev, uint64_t off, uint64_t len)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);

	while (f->pieces && len) {
		uint64_t i = off / PIECE, n = r3_min(len, PIECE - off % PIECE);

		if (f->pieces[i / 8] >> i % 8 & 1)
			fallocate(f->fd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n);
		off += n;
		len -= n;
	}
}

static void file_close(struct r3_btrfs_dev *dev)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);

	close(f->fd);
	free(f->pieces);
	free(f);
}

static const struct r3_btrfs_dev_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.flush = file_flush,
	.settle = file_settle,
	.discard = file_discard,
	.close = file_close,
};

static int file_size(int fd, uint64_t *out)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*out = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	return ioctl(fd, BLKGETSIZE64, out) ? -errno : 0;
}

/* A file that has all its blocks was given them on purpose. */
static void pieces_open(struct file_dev *f)
{
	struct stat st;

	if (!fstat(f->fd, &st) && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_blocks * 512 < f->dev.size)
		f->pieces = calloc(1, f->dev.size / PIECE / 8 + 1);
}

/* Nobody writes while somebody else reads or writes, among those who ask.
 * Goes with the descriptor, whatever ends the process. */
static int file_lock(int fd, bool write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK };

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return -EBUSY;
	/* a file system without locks */
	return errno == ENOLCK || errno == EINVAL || errno == EOPNOTSUPP
		       ? 0 : -errno;
}

/* The file below a loop device, as sysfs names it: is it this one? */
static bool is_below(const char *loop, const struct stat *file)
{
	char name[128], path[4096];
	struct stat st;
	size_t len;
	FILE *f;

	snprintf(name, sizeof(name), "/sys/block/%s/loop/backing_file", loop);
	f = fopen(name, "re");
	len = f ? fread(path, 1, sizeof(path) - 1, f) : 0;
	if (f)
		fclose(f);
	path[len] = 0;
	path[strcspn(path, "\n")] = 0;
	return !stat(path, &st) && st.st_dev == file->st_dev &&
	       st.st_ino == file->st_ino;
}

/* A kernel that has the file mounted by way of a loop device takes no lock, but
 * says what it has. */
static int file_unmounted(int fd)
{
	struct stat st;
	glob_t found;
	int err = 0;

	if (fstat(fd, &st) ||
	    glob("/sys/fs/btrfs/*/devices/loop*", GLOB_NOSORT, NULL, &found))
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (is_below(strrchr(found.gl_pathv[i], '/') + 1, &st))
			err = -EBUSY;
	}
	globfree(&found);
	return err;
}

int r3_btrfs_dev_share(struct r3_btrfs_dev *dev)
{
	struct file_dev *f = R3_CONTAINER(dev, struct file_dev, dev);

	return dev->ops == &file_ops ? file_lock(f->fd, false) : 0;
}

int r3_btrfs_dev_file(const char *path, bool write, struct r3_btrfs_dev **out)
{
	struct file_dev *f = calloc(1, sizeof(*f));
	struct stat st;
	int err, flags = write ? O_RDWR : O_RDONLY;

	if (!f)
		return -ENOMEM;
	/* O_EXCL on a block device: not while it is mounted. */
	if (write && !stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	f->fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0) {
		err = -errno;
		goto fail_alloc;
	}
	err = file_size(f->fd, &f->dev.size);
	if (!err && write)
		err = file_lock(f->fd, true);
	if (!err && write)
		err = file_unmounted(f->fd);
	if (err)
		goto fail_open;
	if (write)
		pieces_open(f);
	f->dev.ops = &file_ops;
	f->dev.parallel = true;
	*out = &f->dev;
	return 0;

fail_open:
	close(f->fd);
fail_alloc:
	free(f);
	return err;
}

const char *r3_btrfs_dev_why(int err)
{
	if (err == -EBUSY)
		return "in use by another process, or mounted; unmount or end "
		       "that first";
	return err == -ENOTBLK ? "neither a file nor a block device"
			       : strerror(-err);
}

static int mem_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len)
{
	struct mem_dev *m = R3_CONTAINER(dev, struct mem_dev, dev);

	if (off > dev->size || len > dev->size - off)
		return -EIO;
	memcpy(buf, m->bytes + off, len);
	return 0;
}

static int mem_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		     size_t len)
{
	struct mem_dev *m = R3_CONTAINER(dev, struct mem_dev, dev);

	if (off > dev->size || len > dev->size - off)
		return -EIO;
	memcpy(m->bytes + off, buf, len);
	return 0;
}

static int mem_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return 0;
}

static void mem_close(struct r3_btrfs_dev *dev)
{
	free(R3_CONTAINER(dev, struct mem_dev, dev));
}

static const struct r3_btrfs_dev_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.flush = mem_flush,
	.close = mem_close,
};

int r3_btrfs_dev_mem(void *bytes, size_t len, struct r3_btrfs_dev **out)
{
	struct mem_dev *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->dev.ops = &mem_ops;
	m->dev.parallel = true;
	m->dev.size = len;
	m->bytes = bytes;
	*out = &m->dev;
	return 0;
}

void r3_btrfs_dev_write_why(const struct r3_btrfs_dev *dev, int err,
			    struct r3_btrfs_why *out)
{
	/* its own space is not the volume's */
	const char *why = err == -ENOSPC ? "no space left where the image lies"
					 : strerror(-err);

	if (dev->bad.err == err)
		snprintf(out->text, sizeof(out->text), "writing at byte %llu: "
			 "%s", (unsigned long long)dev->bad.off, why);
	else
		snprintf(out->text, sizeof(out->text), "writing: %s", why);
}

int r3_btrfs_dev_settle(struct r3_btrfs_dev *dev)
{
	return dev->ops->settle ? dev->ops->settle(dev) : 0;
}

void r3_btrfs_dev_close(struct r3_btrfs_dev *dev)
{
	if (dev)
		dev->ops->close(dev);
}
