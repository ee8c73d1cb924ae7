// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_node_console.c - a guest's serial console on this terminal */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "cmd_node.h"
#include "ring3/open.h"

#define DIAL_TRIES 100
#define DIAL_US    20000
#define KEY_LEAVE 0x1d /* Ctrl-], as telnet has it */

const struct r3_opt node_cli_console_opts[] = {
	{ .name = "node", .arg = "NODE", .letter = 'n',
	  .help = "which node, when several run" },
	{ 0 },
};

/* A guest that has only just been started needs a moment to listen. */
static int dial_soon(const char *path)
{
	int fd = r3_unix_connect(path);

	for (unsigned i = 0; i < DIAL_TRIES && (fd == -ENOENT ||
						fd == -ECONNREFUSED); i++) {
		usleep(DIAL_US);
		fd = r3_unix_connect(path);
	}
	return fd;
}

static bool write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* From the keyboard; false: leave. */
static bool typed(int sock)
{
	char text[256], *key;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));

	if (n <= 0)
		return false;
	key = memchr(text, KEY_LEAVE, (size_t)n);
	if (key) {
		write_all(sock, text, (size_t)(key - text));
		return false;
	}
	return write_all(sock, text, (size_t)n);
}

static bool shown(int sock)
{
	char text[4096];
	ssize_t n = read(sock, text, sizeof(text));

	return n > 0 && write_all(STDOUT_FILENO, text, (size_t)n);
}

static volatile sig_atomic_t ended_by; /* a signal; 0: none */

static void note_end(int signal)
{
	ended_by = signal;
}

/* Signals that would leave the terminal raw: blocked but while we wait. */
static void catch_ends(sigset_t *usual)
{
	static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction sa = { .sa_handler = note_end };
	sigset_t block;

	sigemptyset(&block);
	for (unsigned i = 0; i < R3_COUNT(ends); i++) {
		sigaddset(&block, ends[i]);
		sigaction(ends[i], &sa, NULL);
	}
	sigprocmask(SIG_BLOCK, &block, usual);
}

/* True when the user left (or a signal made us), false when the guest did. */
static bool carry(int sock, const sigset_t *usual)
{
	struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN },
			      { .fd = sock, .events = POLLIN } };

	for (;;) {
		if (ppoll(p, 2, NULL, usual) < 0) {
			if (ended_by || errno != EINTR)
				return ended_by;
			continue;
		}
		if (p[0].revents && !typed(sock))
			return true;
		if (p[1].revents && !shown(sock))
			return false;
	}
}

static bool raw(struct termios *old)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, old))
		return false;
	t = *old;
	cfmakeraw(&t);
	return !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

int node_cli_attach(const struct node_ref *ref, const char *guest)
{
	char path[R3_NODE_PATH_MAX + R3_SERVER_NAME_MAX + 32];
	struct termios old;
	bool is_raw, left;
	sigset_t usual;
	int sock;

	snprintf(path, sizeof(path), "%s/%s.console.sock", ref->rundir, guest);
	sock = dial_soon(path);
	if (sock < 0) {
		fprintf(stderr, "ring3: %s has no console: %s; is the guest "
			"running? 'ring3 status'\n", guest, strerror(-sock));
		return R3_EXIT_FAILED;
	}
	/* what it said before */
	snprintf(path, sizeof(path), "%s/log/%s.console.log", ref->rundir,
		 guest);
	node_cli_tail(stdout, path, 100);
	fflush(stdout);
	fprintf(stderr, "-- console of %s; Ctrl-] leaves it --\n", guest);
	signal(SIGPIPE, SIG_IGN);
	catch_ends(&usual);
	is_raw = raw(&old);
	left = carry(sock, &usual);
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &old);
	sigprocmask(SIG_SETMASK, &usual, NULL);
	close(sock);
	fprintf(stderr, "\n-- %s --\n", left ? "left; the guest goes on, 'ring3 down' ends it" :
		"the guest has closed its console");
	if (ended_by) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return R3_EXIT_OK;
}

int node_cli_console(const struct r3_args *args)
{
	struct node_ref ref;
	json_t *status, *guests, *o;
	const char *name;
	int ret = node_cli_find(r3_cli_opt(args, "node"), &ref);

	if (!ret)
		ret = node_cli_call(&ref, "status", 5000, &status);
	if (ret)
		return ret;
	guests = json_object_get(status, "guests");
	name = args->count ? args->pos[0] :
	       node_cli_str(json_array_get(guests, 0), "name");
	o = node_cli_unit(status, name);
	if (!args->count && json_array_size(guests) > 1) {
		fputs("ring3: this node has several guests; name one\n",
		      stderr);
		ret = R3_EXIT_USAGE;
	} else if (!o) {
		fprintf(stderr, "ring3: node %s has no guest%s%s\n", ref.name,
			*name ? " " : "", name);
		ret = R3_EXIT_UNKNOWN;
	} else {
		ret = node_cli_attach(&ref, node_cli_str(o, "name"));
	}
	json_decref(status);
	return ret;
}
