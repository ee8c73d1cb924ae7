// SPDX-License-Identifier: GPL-2.0-or-later
/* read_server.c - a server's section: its type, and what its spec asks for */
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "near.h"
#include "read.h"

#define HANG_MS_DEFAULT 3000
#define LIMIT_DEFAULT	8
#define LIST_LEN	512

/* Keys of every server, besides those of its spec. */
static const struct r3_key common_keys[] = {
	{ .name = "type", .kind = R3_KEY_STRING },
	{ .name = "hang_ms", .kind = R3_KEY_UINT, .min = 100, .max = 600000 },
	{ .name = "limit", .kind = R3_KEY_UINT, .min = 0, .max = 1000 },
	{ 0 },
};

/* ---- its type ----------------------------------------------------------- */

/* "a, b, c": the types of a kind */
static void list_types(const struct reading *r, const char *kind, char *out,
		       size_t room)
{
	size_t len = 0;

	*out = 0;
	for (unsigned i = 0; r->specs[i]; i++) {
		int n;

		if (strcmp(r->specs[i]->kind, kind))
			continue;
		n = snprintf(out + len, room - len, "%s%s", len ? ", " : "",
			     r->specs[i]->type);
		if (n < 0 || (size_t)n >= room - len)
			return;
		len += (size_t)n;
	}
}

static const struct r3_server_spec *find_spec(struct reading *r,
					      struct r3_conf_section *s)
{
	const struct r3_conf_entry *e = r3_conf_get(s, "type");
	struct near n = { 0 };
	char hint[96], list[LIST_LEN];

	list_types(r, s->kind, list, sizeof(list));
	if (!e) {
		r3_conf_error(r->conf, s->line, "[%s %s] has no type; write "
			      "'type = ...', one of: %s", s->kind, s->name,
			      list);
		return NULL;
	}
	n.word = e->value;
	for (unsigned i = 0; r->specs[i]; i++) {
		if (strcmp(r->specs[i]->kind, s->kind))
			continue;
		if (!strcmp(r->specs[i]->type, e->value))
			return r->specs[i];
		near_try(&n, r->specs[i]->type);
	}
	near_hint(&n, hint, sizeof(hint));
	r3_conf_error(r->conf, e->line, "there is no %s of type '%s'%s%s",
		      s->kind, e->value, *hint ? hint : "; there is: ",
		      *hint ? "" : list);
	return NULL;
}

/* ---- its values --------------------------------------------------------- */

static char *socket_path(struct reading *r, int line, const char *name,
			 const char *key, const char *value)
{
	char path[2 * R3_NODE_PATH_MAX];
	bool plain = !strcmp(key, "listen");

	if (value && *value) {
		char *abs = read_absolute(r, value);

		if (!abs)
			return NULL;
		snprintf(path, sizeof(path), "%s", abs);
		free(abs);
	} else {
		snprintf(path, sizeof(path), "%s/%s%s%s.sock", r->node->rundir,
			 name, plain ? "" : ".", plain ? "" : key);
	}
	if (strlen(path) > R3_NODE_SOCK_MAX)
		r3_conf_error(r->conf, line, "%s: a socket's path has at most "
			      "%d bytes, and this one has %zu: %s", key,
			      R3_NODE_SOCK_MAX, strlen(path), path);
	return read_keep(r, path);
}

static bool is_bdf(const char *s)
{
	static const char form[] = "xxxx:xx:xx.o";

	for (unsigned i = 0; form[i]; i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)s[i]) :
		    form[i] == 'o' ? s[i] < '0' || s[i] > '7' :
				     s[i] != form[i])
			return false;
	}
	return !s[sizeof(form) - 1];
}

static void add_opt(struct reading *r, struct r3_node_server *s,
		    enum r3_node_kind kind, const char *key, char *value)
{
	struct r3_node_opt *o = &s->opts[s->opt_count++];

	o->kind = kind;
	o->key = read_keep(r, key);
	o->value = value;
}

/* A model's name is left as it is until all servers are known. */
static void add_device(struct reading *r, struct r3_node_server *s,
		       const struct r3_key *k, int line, const char *value)
{
	char text[2 * R3_NODE_PATH_MAX];
	char *path;

	if (!strncmp(value, "pci:", 4)) {
		if (!is_bdf(value + 4))
			r3_conf_error(r->conf, line, "%s: '%s' is no PCI "
				      "address; one looks like "
				      "pci:0000:01:00.0 ('ring3 device list')",
				      k->name, value);
		add_opt(r, s, R3_NODE_PCI, k->name, read_keep(r, value));
		return;
	}
	if (!strncmp(value, "vfio-user:", 10)) {
		path = read_absolute(r, value + 10);
		snprintf(text, sizeof(text), "vfio-user:%s", path ? path : "");
		free(path);
		if (strlen(text) > R3_NODE_SOCK_MAX + 10)
			r3_conf_error(r->conf, line, "%s: a socket's path has "
				      "at most %d bytes", k->name,
				      R3_NODE_SOCK_MAX);
		add_opt(r, s, R3_NODE_SOCKET, k->name, read_keep(r, text));
		return;
	}
	add_opt(r, s, R3_NODE_SOCKET, k->name, read_keep(r, value));
}

static bool is_readonly(struct r3_conf_section *c)
{
	const struct r3_conf_entry *e = r3_conf_get(c, "readonly");

	return e && !strcmp(e->value, "yes");
}

static void add_value(struct reading *r, struct r3_conf_section *c,
		      struct r3_node_server *s, const struct r3_key *k,
		      int line, const char *value)
{
	char *path;

	switch (k->kind) {
	case R3_KEY_FILE:
		if (!*value) {
			add_opt(r, s, R3_NODE_OPT, k->name, read_keep(r, ""));
			return;
		}
		path = read_absolute(r, value);
		if (path)
			read_check_file(r, line, k->name, path,
				   is_readonly(c) ? R_OK : R_OK | W_OK);
		add_opt(r, s, R3_NODE_FILE, k->name, path);
		return;
	case R3_KEY_LISTEN:
		add_opt(r, s, R3_NODE_LISTEN, k->name,
			socket_path(r, line, s->name, k->name, value));
		return;
	case R3_KEY_DEVICE:
		add_device(r, s, k, line, value);
		return;
	default:
		add_opt(r, s, R3_NODE_OPT, k->name, read_keep(r, value));
	}
}

static void read_key(struct reading *r, struct r3_conf_section *c,
		     struct r3_node_server *s, const struct r3_key *k)
{
	const struct r3_conf_entry *e = r3_conf_get(c, k->name);
	int line = e ? e->line : c->line;
	const char *value = e ? e->value : k->def;
	char why[160];

	if (!value && k->kind == R3_KEY_LISTEN)
		value = "";
	if (!value) {
		r3_conf_error(r->conf, line, "[%s %s] has no %s; write '%s = "
			      "...': %s", c->kind, c->name, k->name, k->name,
			      k->help);
		return;
	}
	if (k->kind != R3_KEY_LISTEN &&
	    r3_key_check(k, value, why, sizeof(why))) {
		r3_conf_error(r->conf, line, "%s = %s: %s", k->name, value,
			      why);
		return;
	}
	add_value(r, c, s, k, line, value);
}

static unsigned common_uint(struct reading *r, struct r3_conf_section *c,
			    const char *name, unsigned def)
{
	const struct r3_conf_entry *e = r3_conf_get(c, name);
	char why[160];
	uint64_t n;

	if (!e)
		return def;
	if (r3_key_check(read_find_key(common_keys, name), e->value, why,
			 sizeof(why))) {
		r3_conf_error(r->conf, e->line, "%s = %s: %s", name, e->value,
			      why);
		return def;
	}
	r3_parse_uint(e->value, &n);
	return (unsigned)n;
}

/* ---- the section -------------------------------------------------------- */

static void check_program(struct reading *r, const struct r3_node_server *s)
{
	if (access(s->program, X_OK))
		r3_conf_error(r->conf, s->line, "the program %s: %s; build or "
			      "install it, or set R3_LIBEXEC", s->program,
			      strerror(errno));
}

void read_server(struct reading *r, struct r3_conf_section *c)
{
	const struct r3_server_spec *spec = find_spec(r, c);
	struct r3_node_server *s;
	char text[2 * R3_NODE_PATH_MAX];

	if (!spec) {
		common_uint(r, c, "hang_ms", 0);
		return;
	}
	if (r->node->server_count == R3_NODE_SERVERS_MAX) {
		r3_conf_error(r->conf, c->line, "more than %d servers",
			      R3_NODE_SERVERS_MAX);
		return;
	}
	s = &r->node->servers[r->node->server_count++];
	snprintf(s->name, sizeof(s->name), "%s", c->name);
	s->spec = spec;
	s->line = c->line;
	s->kind = read_keep(r, spec->kind);
	s->type = read_keep(r, spec->type);
	snprintf(text, sizeof(text), "%s/%s", r->libexec, spec->program);
	s->program = read_keep(r, text);
	for (const struct r3_key *k = spec->keys; k->name; k++)
		read_key(r, c, s, k);
	s->hang_ms = common_uint(r, c, "hang_ms", HANG_MS_DEFAULT);
	s->limit = common_uint(r, c, "limit", LIMIT_DEFAULT);
	snprintf(text, sizeof(text), "[%s %s] (type %s)", c->kind, c->name,
		 spec->type);
	read_check_unused(r, c, spec->keys, common_keys, text);
	check_program(r, s);
}
