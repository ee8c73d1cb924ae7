// SPDX-License-Identifier: GPL-2.0-or-later
/* chans.c - which channels exist, and how they are numbered (IEEE 802.11 E) */
#include "reg_priv.h"

/* Runs of channels in ascending order within a band. */
struct run {
	uint32_t first_khz, last_khz, step_khz;
	uint8_t band;
	bool hwsim; /* mac80211_hwsim has them */
};

static const struct run runs[] = {
	{ 2412000, 2472000, 5000, R3_REG_BAND_2GHZ, true },
	{ 2484000, 2484000, 5000, R3_REG_BAND_2GHZ, true },
	{ 4920000, 4980000, 20000, R3_REG_BAND_5GHZ, false },
	{ 5040000, 5080000, 20000, R3_REG_BAND_5GHZ, false },
	{ 5180000, 5320000, 20000, R3_REG_BAND_5GHZ, true },
	{ 5500000, 5700000, 20000, R3_REG_BAND_5GHZ, true },
	{ 5720000, 5720000, 20000, R3_REG_BAND_5GHZ, false },
	{ 5745000, 5845000, 20000, R3_REG_BAND_5GHZ, true },
	{ 5855000, 5925000, 5000, R3_REG_BAND_5GHZ, true },
	{ 5935000, 5935000, 20000, R3_REG_BAND_6GHZ, false },
	{ 5955000, 7115000, 20000, R3_REG_BAND_6GHZ, true },
	{ 902500, 927500, 500, R3_REG_BAND_S1GHZ, true },
	{ 58320000, 69120000, 2160000, R3_REG_BAND_60GHZ, false },
};

unsigned r3_reg_channels(struct r3_reg_channel *ch, bool all)
{
	unsigned n = 0;

	for (unsigned i = 0; i < R3_COUNT(runs); i++) {
		const struct run *r = &runs[i];

		if (!all && !r->hwsim)
			continue;
		for (uint32_t f = r->first_khz;
		     f <= r->last_khz && n < R3_REG_CHANNELS_MAX;
		     f += r->step_khz)
			ch[n++] = (struct r3_reg_channel){ .khz = f,
							   .band = r->band };
	}
	return n;
}

enum r3_reg_band r3_reg_band_of(uint32_t khz)
{
	if (khz < 1000000)
		return R3_REG_BAND_S1GHZ;
	if (khz < 3000000)
		return R3_REG_BAND_2GHZ;
	if (khz < 5930000)
		return R3_REG_BAND_5GHZ;
	if (khz < 45000000)
		return R3_REG_BAND_6GHZ;
	return R3_REG_BAND_60GHZ;
}

uint32_t r3_reg_channel_khz(enum r3_reg_band band, unsigned number)
{
	switch (band) {
	case R3_REG_BAND_2GHZ:
		if (number == 14)
			return 2484000;
		return number >= 1 && number <= 13 ? 2407000 + number * 5000 :
						     0;
	case R3_REG_BAND_5GHZ:
		if (number >= 182 && number <= 196)
			return 4000000 + number * 5000;
		return number >= 1 && number <= 185 ? 5000000 + number * 5000 :
						      0;
	case R3_REG_BAND_6GHZ:
		if (number == 2)
			return 5935000;
		return number >= 1 && number <= 233 ? 5950000 + number * 5000 :
						      0;
	case R3_REG_BAND_60GHZ:
		return number >= 1 && number <= 6 ? 56160000 + number * 2160000 :
						    0;
	case R3_REG_BAND_S1GHZ:
		return number >= 1 && number <= 51 ? 902000 + number * 500 : 0;
	default:
		return 0;
	}
}

unsigned r3_reg_channel_number(uint32_t khz)
{
	switch (r3_reg_band_of(khz)) {
	case R3_REG_BAND_2GHZ:
		if (khz == 2484000)
			return 14;
		return khz > 2407000 ? (khz - 2407000) / 5000 : 0;
	case R3_REG_BAND_5GHZ:
		if (khz < 5000000)
			return khz > 4000000 ? (khz - 4000000) / 5000 : 0;
		return (khz - 5000000) / 5000;
	case R3_REG_BAND_6GHZ:
		if (khz == 5935000)
			return 2;
		return khz > 5950000 ? (khz - 5950000) / 5000 : 0;
	case R3_REG_BAND_60GHZ:
		return khz > 56160000 ? (khz - 56160000) / 2160000 : 0;
	default:
		return khz > 902000 ? (khz - 902000) / 500 : 0;
	}
}
