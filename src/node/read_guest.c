// SPDX-License-Identifier: GPL-2.0-or-later
/* read_guest.c - a guest's section: kernel, size, and the server of its disk */
#include <unistd.h>

#include "read.h"

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

static const char *guest_value(struct reading *r, struct r3_conf_section *c,
			       const char *name, int *line)
{
	const struct r3_key *k = read_find_key(guest_keys, name);
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
	path = read_absolute(r, value);
	if (path)
		read_check_file(r, line, name, path, R_OK);
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
	const struct r3_node_opt *o = read_opt(s, "queues");
	uint64_t n;

	if (!o || !o->value || r3_parse_uint(o->value, &n))
		return 1;
	return r3_max(n, 1);
}

void read_guest(struct reading *r, struct r3_conf_section *c)
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
	g->cmdline = read_keep(r, value ? value : "");
	value = guest_value(r, c, "job", &line);
	g->job = read_keep(r, value ? value : "");
	value = guest_value(r, c, "disk", &line);
	disk = value ? read_refer(r, line, "disk", value) : NULL;
	if (disk) {
		g->disk = read_keep(r, disk->name);
		g->disk_sock = read_keep(r, read_listens_at(disk));
		g->queues = r3_min(g->cpus, queues_of(disk));
	}
	if (!r3_is_aligned(g->memory, R3_MIB))
		r3_conf_error(r->conf, c->line, "memory must be a whole number "
			      "of MiB, such as 512M");
	snprintf(where, sizeof(where), "[guest %s]", c->name);
	read_check_unused(r, c, guest_keys, NULL, where);
}
