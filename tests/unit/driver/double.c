// SPDX-License-Identifier: GPL-2.0-or-later
/* double.c - an NVMe controller in the test's own process, good or bad */
#include "test.h"
#include "double.h"
#include "plain.h"

struct double_ctrl the_double;

void double_make(enum double_fault fault)
{
	memset(&the_double, 0, sizeof(the_double));
	the_double.fault = fault;
	the_double.queues = 4;
	the_double.csts = R3_NVME_CSTS_RDY; /* as a predecessor left it */
	the_double.cc = R3_NVME_CC_EN;
}

static struct double_ctrl *const d = &the_double;

/* What isn't mapped can't be reached: a wrong address fails the test. */
static uint8_t *reach(uint64_t iova, uint64_t len)
{
	for (unsigned i = 0; i < d->maps; i++) {
		if (iova >= d->map[i].iova &&
		    iova - d->map[i].iova + len <= d->map[i].len)
			return d->map[i].host + (iova - d->map[i].iova);
	}
	fail_msg("DMA outside the space at 0x%llx", (unsigned long long)iova);
	return NULL;
}

static bool once(enum double_fault fault)
{
	if (d->fault != fault || d->fired)
		return false;
	d->fired = true;
	return true;
}

/* ---- commands ------------------------------------------------------------ */

static void post(unsigned qid, uint16_t sqid, uint16_t cid, uint16_t status,
		 uint32_t dw0)
{
	struct r3_nvme_cqe *e = (void *)reach(
		d->q[qid].cq + d->q[qid].cq_tail * sizeof(*e), sizeof(*e));

	e->dw0 = r3_le32_of(dw0);
	e->sqid = r3_le16_of(sqid);
	e->sqhd = r3_le16_of(d->q[qid].head);
	r3_nvme_cqe_store_dw3(e, R3_NVME_DW3_OF(cid, status,
						d->q[qid].phase));
	if (++d->q[qid].cq_tail == d->q[qid].size) {
		d->q[qid].cq_tail = 0;
		d->q[qid].phase = !d->q[qid].phase;
	}
}

static void identify(const struct r3_nvme_sqe *e)
{
	uint8_t *to = reach(r3_get_le64(e->prp1), 4096);
	struct r3_nvme_id_ctrl *c = (void *)to;
	struct r3_nvme_id_ns *n = (void *)to;

	if (r3_get_le32(e->cdw10) == R3_NVME_CNS_CTRL) {
		memcpy(c->sn, "double              ", 20);
		memset(c->mn, ' ', sizeof(c->mn));
		c->mdts = (uint8_t)d->mdts;
		c->oncs = r3_le16_of(R3_NVME_ONCS_WRITE_ZEROES |
				     R3_NVME_ONCS_DSM);
		return;
	}
	if (d->fault != EMPTY_NS)
		n->nsze = r3_le64_of(DOUBLE_DISK / 512);
	n->lbaf[0].lbads = d->fault == HUGE_BLOCKS ? 13 : 9;
	n->lbaf[0].ms = r3_le16_of(d->fault == ODD_BLOCKS ? 8 : 0);
}

static void create(const struct r3_nvme_sqe *e, bool cq)
{
	uint32_t dw = r3_get_le32(e->cdw10);
	unsigned qid = dw & 0xffff;

	assert_true(qid >= 1 && qid <= d->queues);
	if (cq) {
		d->q[qid].cq = r3_get_le64(e->prp1);
		d->q[qid].cq_tail = 0;
		d->q[qid].phase = true;
	} else {
		d->q[qid].sq = r3_get_le64(e->prp1);
		d->q[qid].head = d->q[qid].tail = 0;
	}
	d->q[qid].size = (uint16_t)((dw >> 16) + 1);
}

static void admin(const struct r3_nvme_sqe *e)
{
	uint16_t cid = r3_get_le16(e->cid), status = 0;
	uint32_t dw0 = 0;

	if (d->fault == SILENT_ADMIN)
		return;
	switch (e->opcode) {
	case R3_NVME_IDENTIFY:
		if (d->fault == NO_IDENTIFY)
			status = R3_NVME_INTERNAL_ERROR;
		else
			identify(e);
		break;
	case R3_NVME_SET_FEATURES:
		dw0 = R3_NVME_FEAT_QUEUES_OF(d->queues, d->queues);
		break;
	case R3_NVME_CREATE_CQ:
		if (d->fault == NO_QUEUES)
			status = R3_NVME_INVALID_QUEUE_SIZE;
		else
			create(e, true);
		break;
	case R3_NVME_CREATE_SQ:
		create(e, false);
		break;
	case R3_NVME_ABORT:
		d->aborts++;
		dw0 = d->fault != STALLS_ONCE; /* 1: not aborted */
		if (!dw0) {
			assert_int_equal(r3_get_le32(e->cdw10) >> 16,
					 d->stalled_cid);
			post(r3_get_le32(e->cdw10) & 0xffff,
			     (uint16_t)r3_get_le32(e->cdw10), d->stalled_cid,
			     R3_NVME_ABORTED, 0);
		}
		break;
	default:
		status = R3_NVME_INVALID_OPCODE;
	}
	post(0, 0, cid, status, dw0);
}

/* The data of a read or write, by its PRPs (NVMe 1.4, 4.3). */
static void move(const struct r3_nvme_sqe *e, uint8_t *disk, uint32_t len)
{
	uint64_t prp[2] = { r3_get_le64(e->prp1), r3_get_le64(e->prp2) };
	uint32_t first = (uint32_t)r3_min(len, 4096 - (prp[0] & 4095));
	bool list = len > first && len - first > 4096;
	uint32_t entry = 0;

	for (uint32_t at = 0; at < len;) {
		uint32_t n = at ? (uint32_t)r3_min(len - at, 4096) : first;
		uint64_t addr = at ? prp[1] : prp[0];
		uint8_t *mem;

		if (at && list)
			addr = r3_get_le64(*(r3_le64 *)(void *)reach(
				prp[1] + 8 * entry++, 8));
		mem = reach(addr, n);
		if (e->opcode == R3_NVME_READ)
			memcpy(mem, disk + at, n);
		else
			memcpy(disk + at, mem, n);
		at += n;
	}
}

static uint16_t execute(const struct r3_nvme_sqe *e)
{
	uint64_t lba = r3_get_le32(e->cdw10);
	uint32_t blocks = R3_NVME_RW_NLB(r3_get_le32(e->cdw12));

	if (e->opcode == R3_NVME_FLUSH)
		return 0;
	if (e->opcode == R3_NVME_DSM) {
		const struct r3_nvme_dsm_range *r =
			(void *)reach(r3_get_le64(e->prp1), 4096 / 8);

		for (uint32_t i = 0; i <= lba; i++)
			memset(d->disk + r3_get_le64(r[i].lba) * 512, 0xdd,
			       r3_get_le32(r[i].count) * 512);
		return 0;
	}
	if (lba + blocks > DOUBLE_DISK / 512)
		return R3_NVME_LBA_OUT_OF_RANGE | R3_NVME_STATUS_DNR;
	if (e->opcode == R3_NVME_WRITE_ZEROES) {
		memset(d->disk + lba * 512, 0, blocks * 512);
		return 0;
	}
	d->largest = (uint32_t)r3_max(d->largest, blocks * 512);
	move(e, d->disk + lba * 512, blocks * 512);
	return 0;
}

static void io(unsigned qid, const struct r3_nvme_sqe *e)
{
	uint16_t cid = r3_get_le16(e->cid);
	bool at_7 = e->opcode != R3_NVME_FLUSH && r3_get_le32(e->cdw10) == 7;

	d->io_commands++;
	if (once(STALLS_ONCE) || once(STALLS_DEAF) ||
	    (d->fault == STALLS_LBA_7 && at_7)) {
		d->stalled_cid = cid;
		return;
	}
	if (once(FATAL_ONCE)) {
		d->csts |= R3_NVME_CSTS_CFS;
		return;
	}
	if (d->fault == GONE || d->fault == LOST) {
		d->lost = true;
		return;
	}
	if (d->fault == WRONG_CID_ALWAYS || once(WRONG_CID))
		post(qid, (uint16_t)qid, (uint16_t)(cid ^ 0x400), 0, 0);
	else if (once(WRONG_SQID))
		post(qid, (uint16_t)(qid + 1), cid, 0, 0);
	else if (once(FAILS_ONCE) || d->fault == FAILS_ALWAYS)
		post(qid, (uint16_t)qid, cid, R3_NVME_INTERNAL_ERROR, 0);
	else if (d->fault == FAILS_DNR)
		post(qid, (uint16_t)qid, cid, R3_NVME_UNRECOVERED_READ |
		     R3_NVME_STATUS_DNR, 0);
	else
		post(qid, (uint16_t)qid, cid, execute(e), 0);
}

static void doorbell(uint32_t off, uint32_t value)
{
	unsigned index = (off - R3_NVME_DOORBELLS) / 4, qid = index / 2;

	if (index % 2 || !(d->csts & R3_NVME_CSTS_RDY))
		return;
	d->q[qid].tail = (uint16_t)value;
	while (d->q[qid].head != d->q[qid].tail) {
		struct r3_nvme_sqe e = *(struct r3_nvme_sqe *)(void *)reach(
			d->q[qid].sq + d->q[qid].head * sizeof(e), sizeof(e));

		if (++d->q[qid].head == d->q[qid].size)
			d->q[qid].head = 0;
		if (qid)
			io(qid, &e);
		else
			admin(&e);
	}
}

/* ---- registers ----------------------------------------------------------- */

static void set_cc(uint32_t cc)
{
	bool was = d->cc & R3_NVME_CC_EN, is = cc & R3_NVME_CC_EN;

	d->cc = cc;
	if (!is && d->fault != STAYS_READY) {
		d->resets += was;
		d->csts = 0;
		return;
	}
	if (!is || was)
		return;
	d->enables++;
	memset(d->q, 0, sizeof(d->q));
	d->q[0].sq = d->asq;
	d->q[0].cq = d->acq;
	d->q[0].size = (uint16_t)(R3_NVME_AQA_ASQS(d->aqa) + 1);
	d->q[0].phase = true;
	if (d->fault == FATAL_AT_ENABLE)
		d->csts = R3_NVME_CSTS_CFS;
	else if (d->fault != NEVER_READY)
		d->csts = R3_NVME_CSTS_RDY;
}

int r3_device_read(struct r3_device *dev, unsigned region, uint64_t off,
		   void *buf, size_t len)
{
	uint64_t v = 0;

	(void)dev;
	(void)region;
	if (d->fault == LOST && d->lost)
		return -ENOTCONN;
	if (off == R3_NVME_CAP) /* 1024 entries, 1 s, NVM command set */
		v = 1023 | UINT64_C(2) << R3_NVME_CAP_TO_SHIFT |
		    UINT64_C(1) << R3_NVME_CAP_CSS_SHIFT;
	else if (off == R3_NVME_CSTS)
		v = d->csts;
	if (d->fault == GONE && d->lost)
		v = UINT64_MAX;
	memcpy(buf, &v, len);
	return 0;
}

int r3_device_write(struct r3_device *dev, unsigned region, uint64_t off,
		    const void *buf, size_t len)
{
	uint64_t v = 0;

	(void)dev;
	(void)region;
	if (d->fault == LOST && d->lost)
		return -ENOTCONN;
	memcpy(&v, buf, len);
	if (off == R3_NVME_CC)
		set_cc((uint32_t)v);
	else if (off == R3_NVME_AQA)
		d->aqa = (uint32_t)v;
	else if (off == R3_NVME_ASQ)
		d->asq = v;
	else if (off == R3_NVME_ACQ)
		d->acq = v;
	else if (off >= R3_NVME_DOORBELLS)
		doorbell((uint32_t)off, (uint32_t)v);
	return 0;
}

/* ---- the rest of a device ------------------------------------------------ */

unsigned r3_device_events(struct r3_device *dev)
{
	(void)dev;
	return 0;
}

int r3_device_reset(struct r3_device *dev)
{
	(void)dev;
	return -EOPNOTSUPP;
}

int r3_device_bus_master(struct r3_device *dev, bool on)
{
	(void)dev, (void)on;
	return d->fault == LOST && d->lost ? -ENOTCONN : 0;
}

void r3_device_close(struct r3_device *dev)
{
	(void)dev;
	d->closed++;
	d->maps = 0;
}

const struct r3_space_limits *r3_space_limits(const struct r3_space *space)
{
	static const struct r3_space_limits limits = {
		.range_count = 1, .ranges = { { 0, UINT64_MAX } } };

	(void)space;
	return &limits;
}

int r3_space_map(struct r3_space *space, uint64_t iova,
		 const struct r3_space_mem *mem, int prot)
{
	(void)space, (void)prot;
	assert_true(d->maps < R3_COUNT(d->map));
	d->map[d->maps].iova = iova;
	d->map[d->maps].len = mem->len;
	d->map[d->maps++].host = mem->host;
	return 0;
}

int r3_space_map_any(struct r3_space *space, const struct r3_space_mem *mem,
		     int prot, uint64_t align, uint64_t last, uint64_t *iova)
{
	(void)align, (void)last;
	*iova = 0x10000;
	return r3_space_map(space, *iova, mem, prot);
}

int r3_space_unmap(struct r3_space *space, uint64_t iova, uint64_t len)
{
	(void)space, (void)len;
	for (unsigned i = 0; i < d->maps; i++) {
		if (d->map[i].iova == iova)
			d->map[i] = d->map[--d->maps];
	}
	return 0;
}
