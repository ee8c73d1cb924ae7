/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reg_db.c - fuzz regulatory.db
 *
 * Whatever is accepted can be derived, tabled, intersected, decompiled and
 * drawn; nothing is read outside the file.
 */
#include <stdlib.h>

#include "ring3/reg.h"

static void use(const struct r3_reg_db *db, const struct r3_reg_domain *d,
		FILE *sink)
{
	static struct r3_reg_domain_buf both;
	static struct r3_reg_table table;
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true);

	assert(r3_reg_db_find(db, d->alpha2) == d);
	assert(d->count <= R3_REG_RULES_MAX);
	r3_reg_derive(d, ch, n);
	r3_reg_dump_domain(sink, d, -1);
	r3_reg_dump_channels(sink, d, ch, n);
	r3_reg_table_fill(&table, d);
	r3_reg_svg(sink, d);
	if (r3_reg_intersect(d, r3_reg_db_at(db, 0), &both))
		return;
	assert(!r3_reg_domain_check(&both.d, NULL));
	r3_reg_derive(&both.d, ch, n);
	r3_reg_dump_channels(sink, &both.d, ch, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct r3_reg_err err;
	struct r3_reg_db *db;
	char *text = NULL;
	size_t n;
	FILE *sink;

	if (r3_reg_db_parse(&db, data, len, &err)) {
		assert(err.reason[0]);
		return 0;
	}
	sink = open_memstream(&text, &n);
	if (sink) {
		for (unsigned i = 0; i < r3_reg_db_count(db) && i < 8; i++)
			use(db, r3_reg_db_at(db, i), sink);
		r3_reg_decompile(db, sink);
		fclose(sink);
		free(text);
	}
	r3_reg_db_free(db);
	return 0;
}
