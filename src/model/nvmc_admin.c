// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_admin.c - admin commands: NVMe 1.4, 5 */
#include "nvmc.h"

/* ---- queues -------------------------------------------------------------- */

static bool sq_exists(const struct nvmc *n, unsigned i)
{
	return i < NVMC_QUEUES && n->sq[i].size;
}

static bool cq_exists(const struct nvmc *n, unsigned i)
{
	return i < NVMC_QUEUES && n->cq[i].size;
}

/* What Create SQ and Create CQ check alike (5.3, 5.4). */
static uint16_t check_create(const struct nvmc *n, const struct r3_nvme_sqe *e,
			     unsigned *qid, uint32_t *size)
{
	uint32_t dw10 = r3_get_le32(e->cdw10);

	*qid = dw10 & 0xffff;
	*size = (dw10 >> 16) + 1;
	if (!*qid || *qid > n->conf.queues)
		return R3_NVME_INVALID_QID;
	if (*size < 2 || *size > NVMC_ENTRIES_MAX)
		return R3_NVME_INVALID_QUEUE_SIZE;
	if (!(r3_get_le32(e->cdw11) & R3_NVME_QUEUE_PC))
		return R3_NVME_INVALID_FIELD; /* CAP.CQR */
	if (r3_get_le64(e->prp1) & 4095)
		return R3_NVME_INVALID_PRP_OFFSET;
	return R3_NVME_SUCCESS;
}

static uint16_t create_cq(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	uint32_t dw11 = r3_get_le32(e->cdw11), size;
	unsigned qid;
	uint16_t status = check_create(n, e, &qid, &size);
	struct nvmc_cq *cq;

	if (status)
		return status;
	if (cq_exists(n, qid))
		return R3_NVME_INVALID_QID;
	if (R3_NVME_CC_IOCQES(n->cc) != R3_NVME_CQES)
		return R3_NVME_INVALID_QUEUE_SIZE;
	if ((dw11 & R3_NVME_CQ_IEN) && dw11 >> 16 > n->conf.queues)
		return R3_NVME_INVALID_VECTOR;
	cq = &n->cq[qid];
	*cq = (struct nvmc_cq){ .addr = r3_get_le64(e->prp1), .size = size,
				.vector = (uint16_t)(dw11 >> 16),
				.irq_on = dw11 & R3_NVME_CQ_IEN,
				.phase = true };
	cq->wait_end = &cq->wait;
	cq->ring = n->ops.map(n->arg, cq->addr, size * 16ul, R3_WRITE);
	if (!cq->ring) {
		cq->size = 0;
		return R3_NVME_DATA_TRANSFER_ERROR;
	}
	if (n->db)
		n->db[2 * qid + 1] = n->ei[2 * qid + 1] = 0;
	return R3_NVME_SUCCESS;
}

static uint16_t create_sq(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	unsigned qid, cqid = r3_get_le32(e->cdw11) >> 16;
	uint32_t size;
	uint16_t status = check_create(n, e, &qid, &size);
	struct nvmc_sq *sq;

	if (status)
		return status;
	if (sq_exists(n, qid))
		return R3_NVME_INVALID_QID;
	if (!cqid || !cq_exists(n, cqid))
		return R3_NVME_INVALID_CQ;
	if (R3_NVME_CC_IOSQES(n->cc) != R3_NVME_SQES)
		return R3_NVME_INVALID_QUEUE_SIZE;
	sq = &n->sq[qid];
	*sq = (struct nvmc_sq){ .addr = r3_get_le64(e->prp1), .size = size,
				.cqid = (uint16_t)cqid };
	sq->ring = n->ops.map(n->arg, sq->addr, size * 64ul, R3_READ);
	if (!sq->ring) {
		sq->size = 0;
		return R3_NVME_DATA_TRANSFER_ERROR;
	}
	n->cq[cqid].users++;
	if (qid > n->sq_top)
		n->sq_top = qid;
	if (n->db)
		n->db[2 * qid] = n->ei[2 * qid] = 0;
	return R3_NVME_SUCCESS;
}

static uint16_t delete_cq(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	unsigned qid = r3_get_le32(e->cdw10) & 0xffff;

	if (!qid || !cq_exists(n, qid))
		return R3_NVME_INVALID_QID;
	if (n->cq[qid].users)
		return R3_NVME_INVALID_QUEUE_DELETION;
	n->cq[qid] = (struct nvmc_cq){ 0 };
	n->cq[qid].wait_end = &n->cq[qid].wait;
	return R3_NVME_SUCCESS;
}

/*
 * Doorbell Buffer Config (5.7).  Hosts send it before or after they create
 * queues, so the shadows of existing ones start with what we know.
 */
static uint16_t doorbell_config(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	uint64_t dbs = r3_get_le64(e->prp1), eis = r3_get_le64(e->prp2);

	if ((dbs | eis) & 4095)
		return R3_NVME_INVALID_PRP_OFFSET;
	if (!n->ops.map(n->arg, dbs, 4096, R3_READ | R3_WRITE) ||
	    !n->ops.map(n->arg, eis, 4096, R3_WRITE))
		return R3_NVME_DATA_TRANSFER_ERROR;
	n->dbs = dbs;
	n->eis = eis;
	n->dbbuf = true;
	n->db = n->ops.map(n->arg, dbs, 4096, R3_READ | R3_WRITE);
	n->ei = n->ops.map(n->arg, eis, 4096, R3_WRITE);
	for (unsigned i = 1; i < NVMC_QUEUES; i++) {
		n->db[2 * i] = n->ei[2 * i] = n->sq[i].tail;
		n->db[2 * i + 1] = n->ei[2 * i + 1] = n->cq[i].head;
	}
	return R3_NVME_SUCCESS;
}

/* ---- events -------------------------------------------------------------- */

/* Answer a held request when there is something to tell (5.2). */
static void tell_event(struct nvmc *n)
{
	struct nvmc_req *r;
	unsigned info;

	if (!n->aers || !n->events || n->events_masked)
		return;
	info = (unsigned)__builtin_ctz(n->events);
	n->events &= (uint8_t)~(1u << info);
	n->events_masked = true;
	r = n->aer[0];
	memmove(n->aer, n->aer + 1, --n->aers * sizeof(*n->aer));
	r->dw0 = R3_NVME_LOG_ERROR << 16 | info << 8; /* type 0: error */
	nvmc_post(n, r);
}

void nvmc_event(struct nvmc *n, unsigned info)
{
	n->events |= (uint8_t)(1u << info);
	if (n->state == NVMC_ON)
		tell_event(n);
}

static bool async_event(struct nvmc *n, struct nvmc_req *r)
{
	if (n->aers == NVMC_AERS) {
		r->status = R3_NVME_AER_LIMIT;
		return true;
	}
	n->aer[n->aers++] = r;
	tell_event(n);
	return false;
}

/* ---- abort --------------------------------------------------------------- */

/* Take a command that is not with the back end out and end it. */
bool nvmc_cancel(struct nvmc *n, uint16_t sqid, uint16_t cid, uint16_t status)
{
	struct nvmc_req **at;

	for (at = &n->stalled; *at; at = &(*at)->next) {
		struct nvmc_req *r = *at;

		if (r->sqid != sqid || r->cid != cid)
			continue;
		*at = r->next;
		r->status = status;
		nvmc_post(n, r);
		return true;
	}
	for (unsigned i = 0; !sqid && i < n->aers; i++) {
		struct nvmc_req *r = n->aer[i];

		if (r->cid != cid)
			continue;
		memmove(&n->aer[i], &n->aer[i + 1],
			(--n->aers - i) * sizeof(*n->aer));
		r->status = status;
		nvmc_post(n, r);
		return true;
	}
	return false;
}

/* What the back end already has is not called back: it ends soon. */
static uint16_t abort_command(struct nvmc *n, const struct r3_nvme_sqe *e,
			      uint32_t *dw0)
{
	uint32_t dw10 = r3_get_le32(e->cdw10);

	n->counts.aborts++;
	*dw0 = !nvmc_cancel(n, dw10 & 0xffff, (uint16_t)(dw10 >> 16),
			    R3_NVME_ABORTED);
	return R3_NVME_SUCCESS;
}

/* ---- all of them --------------------------------------------------------- */

/* True: @r->status is the answer; false: it comes later. */
static bool run(struct nvmc *n, const struct r3_nvme_sqe *e,
		struct nvmc_req *r)
{
	unsigned qid = r3_get_le32(e->cdw10) & 0xffff;

	switch (e->opcode) {
	case R3_NVME_DELETE_SQ:
		r->status = R3_NVME_INVALID_QID;
		return !(qid && sq_exists(n, qid) && nvmc_delete_sq(n, qid, r));
	case R3_NVME_CREATE_SQ:
		r->status = create_sq(n, e);
		return true;
	case R3_NVME_DELETE_CQ:
		r->status = delete_cq(n, e);
		return true;
	case R3_NVME_CREATE_CQ:
		r->status = create_cq(n, e);
		return true;
	case R3_NVME_IDENTIFY:
		r->status = nvmc_identify(n, e);
		return true;
	case R3_NVME_GET_LOG_PAGE:
		r->status = nvmc_get_log(n, e);
		tell_event(n);
		return true;
	case R3_NVME_ABORT:
		r->status = abort_command(n, e, &r->dw0);
		return true;
	case R3_NVME_SET_FEATURES:
	case R3_NVME_GET_FEATURES:
		r->status = nvmc_features(n, e, &r->dw0);
		return true;
	case R3_NVME_ASYNC_EVENT:
		return async_event(n, r);
	case R3_NVME_DOORBELL_CONFIG:
		r->status = doorbell_config(n, e);
		return true;
	}
	r->status = R3_NVME_INVALID_OPCODE | R3_NVME_STATUS_DNR;
	return true;
}

void nvmc_admin(struct nvmc *n, const struct r3_nvme_sqe *e,
		struct nvmc_req *r)
{
	n->counts.others++;
	if (R3_NVME_FLAGS_PSDT(e->flags) || R3_NVME_FLAGS_FUSE(e->flags)) {
		r->status = R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
		nvmc_post(n, r);
		return;
	}
	if (run(n, e, r))
		nvmc_post(n, r);
}
