// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sysfs.c - listing, binding and what is in use, on a tree of files laid out
 * as Linux does (Documentation/ABI/testing/sysfs-bus-pci, proc(5))
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "test.h"
#include "pci_use.h"
#include "sysfs.h"

#define DISK "0000:00:10.0"
#define NIC  "0000:00:18.0"
#define LONE "0000:00:05.0" /* behind no IOMMU */
#define PORT "0000:00:1c.0" /* a bridge, in the NIC's group */
#define PAIR "0000:00:18.1" /* shares the NIC's group */

static char root[64];

/* A file below the tree, its folders included. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void link_to(const char *target, const char *path)
{
	char full[PATH_MAX], dest[PATH_MAX];

	put(path, "");
	snprintf(full, sizeof(full), "%s/%s", root, path);
	snprintf(dest, sizeof(dest), "%s/%s", root, target);
	unlink(full);
	assert_int_equal(symlink(dest, full), 0);
}

static void text_of(const char *path, char *out, size_t room)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	if (sysfs_read(full, out, room))
		snprintf(out, room, "(none)");
}

static void device(const char *bdf, const char *class, const char *driver,
		   int group)
{
	char path[256], target[256], real[128];

	snprintf(real, sizeof(real), "sys/devices/pci0000:00/%s", bdf);
#define FILE_OF(name, text)                                                   \
	snprintf(path, sizeof(path), "%s/" name, real);                       \
	put(path, text)
	FILE_OF("vendor", "0x1b36\n");
	FILE_OF("device", "0x0010\n");
	FILE_OF("class", class);
	FILE_OF("power_state", "D0\n");
	FILE_OF("driver_override", "(null)\n");
	if (driver) {
		snprintf(target, sizeof(target), "sys/bus/pci/drivers/%s/unbind",
			 driver);
		put(target, "");
		*strrchr(target, '/') = 0;
		snprintf(path, sizeof(path), "%s/driver", real);
		link_to(target, path);
	}
	if (group >= 0) {
		snprintf(target, sizeof(target),
			 "sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
		link_to(real, target);
		snprintf(target, sizeof(target), "sys/kernel/iommu_groups/%d",
			 group);
		snprintf(path, sizeof(path), "%s/iommu_group", real);
		link_to(target, path);
	}
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	link_to(real, path);
}

static int make_tree(void **state)
{
	static char sys[96], proc[96], dev[96];

	(void)state;
	strcpy(root, "/tmp/ring3-sysfs-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	sysfs_root = sys;
	sysfs_proc = proc;
	sysfs_dev_vfio = dev;
	device(DISK, "0x010802\n", "nvme", 3);
	device(NIC, "0x020000\n", "e1000e", 4);
	device(PAIR, "0x020000\n", "igb", 4);
	device(PORT, "0x060400\n", "pcieport", 4);
	device(LONE, "0x020000\n", NULL, -1);
	put("sys/bus/pci/drivers_probe", "");
	put("sys/bus/pci/drivers/vfio-pci/unbind", "");
	put("sys/devices/pci0000:00/" DISK "/nvme/nvme0/nvme0n1/dev", "259:0");
	put("sys/devices/pci0000:00/" DISK "/nvme/nvme0/nvme0n1/nvme0n1p2/dev",
	    "259:2");
	link_to("sys/devices/pci0000:00/" DISK "/nvme/nvme0/nvme0n1",
		"sys/block/nvme0n1");
	put("sys/devices/pci0000:00/" NIC "/net/eth0/mtu", "1500");
	link_to("sys/devices/pci0000:00/" NIC "/net/eth0",
		"sys/class/net/eth0");
	return 0;
}

static int drop_tree(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void listing(void **state)
{
	struct r3_pci_dev *v, d;
	unsigned count;

	(void)state;
	assert_int_equal(r3_pci_list(&v, &count), 0);
	assert_int_equal(count, 5);
	assert_string_equal(v[0].bdf, LONE);
	assert_int_equal(v[0].iommu_group, -1);
	assert_string_equal(v[0].driver, "");
	assert_string_equal(v[1].bdf, DISK);
	assert_string_equal(v[1].driver, "nvme");
	assert_int_equal(v[1].iommu_group, 3);
	assert_int_equal(v[1].class, 0x010802);
	assert_string_equal(v[1].power, "D0");
	free(v);
	assert_int_equal(r3_pci_group(4, &v, &count), 0);
	assert_int_equal(count, 3);
	free(v);
	assert_int_equal(r3_pci_get("0000:77:00.0", &d), -ENODEV);
	assert_int_equal(r3_pci_get("../../proc", &d), -EINVAL);
}

static void what_is_in_use(void **state)
{
	static const struct {
		const char *name, *bdf, *file, *text, *want;
	} rows[] = {
		{ "nothing", DISK, "proc/swaps", "Filename Type\n", NULL },
		{ "a mounted partition", DISK, "proc/self/mountinfo",
		  "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		  "36 25 259:2 / /home rw - ext4 /dev/nvme0n1p2 rw\n",
		  "/dev/nvme0n1p2 is mounted at /home" },
		{ "Btrfs has numbers of its own", DISK, "proc/self/mountinfo",
		  "25 1 0:26 /@ / rw - btrfs /dev/nvme0n1p2 rw\n",
		  "/dev/nvme0n1p2 is mounted at /" },
		{ "the whole disk mounted", DISK, "proc/self/mountinfo",
		  "36 25 259:0 / /data rw - xfs /dev/nvme0n1 rw\n",
		  "/dev/nvme0n1 is mounted at /data" },
		{ "somebody else's numbers", DISK, "proc/self/mountinfo",
		  "36 25 259:22 / /data rw - xfs /dev/nvme0n1p22 rw\n", NULL },
		{ "swap", DISK, "proc/swaps",
		  "Filename Type\n/dev/nvme0n1p2 partition 1 0 -2\n",
		  "/dev/nvme0n1p2 is swap" },
		{ "part of a mapping", DISK,
		  "sys/devices/pci0000:00/" DISK
		  "/nvme/nvme0/nvme0n1/nvme0n1p2/holders/dm-0", "",
		  "it is part of /dev/dm-0" },
		{ "the default route", NIC, "proc/net/route",
		  "Iface\tDestination\nlo\t0000007F\neth0\t00000000\n",
		  "eth0 has the default route" },
		{ "another route", NIC, "proc/net/route",
		  "Iface\tDestination\neth0\t0000A8C0\neth1\t00000000\n",
		  NULL },
		{ "the default route of IPv6", NIC, "proc/net/ipv6_route",
		  "00000000000000000000000000000000 00 "
		  "00000000000000000000000000000000 00 "
		  "fe800000000000000000000000000001 00000400 00000001 00000000 "
		  "00000003     eth0\n", "eth0 has the default route" },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		char why[256] = "", path[PATH_MAX];

		ROW(rows[i].name);
		put(rows[i].file, rows[i].text);
		assert_int_equal(pci_in_use(rows[i].bdf, why, sizeof(why)),
				 rows[i].want != NULL);
		if (rows[i].want)
			assert_string_equal(why, rows[i].want);
		snprintf(path, sizeof(path), "%s/%s", root, rows[i].file);
		unlink(path);
	}
}

/* A path of a multipath disk is hidden; the disk itself is virtual. */
static void multipath(void **state)
{
	char why[256] = "", path[PATH_MAX];

	(void)state;
	put("sys/devices/pci0000:00/" DISK "/nvme/nvme1/nvme1c1n1/hidden",
	    "1");
	link_to("sys/devices/pci0000:00/" DISK "/nvme/nvme1/nvme1c1n1",
		"sys/block/nvme1c1n1");
	put("sys/devices/virtual/nvme-subsystem/nvme1n1/dev", "259:7");
	link_to("sys/devices/virtual/nvme-subsystem/nvme1n1",
		"sys/block/nvme1n1");
	put("proc/self/mountinfo",
	    "36 25 259:7 / /srv rw - ext4 /dev/nvme1n1 rw\n");
	assert_true(pci_in_use(DISK, why, sizeof(why)));
	assert_string_equal(why, "/dev/nvme1n1 is mounted at /srv");
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
	unlink(path);
}

static void binding(void **state)
{
	static const struct {
		const char *name, *bdf;
		unsigned flags;
		int want;
		const char *says;
	} rows[] = {
		{ "no address", "disk", 0, -EINVAL, "like 0000:00:03.0" },
		{ "no device", "0000:77:00.0", 0, -ENODEV, "no such device" },
		{ "no IOMMU", LONE, 0, -EOPNOTSUPP, "intel_iommu=on" },
		{ "no IOMMU, and no force helps", LONE, R3_PCI_FORCE,
		  -EOPNOTSUPP, "intel_iommu=on" },
		{ "a bridge", PORT, 0, -EPERM, "is a bridge" },
		{ "a dry run", DISK, R3_PCI_DRY_RUN, 0,
		  "would write 'vfio-pci' to" },
		{ "others of its group are named", NIC, R3_PCI_DRY_RUN, 0,
		  "shares IOMMU group 4 with " PAIR
		  " (Ethernet controller, driver igb)" },
		{ "vfio-pci does not take it", DISK, 0, -EIO,
		  "did not take it" },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		char *said;
		size_t len;
		FILE *f = open_memstream(&said, &len);

		ROW(rows[i].name);
		assert_int_equal(r3_pci_bind(rows[i].bdf, rows[i].flags, f),
				 rows[i].want);
		fclose(f);
		assert_non_null(strstr(said, rows[i].says));
		assert_null(strstr(said, PORT " (PCI bridge"));
		free(said);
	}
}

/* What went into which file; the last writes are those of the undoing. */
static void binding_writes(void **state)
{
	char text[128];

	(void)state;
	text_of("sys/bus/pci/drivers/nvme/unbind", text, sizeof(text));
	assert_string_equal(text, DISK);
	text_of("sys/bus/pci/drivers_probe", text, sizeof(text));
	assert_string_equal(text, DISK);
	text_of("sys/bus/pci/drivers/e1000e/unbind", text, sizeof(text));
	assert_string_equal(text, ""); /* the dry run's */
}

static void unbinding(void **state)
{
	char *said;
	size_t len;
	FILE *f = open_memstream(&said, &len);

	(void)state;
	assert_int_equal(r3_pci_unbind(NIC, 0, f), 0);
	fclose(f);
	assert_non_null(strstr(said, "the kernel's already (driver e1000e)"));
	free(said);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(listing),
		cmocka_unit_test(what_is_in_use),
		cmocka_unit_test(multipath),
		cmocka_unit_test(binding),
		cmocka_unit_test(binding_writes),
		cmocka_unit_test(unbinding),
	};

	return cmocka_run_group_tests_name("device sysfs", tests, make_tree,
					   drop_tree);
}
