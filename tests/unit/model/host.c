// SPDX-License-Identifier: GPL-2.0-or-later
/* host.c - a host with a little memory, for the controller's core */
#include <stdlib.h>

#include "host.h"

static void *host_map(void *arg, uint64_t addr, uint64_t len, int prot)
{
	struct host *h = arg;

	if (prot & R3_WRITE && h->read_only &&
	    addr - HOST_BASE < h->read_only + R3_PAGE_SIZE &&
	    addr - HOST_BASE + len > h->read_only)
		return NULL;
	if (h->away || addr < HOST_BASE || addr - HOST_BASE > HOST_MEM ||
	    len > HOST_MEM - (addr - HOST_BASE))
		return NULL;
	return h->mem + (addr - HOST_BASE);
}

static void move(struct host *h, const struct nvmc_req *r, bool write)
{
	uint64_t at = r->off;

	for (uint32_t i = 0; i < r->count; i++) {
		size_t len = r->iov[i].iov_len;

		assert(at + len <= HOST_DISK);
		if (write)
			memcpy(h->disk + at, r->iov[i].iov_base, len);
		else
			memcpy(r->iov[i].iov_base, h->disk + at, len);
		at += len;
	}
	assert(at == r->off + r->len);
}

static void perform(struct host *h, struct nvmc_req *r)
{
	if (!h->fail && (r->op == NVMC_READ || r->op == NVMC_WRITE))
		move(h, r, r->op == NVMC_WRITE);
	if (!h->fail && r->op == NVMC_ZERO)
		memset(h->disk + r->off, 0, r->len);
	for (uint32_t i = 0; r->op == NVMC_DISCARD && i < r->count; i++)
		memset(h->disk + r->ranges[i].off, 0, r->ranges[i].len);
	nvmc_done(&h->n, r, h->fail);
}

static void host_start(void *arg, struct nvmc_req *r)
{
	struct host *h = arg;

	h->starts++;
	if (h->defer) {
		assert(h->held_count < R3_COUNT(h->held));
		h->held[h->held_count++] = r;
	} else {
		perform(h, r);
	}
}

void host_finish(struct host *h)
{
	unsigned count = h->held_count;

	h->held_count = 0;
	for (unsigned i = 0; i < count; i++)
		perform(h, h->held[i]);
}

static void host_irq(void *arg, unsigned vector)
{
	struct host *h = arg;

	assert(vector < NVMC_QUEUES);
	h->irqs[vector]++;
}

void host_init(struct host *h, const struct nvmc_inject *inject)
{
	static const struct nvmc_ops ops = {
		.map = host_map, .start = host_start, .irq = host_irq,
	};
	struct nvmc_conf conf = {
		.size = HOST_DISK, .block_size = 512, .queues = 4,
		.serial = "test",
	};
	int err;

	memset(h, 0, sizeof(*h));
	if (inject)
		conf.inject = *inject;
	h->mem = aligned_alloc(4096, HOST_MEM);
	h->disk = calloc(1, HOST_DISK);
	assert(h->mem && h->disk);
	memset(h->mem, 0, HOST_MEM);
	err = nvmc_init(&h->n, &conf, &ops, h);
	assert(!err);
	(void)err;
}

void host_fini(struct host *h)
{
	nvmc_fini(&h->n);
	free(h->mem);
	free(h->disk);
}

uint32_t host_get(struct host *h, uint32_t reg)
{
	uint32_t v;

	nvmc_bar_read(&h->n, reg, &v, 4);
	return v;
}

void host_set(struct host *h, uint32_t reg, uint32_t v)
{
	nvmc_bar_write(&h->n, reg, &v, 4);
}

bool host_enable(struct host *h)
{
	h->sq_tail[0] = h->cq_head[0] = 0;
	h->phase[0] = true;
	memset(h->mem, 0, 0x6000);
	host_set(h, R3_NVME_AQA, R3_NVME_AQA_OF(HOST_ENTRIES, HOST_ENTRIES));
	host_set(h, R3_NVME_ASQ, HOST_BASE + HOST_ASQ);
	host_set(h, R3_NVME_ASQ + 4, 0);
	host_set(h, R3_NVME_ACQ, HOST_BASE + HOST_ACQ);
	host_set(h, R3_NVME_ACQ + 4, 0);
	host_set(h, R3_NVME_CC, R3_NVME_CC_EN |
		 R3_NVME_SQES << R3_NVME_CC_IOSQES_SHIFT |
		 R3_NVME_CQES << R3_NVME_CC_IOCQES_SHIFT);
	return host_get(h, R3_NVME_CSTS) & R3_NVME_CSTS_RDY;
}

uint16_t host_put(struct host *h, unsigned q, struct r3_nvme_sqe *e)
{
	uint8_t *ring = h->mem + (q ? HOST_SQ : HOST_ASQ);

	e->cid = r3_le16_of(++h->cid);
	memcpy(ring + 64 * h->sq_tail[q], e, 64);
	h->sq_tail[q] = (h->sq_tail[q] + 1) % HOST_ENTRIES;
	host_set(h, r3_nvme_doorbell(q, 0, 0), h->sq_tail[q]);
	return h->cid;
}

bool host_take(struct host *h, unsigned q, struct r3_nvme_cqe *out)
{
	const uint8_t *ring = h->mem + (q ? HOST_CQ : HOST_ACQ);
	struct r3_nvme_cqe e;

	memcpy(&e, ring + 16 * h->cq_head[q], 16);
	if ((r3_get_le16(e.status) & 1) != h->phase[q])
		return false;
	if (++h->cq_head[q] == HOST_ENTRIES) {
		h->cq_head[q] = 0;
		h->phase[q] = !h->phase[q];
	}
	host_set(h, r3_nvme_doorbell(q, 1, 0), h->cq_head[q]);
	*out = e;
	return true;
}

uint16_t host_run(struct host *h, unsigned q, struct r3_nvme_sqe *e,
		  uint32_t *dw0)
{
	uint16_t cid = host_put(h, q, e);
	struct r3_nvme_cqe c;
	bool came;

	nvmc_poll(&h->n);
	nvmc_signal(&h->n);
	came = host_take(h, q, &c);
	assert(came && r3_get_le16(c.cid) == cid &&
	       r3_get_le16(c.sqid) == q);
	(void)came;
	(void)cid;
	if (dw0)
		*dw0 = r3_get_le32(c.dw0);
	return r3_get_le16(c.status) >> 1 & R3_NVME_STATUS_MASK;
}

void host_io_queues(struct host *h)
{
	struct r3_nvme_sqe e = { .opcode = R3_NVME_CREATE_CQ };
	uint16_t status;

	h->sq_tail[1] = h->cq_head[1] = 0;
	h->phase[1] = true;
	e.cdw10 = r3_le32_of(R3_NVME_QUEUE_CDW10(1, HOST_ENTRIES));
	e.cdw11 = r3_le32_of(R3_NVME_QUEUE_PC | R3_NVME_CQ_IEN | 1 << 16);
	e.prp1 = r3_le64_of(HOST_BASE + HOST_CQ);
	status = host_run(h, 0, &e, NULL);
	e.opcode = R3_NVME_CREATE_SQ;
	e.cdw11 = r3_le32_of(R3_NVME_QUEUE_PC | 1 << 16);
	e.prp1 = r3_le64_of(HOST_BASE + HOST_SQ);
	status |= host_run(h, 0, &e, NULL);
	assert(!status);
	(void)status;
}

struct r3_nvme_sqe host_rw(uint8_t opcode, uint64_t lba, unsigned blocks,
			   uint64_t prp1, uint64_t prp2)
{
	return (struct r3_nvme_sqe){
		.opcode = opcode, .nsid = r3_le32_of(1),
		.prp1 = r3_le64_of(prp1), .prp2 = r3_le64_of(prp2),
		.cdw10 = r3_le32_of((uint32_t)lba),
		.cdw11 = r3_le32_of((uint32_t)(lba >> 32)),
		.cdw12 = r3_le32_of(blocks - 1),
	};
}
