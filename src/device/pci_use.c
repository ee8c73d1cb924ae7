// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_use.c - does this machine need a device right now?  Mounted file systems,
 * swap, stacked block devices, the default route. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pci_use.h"
#include "sysfs.h"

#define ENTRIES_MAX 4096 /* of a folder or a table that are looked at */

struct use {
	const char *bdf;
	char *why;
	size_t room;
};

/* Does the real path of this link lead through the device? */
static bool leads_to(const char *link, const char *bdf)
{
	char real[PATH_MAX], part[R3_PCI_BDF_LEN + 3];

	if (!realpath(link, real))
		return false;
	snprintf(part, sizeof(part), "/%s/", bdf);
	return strstr(real, part) != NULL;
}

/* Call @fn with each entry's name until it returns true. */
static bool any_entry(const char *folder,
		      bool (*fn)(struct use *u, const char *folder,
				 const char *name), struct use *u)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	bool found = false;

	if (!dir)
		return false;
	for (unsigned n = 0; !found && n < ENTRIES_MAX && (e = readdir(dir));
	     n++)
		found = e->d_name[0] != '.' && fn(u, folder, e->d_name);
	closedir(dir);
	return found;
}

/* ---- disks -------------------------------------------------------------- */

/* The source that a line of mountinfo names behind " - ": "ext4 /dev/sda1 rw".
 * Btrfs has numbers of its own there, so they alone don't tell. */
static bool has_source(const char *line, const char *name)
{
	const char *tail = strstr(line, " - ");
	char source[1024];

	return tail && sscanf(tail, " - %*s /dev/%1023s", source) == 1 &&
	       !strcmp(source, name);
}

/* /proc/self/mountinfo: "36 35 98:0 /root /mountpoint ..." */
static bool mounted(const char *name, const char *numbers, char *where,
		    size_t room)
{
	char path[SYSFS_PATH_MAX], line[4096], dev[32], root[1024], at[1024];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/mountinfo", sysfs_proc);
	f = fopen(path, "re");
	for (unsigned n = 0; f && !found && n < ENTRIES_MAX &&
	     fgets(line, sizeof(line), f); n++) {
		if (sscanf(line, "%*d %*d %31s %1023s %1023s", dev, root,
			   at) != 3)
			continue;
		found = !strcmp(dev, numbers) || has_source(line, name);
		if (found)
			snprintf(where, room, "%s", at);
	}
	if (f)
		fclose(f);
	return found;
}

/* /proc/swaps: "/dev/sda2  partition ..." */
static bool swapping(const char *name)
{
	char path[SYSFS_PATH_MAX], line[1024], dev[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", sysfs_proc);
	f = fopen(path, "re");
	for (unsigned n = 0; f && !found && n < ENTRIES_MAX &&
	     fgets(line, sizeof(line), f); n++)
		found = sscanf(line, "/dev/%511s", dev) == 1 &&
			!strcmp(dev, name);
	if (f)
		fclose(f);
	return found;
}

static bool has_holder(struct use *u, const char *folder, const char *name)
{
	(void)folder;
	snprintf(u->why, u->room, "it is part of /dev/%s", name);
	return true;
}

/* A disk or one of its partitions. */
static bool volume_in_use(struct use *u, const char *folder, const char *name)
{
	char path[SYSFS_PATH_MAX + 512], numbers[32], where[1024];

	snprintf(path, sizeof(path), "%s/%s/dev", folder, name);
	if (sysfs_read(path, numbers, sizeof(numbers)))
		return false;
	if (mounted(name, numbers, where, sizeof(where))) {
		snprintf(u->why, u->room, "/dev/%s is mounted at %s", name,
			 where);
		return true;
	}
	if (swapping(name)) {
		snprintf(u->why, u->room, "/dev/%s is swap", name);
		return true;
	}
	snprintf(path, sizeof(path), "%s/%s/holders", folder, name);
	return any_entry(path, has_holder, u);
}

/* A path of a multipath NVMe disk (nvme0c1n2) is hidden; the disk is nvme0n2.
 */
static void visible_name(const char *name, char *out, size_t room)
{
	unsigned subsystem, controller, space;

	if (sscanf(name, "nvme%uc%un%u", &subsystem, &controller, &space) == 3)
		snprintf(out, room, "nvme%un%u", subsystem, space);
	else
		snprintf(out, room, "%s", name);
}

static bool disk_in_use(struct use *u, const char *folder, const char *name)
{
	char path[SYSFS_PATH_MAX + 512], shown[256];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
		    SYSFS_PATH_MAX || !leads_to(path, u->bdf))
		return false;
	visible_name(name, shown, sizeof(shown));
	if (volume_in_use(u, folder, shown))
		return true;
	snprintf(path, sizeof(path), "%s/%s", folder, shown);
	return any_entry(path, volume_in_use, u);
}

/* ---- network ------------------------------------------------------------ */

/* /proc/net/route: "eth0 00000000 ..."; /proc/net/ipv6_route: "0{32} 00 ...
 * eth0". */
static bool default_route(const char *name)
{
	static const char zeros[] = "00000000000000000000000000000000 00 ";
	char path[SYSFS_PATH_MAX], line[1024], dev[64], dest[16];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/net/route", sysfs_proc);
	f = fopen(path, "re");
	for (unsigned n = 0; f && !found && n < ENTRIES_MAX &&
	     fgets(line, sizeof(line), f); n++)
		found = sscanf(line, "%63s %15s", dev, dest) == 2 &&
			!strcmp(dev, name) && !strcmp(dest, "00000000");
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "%s/net/ipv6_route", sysfs_proc);
	f = found ? NULL : fopen(path, "re");
	for (unsigned n = 0; f && !found && n < ENTRIES_MAX &&
	     fgets(line, sizeof(line), f); n++) {
		const char *last;

		line[strcspn(line, "\n")] = 0;
		last = strrchr(line, ' ');
		found = !strncmp(line, zeros, sizeof(zeros) - 1) && last &&
			!strcmp(last + 1, name);
	}
	if (f)
		fclose(f);
	return found;
}

static bool nic_in_use(struct use *u, const char *folder, const char *name)
{
	char path[SYSFS_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >=
		    (int)sizeof(path) || !leads_to(path, u->bdf) ||
	    !default_route(name))
		return false;
	snprintf(u->why, u->room, "%s has the default route", name);
	return true;
}

bool pci_in_use(const char *bdf, char *why, size_t room)
{
	struct use u = { bdf, why, room };
	char path[SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/block", sysfs_root);
	if (any_entry(path, disk_in_use, &u))
		return true;
	snprintf(path, sizeof(path), "%s/class/net", sysfs_root);
	return any_entry(path, nic_in_use, &u);
}
