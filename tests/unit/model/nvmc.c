// SPDX-License-Identifier: GPL-2.0-or-later
/* nvmc.c - the emulated NVMe controller against its specification (1.4) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host.h"

#define DATA (HOST_BASE + HOST_DATA)
#define LAST (HOST_DISK / 512) /* blocks */

static struct host *ready(const struct nvmc_inject *inject)
{
	struct host *h = malloc(sizeof(*h));

	assert_non_null(h);
	host_init(h, inject);
	assert_true(host_enable(h));
	host_io_queues(h);
	return h;
}

static void done(struct host *h)
{
	host_fini(h);
	free(h);
}

static struct r3_nvme_sqe admin(uint8_t opcode, uint32_t dw10, uint32_t dw11)
{
	return (struct r3_nvme_sqe){
		.opcode = opcode, .prp1 = r3_le64_of(DATA),
		.cdw10 = r3_le32_of(dw10), .cdw11 = r3_le32_of(dw11),
	};
}

/* ---- registers ----------------------------------------------------------- */

static void capabilities(void **state)
{
	struct host h;
	uint64_t cap;

	(void)state;
	host_init(&h, NULL);
	nvmc_bar_read(&h.n, R3_NVME_CAP, &cap, 8);
	assert_int_equal(R3_NVME_CAP_MQES(cap), NVMC_ENTRIES_MAX - 1);
	assert_int_equal(R3_NVME_CAP_CQR(cap), 1);
	assert_int_equal(R3_NVME_CAP_DSTRD(cap), 0);
	assert_int_equal(R3_NVME_CAP_CSS(cap), 1);
	assert_int_equal(R3_NVME_CAP_MPSMAX(cap), 0);
	assert_true(R3_NVME_CAP_TO(cap) > 0);
	assert_int_equal(host_get(&h, R3_NVME_VS), 0x10400);
	assert_int_equal(host_get(&h, R3_NVME_CSTS), 0);
	assert_int_equal(host_get(&h, 0xffc), 0);
	host_set(&h, R3_NVME_CAP, 5); /* read only */
	assert_int_equal(host_get(&h, R3_NVME_CAP), (uint32_t)cap);
	host_fini(&h);
}

static void enabling(void **state)
{
	static const struct {
		const char *name;
		uint32_t cc, aqa, asq, acq, csts;
	} rows[] = {
		{ "sane", 1, 0x000f000f, HOST_BASE, HOST_BASE + 4096, 1 },
		{ "page size 8 KiB", 1 | 1 << 7, 0x000f000f, HOST_BASE,
		  HOST_BASE + 4096, 2 },
		{ "another command set", 1 | 1 << 4, 0x000f000f, HOST_BASE,
		  HOST_BASE + 4096, 2 },
		{ "weighted arbitration", 1 | 1 << 11, 0x000f000f, HOST_BASE,
		  HOST_BASE + 4096, 2 },
		{ "submission queue of one", 1, 0x000f0000, HOST_BASE,
		  HOST_BASE + 4096, 2 },
		{ "completion queue of one", 1, 0x0000000f, HOST_BASE,
		  HOST_BASE + 4096, 2 },
		{ "unaligned", 1, 0x000f000f, HOST_BASE + 64,
		  HOST_BASE + 4096, 2 },
		{ "outside the memory", 1, 0x000f000f, 0, HOST_BASE, 2 },
		{ "ends outside", 1, 0x000f0fff, HOST_BASE + HOST_MEM - 4096,
		  HOST_BASE, 2 },
		{ "largest", 1, 0x0fff0fff, HOST_BASE, HOST_BASE + 0x40000,
		  1 },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct host h;

		host_init(&h, NULL);
		host_set(&h, R3_NVME_AQA, rows[i].aqa);
		host_set(&h, R3_NVME_ASQ, rows[i].asq);
		host_set(&h, R3_NVME_ACQ, rows[i].acq);
		host_set(&h, R3_NVME_CC, rows[i].cc);
		if (host_get(&h, R3_NVME_CSTS) != rows[i].csts)
			fail_msg("%s: CSTS %x", rows[i].name,
				 host_get(&h, R3_NVME_CSTS));
		host_set(&h, R3_NVME_CC, 0); /* always a way back */
		assert_int_equal(host_get(&h, R3_NVME_CSTS), 0);
		assert_true(host_enable(&h));
		host_fini(&h);
	}
}

/* RDY stays until nothing writes to the host's memory any more. */
static void disabling_waits(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 8, DATA, 0);
	struct r3_nvme_cqe c;

	(void)state;
	h->defer = true;
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	host_set(h, R3_NVME_CC, 0);
	assert_int_equal(host_get(h, R3_NVME_CSTS) & 1, 1);
	host_set(h, R3_NVME_CC, 1); /* too early: comes when we have stopped */
	host_finish(h);
	assert_int_equal(host_get(h, R3_NVME_CSTS) & 1, 1);
	assert_false(host_take(h, 1, &c));
	h->defer = false;
	host_set(h, R3_NVME_CC, 0);
	assert_int_equal(host_get(h, R3_NVME_CSTS), 0);
	assert_true(host_enable(h));
	host_io_queues(h);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	done(h);
}

static void shutdown_flushes(void **state)
{
	struct host *h = ready(NULL);
	uint32_t cc = host_get(h, R3_NVME_CC);

	(void)state;
	h->defer = true;
	host_set(h, R3_NVME_CC, cc | 1u << R3_NVME_CC_SHN_SHIFT);
	assert_int_equal(R3_NVME_CSTS_SHST(host_get(h, R3_NVME_CSTS)), 1);
	assert_int_equal(h->held_count, 1);
	assert_int_equal(h->held[0]->op, NVMC_FLUSH);
	host_finish(h);
	assert_int_equal(R3_NVME_CSTS_SHST(host_get(h, R3_NVME_CSTS)), 2);
	host_set(h, R3_NVME_CC, 0);
	assert_int_equal(host_get(h, R3_NVME_CSTS), 0);
	done(h);
}

static void odd_accesses(void **state)
{
	struct host h;
	uint8_t all[NVMC_BAR_LEN], byte = 1;
	uint16_t word;

	(void)state;
	host_init(&h, NULL);
	nvmc_bar_read(&h.n, 0, all, sizeof(all));
	nvmc_bar_read(&h.n, R3_NVME_VS + 1, &word, 2);
	assert_int_equal(word, 0x0104);
	nvmc_bar_write(&h.n, R3_NVME_CC, &byte, 1);
	nvmc_bar_write(&h.n, R3_NVME_CC + 2, all, 4);
	assert_int_equal(host_get(&h, R3_NVME_CC), 0);
	memset(all, 0xff, sizeof(all));
	nvmc_bar_write(&h.n, 0, all, sizeof(all));
	nvmc_bar_write(&h.n, NVMC_BAR_LEN - 4, all, 64);
	host_fini(&h);
}

/* ---- admin --------------------------------------------------------------- */

static void identify(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = admin(R3_NVME_IDENTIFY, R3_NVME_CNS_CTRL, 0);
	const struct r3_nvme_id_ctrl *c = (void *)(h->mem + HOST_DATA);
	const struct r3_nvme_id_ns *ns = (void *)c;
	const r3_le32 *list = (void *)c;

	(void)state;
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_memory_equal(c->sn, "test                ", 20);
	assert_int_equal(c->sqes, 0x66);
	assert_int_equal(c->cqes, 0x44);
	assert_int_equal(r3_get_le32(c->nn), 1);
	assert_int_equal(r3_get_le32(c->sgls), 0);
	assert_true(r3_get_le16(c->oacs) & R3_NVME_OACS_DOORBELL_CONFIG);
	e = admin(R3_NVME_IDENTIFY, R3_NVME_CNS_NS, 0);
	assert_int_equal(host_run(h, 0, &e, NULL), R3_NVME_INVALID_NAMESPACE);
	e.nsid = r3_le32_of(1);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_int_equal(r3_get_le64(ns->nsze), LAST);
	assert_int_equal(ns->lbaf[0].lbads, 9);
	e = admin(R3_NVME_IDENTIFY, R3_NVME_CNS_ACTIVE_NS, 0);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_int_equal(r3_get_le32(list[0]), 1);
	assert_int_equal(r3_get_le32(list[1]), 0);
	e.nsid = r3_le32_of(1); /* those above 1 */
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_int_equal(r3_get_le32(list[0]), 0);
	e = admin(R3_NVME_IDENTIFY, R3_NVME_CNS_NS_DESC, 0);
	e.nsid = r3_le32_of(1);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_int_equal(h->mem[HOST_DATA], R3_NVME_NIDT_NGUID);
	assert_int_equal(h->mem[HOST_DATA + 20], 0);
	e = admin(R3_NVME_IDENTIFY, 0x77, 0);
	assert_int_equal(host_run(h, 0, &e, NULL), R3_NVME_INVALID_FIELD);
	done(h);
}

static void admin_commands(void **state)
{
	const uint32_t pc = R3_NVME_QUEUE_PC;
	const struct {
		const char *name;
		uint8_t opcode;
		uint32_t dw10, dw11;
		uint64_t prp1;
		uint16_t status;
	} rows[] = {
		{ "unknown opcode", 0x80, 0, 0, DATA, R3_NVME_INVALID_OPCODE },
		{ "queue 0", R3_NVME_CREATE_CQ, 0x000f0000, pc, DATA,
		  R3_NVME_INVALID_QID },
		{ "queue past the last", R3_NVME_CREATE_CQ, 0x000f0005, pc,
		  DATA, R3_NVME_INVALID_QID },
		{ "queue that exists", R3_NVME_CREATE_CQ, 0x000f0001, pc, DATA,
		  R3_NVME_INVALID_QID },
		{ "one entry", R3_NVME_CREATE_CQ, 0x00000002, pc, DATA,
		  R3_NVME_INVALID_QUEUE_SIZE },
		{ "1025 entries", R3_NVME_CREATE_CQ, 0x04000002, pc, DATA,
		  R3_NVME_INVALID_QUEUE_SIZE },
		{ "not contiguous", R3_NVME_CREATE_CQ, 0x000f0002, 0, DATA,
		  R3_NVME_INVALID_FIELD },
		{ "unaligned", R3_NVME_CREATE_CQ, 0x000f0002, pc, DATA + 64,
		  R3_NVME_INVALID_PRP_OFFSET },
		{ "vector past the last", R3_NVME_CREATE_CQ, 0x000f0002,
		  pc | 2 | 5 << 16, DATA, R3_NVME_INVALID_VECTOR },
		{ "outside the memory", R3_NVME_CREATE_CQ, 0x000f0002, pc, 0,
		  R3_NVME_DATA_TRANSFER_ERROR },
		{ "1024 entries", R3_NVME_CREATE_CQ, 0x03ff0003, pc, DATA,
		  R3_NVME_SUCCESS },
		{ "its completion queue is missing", R3_NVME_CREATE_SQ,
		  0x000f0002, pc | 4 << 16, DATA, R3_NVME_INVALID_CQ },
		{ "admin completion queue", R3_NVME_CREATE_SQ, 0x000f0002, pc,
		  DATA, R3_NVME_INVALID_CQ },
		{ "in use", R3_NVME_DELETE_CQ, 1, 0, 0,
		  R3_NVME_INVALID_QUEUE_DELETION },
		{ "admin queue", R3_NVME_DELETE_SQ, 0, 0, 0,
		  R3_NVME_INVALID_QID },
		{ "no such queue", R3_NVME_DELETE_SQ, 4, 0, 0,
		  R3_NVME_INVALID_QID },
		{ "deletes", R3_NVME_DELETE_SQ, 1, 0, 0, R3_NVME_SUCCESS },
		{ "now unused", R3_NVME_DELETE_CQ, 1, 0, 0, R3_NVME_SUCCESS },
		{ "unknown log", R3_NVME_GET_LOG_PAGE, 0x007f0070, 0, DATA,
		  R3_NVME_INVALID_LOG_PAGE },
		{ "health", R3_NVME_GET_LOG_PAGE, 0x007f0002, 0, DATA,
		  R3_NVME_SUCCESS },
		{ "more than a log has", R3_NVME_GET_LOG_PAGE, 0xffff0002, 0,
		  DATA, R3_NVME_SUCCESS },
		{ "unknown feature", R3_NVME_SET_FEATURES, 0x70, 0, DATA,
		  R3_NVME_INVALID_FIELD },
		{ "save", R3_NVME_SET_FEATURES, 0x80000006, 0, DATA,
		  R3_NVME_FEATURE_NOT_SAVEABLE },
		{ "cache off", R3_NVME_SET_FEATURES, 6, 0, DATA,
		  R3_NVME_SUCCESS },
		{ "queues 65536", R3_NVME_SET_FEATURES, 7, 0xffff, DATA,
		  R3_NVME_INVALID_FIELD },
		{ "doorbell buffers unaligned", R3_NVME_DOORBELL_CONFIG, 0, 0,
		  DATA + 8, R3_NVME_INVALID_PRP_OFFSET },
		{ "doorbell buffers nowhere", R3_NVME_DOORBELL_CONFIG, 0, 0,
		  DATA, R3_NVME_DATA_TRANSFER_ERROR },
		{ "data unaligned", R3_NVME_GET_LOG_PAGE, 0x007f0002, 0,
		  DATA + 2, R3_NVME_INVALID_PRP_OFFSET },
	};
	struct host *h = ready(NULL);

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_nvme_sqe e = admin(rows[i].opcode, rows[i].dw10,
					     rows[i].dw11);
		uint16_t status;

		e.prp1 = r3_le64_of(rows[i].prp1);
		status = host_run(h, 0, &e, NULL);
		if (status != rows[i].status)
			fail_msg("%s: status %x", rows[i].name, status);
	}
	done(h);
}

static void features(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = admin(R3_NVME_SET_FEATURES, 7, 0x003f003f);
	uint32_t dw0;

	(void)state;
	assert_int_equal(host_run(h, 0, &e, &dw0), 0);
	assert_int_equal(dw0, 0x00030003); /* four, 0's based */
	e = admin(R3_NVME_GET_FEATURES, 6, 0);
	assert_int_equal(host_run(h, 0, &e, &dw0), 0);
	assert_int_equal(dw0, 1);
	e = admin(R3_NVME_SET_FEATURES, 6, 0);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	e = host_rw(R3_NVME_WRITE, 0, 1, DATA, 0);
	h->defer = true;
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	assert_true(h->held[0]->durable); /* without the cache */
	host_finish(h);
	done(h);
}

static void events(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = admin(R3_NVME_ASYNC_EVENT, 0, 0);
	struct r3_nvme_cqe c;
	uint32_t dw0;

	(void)state;
	for (unsigned i = 0; i < NVMC_AERS; i++)
		host_put(h, 0, &e);
	nvmc_poll(&h->n);
	assert_false(host_take(h, 0, &c));
	assert_int_equal(host_run(h, 0, &e, NULL), R3_NVME_AER_LIMIT);
	/* doorbell of no queue, value past the end: one event at a time */
	host_set(h, r3_nvme_doorbell(3, 0, 0), 1);
	host_set(h, r3_nvme_doorbell(1, 0, 0), HOST_ENTRIES);
	nvmc_poll(&h->n);
	assert_true(host_take(h, 0, &c));
	assert_int_equal(r3_get_le32(c.dw0), 0x010000);
	assert_false(host_take(h, 0, &c));
	e = admin(R3_NVME_GET_LOG_PAGE, 0x003f0001, 0);
	host_put(h, 0, &e);
	nvmc_poll(&h->n);
	assert_true(host_take(h, 0, &c)); /* the second event, the log */
	assert_true(host_take(h, 0, &c));
	/* an aborted one says so, and makes room */
	e = admin(R3_NVME_ABORT, R3_NVME_ABORT_CDW10(0, 0x7777), 0);
	assert_int_equal(host_run(h, 0, &e, &dw0), 0);
	assert_int_equal(dw0, 1);
	done(h);
}

/* ---- I/O ----------------------------------------------------------------- */

static void io_commands(void **state)
{
	const uint8_t rd = R3_NVME_READ, wr = R3_NVME_WRITE;
	const struct {
		const char *name;
		uint8_t opcode, flags;
		uint32_t nsid, blocks;
		uint64_t lba, prp1, prp2;
		uint16_t status;
	} rows[] = {
		{ "one block", rd, 0, 1, 1, 0, DATA, 0, 0 },
		{ "the last block", rd, 0, 1, 1, LAST - 1, DATA, 0, 0 },
		{ "past the end", rd, 0, 1, 1, LAST, DATA, 0,
		  R3_NVME_LBA_OUT_OF_RANGE },
		{ "over the end", wr, 0, 1, 2, LAST - 1, DATA, 0,
		  R3_NVME_LBA_OUT_OF_RANGE },
		{ "wraps", wr, 0, 1, 2, UINT64_MAX, DATA, 0,
		  R3_NVME_LBA_OUT_OF_RANGE },
		{ "namespace 0", rd, 0, 0, 1, 0, DATA, 0,
		  R3_NVME_INVALID_NAMESPACE },
		{ "all namespaces", rd, 0, 0xffffffff, 1, 0, DATA, 0,
		  R3_NVME_INVALID_NAMESPACE },
		{ "scatter list", rd, 0x40, 1, 1, 0, DATA, 0,
		  R3_NVME_INVALID_FIELD },
		{ "fused", rd, 1, 1, 1, 0, DATA, 0, R3_NVME_INVALID_FIELD },
		{ "flush", R3_NVME_FLUSH, 0, 1, 1, 0, 0, 0, 0 },
		{ "flush of all", R3_NVME_FLUSH, 0, 0xffffffff, 1, 0, 0, 0,
		  0 },
		{ "unknown", 0x7f, 0, 1, 1, 0, 0, 0, R3_NVME_INVALID_OPCODE },
		{ "offset in the first page", rd, 0, 1, 8, 0, DATA + 512,
		  DATA + 4096, 0 },
		{ "offset in the second", rd, 0, 1, 16, 0, DATA, DATA + 512,
		  R3_NVME_INVALID_PRP_OFFSET },
		{ "odd address", rd, 0, 1, 1, 0, DATA + 1, 0,
		  R3_NVME_INVALID_PRP_OFFSET },
		{ "no memory there", rd, 0, 1, 1, 0, 0, 0,
		  R3_NVME_DATA_TRANSFER_ERROR },
		{ "second page nowhere", rd, 0, 1, 16, 0, DATA, 0,
		  R3_NVME_DATA_TRANSFER_ERROR },
		{ "list nowhere", rd, 0, 1, 24, 0, DATA, 0,
		  R3_NVME_DATA_TRANSFER_ERROR },
		{ "list at an odd place", rd, 0, 1, 24, 0, DATA, DATA + 4,
		  R3_NVME_INVALID_PRP_OFFSET },
		{ "zeroes", R3_NVME_WRITE_ZEROES, 0, 1, 8, 0, 0, 0, 0 },
		{ "zeroes over the end", R3_NVME_WRITE_ZEROES, 0, 1, 2,
		  LAST - 1, 0, 0, R3_NVME_LBA_OUT_OF_RANGE },
	};
	struct host *h = ready(NULL);

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_nvme_sqe e = host_rw(rows[i].opcode, rows[i].lba,
					       rows[i].blocks, rows[i].prp1,
					       rows[i].prp2);
		uint16_t status;

		e.flags = rows[i].flags;
		e.nsid = r3_le32_of(rows[i].nsid);
		status = host_run(h, 1, &e, NULL);
		if (status != rows[i].status)
			fail_msg("%s: status %x", rows[i].name, status);
	}
	done(h);
}

static void data_arrives(void **state)
{
	struct host *h = ready(NULL);
	uint64_t *list = (void *)(h->mem + 0x7000 - 8 * 8);
	struct r3_nvme_sqe e;

	(void)state;
	for (unsigned i = 0; i < HOST_DISK; i++)
		h->disk[i] = (uint8_t)(i >> 9 ^ i);
	/* 9 blocks from the middle of a page, pages in any order by a list */
	list[0] = HOST_BASE + 0x20000;
	list[1] = HOST_BASE + 0x1f000;
	list[2] = HOST_BASE + 0x30000;
	e = host_rw(R3_NVME_READ, 3, 25, HOST_BASE + 0x10e00,
		    HOST_BASE + 0x7000 - 8 * 8);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	assert_memory_equal(h->mem + 0x10e00, h->disk + 1536, 512);
	assert_memory_equal(h->mem + 0x20000, h->disk + 2048, 4096);
	assert_memory_equal(h->mem + 0x1f000, h->disk + 6144, 4096);
	assert_memory_equal(h->mem + 0x30000, h->disk + 10240, 4096);
	e.opcode = R3_NVME_WRITE;
	memset(h->mem + 0x30000, 0x5a, 4096);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	assert_int_equal(h->disk[10240], 0x5a);
	assert_int_equal(h->disk[10240 + 4095], 0x5a);
	done(h);
}

/* A list that chains through the last slot of each page, to itself. */
static void list_loops(void **state)
{
	struct host *h = ready(NULL);
	uint64_t *page = (void *)(h->mem + 0x7000);
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 1024, DATA,
				       HOST_BASE + 0x7ff8);

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		page[i] = HOST_BASE + 0x7000;
	assert_int_equal(host_run(h, 1, &e, NULL), 0); /* 511 a round: ends */
	page[511] = HOST_BASE + 0x7ff8; /* never any data: not page aligned */
	assert_int_equal(host_run(h, 1, &e, NULL), R3_NVME_INVALID_PRP_OFFSET);
	e = host_rw(R3_NVME_READ, 0, 2049, DATA, HOST_BASE + 0x7000);
	assert_int_equal(host_run(h, 1, &e, NULL), R3_NVME_LBA_OUT_OF_RANGE);
	done(h);
}

static void discards(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_dsm_range *r = (void *)(h->mem + HOST_DATA);
	struct r3_nvme_sqe e = host_rw(R3_NVME_DSM, 0, 1, DATA, 0);

	(void)state;
	memset(h->disk, 0xff, HOST_DISK);
	r[0].lba = r3_le64_of(8);
	r[0].count = r3_le32_of(8);
	r[1].lba = r3_le64_of(LAST - 1);
	r[1].count = r3_le32_of(1);
	e.cdw10 = r3_le32_of(1);
	e.cdw11 = r3_le32_of(R3_NVME_DSM_AD);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	assert_int_equal(h->disk[4095], 0xff);
	assert_int_equal(h->disk[4096], 0);
	assert_int_equal(h->disk[8192], 0xff);
	assert_int_equal(h->disk[HOST_DISK - 1], 0);
	r[1].count = r3_le32_of(2);
	assert_int_equal(host_run(h, 1, &e, NULL), R3_NVME_LBA_OUT_OF_RANGE);
	e.cdw11 = r3_le32_of(0); /* only hints */
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	done(h);
}

/* More completions than the queue has room for wait; none is lost. */
static void full_queue(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	struct r3_nvme_cqe c;
	unsigned got = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 10; i++)
			host_put(h, 1, &e);
		nvmc_poll(&h->n);
	}
	assert_non_null(h->n.cq[1].wait);
	for (unsigned i = 0; i < 60; i++) {
		got += host_take(h, 1, &c);
		nvmc_poll(&h->n);
	}
	assert_int_equal(got, 30);
	assert_int_equal(h->n.sq[1].in_flight, 0);
	done(h);
}

static void delete_waits(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	struct r3_nvme_cqe c;

	(void)state;
	h->defer = true;
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	e = admin(R3_NVME_DELETE_SQ, 1, 0);
	host_put(h, 0, &e);
	nvmc_poll(&h->n);
	assert_false(host_take(h, 0, &c));
	host_finish(h);
	assert_true(host_take(h, 1, &c)); /* first the command */
	assert_true(host_take(h, 0, &c));
	assert_int_equal(r3_get_le16(c.status) >> 1, 0);
	done(h);
}

static void errors_pass_through(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = host_rw(R3_NVME_WRITE, 5, 1, DATA, 0);
	uint64_t lba;

	(void)state;
	h->fail = R3_NVME_CAPACITY_EXCEEDED;
	assert_int_equal(host_run(h, 1, &e, NULL), R3_NVME_CAPACITY_EXCEEDED);
	h->fail = 0;
	e = admin(R3_NVME_GET_LOG_PAGE, 0x003f0001, 0);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	memcpy(&lba, h->mem + HOST_DATA + 16, 8);
	assert_int_equal(lba, 5);
	done(h);
}

/* ---- shadow doorbells ---------------------------------------------------- */

static void shadow_doorbells(void **state)
{
	struct host *h = ready(NULL);
	uint32_t *db = (void *)(h->mem + HOST_DB);
	uint32_t *ei = (void *)(h->mem + HOST_EI);
	struct r3_nvme_sqe e = admin(R3_NVME_DOORBELL_CONFIG, 0, 0);
	struct r3_nvme_cqe c;

	(void)state;
	e.prp1 = r3_le64_of(HOST_BASE + HOST_DB);
	e.prp2 = r3_le64_of(HOST_BASE + HOST_EI);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	host_put(h, 1, &e); /* the register alone: the shadow counts */
	assert_int_equal(nvmc_poll(&h->n), 0);
	db[2] = h->sq_tail[1];
	assert_int_equal(nvmc_poll(&h->n), 1);
	assert_true(host_take(h, 1, &c));
	assert_false(nvmc_arm(&h->n));
	assert_int_equal(ei[2], h->sq_tail[1]);
	assert_true(r3_nvme_doorbell_needed((uint16_t)ei[2],
					    (uint16_t)(db[2] + 1),
					    (uint16_t)db[2]));
	host_put(h, 1, &e);
	db[2] = h->sq_tail[1];
	assert_true(nvmc_arm(&h->n)); /* came meanwhile: don't sleep */
	assert_int_equal(nvmc_poll(&h->n), 1);
	assert_false(r3_nvme_doorbell_needed((uint16_t)ei[2],
					     (uint16_t)(db[2] + 1),
					     (uint16_t)db[2]));
	db[2] = 0xffff0000;
	assert_int_equal(nvmc_poll(&h->n), 0);
	assert_int_equal(h->n.events, 2);
	db[2] = h->sq_tail[1];
	assert_int_equal(nvmc_poll(&h->n), 0);
	done(h);
}

/* The client takes its page back and gives it for reading only: to write there
 * would be a fault of ours. */
static void shadow_doorbells_become_read_only(void **state)
{
	struct host *h = ready(NULL);
	uint32_t *db = (void *)(h->mem + HOST_DB);
	struct r3_nvme_sqe e = admin(R3_NVME_DOORBELL_CONFIG, 0, 0);

	(void)state;
	e.prp1 = r3_le64_of(HOST_BASE + HOST_DB);
	e.prp2 = r3_le64_of(HOST_BASE + HOST_EI);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	h->read_only = HOST_DB;
	nvmc_remap(&h->n);
	db[5] = 77; /* queue 2's completions */
	e = admin(R3_NVME_CREATE_CQ, 2 | (HOST_ENTRIES - 1) << 16,
		  R3_NVME_QUEUE_PC);
	e.prp1 = r3_le64_of(HOST_BASE + HOST_DATA);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	assert_int_equal(db[5], 77);
	done(h);
}

static void interrupts_on_demand(void **state)
{
	struct host *h = ready(NULL);
	uint32_t *db = (void *)(h->mem + HOST_DB);
	struct r3_nvme_sqe e = admin(R3_NVME_DOORBELL_CONFIG, 0, 0);
	unsigned before;

	(void)state;
	e.prp1 = r3_le64_of(HOST_BASE + HOST_DB);
	e.prp2 = r3_le64_of(HOST_BASE + HOST_EI);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	e = admin(R3_NVME_SET_FEATURES, NVMC_FEAT_QUIET, 1);
	assert_int_equal(host_run(h, 0, &e, NULL), 0);
	before = h->irqs[1];
	for (unsigned i = 0; i < 2; i++) {
		e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
		db[NVMC_QUIET_OFF / 4 + 1] = i;
		db[2] = (h->sq_tail[1] + 1u) % HOST_ENTRIES;
		db[3] = h->cq_head[1];
		assert_int_equal(host_run(h, 1, &e, NULL), 0);
		assert_int_equal(h->irqs[1], before + i);
	}
	done(h);
}

/* The client left and came back: its queues wait, nothing is touched. */
static void memory_goes_and_comes(void **state)
{
	struct host *h = ready(NULL);
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	struct r3_nvme_cqe c;

	(void)state;
	h->defer = true;
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	h->away = true;
	host_finish(h);
	nvmc_remap(&h->n);
	host_put(h, 1, &e);
	assert_int_equal(nvmc_poll(&h->n), 0);
	h->away = h->defer = false;
	nvmc_remap(&h->n);
	nvmc_poll(&h->n);
	assert_true(host_take(h, 1, &c));
	assert_true(host_take(h, 1, &c));
	done(h);
}

/* ---- wrong on purpose ---------------------------------------------------- */

static void injected(void **state)
{
	struct nvmc_inject stall = { .stall = 2 }, fatal = { .fatal = 2 };
	struct nvmc_inject never = { .never_ready = true };
	struct nvmc_inject unknown = { .unknown_cid = 1 };
	struct r3_nvme_sqe e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	struct r3_nvme_cqe c;
	struct host *h, bare;
	uint32_t dw0;

	(void)state;
	h = ready(&stall);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	assert_false(host_take(h, 1, &c));
	e = admin(R3_NVME_ABORT, R3_NVME_ABORT_CDW10(1, h->cid), 0);
	assert_int_equal(host_run(h, 0, &e, &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_true(host_take(h, 1, &c));
	assert_int_equal(r3_get_le16(c.status) >> 1, R3_NVME_ABORTED);
	done(h);

	h = ready(&fatal);
	e = host_rw(R3_NVME_READ, 0, 1, DATA, 0);
	assert_int_equal(host_run(h, 1, &e, NULL), 0);
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	assert_int_equal(host_get(h, R3_NVME_CSTS) & R3_NVME_CSTS_CFS, 2);
	host_set(h, R3_NVME_CC, 0);
	assert_int_equal(host_get(h, R3_NVME_CSTS), 0);
	done(h);

	h = ready(&unknown);
	host_put(h, 1, &e);
	nvmc_poll(&h->n);
	assert_true(host_take(h, 1, &c));
	assert_int_not_equal(r3_get_le16(c.cid), h->cid);
	done(h);

	host_init(&bare, &never);
	assert_false(host_enable(&bare));
	assert_int_equal(host_get(&bare, R3_NVME_CSTS), 0);
	host_fini(&bare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(enabling),
		cmocka_unit_test(disabling_waits),
		cmocka_unit_test(shutdown_flushes),
		cmocka_unit_test(odd_accesses),
		cmocka_unit_test(identify),
		cmocka_unit_test(admin_commands),
		cmocka_unit_test(features),
		cmocka_unit_test(events),
		cmocka_unit_test(io_commands),
		cmocka_unit_test(data_arrives),
		cmocka_unit_test(list_loops),
		cmocka_unit_test(discards),
		cmocka_unit_test(full_queue),
		cmocka_unit_test(delete_waits),
		cmocka_unit_test(errors_pass_through),
		cmocka_unit_test(shadow_doorbells),
		cmocka_unit_test(shadow_doorbells_become_read_only),
		cmocka_unit_test(interrupts_on_demand),
		cmocka_unit_test(memory_goes_and_comes),
		cmocka_unit_test(injected),
	};

	return cmocka_run_group_tests_name("model nvmc", tests, NULL, NULL);
}
