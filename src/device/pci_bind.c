// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_bind.c - give a device to vfio-pci, and back to the kernel's driver.
 * Linux Documentation/ABI/testing/sysfs-bus-pci: driver_override,
 * drivers_probe.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/pci.h"
#include "pci_use.h"
#include "sysfs.h"

#define VFIO_PCI "vfio-pci"

struct step {
	struct r3_pci_dev dev;
	unsigned flags;
	FILE *say;
};

__attribute__((format(printf, 3, 4)))
static int refuse(struct step *s, int err, const char *fmt, ...)
{
	va_list args;

	fprintf(s->say, "%s: ", s->dev.bdf);
	va_start(args, fmt);
	vfprintf(s->say, fmt, args);
	va_end(args);
	fputc('\n', s->say);
	return err;
}

/* Write @text to @path, or say that one would. */
static int do_write(struct step *s, const char *path, const char *text)
{
	int err;

	if (s->flags & R3_PCI_DRY_RUN) {
		fprintf(s->say, "would write '%s' to %s\n", text, path);
		return 0;
	}
	err = sysfs_write(path, text[0] ? text : "\n");
	if (err)
		return refuse(s, err, "writing '%s' to %s: %s%s", text, path,
			      strerror(-err), err == -EACCES || err == -EPERM
			      ? "; run as root" : "");
	return 0;
}

static int load(struct step *s, const char *bdf, unsigned flags, FILE *say)
{
	int err = r3_pci_parse_bdf(bdf, s->dev.bdf);

	s->flags = flags;
	s->say = say;
	if (err) {
		fprintf(say, "'%s' is no PCI address; write it like "
			"0000:00:03.0\n", bdf);
		return err;
	}
	err = r3_pci_get(bdf, &s->dev);
	if (err)
		return refuse(s, err, "there is no such device; see "
			      "'ring3 device list'");
	return 0;
}

/* Take it from its driver, offer it to all. */
static int reprobe(struct step *s)
{
	char path[SYSFS_PATH_MAX];
	int err = 0;

	if (s->dev.driver[0]) {
		sysfs_path(path, s->dev.bdf, "driver/unbind");
		err = do_write(s, path, s->dev.bdf);
	}
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/bus/pci/drivers_probe", sysfs_root);
	return do_write(s, path, s->dev.bdf);
}

/* ---- to vfio-pci -------------------------------------------------------- */

static int check_bind(struct step *s)
{
	char path[SYSFS_PATH_MAX], why[512];

	if (s->dev.class >> 16 == 0x06)
		return refuse(s, -EPERM, "is a bridge; bind the devices "
			      "behind it");
	if (s->dev.iommu_group < 0)
		return refuse(s, -EOPNOTSUPP, "is behind no IOMMU, so a "
			      "driver's mistakes could reach all memory; put "
			      "intel_iommu=on iommu=pt on the kernel command "
			      "line (AMD: iommu=pt), enable VT-d or AMD-Vi in "
			      "the firmware, and boot again");
	snprintf(path, sizeof(path), "%s/bus/pci/drivers/" VFIO_PCI,
		 sysfs_root);
	if (access(path, F_OK))
		return refuse(s, -ENOENT, "the driver vfio-pci is not there; "
			      "run 'modprobe vfio-pci' first");
	if (pci_in_use(s->dev.bdf, why, sizeof(why))) {
		if (!(s->flags & R3_PCI_FORCE))
			return refuse(s, -EBUSY, "is in use: %s; stop that "
				      "first, or add --force and lose it", why);
		refuse(s, 0, "is in use: %s; taken away by --force", why);
	}
	return 0;
}

/* A group can be opened only when none of its devices has a kernel driver. */
static void name_others(struct step *s)
{
	struct r3_pci_dev *v;
	unsigned count;

	if (r3_pci_group(s->dev.iommu_group, &v, &count))
		return;
	for (unsigned i = 0; i < count; i++)
		if (strcmp(v[i].bdf, s->dev.bdf) && v[i].driver[0] &&
		    v[i].class >> 16 != 0x06 &&
		    strcmp(v[i].driver, VFIO_PCI) &&
		    strcmp(v[i].driver, "pci-stub"))
			refuse(s, 0, "shares IOMMU group %d with %s (%s, "
			       "driver %s): bind that too before it can be "
			       "opened", s->dev.iommu_group, v[i].bdf,
			       r3_pci_class_name(v[i].class), v[i].driver);
	free(v);
}

static int verify_bound(struct step *s)
{
	char path[SYSFS_PATH_MAX], driver[64] = "";

	if (s->flags & R3_PCI_DRY_RUN)
		return 0;
	sysfs_path(path, s->dev.bdf, "driver");
	if (!sysfs_link(path, driver, sizeof(driver)) &&
	    !strcmp(driver, VFIO_PCI))
		return refuse(s, 0, "is vfio-pci's now (IOMMU group %d)",
			      s->dev.iommu_group);
	/* Back to how it was, as far as that goes. */
	sysfs_path(path, s->dev.bdf, "driver_override");
	sysfs_write(path, "\n");
	s->dev.driver[0] = 0;
	reprobe(s);
	return refuse(s, -EIO, "vfio-pci did not take it; 'dmesg' may say "
		      "why");
}

int r3_pci_bind(const char *bdf, unsigned flags, FILE *say)
{
	char path[SYSFS_PATH_MAX];
	struct step s;
	int err = load(&s, bdf, flags, say);

	if (err)
		return err;
	if (!strcmp(s.dev.driver, VFIO_PCI))
		return refuse(&s, 0, "is vfio-pci's already");
	err = check_bind(&s);
	if (err)
		return err;
	name_others(&s);
	sysfs_path(path, s.dev.bdf, "driver_override");
	err = do_write(&s, path, VFIO_PCI);
	if (!err)
		err = reprobe(&s);
	return err ? err : verify_bound(&s);
}

/* ---- back --------------------------------------------------------------- */

/* The kernel would wait, inside the write, until its user closes it. */
static bool opened_by_somebody(const struct step *s)
{
	char path[SYSFS_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", sysfs_dev_vfio,
		 s->dev.iommu_group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EBUSY;
}

int r3_pci_unbind(const char *bdf, unsigned flags, FILE *say)
{
	char path[SYSFS_PATH_MAX];
	struct step s;
	int err = load(&s, bdf, flags, say);

	if (err)
		return err;
	if (s.dev.driver[0] && strcmp(s.dev.driver, VFIO_PCI))
		return refuse(&s, 0, "is the kernel's already (driver %s)",
			      s.dev.driver);
	if (opened_by_somebody(&s) && !(flags & R3_PCI_FORCE))
		return refuse(&s, -EBUSY, "a process has its group open; stop "
			      "it first ('ring3 down'), or add --force and "
			      "wait");
	sysfs_path(path, s.dev.bdf, "driver_override");
	err = do_write(&s, path, "");
	if (!err)
		err = reprobe(&s);
	if (err || (flags & R3_PCI_DRY_RUN))
		return err;
	r3_pci_get(s.dev.bdf, &s.dev);
	if (s.dev.driver[0] && strcmp(s.dev.driver, VFIO_PCI))
		return refuse(&s, 0, "is the kernel's again (driver %s)",
			      s.dev.driver);
	return refuse(&s, 0, "is free; no driver of the kernel wants it");
}
