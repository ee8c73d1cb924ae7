/* SPDX-License-Identifier: GPL-2.0-or-later */
/* send_piece.h - bytes into a socket, and some duplicates of an fd with them */
#ifndef FUZZ_SEND_PIECE_H
#define FUZZ_SEND_PIECE_H

#include <string.h>
#include <sys/socket.h>

/* @fds: 0 to 32.  What has no room is lost. */
static void send_piece(int sock, const uint8_t *p, size_t len, unsigned fds,
		       int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(32 * sizeof(int))];
	} c;
	struct iovec iov = { (void *)p, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int list[32];

	for (unsigned i = 0; i < fds; i++)
		list[i] = fd;
	if (fds) {
		memset(&c, 0, sizeof(c));
		c.head.cmsg_level = SOL_SOCKET;
		c.head.cmsg_type = SCM_RIGHTS;
		c.head.cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(&c.head), list, fds * sizeof(int));
		msg.msg_control = &c;
		msg.msg_controllen = CMSG_SPACE(fds * sizeof(int));
	}
	sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

#endif
