/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pci_use.h - does this machine need a device right now? */
#ifndef DEVICE_PCI_USE_H
#define DEVICE_PCI_USE_H

#include "ring3/pci.h"

/* What the device carries ("/dev/nvme0n1p1 is mounted", "eth0 has the default
 * route") into @why; false when it carries nothing that is known of. */
bool pci_in_use(const char *bdf, char *why, size_t room);

#endif
