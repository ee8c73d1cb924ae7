/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_device.h - between cmd_device.c and cmd_device_show.c */
#ifndef CLI_CMD_DEVICE_H
#define CLI_CMD_DEVICE_H

#include <jansson.h>

#include "ring3/cli.h"
#include "ring3/pci.h"

int cmd_device_show(const struct r3_args *args);
/* What `device list` says of one, for --json. */
json_t *cmd_device_json(const struct r3_pci_dev *d);

#endif
