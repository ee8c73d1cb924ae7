/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.h - a back end and the other end of its socket, for tests */
#ifndef TEST_CHANNEL_SESSION_H
#define TEST_CHANNEL_SESSION_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../src/channel/wire.h"
#include "ring3/log.h"

#define MEM_LEN 65536
#define GUEST	UINT64_C(0x10000)
#define USER	UINT64_C(0x7000000)

struct end {
	struct r3_loop *loop;
	struct r3_vub *vub;
	int fd, memfd, event;
	uint8_t *mem;
	unsigned running, added, closed;
	unsigned done, again; /* requests; those a former life left */
	bool hold;	      /* take requests, finish none */
	int why;
};

static inline int mem_add(void *ctx, struct r3_region *reg)
{
	struct end *e = ctx;

	assert_int_equal(reg->iova, reg->addr);
	e->added++;
	return 0;
}

static inline void mem_del(void *ctx, const struct r3_region *reg)
{
	struct end *e = ctx;

	(void)reg;
	assert_int_equal(e->running, 0);
	e->added--;
}

static inline int queue_start(void *ctx, unsigned i, struct r3_vq_device *q)
{
	struct end *e = ctx;
	struct r3_vq_seg seg[4];
	struct r3_vq_req req;
	int n;

	(void)i;
	while ((n = r3_vq_device_next_inflight(q, &req, seg, 4)) == 1) {
		e->again++;
		r3_vq_device_push(q, &req, 0);
	}
	e->running += !n;
	return n;
}

static inline void queue_stop(void *ctx, unsigned i)
{
	struct end *e = ctx;

	(void)i;
	e->running--;
}

static inline void kicked(void *ctx, unsigned i)
{
	struct end *e = ctx;
	struct r3_vq_device *q = r3_vub_queue(e->vub, i);
	struct r3_vq_seg seg[4];
	struct r3_vq_req req;
	int n;

	while ((n = r3_vq_device_pop(q, &req, seg, 4)) == 1) {
		if (e->hold)
			continue;
		r3_vq_device_push(q, &req, 0);
		e->done++;
	}
	if (n)
		r3_vub_fail(e->vub, n, q->why);
	else
		r3_vub_signal(e->vub, i);
}

static inline void get_config(void *ctx, uint32_t offset, uint32_t len, uint8_t *out)
{
	(void)ctx;
	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)(offset + i + 1);
}

static inline void closed(void *ctx, int why)
{
	struct end *e = ctx;

	e->vub = NULL;
	e->closed++;
	e->why = why;
}

static const struct r3_vub_ops ops = {
	.mem_add = mem_add, .mem_del = mem_del, .queue_start = queue_start,
	.queue_stop = queue_stop, .kicked = kicked,
	.get_config = get_config, .closed = closed,
};

/* keeper: the test's, for back ends opened from then on */
static struct r3_vub_config config = {
	.part = "test", .name = "vhost", .features = R3_VQ_FEATURES,
	.queues = 2, .queue_size_max = 64, .config_len = 60,
};

static inline void turn(struct end *e)
{
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(r3_loop_once(e->loop, 0), 0);
}

static inline void send_it(struct end *e, uint32_t request, uint32_t flags,
		    const void *payload, uint32_t len, const int *fds,
		    unsigned count)
{
	struct vu_head head = { request, VU_VERSION | flags, len };
	union vu_payload p = { 0 };

	memcpy(&p, payload, r3_min(len, sizeof(p)));
	assert_int_equal(vu_send(e->fd, &head, &p, fds, count), 0);
	turn(e);
}

/* The payload's first word of the reply, or a failure. */
static inline uint64_t reply(struct end *e, uint32_t request)
{
	struct vu_in in = { 0 };
	uint64_t n;

	assert_int_equal(vu_receive(e->fd, &in), 1);
	assert_int_equal(in.head.request, request);
	assert_int_equal(in.head.flags, VU_VERSION | VU_REPLY);
	n = in.payload.u64;
	vu_in_reset(&in);
	return n;
}

static inline void set_u64(struct end *e, uint32_t request, uint64_t n)
{
	send_it(e, request, 0, &n, sizeof(n), NULL, 0);
}

static inline void set_state(struct end *e, uint32_t request, uint32_t i, uint32_t n)
{
	struct vu_vring_state s = { i, n };

	send_it(e, request, 0, &s, sizeof(s), NULL, 0);
}

#define PROTOCOL (VU_PF_MQ | VU_PF_REPLY_ACK | VU_PF_CONFIG | \
		  VU_PF_INFLIGHT | VU_PF_MEM_SLOTS | VU_PF_RESET_DEVICE)

static inline void open_end(struct end *e, bool negotiated)
{
	int pair[2];

	*e = (struct end){ 0 };
	r3_log_level = R3_ERROR;
	assert_int_equal(r3_loop_open(&e->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	e->fd = pair[0];
	e->memfd = memfd_create("peer", MFD_CLOEXEC);
	e->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(ftruncate(e->memfd, MEM_LEN), 0);
	e->mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		      e->memfd, 0);
	assert_int_equal(r3_vub_open(&e->vub, e->loop, pair[1], &config, &ops,
				     e), 0);
	if (!negotiated)
		return;
	set_u64(e, VU_SET_PROTOCOL_FEATURES, PROTOCOL);
	set_u64(e, VU_SET_FEATURES, R3_VQ_F_VERSION_1 | VU_F_PROTOCOL);
	assert_non_null(e->vub);
}

static inline void close_end(struct end *e)
{
	close(e->fd);
	turn(e);
	assert_null(e->vub);
	assert_int_equal(e->closed, 1);
	assert_int_equal(e->running, 0);
	assert_int_equal(e->added, 0);
	munmap(e->mem, MEM_LEN);
	close(e->memfd);
	close(e->event);
	r3_loop_close(e->loop);
}

static const struct vu_memory table = {
	.count = 1, .region = { { GUEST, MEM_LEN, USER, 0 } },
};

static inline void give_memory(struct end *e)
{
	send_it(e, VU_SET_MEM_TABLE, 0, &table, 8 + 32, &e->memfd, 1);
}

/* Queue 0, split, 16 entries at the start of the memory. */
static inline void start_queue(struct end *e)
{
	struct vu_vring_addr a = { .index = 0, .desc = USER,
				   .avail = USER + 256, .used = USER + 512 };
	uint64_t n = 0;

	give_memory(e);
	set_state(e, VU_SET_VRING_NUM, 0, 16);
	set_state(e, VU_SET_VRING_BASE, 0, 0);
	send_it(e, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	send_it(e, VU_SET_VRING_KICK, 0, &n, sizeof(n), &e->event, 1);
	set_state(e, VU_SET_VRING_ENABLE, 0, 1);
	assert_non_null(e->vub);
	assert_int_equal(e->running, 1);
}

#endif
