// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_list.c - PCI devices of this machine, from sysfs */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/pci.h"
#include "sysfs.h"

int r3_pci_parse_bdf(const char *text, char bdf[R3_PCI_BDF_LEN])
{
	unsigned domain = 0, bus, dev, fn;
	int end = -1;

	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return -EINVAL;
	sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end);
	if (end < 0 || text[end]) {
		domain = 0;
		end = -1;
		sscanf(text, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end);
	}
	if (end < 0 || text[end] || dev > 31 || fn > 7)
		return -EINVAL;
	snprintf(bdf, R3_PCI_BDF_LEN, "%04x:%02x:%02x.%x", domain & 0xffff,
		 bus & 0xff, dev & 0x1f, fn & 7);
	return 0;
}

static int64_t read_num(const char *bdf, const char *name, int64_t otherwise)
{
	char path[SYSFS_PATH_MAX];
	int64_t n;

	if (sysfs_path(path, bdf, name) || sysfs_read_num(path, &n))
		return otherwise;
	return n;
}

int r3_pci_get(const char *bdf, struct r3_pci_dev *out)
{
	struct r3_pci_dev d = { .iommu_group = -1 };
	char path[SYSFS_PATH_MAX], text[32];
	int64_t vendor;
	int err = r3_pci_parse_bdf(bdf, d.bdf);

	if (err)
		return err;
	vendor = read_num(d.bdf, "vendor", -1);
	if (vendor < 0)
		return -ENODEV;
	d.vendor = (uint16_t)vendor;
	d.device = (uint16_t)read_num(d.bdf, "device", 0);
	d.subvendor = (uint16_t)read_num(d.bdf, "subsystem_vendor", 0);
	d.subdevice = (uint16_t)read_num(d.bdf, "subsystem_device", 0);
	d.class = (uint32_t)read_num(d.bdf, "class", 0) & 0xffffff;
	d.revision = (uint8_t)read_num(d.bdf, "revision", 0);
	d.numa_node = (int)read_num(d.bdf, "numa_node", -1);
	sysfs_path(path, d.bdf, "driver");
	sysfs_link(path, d.driver, sizeof(d.driver));
	sysfs_path(path, d.bdf, "power_state");
	if (sysfs_read(path, d.power, sizeof(d.power)))
		d.power[0] = 0;
	sysfs_path(path, d.bdf, "iommu_group");
	if (!sysfs_link(path, text, sizeof(text)))
		d.iommu_group = atoi(text);
	*out = d;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct r3_pci_dev *)a)->bdf,
		      ((const struct r3_pci_dev *)b)->bdf);
}

/* The devices that a folder names. */
static int list_folder(const char *path, struct r3_pci_dev **out,
		       unsigned *count)
{
	struct r3_pci_dev *v = calloc(R3_PCI_LIST_MAX, sizeof(*v));
	DIR *dir = v ? opendir(path) : NULL;
	const struct dirent *e;
	unsigned n = 0;

	if (!dir) {
		int err = v ? -errno : -ENOMEM;

		free(v);
		return err;
	}
	while (n < R3_PCI_LIST_MAX && (e = readdir(dir)))
		if (!r3_pci_get(e->d_name, &v[n]))
			n++;
	closedir(dir);
	qsort(v, n, sizeof(*v), by_address);
	*out = v;
	*count = n;
	return 0;
}

int r3_pci_list(struct r3_pci_dev **out, unsigned *count)
{
	char path[SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices", sysfs_root);
	return list_folder(path, out, count);
}

int r3_pci_group(int group, struct r3_pci_dev **out, unsigned *count)
{
	char path[SYSFS_PATH_MAX];

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/devices",
		 sysfs_root, group);
	return list_folder(path, out, count);
}

int r3_pci_read_config(const char *bdf, uint8_t data[4096])
{
	char path[SYSFS_PATH_MAX], name[R3_PCI_BDF_LEN];
	int fd, err = r3_pci_parse_bdf(bdf, name);
	ssize_t n;

	if (err)
		return err;
	sysfs_path(path, name, "config");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	n = pread(fd, data, 4096, 0);
	if (n < 0)
		n = -errno;
	close(fd);
	return (int)n;
}

/* "0x00000000febd0000 0x00000000febd3fff 0x0000000000140204", one each. */
int r3_pci_bar_sizes(const char *bdf, uint64_t sizes[7])
{
	char path[SYSFS_PATH_MAX], name[R3_PCI_BDF_LEN];
	int err = r3_pci_parse_bdf(bdf, name);
	FILE *f;

	if (err)
		return err;
	sysfs_path(path, name, "resource");
	f = fopen(path, "re");
	if (!f)
		return -errno;
	for (unsigned i = 0; i < 7; i++) {
		unsigned long long first, last;

		sizes[i] = 0;
		if (fscanf(f, "%llx %llx %*x", &first, &last) == 2 && last)
			sizes[i] = last - first + 1;
	}
	fclose(f);
	return 0;
}
