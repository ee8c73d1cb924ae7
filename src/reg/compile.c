// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compile.c - db.txt to regulatory.db, laid out as wireless-regdb's db2fw.py
 * does: countries by code, WMM rules, rules and collections each in order
 */
#include <stdlib.h>

#include "dbtxt.h"
#include "format.h"

struct image {
	const struct txt_db *db;
	uint8_t *bytes;
	size_t len, room;
	uint16_t *order;      /* rules, sorted */
	uint16_t *rule_ptr;   /* by index in db->rules */
	uint16_t *countries;  /* sorted by code */
	uint16_t *by_content; /* sorted by rules and region */
	uint16_t wmm_ptr[TXT_NAMES_MAX];
};

static void put(struct image *m, const void *bytes, size_t n)
{
	if (m->len + n <= m->room)
		memcpy(m->bytes + m->len, bytes, n);
	m->len += n;
}

static void pad4(struct image *m)
{
	static const uint8_t zero[4];

	if (m->len % 4)
		put(m, zero, 4 - m->len % 4);
}

/* qsort() has no argument for the comparison's data: one at a time. */
static __thread const struct txt_db *sorting;

static int by_rule(const void *a, const void *b)
{
	return txt_rule_cmp(sorting, &sorting->rules[*(const uint16_t *)a],
			    &sorting->rules[*(const uint16_t *)b]);
}

static int by_code(const void *a, const void *b)
{
	return memcmp(sorting->countries[*(const uint16_t *)a].alpha2,
		      sorting->countries[*(const uint16_t *)b].alpha2, 2);
}

/* Rule by rule, then the shorter list, then the region. */
static int content_cmp(const struct txt_country *a, const struct txt_country *b)
{
	unsigned n = a->count < b->count ? a->count : b->count;
	int c;

	for (unsigned i = 0; i < n; i++) {
		c = txt_rule_cmp(sorting, &sorting->rules[a->rule[i]],
				 &sorting->rules[b->rule[i]]);
		if (c)
			return c;
	}
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	return (int)a->dfs - (int)b->dfs;
}

static int by_content(const void *a, const void *b)
{
	return content_cmp(&sorting->countries[*(const uint16_t *)a],
			   &sorting->countries[*(const uint16_t *)b]);
}

static uint16_t *sorted(unsigned n, int (*cmp)(const void *, const void *))
{
	uint16_t *v = calloc(n + 1u, sizeof(*v));

	for (unsigned i = 0; v && i < n; i++)
		v[i] = (uint16_t)i;
	if (v)
		qsort(v, n, sizeof(*v), cmp);
	return v;
}

static void put_countries(struct image *m)
{
	struct reg_head head = { r3_be32_of(REG_MAGIC),
				 r3_be32_of(REG_VERSION) };
	struct reg_country c = { 0 };

	put(m, &head, sizeof(head));
	for (unsigned i = 0; i < m->db->country_count; i++) {
		memcpy(c.alpha2, m->db->countries[m->countries[i]].alpha2, 2);
		put(m, &c, sizeof(c));
	}
	memset(&c, 0, sizeof(c));
	put(m, &c, sizeof(c));
}

static uint8_t ecw(const uint16_t v[4])
{
	return (uint8_t)(__builtin_popcount(v[0]) << 4 |
			 __builtin_popcount(v[1]));
}

static bool wmm_used(const struct txt_db *db, unsigned w)
{
	for (unsigned i = 0; i < db->count; i++)
		if (db->rules[i].wmm == (int)w)
			return true;
	return false;
}

static int wmm_cmp(const struct txt_db *db, unsigned a, unsigned b)
{
	return txt_rule_cmp(db, &(struct txt_rule){ .wmm = (int)a },
			    &(struct txt_rule){ .wmm = (int)b });
}

static void put_wmm(struct image *m, unsigned w)
{
	const struct txt_wmm *t = &m->db->wmm[w];
	struct reg_wmm_ac ac;

	m->wmm_ptr[w] = (uint16_t)(m->len / 4);
	for (unsigned i = 0; i < 8; i++) {
		ac = (struct reg_wmm_ac){ ecw(t->v[i]), (uint8_t)t->v[i][2],
					  r3_be16_of(t->v[i][3]) };
		put(m, &ac, sizeof(ac));
	}
}

/* In order of content; equal ones share a place.  There are at most 256. */
static void put_wmms(struct image *m)
{
	bool done[TXT_NAMES_MAX] = { false };
	int least;

	for (;;) {
		least = -1;
		for (unsigned i = 0; i < m->db->wmms; i++)
			if (!done[i] && wmm_used(m->db, i) &&
			    (least < 0 ||
			     wmm_cmp(m->db, i, (unsigned)least) < 0))
				least = (int)i;
		if (least < 0)
			return;
		put_wmm(m, (unsigned)least);
		for (unsigned i = 0; i < m->db->wmms; i++)
			if (!done[i] &&
			    !wmm_cmp(m->db, i, (unsigned)least)) {
				done[i] = true;
				m->wmm_ptr[i] = m->wmm_ptr[least];
			}
	}
}

static uint8_t disk_flags(uint32_t f)
{
	return (uint8_t)((f & R3_REG_NO_OFDM ? REG_F_NO_OFDM : 0) |
			 (f & R3_REG_NO_OUTDOOR ? REG_F_NO_OUTDOOR : 0) |
			 (f & R3_REG_DFS ? REG_F_DFS : 0) |
			 (f & R3_REG_NO_IR ? REG_F_NO_IR : 0) |
			 (f & R3_REG_AUTO_BW ? REG_F_AUTO_BW : 0));
}

static void put_rule(struct image *m, unsigned index)
{
	const struct txt_rule *r = &m->db->rules[index];
	struct reg_rule w = {
		.len = r->wmm < 0 ? REG_RULE_LEN : REG_RULE_LEN_WMM,
		.flags = disk_flags(r->flags),
		.eirp_mbm = r3_be16_of((uint16_t)txt_mbm(r->eirp)),
		.start_khz = r3_be32_of(txt_khz(r->start)),
		.end_khz = r3_be32_of(txt_khz(r->end)),
		.max_bw_khz = r3_be32_of(txt_khz(r->bw)),
	};

	if (r->wmm >= 0)
		w.wmm = r3_be16_of(m->wmm_ptr[r->wmm]);
	m->rule_ptr[index] = (uint16_t)(m->len / 4);
	put(m, &w, w.len);
	pad4(m);
}

static void point_country(struct image *m, unsigned country, size_t at)
{
	r3_be16 ptr = r3_be16_of((uint16_t)(at / 4));

	for (unsigned i = 0; i < m->db->country_count; i++)
		if (m->countries[i] == country)
			memcpy(m->bytes + sizeof(struct reg_head) + 4 * i + 2,
			       &ptr, sizeof(ptr));
}

static void put_collection(struct image *m, const struct txt_country *c)
{
	uint8_t head[4] = { sizeof(struct reg_collection), (uint8_t)c->count,
			    c->dfs, 0 };
	r3_be16 ptr;

	put(m, head, sizeof(head));
	for (unsigned i = 0; i < c->count; i++) {
		ptr = r3_be16_of(m->rule_ptr[c->rule[i]]);
		put(m, &ptr, sizeof(ptr));
	}
	pad4(m);
}

static void put_collections(struct image *m)
{
	const struct txt_country *c, *before = NULL;
	size_t at = 0;

	for (unsigned i = 0; i < m->db->country_count; i++) {
		c = &m->db->countries[m->by_content[i]];
		if (!before || content_cmp(before, c)) {
			at = m->len;
			put_collection(m, c);
		}
		point_country(m, m->by_content[i], at);
		before = c;
	}
}

static int build(struct image *m, struct r3_reg_err *err)
{
	sorting = m->db;
	m->order = sorted(m->db->count, by_rule);
	m->countries = sorted(m->db->country_count, by_code);
	m->by_content = sorted(m->db->country_count, by_content);
	m->rule_ptr = calloc(m->db->count + 1u, sizeof(*m->rule_ptr));
	m->room = R3_REG_DB_MAX;
	m->bytes = malloc(m->room);
	if (!m->order || !m->countries || !m->by_content || !m->rule_ptr ||
	    !m->bytes)
		return reg_fail(err, -ENOMEM, 0, "out of memory");
	put_countries(m);
	put_wmms(m);
	for (unsigned i = 0; i < m->db->count; i++)
		put_rule(m, m->order[i]);
	put_collections(m);
	if (m->len > m->room)
		return reg_fail(err, -EINVAL, 0,
				"the database would have %zu bytes, pointers reach %u",
				m->len, R3_REG_DB_MAX);
	return 0;
}

int r3_reg_compile(const char *text, size_t len, uint8_t **out,
		   size_t *out_len, struct r3_reg_err *err)
{
	struct image m = { 0 };
	struct txt_db *db;
	int code = txt_parse(&db, text, len, err);

	if (code)
		return code;
	m.db = db;
	code = build(&m, err);
	free(m.order);
	free(m.countries);
	free(m.by_content);
	free(m.rule_ptr);
	txt_free(db);
	if (code) {
		free(m.bytes);
		return code;
	}
	*out = m.bytes;
	*out_len = m.len;
	return 0;
}
