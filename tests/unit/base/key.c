// SPDX-License-Identifier: GPL-2.0-or-later
/* key.c - values of a server's keys */
#include "test.h"
#include "ring3/server.h"

#define UINT   { .name = "n", .kind = R3_KEY_UINT, .min = 1, .max = 64 }
#define SIZE   { .name = "s", .kind = R3_KEY_SIZE, .min = 512, .max = R3_GIB }
#define YESNO  { .name = "b", .kind = R3_KEY_BOOL }
#define CHOICE { .name = "c", .kind = R3_KEY_CHOICE, .choices = "poll|irq" }
#define CPUS   { .name = "cpus", .kind = R3_KEY_CPUS }
#define FILE_  { .name = "f", .kind = R3_KEY_FILE }
#define MAYBE  { .name = "f", .kind = R3_KEY_LISTEN, .def = "" }

static void checks_values(void **state)
{
	static const struct {
		const char *name;
		struct r3_key key;
		const char *value;
		int want;
	} rows[] = {
		{ "lowest", UINT, "1", 0 },
		{ "below", UINT, "0", -EINVAL },
		{ "highest", UINT, "64", 0 },
		{ "above", UINT, "65", -EINVAL },
		{ "not a number", UINT, "many", -EINVAL },
		{ "a number takes no suffix", UINT, "1K", -EINVAL },
		{ "size", SIZE, "1G", 0 },
		{ "size above", SIZE, "2G", -EINVAL },
		{ "yes", YESNO, "yes", 0 },
		{ "true is not yes", YESNO, "true", -EINVAL },
		{ "empty is not no", YESNO, "", -EINVAL },
		{ "first choice", CHOICE, "poll", 0 },
		{ "last choice", CHOICE, "irq", 0 },
		{ "part of a choice", CHOICE, "pol", -EINVAL },
		{ "more than a choice", CHOICE, "polls", -EINVAL },
		{ "empty choice", CHOICE, "", -EINVAL },
		{ "any processor", CPUS, "auto", 0 },
		{ "processors", CPUS, "0,2-3", 0 },
		{ "highest processor", CPUS, "1023", 0 },
		{ "above it", CPUS, "1024", -EINVAL },
		{ "backwards", CPUS, "3-2", -EINVAL },
		{ "open end", CPUS, "1-", -EINVAL },
		{ "comma at the end", CPUS, "1,", -EINVAL },
		{ "no processor", CPUS, "", -EINVAL },
		{ "blank", CPUS, "1, 2", -EINVAL },
		{ "file", FILE_, "a", 0 },
		{ "no file", FILE_, "", -EINVAL },
		{ "a socket that may be absent", MAYBE, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		char why[160] = "";

		ROW(rows[i].name);
		assert_int_equal(r3_key_check(&rows[i].key, rows[i].value, why,
					      sizeof(why)),
				 rows[i].want);
		assert_int_equal(why[0] != 0, rows[i].want != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
