/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel.h - virtqueues: the one way in which parts exchange work
 *
 * A channel is a virtqueue (virtio 1.2, 2.7 split and 2.8 packed) in memory
 * that two processes share, and two eventfds: kick (driver -> device) and
 * call (device -> driver).  This header has both sides, each over both forms;
 * how the two processes find each other is vhost_user.h.
 *
 * Neither side trusts the other.  Whatever the other side can write is read
 * once into a local and checked there; -EPROTO means that the peer broke the
 * rules, and the queue must not be used any more.
 *
 * Only init functions allocate.  A queue belongs to one thread on each side.
 */
#ifndef RING3_CHANNEL_H
#define RING3_CHANNEL_H

#include "ring3/base.h"
#include "ring3/mem.h"

#define R3_VQ_SIZE_MAX	1024 /* entries of a ring */
#define R3_VQ_SEGS_MAX	256  /* segments of one request, indirect ones too */
#define R3_VQ_ALIGN	64   /* of each ring area, where we lay it out */

/* Feature bits of the ring itself (virtio 1.2, 6). */
#define R3_VQ_F_INDIRECT  (UINT64_C(1) << 28)
#define R3_VQ_F_EVENT_IDX (UINT64_C(1) << 29)
#define R3_VQ_F_VERSION_1 (UINT64_C(1) << 32)
#define R3_VQ_F_PACKED	  (UINT64_C(1) << 34)
#define R3_VQ_FEATURES                                       \
	(R3_VQ_F_INDIRECT | R3_VQ_F_EVENT_IDX | R3_VQ_F_VERSION_1 | \
	 R3_VQ_F_PACKED)

/* ---- the ring ----------------------------------------------------------- */

/*
 * Where a ring lies in this process.  Split: descriptor table, available
 * ring, used ring.  Packed: descriptor ring, the driver's and the device's
 * event suppression.  Aligned to 16, 2 and 4 bytes (packed: 16, 4, 4).
 */
struct r3_vring {
	void *desc;
	void *driver;
	void *device;
	uint16_t size; /* 1..R3_VQ_SIZE_MAX; split: a power of two */
	bool packed;
	bool event_idx;
	bool indirect;
};

/* Bytes of the three areas of a ring, and where they lie when it is laid out
 * in one piece that starts at a multiple of R3_VQ_ALIGN. */
struct r3_vring_layout {
	uint32_t desc_len, driver_len, device_len;
	uint32_t desc, driver, device; /* offsets */
	uint32_t len;		       /* of all */
};

/**
 * r3_vring_layout() - how much memory a ring takes
 * @size: entries
 * Return: 0, -EINVAL (0, too large, split and no power of two).
 */
int r3_vring_layout(uint16_t size, bool packed, struct r3_vring_layout *out);

/* ---- the device's side -------------------------------------------------- */

/* One piece of a request: never crosses a region.  @iova is what a device
 * behind us sees (region.iova + offset). */
struct r3_vq_seg {
	uint8_t *host;
	uint64_t iova;
	uint32_t len; /* not 0 */
};

/*
 * A request.  Keep it until push; @seg is only needed while the data is.
 * Segments that the device reads come first, then those it writes.
 */
struct r3_vq_req {
	uint16_t id;	   /* < ring.size, unique among those in flight */
	uint16_t readable; /* segments */
	uint16_t writable;
	uint16_t slots;	 /* the library's: places it took in the ring */
	uint16_t entry;	 /* the library's: its place in the inflight region */
	struct r3_vq_seg *seg;
};

struct r3_vq_device {
	/* hot */
	struct r3_vring ring;
	uint16_t avail, used;	    /* next place to look at, to fill */
	bool avail_wrap, used_wrap; /* packed: wrap counters */
	bool broken;		    /* -EPROTO was returned */
	uint16_t shadow;	    /* split: available index as last read */
	uint16_t places;	    /* of the ring that are in flight */
	uint16_t count;		    /* requests in flight, not yet pushed */
	uint16_t staged;	    /* requests pushed, not yet published */
	uint16_t since;		    /* places published since should_signal */
	uint16_t head, head_flags;  /* packed: first staged, published last */
	uint16_t free_entry;	    /* packed: free list of the region */
	uint8_t *busy;		    /* by id: in flight? */
	uint16_t *batch;	    /* what is staged */
	uint16_t *link, *last;	    /* packed: as in the region, by entry */
	void *inflight;		    /* the queue's region, or NULL */
	uint64_t counter;
	const struct r3_regions *mem;
	/* cold: what the last life left in flight, in order */
	uint16_t *again;
	uint16_t again_count, again_at;
	const char *why; /* what was wrong, when broken */
};

/**
 * r3_vq_device_init() - be the device of a ring
 * @ring: as mapped here; checked (size, alignment, NULL)
 * @mem:  how addresses in descriptors become pointers; the caller's, must
 *	  outlive the queue.  Region.host must be set.
 * @base: where to start, as r3_vq_device_base() gave it; 0 for a new split
 *	  ring, R3_VQ_BASE_PACKED for a new packed one
 * Return: 0, -EINVAL, -ENOMEM.
 */
int r3_vq_device_init(struct r3_vq_device *q, const struct r3_vring *ring,
		      const struct r3_regions *mem, uint32_t base);
void r3_vq_device_fini(struct r3_vq_device *q);

#define R3_VQ_BASE_PACKED UINT32_C(0x80008000)

/* As in VHOST_USER_GET_VRING_BASE: split: next available index; packed: that
 * and its wrap counter in bits 0-15, used index and counter in 16-31.  Only
 * meaningful with nothing in flight and nothing staged. */
uint32_t r3_vq_device_base(const struct r3_vq_device *q);

/* Bytes of one queue's inflight region (a multiple of 64). */
size_t r3_vq_inflight_len(uint16_t size, bool packed);

/**
 * r3_vq_device_recover() - attach an inflight region, and take over what it
 * says a former life left undone
 * @region: r3_vq_inflight_len() bytes, writable; all zero when new.  The peer
 *	    may have written anything in it: checked.
 *
 * Right after init, before anything else; sets the indices from the region
 * (split: and the used ring), so the init's @base no longer matters, unless
 * the region is new.  Then r3_vq_device_next_inflight().
 * Return: how many requests are to be done again, or -EPROTO, -ENOMEM.
 */
int r3_vq_device_recover(struct r3_vq_device *q, void *region);

/**
 * r3_vq_device_next_inflight() - the next request left by the former life, in
 * the order of their submission.  Take all before the first pop.
 * Return: as r3_vq_device_pop().
 */
int r3_vq_device_next_inflight(struct r3_vq_device *q, struct r3_vq_req *req,
			       struct r3_vq_seg *seg, unsigned max);

/**
 * r3_vq_device_pop() - take the next request
 * @seg: room for its segments, which req->seg then points to
 * @max: of them; a longer request is -EPROTO, so tell the driver (virtio-blk:
 *	 seg_max) 2 less than this
 *
 * Publishes staged completions first.  The request is in the inflight region
 * when this returns.
 * Return: 1, 0 (nothing there), -EPROTO (q->why says what).
 */
int r3_vq_device_pop(struct r3_vq_device *q, struct r3_vq_req *req,
		     struct r3_vq_seg *seg, unsigned max);

/**
 * r3_vq_device_push() - a request is done
 * @req:     from pop; id, slots and entry are used
 * @written: bytes written to its writable segments, from the first on
 *
 * In any order.  The driver sees it after r3_vq_device_publish().
 */
void r3_vq_device_push(struct r3_vq_device *q, const struct r3_vq_req *req,
		       uint32_t written);
/* Let the driver see all that was pushed. */
void r3_vq_device_publish(struct r3_vq_device *q);
/* Does the driver want a call for what was published since this was asked
 * last? */
bool r3_vq_device_should_signal(struct r3_vq_device *q);

/* Ask for kicks, then look again: true = requests are waiting, don't sleep.
 * Disarm: kicks are not needed (a hint; some may come all the same).  A new
 * queue is armed. */
bool r3_vq_device_arm(struct r3_vq_device *q);
void r3_vq_device_disarm(struct r3_vq_device *q);
/* Is there something to pop?  Cheap; reads one line of the ring. */
bool r3_vq_device_pending(const struct r3_vq_device *q);

/* ---- the driver's side -------------------------------------------------- */

struct r3_vq_buf {
	uint64_t addr; /* as the device resolves it */
	uint32_t len;
};

struct vq_driver_slot;

struct r3_vq_driver {
	struct r3_vring ring;
	uint16_t avail, used; /* next place to fill, to look at */
	bool avail_wrap, used_wrap; /* packed: wrap counters */
	bool broken;		    /* -EPROTO was returned */
	uint16_t free_count, free_head; /* slots, one for each descriptor */
	uint16_t staged;	    /* added, not published: places */
	uint16_t since;		    /* published since should_kick: places */
	uint16_t head, head_flags;  /* packed: first staged, published last */
	uint16_t count;		    /* requests in flight */
	struct vq_driver_slot *slot; /* by id */
	uint64_t seq;
	uint8_t *table; /* indirect tables, one for each id, or NULL */
	uint64_t table_addr;
	uint16_t table_max; /* entries of each */
	const char *why;
};

/**
 * r3_vq_driver_init() - be the driver of a ring; clears it
 * @table:      shared memory for indirect tables, ring->size * @table_max * 16
 *		bytes, or NULL: none are used
 * @table_addr: where the device sees it
 * @table_max:  buffers of one request when indirect
 * Return: 0, -EINVAL, -ENOMEM.
 */
int r3_vq_driver_init(struct r3_vq_driver *q, const struct r3_vring *ring,
		      void *table, uint64_t table_addr, uint16_t table_max);
void r3_vq_driver_fini(struct r3_vq_driver *q);

/**
 * r3_vq_driver_add() - submit a request
 * @buf:      first @readable buffers that the device reads, then @writable
 *	      that it writes; together 1 to ring.size, or table_max
 * @cookie:   comes back with the completion; not NULL
 *
 * An indirect table is used for two buffers and more when the queue has them.
 * The device sees it after publish.
 * Return: 0, -EINVAL (counts), -ENOSPC (ring full; completions free room).
 */
int r3_vq_driver_add(struct r3_vq_driver *q, const struct r3_vq_buf *buf,
		     unsigned readable, unsigned writable, void *cookie);
void r3_vq_driver_publish(struct r3_vq_driver *q);
/* Does the device want a kick for what was published since the last call? */
bool r3_vq_driver_should_kick(struct r3_vq_driver *q);

/**
 * r3_vq_driver_get() - take one completion
 * @written: bytes the device says it wrote, not more than there was room
 * Return: 1, 0 (none), -EPROTO (q->why says what).
 */
int r3_vq_driver_get(struct r3_vq_driver *q, void **cookie, uint32_t *written);

/* As on the device's side: ask for calls and look again; true = a completion
 * is there.  A new queue is armed. */
bool r3_vq_driver_arm(struct r3_vq_driver *q);
void r3_vq_driver_disarm(struct r3_vq_driver *q);
bool r3_vq_driver_pending(const struct r3_vq_driver *q);

/**
 * r3_vq_driver_wait() - wait until a completion can be taken
 * @call_fd:    the queue's call eventfd
 * @spin_us:    look this long before sleeping
 * @timeout_ms: then sleep at most this long; -1: no limit
 * Return: 0, -ETIMEDOUT, -EINTR.
 */
int r3_vq_driver_wait(struct r3_vq_driver *q, int call_fd, unsigned spin_us,
		      int timeout_ms);

/**
 * r3_vq_driver_restart() - begin anew with a device that remembers nothing
 *
 * Clears the ring and adds all requests in flight again, in the order in
 * which they were added first; publish and kick are the caller's.  With an
 * inflight region this is not needed: the device remembers.
 */
void r3_vq_driver_restart(struct r3_vq_driver *q);

/* The driver's place, for a device that asks (VHOST_USER_SET_VRING_BASE). */
uint32_t r3_vq_driver_base(const struct r3_vq_driver *q);

#endif
