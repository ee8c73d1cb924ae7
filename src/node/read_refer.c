// SPDX-License-Identifier: GPL-2.0-or-later
/* read_refer.c - servers that others name: found, in no circle, reached */
#include <stdlib.h>

#include "near.h"
#include "read.h"

static struct r3_node_server *server_of(struct r3_node *node, const char *name)
{
	for (unsigned i = 0; i < node->server_count; i++) {
		if (!strcmp(node->servers[i].name, name))
			return &node->servers[i];
	}
	return NULL;
}

const char *read_listens_at(const struct r3_node_server *s)
{
	for (unsigned i = 0; i < s->opt_count; i++) {
		if (s->opts[i].kind == R3_NODE_LISTEN)
			return s->opts[i].value;
	}
	return NULL;
}

int read_line_of(struct reading *r, const char *name, const char *key)
{
	for (unsigned i = 0; i < r->conf->count; i++) {
		struct r3_conf_section *c = &r->conf->v[i];

		if (strcmp(c->name, name) || !strcmp(c->kind, "guest"))
			continue;
		for (unsigned j = 0; j < c->count; j++) {
			if (!strcmp(c->v[j].key, key))
				return c->v[j].line;
		}
		return c->line;
	}
	return 0;
}

struct r3_node_server *read_refer(struct reading *r, int line,
				  const char *key, const char *name)
{
	struct r3_node_server *s = server_of(r->node, name);
	struct near n = { .word = name };
	char hint[96];

	if (s && read_listens_at(s))
		return s;
	if (s) {
		r3_conf_error(r->conf, line, "%s: %s serves nobody; name a "
			      "server that listens", key, name);
		return NULL;
	}
	for (unsigned i = 0; i < r->node->server_count; i++)
		near_try(&n, r->node->servers[i].name);
	r3_conf_error(r->conf, line, "%s: there is no server '%s'%s", key,
		      name, near_hint(&n, hint, sizeof(hint)));
	return NULL;
}

static bool is_name(const struct r3_node_opt *o)
{
	return o->kind == R3_NODE_SOCKET && o->value &&
	       strncmp(o->value, "vfio-user:", 10) != 0;
}

/* Follow the names of devices; depth bounds it, more is a circle. */
static bool in_circle(struct r3_node *node, struct r3_node_server *from,
		      unsigned depth)
{
	if (depth > node->server_count)
		return true;
	for (unsigned i = 0; i < from->opt_count; i++) {
		struct r3_node_server *to;

		if (!is_name(&from->opts[i]))
			continue;
		to = server_of(node, from->opts[i].value);
		if (to && in_circle(node, to, depth + 1))
			return true;
	}
	return false;
}

static bool find_circles(struct reading *r)
{
	for (unsigned i = 0; i < r->node->server_count; i++) {
		struct r3_node_server *s = &r->node->servers[i];

		if (!in_circle(r->node, s, 0))
			continue;
		r3_conf_error(r->conf, s->line, "%s leads back to itself "
			      "through its devices; break the circle",
			      s->name);
		return true;
	}
	return false;
}

static void resolve(struct reading *r, struct r3_node_server *s,
		    struct r3_node_opt *o)
{
	struct r3_node_server *to;
	char text[R3_NODE_PATH_MAX];

	to = read_refer(r, read_line_of(r, s->name, o->key), o->key, o->value);
	if (!to)
		return;
	snprintf(text, sizeof(text), "vfio-user:%s", read_listens_at(to));
	free(o->value);
	o->value = read_keep(r, text);
}

void read_resolve(struct reading *r)
{
	if (find_circles(r))
		return;
	for (unsigned i = 0; i < r->node->server_count; i++) {
		struct r3_node_server *s = &r->node->servers[i];

		for (unsigned j = 0; j < s->opt_count; j++) {
			if (is_name(&s->opts[j]))
				resolve(r, s, &s->opts[j]);
		}
	}
}
