// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_prp.c - PRP lists to memory: NVMe 1.4, 4.3 */
#include "nvmc.h"

#define PAGE 4096u

struct walk {
	struct nvmc *n;
	struct iovec *iov;
	uint32_t count;
	int prot;
};

/* Neighbours here become one piece. */
static uint16_t add_piece(struct walk *w, uint64_t addr, uint64_t len)
{
	uint8_t *p = w->n->ops.map(w->n->arg, addr, len, w->prot);
	struct iovec *last;

	if (!p)
		return R3_NVME_DATA_TRANSFER_ERROR;
	if (w->count) {
		last = &w->iov[w->count - 1];
		if ((uint8_t *)last->iov_base + last->iov_len == p) {
			last->iov_len += len;
			return R3_NVME_SUCCESS;
		}
	}
	if (w->count == NVMC_IOV_MAX)
		return R3_NVME_INVALID_FIELD;
	w->iov[w->count++] = (struct iovec){ p, len };
	return R3_NVME_SUCCESS;
}

/*
 * The list at @list describes @len bytes.  Its first page may start anywhere
 * on 8 bytes; the last entry of a page points at the next one when more than
 * one entry is still needed.  Each further page brings 511 entries, so the
 * walk is bounded by @len however the pages point at each other.
 */
static uint16_t walk_list(struct walk *w, uint64_t list, uint64_t len)
{
	if (list & 7)
		return R3_NVME_INVALID_PRP_OFFSET;
	while (len) {
		unsigned room = (PAGE - (list & (PAGE - 1))) / 8;
		const uint64_t *e = w->n->ops.map(w->n->arg, list, room * 8,
						  R3_READ);
		uint64_t next = 0;

		if (!e)
			return R3_NVME_DATA_TRANSFER_ERROR;
		for (unsigned i = 0; i < room && len; i++) {
			uint64_t addr = __atomic_load_n(&e[i],
							__ATOMIC_RELAXED);
			uint64_t part = r3_min(len, PAGE);
			uint16_t status;

			if (addr & (PAGE - 1))
				return R3_NVME_INVALID_PRP_OFFSET;
			if (i == room - 1 && len > PAGE) {
				next = addr;
				break;
			}
			status = add_piece(w, addr, part);
			if (status)
				return status;
			len -= part;
		}
		list = next;
	}
	return R3_NVME_SUCCESS;
}

uint16_t nvmc_prps(struct nvmc *n, uint64_t prp1, uint64_t prp2, uint64_t len,
		   int prot, struct iovec *iov, uint32_t *count)
{
	struct walk w = { .n = n, .iov = iov, .prot = prot };
	uint64_t first = r3_min(len, PAGE - (prp1 & (PAGE - 1)));
	uint16_t status;

	if (len > NVMC_TRANSFER_MAX)
		return R3_NVME_INVALID_FIELD;
	if (prp1 & 3)
		return R3_NVME_INVALID_PRP_OFFSET;
	status = add_piece(&w, prp1, first);
	len -= first;
	if (!status && len > PAGE)
		status = walk_list(&w, prp2, len);
	else if (!status && len && (prp2 & (PAGE - 1)))
		status = R3_NVME_INVALID_PRP_OFFSET;
	else if (!status && len)
		status = add_piece(&w, prp2, len);
	if (!status)
		*count = w.count;
	return status;
}

uint16_t nvmc_reply(struct nvmc *n, const struct r3_nvme_sqe *e,
		    const void *data, size_t len)
{
	struct iovec iov[4]; /* 4096 bytes touch at most two pages */
	const uint8_t *from = data;
	uint32_t count = 0;
	uint16_t status;

	assert(len <= PAGE);
	if (!len)
		return R3_NVME_SUCCESS;
	status = nvmc_prps(n, r3_get_le64(e->prp1), r3_get_le64(e->prp2), len,
			   R3_WRITE, iov, &count);
	if (status)
		return status;
	for (unsigned i = 0; i < count; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
	return R3_NVME_SUCCESS;
}
