// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim.c - run a scenario in virtual time
 *
 * Time jumps from event to event: the script's, a radar check's end, the end
 * of a grace period, and every second where something moves.
 */
#include <math.h>
#include <stdarg.h>

#include "sim.h"

#define MHZ(khz) r3_reg_mhz((khz), (char[16]){ "" })

static void tell(struct r3_reg_sim *s, const char *radio, const char *fmt, ...)
	R3_PRINTF(3, 4);

static void tell(struct r3_reg_sim *s, const char *radio, const char *fmt, ...)
{
	char text[2 * R3_REG_REASON_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->say(s->arg, s->now_ms, radio, text);
}

static struct r3_reg_radio *hw(struct r3_reg_sim *s, unsigned i)
{
	return r3_reg_hints_radio(s->hints, i);
}

static struct r3_reg_answer ask(struct r3_reg_sim *s, unsigned i,
				const struct r3_reg_chandef *def,
				enum r3_reg_use use, struct r3_reg_ask *q)
{
	*q = (struct r3_reg_ask){ .def = *def, .use = use,
				  .dfs_capable = !s->radio[i].no_dfs };
	return r3_reg_judge(hw(s, i)->ch, hw(s, i)->count, q);
}

/* A hint, and what it means for networks that run. */
static void hint(struct r3_reg_sim *s, const struct r3_reg_event *ev,
		 const char *radio)
{
	struct r3_reg_effect e;
	const struct r3_reg_domain *d;

	if (r3_reg_hints_event(s->hints, ev, &e))
		return;
	if (ev->kind == R3_REG_EV_AP_START || ev->kind == R3_REG_EV_AP_STOP)
		return;
	tell(s, radio, "%s", e.why);
	if (!e.domain_changed)
		return;
	d = r3_reg_hints_global(s->hints);
	tell(s, "", "domain is %s now%s", d->alpha2,
	     e.region_lost ? "; the DFS regions differ, so none is set" : "");
	for (unsigned i = 0; i < s->radios; i++) {
		s->radio[i].dfs.region = d->dfs;
		if (s->radio[i].wants)
			s->radio[i].recheck_ms = s->now_ms + R3_REG_GRACE_MS;
	}
}

static void set_beaconing(struct r3_reg_sim *s, unsigned i, bool on)
{
	struct r3_reg_event ev = { .kind = on ? R3_REG_EV_AP_START :
						R3_REG_EV_AP_STOP,
				   .radio = i };

	hint(s, &ev, s->radio[i].name);
}

static void start(struct r3_reg_sim *s, unsigned i,
		  const struct r3_reg_chandef *def)
{
	struct sim_radio *r = &s->radio[i];
	struct r3_reg_ask q;
	struct r3_reg_answer a = ask(s, i, def, R3_REG_USE_BEACON, &q);
	char text[R3_REG_REASON_MAX];

	r->def = *def;
	r->wants = true;
	if (a.verdict == R3_REG_OK && !r3_reg_dfs_operate(&r->dfs, def)) {
		tell(s, r->name, "network runs on %s MHz, %s MHz wide",
		     MHZ(def->control_khz), r3_reg_width_name(def->width));
		set_beaconing(s, i, true);
		return;
	}
	if (a.verdict == R3_REG_OK_AFTER_CAC &&
	    !r3_reg_dfs_start_cac(&r->dfs, def)) {
		tell(s, r->name, "listens on %s MHz for radar, %u s",
		     MHZ(def->control_khz), a.cac_ms / 1000);
		return;
	}
	r->wants = false;
	r3_reg_answer_text(r3_reg_hints_domain(s->hints, i), &q, &a, text,
			   sizeof(text));
	tell(s, r->name, "refused: %s", text);
}

static void stop(struct r3_reg_sim *s, unsigned i, const char *why)
{
	struct sim_radio *r = &s->radio[i];

	if (!r->wants)
		return;
	r3_reg_dfs_leave(&r->dfs);
	r->wants = false;
	r->recheck_ms = UINT64_MAX;
	tell(s, r->name, "network on %s MHz stops%s", MHZ(r->def.control_khz),
	     why);
	set_beaconing(s, i, false);
}

/* After a radar: the first place of the same width, best one without a CAC. */
static bool elsewhere(struct r3_reg_sim *s, unsigned i,
		      struct r3_reg_chandef *out)
{
	const struct r3_reg_radio *r = hw(s, i);
	struct r3_reg_chandef d;
	struct r3_reg_ask q;
	bool found = false;

	for (unsigned n = 0; n < r->count; n++) {
		enum r3_reg_verdict v;

		if (r->ch[n].band != R3_REG_BAND_5GHZ ||
		    r3_reg_chandef_make(r->ch[n].khz, s->radio[i].def.width, 0,
					&d))
			continue;
		v = ask(s, i, &d, R3_REG_USE_BEACON, &q).verdict;
		if (v == R3_REG_OK || (v == R3_REG_OK_AFTER_CAC && !found)) {
			*out = d;
			found = true;
		}
		if (v == R3_REG_OK)
			return true;
	}
	return found;
}

static void radar(struct r3_reg_sim *s, const struct r3_reg_chandef *def)
{
	struct r3_reg_chandef to;

	tell(s, "", "radar at %s MHz", MHZ(def->center1_khz));
	for (unsigned i = 0; i < s->radios; i++) {
		struct sim_radio *r = &s->radio[i];
		bool busy = r->wants && (r->dfs.cac || r->dfs.operating);

		r3_reg_dfs_radar(&r->dfs, def);
		if (!busy || r->dfs.cac || r->dfs.operating)
			continue;
		tell(s, r->name, "was on it: leaves %s MHz for 30 min",
		     MHZ(r->def.control_khz));
		if (elsewhere(s, i, &to))
			start(s, i, &to);
		else
			stop(s, i, ": no other channel is allowed");
	}
}

/* ---- stations that move -------------------------------------------------- */

static double distance(const struct r3_reg_sim *s, const struct sim_radio *r,
		       const struct sim_network *n)
{
	double t = (double)s->now_ms / 1000;

	return hypot(r->at.x + r->speed.x * t - n->at.x,
		     r->at.y + r->speed.y * t - n->at.y);
}

static bool may_join(struct r3_reg_sim *s, unsigned i,
		     const struct sim_network *n)
{
	struct r3_reg_chandef d = { n->khz, n->khz, 0, R3_REG_W20 };
	struct r3_reg_ask q;

	if (n->khz == 2484000)
		d.width = R3_REG_W20_NOHT;
	return ask(s, i, &d, R3_REG_USE_STATION, &q).verdict == R3_REG_OK;
}

static void leave(struct r3_reg_sim *s, unsigned i)
{
	struct r3_reg_event ev = { .kind = R3_REG_EV_DISCONNECT, .radio = i };
	struct sim_radio *r = &s->radio[i];

	tell(s, r->name, "loses %s", s->network[r->network].name);
	r->network = -1;
	hint(s, &ev, r->name);
}

static void join(struct r3_reg_sim *s, unsigned i, unsigned n)
{
	struct r3_reg_event ev = { .kind = R3_REG_EV_IE, .radio = i };
	struct sim_radio *r = &s->radio[i];

	r->network = (int)n;
	tell(s, r->name, "joins %s on %s MHz", s->network[n].name,
	     MHZ(s->network[n].khz));
	memcpy(ev.alpha2, s->network[n].country, 3);
	hint(s, &ev, r->name);
}

/* Networks that came into range are heard; the nearest allowed is joined. */
static void look_around(struct r3_reg_sim *s, unsigned i)
{
	struct sim_radio *r = &s->radio[i];
	int best = -1;

	if (r->network >= 0 &&
	    distance(s, r, &s->network[r->network]) >
		    s->network[r->network].range)
		leave(s, i);
	for (unsigned n = 0; n < s->networks; n++) {
		const struct sim_network *net = &s->network[n];
		bool near = distance(s, r, net) <= net->range;
		struct r3_reg_event ev = { .kind = R3_REG_EV_BEACON,
					   .radio = i, .khz = net->khz };

		if (near && !(r->heard >> n & 1))
			hint(s, &ev, r->name);
		r->heard &= ~(UINT64_C(1) << n);
		r->heard |= (uint64_t)near << n;
		if (near && may_join(s, i, net) &&
		    (best < 0 || distance(s, r, net) <
					 distance(s, r, &s->network[best])))
			best = (int)n;
	}
	if (r->network < 0 && best >= 0 && !r->wants)
		join(s, i, (unsigned)best);
}

/* ---- the clock ----------------------------------------------------------- */

static void scripted(struct r3_reg_sim *s, const struct sim_event *e)
{
	struct r3_reg_event ev = { .radio = e->radio };

	memcpy(ev.alpha2, e->country, 3);
	switch (e->kind) {
	case SIM_USER:
		ev.kind = R3_REG_EV_USER;
		hint(s, &ev, "");
		break;
	case SIM_DRIVER:
		ev.kind = R3_REG_EV_DRIVER;
		hint(s, &ev, s->radio[e->radio].name);
		break;
	case SIM_START:
		start(s, e->radio, &e->def);
		break;
	case SIM_STOP:
		stop(s, e->radio, "");
		break;
	case SIM_RADAR:
		radar(s, &e->def);
		break;
	}
}

static void dfs_event(struct r3_reg_sim *s, unsigned i)
{
	struct sim_radio *r = &s->radio[i];

	switch (r3_reg_dfs_advance(&r->dfs, s->now_ms)) {
	case R3_REG_DFS_EV_CAC_DONE:
		tell(s, r->name, "heard no radar");
		start(s, i, &r->def);
		break;
	case R3_REG_DFS_EV_NOP_OVER:
		tell(s, r->name,
		     "non-occupancy period is over: the channel may be checked again");
		break;
	default:
		break;
	}
}

/* Whoever still runs on a channel that became illegal must go. */
static void recheck(struct r3_reg_sim *s, unsigned i)
{
	struct sim_radio *r = &s->radio[i];
	struct r3_reg_ask q;

	r->recheck_ms = UINT64_MAX;
	if (ask(s, i, &r->def, R3_REG_USE_BEACON, &q).verdict != R3_REG_OK)
		stop(s, i, ": not allowed any more, 60 s of grace are over");
}

static bool anything_moves(const struct r3_reg_sim *s)
{
	for (unsigned i = 0; i < s->radios; i++)
		if (s->radio[i].speed.x || s->radio[i].speed.y)
			return s->networks > 0;
	return false;
}

static uint64_t next_time(const struct r3_reg_sim *s, bool moves)
{
	uint64_t t = s->end_ms;

	if (s->next < s->events)
		t = r3_min(t, s->event[s->next].ms);
	if (moves)
		t = r3_min(t, s->now_ms - s->now_ms % 1000 + 1000);
	for (unsigned i = 0; i < s->radios; i++) {
		uint64_t left = r3_reg_dfs_next_ms(&s->radio[i].dfs);

		if (left != UINT64_MAX)
			t = r3_min(t, s->radio[i].dfs.now_ms + left);
		t = r3_min(t, s->radio[i].recheck_ms);
	}
	return r3_max(t, s->now_ms);
}

static void step(struct r3_reg_sim *s)
{
	for (unsigned i = 0; i < s->radios; i++)
		dfs_event(s, i);
	for (unsigned i = 0; i < s->radios; i++)
		if (s->radio[i].recheck_ms <= s->now_ms)
			recheck(s, i);
	while (s->next < s->events && s->event[s->next].ms <= s->now_ms)
		scripted(s, &s->event[s->next++]);
	for (unsigned i = 0; i < s->radios; i++)
		look_around(s, i);
}

void r3_reg_sim_run(struct r3_reg_sim *s, r3_reg_sim_say *say, void *arg)
{
	bool moves = anything_moves(s);
	uint64_t before;

	s->say = say;
	s->arg = arg;
	for (unsigned i = 0; i < s->radios; i++)
		r3_reg_dfs_init(&s->radio[i].dfs, R3_REG_DFS_UNSET,
				hw(s, i)->ch, hw(s, i)->count);
	step(s);
	while (s->now_ms < s->end_ms) {
		before = s->now_ms;
		s->now_ms = next_time(s, moves);
		if (s->now_ms == before)
			s->now_ms++;	/* never stand still */
		step(s);
	}
}

struct r3_reg_hints *r3_reg_sim_hints(struct r3_reg_sim *s)
{
	return s->hints;
}
