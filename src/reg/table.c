// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - a flat table per domain: everything about a 20 MHz channel in eight
 * bytes, blocks judged once when the table is made
 */
#include "reg_priv.h"

/* Runs of cells; the order is that of r3_reg_channels(true). */
static const struct {
	uint32_t first_khz, last_khz, step_khz;
} runs[] = {
	{ 2412000, 2472000, 5000 },    { 2484000, 2484000, 5000 },
	{ 4920000, 4980000, 20000 },   { 5040000, 5080000, 20000 },
	{ 5180000, 5320000, 20000 },   { 5500000, 5700000, 20000 },
	{ 5720000, 5720000, 20000 },   { 5745000, 5845000, 20000 },
	{ 5855000, 5925000, 5000 },    { 5935000, 5935000, 20000 },
	{ 5955000, 7115000, 20000 },   { 902500, 927500, 500 },
	{ 58320000, 69120000, 2160000 },
};

int r3_reg_table_index(uint32_t khz)
{
	unsigned base = 0;

	for (unsigned i = 0; i < R3_COUNT(runs); i++) {
		uint32_t d = khz - runs[i].first_khz;
		uint32_t span = runs[i].last_khz - runs[i].first_khz;

		if (d <= span)
			return d % runs[i].step_khz ?
				       -1 :
				       (int)(base + d / runs[i].step_khz);
		base += span / runs[i].step_khz + 1;
	}
	return -1;
}

static struct r3_reg_cell cell_of(const struct r3_reg_domain *d,
				  const struct r3_reg_channel *ch)
{
	struct r3_reg_cell c = { .rule = UINT16_MAX };
	struct r3_reg_found f;
	uint32_t fl = ch->flags;

	if (fl & R3_REG_CH_DISABLED)
		return c;
	f = r3_reg_find(d, ch->khz);
	c.rule = (uint16_t)f.rule;
	c.power_dbm = ch->power_dbm;
	c.cac_s = (uint16_t)(ch->cac_ms / 1000);
	c.flags = (fl & R3_REG_CH_NO_IR ? R3_REG_TF_NO_IR : 0) |
		  (fl & R3_REG_CH_RADAR ? R3_REG_TF_RADAR : 0) |
		  (fl & R3_REG_CH_INDOOR ? R3_REG_TF_INDOOR : 0) |
		  (fl & R3_REG_CH_NO_OFDM ? R3_REG_TF_NO_OFDM : 0);
	if (!(fl & R3_REG_CH_NO_20) || reg_is_s1g(ch))
		c.widths |= R3_REG_T20;
	if (!(fl & (R3_REG_CH_NO_40MINUS | R3_REG_CH_NO_OFDM)))
		c.widths |= R3_REG_T40M;
	if (!(fl & (R3_REG_CH_NO_40PLUS | R3_REG_CH_NO_OFDM)))
		c.widths |= R3_REG_T40P;
	return c;
}

/* Mark a block in all its cells when none of its channels forbids it. */
static void mark_block(struct r3_reg_table *t, const struct r3_reg_channel *ch,
		       uint32_t low_khz, unsigned pieces, uint32_t forbidden,
		       uint8_t bit)
{
	int at[16];
	uint32_t flags = 0;

	for (unsigned i = 0; i < pieces; i++) {
		at[i] = r3_reg_table_index(low_khz + 20000 * i);
		if (at[i] < 0)
			return;
		flags |= ch[at[i]].flags;
	}
	if (flags & (forbidden | R3_REG_CH_DISABLED | R3_REG_CH_NO_OFDM))
		return;
	for (unsigned i = 0; i < pieces; i++)
		t->cell[at[i]].widths |= bit;
}

static void mark_grid(struct r3_reg_table *t, const struct r3_reg_channel *ch,
		      uint32_t first, uint32_t last)
{
	static const struct {
		unsigned pieces, step;
		uint32_t forbidden;
		uint8_t bit;
	} kinds[] = {
		{ 4, 4, R3_REG_CH_NO_80, R3_REG_T80 },
		{ 8, 8, R3_REG_CH_NO_160, R3_REG_T160 },
		{ 16, 8, R3_REG_CH_NO_320, R3_REG_T320 }, /* two sets */
	};

	for (unsigned k = 0; k < R3_COUNT(kinds); k++)
		for (uint32_t f = first;
		     f + 20000 * (kinds[k].pieces - 1) <= last;
		     f += 20000 * kinds[k].step)
			mark_block(t, ch, f, kinds[k].pieces,
				   kinds[k].forbidden, kinds[k].bit);
}

void r3_reg_table_fill(struct r3_reg_table *t, const struct r3_reg_domain *d)
{
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);

	static_assert(R3_REG_TABLE_CELLS <= R3_REG_CHANNELS_MAX, "all channels");
	assert(n == R3_REG_TABLE_CELLS);
	r3_reg_derive(d, ch, n);
	memcpy(t->alpha2, d->alpha2, sizeof(t->alpha2));
	t->dfs = d->dfs;
	for (unsigned i = 0; i < n; i++)
		t->cell[i] = cell_of(d, &ch[i]);
	mark_grid(t, ch, 5180000, 5320000);
	mark_grid(t, ch, 5500000, 5720000);
	mark_grid(t, ch, 5745000, 5885000);
	mark_grid(t, ch, 5955000, 7115000);
}
