// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * control.c - RUNDIR/control.sock: one line in, one line of JSON out
 *
 *	status | wait | stop | restart NAME | kill NAME SIGNAL | up NAME
 *
 * wait answers when everything is up or something was given up; up when that
 * server is.  An answer has "error" when the command could not be done.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/open.h"
#include "sup.h"

static void hang_up(struct sup_caller *c)
{
	if (c->fd < 0)
		return;
	r3_loop_unwatch(c->sup->loop, &c->watch);
	close(c->fd);
	c->fd = -1;
	c->waits_all = false;
	c->waits = NULL;
}

/* Who does not read its answer does not get it: we never wait. */
static void answer(struct sup_caller *c, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	int room = 1 << 20;

	if (text) {
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		(void)!send(c->fd, text, strlen(text),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)!send(c->fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	free(text);
	json_decref(o);
	hang_up(c);
}

static void refuse(struct sup_caller *c, const char *code, const char *what)
{
	answer(c, json_pack("{s:s, s:s}", "error", what, "code", code));
}

static struct sup_unit *named(struct sup_caller *c, const char *name)
{
	struct sup_unit *u = name ? sup_find(c->sup, name) : NULL;

	if (!u)
		refuse(c, "unknown", "there is no such server or guest");
	return u;
}

static int signal_of(const char *word)
{
	if (!word)
		return SIGKILL;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && !strcmp(name, word))
			return i;
	}
	return -1;
}

static void do_kill(struct sup_caller *c, const char *name, const char *word)
{
	struct sup_unit *u = named(c, name);
	int signal = signal_of(word);

	if (!u)
		return;
	if (signal < 0) {
		refuse(c, "usage", "there is no such signal");
	} else if (u->life.state != LIFE_UP) {
		refuse(c, "state", "it is not up");
	} else {
		/* stop and continue end nothing: no restart to be measured */
		if (signal != SIGSTOP && signal != SIGCONT)
			u->killed_ns = r3_now_ns();
		syscall(SYS_pidfd_send_signal, u->pidfd, signal, NULL, 0);
		answer(c, json_pack("{s:i}", "pid", (int)u->pid));
	}
}

static void do_up(struct sup_caller *c, const char *name)
{
	struct sup_unit *u = named(c, name);

	if (!u)
		return;
	c->waits = u;
	sup_callers_look(c->sup);
}

static void do_restart(struct sup_caller *c, const char *name)
{
	struct sup_unit *u = named(c, name);

	if (!u)
		return;
	if (c->sup->stopping) {
		refuse(c, "state", "the node is going down");
		return;
	}
	sup_event(u, LIFE_RESTART);
	c->waits = u;
	sup_callers_look(c->sup);
}

static void command(struct sup_caller *c, char *line)
{
	char *save, *verb = strtok_r(line, " \r", &save);
	char *name = strtok_r(NULL, " \r", &save);
	char *more = strtok_r(NULL, " \r", &save);

	if (!verb) {
		refuse(c, "usage", "an empty command");
	} else if (!strcmp(verb, "status")) {
		answer(c, sup_status(c->sup));
	} else if (!strcmp(verb, "wait")) {
		c->waits_all = true;
		sup_callers_look(c->sup);
	} else if (!strcmp(verb, "stop")) {
		answer(c, json_pack("{s:i}", "pid", (int)getpid()));
		sup_stop(c->sup);
	} else if (!strcmp(verb, "restart")) {
		do_restart(c, name);
	} else if (!strcmp(verb, "kill")) {
		do_kill(c, name, more);
	} else if (!strcmp(verb, "up")) {
		do_up(c, name);
	} else {
		refuse(c, "usage", "there is no such command");
	}
}

static void readable(void *arg, uint32_t events)
{
	struct sup_caller *c = arg;
	ssize_t n = recv(c->fd, c->line + c->len, sizeof(c->line) - 1 - c->len,
			 MSG_DONTWAIT);
	char *end;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = 0;
	end = memchr(c->line, '\n', c->len);
	if (end && !c->waits && !c->waits_all) {
		*end = 0;
		command(c, c->line);
	} else if (c->len == sizeof(c->line) - 1) {
		hang_up(c);
	}
}

/* A free place, if need be that of who has been silent for longest; NULL: all
 * wait for an answer. */
static struct sup_caller *place_of(struct sup *sup)
{
	struct sup_caller *oldest = NULL;

	for (unsigned i = 0; i < SUP_CALLERS_MAX; i++) {
		struct sup_caller *c = &sup->callers[i];

		if (c->fd < 0)
			return c;
		if (!c->waits && !c->waits_all &&
		    (!oldest || c->since_ns < oldest->since_ns))
			oldest = c;
	}
	if (oldest)
		hang_up(oldest);
	return oldest;
}

static void caller(void *arg, uint32_t events)
{
	struct sup_caller *c;
	struct sup *sup = arg;
	int fd = accept4(sup->control, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	c = place_of(sup);
	if (c) {
		*c = (struct sup_caller){ .sup = sup, .fd = fd,
					  .since_ns = r3_now_ns() };
		if (!r3_loop_watch(sup->loop, &c->watch, fd, EPOLLIN, readable,
				   c))
			return;
		c->fd = -1;
	}
	close(fd);
}

static bool all_settled(const struct sup *sup, bool *failed)
{
	bool settled = true;

	*failed = false;
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		enum life_state st = sup->servers[i].unit.life.state;

		*failed |= st == LIFE_FAILED;
		settled &= st == LIFE_UP;
	}
	for (unsigned i = 0; i < sup->node->guest_count; i++)
		settled &= sup->guests_started;
	return settled || *failed;
}

static void look(struct sup_caller *c)
{
	const struct sup_unit *u = c->waits;
	bool failed;

	if (c->waits_all && all_settled(c->sup, &failed))
		answer(c, sup_status(c->sup));
	else if (u && u->life.state == LIFE_UP && !u->killed_ns)
		answer(c, json_pack("{s:i, s:I, s:I, s:I}", "pid",
			(int)u->pid, "restarts", (json_int_t)u->restarts,
			"start_us", (json_int_t)((u->life.ready_ns -
				u->life.born_ns) / R3_NS_PER_US), "took_us",
			(json_int_t)(u->took_count ? u->took_us[
				(u->took_count - 1) % SUP_SAMPLES] : 0)));
	else if (u && (u->life.state == LIFE_FAILED ||
		       u->life.state == LIFE_DOWN))
		refuse(c, "failed", *u->cause ? u->cause : "it is down");
}

void sup_callers_look(struct sup *sup)
{
	for (unsigned i = 0; i < SUP_CALLERS_MAX; i++) {
		if (sup->callers[i].fd >= 0)
			look(&sup->callers[i]);
	}
}

int sup_control_open(struct sup *sup)
{
	char path[R3_NODE_PATH_MAX + 32];

	for (unsigned i = 0; i < SUP_CALLERS_MAX; i++)
		sup->callers[i].fd = -1;
	snprintf(path, sizeof(path), "%s/control.sock", sup->node->rundir);
	unlink(path); /* ours: we hold the lock */
	sup->control = r3_unix_listen(path, 0600, SUP_CALLERS_MAX);
	if (sup->control < 0)
		return sup->control;
	return r3_loop_watch(sup->loop, &sup->control_watch, sup->control,
			     EPOLLIN, caller, sup);
}

void sup_control_close(struct sup *sup)
{
	for (unsigned i = 0; i < SUP_CALLERS_MAX; i++)
		hang_up(&sup->callers[i]);
	unlinkat(sup->dir, "control.sock", 0);
}
