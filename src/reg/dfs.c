// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dfs.c - radar: channel availability check and non-occupancy, in virtual time
 *
 * State is kept per 20 MHz channel, as cfg80211 does; a check or a radar
 * concerns every radar channel inside the block.
 */
#include "reg_priv.h"

/* Pieces of a block: 16 of 320 MHz, 8 of 80+80. */
#define PIECES_MAX 16

static unsigned pieces_of(const struct r3_reg_dfs *dfs,
			  const struct r3_reg_chandef *def,
			  struct r3_reg_channel *out[PIECES_MAX])
{
	uint32_t half = r3_reg_width_khz(def->width) / 2;
	unsigned n = 0;

	half = half < 10000 ? 10000 : half;
	for (unsigned i = 0; i < dfs->count && n < PIECES_MAX; i++) {
		struct r3_reg_channel *c = &dfs->ch[i];
		bool in = c->khz > def->center1_khz - half &&
			  c->khz < def->center1_khz + half;

		if (def->center2_khz && !in)
			in = c->khz > def->center2_khz - half &&
			     c->khz < def->center2_khz + half;
		if (in && (c->flags & R3_REG_CH_RADAR))
			out[n++] = c;
	}
	return n;
}

static void set_state(struct r3_reg_dfs *dfs, struct r3_reg_channel *c,
		      enum r3_reg_dfs_state state)
{
	c->dfs = (uint8_t)state;
	c->dfs_since_ms = dfs->now_ms;
}

void r3_reg_dfs_init(struct r3_reg_dfs *dfs, enum r3_reg_dfs_region region,
		     struct r3_reg_channel *ch, unsigned count)
{
	*dfs = (struct r3_reg_dfs){ .region = region, .ch = ch,
				    .count = count };
}

static enum r3_reg_verdict ask(const struct r3_reg_dfs *dfs,
			       const struct r3_reg_chandef *def,
			       uint32_t *cac_ms)
{
	struct r3_reg_ask q = { .def = *def, .use = R3_REG_USE_BEACON,
				.dfs_capable = true };
	struct r3_reg_answer a = r3_reg_judge(dfs->ch, dfs->count, &q);

	*cac_ms = a.cac_ms;
	return a.verdict;
}

int r3_reg_dfs_start_cac(struct r3_reg_dfs *dfs,
			 const struct r3_reg_chandef *def)
{
	uint32_t cac_ms;

	if (dfs->cac)
		return -EBUSY;
	switch (ask(dfs, def, &cac_ms)) {
	case R3_REG_OK:
		return -EALREADY;
	case R3_REG_OK_AFTER_CAC:
		break;
	default:
		return -EINVAL;
	}
	r3_reg_dfs_leave(dfs);
	dfs->cac = true;
	dfs->def = *def;
	dfs->cac_end_ms = dfs->now_ms + cac_ms;
	return 0;
}

int r3_reg_dfs_operate(struct r3_reg_dfs *dfs,
		       const struct r3_reg_chandef *def)
{
	uint32_t cac_ms;

	if (ask(dfs, def, &cac_ms) != R3_REG_OK)
		return -EINVAL;
	if (dfs->operating)
		r3_reg_dfs_leave(dfs);
	dfs->operating = true;
	dfs->cac = false;
	dfs->def = *def;
	return 0;
}

/* ETSI keeps what was found free, others want a new check. */
void r3_reg_dfs_leave(struct r3_reg_dfs *dfs)
{
	struct r3_reg_channel *c[PIECES_MAX];
	unsigned n = pieces_of(dfs, &dfs->def, c);

	if (dfs->operating && dfs->region != R3_REG_DFS_ETSI)
		for (unsigned i = 0; i < n; i++)
			if (c[i]->dfs == R3_REG_DFS_AVAILABLE)
				set_state(dfs, c[i], R3_REG_DFS_USABLE);
	dfs->operating = false;
	dfs->cac = false;
}

static bool overlap(const struct r3_reg_chandef *a,
		    const struct r3_reg_chandef *b)
{
	uint32_t reach = (r3_reg_width_khz(a->width) +
			  r3_reg_width_khz(b->width)) /
			 2;
	uint32_t as[2] = { a->center1_khz, a->center2_khz };
	uint32_t bs[2] = { b->center1_khz, b->center2_khz };

	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < 2; j++) {
			uint32_t d = as[i] > bs[j] ? as[i] - bs[j] :
						     bs[j] - as[i];

			if (as[i] && bs[j] && d < reach)
				return true;
		}
	return false;
}

enum r3_reg_dfs_event r3_reg_dfs_radar(struct r3_reg_dfs *dfs,
				       const struct r3_reg_chandef *def)
{
	struct r3_reg_channel *c[PIECES_MAX];
	unsigned n = pieces_of(dfs, def, c);
	bool hit = (dfs->cac || dfs->operating) && overlap(&dfs->def, def);
	bool checking = dfs->cac;

	for (unsigned i = 0; i < n; i++)
		set_state(dfs, c[i], R3_REG_DFS_UNAVAILABLE);
	if (hit) {
		dfs->cac = false;
		dfs->operating = false;
	}
	if (hit && checking)
		return R3_REG_DFS_EV_CAC_ABORTED;
	return n ? R3_REG_DFS_EV_RADAR : R3_REG_DFS_EV_NONE;
}

/* The earliest moment at which something ends by itself. */
static uint64_t next_at(const struct r3_reg_dfs *dfs)
{
	uint64_t at = dfs->cac ? dfs->cac_end_ms : UINT64_MAX;

	for (unsigned i = 0; i < dfs->count; i++)
		if (dfs->ch[i].dfs == R3_REG_DFS_UNAVAILABLE)
			at = r3_min(at, dfs->ch[i].dfs_since_ms +
						R3_REG_NOP_MS);
	return at;
}

uint64_t r3_reg_dfs_next_ms(const struct r3_reg_dfs *dfs)
{
	uint64_t at = next_at(dfs);

	return at == UINT64_MAX ? at : at - r3_min(at, dfs->now_ms);
}

static void end_nop(struct r3_reg_dfs *dfs)
{
	for (unsigned i = 0; i < dfs->count; i++)
		if (dfs->ch[i].dfs == R3_REG_DFS_UNAVAILABLE &&
		    dfs->now_ms - dfs->ch[i].dfs_since_ms >= R3_REG_NOP_MS)
			set_state(dfs, &dfs->ch[i], R3_REG_DFS_USABLE);
}

enum r3_reg_dfs_event r3_reg_dfs_advance(struct r3_reg_dfs *dfs,
					 uint64_t now_ms)
{
	struct r3_reg_channel *c[PIECES_MAX];
	uint64_t at = next_at(dfs);
	unsigned n;

	if (at > now_ms) {
		dfs->now_ms = r3_max(dfs->now_ms, now_ms);
		return R3_REG_DFS_EV_NONE;
	}
	dfs->now_ms = at;
	if (!dfs->cac || dfs->cac_end_ms != at) {
		end_nop(dfs);
		return R3_REG_DFS_EV_NOP_OVER;
	}
	dfs->cac = false;
	n = pieces_of(dfs, &dfs->def, c);
	for (unsigned i = 0; i < n; i++)
		if (c[i]->dfs == R3_REG_DFS_USABLE)
			set_state(dfs, c[i], R3_REG_DFS_AVAILABLE);
	return R3_REG_DFS_EV_CAC_DONE;
}
