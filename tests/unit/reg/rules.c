// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules.c - properties of intersections over all pairs of countries, hints
 * beyond the recorded ones, radar in virtual time
 *
 * The kernel's intersection is no set intersection in these respects, which
 * the tests below name where they leave them out:
 *  1. AUTO-BW widths are widened over neighbours before the lesser is taken, so
 *     a width may be granted by the result's rule that one side alone grants
 *     only together with a neighbour; every piece is still allowed by both.
 *  2. Two DFS regions give none: the radar flag stays, the detector is unset.
 *  3. WMM limits of one side hold for both.
 *  4. A channel that one side allows by two adjacent rules (no rule holds it
 *     alone) may be lost or kept, since rules are paired one by one.
 *  5. S1G channels are counted from their rule's start; a rule that was cut
 *     begins elsewhere, so other half-MHz centres fit: 903 MHz is off in 00 and
 *     on in US, and on in both together.
 */
#include "reg_test.h"

#define BOTH (R3_REG_CH_NO_IR | R3_REG_CH_RADAR | R3_REG_CH_INDOOR)

struct side {
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n;
};

static void put(struct side *s, const struct r3_reg_domain *d)
{
	s->n = r3_reg_channels(s->ch, false);
	r3_reg_derive(d, s->ch, s->n);
}

static bool is_off(const struct r3_reg_channel *c)
{
	return c->flags & R3_REG_CH_DISABLED;
}

/* First-match order can hide a stricter rule that overlaps; such countries have
 * overlapping rules, where pairs come in another order. */
static bool overlaps(const struct r3_reg_domain *d)
{
	for (unsigned i = 1; i < d->count; i++)
		if (d->rules[i].start_khz < d->rules[i - 1].end_khz)
			return true;
	return false;
}

static void never_allows_more(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_domain_buf *x = malloc(sizeof(*x));
	struct side *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b)),
		    *c = malloc(sizeof(*c));
	unsigned pairs = 0;

	(void)state;
	for (unsigned i = 0; i < r3_reg_db_count(db); i++) {
		const struct r3_reg_domain *da = r3_reg_db_at(db, i);

		put(a, da);
		for (unsigned j = 0; j < r3_reg_db_count(db); j += 3) {
			const struct r3_reg_domain *d = r3_reg_db_at(db, j);

			if (r3_reg_intersect(da, d, x))
				continue;
			put(b, d);
			put(c, &x->d);
			for (unsigned k = 0; k < c->n; k++) {
				if (is_off(&c->ch[k]) ||
				    c->ch[k].band == R3_REG_BAND_S1GHZ)
					continue;
				if (is_off(&a->ch[k]) || is_off(&b->ch[k]))
					fail_msg("%s & %s allow %u kHz", da->alpha2,
						 d->alpha2, c->ch[k].khz);
				if (overlaps(da) || overlaps(d))
					continue;
				assert_true(c->ch[k].power_dbm <=
					    a->ch[k].power_dbm);
				assert_true(c->ch[k].power_dbm <=
					    b->ch[k].power_dbm);
				assert_int_equal(
					(a->ch[k].flags | b->ch[k].flags) &
						BOTH & ~c->ch[k].flags,
					0);
			}
			pairs++;
		}
	}
	assert_true(pairs > 10000);
	free(x);
	free(a);
	free(b);
	free(c);
	r3_reg_db_free(db);
}

static bool same_channels(const struct side *a, const struct side *b)
{
	for (unsigned k = 0; k < a->n; k++)
		if (a->ch[k].flags != b->ch[k].flags ||
		    (!is_off(&a->ch[k]) &&
		     a->ch[k].power_dbm != b->ch[k].power_dbm))
			return false;
	return true;
}

/* A & A gives A's channels, except where overlapping rules pair with others. */
static void with_itself(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_domain_buf *x = malloc(sizeof(*x));
	struct side *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

	(void)state;
	for (unsigned i = 0; i < r3_reg_db_count(db); i++) {
		const struct r3_reg_domain *d = r3_reg_db_at(db, i);

		assert_int_equal(r3_reg_intersect(d, d, x), 0);
		assert_int_equal(x->d.dfs, d->dfs);
		put(a, d);
		put(b, &x->d);
		if (!overlaps(d) && !same_channels(a, b))
			fail_msg("%s & %s is another", d->alpha2, d->alpha2);
	}
	free(x);
	free(a);
	free(b);
	r3_reg_db_free(db);
}

static void order_does_not_matter(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_domain_buf *x = malloc(sizeof(*x)),
				 *y = malloc(sizeof(*y));
	struct side *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

	(void)state;
	for (unsigned i = 0; i < r3_reg_db_count(db); i++)
		for (unsigned j = i + 1; j < r3_reg_db_count(db); j += 5) {
			const struct r3_reg_domain *p = r3_reg_db_at(db, i);
			const struct r3_reg_domain *q = r3_reg_db_at(db, j);

			assert_int_equal(!r3_reg_intersect(p, q, x),
					 !r3_reg_intersect(q, p, y));
			assert_int_equal(x->d.dfs, y->d.dfs);
			if (!x->d.count || overlaps(p) || overlaps(q))
				continue;
			put(a, &x->d);
			put(b, &y->d);
			if (!same_channels(a, b))
				fail_msg("%s & %s depends on the order",
					 p->alpha2, q->alpha2);
		}
	free(x);
	free(y);
	free(a);
	free(b);
	r3_reg_db_free(db);
}

/* ---- hints --------------------------------------------------------------- */

#define U(cc) { .kind = R3_REG_EV_USER, .alpha2 = cc }
#define D(r, cc) { .kind = R3_REG_EV_DRIVER, .radio = r, .alpha2 = cc }
#define I(r, cc) { .kind = R3_REG_EV_IE, .radio = r, .alpha2 = cc }
#define X(r) { .kind = R3_REG_EV_DISCONNECT, .radio = r }
#define H(r, mhz) { .kind = R3_REG_EV_BEACON, .radio = r, .khz = mhz * 1000 }
#define END { .kind = R3_REG_EV_AP_STOP, .radio = 99 }

static void follows_hints(void **state)
{
	static const struct {
		const char *name;
		struct r3_reg_event ev[6];
		enum r3_reg_treatment last;
		const char *domain;
	} rows[] = {
		{ "user", { U("DE"), END }, R3_REG_TREAT_REPLACED, "DE" },
		{ "small letters", { U("de"), END }, R3_REG_TREAT_REPLACED,
		  "DE" },
		{ "same user again", { U("DE"), U("DE"), END },
		  R3_REG_TREAT_ALREADY_SET, "DE" },
		{ "user may go back to the world", { U("DE"), U("00"), END },
		  R3_REG_TREAT_REPLACED, "00" },
		{ "unknown country", { U("DE"), U("XX"), END },
		  R3_REG_TREAT_RESTORED, "00" },
		{ "first driver", { D(0, "US"), END }, R3_REG_TREAT_REPLACED,
		  "US" },
		{ "second driver, same", { D(0, "US"), D(1, "US"), END },
		  R3_REG_TREAT_ALREADY_SET, "US" },
		{ "second driver, another", { D(0, "US"), D(1, "DE"), END },
		  R3_REG_TREAT_INTERSECTED, "98" },
		{ "user after drivers", { D(0, "US"), D(1, "DE"), U("DE"), END },
		  R3_REG_TREAT_IGNORED, "98" },
		{ "user after one driver", { D(0, "US"), U("DE"), END },
		  R3_REG_TREAT_REPLACED, "DE" },
		{ "driver after user", { U("US"), D(0, "DE"), END },
		  R3_REG_TREAT_INTERSECTED, "98" },
		{ "driver says the world", { D(0, "00"), END },
		  R3_REG_TREAT_ALREADY_SET, "00" },
		{ "element replaces", { U("US"), I(0, "DE"), END },
		  R3_REG_TREAT_REPLACED, "DE" },
		{ "user narrows an element", { I(0, "DE"), U("US"), END },
		  R3_REG_TREAT_INTERSECTED, "98" },
		{ "and only once", { I(0, "DE"), U("US"), U("FR"), END },
		  R3_REG_TREAT_IGNORED, "98" },
		{ "second element", { I(0, "DE"), I(1, "US"), END },
		  R3_REG_TREAT_IGNORED, "DE" },
		{ "disconnect restores", { I(0, "DE"), X(0), END },
		  R3_REG_TREAT_RESTORED, "00" },
		{ "disconnect restores the user", { U("US"), I(0, "DE"), X(0),
						    END },
		  R3_REG_TREAT_RESTORED, "US" },
		{ "not while another is connected",
		  { I(0, "DE"), I(1, "DE"), X(0), END },
		  R3_REG_TREAT_NOTED, "DE" },
		{ "beacon", { H(0, 5180), END }, R3_REG_TREAT_NOTED, "00" },
		{ "beacon on channel 1", { H(0, 2412), END },
		  R3_REG_TREAT_IGNORED, "00" },
		{ "beacon on a radar channel", { H(0, 5260), END },
		  R3_REG_TREAT_IGNORED, "00" },
		{ "beacon again", { H(0, 5180), H(1, 5180), END },
		  R3_REG_TREAT_ALREADY_SET, "00" },
		{ "beacon where there is no channel", { H(0, 5181), END },
		  R3_REG_TREAT_IGNORED, "00" },
	};
	struct r3_reg_db *db = data_db();

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_reg_hints *h;
		struct r3_reg_effect e;

		ROW(rows[i].name);
		assert_int_equal(r3_reg_hints_new(&h, db), 0);
		assert_int_equal(r3_reg_hints_regtest(h, 0, 2), 0);
		for (unsigned n = 0; rows[i].ev[n].radio != 99; n++)
			assert_int_equal(
				r3_reg_hints_event(h, &rows[i].ev[n], &e), 0);
		assert_int_equal(e.treatment, rows[i].last);
		assert_string_equal(r3_reg_hints_global(h)->alpha2,
				    rows[i].domain);
		assert_true(strlen(e.why) > 5);
		r3_reg_hints_free(h);
	}
	r3_reg_db_free(db);
}

static void beacons_end_with_a_restore(void **state)
{
	static const struct r3_reg_event heard = H(0, 5180), left = X(0);
	struct r3_reg_db *db = data_db();
	struct r3_reg_hints *h;
	struct r3_reg_effect e;
	const struct r3_reg_channel *ch;

	(void)state;
	assert_int_equal(r3_reg_hints_new(&h, db), 0);
	assert_int_equal(r3_reg_hints_regtest(h, 0, 2), 0);
	r3_reg_hints_event(h, &heard, &e);
	assert_int_equal(e.cleared, 2);
	ch = r3_reg_hints_radio(h, 1)->ch;
	while (ch->khz != 5180000)
		ch++;
	assert_false(ch->flags & R3_REG_CH_NO_IR);
	r3_reg_hints_event(h, &left, &e);
	assert_true(ch->flags & R3_REG_CH_NO_IR);
	r3_reg_hints_free(h);
	r3_reg_db_free(db);
}

static void refuses_nonsense(void **state)
{
	static const struct r3_reg_event bad[] = {
		D(2, "US"), U("U"), U("USA"), U(""), U("..") };
	struct r3_reg_db *db = data_db();
	struct r3_reg_hints *h;
	struct r3_reg_effect e;

	(void)state;
	assert_int_equal(r3_reg_hints_new(&h, db), 0);
	assert_int_equal(r3_reg_hints_regtest(h, 0, 2), 0);
	for (size_t i = 0; i < R3_COUNT(bad); i++) {
		struct r3_reg_event ev = bad[i];

		if (i == 2)
			memcpy(ev.alpha2, "US", 2), ev.alpha2[2] = 'A';
		assert_int_equal(r3_reg_hints_event(h, &ev, &e), -EINVAL);
	}
	assert_int_equal(r3_reg_hints_regtest(h, 11, 2), -EINVAL);
	assert_int_equal(r3_reg_hints_regtest(h, 0, 15), -ENOSPC);
	r3_reg_hints_free(h);
	r3_reg_db_free(db);
}

/* ---- radar --------------------------------------------------------------- */

static void radar_in_virtual_time(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned n = r3_reg_channels(ch, false);
	struct r3_reg_chandef on, free_one;
	struct r3_reg_dfs dfs;

	(void)state;
	r3_reg_derive(r3_reg_db_find(db, "US"), ch, n);
	r3_reg_dfs_init(&dfs, R3_REG_DFS_FCC, ch, n);
	r3_reg_chandef_make(5260000, R3_REG_W80, 0, &on);
	r3_reg_chandef_make(5180000, R3_REG_W20, 0, &free_one);
	ROW("no check is needed at 5180");
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &free_one), -EALREADY);
	ROW("5260 can't be used before its check");
	assert_int_equal(r3_reg_dfs_operate(&dfs, &on), -EINVAL);
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on), 0);
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on), -EBUSY);
	ROW("59.999 s are not enough");
	assert_int_equal(r3_reg_dfs_advance(&dfs, 59999), R3_REG_DFS_EV_NONE);
	assert_int_equal(r3_reg_dfs_operate(&dfs, &on), -EINVAL);
	ROW("60 s are");
	assert_int_equal(r3_reg_dfs_next_ms(&dfs), 1);
	assert_int_equal(r3_reg_dfs_advance(&dfs, 60000),
			 R3_REG_DFS_EV_CAC_DONE);
	assert_int_equal(r3_reg_dfs_operate(&dfs, &on), 0);
	ROW("a radar ends it");
	assert_int_equal(r3_reg_dfs_radar(&dfs, &on), R3_REG_DFS_EV_RADAR);
	assert_false(dfs.operating);
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on), -EINVAL);
	ROW("for 30 minutes");
	assert_int_equal(r3_reg_dfs_advance(&dfs, 60000 + R3_REG_NOP_MS - 1),
			 R3_REG_DFS_EV_NONE);
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on), -EINVAL);
	assert_int_equal(r3_reg_dfs_advance(&dfs, 60000 + R3_REG_NOP_MS),
			 R3_REG_DFS_EV_NOP_OVER);
	assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on), 0);
	ROW("a radar during the check");
	assert_int_equal(r3_reg_dfs_radar(&dfs, &on),
			 R3_REG_DFS_EV_CAC_ABORTED);
	assert_int_equal(r3_reg_dfs_next_ms(&dfs), R3_REG_NOP_MS);
	r3_reg_db_free(db);
}

static void leaving(void **state)
{
	static const struct {
		const char *name;
		enum r3_reg_dfs_region region;
		int again; /* of a second check */
	} rows[] = {
		{ "ETSI keeps it available", R3_REG_DFS_ETSI, -EALREADY },
		{ "FCC wants a new check", R3_REG_DFS_FCC, 0 },
		{ "JP wants a new check", R3_REG_DFS_JP, 0 },
	};
	struct r3_reg_db *db = data_db();

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
		unsigned n = r3_reg_channels(ch, false);
		struct r3_reg_chandef on;
		struct r3_reg_dfs dfs;

		ROW(rows[i].name);
		r3_reg_derive(r3_reg_db_find(db, "US"), ch, n);
		r3_reg_dfs_init(&dfs, rows[i].region, ch, n);
		r3_reg_chandef_make(5500000, R3_REG_W20, 0, &on);
		r3_reg_dfs_start_cac(&dfs, &on);
		r3_reg_dfs_advance(&dfs, 60000);
		assert_int_equal(r3_reg_dfs_operate(&dfs, &on), 0);
		r3_reg_dfs_leave(&dfs);
		assert_int_equal(r3_reg_dfs_start_cac(&dfs, &on),
				 rows[i].again);
	}
	r3_reg_db_free(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_allows_more),
		cmocka_unit_test(with_itself),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(follows_hints),
		cmocka_unit_test(beacons_end_with_a_restore),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(radar_in_virtual_time),
		cmocka_unit_test(leaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
