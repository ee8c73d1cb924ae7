/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvme_queue.h - a submission queue and its completion queue
 *
 * Pure: works on memory that somebody else has mapped, and tells through a
 * doorbell object that there is news.  Everything in a completion is checked
 * here: its command id must be one in flight, its queue this one.
 */
#ifndef DRIVER_NVME_QUEUE_H
#define DRIVER_NVME_QUEUE_H

#include "ring3/wire/nvme.h"

#define NVME_QUEUE_SIZE_MAX 1024 /* entries; the id's low 10 bits */

/* A doorbell register, and its shadow when the controller reads those. */
struct nvme_doorbell {
	volatile uint32_t *reg; /* mapped register, or NULL: ring() */
	void (*ring)(void *arg, uint32_t off, uint32_t value);
	void *arg;
	uint32_t off; /* of the register in BAR 0 */
	uint32_t *shadow, *event; /* NULL: no doorbell buffer */
	uint16_t last; /* value rung last */
	uint64_t rings; /* register writes, ever */
};

void nvme_doorbell_ring(struct nvme_doorbell *db, uint16_t value);

struct nvme_slot {
	void *user; /* what is in flight under this id; NULL: free */
	uint8_t generation;
};

struct nvme_queue {
	struct r3_nvme_sqe *sq;
	struct r3_nvme_cqe *cq;
	struct nvme_doorbell sq_db, cq_db;
	uint16_t qid, size; /* both rings; a slot less can be in flight */
	uint16_t tail, head;
	uint8_t phase;
	uint16_t free_count;
	uint16_t *free;	 /* stack of slot numbers */
	struct nvme_slot *slot;
	const char *why; /* after -EPROTO: what was wrong */
};

/* What a completion said. */
struct nvme_done {
	void *user;
	uint16_t slot;
	uint16_t status; /* without phase; R3_NVME_* */
	uint32_t dw0;
};

/* @size: 2 to NVME_QUEUE_SIZE_MAX.  Return: 0, -ENOMEM. */
int nvme_queue_init(struct nvme_queue *q, uint16_t qid, uint16_t size);
void nvme_queue_fini(struct nvme_queue *q);
/* Empty rings at @sq and @cq (of size entries), nothing in flight: what the
 * controller makes of Create I/O Queue.  Clears them. */
void nvme_queue_reset(struct nvme_queue *q, void *sq, void *cq);

static inline uint16_t nvme_queue_room(const struct nvme_queue *q)
{
	return q->free_count;
}

static inline uint16_t nvme_queue_in_flight(const struct nvme_queue *q)
{
	return (uint16_t)(q->size - 1 - q->free_count);
}

/* The slot that the next nvme_queue_add() takes.  There must be room. */
static inline uint16_t nvme_queue_next_slot(const struct nvme_queue *q)
{
	return q->free[q->free_count - 1];
}

/**
 * nvme_queue_add() - put a command into the submission queue
 * @sqe:  all but its cid
 * @user: comes back in struct nvme_done; not NULL
 *
 * There must be room.  The controller sees it after nvme_queue_ring().
 * Return: its slot, from 0 to size - 2.
 */
uint16_t nvme_queue_add(struct nvme_queue *q, const struct r3_nvme_sqe *sqe,
			void *user);

/* Tell the controller about all that was added. */
void nvme_queue_ring(struct nvme_queue *q);

/**
 * nvme_queue_next() - take one completion
 * Frees its slot.  nvme_queue_ack() after a batch.
 * Return: 1, 0 (none), -EPROTO: the controller makes no sense (why says).
 */
int nvme_queue_next(struct nvme_queue *q, struct nvme_done *out);
/* Let the controller reuse the completion entries that were taken.  Need not
 * be at once while we look anyway; must be before we wait for an interrupt,
 * as a controller may owe none for entries behind one that was not taken. */
void nvme_queue_ack(struct nvme_queue *q);
static inline uint16_t nvme_queue_unacked(const struct nvme_queue *q)
{
	return (uint16_t)(q->head >= q->cq_db.last
				  ? q->head - q->cq_db.last
				  : q->size - q->cq_db.last + q->head);
}
/* Is there a completion?  Reads one line. */
bool nvme_queue_pending(const struct nvme_queue *q);

/* The id under which slot @i is in flight, for Abort. */
uint16_t nvme_queue_cid(const struct nvme_queue *q, uint16_t i);

#endif
