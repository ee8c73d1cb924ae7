// SPDX-License-Identifier: GPL-2.0-or-later
/* call.c - one command to a running supervisor */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ring3/node.h"

#define ANSWER_MAX (4 * 1024 * 1024)

static int dial(const char *rundir, int timeout_ms)
{
	struct timeval limit = { .tv_sec = timeout_ms / 1000,
				 .tv_usec = timeout_ms % 1000 * 1000 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control.sock",
		     rundir) >= (int)sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* many are waiting there already: so long at most do we */
	if (timeout_ms >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* How long may poll() still wait? */
static int left(uint64_t until_ns)
{
	uint64_t now = r3_now_ns();

	if (until_ns == UINT64_MAX)
		return -1;
	return now >= until_ns ? 0 : (int)((until_ns - now) / R3_NS_PER_MS) + 1;
}

static int read_answer(int fd, int timeout_ms, char **out)
{
	uint64_t until = timeout_ms < 0 ? UINT64_MAX :
			 r3_now_ns() + (uint64_t)timeout_ms * R3_NS_PER_MS;
	size_t len = 0, room = 64 * 1024;
	char *text = malloc(room);
	int err = -ENOMEM;

	while (text && len < ANSWER_MAX) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (len + 1 == room) {
			char *more = realloc(text, 2 * room);

			if (!more)
				break;
			text = more;
			room *= 2;
		}
		err = -ETIMEDOUT;
		n = poll(&p, 1, left(until));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		n = read(fd, text + len, room - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		err = -EPIPE;
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = 0;
		if (text[len - 1] == '\n') {
			*out = text;
			return 0;
		}
	}
	free(text);
	return err;
}

/* A node that is just going down must not end us (SIGPIPE). */
static int send_line(int fd, const char *line)
{
	struct iovec iov[] = {
		{ (void *)(uintptr_t)line, strlen(line) },
		{ (void *)(uintptr_t)"\n", 1 },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(fd, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int r3_node_call(const char *rundir, const char *line, int timeout_ms,
		 char **answer)
{
	int fd = dial(rundir, timeout_ms);
	int err;

	if (fd < 0)
		return fd;
	err = send_line(fd, line);
	if (!err)
		err = read_answer(fd, timeout_ms, answer);
	close(fd);
	return err;
}
