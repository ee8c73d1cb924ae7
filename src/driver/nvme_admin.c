// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_admin.c - admin commands: identify, features, queues, abort */
#include "ring3/log.h"
#include "nvme_admin.h"

#define NSID 1u

/* What an admin command was for: its place in this table is the "user" of its
 * slot. */
enum kind { ID_CTRL, ID_NS, QUEUE_COUNT, DOORBELLS, QUIET, CREATE_CQ,
	    CREATE_SQ, ABORT, KINDS };

static const struct what {
	enum kind kind;
	const char *failed; /* NULL: may fail */
} whats[KINDS] = {
	[ID_CTRL] = { ID_CTRL, "it failed to identify itself" },
	[ID_NS] = { ID_NS, "it failed to identify namespace 1" },
	[QUEUE_COUNT] = { QUEUE_COUNT, "it failed to set its queue count" },
	[DOORBELLS] = { DOORBELLS, NULL },
	[QUIET] = { QUIET, NULL },
	[CREATE_CQ] = { CREATE_CQ, "it failed to create a completion queue" },
	[CREATE_SQ] = { CREATE_SQ, "it failed to create a submission queue" },
	[ABORT] = { ABORT, NULL },
};

static void send(struct nvme_ctrl *c, enum kind kind,
		 const struct r3_nvme_sqe *e)
{
	if (!nvme_queue_room(&c->admin))
		return; /* only aborts could come to that; they are repeated */
	nvme_queue_add(&c->admin, e, (void *)&whats[kind]);
	if (kind != ABORT)
		c->admin_waiting++;
}

static void identify(struct nvme_ctrl *c, enum kind kind, unsigned cns,
		     uint32_t nsid, uint32_t at)
{
	struct r3_nvme_sqe e = { .opcode = R3_NVME_IDENTIFY };

	memset(c->mem + at, 0, R3_NVME_IDENTIFY_LEN);
	e.nsid = r3_le32_of(nsid);
	e.prp1 = r3_le64_of(c->mem_iova + at);
	e.cdw10 = r3_le32_of(cns);
	send(c, kind, &e);
}

void nvme_admin_identify(struct nvme_ctrl *c)
{
	struct r3_nvme_sqe e = { .opcode = R3_NVME_SET_FEATURES };

	identify(c, ID_CTRL, R3_NVME_CNS_CTRL, 0, NVME_MEM_ID_CTRL);
	identify(c, ID_NS, R3_NVME_CNS_NS, NSID, NVME_MEM_ID_NS);
	e.cdw10 = r3_le32_of(R3_NVME_FEAT_QUEUES);
	e.cdw11 = r3_le32_of(R3_NVME_FEAT_QUEUES_OF(c->conf.queues,
						    c->conf.queues));
	send(c, QUEUE_COUNT, &e);
	nvme_queue_ring(&c->admin);
}

static void set_up_doorbells(struct nvme_ctrl *c)
{
	struct r3_nvme_sqe e = { .opcode = R3_NVME_DOORBELL_CONFIG };

	memset(c->mem + NVME_MEM_DB, 0, 2 * NVME_PAGE);
	c->dbbuf = false;
	c->quiet = false;
	if (!c->has_dbbuf || !c->conf.doorbell_buffer ||
	    r3_nvme_doorbell(c->queue_count, 1, R3_NVME_CAP_DSTRD(c->cap)) >=
		    R3_NVME_DOORBELLS + R3_NVME_QUIET_OFF)
		return;
	e.prp1 = r3_le64_of(c->mem_iova + NVME_MEM_DB);
	e.prp2 = r3_le64_of(c->mem_iova + NVME_MEM_EI);
	send(c, DOORBELLS, &e);
	if (!c->quiet_offered)
		return;
	e = (struct r3_nvme_sqe){ .opcode = R3_NVME_SET_FEATURES };
	e.cdw10 = r3_le32_of(R3_NVME_FEAT_QUIET);
	e.cdw11 = r3_le32_of(1);
	send(c, QUIET, &e);
}

void nvme_admin_create_cqs(struct nvme_ctrl *c)
{
	uint16_t size = nvme_ctrl_queue_size(c);

	set_up_doorbells(c);
	for (unsigned i = 0; i < c->queue_count; i++) {
		struct r3_nvme_sqe e = { .opcode = R3_NVME_CREATE_CQ };
		uint32_t how = R3_NVME_QUEUE_PC;

		if (c->conf.interrupts && c->vectors)
			how |= R3_NVME_CQ_IEN; /* vector 0 */
		e.prp1 = r3_le64_of(c->mem_iova + nvme_mem_ring(c, i, 1));
		e.cdw10 = r3_le32_of(R3_NVME_QUEUE_CDW10(i + 1, size));
		e.cdw11 = r3_le32_of(how);
		send(c, CREATE_CQ, &e);
	}
	nvme_queue_ring(&c->admin);
}

void nvme_admin_create_sqs(struct nvme_ctrl *c)
{
	uint16_t size = nvme_ctrl_queue_size(c);

	c->quiet_word = (uint32_t *)(void *)(c->mem + NVME_MEM_DB +
					     R3_NVME_QUIET_OFF);
	for (unsigned i = 0; i < c->queue_count; i++) {
		struct r3_nvme_sqe e = { .opcode = R3_NVME_CREATE_SQ };

		nvme_ctrl_clear_queue(c, i);
		e.prp1 = r3_le64_of(c->mem_iova + nvme_mem_ring(c, i, 0));
		e.cdw10 = r3_le32_of(R3_NVME_QUEUE_CDW10(i + 1, size));
		e.cdw11 = r3_le32_of(R3_NVME_QUEUE_PC | (i + 1) << 16);
		send(c, CREATE_SQ, &e);
	}
	nvme_queue_ring(&c->admin);
}

unsigned nvme_ctrl_abort(struct nvme_ctrl *c, struct nvme_ioq *ioq)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < ioq->q.size - 1; i++) {
		struct r3_nvme_sqe e = { .opcode = R3_NVME_ABORT };

		if (ioq->q.slot[i].user != ioq->first || ioq->cmd[i].aborting)
			continue;
		if (!nvme_queue_room(&c->admin))
			break;
		ioq->cmd[i].aborting = true;
		e.cdw10 = r3_le32_of(R3_NVME_ABORT_CDW10(
			ioq->q.qid, nvme_queue_cid(&ioq->q, i)));
		send(c, ABORT, &e);
		c->counts.aborts++;
		n++;
	}
	nvme_queue_ring(&c->admin);
	return n;
}

/* ---- answers ------------------------------------------------------------- */

static void fail(struct nvme_ctrl *c, const char *why)
{
	c->admin_failed = true;
	c->why = why;
}

/* ASCII padded with blanks; control characters become '?'. */
static void text(char *out, const char *in, size_t len)
{
	memcpy(out, in, len);
	while (len && (out[len - 1] == ' ' || !out[len - 1]))
		len--;
	out[len] = 0;
	for (size_t i = 0; i < len; i++) {
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
	}
}

static void take_ctrl(struct nvme_ctrl *c)
{
	const struct r3_nvme_id_ctrl *id =
		(const void *)(c->mem + NVME_MEM_ID_CTRL);
	unsigned oncs = r3_get_le16(id->oncs);
	unsigned mdts = id->mdts;

	c->ns.max_bytes = NVME_TRANSFER_MAX;
	if (mdts && mdts < 16)
		c->ns.max_bytes = (uint32_t)r3_min(NVME_PAGE << mdts,
						   NVME_TRANSFER_MAX);
	c->ns.write_cache = id->vwc & 1;
	c->ns.zeroes = oncs & R3_NVME_ONCS_WRITE_ZEROES;
	c->ns.trim = oncs & R3_NVME_ONCS_DSM;
	c->has_dbbuf = r3_get_le16(id->oacs) & R3_NVME_OACS_DOORBELL_CONFIG;
	text(c->ns.serial, id->sn, sizeof(id->sn));
	text(c->ns.model, id->mn, sizeof(id->mn));
	c->quiet_offered = !strncmp(c->ns.model, R3_NVME_MODEL,
				    strlen(R3_NVME_MODEL));
}

static void take_ns(struct nvme_ctrl *c)
{
	const struct r3_nvme_id_ns *id =
		(const void *)(c->mem + NVME_MEM_ID_NS);
	const struct r3_nvme_lbaf *f = &id->lbaf[id->flbas & 0xf];
	uint64_t blocks = r3_get_le64(id->nsze);
	unsigned shift = f->lbads;

	if (!blocks)
		fail(c, "namespace 1 is empty or not attached");
	else if (shift < 9 || shift > 12 || r3_get_le16(f->ms))
		fail(c, "namespace 1 has blocks other than 512 to 4096 bytes "
			"without metadata; format it so");
	else if (blocks > (UINT64_MAX >> shift))
		fail(c, "namespace 1 is impossibly large");
	else if (c->identified && (c->ns.blocks > blocks ||
				   c->ns.block_size != 1u << shift))
		fail(c, "namespace 1 is smaller than before");
	if (c->admin_failed)
		return;
	c->ns.blocks = blocks;
	c->ns.block_size = 1u << shift;
	c->ns.readonly = id->nsattr & 1;
	c->identified = true;
}

/* Requests wait in the queues that the first device had: no fewer later. */
static void take_queue_count(struct nvme_ctrl *c, uint32_t dw0)
{
	unsigned n = (unsigned)r3_min(R3_NVME_FEAT_QUEUES_NSQ(dw0),
				      R3_NVME_FEAT_QUEUES_NCQ(dw0));

	if (!c->counted)
		c->queue_count = (unsigned)r3_min(c->conf.queues, n);
	else if (n < c->queue_count)
		fail(c, "it has fewer queues than before");
	c->counted = true;
}

void nvme_admin_done(struct nvme_ctrl *c, const struct nvme_done *d)
{
	const struct what *w = d->user;

	if (w->kind != ABORT && c->admin_waiting)
		c->admin_waiting--;
	if (d->status && w->failed) {
		r3_log(R3_WARN, NVME_PART, c->conf.name, "%s: status=0x%x",
		       w->failed, d->status);
		fail(c, w->failed);
		return;
	}
	switch (w->kind) {
	case ID_CTRL:
		take_ctrl(c);
		break;
	case ID_NS:
		take_ns(c);
		break;
	case QUEUE_COUNT:
		take_queue_count(c, d->dw0);
		break;
	case DOORBELLS:
		c->dbbuf = !d->status;
		break;
	case QUIET:
		c->quiet = !d->status;
		break;
	default:
		break;
	}
}
