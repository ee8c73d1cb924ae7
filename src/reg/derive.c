// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * derive.c - from a domain's rules to the flags of a radio's channels
 *
 * First match in file order decides; AUTO-BW widens over the chain of rules
 * that touch or overlap; power is cut to whole dBm; HT40 is decided last, in
 * place, from the neighbours' flags as they are at that moment.  All of that
 * is visible in what the kernel reports, so all of it is kept.
 */
#include "reg_priv.h"

static inline bool fits(uint32_t start, uint32_t end, uint32_t khz, uint32_t bw)
{
	return khz - bw / 2 >= start && khz + bw / 2 <= end;
}

static bool rule_fits(const struct r3_reg_rule *r, uint32_t khz, uint32_t bw)
{
	return fits(r->start_khz, r->end_khz, khz, bw);
}

static uint32_t distance(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

/* Near enough for a rule to be about this band: 2 GHz, above 45 GHz 20. */
static bool in_band(const struct r3_reg_rule *r, uint32_t khz)
{
	uint32_t limit = khz > 45000000u ? 20000000u : 2000000u;

	return distance(khz, r->start_khz) <= limit ||
	       distance(khz, r->end_khz) <= limit;
}

static enum r3_reg_match find_width(const struct r3_reg_domain *d,
				    uint32_t khz, uint32_t bw, int *rule)
{
	const struct r3_reg_rule *r = d->rules;
	bool near = false;

	for (unsigned i = 0; i < d->count; i++, r++) {
		near = near || in_band(r, khz);
		if (near && rule_fits(r, khz, bw)) {
			*rule = (int)i;
			return R3_REG_MATCH;
		}
	}
	return near ? R3_REG_NO_FIT : R3_REG_NOT_BAND;
}

/*
 * 20 MHz; up to 1 GHz the widest of the list that fits.  Where the narrowest
 * fits no rule, none of them does, and for the same reason.
 */
static struct r3_reg_found find_one(const struct r3_reg_domain *d,
				    uint32_t khz)
{
	static const uint8_t mhz[] = { 20, 16, 10, 8, 5, 4, 2, 1 };
	bool s1g = khz < 1000 * REG_MHZ;
	struct r3_reg_found f = { R3_REG_NOT_BAND, -1, -1,
				  (s1g ? 1 : 20) * REG_MHZ };

	f.match = find_width(d, khz, f.bw_khz, &f.rule);
	for (unsigned i = 0; s1g && f.match == R3_REG_MATCH; i++) {
		f.bw_khz = mhz[i] * REG_MHZ;
		if (find_width(d, khz, f.bw_khz, &f.rule) == R3_REG_MATCH)
			break;
	}
	return f;
}

/* Do the rules 20 MHz below and above hold it together? */
static bool find_adjacent(const struct r3_reg_domain *d, uint32_t khz,
			  struct r3_reg_found *f)
{
	struct r3_reg_found lo = find_one(d, khz - 20 * REG_MHZ), hi;
	const struct r3_reg_rule *a, *b;

	if (lo.match != R3_REG_MATCH)
		return false;
	hi = find_one(d, khz + 20 * REG_MHZ);
	if (hi.match != R3_REG_MATCH)
		return false;
	a = &d->rules[lo.rule];
	b = &d->rules[hi.rule];
	if (a->end_khz != b->start_khz ||
	    !fits(a->start_khz, b->end_khz, khz, 20 * REG_MHZ))
		return false;
	*f = (struct r3_reg_found){ R3_REG_ADJACENT, lo.rule, hi.rule,
				    20 * REG_MHZ };
	return true;
}

struct r3_reg_found r3_reg_find(const struct r3_reg_domain *d, uint32_t khz)
{
	struct r3_reg_found f = find_one(d, khz);

	if (f.match != R3_REG_MATCH && khz > 20 * REG_MHZ)
		find_adjacent(d, khz, &f);
	return f;
}

/* Span of the chain of rules that touch or overlap, in list order. */
static uint32_t chain_width(const struct r3_reg_domain *d, unsigned rule)
{
	const struct r3_reg_rule *r = d->rules;
	unsigned lo = rule, hi = rule;

	while (lo && r[lo - 1].end_khz >= r[lo].start_khz)
		lo--;
	while (hi + 1u < d->count && r[hi + 1].start_khz <= r[hi].end_khz)
		hi++;
	return r[hi].end_khz - r[lo].start_khz;
}

uint32_t r3_reg_rule_width(const struct r3_reg_domain *d, unsigned rule)
{
	const struct r3_reg_rule *r = &d->rules[rule];
	uint32_t w = r->max_bw_khz, cap = UINT32_MAX;

	if (!(r->flags & R3_REG_AUTO_BW))
		return w;
	w = chain_width(d, rule);
	if (r->flags & R3_REG_NO_320MHZ)
		cap = 160 * REG_MHZ;
	if (r->flags & R3_REG_NO_160MHZ)
		cap = 80 * REG_MHZ;
	if (r->flags & R3_REG_NO_80MHZ)
		cap = 40 * REG_MHZ;
	if ((r->flags & R3_REG_NO_HT40MINUS) && (r->flags & R3_REG_NO_HT40PLUS))
		cap = 20 * REG_MHZ;
	return w < cap ? w : cap;
}

/* The largest S1G width whose channels fall on this centre. */
static uint32_t s1g_width_flag(const struct r3_reg_rule *r, uint32_t khz,
			       uint32_t max)
{
	for (uint32_t w = max; w; w /= 2) {
		int32_t edge = (int32_t)(khz - w / 2 - r->start_khz);

		if (edge % (int32_t)w)
			continue;
		switch (w / REG_MHZ) {
		case 1:
			return R3_REG_CH_S1G_1;
		case 2:
			return R3_REG_CH_S1G_2;
		case 4:
			return R3_REG_CH_S1G_4;
		case 8:
			return R3_REG_CH_S1G_8;
		case 16:
			return R3_REG_CH_S1G_16;
		default:
			return R3_REG_CH_DISABLED;
		}
	}
	return 0;
}

static uint32_t width_flags(const struct r3_reg_domain *d, unsigned rule,
			    const struct r3_reg_channel *ch)
{
	static const struct {
		uint32_t mhz, flag;
	} steps[] = {
		{ 320, R3_REG_CH_NO_320 }, { 160, R3_REG_CH_NO_160 },
		{ 80, R3_REG_CH_NO_80 },   { 40, R3_REG_CH_NO_40 },
		{ 20, R3_REG_CH_NO_20 },   { 10, R3_REG_CH_NO_10 },
	};
	const struct r3_reg_rule *r = &d->rules[rule];
	uint32_t max = r3_reg_rule_width(d, rule), flags = 0;

	if (!rule_fits(r, ch->khz, 10 * REG_MHZ))
		flags |= R3_REG_CH_NO_10;
	if (!rule_fits(r, ch->khz, 20 * REG_MHZ))
		flags |= R3_REG_CH_NO_20;
	if (reg_is_s1g(ch))
		return flags | s1g_width_flag(r, ch->khz, max);
	for (unsigned i = 0; i < R3_COUNT(steps) &&
			     max < steps[i].mhz * REG_MHZ;
	     i++)
		flags |= steps[i].flag;
	return flags;
}

static uint32_t rule_flags(uint32_t f)
{
	static const struct {
		uint32_t rule, channel;
	} map[] = {
		{ R3_REG_NO_IR | R3_REG_NO_IBSS, R3_REG_CH_NO_IR },
		{ R3_REG_DFS, R3_REG_CH_RADAR },
		{ R3_REG_NO_OFDM, R3_REG_CH_NO_OFDM },
		{ R3_REG_NO_OUTDOOR, R3_REG_CH_INDOOR },
		{ R3_REG_IR_CONCURRENT, R3_REG_CH_IR_CONCURRENT },
		{ R3_REG_NO_HT40MINUS, R3_REG_CH_NO_40MINUS },
		{ R3_REG_NO_HT40PLUS, R3_REG_CH_NO_40PLUS },
		{ R3_REG_NO_80MHZ, R3_REG_CH_NO_80 },
		{ R3_REG_NO_160MHZ, R3_REG_CH_NO_160 },
		{ R3_REG_NO_320MHZ, R3_REG_CH_NO_320 },
	};
	uint32_t out = 0;

	f &= ~(uint32_t)R3_REG_AUTO_BW;
	for (unsigned i = 0; f && i < R3_COUNT(map); i++)
		if (f & map[i].rule)
			out |= map[i].channel;
	return out;
}

/* What the rule or the two rules grant, before the radio's own limits. */
struct grant {
	uint32_t flags;
	int16_t power_dbm;
	uint32_t cac_ms;
};

static struct grant grant_of(const struct r3_reg_domain *d, unsigned rule,
			     const struct r3_reg_channel *ch)
{
	const struct r3_reg_rule *r = &d->rules[rule];

	return (struct grant){
		.flags = width_flags(d, rule, ch) | rule_flags(r->flags),
		.power_dbm = (int16_t)(r->eirp_mbm / 100),
		.cac_ms = r->cac_ms,
	};
}

/* @strict: cfg80211 does not look again whether 10 and 20 MHz fit then. */
static struct grant grant_of_two(const struct r3_reg_domain *d,
				 const struct r3_reg_found *f,
				 const struct r3_reg_channel *ch, bool strict)
{
	struct grant a = grant_of(d, (unsigned)f->rule, ch);
	struct grant b = grant_of(d, (unsigned)f->rule2, ch);
	uint32_t start = d->rules[f->rule].start_khz;
	uint32_t end = d->rules[f->rule2].end_khz;

	a.flags |= b.flags;
	if (!strict && fits(start, end, ch->khz, 10 * REG_MHZ))
		a.flags &= ~(uint32_t)R3_REG_CH_NO_10;
	if (!strict && fits(start, end, ch->khz, 20 * REG_MHZ))
		a.flags &= ~(uint32_t)R3_REG_CH_NO_20;
	if (b.power_dbm < a.power_dbm)
		a.power_dbm = b.power_dbm;
	if (b.cac_ms > a.cac_ms)
		a.cac_ms = b.cac_ms;
	return a;
}

static void disable(struct r3_reg_channel *ch, enum r3_reg_match match,
		    const struct reg_apply *how)
{
	if (how->keep_out_of_band && match == R3_REG_NOT_BAND)
		return;
	if (how->strict) {
		ch->own_flags |= R3_REG_CH_DISABLED; /* for good */
		ch->flags = ch->own_flags;
	} else {
		ch->flags |= R3_REG_CH_DISABLED;
	}
}

static void set_cac(struct r3_reg_channel *ch, uint32_t cac_ms)
{
	if (ch->flags & R3_REG_CH_RADAR)
		ch->cac_ms = cac_ms ? cac_ms : R3_REG_CAC_MS;
}

int reg_apply_channel(const struct r3_reg_domain *d,
		      struct r3_reg_channel *ch, const struct reg_apply *how)
{
	struct r3_reg_found f = r3_reg_find(d, ch->khz);
	struct grant g;

	if (f.match != R3_REG_MATCH && f.match != R3_REG_ADJACENT) {
		disable(ch, f.match, how);
		return -1;
	}
	g = f.match == R3_REG_MATCH ?
		    grant_of(d, (unsigned)f.rule, ch) :
		    grant_of_two(d, &f, ch, how->strict);
	if (how->strict) {
		ch->flags = ch->own_flags = g.flags;
		ch->power_dbm = ch->own_power_dbm = g.power_dbm;
		set_cac(ch, g.cac_ms);
		return f.rule;
	}
	ch->dfs = R3_REG_DFS_USABLE;
	ch->beacon_found = false;
	ch->flags = ch->own_flags | g.flags;
	set_cac(ch, g.cac_ms);
	ch->power_dbm = g.power_dbm;
	if (ch->own_power_dbm && ch->own_power_dbm < g.power_dbm)
		ch->power_dbm = ch->own_power_dbm;
	return f.rule;
}

void reg_apply_custom(const struct r3_reg_domain *d,
		      struct r3_reg_channel *ch, unsigned count)
{
	for (unsigned i = 0; i < count; i++, ch++) {
		struct r3_reg_found f = find_one(d, ch->khz);
		struct grant g;

		if (f.match != R3_REG_MATCH) {
			ch->own_flags |= R3_REG_CH_DISABLED;
			ch->flags = ch->own_flags;
			continue;
		}
		g = grant_of(d, (unsigned)f.rule, ch);
		ch->beacon_found = false;
		ch->flags |= g.flags;
		ch->power_dbm = g.power_dbm;
		set_cac(ch, g.cac_ms);
	}
}

static bool ht40_allowed(const struct r3_reg_channel *ch)
{
	return ch && !(ch->flags & R3_REG_CH_DISABLED) &&
	       (ch->flags & R3_REG_CH_NO_40) != R3_REG_CH_NO_40;
}

/* Neighbours are found by whole MHz, so a half-MHz channel can be one. */
static void ht40_channel(const struct r3_reg_domain *own,
			 struct r3_reg_channel *all, unsigned count,
			 struct r3_reg_channel *ch)
{
	const struct r3_reg_channel *before = NULL, *after = NULL;
	uint32_t mhz = ch->khz / REG_MHZ, rule = 0;
	int i;

	if (!ht40_allowed(ch)) {
		ch->flags |= R3_REG_CH_NO_40;
		return;
	}
	/* ascending within a band; of two with equal MHz the higher counts */
	for (size_t n = (size_t)(ch - all); n > 0; n--) {
		const struct r3_reg_channel *c = &all[n - 1];

		if (c->band != ch->band || c->khz / REG_MHZ + 20 < mhz)
			break;
		if (c->khz / REG_MHZ + 20 == mhz) {
			before = c;
			break;
		}
	}
	for (const struct r3_reg_channel *c = ch + 1; c < all + count; c++) {
		if (c->band != ch->band || c->khz / REG_MHZ > mhz + 20)
			break;
		if (c->khz / REG_MHZ == mhz + 20)
			after = c;
	}
	if (own && find_width(own, mhz * REG_MHZ, 20 * REG_MHZ, &i) ==
			   R3_REG_MATCH)
		rule = own->rules[i].flags;
	ch->flags &= ~(uint32_t)R3_REG_CH_NO_40;
	if (!ht40_allowed(before) || (rule & R3_REG_NO_HT40MINUS))
		ch->flags |= R3_REG_CH_NO_40MINUS;
	if (!ht40_allowed(after) || (rule & R3_REG_NO_HT40PLUS))
		ch->flags |= R3_REG_CH_NO_40PLUS;
}

void reg_ht40_pass(const struct r3_reg_domain *own, struct r3_reg_channel *ch,
		   unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ht40_channel(own, ch, count, &ch[i]);
}

void r3_reg_derive(const struct r3_reg_domain *d, struct r3_reg_channel *ch,
		   unsigned count)
{
	static const struct reg_apply how = { 0 };

	for (unsigned i = 0; i < count; i++) {
		ch[i].flags = ch[i].own_flags;
		ch[i].cac_ms = 0;
		reg_apply_channel(d, &ch[i], &how);
	}
	reg_ht40_pass(NULL, ch, count);
}

const struct r3_reg_wmm *r3_reg_wmm_at(const struct r3_reg_domain *d,
				       const struct r3_reg_channel *ch)
{
	struct r3_reg_found f;

	/* cfg80211 asks in whole MHz here, and for one rule */
	f = find_one(d, ch->khz / REG_MHZ * REG_MHZ);
	if (f.match != R3_REG_MATCH || !d->rules[f.rule].wmm)
		return NULL;
	return &d->wmm[d->rules[f.rule].wmm - 1];
}
