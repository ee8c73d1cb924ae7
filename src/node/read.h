/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read.h - how a node's configuration is read: one file per subject
 *
 *	read.c		the file: [node], kinds and names of sections, the order
 *	read_server.c	a server's section	read_guest.c	a guest's
 *	read_value.c	what all sections have: keys, words, paths, files
 *	read_refer.c	servers that others name
 *	read_conflict.c	what two want and only one can have
 *
 * The order: every server, then the guests (they name servers), then the
 * names of devices become sockets, then conflicts (they compare those).
 *
 * What is wrong in the file is printed and counted by r3_conf_error(), and
 * reading goes on, so that a user sees all of it in one go: the functions
 * here return nothing about it.  A failed allocation leaves NULL in its place
 * and sets no_memory: with a server's text missing, what looks at all servers
 * is not reached.
 */
#ifndef NODE_READ_H
#define NODE_READ_H

#include "ring3/node.h"

struct reading {
	struct r3_conf *conf; /* marks which entries were asked for */
	struct r3_node *node; /* grows; r3_node_free() frees all in it */
	const struct r3_server_spec *const *specs; /* ended by NULL */
	char dir[R3_NODE_PATH_MAX]; /* of the file */
	char libexec[R3_NODE_PATH_MAX];
	bool no_memory;
};

/* ---- sections (read_server.c, read_guest.c) ----------------------------- */

/* Add what @c describes to the node.  A guest's disk must be read before. */
void read_server(struct reading *r, struct r3_conf_section *c);
void read_guest(struct reading *r, struct r3_conf_section *c);

/* ---- values (read_value.c) ---------------------------------------------- */

/* A copy for the node, or NULL and no_memory. */
char *read_keep(struct reading *r, const char *text);
/* @path as seen from the file's folder; like read_keep(). */
char *read_absolute(struct reading *r, const char *path);
/* Is it a file that may be opened so?  @mode: of access(2), R_OK, W_OK. */
void read_check_file(struct reading *r, int line, const char *key,
		     const char *path, int mode);
/* The key called @name in a table ended by an empty one, or NULL. */
const struct r3_key *read_find_key(const struct r3_key *keys,
				   const char *name);
/* What nobody asked for is a typing error.  @keys, and @more or NULL: what
 * there is to ask for; @where: the section, for the error. */
void read_check_unused(struct reading *r, struct r3_conf_section *s,
		       const struct r3_key *keys, const struct r3_key *more,
		       const char *where);
/* The server's value for @key, or NULL. */
const struct r3_node_opt *read_opt(const struct r3_node_server *s,
				   const char *key);

/* ---- servers that others name (read_refer.c) ---------------------------- */

/* The listening server called @name, or NULL after an error. */
struct r3_node_server *read_refer(struct reading *r, int line,
				  const char *key, const char *name);
/* Where @s listens, or NULL. */
const char *read_listens_at(const struct r3_node_server *s);
/* The line of @key in server @name's section, else of the section; 0: none. */
int read_line_of(struct reading *r, const char *name, const char *key);
/* Every device that is a server's name becomes "vfio-user:" and its path. */
void read_resolve(struct reading *r);

/* ---- what only one can have (read_conflict.c) --------------------------- */

/* After read_resolve() and without errors so far: no two servers share a
 * socket, a device or a file that one of them writes; no two guests a disk. */
void read_conflicts(struct reading *r);

#endif
