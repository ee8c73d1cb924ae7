/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ramdisk.h - a vhost-user-blk disk in memory, for tests
 *
 * The smallest user of a back end: reads, writes and flushes at once, in the
 * loop.  virtio 1.2, 5.2.
 */
#ifndef TEST_RAMDISK_H
#define TEST_RAMDISK_H

#include "ring3/vhost_user.h"

#define RAMDISK_QUEUES 4
#define RAMDISK_SEGS   130 /* request head, 128 of data, status */
#define RAMDISK_BATCH  16

struct ramdisk {
	struct r3_loop *loop;
	struct r3_vub *vub; /* NULL: no client */
	uint8_t *data;
	uint64_t len;
	uint64_t requests, replayed;
	/* taken at once, then done in a random order and told together */
	unsigned batch; /* 0: one after the other */
	struct r3_vq_req req[RAMDISK_BATCH];
	struct r3_vq_seg seg[RAMDISK_BATCH][RAMDISK_SEGS];
	uint64_t features_masked; /* not offered */
	const struct r3_vub_keeper *keeper;
	struct r3_poller poller;
};

int ramdisk_accept(struct ramdisk *d, int fd);
int ramdisk_resume(struct ramdisk *d);
/* Spin between sleeps, the queues not armed. */
void ramdisk_poll(struct ramdisk *d, unsigned spin_us);

#endif
