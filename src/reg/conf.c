// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf.c - configuration files: lines, places, findings, and the channel block
 * that channel, width and centre together ask for
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf.h"

bool conf_next(struct conf_text *t, struct conf_line *line)
{
	const char *nl;

	if (t->p >= t->end)
		return false;
	nl = memchr(t->p, '\n', (size_t)(t->end - t->p));
	nl = nl ? nl : t->end;
	*line = (struct conf_line){ t->p, nl, ++t->number };
	if (line->end > line->start && line->end[-1] == '\r')
		line->end--;
	t->p = nl + 1;
	return true;
}

struct r3_reg_place conf_place(const struct conf_line *l, const char *at)
{
	return (struct r3_reg_place){ l->number,
				      (unsigned)(at - l->start) + 1 };
}

void conf_say(struct r3_reg_findings *f, enum r3_reg_severity s,
	      struct r3_reg_place at, const char *remedy, const char *fmt, ...)
{
	struct r3_reg_finding *v;
	va_list ap;

	if (!f)
		return;
	if (s == R3_REG_ERROR)
		f->errors++;
	if (f->count == R3_REG_FINDINGS_MAX) {
		f->lost++;
		return;
	}
	v = &f->v[f->count++];
	v->severity = s;
	v->at = at;
	snprintf(v->remedy, sizeof(v->remedy), "%s", remedy ? remedy : "");
	va_start(ap, fmt);
	vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
}

bool conf_number(const char *value, struct r3_reg_place at, long min, long max,
		 const char *key, long *out, struct r3_reg_findings *f)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 0);
	if (end == value || *end || errno || n < min || n > max) {
		conf_say(f, R3_REG_ERROR, at, NULL,
			 "%s=%.40s: a number from %ld to %ld is expected", key,
			 value, min, max);
		return false;
	}
	*out = n;
	return true;
}

bool conf_country(const char *value, struct r3_reg_place at, char out[3],
		  struct r3_reg_findings *f)
{
	if (strlen(value) != 2 || !isalnum((unsigned char)value[0]) ||
	    !isalnum((unsigned char)value[1])) {
		conf_say(f, R3_REG_ERROR, at,
			 "two letters of ISO 3166, such as DE",
			 "'%.20s' is no country code", value);
		return false;
	}
	if (islower((unsigned char)value[0]) ||
	    islower((unsigned char)value[1]))
		conf_say(f, R3_REG_WARNING, at, "write it in capitals",
			 "country code '%s' is in small letters, which some drivers refuse",
			 value);
	out[0] = (char)toupper((unsigned char)value[0]);
	out[1] = (char)toupper((unsigned char)value[1]);
	out[2] = '\0';
	return true;
}

void conf_add(struct r3_reg_conf *out, const struct r3_reg_net *net,
	      struct r3_reg_findings *f)
{
	if (out->count < R3_REG_NETS_MAX)
		out->net[out->count++] = *net;
	else
		conf_say(f, R3_REG_WARNING, net->at, NULL,
			 "more than %u networks; this and later ones are not checked",
			 R3_REG_NETS_MAX);
}

/* ---- channel, width and centre ------------------------------------------- */

static bool control_of(struct conf_radio *r, struct r3_reg_findings *f)
{
	struct r3_reg_chandef *d = &r->net.def;

	if (!r->band_known && r->channel)
		r->band = r->channel <= 14 ? R3_REG_BAND_2GHZ :
					     R3_REG_BAND_5GHZ;
	d->control_khz = r->khz ? r->khz :
				  r3_reg_channel_khz(r->band, r->channel);
	if (d->control_khz)
		return true;
	conf_say(f, R3_REG_ERROR, r->net.channel_at, NULL,
		 "there is no channel %u in this band", r->channel);
	return false;
}

/* The other half of a 40 MHz pair, by the pairs of 802.11. */
static bool make_40(struct conf_radio *r, struct r3_reg_findings *f)
{
	struct r3_reg_chandef *d = &r->net.def, pair;
	bool two = r->band == R3_REG_BAND_2GHZ;

	if (!r->ht40 && two)
		r->ht40 = d->control_khz <= 2432000 ? 1 : -1;
	if (two) {
		d->center1_khz = d->control_khz +
				 (r->ht40 < 0 ? -10000 : 10000);
		return true;
	}
	if (r3_reg_chandef_make(d->control_khz, R3_REG_W40, 0, &pair)) {
		conf_say(f, R3_REG_ERROR, r->net.width_at,
			 "choose 20 MHz, or a channel that has a partner",
			 "channel %u has no 40 MHz partner",
			 r3_reg_channel_number(d->control_khz));
		return false;
	}
	if (r->ht40 && (pair.center1_khz > d->control_khz) != (r->ht40 > 0)) {
		conf_say(f, R3_REG_ERROR, r->net.width_at,
			 r->ht40 > 0 ? "[HT40-]" : "[HT40+]",
			 "the 40 MHz partner of channel %u lies %s it",
			 r3_reg_channel_number(d->control_khz),
			 r->ht40 > 0 ? "below" : "above");
		return false;
	}
	d->center1_khz = pair.center1_khz;
	return true;
}

static bool make_wide(struct conf_radio *r, struct r3_reg_findings *f)
{
	struct r3_reg_chandef *d = &r->net.def, block;
	enum r3_reg_width one = r->width == R3_REG_W80P80 ? R3_REG_W80 :
							    r->width;
	char remedy[80] = "";
	uint32_t given = r3_reg_channel_khz(r->band, r->seg0);
	bool have = !r3_reg_chandef_make(d->control_khz, one, 0, &block);

	if (!have && !given) {
		conf_say(f, R3_REG_ERROR, r->net.width_at,
			 "choose a smaller width or another channel",
			 "no %s MHz block holds channel %u",
			 r3_reg_width_name(one),
			 r3_reg_channel_number(d->control_khz));
		return false;
	}
	d->center1_khz = given ? given : block.center1_khz;
	d->center2_khz = r->width == R3_REG_W80P80 ?
				 r3_reg_channel_khz(r->band, r->seg1) :
				 0;
	if (!given && r->need_seg && r->band == R3_REG_BAND_5GHZ) {
		snprintf(remedy, sizeof(remedy), "%s=%u", r->need_seg,
			 r3_reg_channel_number(block.center1_khz));
		conf_say(f, R3_REG_ERROR, r->net.width_at, remedy,
			 "%s MHz needs its centre as %s; hostapd does not start without",
			 r3_reg_width_name(one), r->need_seg);
	}
	if (!given || !have || given == block.center1_khz ||
	    one == R3_REG_W320)
		return true;
	snprintf(remedy, sizeof(remedy), "%u",
		 r3_reg_channel_number(block.center1_khz));
	conf_say(f, R3_REG_ERROR, r->seg_at.line ? r->seg_at : r->net.width_at,
		 remedy,
		 "centre %u does not fit channel %u: its %s MHz block has centre %u",
		 r->seg0, r3_reg_channel_number(d->control_khz),
		 r3_reg_width_name(one),
		 r3_reg_channel_number(block.center1_khz));
	d->center1_khz = block.center1_khz;
	return true;
}

bool conf_resolve(struct conf_radio *r, struct r3_reg_findings *f)
{
	struct r3_reg_chandef *d = &r->net.def;

	if (!r->net.width_at.line)
		r->net.width_at = r->net.channel_at;
	if (r->net.any_channel)
		return true;
	if (!control_of(r, f))
		return false;
	d->width = r->has_width ? r->width : R3_REG_W20;
	if (r->net.no_ofdm || d->control_khz == 2484000)
		d->width = R3_REG_W20_NOHT;
	d->center1_khz = d->control_khz;
	d->center2_khz = 0;
	if (d->width == R3_REG_W40)
		return make_40(r, f);
	if (r3_reg_width_khz(d->width) > 40000)
		return make_wide(r, f);
	return true;
}

/* ---- the whole file ------------------------------------------------------ */

static bool has_line(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);
	struct conf_text t = { text, text + len, 0 };
	struct conf_line l;

	while (conf_next(&t, &l)) {
		const char *p = l.start;

		while (p < l.end && isblank((unsigned char)*p))
			p++;
		if ((size_t)(l.end - p) >= n && !memcmp(p, word, n))
			return true;
	}
	return false;
}

static enum r3_reg_conf_kind guess(const char *text, size_t len)
{
	if (has_line(text, len, "config wifi-"))
		return R3_REG_CONF_UCI;
	if (has_line(text, len, "network={") ||
	    has_line(text, len, "update_config=") ||
	    has_line(text, len, "ap_scan="))
		return R3_REG_CONF_WPA;
	return R3_REG_CONF_HOSTAPD;
}

const char *r3_reg_conf_kind_name(enum r3_reg_conf_kind kind)
{
	static const char *const names[] = { "guess", "hostapd",
					     "wpa_supplicant", "openwrt" };

	return (unsigned)kind < R3_COUNT(names) ? names[kind] : "?";
}

int r3_reg_conf_parse(struct r3_reg_conf *out, enum r3_reg_conf_kind kind,
		      const char *text, size_t len,
		      struct r3_reg_findings *f)
{
	struct conf_text t = { text, text + len, 0 };

	if (len > R3_REG_CONF_MAX)
		return -EFBIG;
	memset(out, 0, sizeof(*out));
	out->kind = kind == R3_REG_CONF_GUESS ? guess(text, len) : kind;
	switch (out->kind) {
	case R3_REG_CONF_UCI:
		conf_read_uci(out, t, f);
		break;
	case R3_REG_CONF_WPA:
		conf_read_wpa(out, t, f);
		break;
	default:
		conf_read_hostapd(out, t, f);
	}
	return 0;
}
