// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * serve.c - the server: requests, commits, and what it gives up before
 *
 * Changes are committed after sync_ms at the latest, after a second without
 * requests, and for every fsync before its reply.  One commit serves all fsyncs
 * that are there at the time.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
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
	BATCH = 64, /* requests, before fsyncs that wait get their commit */
	IDLE_MS = 1000,
	CLEAN_MS = 10,	 /* between two steps of cleaning */
	CLEAN_BLOCKS = 256,
};

static void sync_now(struct mount *m)
{
	int err = 0;

	if (m->dirty && !m->failed)
		err = r3_btrfs_sync(m->fs);
	m->dirty = false;
	if (err) {
		m->failed = true;
		m->exit_code = 1;
		r3_log(R3_ERROR, "btrfs", m->args->image, "a commit failed, "
		       "nothing more is written: %s; unmount, then run 'ring3 "
		       "btrfs check'", r3_btrfs_why_of(m->fs, err));
	}
	for (unsigned i = 0; i < m->fsync_count; i++)
		fuse_reply_err(m->fsyncs[i], m->failed ? EIO : 0);
	m->fsync_count = 0;
}

static void tick(void *arg);

static void set_tick(struct mount *m, uint64_t ms)
{
	if (!m->tick.next)
		r3_timer_set(m->loop, &m->tick, ms * R3_NS_PER_MS, tick, m);
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

static void tick(void *arg)
{
	struct mount *m = arg;
	bool idle = m->requests == m->requests_seen;

	m->requests_seen = m->requests;
	if (m->cleaning && !m->failed)
		clean(m);
	if (m->dirty && ((idle && !m->cleaning) ||
			 r3_now_ns() - m->dirty_ns >=
				 m->args->sync_ms * R3_NS_PER_MS))
		sync_now(m);
	if (m->cleaning && !m->failed)
		set_tick(m, idle ? CLEAN_MS : IDLE_MS);
	else if (m->dirty)
		set_tick(m, r3_min(m->args->sync_ms, IDLE_MS));
}

void mount_dirty(struct mount *m)
{
	if (m->dirty)
		return;
	m->dirty = true;
	m->dirty_ns = r3_now_ns();
	set_tick(m, r3_min(m->args->sync_ms, IDLE_MS));
}

void mount_sync_for(struct mount *m, fuse_req_t req)
{
	m->fsyncs[m->fsync_count++] = req;
	if (m->fsync_count == MOUNT_FSYNCS_MAX)
		sync_now(m);
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
	fuse_reply_err(req, -err);
}

/* The next request; 1, 0: unmounted, -EAGAIN: there is none. */
static int one_request(struct mount *m)
{
	int n = fuse_session_receive_buf(m->session, &m->in);

	if (n <= 0)
		return n;
	fuse_session_process_buf(m->session, &m->in);
	m->requests++;
	return 1;
}

/* One, as most come alone and a look for a second costs as much as the loop's.
 * But a commit is for all who wait. */
static void requests_ready(void *arg, uint32_t events)
{
	struct mount *m = arg;
	unsigned count = 0;
	int n;

	(void)events;
	do {
		n = one_request(m);
	} while (n > 0 && ++count < BATCH && m->fsync_count);
	if (m->fsync_count)
		sync_now(m);
	if (n == 0 || fuse_session_exited(m->session)) { /* unmounted */
		r3_loop_stop(m->loop, 0);
	} else if (n < 0 && n != -EAGAIN && n != -EINTR) {
		r3_log(R3_ERROR, "btrfs", m->args->image, "no requests can be "
		       "had from /dev/fuse: %s; unmount and mount again",
		       strerror(-n));
		r3_loop_stop(m->loop, 1);
	}
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

/* The image is open and the mount made: no right is needed any more. */
static int drop_rights(const struct mount *m)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break; /* not root, or the last one */
	}
	if (syscall(SYS_capset, &head, none))
		return -errno;
	tzset();
	return r3_sandbox(m->args->image, "fdatasync fsync sync_file_range");
}

static int set_up(struct mount *m, struct signals *s)
{
	int fd = fuse_session_fd(m->session);
	int err = r3_loop_open(&m->loop);

	if (err)
		return err;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	err = catch_signals(m, s);
	if (!err && !m->args->readonly)
		err = flush_start(m);
	if (!err)
		err = drop_rights(m);
	m->cleaning = !m->args->readonly;
	if (!err && m->cleaning)
		mount_dirty(m); /* opening may have cleared up after a crash */
	return err;
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
	struct r3_watch requests;
	struct signals signals;
	int err = set_up(m, &signals);

	if (!err)
		err = r3_loop_watch(m->loop, &requests,
				    fuse_session_fd(m->session), EPOLLIN,
				    requests_ready, m);
	if (!err && send(m->keeper, "r", 1, MSG_NOSIGNAL) != 1)
		err = -errno;
	if (err) {
		r3_log(R3_ERROR, "btrfs", m->args->image, "could not be "
		       "served: %s", strerror(-err));
		return 1 | MOUNT_STILL_THERE;
	}
	err = r3_loop_run(m->loop);
	flush_stop(m);
	release_all(m);
	sync_now(m);
	r3_loop_close(m->loop);
	close(signals.fd);
	if (!fuse_session_exited(m->session))
		m->exit_code |= MOUNT_STILL_THERE;
	return err ? m->exit_code | 1 : m->exit_code;
}
