/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blk_req.h - virtio-blk: a client's request, checked
 *
 * Pure: segments of a client's memory in, what is to be done out.  Everything
 * in them is hostile and may change while we look, so it is read once.
 * Source: virtio 1.2, 5.2.6.
 */
#ifndef DRIVER_BLK_REQ_H
#define DRIVER_BLK_REQ_H

#include <linux/virtio_blk.h>

#include "ring3/channel.h"
#include "nvme.h"

#define BLK_SECTOR    512u
#define BLK_SEG_MAX   126 /* of data: told to the client; 2 more for the rest */
#define BLK_SEGS      (BLK_SEG_MAX + 2)
#define BLK_TRIM_MAX  NVME_TRIM_MAX /* ranges of one discard */
#define BLK_RANGE_MAX (UINT32_MAX >> 3) /* sectors of one range */
#define BLK_ZEROES_MAX (1u << 18) /* sectors of one write zeroes: 128 MiB */
#define BLK_CONFIG_LEN 96 /* all of struct virtio_blk_config, now and later */

/* The disk as its clients see it. */
struct blk_disk {
	uint64_t sectors;
	uint32_t block_size; /* 512 or 4096 */
	bool readonly, trim, zeroes, write_cache;
	unsigned queues;
	char id[VIRTIO_BLK_ID_BYTES];
};

/* What a request asks for. */
struct blk_cmd {
	uint8_t op; /* enum nvme_op; when blk_parse() said 1 */
	bool unmap;
	uint8_t answer;	  /* VIRTIO_BLK_S_*; when it said 0 */
	uint8_t *status;  /* where the answer goes */
	uint32_t written; /* bytes, the status byte included */
	uint64_t lba, blocks;
	struct r3_vq_seg *seg; /* of the data */
	unsigned seg_count;
	unsigned range_count;
	struct nvme_range range[BLK_TRIM_MAX];
};

/**
 * blk_parse() - what does this request ask for?
 * @req: its segments get trimmed to the data, in place
 * Return: 1: for the device; 0: already known, cmd->answer; -EPROTO: there is
 * no place for an answer, the client makes no sense.
 */
int blk_parse(const struct blk_disk *d, const struct r3_vq_req *req,
	      struct blk_cmd *cmd);

/* The virtio-blk status for an errno. */
uint8_t blk_status(int err);

/* Feature bits of the device that @d offers, those of the ring not included. */
uint64_t blk_features(const struct blk_disk *d);
/* Config space, BLK_CONFIG_LEN bytes.  @writeback: the cache mode now. */
void blk_config(const struct blk_disk *d, bool writeback, uint8_t *out);

#endif
