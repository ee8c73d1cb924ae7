// SPDX-License-Identifier: GPL-2.0-or-later
/* explain.c - decisions in words: rule, index, inequality, numbers */
#include <stdio.h>

#include "reg_priv.h"

const char *const r3_reg_unknowns[] = {
	"6 GHz power classes (low power indoor, very low power, AFC): one EIRP limit per rule is all there is",
	"power spectral density (dBm/MHz) limits, which may be stricter than the EIRP for narrow channels",
	"a longer availability check: the ETSI 10 minutes for weather radar (5600-5650 MHz) are not stored, 60 s are used",
	"antenna gain: the limit is EIRP, so subtract your antenna's gain from what the radio may feed",
	"local licences, indoor definitions, and laws newer than the database",
	NULL,
};

const char *r3_reg_mhz(uint32_t khz, char out[16])
{
	unsigned frac = khz % REG_MHZ;

	if (!frac)
		snprintf(out, 16, "%u", khz / REG_MHZ);
	else if (frac % 100)
		snprintf(out, 16, "%u.%03u", khz / REG_MHZ, frac);
	else
		snprintf(out, 16, "%u.%u", khz / REG_MHZ, frac / 100);
	return out;
}

/* Several numbers in one printf(). */
#define MHZ(khz) r3_reg_mhz((khz), (char[16]){ "" })

static void print_rule(FILE *out, const struct r3_reg_domain *d, unsigned i)
{
	const struct r3_reg_rule *r = &d->rules[i];

	fprintf(out, "rule %u: %s-%s MHz, up to %s MHz wide, %d.%02d dBm", i,
		MHZ(r->start_khz), MHZ(r->end_khz), MHZ(r->max_bw_khz),
		r->eirp_mbm / 100, r->eirp_mbm % 100);
	if (r->flags & R3_REG_NO_IR)
		fputs(", NO-IR", out);
	if (r->flags & R3_REG_DFS)
		fputs(", DFS", out);
	if (r->flags & R3_REG_NO_OUTDOOR)
		fputs(", NO-OUTDOOR", out);
	if (r->flags & R3_REG_NO_OFDM)
		fputs(", NO-OFDM", out);
	if (r->flags & R3_REG_AUTO_BW)
		fputs(", AUTO-BW", out);
	if (r->wmm)
		fputs(", WMM limits", out);
	fputc('\n', out);
}

static void explain_width(FILE *out, const struct r3_reg_domain *d, unsigned i)
{
	const struct r3_reg_rule *r = &d->rules[i];
	uint32_t w = r3_reg_rule_width(d, i);

	if (!(r->flags & R3_REG_AUTO_BW)) {
		fprintf(out,
			"  width: at most %s MHz, the rule's; wider is flagged off\n",
			MHZ(w));
		return;
	}
	fprintf(out,
		"  width: AUTO-BW, so the chain of rules that touch or overlap counts: %s MHz (the rule alone: %s)\n",
		MHZ(w), MHZ(r->max_bw_khz));
}

static void explain_miss(FILE *out, const struct r3_reg_domain *d,
			 uint32_t khz, uint32_t bw)
{
	const struct r3_reg_rule *best = NULL;
	uint32_t lo = khz - bw / 2, hi = khz + bw / 2, gap = UINT32_MAX;
	unsigned at = 0;

	for (unsigned i = 0; i < d->count; i++) {
		const struct r3_reg_rule *r = &d->rules[i];
		uint32_t g = (r->start_khz > lo ? r->start_khz - lo : 0) +
			     (hi > r->end_khz ? hi - r->end_khz : 0);

		if (g < gap) {
			gap = g;
			best = r;
			at = i;
		}
	}
	if (!best) {
		fprintf(out, "  %s has no rules at all\n", d->alpha2);
		return;
	}
	fprintf(out, "  nearest is ");
	print_rule(out, d, at);
	if (lo < best->start_khz)
		fprintf(out, "  %s - %s/2 = %s < %s, the rule's start\n",
			MHZ(khz), MHZ(bw), MHZ(lo), MHZ(best->start_khz));
	if (hi > best->end_khz)
		fprintf(out, "  %s + %s/2 = %s > %s, the rule's end\n",
			MHZ(khz), MHZ(bw), MHZ(hi), MHZ(best->end_khz));
}

static void explain_hit(FILE *out, const struct r3_reg_domain *d, uint32_t khz,
			const struct r3_reg_found *f)
{
	const struct r3_reg_rule *r = &d->rules[f->rule];

	fputs("  ", out);
	print_rule(out, d, (unsigned)f->rule);
	fprintf(out, "  holds it: %s <= %s and %s <= %s (first such rule)\n",
		MHZ(r->start_khz), MHZ(khz - f->bw_khz / 2),
		MHZ(khz + f->bw_khz / 2), MHZ(r->end_khz));
	explain_width(out, d, (unsigned)f->rule);
	fprintf(out, "  power: %d.%02d dBm, cut to whole dBm: %d\n",
		r->eirp_mbm / 100, r->eirp_mbm % 100, r->eirp_mbm / 100);
	if (r->flags & R3_REG_DFS)
		fprintf(out,
			"  radar: listen %u s before sending; after a radar leave it for 30 min\n",
			(r->cac_ms ? r->cac_ms : R3_REG_CAC_MS) / 1000);
	if (r->flags & R3_REG_NO_IR)
		fputs("  NO-IR: only send to a network that already runs there\n",
		      out);
	if (r->flags & R3_REG_NO_OUTDOOR)
		fputs("  NO-OUTDOOR: inside buildings only\n", out);
}

/* One 20 MHz piece. */
static void explain_piece(FILE *out, const struct r3_reg_domain *d,
			  uint32_t khz)
{
	struct r3_reg_found f = r3_reg_find(d, khz);

	fprintf(out, "channel %u, %s MHz:\n", r3_reg_channel_number(khz),
		MHZ(khz));
	switch (f.match) {
	case R3_REG_MATCH:
		explain_hit(out, d, khz, &f);
		break;
	case R3_REG_ADJACENT:
		fprintf(out,
			"  no rule holds it, but rules %d and %d touch at %s MHz and do together: stricter of both\n",
			f.rule, f.rule2, MHZ(d->rules[f.rule].end_khz));
		fputs("  ", out);
		print_rule(out, d, (unsigned)f.rule);
		fputs("  ", out);
		print_rule(out, d, (unsigned)f.rule2);
		break;
	case R3_REG_NO_FIT:
		fputs("  disabled: no rule holds 20 MHz there\n", out);
		explain_miss(out, d, khz, 20000);
		break;
	default:
		fputs("  disabled: the domain has no rule within 2 GHz (60 GHz band: 20 GHz)\n",
		      out);
	}
}

static void explain_block(FILE *out, const struct r3_reg_domain *d,
			  uint32_t center, uint32_t width)
{
	uint32_t first = width > 20000 && width < 2160000 ?
				 center - width / 2 + 10000 :
				 center;

	for (uint32_t f = first; f <= 2 * center - first; f += 20000)
		explain_piece(out, d, f);
}

void r3_reg_explain(FILE *out, const struct r3_reg_domain *d,
		    const struct r3_reg_ask *ask)
{
	uint32_t w = r3_reg_width_khz(ask->def.width);

	explain_block(out, d, ask->def.center1_khz, w);
	if (ask->def.center2_khz)
		explain_block(out, d, ask->def.center2_khz, w);
}

void r3_reg_answer_text(const struct r3_reg_domain *d,
			const struct r3_reg_ask *ask,
			const struct r3_reg_answer *a, char *out, size_t max)
{
	const char *w = r3_reg_width_name(ask->def.width);

	switch (a->verdict) {
	case R3_REG_OK:
		snprintf(out, max, "allowed at up to %d dBm EIRP%s%s",
			 a->power_dbm,
			 a->flags & R3_REG_CH_INDOOR ? ", indoors only" : "",
			 a->flags & R3_REG_CH_NO_IR ?
				 ", following a network that runs there" :
				 "");
		return;
	case R3_REG_OK_AFTER_CAC:
		snprintf(out, max,
			 "allowed at up to %d dBm EIRP%s after %u s of listening for radar",
			 a->power_dbm,
			 a->flags & R3_REG_CH_INDOOR ? ", indoors only," : "",
			 a->cac_ms / 1000);
		return;
	case R3_REG_BAD_CHANDEF:
		snprintf(out, max,
			 "%s MHz at centre %s with control channel %s MHz is no channel of 802.11",
			 w, MHZ(ask->def.center1_khz),
			 MHZ(ask->def.control_khz));
		return;
	case R3_REG_NO_CHANNEL:
		snprintf(out, max, "there is no 20 MHz channel at %s MHz",
			 MHZ(a->bad_khz));
		return;
	case R3_REG_IS_DISABLED:
		snprintf(out, max, "%s MHz is disabled in %s: no rule holds it",
			 MHZ(a->bad_khz), d->alpha2);
		return;
	case R3_REG_IS_NO_IR:
		snprintf(out, max,
			 "%s MHz is no-IR in %s: a station may follow a network there, nobody may start one",
			 MHZ(a->bad_khz), d->alpha2);
		return;
	case R3_REG_IS_RADAR:
		snprintf(out, max,
			 "%s MHz is a radar channel in %s: radar detection is needed",
			 MHZ(a->bad_khz), d->alpha2);
		return;
	case R3_REG_IS_TOO_WIDE:
		snprintf(out, max, "%s MHz allows no %s MHz width in %s",
			 MHZ(a->bad_khz), w, d->alpha2);
		return;
	case R3_REG_IS_INDOOR:
		snprintf(out, max, "%s MHz is for indoor use only in %s",
			 MHZ(a->bad_khz), d->alpha2);
		return;
	case R3_REG_IS_TOO_STRONG:
		snprintf(out, max,
			 "%d.%02d dBm is more than the %d dBm EIRP that %s allows at %s MHz; a kernel would send with %d dBm",
			 ask->power_mbm / 100, ask->power_mbm % 100,
			 a->power_dbm, d->alpha2, MHZ(a->bad_khz),
			 a->power_dbm);
		return;
	}
	snprintf(out, max, "?");
}
