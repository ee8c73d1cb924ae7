// SPDX-License-Identifier: GPL-2.0-or-later
/* num.c - numbers in text, checked arithmetic, byte order */
#include "test.h"
#include "ring3/base.h"

static void parses_numbers(void **state)
{
	static const struct {
		const char *name, *text;
		int uint_err, size_err;
		uint64_t want;
	} rows[] = {
		{ "zero", "0", 0, 0, 0 },
		{ "decimal", "4096", 0, 0, 4096 },
		{ "leading zeros are decimal", "010", 0, 0, 10 },
		{ "hexadecimal", "0xfF", 0, 0, 255 },
		{ "0x alone", "0x", -EINVAL, -EINVAL, 0 },
		{ "largest", "18446744073709551615", 0, 0, UINT64_MAX },
		{ "one too large", "18446744073709551616", -ERANGE, -ERANGE,
		  0 },
		{ "empty", "", -EINVAL, -EINVAL, 0 },
		{ "blank in front", " 1", -EINVAL, -EINVAL, 0 },
		{ "negative", "-1", -EINVAL, -EINVAL, 0 },
		{ "plus", "+1", -EINVAL, -EINVAL, 0 },
		{ "rest behind", "1x", -EINVAL, -EINVAL, 0 },
		{ "letters", "abc", -EINVAL, -EINVAL, 0 },
		{ "kibibytes", "3K", -EINVAL, 0, 3072 },
		{ "spelt out", "3KiB", -EINVAL, 0, 3072 },
		{ "decimal is another", "3KB", -EINVAL, -EINVAL, 0 },
		{ "small letter", "2m", -EINVAL, 0, 2097152 },
		{ "gibibytes", "1G", -EINVAL, 0, 1073741824 },
		{ "suffix twice", "1KK", -EINVAL, -EINVAL, 0 },
		{ "suffix alone", "K", -EINVAL, -EINVAL, 0 },
		{ "largest T", "16777215T", -EINVAL, 0,
		  UINT64_C(16777215) << 40 },
		{ "T overflows", "16777216T", -EINVAL, -ERANGE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		uint64_t n = 42;

		ROW(rows[i].name);
		assert_int_equal(r3_parse_uint(rows[i].text, &n),
				 rows[i].uint_err);
		assert_int_equal(n, rows[i].uint_err ? 42 : rows[i].want);
		n = 42;
		assert_int_equal(r3_parse_size(rows[i].text, &n),
				 rows[i].size_err);
		assert_int_equal(n, rows[i].size_err ? 42 : rows[i].want);
	}
}

static void checks_arithmetic(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_true(r3_add(UINT64_MAX - 1, UINT64_C(1), &n));
	assert_true(n == UINT64_MAX);
	assert_false(r3_add(UINT64_MAX, UINT64_C(1), &n));
	n = 7;
	assert_true(r3_align_up(4095, 4096, &n) && n == 4096);
	assert_true(r3_align_up(4096, 4096, &n) && n == 4096);
	assert_true(r3_align_up(4097, 4096, &n) && n == 8192);
	n = 7;
	assert_false(r3_align_up(UINT64_MAX - 4094, 4096, &n));
	assert_true(n == 7);
	assert_false(r3_is_pow2(0));
	assert_true(r3_is_pow2(1));
	assert_false(r3_is_pow2(3));
}

static void keeps_byte_order(void **state)
{
	static const uint8_t le[] = { 0x78, 0x56, 0x34, 0x12 };
	static const uint8_t be[] = { 0x12, 0x34, 0x56, 0x78 };
	r3_le32 l = r3_le32_of(0x12345678);
	r3_be32 b = r3_be32_of(0x12345678);

	(void)state;
	assert_memory_equal(l.b, le, 4);
	assert_memory_equal(b.b, be, 4);
	assert_int_equal(r3_get_le32(l), 0x12345678);
	assert_int_equal(r3_get_be32(b), 0x12345678);
	assert_int_equal(r3_get_be16(r3_be16_of(0xa55a)), 0xa55a);
	assert_true(r3_get_be64(r3_be64_of(UINT64_C(1) << 63)) ==
		    UINT64_C(1) << 63);
}

static void takes_from_spans(void **state)
{
	struct r3_span s = { (const uint8_t *)"abc", 3 };

	(void)state;
	assert_null(r3_take(&s, 4));
	assert_int_equal(s.len, 3);
	assert_memory_equal(r3_take(&s, 2), "ab", 2);
	assert_non_null(r3_take(&s, 1));
	assert_non_null(r3_take(&s, 0));
	assert_null(r3_take(&s, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_numbers),
		cmocka_unit_test(checks_arithmetic),
		cmocka_unit_test(keeps_byte_order),
		cmocka_unit_test(takes_from_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
