// SPDX-License-Identifier: GPL-2.0-or-later
/* read.c - a node's configuration, checked against what each part wants */
#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"
#include "ring3/node.h"

#define HANG_MS_DEFAULT 3000
#define LIMIT_DEFAULT	8
#define LIST_LEN	512

struct reading {
	struct r3_conf *conf;
	struct r3_node *node;
	const struct r3_server_spec *const *specs;
	char dir[R3_NODE_PATH_MAX]; /* of the file */
	char libexec[R3_NODE_PATH_MAX];
	bool no_memory;
};

/* Keys of every server, besides those of its spec. */
static const struct r3_key common_keys[] = {
	{ .name = "type", .kind = R3_KEY_STRING },
	{ .name = "hang_ms", .kind = R3_KEY_UINT, .min = 100, .max = 600000 },
	{ .name = "limit", .kind = R3_KEY_UINT, .min = 0, .max = 1000 },
	{ 0 },
};

static const struct r3_key guest_keys[] = {
	{ .name = "engine", .kind = R3_KEY_CHOICE, .def = "auto",
	  .choices = "auto|kvm|tcg" },
	{ .name = "kernel", .kind = R3_KEY_FILE },
	{ .name = "initrd", .kind = R3_KEY_FILE, .def = "" },
	{ .name = "memory", .kind = R3_KEY_SIZE, .def = "512M",
	  .min = 64 * R3_MIB, .max = 1024 * R3_GIB },
	{ .name = "cpus", .kind = R3_KEY_UINT, .def = "1", .min = 1,
	  .max = 64 },
	{ .name = "disk", .kind = R3_KEY_STRING },
	{ .name = "cmdline", .kind = R3_KEY_STRING, .def = "" },
	{ .name = "job", .kind = R3_KEY_STRING, .def = "" },
	{ 0 },
};

static char *keep(struct reading *r, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		r->no_memory = true;
	return copy;
}

static const struct r3_key *find_key(const struct r3_key *keys,
				     const char *name)
{
	for (const struct r3_key *k = keys; k->name; k++) {
		if (!strcmp(k->name, name))
			return k;
	}
	return NULL;
}

/* ---- sections ----------------------------------------------------------- */

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

/* "a, b or c": the types of a kind */
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

static void unknown_key(struct reading *r, const struct r3_conf_entry *e,
			const struct r3_key *keys, const struct r3_key *more,
			const char *where)
{
	struct near n = { .word = e->key };
	char hint[96];

	for (const struct r3_key *k = keys; k->name; k++)
		near_try(&n, k->name);
	for (const struct r3_key *k = more; k && k->name; k++)
		near_try(&n, k->name);
	r3_conf_error(r->conf, e->line, "%s has no key '%s'%s", where, e->key,
		      near_hint(&n, hint, sizeof(hint)));
}

/* What nobody asked for is a typing error. */
static void check_unused(struct reading *r, struct r3_conf_section *s,
			 const struct r3_key *keys, const struct r3_key *more,
			 const char *where)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!s->v[i].used)
			unknown_key(r, &s->v[i], keys, more, where);
	}
}

/* ---- values ------------------------------------------------------------- */

static char *absolute(struct reading *r, const char *path)
{
	char out[2 * R3_NODE_PATH_MAX];

	if (*path == '/')
		return keep(r, path);
	snprintf(out, sizeof(out), "%s/%s", r->dir, path);
	return keep(r, out);
}

static void check_file(struct reading *r, int line, const char *key,
		       const char *path, int mode)
{
	struct stat st;

	if (stat(path, &st))
		r3_conf_error(r->conf, line, "%s: %s: %s; name a file that "
			      "exists", key, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		r3_conf_error(r->conf, line, "%s: %s is a folder; name a file",
			      key, path);
	else if (access(path, mode))
		r3_conf_error(r->conf, line, "%s: %s: %s; %s", key, path,
			      strerror(errno), mode & W_OK ?
			      "it must be readable and writable" :
			      "it must be readable");
}

static char *socket_path(struct reading *r, int line, const char *name,
			 const char *key, const char *value)
{
	char path[2 * R3_NODE_PATH_MAX];
	bool plain = !strcmp(key, "listen");

	if (value && *value) {
		char *abs = absolute(r, value);

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
	return keep(r, path);
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

static struct r3_node_server *server_of(struct r3_node *node, const char *name)
{
	for (unsigned i = 0; i < node->server_count; i++) {
		if (!strcmp(node->servers[i].name, name))
			return &node->servers[i];
	}
	return NULL;
}

/* Where @s listens, or NULL. */
static const char *listens_at(const struct r3_node_server *s)
{
	for (unsigned i = 0; i < s->opt_count; i++) {
		if (s->opts[i].kind == R3_NODE_LISTEN)
			return s->opts[i].value;
	}
	return NULL;
}

static void add_opt(struct reading *r, struct r3_node_server *s,
		    enum r3_node_kind kind, const char *key, char *value)
{
	struct r3_node_opt *o = &s->opts[s->opt_count++];

	o->kind = kind;
	o->key = keep(r, key);
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
		add_opt(r, s, R3_NODE_PCI, k->name, keep(r, value));
		return;
	}
	if (!strncmp(value, "vfio-user:", 10)) {
		path = absolute(r, value + 10);
		snprintf(text, sizeof(text), "vfio-user:%s", path ? path : "");
		free(path);
		if (strlen(text) > R3_NODE_SOCK_MAX + 10)
			r3_conf_error(r->conf, line, "%s: a socket's path has "
				      "at most %d bytes", k->name,
				      R3_NODE_SOCK_MAX);
		add_opt(r, s, R3_NODE_SOCKET, k->name, keep(r, text));
		return;
	}
	add_opt(r, s, R3_NODE_SOCKET, k->name, keep(r, value));
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
			add_opt(r, s, R3_NODE_OPT, k->name, keep(r, ""));
			return;
		}
		path = absolute(r, value);
		if (path)
			check_file(r, line, k->name, path,
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
		add_opt(r, s, R3_NODE_OPT, k->name, keep(r, value));
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
	if (r3_key_check(find_key(common_keys, name), e->value, why,
			 sizeof(why))) {
		r3_conf_error(r->conf, e->line, "%s = %s: %s", name, e->value,
			      why);
		return def;
	}
	r3_parse_uint(e->value, &n);
	return (unsigned)n;
}

static void check_program(struct reading *r, const struct r3_node_server *s)
{
	if (access(s->program, X_OK))
		r3_conf_error(r->conf, s->line, "the program %s: %s; build or "
			      "install it, or set R3_LIBEXEC", s->program,
			      strerror(errno));
}

static void read_server(struct reading *r, struct r3_conf_section *c)
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
	s->kind = keep(r, spec->kind);
	s->type = keep(r, spec->type);
	snprintf(text, sizeof(text), "%s/%s", r->libexec, spec->program);
	s->program = keep(r, text);
	for (const struct r3_key *k = spec->keys; k->name; k++)
		read_key(r, c, s, k);
	s->hang_ms = common_uint(r, c, "hang_ms", HANG_MS_DEFAULT);
	s->limit = common_uint(r, c, "limit", LIMIT_DEFAULT);
	snprintf(text, sizeof(text), "[%s %s] (type %s)", c->kind, c->name,
		 spec->type);
	check_unused(r, c, spec->keys, common_keys, text);
	check_program(r, s);
}

/* ---- references --------------------------------------------------------- */

static int line_of(struct reading *r, const char *name, const char *key)
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

/* The listening server called @name, or NULL after an error. */
static struct r3_node_server *refer(struct reading *r, int line,
				    const char *key, const char *name)
{
	struct r3_node_server *s = server_of(r->node, name);
	struct near n = { .word = name };
	char hint[96];

	if (s && listens_at(s))
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

/* A name becomes "vfio-user:" and the path where that server listens. */
static void resolve(struct reading *r, struct r3_node_server *s,
		    struct r3_node_opt *o)
{
	struct r3_node_server *to;
	char text[R3_NODE_PATH_MAX];

	to = refer(r, line_of(r, s->name, o->key), o->key, o->value);
	if (!to)
		return;
	snprintf(text, sizeof(text), "vfio-user:%s", listens_at(to));
	free(o->value);
	o->value = keep(r, text);
}

static void resolve_all(struct reading *r)
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

/* ---- what only one server can have --------------------------------------- */

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !strcmp(a, b) || (!stat(a, &x) && !stat(b, &y) &&
				 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static const struct r3_node_opt *opt_of(const struct r3_node_server *s,
					const char *key)
{
	for (unsigned i = 0; i < s->opt_count; i++) {
		if (!strcmp(s->opts[i].key, key))
			return &s->opts[i];
	}
	return NULL;
}

static bool both_read(struct r3_node_server *a, struct r3_node_server *b)
{
	const struct r3_node_opt *x = opt_of(a, "readonly");
	const struct r3_node_opt *y = opt_of(b, "readonly");

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
			r3_conf_error(r->conf, line_of(r, b->name, y->key),
				      "%s: %s has it already; only one server "
				      "can, give %s one of its own", y->key,
				      a->name, b->name);
	}
}

/* A socket, a device, a file that is written: each has one user. */
static void check_shared(struct reading *r)
{
	struct r3_node_server *v = r->node->servers;

	for (unsigned i = 0; i < r->node->server_count; i++)
		for (unsigned j = i + 1; j < r->node->server_count; j++)
			for (unsigned k = 0; k < v[i].opt_count; k++)
				check_pair(r, &v[i], &v[j], &v[i].opts[k]);
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

/* ---- guests ------------------------------------------------------------- */

static const char *guest_value(struct reading *r, struct r3_conf_section *c,
			       const char *name, int *line)
{
	const struct r3_key *k = find_key(guest_keys, name);
	const struct r3_conf_entry *e = r3_conf_get(c, name);
	const char *value = e ? e->value : k->def;
	char why[160];

	*line = e ? e->line : c->line;
	if (!value) {
		r3_conf_error(r->conf, *line, "[guest %s] has no %s; write "
			      "'%s = ...'", c->name, name, name);
		return NULL;
	}
	if (r3_key_check(k, value, why, sizeof(why))) {
		r3_conf_error(r->conf, *line, "%s = %s: %s", name, value, why);
		return NULL;
	}
	return value;
}

static char *guest_file(struct reading *r, struct r3_conf_section *c,
			const char *name)
{
	int line;
	const char *value = guest_value(r, c, name, &line);
	char *path;

	if (!value || !*value)
		return NULL;
	path = absolute(r, value);
	if (path)
		check_file(r, line, name, path, R_OK);
	return path;
}

static uint64_t guest_number(struct reading *r, struct r3_conf_section *c,
			     const char *name)
{
	int line;
	const char *value = guest_value(r, c, name, &line);
	uint64_t n = 0;

	if (value)
		r3_parse_size(value, &n);
	return n;
}

/* How many virtqueues it serves; QEMU refuses to start with more. */
static uint64_t queues_of(const struct r3_node_server *s)
{
	uint64_t n;

	for (unsigned i = 0; i < s->opt_count; i++) {
		if (!strcmp(s->opts[i].key, "queues") && s->opts[i].value &&
		    !r3_parse_uint(s->opts[i].value, &n))
			return r3_max(n, 1);
	}
	return 1;
}

static void read_guest(struct reading *r, struct r3_conf_section *c)
{
	struct r3_node_guest *g;
	struct r3_node_server *disk;
	const char *value;
	char where[R3_SERVER_NAME_MAX + 16];
	int line;

	if (r->node->guest_count == R3_NODE_GUESTS_MAX) {
		r3_conf_error(r->conf, c->line, "more than %d guests",
			      R3_NODE_GUESTS_MAX);
		return;
	}
	g = &r->node->guests[r->node->guest_count++];
	snprintf(g->name, sizeof(g->name), "%s", c->name);
	g->line = c->line;
	value = guest_value(r, c, "engine", &line);
	snprintf(g->engine, sizeof(g->engine), "%s", value ? value : "");
	g->kernel = guest_file(r, c, "kernel");
	g->initrd = guest_file(r, c, "initrd");
	g->memory = guest_number(r, c, "memory");
	g->cpus = guest_number(r, c, "cpus");
	value = guest_value(r, c, "cmdline", &line);
	g->cmdline = keep(r, value ? value : "");
	value = guest_value(r, c, "job", &line);
	g->job = keep(r, value ? value : "");
	value = guest_value(r, c, "disk", &line);
	disk = value ? refer(r, line, "disk", value) : NULL;
	if (disk) {
		g->disk = keep(r, disk->name);
		g->disk_sock = keep(r, listens_at(disk));
		g->queues = r3_min(g->cpus, queues_of(disk));
	}
	if (!r3_is_aligned(g->memory, R3_MIB))
		r3_conf_error(r->conf, c->line, "memory must be a whole number "
			      "of MiB, such as 512M");
	snprintf(where, sizeof(where), "[guest %s]", c->name);
	check_unused(r, c, guest_keys, NULL, where);
}

/* ---- the whole ---------------------------------------------------------- */

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
		check_unused(r, c, keys, NULL, "[node]");
	if (r3_node_rundir(r->node->name, path, sizeof(path)))
		r3_conf_error(r->conf, 0, "there is no folder for a node's "
			      "sockets; set XDG_RUNTIME_DIR or R3_RUNDIR to "
			      "one of yours");
	else
		r->node->rundir = keep(r, path);
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
	for (unsigned i = 0; i < r->conf->count; i++) {
		if (!strcmp(r->conf->v[i].kind, "guest"))
			read_guest(r, &r->conf->v[i]);
	}
	resolve_all(r);
	if (!r->conf->errors)
		check_shared(r);
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
