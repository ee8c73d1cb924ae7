/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blk.h - a vhost-user-blk client for tests and benches: one queue, no thread
 *
 * Every request has a slot (0 to depth - 1) with a header, a status and a
 * buffer in memory shared with the back end.
 */
#ifndef TEST_BLK_H
#define TEST_BLK_H

#include <linux/virtio_blk.h>

#include "ring3/vhost_user.h"

enum { BLK_PIECES_MAX = 8, BLK_DEPTH_MAX = 256, BLK_SLACK = 4096 };

struct blk_conf {
	const char *path;
	unsigned depth;
	bool packed, no_event_idx;
	uint32_t max_len; /* bytes of one request */
	unsigned spin_us; /* before sleeping */
};

struct blk {
	struct blk_conf conf;
	struct r3_vuf *vuf;
	struct r3_vq_driver *q;
	uint8_t *mem;
	size_t mem_len, stride;
	uint64_t addr; /* of mem, for the back end */
	uint64_t sectors;
	bool has_flush, has_zeroes, has_discard;
	unsigned in_flight;
	uint64_t reconnects;
};

/* One request.  The data is slot_buf() + shift, cut into pieces at random
 * places that the caller chose. */
struct blk_io {
	uint32_t type; /* VIRTIO_BLK_T_* */
	uint64_t sector;
	uint32_t len, shift;
	unsigned pieces;
	uint32_t cut[BLK_PIECES_MAX]; /* lengths; their sum is len */
};

/* Prints what is wrong.  0 or a negative errno. */
int blk_open(struct blk *b, const struct blk_conf *conf);
void blk_close(struct blk *b);

uint8_t *blk_buf(struct blk *b, unsigned slot);
int blk_submit(struct blk *b, unsigned slot, const struct blk_io *io);
void blk_kick(struct blk *b);
/* 1: *slot is done with *status (VIRTIO_BLK_S_*), 0: none, or an error. */
int blk_get(struct blk *b, unsigned *slot, uint8_t *status);
/* Until there may be a completion; connects anew when the back end is gone.
 * 0, -ETIMEDOUT, or why there is no connection. */
int blk_wait(struct blk *b, int timeout_ms);

#endif
