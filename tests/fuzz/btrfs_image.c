// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_image.c - any image at all: open, list, read, dump, check, send
 *
 * The input is pages of a device (btrfs_pages.h).  Checksums are not compared,
 * so that the content of blocks is reached.
 */
#include <dirent.h>

#include "btrfs_pages.h"

enum { ENTRIES_MAX = 2000 };

struct visit {
	struct r3_btrfs *fs;
	unsigned entries, depth;
	uint64_t last; /* read-only subvolume */
	uint8_t buf[200000];
};

static int see_xattr(void *arg, const char *name, size_t name_len,
		     const void *value, size_t len)
{
	struct visit *v = arg;

	memcpy(v->buf, name, name_len);
	memcpy(v->buf, value, len);
	return 0;
}

static int see_extent(void *arg, const struct r3_btrfs_extent *x)
{
	(void)arg;
	(void)x;
	return 0;
}

static int see_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct visit *v = arg;
	char target[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_stat st;
	size_t got;

	if (v->entries++ > ENTRIES_MAX)
		return -E2BIG;
	r3_btrfs_stat(v->fs, e->in, &st);
	r3_btrfs_each_xattr(v->fs, e->in, see_xattr, v);
	r3_btrfs_each_extent(v->fs, e->in, see_extent, v);
	r3_btrfs_readlink(v->fs, e->in, target);
	r3_btrfs_read(v->fs, e->in, v->entries * 777, v->buf, sizeof(v->buf),
		      &got);
	if (e->type == DT_DIR && v->depth < 50) {
		v->depth++;
		r3_btrfs_each_entry(v->fs, e->in, 0, see_entry, v);
		v->depth--;
	}
	return 0;
}

/* A stream that takes a megabyte: many files may have one extent. */
static ssize_t take_some(void *cookie, const char *buf, size_t len)
{
	size_t *taken = cookie;

	(void)buf;
	*taken += len;
	return *taken < 1 << 20 ? (ssize_t)len : 0;
}

static void send(struct r3_btrfs *fs, uint64_t subvol, uint64_t parent)
{
	struct r3_btrfs_send_options o = { .parent = parent, .proto = 2,
					   .compressed = subvol % 2 };
	cookie_io_functions_t io = { .write = take_some };
	size_t taken = 0;
	FILE *f = fopencookie(&taken, "w", io);

	r3_btrfs_send(fs, subvol, &o, f);
	fclose(f);
}

static int see_subvol(void *arg, const struct r3_btrfs_subvol *s)
{
	struct visit *v = arg;
	struct r3_btrfs_inode in;

	r3_btrfs_lookup(v->fs, s->path, &in);
	if (s->readonly && v->entries++ < 4) {
		send(v->fs, s->id, 0);
		send(v->fs, s->id, s->id);
		if (v->last)
			send(v->fs, s->id, v->last);
		v->last = s->id;
	}
	return 0;
}

static void use(struct r3_btrfs *fs, FILE *null)
{
	static const uint64_t trees[] = { 1, 2, 3, 4, 5, 7, 8, 9, 10, 256 };
	struct r3_btrfs_check_options opts = { .data = true,
					       .qgroups = true };
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct r3_btrfs_check_result res;
	struct r3_btrfs_info info;
	struct visit *v = calloc(1, sizeof(*v));

	v->fs = fs;
	r3_btrfs_get_info(fs, &info);
	r3_btrfs_dump_super(fs, true, null);
	r3_btrfs_each_subvol(fs, see_subvol, v);
	r3_btrfs_each_entry(fs, top, 0, see_entry, v);
	for (unsigned i = 0; i < R3_COUNT(trees); i++)
		r3_btrfs_dump_tree(fs, trees[i], i % 2, null);
	r3_btrfs_check(fs, &opts, &res);
	free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct r3_btrfs_options opts = { .ignore_csum = true,
					 .cache_bytes = 1 << 20 };
	static FILE *null;
	struct pages *p = pages_new(data, size);
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	if (!null)
		null = fopen("/dev/null", "w");
	if (!r3_btrfs_open(&p->dev, &opts, &fs, &why)) {
		use(fs, null);
		r3_btrfs_close(fs);
	}
	pages_free(p);
	return 0;
}
