/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * double.h - an NVMe controller in the test's own process, good or bad
 *
 * Stands in for src/device and src/space at link time: the driver's calls end
 * here.  Works on a doorbell, at once; no time passes but what the test says.
 */
#ifndef TEST_DRIVER_DOUBLE_H
#define TEST_DRIVER_DOUBLE_H

#include "nvme.h"

#define DOUBLE_DISK (1u << 20) /* bytes */

enum double_fault {
	GOOD,
	STAYS_READY,	/* CC.EN 0 is ignored */
	NEVER_READY,
	FATAL_AT_ENABLE,
	NO_IDENTIFY,	/* answers with an error */
	SILENT_ADMIN,	/* admin commands are never completed */
	NO_QUEUES,	/* Create CQ fails */
	EMPTY_NS,
	ODD_BLOCKS,	/* 520 byte blocks, as 512 with metadata */
	HUGE_BLOCKS,
	WRONG_CID,	/* once */
	WRONG_CID_ALWAYS,
	WRONG_SQID,	/* once */
	FATAL_ONCE,	/* CSTS.CFS at an I/O command, once */
	STALLS_ONCE,	/* an I/O command is not completed; Abort works */
	STALLS_DEAF,	/* the same, and Abort does not help; once */
	STALLS_LBA_7,	/* always at that block, Abort does not help */
	FAILS_ONCE,	/* an I/O command gets a status, may be retried */
	FAILS_DNR,	/* all I/O commands: do not retry */
	FAILS_ALWAYS,	/* all I/O commands, may be retried */
	GONE,		/* registers read as ones at the first I/O command */
	LOST,		/* every call says -ENOTCONN from the first I/O on */
};

struct double_ctrl {
	enum double_fault fault;
	bool fired; /* for the faults that come once */
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	struct {
		uint64_t sq, cq;
		uint16_t size, head, tail, cq_tail;
		bool phase;
	} q[NVME_QUEUES_MAX + 1];
	uint16_t stalled_cid;
	unsigned mdts, queues, resets, enables, aborts, io_commands, closed;
	uint32_t largest; /* bytes of one command */
	bool lost;
	uint8_t disk[DOUBLE_DISK];
	/* memory that the driver's space maps */
	struct {
		uint64_t iova, len;
		uint8_t *host;
	} map[8];
	unsigned maps;
};

extern struct double_ctrl the_double;
void double_make(enum double_fault fault);

#endif
