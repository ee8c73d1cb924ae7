// SPDX-License-Identifier: GPL-2.0-or-later
/* blk.c - a vhost-user-blk server in front of a controller: its client */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "blk.h"

#define NEVER UINT64_MAX

static const char *name_of(const struct blk *b)
{
	return r3_server_name(b->server);
}

/* ---- the connection ------------------------------------------------------ */

static int mem_add(void *ctx, struct r3_region *reg)
{
	struct blk *b = ctx;
	int err = nvme_ctrl_map(b->ctrl, &reg->iova, reg->len, reg->fd,
				reg->off, reg->prot, reg->host);

	if (err)
		r3_log(R3_WARN, NVME_PART, name_of(b),
		       "the device can't map a client's memory: %s addr=0x%llx "
		       "len=%llu", strerror(-err),
		       (unsigned long long)reg->addr,
		       (unsigned long long)reg->len);
	return err;
}

static void mem_del(void *ctx, const struct r3_region *reg)
{
	struct blk *b = ctx;

	nvme_ctrl_unmap(b->ctrl, reg->iova, reg->len);
}

static int queue_start(void *ctx, unsigned i, struct r3_vq_device *vq)
{
	struct blk *b = ctx;

	/* durable writes until blk_poll() has seen what the client knows */
	b->writeback = false;
	b->features_seen = false;
	return blk_queue_start(&b->queue[i], vq);
}

static void queue_stop(void *ctx, unsigned i)
{
	struct blk *b = ctx;

	blk_queue_stop(&b->queue[i]);
}

static void kicked(void *ctx, unsigned i)
{
	/* the poller looks at every queue anyway */
	(void)ctx;
	(void)i;
}

static void get_config(void *ctx, uint32_t offset, uint32_t len, uint8_t *out)
{
	struct blk *b = ctx;
	uint8_t all[BLK_CONFIG_LEN];

	blk_config(&b->disk, !r3_get_le32(b->note->write_through), all);
	memcpy(out, all + offset, len);
}

static int set_config(void *ctx, uint32_t offset, uint32_t len,
		      const uint8_t *data)
{
	struct blk *b = ctx;

	/* the cache mode is all that a client may change */
	if (offset != offsetof(struct virtio_blk_config, wce) || len != 1)
		return -EINVAL;
	b->note->write_through = r3_le32_of(!*data);
	b->features_seen = false;
	return 0;
}

static void accept_client(void *arg, uint32_t events);

static void listen_again(struct blk *b)
{
	if (b->listening)
		return;
	b->listening = !r3_loop_watch(b->loop, &b->listen_watch, b->listen_fd,
				      EPOLLIN, accept_client, b);
}

static void closed(void *ctx, int why)
{
	struct blk *b = ctx;

	b->vub = NULL;
	b->cut = false;
	r3_server_stats(b->server)->clients = 0;
	if (why == -EPROTO)
		r3_server_stats(b->server)->clients_refused++;
	r3_log(R3_INFO, NVME_PART, name_of(b), "front end gone reason=%s",
	       why ? strerror(-why) : "left");
	listen_again(b);
}

static const struct r3_vub_ops vub_ops = {
	.mem_add = mem_add,
	.mem_del = mem_del,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kicked = kicked,
	.get_config = get_config,
	.set_config = set_config,
	.closed = closed,
};

static int keep_fd(void *arg, const char *name, int fd)
{
	return r3_server_keep_fd(arg, name, fd);
}

static void drop_fd(void *arg, const char *name)
{
	r3_server_drop_fd(arg, name);
}

static int kept_fd(void *arg, const char *name)
{
	return r3_server_kept_fd(arg, name);
}

static struct r3_vub_config config_of(struct blk *b)
{
	return (struct r3_vub_config){
		.part = NVME_PART,
		.name = name_of(b),
		.features = blk_features(&b->disk) | R3_VQ_FEATURES,
		.queues = b->queues,
		.queue_size_max = b->queue_size,
		.config_len = BLK_CONFIG_LEN,
		.keeper = &b->keeper,
	};
}

static void accept_client(void *arg, uint32_t events)
{
	struct blk *b = arg;
	struct r3_vub_config config = config_of(b);
	int fd = accept4(b->listen_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err;

	(void)events;
	if (fd < 0)
		return;
	b->note->write_through = r3_le32_of(0);
	err = r3_vub_open(&b->vub, b->loop, fd, &config, &vub_ops, b);
	if (err) {
		b->vub = NULL;
		r3_log(R3_WARN, NVME_PART, name_of(b), "front end refused: %s",
		       strerror(-err));
		return;
	}
	r3_server_stats(b->server)->clients = 1;
	r3_loop_unwatch(b->loop, &b->listen_watch);
	b->listening = false;
}

/* ---- the poller ---------------------------------------------------------- */

static void see_features(struct blk *b)
{
	uint64_t f = r3_vub_features(b->vub);

	b->writeback = f & (1ull << VIRTIO_BLK_F_FLUSH) &&
		       !r3_get_le32(b->note->write_through);
	b->features_seen = true;
}

unsigned blk_poll(struct blk *b, uint64_t now_ns)
{
	unsigned n = 0;

	if (!b->vub)
		return 0;
	if (!b->features_seen)
		see_features(b);
	if (b->suspects || b->suspect_busy) {
		blk_next_suspect(b, now_ns);
	} else {
		for (unsigned i = 0; i < b->queues && b->vub; i++) {
			struct blk_queue *q = &b->queue[i];
			int r = 0;

			if (q->vq && !b->cut)
				r = blk_queue_take(q, now_ns);
			if (r < 0)
				break;
			n += (unsigned)r;
		}
	}
	for (unsigned i = 0; i < b->queues; i++) {
		struct blk_queue *q = &b->queue[i];

		if (q->submitted)
			nvme_kick(b->ctrl, i);
		q->submitted = false;
		if (q->pushed && q->vq)
			b->sleeps = r3_vub_signal(b->vub, i);
		q->pushed = false;
	}
	return n;
}

bool blk_arm(struct blk *b)
{
	bool work = false;

	for (unsigned i = 0; i < b->queues && b->vub; i++) {
		struct blk_queue *q = &b->queue[i];

		if (q->vq && !b->cut && !b->suspects)
			work |= blk_queue_arm(q);
	}
	return work;
}

void blk_disarm(struct blk *b)
{
	for (unsigned i = 0; i < b->queues && b->vub; i++) {
		if (b->queue[i].vq && !b->cut)
			r3_vq_device_disarm(b->queue[i].vq);
	}
}

/* ---- open and close ------------------------------------------------------ */

static int make_queues(struct blk *b)
{
	for (unsigned i = 0; i < b->queues; i++) {
		struct blk_queue *q = &b->queue[i];

		q->blk = b;
		q->index = i;
		q->reqs = calloc(b->queue_size, sizeof(*q->reqs));
		if (!q->reqs)
			return -ENOMEM;
	}
	return 0;
}

static void describe(struct blk *b)
{
	const struct nvme_ns *ns = &b->ctrl->ns;
	bool ro = r3_server_bool(b->server, "readonly");

	b->disk = (struct blk_disk){
		.sectors = ns->blocks * (ns->block_size / BLK_SECTOR),
		.block_size = ns->block_size,
		.readonly = ns->readonly || ro,
		.trim = ns->trim,
		.zeroes = ns->zeroes,
		.write_cache = ns->write_cache,
		.queues = b->queues,
	};
	/* 20 bytes, padded with 0: no terminator when full */
	memcpy(b->disk.id, ns->serial,
	       strnlen(ns->serial, sizeof(b->disk.id)));
}

static void read_inject(struct blk *b)
{
	const char *text = r3_server_str(b->server, "inject");
	const struct {
		const char *word;
		uint64_t *to;
	} words[] = {
		{ "crash-lba:", &b->inject.crash_lba },
		{ "hang-lba:", &b->inject.hang_lba },
		{ "wild-lba:", &b->inject.wild_lba },
	};

	b->inject = (struct blk_inject){ NEVER, NEVER, NEVER };
	for (unsigned i = 0; i < R3_COUNT(words); i++) {
		size_t len = strlen(words[i].word);

		if (!strncmp(text, words[i].word, len) &&
		    r3_parse_uint(text + len, words[i].to))
			r3_log(R3_WARN, NVME_PART, name_of(b), "inject=%s is "
			       "no number; ignored", text);
	}
}

static int resume(struct blk *b)
{
	struct r3_vub_config config = config_of(b);
	enum r3_after after = r3_server_after(b->server);
	int err;

	b->quarantine = after == R3_AFTER_FAULT || after == R3_AFTER_HANG;
	if (!b->quarantine)
		b->note->magic = r3_le32_of(0);
	err = r3_vub_resume(&b->vub, b->loop, &config, &vub_ops, b);
	b->quarantine = false;
	if (!err) {
		r3_server_stats(b->server)->clients = 1;
		return 0;
	}
	b->vub = NULL;
	r3_server_stats(b->server)->clients = 0;
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

int blk_open(struct blk *b, struct r3_server *s, struct nvme_ctrl *c)
{
	size_t len;
	uint8_t *page = r3_server_page(s, &len);
	int err;

	*b = (struct blk){ .ctrl = c, .server = s };
	static_assert(R3_VUB_PAGE_LEN + sizeof(*b->note) <=
		      R3_SERVER_PAGE_LEN - R3_SERVER_PAGE_PRIV, "room");
	b->loop = r3_server_loop(s);
	b->keeper = (struct r3_vub_keeper){ s, keep_fd, drop_fd, kept_fd, page,
					    "client0" };
	b->note = (struct blk_note *)(void *)(page + R3_VUB_PAGE_LEN);
	b->queues = (unsigned)r3_server_uint(s, "queues");
	b->queue_size = (uint16_t)r3_server_uint(s, "queue_size");
	b->listen_fd = r3_server_fd(s, "listen");
	b->suspects_end = &b->suspects;
	describe(b);
	read_inject(b);
	err = make_queues(b);
	if (!err)
		err = resume(b);
	if (!err && !b->vub)
		listen_again(b);
	return err;
}

void blk_close(struct blk *b)
{
	if (b->listening)
		r3_loop_unwatch(b->loop, &b->listen_watch);
	if (b->vub)
		r3_vub_leave(b->vub);
	for (unsigned i = 0; i < b->queues; i++)
		free(b->queue[i].reqs);
}
