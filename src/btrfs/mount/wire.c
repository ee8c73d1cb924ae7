// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wire.c - what libfuse 3.14 does not know of FUSE's protocol
 *
 * FUSE_HANDLE_KILLPRIV_V2 (protocol 7.33): we take setuid and setgid away when
 * a file is written.  Without it the kernel looks for the xattr
 * security.capability before every write(2), one request each, which makes
 * writes of 4 KiB four times slower.  It is asked for in the reply to INIT, and
 * a bit in each WRITE then says what has to be done.  Both pass through here:
 * the two functions are libfuse's way to the device.
 */
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mount.h"

enum { INIT_IN_MIN = 16 }; /* bytes, up to the flags */

static ssize_t wire_read(int fd, void *buf, size_t len, void *data)
{
	struct mount *m = data;
	const struct fuse_in_header *h = buf;
	ssize_t n = read(fd, buf, len);

	m->kill_sgid = false;
	if (n < (ssize_t)sizeof(*h))
		return n;
	if (h->opcode == FUSE_WRITE &&
	    n >= (ssize_t)(sizeof(*h) + sizeof(struct fuse_write_in))) {
		const struct fuse_write_in *w = (const void *)(h + 1);

		m->kill_sgid = w->write_flags & FUSE_WRITE_KILL_SUIDGID;
	}
	if (h->opcode == FUSE_INIT &&
	    n >= (ssize_t)sizeof(*h) + INIT_IN_MIN) {
		const struct fuse_init_in *i = (const void *)(h + 1);

		m->init_unique = h->unique;
		m->kill_offered = i->flags & FUSE_HANDLE_KILLPRIV_V2;
	}
	return n;
}

static ssize_t wire_writev(int fd, struct iovec *iov, int count, void *data)
{
	struct mount *m = data;
	const struct fuse_out_header *h = iov->iov_base;

	if (m->kill_offered && h->unique == m->init_unique && !h->error &&
	    count > 1 && iov[1].iov_len >= FUSE_COMPAT_22_INIT_OUT_SIZE) {
		struct fuse_init_out *out = iov[1].iov_base;

		out->flags |= FUSE_HANDLE_KILLPRIV_V2;
		m->kill_offered = false;
	}
	return writev(fd, iov, count);
}

int wire_attach(struct mount *m)
{
	static const struct fuse_custom_io io = { .read = wire_read,
						  .writev = wire_writev };

	return fuse_session_custom_io(m->session, &io,
				      fuse_session_fd(m->session)) ? -EINVAL
								   : 0;
}
