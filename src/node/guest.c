// SPDX-License-Identifier: GPL-2.0-or-later
/* guest.c - a guest's process: QEMU, a peer that is not one of our servers */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "sup.h"

int sup_guest_spawn(struct sup_guest *g)
{
	struct sup_unit *u = &g->unit;
	struct sup_child c = { .name = u->name, .log = u->log, .exe = -1,
			       .control = -1, .argv = g->plan->args };

	/* whoever reads the console must not find an earlier life's words */
	snprintf(g->console_path, sizeof(g->console_path),
		 "log/%s.console.log", u->name);
	unlinkat(u->sup->dir, g->console_path, 0);
	if (g->console >= 0)
		close(g->console);
	g->console = openat(u->sup->dir, g->console_path,
			    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	u->pid = sup_spawn(u->sup, &c, &u->pidfd);
	return u->pid < 0 ? (int)u->pid : 0;
}
