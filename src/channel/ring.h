/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring.h - what both sides of a virtqueue share: the formats in memory, and
 * loads and stores that the other side sees in order
 *
 * Source: virtio 1.2, 2.7 (split) and 2.8 (packed); <linux/virtio_ring.h> has
 * the structs.  Only little-endian machines (base.h), so fields are plain.
 */
#ifndef CHANNEL_RING_H
#define CHANNEL_RING_H

#include <linux/virtio_ring.h>

#include "ring3/channel.h"

/* Packed: a descriptor's state is two bits of its flags. */
#define RING_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define RING_USED  (1u << VRING_PACKED_DESC_F_USED)

/* The two event suppression words of a packed ring, read and written as one. */
#define RING_EVENT(off_wrap, flags) ((uint32_t)(off_wrap) | (flags) << 16)

#define ring_load(p)	    __atomic_load_n((p), __ATOMIC_RELAXED)
#define ring_load_acq(p)    __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ring_store(p, v)    __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ring_store_rel(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* A store above is seen before a load below is done: between "I sleep" and
 * the look whether there is work, and between "there is work" and the look
 * whether the other side sleeps. */
#define ring_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
/* Stores above are in memory before those below when this process is killed
 * in between: program order is enough for what only we read. */
#define ring_ordered() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A descriptor, split or packed, read exactly once. */
struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a, b; /* split: flags, next; packed: id, flags */
};

static inline struct ring_desc ring_desc_read(const void *p)
{
	struct ring_desc d;

	memcpy(&d, p, sizeof(d));
	/* the compiler must take d for changed, and can't read p again */
	__asm__ volatile("" : "+m"(d));
	return d;
}

static inline bool ring_is_avail(uint16_t flags, bool wrap)
{
	return !!(flags & RING_AVAIL) == wrap && !!(flags & RING_USED) != wrap;
}

static inline bool ring_is_used(uint16_t flags, bool wrap)
{
	return !!(flags & RING_AVAIL) == wrap && !!(flags & RING_USED) == wrap;
}

static inline uint16_t ring_avail_flags(bool wrap)
{
	return wrap ? RING_AVAIL : RING_USED;
}

static inline uint16_t ring_used_flags(bool wrap)
{
	return wrap ? RING_AVAIL | RING_USED : 0;
}

/* Packed: @n places on, n <= size. */
static inline void ring_advance(uint16_t *at, bool *wrap, uint16_t n,
				uint16_t size)
{
	unsigned next = *at + n;

	if (next >= size) {
		next -= size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

static inline uint16_t ring_off_wrap(uint16_t at, bool wrap)
{
	return (uint16_t)(at | wrap << VRING_PACKED_EVENT_F_WRAP_CTR);
}

/* Does the other side's event word ask for a notification about the last
 * @since places before (@at, @wrap)?  virtio 1.2, 2.8.10. */
bool ring_packed_event(const struct r3_vring *ring, const void *event,
		       uint16_t at, bool wrap, uint16_t since);

/* Is this ring one that can be used? */
int ring_check(const struct r3_vring *ring);

static inline struct vring_desc *split_desc(const struct r3_vring *r)
{
	return r->desc;
}

static inline struct vring_avail *split_avail(const struct r3_vring *r)
{
	return r->driver;
}

static inline struct vring_used *split_used(const struct r3_vring *r)
{
	return r->device;
}

/* Behind the rings: "wake me when you have passed this index". */
static inline uint16_t *split_used_event(const struct r3_vring *r)
{
	return &split_avail(r)->ring[r->size];
}

static inline uint16_t *split_avail_event(const struct r3_vring *r)
{
	return (uint16_t *)&split_used(r)->ring[r->size];
}

static inline struct vring_packed_desc *packed_desc(const struct r3_vring *r)
{
	return r->desc;
}

#endif
