// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * names_ops.c - a list of operations on an image, for names.py
 *
 *	names_ops IMAGE < operations
 *
 * A line is an operation and its arguments, each in hexadecimal but for the
 * first.  Its result, 0 or an errno, is printed on a line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ring3/btrfs.h"

enum { ARGS_MAX = 6 };

struct ops {
	struct r3_btrfs *fs;
	char *arg[ARGS_MAX];
	size_t len[ARGS_MAX];
	unsigned count;
};

struct place {
	struct r3_btrfs_inode dir;
	const char *name;
	size_t len;
};

static int find(struct ops *o, unsigned n, struct r3_btrfs_inode *in)
{
	return r3_btrfs_lookup(o->fs, o->arg[n], in);
}

/* Argument @n: "dir/name". */
static int place(struct ops *o, unsigned n, struct place *p)
{
	char dir[R3_BTRFS_PATH_MAX];
	const char *slash = strrchr(o->arg[n], '/');
	struct r3_btrfs_stat st;
	int err;

	p->name = slash ? slash + 1 : o->arg[n];
	p->len = strlen(p->name);
	snprintf(dir, sizeof(dir), "%.*s", (int)(p->name - o->arg[n]),
		 o->arg[n]);
	err = r3_btrfs_lookup(o->fs, dir, &p->dir);
	if (!err)
		err = r3_btrfs_stat(o->fs, p->dir, &st);
	return !err && !S_ISDIR(st.st.st_mode) ? -ENOTDIR : err;
}

/* make MODE PATH [TARGET] */
static int op_make(struct ops *o)
{
	struct r3_btrfs_new what = {
		.mode = (mode_t)strtoul(o->arg[0], NULL, 8),
		.target = o->count > 2 ? o->arg[2] : NULL,
		.rdev = 0x103,
	};
	struct r3_btrfs_inode in;
	struct place p;
	int err = place(o, 1, &p);

	return err ? err : r3_btrfs_make(o->fs, p.dir, p.name, p.len, &what,
					 &in);
}

static int op_link(struct ops *o)
{
	struct r3_btrfs_inode in;
	struct place p;
	int err = find(o, 0, &in);

	if (!err)
		err = place(o, 1, &p);
	return err ? err : r3_btrfs_link(o->fs, in, p.dir, p.name, p.len);
}

static int op_unlink(struct ops *o)
{
	struct place p;
	int err = place(o, 0, &p);

	return err ? err : r3_btrfs_unlink(o->fs, p.dir, p.name, p.len);
}

static int op_rmdir(struct ops *o)
{
	struct place p;
	int err = place(o, 0, &p);

	return err ? err : r3_btrfs_rmdir(o->fs, p.dir, p.name, p.len);
}

/* rename FLAGS FROM TO */
static int op_rename(struct ops *o)
{
	struct place from, to;
	int err = place(o, 1, &from);

	if (!err)
		err = place(o, 2, &to);
	return err ? err : r3_btrfs_rename(o->fs, from.dir, from.name,
					   from.len, to.dir, to.name, to.len,
					   (unsigned)atoi(o->arg[0]));
}

/* setxattr FLAGS PATH NAME VALUE */
static int op_setxattr(struct ops *o)
{
	struct r3_btrfs_inode in;
	int err = find(o, 1, &in);

	return err ? err : r3_btrfs_setxattr(o->fs, in, o->arg[2], o->len[2],
					     o->arg[3], o->len[3],
					     atoi(o->arg[0]));
}

static int op_removexattr(struct ops *o)
{
	struct r3_btrfs_inode in;
	int err = find(o, 0, &in);

	return err ? err : r3_btrfs_removexattr(o->fs, in, o->arg[1],
						o->len[1]);
}

/* setattr PATH MODE UID GID MTIME */
static int op_setattr(struct ops *o)
{
	struct r3_btrfs_attr a = {
		.set = R3_BTRFS_SET_MODE | R3_BTRFS_SET_UID |
		       R3_BTRFS_SET_GID | R3_BTRFS_SET_MTIME,
	};
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err = find(o, 0, &in);

	if (!err)
		err = r3_btrfs_stat(o->fs, in, &st);
	if (err)
		return err;
	if (S_ISLNK(st.st.st_mode)) /* they have none of their own */
		a.set &= ~(unsigned)R3_BTRFS_SET_MODE;
	a.mode = (mode_t)strtoul(o->arg[1], NULL, 8);
	a.uid = (uint32_t)strtoul(o->arg[2], NULL, 10);
	a.gid = (uint32_t)strtoul(o->arg[3], NULL, 10);
	a.mtime.tv_sec = atol(o->arg[4]);
	a.mtime.tv_nsec = 123456789;
	return r3_btrfs_setattr(o->fs, in, &a);
}

static int op_hold(struct ops *o)
{
	struct r3_btrfs_inode in;
	int err = find(o, 0, &in);

	return err ? err : r3_btrfs_hold(o->fs, in);
}

/* write PATH BYTES TIMES */
static int op_write(struct ops *o)
{
	unsigned times = (unsigned)atoi(o->arg[2]);
	struct r3_btrfs_inode in;
	int err = find(o, 0, &in);

	for (unsigned i = 0; !err && i < times; i++)
		err = r3_btrfs_write(o->fs, in, 8192 * (uint64_t)i,
				     o->arg[1], o->len[1]);
	return err;
}

static int op_sync(struct ops *o)
{
	return r3_btrfs_sync(o->fs);
}

static const struct {
	const char *name;
	unsigned args;
	int (*run)(struct ops *o);
} table[] = {
	{ "make", 2, op_make },		{ "link", 2, op_link },
	{ "unlink", 1, op_unlink },	{ "rmdir", 1, op_rmdir },
	{ "rename", 3, op_rename },	{ "setxattr", 4, op_setxattr },
	{ "removexattr", 2, op_removexattr },
	{ "setattr", 5, op_setattr },	{ "hold", 1, op_hold },
	{ "write", 3, op_write },	{ "sync", 0, op_sync },
};

/* In place: "2f61" -> "/a" and a NUL. */
static size_t unhex(char *text)
{
	size_t len = strlen(text) / 2;

	for (size_t i = 0; i < len; i++) {
		unsigned byte = 0;

		sscanf(text + 2 * i, "%2x", &byte);
		text[i] = (char)byte;
	}
	text[len] = 0;
	return len;
}

static int run(struct ops *o, char *line)
{
	char *name = strtok(line, " \n"), *arg;

	for (o->count = 0; o->count < ARGS_MAX && (arg = strtok(NULL, " \n"));
	     o->count++) {
		/* "-" is what is empty */
		o->arg[o->count] = strcmp(arg, "-") ? arg : arg + 1;
		o->len[o->count] = unhex(o->arg[o->count]);
	}
	for (unsigned i = 0; name && i < R3_COUNT(table); i++) {
		if (!strcmp(table[i].name, name) && o->count >= table[i].args)
			return table[i].run(o);
	}
	fprintf(stderr, "what is %s with %u arguments?\n", name, o->count);
	exit(2);
}

int main(int argc, char **argv)
{
	struct r3_btrfs_options opts = { .write = true };
	struct ops o = { 0 };
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;
	char *line = NULL;
	size_t room = 0;

	if (argc != 2 || r3_btrfs_dev_file(argv[1], true, &dev))
		return 2;
	if (r3_btrfs_open(dev, &opts, &o.fs, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	while (getline(&line, &room, stdin) > 0) {
		int err = run(&o, line);

		printf("%d\n", -err);
		if (err)
			fprintf(stderr, "%d: %s\n", -err, r3_btrfs_why(o.fs));
	}
	free(line);
	r3_btrfs_close(o.fs);
	r3_btrfs_dev_close(dev);
	return 0;
}
