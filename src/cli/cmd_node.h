/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_node.h - what the node's commands share, and their entries for main.c */
#ifndef CLI_CMD_NODE_H
#define CLI_CMD_NODE_H

#include <jansson.h>

#include "ring3/cli.h"
#include "ring3/node.h"

#define NODE_CLI_WAIT_MS 60000 /* for a node to come up or go down */

/* A node that runs, as a command's argument or --node named it. */
struct node_ref {
	char name[R3_SERVER_NAME_MAX];
	char rundir[R3_NODE_PATH_MAX];
};

/**
 * node_cli_find() - which node is meant?
 * @word: its name, its configuration file, or NULL: the only one there is
 * Prints what is wrong.  Return: R3_EXIT_OK or the exit code.
 */
int node_cli_find(const char *word, struct node_ref *out);

/**
 * node_cli_call() - a command to the node's supervisor
 * @out: the answer, to json_decref(); NULL: not wanted
 * Prints what is wrong.  Return: R3_EXIT_OK or the exit code.
 */
int node_cli_call(const struct node_ref *ref, const char *line, int timeout_ms,
		  json_t **out);
/* As above, without a word about an error. */
int node_cli_ask(const struct node_ref *ref, const char *line, int timeout_ms,
		 json_t **out);

const char *node_cli_str(const json_t *o, const char *key);
long long node_cli_int(const json_t *o, const char *key);
double node_cli_num(const json_t *o, const char *key);
/* The server or guest of that name in a status, or NULL. */
json_t *node_cli_unit(json_t *status, const char *name);
void node_cli_print_json(json_t *o);
/* The last @lines lines of a file. */
void node_cli_tail(FILE *to, const char *path, unsigned lines);

/* cmd_node_up.c: start the node of @file; prints what failed. */
struct node_start {
	const char *file;
	bool foreground, quiet;
	bool job; /* guests do their job instead of giving a shell */
};
int node_cli_start(const struct node_start *how, struct node_ref *ref);
int node_cli_stop(const struct node_ref *ref);

/* cmd_node_console.c: until the key or the guest's end */
int node_cli_attach(const struct node_ref *ref, const char *guest);

extern const struct r3_opt node_cli_up_opts[], node_cli_down_opts[],
	node_cli_status_opts[], node_cli_restart_opts[], node_cli_logs_opts[],
	node_cli_console_opts[], node_cli_doctor_opts[], node_cli_drill_opts[];
int node_cli_up(const struct r3_args *args);
int node_cli_down(const struct r3_args *args);
int node_cli_status(const struct r3_args *args);
int node_cli_restart(const struct r3_args *args);
int node_cli_logs(const struct r3_args *args);
int node_cli_console(const struct r3_args *args);
int node_cli_doctor(const struct r3_args *args);
int node_cli_drill(const struct r3_args *args);
extern const struct r3_cmd r3_cmd_config[];

#endif
