/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvme.h - an NVMe controller and the requests it works on
 *
 * A controller object outlives its device: when the device is lost or reset,
 * what was in flight is done again on the next one, in the order of its
 * submission, and whoever asked notices nothing but the time.
 *
 *	DOWN --attach--> RESET --RDY=0--> ENABLE --RDY=1--> IDENTIFY
 *	     --answers--> QUEUES --answers--> START --answers--> READY
 *
 *	READY --stuck, nonsense, fatal status--> RESET
 *	any but DOWN --no answer in time, an error--> RESET, NVME_ATTEMPTS
 *	    times in a row without one completion between; then FAILED
 *	FAILED --pause--> RESET
 *	any --connection lost--> DOWN
 *
 * In FAILED requests end with -EIO; in all other states they wait.  Nothing
 * here sleeps, except nvme_ctrl_wait_ready(); the user calls nvme_ctrl_poll()
 * when something may have happened, and nvme_ctrl_tick() from time to time.
 * Time comes as an argument.  One thread.
 */
#ifndef DRIVER_NVME_H
#define DRIVER_NVME_H

#include "ring3/device.h"
#include "nvme_prp.h"
#include "nvme_queue.h"

#define NVME_PART	   "driver/nvme" /* in the log */
#define NVME_QUEUES_MAX	   16
#define NVME_LIST_ENTRIES  64 /* of a command's PRP list: 256 KiB and a bit */
#define NVME_TRANSFER_MAX  (NVME_LIST_ENTRIES * NVME_PAGE)
#define NVME_TRIM_MAX	   32 /* ranges of one command, in the same memory */
#define NVME_BOUNCE_LEN	   (32 * 1024u)
#define NVME_BOUNCES	   8 /* of a queue */
#define NVME_ADMIN_SIZE	   64
#define NVME_ATTEMPTS	   3 /* resets in a row without a completion */
#define NVME_TRIES	   3 /* of a request that the device fails */
#define NVME_MAPS_MAX	   128 /* pieces of clients' memory */

enum nvme_state {
	NVME_DOWN,
	NVME_RESET,
	NVME_ENABLE,
	NVME_IDENTIFY,
	NVME_QUEUES,
	NVME_START,
	NVME_READY,
	NVME_FAILED,
};

enum nvme_op { NVME_READ, NVME_WRITE, NVME_FLUSH, NVME_ZEROES, NVME_TRIM };

struct nvme_range {
	uint64_t lba;
	uint32_t blocks;
};

/*
 * A request, in the caller's memory until done().  It becomes as many commands
 * as it takes.
 */
struct nvme_io {
	uint8_t op; /* enum nvme_op */
	bool fua;   /* a write is durable before it is done */
	bool unmap; /* zeroes: blocks may be given back */
	uint64_t lba, blocks; /* read, write, zeroes */
	const struct r3_vq_seg *seg; /* read, write: blocks * block size */
	unsigned seg_count;
	const struct nvme_range *range; /* trim: 1 to NVME_TRIM_MAX */
	unsigned range_count;
	/* @err: 0 or -EIO, and so on. May submit others. */
	void (*done)(struct nvme_io *io, int err);

	/* private */
	struct nvme_io *next, *prev;
	struct nvme_cursor at;	/* of what is not yet submitted */
	uint64_t at_lba, left;	/* blocks; flush, trim: commands */
	uint64_t since_ns;
	uint16_t outstanding, status;
	uint8_t tries;
	bool stuck; /* the device had to be reset because of it */
};

/* A command in flight, by its slot in the queue. */
struct nvme_cmd {
	struct nvme_cursor at; /* of the copied buffer */
	uint32_t len;
	int16_t bounce; /* -1: none */
	bool aborting;
};

struct nvme_counts {
	uint64_t commands, completions, bounced, retried, failed, resets,
		aborts, timeouts;
};

struct nvme_ioq {
	struct nvme_queue q;
	struct nvme_cmd *cmd;
	/* Requests in order of submission; issue: the first that still has
	 * something to submit. */
	struct nvme_io *first, *last, *issue;
	uint8_t *lists, *bounce; /* in the queue memory */
	uint64_t lists_iova, bounce_iova;
	uint8_t bounce_free[NVME_BOUNCES];
	unsigned bounce_count;
	int kick_fd; /* -1: none; an eventfd that stands for the doorbell */
};

/* What the namespace is. */
struct nvme_ns {
	uint64_t blocks;
	uint32_t block_size;
	uint32_t max_bytes; /* of one command */
	bool write_cache, zeroes, trim, readonly;
	char serial[21], model[41];
};

struct nvme_map {
	uint64_t iova, len, off;
	int fd, prot;
	void *host;
};

struct nvme_conf {
	const char *name;
	unsigned queues;     /* 1..NVME_QUEUES_MAX */
	uint16_t queue_size; /* 2..NVME_QUEUE_SIZE_MAX */
	bool interrupts;     /* else: only by polling */
	bool doorbell_buffer; /* use it where offered */
	unsigned timeout_ms; /* of a command */
	/* The device is lost and will be closed next: the user brings another
	 * with nvme_ctrl_attach(), later.  Never called from within attach. */
	void (*lost)(void *arg);
	void (*ready)(void *arg); /* each time READY is entered */
	void *arg;
};

struct nvme_ctrl {
	struct nvme_conf conf;
	struct r3_device *dev;
	enum nvme_state state;
	const char *why; /* what went wrong last */
	unsigned attempts;
	uint64_t deadline_ns; /* of the state */
	uint64_t cap;
	unsigned queue_count; /* in use */

	/* queue memory */
	int mem_fd;
	uint8_t *mem;
	size_t mem_len;
	uint64_t mem_iova;

	struct nvme_queue admin;
	unsigned admin_waiting; /* answers that the state waits for */
	bool admin_failed;
	struct nvme_ioq ioq[NVME_QUEUES_MAX];
	struct nvme_map map[NVME_MAPS_MAX];
	unsigned map_count;

	struct nvme_ns ns;
	bool identified; /* ns is known */
	bool counted;	 /* queue_count is final */
	bool dbbuf, quiet_offered, quiet, has_dbbuf;
	uint32_t *quiet_word; /* by queue id */
	int irq_fd;
	unsigned vectors;
	volatile uint8_t *bar; /* doorbells mapped, from R3_NVME_DOORBELLS */
	uint64_t bar_len;
	struct nvme_counts counts;
};

/* ---- life ---------------------------------------------------------------- */

/* @c is the caller's memory.  Return: 0, -EINVAL, -ENOMEM, ... */
int nvme_ctrl_init(struct nvme_ctrl *c, const struct nvme_conf *conf);
/* Shuts the device down; requests are forgotten, their done() not called. */
void nvme_ctrl_fini(struct nvme_ctrl *c);

/**
 * nvme_ctrl_attach() - take over a device in any state and bring it up
 * @dev: the controller's from now on, also on failure
 * Maps the queue memory and what clients have mapped, begins the reset.
 * Return: 0 or why not (the device is closed; state DOWN).
 */
int nvme_ctrl_attach(struct nvme_ctrl *c, struct r3_device *dev,
		     uint64_t now_ns);

/* Give the device up, at once: conf.lost() is called, state DOWN, nothing can
 * reach memory any more. */
void nvme_ctrl_drop(struct nvme_ctrl *c, const char *why);

/* Look at registers and queues; complete, submit.  How much was done. */
unsigned nvme_ctrl_poll(struct nvme_ctrl *c, uint64_t now_ns);
/* Deadlines: a few times a second, every ms while not READY. */
void nvme_ctrl_tick(struct nvme_ctrl *c, uint64_t now_ns);

/* Poll until READY, FAILED or DOWN, at most @limit_ms; sleeps in between.
 * Return: 0, -ETIMEDOUT (it goes on), -EIO (FAILED), -ENOTCONN (DOWN). */
int nvme_ctrl_wait_ready(struct nvme_ctrl *c, unsigned limit_ms);

/* Want interrupts, then look again: true: work is there.  And: don't. */
bool nvme_ctrl_arm(struct nvme_ctrl *c);
void nvme_ctrl_disarm(struct nvme_ctrl *c);

/* ---- memory -------------------------------------------------------------- */

/**
 * nvme_ctrl_map() - let the device reach a client's memory
 * @iova: in: the address wanted; out: the address given
 * @fd:   stays valid until unmap; @host: where we see it
 * The address is the same on every later device.
 */
int nvme_ctrl_map(struct nvme_ctrl *c, uint64_t *iova, uint64_t len, int fd,
		  uint64_t off, int prot, void *host);
void nvme_ctrl_unmap(struct nvme_ctrl *c, uint64_t iova, uint64_t len);

/* ---- requests ------------------------------------------------------------ */

/* Put @io into queue @i (below queue count); started by nvme_ioq_kick(). */
void nvme_submit(struct nvme_ctrl *c, unsigned i, struct nvme_io *io,
		 uint64_t now_ns);
/* Submit what there is room for, one doorbell. */
void nvme_kick(struct nvme_ctrl *c, unsigned i);
/* Forget @io; only in DOWN.  done() is not called. */
void nvme_cancel(struct nvme_ctrl *c, unsigned i, struct nvme_io *io);
/* Requests not yet done, in all queues; counted to @max. */
unsigned nvme_in_flight(const struct nvme_ctrl *c, unsigned max);

/* ---- between the files --------------------------------------------------- */

int nvme_ioq_init(struct nvme_ioq *ioq, uint16_t qid, uint16_t size);
void nvme_ioq_fini(struct nvme_ioq *ioq);
/* Nothing is in flight any more: all is to be submitted again. */
void nvme_ioq_rewind(struct nvme_ioq *ioq);
void nvme_ioq_fail(struct nvme_ctrl *c, struct nvme_ioq *ioq, int err);
/* Take completions.  Return: how many, or -EPROTO. */
int nvme_ioq_reap(struct nvme_ctrl *c, struct nvme_ioq *ioq, uint64_t now_ns);
/* The oldest request has waited since then; UINT64_MAX: none waits. */
uint64_t nvme_ioq_oldest(const struct nvme_ioq *ioq);

/* Send Abort for every command of the oldest request; how many. */
unsigned nvme_ctrl_abort(struct nvme_ctrl *c, struct nvme_ioq *ioq);
void nvme_ctrl_reset(struct nvme_ctrl *c, const char *why, uint64_t now_ns);

#endif
