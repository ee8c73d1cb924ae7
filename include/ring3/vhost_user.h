/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_user.h - how two processes set up a channel
 *
 * The front end (a virtual machine, a client) owns the memory and is the
 * driver of the queues; the back end (one of our servers) is their device.
 * Peers: QEMU, qemu-storage-daemon, Cloud Hypervisor, DPDK.
 * Source: QEMU docs/interop/vhost-user.rst.
 */
#ifndef RING3_VHOST_USER_H
#define RING3_VHOST_USER_H

#include "ring3/base.h"
#include "ring3/channel.h"
#include "ring3/loop.h"
#include "ring3/mem.h"

#define R3_VU_QUEUES_MAX  64  /* of one connection */
#define R3_VU_REGIONS_MAX 32  /* memory regions of one connection */
#define R3_VU_CONFIG_MAX  256 /* bytes of config space */

/* ---- back end ----------------------------------------------------------- */

struct r3_vub; /* one connection */

/*
 * Called from the loop, or from r3_vub_open(), _resume() and _close().  None
 * may close the connection by itself: r3_vub_fail() asks for it.
 */
struct r3_vub_ops {
	/*
	 * Memory of the client, mapped at reg->host (reg->fd is the
	 * connection's).  May map it into a device's space and set reg->iova,
	 * which is reg->addr at the call.  Return: 0, or an error, which ends
	 * the connection.  NULL: nothing to do.
	 */
	int (*mem_add)(void *ctx, struct r3_region *reg);
	/* About to be unmapped here; no queue is running. */
	void (*mem_del)(void *ctx, const struct r3_region *reg);
	/*
	 * Queue @i runs: take r3_vq_device_next_inflight() until 0, then pop;
	 * a kick follows if something may be waiting.  @q stays valid until
	 * queue_stop.  Return: 0, or an error, which ends the connection.
	 */
	int (*queue_start)(void *ctx, unsigned i, struct r3_vq_device *q);
	/* Return only when nothing is in flight in @i and all is published. */
	void (*queue_stop)(void *ctx, unsigned i);
	/* The driver rang: something may be in queue @i. */
	void (*kicked)(void *ctx, unsigned i);
	/* Config space.  @len > 0, offset + len <= config_len.  set_config may
	 * be NULL: read only, writes are refused. */
	void (*get_config)(void *ctx, uint32_t offset, uint32_t len,
			   uint8_t *out);
	int (*set_config)(void *ctx, uint32_t offset, uint32_t len,
			  const uint8_t *data);
	/*
	 * The connection is over: queues have been stopped, memory removed.
	 * @why: 0 (the peer left), -EPROTO, or another error.  The vub is
	 * freed when this returns.
	 */
	void (*closed)(void *ctx, int why);
};

/*
 * What lets a connection outlive the process: a place for fds, and a page.
 * Names are at most 40 bytes; struct r3_server's functions fit, through
 * two-line wrappers.
 */
#define R3_VUB_PAGE_LEN 8192

struct r3_vub_keeper {
	void *arg;
	int (*keep_fd)(void *arg, const char *name, int fd);
	void (*drop_fd)(void *arg, const char *name);
	int (*kept_fd)(void *arg, const char *name);
	/* R3_VUB_PAGE_LEN bytes, 8-aligned, zeroed when new, one piece for
	 * each connection that may be open at a time. */
	void *page;
	const char *prefix; /* of names: "client0" */
};

struct r3_vub_config {
	const char *part; /* for the log: "driver/nvme" ... */
	const char *name; /* ... "nvme0" */
	uint64_t features; /* of the device and of the ring, offered */
	unsigned queues;   /* 1..R3_VU_QUEUES_MAX */
	uint16_t queue_size_max; /* 1..R3_VQ_SIZE_MAX */
	uint32_t config_len;	 /* 0..R3_VU_CONFIG_MAX */
	const struct r3_vub_keeper *keeper; /* NULL: dies with us */
};

/**
 * r3_vub_open() - serve a front end that has just connected
 * @fd: the accepted stream socket; the connection's from now on, on failure
 *	closed
 * @config: copied, the strings and the keeper are not
 *
 * Nothing blocks: messages are taken from the loop, also in pieces; a front
 * end that does not read its replies is cut off.  In a sandbox R3_NOTIFY_CALLS
 * are needed (loop.h).
 * Return: 0, -EINVAL, -ENOMEM, or what the loop said.
 */
int r3_vub_open(struct r3_vub **out, struct r3_loop *loop, int fd,
		const struct r3_vub_config *config,
		const struct r3_vub_ops *ops, void *ctx);

/**
 * r3_vub_resume() - go on with the connection of a former life
 *
 * Takes the fds and the page from config->keeper and is, when it returns,
 * where the former life was: memory mapped, queues started, every queue
 * kicked once and its driver called once, as either may have been lost.
 * Return: 0; -ENOENT (nothing was kept); -ESTALE (death came in the middle of
 * a message, or the page or the peer's memory makes no sense: all dropped and
 * closed, the front end will connect anew); -ENOMEM.
 */
int r3_vub_resume(struct r3_vub **out, struct r3_loop *loop,
		  const struct r3_vub_config *config,
		  const struct r3_vub_ops *ops, void *ctx);

/* End it now: queues are stopped, memory removed, closed() is called, what
 * was kept is dropped.  Not from within one of its own callbacks. */
void r3_vub_close(struct r3_vub *v);
/* End it from anywhere: logs @reason once, closes from the loop.  No callback
 * but queue_stop, mem_del and closed follows. */
void r3_vub_fail(struct r3_vub *v, int err, const char *reason);
/* Die without a trace: what was kept stays kept, no callback.  For an orderly
 * end of the server whose next life resumes. */
void r3_vub_leave(struct r3_vub *v);

/* Publish what was pushed in queue @i, and call the driver if it wants it:
 * true, it slept. */
bool r3_vub_signal(struct r3_vub *v, unsigned i);
/* NULL: not running. */
struct r3_vq_device *r3_vub_queue(struct r3_vub *v, unsigned i);
uint64_t r3_vub_features(const struct r3_vub *v); /* as acknowledged */
const struct r3_regions *r3_vub_regions(const struct r3_vub *v);

/* ---- front end ---------------------------------------------------------- */

struct r3_vuf;

struct r3_vuf_config {
	const char *path;  /* socket of the back end */
	uint64_t features; /* wanted, if the back end offers them; R3_VQ_F_*
			    * and the device's */
	uint64_t required; /* without these: -ENOTSUP */
	unsigned queues;   /* 1..R3_VU_QUEUES_MAX */
	uint16_t queue_size;
	uint16_t indirect_max; /* buffers of an indirect request; 0: none */
	unsigned timeout_ms;   /* for each answer of the back end; 0: 5000 */
	bool no_inflight;      /* do without the inflight region */
};

/**
 * r3_vuf_open() - connect and negotiate
 *
 * Blocking, with the timeout; the queues are made, not yet started.
 * Return: 0; -EINVAL; -ENOTSUP (the back end lacks something required);
 * -EPROTO; -ETIMEDOUT; or what connect() said.
 */
int r3_vuf_open(struct r3_vuf **out, const struct r3_vuf_config *config);
void r3_vuf_close(struct r3_vuf *f);

/**
 * r3_vuf_mem_add() - let the back end see a piece of memory; before start
 * @fd:   memory file, len bytes from 0; the vuf keeps its own duplicate
 * @addr: where the back end finds it: for struct r3_vq_buf
 * Return: 0, -EBUSY (started), -ENOSPC, -EINVAL (not whole pages).
 */
int r3_vuf_mem_add(struct r3_vuf *f, int fd, uint64_t len, uint64_t *addr);

/* Memory table, inflight region, queues: then requests may flow. */
int r3_vuf_start(struct r3_vuf *f);
/* Stop all queues: what is in flight is done when this returns, completions
 * can still be taken. */
int r3_vuf_stop(struct r3_vuf *f);

/**
 * r3_vuf_reconnect() - the back end went away (r3_vuf_fd() hung up)
 * @timeout_ms: try to connect this long
 *
 * Connects, negotiates the same features, gives memory and queues again.
 * What is in flight is done again: by the back end from the inflight region,
 * else all of it is submitted anew.  A request may be executed twice; it
 * completes once.
 * Return: 0; -ENOTSUP (the new one offers less); -ETIMEDOUT; -EPROTO, ...
 * After an error it may be called again.
 */
int r3_vuf_reconnect(struct r3_vuf *f, int timeout_ms);

struct r3_vq_driver *r3_vuf_queue(struct r3_vuf *f, unsigned i);
/* Publish what was added in queue @i, and kick if the device wants it. */
void r3_vuf_kick(struct r3_vuf *f, unsigned i);
int r3_vuf_call_fd(const struct r3_vuf *f, unsigned i);
int r3_vuf_fd(const struct r3_vuf *f); /* EPOLLHUP: reconnect */
uint64_t r3_vuf_features(const struct r3_vuf *f); /* negotiated */
bool r3_vuf_has_inflight(const struct r3_vuf *f);

/* Config space.  Return: 0, -ENOTSUP, -EINVAL (range), -EPROTO, ... */
int r3_vuf_get_config(struct r3_vuf *f, uint32_t offset, uint32_t len,
		      void *out);
int r3_vuf_set_config(struct r3_vuf *f, uint32_t offset, uint32_t len,
		      const void *data);

#endif
