/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dbtxt.h - db.txt, wireless-regdb's source form, as it was read */
#ifndef REG_DBTXT_H
#define REG_DBTXT_H

#include "reg_priv.h"

#define TXT_MAX	      (4u * 1024 * 1024)
#define TXT_NAMES_MAX 256u /* bands, powers, WMM rules: each */
#define TXT_NAME_MAX  32u
#define TXT_ITEMS_MAX R3_REG_RULES_TOTAL

/* cw_min, cw_max, aifsn, cot for vo vi be bk of clients, then of APs. */
struct txt_wmm {
	char name[TXT_NAME_MAX];
	uint16_t v[8][4];
	uint8_t have; /* bit per access category */
};

/* As written: numbers stay doubles, because equal doubles make equal rules. */
struct txt_rule {
	double start, end, bw; /* MHz */
	double eirp;	       /* dBm */
	uint32_t flags;
	int wmm; /* index, -1 none */
};

struct txt_country {
	char alpha2[2];
	uint8_t dfs;
	unsigned count;
	uint16_t rule[R3_REG_RULES_MAX]; /* indexes in db->rules */
};

struct txt_named {
	char name[TXT_NAME_MAX];
	double a, b, c;
};

struct txt_db {
	struct txt_wmm wmm[TXT_NAMES_MAX];
	struct txt_named band[TXT_NAMES_MAX], power[TXT_NAMES_MAX];
	unsigned wmms, bands, powers;
	struct txt_rule *rules; /* each different one once */
	unsigned count, room;
	struct txt_country *countries;
	unsigned country_count;
};

int txt_parse(struct txt_db **out, const char *text, size_t len,
	      struct r3_reg_err *err);
void txt_free(struct txt_db *db);

/* The order in which wireless-regdb stores rules; 0: the same rule. */
int txt_rule_cmp(const struct txt_db *db, const struct txt_rule *a,
		 const struct txt_rule *b);

/* Exactly as db2fw.py does: multiply, then cut. */
static inline uint32_t txt_khz(double mhz)
{
	return (uint32_t)(mhz * 1000);
}

static inline uint32_t txt_mbm(double dbm)
{
	return (uint32_t)(dbm * 100);
}

/* "200 mW" in dBm, as dbparse.py computes it. */
double txt_mw(double mw);

extern const char *const txt_ac_names[8];
extern const char *const txt_dfs_names[4];

#endif
