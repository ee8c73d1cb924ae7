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

int reg_cli_open(const struct r3_args *args, struct r3_reg_db **db)
{
	struct r3_reg_source s = {
		.db = r3_cli_opt(args, "db"),
		.sig = r3_cli_opt(args, "sig"),
		.certs = r3_cli_opt(args, "certs"),
		.unsigned_ok = r3_cli_opt(args, "unsigned") != NULL,
	};
	struct r3_reg_err err = { 0 };

	if (!r3_reg_db_open(db, &s, &err))
		return R3_EXIT_OK;
	reg_cli_failed(s.db ? s.db : "the installed database", &err);
	if (!s.db)
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
	{ .name = "oracle", .args = "[CC]", .max_args = 1,
	  .opts = reg_cli_oracle_opts, .run = reg_cli_oracle,
	  .summary = "print what the kernel would report over nl80211" },
	{ 0 },
};
