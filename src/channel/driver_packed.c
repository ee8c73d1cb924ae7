// SPDX-License-Identifier: GPL-2.0-or-later
/* driver_packed.c - the driver's side of a packed queue (virtio 1.2, 2.8) */
#include "driver.h"

/* The first descriptor of all that is staged is made visible last. */
void packed_submit(struct r3_vq_driver *q, uint16_t id)
{
	uint16_t at = id;

	for (unsigned i = 0; i < q->slot[id].count; i++) {
		const struct vq_driver_slot *s = &q->slot[at];
		struct vring_packed_desc *d = &packed_desc(&q->ring)[q->avail];
		uint16_t flags = s->flags | ring_avail_flags(q->avail_wrap);

		ring_store(&d->addr, s->addr);
		ring_store(&d->len, s->len);
		ring_store(&d->id, id);
		if (q->staged)
			ring_store(&d->flags, flags);
		else
			q->head = q->avail, q->head_flags = flags;
		q->staged++;
		ring_advance(&q->avail, &q->avail_wrap, 1, q->ring.size);
		at = s->next;
	}
}

void packed_driver_publish(struct r3_vq_driver *q)
{
	ring_store_rel(&packed_desc(&q->ring)[q->head].flags, q->head_flags);
}

int packed_done(struct r3_vq_driver *q, uint32_t *id, uint32_t *written)
{
	struct vring_packed_desc *d = &packed_desc(&q->ring)[q->used];

	if (!q->count ||
	    !ring_is_used(ring_load_acq(&d->flags), q->used_wrap))
		return 0;
	*id = ring_load(&d->id);
	*written = ring_load(&d->len);
	return 1;
}

void packed_driver_arm(struct r3_vq_driver *q, bool on)
{
	uint32_t e;

	if (!on)
		e = RING_EVENT(0, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (q->ring.event_idx)
		e = RING_EVENT(ring_off_wrap(q->used, q->used_wrap),
			       VRING_PACKED_EVENT_FLAG_DESC);
	else
		e = RING_EVENT(0, VRING_PACKED_EVENT_FLAG_ENABLE);
	ring_store((uint32_t *)q->ring.driver, e);
}

bool packed_driver_pending(const struct r3_vq_driver *q)
{
	uint16_t flags = ring_load(&packed_desc(&q->ring)[q->used].flags);

	return q->count && ring_is_used(flags, q->used_wrap);
}
