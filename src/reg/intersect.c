// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * intersect.c - what two domains allow together
 *
 * Each rule of the new domain against each of the one in force.  The result
 * is no set intersection in every respect (two DFS regions give none, AUTO-BW
 * widths were widened before), but it is the kernel's, rule by rule in order.
 */
#include "reg_priv.h"

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static struct r3_reg_wmm_ac wmm_ac(struct r3_reg_wmm_ac a,
				   struct r3_reg_wmm_ac b)
{
	return (struct r3_reg_wmm_ac){
		.cw_min = (uint16_t)max32(a.cw_min, b.cw_min),
		.cw_max = (uint16_t)max32(a.cw_max, b.cw_max),
		.aifsn = (uint8_t)max32(a.aifsn, b.aifsn),
		.txop_us = min32(a.txop_us, b.txop_us),
	};
}

/* False when neither has limits. */
static bool wmm_both(const struct r3_reg_domain *a, uint16_t ia,
		     const struct r3_reg_domain *b, uint16_t ib,
		     struct r3_reg_wmm *out)
{
	if (!ia && !ib)
		return false;
	if (!ia || !ib) {
		*out = ia ? a->wmm[ia - 1] : b->wmm[ib - 1];
		return true;
	}
	for (unsigned i = 0; i < 4; i++) {
		out->client[i] = wmm_ac(a->wmm[ia - 1].client[i],
					b->wmm[ib - 1].client[i]);
		out->ap[i] = wmm_ac(a->wmm[ia - 1].ap[i],
				    b->wmm[ib - 1].ap[i]);
	}
	return true;
}

static bool rule_both(const struct r3_reg_domain *da, unsigned ia,
		      const struct r3_reg_domain *db, unsigned ib,
		      struct r3_reg_rule *out)
{
	const struct r3_reg_rule *a = &da->rules[ia], *b = &db->rules[ib];
	struct r3_reg_rule r = {
		.start_khz = max32(a->start_khz, b->start_khz),
		.end_khz = min32(a->end_khz, b->end_khz),
		.flags = (a->flags | b->flags) & ~(uint32_t)R3_REG_AUTO_BW,
		.cac_ms = max32(a->cac_ms, b->cac_ms),
		.eirp_mbm = a->eirp_mbm < b->eirp_mbm ? a->eirp_mbm :
							b->eirp_mbm,
		.gain_mbi = a->gain_mbi < b->gain_mbi ? a->gain_mbi :
							b->gain_mbi,
	};

	if (r.end_khz <= r.start_khz)
		return false;
	r.flags |= a->flags & b->flags & R3_REG_AUTO_BW;
	r.max_bw_khz = min32(r3_reg_rule_width(da, ia),
			     r3_reg_rule_width(db, ib));
	r.max_bw_khz = min32(r.max_bw_khz, r.end_khz - r.start_khz);
	*out = r;
	return true;
}

/* @a covers @b: same flags, not stronger, at least as wide. */
static bool covers(const struct r3_reg_rule *a, const struct r3_reg_rule *b)
{
	return a->flags == b->flags && a->gain_mbi <= b->gain_mbi &&
	       a->eirp_mbm <= b->eirp_mbm && a->start_khz <= b->start_khz &&
	       a->end_khz >= b->end_khz && a->max_bw_khz >= b->max_bw_khz;
}

/* The slot for @r: none when one covers it, that which it covers, or a new. */
static int slot_for(const struct r3_reg_domain_buf *out,
		    const struct r3_reg_rule *r)
{
	for (unsigned i = 0; i < out->d.count; i++) {
		if (covers(&out->rules[i], r))
			return -1;
		if (covers(r, &out->rules[i]))
			return (int)i;
	}
	return out->d.count;
}

static int add(struct r3_reg_domain_buf *out, struct r3_reg_rule *r,
	       bool has_wmm, const struct r3_reg_wmm *wmm)
{
	int slot = slot_for(out, r);

	if (slot < 0)
		return 0;
	if (slot >= (int)R3_REG_RULES_MAX)
		return -ENOSPC;
	if (has_wmm) {
		out->wmm[slot] = *wmm;
		r->wmm = (uint16_t)(slot + 1);
	}
	out->rules[slot] = *r;
	if (slot == out->d.count)
		out->d.count++;
	return 0;
}

int r3_reg_intersect(const struct r3_reg_domain *with,
		     const struct r3_reg_domain *in_force,
		     struct r3_reg_domain_buf *out)
{
	struct r3_reg_rule r;
	struct r3_reg_wmm wmm;
	bool has_wmm;
	int err;

	out->d = (struct r3_reg_domain){
		.alpha2 = "98",
		.dfs = with->dfs == in_force->dfs ? with->dfs :
						    R3_REG_DFS_UNSET,
		.rules = out->rules,
		.wmm = out->wmm,
	};
	for (unsigned i = 0; i < with->count; i++)
		for (unsigned j = 0; j < in_force->count; j++) {
			if (!rule_both(with, i, in_force, j, &r))
				continue;
			has_wmm = wmm_both(with, with->rules[i].wmm, in_force,
					   in_force->rules[j].wmm, &wmm);
			err = add(out, &r, has_wmm, &wmm);
			if (err)
				return err;
		}
	return out->d.count ? 0 : -EINVAL;
}
