// SPDX-License-Identifier: GPL-2.0-or-later
/* commit.c - commits on a full device and on one that fails */
#include "edit_model.h"

/* ---- a full device ------------------------------------------------------- */

/* Attributes until there is no space; what was refused changed nothing. */
static void fill_up(struct vol *v, struct model *m, unsigned sync_of_64)
{
	unsigned i = 0;

	while (i < ITEMS && !change_to(v, m, i, (uint16_t)v->max_len)) {
		if (rnd(v, 64) < sync_of_64)
			ok(v, r3_btrfs_sync(v->fs));
		i++;
	}
	assert_in_range(i, 200, ITEMS - 1);
	assert_int_equal(change_to(v, m, i, (uint16_t)v->max_len), -ENOSPC);
}

static void full(uint32_t nodesize, size_t size, unsigned sync_of_64,
		 const char *name)
{
	struct vol v;

	vol_init(&v, size, nodesize, false, NULL);
	for (unsigned round = 0; round < 3; round++) {
		fill_up(&v, &v.m[0], sync_of_64);
		compare(&v);
		ok(&v, r3_btrfs_sync(v.fs));
		vol_reopen(&v);
		compare(&v);
		/* one by one from a full device, then the rest */
		for (unsigned i = 0; i < 50; i++)
			ok(&v, change_away(&v, &v.m[0], i));
		delete_all(&v, &v.m[0]);
		compare(&v);
	}
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, name);
}

static void full_4k(void **state)
{
	(void)state;
	full(4096, 32 << 20, 1, "full_4k");
}

static void full_16k(void **state)
{
	(void)state;
	full(16384, 64 << 20, 0, "full_16k");
}

static void full_64k(void **state)
{
	(void)state;
	full(65536, 160 << 20, 8, "full_64k");
}

/* On a full device with a snapshot even deleting takes space: it may be
 * refused, and then deleting the snapshot helps. */
static void full_shared(void **state)
{
	struct r3_btrfs_inode dir = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	bool more = true;
	struct vol v;
	uint64_t id;

	(void)state;
	vol_init(&v, 64 << 20, 16384, true, NULL);
	fill_up(&v, &v.m[0], 1);
	for (unsigned i = 0; i < 250; i++)
		ok(&v, change_away(&v, &v.m[0], i));
	ok(&v, r3_btrfs_sync(v.fs));
	ok(&v, r3_btrfs_snapshot(v.fs, R3_BTRFS_TOP, dir, "snap", 4, false,
				 NULL, &id));
	v.m[1] = v.m[0];
	v.m[1].id = id;
	v.models = 2;
	for (unsigned i = 250; i < ITEMS && v.m[0].items[i].there; i++) {
		if (change_away(&v, &v.m[i % 2], i))
			break;
	}
	compare(&v);
	ok(&v, r3_btrfs_sync(v.fs));
	vol_reopen(&v);
	compare(&v);
	ok(&v, r3_btrfs_subvol_delete(v.fs, id));
	while (more)
		ok(&v, r3_btrfs_clean(v.fs, 10, &more));
	v.models = 1;
	delete_all(&v, &v.m[0]);
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, "full_shared");
}

/* At the brink: whatever is begun ends, and commits. */
static void churn(uint32_t nodesize, size_t size, const char *name)
{
	bool more = true;
	char dir[64];
	struct vol v;

	make_files(dir);
	vol_init(&v, size, nodesize, false, dir);
	remove_files(dir);
	for (unsigned i = 0; i < 8000; i++) {
		struct model *m = &v.m[rnd(&v, v.models)];
		unsigned n = (unsigned)rnd(&v, ITEMS);
		int err;

		if (rnd(&v, 150) == 0)
			err = snapshot(&v);
		else if (rnd(&v, 800) == 0)
			err = unsnapshot(&v);
		else if (rnd(&v, 8) == 0)
			err = change_away(&v, m, n);
		else
			err = change_to(&v, m, n, random_len(&v));
		if (err != -ENOSPC)
			ok(&v, err);
		if (rnd(&v, 300) == 0)
			ok(&v, r3_btrfs_sync(v.fs));
	}
	compare(&v);
	ok(&v, r3_btrfs_sync(v.fs));
	vol_reopen(&v);
	compare(&v);
	while (v.models > 2)
		ok(&v, unsnapshot(&v));
	while (more)
		ok(&v, r3_btrfs_clean(v.fs, 10, &more));
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, name);
}

static void churn_4k(void **state)
{
	(void)state;
	churn(4096, 32 << 20, "churn_4k");
}

static void churn_16k(void **state)
{
	(void)state;
	churn(16384, 64 << 20, "churn_16k");
}

/* ---- a device that fails ------------------------------------------------- */

struct bad_dev {
	struct r3_btrfs_dev dev;
	struct r3_btrfs_dev *below;
	unsigned left; /* writes and flushes that go well */
	bool first_super; /* was written */
};

static int bad_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len)
{
	struct bad_dev *b = R3_CONTAINER(dev, struct bad_dev, dev);

	return b->below->ops->read(b->below, off, buf, len);
}

static int bad_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		     size_t len)
{
	struct bad_dev *b = R3_CONTAINER(dev, struct bad_dev, dev);

	if (!b->left)
		return -EIO;
	b->left--;
	b->first_super |= off == btrfs_super_offsets[0];
	return b->below->ops->write(b->below, off, buf, len);
}

static int bad_flush(struct r3_btrfs_dev *dev)
{
	struct bad_dev *b = R3_CONTAINER(dev, struct bad_dev, dev);

	if (!b->left)
		return -EIO;
	b->left--;
	return 0;
}

static const struct r3_btrfs_dev_ops bad_ops = {
	.read = bad_read,
	.write = bad_write,
	.flush = bad_flush,
};

/* One commit on a device that fails from its @n-th write on: the volume takes
 * nothing more, shows the last commit, and so it does when opened again.
 * Returns whether the commit succeeded. */
static bool commit_fails(struct vol *v, unsigned n)
{
	struct model before = v->m[0], after;
	struct bad_dev bad = { .dev = { .ops = &bad_ops, .size = v->dev->size },
			       .below = v->dev, .left = UINT32_MAX };
	struct r3_btrfs_dev *good = v->dev;
	int err;

	r3_btrfs_close(v->fs);
	v->dev = &bad.dev;
	vol_open(v);
	change_some(v, 60, 2);
	after = v->m[0];
	bad.left = n;
	err = r3_btrfs_sync(v->fs);
	if (err) {
		assert_int_equal(err, -EIO);
		v->m[0] = before;
		compare(v);
		assert_int_equal(btrfs_trans_start(v->fs, 1, BTRFS_FREES),
				 -EROFS);
		assert_int_equal(r3_btrfs_sync(v->fs), -EROFS);
		compare(v);
	}
	r3_btrfs_close(v->fs);
	v->dev = good;
	vol_check(v);
	vol_open(v);
	v->m[0] = bad.first_super ? after : before;
	compare(v);
	return !err;
}

static void failing(void **state)
{
	struct vol v;
	unsigned n = 0;

	(void)state;
	vol_init(&v, 64 << 20, 4096, false, NULL);
	change_some(&v, 500, 1);
	ok(&v, r3_btrfs_sync(v.fs));
	while (!commit_fails(&v, n))
		n++;
	assert_in_range(n, 5, 1000);
	vol_fini(&v, "failing_4k");
}

/* ---- nothing to do ------------------------------------------------------- */

static uint64_t generation(struct vol *v)
{
	struct r3_btrfs_info info;

	ok(v, r3_btrfs_get_info(v->fs, &info));
	return info.generation;
}

static void idle(void **state)
{
	struct btrfs_tree *tree;
	struct vol v;
	uint64_t gen;

	(void)state;
	vol_init(&v, 64 << 20, 16384, false, NULL);
	gen = generation(&v);
	ok(&v, r3_btrfs_sync(v.fs));
	assert_int_equal(generation(&v), gen);
	ok(&v, change_to(&v, &v.m[0], 1, 1));
	ok(&v, r3_btrfs_sync(v.fs));
	ok(&v, r3_btrfs_sync(v.fs));
	assert_int_equal(generation(&v), gen + 1);
	/* An operation that is refused before its first change. */
	ok(&v, btrfs_trans_start(v.fs, 1, BTRFS_USES));
	assert_int_equal(btrfs_trans_end(v.fs, -EEXIST), -EEXIST);
	ok(&v, r3_btrfs_sync(v.fs));
	assert_int_equal(generation(&v), gen + 1);
	ok(&v, change_away(&v, &v.m[0], 1));
	/* And one that fails after it. */
	ok(&v, r3_btrfs_sync(v.fs));
	ok(&v, btrfs_trans_start(v.fs, 1, BTRFS_USES));
	ok(&v, btrfs_tree_get(v.fs, R3_BTRFS_TOP, &tree));
	ok(&v, btrfs_item_insert(v.fs, tree, item_key(&v, 1), NULL, 50, NULL));
	assert_int_equal(btrfs_trans_end(v.fs, -EUCLEAN), -EUCLEAN);
	assert_int_equal(r3_btrfs_sync(v.fs), -EROFS);
	vol_fini(&v, "idle");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_4k),
		cmocka_unit_test(full_16k),
		cmocka_unit_test(full_64k),
		cmocka_unit_test(full_shared),
		cmocka_unit_test(churn_4k),
		cmocka_unit_test(churn_16k),
		cmocka_unit_test(failing),
		cmocka_unit_test(idle),
	};

	arguments(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
