// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu_irq.c - the vfio-user server: interrupts */
#include <unistd.h>

#include "vfu.h"

#define DATA_MASK   VFIO_IRQ_SET_DATA_TYPE_MASK
#define ACTION_MASK VFIO_IRQ_SET_ACTION_TYPE_MASK

/* ---- raising ------------------------------------------------------------ */

static void raise(struct vfu_vector *vec, bool masks_itself)
{
	if (vec->fd < 0)
		return;
	if (vec->masked) {
		vec->pending = true;
		return;
	}
	vec->masked = masks_itself;
	r3_notify(vec->fd);
}

void r3_vfu_irq(struct r3_vfu *v, unsigned index, unsigned vector)
{
	if (index < VFIO_PCI_NUM_IRQS && vector < v->irqs[index].count)
		raise(&v->irqs[index].v[vector],
		      index == VFIO_PCI_INTX_IRQ_INDEX);
}

bool r3_vfu_irq_enabled(const struct r3_vfu *v, unsigned index,
			unsigned vector)
{
	return index < VFIO_PCI_NUM_IRQS && vector < v->irqs[index].count &&
	       v->irqs[index].v[vector].fd >= 0;
}

/* ---- setting ------------------------------------------------------------ */

/* @fd is ours from now on; -1: none. */
static void set_vector(struct r3_vfu *v, unsigned index, unsigned k, int fd)
{
	struct vfu_vector *vec = &v->irqs[index].v[k];
	bool changed = vec->fd >= 0 || fd >= 0;

	if (vec->fd >= 0)
		r3_notify_close(vec->fd);
	*vec = (struct vfu_vector){ .fd = fd };
	if (changed && v->ops->irq_changed)
		v->ops->irq_changed(v->ctx, index, k);
}

static void mask_vector(struct r3_vfu *v, unsigned index, unsigned k,
			bool masked)
{
	struct vfu_vector *vec = &v->irqs[index].v[k];
	bool fire = !masked && vec->pending;

	vec->masked = masked;
	if (fire) {
		vec->pending = false;
		r3_vfu_irq(v, index, k);
	}
}

void vfu_irqs_drop(struct r3_vfu *v)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		for (unsigned k = 0; k < v->irqs[i].count; k++)
			set_vector(v, i, k, -1);
}

/* After a reset of the device: eventfds stay, nothing is masked or due. */
void vfu_irqs_reset(struct r3_vfu *v)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		for (unsigned k = 0; k < v->irqs[i].count; k++)
			v->irqs[i].v[k].masked = v->irqs[i].v[k].pending =
				false;
}

int vfu_irq_info(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_irq_info *q = vfu_head(r, sizeof(*q));
	struct vu_irq_info reply;
	uint32_t index, flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE;

	if (!q || r3_get_le32(q->argsz) < sizeof(*q))
		return -EINVAL;
	index = r3_get_le32(q->index);
	if (index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		flags |= VFIO_IRQ_INFO_AUTOMASKED;
	reply = (struct vu_irq_info){
		.argsz = r3_le32_of(sizeof(reply)),
		.flags = r3_le32_of(flags),
		.index = q->index,
		.count = r3_le32_of(v->irqs[index].count),
	};
	vfu_reply(r, &reply, sizeof(reply));
	return 0;
}

struct irq_range {
	unsigned index, start, count;
};

/* One for each vector, or none at all: then they are taken away. */
static int set_eventfds(struct r3_vfu *v, struct vfu_req *r,
			struct irq_range range)
{
	if (r->fd_count && r->fd_count != range.count)
		return -EINVAL;
	for (unsigned i = 0; i < r->fd_count; i++) {
		if (!r3_is_eventfd(r->fds[i]))
			return -EINVAL;
	}
	for (unsigned i = 0; i < range.count; i++) {
		int fd = r->fd_count ? r->fds[i] : -1;

		if (r->fd_count)
			r->fds[i] = -1;
		set_vector(v, range.index, range.start + i, fd);
	}
	return 0;
}

/* For each vector of the range whose boolean is set (NULL: for all). */
static void act(struct r3_vfu *v, struct irq_range range, uint32_t action,
		const uint8_t *bools)
{
	for (unsigned i = 0; i < range.count; i++) {
		unsigned k = range.start + i;

		if (bools && !bools[i])
			continue;
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
			r3_vfu_irq(v, range.index, k);
		else
			mask_vector(v, range.index, k,
				    action == VFIO_IRQ_SET_ACTION_MASK);
	}
}

int vfu_set_irqs(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_irq_set *q = vfu_head(r, sizeof(*q));
	struct irq_range range;
	uint32_t flags, data, action, end;

	if (!q || r3_get_le32(q->argsz) < sizeof(*q))
		return -EINVAL;
	range.index = r3_get_le32(q->index);
	range.start = r3_get_le32(q->start);
	range.count = r3_get_le32(q->count);
	flags = r3_get_le32(q->flags);
	data = flags & DATA_MASK;
	action = flags & ACTION_MASK;
	if (flags & ~(uint32_t)(DATA_MASK | ACTION_MASK) ||
	    __builtin_popcount(data) != 1 || __builtin_popcount(action) != 1 ||
	    range.index >= VFIO_PCI_NUM_IRQS ||
	    !r3_add(range.start, range.count, &end) ||
	    end > v->irqs[range.index].count)
		return -EINVAL;
	if (data != VFIO_IRQ_SET_DATA_EVENTFD && r->fd_count)
		return -EINVAL;
	if (!range.count) {
		/* All of this kind, off. */
		if (range.start || data != VFIO_IRQ_SET_DATA_NONE ||
		    action != VFIO_IRQ_SET_ACTION_TRIGGER)
			return -EINVAL;
		range.count = v->irqs[range.index].count;
		return set_eventfds(v, r, range);
	}
	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		return action == VFIO_IRQ_SET_ACTION_TRIGGER
			       ? set_eventfds(v, r, range) : -EOPNOTSUPP;
	if (data == VFIO_IRQ_SET_DATA_BOOL &&
	    r->len - sizeof(*q) < range.count)
		return -EINVAL;
	act(v, range, action,
	    data == VFIO_IRQ_SET_DATA_BOOL ? r->p + sizeof(*q) : NULL);
	return 0;
}
