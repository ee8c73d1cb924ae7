// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inject.c - one read, or one allocation, fails in the middle of changes
 *
 * A list of operations runs twice for each place where a failure can be.  What
 * fails must succeed when it is tried again, for it has changed nothing; or the
 * volume takes no more changes at all.  When it is not tried again, the others
 * go on.  The device holds a sound file system afterwards.
 *
 * Of allocations only every so-many-th fails, which a number as argument says;
 * 1 takes a minute.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "ring3/btrfs.h"

enum { DEVICE = 64 << 20, PAGE = 4096, FILES = 150, SECTOR = 4096,
       BIG = 12 << 20 };

static unsigned step = 11; /* odd, so that both ways are tried */

/* ---- what fails ---------------------------------------------------------- */

static uint64_t allocs, alloc_fails = UINT64_MAX;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);

void *__wrap_malloc(size_t len)
{
	return allocs++ == alloc_fails ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return allocs++ == alloc_fails ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	return allocs++ == alloc_fails ? NULL : __real_realloc(p, len);
}

/* Memory that knows which pages were written, and where a block can't be read:
 * both copies, so two reads. */
struct bad_dev {
	struct r3_btrfs_dev dev;
	uint8_t *bytes, *base;
	bool written[DEVICE / PAGE];
	uint64_t reads, fails;
};

static int bad_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len)
{
	struct bad_dev *b = R3_CONTAINER(dev, struct bad_dev, dev);
	uint64_t n = b->reads++;

	if (off > DEVICE || len > DEVICE - off)
		return -EIO;
	if (n == b->fails || n == b->fails + 1)
		return -EIO;
	memcpy(buf, b->bytes + off, len);
	return 0;
}

static int bad_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		     size_t len)
{
	struct bad_dev *b = R3_CONTAINER(dev, struct bad_dev, dev);

	if (off > DEVICE || len > DEVICE - off)
		return -EIO;
	for (uint64_t at = off / PAGE; at * PAGE < off + len; at++)
		b->written[at] = true;
	memcpy(b->bytes + off, buf, len);
	return 0;
}

static int bad_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return 0;
}

static const struct r3_btrfs_dev_ops bad_ops = {
	.read = bad_read, .write = bad_write, .flush = bad_flush,
};

static void restore(struct bad_dev *b)
{
	for (size_t i = 0; i < DEVICE / PAGE; i++) {
		if (b->written[i])
			memcpy(b->bytes + i * PAGE, b->base + i * PAGE, PAGE);
		b->written[i] = false;
	}
}

/* ---- the volume ---------------------------------------------------------- */

struct world {
	struct bad_dev bad;
	struct r3_btrfs *fs;
	struct r3_btrfs_inode top, dir, pieces, large, small, again, sv, sv_f;
	uint64_t old, dead;
	/* of the operations */
	struct r3_btrfs_inode made;
	bool held;
};

static uint8_t data[BIG];

static void ok_(struct world *w, int err, const char *what)
{
	if (err)
		fail_msg("%s: %s (%s)", what, strerror(-err),
			 r3_btrfs_why(w->fs));
}
#define OK(call) ok_(w, call, #call)

static int open_world(struct world *w)
{
	const struct r3_btrfs_options o = { .write = true, .cache_bytes = 1 };
	struct r3_btrfs_why why;

	return r3_btrfs_open(&w->bad.dev, &o, &w->fs, &why);
}

static struct r3_btrfs_inode make(struct world *w, struct r3_btrfs_inode at,
				  const char *name, mode_t mode)
{
	const struct r3_btrfs_new what = { .mode = mode };
	struct r3_btrfs_inode in;

	OK(r3_btrfs_make(w->fs, at, name, strlen(name), &what, &in));
	return in;
}

static struct r3_btrfs_inode make_file(struct world *w,
				       struct r3_btrfs_inode at,
				       const char *name, size_t len)
{
	struct r3_btrfs_inode in = make(w, at, name, S_IFREG | 0644);

	if (len)
		OK(r3_btrfs_write(w->fs, in, 0, data, len));
	return in;
}

/* Many extents: every second sector. */
static struct r3_btrfs_inode make_pieces(struct world *w, const char *name,
					 unsigned count)
{
	struct r3_btrfs_inode in = make(w, w->top, name, S_IFREG | 0644);

	for (unsigned i = 0; i < count; i++)
		OK(r3_btrfs_write(w->fs, in, i * 2 * SECTOR, data, SECTOR));
	return in;
}

static void fill(struct world *w)
{
	char name[32];
	uint64_t id;

	w->top = (struct r3_btrfs_inode){ R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	w->dir = make(w, w->top, "dir", S_IFDIR | 0755);
	make(w, w->top, "empty", S_IFDIR | 0755);
	OK(r3_btrfs_subvol_create(w->fs, w->top, "sv", 2, NULL, &id));
	w->sv = (struct r3_btrfs_inode){ id, R3_BTRFS_ROOT_INO };
	for (unsigned i = 0; i < FILES; i++) {
		size_t len = (size_t)sprintf(name, "file%u", i);

		make_file(w, i % 2 ? w->top : w->sv, name, i * 61);
		if (i % 2)
			OK(r3_btrfs_setxattr(w->fs, w->top, name, len, data,
					     i * 5, 0));
	}
	w->sv_f = make_file(w, w->sv, "f", 5 * SECTOR);
	w->small = make_file(w, w->top, "small", 100);
	w->large = make_file(w, w->top, "large", 300000);
	w->pieces = make_pieces(w, "pieces", 200);
	w->again = make_pieces(w, "again", 100);
	OK(r3_btrfs_snapshot(w->fs, w->sv.subvol, w->top, "old", 3, true, NULL,
			     &w->old));
	OK(r3_btrfs_snapshot(w->fs, w->sv.subvol, w->top, "dead", 4, false,
			     NULL, &w->dead));
	make_file(w, (struct r3_btrfs_inode){ w->dead, 256 }, "own", 9000);
	OK(r3_btrfs_sync(w->fs));
	OK(r3_btrfs_subvol_delete(w->fs, w->dead));
	OK(r3_btrfs_sync(w->fs));
}

static int setup_with(void **state, bool quotas)
{
	struct r3_btrfs_mkfs_options o = { .size = DEVICE, .nodesize = 4096 };
	struct world *w = calloc(1, sizeof(*w));
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	for (size_t i = 0; i < BIG; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	w->bad.bytes = calloc(1, DEVICE);
	w->bad.base = malloc(DEVICE);
	w->bad.dev = (struct r3_btrfs_dev){ .ops = &bad_ops,
						    .size = DEVICE };
	w->bad.fails = UINT64_MAX - 1;
	if (r3_btrfs_mkfs(&w->bad.dev, &o, &r, &why))
		fail_msg("%s", why.text);
	assert_int_equal(open_world(w), 0);
	if (quotas)
		OK(r3_btrfs_quota_enable(w->fs));
	fill(w);
	r3_btrfs_close(w->fs);
	w->fs = NULL;
	memcpy(w->bad.base, w->bad.bytes, DEVICE);
	memset(w->bad.written, 0, sizeof(w->bad.written));
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, false);
}

static int setup_quotas(void **state)
{
	return setup_with(state, true);
}

static int teardown(void **state)
{
	struct world *w = *state;

	free(w->bad.bytes);
	free(w->bad.base);
	free(w);
	return 0;
}

/* ---- the operations ------------------------------------------------------ */

static int op_make(struct world *w)
{
	const struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };

	return r3_btrfs_make(w->fs, w->dir, "new", 3, &what, &w->made);
}

static int op_write(struct world *w)
{
	return r3_btrfs_write(w->fs, w->made, 100, data, 100000);
}

static int op_xattr(struct world *w)
{
	return r3_btrfs_setxattr(w->fs, w->made, "user.x", 6, data, 1000, 0);
}

static int op_link(struct world *w)
{
	return r3_btrfs_link(w->fs, w->made, w->top, "linked", 6);
}

static int op_rename(struct world *w)
{
	return r3_btrfs_rename(w->fs, w->top, "linked", 6, w->top, "file1", 5,
			       0);
}

static int op_exchange(struct world *w)
{
	return r3_btrfs_rename(w->fs, w->top, "file3", 5, w->dir, "new", 3,
			       RENAME_EXCHANGE);
}

static int op_unlink(struct world *w)
{
	return r3_btrfs_unlink(w->fs, w->top, "small", 5);
}

static int op_unlink_pieces(struct world *w)
{
	return r3_btrfs_unlink(w->fs, w->top, "again", 5);
}

static int op_truncate(struct world *w)
{
	return r3_btrfs_truncate(w->fs, w->pieces, 50 * SECTOR + 7);
}

static int op_grow(struct world *w)
{
	return r3_btrfs_truncate(w->fs, w->made, 200000);
}

static int op_punch(struct world *w)
{
	return r3_btrfs_fallocate(w->fs, w->large, FALLOC_FL_KEEP_SIZE |
				  FALLOC_FL_PUNCH_HOLE, 5000, 100000);
}

static int op_prealloc(struct world *w)
{
	return r3_btrfs_fallocate(w->fs, w->pieces, 0, 0, 300000);
}

static int op_into_prealloc(struct world *w)
{
	return r3_btrfs_write(w->fs, w->pieces, 9 * SECTOR, data, 9 * SECTOR);
}

static int op_clone(struct world *w)
{
	return r3_btrfs_clone(w->fs, w->large, 0, 200 * 1024, w->sv_f, 0);
}

static int op_snapshot(struct world *w)
{
	uint64_t id;

	return r3_btrfs_snapshot(w->fs, w->sv.subvol, w->dir, "snap", 4, false,
				 NULL, &id);
}

static int op_create(struct world *w)
{
	uint64_t id;

	return r3_btrfs_subvol_create(w->fs, w->dir, "sub", 3, NULL, &id);
}

static int op_write_shared(struct world *w)
{
	return r3_btrfs_write(w->fs, w->sv_f, 3000, data, 7000);
}

static int op_unlink_shared(struct world *w)
{
	return r3_btrfs_unlink(w->fs, w->sv, "file10", 6);
}

static int op_delete(struct world *w)
{
	return r3_btrfs_subvol_delete(w->fs, w->old);
}

static int op_clean(struct world *w)
{
	bool more = true;
	int err = 0;

	while (!err && more)
		err = r3_btrfs_clean(w->fs, 9, &more);
	return err;
}

static int op_rmdir(struct world *w)
{
	return r3_btrfs_rmdir(w->fs, w->top, "empty", 5);
}

static int op_hold(struct world *w)
{
	int err = w->held ? 0 : r3_btrfs_hold(w->fs, w->pieces);

	w->held = !err;
	return err;
}

static int op_unlink_held(struct world *w)
{
	return r3_btrfs_unlink(w->fs, w->top, "pieces", 6);
}

static int op_release(struct world *w)
{
	/* what it holds is let go whatever else fails */
	if (w->held) {
		w->held = false;
		return r3_btrfs_release(w->fs, w->pieces);
	}
	return 0;
}

/* More than the data block groups have room for. */
static int op_write_much(struct world *w)
{
	return r3_btrfs_write(w->fs, w->large, 0, data, BIG);
}

static int op_sync(struct world *w)
{
	return r3_btrfs_sync(w->fs);
}

static int op_readonly(struct world *w)
{
	return r3_btrfs_subvol_set_readonly(w->fs, w->sv.subvol, true);
}

static int op_default(struct world *w)
{
	return r3_btrfs_subvol_set_default(w->fs, w->sv.subvol);
}

static int op_quota(struct world *w)
{
	struct r3_btrfs_quota_state s;
	int err = r3_btrfs_quota_get(w->fs, &s);

	if (err)
		return err;
	return s.on ? r3_btrfs_quota_rescan(w->fs)
		    : r3_btrfs_quota_enable(w->fs);
}

#define OP(name) { #name, op_##name }
static const struct {
	const char *name;
	int (*run)(struct world *w);
} ops[] = {
	OP(make), OP(write), OP(xattr), OP(link), OP(rename), OP(exchange),
	OP(write_much), OP(sync), OP(truncate), OP(grow), OP(punch),
	OP(prealloc), OP(into_prealloc), OP(clone), OP(snapshot),
	OP(create), OP(write_shared), OP(unlink_shared), OP(unlink),
	OP(delete), OP(clean), OP(sync), OP(unlink_pieces), OP(rmdir),
	OP(hold), OP(unlink_held), OP(release), OP(readonly), OP(default),
	OP(quota), OP(sync),
};

/* ---- one run ------------------------------------------------------------- */

/* Returns the error of the first failure, 0 when there was none.  @again: what
 * has failed is tried again; else it is left out. */
static int run(struct world *w, bool again, const char **where)
{
	int first = open_world(w), err = first;

	*where = "open";
	w->held = false;
	if (err)
		return err;
	for (unsigned i = 0; i < R3_COUNT(ops) && err != -EROFS; i++) {
		err = ops[i].run(w);
		if (!err)
			continue;
		first = first ? first : err;
		*where = ops[i].name;
		if (!again)
			continue;
		err = ops[i].run(w);
		if (err && err != -EROFS)
			fail_msg("%s, after it has failed: %s (%s)",
				 ops[i].name, strerror(-err),
				 r3_btrfs_why(w->fs));
	}
	r3_btrfs_close(w->fs);
	w->fs = NULL;
	return first;
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	print_message("check: %s\n", text);
}

static void check(struct world *w, const char *where, uint64_t n)
{
	const struct r3_btrfs_check_options o = { .data = true,
						  .problem = problem };
	struct r3_btrfs_check_result r;
	struct r3_btrfs_why why;

	if (r3_btrfs_open(&w->bad.dev, NULL, &w->fs, &why))
		fail_msg("after failure %llu in %s: %s",
			 (unsigned long long)n, where, why.text);
	OK(r3_btrfs_check(w->fs, &o, &r));
	r3_btrfs_close(w->fs);
	w->fs = NULL;
	if (r.problems)
		fail_msg("after failure %llu in %s: %llu problems",
			 (unsigned long long)n, where,
			 (unsigned long long)r.problems);
}

static void failing_reads(void **state)
{
	struct world *w = *state;
	const char *where;
	uint64_t count;

	w->bad.reads = 0;
	assert_int_equal(run(w, true, &where), 0);
	count = w->bad.reads;
	check(w, "nothing", 0);
	for (uint64_t n = 0; n < 2 * count; n++) {
		restore(&w->bad);
		w->bad.reads = 0;
		w->bad.fails = n / 2;
		run(w, n % 2, &where);
		w->bad.fails = UINT64_MAX - 1;
		check(w, where, n);
	}
	assert_in_range(count, 50, 100000);
}

static void failing_allocations(void **state)
{
	struct world *w = *state;
	const char *where;
	uint64_t count;

	allocs = 0;
	assert_int_equal(run(w, true, &where), 0);
	count = allocs;
	for (uint64_t n = 0; n < 2 * count; n += step) {
		restore(&w->bad);
		allocs = 0;
		alloc_fails = n / 2;
		run(w, n % 2, &where);
		alloc_fails = UINT64_MAX;
		check(w, where, n);
	}
	assert_in_range(count, 50, 100000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(failing_reads, setup,
						teardown),
		cmocka_unit_test_setup_teardown(failing_allocations, setup,
						teardown),
		{ "failing_reads_quotas", failing_reads, setup_quotas,
		  teardown, NULL },
		{ "failing_allocations_quotas", failing_allocations,
		  setup_quotas, teardown, NULL },
	};

	if (argc > 1)
		step = (unsigned)atoi(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
