// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server_fault.c - a dying server leaves a note in its kept page
 *
 * Only its own faults count: a signal that another process sent (si_code <= 0)
 * says nothing about the requests that were in flight.
 */
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "ring3/mem.h"
#include "server_priv.h"

static struct r3_server_page *fault_page;

/* A stack of its own: the fault may be that the other one is full.  The frame
 * with all vector registers takes up to 12 KiB. */
static uint8_t fault_stack[64 * 1024] __attribute__((aligned(16)));

static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL,
				     SIGFPE,  SIGABRT, SIGSYS };

/* Frame pointers, as far as they lead upwards within 64 KiB of stack. */
static void walk(uint64_t *trace, size_t max, uint64_t frame, uint64_t sp)
{
	uint64_t end = sp + 64 * 1024;

	for (size_t i = 0; i < max; i++) {
		const uint64_t *f = (const uint64_t *)frame;

		if (frame < sp || frame > end - 16 || frame % 8)
			return;
		trace[i] = f[1];
		sp = frame + 16;
		frame = f[0];
	}
}

static void note_fault(struct r3_crash *c, const siginfo_t *info,
		       const ucontext_t *uc)
{
	c->code = info->si_code;
	c->addr = (uint64_t)(uintptr_t)info->si_addr;
	if (info->si_signo == SIGSYS)
		c->call = info->si_syscall;
#ifdef __x86_64__
	c->ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	walk(c->trace, R3_COUNT(c->trace),
	     (uint64_t)uc->uc_mcontext.gregs[REG_RBP],
	     (uint64_t)uc->uc_mcontext.gregs[REG_RSP]);
#else
	(void)uc;
	(void)walk;
#endif
}

static void note(int signal, siginfo_t *info, void *context)
{
	struct r3_crash *c = &fault_page->crash;
	bool own = info->si_code > 0 ||
		   (signal == SIGABRT && info->si_pid == getpid());

	if (signal == SIGBUS && r3_guard_fault(info->si_addr))
		return; /* a peer's doing, not ours */
	if (!c->signal) {
		c->signal = signal;
		if (own) {
			c->valid = 1; /* first: the walk may fault as well */
			note_fault(c, info, context);
		}
	}
	/* The first process of a pid namespace gets no default action for
	 * what it sends itself: go by the shell's convention. */
	if (getpid() == 1)
		_exit(128 + signal);
	/* the same signal again ends the process; SIGBUS has no SA_RESETHAND */
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	raise(signal);
}

/* NULL: catch none any more. */
void server_catch_faults(struct r3_server_page *page)
{
	struct sigaction sa = { .sa_sigaction = note,
				.sa_flags = SA_SIGINFO | SA_RESETHAND |
					    SA_ONSTACK };
	stack_t stack = { .ss_sp = fault_stack,
			  .ss_size = sizeof(fault_stack) };

	if (!page)
		sa = (struct sigaction){ .sa_handler = SIG_DFL };
	fault_page = page;
	if (page)
		sigaltstack(&stack, NULL);
	for (unsigned i = 0; i < R3_COUNT(fault_signals); i++)
		sigaction(fault_signals[i], &sa, NULL);
	/* survives as often as peers truncate their memory */
	sa.sa_flags &= ~SA_RESETHAND;
	sigaction(SIGBUS, &sa, NULL);
}
