// SPDX-License-Identifier: GPL-2.0-or-later
/* specs.c - every server that a node can have; tests put their own here */
#include "ring3/driver.h"
#include "ring3/model.h"
#include "ring3/node.h"

__attribute__((weak)) const struct r3_server_spec *const r3_node_specs[] = {
	&r3_driver_nvme_spec,
	&r3_model_nvme_spec,
	NULL,
};
