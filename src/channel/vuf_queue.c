// SPDX-License-Identifier: GPL-2.0-or-later
/* vuf_queue.c - a front end's rings, and how the back end learns of them */
#include <sys/eventfd.h>
#include <unistd.h>

#include "vuf.h"

static bool packed(const struct r3_vuf *f)
{
	return f->features & R3_VQ_F_PACKED;
}

static uint32_t fresh_base(const struct r3_vuf *f)
{
	return packed(f) ? R3_VQ_BASE_PACKED : 0;
}

static int make_queue(struct r3_vuf *f, unsigned i)
{
	struct vuf_queue *q = &f->queue[i];
	uint8_t *at = f->rings + (size_t)i * f->stride;
	bool tables = f->config.indirect_max && f->features & R3_VQ_F_INDIRECT;
	struct r3_vring ring = {
		.desc = at,
		.driver = at + f->layout.driver,
		.device = at + f->layout.device,
		.size = f->config.queue_size,
		.packed = packed(f),
		.event_idx = f->features & R3_VQ_F_EVENT_IDX,
		.indirect = f->features & R3_VQ_F_INDIRECT,
	};

	q->addr = VUF_BASE + (uint64_t)i * f->stride;
	q->base = fresh_base(f);
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0 || q->call_fd < 0)
		return -errno;
	return r3_vq_driver_init(&q->q, &ring,
				 tables ? at + f->layout.len : NULL,
				 q->addr + f->layout.len,
				 f->config.indirect_max);
}

int vuf_make_rings(struct r3_vuf *f)
{
	uint64_t len, one;
	void *p;
	int err;

	err = r3_vring_layout(f->config.queue_size, packed(f), &f->layout);
	if (err)
		return err;
	one = f->layout.len + 16ull * f->config.queue_size *
				      f->config.indirect_max;
	f->stride = (uint32_t)((one + R3_PAGE_SIZE - 1) / R3_PAGE_SIZE *
			       R3_PAGE_SIZE);
	len = (uint64_t)f->stride * f->config.queues;
	f->region[0] = (struct vuf_region){ .addr = VUF_BASE, .len = len };
	f->region[0].fd = r3_memfd("vrings", len);
	if (f->region[0].fd < 0)
		return f->region[0].fd;
	f->region_count = 1;
	f->next_addr = VUF_BASE + len;
	err = r3_map(f->region[0].fd, 0, len, R3_READ | R3_WRITE, &p);
	if (err)
		return err;
	f->rings = p;
	for (unsigned i = 0; i < f->config.queues && !err; i++)
		err = make_queue(f, i);
	return err;
}

void vuf_free_rings(struct r3_vuf *f)
{
	for (unsigned i = 0; i < f->config.queues; i++) {
		struct vuf_queue *q = &f->queue[i];

		r3_vq_driver_fini(&q->q);
		if (q->kick_fd >= 0)
			r3_notify_close(q->kick_fd);
		if (q->call_fd >= 0)
			close(q->call_fd);
	}
	r3_unmap(f->rings, f->region[0].len);
	for (unsigned i = 0; i < f->region_count; i++)
		close(f->region[i].fd);
	if (f->inflight_fd >= 0)
		close(f->inflight_fd);
}

/* ---- to the back end ----------------------------------------------------- */

static int send_memory(struct r3_vuf *f)
{
	struct vuf_msg m = { .request = VU_SET_MEM_TABLE };
	int fds[VU_FDS_MAX];

	for (unsigned i = 0; i < f->region_count; i++) {
		const struct vuf_region *r = &f->region[i];

		m.payload.memory.region[i] = (struct vu_region){
			.guest = r->addr, .len = r->len, .user = r->addr,
		};
		fds[i] = r->fd;
	}
	m.payload.memory.count = f->region_count;
	m.size = (uint32_t)(8 + f->region_count * sizeof(struct vu_region));
	m.fds = fds;
	m.count = f->region_count;
	return vuf_tell(f, &m);
}

/* The back end makes the region, we keep it for its next life. */
static int get_inflight(struct r3_vuf *f)
{
	struct vuf_msg m = {
		.request = VU_GET_INFLIGHT_FD,
		.size = sizeof(struct vu_inflight),
		.payload.inflight = { .queues = (uint16_t)f->config.queues,
				      .queue_size = f->config.queue_size },
	};
	int err = vuf_ask(f, &m, VU_INFLIGHT_LEN), fd;

	if (err)
		return err;
	fd = vu_take_fd(&f->in, 0);
	if (fd < 0 || !f->in.payload.inflight.len) {
		if (fd >= 0)
			close(fd);
		return -EPROTO;
	}
	f->inflight = f->in.payload.inflight;
	f->inflight.queues = (uint16_t)f->config.queues;
	f->inflight.queue_size = f->config.queue_size;
	f->inflight_fd = fd;
	return 0;
}

static int send_inflight(struct r3_vuf *f)
{
	struct vuf_msg m = { .request = VU_SET_INFLIGHT_FD,
			     .size = sizeof(struct vu_inflight),
			     .payload.inflight = f->inflight,
			     .fds = &f->inflight_fd,
			     .count = 1 };
	int err = 0;

	if (!(f->protocol & VU_PF_INFLIGHT))
		return 0;
	if (f->inflight_fd < 0)
		err = get_inflight(f);
	m.payload.inflight = f->inflight;
	return err ? err : vuf_tell(f, &m);
}

static int send_fd(struct r3_vuf *f, uint32_t request, unsigned i, int fd)
{
	struct vuf_msg m = { .request = request, .size = sizeof(uint64_t),
			     .payload.u64 = i, .fds = &fd, .count = 1 };

	return vuf_tell(f, &m);
}

static int send_queue(struct r3_vuf *f, unsigned i)
{
	struct vuf_queue *q = &f->queue[i];
	struct vuf_msg addr = {
		.request = VU_SET_VRING_ADDR,
		.size = sizeof(struct vu_vring_addr),
		.payload.addr = { .index = i,
				  .desc = q->addr,
				  .avail = q->addr + f->layout.driver,
				  .used = q->addr + f->layout.device },
	};
	int err;

	err = vuf_set_state(f, VU_SET_VRING_NUM, i, f->config.queue_size);
	if (!err)
		err = vuf_set_state(f, VU_SET_VRING_BASE, i, q->base);
	if (!err)
		err = vuf_tell(f, &addr);
	if (!err)
		err = send_fd(f, VU_SET_VRING_CALL, i, q->call_fd);
	if (!err)
		err = send_fd(f, VU_SET_VRING_KICK, i, q->kick_fd);
	if (!err && f->features & VU_F_PROTOCOL)
		err = vuf_set_state(f, VU_SET_VRING_ENABLE, i, 1);
	return err;
}

static void ring_once(const struct vuf_queue *q)
{
	/* full: it has not looked yet, and will */
	r3_notify(q->kick_fd);
}

int vuf_start_queues(struct r3_vuf *f)
{
	int err = vuf_set_u64(f, VU_SET_FEATURES, f->features);

	if (!err)
		err = send_memory(f);
	if (!err)
		err = send_inflight(f);
	for (unsigned i = 0; i < f->config.queues && !err; i++)
		err = send_queue(f, i);
	/* kicks for a former life are lost */
	for (unsigned i = 0; i < f->config.queues && !err; i++)
		ring_once(&f->queue[i]);
	return err;
}

struct r3_vq_driver *r3_vuf_queue(struct r3_vuf *f, unsigned i)
{
	return &f->queue[i].q;
}

void r3_vuf_kick(struct r3_vuf *f, unsigned i)
{
	struct vuf_queue *q = &f->queue[i];

	r3_vq_driver_publish(&q->q);
	if (r3_vq_driver_should_kick(&q->q))
		ring_once(q);
}

int r3_vuf_call_fd(const struct r3_vuf *f, unsigned i)
{
	return f->queue[i].call_fd;
}
