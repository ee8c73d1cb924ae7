/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvmc.h - an NVMe controller without a machine around it
 *
 * The pure half of the emulated controller: registers, queues, commands.  It
 * touches memory only through nvmc_ops.map(), the namespace only through
 * nvmc_ops.start(), and never blocks; whoever embeds it (the server, a test,
 * a fuzzer) brings memory, storage and interrupts.
 *
 * Life of the controller (NVMe 1.4, 3.1.5, 3.1.6, 7.3):
 *
 *	OFF --EN 0>1, sane--> ON --EN 1>0--> STOPPING --no I/O left--> OFF
 *	OFF --EN 0>1, not sane--> FAILED --EN 1>0--> STOPPING
 *	ON --fatal--> FAILED
 *
 * RDY is 1 in ON (and stays so in FAILED when it was) until STOPPING has
 * ended: a host that saw RDY = 0 knows that nothing writes to its memory any
 * more.  Everything that the host wrote, in registers or in memory, is
 * hostile: read once, checked, and what is wrong gets the status or the event
 * that the specification names.
 */
#ifndef MODEL_NVMC_H
#define MODEL_NVMC_H

#include <sys/uio.h>

#include "ring3/wire/nvme.h"

enum {
	NVMC_QUEUES = 33,	/* pairs, the admin pair (0) among them */
	NVMC_ENTRIES_MAX = 1024, /* of an I/O queue */
	NVMC_MDTS = 8,		/* 4 KiB << 8: the largest transfer */
	NVMC_TRANSFER_MAX = 4096 << NVMC_MDTS,
	NVMC_IOV_MAX = (1 << NVMC_MDTS) + 1,
	NVMC_IO_REQS = 256,	/* I/O commands being worked on */
	NVMC_ADMIN_REQS = 16,	/* held async event requests among them */
	NVMC_AERS = 4,
	NVMC_ABORTS = 4,
	NVMC_ERRORS = 4,	/* kept in the error log */
	NVMC_BURST = 64,	/* entries of one queue taken in one round */
	NVMC_BAR_LEN = 0x4000,
	NVMC_MSIX_TABLE = 0x2000, /* in BAR 0, after the doorbells */
	NVMC_MSIX_PBA = 0x3000,
};

/*
 * Vendor specific feature: interrupts only on demand.  With dword 11 = 1, and
 * doorbell buffers configured, the dword at NVMC_QUIET_OFF + 4 * CQID of the
 * shadow doorbell buffer says whether the host wants an interrupt for what is
 * posted to that queue (not 0) or is looking anyway (0).  The host stores 1,
 * then looks at the queue once more, then sleeps: the rule by which
 * virtqueues suppress notifications (virtio 1.2, 2.7.7).
 */
enum { NVMC_FEAT_QUIET = 0xc0, NVMC_QUIET_OFF = 2048 };

/* What the back end is asked to do with the namespace. */
enum nvmc_op {
	NVMC_READ,
	NVMC_WRITE,
	NVMC_FLUSH,   /* durable: everything acknowledged before */
	NVMC_ZERO,    /* @len bytes at @off read as 0 from now on */
	NVMC_DISCARD, /* each of @ranges may be given back */
};

struct nvmc;

struct nvmc_range {
	uint64_t off, len; /* bytes */
};

struct nvmc_req {
	struct nvmc_req *next; /* free, waiting for room, or stalled */
	uint16_t sqid, cid;
	uint8_t op;	  /* enum nvmc_op */
	bool durable;	  /* on stable storage before it is done: FUA, no VWC */
	bool deallocate;  /* NVMC_ZERO may punch a hole */
	bool admin, internal;
	uint16_t status;
	uint32_t dw0;
	uint64_t off, len; /* bytes */
	uint32_t done;	   /* the back end's: bytes or ranges behind us */
	uint32_t count;	   /* of iov or ranges */
	struct iovec *iov; /* NVMC_IOV_MAX of them */
	struct nvmc_range *ranges; /* the same memory */
};
static_assert(NVMC_IOV_MAX >= (int)R3_NVME_DSM_RANGES_MAX &&
	      sizeof(struct iovec) >= sizeof(struct nvmc_range), "shared");

struct nvmc_ops {
	/* The client's [addr, addr + len) here, or NULL.  @prot as the device
	 * uses it.  Valid until nvmc_remap(). */
	void *(*map)(void *arg, uint64_t addr, uint64_t len, int prot);
	/* Begin @req; nvmc_done() must follow, at once or later. */
	void (*start)(void *arg, struct nvmc_req *req);
	/* MSI-X @vector. */
	void (*irq)(void *arg, unsigned vector);
};

/* Wrong on purpose, for tests of drivers. */
struct nvmc_inject {
	bool never_ready;
	uint64_t unknown_cid; /* every Nth I/O completion names no command */
	uint64_t fatal;	      /* CSTS.CFS after N I/O commands */
	uint64_t stall;	      /* every Nth I/O command is never completed */
	bool crash;	      /* abort() at a command that touches crash_lba */
	uint64_t crash_lba;
};

struct nvmc_conf {
	uint64_t size;	    /* bytes, a multiple of block_size */
	uint32_t block_size; /* 512 or 4096 */
	unsigned queues;    /* I/O queue pairs, 1 to NVMC_QUEUES - 1 */
	bool readonly;
	char serial[21];
	struct nvmc_inject inject;
};

struct nvmc_sq {
	const struct r3_nvme_sqe *ring; /* NULL: memory is away */
	uint64_t addr;
	uint32_t size, head, tail; /* size 0: does not exist */
	uint32_t in_flight;
	uint16_t cqid;
	bool deleting; /* ends when nothing is in flight */
	bool bad_tail; /* reported; nothing is taken until a good one */
	struct nvmc_req *delete_req; /* its Delete command */
};

struct nvmc_cq {
	struct r3_nvme_cqe *ring;
	uint64_t addr;
	uint32_t size, head, tail;
	uint16_t vector;
	bool irq_on, phase;
	bool signal; /* something new since the last interrupt */
	bool bad_head;
	unsigned users; /* submission queues */
	struct nvmc_req *wait, **wait_end; /* done, no room yet */
};

enum nvmc_state { NVMC_OFF, NVMC_ON, NVMC_FAILED, NVMC_STOPPING };

struct nvmc_error {
	uint64_t number, lba;
	uint16_t sqid, cid, status;
	uint32_t nsid;
};

/* Counters for SMART and for the server's statistics. */
struct nvmc_counts {
	uint64_t reads, writes, flushes, others;
	uint64_t read_bytes, written_bytes;
	uint64_t errors, aborts, resets, fatals;
};

struct nvmc {
	struct nvmc_conf conf;
	struct nvmc_ops ops;
	void *arg;

	enum nvmc_state state;
	uint32_t cc, csts, aqa, intm;
	uint64_t asq, acq;
	struct nvmc_sq sq[NVMC_QUEUES];
	struct nvmc_cq cq[NVMC_QUEUES];
	unsigned sq_top; /* no submission queue above */
	uint64_t dbs, eis; /* shadow doorbells, EventIdx: client addresses */
	uint32_t *db, *ei; /* here; NULL: not in use or memory away */
	bool dbbuf;

	uint32_t feat_arbitration, feat_temperature[2], feat_recovery;
	uint32_t feat_cache, feat_coalescing, feat_atomicity, feat_events;
	uint32_t feat_vector_cd; /* one bit per vector */
	uint32_t feat_quiet;	 /* NVMC_FEAT_QUIET */

	struct nvmc_req *aer[NVMC_AERS];
	unsigned aers;
	uint8_t events;	      /* pending, bit = info of the error type */
	bool events_masked;   /* until the error log is read */
	struct nvmc_error errors[NVMC_ERRORS];
	uint64_t error_count;

	struct nvmc_req *reqs, *free_io, *free_admin, *stalled;
	struct iovec *iovs; /* of all reqs; touched only when used */
	struct nvmc_req shutdown; /* the flush of CC.SHN */
	bool shutdown_busy;
	unsigned io_busy;  /* with the back end */
	uint64_t io_taken; /* ever, for inject */
	uint64_t io_posted;
	struct nvmc_counts counts;
};

/* @n is zeroed memory.  Return: 0, -EINVAL (conf), -ENOMEM. */
int nvmc_init(struct nvmc *n, const struct nvmc_conf *conf,
	      const struct nvmc_ops *ops, void *arg);
void nvmc_fini(struct nvmc *n);

/* BAR 0, any alignment and length; what is not a register reads 0 and
 * ignores writes. */
void nvmc_bar_read(struct nvmc *n, uint64_t off, void *buf, size_t len);
void nvmc_bar_write(struct nvmc *n, uint64_t off, const void *buf,
		    size_t len);
/* The function was reset (FLR, VFIO_USER_DEVICE_RESET): as CC.EN = 0, and the
 * admin queue registers are cleared. */
void nvmc_reset(struct nvmc *n);

/* Take up to NVMC_BURST commands of each queue, post what was waiting for
 * room; how much was done.  Interrupts wait for nvmc_signal(). */
unsigned nvmc_poll(struct nvmc *n);
void nvmc_signal(struct nvmc *n);
/* Before sleeping: leave EventIdx so that the next doorbell is rung; true:
 * there is work already. */
bool nvmc_arm(struct nvmc *n);

/* The back end has finished @req with an NVMe status. */
void nvmc_done(struct nvmc *n, struct nvmc_req *req, uint16_t status);

/* The client's memory map changed: look all queues up again.  No I/O may be
 * with the back end that uses memory which went. */
void nvmc_remap(struct nvmc *n);

/* ---- between the files of the controller -------------------------------- */

static inline unsigned nvmc_shift(const struct nvmc *n)
{
	return n->conf.block_size == 4096 ? 12 : 9;
}

void nvmc_fatal(struct nvmc *n, const char *why);
void nvmc_event(struct nvmc *n, unsigned info); /* error type, log page 1 */
void nvmc_log_error(struct nvmc *n, const struct nvmc_req *r, uint64_t lba);
void nvmc_settle(struct nvmc *n);
void nvmc_post(struct nvmc *n, struct nvmc_req *r);

struct nvmc_req *nvmc_req_get(struct nvmc *n, bool admin);
void nvmc_req_put(struct nvmc *n, struct nvmc_req *r);

/* Queues: attach the shadow doorbells, create, take away. */
void nvmc_queue_reset(struct nvmc *n);
void nvmc_doorbell(struct nvmc *n, uint32_t index, uint32_t value);
bool nvmc_delete_sq(struct nvmc *n, unsigned sqid, struct nvmc_req *r);

void nvmc_admin(struct nvmc *n, const struct r3_nvme_sqe *e,
		struct nvmc_req *r);
uint16_t nvmc_identify(struct nvmc *n, const struct r3_nvme_sqe *e);
uint16_t nvmc_get_log(struct nvmc *n, const struct r3_nvme_sqe *e);
uint16_t nvmc_features(struct nvmc *n, const struct r3_nvme_sqe *e,
		       uint32_t *dw0);
void nvmc_io(struct nvmc *n, const struct r3_nvme_sqe *e, struct nvmc_req *r);
bool nvmc_cancel(struct nvmc *n, uint16_t sqid, uint16_t cid,
		 uint16_t status);

/* PRPs (4.3) of @len bytes as pieces of memory here; a status. */
uint16_t nvmc_prps(struct nvmc *n, uint64_t prp1, uint64_t prp2, uint64_t len,
		   int prot, struct iovec *iov, uint32_t *count);
/* Answer @e with @len bytes (at most 4096) into its PRPs. */
uint16_t nvmc_reply(struct nvmc *n, const struct r3_nvme_sqe *e,
		    const void *data, size_t len);

#endif
