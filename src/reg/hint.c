// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hint.c - who may choose the regulatory domain: a state machine
 *
 *	event \ last request by	core	user	driver	country element
 *	user			replace	replace	replace	intersect
 *	driver			replace	inter.	inter.	intersect
 *	country element		replace	replace	replace	ignored
 *	disconnect, all idle	restore	restore	restore	restore
 *
 * with exceptions: the same country again is already set; a user can't change
 * an intersection ("98") any more.  A radio uses its own domain when it has
 * one, unless a user or a country element spoke last.
 * Source: net/wireless/reg.c of Linux 6.1.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "reg_priv.h"

#define BEACONS_MAX 64u

struct r3_reg_hints {
	const struct r3_reg_db *db;
	struct r3_reg_domain_buf global;
	struct {
		enum r3_reg_initiator by;
		char alpha2[3];
		bool intersect;
		unsigned radio;
	} last;
	char user[3]; /* what a user wants after a restore; "97": nothing */
	uint32_t beacon_khz[BEACONS_MAX];
	unsigned beacons;
	struct r3_reg_radio *radio[R3_REG_RADIOS_MAX];
	unsigned count;
};

static int said(struct r3_reg_effect *e, enum r3_reg_treatment t,
		const char *fmt, ...) R3_PRINTF(3, 4);

static int said(struct r3_reg_effect *e, enum r3_reg_treatment t,
		const char *fmt, ...)
{
	va_list ap;

	e->treatment = t;
	va_start(ap, fmt);
	vsnprintf(e->why, sizeof(e->why), fmt, ap);
	va_end(ap);
	return 0;
}

static bool is_world(const char *alpha2)
{
	return !strcmp(alpha2, "00");
}

static bool differs(const struct r3_reg_hints *h, const char *alpha2)
{
	return strcmp(h->global.d.alpha2, alpha2) != 0;
}

static void set_last(struct r3_reg_hints *h, enum r3_reg_initiator by,
		     const char *alpha2, unsigned radio, bool intersect)
{
	h->last.by = by;
	memcpy(h->last.alpha2, alpha2, 3);
	h->last.radio = radio;
	h->last.intersect = intersect;
}

const struct r3_reg_domain *r3_reg_hints_domain(const struct r3_reg_hints *h,
						unsigned radio)
{
	const struct r3_reg_radio *r = h->radio[radio];

	if (r->has_own && h->last.by != R3_REG_BY_IE &&
	    h->last.by != R3_REG_BY_USER)
		return &r->own.d;
	return &h->global.d;
}

/* ---- a radio follows ----------------------------------------------------- */

static bool world_roaming(const struct r3_reg_hints *h,
			  const struct r3_reg_radio *r)
{
	return is_world(h->global.d.alpha2) ||
	       (r->has_own && is_world(r->own.d.alpha2)) ||
	       (h->last.by != R3_REG_BY_IE && (r->flags & R3_REG_CUSTOM));
}

/* Somebody may send there already: passive listening is no longer required. */
static unsigned beacon_heard(const struct r3_reg_hints *h,
			     struct r3_reg_radio *r, uint32_t khz)
{
	unsigned cleared = 0;

	for (unsigned i = 0; i < r->count; i++) {
		struct r3_reg_channel *ch = &r->ch[i];

		if (ch->khz != khz || ch->beacon_found)
			continue;
		ch->beacon_found = true;
		if (!world_roaming(h, r) || !(ch->flags & R3_REG_CH_NO_IR))
			continue;
		ch->flags &= ~(uint32_t)R3_REG_CH_NO_IR;
		cleared++;
	}
	return cleared;
}

/* A radio that waits for its own domain, or brought one, does not follow. */
static bool follows(const struct r3_reg_hints *h, const struct r3_reg_radio *r)
{
	bool strict = (r->flags & R3_REG_STRICT) && !(r->flags & R3_REG_CUSTOM);

	if (h->last.by == R3_REG_BY_CORE && (r->flags & R3_REG_CUSTOM))
		return false;
	return !(strict && !r->has_own && h->last.by != R3_REG_BY_IE &&
		 !is_world(h->last.alpha2));
}

static void update_radio(struct r3_reg_hints *h, unsigned n)
{
	struct r3_reg_radio *r = h->radio[n];
	const struct r3_reg_domain *d = r3_reg_hints_domain(h, n);
	struct reg_apply how = {
		.keep_out_of_band = h->last.by == R3_REG_BY_IE,
		.strict = h->last.by == R3_REG_BY_DRIVER &&
			  h->last.radio == n && (r->flags & R3_REG_STRICT),
	};

	if (!follows(h, r))
		return;
	for (unsigned i = 0; i < r->count; i++)
		reg_apply_channel(d, &r->ch[i], &how);
	for (unsigned i = 0; i < h->beacons; i++)
		beacon_heard(h, r, h->beacon_khz[i]);
	reg_ht40_pass(r->has_own ? &r->own.d : NULL, r->ch, r->count);
}

static void update_all(struct r3_reg_hints *h)
{
	for (unsigned i = 0; i < h->count; i++)
		update_radio(h, i);
}

/* ---- requests ------------------------------------------------------------ */

static void core_hint(struct r3_reg_hints *h)
{
	set_last(h, R3_REG_BY_CORE, "00", R3_REG_RADIOS_MAX, false);
	r3_reg_domain_copy(&h->global, r3_reg_db_find(h->db, "00"));
	update_all(h);
}

static int user_intersects(struct r3_reg_hints *h,
			   const struct r3_reg_domain *d,
			   struct r3_reg_effect *e)
{
	struct r3_reg_domain_buf *both = malloc(sizeof(*both));
	int err = both ? r3_reg_intersect(d, &h->global.d, both) : -ENOMEM;

	if (!err) {
		e->region_lost = h->global.d.dfs != both->d.dfs;
		r3_reg_domain_copy(&h->global, &both->d);
	}
	free(both);
	return err;
}

/*
 * Nobody answered for an unknown country: after 3.1 s the kernel forgets the
 * user's choice and goes back to the world.
 */
static void restore(struct r3_reg_hints *h, bool forget_user);

static int unknown_country(struct r3_reg_hints *h, const char *alpha2,
			   struct r3_reg_effect *e)
{
	restore(h, true);
	e->domain_changed = true;
	return said(e, R3_REG_TREAT_RESTORED,
		    "the database has no country %s: after 3.1 s without an answer the kernel goes back to the world domain",
		    alpha2);
}

static int user_hint(struct r3_reg_hints *h, const char *alpha2,
		     struct r3_reg_effect *e)
{
	const struct r3_reg_domain *d = r3_reg_db_find(h->db, alpha2);
	bool intersect = h->last.by == R3_REG_BY_IE;

	if (h->last.by == R3_REG_BY_USER && h->last.intersect)
		return said(e, R3_REG_TREAT_IGNORED,
			    "the domain is already the intersection of an access point's country and a user's wish; disconnect to be free again");
	if (!intersect && differs(h, h->last.alpha2))
		return said(e, R3_REG_TREAT_IGNORED,
			    "drivers of different countries (last: %s) were intersected to %s; the kernel ignores users from then on, until a restore",
			    h->last.alpha2, h->global.d.alpha2);
	if (!intersect && !differs(h, alpha2))
		return said(e, R3_REG_TREAT_ALREADY_SET, "%s is in force",
			    alpha2);
	if (!d)
		return unknown_country(h, alpha2, e);
	memcpy(h->user, alpha2, 3);
	set_last(h, R3_REG_BY_USER, alpha2, R3_REG_RADIOS_MAX, intersect);
	if (!differs(h, alpha2))
		return said(e, R3_REG_TREAT_ALREADY_SET, "%s is in force",
			    alpha2);
	if (!intersect) {
		r3_reg_domain_copy(&h->global, d);
	} else if (user_intersects(h, d, e)) {
		restore(h, true);
		e->domain_changed = true;
		return said(e, R3_REG_TREAT_RESTORED,
			    "%s and the country in force have nothing in common",
			    alpha2);
	}
	update_all(h);
	e->domain_changed = true;
	if (intersect)
		return said(e, R3_REG_TREAT_INTERSECTED,
			    "an access point announced a country: a user may only narrow it");
	return said(e, R3_REG_TREAT_REPLACED, "a user chose %s", alpha2);
}

/* The radio takes the domain in force as its own. */
static void own_copy(struct r3_reg_hints *h, struct r3_reg_radio *r,
		     const struct r3_reg_domain *d)
{
	(void)h;
	r3_reg_domain_copy(&r->own, d);
	r->has_own = true;
}

static int driver_same(struct r3_reg_hints *h, unsigned n, const char *alpha2,
		       struct r3_reg_effect *e)
{
	own_copy(h, h->radio[n], &h->global.d);
	set_last(h, R3_REG_BY_DRIVER, alpha2, n, false);
	if (h->radio[n]->flags & R3_REG_STRICT)
		update_radio(h, n);
	return said(e, R3_REG_TREAT_ALREADY_SET,
		    "%s is in force; the radio keeps a copy", alpha2);
}

static int driver_hint(struct r3_reg_hints *h, unsigned n, const char *alpha2,
		       struct r3_reg_effect *e)
{
	struct r3_reg_radio *r = h->radio[n];
	const struct r3_reg_domain *d = r3_reg_db_find(h->db, alpha2);
	bool first = h->last.by == R3_REG_BY_CORE;

	r->flags &= ~(unsigned)R3_REG_CUSTOM;
	if ((first || h->last.by == R3_REG_BY_DRIVER) && !differs(h, alpha2))
		return driver_same(h, n, alpha2, e);
	if (!first)
		own_copy(h, r, &h->global.d);
	if (!d)
		return unknown_country(h, alpha2, e);
	set_last(h, R3_REG_BY_DRIVER, alpha2, n, !first);
	if (is_world(alpha2)) {
		restore(h, false);
		e->domain_changed = true;
		return said(e, R3_REG_TREAT_RESTORED,
			    "a driver may not ask for the world domain");
	}
	if (!differs(h, alpha2))
		return said(e, R3_REG_TREAT_ALREADY_SET,
			    "%s is in force; the radio keeps a copy", alpha2);
	e->domain_changed = true;
	if (!first && user_intersects(h, d, e)) {
		restore(h, false);
		return said(e, R3_REG_TREAT_RESTORED,
			    "%s and the domain in force have nothing in common",
			    alpha2);
	}
	own_copy(h, r, d);
	if (first)
		r3_reg_domain_copy(&h->global, d);
	update_all(h);
	if (first)
		return said(e, R3_REG_TREAT_REPLACED,
			    "radio %u's driver knows its country, %s", n,
			    alpha2);
	return said(e, R3_REG_TREAT_INTERSECTED,
		    "radio %u keeps %s for itself; all others get what it has in common with the domain in force",
		    n, alpha2);
}

static int ie_hint(struct r3_reg_hints *h, unsigned n, const char *alpha2,
		   struct r3_reg_effect *e)
{
	const struct r3_reg_domain *d = r3_reg_db_find(h->db, alpha2);

	h->radio[n]->connected = true;
	if (h->last.by == R3_REG_BY_IE)
		return said(e, R3_REG_TREAT_IGNORED,
			    "the country element of an earlier access point (%s) counts until all radios are idle",
			    h->last.alpha2);
	if (!isalpha((unsigned char)alpha2[0]) ||
	    !isalpha((unsigned char)alpha2[1]))
		return said(e, R3_REG_TREAT_IGNORED,
			    "%s is not the code of a country", alpha2);
	if (!d)
		return unknown_country(h, alpha2, e);
	set_last(h, R3_REG_BY_IE, alpha2, n, false);
	e->domain_changed = differs(h, alpha2);
	r3_reg_domain_copy(&h->global, d);
	update_all(h);
	return said(e, R3_REG_TREAT_REPLACED,
		    "radio %u joined an access point that announces %s", n,
		    alpha2);
}

static bool all_idle(const struct r3_reg_hints *h)
{
	for (unsigned i = 0; i < h->count; i++)
		if (h->radio[i]->connected || h->radio[i]->beaconing)
			return false;
	return true;
}

static void restore(struct r3_reg_hints *h, bool forget_user)
{
	struct r3_reg_effect ignored = { 0 };
	char user[3];

	if (forget_user)
		memcpy(h->user, "97", 3);
	memcpy(user, h->user, 3);
	h->beacons = 0;
	for (unsigned i = 0; i < h->count; i++) {
		struct r3_reg_radio *r = h->radio[i];

		if (!(r->flags & R3_REG_CUSTOM))
			continue;
		for (unsigned n = 0; n < r->count; n++) {
			r->ch[n].flags = r->ch[n].own_flags;
			r->ch[n].power_dbm = r->ch[n].own_power_dbm;
			r->ch[n].beacon_found = false;
		}
	}
	core_hint(h);
	if (isalpha((unsigned char)user[0]) && isalpha((unsigned char)user[1]))
		user_hint(h, user, &ignored);
}

static int disconnect(struct r3_reg_hints *h, unsigned n,
		      struct r3_reg_effect *e)
{
	char before[3];

	h->radio[n]->connected = false;
	if (!all_idle(h))
		return said(e, R3_REG_TREAT_NOTED,
			    "another interface is still in use: the domain stays");
	memcpy(before, h->global.d.alpha2, 3);
	restore(h, false);
	e->domain_changed = differs(h, before);
	return said(e, R3_REG_TREAT_RESTORED,
		    "all radios are idle: world domain, then the user's choice (%s)",
		    h->user[0] == '9' ? "none" : h->user);
}

static int beacon(struct r3_reg_hints *h, unsigned n, uint32_t khz,
		  struct r3_reg_effect *e)
{
	struct r3_reg_radio *r = h->radio[n];
	const struct r3_reg_channel *ch = NULL;

	for (unsigned i = 0; i < r->count; i++)
		if (r->ch[i].khz == khz)
			ch = &r->ch[i];
	if (!ch)
		return said(e, R3_REG_TREAT_IGNORED,
			    "radio %u has no channel %u kHz", n, khz);
	if (ch->beacon_found)
		return said(e, R3_REG_TREAT_ALREADY_SET,
			    "a beacon was heard there before");
	if (ch->flags & R3_REG_CH_RADAR)
		return said(e, R3_REG_TREAT_IGNORED,
			    "a beacon on a radar channel proves nothing");
	if (ch->band == R3_REG_BAND_2GHZ && khz != 2467000 && khz != 2472000 &&
	    khz != 2484000)
		return said(e, R3_REG_TREAT_IGNORED,
			    "channels 1 to 11 need no beacon hint");
	for (unsigned i = 0; i < h->count; i++)
		e->cleared += beacon_heard(h, h->radio[i], khz);
	if (h->beacons < BEACONS_MAX)
		h->beacon_khz[h->beacons++] = khz;
	return said(e, R3_REG_TREAT_NOTED,
		    "radio %u heard a beacon at %u MHz: %u channel(s) lost no-IR",
		    n, khz / REG_MHZ, e->cleared);
}

static bool code_of(const char *in, char *out)
{
	if (!isalnum((unsigned char)in[0]) || !isalnum((unsigned char)in[1]) ||
	    in[2])
		return false;
	out[0] = (char)toupper((unsigned char)in[0]);
	out[1] = (char)toupper((unsigned char)in[1]);
	out[2] = '\0';
	return true;
}

int r3_reg_hints_event(struct r3_reg_hints *h, const struct r3_reg_event *ev,
		       struct r3_reg_effect *effect)
{
	bool coded = ev->kind == R3_REG_EV_USER ||
		     ev->kind == R3_REG_EV_DRIVER || ev->kind == R3_REG_EV_IE;
	char alpha2[3];

	memset(effect, 0, sizeof(*effect));
	if (coded && !code_of(ev->alpha2, alpha2))
		return -EINVAL;
	if (ev->kind != R3_REG_EV_USER && ev->radio >= h->count)
		return -EINVAL;
	switch (ev->kind) {
	case R3_REG_EV_USER:
		return user_hint(h, alpha2, effect);
	case R3_REG_EV_DRIVER:
		return driver_hint(h, ev->radio, alpha2, effect);
	case R3_REG_EV_IE:
		return ie_hint(h, ev->radio, alpha2, effect);
	case R3_REG_EV_BEACON:
		return beacon(h, ev->radio, ev->khz, effect);
	case R3_REG_EV_DISCONNECT:
		return disconnect(h, ev->radio, effect);
	case R3_REG_EV_AP_START:
	case R3_REG_EV_AP_STOP:
		h->radio[ev->radio]->beaconing = ev->kind == R3_REG_EV_AP_START;
		return said(effect, R3_REG_TREAT_NOTED, "radio %u %s beacons",
			    ev->radio,
			    ev->kind == R3_REG_EV_AP_START ? "sends" :
							     "stops its");
	}
	return -EINVAL;
}

/* ---- the object ---------------------------------------------------------- */

int r3_reg_hints_new(struct r3_reg_hints **out, const struct r3_reg_db *db)
{
	struct r3_reg_hints *h;

	if (!r3_reg_db_find(db, "00"))
		return -ENOENT;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->db = db;
	memcpy(h->user, "97", 3);
	core_hint(h);
	*out = h;
	return 0;
}

void r3_reg_hints_free(struct r3_reg_hints *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->count; i++)
		free(h->radio[i]);
	free(h);
}

int r3_reg_hints_add_radio(struct r3_reg_hints *h, unsigned flags,
			   const struct r3_reg_domain *custom,
			   const struct r3_reg_channel *ch, unsigned count)
{
	struct r3_reg_radio *r;

	if (h->count == R3_REG_RADIOS_MAX || count > R3_REG_CHANNELS_MAX)
		return -ENOSPC;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->flags = flags;
	r->count = ch ? count : r3_reg_channels(r->ch, false);
	if (ch)
		memcpy(r->ch, ch, count * sizeof(*ch));
	if (custom) {
		r->flags |= R3_REG_CUSTOM;
		reg_apply_custom(custom, r->ch, r->count);
		own_copy(h, r, custom);
		/* registration makes what stands there the radio's own */
		for (unsigned i = 0; i < r->count; i++) {
			r->ch[i].own_flags = r->ch[i].flags;
			r->ch[i].own_power_dbm = r->ch[i].power_dbm;
		}
	}
	h->radio[h->count] = r;
	update_radio(h, h->count);
	return (int)h->count++;
}

int r3_reg_hints_set_strict(struct r3_reg_hints *h, unsigned radio)
{
	if (radio >= h->count)
		return -EINVAL;
	h->radio[radio]->flags |= R3_REG_STRICT;
	return 0;
}

unsigned r3_reg_hints_radios(const struct r3_reg_hints *h)
{
	return h->count;
}

struct r3_reg_radio *r3_reg_hints_radio(struct r3_reg_hints *h, unsigned i)
{
	return i < h->count ? h->radio[i] : NULL;
}

const struct r3_reg_domain *r3_reg_hints_global(const struct r3_reg_hints *h)
{
	return &h->global.d;
}

enum r3_reg_initiator r3_reg_hints_last(const struct r3_reg_hints *h)
{
	return h->last.by;
}
