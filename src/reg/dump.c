// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dump.c - domains and channels as the kernel reports them over nl80211, one
 * line for each rule and one for each group of equal channels of a band
 */
#include "reg_priv.h"

void r3_reg_dump_domain(FILE *out, const struct r3_reg_domain *d, int radio)
{
	fprintf(out, "reg %s dfs=%u ", d->alpha2, d->dfs);
	if (radio < 0)
		fputs("global\n", out);
	else
		fprintf(out, "wiphy=%d\n", radio);
	for (unsigned i = 0; i < d->count; i++) {
		const struct r3_reg_rule *r = &d->rules[i];

		fprintf(out,
			"rule %u-%u bw=%u gain=%d eirp=%d flags=0x%x cac=%u\n",
			r->start_khz, r->end_khz, r->max_bw_khz, r->gain_mbi,
			r->eirp_mbm, r->flags, r->cac_ms);
	}
}

/* What nl80211 tells about a channel. */
static const struct {
	uint32_t flag;
	const char *name;
} names[] = {
	{ R3_REG_CH_INDOOR, " INDOOR" },      { R3_REG_CH_NO_10, " no10" },
	{ R3_REG_CH_NO_20, " no20" },	      { R3_REG_CH_NO_40MINUS, " no40-" },
	{ R3_REG_CH_NO_40PLUS, " no40+" },    { R3_REG_CH_NO_80, " no80" },
	{ R3_REG_CH_NO_160, " no160" },	      { R3_REG_CH_NO_320, " no320" },
};

#define ATTRS_MAX 160

static void attributes(const struct r3_reg_domain *d,
		       const struct r3_reg_channel *ch, char *text)
{
	char *p = text, *end = text + ATTRS_MAX;

	if (ch->flags & R3_REG_CH_DISABLED) {
		snprintf(text, ATTRS_MAX, "DIS");
		return;
	}
	p += snprintf(p, (size_t)(end - p), "p%d", ch->power_dbm * 100);
	if (ch->flags & R3_REG_CH_NO_IR)
		p += snprintf(p, (size_t)(end - p), " NOIR");
	if (ch->flags & R3_REG_CH_RADAR)
		p += snprintf(p, (size_t)(end - p), " RADAR/cac%u",
			      ch->cac_ms);
	if ((ch->flags & R3_REG_CH_RADAR) && ch->dfs)
		p += snprintf(p, (size_t)(end - p), "/st%u", ch->dfs);
	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (ch->flags & names[i].flag)
			p += snprintf(p, (size_t)(end - p), "%s",
				      names[i].name);
	if (r3_reg_wmm_at(d, ch))
		snprintf(p, (size_t)(end - p), " wmm");
}

static void print_mhz(FILE *out, uint32_t khz)
{
	if (khz % REG_MHZ)
		fprintf(out, "%u.%03u", khz / REG_MHZ, khz % REG_MHZ);
	else
		fprintf(out, "%u", khz / REG_MHZ);
}

static void dump_band(FILE *out, unsigned band,
		      const struct r3_reg_channel *ch, unsigned count,
		      char (*attrs)[ATTRS_MAX])
{
	bool done[R3_REG_CHANNELS_MAX] = { false };

	for (unsigned i = 0; i < count; i++) {
		if (ch[i].band != band || done[i])
			continue;
		fprintf(out, "%u ", band);
		for (unsigned j = i; j < count; j++) {
			if (ch[j].band != band || strcmp(attrs[i], attrs[j]))
				continue;
			if (j != i)
				fputc(',', out);
			print_mhz(out, ch[j].khz);
			done[j] = true;
		}
		fprintf(out, " : %s\n", attrs[i]);
	}
}

void r3_reg_dump_channels(FILE *out, const struct r3_reg_domain *d,
			  const struct r3_reg_channel *ch, unsigned count)
{
	char attrs[R3_REG_CHANNELS_MAX][ATTRS_MAX];

	if (count > R3_REG_CHANNELS_MAX)
		count = R3_REG_CHANNELS_MAX;
	for (unsigned i = 0; i < count; i++)
		attributes(d, &ch[i], attrs[i]);
	for (unsigned band = 0; band < R3_REG_BANDS; band++)
		dump_band(out, band, ch, count, attrs);
}

/* The kernel lists its radios newest first. */
void r3_reg_hints_dump(FILE *out, struct r3_reg_hints *h)
{
	unsigned n = r3_reg_hints_radios(h);

	r3_reg_dump_domain(out, r3_reg_hints_global(h), -1);
	for (unsigned i = n; i-- > 0;) {
		struct r3_reg_radio *r = r3_reg_hints_radio(h, i);

		if (r->has_own)
			r3_reg_dump_domain(out, &r->own.d, (int)i);
	}
	for (unsigned i = 0; i < n; i++) {
		struct r3_reg_radio *r = r3_reg_hints_radio(h, i);

		fprintf(out, "## phy%u\n", i);
		r3_reg_dump_channels(out, r3_reg_hints_domain(h, i), r->ch,
				     r->count);
	}
}
