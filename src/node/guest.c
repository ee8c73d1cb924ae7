// SPDX-License-Identifier: GPL-2.0-or-later
/* guest.c - a guest's process: QEMU, a peer that is not one of our servers */
#include "sup.h"

int sup_guest_spawn(struct sup_guest *g)
{
	struct sup_unit *u = &g->unit;
	struct sup_child c = { .name = u->name, .log = u->log, .exe = -1,
			       .control = -1, .argv = g->plan->args };

	u->pid = sup_spawn(u->sup, &c, &u->pidfd);
	return u->pid < 0 ? (int)u->pid : 0;
}
