// SPDX-License-Identifier: GPL-2.0-or-later
/* guest.c - a guest's process: QEMU, a peer that is not one of our servers */
#include <stdio.h>
#include <unistd.h>

#include "sup.h"

int sup_guest_spawn(struct sup_guest *g)
{
	struct sup_unit *u = &g->unit;
	struct sup_child c = { .name = u->name, .log = u->log, .exe = -1,
			       .control = -1, .argv = g->plan->args };
	char path[R3_SERVER_NAME_MAX + 32];

	/* whoever reads the console must not find an earlier life's words */
	snprintf(path, sizeof(path), "log/%s.console.log", u->name);
	unlinkat(u->sup->dir, path, 0);
	u->pid = sup_spawn(u->sup, &c, &u->pidfd);
	return u->pid < 0 ? (int)u->pid : 0;
}
