/* SPDX-License-Identifier: GPL-2.0-or-later */
/* driver.h - the two forms of a driver's queue */
#ifndef CHANNEL_DRIVER_H
#define CHANNEL_DRIVER_H

#include "ring.h"

/*
 * One for each descriptor; a request's first is its id.  Kept here because
 * the device can write to the ring, and overwrites descriptors of a packed
 * one.
 */
struct vq_driver_slot {
	void *cookie; /* NULL: not the first of a request in flight */
	uint64_t seq; /* order of submission */
	uint64_t addr;
	uint32_t len;
	uint32_t room;	/* bytes that the device may write */
	uint16_t flags; /* INDIRECT, WRITE, NEXT */
	uint16_t next;	/* of the request or of the free list */
	uint16_t count; /* slots of the request */
};

/* Put the request that slots[id] describe into the ring. */
void split_submit(struct r3_vq_driver *q, uint16_t id);
void packed_submit(struct r3_vq_driver *q, uint16_t id);

void split_driver_publish(struct r3_vq_driver *q);
void packed_driver_publish(struct r3_vq_driver *q);

/* 1: the device is done with *id; 0; -EPROTO.  Checked by the caller. */
int split_done(struct r3_vq_driver *q, uint32_t *id, uint32_t *written);
int packed_done(struct r3_vq_driver *q, uint32_t *id, uint32_t *written);

bool split_should_kick(struct r3_vq_driver *q, uint16_t since);
void split_driver_arm(struct r3_vq_driver *q, bool on);
void packed_driver_arm(struct r3_vq_driver *q, bool on);
bool split_driver_pending(const struct r3_vq_driver *q);
bool packed_driver_pending(const struct r3_vq_driver *q);

int driver_broken(struct r3_vq_driver *q, const char *why);

#endif
