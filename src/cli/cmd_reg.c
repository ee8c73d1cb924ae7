// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_reg.c - ring3 reg: the table of commands, and how a database is opened */
#include <stdio.h>

#include "cmd_reg.h"

int reg_cli_failed(const char *what, const struct r3_reg_err *err)
{
	fprintf(stderr, "ring3: %s: ", what);
	if (err->line)
		fprintf(stderr, "line %u, column %u: ", err->line,
			err->column);
	else if (err->offset)
		fprintf(stderr, "offset %zu: ", err->offset);
	fprintf(stderr, "%s\n", err->reason);
	return R3_EXIT_FAILED;
}

/* An option that not every command has. */
static const char *opt(const struct r3_args *args, const char *name)
{
	for (const struct r3_opt *o = args->cmd->opts; o && o->name; o++)
		if (!strcmp(o->name, name))
			return r3_cli_opt(args, name);
	return NULL;
}

int reg_cli_open(const struct r3_args *args, struct r3_reg_db **db)
{
	return reg_cli_open_at(args, NULL, db);
}

int reg_cli_open_at(const struct r3_args *args, const char *path,
		    struct r3_reg_db **db)
{
	struct r3_reg_source s = {
		.db = path ? path : opt(args, "db"),
		.sig = opt(args, "sig"),
		.certs = opt(args, "certs"),
		.unsigned_ok = opt(args, "unsigned") != NULL,
	};
	struct r3_reg_err err = { 0 };
	int code = r3_reg_db_open(db, &s, &err);

	if (!code)
		return R3_EXIT_OK;
	reg_cli_failed(s.db ? s.db : "the installed database", &err);
	if (!s.db && code == -ENOENT)
		fputs("  install the package wireless-regdb, or name a database with --db\n",
		      stderr);
	return R3_EXIT_FAILED;
}

const struct r3_reg_domain *reg_cli_country(const struct r3_reg_db *db,
					    const char *alpha2)
{
	const struct r3_reg_domain *d = r3_reg_db_find(db, alpha2);

	if (!d)
		fprintf(stderr,
			"ring3: the database has no country '%s'; two letters are needed (ISO 3166), 00 is the world domain, `ring3 reg show` lists them\n",
			alpha2);
	return d;
}

const struct r3_cmd r3_cmd_reg[] = {
	{ .name = "show", .args = "[CC]", .max_args = 1,
	  .opts = reg_cli_show_opts, .run = reg_cli_show,
	  .summary = "the rules and channels of a country; without CC: all" },
	{ .name = "lookup", .args = "CC", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_lookup_opts, .run = reg_cli_lookup,
	  .summary = "may I use this frequency?  exit 1: no" },
	{ .name = "explain", .args = "CC", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_lookup_opts, .run = reg_cli_explain,
	  .summary = "the same, with the rule and the numbers that decided" },
	{ .name = "check", .args = "FILE", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_check_opts, .run = reg_cli_check,
	  .summary = "may a hostapd, wpa_supplicant or OpenWrt file run?" },
	{ .name = "where", .args = "FILE", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_where_opts, .run = reg_cli_where,
	  .summary = "in which of all countries it may run" },
	{ .name = "diff", .args = "OLD NEW", .min_args = 2, .max_args = 2,
	  .opts = reg_cli_diff_opts, .run = reg_cli_diff,
	  .summary = "channels, widths and decibels gained and lost" },
	{ .name = "compile", .args = "db.txt", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_compile_opts, .run = reg_cli_compile,
	  .summary = "make regulatory.db from its source" },
	{ .name = "decompile", .args = "[FILE]", .max_args = 1,
	  .opts = reg_cli_decompile_opts, .run = reg_cli_decompile,
	  .summary = "make db.txt from regulatory.db" },
	{ .name = "verify", .args = "[FILE]", .max_args = 1,
	  .opts = reg_cli_verify_opts, .run = reg_cli_verify,
	  .summary = "check signature and contents of a database" },
	{ .name = "simulate", .args = "SCENARIO", .min_args = 1, .max_args = 1,
	  .opts = reg_cli_simulate_opts, .run = reg_cli_simulate,
	  .summary = "radios, moving stations, countries, radar in virtual time" },
	{ .name = "oracle", .args = "[CC]", .max_args = 1,
	  .opts = reg_cli_oracle_opts, .run = reg_cli_oracle,
	  .summary = "print what the kernel would report over nl80211" },
	{ 0 },
};
