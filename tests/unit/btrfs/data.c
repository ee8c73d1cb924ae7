// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * data.c - file data against a model: every change goes to a file and to plain
 * memory, which must stay equal, over commits, reopening and snapshots
 *
 * SEED=n in the environment tries another run.  With arguments it works on an
 * image that somebody else made, for tests/interop/btrfs/data.py:
 *
 *	IMAGE OUTDIR SEED COMPRESSION
 *
 * and leaves the files' content in OUTDIR, and in OUTDIR/ops what it did, a
 * line each, the data in OUTDIR/blob.
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

enum {
	DEVICE = 192 << 20,
	FILES = 4,
	FILE_MAX = 1 << 20,
	SECTOR = 4096,
	SNAPSHOTS = 4,
	STEPS = 400,
};

struct model {
	struct r3_btrfs_inode in;
	bool no_sums;
	uint64_t size;
	uint8_t data[FILE_MAX]; /* zeros from size on */
};

struct run {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	struct r3_btrfs_options opts;
	struct model file[FILES];
	struct model snap[SNAPSHOTS]; /* file 0 as it was */
	unsigned snap_count;
	uint64_t state;
	unsigned seed, step;
	const char *what;
	char problem[512];
	FILE *ops, *blob; /* or NULL */
	uint8_t buf[FILE_MAX];
};

static uint32_t rnd(struct run *r, uint32_t below)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 16) % below;
}

#define MUST(r, call)                                                        \
	do {                                                                 \
		int err_ = (call);                                           \
		if (err_)                                                    \
			fail_msg("seed %u step %u %s: %s: %s", (r)->seed,    \
				 (r)->step, (r)->what, strerror(-err_),      \
				 r3_btrfs_why((r)->fs));                     \
	} while (0)

static void open_fs(struct run *r)
{
	struct r3_btrfs_why why;

	if (r3_btrfs_open(r->dev, &r->opts, &r->fs, &why))
		fail_msg("seed %u step %u: %s", r->seed, r->step, why.text);
}

static void problem(void *arg, const char *text)
{
	struct run *r = arg;

	if (!*r->problem)
		snprintf(r->problem, sizeof(r->problem), "%s", text);
}

/* As another would see it: only what is on the device. */
static void check(struct run *r)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem,
					    .arg = r };
	struct r3_btrfs_check_result res;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	int err;

	*r->problem = 0;
	if (r3_btrfs_open(r->dev, NULL, &fs, &why))
		fail_msg("seed %u step %u: %s", r->seed, r->step, why.text);
	err = r3_btrfs_check(fs, &o, &res);
	if (err || res.problems)
		fail_msg("seed %u step %u %s: check: %s %s", r->seed, r->step,
			 r->what, r->problem, err ? r3_btrfs_why(fs) : "");
	r3_btrfs_close(fs);
}

static void compare(struct run *r, const struct model *m)
{
	struct r3_btrfs_stat st;
	size_t got = 0;

	MUST(r, r3_btrfs_stat(r->fs, m->in, &st));
	if ((uint64_t)st.st.st_size != m->size)
		fail_msg("seed %u step %u %s: size %llu, not %llu", r->seed,
			 r->step, r->what, (unsigned long long)st.st.st_size,
			 (unsigned long long)m->size);
	MUST(r, r3_btrfs_read(r->fs, m->in, 0, r->buf, FILE_MAX, &got));
	assert_int_equal(got, m->size);
	for (size_t i = 0; i < got; i++) {
		if (r->buf[i] != m->data[i])
			fail_msg("seed %u step %u %s: byte %zu of inode %llu "
				 "is %02x, not %02x", r->seed, r->step,
				 r->what, i, (unsigned long long)m->in.ino,
				 r->buf[i], m->data[i]);
	}
}

static void compare_all(struct run *r)
{
	for (unsigned i = 0; i < FILES; i++)
		compare(r, &r->file[i]);
	for (unsigned i = 0; i < r->snap_count; i++)
		compare(r, &r->snap[i]);
}

/* ---- changes --------------------------------------------------------------*/

/* "write c OFF LEN", its data to the blob */
static void tell(struct run *r, const struct model *m, const char *op,
		 uint64_t a, uint64_t b, uint64_t c, const void *data)
{
	if (!r->ops)
		return;
	fprintf(r->ops, "%s %c %llu %llu %llu\n", op,
		(char)('a' + (m - r->file)), (unsigned long long)a,
		(unsigned long long)b, (unsigned long long)c);
	if (data)
		fwrite(data, 1, b, r->blob);
}

/* Lengths of all magnitudes, often near sectors. */
static uint64_t some_len(struct run *r, uint64_t max)
{
	static const uint32_t scale[] = { 8, 300, 3000, 9000, 70000, 400000 };
	uint64_t len = 1 + rnd(r, scale[rnd(r, 6)]);

	if (!rnd(r, 3))
		len = (len + SECTOR - 1) / SECTOR * SECTOR;
	return len < max ? len : max;
}

static uint64_t some_off(struct run *r, const struct model *m)
{
	uint64_t off;

	switch (rnd(r, 4)) {
	case 0:
		off = m->size; /* append */
		break;
	case 1:
		off = rnd(r, 3) * SECTOR;
		break;
	default:
		off = rnd(r, FILE_MAX - SECTOR);
	}
	if (rnd(r, 2))
		off = off / SECTOR * SECTOR;
	return off < FILE_MAX ? off : FILE_MAX - SECTOR;
}

static void fill(struct run *r, uint8_t *buf, size_t len)
{
	unsigned kind = rnd(r, 3), c = rnd(r, 256);

	for (size_t i = 0; i < len; i++)
		buf[i] = kind == 0 ? (uint8_t)rnd(r, 256)
				   : (uint8_t)(c + i / 97 * (kind == 1));
}

static void grown(struct model *m, uint64_t size)
{
	if (size > m->size)
		m->size = size;
}

static void do_write(struct run *r, struct model *m)
{
	uint64_t off = some_off(r, m), len = some_len(r, FILE_MAX - off);

	fill(r, r->buf, len);
	memcpy(m->data + off, r->buf, len);
	grown(m, off + len);
	tell(r, m, "write", off, len, 0, r->buf);
	MUST(r, r3_btrfs_write(r->fs, m->in, off, r->buf, len));
}

/* As a program that writes a file in small pieces. */
static void do_append(struct run *r, struct model *m)
{
	uint64_t len = 1 + rnd(r, 20000);

	for (unsigned i = 0; i < 8 && m->size + len <= FILE_MAX; i++) {
		fill(r, m->data + m->size, len);
		tell(r, m, "write", m->size, len, 0, m->data + m->size);
		MUST(r, r3_btrfs_write(r->fs, m->in, m->size,
				       m->data + m->size, len));
		m->size += len;
	}
}

static void do_truncate(struct run *r, struct model *m)
{
	uint64_t size = rnd(r, 3) ? some_off(r, m) : rnd(r, 6000);

	if (size < m->size)
		memset(m->data + size, 0, m->size - size);
	m->size = size;
	tell(r, m, "truncate", size, 0, 0, NULL);
	MUST(r, r3_btrfs_truncate(r->fs, m->in, size));
}

static void do_fallocate(struct run *r, struct model *m)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[rnd(r, 6)];
	uint64_t off = some_off(r, m), len = some_len(r, FILE_MAX - off);

	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grown(m, off + len);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(m->data + off, 0, len);
	tell(r, m, "fallocate", off, len, (uint64_t)mode, NULL);
	MUST(r, r3_btrfs_fallocate(r->fs, m->in, mode, off, len));
}

static void do_clone(struct run *r, struct model *m)
{
	struct model *from = &r->file[rnd(r, FILES)];
	uint64_t src = rnd(r, (uint32_t)(from->size / SECTOR + 1)) * SECTOR;
	uint64_t dst = some_off(r, m) / SECTOR * SECTOR, len;
	bool inside;
	int err;

	if (src >= from->size)
		return;
	len = some_len(r, from->size - src);
	if (dst + len > FILE_MAX)
		len = FILE_MAX - dst;
	if (rnd(r, 2) && src + len < from->size)
		len = from->size - src <= FILE_MAX - dst
			      ? from->size - src : FILE_MAX - dst;
	inside = m == from && src < dst + len && dst < src + len;
	err = r3_btrfs_clone(r->fs, from->in, src, len, m->in, dst);
	/* the rules of ioctl_ficlonerange(2) */
	if (inside || (len % SECTOR && (src + len != from->size ||
					dst + len < m->size)) ||
	    from->no_sums != m->no_sums) {
		assert_int_equal(err, -EINVAL);
		return;
	}
	MUST(r, err);
	if (r->ops)
		fprintf(r->ops, "clone %c %llu %llu %llu %c\n",
			(char)('a' + (m - r->file)), (unsigned long long)dst,
			(unsigned long long)len, (unsigned long long)src,
			(char)('a' + (from - r->file)));
	memmove(m->data + dst, from->data + src, len);
	grown(m, dst + len);
}

static void do_encoded(struct run *r, struct model *m)
{
	static uint8_t raw[128 << 10], packed[160 << 10];
	uint64_t off = some_off(r, m) / SECTOR * SECTOR;
	uint64_t ram = SECTOR * (1 + rnd(r, 32)), skip;
	struct r3_btrfs_encoded how = { .compression = 1 };
	uLongf len = sizeof(packed);
	int err;

	fill(r, raw, ram);
	assert_int_equal(compress2(packed, &len, raw, ram, 1), Z_OK);
	skip = SECTOR * rnd(r, (uint32_t)(ram / SECTOR));
	how.ram_len = ram;
	how.ram_off = skip;
	how.file_len = SECTOR * (1 + rnd(r, (uint32_t)((ram - skip) /
						       SECTOR)));
	if (!rnd(r, 3))
		how.file_len -= 1 + rnd(r, SECTOR - 1);
	if (off + how.file_len > FILE_MAX)
		return;
	err = r3_btrfs_write_encoded(r->fs, m->in, off, &how, packed, len);
	if (len >= ram || m->no_sums || (how.file_len % SECTOR &&
					 off + how.file_len < m->size)) {
		assert_int_equal(err, -EOPNOTSUPP);
		return;
	}
	MUST(r, err);
	tell(r, m, "write", off, how.file_len, 0, raw + skip);
	memcpy(m->data + off, raw + skip, how.file_len);
	grown(m, off + how.file_len);
}

static void do_snapshot(struct run *r)
{
	struct model *s = &r->snap[r->snap_count];
	char name[16];
	int len = snprintf(name, sizeof(name), "snap%u", r->snap_count);
	uint64_t id;

	if (r->snap_count == SNAPSHOTS)
		return;
	MUST(r, r3_btrfs_snapshot(r->fs, R3_BTRFS_TOP,
				  (struct r3_btrfs_inode){ R3_BTRFS_TOP,
					  R3_BTRFS_ROOT_INO },
				  name, (size_t)len, rnd(r, 2), NULL, &id));
	*s = r->file[0];
	s->in.subvol = id;
	r->snap_count++;
}

static void step(struct run *r)
{
	struct model *m = &r->file[rnd(r, FILES)];

	switch (rnd(r, 12)) {
	case 0 ... 3:
		r->what = "write";
		do_write(r, m);
		break;
	case 4:
		r->what = "append";
		do_append(r, m);
		break;
	case 5 ... 6:
		r->what = "truncate";
		do_truncate(r, m);
		break;
	case 7 ... 8:
		r->what = "fallocate";
		do_fallocate(r, m);
		break;
	case 9 ... 10:
		r->what = "clone";
		do_clone(r, m);
		break;
	case 11:
		r->what = "encoded";
		do_encoded(r, m);
		break;
	}
	compare(r, m);
	if (rnd(r, 40) == 0) {
		r->what = "snapshot";
		do_snapshot(r);
	}
	if (rnd(r, 20) == 0) {
		r->what = "sync";
		MUST(r, r3_btrfs_sync(r->fs));
	}
	if (rnd(r, 50) == 0) {
		r->what = "reopen";
		MUST(r, r3_btrfs_sync(r->fs));
		r3_btrfs_close(r->fs);
		check(r);
		open_fs(r);
		compare_all(r);
	}
}

/* ---- runs -----------------------------------------------------------------*/

static void mkfs(struct run *r, const char *csum, uint32_t nodesize)
{
	struct r3_btrfs_mkfs_options o = { .size = DEVICE, .csum = csum,
					   .nodesize = nodesize };
	struct r3_btrfs_mkfs_result res;
	struct r3_btrfs_why why;

	r->bytes = calloc(1, DEVICE);
	assert_non_null(r->bytes);
	assert_int_equal(r3_btrfs_dev_mem(r->bytes, DEVICE, &r->dev), 0);
	if (r3_btrfs_mkfs(r->dev, &o, &res, &why))
		fail_msg("%s", why.text);
}

/* Four files, the last without checksums. */
static void begin(struct run *r)
{
	struct r3_btrfs_new file = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_attr no_sums = { .set = R3_BTRFS_SET_FLAGS,
					 .flags = 3 };
	const struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };

	r->opts.write = true;
	r->what = "begin";
	open_fs(r);
	for (unsigned i = 0; i < FILES; i++) {
		char name[2] = { (char)('a' + i), 0 };

		MUST(r, r3_btrfs_make(r->fs, top, name, 1, &file,
				      &r->file[i].in));
	}
	r->file[FILES - 1].no_sums = true;
	MUST(r, r3_btrfs_setattr(r->fs, r->file[FILES - 1].in, &no_sums));
}

static void end(struct run *r)
{
	r->what = "end";
	compare_all(r);
	MUST(r, r3_btrfs_sync(r->fs));
	compare_all(r);
	r3_btrfs_close(r->fs);
	check(r);
	open_fs(r);
	compare_all(r);
	r3_btrfs_close(r->fs);
	r3_btrfs_dev_close(r->dev);
	free(r->bytes);
}

static void steps(struct run *r, unsigned seed)
{
	r->seed = seed;
	r->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	begin(r);
	for (r->step = 0; r->step < STEPS; r->step++)
		step(r);
	end(r);
}

static void model_run(const char *csum, uint32_t nodesize,
		      unsigned compression, unsigned seed)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *env = getenv("SEED");

	assert_non_null(r);
	r->opts.compression = compression;
	mkfs(r, csum, nodesize);
	steps(r, env ? (unsigned)atoi(env) : seed);
	free(r);
}

static void plain(void **state)
{
	(void)state;
	model_run("crc32c", 4096, 0, 1);
	model_run("crc32c", 16384, 0, 2);
}

static void packed_zlib(void **state)
{
	(void)state;
	model_run("xxhash64", 4096, 1, 3);
}

static void packed_lzo(void **state)
{
	(void)state;
	model_run("sha256", 4096, 2, 4);
}

static void packed_zstd(void **state)
{
	(void)state;
	model_run("blake2b", 4096, 3, 5);
}

/* ---- for another judge ----------------------------------------------------*/

static FILE *out_file(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

static void leave(const char *dir, const char *name, const struct model *m)
{
	FILE *f = out_file(dir, name);

	assert_int_equal(fwrite(m->data, 1, m->size, f), m->size);
	assert_int_equal(fclose(f), 0);
}

static char **args;

static void on_image(void **state)
{
	struct run *r = calloc(1, sizeof(*r));
	char name[16];

	(void)state;
	assert_non_null(r);
	r->opts.compression = (unsigned)atoi(args[4]);
	r->ops = out_file(args[2], "ops");
	r->blob = out_file(args[2], "blob");
	assert_int_equal(r3_btrfs_dev_file(args[1], true, &r->dev), 0);
	steps(r, (unsigned)atoi(args[3]));
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "%c", 'a' + (char)i);
		leave(args[2], name, &r->file[i]);
	}
	for (unsigned i = 0; i < r->snap_count; i++) {
		snprintf(name, sizeof(name), "snap%u", i);
		leave(args[2], name, &r->snap[i]);
	}
	fclose(r->ops);
	fclose(r->blob);
	free(r);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(packed_zlib),
		cmocka_unit_test(packed_lzo),
		cmocka_unit_test(packed_zstd),
	};
	static const struct CMUnitTest one[] = {
		cmocka_unit_test(on_image),
	};

	args = argv;
	if (argc == 5)
		return cmocka_run_group_tests(one, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
