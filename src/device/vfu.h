/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfu.h - the vfio-user server, between its files
 *
 * vfu.c has the connection and the stream, the others one group of messages
 * each: vfu_info.c, vfu_dma.c, vfu_irq.c, vfu_access.c, vfu_config.c.
 */
#ifndef DEVICE_VFU_H
#define DEVICE_VFU_H

#include "ring3/space.h"
#include "ring3/vfio_user.h"
#include "version.h"

/* A command with the most data, and the reply to it. */
#define VFU_MSG_MAX \
	(sizeof(struct vu_head) + sizeof(struct vu_access) + R3_VFU_XFER_MAX)
#define VFU_HELLO_MS  5000 /* from connecting to an agreed version */
#define VFU_PART_MS   5000 /* for the rest of a message, either way */
#define VFU_BATCH     64   /* messages before others get their turn */
#define VFU_LOG_BURST 16   /* lines about clients at once; then one a second */

static_assert(sizeof(struct vu_io_fds) + R3_VFU_IOEVENTFDS_MAX *
	      sizeof(struct vu_io_fd) < R3_VFU_XFER_MAX, "fits a reply");

enum vfu_state { VFU_LISTEN, VFU_HELLO, VFU_READY, VFU_STATES };

/* One command; what is left in fds is closed after it. */
struct vfu_req {
	const uint8_t *p; /* payload */
	size_t len;
	int *fds;
	unsigned fd_count;
	/* The reply: payload at p, fds are duplicates of somebody else's. */
	struct {
		uint8_t *p;
		size_t len, room;
		int fds[R3_VFU_MSG_FDS];
		unsigned fd_count;
	} out;
	bool hang_up; /* after the reply */
};

struct vfu_vector {
	int fd;
	bool masked, pending;
};

/* Keeps a client from filling the log; what is left out is counted. */
struct vfu_tokens {
	uint64_t at_ns; /* last refill */
	unsigned used;
};

struct vfu_irq {
	struct vfu_vector *v;
	unsigned count;
};

struct r3_vfu {
	struct r3_loop *loop;
	struct r3_vfu_desc desc;
	const struct r3_vfu_ops *ops;
	void *ctx;
	struct r3_vfu_stats stats;

	/* configuration space and what MSI-X keeps in memory */
	struct r3_vfu_config initial;
	unsigned msix_cap, pm_cap, express_cap; /* offsets; 0: none */
	struct {
		unsigned bar;
		uint64_t table, pba; /* offsets in the BAR */
		size_t table_len, pba_len;
		uint8_t *mem; /* table, then pending bits */
	} msix;
	struct vfu_irq irqs[VFIO_PCI_NUM_IRQS];

	/* the client's memory */
	struct r3_space *space;
	const struct r3_region *last; /* hit; NULL after any change */
	int guard_fd; /* signalled when a client truncates its memory */
	struct r3_watch guard_watch;
	struct vfu_tokens fault_log, refuse_log;

	/* the connection */
	enum vfu_state state;
	struct r3_watch listen, conn;
	bool listening, accepting, writing, busy, drop;
	const char *drop_why;
	struct r3_timer deadline, again;
	struct version peer;
	int fds[R3_VFU_MSG_FDS]; /* beside the message being received */
	unsigned fd_count;
	size_t fds_at; /* where in rx the message stands that they go with */
	size_t rx_len, rx_at, tx_len, tx_done;
	int tx_fds[R3_VFU_MSG_FDS];
	unsigned tx_fd_count;
	uint8_t rx[VFU_MSG_MAX], tx[VFU_MSG_MAX];
};

typedef int vfu_command(struct r3_vfu *v, struct vfu_req *r);

vfu_command vfu_info, vfu_region_info, vfu_region_io_fds, vfu_irq_info;
vfu_command vfu_set_irqs, vfu_dma_map, vfu_dma_unmap;
vfu_command vfu_region_read, vfu_region_write, vfu_write_multi, vfu_reset;

/* The payload's fixed part, or NULL when it is shorter. */
static inline const void *vfu_head(const struct vfu_req *r, size_t len)
{
	return r->len < len ? NULL : r->p;
}

static inline void vfu_reply(struct vfu_req *r, const void *p, size_t len)
{
	assert(len <= r->out.room - r->out.len);
	memcpy(r->out.p + r->out.len, p, len);
	r->out.len += len;
}

/* Size and rights of a region, the configuration space's included. */
uint64_t vfu_region_size(const struct r3_vfu *v, unsigned region);
int vfu_region_prot(const struct r3_vfu *v, unsigned region);

/* Is the description one that can be served?  0 or -EINVAL, logged. */
int vfu_check_desc(const struct r3_vfu_desc *d);
bool vfu_may_log(struct vfu_tokens *t);
int vfu_config_open(struct r3_vfu *v);
void vfu_config_access(struct r3_vfu *v, unsigned off, uint8_t *data,
		       size_t len, bool write);
void vfu_do_reset(struct r3_vfu *v, enum r3_vfu_reset why);
void vfu_irqs_drop(struct r3_vfu *v);
void vfu_irqs_reset(struct r3_vfu *v);
void vfu_dma_drop(struct r3_vfu *v);

#endif
