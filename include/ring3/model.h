/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model.h - emulated devices
 */
#ifndef RING3_MODEL_H
#define RING3_MODEL_H

#include "ring3/server.h"

/* ring3-model-nvme: an NVMe controller over vfio-user, a file behind it. */
extern const struct r3_server_spec r3_model_nvme_spec;

#endif
