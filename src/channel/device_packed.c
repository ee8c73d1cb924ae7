// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device_packed.c - the device's side of a packed queue (virtio 1.2, 2.8)
 *
 * One cache line carries four descriptors, and who owns each; there is no
 * index to fetch beside them.
 */
#include "device.h"

/* One descriptor goes into the region.  There is an entry for it: there are
 * as many as places in the ring, and those in flight are counted. */
static uint16_t note_desc(struct r3_vq_device *q, const struct ring_desc *d)
{
	struct inflight_packed *r = q->inflight;
	uint16_t at = q->free_entry;
	struct inflight_packed_entry *e = &r->desc[at];

	e->addr = d->addr;
	e->len = d->len;
	e->id = d->a;
	e->flags = d->b;
	q->free_entry = q->link[at];
	return at;
}

/* The entries @first..@last are a request: it is in flight from here on. */
static void mark(struct r3_vq_device *q, uint16_t first, uint16_t last,
		 uint16_t num)
{
	struct inflight_packed *r = q->inflight;
	struct inflight_packed_entry *e = &r->desc[first];

	q->last[first] = last;
	e->last = last;
	e->num = num;
	e->counter = q->counter++;
	ring_ordered();
	e->inflight = 1;
	ring_ordered();
	r->free_head = q->free_entry;
	ring_ordered();
	/* now it is not in the free list either, which recovery clears */
	r->old_free_head = q->free_entry;
	ring_ordered();
}

int packed_pop(struct r3_vq_device *q, struct r3_vq_req *req,
	       struct device_walk *w)
{
	const struct r3_vring *ring = &q->ring;
	struct vring_packed_desc *desc = packed_desc(ring);
	uint16_t at = q->avail, first = q->free_entry, last = first, n = 0;
	bool wrap = q->avail_wrap;
	uint16_t flags = ring_load_acq(&desc[at].flags);
	struct ring_desc d;

	if (!ring_is_avail(flags, wrap))
		return 0;
	do {
		int err;

		if (n == ring->size - q->places)
			return device_broken(q, "chain longer than the ring");
		d = ring_desc_read(&desc[at]);
		if (d.b & VRING_DESC_F_INDIRECT) {
			if (n || d.b & VRING_DESC_F_NEXT)
				return device_broken(q, "indirect and next");
			err = device_add_table(w, d.addr, d.len);
		} else {
			err = device_add_buf(w, d.addr, d.len,
					     d.b & VRING_DESC_F_WRITE);
		}
		if (err)
			return err;
		if (q->inflight)
			last = note_desc(q, &d);
		n++;
		ring_advance(&at, &wrap, 1, ring->size);
	} while (d.b & VRING_DESC_F_NEXT);
	if (d.a >= ring->size)
		return device_broken(q, "buffer id not below the ring's size");
	if (q->busy[d.a])
		return device_broken(q, "buffer id submitted twice");
	if (q->inflight)
		mark(q, first, last, n);
	q->avail = at;
	q->avail_wrap = wrap;
	q->places += n;
	device_take(w, req, d.a, n, first);
	return 1;
}

static void unmark(struct r3_vq_device *q, uint16_t entry)
{
	struct inflight_packed *r = q->inflight;
	uint16_t last = q->last[entry];

	q->link[last] = q->free_entry;
	r->desc[last].next = q->free_entry;
	ring_ordered();
	q->free_entry = entry;
	r->free_head = entry;
	ring_ordered();
}

/* The first of a batch is made visible last, and all the others with it: the
 * driver goes through them in order. */
void packed_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		 uint32_t written)
{
	struct vring_packed_desc *d = &packed_desc(&q->ring)[q->used];
	uint16_t flags = ring_used_flags(q->used_wrap) |
			 (written ? VRING_DESC_F_WRITE : 0);

	if (q->inflight)
		unmark(q, req->entry);
	ring_store(&d->id, req->id);
	ring_store(&d->len, written);
	if (q->staged)
		ring_store_rel(&d->flags, flags);
	else
		q->head = q->used, q->head_flags = flags;
	q->batch[q->staged++] = req->entry;
	q->since += req->slots;
	ring_advance(&q->used, &q->used_wrap, req->slots, q->ring.size);
}

static void commit(struct r3_vq_device *q, union inflight_used u)
{
	struct inflight_packed *r = q->inflight;

	ring_ordered();
	for (unsigned i = 0; i < q->staged; i++)
		r->desc[q->batch[i]].inflight = 0;
	ring_ordered();
	r->old_free_head = q->free_entry;
	ring_ordered();
	u.old_used_idx = u.used_idx;
	u.old_used_wrap = u.used_wrap;
	ring_store(&r->used.word, u.word);
	ring_ordered();
}

void packed_publish(struct r3_vq_device *q)
{
	struct inflight_packed *r = q->inflight;
	uint16_t *flags = &packed_desc(&q->ring)[q->head].flags;
	union inflight_used u = { {
		.used_idx = q->used,
		.used_wrap = q->used_wrap,
		.old_used_idx = q->head,
		.old_used_wrap = !!(q->head_flags & RING_AVAIL),
	} };

	if (r) {
		ring_store(&r->used.word, u.word);
		ring_ordered();
	}
	ring_store_rel(flags, q->head_flags);
	if (r)
		commit(q, u);
}

void packed_arm(struct r3_vq_device *q, bool on)
{
	uint32_t e;

	if (!on)
		e = RING_EVENT(0, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (q->ring.event_idx)
		e = RING_EVENT(ring_off_wrap(q->avail, q->avail_wrap),
			       VRING_PACKED_EVENT_FLAG_DESC);
	else
		e = RING_EVENT(0, VRING_PACKED_EVENT_FLAG_ENABLE);
	ring_store((uint32_t *)q->ring.device, e);
}

bool packed_pending(const struct r3_vq_device *q)
{
	uint16_t flags = ring_load(&packed_desc(&q->ring)[q->avail].flags);

	return ring_is_avail(flags, q->avail_wrap);
}
