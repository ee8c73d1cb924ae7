/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.h - the file behind a namespace
 *
 * What the page cache has is read at once with one system call (preadv2,
 * RWF_NOWAIT: 0.8 us for 4 KiB, as fast as a batch of 32 through io_uring),
 * and small buffered writes are made at once as well (3.3 us; ext4 hands
 * those that come through io_uring to a worker thread, 8 to 15 us).
 * Everything that may sleep goes through io_uring, whose entries of one round
 * are submitted together: reads that miss, large or durable writes, flushes,
 * zeroing, and all of it in direct mode.  Data moves between the file and the
 * client's memory, never through ours.
 */
#ifndef MODEL_DISK_H
#define MODEL_DISK_H

#include <liburing.h>

#include "nvmc.h"

struct disk {
	struct io_uring ring;
	int fd;
	bool open, direct;
	bool no_zero, no_punch; /* the file system can't */
	unsigned queued;	/* entries not yet submitted */
	unsigned in_flight;	/* requests with the ring */
	uint64_t slow_until_ns; /* writes have blocked: not inline till then */
	uint64_t failed; /* requests, so far */
	uint8_t *zeroes;	/* DISK_ZEROES bytes, for no_zero */
	uint8_t *bounce;	/* direct only: for unaligned memory */
	void (*done)(void *ctx, struct nvmc_req *r, uint16_t status);
	void *ctx;
};

/**
 * disk_open() - @fd stays the caller's
 * @direct: O_DIRECT.  A write of a former life may then still be on its way
 *	to the device: waits for it, and refuses (-EOPNOTSUPP) where the file
 *	system offers no way to do so.
 * Return: 0 or what the kernel said.
 */
int disk_open(struct disk *d, int fd, bool direct,
	      void (*done)(void *ctx, struct nvmc_req *r, uint16_t status),
	      void *ctx);
void disk_close(struct disk *d);

/* Begin; d->done() may be called before this returns. */
void disk_start(struct disk *d, struct nvmc_req *r);
/* Submit what was begun, finish what is done; how many. */
unsigned disk_poll(struct disk *d);
/* Nothing is in flight when it returns 0; -ETIMEDOUT. */
int disk_drain(struct disk *d, unsigned timeout_ms);

#endif
