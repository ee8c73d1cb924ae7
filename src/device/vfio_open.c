// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfio_open.c - the supervisor's half of VFIO: open a device, fence it
 *
 * Linux Documentation/driver-api/vfio.rst.  Nothing here reads what a driver
 * or a device wrote.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ring3/device.h"
#include "ring3/pci.h"
#include "sysfs.h"

/* Before an iommufd is possible: groups and containers. */
struct opening {
	char bdf[R3_PCI_BDF_LEN], group[32];
	char *why;
	size_t room;
};

__attribute__((format(printf, 3, 4)))
static int fail(struct opening *o, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (o->room)
		vsnprintf(o->why, o->room, fmt, args);
	va_end(args);
	return err;
}

/* ---- what sysfs says ---------------------------------------------------- */

static int check_sysfs(struct opening *o)
{
	char path[SYSFS_PATH_MAX], text[64];
	int err = sysfs_path(path, o->bdf, NULL);

	if (err || access(path, F_OK))
		return fail(o, -ENODEV, "there is no PCI device %s; see "
			    "'ring3 device list'", o->bdf);
	sysfs_path(path, o->bdf, "driver");
	err = sysfs_link(path, text, sizeof(text));
	if (err || strcmp(text, "vfio-pci"))
		return fail(o, -ENXIO, "%s is %s%s; give it to vfio-pci with "
			    "'ring3 device bind %s'", o->bdf,
			    err ? "without driver" : "in the hands of ",
			    err ? "" : text, o->bdf);
	sysfs_path(path, o->bdf, "iommu_group");
	if (sysfs_link(path, o->group, sizeof(o->group)))
		return fail(o, -EOPNOTSUPP, "%s is behind no IOMMU; boot with "
			    "intel_iommu=on (Intel) or with the IOMMU enabled "
			    "in the firmware", o->bdf);
	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%s/name",
		 sysfs_root, o->group);
	if (!sysfs_read(path, text, sizeof(text)) &&
	    !strcmp(text, "vfio-noiommu"))
		return fail(o, -EOPNOTSUPP, "%s is in a no-IOMMU group: its "
			    "DMA could reach all memory; boot with an IOMMU",
			    o->bdf);
	return 0;
}

/* ---- container, group, device ------------------------------------------- */

static int open_container(struct opening *o, int *out)
{
	char path[SYSFS_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/vfio", sysfs_dev_vfio);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail(o, -errno, "%s: %m; try 'modprobe vfio-pci'",
			    path);
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		close(fd);
		return fail(o, -EOPNOTSUPP, "this kernel has no VFIO type 1 "
			    "IOMMU; try 'modprobe vfio_iommu_type1'");
	}
	*out = fd;
	return 0;
}

static int open_group(struct opening *o, int *out)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[SYSFS_PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/%s", sysfs_dev_vfio, o->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail(o, -errno, errno == EBUSY ?
			    "%s: another process has the group open" :
			    "%s: %m; run as root, or own this file", path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status)) {
		err = fail(o, -errno, "%s: %m", path);
	} else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		err = fail(o, -EBUSY, "other devices of IOMMU group %s belong "
			   "to kernel drivers; 'ring3 device show %s' names "
			   "them, bind them too", o->group, o->bdf);
	} else {
		*out = fd;
		return 0;
	}
	close(fd);
	return err;
}

static int join(struct opening *o, struct r3_vfio_fds *fds)
{
	if (ioctl(fds->group, VFIO_GROUP_SET_CONTAINER, &fds->container))
		return fail(o, -errno, "IOMMU group %s can't join a "
			    "container: %m", o->group);
	if (ioctl(fds->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return fail(o, -errno, "IOMMU group %s: %m%s", o->group,
			    errno == EPERM ? "; the platform can't isolate "
			    "interrupts (intremap=on)" : "");
	fds->device = ioctl(fds->group, VFIO_GROUP_GET_DEVICE_FD, o->bdf);
	if (fds->device < 0)
		return fail(o, -errno, "%s can't be opened: %m; 'dmesg' may "
			    "say why", o->bdf);
	fcntl(fds->device, F_SETFD, FD_CLOEXEC);
	return 0;
}

int r3_vfio_open(const char *bdf, struct r3_vfio_fds *out, char *why,
		 size_t room)
{
	struct opening o = { .why = why, .room = room };
	struct r3_vfio_fds fds = { -1, -1, -1 };
	int err = r3_pci_parse_bdf(bdf, o.bdf);

	if (err)
		return fail(&o, err, "'%s' is no PCI address; write it like "
			    "0000:00:03.0", bdf);
	err = check_sysfs(&o);
	if (!err)
		err = open_container(&o, &fds.container);
	if (!err)
		err = open_group(&o, &fds.group);
	if (!err)
		err = join(&o, &fds);
	if (err) {
		r3_vfio_close(&fds);
		return err;
	}
	*out = fds;
	return 0;
}

/* The device first: the kernel then turns it off while its group is still
 * behind the IOMMU. */
void r3_vfio_close(struct r3_vfio_fds *fds)
{
	int *order[] = { &fds->device, &fds->group, &fds->container };

	for (unsigned i = 0; i < R3_COUNT(order); i++) {
		if (*order[i] >= 0)
			close(*order[i]);
		*order[i] = -1;
	}
}

/* ---- fence -------------------------------------------------------------- */

static int clear_bus_master(int device)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	r3_le16 command;
	uint16_t n;
	off_t at;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return -errno;
	at = (off_t)(info.offset + PCI_COMMAND);
	if (pread(device, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	n = r3_get_le16(command);
	command = r3_le16_of(n & (uint16_t)~PCI_COMMAND_MASTER);
	if (pwrite(device, &command, sizeof(command), at) != sizeof(command))
		return -EIO;
	return 0;
}

static void wake(int device)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f), .flags = VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
	};

	/* Refused unless the driver had put it to sleep. */
	ioctl(device, VFIO_DEVICE_FEATURE, &f);
}

static void disable_irqs(int device)
{
	for (uint32_t i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		struct vfio_irq_set set = {
			.argsz = sizeof(set), .index = i,
			.flags = VFIO_IRQ_SET_DATA_NONE |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
		};

		/* Refused for kinds that are off or not there. */
		ioctl(device, VFIO_DEVICE_SET_IRQS, &set);
	}
}

int r3_vfio_fence(const struct r3_vfio_fds *fds)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int err;

	wake(fds->device);
	err = clear_bus_master(fds->device);
	if (err)
		return err;
	disable_irqs(fds->device);
	if (ioctl(fds->device, VFIO_DEVICE_GET_INFO, &info))
		return -errno;
	if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
		return -EOPNOTSUPP;
	if (ioctl(fds->device, VFIO_DEVICE_RESET))
		return -errno;
	/* The reset restores what was saved when it began: no bus master. */
	return clear_bus_master(fds->device);
}
