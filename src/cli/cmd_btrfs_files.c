// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_files.c - ring3 btrfs ls, cat, get */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmd_btrfs_edit.h"
#include "progress.h"
#include "ring3/vec.h"

enum { DEPTH_MAX = R3_BTRFS_PATH_MAX / 2, BUF = 1 << 20 };

/* ---- ls ------------------------------------------------------------------ */

struct ls {
	struct r3_btrfs *fs;
	bool json, details, recursive, xattrs;
	char path[R3_BTRFS_PATH_MAX]; /* of the directory being listed */
	unsigned depth;
	bool first_xattr;
};

static char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	}
	return '-';
}

static void print_mode(mode_t mode)
{
	char s[11] = "-rwxrwxrwx";

	s[0] = type_letter(mode);
	for (int i = 0; i < 9; i++) {
		if (!(mode & (0400u >> i)))
			s[i + 1] = '-';
	}
	if (mode & S_ISUID)
		s[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		s[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		s[9] = mode & S_IXOTH ? 't' : 'T';
	fputs(s, stdout);
}

static int ls_xattr(void *arg, const char *name, size_t name_len,
		    const void *value, size_t len)
{
	struct ls *ls = arg;

	fputs(ls->json ? ls->first_xattr ? "" : "," : "    ", stdout);
	r3_btrfs_print_name(stdout, name, name_len, ls->json);
	ls->first_xattr = false;
	if (!ls->json) {
		putchar('=');
		r3_btrfs_print_name(stdout, value, len, false);
		putchar('\n');
		return 0;
	}
	/* Values are bytes, often not text: hexadecimal keeps them whole. */
	fputs(":\"", stdout);
	for (size_t i = 0; i < len; i++)
		printf("%02x", ((const uint8_t *)value)[i]);
	putchar('"');
	return 0;
}

static int ls_xattrs(struct ls *ls, struct r3_btrfs_inode in)
{
	int err;

	if (ls->json)
		printf(",\"xattrs\":{");
	ls->first_xattr = true;
	err = r3_btrfs_each_xattr(ls->fs, in, ls_xattr, ls);
	if (ls->json)
		putchar('}');
	return err;
}

static void ls_full_name(struct ls *ls, const char *name, size_t len)
{
	char full[R3_BTRFS_PATH_MAX + R3_BTRFS_NAME_MAX + 2];
	int n = snprintf(full, sizeof(full), "%s%s%.*s",
			 ls->recursive ? ls->path : "",
			 ls->recursive && *ls->path ? "/" : "", (int)len,
			 name);

	r3_btrfs_print_name(stdout, full, (size_t)n, ls->json);
}

static int ls_json(struct ls *ls, struct r3_btrfs_inode in, const char *name,
		   size_t len, const struct r3_btrfs_stat *s,
		   const char *target)
{
	const struct stat *st = &s->st;
	int err = 0;

	printf("{\"name\":");
	ls_full_name(ls, name, len);
	printf(",\"subvolume\":%llu,\"ino\":%llu,\"type\":\"%c\","
	       "\"mode\":%u,\"nlink\":%llu,\"uid\":%u,\"gid\":%u,"
	       "\"size\":%lld,\"blocks\":%lld,\"flags\":%llu,"
	       "\"mtime\":%lld.%09ld,\"ctime\":%lld.%09ld,"
	       "\"atime\":%lld.%09ld,\"otime\":%lld.%09ld",
	       (unsigned long long)in.subvol, (unsigned long long)in.ino,
	       type_letter(st->st_mode), st->st_mode & 07777,
	       (unsigned long long)st->st_nlink, st->st_uid, st->st_gid,
	       (long long)st->st_size, (long long)st->st_blocks,
	       (unsigned long long)s->flags, (long long)st->st_mtim.tv_sec,
	       st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
	       st->st_ctim.tv_nsec, (long long)st->st_atim.tv_sec,
	       st->st_atim.tv_nsec, (long long)s->otime.tv_sec,
	       s->otime.tv_nsec);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		printf(",\"rdev\":\"%u:%u\"", major(st->st_rdev),
		       minor(st->st_rdev));
	if (S_ISLNK(st->st_mode)) {
		printf(",\"target\":");
		r3_btrfs_print_name(stdout, target, strlen(target), true);
	}
	if (ls->xattrs)
		err = ls_xattrs(ls, in);
	printf("}\n");
	return err;
}

static int ls_text(struct ls *ls, struct r3_btrfs_inode in, const char *name,
		   size_t len, const struct r3_btrfs_stat *s,
		   const char *target)
{
	const struct stat *st = &s->st;
	char when[32];
	struct tm tm;

	if (ls->details) {
		print_mode(st->st_mode);
		if (!gmtime_r(&st->st_mtim.tv_sec, &tm))
			memset(&tm, 0, sizeof(tm));
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
		printf(" %3llu %5u %5u ", (unsigned long long)st->st_nlink,
		       st->st_uid, st->st_gid);
		if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
			printf("%6u,%5u", major(st->st_rdev),
			       minor(st->st_rdev));
		else
			printf("%12lld", (long long)st->st_size);
		printf(" %s ", when);
	}
	ls_full_name(ls, name, len);
	if (ls->details && S_ISLNK(st->st_mode)) {
		printf(" -> ");
		r3_btrfs_print_name(stdout, target, strlen(target), false);
	}
	putchar('\n');
	return ls->xattrs ? ls_xattrs(ls, in) : 0;
}

static int ls_one(struct ls *ls, struct r3_btrfs_inode in, const char *name,
		  size_t len)
{
	char target[R3_BTRFS_PATH_MAX] = "";
	struct r3_btrfs_stat s = { 0 };
	int err = 0;

	if (ls->details || ls->json)
		err = r3_btrfs_stat(ls->fs, in, &s);
	if (!err && S_ISLNK(s.st.st_mode))
		err = r3_btrfs_readlink(ls->fs, in, target);
	if (err)
		return err;
	return ls->json ? ls_json(ls, in, name, len, &s, target)
			: ls_text(ls, in, name, len, &s, target);
}

static int ls_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct ls *ls = arg;
	size_t len = strlen(ls->path);
	int err = ls_one(ls, e->in, e->name, e->name_len);

	if (err || !ls->recursive || e->type != DT_DIR)
		return err;
	/* A damaged image can hold a directory in itself. */
	if (ls->depth == DEPTH_MAX ||
	    len + e->name_len + 2 > sizeof(ls->path)) {
		r3_btrfs_print_name(stderr, ls->path, len, false);
		fprintf(stderr, ": what is in it is deeper than a path can "
			"be\n");
		return -ENAMETOOLONG;
	}
	if (len)
		ls->path[len] = '/';
	memcpy(ls->path + len + (len > 0), e->name, e->name_len + 1u);
	ls->depth++;
	err = r3_btrfs_each_entry(ls->fs, e->in, 0, ls_entry, ls);
	ls->depth--;
	ls->path[len] = 0;
	return err;
}

/* ---- one directory, by name: a whole tree would be too much to keep */

struct ls_name {
	struct r3_btrfs_inode in;
	size_t len;
	char *text;
};

struct ls_names {
	VEC(struct ls_name) all;
};

static int ls_gather(void *arg, const struct r3_btrfs_dirent *e)
{
	struct ls_names *n = arg;
	struct ls_name one = { e->in, e->name_len, strdup(e->name) };

	if (one.text && vec_push(&n->all, one))
		return 0;
	free(one.text);
	return -ENOMEM;
}

static int ls_by_name(const void *a, const void *b)
{
	const struct ls_name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static int ls_sorted(struct ls *ls, struct r3_btrfs_inode dir)
{
	struct ls_names n = { 0 };
	int err = r3_btrfs_each_entry(ls->fs, dir, 0, ls_gather, &n);

	if (n.all.n)
		qsort(n.all.p, n.all.n, sizeof(*n.all.p), ls_by_name);
	/* what was found before damage is shown too */
	for (size_t i = 0; i < n.all.n; i++) {
		struct ls_name *name = &n.all.p[i];
		int one = ls_one(ls, name->in, name->text, name->len);

		err = err ? err : one;
		free(name->text);
	}
	vec_free(&n.all);
	return err;
}

/* As ls(1): a link to a directory shows that, unless more than names is asked
 * for; what leads nowhere is shown itself. */
static int ls_lookup(const struct ls *ls, const struct btrfs_image *img,
		     const char *path, struct r3_btrfs_inode *in,
		     struct r3_btrfs_stat *st)
{
	bool follow = !ls->json && !ls->details &&
		      btrfs_lookup(ls->fs, path, true, in) != -ENOENT;

	return edit_lookup(img, path, follow, in, st) ? R3_EXIT_FAILED : 0;
}

int r3_btrfs_cmd_ls(const struct r3_args *args)
{
	const char *path = args->count > 1 ? args->pos[1] : "/";
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	size_t len, base = btrfs_path_last(path, &len);
	struct btrfs_image img;
	struct ls *ls = calloc(1, sizeof(*ls));
	int err;

	if (!ls)
		return R3_EXIT_FAILED;
	err = btrfs_open_image(args, &img);
	if (err) {
		free(ls);
		return err;
	}
	ls->fs = img.fs;
	ls->json = r3_cli_opt(args, "json");
	ls->details = r3_cli_opt(args, "long");
	ls->recursive = r3_cli_opt(args, "recursive");
	ls->xattrs = r3_cli_opt(args, "xattrs");
	err = ls_lookup(ls, &img, path, &in, &st);
	if (!err && !S_ISDIR(st.st.st_mode))
		err = ls_one(ls, in, path + base, len);
	else if (!err && (ls->recursive || ls->json))
		err = r3_btrfs_each_entry(img.fs, in, 0, ls_entry, ls);
	else if (!err)
		err = ls_sorted(ls, in);
	free(ls);
	return btrfs_close_image(&img, err);
}

/* ---- cat ----------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int cat_one(const struct btrfs_image *img, const char *path,
		   uint8_t *buf)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	uint64_t off = 0;
	size_t got = 1;
	int err = edit_lookup_file(img, path, &in, &st);

	if (err)
		return err;
	for (; got; off += got) {
		err = r3_btrfs_read(img->fs, in, off, buf, BUF, &got);
		if (err)
			return edit_fail(img, path, err);
		err = write_all(STDOUT_FILENO, buf, got);
		if (err) {
			fprintf(stderr, "writing the output: %s\n",
				strerror(-err));
			return err;
		}
	}
	return 0;
}

int r3_btrfs_cmd_cat(const struct r3_args *args)
{
	struct btrfs_image img;
	uint8_t *buf = malloc(BUF);
	int err = buf ? btrfs_open_image(args, &img) : R3_EXIT_FAILED;

	if (err) {
		free(buf);
		return err;
	}
	for (unsigned i = 1; !err && i < args->count; i++)
		err = cat_one(&img, args->pos[i], buf);
	free(buf);
	return btrfs_close_image(&img, err ? R3_EXIT_FAILED : 0);
}

/* ---- get ----------------------------------------------------------------- */

/*
 * Everything is made below a directory descriptor, with O_NOFOLLOW and
 * O_EXCL, and names hold no '/' (the library checks), so an image can't make
 * us write outside the destination.
 */
struct link {
	struct r3_btrfs_inode in;
	char *path; /* from the destination */
};

struct get {
	struct r3_btrfs *fs;
	const char *arg; /* DEST, of which so much comes before @path */
	int before;
	bool into; /* a '/' has to stand between them */
	int dest; /* directory in which it all is made */
	int dir;  /* the directory being filled */
	unsigned depth;
	char path[R3_BTRFS_PATH_MAX]; /* of what is being made, from dest */
	uint8_t *buf;
	struct link *links; /* files with several names, open addressing */
	unsigned link_count, link_room;
	struct cli_progress progress;
	uint64_t done; /* bytes */
	uint64_t skipped; /* owners, devices, xattrs that need more rights */
};

/* For what the host says; it is told then. */
static int get_fail(struct get *g, const char *what)
{
	int err = errno;

	cli_progress_end(&g->progress);
	fprintf(stderr, "%.*s%s", g->before, g->arg, g->into ? "/" : "");
	r3_btrfs_print_name(stderr, g->path, strlen(g->path), false);
	fprintf(stderr, ": %s: %s\n", what, strerror(err));
	return R3_EXIT_FAILED;
}

static struct link *link_slot(struct link *links, unsigned room,
			      struct r3_btrfs_inode in)
{
	uint64_t h = (in.ino ^ in.subvol << 40) * 0x9e3779b97f4a7c15u;
	unsigned i = (unsigned)(h >> 32) & (room - 1);

	while (links[i].path && (links[i].in.ino != in.ino ||
				 links[i].in.subvol != in.subvol))
		i = (i + 1) & (room - 1);
	return &links[i];
}

static int links_grow(struct get *g)
{
	unsigned room = g->link_room ? g->link_room * 2 : 256;
	struct link *links = calloc(room, sizeof(*links));

	if (!links)
		return -ENOMEM;
	for (unsigned i = 0; i < g->link_room; i++) {
		if (g->links[i].path)
			*link_slot(links, room, g->links[i].in) = g->links[i];
	}
	free(g->links);
	g->links = links;
	g->link_room = room;
	return 0;
}

/* True when the file was there already and now has one name more. */
static int get_link(struct get *g, struct r3_btrfs_inode in, const char *name,
		    bool *done)
{
	struct link *l;

	if (g->link_count * 2 >= g->link_room && links_grow(g))
		return -ENOMEM;
	l = link_slot(g->links, g->link_room, in);
	*done = l->path;
	if (l->path)
		return linkat(g->dest, l->path, g->dir, name, 0)
			       ? get_fail(g, "link") : 0;
	l->path = strdup(g->path);
	if (!l->path)
		return -ENOMEM;
	l->in = in;
	g->link_count++;
	return 0;
}

struct get_xattrs {
	struct get *g;
	int fd;
};

static int get_xattr(void *arg, const char *name, size_t name_len,
		     const void *value, size_t len)
{
	struct get_xattrs *x = arg;
	char text[R3_BTRFS_NAME_MAX + 1];

	memcpy(text, name, name_len);
	text[name_len] = 0;
	/* What this file system or this user can't hold is counted. */
	if (fsetxattr(x->fd, text, value, len, 0))
		x->g->skipped++;
	return 0;
}

/* Owner, xattrs, mode, times; in this order, each undoes the ones before.  What
 * should run as another user must not run as this one instead. */
static int get_attrs(struct get *g, struct r3_btrfs_inode in, int fd,
		     const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	struct get_xattrs x = { g, fd };
	mode_t mode = st->st_mode & 07777;
	int err;

	if (fchown(fd, st->st_uid, st->st_gid)) {
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
		g->skipped++;
	}
	err = r3_btrfs_each_xattr(g->fs, in, get_xattr, &x);
	if (err)
		return err;
	if (fchmod(fd, mode))
		return get_fail(g, "mode");
	return futimens(fd, times) ? get_fail(g, "times") : 0;
}

struct get_data {
	struct get *g;
	struct r3_btrfs_inode in;
	int fd;
};

/* Only what is data is written: holes and preallocation stay holes. */
static int get_extent(void *arg, const struct r3_btrfs_extent *x)
{
	struct get_data *d = arg;
	uint64_t off = x->start, end = x->start + x->len;
	size_t got;
	int err;

	if (!x->is_inline && (!x->logical || x->prealloc))
		return 0;
	while (off < end) {
		err = r3_btrfs_read(d->g->fs, d->in, off, d->g->buf,
				    r3_min(BUF, end - off), &got);
		if (err || !got)
			return err;
		if (pwrite(d->fd, d->g->buf, got, (off_t)off) != (ssize_t)got)
			return get_fail(d->g, "write");
		off += got;
		d->g->done += got;
		cli_progress_show(&d->g->progress, d->g->done, 0);
	}
	return 0;
}

static int get_file(struct get *g, struct r3_btrfs_inode in, const char *name,
		    const struct stat *st)
{
	struct get_data d = { g, in, -1 };
	bool done = false;
	int err = 0;

	if (st->st_nlink > 1)
		err = get_link(g, in, name, &done);
	if (err || done)
		return err;
	d.fd = openat(g->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
		      O_CLOEXEC, 0600);
	if (d.fd < 0)
		return get_fail(g, "create");
	err = r3_btrfs_each_extent(g->fs, in, get_extent, &d);
	if (!err && ftruncate(d.fd, st->st_size))
		err = get_fail(g, "size");
	if (!err)
		err = get_attrs(g, in, d.fd, st);
	close(d.fd);
	if (err) /* half of it looks like something */
		unlinkat(g->dir, name, 0);
	return err;
}

static int get_other(struct get *g, struct r3_btrfs_inode in, const char *name,
		     const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[R3_BTRFS_PATH_MAX];
	bool done = false;
	int err = 0;

	if (st->st_nlink > 1)
		err = get_link(g, in, name, &done);
	if (err || done)
		return err;
	if (S_ISLNK(st->st_mode)) {
		err = r3_btrfs_readlink(g->fs, in, target);
		if (err)
			return err;
		if (symlinkat(target, g->dir, name))
			return get_fail(g, "symlink");
	} else if (mknodat(g->dir, name, st->st_mode, st->st_rdev)) {
		if (errno != EPERM && errno != EOPNOTSUPP)
			return get_fail(g, "create");
		g->skipped++;
		return 0;
	}
	if (fchownat(g->dir, name, st->st_uid, st->st_gid,
		     AT_SYMLINK_NOFOLLOW))
		g->skipped++;
	if (!S_ISLNK(st->st_mode) &&
	    fchmodat(g->dir, name, st->st_mode & 07777, 0))
		g->skipped++;
	return utimensat(g->dir, name, times, AT_SYMLINK_NOFOLLOW)
		       ? get_fail(g, "times") : 0;
}

static int get_entry(void *arg, const struct r3_btrfs_dirent *e);

static int get_dir(struct get *g, struct r3_btrfs_inode in, const char *name,
		   const struct stat *st)
{
	int parent = g->dir, err;

	if (g->depth == DEPTH_MAX) {
		errno = ELOOP;
		return get_fail(g, "directory");
	}
	if (mkdirat(parent, name, 0700))
		return get_fail(g, "mkdir");
	g->dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
			O_CLOEXEC);
	if (g->dir < 0) {
		err = get_fail(g, "open");
		g->dir = parent;
		return err;
	}
	g->depth++;
	err = r3_btrfs_each_entry(g->fs, in, 0, get_entry, g);
	g->depth--;
	if (!err)
		err = get_attrs(g, in, g->dir, st);
	close(g->dir);
	g->dir = parent;
	return err;
}

static int get_one(struct get *g, struct r3_btrfs_inode in, const char *name)
{
	struct r3_btrfs_stat s;
	int err = r3_btrfs_stat(g->fs, in, &s);

	if (err)
		return err;
	if (S_ISDIR(s.st.st_mode))
		return get_dir(g, in, name, &s.st);
	if (S_ISREG(s.st.st_mode))
		return get_file(g, in, name, &s.st);
	return get_other(g, in, name, &s.st);
}

static int get_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct get *g = arg;
	size_t len = strlen(g->path);
	int err;

	if (len + e->name_len + 2 > sizeof(g->path)) {
		errno = ENAMETOOLONG;
		return get_fail(g, "a name in it");
	}
	snprintf(g->path + len, sizeof(g->path) - len, "/%s", e->name);
	err = get_one(g, e->in, e->name);
	g->path[len] = 0;
	return err;
}

/* What it is called in a directory that is there: as @source. */
static int dest_into(const struct get *g, const char *source, char *name)
{
	size_t len, at = btrfs_path_last(source, &len);

	if (!len || len > R3_BTRFS_NAME_MAX ||
	    (source[at] == '.' && strspn(source + at, ".") == len && len < 3)) {
		fprintf(stderr, "%s: a directory; '%s' has no name to use in "
			"it\n", g->arg, source);
		return R3_EXIT_FAILED;
	}
	memcpy(name, source + at, len);
	name[len] = 0;
	return 0;
}

/* What it is called when DEST is its name; @many: that can't be. */
static int dest_new(struct get *g, bool is_dir, bool many, char *name)
{
	size_t len, at = btrfs_path_last(g->arg, &len);

	errno = many || (!is_dir && g->arg[at + len]) ? ENOTDIR :
		!len ? ENOENT : len > R3_BTRFS_NAME_MAX ? ENAMETOOLONG : 0;
	if (errno)
		return get_fail(g, "create");
	memcpy(name, g->arg + at, len);
	name[len] = 0;
	return 0;
}

/* Find the directory in which all is made, and the name to make there, also in
 * g->path.  @many: DEST has to be a directory. */
static int get_dest(struct get *g, const char *source, bool is_dir, bool many,
		    char *name)
{
	char dir[R3_BTRFS_PATH_MAX] = ".";
	size_t len, at = btrfs_path_last(g->arg, &len);
	struct stat st;
	int err;

	g->before = 0;
	g->into = false;
	snprintf(g->path, sizeof(g->path), "%s", g->arg);
	if (!stat(g->arg, &st) && S_ISDIR(st.st_mode)) {
		at += len;
		err = dest_into(g, source, name);
	} else {
		err = dest_new(g, is_dir, many, name);
	}
	if (err)
		return err;
	if (at || *g->arg == '/')
		snprintf(dir, sizeof(dir), "%.*s", at ? (int)at : 1, g->arg);
	g->dest = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dest < 0)
		return get_fail(g, "open");
	g->before = (int)at;
	g->into = at && g->arg[at - 1] != '/';
	snprintf(g->path, sizeof(g->path), "%s", name);
	return 0;
}

static void get_links_fini(struct get *g)
{
	for (unsigned i = 0; i < g->link_room; i++)
		free(g->links[i].path);
	free(g->links);
	g->links = NULL;
	g->link_count = g->link_room = 0;
}

/* One path.  Hard links are kept within it. */
static int get_arg(struct get *g, const struct btrfs_image *img,
		   const char *path, bool many)
{
	char name[R3_BTRFS_NAME_MAX + 1];
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err = edit_lookup(img, path, false, &in, &st);

	if (!err)
		err = get_dest(g, path, S_ISDIR(st.st.st_mode), many, name);
	if (err)
		return R3_EXIT_FAILED;
	g->dir = g->dest;
	err = get_one(g, in, name);
	close(g->dest);
	get_links_fini(g);
	return err;
}

int r3_btrfs_cmd_get(const struct r3_args *args)
{
	unsigned last = args->count - 1;
	struct get *g;
	struct btrfs_image img;
	int err;

	if (!strcmp(args->pos[last], "-"))
		return r3_cli_usage(args, "cat writes to standard output; a "
				    "file named '-' is ./-");
	err = btrfs_open_image(args, &img);
	if (err)
		return err;
	g = calloc(1, sizeof(*g));
	if (g)
		g->buf = malloc(BUF);
	if (!g || !g->buf) {
		free(g);
		return btrfs_close_image(&img, -ENOMEM);
	}
	g->fs = img.fs;
	g->arg = args->pos[last];
	cli_progress_begin(&g->progress);
	for (unsigned i = 1; !err && i < last; i++)
		err = get_arg(g, &img, args->pos[i], last > 2);
	cli_progress_end(&g->progress);
	if (!err && g->skipped)
		fprintf(stderr, "%s: %llu owners, xattrs or devices could not "
			"be set here\n", g->arg,
			(unsigned long long)g->skipped);
	free(g->buf);
	free(g);
	return btrfs_close_image(&img, err);
}
