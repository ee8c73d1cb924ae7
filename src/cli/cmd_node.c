// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node.c - which node is meant, and how to ask its supervisor */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_node.h"

static int named(const char *name, struct node_ref *out)
{
	if (!*name || strlen(name) >= sizeof(out->name) || strchr(name, '/')) {
		fprintf(stderr, "ring3: '%s' is not a node's name\n", name);
		return R3_EXIT_UNKNOWN;
	}
	strcpy(out->name, name);
	if (r3_node_rundir(name, out->rundir, sizeof(out->rundir))) {
		fputs("ring3: there is no folder for a node's sockets; set "
		      "XDG_RUNTIME_DIR or R3_RUNDIR\n", stderr);
		return R3_EXIT_FAILED;
	}
	return R3_EXIT_OK;
}

/* Only the name: the file may have changed since the node was started. */
static int from_file(const char *path, struct node_ref *out)
{
	struct r3_conf *conf;
	const char *name = NULL;
	int err = r3_conf_read(&conf, path);

	if (err) {
		if (err != -EINVAL)
			fprintf(stderr, "ring3: %s: %s\n", path,
				strerror(-err));
		return R3_EXIT_FAILED;
	}
	for (unsigned i = 0; i < conf->count; i++) {
		const struct r3_conf_entry *e;

		if (strcmp(conf->v[i].kind, "node"))
			continue;
		e = r3_conf_get(&conf->v[i], "name");
		name = e ? e->value : NULL;
	}
	err = named(name ? name : "", out);
	r3_conf_free(conf);
	return err;
}

static bool runs(const char *base, const char *name)
{
	struct node_ref ref;
	char *answer;

	if (snprintf(ref.rundir, sizeof(ref.rundir), "%s/%s", base, name) >=
		    (int)sizeof(ref.rundir) ||
	    r3_node_call(ref.rundir, "status", 5000, &answer))
		return false;
	free(answer);
	return true;
}

/* The one that runs; several: the user must say which. */
static int only_one(struct node_ref *out)
{
	char base[R3_NODE_PATH_MAX], found[R3_SERVER_NAME_MAX] = "";
	unsigned count = 0;
	struct dirent *d;
	DIR *dir;

	if (r3_node_rundir("", base, sizeof(base))) {
		fputs("ring3: no node is running, or XDG_RUNTIME_DIR or "
		      "R3_RUNDIR must say where it is\n", stderr);
		return R3_EXIT_NOT_RUNNING;
	}
	dir = opendir(base);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' ||
		    strlen(d->d_name) >= sizeof(found) ||
		    !runs(base, d->d_name))
			continue;
		if (count++)
			fprintf(stderr, "%s%s, ", count == 2 ? "ring3: several "
				"nodes run; name one of them: " : "", found);
		strcpy(found, d->d_name);
	}
	if (dir)
		closedir(dir);
	if (count == 1)
		return named(found, out);
	if (count)
		fprintf(stderr, "%s\n", found);
	else
		fputs("ring3: no node is running; 'ring3 up NODE.conf' starts "
		      "one\n", stderr);
	return count ? R3_EXIT_USAGE : R3_EXIT_NOT_RUNNING;
}

int node_cli_find(const char *word, struct node_ref *out)
{
	size_t len = word ? strlen(word) : 0;

	if (!word)
		return only_one(out);
	if (strchr(word, '/') ||
	    (len > 5 && !strcmp(word + len - 5, ".conf")))
		return from_file(word, out);
	return named(word, out);
}

int node_cli_ask(const struct node_ref *ref, const char *line, int timeout_ms,
		 json_t **out)
{
	char *text;
	int err = r3_node_call(ref->rundir, line, timeout_ms, &text);

	if (err)
		return err;
	*out = json_loads(text, 0, NULL);
	free(text);
	return *out ? 0 : -EPROTO;
}

static int refused(const struct node_ref *ref, const json_t *o)
{
	const char *code = node_cli_str(o, "code");

	fprintf(stderr, "ring3: node %s: %s\n", ref->name,
		node_cli_str(o, "error"));
	if (!strcmp(code, "unknown"))
		return R3_EXIT_UNKNOWN;
	return !strcmp(code, "usage") ? R3_EXIT_USAGE : R3_EXIT_FAILED;
}

int node_cli_call(const struct node_ref *ref, const char *line, int timeout_ms,
		  json_t **out)
{
	json_t *o = NULL;
	int err = node_cli_ask(ref, line, timeout_ms, &o);
	int ret = R3_EXIT_OK;

	if (err == -ENOENT || err == -ECONNREFUSED) {
		fprintf(stderr, "ring3: node %s is not running; 'ring3 up "
			"NODE.conf' starts it\n", ref->name);
		return R3_EXIT_NOT_RUNNING;
	}
	if (err) {
		fprintf(stderr, "ring3: node %s: no answer from its "
			"supervisor: %s; see %s/log/supervisor.log\n",
			ref->name, strerror(-err), ref->rundir);
		return R3_EXIT_FAILED;
	}
	if (json_object_get(o, "error"))
		ret = refused(ref, o);
	if (out && !ret)
		*out = o;
	else
		json_decref(o);
	return ret;
}

const char *node_cli_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

long long node_cli_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

double node_cli_num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

json_t *node_cli_unit(json_t *status, const char *name)
{
	static const char *const lists[] = { "servers", "guests" };
	json_t *o;
	size_t i;

	for (unsigned l = 0; l < R3_COUNT(lists); l++) {
		json_array_foreach(json_object_get(status, lists[l]), i, o) {
			if (!strcmp(node_cli_str(o, "name"), name))
				return o;
		}
	}
	return NULL;
}

void node_cli_print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

#define TAIL_LEN 8192

void node_cli_tail(FILE *to, const char *path, unsigned lines)
{
	char text[TAIL_LEN + 1], *p;
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return;
	if (!fseek(f, 0, SEEK_END) && ftell(f) > TAIL_LEN)
		fseek(f, -TAIL_LEN, SEEK_END);
	else
		rewind(f);
	n = fread(text, 1, TAIL_LEN, f);
	fclose(f);
	text[n] = 0;
	for (p = text + n; p > text; p--) {
		if (p[-1] == '\n' && p != text + n && !--lines)
			break;
	}
	fputs(p, to);
}
