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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_4k),
		cmocka_unit_test(changes_16k),
		cmocka_unit_test(rekey),
		cmocka_unit_test(refused),
		cmocka_unit_test(snapshots_4k),
		cmocka_unit_test(snapshots_16k),
	};

	arguments(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
