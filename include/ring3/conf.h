/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - configuration files in INI form, read with inih
 *
 *	[driver nvme0]
 *	device = disk0		; a comment
 *
 * A section's header is a kind and a name.  Everything keeps its line number,
 * so that whoever finds a value wrong can say where it stands.
 */
#ifndef RING3_CONF_H
#define RING3_CONF_H

#include <stdio.h>

#include "ring3/base.h"

#define R3_CONF_SECTIONS_MAX 256
#define R3_CONF_ENTRIES_MAX  64 /* in one section */
#define R3_CONF_FILE_MAX     (1024 * 1024)

struct r3_conf_entry {
	char *key, *value;
	int line;
	bool used; /* set by r3_conf_get(); what nobody asked for is a typo */
};

struct r3_conf_section {
	char *kind, *name; /* "driver", "nvme0"; name "" when absent */
	int line;
	struct r3_conf_entry *v;
	unsigned count;
};

struct r3_conf {
	char *path;
	struct r3_conf_section *v;
	unsigned count;
	unsigned errors; /* said so far by r3_conf_error() */
};

/**
 * r3_conf_read() - read a whole file
 * Errors of syntax, doubled keys and doubled sections are printed as
 * "FILE:LINE: what is wrong; what would be right" on standard error.
 * Return: 0, -EINVAL after such errors, or what open() and read() said.
 */
int r3_conf_read(struct r3_conf **out, const char *path);
void r3_conf_free(struct r3_conf *conf);

/* The value of @key, or NULL; marks it as used. */
const struct r3_conf_entry *r3_conf_get(struct r3_conf_section *s,
					const char *key);

/* Print "FILE:LINE: ..." and count it. */
void r3_conf_error(struct r3_conf *conf, int line, const char *fmt, ...)
	R3_PRINTF(3, 4);

#endif
