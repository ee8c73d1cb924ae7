// SPDX-License-Identifier: GPL-2.0-or-later
/* qemu.c - the command that runs a guest in QEMU, a disk of ours attached */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring3/node.h"

#define WORD_LEN 4096

static int add(struct r3_node_guest *g, const char *fmt, ...) R3_PRINTF(2, 3);

static int add(struct r3_node_guest *g, const char *fmt, ...)
{
	char word[WORD_LEN];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(word) ||
	    g->arg_count + 1 >= R3_NODE_ARGS_MAX)
		return -E2BIG;
	g->args[g->arg_count] = strdup(word);
	if (!g->args[g->arg_count])
		return -ENOMEM;
	g->arg_count++;
	return 0;
}

/* A path within an option: QEMU wants its commas doubled. */
static const char *path_in(char *out, size_t room, const char *path)
{
	size_t n = 0;

	for (; *path && n + 2 < room; path++) {
		if (*path == ',')
			out[n++] = ',';
		out[n++] = *path;
	}
	out[n] = 0;
	return out;
}

/* Several words that need nothing filled in. */
static int add_all(struct r3_node_guest *g, const char *const *words)
{
	int err = 0;

	for (; *words && !err; words++)
		err = add(g, "%s", *words);
	return err;
}

static int add_machine(struct r3_node_guest *g)
{
	static const char *const fixed[] = {
		"qemu-system-x86_64", "-nodefaults", "-no-user-config",
		"-display", "none", "-no-reboot", "-name", NULL
	};
	bool kvm = !strcmp(g->engine, "kvm");
	int err = add_all(g, fixed);

	if (!err)
		err = add(g, "%s", g->name);
	if (!err)
		err = add(g, "-accel");
	if (!err)
		err = add(g, kvm ? "kvm" : "tcg,thread=multi");
	if (!err)
		err = add(g, "-machine");
	if (!err)
		err = add(g, "q35,memory-backend=mem,usb=off,vmport=off");
	if (!err)
		err = add(g, "-cpu");
	if (!err) /* this bit of "host" and "max" aborts on some hosts */
		err = add(g, kvm ? "host,-arch-capabilities" : "max");
	if (!err)
		err = add(g, "-smp");
	if (!err)
		err = add(g, "%llu", (unsigned long long)g->cpus);
	if (!err)
		err = add(g, "-m");
	if (!err)
		err = add(g, "%lluM",
			  (unsigned long long)(g->memory / R3_MIB));
	if (!err)
		err = add(g, "-object");
	if (!err) /* shared: the driver's device reads and writes it */
		err = add(g, "memory-backend-memfd,id=mem,size=%lluM,share=on",
			  (unsigned long long)(g->memory / R3_MIB));
	return err;
}

static int add_disk(struct r3_node_guest *g)
{
	char path[2 * R3_NODE_PATH_MAX];
	int err = add(g, "-chardev");

	if (!err)
		err = add(g, "socket,id=disk,path=%s,reconnect=1",
			  path_in(path, sizeof(path), g->disk_sock));
	if (!err)
		err = add(g, "-device");
	if (!err)
		err = add(g, "vhost-user-blk-pci,chardev=disk,num-queues=%llu,"
			  "queue-size=256",
			  (unsigned long long)g->queues);
	return err;
}

static int add_console(struct r3_node_guest *g, const char *rundir)
{
	char dir[2 * R3_NODE_PATH_MAX];
	int err = add(g, "-chardev");

	path_in(dir, sizeof(dir), rundir);
	if (!err)
		err = add(g, "socket,id=console,path=%s/%s.console.sock,"
			  "server=on,wait=off,logfile=%s/log/%s.console.log,"
			  "logappend=on", dir, g->name, dir, g->name);
	if (!err)
		err = add(g, "-serial");
	if (!err)
		err = add(g, "chardev:console");
	return err;
}

static int add_kernel(struct r3_node_guest *g)
{
	int err = add(g, "-kernel");

	if (!err)
		err = add(g, "%s", g->kernel);
	if (!err && g->initrd)
		err = add(g, "-initrd");
	if (!err && g->initrd)
		err = add(g, "%s", g->initrd);
	if (!err)
		err = add(g, "-append");
	if (!err)
		err = add(g, "console=ttyS0%s%s%s%s", *g->cmdline ? " " : "",
			  g->cmdline, *g->job ? " r3.job=" : "", g->job);
	return err;
}

int r3_node_guest_command(struct r3_node_guest *g, const char *rundir)
{
	int err = add_machine(g);

	if (!err)
		err = add_disk(g);
	if (!err)
		err = add_console(g, rundir);
	if (!err)
		err = add_kernel(g);
	return err;
}
