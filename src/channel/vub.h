/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vub.h - a vhost-user back end's connection, inside
 *
 * All that must outlive the process is in struct vub_state, which lies in the
 * kept page when there is one, and in fds that are kept under the names
 *
 *	PREFIX.c        the connection
 *	PREFIX.mN       memory region in slot N
 *	PREFIX.i        inflight region
 *	PREFIX.kN .lN   kick, call of queue N
 *
 * A queue:
 *
 *	         KICK, and enabled, and addresses, size, memory known
 *	STOPPED ------------------------------------------------------> RUNNING
 *	        <------------------------------------------------------
 *	         GET_VRING_BASE, ENABLE 0, RESET; memory taken away (and back)
 */
#ifndef CHANNEL_VUB_H
#define CHANNEL_VUB_H

#include "wire.h"

#define VUB_MAGIC 0x33627576u /* "vub3" */

enum {
	VUB_Q_ADDR = 1,	   /* desc, driver, device are set */
	VUB_Q_STARTED = 2, /* a kick fd was given, or polling asked for */
	VUB_Q_ENABLED = 4,
	VUB_Q_KICK = 8, /* there is a kick fd */
	VUB_Q_CALL = 16,
	VUB_Q_BASE = 32, /* base is set */
};

struct vub_queue_state {
	uint64_t desc, driver, device; /* user addresses */
	uint32_t base;
	uint16_t size;
	uint8_t flags;
	uint8_t padding;
};

struct vub_region_state {
	uint64_t guest, len, user, off; /* len 0: free slot */
};

struct vub_state {
	uint32_t magic;
	uint8_t open;
	uint8_t busy; /* in the middle of a message */
	uint8_t own_inflight; /* made by us for ourselves */
	uint8_t padding;
	uint64_t features, protocol;
	struct vu_inflight inflight; /* len 0: none */
	struct vub_region_state region[R3_VU_REGIONS_MAX];
	struct vub_queue_state queue[R3_VU_QUEUES_MAX];
};
static_assert(sizeof(struct vub_state) <= R3_VUB_PAGE_LEN, "kept page");

/* A mapping of a peer's file. */
struct vub_map {
	int fd;
	uint8_t *base; /* NULL: none */
	size_t len;
	uint8_t *host; /* what was asked for, inside */
	uint64_t dev, ino;
	struct r3_guard guard;
};

struct vub_queue {
	struct r3_vub *v;
	unsigned index;
	bool running;
	int kick_fd, call_fd;
	struct r3_watch kick;
	struct r3_timer look; /* look without a kick: once, or polling */
	struct r3_vq_device q;
};

struct r3_vub {
	struct r3_loop *loop;
	struct r3_vub_config config;
	const struct r3_vub_ops *ops;
	void *ctx;
	int fd;
	struct r3_watch watch;
	struct vu_in in;
	struct vub_state *s, own_state;
	struct r3_regions mem; /* tag: the slot */
	struct vub_map slot[R3_VU_REGIONS_MAX];
	struct vub_map inflight;
	int fault_fd; /* eventfd: memory was truncated */
	struct r3_watch fault;
	bool resuming; /* what comes back is kept already */
	int failed; /* the errno; closing is on its way */
	struct r3_timer closing;
	struct r3_timer deadline; /* for the first message, or half a one */
	struct vub_queue queue[];
};

/* vub_msg.c: handle v->in; 0, or an error that ends the connection. */
int vub_message(struct r3_vub *v);

/* vub_mem.c */
int vub_map_file(struct r3_vub *v, struct vub_map *m, int fd, uint64_t off,
		 uint64_t len);
void vub_unmap(struct vub_map *m);
/* @fd is taken over, also on failure. */
int vub_add_region(struct r3_vub *v, unsigned slot, const struct vu_region *r,
		   int fd);
void vub_del_region(struct r3_vub *v, unsigned slot);
int vub_find_slot(const struct r3_vub *v, const struct vu_region *r);
int vub_free_slot(const struct r3_vub *v);
/* A user address with @len bytes behind it; NULL: outside. */
void *vub_user(const struct r3_vub *v, uint64_t user, uint64_t len);
/* @fd is taken over. */
int vub_set_inflight(struct r3_vub *v, const struct vu_inflight *i, int fd);
void vub_drop_inflight(struct r3_vub *v);

/* vub_queue.c */
int vub_try_start(struct r3_vub *v, unsigned i);
int vub_try_start_all(struct r3_vub *v);
void vub_stop(struct r3_vub *v, unsigned i);
void vub_stop_all(struct r3_vub *v);
/* @fd, an eventfd or -1, is taken over.  0 or -EPROTO. */
int vub_set_kick(struct r3_vub *v, unsigned i, int fd);
int vub_set_call(struct r3_vub *v, unsigned i, int fd);
void vub_call(struct r3_vub *v, unsigned i);
bool vub_any_running(const struct r3_vub *v);

/* vub_keep.c: @what is one letter, @n < 0: no number. */
void vub_keep(struct r3_vub *v, char what, int n, int fd);
void vub_drop(struct r3_vub *v, char what, int n);
/* The connection ends: from here on nothing of it is kept. */
void vub_forget(struct r3_vub *v);

/* vub.c */
int vub_new(struct r3_vub **out, struct r3_loop *loop, int fd,
	    const struct r3_vub_config *config, const struct r3_vub_ops *ops,
	    void *ctx);
int vub_begin(struct r3_vub *v);
void vub_free(struct r3_vub *v);

#endif
