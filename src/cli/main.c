// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - the ring3 command: its table of parts */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd_node.h"
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
	{ .name = "btrfs", .sub = r3_cmd_btrfs,
	  .summary = "Btrfs images and devices, without mounting them" },
	{ .name = "completion", .args = "bash|zsh", .min_args = 1,
	  .max_args = 1, .run = run_completion,
	  .summary = "print a shell's completion script" },
	{ .name = "config", .sub = r3_cmd_config,
	  .summary = "configuration files" },
	{ .name = "console", .args = "[GUEST]", .max_args = 1,
	  .opts = node_cli_console_opts, .run = node_cli_console,
	  .summary = "attach to a guest's console; Ctrl-] leaves it" },
	{ .name = "device", .sub = r3_cmd_device,
	  .summary = "PCI devices: list, show, give to user space and back" },
	{ .name = "doctor", .opts = node_cli_doctor_opts,
	  .run = node_cli_doctor,
	  .summary = "what this machine has and lacks, and what to do" },
	{ .name = "down", .args = "[NODE]", .max_args = 1,
	  .opts = node_cli_down_opts, .run = node_cli_down,
	  .summary = "end a node: guests first, then its servers" },
	{ .name = "drill", .args = "NODE.conf", .min_args = 1, .max_args = 1,
	  .opts = node_cli_drill_opts, .run = node_cli_drill,
	  .summary = "run a guest's job while servers are killed" },
	{ .name = "logs", .args = "[SERVER]", .max_args = 1,
	  .opts = node_cli_logs_opts, .run = node_cli_logs,
	  .summary = "print the logs of a node, or of one server" },
	{ .name = "reg", .sub = r3_cmd_reg,
	  .summary = "802.11 regulatory domains: exact, explained, offline" },
	{ .name = "restart", .args = "SERVER", .min_args = 1, .max_args = 1,
	  .opts = node_cli_restart_opts, .run = node_cli_restart,
	  .summary = "end one server and start it again" },
	{ .name = "status", .args = "[NODE]", .max_args = 1,
	  .opts = node_cli_status_opts, .run = node_cli_status,
	  .summary = "each server's state, restarts and throughput" },
	{ .name = "synopsis", .run = run_synopsis,
	  .summary = "print every command with its options" },
	{ .name = "up", .args = "NODE.conf", .min_args = 1, .max_args = 1,
	  .opts = node_cli_up_opts, .run = node_cli_up,
	  .summary = "start a node, wait until it is ready" },
	{ .name = "version", .run = run_version,
	  .summary = "print the version" },
	{ 0 },
};

static const struct r3_cmd root = {
	.name = "ring3",
	.summary = "devices, storage and virtual machines in user space",
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

/* What a shell closed would be the number of the next file, an image's say, and
 * messages would go there.  Opened the wrong way round, its use still fails. */
static void hold_standard_files(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", flags[fd]) != fd)
			_exit(R3_EXIT_FAILED);
	}
}

int main(int argc, char **argv)
{
	hold_standard_files();
	if (argc > 1 && !strcmp(argv[1], "--version"))
		argv[1] = "version"; /* what people try first */
	return r3_cli_main(&root, argc, argv);
}
