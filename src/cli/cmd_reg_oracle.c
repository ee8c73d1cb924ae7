// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_reg_oracle.c - ring3 reg oracle: the kernel's dump, without a kernel
 *
 * LIST is a comma-separated row of events, in the order in which they happen:
 *	drv:RADIO:CC drvstrict:RADIO:CC user:CC modparam:CC ie:RADIO:CC
 *	beacon:RADIO:MHZ disconnect:RADIO ap:RADIO:start|stop regtest:N
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_reg.h"

#define WORDS 3
#define EVENTS_MAX 256u

struct step {
	char text[32];
	const char *word[WORDS];
	unsigned words;
};

struct plan {
	struct step step[EVENTS_MAX];
	unsigned count, radios;
};

static bool split(const char *text, size_t len, struct step *s)
{
	char *p = s->text;

	if (!len || len >= sizeof(s->text))
		return false;
	memcpy(s->text, text, len);
	s->text[len] = '\0';
	for (s->words = 0; s->words < WORDS && p; s->words++) {
		s->word[s->words] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = '\0';
	}
	return !p;
}

static bool number(const char *text, uint64_t max, unsigned *out)
{
	uint64_t n;

	if (r3_parse_uint(text, &n) || n > max)
		return false;
	*out = (unsigned)n;
	return true;
}

static bool is(const struct step *s, const char *verb, unsigned words)
{
	return s->words == words && !strcmp(s->word[0], verb);
}

/* "5180" or "902.5", in kHz. */
static bool mhz(const char *text, uint32_t *khz)
{
	char *end;
	double f = strtod(text, &end);

	if (*end || end == text || f <= 0 || f > 100000)
		return false;
	*khz = (uint32_t)(f * 1000 + 0.5);
	return true;
}

/* The radios a list speaks of: a station's access point is another one. */
static unsigned radios_of(const struct plan *p)
{
	unsigned n = 1, radio;

	for (unsigned i = 0; i < p->count; i++) {
		const struct step *s = &p->step[i];

		if (is(s, "regtest", 2)) {
			n = n < 6 ? 6 : n;
			continue;
		}
		if (s->words < 2 || is(s, "user", 2) || is(s, "modparam", 2) ||
		    !number(s->word[1], R3_REG_RADIOS_MAX - 1, &radio))
			continue;
		if (is(s, "ie", 3) || is(s, "beacon", 3))
			n = n < 2 ? 2 : n;
		n = n < radio + 1 ? radio + 1 : n;
	}
	return n;
}

static int parse_list(const struct r3_args *args, const char *list,
		      struct plan *p)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (p->count == EVENTS_MAX)
			return r3_cli_usage(args, "more than %u events",
					    EVENTS_MAX);
		if (!split(list, len, &p->step[p->count]))
			return r3_cli_usage(args,
					    "'%.*s' is no event: NAME:ARGUMENT...",
					    (int)len, list);
		p->count++;
		list += len;
		list += *list == ',';
	}
	p->radios = radios_of(p);
	return 0;
}

/* What the words ask for; false when they make no event. */
static bool event_of(const struct step *s, struct r3_reg_event *ev,
		     bool *strict)
{
	const char *cc = NULL;

	*ev = (struct r3_reg_event){ 0 };
	*strict = is(s, "drvstrict", 3);
	if (is(s, "user", 2) || is(s, "modparam", 2)) {
		ev->kind = R3_REG_EV_USER;
		cc = s->word[1];
	} else if (s->words < 2 ||
		   !number(s->word[1], R3_REG_RADIOS_MAX - 1, &ev->radio)) {
		return false;
	} else if (is(s, "drv", 3) || *strict) {
		ev->kind = R3_REG_EV_DRIVER;
		cc = s->word[2];
	} else if (is(s, "ie", 3)) {
		ev->kind = R3_REG_EV_IE;
		cc = s->word[2];
	} else if (is(s, "beacon", 3)) {
		ev->kind = R3_REG_EV_BEACON;
		return mhz(s->word[2], &ev->khz);
	} else if (is(s, "disconnect", 2)) {
		ev->kind = R3_REG_EV_DISCONNECT;
	} else if (is(s, "ap", 3)) {
		ev->kind = strcmp(s->word[2], "stop") ? R3_REG_EV_AP_START :
							R3_REG_EV_AP_STOP;
		return !strcmp(s->word[2], "stop") ||
		       !strcmp(s->word[2], "start");
	} else {
		return false;
	}
	if (cc && strlen(cc) != 2)
		return false;
	if (cc)
		memcpy(ev->alpha2, cc, 3);
	return true;
}

/*
 * The station's access point beacons on one of our own radios; as long as it
 * does, a disconnect does not restore anything.
 */
static void start_ap_for(struct r3_reg_hints *h, unsigned station)
{
	unsigned n = r3_reg_hints_radios(h);
	struct r3_reg_event ev = { .kind = R3_REG_EV_AP_START };
	struct r3_reg_effect e;

	if (n < 2)
		return;
	ev.radio = (station + 1) % n;
	r3_reg_hints_event(h, &ev, &e);
}

/* Is this the first thing that happens to the radio, a driver's hint? */
static bool born_with_hint(const struct plan *p, unsigned radio)
{
	unsigned n;

	for (unsigned i = 0; i < p->count; i++) {
		const struct step *s = &p->step[i];

		if (s->words < 2 || is(s, "user", 2) || is(s, "modparam", 2) ||
		    !number(s->word[1], R3_REG_RADIOS_MAX - 1, &n) ||
		    n != radio)
			continue;
		return is(s, "drv", 3) || is(s, "drvstrict", 3);
	}
	return false;
}

/*
 * Radios that exist from the start.  A driver hints when it registers its
 * radio, so one whose life begins with that hint is made at that moment.
 */
static int add_radios(const struct r3_args *args, struct r3_reg_hints *h,
		      const struct plan *p)
{
	unsigned mode = 0, n = p->radios;
	bool regtest = false;

	for (unsigned i = 0; i < p->count; i++) {
		if (!is(&p->step[i], "regtest", 2))
			continue;
		regtest = true;
		if (!number(p->step[i].word[1], 10, &mode))
			return r3_cli_usage(args, "regtest is 0 to 10");
	}
	while (!regtest && n && born_with_hint(p, n - 1))
		n--;
	return r3_reg_hints_regtest(h, mode, n) ? R3_EXIT_FAILED : 0;
}

/* The radios up to the one that hints now; false where --radios forbids. */
static bool add_late(struct r3_reg_hints *h, const struct plan *p,
		     const struct r3_reg_event *ev, bool strict)
{
	unsigned n = r3_reg_hints_radios(h);

	if (ev->kind != R3_REG_EV_DRIVER)
		return true;
	for (; n <= ev->radio && n < p->radios; n++)
		if (r3_reg_hints_add_radio(h,
					   strict && n == ev->radio ?
						   R3_REG_STRICT :
						   0,
					   NULL, NULL, 0) < 0)
			return false;
	if (strict)
		r3_reg_hints_set_strict(h, ev->radio);
	return ev->radio < n;
}

static const char *const treatments[] = {
	[R3_REG_TREAT_REPLACED] = "replaced",
	[R3_REG_TREAT_INTERSECTED] = "intersected",
	[R3_REG_TREAT_ALREADY_SET] = "already-set",
	[R3_REG_TREAT_IGNORED] = "ignored",
	[R3_REG_TREAT_RESTORED] = "restored",
	[R3_REG_TREAT_NOTED] = "noted",
};

static void log_event(json_t *log, const struct step *s,
		      const struct r3_reg_effect *e)
{
	char text[40];

	snprintf(text, sizeof(text), "%s%s%s%s%s", s->word[0],
		 s->words > 1 ? ":" : "", s->words > 1 ? s->word[1] : "",
		 s->words > 2 ? ":" : "", s->words > 2 ? s->word[2] : "");
	json_array_append_new(log, json_pack("{s:s,s:s,s:s}", "event", text,
					     "treatment",
					     treatments[e->treatment], "why",
					     e->why));
}

static int play(const struct r3_args *args, struct r3_reg_hints *h,
		const struct plan *p, bool say, json_t *log)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct step *s = &p->step[i];
		struct r3_reg_event ev;
		struct r3_reg_effect e;
		bool strict;

		if (is(s, "regtest", 2))
			continue;
		if (!event_of(s, &ev, &strict))
			return r3_cli_usage(
				args,
				"event %u (%s) is unknown; known: drv:RADIO:CC drvstrict:RADIO:CC user:CC modparam:CC ie:RADIO:CC beacon:RADIO:MHZ disconnect:RADIO ap:RADIO:start ap:RADIO:stop regtest:N",
				i + 1, s->word[0]);
		if (!add_late(h, p, &ev, strict) ||
		    r3_reg_hints_event(h, &ev, &e))
			return r3_cli_usage(args,
					    "event %u (%s): there are only %u radios",
					    i + 1, s->word[0], p->radios);
		if (ev.kind == R3_REG_EV_IE)
			start_ap_for(h, ev.radio);
		if (log)
			log_event(log, s, &e);
		if (say)
			fprintf(stderr, "%s: %s\n", s->word[0], e.why);
	}
	return 0;
}

static void hints_json(struct r3_reg_hints *h, json_t *log)
{
	json_t *radios = json_array();

	for (unsigned i = 0; i < r3_reg_hints_radios(h); i++) {
		const struct r3_reg_radio *r = r3_reg_hints_radio(h, i);
		json_t *o = json_pack("{s:i,s:o}", "radio", (int)i, "channels",
				      reg_cli_channels_json(r->ch, r->count));

		if (r->has_own)
			json_object_set_new(o, "domain",
					    reg_cli_domain_json(&r->own.d));
		json_array_append_new(radios, o);
	}
	reg_cli_print_json(json_pack(
		"{s:O,s:o,s:o}", "events", log, "global",
		reg_cli_domain_json(r3_reg_hints_global(h)), "radios",
		radios));
}

static int oracle_hints(const struct r3_args *args, const struct r3_reg_db *db,
			const char *list)
{
	const char *radios = r3_cli_opt(args, "radios");
	struct plan *p = calloc(1, sizeof(*p));
	struct r3_reg_hints *h = NULL;
	json_t *log = r3_cli_opt(args, "json") ? json_array() : NULL;
	int code = p ? parse_list(args, list, p) : R3_EXIT_FAILED;

	if (!code && radios &&
	    (!number(radios, R3_REG_RADIOS_MAX, &p->radios) || !p->radios))
		code = r3_cli_usage(args, "--radios is 1 to %u",
				    R3_REG_RADIOS_MAX);
	if (!code && r3_reg_hints_new(&h, db)) {
		fputs("ring3: the database has no world domain (00)\n",
		      stderr);
		code = R3_EXIT_FAILED;
	}
	if (!code)
		code = add_radios(args, h, p);
	if (!code)
		code = play(args, h, p, r3_cli_opt(args, "why") != NULL, log);
	if (!code && log)
		hints_json(h, log);
	else if (!code)
		r3_reg_hints_dump(stdout, h);
	json_decref(log);
	r3_reg_hints_free(h);
	free(p);
	return code;
}

static int oracle_country(const struct r3_reg_db *db, const char *alpha2,
			  bool json)
{
	const struct r3_reg_domain *d = reg_cli_country(db, alpha2);
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, false);

	if (!d)
		return R3_EXIT_UNKNOWN;
	r3_reg_derive(d, ch, n);
	if (json) {
		json_t *o = reg_cli_domain_json(d);

		json_object_set_new(o, "channels",
				    reg_cli_channels_json(ch, n));
		reg_cli_print_json(o);
		return R3_EXIT_OK;
	}
	r3_reg_dump_domain(stdout, d, -1);
	r3_reg_dump_channels(stdout, d, ch, n);
	return R3_EXIT_OK;
}

const struct r3_opt reg_cli_oracle_opts[] = {
	{ "hints", "LIST", "play events instead: drv:0:US,user:DE,...", 0 },
	{ "radios", "N", "with --hints: how many radios", 0 },
	{ "json", NULL, "machine-readable", 0 },
	{ "why", NULL, "with --hints: say what each event did and why", 0 },
	REG_DB_OPTS,
	{ 0 },
};

int reg_cli_oracle(const struct r3_args *args)
{
	const char *list = r3_cli_opt(args, "hints");
	struct r3_reg_db *db;
	int code;

	if (!list == !args->count)
		return r3_cli_usage(args, "a country or --hints is needed");
	code = reg_cli_open(args, &db);
	if (code)
		return code;
	code = list ? oracle_hints(args, db, list) :
		      oracle_country(db, args->pos[0],
				    r3_cli_opt(args, "json") != NULL);
	r3_reg_db_free(db);
	return code;
}
