// SPDX-License-Identifier: GPL-2.0-or-later
/* near.c - edit distance, for "did you mean" */
#include <stdio.h>

#include "near.h"

/* Edits between two words; two neighbours that changed places are one. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][NEAR_WORD_MAX + 1], la = (unsigned)strlen(a);
	unsigned lb = (unsigned)strlen(b);

	if (la > NEAR_WORD_MAX || lb > NEAR_WORD_MAX)
		return UINT32_MAX;
	for (unsigned j = 0; j <= lb; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			uint64_t n = last[j - 1] + (a[i - 1] != b[j - 1]);

			n = r3_min(n, r3_min(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				n = r3_min(n, row[(i + 1) % 3][j - 2] + 1);
			now[j] = (unsigned)n;
		}
	}
	return row[la % 3][lb];
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
