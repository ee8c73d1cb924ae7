// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - add to an eventfd that others hold, and never wait for them
 *
 * write() waits while the counter is full, unless the file is O_NONBLOCK; but
 * whoever shares the file can fill the one and take away the other between our
 * look and our write.  An asynchronous request that names the eventfd as the
 * one to be told (IOCB_FLAG_RESFD) adds to it from within the kernel, where
 * nothing waits: a full counter stays full.  The request itself reads no bytes
 * of an eventfd of our own, so it is over, with an error that nobody looks at,
 * when io_submit() returns.  (fs/aio.c, fs/eventfd.c; since Linux 4.18.)
 *
 * A quarter of a microsecond dearer than write().  Where the kernel has no AIO,
 * we look whether there is room and write: then a peer may win that race.
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring3/loop.h"

#define EVENTS_MAX 128 /* room for results */
#define REAP_AT	   32  /* of them, before they are thrown away */

static struct {
	bool tried;
	aio_context_t ctx; /* 0: not to be had here */
	int idle;	   /* an eventfd that nobody writes to */
	unsigned waiting;  /* results not yet thrown away */
} aio;

/* A child has no part in its parent's requests. */
static void forget(void)
{
	if (aio.ctx)
		close(aio.idle);
	aio.tried = false;
	aio.ctx = 0;
}

void r3_notify_init(void)
{
	static bool told;

	if (aio.tried)
		return;
	aio.tried = true;
	aio.waiting = 0;
	aio.idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (aio.idle < 0)
		return;
	if (syscall(SYS_io_setup, EVENTS_MAX, &aio.ctx)) {
		aio.ctx = 0;
		close(aio.idle);
	} else if (!told) {
		told = !pthread_atfork(NULL, NULL, forget);
	}
}

static void reap(void)
{
	struct io_event events[EVENTS_MAX];

	syscall(SYS_io_getevents, aio.ctx, 0, EVENTS_MAX, events,
		&(struct timespec){ 0 });
	aio.waiting = 0;
}

/* A read of @len bytes to @to, of which @fd is told.  0 or -errno. */
static int submit(int fd, uint64_t to, uint64_t len)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD,
			   .aio_fildes = (uint32_t)aio.idle,
			   .aio_buf = to, .aio_nbytes = len,
			   .aio_flags = IOCB_FLAG_RESFD,
			   .aio_resfd = (uint32_t)fd };
	struct iocb *list = &cb;

	return syscall(SYS_io_submit, aio.ctx, 1, &list) == 1 ? 0 : -errno;
}

static int write_if_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	if (poll(&p, 1, 0) != 1)
		return 0;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int r3_notify(int fd)
{
	int err;

	r3_notify_init();
	if (!aio.ctx)
		return write_if_room(fd);
	err = submit(fd, 0, 0);
	if (!err && ++aio.waiting == REAP_AT)
		reap();
	/* no memory for the request: this one has to get through as well */
	return err == -EAGAIN || err == -ENOMEM ? write_if_room(fd) : err;
}

/* An eventfd is asked for 8 bytes or more; nothing else we know of refuses
 * fewer.  Files whose reads could wait don't know RWF_NOWAIT. */
static bool refuses_half(int fd)
{
	uint32_t n;
	struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EINVAL;
}

bool r3_is_eventfd(int fd)
{
	int err;

	r3_notify_init();
	if (!aio.ctx)
		return refuses_half(fd);
	/* a place that no memory can be at: refused, but after the eventfd */
	err = submit(fd, UINT64_MAX - R3_PAGE_SIZE, 1);
	return err == -EFAULT;
}
