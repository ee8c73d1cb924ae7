/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recv.h - what the files of receive share
 *
 *	recv.c	    streams: which subvolume, from what, and its end
 *	recv_cmd.c  the commands in between
 *	recv_data.c those about data
 *	recv_path.c paths, which never lead out of the subvolume
 */
#ifndef BTRFS_RECV_H
#define BTRFS_RECV_H

#include "stream.h"
#include "trans.h"

enum {
	RECV_DATA_MAX = 4 << 20, /* bytes that gather for one write */
	RECV_NAMES = 8192,	 /* entries that are remembered; a power of 2 */
};

/* An entry of a directory that was looked up or made; the place in the table
 * comes from its hash, and a later one pushes an earlier one out.  No number of
 * a subvolume comes twice, so those of the subvolume before may stay: clearing
 * the table would touch all its memory. */
struct recv_name {
	uint64_t subvol, dir, ino; /* ino 0: none */
	uint8_t type;		   /* BTRFS_FT_* */
	uint8_t len;
	char name[BTRFS_NAME_MAX];
};

/* A place where a name is, or may come. */
struct recv_place {
	struct r3_btrfs_inode dir;
	const char *name;
	size_t len;
};

struct recv {
	struct r3_btrfs *fs;
	const struct r3_btrfs_receive_options *opts;
	struct btrfs_stream stream;
	struct r3_btrfs_why stream_why;
	struct r3_btrfs_inode dir; /* where the subvolumes go */

	/* the one that is being received; id 0: none */
	uint64_t id, ctransid;
	uint8_t uuid[BTRFS_UUID_SIZE];
	char name[BTRFS_NAME_MAX + 1];

	struct recv_name *names;
	/* What was last done something to.  Its data and attributes gather
	 * while the stream goes on about it. */
	bool at_set;
	size_t at_len;
	char at[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_inode in;
	uint8_t *data;
	size_t data_len;
	uint64_t data_off;
	struct r3_btrfs_attr attr; /* set 0: none */

	/* Something to be made, until it is known whether a RENAME follows. */
	struct r3_btrfs_new make; /* mode 0: nothing */
	size_t make_len;
	char make_path[R3_BTRFS_PATH_MAX], make_target[R3_BTRFS_PATH_MAX];

	bool fits; /* the failure is about what is here, not the stream's */

	/* The clone source looked up last; 0: none. */
	uint8_t source_uuid[BTRFS_UUID_SIZE];
	uint64_t source;
};

/* The subvolume with this uuid in streams: by received uuid, or by uuid.
 * -ENOENT without a text. */
int recv_find_subvol(struct recv *r, const uint8_t *uuid, uint64_t ctransid,
		     uint64_t *id);

/* ---- recv_cmd.c */
/* Any command but SUBVOL, SNAPSHOT and END. */
int recv_command(struct recv *r, const struct btrfs_stream_cmd *c);
/* What has gathered goes to the volume. */
int recv_flush(struct recv *r);
int recv_bad(struct recv *r, const char *fmt, ...) R3_PRINTF(2, 3);
/* A text that says what failed, when it was kept back until now; or @err 0. */
int recv_late(struct recv *r, int err, const char *path, size_t len);
/* A path for a message, cut short, without what a terminal would act on. */
struct recv_text {
	char s[128];
};
struct recv_text recv_text(const char *path, size_t len);
uint64_t recv_u64(const struct btrfs_stream_cmd *c, enum btrfs_send_attr attr);
uint32_t recv_u32(const struct btrfs_stream_cmd *c, enum btrfs_send_attr attr);

/* ---- recv_data.c */
int recv_write(struct recv *r, const struct btrfs_stream_cmd *c);
int recv_encoded(struct recv *r, const struct btrfs_stream_cmd *c);
int recv_clone(struct recv *r, const struct btrfs_stream_cmd *c);
int recv_flush_data(struct recv *r);

/* ---- recv_path.c */
/* All: -EPROTO for a path that could lead elsewhere, -ENOENT, -ENOTDIR. */
int recv_find(struct recv *r, uint64_t subvol, struct r3_span path,
	      struct r3_btrfs_inode *out);
int recv_find_place(struct recv *r, struct r3_span path,
		    struct recv_place *out);
/* An entry of a place is there, or no longer. */
void recv_remember(struct recv *r, const struct recv_place *place,
		   uint64_t ino, uint8_t type);
void recv_forget(struct recv *r, const struct recv_place *place);
/* What recv_remember() knows of a place; false: nothing. */
bool recv_known(struct recv *r, const struct recv_place *place,
		uint64_t *ino, uint8_t *type);

#endif
