// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ops.c - a seed's operations on a target, one line each with its result
 *
 *	btrfs_ops lib IMAGE SEED COUNT
 *	btrfs_ops posix DIR SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "ops.h"
#include "ring3/btrfs.h"

static int run(struct ops_target *t, uint64_t seed, unsigned count)
{
	struct ops *o = ops_new(seed);
	struct op op;
	int err;

	for (unsigned i = 0; i < count; i++) {
		err = ops_step(o, t, &op);
		ops_print(&op, err);
		if (err == -EIO || err == -EUCLEAN)
			return 1;
	}
	ops_free(o);
	return 0;
}

static int run_lib(const char *image, uint64_t seed, unsigned count)
{
	struct r3_btrfs_options opts = { .write = true };
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why = { "can't be opened" };
	struct r3_btrfs *fs;
	struct ops_lib lib;
	bool more = true;
	int err = r3_btrfs_dev_file(image, true, &dev);

	if (!err)
		err = r3_btrfs_open(dev, &opts, &fs, &why);
	if (err) {
		fprintf(stderr, "%s: %s\n", image, why.text);
		return 1;
	}
	ops_lib_init(&lib, fs);
	err = run(&lib.target, seed, count);
	while (!err && more)
		err = r3_btrfs_clean(fs, 1000, &more);
	if (!err)
		err = r3_btrfs_sync(fs);
	if (err)
		fprintf(stderr, "%s: %s\n", image, r3_btrfs_why(fs));
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct ops_posix posix;
	uint64_t seed;
	unsigned count;

	if (argc != 5)
		return 2;
	seed = strtoull(argv[3], NULL, 0);
	count = (unsigned)strtoul(argv[4], NULL, 0);
	if (!strcmp(argv[1], "lib"))
		return run_lib(argv[2], seed, count);
	ops_posix_init(&posix, argv[2]);
	return run(&posix.target, seed, count);
}
