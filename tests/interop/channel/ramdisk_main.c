// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ramdisk_main.c - a vhost-user-blk disk in memory, as a program
 *
 *	ramdisk SOCKET MIB [split] [poll] [file=PATH]
 *
 * Serves one client after the other until it is killed.  With a file, what was
 * written outlives it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ramdisk.h"
#include "ring3/open.h"

#define LISTEN_FD 10

static void accept_one(void *arg, uint32_t events)
{
	struct ramdisk *d = arg;
	int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (d->vub || ramdisk_accept(d, fd))
		close(fd);
}

int main(int argc, char **argv)
{
	static struct ramdisk d;
	struct r3_watch w = { 0 };
	int fd = -1;

	if (argc < 3)
		return 2;
	d.len = strtoull(argv[2], NULL, 10) << 20;
	for (int i = 3; i < argc; i++) {
		if (!strncmp(argv[i], "file=", 5))
			fd = open(argv[i] + 5, O_RDWR | O_CLOEXEC);
	}
	d.data = mmap(NULL, d.len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (d.data == MAP_FAILED || r3_loop_open(&d.loop))
		return 1;
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "split"))
			d.features_masked = R3_VQ_F_PACKED;
		else if (!strcmp(argv[i], "poll"))
			ramdisk_poll(&d, 50);
	}
	fd = r3_unix_listen(argv[1], 0777, 4);
	if (fd < 0 || dup2(fd, LISTEN_FD) < 0 ||
	    r3_loop_watch(d.loop, &w, LISTEN_FD, EPOLLIN, accept_one, &d)) {
		fprintf(stderr, "%s: can't listen there\n", argv[1]);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	return r3_loop_run(d.loop);
}
