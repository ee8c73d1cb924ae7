// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hwsim.c - the radios that mac80211_hwsim makes with regtest=N
 *
 * What each radio brings along: a hint of its driver, strictness, or a domain
 * built in (alpha2 "99").  Source: drivers/net/wireless/mac80211_hwsim.c, 6.1.
 */
#include "reg_priv.h"

#define RULE(from, to, dbm, f) \
	{ .start_khz = ((from) - 10) * 1000, .end_khz = ((to) + 10) * 1000, \
	  .max_bw_khz = 40000, .eirp_mbm = (dbm) * 100, .flags = (f) }

static const struct r3_reg_rule custom_1[] = {
	RULE(2412, 2462, 20, 0), RULE(2484, 2484, 20, 0),
	RULE(5150, 5240, 30, 0), RULE(5745, 5825, 30, 0),
	RULE(5855, 5925, 33, 0),
};

static const struct r3_reg_rule custom_2[] = {
	RULE(2412, 2462, 20, 0),
	RULE(5725, 5850, 30, R3_REG_NO_IR),
	RULE(5855, 5925, 33, 0),
};

const struct r3_reg_domain reg_hwsim_custom[2] = {
	{ .alpha2 = "99", .count = R3_COUNT(custom_1), .rules = custom_1 },
	{ .alpha2 = "99", .count = R3_COUNT(custom_2), .rules = custom_2 },
};

struct plan {
	const char *hint;
	bool strict;
	int custom; /* 1 or 2; 0 none */
};

#define MODES  11
#define RADIOS 6
/* Radios beyond the list bring nothing, except in the rows of ALL. */
enum { SOME, ALL };

static const struct {
	int reach;
	struct plan radio[RADIOS]; /* ALL: the first counts for every radio */
} modes[MODES] = {
	[1] = { SOME, { { "FI", false, 0 } } },		/* driver, follow */
	[2] = { ALL, { { "FI", false, 0 } } },		/* driver, all */
	[3] = { SOME, { { "FI", false, 0 }, { "AL", false, 0 },
			{ "US", false, 0 }, { "DE", false, 0 },
			{ "JP", false, 0 }, { "AL", false, 0 } } },
	[4] = { SOME, { { NULL, false, 1 } } },		/* world roaming */
	[5] = { ALL, { { NULL, false, 1 } } },		/* custom world */
	[6] = { SOME, { { NULL, false, 1 }, { NULL, false, 2 } } },
	[7] = { SOME, { { "FI", true, 0 } } },		/* strict, follow */
	[8] = { ALL, { { "FI", true, 0 } } },		/* strict, all */
	[9] = { SOME, { { "FI", true, 0 }, { "AL", false, 0 } } },
	[10] = { SOME, { { NULL, false, 1 }, { NULL, false, 2 },
			 { "FI", false, 0 }, { "AL", false, 0 },
			 { "US", true, 0 } } },
};

static int add_planned(struct r3_reg_hints *h, const struct plan *p)
{
	struct r3_reg_event ev = { .kind = R3_REG_EV_DRIVER };
	struct r3_reg_effect ignored;
	unsigned flags = (p->strict ? R3_REG_STRICT : 0) |
			 (p->custom ? R3_REG_CUSTOM : 0);
	int n = r3_reg_hints_add_radio(
		h, flags, p->custom ? &reg_hwsim_custom[p->custom - 1] : NULL,
		NULL, 0);

	if (n < 0 || !p->hint)
		return n < 0 ? n : 0;
	ev.radio = (unsigned)n;
	memcpy(ev.alpha2, p->hint, 3);
	return r3_reg_hints_event(h, &ev, &ignored);
}

int r3_reg_hints_regtest(struct r3_reg_hints *h, unsigned mode,
			 unsigned radios)
{
	static const struct plan nothing = { 0 };
	const struct plan *p;
	int err = 0;

	if (mode >= MODES || radios > R3_REG_RADIOS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < radios && !err; i++) {
		p = &nothing;
		if (modes[mode].reach == ALL)
			p = &modes[mode].radio[0];
		else if (i < RADIOS)
			p = &modes[mode].radio[i];
		err = add_planned(h, p);
	}
	return err;
}
