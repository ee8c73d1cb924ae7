// SPDX-License-Identifier: GPL-2.0-or-later
/* decompile.c - regulatory.db to db.txt, numbers chosen to come back exactly */
#include <math.h>
#include <stdlib.h>

#include "dbtxt.h"

static void put_mhz(FILE *out, uint32_t khz)
{
	char text[16];

	for (int digits = 0; digits <= 4; digits++) {
		/* a 4th digit where cutting 3 would lose one kHz */
		double mhz = khz / 1000.0 + (digits == 4 ? 0.0001 : 0);

		snprintf(text, sizeof(text), "%.*f", digits, mhz);
		if (txt_khz(strtod(text, NULL)) == khz)
			break;
	}
	fputs(text, out);
}

#define MW_MAX 1e9 /* a megawatt; above it milliwatts are too long to read */

/* Whole dBm, or whole mW, or dBm with as many digits as it takes. */
static void put_power(FILE *out, uint32_t mbm)
{
	double mw = round(pow(10, mbm / 1000.0));
	char text[16];

	if (mbm % 100 && mw >= 1 && mw <= MW_MAX &&
	    txt_mbm(txt_mw(mw)) == mbm) {
		fprintf(out, "%.0f mW", mw);
		return;
	}
	for (int digits = 0; digits <= 3; digits++) {
		double dbm = mbm / 100.0 + (digits == 3 ? 0.001 : 0);

		snprintf(text, sizeof(text), "%.*f", digits, dbm);
		if (txt_mbm(strtod(text, NULL)) == mbm)
			break;
	}
	fputs(text, out);
}

static void put_wmm(FILE *out, const struct r3_reg_db *db, unsigned w)
{
	if (db->wmm_count == 1)
		fputs("wmmrule ETSI:\n", out);
	else
		fprintf(out, "wmmrule W%u:\n", w + 1);
	for (unsigned i = 0; i < 8; i++) {
		const struct r3_reg_wmm_ac *ac = i < 4 ?
							 &db->wmm[w].client[i] :
							 &db->wmm[w].ap[i - 4];

		fprintf(out,
			"\t%s: cw_min=%u, cw_max=%u, aifsn=%u, cot=%u\n",
			txt_ac_names[i], ac->cw_min, ac->cw_max, ac->aifsn,
			ac->txop_us / 1000);
	}
	fputc('\n', out);
}

static void put_flags(FILE *out, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{ R3_REG_NO_OFDM, "NO-OFDM" },
		{ R3_REG_NO_OUTDOOR, "NO-OUTDOOR" },
		{ R3_REG_DFS, "DFS" },
		{ R3_REG_NO_IR, "NO-IR" },
		{ R3_REG_AUTO_BW, "AUTO-BW" },
	};

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (flags & names[i].flag)
			fprintf(out, ", %s", names[i].name);
}

static void put_rule(FILE *out, const struct r3_reg_db *db,
		     const struct r3_reg_rule *r)
{
	fputs("\t(", out);
	put_mhz(out, r->start_khz);
	fputs(" - ", out);
	put_mhz(out, r->end_khz);
	fputs(" @ ", out);
	put_mhz(out, r->max_bw_khz);
	fputs("), (", out);
	put_power(out, (uint32_t)r->eirp_mbm);
	fputc(')', out);
	put_flags(out, r->flags);
	if (r->wmm && db->wmm_count == 1)
		fputs(", wmmrule=ETSI", out);
	else if (r->wmm)
		fprintf(out, ", wmmrule=W%u", r->wmm);
	if (r->cac_ms)
		fprintf(out, " # CAC %u s: db.txt can't say that",
			r->cac_ms / 1000);
	fputc('\n', out);
}

int r3_reg_decompile(const struct r3_reg_db *db, FILE *out)
{
	fputs("# Regulatory domains; powers are EIRP, frequencies in MHz\n\n",
	      out);
	for (unsigned i = 0; i < db->wmm_count; i++)
		put_wmm(out, db, i);
	for (unsigned i = 0; i < db->count; i++) {
		const struct r3_reg_domain *d = &db->domains[i];

		fprintf(out, "country %s:%s%s\n", d->alpha2, d->dfs ? " " : "",
			txt_dfs_names[d->dfs]);
		for (unsigned n = 0; n < d->count; n++)
			put_rule(out, db, &d->rules[n]);
		fputc('\n', out);
	}
	return ferror(out) ? -EIO : 0;
}
