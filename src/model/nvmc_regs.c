// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc_regs.c - the controller's registers and its life: NVMe 1.4, 3.1 */
#include <stdlib.h>

#include "nvmc.h"
#include "ring3/log.h"

#define TO_HALF_S 20 /* CAP.TO: a flush at reset may take that long */

static uint64_t cap(void)
{
	return (uint64_t)(NVMC_ENTRIES_MAX - 1) << R3_NVME_CAP_MQES_SHIFT |
	       UINT64_C(1) << R3_NVME_CAP_CQR_SHIFT |
	       (uint64_t)TO_HALF_S << R3_NVME_CAP_TO_SHIFT |
	       UINT64_C(1) << R3_NVME_CAP_CSS_SHIFT;
}

static void default_features(struct nvmc *n)
{
	n->feat_arbitration = 6; /* burst of 64 */
	n->feat_temperature[0] = 343;
	n->feat_temperature[1] = 0;
	n->feat_recovery = 0;
	n->feat_cache = 1;
	n->feat_coalescing = 0;
	n->feat_atomicity = 0;
	n->feat_events = 0;
	n->feat_vector_cd = 0;
	n->feat_quiet = 0;
}

int nvmc_init(struct nvmc *n, const struct nvmc_conf *conf,
	      const struct nvmc_ops *ops, void *arg)
{
	unsigned count = NVMC_IO_REQS + NVMC_ADMIN_REQS;

	if ((conf->block_size != 512 && conf->block_size != 4096) ||
	    !conf->size || conf->size % conf->block_size || !conf->queues ||
	    conf->queues >= NVMC_QUEUES)
		return -EINVAL;
	n->conf = *conf;
	n->ops = *ops;
	n->arg = arg;
	n->reqs = calloc(count, sizeof(*n->reqs));
	n->iovs = calloc((size_t)count * NVMC_IOV_MAX, sizeof(*n->iovs));
	if (!n->reqs || !n->iovs) {
		nvmc_fini(n);
		return -ENOMEM;
	}
	nvmc_queue_reset(n);
	default_features(n);
	return 0;
}

void nvmc_fini(struct nvmc *n)
{
	free(n->reqs);
	free(n->iovs);
	n->reqs = NULL;
	n->iovs = NULL;
}

void nvmc_fatal(struct nvmc *n, const char *why)
{
	if (n->state == NVMC_FAILED)
		return;
	n->counts.fatals++;
	n->csts |= R3_NVME_CSTS_CFS;
	n->state = NVMC_FAILED;
	r3_log(R3_WARN, "model/nvme", n->conf.serial,
	       "controller failed, the host must reset it: %s", why);
}

/* CC.EN 0>1: is what the host set up something that we can work with? */
static const char *cannot_enable(struct nvmc *n)
{
	unsigned sq_size = R3_NVME_AQA_ASQS(n->aqa) + 1;
	unsigned cq_size = R3_NVME_AQA_ACQS(n->aqa) + 1;

	if (R3_NVME_CC_CSS(n->cc))
		return "CC.CSS is not the NVM command set";
	if (R3_NVME_CC_MPS(n->cc))
		return "CC.MPS is not 4 KiB";
	if (R3_NVME_CC_AMS(n->cc))
		return "CC.AMS is not round robin";
	if (sq_size < 2 || cq_size < 2)
		return "an admin queue of one entry";
	if ((n->asq | n->acq) & 4095)
		return "an admin queue that is not page aligned";
	n->sq[0] = (struct nvmc_sq){ .addr = n->asq, .size = sq_size };
	n->cq[0].addr = n->acq;
	n->cq[0].size = cq_size;
	n->cq[0].irq_on = n->cq[0].phase = true;
	n->cq[0].users = 1;
	nvmc_remap(n);
	if (!n->sq[0].ring || !n->cq[0].ring)
		return "an admin queue outside the memory";
	return NULL;
}

static void enable(struct nvmc *n)
{
	const char *why = cannot_enable(n);

	n->csts = 0;
	if (why) {
		nvmc_fatal(n, why);
		return;
	}
	n->state = NVMC_ON;
	if (!n->conf.inject.never_ready)
		n->csts = R3_NVME_CSTS_RDY;
}

/* Nothing of the host's is touched from here on until it enables again. */
static void stopped(struct nvmc *n)
{
	nvmc_queue_reset(n);
	default_features(n);
	n->events = 0;
	n->events_masked = false;
	n->dbbuf = false;
	n->db = n->ei = NULL;
	n->csts = 0;
	n->state = NVMC_OFF;
	n->counts.resets++;
	if (n->cc & R3_NVME_CC_EN) /* set again while we were stopping */
		enable(n);
}

void nvmc_settle(struct nvmc *n)
{
	if (n->state == NVMC_STOPPING && !n->io_busy && !n->shutdown_busy)
		stopped(n);
}

static void disable(struct nvmc *n)
{
	n->state = NVMC_STOPPING;
	nvmc_settle(n);
}

void nvmc_reset(struct nvmc *n)
{
	n->cc = 0;
	n->aqa = 0;
	n->asq = n->acq = 0;
	n->intm = 0;
	disable(n);
}

/* CC.SHN: what was acknowledged becomes durable, then SHST says so. */
static void shut_down(struct nvmc *n)
{
	if (n->shutdown_busy || R3_NVME_CSTS_SHST(n->csts))
		return;
	n->csts |= 1u << R3_NVME_CSTS_SHST_SHIFT;
	n->shutdown = (struct nvmc_req){ .op = NVMC_FLUSH, .internal = true };
	n->shutdown_busy = true;
	n->ops.start(n->arg, &n->shutdown);
}

static void write_cc(struct nvmc *n, uint32_t cc)
{
	uint32_t was = n->cc;

	n->cc = cc;
	if (R3_NVME_CC_SHN(cc) && !R3_NVME_CC_SHN(was))
		shut_down(n);
	if (!(was & R3_NVME_CC_EN) && (cc & R3_NVME_CC_EN)) {
		if (n->state == NVMC_OFF)
			enable(n);
	} else if ((was & R3_NVME_CC_EN) && !(cc & R3_NVME_CC_EN)) {
		if (n->state != NVMC_OFF)
			disable(n);
	}
}

static uint32_t read_reg(const struct nvmc *n, uint32_t off)
{
	switch (off) {
	case R3_NVME_CAP:
		return (uint32_t)cap();
	case R3_NVME_CAP + 4:
		return (uint32_t)(cap() >> 32);
	case R3_NVME_VS:
		return R3_NVME_VS_1_4;
	case R3_NVME_INTMS:
	case R3_NVME_INTMC:
		return n->intm;
	case R3_NVME_CC:
		return n->cc;
	case R3_NVME_CSTS:
		return n->csts;
	case R3_NVME_AQA:
		return n->aqa;
	case R3_NVME_ASQ:
		return (uint32_t)n->asq;
	case R3_NVME_ASQ + 4:
		return (uint32_t)(n->asq >> 32);
	case R3_NVME_ACQ:
		return (uint32_t)n->acq;
	case R3_NVME_ACQ + 4:
		return (uint32_t)(n->acq >> 32);
	}
	return 0;
}

static void set_low(uint64_t *reg, uint32_t v)
{
	*reg = (*reg & ~UINT64_C(0xffffffff)) | v;
}

static void set_high(uint64_t *reg, uint32_t v)
{
	*reg = (*reg & 0xffffffff) | (uint64_t)v << 32;
}

static void write_reg(struct nvmc *n, uint32_t off, uint32_t v)
{
	switch (off) {
	case R3_NVME_INTMS:
		n->intm |= v;
		break;
	case R3_NVME_INTMC:
		n->intm &= ~v;
		break;
	case R3_NVME_CC:
		write_cc(n, v);
		break;
	case R3_NVME_AQA:
		n->aqa = v & 0x0fff0fff;
		break;
	case R3_NVME_ASQ:
		set_low(&n->asq, v);
		break;
	case R3_NVME_ASQ + 4:
		set_high(&n->asq, v);
		break;
	case R3_NVME_ACQ:
		set_low(&n->acq, v);
		break;
	case R3_NVME_ACQ + 4:
		set_high(&n->acq, v);
		break;
	}
}

void nvmc_bar_read(struct nvmc *n, uint64_t off, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (size_t i = 0; i < len; i++) {
		uint64_t at = off + i;
		uint32_t v = 0;

		if (at < R3_NVME_REGS_LEN)
			v = read_reg(n, (uint32_t)at & ~3u);
		to[i] = (uint8_t)(v >> (at & 3) * 8);
	}
}

/* Registers are written in whole dwords (3.1: others are undefined; here they
 * are ignored). */
void nvmc_bar_write(struct nvmc *n, uint64_t off, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	if ((off | len) & 3)
		return;
	for (; len >= 4 && off < NVMC_BAR_LEN; off += 4, from += 4, len -= 4) {
		uint32_t v;

		memcpy(&v, from, 4);
		if (off < R3_NVME_REGS_LEN)
			write_reg(n, (uint32_t)off, v);
		else if (off >= R3_NVME_DOORBELLS && off < NVMC_MSIX_TABLE)
			nvmc_doorbell(n, (uint32_t)(off - R3_NVME_DOORBELLS) /
						 4, v);
	}
}
