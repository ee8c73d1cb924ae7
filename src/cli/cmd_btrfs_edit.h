/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_btrfs_edit.h - what the commands that change names and attributes
 * share */
#ifndef CLI_CMD_BTRFS_EDIT_H
#define CLI_CMD_BTRFS_EDIT_H

#include "cmd_btrfs.h"

/* A path's last name, and the directory that it is in. */
struct edit_place {
	struct r3_btrfs_inode dir;
	char name[R3_BTRFS_NAME_MAX + 1];
	size_t len;
};

/* "IMAGE: PATH: why" on standard error; returns @err. */
int edit_fail(const struct btrfs_image *img, const char *path, int err);
/* What is at @path; with a message. */
int edit_lookup(const struct btrfs_image *img, const char *path, bool follow,
		struct r3_btrfs_inode *in, struct r3_btrfs_stat *st);
/* The same for what has to be a regular file, through links. */
int edit_lookup_file(const struct btrfs_image *img, const char *path,
		     struct r3_btrfs_inode *in, struct r3_btrfs_stat *st);
int edit_place(const struct btrfs_image *img, const char *path,
	       struct edit_place *out);
/* The same for what is no directory: a slash at the end is wrong then. */
int edit_file_place(const struct btrfs_image *img, const char *path,
		    struct edit_place *out);
/* All below a directory, but not into other subvolumes. */
typedef int edit_inode_fn(const struct btrfs_image *img,
			  struct r3_btrfs_inode in, const void *arg);
int edit_each_below(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		    unsigned depth, edit_inode_fn *each, const void *arg);
/* Sync when @err is 0, and close; messages of other errors were given. */
int edit_save(struct btrfs_image *img, int err);
/* "644", "u+x,go=r": what it makes of @old.  chmod(1). */
bool edit_parse_mode(const char *text, mode_t old, mode_t *out);

#endif
