// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_hostapd.c - hostapd.conf: key=value lines, of which those about country,
 * channel, width and radar matter here
 */
#include <ctype.h>
#include <stdio.h>

#include "conf.h"

struct hostapd {
	struct conf_radio r;
	struct r3_reg_findings *f;
	char mode[8];
	struct r3_reg_place mode_at, h_at;
	bool d, h, n, ac, ax, be, seen_channel;
	long vht_width, he_width, eht_width; /* -1: not given */
	long op_class;
	unsigned vht_seg0, vht_seg1, he_seg0, he_seg1, eht_seg0;
};

static void set_bool(struct hostapd *s, const char *key, const char *value,
		     struct r3_reg_place at, bool *out)
{
	long n;

	if (conf_number(value, at, 0, 1, key, &n, s->f))
		*out = n;
}

static void set_channel(struct hostapd *s, const char *value,
			struct r3_reg_place at)
{
	long n = 0;

	s->r.net.channel_at = at;
	s->seen_channel = true;
	if (strcmp(value, "acs_survey") &&
	    !conf_number(value, at, 0, 253, "channel", &n, s->f)) {
		s->r.disabled = true;
		return;
	}
	s->r.channel = (unsigned)n;
	s->r.net.any_channel = !n;
}

static void set_ht(struct hostapd *s, const char *value,
		   struct r3_reg_place at)
{
	const char *minus = strstr(value, "[HT40-]");
	const char *plus = strstr(value, "[HT40+]");

	if (minus || plus)
		s->r.net.width_at = (struct r3_reg_place){
			at.line, at.column + (unsigned)((minus ? minus : plus) -
							value) };
	if (minus && plus)
		s->r.ht40_any = true;
	else if (minus || plus)
		s->r.ht40 = minus ? -1 : 1;
}

static void set_country3(struct hostapd *s, const char *value,
			 struct r3_reg_place at)
{
	long n;

	if (conf_number(value, at, 0, 255, "country3", &n, s->f))
		s->r.net.outdoor = n == 'O';
}

/* Numeric keys. */
static const struct {
	const char *key;
	long max;
	size_t offset;
	bool is_seg; /* unsigned, else long */
} numbers[] = {
	{ "vht_oper_chwidth", 3, offsetof(struct hostapd, vht_width), false },
	{ "he_oper_chwidth", 3, offsetof(struct hostapd, he_width), false },
	{ "eht_oper_chwidth", 9, offsetof(struct hostapd, eht_width), false },
	{ "op_class", 255, offsetof(struct hostapd, op_class), false },
	{ "vht_oper_centr_freq_seg0_idx", 255,
	  offsetof(struct hostapd, vht_seg0), true },
	{ "vht_oper_centr_freq_seg1_idx", 255,
	  offsetof(struct hostapd, vht_seg1), true },
	{ "he_oper_centr_freq_seg0_idx", 255,
	  offsetof(struct hostapd, he_seg0), true },
	{ "he_oper_centr_freq_seg1_idx", 255,
	  offsetof(struct hostapd, he_seg1), true },
	{ "eht_oper_centr_freq_seg0_idx", 255,
	  offsetof(struct hostapd, eht_seg0), true },
};

static bool set_number(struct hostapd *s, const char *key, const char *value,
		       struct r3_reg_place at)
{
	long n;

	for (unsigned i = 0; i < R3_COUNT(numbers); i++) {
		void *field = (char *)s + numbers[i].offset;

		if (strcmp(key, numbers[i].key))
			continue;
		if (!conf_number(value, at, 0, numbers[i].max, key, &n, s->f))
			return true;
		if (numbers[i].is_seg) {
			*(unsigned *)field = (unsigned)n;
			s->r.seg_at = at;
		} else {
			*(long *)field = n;
			s->r.net.width_at = at;
		}
		return true;
	}
	return false;
}

static void set_mode(struct hostapd *s, const char *value,
		     struct r3_reg_place at)
{
	static const char *const known[] = { "a", "b", "g", "ad", "any" };

	for (unsigned i = 0; i < R3_COUNT(known); i++)
		if (!strcmp(value, known[i])) {
			snprintf(s->mode, sizeof(s->mode), "%s",
				 known[i]);
			s->mode_at = at;
			return;
		}
	conf_say(s->f, R3_REG_ERROR, at, "a (5 and 6 GHz), g (2.4 GHz), b, ad",
		 "unknown hw_mode '%.20s'", value);
}

static void set(struct hostapd *s, const char *key, const char *value,
		struct r3_reg_place at)
{
	if (!strcmp(key, "interface")) {
		snprintf(s->r.net.name, sizeof(s->r.net.name), "%.32s", value);
	} else if (!strcmp(key, "country_code")) {
		conf_country(value, at, s->r.net.country, s->f);
		s->r.net.country_at = at;
	} else if (!strcmp(key, "country3")) {
		set_country3(s, value, at);
	} else if (!strcmp(key, "ieee80211d")) {
		set_bool(s, key, value, at, &s->d);
	} else if (!strcmp(key, "ieee80211h")) {
		set_bool(s, key, value, at, &s->h);
		s->h_at = at;
	} else if (!strcmp(key, "hw_mode")) {
		set_mode(s, value, at);
	} else if (!strcmp(key, "channel")) {
		set_channel(s, value, at);
	} else if (!strcmp(key, "ieee80211n")) {
		set_bool(s, key, value, at, &s->n);
	} else if (!strcmp(key, "ieee80211ac")) {
		set_bool(s, key, value, at, &s->ac);
	} else if (!strcmp(key, "ieee80211ax")) {
		set_bool(s, key, value, at, &s->ax);
	} else if (!strcmp(key, "ieee80211be")) {
		set_bool(s, key, value, at, &s->be);
	} else if (!strcmp(key, "ht_capab")) {
		set_ht(s, value, at);
	} else {
		set_number(s, key, value, at);
	}
}

static const char *const our_keys[] = { "channel", "country_code", "hw_mode",
					"ieee80211h", "ieee80211d", NULL };

/* One line; hostapd does not trim, so neither is anything trimmed here. */
static void read_line(struct hostapd *s, const struct conf_line *l)
{
	char key[64], value[CONF_VALUE_MAX];
	const char *eq;
	size_t k, v;

	if (l->start == l->end || *l->start == '#')
		return;
	eq = memchr(l->start, '=', (size_t)(l->end - l->start));
	if (!eq) {
		conf_say(s->f, R3_REG_ERROR, conf_place(l, l->start),
			 "write KEY=VALUE, or begin a comment with #",
			 "no '=' in this line: hostapd refuses the file");
		return;
	}
	k = (size_t)(eq - l->start);
	v = (size_t)(l->end - eq - 1);
	if (k >= sizeof(key) || v >= sizeof(value))
		return; /* none of ours is that long */
	memcpy(key, l->start, k);
	key[k] = '\0';
	memcpy(value, eq + 1, v);
	value[v] = '\0';
	for (unsigned i = 0; our_keys[i]; i++)
		if (k && strstr(key, our_keys[i]) &&
		    (isspace((unsigned char)key[0]) ||
		     isspace((unsigned char)key[k - 1])))
			conf_say(s->f, R3_REG_ERROR, conf_place(l, l->start),
				 "remove the blanks",
				 "blanks around '%s': hostapd does not know such a key",
				 our_keys[i]);
	set(s, key, value, conf_place(l, eq + 1));
}

/* Operating classes of 6 GHz give the width themselves. */
static void apply_op_class(struct hostapd *s)
{
	static const enum r3_reg_width of[] = {
		R3_REG_W20, R3_REG_W40, R3_REG_W80,   R3_REG_W160,
		R3_REG_W80P80, R3_REG_W20, R3_REG_W320,
	};

	if (s->op_class < 131 || s->op_class > 137)
		return;
	s->r.band = R3_REG_BAND_6GHZ;
	s->r.width = of[s->op_class - 131];
	s->r.has_width = true;
	if (s->op_class == 136)
		s->r.channel = s->r.channel ? 2 : 0;
}

/* 0: 20 or 40, 1: 80, 2: 160, 3: 80+80, 9: 320; the newest standard counts. */
static void apply_width(struct hostapd *s)
{
	struct conf_radio *r = &s->r;
	long w = 0;

	if (s->ac && s->vht_width >= 0) {
		w = s->vht_width;
		r->need_seg = "vht_oper_centr_freq_seg0_idx";
		r->seg0 = s->vht_seg0;
		r->seg1 = s->vht_seg1;
	}
	if (s->ax && s->he_width >= 0) {
		w = s->he_width;
		r->need_seg = "he_oper_centr_freq_seg0_idx";
		r->seg0 = s->he_seg0;
		r->seg1 = s->he_seg1;
	}
	if (s->be && s->eht_width >= 0) {
		w = s->eht_width;
		r->need_seg = "eht_oper_centr_freq_seg0_idx";
		r->seg0 = s->eht_seg0;
	}
	if (w == 1 || w == 2 || w == 3)
		r->width = w == 1 ? R3_REG_W80 :
			   w == 2 ? R3_REG_W160 :
				    R3_REG_W80P80;
	else if (w == 9)
		r->width = R3_REG_W320;
	else if (w)
		conf_say(s->f, R3_REG_ERROR, r->net.width_at,
			 "0 (20 or 40), 1 (80), 2 (160), 3 (80+80) or 9 (320)",
			 "unknown operating width %ld", w);
	else if ((r->ht40 || r->ht40_any) && (s->n || s->ac || s->ax))
		r->width = R3_REG_W40;
	else
		return;
	r->has_width = true;
}

static void apply_mode(struct hostapd *s)
{
	struct conf_radio *r = &s->r;
	bool five = !strcmp(s->mode, "a");
	struct r3_reg_place at = s->mode_at.line ? s->mode_at :
						   r->net.channel_at;

	r->band_known = true;
	r->band = five ? R3_REG_BAND_5GHZ :
		  !strcmp(s->mode, "ad") ? R3_REG_BAND_60GHZ :
					   R3_REG_BAND_2GHZ;
	if (!strcmp(s->mode, "any"))
		r->band_known = false;
	r->net.no_ofdm = !strcmp(s->mode, "b");
	if (r->channel && r->channel <= 14 && five && s->op_class < 131)
		conf_say(s->f, R3_REG_ERROR, at, "hw_mode=g",
			 "hw_mode=a is 5 and 6 GHz, channel %u is in 2.4 GHz",
			 r->channel);
	else if (r->channel > 14 && r->band_known &&
		 r->band == R3_REG_BAND_2GHZ)
		conf_say(s->f, R3_REG_ERROR, at, "hw_mode=a",
			 "hw_mode=%s%s is 2.4 GHz, channel %u is not", s->mode,
			 s->mode_at.line ? "" : " (the default)", r->channel);
	else
		return;
	r->band_known = false;
}

/* 802.11g and n can't run on channel 14; hostapd would not say so. */
static void check_channel_14(struct hostapd *s)
{
	if (s->r.channel == 14 && !strcmp(s->mode, "g"))
		conf_say(s->f, R3_REG_WARNING, s->mode_at, "hw_mode=b",
			 "channel 14 is for 802.11b alone");
}

static void finish(struct hostapd *s, struct r3_reg_conf *out)
{
	struct r3_reg_net *n = &s->r.net;

	n->dfs = s->h && s->d && n->country[0];
	n->dfs_at = s->h_at.line ? s->h_at : n->channel_at;
	n->dfs_key = "country_code, ieee80211d=1 and ieee80211h=1";
	if (s->h && !s->d)
		conf_say(s->f, R3_REG_WARNING, s->h_at, "add ieee80211d=1",
			 "ieee80211h=1 has no effect without ieee80211d=1");
	if (s->d && !n->country[0])
		conf_say(s->f, R3_REG_ERROR, n->channel_at,
			 "add country_code=CC",
			 "ieee80211d=1 without country_code: hostapd refuses the file");
	if (!s->seen_channel)
		n->any_channel = true;
	apply_mode(s);
	check_channel_14(s);
	apply_width(s);
	apply_op_class(s);
	if (!s->r.disabled && conf_resolve(&s->r, s->f))
		conf_add(out, n, s->f);
}

void conf_read_hostapd(struct r3_reg_conf *out, struct conf_text t,
		       struct r3_reg_findings *f)
{
	struct hostapd s = { .f = f, .mode = "b", .vht_width = -1,
			     .he_width = -1, .eht_width = -1 };
	struct conf_line l;

	s.r.net.use = R3_REG_USE_BEACON;
	s.r.net.at = (struct r3_reg_place){ 1, 1 };
	while (conf_next(&t, &l))
		read_line(&s, &l);
	finish(&s, out);
}
