// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * image.c - images in memory, without root or a kernel: made, read, checked,
 * and damaged byte by byte
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "ring3/btrfs.h"

enum { SIZE = 48 << 20 };

struct image {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	char tree[64];
	unsigned problems;
	char first[512];
};

static void put(const char *dir, const char *name, const char *data,
		size_t len, size_t times)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	while (times--)
		fwrite(data, 1, len, f);
	fclose(f);
}

static int setup(void **state)
{
	struct image *i = calloc(1, sizeof(*i));
	char path[128], other[128];

	i->bytes = calloc(1, SIZE);
	assert_int_equal(r3_btrfs_dev_mem(i->bytes, SIZE, &i->dev), 0);
	strcpy(i->tree, "/tmp/r3btrfs-unit.XXXXXX");
	assert_non_null(mkdtemp(i->tree));
	put(i->tree, "small", "inline", 6, 1);
	put(i->tree, "large", "0123456789abcdef", 16, 20000);
	snprintf(path, sizeof(path), "%s/sub", i->tree);
	mkdir(path, 0755);
	put(path, "file", "in a subvolume", 14, 500);
	snprintf(path, sizeof(path), "%s/small", i->tree);
	snprintf(other, sizeof(other), "%s/sub/name", i->tree);
	symlink("small", other);
	snprintf(other, sizeof(other), "%s/second", i->tree);
	link(path, other);
	*state = i;
	return 0;
}

static int teardown(void **state)
{
	struct image *i = *state;
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -r %s", i->tree);
	system(cmd);
	r3_btrfs_dev_close(i->dev);
	free(i->bytes);
	free(i);
	return 0;
}

static void make(struct image *i, const char *csum, unsigned compression)
{
	struct r3_btrfs_mkfs_subvol sub = { .path = "sub", .readonly = true };
	struct r3_btrfs_mkfs_options o = {
		.rootdir = i->tree, .subvols = &sub, .subvol_count = 1,
		.size = SIZE, .csum = csum, .compression = compression,
		.nodesize = 4096, .label = "unit",
	};
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	memset(i->bytes, 0, SIZE);
	if (r3_btrfs_mkfs(i->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	assert_int_equal(r.files, 4);
	assert_int_equal(r.subvolumes, 1);
	assert_int_equal(r.total_bytes, SIZE);
}

static void problem(void *arg, const char *text)
{
	struct image *i = arg;

	if (!i->problems++)
		snprintf(i->first, sizeof(i->first), "%s", text);
}

static int check(struct image *i, struct r3_btrfs_why *why)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem,
					    .arg = i };
	struct r3_btrfs_check_result r;
	struct r3_btrfs *fs;
	int err = r3_btrfs_open(i->dev, NULL, &fs, why);

	i->problems = 0;
	if (err)
		return err;
	err = r3_btrfs_check(fs, &o, &r);
	r3_btrfs_close(fs);
	return err;
}

static void made_and_read(void **state)
{
	static const char *const csums[] = { "crc32c", "xxhash64", "sha256",
					     "blake2b" };
	struct image *i = *state;
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	char buf[5000];
	size_t got;

	for (unsigned n = 0; n < 4; n++) {
		make(i, csums[n], n);
		if (check(i, &why) || i->problems)
			fail_msg("%s: %s", csums[n], i->first);
		assert_int_equal(r3_btrfs_open(i->dev, NULL, &fs, &why), 0);
		assert_int_equal(r3_btrfs_lookup(fs, "/sub/../sub/./file",
						 &in), 0);
		assert_int_equal(in.subvol, 256);
		assert_int_equal(r3_btrfs_read(fs, in, 6990, buf, sizeof(buf),
					       &got), 0);
		assert_int_equal(got, 10);
		assert_memory_equal(buf, " subvolume", 10);
		assert_int_equal(r3_btrfs_lookup(fs, "small", &in), 0);
		assert_int_equal(r3_btrfs_stat(fs, in, &st), 0);
		assert_int_equal(st.st.st_nlink, 2);
		assert_int_equal(r3_btrfs_lookup(fs, "sub/name", &in), 0);
		assert_int_equal(r3_btrfs_readlink(fs, in, buf), 0);
		assert_string_equal(buf, "small");
		assert_int_equal(r3_btrfs_lookup(fs, "none", &in), -ENOENT);
		assert_int_equal(r3_btrfs_lookup(fs, "small/x", &in),
				 -ENOTDIR);
		assert_int_equal(r3_btrfs_lookup(fs, "large", &in), 0);
		for (uint64_t at = 0; at < 320000; at += 4999) {
			assert_int_equal(r3_btrfs_read(fs, in, at, buf,
						       sizeof(buf), &got), 0);
			for (size_t k = 0; k < got; k++)
				assert_int_equal(buf[k], "0123456789abcdef"
							 [(at + k) % 16]);
		}
		r3_btrfs_close(fs);
	}
}

/* One byte of a used block changes, in both copies: it is always found. */
static void every_damage_is_found(void **state)
{
	struct image *i = *state;
	struct r3_btrfs_why why;
	struct r3_btrfs_chunk_info c;
	struct r3_btrfs *fs;
	unsigned n = 0;

	make(i, "crc32c", 0);
	while (1) {
		assert_int_equal(r3_btrfs_open(i->dev, NULL, &fs, &why), 0);
		int err = r3_btrfs_get_chunk(fs, n++, &c);
		r3_btrfs_close(fs);
		if (err)
			break;
		if (c.copies < 2)
			continue;
		for (uint64_t at = 0; at < 40 * 4096; at += 1237) {
			uint8_t *a = i->bytes + c.physical[0] + at;
			uint8_t *b = i->bytes + c.physical[1] + at;
			bool used = *(a - at % 4096 + 101) != 0;

			*a ^= 0x10;
			*b ^= 0x10;
			err = check(i, &why);
			if (used && !err && !i->problems)
				fail_msg("chunk %u byte %llu", n,
					 (unsigned long long)at);
			*b ^= 0x10;
			/* one good copy is enough to read, and reported */
			err = check(i, &why);
			if (err)
				fail_msg("%s", why.text);
			*a ^= 0x10;
		}
	}
	assert_int_equal(check(i, &why), 0);
	assert_int_equal(i->problems, 0);
}

static void cut_short(void **state)
{
	struct image *i = *state;
	struct r3_btrfs_why why;
	uint64_t size = i->dev->size;

	make(i, "crc32c", 0);
	for (uint64_t at = 0; at < SIZE; at += SIZE / 9) {
		i->dev->size = at;
		assert_true(check(i, &why) < 0);
		assert_true(*why.text);
	}
	i->dev->size = size;
}

/* A super block that asks for what there is not: refused by its name. */
static void refused_by_name(void **state)
{
	static const struct {
		const char *name;
		unsigned offset, len;
		uint64_t value;
		int err;
		const char *word;
	} rows[] = {
		{ "an unknown feature", 0xbc, 8, 1ull << 40 | 1, -EOPNOTSUPP,
		  "0x10000000000" },
		{ "zones", 0xbc, 8, 0x1001, -EOPNOTSUPP, "ZONED" },
		{ "RAID 5", 0xbc, 8, 0x81, -EOPNOTSUPP, "RAID56" },
		{ "extent tree v2", 0xbc, 8, 0x2001, -EOPNOTSUPP,
		  "EXTENT_TREE_V2" },
		{ "two devices", 0x88, 8, 2, -EOPNOTSUPP, "2 devices" },
		{ "sectors of 64K", 0x90, 4, 65536, -EOPNOTSUPP, "sectors" },
		{ "a log tree", 0x60, 8, 1 << 20, -EOPNOTSUPP, "log tree" },
		{ "a node of 5000", 0x94, 4, 5000, -EUCLEAN, "node size" },
		{ "a node of 128K", 0x94, 4, 131072, -EUCLEAN, "node size" },
		{ "checksum type 4", 0xc4, 2, 4, -EIO, "checksum type" },
		{ "root of level 8", 0xc6, 1, 8, -EUCLEAN, "level" },
		{ "a system array too long", 0xa0, 4, 2049, -EUCLEAN,
		  "system chunk array" },
		{ "a system array cut off", 0xa0, 4, 100, -EUCLEAN,
		  "system chunk array" },
		{ "a RAID 1 chunk", 0x32b + 17 + 24, 8, 0x12, -EOPNOTSUPP,
		  "RAID1" },
		{ "a chunk past the end", 0x32b + 17 + 56, 8, 1ull << 40,
		  -EUCLEAN, "end of the device" },
		{ "a chunk that wraps round", 0x32b + 17, 8, -4096ull,
		  -EUCLEAN, "length" },
		{ "not our magic", 0x40, 8, 0, -EINVAL, "not a Btrfs" },
		{ "a copy from elsewhere", 0x30, 8, 4096, -EIO, "elsewhere" },
	};
	struct r3_btrfs_options o = { .ignore_csum = true, .super = 1 };
	struct image *i = *state;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	uint8_t saved[4096];

	make(i, "crc32c", 0);
	memcpy(saved, i->bytes + 65536, sizeof(saved));
	for (unsigned n = 0; n < R3_COUNT(rows); n++) {
		memcpy(i->bytes + 65536 + rows[n].offset, &rows[n].value,
		       rows[n].len);
		int err = r3_btrfs_open(i->dev, &o, &fs, &why);
		if (err != rows[n].err || !strstr(why.text, rows[n].word))
			fail_msg("%s: %d %s", rows[n].name, err, why.text);
		memcpy(i->bytes + 65536, saved, sizeof(saved));
	}
	assert_int_equal(r3_btrfs_open(i->dev, &o, &fs, &why), 0);
	r3_btrfs_close(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_and_read, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_damage_is_found, setup,
						teardown),
		cmocka_unit_test_setup_teardown(cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_by_name, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
