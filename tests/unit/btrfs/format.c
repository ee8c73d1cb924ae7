// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * format.c - hashes, checksums, packing, stream parsing; expected values are
 * from images and streams that the kernel and btrfs-progs wrote
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mkfs.h"
#include "stream.h"

static void name_hashes(void **state)
{
	(void)state;
	assert_int_equal(btrfs_name_hash("default", 7), 2378154706u);
	assert_int_equal(btrfs_name_hash("user.t", 6), 1148121459u);
}

static void data_ref_hashes(void **state)
{
	static const struct {
		uint64_t root, ino, off, hash;
	} rows[] = {
		{ 258, 257, 0, 0x44d64df9a80d95ea },
		{ 260, 257, 0, 2118083704177661418u },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++)
		assert_int_equal(btrfs_data_ref_hash(rows[i].root, rows[i].ino,
						     rows[i].off),
				 rows[i].hash);
}

/* RFC 3720 B.4, xxHash's and the SHA and BLAKE2 specifications' examples. */
static void checksums(void **state)
{
	static const uint8_t zeros[32];
	static const struct {
		const char *name;
		enum btrfs_csum_type type;
		const void *data;
		size_t len;
		uint8_t sum[8];
	} rows[] = {
		{ "crc32c of 32 zeros", BTRFS_CSUM_CRC32C, zeros, 32,
		  { 0xaa, 0x36, 0x91, 0x8a } },
		{ "xxhash64 of nothing", BTRFS_CSUM_XXHASH64, "", 0,
		  { 0x99, 0xe9, 0xd8, 0x51, 0x37, 0xdb, 0x46, 0xef } },
		{ "sha256 of abc", BTRFS_CSUM_SHA256, "abc", 3,
		  { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea } },
		{ "blake2b-256 of abc", BTRFS_CSUM_BLAKE2B, "abc", 3,
		  { 0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72 } },
	};
	uint8_t out[32];

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		memset(out, 0, sizeof(out));
		btrfs_csum(rows[i].type, rows[i].data, rows[i].len, out);
		if (memcmp(out, rows[i].sum,
			   r3_min(8, btrfs_csum_size(rows[i].type))))
			fail_msg("%s", rows[i].name);
	}
}

static void fill(uint8_t *buf, size_t len, unsigned kind)
{
	uint32_t x = 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1103515245 + 12345;
		buf[i] = kind == 0 ? 0 : kind == 1 ? (uint8_t)(i / 100)
			 : kind == 2 ? "abcd"[x >> 30] : (uint8_t)(x >> 16);
	}
}

/* Every length around the edges of sectors, every kind of content. */
static void pack_and_unpack(void **state)
{
	static const size_t lens[] = { 1, 2, 4095, 4096, 4097, 8191, 12288,
				       65537, 131071, 131072 };
	uint8_t *in = malloc(131072), *out = malloc(131072);
	uint8_t *back = malloc(131072);

	(void)state;
	for (unsigned type = 1; type < BTRFS_COMPRESS_TYPES; type++) {
		struct btrfs_packer *p = btrfs_packer_new(type, 0);

		for (unsigned i = 0; i < R3_COUNT(lens) * 4; i++) {
			size_t len = lens[i / 4], n;

			fill(in, len, i % 4);
			n = btrfs_pack(p, in, len, out, len - 1);
			if (!n)
				continue; /* not smaller */
			assert_true(n < len);
			/* a sector's worth of padding follows on disk */
			memset(back, 0xff, 131072);
			assert_int_equal(btrfs_decompress(type, out, n, back,
							  len), 0);
			assert_memory_equal(in, back, len);
			/* cut short: an error or zeros, never a crash */
			for (size_t cut = 0; cut < n; cut += 1 + n / 50)
				btrfs_decompress(type, out, cut, back, len);
		}
		btrfs_packer_free(p);
	}
	free(in);
	free(out);
	free(back);
}

static void keys(void **state)
{
	(void)state;
	assert_string_equal(btrfs_key_text(KEY(257, 108, 0)).s,
			    "(257 EXTENT_DATA 0)");
	assert_string_equal(btrfs_key_text(KEY(-UINT64_C(9), 132, 7)).s,
			    "(-9 ROOT_ITEM 7)");
	assert_true(btrfs_key_cmp(KEY(1, 2, 3), KEY(1, 2, 4)) < 0);
	assert_true(btrfs_key_cmp(KEY(1, 3, 0), KEY(1, 2, 4)) > 0);
	assert_int_equal(btrfs_key_cmp(KEY(5, 5, 5), KEY(5, 5, 5)), 0);
}

#define HEAD "btrfs-stream\0\1\0\0\0"
/* END: length 0, command 21, checksum as `btrfs send` writes it */
#define END "\0\0\0\0\x15\0\x50\x6c\xc9\x9d"

static void streams(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		int err;
	} rows[] = {
		{ "nothing but the end", HEAD END, 27, 0 },
		{ "two streams, one after the other", HEAD END HEAD END, 54, 0 },
		{ "no end", HEAD, 17, -EPROTO },
		{ "cut in the head", HEAD, 16, -EPROTO },
		{ "cut in a command", HEAD END, 26, -EPROTO },
		{ "version 0", "btrfs-stream\0\0\0\0\0", 17, -EOPNOTSUPP },
		{ "version 4", "btrfs-stream\0\4\0\0\0", 17, -EOPNOTSUPP },
		{ "not a stream", "btrfs-strean\0\1\0\0\0", 17, -EPROTO },
		{ "a wrong checksum", HEAD "\0\0\0\0\x15\0\x50\x6c\xc9\x9c",
		  27, -EPROTO },
		{ "a command too long", HEAD "\1\0\x10\0\x15\0\0\0\0\0", 27,
		  -EPROTO },
		{ "command 22 of nothing", HEAD "\0\0\0\0\x16\0\0\0\0\0", 27,
		  -EPROTO },
		{ "command 0", HEAD "\0\0\0\0\0\0\0\0\0\0", 27, -EPROTO },
	};
	FILE *null = fopen("/dev/null", "w");

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_btrfs_why why;
		FILE *in = fmemopen((void *)(uintptr_t)rows[i].bytes,
				    rows[i].len, "r");
		int err = r3_btrfs_stream_dump(in, i % 2, null, &why);

		if (err != rows[i].err)
			fail_msg("%s: %d %s", rows[i].name, err, why.text);
		fclose(in);
	}
	fclose(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_hashes),
		cmocka_unit_test(data_ref_hashes),
		cmocka_unit_test(checksums),
		cmocka_unit_test(pack_and_unpack),
		cmocka_unit_test(keys),
		cmocka_unit_test(streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
