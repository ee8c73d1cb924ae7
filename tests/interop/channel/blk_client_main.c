// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk_client_main.c - check a vhost-user-blk disk, as a program
 *
 *	blk_client SOCKET QUEUES DEPTH COUNT [FEATURE...]
 *
 * FEATURE: packed, event_idx, indirect, no_inflight, spin.  Prints one line;
 * exit 0 when all was right.  The disk's old content must be zeros.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blk_client.h"

static const struct {
	const char *name;
	uint64_t features;
} words[] = {
	{ "packed", R3_VQ_F_PACKED },
	{ "event_idx", R3_VQ_F_EVENT_IDX },
	{ "indirect", R3_VQ_F_INDIRECT },
};

int main(int argc, char **argv)
{
	struct r3_vuf_config config = { .queue_size = 256,
					.indirect_max = BLK_PER_RQ + 2,
					.required = R3_VQ_F_VERSION_1 };
	struct blk_client c;
	unsigned spin_us = 0;
	int err;

	if (argc < 5)
		return 2;
	config.path = argv[1];
	config.queues = (unsigned)atoi(argv[2]);
	for (int i = 5; i < argc; i++) {
		for (unsigned k = 0; k < R3_COUNT(words); k++) {
			if (!strcmp(argv[i], words[k].name))
				config.required |= words[k].features;
		}
		if (!strcmp(argv[i], "no_inflight"))
			config.no_inflight = true;
		if (!strcmp(argv[i], "spin"))
			spin_us = 50;
	}
	err = blk_client_open(&c, &config, (unsigned)atoi(argv[3]), 0);
	if (err) {
		printf("open: %s\n", strerror(-err));
		return 1;
	}
	c.spin_us = spin_us;
	err = blk_client_run(&c, strtoull(argv[4], NULL, 10), 0);
	if (!err)
		err = blk_client_check(&c);
	printf("%llu requests, %llu reconnects, inflight=%d: %s %s\n",
	       (unsigned long long)c.completed,
	       (unsigned long long)c.reconnects, r3_vuf_has_inflight(c.vuf),
	       err ? strerror(-err) : "ok", c.wrong ? c.wrong : "");
	blk_client_close(&c);
	return err ? 1 : 0;
}
