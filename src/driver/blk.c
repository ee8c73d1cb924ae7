// SPDX-License-Identifier: GPL-2.0-or-later
/* blk.c - a vhost-user-blk server in front of a controller */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "blk.h"

#define PART	    "driver/nvme"
#define BATCH	    64	 /* requests of one queue in one round */
#define STOP_MS	    1000 /* a stopping queue waits so long, then resets */
#define NOTE_MAGIC  0x336e6f74u
#define NEVER	    UINT64_MAX
#define WILD	    UINT64_C(0x7e00000000) /* mapped for nobody */

static const char *name_of(const struct blk *b)
{
	return r3_server_name(b->server);
}

/* ---- requests ------------------------------------------------------------ */

/* The request that the next req_get() gives; NULL: all are in use.  Last in,
 * first out, so that few cache lines, and little memory, ever get touched. */
static struct blk_req *req_peek(struct blk_queue *q)
{
	if (!q->free && q->fresh < q->blk->queue_size) {
		q->free = &q->reqs[q->fresh++];
		q->free->queue = q;
	}
	return q->free;
}

static void req_get(struct blk_queue *q)
{
	struct blk_req *r = q->free;

	q->free = r->next;
	q->in_flight++;
	r->busy = true;
	r->submitted = false;
}

static void req_put(struct blk_req *r)
{
	struct blk_queue *q = r->queue;

	r->busy = false;
	r->next = q->free;
	q->free = r;
	q->in_flight--;
}

static void finish(struct blk_req *r, uint8_t status)
{
	struct blk_queue *q = r->queue;
	struct r3_stats *st = r3_server_stats(q->blk->server);

	*r->cmd.status = status;
	r3_vq_device_push(q->vq, &r->vq, r->cmd.written);
	q->pushed = true;
	st->requests++;
	if (status == VIRTIO_BLK_S_IOERR)
		st->errors++;
	req_put(r);
}

static void io_done(struct nvme_io *io, int err)
{
	struct blk_req *r = (struct blk_req *)io;
	struct blk *b = r->queue->blk;
	struct r3_stats *st = r3_server_stats(b->server);
	uint64_t bytes = io->blocks * b->disk.block_size;

	if (r->suspect) {
		b->note->magic = r3_le32_of(0);
		b->suspect_busy = false;
	}
	if (!err && io->op == NVME_READ)
		st->bytes_read += bytes;
	else if (!err && io->op == NVME_WRITE)
		st->bytes_written += bytes;
	finish(r, blk_status(err));
}

static bool touches(const struct nvme_io *io, uint64_t lba)
{
	return io->lba <= lba && lba - io->lba < io->blocks;
}

/* For tests of what follows. */
static void inject(const struct blk *b, struct blk_req *r)
{
	if (touches(&r->io, b->inject.crash_lba))
		abort();
	while (touches(&r->io, b->inject.hang_lba))
		pause();
	if (touches(&r->io, b->inject.wild_lba)) {
		for (unsigned i = 0; i < r->cmd.seg_count; i++)
			r->cmd.seg[i].iova = WILD;
	}
}

static void submit(struct blk *b, struct blk_req *r, uint64_t now_ns)
{
	inject(b, r);
	nvme_submit(b->ctrl, r->queue->index, &r->io, now_ns);
	r->submitted = true;
	r->queue->submitted = true;
}

static void fill_io(struct blk *b, struct blk_req *r)
{
	const struct blk_cmd *c = &r->cmd;

	r->suspect = false;
	r->io = (struct nvme_io){
		.op = c->op,
		.unmap = c->unmap,
		/* without a write cache that the client knows of, a write is
		 * durable when it is done (virtio 1.2, 5.2.6.2) */
		.fua = !b->writeback && b->disk.write_cache,
		.lba = c->lba,
		.blocks = c->op <= NVME_WRITE || c->op == NVME_ZEROES
				  ? c->blocks : 0,
		.seg = c->seg,
		.seg_count = c->seg_count,
		.range = c->range,
		.range_count = c->range_count,
		.done = io_done,
	};
}

static int cut_off(struct blk_queue *q, const char *why)
{
	struct blk *b = q->blk;

	b->cut = true;
	r3_vub_fail(b->vub, -EPROTO, why);
	return -EPROTO;
}

/* Requests from the client.  How many, or -EPROTO. */
static int take(struct blk_queue *q, uint64_t now_ns)
{
	struct blk *b = q->blk;
	int n = 0, r;

	while (n < BATCH) {
		struct blk_req *req = req_peek(q);

		if (!req)
			break;
		r = r3_vq_device_pop(q->vq, &req->vq, req->seg, BLK_SEGS);
		if (r < 0)
			return cut_off(q, q->vq->why);
		if (r == 0)
			break;
		req_get(q);
		r = blk_parse(&b->disk, &req->vq, &req->cmd);
		if (r < 0) {
			r3_vq_device_push(q->vq, &req->vq, 0);
			req_put(req);
			return cut_off(q, "a request without room for its "
					  "status");
		}
		if (r == 0) {
			finish(req, req->cmd.answer);
		} else {
			fill_io(b, req);
			submit(b, req, now_ns);
		}
		n++;
	}
	return n;
}

/* ---- requests that may have killed the last life --------------------------*/

static bool noted(const struct blk *b, const struct blk_req *r)
{
	const struct blk_note *n = b->note;

	return r3_get_le32(n->magic) == NOTE_MAGIC &&
	       r3_get_le32(n->queue) == r->queue->index &&
	       r3_get_le32(n->id) == r->vq.id &&
	       r3_get_le32(n->op) == r->io.op &&
	       r3_get_le64(n->lba) == r->io.lba &&
	       r3_get_le64(n->blocks) == r->io.blocks;
}

static void write_note(struct blk *b, const struct blk_req *r)
{
	b->note->queue = r3_le32_of(r->queue->index);
	b->note->id = r3_le32_of(r->vq.id);
	b->note->op = r3_le32_of(r->io.op);
	b->note->lba = r3_le64_of(r->io.lba);
	b->note->blocks = r3_le64_of(r->io.blocks);
	__atomic_signal_fence(__ATOMIC_RELEASE);
	b->note->magic = r3_le32_of(NOTE_MAGIC);
	__atomic_signal_fence(__ATOMIC_RELEASE);
}

/* One of them at a time, noted: should we die of it again, it is known. */
static void next_suspect(struct blk *b, uint64_t now_ns)
{
	struct blk_req *r = b->suspects;

	if (!r || b->suspect_busy)
		return;
	b->suspects = r->next;
	if (!b->suspects)
		b->suspects_end = &b->suspects;
	r->suspect = true;
	b->suspect_busy = true;
	write_note(b, r);
	submit(b, r, now_ns);
}

static void again(struct blk *b, struct blk_req *r, uint64_t now_ns)
{
	struct r3_stats *st = r3_server_stats(b->server);

	st->resubmitted++;
	if (!b->quarantine) {
		submit(b, r, now_ns);
		return;
	}
	if (noted(b, r)) {
		st->quarantined++;
		b->note->magic = r3_le32_of(0);
		r3_log(R3_ERROR, PART, name_of(b),
		       "a request killed this driver twice and fails now: "
		       "queue=%u op=%u lba=%llu blocks=%llu; please report it",
		       r->queue->index, r->io.op,
		       (unsigned long long)r->io.lba,
		       (unsigned long long)r->io.blocks);
		finish(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->next = NULL;
	*b->suspects_end = r;
	b->suspects_end = &r->next;
}

static int take_inflight(struct blk_queue *q, uint64_t now_ns)
{
	struct blk *b = q->blk;
	int r;

	for (;;) {
		struct blk_req *req = req_peek(q);

		if (!req)
			return -EPROTO; /* more than the ring holds */
		r = r3_vq_device_next_inflight(q->vq, &req->vq, req->seg,
					       BLK_SEGS);
		if (r <= 0)
			return r;
		req_get(q);
		r = blk_parse(&b->disk, &req->vq, &req->cmd);
		if (r < 0) {
			req_put(req);
			return r;
		}
		if (r == 0) {
			finish(req, req->cmd.answer);
			continue;
		}
		fill_io(b, req);
		again(b, req, now_ns);
	}
}

/* ---- the connection ------------------------------------------------------ */

static int mem_add(void *ctx, struct r3_region *reg)
{
	struct blk *b = ctx;
	int err = nvme_ctrl_map(b->ctrl, &reg->iova, reg->len, reg->fd,
				reg->off, reg->prot, reg->host);

	if (err)
		r3_log(R3_WARN, PART, name_of(b),
		       "the device can't map a client's memory: %s addr=0x%llx "
		       "len=%llu", strerror(-err),
		       (unsigned long long)reg->addr,
		       (unsigned long long)reg->len);
	return err;
}

static void mem_del(void *ctx, const struct r3_region *reg)
{
	struct blk *b = ctx;

	nvme_ctrl_unmap(b->ctrl, reg->iova, reg->len);
}

/* Forget what is still waiting: it stays in the inflight region.  What was
 * submitted is at no device any more (DOWN). */
static void forget(struct blk_queue *q)
{
	struct blk *b = q->blk;
	struct blk_req **p = &b->suspects;

	q->vq = NULL;
	while (*p) {
		if ((*p)->queue == q)
			*p = (*p)->next;
		else
			p = &(*p)->next;
	}
	b->suspects_end = p;
	for (unsigned k = 0; q->in_flight && k < q->fresh; k++) {
		struct blk_req *r = &q->reqs[k];

		if (!r->busy)
			continue;
		if (r->submitted)
			nvme_cancel(b->ctrl, q->index, &r->io);
		if (r->submitted && r->suspect)
			b->suspect_busy = false;
		req_put(r);
	}
}

static void queue_stop(void *ctx, unsigned i)
{
	struct blk *b = ctx;
	struct blk_queue *q = &b->queue[i];
	uint64_t start = r3_now_ns();
	bool reset = false;

	while (q->in_flight && b->ctrl->state != NVME_DOWN) {
		uint64_t now = r3_now_ns();
		uint64_t ms = (now - start) / R3_NS_PER_MS;

		r3_server_alive(b->server);
		if (ms > 2 * STOP_MS) {
			nvme_ctrl_drop(b->ctrl, "a client had to wait for it");
			break;
		}
		if (ms > STOP_MS && !reset && b->ctrl->state == NVME_READY) {
			reset = true; /* and what is in flight again */
			nvme_ctrl_reset(b->ctrl, "a queue could not be "
					"stopped in time", now);
		}
		nvme_ctrl_poll(b->ctrl, now);
		nvme_ctrl_tick(b->ctrl, now);
		next_suspect(b, now);
		for (unsigned k = 0; k < b->queues; k++)
			nvme_kick(b->ctrl, k);
	}
	if (q->in_flight)
		r3_log(R3_WARN, PART, name_of(b), "queue stopped with requests "
		       "undone, as the device is away queue=%u count=%u", i,
		       q->in_flight);
	if (q->pushed)
		r3_vq_device_publish(q->vq);
	forget(q);
}

static int queue_start(void *ctx, unsigned i, struct r3_vq_device *vq)
{
	struct blk *b = ctx;
	struct blk_queue *q = &b->queue[i];
	int err;

	/* durable writes until blk_poll() has seen what the client knows */
	b->writeback = false;
	b->features_seen = false;
	q->vq = vq;
	q->pushed = q->submitted = false;
	err = take_inflight(q, r3_now_ns());
	nvme_kick(b->ctrl, i);
	/* what was taken before the one that made no sense is on its way, in
	 * memory that is about to be unmapped */
	if (err)
		queue_stop(ctx, i);
	return err;
}

static void kicked(void *ctx, unsigned i)
{
	/* the poller looks at every queue anyway */
	(void)ctx;
	(void)i;
}

static void get_config(void *ctx, uint32_t offset, uint32_t len, uint8_t *out)
{
	struct blk *b = ctx;
	uint8_t all[BLK_CONFIG_LEN];

	blk_config(&b->disk, !r3_get_le32(b->note->write_through), all);
	memcpy(out, all + offset, len);
}

static int set_config(void *ctx, uint32_t offset, uint32_t len,
		      const uint8_t *data)
{
	struct blk *b = ctx;

	/* the cache mode is all that a client may change */
	if (offset != offsetof(struct virtio_blk_config, wce) || len != 1)
		return -EINVAL;
	b->note->write_through = r3_le32_of(!*data);
	b->features_seen = false;
	return 0;
}

static void accept_client(void *arg, uint32_t events);

static void listen_again(struct blk *b)
{
	if (b->listening)
		return;
	b->listening = !r3_loop_watch(b->loop, &b->listen_watch, b->listen_fd,
				      EPOLLIN, accept_client, b);
}

static void closed(void *ctx, int why)
{
	struct blk *b = ctx;

	b->vub = NULL;
	b->cut = false;
	r3_server_stats(b->server)->clients = 0;
	if (why == -EPROTO)
		r3_server_stats(b->server)->clients_refused++;
	r3_log(R3_INFO, PART, name_of(b), "front end gone reason=%s",
	       why ? strerror(-why) : "left");
	listen_again(b);
}

static const struct r3_vub_ops vub_ops = {
	.mem_add = mem_add,
	.mem_del = mem_del,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kicked = kicked,
	.get_config = get_config,
	.set_config = set_config,
	.closed = closed,
};

static int keep_fd(void *arg, const char *name, int fd)
{
	return r3_server_keep_fd(arg, name, fd);
}

static void drop_fd(void *arg, const char *name)
{
	r3_server_drop_fd(arg, name);
}

static int kept_fd(void *arg, const char *name)
{
	return r3_server_kept_fd(arg, name);
}

static struct r3_vub_config config_of(struct blk *b)
{
	return (struct r3_vub_config){
		.part = PART,
		.name = name_of(b),
		.features = blk_features(&b->disk) | R3_VQ_FEATURES,
		.queues = b->queues,
		.queue_size_max = b->queue_size,
		.config_len = BLK_CONFIG_LEN,
		.keeper = &b->keeper,
	};
}

static void accept_client(void *arg, uint32_t events)
{
	struct blk *b = arg;
	struct r3_vub_config config = config_of(b);
	int fd = accept4(b->listen_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err;

	(void)events;
	if (fd < 0)
		return;
	b->note->write_through = r3_le32_of(0);
	err = r3_vub_open(&b->vub, b->loop, fd, &config, &vub_ops, b);
	if (err) {
		b->vub = NULL;
		r3_log(R3_WARN, PART, name_of(b), "front end refused: %s",
		       strerror(-err));
		return;
	}
	r3_server_stats(b->server)->clients = 1;
	r3_loop_unwatch(b->loop, &b->listen_watch);
	b->listening = false;
}

/* ---- the poller ---------------------------------------------------------- */

static void see_features(struct blk *b)
{
	uint64_t f = r3_vub_features(b->vub);

	b->writeback = f & (1ull << VIRTIO_BLK_F_FLUSH) &&
		       !r3_get_le32(b->note->write_through);
	b->features_seen = true;
}

unsigned blk_poll(struct blk *b, uint64_t now_ns)
{
	unsigned n = 0;

	if (!b->vub)
		return 0;
	if (!b->features_seen)
		see_features(b);
	if (b->suspects || b->suspect_busy) {
		next_suspect(b, now_ns);
	} else {
		for (unsigned i = 0; i < b->queues && b->vub; i++) {
			struct blk_queue *q = &b->queue[i];
			int r = q->vq && !b->cut ? take(q, now_ns) : 0;

			if (r < 0)
				break;
			n += (unsigned)r;
		}
	}
	for (unsigned i = 0; i < b->queues; i++) {
		struct blk_queue *q = &b->queue[i];

		if (q->submitted)
			nvme_kick(b->ctrl, i);
		q->submitted = false;
		if (q->pushed && q->vq)
			b->sleeps = r3_vub_signal(b->vub, i);
		q->pushed = false;
	}
	return n;
}

bool blk_arm(struct blk *b)
{
	bool work = false;

	for (unsigned i = 0; i < b->queues && b->vub; i++) {
		struct blk_queue *q = &b->queue[i];

		/* without a free request we wait for the device */
		if (q->vq && !b->cut && req_peek(q) && !b->suspects)
			work |= r3_vq_device_arm(q->vq);
	}
	return work;
}

void blk_disarm(struct blk *b)
{
	for (unsigned i = 0; i < b->queues && b->vub; i++) {
		if (b->queue[i].vq && !b->cut)
			r3_vq_device_disarm(b->queue[i].vq);
	}
}

/* ---- open and close ------------------------------------------------------ */

static int make_queues(struct blk *b)
{
	for (unsigned i = 0; i < b->queues; i++) {
		struct blk_queue *q = &b->queue[i];

		q->blk = b;
		q->index = i;
		q->reqs = calloc(b->queue_size, sizeof(*q->reqs));
		if (!q->reqs)
			return -ENOMEM;
	}
	return 0;
}

static void describe(struct blk *b)
{
	const struct nvme_ns *ns = &b->ctrl->ns;
	bool ro = r3_server_bool(b->server, "readonly");

	b->disk = (struct blk_disk){
		.sectors = ns->blocks * (ns->block_size / BLK_SECTOR),
		.block_size = ns->block_size,
		.readonly = ns->readonly || ro,
		.trim = ns->trim,
		.zeroes = ns->zeroes,
		.write_cache = ns->write_cache,
		.queues = b->queues,
	};
	/* 20 bytes, padded with 0: no terminator when full */
	memcpy(b->disk.id, ns->serial,
	       strnlen(ns->serial, sizeof(b->disk.id)));
}

static void read_inject(struct blk *b)
{
	const char *text = r3_server_str(b->server, "inject");
	const struct {
		const char *word;
		uint64_t *to;
	} words[] = {
		{ "crash-lba:", &b->inject.crash_lba },
		{ "hang-lba:", &b->inject.hang_lba },
		{ "wild-lba:", &b->inject.wild_lba },
	};

	b->inject = (struct blk_inject){ NEVER, NEVER, NEVER };
	for (unsigned i = 0; i < R3_COUNT(words); i++) {
		size_t len = strlen(words[i].word);

		if (!strncmp(text, words[i].word, len) &&
		    r3_parse_uint(text + len, words[i].to))
			r3_log(R3_WARN, PART, name_of(b), "inject=%s is no "
			       "number; ignored", text);
	}
}

static int resume(struct blk *b)
{
	struct r3_vub_config config = config_of(b);
	enum r3_after after = r3_server_after(b->server);
	int err;

	b->quarantine = after == R3_AFTER_FAULT || after == R3_AFTER_HANG;
	if (!b->quarantine)
		b->note->magic = r3_le32_of(0);
	err = r3_vub_resume(&b->vub, b->loop, &config, &vub_ops, b);
	b->quarantine = false;
	if (!err) {
		r3_server_stats(b->server)->clients = 1;
		return 0;
	}
	b->vub = NULL;
	r3_server_stats(b->server)->clients = 0;
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

int blk_open(struct blk *b, struct r3_server *s, struct nvme_ctrl *c)
{
	size_t len;
	uint8_t *page = r3_server_page(s, &len);
	int err;

	*b = (struct blk){ .ctrl = c, .server = s };
	static_assert(R3_VUB_PAGE_LEN + sizeof(*b->note) <=
		      R3_SERVER_PAGE_LEN - R3_SERVER_PAGE_PRIV, "room");
	b->loop = r3_server_loop(s);
	b->keeper = (struct r3_vub_keeper){ s, keep_fd, drop_fd, kept_fd, page,
					    "client0" };
	b->note = (struct blk_note *)(void *)(page + R3_VUB_PAGE_LEN);
	b->queues = (unsigned)r3_server_uint(s, "queues");
	b->queue_size = (uint16_t)r3_server_uint(s, "queue_size");
	b->listen_fd = r3_server_fd(s, "listen");
	b->suspects_end = &b->suspects;
	describe(b);
	read_inject(b);
	err = make_queues(b);
	if (!err)
		err = resume(b);
	if (!err && !b->vub)
		listen_again(b);
	return err;
}

void blk_close(struct blk *b)
{
	if (b->listening)
		r3_loop_unwatch(b->loop, &b->listen_watch);
	if (b->vub)
		r3_vub_leave(b->vub);
	for (unsigned i = 0; i < b->queues; i++)
		free(b->queue[i].reqs);
}
