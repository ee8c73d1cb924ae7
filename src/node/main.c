// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - ring3-supervisor: starts a node's servers and keeps them alive
 *
 * Its plan comes on standard input from `ring3 up`, its log goes to standard
 * error.  When it dies, the servers die (PDEATHSIG): nothing runs unwatched.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

#define OWN_LOG "log/supervisor.log"

/* Servers may spin on every CPU: we must run all the same. */
static void rise(void)
{
	struct sched_param p = { .sched_priority = 1 };

	if (!sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p))
		return;
	if (!setpriority(PRIO_PROCESS, 0, -10))
		sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK,
				   &(struct sched_param){ 0 });
}

static int open_rundir(struct sup *sup)
{
	const char *path = sup->node->rundir;
	int err;

	sup->dir = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (sup->dir < 0) {
		err = -errno;
		r3_log(R3_ERROR, "node", sup->node->name, "%s: %m", path);
		return err;
	}
	mkdirat(sup->dir, "log", 0700);
	mkdirat(sup->dir, "crash", 0700);
	sup->lock = openat(sup->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC,
			   0600);
	return sup->lock < 0 ? -errno : 0;
}

/* The log is its holder's: whoever comes second leaves it alone, and is
 * understood by its exit status. */
static int hold_node(struct sup *sup)
{
	if (!flock(sup->lock, LOCK_EX | LOCK_NB))
		return sup->log < 0 || !ftruncate(sup->log, 0) ? 0 : -errno;
	if (errno != EWOULDBLOCK)
		return -errno;
	if (sup->log < 0)
		r3_log(R3_ERROR, "node", sup->node->name, "another supervisor "
		       "holds %s/lock: 'ring3 status %s'", sup->node->rundir,
		       sup->node->name);
	return -EWOULDBLOCK;
}

static void on_signal(void *arg, uint32_t events)
{
	struct sup *sup = arg;
	struct signalfd_siginfo si;

	(void)events;
	if (read(sup->signals, &si, sizeof(si)) == sizeof(si))
		sup_stop(sup);
}

static int watch_signals(struct sup *sup)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sup->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sup->signals < 0)
		return -errno;
	return r3_loop_watch(sup->loop, &sup->signal_watch, sup->signals,
			     EPOLLIN, on_signal, sup);
}

/* As when a user's /run/user/UID is removed at logout: nobody could reach the
 * node any more, not even to end it. */
static bool rundir_gone(const struct sup *sup)
{
	struct stat st;

	return !fstat(sup->dir, &st) && !st.st_nlink;
}

/* In the foreground, stderr is somebody else's file. */
static int own_log(const struct sup *sup)
{
	int fd = openat(sup->dir, OWN_LOG, O_RDWR | O_APPEND | O_CLOEXEC);
	struct stat a, b;

	if (fd < 0 || (!fstat(fd, &a) && !fstat(STDERR_FILENO, &b) &&
		       a.st_dev == b.st_dev && a.st_ino == b.st_ino))
		return fd;
	close(fd);
	return -1;
}

/* The run directory is memory; a guest may talk without end. */
static void bound_logs(struct sup *sup)
{
	for (unsigned i = 0; i < sup->node->server_count; i++)
		sup_log_bound(sup, sup->servers[i].unit.log,
			      sup->servers[i].unit.log_path);
	for (unsigned i = 0; i < sup->node->guest_count; i++) {
		const struct sup_guest *g = &sup->guests[i];

		sup_log_bound(sup, g->unit.log, g->unit.log_path);
		sup_log_bound(sup, g->console, g->console_path);
	}
	sup_log_bound(sup, sup->log, OWN_LOG);
}

static void tick(void *arg)
{
	struct sup *sup = arg;

	if (!sup->stopping && rundir_gone(sup)) {
		r3_log(R3_ERROR, "node", sup->node->name, "%s was removed; "
		       "the node ends", sup->node->rundir);
		sup_stop(sup);
	}
	sup_rates(sup);
	sup_reap_closers();
	bound_logs(sup);
	r3_timer_set(sup->loop, &sup->tick, SUP_TICK_MS * R3_NS_PER_MS, tick,
		     sup);
}

static int start(struct sup *sup)
{
	int err;

	umask(077);
	sup->mnt = sup->net = -1;
	sup->start_ns = sup->tick_ns = r3_now_ns();
	sup->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (sup->null < 0)
		return -errno;
	err = r3_loop_open(&sup->loop);
	if (!err)
		err = open_rundir(sup);
	if (err)
		return err;
	sup->log = own_log(sup);
	err = hold_node(sup);
	if (err)
		return err;
	sup_namespaces(sup);
	err = sup_open_all(sup);
	if (!err)
		err = watch_signals(sup);
	if (!err)
		err = sup_control_open(sup);
	if (err)
		return err;
	sup_watch_faults(sup);
	rise();
	tick(sup);
	for (unsigned i = 0; i < sup->node->server_count; i++)
		sup_event(&sup->servers[i].unit, LIFE_START);
	return 0;
}

int main(int argc, char **argv)
{
	static struct sup sup = { .dir = -1 };
	int err;

	(void)argv;
	if (argc != 1 || isatty(STDIN_FILENO)) {
		fprintf(stderr, "ring3-supervisor is started by 'ring3 up'\n");
		return 2;
	}
	err = r3_node_plan_read(&sup.node, stdin);
	if (err) {
		fprintf(stderr, "ring3-supervisor: the plan is not one: %s\n",
			strerror(-err));
		return 2;
	}
	err = start(&sup);
	if (err == -EWOULDBLOCK)
		return sup.log < 0 ? 1 : R3_NODE_HELD;
	if (err) {
		r3_log(R3_ERROR, "node", sup.node->name, "can't start: %s",
		       strerror(-err));
	} else {
		err = r3_loop_run(sup.loop);
		sup_control_close(&sup);
		r3_log(R3_INFO, "node", sup.node->name, "is down");
	}
	if (sup.servers)
		sup_close_all(&sup);
	return err ? 1 : 0;
}
