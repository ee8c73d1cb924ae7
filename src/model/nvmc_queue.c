// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_queue.c - queues, doorbells, completions: NVMe 1.4, 4.1, 5.7, 7.2 */
#include "nvmc.h"

/* ---- commands being worked on ------------------------------------------- */

struct nvmc_req *nvmc_req_get(struct nvmc *n, bool admin)
{
	struct nvmc_req **from = admin ? &n->free_admin : &n->free_io;
	struct nvmc_req *r = *from;

	if (r)
		*from = r->next;
	return r;
}

void nvmc_req_put(struct nvmc *n, struct nvmc_req *r)
{
	struct nvmc_req **to = r->admin ? &n->free_admin : &n->free_io;

	r->next = *to;
	*to = r;
}

/* Forget all queues and everything that was held for them. */
void nvmc_queue_reset(struct nvmc *n)
{
	assert(!n->io_busy);
	memset(n->sq, 0, sizeof(n->sq));
	memset(n->cq, 0, sizeof(n->cq));
	for (unsigned i = 0; i < NVMC_QUEUES; i++)
		n->cq[i].wait_end = &n->cq[i].wait;
	n->free_io = n->free_admin = n->stalled = NULL;
	for (unsigned i = NVMC_IO_REQS + NVMC_ADMIN_REQS; i-- > 0;) {
		struct nvmc_req *r = &n->reqs[i];

		r->iov = &n->iovs[(size_t)i * NVMC_IOV_MAX];
		r->ranges = (struct nvmc_range *)(void *)r->iov;
		r->admin = i >= NVMC_IO_REQS;
		nvmc_req_put(n, r);
	}
	n->aers = 0;
	n->sq_top = 0;
}

/* ---- memory of the client ----------------------------------------------- */

static void *map_array(struct nvmc *n, uint64_t addr, uint64_t len, int prot)
{
	return n->ops.map(n->arg, addr, len, prot);
}

void nvmc_remap(struct nvmc *n)
{
	for (unsigned i = 0; i < NVMC_QUEUES; i++) {
		struct nvmc_sq *sq = &n->sq[i];
		struct nvmc_cq *cq = &n->cq[i];

		sq->ring = sq->size ? map_array(n, sq->addr, sq->size * 64ul,
						R3_READ) : NULL;
		cq->ring = cq->size ? map_array(n, cq->addr, cq->size * 16ul,
						R3_WRITE) : NULL;
	}
	/* new queues begin with a shadow of 0, which we write */
	n->db = n->dbbuf ? map_array(n, n->dbs, 4096, R3_READ | R3_WRITE) :
			   NULL;
	n->ei = n->db ? map_array(n, n->eis, 4096, R3_WRITE) : NULL;
	if (!n->ei)
		n->db = NULL;
}

/* ---- doorbells ----------------------------------------------------------- */

/* The shadow of I/O queue @i's doorbell.  The admin queue keeps its register:
 * hosts disagree on whether its shadow counts. */
static uint32_t shadow(const struct nvmc *n, unsigned i, unsigned cq)
{
	return __atomic_load_n(&n->db[2 * i + cq], __ATOMIC_ACQUIRE);
}

static void leave_event(struct nvmc *n, unsigned i, unsigned cq, uint32_t v)
{
	__atomic_store_n(&n->ei[2 * i + cq], v, __ATOMIC_RELAXED);
}

/* Just behind @at: the last place that the host's next store can pass. */
static uint32_t behind(uint32_t at, uint32_t size)
{
	return at ? at - 1 : size - 1;
}

static void set_tail(struct nvmc *n, struct nvmc_sq *sq, uint32_t tail)
{
	if (tail < sq->size) {
		sq->tail = tail;
		sq->bad_tail = false;
	} else if (!sq->bad_tail) {
		sq->bad_tail = true;
		sq->tail = sq->head;
		nvmc_event(n, 1);
	}
}

/* A head may move over what was posted, no further. */
static void set_head(struct nvmc *n, struct nvmc_cq *cq, uint32_t head)
{
	uint32_t used = (cq->tail + cq->size - cq->head) % cq->size;

	if (head < cq->size &&
	    (head + cq->size - cq->head) % cq->size <= used) {
		cq->head = head;
		cq->bad_head = false;
	} else if (!cq->bad_head) {
		cq->bad_head = true;
		nvmc_event(n, 1);
	}
}

void nvmc_doorbell(struct nvmc *n, uint32_t index, uint32_t value)
{
	unsigned i = index / 2;

	if (n->state != NVMC_ON)
		return;
	if (i >= NVMC_QUEUES ||
	    !(index & 1 ? n->cq[i].size : n->sq[i].size)) {
		nvmc_event(n, 0);
		return;
	}
	if (i && n->db) /* only a wake-up: the shadow is newer */
		return;
	if (index & 1)
		set_head(n, &n->cq[i], value & 0xffff);
	else
		set_tail(n, &n->sq[i], value & 0xffff);
}

/* ---- completions --------------------------------------------------------- */

static bool cq_full(struct nvmc *n, unsigned i)
{
	struct nvmc_cq *cq = &n->cq[i];
	uint32_t next = cq->tail + 1 == cq->size ? 0 : cq->tail + 1;

	if (next != cq->head)
		return false;
	if (!i || !n->db)
		return true;
	set_head(n, cq, shadow(n, i, 1));
	return next == cq->head;
}

static void write_cqe(struct nvmc *n, struct nvmc_cq *cq,
		      const struct nvmc_req *r)
{
	struct r3_nvme_cqe *e = &cq->ring[cq->tail];
	uint16_t cid = r->cid;

	if (n->conf.inject.unknown_cid && r->sqid &&
	    !(++n->io_posted % n->conf.inject.unknown_cid))
		cid ^= 0x8000;
	e->dw0 = r3_le32_of(r->dw0);
	e->dw1 = r3_le32_of(0);
	e->sqhd = r3_le16_of((uint16_t)n->sq[r->sqid].head);
	e->sqid = r3_le16_of(r->sqid);
	r3_nvme_cqe_store_dw3(e, R3_NVME_DW3_OF(cid, r->status, cq->phase));
	if (++cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	cq->signal = true;
}

static void sq_drained(struct nvmc *n, unsigned sqid);

/* @r is finished: tell the host as soon as its queue has room. */
void nvmc_post(struct nvmc *n, struct nvmc_req *r)
{
	struct nvmc_sq *sq = &n->sq[r->sqid];
	unsigned i = sq->cqid;
	struct nvmc_cq *cq = &n->cq[i];

	if (cq->wait || !cq->ring || cq_full(n, i)) {
		r->next = NULL;
		*cq->wait_end = r;
		cq->wait_end = &r->next;
		return;
	}
	write_cqe(n, cq, r);
	sq->in_flight--;
	sq_drained(n, r->sqid);
	nvmc_req_put(n, r);
}

/* Post what waited for room; how many. */
static unsigned post_waiting(struct nvmc *n, unsigned i)
{
	struct nvmc_cq *cq = &n->cq[i];
	unsigned done = 0;

	while (cq->wait && cq->ring && !cq_full(n, i)) {
		struct nvmc_req *r = cq->wait;

		cq->wait = r->next;
		if (!cq->wait)
			cq->wait_end = &cq->wait;
		write_cqe(n, cq, r);
		n->sq[r->sqid].in_flight--;
		sq_drained(n, r->sqid);
		nvmc_req_put(n, r);
		done++;
	}
	return done;
}

void nvmc_done(struct nvmc *n, struct nvmc_req *r, uint16_t status)
{
	if (r->internal) {
		n->shutdown_busy = false;
		n->csts = (n->csts & ~(3u << R3_NVME_CSTS_SHST_SHIFT)) |
			  2u << R3_NVME_CSTS_SHST_SHIFT;
		nvmc_settle(n);
		return;
	}
	n->io_busy--;
	if (n->state != NVMC_ON) { /* nobody may hear of it any more */
		nvmc_req_put(n, r);
		nvmc_settle(n);
		return;
	}
	r->status = status;
	if (status) {
		n->counts.errors++;
		nvmc_log_error(n, r, r->off >> nvmc_shift(n));
	}
	nvmc_post(n, r);
}

/* ---- deletion ------------------------------------------------------------ */

static void sq_drained(struct nvmc *n, unsigned sqid)
{
	struct nvmc_sq *sq = &n->sq[sqid];
	struct nvmc_req *r = sq->delete_req;

	if (!sq->deleting || sq->in_flight)
		return;
	n->cq[sq->cqid].users--;
	*sq = (struct nvmc_sq){ 0 };
	while (n->sq_top && !n->sq[n->sq_top].size)
		n->sq_top--;
	nvmc_post(n, r);
}

/* Stop taking commands; @r, the Delete command, is answered when those under
 * way have ended. */
bool nvmc_delete_sq(struct nvmc *n, unsigned sqid, struct nvmc_req *r)
{
	struct nvmc_sq *sq = &n->sq[sqid];
	struct nvmc_req **at = &n->stalled, *s;

	if (sq->deleting)
		return false;
	sq->deleting = true;
	sq->delete_req = r;
	r->status = R3_NVME_SUCCESS;
	sq->in_flight++; /* not before the stalled ones are out */
	while ((s = *at)) {
		if (s->sqid != sqid) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		s->status = R3_NVME_ABORTED_SQ_DELETED;
		nvmc_post(n, s);
	}
	sq->in_flight--;
	sq_drained(n, sqid);
	return true;
}

/* ---- rounds -------------------------------------------------------------- */

static void take(struct nvmc *n, unsigned i, struct nvmc_req *r)
{
	struct nvmc_sq *sq = &n->sq[i];
	struct r3_nvme_sqe e;

	memcpy(&e, &sq->ring[sq->head], sizeof(e));
	if (++sq->head == sq->size)
		sq->head = 0;
	sq->in_flight++;
	r->sqid = (uint16_t)i;
	r->cid = r3_get_le16(e.cid);
	r->status = 0;
	r->dw0 = 0;
	r->done = 0;
	r->internal = false;
	if (i)
		nvmc_io(n, &e, r);
	else
		nvmc_admin(n, &e, r);
}

static unsigned take_queue(struct nvmc *n, unsigned i)
{
	struct nvmc_sq *sq = &n->sq[i];
	unsigned done = 0;

	if (!sq->ring || sq->deleting)
		return 0;
	if (i && n->db)
		set_tail(n, sq, shadow(n, i, 0));
	while (sq->head != sq->tail && done < NVMC_BURST &&
	       n->state == NVMC_ON && !sq->deleting) {
		struct nvmc_req *r = nvmc_req_get(n, !i);

		if (!r)
			break;
		take(n, i, r);
		done++;
	}
	/* Keep EventIdx out of the host's reach while we look anyway. */
	if (done && i && n->ei && sq->head < NVMC_BURST)
		leave_event(n, i, 0, behind(sq->head, sq->size));
	return done;
}

unsigned nvmc_poll(struct nvmc *n)
{
	unsigned done = 0;

	if (n->state != NVMC_ON)
		return 0;
	for (unsigned i = 0; i <= n->sq_top && n->state == NVMC_ON; i++)
		done += take_queue(n, i);
	for (unsigned i = 0; i <= n->conf.queues; i++) {
		if (n->cq[i].wait)
			done += post_waiting(n, i);
	}
	return done;
}

static bool wants_irq(const struct nvmc *n, unsigned i)
{
	if (!n->cq[i].irq_on)
		return false;
	if (!i || !n->feat_quiet || !n->db)
		return true;
	return __atomic_load_n(&n->db[NVMC_QUIET_OFF / 4 + i],
			       __ATOMIC_RELAXED);
}

void nvmc_signal(struct nvmc *n)
{
	bool fenced = false;

	for (unsigned i = 0; i <= n->conf.queues; i++) {
		struct nvmc_cq *cq = &n->cq[i];

		if (!cq->signal)
			continue;
		if (!fenced) /* our entries before the host's wish */
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
		fenced = true;
		cq->signal = false;
		if (wants_irq(n, i))
			n->ops.irq(n->arg, cq->vector);
	}
}

/* A queue that can't move on its own needs no wake-up from its doorbell, but
 * one that waits for room must hear of its head. */
static bool arm_queue(struct nvmc *n, unsigned i)
{
	struct nvmc_sq *sq = &n->sq[i];
	struct nvmc_cq *cq = &n->cq[i];

	if (sq->ring && !sq->deleting &&
	    shadow(n, i, 0) != sq->tail && !sq->bad_tail)
		return true;
	return cq->wait && cq->ring && !cq_full(n, i);
}

bool nvmc_arm(struct nvmc *n)
{
	bool work = false;

	if (n->state != NVMC_ON)
		return false;
	for (unsigned i = 0; i <= n->sq_top; i++) {
		struct nvmc_sq *sq = &n->sq[i];

		work |= sq->ring && !sq->deleting && sq->head != sq->tail &&
			(i ? n->free_io : n->free_admin);
	}
	if (!n->db)
		return work;
	for (unsigned i = 1; i <= n->conf.queues; i++) {
		if (n->sq[i].size)
			leave_event(n, i, 0, n->sq[i].tail);
		if (n->cq[i].wait)
			leave_event(n, i, 1, n->cq[i].head);
		else if (n->cq[i].size)
			leave_event(n, i, 1, behind(n->cq[i].head,
						    n->cq[i].size));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 1; i <= n->conf.queues; i++)
		work |= arm_queue(n, i);
	return work;
}
