// SPDX-License-Identifier: GPL-2.0-or-later
/* driver.c - the driver's side of a queue: what both forms have in common */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "driver.h"

int driver_broken(struct r3_vq_driver *q, const char *why)
{
	if (!q->broken)
		q->why = why;
	q->broken = true;
	return -EPROTO;
}

/* An empty ring; event words zero mean: notify always. */
static void clear_ring(struct r3_vq_driver *q)
{
	struct r3_vring_layout l;

	if (r3_vring_layout(q->ring.size, q->ring.packed, &l))
		return; /* checked in init */
	memset(q->ring.desc, 0, l.desc_len);
	memset(q->ring.driver, 0, l.driver_len);
	memset(q->ring.device, 0, l.device_len);
	q->avail = q->used = q->staged = q->since = 0;
	q->avail_wrap = q->used_wrap = true;
	q->broken = false;
}

int r3_vq_driver_init(struct r3_vq_driver *q, const struct r3_vring *ring,
		      void *table, uint64_t table_addr, uint16_t table_max)
{
	int err = ring_check(ring);

	if (err)
		return err;
	if (table && (!table_max || table_max > R3_VQ_SEGS_MAX))
		return -EINVAL;
	*q = (struct r3_vq_driver){ .ring = *ring };
	q->slot = calloc(ring->size, sizeof(*q->slot));
	if (!q->slot)
		return -ENOMEM;
	if (table && ring->indirect) {
		q->table = table;
		q->table_addr = table_addr;
		q->table_max = table_max;
	}
	for (uint16_t i = 0; i < ring->size; i++)
		q->slot[i].next = i + 1;
	q->free_count = ring->size;
	clear_ring(q);
	return 0;
}

void r3_vq_driver_fini(struct r3_vq_driver *q)
{
	free(q->slot);
	*q = (struct r3_vq_driver){ 0 };
}

/* A table for request @id; read by the device through the descriptor. */
static void fill_table(struct r3_vq_driver *q, uint16_t id,
		       const struct r3_vq_buf *buf, unsigned readable,
		       unsigned count)
{
	struct vq_driver_slot *s = &q->slot[id];
	size_t at = (size_t)id * q->table_max * 16;
	struct ring_desc *d = (struct ring_desc *)(void *)(q->table + at);
	bool packed = q->ring.packed;

	for (unsigned i = 0; i < count; i++) {
		uint16_t flags = i < readable ? 0 : VRING_DESC_F_WRITE;

		if (!packed && i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		d[i] = (struct ring_desc){
			.addr = buf[i].addr,
			.len = buf[i].len,
			.a = packed ? 0 : flags,
			.b = packed ? flags : (uint16_t)(i + 1),
		};
	}
	s->addr = q->table_addr + at;
	s->len = count * 16;
	s->flags = VRING_DESC_F_INDIRECT;
	s->count = 1;
}

/* A chain of slots, the first of which is @id; its last one's id. */
static uint16_t fill_chain(struct r3_vq_driver *q, uint16_t id,
			   const struct r3_vq_buf *buf, unsigned readable,
			   unsigned count)
{
	struct vq_driver_slot *s;
	uint16_t at = id;

	q->slot[id].count = (uint16_t)count;
	for (unsigned i = 0;; i++) {
		s = &q->slot[at];
		s->addr = buf[i].addr;
		s->len = buf[i].len;
		s->flags = i < readable ? 0 : VRING_DESC_F_WRITE;
		if (i + 1 == count)
			return at;
		s->flags |= VRING_DESC_F_NEXT;
		at = s->next;
	}
}

int r3_vq_driver_add(struct r3_vq_driver *q, const struct r3_vq_buf *buf,
		     unsigned readable, unsigned writable, void *cookie)
{
	unsigned count = readable + writable;
	bool indirect = q->table && count > 1 && count <= q->table_max;
	uint16_t id = q->free_head, last = id;
	uint32_t room = 0;

	if (!cookie || !count || readable > R3_VQ_SEGS_MAX ||
	    writable > R3_VQ_SEGS_MAX || (!indirect && count > q->ring.size))
		return -EINVAL;
	if (q->free_count < (indirect ? 1 : count))
		return -ENOSPC;
	if (indirect)
		fill_table(q, id, buf, readable, count);
	else
		last = fill_chain(q, id, buf, readable, count);
	for (unsigned i = readable; i < count; i++) {
		if (!r3_add(room, buf[i].len, &room))
			room = UINT32_MAX;
	}
	q->slot[id].room = room;
	q->slot[id].cookie = cookie;
	q->slot[id].seq = q->seq++;
	q->free_head = q->slot[last].next;
	q->free_count -= q->slot[id].count;
	q->count++;
	if (q->ring.packed)
		packed_submit(q, id);
	else
		split_submit(q, id);
	return 0;
}

void r3_vq_driver_publish(struct r3_vq_driver *q)
{
	if (!q->staged)
		return;
	if (q->ring.packed)
		packed_driver_publish(q);
	else
		split_driver_publish(q);
	q->since += q->staged;
	q->staged = 0;
}

bool r3_vq_driver_should_kick(struct r3_vq_driver *q)
{
	uint16_t since = q->since;

	q->since = 0;
	if (q->ring.packed)
		return ring_packed_event(&q->ring, q->ring.device, q->avail,
					 q->avail_wrap, since);
	return split_should_kick(q, since);
}

static void release(struct r3_vq_driver *q, uint16_t id)
{
	struct vq_driver_slot *s = &q->slot[id];
	uint16_t last = id;

	for (unsigned i = 1; i < s->count; i++)
		last = q->slot[last].next;
	q->slot[last].next = q->free_head;
	q->free_head = id;
	q->free_count += s->count;
	q->count--;
	s->cookie = NULL;
}

int r3_vq_driver_get(struct r3_vq_driver *q, void **cookie, uint32_t *written)
{
	struct vq_driver_slot *s;
	uint32_t id, len;
	int n;

	if (q->broken)
		return -EPROTO;
	n = q->ring.packed ? packed_done(q, &id, &len) :
			     split_done(q, &id, &len);
	if (n <= 0)
		return n;
	if (id >= q->ring.size || !q->slot[id].cookie)
		return driver_broken(q, "completion of an unknown id");
	s = &q->slot[id];
	if (q->ring.packed)
		ring_advance(&q->used, &q->used_wrap, s->count, q->ring.size);
	else
		q->used++;
	*cookie = s->cookie;
	*written = (uint32_t)r3_min(len, s->room);
	release(q, (uint16_t)id);
	return 1;
}

bool r3_vq_driver_arm(struct r3_vq_driver *q)
{
	if (q->ring.packed)
		packed_driver_arm(q, true);
	else
		split_driver_arm(q, true);
	ring_fence();
	return r3_vq_driver_pending(q);
}

void r3_vq_driver_disarm(struct r3_vq_driver *q)
{
	if (q->ring.packed)
		packed_driver_arm(q, false);
	else
		split_driver_arm(q, false);
}

/* A broken queue has its error to fetch. */
bool r3_vq_driver_pending(const struct r3_vq_driver *q)
{
	if (q->broken)
		return true;
	return q->ring.packed ? packed_driver_pending(q) :
				split_driver_pending(q);
}

static bool spin(const struct r3_vq_driver *q, unsigned spin_us)
{
	uint64_t until;

	if (r3_vq_driver_pending(q))
		return true;
	if (!spin_us)
		return false;
	until = r3_now_ns() + spin_us * R3_NS_PER_US;
	do {
		for (unsigned i = 0; i < 16; i++) {
			if (r3_vq_driver_pending(q))
				return true;
			__builtin_ia32_pause();
		}
	} while (r3_now_ns() < until);
	return false;
}

int r3_vq_driver_wait(struct r3_vq_driver *q, int call_fd, unsigned spin_us,
		      int timeout_ms)
{
	uint64_t until = r3_now_ns() + (uint64_t)timeout_ms * R3_NS_PER_MS;
	int err = 0;

	if (spin(q, spin_us))
		return 0;
	/* each call ends one sleep; it may be an old one, so look again */
	while (!r3_vq_driver_arm(q)) {
		struct pollfd p = { .fd = call_fd, .events = POLLIN };
		int left = timeout_ms, n;
		uint64_t now, count;

		if (timeout_ms >= 0) {
			now = r3_now_ns();
			left = now >= until ? 0 :
					      (int)((until - now + 999999) /
						    R3_NS_PER_MS);
		}
		n = poll(&p, 1, left);
		if (n <= 0) {
			err = n ? -errno : -ETIMEDOUT;
			break;
		}
		if (read(call_fd, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN) {
			err = -errno;
			break;
		}
	}
	r3_vq_driver_disarm(q);
	return r3_vq_driver_pending(q) ? 0 : err;
}

/* Cold, and there are at most R3_VQ_SIZE_MAX: look for the next each time. */
static int next_by_seq(const struct r3_vq_driver *q, uint64_t from)
{
	int best = -1;

	for (int i = 0; i < q->ring.size; i++) {
		const struct vq_driver_slot *s = &q->slot[i];

		if (s->cookie && s->seq >= from &&
		    (best < 0 || s->seq < q->slot[best].seq))
			best = i;
	}
	return best;
}

void r3_vq_driver_restart(struct r3_vq_driver *q)
{
	uint64_t from = 0;
	int id;

	clear_ring(q);
	while ((id = next_by_seq(q, from)) >= 0) {
		from = q->slot[id].seq + 1;
		if (q->ring.packed)
			packed_submit(q, (uint16_t)id);
		else
			split_submit(q, (uint16_t)id);
	}
}

uint32_t r3_vq_driver_base(const struct r3_vq_driver *q)
{
	uint16_t at;

	if (!q->ring.packed)
		return q->used;
	at = ring_off_wrap(q->used, q->used_wrap);
	return at | (uint32_t)at << 16;
}
