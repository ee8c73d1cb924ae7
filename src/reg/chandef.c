// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chandef.c - chosen channels (control, centre, width): do they exist, may they
 * be used.  Every 20 MHz subchannel is asked.  Source: net/wireless/chan.c.
 */
#include "reg_priv.h"

static const struct {
	const char *name;
	uint32_t khz;
	uint32_t prohibited; /* flags that no subchannel may have */
} widths[R3_REG_WIDTHS] = {
	[R3_REG_W20_NOHT] = { "20", 20000, R3_REG_CH_NO_20 },
	[R3_REG_W20] = { "20", 20000, R3_REG_CH_NO_20 },
	[R3_REG_W40] = { "40", 40000, 0 },
	[R3_REG_W80] = { "80", 80000, R3_REG_CH_NO_80 },
	[R3_REG_W80P80] = { "80+80", 80000, R3_REG_CH_NO_80 },
	[R3_REG_W160] = { "160", 160000, R3_REG_CH_NO_160 },
	[R3_REG_W320] = { "320", 320000, R3_REG_CH_NO_320 },
	[R3_REG_W5] = { "5", 5000, 0 },
	[R3_REG_W10] = { "10", 10000, R3_REG_CH_NO_10 },
	[R3_REG_W1] = { "1", 1000, 0 },
	[R3_REG_W2] = { "2", 2000, 0 },
	[R3_REG_W4] = { "4", 4000, 0 },
	[R3_REG_W8] = { "8", 8000, 0 },
	[R3_REG_W16] = { "16", 16000, 0 },
	[R3_REG_W2160] = { "2160", 2160000, 0 },
};

uint32_t r3_reg_width_khz(enum r3_reg_width w)
{
	return w < R3_REG_WIDTHS ? widths[w].khz : 0;
}

const char *r3_reg_width_name(enum r3_reg_width w)
{
	return w < R3_REG_WIDTHS ? widths[w].name : "?";
}

const char *r3_reg_verdict_name(enum r3_reg_verdict v)
{
	static const char *const names[] = {
		[R3_REG_OK] = "allowed",
		[R3_REG_OK_AFTER_CAC] = "allowed-after-cac",
		[R3_REG_BAD_CHANDEF] = "no-such-channel-block",
		[R3_REG_NO_CHANNEL] = "no-such-channel",
		[R3_REG_IS_DISABLED] = "disabled",
		[R3_REG_IS_NO_IR] = "no-initiating-radiation",
		[R3_REG_IS_RADAR] = "radar",
		[R3_REG_IS_TOO_WIDE] = "too-wide",
		[R3_REG_IS_INDOOR] = "indoor-only",
		[R3_REG_IS_TOO_STRONG] = "too-strong",
	};

	return (unsigned)v < R3_COUNT(names) ? names[v] : "?";
}

/* The control channel is one of the 20 MHz pieces of the block. */
static bool is_piece(uint32_t control, uint32_t center, uint32_t width)
{
	uint32_t lowest = center - width / 2 + 10000;

	return control >= lowest && control <= center + width / 2 - 10000 &&
	       (control - lowest) % 20000 == 0;
}

static bool is_s1g_width(enum r3_reg_width w)
{
	return w >= R3_REG_W1 && w <= R3_REG_W16;
}

static bool is_valid(const struct r3_reg_chandef *d)
{
	uint32_t gap;

	if (d->width >= R3_REG_WIDTHS || d->control_khz < 100000 ||
	    d->center1_khz < 400000)
		return false;
	if (d->width != R3_REG_W80P80 && d->center2_khz)
		return false;
	/* channel 14 is for 802.11b alone */
	if (d->center1_khz == 2484000)
		return d->width == R3_REG_W20_NOHT &&
		       d->control_khz == d->center1_khz;
	if (is_s1g_width(d->width) != (d->control_khz < 1000000))
		return false;
	if (widths[d->width].khz <= 20000 || d->width == R3_REG_W2160)
		return d->control_khz == d->center1_khz;
	if (!is_piece(d->control_khz, d->center1_khz, widths[d->width].khz))
		return false;
	if (d->width != R3_REG_W80P80)
		return true;
	gap = d->center1_khz > d->center2_khz ?
		      d->center1_khz - d->center2_khz :
		      d->center2_khz - d->center1_khz;
	return d->center2_khz && gap > 80000; /* touching would be 160 */
}

static const struct r3_reg_channel *
channel_at(const struct r3_reg_channel *ch, unsigned count, uint32_t khz)
{
	for (unsigned i = 0; i < count; i++)
		if (ch[i].khz == khz)
			return &ch[i];
	return NULL;
}

/* What all subchannels together say. */
struct sum {
	uint32_t flags, all; /* or, and */
	uint32_t missing_khz, cac_ms;
	uint32_t first[18]; /* the first subchannel with flag bit n */
	bool available;	    /* every radar one is */
	bool unavailable;   /* one is in its non-occupancy period */
	uint32_t radar_khz;
	int power_dbm;
	uint32_t weakest_khz;
};

static void sum_channel(struct sum *s, const struct r3_reg_channel *c)
{
	for (unsigned bit = 0; bit < R3_COUNT(s->first); bit++)
		if ((c->flags & ~s->flags) >> bit & 1)
			s->first[bit] = c->khz;
	s->flags |= c->flags;
	if (c->power_dbm < s->power_dbm) {
		s->power_dbm = c->power_dbm;
		s->weakest_khz = c->khz;
	}
	if (!(c->flags & R3_REG_CH_RADAR))
		return;
	if (c->cac_ms > s->cac_ms)
		s->cac_ms = c->cac_ms;
	s->available = s->available && c->dfs == R3_REG_DFS_AVAILABLE;
	if (c->dfs == R3_REG_DFS_UNAVAILABLE) {
		s->unavailable = true;
		s->radar_khz = c->khz;
	}
}

static void sum_block(struct sum *s, const struct r3_reg_channel *ch,
		      unsigned count, uint32_t center, uint32_t width)
{
	const struct r3_reg_channel *c;
	uint32_t first = width > 20000 && width < 2160000 ?
				 center - width / 2 + 10000 :
				 center;
	uint32_t last = center + (center - first);

	for (uint32_t f = first; f <= last; f += 20000) {
		c = channel_at(ch, count, f);
		if (c)
			sum_channel(s, c);
		else if (!s->missing_khz)
			s->missing_khz = f;
	}
}

static uint32_t who(const struct sum *s, uint32_t flags)
{
	uint32_t hit = s->flags & flags;

	return hit ? s->first[__builtin_ctz(hit)] : 0;
}

static enum r3_reg_verdict verdict(enum r3_reg_verdict v, uint32_t khz,
				   struct r3_reg_answer *a)
{
	a->bad_khz = khz;
	return v;
}

static uint32_t too_wide(const struct r3_reg_chandef *d,
			 const struct r3_reg_channel *control)
{
	uint32_t p = widths[d->width].prohibited;

	if (d->width == R3_REG_W40 && d->center1_khz < d->control_khz)
		return control->flags & R3_REG_CH_NO_40MINUS;
	if (d->width == R3_REG_W40)
		return control->flags & R3_REG_CH_NO_40PLUS;
	return p;
}

static bool s1g_fits(const struct r3_reg_chandef *d, const struct sum *s)
{
	static const uint32_t flag[] = { R3_REG_CH_S1G_1, R3_REG_CH_S1G_2,
					 R3_REG_CH_S1G_4, R3_REG_CH_S1G_8,
					 R3_REG_CH_S1G_16 };

	return !is_s1g_width(d->width) ||
	       (s->flags & flag[d->width - R3_REG_W1]);
}

static enum r3_reg_verdict judge_radar(const struct r3_reg_ask *ask,
				       const struct sum *s,
				       struct r3_reg_answer *a)
{
	if (s->unavailable)
		return verdict(R3_REG_IS_RADAR, s->radar_khz, a);
	if (s->available)
		return R3_REG_OK;
	if (!ask->dfs_capable)
		return verdict(R3_REG_IS_RADAR, who(s, R3_REG_CH_RADAR), a);
	return R3_REG_OK_AFTER_CAC;
}

static enum r3_reg_verdict judge(const struct r3_reg_ask *ask,
				 const struct sum *s,
				 const struct r3_reg_channel *control,
				 struct r3_reg_answer *a)
{
	uint32_t wide = too_wide(&ask->def, control);
	bool radar = s->flags & R3_REG_CH_RADAR;
	enum r3_reg_verdict v = R3_REG_OK;

	if (s->missing_khz)
		return verdict(R3_REG_NO_CHANNEL, s->missing_khz, a);
	if (s->flags & R3_REG_CH_DISABLED)
		return verdict(R3_REG_IS_DISABLED, who(s, R3_REG_CH_DISABLED),
			       a);
	if (wide & s->flags)
		return verdict(R3_REG_IS_TOO_WIDE, who(s, wide), a);
	if (!s1g_fits(&ask->def, s))
		return verdict(R3_REG_IS_TOO_WIDE, ask->def.control_khz, a);
	/* OFDM alone has these widths */
	if (widths[ask->def.width].khz != 20000 &&
	    !is_s1g_width(ask->def.width) && (s->flags & R3_REG_CH_NO_OFDM))
		return verdict(R3_REG_IS_TOO_WIDE, who(s, R3_REG_CH_NO_OFDM),
			       a);
	if (ask->outdoor && (s->flags & R3_REG_CH_INDOOR))
		return verdict(R3_REG_IS_INDOOR, who(s, R3_REG_CH_INDOOR), a);
	if (ask->use == R3_REG_USE_BEACON && radar)
		v = judge_radar(ask, s, a);
	/* after its CAC a radar channel may be used in spite of NO-IR */
	if (ask->use != R3_REG_USE_STATION && (s->flags & R3_REG_CH_NO_IR) &&
	    (!radar || ask->use == R3_REG_USE_SCAN))
		return verdict(R3_REG_IS_NO_IR, who(s, R3_REG_CH_NO_IR), a);
	if ((v == R3_REG_OK || v == R3_REG_OK_AFTER_CAC) && ask->has_power &&
	    ask->power_mbm > s->power_dbm * 100)
		return verdict(R3_REG_IS_TOO_STRONG, s->weakest_khz, a);
	return v;
}

struct r3_reg_answer r3_reg_judge(const struct r3_reg_channel *ch,
				  unsigned count, const struct r3_reg_ask *ask)
{
	const struct r3_reg_chandef *d = &ask->def;
	struct r3_reg_answer a = { .verdict = R3_REG_BAD_CHANDEF };
	struct sum s = { .available = true, .power_dbm = INT16_MAX };
	const struct r3_reg_channel *control;

	if (!is_valid(d))
		return a;
	control = channel_at(ch, count, d->control_khz);
	if (!control) {
		a.verdict = verdict(R3_REG_NO_CHANNEL, d->control_khz, &a);
		return a;
	}
	sum_block(&s, ch, count, d->center1_khz, widths[d->width].khz);
	if (d->center2_khz)
		sum_block(&s, ch, count, d->center2_khz, 80000);
	a.flags = s.flags;
	a.cac_ms = s.cac_ms;
	a.power_dbm = s.power_dbm;
	a.verdict = judge(ask, &s, control, &a);
	return a;
}

/* ---- blocks of 802.11 ---------------------------------------------------- */

/* Lowest channels of the runs in which blocks of 40 to 320 MHz are counted. */
static const struct {
	uint32_t first_khz, last_khz;
} grids[] = {
	{ 5180000, 5320000 },
	{ 5500000, 5720000 },
	{ 5745000, 5885000 },
	{ 5955000, 7115000 },
};

static int block_at(uint32_t control, uint32_t width, uint32_t first,
		    uint32_t last, uint32_t *center)
{
	uint32_t n = (control - first) / width;
	uint32_t low = first - 10000 + n * width;

	if ((control - first) % 20000 || low + width > last + 10000)
		return -EINVAL;
	*center = low + width / 2;
	return 0;
}

static int grid_center(uint32_t control, uint32_t width, uint32_t *center)
{
	for (unsigned i = 0; i < R3_COUNT(grids); i++) {
		if (control < grids[i].first_khz || control > grids[i].last_khz)
			continue;
		if (!block_at(control, width, grids[i].first_khz,
			      grids[i].last_khz, center))
			return 0;
		/* 320 MHz: the second set begins 160 MHz higher */
		if (width == 320000 &&
		    control >= grids[i].first_khz + 160000)
			return block_at(control, width,
					grids[i].first_khz + 160000,
					grids[i].last_khz, center);
	}
	return -EINVAL;
}

int r3_reg_chandef_make(uint32_t control_khz, enum r3_reg_width width,
			int offset40, struct r3_reg_chandef *out)
{
	struct r3_reg_chandef d = { control_khz, control_khz, 0, width };
	int err = 0;

	if (width >= R3_REG_WIDTHS || width == R3_REG_W80P80)
		return -EINVAL;
	if (width == R3_REG_W40 && offset40)
		d.center1_khz = offset40 < 0 ? control_khz - 10000 :
					       control_khz + 10000;
	else if (widths[width].khz > 20000 && width != R3_REG_W2160)
		err = grid_center(control_khz, widths[width].khz,
				  &d.center1_khz);
	if (!err)
		*out = d;
	return err;
}
