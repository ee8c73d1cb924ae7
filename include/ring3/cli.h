/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - commands as tables, from which help, the man page's synopsis and
 * shell completion come
 *
 * Options may stand anywhere after the command, "--" ends them; a long option
 * and a command may be shortened as long as it stays the only one, and hyphens
 * in them left out.  --help works everywhere, "help" before any command.
 */
#ifndef RING3_CLI_H
#define RING3_CLI_H

#include "ring3/base.h"

/* What a command returns to the shell. */
enum {
	R3_EXIT_OK = 0,
	R3_EXIT_FAILED = 1,
	R3_EXIT_USAGE = 2,
	R3_EXIT_NOT_RUNNING = 3,
	R3_EXIT_UNKNOWN = 4, /* no such server, device, ... */
};

#define R3_CLI_OPTS_MAX 32
#define R3_CLI_ARGS_MAX 4096

struct r3_opt {
	const char *name; /* "json"; NULL ends the table */
	const char *arg;  /* "FILE", or NULL for a switch */
	const char *help; /* NULL: only another letter for an option before it,
			     of the same name */
	char letter; /* 'q' for -q, or 0 */
};

struct r3_args {
	const char *const *pos; /* positional arguments */
	unsigned count;
	const struct r3_cmd *cmd;
	const char *value[R3_CLI_OPTS_MAX]; /* as cmd->opts; switch: "" */
	/* every occurrence of a repeated option, in order */
	struct {
		unsigned opt;
		const char *value;
	} *all;
	unsigned all_count;
};

struct r3_cmd {
	const char *name; /* NULL ends the table */
	const char *args; /* "NODE.conf", "[SERVER]..."; NULL: none */
	const char *summary;
	const struct r3_opt *opts; /* or NULL */
	const struct r3_cmd *sub;  /* or NULL; then run is NULL */
	int (*run)(const struct r3_args *args);
	unsigned min_args, max_args; /* positional; max 0 = none */
};

/* Parse, run, return the exit code.  Usage errors go to standard error. */
int r3_cli_main(const struct r3_cmd *root, int argc, char **argv);

/* An option's value; "" for a switch that was given; NULL when it was not. */
const char *r3_cli_opt(const struct r3_args *args, const char *name);
/* "prog: PROBLEM" and the usage line; returns R3_EXIT_USAGE. */
int r3_cli_usage(const struct r3_args *args, const char *fmt, ...)
	R3_PRINTF(2, 3);

/* Printers for the table itself. */
void r3_cli_print_help(const struct r3_cmd *cmd, const char *path);
void r3_cli_print_synopsis(const struct r3_cmd *root); /* for man pages */
int r3_cli_print_completion(const struct r3_cmd *root, const char *shell);

#endif
