// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_reg_show.c - ring3 reg show, lookup, explain: one domain, one question */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_reg.h"

static const char *const regions[] = { "none", "FCC", "ETSI", "JP" };

static const struct {
	uint32_t flag;
	const char *name;
} rule_names[] = {
	{ R3_REG_NO_IR, "NO-IR" },	     { R3_REG_DFS, "DFS" },
	{ R3_REG_NO_OUTDOOR, "NO-OUTDOOR" }, { R3_REG_NO_OFDM, "NO-OFDM" },
	{ R3_REG_AUTO_BW, "AUTO-BW" },
}, channel_names[] = {
	{ R3_REG_CH_DISABLED, "disabled" }, { R3_REG_CH_NO_IR, "no-ir" },
	{ R3_REG_CH_RADAR, "radar" },	    { R3_REG_CH_INDOOR, "indoor" },
	{ R3_REG_CH_NO_OFDM, "no-ofdm" },   { R3_REG_CH_NO_10, "no-10" },
	{ R3_REG_CH_NO_20, "no-20" },	    { R3_REG_CH_NO_40MINUS, "no-40-" },
	{ R3_REG_CH_NO_40PLUS, "no-40+" },  { R3_REG_CH_NO_80, "no-80" },
	{ R3_REG_CH_NO_160, "no-160" },	    { R3_REG_CH_NO_320, "no-320" },
};

static json_t *rule_json(const struct r3_reg_rule *r)
{
	json_t *flags = json_array();

	for (unsigned i = 0; i < R3_COUNT(rule_names); i++)
		if (r->flags & rule_names[i].flag)
			json_array_append_new(flags,
					      json_string(rule_names[i].name));
	return json_pack("{s:I,s:I,s:I,s:i,s:I,s:b,s:o}", "start_khz",
			 (json_int_t)r->start_khz, "end_khz",
			 (json_int_t)r->end_khz, "max_bw_khz",
			 (json_int_t)r->max_bw_khz, "eirp_mbm", r->eirp_mbm,
			 "cac_ms", (json_int_t)r->cac_ms, "wmm", r->wmm != 0,
			 "flags", flags);
}

static json_t *channel_json(const struct r3_reg_channel *ch)
{
	json_t *flags = json_array();
	json_t *o = json_pack("{s:I,s:i}", "khz", (json_int_t)ch->khz,
			      "channel", (int)r3_reg_channel_number(ch->khz));

	for (unsigned i = 0; i < R3_COUNT(channel_names); i++)
		if (ch->flags & channel_names[i].flag)
			json_array_append_new(
				flags, json_string(channel_names[i].name));
	json_object_set_new(o, "flags", flags);
	if (ch->flags & R3_REG_CH_DISABLED)
		return o;
	json_object_set_new(o, "power_dbm", json_integer(ch->power_dbm));
	if (ch->flags & R3_REG_CH_RADAR)
		json_object_set_new(o, "cac_ms", json_integer(ch->cac_ms));
	return o;
}

json_t *reg_cli_domain_json(const struct r3_reg_domain *d)
{
	json_t *rules = json_array();

	for (unsigned i = 0; i < d->count; i++)
		json_array_append_new(rules, rule_json(&d->rules[i]));
	return json_pack("{s:s,s:s,s:o}", "country", d->alpha2, "dfs_region",
			 regions[d->dfs], "rules", rules);
}

json_t *reg_cli_channels_json(const struct r3_reg_channel *ch, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, channel_json(&ch[i]));
	return list;
}

void reg_cli_print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(o);
}

static void show_json(const struct r3_reg_db *db,
		      const struct r3_reg_domain *d,
		      const struct r3_reg_channel *ch, unsigned n)
{
	json_t *o = reg_cli_domain_json(d);

	json_object_set_new(o, "database_sha256",
			    json_string(r3_reg_db_hash(db)));
	json_object_set_new(o, "channels", reg_cli_channels_json(ch, n));
	reg_cli_print_json(o);
}

static void show_rules(const struct r3_reg_domain *d)
{
	char a[16], b[16], w[16];

	puts("rule        MHz          width    EIRP");
	for (unsigned i = 0; i < d->count; i++) {
		const struct r3_reg_rule *r = &d->rules[i];

		printf("%3u  %8s - %-8s %5s  %3d.%02d dBm ", i,
		       r3_reg_mhz(r->start_khz, a), r3_reg_mhz(r->end_khz, b),
		       r3_reg_mhz(r->max_bw_khz, w), r->eirp_mbm / 100,
		       r->eirp_mbm % 100);
		for (unsigned n = 0; n < R3_COUNT(rule_names); n++)
			if (r->flags & rule_names[n].flag)
				printf(" %s", rule_names[n].name);
		puts(r->wmm ? " WMM" : "");
	}
}

/* "20 40+ 80": what is allowed, not what is forbidden. */
static void print_widths(const struct r3_reg_cell *c)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{ R3_REG_T20, "20" },	{ R3_REG_T40M, "40-" },
		{ R3_REG_T40P, "40+" }, { R3_REG_T80, "80" },
		{ R3_REG_T160, "160" }, { R3_REG_T320, "320" },
	};
	char text[40] = "";

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (c->widths & names[i].bit) {
			strcat(text, names[i].name);
			strcat(text, " ");
		}
	printf("%-24s", text);
}

static void show_channels(const struct r3_reg_domain *d,
			  const struct r3_reg_channel *ch, unsigned n)
{
	struct r3_reg_table *t = malloc(sizeof(*t));
	char mhz[16];
	unsigned off = 0;

	if (!t)
		return;
	r3_reg_table_fill(t, d);
	puts("\nchannel      MHz   dBm  widths                  demands");
	for (unsigned i = 0; i < n; i++) {
		const struct r3_reg_cell *c;

		if (ch[i].band == R3_REG_BAND_S1GHZ)
			continue;
		if (ch[i].flags & R3_REG_CH_DISABLED) {
			off++;
			continue;
		}
		c = &t->cell[r3_reg_table_index(ch[i].khz)];
		printf("%7u %8s  %4d  ", r3_reg_channel_number(ch[i].khz),
		       r3_reg_mhz(ch[i].khz, mhz), ch[i].power_dbm);
		print_widths(c);
		printf("%s%s%s%s\n",
		       ch[i].flags & R3_REG_CH_NO_IR ? "no-IR " : "",
		       ch[i].flags & R3_REG_CH_RADAR ? "radar " : "",
		       ch[i].flags & R3_REG_CH_INDOOR ? "indoor " : "",
		       ch[i].flags & R3_REG_CH_NO_OFDM ? "no-OFDM" : "");
	}
	printf("%u more channels are disabled; S1G: see --json\n", off);
	free(t);
}

static int show_all(const struct r3_args *args, const struct r3_reg_db *db)
{
	bool json = r3_cli_opt(args, "json");
	json_t *list = json ? json_array() : NULL;

	for (unsigned i = 0; i < r3_reg_db_count(db); i++) {
		const struct r3_reg_domain *d = r3_reg_db_at(db, i);

		if (json)
			json_array_append_new(
				list, json_pack("{s:s,s:s,s:i}", "country",
						d->alpha2, "dfs_region",
						regions[d->dfs], "rules",
						(int)d->count));
		else
			printf("%s  DFS %-4s  %2u rules\n", d->alpha2,
			       regions[d->dfs], d->count);
	}
	if (json)
		reg_cli_print_json(list);
	return R3_EXIT_OK;
}

static int show_one(const struct r3_args *args, const struct r3_reg_db *db)
{
	const struct r3_reg_domain *d = reg_cli_country(db, args->pos[0]);
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);

	if (!d)
		return R3_EXIT_UNKNOWN;
	r3_reg_derive(d, ch, n);
	if (r3_cli_opt(args, "svg")) {
		r3_reg_svg(stdout, d);
	} else if (r3_cli_opt(args, "json")) {
		show_json(db, d, ch, n);
	} else {
		printf("%s, DFS region %s, database %.12s\n\n", d->alpha2,
		       regions[d->dfs], r3_reg_db_hash(db));
		show_rules(d);
		show_channels(d, ch, n);
	}
	return R3_EXIT_OK;
}

const struct r3_opt reg_cli_show_opts[] = {
	{ "json", NULL, "machine-readable", 0 },
	{ "svg", NULL, "a picture of the spectrum", 0 },
	REG_DB_OPTS,
	{ 0 },
};

int reg_cli_show(const struct r3_args *args)
{
	struct r3_reg_db *db;
	int code = reg_cli_open(args, &db);

	if (code)
		return code;
	code = args->count ? show_one(args, db) : show_all(args, db);
	r3_reg_db_free(db);
	return code;
}

/* ---- lookup and explain -------------------------------------------------- */

static bool parse_mhz(const char *text, uint32_t *khz)
{
	char *end;
	double f = strtod(text, &end);

	if (end == text || *end || !(f > 0 && f < 100000))
		return false;
	*khz = (uint32_t)(f * 1000 + 0.5);
	return true;
}

static bool parse_width(const char *text, enum r3_reg_width *out, int *side)
{
	size_t len = strlen(text);

	*side = 0;
	if (!strcmp(text, "40-") || !strcmp(text, "40+")) {
		*side = text[2] == '-' ? -1 : 1;
		*out = R3_REG_W40;
		return true;
	}
	for (unsigned i = R3_REG_W20; len && i < R3_REG_WIDTHS; i++)
		if (!strcmp(text, r3_reg_width_name(i))) {
			*out = i;
			return true;
		}
	return false;
}

/* The block: given by its centre, or the one 802.11 has around the channel. */
static int parse_def(const struct r3_args *args, struct r3_reg_chandef *d)
{
	const char *freq = r3_cli_opt(args, "freq");
	const char *width = r3_cli_opt(args, "width");
	const char *center = r3_cli_opt(args, "center");
	const char *center2 = r3_cli_opt(args, "center2");
	enum r3_reg_width w = R3_REG_W20;
	uint32_t khz;
	int side = 0;

	if (!freq || !parse_mhz(freq, &khz))
		return r3_cli_usage(args,
				    "--freq MHZ is needed, such as --freq 5180");
	if (width && !parse_width(width, &w, &side))
		return r3_cli_usage(
			args,
			"--width is 5 10 20 40 40- 40+ 80 80+80 160 320 (S1G: 1 2 4 8 16; 60 GHz: 2160), not '%s'",
			width);
	if (!width && khz < 1000000)
		w = R3_REG_W1;
	if (!width && khz > 45000000)
		w = R3_REG_W2160;
	if (!width && khz == 2484000)
		w = R3_REG_W20_NOHT;
	*d = (struct r3_reg_chandef){ khz, khz, 0, w };
	if (center && !parse_mhz(center, &d->center1_khz))
		return r3_cli_usage(args, "--center is in MHz");
	if (center2 && !parse_mhz(center2, &d->center2_khz))
		return r3_cli_usage(args, "--center2 is in MHz");
	if (w == R3_REG_W80P80 && (!center || !center2))
		return r3_cli_usage(
			args, "80+80 needs --center and --center2");
	if (w == R3_REG_W40 && !center && !side && khz < 5000000)
		side = khz <= 2432000 ? 1 : -1;
	if (!center && r3_reg_chandef_make(khz, w, side, d))
		d->width = w; /* the judge says that it does not exist */
	return 0;
}

static int parse_ask(const struct r3_args *args, struct r3_reg_ask *q)
{
	const char *power = r3_cli_opt(args, "power");
	char *end;
	double dbm;

	*q = (struct r3_reg_ask){
		.use = r3_cli_opt(args, "station") ? R3_REG_USE_STATION :
						     R3_REG_USE_BEACON,
		.outdoor = r3_cli_opt(args, "outdoor") != NULL,
		.dfs_capable = !r3_cli_opt(args, "no-dfs"),
	};
	if (q->outdoor && r3_cli_opt(args, "indoor"))
		return r3_cli_usage(args, "--indoor or --outdoor, not both");
	if (power) {
		dbm = strtod(power, &end);
		if (end == power || *end || !(dbm > -100 && dbm < 100))
			return r3_cli_usage(args, "--power is in dBm");
		q->has_power = true;
		q->power_mbm = (int)(dbm * 100 + (dbm < 0 ? -0.5 : 0.5));
	}
	return parse_def(args, &q->def);
}

static bool is_fine(enum r3_reg_verdict v)
{
	return v == R3_REG_OK || v == R3_REG_OK_AFTER_CAC;
}

static void ask_json(const struct r3_reg_db *db, const struct r3_reg_domain *d,
		     const struct r3_reg_ask *q, const struct r3_reg_answer *a,
		     const char *text, const char *steps)
{
	struct r3_reg_found f = r3_reg_find(d, q->def.control_khz);
	json_t *o = json_pack(
		"{s:s,s:s,s:I,s:I,s:s,s:b,s:s,s:s,s:I,s:i,s:i,s:I}",
		"country", d->alpha2, "database_sha256", r3_reg_db_hash(db),
		"control_khz", (json_int_t)q->def.control_khz, "center_khz",
		(json_int_t)q->def.center1_khz, "width_mhz",
		r3_reg_width_name(q->def.width), "allowed",
		is_fine(a->verdict), "verdict",
		r3_reg_verdict_name(a->verdict), "text", text, "bad_khz",
		(json_int_t)a->bad_khz, "rule", f.rule, "max_dbm",
		a->power_dbm == INT16_MAX ? 0 : a->power_dbm, "cac_ms",
		(json_int_t)a->cac_ms);
	json_t *unknown = json_array();

	if (steps) {
		for (unsigned i = 0; r3_reg_unknowns[i]; i++)
			json_array_append_new(unknown,
					      json_string(r3_reg_unknowns[i]));
		json_object_set_new(o, "steps", json_string(steps));
		json_object_set_new(o, "database_version", json_integer(20));
		json_object_set_new(o, "unknown_to_database", unknown);
	} else {
		json_decref(unknown);
	}
	reg_cli_print_json(o);
}

static void explain_text(const struct r3_reg_db *db,
			 const struct r3_reg_domain *d,
			 const struct r3_reg_ask *q)
{
	printf("\nHow, in %s (DFS region %s):\n", d->alpha2, regions[d->dfs]);
	r3_reg_explain(stdout, d, q);
	printf("\nDatabase version 20, sha256 %s\n", r3_reg_db_hash(db));
	puts("What it can't know:");
	for (unsigned i = 0; r3_reg_unknowns[i]; i++)
		printf("  - %s\n", r3_reg_unknowns[i]);
}

static int answer(const struct r3_args *args, const struct r3_reg_db *db,
		  const struct r3_reg_ask *q, bool explain)
{
	const struct r3_reg_domain *d = reg_cli_country(db, args->pos[0]);
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);
	struct r3_reg_answer a;
	char text[R3_REG_REASON_MAX], *steps = NULL;
	size_t len;
	FILE *mem;

	if (!d)
		return R3_EXIT_UNKNOWN;
	r3_reg_derive(d, ch, n);
	a = r3_reg_judge(ch, n, q);
	r3_reg_answer_text(d, q, &a, text, sizeof(text));
	if (r3_cli_opt(args, "json")) {
		mem = explain ? open_memstream(&steps, &len) : NULL;
		if (mem) {
			r3_reg_explain(mem, d, q);
			fclose(mem);
		}
		ask_json(db, d, q, &a, text, steps);
		free(steps);
	} else {
		printf("%s %s MHz, %s MHz wide: %s\n", d->alpha2,
		       r3_reg_mhz(q->def.control_khz, (char[16]){ "" }),
		       r3_reg_width_name(q->def.width), text);
		if (explain)
			explain_text(db, d, q);
	}
	return is_fine(a.verdict) ? R3_EXIT_OK : R3_EXIT_FAILED;
}

const struct r3_opt reg_cli_lookup_opts[] = {
	{ "freq", "MHZ", "centre of the control channel", 0 },
	{ "width", "MHZ", "20 (default), 40-, 40+, 80, 80+80, 160, 320, ...",
	  0 },
	{ "center", "MHZ", "centre of the block, where it isn't the usual", 0 },
	{ "center2", "MHZ", "centre of the second block of 80+80", 0 },
	{ "power", "DBM", "EIRP that shall be sent", 0 },
	{ "indoor", NULL, "used inside a building (default)", 0 },
	{ "outdoor", NULL, "used outdoors", 0 },
	{ "station", NULL, "follow a network instead of starting one", 0 },
	{ "no-dfs", NULL, "the radio can't detect radar", 0 },
	{ "json", NULL, "machine-readable", 0 },
	REG_DB_OPTS,
	{ 0 },
};

static int ask(const struct r3_args *args, bool explain)
{
	struct r3_reg_ask q;
	struct r3_reg_db *db;
	int code = parse_ask(args, &q);

	if (!code)
		code = reg_cli_open(args, &db);
	if (code)
		return code;
	code = answer(args, db, &q, explain);
	r3_reg_db_free(db);
	return code;
}

int reg_cli_lookup(const struct r3_args *args)
{
	return ask(args, false);
}

int reg_cli_explain(const struct r3_args *args)
{
	return ask(args, true);
}
