/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user.h - a vfio-user client: the device (user.c), a command (user_call.c)
 *
 * One command is under way at a time, and its caller waits for the reply.
 * What spoils the stream ends the connection: -EPROTO the server was wrong,
 * -ETIMEDOUT it was silent, -ENOTCONN it has gone.  From then on every call
 * returns -ENOTCONN at once.
 */
#ifndef DEVICE_USER_H
#define DEVICE_USER_H

#include <sys/uio.h>

#include "dev.h"
#include "version.h"

#define USER_FDS       16 /* that we take in one message */
#define USER_REPLY_MAX (64 * 1024) /* bytes of a reply's payload */

struct user {
	struct r3_device dev;
	int sock;
	bool lost;
	unsigned timeout_ms;
	uint16_t next_id;
	struct version peer;
	struct {
		int fd;
		uint64_t off;
	} mmap[R3_DEVICE_REGIONS_MAX];
};

/* A command and where its reply goes. */
struct user_call {
	uint16_t command;
	bool no_reply;
	struct iovec iov[3]; /* [0] is the head's */
	unsigned iov_count;
	const int *fds;
	unsigned fd_count;
	/* the reply's payload, and its fds (the caller's to close) */
	void *reply;
	size_t room, got; /* bytes */
	int *reply_fds; /* room for USER_FDS; NULL: none may come */
	unsigned reply_fd_count;
	int error; /* that the server answered with, negative */
};

/* Return: 0, the server's error, or why the connection has ended. */
int user_call(struct user *u, struct user_call *c);
/* A command whose payload and reply are one struct each: a shorter reply is
 * -EPROTO.  Return: as user_call(). */
int user_call_simple(struct user *u, uint16_t command, void *payload,
		     size_t len, void *reply, size_t reply_len);
/* By when the next reply must be there, as r3_now_ns(). */
uint64_t user_deadline(const struct user *u);
/* From now on nothing goes in or out, and the event fd says so.  Return: @err,
 * a negative errno, for the caller to pass on. */
int user_lose(struct user *u, int err);

#endif
