// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * serve.c - the server: commits, its end, and what it gives up before
 *
 * Changes are committed after sync_ms at the latest, after QUIET_MS without
 * requests, and for every fsync before its reply.  One commit serves all fsyncs
 * that are there at the time.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mount.h"
#include "ring3/log.h"
#include "ring3/server.h"

enum {
	QUIET_MS = 100,
	COMMIT_SHARE = 20, /* of the time, at most one part for such commits */
	IDLE_MS = 1000,
	CLEAN_MS = 10,	 /* between two steps of cleaning */
	CLEAN_BLOCKS = 256,
};

/* No room where the image lies, or something worse. */
static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

const char *mount_why(const struct mount *m)
{
	static char text[sizeof(struct r3_btrfs_why) + 200];
	int err;
	const char *why = m->failed ? r3_btrfs_stopped(m->fs, &err) : NULL;

	if (!why)
		return "";
	snprintf(text, sizeof(text), "%s; it is as its last commit left it. %s",
		 why, is_full(m->failed)
		 ? "Make room, then unmount and mount again"
		 : "Unmount, then run 'ring3 btrfs check'");
	return text;
}

/* The first time that it takes no more changes: say so.  What fails later only
 * fails of that. */
static void look_whether_stopped(struct mount *m)
{
	int err;

	if (m->failed || !r3_btrfs_stopped(m->fs, &err))
		return;
	m->failed = err;
	m->exit_code = 1;
	r3_log(R3_ERROR, "btrfs", m->args->image, "takes no more changes: %s",
	       mount_why(m));
}

/* As write(2) has them: that a disk is full can be told, the rest is EIO. */
int mount_write_err(const struct mount *m)
{
	return is_full(m->failed) ? -m->failed : EIO;
}

static void answer(const struct mount *m, const struct waiter *w)
{
	struct r3_btrfs_info info;

	if (m->failed || !w->ioctl || r3_btrfs_get_info(m->fs, &info))
		fuse_reply_err(w->req, m->failed ? mount_write_err(m) : 0);
	else
		fuse_reply_ioctl(w->req, 0, &info.generation, w->out);
}

void mount_commit(struct mount *m)
{
	uint64_t began = r3_now_ns();

	if (m->dirty && !m->failed)
		r3_btrfs_sync(m->fs); /* a failure stops it */
	m->dirty = false;
	m->commit_ns = r3_now_ns() - began;
	look_whether_stopped(m);
	for (unsigned i = 0; i < m->fsync_count; i++)
		answer(m, &m->fsyncs[i]);
	m->fsync_count = 0;
}

/* After the last commit: nothing else would tell of what fails of it still. */
static void settle(struct mount *m)
{
	int err = m->failed ? 0 : r3_btrfs_dev_settle(m->dev);
	struct r3_btrfs_why why;

	if (!err)
		return;
	r3_btrfs_dev_write_why(m->dev, err, &why);
	m->exit_code = 1;
	r3_log(R3_ERROR, "btrfs", m->args->image, "%s; run 'ring3 btrfs "
	       "scrub'", why.text);
}

static void tick(void *arg);

static void set_tick(struct mount *m, uint64_t ms)
{
	if (!m->tick.next)
		r3_timer_set(m->loop, &m->tick, ms * R3_NS_PER_MS, tick, m);
}

/* Without requests for so long, changes are committed: longer where commits
 * take long, as who changes a little now and then shall not wait for them.  A
 * commit of one change takes 0.1 ms in /dev/shm and 5 ms on a virtual disk, of
 * 10,000 new files 25 and 35 ms. */
static uint64_t quiet_ms(const struct mount *m)
{
	uint64_t ms = m->commit_ns * COMMIT_SHARE / R3_NS_PER_MS;

	return r3_min(r3_max(ms, QUIET_MS), r3_min(m->args->sync_ms, IDLE_MS));
}

/* A step of what deleted subvolumes left: small ones, few while there is other
 * work. */
static void clean(struct mount *m)
{
	bool more = false;
	int err = r3_btrfs_clean(m->fs, CLEAN_BLOCKS, &more);

	m->cleaning = more && !err;
	if (err)
		r3_log(R3_WARN, "btrfs", m->args->image, "deleted subvolumes "
		       "still take space: %s",
		       r3_btrfs_why_of(m->fs, err));
	mount_dirty(m);
}

static void look_after(struct mount *m)
{
	bool idle = m->requests == m->requests_seen;

	m->requests_seen = m->requests;
	if (m->cleaning && !m->failed)
		clean(m);
	if (m->dirty && ((idle && !m->cleaning) ||
			 r3_now_ns() - m->dirty_ns >=
				 m->args->sync_ms * R3_NS_PER_MS))
		mount_commit(m);
	if (m->cleaning && !m->failed)
		set_tick(m, idle ? CLEAN_MS : IDLE_MS);
	else if (m->dirty)
		set_tick(m, quiet_ms(m));
}

static void tick(void *arg)
{
	struct mount *m = arg;

	pthread_mutex_lock(&m->lock);
	look_after(m);
	pthread_mutex_unlock(&m->lock);
}

void mount_wake(struct mount *m)
{
	uint64_t one = 1;

	/* it can only fail when it is about to be read */
	if (write(m->wake, &one, sizeof(one)) < 0)
		return;
}

void mount_dirty(struct mount *m)
{
	if (m->dirty)
		return;
	m->dirty = true;
	m->dirty_ns = r3_now_ns();
	mount_wake(m);
}

void mount_sync_for(struct mount *m, struct waiter who)
{
	m->fsyncs[m->fsync_count++] = who;
	if (m->fsync_count == MOUNT_FSYNCS_MAX)
		mount_commit(m);
}

void mount_fail(struct mount *m, fuse_req_t req, int err)
{
	uint64_t now;

	if (err == -EIO || err == -EUCLEAN) {
		now = r3_now_ns();
		if (now - m->complained_ns > R3_NS_PER_S) {
			r3_log(R3_ERROR, "btrfs", m->args->image, "%s",
			       r3_btrfs_why_of(m->fs, err));
			m->complained_ns = now;
		}
	}
	look_whether_stopped(m);
	fuse_reply_err(req, -err);
}

/* Something changed, or the reader has ended. */
static void woken(void *arg, uint32_t events)
{
	struct mount *m = arg;
	uint64_t count;
	int err;

	(void)events;
	if (read(m->wake, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&m->lock);
	err = m->reader_err;
	if (m->dirty)
		set_tick(m, quiet_ms(m));
	pthread_mutex_unlock(&m->lock);
	if (err && err != -ENODEV)
		r3_log(R3_ERROR, "btrfs", m->args->image, "no requests can be "
		       "had from /dev/fuse: %s; unmount and mount again",
		       strerror(-err));
	if (err)
		r3_loop_stop(m->loop, err != -ENODEV);
}

/* Unmounting is the keeper's.  Who asks twice does not want to wait for those
 * that still have files open. */
static void asked_to_end(void *arg, uint32_t events)
{
	struct mount *m = arg;

	(void)events;
	if (m->ending || send(m->keeper, "u", 1, MSG_NOSIGNAL) != 1)
		r3_loop_stop(m->loop, 0);
	m->ending = true;
}

struct signals {
	struct mount *m;
	struct r3_watch watch;
	int fd;
};

static void signal_came(void *arg, uint32_t events)
{
	struct signals *s = arg;
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) == sizeof(info))
		asked_to_end(s->m, events);
}

static int catch_signals(struct mount *m, struct signals *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->m = m;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	return r3_loop_watch(m->loop, &s->watch, s->fd, EPOLLIN, signal_came,
			     s);
}

/* The image is open and the mount made: no right is needed any more.
 * libseccomp is for one thread at a time. */
int mount_drop_rights(const struct mount *m)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	int err;

	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break; /* not root, or the last one */
	}
	if (syscall(SYS_capset, &head, none))
		return -errno;
	pthread_mutex_lock(&one);
	tzset();
	err = r3_sandbox(m->args->image, "fdatasync fsync sync_file_range");
	pthread_mutex_unlock(&one);
	return err;
}

static int set_up(struct mount *m, struct signals *s, struct r3_watch *wake)
{
	int err = r3_loop_open(&m->loop);

	if (err)
		return err;
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->wake < 0)
		return -errno;
	pthread_mutex_init(&m->lock, NULL);
	/* of another heap, glibc asks /proc whether it may give memory back */
	mallopt(M_ARENA_MAX, 1);
	err = r3_loop_watch(m->loop, wake, m->wake, EPOLLIN, woken, m);
	if (!err)
		err = catch_signals(m, s);
	if (!err && !m->args->readonly)
		err = flush_start(m);
	m->cleaning = !m->args->readonly;
	if (!err && m->cleaning)
		mount_dirty(m); /* opening may have cleared up after a crash */
	if (!err)
		err = reader_start(m);
	return err ? err : mount_drop_rights(m);
}

/* Files that were open to the end, and have no name. */
static void release_all(struct mount *m)
{
	for (uint32_t i = FUSE_ROOT_ID; i < m->nodes.used; i++) {
		const struct node *n = nodes_at(&m->nodes, i);

		if (n && n->held) {
			r3_btrfs_release(m->fs, n->in);
			m->dirty = true;
		}
	}
}

int mount_serve(struct mount *m)
{
	struct signals signals;
	struct r3_watch wake;
	int err = set_up(m, &signals, &wake);

	if (!err && send(m->keeper, "r", 1, MSG_NOSIGNAL) != 1)
		err = -errno;
	if (err) {
		r3_log(R3_ERROR, "btrfs", m->args->image, "could not be "
		       "served: %s", strerror(-err));
		return 1 | MOUNT_STILL_THERE;
	}
	err = r3_loop_run(m->loop);
	flush_stop(m);
	r3_loop_close(m->loop);
	pthread_mutex_lock(&m->lock); /* for good */
	release_all(m);
	mount_commit(m);
	settle(m);
	if (m->reader_err)
		pthread_join(m->reader, NULL);
	if (!fuse_session_exited(m->session))
		m->exit_code |= MOUNT_STILL_THERE;
	return err ? m->exit_code | 1 : m->exit_code;
}
