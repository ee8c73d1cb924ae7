// SPDX-License-Identifier: GPL-2.0-or-later
/* loop.c - the event loop: epoll, a list of timers, pollers between sleeps */
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring3/loop.h"

#define LOOP_EVENTS 64 /* fetched at once */
#define HOLD_NS	    3000 /* a peer that runs answers sooner, mostly */
#define HOLD_SKIP   255	 /* at most; then holding is tried again */

/*
 * A process that looks for work in vain gives its processor away, for whom it
 * waits may need it: sched_yield().  Each time costs a change of address space,
 * twice, and a peer that runs on another processor has often answered by then;
 * so it is kept a little first.  Where the peer waits for this same processor
 * that is time lost: how the last waits for that peer went tells.
 */
struct hold {
	unsigned skip; /* so many waits begin with a yield */
	unsigned penalty;
};

struct r3_loop {
	int epfd;
	struct r3_timer timers; /* ring, soonest first */
	struct r3_poller *pollers;
	uint64_t spin_ns;
	struct hold hold[R3_LOOP_OTHERS];
	struct hold *held; /* it holds the processor now, for its peer */
	uint64_t held_until;
	enum r3_loop_peer peer; /* whose turn it is */
	struct epoll_event events[LOOP_EVENTS];
	int count, at; /* events fetched; the one being dispatched */
	bool stop;
	int code;
};

int r3_loop_open(struct r3_loop **out)
{
	struct r3_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		free(loop);
		return -errno;
	}
	loop->timers.next = loop->timers.prev = &loop->timers;
	*out = loop;
	return 0;
}

void r3_loop_close(struct r3_loop *loop)
{
	if (!loop)
		return;
	while (loop->timers.next != &loop->timers)
		r3_timer_cancel(loop->timers.next);
	close(loop->epfd);
	free(loop);
}

int r3_loop_watch(struct r3_loop *loop, struct r3_watch *w, int fd,
		  uint32_t events, void (*fn)(void *arg, uint32_t events),
		  void *arg)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev))
		return -errno;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	return 0;
}

int r3_loop_rewatch(struct r3_loop *loop, struct r3_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_MOD, w->fd, &ev))
		return -errno;
	return 0;
}

void r3_loop_unwatch(struct r3_loop *loop, struct r3_watch *w)
{
	if (!w->fn)
		return;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = loop->at + 1; i < loop->count; i++) {
		if (loop->events[i].data.ptr == w)
			loop->events[i].data.ptr = NULL;
	}
	w->fn = NULL;
	w->fd = -1;
}

int r3_drain(int fd)
{
	uint64_t n;
	struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };
	ssize_t got = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return got ? 0 : -EPIPE; /* a pipe at its end wakes us for ever */
}

void r3_timer_set(struct r3_loop *loop, struct r3_timer *t, uint64_t in_ns,
		  void (*fn)(void *arg), void *arg)
{
	struct r3_timer *p;

	r3_timer_cancel(t);
	t->fn = fn;
	t->arg = arg;
	if (!r3_add(r3_now_ns(), in_ns, &t->at_ns))
		t->at_ns = UINT64_MAX;
	for (p = loop->timers.prev; p != &loop->timers; p = p->prev) {
		if (p->at_ns <= t->at_ns)
			break;
	}
	t->prev = p;
	t->next = p->next;
	p->next->prev = t;
	p->next = t;
}

void r3_timer_cancel(struct r3_timer *t)
{
	if (!t->next)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->next = t->prev = NULL;
}

void r3_loop_spin(struct r3_loop *loop, unsigned us)
{
	loop->spin_ns = us * R3_NS_PER_US;
}

void r3_loop_turn(struct r3_loop *loop, enum r3_loop_peer peer)
{
	loop->peer = peer;
}

void r3_loop_add_poller(struct r3_loop *loop, struct r3_poller *p)
{
	p->next = loop->pollers;
	loop->pollers = p;
}

void r3_loop_del_poller(struct r3_loop *loop, struct r3_poller *p)
{
	struct r3_poller **at;

	for (at = &loop->pollers; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
}

static unsigned poll_all(struct r3_loop *loop)
{
	struct r3_poller *p, *next;
	unsigned done = 0;

	for (p = loop->pollers; p; p = next) {
		next = p->next;
		done += p->poll(p->arg);
	}
	return done;
}

/* How long may epoll_wait() sleep?  Milliseconds, rounded up. */
static int timeout_of(const struct r3_loop *loop, int limit_ms)
{
	const struct r3_timer *t = loop->timers.next;
	uint64_t now, ms;

	if (t == &loop->timers)
		return limit_ms;
	now = r3_now_ns();
	if (t->at_ns <= now)
		return 0;
	ms = r3_min((t->at_ns - now + R3_NS_PER_MS - 1) / R3_NS_PER_MS,
		    INT32_MAX);
	return limit_ms >= 0 && (uint64_t)limit_ms < ms ? limit_ms : (int)ms;
}

static void run_timers(struct r3_loop *loop)
{
	uint64_t now;

	if (loop->timers.next == &loop->timers)
		return;
	now = r3_now_ns();
	while (loop->timers.next != &loop->timers &&
	       loop->timers.next->at_ns <= now) {
		struct r3_timer *t = loop->timers.next;

		r3_timer_cancel(t);
		t->fn(t->arg);
	}
}

static int wait_and_dispatch(struct r3_loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epfd, loop->events, LOOP_EVENTS, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->count = n;
	for (loop->at = 0; loop->at < n; loop->at++) {
		struct r3_watch *w = loop->events[loop->at].data.ptr;

		if (w && w->fn)
			w->fn(w->arg, loop->events[loop->at].events);
	}
	loop->count = loop->at = 0;
	return 0;
}

/* True: there was work, or there is, so don't sleep. */
static bool arm_all(struct r3_loop *loop)
{
	bool pending = false;

	for (struct r3_poller *p = loop->pollers; p; p = p->next)
		pending |= p->arm(p->arg);
	return pending;
}

static void disarm_all(struct r3_loop *loop)
{
	for (struct r3_poller *p = loop->pollers; p; p = p->next) {
		if (p->disarm)
			p->disarm(p->arg);
	}
}

static void hold_begin(struct r3_loop *loop, uint64_t now)
{
	struct hold *h;

	if (loop->peer == R3_LOOP_OTHERS)
		return;
	h = &loop->hold[loop->peer];
	if (h->skip) {
		h->skip--;
		return;
	}
	loop->held = h;
	loop->held_until = now + HOLD_NS;
}

static void hold_end(struct r3_loop *loop, bool paid)
{
	struct hold *h = loop->held;

	if (!h)
		return;
	loop->held = NULL;
	if (paid) {
		h->penalty /= 2;
		return;
	}
	h->penalty = r3_min(2 * h->penalty + 1, HOLD_SKIP);
	h->skip = h->penalty;
}

/* Nothing to do, for the first time or again. */
static void stand_by(struct r3_loop *loop, bool first, uint64_t now)
{
	if (first)
		hold_begin(loop, now);
	if (loop->held && now < loop->held_until)
		return;
	hold_end(loop, false);
	sched_yield();
}

/*
 * Poll while there is work and a little longer; look at the fds now and then
 * all the same, so that a busy channel does not starve the control plane.
 */
static int spin(struct r3_loop *loop)
{
	uint64_t now = r3_now_ns(), until = now + loop->spin_ns;
	uint64_t look = now + R3_NS_PER_MS;
	bool worked = true, before;

	for (;;) {
		before = worked;
		worked = poll_all(loop) != 0;
		if (loop->stop)
			return 0;
		if (!worked && !loop->spin_ns)
			return 0;
		now = r3_now_ns();
		if (worked) {
			until = now + loop->spin_ns;
			hold_end(loop, true);
		} else if (now >= until) {
			hold_end(loop, false);
			return 0;
		} else {
			stand_by(loop, before, now);
		}
		if (now >= look) {
			int err = wait_and_dispatch(loop, 0);

			if (err)
				return err;
			run_timers(loop);
			look = now + R3_NS_PER_MS;
		}
	}
}

int r3_loop_once(struct r3_loop *loop, int timeout_ms)
{
	int err = 0;

	if (loop->pollers) {
		err = spin(loop);
		if (err || loop->stop)
			return err;
		if (arm_all(loop))
			timeout_ms = 0;
	}
	err = wait_and_dispatch(loop, timeout_of(loop, timeout_ms));
	disarm_all(loop);
	run_timers(loop);
	return err;
}

int r3_loop_run(struct r3_loop *loop)
{
	int err = 0;

	loop->stop = false;
	while (!loop->stop && !err)
		err = r3_loop_once(loop, -1);
	return err ? err : loop->code;
}

void r3_loop_stop(struct r3_loop *loop, int code)
{
	loop->stop = true;
	loop->code = code;
}
