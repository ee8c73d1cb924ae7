// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_queue.c - a submission queue and its completion queue */
#include <stdlib.h>

#include "nvme_queue.h"

/* A command id is its slot and a counter, so that an id completed twice, or
 * one from before, is noticed.  63 counts: 0xffff never comes (NVMe 2.0
 * reserves it). */
#define SLOT_BITS   10
#define SLOT_MASK   ((1u << SLOT_BITS) - 1)
#define GENERATIONS 63
static_assert(NVME_QUEUE_SIZE_MAX == 1 << SLOT_BITS, "id layout");

void nvme_doorbell_ring(struct nvme_doorbell *db, uint16_t value)
{
	uint16_t before = db->last;

	db->last = value;
	if (db->shadow) {
		uint32_t event;

		__atomic_store_n(db->shadow, value, __ATOMIC_RELEASE);
		/* the store must be seen before EventIdx is read: the
		 * controller does the same the other way round */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		event = __atomic_load_n(db->event, __ATOMIC_RELAXED);
		if (!r3_nvme_doorbell_needed((uint16_t)event, value, before))
			return;
	}
	db->rings++;
	if (db->reg) {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		*db->reg = value;
	} else {
		db->ring(db->arg, db->off, value);
	}
}

int nvme_queue_init(struct nvme_queue *q, uint16_t qid, uint16_t size)
{
	assert(size >= 2 && size <= NVME_QUEUE_SIZE_MAX);
	*q = (struct nvme_queue){ .qid = qid, .size = size };
	q->free = calloc(size, sizeof(*q->free));
	q->slot = calloc(size, sizeof(*q->slot));
	if (!q->free || !q->slot) {
		nvme_queue_fini(q);
		return -ENOMEM;
	}
	return 0;
}

void nvme_queue_fini(struct nvme_queue *q)
{
	free(q->free);
	free(q->slot);
	q->free = NULL;
	q->slot = NULL;
}

void nvme_queue_reset(struct nvme_queue *q, void *sq, void *cq)
{
	q->sq = sq;
	q->cq = cq;
	memset(sq, 0, q->size * sizeof(*q->sq));
	memset(cq, 0, q->size * sizeof(*q->cq));
	q->tail = q->head = 0;
	q->phase = 1;
	q->sq_db.last = q->cq_db.last = 0;
	q->free_count = 0;
	q->why = NULL;
	for (uint16_t i = (uint16_t)(q->size - 1); i-- > 0;) {
		q->slot[i].user = NULL;
		q->free[q->free_count++] = i;
	}
}

static uint16_t wrap(const struct nvme_queue *q, uint16_t at)
{
	return at == q->size ? 0 : at;
}

uint16_t nvme_queue_cid(const struct nvme_queue *q, uint16_t i)
{
	return (uint16_t)(q->slot[i].generation << SLOT_BITS | i);
}

uint16_t nvme_queue_add(struct nvme_queue *q, const struct r3_nvme_sqe *sqe,
			void *user)
{
	struct r3_nvme_sqe *to = &q->sq[q->tail];
	struct nvme_slot *s;
	uint16_t i;

	assert(q->free_count && user);
	i = q->free[--q->free_count];
	s = &q->slot[i];
	s->user = user;
	s->generation = (uint8_t)((s->generation + 1) % GENERATIONS);
	*to = *sqe;
	to->cid = r3_le16_of(nvme_queue_cid(q, i));
	q->tail = wrap(q, (uint16_t)(q->tail + 1));
	return i;
}

void nvme_queue_ring(struct nvme_queue *q)
{
	if (q->sq_db.last != q->tail)
		nvme_doorbell_ring(&q->sq_db, q->tail);
}

bool nvme_queue_pending(const struct nvme_queue *q)
{
	const struct r3_nvme_cqe *e = &q->cq[q->head];

	return R3_NVME_DW3_PHASE(r3_nvme_cqe_load_dw3(e)) == q->phase;
}

static int hostile(struct nvme_queue *q, const char *why)
{
	q->why = why;
	return -EPROTO;
}

int nvme_queue_next(struct nvme_queue *q, struct nvme_done *out)
{
	const struct r3_nvme_cqe *e = &q->cq[q->head];
	uint32_t dw3 = r3_nvme_cqe_load_dw3(e);
	uint16_t cid = R3_NVME_DW3_CID(dw3);
	uint16_t i = cid & SLOT_MASK;

	if (R3_NVME_DW3_PHASE(dw3) != q->phase)
		return 0;
	if (r3_get_le16(e->sqid) != q->qid)
		return hostile(q, "completion for another queue");
	if (r3_get_le16(e->sqhd) >= q->size)
		return hostile(q, "submission head past the queue");
	if (i >= q->size - 1 || !q->slot[i].user ||
	    cid != nvme_queue_cid(q, i))
		return hostile(q, "completion of an unknown command");
	out->user = q->slot[i].user;
	out->slot = i;
	out->status = R3_NVME_DW3_STATUS(dw3);
	out->dw0 = r3_get_le32(e->dw0);
	q->slot[i].user = NULL;
	q->free[q->free_count++] = i;
	q->head = wrap(q, (uint16_t)(q->head + 1));
	if (!q->head)
		q->phase ^= 1;
	return 1;
}

void nvme_queue_ack(struct nvme_queue *q)
{
	if (q->cq_db.last != q->head)
		nvme_doorbell_ring(&q->cq_db, q->head);
}
