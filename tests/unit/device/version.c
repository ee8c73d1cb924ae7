// SPDX-License-Identifier: GPL-2.0-or-later
/* version.c - vfio-user's VERSION payload, as the specification has it */
#include "test.h"
#include "version.h"

#define CAPS(text) "{\"capabilities\":{" text "}}"

static void payloads(void **state)
{
	static const struct {
		const char *name;
		const char *json; /* NULL: none at all */
		size_t cut;	  /* bytes taken from the end */
		int want;
		uint32_t fds, xfer, maps;
		uint64_t pages;
		bool multi;
	} rows[] = {
		{ "no JSON: the defaults", NULL, 0, 0, 1, 1048576, 65535,
		  4096, false },
		{ "an empty object: the defaults", "{}", 0, 0, 1, 1048576,
		  65535, 4096, false },
		{ "all capabilities",
		  CAPS("\"max_msg_fds\":8,\"max_data_xfer_size\":4096,"
		       "\"max_dma_maps\":7,\"pgsizes\":2101248,"
		       "\"write_multiple\":true"), 0, 0, 8, 4096, 7, 2101248,
		  true },
		{ "unknown ones", CAPS("\"x\":{\"y\":[1]}"), 0, 0, 1, 1048576,
		  65535, 4096, false },
		{ "no fds", CAPS("\"max_msg_fds\":0"), 0, 0, 0, 1048576,
		  65535, 4096, false },
		{ "32 bits of fds", CAPS("\"max_msg_fds\":4294967295"), 0, 0,
		  UINT32_MAX, 1048576, 65535, 4096, false },
		{ "33 bits of fds", CAPS("\"max_msg_fds\":4294967296"), 0,
		  -EINVAL, 0, 0, 0, 0, 0 },
		{ "negative fds", CAPS("\"max_msg_fds\":-1"), 0, -EINVAL, 0,
		  0, 0, 0, 0 },
		{ "fds in words", CAPS("\"max_msg_fds\":\"8\""), 0, -EINVAL,
		  0, 0, 0, 0, 0 },
		{ "fds as a fraction", CAPS("\"max_msg_fds\":1.5"), 0,
		  -EINVAL, 0, 0, 0, 0, 0 },
		{ "one byte of data", CAPS("\"max_data_xfer_size\":1"), 0, 0,
		  1, 1, 65535, 4096, false },
		{ "none", CAPS("\"max_data_xfer_size\":0"), 0, -EINVAL, 0, 0,
		  0, 0, 0 },
		{ "no mappings", CAPS("\"max_dma_maps\":0"), 0, -EINVAL, 0, 0,
		  0, 0, 0 },
		{ "no page sizes", CAPS("\"pgsizes\":0"), 0, -EINVAL, 0, 0, 0,
		  0, 0 },
		{ "a flag that is none", CAPS("\"write_multiple\":1"), 0,
		  -EINVAL, 0, 0, 0, 0, 0 },
		{ "capabilities that are none", "{\"capabilities\":[]}", 0,
		  -EINVAL, 0, 0, 0, 0, 0 },
		{ "an array", "[]", 0, -EINVAL, 0, 0, 0, 0, 0 },
		{ "half an object", "{\"capabilities\":", 0, -EINVAL, 0, 0, 0,
		  0, 0 },
		{ "a word", "null", 0, -EINVAL, 0, 0, 0, 0, 0 },
		{ "only a NUL", "", 0, -EINVAL, 0, 0, 0, 0, 0 },
		{ "without its NUL", "{}", 1, -EINVAL, 0, 0, 0, 0, 0 },
		{ "half a head", NULL, 2, -EINVAL, 0, 0, 0, 0, 0 },
		{ "nothing", NULL, 4, -EINVAL, 0, 0, 0, 0, 0 },
		{ "twice the same key", CAPS("\"pgsizes\":1,\"pgsizes\":4096"),
		  0, 0, 1, 1048576, 65535, 4096, false },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		uint8_t buf[512] = { 0, 0, 1, 0 };
		size_t len = 4;
		struct version v;

		ROW(rows[i].name);
		if (rows[i].json) {
			strcpy((char *)buf + 4, rows[i].json);
			len += strlen(rows[i].json) + 1;
		}
		assert_int_equal(version_parse(buf, len - rows[i].cut, &v),
				 rows[i].want);
		if (rows[i].want)
			continue;
		assert_int_equal(v.major, 0);
		assert_int_equal(v.minor, 1);
		assert_int_equal(v.max_fds, rows[i].fds);
		assert_int_equal(v.max_xfer, rows[i].xfer);
		assert_int_equal(v.max_maps, rows[i].maps);
		assert_int_equal(v.page_sizes, rows[i].pages);
		assert_int_equal(v.write_multi, rows[i].multi);
	}
}

static void lengths(void **state)
{
	static uint8_t buf[8192];
	struct version v;

	(void)state;
	memset(buf, ' ', sizeof(buf));
	memcpy(buf, "\0\0\1\0{}", 6);
	ROW("4096 bytes of JSON with its NUL");
	buf[4 + 4095] = 0;
	assert_int_equal(version_parse(buf, 4 + 4096, &v), 0);
	ROW("one more");
	buf[4 + 4095] = ' ';
	buf[4 + 4096] = 0;
	assert_int_equal(version_parse(buf, 4 + 4097, &v), -EINVAL);
	ROW("a NUL in the middle");
	buf[4 + 10] = 0;
	buf[4 + 20] = 0;
	assert_int_equal(version_parse(buf, 4 + 21, &v), -EINVAL);
}

static void both_ways(void **state)
{
	struct version out, in = { .major = 0, .minor = 1, .max_fds = 16,
				   .max_xfer = 65536, .max_maps = 1024,
				   .page_sizes = 4096, .write_multi = true };
	uint8_t buf[512];
	ssize_t len = version_build(&in, buf, sizeof(buf));

	(void)state;
	assert_true(len > 4);
	assert_int_equal(version_parse(buf, (size_t)len, &out), 0);
	assert_int_equal(out.minor, in.minor);
	assert_int_equal(out.max_fds, in.max_fds);
	assert_int_equal(out.max_xfer, in.max_xfer);
	assert_int_equal(out.max_maps, in.max_maps);
	assert_int_equal(out.page_sizes, in.page_sizes);
	assert_true(out.write_multi);
	for (size_t room = 0; room < (size_t)len; room++)
		assert_int_equal(version_build(&in, buf, room), -ENOSPC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(payloads),
		cmocka_unit_test(lengths),
		cmocka_unit_test(both_ways),
	};

	return cmocka_run_group_tests_name("device version", tests, NULL,
					   NULL);
}
