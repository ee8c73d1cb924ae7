/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_reg.h - what the files of `ring3 reg` share */
#ifndef CLI_CMD_REG_H
#define CLI_CMD_REG_H

struct json_t;

#include "cmds.h"
#include "ring3/reg.h"

/* The options that say which database; every table of options ends so. */
#define REG_DB_OPTS \
	{ "db", "FILE", "database (default: the installed one)", 0 }, \
	{ "sig", "FILE", "its signature (default: beside it)", 0 }, \
	{ "certs", "PATH", "certificate or folder trusted instead of Debian's", \
	  0 }, \
	{ "unsigned", NULL, "take the database without a signature", 0 }

/* Open it as the options say; a message on failure.  0 or an exit code. */
int reg_cli_open(const struct r3_args *args, struct r3_reg_db **db);
/* "ring3: FILE: reason"; returns R3_EXIT_FAILED. */
int reg_cli_failed(const char *what, const struct r3_reg_err *err);
/* A country of the database, or a message that names near ones. */
const struct r3_reg_domain *reg_cli_country(const struct r3_reg_db *db,
					    const char *alpha2);

/* The same with a path that goes before --db; NULL: none. */
int reg_cli_open_at(const struct r3_args *args, const char *path,
		    struct r3_reg_db **db);
/* A whole file ("-": standard input) of at most @max bytes; malloc()ed. */
int reg_cli_read(const char *path, size_t max, char **out, size_t *len);
/* Country, DFS region and rules; channels with flags and power. */
struct json_t *reg_cli_domain_json(const struct r3_reg_domain *d);
struct json_t *reg_cli_channels_json(const struct r3_reg_channel *ch,
				     unsigned n);
/* Print and release. */
void reg_cli_print_json(struct json_t *o);

#define REG_COMMAND(verb)                                \
	int reg_cli_##verb(const struct r3_args *args); \
	extern const struct r3_opt reg_cli_##verb##_opts[]

REG_COMMAND(show);
REG_COMMAND(lookup);
int reg_cli_explain(const struct r3_args *args);
REG_COMMAND(check);
REG_COMMAND(where);
REG_COMMAND(diff);
REG_COMMAND(compile);
REG_COMMAND(decompile);
REG_COMMAND(verify);
REG_COMMAND(simulate);
REG_COMMAND(oracle);

#endif
