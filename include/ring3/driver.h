/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver.h - drivers in user space, as the node knows them
 *
 * ring3-driver-nvme drives an NVMe controller, on VFIO or emulated behind a
 * vfio-user socket, and exports its first namespace as a vhost-user-blk device.
 */
#ifndef RING3_DRIVER_H
#define RING3_DRIVER_H

#include "ring3/server.h"

/* The keys of ring3-driver-nvme. */
extern const struct r3_server_spec r3_driver_nvme_spec;

#endif
