// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_reflink.c - ring3 btrfs reflink: a copy that shares its data */
#include <stdio.h>

#include "cmd_btrfs_edit.h"

enum { OPT_RANGE = 0 };

struct range {
	uint64_t from, len, to;
	bool given;
};

/* "FROM:LENGTH" or "FROM:LENGTH:TO", bytes with K, M, G; a length of 0 goes to
 * the end. */
static bool parse_range(const char *text, struct range *out)
{
	uint64_t *const to[] = { &out->from, &out->len, &out->to };
	char part[32];
	unsigned n = 0;

	for (;; n++) {
		size_t len = strcspn(text, ":");

		if (n == R3_COUNT(to) || len >= sizeof(part))
			return false;
		memcpy(part, text, len);
		part[len] = 0;
		if (r3_parse_size(part, to[n]))
			return false;
		text += len;
		if (!*text++)
			break;
	}
	if (n == 1)
		out->to = out->from;
	out->given = true;
	return n >= 1;
}

/* Whether data has checksums must be the same for both: 1 NODATASUM,
 * 2 NODATACOW. */
static int like_flags(const struct btrfs_image *img, struct r3_btrfs_inode in,
		      const struct r3_btrfs_stat *like)
{
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_FLAGS };
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(img->fs, in, &st);

	a.flags = (st.flags & ~UINT64_C(3)) | (like->flags & 3);
	if (err || a.flags == st.flags)
		return err;
	return r3_btrfs_setattr(img->fs, in, &a);
}

/* The other file, emptied when it is there and @empty; or made, with the mode
 * and owner of the first. */
static int target(const struct btrfs_image *img, const char *path,
		  const struct r3_btrfs_stat *like, bool empty,
		  struct r3_btrfs_inode from, struct r3_btrfs_inode *out)
{
	struct r3_btrfs_new what = { .mode = like->st.st_mode,
				     .uid = like->st.st_uid,
				     .gid = like->st.st_gid };
	struct edit_place at;
	int err = btrfs_lookup(img->fs, path, true, out);

	if (!err && empty && out->ino == from.ino &&
	    out->subvol == from.subvol) {
		fprintf(stderr, "%s: %s: it is the same file\n", img->name,
			path);
		return -EINVAL;
	}
	if (!err && empty) {
		err = r3_btrfs_truncate(img->fs, *out, 0);
	} else if (err == -ENOENT) {
		err = edit_file_place(img, path, &at);
		if (err)
			return err;
		err = r3_btrfs_make(img->fs, at.dir, at.name, at.len, &what,
				    out);
		if (!err)
			err = like_flags(img, *out, like);
	}
	return err ? edit_fail(img, path, err) : 0;
}

static int reflink(const struct btrfs_image *img, const char *from_path,
		   const char *to_path, const struct range *range)
{
	struct r3_btrfs_inode from, to;
	struct r3_btrfs_stat st;
	int err = edit_lookup_file(img, from_path, &from, &st);

	if (err)
		return err;
	err = target(img, to_path, &st, !range->given, from, &to);
	if (err)
		return err;
	err = r3_btrfs_clone(img->fs, from, range->from, range->len, to,
			     range->to);
	return err ? edit_fail(img, to_path, err) : 0;
}

int r3_btrfs_cmd_reflink(const struct r3_args *args)
{
	const char *text = args->value[OPT_RANGE];
	struct range range = { 0 };
	struct btrfs_image img;
	int err;

	if (text && !parse_range(text, &range))
		return r3_cli_usage(args, "--range is FROM:LENGTH[:TO], in "
				    "bytes");
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err)
		return err;
	return edit_save(&img, reflink(&img, args->pos[1], args->pos[2],
				       &range));
}
