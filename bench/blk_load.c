// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk_load.c - load on a vhost-user-blk socket: random reads or writes of one
 * size at one depth
 *
 *	blk_load SOCKET read|write DEPTH SECONDS [LEN [SPIN_US]]
 *
 * Prints requests per second and the latency's median and 99th percentile in
 * microseconds.  The client does as little as it can: what is measured is who
 * serves it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blk.h"

enum { WARM_MS = 200, BUCKETS = 100000 }; /* of 0.1 us */

static uint32_t bucket[BUCKETS];

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static double percentile(uint64_t total, double part)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += bucket[i];
		if ((double)seen >= part * (double)total)
			return (double)i / 10;
	}
	return BUCKETS / 10.0;
}

static void count_latency(uint64_t ns)
{
	bucket[r3_min(ns / 100, BUCKETS - 1)]++;
}

struct load {
	struct blk blk;
	struct blk_io io;
	uint64_t start[BLK_DEPTH_MAX], rng;
	bool measuring;
	uint64_t done;
};

static int start(struct load *l, unsigned slot, uint64_t now)
{
	uint64_t unit = l->io.len / 512;

	l->io.sector = next_random(&l->rng) % (l->blk.sectors / unit) * unit;
	l->start[slot] = now;
	return blk_submit(&l->blk, slot, &l->io);
}

/* One round: all that is done is started again. */
static int round_of(struct load *l)
{
	unsigned slot, n = 0;
	uint64_t now = 0;
	uint8_t status;
	int got, err = 0;

	while (!err && (got = blk_get(&l->blk, &slot, &status)) == 1) {
		if (!n++)
			now = r3_now_ns();
		if (status) {
			fprintf(stderr, "blk_load: status %u\n", status);
			return -EIO;
		}
		if (l->measuring) {
			count_latency(now - l->start[slot]);
			l->done++;
		}
		err = start(l, slot, now);
	}
	if (err)
		return err;
	if (n) {
		blk_kick(&l->blk);
		return 0;
	}
	err = blk_wait(&l->blk, 5000);
	return err;
}

static int run(struct load *l, unsigned depth, double seconds)
{
	uint64_t begin = r3_now_ns(), from = begin + WARM_MS * R3_NS_PER_MS;
	uint64_t until = from + (uint64_t)(seconds * 1e9);
	uint64_t now = begin;
	int err = 0;

	for (unsigned i = 0; !err && i < depth; i++)
		err = start(l, i, now);
	blk_kick(&l->blk);
	while (!err && now < until) {
		err = round_of(l);
		now = r3_now_ns();
		if (!l->measuring && now >= from) {
			l->measuring = true;
			from = now;
		}
	}
	if (err)
		return err;
	printf("%.0f %.1f %.1f\n",
	       (double)l->done / ((double)(now - from) / 1e9),
	       percentile(l->done, 0.5), percentile(l->done, 0.99));
	return 0;
}

int main(int argc, char **argv)
{
	static struct load l = { .rng = 88172645463325252u };
	struct blk_conf conf = { .max_len = 4096, .spin_us = 50 };
	int err;

	if (argc < 5) {
		fprintf(stderr, "usage: blk_load SOCKET read|write DEPTH "
			"SECONDS [LEN [SPIN_US]]\n");
		return 2;
	}
	conf.path = argv[1];
	conf.depth = (unsigned)atoi(argv[3]);
	if (argc > 5)
		conf.max_len = (uint32_t)atoi(argv[5]);
	if (argc > 6)
		conf.spin_us = (unsigned)atoi(argv[6]);
	conf.packed = getenv("BLK_PACKED") != NULL;
	if (conf.depth < 1 || conf.depth > BLK_DEPTH_MAX ||
	    conf.max_len % 512 || !conf.max_len)
		return 2;
	err = blk_open(&l.blk, &conf);
	if (err)
		return 1;
	l.io = (struct blk_io){
		.type = argv[2][0] == 'w' ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.len = conf.max_len, .pieces = 1, .cut = { conf.max_len },
	};
	err = run(&l, conf.depth, atof(argv[4]));
	if (err)
		fprintf(stderr, "blk_load: %s\n", strerror(-err));
	blk_close(&l.blk);
	return err != 0;
}
