/* SPDX-License-Identifier: GPL-2.0-or-later */
/* near.h - which known word was meant? */
#ifndef NODE_NEAR_H
#define NODE_NEAR_H

#include "ring3/base.h"

#define NEAR_WORD_MAX 64 /* longer words are never near */

/* The best candidate so far; start with { .word = typed }. */
struct near {
	const char *word, *best;
	unsigned distance;
};

/* Offer one candidate.  Near: at most a third of its letters differ. */
void near_try(struct near *n, const char *candidate);
/* "; did you mean 'x'?" or "" into @out; returns @out. */
const char *near_hint(const struct near *n, char *out, size_t room);

#endif
