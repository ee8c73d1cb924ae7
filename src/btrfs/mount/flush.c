// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flush.c - asking the kernel for the pages of a file that it holds back
 *
 * With a write-back cache the kernel keeps written pages for a while, and does
 * not write them before it asks where data and holes are (Linux 6.18,
 * fuse_lseek).  What it has not told us would look like a hole, and a copy made
 * by SEEK_DATA would lack it.  So the file's pages are called back first.
 * That notification returns when the kernel has written them, to us: it needs a
 * thread of its own, which does nothing else and never touches the volume.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mount.h"

struct job {
	fuse_req_t req;
	fuse_ino_t ino;
	off_t off;
	int whence;
};

/* Jobs go to the thread and come back on a pair of sockets. */
struct flush {
	struct mount *m;
	pthread_t thread;
	int ours, its;
	struct r3_watch back;
};

static void *run(void *arg)
{
	struct flush *f = arg;
	struct job job;

	if (mount_drop_rights(f->m))
		return NULL;
	while (recv(f->its, &job, sizeof(job), 0) == sizeof(job)) {
		/* length 0: to the end.  Failing is no reason not to look. */
		fuse_lowlevel_notify_inval_inode(f->m->session, job.ino,
						 job.off, 0);
		if (send(f->its, &job, sizeof(job), MSG_NOSIGNAL) < 0)
			break;
	}
	return NULL;
}

static void came_back(void *arg, uint32_t events)
{
	struct flush *f = arg;
	struct job job;

	(void)events;
	while (recv(f->ours, &job, sizeof(job), MSG_DONTWAIT) == sizeof(job)) {
		pthread_mutex_lock(&f->m->lock);
		look_seek(f->m, job.req, job.ino, job.off, job.whence);
		pthread_mutex_unlock(&f->m->lock);
	}
}

void flush_then_seek(struct mount *m, fuse_req_t req, fuse_ino_t ino,
		     off_t off, int whence)
{
	struct job job = { req, ino, off, whence };

	/* more than a socket holds can't wait for us: the kernel's limit of
	 * requests is far below that */
	if (send(m->flush->ours, &job, sizeof(job),
		 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		fuse_reply_err(req, EAGAIN);
}

int flush_start(struct mount *m)
{
	struct flush *f = calloc(1, sizeof(*f));
	int pair[2], err;

	if (!f)
		return -ENOMEM;
	f->m = m;
	err = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)
		      ? -errno : 0;
	if (err)
		goto fail_alloc;
	f->ours = pair[0];
	f->its = pair[1];
	err = r3_loop_watch(m->loop, &f->back, f->ours, EPOLLIN, came_back, f);
	if (err)
		goto fail_pair;
	err = -pthread_create(&f->thread, NULL, run, f);
	if (err)
		goto fail_watch;
	m->flush = f;
	return 0;

fail_watch:
	r3_loop_unwatch(m->loop, &f->back);
fail_pair:
	close(f->ours);
	close(f->its);
fail_alloc:
	free(f);
	return err;
}

void flush_stop(struct mount *m)
{
	struct flush *f = m->flush;

	if (!f)
		return;
	r3_loop_unwatch(m->loop, &f->back);
	shutdown(f->ours, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->ours);
	close(f->its);
	free(f);
	m->flush = NULL;
}
