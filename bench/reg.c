// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reg.c - what decisions about radio cost
 *
 * Medians of 11 rounds.  Peers: for the signature, `openssl smime -verify` of
 * the same files; for the rest there is no program that does it, so the stated
 * limit stands in.  `iw phy channels` in a lab machine: tests/lab/reg.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring3/reg.h"

#define ROUNDS 11

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

typedef void work(void *arg);

/* Median of ROUNDS, each @n times; ns for one. */
static double median(work *w, void *arg, unsigned n)
{
	double v[ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t t = r3_now_ns();

		for (unsigned i = 0; i < n; i++)
			w(arg);
		v[r] = (double)(r3_now_ns() - t) / n;
	}
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	return v[ROUNDS / 2];
}

struct bench {
	struct r3_reg_source source;
	struct r3_reg_db *db;
	struct r3_span bytes;
	struct r3_reg_table *tables;
	unsigned next, sum;
};

static void open_verify(void *arg)
{
	struct bench *b = arg;
	struct r3_reg_db *db;

	if (r3_reg_db_open(&db, &b->source, NULL))
		abort();
	r3_reg_db_free(db);
}

static void parse(void *arg)
{
	struct bench *b = arg;
	struct r3_reg_db *db;

	if (r3_reg_db_parse(&db, b->bytes.p, b->bytes.len, NULL))
		abort();
	r3_reg_db_free(db);
}

/* A pseudo-random country and channel each time. */
static void verdict(void *arg)
{
	static const uint32_t khz[] = { 2412000, 2472000, 5180000, 5260000,
					5500000, 5745000, 5955000, 6415000 };
	struct bench *b = arg;
	const struct r3_reg_table *t;
	int i;

	b->next = b->next * 1103515245u + 12345u;
	t = &b->tables[(b->next >> 8) % r3_reg_db_count(b->db)];
	i = r3_reg_table_index(khz[(b->next >> 24) % R3_COUNT(khz)]);
	b->sum += r3_reg_table_ok(t, i, R3_REG_T80, R3_REG_TF_NO_IR, 20);
}

static void fill_all(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < r3_reg_db_count(b->db); i++)
		r3_reg_table_fill(&b->tables[i], r3_reg_db_at(b->db, i));
}

static void openssl(void *arg)
{
	const struct bench *b = arg;
	char cmd[1024];

	snprintf(cmd, sizeof(cmd),
		 "openssl smime -verify -inform DER -in %s.p7s -content %s -noverify -binary -out /dev/null 2>/dev/null",
		 b->source.db, b->source.db);
	if (system(cmd))
		b = NULL;
}

static void line(const char *what, double ours, const char *peer, double other,
		 double limit)
{
	printf("%-34s %10.3f us", what, ours / 1000);
	if (peer)
		printf("   %s %10.1f us   ratio %.4f", peer, other / 1000,
		       ours / other);
	printf("   limit %.3f us: %s\n", limit / 1000,
	       ours <= limit ? "kept" : "MISSED");
}

int main(int argc, char **argv)
{
	struct bench b = { .source = { .db = argc > 1 ? argv[1] :
					"/lib/firmware/regulatory.db" } };
	struct r3_reg_err err = { 0 };

	if (r3_reg_db_open(&b.db, &b.source, &err)) {
		fprintf(stderr, "reg: %s\n", err.reason);
		return 1;
	}
	b.bytes = r3_reg_db_bytes(b.db);
	b.tables = calloc(r3_reg_db_count(b.db), sizeof(*b.tables));
	if (!b.tables)
		return 1;
	fill_all(&b);
	line("open, verify, parse", median(open_verify, &b, 20), "openssl",
	     median(openssl, &b, 1), 1e6);
	line("parse and validate", median(parse, &b, 1000), NULL, 0, 10e3);
	line("one verdict, random", median(verdict, &b, 1000000), NULL, 0, 50);
	line("all countries, channels, widths", median(fill_all, &b, 20), NULL,
	     0, 2e6);
	free(b.tables);
	r3_reg_db_free(b.db);
	return b.sum == 1;
}
