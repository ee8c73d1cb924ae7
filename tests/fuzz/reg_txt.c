/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reg_txt.c - fuzz db.txt
 *
 * What compiles is a valid database, and comes back the same from its text.
 */
#include <stdlib.h>

#include "ring3/reg.h"

static void there_and_back(const uint8_t *bytes, size_t n)
{
	struct r3_reg_db *db;
	char *text = NULL;
	uint8_t *again;
	size_t len, m;
	FILE *mem;

	assert(!r3_reg_db_parse(&db, bytes, n, NULL));
	mem = open_memstream(&text, &len);
	if (mem) {
		r3_reg_decompile(db, mem);
		fclose(mem);
		assert(!r3_reg_compile(text, len, &again, &m, NULL));
		free(again);
		free(text);
	}
	r3_reg_db_free(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct r3_reg_err err = { 0 };
	uint8_t *bytes;
	size_t n;

	if (r3_reg_compile((const char *)data, len, &bytes, &n, &err)) {
		assert(err.reason[0]);
		return 0;
	}
	there_and_back(bytes, n);
	free(bytes);
	return 0;
}
