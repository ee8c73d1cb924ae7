// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plan.c - a node as flat text, from the command to the supervisor
 *
 * One word, then a value up to the end of the line.  What comes after
 * "server" or "guest" belongs to it.  Values hold no line ends: they come
 * from lines of a file.
 */
#include <stdlib.h>

#include "ring3/node.h"

#define LINE_LEN 8192

static const char *const kind_words[] = {
	[R3_NODE_OPT] = "opt",	     [R3_NODE_FILE] = "file",
	[R3_NODE_LISTEN] = "listen", [R3_NODE_SOCKET] = "socket",
	[R3_NODE_PCI] = "pci",
};

int r3_node_plan_write(const struct r3_node *node, FILE *f)
{
	fprintf(f, "node %s\nrundir %s\n", node->name, node->rundir);
	for (unsigned i = 0; i < node->server_count; i++) {
		const struct r3_node_server *s = &node->servers[i];

		fprintf(f, "server %s\nkind %s\ntype %s\nprogram %s\n"
			"hang_ms %u\nlimit %u\n", s->name, s->kind, s->type,
			s->program, s->hang_ms, s->limit);
		for (unsigned j = 0; j < s->opt_count; j++)
			fprintf(f, "%s %s=%s\n", kind_words[s->opts[j].kind],
				s->opts[j].key, s->opts[j].value);
	}
	for (unsigned i = 0; i < node->guest_count; i++) {
		const struct r3_node_guest *g = &node->guests[i];

		fprintf(f, "guest %s\nengine %s\ndisk %s\n", g->name,
			g->engine, g->disk ? g->disk : "");
		for (unsigned j = 0; j < g->arg_count; j++)
			fprintf(f, "arg %s\n", g->args[j]);
	}
	fprintf(f, "end \n");
	return fflush(f) || ferror(f) ? -EIO : 0;
}

struct reader {
	struct r3_node *node;
	struct r3_node_server *s; /* the one being read, or NULL */
	struct r3_node_guest *g;
	bool end;
};

static int set(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

static int set_name(char *to, const char *value)
{
	if (!*value || strlen(value) >= R3_SERVER_NAME_MAX)
		return -EPROTO;
	strcpy(to, value);
	return 0;
}

static int begin_server(struct reader *r, const char *name)
{
	struct r3_node *node = r->node;

	if (node->server_count == R3_NODE_SERVERS_MAX)
		return -EPROTO;
	r->g = NULL;
	r->s = &node->servers[node->server_count++];
	return set_name(r->s->name, name);
}

static int begin_guest(struct reader *r, const char *name)
{
	struct r3_node *node = r->node;

	if (node->guest_count == R3_NODE_GUESTS_MAX)
		return -EPROTO;
	r->s = NULL;
	r->g = &node->guests[node->guest_count++];
	return set_name(r->g->name, name);
}

static int add_opt(struct r3_node_server *s, unsigned kind, char *value)
{
	struct r3_node_opt *o;
	char *eq = strchr(value, '=');

	if (!eq || s->opt_count == R3_SERVER_KEYS_MAX)
		return -EPROTO;
	*eq = 0;
	o = &s->opts[s->opt_count++];
	o->kind = (enum r3_node_kind)kind;
	o->key = strdup(value);
	o->value = strdup(eq + 1);
	return o->key && o->value ? 0 : -ENOMEM;
}

static int server_line(struct r3_node_server *s, const char *word, char *value)
{
	uint64_t n;

	if (!strcmp(word, "kind"))
		return set(&s->kind, value);
	if (!strcmp(word, "type"))
		return set(&s->type, value);
	if (!strcmp(word, "program"))
		return set(&s->program, value);
	for (unsigned i = 0; i < R3_COUNT(kind_words); i++) {
		if (!strcmp(word, kind_words[i]))
			return add_opt(s, i, value);
	}
	if (r3_parse_uint(value, &n) || n > UINT32_MAX)
		return -EPROTO;
	if (!strcmp(word, "hang_ms"))
		s->hang_ms = (unsigned)n;
	else if (!strcmp(word, "limit"))
		s->limit = (unsigned)n;
	else
		return -EPROTO;
	return 0;
}

static int guest_line(struct r3_node_guest *g, const char *word,
		      const char *value)
{
	if (!strcmp(word, "engine")) {
		snprintf(g->engine, sizeof(g->engine), "%s", value);
		return 0;
	}
	if (!strcmp(word, "disk"))
		return set(&g->disk, value);
	/* the last one stays NULL, for execve() */
	if (strcmp(word, "arg") || g->arg_count + 1 >= R3_NODE_ARGS_MAX)
		return -EPROTO;
	g->arg_count++;
	return set(&g->args[g->arg_count - 1], value);
}

static int one_line(struct reader *r, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return -EPROTO;
	*value++ = 0;
	if (!strcmp(line, "node"))
		return set_name(r->node->name, value);
	if (!strcmp(line, "rundir"))
		return set(&r->node->rundir, value);
	if (!strcmp(line, "server"))
		return begin_server(r, value);
	if (!strcmp(line, "guest"))
		return begin_guest(r, value);
	if (!strcmp(line, "end")) {
		r->end = true;
		return 0;
	}
	if (r->s)
		return server_line(r->s, line, value);
	return r->g ? guest_line(r->g, line, value) : -EPROTO;
}

static bool complete(const struct r3_node *node)
{
	for (unsigned i = 0; i < node->server_count; i++) {
		const struct r3_node_server *s = &node->servers[i];

		if (!s->kind || !s->type || !s->program || !s->hang_ms)
			return false;
	}
	for (unsigned i = 0; i < node->guest_count; i++) {
		if (!node->guests[i].arg_count)
			return false;
	}
	return node->rundir && *node->name;
}

int r3_node_plan_read(struct r3_node **out, FILE *f)
{
	struct reader r = { .node = calloc(1, sizeof(*r.node)) };
	char line[LINE_LEN];
	int err = 0;

	if (!r.node)
		return -ENOMEM;
	while (!err && !r.end && fgets(line, sizeof(line), f)) {
		size_t len = strlen(line);

		if (!len || line[len - 1] != '\n') {
			err = -EPROTO;
			break;
		}
		line[len - 1] = 0;
		err = one_line(&r, line);
	}
	if (!err && (!r.end || !complete(r.node)))
		err = -EPROTO;
	if (err) {
		r3_node_free(r.node);
		return err;
	}
	*out = r.node;
	return 0;
}

void r3_node_free(struct r3_node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < node->server_count; i++) {
		struct r3_node_server *s = &node->servers[i];

		for (unsigned j = 0; j < s->opt_count; j++) {
			free(s->opts[j].key);
			free(s->opts[j].value);
		}
		free(s->kind);
		free(s->type);
		free(s->program);
	}
	for (unsigned i = 0; i < node->guest_count; i++) {
		struct r3_node_guest *g = &node->guests[i];

		for (unsigned j = 0; j < g->arg_count; j++)
			free(g->args[j]);
		free(g->disk);
		free(g->disk_sock);
		free(g->kernel);
		free(g->initrd);
		free(g->cmdline);
		free(g->job);
	}
	free(node->rundir);
	free(node);
}
