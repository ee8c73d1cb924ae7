// SPDX-License-Identifier: GPL-2.0-or-later
/* near.c - edit distance, for "did you mean" */
#include <stdio.h>

#include "near.h"

/* Levenshtein, one row. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NEAR_WORD_MAX + 1], la = (unsigned)strlen(a);
	unsigned lb = (unsigned)strlen(b);

	if (la > NEAR_WORD_MAX || lb > NEAR_WORD_MAX)
		return UINT32_MAX;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned up = row[j];
			unsigned cost = diagonal + (a[i - 1] != b[j - 1]);

			cost = (unsigned)r3_min(cost, up + 1);
			row[j] = (unsigned)r3_min(cost, row[j - 1] + 1);
			diagonal = up;
		}
	}
	return row[lb];
}

void near_try(struct near *n, const char *candidate)
{
	unsigned d = distance(n->word, candidate);
	size_t len = r3_max(strlen(n->word), strlen(candidate));

	if (d > (len + 2) / 3 || (n->best && d >= n->distance))
		return;
	n->best = candidate;
	n->distance = d;
}

const char *near_hint(const struct near *n, char *out, size_t room)
{
	*out = 0;
	if (n->best)
		snprintf(out, room, "; did you mean '%s'?", n->best);
	return out;
}
