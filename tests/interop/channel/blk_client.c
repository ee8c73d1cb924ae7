// SPDX-License-Identifier: GPL-2.0-or-later
/* blk_client.c - a client of a vhost-user-blk disk that checks every byte */
#include <linux/virtio_blk.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "blk_client.h"

#define SLOT_LEN  ((BLK_PER_RQ + 1) * BLK_BLOCK)
#define STATUS_AT 64 /* behind the request's head */
#define RECONNECT_MS 10000

static uint64_t next_random(struct blk_client *c)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	c->seed ^= c->seed << 17;
	return c->seed;
}

/* What block @block holds in its @version: no word of it is like another. */
static void fill(uint8_t *p, uint64_t block, uint32_t version)
{
	uint64_t *w = (uint64_t *)(void *)p;

	for (unsigned i = 0; i < BLK_BLOCK / 8; i++)
		w[i] = version ? (block << 42 | (uint64_t)version << 10 | i) *
					 UINT64_C(0x9e3779b97f4a7c15) : 0;
}

static bool check(const uint8_t *p, uint64_t block, uint32_t version)
{
	uint8_t want[BLK_BLOCK] __attribute__((aligned(8)));

	fill(want, block, version);
	return !memcmp(p, want, BLK_BLOCK);
}

static uint64_t slot_offset(const struct blk_client *c, unsigned queue,
			    unsigned at)
{
	return ((uint64_t)queue * c->depth + at) * SLOT_LEN;
}

static int wrong(struct blk_client *c, const char *what)
{
	if (!c->wrong)
		c->wrong = what;
	return -EIO;
}

static int submit(struct blk_client *c, unsigned queue, unsigned at)
{
	struct blk_slot *s = &c->slot[queue][at];
	uint64_t off = slot_offset(c, queue, at);
	uint8_t *mem = c->mem + off;
	struct virtio_blk_outhdr h = {
		.type = s->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = s->block * (BLK_BLOCK / 512),
	};
	struct r3_vq_buf buf[BLK_PER_RQ + 2];

	memcpy(mem, &h, sizeof(h));
	mem[STATUS_AT] = 0xff;
	buf[0] = (struct r3_vq_buf){ c->mem_addr + off, sizeof(h) };
	for (unsigned i = 0; i < s->count; i++) {
		uint8_t *data = mem + (i + 1) * BLK_BLOCK;

		buf[1 + i] = (struct r3_vq_buf){
			c->mem_addr + off + (i + 1) * BLK_BLOCK, BLK_BLOCK };
		if (s->write)
			fill(data, s->block + i, ++c->version[s->block + i]);
		else
			memset(data, 0xee, BLK_BLOCK);
	}
	buf[s->count + 1] = (struct r3_vq_buf){ c->mem_addr + off + STATUS_AT,
						1 };
	return r3_vq_driver_add(r3_vuf_queue(c->vuf, queue), buf,
				s->write ? s->count + 1 : 1,
				s->write ? 1 : s->count + 1, s);
}

/* A range of blocks that nobody uses; false: not found this time. */
static bool pick(struct blk_client *c, struct blk_slot *s)
{
	uint64_t n = 1 + next_random(c) % BLK_PER_RQ;
	uint64_t at = next_random(c) % c->blocks;

	if (at + n > c->blocks)
		return false;
	for (uint64_t i = at; i < at + n; i++) {
		if (c->busy[i])
			return false;
	}
	memset(c->busy + at, 1, n);
	*s = (struct blk_slot){ .used = true, .write = next_random(c) % 2,
				.block = at, .count = (unsigned)n };
	return true;
}

/* How many were submitted, or a negative errno. */
static int fill_queue(struct blk_client *c, unsigned queue)
{
	int done = 0;

	for (unsigned at = 0; at < c->depth; at++) {
		struct blk_slot *s = &c->slot[queue][at];
		int err;

		if (s->used || !pick(c, s))
			continue;
		err = submit(c, queue, at);
		if (err == -ENOSPC) {
			/* as if it had not been tried */
			for (unsigned i = 0; s->write && i < s->count; i++)
				c->version[s->block + i]--;
			memset(c->busy + s->block, 0, s->count);
			s->used = false;
			break;
		}
		if (err)
			return err;
		done++;
	}
	if (done)
		r3_vuf_kick(c->vuf, queue);
	return done;
}

static int complete(struct blk_client *c, unsigned queue, struct blk_slot *s,
		    uint32_t written)
{
	unsigned at = (unsigned)(s - c->slot[queue]);
	uint8_t *mem = c->mem + slot_offset(c, queue, at);
	uint32_t want = s->write ? 1 : s->count * BLK_BLOCK + 1;

	if (!s->used)
		return wrong(c, "a request completed twice");
	if (mem[STATUS_AT] != VIRTIO_BLK_S_OK)
		return wrong(c, "status is not OK");
	if (written != want)
		return wrong(c, "wrong length written");
	for (unsigned i = 0; i < s->count && !s->write; i++) {
		if (!check(mem + (i + 1) * BLK_BLOCK, s->block + i,
			   c->version[s->block + i]))
			return wrong(c, "wrong data");
	}
	memset(c->busy + s->block, 0, s->count);
	s->used = false;
	c->completed++;
	return 0;
}

static int take_all(struct blk_client *c, unsigned queue)
{
	struct r3_vq_driver *q = r3_vuf_queue(c->vuf, queue);
	uint32_t written;
	void *cookie;
	int n, done = 0;

	while ((n = r3_vq_driver_get(q, &cookie, &written)) == 1) {
		int err = complete(c, queue, cookie, written);

		if (err)
			return err;
		done++;
	}
	if (n)
		return wrong(c, q->why);
	return done;
}

static bool gone(const struct blk_client *c)
{
	struct pollfd p = { .fd = r3_vuf_fd(c->vuf), .events = POLLIN };

	return poll(&p, 1, 0) > 0; /* it says nothing unasked */
}

/* Sleep until a queue calls or the back end goes away. */
static int wait_any(struct blk_client *c)
{
	struct pollfd p[R3_VU_QUEUES_MAX + 1];
	uint64_t until = r3_now_ns() + c->spin_us * R3_NS_PER_US, n;
	bool pending = false;

	do {
		for (unsigned i = 0; i < c->queues; i++) {
			if (r3_vq_driver_pending(r3_vuf_queue(c->vuf, i)))
				return 0;
		}
		__builtin_ia32_pause();
	} while (c->spin_us && r3_now_ns() < until);
	for (unsigned i = 0; i < c->queues; i++) {
		pending |= r3_vq_driver_arm(r3_vuf_queue(c->vuf, i));
		p[i] = (struct pollfd){ .fd = r3_vuf_call_fd(c->vuf, i),
					.events = POLLIN };
	}
	p[c->queues] = (struct pollfd){ .fd = r3_vuf_fd(c->vuf),
					.events = POLLIN };
	if (!pending && poll(p, c->queues + 1, 5000) == 0)
		return wrong(c, "nothing completes any more");
	for (unsigned i = 0; i < c->queues; i++) {
		if (!pending && p[i].revents &&
		    read(p[i].fd, &n, sizeof(n)) < 0)
			continue; /* taken already */
		r3_vq_driver_disarm(r3_vuf_queue(c->vuf, i));
	}
	return 0;
}

static int reconnect(struct blk_client *c)
{
	int err;

	/* it may die again while we tell it everything */
	do {
		err = r3_vuf_reconnect(c->vuf, RECONNECT_MS);
		c->reconnects++;
	} while (err == -EPIPE || err == -ECONNRESET);
	return err;
}

static unsigned in_flight(const struct blk_client *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->queues; i++)
		n += r3_vuf_queue(c->vuf, i)->count;
	return n;
}

int blk_client_run(struct blk_client *c, uint64_t count, unsigned ms)
{
	uint64_t end = c->completed + count;
	uint64_t until = r3_now_ns() + ms * R3_NS_PER_MS;

	for (;;) {
		bool more = c->completed < end &&
			    (!ms || r3_now_ns() < until);
		int done = 0, n = 0;

		for (unsigned i = 0; i < c->queues && n >= 0; i++) {
			n = take_all(c, i);
			done |= n;
			if (n >= 0 && more)
				n = fill_queue(c, i);
		}
		if (n < 0)
			return n;
		if (!more && !in_flight(c))
			return 0;
		if (!done)
			n = wait_any(c);
		if (!n && !done && gone(c))
			n = reconnect(c);
		if (n < 0)
			return n;
	}
}

/* In order, one queue, one block at a time. */
int blk_client_check(struct blk_client *c)
{
	struct blk_slot *s = &c->slot[0][0];

	for (uint64_t b = 0; b < c->blocks; b++) {
		int n;

		if (!c->version[b])
			continue;
		*s = (struct blk_slot){ .used = true, .block = b, .count = 1 };
		n = submit(c, 0, 0);
		if (n)
			return n;
		r3_vuf_kick(c->vuf, 0);
		while (!(n = take_all(c, 0))) {
			n = wait_any(c);
			if (!n && gone(c))
				n = reconnect(c);
			if (n)
				return n;
		}
		if (n < 0)
			return n;
	}
	return 0;
}

static int make_memory(struct blk_client *c)
{
	void *p;
	int fd, err;

	c->mem_len = (uint64_t)c->queues * c->depth * SLOT_LEN;
	fd = r3_memfd("client", c->mem_len);
	if (fd < 0)
		return fd;
	err = r3_vuf_mem_add(c->vuf, fd, c->mem_len, &c->mem_addr);
	if (!err)
		err = r3_map(fd, 0, c->mem_len, R3_READ | R3_WRITE, &p);
	if (!err)
		c->mem = p;
	close(fd);
	return err;
}

int blk_client_open(struct blk_client *c, const struct r3_vuf_config *config,
		    unsigned depth, uint64_t blocks)
{
	uint64_t sectors = 0;
	int err;

	*c = (struct blk_client){ .queues = config->queues, .depth = depth,
				  .seed = 88172645463325252ull };
	err = r3_vuf_open(&c->vuf, config);
	if (err)
		return err;
	err = make_memory(c);
	if (!err)
		err = r3_vuf_get_config(c->vuf, 0, sizeof(sectors), &sectors);
	if (!err)
		err = r3_vuf_start(c->vuf);
	c->blocks = sectors / (BLK_BLOCK / 512);
	if (blocks)
		c->blocks = r3_min(blocks, c->blocks);
	if (!err && !c->blocks)
		err = -ENODEV;
	if (!err) {
		c->version = calloc(c->blocks, sizeof(*c->version));
		c->busy = calloc(c->blocks, 1);
		err = c->version && c->busy ? 0 : -ENOMEM;
	}
	if (err)
		blk_client_close(c);
	return err;
}

void blk_client_close(struct blk_client *c)
{
	r3_vuf_close(c->vuf);
	r3_unmap(c->mem, c->mem_len);
	free(c->version);
	free(c->busy);
	c->vuf = NULL;
}
