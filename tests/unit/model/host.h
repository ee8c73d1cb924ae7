/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h - a host with a little memory and a disk in memory, for the
 * controller's core
 */
#ifndef TEST_MODEL_HOST_H
#define TEST_MODEL_HOST_H

#include "nvmc.h"

enum {
	HOST_MEM = 1 << 20,
	HOST_BASE = 0x10000, /* address of its first byte */
	HOST_DISK = 1 << 20,
	/* where things lie, from HOST_BASE */
	HOST_ASQ = 0x0000, HOST_ACQ = 0x1000, HOST_ENTRIES = 16,
	HOST_SQ = 0x2000, HOST_CQ = 0x3000,
	HOST_DB = 0x4000, HOST_EI = 0x5000,
	HOST_DATA = 0x8000,
};

struct host {
	struct nvmc n;
	uint8_t *mem, *disk;
	bool away;  /* memory can't be found */
	uint64_t read_only; /* a page: where in mem; 0: none */
	bool defer; /* the disk keeps its requests until host_finish() */
	struct nvmc_req *held[NVMC_IO_REQS + 1];
	unsigned held_count, irqs[NVMC_QUEUES], starts;
	uint16_t fail; /* status of the disk's next answers */
	uint16_t sq_tail[2], cq_head[2];
	bool phase[2];
	uint16_t cid;
};

void host_init(struct host *h, const struct nvmc_inject *inject);
void host_fini(struct host *h);
/* CC.EN with admin queues of HOST_ENTRIES; true: RDY came. */
bool host_enable(struct host *h);
uint32_t host_get(struct host *h, uint32_t reg);
void host_set(struct host *h, uint32_t reg, uint32_t v);

/* Put @e in queue @q (0: admin, 1) with a fresh cid, and ring. */
uint16_t host_put(struct host *h, unsigned q, struct r3_nvme_sqe *e);
/* Take a completion: false: none there. */
bool host_take(struct host *h, unsigned q, struct r3_nvme_cqe *out);
/* Put, poll, take: the status without DNR; asserts that one came. */
uint16_t host_run(struct host *h, unsigned q, struct r3_nvme_sqe *e,
		  uint32_t *dw0);
/* Let the disk do what it holds. */
void host_finish(struct host *h);
/* I/O queue pair 1 of HOST_ENTRIES. */
void host_io_queues(struct host *h);

struct r3_nvme_sqe host_rw(uint8_t opcode, uint64_t lba, unsigned blocks,
			   uint64_t prp1, uint64_t prp2);

#endif
