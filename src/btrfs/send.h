/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send.h - what a full send and a difference share */
#ifndef BTRFS_SEND_H
#define BTRFS_SEND_H

#include "stream.h"
#include "ring3/vec.h"

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

/* A subvolume that the receiver has. */
struct source {
	uint64_t id, ctransid;
	uint8_t uuid[16]; /* the receiver's name for it */
};

/* A piece of an extent in a source. */
struct holder {
	uint64_t logical, offset, len;
	uint64_t ino, start; /* where it is in which file */
	uint32_t source;
};

/* What a CLONE says of where it takes the data. */
struct origin {
	const uint8_t *uuid;
	const char *path;
	uint64_t ctransid, start, len;
	char path_buf[R3_BTRFS_PATH_MAX];
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
	VEC(struct source) sources;
	uint64_t sources_generation; /* none of their extents is newer */
	VEC(struct holder) holders;  /* of all sources, by address */
	bool listed;
	struct origin origin;
	/* the file being sent */
	struct r3_btrfs_inode in;
	uint64_t size, written; /* end of what was written */
	size_t path_at;		/* its path in text, 0: not there yet */
	uint64_t run_from, run_to; /* to be written */
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
/* Room for DATA, which comes last. */
uint8_t *send_data_room(struct send *s, size_t len);
int send_end(struct send *s);
int send_no_memory(struct send *s);

struct known *send_table_find(struct table *t, uint64_t key, uint64_t offset);
bool send_table_add(struct table *t, struct known k);
/* The current path, kept; 0 when memory is out. */
size_t send_keep_path(struct send *s);

/* Of the inode s->in at s->path (send.c). */
int send_make(struct send *s, const struct r3_btrfs_stat *st);
int send_attrs(struct send *s, const struct r3_btrfs_stat *st);
int send_xattrs(struct send *s, bool early);
int send_times(struct send *s, const struct r3_btrfs_stat *st);
int send_link(struct send *s, const struct known *k);

/* Data of the file s->in at s->path, of s->size bytes (send_data.c).  What was
 * asked for has gone out after send_flush(). */
int send_data(struct send *s, const struct r3_btrfs_stat *st); /* all of it */
int send_piece(struct send *s, const struct r3_btrfs_extent *x, uint64_t from,
	       uint64_t to);
int send_run(struct send *s, uint64_t from, uint64_t to);
int send_zeros(struct send *s, uint64_t from, uint64_t to);
int send_flush(struct send *s);
int send_truncate(struct send *s); /* to s->size */

/* The receiver's name for a subvolume: what was received goes on under its
 * first one. */
const uint8_t *send_stream_uuid(const struct r3_btrfs_subvol *v);
int send_add_source(struct send *s, const struct r3_btrfs_subvol *v);
/* Where the receiver has what @x holds at @from in the file: s->origin; or
 * -ENOENT, and *next, where it may be worth asking again. */
int send_find_origin(struct send *s, const struct r3_btrfs_extent *x,
		     uint64_t from, uint64_t *next);

/* Everything between SNAPSHOT and END. */
int send_difference(struct send *s, uint64_t parent);

#endif
