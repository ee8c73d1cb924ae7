// SPDX-License-Identifier: GPL-2.0-or-later
/* cpus.c - which processors a server runs on */
#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring3/log.h"
#include "server_priv.h"

/* One number, digits only: what strtoul() takes beside them is no list. */
static int take_number(const char **at, unsigned *out)
{
	unsigned n = 0;

	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	for (; isdigit((unsigned char)**at); ++*at) {
		n = n * 10 + (unsigned)(**at - '0');
		if (n >= R3_CPUS_MAX)
			return -ERANGE;
	}
	*out = n;
	return 0;
}

int r3_parse_cpus(const char *text, uint64_t set[R3_CPUS_MAX / 64])
{
	uint64_t found[R3_CPUS_MAX / 64] = { 0 };
	unsigned first, last;
	int err;

	for (const char *p = text;; p++) {
		err = take_number(&p, &first);
		last = first;
		if (!err && *p == '-') {
			p++;
			err = take_number(&p, &last);
		}
		if (err)
			return err;
		if (last < first || (*p && *p != ','))
			return -EINVAL;
		for (unsigned i = first; i <= last; i++)
			found[i / 64] |= UINT64_C(1) << i % 64;
		if (!*p)
			break;
	}
	if (set)
		memcpy(set, found, sizeof(found));
	return 0;
}

void server_pin(struct r3_server *s)
{
	uint64_t set[R3_CPUS_MAX / 64];
	const char *text;

	if (server_key_index(s->spec, "cpus") < 0)
		return;
	text = r3_server_str(s, "cpus");
	if (!strcmp(text, "auto") || r3_parse_cpus(text, set))
		return; /* a wrong list was refused before */
	if (sched_setaffinity(0, sizeof(set), (const cpu_set_t *)set))
		r3_log(R3_WARN, "server", s->name, "can't run on cpus=%s only: "
		       "%m; going on anywhere", text);
}
