// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk_queue.c - requests of a client's queues, from pop to push
 *
 *	pop -> parsed -> at the device -> pushed
 *	left by the last life -> the same, or, where one of them may have killed
 *	it, one at a time, each noted before
 */
#include <stdlib.h>
#include <unistd.h>

#include "ring3/log.h"
#include "blk.h"

#define BATCH	   64	/* requests of one queue in one round */
#define STOP_MS	   1000 /* a stopping queue waits so long, then resets */
#define NOTE_MAGIC 0x336e6f74u
#define WILD	   UINT64_C(0x7e00000000) /* mapped for nobody */

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

int blk_queue_take(struct blk_queue *q, uint64_t now_ns)
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
void blk_next_suspect(struct blk *b, uint64_t now_ns)
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
		r3_log(R3_ERROR, NVME_PART, r3_server_name(b->server),
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

bool blk_queue_arm(struct blk_queue *q)
{
	/* without a free request we wait for the device */
	return req_peek(q) && r3_vq_device_arm(q->vq);
}

/* ---- start and stop ------------------------------------------------------ */

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

void blk_queue_stop(struct blk_queue *q)
{
	struct blk *b = q->blk;
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
		blk_next_suspect(b, now);
		for (unsigned k = 0; k < b->queues; k++)
			nvme_kick(b->ctrl, k);
	}
	if (q->in_flight)
		r3_log(R3_WARN, NVME_PART, r3_server_name(b->server),
		       "queue stopped with requests undone, as the device is "
		       "away queue=%u count=%u", q->index, q->in_flight);
	if (q->pushed)
		r3_vq_device_publish(q->vq);
	forget(q);
}

int blk_queue_start(struct blk_queue *q, struct r3_vq_device *vq)
{
	int err;

	q->vq = vq;
	q->pushed = q->submitted = false;
	err = take_inflight(q, r3_now_ns());
	nvme_kick(q->blk->ctrl, q->index);
	/* what was taken before the one that made no sense is on its way, in
	 * memory that is about to be unmapped */
	if (err)
		blk_queue_stop(q);
	return err;
}
