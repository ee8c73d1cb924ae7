/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reg_conf.c - fuzz hostapd.conf, wpa_supplicant.conf and OpenWrt's wireless
 *
 * Findings point into the file; every network can be judged anywhere.
 */
#include <stdlib.h>

#include "ring3/reg.h"

static const struct r3_reg_rule rules[] = {
	{ .start_khz = 2402000, .end_khz = 2472000, .max_bw_khz = 40000,
	  .eirp_mbm = 2000 },
	{ .start_khz = 5170000, .end_khz = 5330000, .max_bw_khz = 160000,
	  .eirp_mbm = 2000, .flags = R3_REG_DFS },
	{ .start_khz = 5945000, .end_khz = 6425000, .max_bw_khz = 320000,
	  .eirp_mbm = 2300, .flags = R3_REG_NO_OUTDOOR | R3_REG_NO_IR },
};
static const struct r3_reg_domain domain = { "AA", R3_REG_DFS_ETSI,
					     R3_COUNT(rules), rules, NULL };

static unsigned lines_of(const uint8_t *data, size_t len)
{
	unsigned n = 1;

	for (size_t i = 0; i < len; i++)
		n += data[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct r3_reg_conf conf;
	static struct r3_reg_findings found;
	unsigned lines = lines_of(data, len);

	for (unsigned kind = R3_REG_CONF_GUESS; kind <= R3_REG_CONF_UCI;
	     kind++) {
		memset(&found, 0, sizeof(found));
		if (r3_reg_conf_parse(&conf, kind, (const char *)data, len,
				      &found))
			return 0;
		assert(conf.count <= R3_REG_NETS_MAX);
		for (unsigned i = 0; i < conf.count; i++)
			r3_reg_conf_check(&domain, &conf.net[i], &found);
		assert(found.count <= R3_REG_FINDINGS_MAX);
		for (unsigned i = 0; i < found.count; i++)
			assert(found.v[i].at.line <= lines);
	}
	return 0;
}
