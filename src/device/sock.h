/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sock.h - bytes and fds over a unix stream socket */
#ifndef DEVICE_SOCK_H
#define DEVICE_SOCK_H

#include <sys/uio.h>

#include "ring3/base.h"

/**
 * sock_recv() - what is there now, never waits
 * @fds:   room for @max; @count: how many came (the caller's to close)
 * Return: bytes, 0 at the end, -EAGAIN, -EMFILE (more fds than @max; those
 * that came are closed, the stream is spoiled), or recvmsg()'s error.
 */
ssize_t sock_recv(int sock, void *buf, size_t room, int *fds, unsigned max,
		  unsigned *count);
/* Send, never wait; @fds go with the first byte.  Bytes or -errno. */
ssize_t sock_send(int sock, const struct iovec *iov, unsigned iov_count,
		  const int *fds, unsigned count);
void sock_close_fds(int *fds, unsigned count);

#endif
