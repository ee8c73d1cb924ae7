/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * open.h - files and sockets that a server works on, opened for it by the
 * supervisor, or by itself when it was started by hand
 */
#ifndef RING3_OPEN_H
#define RING3_OPEN_H

#include <sys/types.h>

#include "ring3/base.h"

/**
 * r3_open_disk() - open a file or block device that only one may write
 * @readonly: open for reading, beside others that read
 *
 * Takes an OFD lock on all of it, as QEMU does for its images, and for a block
 * device refuses one that is mounted.  The lock lasts as long as any duplicate
 * of the fd.  Waits up to half a second for a process that is just ending.
 * Return: the fd (close-on-exec), -EBUSY (in use), or what open() said.
 */
int r3_open_disk(const char *path, bool readonly);

/**
 * r3_unix_connect() - connect to a stream socket
 * A full backlog is -EAGAIN at once.  The fd itself blocks.
 * Return: the fd (close-on-exec), -ENAMETOOLONG, or what connect() said.
 */
int r3_unix_connect(const char *path);

/**
 * r3_unix_listen() - listen at a path
 * @mode: of the socket's file, less the umask
 *
 * A socket that nobody listens at any more is replaced; a live one, and any
 * other kind of file, is not.  Once it is there it takes connections.
 * Return: the fd (close-on-exec), -EADDRINUSE, -ENAMETOOLONG, ...
 */
int r3_unix_listen(const char *path, mode_t mode, unsigned backlog);

#endif
