// SPDX-License-Identifier: GPL-2.0-or-later
/* server_control.c - the words between a server and its supervisor */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "server_priv.h"

#define PAGE_FD "ring3.page"

struct message {
	char text[R3_SERVER_MSG_MAX + 1];
	int fds[R3_SERVER_MSG_FDS];
	unsigned fd_count, fd_used;
	bool go;
};

/* @flags: MSG_DONTWAIT or 0. */
static int say(struct r3_server *s, int fd, int flags, const char *fmt,
	       va_list ap)
{
	char text[R3_SERVER_MSG_MAX];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = text };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;
	int n;

	if (s->control < 0)
		return -ENOTCONN;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -EMSGSIZE;
	iov.iov_len = (size_t)n;
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
	}
	do {
		sent = sendmsg(s->control, &mh, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int server_tell(struct r3_server *s, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = say(s, -1, MSG_DONTWAIT, fmt, ap);
	va_end(ap);
	return err;
}

int server_insist(struct r3_server *s, int fd, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = say(s, fd, 0, fmt, ap);
	va_end(ap);
	return err;
}

static void take_fds(struct message *m, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(m->fds, CMSG_DATA(c), n * sizeof(int));
		m->fd_count = (unsigned)n;
	}
}

/* 0, -EAGAIN, or -EPIPE when the supervisor is gone. */
static int receive(struct r3_server *s, struct message *m, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * R3_SERVER_MSG_FDS)];
	} control;
	struct iovec iov = { m->text, R3_SERVER_MSG_MAX };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->control, &mh, MSG_CMSG_CLOEXEC | flags);

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	m->text[n] = 0;
	m->fd_count = m->fd_used = 0;
	take_fds(m, &mh);
	return 0;
}

static int map_page(struct r3_server *s, int fd)
{
	void *page;
	int err = r3_map(fd, 0, R3_SERVER_PAGE_LEN, R3_READ | R3_WRITE, &page);

	close(fd);
	if (!err)
		s->page = page;
	return err;
}

/* The supervisor has a new connection for us, or can't have one. */
static void reopened(struct r3_server *s, int fd)
{
	struct server_reopen *r = &s->reopen;

	r->key = NULL;
	r->fn(r->arg, fd);
}

static int given_fd(struct r3_server *s, struct message *m, const char *name,
		    bool kept)
{
	int fd;

	if (m->fd_used == m->fd_count)
		return -EPROTO;
	fd = m->fds[m->fd_used++];
	if (!strcmp(name, PAGE_FD))
		return map_page(s, fd);
	if (!kept && s->reopen.key && !strcmp(s->reopen.key->name, name)) {
		reopened(s, fd);
		return 0;
	}
	return server_add_fd(s, name, fd, kept);
}

static int set_after(struct r3_server *s, const char *word)
{
	static const char *const words[] = {
		[R3_AFTER_NEW] = "new",	    [R3_AFTER_EXIT] = "exit",
		[R3_AFTER_KILL] = "kill",   [R3_AFTER_FAULT] = "fault",
		[R3_AFTER_HANG] = "hang",
	};

	for (unsigned i = 0; i < R3_COUNT(words); i++) {
		if (!strcmp(words[i], word)) {
			s->after = (enum r3_after)i;
			return 0;
		}
	}
	return -EPROTO;
}

static int one_line(struct r3_server *s, struct message *m, char *line)
{
	char *eq = strchr(line, '='), *value;
	uint64_t n;

	if (!eq)
		return -EPROTO;
	*eq = 0;
	value = eq + 1;
	if (!strcmp(line, "FD"))
		return given_fd(s, m, value, false);
	if (!strcmp(line, "KEPT"))
		return given_fd(s, m, value, true);
	if (!strcmp(line, "AFTER"))
		return set_after(s, value);
	if (!strcmp(line, "WATCHDOG_MS")) {
		if (r3_parse_uint(value, &n) || n < 1 || n > 3600000)
			return -EPROTO;
		s->heartbeat_ms = (unsigned)n;
		return 0;
	}
	if (!strcmp(line, "OPT")) {
		eq = strchr(value, '=');
		if (!eq)
			return -EPROTO;
		*eq = 0;
		return server_set(s, value, eq + 1);
	}
	if (!strcmp(line, "GO")) {
		m->go = true;
		return 0;
	}
	return -EPROTO;
}

static int handle(struct r3_server *s, struct message *m)
{
	char *save, *line;
	int err = 0;

	for (line = strtok_r(m->text, "\n", &save); line && !err;
	     line = strtok_r(NULL, "\n", &save))
		err = one_line(s, m, line);
	while (m->fd_used < m->fd_count)
		close(m->fds[m->fd_used++]);
	return err;
}

/* There is nothing to lose before r3_server_run(), which goes by a signalfd.
 * Without a handler the first process of a pid namespace would not hear it. */
static void end_now(int number)
{
	(void)number;
	_exit(0);
}

int server_handshake(struct r3_server *s)
{
	struct message m = { .go = false };
	int err;

	signal(SIGTERM, end_now);
	s->control = R3_SERVER_CONTROL_FD;
	if (fcntl(s->control, F_SETFD, FD_CLOEXEC))
		return -errno;
	while (!m.go) {
		err = receive(s, &m, 0);
		if (!err)
			err = handle(s, &m);
		if (err) {
			r3_log(R3_ERROR, "server", s->name,
			       "the supervisor's greeting is wrong: %s; start "
			       "servers with 'ring3 up'", strerror(-err));
			return err;
		}
	}
	return s->page ? 0 : -EPROTO;
}

void server_control_ready(void *arg, uint32_t events)
{
	struct r3_server *s = arg;
	struct message m = { .go = false };
	int err = receive(s, &m, MSG_DONTWAIT);

	(void)events;
	if (err == -EAGAIN || err == -EINTR)
		return;
	if (!err)
		err = handle(s, &m);
	if (err) {
		if (err != -EPIPE)
			r3_log(R3_ERROR, "server", s->name,
			       "bad word from the supervisor, ending: %s",
			       strerror(-err));
		r3_loop_stop(s->loop, err == -EPIPE ? 0 : 1);
	}
}
