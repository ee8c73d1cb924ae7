// SPDX-License-Identifier: GPL-2.0-or-later
/* guard.c - survive that a peer truncates the memory that it shares with us */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring3/mem.h"

static struct r3_guard *guards; /* at most one for each mapped region */

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (r3_guard_fault(info->si_addr))
		return;
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	raise(signal);
}

/* A server has a handler of its own, which asks r3_guard_fault() first. */
static void need_handler(void)
{
	struct sigaction sa;

	if (sigaction(SIGBUS, NULL, &sa) || sa.sa_flags & SA_SIGINFO ||
	    sa.sa_handler != SIG_DFL)
		return;
	sa = (struct sigaction){ .sa_sigaction = on_sigbus,
				 .sa_flags = SA_SIGINFO };
	sigaction(SIGBUS, &sa, NULL);
}

void r3_guard_add(struct r3_guard *g, void *addr, size_t len, int wake_fd)
{
	*g = (struct r3_guard){ .addr = addr, .len = len, .wake_fd = wake_fd,
				.next = guards };
	need_handler();
	guards = g;
}

void r3_guard_del(struct r3_guard *g)
{
	struct r3_guard **at;

	if (!g->addr)
		return;
	for (at = &guards; *at; at = &(*at)->next) {
		if (*at == g) {
			*at = g->next;
			break;
		}
	}
	g->addr = NULL;
}

/* Async-signal-safe: system calls only. */
bool r3_guard_fault(void *addr)
{
	uint64_t one = 1;
	struct r3_guard *g;
	int err = errno;

	for (g = guards; g; g = g->next) {
		if ((uintptr_t)addr - (uintptr_t)g->addr < g->len)
			break;
	}
	if (!g || g->hit ||
	    mmap(g->addr, g->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		return false;
	g->hit = true;
	if (g->wake_fd >= 0 && write(g->wake_fd, &one, sizeof(one)) < 0)
		errno = err; /* the counter is full: awake already */
	errno = err;
	return true;
}
