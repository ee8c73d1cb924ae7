// SPDX-License-Identifier: GPL-2.0-or-later
/* vub_queue.c - a back end's queues: start, stop, kick, call */
#include <sys/epoll.h>
#include <unistd.h>

#include "ring3/log.h"
#include "vub.h"

#define POLL_NS R3_NS_PER_MS /* a driver that gave no kick fd is looked at */

bool vub_any_running(const struct r3_vub *v)
{
	for (unsigned i = 0; i < v->config.queues; i++) {
		if (v->queue[i].running)
			return true;
	}
	return false;
}

static void look(void *arg)
{
	struct vub_queue *q = arg;
	struct r3_vub *v = q->v;

	if (!q->running || v->failed)
		return;
	if (q->kick_fd < 0)
		r3_timer_set(v->loop, &q->look, POLL_NS, look, q);
	v->ops->kicked(v->ctx, q->index);
}

static int find_ring(const struct r3_vub *v, const struct vub_queue_state *s,
		     struct r3_vring *out)
{
	struct r3_vring_layout l;
	struct r3_vring ring = {
		.size = s->size,
		.packed = v->s->features & R3_VQ_F_PACKED,
		.event_idx = v->s->features & R3_VQ_F_EVENT_IDX,
		.indirect = v->s->features & R3_VQ_F_INDIRECT,
	};

	if (r3_vring_layout(ring.size, ring.packed, &l))
		return -EPROTO;
	ring.desc = vub_user(v, s->desc, l.desc_len);
	ring.driver = vub_user(v, s->driver, l.driver_len);
	ring.device = vub_user(v, s->device, l.device_len);
	if (!ring.desc || !ring.driver || !ring.device)
		return -EPROTO;
	*out = ring;
	return 0;
}

/* Where the peer keeps none for us, our own makes us survive a restart. */
static int need_inflight(struct r3_vub *v)
{
	struct vu_inflight i = { .queues = (uint16_t)v->config.queues,
				 .queue_size = v->config.queue_size_max };
	int fd, err;

	if (v->inflight.base || !v->config.keeper)
		return 0;
	i.len = i.queues * r3_vq_inflight_len(i.queue_size, true);
	fd = r3_memfd("inflight", i.len);
	if (fd < 0)
		return fd;
	err = vub_set_inflight(v, &i, fd);
	if (!err)
		v->s->own_inflight = 1;
	return err;
}

static int recover(struct r3_vub *v, unsigned i)
{
	const struct vu_inflight *f = &v->s->inflight;
	struct r3_vq_device *q = &v->queue[i].q;
	size_t stride;

	if (!v->inflight.base || i >= f->queues)
		return 0;
	if (q->ring.size > f->queue_size)
		return -EPROTO;
	stride = r3_vq_inflight_len(f->queue_size, q->ring.packed);
	if ((i + 1) * stride > f->len)
		return -EPROTO;
	return r3_vq_device_recover(q, v->inflight.host + i * stride);
}

/* With nothing in flight both halves of a packed ring's base are the same;
 * some front ends send only the first. */
static uint32_t base_of(const struct r3_vub *v, unsigned i)
{
	const struct vub_queue_state *s = &v->s->queue[i];
	uint32_t half = s->base & 0xffff;

	if (!(v->s->features & R3_VQ_F_PACKED))
		return half;
	return s->flags & VUB_Q_BASE ? half | half << 16 : R3_VQ_BASE_PACKED;
}

static int start(struct r3_vub *v, unsigned i)
{
	struct vub_queue *q = &v->queue[i];
	struct r3_vring ring;
	int err = find_ring(v, &v->s->queue[i], &ring);

	if (!err)
		err = need_inflight(v);
	if (!err)
		err = r3_vq_device_init(&q->q, &ring, &v->mem, base_of(v, i));
	if (err)
		goto fail;
	err = recover(v, i);
	if (err < 0)
		goto fail_queue;
	q->running = true;
	err = v->ops->queue_start(v->ctx, i, &q->q);
	if (err)
		goto fail_running;
	/* kicks may have come before us, or been lost with a former life */
	r3_timer_set(v->loop, &q->look, 0, look, q);
	return 0;

fail_running:
	q->running = false;
fail_queue:
	if (q->q.why)
		r3_log(R3_WARN, v->config.part, v->config.name,
		       "queue %u can't start: %s", i, q->q.why);
	r3_vq_device_fini(&q->q);
fail:
	return err == -EINVAL ? -EPROTO : err;
}

int vub_try_start(struct r3_vub *v, unsigned i)
{
	const struct vub_queue_state *s = &v->s->queue[i];
	bool enabled = s->flags & VUB_Q_ENABLED ||
		       !(v->s->features & VU_F_PROTOCOL);

	if (v->queue[i].running || !enabled || !s->size || !v->mem.count ||
	    !(s->flags & VUB_Q_STARTED) || !(s->flags & VUB_Q_ADDR))
		return 0;
	return start(v, i);
}

int vub_try_start_all(struct r3_vub *v)
{
	int err = 0;

	for (unsigned i = 0; i < v->config.queues && !err; i++)
		err = vub_try_start(v, i);
	return err;
}

void vub_stop(struct r3_vub *v, unsigned i)
{
	struct vub_queue *q = &v->queue[i];

	if (!q->running)
		return;
	v->ops->queue_stop(v->ctx, i);
	r3_vub_signal(v, i);
	q->running = false;
	r3_timer_cancel(&q->look);
	v->s->queue[i].base = r3_vq_device_base(&q->q);
	v->s->queue[i].flags |= VUB_Q_BASE;
	r3_vq_device_fini(&q->q);
}

void vub_stop_all(struct r3_vub *v)
{
	for (unsigned i = 0; i < v->config.queues; i++)
		vub_stop(v, i);
}

static void kicked(void *arg, uint32_t events)
{
	struct vub_queue *q = arg;
	struct r3_vub *v = q->v;

	(void)events;
	if (v->failed)
		return;
	if (r3_drain(q->kick_fd)) {
		r3_vub_fail(v, -EPROTO, "kick fd can't be read");
		return;
	}
	if (q->running)
		v->ops->kicked(v->ctx, q->index);
}

/* Others could make us wait, at the latest when they are closed, and whoever
 * keeps them for us as well. */
static int check_eventfd(const struct r3_vub *v, int fd)
{
	if (r3_is_eventfd(fd))
		return 0;
	r3_log(R3_WARN, v->config.part, v->config.name,
	       "a client's kick and call fds must be eventfds");
	return -EPROTO;
}

int vub_set_kick(struct r3_vub *v, unsigned i, int fd)
{
	struct vub_queue *q = &v->queue[i];
	struct vub_queue_state *s = &v->s->queue[i];
	int err = 0;

	if (q->kick_fd >= 0) {
		r3_loop_unwatch(v->loop, &q->kick);
		close(q->kick_fd);
		vub_drop(v, 'k', (int)i);
	}
	q->kick_fd = -1;
	s->flags &= (uint8_t)~VUB_Q_KICK;
	if (fd >= 0) {
		err = check_eventfd(v, fd);
		if (!err)
			err = r3_loop_watch(v->loop, &q->kick, fd, EPOLLIN,
					    kicked, q);
		if (err) {
			close(fd);
			return err;
		}
		q->kick_fd = fd;
		s->flags |= VUB_Q_KICK;
		vub_keep(v, 'k', (int)i, fd);
	}
	s->flags |= VUB_Q_STARTED;
	if (q->running)
		r3_timer_set(v->loop, &q->look, 0, look, q);
	return 0;
}

int vub_set_call(struct r3_vub *v, unsigned i, int fd)
{
	struct vub_queue *q = &v->queue[i];
	struct vub_queue_state *s = &v->s->queue[i];

	if (q->call_fd >= 0) {
		r3_notify_close(q->call_fd);
		vub_drop(v, 'l', (int)i);
	}
	q->call_fd = -1;
	s->flags &= (uint8_t)~VUB_Q_CALL;
	if (fd < 0)
		return 0;
	if (check_eventfd(v, fd)) {
		close(fd);
		return -EPROTO;
	}
	q->call_fd = fd;
	s->flags |= VUB_Q_CALL;
	vub_keep(v, 'l', (int)i, fd);
	return 0;
}

void vub_call(struct r3_vub *v, unsigned i)
{
	int fd = v->queue[i].call_fd;

	/* full: the driver has been told already */
	if (fd >= 0 && r3_notify(fd))
		r3_vub_fail(v, -EPROTO, "call fd can't be written");
}
