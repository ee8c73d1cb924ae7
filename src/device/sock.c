// SPDX-License-Identifier: GPL-2.0-or-later
/* sock.c - bytes and fds over a unix stream socket */
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"
#include "wire.h"

/* Room for all that Linux passes at once, so that none is cut off unseen. */
union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(VU_LIMIT_FDS * sizeof(int))];
};

void sock_close_fds(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* All fds of a message; those over @max are closed, and counted. */
static unsigned take_fds(struct msghdr *msg, int *fds, unsigned max)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t have;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		have = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < have; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
			if (n < max)
				fds[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t sock_recv(int sock, void *buf, size_t room, int *fds, unsigned max,
		  unsigned *count)
{
	union control control;
	struct iovec iov = { buf, room };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	unsigned n;
	ssize_t got;

	*count = 0;
	do {
		got = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	n = take_fds(&msg, fds, max);
	if (n > max || (msg.msg_flags & MSG_CTRUNC)) {
		sock_close_fds(fds, n < max ? n : max);
		return -EMFILE;
	}
	*count = n;
	return got;
}

ssize_t sock_send(int sock, const struct iovec *iov, unsigned iov_count,
		  const int *fds, unsigned count)
{
	union control control;
	struct msghdr msg = {
		.msg_iov = (struct iovec *)iov, .msg_iovlen = iov_count,
	};
	ssize_t sent;

	assert(count <= VU_LIMIT_FDS);
	if (count) {
		memset(&control, 0, CMSG_SPACE(count * sizeof(int)));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
	}
	do {
		sent = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}
