// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * churn.c - changes an image in ways that are hard on its space and references
 *
 *	churn IMAGE share|unshare|holes|plug|fill|inline SEED
 *
 * share: one file's extents in many places of many files, under snapshots;
 * unshare: all of that goes, in random order; holes: thousands of small
 * extents, every other of which goes; plug: the others go; fill: to the last
 * byte, half of it gone, full again, all gone; inline: the same with files in
 * tree blocks, and a snapshot that keeps the first half.  space.py has the
 * judges.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ring3/btrfs.h"

enum { FILES = 12, SUBVOLS = 4, SNAPSHOTS = 12, CLONES = 1500, SMALL = 4000,
       BASE = 96 /* sectors */, SPREAD = 400 };

static struct r3_btrfs *fs;
static uint64_t seed;
static uint8_t buf[1 << 20];
static const struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };

static uint64_t rnd(uint64_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 33) % below;
}

static void must_(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, strerror(-err),
		r3_btrfs_why(fs));
	exit(1);
}
#define must(call) must_(call, #call)

static struct r3_btrfs_inode make(struct r3_btrfs_inode dir, const char *fmt,
				  unsigned n)
{
	const struct r3_btrfs_new new = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inode in;
	char name[32];
	int len = snprintf(name, sizeof(name), fmt, n);

	must(r3_btrfs_make(fs, dir, name, (size_t)len, &new, &in));
	return in;
}

static struct r3_btrfs_inode find(const char *fmt, unsigned a, unsigned b)
{
	struct r3_btrfs_inode in;
	char path[64];

	snprintf(path, sizeof(path), fmt, a, b);
	must(r3_btrfs_lookup(fs, path, &in));
	return in;
}

static void scribble(size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t n = rnd(UINT64_MAX);

		memcpy(buf + i, &n, 8);
	}
}

/* ---- references ---------------------------------------------------------- */

static struct r3_btrfs_inode any_file(void)
{
	return find("s%u/f%u", (unsigned)rnd(SUBVOLS), (unsigned)rnd(FILES));
}

static void share_setup(void)
{
	struct r3_btrfs_inode in = make(top, "base", 0);

	for (unsigned i = 0; i < 4; i++) {
		scribble(BASE / 4 * 4096);
		must(r3_btrfs_write(fs, in, i * BASE / 4 * 4096, buf,
				    BASE / 4 * 4096));
		must(r3_btrfs_sync(fs));
	}
	for (unsigned s = 0; s < SUBVOLS; s++) {
		char name[16];
		uint64_t id;
		int len = snprintf(name, sizeof(name), "s%u", s);

		must(r3_btrfs_subvol_create(fs, top, name, (size_t)len, NULL,
					    &id));
		for (unsigned f = 0; f < FILES; f++)
			make((struct r3_btrfs_inode){ id, R3_BTRFS_ROOT_INO },
			     "f%u", f);
	}
}

static void snapshot(unsigned n)
{
	struct r3_btrfs_inode source = find("s%u", (unsigned)rnd(SUBVOLS), 0);
	char name[16];
	uint64_t id;
	int len = snprintf(name, sizeof(name), "snap%u", n);

	must(r3_btrfs_snapshot(fs, source.subvol, top, name, (size_t)len,
			       n % 2, NULL, &id));
}

static void share(void)
{
	struct r3_btrfs_inode base;

	share_setup();
	base = find("base", 0, 0);
	for (unsigned i = 0; i < CLONES; i++) {
		uint64_t from = rnd(BASE), len = 1 + rnd(BASE - from);

		must(r3_btrfs_clone(fs, base, from * 4096, len * 4096,
				    any_file(), rnd(SPREAD) * 4096));
		if (i % 20 == 0) {
			scribble(12288);
			must(r3_btrfs_write(fs, any_file(), rnd(SPREAD * 4096),
					    buf, 1 + rnd(12288)));
		}
		if (i % 50 == 0)
			must(r3_btrfs_truncate(fs, any_file(),
					       rnd(SPREAD * 4096)));
		if (i % (CLONES / SNAPSHOTS) == 0)
			snapshot(i / (CLONES / SNAPSHOTS));
		if (i % 97 == 0)
			must(r3_btrfs_sync(fs));
	}
}

static void unshare(void)
{
	bool more = true;

	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		struct r3_btrfs_inode in = find("snap%u", i, 0);

		for (unsigned f = 0; f < 5; f++)
			must(r3_btrfs_truncate(fs, any_file(), rnd(SPREAD) *
						       4096));
		must(r3_btrfs_subvol_set_readonly(fs, in.subvol, false));
		must(r3_btrfs_subvol_delete(fs, in.subvol));
		if (i % 3 == 0)
			must(r3_btrfs_sync(fs));
	}
	while (more)
		must(r3_btrfs_clean(fs, 10, &more));
	for (unsigned s = 0; s < SUBVOLS; s++) {
		for (unsigned f = 0; f < FILES; f++)
			must(r3_btrfs_truncate(fs, find("s%u/f%u", s, f), 0));
	}
}

/* ---- space --------------------------------------------------------------- */

static void remove_every(const char *fmt, unsigned n, unsigned from,
			 unsigned step)
{
	for (unsigned i = from; i < n; i += step) {
		char name[32];
		int len = snprintf(name, sizeof(name), fmt, i);

		must(r3_btrfs_unlink(fs, top, name, (size_t)len));
	}
}

static void holes(void)
{
	for (unsigned i = 0; i < SMALL; i++) {
		scribble(8192);
		must(r3_btrfs_write(fs, make(top, "small%u", i), 0, buf,
				    4096 + rnd(4096)));
	}
	must(r3_btrfs_sync(fs));
	remove_every("small%u", SMALL, 0, 2);
}

/* Files of @size bytes until there is no space; how many that made. */
static unsigned fill_up(const char *fmt, size_t size)
{
	for (unsigned n = 0;; n++) {
		const struct r3_btrfs_new new = { .mode = S_IFREG | 0644 };
		struct r3_btrfs_inode in;
		char name[32];
		int len = snprintf(name, sizeof(name), fmt, n);
		int err = r3_btrfs_make(fs, top, name, (size_t)len, &new, &in);

		if (err == -ENOSPC)
			return n;
		must(err);
		scribble(size);
		err = r3_btrfs_write(fs, in, 0, buf, size);
		if (err == -ENOSPC)
			return n + 1;
		must(err);
	}
}

static void fill(void)
{
	unsigned n = fill_up("full%u", sizeof(buf)), m;

	must(r3_btrfs_sync(fs));
	remove_every("full%u", n, 0, 2);
	must(r3_btrfs_sync(fs));
	m = fill_up("more%u", sizeof(buf));
	must(r3_btrfs_sync(fs));
	printf("%u files, then %u\n", n, m);
	remove_every("full%u", n, 1, 2);
	remove_every("more%u", m, 0, 1);
	must(r3_btrfs_sync(fs));
	if (fill_up("last%u", sizeof(buf)) < n - 2) {
		fprintf(stderr, "space has been lost\n");
		exit(1);
	}
}

/* Names may stay where a snapshot shares their tree blocks and none are left
 * to copy them to. */
static void remove_what_can(const char *fmt, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), fmt, i);
		int err = r3_btrfs_unlink(fs, top, name, (size_t)len);

		if (err != -ENOENT && err != -ENOSPC)
			must(err);
	}
}

static void fill_inline(void)
{
	unsigned n = fill_up("full%u", 1600), m, left;
	bool more = true;
	uint64_t id;

	must(r3_btrfs_sync(fs));
	remove_every("full%u", n, 0, 2);
	must(r3_btrfs_snapshot(fs, R3_BTRFS_TOP, top, "snap", 4, true, NULL,
			       &id));
	m = fill_up("more%u", 1600);
	remove_what_can("full%u", n);
	must(r3_btrfs_sync(fs));
	must(r3_btrfs_subvol_delete(fs, id));
	while (more)
		must(r3_btrfs_clean(fs, 100, &more));
	must(r3_btrfs_sync(fs));
	remove_what_can("full%u", n);
	remove_what_can("more%u", m);
	must(r3_btrfs_sync(fs));
	left = fill_up("last%u", 1600);
	printf("%u files, %u under a snapshot, then %u\n", n, m, left);
	if (left < n - n / 20) {
		fprintf(stderr, "space has been lost\n");
		exit(1);
	}
}

static void plug(void)
{
	remove_every("small%u", SMALL, 1, 2);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = { { "share", share }, { "unshare", unshare },
		      { "holes", holes }, { "plug", plug }, { "fill", fill },
		      { "inline", fill_inline } };
	const struct r3_btrfs_options o = { .write = true };
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why = { 0 };
	int err = argc == 4 ? r3_btrfs_dev_file(argv[1], true, &dev) : -EINVAL;

	if (!err)
		err = r3_btrfs_open(dev, &o, &fs, &why);
	if (err) {
		fprintf(stderr, "%s: %s %s\n", argv[0], strerror(-err),
			why.text);
		return 1;
	}
	seed = strtoull(argv[3], NULL, 10);
	for (unsigned i = 0; i < R3_COUNT(modes); i++) {
		if (!strcmp(argv[2], modes[i].name))
			modes[i].run();
	}
	must(r3_btrfs_sync(fs));
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	return 0;
}
