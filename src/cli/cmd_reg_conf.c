// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_reg_conf.c - ring3 reg check, where: may this configuration run? */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_reg.h"

static const char *const severity[] = { "note", "warning", "error" };

/* A whole file, or standard input for "-"; malloc()ed. */
int reg_cli_read(const char *path, size_t max, char **out, size_t *len)
{
	bool in = !strcmp(path, "-");
	FILE *f = in ? stdin : fopen(path, "re");
	char *bytes = f ? malloc(max + 1) : NULL;
	size_t n = 0;
	bool bad = !bytes;

	if (bytes) {
		n = fread(bytes, 1, max + 1, f);
		bad = ferror(f);
	}
	if (bad)
		fprintf(stderr, "ring3: %s: %s\n", path, strerror(errno));
	else if (n > max)
		fprintf(stderr, "ring3: %s: more than %zu bytes\n", path, max);
	if (f && !in)
		fclose(f);
	if (bad || n > max) {
		free(bytes);
		return R3_EXIT_FAILED;
	}
	*out = bytes;
	*len = n;
	return R3_EXIT_OK;
}

struct check {
	const char *path;
	char *text;
	size_t len;
	struct r3_reg_db *db;
	struct r3_reg_conf conf;
	struct r3_reg_findings found;
};

static enum r3_reg_conf_kind kind_of(const struct r3_args *args, bool *bad)
{
	const char *k = r3_cli_opt(args, "kind");

	*bad = false;
	if (!k)
		return R3_REG_CONF_GUESS;
	for (unsigned i = R3_REG_CONF_HOSTAPD; i <= R3_REG_CONF_UCI; i++)
		if (!strcmp(k, r3_reg_conf_kind_name(i)))
			return i;
	*bad = true;
	return R3_REG_CONF_GUESS;
}

static void end(struct check *c)
{
	if (!c)
		return;
	free(c->text);
	r3_reg_db_free(c->db);
	free(c);
}

static int begin(const struct r3_args *args, struct check **out)
{
	struct check *c = calloc(1, sizeof(*c));
	bool bad;
	enum r3_reg_conf_kind kind = kind_of(args, &bad);
	int code = R3_EXIT_FAILED;

	if (bad)
		code = r3_cli_usage(args,
				    "--kind is hostapd, wpa_supplicant or openwrt");
	else if (c) {
		c->path = args->pos[0];
		code = reg_cli_read(c->path, R3_REG_CONF_MAX, &c->text,
				    &c->len);
	}
	if (!code)
		code = reg_cli_open(args, &c->db);
	if (!code && r3_reg_conf_parse(&c->conf, kind, c->text, c->len,
				       &c->found))
		code = R3_EXIT_FAILED;
	if (code)
		end(c);
	else
		*out = c;
	return code;
}

/* ---- check --------------------------------------------------------------- */

static void add(struct r3_reg_findings *f, enum r3_reg_severity s,
		struct r3_reg_place at, const char *text, const char *remedy)
{
	struct r3_reg_finding *v;

	f->errors += s == R3_REG_ERROR;
	if (f->count == R3_REG_FINDINGS_MAX) {
		f->lost++;
		return;
	}
	v = &f->v[f->count++];
	v->severity = s;
	v->at = at;
	snprintf(v->text, sizeof(v->text), "%s", text);
	snprintf(v->remedy, sizeof(v->remedy), "%s", remedy);
}

static void check_net(struct check *c, const struct r3_reg_net *net,
		      const char *country)
{
	const struct r3_reg_domain *d;
	char text[R3_REG_REASON_MAX];
	const char *cc = country	  ? country :
			 net->country[0] ? net->country :
					   "00";

	d = r3_reg_db_find(c->db, cc);
	if (!d) {
		snprintf(text, sizeof(text),
			 "the database has no country %.8s", cc);
		add(&c->found, R3_REG_ERROR, net->country_at, text,
		    "`ring3 reg show` lists them");
		return;
	}
	if (!country && !net->country[0])
		add(&c->found, R3_REG_WARNING, net->at,
		    "no country is named: judged by the world domain, 00",
		    c->conf.kind == R3_REG_CONF_HOSTAPD ? "add country_code=CC" :
		    c->conf.kind == R3_REG_CONF_WPA ? "add country=CC" :
						      "add option country 'CC'");
	r3_reg_conf_check(d, net, &c->found);
}

static int by_place(const void *a, const void *b)
{
	const struct r3_reg_finding *x = a, *y = b;

	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	return x->at.column < y->at.column ? -1 : x->at.column > y->at.column;
}

static void print_findings(const struct check *c)
{
	for (unsigned i = 0; i < c->found.count; i++) {
		const struct r3_reg_finding *v = &c->found.v[i];

		printf("%s:%u:%u: %s: %s\n", c->path, v->at.line, v->at.column,
		       severity[v->severity], v->text);
		if (v->remedy[0])
			printf("    try: %s\n", v->remedy);
	}
	if (c->found.lost)
		printf("... and %u more\n", c->found.lost);
	printf("%s: %s, %u network(s): %s\n", c->path,
	       r3_reg_conf_kind_name(c->conf.kind), c->conf.count,
	       c->found.errors ? "would not be allowed" : "allowed");
}

static json_t *findings_json(const struct check *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->found.count; i++) {
		const struct r3_reg_finding *v = &c->found.v[i];

		json_array_append_new(
			list, json_pack("{s:i,s:i,s:s,s:s,s:s}", "line",
					(int)v->at.line, "column",
					(int)v->at.column, "severity",
					severity[v->severity], "text", v->text,
					"remedy", v->remedy));
	}
	return list;
}

const struct r3_opt reg_cli_check_opts[] = {
	{ "country", "CC", "judge by this country, whatever the file says", 0 },
	{ "kind", "KIND", "hostapd, wpa_supplicant or openwrt (default: guess)",
	  0 },
	{ "json", NULL, "machine-readable", 0 },
	REG_DB_OPTS,
	{ 0 },
};

int reg_cli_check(const struct r3_args *args)
{
	struct check *c = NULL;
	int code = begin(args, &c);

	if (code)
		return code;
	for (unsigned i = 0; i < c->conf.count; i++)
		check_net(c, &c->conf.net[i], r3_cli_opt(args, "country"));
	qsort(c->found.v, c->found.count, sizeof(c->found.v[0]), by_place);
	if (r3_cli_opt(args, "json"))
		reg_cli_print_json(json_pack(
			"{s:s,s:s,s:i,s:b,s:s,s:o}", "file", c->path, "kind",
			r3_reg_conf_kind_name(c->conf.kind), "networks",
			(int)c->conf.count, "allowed", !c->found.errors,
			"database_sha256", r3_reg_db_hash(c->db), "findings",
			findings_json(c)));
	else
		print_findings(c);
	code = c->found.errors ? R3_EXIT_FAILED : R3_EXIT_OK;
	end(c);
	return code;
}

/* ---- where --------------------------------------------------------------- */

static bool may_run(const struct check *c, const struct r3_reg_domain *d)
{
	for (unsigned i = 0; i < c->conf.count; i++)
		if (!r3_reg_conf_check(d, &c->conf.net[i], NULL))
			return false;
	return true;
}

static void print_where(const struct check *c, bool wanted, const char *title)
{
	unsigned n = 0, column = 0;

	for (unsigned i = 0; i < r3_reg_db_count(c->db); i++)
		n += may_run(c, r3_reg_db_at(c->db, i)) == wanted;
	printf("%s %u of %u:\n", title, n, r3_reg_db_count(c->db));
	for (unsigned i = 0; i < r3_reg_db_count(c->db); i++) {
		const struct r3_reg_domain *d = r3_reg_db_at(c->db, i);

		if (may_run(c, d) != wanted)
			continue;
		printf(" %s", d->alpha2);
		if (++column % 24 == 0)
			putchar('\n');
	}
	if (column % 24)
		putchar('\n');
}

static void where_json(const struct check *c)
{
	json_t *yes = json_array(), *no = json_array();

	for (unsigned i = 0; i < r3_reg_db_count(c->db); i++) {
		const struct r3_reg_domain *d = r3_reg_db_at(c->db, i);

		json_array_append_new(may_run(c, d) ? yes : no,
				      json_string(d->alpha2));
	}
	reg_cli_print_json(json_pack("{s:s,s:o,s:o}", "file", c->path,
				     "allowed", yes, "refused", no));
}

const struct r3_opt reg_cli_where_opts[] = {
	{ "kind", "KIND", "hostapd, wpa_supplicant or openwrt (default: guess)",
	  0 },
	{ "json", NULL, "machine-readable", 0 },
	REG_DB_OPTS,
	{ 0 },
};

int reg_cli_where(const struct r3_args *args)
{
	struct check *c = NULL;
	int code = begin(args, &c);

	if (code)
		return code;
	if (c->found.errors)
		for (unsigned i = 0; i < c->found.count; i++)
			fprintf(stderr, "ring3: %s:%u:%u: %s\n", c->path,
				c->found.v[i].at.line, c->found.v[i].at.column,
				c->found.v[i].text);
	/* the file's country switches radar detection on, as any would */
	if (r3_cli_opt(args, "json")) {
		where_json(c);
	} else {
		print_where(c, true, "may run in");
		print_where(c, false, "not in");
	}
	code = c->found.errors ? R3_EXIT_FAILED : R3_EXIT_OK;
	end(c);
	return code;
}
