// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_receive.c - any stream at all, received
 *
 * Onto a small volume with one received subvolume, the parent of all.  Each
 * command's checksum is put right first, and uuids that begin with 'P' become
 * that parent's, so that content is reached.  What was received or not: the
 * volume passes its check.  It lies in a private mapping whose changes are
 * thrown away after each run.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/btrfs/stream_build.h"
#include "ring3/btrfs.h"

enum { SIZE = 40 << 20 };

static const uint8_t parent[16] = "Parent of them a";
static uint8_t *bytes;

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "%s: %d\n", what, err);
		abort();
	}
}

static struct r3_btrfs *open_volume(struct r3_btrfs_dev **dev)
{
	struct r3_btrfs_options o = { .write = true,
				      .cache_bytes = 2 << 20 };
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	must(r3_btrfs_dev_mem(bytes, SIZE, dev), "device");
	must(r3_btrfs_open(*dev, &o, &fs, &why), why.text);
	return fs;
}

static void fill_parent(struct r3_btrfs *fs)
{
	static struct stream_build s;
	static uint8_t data[70000];

	sb_head(&s, 1);
	sb_subvol(&s, "p", parent);
	sb_path(&s, C_MKDIR, "d", 0, NULL);
	sb_path(&s, C_MKFILE, "f", 0, NULL);
	for (size_t at = 0; at < sizeof(data); at += 35000)
		sb_write(&s, "f", at, data + at, 35000);
	sb_path(&s, C_MKFILE, "d/g", 0, NULL);
	sb_write(&s, "d/g", 0, "small", 5);
	sb_path(&s, C_LINK, "h", T_PATH_LINK, "d/g");
	sb_path(&s, C_SYMLINK, "l", T_PATH_LINK, "d");
	sb_cmd(&s, C_END);
	sb_end(&s);
	must(sb_receive(fs, s.b, s.len), r3_btrfs_why(fs));
	must(r3_btrfs_sync(fs), "sync");
}

/* The base volume goes to a file in memory; what runs change is private. */
static void prepare(void)
{
	struct r3_btrfs_mkfs_options o = { .size = SIZE, .nodesize = 4096 };
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	int fd = memfd_create("base", 0);

	must(ftruncate(fd, SIZE), "memory");
	bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(r3_btrfs_dev_mem(bytes, SIZE, &dev), "device");
	must(r3_btrfs_mkfs(dev, &o, &r, &why), why.text);
	r3_btrfs_dev_close(dev);
	fs = open_volume(&dev);
	fill_parent(fs);
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	munmap(bytes, SIZE);
	bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
}

/* Checksums, and the uuids of parents and clone sources. */
static void mend(uint8_t *p, size_t size)
{
	for (size_t at = 17; size - at >= 10 && at < size;) {
		uint32_t len, crc = 0;

		memcpy(&len, p + at, 4);
		if (len > size - at - 10)
			return;
		for (size_t i = at + 10; i + 20 <= at + 10 + len; i++) {
			if (!memcmp(p + i, "\x14\0\x10\0P", 5))
				memcpy(p + i + 4, parent, 16);
		}
		memcpy(p + at + 6, &crc, 4);
		crc = crc32_iscsi(p + at, (int)len + 10, 0);
		memcpy(p + at + 6, &crc, 4);
		at += 10 + len;
	}
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

static void check(struct r3_btrfs *fs)
{
	struct r3_btrfs_check_options o = { .problem = problem };
	struct r3_btrfs_check_result r;

	must(r3_btrfs_sync(fs), r3_btrfs_why(fs));
	must(r3_btrfs_check(fs, &o, &r), r3_btrfs_why(fs));
	must((int)r.problems, "problems");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	uint8_t *copy;

	if (!size)
		return 0;
	if (!bytes)
		prepare();
	copy = malloc(size);
	memcpy(copy, data, size);
	mend(copy, size);
	fs = open_volume(&dev);
	sb_receive(fs, copy, size);
	check(fs);
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	free(copy);
	madvise(bytes, SIZE, MADV_DONTNEED);
	return 0;
}
