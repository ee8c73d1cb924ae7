/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmds.h - the commands of each part, entered in main.c's table.  Large tables
 * stay in cmd_PART.c, as `const struct r3_cmd r3_cmd_PART[]` ended by { 0 }.
 */
#ifndef CLI_CMDS_H
#define CLI_CMDS_H

#include "ring3/cli.h"

extern const struct r3_cmd r3_cmd_btrfs[];
extern const struct r3_cmd r3_cmd_device[];
extern const struct r3_cmd r3_cmd_reg[];

#endif
