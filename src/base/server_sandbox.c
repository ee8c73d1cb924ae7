// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server_sandbox.c - what a server gives up before it says READY
 *
 * Its supervisor has already taken away the file system, the namespaces, the
 * capabilities and the environment (src/node/child.c).  Here go the rest of
 * the kernel: new executable memory, the file system and the network once
 * more (landlock, should a namespace leak), and all system calls but a list.
 */
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/server.h"

#define WORDS_MAX 64 /* system calls in a spec's list */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* What every server needs once it runs.  Those with arguments to check are
 * in restricted[]. */
static const char *const base_calls[] = {
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv",
	"pwritev", "preadv2", "pwritev2", "lseek", "close", "fstat",
	"fstatfs", "newfstatat", "ftruncate", "memfd_create", "dup", "eventfd2", "pipe2",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"epoll_pwait2", "poll", "ppoll", "timerfd_create", "timerfd_settime",
	"signalfd4", "recvmsg", "sendmsg", "recvfrom", "sendto", "recvmmsg",
	"sendmmsg", "accept4", "shutdown", "getsockopt", "setsockopt",
	"socketpair", "munmap", "mremap", "madvise", "brk", "msync",
	"futex", "sched_yield", "rseq", "membarrier", "getpid", "gettid",
	"exit", "exit_group", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "sigaltstack", "restart_syscall", "clock_gettime",
	"clock_nanosleep", "nanosleep", "gettimeofday", "getrandom",
	"getrusage", "sysinfo",
};

/* The structure of the newest kernel; older ones take less of it. */
struct landlock_all {
	uint64_t fs, net, scope;
};

static int landlock_nothing(void)
{
	struct landlock_all all = { .fs = 0x1fff };
	size_t size = 8;
	int abi, fd, err = 0;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return -EOPNOTSUPP;
	if (abi >= 2)
		all.fs |= 1 << 13; /* refer */
	if (abi >= 3)
		all.fs |= 1 << 14; /* truncate */
	if (abi >= 5)
		all.fs |= 1 << 15; /* ioctl on devices opened from now on */
	if (abi >= 4) {
		all.net = 3; /* TCP bind, connect */
		size = 16;
	}
	if (abi >= 6) {
		all.scope = 3; /* abstract unix sockets, signals */
		size = 24;
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, fd, 0))
		err = -errno;
	close(fd);
	return err;
}

static int allow(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	int err;

	if (nr == __NR_SCMP_ERROR)
		return -ENOSYS;
	err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	/* not a call of this machine: nothing to allow */
	return err == -EDOM ? 0 : err;
}

static int allow_ioctl_type(scmp_filter_ctx ctx, const char *type)
{
	uint64_t n;

	if (r3_parse_uint(type, &n) || n > 0xff)
		return -EINVAL;
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, n << 8));
}

static int allow_restricted(scmp_filter_ctx ctx)
{
	static const unsigned fcntls[] = { F_DUPFD_CLOEXEC, F_GETFD, F_SETFD,
					   F_GETFL, F_SETFL, F_ADD_SEALS,
					   F_GET_SEALS };
	int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
				       1, SCMP_A2(SCMP_CMP_MASKED_EQ,
						  PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
				       1, SCMP_A0(SCMP_CMP_EQ,
						  (unsigned)getpid(), 0));
	for (unsigned i = 0; i < R3_COUNT(fcntls) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, fcntls[i], 0));
	return err;
}

static int allow_list(scmp_filter_ctx ctx, const char *calls)
{
	char word[64];
	int err = 0;

	for (unsigned i = 0; *calls && i < WORDS_MAX && !err; i++) {
		size_t len = strcspn(calls, " ");

		if (len >= sizeof(word))
			return -EINVAL;
		memcpy(word, calls, len);
		word[len] = 0;
		calls += len;
		calls += strspn(calls, " ");
		if (!strncmp(word, "ioctl:", 6))
			err = allow_ioctl_type(ctx, word + 6);
		else if (*word)
			err = allow(ctx, word);
	}
	return err;
}

/* A refused call is a SIGSYS, so that the fault handler can name it. */
static int seccomp_list(const char *calls)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < R3_COUNT(base_calls) && !err; i++)
		err = allow(ctx, base_calls[i]);
	if (!err)
		err = allow_restricted(ctx);
	if (!err && calls)
		err = allow_list(ctx, calls);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int r3_sandbox(const char *name, const char *calls)
{
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	err = landlock_nothing();
	if (err)
		r3_log(R3_WARN, "server", name, "no landlock here (%s); the "
		       "namespaces and the system call list remain",
		       strerror(-err));
	if (SANITIZED)
		return 0;
	/* kernels before 6.3 don't have it: mmap is on the list all the same */
	prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	err = seccomp_list(calls);
	if (err)
		r3_log(R3_ERROR, "server", name, "the system call list "
		       "could not be set: %s; is CONFIG_SECCOMP_FILTER on?",
		       strerror(-err));
	return err;
}
