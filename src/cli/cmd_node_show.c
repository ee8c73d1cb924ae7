// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_show.c - ring3 status, logs */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd_node.h"

#define FOLLOW_US 200000 /* between two looks at a growing log */

const struct r3_opt node_cli_status_opts[] = {
	{ .name = "json", .letter = 'j', .help = "print JSON" },
	{ 0 },
};

const struct r3_opt node_cli_logs_opts[] = {
	{ .name = "follow", .letter = 'f', .help = "go on as they grow" },
	{ .name = "node", .arg = "NODE", .letter = 'n',
	  .help = "which node, when several run" },
	{ 0 },
};

static void print_time(long long ms)
{
	if (ms < 60000)
		printf(" %6.1fs", (double)ms / 1000);
	else if (ms < 3600000)
		printf(" %3lldm%02llds", ms / 60000, ms / 1000 % 60);
	else
		printf(" %3lldh%02lldm", ms / 3600000, ms / 60000 % 60);
}

static void print_server(const json_t *o)
{
	const char *cause = node_cli_str(o, "last_death");

	printf("%-12s %-6s %-10s %7lld %8lld", node_cli_str(o, "name"),
	       node_cli_str(o, "kind"), node_cli_str(o, "state"),
	       node_cli_int(o, "pid"), node_cli_int(o, "restarts"));
	print_time(node_cli_int(o, "uptime_ms"));
	printf(" %9.0f %8.1f  %s\n", node_cli_num(o, "requests_per_s"),
	       node_cli_num(o, "bytes_per_s") / 1e6, *cause ? cause : "-");
	if (*node_cli_str(o, "status"))
		printf("%12s %s\n", "", node_cli_str(o, "status"));
}

static void print_guest(const json_t *o)
{
	const char *cause = node_cli_str(o, "last_death");

	printf("%-12s %-6s %-10s %7lld %8lld", node_cli_str(o, "name"),
	       node_cli_str(o, "engine"), node_cli_str(o, "state"),
	       node_cli_int(o, "pid"), node_cli_int(o, "restarts"));
	print_time(node_cli_int(o, "uptime_ms"));
	printf(" %9s %8s  %s\n", "", "", *cause ? cause : "-");
}

static void print_status(json_t *status)
{
	json_t *o;
	size_t i;

	printf("node %s, supervisor %lld, up", node_cli_str(status, "node"),
	       node_cli_int(status, "pid"));
	print_time(node_cli_int(status, "uptime_ms"));
	printf("\n%-12s %-6s %-10s %7s %8s %7s %9s %8s  %s\n", "NAME", "KIND",
	       "STATE", "PID", "RESTARTS", "UPTIME", "REQ/S", "MB/S",
	       "LAST DEATH");
	json_array_foreach(json_object_get(status, "servers"), i, o)
		print_server(o);
	json_array_foreach(json_object_get(status, "guests"), i, o)
		print_guest(o);
}

int node_cli_status(const struct r3_args *args)
{
	struct node_ref ref;
	json_t *status;
	int ret = node_cli_find(args->count ? args->pos[0] : NULL, &ref);

	if (!ret)
		ret = node_cli_call(&ref, "status", 5000, &status);
	if (ret)
		return ret;
	if (r3_cli_opt(args, "json"))
		node_cli_print_json(status);
	else
		print_status(status);
	json_decref(status);
	return R3_EXIT_OK;
}

/* ---- logs --------------------------------------------------------------- */

struct log {
	char path[R3_NODE_PATH_MAX + R3_SERVER_NAME_MAX + 32];
	const char *name;
	long at;
};

/* What is new in one log, each line after its server's name. */
static void show_new(struct log *l, bool name)
{
	FILE *f = fopen(l->path, "re");
	char line[4096];
	struct stat st;

	if (!f)
		return;
	if (!fstat(fileno(f), &st) && st.st_size < l->at)
		l->at = 0; /* it has been moved away */
	fseek(f, l->at, SEEK_SET);
	while (fgets(line, sizeof(line), f)) {
		if (name)
			printf("%-12s ", l->name);
		fputs(line, stdout);
		if (!strchr(line, '\n'))
			putchar('\n');
	}
	l->at = ftell(f);
	fclose(f);
	fflush(stdout);
}

static void add_log(struct log *logs, unsigned *count,
		    const struct node_ref *ref, const char *name)
{
	struct log *l = &logs[(*count)++];

	snprintf(l->path, sizeof(l->path), "%s/log/%s.log", ref->rundir, name);
	l->name = name;
	l->at = 0;
}

#define LOGS_MAX (R3_NODE_SERVERS_MAX + R3_NODE_GUESTS_MAX + 1)

static int which_logs(struct log *logs, unsigned *count,
		      const struct node_ref *ref, json_t *status,
		      const char *only)
{
	static const char *const lists[] = { "servers", "guests" };
	json_t *o;
	size_t i;

	if (only && strcmp(only, "supervisor")) {
		o = node_cli_unit(status, only);
		if (!o) {
			fprintf(stderr, "ring3: node %s has no server '%s'\n",
				ref->name, only);
			return R3_EXIT_UNKNOWN;
		}
		add_log(logs, count, ref, node_cli_str(o, "name"));
		return R3_EXIT_OK;
	}
	add_log(logs, count, ref, "supervisor");
	for (unsigned l = 0; l < R3_COUNT(lists) && !only; l++) {
		json_array_foreach(json_object_get(status, lists[l]), i, o) {
			if (*count < LOGS_MAX)
				add_log(logs, count, ref,
					node_cli_str(o, "name"));
		}
	}
	return R3_EXIT_OK;
}

static bool is_running(const struct node_ref *ref)
{
	json_t *o;

	if (node_cli_ask(ref, "status", 5000, &o))
		return false;
	json_decref(o);
	return true;
}

static void show_logs(struct log *logs, unsigned count,
		      const struct node_ref *ref, bool follow)
{
	unsigned rounds = 0;

	for (;;) {
		for (unsigned i = 0; i < count; i++)
			show_new(&logs[i], count > 1);
		if (!follow || ferror(stdout) ||
		    (++rounds % 10 == 0 && !is_running(ref)))
			return;
		usleep(FOLLOW_US);
	}
}

int node_cli_logs(const struct r3_args *args)
{
	struct log *logs = calloc(LOGS_MAX, sizeof(*logs));
	json_t *status = NULL;
	struct node_ref ref;
	unsigned count = 0;
	int ret = R3_EXIT_FAILED;

	if (!logs)
		return ret;
	ret = node_cli_find(r3_cli_opt(args, "node"), &ref);
	if (!ret)
		ret = node_cli_call(&ref, "status", 5000, &status);
	if (!ret)
		ret = which_logs(logs, &count, &ref, status,
				 args->count ? args->pos[0] : NULL);
	if (!ret)
		show_logs(logs, count, &ref,
			  r3_cli_opt(args, "follow") != NULL);
	json_decref(status);
	free(logs);
	return ret;
}
