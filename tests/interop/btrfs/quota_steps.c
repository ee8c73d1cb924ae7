// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota_steps.c - one step of the quota script on an image
 *
 * quota_steps IMAGE STEP: opens the image, does the step, syncs, closes.
 * quota.py knows what a kernel said after each of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>

#include "ring3/btrfs.h"

enum { KIB = 1024 };

static struct r3_btrfs *fs;

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s (%s)\n", what, r3_btrfs_why(fs),
		strerror(-err));
	exit(1);
}

static struct r3_btrfs_inode find(const char *path)
{
	struct r3_btrfs_inode in;

	must(r3_btrfs_lookup(fs, path, &in), path);
	return in;
}

/* "A/f1" is made in A. */
static struct r3_btrfs_inode make(const char *path)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inode in;
	char dir[2] = { path[0] };

	must(r3_btrfs_make(fs, find(dir), path + 2, strlen(path + 2), &what,
			   &in), path);
	return in;
}

/* In pieces, each an extent of its own where @piece says so. */
static void fill(struct r3_btrfs_inode in, uint64_t len, size_t piece)
{
	uint8_t *buf = malloc(piece);
	uint64_t seed = 1;

	for (uint64_t off = 0; off < len; off += piece) {
		for (size_t i = 0; i < piece; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1;
			buf[i] = (uint8_t)(seed >> 56);
		}
		must(r3_btrfs_write(fs, in, off, buf, piece), "write");
	}
	free(buf);
}

static void subvol(const char *name)
{
	uint64_t id;

	must(r3_btrfs_subvol_create(fs, find("/"), name, strlen(name), NULL,
				    &id), name);
}

static void snapshot(const char *from, const char *name, uint64_t group)
{
	struct r3_btrfs_inherit inherit = { &group, group ? 1 : 0 };
	uint64_t id;

	must(r3_btrfs_snapshot(fs, find(from).subvol, find("/"), name,
			       strlen(name), false, &inherit, &id), name);
}

static void begin(void)
{
	must(r3_btrfs_quota_enable(fs), "enable");
	subvol("A");
	subvol("B");
	fill(make("A/f1"), 16 * 64 * KIB, 1024 * KIB);
	fill(make("A/f2"), 64 * KIB, 64 * KIB);
	fill(make("B/g"), 8 * 64 * KIB, 512 * KIB);
}

static void snap(void)
{
	snapshot("A", "S", 0);
}

static void overwrite(void)
{
	fill(find("A/f1"), 256 * KIB, 256 * KIB);
}

static void clone_f2(void)
{
	must(r3_btrfs_clone(fs, find("A/f2"), 0, 0, make("B/f2"), 0),
	     "clone");
}

static void rm_f2(void)
{
	must(r3_btrfs_unlink(fs, find("A"), "f2", 2), "unlink");
}

static void clone_g(void)
{
	must(r3_btrfs_clone(fs, find("B/g"), 0, 0, make("A/g"), 0), "clone");
}

static void small(void)
{
	must(r3_btrfs_write(fs, make("A/small"), 0, "12345", 5), "small");
}

/* 128 KiB of zeros; 1 MiB of zeros that kernels store as eight packed extents
 * of 4 KiB each */
static void packed(void)
{
	static uint8_t zeros[1024 * KIB];
	uint8_t block[4096] = { 0 };
	struct r3_btrfs_encoded how = { .file_len = 128 * KIB,
					.ram_len = 128 * KIB,
					.compression = 1 };
	struct r3_btrfs_inode in = make("A/zc");
	FILE *f = fopen(getenv("PACKED"), "rb");
	size_t len = f ? fread(block, 1, sizeof(block), f) : 0;

	if (f)
		fclose(f);
	must(r3_btrfs_write(fs, make("A/z"), 0, zeros, 128 * KIB), "zeros");
	for (uint64_t off = 0; off < sizeof(zeros); off += 128 * KIB)
		must(r3_btrfs_write_encoded(fs, in, off, &how, block, len),
		     "packed");
}

static void prealloc(void)
{
	must(r3_btrfs_fallocate(fs, make("A/pre"), 0, 0, 1024 * KIB),
	     "prealloc");
}

static void hole(void)
{
	must(r3_btrfs_truncate(fs, make("A/hole"), 100 * 1024 * KIB), "hole");
}

static void group(void)
{
	must(r3_btrfs_qgroup_create(fs, R3_BTRFS_QGROUP(1, 1)), "create");
	must(r3_btrfs_qgroup_assign(fs, 256, R3_BTRFS_QGROUP(1, 1)),
	     "assign");
}

static void group_s(void)
{
	must(r3_btrfs_qgroup_assign(fs, 258, R3_BTRFS_QGROUP(1, 1)),
	     "assign");
}

static void snap_t(void)
{
	snapshot("A", "T", R3_BTRFS_QGROUP(1, 1));
}

static void delete_s(void)
{
	bool more = true;

	must(r3_btrfs_subvol_delete(fs, 258), "delete");
	while (more)
		must(r3_btrfs_clean(fs, 1000, &more), "clean");
}

/* The second script: source and its groups above it. */
static void parents(void)
{
	begin();
	must(r3_btrfs_qgroup_create(fs, R3_BTRFS_QGROUP(1, 100)), "create");
	must(r3_btrfs_qgroup_create(fs, R3_BTRFS_QGROUP(2, 1)), "create");
	must(r3_btrfs_qgroup_assign(fs, R3_BTRFS_QGROUP(1, 100),
				    R3_BTRFS_QGROUP(2, 1)), "assign");
	must(r3_btrfs_qgroup_assign(fs, 256, R3_BTRFS_QGROUP(1, 100)),
	     "assign");
	must(r3_btrfs_qgroup_assign(fs, 257, R3_BTRFS_QGROUP(1, 100)),
	     "assign");
	must(r3_btrfs_sync(fs), "sync");
	snap();
	snapshot("A", "S2", R3_BTRFS_QGROUP(1, 100));
	overwrite();
	clone_f2();
	rm_f2();
	clone_g();
}

static const struct {
	const char *name;
	void (*run)(void);
} steps[] = {
	{ "begin", begin },	  { "snapshot", snap },
	{ "overwrite", overwrite }, { "clone-f2", clone_f2 },
	{ "rm-f2", rm_f2 },	  { "clone-g", clone_g },
	{ "small", small },	  { "packed", packed },
	{ "prealloc", prealloc }, { "hole", hole },
	{ "group", group },	  { "group-s", group_s },
	{ "snapshot-t", snap_t }, { "delete-s", delete_s },
	{ "parents", parents },
};

int main(int argc, char **argv)
{
	struct r3_btrfs_options o = { .write = true };
	struct r3_btrfs_why why;
	struct r3_btrfs_dev *dev;
	unsigned i = 0;

	if (argc != 3 || r3_btrfs_dev_file(argv[1], true, &dev))
		return 2;
	if (r3_btrfs_open(dev, &o, &fs, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	while (i < R3_COUNT(steps) && strcmp(steps[i].name, argv[2]))
		i++;
	if (i == R3_COUNT(steps))
		return 2;
	steps[i].run();
	must(r3_btrfs_sync(fs), "sync");
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	return 0;
}
