// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * letgo.c - close what a server handed over, and never wait for it
 *
 * close() may wait: for whoever serves a FUSE file, for data that a socket with
 * SO_LINGER has still to send, or for such a one that lies unread in a unix
 * socket.  A client can give those to its server, and that one to us.  So a
 * process that shares our fds closes what is not known to be harmless; where
 * it waits, nobody waits with it.
 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "sup.h"

#define CLOSERS_MAX 16 /* that wait at a time; what comes then stays open */

static pid_t closers[CLOSERS_MAX]; /* 0: none */

/* Closing these is a matter of this machine's memory. */
static bool is_quiet(int fd)
{
	return r3_is_eventfd(fd) || r3_is_memory(fd);
}

bool sup_may_keep(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return is_quiet(fd) ||
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
}

/* __WCLONE: they send no signal when they end, all other children do. */
void sup_reap_closers(void)
{
	for (unsigned i = 0; i < CLOSERS_MAX; i++) {
		if (closers[i] &&
		    waitpid(closers[i], NULL, WNOHANG | __WCLONE))
			closers[i] = 0;
	}
}

static pid_t *free_closer(void)
{
	sup_reap_closers();
	for (unsigned i = 0; i < CLOSERS_MAX; i++) {
		if (!closers[i])
			return &closers[i];
	}
	return NULL;
}

void sup_let_go(const struct sup_server *s, int fd)
{
	struct clone_args args = { .flags = CLONE_FILES };
	pid_t pid, *place;

	if (is_quiet(fd)) {
		close(fd);
		return;
	}
	place = free_closer();
	if (!place) {
		r3_log(R3_ERROR, "node", s->unit.name, "an fd stays open: %d "
		       "that it handed over before can't be closed; look for "
		       "a file server that does not answer", CLOSERS_MAX);
		return;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		/* it shares the lock as well */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd);
		_exit(0);
	}
	if (pid > 0)
		*place = pid;
	else
		close(fd); /* no process to be had */
}
