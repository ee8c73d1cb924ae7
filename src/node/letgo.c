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
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "sup.h"

#define CLOSERS_MAX 16 /* that wait at a time */
#define LATE_MAX    64 /* fds that wait for one; what comes then stays open */

static pid_t closers[CLOSERS_MAX]; /* 0: none */
static int late[LATE_MAX];
static unsigned late_count;

/* Closing these is a matter of this machine's memory. */
static bool is_quiet(int fd)
{
	return r3_is_eventfd(fd) || r3_is_memory(fd);
}

static int option(int fd, int what)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, what, &value, &len) ? -1 : value;
}

/* A connection with nothing in it, and nothing to come: a client that left. */
static bool is_over(int fd)
{
	int unread;

	return option(fd, SO_DOMAIN) == AF_UNIX &&
	       option(fd, SO_TYPE) == SOCK_STREAM &&
	       !option(fd, SO_ACCEPTCONN) && !shutdown(fd, SHUT_RDWR) &&
	       !ioctl(fd, FIONREAD, &unread) && !unread;
}

bool sup_may_keep(int fd)
{
	return is_quiet(fd) || option(fd, SO_TYPE) >= 0;
}

/* False: all of them wait. */
static bool close_elsewhere(int fd)
{
	struct clone_args args = { .flags = CLONE_FILES };
	pid_t pid, *place = closers;

	while (place < closers + CLOSERS_MAX && *place)
		place++;
	if (place == closers + CLOSERS_MAX)
		return false;
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
	return true;
}

/* __WCLONE: they send no signal when they end, all other children do. */
void sup_reap_closers(void)
{
	for (unsigned i = 0; i < CLOSERS_MAX; i++) {
		if (closers[i] &&
		    waitpid(closers[i], NULL, WNOHANG | __WCLONE))
			closers[i] = 0;
	}
	while (late_count && close_elsewhere(late[late_count - 1]))
		late_count--;
}

void sup_let_go(const struct sup_server *s, int fd)
{
	if (is_quiet(fd) || is_over(fd)) {
		close(fd);
		return;
	}
	sup_reap_closers();
	if (close_elsewhere(fd))
		return;
	if (late_count < LATE_MAX)
		late[late_count++] = fd;
	else
		r3_log(R3_ERROR, "node", s->unit.name, "an fd stays open, as "
		       "those that it handed over before can't be closed; "
		       "look for a file server that does not answer");
}
