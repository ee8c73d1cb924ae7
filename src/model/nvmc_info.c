// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_info.c - what the controller says of itself: identify, log pages,
 * features: NVMe 1.4, 5.14, 5.15, 5.21 */
#include <stdio.h>

#include "nvmc.h"

#define ALL_NS 0xffffffffu

/* "text" padded with blanks, as identify wants its strings (1.8). */
static void put_text(char *to, size_t room, const char *text)
{
	size_t len = strnlen(text, room);

	memset(to, ' ', room);
	memcpy(to, text, len);
}

/* 16 stable bytes from the serial number: FNV-1a, twice, differently. */
static void put_id(const struct nvmc *n, uint8_t id[16])
{
	for (unsigned half = 0; half < 2; half++) {
		uint64_t h = UINT64_C(0xcbf29ce484222325) + half;

		for (const char *p = n->conf.serial; *p; p++)
			h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
		memcpy(id + 8 * half, &h, 8);
	}
}

static void fill_ctrl(const struct nvmc *n, struct r3_nvme_id_ctrl *c)
{
	put_text(c->sn, sizeof(c->sn), n->conf.serial);
	put_text(c->mn, sizeof(c->mn), "ring3 NVMe model");
	put_text(c->fr, sizeof(c->fr), R3_VERSION);
	c->vid = c->ssvid = r3_le16_of(0x1b36);
	c->rab = 6;
	c->mdts = NVMC_MDTS;
	c->ver = r3_le32_of(R3_NVME_VS_1_4);
	c->rtd3e = r3_le32_of(20 * 1000 * 1000); /* a flush, microseconds */
	c->cntrltype = 1;
	c->oacs = r3_le16_of(R3_NVME_OACS_DOORBELL_CONFIG);
	c->acl = NVMC_ABORTS - 1;
	c->aerl = NVMC_AERS - 1;
	c->frmw = 1 << 1 | 1; /* one slot, read only */
	c->lpa = 1 << 2;      /* offsets into log pages */
	c->elpe = NVMC_ERRORS - 1;
	c->wctemp = r3_le16_of(343);
	c->cctemp = r3_le16_of(373);
	c->sqes = R3_NVME_SQES << 4 | R3_NVME_SQES;
	c->cqes = R3_NVME_CQES << 4 | R3_NVME_CQES;
	c->nn = r3_le32_of(1);
	c->oncs = r3_le16_of(R3_NVME_ONCS_DSM | R3_NVME_ONCS_WRITE_ZEROES);
	c->vwc = 1; /* flush of all namespaces at once: not said (bits 2:1) */
	c->sgls = r3_le32_of(0); /* PRPs only */
	snprintf(c->subnqn, sizeof(c->subnqn),
		 "nqn.2026-11.org.ring3:model:%s", n->conf.serial);
	c->psd[0].mp = r3_le16_of(2500);
}

static void fill_ns(const struct nvmc *n, struct r3_nvme_id_ns *ns)
{
	uint64_t blocks = n->conf.size >> nvmc_shift(n);
	uint16_t in_page = (uint16_t)(4096 >> nvmc_shift(n));
	uint8_t id[16];

	ns->nsze = ns->ncap = ns->nuse = r3_le64_of(blocks);
	ns->nsfeat = 1 << 4 | 1; /* discard works; the fields below are set */
	ns->dlfeat = 1 << 3 | 1; /* reads as 0; write zeroes may deallocate */
	ns->npwg = ns->npwa = ns->npdg = ns->npda =
		r3_le16_of((uint16_t)(in_page - 1));
	ns->lbaf[0].lbads = (uint8_t)nvmc_shift(n);
	ns->nsattr = n->conf.readonly;
	put_id(n, id);
	memcpy(ns->nguid, id, 16);
	memcpy(ns->eui64, id, 8);
}

static uint16_t ns_descriptors(const struct nvmc *n, uint8_t *page)
{
	struct r3_nvme_ns_desc d = { .type = R3_NVME_NIDT_NGUID, .len = 16 };

	memcpy(page, &d, sizeof(d));
	put_id(n, page + sizeof(d));
	return R3_NVME_SUCCESS;
}

uint16_t nvmc_identify(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	union {
		struct r3_nvme_id_ctrl ctrl;
		struct r3_nvme_id_ns ns;
		r3_le32 list[1024];
		uint8_t page[R3_NVME_IDENTIFY_LEN];
	} u;
	uint32_t nsid = r3_get_le32(e->nsid);

	memset(&u, 0, sizeof(u));
	switch (r3_get_le32(e->cdw10) & 0xff) {
	case R3_NVME_CNS_CTRL:
		fill_ctrl(n, &u.ctrl);
		break;
	case R3_NVME_CNS_NS:
		if (nsid != 1 && nsid != ALL_NS)
			return R3_NVME_INVALID_NAMESPACE | R3_NVME_STATUS_DNR;
		fill_ns(n, &u.ns);
		break;
	case R3_NVME_CNS_ACTIVE_NS:
		if (nsid >= ALL_NS - 1)
			return R3_NVME_INVALID_NAMESPACE | R3_NVME_STATUS_DNR;
		u.list[0] = r3_le32_of(nsid < 1);
		break;
	case R3_NVME_CNS_NS_DESC:
		if (nsid != 1)
			return R3_NVME_INVALID_NAMESPACE | R3_NVME_STATUS_DNR;
		ns_descriptors(n, u.page);
		break;
	default:
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	}
	return nvmc_reply(n, e, &u, sizeof(u));
}

/* ---- log pages (5.14) ---------------------------------------------------- */

void nvmc_log_error(struct nvmc *n, const struct nvmc_req *r, uint64_t lba)
{
	n->errors[n->error_count % NVMC_ERRORS] = (struct nvmc_error){
		.number = n->error_count + 1, .lba = lba, .sqid = r->sqid,
		.cid = r->cid, .status = r->status, .nsid = 1,
	};
	n->error_count++;
}

/* Error information, newest first (figure 193). */
static size_t error_log(const struct nvmc *n, uint8_t *page)
{
	for (unsigned i = 0; i < NVMC_ERRORS && i < n->error_count; i++) {
		const struct nvmc_error *x =
			&n->errors[(n->error_count - 1 - i) % NVMC_ERRORS];
		uint8_t *p = page + 64 * i;
		uint16_t status = (uint16_t)(x->status << 1);

		memcpy(p, &x->number, 8);
		memcpy(p + 8, &x->sqid, 2);
		memcpy(p + 10, &x->cid, 2);
		memcpy(p + 12, &status, 2);
		memcpy(p + 16, &x->lba, 8);
		memcpy(p + 24, &x->nsid, 4);
	}
	return 64 * NVMC_ERRORS;
}

static size_t smart_log(const struct nvmc *n, uint8_t *page)
{
	/* in the log's order; data in thousands of 512 bytes */
	const uint64_t counters[10] = {
		n->counts.read_bytes / 512000,
		n->counts.written_bytes / 512000,
		n->counts.reads, n->counts.writes, 0, 1, 0, 0, 0,
		n->error_count,
	};
	struct r3_nvme_smart s = { .spare = 100, .spare_threshold = 10 };

	s.temperature = r3_le16_of(300);
	for (unsigned i = 0; i < 10; i++)
		memcpy(s.counters + 16 * i, &counters[i], 8);
	memcpy(page, &s, sizeof(s));
	return sizeof(s);
}

static size_t firmware_log(uint8_t *page)
{
	page[0] = 1; /* the active slot */
	put_text((char *)page + 8, 8, R3_VERSION);
	return 512;
}

uint16_t nvmc_get_log(struct nvmc *n, const struct r3_nvme_sqe *e)
{
	uint32_t dw10 = r3_get_le32(e->cdw10);
	uint64_t off = r3_get_le32(e->cdw12) |
		       (uint64_t)r3_get_le32(e->cdw13) << 32;
	uint64_t len = ((dw10 >> 16 |
			 (uint64_t)(r3_get_le32(e->cdw11) & 0xffff) << 16) +
			1) * 4;
	uint8_t page[4096] = { 0 };
	size_t have;

	switch (dw10 & 0xff) {
	case R3_NVME_LOG_ERROR:
		have = error_log(n, page);
		if (!(dw10 & 1 << 15)) /* RAE: keep the event */
			n->events_masked = false;
		break;
	case R3_NVME_LOG_SMART:
		have = smart_log(n, page);
		break;
	case R3_NVME_LOG_FIRMWARE:
		have = firmware_log(page);
		break;
	default:
		return R3_NVME_INVALID_LOG_PAGE | R3_NVME_STATUS_DNR;
	}
	if (off > have || (off & 3))
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	/* What lies past the page's end is undefined: not transferred. */
	return nvmc_reply(n, e, page + off, r3_min(len, have - off));
}

/* ---- features (5.21.1) --------------------------------------------------- */

#define CHANGEABLE 4u

/* Where a plain feature's dword 11 is kept, or NULL. */
static uint32_t *plain_feature(struct nvmc *n, unsigned fid, uint32_t dw11,
			       uint32_t *mask)
{
	*mask = ~0u;
	switch (fid) {
	case R3_NVME_FEAT_ARBITRATION:
		return &n->feat_arbitration;
	case R3_NVME_FEAT_ERROR_RECOVERY:
		*mask = 0xffff; /* DULBE: not supported */
		return &n->feat_recovery;
	case R3_NVME_FEAT_WRITE_CACHE:
		*mask = 1;
		return &n->feat_cache;
	case R3_NVME_FEAT_COALESCING:
		*mask = 0xffff;
		return &n->feat_coalescing;
	case R3_NVME_FEAT_ATOMICITY:
		*mask = 1;
		return &n->feat_atomicity;
	case R3_NVME_FEAT_ASYNC_EVENTS:
		return &n->feat_events;
	case R3_NVME_FEAT_TEMPERATURE:
		if ((dw11 >> 16 & 0xf) || (dw11 >> 20 & 3) > 1)
			return NULL;
		*mask = 0xffff;
		return &n->feat_temperature[dw11 >> 20 & 1];
	case NVMC_FEAT_QUIET:
		*mask = 1;
		return &n->feat_quiet;
	}
	return NULL;
}

static uint16_t vector_feature(struct nvmc *n, bool set, uint32_t dw11,
			       uint32_t *dw0)
{
	uint32_t vector = dw11 & 0xffff, bit;

	if (vector > n->conf.queues)
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	bit = 1u << (vector & 31);
	if (set)
		n->feat_vector_cd = (n->feat_vector_cd & ~bit) |
				    (dw11 & 1u << 16 ? bit : 0);
	else
		*dw0 = vector | (n->feat_vector_cd & bit ? 1u << 16 : 0);
	return R3_NVME_SUCCESS;
}

/* How many queues: the host's wish does not matter, it gets what there is. */
static uint16_t queues_feature(const struct nvmc *n, bool set, uint32_t dw11,
			       uint32_t *dw0)
{
	if (set && ((dw11 & 0xffff) == 0xffff || dw11 >> 16 == 0xffff))
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	*dw0 = R3_NVME_FEAT_QUEUES_OF(n->conf.queues, n->conf.queues);
	return R3_NVME_SUCCESS;
}

uint16_t nvmc_features(struct nvmc *n, const struct r3_nvme_sqe *e,
		       uint32_t *dw0)
{
	bool set = e->opcode == R3_NVME_SET_FEATURES;
	uint32_t dw10 = r3_get_le32(e->cdw10), dw11 = r3_get_le32(e->cdw11);
	unsigned fid = dw10 & 0xff, select = set ? 0 : dw10 >> 8 & 7;
	uint32_t mask, *plain;

	if (set && dw10 >> 31)
		return R3_NVME_FEATURE_NOT_SAVEABLE | R3_NVME_STATUS_DNR;
	if (select > 3)
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	plain = plain_feature(n, fid, dw11, &mask);
	if (!plain && fid != R3_NVME_FEAT_VECTOR &&
	    fid != R3_NVME_FEAT_QUEUES && fid != R3_NVME_FEAT_POWER)
		return R3_NVME_INVALID_FIELD | R3_NVME_STATUS_DNR;
	if (select == 3) {
		*dw0 = fid == R3_NVME_FEAT_POWER ? 0 : CHANGEABLE;
		return R3_NVME_SUCCESS;
	}
	if (fid == R3_NVME_FEAT_VECTOR)
		return vector_feature(n, set, dw11, dw0);
	if (fid == R3_NVME_FEAT_QUEUES)
		return queues_feature(n, set, dw11, dw0);
	if (fid == R3_NVME_FEAT_POWER) {
		*dw0 = 0;
		return set && (dw11 & 0x1f) ? R3_NVME_INVALID_FIELD :
					      R3_NVME_SUCCESS;
	}
	if (set)
		*plain = dw11 & mask;
	else
		*dw0 = *plain;
	return R3_NVME_SUCCESS;
}
