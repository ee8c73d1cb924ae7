/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.h - one line on the terminal that tells how far long work is */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "ring3/base.h"

struct cli_progress {
	bool tty; /* else nothing is shown */
	uint64_t started_ns, shown_ns;
};

void cli_progress_begin(struct cli_progress *p);
/* @progress is a struct cli_progress; bytes; @total 0: not known.  Four times a
 * second at most. */
void cli_progress_show(void *progress, uint64_t done, uint64_t total);
/* Takes the line away, for what is printed next. */
void cli_progress_end(struct cli_progress *p);

#endif
