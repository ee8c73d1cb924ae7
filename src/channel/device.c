// SPDX-License-Identifier: GPL-2.0-or-later
/* device.c - the device's side of a queue: what both forms have in common */
#include <stdlib.h>

#include "device.h"

int r3_vq_device_init(struct r3_vq_device *q, const struct r3_vring *ring,
		      const struct r3_regions *mem, uint32_t base)
{
	uint16_t size = ring->size, *p;
	int err = ring_check(ring);

	if (err)
		return err;
	*q = (struct r3_vq_device){ .ring = *ring, .mem = mem };
	if (ring->packed) {
		q->avail = base & 0x7fff;
		q->avail_wrap = base >> 15 & 1;
		q->used = base >> 16 & 0x7fff;
		q->used_wrap = base >> 31 & 1;
		if (q->avail >= size || q->used >= size)
			return -EINVAL;
	} else {
		q->avail = q->used = (uint16_t)base;
	}
	q->shadow = q->avail;
	p = calloc(4u * size, sizeof(*p));
	q->busy = calloc(size, sizeof(*q->busy));
	if (!p || !q->busy) {
		free(p);
		free(q->busy);
		return -ENOMEM;
	}
	q->batch = p;
	q->again = p + size;
	q->link = p + 2u * size;
	q->last = p + 3u * size;
	/* the used index is ours: where the ring's says otherwise, the driver
	 * has not seen it yet */
	if (!ring->packed)
		q->used = ring_load(&split_used(ring)->idx);
	return 0;
}

void r3_vq_device_fini(struct r3_vq_device *q)
{
	free(q->batch);
	free(q->busy);
	*q = (struct r3_vq_device){ 0 };
}

uint32_t r3_vq_device_base(const struct r3_vq_device *q)
{
	if (!q->ring.packed)
		return q->avail;
	return ring_off_wrap(q->avail, q->avail_wrap) |
	       (uint32_t)ring_off_wrap(q->used, q->used_wrap) << 16;
}

int device_broken(struct r3_vq_device *q, const char *why)
{
	if (!q->broken)
		q->why = why;
	q->broken = true;
	return -EPROTO;
}

/* A buffer may span regions that lie side by side: then it is several
 * segments. */
int device_add_buf(struct device_walk *w, uint64_t addr, uint32_t len,
		   bool write)
{
	if (!len)
		return device_broken(w->q, "descriptor without length");
	if (!write && w->writable)
		return device_broken(w->q, "readable after writable");
	while (len) {
		const struct r3_region *r =
			r3_regions_find(w->q->mem, addr, 1,
					write ? R3_WRITE : R3_READ);
		uint64_t at, n;

		if (!r || !r->host)
			return device_broken(w->q, "address outside memory");
		if (w->readable + w->writable == w->max)
			return device_broken(w->q, "too many segments");
		at = addr - r->addr;
		n = r3_min(len, r->len - at);
		w->seg[w->readable + w->writable] = (struct r3_vq_seg){
			.host = r->host + at,
			.iova = r->iova + at,
			.len = (uint32_t)n,
		};
		if (write)
			w->writable++;
		else
			w->readable++;
		addr += n; /* a region's end does not wrap */
		len -= (uint32_t)n;
	}
	return 0;
}

static int read_entry(struct device_walk *w, uint64_t addr,
		      struct ring_desc *out)
{
	const struct r3_region *r =
		r3_regions_find(w->q->mem, addr, sizeof(*out), R3_READ);

	if (!r || !r->host)
		return device_broken(w->q, "indirect table outside memory");
	*out = ring_desc_read(r->host + (addr - r->addr));
	return 0;
}

/* Split tables are chained by next, packed ones are read from top to bottom
 * (virtio 1.2, 2.7.5.3 and 2.8.7). */
int device_add_table(struct device_walk *w, uint64_t addr, uint32_t len)
{
	bool packed = w->q->ring.packed;
	unsigned count = len / 16, at = 0;
	uint64_t end;

	if (!w->q->ring.indirect)
		return device_broken(w->q, "indirect, but not negotiated");
	if (!len || len % 16 || !r3_add(addr, len, &end))
		return device_broken(w->q, "indirect table of a wrong length");
	for (unsigned seen = 0; seen < count; seen++) {
		struct ring_desc d = { 0 };
		uint16_t flags;
		int err = read_entry(w, addr + 16u * at, &d);

		if (err)
			return err;
		flags = packed ? d.b : d.a;
		if (flags & VRING_DESC_F_INDIRECT)
			return device_broken(w->q, "indirect in indirect");
		err = device_add_buf(w, d.addr, d.len,
				     flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		at = packed ? at + 1 : d.b;
		if (!packed && !(flags & VRING_DESC_F_NEXT))
			return 0;
		if (!packed && at >= count)
			return device_broken(w->q, "next outside the table");
	}
	return packed ? 0 : device_broken(w->q, "loop in indirect table");
}

void device_take(struct device_walk *w, struct r3_vq_req *req, uint16_t id,
		 uint16_t slots, uint16_t entry)
{
	w->q->busy[id] = 1;
	w->q->count++;
	*req = (struct r3_vq_req){
		.id = id,
		.readable = (uint16_t)w->readable,
		.writable = (uint16_t)w->writable,
		.slots = slots,
		.entry = entry,
		.seg = w->seg,
	};
}

int r3_vq_device_pop(struct r3_vq_device *q, struct r3_vq_req *req,
		     struct r3_vq_seg *seg, unsigned max)
{
	struct device_walk w = { .q = q, .seg = seg, .max = max };

	if (q->broken)
		return -EPROTO;
	assert(q->again_at == q->again_count);
	if (q->staged)
		r3_vq_device_publish(q);
	return q->ring.packed ? packed_pop(q, req, &w) : split_pop(q, req, &w);
}

void r3_vq_device_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		       uint32_t written)
{
	assert(req->id < q->ring.size && q->busy[req->id]);
	q->busy[req->id] = 0;
	q->count--;
	q->places -= req->slots;
	if (q->ring.packed)
		packed_push(q, req, written);
	else
		split_push(q, req, written);
}

void r3_vq_device_publish(struct r3_vq_device *q)
{
	if (!q->staged)
		return;
	if (q->ring.packed)
		packed_publish(q);
	else
		split_publish(q);
	q->staged = 0;
}

bool r3_vq_device_should_signal(struct r3_vq_device *q)
{
	uint16_t since = q->since;

	q->since = 0;
	if (q->ring.packed)
		return ring_packed_event(&q->ring, q->ring.driver, q->used,
					 q->used_wrap, since);
	return split_should_signal(q, since);
}

bool r3_vq_device_arm(struct r3_vq_device *q)
{
	if (q->broken)
		return false;
	if (q->ring.packed)
		packed_arm(q, true);
	else
		split_arm(q, true);
	ring_fence();
	return r3_vq_device_pending(q);
}

void r3_vq_device_disarm(struct r3_vq_device *q)
{
	if (q->ring.packed)
		packed_arm(q, false);
	else
		split_arm(q, false);
}

bool r3_vq_device_pending(const struct r3_vq_device *q)
{
	if (q->broken)
		return false;
	return q->ring.packed ? packed_pending(q) : split_pending(q);
}
