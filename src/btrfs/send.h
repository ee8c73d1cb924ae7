/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send.h - what a full send and a difference share */
#ifndef BTRFS_SEND_H
#define BTRFS_SEND_H

#include "stream.h"
#include "vec.h"

enum { DATA_V2 = 128 * 1024, HEAD_MAX = 3 * R3_BTRFS_PATH_MAX + 512,
       DEPTH_MAX = R3_BTRFS_PATH_MAX / 2, CLONES_MAX = 1 << 20 };

/* Something that was sent already: an inode with several names, or a piece of
 * an extent. */
struct known {
	uint64_t key, offset, len; /* inode; or address, offset, length */
	uint64_t start;		   /* of the piece in its file */
	size_t path;		   /* in text; 0: a free slot */
};

struct table {
	struct known *p;
	size_t n, room;
};

struct send {
	struct r3_btrfs *fs;
	const struct r3_btrfs_send_options *opts;
	FILE *out;
	uint64_t subvol, ctransid;
	uint8_t uuid[16];
	unsigned proto, depth;
	uint64_t bytes;
	struct table inodes, pieces;
	VEC(char) text;
	char path[R3_BTRFS_PATH_MAX];
	/* the file being sent */
	struct r3_btrfs_inode in;
	uint64_t size, written; /* end of what was written */
	size_t path_at;		/* its path in text, 0: not there yet */
	bool early;		/* xattrs: those that guide writing */
	bool wrote;		/* data went out, or an owner */
	uint8_t *buf;		/* one command */
	size_t len;
};

/* A command: begin, attributes, end. */
void send_begin(struct send *s, enum btrfs_send_cmd cmd);
void send_put(struct send *s, enum btrfs_send_attr attr, const void *data,
	      size_t len);
void send_put_u64(struct send *s, enum btrfs_send_attr attr, uint64_t v);
void send_put_path(struct send *s);
int send_end(struct send *s);
int send_no_memory(struct send *s);

struct known *send_table_find(struct table *t, uint64_t key, uint64_t offset);
bool send_table_add(struct table *t, struct known k);
/* The current path, kept; 0 when memory is out. */
size_t send_keep_path(struct send *s);

/* Of the inode s->in at s->path. */
int send_make(struct send *s, const struct r3_btrfs_stat *st);
int send_data(struct send *s, const struct r3_btrfs_stat *st);
int send_write(struct send *s, uint64_t off, uint64_t to);
int send_attrs(struct send *s, const struct r3_btrfs_stat *st);
int send_xattrs(struct send *s, bool early);
int send_times(struct send *s, const struct r3_btrfs_stat *st);
int send_link(struct send *s, const struct known *k);

/* Everything between SNAPSHOT and END. */
int send_difference(struct send *s, uint64_t parent);

#endif
