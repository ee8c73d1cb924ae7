// SPDX-License-Identifier: GPL-2.0-or-later
/* user_call.c - a command to a vfio-user server, and the reply to it */
#include <poll.h>
#include <sys/socket.h>

#include "ring3/log.h"
#include "sock.h"
#include "user.h"

#define USER_STRANGERS 16 /* server's own commands while a reply is due */

int user_lose(struct user *u, int err)
{
	if (!u->lost) {
		shutdown(u->sock, SHUT_RDWR);
		r3_log(R3_WARN, "device", u->dev.info.name,
		       "vfio-user connection ended: %s; it has to be opened "
		       "anew", strerror(-err));
	}
	u->lost = true;
	return err;
}

static int wait_for(struct user *u, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = u->sock, .events = events };
	uint64_t now;
	int n;

	do {
		now = r3_now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((deadline - now) / R3_NS_PER_MS) + 1);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int send_all(struct user *u, struct user_call *c, uint64_t deadline)
{
	struct iovec *iov = c->iov;
	unsigned left = c->iov_count, fds = c->fd_count;

	while (left) {
		ssize_t n = sock_send(u->sock, iov, left, c->fds, fds);
		int err = n == -EAGAIN ? wait_for(u, POLLOUT, deadline) : 0;

		if (err || (n < 0 && n != -EAGAIN))
			return err ? err : -ENOTCONN;
		if (n < 0)
			continue;
		fds = 0;
		while (left && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			left--;
		}
		if (left) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Exactly @len bytes; fds go to @fds, whose number is *@count. */
static int recv_all(struct user *u, void *buf, size_t len, uint64_t deadline,
		    int *fds, unsigned *count)
{
	while (len) {
		unsigned more;
		ssize_t n = sock_recv(u->sock, buf, len, fds + *count,
				      USER_FDS - *count, &more);
		int err = n == -EAGAIN ? wait_for(u, POLLIN, deadline) : 0;

		if (err)
			return err;
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			return n == -EMFILE ? -EPROTO : -ENOTCONN;
		*count += more;
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

static int skip(struct user *u, size_t len, uint64_t deadline, int *fds,
		unsigned *count)
{
	char bin[256];

	while (len) {
		size_t n = r3_min(len, sizeof(bin));
		int err = recv_all(u, bin, n, deadline, fds, count);

		if (err)
			return err;
		len -= n;
	}
	return 0;
}

/*
 * The server may ask for memory by messages (DMA_READ, DMA_WRITE).  All of
 * ours was given with a file, so there is nothing to answer but an error.
 */
static int refuse(struct user *u, const struct vu_head *head,
		  uint64_t deadline)
{
	struct vu_head reply = *head;
	struct user_call c = { .iov = { { &reply, sizeof(reply) } },
			  .iov_count = 1 };

	if (r3_get_le32(head->flags) & VU_NO_REPLY)
		return 0;
	reply.size = r3_le32_of(sizeof(reply));
	reply.flags = r3_le32_of(VU_TYPE_REPLY | VU_ERROR);
	reply.error = r3_le32_of(EOPNOTSUPP);
	return send_all(u, &c, deadline);
}

/* One message from the server.  1: it was our reply; 0: something else, dealt
 * with; negative: the connection is spoiled. */
static int receive(struct user *u, struct user_call *c, uint16_t id,
		   uint64_t deadline, int *fds, unsigned *count)
{
	struct vu_head head;
	uint32_t size, flags;
	int err = recv_all(u, &head, sizeof(head), deadline, fds, count);

	if (err)
		return err;
	size = r3_get_le32(head.size);
	flags = r3_get_le32(head.flags);
	if (size < sizeof(head) || size - sizeof(head) > USER_REPLY_MAX)
		return -EPROTO;
	size -= sizeof(head);
	if ((flags & VU_TYPE_MASK) == VU_TYPE_COMMAND) {
		err = skip(u, size, deadline, fds, count);
		return err ? err : refuse(u, &head, deadline);
	}
	if ((flags & VU_TYPE_MASK) != VU_TYPE_REPLY ||
	    r3_get_le16(head.id) != id ||
	    r3_get_le16(head.command) != c->command)
		return -EPROTO;
	if (flags & VU_ERROR) {
		uint32_t error = r3_get_le32(head.error);

		c->error = error && error < 4096 ? -(int)error : -EIO;
		err = skip(u, size, deadline, fds, count);
		return err ? err : 1;
	}
	if (size > c->room)
		return -EPROTO;
	c->got = size;
	err = recv_all(u, c->reply, size, deadline, fds, count);
	return err ? err : 1;
}

static int wait_reply(struct user *u, struct user_call *c, uint16_t id,
		      uint64_t deadline)
{
	int fds[USER_FDS];
	unsigned count = 0;
	int done = 0;

	for (unsigned n = 0; !done && n < USER_STRANGERS; n++) {
		sock_close_fds(fds, count);
		count = 0;
		done = receive(u, c, id, deadline, fds, &count);
	}
	if (done == 1 && !c->error && count && c->reply_fds) {
		memcpy(c->reply_fds, fds, count * sizeof(int));
		c->reply_fd_count = count;
	} else {
		sock_close_fds(fds, count);
	}
	return done == 1 ? 0 : done ? done : -EPROTO;
}

uint64_t user_deadline(const struct user *u)
{
	uint64_t end = r3_now_ns() + u->timeout_ms * R3_NS_PER_MS;

	return u->dev.deadline_ns ? r3_min(end, u->dev.deadline_ns) : end;
}

int user_call(struct user *u, struct user_call *c)
{
	uint64_t deadline = user_deadline(u);
	uint16_t id = u->next_id++;
	struct vu_head head = {
		.id = r3_le16_of(id),
		.command = r3_le16_of(c->command),
		.flags = r3_le32_of(c->no_reply ? VU_NO_REPLY : 0),
	};
	size_t size = sizeof(head);
	int err;

	if (u->lost)
		return -ENOTCONN;
	c->iov[0] = (struct iovec){ &head, sizeof(head) };
	if (!c->iov_count)
		c->iov_count = 1;
	for (unsigned i = 1; i < c->iov_count; i++)
		size += c->iov[i].iov_len;
	head.size = r3_le32_of((uint32_t)size);
	err = send_all(u, c, deadline);
	if (!err && !c->no_reply)
		err = wait_reply(u, c, id, deadline);
	if (err)
		return user_lose(u, err);
	return c->error;
}

int user_call_simple(struct user *u, uint16_t command, void *payload,
		     size_t len, void *reply, size_t reply_len)
{
	struct user_call c = {
		.command = command,
		.iov = { [1] = { payload, len } }, .iov_count = 2,
		.reply = reply, .room = reply_len,
	};
	int err = user_call(u, &c);

	if (!err && c.got < reply_len)
		return user_lose(u, -EPROTO);
	return err;
}
