// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel_vhost.c - a hostile vhost-user front end
 *
 * Input: records of one byte "what", one byte "how much", and bytes.
 *
 *	what 0-7:  send the bytes with that many fds, whose kinds the next
 *		   bytes choose
 *	8:	   a message head for request "how much", as it should be, with
 *		   the next bytes as payload
 *	9:	   write the bytes to the memory, at the offset in the first two
 *	10:	   kick
 *	11:	   truncate the memory file, kick, make it long again
 *	12:	   go away, and connect again
 *	13:	   the back end dies; the bytes go to its kept page, at the
 *		   offset in the first two; the next life resumes
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "../unit/channel/kept.h"

#define MEM_LEN 65536
#define SEGS	16

struct peer {
	struct r3_loop *loop;
	struct r3_vub *vub;
	int fd; /* our end */
	int memfd, event;
	uint8_t *mem;
	unsigned running;
};

static void take(struct peer *p, struct r3_vq_device *q, unsigned i, bool again)
{
	struct r3_vq_seg seg[SEGS];
	struct r3_vq_req req;
	int n = 0;

	for (unsigned k = 0; k < 64; k++) {
		n = again ? r3_vq_device_next_inflight(q, &req, seg, SEGS) :
			    r3_vq_device_pop(q, &req, seg, SEGS);
		if (n <= 0)
			break;
		for (unsigned s = 0; s < req.readable + req.writable; s++)
			seg[s].host[seg[s].len - 1] ^= 1;
		r3_vq_device_push(q, &req, 1);
	}
	if (n < 0)
		r3_vub_fail(p->vub, n, q->why);
	else if (!again)
		r3_vub_signal(p->vub, i);
}

static int queue_start(void *ctx, unsigned i, struct r3_vq_device *q)
{
	struct peer *p = ctx;

	take(p, q, i, true);
	if (q->again_at != q->again_count)
		return -EPROTO;
	p->running++;
	return 0;
}

static void queue_stop(void *ctx, unsigned i)
{
	struct peer *p = ctx;

	(void)i;
	p->running--;
}

static void kicked(void *ctx, unsigned i)
{
	struct peer *p = ctx;

	if (!r3_vub_queue(p->vub, i))
		abort();
	take(p, r3_vub_queue(p->vub, i), i, false);
}

static void get_config(void *ctx, uint32_t offset, uint32_t len, uint8_t *out)
{
	(void)ctx;
	if (offset + len > 60)
		abort();
	memset(out, 1, len);
}

static int set_config(void *ctx, uint32_t offset, uint32_t len,
		      const uint8_t *data)
{
	(void)ctx;
	(void)data;
	if (!len || offset + len > 60)
		abort();
	return 0;
}

static void closed(void *ctx, int why)
{
	struct peer *p = ctx;

	(void)why;
	if (p->running)
		abort();
	p->vub = NULL;
}

static const struct r3_vub_ops ops = {
	.queue_start = queue_start, .queue_stop = queue_stop,
	.kicked = kicked, .get_config = get_config,
	.set_config = set_config, .closed = closed,
};

static const struct r3_vub_config config = {
	.part = "fuzz", .name = "vhost", .features = R3_VQ_FEATURES,
	.queues = 3, .queue_size_max = 64, .config_len = 60,
	.keeper = &keeper,
};

static void connect_peer(struct peer *p)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       pair))
		abort();
	p->fd = pair[0];
	if (r3_vub_open(&p->vub, p->loop, pair[1], &config, &ops, p))
		abort();
}

static void die_and_resume(struct peer *p, const uint8_t *b, size_t n)
{
	if (!p->vub)
		return;
	r3_vub_leave(p->vub);
	p->vub = NULL;
	p->running = 0;
	if (n > 2)
		memcpy(page + (size_t)(b[0] << 8 | b[1]) % (sizeof(page) - 256),
		       b + 2, n - 2);
	if (!r3_vub_resume(&p->vub, p->loop, &config, &ops, p))
		return;
	if (p->running)
		abort();
	p->vub = NULL;
	close(p->fd);
	connect_peer(p);
}

static int fd_of(struct peer *p, uint8_t kind)
{
	return kind % 4 == 0 ? p->event : kind % 4 == 3 ? p->fd : p->memfd;
}

static void send_bytes(struct peer *p, const void *data, size_t len,
		       unsigned fds, struct r3_span *kinds)
{
	char control[CMSG_SPACE(sizeof(int) * 12)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	int v[12];

	if (!len)
		return;
	for (unsigned i = 0; i < fds; i++) {
		const uint8_t *k = r3_take(kinds, 1);

		v[i] = fd_of(p, k ? *k : 0);
	}
	if (fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		memcpy(CMSG_DATA(c), v, sizeof(int) * fds);
	}
	if (sendmsg(p->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* cut off, or full */
}

static void send_message(struct peer *p, uint8_t request, struct r3_span *in)
{
	uint8_t buf[12 + 300];
	uint32_t head[3] = { request, 1 };
	const uint8_t *fds = r3_take(in, 1), *len = r3_take(in, 1);

	if (!len)
		return;
	head[2] = (uint32_t)r3_min(*len + (*fds >> 7 ? 256u : 0u), in->len);
	head[2] = (uint32_t)r3_min(head[2], 300);
	head[1] |= *fds & 0x40 ? 8 : 0;
	memcpy(buf, head, 12);
	memcpy(buf + 12, r3_take(in, head[2]), head[2]);
	send_bytes(p, buf, 12 + head[2], (*fds & 0x3f) % 10, in);
}

static void turn(struct peer *p)
{
	char sink[4096];

	for (unsigned i = 0; i < 3; i++)
		r3_loop_once(p->loop, 0);
	while (recv(p->fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void one_record(struct peer *p, struct r3_span *in)
{
	const uint8_t *h = r3_take(in, 2), *b;
	uint64_t one = 1;
	size_t n, at;

	if (!h) {
		in->len = 0;
		return;
	}
	n = r3_min(h[1], in->len);
	switch (h[0] % 14) {
	case 8:
		send_message(p, h[1], in);
		break;
	case 9:
		b = r3_take(in, n);
		at = n > 2 ? (size_t)(b[0] << 8 | b[1]) % (MEM_LEN - 256) : 0;
		if (n > 2)
			memcpy(p->mem + at, b + 2, n - 2);
		break;
	case 10:
		if (write(p->event, &one, sizeof(one)) < 0)
			break;
		break;
	case 11:
		if (ftruncate(p->memfd, h[1] % 16 * 4096) ||
		    write(p->event, &one, sizeof(one)) < 0)
			abort();
		turn(p);
		if (ftruncate(p->memfd, MEM_LEN))
			abort();
		break;
	case 12:
		close(p->fd);
		for (unsigned i = 0; i < 3 && p->vub; i++)
			r3_loop_once(p->loop, 0);
		/* its own end may be among the fds it sent */
		if (p->vub)
			r3_vub_close(p->vub);
		connect_peer(p);
		break;
	case 13:
		die_and_resume(p, r3_take(in, n), n);
		break;
	default:
		send_bytes(p, r3_take(in, n), n, h[0] % 8, in);
	}
	turn(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct peer p = { 0 };
	struct r3_span in = { data, len };

	memset(page, 0, sizeof(page));
	r3_log_level = R3_ERROR;
	signal(SIGBUS, SIG_DFL); /* libFuzzer's own would hide the guard's */
	p.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	p.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p.memfd < 0 || p.event < 0 || ftruncate(p.memfd, MEM_LEN) ||
	    r3_loop_open(&p.loop))
		abort();
	p.mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		     p.memfd, 0);
	connect_peer(&p);
	for (unsigned i = 0; i < 200 && in.len; i++)
		one_record(&p, &in);
	if (p.vub)
		r3_vub_close(p.vub);
	close(p.fd);
	munmap(p.mem, MEM_LEN);
	close(p.memfd);
	close(p.event);
	r3_loop_close(p.loop);
	return 0;
}
