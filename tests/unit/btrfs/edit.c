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
		cmocka_unit_test(snapshots_4k),
		cmocka_unit_test(snapshots_16k),
	};

	arguments(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
