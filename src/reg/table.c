// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - a flat table per domain: everything about a 20 MHz channel in eight
 * bytes, blocks judged once when the table is made
 */
#include "reg_priv.h"

/* First cell of each run; the order is that of r3_reg_channels(true). */
enum {
	AT_2412 = 0,
	AT_2484 = AT_2412 + 13,
	AT_4920,
	AT_5040 = AT_4920 + 4,
	AT_5180 = AT_5040 + 3,
	AT_5500 = AT_5180 + 8,
	AT_5720 = AT_5500 + 11,
	AT_5745,
	AT_5855 = AT_5745 + 6,
	AT_5935 = AT_5855 + 15,
	AT_5955,
	AT_902 = AT_5955 + 59,
	AT_58320 = AT_902 + 51,
	AT_END = AT_58320 + 6,
};
static_assert(AT_END == R3_REG_TABLE_CELLS, "every channel has a cell");

/* Constant steps, so that the compiler needs no division. */
#define RUN(first, last, step, base)                               \
	do {                                                       \
		if (khz >= (first) && khz <= (last))               \
			return (khz - (first)) % (step) ?          \
				       -1 :                        \
				       (int)((base) + (khz - (first)) / (step)); \
	} while (0)

int r3_reg_table_index(uint32_t khz)
{
	RUN(5180000, 5320000, 20000, AT_5180);
	RUN(2412000, 2472000, 5000, AT_2412);
	RUN(5500000, 5720000, 20000, AT_5500);
	RUN(5745000, 5845000, 20000, AT_5745);
	RUN(5955000, 7115000, 20000, AT_5955);
	RUN(5855000, 5925000, 5000, AT_5855);
	RUN(902500, 927500, 500, AT_902);
	RUN(58320000, 69120000, 2160000, AT_58320);
	RUN(4920000, 4980000, 20000, AT_4920);
	RUN(5040000, 5080000, 20000, AT_5040);
	RUN(2484000, 2484000, 5000, AT_2484);
	RUN(5935000, 5935000, 5000, AT_5935);
	return -1;
}

static struct r3_reg_cell cell_of(const struct r3_reg_channel *ch, int rule)
{
	struct r3_reg_cell c = { .rule = UINT16_MAX };
	uint32_t fl = ch->flags;

	if (fl & R3_REG_CH_DISABLED)
		return c;
	c.rule = (uint16_t)rule;
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
	static const struct reg_apply how = { 0 };
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	int rule[R3_REG_TABLE_CELLS];
	unsigned n = r3_reg_channels(ch, true);

	static_assert(R3_REG_TABLE_CELLS <= R3_REG_CHANNELS_MAX, "all channels");
	assert(n == R3_REG_TABLE_CELLS);
	for (unsigned i = 0; i < n; i++)
		rule[i] = reg_apply_channel(d, &ch[i], &how);
	reg_ht40_pass(NULL, ch, n);
	memcpy(t->alpha2, d->alpha2, sizeof(t->alpha2));
	t->dfs = d->dfs;
	for (unsigned i = 0; i < n; i++)
		t->cell[i] = cell_of(&ch[i], rule[i]);
	mark_grid(t, ch, 5180000, 5320000);
	mark_grid(t, ch, 5500000, 5720000);
	mark_grid(t, ch, 5745000, 5885000);
	mark_grid(t, ch, 5955000, 7115000);
}
