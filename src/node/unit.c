// SPDX-License-Identifier: GPL-2.0-or-later
/* unit.c - life and death of servers and guests: does what life.c says */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

bool sup_is_guest(const struct sup_unit *u)
{
	const struct sup *sup = u->sup;

	return (const void *)u >= (const void *)sup->guests &&
	       (const void *)u <
		       (const void *)(sup->guests + sup->node->guest_count);
}

struct sup_unit *sup_find(struct sup *sup, const char *name)
{
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		if (!strcmp(sup->servers[i].unit.name, name))
			return &sup->servers[i].unit;
	}
	for (unsigned i = 0; i < sup->node->guest_count; i++) {
		if (!strcmp(sup->guests[i].unit.name, name))
			return &sup->guests[i].unit;
	}
	return NULL;
}

/* ---- hangs -------------------------------------------------------------- */

#define RAN_MS 10 /* of CPU time: a server's loop turns many times in it */

static void read_proc(pid_t pid, const char *file, char *text, size_t room)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, room - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
}

/* Stopped, or looked at by a debugger: silent on purpose.  Or it wants to run
 * and hardly could: a machine with too much to do gains nothing from it. */
static bool is_excused(const struct sup_server *s, uint64_t ran_ns)
{
	char text[1024], *p;

	read_proc(s->unit.pid, "status", text, sizeof(text));
	p = strstr(text, "\nState:\t");
	if (p && (p[8] == 'T' || p[8] == 't'))
		return true;
	if (p && p[8] == 'R' && ran_ns &&
	    ran_ns - s->ran_ns < RAN_MS * R3_NS_PER_MS)
		return true;
	p = strstr(text, "\nTracerPid:\t");
	return p && p[12] != '0';
}

/* The CPU time it has had; 0: not known (a kernel without SCHEDSTATS). */
static uint64_t ran_ns_of(const struct sup_server *s)
{
	unsigned long long ns = 0;
	char text[128];

	read_proc(s->unit.pid, "schedstat", text, sizeof(text));
	return sscanf(text, "%llu", &ns) == 1 ? ns : 0;
}

static uint64_t hang_ns(const struct sup_server *s)
{
	return s->plan->hang_ms * R3_NS_PER_MS;
}

static bool is_overdue(const struct sup_server *s, uint64_t now)
{
	const struct life *life = &s->unit.life;

	return now - s->beat_ns >= hang_ns(s) &&
	       (life->state != LIFE_STARTING ||
		now - life->born_ns >= SUP_READY_MS * R3_NS_PER_MS);
}

static void watch_silence(struct sup_server *s);

static void silent(void *arg)
{
	struct sup_server *s = arg;
	uint64_t ran = ran_ns_of(s), now = r3_now_ns();
	uint64_t late = now - s->silent.at_ns;

	sup_heard(s, 0);
	now = r3_now_ns();
	if (s->beat_ns != s->beat_seen_ns)
		s->ran_ns = ran;
	/* What we missed, everybody did, as we come first: the machine was
	 * paused, or it was just us. */
	s->beat_ns += r3_min(late, now - s->beat_ns);
	if (is_overdue(s, now) && is_excused(s, ran))
		s->beat_ns = now;
	s->beat_seen_ns = s->beat_ns;
	if (is_overdue(s, now))
		sup_event(&s->unit, LIFE_HUNG);
	else
		watch_silence(s);
}

/* Looks twice in that time, so that a pause of any length leaves it half. */
static void watch_silence(struct sup_server *s)
{
	uint64_t now = r3_now_ns(), quiet = now - s->beat_ns;
	uint64_t in_ns = hang_ns(s) / 2;

	if (quiet < hang_ns(s))
		in_ns = r3_min(in_ns, hang_ns(s) - quiet);
	r3_timer_set(s->unit.sup->loop, &s->silent, in_ns, silent, s);
}

/* ---- birth -------------------------------------------------------------- */

static int spawn_server(struct sup_server *s)
{
	struct sup_unit *u = &s->unit;
	char *argv[] = { s->plan->program, (char *)u->name, "--supervised",
			 NULL };
	struct sup_child c = { .name = u->name, .log = u->log, .argv = argv };
	int pair[2], err;

	if (s->fence_failed)
		return -EIO;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	s->control = pair[0];
	c.control = pair[1];
	c.exe = open(s->plan->program, O_PATH | O_CLOEXEC);
	err = c.exe < 0 ? -errno : sup_greet(s, pair[0]);
	if (!err)
		err = r3_loop_watch(u->sup->loop, &s->control_watch, pair[0],
				    EPOLLIN, sup_heard, s);
	if (!err) {
		u->pid = sup_spawn(u->sup, &c, &u->pidfd);
		err = u->pid < 0 ? (int)u->pid : 0;
	}
	close(pair[1]);
	if (c.exe >= 0)
		close(c.exe);
	if (err) {
		sup_hush(s);
		return err;
	}
	s->beat_ns = r3_now_ns();
	s->beat_seen_ns = 0;
	watch_silence(s);
	return 0;
}

static void died(void *arg, uint32_t events);

/* A process whose death nobody would hear of: there may be no second one
 * beside it. */
static void undo_birth(struct sup_unit *u)
{
	siginfo_t si;

	syscall(SYS_pidfd_send_signal, u->pidfd, SIGKILL, NULL, 0);
	waitid(P_PIDFD, (id_t)u->pidfd, &si, WEXITED);
	close(u->pidfd);
	u->pidfd = -1;
	if (!sup_is_guest(u))
		sup_hush((struct sup_server *)u);
}

static void birth(struct sup_unit *u)
{
	int err;

	r3_timer_cancel(&u->due);
	u->killed_ns = 0;
	if (sup_is_guest(u))
		err = sup_guest_spawn((struct sup_guest *)u);
	else
		err = spawn_server((struct sup_server *)u);
	if (!err) {
		err = r3_loop_watch(u->sup->loop, &u->death, u->pidfd, EPOLLIN,
				    died, u);
		if (!err)
			return;
		undo_birth(u);
	}
	snprintf(u->cause, sizeof(u->cause), "not started: %s",
		 strerror(-err));
	r3_log(R3_ERROR, "node", u->name, "%s", u->cause);
	u->pid = 0;
	u->life.after = R3_AFTER_EXIT;
	sup_event(u, LIFE_DIED);
}

/* ---- death -------------------------------------------------------------- */

/* True: worth a crash report. */
static bool server_died(struct sup_server *s, const siginfo_t *si,
			struct r3_crash *crash)
{
	struct sup_unit *u = &s->unit;
	bool exited = si->si_code == CLD_EXITED;

	*crash = s->page->crash; /* copied once */
	sup_hush(s);
	if (u->life.hung)
		u->life.after = R3_AFTER_HANG;
	else if (crash->valid)
		u->life.after = R3_AFTER_FAULT;
	else if (!exited || (crash->signal &&
			     si->si_status == 128 + crash->signal))
		u->life.after = R3_AFTER_KILL;
	else
		u->life.after = R3_AFTER_EXIT;
	sup_cause(u, si->si_code, si->si_status, crash);
	if (u->life.asked && u->life.after == R3_AFTER_EXIT)
		return false;
	r3_log(R3_WARN, "node", u->name, "died: %s pid=%d lived_ms=%llu",
	       u->cause, (int)u->pid, (unsigned long long)
	       ((u->ended_ns - u->life.born_ns) / R3_NS_PER_MS));
	return u->life.after != R3_AFTER_KILL;
}

/* Nothing of it is left: the next life may begin. */
static void ended(struct sup_unit *u)
{
	struct sup_unit last = *u;

	u->pid = 0;
	sup_event(u, LIFE_DIED);
	/* the new life first */
	if (!sup_is_guest(u) && ((struct sup_server *)u)->report)
		sup_crash((struct sup_server *)u, &last,
			  &((struct sup_server *)u)->crash);
}

static void server_ended(struct sup_server *s)
{
	ended(&s->unit);
}

static void died(void *arg, uint32_t events)
{
	struct sup_unit *u = arg;
	struct sup_server *s = arg;
	siginfo_t si = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)u->pidfd, &si, WEXITED | WNOHANG) ||
	    !si.si_pid)
		return;
	r3_loop_unwatch(u->sup->loop, &u->death);
	close(u->pidfd);
	u->pidfd = -1;
	u->ended_ns = u->killed_ns ? u->killed_ns : r3_now_ns();
	if (sup_is_guest(u)) {
		sup_cause(u, si.si_code, si.si_status, NULL);
		r3_log(R3_INFO, "node", u->name, "the guest has ended: %s",
		       u->cause);
		ended(u);
		return;
	}
	s->report = server_died(s, &si, &s->crash);
	sup_fence(s, server_ended);
}

/* ---- the machine -------------------------------------------------------- */

static void due(void *arg)
{
	sup_event(arg, LIFE_DUE);
}

static void send_signal(struct sup_unit *u, int signal)
{
	if (u->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, u->pidfd, signal, NULL, 0);
	if (!u->killed_ns)
		u->killed_ns = r3_now_ns();
}

static void is_ready(struct sup_unit *u)
{
	uint64_t now = r3_now_ns();
	uint64_t from = u->ended_ns ? u->ended_ns : u->life.born_ns;

	if (u->restarts)
		u->took_us[u->took_count++ % SUP_SAMPLES] = (uint32_t)r3_min(
			(now - from) / R3_NS_PER_US, UINT32_MAX);
	r3_log(R3_INFO, "node", u->name, "is up pid=%d took_us=%llu",
	       (int)u->pid, (unsigned long long)((now - from) / R3_NS_PER_US));
	sup_all_up(u->sup);
}

static void go_on_stopping(struct sup *sup);

static void do_action(struct sup_unit *u, enum life_action action,
		      unsigned delay_ms)
{
	switch (action) {
	case LIFE_SPAWN:
		if (u->ended_ns)
			u->restarts++;
		birth(u);
		if (sup_is_guest(u)) /* nobody says so for it */
			sup_event(u, LIFE_READY);
		break;
	case LIFE_KILL:
		send_signal(u, SIGKILL);
		break;
	case LIFE_ASK:
		send_signal(u, SIGTERM);
		/* a stopped process can't answer */
		if (u->pidfd >= 0)
			syscall(SYS_pidfd_send_signal, u->pidfd, SIGCONT,
				NULL, 0);
		/* fall through */
	case LIFE_DELAY:
		r3_timer_set(u->sup->loop, &u->due, delay_ms * R3_NS_PER_MS,
			     due, u);
		break;
	case LIFE_GIVE_UP:
		r3_log(R3_ERROR, "node", u->name, "given up after %u quick "
		       "deaths: %s; look at %s, then 'ring3 restart %s'",
		       u->life.quick, u->cause, u->log_path, u->name);
		break;
	default:
		break;
	}
}

void sup_event(struct sup_unit *u, enum life_event event)
{
	unsigned delay_ms = 0;
	enum life_state before = u->life.state;
	enum life_action action;

	/* a guest's memory is gone with it: it is not started again */
	if (event == LIFE_DIED && sup_is_guest(u) &&
	    u->life.state != LIFE_ENDING) {
		u->life.state = LIFE_STOPPING;
		r3_timer_cancel(&u->due);
	}
	action = life_step(&u->life, event, r3_now_ns(), &delay_ms);
	do_action(u, action, delay_ms);
	if (event == LIFE_READY && u->life.state == LIFE_UP &&
	    before == LIFE_STARTING)
		is_ready(u);
	if (event == LIFE_DIED && u->life.state == LIFE_DOWN)
		r3_timer_cancel(&u->due);
	if (u->sup->stopping && event == LIFE_DIED)
		go_on_stopping(u->sup);
	if (u->life.state != before)
		sup_callers_look(u->sup);
}

void sup_all_up(struct sup *sup)
{
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		if (sup->servers[i].unit.life.state != LIFE_UP)
			return;
	}
	if (sup->guests_started || sup->stopping)
		return;
	sup->guests_started = true;
	for (unsigned i = 0; i < sup->node->guest_count; i++)
		sup_event(&sup->guests[i].unit, LIFE_START);
}

/* ---- the end ------------------------------------------------------------ */

static bool listens_at(const struct sup_server *s, const char *path)
{
	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		if (s->plan->opts[i].kind == R3_NODE_LISTEN &&
		    !strcmp(s->plan->opts[i].value, path))
			return true;
	}
	return false;
}

static bool uses(const struct sup_server *user, const struct sup_server *s)
{
	for (unsigned i = 0; i < user->plan->opt_count; i++) {
		const struct r3_node_opt *o = &user->plan->opts[i];

		if (o->kind == R3_NODE_SOCKET &&
		    listens_at(s, sup_socket_path(o)))
			return true;
	}
	return false;
}

static bool is_used(const struct sup *sup, const struct sup_server *s)
{
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		const struct sup_server *user = &sup->servers[i];

		if (user != s && life_has_process(&user->unit.life) &&
		    uses(user, s))
			return true;
	}
	return false;
}

/* Guests first, then whoever nobody uses any more. */
static void go_on_stopping(struct sup *sup)
{
	bool any = false;

	for (unsigned i = 0; i < sup->node->guest_count; i++) {
		struct sup_unit *u = &sup->guests[i].unit;

		sup_event(u, LIFE_STOP);
		any |= life_has_process(&u->life);
	}
	if (any)
		return;
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		struct sup_server *s = &sup->servers[i];

		if (!life_has_process(&s->unit.life)) {
			sup_event(&s->unit, LIFE_STOP);
			continue;
		}
		any = true;
		if (!is_used(sup, s))
			sup_event(&s->unit, LIFE_STOP);
	}
	if (!any)
		r3_loop_stop(sup->loop, 0);
}

void sup_stop(struct sup *sup)
{
	if (sup->stopping)
		return;
	sup->stopping = true;
	r3_log(R3_INFO, "node", sup->node->name, "going down");
	go_on_stopping(sup);
}
