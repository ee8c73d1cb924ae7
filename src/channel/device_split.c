// SPDX-License-Identifier: GPL-2.0-or-later
/* device_split.c - the device's side of a split queue (virtio 1.2, 2.7) */
#include "device.h"

/* The chain that starts at @head, a checked index; 0 or -EPROTO. */
int split_walk(struct device_walk *w, uint16_t head)
{
	const struct r3_vring *ring = &w->q->ring;
	uint16_t at = head;

	for (unsigned seen = 0; seen < ring->size; seen++) {
		struct ring_desc d = ring_desc_read(&split_desc(ring)[at]);
		int err;

		if (d.a & VRING_DESC_F_INDIRECT) {
			if (d.a & VRING_DESC_F_NEXT)
				return device_broken(w->q,
						     "indirect and next");
			return device_add_table(w, d.addr, d.len);
		}
		err = device_add_buf(w, d.addr, d.len,
				     d.a & VRING_DESC_F_WRITE);
		if (err || !(d.a & VRING_DESC_F_NEXT))
			return err;
		at = d.b;
		if (at >= ring->size)
			return device_broken(w->q, "next outside the ring");
	}
	return device_broken(w->q, "loop in descriptor chain");
}

static void mark(struct r3_vq_device *q, uint16_t head)
{
	struct inflight_split *r = q->inflight;

	r->desc[head].counter = q->counter++;
	ring_ordered();
	r->desc[head].inflight = 1;
	ring_ordered();
}

int split_pop(struct r3_vq_device *q, struct r3_vq_req *req,
	      struct device_walk *w)
{
	const struct r3_vring *ring = &q->ring;
	struct vring_avail *avail = split_avail(ring);
	uint16_t head;
	int err;

	if (q->shadow == q->avail) {
		uint16_t idx = ring_load_acq(&avail->idx);

		if (idx == q->avail)
			return 0;
		if ((uint16_t)(idx - q->avail) > ring->size - q->places)
			return device_broken(q, "available index ran ahead");
		q->shadow = idx;
	}
	head = ring_load(&avail->ring[q->avail & (ring->size - 1)]);
	if (head >= ring->size)
		return device_broken(q, "head outside the ring");
	if (q->busy[head])
		return device_broken(q, "descriptor submitted twice");
	err = split_walk(w, head);
	if (err)
		return err;
	if (q->inflight)
		mark(q, head);
	q->avail++;
	q->places++;
	device_take(w, req, head, 1, 0);
	return 1;
}

void split_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		uint32_t written)
{
	struct inflight_split *r = q->inflight;
	uint16_t at = (uint16_t)(q->used + q->staged) & (q->ring.size - 1);
	struct vring_used_elem *e = &split_used(&q->ring)->ring[at];

	ring_store(&e->id, req->id);
	ring_store(&e->len, written);
	if (r) {
		r->desc[req->id].next = q->last[0];
		ring_ordered();
		r->last_batch_head = q->last[0] = req->id;
		ring_ordered();
	}
	q->batch[q->staged++] = req->id;
}

void split_publish(struct r3_vq_device *q)
{
	struct inflight_split *r = q->inflight;

	q->used += q->staged;
	q->since += q->staged;
	ring_store_rel(&split_used(&q->ring)->idx, q->used);
	if (!r)
		return;
	ring_ordered();
	for (unsigned i = 0; i < q->staged; i++)
		r->desc[q->batch[i]].inflight = 0;
	ring_ordered();
	r->used_idx = q->used;
	ring_ordered();
}

bool split_should_signal(struct r3_vq_device *q, uint16_t since)
{
	if (!since)
		return false;
	ring_fence();
	if (!q->ring.event_idx)
		return !(ring_load(&split_avail(&q->ring)->flags) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(ring_load(split_used_event(&q->ring)), q->used,
				(uint16_t)(q->used - since));
}

/* With event indices the old one stays behind: it asks for no kick before
 * 65536 more requests. */
void split_arm(struct r3_vq_device *q, bool on)
{
	if (!q->ring.event_idx)
		ring_store(&split_used(&q->ring)->flags,
			   on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on)
		ring_store(split_avail_event(&q->ring), q->avail);
}

bool split_pending(const struct r3_vq_device *q)
{
	return q->shadow != q->avail ||
	       ring_load(&split_avail(&q->ring)->idx) != q->avail;
}
