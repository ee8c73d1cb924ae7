// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk_image.c - a vhost-user-blk disk's content, to a file and from a file
 *
 *	blk_image SOCKET read FILE LEN
 *	blk_image SOCKET write FILE
 *	blk_image SOCKET zero|trim OFFSET LEN
 *	blk_image SOCKET flush
 *
 * One request at a time, 128 KiB each; prints nothing unless it fails.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blk.h"

enum { CHUNK = 128 * 1024, WAIT_MS = 30000 };

static int run(struct blk *b, const struct blk_io *io)
{
	uint8_t status;
	unsigned slot;
	int err = blk_submit(b, 0, io);

	if (err)
		return err;
	blk_kick(b);
	while ((err = blk_get(b, &slot, &status)) == 0) {
		err = blk_wait(b, WAIT_MS);
		if (err)
			return err;
	}
	if (err < 0)
		return err;
	if (status != VIRTIO_BLK_S_OK)
		fprintf(stderr, "blk_image: type=%u sector=%llu status=%u\n",
			io->type, (unsigned long long)io->sector, status);
	return status == VIRTIO_BLK_S_OK ? 0 : -EIO;
}

static int copy(struct blk *b, bool out, FILE *f, uint64_t len)
{
	struct blk_io io = { .type = out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			     .pieces = 1 };
	int err = 0;

	for (uint64_t at = 0; at < len && !err; at += io.len) {
		io.sector = at / 512;
		io.len = io.cut[0] = (uint32_t)r3_min(CHUNK, len - at);
		if (out && fread(blk_buf(b, 0), 1, io.len, f) != io.len)
			return -EIO;
		err = run(b, &io);
		if (!err && !out &&
		    fwrite(blk_buf(b, 0), 1, io.len, f) != io.len)
			return -EIO;
	}
	return err;
}

static int range(struct blk *b, bool zero, uint64_t off, uint64_t len)
{
	struct blk_io io = { .type = zero ? VIRTIO_BLK_T_WRITE_ZEROES
					  : VIRTIO_BLK_T_DISCARD,
			     .len = 16, .pieces = 1, .cut = { 16 } };
	struct {
		uint64_t sector;
		uint32_t count, flags;
	} r = { off / 512, (uint32_t)(len / 512), 0 };

	if (zero) { /* the client makes the range itself */
		io.sector = off / 512;
		io.len = (uint32_t)len;
	} else {
		memcpy(blk_buf(b, 0), &r, sizeof(r));
	}
	return run(b, &io);
}

int main(int argc, char **argv)
{
	struct blk_conf conf = { .depth = 1, .max_len = CHUNK };
	struct blk_io flush = { .type = VIRTIO_BLK_T_FLUSH };
	const char *what = argc > 2 ? argv[2] : "";
	struct blk b;
	FILE *f = NULL;
	int err = -EINVAL;

	conf.path = argc > 1 ? argv[1] : "";
	if (argc < 3 || blk_open(&b, &conf))
		return 2;
	if (!strcmp(what, "read") && argc == 5) {
		f = fopen(argv[3], "we");
		err = f ? copy(&b, false, f, strtoull(argv[4], NULL, 0))
			: -errno;
	} else if (!strcmp(what, "write") && argc == 4) {
		f = fopen(argv[3], "re");
		if (f && !fseek(f, 0, SEEK_END)) {
			uint64_t len = (uint64_t)ftell(f);

			rewind(f);
			err = copy(&b, true, f, len);
		}
	} else if ((!strcmp(what, "zero") || !strcmp(what, "trim")) &&
		   argc == 5) {
		err = range(&b, *what == 'z', strtoull(argv[3], NULL, 0),
			    strtoull(argv[4], NULL, 0));
	} else if (!strcmp(what, "flush")) {
		err = run(&b, &flush);
	}
	if (f && fclose(f) && !err)
		err = -errno;
	blk_close(&b);
	if (err)
		fprintf(stderr, "blk_image: %s: %s\n", what, strerror(-err));
	return err ? 1 : 0;
}
