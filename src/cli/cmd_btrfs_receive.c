// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_receive.c - ring3 btrfs receive */
#include <stdio.h>
#include <unistd.h>

#include "cmd_btrfs.h"
#include "progress.h"

struct receive {
	struct cli_progress progress;
	bool json;
};

static void show(void *arg, uint64_t bytes)
{
	struct receive *r = arg;

	cli_progress_show(&r->progress, bytes, 0);
}

static void told(void *arg, const struct r3_btrfs_subvol *v)
{
	struct receive *r = arg;

	cli_progress_end(&r->progress);
	if (r->json)
		printf("{\"id\":%llu,\"path\":", (unsigned long long)v->id);
	else
		printf("received ");
	r3_btrfs_print_name(stdout, v->path, strlen(v->path), r->json);
	if (r->json)
		printf(",\"snapshot\":%s}\n", v->snapshot ? "true" : "false");
	else
		printf(", number %llu\n", (unsigned long long)v->id);
}

/* Subvolumes that came before one that failed stay. */
static int receive(const struct r3_args *args, struct btrfs_image *img,
		   FILE *in)
{
	struct receive r = { .json = r3_cli_opt(args, "json") };
	struct r3_btrfs_receive_options opts = {
		.dir = args->count > 1 ? args->pos[1] : NULL,
		.progress = show, .subvol = told, .arg = &r };
	int err;

	cli_progress_begin(&r.progress);
	err = r3_btrfs_receive(img->fs, in, &opts);
	cli_progress_end(&r.progress);
	if (!err)
		return btrfs_save_image(img, 0);
	btrfs_tell(img->name, r3_btrfs_why_of(img->fs, err));
	err = r3_btrfs_give_back(img->fs);
	btrfs_close_image(img, err);
	return R3_EXIT_FAILED;
}

int r3_btrfs_cmd_receive(const struct r3_args *args)
{
	const char *name = r3_cli_opt(args, "file");
	struct r3_btrfs_options opts = { 0 };
	FILE *in = stdin;
	struct btrfs_image img;
	int ret;

	if (name && strcmp(name, "-"))
		in = fopen(name, "re");
	if (!in) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return R3_EXIT_FAILED;
	}
	if (isatty(fileno(in)))
		return r3_cli_usage(args, "a stream does not come from a "
				    "terminal; use --file");
	ret = btrfs_open_image_fill(args->pos[0], &opts, &img);
	if (!ret)
		ret = receive(args, &img, in);
	if (in != stdin)
		fclose(in);
	return ret;
}
