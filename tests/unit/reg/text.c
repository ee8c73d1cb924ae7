// SPDX-License-Identifier: GPL-2.0-or-later
/* text.c - db.txt: there and back byte for byte, errors at line and column */
#include "reg_test.h"

static char *decompiled(const struct r3_reg_db *db, size_t *len)
{
	char *text = NULL;
	FILE *mem = open_memstream(&text, len);

	assert_non_null(mem);
	assert_int_equal(r3_reg_decompile(db, mem), 0);
	fclose(mem);
	return text;
}

static void comes_back(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_span was = r3_reg_db_bytes(db);
	size_t len, n;
	char *text = decompiled(db, &len);
	uint8_t *bytes;
	struct r3_reg_err err;

	(void)state;
	assert_int_equal(r3_reg_compile(text, len, &bytes, &n, &err), 0);
	assert_int_equal(n, was.len);
	assert_memory_equal(bytes, was.p, n);
	free(bytes);
	free(text);
	r3_reg_db_free(db);
}

static struct r3_reg_db *compiled(const char *text)
{
	struct r3_reg_db *db;
	struct r3_reg_err err = { 0 };
	uint8_t *bytes;
	size_t n;

	if (r3_reg_compile(text, strlen(text), &bytes, &n, &err))
		fail_msg("line %u column %u: %s", err.line, err.column,
			 err.reason);
	assert_int_equal(r3_reg_db_parse(&db, bytes, n, &err), 0);
	free(bytes);
	return db;
}

static void reads_all_forms(void **state)
{
	struct r3_reg_db *db = compiled(
		"# a comment\n"
		"band two: 2402 - 2482 @ 40 # twenty channels\n"
		"band plain: 5170 - 5250\n"
		"power strong: 200 mW\n"
		"country DE,FR: DFS-ETSI\n"
		"\t(5250 - 5330 @ 80), (20), DFS, NO-OUTDOOR\n"
		"\ttwo, strong\n"
		"\ttwo, strong\n"
		"  plain , ( 23.01 ) , AUTO-BW , NO-IR\n"
		"country US:\n"
		"(57240-63720@2160),(N/A)\n");
	const struct r3_reg_domain *de = r3_reg_db_find(db, "DE");
	const struct r3_reg_domain *fr = r3_reg_db_find(db, "FR");
	const struct r3_reg_domain *us = r3_reg_db_find(db, "US");

	(void)state;
	assert_int_equal(de->count, 3);
	assert_ptr_equal(de->rules, fr->rules);
	assert_int_equal(de->dfs, R3_REG_DFS_ETSI);
	assert_int_equal(de->rules[0].eirp_mbm, 2301);
	assert_int_equal(de->rules[1].start_khz, 5170000);
	assert_int_equal(de->rules[1].max_bw_khz, 20000);
	assert_int_equal(de->rules[1].flags, R3_REG_AUTO_BW | R3_REG_NO_IR);
	assert_int_equal(us->dfs, R3_REG_DFS_UNSET);
	assert_int_equal(us->rules[0].eirp_mbm, 0);
	r3_reg_db_free(db);
}

static void says_where(void **state)
{
	static const struct {
		const char *name, *text;
		unsigned line, column;
		const char *reason;
	} rows[] = {
		{ "rule outside a country", "(2400 - 2480 @ 40), (20)\n", 1, 1,
		  "expected" },
		{ "one letter", "country D:\n", 1, 9, "two capitals" },
		{ "small letters", "\ncountry de:\n", 2, 9, "two capitals" },
		{ "no colon", "country DE\n", 1, 11, "':'" },
		{ "unknown region", "country DE: DFS-XX\n", 1, 13, "DFS-ETSI" },
		{ "inverted range", "country DE:\n (2480 - 2400 @ 40), (20)\n",
		  2, 3, "empty" },
		{ "range of nothing", "country DE:\n (2400 - 2400), (20)\n", 2,
		  3, "empty" },
		{ "wider than range", "country DE:\n (2400 - 2410 @ 20), (20)\n",
		  2, 3, "more than" },
		{ "wider than any", "country DE:\n (2400 - 2480 @ 4444444444), (20)\n",
		  2, 3, "more than" },
		{ "no number", "country DE:\n (abc - 2480 @ 40), (20)\n", 2, 3,
		  "number" },
		{ "no bracket", "country DE:\n (2400 - 2480 @ 40, (20)\n", 2,
		  19, "')'" },
		{ "no power", "country DE:\n (2400 - 2480 @ 40)\n", 2, 20,
		  "','" },
		{ "no such band", "country DE:\n b, (20)\n", 2, 3, "named" },
		{ "no such power", "country DE:\n (2400 - 2480), p\n", 2, 18,
		  "named" },
		{ "unknown flag", "country DE:\n (2400 - 2480), (20), NO-FUN\n",
		  2, 23, "unknown flag" },
		{ "flag without room",
		  "country DE:\n (2400 - 2480), (20), NO-HT40\n", 2, 23,
		  "no room" },
		{ "no such wmmrule",
		  "country DE:\n (2400 - 2480), (20), wmmrule=X\n", 2, 32,
		  "named" },
		{ "wmmrule half", "wmmrule X:\n vo_c: cw_min=3, cw_max=7, aifsn=2, cot=2\n",
		  2, 42, "all of" },
		{ "wmm window", "wmmrule X:\n vo_c: cw_min=4, cw_max=7\n", 2,
		  16, "power of two" },
		{ "too strong", "power P: 700\n", 1, 13, "700" },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_reg_err err = { 0 };
		uint8_t *bytes;
		size_t n;

		ROW(rows[i].name);
		assert_int_equal(r3_reg_compile(rows[i].text,
						strlen(rows[i].text), &bytes,
						&n, &err),
				 -EINVAL);
		assert_non_null(strstr(err.reason, rows[i].reason));
		assert_int_equal(err.line, rows[i].line);
		assert_int_equal(err.column, rows[i].column);
	}
}

/* Numbers that doubles can't hold exactly survive the way there and back. */
static void keeps_numbers(void **state)
{
	char text[256];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned start = 902000 + i * 37, mbm = (i * 331) % 65500;
		struct r3_reg_db *a, *b;
		size_t len;
		char *again;

		snprintf(text, sizeof(text),
			 "country AA:\n(%u.%03u1 - %u @ 1), (%u.%02u1)\n",
			 start / 1000, start % 1000, start / 1000 + 5,
			 mbm / 100, mbm % 100);
		a = compiled(text);
		assert_int_equal(r3_reg_db_at(a, 0)->rules[0].start_khz, start);
		assert_int_equal(r3_reg_db_at(a, 0)->rules[0].eirp_mbm, mbm);
		again = decompiled(a, &len);
		b = compiled(again);
		assert_memory_equal(r3_reg_db_bytes(a).p, r3_reg_db_bytes(b).p,
				    r3_reg_db_bytes(a).len);
		free(again);
		r3_reg_db_free(a);
		r3_reg_db_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(reads_all_forms),
		cmocka_unit_test(says_where),
		cmocka_unit_test(keeps_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
