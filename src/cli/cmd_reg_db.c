// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_reg_db.c - ring3 reg compile, decompile, verify, diff: databases */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_reg.h"

#define TEXT_MAX (4u * 1024 * 1024)

static int write_file(const char *path, const void *bytes, size_t len)
{
	FILE *f = path ? fopen(path, "we") : stdout;
	bool ok = f && fwrite(bytes, 1, len, f) == len;

	if (f && path)
		ok = !fclose(f) && ok;
	else if (f)
		ok = !fflush(f) && ok;
	if (!ok)
		fprintf(stderr, "ring3: %s: %s\n", path ? path : "output",
			strerror(errno));
	return ok ? R3_EXIT_OK : R3_EXIT_FAILED;
}

const struct r3_opt reg_cli_compile_opts[] = {
	{ "output", "FILE", "where to (default: standard output)", 'o' },
	{ "json", NULL, "with -o: say what was made, or what is wrong, as JSON",
	  0 },
	{ 0 },
};

static void compiled_json(const struct r3_reg_err *err, size_t n)
{
	if (err->reason[0])
		reg_cli_print_json(json_pack(
			"{s:b,s:i,s:i,s:s}", "compiled", 0, "line",
			(int)err->line, "column", (int)err->column, "reason",
			err->reason));
	else
		reg_cli_print_json(json_pack("{s:b,s:I}", "compiled", 1,
					     "bytes", (json_int_t)n));
}

int reg_cli_compile(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json");
	struct r3_reg_err err = { 0 };
	char *text;
	uint8_t *bytes;
	size_t len, n = 0;
	int code;

	if (json && !r3_cli_opt(args, "output"))
		return r3_cli_usage(args, "--json needs -o FILE");
	code = reg_cli_read(args->pos[0], TEXT_MAX, &text, &len);
	if (code)
		return code;
	if (r3_reg_compile(text, len, &bytes, &n, &err)) {
		code = json ? R3_EXIT_FAILED :
			      reg_cli_failed(args->pos[0], &err);
	} else {
		code = write_file(r3_cli_opt(args, "output"), bytes, n);
		free(bytes);
	}
	if (json)
		compiled_json(&err, n);
	free(text);
	return code;
}

static bool comes_back(const struct r3_reg_db *db, const char *text, size_t len)
{
	struct r3_span was = r3_reg_db_bytes(db);
	uint8_t *bytes;
	size_t n;
	bool same;

	if (r3_reg_compile(text, len, &bytes, &n, NULL))
		return false;
	same = n == was.len && !memcmp(bytes, was.p, n);
	free(bytes);
	return same;
}

const struct r3_opt reg_cli_decompile_opts[] = {
	{ "output", "FILE", "where to (default: standard output)", 'o' },
	{ "json", NULL, "JSON instead of db.txt", 0 },
	REG_DB_OPTS,
	{ 0 },
};

static int decompile_json(const struct r3_args *args,
			  const struct r3_reg_db *db)
{
	json_t *list = json_array();
	char *text;
	int code;

	for (unsigned i = 0; i < r3_reg_db_count(db); i++)
		json_array_append_new(
			list, reg_cli_domain_json(r3_reg_db_at(db, i)));
	text = json_dumps(list, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	json_decref(list);
	code = text ? write_file(r3_cli_opt(args, "output"), text,
				 strlen(text)) :
		      R3_EXIT_FAILED;
	free(text);
	return code;
}

int reg_cli_decompile(const struct r3_args *args)
{
	struct r3_reg_db *db;
	char *text = NULL;
	size_t len;
	FILE *mem;
	int code = reg_cli_open_at(args, args->count ? args->pos[0] : NULL,
				   &db);

	if (code)
		return code;
	if (r3_cli_opt(args, "json")) {
		code = decompile_json(args, db);
		r3_reg_db_free(db);
		return code;
	}
	mem = open_memstream(&text, &len);
	code = mem && !r3_reg_decompile(db, mem) ? R3_EXIT_OK : R3_EXIT_FAILED;
	if (mem)
		fclose(mem);
	if (!code)
		code = write_file(r3_cli_opt(args, "output"), text, len);
	if (!code && !comes_back(db, text, len))
		fputs("ring3: warning: compiling this again will not give the same bytes: the database was not laid out by wireless-regdb, or holds what db.txt can't say\n",
		      stderr);
	free(text);
	r3_reg_db_free(db);
	return code;
}

const struct r3_opt reg_cli_verify_opts[] = {
	{ "json", NULL, "machine-readable", 0 },
	REG_DB_OPTS,
	{ 0 },
};

int reg_cli_verify(const struct r3_args *args)
{
	struct r3_reg_db *db;
	unsigned rules = 0;
	int code;

	if (r3_cli_opt(args, "unsigned"))
		return r3_cli_usage(args, "to verify and --unsigned exclude each other");
	code = reg_cli_open_at(args, args->count ? args->pos[0] : NULL, &db);
	if (code)
		return code;
	for (unsigned i = 0; i < r3_reg_db_count(db); i++)
		rules += r3_reg_db_at(db, i)->count;
	if (r3_cli_opt(args, "json"))
		reg_cli_print_json(json_pack(
			"{s:b,s:s,s:i,s:i,s:I}", "verified", 1,
			"database_sha256", r3_reg_db_hash(db), "countries",
			(int)r3_reg_db_count(db), "rules", (int)rules, "bytes",
			(json_int_t)r3_reg_db_bytes(db).len));
	else
		printf("signature verified; %u countries, %u rules, %zu bytes, sha256 %s\n",
		       r3_reg_db_count(db), rules, r3_reg_db_bytes(db).len,
		       r3_reg_db_hash(db));
	r3_reg_db_free(db);
	return R3_EXIT_OK;
}

/* ---- diff ---------------------------------------------------------------- */

/* A database, or the text of one. */
static int open_any(const struct r3_args *args, const char *path,
		    struct r3_reg_db **db)
{
	struct r3_reg_err err = { 0 };
	char *text;
	uint8_t *bytes;
	size_t len, n;
	int code = reg_cli_read(path, TEXT_MAX, &text, &len);

	if (code)
		return code;
	if (len >= 4 && !memcmp(text, "RGDB", 4)) {
		free(text);
		return reg_cli_open_at(args, path, db);
	}
	code = r3_reg_compile(text, len, &bytes, &n, &err) ? R3_EXIT_FAILED :
							     R3_EXIT_OK;
	free(text);
	if (!code) {
		if (r3_reg_db_parse(db, bytes, n, &err))
			code = R3_EXIT_FAILED;
		free(bytes);
	}
	if (code)
		reg_cli_failed(path, &err);
	return code;
}

struct diff {
	json_t *list; /* or NULL: print */
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned count, gained, lost, changed;
};

static void width_list(uint8_t bits, char sign, char *out)
{
	static const char *const names[] = { "20", "40-", "40+", "80", "160",
					     "320" };

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (bits >> i & 1)
			out += sprintf(out, " %c%s", sign, names[i]);
}

static void flag_list(uint8_t bits, char sign, char *out)
{
	static const char *const names[] = { "no-IR", "radar", "indoor",
					     "no-OFDM" };

	for (unsigned i = 0; i < R3_COUNT(names); i++)
		if (bits >> i & 1)
			out += sprintf(out, " %c%s", sign, names[i]);
}

static void describe(const struct r3_reg_cell *a, const struct r3_reg_cell *b,
		     char out[256])
{
	bool had = a->rule != UINT16_MAX, has = b->rule != UINT16_MAX;

	out[0] = '\0';
	width_list((uint8_t)(b->widths & ~a->widths), '+', out + strlen(out));
	width_list((uint8_t)(a->widths & ~b->widths), '-', out + strlen(out));
	flag_list((uint8_t)(b->flags & ~a->flags), '+', out + strlen(out));
	flag_list((uint8_t)(a->flags & ~b->flags), '-', out + strlen(out));
	if (had && has && a->power_dbm != b->power_dbm)
		sprintf(out + strlen(out), " %d -> %d dBm (%+d dB)",
			a->power_dbm, b->power_dbm,
			b->power_dbm - a->power_dbm);
	else if (had != has)
		sprintf(out + strlen(out), " %s, %d dBm",
			has ? "gained" : "lost",
			has ? b->power_dbm : a->power_dbm);
}

static bool same_cell(const struct r3_reg_cell *a, const struct r3_reg_cell *b)
{
	return a->widths == b->widths && a->flags == b->flags &&
	       a->power_dbm == b->power_dbm && a->cac_s == b->cac_s &&
	       (a->rule == UINT16_MAX) == (b->rule == UINT16_MAX);
}

/* Channels next to each other with the same change stand on one line. */
static bool same_change(const struct r3_reg_table *a,
			const struct r3_reg_table *b, unsigned i, unsigned j)
{
	return same_cell(&a->cell[i], &a->cell[j]) &&
	       same_cell(&b->cell[i], &b->cell[j]);
}

static void diff_run(struct diff *d, const char *cc, unsigned from,
		     unsigned to, const char *what)
{
	char a[16], b[16];

	r3_reg_mhz(d->ch[from].khz, a);
	r3_reg_mhz(d->ch[to].khz, b);
	if (d->list)
		json_array_append_new(
			d->list,
			json_pack("{s:s,s:s,s:s,s:s}", "country", cc,
				  "from_mhz", a, "to_mhz", b, "change",
				  what[0] == ' ' ? what + 1 : what));
	else if (from == to)
		printf("%s  %s MHz:%s\n", cc, a, what);
	else
		printf("%s  %s-%s MHz:%s\n", cc, a, b, what);
}

static void diff_tables(struct diff *d, const char *cc,
			const struct r3_reg_table *a,
			const struct r3_reg_table *b)
{
	char what[256];

	for (unsigned i = 0; i < d->count;) {
		unsigned j = i;

		if (same_cell(&a->cell[i], &b->cell[i])) {
			i++;
			continue;
		}
		while (j + 1 < d->count &&
		       d->ch[j + 1].band == d->ch[i].band &&
		       same_change(a, b, i, j + 1))
			j++;
		describe(&a->cell[i], &b->cell[i], what);
		if (a->cell[i].rule == UINT16_MAX)
			d->gained += j - i + 1;
		else if (b->cell[i].rule == UINT16_MAX)
			d->lost += j - i + 1;
		else
			d->changed += j - i + 1;
		diff_run(d, cc, i, j, what);
		i = j + 1;
	}
}

static void diff_country(struct diff *d, const struct r3_reg_domain *a,
			 const struct r3_reg_domain *b)
{
	static const struct r3_reg_domain none = { 0 };
	struct r3_reg_table ta, tb;
	const char *cc = a ? a->alpha2 : b->alpha2;

	r3_reg_table_fill(&ta, a ? a : &none);
	r3_reg_table_fill(&tb, b ? b : &none);
	if (!a || !b)
		diff_run(d, cc, 0, d->count - 1,
			 a ? " country removed" : " country added");
	else if (a->dfs != b->dfs)
		diff_run(d, cc, 0, d->count - 1, " another DFS region");
	diff_tables(d, cc, &ta, &tb);
}

static void diff_dbs(struct diff *d, const struct r3_reg_db *a,
		     const struct r3_reg_db *b)
{
	unsigned i = 0, j = 0;

	d->count = r3_reg_channels(d->ch, true);
	while (i < r3_reg_db_count(a) || j < r3_reg_db_count(b)) {
		const struct r3_reg_domain *x = r3_reg_db_at(a, i);
		const struct r3_reg_domain *y = r3_reg_db_at(b, j);
		int c = !x ? 1 : !y ? -1 : strcmp(x->alpha2, y->alpha2);

		diff_country(d, c <= 0 ? x : NULL, c >= 0 ? y : NULL);
		i += c <= 0;
		j += c >= 0;
	}
}

const struct r3_opt reg_cli_diff_opts[] = {
	{ "json", NULL, "machine-readable", 0 },
	{ "certs", "PATH", "certificate or folder trusted instead of Debian's",
	  0 },
	{ "unsigned", NULL, "take the databases without signatures", 0 },
	{ 0 },
};

int reg_cli_diff(const struct r3_args *args)
{
	struct diff *d = calloc(1, sizeof(*d));
	struct r3_reg_db *a = NULL, *b = NULL;
	bool json = r3_cli_opt(args, "json");
	int code = d ? open_any(args, args->pos[0], &a) : R3_EXIT_FAILED;

	if (!code)
		code = open_any(args, args->pos[1], &b);
	if (!code) {
		d->list = json ? json_array() : NULL;
		diff_dbs(d, a, b);
		if (json)
			reg_cli_print_json(json_pack(
				"{s:i,s:i,s:i,s:o}", "channels_gained",
				(int)d->gained, "channels_lost", (int)d->lost,
				"channels_changed", (int)d->changed, "changes",
				d->list));
		else
			printf("%u channels gained, %u lost, %u changed\n",
			       d->gained, d->lost, d->changed);
	}
	r3_reg_db_free(a);
	r3_reg_db_free(b);
	free(d);
	return code;
}
