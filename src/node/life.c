// SPDX-License-Identifier: GPL-2.0-or-later
/* life.c - a server's life: state x event -> state, action */
#include "life.h"

struct step {
	uint8_t next, action;
};

#define TO(state, action) { LIFE_##state, LIFE_##action }

/* What is not named stays in its state and does nothing: { DOWN, NOTHING }
 * is only reached on purpose, so every state lists what it ignores. */
static const struct step steps[LIFE_STATES][LIFE_EVENTS] = {
	[LIFE_DOWN] = {
		[LIFE_START] = TO(STARTING, SPAWN),
		[LIFE_READY] = TO(DOWN, IGNORE),
		[LIFE_DIED] = TO(DOWN, IGNORE),
		[LIFE_HUNG] = TO(DOWN, IGNORE),
		[LIFE_DUE] = TO(DOWN, IGNORE),
		[LIFE_STOP] = TO(DOWN, NOTHING),
		[LIFE_RESTART] = TO(STARTING, SPAWN),
	},
	[LIFE_STARTING] = {
		[LIFE_START] = TO(STARTING, NOTHING),
		[LIFE_READY] = TO(UP, NOTHING),
		[LIFE_DIED] = TO(STARTING, REVIVE),
		[LIFE_HUNG] = TO(ENDING, KILL),
		[LIFE_DUE] = TO(STARTING, IGNORE),
		[LIFE_STOP] = TO(STOPPING, ASK),
		[LIFE_RESTART] = TO(ENDING, ASK),
	},
	[LIFE_UP] = {
		[LIFE_START] = TO(UP, NOTHING),
		[LIFE_READY] = TO(UP, IGNORE),
		[LIFE_DIED] = TO(STARTING, REVIVE),
		[LIFE_HUNG] = TO(ENDING, KILL),
		[LIFE_DUE] = TO(UP, IGNORE),
		[LIFE_STOP] = TO(STOPPING, ASK),
		[LIFE_RESTART] = TO(ENDING, ASK),
	},
	[LIFE_ENDING] = {
		[LIFE_START] = TO(ENDING, NOTHING),
		[LIFE_READY] = TO(ENDING, IGNORE),
		[LIFE_DIED] = TO(STARTING, REVIVE),
		[LIFE_HUNG] = TO(ENDING, KILL),
		[LIFE_DUE] = TO(ENDING, KILL),
		[LIFE_STOP] = TO(STOPPING, ASK),
		[LIFE_RESTART] = TO(ENDING, NOTHING),
	},
	[LIFE_WAITING] = {
		[LIFE_START] = TO(STARTING, SPAWN),
		[LIFE_READY] = TO(WAITING, IGNORE),
		[LIFE_DIED] = TO(WAITING, IGNORE),
		[LIFE_HUNG] = TO(WAITING, IGNORE),
		[LIFE_DUE] = TO(STARTING, SPAWN),
		[LIFE_STOP] = TO(DOWN, NOTHING),
		[LIFE_RESTART] = TO(STARTING, SPAWN),
	},
	[LIFE_STOPPING] = {
		[LIFE_START] = TO(ENDING, NOTHING),
		[LIFE_READY] = TO(STOPPING, IGNORE),
		[LIFE_DIED] = TO(DOWN, NOTHING),
		[LIFE_HUNG] = TO(STOPPING, KILL),
		[LIFE_DUE] = TO(STOPPING, KILL),
		[LIFE_STOP] = TO(STOPPING, NOTHING),
		[LIFE_RESTART] = TO(ENDING, NOTHING),
	},
	[LIFE_FAILED] = {
		[LIFE_START] = TO(STARTING, SPAWN),
		[LIFE_READY] = TO(FAILED, IGNORE),
		[LIFE_DIED] = TO(FAILED, IGNORE),
		[LIFE_HUNG] = TO(FAILED, IGNORE),
		[LIFE_DUE] = TO(FAILED, IGNORE),
		[LIFE_STOP] = TO(DOWN, NOTHING),
		[LIFE_RESTART] = TO(STARTING, SPAWN),
	},
};

/* A death that says something against the server: it ended by its own doing
 * before it was ready, or soon after. */
static bool is_quick(const struct life *life, uint64_t now_ns)
{
	if (life->after == R3_AFTER_KILL)
		return false;
	return !life->ready_ns ||
	       now_ns - life->born_ns < LIFE_SETTLED_MS * R3_NS_PER_MS;
}

/* A kill(2) from outside does not; only a server that is killed every time
 * before it gets ready (too little memory) counts as one that can't work. */
static void count_death(struct life *life, uint64_t now_ns)
{
	if (life->asked)
		return;
	if (is_quick(life, now_ns))
		life->quick++;
	else if (now_ns - life->born_ns >= LIFE_SETTLED_MS * R3_NS_PER_MS)
		life->quick = 0;
	if (life->after == R3_AFTER_KILL && !life->ready_ns)
		life->unready++;
	if (now_ns - life->burst_ns >= R3_NS_PER_S) {
		life->burst_ns = now_ns;
		life->burst = 0;
	}
	life->burst++;
}

/* The first quick death costs no delay, the next ones 10 ms, 20 ms ... */
static unsigned delay_of(const struct life *life)
{
	unsigned quick = life->quick + life->unready, ms = 0;

	if (life->burst > LIFE_BURST_MAX)
		ms = LIFE_BURST_MS;
	if (quick >= 2 && quick < 12)
		ms = (unsigned)r3_max(ms, LIFE_DELAY_MIN_MS << (quick - 2));
	else if (quick >= 12)
		ms = LIFE_DELAY_MAX_MS;
	return (unsigned)r3_min(ms, LIFE_DELAY_MAX_MS);
}

static enum life_action revive(struct life *life, uint64_t now_ns,
			       unsigned *delay_ms)
{
	unsigned ms;

	count_death(life, now_ns);
	if (life->quick + life->unready > life->limit) {
		life->state = LIFE_FAILED;
		return LIFE_GIVE_UP;
	}
	ms = delay_of(life);
	if (!ms)
		return LIFE_SPAWN;
	life->state = LIFE_WAITING;
	*delay_ms = ms;
	return LIFE_DELAY;
}

enum life_action life_step(struct life *life, enum life_event event,
			   uint64_t now_ns, unsigned *delay_ms)
{
	const struct step *s = &steps[life->state][event];
	enum life_action action = (enum life_action)s->action;

	if (action == LIFE_IGNORE)
		return LIFE_NOTHING;
	if (event == LIFE_HUNG)
		life->hung = true;
	if (event == LIFE_READY) {
		life->ready_ns = now_ns;
		life->unready = 0;
	}
	if ((event == LIFE_START || event == LIFE_RESTART) &&
	    !life_has_process(life))
		life->quick = life->unready = 0; /* somebody wants it again */
	life->state = (enum life_state)s->next;
	if (action == LIFE_REVIVE)
		action = revive(life, now_ns, delay_ms);
	if (action == LIFE_ASK) {
		life->asked = true;
		*delay_ms = LIFE_ASK_MS;
	}
	if (action == LIFE_SPAWN) {
		life->born_ns = now_ns;
		life->ready_ns = 0;
		life->hung = life->asked = false;
	}
	return action;
}

const char *life_state_name(enum life_state state)
{
	static const char *const names[] = {
		[LIFE_DOWN] = "down",	    [LIFE_STARTING] = "starting",
		[LIFE_UP] = "up",	    [LIFE_ENDING] = "restarting",
		[LIFE_WAITING] = "waiting", [LIFE_STOPPING] = "stopping",
		[LIFE_FAILED] = "failed",
	};

	return names[state];
}

bool life_has_process(const struct life *life)
{
	return life->state == LIFE_STARTING || life->state == LIFE_UP ||
	       life->state == LIFE_ENDING || life->state == LIFE_STOPPING;
}
