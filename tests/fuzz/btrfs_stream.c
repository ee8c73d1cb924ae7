// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_stream.c - any send stream at all
 *
 * The checksum of each command is put right first, so that its content is
 * reached.
 */
#include <isa-l/crc.h>
#include <stdlib.h>

#include "ring3/btrfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	struct r3_btrfs_why why;
	uint8_t *copy;
	FILE *in;

	if (!size)
		return 0;
	if (!null)
		null = fopen("/dev/null", "w");
	copy = malloc(size);
	memcpy(copy, data, size);
	for (size_t at = 17; size - at >= 10 && at < size;) {
		uint32_t len, crc = 0;

		memcpy(&len, copy + at, 4);
		if (len > size - at - 10)
			break;
		memcpy(copy + at + 6, &crc, 4);
		crc = crc32_iscsi(copy + at, (int)len + 10, 0);
		memcpy(copy + at + 6, &crc, 4);
		at += 10 + len;
	}
	in = fmemopen(copy, size, "r");
	if (in) {
		r3_btrfs_stream_dump(in, size % 2, null, &why);
		fclose(in);
	}
	free(copy);
	return 0;
}
