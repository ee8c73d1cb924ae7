// SPDX-License-Identifier: GPL-2.0-or-later
/* blk.c - a vhost-user-blk client for tests and benches */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blk.h"

enum { HEAD_STRIDE = 64, HEAD_STATUS = 16, HEAD_RANGE = 32 };
#define RECONNECT_MS 20000

static uint8_t *head_of(struct blk *b, unsigned slot)
{
	return b->mem + (size_t)slot * HEAD_STRIDE;
}

uint8_t *blk_buf(struct blk *b, unsigned slot)
{
	return b->mem + BLK_DEPTH_MAX * HEAD_STRIDE + slot * b->stride;
}

static uint64_t addr_of(const struct blk *b, const void *p)
{
	return b->addr + (uint64_t)((const uint8_t *)p - b->mem);
}

static int share_memory(struct blk *b)
{
	void *p;
	int fd, err;

	b->stride = (b->conf.max_len + BLK_SLACK + 4095) & ~4095ul;
	b->mem_len = BLK_DEPTH_MAX * HEAD_STRIDE + b->conf.depth * b->stride;
	b->mem_len = (b->mem_len + 4095) & ~4095ul;
	fd = r3_memfd("blk-client", b->mem_len);
	if (fd < 0)
		return fd;
	err = r3_map(fd, 0, b->mem_len, R3_READ | R3_WRITE, &p);
	if (!err) {
		b->mem = p;
		err = r3_vuf_mem_add(b->vuf, fd, b->mem_len, &b->addr);
	}
	close(fd);
	return err;
}

static int read_config(struct blk *b)
{
	uint64_t f = r3_vuf_features(b->vuf);
	struct virtio_blk_config c;
	int err = r3_vuf_get_config(b->vuf, 0, 8, &c);

	if (err)
		return err;
	b->sectors = c.capacity;
	b->has_flush = f & 1ull << VIRTIO_BLK_F_FLUSH;
	b->has_zeroes = f & 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	b->has_discard = f & 1ull << VIRTIO_BLK_F_DISCARD;
	return 0;
}

int blk_open(struct blk *b, const struct blk_conf *conf)
{
	struct r3_vuf_config vc = {
		.path = conf->path,
		.features = R3_VQ_F_VERSION_1 | R3_VQ_F_INDIRECT |
			    (conf->no_event_idx ? 0 : R3_VQ_F_EVENT_IDX) |
			    (conf->packed ? R3_VQ_F_PACKED : 0) |
			    1ull << VIRTIO_BLK_F_FLUSH |
			    1ull << VIRTIO_BLK_F_WRITE_ZEROES |
			    1ull << VIRTIO_BLK_F_DISCARD,
		.required = R3_VQ_F_VERSION_1,
		.queues = 1,
		.queue_size = 256,
		.indirect_max = BLK_PIECES_MAX + 2,
	};
	const char *what = "connect";
	int err;

	*b = (struct blk){ .conf = *conf };
	err = r3_vuf_open(&b->vuf, &vc);
	if (!err) {
		what = "share memory";
		err = share_memory(b);
	}
	if (!err) {
		what = "read the configuration";
		err = read_config(b);
	}
	if (!err) {
		what = "start";
		err = r3_vuf_start(b->vuf);
	}
	if (err) {
		fprintf(stderr, "%s: can't %s: %s\n", conf->path, what,
			strerror(-err));
		blk_close(b);
		return err;
	}
	b->q = r3_vuf_queue(b->vuf, 0);
	return 0;
}

void blk_close(struct blk *b)
{
	if (b->vuf)
		r3_vuf_close(b->vuf);
	if (b->mem)
		r3_unmap(b->mem, b->mem_len);
	b->vuf = NULL;
	b->mem = NULL;
}

/* The cookie is the slot + 1: it must not be NULL. */
static void *cookie_of(unsigned slot)
{
	return (void *)(uintptr_t)(slot + 1);
}

int blk_submit(struct blk *b, unsigned slot, const struct blk_io *io)
{
	uint8_t *head = head_of(b, slot);
	struct virtio_blk_outhdr out = { .type = io->type,
					 .sector = io->sector };
	struct r3_vq_buf v[BLK_PIECES_MAX + 2];
	uint64_t at = addr_of(b, blk_buf(b, slot)) + io->shift;
	unsigned n = 0, readable = 1;
	int err;

	if (io->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		struct virtio_blk_discard_write_zeroes range = {
			.sector = io->sector, .num_sectors = io->len / 512,
		};

		out.sector = 0;
		memcpy(head + HEAD_RANGE, &range, sizeof(range));
	}
	memcpy(head, &out, sizeof(out));
	head[HEAD_STATUS] = 0xff;
	v[n++] = (struct r3_vq_buf){ addr_of(b, head), sizeof(out) };
	if (io->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		v[n++] = (struct r3_vq_buf){ addr_of(b, head + HEAD_RANGE),
					     16 };
	} else if (io->type != VIRTIO_BLK_T_FLUSH) {
		for (unsigned i = 0; i < io->pieces; at += io->cut[i++])
			v[n++] = (struct r3_vq_buf){ at, io->cut[i] };
	}
	if (io->type != VIRTIO_BLK_T_IN)
		readable = n;
	v[n++] = (struct r3_vq_buf){ addr_of(b, head + HEAD_STATUS), 1 };
	err = r3_vq_driver_add(b->q, v, readable, n - readable,
			       cookie_of(slot));
	if (!err)
		b->in_flight++;
	return err;
}

void blk_kick(struct blk *b)
{
	r3_vuf_kick(b->vuf, 0);
}

int blk_get(struct blk *b, unsigned *slot, uint8_t *status)
{
	uint32_t written;
	void *cookie;
	int n = r3_vq_driver_get(b->q, &cookie, &written);

	if (n != 1)
		return n;
	*slot = (unsigned)(uintptr_t)cookie - 1;
	*status = head_of(b, *slot)[HEAD_STATUS];
	b->in_flight--;
	return 1;
}

static bool spun(struct blk *b)
{
	uint64_t until;

	if (r3_vq_driver_pending(b->q))
		return true;
	if (!b->conf.spin_us)
		return false;
	until = r3_now_ns() + b->conf.spin_us * R3_NS_PER_US;
	do {
		for (unsigned i = 0; i < 16; i++) {
			if (r3_vq_driver_pending(b->q))
				return true;
			__builtin_ia32_pause();
		}
		sched_yield(); /* the back end may want this processor */
	} while (r3_now_ns() < until);
	return false;
}

/* A back end that dies meanwhile (its socket was still there) is waited for
 * as well. */
static int reconnect(struct blk *b)
{
	uint64_t until = r3_now_ns() + RECONNECT_MS * R3_NS_PER_MS;
	int err;

	do
		err = r3_vuf_reconnect(b->vuf, RECONNECT_MS);
	while (err && err != -ENOTSUP && err != -ENOMEM && r3_now_ns() < until);
	return err;
}

int blk_wait(struct blk *b, int timeout_ms)
{
	struct pollfd fds[2] = {
		{ .fd = r3_vuf_call_fd(b->vuf, 0), .events = POLLIN },
		{ .fd = r3_vuf_fd(b->vuf), .events = POLLRDHUP },
	};
	uint64_t count;
	int n;

	if (spun(b))
		return 0;
	if (r3_vq_driver_arm(b->q)) {
		r3_vq_driver_disarm(b->q);
		return 0;
	}
	n = poll(fds, 2, timeout_ms);
	r3_vq_driver_disarm(b->q);
	if (n < 0 && errno != EINTR)
		return -errno;
	if (n > 0 && fds[0].revents &&
	    read(fds[0].fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	if (n > 0 && (fds[1].revents & (POLLHUP | POLLRDHUP | POLLERR))) {
		b->reconnects++;
		n = reconnect(b);
		b->q = r3_vuf_queue(b->vuf, 0);
		return n;
	}
	return n ? 0 : -ETIMEDOUT;
}
