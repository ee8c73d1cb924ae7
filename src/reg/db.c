// SPDX-License-Identifier: GPL-2.0-or-later
/* db.c - regulatory.db: bytes to domains, with every reference checked */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "format.h"
#include "reg_priv.h"

int reg_fail(struct r3_reg_err *err, int code, size_t offset, const char *fmt,
	     ...)
{
	va_list ap;

	if (!err)
		return code;
	memset(err, 0, sizeof(*err));
	err->offset = offset;
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof(err->reason), fmt, ap);
	va_end(ap);
	return code;
}

/* A parse in progress: what was seen at which pointer. */
struct parse {
	const uint8_t *bytes;
	size_t len;
	struct r3_reg_db *db;
	struct r3_reg_err *err;
	uint16_t *coll_at; /* pointer -> 1 + first country that used it */
	uint16_t *rule_at; /* pointer -> 1 + a slot in db->rules */
	unsigned rules;	   /* slots used */
	uint16_t wmm_ptr[R3_REG_WMM_MAX];
};

/* @len bytes that a pointer refers to, or NULL. */
static const void *at(const struct parse *p, size_t offset, size_t len)
{
	if (offset > p->len || len > p->len - offset)
		return NULL;
	return p->bytes + offset;
}

static uint32_t host_flags(uint8_t f)
{
	return (f & REG_F_NO_OFDM ? R3_REG_NO_OFDM : 0) |
	       (f & REG_F_NO_OUTDOOR ? R3_REG_NO_OUTDOOR : 0) |
	       (f & REG_F_DFS ? R3_REG_DFS : 0) |
	       (f & REG_F_NO_IR ? R3_REG_NO_IR : 0) |
	       (f & REG_F_AUTO_BW ? R3_REG_AUTO_BW : 0);
}

static int parse_ac(struct parse *p, size_t offset, const struct reg_wmm_ac *w,
		    struct r3_reg_wmm_ac *out)
{
	struct r3_reg_wmm_ac ac = {
		.cw_min = (uint16_t)((1u << (w->ecw >> 4)) - 1),
		.cw_max = (uint16_t)((1u << (w->ecw & 15)) - 1),
		.aifsn = w->aifsn,
		.txop_us = 1000u * r3_get_be16(w->cot_ms),
	};

	if (ac.cw_min >= ac.cw_max)
		return reg_fail(p->err, -EPROTO, offset,
				"WMM contention window %u to %u is empty",
				ac.cw_min, ac.cw_max);
	if (!ac.aifsn)
		return reg_fail(p->err, -EPROTO, offset + 1,
				"WMM aifsn is 0, at least 1 is needed");
	*out = ac;
	return 0;
}

/* *out: 1 + its index in db->wmm. */
static int parse_wmm(struct parse *p, uint16_t ptr, uint16_t *out)
{
	size_t offset = (size_t)ptr * 4;
	const struct reg_wmm *w = at(p, offset, sizeof(*w));
	struct r3_reg_wmm *host;
	unsigned i;
	int err = 0;

	for (i = 0; i < p->db->wmm_count; i++)
		if (p->wmm_ptr[i] == ptr) {
			*out = (uint16_t)(i + 1);
			return 0;
		}
	if (!w)
		return reg_fail(p->err, -EPROTO, offset,
				"WMM rule lies outside the file");
	if (p->db->wmm_count == R3_REG_WMM_MAX)
		return reg_fail(p->err, -EPROTO, offset,
				"more than %u WMM rules", R3_REG_WMM_MAX);
	host = &p->db->wmm[p->db->wmm_count];
	for (i = 0; i < 4 && !err; i++)
		err = parse_ac(p, offset + 4 * i, &w->client[i],
			       &host->client[i]);
	for (i = 0; i < 4 && !err; i++)
		err = parse_ac(p, offset + 16 + 4 * i, &w->ap[i], &host->ap[i]);
	if (err)
		return err;
	p->wmm_ptr[p->db->wmm_count++] = ptr;
	*out = (uint16_t)p->db->wmm_count;
	return 0;
}

static int check_rule(const struct r3_reg_rule *r, size_t offset,
		      struct r3_reg_err *err)
{
	if (!r->start_khz || !r->end_khz || r->end_khz > INT32_MAX)
		return reg_fail(err, -EPROTO, offset,
				"frequency range %u to %u kHz is not possible",
				r->start_khz, r->end_khz);
	if (r->end_khz <= r->start_khz)
		return reg_fail(err, -EPROTO, offset,
				"range ends at %u kHz, before its start %u",
				r->end_khz, r->start_khz);
	if (r->max_bw_khz > r->end_khz - r->start_khz)
		return reg_fail(err, -EPROTO, offset,
				"width %u kHz is more than the range's %u",
				r->max_bw_khz, r->end_khz - r->start_khz);
	return 0;
}

static int parse_rule(struct parse *p, uint16_t ptr, struct r3_reg_rule *out)
{
	size_t offset = (size_t)ptr * 4;
	const uint8_t *len = at(p, offset, 1);
	const struct reg_rule *w;
	struct r3_reg_rule r = { 0 };
	int err;

	if (!len)
		return reg_fail(p->err, -EPROTO, offset,
				"rule lies outside the file");
	if (*len < REG_RULE_LEN)
		return reg_fail(p->err, -EPROTO, offset,
				"rule of %u bytes, at least %u are needed",
				*len, REG_RULE_LEN);
	w = at(p, offset, *len);
	if (!w)
		return reg_fail(p->err, -EPROTO, offset,
				"rule of %u bytes ends outside the file", *len);
	if (w->flags & ~31u)
		return reg_fail(p->err, -EPROTO, offset + 1,
				"unknown rule flags %#x", w->flags & ~31u);
	r.start_khz = r3_get_be32(w->start_khz);
	r.end_khz = r3_get_be32(w->end_khz);
	r.max_bw_khz = r3_get_be32(w->max_bw_khz);
	r.flags = host_flags(w->flags);
	r.eirp_mbm = r3_get_be16(w->eirp_mbm);
	if (*len >= REG_RULE_LEN_CAC)
		r.cac_ms = 1000u * r3_get_be16(w->cac_s);
	if (*len >= REG_RULE_LEN_WMM) {
		err = parse_wmm(p, r3_get_be16(w->wmm), &r.wmm);
		if (err)
			return err;
	}
	err = check_rule(&r, offset, p->err);
	if (!err)
		*out = r;
	return err;
}

/* One rule of a collection into the next slot. */
static int add_rule(struct parse *p, uint16_t ptr)
{
	struct r3_reg_rule *slot = &p->db->rules[p->rules];
	int err;

	if (ptr < p->len / 4 && p->rule_at[ptr]) {
		*slot = p->db->rules[p->rule_at[ptr] - 1];
	} else {
		err = parse_rule(p, ptr, slot);
		if (err)
			return err;
		p->rule_at[ptr] = (uint16_t)(p->rules + 1);
	}
	p->rules++;
	return 0;
}

static int parse_collection(struct parse *p, uint16_t ptr,
			    struct r3_reg_domain *d)
{
	size_t offset = (size_t)ptr * 4, list;
	const struct reg_collection *c = at(p, offset, sizeof(*c));
	const r3_be16 *rule;
	int err;

	if (!c)
		return reg_fail(p->err, -EPROTO, offset,
				"collection of %.2s lies outside the file",
				d->alpha2);
	if (c->len < sizeof(*c))
		return reg_fail(p->err, -EPROTO, offset,
				"collection head of %u bytes, at least 3 are needed",
				c->len);
	list = offset + ((c->len + 1u) & ~1u);
	rule = at(p, list, c->rules * sizeof(*rule));
	if (!rule)
		return reg_fail(p->err, -EPROTO, list,
				"%u rule pointers of %.2s end outside the file",
				c->rules, d->alpha2);
	if (c->rules > R3_REG_RULES_MAX)
		return reg_fail(p->err, -EPROTO, offset + 1,
				"%u rules of %.2s, at most %u are possible",
				c->rules, d->alpha2, R3_REG_RULES_MAX);
	if (c->dfs_region > R3_REG_DFS_JP)
		return reg_fail(p->err, -EPROTO, offset + 2,
				"unknown DFS region %u", c->dfs_region);
	if (p->rules + c->rules > R3_REG_RULES_TOTAL)
		return reg_fail(p->err, -EPROTO, offset,
				"more than %u rules in all", R3_REG_RULES_TOTAL);
	d->dfs = c->dfs_region;
	d->rules = p->db->rules + p->rules;
	d->count = c->rules;
	for (unsigned i = 0; i < d->count; i++) {
		err = add_rule(p, r3_get_be16(rule[i]));
		if (err)
			return err;
	}
	return 0;
}

static int parse_country(struct parse *p, const struct reg_country *c,
			 size_t offset, struct r3_reg_domain *d)
{
	uint16_t ptr = r3_get_be16(c->collection);
	const struct r3_reg_domain *same;

	for (unsigned i = 0; i < 2; i++)
		if (!isupper((unsigned char)c->alpha2[i]) &&
		    !isdigit((unsigned char)c->alpha2[i]))
			return reg_fail(p->err, -EPROTO, offset + i,
					"country code with byte %#x",
					(unsigned char)c->alpha2[i]);
	memcpy(d->alpha2, c->alpha2, 2);
	d->wmm = p->db->wmm;
	if (ptr >= p->len / 4)
		return reg_fail(p->err, -EPROTO, offset + 2,
				"collection of %.2s lies outside the file",
				d->alpha2);
	if (!p->coll_at[ptr]) {
		p->coll_at[ptr] = (uint16_t)(d - p->db->domains + 1);
		return parse_collection(p, ptr, d);
	}
	same = &p->db->domains[p->coll_at[ptr] - 1];
	d->dfs = same->dfs;
	d->rules = same->rules;
	d->count = same->count;
	return 0;
}

/* How many countries; the table must end inside the file. */
static int count_countries(struct parse *p, unsigned *out)
{
	size_t offset = sizeof(struct reg_head);
	const struct reg_country *c;
	unsigned n;

	for (n = 0;; n++, offset += sizeof(*c)) {
		c = at(p, offset, sizeof(*c));
		if (!c)
			return reg_fail(p->err, -EPROTO, offset,
					"country table has no end");
		if (!r3_get_be16(c->collection))
			break;
		if (n == R3_REG_COUNTRIES_MAX)
			return reg_fail(p->err, -EPROTO, offset,
					"more than %u countries",
					R3_REG_COUNTRIES_MAX);
	}
	*out = n;
	return 0;
}

static int parse_head(struct parse *p)
{
	const struct reg_head *h = at(p, 0, sizeof(*h));

	if (!h || r3_get_be32(h->magic) != REG_MAGIC)
		return reg_fail(p->err, -EPROTO, 0,
				"not a regulatory database: it must begin with \"RGDB\"");
	if (r3_get_be32(h->version) != REG_VERSION)
		return reg_fail(p->err, -EPROTO, 4,
				"database version %u, only %u is known",
				r3_get_be32(h->version), REG_VERSION);
	if (p->len > R3_REG_DB_MAX)
		return reg_fail(p->err, -EPROTO, R3_REG_DB_MAX,
				"%zu bytes, more than pointers can reach",
				p->len);
	return 0;
}

static int parse_all(struct parse *p)
{
	const struct reg_country *c;
	struct r3_reg_domain *d = p->db->domains;
	size_t offset = sizeof(struct reg_head);
	int err;

	for (unsigned i = 0; i < p->db->count; i++, offset += sizeof(*c)) {
		c = at(p, offset, sizeof(*c));
		err = parse_country(p, c, offset, &d[i]);
		if (err)
			return err;
		/* sorted, so that find() may halve; a double has no meaning */
		if (i && memcmp(d[i - 1].alpha2, d[i].alpha2, 2) >= 0)
			return reg_fail(p->err, -EPROTO, offset,
					"country %.2s stands after %.2s",
					d[i].alpha2, d[i - 1].alpha2);
	}
	return 0;
}

/* Upper bound of rule slots, so that one allocation does. */
static unsigned slots_needed(const struct parse *p, unsigned countries)
{
	size_t offset = sizeof(struct reg_head);
	unsigned n = 0;

	for (unsigned i = 0; i < countries; i++, offset += 4) {
		const struct reg_country *c = at(p, offset, sizeof(*c));
		const struct reg_collection *coll = at(
			p, 4u * r3_get_be16(c->collection), sizeof(*coll));

		if (coll)
			n += coll->rules;
	}
	return n < R3_REG_RULES_TOTAL ? n : R3_REG_RULES_TOTAL;
}

static int alloc_all(struct parse *p, unsigned countries)
{
	struct r3_reg_db *db = p->db;

	db->bytes = malloc(p->len);
	db->len = p->len;
	db->domains = calloc(countries + 1, sizeof(*db->domains));
	db->rules = malloc((slots_needed(p, countries) + 1) *
			   sizeof(*db->rules));
	db->wmm = malloc(R3_REG_WMM_MAX * sizeof(*db->wmm));
	p->coll_at = calloc(p->len / 4 + 1, sizeof(*p->coll_at));
	p->rule_at = calloc(p->len / 4 + 1, sizeof(*p->rule_at));
	if (!db->bytes || !db->domains || !db->rules || !db->wmm ||
	    !p->coll_at || !p->rule_at)
		return reg_fail(p->err, -ENOMEM, 0, "out of memory");
	memcpy(db->bytes, p->bytes, p->len);
	db->count = countries;
	return 0;
}

int r3_reg_db_parse(struct r3_reg_db **out, const void *bytes, size_t len,
		    struct r3_reg_err *err)
{
	struct parse p = { .bytes = bytes, .len = len, .err = err };
	unsigned countries = 0;
	int code = parse_head(&p);

	if (!code)
		code = count_countries(&p, &countries);
	if (code)
		return code;
	p.db = calloc(1, sizeof(*p.db));
	if (!p.db)
		return reg_fail(err, -ENOMEM, 0, "out of memory");
	code = alloc_all(&p, countries);
	if (!code)
		code = parse_all(&p);
	free(p.coll_at);
	free(p.rule_at);
	if (code)
		r3_reg_db_free(p.db);
	else
		*out = p.db;
	return code;
}

void r3_reg_db_free(struct r3_reg_db *db)
{
	if (!db)
		return;
	free(db->bytes);
	free(db->domains);
	free(db->rules);
	free(db->wmm);
	free(db);
}

unsigned r3_reg_db_count(const struct r3_reg_db *db)
{
	return db->count;
}

const struct r3_reg_domain *r3_reg_db_at(const struct r3_reg_db *db,
					 unsigned i)
{
	return i < db->count ? &db->domains[i] : NULL;
}

const struct r3_reg_domain *r3_reg_db_find(const struct r3_reg_db *db,
					   const char *alpha2)
{
	char key[2];
	unsigned lo = 0, hi = db->count, mid;
	int c;

	if (!alpha2[0] || !alpha2[1] || alpha2[2])
		return NULL;
	key[0] = (char)toupper((unsigned char)alpha2[0]);
	key[1] = (char)toupper((unsigned char)alpha2[1]);
	while (lo < hi) {
		mid = (lo + hi) / 2;
		c = memcmp(db->domains[mid].alpha2, key, 2);
		if (!c)
			return &db->domains[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct r3_span r3_reg_db_bytes(const struct r3_reg_db *db)
{
	return (struct r3_span){ db->bytes, db->len };
}

const char *r3_reg_db_hash(const struct r3_reg_db *db)
{
	return db->hash;
}

int r3_reg_domain_check(const struct r3_reg_domain *d, struct r3_reg_err *err)
{
	if (!d->count)
		return reg_fail(err, -EINVAL, 0, "%s has no rules", d->alpha2);
	if (d->count > R3_REG_RULES_MAX)
		return reg_fail(err, -EINVAL, 0, "%s has %u rules, at most %u",
				d->alpha2, d->count, R3_REG_RULES_MAX);
	for (unsigned i = 0; i < d->count; i++)
		if (check_rule(&d->rules[i], i, err))
			return -EINVAL;
	return 0;
}

void r3_reg_domain_copy(struct r3_reg_domain_buf *to,
			const struct r3_reg_domain *from)
{
	unsigned wmms = 0;

	to->d = *from;
	to->d.rules = to->rules;
	to->d.wmm = to->wmm;
	for (unsigned i = 0; i < from->count; i++) {
		to->rules[i] = from->rules[i];
		if (!from->rules[i].wmm)
			continue;
		to->wmm[wmms] = from->wmm[from->rules[i].wmm - 1];
		to->rules[i].wmm = (uint16_t)++wmms;
	}
}
