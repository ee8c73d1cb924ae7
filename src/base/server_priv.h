/* SPDX-License-Identifier: GPL-2.0-or-later */
/* server_priv.h - what the files of a server's runtime share */
#ifndef BASE_SERVER_PRIV_H
#define BASE_SERVER_PRIV_H

#include "ring3/server.h"

struct server_fd {
	char name[R3_SERVER_NAME_MAX];
	int fd;
	bool kept;
};

struct server_reopen {
	const struct r3_key *key; /* NULL: nothing asked for */
	void (*fn)(void *arg, int fd);
	void *arg;
	struct r3_timer retry; /* by hand only */
	struct r3_server *server;
};

struct r3_server {
	const struct r3_server_spec *spec;
	char name[R3_SERVER_NAME_MAX];
	char *value[R3_SERVER_KEYS_MAX]; /* by index in spec->keys */
	struct server_fd fds[R3_SERVER_FDS_MAX];
	unsigned fd_count;
	struct r3_loop *loop;
	struct r3_server_page *page;
	int control; /* -1: run by hand */
	enum r3_after after;
	struct server_reopen reopen;
	struct r3_watch control_watch, term_watch;
	struct r3_timer heartbeat;
	unsigned heartbeat_ms;
	uint64_t beat_ns; /* the last one */
};

/* server.c */
int server_key_index(const struct r3_server_spec *spec, const char *name);
int server_set(struct r3_server *s, const char *key, const char *value);
int server_add_fd(struct r3_server *s, const char *name, int fd, bool kept);

/* cpus.c */
void server_pin(struct r3_server *s);

/* server_hand.c: without a supervisor */
int server_open_by_hand(struct r3_server *s);
void server_reopen_by_hand(void *reopen);

/* server_control.c: with one */
int server_handshake(struct r3_server *s);
/* A word that the next one makes up for: lost while the supervisor is stopped
 * and its socket full.  @fmt: with the line's end. */
int server_tell(struct r3_server *s, const char *fmt, ...) R3_PRINTF(2, 3);
/* One that must arrive, even if we have to wait; @fd: goes with it, or -1. */
int server_insist(struct r3_server *s, int fd, const char *fmt, ...)
	R3_PRINTF(3, 4);
void server_control_ready(void *server, uint32_t events);

/* server_fault.c */
void server_catch_faults(struct r3_server_page *page);

#endif
