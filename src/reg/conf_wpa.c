// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_wpa.c - wpa_supplicant.conf: a country for all, then network blocks that
 * join (station) or start (AP, IBSS, mesh) a network on a frequency
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf.h"

struct wpa {
	struct r3_reg_conf *out;
	struct r3_reg_findings *f;
	char country[3];
	struct r3_reg_place country_at;
	bool in_network, has_freq;
	struct conf_radio r;
	long mode, max_width;
	struct r3_reg_place block_at;
};

static void begin(struct wpa *s, struct r3_reg_place at)
{
	memset(&s->r, 0, sizeof(s->r));
	s->r.net.at = s->block_at = at;
	s->r.net.any_channel = true;
	s->in_network = true;
	s->mode = 0;
	s->max_width = -1;
}

static void apply_width(struct wpa *s)
{
	static const enum r3_reg_width of[] = { R3_REG_W40, R3_REG_W80,
						R3_REG_W160, R3_REG_W80P80 };

	if (s->max_width < 0 && !s->r.ht40)
		return;
	s->r.has_width = true;
	s->r.width = s->max_width > 0 ? of[s->max_width] : R3_REG_W40;
}

static void end(struct wpa *s)
{
	struct r3_reg_net *n = &s->r.net;

	s->in_network = false;
	n->use = s->mode ? R3_REG_USE_BEACON : R3_REG_USE_STATION;
	n->dfs = s->mode == 2 && s->country[0];
	n->dfs_at = n->channel_at;
	n->dfs_key = "country=";
	s->r.band = r3_reg_band_of(s->r.khz);
	s->r.band_known = true;
	if (s->mode)
		apply_width(s);
	if (s->mode && n->any_channel)
		conf_say(s->f, R3_REG_WARNING, n->at, "add frequency=MHZ",
			 "a network of mode %ld without a frequency: the program chooses one",
			 s->mode);
	if (conf_resolve(&s->r, s->f))
		conf_add(s->out, n, s->f);
}

static void set_freq(struct wpa *s, const char *value, struct r3_reg_place at)
{
	long mhz;

	if (!conf_number(value, at, 1, 70000, "frequency", &mhz, s->f))
		return;
	s->r.khz = (uint32_t)mhz * 1000;
	s->r.net.channel_at = at;
	s->r.net.any_channel = false;
}

/* scan_freq and freq_list: each must be a channel; judged as a station's. */
static void check_list(struct wpa *s, const char *key, const char *value,
		       struct r3_reg_place at)
{
	const char *p = value;
	char *stop;

	while (*p) {
		long mhz = strtol(p, &stop, 10);

		if (stop == p || mhz < 1 || mhz > 70000) {
			at.column += (unsigned)(p - value);
			conf_say(s->f, R3_REG_ERROR, at, NULL,
				 "%s: frequencies in MHz are expected", key);
			return;
		}
		p = stop;
		while (isblank((unsigned char)*p))
			p++;
	}
}

static void set_network(struct wpa *s, const char *key, const char *value,
			struct r3_reg_place at)
{
	long n;

	if (!strcmp(key, "frequency")) {
		set_freq(s, value, at);
	} else if (!strcmp(key, "mode")) {
		conf_number(value, at, 0, 5, key, &s->mode, s->f);
	} else if (!strcmp(key, "ssid")) {
		snprintf(s->r.net.name, sizeof(s->r.net.name), "%.32s", value);
	} else if (!strcmp(key, "ht40")) {
		if (conf_number(value, at, -1, 1, key, &n, s->f))
			s->r.ht40 = (int)n;
		s->r.net.width_at = at;
	} else if (!strcmp(key, "max_oper_chwidth")) {
		if (conf_number(value, at, 0, 3, key, &n, s->f))
			s->max_width = n;
		s->r.net.width_at = at;
	} else if (!strcmp(key, "vht_center_freq1")) {
		if (conf_number(value, at, 0, 70000, key, &n, s->f))
			s->r.seg0 = r3_reg_channel_number((uint32_t)n * 1000);
		s->r.seg_at = at;
	} else if (!strcmp(key, "vht_center_freq2")) {
		if (conf_number(value, at, 0, 70000, key, &n, s->f))
			s->r.seg1 = r3_reg_channel_number((uint32_t)n * 1000);
	} else if (!strcmp(key, "scan_freq") || !strcmp(key, "freq_list")) {
		check_list(s, key, value, at);
	}
}

static void read_line(struct wpa *s, const struct conf_line *l)
{
	char key[64], value[CONF_VALUE_MAX];
	const char *p = l->start, *e = l->end, *eq;

	while (p < e && isspace((unsigned char)*p))
		p++;
	while (e > p && isspace((unsigned char)e[-1]))
		e--;
	if (p == e || *p == '#')
		return;
	if (s->in_network && *p == '}') {
		end(s);
		return;
	}
	if ((size_t)(e - p) >= 9 && !memcmp(p, "network={", 9)) {
		if (s->in_network)
			conf_say(s->f, R3_REG_ERROR, conf_place(l, p),
				 "close the one before with }",
				 "a network inside a network");
		begin(s, conf_place(l, p));
		return;
	}
	eq = memchr(p, '=', (size_t)(e - p));
	if (!eq) {
		conf_say(s->f, R3_REG_ERROR, conf_place(l, p),
			 "write KEY=VALUE", "no '=' in this line");
		return;
	}
	if (eq - p >= (long)sizeof(key) || e - eq > (long)sizeof(value))
		return;
	snprintf(key, sizeof(key), "%.*s", (int)(eq - p), p);
	snprintf(value, sizeof(value), "%.*s", (int)(e - eq - 1), eq + 1);
	if (s->in_network) {
		set_network(s, key, value, conf_place(l, eq + 1));
	} else if (!strcmp(key, "country")) {
		s->country_at = conf_place(l, eq + 1);
		conf_country(value, s->country_at, s->country, s->f);
	}
}

void conf_read_wpa(struct r3_reg_conf *out, struct conf_text t,
		   struct r3_reg_findings *f)
{
	struct wpa s = { .out = out, .f = f };
	struct conf_line l;

	while (conf_next(&t, &l))
		read_line(&s, &l);
	if (s.in_network) {
		conf_say(f, R3_REG_ERROR, s.block_at, "close it with }",
			 "this network has no end");
		end(&s);
	}
	/* the country may stand behind the networks */
	for (unsigned i = 0; i < out->count; i++) {
		struct r3_reg_net *n = &out->net[i];

		memcpy(n->country, s.country, 3);
		n->country_at = s.country_at;
		if (n->use == R3_REG_USE_BEACON)
			n->dfs = s.country[0] != '\0';
	}
}
