/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blk.h - a vhost-user-blk server in front of a controller
 *
 * One front end at a time; others wait until it has gone.
 */
#ifndef DRIVER_BLK_H
#define DRIVER_BLK_H

#include "ring3/server.h"
#include "ring3/vhost_user.h"
#include "blk_req.h"

#define BLK_QUEUES_MAX NVME_QUEUES_MAX

/* A request of a client, from pop to push. */
struct blk_req {
	struct nvme_io io; /* first: io.done() finds us by it */
	struct r3_vq_req vq;
	struct blk_queue *queue;
	struct blk_req *next; /* free, or suspects */
	bool busy, submitted, suspect;
	struct blk_cmd cmd;
	struct r3_vq_seg seg[BLK_SEGS];
};

struct blk_queue {
	struct blk *blk;
	unsigned index;
	struct r3_vq_device *vq; /* NULL: not running */
	struct blk_req *reqs;	 /* size of them */
	struct blk_req *free;	 /* last in, first out */
	unsigned fresh;		 /* of reqs: never used so far */
	unsigned in_flight;	 /* suspects included */
	bool pushed;		 /* since the last signal */
	bool submitted;		 /* since the last doorbell */
};

/* In the kept page: which request is being replayed alone, the cache mode. */
struct blk_note {
	r3_le32 write_through;
	r3_le32 magic; /* 0: none */
	r3_le32 queue;
	r3_le32 op;
	r3_le32 id;
	r3_le64 lba, blocks;
};

struct blk_inject {
	/* UINT64_MAX: never */
	uint64_t crash_lba, hang_lba;
	uint64_t wild_lba; /* its data are where nothing is mapped */
};

struct blk {
	struct nvme_ctrl *ctrl;
	struct r3_server *server;
	struct r3_loop *loop;
	struct r3_vub *vub; /* NULL: no client */
	struct r3_vub_keeper keeper;
	struct blk_disk disk;
	bool writeback; /* the client flushes; else every write is durable */
	bool features_seen;
	bool sleeps; /* the client, when it was last answered */
	bool cut; /* the client broke the rules, its end is near */
	unsigned queues;
	uint16_t queue_size;
	struct blk_queue queue[BLK_QUEUES_MAX];
	int listen_fd;
	bool listening;
	struct r3_watch listen_watch;
	struct blk_note *note;
	bool quarantine; /* what the last life left is suspect */
	struct blk_req *suspects, **suspects_end;
	bool suspect_busy;
	struct blk_inject inject;
};

/**
 * blk_open() - serve the controller's namespace, which is known
 * Goes on with the connection of a former life if there is one.
 * Return: 0, -ENOMEM, ...
 */
int blk_open(struct blk *b, struct r3_server *s, struct nvme_ctrl *c);
void blk_close(struct blk *b);

/* For the poller: take requests, push completions.  How much was done. */
unsigned blk_poll(struct blk *b, uint64_t now_ns);
bool blk_arm(struct blk *b);
void blk_disarm(struct blk *b);

/* ---- blk_queue.c --------------------------------------------------------- */

/* Requests from the client: how many, or -EPROTO, its end. */
int blk_queue_take(struct blk_queue *q, uint64_t now_ns);
/* Before the sleep: true when there are some. */
bool blk_queue_arm(struct blk_queue *q);
/* With what the last life left undone. */
int blk_queue_start(struct blk_queue *q, struct r3_vq_device *vq);
/* Its memory goes: waits, at most 2 s, until the device has nothing of it. */
void blk_queue_stop(struct blk_queue *q);
/* The next of the requests that are done one at a time, if it is its turn. */
void blk_next_suspect(struct blk *b, uint64_t now_ns);

#endif
