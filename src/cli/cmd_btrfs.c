// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs.c - ring3 btrfs: look at, take out of and check Btrfs images */
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "cmd_btrfs.h"
#include "cmds.h"

void btrfs_uuid_print(const uint8_t *u, char out[37])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[u[i] >> 4];
		*out++ = digits[u[i] & 15];
	}
	*out = 0;
}

static const char *chunk_type(uint64_t type)
{
	static const char *const names[8] = { "none", "data", "system", "3",
					      "metadata", "mixed", "6", "7" };

	return names[type & 7];
}

static void info_json(const struct r3_btrfs_info *i, struct r3_btrfs *fs)
{
	struct r3_btrfs_chunk_info c;
	char uuid[37], incompat[256], ro[256];

	btrfs_uuid_print(i->fsid, uuid);
	r3_btrfs_incompat_names(i->incompat, incompat, sizeof(incompat));
	r3_btrfs_compat_ro_names(i->compat_ro, ro, sizeof(ro));
	printf("{\"fsid\":\"%s\",\"label\":", uuid);
	r3_btrfs_print_name(stdout, i->label, strlen(i->label), true);
	printf(",\"generation\":%llu,\"total_bytes\":%llu,\"bytes_used\":%llu,"
	       "\"nodesize\":%u,\"sectorsize\":%u,\"csum\":\"%s\","
	       "\"incompat\":\"%s\",\"compat_ro\":\"%s\",\"aborted\":%s,"
	       "\"super\":%u,\"supers_good\":%u,\"supers_there\":%u,"
	       "\"subvolumes\":%llu,\"default_subvolume\":%llu,\"quota\":%s,"
	       "\"bad_copies\":%llu,\"chunks\":[",
	       (unsigned long long)i->generation,
	       (unsigned long long)i->total_bytes,
	       (unsigned long long)i->bytes_used, i->nodesize, i->sectorsize,
	       i->csum, incompat, ro, i->aborted ? "true" : "false", i->super,
	       i->supers_good, i->supers_there,
	       (unsigned long long)i->subvolumes,
	       (unsigned long long)i->default_subvol,
	       i->quota ? "true" : "false",
	       (unsigned long long)i->bad_copies);
	for (unsigned n = 0; !r3_btrfs_get_chunk(fs, n, &c); n++)
		printf("%s{\"logical\":%llu,\"length\":%llu,\"used\":%llu,"
		       "\"type\":\"%s\",\"copies\":%u}", n ? "," : "",
		       (unsigned long long)c.logical,
		       (unsigned long long)c.length,
		       (unsigned long long)c.used, chunk_type(c.type),
		       c.copies);
	printf("]}\n");
}

static void info_text(const struct r3_btrfs_info *i, struct r3_btrfs *fs)
{
	struct r3_btrfs_chunk_info c;
	char text[256];

	btrfs_uuid_print(i->fsid, text);
	printf("uuid         %s\nlabel        ", text);
	r3_btrfs_print_name(stdout, i->label, strlen(i->label), false);
	printf("\ngeneration   %llu\nsize         %llu\nused         %llu\n"
	       "node size    %u\nchecksum     %s\n",
	       (unsigned long long)i->generation,
	       (unsigned long long)i->total_bytes,
	       (unsigned long long)i->bytes_used, i->nodesize, i->csum);
	r3_btrfs_incompat_names(i->incompat, text, sizeof(text));
	printf("features     %s\n", text);
	r3_btrfs_compat_ro_names(i->compat_ro, text, sizeof(text));
	printf("read-only    %s\n", text);
	printf("subvolumes   %llu, default %llu\nquota        %s\n"
	       "super block  copy %u; %u of %u copies are good\n",
	       (unsigned long long)i->subvolumes,
	       (unsigned long long)i->default_subvol, i->quota ? "on" : "off",
	       i->super, i->supers_good, i->supers_there);
	if (i->aborted)
		printf("aborted      a kernel met an error; run check\n");
	if (i->bad_copies)
		printf("bad copies   %llu tree blocks were read from their "
		       "second copy\n", (unsigned long long)i->bad_copies);
	for (unsigned n = 0; !r3_btrfs_get_chunk(fs, n, &c); n++)
		printf("chunk        %llu %s%s length=%llu used=%llu\n",
		       (unsigned long long)c.logical, chunk_type(c.type),
		       c.copies > 1 ? " twice" : "",
		       (unsigned long long)c.length,
		       (unsigned long long)c.used);
}

/* Of a mount by ring3: whether it still takes changes.  False: it is none. */
static bool info_mount(const char *dir, bool json, int *ret)
{
	char why[2 * sizeof(struct r3_btrfs_why)];
	ssize_t n = getxattr(dir, R3_BTRFS_MOUNT_WHY, why, sizeof(why));

	if (n < 0 && errno == ENOTCONN) {
		fprintf(stderr, "%s: the mount there has lost its server; "
			"'ring3 btrfs unmount' clears it away\n", dir);
		*ret = R3_EXIT_FAILED;
		return true;
	}
	if (n < 0)
		return false;
	*ret = n ? R3_EXIT_FAILED : R3_EXIT_OK;
	printf(json ? "{\"stopped\":" : "mount        ");
	if (!n)
		printf(json ? "null" : "works");
	else if (!json)
		printf("takes no more changes: ");
	if (n)
		r3_btrfs_print_name(stdout, why, (size_t)n, json);
	printf(json ? "}\n" : "\n");
	return true;
}

static int run_info(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json");
	struct r3_btrfs_info info;
	struct btrfs_image img;
	int ret;

	if (info_mount(args->pos[0], json, &ret))
		return ret;
	ret = btrfs_open_image(args, &img);
	if (ret)
		return ret;
	ret = r3_btrfs_get_info(img.fs, &info);
	if (!ret && json)
		info_json(&info, img.fs);
	else if (!ret)
		info_text(&info, img.fs);
	return btrfs_close_image(&img, ret);
}

static int run_dump(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json"), super;
	struct btrfs_image img;
	uint64_t tree = 0;
	int ret;

	super = !strcmp(args->pos[1], "super");
	if (!super && r3_btrfs_tree_id(args->pos[1], &tree))
		return r3_cli_usage(args, "'%s' is no tree: name it root, "
				    "extent, chunk, dev, fs, csum, quota, "
				    "uuid, free-space, block-group, "
				    "data-reloc or super, or by its number",
				    args->pos[1]);
	ret = btrfs_open_image(args, &img);
	if (ret)
		return ret;
	if (super)
		r3_btrfs_dump_super(img.fs, json, stdout);
	else
		ret = r3_btrfs_dump_tree(img.fs, tree, json, stdout);
	return btrfs_close_image(&img, ret);
}

static int run_stream_dump(const struct r3_args *args)
{
	const char *name = args->count ? args->pos[0] : "-";
	FILE *in = strcmp(name, "-") ? fopen(name, "re") : stdin;
	struct r3_btrfs_why why;
	int err;

	if (!in) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return R3_EXIT_FAILED;
	}
	err = r3_btrfs_stream_dump(in, r3_cli_opt(args, "json"), stdout,
				   &why);
	if (err)
		btrfs_tell(name, why.text);
	if (in != stdin)
		fclose(in);
	return err ? R3_EXIT_FAILED : R3_EXIT_OK;
}

int btrfs_find_subvol(const struct btrfs_image *img, const char *text,
		      uint64_t *out)
{
	struct r3_btrfs_inode in;
	int err;

	if (!r3_parse_uint(text, out))
		return 0;
	err = btrfs_lookup(img->fs, text, false, &in);
	if (err)
		return err;
	if (in.ino != R3_BTRFS_ROOT_INO) {
		fprintf(stderr, "%s: %s: not a subvolume\n", img->name, text);
		return R3_EXIT_FAILED;
	}
	*out = in.subvol;
	return 0;
}

/* Two rows: both letters, as cp(1) and rm(1) have it. */
#define RECURSIVE(text)                                                   \
	{ .name = "recursive", .letter = 'r', .help = text },             \
	{ .name = "recursive", .letter = 'R' }

static const struct r3_opt plain_opts[] = { BTRFS_WHICH, { 0 } };
static const struct r3_opt json_opts[] = { BTRFS_WHICH, BTRFS_JSON, { 0 } };
static const struct r3_opt stream_opts[] = { BTRFS_JSON, { 0 } };
static const struct r3_opt ls_opts[] = {
	BTRFS_WHICH, BTRFS_JSON,
	{ .name = "long", .letter = 'l',
	  .help = "mode, owner, size, time, and where links point" },
	{ .name = "recursive", .letter = 'R',
	  .help = "whole trees, through subvolumes" },
	{ .name = "xattrs", .letter = 'x', .help = "extended attributes" },
	{ 0 },
};

static const struct r3_opt get_opts[] = {
	BTRFS_WHICH,
	RECURSIVE("as with put; directories are copied so anyway"),
	{ 0 },
};

static const struct r3_opt send_opts[] = {
	BTRFS_WHICH,
	{ .name = "parent", .arg = "SUBVOLUME", .letter = 'p',
	  .help = "send the difference to this read-only subvolume" },
	{ .name = "clone", .arg = "SUBVOLUME", .letter = 'c',
	  .help = "a read-only subvolume that the receiver has: send what it "
		  "holds as clones; repeatable" },
	{ .name = "no-data",
	  .help = "say where data changed, without the data" },
	{ .name = "proto", .arg = "N",
	  .help = "version 1 (the usual one) or 2 of the stream" },
	{ .name = "compressed",
	  .help = "send compressed data as it is; version 2" },
	{ .name = "output", .arg = "FILE", .letter = 'o',
	  .help = "write there when it is whole, not to standard output" },
	{ 0 },
};

static const struct r3_opt scrub_opts[] = {
	{ .name = "read-only", .letter = 'r',
	  .help = "report what is bad, write nothing" },
	BTRFS_JSON,
	{ 0 },
};

static const struct r3_opt receive_opts[] = {
	{ .name = "file", .arg = "FILE", .letter = 'f',
	  .help = "read there, not from standard input" },
	BTRFS_JSON,
	{ 0 },
};

static const struct r3_opt check_opts[] = {
	BTRFS_WHICH, BTRFS_JSON,
	{ .name = "data",
	  .help = "read all data and compare it with its checksums" },
	{ .name = "qgroups",
	  .help = "compare quota numbers even where they are marked stale" },
	{ 0 },
};

static const struct r3_opt mkfs_opts[] = { /* order: cmd_btrfs_mkfs.c */
	{ .name = "rootdir", .arg = "DIR", .letter = 'r',
	  .help = "copy what is in DIR" },
	{ .name = "subvol", .arg = "[ro:|default:]PATH",
	  .help = "make this directory of DIR a subvolume; repeatable" },
	{ .name = "compress", .arg = "ALGO[:LEVEL]",
	  .help = "zlib, lzo or zstd" },
	{ .name = "size", .arg = "BYTES",
	  .help = "size of the file system; else what it needs" },
	{ .name = "csum", .arg = "TYPE",
	  .help = "crc32c, xxhash64, sha256 or blake2b" },
	{ .name = "label", .arg = "TEXT", .letter = 'L', .help = "its name" },
	{ .name = "nodesize", .arg = "BYTES",
	  .help = "4K to 64K; usually 16K" },
	{ .name = "block-group-tree",
	  .help = "block groups in a tree of their own: quicker mounts" },
	{ .name = "threads", .arg = "N", .help = "threads that compress" },
	{ .name = "force", .letter = 'f',
	  .help = "overwrite what is there" },
	{ 0 },
};

static const struct r3_opt mount_opts[] = { /* order: cmd_btrfs_mount.c */
	{ .name = "read-only", .letter = 'r', .help = "change nothing" },
	{ .name = "options", .arg = "A,B", .letter = 'o',
	  .help = "as of mount(8): ro, subvol=PATH, compress=ALGO, "
		  "allow_other, noexec, ...; repeatable" },
	{ .name = "subvol", .arg = "PATH|ID",
	  .help = "show this subvolume; else the default one" },
	{ .name = "compress", .arg = "ALGO[:LEVEL]",
	  .help = "what is written: zlib, lzo or zstd" },
	{ .name = "sync-interval", .arg = "SECONDS",
	  .help = "commit changes after so long; else 5" },
	{ .name = "foreground", .letter = 'f',
	  .help = "stay, and log to standard error" },
	{ 0 },
};

static const struct r3_opt unmount_opts[] = { /* order: cmd_btrfs_mount.c */
	{ .name = "lazy",
	  .help = "though files are open: gone for newcomers at once" },
	{ 0 },
};

static const struct r3_opt put_opts[] = { /* order: cmd_btrfs_put.c */
	RECURSIVE("directories with all that is in them"),
	{ .name = "compress", .arg = "ALGO[:LEVEL]",
	  .help = "zlib, lzo or zstd" },
	{ 0 },
};

static const struct r3_opt reflink_opts[] = { /* cmd_btrfs_reflink.c */
	{ .name = "range", .arg = "FROM:LENGTH[:TO]",
	  .help = "only so many bytes, from there to there" },
	{ 0 },
};

static const struct r3_opt mkdir_opts[] = {
	{ .name = "parents", .letter = 'p',
	  .help = "make what is missing on the way; there already is fine" },
	{ .name = "mode", .arg = "MODE", .letter = 'm',
	  .help = "as of chmod(1); usually 777 without the umask" },
	{ 0 },
};

static const struct r3_opt rm_opts[] = {
	RECURSIVE("directories with all that is in them"),
	{ .name = "force", .letter = 'f',
	  .help = "what is not there is no failure" },
	{ 0 },
};

static const struct r3_opt mv_opts[] = {
	{ .name = "no-replace", .letter = 'n',
	  .help = "fail where there is something" },
	{ .name = "exchange", .help = "two paths change places" },
	{ 0 },
};

static const struct r3_opt recursive_opts[] = {
	{ .name = "recursive", .letter = 'R',
	  .help = "and all below, but not in other subvolumes" },
	{ 0 },
};

static const struct r3_opt ln_opts[] = {
	{ .name = "symbolic", .letter = 's', .help = "a symbolic link" },
	{ .name = "force", .letter = 'f',
	  .help = "in the place of a file that is there" },
	{ 0 },
};

static const struct r3_opt xattr_set_opts[] = {
	{ .name = "hex", .help = "VALUE is hexadecimal, two digits a byte" },
	{ 0 },
};

static const struct r3_cmd xattr_cmds[] = {
	{ .name = "list", .args = "IMAGE PATH", .min_args = 2, .max_args = 2,
	  .opts = json_opts, .run = r3_btrfs_cmd_xattr_show,
	  .summary = "names of all extended attributes" },
	{ .name = "get", .args = "IMAGE PATH NAME", .min_args = 3,
	  .max_args = 3, .opts = json_opts, .run = r3_btrfs_cmd_xattr_show,
	  .summary = "the value of one, as it is" },
	{ .name = "set", .args = "IMAGE PATH NAME VALUE", .min_args = 4,
	  .max_args = 4, .opts = xattr_set_opts,
	  .run = r3_btrfs_cmd_xattr_set,
	  .summary = "set one" },
	{ .name = "remove", .args = "IMAGE PATH NAME...", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .run = r3_btrfs_cmd_xattr_remove,
	  .summary = "remove some" },
	{ 0 },
};

static const struct r3_cmd stream_cmds[] = {
	{ .name = "dump", .args = "[FILE]", .max_args = 1,
	  .opts = stream_opts, .run = run_stream_dump,
	  .summary = "print the commands of a send stream" },
	{ 0 },
};

const struct r3_cmd r3_cmd_btrfs[] = {
	{ .name = "mkfs", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = mkfs_opts, .run = r3_btrfs_cmd_mkfs,
	  .summary = "make a file system, from a directory or empty" },
	{ .name = "info", .args = "IMAGE|DIR", .min_args = 1, .max_args = 1,
	  .opts = json_opts, .run = run_info,
	  .summary = "what the file system is, and its chunks" },
	{ .name = "ls", .args = "IMAGE [PATH]", .min_args = 1, .max_args = 2,
	  .opts = ls_opts, .run = r3_btrfs_cmd_ls,
	  .summary = "list a directory" },
	{ .name = "cat", .args = "IMAGE PATH...", .min_args = 2,
	  .max_args = R3_CLI_ARGS_MAX, .opts = plain_opts,
	  .run = r3_btrfs_cmd_cat,
	  .summary = "write files to standard output" },
	{ .name = "get", .args = "IMAGE PATH... DEST", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = get_opts,
	  .run = r3_btrfs_cmd_get,
	  .summary = "copy files or trees out of the image" },
	{ .name = "put", .args = "IMAGE FILE... PATH", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = put_opts,
	  .run = r3_btrfs_cmd_put,
	  .summary = "copy files or trees into the image" },
	{ .name = "reflink", .args = "IMAGE FROM TO", .min_args = 3,
	  .max_args = 3, .opts = reflink_opts, .run = r3_btrfs_cmd_reflink,
	  .summary = "copy a file in the image, sharing its data" },
	{ .name = "mkdir", .args = "IMAGE PATH...", .min_args = 2,
	  .max_args = R3_CLI_ARGS_MAX, .opts = mkdir_opts,
	  .run = r3_btrfs_cmd_mkdir, .summary = "make directories" },
	{ .name = "rm", .args = "IMAGE PATH...", .min_args = 2,
	  .max_args = R3_CLI_ARGS_MAX, .opts = rm_opts,
	  .run = r3_btrfs_cmd_rm, .summary = "remove files or trees" },
	{ .name = "mv", .args = "IMAGE PATH... DEST", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = mv_opts,
	  .run = r3_btrfs_cmd_mv,
	  .summary = "rename, or move into a directory" },
	{ .name = "ln", .args = "IMAGE TARGET PATH", .min_args = 3,
	  .max_args = 3, .opts = ln_opts, .run = r3_btrfs_cmd_ln,
	  .summary = "another name for a file, or a symbolic link" },
	{ .name = "chmod", .args = "IMAGE MODE PATH...", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = recursive_opts,
	  .run = r3_btrfs_cmd_chmod,
	  .summary = "change modes" },
	{ .name = "chown", .args = "IMAGE USER[:GROUP] PATH...", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = recursive_opts,
	  .run = r3_btrfs_cmd_chown,
	  .summary = "change owners" },
	{ .name = "xattr", .sub = xattr_cmds,
	  .summary = "extended attributes" },
	{ .name = "dump", .args = "IMAGE TREE", .min_args = 2, .max_args = 2,
	  .opts = json_opts, .run = run_dump,
	  .summary = "print every item of a tree" },
	{ .name = "scrub", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = scrub_opts, .run = r3_btrfs_cmd_scrub,
	  .summary = "read every copy of everything, mend bad ones" },
	{ .name = "check", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = check_opts, .run = r3_btrfs_cmd_check,
	  .summary = "check everything that the file system says of itself" },
	{ .name = "mount", .args = "IMAGE DIR", .min_args = 2, .max_args = 2,
	  .opts = mount_opts, .run = r3_btrfs_cmd_mount,
	  .summary = "show it as a directory, through FUSE" },
	{ .name = "unmount", .args = "DIR", .min_args = 1, .max_args = 1,
	  .opts = unmount_opts, .run = r3_btrfs_cmd_unmount,
	  .summary = "end a mount, and wait until all is written" },
	{ .name = "subvolume", .sub = r3_btrfs_subvolume_cmds,
	  .summary = "make, look at, mark and delete subvolumes" },
	{ .name = "quota", .sub = r3_btrfs_quota_cmds,
	  .summary = "quotas on and off" },
	{ .name = "qgroup", .sub = r3_btrfs_qgroup_cmds,
	  .summary = "quota groups and their limits" },
	{ .name = "send", .args = "IMAGE SUBVOLUME", .min_args = 2,
	  .max_args = 2, .opts = send_opts, .run = r3_btrfs_cmd_send,
	  .summary = "write a read-only subvolume as a stream" },
	{ .name = "receive", .args = "IMAGE [DIR]", .min_args = 1,
	  .max_args = 2, .opts = receive_opts, .run = r3_btrfs_cmd_receive,
	  .summary = "make the subvolumes that a stream tells of" },
	{ .name = "snapshot", .args = "IMAGE SOURCE DEST...", .min_args = 3,
	  .max_args = R3_CLI_ARGS_MAX, .opts = r3_btrfs_snapshot_opts,
	  .run = r3_btrfs_cmd_snapshot,
	  .summary = "make snapshots of a subvolume, all at once" },
	{ .name = "stream", .sub = stream_cmds,
	  .summary = "look at send streams" },
	{ 0 },
};
