// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_problems.c - what check and scrub find, a line each, and how far
 * they are */
#include <stdio.h>

#include "cmd_btrfs.h"

enum { PROBLEMS_SHOWN = 1000 };

void btrfs_problem(void *problems, const char *text)
{
	struct btrfs_problems *p = problems;

	if (p->count++ >= PROBLEMS_SHOWN)
		return;
	cli_progress_end(&p->line);
	if (p->json) {
		printf("%s", p->count > 1 ? "," : "");
		r3_btrfs_print_name(stdout, text, strlen(text), true);
	} else {
		r3_btrfs_print_name(stdout, text, strlen(text), false);
		putchar('\n');
	}
}

void btrfs_problems_progress(void *problems, uint64_t done, uint64_t total)
{
	struct btrfs_problems *p = problems;

	cli_progress_show(&p->line, done, total);
}

void btrfs_problems_rest(const struct btrfs_problems *p)
{
	if (!p->json && p->count > PROBLEMS_SHOWN)
		printf("and %llu more\n",
		       (unsigned long long)(p->count - PROBLEMS_SHOWN));
}
