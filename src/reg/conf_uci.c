// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf_uci.c - OpenWrt's /etc/config/wireless: wifi-device sections are radios,
 * wifi-iface sections say what they do
 *
 *	config wifi-device 'radio0'
 *		option channel '36'
 */
#include <ctype.h>
#include <stdio.h>

#include "conf.h"

struct device {
	char id[33];
	struct conf_radio r;
	bool doth, off, has_channel, has_beacon;
};

struct uci {
	struct r3_reg_conf *out;
	struct r3_reg_findings *f;
	struct device dev[R3_REG_NETS_MAX];
	unsigned count;
	enum { NOTHING, DEVICE, IFACE } in;
	/* the wifi-iface being read */
	char iface_device[33];
	bool iface_off, iface_station;
};

/* The next word, quoted or not; false at the line's end. */
static bool word(const struct conf_line *l, const char **p, char *out,
		 size_t max, const char **at)
{
	char quote = 0;
	size_t n = 0;

	while (*p < l->end && isspace((unsigned char)**p))
		(*p)++;
	if (*p == l->end || **p == '#')
		return false;
	*at = *p;
	if (**p == '\'' || **p == '"') {
		quote = *(*p)++;
		*at = *p;
	}
	while (*p < l->end && (quote ? **p != quote :
				       !isspace((unsigned char)**p))) {
		if (n + 1 < max)
			out[n++] = **p;
		(*p)++;
	}
	out[n] = '\0';
	if (quote && *p < l->end)
		(*p)++;
	return true;
}

static void close_iface(struct uci *s)
{
	if (s->in != IFACE || s->iface_off || s->iface_station)
		return;
	for (unsigned i = 0; i < s->count; i++)
		if (!strcmp(s->dev[i].id, s->iface_device))
			s->dev[i].has_beacon = true;
}

static void begin(struct uci *s, const char *kind, const char *name,
		  struct r3_reg_place at)
{
	struct device *d;

	close_iface(s);
	s->in = NOTHING;
	if (!strcmp(kind, "wifi-iface")) {
		s->in = IFACE;
		s->iface_off = s->iface_station = false;
		s->iface_device[0] = '\0';
		return;
	}
	if (strcmp(kind, "wifi-device"))
		return;
	if (s->count == R3_REG_NETS_MAX) {
		conf_say(s->f, R3_REG_WARNING, at, NULL,
			 "more than %u radios; the rest is not checked",
			 R3_REG_NETS_MAX);
		return;
	}
	d = &s->dev[s->count++];
	memset(d, 0, sizeof(*d));
	snprintf(d->id, sizeof(d->id), "%.32s", name);
	snprintf(d->r.net.name, sizeof(d->r.net.name), "%.32s", name);
	d->r.net.at = at;
	d->doth = true;
	s->in = DEVICE;
}

static void set_htmode(struct uci *s, struct device *d, const char *value,
		       struct r3_reg_place at)
{
	static const struct {
		const char *suffix;
		enum r3_reg_width width;
		int side;
	} modes[] = {
		{ "40-", R3_REG_W40, -1 },   { "40+", R3_REG_W40, 1 },
		{ "80+80", R3_REG_W80P80, 0 }, { "320", R3_REG_W320, 0 },
		{ "160", R3_REG_W160, 0 },   { "80", R3_REG_W80, 0 },
		{ "40", R3_REG_W40, 0 },     { "20", R3_REG_W20, 0 },
	};
	size_t len = strlen(value);

	d->r.net.width_at = at;
	if (!strcmp(value, "NOHT") || !strcmp(value, "NONE"))
		return;
	for (unsigned i = 0; i < R3_COUNT(modes); i++) {
		size_t n = strlen(modes[i].suffix);

		if (len < n + 2 || strcmp(value + len - n, modes[i].suffix))
			continue;
		d->r.width = modes[i].width;
		d->r.has_width = true;
		d->r.ht40 = modes[i].side;
		return;
	}
	conf_say(s->f, R3_REG_ERROR, at, "HT20, HT40, VHT80, HE80, HE160, ...",
		 "unknown htmode '%.20s'", value);
}

static void set_band(struct uci *s, struct device *d, const char *value,
		     struct r3_reg_place at)
{
	static const struct {
		const char *name;
		enum r3_reg_band band;
	} names[] = {
		{ "2g", R3_REG_BAND_2GHZ },  { "11g", R3_REG_BAND_2GHZ },
		{ "11b", R3_REG_BAND_2GHZ }, { "5g", R3_REG_BAND_5GHZ },
		{ "11a", R3_REG_BAND_5GHZ }, { "6g", R3_REG_BAND_6GHZ },
		{ "60g", R3_REG_BAND_60GHZ },
	};

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (!strcmp(value, names[i].name)) {
			d->r.band = names[i].band;
			d->r.band_known = true;
			return;
		}
	conf_say(s->f, R3_REG_ERROR, at, "2g, 5g, 6g or 60g",
		 "unknown band '%.20s'", value);
}

static void set_device(struct uci *s, const char *key, const char *value,
		       struct r3_reg_place at)
{
	struct device *d = &s->dev[s->count - 1];
	struct r3_reg_net *net = &d->r.net;
	long n = 0;

	if (!strcmp(key, "channel")) {
		net->channel_at = at;
		d->has_channel = true;
		if (strcmp(value, "auto") &&
		    !conf_number(value, at, 0, 253, key, &n, s->f))
			d->off = true;
		d->r.channel = (unsigned)n;
		net->any_channel = !n;
	} else if (!strcmp(key, "band") || !strcmp(key, "hwmode")) {
		set_band(s, d, value, at);
	} else if (!strcmp(key, "htmode")) {
		set_htmode(s, d, value, at);
	} else if (!strcmp(key, "country")) {
		conf_country(value, at, net->country, s->f);
		net->country_at = at;
	} else if (!strcmp(key, "txpower")) {
		if (conf_number(value, at, 0, 100, key, &n, s->f)) {
			net->has_power = true;
			net->power_mbm = (int)n * 100;
		}
		net->power_at = at;
	} else if (!strcmp(key, "doth")) {
		d->doth = strcmp(value, "0") != 0;
		net->dfs_at = at;
	} else if (!strcmp(key, "disabled")) {
		d->off = !strcmp(value, "1");
	}
}

static void set_iface(struct uci *s, const char *key, const char *value)
{
	if (!strcmp(key, "device"))
		snprintf(s->iface_device, sizeof(s->iface_device), "%.32s",
			 value);
	else if (!strcmp(key, "disabled"))
		s->iface_off = !strcmp(value, "1");
	else if (!strcmp(key, "mode"))
		s->iface_station = !strcmp(value, "sta") ||
				   !strcmp(value, "monitor");
}

static void read_line(struct uci *s, const struct conf_line *l)
{
	char verb[16], key[33], value[CONF_VALUE_MAX] = "";
	const char *p = l->start, *at, *at_verb;

	if (!word(l, &p, verb, sizeof(verb), &at_verb))
		return;
	if (strcmp(verb, "config") && strcmp(verb, "option") &&
	    strcmp(verb, "list")) {
		if (strcmp(verb, "package"))
			conf_say(s->f, R3_REG_ERROR, conf_place(l, at_verb),
				 "config, option or list",
				 "'%s' begins no line of this kind of file",
				 verb);
		return;
	}
	if (!word(l, &p, key, sizeof(key), &at)) {
		conf_say(s->f, R3_REG_ERROR, conf_place(l, l->end), NULL,
			 "'%s' without a name", verb);
		return;
	}
	if (!word(l, &p, value, sizeof(value), &at))
		at = l->end;
	if (!strcmp(verb, "config"))
		begin(s, key, value, conf_place(l, at_verb));
	else if (!strcmp(verb, "option") && s->in == DEVICE)
		set_device(s, key, value, conf_place(l, at));
	else if (!strcmp(verb, "option") && s->in == IFACE)
		set_iface(s, key, value);
}

static void finish(struct uci *s, struct device *d)
{
	struct r3_reg_net *n = &d->r.net;

	if (d->off)
		return;
	n->use = d->has_beacon ? R3_REG_USE_BEACON : R3_REG_USE_STATION;
	n->dfs = d->doth && n->country[0];
	n->dfs_key = "option country and option doth '1'";
	if (!n->dfs_at.line)
		n->dfs_at = n->channel_at;
	if (!d->has_channel)
		n->any_channel = true;
	if (conf_resolve(&d->r, s->f))
		conf_add(s->out, n, s->f);
}

void conf_read_uci(struct r3_reg_conf *out, struct conf_text t,
		   struct r3_reg_findings *f)
{
	struct uci s = { .out = out, .f = f };
	struct conf_line l;

	while (conf_next(&t, &l))
		read_line(&s, &l);
	close_iface(&s);
	for (unsigned i = 0; i < s.count; i++)
		finish(&s, &s.dev[i]);
}
