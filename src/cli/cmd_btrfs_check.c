// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_check.c - ring3 btrfs check */
#include <stdio.h>

#include "cmd_btrfs.h"
#include "progress.h"

enum { PROBLEMS_SHOWN = 1000 };

struct check_out {
	bool json;
	uint64_t count;
	struct cli_progress line;
};

static void problem(void *arg, const char *text)
{
	struct check_out *o = arg;

	if (o->count++ >= PROBLEMS_SHOWN)
		return;
	if (o->json) {
		printf("%s", o->count > 1 ? "," : "");
		r3_btrfs_print_name(stdout, text, strlen(text), true);
	} else {
		printf("%s\n", text);
	}
}

static void progress(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_show(&((struct check_out *)arg)->line, done, total);
}

static void summary(const struct check_out *o,
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
	if (o->count > PROBLEMS_SHOWN)
		printf("and %llu more\n",
		       (unsigned long long)(o->count - PROBLEMS_SHOWN));
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
	struct check_out o = { .json = r3_cli_opt(args, "json") };
	struct r3_btrfs_check_options opts = {
		.data = r3_cli_opt(args, "data"),
		.qgroups = r3_cli_opt(args, "qgroups"),
		.problem = problem, .progress = progress, .arg = &o,
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
