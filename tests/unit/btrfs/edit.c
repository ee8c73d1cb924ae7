// SPDX-License-Identifier: GPL-2.0-or-later
/* edit.c - trees changed at random, in several node sizes and with snapshots */
#include "edit_model.h"

static void random_changes(struct vol *v)
{
	for (unsigned round = 0; round < 6; round++) {
		change_some(v, 1500, round < 3 ? 2 : 6);
		compare(v);
		ok(v, r3_btrfs_sync(v->fs));
		compare(v);
		if (round % 2)
			vol_reopen(v);
	}
	delete_all(v, &v->m[0]);
	compare(v);
	ok(v, r3_btrfs_sync(v->fs));
}

static void changes_4k(void **state)
{
	struct vol v;

	(void)state;
	vol_init(&v, SIZE, 4096, false, NULL);
	random_changes(&v);
	vol_fini(&v, "changes_4k");
}

static void changes_16k(void **state)
{
	struct vol v;

	(void)state;
	vol_init(&v, SIZE, 16384, true, NULL);
	random_changes(&v);
	vol_fini(&v, "changes_16k");
}

/* Each key is moved by one and back; the tree leads to it in between. */
static void rekey(void **state)
{
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	struct vol v;

	(void)state;
	vol_init(&v, SIZE, 4096, false, NULL);
	change_some(&v, 1500, 0);
	ok(&v, btrfs_tree_get(v.fs, R3_BTRFS_TOP, &tree));
	assert_in_range(tree->root->level, 2, 3);
	for (unsigned i = 0; i < ITEMS; i++) {
		struct btrfs_key key = item_key(&v, i), other = key;

		if (!v.m[0].items[i].there)
			continue;
		other.offset += i % 2 ? 1 : -1;
		ok(&v, btrfs_trans_start(v.fs, 2, BTRFS_USES));
		ok(&v, btrfs_item_rekey(v.fs, tree, key, other));
		assert_int_equal(btrfs_item_edit(v.fs, tree, key, &spot),
				 -ENOENT);
		ok(&v, btrfs_item_edit(v.fs, tree, other, &spot));
		ok(&v, btrfs_item_rekey(v.fs, tree, other, key));
		ok(&v, btrfs_trans_end(v.fs, 0));
	}
	compare(&v);
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, "rekey_4k");
}

/* Said no to, and nothing has changed. */
static void refused(void **state)
{
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	struct vol v;
	uint32_t max;

	(void)state;
	vol_init(&v, SIZE, 16384, false, NULL);
	max = btrfs_item_max(v.fs);
	ok(&v, change_to(&v, &v.m[0], 0, 10));
	ok(&v, btrfs_trans_start(v.fs, 1, BTRFS_USES));
	assert_int_equal(btrfs_tree_get(v.fs, 300, &tree), -ENOENT);
	ok(&v, btrfs_tree_get(v.fs, R3_BTRFS_TOP, &tree));
	assert_int_equal(btrfs_item_insert(v.fs, tree, item_key(&v, 0), NULL,
					   50, &spot), -EEXIST);
	assert_int_equal(btrfs_item_insert(v.fs, tree, item_key(&v, 1), NULL,
					   max + 1, &spot), -EOVERFLOW);
	assert_int_equal(btrfs_item_resize(v.fs, tree, item_key(&v, 0),
					   max + 1, &spot), -EOVERFLOW);
	assert_int_equal(btrfs_item_resize(v.fs, tree, item_key(&v, 1), 1,
					   &spot), -ENOENT);
	assert_int_equal(btrfs_item_edit(v.fs, tree, item_key(&v, 1), &spot),
			 -ENOENT);
	assert_int_equal(btrfs_item_rekey(v.fs, tree, item_key(&v, 1),
					  item_key(&v, 2)), -ENOENT);
	assert_int_equal(btrfs_trans_end(v.fs, -EEXIST), -EEXIST);
	compare(&v);
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, "refused_16k");
}

/* Snapshots, some of what was never on the device, both sides changed. */
static void random_snapshots(uint32_t nodesize, const char *name)
{
	bool more = true;
	struct vol v;
	char dir[64];

	make_files(dir);
	vol_init(&v, SIZE, nodesize, false, dir);
	remove_files(dir);
	for (unsigned i = 0; i < 120; i++) {
		change_some(&v, (unsigned)rnd(&v, 60), 3);
		if (rnd(&v, 3) == 0)
			ok(&v, snapshot(&v));
		if (rnd(&v, 6) == 0)
			ok(&v, unsnapshot(&v));
		if (rnd(&v, 5) == 0)
			ok(&v, r3_btrfs_sync(v.fs));
		if (i % 30 == 29) {
			compare(&v);
			ok(&v, r3_btrfs_sync(v.fs));
			vol_reopen(&v);
			compare(&v);
		}
	}
	while (more)
		ok(&v, r3_btrfs_clean(v.fs, 100, &more));
	ok(&v, r3_btrfs_sync(v.fs));
	vol_fini(&v, name);
}

static void snapshots_4k(void **state)
{
	(void)state;
	random_snapshots(4096, "snapshots_4k");
}

static void snapshots_16k(void **state)
{
	(void)state;
	random_snapshots(16384, "snapshots_16k");
}

/* ---- runs of items without data ------------------------------------------ */

enum { EMPTY = 3000, RUN = 700 };

static struct btrfs_key empty_key(unsigned i)
{
	return KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM, i);
}

/* Some of those from a place on that are not there, in rising order. */
static unsigned pick_run(struct vol *v, const bool *there,
			 struct btrfs_key *keys)
{
	unsigned dense = 1 + (unsigned)rnd(v, 6);
	unsigned max = 1 + (unsigned)rnd(v, RUN), n = 0;

	for (unsigned i = (unsigned)rnd(v, EMPTY); i < EMPTY && n < max; i++) {
		if (!there[i] && !rnd(v, dense))
			keys[n++] = empty_key(i);
	}
	return n;
}

static void compare_empty(struct vol *v, const struct btrfs_tree *tree,
			  const bool *there)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, v->fs, tree->root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_ORPHANS, 0, 0));
	for (unsigned i = 0; i < EMPTY; i++) {
		if (!there[i])
			continue;
		ok(v, err);
		assert_true(c.key.objectid == BTRFS_ORPHANS);
		assert_int_equal(c.key.offset, i);
		assert_int_equal(c.size, 0);
		err = btrfs_cursor_next(&c);
	}
	assert_int_equal(err, -ENOENT); /* they are the tree's last */
	btrfs_cursor_fini(&c);
}

static void insert_runs(struct vol *v, struct btrfs_tree *tree, bool *there)
{
	struct btrfs_key keys[RUN];

	for (unsigned round = 0; round < 40; round++) {
		unsigned n = pick_run(v, there, keys), gone;
		unsigned from = (unsigned)rnd(v, EMPTY);
		unsigned to = from + (unsigned)rnd(v, 200);

		ok(v, btrfs_trans_start(v->fs, RUN, BTRFS_USES));
		ok(v, btrfs_items_insert(v->fs, tree, keys, n));
		for (unsigned i = 0; i < n; i++)
			there[keys[i].offset] = true;
		compare_empty(v, tree, there);
		ok(v, btrfs_items_delete(v->fs, tree, empty_key(from),
					 empty_key(to), UINT32_MAX, &gone));
		for (unsigned i = from; i <= to && i < EMPTY; i++)
			there[i] = false;
		compare_empty(v, tree, there);
		ok(v, btrfs_trans_end(v->fs, 0));
		if (round % 8 == 7)
			ok(v, r3_btrfs_sync(v->fs));
	}
}

/* A leaf of 4 KiB holds 159 of them, so runs go over several; among what is
 * there, in front of it and behind it. */
static void runs(void **state)
{
	bool there[EMPTY] = { 0 };
	struct btrfs_tree *tree;
	struct btrfs_key twice[3];
	struct vol v;
	unsigned n;

	(void)state;
	vol_init(&v, SIZE, 4096, false, NULL);
	change_some(&v, 300, 0);
	ok(&v, btrfs_tree_get(v.fs, R3_BTRFS_TOP, &tree));
	insert_runs(&v, tree, there);
	compare(&v);
	ok(&v, btrfs_trans_start(v.fs, RUN, BTRFS_USES));
	ok(&v, btrfs_items_delete(v.fs, tree, KEY(BTRFS_ORPHANS, 0, 0),
				  KEY(BTRFS_ORPHANS, UINT8_MAX, UINT64_MAX),
				  UINT32_MAX, &n));
	ok(&v, btrfs_trans_end(v.fs, 0));
	ok(&v, r3_btrfs_sync(v.fs));
	for (unsigned i = 0; i < 3; i++)
		twice[i] = empty_key(i);
	ok(&v, btrfs_trans_start(v.fs, RUN, BTRFS_USES));
	ok(&v, btrfs_item_insert(v.fs, tree, twice[1], NULL, 0, NULL));
	assert_int_equal(btrfs_items_insert(v.fs, tree, twice, 3), -EEXIST);
	assert_int_equal(btrfs_trans_end(v.fs, -EEXIST), -EEXIST);
	vol_fini(&v, "runs_4k");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_4k),
		cmocka_unit_test(changes_16k),
		cmocka_unit_test(rekey),
		cmocka_unit_test(refused),
		cmocka_unit_test(snapshots_4k),
		cmocka_unit_test(snapshots_16k),
		cmocka_unit_test(runs),
	};

	arguments(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
