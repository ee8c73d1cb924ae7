// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_config.c - ring3 config check, keys */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_node.h"

static const struct r3_opt json_opts[] = {
	{ .name = "json", .letter = 'j', .help = "print JSON" },
	{ 0 },
};

/* A file can be checked where no node could be started, as in a build: without
 * a folder for sockets take the one that a login has. */
static void any_rundir(void)
{
	char path[R3_NODE_PATH_MAX];

	if (!r3_node_rundir("", path, sizeof(path)))
		return;
	snprintf(path, sizeof(path), "/run/user/%u/ring3", geteuid());
	setenv("R3_RUNDIR", path, 1);
}

static int run_check(const struct r3_args *args)
{
	struct r3_node *node;
	int err;

	any_rundir();
	err = r3_node_read(&node, args->pos[0], r3_node_specs);
	if (err) {
		if (err != -EINVAL)
			fprintf(stderr, "ring3: %s: %s\n", args->pos[0],
				strerror(-err));
		return R3_EXIT_FAILED;
	}
	if (r3_cli_opt(args, "json"))
		printf("{\"node\":\"%s\",\"servers\":%u,\"guests\":%u}\n",
		       node->name, node->server_count, node->guest_count);
	else
		printf("%s: node %s, %u servers, %u guests: correct\n",
		       args->pos[0], node->name, node->server_count,
		       node->guest_count);
	r3_node_free(node);
	return R3_EXIT_OK;
}

/* What may stand after the '='. */
static void describe(const struct r3_key *k, char *out, size_t room)
{
	static const char *const words[] = {
		[R3_KEY_STRING] = "text",   [R3_KEY_BOOL] = "yes|no",
		[R3_KEY_FILE] = "file",	    [R3_KEY_LISTEN] = "socket",
		[R3_KEY_DEVICE] = "device", [R3_KEY_CPUS] = "auto|list",
	};

	if (k->kind == R3_KEY_CHOICE)
		snprintf(out, room, "%s", k->choices);
	else if (k->kind == R3_KEY_UINT || k->kind == R3_KEY_SIZE)
		snprintf(out, room, "%s%llu..%llu",
			 k->kind == R3_KEY_SIZE ? "bytes " : "",
			 (unsigned long long)k->min,
			 (unsigned long long)k->max);
	else
		snprintf(out, room, "%s", words[k->kind]);
}

static void print_spec(const struct r3_server_spec *spec)
{
	char what[96];

	printf("[%s NAME]  type = %s: %s\n", spec->kind, spec->type,
	       spec->summary);
	for (const struct r3_key *k = spec->keys; k->name; k++) {
		describe(k, what, sizeof(what));
		printf("  %-16s %-20s %s", k->name, what, k->help);
		if (!k->def && k->kind != R3_KEY_LISTEN)
			printf(" (needed)");
		else if (k->def && *k->def)
			printf(" [%s]", k->def);
		putchar('\n');
	}
}

static json_t *spec_json(const struct r3_server_spec *spec)
{
	json_t *keys = json_array();
	char what[96];

	for (const struct r3_key *k = spec->keys; k->name; k++) {
		describe(k, what, sizeof(what));
		json_array_append_new(keys, json_pack(
			"{s:s, s:s, s:s, s:b, s:s}", "name", k->name,
			"value", what, "help", k->help, "needed",
			!k->def && k->kind != R3_KEY_LISTEN, "default",
			k->def ? k->def : ""));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "kind", spec->kind,
			 "type", spec->type, "program", spec->program,
			 "summary", spec->summary, "keys", keys);
}

static int run_keys(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json") != NULL, found = false;
	const char *type = args->count ? args->pos[0] : NULL;
	json_t *all = json_array(), *o;

	for (unsigned i = 0; r3_node_specs[i]; i++) {
		const struct r3_server_spec *spec = r3_node_specs[i];

		if (type && strcmp(spec->type, type) &&
		    strcmp(spec->kind, type))
			continue;
		found = true;
		if (json)
			json_array_append_new(all, spec_json(spec));
		else
			print_spec(spec);
	}
	if (!found && type) {
		fprintf(stderr, "ring3: there is no kind or type '%s'\n", type);
		json_decref(all);
		return R3_EXIT_UNKNOWN;
	}
	o = json_pack("{s:o}", "servers", all);
	if (json)
		node_cli_print_json(o);
	json_decref(o);
	return R3_EXIT_OK;
}

const struct r3_cmd r3_cmd_config[] = {
	{ .name = "check", .args = "NODE.conf", .min_args = 1, .max_args = 1,
	  .opts = json_opts, .run = run_check,
	  .summary = "say what is wrong in a configuration, start nothing" },
	{ .name = "keys", .args = "[KIND|TYPE]", .max_args = 1,
	  .opts = json_opts, .run = run_keys,
	  .summary = "every server's keys, values and defaults" },
	{ 0 },
};
