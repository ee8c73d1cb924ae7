// SPDX-License-Identifier: GPL-2.0-or-later
/* greet.c - the words between the supervisor and one server (server.h) */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/open.h"
#include "sup.h"

/* One message to a server; never waits. */
static int tell(int sock, const int *fds, unsigned fd_count, const char *fmt,
		...) R3_PRINTF(4, 5);

static int tell(int sock, const int *fds, unsigned fd_count, const char *fmt,
		...)
{
	char text[R3_SERVER_MSG_MAX];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * R3_SERVER_MSG_FDS)];
	} control;
	struct iovec iov = { .iov_base = text };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -EMSGSIZE;
	iov.iov_len = (size_t)n;
	if (fd_count) {
		memset(&control, 0, sizeof(control));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * fd_count);
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

const char *sup_socket_path(const struct r3_node_opt *o)
{
	return o->value + strlen("vfio-user:");
}

static int give_vfio(int sock, const struct r3_node_opt *o,
		     const struct r3_vfio_fds *v)
{
	int fds[3] = { v->container, v->device, v->group };

	if (v->group < 0)
		return tell(sock, fds, 2, "FD=%s.container\nFD=%s.device\n",
			    o->key, o->key);
	return tell(sock, fds, 3,
		    "FD=%s.container\nFD=%s.device\nFD=%s.group\n", o->key,
		    o->key, o->key);
}

static int give_opt(struct sup_server *s, int sock, unsigned i)
{
	const struct r3_node_opt *o = &s->plan->opts[i];
	int fd, err = tell(sock, NULL, 0, "OPT=%s=%s\n", o->key, o->value);

	if (err)
		return err;
	switch (o->kind) {
	case R3_NODE_FILE:
	case R3_NODE_LISTEN:
		return tell(sock, &s->fds[i], 1, "FD=%s\n", o->key);
	case R3_NODE_PCI:
		return give_vfio(sock, o, &s->vfio[i]);
	case R3_NODE_SOCKET:
		fd = r3_unix_connect(sup_socket_path(o));
		if (fd < 0) {
			r3_log(R3_WARN, "node", s->unit.name, "%s = %s: %s; "
			       "is the other server running?", o->key,
			       o->value, strerror(-fd));
			return fd;
		}
		err = tell(sock, &fd, 1, "FD=%s\n", o->key);
		close(fd);
		return err;
	case R3_NODE_OPT:
		break;
	}
	return 0;
}

static const char *after_word(enum r3_after after)
{
	static const char *const words[] = {
		[R3_AFTER_NEW] = "new",	  [R3_AFTER_EXIT] = "exit",
		[R3_AFTER_KILL] = "kill", [R3_AFTER_FAULT] = "fault",
		[R3_AFTER_HANG] = "hang",
	};

	return words[after];
}

/* Everything is in the socket's buffer before the server looks at it. */
int sup_greet(struct sup_server *s, int sock)
{
	int err = tell(sock, &s->page_fd, 1, "FD=ring3.page\n");

	for (unsigned i = 0; i < s->plan->opt_count && !err; i++)
		err = give_opt(s, sock, i);
	for (unsigned i = 0; i < s->kept_count && !err; i++)
		err = tell(sock, &s->kept[i].fd, 1, "KEPT=%s\n",
			   s->kept[i].name);
	if (!err)
		err = tell(sock, NULL, 0, "WATCHDOG_MS=%u\n",
			   s->plan->hang_ms / 4);
	if (!err)
		err = tell(sock, NULL, 0, "AFTER=%s\nGO=1\n",
			   after_word(s->unit.life.after));
	return err;
}

/* ---- what a server says ------------------------------------------------- */

static void keep(struct sup_server *s, const char *name, int fd)
{
	struct sup_fd *k = s->kept, *end = s->kept + s->kept_count;

	if (!sup_may_keep(fd)) {
		r3_log(R3_WARN, "node", s->unit.name, "%.*s is no eventfd, "
		       "memory file or socket: not kept", R3_SERVER_NAME_MAX,
		       name);
		sup_let_go(s, fd);
		return;
	}
	for (; k < end; k++) {
		if (!strcmp(k->name, name)) {
			sup_let_go(s, k->fd);
			k->fd = fd;
			return;
		}
	}
	if (s->kept_count == SUP_KEPT_MAX ||
	    strlen(name) >= sizeof(k->name) || !*name) {
		r3_log(R3_WARN, "node", s->unit.name, "an fd more than %d, or "
		       "one without a proper name, is not kept", SUP_KEPT_MAX);
		sup_let_go(s, fd);
		return;
	}
	strcpy(k->name, name);
	k->fd = fd;
	s->kept_count++;
}

static void forget(struct sup_server *s, const char *name)
{
	for (unsigned i = 0; i < s->kept_count; i++) {
		if (strcmp(s->kept[i].name, name))
			continue;
		sup_let_go(s, s->kept[i].fd);
		s->kept[i] = s->kept[--s->kept_count];
		return;
	}
}

/* Connect for it; while the other one has no room, try again. */
static void reopen(void *arg)
{
	struct sup_server *s = arg;
	const struct r3_node_opt *o = &s->plan->opts[s->reopen];
	int fd = r3_unix_connect(sup_socket_path(o));

	if (fd < 0) {
		r3_timer_set(s->unit.sup->loop, &s->reopen_timer,
			     SUP_REOPEN_MS * R3_NS_PER_MS, reopen, s);
		return;
	}
	s->reopen = -1;
	if (tell(s->control, &fd, 1, "FD=%s\n", o->key))
		r3_log(R3_WARN, "node", s->unit.name, "does not read what the "
		       "supervisor says");
	close(fd);
}

static void wants_reopen(struct sup_server *s, const char *key)
{
	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		if (s->plan->opts[i].kind != R3_NODE_SOCKET ||
		    strcmp(s->plan->opts[i].key, key))
			continue;
		s->reopen = (int)i;
		reopen(s);
		return;
	}
	r3_log(R3_WARN, "node", s->unit.name, "asks to reopen what it does "
	       "not have");
}

/* Text for a terminal: nothing in it may move the cursor. */
static void set_status(struct sup_server *s, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < sizeof(s->status); i++)
		s->status[i] = (unsigned char)text[i] < ' ' ||
			       (unsigned char)text[i] >= 0x7f ? '?' : text[i];
	s->status[i] = 0;
}

static void handle(struct sup_server *s, char *text, int fd)
{
	bool store = false, drop = false;
	const char *name = NULL;
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strcmp(line, "READY=1"))
			sup_event(&s->unit, LIFE_READY);
		else if (!strncmp(line, "STATUS=", 7))
			set_status(s, line + 7);
		else if (!strncmp(line, "REOPEN=", 7))
			wants_reopen(s, line + 7);
		else if (!strcmp(line, "FDSTORE=1"))
			store = true;
		else if (!strcmp(line, "FDSTOREREMOVE=1"))
			drop = true;
		else if (!strncmp(line, "FDNAME=", 7))
			name = line + 7;
	}
	if (store && name && fd >= 0) {
		keep(s, name, fd);
		return;
	}
	if (drop && name)
		forget(s, name);
	if (fd >= 0)
		sup_let_go(s, fd);
}

/* The one fd that a message may bring; -1: none. */
static int take_fd(const struct sup_server *s, struct msghdr *mh)
{
	int first = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(fd));
			if (first < 0)
				first = fd;
			else
				sup_let_go(s, fd);
		}
	}
	return first;
}

#define FDS_MAX 253 /* of one message: SCM_MAX_FD in Linux, net/scm.h */

/* False: nothing more to read. */
static bool hear_one(struct sup_server *s)
{
	char text[R3_SERVER_MSG_MAX + 1];
	union { /* what has no room, the kernel closes here and now */
		struct cmsghdr head;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { text, R3_SERVER_MSG_MAX };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(s->control, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n <= 0) {
		/* closed: its death follows by the pidfd */
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			r3_loop_unwatch(s->unit.sup->loop, &s->control_watch);
		return false;
	}
	text[n] = 0;
	s->beat_ns = r3_now_ns();
	handle(s, text, take_fd(s, &mh));
	return s->control >= 0;
}

#define HEAR_MAX 64 /* messages at once: others want to be heard too */
/* More than a socket's buffer holds of the smallest ones, when a server has
 * made it as large as it may. */
#define LAST_WORDS_MAX 1024

void sup_heard(void *arg, uint32_t events)
{
	struct sup_server *s = arg;

	(void)events;
	for (unsigned i = 0; i < HEAR_MAX; i++) {
		if (!hear_one(s))
			return;
	}
}

/* What a dead server had said last still counts: an fd to keep above all. */
void sup_hush(struct sup_server *s)
{
	if (s->control < 0)
		return;
	/* nothing more, whoever it had given its end to */
	shutdown(s->control, SHUT_RD);
	for (unsigned i = 0; i < LAST_WORDS_MAX; i++) {
		if (!hear_one(s))
			break;
	}
	r3_timer_cancel(&s->reopen_timer);
	r3_timer_cancel(&s->silent);
	s->reopen = -1;
	r3_loop_unwatch(s->unit.sup->loop, &s->control_watch);
	close(s->control);
	s->control = -1;
}
