// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_device_show.c - ring3 device show: one device, decoded */
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "cmd_device.h"
#include "ring3/device.h"
#include "ring3/open.h"

/* Everything that is shown; from sysfs or from a vfio-user server. */
struct shown {
	struct r3_pci_dev dev; /* sysfs; dev.bdf is the path for vfio-user */
	const char *where;
	bool user;
	uint8_t bytes[4096];
	size_t len;
	struct r3_pci_config c;
	uint64_t sizes[7];
	unsigned mappable[6]; /* areas */
	unsigned irqs[VFIO_PCI_NUM_IRQS];
	struct r3_pci_dev *group;
	unsigned group_count;
};

/* ---- reading ------------------------------------------------------------ */

static int complain(const char *where, int err, const char *next)
{
	fprintf(stderr, "ring3: %s: %s%s\n", where, strerror(-err), next);
	return err;
}

static int decode(struct shown *s)
{
	int err = r3_pci_decode(s->bytes, s->len, &s->c);

	if (err)
		return complain(s->where, err, "; the device does not answer");
	s->dev.subvendor = s->c.subvendor;
	s->dev.subdevice = s->c.subdevice;
	return 0;
}

static int read_sysfs(struct shown *s, const char *bdf)
{
	int n, err = r3_pci_get(bdf, &s->dev);

	if (err)
		return complain(bdf, err, err == -EINVAL ? "; write an address "
				"like 0000:00:03.0" : "; see 'ring3 device "
				"list'");
	s->where = s->dev.bdf;
	n = r3_pci_read_config(s->dev.bdf, s->bytes);
	if (n < 0)
		return complain(s->where, n, "");
	s->len = (size_t)n;
	r3_pci_bar_sizes(s->dev.bdf, s->sizes);
	if (s->dev.iommu_group >= 0 &&
	    r3_pci_group(s->dev.iommu_group, &s->group, &s->group_count))
		s->group_count = 0;
	return decode(s);
}

static int read_device(struct shown *s, struct r3_device *dev)
{
	const struct r3_device_region *reg =
		r3_device_region(dev, VFIO_PCI_CONFIG_REGION_INDEX);
	int err;

	s->len = (size_t)r3_min(reg->size, sizeof(s->bytes));
	err = r3_device_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, s->bytes,
			     s->len);
	if (err)
		return complain(s->where, err, "");
	for (unsigned i = 0; i < 7; i++) {
		reg = r3_device_region(dev, i);
		s->sizes[i] = reg ? reg->size : 0;
		if (i < 6 && reg)
			s->mappable[i] = reg->area_count;
	}
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		s->irqs[i] = r3_device_irq(dev, i)
				     ? r3_device_irq(dev, i)->count : 0;
	return decode(s);
}

static int read_user(struct shown *s, const char *path)
{
	struct r3_device *dev;
	int fd = r3_unix_connect(path), err;

	s->where = path;
	s->user = true;
	s->dev.iommu_group = -1;
	if (fd < 0)
		return complain(path, fd, "; is its server running?");
	err = r3_device_open_vfio_user(&dev, fd, path, 2000);
	if (err)
		return complain(path, err, err == -ETIMEDOUT
				? "; a vfio-user server has one client at a "
				  "time, maybe it has one" : "");
	err = read_device(s, dev);
	r3_device_close(dev);
	return err;
}

/* ---- as text ------------------------------------------------------------ */

static const char *size_text(uint64_t n, char *buf, size_t room)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned u = 0;

	while (n >= 1024 && !(n % 1024) && u + 1 < R3_COUNT(units)) {
		n /= 1024;
		u++;
	}
	snprintf(buf, room, "%llu %s", (unsigned long long)n, units[u]);
	return buf;
}

static void print_head(const struct shown *s)
{
	const struct r3_pci_config *c = &s->c;

	printf("%s\n", s->where);
	printf("  class         %06x %s\n", c->class,
	       r3_pci_class_name(c->class));
	printf("  id            %04x:%04x revision %02x", c->vendor, c->device,
	       c->revision);
	if (c->subvendor || c->subdevice)
		printf(", subsystem %04x:%04x", c->subvendor, c->subdevice);
	printf("\n  command      %s%s%s%s\n",
	       c->command & PCI_COMMAND_IO ? " io" : "",
	       c->command & PCI_COMMAND_MEMORY ? " memory" : "",
	       c->command & PCI_COMMAND_MASTER ? " bus-master" : "",
	       c->command & 7 ? "" : " off");
	if (s->user)
		return;
	printf("  driver        %s\n",
	       s->dev.driver[0] ? s->dev.driver : "none");
	if (s->dev.iommu_group < 0)
		printf("  IOMMU group   none\n");
	else
		printf("  IOMMU group   %d%s\n", s->dev.iommu_group,
		       s->group_count == 1 ? " (alone)" : "");
	for (unsigned i = 0; s->group_count > 1 && i < s->group_count; i++)
		printf("                with %s %s (driver %s)\n",
		       s->group[i].bdf, r3_pci_class_name(s->group[i].class),
		       s->group[i].driver[0] ? s->group[i].driver : "none");
}

static void print_bars(const struct shown *s)
{
	char size[32], where[32];

	for (unsigned i = 0; i < 6; i++) {
		const struct r3_pci_bar *bar = &s->c.bars[i];

		if (!bar->present && !s->sizes[i])
			continue;
		snprintf(where, sizeof(where), " at 0x%llx",
			 (unsigned long long)bar->addr);
		printf("  BAR %u         %s%s%s, %s%s%s\n", i,
		       bar->io ? "ports" : "memory",
		       bar->wide ? " 64-bit" : "",
		       bar->prefetch ? " prefetchable" : "",
		       size_text(s->sizes[i], size, sizeof(size)),
		       bar->addr ? where : "",
		       s->mappable[i] ? ", partly mappable" : "");
	}
	if (s->sizes[6])
		printf("  ROM           %s\n",
		       size_text(s->sizes[6], size, sizeof(size)));
}

static void print_cap(const struct shown *s, const struct r3_pci_cap *cap)
{
	const struct r3_pci_config *c = &s->c;

	printf("  [%02x]          %s", cap->off,
	       r3_pci_cap_name((uint8_t)cap->id));
	switch (cap->id) {
	case PCI_CAP_ID_MSIX:
		printf(": %u vectors, %s, table in BAR %u at 0x%x",
		       c->msix.vectors, c->msix.enabled ? "on" : "off",
		       c->msix.table_bar, c->msix.table_off);
		break;
	case PCI_CAP_ID_PM:
		printf(": in D%u, D3hot %s the state%s%s", c->pm.state,
		       c->pm.no_soft_reset ? "keeps" : "loses",
		       c->pm.d1 ? ", D1" : "", c->pm.d2 ? ", D2" : "");
		break;
	case PCI_CAP_ID_EXP:
		printf(": %s function level reset",
		       c->express.flr ? "with" : "without");
		if (c->express.width)
			printf(", x%u generation %u", c->express.width,
			       c->express.speed);
		break;
	}
	putchar('\n');
}

static void print_text(const struct shown *s)
{
	const struct r3_pci_config *c = &s->c;

	print_head(s);
	if (s->dev.power[0])
		printf("  power state   %s\n", s->dev.power);
	print_bars(s);
	if (s->user)
		printf("  interrupts    INTx %u, MSI %u, MSI-X %u\n",
		       s->irqs[VFIO_PCI_INTX_IRQ_INDEX],
		       s->irqs[VFIO_PCI_MSI_IRQ_INDEX],
		       s->irqs[VFIO_PCI_MSIX_IRQ_INDEX]);
	for (unsigned i = 0; i < c->cap_count; i++)
		print_cap(s, &c->caps[i]);
	for (unsigned i = 0; i < c->ext_cap_count; i++)
		printf("  [%03x v%u]      %s\n", c->ext_caps[i].off,
		       c->ext_caps[i].version,
		       r3_pci_ext_cap_name(c->ext_caps[i].id));
	if (c->broken_caps)
		printf("  the chain of capabilities is broken\n");
	if (s->len <= 64 && c->status & PCI_STATUS_CAP_LIST)
		printf("  capabilities: run as root to see them\n");
}

/* ---- as JSON ------------------------------------------------------------ */

static json_t *bars_json(const struct shown *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < 6; i++) {
		const struct r3_pci_bar *bar = &s->c.bars[i];

		if (bar->present || s->sizes[i])
			json_array_append_new(list, json_pack(
				"{s:i, s:s, s:b, s:b, s:I, s:I}",
				"index", (int)i,
				"kind", bar->io ? "io" : "memory",
				"wide", bar->wide, "prefetch", bar->prefetch,
				"address", (json_int_t)bar->addr,
				"size", (json_int_t)s->sizes[i]));
	}
	return list;
}

static json_t *caps_json(const struct r3_pci_cap *v, unsigned count, bool ext)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_pack(
			"{s:i, s:i, s:s}", "id", v[i].id,
			"offset", v[i].off, "name",
			ext ? r3_pci_ext_cap_name(v[i].id)
			    : r3_pci_cap_name((uint8_t)v[i].id)));
	return list;
}

static void add_parts(const struct shown *s, json_t *o)
{
	const struct r3_pci_config *c = &s->c;

	if (c->msix.present)
		json_object_set_new(o, "msix", json_pack(
			"{s:i, s:b, s:i, s:I, s:i, s:I}",
			"vectors", c->msix.vectors, "enabled", c->msix.enabled,
			"table_bar", c->msix.table_bar,
			"table_offset", (json_int_t)c->msix.table_off,
			"pba_bar", c->msix.pba_bar,
			"pba_offset", (json_int_t)c->msix.pba_off));
	if (c->pm.present)
		json_object_set_new(o, "pm", json_pack(
			"{s:i, s:b}", "state", c->pm.state,
			"no_soft_reset", c->pm.no_soft_reset));
	if (c->express.present)
		json_object_set_new(o, "express", json_pack(
			"{s:b, s:i, s:i}", "flr", c->express.flr,
			"speed", c->express.speed,
			"width", c->express.width));
}

static void print_json(const struct shown *s)
{
	const struct r3_pci_config *c = &s->c;
	struct r3_pci_dev d = s->dev;
	json_t *o;

	d.vendor = c->vendor;
	d.device = c->device;
	d.class = c->class;
	o = cmd_device_json(&d);
	json_object_set_new(o, "address", json_string(s->where));
	json_object_set_new(o, "revision", json_integer(c->revision));
	json_object_set_new(o, "subvendor", json_integer(c->subvendor));
	json_object_set_new(o, "subdevice", json_integer(c->subdevice));
	json_object_set_new(o, "command", json_integer(c->command));
	json_object_set_new(o, "status", json_integer(c->status));
	json_object_set_new(o, "bars", bars_json(s));
	json_object_set_new(o, "capabilities",
			    caps_json(c->caps, c->cap_count, false));
	json_object_set_new(o, "extended_capabilities",
			    caps_json(c->ext_caps, c->ext_cap_count, true));
	add_parts(s, o);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

int cmd_device_show(const struct r3_args *args)
{
	static const char prefix[] = "vfio-user:";
	const char *what = args->pos[0];
	struct shown *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return R3_EXIT_FAILED;
	if (!strncmp(what, prefix, sizeof(prefix) - 1))
		err = read_user(s, what + sizeof(prefix) - 1);
	else
		err = read_sysfs(s, what);
	if (!err && r3_cli_opt(args, "json"))
		print_json(s);
	else if (!err)
		print_text(s);
	free(s->group);
	free(s);
	return !err ? R3_EXIT_OK :
	       err == -EINVAL ? R3_EXIT_USAGE :
	       err == -ENODEV || err == -ENOENT ? R3_EXIT_UNKNOWN
						: R3_EXIT_FAILED;
}
