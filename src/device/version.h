/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version.h - what vfio-user's two sides tell each other first */
#ifndef DEVICE_VERSION_H
#define DEVICE_VERSION_H

#include "wire.h"

struct version {
	uint16_t major, minor;
	uint32_t max_fds;  /* that the sender takes in one message */
	uint32_t max_xfer; /* bytes of one region access */
	uint32_t max_maps;
	uint64_t page_sizes;
	bool write_multi;
};

/* The payload of a VERSION message, checked.  0, -EINVAL (what isn't said has
 * the protocol's defaults) or -ENOMEM. */
int version_parse(const uint8_t *data, size_t len, struct version *out);
/* The payload for @v into @buf; its length, or -ENOSPC. */
ssize_t version_build(const struct version *v, uint8_t *buf, size_t room);

#endif
