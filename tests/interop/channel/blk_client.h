/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blk_client.h - a client of a vhost-user-blk disk that checks every byte
 *
 * Random reads and writes of 1 to 4 blocks of 4 KiB, many at a time, never two
 * at once on one block; a read must return what was written last.  When the
 * back end goes away it connects again: each request completes once.
 */
#ifndef TEST_BLK_CLIENT_H
#define TEST_BLK_CLIENT_H

#include "ring3/vhost_user.h"

#define BLK_BLOCK  4096
#define BLK_PER_RQ 4  /* blocks of one request, one buffer each */
#define BLK_DEPTH  64 /* requests in flight in one queue, at most */

struct blk_slot {
	bool used, write;
	uint64_t block;
	unsigned count;
};

struct blk_client {
	struct r3_vuf *vuf;
	uint64_t blocks; /* of the disk, as many as are used */
	uint32_t *version; /* by block; 0: never written */
	uint8_t *busy;	   /* by block */
	unsigned queues, depth, spin_us;
	struct blk_slot slot[R3_VU_QUEUES_MAX][BLK_DEPTH];
	uint8_t *mem; /* by slot: head, status, data */
	uint64_t mem_addr, mem_len;
	uint64_t completed, reconnects;
	uint64_t seed;
	const char *wrong; /* what was wrong, when anything was */
};

/* @blocks 0: the whole disk.  0 or a negative errno. */
int blk_client_open(struct blk_client *c, const struct r3_vuf_config *config,
		    unsigned depth, uint64_t blocks);
void blk_client_close(struct blk_client *c);
/* Until @count more requests are done or @ms are over, then until nothing is
 * in flight.  0, -EIO (c->wrong says what), or what reconnecting said. */
int blk_client_run(struct blk_client *c, uint64_t count, unsigned ms);
/* Read and check every block that was ever written. */
int blk_client_check(struct blk_client *c);

#endif
