/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel_walk.h - a device's queue over memory that the input wrote
 *
 * Input: flags, size, then the inflight region's and the memory's bytes; what
 * is left of it overwrites the memory between two requests, as a driver that
 * races with us would.
 */
#ifndef FUZZ_CHANNEL_WALK_H
#define FUZZ_CHANNEL_WALK_H

#include <stdlib.h>
#include <sys/mman.h>

#include "ring3/channel.h"

#define WALK_GUEST UINT64_C(0x1000)
#define WALK_LEN   UINT64_C(8192)
#define WALK_SIZES 32 /* entries of a ring, at most */
#define WALK_SEGS  20

struct walk {
	struct r3_span in;
	uint8_t *memory; /* page-aligned, bounded by sanitizer or mapping */
	uint8_t *inflight;
	struct r3_regions mem;
	struct r3_vring ring;
	struct r3_vq_device q;
	struct r3_vq_req held[WALK_SIZES];
	unsigned count;
};

static inline uint8_t walk_byte(struct walk *w)
{
	const uint8_t *b = r3_take(&w->in, 1);

	return b ? *b : 0;
}

static inline void walk_fill(struct walk *w, uint8_t *to, size_t len)
{
	size_t n = r3_min(len, w->in.len);

	memcpy(to, r3_take(&w->in, n), n);
}

/* Every byte that a request names must be in the memory. */
static inline void walk_check(const struct walk *w, const struct r3_vq_req *r)
{
	if (r->readable + r->writable > WALK_SEGS || r->id >= w->ring.size)
		abort();
	for (unsigned i = 0; i < r->readable + r->writable; i++) {
		const struct r3_vq_seg *s = &r->seg[i];
		uint64_t at = (uint64_t)(s->host - w->memory);

		if (!s->len || at >= WALK_LEN || s->len > WALK_LEN - at ||
		    s->iova != WALK_GUEST + at)
			abort();
	}
	for (unsigned i = 0; i < w->count; i++) {
		if (w->held[i].id == r->id)
			abort();
	}
}

static inline void walk_take(struct walk *w, bool again)
{
	struct r3_vq_seg seg[WALK_SEGS];
	struct r3_vq_req req;
	int n;

	for (unsigned i = 0; i < 2 * WALK_SIZES; i++) {
		n = again ? r3_vq_device_next_inflight(&w->q, &req, seg,
						       WALK_SEGS) :
			    r3_vq_device_pop(&w->q, &req, seg, WALK_SEGS);
		if (n <= 0)
			return;
		walk_check(w, &req);
		if (w->count == w->ring.size)
			abort();
		w->held[w->count++] = req;
		if (!again && walk_byte(w) & 1)
			return;
	}
}

static inline void walk_finish(struct walk *w)
{
	unsigned n = walk_byte(w) % 8;

	for (; n && w->count; n--) {
		unsigned k = walk_byte(w) % w->count;

		r3_vq_device_push(&w->q, &w->held[k], n);
		w->held[k] = w->held[--w->count];
	}
	if (n & 1)
		return;
	r3_vq_device_publish(&w->q);
	r3_vq_device_should_signal(&w->q);
}

static inline void walk_scribble(struct walk *w)
{
	size_t at = (size_t)(walk_byte(w) << 8 | walk_byte(w)) % WALK_LEN;

	walk_fill(w, w->memory + at, r3_min(walk_byte(w), WALK_LEN - at));
}

static inline void walk_run(const uint8_t *data, size_t len, bool packed)
{
	static uint8_t memory[WALK_LEN] __attribute__((aligned(4096)));
	static uint8_t inflight[WALK_SIZES * 32 + 64]
		__attribute__((aligned(64)));
	struct walk w = { .in = { data, len }, .memory = memory,
			  .inflight = inflight };
	struct r3_region reg = { .addr = WALK_GUEST, .len = WALK_LEN,
				 .fd = -1, .host = memory,
				 .iova = WALK_GUEST,
				 .prot = R3_READ | R3_WRITE };
	uint8_t flags = walk_byte(&w);
	uint16_t size = 1 + walk_byte(&w) % WALK_SIZES;
	struct r3_vring_layout l;

	while (!packed && !r3_is_pow2(size))
		size--;
	if (r3_vring_layout(size, packed, &l))
		abort();
	w.ring = (struct r3_vring){
		.desc = memory, .driver = memory + l.driver,
		.device = memory + l.device, .size = size, .packed = packed,
		.event_idx = flags & 1, .indirect = flags & 2,
	};
	memset(memory, 0, sizeof(memory));
	memset(inflight, 0, sizeof(inflight));
	if (flags & 8)
		walk_fill(&w, inflight, r3_vq_inflight_len(size, packed));
	walk_fill(&w, memory, l.len + 512);
	if (r3_regions_init(&w.mem, 1) || r3_regions_add(&w.mem, &reg, NULL))
		abort();
	if (!r3_vq_device_init(&w.q, &w.ring, &w.mem,
			       packed ? R3_VQ_BASE_PACKED : 0)) {
		int n = flags & 4 ? r3_vq_device_recover(&w.q, inflight) : 0;

		if (n >= 0)
			walk_take(&w, true);
		for (unsigned i = 0; i < 64 && n >= 0 && !w.q.broken; i++) {
			if (w.q.again_at == w.q.again_count)
				walk_take(&w, false);
			walk_finish(&w);
			if (r3_vq_device_arm(&w.q) && w.q.broken)
				abort();
			walk_scribble(&w);
			r3_vq_device_disarm(&w.q);
		}
		r3_vq_device_fini(&w.q);
	}
	r3_regions_fini(&w.mem);
}

#endif
