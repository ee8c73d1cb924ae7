/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conf.h - what the readers of configuration files share */
#ifndef REG_CONF_H
#define REG_CONF_H

#include "reg_priv.h"

#define CONF_VALUE_MAX 256u

/* A line as it is taken apart. */
struct conf_line {
	const char *start, *end; /* without the newline */
	unsigned number;
};

struct conf_text {
	const char *p, *end;
	unsigned number;
};

bool conf_next(struct conf_text *t, struct conf_line *line);
struct r3_reg_place conf_place(const struct conf_line *l, const char *at);

void conf_say(struct r3_reg_findings *f, enum r3_reg_severity s,
	      struct r3_reg_place at, const char *remedy, const char *fmt, ...)
	R3_PRINTF(5, 6);

/* What the three languages have in common, before it becomes a chandef. */
struct conf_radio {
	struct r3_reg_net net;
	enum r3_reg_band band;
	bool band_known, disabled;
	unsigned channel;
	uint32_t khz;		/* a frequency instead of a channel */
	int ht40;		/* -1, 0, +1 */
	bool ht40_any;		/* 40 MHz wanted, either side will do */
	enum r3_reg_width width;
	bool has_width;
	unsigned seg0, seg1;	/* centre channel numbers, 0: none given */
	struct r3_reg_place seg_at;
	const char *need_seg;	/* the key that must name the centre */
};

/* Work out the chandef; findings where there is none.  True: may be added. */
bool conf_resolve(struct conf_radio *r, struct r3_reg_findings *f);
void conf_add(struct r3_reg_conf *out, const struct r3_reg_net *net,
	      struct r3_reg_findings *f);

/* A whole number at a place; a finding when it is none. */
bool conf_number(const char *value, struct r3_reg_place at, long min, long max,
		 const char *key, long *out, struct r3_reg_findings *f);
bool conf_country(const char *value, struct r3_reg_place at, char out[3],
		  struct r3_reg_findings *f);

void conf_read_hostapd(struct r3_reg_conf *out, struct conf_text t,
		       struct r3_reg_findings *f);
void conf_read_wpa(struct r3_reg_conf *out, struct conf_text t,
		   struct r3_reg_findings *f);
void conf_read_uci(struct r3_reg_conf *out, struct conf_text t,
		   struct r3_reg_findings *f);

#endif
