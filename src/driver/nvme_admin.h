/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nvme_admin.h - what the files of a controller share: its admin commands and
 * the layout of its queue memory */
#ifndef DRIVER_NVME_ADMIN_H
#define DRIVER_NVME_ADMIN_H

#include "nvme.h"

/* Queue memory: offsets of the controller's own pages; the I/O queues follow
 * (nvme_mem.c, lay_out()). */
enum {
	NVME_MEM_ASQ = 0,
	NVME_MEM_ACQ = NVME_MEM_ASQ + NVME_ADMIN_SIZE * 64,
	NVME_MEM_ID_CTRL = NVME_MEM_ACQ + 4096,
	NVME_MEM_ID_NS = NVME_MEM_ID_CTRL + 4096,
	NVME_MEM_DB = NVME_MEM_ID_NS + 4096, /* shadow doorbells */
	NVME_MEM_EI = NVME_MEM_DB + 4096,    /* their EventIdx */
	NVME_MEM_ADMIN_END = NVME_MEM_EI + 4096,
};
static_assert(NVME_ADMIN_SIZE * 64 % 4096 == 0, "pages");

/* The steps of the bring-up: each sends its commands and counts them in
 * admin_waiting. */
void nvme_admin_identify(struct nvme_ctrl *c);
void nvme_admin_create_cqs(struct nvme_ctrl *c);
void nvme_admin_create_sqs(struct nvme_ctrl *c);
/* An answer; on failure of something needed sets admin_failed and why. */
void nvme_admin_done(struct nvme_ctrl *c, const struct nvme_done *d);

/* nvme_ctrl.c */
struct nvme_doorbell nvme_ctrl_doorbell(struct nvme_ctrl *c, unsigned qid,
					unsigned cq);
void nvme_ctrl_clear_queue(struct nvme_ctrl *c, unsigned i);
uint16_t nvme_ctrl_queue_size(const struct nvme_ctrl *c);

/* nvme_mem.c; nvme_ctrl_map() and _unmap() are there too */

/* The queue memory, and where in it each queue finds its own; closed also
 * after a failure.  Return: 0 or what memfd_create() and mmap() said. */
int nvme_mem_open(struct nvme_ctrl *c);
void nvme_mem_close(struct nvme_ctrl *c);
/* A device has come: it is given the clients' memory and that of the queues.
 * Return: 0 or what r3_space_map() said; the device is then of no use. */
int nvme_mem_attach(struct nvme_ctrl *c);
/* The offset of queue @i's submission (@cq 1: completion) ring. */
size_t nvme_mem_ring(const struct nvme_ctrl *c, unsigned i, unsigned cq);

#endif
