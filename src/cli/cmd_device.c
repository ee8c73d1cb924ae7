// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_device.c - ring3 device list, bind, unbind; show is next door */
#include <stdlib.h>

#include "cmd_device.h"
#include "cmds.h"

static int exit_of(int err)
{
	return !err ? R3_EXIT_OK :
	       err == -ENODEV ? R3_EXIT_UNKNOWN :
	       err == -EINVAL ? R3_EXIT_USAGE : R3_EXIT_FAILED;
}

json_t *cmd_device_json(const struct r3_pci_dev *d)
{
	char id[16], class[16];

	snprintf(id, sizeof(id), "%04x:%04x", d->vendor, d->device);
	snprintf(class, sizeof(class), "%06x", d->class);
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o, s:s?}",
			 "address", d->bdf, "class", class,
			 "class_name", r3_pci_class_name(d->class), "id", id,
			 "driver", d->driver[0] ? d->driver : NULL,
			 "iommu_group", d->iommu_group < 0
			 ? json_null() : json_integer(d->iommu_group),
			 "power_state", d->power[0] ? d->power : NULL);
}

static void print_row(const struct r3_pci_dev *d)
{
	char group[16] = "-";

	if (d->iommu_group >= 0)
		snprintf(group, sizeof(group), "%d", d->iommu_group);
	printf("%-12s  %04x:%04x  %-5s  %-12s  %s\n", d->bdf, d->vendor,
	       d->device, group, d->driver[0] ? d->driver : "-",
	       r3_pci_class_name(d->class));
}

static int print_json(const struct r3_pci_dev *v, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, cmd_device_json(&v[i]));
	list = json_pack("{s:o}", "devices", list);
	json_dumpf(list, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(list);
	return R3_EXIT_OK;
}

static int run_list(const struct r3_args *args)
{
	struct r3_pci_dev *v;
	unsigned count;
	int err = r3_pci_list(&v, &count);

	if (err) {
		fprintf(stderr, "ring3: PCI devices can't be listed: %s; is "
			"/sys mounted?\n", strerror(-err));
		return R3_EXIT_FAILED;
	}
	if (r3_cli_opt(args, "json")) {
		print_json(v, count);
	} else {
		printf("%-12s  %-9s  %-5s  %-12s  %s\n", "ADDRESS", "ID",
		       "GROUP", "DRIVER", "CLASS");
		for (unsigned i = 0; i < count; i++)
			print_row(&v[i]);
	}
	free(v);
	return R3_EXIT_OK;
}

static unsigned flags_of(const struct r3_args *args)
{
	return (r3_cli_opt(args, "force") ? R3_PCI_FORCE : 0) |
	       (r3_cli_opt(args, "dry-run") ? R3_PCI_DRY_RUN : 0);
}

static int run_bind(const struct r3_args *args)
{
	return exit_of(r3_pci_bind(args->pos[0], flags_of(args), stderr));
}

static int run_unbind(const struct r3_args *args)
{
	return exit_of(r3_pci_unbind(args->pos[0], flags_of(args), stderr));
}

static const struct r3_opt read_opts[] = {
	{ "json", NULL, "as JSON", 'j' },
	{ 0 },
};

static const struct r3_opt bind_opts[] = {
	{ "dry-run", NULL, "say what would be written, write nothing", 'n' },
	{ "force", NULL, "even when the device is in use", 0 },
	{ 0 },
};

const struct r3_cmd r3_cmd_device[] = {
	{ .name = "bind", .args = "ADDRESS", .min_args = 1, .max_args = 1,
	  .opts = bind_opts, .run = run_bind,
	  .summary = "give a device to vfio-pci, so that ring3 can open it" },
	{ .name = "list", .opts = read_opts, .run = run_list,
	  .summary = "the PCI devices of this machine" },
	{ .name = "show", .args = "ADDRESS|vfio-user:PATH", .min_args = 1,
	  .max_args = 1, .opts = read_opts, .run = cmd_device_show,
	  .summary = "what one device has: registers, capabilities, "
		     "interrupts" },
	{ .name = "unbind", .args = "ADDRESS", .min_args = 1, .max_args = 1,
	  .opts = bind_opts, .run = run_unbind,
	  .summary = "give a device back to the kernel's own driver" },
	{ 0 },
};
