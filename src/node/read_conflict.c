// SPDX-License-Identifier: GPL-2.0-or-later
/* read_conflict.c - what two sections want and only one can have */
#include <sys/stat.h>

#include "read.h"

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !strcmp(a, b) || (!stat(a, &x) && !stat(b, &y) &&
				 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static bool both_read(struct r3_node_server *a, struct r3_node_server *b)
{
	const struct r3_node_opt *x = read_opt(a, "readonly");
	const struct r3_node_opt *y = read_opt(b, "readonly");

	return x && y && !strcmp(x->value, "yes") && !strcmp(y->value, "yes");
}

static void check_pair(struct reading *r, struct r3_node_server *a,
		       struct r3_node_server *b, const struct r3_node_opt *x)
{
	for (unsigned i = 0; i < b->opt_count; i++) {
		const struct r3_node_opt *y = &b->opts[i];
		bool same;

		if (x->kind == R3_NODE_OPT || x->kind != y->kind || !x->value ||
		    !y->value)
			continue;
		same = x->kind == R3_NODE_FILE ?
			       same_file(x->value, y->value) &&
				       !both_read(a, b) :
			       !strcmp(x->value, y->value);
		if (same)
			r3_conf_error(r->conf, read_line_of(r, b->name, y->key),
				      "%s: %s has it already; only one server "
				      "can, give %s one of its own", y->key,
				      a->name, b->name);
	}
}

/* A vhost-user back end serves one front end. */
static void check_disks(struct reading *r)
{
	for (unsigned i = 0; i < r->node->guest_count; i++) {
		const struct r3_node_guest *a = &r->node->guests[i];

		for (unsigned j = i + 1; a->disk && j < r->node->guest_count;
		     j++) {
			const struct r3_node_guest *b = &r->node->guests[j];

			if (b->disk && !strcmp(a->disk, b->disk))
				r3_conf_error(r->conf, b->line, "disk: guest "
					      "%s has %s already; give %s a "
					      "driver of its own", a->name,
					      a->disk, b->name);
		}
	}
}

/* A socket, a device, a file that is written: each has one user. */
void read_conflicts(struct reading *r)
{
	struct r3_node_server *v = r->node->servers;

	for (unsigned i = 0; i < r->node->server_count; i++)
		for (unsigned j = i + 1; j < r->node->server_count; j++)
			for (unsigned k = 0; k < v[i].opt_count; k++)
				check_pair(r, &v[i], &v[j], &v[i].opts[k]);
	check_disks(r);
}
