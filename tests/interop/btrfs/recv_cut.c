// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recv_cut.c - receive the first bytes of a stream, commit, and be gone
 *
 *	recv_cut IMAGE STREAM BYTES
 *
 * As a power cut after a commit leaves it: the subvolume is half there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/btrfs.h"

struct cut {
	struct r3_btrfs *fs;
	FILE *in;
	uint64_t left;
};

static ssize_t read_or_go(void *cookie, char *buf, size_t len)
{
	struct cut *c = cookie;

	if (!c->left)
		_exit(r3_btrfs_sync(c->fs) ? 1 : 0);
	len = fread(buf, 1, r3_min(len, c->left), c->in);
	c->left -= len;
	return (ssize_t)len;
}

int main(int argc, char **argv)
{
	struct r3_btrfs_options o = { .write = true };
	cookie_io_functions_t io = { .read = read_or_go };
	struct r3_btrfs_receive_options none = { 0 };
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;
	struct cut c = { 0 };
	static char buf[1000];
	FILE *f;

	if (argc != 4 || r3_parse_uint(argv[3], &c.left))
		return 2;
	c.in = fopen(argv[2], "re");
	f = fopencookie(&c, "r", io);
	if (!c.in || !f || r3_btrfs_dev_file(argv[1], true, &dev))
		return 1;
	setvbuf(f, buf, _IOFBF, sizeof(buf));
	if (r3_btrfs_open(dev, &o, &c.fs, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	r3_btrfs_receive(c.fs, f, &none);
	fprintf(stderr, "not cut: %s\n", r3_btrfs_why(c.fs));
	return 1;
}
