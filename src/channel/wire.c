// SPDX-License-Identifier: GPL-2.0-or-later
/* wire.c - vhost-user messages in and out of a socket */
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

int vu_send(int socket, const struct vu_head *head,
	    const union vu_payload *payload, const int *fds, unsigned count)
{
	char control[CMSG_SPACE(sizeof(int) * VU_FDS_MAX)] = { 0 };
	struct iovec iov[2] = {
		{ .iov_base = (void *)(uintptr_t)head,
		  .iov_len = sizeof(*head) },
		{ .iov_base = (void *)(uintptr_t)payload,
		  .iov_len = head->size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (count) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do {
		n = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* a message is small: only a full socket takes less */
	return (size_t)n == sizeof(*head) + head->size ? 0 : -EAGAIN;
}

/* All fds that came are ours to close, wanted or not. */
static int take_fds(struct msghdr *msg, struct vu_in *in)
{
	int err = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(fd));
			if (in->fd_count < VU_FDS_MAX) {
				in->fds[in->fd_count++] = fd;
			} else {
				close(fd);
				err = -EPROTO;
			}
		}
	}
	return err;
}

/* Up to @len bytes to @to; how many, 0 (none there), or a negative errno. */
static ssize_t receive_some(int socket, struct vu_in *in, void *to, size_t len)
{
	char control[CMSG_SPACE(sizeof(int) * VU_FDS_MAX)];
	struct iovec iov = { .iov_base = to, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int err;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	err = take_fds(&msg, in);
	return err ? err : n;
}

int vu_receive(int socket, struct vu_in *in)
{
	/* at most the head, then the payload, each perhaps in pieces */
	for (;;) {
		uint32_t head = sizeof(in->head), want = head;
		uint8_t *to = (uint8_t *)&in->head + in->got;
		ssize_t n;

		if (in->got >= head) {
			if (in->head.size > sizeof(in->payload))
				return -EPROTO;
			want = head + in->head.size;
			to = (uint8_t *)&in->payload + (in->got - head);
			if (in->got == want)
				return 1;
		}
		n = receive_some(socket, in, to, want - in->got);
		if (n <= 0)
			return (int)n;
		in->got += (uint32_t)n;
	}
}

int vu_take_fd(struct vu_in *in, unsigned i)
{
	int fd = i < in->fd_count ? in->fds[i] : -1;

	if (fd >= 0)
		in->fds[i] = -1;
	return fd;
}

void vu_in_reset(struct vu_in *in)
{
	for (unsigned i = 0; i < in->fd_count; i++) {
		if (in->fds[i] >= 0)
			close(in->fds[i]);
	}
	memset(in, 0, sizeof(*in));
}
