// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * judge.c - chosen channels: what a kernel refused (US, mac80211_hwsim) is
 * refused, what it accepted is accepted; the table says the same as the judge
 */
#include "reg_test.h"

#define B R3_REG_USE_BEACON
#define S R3_REG_USE_STATION

static const struct {
	const char *name, *country;
	unsigned control, center;
	enum r3_reg_width width;
	enum r3_reg_use use;
	bool dfs, outdoor;
	int power; /* dBm, 0: none */
	enum r3_reg_verdict want;
	unsigned bad; /* MHz */
} rows[] = {
	{ "IBSS on 2484", "US", 2484, 2484, R3_REG_W20_NOHT, B, 0, 0, 0,
	  R3_REG_IS_DISABLED, 2484 },
	{ "IBSS on 2467", "US", 2467, 2467, R3_REG_W20, B, 0, 0, 0,
	  R3_REG_IS_DISABLED, 2467 },
	{ "radar channel without DFS", "US", 5260, 5260, R3_REG_W20, B, 0, 0,
	  0, R3_REG_IS_RADAR, 5260 },
	{ "radar channel with DFS", "US", 5260, 5260, R3_REG_W20, B, 1, 0, 0,
	  R3_REG_OK_AFTER_CAC, 0 },
	{ "station on a radar channel", "US", 5260, 5260, R3_REG_W20, S, 0, 0,
	  0, R3_REG_OK, 0 },
	{ "no IR at 6 GHz", "US", 5955, 5955, R3_REG_W20, B, 1, 0, 0,
	  R3_REG_IS_NO_IR, 5955 },
	{ "station at 6 GHz", "US", 5955, 5955, R3_REG_W20, S, 1, 0, 0,
	  R3_REG_OK, 0 },
	{ "5180 is free", "US", 5180, 5180, R3_REG_W20, B, 0, 0, 0, R3_REG_OK,
	  0 },
	{ "40 dBm on 2462", "US", 2462, 2462, R3_REG_W20, B, 0, 0, 40,
	  R3_REG_IS_TOO_STRONG, 2462 },
	{ "30 dBm on 2462", "US", 2462, 2462, R3_REG_W20, B, 0, 0, 30,
	  R3_REG_OK, 0 },
	{ "80 MHz over radar channels", "US", 5180, 5210, R3_REG_W80, B, 0, 0,
	  0, R3_REG_OK, 0 },
	{ "160 MHz reaches radar channels", "US", 5180, 5250, R3_REG_W160, B,
	  0, 0, 0, R3_REG_IS_RADAR, 5260 },
	{ "160 MHz after CAC", "US", 5180, 5250, R3_REG_W160, B, 1, 0, 0,
	  R3_REG_OK_AFTER_CAC, 0 },
	{ "40 MHz downwards from 36", "US", 5180, 5170, R3_REG_W40, B, 0, 0, 0,
	  R3_REG_NO_CHANNEL, 5160 },
	{ "40 MHz upwards from 36", "US", 5180, 5190, R3_REG_W40, B, 0, 0, 0,
	  R3_REG_OK, 0 },
	{ "80 MHz off the middle", "US", 5180, 5200, R3_REG_W80, B, 0, 0, 0,
	  R3_REG_BAD_CHANDEF, 0 },
	{ "80 MHz on 2.4 GHz", "US", 2437, 2447, R3_REG_W80, B, 0, 0, 0,
	  R3_REG_NO_CHANNEL, 2477 },
	{ "channel 14 in Japan", "JP", 2484, 2484, R3_REG_W20_NOHT, B, 0, 0, 0,
	  R3_REG_OK, 0 },
	{ "channel 14 is no HT channel", "JP", 2484, 2484, R3_REG_W20, B, 0, 0,
	  0, R3_REG_BAD_CHANDEF, 0 },
	{ "indoor channel indoors", "DE", 5180, 5180, R3_REG_W20, B, 0, 0, 0,
	  R3_REG_OK, 0 },
	{ "indoor channel outdoors", "DE", 5180, 5180, R3_REG_W20, B, 0, 1, 0,
	  R3_REG_IS_INDOOR, 5180 },
	{ "320 MHz in Germany", "DE", 5955, 6105, R3_REG_W320, B, 0, 0, 0,
	  R3_REG_OK, 0 },
	{ "320 MHz beyond 6425", "DE", 6115, 6265, R3_REG_W320, B, 0, 0, 0,
	  R3_REG_OK, 0 },
	{ "320 MHz over the edge", "DE", 6275, 6425, R3_REG_W320, B, 0, 0, 0,
	  R3_REG_IS_DISABLED, 6435 },
	{ "160 MHz where AUTO-BW has 125", "DE", 5745, 5815, R3_REG_W160, B, 0,
	  0, 0, R3_REG_IS_DISABLED, 5885 },
	{ "no such channel", "US", 5190, 5190, R3_REG_W20, B, 0, 0, 0,
	  R3_REG_NO_CHANNEL, 5190 },
	{ "world: scan needs IR", "00", 5180, 5180, R3_REG_W20,
	  R3_REG_USE_SCAN, 0, 0, 0, R3_REG_IS_NO_IR, 5180 },
	{ "world: radar and no IR, after CAC", "00", 5260, 5260, R3_REG_W20, B,
	  1, 0, 0, R3_REG_OK_AFTER_CAC, 0 },
	{ "60 GHz", "US", 58320, 58320, R3_REG_W2160, B, 0, 0, 0, R3_REG_OK,
	  0 },
	{ "S1G width on an HT channel", "US", 2412, 2412, R3_REG_W2, B, 0, 0,
	  0, R3_REG_BAD_CHANDEF, 0 },
};

static void judges(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_reg_ask q = {
			.def = { rows[i].control * 1000, rows[i].center * 1000,
				 0, rows[i].width },
			.use = rows[i].use,
			.outdoor = rows[i].outdoor,
			.dfs_capable = rows[i].dfs,
			.has_power = rows[i].power != 0,
			.power_mbm = rows[i].power * 100,
		};
		const struct r3_reg_domain *d =
			r3_reg_db_find(db, rows[i].country);
		struct r3_reg_answer a;
		char text[R3_REG_REASON_MAX];

		ROW(rows[i].name);
		r3_reg_derive(d, ch, n);
		a = r3_reg_judge(ch, n, &q);
		assert_int_equal(a.verdict, rows[i].want);
		assert_int_equal(a.bad_khz, rows[i].bad * 1000);
		r3_reg_answer_text(d, &q, &a, text, sizeof(text));
		assert_true(strlen(text) > 10);
	}
	r3_reg_db_free(db);
}

static void judges_80_plus_80(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);
	struct r3_reg_ask q = { .def = { 5180000, 5210000, 5775000,
					 R3_REG_W80P80 },
				.use = R3_REG_USE_BEACON };

	(void)state;
	r3_reg_derive(r3_reg_db_find(db, "US"), ch, n);
	assert_int_equal(r3_reg_judge(ch, n, &q).verdict, R3_REG_OK);
	ROW("the second block on radar channels");
	q.def.center2_khz = 5530000;
	assert_int_equal(r3_reg_judge(ch, n, &q).verdict, R3_REG_IS_RADAR);
	ROW("blocks that touch");
	q.def.center2_khz = 5290000;
	assert_int_equal(r3_reg_judge(ch, n, &q).verdict, R3_REG_BAD_CHANDEF);
	ROW("without a second block");
	q.def.center2_khz = 0;
	assert_int_equal(r3_reg_judge(ch, n, &q).verdict, R3_REG_BAD_CHANDEF);
	r3_reg_db_free(db);
}

/* Every country, channel and width: the table's bit is the judge's verdict. */
static void table_agrees(void **state)
{
	static const struct {
		enum r3_reg_width width;
		int side;
		uint8_t bit;
	} kinds[] = {
		{ R3_REG_W40, -1, R3_REG_T40M }, { R3_REG_W40, 1, R3_REG_T40P },
		{ R3_REG_W80, 0, R3_REG_T80 },	 { R3_REG_W160, 0, R3_REG_T160 },
	};
	struct r3_reg_db *db = data_db();
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true), checked = 0;
	struct r3_reg_table t;

	(void)state;
	for (unsigned c = 0; c < r3_reg_db_count(db); c++) {
		const struct r3_reg_domain *d = r3_reg_db_at(db, c);

		r3_reg_derive(d, ch, n);
		r3_reg_table_fill(&t, d);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(r3_reg_table_index(ch[i].khz), i);
			if (ch[i].khz < 1000000 || ch[i].khz > 10000000 ||
			    ch[i].khz == 2484000)
				continue;
			for (size_t k = 0; k < R3_COUNT(kinds); k++) {
				struct r3_reg_ask q = { .dfs_capable = true };
				bool table = t.cell[i].widths & kinds[k].bit;
				bool judge;

				if (r3_reg_chandef_make(ch[i].khz,
							kinds[k].width,
							kinds[k].side,
							&q.def))
					continue;
				judge = r3_reg_judge(ch, n, &q).verdict ==
					R3_REG_OK;
				if (table != judge)
					fail_msg("%s %u kHz width %s: table %d, judge %d",
						 d->alpha2, ch[i].khz,
						 r3_reg_width_name(
							 kinds[k].width),
						 table, judge);
				checked++;
			}
		}
	}
	assert_true(checked > 50000);
	r3_reg_db_free(db);
}

static void table_compares(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_table t;
	int i = r3_reg_table_index(5180000);

	(void)state;
	r3_reg_table_fill(&t, r3_reg_db_find(db, "DE"));
	assert_true(r3_reg_table_ok(&t, i, R3_REG_T80, 0, 23));
	assert_false(r3_reg_table_ok(&t, i, R3_REG_T80, 0, 24));
	assert_false(r3_reg_table_ok(&t, i, R3_REG_T320, 0, 10));
	assert_false(r3_reg_table_ok(&t, i, R3_REG_T80, R3_REG_TF_INDOOR, 10));
	assert_int_equal(r3_reg_table_index(5181000), -1);
	assert_int_equal(r3_reg_table_index(0), -1);
	assert_int_equal(r3_reg_table_index(UINT32_MAX), -1);
	r3_reg_db_free(db);
}

static void numbers_channels(void **state)
{
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);

	(void)state;
	/* 182 to 185 are two channels each: 4.91 and 5.91 GHz */
	for (unsigned i = 0; i < n; i++)
		if (ch[i].khz < 5910000 || ch[i].khz > 5925000)
			assert_int_equal(
			r3_reg_channel_khz(ch[i].band,
					   r3_reg_channel_number(ch[i].khz)),
			ch[i].khz);
	assert_int_equal(r3_reg_channel_khz(R3_REG_BAND_2GHZ, 15), 0);
	assert_int_equal(r3_reg_channel_khz(R3_REG_BAND_6GHZ, 234), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges),
		cmocka_unit_test(judges_80_plus_80),
		cmocka_unit_test(table_agrees),
		cmocka_unit_test(table_compares),
		cmocka_unit_test(numbers_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
