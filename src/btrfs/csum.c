// SPDX-License-Identifier: GPL-2.0-or-later
/* csum.c - the four checksums, and the hashes made from crc32c */
#include <blake2.h>
#include <isa-l/crc.h>
#include <openssl/sha.h>
#include <xxhash.h>

#include "priv.h"

static const struct {
	const char *name;
	unsigned size;
} csums[BTRFS_CSUM_TYPES] = {
	[BTRFS_CSUM_CRC32C] = { "crc32c", 4 },
	[BTRFS_CSUM_XXHASH64] = { "xxhash64", 8 },
	[BTRFS_CSUM_SHA256] = { "sha256", 32 },
	[BTRFS_CSUM_BLAKE2B] = { "blake2b", 32 },
};

/* Neither the first nor the last complement: what btrfs calls crc32c.  ISA-L
 * takes a non-const pointer and an int; no caller passes more than 2 GiB. */
uint32_t btrfs_crc32c(uint32_t seed, const void *data, size_t len)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, seed);
}

void btrfs_csum(enum btrfs_csum_type type, const void *data, size_t len,
		uint8_t *out)
{
	r3_le32 crc;
	r3_le64 xxh;

	switch (type) {
	case BTRFS_CSUM_CRC32C:
		crc = to_le32(~btrfs_crc32c(~0u, data, len));
		memcpy(out, &crc, sizeof(crc));
		break;
	case BTRFS_CSUM_XXHASH64:
		xxh = to_le64(XXH64(data, len, 0));
		memcpy(out, &xxh, sizeof(xxh));
		break;
	case BTRFS_CSUM_SHA256:
		SHA256(data, len, out);
		break;
	case BTRFS_CSUM_BLAKE2B:
		blake2b(out, data, NULL, 32, len, 0);
		break;
	case BTRFS_CSUM_TYPES:
		assert(!"not a checksum type");
	}
}

unsigned btrfs_csum_size(enum btrfs_csum_type type)
{
	return csums[type].size;
}

const char *btrfs_csum_name(enum btrfs_csum_type type)
{
	return csums[type].name;
}

/* The offset of a keyed EXTENT_DATA_REF, and the order of inline ones. */
uint64_t btrfs_data_ref_hash(uint64_t root, uint64_t ino, uint64_t off)
{
	r3_le64 r = to_le64(root), i = to_le64(ino), o = to_le64(off);
	uint64_t high = btrfs_crc32c(~0u, &r, sizeof(r));
	uint64_t low = btrfs_crc32c(~0u, &i, sizeof(i));

	low = btrfs_crc32c((uint32_t)low, &o, sizeof(o));
	return (high << 31) ^ low;
}
