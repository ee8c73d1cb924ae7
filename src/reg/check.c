// SPDX-License-Identifier: GPL-2.0-or-later
/* check.c - networks of a configuration file against a domain, with remedies */
#include <stdio.h>

#include "conf.h"

struct job {
	const struct r3_reg_domain *d;
	const struct r3_reg_net *net;
	struct r3_reg_findings *f;
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned count;
	struct r3_reg_ask ask;
};

static bool fine(enum r3_reg_verdict v)
{
	return v == R3_REG_OK || v == R3_REG_OK_AFTER_CAC;
}

static struct r3_reg_answer ask_with(const struct job *j,
				     const struct r3_reg_chandef *def)
{
	struct r3_reg_ask q = j->ask;

	q.def = *def;
	return r3_reg_judge(j->ch, j->count, &q);
}

/* The widest block around the same control channel that would do. */
static bool narrower(const struct job *j, char *out, size_t max)
{
	static const enum r3_reg_width order[] = { R3_REG_W160, R3_REG_W80,
						   R3_REG_W40, R3_REG_W20 };
	const struct r3_reg_chandef *d = &j->ask.def;
	struct r3_reg_chandef try;

	for (unsigned i = 0; i < R3_COUNT(order); i++) {
		if (r3_reg_width_khz(order[i]) >= r3_reg_width_khz(d->width) ||
		    (order[i] == R3_REG_W40 && d->control_khz < 5000000) ||
		    r3_reg_chandef_make(d->control_khz, order[i], 0, &try) ||
		    !fine(ask_with(j, &try).verdict))
			continue;
		snprintf(out, max, "%s MHz is allowed on this channel",
			 r3_reg_width_name(order[i]));
		return true;
	}
	return false;
}

/* Some channels of the same band where the same width would do. */
static void others(const struct job *j, char *out, size_t max)
{
	const struct r3_reg_chandef *d = &j->ask.def;
	enum r3_reg_band band = r3_reg_band_of(d->control_khz);
	struct r3_reg_chandef try;
	size_t n = 0;
	unsigned found = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < j->count && found < 6; i++) {
		int side = j->ch[i].khz < 2437000 ? 1 : -1;

		if (j->ch[i].band != band || d->width == R3_REG_W80P80 ||
		    r3_reg_chandef_make(j->ch[i].khz, d->width,
					band == R3_REG_BAND_2GHZ ? side : 0,
					&try) ||
		    !fine(ask_with(j, &try).verdict))
			continue;
		n += (size_t)snprintf(out + n, max - n, "%s%u",
				      found++ ? ", " : "channel ",
				      r3_reg_channel_number(j->ch[i].khz));
		if (n >= max)
			return;
	}
	if (found)
		snprintf(out + n, max - n, " would be allowed");
}

static void remedy_for(const struct job *j, enum r3_reg_verdict v, char *out,
		       size_t max)
{
	out[0] = '\0';
	if (v == R3_REG_IS_RADAR && !j->ask.dfs_capable)
		snprintf(out, max, "switch radar detection on: %s",
			 j->net->dfs_key ? j->net->dfs_key : "DFS");
	else if (!narrower(j, out, max))
		others(j, out, max);
}

static void say_refused(const struct job *j, const struct r3_reg_answer *a)
{
	char text[R3_REG_REASON_MAX], remedy[R3_REG_REASON_MAX];
	struct r3_reg_place at = j->net->channel_at;

	if (a->verdict == R3_REG_IS_TOO_WIDE ||
	    (a->bad_khz != j->ask.def.control_khz && j->net->width_at.line))
		at = j->net->width_at;
	if (a->verdict == R3_REG_IS_RADAR && j->net->dfs_at.line)
		at = j->net->dfs_at;
	r3_reg_answer_text(j->d, &j->ask, a, text, sizeof(text));
	remedy_for(j, a->verdict, remedy, sizeof(remedy));
	conf_say(j->f, R3_REG_ERROR, at, remedy, "channel %u, %s MHz: %s",
		 r3_reg_channel_number(j->ask.def.control_khz),
		 r3_reg_width_name(j->ask.def.width), text);
}

static void say_allowed(const struct job *j, const struct r3_reg_answer *a)
{
	if (a->verdict == R3_REG_OK_AFTER_CAC)
		conf_say(j->f, R3_REG_NOTE, j->net->channel_at, NULL,
			 "radar channel: the network starts %u s late, and moves when a radar is heard",
			 a->cac_ms / 1000);
	if ((a->flags & R3_REG_CH_INDOOR) && j->net->use == R3_REG_USE_BEACON)
		conf_say(j->f, R3_REG_NOTE, j->net->channel_at, NULL,
			 "for use inside buildings only in %s; kernel and hostapd do not enforce that",
			 j->d->alpha2);
}

static void check_power(const struct job *j, const struct r3_reg_answer *a)
{
	char remedy[64];

	if (!j->net->has_power || j->net->power_mbm <= a->power_dbm * 100)
		return;
	snprintf(remedy, sizeof(remedy), "%d, less the antenna's gain",
		 a->power_dbm);
	conf_say(j->f, R3_REG_WARNING, j->net->power_at, remedy,
		 "%d dBm is over the limit of %d dBm EIRP in %s: the kernel clamps it",
		 j->net->power_mbm / 100, a->power_dbm, j->d->alpha2);
}

bool r3_reg_conf_check(const struct r3_reg_domain *d,
		       const struct r3_reg_net *net,
		       struct r3_reg_findings *findings)
{
	struct job j = { .d = d, .net = net, .f = findings };
	struct r3_reg_answer a;

	if (net->any_channel) {
		conf_say(findings, R3_REG_NOTE,
			 net->channel_at.line ? net->channel_at : net->at,
			 NULL,
			 "the program chooses the channel itself, among those that are allowed");
		return true;
	}
	j.count = r3_reg_channels(j.ch, true);
	r3_reg_derive(d, j.ch, j.count);
	j.ask = (struct r3_reg_ask){ .def = net->def, .use = net->use,
				     .outdoor = net->outdoor,
				     .dfs_capable = net->dfs };
	a = r3_reg_judge(j.ch, j.count, &j.ask);
	if (!findings)
		return fine(a.verdict);
	if (fine(a.verdict)) {
		say_allowed(&j, &a);
		check_power(&j, &a);
	} else {
		say_refused(&j, &a);
	}
	return fine(a.verdict);
}
