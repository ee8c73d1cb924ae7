// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * child.c - from fork to exec: a process that has nothing
 *
 * Between the two only system calls are made.  What fails is written to the
 * child's log, and ends it with 126.  The rest of the sandbox is the server's
 * own doing (src/base/server_sandbox.c), when it is ready.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

#define NOBODY 65534
#define CHILD_FAILED 126

/* Its fds while it is being made; above those that it will have. */
enum { FD_EXE = 4, FD_MNT, FD_NET, FD_SPARE };

#if defined(__SANITIZE_ADDRESS__)
#define DYNAMIC 1 /* the loader needs the root */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DYNAMIC 1
#endif
#endif
#ifndef DYNAMIC
#define DYNAMIC 0
#endif

static _Noreturn void fail(const char *name, const char *what)
{
	r3_log(R3_ERROR, "node", name, "could not be started: %s: %m", what);
	_exit(CHILD_FAILED);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++) {
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First out of the way of the numbers wanted, then to them. */
static void place_fds(const struct sup *sup, const struct sup_child *c)
{
	int want[FD_SPARE] = { sup->null, sup->null, c->log, c->control,
			       c->exe, sup->mnt, sup->net };

	for (int i = 0; i < FD_SPARE; i++) {
		if (want[i] < 0)
			continue;
		want[i] = fcntl(want[i], F_DUPFD, 64);
		if (want[i] < 0)
			fail(c->name, "F_DUPFD");
	}
	for (int i = 0; i < FD_SPARE; i++) {
		if (want[i] < 0)
			close(i);
		else if (dup3(want[i], i, i >= FD_EXE ? O_CLOEXEC : 0) < 0)
			fail(c->name, "dup3");
	}
	if (syscall(SYS_close_range, FD_SPARE, ~0u, 0))
		fail(c->name, "close_range");
}

static void limit(int what, rlim_t n)
{
	struct rlimit r;

	if (getrlimit(what, &r))
		return;
	if (r.rlim_max == RLIM_INFINITY || r.rlim_max > n)
		r.rlim_max = n;
	r.rlim_cur = r.rlim_max;
	setrlimit(what, &r);
}

static void limits(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, 4096);
	/* a guest's memory is pinned for a device, if that is allowed */
	if (setrlimit(RLIMIT_MEMLOCK, &all))
		limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
}

static void drop_capabilities(const char *name)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct none[2] = { 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno == EINVAL)
			break; /* past the last one */
	}
	if (syscall(SYS_capset, &head, none))
		fail(name, "capset");
}

static void leave_the_world(const struct sup *sup, const char *name)
{
	if (!sup->namespaces)
		return;
	if (setns(FD_NET, CLONE_NEWNET))
		fail(name, "setns(net)");
	if (!DYNAMIC && setns(FD_MNT, CLONE_NEWNS))
		fail(name, "setns(mnt)");
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS))
		fail(name, "unshare");
	if (sethostname(name, strlen(name)))
		fail(name, "sethostname");
}

static void become_nobody(const struct sup *sup, const char *name)
{
	/* root of a container may not know any other user */
	bool root = !geteuid() && (setgroups(0, NULL) ||
				   setresgid(NOBODY, NOBODY, NOBODY) ||
				   setresuid(NOBODY, NOBODY, NOBODY));
	/* a namespace without any user in it: either of the two will do */
	bool inside = sup->namespaces && !unshare(CLONE_NEWUSER);

	if (root && sup->namespaces && !inside)
		fail(name, "neither another user nor a user namespace");
	drop_capabilities(name);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail(name, "no_new_privs");
}

static _Noreturn void sandboxed(struct sup *sup, const struct sup_child *c)
{
	static char *const no_env[] = { NULL };

	place_fds(sup, c);
	limits();
	leave_the_world(sup, c->name);
	become_nobody(sup, c->name);
	/* last: a change of user clears it.  A supervisor that is dead by then
	 * has closed the socket that the server begins with. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		fail(c->name, "PDEATHSIG");
	syscall(SYS_execveat, FD_EXE, "", c->argv, no_env, AT_EMPTY_PATH);
	fail(c->name, "execveat");
}

/* A guest's QEMU: a peer, with the rights of whoever started the node. */
static _Noreturn void plain(struct sup *sup, const struct sup_child *c,
			    pid_t parent)
{
	static char *const path_only[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		"/sbin:/bin", NULL
	};

	if (dup2(sup->null, 0) < 0 || dup2(c->log, 1) < 0 ||
	    dup2(c->log, 2) < 0)
		fail(c->name, "dup2");
	limit(RLIMIT_CORE, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		fail(c->name, "PDEATHSIG");
	if (getppid() != parent)
		_exit(CHILD_FAILED); /* it died before that */
	execvpe(c->argv[0], c->argv, path_only);
	fail(c->name, c->argv[0]);
}

pid_t sup_spawn(struct sup *sup, const struct sup_child *c, int *pidfd)
{
	bool is_server = c->control >= 0;
	pid_t parent = getpid();
	int fd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD |
			 (is_server && sup->namespaces ? CLONE_NEWPID : 0),
		.pidfd = (uint64_t)(uintptr_t)&fd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (!pid) {
		reset_signals();
		/* Ctrl-C is for the supervisor alone.  Servers stay in its
		 * session: each session is a scheduling group of its own
		 * (sched(7), autogroup), and sched_yield() hands the processor
		 * on only within one. */
		if (is_server) {
			setpgid(0, 0);
			sandboxed(sup, c);
		}
		setsid();
		plain(sup, c, parent);
	}
	*pidfd = fd;
	return pid;
}
