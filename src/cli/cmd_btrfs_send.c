// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_send.c - ring3 btrfs send */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd_btrfs.h"
#include "output.h"
#include "progress.h"

/* Every --clone. */
static int find_clones(const struct r3_args *args, struct btrfs_image *img,
		       uint64_t *clones, unsigned *count)
{
	int err = 0;

	for (unsigned i = 0; !err && i < args->all_count; i++) {
		if (!strcmp(args->cmd->opts[args->all[i].opt].name, "clone"))
			err = btrfs_find_subvol(img, args->all[i].value,
						&clones[(*count)++]);
	}
	return err;
}

static void show_sent(void *arg, uint64_t bytes)
{
	cli_progress_show(arg, bytes, 0);
}

/* The image itself, by this name or another? */
static bool is_image(const struct btrfs_image *img, const char *file)
{
	struct stat a, b;

	return !stat(file, &a) && !stat(img->name, &b) &&
	       (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)
			? a.st_rdev == b.st_rdev
			: a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

static int send_to_file(const char *file, struct btrfs_image *img,
			uint64_t subvol, struct r3_btrfs_send_options *opts)
{
	struct cli_progress progress;
	struct cli_output out;
	int err;

	if (is_image(img, file)) {
		fprintf(stderr, "%s: the stream can't go where it comes from\n",
			file);
		return R3_EXIT_FAILED;
	}
	if (cli_output_open(&out, file))
		return R3_EXIT_FAILED;
	cli_progress_begin(&progress);
	opts->progress = show_sent;
	opts->arg = &progress;
	err = r3_btrfs_send(img->fs, subvol, opts, out.file);
	cli_progress_end(&progress);
	if (err && ferror(out.file)) { /* the image is fine */
		fprintf(stderr, "%s: %s\n", file, strerror(-err));
		err = R3_EXIT_FAILED;
	}
	if (err)
		return cli_output_close(&out, err);
	return cli_output_close(&out, 0) ? R3_EXIT_FAILED : 0;
}

/* In a pipe the one who receives has a line of progress of its own. */
static int send_to_stdout(struct btrfs_image *img, uint64_t subvol,
			  const struct r3_btrfs_send_options *opts)
{
	static char buf[256 << 10];

	setvbuf(stdout, buf, _IOFBF, sizeof(buf));
	return r3_btrfs_send(img->fs, subvol, opts, stdout);
}

/* @file: or NULL, standard output. */
static int send_what(const struct r3_args *args, const char *file,
		     struct btrfs_image *img,
		     struct r3_btrfs_send_options *opts)
{
	const char *parent = r3_cli_opt(args, "parent");
	uint64_t subvol, *clones = calloc(args->all_count + 1,
					  sizeof(*clones));
	int err = clones ? btrfs_find_subvol(img, args->pos[1], &subvol)
			 : -ENOMEM;

	if (!err && subvol == R3_BTRFS_TOP) {
		fprintf(stderr, "%s: the top subvolume can't be sent itself: "
			"send a read-only snapshot of it\n", img->name);
		err = R3_EXIT_FAILED;
	}
	if (!err && parent)
		err = btrfs_find_subvol(img, parent, &opts->parent);
	if (!err)
		err = find_clones(args, img, clones, &opts->clone_count);
	opts->clones = clones;
	if (!err)
		err = file ? send_to_file(file, img, subvol, opts)
			   : send_to_stdout(img, subvol, opts);
	free(clones);
	return err;
}

int r3_btrfs_cmd_send(const struct r3_args *args)
{
	const char *proto = r3_cli_opt(args, "proto");
	const char *file = r3_cli_opt(args, "output");
	struct r3_btrfs_send_options opts = {
		.compressed = r3_cli_opt(args, "compressed"),
		.no_data = r3_cli_opt(args, "no-data") };
	struct btrfs_image img;
	uint64_t n = 1;
	int ret;

	if (proto && (r3_parse_uint(proto, &n) || !n || n > 2))
		return r3_cli_usage(args, "--proto is 1 or 2");
	opts.proto = proto ? (unsigned)n : opts.compressed ? 2 : 1;
	if (file && !strcmp(file, "-"))
		file = NULL;
	if (!file && isatty(STDOUT_FILENO))
		return r3_cli_usage(args, "a stream is nothing for a "
				    "terminal; use --output");
	ret = btrfs_open_image(args, &img);
	return ret ? ret : btrfs_close_image(&img, send_what(args, file,
							     &img, &opts));
}
