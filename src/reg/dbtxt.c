// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dbtxt.c - read db.txt
 *
 *	wmmrule ETSI:
 *	  vo_c: cw_min=3, cw_max=7, aifsn=2, cot=2	(vo vi be bk, _c and _ap)
 *	band NAME: 2400 - 2483.5 @ 40
 *	power NAME: 100 mW
 *	country DE: DFS-ETSI
 *	  (2400 - 2483.5 @ 40), (100 mW), NO-OUTDOOR, wmmrule=ETSI
 *	  NAME, NAME, DFS
 *
 * "#" begins a comment, blanks have no meaning.  Source: dbparse.py.
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "dbtxt.h"

const char *const txt_ac_names[8] = { "vo_c",  "vi_c",	"be_c",	 "bk_c",
				      "vo_ap", "vi_ap", "be_ap", "bk_ap" };
const char *const txt_dfs_names[4] = { "", "DFS-FCC", "DFS-ETSI", "DFS-JP" };

static const struct {
	const char *name;
	uint32_t flag;
} flag_names[] = {
	{ "NO-OFDM", R3_REG_NO_OFDM },	     { "NO-CCK", R3_REG_NO_CCK },
	{ "NO-INDOOR", R3_REG_NO_INDOOR },   { "NO-OUTDOOR", R3_REG_NO_OUTDOOR },
	{ "DFS", R3_REG_DFS },		     { "PTP-ONLY", R3_REG_PTP_ONLY },
	{ "PTMP-ONLY", R3_REG_PTMP_ONLY },   { "NO-IR", R3_REG_NO_IR },
	{ "NO-HT40", 1u << 10 },	     { "AUTO-BW", R3_REG_AUTO_BW },
};

struct txt {
	struct txt_db *db;
	struct r3_reg_err *err;
	const char *line, *p, *end; /* of this line, without its comment */
	unsigned number;
	enum { IN_NOTHING, IN_WMM, IN_COUNTRY } in;
	unsigned first, count; /* the WMM rules or countries being filled */
	uint16_t *open;	       /* countries being filled, count of them */
};

double txt_mw(double mw)
{
	return 10.0 * log10(mw);
}

static int bad(struct txt *t, const char *fmt, ...) R3_PRINTF(2, 3);

static int bad(struct txt *t, const char *fmt, ...)
{
	va_list ap;

	if (!t->err)
		return -EINVAL;
	memset(t->err, 0, sizeof(*t->err));
	t->err->line = t->number;
	t->err->column = (unsigned)(t->p - t->line) + 1;
	va_start(ap, fmt);
	vsnprintf(t->err->reason, sizeof(t->err->reason), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- words and numbers --------------------------------------------------- */

static void skip(struct txt *t)
{
	while (t->p < t->end && isspace((unsigned char)*t->p))
		t->p++;
}

static bool next_is(struct txt *t, char c)
{
	skip(t);
	return t->p < t->end && *t->p == c;
}

static bool eat(struct txt *t, char c)
{
	if (!next_is(t, c))
		return false;
	t->p++;
	return true;
}

static int need(struct txt *t, char c, const char *where)
{
	return eat(t, c) ? 0 : bad(t, "'%c' is missing %s", c, where);
}

static bool at_end(struct txt *t)
{
	skip(t);
	return t->p == t->end;
}

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* A name; an empty one is an error. */
static int word(struct txt *t, char *out, size_t max, const char *what)
{
	size_t n = 0;

	skip(t);
	while (t->p + n < t->end && word_char(t->p[n]))
		n++;
	if (!n || n >= max)
		return bad(t, "%s %s", what, n ? "is too long" : "is missing");
	memcpy(out, t->p, n);
	out[n] = '\0';
	t->p += n;
	return 0;
}

/* Digits with at most one point: no sign, exponent, infinity. */
static int decimal(struct txt *t, double *out, const char *what)
{
	char digits[24];
	size_t n = 0, points = 0;

	skip(t);
	while (t->p + n < t->end && n < sizeof(digits) - 1 &&
	       (isdigit((unsigned char)t->p[n]) || t->p[n] == '.'))
		points += t->p[n++] == '.';
	if (!n || points > 1 || points == n)
		return bad(t, "%s must be a number", what);
	memcpy(digits, t->p, n);
	digits[n] = '\0';
	*out = strtod(digits, NULL);
	t->p += n;
	return 0;
}

static int small(struct txt *t, uint16_t max, uint16_t *out, const char *what)
{
	double v;
	const char *before = t->p;
	int err = decimal(t, &v, what);

	if (err)
		return err;
	if (v > max || v != (double)(uint16_t)v) {
		t->p = before;
		return bad(t, "%s must be 0 to %u", what, max);
	}
	*out = (uint16_t)v;
	return 0;
}

/* Does the line begin with this keyword?  Then it is consumed. */
static bool keyword(struct txt *t, const char *name)
{
	size_t n = strlen(name);

	skip(t);
	if ((size_t)(t->end - t->p) <= n || strncmp(t->p, name, n) ||
	    !isspace((unsigned char)t->p[n]))
		return false;
	t->p += n;
	return true;
}

/* ---- values -------------------------------------------------------------- */

#define MHZ_MAX 2000000.0

static int band(struct txt *t, double *start, double *end, double *bw)
{
	const char *from, *behind;
	int err;

	skip(t);
	from = t->p;
	err = decimal(t, start, "the range's start");
	if (!err)
		err = need(t, '-', "between start and end");
	if (!err)
		err = decimal(t, end, "the range's end");
	*bw = 20;
	if (!err && eat(t, '@'))
		err = decimal(t, bw, "the width");
	if (err)
		return err;
	behind = t->p;
	t->p = from;
	if (*start <= 0 || *end > MHZ_MAX)
		return bad(t, "range %g - %g MHz is not possible", *start,
			   *end);
	if (*start >= *end)
		return bad(t, "range %g - %g MHz is empty", *start, *end);
	if (*bw > MHZ_MAX || txt_khz(*bw) > txt_khz(*end) - txt_khz(*start))
		return bad(t, "width %g MHz is more than the range's %g", *bw,
			   *end - *start);
	t->p = behind;
	return 0;
}

static int power(struct txt *t, double *dbm)
{
	int err;

	skip(t);
	if (t->end - t->p >= 3 && !strncmp(t->p, "N/A", 3)) {
		t->p += 3;
		*dbm = 0;
		return 0;
	}
	err = decimal(t, dbm, "the power");
	if (err)
		return err;
	skip(t);
	if (t->end - t->p >= 2 && !strncmp(t->p, "mW", 2)) {
		t->p += 2;
		if (*dbm < 1)
			return bad(t, "less than 1 mW can't be stored");
		*dbm = txt_mw(*dbm);
	}
	return *dbm > 655.35 ? bad(t, "%g dBm can't be stored", *dbm) : 0;
}

static const struct txt_named *named(const struct txt_named *v, unsigned n,
				     const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	return NULL;
}

/* ---- a country's lines --------------------------------------------------- */

static int item_band(struct txt *t, struct txt_rule *r)
{
	const struct txt_named *b;
	char name[TXT_NAME_MAX];
	int err;

	if (eat(t, '(')) {
		err = band(t, &r->start, &r->end, &r->bw);
		return err ? err : need(t, ')', "behind the range");
	}
	err = word(t, name, sizeof(name), "a band, \"(START - END @ WIDTH)\",");
	if (err)
		return err;
	b = named(t->db->band, t->db->bands, name);
	if (!b)
		return bad(t, "no band is named '%s'", name);
	r->start = b->a;
	r->end = b->b;
	r->bw = b->c;
	return 0;
}

static int item_power(struct txt *t, struct txt_rule *r)
{
	const struct txt_named *p;
	char name[TXT_NAME_MAX];
	int err;

	if (eat(t, '(')) {
		err = power(t, &r->eirp);
		return err ? err : need(t, ')', "behind the power");
	}
	err = word(t, name, sizeof(name), "a power, \"(20)\" or \"(100 mW)\",");
	if (err)
		return err;
	p = named(t->db->power, t->db->powers, name);
	if (!p)
		return bad(t, "no power is named '%s'", name);
	r->eirp = p->a;
	return 0;
}

static int item_wmm(struct txt *t, struct txt_rule *r)
{
	char name[TXT_NAME_MAX];
	int err = need(t, '=', "behind wmmrule");

	if (!err)
		err = word(t, name, sizeof(name), "the WMM rule's name");
	if (err)
		return err;
	for (unsigned i = 0; i < t->db->wmms; i++)
		if (!strcmp(t->db->wmm[i].name, name)) {
			r->wmm = (int)i;
			return 0;
		}
	return bad(t, "no wmmrule is named '%s'", name);
}

static int item_flag(struct txt *t, struct txt_rule *r)
{
	const char *before;
	char name[TXT_NAME_MAX];
	int err;

	skip(t);
	before = t->p;
	err = word(t, name, sizeof(name), "a flag");
	if (err)
		return err;
	if (!strcmp(name, "wmmrule"))
		return item_wmm(t, r);
	for (unsigned i = 0; i < R3_COUNT(flag_names); i++) {
		if (strcmp(flag_names[i].name, name))
			continue;
		r->flags |= flag_names[i].flag;
		if (!(flag_names[i].flag & ~(uint32_t)R3_REG_DB_FLAGS))
			return 0;
		t->p = before;
		return bad(t, "regulatory.db has no room for the flag %s",
			   name);
	}
	t->p = before;
	return bad(t,
		   "unknown flag %s; known: NO-OFDM NO-OUTDOOR DFS NO-IR AUTO-BW",
		   name);
}

int txt_rule_cmp(const struct txt_db *db, const struct txt_rule *a,
		 const struct txt_rule *b)
{
	const double *x = &a->start, *y = &b->start;
	int c;

	/* start, end, bw, eirp stand in this order */
	for (unsigned i = 0; i < 4; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	if (a->flags != b->flags)
		return a->flags < b->flags ? -1 : 1;
	if (a->wmm == b->wmm)
		return 0;
	if (a->wmm < 0 || b->wmm < 0)
		return a->wmm < 0 ? -1 : 1;
	for (unsigned i = 0; i < 32; i++) {
		c = db->wmm[a->wmm].v[i / 4][i % 4] -
		    db->wmm[b->wmm].v[i / 4][i % 4];
		if (c)
			return c;
	}
	return 0;
}
static_assert(offsetof(struct txt_rule, eirp) ==
		      offsetof(struct txt_rule, start) + 3 * sizeof(double),
	      "txt_rule_cmp() walks the four numbers");

/* The rule's index; a new one unless it is known. */
static int intern(struct txt *t, const struct txt_rule *r, uint16_t *out)
{
	struct txt_db *db = t->db;
	struct txt_rule *grown;
	unsigned i;

	for (i = 0; i < db->count; i++)
		if (!txt_rule_cmp(db, &db->rules[i], r))
			break;
	if (i == db->count && db->count == db->room) {
		unsigned room = db->room ? 2 * db->room : 64;

		if (room > TXT_ITEMS_MAX)
			return bad(t, "more than %u different rules",
				   TXT_ITEMS_MAX);
		grown = realloc(db->rules, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		db->rules = grown;
		db->room = room;
	}
	if (i == db->count)
		db->rules[db->count++] = *r;
	*out = (uint16_t)i;
	return 0;
}

/* Keep a country's rules in the order of storage; a double has no effect. */
static int insert(struct txt *t, struct txt_country *c, uint16_t rule)
{
	const struct txt_db *db = t->db;
	unsigned at = 0;

	while (at < c->count &&
	       txt_rule_cmp(db, &db->rules[c->rule[at]], &db->rules[rule]) < 0)
		at++;
	if (at < c->count && c->rule[at] == rule)
		return 0;
	if (c->count == R3_REG_RULES_MAX)
		return bad(t, "%.2s has more than %u rules", c->alpha2,
			   R3_REG_RULES_MAX);
	memmove(&c->rule[at + 1], &c->rule[at],
		(c->count - at) * sizeof(c->rule[0]));
	c->rule[at] = rule;
	c->count++;
	return 0;
}

static int country_item(struct txt *t)
{
	struct txt_rule r = { .wmm = -1 };
	uint16_t index = 0;
	int err = item_band(t, &r);

	if (!err)
		err = need(t, ',', "between band and power");
	if (!err)
		err = item_power(t, &r);
	while (!err && eat(t, ','))
		err = item_flag(t, &r);
	if (!err && !at_end(t))
		err = bad(t, "',' or the end of the line is missing");
	if (!err)
		err = intern(t, &r, &index);
	for (unsigned i = 0; i < t->count && !err; i++)
		err = insert(t, &t->db->countries[t->open[i]], index);
	return err;
}

static int open_country(struct txt *t)
{
	struct txt_db *db = t->db;
	char name[TXT_NAME_MAX];
	unsigned i;
	int err = word(t, name, sizeof(name), "a country code");

	if (err)
		return err;
	if (strlen(name) != 2 || !isalnum((unsigned char)name[0]) ||
	    !isalnum((unsigned char)name[1]) || islower(name[0]) ||
	    islower(name[1])) {
		t->p -= strlen(name);
		return bad(t, "'%s' is no country code: two capitals", name);
	}
	for (i = 0; i < db->country_count; i++)
		if (!memcmp(db->countries[i].alpha2, name, 2))
			break;
	if (i == R3_REG_COUNTRIES_MAX)
		return bad(t, "more than %u countries", R3_REG_COUNTRIES_MAX);
	if (i == db->country_count)
		memcpy(db->countries[db->country_count++].alpha2, name, 2);
	if (t->count == R3_REG_COUNTRIES_MAX)
		return bad(t, "too many countries on one line");
	t->open[t->count++] = (uint16_t)i;
	return 0;
}

static int country_line(struct txt *t)
{
	char name[TXT_NAME_MAX];
	unsigned dfs = 0;
	int err;

	t->in = IN_COUNTRY;
	t->count = 0;
	do {
		err = open_country(t);
	} while (!err && eat(t, ','));
	if (!err)
		err = need(t, ':', "behind the country");
	if (err || at_end(t))
		return err;
	err = word(t, name, sizeof(name), "the DFS region");
	if (err)
		return err;
	while (++dfs < 4 && strcmp(name, txt_dfs_names[dfs]))
		;
	if (dfs == 4 || !at_end(t)) {
		t->p -= strlen(name);
		return bad(t, "'%s' is no DFS region: DFS-FCC, DFS-ETSI or DFS-JP",
			   name);
	}
	for (unsigned i = 0; i < t->count; i++)
		if (!t->db->countries[t->open[i]].count)
			t->db->countries[t->open[i]].dfs = (uint8_t)dfs;
	return 0;
}

/* ---- WMM, named bands and powers ----------------------------------------- */

static int wmm_line(struct txt *t)
{
	struct txt_db *db = t->db;
	int err;

	t->in = IN_WMM;
	t->first = db->wmms;
	t->count = 0;
	do {
		if (db->wmms == TXT_NAMES_MAX)
			return bad(t, "more than %u WMM rules",
				   TXT_NAMES_MAX);
		err = word(t, db->wmm[db->wmms].name, TXT_NAME_MAX,
			   "the WMM rule's name");
		if (!err) {
			db->wmms++;
			t->count++;
		}
	} while (!err && eat(t, ','));
	return err ? err : need(t, ':', "behind the name");
}

static int wmm_value(struct txt *t, uint16_t v[4])
{
	static const char *const keys[4] = { "cw_min", "cw_max", "aifsn",
					     "cot" };
	static const uint16_t max[4] = { 32767, 32767, 255, 65535 };
	char name[TXT_NAME_MAX];
	unsigned k;
	int err = word(t, name, sizeof(name), "a WMM parameter");

	if (err)
		return err;
	for (k = 0; k < 4 && strcmp(keys[k], name); k++)
		;
	if (k == 4)
		return bad(t, "unknown WMM parameter '%s'", name);
	err = need(t, '=', "behind the parameter");
	if (!err)
		err = small(t, max[k], &v[k], name);
	if (!err && k < 2 && !r3_is_pow2(v[k] + 1u))
		err = bad(t, "%s must be a power of two less one", name);
	return err;
}

static int wmm_item(struct txt *t)
{
	char name[TXT_NAME_MAX];
	uint16_t v[4] = { 0 };
	unsigned ac;
	int err = word(t, name, sizeof(name), "an access category");

	if (err)
		return err;
	for (ac = 0; ac < 8 && strcmp(txt_ac_names[ac], name); ac++)
		;
	if (ac == 8)
		return bad(t,
			   "unknown access category '%s'; known: vo_c vi_c be_c bk_c vo_ap vi_ap be_ap bk_ap",
			   name);
	err = need(t, ':', "behind the access category");
	do {
		if (!err)
			err = wmm_value(t, v);
	} while (!err && eat(t, ','));
	if (!err && (v[0] >= v[1] || !v[2]))
		err = bad(t, "cw_min must be below cw_max, aifsn at least 1");
	if (err)
		return err;
	for (unsigned i = 0; i < t->count; i++) {
		memcpy(t->db->wmm[t->first + i].v[ac], v, sizeof(v));
		t->db->wmm[t->first + i].have |= (uint8_t)(1u << ac);
	}
	return 0;
}

static int band_line(struct txt *t)
{
	struct txt_named *b = &t->db->band[t->db->bands];
	int err;

	if (t->db->bands == TXT_NAMES_MAX)
		return bad(t, "more than %u bands", TXT_NAMES_MAX);
	err = word(t, b->name, sizeof(b->name), "the band's name");
	if (!err)
		err = need(t, ':', "behind the name");
	if (!err)
		err = band(t, &b->a, &b->b, &b->c);
	if (!err)
		t->db->bands++;
	return err;
}

static int power_line(struct txt *t)
{
	struct txt_named *p = &t->db->power[t->db->powers];
	int err;

	if (t->db->powers == TXT_NAMES_MAX)
		return bad(t, "more than %u powers", TXT_NAMES_MAX);
	err = word(t, p->name, sizeof(p->name), "the power's name");
	if (!err)
		err = need(t, ':', "behind the name");
	if (!err)
		err = power(t, &p->a);
	if (!err)
		t->db->powers++;
	return err;
}

/* ---- the file ------------------------------------------------------------ */

static int parse_line(struct txt *t)
{
	if (at_end(t))
		return 0;
	if (keyword(t, "wmmrule"))
		return wmm_line(t);
	if (keyword(t, "band"))
		return band_line(t);
	if (keyword(t, "power"))
		return power_line(t);
	if (keyword(t, "country"))
		return country_line(t);
	if (t->in == IN_COUNTRY)
		return country_item(t);
	if (t->in == IN_WMM)
		return wmm_item(t);
	return bad(t, "expected wmmrule, band, power or country");
}

static int check_wmm(struct txt *t)
{
	for (unsigned i = 0; i < t->db->wmms; i++)
		if (t->db->wmm[i].have != 0xff)
			return bad(t, "wmmrule %s does not name all of vo, vi, be, bk for _c and _ap",
				   t->db->wmm[i].name);
	return 0;
}

static int parse_lines(struct txt *t, const char *text, size_t len)
{
	const char *p = text, *end = text + len, *nl, *hash;
	int err = 0;

	while (p < end && !err) {
		nl = memchr(p, '\n', (size_t)(end - p));
		nl = nl ? nl : end;
		hash = memchr(p, '#', (size_t)(nl - p));
		t->line = t->p = p;
		t->end = hash ? hash : nl;
		t->number++;
		err = parse_line(t);
		p = nl + 1;
	}
	return err ? err : check_wmm(t);
}

int txt_parse(struct txt_db **out, const char *text, size_t len,
	      struct r3_reg_err *err)
{
	struct txt t = { .err = err, .line = text, .p = text };
	int code = -ENOMEM;

	if (len > TXT_MAX)
		return reg_fail(err, -EINVAL, 0, "more than %u bytes",
				TXT_MAX);
	t.db = calloc(1, sizeof(*t.db));
	t.open = calloc(R3_REG_COUNTRIES_MAX, sizeof(*t.open));
	if (t.db)
		t.db->countries = calloc(R3_REG_COUNTRIES_MAX,
					 sizeof(*t.db->countries));
	if (t.db && t.open && t.db->countries)
		code = parse_lines(&t, text, len);
	free(t.open);
	if (code)
		txt_free(t.db);
	else
		*out = t.db;
	if (code == -ENOMEM)
		reg_fail(err, code, 0, "out of memory");
	return code;
}

void txt_free(struct txt_db *db)
{
	if (!db)
		return;
	free(db->rules);
	free(db->countries);
	free(db);
}
