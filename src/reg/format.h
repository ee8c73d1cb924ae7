/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - regulatory.db version 20, as it stands on disk
 *
 * Big endian.  Pointers are 16 bits and count 4-byte units from the start of
 * the file.  Source: wireless-regdb, db2fw.py; net/wireless/reg.c.
 *
 *	head | country... | 0 0 0 0 | wmm... | rule... | collection...
 */
#ifndef REG_FORMAT_H
#define REG_FORMAT_H

#include "ring3/base.h"

#define REG_MAGIC   0x52474442u /* "RGDB" */
#define REG_VERSION 20u

struct reg_head {
	r3_be32 magic;
	r3_be32 version;
};
static_assert(sizeof(struct reg_head) == 8, "disk size");

struct reg_country {
	char alpha2[2];
	r3_be16 collection; /* 0 ends the table */
};
static_assert(sizeof(struct reg_country) == 4, "disk size");

/* Followed, at len rounded up to 2, by rules 16-bit pointers to rules. */
struct reg_collection {
	uint8_t len; /* of this head: 3; more may follow one day */
	uint8_t rules;
	uint8_t dfs_region;
};
static_assert(sizeof(struct reg_collection) == 3, "disk size");

#define REG_RULE_LEN	 16u /* up to and with max_bw_khz */
#define REG_RULE_LEN_CAC 18u
#define REG_RULE_LEN_WMM 20u

struct reg_rule {
	uint8_t len;
	uint8_t flags; /* REG_F_... */
	r3_be16 eirp_mbm;
	r3_be32 start_khz, end_khz, max_bw_khz;
	r3_be16 cac_s;	/* when len >= 18 */
	r3_be16 wmm;	/* when len >= 20 */
};
static_assert(sizeof(struct reg_rule) == 20, "disk size");

enum {
	REG_F_NO_OFDM = 1,
	REG_F_NO_OUTDOOR = 2,
	REG_F_DFS = 4,
	REG_F_NO_IR = 8,
	REG_F_AUTO_BW = 16,
};

struct reg_wmm_ac {
	uint8_t ecw; /* high half: exponent of cw_min + 1, low: of cw_max + 1 */
	uint8_t aifsn;
	r3_be16 cot_ms;
};

/* Voice, video, best effort, background. */
struct reg_wmm {
	struct reg_wmm_ac client[4], ap[4];
};
static_assert(sizeof(struct reg_wmm) == 32, "disk size");

#endif
