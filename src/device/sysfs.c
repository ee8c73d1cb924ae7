// SPDX-License-Identifier: GPL-2.0-or-later
/* sysfs.c - small files and links of /sys/bus/pci */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sysfs.h"

const char *sysfs_root = "/sys", *sysfs_proc = "/proc",
	   *sysfs_dev_vfio = "/dev/vfio";

int sysfs_path(char path[SYSFS_PATH_MAX], const char *bdf, const char *name)
{
	int n = snprintf(path, SYSFS_PATH_MAX, "%s/bus/pci/devices/%s%s%s",
			 sysfs_root, bdf, name ? "/" : "", name ? name : "");

	return n < 0 || n >= SYSFS_PATH_MAX ? -ENAMETOOLONG : 0;
}

int sysfs_read(const char *path, char *buf, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, room - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

int sysfs_read_num(const char *path, int64_t *out)
{
	char buf[64], *end;
	int64_t n;
	int err = sysfs_read(path, buf, sizeof(buf));

	if (err)
		return err;
	n = strtoll(buf, &end, 0);
	if (end == buf || *end)
		return -EPROTO;
	*out = n;
	return 0;
}

int sysfs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

int sysfs_link(const char *path, char *buf, size_t room)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *last;

	if (n < 0)
		return -errno;
	target[n] = 0;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= room)
		return -ENAMETOOLONG;
	strcpy(buf, last);
	return 0;
}
