// SPDX-License-Identifier: GPL-2.0-or-later
/* ramdisk.c - a vhost-user-blk disk in memory, for tests */
#include <linux/virtio_blk.h>
#include <stdlib.h>

#include "ramdisk.h"

#define SECTOR 512

/* Bytes of the request's segments [from, to) one after the other. */
struct cursor {
	const struct r3_vq_seg *seg;
	unsigned count;
	uint32_t at;
};

static bool copy(struct cursor *c, void *buf, uint64_t len, bool out)
{
	uint8_t *p = buf;

	while (len) {
		uint64_t n;

		if (!c->count)
			return false;
		n = r3_min(len, c->seg->len - c->at);
		if (out)
			memcpy(c->seg->host + c->at, p, n);
		else
			memcpy(p, c->seg->host + c->at, n);
		p += n;
		len -= n;
		c->at += (uint32_t)n;
		if (c->at == c->seg->len) {
			c->seg++;
			c->count--;
			c->at = 0;
		}
	}
	return true;
}

static uint64_t len_of(const struct cursor *c)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < c->count; i++)
		len += c->seg[i].len;
	return len - c->at;
}

/* The status byte; *written: what was written before it. */
static uint8_t execute(struct ramdisk *d, const struct virtio_blk_outhdr *h,
		       struct cursor *in, struct cursor *out, uint64_t *written)
{
	uint64_t at, len;
	char id[VIRTIO_BLK_ID_BYTES] = "ramdisk";

	switch (h->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		len = h->type == VIRTIO_BLK_T_IN ? len_of(out) - 1 :
						   len_of(in);
		if (!r3_mul(h->sector, SECTOR, &at) || at > d->len ||
		    len > d->len - at)
			return VIRTIO_BLK_S_IOERR;
		if (h->type == VIRTIO_BLK_T_OUT)
			return copy(in, d->data + at, len, false) ?
				       VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
		copy(out, d->data + at, len, true);
		*written = len;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		*written = r3_min(sizeof(id), len_of(out) - 1);
		copy(out, id, *written, true);
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void serve(struct ramdisk *d, struct r3_vq_device *q,
		  struct r3_vq_req *req)
{
	struct cursor in = { req->seg, req->readable, 0 };
	struct cursor out = { req->seg + req->readable, req->writable, 0 };
	struct virtio_blk_outhdr h;
	uint64_t written = 0;
	uint8_t status;

	d->requests++;
	if (!copy(&in, &h, sizeof(h), false) || !len_of(&out)) {
		r3_vub_fail(d->vub, -EPROTO, "request without head or status");
		r3_vq_device_push(q, req, 0);
		return;
	}
	status = execute(d, &h, &in, &out, &written);
	/* the status is the last byte */
	while (len_of(&out) > 1) {
		out.at++;
		if (out.at == out.seg->len) {
			out.seg++;
			out.count--;
			out.at = 0;
		}
	}
	copy(&out, &status, 1, true);
	r3_vq_device_push(q, req, (uint32_t)written + 1);
}

static unsigned serve_queue(struct ramdisk *d, unsigned i)
{
	struct r3_vq_device *q = r3_vub_queue(d->vub, i);
	unsigned batch = d->batch ? d->batch : 1, have, done = 0;
	int n = 1;

	while (q && n == 1 && done < 256) {
		for (have = 0; have < batch; have++) {
			n = r3_vq_device_pop(q, &d->req[have], d->seg[have],
					     RAMDISK_SEGS);
			if (n != 1)
				break;
		}
		done += have;
		while (have) {
			unsigned k = (unsigned)random() % have;

			serve(d, q, &d->req[k]);
			d->req[k] = d->req[--have];
		}
	}
	if (n < 0)
		r3_vub_fail(d->vub, n, q->why);
	else if (done)
		r3_vub_signal(d->vub, i);
	return done;
}

static void kicked(void *ctx, unsigned i)
{
	struct ramdisk *d = ctx;

	if (d->poller.poll)
		return; /* looks anyway */
	while (serve_queue(d, i) ||
	       (r3_vub_queue(d->vub, i) &&
		r3_vq_device_arm(r3_vub_queue(d->vub, i))))
		;
}

static int queue_start(void *ctx, unsigned i, struct r3_vq_device *q)
{
	struct ramdisk *d = ctx;
	struct r3_vq_seg seg[RAMDISK_SEGS];
	struct r3_vq_req req;
	int n;

	(void)i;
	while ((n = r3_vq_device_next_inflight(q, &req, seg,
					       RAMDISK_SEGS)) == 1) {
		d->replayed++;
		serve(d, q, &req);
	}
	r3_vq_device_publish(q);
	return n;
}

static void queue_stop(void *ctx, unsigned i)
{
	(void)ctx;
	(void)i;
}

static void get_config(void *ctx, uint32_t offset, uint32_t len, uint8_t *out)
{
	struct ramdisk *d = ctx;
	struct virtio_blk_config c = {
		.capacity = d->len / SECTOR,
		.seg_max = RAMDISK_SEGS - 2,
		.blk_size = SECTOR,
		.num_queues = RAMDISK_QUEUES,
	};

	memcpy(out, (uint8_t *)&c + offset, len);
}

static void closed(void *ctx, int why)
{
	struct ramdisk *d = ctx;

	(void)why;
	d->vub = NULL;
}

static const struct r3_vub_ops ops = {
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kicked = kicked,
	.get_config = get_config,
	.closed = closed,
};

static struct r3_vub_config config_of(const struct ramdisk *d)
{
	return (struct r3_vub_config){
		.part = "test",
		.name = "ramdisk",
		.features = (R3_VQ_FEATURES | 1u << VIRTIO_BLK_F_SEG_MAX |
			     1u << VIRTIO_BLK_F_BLK_SIZE |
			     1u << VIRTIO_BLK_F_FLUSH |
			     1u << VIRTIO_BLK_F_MQ) &
			    ~d->features_masked,
		.queues = RAMDISK_QUEUES,
		.queue_size_max = 256,
		.config_len = sizeof(struct virtio_blk_config),
		.keeper = d->keeper,
	};
}

int ramdisk_accept(struct ramdisk *d, int fd)
{
	struct r3_vub_config config = config_of(d);

	return r3_vub_open(&d->vub, d->loop, fd, &config, &ops, d);
}

int ramdisk_resume(struct ramdisk *d)
{
	struct r3_vub_config config = config_of(d);

	return r3_vub_resume(&d->vub, d->loop, &config, &ops, d);
}

static unsigned poll_all(void *arg)
{
	struct ramdisk *d = arg;
	unsigned done = 0;

	for (unsigned i = 0; d->vub && i < RAMDISK_QUEUES; i++)
		done += serve_queue(d, i);
	return done;
}

static bool arm_all(void *arg)
{
	struct ramdisk *d = arg;
	bool pending = false;

	for (unsigned i = 0; d->vub && i < RAMDISK_QUEUES; i++) {
		struct r3_vq_device *q = r3_vub_queue(d->vub, i);

		pending |= q && r3_vq_device_arm(q);
	}
	return pending;
}

static void disarm_all(void *arg)
{
	struct ramdisk *d = arg;

	for (unsigned i = 0; d->vub && i < RAMDISK_QUEUES; i++) {
		struct r3_vq_device *q = r3_vub_queue(d->vub, i);

		if (q)
			r3_vq_device_disarm(q);
	}
}

void ramdisk_poll(struct ramdisk *d, unsigned spin_us)
{
	d->poller = (struct r3_poller){ .poll = poll_all, .arm = arm_all,
					.disarm = disarm_all, .arg = d };
	r3_loop_add_poller(d->loop, &d->poller);
	r3_loop_spin(d->loop, spin_us);
}
