/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver_nvme.c - fuzz the NVMe driver: a device that does what it likes
 *
 * The input is a list of what the device and time do: registers change, bytes
 * appear in the queue memory, commands are completed rightly or wrongly.  The
 * driver may reset and give up, but touches nothing else, completes every
 * request once, and ends every call.
 */
#include <stdlib.h>

#include "ring3/log.h"
#include "../unit/driver/plain.h"

enum { IOS = 8, BUF = 16384, OPS_MAX = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nvme_ctrl c;
static struct r3_span in;
static uint64_t now;
static uint32_t csts;
static bool wild; /* CSTS is what the input says, else what CC asks for */
static bool lost;
static uint8_t buf[BUF];

static struct req {
	struct nvme_io io;
	bool busy;
} reqs[IOS];
static const struct r3_vq_seg seg[2] = { { buf, 0x100000, 4096 },
					 { buf + 5000, 0x105000, 3 * 512 } };

static uint8_t next(void)
{
	const uint8_t *p = r3_take(&in, 1);

	return p ? *p : 0;
}

static void done(struct nvme_io *io, int err)
{
	struct req *r = (struct req *)io;

	(void)err;
	assert(r->busy);
	r->busy = false;
}

static void went(void *arg)
{
	(void)arg;
	lost = true;
}

/* ---- the device ---------------------------------------------------------- */

int r3_device_read(struct r3_device *dev, unsigned region, uint64_t off,
		   void *to, size_t len)
{
	uint64_t v = off == R3_NVME_CSTS ? csts
		   : off == R3_NVME_CAP	 ? 15 | UINT64_C(1) << 37 |
						   UINT64_C(1) << 24
					 : 0;

	(void)dev, (void)region;
	if (wild && next() == 0xff)
		return -ENOTCONN;
	memcpy(to, &v, len);
	return 0;
}

int r3_device_write(struct r3_device *dev, unsigned region, uint64_t off,
		    const void *from, size_t len)
{
	uint32_t v = 0;

	(void)dev, (void)region;
	memcpy(&v, from, r3_min(len, sizeof(v)));
	if (off == R3_NVME_CC && !wild)
		csts = v & R3_NVME_CC_EN ? R3_NVME_CSTS_RDY : 0;
	return 0;
}

unsigned r3_device_events(struct r3_device *dev)
{
	(void)dev;
	return wild ? next() & 7 : 0;
}

int r3_device_reset(struct r3_device *dev)
{
	(void)dev;
	return 0;
}

int r3_device_bus_master(struct r3_device *dev, bool on)
{
	(void)dev, (void)on;
	return 0;
}

void r3_device_close(struct r3_device *dev)
{
	(void)dev;
}

const struct r3_space_limits *r3_space_limits(const struct r3_space *space)
{
	static const struct r3_space_limits limits = { .range_count = 0 };

	(void)space;
	return &limits;
}

int r3_space_map(struct r3_space *space, uint64_t iova,
		 const struct r3_space_mem *mem, int prot)
{
	(void)space, (void)iova, (void)mem, (void)prot;
	return 0;
}

int r3_space_map_any(struct r3_space *space, const struct r3_space_mem *mem,
		     int prot, uint64_t align, uint64_t last, uint64_t *iova)
{
	(void)space, (void)mem, (void)prot, (void)align, (void)last;
	*iova = 0x10000000;
	return 0;
}

int r3_space_unmap(struct r3_space *space, uint64_t iova, uint64_t len)
{
	(void)space, (void)iova, (void)len;
	return 0;
}

/* ---- what happens -------------------------------------------------------- */

/* Complete a command that is in flight, with any status. */
static void complete(struct nvme_queue *q, uint8_t which, uint16_t status)
{
	for (uint16_t k = 0; q->cq && k < q->size - 1; k++) {
		uint16_t i = (uint16_t)((which + k) % (q->size - 1));
		struct r3_nvme_cqe *e = &q->cq[q->head];

		if (!q->slot[i].user)
			continue;
		e->sqid = r3_le16_of(q->qid);
		e->sqhd = r3_le16_of(0);
		e->dw0 = r3_le32_of(0x00030003);
		r3_nvme_cqe_store_dw3(e, R3_NVME_DW3_OF(nvme_queue_cid(q, i),
							status, q->phase));
		return;
	}
}

static void scribble(void)
{
	uint64_t at = (uint64_t)next() << 8 | next();
	uint8_t n = next() & 63;

	at = at * 3 % (c.mem_len - 64);
	for (uint8_t i = 0; i < n; i++)
		c.mem[at + i] = next();
}

static void submit(uint8_t how)
{
	struct req *r = &reqs[how % IOS];

	if (r->busy || !c.queue_count)
		return;
	*r = (struct req){ .busy = true };
	r->io.op = (how >> 3) % 5;
	r->io.lba = next();
	r->io.blocks = r->io.op < NVME_FLUSH ? (4096 + 3 * 512) /
						       c.ns.block_size
					     : next();
	r->io.seg = seg;
	r->io.seg_count = 2;
	static const struct nvme_range range = { 1, 2 };
	r->io.range = &range;
	r->io.range_count = 1;
	r->io.done = done;
	if (r->io.op < NVME_FLUSH && (4096 + 3 * 512) % c.ns.block_size) {
		r->busy = false;
		return;
	}
	nvme_submit(&c, how >> 6, &r->io, now);
	nvme_kick(&c, how >> 6);
}

static void happen(uint8_t op)
{
	switch (op % 8) {
	case 0:
		csts = next();
		break;
	case 1:
		scribble();
		break;
	case 2:
		now += next() * R3_NS_PER_MS * 4;
		nvme_ctrl_tick(&c, now);
		break;
	case 3:
		if (c.identified && c.counted)
			submit(next());
		break;
	case 4:
		complete(&c.admin, next(), op & 0x80 ? next() : 0);
		break;
	case 5:
		complete(&c.ioq[op >> 7].q, next(), op & 0x40 ? next() : 0);
		break;
	case 6:
		wild = op & 0x80;
		break;
	default:
		if (!nvme_ctrl_arm(&c))
			nvme_ctrl_disarm(&c);
	}
	nvme_ctrl_poll(&c, now);
	if (!lost)
		return;
	lost = false;
	if (!c.dev)
		nvme_ctrl_attach(&c, (struct r3_device *)buf, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nvme_conf conf = { .name = "fuzz", .queues = 2,
				  .queue_size = 8, .interrupts = true,
				  .doorbell_buffer = true, .timeout_ms = 100,
				  .lost = went };

	r3_log_level = R3_ERROR;
	in = (struct r3_span){ data, size };
	now = R3_NS_PER_S;
	csts = 0;
	wild = lost = false;
	memset(reqs, 0, sizeof(reqs));
	if (nvme_ctrl_init(&c, &conf))
		return 0;
	nvme_ctrl_attach(&c, (struct r3_device *)buf, now);
	for (unsigned i = 0; i < OPS_MAX && in.len; i++)
		happen(next());
	nvme_ctrl_fini(&c);
	return 0;
}
