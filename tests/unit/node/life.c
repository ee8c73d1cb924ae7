// SPDX-License-Identifier: GPL-2.0-or-later
/* life.c - the table of a server's life, with a clock that is a number */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "life.h"

#define MS(n) ((n) * R3_NS_PER_MS)

struct step {
	unsigned at_ms;
	enum life_event event;
	enum r3_after after; /* for DIED */
	enum life_state state;
	enum life_action action;
	unsigned delay_ms;
};

#define ON(at, event, state, action) \
	{ at, LIFE_##event, R3_AFTER_NEW, LIFE_##state, LIFE_##action, 0 }
#define DEATH(at, after, state, action, delay) \
	{ at, LIFE_DIED, R3_AFTER_##after, LIFE_##state, LIFE_##action, delay }
#define UP(at) ON(at, START, STARTING, SPAWN), ON((at) + 2, READY, UP, NOTHING)

static const struct {
	const char *name;
	unsigned limit;
	struct step steps[24];
} rows[] = {
	{ "starts and is ready", 3, { UP(1) } },
	{ "killed: at once again", 3, {
		UP(1),
		DEATH(10, KILL, STARTING, SPAWN, 0),
		ON(12, READY, UP, NOTHING),
		DEATH(14, KILL, STARTING, SPAWN, 0),
		ON(16, READY, UP, NOTHING),
		DEATH(18, KILL, STARTING, SPAWN, 0),
		ON(20, READY, UP, NOTHING),
		DEATH(22, KILL, STARTING, SPAWN, 0) } },
	{ "the first fault costs no delay", 3, {
		UP(1), DEATH(10, FAULT, STARTING, SPAWN, 0) } },
	{ "a loop of faults is slowed down, then given up", 3, {
		UP(1),
		DEATH(10, FAULT, STARTING, SPAWN, 0),
		ON(12, READY, UP, NOTHING),
		DEATH(13, FAULT, WAITING, DELAY, 10),
		ON(23, DUE, STARTING, SPAWN),
		ON(24, READY, UP, NOTHING),
		DEATH(25, EXIT, WAITING, DELAY, 20),
		ON(45, DUE, STARTING, SPAWN),
		ON(46, READY, UP, NOTHING),
		DEATH(47, FAULT, FAILED, GIVE_UP, 0),
		ON(48, DUE, FAILED, NOTHING),
		ON(50, RESTART, STARTING, SPAWN),
		ON(51, READY, UP, NOTHING),
		DEATH(52, FAULT, STARTING, SPAWN, 0) } },
	{ "who lived for a second is forgiven", 3, {
		UP(1),
		DEATH(10, FAULT, STARTING, SPAWN, 0),
		ON(12, READY, UP, NOTHING),
		DEATH(13, FAULT, WAITING, DELAY, 10),
		ON(23, DUE, STARTING, SPAWN),
		ON(24, READY, UP, NOTHING),
		DEATH(1023, FAULT, STARTING, SPAWN, 0),
		ON(1024, READY, UP, NOTHING),
		DEATH(1025, FAULT, STARTING, SPAWN, 0) } },
	{ "a millisecond less is not", 3, {
		UP(1),
		DEATH(10, FAULT, STARTING, SPAWN, 0),
		ON(12, READY, UP, NOTHING),
		DEATH(1009, FAULT, WAITING, DELAY, 10) } },
	{ "never ready counts, killed or not", 1, {
		ON(1, START, STARTING, SPAWN),
		DEATH(3, KILL, STARTING, SPAWN, 0),
		DEATH(5, KILL, FAILED, GIVE_UP, 0) } },
	{ "limit 0: the first own fault is the last", 0, {
		UP(1), DEATH(3, EXIT, FAILED, GIVE_UP, 0) } },
	{ "a hang is killed, then started again", 3, {
		UP(1),
		ON(3000, HUNG, ENDING, KILL),
		ON(3000, HUNG, ENDING, KILL),
		DEATH(3001, HANG, STARTING, SPAWN, 0) } },
	{ "restart on request asks first", 0, {
		UP(1),
		{ 5, LIFE_RESTART, R3_AFTER_NEW, LIFE_ENDING, LIFE_ASK,
		  LIFE_ASK_MS },
		DEATH(6, EXIT, STARTING, SPAWN, 0),
		ON(8, READY, UP, NOTHING) } },
	{ "who does not answer is killed", 0, {
		UP(1),
		{ 5, LIFE_RESTART, R3_AFTER_NEW, LIFE_ENDING, LIFE_ASK,
		  LIFE_ASK_MS },
		ON(2005, DUE, ENDING, KILL),
		DEATH(2006, KILL, STARTING, SPAWN, 0) } },
	{ "stop stays stopped", 3, {
		UP(1),
		{ 5, LIFE_STOP, R3_AFTER_NEW, LIFE_STOPPING, LIFE_ASK,
		  LIFE_ASK_MS },
		ON(6, STOP, STOPPING, NOTHING),
		DEATH(7, EXIT, DOWN, NOTHING, 0),
		ON(8, DUE, DOWN, NOTHING),
		ON(9, STOP, DOWN, NOTHING) } },
	{ "stop during the back-off", 3, {
		UP(1),
		DEATH(2, FAULT, STARTING, SPAWN, 0),
		DEATH(3, FAULT, WAITING, DELAY, 10),
		ON(4, STOP, DOWN, NOTHING),
		ON(13, DUE, DOWN, NOTHING) } },
	{ "restart while stopping comes back", 3, {
		UP(1),
		{ 5, LIFE_STOP, R3_AFTER_NEW, LIFE_STOPPING, LIFE_ASK,
		  LIFE_ASK_MS },
		ON(6, RESTART, ENDING, NOTHING),
		DEATH(7, EXIT, STARTING, SPAWN, 0) } },
	{ "a late READY of a killed one is nothing", 3, {
		ON(1, START, STARTING, SPAWN),
		ON(15001, HUNG, ENDING, KILL),
		ON(15001, READY, ENDING, NOTHING) } },
};

static void walks_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct life life = { .limit = rows[i].limit };

		for (const struct step *s = rows[i].steps; s->at_ms; s++) {
			enum life_action action;
			unsigned delay = 0;

			if (s->event == LIFE_DIED)
				life.after = s->after;
			action = life_step(&life, s->event, MS(s->at_ms),
					   &delay);
			if (life.state != s->state || action != s->action ||
			    delay != s->delay_ms)
				fail_msg("%s: at %u ms: %s, action %d, delay "
					 "%u", rows[i].name, s->at_ms,
					 life_state_name(life.state), action,
					 delay);
		}
	}
}

/* Nothing may start a server twice, kill what is not there, or get lost. */
static void every_event_in_every_state(void **state)
{
	(void)state;
	for (int st = 0; st < LIFE_STATES; st++) {
		for (int ev = 0; ev < LIFE_EVENTS; ev++) {
			struct life life = { .state = (enum life_state)st,
					     .limit = 3 };
			bool had = life_has_process(&life);
			unsigned delay = 0;
			enum life_action a;

			a = life_step(&life, (enum life_event)ev, MS(5000),
				      &delay);
			assert_true(life.state < LIFE_STATES);
			assert_true(a < LIFE_REVIVE);
			if (a == LIFE_SPAWN)
				assert_true(!had || ev == LIFE_DIED);
			if (a == LIFE_KILL || a == LIFE_ASK)
				assert_true(had);
			if (!had)
				assert_true(!life_has_process(&life) ||
					    a == LIFE_SPAWN);
			if (had && ev != LIFE_DIED)
				assert_true(life_has_process(&life));
		}
	}
}

static void delays_end(void **state)
{
	struct life life = { .limit = 1000 };
	unsigned delay = 0;
	uint64_t now = MS(1);

	(void)state;
	life_step(&life, LIFE_START, now, &delay);
	for (unsigned i = 0; i < 1000; i++) {
		life.after = R3_AFTER_EXIT;
		delay = 0;
		if (life_step(&life, LIFE_DIED, now, &delay) == LIFE_DELAY) {
			assert_true(delay >= LIFE_DELAY_MIN_MS &&
				    delay <= LIFE_DELAY_MAX_MS);
			life_step(&life, LIFE_DUE, now, &delay);
		}
	}
	assert_int_equal(delay, LIFE_DELAY_MAX_MS);
}

/* Even kills from outside can't make the supervisor do nothing else. */
static void a_burst_is_slowed_down(void **state)
{
	struct life life = { .limit = 3 };
	unsigned delay = 0, spawned = 0;

	(void)state;
	life_step(&life, LIFE_START, MS(10000), &delay);
	for (unsigned i = 0; i <= LIFE_BURST_MAX; i++) {
		life_step(&life, LIFE_READY, MS(10000), &delay);
		life.after = R3_AFTER_KILL;
		spawned += life_step(&life, LIFE_DIED, MS(10000), &delay) ==
			   LIFE_SPAWN;
	}
	assert_int_equal(spawned, LIFE_BURST_MAX);
	assert_int_equal(life.state, LIFE_WAITING);
	assert_int_equal(delay, LIFE_BURST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_the_table),
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(delays_end),
		cmocka_unit_test(a_burst_is_slowed_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
