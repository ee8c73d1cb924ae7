// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_io.c - requests into commands, completions into results */
#include <stdlib.h>

#include "ring3/log.h"
#include "nvme.h"

#define LIST_LEN   (NVME_LIST_ENTRIES * sizeof(r3_le64))
#define REAP_MAX   256	       /* completions of one queue in one round */
#define WORTH	   NVME_PAGE   /* shorter runs are copied together */
static_assert(NVME_TRIM_MAX * sizeof(struct r3_nvme_dsm_range) <= LIST_LEN,
	      "ranges fit the list's memory");

int nvme_ioq_init(struct nvme_ioq *ioq, uint16_t qid, uint16_t size)
{
	int err;

	*ioq = (struct nvme_ioq){ .kick_fd = -1 };
	err = nvme_queue_init(&ioq->q, qid, size);
	if (err)
		return err;
	ioq->cmd = calloc(size, sizeof(*ioq->cmd));
	if (!ioq->cmd) {
		nvme_queue_fini(&ioq->q);
		return -ENOMEM;
	}
	return 0;
}

void nvme_ioq_fini(struct nvme_ioq *ioq)
{
	nvme_queue_fini(&ioq->q);
	free(ioq->cmd);
	ioq->cmd = NULL;
}

/* ---- the list of requests ------------------------------------------------ */

static void rewind_io(struct nvme_io *io)
{
	io->at = (struct nvme_cursor){ io->seg, io->seg_count, 0 };
	io->at_lba = io->lba;
	io->left = io->op == NVME_FLUSH || io->op == NVME_TRIM ? 1
							       : io->blocks;
	io->outstanding = 0;
	io->status = R3_NVME_SUCCESS;
}

static void append(struct nvme_ioq *ioq, struct nvme_io *io)
{
	io->next = NULL;
	io->prev = ioq->last;
	if (ioq->last)
		ioq->last->next = io;
	else
		ioq->first = io;
	ioq->last = io;
	if (!ioq->issue)
		ioq->issue = io;
}

static void take_out(struct nvme_ioq *ioq, struct nvme_io *io)
{
	if (ioq->issue == io)
		ioq->issue = io->next;
	if (io->prev)
		io->prev->next = io->next;
	else
		ioq->first = io->next;
	if (io->next)
		io->next->prev = io->prev;
	else
		ioq->last = io->prev;
}

void nvme_ioq_rewind(struct nvme_ioq *ioq)
{
	struct nvme_io *next;

	for (struct nvme_io *io = ioq->first; io; io = next) {
		next = io->next;
		rewind_io(io);
		if (!io->stuck)
			continue;
		io->stuck = false;
		if (++io->tries >= NVME_TRIES) {
			take_out(ioq, io);
			io->done(io, -ETIMEDOUT);
		}
	}
	ioq->issue = ioq->first;
	ioq->bounce_count = 0;
	for (unsigned i = NVME_BOUNCES; i-- > 0;)
		ioq->bounce_free[ioq->bounce_count++] = (uint8_t)i;
}

void nvme_ioq_fail(struct nvme_ctrl *c, struct nvme_ioq *ioq, int err)
{
	struct nvme_io *io = ioq->first;

	(void)c;
	ioq->first = ioq->last = ioq->issue = NULL;
	while (io) {
		struct nvme_io *next = io->next;

		io->done(io, err);
		io = next;
	}
}

uint64_t nvme_ioq_oldest(const struct nvme_ioq *ioq)
{
	return ioq->first ? ioq->first->since_ns : UINT64_MAX;
}

/* ---- commands ------------------------------------------------------------ */

static struct nvme_prp_list list_of(const struct nvme_ioq *ioq, uint16_t slot)
{
	return (struct nvme_prp_list){
		(r3_le64 *)(void *)(ioq->lists + slot * LIST_LEN),
		ioq->lists_iova + slot * LIST_LEN, NVME_LIST_ENTRIES
	};
}

static void set_blocks(struct r3_nvme_sqe *e, uint64_t lba, uint32_t blocks)
{
	e->cdw10 = r3_le32_of((uint32_t)lba);
	e->cdw11 = r3_le32_of((uint32_t)(lba >> 32));
	e->cdw12 = r3_le32_of(r3_get_le32(e->cdw12) | (blocks - 1));
}

/* Copy through our own memory: PRPs can't describe the caller's. */
static uint32_t bounce(struct nvme_ctrl *c, struct nvme_ioq *ioq,
		       struct nvme_io *io, struct nvme_cmd *cmd,
		       uint64_t prp[2], const struct nvme_prp_list *list,
		       uint64_t max)
{
	uint32_t len = (uint32_t)r3_min(max, NVME_BOUNCE_LEN);
	unsigned i;

	if (!ioq->bounce_count)
		return 0;
	i = ioq->bounce_free[--ioq->bounce_count];
	cmd->bounce = (int16_t)i;
	cmd->at = io->at;
	if (io->op == NVME_WRITE)
		nvme_cursor_gather(&io->at, ioq->bounce + i * NVME_BOUNCE_LEN,
				   len);
	else
		nvme_cursor_skip(&io->at, len);
	prp[0] = ioq->bounce_iova + i * NVME_BOUNCE_LEN;
	prp[1] = prp[0] + NVME_PAGE;
	for (unsigned k = 1; k * NVME_PAGE < len; k++)
		list->entry[k - 1] = r3_le64_of(prp[0] + k * NVME_PAGE);
	if (len > 2 * NVME_PAGE)
		prp[1] = list->iova;
	else if (len <= NVME_PAGE)
		prp[1] = 0;
	c->counts.bounced++;
	return len;
}

/* Bytes of the next data command of @io; 0: no room to copy. */
static uint32_t set_data(struct nvme_ctrl *c, struct nvme_ioq *ioq,
			 struct nvme_io *io, struct nvme_cmd *cmd,
			 uint16_t slot, struct r3_nvme_sqe *e)
{
	struct nvme_prp_list list = list_of(ioq, slot);
	uint64_t rest = io->left * c->ns.block_size;
	uint64_t max = r3_min(rest, c->ns.max_bytes);
	struct nvme_cursor before = io->at;
	uint64_t prp[2], len;

	len = nvme_prp_build(&io->at, max, c->ns.block_size, &list, prp);
	if (len < WORTH && len < max) {
		io->at = before;
		len = bounce(c, ioq, io, cmd, prp, &list, max);
		if (!len)
			return 0;
	}
	e->prp1 = r3_le64_of(prp[0]);
	e->prp2 = r3_le64_of(prp[1]);
	return (uint32_t)len;
}

static void set_trim(struct nvme_ioq *ioq, const struct nvme_io *io,
		     uint16_t slot, struct r3_nvme_sqe *e)
{
	struct nvme_prp_list list = list_of(ioq, slot);
	struct r3_nvme_dsm_range *r = (void *)list.entry;

	for (unsigned i = 0; i < io->range_count; i++) {
		r[i].attributes = r3_le32_of(0);
		r[i].count = r3_le32_of(io->range[i].blocks);
		r[i].lba = r3_le64_of(io->range[i].lba);
	}
	e->opcode = R3_NVME_DSM;
	e->prp1 = r3_le64_of(list.iova);
	e->cdw10 = r3_le32_of(io->range_count - 1);
	e->cdw11 = r3_le32_of(R3_NVME_DSM_AD);
}

/* Submit the next command of @io.  False: no room; later again. */
static bool issue_one(struct nvme_ctrl *c, struct nvme_ioq *ioq,
		      struct nvme_io *io)
{
	struct r3_nvme_sqe e = { .nsid = r3_le32_of(1) };
	uint16_t slot;
	struct nvme_cmd *cmd;
	uint32_t blocks = 1;

	if (!nvme_queue_room(&ioq->q))
		return false;
	slot = nvme_queue_next_slot(&ioq->q);
	cmd = &ioq->cmd[slot];
	cmd->bounce = -1;
	cmd->aborting = false;
	switch (io->op) {
	case NVME_READ:
	case NVME_WRITE:
		e.opcode = io->op == NVME_READ ? R3_NVME_READ : R3_NVME_WRITE;
		cmd->len = set_data(c, ioq, io, cmd, slot, &e);
		if (!cmd->len)
			return false;
		blocks = cmd->len / c->ns.block_size;
		e.cdw12 = r3_le32_of(io->fua ? R3_NVME_RW_FUA : 0);
		set_blocks(&e, io->at_lba, blocks);
		break;
	case NVME_ZEROES:
		e.opcode = R3_NVME_WRITE_ZEROES;
		blocks = (uint32_t)r3_min(io->left, R3_NVME_RW_MAX_BLOCKS);
		e.cdw12 = r3_le32_of((io->unmap ? R3_NVME_RW_DEAC : 0) |
				     (io->fua ? R3_NVME_RW_FUA : 0));
		set_blocks(&e, io->at_lba, blocks);
		break;
	case NVME_TRIM:
		set_trim(ioq, io, slot, &e);
		break;
	default:
		e.opcode = R3_NVME_FLUSH;
	}
	nvme_queue_add(&ioq->q, &e, io);
	io->at_lba += blocks;
	io->left -= blocks;
	io->outstanding++;
	c->counts.commands++;
	return true;
}

void nvme_submit(struct nvme_ctrl *c, unsigned i, struct nvme_io *io,
		 uint64_t now_ns)
{
	struct nvme_ioq *ioq = &c->ioq[i % c->queue_count];

	rewind_io(io);
	io->tries = 0;
	io->stuck = false;
	io->since_ns = now_ns;
	append(ioq, io);
}

void nvme_kick(struct nvme_ctrl *c, unsigned i)
{
	struct nvme_ioq *ioq = &c->ioq[i % c->queue_count];

	if (c->state != NVME_READY)
		return;
	while (ioq->issue) {
		struct nvme_io *io = ioq->issue;

		/* a failed one gets no more commands */
		while (io->left && !io->status) {
			if (!issue_one(c, ioq, io))
				goto out;
		}
		ioq->issue = io->next;
	}
out:
	nvme_queue_ring(&ioq->q);
}

void nvme_cancel(struct nvme_ctrl *c, unsigned i, struct nvme_io *io)
{
	assert(c->state == NVME_DOWN);
	take_out(&c->ioq[i % c->queue_count], io);
}

unsigned nvme_in_flight(const struct nvme_ctrl *c, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->queue_count && n < max; i++) {
		const struct nvme_io *io = c->ioq[i].first;

		for (; io && n < max; io = io->next)
			n++;
	}
	return n;
}

/* ---- completions --------------------------------------------------------- */

static int errno_of(uint16_t status)
{
	switch (status & R3_NVME_STATUS_MASK) {
	case R3_NVME_INVALID_OPCODE:
		return -EOPNOTSUPP;
	case R3_NVME_LBA_OUT_OF_RANGE:
		return -ERANGE;
	case R3_NVME_NS_WRITE_PROTECTED:
	case R3_NVME_WRITE_TO_RO_RANGE:
		return -EROFS;
	default:
		return -EIO;
	}
}

static void finish(struct nvme_ctrl *c, struct nvme_ioq *ioq,
		   struct nvme_io *io, uint64_t now_ns)
{
	bool again = io->status && !(io->status & R3_NVME_STATUS_DNR) &&
		     ++io->tries < NVME_TRIES;

	take_out(ioq, io);
	if (again) {
		c->counts.retried++;
		rewind_io(io);
		io->since_ns = now_ns;
		append(ioq, io);
		return;
	}
	/* not one line for each: the 1st, 2nd, 4th, 8th ... */
	if (io->status && r3_is_pow2(++c->counts.failed))
		r3_log(R3_WARN, NVME_PART, c->conf.name,
		       "the device failed a request: op=%u lba=%llu "
		       "status=0x%x failed_so_far=%llu", io->op,
		       (unsigned long long)io->lba, io->status,
		       (unsigned long long)c->counts.failed);
	io->done(io, io->status ? errno_of(io->status) : 0);
}

static void complete(struct nvme_ctrl *c, struct nvme_ioq *ioq,
		     const struct nvme_done *d, uint64_t now_ns)
{
	struct nvme_cmd *cmd = &ioq->cmd[d->slot];
	struct nvme_io *io = d->user;

	if (cmd->bounce >= 0) {
		unsigned i = (unsigned)cmd->bounce;

		if (io->op == NVME_READ && !d->status)
			nvme_cursor_scatter(&cmd->at,
					    ioq->bounce + i * NVME_BOUNCE_LEN,
					    cmd->len);
		ioq->bounce_free[ioq->bounce_count++] = (uint8_t)i;
	}
	c->counts.completions++;
	if (d->status && !io->status)
		io->status = d->status;
	io->since_ns = now_ns; /* it gets on */
	if (--io->outstanding == 0 && (!io->left || io->status))
		finish(c, ioq, io, now_ns);
}

int nvme_ioq_reap(struct nvme_ctrl *c, struct nvme_ioq *ioq, uint64_t now_ns)
{
	struct nvme_done d;
	int n = 0, r = 0;

	while (n < REAP_MAX && (r = nvme_queue_next(&ioq->q, &d)) > 0) {
		complete(c, ioq, &d, now_ns);
		n++;
	}
	if (nvme_queue_unacked(&ioq->q) >= ioq->q.size / 4)
		nvme_queue_ack(&ioq->q);
	return r < 0 ? r : n;
}
