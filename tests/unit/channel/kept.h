/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kept.h - what a supervisor keeps for a back end, kept by the test itself */
#ifndef TEST_CHANNEL_KEPT_H
#define TEST_CHANNEL_KEPT_H

#include <stdio.h>
#include <unistd.h>

#include "ring3/vhost_user.h"

#define KEPT_MAX 48 /* fds at once */

static struct kept {
	char name[64];
	int fd;
} kept[KEPT_MAX];
static uint8_t page[R3_VUB_PAGE_LEN] __attribute__((aligned(8)));

static void drop_fd(void *arg, const char *name)
{
	(void)arg;
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		if (kept[i].name[0] && !strcmp(kept[i].name, name)) {
			close(kept[i].fd);
			kept[i].name[0] = 0;
		}
	}
}

static int keep_fd(void *arg, const char *name, int fd)
{
	drop_fd(arg, name);
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		if (kept[i].name[0])
			continue;
		snprintf(kept[i].name, sizeof(kept[i].name), "%s", name);
		kept[i].fd = dup(fd);
		return 0;
	}
	return -ENOSPC;
}

static int kept_fd(void *arg, const char *name)
{
	(void)arg;
	for (unsigned i = 0; i < KEPT_MAX; i++) {
		if (kept[i].name[0] && !strcmp(kept[i].name, name))
			return dup(kept[i].fd);
	}
	return -1;
}

static const struct r3_vub_keeper keeper = {
	.keep_fd = keep_fd, .drop_fd = drop_fd, .kept_fd = kept_fd,
	.page = page, .prefix = "client0",
};

#endif
