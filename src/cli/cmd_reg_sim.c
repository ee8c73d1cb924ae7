// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_reg_sim.c - ring3 reg simulate: a scenario as a time line */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_reg.h"

static void say_text(void *arg, uint64_t ms, const char *radio,
		     const char *text)
{
	(void)arg;
	printf("%9.3f s  %-12s %s\n", (double)ms / 1000,
	       radio[0] ? radio : "-", text);
}

static void say_json(void *arg, uint64_t ms, const char *radio,
		     const char *text)
{
	json_array_append_new(arg, json_pack("{s:I,s:s,s:s}", "ms",
					     (json_int_t)ms, "radio", radio,
					     "text", text));
}

const struct r3_opt reg_cli_simulate_opts[] = {
	{ "json", NULL, "machine-readable", 0 },
	{ "dump", NULL, "print the final state as `oracle` does", 0 },
	REG_DB_OPTS,
	{ 0 },
};

static int run(const struct r3_args *args, const struct r3_reg_db *db,
	       const char *text, size_t len)
{
	struct r3_reg_sim *sim;
	struct r3_reg_err err = { 0 };
	json_t *list;

	if (r3_reg_sim_parse(&sim, db, text, len, &err))
		return reg_cli_failed(args->pos[0], &err);
	if (r3_cli_opt(args, "json")) {
		list = json_array();
		r3_reg_sim_run(sim, say_json, list);
		reg_cli_print_json(json_pack(
			"{s:s,s:o}", "domain",
			r3_reg_hints_global(r3_reg_sim_hints(sim))->alpha2,
			"events", list));
	} else {
		r3_reg_sim_run(sim, say_text, NULL);
	}
	if (r3_cli_opt(args, "dump"))
		r3_reg_hints_dump(stdout, r3_reg_sim_hints(sim));
	r3_reg_sim_free(sim);
	return R3_EXIT_OK;
}

int reg_cli_simulate(const struct r3_args *args)
{
	struct r3_reg_db *db;
	char *text;
	size_t len;
	int code = reg_cli_read(args->pos[0], 1024 * 1024, &text, &len);

	if (code)
		return code;
	code = reg_cli_open(args, &db);
	if (!code) {
		code = run(args, db, text, len);
		r3_reg_db_free(db);
	}
	free(text);
	return code;
}
