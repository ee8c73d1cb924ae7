// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_mkfs.c - ring3 btrfs mkfs */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_btrfs.h"
#include "output.h"
#include "progress.h"

/* By index in the table of options, which is in cmd_btrfs.c. */
enum { OPT_ROOTDIR, OPT_SUBVOL, OPT_COMPRESS, OPT_SIZE, OPT_CSUM, OPT_LABEL,
       OPT_NODESIZE, OPT_GROUPS, OPT_THREADS, OPT_FORCE };
enum { SUBVOLS_MAX = 4096, SIGNATURES = 128 * 1024,
       FILE_SIZE_MIN = 32 << 20 };

bool btrfs_parse_compress(const char *text, unsigned *compression,
			  int *level_out)
{
	static const char *const names[] = { "none", "zlib", "lzo", "zstd" };
	static const int level_max[] = { 0, 9, 0, 15 };
	size_t len = strcspn(text, ":");
	uint64_t level = 0;

	for (unsigned i = 0; i < R3_COUNT(names); i++) {
		if (strlen(names[i]) != len || strncmp(names[i], text, len))
			continue;
		if (text[len] && (r3_parse_uint(text + len + 1, &level) ||
				  !level || level > (uint64_t)level_max[i]))
			return false;
		*compression = i;
		*level_out = (int)level;
		return true;
	}
	return false;
}

/* "ro:PATH", "rw:PATH", "default:PATH", "default-ro:PATH", "PATH" */
static struct r3_btrfs_mkfs_subvol parse_subvol(const char *text)
{
	static const struct {
		const char *prefix;
		bool readonly, make_default;
	} kinds[] = {
		{ "rw:", false, false },
		{ "ro:", true, false },
		{ "default:", false, true },
		{ "default-ro:", true, true },
	};

	for (unsigned i = 0; i < R3_COUNT(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (!strncmp(text, kinds[i].prefix, len))
			return (struct r3_btrfs_mkfs_subvol){
				text + len, kinds[i].readonly,
				kinds[i].make_default };
	}
	return (struct r3_btrfs_mkfs_subvol){ .path = text };
}

static int parse(const struct r3_args *args, struct r3_btrfs_mkfs_options *o,
		 struct r3_btrfs_mkfs_subvol *subvols)
{
	const char *const *v = args->value;
	uint64_t n;

	o->rootdir = v[OPT_ROOTDIR];
	o->csum = v[OPT_CSUM];
	o->label = v[OPT_LABEL];
	o->block_group_tree = v[OPT_GROUPS];
	if (v[OPT_COMPRESS] &&
	    !btrfs_parse_compress(v[OPT_COMPRESS], &o->compression,
				  &o->level))
		return r3_cli_usage(args, "--compress is zlib[:1-9], lzo or "
				    "zstd[:1-15]");
	if (v[OPT_SIZE] && r3_parse_size(v[OPT_SIZE], &o->size))
		return r3_cli_usage(args, "--size is a number of bytes, with "
				    "K, M, G or T");
	if (v[OPT_NODESIZE]) {
		if (r3_parse_size(v[OPT_NODESIZE], &n) || n > 65536)
			return r3_cli_usage(args, "--nodesize is 4K to 64K");
		o->nodesize = (uint32_t)n;
	}
	if (v[OPT_THREADS]) {
		if (r3_parse_uint(v[OPT_THREADS], &n) || !n || n > 16)
			return r3_cli_usage(args, "--threads is 1 to 16");
		o->threads = (unsigned)n;
	}
	for (unsigned i = 0; i < args->all_count; i++) {
		if (args->all[i].opt != OPT_SUBVOL)
			continue;
		if (o->subvol_count == SUBVOLS_MAX)
			return r3_cli_usage(args, "more than %u subvolumes",
					    SUBVOLS_MAX);
		subvols[o->subvol_count++] = parse_subvol(args->all[i].value);
	}
	o->subvols = subvols;
	if (o->subvol_count && !o->rootdir)
		return r3_cli_usage(args, "--subvol needs --rootdir");
	return 0;
}

/* Is there anything where file systems have their signatures? */
static bool is_empty(struct r3_btrfs_dev *dev)
{
	size_t len = r3_min(SIGNATURES, dev->size);
	uint8_t *buf = malloc(SIGNATURES);
	bool empty = buf && !dev->ops->read(dev, 0, buf, len);

	for (size_t i = 0; empty && i < len; i++)
		empty = !buf[i];
	free(buf);
	return empty;
}

/* A block device has its size; a file keeps it, unless another one was asked
 * for or it is too small to mean anything: then it grows. */
static int take_size(const char *name, uint64_t have, uint64_t *size)
{
	struct stat st;
	bool block = !stat(name, &st) && S_ISBLK(st.st_mode);

	if (block && *size > have) {
		fprintf(stderr, "%s: has only %llu bytes\n", name,
			(unsigned long long)have);
		return R3_EXIT_FAILED;
	}
	if (!*size && (block || have >= FILE_SIZE_MIN))
		*size = have;
	return 0;
}

/* Open, or make the file. */
static int open_target(const struct r3_args *args,
		       struct r3_btrfs_mkfs_options *o,
		       struct r3_btrfs_dev **dev)
{
	const char *name = args->pos[0];
	int fd, err;

	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd >= 0) {
		cli_remove_on_signal(name); /* no file system yet */
		close(fd);
	}
	err = fd < 0 && errno != EEXIST ? -errno
					: r3_btrfs_dev_file(name, true, dev);
	if (err) {
		fprintf(stderr, "%s: %s\n", name, r3_btrfs_dev_why(err));
		return R3_EXIT_FAILED;
	}
	if (!args->value[OPT_FORCE] && !is_empty(*dev)) {
		fprintf(stderr, "%s: there is something on it; --force "
			"overwrites it\n", name);
		r3_btrfs_dev_close(*dev);
		return R3_EXIT_FAILED;
	}
	err = take_size(name, (*dev)->size, &o->size);
	if (err)
		r3_btrfs_dev_close(*dev);
	return err;
}

/* A file gets its size; a block device has to be large enough. */
static int set_size(const char *name, uint64_t size)
{
	struct stat st;

	if (stat(name, &st))
		return -errno;
	if (S_ISREG(st.st_mode) && truncate(name, (off_t)size))
		return -errno;
	return 0;
}

static void report(const char *name, const struct r3_btrfs_mkfs_result *r,
		   double seconds)
{
	printf("%s: files=%llu directories=%llu subvolumes=%llu "
	       "data_bytes=%llu disk_bytes=%llu used_bytes=%llu "
	       "size_bytes=%llu seconds=%.3f\n", name,
	       (unsigned long long)r->files,
	       (unsigned long long)r->directories,
	       (unsigned long long)r->subvolumes,
	       (unsigned long long)r->data_bytes,
	       (unsigned long long)r->disk_bytes,
	       (unsigned long long)r->used_bytes,
	       (unsigned long long)r->total_bytes, seconds);
	if (r->changed)
		fprintf(stderr, "%s: %llu files became shorter while they "
			"were read; the rest of each is zeros\n", name,
			(unsigned long long)r->changed);
	if (r->left_out)
		fprintf(stderr, "%s: is itself in --rootdir, and was left "
			"out\n", name);
}

/* With all options read and @dev open. */
static int make(const struct r3_args *args, struct r3_btrfs_mkfs_options *o,
		struct r3_btrfs_dev *dev)
{
	const char *name = args->pos[0];
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;
	struct cli_progress p;
	struct stat st;
	int err;

	if (!stat(name, &st) && S_ISREG(st.st_mode))
		o->image = &st;
	o->progress = cli_progress_show;
	o->arg = &p;
	cli_progress_begin(&p);
	r3_btrfs_dev_behind(&dev); /* or all by one thread */
	err = r3_btrfs_mkfs(dev, o, &r, &why);
	r3_btrfs_dev_close(dev);
	cli_progress_end(&p);
	if (err)
		fprintf(stderr, "%s: %s\n", name, why.text);
	if (!err) {
		err = set_size(name, r.total_bytes);
		if (err)
			fprintf(stderr, "%s: %s\n", name, strerror(-err));
	}
	if (err)
		return R3_EXIT_FAILED;
	report(name, &r, (double)(r3_now_ns() - p.started_ns) / 1e9);
	return R3_EXIT_OK;
}

int r3_btrfs_cmd_mkfs(const struct r3_args *args)
{
	struct r3_btrfs_mkfs_options o = { .uid = geteuid(),
					   .gid = getegid() };
	struct r3_btrfs_mkfs_subvol *subvols =
		calloc(SUBVOLS_MAX, sizeof(*subvols));
	struct r3_btrfs_dev *dev;
	int err = subvols ? parse(args, &o, subvols) : R3_EXIT_FAILED;

	if (!err)
		err = open_target(args, &o, &dev);
	if (!err)
		err = make(args, &o, dev);
	free(subvols);
	if (err)
		cli_remove_now();
	cli_remove_on_signal(NULL);
	return err;
}
