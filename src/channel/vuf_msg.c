// SPDX-License-Identifier: GPL-2.0-or-later
/* vuf_msg.c - a front end asks, and waits for the answer */
#include <poll.h>

#include "vuf.h"

static int wait_for(const struct r3_vuf *f, short events, uint64_t until)
{
	struct pollfd p = { .fd = f->fd, .events = events };

	for (;;) {
		uint64_t now = r3_now_ns();
		int n;

		if (now >= until)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((until - now) / R3_NS_PER_MS) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_all(struct r3_vuf *f, const struct vuf_msg *m, uint32_t flags,
		    uint64_t until)
{
	struct vu_head head = { .request = m->request, .size = m->size,
				.flags = VU_VERSION | flags };
	int err;

	if (f->fd < 0)
		return -ENOTCONN;
	for (;;) {
		err = vu_send(f->fd, &head, &m->payload, m->fds, m->count);
		if (err != -EAGAIN)
			return err;
		err = wait_for(f, POLLOUT, until);
		if (err)
			return err;
	}
}

/* The answer to @request is in f->in; its fds are there to take. */
static int receive_reply(struct r3_vuf *f, uint32_t request, uint32_t min,
			 uint64_t until)
{
	int n, err;

	vu_in_reset(&f->in);
	while (!(n = vu_receive(f->fd, &f->in))) {
		err = wait_for(f, POLLIN, until);
		if (err)
			return err;
	}
	if (n < 0)
		return n;
	if (f->in.head.request != request || f->in.head.size < min ||
	    (f->in.head.flags & (VU_VERSION_MASK | VU_REPLY)) !=
		    (VU_VERSION | VU_REPLY))
		return -EPROTO;
	return 0;
}

static uint64_t deadline(const struct r3_vuf *f)
{
	unsigned ms = f->config.timeout_ms ? f->config.timeout_ms :
					     VUF_TIMEOUT_MS;

	return r3_now_ns() + ms * R3_NS_PER_MS;
}

int vuf_ask(struct r3_vuf *f, const struct vuf_msg *m, uint32_t min)
{
	uint64_t until = deadline(f);
	int err = send_all(f, m, 0, until);

	return err ? err : receive_reply(f, m->request, min, until);
}

int vuf_tell(struct r3_vuf *f, const struct vuf_msg *m)
{
	bool ack = f->protocol & VU_PF_REPLY_ACK;
	uint64_t until = deadline(f);
	int err = send_all(f, m, ack ? VU_NEED_REPLY : 0, until);

	if (err || !ack)
		return err;
	err = receive_reply(f, m->request, sizeof(uint64_t), until);
	if (err)
		return err;
	return f->in.payload.u64 ? -EPROTO : 0;
}

int vuf_get_u64(struct r3_vuf *f, uint32_t request, uint64_t *out)
{
	struct vuf_msg m = { .request = request };
	int err = vuf_ask(f, &m, sizeof(uint64_t));

	if (!err)
		*out = f->in.payload.u64;
	return err;
}

int vuf_set_u64(struct r3_vuf *f, uint32_t request, uint64_t n)
{
	struct vuf_msg m = { .request = request, .size = sizeof(n),
			     .payload.u64 = n };

	return vuf_tell(f, &m);
}

int vuf_set_state(struct r3_vuf *f, uint32_t request, uint32_t index,
		  uint32_t num)
{
	struct vuf_msg m = { .request = request,
			     .size = sizeof(struct vu_vring_state),
			     .payload.state = { index, num } };

	return vuf_tell(f, &m);
}
