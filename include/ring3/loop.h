/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - one event loop for each process: fds, timers, spinning
 *
 * Watches, timers and pollers live in the caller's memory and must stay there
 * until removed.  A callback may remove any watch, its own included, and add
 * others.  A child's death is a watch on its pidfd.  One thread only.
 */
#ifndef RING3_LOOP_H
#define RING3_LOOP_H

#include "ring3/base.h"

struct r3_loop;

struct r3_watch {
	int fd;
	/* @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
};

struct r3_timer {
	uint64_t at_ns; /* when it is, or was, due */
	void (*fn)(void *arg);
	void *arg;
	struct r3_timer *next, *prev; /* next == NULL: not armed */
};

/*
 * A source of work that is looked at between sleeps, so that a busy channel
 * costs no system call.  The loop calls poll() of each poller again and again
 * as long as one of them found work, and spin_us longer; then it calls arm()
 * of each and sleeps only if none says that work has come meanwhile.
 */
struct r3_poller {
	/* Do what is there, bounded; return how much was done. */
	unsigned (*poll)(void *arg);
	/* Ask the other side to wake us, then look again: true = must not
	 * sleep.  Called once before each sleep. */
	bool (*arm)(void *arg);
	/* After the sleep: wake-ups are no longer needed.  May be NULL. */
	void (*disarm)(void *arg);
	void *arg;
	struct r3_poller *next;
};

int r3_loop_open(struct r3_loop **out);
void r3_loop_close(struct r3_loop *loop);

/**
 * r3_loop_watch() - call @fn when @fd is ready
 * @w:	    zeroed before its first use; untouched on failure
 * @events: EPOLLIN and so on, level triggered
 * Return: 0 or what epoll_ctl() said (-EEXIST: @fd is watched already).
 */
int r3_loop_watch(struct r3_loop *loop, struct r3_watch *w, int fd,
		  uint32_t events, void (*fn)(void *arg, uint32_t events),
		  void *arg);
int r3_loop_rewatch(struct r3_loop *loop, struct r3_watch *w, uint32_t events);
/* Before the fd is closed.  Events already fetched for it are dropped. */
void r3_loop_unwatch(struct r3_loop *loop, struct r3_watch *w);

/**
 * r3_drain() - take what is in an eventfd that others hold as well
 * Never blocks, whatever they did to it meanwhile.
 * Return: 0, also when it was empty; -EPIPE or what read said when it is none.
 */
int r3_drain(int fd);

/**
 * r3_notify() - add 1 to an eventfd that others hold as well
 * Never blocks, whatever they did to it meanwhile (on a kernel without io_uring
 * a peer can win a race and block us).  One thread only.  In a sandbox it needs
 * the calls R3_NOTIFY_CALLS, and r3_notify_init() before.
 * Return: 0, also when it was full; -EINVAL (no eventfd), -EBADF.
 */
int r3_notify(int fd);
#define R3_NOTIFY_CALLS "io_uring_enter io_uring_register"

/* Close an fd that r3_notify() was called with: it remembers the last one. */
void r3_notify_close(int fd);

/* Is it one?  Takes nothing out of it, and asks nobody else: not even fstat()
 * is safe for an fd that a peer gave, whose file system it may be (FUSE). */
bool r3_is_eventfd(int fd);

/* What the two need of the kernel: else made at their first call. */
void r3_notify_init(void);

/* (Re)arm @t to fire once, @in_ns from now.  The timer must be zeroed before
 * its first use. */
void r3_timer_set(struct r3_loop *loop, struct r3_timer *t, uint64_t in_ns,
		  void (*fn)(void *arg), void *arg);
void r3_timer_cancel(struct r3_timer *t);

/* Spinning is bounded: at most @us microseconds without work, 0 = none. */
void r3_loop_spin(struct r3_loop *loop, unsigned us);
/* A poller that serves one side by means of another says at the end of poll()
 * whose turn it is: spinning learns for each whether it answers from another
 * processor or has to be given ours.  To others ours is given at once: who was
 * woken from sleep, and when several may have something for us, as then it is
 * not known for whom waiting pays.  R3_LOOP_CLIENT when nobody says. */
enum r3_loop_peer { R3_LOOP_CLIENT, R3_LOOP_DEVICE, R3_LOOP_OTHERS };
void r3_loop_turn(struct r3_loop *loop, enum r3_loop_peer peer);
/* From within a poll() only that one poller may be taken away. */
void r3_loop_add_poller(struct r3_loop *loop, struct r3_poller *p);
void r3_loop_del_poller(struct r3_loop *loop, struct r3_poller *p);

/* Run until r3_loop_stop(); returns its @code, or what epoll_wait() said. */
int r3_loop_run(struct r3_loop *loop);
/* One round: poll, sleep at most @timeout_ms (-1: until something happens),
 * dispatch. */
int r3_loop_once(struct r3_loop *loop, int timeout_ms);
void r3_loop_stop(struct r3_loop *loop, int code);

#endif
