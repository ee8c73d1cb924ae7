// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_up.c - ring3 up, down, restart */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd_node.h"

#define GONE_MS 10000 /* for the supervisor to end, once it has let go */
#define POLL_US 2000 /* between two looks whether the supervisor listens */
#define HELD_US 20000 /* between two tries to follow one that is ending */

const struct r3_opt node_cli_up_opts[] = {
	{ .name = "attach", .letter = 'a',
	  .help = "then show the guest's console" },
	{ .name = "foreground", .letter = 'f',
	  .help = "stay here until SIGTERM; log to standard error" },
	{ .name = "job", .letter = 'j',
	  .help = "let the guests do their job, as 'ring3 drill' does" },
	{ .name = "quiet", .letter = 'q', .help = "print errors only" },
	{ 0 },
};

const struct r3_opt node_cli_down_opts[] = {
	{ .name = "quiet", .letter = 'q', .help = "print errors only" },
	{ 0 },
};

const struct r3_opt node_cli_restart_opts[] = {
	{ .name = "node", .arg = "NODE", .letter = 'n',
	  .help = "which node, when several run" },
	{ 0 },
};

/* mkdir -p, private to us. */
static int make_folder(const char *path)
{
	char part[R3_NODE_PATH_MAX];

	for (const char *p = path + 1; ; p++) {
		if (*p && *p != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (mkdir(part, 0700) && errno != EEXIST)
			return -errno;
		if (!*p)
			return 0;
	}
}

static bool has_job(const struct r3_node_guest *g)
{
	if (*g->job || strstr(g->cmdline, "r3.job="))
		return true;
	fprintf(stderr, "ring3: guest %s has no job; write 'job = ...' in its "
		"section\n", g->name);
	return false;
}

static int prepare_guests(struct r3_node *node, const struct node_start *how)
{
	struct r3_kvm_speed speed = { .err = 1 };
	int err = 0;

	for (unsigned i = 0; i < node->guest_count && !err; i++) {
		struct r3_node_guest *g = &node->guests[i];

		if (!strcmp(g->engine, "auto")) {
			if (speed.err > 0)
				r3_kvm_measure(&speed);
			strcpy(g->engine, !speed.err &&
				speed.kernel >= R3_KVM_FAST ? "kvm" : "tcg");
			if (!how->quiet && !speed.err &&
			    speed.kernel < R3_KVM_FAST)
				fprintf(stderr, "guest %s: /dev/kvm runs "
					"kernel code at %.1f M instructions a "
					"second: tcg is faster\n", g->name,
					(double)speed.kernel / 1e6);
		}
		if (!how->job)
			*g->job = 0;
		else if (!has_job(g))
			return -EINVAL;
		err = r3_node_guest_command(g, node->rundir);
		if (err)
			fprintf(stderr, "ring3: guest %s: its command: %s\n",
				g->name, strerror(-err));
	}
	return err;
}

static int plan_fd(const struct r3_node *node)
{
	int fd = memfd_create("ring3-plan", MFD_CLOEXEC);
	FILE *f;
	int err;

	if (fd < 0)
		return -errno;
	f = fdopen(dup(fd), "w");
	err = f ? r3_node_plan_write(node, f) : -errno;
	if (f)
		fclose(f);
	if (!err && lseek(fd, 0, SEEK_SET))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static _Noreturn void become_supervisor(const struct r3_node *node, int plan,
					bool foreground)
{
	char program[R3_NODE_PATH_MAX + 32], log[R3_NODE_PATH_MAX + 32];
	char libexec[R3_NODE_PATH_MAX];
	int fd;

	if (r3_node_libexec(libexec, sizeof(libexec)))
		_exit(127);
	snprintf(program, sizeof(program), "%s/ring3-supervisor", libexec);
	if (!foreground) {
		snprintf(log, sizeof(log), "%s/log/supervisor.log",
			 node->rundir);
		fd = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
		if (fd < 0 || dup2(fd, 2) < 0)
			_exit(127);
		fd = open("/dev/null", O_WRONLY);
		if (fd < 0 || dup2(fd, 1) < 0 || chdir("/"))
			_exit(127);
		setsid();
		for (fd = 3; fd < 64; fd++)
			if (fd != plan)
				close(fd);
	}
	if (dup2(plan, 0) < 0)
		_exit(127);
	execl(program, "ring3-supervisor", (char *)NULL);
	fprintf(stderr, "%s: %m\n", program);
	_exit(127);
}

static void already(const struct node_ref *ref)
{
	fprintf(stderr, "ring3: node %s is running already; 'ring3 down %s' "
		"ends it\n", ref->name, ref->name);
}

/* Wait until the supervisor answers, or has ended.  -EEXIST: somebody else's
 * does, who was faster; -EBUSY: somebody else's has the node, but says nothing
 * yet, or any more. */
static int await(const struct node_ref *ref, pid_t pid, uint64_t until,
		 json_t **status)
{
	int ended, err;

	do {
		err = node_cli_ask(ref, "wait", NODE_CLI_WAIT_MS, status);
		if (!err && node_cli_int(*status, "pid") != pid)
			return -EEXIST;
		if (err != -ENOENT && err != -ECONNREFUSED)
			return err;
		if (waitpid(pid, &ended, WNOHANG) == pid)
			return WIFEXITED(ended) &&
			       WEXITSTATUS(ended) == R3_NODE_HELD ? -EBUSY :
								    -ECHILD;
		usleep(POLL_US);
	} while (r3_now_ns() < until);
	return -ETIMEDOUT;
}

static void print_failed(const struct node_ref *ref, json_t *status)
{
	char path[R3_NODE_PATH_MAX + 256];
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(status, "servers"), i, o) {
		if (!strcmp(node_cli_str(o, "state"), "up"))
			continue;
		fprintf(stderr, "ring3: %s is %s: %s; the end of its log:\n",
			node_cli_str(o, "name"), node_cli_str(o, "state"),
			node_cli_str(o, "last_death"));
		snprintf(path, sizeof(path), "%s/log/%s.log", ref->rundir,
			 node_cli_str(o, "name"));
		node_cli_tail(stderr, path, 5);
	}
}

static bool all_up(json_t *status)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(status, "servers"), i, o) {
		if (strcmp(node_cli_str(o, "state"), "up"))
			return false;
	}
	return true;
}

static int report_start(const struct node_ref *ref, int err, json_t *status)
{
	char path[R3_NODE_PATH_MAX + 32];

	if (!err && all_up(status))
		return R3_EXIT_OK;
	if (err == -EEXIST) {
		already(ref);
		return R3_EXIT_FAILED;
	}
	if (err == -EBUSY) {
		fprintf(stderr, "ring3: node %s: a supervisor that does not "
			"answer holds %s/lock; 'lslocks' tells which\n",
			ref->name, ref->rundir);
		return R3_EXIT_FAILED;
	}
	if (err) {
		fprintf(stderr, "ring3: node %s did not come up: %s; its "
			"supervisor said:\n", ref->name, err == -ECHILD ?
			"the supervisor has ended" : strerror(-err));
		snprintf(path, sizeof(path), "%s/log/supervisor.log",
			 ref->rundir);
		node_cli_tail(stderr, path, 5);
	} else {
		print_failed(ref, status);
	}
	if (err != -ECHILD)
		node_cli_stop(ref);
	return R3_EXIT_FAILED;
}

static int launch_once(const struct r3_node *node, int plan,
		       const struct node_ref *ref, uint64_t until,
		       json_t **status)
{
	pid_t pid = lseek(plan, 0, SEEK_SET) ? -1 : fork();

	if (!pid)
		become_supervisor(node, plan, false);
	return pid < 0 ? -errno : await(ref, pid, until, status);
}

static int launch(const struct r3_node *node, const struct node_start *how,
		  const struct node_ref *ref)
{
	uint64_t until = r3_now_ns() + NODE_CLI_WAIT_MS * R3_NS_PER_MS;
	json_t *status = NULL;
	int plan = plan_fd(node);
	int err = plan < 0 ? plan : 0;

	if (err) {
		fprintf(stderr, "ring3: the plan: %s\n", strerror(-err));
		return R3_EXIT_FAILED;
	}
	if (how->foreground)
		become_supervisor(node, plan, true);
	while ((err = launch_once(node, plan, ref, until, &status)) == -EBUSY &&
	       r3_now_ns() < until)
		usleep(HELD_US);
	close(plan);
	err = report_start(ref, err, status);
	json_decref(status);
	return err;
}

/* One that is stopped, too, holds the node. */
static bool is_running(const struct node_ref *ref)
{
	char *answer;
	int err = r3_node_call(ref->rundir, "status", 5000, &answer);

	if (!err) {
		free(answer);
		already(ref);
	} else if (err == -ETIMEDOUT) {
		fprintf(stderr, "ring3: node %s is running, but its "
			"supervisor does not answer: is it stopped?  See "
			"%s/log/supervisor.log\n", ref->name, ref->rundir);
	}
	return !err || err == -ETIMEDOUT;
}

int node_cli_start(const struct node_start *how, struct node_ref *ref)
{
	char path[R3_NODE_PATH_MAX + 8];
	struct r3_node *node;
	int err = r3_node_read(&node, how->file, r3_node_specs);

	if (err) {
		if (err != -EINVAL)
			fprintf(stderr, "ring3: %s: %s\n", how->file,
				strerror(-err));
		return R3_EXIT_FAILED;
	}
	snprintf(ref->name, sizeof(ref->name), "%s", node->name);
	snprintf(ref->rundir, sizeof(ref->rundir), "%s", node->rundir);
	err = R3_EXIT_FAILED;
	if (is_running(ref))
		goto out;
	snprintf(path, sizeof(path), "%s/log", ref->rundir);
	if (make_folder(path)) {
		fprintf(stderr, "ring3: %s: %m\n", path);
		goto out;
	}
	if (!prepare_guests(node, how))
		err = launch(node, how, ref);
out:
	r3_node_free(node);
	return err;
}

int node_cli_stop(const struct node_ref *ref)
{
	uint64_t until = r3_now_ns() + NODE_CLI_WAIT_MS * R3_NS_PER_MS;
	int err = node_cli_call(ref, "stop", 5000, NULL);
	json_t *o;

	if (err)
		return err;
	while (r3_now_ns() < until) {
		err = node_cli_ask(ref, "status", 5000, &o);
		if (err == -ENOENT || err == -ECONNREFUSED)
			return R3_EXIT_OK;
		if (!err)
			json_decref(o);
		usleep(POLL_US);
	}
	fprintf(stderr, "ring3: node %s has not ended after %d s\n", ref->name,
		NODE_CLI_WAIT_MS / 1000);
	return R3_EXIT_FAILED;
}

/* The only guest's name, or "". */
static const char *first_guest(json_t *status)
{
	return node_cli_str(json_array_get(json_object_get(status, "guests"),
					   0), "name");
}

int node_cli_up(const struct r3_args *args)
{
	struct node_start how = {
		.file = args->pos[0],
		.foreground = r3_cli_opt(args, "foreground") != NULL,
		.quiet = r3_cli_opt(args, "quiet") != NULL,
		.job = r3_cli_opt(args, "job") != NULL,
	};
	struct node_ref ref;
	json_t *status;
	int ret;

	if (how.foreground && r3_cli_opt(args, "attach"))
		return r3_cli_usage(args, "--foreground and --attach exclude "
				    "each other");
	ret = node_cli_start(&how, &ref);
	if (ret)
		return ret;
	ret = node_cli_call(&ref, "status", 5000, &status);
	if (ret)
		return ret;
	if (!how.quiet)
		printf("node %s is up: %zu servers, %zu guests; 'ring3 status "
		       "%s', 'ring3 down %s'\n", ref.name,
		       json_array_size(json_object_get(status, "servers")),
		       json_array_size(json_object_get(status, "guests")),
		       ref.name, ref.name);
	fflush(stdout);
	if (r3_cli_opt(args, "attach"))
		ret = node_cli_attach(&ref, first_guest(status));
	json_decref(status);
	return ret;
}

/* -1: not to be had. */
static int supervisor_pidfd(const struct node_ref *ref)
{
	json_t *o;
	pid_t pid;

	if (node_cli_ask(ref, "status", 5000, &o))
		return -1;
	pid = (pid_t)node_cli_int(o, "pid");
	json_decref(o);
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* It is down when its process is gone, and with it its devices and files. */
int node_cli_down(const struct r3_args *args)
{
	struct node_ref ref;
	struct pollfd gone = { .fd = -1, .events = POLLIN };
	int ret = node_cli_find(args->count ? args->pos[0] : NULL, &ref);

	if (!ret) {
		gone.fd = supervisor_pidfd(&ref);
		ret = node_cli_stop(&ref);
	}
	if (!ret && gone.fd >= 0)
		poll(&gone, 1, GONE_MS);
	if (gone.fd >= 0)
		close(gone.fd);
	if (!ret && !r3_cli_opt(args, "quiet"))
		printf("node %s is down\n", ref.name);
	return ret;
}

int node_cli_restart(const struct r3_args *args)
{
	struct node_ref ref;
	char line[R3_SERVER_NAME_MAX + 16];
	json_t *o;
	int ret = node_cli_find(r3_cli_opt(args, "node"), &ref);

	if (ret)
		return ret;
	if (strlen(args->pos[0]) >= R3_SERVER_NAME_MAX ||
	    strpbrk(args->pos[0], " \n")) {
		fprintf(stderr, "ring3: node %s has no server '%s'\n",
			ref.name, args->pos[0]);
		return R3_EXIT_UNKNOWN;
	}
	snprintf(line, sizeof(line), "restart %s", args->pos[0]);
	ret = node_cli_call(&ref, line, NODE_CLI_WAIT_MS, &o);
	if (ret)
		return ret;
	printf("%s is up again: pid %lld, after %.1f ms\n", args->pos[0],
	       node_cli_int(o, "pid"), node_cli_num(o, "took_us") / 1000);
	json_decref(o);
	return R3_EXIT_OK;
}
