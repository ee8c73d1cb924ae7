// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_image.c - open, save and close the image that a command names */
#include <stdio.h>

#include "cmd_btrfs.h"

static int open_dev(const char *name, bool write, struct btrfs_image *img)
{
	int err;

	img->name = name;
	err = r3_btrfs_dev_file(name, write, &img->dev);
	if (err)
		fprintf(stderr, "%s: %s\n", name, r3_btrfs_dev_why(err));
	return err;
}

static int open_fs(const char *name, const struct r3_btrfs_options *opts,
		   struct btrfs_image *img)
{
	struct r3_btrfs_why why;
	int err = r3_btrfs_open(img->dev, opts, &img->fs, &why);

	if (err) {
		btrfs_tell(name, why.text);
		r3_btrfs_dev_close(img->dev);
		return R3_EXIT_FAILED;
	}
	if (*r3_btrfs_left(img->fs))
		fprintf(stderr, "%s: warning: deleted files that a crash left "
			"still take space, because of damage; 'ring3 btrfs "
			"check' says how much there is: %s\n", name,
			r3_btrfs_left(img->fs));
	return R3_EXIT_OK;
}

void btrfs_tell(const char *name, const char *why)
{
	fprintf(stderr, "%s: ", name);
	r3_btrfs_print_name(stderr, why, strlen(why), false);
	fputc('\n', stderr);
}

static int open_image(const char *name, bool write,
		      const struct r3_btrfs_options *opts,
		      struct btrfs_image *img)
{
	return open_dev(name, write, img) ? R3_EXIT_FAILED
					  : open_fs(name, opts, img);
}

int btrfs_open_image(const struct r3_args *args, struct btrfs_image *img)
{
	struct r3_btrfs_options opts = { 0 };
	uint64_t n;

	if (args->value[BTRFS_OPT_SUPER]) {
		if (r3_parse_uint(args->value[BTRFS_OPT_SUPER], &n) || !n ||
		    n > 3)
			return r3_cli_usage(args, "--super is 1, 2 or 3");
		opts.super = (int)n;
	}
	if (args->value[BTRFS_OPT_BACKUP]) {
		if (r3_parse_uint(args->value[BTRFS_OPT_BACKUP], &n) || !n ||
		    n > 4)
			return r3_cli_usage(args, "--backup is 1 to 4");
		opts.backup = (int)n;
	}
	return open_image(args->pos[0], false, &opts, img);
}

int btrfs_open_image_rw(const char *name, struct r3_btrfs_options *opts,
			struct btrfs_image *img)
{
	struct r3_btrfs_options none = { 0 };

	if (!opts)
		opts = &none;
	opts->write = true;
	return open_image(name, true, opts, img);
}

int btrfs_open_image_fill(const char *name, struct r3_btrfs_options *opts,
			  struct btrfs_image *img)
{
	if (open_dev(name, true, img))
		return R3_EXIT_FAILED;
	opts->write = true;
	r3_btrfs_dev_behind(&img->dev); /* or all by one thread */
	return open_fs(name, opts, img);
}

int btrfs_open_image_mend(const char *name, bool mend,
			  struct btrfs_image *img)
{
	return open_image(name, mend, NULL, img);
}

int btrfs_save_image(struct btrfs_image *img, int err)
{
	if (!err)
		err = r3_btrfs_sync(img->fs);
	return btrfs_close_image(img, err);
}

/* Writes that nothing waited for: some may still fail. */
static int settle(struct btrfs_image *img)
{
	struct r3_btrfs_why why;
	int err = r3_btrfs_dev_settle(img->dev);

	if (!err)
		return R3_EXIT_OK;
	r3_btrfs_dev_write_why(img->dev, err, &why);
	btrfs_tell(img->name, why.text);
	return R3_EXIT_FAILED;
}

/* Close; an error of the library becomes its text and exit code 1. */
int btrfs_close_image(struct btrfs_image *img, int err)
{
	if (err < 0)
		btrfs_tell(img->name, r3_btrfs_why_of(img->fs, err));
	if (!err)
		err = settle(img);
	r3_btrfs_close(img->fs);
	r3_btrfs_dev_close(img->dev);
	return err ? R3_EXIT_FAILED : R3_EXIT_OK;
}
