/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h - the emulated NVMe controller as a process
 */
#ifndef MODEL_SERVER_H
#define MODEL_SERVER_H

#include "ring3/server.h"

/* Serve until told to end; the exit code. */
int model_nvme_main(struct r3_server *s);

#endif
