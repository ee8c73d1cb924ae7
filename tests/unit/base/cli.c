// SPDX-License-Identifier: GPL-2.0-or-later
/* cli.c - command lines: what is understood, and which exit code they get */
#include "test.h"
#include "ring3/cli.h"

static struct r3_args seen;
static const char *seen_json, *seen_file;

static int run(const struct r3_args *args)
{
	seen = *args;
	seen_json = r3_cli_opt(args, "json");
	seen_file = r3_cli_opt(args, "file");
	return 7;
}

static const struct r3_opt opts[] = {
	{ "json", NULL, "as JSON", 'j' },
	{ "json", NULL, NULL, 'J' },
	{ "file", "FILE", "a file", 'f' },
	{ "fill", NULL, "fill it", 'l' },
	{ 0 },
};
static const struct r3_cmd subs[] = {
	{ .name = "show", .args = "[NAME]", .max_args = 1, .opts = opts,
	  .run = run, .summary = "show" },
	{ .name = "shut", .args = "NAME", .min_args = 1, .max_args = 1,
	  .opts = opts, .run = run, .summary = "shut" },
	{ 0 },
};
static const struct r3_cmd cmds[] = {
	{ .name = "device", .sub = subs, .summary = "devices" },
	{ 0 },
};
static const struct r3_cmd root = { .name = "test", .sub = cmds,
				    .summary = "a test" };

static void understands(void **state)
{
	static const struct {
		const char *name;
		const char *argv[8];
		int want;
		const char *json, *file;
		unsigned count;
	} rows[] = {
		{ "whole words", { "t", "device", "show" }, 7, NULL, NULL, 0 },
		{ "shortened", { "t", "dev", "sho" }, 7, NULL, NULL, 0 },
		{ "ambiguous command", { "t", "device", "sh" }, 2, 0, 0, 0 },
		{ "unknown command", { "t", "devil" }, 2, 0, 0, 0 },
		{ "no command", { "t" }, 2, 0, 0, 0 },
		{ "half a command", { "t", "device" }, 2, 0, 0, 0 },
		{ "a switch", { "t", "device", "show", "--json" }, 7, "", NULL,
		  0 },
		{ "its letter", { "t", "device", "show", "-j" }, 7, "", NULL,
		  0 },
		{ "its other letter", { "t", "device", "show", "-J" }, 7, "",
		  NULL, 0 },
		{ "letters in one", { "t", "device", "show", "-lj" }, 7, "",
		  NULL, 0 },
		{ "a letter's value", { "t", "device", "show", "-f", "a" }, 7,
		  NULL, "a", 0 },
		{ "joined to it", { "t", "device", "show", "-fa" }, 7, NULL,
		  "a", 0 },
		{ "and behind others", { "t", "device", "show", "-ljf", "a" },
		  7, "", "a", 0 },
		{ "no value is left", { "t", "device", "show", "-jf" }, 2, 0,
		  0, 0 },
		{ "one letter unknown", { "t", "device", "show", "-jx" }, 2,
		  0, 0, 0 },
		{ "shortened option", { "t", "device", "show", "--js" }, 7, "",
		  NULL, 0 },
		{ "ambiguous option", { "t", "device", "show", "--fi" }, 2, 0,
		  0, 0 },
		{ "value behind =",
		  { "t", "device", "show", "--file=a" }, 7, NULL, "a", 0 },
		{ "value in the next word",
		  { "t", "device", "show", "--file", "a" }, 7, NULL, "a", 0 },
		{ "value missing", { "t", "device", "show", "--file" }, 2, 0,
		  0, 0 },
		{ "switch with a value",
		  { "t", "device", "show", "--json=1" }, 2, 0, 0, 0 },
		{ "unknown option", { "t", "device", "show", "--no" }, 2, 0, 0,
		  0 },
		{ "option behind an argument",
		  { "t", "device", "show", "x", "-j" }, 7, "", NULL, 1 },
		{ "-- ends the options",
		  { "t", "device", "show", "--", "-j" }, 7, NULL, NULL, 1 },
		{ "a dash is an argument", { "t", "device", "show", "-" }, 7,
		  NULL, NULL, 1 },
		{ "too many", { "t", "device", "show", "a", "b" }, 2, 0, 0,
		  0 },
		{ "too few", { "t", "device", "shut" }, 2, 0, 0, 0 },
		{ "hyphens don't count",
		  { "t", "device", "show", "--js-on" }, 7, "", NULL, 0 },
		{ "nor in a command", { "t", "de-vice", "show" }, 7, NULL,
		  NULL, 0 },
		{ "only hyphens", { "t", "device", "show", "---" }, 2, 0, 0,
		  0 },
		{ "help of all", { "t", "help" }, 0, 0, 0, 0 },
		{ "help of one", { "t", "help", "device", "shut" }, 0, 0, 0,
		  0 },
		{ "help on the way", { "t", "device", "help", "shut" }, 0, 0,
		  0, 0 },
		{ "help of what is not there", { "t", "help", "devil" }, 2, 0,
		  0, 0 },
		{ "help as an argument", { "t", "device", "show", "help" }, 7,
		  NULL, NULL, 1 },
		{ "help wins", { "t", "device", "shut", "--help" }, 0, 0, 0,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		int argc = 0;

		ROW(rows[i].name);
		while (rows[i].argv[argc])
			argc++;
		assert_int_equal(r3_cli_main(&root, argc,
					     (char **)rows[i].argv),
				 rows[i].want);
		if (rows[i].want != 7)
			continue;
		assert_int_equal(seen.count, rows[i].count);
		assert_int_equal(!!seen_json, !!rows[i].json);
		assert_int_equal(!!seen_file, !!rows[i].file);
		if (rows[i].file)
			assert_string_equal(seen_file, rows[i].file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(understands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
