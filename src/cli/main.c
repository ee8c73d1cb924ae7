// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - the ring3 command: its table of parts */
#include <stdio.h>

#include "cmds.h"

static int run_version(const struct r3_args *args)
{
	(void)args;
	puts("ring3 " R3_VERSION);
	return R3_EXIT_OK;
}

static int run_completion(const struct r3_args *args);
static int run_synopsis(const struct r3_args *args);

static const struct r3_cmd commands[] = {
	{ .name = "completion", .args = "bash|zsh", .min_args = 1,
	  .max_args = 1, .run = run_completion,
	  .summary = "print a shell's completion script" },
	{ .name = "reg", .sub = r3_cmd_reg,
	  .summary = "802.11 regulatory domains: exact, explained, offline" },
	{ .name = "synopsis", .run = run_synopsis,
	  .summary = "print every command with its options" },
	{ .name = "version", .run = run_version,
	  .summary = "print the version" },
	{ 0 },
};

static const struct r3_cmd root = {
	.name = "ring3",
	.summary = "devices, network, storage, memory and virtual machines in "
		   "user space",
	.sub = commands,
};

static int run_completion(const struct r3_args *args)
{
	if (r3_cli_print_completion(&root, args->pos[0]))
		return r3_cli_usage(args, "there is no completion for '%s'",
				    args->pos[0]);
	return R3_EXIT_OK;
}

static int run_synopsis(const struct r3_args *args)
{
	(void)args;
	r3_cli_print_synopsis(&root);
	return R3_EXIT_OK;
}

int main(int argc, char **argv)
{
	return r3_cli_main(&root, argc, argv);
}
