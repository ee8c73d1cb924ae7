/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reg_sim.c - fuzz scenarios, and through them hints and radar
 *
 * Time never runs backwards and ends; no channel is ever stronger than a rule.
 */
#include <stdlib.h>

#include "ring3/reg.h"

static const char text[] =
	"country 00:\n(2402 - 2482 @ 40), (20), NO-IR\n"
	"(5170 - 5250 @ 80), (20), NO-IR, AUTO-BW\n"
	"country DE: DFS-ETSI\n(2400 - 2483.5 @ 40), (20)\n"
	"(5150 - 5250 @ 80), (23), AUTO-BW\n"
	"(5250 - 5350 @ 80), (20), DFS, AUTO-BW\n"
	"country US: DFS-FCC\n(2400 - 2472 @ 40), (30)\n"
	"(5150 - 5350 @ 80), (24), DFS\n(902 - 928 @ 2), (30)\n";

static uint64_t last_ms;

static void say(void *arg, uint64_t ms, const char *radio, const char *what)
{
	(void)arg;
	assert(ms >= last_ms && ms <= R3_REG_SIM_END_MAX_MS + 1);
	assert(radio && what[0]);
	last_ms = ms;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct r3_reg_db *db;
	struct r3_reg_err err = { 0 };
	struct r3_reg_sim *sim;
	uint8_t *bytes;
	size_t n;

	if (!db) {
		assert(!r3_reg_compile(text, sizeof(text) - 1, &bytes, &n,
				       NULL));
		assert(!r3_reg_db_parse(&db, bytes, n, NULL));
		free(bytes);
	}
	if (r3_reg_sim_parse(&sim, db, (const char *)data, len, &err)) {
		assert(err.reason[0]);
		return 0;
	}
	last_ms = 0;
	r3_reg_sim_run(sim, say, NULL);
	r3_reg_sim_free(sim);
	return 0;
}
