// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_btrfs_put.c - ring3 btrfs put: files and trees of the host into an image
 *
 * A file that is there already gets a new inode: what else leads to the old one
 * keeps the old content.  Directories that are there are filled further.
 *
 * Where much is put the volume commits on the way, so a file is filled under a
 * name of its own and takes its place when it is whole.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmd_btrfs_edit.h"
#include "output.h"
#include "progress.h"

enum {
	BUF = 16 << 20, /* so large are the extents, where space allows */
	DEPTH_MAX = R3_BTRFS_PATH_MAX / 2,
	TEMP_MAX = 32, /* of the name while it is filled */
	OPT_RECURSIVE = 0,
	OPT_COMPRESS = 2,
};

/* Files with several names that were copied already. */
struct put_link {
	dev_t dev;
	ino_t ino;
	struct r3_btrfs_inode in; /* in.ino 0: an empty slot */
};

struct put {
	struct btrfs_image img;
	bool recursive;
	uint8_t *buf;
	char path[PATH_MAX]; /* on the host, of what is being copied */
	/* here, as directories go as deep as the stack may */
	char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
	char target[R3_BTRFS_PATH_MAX];
	unsigned depth;
	struct put_link *links; /* open addressing */
	size_t link_count, link_room;
	struct stat image; /* which must not be copied into itself */
	struct cli_progress progress;
	uint64_t done; /* bytes */
	bool told;
	bool some; /* was copied whole */
};

/* Say why, unless somebody has. */
static int put_fail(struct put *p, const char *what, int err)
{
	cli_progress_end(&p->progress);
	if (!p->told)
		fprintf(stderr, "%s: %s%s%s\n", p->path, what,
			*what ? ": " : "", strerror(-err));
	p->told = true;
	return err;
}

/* The same for a failure of the volume, which has a text. */
static int put_fail_fs(struct put *p, int err)
{
	cli_progress_end(&p->progress);
	if (!p->told)
		fprintf(stderr, "%s: %s: %s\n", p->img.name, p->path,
			r3_btrfs_why_of(p->img.fs, err));
	p->told = true;
	return err;
}

/* ---- hard links -----------------------------------------------------------*/

static struct put_link *link_slot(struct put_link *links, size_t room,
				  const struct stat *st)
{
	size_t i = (st->st_ino ^ st->st_dev << 40) *
		   UINT64_C(0x9e3779b97f4a7c15) >> 20;

	for (i &= room - 1; links[i].in.ino; i = (i + 1) & (room - 1)) {
		if (links[i].ino == st->st_ino && links[i].dev == st->st_dev)
			break;
	}
	return &links[i];
}

static int links_grow(struct put *p)
{
	size_t room = p->link_room ? p->link_room * 2 : 256;
	struct put_link *links = calloc(room, sizeof(*links));

	if (!links)
		return put_fail(p, "", -ENOMEM);
	for (size_t i = 0; i < p->link_room; i++) {
		struct stat st = { .st_dev = p->links[i].dev,
				   .st_ino = p->links[i].ino };

		if (p->links[i].in.ino)
			*link_slot(links, room, &st) = p->links[i];
	}
	free(p->links);
	p->links = links;
	p->link_room = room;
	return 0;
}

/* One name more for what was copied under another; *done: that was it. */
static int put_link(struct put *p, const struct edit_place *at,
		    const struct stat *st, bool *done)
{
	const struct put_link *l;
	int err;

	*done = false;
	if (!p->link_room)
		return 0;
	l = link_slot(p->links, p->link_room, st);
	/* between subvolumes there are no links */
	if (!l->in.ino || l->in.subvol != at->dir.subvol)
		return 0;
	*done = true;
	err = r3_btrfs_link(p->img.fs, l->in, at->dir, at->name, at->len);
	if (err == -EEXIST) {
		err = r3_btrfs_unlink(p->img.fs, at->dir, at->name, at->len);
		if (!err)
			err = r3_btrfs_link(p->img.fs, l->in, at->dir,
					    at->name, at->len);
	}
	return err ? put_fail_fs(p, err) : 0;
}

static int remember(struct put *p, const struct stat *st,
		    struct r3_btrfs_inode in)
{
	struct put_link *l;
	int err = 0;

	if (p->link_count * 2 >= p->link_room)
		err = links_grow(p);
	if (err)
		return err;
	l = link_slot(p->links, p->link_room, st);
	p->link_count += !l->in.ino;
	*l = (struct put_link){ st->st_dev, st->st_ino, in };
	return 0;
}

/* ---- attributes -----------------------------------------------------------*/

static int put_xattrs(struct put *p, struct r3_btrfs_inode in)
{
	ssize_t len = llistxattr(p->path, p->names, sizeof(p->names)), n;
	int err;

	if (len < 0)
		return errno == ENOTSUP ? 0 : put_fail(p, "xattrs", -errno);
	for (const char *x = p->names; x < p->names + len;
	     x += strlen(x) + 1) {
		n = lgetxattr(p->path, x, p->value, sizeof(p->value));
		if (n < 0 && errno == ENODATA)
			continue;
		if (n < 0)
			return put_fail(p, x, -errno);
		err = r3_btrfs_setxattr(p->img.fs, in, x, strlen(x),
					p->value, (size_t)n, 0);
		if (err)
			return put_fail_fs(p, err);
	}
	return 0;
}

static int put_attrs(struct put *p, struct r3_btrfs_inode in,
		     const struct stat *st)
{
	struct r3_btrfs_attr a = {
		.set = R3_BTRFS_SET_MODE | R3_BTRFS_SET_UID |
		       R3_BTRFS_SET_GID | R3_BTRFS_SET_ATIME |
		       R3_BTRFS_SET_MTIME,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
	};
	int err = put_xattrs(p, in);

	if (err)
		return err;
	err = r3_btrfs_setattr(p->img.fs, in, &a);
	return err ? put_fail_fs(p, err) : 0;
}

/* ---- data -----------------------------------------------------------------*/

/* Up to @len bytes; short at the end of the file. */
static ssize_t read_some(int fd, uint8_t *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, buf + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* What @fd gives up to @end, to the same offset of the file. */
static int put_bytes(struct put *p, int fd, struct r3_btrfs_inode in,
		     uint64_t off, uint64_t end, bool *eof)
{
	int err;

	*eof = false;
	while (off < end && !*eof) {
		size_t want = r3_min(BUF, end - off);
		ssize_t n = read_some(fd, p->buf, want);

		if (n < 0)
			return put_fail(p, "reading", (int)n);
		*eof = (size_t)n < want;
		err = n ? r3_btrfs_write(p->img.fs, in, off, p->buf,
					 (size_t)n) : 0;
		if (err)
			return put_fail_fs(p, err);
		off += (uint64_t)n;
		p->done += (uint64_t)n;
		cli_progress_show(&p->progress, p->done, 0);
	}
	return 0;
}

/* Only what is no hole. */
static int put_data(struct put *p, int fd, struct r3_btrfs_inode in,
		    uint64_t size)
{
	uint64_t at = 0;
	bool eof = false;
	int err = 0;

	while (!err && at < size && !eof) {
		off_t from = lseek(fd, (off_t)at, SEEK_DATA), to;

		if (from < 0 && errno == ENXIO)
			break;
		if (from < 0)
			from = (off_t)at; /* it has no such notion */
		to = lseek(fd, from, SEEK_HOLE);
		at = to <= from ? size : r3_min((uint64_t)to, size);
		if (lseek(fd, from, SEEK_SET) < 0)
			return put_fail(p, "reading", -errno);
		err = put_bytes(p, fd, in, (uint64_t)from, at, &eof);
	}
	if (err)
		return err;
	err = r3_btrfs_truncate(p->img.fs, in, size);
	return err ? put_fail_fs(p, err) : 0;
}

/* ---- what there is to copy ------------------------------------------------*/

/* A new inode at @at; a file that is there goes. */
static int make(struct put *p, const struct edit_place *at,
		const struct r3_btrfs_new *what, struct r3_btrfs_inode *in)
{
	int err = r3_btrfs_make(p->img.fs, at->dir, at->name, at->len, what,
				in);

	if (err == -EEXIST) {
		err = r3_btrfs_unlink(p->img.fs, at->dir, at->name, at->len);
		if (!err)
			err = r3_btrfs_make(p->img.fs, at->dir, at->name,
					    at->len, what, in);
	}
	return err ? put_fail_fs(p, err) : 0;
}

/* Fill a new file, then give it its name; or nothing of it stays.  @size -1:
 * as much as there is to read. */
static int put_whole(struct put *p, int fd, const struct edit_place *at,
		     const struct r3_btrfs_new *what, int64_t size,
		     struct r3_btrfs_inode *in)
{
	struct r3_btrfs *fs = p->img.fs;
	char name[TEMP_MAX];
	uint64_t chance = 0;
	size_t len;
	bool eof;
	int err;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		chance = r3_now_ns();
	len = (size_t)snprintf(name, sizeof(name), ".put-%016llx",
			       (unsigned long long)chance);
	err = r3_btrfs_make(fs, at->dir, name, len, what, in);
	if (err)
		return put_fail_fs(p, err);
	err = size < 0 ? put_bytes(p, fd, *in, 0, INT64_MAX, &eof)
		       : put_data(p, fd, *in, (uint64_t)size);
	if (!err) {
		err = r3_btrfs_rename(fs, at->dir, name, len, at->dir,
				      at->name, at->len, 0);
		if (err)
			put_fail_fs(p, err);
	}
	if (err)
		r3_btrfs_unlink(fs, at->dir, name, len);
	return err;
}

static int put_file(struct put *p, const struct edit_place *at,
		    struct r3_btrfs_inode *in)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0600 };
	int fd = open(p->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return put_fail(p, "", -errno);
	if (fstat(fd, &st))
		err = put_fail(p, "", -errno);
	else if (!S_ISREG(st.st_mode))
		err = put_fail(p, "it changed meanwhile", -EIO);
	else if (st.st_dev == p->image.st_dev && st.st_ino == p->image.st_ino)
		err = put_fail(p, "the image into itself", -EINVAL);
	if (!err)
		err = put_whole(p, fd, at, &what, st.st_size, in);
	close(fd);
	return err;
}

static int put_special(struct put *p, const struct edit_place *at,
		       const struct stat *st, struct r3_btrfs_inode *in)
{
	struct r3_btrfs_new what = { .mode = st->st_mode,
				     .rdev = st->st_rdev };

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlink(p->path, p->target,
				     sizeof(p->target) - 1);

		if (n < 0)
			return put_fail(p, "", -errno);
		p->target[n] = 0;
		what.target = p->target;
	}
	return make(p, at, &what, in);
}

static int put_one(struct put *p, const struct edit_place *at);

static int put_entry(struct put *p, struct r3_btrfs_inode dir,
		     const char *name)
{
	struct edit_place at = { .dir = dir, .len = strlen(name) };
	size_t len = strlen(p->path);
	int err;

	if (at.len > R3_BTRFS_NAME_MAX || len + at.len + 2 > sizeof(p->path))
		return put_fail(p, name, -ENAMETOOLONG);
	memcpy(at.name, name, at.len + 1);
	snprintf(p->path + len, sizeof(p->path) - len, "/%s", name);
	err = put_one(p, &at);
	if (!err)
		p->path[len] = 0;
	return err;
}

static int no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Its entries, sorted, so that the same tree gives the same layout. */
static int put_entries(struct put *p, struct r3_btrfs_inode dir)
{
	struct dirent **list;
	int n = scandir(p->path, &list, no_dots, by_name), err = 0;

	if (n < 0)
		return put_fail(p, "", -errno);
	p->depth++;
	for (int i = 0; i < n; i++) {
		if (!err)
			err = put_entry(p, dir, list[i]->d_name);
		free(list[i]);
	}
	p->depth--;
	free(list);
	return err;
}

static int put_dir(struct put *p, const struct edit_place *at,
		   struct r3_btrfs_inode *in)
{
	struct r3_btrfs_new what = { .mode = S_IFDIR | 0700 };
	struct r3_btrfs_dirent e;
	int err;

	if (!p->recursive)
		return put_fail(p, "copied only with --recursive", -EISDIR);
	if (p->depth == DEPTH_MAX)
		return put_fail(p, "", -ELOOP);
	err = r3_btrfs_make(p->img.fs, at->dir, at->name, at->len, &what, in);
	if (err == -EEXIST) {
		err = r3_btrfs_lookup_at(p->img.fs, at->dir, at->name,
					 at->len, &e);
		if (!err && e.type != DT_DIR)
			return put_fail(p, "in the image", -ENOTDIR);
		*in = e.in;
	} else if (!err) {
		p->some = true;
	}
	return err ? put_fail_fs(p, err) : put_entries(p, *in);
}

static int put_one(struct put *p, const struct edit_place *at)
{
	struct r3_btrfs_inode in;
	bool done = false;
	struct stat st;
	int err = 0;

	if (lstat(p->path, &st))
		return put_fail(p, "", -errno);
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		err = put_link(p, at, &st, &done);
	if (err || done)
		return err;
	if (S_ISDIR(st.st_mode))
		err = put_dir(p, at, &in);
	else if (S_ISREG(st.st_mode))
		err = put_file(p, at, &in);
	else
		err = put_special(p, at, &st, &in);
	if (!err)
		err = put_attrs(p, in, &st);
	if (!err && !S_ISDIR(st.st_mode) && st.st_nlink > 1)
		err = remember(p, &st, in);
	p->some |= !err;
	return err;
}

/* ---- the command ----------------------------------------------------------*/

/* Standard input becomes a file of ours. */
static int put_stdin(struct put *p, const struct edit_place *at)
{
	struct r3_btrfs_new what = { .mode = S_IFREG |
					     (0666 & ~cli_umask()),
				     .uid = geteuid(), .gid = getegid() };
	struct r3_btrfs_inode in;

	return put_whole(p, STDIN_FILENO, at, &what, -1, &in);
}

/* The last name of a path; "": it is "/", or ends in "." or "..". */
static void base_name(const char *path, struct edit_place *at)
{
	size_t start = btrfs_path_last(path, &at->len);

	at->len = r3_min(at->len, R3_BTRFS_NAME_MAX);
	memcpy(at->name, path + start, at->len);
	at->name[at->len] = 0;
	if (!strcmp(at->name, ".") || !strcmp(at->name, ".."))
		at->name[at->len = 0] = 0;
}

/* "DIR/.", "/" or "..": what is in it goes into @dir, which becomes like it, as
 * cp -a has it. */
static int put_content(struct put *p, struct r3_btrfs_inode dir)
{
	struct stat st;
	int err;

	if (!p->recursive)
		return put_fail(p, "copied only with --recursive", -EISDIR);
	if (lstat(p->path, &st))
		return put_fail(p, "", -errno);
	err = put_entries(p, dir);
	return err ? err : put_attrs(p, dir, &st);
}

/* One argument, into a directory, or as the place that was named. */
static int put_arg(struct put *p, const char *path, bool into,
		   const struct edit_place *dest)
{
	struct edit_place at = *dest;

	if (strlen(path) >= sizeof(p->path)) {
		fprintf(stderr, "%s: %s\n", path, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	strcpy(p->path, path);
	if (!strcmp(path, "-")) {
		if (into)
			return put_fail(p, "standard input needs a name in "
					"the image", -EISDIR);
		return put_stdin(p, dest);
	}
	if (!into)
		return put_one(p, dest);
	base_name(path, &at);
	return at.len ? put_one(p, &at) : put_content(p, at.dir);
}

/* Where it all goes, @count arguments of which @first is one. */
static int destination(struct put *p, const char *path, const char *first,
		       unsigned count, bool *into, struct edit_place *at)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct stat host;
	int err = btrfs_lookup(p->img.fs, path, true, &in);

	if (!err)
		err = r3_btrfs_stat(p->img.fs, in, &st);
	*into = !err && S_ISDIR(st.st.st_mode);
	if (*into) {
		at->dir = in;
		return 0;
	}
	if (err && err != -ENOENT)
		return edit_fail(&p->img, path, err);
	if (count > 1)
		return edit_fail(&p->img, path, err ? err : -ENOTDIR);
	return !lstat(first, &host) && S_ISDIR(host.st_mode)
		       ? edit_place(&p->img, path, at)
		       : edit_file_place(&p->img, path, at);
}

static int put_all(struct put *p, const struct r3_args *args)
{
	unsigned last = args->count - 1;
	struct edit_place dest = { 0 };
	bool into;
	int err = destination(p, args->pos[last], args->pos[1], last - 1,
			      &into, &dest);

	for (unsigned i = 1; !err && i < last; i++)
		err = put_arg(p, args->pos[i], into, &dest);
	cli_progress_end(&p->progress);
	return err;
}

static uint64_t generation(const struct put *p)
{
	struct r3_btrfs_info info;

	return r3_btrfs_get_info(p->img.fs, &info) ? 0 : info.generation;
}

/* After a failure nothing has changed, unless there was a commit on the way. */
static int put_save(struct put *p, uint64_t before, int err)
{
	if (err && generation(p) != before && !r3_btrfs_sync(p->img.fs) &&
	    p->some)
		fprintf(stderr, "%s: what was copied before that is in it\n",
			p->img.name);
	return edit_save(&p->img, err);
}

int r3_btrfs_cmd_put(const struct r3_args *args)
{
	const char *compress = args->value[OPT_COMPRESS];
	struct r3_btrfs_options opts = { 0 };
	uint64_t before;
	struct put *p;
	int err;

	if (compress && !btrfs_parse_compress(compress, &opts.compression,
					      &opts.level))
		return r3_cli_usage(args, "--compress is zlib[:1-9], lzo or "
				    "zstd[:1-15]");
	p = calloc(1, sizeof(*p));
	if (p)
		p->buf = malloc(BUF);
	if (!p || !p->buf) {
		fprintf(stderr, "%s\n", strerror(ENOMEM));
		free(p);
		return R3_EXIT_FAILED;
	}
	p->recursive = args->value[OPT_RECURSIVE];
	err = btrfs_open_image_fill(args->pos[0], &opts, &p->img);
	if (!err) {
		stat(args->pos[0], &p->image);
		cli_progress_begin(&p->progress);
		before = generation(p);
		err = put_save(p, before, put_all(p, args));
	}
	free(p->links);
	free(p->buf);
	free(p);
	return err;
}
