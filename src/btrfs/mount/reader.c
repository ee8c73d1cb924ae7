// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reader.c - the thread that reads requests and answers them
 *
 * It sleeps in read(2) on the FUSE device.  A loop that waits for several
 * things needs a system call more for each request, and wakes slower: a tenth
 * of the server's time.  What else there is to do, timers and signals, has the
 * main thread (serve.c); mount.lock lets one of them at the volume.
 */
#include <fcntl.h>
#include <unistd.h>

#include "mount.h"

enum { BATCH = 64 }; /* requests, before fsyncs that wait get their commit */

/* @waits: does an fsync wait for a commit? */
static int one_request(struct mount *m, bool *waits)
{
	int n = fuse_session_receive_buf(m->session, &m->in);

	if (n <= 0)
		return n;
	pthread_mutex_lock(&m->lock);
	fuse_session_process_buf(m->session, &m->in);
	m->requests++;
	*waits = m->fsync_count;
	pthread_mutex_unlock(&m->lock);
	return n;
}

static int set_waiting(struct mount *m, bool on)
{
	int fd = fuse_session_fd(m->session), flags = fcntl(fd, F_GETFL);

	flags = on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) ? -errno : 0;
}

/* A commit is for all who wait: take what is there, but not more. */
static int commit_for_all(struct mount *m)
{
	int n = set_waiting(m, false);
	bool waits;

	for (unsigned i = 0; !n && i < BATCH; i++) {
		n = one_request(m, &waits);
		n = n > 0 ? 0 : n ? n : -ENODEV;
	}
	pthread_mutex_lock(&m->lock);
	mount_commit(m);
	pthread_mutex_unlock(&m->lock);
	if (!n || n == -EAGAIN || n == -EINTR)
		n = set_waiting(m, true);
	return n;
}

static void *run(void *arg)
{
	struct mount *m = arg;
	int n = mount_drop_rights(m);
	bool waits;

	while (!n) {
		n = one_request(m, &waits);
		if (n > 0 && waits)
			n = commit_for_all(m);
		else
			n = n > 0 || n == -EINTR ? 0 : n ? n : -ENODEV;
	}
	pthread_mutex_lock(&m->lock);
	m->reader_err = n;
	pthread_mutex_unlock(&m->lock);
	mount_wake(m);
	return NULL;
}

int reader_start(struct mount *m)
{
	return -pthread_create(&m->reader, NULL, run, m);
}
