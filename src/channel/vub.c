// SPDX-License-Identifier: GPL-2.0-or-later
/* vub.c - a vhost-user back end's connection, from its opening to its end */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "vub.h"

#define MESSAGES_MAX 32	   /* taken in one go; others may be waiting */
#define FIRST_MS     30000 /* QEMU connects before it sets up its machine */
#define PART_MS	     5000  /* from the first byte of a message to its last */

static void close_later(void *arg)
{
	r3_vub_close(arg);
}

void r3_vub_fail(struct r3_vub *v, int err, const char *reason)
{
	if (v->failed)
		return;
	v->failed = err ? err : -EPROTO;
	r3_log(R3_WARN, v->config.part, v->config.name,
	       "client cut off: %s (%s); it may connect again", reason,
	       strerror(-v->failed));
	r3_timer_set(v->loop, &v->closing, 0, close_later, v);
}

static const char *what_of(const struct r3_vub *v, char *text, size_t room)
{
	snprintf(text, room, "message request=%u flags=%#x size=%u fds=%u",
		 v->in.head.request, v->in.head.flags, v->in.head.size,
		 v->in.fd_count);
	return text;
}

/* Who is silent keeps others from being served. */
static void too_slow(void *arg)
{
	r3_vub_fail(arg, -ETIMEDOUT, "no whole message in time");
}

static void set_deadline(struct r3_vub *v, unsigned ms)
{
	if (!v->deadline.next)
		r3_timer_set(v->loop, &v->deadline, ms * R3_NS_PER_MS,
			     too_slow, v);
}

/* 1: there may be more. */
static int one_message(struct r3_vub *v)
{
	char text[96];
	int n;

	v->s->busy = 1;
	n = vu_receive(v->fd, &v->in);
	if (n == -EPIPE || n == -ECONNRESET) {
		/* not a fault: a front end that goes away */
		v->failed = -EPIPE;
		r3_timer_set(v->loop, &v->closing, 0, close_later, v);
		return 0;
	}
	if (n > 0) {
		int err;

		r3_timer_cancel(&v->deadline);
		err = vub_message(v);

		if (!err) {
			vu_in_reset(&v->in);
			v->s->busy = 0;
			return 1;
		}
		n = err;
	}
	if (n < 0)
		r3_vub_fail(v, n, what_of(v, text, sizeof(text)));
	else if (v->in.got)
		set_deadline(v, PART_MS);
	else
		v->s->busy = 0;
	return 0;
}

static void readable(void *arg, uint32_t events)
{
	struct r3_vub *v = arg;

	(void)events;
	for (unsigned i = 0; i < MESSAGES_MAX && !v->failed; i++) {
		if (!one_message(v))
			break;
	}
}

static void truncated(void *arg, uint32_t events)
{
	(void)events;
	r3_vub_fail(arg, -EPROTO, "its memory was truncated, or there is no "
		    "huge page left for it");
}

int vub_new(struct r3_vub **out, struct r3_loop *loop, int fd,
	    const struct r3_vub_config *config, const struct r3_vub_ops *ops,
	    void *ctx)
{
	struct r3_vub *v;
	int err = -ENOMEM;

	if (!config->queues || config->queues > R3_VU_QUEUES_MAX ||
	    !config->queue_size_max ||
	    config->queue_size_max > R3_VQ_SIZE_MAX ||
	    config->config_len > R3_VU_CONFIG_MAX) {
		close(fd);
		return -EINVAL;
	}
	v = calloc(1, sizeof(*v) + config->queues * sizeof(v->queue[0]));
	if (!v || r3_regions_init(&v->mem, R3_VU_REGIONS_MAX))
		goto fail;
	v->fault_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->fault_fd < 0) {
		err = -errno;
		goto fail_mem;
	}
	v->loop = loop;
	v->fd = fd;
	v->config = *config;
	v->ops = ops;
	v->ctx = ctx;
	v->s = config->keeper ? config->keeper->page : &v->own_state;
	v->inflight.fd = -1;
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++)
		v->slot[i].fd = -1;
	for (unsigned i = 0; i < config->queues; i++) {
		struct vub_queue *q = &v->queue[i];

		q->v = v;
		q->index = i;
		q->kick_fd = q->call_fd = -1;
	}
	*out = v;
	return 0;

fail_mem:
	r3_regions_fini(&v->mem);
fail:
	free(v);
	close(fd);
	return err;
}

int vub_begin(struct r3_vub *v)
{
	int err = r3_loop_watch(v->loop, &v->fault, v->fault_fd, EPOLLIN,
				truncated, v);

	if (!err)
		err = r3_loop_watch(v->loop, &v->watch, v->fd, EPOLLIN,
				    readable, v);
	return err;
}

/* Undo all, and leave the peer and the keeper out of it. */
void vub_free(struct r3_vub *v)
{
	vub_stop_all(v);
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++)
		vub_del_region(v, i);
	vub_drop_inflight(v);
	for (unsigned i = 0; i < v->config.queues; i++) {
		struct vub_queue *q = &v->queue[i];

		r3_timer_cancel(&q->look);
		r3_loop_unwatch(v->loop, &q->kick);
		if (q->kick_fd >= 0)
			close(q->kick_fd);
		if (q->call_fd >= 0)
			r3_notify_close(q->call_fd);
	}
	vu_in_reset(&v->in);
	r3_timer_cancel(&v->closing);
	r3_timer_cancel(&v->deadline);
	r3_loop_unwatch(v->loop, &v->watch);
	r3_loop_unwatch(v->loop, &v->fault);
	close(v->fault_fd);
	close(v->fd);
	r3_regions_fini(&v->mem);
	free(v);
}

int r3_vub_open(struct r3_vub **out, struct r3_loop *loop, int fd,
		const struct r3_vub_config *config,
		const struct r3_vub_ops *ops, void *ctx)
{
	struct r3_vub *v;
	int err = vub_new(&v, loop, fd, config, ops, ctx);

	if (err)
		return err;
	memset(v->s, 0, sizeof(*v->s));
	v->s->magic = VUB_MAGIC;
	/* killed before it is kept, the next life closes it */
	v->s->busy = 1;
	v->s->open = 1;
	vub_keep(v, 'c', -1, fd);
	err = vub_begin(v);
	if (err) {
		v->failed = err;
		v->ops = NULL;
		vub_forget(v);
		vub_free(v);
		return err;
	}
	v->s->busy = 0;
	set_deadline(v, FIRST_MS);
	*out = v;
	return 0;
}

void r3_vub_close(struct r3_vub *v)
{
	const struct r3_vub_ops *ops = v->ops;
	void *ctx = v->ctx;
	int why = v->failed == -EPIPE ? 0 : v->failed;

	if (!v->failed)
		v->failed = -ECANCELED;
	v->s->busy = 1;
	vub_stop_all(v);
	shutdown(v->fd, SHUT_RDWR); /* a keeper may still hold it */
	vub_forget(v);
	vub_free(v);
	ops->closed(ctx, why);
}

void r3_vub_leave(struct r3_vub *v)
{
	/* what others hold is not ours to undo: only this process's part */
	v->s = &v->own_state;
	v->config.keeper = NULL;
	v->resuming = true;
	for (unsigned i = 0; i < v->config.queues; i++) {
		v->queue[i].running = false;
		r3_vq_device_fini(&v->queue[i].q);
	}
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++)
		vub_unmap(&v->slot[i]);
	vub_free(v);
}

bool r3_vub_signal(struct r3_vub *v, unsigned i)
{
	struct vub_queue *q = &v->queue[i];

	if (!q->running)
		return false;
	r3_vq_device_publish(&q->q);
	if (!r3_vq_device_should_signal(&q->q))
		return false;
	vub_call(v, i);
	return true;
}

struct r3_vq_device *r3_vub_queue(struct r3_vub *v, unsigned i)
{
	return i < v->config.queues && v->queue[i].running ? &v->queue[i].q :
							     NULL;
}

uint64_t r3_vub_features(const struct r3_vub *v)
{
	return v->s->features & ~VU_F_PROTOCOL;
}

const struct r3_regions *r3_vub_regions(const struct r3_vub *v)
{
	return &v->mem;
}
