// SPDX-License-Identifier: GPL-2.0-or-later
/* num.c - numbers in text */
#include <ctype.h>
#include <stdlib.h>

#include "ring3/base.h"

/* Digits up to the first other character, whose place goes to @end. */
static int parse_prefix(const char *text, uint64_t *out, const char **end)
{
	unsigned base = 10;
	const char *p = text;
	uint64_t n = 0;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') &&
	    isxdigit((unsigned char)p[2])) {
		base = 16;
		p += 2;
	}
	if (!isxdigit((unsigned char)*p))
		return -EINVAL;
	for (; isxdigit((unsigned char)*p); p++) {
		unsigned d = isdigit((unsigned char)*p) ?
				     (unsigned)(*p - '0') :
				     (unsigned)(tolower((unsigned char)*p) - 'a' + 10);

		if (d >= base)
			break;
		if (!r3_mul(n, base, &n) || !r3_add(n, d, &n))
			return -ERANGE;
	}
	if (end)
		*end = p;
	*out = n;
	return p == text ? -EINVAL : 0;
}

int r3_parse_uint(const char *text, uint64_t *out)
{
	const char *end;
	uint64_t n;
	int err = parse_prefix(text, &n, &end);

	if (err)
		return err;
	if (*end)
		return -EINVAL;
	*out = n;
	return 0;
}

int r3_parse_size(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	const char *end, *s;
	uint64_t n;
	int err = parse_prefix(text, &n, &end);

	if (err)
		return err;
	if (*end) {
		s = strchr(suffixes, toupper((unsigned char)*end));
		if (!s || (end[1] && strcmp(end + 1, "iB")))
			return -EINVAL;
		if (!r3_mul(n, UINT64_C(1) << (10 * (s - suffixes + 1)), &n))
			return -ERANGE;
	}
	*out = n;
	return 0;
}
