// SPDX-License-Identifier: GPL-2.0-or-later
/* read.c - a node's configuration, checked against what each part wants */
#include <stdlib.h>

#include "near.h"
#include "read.h"

static bool kind_is_known(const struct reading *r, const char *kind)
{
	if (!strcmp(kind, "node") || !strcmp(kind, "guest"))
		return true;
	for (unsigned i = 0; r->specs[i]; i++) {
		if (!strcmp(r->specs[i]->kind, kind))
			return true;
	}
	return false;
}

static void unknown_kind(struct reading *r, const struct r3_conf_section *s)
{
	struct near n = { .word = s->kind };
	char hint[96];

	near_try(&n, "node");
	near_try(&n, "guest");
	for (unsigned i = 0; r->specs[i]; i++)
		near_try(&n, r->specs[i]->kind);
	r3_conf_error(r->conf, s->line, "there is no kind of section '%s'%s",
		      s->kind, near_hint(&n, hint, sizeof(hint)));
}

static void read_head(struct reading *r)
{
	static const struct r3_key keys[] = { { .name = "name" }, { 0 } };
	struct r3_conf_section *c = NULL;
	const struct r3_conf_entry *e;
	char path[R3_NODE_PATH_MAX];

	for (unsigned i = 0; i < r->conf->count && !c; i++) {
		if (!strcmp(r->conf->v[i].kind, "node"))
			c = &r->conf->v[i];
	}
	e = c ? r3_conf_get(c, "name") : NULL;
	if (!e || !*e->value) {
		r3_conf_error(r->conf, c ? c->line : 1, "the node has no name; "
			      "write [node] and below it 'name = ...'");
	} else if (strlen(e->value) >= R3_SERVER_NAME_MAX ||
		   strspn(e->value, "abcdefghijklmnopqrstuvwxyz"
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
			   strlen(e->value) || e->value[0] == '.') {
		r3_conf_error(r->conf, e->line, "name = %s: letters, digits, "
			      "'-', '_' and '.', at most %d", e->value,
			      R3_SERVER_NAME_MAX - 1);
	} else {
		strcpy(r->node->name, e->value);
	}
	if (c)
		read_check_unused(r, c, keys, NULL, "[node]");
	if (r3_node_rundir(r->node->name, path, sizeof(path)))
		r3_conf_error(r->conf, 0, "there is no folder for a node's "
			      "sockets; set XDG_RUNTIME_DIR or R3_RUNDIR to "
			      "one of yours");
	else
		r->node->rundir = read_keep(r, path);
}

static void check_name(struct reading *r, const struct r3_conf_section *c,
		       unsigned index)
{
	if (!*c->name)
		r3_conf_error(r->conf, c->line, "[%s] has no name; write "
			      "[%s NAME]", c->kind, c->kind);
	else if (strlen(c->name) >= R3_SERVER_NAME_MAX)
		r3_conf_error(r->conf, c->line, "a name has at most %d "
			      "characters", R3_SERVER_NAME_MAX - 1);
	for (unsigned i = 0; i < index; i++) {
		const struct r3_conf_section *b = &r->conf->v[i];

		if (*c->name && !strcmp(b->name, c->name) &&
		    strcmp(b->kind, c->kind))
			r3_conf_error(r->conf, c->line, "line %d already has "
				      "a %s called %s; names are for all of "
				      "the node", b->line, b->kind, b->name);
	}
}

static void read_sections(struct reading *r)
{
	read_head(r);
	if (!r->node->rundir)
		return;
	for (unsigned i = 0; i < r->conf->count; i++) {
		struct r3_conf_section *c = &r->conf->v[i];

		if (!kind_is_known(r, c->kind)) {
			unknown_kind(r, c);
			continue;
		}
		if (!strcmp(c->kind, "node")) {
			if (*c->name)
				r3_conf_error(r->conf, c->line, "a file has "
					      "one [node], and its name is a "
					      "key: 'name = %s'", c->name);
			continue;
		}
		check_name(r, c, i);
		if (strcmp(c->kind, "guest"))
			read_server(r, c);
	}
	if (r->no_memory)
		return;
	for (unsigned i = 0; i < r->conf->count; i++) {
		if (!strcmp(r->conf->v[i].kind, "guest"))
			read_guest(r, &r->conf->v[i]);
	}
	read_resolve(r);
	if (!r->conf->errors)
		read_conflicts(r);
	if (!r->node->server_count && !r->conf->errors)
		r3_conf_error(r->conf, 0, "there is no server in it; write a "
			      "section such as [model disk0]");
}

static int folder_of(const char *path, char *out, size_t room)
{
	char *real = realpath(path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;
	int n;

	if (!slash) {
		free(real);
		return -ENOENT;
	}
	slash[slash == real] = 0;
	n = snprintf(out, room, "%s", real);
	free(real);
	return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

int r3_node_read(struct r3_node **out, const char *path,
		 const struct r3_server_spec *const *specs)
{
	struct reading *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return -ENOMEM;
	r->specs = specs;
	r->node = calloc(1, sizeof(*r->node));
	if (!r->node)
		goto out;
	err = r3_conf_read(&r->conf, path);
	if (!err)
		err = folder_of(path, r->dir, sizeof(r->dir));
	if (!err)
		err = r3_node_libexec(r->libexec, sizeof(r->libexec));
	if (err)
		goto out;
	read_sections(r);
	if (r->conf->errors)
		err = -EINVAL;
	else if (r->no_memory)
		err = -ENOMEM;
	if (!err) {
		*out = r->node;
		r->node = NULL;
	}
out:
	r3_conf_free(r->conf);
	r3_node_free(r->node);
	free(r);
	return err;
}
