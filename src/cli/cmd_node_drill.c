// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_node_drill.c - ring3 drill: a guest's job while its servers are killed
 *
 * The guest says on its console how it fares (guest/init): R3-BOOT when it is
 * up, R3-PROGRESS now and then, R3-JOB at the job's end.  Between the first
 * and the last of them servers are killed at random instants, evenly spread,
 * and only while requests flow.  What counts as wrong: an error that the job
 * or a server saw, a restart that failed, fewer kills than asked for.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_node.h"

#define TARGETS_MAX  16
#define TIMES_MAX    4096 /* kills in one drill */
#define LINE_LEN     512
#define LOOK_US	     20000
#define GAP_MS	     200 /* between two kills, until the job says how long */
#define GAP_MIN_MS   50
#define GAP_MAX_MS   1500
#define HURRY	     0.3
#define IDLE_MS	     3000 /* no request for that long: kill all the same */
#define END_MS	     30000 /* from the job's last word to the guest's end */
#define DRIVER_KILLS 20
#define MODEL_KILLS  5

struct target {
	char name[R3_SERVER_NAME_MAX];
	char kind[16], type[16];
	unsigned want, done;
};

struct drill {
	struct node_ref ref;
	struct target targets[TARGETS_MAX];
	unsigned target_count, want, done;
	const char *signal;
	uint32_t times[TIMES_MAX]; /* us from the kill to READY */
	/* what the console said */
	FILE *console;
	double boot_s;
	char root[32], job[32];
	long long written, verified, job_errors, job_rc;
	double eta_s; /* until the job ends; < 0: unknown */
	bool booted, ended, guest_failed;
	uint64_t end_ns, kill_ns; /* of the job's; the last kill */
	double jitter; /* of the gap to the next: not in step with anything */
	/* requests seen at the last look, and when they last grew */
	long long requests;
	uint64_t moved_ns;
	long long server_errors, quarantined, resubmitted;
	unsigned seed;
	bool failed_restart, timed_out;
};

const struct r3_opt node_cli_drill_opts[] = {
	{ .name = "kill", .arg = "SERVER=N", .letter = 'k',
	  .help = "kill it so often; again for others "
		  "[each driver 20, each model 5]" },
	{ .name = "signal", .arg = "KILL|SEGV|STOP", .letter = 's',
	  .help = "with what; STOP is followed by KILL [KILL]" },
	{ .name = "timeout", .arg = "SECONDS", .letter = 't',
	  .help = "for the whole job [900]" },
	{ .name = "json", .letter = 'j', .help = "print JSON" },
	{ 0 },
};

/* ---- the console -------------------------------------------------------- */

static const char *field(const char *line, const char *key)
{
	const char *p = strstr(line, key);

	return p ? p + strlen(key) : NULL;
}

static long long number(const char *line, const char *key)
{
	const char *p = field(line, key);

	return p ? strtoll(p, NULL, 10) : -1;
}

/* A word of a guest's: letters that can do a terminal no harm. */
static void word(const char *p, char *out, size_t room)
{
	size_t i = 0;

	for (; p && i + 1 < room && p[i] > ' ' && p[i] < 0x7f; i++)
		out[i] = p[i];
	out[i] = 0;
}

/* fio's form: "[eta 00m:12s]" */
static double eta_of(const char *line)
{
	const char *p = field(line, "[eta ");
	unsigned min, s;

	return p && sscanf(p, "%3um:%2us", &min, &s) == 2 ?
		       min * 60.0 + s : -1;
}

static void heard(struct drill *d, const char *line)
{
	const char *p;

	p = strstr(line, "R3-BOOT ");
	if (p && !d->booted) {
		d->booted = true;
		d->kill_ns = r3_now_ns();
		d->boot_s = field(p, "up_s=") ?
			    strtod(field(p, "up_s="), NULL) : 0;
		word(field(p, "root="), d->root, sizeof(d->root));
	}
	p = strstr(line, "R3-PROGRESS ");
	if (p)
		d->eta_s = eta_of(p);
	p = strstr(line, "R3-JOB ");
	if (p && !d->ended) {
		d->ended = true;
		d->end_ns = r3_now_ns();
		word(p + strlen("R3-JOB "), d->job, sizeof(d->job));
		d->written = number(p, "written_mib=");
		d->verified = number(p, "verified_mib=");
		d->job_errors = number(p, "errors=");
		d->job_rc = number(p, "rc=");
	}
	if (strstr(line, "R3-FAIL ") || strstr(line, "Kernel panic"))
		d->guest_failed = true;
}

static void read_console(struct drill *d, const char *guest)
{
	char path[R3_NODE_PATH_MAX + R3_SERVER_NAME_MAX + 32];
	char line[LINE_LEN];
	long at;

	if (!d->console) {
		snprintf(path, sizeof(path), "%s/log/%s.console.log",
			 d->ref.rundir, guest);
		d->console = fopen(path, "re");
		if (!d->console)
			return;
	}
	clearerr(d->console);
	for (at = ftell(d->console);
	     fgets(line, sizeof(line), d->console); at = ftell(d->console)) {
		if (!strchr(line, '\n') && strlen(line) < sizeof(line) - 1) {
			fseek(d->console, at, SEEK_SET); /* half a line */
			return;
		}
		heard(d, line);
	}
}

/* ---- kills -------------------------------------------------------------- */

static struct target *target_of(struct drill *d, const char *name)
{
	for (unsigned i = 0; i < d->target_count; i++) {
		if (!strcmp(d->targets[i].name, name))
			return &d->targets[i];
	}
	return NULL;
}

static int add_target(const struct r3_args *args, struct drill *d,
		      const char *text)
{
	const char *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : 0;
	struct target *t;
	uint64_t n;

	if (!len || len >= R3_SERVER_NAME_MAX || r3_parse_uint(eq + 1, &n) ||
	    n > TIMES_MAX - d->want || d->target_count == TARGETS_MAX)
		return r3_cli_usage(args, "--kill %s: SERVER=N is wanted, at "
				    "most %d in all", text, TIMES_MAX);
	t = &d->targets[d->target_count++];
	memcpy(t->name, text, len);
	t->want = (unsigned)n;
	d->want += t->want;
	return R3_EXIT_OK;
}

static int read_targets(const struct r3_args *args, struct drill *d)
{
	int ret = R3_EXIT_OK;

	for (unsigned i = 0; i < args->all_count && !ret; i++) {
		const struct r3_opt *o = &args->cmd->opts[args->all[i].opt];

		if (!strcmp(o->name, "kill"))
			ret = add_target(args, d, args->all[i].value);
	}
	return ret;
}

static int by_want(const void *a, const void *b)
{
	return (int)((const struct target *)b)->want -
	       (int)((const struct target *)a)->want;
}

/* Names that exist; without --kill every server that a disk is made of. */
static int check_targets(struct drill *d, json_t *status)
{
	bool all = !d->target_count;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(status, "servers"), i, o) {
		bool driver = !strcmp(node_cli_str(o, "kind"), "driver");
		const char *name = node_cli_str(o, "name");
		struct target *t = target_of(d, name);

		if (!t && all && d->target_count < TARGETS_MAX) {
			t = &d->targets[d->target_count++];
			snprintf(t->name, sizeof(t->name), "%s", name);
			t->want = driver ? DRIVER_KILLS : MODEL_KILLS;
			d->want += t->want;
		}
		if (!t)
			continue;
		snprintf(t->kind, sizeof(t->kind), "%s",
			 node_cli_str(o, "kind"));
		snprintf(t->type, sizeof(t->type), "%s",
			 node_cli_str(o, "type"));
	}
	qsort(d->targets, d->target_count, sizeof(*d->targets), by_want);
	for (i = 0; i < d->target_count; i++) {
		if (*d->targets[i].kind)
			continue;
		fprintf(stderr, "ring3: node %s has no server '%s' to kill\n",
			d->ref.name, d->targets[i].name);
		return R3_EXIT_UNKNOWN;
	}
	return R3_EXIT_OK;
}

/* Whoever lags most behind its share. */
static struct target *next_target(struct drill *d)
{
	struct target *best = NULL;
	double worst = 0;

	for (unsigned i = 0; i < d->target_count; i++) {
		struct target *t = &d->targets[i];
		double lag = (double)t->want * (d->done + 1) / d->want -
			     t->done;

		if (t->done < t->want && (!best || lag > worst)) {
			best = t;
			worst = lag;
		}
	}
	return best;
}

/* Looked at anew whenever the job says how long it will take.  It tends to
 * overestimate that, so that we had better hurry. */
static uint64_t gap_ns(const struct drill *d)
{
	double ms = GAP_MS;

	if (d->eta_s >= 0)
		ms = d->eta_s * 1000 * HURRY / (d->want - d->done + 1);
	if (ms < GAP_MIN_MS)
		ms = GAP_MIN_MS;
	if (ms > GAP_MAX_MS)
		ms = GAP_MAX_MS;
	return (uint64_t)(ms * d->jitter * R3_NS_PER_MS);
}

static int send_kill(struct drill *d, const char *name, const char *signal)
{
	char line[R3_SERVER_NAME_MAX + 32];

	snprintf(line, sizeof(line), "kill %s %s", name, signal);
	return node_cli_call(&d->ref, line, 5000, NULL);
}

static void kill_one(struct drill *d)
{
	struct target *t = next_target(d);
	char line[R3_SERVER_NAME_MAX + 32];
	const char *signal = d->signal;
	json_t *o;

	if (!strcmp(signal, "STOP")) {
		if (send_kill(d, t->name, "STOP"))
			return;
		usleep(1000 * (rand_r(&d->seed) % 50));
		signal = "KILL";
	}
	if (send_kill(d, t->name, signal))
		return; /* it was just not up: later */
	snprintf(line, sizeof(line), "up %s", t->name);
	if (node_cli_call(&d->ref, line, NODE_CLI_WAIT_MS, &o)) {
		d->failed_restart = true;
		return;
	}
	d->times[d->done++] = (uint32_t)node_cli_int(o, "took_us");
	t->done++;
	json_decref(o);
}

static void maybe_kill(struct drill *d)
{
	uint64_t now = r3_now_ns();
	bool busy = now - d->moved_ns < 2 * LOOK_US * R3_NS_PER_US;

	if (!d->booted || d->ended || d->done == d->want ||
	    now - d->kill_ns < gap_ns(d) ||
	    (!busy && now - d->moved_ns < IDLE_MS * R3_NS_PER_MS))
		return;
	kill_one(d);
	d->kill_ns = r3_now_ns();
	d->jitter = 0.5 + (double)rand_r(&d->seed) / RAND_MAX;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* ---- the drill ---------------------------------------------------------- */

/* An error counts where a guest would see it: at the server that is its disk.
 * A model also counts what it could not do for a driver that was killed. */
static void sum_servers(struct drill *d, json_t *status, const char *disk)
{
	long long requests = 0, errors = 0, quarantined = 0, again = 0;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(status, "servers"), i, o) {
		requests += node_cli_int(o, "requests");
		if (!strcmp(node_cli_str(o, "name"), disk))
			errors += node_cli_int(o, "errors");
		quarantined += node_cli_int(o, "quarantined");
		again += node_cli_int(o, "resubmitted");
		if (!strcmp(node_cli_str(o, "state"), "failed"))
			d->failed_restart = true;
	}
	if (requests != d->requests)
		d->moved_ns = r3_now_ns();
	d->requests = requests;
	d->server_errors = errors;
	d->quarantined = quarantined;
	d->resubmitted = again;
}

/* One look at everything; false: it is over. */
static bool look(struct drill *d, const char *guest)
{
	json_t *status, *g;
	bool going;

	if (node_cli_ask(&d->ref, "status", 5000, &status))
		return false;
	g = node_cli_unit(status, guest);
	going = g && !strcmp(node_cli_str(g, "state"), "up");
	sum_servers(d, status, node_cli_str(g, "disk"));
	json_decref(status);
	read_console(d, guest);
	if (d->failed_restart)
		return false;
	if (d->ended && r3_now_ns() - d->end_ns > END_MS * R3_NS_PER_MS)
		return false;
	return going;
}

static void drill(struct drill *d, const char *guest, uint64_t timeout_s)
{
	uint64_t until = r3_now_ns() + timeout_s * R3_NS_PER_S;

	while (look(d, guest) && !interrupted) {
		if (r3_now_ns() >= until) {
			d->timed_out = true;
			return;
		}
		maybe_kill(d);
		usleep(LOOK_US);
	}
	read_console(d, guest);
}

/* ---- the summary -------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static long long all_errors(const struct drill *d)
{
	return d->server_errors + d->quarantined +
	       (d->job_errors > 0 ? d->job_errors : 0);
}

/* What was wrong, or NULL. */
static const char *verdict(const struct drill *d)
{
	if (interrupted)
		return "interrupted";
	if (d->timed_out)
		return "the job did not end in time";
	if (d->failed_restart)
		return "a server did not come back";
	if (!d->booted)
		return "the guest did not boot";
	if (!d->ended)
		return "the guest ended without an R3-JOB line";
	if (d->guest_failed || d->job_rc)
		return "the job failed";
	if (all_errors(d))
		return "there were I/O errors";
	if (d->done < d->want)
		return "the job was over before all kills were done; give it "
		       "more to do (r3.size=MIB) or ask for fewer";
	return NULL;
}

static void print_kills(struct drill *d)
{
	printf("killed ");
	for (unsigned i = 0; i < d->target_count; i++) {
		const struct target *t = &d->targets[i];

		printf("%s%s (%s) %u times", i ? ", " : "", t->name, t->kind,
		       t->done);
	}
	qsort(d->times, d->done, sizeof(*d->times), by_size);
	printf(": %u restarts, median %.1f ms, worst %.1f ms, %lld I/O "
	       "errors\n", d->done,
	       d->done ? d->times[d->done / 2] / 1000.0 : 0,
	       d->done ? d->times[d->done - 1] / 1000.0 : 0, all_errors(d));
}

/* "nvme0 (ring3 driver, vfio-user model)" */
static void print_disk(json_t *status, const char *disk)
{
	json_t *o = node_cli_unit(status, disk);

	printf("%s (ring3 %s, %s)", disk, o ? node_cli_str(o, "kind") : "?",
	       o && strstr(node_cli_str(o, "device"), "pci:") ?
	       node_cli_str(o, "device") : "vfio-user model");
}

static void print_job(const struct drill *d)
{
	printf("%s in the guest: %lld MiB written", d->job, d->written);
	if (d->verified == d->written)
		printf(" and read back");
	else
		printf(", %lld MiB read back", d->verified);
	printf(", %lld errors\n", d->job_errors);
}

static void print_summary(struct drill *d, json_t *status, json_t *guest)
{
	printf("node %s: %zu servers, %zu guest%s (qemu, %s)\n", d->ref.name,
	       json_array_size(json_object_get(status, "servers")),
	       json_array_size(json_object_get(status, "guests")),
	       json_array_size(json_object_get(status, "guests")) == 1 ? "" :
	       "s", node_cli_str(guest, "engine"));
	if (d->booted) {
		printf("guest booted in %.1f s from %s = ", d->boot_s,
		       d->root);
		print_disk(status, node_cli_str(guest, "disk"));
		putchar('\n');
	}
	if (d->ended)
		print_job(d);
	print_kills(d);
}

static void print_json(struct drill *d, json_t *status, json_t *guest,
		       const char *wrong)
{
	json_t *kills = json_object(), *o;

	for (unsigned i = 0; i < d->target_count; i++)
		json_object_set_new(kills, d->targets[i].name,
				    json_integer(d->targets[i].done));
	qsort(d->times, d->done, sizeof(*d->times), by_size);
	o = json_pack("{s:s, s:I, s:s, s:s, s:f, s:s, s:s, s:I, s:I, s:I, s:I,"
		"s:I, s:I, s:o, s:i, s:i, s:I, s:I, s:b}",
		"node", d->ref.name, "servers", (json_int_t)json_array_size(
			json_object_get(status, "servers")),
		"guest", node_cli_str(guest, "name"),
		"engine", node_cli_str(guest, "engine"),
		"boot_s", d->boot_s, "root", d->root, "job", d->job,
		"written_mib", (json_int_t)d->written,
		"verified_mib", (json_int_t)d->verified,
		"job_errors", (json_int_t)d->job_errors,
		"server_errors", (json_int_t)d->server_errors,
		"quarantined", (json_int_t)d->quarantined,
		"resubmitted", (json_int_t)d->resubmitted,
		"kills", kills, "kills_wanted", (int)d->want,
		"restarts", (int)d->done,
		"restart_median_us", (json_int_t)(d->done ?
			d->times[d->done / 2] : 0),
		"restart_max_us", (json_int_t)(d->done ?
			d->times[d->done - 1] : 0),
		"ok", !wrong);
	if (o && wrong)
		json_object_set_new(o, "wrong", json_string(wrong));
	node_cli_print_json(o);
	json_decref(o);
}

static void show_why(const struct drill *d, const char *guest,
		     const char *wrong)
{
	static const char *const more[] = { ".console", "" };
	char path[R3_NODE_PATH_MAX + R3_SERVER_NAME_MAX + 32];

	fprintf(stderr, "ring3: drill: %s\n", wrong);
	for (unsigned i = 0; i < R3_COUNT(more); i++) {
		snprintf(path, sizeof(path), "%s/log/%s%s.log", d->ref.rundir,
			 guest, more[i]);
		fprintf(stderr, "-- the end of %s --\n", path);
		node_cli_tail(stderr, path, 20);
	}
	snprintf(path, sizeof(path), "%s/log/supervisor.log", d->ref.rundir);
	fprintf(stderr, "-- the end of %s --\n", path);
	node_cli_tail(stderr, path, 20);
}

static int run(const struct r3_args *args, struct drill *d, json_t *status,
	       uint64_t timeout_s)
{
	json_t *guest = json_array_get(json_object_get(status, "guests"), 0);
	const char *name = node_cli_str(guest, "name"), *wrong;
	int ret = check_targets(d, status);

	if (ret)
		return ret;
	if (!guest) {
		fprintf(stderr, "ring3: node %s has no guest to run a job\n",
			d->ref.name);
		return R3_EXIT_FAILED;
	}
	drill(d, name, timeout_s);
	wrong = verdict(d);
	if (r3_cli_opt(args, "json"))
		print_json(d, status, guest, wrong);
	else
		print_summary(d, status, guest);
	fflush(stdout);
	if (wrong)
		show_why(d, name, wrong);
	return wrong ? R3_EXIT_FAILED : R3_EXIT_OK;
}

int node_cli_drill(const struct r3_args *args)
{
	struct node_start how = { .file = args->pos[0], .quiet = true,
				  .job = true };
	const char *text = r3_cli_opt(args, "timeout");
	struct drill *d = calloc(1, sizeof(*d));
	uint64_t timeout_s = 900;
	json_t *status = NULL;
	int ret;

	if (!d)
		return R3_EXIT_FAILED;
	d->eta_s = -1;
	d->jitter = 1;
	d->seed = (unsigned)r3_now_ns();
	d->signal = r3_cli_opt(args, "signal");
	d->signal = d->signal ? d->signal : "KILL";
	ret = read_targets(args, d);
	if (!ret && text && (r3_parse_uint(text, &timeout_s) || !timeout_s ||
			     timeout_s > 86400))
		ret = r3_cli_usage(args, "--timeout %s: seconds, 1 to 86400",
				   text);
	if (!ret && strcmp(d->signal, "KILL") && strcmp(d->signal, "SEGV") &&
	    strcmp(d->signal, "STOP"))
		ret = r3_cli_usage(args, "--signal %s: KILL, SEGV or STOP",
				   d->signal);
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	if (!ret)
		ret = node_cli_start(&how, &d->ref);
	if (!ret) {
		ret = node_cli_call(&d->ref, "status", 5000, &status);
		if (!ret)
			ret = run(args, d, status, timeout_s);
		node_cli_stop(&d->ref);
	}
	if (d->console)
		fclose(d->console);
	json_decref(status);
	free(d);
	return ret;
}
