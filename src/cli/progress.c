// SPDX-License-Identifier: GPL-2.0-or-later
/* progress.c - one line on the terminal that tells how far long work is */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "progress.h"

void cli_progress_begin(struct cli_progress *p)
{
	const char *term = getenv("TERM");

	/* a line that overwrites itself needs a terminal that can */
	*p = (struct cli_progress){
		.tty = isatty(STDERR_FILENO) && term && *term &&
		       strcmp(term, "dumb"),
		.started_ns = r3_now_ns(),
	};
}

void cli_progress_show(void *progress, uint64_t done, uint64_t total)
{
	struct cli_progress *p = progress;
	uint64_t now = r3_now_ns(), ns = now - p->started_ns, rate;

	if (!p->tty || now - p->shown_ns < R3_NS_PER_S / 4)
		return;
	p->shown_ns = now;
	rate = (uint64_t)((double)done * 1e9 / (double)(ns ? ns : 1));
	if (!total)
		fprintf(stderr, "\r%llu MiB  %llu MiB/s \033[K",
			(unsigned long long)(done >> 20),
			(unsigned long long)(rate >> 20));
	else
		fprintf(stderr, "\r%3u%%  %llu MiB/s  %llu s left \033[K",
			(unsigned)(done * 100 / total),
			(unsigned long long)(rate >> 20),
			(unsigned long long)((total - r3_min(done, total)) /
					     (rate ? rate : 1)));
}

void cli_progress_end(struct cli_progress *p)
{
	if (p->tty && p->shown_ns)
		fprintf(stderr, "\r\033[K");
	p->shown_ns = 0;
}
