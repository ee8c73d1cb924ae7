// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk_poison.c - one poisonous request among good ones
 *
 *	blk_poison SOCKET SECTOR SECONDS
 *
 * Sixteen writes at once; the one in the middle touches SECTOR.  Exit 0 when
 * that one, and no other, ends with an error, and later requests are done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blk.h"

enum { COUNT = 16, LEN = 4096, POISON = 7 };

static int wait_all(struct blk *b, uint8_t *status, uint64_t until)
{
	unsigned left = COUNT;

	while (left) {
		unsigned slot;
		uint8_t s;
		int r = blk_get(b, &slot, &s);

		if (r > 0) {
			status[slot] = s;
			left--;
			continue;
		}
		if (!r)
			r = blk_wait(b, 1000);
		if (r && r != -ETIMEDOUT)
			return r;
		if (r3_now_ns() > until)
			return -ETIMEDOUT;
	}
	return 0;
}

static int round_of(struct blk *b, uint64_t sector, bool poison,
		    uint64_t until)
{
	uint8_t status[COUNT];
	int err;

	memset(status, 0xff, sizeof(status));
	for (unsigned i = 0; i < COUNT; i++) {
		struct blk_io io = { .type = VIRTIO_BLK_T_OUT, .len = LEN,
				     .pieces = 1, .cut = { LEN } };

		io.sector = i == POISON && poison ? sector
						  : sector + 64 + i * 8;
		blk_submit(b, i, &io);
	}
	blk_kick(b);
	err = wait_all(b, status, until);
	for (unsigned i = 0; i < COUNT && !err; i++) {
		uint8_t want = i == POISON && poison ? VIRTIO_BLK_S_IOERR
						     : VIRTIO_BLK_S_OK;

		if (status[i] == want)
			continue;
		printf("request %u: status %u, not %u\n", i, status[i], want);
		err = -EIO;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct blk_conf conf = { .depth = COUNT, .max_len = LEN };
	uint64_t until;
	struct blk b;
	int err;

	if (argc != 4)
		return 2;
	conf.path = argv[1];
	until = r3_now_ns() + strtoull(argv[3], NULL, 10) * R3_NS_PER_S;
	if (blk_open(&b, &conf))
		return 1;
	err = round_of(&b, strtoull(argv[2], NULL, 10), true, until);
	if (!err)
		err = round_of(&b, strtoull(argv[2], NULL, 10), false, until);
	if (err)
		printf("%s\n", strerror(-err));
	blk_close(&b);
	return err ? 1 : 0;
}
