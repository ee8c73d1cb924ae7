/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysfs.h - small files and links of /sys/bus/pci */
#ifndef DEVICE_SYSFS_H
#define DEVICE_SYSFS_H

#include "ring3/base.h"

#define SYSFS_PATH_MAX 512

/* Where sysfs, /proc and /dev/vfio are found; tests have a tree of their own.
 */
extern const char *sysfs_root, *sysfs_proc, *sysfs_dev_vfio;

/* "ROOT/bus/pci/devices/BDF/NAME" (without "/NAME" when it is NULL). */
int sysfs_path(char path[SYSFS_PATH_MAX], const char *bdf, const char *name);
/* A file of one line, without its newline.  0 or a negative errno. */
int sysfs_read(const char *path, char *buf, size_t room);
/* A number, as sysfs writes it (0x... or decimal, maybe negative). */
int sysfs_read_num(const char *path, int64_t *out);
int sysfs_write(const char *path, const char *text);
/* The last part of what a link names; -ENOENT. */
int sysfs_link(const char *path, char *buf, size_t room);

#endif
