// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_ops.c - make, look at and remove many small files; for btrfs_ops.py
 *
 *	btrfs_ops image IMAGE COUNT BYTES	through the library
 *	btrfs_ops mount DIR COUNT BYTES		through a mount
 *
 * 1,000 files a directory.  Prints a line of "name operations_per_second" for
 * each step; making and removing end with a sync.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/btrfs.h"

enum { PER_DIR = 1000, BYTES_MAX = 65536 };

struct bench {
	struct r3_btrfs *fs; /* or NULL: a mount */
	unsigned count, bytes;
	int root, dir_fd; /* of a mount */
	struct r3_btrfs_inode dir;
	char dir_name[32];
	char data[BYTES_MAX];
};

static void fail(struct bench *b, const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what,
		b->fs && *r3_btrfs_why(b->fs) ? r3_btrfs_why(b->fs)
					      : strerror(-err));
	exit(1);
}

static int make_dir(struct bench *b)
{
	const struct r3_btrfs_new what = { .mode = S_IFDIR | 0755 };
	struct r3_btrfs_inode root = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };

	if (!b->fs)
		return mkdirat(b->root, b->dir_name, 0755) ? -errno : 0;
	return r3_btrfs_make(b->fs, root, b->dir_name, strlen(b->dir_name),
			     &what, &b->dir);
}

static int enter_dir(struct bench *b)
{
	if (b->fs)
		return r3_btrfs_lookup(b->fs, b->dir_name, &b->dir);
	if (b->dir_fd >= 0)
		close(b->dir_fd);
	b->dir_fd = openat(b->root, b->dir_name, O_RDONLY | O_DIRECTORY);
	return b->dir_fd < 0 ? -errno : 0;
}

static int make_file(struct bench *b, const char *name)
{
	const struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inode in;
	int fd, err;

	if (b->fs) {
		err = r3_btrfs_make(b->fs, b->dir, name, strlen(name), &what,
				    &in);
		return err || !b->bytes ? err : r3_btrfs_write(b->fs, in, 0,
							       b->data,
							       b->bytes);
	}
	fd = openat(b->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || (b->bytes && write(fd, b->data, b->bytes) !=
					   (ssize_t)b->bytes))
		return -errno;
	close(fd);
	return 0;
}

static int stat_file(struct bench *b, const char *name)
{
	struct r3_btrfs_dirent e;
	struct r3_btrfs_stat st;
	struct stat s;
	int err;

	if (!b->fs)
		return fstatat(b->dir_fd, name, &s, 0) ? -errno : 0;
	err = r3_btrfs_lookup_at(b->fs, b->dir, name, strlen(name), &e);
	return err ? err : r3_btrfs_stat(b->fs, e.in, &st);
}

static int remove_file(struct bench *b, const char *name)
{
	if (!b->fs)
		return unlinkat(b->dir_fd, name, 0) ? -errno : 0;
	return r3_btrfs_unlink(b->fs, b->dir, name, strlen(name));
}

static int sync_it(struct bench *b)
{
	if (b->fs)
		return r3_btrfs_sync(b->fs);
	return syncfs(b->root) ? -errno : 0;
}

static void step(struct bench *b, const char *what,
		 int (*each)(struct bench *b, const char *name), bool changes)
{
	uint64_t start = r3_now_ns();
	int err = 0;

	for (unsigned i = 0; !err && i < b->count; i++) {
		char name[32];

		if (i % PER_DIR == 0) {
			snprintf(b->dir_name, sizeof(b->dir_name), "dir%u",
				 i / PER_DIR);
			if (each == make_file)
				err = make_dir(b);
			if (!err)
				err = enter_dir(b);
		}
		snprintf(name, sizeof(name), "file%u", i);
		if (!err)
			err = each(b, name);
	}
	if (!err && changes)
		err = sync_it(b);
	if (err)
		fail(b, what, err);
	printf("%s %.0f\n", what,
	       b->count / ((double)(r3_now_ns() - start) / 1e9));
}

int main(int argc, char **argv)
{
	struct r3_btrfs_options opts = { .write = true };
	struct bench *b = calloc(1, sizeof(*b));
	struct r3_btrfs_dev *dev = NULL;
	struct r3_btrfs_why why;
	int err = 0;

	if (argc != 5 || !b) {
		fprintf(stderr, "usage: btrfs_ops image|mount PATH COUNT "
			"BYTES\n");
		return 2;
	}
	b->count = (unsigned)atoi(argv[3]);
	b->bytes = (unsigned)r3_min((unsigned)atoi(argv[4]), BYTES_MAX);
	b->dir_fd = -1;
	memset(b->data, 'd', sizeof(b->data));
	if (!strcmp(argv[1], "image")) {
		err = r3_btrfs_dev_file(argv[2], true, &dev);
		if (err)
			fail(b, argv[2], err);
		if (r3_btrfs_open(dev, &opts, &b->fs, &why)) {
			fprintf(stderr, "%s: %s\n", argv[2], why.text);
			return 1;
		}
	} else {
		b->root = open(argv[2], O_RDONLY | O_DIRECTORY);
		if (b->root < 0)
			fail(b, argv[2], -errno);
	}
	step(b, "create", make_file, true);
	step(b, "stat", stat_file, false);
	step(b, "unlink", remove_file, true);
	r3_btrfs_close(b->fs);
	r3_btrfs_dev_close(dev);
	free(b);
	return 0;
}
