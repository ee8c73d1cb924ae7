// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_change.c - any image at all is opened for changes, and changed
 *
 * The input is pages of a device.  Whatever the image says, each call returns,
 * and what was written stays in the device.  Inputs change in a few bytes that
 * are not zero, so that most images still open.
 */
#include <dirent.h>

#include "btrfs_pages.h"

enum { ENTRIES_MAX = 40 };

struct found {
	struct r3_btrfs_dirent entry[ENTRIES_MAX];
	unsigned count;
};

static int find_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct found *f = arg;

	f->entry[f->count++] = *e;
	return f->count == ENTRIES_MAX;
}

static uint8_t data[70000];

/* Every kind of change to what is there. */
static void change_entry(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			 const struct r3_btrfs_dirent *e, unsigned n)
{
	struct r3_btrfs_attr attr = { .set = R3_BTRFS_SET_MODE, .mode = 0600 };

	r3_btrfs_setattr(fs, e->in, &attr);
	r3_btrfs_setxattr(fs, e->in, "user.x", 6, data, n * 50, 0);
	if (e->type == DT_REG) {
		r3_btrfs_write(fs, e->in, n * 5000, data, 5000 + n * 1000);
		r3_btrfs_fallocate(fs, e->in, 0, 0, 50000);
		r3_btrfs_truncate(fs, e->in, n * 3000);
	}
	r3_btrfs_link(fs, e->in, dir, "second", 6);
	switch (n % 3) {
	case 0:
		r3_btrfs_rename(fs, dir, e->name, e->name_len, dir, "moved", 5,
				0);
		break;
	case 1:
		if (e->type == DT_DIR)
			r3_btrfs_rmdir(fs, dir, e->name, e->name_len);
		else
			r3_btrfs_unlink(fs, dir, e->name, e->name_len);
		break;
	}
}

static void change_dir(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		       unsigned depth)
{
	struct found *f = calloc(1, sizeof(*f));

	r3_btrfs_each_entry(fs, dir, 0, find_entry, f);
	for (unsigned i = 0; i < f->count; i++) {
		if (f->entry[i].type == DT_DIR && depth)
			change_dir(fs, f->entry[i].in, depth - 1);
		change_entry(fs, dir, &f->entry[i], i + depth);
	}
	free(f);
}

static void make_some(struct r3_btrfs *fs)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO }, in;
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	char name[16];

	for (int i = 0; i < 60; i++) {
		int len = snprintf(name, sizeof(name), "new%d", i);

		if (r3_btrfs_make(fs, top, name, (size_t)len, &what, &in))
			return;
		r3_btrfs_write(fs, in, 0, data, (size_t)i * 1000 + 1);
	}
}

static void change(struct r3_btrfs *fs)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	uint64_t id, made;
	bool more = true;

	make_some(fs);
	r3_btrfs_quota_enable(fs);
	r3_btrfs_snapshot(fs, R3_BTRFS_TOP, top, "s1", 2, false, NULL, &made);
	change_dir(fs, top, 2);
	r3_btrfs_sync(fs);
	r3_btrfs_snapshot(fs, made, top, "s2", 2, true, NULL, &id);
	for (id = 256; id < 260; id++)
		r3_btrfs_subvol_delete(fs, id);
	for (unsigned i = 0; more && i < 50; i++) {
		if (r3_btrfs_clean(fs, 20, &more))
			break;
	}
	r3_btrfs_sync(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	struct r3_btrfs_options opts = { .ignore_csum = true, .write = true,
					 .cache_bytes = 1 << 20 };
	struct pages *p = pages_new(in, size);
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	if (!r3_btrfs_open(&p->dev, &opts, &fs, &why)) {
		change(fs);
		r3_btrfs_close(fs);
	}
	pages_free(p);
	return 0;
}

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

size_t LLVMFuzzerCustomMutator(uint8_t *in, size_t size, size_t max,
			       unsigned int start)
{
	uint64_t seed = start + UINT64_C(0x9e3779b97f4a7c15);
	size_t at = 0, from;

	if (size < 64 || max < size)
		return size;
	for (unsigned n = 1 + next(&seed) % 3; n; n--) {
		for (unsigned i = 0; i < 64 && !in[at]; i++)
			at = next(&seed) % (size - 8);
		from = next(&seed) % (size - 8);
		switch (next(&seed) % 5) {
		case 0:
			in[at] ^= 1u << next(&seed) % 8;
			break;
		case 1:
			in[at]++;
			break;
		case 2:
			in[at]--;
			break;
		case 3:
			in[at] = 0;
			break;
		case 4:
			memmove(in + at, in + from, 1u << next(&seed) % 4);
			break;
		}
		at = next(&seed) % (size - 8);
	}
	return size;
}
