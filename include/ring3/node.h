/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node.h - a node: its servers and guests, from a checked file to a plan that
 * the supervisor carries out, and the words to talk to it
 *
 * `ring3 up` reads and checks the configuration wholly, then hands the
 * supervisor a plan: flat text in which nothing is left to decide.  So the
 * process that everything depends on parses neither a user's file nor a
 * client's bytes.
 */
#ifndef RING3_NODE_H
#define RING3_NODE_H

#include <stdio.h>

#include "ring3/conf.h"
#include "ring3/server.h"

#define R3_NODE_SERVERS_MAX 64
#define R3_NODE_GUESTS_MAX  16
#define R3_NODE_ARGS_MAX    96 /* words of a guest's command line */
#define R3_NODE_PATH_MAX    1024
#define R3_NODE_SOCK_MAX    107 /* bytes of a unix socket's path */

enum r3_node_kind {
	R3_NODE_OPT,	/* key=value, nothing to open */
	R3_NODE_FILE,	/* value: an absolute path, opened read-write */
	R3_NODE_LISTEN, /* value: path of a unix socket */
	R3_NODE_SOCKET, /* value: "vfio-user:PATH", connected for the server */
	R3_NODE_PCI,	/* value: "pci:DDDD:BB:DD.F" */
};

struct r3_node_opt {
	enum r3_node_kind kind;
	char *key, *value;
};

struct r3_node_server {
	char name[R3_SERVER_NAME_MAX];
	const struct r3_server_spec *spec; /* NULL in the supervisor */
	char *kind, *type, *program;
	int line; /* of its section; 0 in the supervisor */
	struct r3_node_opt opts[R3_SERVER_KEYS_MAX];
	unsigned opt_count;
	unsigned hang_ms; /* silent for that long: it hangs */
	unsigned limit;	  /* quick deaths in a row before it is given up */
};

struct r3_node_guest {
	char name[R3_SERVER_NAME_MAX];
	char engine[8];		/* "kvm", "tcg" */
	char *disk, *disk_sock; /* the server's name; its socket */
	char *kernel, *initrd, *cmdline, *job;
	uint64_t memory, cpus, queues;
	char *args[R3_NODE_ARGS_MAX]; /* the command, once made */
	unsigned arg_count;
	int line;
};

struct r3_node {
	char name[R3_SERVER_NAME_MAX];
	char *rundir; /* absolute */
	struct r3_node_server servers[R3_NODE_SERVERS_MAX];
	unsigned server_count;
	struct r3_node_guest guests[R3_NODE_GUESTS_MAX];
	unsigned guest_count;
};

/* Every server that `ring3 up` can start, ended by NULL.  Defined by whoever
 * links the commands: src/cli/specs.c, or a test with servers of its own. */
extern const struct r3_server_spec *const r3_node_specs[];

/**
 * r3_node_read() - read and check a node's configuration
 * @path: the file; relative paths in it are relative to its folder
 * @specs: what servers there are, ended by NULL
 *
 * Nothing is started or created.  What is wrong is printed to standard error
 * as "FILE:LINE: what; what would be right", all of it in one go.
 * Return: 0, -EINVAL after such errors, -ENOMEM, or what reading said.
 */
int r3_node_read(struct r3_node **out, const char *path,
		 const struct r3_server_spec *const *specs);
void r3_node_free(struct r3_node *node);

/* Where node @name keeps its sockets and logs: $R3_RUNDIR/NAME, as root
 * /run/ring3/NAME, else $XDG_RUNTIME_DIR/ring3/NAME.  "" : all nodes'.
 * Return: 0 or -ENAMETOOLONG, -ENOENT (no XDG_RUNTIME_DIR). */
int r3_node_rundir(const char *name, char *out, size_t room);

/* The plan: written by the command, read by the supervisor. */
int r3_node_plan_write(const struct r3_node *node, FILE *f);
int r3_node_plan_read(struct r3_node **out, FILE *f);

/* ring3-supervisor's exit status when another one has the node. */
#define R3_NODE_HELD 75

/* The folder where the servers' programs are. */
int r3_node_libexec(char *out, size_t room);

/* Fill guest->args: QEMU attached to the disk's vhost-user socket. */
int r3_node_guest_command(struct r3_node_guest *g, const char *rundir);

/**
 * r3_node_call() - one command to a running supervisor, one line back
 * @rundir: of the node
 * @line:   "status", "stop", "kill nvme0 KILL", ...
 * @answer: JSON text, to free; always written on success
 * @timeout_ms: -1: as long as it takes
 * Return: 0, -ENOENT or -ECONNREFUSED (not running), -ETIMEDOUT, -EPIPE.
 */
int r3_node_call(const char *rundir, const char *line, int timeout_ms,
		 char **answer);

/* How fast /dev/kvm runs a guest's code. */
struct r3_kvm_speed {
	int err;	  /* 0, or why KVM can't be used (negative errno) */
	uint64_t kernel;  /* instructions a second at CPL0 */
	uint64_t user;	  /* and at CPL3 */
};
#define R3_KVM_FAST 100000000u /* kernel code below this: TCG is faster */
void r3_kvm_measure(struct r3_kvm_speed *out);

#endif
