// SPDX-License-Identifier: GPL-2.0-or-later
/* svg.c - a domain as a picture: bands as rows, rules as boxes as high as their
 * power, channels as marks in the colour of what they demand */
#include <stdio.h>

#include "reg_priv.h"

#define LEFT	 60
#define PLOT_W	 1080
#define ROW_H	 150
#define PLOT_H	 90
#define DBM_MAX	 40

static const struct band {
	const char *title;
	uint32_t from_khz, to_khz, tick_khz;
	enum r3_reg_band band;
} bands[] = {
	{ "S1G, 863-930 MHz", 855000, 935000, 10000, R3_REG_BAND_S1GHZ },
	{ "2.4 GHz", 2395000, 2500000, 10000, R3_REG_BAND_2GHZ },
	{ "5 GHz", 5140000, 5940000, 100000, R3_REG_BAND_5GHZ },
	{ "6 GHz", 5920000, 7140000, 100000, R3_REG_BAND_6GHZ },
	{ "60 GHz", 56000000, 72000000, 2000000, R3_REG_BAND_60GHZ },
};

static double x_of(const struct band *b, uint32_t khz)
{
	double f = khz < b->from_khz ? b->from_khz :
		   khz > b->to_khz   ? b->to_khz :
				       khz;

	return LEFT + PLOT_W * (f - b->from_khz) / (b->to_khz - b->from_khz);
}

static double h_of(int mbm)
{
	double dbm = mbm / 100.0;

	return PLOT_H * (dbm < 0 ? 0 : dbm > DBM_MAX ? DBM_MAX : dbm) /
	       DBM_MAX;
}

static const char *class_of(uint32_t flags)
{
	if (flags & R3_REG_CH_DISABLED)
		return "off";
	if (flags & R3_REG_CH_RADAR)
		return "radar";
	if (flags & R3_REG_CH_NO_IR)
		return "noir";
	if (flags & R3_REG_CH_INDOOR)
		return "indoor";
	return "free";
}

static void put_rule(FILE *out, const struct band *b, double base,
		     const struct r3_reg_rule *r, unsigned index)
{
	double x, h = h_of(r->eirp_mbm);

	if (r->end_khz <= b->from_khz || r->start_khz >= b->to_khz)
		return;
	x = x_of(b, r->start_khz);
	fprintf(out,
		"<rect class=\"rule\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>rule %u: %.3f-%.3f MHz, %.0f MHz wide, %.2f dBm%s%s%s%s</title></rect>\n",
		x, base - h, x_of(b, r->end_khz) - x, h, index,
		r->start_khz / 1000.0, r->end_khz / 1000.0,
		r->max_bw_khz / 1000.0, r->eirp_mbm / 100.0,
		r->flags & R3_REG_DFS ? ", DFS" : "",
		r->flags & R3_REG_NO_IR ? ", NO-IR" : "",
		r->flags & R3_REG_NO_OUTDOOR ? ", NO-OUTDOOR" : "",
		r->flags & R3_REG_AUTO_BW ? ", AUTO-BW" : "");
}

static void put_channel(FILE *out, const struct band *b, double base,
			const struct r3_reg_channel *ch)
{
	bool off = ch->flags & R3_REG_CH_DISABLED;
	uint32_t half = b->band == R3_REG_BAND_S1GHZ ? 250 :
			b->band == R3_REG_BAND_60GHZ ? 1080000 :
						       9000;
	double x = x_of(b, ch->khz - half);
	double h = off ? 4 : h_of(ch->power_dbm * 100);

	fprintf(out,
		"<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>channel %u, %.1f MHz: ",
		class_of(ch->flags), x, base - h,
		x_of(b, ch->khz + half) - x, h,
		r3_reg_channel_number(ch->khz), ch->khz / 1000.0);
	if (off)
		fputs("disabled", out);
	else
		fprintf(out, "%d dBm%s%s%s%s%s%s", ch->power_dbm,
			ch->flags & R3_REG_CH_NO_IR ? ", no IR" : "",
			ch->flags & R3_REG_CH_RADAR ? ", radar" : "",
			ch->flags & R3_REG_CH_INDOOR ? ", indoor" : "",
			ch->flags & R3_REG_CH_NO_80 ? ", no 80" : "",
			ch->flags & R3_REG_CH_NO_160 ? ", no 160" : "",
			ch->flags & R3_REG_CH_NO_320 ? ", no 320" : "");
	fputs("</title></rect>\n", out);
	if (!off && b->band != R3_REG_BAND_S1GHZ &&
	    (b->band != R3_REG_BAND_6GHZ ||
	     r3_reg_channel_number(ch->khz) % 16 == 1))
		fprintf(out,
			"<text class=\"number\" x=\"%.1f\" y=\"%.1f\">%u</text>\n",
			x_of(b, ch->khz), base - h - 3,
			r3_reg_channel_number(ch->khz));
}

static void put_axis(FILE *out, const struct band *b, double base)
{
	fprintf(out,
		"<text class=\"title\" x=\"%d\" y=\"%.1f\">%s</text><line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		LEFT, base - PLOT_H - 14, b->title, LEFT, LEFT + PLOT_W, base,
		base);
	for (int dbm = 10; dbm <= DBM_MAX; dbm += 10)
		fprintf(out,
			"<text class=\"y\" x=\"%d\" y=\"%.1f\">%d dBm</text><line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
			LEFT - 6, base - h_of(dbm * 100) + 4, dbm, LEFT,
			LEFT + PLOT_W, base - h_of(dbm * 100),
			base - h_of(dbm * 100));
	for (uint32_t f = b->from_khz - b->from_khz % b->tick_khz +
			  b->tick_khz;
	     f < b->to_khz; f += b->tick_khz)
		fprintf(out,
			"<text class=\"number\" x=\"%.1f\" y=\"%.1f\">%u</text>\n",
			x_of(b, f), base + 14, f / 1000);
}

static void put_band(FILE *out, const struct band *b, double base,
		     const struct r3_reg_domain *d,
		     const struct r3_reg_channel *ch, unsigned count)
{
	put_axis(out, b, base);
	for (unsigned i = 0; i < d->count; i++)
		put_rule(out, b, base, &d->rules[i], i);
	for (unsigned i = 0; i < count; i++)
		if (ch[i].band == b->band && ch[i].khz >= b->from_khz &&
		    ch[i].khz <= b->to_khz)
			put_channel(out, b, base, &ch[i]);
}

static void put_legend(FILE *out)
{
	static const char *const names[][2] = {
		{ "free", "may start a network" },
		{ "indoor", "indoors only" },
		{ "noir", "no IR: may only follow" },
		{ "radar", "radar: listen first" },
		{ "off", "disabled" },
	};

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		fprintf(out,
			"<rect class=\"%s\" x=\"%u\" y=\"14\" width=\"14\" height=\"14\"/><text x=\"%u\" y=\"26\">%s</text>\n",
			names[i][0], 300 + 175 * i, 319 + 175 * i,
			names[i][1]);
}

void r3_reg_svg(FILE *out, const struct r3_reg_domain *d)
{
	static const char *const region[] = { "none", "FCC", "ETSI", "JP" };
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);
	unsigned height = 50 + ROW_H * (unsigned)R3_COUNT(bands);

	r3_reg_derive(d, ch, n);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d %u\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<style>.rule{fill:#8882;stroke:#8888}.free{fill:#2a9d4b}.indoor{fill:#3f7fd0}.noir{fill:#e0a11b}.radar{fill:#c2452d}.off{fill:#9994}line{stroke:#444}.grid{stroke:#8883}.number{font-size:9px;text-anchor:middle}.y{font-size:9px;text-anchor:end}.title{font-weight:bold}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"%d\" y=\"28\" font-size=\"18\">%s, DFS region %s</text>\n",
		LEFT + PLOT_W + 20, height, LEFT + PLOT_W + 20, height, LEFT,
		d->alpha2, region[d->dfs & 3]);
	put_legend(out);
	for (unsigned i = 0; i < R3_COUNT(bands); i++)
		put_band(out, &bands[i], 40 + ROW_H * (i + 1.0) - 25, d, ch,
			 n);
	fputs("</svg>\n", out);
}
