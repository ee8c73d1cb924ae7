// SPDX-License-Identifier: GPL-2.0-or-later
/* conf.c - configuration files: what is refused, at which line and column */
#include "reg_test.h"

#define AP "interface=wlan0\ncountry_code=US\n"
#define DFS "ieee80211d=1\nieee80211h=1\n"

static const struct {
	const char *name;
	enum r3_reg_conf_kind kind;
	const char *text;
	unsigned line, column; /* of the first error; 0: none */
	const char *words;     /* in its text or remedy */
} rows[] = {
	{ "channel 6", R3_REG_CONF_HOSTAPD, AP "hw_mode=g\nchannel=6\n", 0, 0,
	  NULL },
	{ "channel 36", R3_REG_CONF_HOSTAPD, AP "hw_mode=a\nchannel=36\n", 0,
	  0, NULL },
	{ "channel 14", R3_REG_CONF_HOSTAPD, AP "hw_mode=b\nchannel=14\n", 4,
	  9, "disabled" },
	{ "channel 12", R3_REG_CONF_HOSTAPD, AP "hw_mode=g\nchannel=12\n", 4,
	  9, "channel 1, 2" },
	{ "radar channel, no DFS", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=52\n", 4, 9, "ieee80211h=1" },
	{ "radar channel, h without d", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=52\nieee80211h=1\n", 5, 12, "radar" },
	{ "radar channel with DFS", R3_REG_CONF_HOSTAPD,
	  AP DFS "hw_mode=a\nchannel=52\n", 0, 0, NULL },
	{ "6 GHz is no-IR", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nop_class=131\nchannel=1\n", 5, 9, "no-IR" },
	{ "HT40 the wrong way", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211n=1\nht_capab=[SHORT-GI-20][HT40-]\n",
	  6, 23, "[HT40+]" },
	{ "HT40 the right way", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211n=1\nht_capab=[HT40+]\n", 0, 0,
	  NULL },
	{ "HT40+ from channel 11", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=g\nchannel=11\nieee80211n=1\nht_capab=[HT40+]\n", 6, 10,
	  "40 MHz" },
	{ "80 MHz without centre", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211ac=1\nvht_oper_chwidth=1\n", 6,
	  18, "seg0_idx=42" },
	{ "80 MHz, another block's centre", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211ac=1\nvht_oper_chwidth=1\nvht_oper_centr_freq_seg0_idx=155\n",
	  7, 30, "42" },
	{ "80 MHz", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211ac=1\nvht_oper_chwidth=1\nvht_oper_centr_freq_seg0_idx=42\n",
	  0, 0, NULL },
	{ "160 MHz needs DFS", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=a\nchannel=36\nieee80211ac=1\nvht_oper_chwidth=2\nvht_oper_centr_freq_seg0_idx=50\n",
	  4, 9, "radar" },
	{ "hw_mode and channel disagree", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=g\nchannel=36\n", 3, 9, "hw_mode=a" },
	{ "no hw_mode at 5 GHz", R3_REG_CONF_HOSTAPD, AP "channel=36\n", 3, 9,
	  "hw_mode=a" },
	{ "channel 14 in Japan", R3_REG_CONF_HOSTAPD,
	  "country_code=JP\nhw_mode=b\nchannel=14\n", 0, 0, NULL },
	{ "unknown hw_mode", R3_REG_CONF_HOSTAPD, AP "hw_mode=x\nchannel=6\n",
	  3, 9, "hw_mode" },
	{ "channel is no number", R3_REG_CONF_HOSTAPD,
	  AP "hw_mode=g\nchannel=six\n", 4, 9, "number" },
	{ "ACS", R3_REG_CONF_HOSTAPD, AP "hw_mode=g\nchannel=0\n", 0, 0,
	  NULL },
	{ "line without =", R3_REG_CONF_HOSTAPD, AP "hello\nchannel=6\n", 3, 1,
	  "KEY=VALUE" },
	{ "blank before the key", R3_REG_CONF_HOSTAPD, AP " channel=6\n", 3, 1,
	  "blanks" },
	{ "blank behind the key", R3_REG_CONF_HOSTAPD, AP "channel =6\n", 3, 1,
	  "blanks" },
	{ "country of three letters", R3_REG_CONF_HOSTAPD,
	  "country_code=USA\nhw_mode=g\nchannel=6\n", 1, 14, "ISO 3166" },
	{ "d without country", R3_REG_CONF_HOSTAPD,
	  "hw_mode=g\nieee80211d=1\nchannel=6\n", 3, 9, "country_code" },
	{ "station at home", R3_REG_CONF_WPA,
	  "country=US\nnetwork={\n\tssid=\"a\"\n}\n", 0, 0, NULL },
	{ "IBSS on 2467", R3_REG_CONF_WPA,
	  "country=US\nnetwork={\n\tmode=1\n\tfrequency=2467\n}\n", 4, 12,
	  "disabled" },
	{ "IBSS on 5955", R3_REG_CONF_WPA,
	  "country=US\nnetwork={\n\tmode=1\n\tfrequency=5955\n}\n", 4, 12,
	  "no-IR" },
	{ "AP on 5180", R3_REG_CONF_WPA,
	  "country=US\nnetwork={\n\tmode=2\n\tfrequency=5180\n}\n", 0, 0,
	  NULL },
	{ "no such frequency", R3_REG_CONF_WPA,
	  "country=US\nnetwork={\n\tmode=2\n\tfrequency=5181\n}\n", 4, 12,
	  "5181" },
	{ "network without end", R3_REG_CONF_WPA, "network={\n mode=0\n", 1, 1,
	  "}" },
	{ "OpenWrt", R3_REG_CONF_UCI,
	  "config wifi-device 'radio0'\n\toption channel '36'\n\toption band '5g'\n\toption htmode 'VHT80'\n\toption country 'US'\nconfig wifi-iface\n\toption device 'radio0'\n\toption mode 'ap'\n",
	  0, 0, NULL },
	{ "OpenWrt, channel 13", R3_REG_CONF_UCI,
	  "config wifi-device radio0\n\toption channel 13\n\toption country US\nconfig wifi-iface\n\toption device radio0\n\toption mode ap\n",
	  2, 17, "disabled" },
	{ "OpenWrt, doth off on a radar channel", R3_REG_CONF_UCI,
	  "config wifi-device radio0\n\toption channel 52\n\toption country US\n\toption doth 0\nconfig wifi-iface\n\toption device radio0\n\toption mode ap\n",
	  4, 14, "doth" },
	{ "OpenWrt, unknown htmode", R3_REG_CONF_UCI,
	  "config wifi-device radio0\n\toption channel 36\n\toption htmode FAST\n",
	  3, 16, "htmode" },
	{ "OpenWrt, disabled", R3_REG_CONF_UCI,
	  "config wifi-device radio0\n\toption channel 14\n\toption disabled 1\n",
	  0, 0, NULL },
	{ "OpenWrt, bad word", R3_REG_CONF_UCI,
	  "config wifi-device radio0\noptions channel 36\n", 2, 1, "config" },
};

static void check(struct r3_reg_conf *conf, struct r3_reg_findings *f,
		  const struct r3_reg_db *db)
{
	for (unsigned n = 0; n < conf->count; n++) {
		const char *cc = conf->net[n].country;

		r3_reg_conf_check(r3_reg_db_find(db, cc[0] ? cc : "00"),
				  &conf->net[n], f);
	}
}

static const struct r3_reg_finding *first_error(const struct r3_reg_findings *f)
{
	const struct r3_reg_finding *best = NULL;

	for (unsigned i = 0; i < f->count; i++)
		if (f->v[i].severity == R3_REG_ERROR &&
		    (!best || f->v[i].at.line < best->at.line))
			best = &f->v[i];
	return best;
}

static void finds(void **state)
{
	struct r3_reg_db *db = data_db();
	struct r3_reg_conf *conf = malloc(sizeof(*conf));
	struct r3_reg_findings *f = malloc(sizeof(*f));

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		const struct r3_reg_finding *e;

		ROW(rows[i].name);
		memset(f, 0, sizeof(*f));
		assert_int_equal(r3_reg_conf_parse(conf, R3_REG_CONF_GUESS,
						   rows[i].text,
						   strlen(rows[i].text), f),
				 0);
		assert_int_equal(conf->kind, rows[i].kind);
		check(conf, f, db);
		e = first_error(f);
		if (!rows[i].line) {
			if (e)
				fail_msg("%s: %s", rows[i].name, e->text);
			continue;
		}
		assert_non_null(e);
		if (e->at.line != rows[i].line ||
		    e->at.column != rows[i].column)
			fail_msg("%s: at %u:%u: %s", rows[i].name, e->at.line,
				 e->at.column, e->text);
		if (!strstr(e->text, rows[i].words) &&
		    !strstr(e->remedy, rows[i].words))
			fail_msg("%s: %s (%s)", rows[i].name, e->text,
				 e->remedy);
	}
	free(conf);
	free(f);
	r3_reg_db_free(db);
}

static void power_is_clamped(void **state)
{
	static const char text[] =
		"config wifi-device radio0\n\toption channel 11\n\toption txpower 40\n\toption country US\n";
	struct r3_reg_db *db = data_db();
	struct r3_reg_conf *conf = malloc(sizeof(*conf));
	struct r3_reg_findings *f = calloc(1, sizeof(*f));

	(void)state;
	r3_reg_conf_parse(conf, R3_REG_CONF_GUESS, text, strlen(text), f);
	check(conf, f, db);
	assert_int_equal(f->errors, 0);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->v[0].severity, R3_REG_WARNING);
	assert_int_equal(f->v[0].at.line, 3);
	assert_int_equal(f->v[0].at.column, 17);
	assert_non_null(strstr(f->v[0].text, "30 dBm"));
	free(conf);
	free(f);
	r3_reg_db_free(db);
}

static void limits(void **state)
{
	struct r3_reg_conf *conf = malloc(sizeof(*conf));
	struct r3_reg_findings *f = calloc(1, sizeof(*f));
	char *text = malloc(R3_REG_CONF_MAX + 1);

	(void)state;
	memset(text, '\n', R3_REG_CONF_MAX + 1);
	assert_int_equal(r3_reg_conf_parse(conf, 0, text, R3_REG_CONF_MAX + 1,
					   f), -EFBIG);
	ROW("more findings than there is room for");
	for (unsigned i = 0; i < R3_REG_CONF_MAX; i += 2)
		text[i] = 'x';
	assert_int_equal(r3_reg_conf_parse(conf, R3_REG_CONF_HOSTAPD, text,
					   R3_REG_CONF_MAX, f), 0);
	assert_int_equal(f->count, R3_REG_FINDINGS_MAX);
	assert_int_equal(f->lost, R3_REG_CONF_MAX / 2 - R3_REG_FINDINGS_MAX);
	free(text);
	free(conf);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(power_is_clamped),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
