// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota.c - quota numbers stay exact through everything
 *
 * Random operations on files, subvolumes, snapshots and groups.  At every
 * commit the numbers that were kept by counting changes are compared with a
 * count of all (quotas->verify); and now and then ring3's check, which counts
 * in a way of its own, looks at what is on the device.  Small nodes make deep
 * trees from few files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "quota.h"

enum {
	SIZE = 256 << 20, NODE = 4096,
	SUBVOLS = 14, FILES = 60, GROUPS = 8,
	OPS = 3000,
	DATA_MAX = 200000,
	CHANCES = 100,
};

struct subvol {
	uint64_t id;
	bool readonly;
	char name[32]; /* in the top directory */
};

struct world {
	struct r3_btrfs *fs;
	struct r3_btrfs_dev *dev;
	uint8_t *bytes, *data;
	struct subvol subvols[SUBVOLS]; /* 0: the top */
	unsigned count, named;
	uint64_t seed;
	unsigned done[CHANCES];
	uint64_t counts;
	char problem[512];
};

static unsigned rnd(struct world *w, unsigned below)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) +
		  UINT64_C(1442695040888963407);
	return (unsigned)((w->seed >> 33) % below);
}

static bool is_refusal(int err)
{
	return err == -ENOENT || err == -EEXIST || err == -ENOSPC ||
	       err == -EINVAL || err == -EBUSY || err == -EPERM ||
	       err == -ENOTEMPTY;
}

static void ok(struct world *w, int err)
{
	if (err)
		fail_msg("%s (%s), seed %llu", r3_btrfs_why(w->fs),
			 strerror(-err), (unsigned long long)w->seed);
}

static void may(struct world *w, int err)
{
	if (!is_refusal(err))
		ok(w, err);
}

/* ---- the volume ---------------------------------------------------------- */

static void open_world(struct world *w)
{
	struct r3_btrfs_options o = { .write = true };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(w->dev, &o, &w->fs, &why))
		fail_msg("%s", why.text);
	w->fs->quotas->verify = true;
}

static void make_world(struct world *w, uint64_t seed)
{
	struct r3_btrfs_mkfs_options o = { .size = SIZE, .nodesize = NODE };
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	w->bytes = calloc(1, SIZE);
	w->data = malloc(DATA_MAX);
	w->seed = seed;
	for (unsigned i = 0; i < DATA_MAX; i++)
		w->data[i] = (uint8_t)rnd(w, 256);
	assert_int_equal(r3_btrfs_dev_mem(w->bytes, SIZE, &w->dev), 0);
	if (r3_btrfs_mkfs(w->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	open_world(w);
	w->subvols[0] = (struct subvol){ .id = R3_BTRFS_TOP };
	w->count = 1;
}

static void free_world(struct world *w)
{
	r3_btrfs_close(w->fs);
	r3_btrfs_dev_close(w->dev);
	free(w->bytes);
	free(w->data);
	free(w);
}

static void problem(void *arg, const char *text)
{
	struct world *w = arg;

	if (!*w->problem)
		snprintf(w->problem, sizeof(w->problem), "%s", text);
}

/* As somebody else finds it. */
static void check_world(struct world *w)
{
	struct r3_btrfs_check_options o = { .qgroups = true,
					    .problem = problem, .arg = w };
	struct r3_btrfs_check_result r;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	if (r3_btrfs_open(w->dev, NULL, &fs, &why))
		fail_msg("%s", why.text);
	assert_int_equal(r3_btrfs_check(fs, &o, &r), 0);
	r3_btrfs_close(fs);
	if (r.problems)
		fail_msg("%llu problems, the first: %s, seed %llu",
			 (unsigned long long)r.problems, w->problem,
			 (unsigned long long)w->seed);
}

/* ---- files --------------------------------------------------------------- */

static struct subvol *any_subvol(struct world *w)
{
	return &w->subvols[rnd(w, w->count)];
}

/* A file of a subvolume that can be written, made if it is not there. */
static bool any_file(struct world *w, struct r3_btrfs_inode *in)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct subvol *v = any_subvol(w);
	struct r3_btrfs_inode root = { v->id, R3_BTRFS_ROOT_INO };
	char name[80], path[160];
	int err;

	if (v->readonly)
		return false;
	snprintf(name, sizeof(name), "file%u-%060u", rnd(w, FILES), 0);
	snprintf(path, sizeof(path), "%s/%s", v->name, name);
	err = r3_btrfs_lookup(w->fs, path, in);
	if (err == -ENOENT)
		err = r3_btrfs_make(w->fs, root, name, strlen(name), &what,
				    in);
	may(w, err);
	return !err;
}

static void op_write(struct world *w)
{
	struct r3_btrfs_inode in;
	uint64_t off = rnd(w, 64) * 4096 + rnd(w, 3);
	unsigned len = 1 + (rnd(w, 2) ? rnd(w, 3000) : rnd(w, DATA_MAX));

	if (any_file(w, &in))
		may(w, r3_btrfs_write(w->fs, in, off, w->data, len));
}

static void op_small(struct world *w)
{
	struct r3_btrfs_inode in;

	for (int i = 0; i < 20; i++) {
		if (any_file(w, &in))
			may(w, r3_btrfs_write(w->fs, in, 0, w->data,
					      1 + rnd(w, 1500)));
	}
}

/* A file whose extents fill several leaves, and an extent with many pieces. */
static void op_pieces(struct world *w)
{
	struct r3_btrfs_inode in;

	if (!any_file(w, &in))
		return;
	may(w, r3_btrfs_write(w->fs, in, 0, w->data, 128 * 1024));
	for (int i = 0; i < 40; i++)
		may(w, r3_btrfs_write(w->fs, in, rnd(w, 400) * 4096, w->data,
				      4096));
}

static void op_clone(struct world *w)
{
	struct r3_btrfs_inode from, to;
	uint64_t off = rnd(w, 16) * 4096;

	if (any_file(w, &from) && any_file(w, &to))
		may(w, r3_btrfs_clone(w->fs, from, off, 0, to,
				      rnd(w, 32) * 4096));
}

static void op_truncate(struct world *w)
{
	struct r3_btrfs_inode in;

	if (any_file(w, &in))
		may(w, r3_btrfs_truncate(w->fs, in, rnd(w, 300000)));
}

static void op_fallocate(struct world *w)
{
	struct r3_btrfs_inode in;

	if (any_file(w, &in))
		may(w, r3_btrfs_fallocate(w->fs, in, 0, rnd(w, 64) * 4096,
					  4096 + rnd(w, 100) * 4096));
}

static void op_unlink(struct world *w)
{
	struct subvol *v = any_subvol(w);
	struct r3_btrfs_inode root = { v->id, R3_BTRFS_ROOT_INO };
	char name[80];

	if (v->readonly)
		return;
	snprintf(name, sizeof(name), "file%u-%060u", rnd(w, FILES), 0);
	may(w, r3_btrfs_unlink(w->fs, root, name, strlen(name)));
}

/* ---- subvolumes and groups ----------------------------------------------- */

static uint64_t any_group(struct world *w)
{
	return R3_BTRFS_QGROUP(1 + rnd(w, 3), 100 + rnd(w, GROUPS / 2));
}

static void op_subvol(struct world *w)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	uint64_t groups[2] = { any_group(w), any_group(w) };
	struct r3_btrfs_inherit inherit = { groups, rnd(w, 3) };
	const struct subvol *from = any_subvol(w);
	bool snapshot = rnd(w, 4);
	struct subvol v = { .readonly = snapshot && !rnd(w, 6) };
	int err;

	if (w->count == SUBVOLS)
		return;
	snprintf(v.name, sizeof(v.name), "subvol%u", w->named++);
	if (snapshot)
		err = r3_btrfs_snapshot(w->fs, from->id, top, v.name,
					strlen(v.name), v.readonly, &inherit,
					&v.id);
	else
		err = r3_btrfs_subvol_create(w->fs, top, v.name,
					     strlen(v.name), &inherit, &v.id);
	may(w, err);
	if (!err)
		w->subvols[w->count++] = v;
}

static void op_delete(struct world *w)
{
	unsigned at = 1 + rnd(w, w->count);

	if (at >= w->count)
		return;
	ok(w, r3_btrfs_subvol_delete(w->fs, w->subvols[at].id));
	w->subvols[at] = w->subvols[--w->count];
}

static void op_clean(struct world *w)
{
	bool more;

	ok(w, r3_btrfs_clean(w->fs, 1 + rnd(w, 60), &more));
}

static void op_group(struct world *w)
{
	if (rnd(w, 5))
		may(w, r3_btrfs_qgroup_create(w->fs, any_group(w)));
	else
		may(w, r3_btrfs_qgroup_destroy(w->fs, any_group(w)));
}

static void op_relation(struct world *w)
{
	uint64_t member = rnd(w, 3) ? any_subvol(w)->id : any_group(w);
	uint64_t group = any_group(w);

	if (rnd(w, 3))
		may(w, r3_btrfs_qgroup_assign(w->fs, member, group));
	else
		may(w, r3_btrfs_qgroup_remove(w->fs, member, group));
}

static void op_sync(struct world *w)
{
	bool all = w->fs->quotas->recount;

	ok(w, r3_btrfs_sync(w->fs));
	w->counts += !all;
}

static void op_reopen(struct world *w)
{
	op_sync(w);
	r3_btrfs_close(w->fs);
	check_world(w);
	open_world(w);
}

static const struct {
	void (*op)(struct world *w);
	unsigned chances;
} ops[] = {
	{ op_write, 13 },   { op_small, 6 },	{ op_clone, 12 },
	{ op_pieces, 7 },
	{ op_truncate, 5 }, { op_fallocate, 3 }, { op_unlink, 8 },
	{ op_subvol, 8 },   { op_delete, 5 },	{ op_clean, 8 },
	{ op_group, 3 },    { op_relation, 4 }, { op_sync, 17 },
	{ op_reopen, 1 },
};

static void run(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));
	bool more = true;

	make_world(w, seed);
	for (unsigned i = 0; i < 20; i++)
		op_small(w);
	ok(w, r3_btrfs_quota_enable(w->fs));
	for (unsigned i = 0; i < OPS; i++) {
		unsigned pick = rnd(w, CHANCES), at = 0;

		while (pick >= ops[at].chances)
			pick -= ops[at++].chances;
		ops[at].op(w);
	}
	while (more)
		ok(w, r3_btrfs_clean(w->fs, 1000, &more));
	op_reopen(w);
	/* most commits counted only what had changed */
	assert_true(w->counts > OPS / 20);
	ok(w, r3_btrfs_quota_disable(w->fs));
	op_reopen(w);
	free_world(w);
}

/* ---- limits -------------------------------------------------------------- */

#define KIB UINT64_C(1024)
#define G1 R3_BTRFS_QGROUP(1, 1)
#define G2 R3_BTRFS_QGROUP(2, 1)
#define NONE R3_BTRFS_QGROUP_NONE

struct limits {
	uint64_t id, rfer, excl;
};

static int take_group(void *arg, const struct r3_btrfs_qgroup *g)
{
	struct limits *l = arg;

	if (g->id != l->id)
		return 0;
	l->rfer = g->rfer;
	l->excl = g->excl;
	return 1;
}

static struct limits group_of(struct world *w, uint64_t id)
{
	struct limits l = { .id = id };

	ok(w, r3_btrfs_sync(w->fs));
	assert_int_equal(r3_btrfs_each_qgroup(w->fs, take_group, &l), 1);
	return l;
}

/* A (256) in 1/1 in 2/1; S (257), a snapshot of A with 1 MiB, in 1/1; B (258)
 * in none. */
static void make_groups(struct world *w)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inherit in_1 = { (const uint64_t[]){ G1 }, 1 };
	struct r3_btrfs_inode in;
	uint64_t id;

	ok(w, r3_btrfs_quota_enable(w->fs));
	ok(w, r3_btrfs_qgroup_create(w->fs, G1));
	ok(w, r3_btrfs_qgroup_create(w->fs, G2));
	ok(w, r3_btrfs_qgroup_assign(w->fs, G1, G2));
	ok(w, r3_btrfs_subvol_create(w->fs, top, "A", 1, &in_1, &id));
	in = (struct r3_btrfs_inode){ id, R3_BTRFS_ROOT_INO };
	ok(w, r3_btrfs_make(w->fs, in, "f", 1, &what, &in));
	for (unsigned i = 0; i < 8; i++)
		ok(w, r3_btrfs_write(w->fs, in, i * 128 * KIB, w->data,
				     128 * KIB));
	ok(w, r3_btrfs_snapshot(w->fs, id, top, "S", 1, false, &in_1, &id));
	ok(w, r3_btrfs_subvol_create(w->fs, top, "B", 1, NULL, &id));
	assert_int_equal(id, 258);
}

/* How much can be written to a new file of @subvol, @piece at a time. */
static uint64_t fill_up(struct world *w, uint64_t subvol, uint64_t piece,
			uint64_t max)
{
	struct r3_btrfs_inode dir = { subvol, R3_BTRFS_ROOT_INO }, in;
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	uint64_t off = 0;
	int err = r3_btrfs_make(w->fs, dir, "full", 4, &what, &in);

	while (!err && off < max) {
		err = r3_btrfs_write(w->fs, in, off, w->data, piece);
		off += err ? 0 : piece;
	}
	if (err != -EDQUOT)
		ok(w, err);
	return off;
}

static const struct limit_row {
	const char *name;
	struct limits limit;
	uint64_t subvol, piece, at_least, at_most; /* bytes written */
} limit_rows[] = {
	/* What is there of A and S is 1 MiB and a few blocks. */
	{ "referenced, large writes", { 258, 2048 * KIB, NONE }, 258,
	  128 * KIB, 1792 * KIB, 2048 * KIB },
	{ "referenced, small writes", { 258, 512 * KIB, NONE }, 258,
	  4 * KIB, 448 * KIB, 512 * KIB },
	{ "exclusive", { 258, NONE, 1024 * KIB }, 258, 64 * KIB,
	  896 * KIB, 1024 * KIB },
	{ "a snapshot's, what it shares counts", { 257, 2048 * KIB, NONE },
	  257, 64 * KIB, 896 * KIB, 1024 * KIB },
	/* Kernels stop counting, and lose the limit, when a subvolume in a
	 * group is snapshotted. */
	{ "exclusive, of a snapshot in a group", { 257, NONE, 1024 * KIB },
	  257, 64 * KIB, 896 * KIB, 1024 * KIB },
	{ "a group's", { G1, 2048 * KIB, NONE }, 257, 64 * KIB, 896 * KIB,
	  1024 * KIB },
	{ "a group's group's", { G2, 2048 * KIB, NONE }, 256, 64 * KIB,
	  896 * KIB, 1024 * KIB },
	{ "another's", { 256, 16 * KIB, 4 * KIB }, 258, 64 * KIB, 4096 * KIB,
	  4096 * KIB },
};

static void limit(void **state)
{
	const struct limit_row *row = *state;
	struct world *w = calloc(1, sizeof(*w));
	struct r3_btrfs_inode dir = { row->subvol, R3_BTRFS_ROOT_INO };
	struct limits l;
	uint64_t wrote;

	make_world(w, 1);
	make_groups(w);
	ok(w, r3_btrfs_qgroup_limit(w->fs, row->limit.id, row->limit.rfer,
				    row->limit.excl));
	ok(w, r3_btrfs_sync(w->fs));
	r3_btrfs_close(w->fs);
	open_world(w);
	wrote = fill_up(w, row->subvol, row->piece, 4096 * KIB);
	assert_in_range(wrote, row->at_least, row->at_most);
	l = group_of(w, row->limit.id);
	if (row->subvol == row->limit.id || row->limit.id == G1 ||
	    row->limit.id == G2) {
		assert_true(l.rfer <= row->limit.rfer);
		assert_true(l.excl <= row->limit.excl);
	}
	/* what takes space is refused, what gives it back is not */
	ok(w, r3_btrfs_unlink(w->fs, dir, "full", 4));
	ok(w, r3_btrfs_sync(w->fs));
	assert_in_range(fill_up(w, row->subvol, row->piece, 4096 * KIB),
			row->at_least, row->at_most);
	op_reopen(w);
	free_world(w);
}

/* The same 64 KiB again and again: no more than that is in use. */
static void rewrite(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct r3_btrfs_inode dir = { 258, R3_BTRFS_ROOT_INO }, in;
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };

	(void)state;
	make_world(w, 1);
	make_groups(w);
	ok(w, r3_btrfs_qgroup_limit(w->fs, 258, 512 * KIB, 512 * KIB));
	ok(w, r3_btrfs_make(w->fs, dir, "f", 1, &what, &in));
	for (int i = 0; i < 100; i++)
		ok(w, r3_btrfs_write(w->fs, in, 0, w->data, 64 * KIB));
	for (int i = 0; i < 300; i++) {
		ok(w, r3_btrfs_unlink(w->fs, dir, "f", 1));
		ok(w, r3_btrfs_make(w->fs, dir, "f", 1, &what, &in));
	}
	op_reopen(w);
	free_world(w);
}

static void full_group_takes_nothing(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct r3_btrfs_inode dir = { 258, R3_BTRFS_ROOT_INO }, in, from;
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_attr attr = { .set = R3_BTRFS_SET_MODE };
	uint64_t id;

	(void)state;
	make_world(w, 1);
	make_groups(w);
	ok(w, r3_btrfs_make(w->fs, dir, "f", 1, &what, &in));
	ok(w, r3_btrfs_write(w->fs, in, 0, w->data, 1000));
	ok(w, r3_btrfs_qgroup_limit(w->fs, 258, NODE, NONE));
	ok(w, r3_btrfs_lookup(w->fs, "A/f", &from));
	assert_int_equal(r3_btrfs_make(w->fs, dir, "g", 1, &what, &in),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_link(w->fs, in, dir, "g", 1), -EDQUOT);
	assert_int_equal(r3_btrfs_setxattr(w->fs, in, "user.a", 6, "v", 1, 0),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_write(w->fs, in, 0, w->data, 8192),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_clone(w->fs, from, 0, 0, in, 0), -EDQUOT);
	assert_int_equal(r3_btrfs_fallocate(w->fs, in, 0, 0, 8192), -EDQUOT);
	assert_int_equal(r3_btrfs_write(w->fs, in, 0, w->data, 1001),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_truncate(w->fs, in, 8192), -EDQUOT);
	assert_int_equal(r3_btrfs_setattr(w->fs, in, &attr), -EDQUOT);
	assert_int_equal(r3_btrfs_rename(w->fs, dir, "f", 1, dir, "g", 1, 0),
			 -EDQUOT);
	assert_int_equal(r3_btrfs_subvol_create(w->fs, dir, "v", 1, NULL,
						&id), -EDQUOT);
	assert_int_equal(r3_btrfs_snapshot(w->fs, 256, dir, "v", 1, false,
					   NULL, &id), -EDQUOT);
	/* of the full one, into another, costs that one */
	ok(w, r3_btrfs_snapshot(w->fs, 258, top, "v", 1, false, NULL, &id));
	ok(w, r3_btrfs_truncate(w->fs, in, 0));
	ok(w, r3_btrfs_unlink(w->fs, dir, "f", 1));
	op_reopen(w);
	free_world(w);
}

/* A group reaches a subvolume twice, and then once less. */
static void two_ways(void **state)
{
	static const struct {
		uint64_t member, group;
		bool remove;
	} steps[] = {
		{ 258, R3_BTRFS_QGROUP(1, 5), false },
		{ 258, G2, false },
		{ R3_BTRFS_QGROUP(1, 5), G2, false },
		{ 258, G2, true },
		{ 258, G2, false },
		{ R3_BTRFS_QGROUP(1, 5), G2, true },
		{ 258, G2, true },
	};
	struct world *w = calloc(1, sizeof(*w));

	(void)state;
	make_world(w, 1);
	make_groups(w);
	ok(w, r3_btrfs_qgroup_create(w->fs, R3_BTRFS_QGROUP(1, 5)));
	assert_int_equal(fill_up(w, 258, 64 * KIB, 640 * KIB), 640 * KIB);
	ok(w, r3_btrfs_sync(w->fs));
	for (unsigned i = 0; i < R3_COUNT(steps); i++) {
		ok(w, (steps[i].remove ? r3_btrfs_qgroup_remove
				       : r3_btrfs_qgroup_assign)(
			w->fs, steps[i].member, steps[i].group));
		op_sync(w);
	}
	op_reopen(w);
	free_world(w);
}

/* Old kernels keep the group of a subvolume that is gone. */
static void left_behind(void **state)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct world *w = calloc(1, sizeof(*w));
	uint64_t id = 0;

	(void)state;
	make_world(w, 1);
	make_groups(w);
	for (uint64_t old = 259; old < 261; old++) {
		ok(w, btrfs_trans_start(w->fs, 8, BTRFS_USES));
		ok(w, btrfs_trans_end(w->fs, quota_group_add(w->fs, old)));
		ok(w, r3_btrfs_qgroup_assign(w->fs, old, G1));
	}
	op_reopen(w);
	ok(w, r3_btrfs_snapshot(w->fs, 256, top, "again", 5, false, NULL,
				&id));
	assert_int_equal(id, 259); /* takes it over, and with it, G1 */
	assert_int_equal(group_of(w, id).rfer, group_of(w, 256).rfer);
	assert_int_equal(r3_btrfs_qgroup_destroy(w->fs, id), -EBUSY);
	ok(w, r3_btrfs_qgroup_destroy(w->fs, 260));
	op_reopen(w);
	free_world(w);
}

/* Whoever came, or went, since the last commit counts as well. */
static void enabled_at_once(void **state)
{
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct world *w = calloc(1, sizeof(*w));
	struct limits l = { .id = 256 };
	uint64_t id;

	(void)state;
	make_world(w, 1);
	ok(w, r3_btrfs_subvol_create(w->fs, top, "gone", 4, NULL, &id));
	ok(w, r3_btrfs_sync(w->fs));
	ok(w, r3_btrfs_subvol_create(w->fs, top, "new", 3, NULL, &id));
	ok(w, r3_btrfs_subvol_delete(w->fs, 256));
	ok(w, r3_btrfs_quota_enable(w->fs));
	assert_int_equal(group_of(w, id).rfer, NODE);
	assert_int_equal(r3_btrfs_each_qgroup(w->fs, take_group, &l), 0);
	op_reopen(w);
	free_world(w);
}

static void random_operations(void **state)
{
	/* 13 found: a subvolume's number used again, after reopening, for
	 * another while the volume is open */
	static const uint64_t seeds[] = { 1, 2, 13 };

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(seeds); i++)
		run(seeds[i]);
}

int main(void)
{
	struct CMUnitTest tests[R3_COUNT(limit_rows) + 6] = {
		cmocka_unit_test(random_operations),
		cmocka_unit_test(rewrite),
		cmocka_unit_test(full_group_takes_nothing),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(enabled_at_once),
		cmocka_unit_test(two_ways),
	};

	for (unsigned i = 0; i < R3_COUNT(limit_rows); i++)
		tests[i + 6] = (struct CMUnitTest){
			.name = limit_rows[i].name, .test_func = limit,
			.initial_state = (void *)&limit_rows[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
