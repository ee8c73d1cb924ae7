// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_btrfs_edit.c - ring3 btrfs mkdir, rm, mv, ln
 *
 * All that one invocation does becomes one commit: after a failure nothing has
 * changed.  Only what removes very much commits on its way.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_btrfs_edit.h"
#include "output.h"

enum { DEPTH_MAX = R3_BTRFS_PATH_MAX / 2, BATCH = 256 };

/* ---- paths -------------------------------------------------------------- */

/* Errors that are of the path as the user gave it; the library knows only
 * parts of it. */
static bool is_plain(int err)
{
	return err == -ENOENT || err == -EEXIST || err == -ENOTDIR ||
	       err == -EISDIR || err == -ENAMETOOLONG || err == -ELOOP;
}

int edit_fail(const struct btrfs_image *img, const char *path, int err)
{
	const char *why = is_plain(err) ? strerror(-err)
					: r3_btrfs_why_of(img->fs, err);
	size_t len, at = btrfs_path_last(path, &len);

	/* what the library knows of the path is not said twice */
	if (len && !strncmp(why, path + at, len) &&
	    !strncmp(why + len, ": ", 2))
		why += len + 2;
	fprintf(stderr, "%s: ", img->name);
	r3_btrfs_print_name(stderr, path, strlen(path), false);
	fputs(": ", stderr);
	r3_btrfs_print_name(stderr, why, strlen(why), false);
	fputc('\n', stderr);
	return err;
}

int edit_lookup(const struct btrfs_image *img, const char *path, bool follow,
		struct r3_btrfs_inode *in, struct r3_btrfs_stat *st)
{
	int err = btrfs_lookup(img->fs, path, follow, in);

	if (!err)
		err = r3_btrfs_stat(img->fs, *in, st);
	return err ? edit_fail(img, path, err) : 0;
}

int edit_lookup_file(const struct btrfs_image *img, const char *path,
		     struct r3_btrfs_inode *in, struct r3_btrfs_stat *st)
{
	int err = edit_lookup(img, path, true, in, st);

	if (err || S_ISREG(st->st.st_mode))
		return err;
	fprintf(stderr, "%s: ", img->name);
	r3_btrfs_print_name(stderr, path, strlen(path), false);
	fputs(": it is no regular file\n", stderr);
	return -EINVAL;
}

/* "a/b/c//" -> "a/b" and "c" */
static int split(const char *path, char *parent, struct edit_place *out)
{
	size_t start;

	if (strlen(path) >= R3_BTRFS_PATH_MAX)
		return -ENAMETOOLONG;
	start = btrfs_path_last(path, &out->len);
	if (out->len > R3_BTRFS_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(out->name, path + start, out->len);
	out->name[out->len] = 0;
	memcpy(parent, path, start);
	parent[start] = 0;
	if (!out->len || !strcmp(out->name, ".") || !strcmp(out->name, ".."))
		return -EINVAL;
	return 0;
}

int edit_place(const struct btrfs_image *img, const char *path,
	       struct edit_place *out)
{
	char parent[R3_BTRFS_PATH_MAX];
	int err = split(path, parent, out);

	if (err == -EINVAL) {
		fprintf(stderr, "%s: %s: a name is needed at the end\n",
			img->name, path);
		return err;
	}
	if (!err)
		err = btrfs_lookup(img->fs, parent, true, &out->dir);
	return err ? edit_fail(img, path, err) : 0;
}

int edit_file_place(const struct btrfs_image *img, const char *path,
		    struct edit_place *out)
{
	size_t len = strlen(path);

	if (len && path[len - 1] == '/')
		return edit_fail(img, path, -ENOTDIR);
	return edit_place(img, path, out);
}

int edit_save(struct btrfs_image *img, int err)
{
	if (!err)
		return btrfs_save_image(img, 0);
	return btrfs_close_image(img, R3_EXIT_FAILED);
}

/* ---- mkdir -------------------------------------------------------------- */

/* A new inode belongs to who runs this, or as its directory says. */
static int own_new(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		   struct r3_btrfs_new *what)
{
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(img->fs, dir, &st);

	what->uid = geteuid();
	what->gid = getegid();
	if (!err && st.st.st_mode & S_ISGID) {
		what->gid = st.st.st_gid;
		if (S_ISDIR(what->mode))
			what->mode |= S_ISGID;
	}
	return err;
}

static int mkdir_one(const struct btrfs_image *img, const char *path,
		     mode_t mode)
{
	struct r3_btrfs_new what = { .mode = S_IFDIR | mode };
	struct r3_btrfs_inode in;
	struct edit_place at;
	int err = edit_place(img, path, &at);

	if (err)
		return err;
	err = own_new(img, at.dir, &what);
	if (!err)
		err = r3_btrfs_make(img->fs, at.dir, at.name, at.len, &what,
				    &in);
	return err ? edit_fail(img, path, err) : 0;
}

/* Each directory on the way that is not there. */
static int mkdir_parents(const struct btrfs_image *img, const char *path,
			 mode_t mode)
{
	char part[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_inode in;
	size_t at = 0;
	int err = 0;

	if (strlen(path) >= sizeof(part))
		return edit_fail(img, path, -ENAMETOOLONG);
	while (!err && path[at += strspn(path + at, "/")]) {
		at += strcspn(path + at, "/");
		memcpy(part, path, at);
		part[at] = 0;
		err = btrfs_lookup(img->fs, part, true, &in);
		if (err == -ENOENT)
			err = mkdir_one(img, part,
					path[at + strspn(path + at, "/")]
						? 0777 & ~cli_umask() : mode);
		else if (err)
			edit_fail(img, part, err);
	}
	return err;
}

/* What is there already has to be a directory. */
static int mkdir_there(const struct btrfs_image *img, const char *path)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err = edit_lookup(img, path, true, &in, &st);

	if (!err && !S_ISDIR(st.st.st_mode))
		err = edit_fail(img, path, -EEXIST);
	return err;
}

int r3_btrfs_cmd_mkdir(const struct r3_args *args)
{
	const char *text = r3_cli_opt(args, "mode");
	bool parents = r3_cli_opt(args, "parents");
	mode_t mode = 0777 & ~cli_umask();
	struct btrfs_image img;
	int err;

	if (text && !edit_parse_mode(text, S_IFDIR | 0777, &mode))
		return r3_cli_usage(args, "'%s' is no mode, as 755 or u=rwx",
				    text);
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err)
		return err;
	for (unsigned i = 1; !err && i < args->count; i++) {
		if (!parents)
			err = mkdir_one(&img, args->pos[i], mode);
		else
			err = mkdir_parents(&img, args->pos[i], mode);
		if (!err)
			err = mkdir_there(&img, args->pos[i]);
	}
	return edit_save(&img, err);
}

/* ---- rm ----------------------------------------------------------------- */

struct names { /* of one directory, as many as fit */
	unsigned count;
	struct {
		struct r3_btrfs_inode in;
		uint64_t index;
		uint8_t type;
		char name[R3_BTRFS_NAME_MAX + 1];
	} p[BATCH];
};

static int gather(void *arg, const struct r3_btrfs_dirent *e)
{
	struct names *n = arg;

	n->p[n->count].in = e->in;
	n->p[n->count].index = e->index;
	n->p[n->count].type = e->type;
	strcpy(n->p[n->count].name, e->name);
	return ++n->count == BATCH;
}

/* Names are gathered first: a listing does not outlive a change. */
int edit_each_below(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		    unsigned depth, edit_inode_fn *each, const void *arg)
{
	struct names *n = malloc(sizeof(*n));
	uint64_t from = 0;
	int err = !n ? -ENOMEM : depth == DEPTH_MAX ? -ELOOP : 0;

	do {
		if (!err) {
			n->count = 0;
			err = r3_btrfs_each_entry(img->fs, dir, from, gather,
						  n);
		}
		err = err == 1 ? 0 : err;
		for (unsigned i = 0; !err && i < n->count; i++) {
			struct r3_btrfs_inode in = n->p[i].in;

			if (in.subvol != dir.subvol)
				continue;
			err = each(img, in, arg);
			if (!err && n->p[i].type == DT_DIR)
				err = edit_each_below(img, in, depth + 1,
						      each, arg);
			from = n->p[i].index + 1;
		}
	} while (!err && n->count == BATCH);
	free(n);
	return err;
}

static int rm_content(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		      unsigned depth);

static int rm_entry(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		    const char *name, struct r3_btrfs_inode in, uint8_t type,
		    unsigned depth)
{
	int err = 0;

	if (type != DT_DIR)
		return r3_btrfs_unlink(img->fs, dir, name, strlen(name));
	/* rmdir says what to do about a subvolume */
	if (in.subvol == dir.subvol)
		err = rm_content(img, in, depth + 1);
	return err ? err : r3_btrfs_rmdir(img->fs, dir, name, strlen(name));
}

static int rm_content(const struct btrfs_image *img, struct r3_btrfs_inode dir,
		      unsigned depth)
{
	struct names *n = malloc(sizeof(*n));
	int err = n ? 0 : -ENOMEM;

	if (depth == DEPTH_MAX)
		err = -ELOOP;
	do {
		if (!err) {
			n->count = 0;
			err = r3_btrfs_each_entry(img->fs, dir, 0, gather, n);
		}
		if (err == 1)
			err = 0;
		for (unsigned i = 0; !err && i < n->count; i++)
			err = rm_entry(img, dir, n->p[i].name, n->p[i].in,
				       n->p[i].type, depth);
	} while (!err && n->count == BATCH);
	free(n);
	return err;
}

static int rm_one(const struct btrfs_image *img, const char *path,
		  bool recursive, bool force)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct edit_place at;
	bool dir;
	int err;

	if (force && btrfs_lookup(img->fs, path, false, &in) == -ENOENT)
		return 0;
	err = edit_place(img, path, &at);
	if (!err)
		err = edit_lookup(img, path, false, &in, &st);
	if (err)
		return err;
	dir = S_ISDIR(st.st.st_mode);
	if (dir && !recursive) {
		fprintf(stderr, "%s: %s: a directory; --recursive removes it "
			"with all that is in it\n", img->name, path);
		return -EISDIR;
	}
	err = rm_entry(img, at.dir, at.name, in, dir ? DT_DIR : DT_REG, 0);
	return err ? edit_fail(img, path, err) : 0;
}

int r3_btrfs_cmd_rm(const struct r3_args *args)
{
	bool recursive = r3_cli_opt(args, "recursive");
	bool force = r3_cli_opt(args, "force");
	struct btrfs_image img;
	int err = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (err)
		return err;
	for (unsigned i = 1; !err && i < args->count; i++)
		err = rm_one(&img, args->pos[i], recursive, force);
	return edit_save(&img, err);
}

/* ---- mv, ln ------------------------------------------------------------- */

/* Where @source, of type @mode, goes: to the path @dest, or into it when it is
 * a directory. */
static int dest_place(const struct btrfs_image *img, const char *source,
		      mode_t mode, const char *dest, bool into,
		      struct edit_place *out)
{
	char unused[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err;

	err = btrfs_lookup(img->fs, dest, true, &in);
	if (!err)
		err = r3_btrfs_stat(img->fs, in, &st);
	if (!err && S_ISDIR(st.st.st_mode)) {
		out->dir = in;
		err = split(source, unused, out);
		return err ? edit_fail(img, source, err) : 0;
	}
	if (into)
		return edit_fail(img, dest, err ? err : -ENOTDIR);
	return S_ISDIR(mode) ? edit_place(img, dest, out)
			     : edit_file_place(img, dest, out);
}

/* One of the paths to move; @into: there are several. */
static int mv_one(const struct btrfs_image *img, const char *path,
		  const char *dest, bool into, unsigned flags)
{
	struct edit_place from, to;
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err = edit_place(img, path, &from);

	if (!err)
		err = edit_lookup(img, path, false, &in, &st);
	if (!err && flags & RENAME_EXCHANGE)
		err = edit_place(img, dest, &to);
	else if (!err)
		err = dest_place(img, path, st.st.st_mode, dest, into, &to);
	if (err)
		return err;
	err = r3_btrfs_rename(img->fs, from.dir, from.name, from.len, to.dir,
			      to.name, to.len, flags);
	return err ? edit_fail(img, err == -EEXIST ? dest : path, err) : 0;
}

int r3_btrfs_cmd_mv(const struct r3_args *args)
{
	const char *dest = args->pos[args->count - 1];
	bool exchange = r3_cli_opt(args, "exchange");
	unsigned flags = exchange ? RENAME_EXCHANGE :
			 r3_cli_opt(args, "no-replace") ? RENAME_NOREPLACE : 0;
	struct btrfs_image img;
	int err;

	if (exchange && args->count > 3)
		return r3_cli_usage(args, "--exchange takes two paths");
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err)
		return err;
	for (unsigned i = 1; !err && i + 1 < args->count; i++)
		err = mv_one(&img, args->pos[i], dest, args->count > 3,
			     flags);
	return edit_save(&img, err);
}

static int ln_symbolic(const struct btrfs_image *img, const char *target,
		       const struct edit_place *at)
{
	struct r3_btrfs_new what = { .mode = S_IFLNK | 0777,
				     .target = target };
	struct r3_btrfs_inode in;
	int err = own_new(img, at->dir, &what);

	return err ? err : r3_btrfs_make(img->fs, at->dir, at->name, at->len,
					 &what, &in);
}

/* A link at @path to @in, or one to @target by name. */
static int ln(const struct btrfs_image *img, const struct r3_btrfs_inode *in,
	      const char *target, const char *path, bool force)
{
	struct r3_btrfs_dirent there;
	struct edit_place at;
	int err = dest_place(img, target, S_IFLNK, path, false, &at);

	if (err)
		return err;
	if (force && !r3_btrfs_lookup_at(img->fs, at.dir, at.name, at.len,
					 &there)) {
		/* a name of the same file already */
		if (in && there.in.ino == in->ino &&
		    there.in.subvol == in->subvol)
			return 0;
		err = r3_btrfs_unlink(img->fs, at.dir, at.name, at.len);
	}
	if (!err)
		err = in ? r3_btrfs_link(img->fs, *in, at.dir, at.name, at.len)
			 : ln_symbolic(img, target, &at);
	return err ? edit_fail(img, path, err) : 0;
}

int r3_btrfs_cmd_ln(const struct r3_args *args)
{
	const char *target = args->pos[1];
	bool symbolic = r3_cli_opt(args, "symbolic");
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct btrfs_image img;
	int err = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (err)
		return err;
	if (!symbolic)
		err = edit_lookup(&img, target, false, &in, &st);
	if (!err)
		err = ln(&img, symbolic ? NULL : &in, target, args->pos[2],
			 r3_cli_opt(args, "force"));
	return edit_save(&img, err);
}
