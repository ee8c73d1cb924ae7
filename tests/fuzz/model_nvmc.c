/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model_nvmc.c - fuzz the emulated NVMe controller: registers, doorbells and
 * commands from a hostile host
 *
 * The input is a list of operations on a controller with 64 KiB of memory.
 * The controller may answer what it likes, but touches nothing else, ends
 * every round and comes back to life after a reset.
 */
#include <stdlib.h>

#include "nvmc.h"

enum { MEM = 64 * 1024, BASE = 4096, DISK = 1024 * 1024, OPS_MAX = 4096 };

struct host {
	struct nvmc n;
	uint8_t *mem;
	struct nvmc_req *held[NVMC_IO_REQS + 1];
	unsigned held_count;
	bool defer;
};

static void *map(void *arg, uint64_t addr, uint64_t len, int prot)
{
	struct host *h = arg;

	(void)prot;
	if (addr < BASE || addr - BASE > MEM || len > MEM - (addr - BASE))
		return NULL;
	return h->mem + (addr - BASE);
}

static void finish(struct host *h, struct nvmc_req *r)
{
	assert(r->off <= DISK && r->len <= DISK - r->off);
	for (uint32_t i = 0; r->op == NVMC_READ && i < r->count; i++)
		memset(r->iov[i].iov_base, (int)r->cid, r->iov[i].iov_len);
	for (uint32_t i = 0; r->op == NVMC_DISCARD && i < r->count; i++)
		assert(r->ranges[i].off <= DISK &&
		       r->ranges[i].len <= DISK - r->ranges[i].off);
	nvmc_done(&h->n, r, 0);
}

static void start(void *arg, struct nvmc_req *r)
{
	struct host *h = arg;

	if (!h->defer) {
		finish(h, r);
		return;
	}
	assert(h->held_count < R3_COUNT(h->held));
	h->held[h->held_count++] = r;
}

static void finish_all(struct host *h)
{
	unsigned count = h->held_count;

	h->held_count = 0;
	for (unsigned i = 0; i < count; i++)
		finish(h, h->held[i]);
}

static void irq(void *arg, unsigned vector)
{
	(void)arg;
	(void)vector;
}

/* Enabled, with an I/O queue pair whose entries the input may write. */
static void set_up(struct host *h)
{
	static const uint32_t regs[][2] = {
		{ R3_NVME_AQA, 0x000f000f }, { R3_NVME_ASQ, BASE },
		{ R3_NVME_ASQ + 4, 0 }, { R3_NVME_ACQ, BASE + 4096 },
		{ R3_NVME_ACQ + 4, 0 },
		{ R3_NVME_CC, 0x00460001 },
	};

	for (unsigned i = 0; i < R3_COUNT(regs); i++)
		nvmc_bar_write(&h->n, regs[i][0], &regs[i][1], 4);
	for (unsigned i = 0; i < 2; i++) {
		struct r3_nvme_sqe e = {
			.opcode = i ? R3_NVME_CREATE_SQ : R3_NVME_CREATE_CQ,
			.cdw10 = r3_le32_of(R3_NVME_QUEUE_CDW10(1, 16)),
			.cdw11 = r3_le32_of(1 | 1 << 16),
			.prp1 = r3_le64_of(BASE + 8192 + 4096 * i),
		};
		uint32_t tail = i + 1;

		memcpy(h->mem + 64 * i, &e, 64);
		nvmc_bar_write(&h->n, r3_nvme_doorbell(0, 0, 0), &tail, 4);
		nvmc_poll(&h->n);
	}
}

static void step(struct host *h, struct r3_span *in)
{
	const uint8_t *op = r3_take(in, 4), *data;
	uint16_t at = (uint16_t)(op[2] | op[3] << 8);
	uint8_t buf[256];

	switch (op[0] % 7) {
	case 0: /* a register or a doorbell, near where they are */
		data = r3_take(in, 4);
		if (data)
			nvmc_bar_write(&h->n, at % 0x1200 & ~3u, data, 4);
		break;
	case 1: /* memory: entries, lists, shadows */
		data = r3_take(in, op[1]);
		if (data)
			memcpy(h->mem + r3_min(at, MEM - 256), data, op[1]);
		break;
	case 2:
		nvmc_bar_read(&h->n, at, buf, op[1]);
		break;
	case 3:
		finish_all(h);
		break;
	case 4:
		h->defer = op[1] & 1;
		break;
	case 5:
		nvmc_arm(&h->n);
		nvmc_remap(&h->n);
		break;
	case 6:
		if (op[1] == 0xff)
			nvmc_reset(&h->n);
		break;
	}
	nvmc_poll(&h->n);
	nvmc_signal(&h->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct nvmc_ops ops = { .map = map, .start = start,
					     .irq = irq };
	const struct nvmc_conf conf = { .size = DISK, .block_size = 512,
					.queues = 4, .serial = "fuzz" };
	struct r3_span in = { data, len };
	static struct host h;
	uint32_t off = 0;
	int err;

	memset(&h, 0, sizeof(h));
	h.mem = calloc(1, MEM);
	err = nvmc_init(&h.n, &conf, &ops, &h);
	assert(h.mem && !err);
	(void)err;
	set_up(&h);
	for (unsigned i = 0; i < OPS_MAX && in.len >= 4; i++)
		step(&h, &in);
	nvmc_bar_write(&h.n, R3_NVME_CC, &off, 4);
	finish_all(&h);
	assert(!(h.n.csts & 3) && h.n.state == NVMC_OFF);
	set_up(&h);
	assert(h.n.csts == R3_NVME_CSTS_RDY && h.n.sq[1].size == 16);
	nvmc_fini(&h.n);
	free(h.mem);
	return 0;
}
