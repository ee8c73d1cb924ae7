// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * data_shape.c - what extents data becomes, and what is refused
 *
 * Shapes are those of the kernel: inline up to 2048 bytes, packed pieces of 128
 * KiB, extents of up to 128 MiB, preallocated space written in place while
 * nobody else refers to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <zlib.h>

#include "ring3/btrfs.h"

enum { DEVICE = 128 << 20, BUF = 8 << 20, K = 1024, M = 1024 * 1024 };

/* Memory that refuses writes when it is told to. */
struct flaky {
	struct r3_btrfs_dev dev;
	uint8_t *bytes;
	bool broken;
};

struct vol {
	struct flaky flaky;
	uint8_t *bytes, *buf, *noise;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	struct r3_btrfs_inode top, f;
	struct r3_btrfs_extent x[64]; /* without holes */
	unsigned count;
};

static int flaky_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		      size_t len)
{
	memcpy(buf, R3_CONTAINER(dev, struct flaky, dev)->bytes + off, len);
	return 0;
}

static int flaky_write(struct r3_btrfs_dev *dev, uint64_t off,
		       const void *buf, size_t len)
{
	struct flaky *f = R3_CONTAINER(dev, struct flaky, dev);

	if (f->broken)
		return -EIO;
	memcpy(f->bytes + off, buf, len);
	return 0;
}

static int flaky_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return 0;
}

static void flaky_close(struct r3_btrfs_dev *dev)
{
	(void)dev;
}

static const struct r3_btrfs_dev_ops flaky_ops = {
	.read = flaky_read, .write = flaky_write, .flush = flaky_flush,
	.close = flaky_close,
};

static void open_vol(struct vol *v, unsigned compression)
{
	struct r3_btrfs_options o = { .write = true,
				      .compression = compression };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(v->dev, &o, &v->fs, &why))
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	struct vol *v = calloc(1, sizeof(*v));
	struct r3_btrfs_mkfs_options o = { .size = DEVICE };
	struct r3_btrfs_mkfs_result res;
	struct r3_btrfs_why why;
	uint64_t n = 88172645463325252;

	v->bytes = calloc(1, DEVICE);
	v->buf = calloc(1, BUF);
	v->noise = malloc(BUF);
	for (size_t i = 0; i < BUF; i += 8) {
		n ^= n << 13;
		n ^= n >> 7;
		n ^= n << 17;
		memcpy(v->noise + i, &n, 8);
	}
	v->top = (struct r3_btrfs_inode){ R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	v->flaky.dev.ops = &flaky_ops;
	v->flaky.dev.size = DEVICE;
	v->flaky.bytes = v->bytes;
	v->dev = &v->flaky.dev;
	assert_int_equal(r3_btrfs_mkfs(v->dev, &o, &res, &why), 0);
	*state = v;
	return 0;
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	print_error("%s\n", text);
}

static int teardown(void **state)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem };
	struct r3_btrfs_check_result res = { 0 };
	struct vol *v = *state;
	struct r3_btrfs_why why;
	int err = r3_btrfs_sync(v->fs);

	r3_btrfs_close(v->fs);
	if (!err)
		err = r3_btrfs_open(v->dev, NULL, &v->fs, &why);
	if (!err)
		err = r3_btrfs_check(v->fs, &o, &res);
	r3_btrfs_close(v->fs);
	free(v->bytes);
	free(v->buf);
	free(v->noise);
	free(v);
	return err || res.problems ? -1 : 0;
}

static void make(struct vol *v, const char *name)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };

	assert_int_equal(r3_btrfs_make(v->fs, v->top, name, strlen(name),
				       &what, &v->f), 0);
}

static int take(void *arg, const struct r3_btrfs_extent *x)
{
	struct vol *v = arg;

	if (!x->logical && !x->is_inline)
		return 0;
	assert_true(v->count < 64);
	v->x[v->count++] = *x;
	return 0;
}

static void look(struct vol *v)
{
	v->count = 0;
	assert_int_equal(r3_btrfs_each_extent(v->fs, v->f, take, v), 0);
}

static void put(struct vol *v, uint64_t off, const void *p, size_t len)
{
	int err = r3_btrfs_write(v->fs, v->f, off, p, len);

	if (err)
		fail_msg("%s: %s", strerror(-err), r3_btrfs_why(v->fs));
}

/* ---- plain ----------------------------------------------------------------*/

static void small_writes_one_extent(void **state)
{
	struct vol *v = *state;

	open_vol(v, 0);
	make(v, "f");
	for (unsigned i = 0; i < 32; i++)
		put(v, i * 128 * K, v->noise, 128 * K);
	look(v);
	assert_int_equal(v->count, 1);
	assert_int_equal(v->x[0].len, 4 * M);
	/* what a commit has seen stays as it is */
	assert_int_equal(r3_btrfs_sync(v->fs), 0);
	put(v, 4 * M, v->noise, 128 * K);
	look(v);
	assert_int_equal(v->count, 2);
	assert_int_equal(v->x[0].len, 4 * M);
}

static void shared_does_not_grow(void **state)
{
	struct r3_btrfs_inode first;
	struct vol *v = *state;
	uint64_t id;

	open_vol(v, 0);
	make(v, "f");
	first = v->f;
	put(v, 0, v->noise, 128 * K);
	make(v, "g");
	assert_int_equal(r3_btrfs_clone(v->fs, first, 0, 0, v->f, 0), 0);
	put(v, 128 * K, v->noise, 128 * K);
	look(v);
	assert_int_equal(v->count, 2);
	put(v, 256 * K, v->noise, 128 * K);
	look(v);
	assert_int_equal(v->count, 2); /* the second one did */
	assert_int_equal(r3_btrfs_snapshot(v->fs, R3_BTRFS_TOP, v->top, "s",
					   1, true, NULL, &id), 0);
	put(v, 384 * K, v->noise, 128 * K);
	look(v);
	assert_int_equal(v->count, 3);
}

static void prealloc_in_place(void **state)
{
	struct vol *v = *state;
	uint64_t logical, id;

	open_vol(v, 0);
	make(v, "f");
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f, 0, 0, M), 0);
	look(v);
	assert_int_equal(v->count, 1);
	assert_true(v->x[0].prealloc);
	logical = v->x[0].logical;
	assert_int_equal(r3_btrfs_sync(v->fs), 0);
	put(v, 64 * K, v->noise, 64 * K);
	look(v);
	assert_int_equal(v->count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(v->x[i].logical, logical);
		assert_int_equal(v->x[i].offset, v->x[i].start);
		assert_int_equal(v->x[i].prealloc, i != 1);
	}
	/* after a commit too */
	assert_int_equal(r3_btrfs_sync(v->fs), 0);
	put(v, 128 * K, v->noise, 64 * K);
	look(v);
	assert_int_equal(v->x[2].logical, logical);
	/* a snapshot reads zeros there */
	assert_int_equal(r3_btrfs_snapshot(v->fs, R3_BTRFS_TOP, v->top, "s",
					   1, false, NULL, &id), 0);
	put(v, 512 * K, v->noise, 64 * K);
	look(v);
	assert_int_equal(v->x[4].start, 512 * K);
	assert_int_not_equal(v->x[4].logical, logical);
}

static void cloned_prealloc_elsewhere(void **state)
{
	struct r3_btrfs_inode first;
	struct vol *v = *state;
	uint64_t logical;
	uint8_t byte = 1;
	size_t got;

	open_vol(v, 0);
	make(v, "f");
	first = v->f;
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f, 0, 0, M), 0);
	look(v);
	logical = v->x[0].logical;
	make(v, "g");
	assert_int_equal(r3_btrfs_clone(v->fs, first, 0, 0, v->f, 0), 0);
	look(v);
	assert_int_equal(v->x[0].logical, logical);
	assert_true(v->x[0].prealloc);
	put(v, 0, v->noise, 64 * K);
	look(v);
	assert_int_not_equal(v->x[0].logical, logical);
	assert_int_equal(r3_btrfs_read(v->fs, first, 5, &byte, 1, &got), 0);
	assert_int_equal(byte, 0);
}

static void large_is_large(void **state)
{
	struct vol *v = *state;

	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, BUF);
	look(v);
	assert_int_equal(v->count, 1);
	assert_int_equal(v->x[0].len, BUF);
}

/* ---- packed ---------------------------------------------------------------*/

static void packed_pieces(void **state)
{
	struct vol *v = *state;

	open_vol(v, 3);
	make(v, "f");
	put(v, 0, v->buf, M);
	look(v);
	assert_int_equal(v->count, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(v->x[i].compression, 3);
		assert_int_equal(v->x[i].ram_len, 128 * K);
		assert_int_equal(v->x[i].disk_len, 4096);
	}
	make(v, "g"); /* what does not pack is plain */
	put(v, 0, v->noise, M);
	look(v);
	for (unsigned i = 0; i < v->count; i++)
		assert_int_equal(v->x[i].compression, 0);
}

static void packed_by_flag(void **state)
{
	static const struct {
		uint64_t flags;
		const char *property;
		unsigned compression;
	} rows[] = {
		{ 0x800, NULL, 1 },   /* COMPRESS: zlib */
		{ 0x800, "lzo", 2 },
		{ 0x800, "zstd", 3 },
		{ 0, NULL, 0 },
		{ 8, NULL, 0 },	      /* NOCOMPRESS */
		{ 0x800 | 1, "zstd", 0 }, /* NODATASUM */
	};
	struct vol *v = *state;

	open_vol(v, 0);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_FLAGS,
					   .flags = rows[i].flags };
		const char *p = rows[i].property;
		char name[2] = { (char)('a' + i), 0 };

		make(v, name);
		if (p)
			assert_int_equal(r3_btrfs_setxattr(v->fs, v->f,
					"btrfs.compression", 17, p, strlen(p),
					0), 0);
		assert_int_equal(r3_btrfs_setattr(v->fs, v->f, &a), 0);
		put(v, 0, v->buf, 64 * K);
		look(v);
		assert_int_equal(v->x[0].compression, rows[i].compression);
	}
}

/* ---- inline ---------------------------------------------------------------*/

static void inline_limits(void **state)
{
	static const struct {
		size_t len;
		unsigned compression;
		bool noise, is_inline;
	} rows[] = {
		{ 1, 0, true, true },
		{ 2048, 0, true, true },
		{ 2049, 0, true, false },
		{ 4096, 1, false, true },
		{ 4096, 2, false, true },
		{ 4096, 3, false, true },
		{ 4097, 3, false, false },
		{ 4096, 3, true, false },
		{ 1000, 3, true, true },
	};
	struct vol *v = *state;

	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		char name[2] = { (char)('a' + i), 0 };

		open_vol(v, rows[i].compression);
		make(v, name);
		put(v, 0, rows[i].noise ? v->noise : v->buf, rows[i].len);
		look(v);
		assert_int_equal(v->count, 1);
		assert_int_equal(v->x[0].is_inline, rows[i].is_inline);
		if (i + 1 == R3_COUNT(rows))
			break;
		assert_int_equal(r3_btrfs_sync(v->fs), 0);
		r3_btrfs_close(v->fs);
	}
}

static void inline_grows(void **state)
{
	struct vol *v = *state;
	uint8_t back[9000];
	size_t got;

	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, 100);
	put(v, 100, v->noise + 100, 200);
	look(v);
	assert_true(v->x[0].is_inline && v->x[0].ram_len == 300);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, 50), 0);
	look(v);
	assert_true(v->x[0].is_inline && v->x[0].ram_len == 50);
	put(v, 8000, v->noise, 1);
	look(v);
	assert_false(v->x[0].is_inline);
	assert_int_equal(r3_btrfs_read(v->fs, v->f, 0, back, 9000, &got), 0);
	assert_int_equal(got, 8001);
	assert_memory_equal(back, v->noise, 50);
	assert_memory_equal(back + 50, v->buf, 7950);
}

/* ---- refusals -------------------------------------------------------------*/

static void refused(void **state)
{
	struct r3_btrfs_new dir = { .mode = S_IFDIR | 0755 };
	struct r3_btrfs_new symlink = { .mode = S_IFLNK | 0777,
					.target = "f" };
	struct r3_btrfs_inode d, l, ro;
	struct vol *v = *state;
	uint64_t id;

	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, 100);
	r3_btrfs_make(v->fs, v->top, "d", 1, &dir, &d);
	r3_btrfs_make(v->fs, v->top, "l", 1, &symlink, &l);
	assert_int_equal(r3_btrfs_snapshot(v->fs, R3_BTRFS_TOP, v->top, "s",
					   1, true, NULL, &id), 0);
	ro = (struct r3_btrfs_inode){ id, v->f.ino };
	assert_int_equal(r3_btrfs_write(v->fs, d, 0, "x", 1), -EISDIR);
	assert_int_equal(r3_btrfs_write(v->fs, l, 0, "x", 1), -EINVAL);
	assert_int_equal(r3_btrfs_write(v->fs, ro, 0, "x", 1), -EROFS);
	assert_int_equal(r3_btrfs_truncate(v->fs, ro, 5), -EROFS);
	assert_int_equal(r3_btrfs_truncate(v->fs, d, 5), -EISDIR);
	assert_int_equal(r3_btrfs_fallocate(v->fs, ro, 0, 0, 5), -EROFS);
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f, 0, 0, 0), -EINVAL);
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f,
					    FALLOC_FL_COLLAPSE_RANGE, 0, 4096),
			 -EOPNOTSUPP);
	assert_int_equal(r3_btrfs_clone(v->fs, v->f, 0, 0, ro, 0), -EROFS);
	assert_int_equal(r3_btrfs_clone(v->fs, d, 0, 0, v->f, 0), -EISDIR);
	assert_int_equal(r3_btrfs_clone(v->fs, v->f, 0, 101, v->f, 4096),
			 -EINVAL);
	assert_int_equal(r3_btrfs_write(v->fs, v->f, INT64_MAX, "x", 1),
			 -EFBIG);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, INT64_MAX + 1ull),
			 -EFBIG);
	assert_int_equal(r3_btrfs_write(v->fs, v->f, UINT64_MAX, "x", 1),
			 -EFBIG);
	/* just below, as in a kernel, and back */
	assert_int_equal(r3_btrfs_write(v->fs, v->f, INT64_MAX - 1, "x", 1), 0);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, 100), 0);
	look(v);
	assert_int_equal(v->count, 1);
}

static void encoded_refused(void **state)
{
	struct r3_btrfs_encoded ok = { .file_len = 8192, .ram_len = 8192,
				       .compression = 1 }, e;
	struct vol *v = *state;
	uint8_t packed[8192];
	uLongf len = sizeof(packed);

	compress2(packed, &len, v->buf, 8192, 1);
	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, 20000);
#define ENCODED(off) r3_btrfs_write_encoded(v->fs, v->f, off, &e, packed, len)
	e = ok;
	assert_int_equal(ENCODED(4096), 0);
	assert_int_equal(ENCODED(100), -EOPNOTSUPP);
	e.compression = 4;
	assert_int_equal(ENCODED(4096), -EOPNOTSUPP);
	e = ok;
	e.file_len = 5000; /* ends in the middle of the file */
	assert_int_equal(ENCODED(4096), -EOPNOTSUPP);
	assert_int_equal(ENCODED(16384), 0);
	e = ok;
	e.ram_off = 4096;
	assert_int_equal(ENCODED(4096), -EOPNOTSUPP);
	e.file_len = 4096;
	assert_int_equal(ENCODED(4096), 0);
	e.ram_len = 256 * K;
	assert_int_equal(ENCODED(4096), -EOPNOTSUPP);
#undef ENCODED
}

/* Data that can't be written is refused, and nothing else happens. */
static void broken_device(void **state)
{
	struct vol *v = *state;
	uint8_t back[5000];
	size_t got;

	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, 5000);
	v->flaky.broken = true;
	assert_int_equal(r3_btrfs_write(v->fs, v->f, 0, v->buf, M), -EIO);
	assert_int_equal(r3_btrfs_write(v->fs, v->f, 4990, v->buf, 100),
			 -EIO);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, 100), -EIO);
	v->flaky.broken = false;
	assert_int_equal(r3_btrfs_read(v->fs, v->f, 0, back, 5000, &got), 0);
	assert_int_equal(got, 5000);
	assert_memory_equal(back, v->noise, 5000);
	put(v, 4990, v->noise, 10);
}

/* A sector that is written in part, but can't be read, stays as it is. */
static void damaged_sector(void **state)
{
	struct vol *v = *state;
	uint8_t *at;

	open_vol(v, 0);
	make(v, "f");
	put(v, 0, v->noise, 8192);
	at = memmem(v->bytes, DEVICE, v->noise + 4096, 4096);
	assert_non_null(at);
	at[7] ^= 1;
	assert_int_equal(r3_btrfs_write(v->fs, v->f, 5000, "x", 1), -EIO);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, 5000), -EIO);
	put(v, 4096, v->noise, 4096); /* all of it can be */
	put(v, 5000, "x", 1);
	at[7] ^= 1; /* the old extent is still there, for its first sector */
}

static void quota_limits(void **state)
{
	struct vol *v = *state;
	uint64_t id, at;
	int err = 0;

	open_vol(v, 3);
	assert_int_equal(r3_btrfs_quota_enable(v->fs), 0);
	assert_int_equal(r3_btrfs_subvol_create(v->fs, v->top, "v", 1, NULL,
						&id), 0);
	assert_int_equal(r3_btrfs_qgroup_limit(v->fs, id, 4 * M,
					       R3_BTRFS_QGROUP_NONE), 0);
	v->top = (struct r3_btrfs_inode){ id, R3_BTRFS_ROOT_INO };
	make(v, "f");
	for (at = 0; !err && at < 8 * M; at += M)
		err = r3_btrfs_write(v->fs, v->f, at, v->noise, M);
	assert_int_equal(err, -EDQUOT);
	assert_true(at >= 3 * M && at <= 4 * M);
	/* what packs well has room still; and what goes makes some */
	put(v, 0, v->buf, M);
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f, 0, 8 * M, 2 * M),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, 0), 0);
	assert_int_equal(r3_btrfs_sync(v->fs), 0);
	put(v, 0, v->noise, 3 * M);
}

/* A full device: nothing of what is refused is there, what was deleted can be
 * written again, with one commit in between or none. */
static void full(void **state)
{
	struct r3_btrfs_stat st;
	struct vol *v = *state;
	uint64_t at = 0;
	int err = 0;

	open_vol(v, 0);
	make(v, "f");
	while (!err) {
		err = r3_btrfs_write(v->fs, v->f, at, v->noise, M);
		at += err ? 0 : M;
		assert_true(at < DEVICE);
		/* so that no extent is longer: one stays whole as long as
		 * any of it is in use */
		assert_int_equal(r3_btrfs_sync(v->fs), 0);
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(at > 32 * M);
	/* over what is there: what it freed comes back with a commit */
	at -= 4 * M;
	assert_int_equal(r3_btrfs_truncate(v->fs, v->f, at), 0);
	for (unsigned round = 0; round < 4; round++) {
		for (uint64_t o = 0; o < at; o += M)
			put(v, o, v->noise + round * 4096, M);
		assert_int_equal(r3_btrfs_sync(v->fs), 0);
	}
	assert_int_equal(r3_btrfs_fallocate(v->fs, v->f, 0, 0, DEVICE),
			 -ENOSPC);
	assert_int_equal(r3_btrfs_stat(v->fs, v->f, &st), 0);
	assert_int_equal(st.st.st_size, at);
	assert_int_equal(r3_btrfs_unlink(v->fs, v->top, "f", 1), 0);
	make(v, "g");
	for (uint64_t o = 0; o < at; o += M)
		put(v, o, v->noise, M);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(small_writes_one_extent), T(shared_does_not_grow),
		T(prealloc_in_place), T(cloned_prealloc_elsewhere),
		T(large_is_large), T(packed_pieces), T(packed_by_flag),
		T(inline_limits), T(inline_grows), T(refused),
		T(encoded_refused), T(broken_device), T(damaged_sector),
		T(quota_limits), T(full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
