// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_io.c - I/O commands: NVMe 1.4, 6 */
#include <stdlib.h>

#include "nvmc.h"

static uint64_t first_block(const struct r3_nvme_sqe *e)
{
	return r3_get_le32(e->cdw10) |
	       (uint64_t)r3_get_le32(e->cdw11) << 32;
}

/* Blocks to bytes, inside the namespace. */
static uint16_t place(struct nvmc *n, uint64_t lba, uint64_t blocks,
		      uint64_t *off, uint64_t *len)
{
	uint64_t total = n->conf.size >> nvmc_shift(n);

	if (lba > total || blocks > total - lba)
		return R3_NVME_LBA_OUT_OF_RANGE | R3_NVME_STATUS_DNR;
	if (n->conf.inject.crash && lba <= n->conf.inject.crash_lba &&
	    n->conf.inject.crash_lba - lba < blocks)
		abort();
	*off = lba << nvmc_shift(n);
	*len = blocks << nvmc_shift(n);
	return R3_NVME_SUCCESS;
}

static uint16_t read_write(struct nvmc *n, const struct r3_nvme_sqe *e,
			   struct nvmc_req *r)
{
	uint32_t dw12 = r3_get_le32(e->cdw12);
	bool write = e->opcode == R3_NVME_WRITE;
	uint16_t status = place(n, first_block(e), R3_NVME_RW_NLB(dw12),
				&r->off, &r->len);

	if (status)
		return status;
	r->op = write ? NVMC_WRITE : NVMC_READ;
	r->durable = write && ((dw12 & R3_NVME_RW_FUA) || !n->feat_cache);
	if (r->len > NVMC_TRANSFER_MAX)
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	status = nvmc_prps(n, r3_get_le64(e->prp1), r3_get_le64(e->prp2),
			   r->len, write ? R3_READ : R3_WRITE, r->iov,
			   &r->count);
	if (status)
		return status;
	if (write) {
		n->counts.writes++;
		n->counts.written_bytes += r->len;
	} else {
		n->counts.reads++;
		n->counts.read_bytes += r->len;
	}
	return R3_NVME_SUCCESS;
}

static uint16_t write_zeroes(struct nvmc *n, const struct r3_nvme_sqe *e,
			     struct nvmc_req *r)
{
	uint32_t dw12 = r3_get_le32(e->cdw12);

	r->op = NVMC_ZERO;
	r->durable = (dw12 & R3_NVME_RW_FUA) || !n->feat_cache;
	r->deallocate = dw12 & R3_NVME_RW_DEAC;
	r->count = 0;
	return place(n, first_block(e), R3_NVME_RW_NLB(dw12), &r->off,
		     &r->len);
}

/* Only Deallocate does something; other attributes are hints (6.7). */
static uint16_t dataset(struct nvmc *n, const struct r3_nvme_sqe *e,
			struct nvmc_req *r)
{
	struct r3_nvme_dsm_range in[R3_NVME_DSM_RANGES_MAX];
	unsigned count = (r3_get_le32(e->cdw10) & 0xff) + 1;
	uint32_t pieces = 0;
	struct iovec iov[4];
	uint8_t *to = (uint8_t *)in;
	uint16_t status;

	r->op = NVMC_DISCARD;
	r->count = 0;
	r->off = r->len = 0;
	if (!(r3_get_le32(e->cdw11) & R3_NVME_DSM_AD))
		return R3_NVME_SUCCESS;
	status = nvmc_prps(n, r3_get_le64(e->prp1), r3_get_le64(e->prp2),
			   count * sizeof(*in), R3_READ, iov, &pieces);
	if (status)
		return status;
	for (unsigned i = 0; i < pieces; to += iov[i++].iov_len)
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
	for (unsigned i = 0; i < count; i++) {
		struct nvmc_range *x = &r->ranges[i];

		status = place(n, r3_get_le64(in[i].lba),
			       r3_get_le32(in[i].count), &x->off, &x->len);
		if (status)
			return status;
	}
	r->count = count;
	return R3_NVME_SUCCESS;
}

/* @r for the back end, or a status. */
static uint16_t prepare(struct nvmc *n, const struct r3_nvme_sqe *e,
			struct nvmc_req *r)
{
	uint32_t nsid = r3_get_le32(e->nsid);

	r->off = r->len = 0;
	r->count = 0;
	r->durable = r->deallocate = false;
	if (R3_NVME_FLAGS_PSDT(e->flags) || R3_NVME_FLAGS_FUSE(e->flags))
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	if (nsid != 1 && !(e->opcode == R3_NVME_FLUSH && nsid == 0xffffffff))
		return R3_NVME_INVALID_NAMESPACE | R3_NVME_STATUS_DNR;
	if (n->conf.readonly &&
	    (e->opcode == R3_NVME_WRITE || e->opcode == R3_NVME_WRITE_ZEROES ||
	     e->opcode == R3_NVME_DSM))
		return R3_NVME_NS_WRITE_PROTECTED | R3_NVME_STATUS_DNR;
	switch (e->opcode) {
	case R3_NVME_READ:
	case R3_NVME_WRITE:
		return read_write(n, e, r);
	case R3_NVME_FLUSH:
		r->op = NVMC_FLUSH;
		n->counts.flushes++;
		return R3_NVME_SUCCESS;
	case R3_NVME_WRITE_ZEROES:
		n->counts.others++;
		return write_zeroes(n, e, r);
	case R3_NVME_DSM:
		n->counts.others++;
		return dataset(n, e, r);
	}
	return R3_NVME_INVALID_OPCODE | R3_NVME_STATUS_DNR;
}

/* Wrong on purpose: true when the command ends here. */
static bool injected(struct nvmc *n, struct nvmc_req *r)
{
	const struct nvmc_inject *x = &n->conf.inject;

	n->io_taken++;
	if (x->fatal && n->io_taken == x->fatal) {
		nvmc_fatal(n, "as injected");
		return true;
	}
	if (x->stall && !(n->io_taken % x->stall)) {
		r->next = n->stalled;
		n->stalled = r;
		return true;
	}
	return false;
}

void nvmc_io(struct nvmc *n, const struct r3_nvme_sqe *e, struct nvmc_req *r)
{
	uint16_t status;

	if (injected(n, r))
		return;
	status = prepare(n, e, r);
	if (status || (r->op == NVMC_DISCARD && !r->count)) {
		r->status = status;
		if (status) {
			n->counts.errors++;
			nvmc_log_error(n, r, first_block(e));
		}
		nvmc_post(n, r);
		return;
	}
	n->io_busy++;
	n->ops.start(n->arg, r);
}
