// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fence.c - a dead driver's device is quieted before anything else happens
 *
 * A reset may take its 100 ms and a broken device much longer, so a process of
 * its own does it: other servers' restarts don't wait for it.
 */
#include <sched.h>
#include <signal.h>
#include <linux/sched.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

static bool has_device(const struct sup_server *s)
{
	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		if (s->plan->opts[i].kind == R3_NODE_PCI)
			return true;
	}
	return false;
}

/* Before anything that the device could write to is used again. */
static bool fence_all(const struct sup_server *s)
{
	bool fine = true;

	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		int err;

		if (s->plan->opts[i].kind != R3_NODE_PCI)
			continue;
		err = r3_vfio_fence(&s->vfio[i]);
		if (!err || err == -EOPNOTSUPP)
			continue;
		fine = false;
		r3_log(R3_ERROR, "node", s->unit.name, "%s can't be reset: "
		       "%s; the server stays down, power-cycle the device",
		       s->plan->opts[i].value, strerror(-err));
	}
	return fine;
}

static void fenced(void *arg, uint32_t events)
{
	struct sup_server *s = arg;
	siginfo_t si = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)s->fence_pidfd, &si, WEXITED | WNOHANG) ||
	    !si.si_pid)
		return;
	r3_loop_unwatch(s->unit.sup->loop, &s->fence_watch);
	close(s->fence_pidfd);
	if (si.si_code != CLD_EXITED || si.si_status)
		s->fence_failed = true;
	s->fenced(s);
}

void sup_fence(struct sup_server *s, void (*then)(struct sup_server *s))
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&s->fence_pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	s->fenced = then;
	if (!has_device(s)) {
		then(s);
		return;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(!fence_all(s));
	if (pid > 0 && !r3_loop_watch(s->unit.sup->loop, &s->fence_watch,
				      s->fence_pidfd, EPOLLIN, fenced, s))
		return;
	/* no process to be had: then everybody waits */
	if (pid > 0)
		close(s->fence_pidfd);
	s->fence_failed = !fence_all(s);
	then(s);
}
