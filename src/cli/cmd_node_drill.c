// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_drill.c - ring3 drill */
#include "cmd_node.h"

const struct r3_opt node_cli_drill_opts[] = {
	{ .name = "json", .letter = 'j', .help = "print JSON" },
	{ 0 },
};

int node_cli_drill(const struct r3_args *args)
{
	(void)args;
	return R3_EXIT_FAILED;
}
