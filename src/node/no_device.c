// SPDX-License-Identifier: GPL-2.0-or-later
/* no_device.c - stands in while the part `device` is not built */
#include "ring3/device.h"

int r3_vfio_open(const char *bdf, struct r3_vfio_fds *out, char *why,
		 size_t room)
{
	(void)bdf;
	(void)out;
	(void)why;
	(void)room;
	return -EOPNOTSUPP;
}

void r3_vfio_close(struct r3_vfio_fds *fds)
{
	(void)fds;
}

int r3_vfio_fence(const struct r3_vfio_fds *fds)
{
	(void)fds;
	return 0;
}
