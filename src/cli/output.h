/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - a file that a command writes: afterwards it is whole, or as it was
 *
 * A file that is new, or replaces an ordinary one, is written under a name of
 * its own beside it and takes its place at the end.  What has no such place - a
 * device, a FIFO, what a symbolic link leads to, a file with other names or
 * another owner - is written where it is, and emptied only by the first byte.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

#include "ring3/base.h"

struct cli_output {
	FILE *file;	     /* to write to */
	const char *path;    /* as the user gave it */
	char temp[PATH_MAX]; /* beside it; "": written where it is */
	int fd;
	bool replaces;	/* a file that is there */
	bool may_empty; /* there, and nothing was written yet */
	bool emptied, failed;
};

/* Open for @path; with a message.  Nothing is changed before something is
 * written.  @path stays in use. */
int cli_output_open(struct cli_output *o, const char *path);
/* Finish when @err is 0, else take back what was written; with a message for
 * what fails now.  Return: @err, or what failed. */
int cli_output_close(struct cli_output *o, int err);

/* What a new file's mode loses.  (The only thread asks.) */
mode_t cli_umask(void);

/* @name is removed if a signal ends the program; NULL: nothing is, any more. */
void cli_remove_on_signal(const char *name);
/* The same now, if there is one. */
void cli_remove_now(void);

#endif
