// SPDX-License-Identifier: GPL-2.0-or-later
/* server_key.c - is this value what its key wants? */
#include <stdio.h>

#include "ring3/server.h"

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (!strncmp(p, value, len) && (!p[len] || p[len] == '|'))
			return len > 0;
	}
	return false;
}

static int check_number(const struct r3_key *k, const char *value, char *why,
			size_t room)
{
	uint64_t n;
	int err = k->kind == R3_KEY_SIZE ? r3_parse_size(value, &n) :
					   r3_parse_uint(value, &n);

	if (!err && n >= k->min && n <= k->max)
		return 0;
	snprintf(why, room, "%s from %llu to %llu is wanted",
		 k->kind == R3_KEY_SIZE ? "a size (bytes, or with K, M, G, T)" :
					  "a number",
		 (unsigned long long)k->min, (unsigned long long)k->max);
	return -EINVAL;
}

int r3_key_check(const struct r3_key *k, const char *value, char *why,
		 size_t room)
{
	switch (k->kind) {
	case R3_KEY_UINT:
	case R3_KEY_SIZE:
		return check_number(k, value, why, room);
	case R3_KEY_BOOL:
		if (is_choice("yes|no", value))
			return 0;
		snprintf(why, room, "yes or no is wanted");
		return -EINVAL;
	case R3_KEY_CPUS:
		if (!strcmp(value, "auto") || !r3_parse_cpus(value, NULL))
			return 0;
		snprintf(why, room, "auto or a list of processors is wanted, "
			 "such as 0,2-3");
		return -EINVAL;
	case R3_KEY_CHOICE:
		if (is_choice(k->choices, value))
			return 0;
		snprintf(why, room, "one of %s is wanted", k->choices);
		return -EINVAL;
	case R3_KEY_FILE:
	case R3_KEY_LISTEN:
	case R3_KEY_DEVICE:
		if (*value || (k->def && !*k->def))
			return 0;
		snprintf(why, room, "it must not be empty");
		return -EINVAL;
	case R3_KEY_STRING:
		break;
	}
	return 0;
}
