/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * life.h - a server's life as its supervisor sees it
 *
 *            START              READY
 *	DOWN -------> STARTING ---------> UP
 *	 ^              |   ^              |
 *	 |         DIED |   | DUE          | DIED
 *	 |              v   |              v
 *	 |            (at once, or) WAITING (back-off)
 *	 |                    |
 *	 |                    +--too many quick deaths--> FAILED --START-->
 *	 |
 *	 +--DIED-- STOPPING <--STOP-- any state with a process
 *
 * HUNG (no heartbeat, or not ready in time) kills: ENDING waits for the death
 * and then goes on as for any other.  RESTART asks with SIGTERM first.
 *
 * Pure: no clock, no process.  The caller does what the step returns.
 */
#ifndef NODE_LIFE_H
#define NODE_LIFE_H

#include "ring3/server.h"

enum life_state {
	LIFE_DOWN,     /* no process, none wanted */
	LIFE_STARTING, /* forked, not READY yet */
	LIFE_UP,
	LIFE_ENDING,   /* killed or asked to end; starts again after that */
	LIFE_WAITING,  /* back-off before the next start */
	LIFE_STOPPING, /* asked to end; stays down after that */
	LIFE_FAILED,   /* given up: too many quick deaths */
	LIFE_STATES
};

enum life_event {
	LIFE_START,
	LIFE_READY,
	LIFE_DIED,
	LIFE_HUNG,    /* missed its heartbeat, or its time to get ready */
	LIFE_DUE,     /* the timer that a step had asked for */
	LIFE_STOP,
	LIFE_RESTART,
	LIFE_EVENTS
};

enum life_action {
	LIFE_NOTHING,
	LIFE_SPAWN,  /* fork; watch for hangs */
	LIFE_KILL,   /* SIGKILL */
	LIFE_ASK,    /* SIGTERM now, SIGKILL at DUE in delay_ms */
	LIFE_DELAY,  /* call with DUE in delay_ms */
	LIFE_GIVE_UP,
	LIFE_REVIVE, /* in the table only: SPAWN, DELAY or GIVE_UP */
	LIFE_IGNORE, /* in the table only: this may not happen here */
};

struct life {
	enum life_state state;
	enum r3_after after;	/* how the last life ended */
	bool hung;		/* it is being killed for a hang */
	bool asked;		/* it ends because somebody wanted that */
	uint64_t born_ns;	/* of this life */
	uint64_t ready_ns;	/* 0: not yet */
	unsigned quick;		/* quick deaths in a row */
	unsigned unready;	/* killed before it was ready, in a row */
	unsigned limit;		/* that many of them are too many */
	uint64_t burst_ns;	/* start of the second now counted */
	unsigned burst;		/* deaths in it */
};

#define LIFE_SETTLED_MS	   1000 /* who lived this long is in no crash loop */
#define LIFE_DELAY_MIN_MS  10
#define LIFE_DELAY_MAX_MS  5000
#define LIFE_BURST_MAX	   200 /* restarts in one second, whatever the cause */
#define LIFE_BURST_MS	   20  /* delay of those beyond */
#define LIFE_ASK_MS	   2000 /* from SIGTERM to SIGKILL */

/**
 * life_step() - one event
 * @now_ns: monotonic
 * @delay_ms: written for LIFE_ASK and LIFE_DELAY
 * For LIFE_DIED set life->after first.
 */
enum life_action life_step(struct life *life, enum life_event event,
			   uint64_t now_ns, unsigned *delay_ms);

const char *life_state_name(enum life_state state);
bool life_has_process(const struct life *life);

#endif
