/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reg_test.h - the recorded database and small helpers for reg's unit tests */
#ifndef REG_TEST_H
#define REG_TEST_H

#include "../base/test.h"
#include "ring3/reg.h"

static inline const char *data_path(const char *name)
{
	static char path[4][1024];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 1024, "%s/tests/unit/reg/data/%s",
		 getenv("MESON_SOURCE_ROOT"), name);
	return p;
}

/* A whole data file; malloc()ed. */
static inline uint8_t *data_read(const char *name, size_t *len)
{
	FILE *f = fopen(data_path(name), "rb");
	uint8_t *bytes = malloc(256 * 1024);

	assert_non_null(f);
	*len = fread(bytes, 1, 256 * 1024, f);
	fclose(f);
	return bytes;
}

static inline struct r3_reg_db *data_db(void)
{
	struct r3_reg_db *db;
	size_t len;
	uint8_t *bytes = data_read("regulatory.db", &len);

	assert_int_equal(r3_reg_db_parse(&db, bytes, len, NULL), 0);
	free(bytes);
	return db;
}

#endif
