// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_check.c - ring3 btrfs check */
#include <stdio.h>

#include "cmd_btrfs.h"

static void summary(const struct btrfs_problems *o,
		    const struct r3_btrfs_check_result *r, double seconds)
{
	if (o->json) {
		printf("],\"count\":%llu,\"subvolumes\":%llu,\"inodes\":%llu,"
		       "\"files\":%llu,\"tree_blocks\":%llu,"
		       "\"data_extents\":%llu,\"references\":%llu,"
		       "\"metadata_bytes\":%llu,\"data_bytes\":%llu,"
		       "\"data_checked_bytes\":%llu,\"seconds\":%.3f}\n",
		       (unsigned long long)r->problems,
		       (unsigned long long)r->subvolumes,
		       (unsigned long long)r->inodes,
		       (unsigned long long)r->files,
		       (unsigned long long)r->tree_blocks,
		       (unsigned long long)r->data_extents,
		       (unsigned long long)r->references,
		       (unsigned long long)r->metadata_bytes,
		       (unsigned long long)r->data_bytes,
		       (unsigned long long)r->csum_bytes_checked, seconds);
		return;
	}
	btrfs_problems_rest(o);
	printf("%s: %llu problems; subvolumes=%llu inodes=%llu "
	       "tree_blocks=%llu data_extents=%llu references=%llu "
	       "data_checked_bytes=%llu seconds=%.3f\n",
	       r->problems ? "damaged" : "fine",
	       (unsigned long long)r->problems,
	       (unsigned long long)r->subvolumes,
	       (unsigned long long)r->inodes,
	       (unsigned long long)r->tree_blocks,
	       (unsigned long long)r->data_extents,
	       (unsigned long long)r->references,
	       (unsigned long long)r->csum_bytes_checked, seconds);
}

int r3_btrfs_cmd_check(const struct r3_args *args)
{
	struct btrfs_problems o = { .json = r3_cli_opt(args, "json") };
	struct r3_btrfs_check_options opts = {
		.data = r3_cli_opt(args, "data"),
		.qgroups = r3_cli_opt(args, "qgroups"),
		.problem = btrfs_problem,
		.progress = btrfs_problems_progress, .arg = &o,
	};
	struct r3_btrfs_check_result res;
	struct btrfs_image img;
	int err = btrfs_open_image(args, &img);

	if (err)
		return err;
	if (o.json)
		printf("{\"problems\":[");
	cli_progress_begin(&o.line);
	err = r3_btrfs_check(img.fs, &opts, &res);
	cli_progress_end(&o.line);
	if (err && o.json) {
		const char *why = r3_btrfs_why(img.fs);

		printf("],\"error\":");
		r3_btrfs_print_name(stdout, why, strlen(why), true);
		printf("}\n");
	}
	if (!err)
		summary(&o, &res, (double)(r3_now_ns() - o.line.started_ns) / 1e9);
	err = btrfs_close_image(&img, err);
	return err ? err : res.problems ? R3_EXIT_FAILED : R3_EXIT_OK;
}
