// SPDX-License-Identifier: GPL-2.0-or-later
/* sim_parse.c - read a scenario: words on lines, "#" begins a comment */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "sim.h"

#define WORDS_MAX 10u
#define TEXT_MAX  (1024u * 1024)

struct line {
	struct r3_reg_sim *sim;
	struct r3_reg_err *err;
	unsigned number;
	char word[WORDS_MAX][SIM_NAME_MAX];
	unsigned column[WORDS_MAX];
	unsigned words;
};

static int bad(struct line *l, unsigned word, const char *fmt, ...)
	R3_PRINTF(3, 4);

static int bad(struct line *l, unsigned word, const char *fmt, ...)
{
	va_list ap;

	if (!l->err)
		return -EINVAL;
	memset(l->err, 0, sizeof(*l->err));
	l->err->line = l->number;
	l->err->column = word < l->words ? l->column[word] : 1;
	va_start(ap, fmt);
	vsnprintf(l->err->reason, sizeof(l->err->reason), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int split(struct line *l, const char *p, const char *end)
{
	const char *start = p;

	l->words = 0;
	for (;;) {
		size_t n = 0;

		while (p < end && isspace((unsigned char)*p))
			p++;
		if (p == end || *p == '#')
			return 0;
		while (p + n < end && !isspace((unsigned char)p[n]))
			n++;
		if (l->words == WORDS_MAX)
			return bad(l, 0, "more than %u words", WORDS_MAX);
		l->column[l->words] = (unsigned)(p - start) + 1;
		if (n >= SIM_NAME_MAX)
			return bad(l, l->words++, "this word is too long");
		memcpy(l->word[l->words], p, n);
		l->word[l->words++][n] = '\0';
		p += n;
	}
}

static bool is(const struct line *l, unsigned i, const char *word)
{
	return i < l->words && !strcmp(l->word[i], word);
}

static int real(struct line *l, unsigned i, double *out)
{
	char *end;

	if (i >= l->words)
		return bad(l, l->words, "a number is missing");
	*out = strtod(l->word[i], &end);
	if (end == l->word[i] || *end || !(*out > -1e9 && *out < 1e9))
		return bad(l, i, "'%s' is no number", l->word[i]);
	return 0;
}

static int point(struct line *l, unsigned i, struct sim_point *out)
{
	char *end, *end2;

	if (i >= l->words)
		return bad(l, l->words, "X,Y is missing");
	out->x = strtod(l->word[i], &end);
	if (end == l->word[i] || *end != ',')
		return bad(l, i, "'%s' is not X,Y", l->word[i]);
	out->y = strtod(end + 1, &end2);
	if (end2 == end + 1 || *end2 || !(out->x > -1e9 && out->x < 1e9) ||
	    !(out->y > -1e9 && out->y < 1e9))
		return bad(l, i, "'%s' is not X,Y", l->word[i]);
	return 0;
}

/* "90", "90s", "5min", "1h", "500ms". */
static int moment(struct line *l, unsigned i, uint64_t *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 },
		      { "min", 60000 }, { "h", 3600000 } };
	char *end;
	double v;

	if (i >= l->words)
		return bad(l, l->words, "a time is missing");
	v = strtod(l->word[i], &end);
	for (unsigned u = 0; u < R3_COUNT(units) && end != l->word[i]; u++) {
		if (strcmp(end, units[u].unit))
			continue;
		v *= units[u].ms;
		if (!(v >= 0 && v <= R3_REG_SIM_END_MAX_MS))
			return bad(l, i, "'%s': 0 to 24h is possible",
				   l->word[i]);
		*ms = (uint64_t)v;
		return 0;
	}
	return bad(l, i, "'%s' is no time: 90s, 5min, 1h, 500ms", l->word[i]);
}

static int mhz(struct line *l, unsigned i, uint32_t *khz)
{
	double v;
	int err = real(l, i, &v);

	if (!err && !(v > 700 && v < 75000))
		err = bad(l, i, "'%s' is no frequency in MHz", l->word[i]);
	if (!err)
		*khz = (uint32_t)(v * 1000 + 0.5);
	return err;
}

static int country(struct line *l, unsigned i, char out[3])
{
	if (i >= l->words || strlen(l->word[i]) != 2 ||
	    !isalnum((unsigned char)l->word[i][0]) ||
	    !isalnum((unsigned char)l->word[i][1]))
		return bad(l, i, "a country of two letters is missing");
	memcpy(out, l->word[i], 3);
	return 0;
}

static int radio(struct line *l, unsigned i, unsigned *out)
{
	for (unsigned n = 0; i < l->words && n < l->sim->radios; n++)
		if (!strcmp(l->sim->radio[n].name, l->word[i])) {
			*out = n;
			return 0;
		}
	return bad(l, i, "no radio of this name stands above");
}

static int block(struct line *l, unsigned i, struct r3_reg_chandef *out)
{
	uint32_t khz = 0;
	enum r3_reg_width w = R3_REG_W20;
	int err = mhz(l, i, &khz), side = khz <= 2432000 ? 1 : -1;

	if (err)
		return err;
	if (i + 1 < l->words) {
		for (w = R3_REG_W20;
		     w < R3_REG_WIDTHS &&
			    strcmp(r3_reg_width_name(w), l->word[i + 1]);
		     w++)
			;
		if (w == R3_REG_WIDTHS)
			return bad(l, i + 1, "'%s' is no width",
				   l->word[i + 1]);
	}
	if (r3_reg_chandef_make(khz, w, khz < 3000000 ? side : 0, out))
		return bad(l, i, "no %s MHz block holds %s MHz",
			   r3_reg_width_name(w), l->word[i]);
	return 0;
}

static int line_radio(struct line *l)
{
	struct r3_reg_sim *s = l->sim;
	struct sim_radio *r = &s->radio[s->radios];
	int err = 0;

	if (l->words < 2)
		return bad(l, 0, "radio NAME [at X,Y] [moving VX,VY] [no-dfs]");
	if (s->radios == R3_REG_RADIOS_MAX)
		return bad(l, 0, "more than %u radios", R3_REG_RADIOS_MAX);
	memset(r, 0, sizeof(*r));
	memcpy(r->name, l->word[1], SIM_NAME_MAX);
	r->network = -1;
	r->recheck_ms = UINT64_MAX;
	for (unsigned i = 2; i < l->words && !err; i++) {
		if (is(l, i, "at"))
			err = point(l, ++i, &r->at);
		else if (is(l, i, "moving"))
			err = point(l, ++i, &r->speed);
		else if (is(l, i, "no-dfs"))
			r->no_dfs = true;
		else
			err = bad(l, i, "unknown word '%s'", l->word[i]);
	}
	if (!err)
		s->radios++;
	return err;
}

static int line_network(struct line *l)
{
	struct r3_reg_sim *s = l->sim;
	struct sim_network *n = &s->network[s->networks];
	int err;

	if (l->words < 4)
		return bad(l, 0, "network NAME CC MHZ [at X,Y] [range M]");
	if (s->networks == R3_REG_SIM_NETWORKS_MAX)
		return bad(l, 0, "more than %u networks",
			   R3_REG_SIM_NETWORKS_MAX);
	memset(n, 0, sizeof(*n));
	memcpy(n->name, l->word[1], SIM_NAME_MAX);
	n->range = 50;
	err = country(l, 2, n->country);
	if (!err)
		err = mhz(l, 3, &n->khz);
	for (unsigned i = 4; i < l->words && !err; i++) {
		if (is(l, i, "at"))
			err = point(l, ++i, &n->at);
		else if (is(l, i, "range"))
			err = real(l, ++i, &n->range);
		else
			err = bad(l, i, "unknown word '%s'", l->word[i]);
	}
	if (!err)
		s->networks++;
	return err;
}

static int line_at(struct line *l)
{
	struct r3_reg_sim *s = l->sim;
	struct sim_event *e = &s->event[s->events];
	int err;

	if (s->events == R3_REG_SIM_EVENTS_MAX)
		return bad(l, 0, "more than %u events", R3_REG_SIM_EVENTS_MAX);
	memset(e, 0, sizeof(*e));
	e->order = s->events;
	err = moment(l, 1, &e->ms);
	if (err)
		return err;
	if (is(l, 2, "user")) {
		e->kind = SIM_USER;
		err = country(l, 3, e->country);
	} else if (is(l, 2, "driver")) {
		e->kind = SIM_DRIVER;
		err = radio(l, 3, &e->radio);
		if (!err)
			err = country(l, 4, e->country);
	} else if (is(l, 2, "start")) {
		e->kind = SIM_START;
		err = radio(l, 3, &e->radio);
		if (!err)
			err = block(l, 4, &e->def);
	} else if (is(l, 2, "stop")) {
		e->kind = SIM_STOP;
		err = radio(l, 3, &e->radio);
	} else if (is(l, 2, "radar")) {
		e->kind = SIM_RADAR;
		err = block(l, 3, &e->def);
	} else {
		err = bad(l, 2, "user, driver, start, stop or radar is expected");
	}
	if (!err)
		s->events++;
	return err;
}

static int parse_line(struct line *l)
{
	if (!l->words)
		return 0;
	if (is(l, 0, "radio"))
		return line_radio(l);
	if (is(l, 0, "network"))
		return line_network(l);
	if (is(l, 0, "at"))
		return line_at(l);
	if (is(l, 0, "end"))
		return moment(l, 1, &l->sim->end_ms);
	return bad(l, 0, "radio, network, at or end is expected");
}

static int parse_lines(struct line *l, const char *p, const char *end)
{
	int err = 0;

	while (p < end && !err) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		nl = nl ? nl : end;
		l->number++;
		err = split(l, p, nl);
		if (!err)
			err = parse_line(l);
		p = nl + 1;
	}
	return err;
}

static int by_time(const void *a, const void *b)
{
	const struct sim_event *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int add_radios(struct r3_reg_sim *s)
{
	int n;

	for (unsigned i = 0; i < s->radios; i++) {
		n = r3_reg_hints_add_radio(s->hints, 0, NULL, NULL, 0);
		if (n < 0)
			return n;
	}
	return 0;
}

int r3_reg_sim_parse(struct r3_reg_sim **out, const struct r3_reg_db *db,
		     const char *text, size_t len, struct r3_reg_err *err)
{
	struct r3_reg_sim *s = calloc(1, sizeof(*s));
	struct line *l = calloc(1, sizeof(*l));
	int code = s && l ? 0 : -ENOMEM;

	if (!code && len > TEXT_MAX)
		code = reg_fail(err, -EINVAL, TEXT_MAX, "too long");
	if (!code) {
		l->sim = s;
		l->err = err;
		code = parse_lines(l, text, text + len);
	}
	if (!code)
		code = r3_reg_hints_new(&s->hints, db);
	if (code == -ENOENT)
		reg_fail(err, code, 0, "the database has no world domain (00)");
	if (!code)
		code = add_radios(s);
	free(l);
	if (code) {
		r3_reg_sim_free(s);
		return code;
	}
	qsort(s->event, s->events, sizeof(s->event[0]), by_time);
	if (s->events && s->end_ms < s->event[s->events - 1].ms)
		s->end_ms = s->event[s->events - 1].ms;
	*out = s;
	return 0;
}

void r3_reg_sim_free(struct r3_reg_sim *s)
{
	if (!s)
		return;
	r3_reg_hints_free(s->hints);
	free(s);
}
