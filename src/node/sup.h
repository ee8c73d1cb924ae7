/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sup.h - the supervisor's own state
 *
 * It holds what must outlive a server: the kept page, listeners, files, VFIO
 * fds, and the fds that the server handed over (a client's memory among
 * them).  It maps nothing of a client's and reads from the kept page only
 * counters and the crash record, each copied once.
 */
#ifndef NODE_SUP_H
#define NODE_SUP_H

#include <jansson.h>

#include "life.h"
#include "ring3/device.h"
#include "ring3/loop.h"
#include "ring3/node.h"

#define SUP_KEPT_MAX	 256 /* fds that one server may keep */
#define SUP_SAMPLES	 256 /* restart times remembered per server */
#define SUP_CALLERS_MAX	 16  /* connections to the control socket */
#define SUP_LINE_MAX	 256 /* of a command */
#define SUP_READY_MS	 15000 /* from fork to READY */
#define SUP_TICK_MS	 1000
#define SUP_LOG_MAX	 (4 * 1024 * 1024) /* of one log file; and one older */
#define SUP_CRASHES	 32
#define SUP_CAUSE_LEN	 128
#define SUP_REOPEN_MS	 5 /* between two tries to connect for a server */

struct sup;

/* What a child process needs to be, beyond its program. */
struct sup_child {
	const char *name;
	int exe;	 /* O_PATH */
	int log;	 /* becomes its standard error */
	int control;	 /* becomes its fd 3; -1: a guest, not sandboxed */
	char *const *argv;
};

struct sup_fd {
	char name[R3_SERVER_NAME_MAX];
	int fd;
};

/* A server or a guest. */
struct sup_unit {
	struct sup *sup;
	const char *name;
	struct life life;
	pid_t pid;
	int pidfd; /* -1: no process */
	struct r3_watch death;
	struct r3_timer due;  /* back-off, or SIGKILL after SIGTERM */
	uint64_t killed_ns;   /* when we killed it; 0: we did not */
	uint64_t ended_ns;    /* its restart time counts from here */
	unsigned restarts;
	char cause[SUP_CAUSE_LEN]; /* of the last death; "" */
	int log;
	char log_path[R3_NODE_PATH_MAX];
	uint32_t took_us[SUP_SAMPLES]; /* kill or death to READY, a ring */
	unsigned took_count;
};

struct sup_server {
	struct sup_unit unit; /* first */
	const struct r3_node_server *plan;
	int control;
	struct r3_watch control_watch;
	struct r3_timer silent;
	uint64_t beat_ns; /* its last sign of life; pauses don't count */
	uint64_t beat_seen_ns; /* the same, when we last looked */
	uint64_t ran_ns; /* the CPU time it had had soon after it */
	int page_fd;
	struct r3_server_page *page; /* the first page of it only */
	int fds[R3_SERVER_KEYS_MAX]; /* by index in plan->opts; -1 */
	struct r3_vfio_fds vfio[R3_SERVER_KEYS_MAX];
	bool fence_failed;
	int fence_pidfd; /* of who fences, while fence_watch is on */
	struct r3_watch fence_watch;
	void (*fenced)(struct sup_server *s);
	struct r3_crash crash; /* of the last death */
	bool report;	       /* it is worth one */
	uint64_t dma_faults; /* of its device, blocked */
	struct sup_fd *kept;
	unsigned kept_count;
	int reopen; /* index in plan->opts of what it waits for; -1 */
	struct r3_timer reopen_timer;
	char status[128];
	struct r3_stats last; /* at the last tick */
	double requests_s, bytes_s;
};

struct sup_guest {
	struct sup_unit unit; /* first */
	const struct r3_node_guest *plan;
	int console; /* what it said on its console; -1 */
	char console_path[R3_SERVER_NAME_MAX + 32];
};

/* A connection to the control socket. */
struct sup_caller {
	struct sup *sup;
	int fd; /* -1: free */
	uint64_t since_ns;
	struct r3_watch watch;
	char line[SUP_LINE_MAX];
	size_t len;
	bool waits_all;		 /* for all to be up */
	struct sup_unit *waits;	 /* for this one to be up again */
};

struct sup {
	struct r3_node *node;
	struct r3_loop *loop;
	int dir;      /* the run directory */
	int null;     /* /dev/null */
	int log;      /* our own log file; -1: that is not what stderr is */
	int mnt, net; /* an empty root, an empty network; -1: not possible */
	bool namespaces; /* new ones can be made */
	int lock, control, signals, kernel_log;
	struct r3_watch control_watch, signal_watch, kernel_log_watch;
	struct r3_timer tick;
	uint64_t start_ns, tick_ns;
	struct sup_server *servers;
	struct sup_guest *guests;
	struct sup_caller callers[SUP_CALLERS_MAX];
	unsigned crashes;
	bool stopping, guests_started;
};

/* ns.c: before anything else is opened */
void sup_namespaces(struct sup *sup);

/* child.c */
/* Return: the pid and *pidfd, or a negative errno. */
pid_t sup_spawn(struct sup *sup, const struct sup_child *c, int *pidfd);

/* open.c: what servers need, opened once */
int sup_open_all(struct sup *sup);
void sup_close_all(struct sup *sup);
int sup_log_open(struct sup *sup, struct sup_unit *u);
void sup_log_bound(struct sup *sup, int log, const char *path);

/* unit.c: life and death */
void sup_event(struct sup_unit *u, enum life_event event);
void sup_stop(struct sup *sup);
/* fence.c: quiet the devices of a server that has died, then call @then; at
 * once when it has none */
void sup_fence(struct sup_server *s, void (*then)(struct sup_server *s));
bool sup_is_guest(const struct sup_unit *u);
struct sup_unit *sup_find(struct sup *sup, const char *name);
void sup_all_up(struct sup *sup); /* look whether callers and guests may go */

/* greet.c: words between us and a server */
int sup_greet(struct sup_server *s, int sock);
void sup_heard(void *server, uint32_t events);
/* The path in "vfio-user:PATH". */
const char *sup_socket_path(const struct r3_node_opt *o);
void sup_hush(struct sup_server *s); /* its process is gone */

/* letgo.c: fds that a server handed over */
/* One that holds nobody up: an eventfd, a memory file or a socket.  Others may
 * make every process wait that is forked and closes what it inherited. */
bool sup_may_keep(int fd);
void sup_let_go(const struct sup_server *s, int fd); /* close it */
void sup_reap_closers(void); /* now and then */

/* faults.c */
void sup_watch_faults(struct sup *sup);

/* guest.c */
int sup_guest_spawn(struct sup_guest *g);

/* control.c */
int sup_control_open(struct sup *sup);
void sup_control_close(struct sup *sup);
void sup_callers_look(struct sup *sup);

/* report.c */
json_t *sup_status(struct sup *sup);
void sup_rates(struct sup *sup);
/* @last: the unit as it was when it died. */
void sup_crash(struct sup_server *s, const struct sup_unit *last,
	       const struct r3_crash *crash);
const char *sup_cause(struct sup_unit *u, int code, int status,
		      const struct r3_crash *crash);

#endif
