// SPDX-License-Identifier: GPL-2.0-or-later
/* rundir.c - where a node's files and its programs are */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/node.h"

int r3_node_rundir(const char *name, char *out, size_t room)
{
	const char *base = getenv("R3_RUNDIR");
	const char *mid = "";
	int n;

	if (!base || !*base) {
		base = geteuid() ? getenv("XDG_RUNTIME_DIR") : "/run";
		mid = "/ring3";
	}
	if (!base || *base != '/')
		return -ENOENT;
	n = snprintf(out, room, "%s%s%s%s", base, mid, *name ? "/" : "", name);
	return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

/* Beside the command, as in a build folder, or where they are installed. */
int r3_node_libexec(char *out, size_t room)
{
	const char *env = getenv("R3_LIBEXEC");
	char exe[R3_NODE_PATH_MAX], *slash;
	ssize_t len;
	int n;

	if (env && *env == '/') {
		n = snprintf(out, room, "%s", env);
		return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
	}
	len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (len < 0)
		return -errno;
	exe[len] = 0;
	slash = strrchr(exe, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	n = snprintf(out, room, "%s/ring3-supervisor", exe);
	if (n > 0 && (size_t)n < room && !access(out, X_OK)) {
		*strrchr(out, '/') = 0;
		return 0;
	}
	n = snprintf(out, room, "%s", R3_LIBEXECDIR);
	return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}
