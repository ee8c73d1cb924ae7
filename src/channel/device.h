/* SPDX-License-Identifier: GPL-2.0-or-later */
/* device.h - the two forms of a device's queue, and its inflight region */
#ifndef CHANNEL_DEVICE_H
#define CHANNEL_DEVICE_H

#include "ring.h"

/*
 * The inflight region of one queue.  vhost-user, "Inflight I/O tracking".
 * Only written while the queue runs; what is needed again is kept in locals
 * too, since the front end can write here.  Read in inflight.c on recovery.
 */
struct inflight_split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct inflight_split {
	uint64_t features;
	uint16_t version; /* 1; 0: new */
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct inflight_split_entry desc[];
};

struct inflight_packed_entry {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/* The used indices and wrap counters, in one word so that a kill finds them
 * all old or all new. */
union inflight_used {
	struct {
		uint16_t used_idx, old_used_idx;
		uint8_t used_wrap, old_used_wrap;
		uint8_t padding[2];
	};
	uint64_t word;
};

struct inflight_packed {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	union inflight_used used;
	uint8_t padding[8];
	struct inflight_packed_entry desc[];
};

static_assert(sizeof(struct inflight_split) == 16 &&
	      sizeof(struct inflight_split_entry) == 16, "vhost-user");
static_assert(sizeof(struct inflight_packed) == 32 &&
	      sizeof(struct inflight_packed_entry) == 32, "vhost-user");

/* Always -EPROTO; the queue is not used any more. */
int device_broken(struct r3_vq_device *q, const char *why);

/* A request while its descriptors are collected. */
struct device_walk {
	struct r3_vq_device *q;
	struct r3_vq_seg *seg;
	unsigned max, readable, writable;
};

/* One buffer; 0 or -EPROTO. */
int device_add_buf(struct device_walk *w, uint64_t addr, uint32_t len,
		   bool write);
/* The table that an indirect descriptor points to; 0 or -EPROTO. */
int device_add_table(struct device_walk *w, uint64_t addr, uint32_t len);
/* The collected request becomes the caller's. */
void device_take(struct device_walk *w, struct r3_vq_req *req, uint16_t id,
		 uint16_t slots, uint16_t entry);

int split_pop(struct r3_vq_device *q, struct r3_vq_req *req,
	      struct device_walk *w);
int split_walk(struct device_walk *w, uint16_t head);
void split_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		uint32_t written);
void split_publish(struct r3_vq_device *q);
bool split_should_signal(struct r3_vq_device *q, uint16_t since);
void split_arm(struct r3_vq_device *q, bool on);
bool split_pending(const struct r3_vq_device *q);

int packed_pop(struct r3_vq_device *q, struct r3_vq_req *req,
	       struct device_walk *w);
void packed_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		 uint32_t written);
void packed_publish(struct r3_vq_device *q);
void packed_arm(struct r3_vq_device *q, bool on);
bool packed_pending(const struct r3_vq_device *q);

#endif
