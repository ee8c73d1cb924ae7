// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_btrfs_path.c - paths in an image, as people write them
 *
 * The library follows no symbolic links; people expect /bin/sh to be found
 * where /bin is one.  A link that begins with '/' begins at the top subvolume.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd_btrfs.h"

enum { LINKS_MAX = 40, /* as in Linux */
       ROOM = 2 * R3_BTRFS_PATH_MAX };

struct walk {
	struct r3_btrfs *fs;
	char text[ROOM];	     /* up to @at there are no links in it */
	char target[R3_BTRFS_PATH_MAX];
	size_t at;
	unsigned links;
};

size_t btrfs_path_last(const char *path, size_t *len)
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/'; start--)
		;
	*len = end - start;
	return start;
}

/* Put what a link leads to in the place of its name, which ends at @end. */
static int expand(struct walk *w, struct r3_btrfs_inode in, size_t start,
		  size_t end)
{
	size_t len, rest = strlen(w->text + end) + 1;
	int err = r3_btrfs_readlink(w->fs, in, w->target);

	if (err)
		return err;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	len = strlen(w->target);
	if (*w->target == '/')
		start = 0;
	if (start + len + rest > ROOM)
		return -ENAMETOOLONG;
	memmove(w->text + start + len, w->text + end, rest);
	memcpy(w->text + start, w->target, len);
	w->at = start;
	return 0;
}

/* One name further. */
static int step(struct walk *w, bool follow, struct r3_btrfs_inode *out)
{
	size_t start = w->at + strspn(w->text + w->at, "/");
	size_t end = start + strcspn(w->text + start, "/");
	struct r3_btrfs_stat st;
	char after = w->text[end];
	int err;

	w->text[end] = 0;
	err = r3_btrfs_lookup(w->fs, w->text, out);
	w->text[end] = after;
	if (!err)
		err = r3_btrfs_stat(w->fs, *out, &st);
	if (!err && S_ISLNK(st.st.st_mode) && (after || follow))
		return expand(w, *out, start, end);
	w->at = end;
	return err;
}

static int walk(struct walk *w, bool follow, struct r3_btrfs_inode *out)
{
	int err = 0;

	while (!err && w->text[w->at + strspn(w->text + w->at, "/")])
		err = step(w, follow, out);
	/* a slash at the end asks for a directory */
	return err ? err : r3_btrfs_lookup(w->fs, w->text, out);
}

int btrfs_lookup(struct r3_btrfs *fs, const char *path, bool follow,
		 struct r3_btrfs_inode *out)
{
	struct r3_btrfs_stat st;
	struct walk *w;
	int err = r3_btrfs_lookup(fs, path, out);

	/* most paths have no link in them */
	if (!err && follow)
		err = r3_btrfs_stat(fs, *out, &st);
	if ((err || !follow || !S_ISLNK(st.st.st_mode)) && err != -ENOTDIR)
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fs = fs;
	strcpy(w->text, path); /* or -ENAMETOOLONG, above */
	err = walk(w, follow, out);
	free(w);
	return err;
}
