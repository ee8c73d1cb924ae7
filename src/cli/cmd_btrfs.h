/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_btrfs.h - what the files of ring3 btrfs share */
#ifndef CLI_CMD_BTRFS_H
#define CLI_CMD_BTRFS_H

#include "ring3/btrfs.h"
#include "ring3/cli.h"
#include "progress.h"

struct btrfs_image {
	const char *name;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
};

/* The first two options of every command that reads an image. */
enum { BTRFS_OPT_SUPER, BTRFS_OPT_BACKUP };
#define BTRFS_WHICH                                                       \
	{ .name = "super", .arg = "N",                                    \
	  .help = "use copy 1, 2 or 3 of the super block" },              \
	{ .name = "backup", .arg = "N",                                   \
	  .help = "use the roots of backup 1 to 4" }
#define BTRFS_JSON                                                        \
	{ .name = "json", .help = "print JSON" }

/* The image named by the first argument; a message and an exit code.  @err > 0
 * was told already. */
int btrfs_open_image(const struct r3_args *args, struct btrfs_image *img);
int btrfs_close_image(struct btrfs_image *img, int err);
/* "NAME: why" on standard error.  @why may hold names out of an image, which
 * are not to move a terminal's cursor. */
void btrfs_tell(const char *name, const char *why);
/* For changes; @opts: or NULL. */
int btrfs_open_image_rw(const char *name, struct r3_btrfs_options *opts,
			struct btrfs_image *img);
/* Likewise, where much is written. */
int btrfs_open_image_fill(const char *name, struct r3_btrfs_options *opts,
			  struct btrfs_image *img);
/* As it is, but bytes on the device may be mended when @mend. */
int btrfs_open_image_mend(const char *name, bool mend,
			  struct btrfs_image *img);
/* Sync when @err is 0, and close; with an error nothing has changed. */
int btrfs_save_image(struct btrfs_image *img, int err);
/* Where a path's last name begins; trailing slashes are not part of it. */
size_t btrfs_path_last(const char *path, size_t *len);
/* r3_btrfs_lookup(), through symbolic links; where the last name is one, only
 * when @follow or with a slash behind it.  -ELOOP too. */
int btrfs_lookup(struct r3_btrfs *fs, const char *path, bool follow,
		 struct r3_btrfs_inode *out);
/* Found by check or scrub; a callback's @arg. */
struct btrfs_problems {
	bool json; /* the items of an array */
	uint64_t count;
	struct cli_progress line;
};

void btrfs_problem(void *problems, const char *text);
void btrfs_problems_progress(void *problems, uint64_t done, uint64_t total);
/* How many were not shown. */
void btrfs_problems_rest(const struct btrfs_problems *p);
/* "zstd", "zstd:3", "none"; false: it is none of them. */
bool btrfs_parse_compress(const char *text, unsigned *compression, int *level);
/* A subvolume by its path or number. */
int btrfs_find_subvol(const struct btrfs_image *img, const char *text,
		      uint64_t *out);
/* "1/100", "0/257", "257", or the path of a subvolume.  Return: 0, what
 * the library says, or R3_EXIT_USAGE and a text was printed. */
int btrfs_find_group(const struct btrfs_image *img, const char *text,
		     uint64_t *out);
void btrfs_uuid_print(const uint8_t *uuid, char out[37]);

int r3_btrfs_cmd_ls(const struct r3_args *args);
int r3_btrfs_cmd_cat(const struct r3_args *args);
int r3_btrfs_cmd_get(const struct r3_args *args);
int r3_btrfs_cmd_mkfs(const struct r3_args *args);
int r3_btrfs_cmd_mount(const struct r3_args *args);
int r3_btrfs_cmd_unmount(const struct r3_args *args);
int r3_btrfs_cmd_send(const struct r3_args *args);
int r3_btrfs_cmd_receive(const struct r3_args *args);
int r3_btrfs_cmd_check(const struct r3_args *args);
int r3_btrfs_cmd_scrub(const struct r3_args *args);
int r3_btrfs_cmd_put(const struct r3_args *args);
int r3_btrfs_cmd_reflink(const struct r3_args *args);
int r3_btrfs_cmd_mkdir(const struct r3_args *args);
int r3_btrfs_cmd_rm(const struct r3_args *args);
int r3_btrfs_cmd_mv(const struct r3_args *args);
int r3_btrfs_cmd_ln(const struct r3_args *args);
int r3_btrfs_cmd_chmod(const struct r3_args *args);
int r3_btrfs_cmd_chown(const struct r3_args *args);
int r3_btrfs_cmd_xattr_show(const struct r3_args *args);
int r3_btrfs_cmd_xattr_set(const struct r3_args *args);
int r3_btrfs_cmd_xattr_remove(const struct r3_args *args);
int r3_btrfs_cmd_snapshot(const struct r3_args *args);
extern const struct r3_cmd r3_btrfs_subvolume_cmds[];
extern const struct r3_cmd r3_btrfs_quota_cmds[], r3_btrfs_qgroup_cmds[];
extern const struct r3_opt r3_btrfs_snapshot_opts[];

#endif
