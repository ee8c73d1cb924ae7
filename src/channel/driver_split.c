// SPDX-License-Identifier: GPL-2.0-or-later
/* driver_split.c - the driver's side of a split queue (virtio 1.2, 2.7) */
#include "driver.h"

/* Slot n is descriptor n. */
void split_submit(struct r3_vq_driver *q, uint16_t id)
{
	struct vring_avail *avail = split_avail(&q->ring);
	uint16_t at = id;

	for (unsigned i = 0; i < q->slot[id].count; i++) {
		const struct vq_driver_slot *s = &q->slot[at];
		struct vring_desc *d = &split_desc(&q->ring)[at];

		d->addr = s->addr;
		d->len = s->len;
		d->flags = s->flags;
		d->next = s->next;
		at = s->next;
	}
	avail->ring[(q->avail + q->staged) & (q->ring.size - 1)] = id;
	q->staged++;
}

void split_driver_publish(struct r3_vq_driver *q)
{
	q->avail += q->staged;
	ring_store_rel(&split_avail(&q->ring)->idx, q->avail);
}

bool split_should_kick(struct r3_vq_driver *q, uint16_t since)
{
	if (!since)
		return false;
	ring_fence();
	if (!q->ring.event_idx)
		return !(ring_load(&split_used(&q->ring)->flags) &
			 VRING_USED_F_NO_NOTIFY);
	return vring_need_event(ring_load(split_avail_event(&q->ring)),
				q->avail, (uint16_t)(q->avail - since));
}

int split_done(struct r3_vq_driver *q, uint32_t *id, uint32_t *written)
{
	struct vring_used *used = split_used(&q->ring);
	uint16_t idx = ring_load_acq(&used->idx);
	struct vring_used_elem *e;

	if (idx == q->used)
		return 0;
	if ((uint16_t)(idx - q->used) > q->count)
		return driver_broken(q, "used index ran ahead");
	e = &used->ring[q->used & (q->ring.size - 1)];
	*id = ring_load(&e->id);
	*written = ring_load(&e->len);
	return 1;
}

void split_driver_arm(struct r3_vq_driver *q, bool on)
{
	if (!q->ring.event_idx)
		ring_store(&split_avail(&q->ring)->flags,
			   on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
	else if (on)
		ring_store(split_used_event(&q->ring), q->used);
}

bool split_driver_pending(const struct r3_vq_driver *q)
{
	return ring_load(&split_used(&q->ring)->idx) != q->used;
}
