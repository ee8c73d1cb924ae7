/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.h - a server's half of the contract with its supervisor
 *
 * A server is a process that is given its file descriptors and nothing else,
 * can be killed at any instruction, and is then started again with what it
 * had asked to be kept.  This is what such a process calls; src/node has the
 * other half.  The same program also runs by hand, without a supervisor:
 *
 *	ring3-model-nvme NAME file=disk.img listen=/run/disk.sock
 *
 * Between the two goes one SOCK_SEQPACKET socket (fd 3) that carries text in
 * the form of systemd's sd_notify(3): lines of KEY=VALUE, fds beside them.
 *
 *	supervisor: OPT=key=value, FD=name (+1 fd each), KEPT=name (+1 fd each),
 *	            AFTER=exit|kill|fault|hang, GO=1
 *	server:     READY=1, WATCHDOG=1, STATUS=text, FDSTORE=1 FDNAME=x (+1 fd),
 *	            FDSTOREREMOVE=1 FDNAME=x, REOPEN=key (answered by FD=...)
 */
#ifndef RING3_SERVER_H
#define RING3_SERVER_H

#include "ring3/base.h"
#include "ring3/loop.h"

#define R3_SERVER_CONTROL_FD 3
#define R3_SERVER_MSG_MAX    4096 /* bytes of one control message */
#define R3_SERVER_MSG_FDS    16	  /* fds beside one control message */
#define R3_SERVER_KEYS_MAX   48
#define R3_SERVER_FDS_MAX    512 /* given and kept, together */
#define R3_SERVER_NAME_MAX   64	 /* a server's, a key's, an fd's */

enum r3_key_kind {
	R3_KEY_STRING,
	R3_KEY_UINT,   /* min..max */
	R3_KEY_SIZE,   /* bytes, K M G T; min..max */
	R3_KEY_BOOL,   /* yes, no */
	R3_KEY_CHOICE, /* one of choices, "a|b|c" */
	R3_KEY_CPUS,   /* processors: "0,2-3", or "auto" */
	R3_KEY_FILE,   /* opened read-write for the server, which gets the fd */
	R3_KEY_LISTEN, /* path of a unix stream socket; the server gets it
			  listening */
	R3_KEY_DEVICE, /* a model's name, vfio-user:PATH or pci:DDDD:BB:DD.F;
			* fds KEY (a connected socket), or KEY.container,
			* KEY.group and KEY.device */
};

/* One key of a server's section; the node checks its file against these. */
struct r3_key {
	const char *name; /* NULL ends the table */
	enum r3_key_kind kind;
	const char *def; /* NULL: must be given */
	uint64_t min, max;
	const char *choices;
	const char *help;
};

/*
 * The key that every server should have.  "auto": any processor.
 */
#define R3_KEY_CPUS_ENTRY                                                \
	{                                                                \
		.name = "cpus", .kind = R3_KEY_CPUS, .def = "auto",      \
		.help = "processors to run on, such as 0,2-3"            \
	}

struct r3_server_spec {
	const char *kind; /* the section's kind: "driver", "model" */
	const char *type; /* its "type =": "nvme" */
	const char *program;
	const char *summary;
	const struct r3_key *keys;
	/* System calls that it needs after r3_server_ready() beyond those of
	 * every server (src/base/server_sandbox.c), blanks between:
	 * "io_uring_enter fdatasync ioctl:0x3b", the last for all ioctls of
	 * one type byte.  NULL: none. */
	const char *calls;
};

/**
 * r3_key_check() - is @value what @k wants?
 * @why: what would be right, written when it is not
 * Return: 0 or -EINVAL.
 */
int r3_key_check(const struct r3_key *k, const char *value, char *why,
		 size_t room);

#define R3_CPUS_MAX 1024

/**
 * r3_parse_cpus() - a list of processors, "0,2-3"
 * @set: R3_CPUS_MAX bits, written on success; may be NULL
 * Return: 0, -EINVAL (no list), -ERANGE (R3_CPUS_MAX and more).
 */
int r3_parse_cpus(const char *text, uint64_t set[R3_CPUS_MAX / 64]);

/* Counters that the supervisor may read at any time (never written by it).
 * Only the server's own thread writes: plain relaxed stores. */
struct r3_stats {
	uint64_t requests, errors;
	uint64_t bytes_read, bytes_written;
	uint64_t clients;	/* connected now */
	uint64_t clients_refused; /* cut off for breaking the protocol, ever */
	uint64_t resubmitted;	/* done again after a restart, ever */
	uint64_t quarantined;	/* failed as they killed the server twice */
	uint64_t resets;	/* of the device, ever */
};

/*
 * The kept page: memory owned by the supervisor, the same over all restarts.
 * A server that died may have left anything in its private part: it must be
 * checked on start like a peer's bytes.
 */
#define R3_SERVER_PAGE_LEN  (64 * 1024)
#define R3_SERVER_PAGE_PRIV 4096 /* the private part starts here */

struct r3_crash { /* written by the fault handler of the dying server */
	uint32_t valid; /* a real fault or abort of its own, not a kill(2) */
	int32_t signal, code; /* signal is set for a kill(2) too */
	int32_t call;	/* SIGSYS: number of the refused system call */
	uint64_t addr, ip;
	uint64_t trace[16]; /* return addresses, innermost first; 0 ends */
};

struct r3_server_page {
	uint64_t starts; /* how often the server came up with this page */
	struct r3_stats stats;
	struct r3_crash crash;
};

struct r3_server;

/**
 * r3_server_open() - come up, supervised or by hand
 * @spec: the program's keys
 * @argv: "NAME --supervised" (handshake on fd 3), or "NAME key=value...", for
 *	  which files, sockets and devices are opened here
 *
 * Call it first in main().  Prints what is wrong with the arguments; --help
 * prints the keys and exits.  Installs the fault handler, ignores SIGPIPE.
 * Return: 0, -EINVAL (arguments), or what opening something said.
 */
int r3_server_open(struct r3_server **out, const struct r3_server_spec *spec,
		   int argc, char **argv);
void r3_server_close(struct r3_server *s);

/* Opens a "pci:" device for a server run by hand: container, group and device
 * into @fds, or why not.  Set it before r3_server_open(); NULL: refused. */
extern int (*r3_server_open_pci)(const char *bdf, int fds[3], char *why,
				 size_t room);

const char *r3_server_name(const struct r3_server *s);
struct r3_loop *r3_server_loop(const struct r3_server *s);

/* Checked values; asking for a key that is not in the table is a bug. */
const char *r3_server_str(const struct r3_server *s, const char *key);
uint64_t r3_server_uint(const struct r3_server *s, const char *key);
bool r3_server_bool(const struct r3_server *s, const char *key);
/* The fd given under @name ("listen", "device.group"); -1: none.  It stays
 * the server object's: don't close. */
int r3_server_fd(const struct r3_server *s, const char *name);

/**
 * r3_server_reopen() - ask for a fresh connection for a R3_KEY_DEVICE key
 * @fn: called from the loop with a connected socket, which it now owns, or a
 *	negative errno; only when the other server is there again
 * Return: 0; -EINVAL (no such key); -EALREADY (asked, not answered yet); or why
 * the supervisor can't be asked: @fn is then not called.
 */
int r3_server_reopen(struct r3_server *s, const char *key,
		     void (*fn)(void *arg, int fd), void *arg);

/**
 * r3_server_ready() - give up what will not be needed any more, say READY=1
 *
 * From here on nothing can be opened, no memory becomes executable, and only
 * the system calls of every server and of spec->calls work: another one ends
 * the process with SIGSYS, and its crash report names the call.  What was not
 * available on this kernel is said once in the log.  Starts the heartbeat.
 * By hand nothing is given up.
 * Return: 0, or why the sandbox failed: end then.
 */
int r3_server_ready(struct r3_server *s);

/**
 * r3_sandbox() - the same for a process that is no supervised server
 * @name:  for the log
 * @calls: as r3_server_spec.calls
 *
 * Threads that it needs must run by now.  Call tzset() before.
 * Return: 0, or what prctl() or the system call filter said.
 */
int r3_sandbox(const char *name, const char *calls);

/**
 * r3_server_keep_fd() - have a duplicate of @fd given again after a restart
 * @name: 1 to R3_SERVER_NAME_MAX - 1 bytes; the same again replaces it.  A
 *	  socket that is replaced or dropped is shut down
 * @fd:	  an eventfd, a memory file or a socket; others are not kept, which only
 *	  the supervisor's log says
 *
 * Waits while the supervisor is stopped and has not heard what was said before;
 * so does r3_server_drop_fd().
 * Return: 0; -ENOTCONN (no supervisor: nothing will outlive us); -EPIPE (gone).
 */
int r3_server_keep_fd(struct r3_server *s, const char *name, int fd);
void r3_server_drop_fd(struct r3_server *s, const char *name);
/* What was kept before we died; -1: nothing.  Now the caller's to close. */
int r3_server_kept_fd(struct r3_server *s, const char *name);

struct r3_stats *r3_server_stats(struct r3_server *s);
/* The private part of the kept page, zeroed when the server is new. */
void *r3_server_page(struct r3_server *s, size_t *len);

/* How the last life ended: what was in flight then is only suspect after a
 * fault or a hang of the server's own. */
enum r3_after { R3_AFTER_NEW, R3_AFTER_EXIT, R3_AFTER_KILL, R3_AFTER_FAULT,
		R3_AFTER_HANG };
enum r3_after r3_server_after(const struct r3_server *s);

/* From within a bounded wait that keeps the loop from running: this is no
 * hang.  Cheap; tells the supervisor no more often than the loop would. */
void r3_server_alive(struct r3_server *s);

/* One line for `ring3 status`. */
void r3_server_status(struct r3_server *s, const char *fmt, ...)
	R3_PRINTF(2, 3);

/* Run the loop until SIGTERM or the supervisor is gone; the exit code. */
int r3_server_run(struct r3_server *s);

#endif
