/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reg.h - 802.11 regulatory domains: the rules, what follows from them for a
 * radio's channels, and who may change them
 *
 *	regulatory.db --parse--> domain --derive--> channels --table--> verdict
 *	hints (core, user, driver, country element, beacon) choose the domain
 *
 * Decisions are those of Linux 6.1's cfg80211, to the bit.  Frequencies and
 * widths are in kHz, powers in mBm (1/100 dBm) or dBm as the name says, times
 * in ms.  Nothing here reads a clock or a file, except r3_reg_db_open().
 *
 * Source: net/wireless/reg.c and chan.c for behaviour, linux/nl80211.h for the
 * names, wireless-regdb for the file format.
 */
#ifndef RING3_REG_H
#define RING3_REG_H

#include <stdio.h>

#include "ring3/base.h"

#define R3_REG_DB_MAX	     (256u * 1024) /* 16-bit pointers to 4 bytes */
#define R3_REG_COUNTRIES_MAX 1024u
#define R3_REG_RULES_MAX     128u   /* in one domain; nl80211's limit */
#define R3_REG_RULES_TOTAL   16384u /* in one database, counted per domain */
#define R3_REG_WMM_MAX	     256u
#define R3_REG_CHANNELS_MAX  256u /* of one radio */
#define R3_REG_RADIOS_MAX    16u
#define R3_REG_REASON_MAX    256u
#define R3_REG_CAC_MS	     60000u   /* where a rule says nothing */
#define R3_REG_NOP_MS	     1800000u /* 30 minutes after a radar */
#define R3_REG_GRACE_MS	     60000u   /* to leave a channel gone illegal */

enum r3_reg_dfs_region {
	R3_REG_DFS_UNSET,
	R3_REG_DFS_FCC,
	R3_REG_DFS_ETSI,
	R3_REG_DFS_JP,
};

/* Flags of a rule: nl80211_reg_rule_flags. */
enum {
	R3_REG_NO_OFDM = 1u << 0,
	R3_REG_NO_CCK = 1u << 1,
	R3_REG_NO_INDOOR = 1u << 2,
	R3_REG_NO_OUTDOOR = 1u << 3,
	R3_REG_DFS = 1u << 4,
	R3_REG_PTP_ONLY = 1u << 5,
	R3_REG_PTMP_ONLY = 1u << 6,
	R3_REG_NO_IR = 1u << 7,
	R3_REG_NO_IBSS = 1u << 8, /* old name of NO_IR */
	R3_REG_AUTO_BW = 1u << 11,
	R3_REG_IR_CONCURRENT = 1u << 12,
	R3_REG_NO_HT40MINUS = 1u << 13,
	R3_REG_NO_HT40PLUS = 1u << 14,
	R3_REG_NO_80MHZ = 1u << 15,
	R3_REG_NO_160MHZ = 1u << 16,
	R3_REG_NO_320MHZ = 1u << 18,
};
/* What regulatory.db can store. */
#define R3_REG_DB_FLAGS                                              \
	(R3_REG_NO_OFDM | R3_REG_NO_OUTDOOR | R3_REG_DFS | R3_REG_NO_IR | \
	 R3_REG_AUTO_BW)

/* Flags of a channel. */
enum {
	R3_REG_CH_DISABLED = 1u << 0,
	R3_REG_CH_NO_IR = 1u << 1,
	R3_REG_CH_RADAR = 1u << 2,
	R3_REG_CH_INDOOR = 1u << 3,
	R3_REG_CH_NO_OFDM = 1u << 4,
	R3_REG_CH_IR_CONCURRENT = 1u << 5,
	R3_REG_CH_NO_10 = 1u << 6,
	R3_REG_CH_NO_20 = 1u << 7,
	R3_REG_CH_NO_40MINUS = 1u << 8,
	R3_REG_CH_NO_40PLUS = 1u << 9,
	R3_REG_CH_NO_80 = 1u << 10,
	R3_REG_CH_NO_160 = 1u << 11,
	R3_REG_CH_NO_320 = 1u << 12,
	R3_REG_CH_S1G_1 = 1u << 13, /* the one S1G width that fits here, MHz */
	R3_REG_CH_S1G_2 = 1u << 14,
	R3_REG_CH_S1G_4 = 1u << 15,
	R3_REG_CH_S1G_8 = 1u << 16,
	R3_REG_CH_S1G_16 = 1u << 17,
};
#define R3_REG_CH_NO_40 (R3_REG_CH_NO_40MINUS | R3_REG_CH_NO_40PLUS)

/* Numbered as in nl80211. */
enum r3_reg_band {
	R3_REG_BAND_2GHZ,
	R3_REG_BAND_5GHZ,
	R3_REG_BAND_60GHZ,
	R3_REG_BAND_6GHZ,
	R3_REG_BAND_S1GHZ,
	R3_REG_BANDS,
};

struct r3_reg_wmm_ac {
	uint16_t cw_min, cw_max;
	uint8_t aifsn;
	uint32_t txop_us;
};

/* Limits of the access categories: voice, video, best effort, background. */
struct r3_reg_wmm {
	struct r3_reg_wmm_ac client[4], ap[4];
};

struct r3_reg_rule {
	uint32_t start_khz, end_khz, max_bw_khz;
	uint32_t flags; /* R3_REG_... */
	int32_t eirp_mbm;
	int32_t gain_mbi;
	uint32_t cac_ms; /* 0: R3_REG_CAC_MS */
	uint16_t wmm;	 /* 0: none, else 1 + index in the domain's wmm */
};

/* A domain; who made it owns what it points to. */
struct r3_reg_domain {
	char alpha2[3]; /* "DE"; "00" world, "98" intersection, "99" custom */
	uint8_t dfs;	/* enum r3_reg_dfs_region */
	uint16_t count;
	const struct r3_reg_rule *rules;
	const struct r3_reg_wmm *wmm;
};

/* A domain with room for its own rules. */
struct r3_reg_domain_buf {
	struct r3_reg_domain d;
	struct r3_reg_rule rules[R3_REG_RULES_MAX];
	struct r3_reg_wmm wmm[R3_REG_RULES_MAX];
};

/* Why something was refused, and where. */
struct r3_reg_err {
	size_t offset;		/* bytes, for a binary */
	unsigned line, column;	/* from 1, for a text; 0: not a text */
	char reason[R3_REG_REASON_MAX];
};

/* ---- the database ------------------------------------------------------- */

struct r3_reg_db;

/**
 * r3_reg_db_parse() - a database from its bytes
 * @bytes: copied
 * @err:   written on failure; may be NULL
 *
 * Everything that any country refers to is checked here, so nothing later can
 * fail.  The object is immutable: any number of threads may use it.
 * Return: 0, -EPROTO (not a database: @err says where), -ENOMEM.
 */
int r3_reg_db_parse(struct r3_reg_db **out, const void *bytes, size_t len,
		    struct r3_reg_err *err);
void r3_reg_db_free(struct r3_reg_db *db);

unsigned r3_reg_db_count(const struct r3_reg_db *db);
const struct r3_reg_domain *r3_reg_db_at(const struct r3_reg_db *db,
					 unsigned i);
/* By country code, either case; NULL when the database has no such. */
const struct r3_reg_domain *r3_reg_db_find(const struct r3_reg_db *db,
					   const char *alpha2);
/* The bytes it was made of, for a hash or a comparison. */
struct r3_span r3_reg_db_bytes(const struct r3_reg_db *db);
/* sha256 of the bytes in hexadecimal; "" unless r3_reg_db_open() made it. */
const char *r3_reg_db_hash(const struct r3_reg_db *db);

#define R3_REG_CERTS_MAX 64u

/* Certificates that may sign a database. */
struct r3_reg_trust;

/**
 * r3_reg_trust_new() - certificates, those of Debian's wireless-regdb at first
 * @path: a PEM or DER file, or a folder of them, used instead; NULL for those
 *        built in
 * Return: 0, -ENOENT, -EINVAL (no certificate in it; @err says which file).
 */
int r3_reg_trust_new(struct r3_reg_trust **out, const char *path,
		     struct r3_reg_err *err);
void r3_reg_trust_free(struct r3_reg_trust *trust);
unsigned r3_reg_trust_count(const struct r3_reg_trust *trust);

/**
 * r3_reg_verify() - is this the signature of a trusted certificate?
 * @sig:    detached PKCS#7, DER
 * @signer: the certificate's subject, when it is; may be NULL
 * Return: 0, -EKEYREJECTED (not valid), -ENOKEY (valid form, nobody trusted
 * signed it), -EPROTO (no PKCS#7).
 */
int r3_reg_verify(const struct r3_reg_trust *trust, const void *bytes,
		  size_t len, const void *sig, size_t sig_len, char *signer,
		  size_t signer_max, struct r3_reg_err *err);

/* How r3_reg_db_open() finds and judges a database. */
struct r3_reg_source {
	const char *db;	   /* NULL: the installed one */
	const char *sig;   /* NULL: @db with ".p7s", or its alternative */
	const char *certs; /* NULL: those built in */
	bool unsigned_ok;  /* don't look at the signature at all */
};

/**
 * r3_reg_db_open() - read, verify, parse
 * Return: 0, what open() or read() said, or what r3_reg_verify() and
 * r3_reg_db_parse() did.
 */
int r3_reg_db_open(struct r3_reg_db **out, const struct r3_reg_source *source,
		   struct r3_reg_err *err);

/**
 * r3_reg_compile() - db.txt to regulatory.db
 * @out: malloc()ed
 * The bytes are those that wireless-regdb's db2fw.py makes of the same text.
 * Return: 0, -EINVAL (@err has line and column), -ENOMEM.
 */
int r3_reg_compile(const char *text, size_t len, uint8_t **out,
		   size_t *out_len, struct r3_reg_err *err);

/* The other way; r3_reg_compile() of what it writes gives the same bytes. */
int r3_reg_decompile(const struct r3_reg_db *db, FILE *out);

/* ---- what rules mean for a channel -------------------------------------- */

enum r3_reg_match {
	R3_REG_MATCH,	  /* one rule holds it */
	R3_REG_ADJACENT,  /* two that touch hold it together */
	R3_REG_NO_FIT,	  /* rules near by, none fits (EINVAL in cfg80211) */
	R3_REG_NOT_BAND, /* no rule in this band at all (ERANGE) */
};

struct r3_reg_found {
	enum r3_reg_match match;
	int rule, rule2; /* indexes; -1 */
	uint32_t bw_khz; /* the width that was fitted */
};

/**
 * r3_reg_find() - the rule that decides about a channel
 * @khz: its centre; up to 1 GHz, less than 20 MHz will do, down to 1
 * The first rule in file order that holds 20 MHz there.
 */
struct r3_reg_found r3_reg_find(const struct r3_reg_domain *d, uint32_t khz);

/* The width a rule grants, AUTO-BW counted: kHz. */
uint32_t r3_reg_rule_width(const struct r3_reg_domain *d, unsigned rule);

enum r3_reg_dfs_state {
	R3_REG_DFS_USABLE,
	R3_REG_DFS_UNAVAILABLE,
	R3_REG_DFS_AVAILABLE,
};

/* A channel of a radio. */
struct r3_reg_channel {
	uint32_t khz; /* centre */
	uint8_t band; /* enum r3_reg_band */
	uint8_t dfs;  /* enum r3_reg_dfs_state */
	bool beacon_found;
	int16_t power_dbm; /* what may be sent, EIRP */
	int16_t own_power_dbm; /* the radio's own limit; 0: none */
	uint32_t flags;	   /* R3_REG_CH_... */
	uint32_t own_flags; /* the radio's own */
	uint32_t cac_ms;
	uint64_t dfs_since_ms;
};

/**
 * r3_reg_channels() - the channels that exist, ascending within a band
 * @all: false: those of mac80211_hwsim, which the kernel's dumps show; true:
 *       also 4.9 and 60 GHz
 * Return: how many, at most R3_REG_CHANNELS_MAX.
 */
unsigned r3_reg_channels(struct r3_reg_channel *ch, bool all);

/**
 * r3_reg_derive() - flags and power of each channel in a domain
 * @ch: khz, band, own_flags and own_power_dbm are read, the rest is written
 */
void r3_reg_derive(const struct r3_reg_domain *d, struct r3_reg_channel *ch,
		   unsigned count);

/* The WMM limits that hold on a channel; NULL for none. */
const struct r3_reg_wmm *r3_reg_wmm_at(const struct r3_reg_domain *d,
				       const struct r3_reg_channel *ch);

/* The result of a driver's domain and the one in force; -EINVAL when empty. */
int r3_reg_intersect(const struct r3_reg_domain *with,
		     const struct r3_reg_domain *in_force,
		     struct r3_reg_domain_buf *out);

/* cfg80211's is_valid_rd(); a reason in @err, which may be NULL. */
int r3_reg_domain_check(const struct r3_reg_domain *d, struct r3_reg_err *err);
/* A copy with its own rules. */
void r3_reg_domain_copy(struct r3_reg_domain_buf *to,
			const struct r3_reg_domain *from);

/* ---- a chosen channel --------------------------------------------------- */

enum r3_reg_width {
	R3_REG_W20_NOHT,
	R3_REG_W20,
	R3_REG_W40,
	R3_REG_W80,
	R3_REG_W80P80,
	R3_REG_W160,
	R3_REG_W320,
	R3_REG_W5,
	R3_REG_W10,
	R3_REG_W1,
	R3_REG_W2,
	R3_REG_W4,
	R3_REG_W8,
	R3_REG_W16,
	R3_REG_W2160,
	R3_REG_WIDTHS,
};

struct r3_reg_chandef {
	uint32_t control_khz;
	uint32_t center1_khz, center2_khz; /* center2 only for 80+80 */
	enum r3_reg_width width;
};

/* What somebody wants to do there. */
enum r3_reg_use {
	R3_REG_USE_STATION, /* follow an access point */
	R3_REG_USE_BEACON,  /* start a network: AP, IBSS, mesh */
	R3_REG_USE_SCAN,    /* send probe requests */
};

enum r3_reg_verdict {
	R3_REG_OK,
	R3_REG_OK_AFTER_CAC, /* listen first: cac_ms in the result */
	R3_REG_BAD_CHANDEF,  /* such a channel does not exist in 802.11 */
	R3_REG_NO_CHANNEL,   /* the radio has no such 20 MHz channel */
	R3_REG_IS_DISABLED,
	R3_REG_IS_NO_IR,
	R3_REG_IS_RADAR,     /* non-occupancy, or radar use not asked for */
	R3_REG_IS_TOO_WIDE,
	R3_REG_IS_INDOOR,
	R3_REG_IS_TOO_STRONG,
};

struct r3_reg_ask {
	struct r3_reg_chandef def;
	enum r3_reg_use use;
	bool outdoor;	  /* INDOOR-only channels are refused */
	bool dfs_capable; /* it can do CAC and radar detection */
	bool has_power;
	int power_mbm; /* EIRP */
};

struct r3_reg_answer {
	enum r3_reg_verdict verdict;
	uint32_t bad_khz;     /* the 20 MHz channel that decided, or 0 */
	uint32_t cac_ms;      /* longest of all subchannels */
	int power_dbm;	      /* lowest of all subchannels */
	uint32_t flags;	      /* or of all subchannels */
};

const char *r3_reg_verdict_name(enum r3_reg_verdict v);
uint32_t r3_reg_width_khz(enum r3_reg_width w); /* of 80+80: 80,000 */
const char *r3_reg_width_name(enum r3_reg_width w);

/**
 * r3_reg_judge() - may this be done on these channels?
 * Tests every 20 MHz subchannel and the width flag of the control channel, as
 * cfg80211_chandef_usable() and cfg80211_reg_can_beacon() do.
 */
struct r3_reg_answer r3_reg_judge(const struct r3_reg_channel *ch,
				  unsigned count, const struct r3_reg_ask *ask);

/**
 * r3_reg_chandef_make() - the 802.11 channel block around a control channel
 * @offset40: -1, +1 for 40 MHz on 2.4 GHz, 0 elsewhere
 * Return: 0, -EINVAL when there is none of that width.
 */
int r3_reg_chandef_make(uint32_t control_khz, enum r3_reg_width width,
			int offset40, struct r3_reg_chandef *out);

/* Centre from a channel number of a band, 0 when there is none; and back. */
uint32_t r3_reg_channel_khz(enum r3_reg_band band, unsigned number);
unsigned r3_reg_channel_number(uint32_t khz);
enum r3_reg_band r3_reg_band_of(uint32_t khz);

/* ---- the flat table ----------------------------------------------------- */

/*
 * One 8-byte cell for each 20 MHz channel: a verdict is a load and a compare.
 * Widths are judged with all subchannels when the table is made.
 */
struct r3_reg_cell {
	uint8_t widths;	  /* bit R3_REG_T20.. set: allowed, maybe after CAC */
	uint8_t flags;	  /* R3_REG_TF_... */
	int16_t power_dbm;
	uint16_t cac_s;
	uint16_t rule; /* index in the domain; 0xffff none */
};

enum { R3_REG_T20 = 1, R3_REG_T40M = 2, R3_REG_T40P = 4, R3_REG_T80 = 8,
       R3_REG_T160 = 16, R3_REG_T320 = 32 };
enum { R3_REG_TF_NO_IR = 1, R3_REG_TF_RADAR = 2, R3_REG_TF_INDOOR = 4,
       R3_REG_TF_NO_OFDM = 8 };

#define R3_REG_TABLE_CELLS 179u

struct r3_reg_table {
	char alpha2[3];
	uint8_t dfs;
	struct r3_reg_cell cell[R3_REG_TABLE_CELLS];
};

void r3_reg_table_fill(struct r3_reg_table *t, const struct r3_reg_domain *d);

/* Cell number of a 20 MHz channel's centre; -1 when it is none. */
int r3_reg_table_index(uint32_t khz);

/* True when @width (one R3_REG_T bit) at @power_dbm may be used. */
static inline bool r3_reg_table_ok(const struct r3_reg_table *t, int index,
				   uint8_t width, uint8_t refuse_flags,
				   int power_dbm)
{
	const struct r3_reg_cell *c = &t->cell[index];

	return (c->widths & width) && !(c->flags & refuse_flags) &&
	       power_dbm <= c->power_dbm;
}

/* ---- hints: who chooses the domain -------------------------------------- */

enum r3_reg_initiator {
	R3_REG_BY_CORE,
	R3_REG_BY_USER,
	R3_REG_BY_DRIVER,
	R3_REG_BY_IE, /* country element of an access point */
};

enum r3_reg_event_kind {
	R3_REG_EV_USER,	      /* alpha2 */
	R3_REG_EV_DRIVER,     /* radio, alpha2 */
	R3_REG_EV_IE,	      /* radio joined, alpha2 from its AP */
	R3_REG_EV_BEACON,     /* radio, khz: it heard a beacon there */
	R3_REG_EV_DISCONNECT, /* radio */
	R3_REG_EV_AP_START,   /* radio: it beacons (keeps hints from restore) */
	R3_REG_EV_AP_STOP,
};

struct r3_reg_event {
	enum r3_reg_event_kind kind;
	unsigned radio;
	char alpha2[3];
	uint32_t khz;
};

enum r3_reg_treatment {
	R3_REG_TREAT_REPLACED,
	R3_REG_TREAT_INTERSECTED,
	R3_REG_TREAT_ALREADY_SET,
	R3_REG_TREAT_IGNORED,
	R3_REG_TREAT_RESTORED, /* back to the world's, then the user's domain */
	R3_REG_TREAT_NOTED,    /* not about the domain: beacon, AP */
};

/* What an event did. */
struct r3_reg_effect {
	enum r3_reg_treatment treatment;
	bool domain_changed; /* the global one */
	bool region_lost;    /* intersection of two DFS regions: now unset */
	uint32_t cleared;    /* channels that lost NO-IR by a beacon */
	char why[R3_REG_REASON_MAX];
};

enum { R3_REG_STRICT = 1, R3_REG_CUSTOM = 2 }; /* a radio's own way */

struct r3_reg_radio {
	unsigned flags;
	bool has_own;			/* @own is valid */
	bool connected, beaconing;	/* not idle */
	struct r3_reg_domain_buf own;	/* its private domain */
	struct r3_reg_channel ch[R3_REG_CHANNELS_MAX];
	unsigned count;
};

struct r3_reg_hints;

/**
 * r3_reg_hints_new() - the state after start: world domain, no radio
 * @db: must outlive it
 * Return: 0, -ENOMEM, -ENOENT (the database has no world domain).
 */
int r3_reg_hints_new(struct r3_reg_hints **out, const struct r3_reg_db *db);
void r3_reg_hints_free(struct r3_reg_hints *h);

/**
 * r3_reg_hints_add_radio() - register a radio
 * @flags:  R3_REG_STRICT, R3_REG_CUSTOM or 0
 * @custom: the domain built into it, with R3_REG_CUSTOM; copied
 * @ch:     its channels; NULL for r3_reg_channels(false)
 * Return: its number, -ENOSPC, -ENOMEM.
 */
int r3_reg_hints_add_radio(struct r3_reg_hints *h, unsigned flags,
			   const struct r3_reg_domain *custom,
			   const struct r3_reg_channel *ch, unsigned count);
/* A radio becomes strict before its driver's hint. */
int r3_reg_hints_set_strict(struct r3_reg_hints *h, unsigned radio);

/**
 * r3_reg_hints_event() - something happened
 * Return: 0, -EINVAL (no such radio, no alpha2).
 */
int r3_reg_hints_event(struct r3_reg_hints *h, const struct r3_reg_event *ev,
		       struct r3_reg_effect *effect);

unsigned r3_reg_hints_radios(const struct r3_reg_hints *h);
struct r3_reg_radio *r3_reg_hints_radio(struct r3_reg_hints *h, unsigned i);
const struct r3_reg_domain *r3_reg_hints_global(const struct r3_reg_hints *h);
/* The domain whose rules hold for a radio now. */
const struct r3_reg_domain *r3_reg_hints_domain(const struct r3_reg_hints *h,
						unsigned radio);
enum r3_reg_initiator r3_reg_hints_last(const struct r3_reg_hints *h);

/**
 * r3_reg_hints_regtest() - radios as mac80211_hwsim's regtest=@mode makes them
 * @mode: 0 to 10
 */
int r3_reg_hints_regtest(struct r3_reg_hints *h, unsigned mode,
			 unsigned radios);

/* The kernel's answer as text, in the form of docs/reg-oracle.md. */
void r3_reg_dump_domain(FILE *out, const struct r3_reg_domain *d, int radio);
void r3_reg_dump_channels(FILE *out, const struct r3_reg_domain *d,
			  const struct r3_reg_channel *ch, unsigned count);
void r3_reg_hints_dump(FILE *out, struct r3_reg_hints *h);

/* ---- radar -------------------------------------------------------------- */

/*
 *	USABLE --CAC, 60 s clear--> AVAILABLE --radar--> UNAVAILABLE
 *	   ^-------- non-occupancy period, 30 min ----------'
 * ETSI keeps AVAILABLE when the channel is left (pre-CAC); elsewhere leaving
 * it means a new CAC.
 */
struct r3_reg_dfs {
	enum r3_reg_dfs_region region;
	struct r3_reg_channel *ch; /* the radio's, changed here */
	unsigned count;
	uint64_t now_ms;
	bool cac;		/* one is running, on @def */
	bool operating;		/* a network runs on @def */
	uint64_t cac_end_ms;
	struct r3_reg_chandef def;
};

enum r3_reg_dfs_event {
	R3_REG_DFS_EV_NONE,
	R3_REG_DFS_EV_CAC_DONE,
	R3_REG_DFS_EV_CAC_ABORTED,
	R3_REG_DFS_EV_NOP_OVER,
	R3_REG_DFS_EV_RADAR,
};

void r3_reg_dfs_init(struct r3_reg_dfs *dfs, enum r3_reg_dfs_region region,
		     struct r3_reg_channel *ch, unsigned count);
/**
 * r3_reg_dfs_start_cac() - listen on a channel before it is used
 * Return: 0, -EBUSY (one is running), -EINVAL (not allowed, or in its
 * non-occupancy period), -EALREADY (available now, none is needed).
 */
int r3_reg_dfs_start_cac(struct r3_reg_dfs *dfs,
			 const struct r3_reg_chandef *def);
/* Start a network; -EINVAL unless every radar subchannel is available. */
int r3_reg_dfs_operate(struct r3_reg_dfs *dfs,
		       const struct r3_reg_chandef *def);
void r3_reg_dfs_leave(struct r3_reg_dfs *dfs);
/* A radar was seen on @def: it and what overlaps it may not be used. */
enum r3_reg_dfs_event r3_reg_dfs_radar(struct r3_reg_dfs *dfs,
				       const struct r3_reg_chandef *def);
/**
 * r3_reg_dfs_advance() - let time pass until @now_ms or the next event
 * Return: what happened, at dfs->now_ms; R3_REG_DFS_EV_NONE at @now_ms.
 */
enum r3_reg_dfs_event r3_reg_dfs_advance(struct r3_reg_dfs *dfs,
					 uint64_t now_ms);

/* The number of ms until the next event; UINT64_MAX when there is none. */
uint64_t r3_reg_dfs_next_ms(const struct r3_reg_dfs *dfs);

/* ---- configuration files ------------------------------------------------- */

#define R3_REG_CONF_MAX	    (1024u * 1024) /* bytes */
#define R3_REG_NETS_MAX	    32u		   /* networks in one file */
#define R3_REG_FINDINGS_MAX 128u

enum r3_reg_conf_kind {
	R3_REG_CONF_GUESS,
	R3_REG_CONF_HOSTAPD,
	R3_REG_CONF_WPA, /* wpa_supplicant.conf */
	R3_REG_CONF_UCI, /* OpenWrt's /etc/config/wireless */
};

/* Where something stands, from 1; line 0: nowhere. */
struct r3_reg_place {
	unsigned line, column;
};

enum r3_reg_severity { R3_REG_NOTE, R3_REG_WARNING, R3_REG_ERROR };

struct r3_reg_finding {
	enum r3_reg_severity severity;
	struct r3_reg_place at;
	char text[R3_REG_REASON_MAX];
	char remedy[R3_REG_REASON_MAX]; /* what to write instead; may be "" */
};

struct r3_reg_findings {
	struct r3_reg_finding v[R3_REG_FINDINGS_MAX];
	unsigned count, lost; /* lost: no room */
	unsigned errors;
};

/* A network that a file asks for, as far as radio rules matter. */
struct r3_reg_net {
	char name[33];
	char country[3]; /* "": none given */
	enum r3_reg_use use;
	bool any_channel; /* the program chooses: ACS, scanning */
	bool dfs;	  /* radar detection is switched on */
	bool outdoor;
	bool has_power;
	int power_mbm;
	bool no_ofdm; /* 802.11b */
	struct r3_reg_chandef def;
	struct r3_reg_place at, country_at, channel_at, width_at, power_at,
		dfs_at;
	const char *dfs_key; /* how radar detection is switched on there */
};

struct r3_reg_conf {
	enum r3_reg_conf_kind kind;
	struct r3_reg_net net[R3_REG_NETS_MAX];
	unsigned count;
};

/**
 * r3_reg_conf_parse() - what a configuration file asks for
 * Errors of syntax become findings; what was understood is in @out anyway.
 * Return: 0, -EFBIG.
 */
int r3_reg_conf_parse(struct r3_reg_conf *out, enum r3_reg_conf_kind kind,
		      const char *text, size_t len,
		      struct r3_reg_findings *findings);

/**
 * r3_reg_conf_check() - may a network run in a domain?
 * @findings: added to; may be NULL when only the answer matters
 * Return: true when nothing forbids it.
 */
bool r3_reg_conf_check(const struct r3_reg_domain *d,
		       const struct r3_reg_net *net,
		       struct r3_reg_findings *findings);

const char *r3_reg_conf_kind_name(enum r3_reg_conf_kind kind);

/* ---- explanations -------------------------------------------------------- */

/**
 * r3_reg_explain() - how a channel came to its flags, step by step, as text
 * Each line names the rule, its index and the inequality that decided.
 */
void r3_reg_explain(FILE *out, const struct r3_reg_domain *d,
		    const struct r3_reg_ask *ask);
/* What no database of this version can express, one a line; NULL at the end. */
extern const char *const r3_reg_unknowns[];

/* One sentence for an answer, with numbers. */
void r3_reg_answer_text(const struct r3_reg_domain *d,
			const struct r3_reg_ask *ask,
			const struct r3_reg_answer *a, char *out, size_t max);

/* The spectrum with channels, powers and flags. */
void r3_reg_svg(FILE *out, const struct r3_reg_domain *d);

/* Print a frequency in MHz: "5180", "902.5". */
const char *r3_reg_mhz(uint32_t khz, char out[16]);

/* ---- scenarios ----------------------------------------------------------- */

#define R3_REG_SIM_EVENTS_MAX	512u
#define R3_REG_SIM_NETWORKS_MAX 64u
#define R3_REG_SIM_END_MAX_MS	(24u * 3600u * 1000u)

struct r3_reg_sim;

/* Something that happened; @radio is "" for what concerns all. */
typedef void r3_reg_sim_say(void *arg, uint64_t ms, const char *radio,
			    const char *text);

/**
 * r3_reg_sim_parse() - radios, foreign networks and events in virtual time
 *
 *	radio NAME [at X,Y] [moving VX,VY] [no-dfs]	(metres, metres/s)
 *	network NAME CC MHZ [at X,Y] [range M]
 *	at TIME user CC | driver RADIO CC | start RADIO MHZ WIDTH |
 *		stop RADIO | radar MHZ [WIDTH]
 *	end TIME
 *
 * Return: 0, -EINVAL (@err has line and column), -ENOMEM, -ENOENT (@db has no
 * world domain).
 */
int r3_reg_sim_parse(struct r3_reg_sim **out, const struct r3_reg_db *db,
		     const char *text, size_t len, struct r3_reg_err *err);
void r3_reg_sim_run(struct r3_reg_sim *sim, r3_reg_sim_say *say, void *arg);
struct r3_reg_hints *r3_reg_sim_hints(struct r3_reg_sim *sim);
void r3_reg_sim_free(struct r3_reg_sim *sim);

#endif
