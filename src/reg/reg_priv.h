/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reg_priv.h - what the files of reg share */
#ifndef REG_PRIV_H
#define REG_PRIV_H

#include "ring3/reg.h"

#define REG_MHZ 1000u

/* Say why, at an offset; returns @code. */
int reg_fail(struct r3_reg_err *err, int code, size_t offset,
	     const char *fmt, ...) R3_PRINTF(4, 5);

struct r3_reg_db {
	uint8_t *bytes;
	size_t len;
	struct r3_reg_domain *domains;
	unsigned count;
	struct r3_reg_rule *rules;
	struct r3_reg_wmm *wmm;
	unsigned wmm_count;
	char hash[65];
};

/* How one channel is put into a domain: who asked, and on whose behalf. */
struct reg_apply {
	bool keep_out_of_band; /* a country element may leave bands out */
	bool strict;	       /* the radio's own domain becomes its base */
};

/* Return: the index of the rule that decided, -1 when none did. */
int reg_apply_channel(const struct r3_reg_domain *d,
		      struct r3_reg_channel *ch, const struct reg_apply *how);
/* A domain built into the radio, before it is registered. */
void reg_apply_custom(const struct r3_reg_domain *d,
		      struct r3_reg_channel *ch, unsigned count);
/* @own: the radio's private domain, whose NO-HT40 flags count; or NULL. */
void reg_ht40_pass(const struct r3_reg_domain *own,
		   struct r3_reg_channel *ch, unsigned count);

extern const struct r3_reg_domain reg_hwsim_custom[2];

static inline bool reg_is_s1g(const struct r3_reg_channel *ch)
{
	return ch->band == R3_REG_BAND_S1GHZ;
}

#endif
