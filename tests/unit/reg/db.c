// SPDX-License-Identifier: GPL-2.0-or-later
/* db.c - regulatory.db: what is accepted, what is refused and where */
#include "reg_test.h"

static void reads_the_real_one(void **state)
{
	struct r3_reg_db *db = data_db();
	const struct r3_reg_domain *d = r3_reg_db_find(db, "us");

	(void)state;
	assert_int_equal(r3_reg_db_count(db), 182);
	assert_non_null(d);
	assert_string_equal(d->alpha2, "US");
	assert_int_equal(d->dfs, R3_REG_DFS_FCC);
	assert_int_equal(d->count, 11);
	assert_int_equal(d->rules[5].start_khz, 5250000);
	assert_int_equal(d->rules[5].flags, R3_REG_DFS | R3_REG_AUTO_BW);
	assert_null(r3_reg_db_find(db, "XX"));
	assert_null(r3_reg_db_find(db, "U"));
	assert_null(r3_reg_db_find(db, ""));
	assert_null(r3_reg_db_find(db, "USA"));
	assert_null(r3_reg_db_at(db, 182));
	r3_reg_db_free(db);
}

/* head 8, "DE" 12, end 16; wmm at 16; rule at 48; collection at 68. */
static const uint8_t small[] = {
	'R', 'G', 'D', 'B', 0, 0, 0, 20,
	'D', 'E', 0, 17, 0, 0, 0, 0,
	/* wmm at 16 */
	0x23, 2, 0, 2, 0x34, 2, 0, 4, 0x4a, 3, 0, 6, 0x4a, 7, 0, 6,
	0x23, 1, 0, 2, 0x34, 1, 0, 4, 0x46, 3, 0, 6, 0x4a, 7, 0, 6,
	/* rule at 48: 2400-2483.5 @ 40, 20 dBm */
	20, 4, 0x07, 0xd0, 0, 0x24, 0x9f, 0, 0, 0x25, 0xe5, 0x2c,
	0, 0, 0x9c, 0x40, 0, 0, 0, 4,
	/* collection at 68 */
	3, 1, 2, 0, 0, 12, 0, 0,
};

static void refuses(void **state)
{
	static const struct {
		const char *name;
		int at, value; /* -1: cut to @value bytes */
		size_t offset;
		const char *reason;
	} rows[] = {
		{ "empty", -1, 0, 0, "RGDB" },
		{ "seven bytes", -1, 7, 0, "RGDB" },
		{ "another magic", 0, 'X', 0, "RGDB" },
		{ "version 19", 7, 19, 4, "version 19" },
		{ "country table without end", -1, 12, 12, "no end" },
		{ "small country code", 8, 'd', 8, "byte 0x64" },
		{ "collection outside", 11, 19, 10, "outside" },
		{ "collection head cut", 11, 18, 72, "at least 3" },
		{ "collection of 2 bytes", 68, 2, 68, "2 bytes" },
		{ "rule pointers outside", 69, 3, 72, "outside" },
		{ "DFS region 4", 70, 4, 70, "region 4" },
		{ "rule outside", 73, 19, 76, "outside" },
		{ "rule at the very end", 73, 18, 72, "at least 16" },
		{ "rule of 15 bytes", 48, 15, 48, "15 bytes" },
		{ "rule longer than the file", 48, 29, 48, "outside" },
		{ "unknown flag", 49, 32, 49, "0x20" },
		{ "range starts at 0", 53, 0, 0, NULL },
		{ "range ends before its start", 57, 0x24, 0, NULL },
		{ "wider than its range", 62, 0x01, 0, NULL },
		{ "WMM outside", 67, 12, 48, "outside" },
		{ "WMM window empty", 16, 0x33, 16, "empty" },
		{ "WMM aifsn 0", 17, 0, 17, "aifsn" },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		uint8_t b[sizeof(small)];
		size_t len = rows[i].at < 0 ? (size_t)rows[i].value :
					      sizeof(b);
		struct r3_reg_db *db = NULL;
		struct r3_reg_err err = { 0 };
		int code;

		ROW(rows[i].name);
		memcpy(b, small, sizeof(b));
		if (rows[i].at >= 0)
			b[rows[i].at] = (uint8_t)rows[i].value;
		if (!strcmp(rows[i].name, "range starts at 0"))
			b[54] = b[55] = 0;
		code = r3_reg_db_parse(&db, b, len, &err);
		if (!rows[i].reason) {
			/* a value that may or may not be possible */
			if (!code)
				r3_reg_db_free(db);
			continue;
		}
		assert_int_equal(code, -EPROTO);
		assert_null(db);
		assert_non_null(strstr(err.reason, rows[i].reason));
		assert_int_equal(err.offset, rows[i].offset);
	}
}

static void accepts_the_small_one(void **state)
{
	struct r3_reg_db *db;
	struct r3_reg_err err;
	const struct r3_reg_domain *d;

	(void)state;
	assert_int_equal(r3_reg_db_parse(&db, small, sizeof(small), &err), 0);
	d = r3_reg_db_find(db, "DE");
	assert_int_equal(d->dfs, R3_REG_DFS_ETSI);
	assert_int_equal(d->rules[0].end_khz, 2483500);
	assert_int_equal(d->rules[0].wmm, 1);
	assert_int_equal(d->wmm[0].ap[0].cw_max, 7);
	assert_int_equal(d->wmm[0].client[1].txop_us, 4000);
	r3_reg_db_free(db);
}

/* Each byte of the real file, flipped: refused, or every country usable. */
static void survives_every_flip(void **state)
{
	size_t len;
	uint8_t *bytes = data_read("regulatory.db", &len);
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, true), good = 0;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		struct r3_reg_db *db;

		bytes[i] ^= 0xff;
		if (!r3_reg_db_parse(&db, bytes, len, NULL)) {
			good++;
			r3_reg_derive(r3_reg_db_at(db, (unsigned)i % 100), ch,
				      n);
			r3_reg_db_free(db);
		}
		bytes[i] ^= 0xff;
	}
	assert_true(good < len);
	for (size_t cut = 0; cut < len; cut += 7) {
		struct r3_reg_db *db;

		assert_int_equal(r3_reg_db_parse(&db, bytes, cut, NULL),
				 -EPROTO);
	}
	free(bytes);
}

static void verifies_signatures(void **state)
{
	size_t len, sig_len, other_len;
	uint8_t *db = data_read("regulatory.db", &len);
	uint8_t *sig = data_read("regulatory.db.p7s", &sig_len);
	uint8_t *other = data_read("regulatory.db.p7s-upstream", &other_len);
	struct r3_reg_trust *trust;
	struct r3_reg_err err;
	char who[80];

	(void)state;
	assert_int_equal(r3_reg_trust_new(&trust, NULL, &err), 0);
	assert_int_equal(r3_reg_trust_count(trust), 2);
	assert_int_equal(r3_reg_verify(trust, db, len, sig, sig_len, who,
				       sizeof(who), &err), 0);
	assert_string_equal(who, "benh@debian.org");
	ROW("signed by somebody else");
	assert_int_equal(r3_reg_verify(trust, db, len, other, other_len, NULL,
				       0, &err), -ENOKEY);
	ROW("each 97th byte of the database flipped");
	for (size_t i = 0; i < len; i += 97) {
		db[i] ^= 1;
		assert_int_equal(r3_reg_verify(trust, db, len, sig, sig_len,
					       NULL, 0, &err), -EKEYREJECTED);
		db[i] ^= 1;
	}
	ROW("one byte less");
	assert_int_equal(r3_reg_verify(trust, db, len - 1, sig, sig_len, NULL,
				       0, &err), -EKEYREJECTED);
	ROW("each byte of the signature flipped");
	for (size_t i = 0; i < sig_len; i++) {
		static const uint8_t masks[] = { 1, 2, 0x10, 0x20, 0x80, 0xff };
		uint8_t mask = masks[i % R3_COUNT(masks)], was = sig[i];

		sig[i] ^= mask;
		if (!r3_reg_verify(trust, db, len, sig, sig_len, NULL, 0,
				   &err))
			fail_msg("byte %zu of the signature has no meaning", i);
		sig[i] = was ^ 0x20;
		assert_int_not_equal(r3_reg_verify(trust, db, len, sig,
						   sig_len, NULL, 0, &err), 0);
		sig[i] = was;
	}
	ROW("no signature at all");
	assert_int_equal(r3_reg_verify(trust, db, len, "hello", 5, NULL, 0,
				       &err), -EPROTO);
	r3_reg_trust_free(trust);
	free(db);
	free(sig);
	free(other);
}

static void opens_files(void **state)
{
	struct r3_reg_source s = { .db = data_path("regulatory.db") };
	struct r3_reg_db *db;
	struct r3_reg_err err = { 0 };

	(void)state;
	assert_int_equal(r3_reg_db_open(&db, &s, &err), 0);
	assert_int_equal(strlen(r3_reg_db_hash(db)), 64);
	r3_reg_db_free(db);
	s.sig = data_path("COPYRIGHT");
	assert_int_equal(r3_reg_db_open(&db, &s, &err), -EPROTO);
	s.unsigned_ok = true;
	assert_int_equal(r3_reg_db_open(&db, &s, &err), 0);
	r3_reg_db_free(db);
	s.db = "/nonexistent/regulatory.db";
	assert_int_equal(r3_reg_db_open(&db, &s, &err), -ENOENT);
	s = (struct r3_reg_source){ .db = data_path("COPYRIGHT") };
	assert_int_equal(r3_reg_db_open(&db, &s, &err), -ENOENT);
	assert_non_null(strstr(err.reason, "--sig"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_real_one),
		cmocka_unit_test(accepts_the_small_one),
		cmocka_unit_test(refuses),
		cmocka_unit_test(survives_every_flip),
		cmocka_unit_test(verifies_signatures),
		cmocka_unit_test(opens_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
