// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel_front.c - a hostile vhost-user back end
 *
 * Input: a byte of flags, a byte with the number of bytes that go into the
 * rings once they run, those, and then all that the back end ever sends, with
 * a memory file beside the first byte when the flags say so.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring3/vhost_user.h"

static int listener = -1, memfd = -1;
static char path[64];

static void remove_path(void)
{
	unlink(path);
}

static void prepare(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/r3-fuzz-front-%d", getpid());
	strcpy(sa.sun_path, path);
	memfd = r3_memfd("fuzz", 65536);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (memfd < 0 || bind(listener, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(listener, 1))
		abort();
	atexit(remove_path);
}

struct answer {
	const uint8_t *p;
	size_t len;
	bool fd;
};

/* Say all at once, then listen until the front end has had enough. */
static void *answering(void *arg)
{
	const struct answer *a = arg;
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, sink[4096];
	struct iovec iov = { (void *)(uintptr_t)a->p, a->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (a->fd) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &memfd, sizeof(int));
	}
	if (a->len && sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		a = NULL; /* it gave up before we could say anything */
	shutdown(fd, SHUT_WR);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	close(fd);
	return NULL;
}

static void use_queues(struct r3_vuf *f, const uint8_t *p, size_t len)
{
	static int cookies[8];
	struct r3_vq_buf buf[3] = { { 4096, 16 }, { 8192, 512 }, { 64, 1 } };

	for (unsigned i = 0; i < 8; i++)
		r3_vq_driver_add(r3_vuf_queue(f, i & 1), buf, 1, 2,
				 &cookies[i]);
	for (unsigned i = 0; i < 2; i++) {
		struct r3_vq_driver *q = r3_vuf_queue(f, i);
		unsigned taken = 0;
		uint32_t written;
		void *cookie;

		r3_vuf_kick(f, i);
		memcpy(q->ring.packed ? q->ring.desc : q->ring.device, p,
		       r3_min(len, 64));
		while (r3_vq_driver_get(q, &cookie, &written) == 1) {
			if (written > 513 || ++taken > 8 ||
			    (int *)cookie < cookies ||
			    (int *)cookie >= cookies + 8)
				abort();
		}
		r3_vq_driver_restart(q);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct r3_vuf_config config = { .path = path, .queues = 2,
					.queue_size = 16, .timeout_ms = 100,
					.indirect_max = 4,
					.features = R3_VQ_FEATURES };
	struct answer a;
	struct r3_vuf *f;
	pthread_t thread;
	uint8_t bytes[8];
	uint64_t addr;
	size_t n;

	if (listener < 0)
		prepare();
	if (len < 2 || len > 4096)
		return 0;
	n = r3_min(data[1], len - 2);
	a = (struct answer){ data + 2 + n, len - 2 - n, data[0] & 1 };
	config.no_inflight = data[0] & 2;
	if (pthread_create(&thread, NULL, answering, &a))
		abort();
	if (!r3_vuf_open(&f, &config)) {
		if (r3_vuf_mem_add(f, memfd, 65536, &addr))
			abort();
		r3_vuf_get_config(f, 0, sizeof(bytes), bytes);
		r3_vuf_start(f);
		use_queues(f, data + 2, n);
		r3_vuf_stop(f);
		r3_vuf_close(f);
	}
	pthread_join(thread, NULL);
	return 0;
}
