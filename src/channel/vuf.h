/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vuf.h - a vhost-user front end, inside
 *
 * The back end sees one address space, in which guest and user addresses are
 * the same: the rings and indirect tables from VUF_BASE on, and behind them
 * what r3_vuf_mem_add() added.
 */
#ifndef CHANNEL_VUF_H
#define CHANNEL_VUF_H

#include "wire.h"

#define VUF_BASE       UINT64_C(0x100000) /* not 0: some take it for "none" */
#define VUF_TIMEOUT_MS 5000

struct vuf_region {
	int fd;
	uint64_t addr, len;
};

struct vuf_queue {
	struct r3_vq_driver q;
	uint64_t addr; /* of its ring, as the back end sees it */
	uint32_t base; /* where the back end is to start */
	int kick_fd, call_fd;
};

struct r3_vuf {
	struct r3_vuf_config config;
	char *path;
	int fd; /* -1: not connected */
	uint64_t features, protocol; /* features 0: never negotiated */
	bool started;
	struct vuf_region region[VU_FDS_MAX]; /* 0: the rings */
	unsigned region_count;
	uint64_t next_addr;
	uint8_t *rings; /* region 0, mapped */
	uint32_t stride; /* bytes of one queue in it */
	struct r3_vring_layout layout;
	int inflight_fd; /* -1: none */
	struct vu_inflight inflight;
	struct vu_in in;
	struct vuf_queue queue[];
};

/* vuf_msg.c: all with the deadline. */
struct vuf_msg {
	uint32_t request, size;
	union vu_payload payload;
	const int *fds;
	unsigned count;
};
/* Send, and wait for the acknowledgement where that was negotiated. */
int vuf_tell(struct r3_vuf *f, const struct vuf_msg *m);
/* Send, and wait for the answer, at least @min bytes of payload: f->in. */
int vuf_ask(struct r3_vuf *f, const struct vuf_msg *m, uint32_t min);
int vuf_get_u64(struct r3_vuf *f, uint32_t request, uint64_t *out);
int vuf_set_u64(struct r3_vuf *f, uint32_t request, uint64_t n);
int vuf_set_state(struct r3_vuf *f, uint32_t request, uint32_t index,
		  uint32_t num);

/* vuf_queue.c */
int vuf_make_rings(struct r3_vuf *f);
void vuf_free_rings(struct r3_vuf *f);
int vuf_start_queues(struct r3_vuf *f);

#endif
