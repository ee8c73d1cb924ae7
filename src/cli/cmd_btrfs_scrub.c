// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_scrub.c - ring3 btrfs scrub */
#include <stdio.h>

#include "cmd_btrfs.h"

static void summary(const struct btrfs_problems *o,
		    const struct r3_btrfs_scrub_result *r, uint64_t errors)
{
	double seconds = (double)(r3_now_ns() - o->line.started_ns) / 1e9;

	btrfs_problems_rest(o);
	printf(o->json ? "],\"errors\":%llu,\"csum_errors\":%llu,"
			 "\"header_errors\":%llu,\"read_errors\":%llu,"
			 "\"super_errors\":%llu,\"corrected\":%llu,"
			 "\"uncorrectable\":%llu,\"data_bytes\":%llu,"
			 "\"tree_bytes\":%llu,\"no_csum_bytes\":%llu,"
			 "\"seconds\":%.3f}\n"
		       : "errors=%llu csum=%llu header=%llu read=%llu "
			 "super=%llu corrected=%llu uncorrectable=%llu "
			 "data_bytes=%llu tree_bytes=%llu no_csum_bytes=%llu "
			 "seconds=%.3f\n",
	       (unsigned long long)errors, (unsigned long long)r->csum_errors,
	       (unsigned long long)r->header_errors,
	       (unsigned long long)r->read_errors,
	       (unsigned long long)r->super_errors,
	       (unsigned long long)r->corrected,
	       (unsigned long long)r->uncorrectable,
	       (unsigned long long)r->data_bytes,
	       (unsigned long long)r->tree_bytes,
	       (unsigned long long)r->no_csum_bytes, seconds);
}

int r3_btrfs_cmd_scrub(const struct r3_args *args)
{
	struct btrfs_problems o = { .json = r3_cli_opt(args, "json") };
	struct r3_btrfs_scrub_options opts = {
		.readonly = r3_cli_opt(args, "read-only"),
		.problem = btrfs_problem,
		.progress = btrfs_problems_progress, .arg = &o,
	};
	struct r3_btrfs_scrub_result r;
	struct btrfs_image img;
	uint64_t errors;
	int err = btrfs_open_image_mend(args->pos[0], !opts.readonly, &img);

	if (err)
		return err;
	if (o.json)
		printf("{\"problems\":[");
	cli_progress_begin(&o.line);
	err = r3_btrfs_scrub(img.fs, &opts, &r);
	cli_progress_end(&o.line);
	errors = r.csum_errors + r.header_errors + r.read_errors +
		 r.super_errors;
	summary(&o, &r, errors);
	err = btrfs_close_image(&img, err);
	return err ? err : errors > r.corrected ? R3_EXIT_FAILED : R3_EXIT_OK;
}
