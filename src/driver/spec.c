// SPDX-License-Identifier: GPL-2.0-or-later
/* spec.c - the keys of ring3-driver-nvme */
#include "ring3/driver.h"
#include "nvme.h"

static const struct r3_key keys[] = {
	{ .name = "device", .kind = R3_KEY_DEVICE,
	  .help = "the controller: a model's name, vfio-user:PATH or "
		  "pci:DDDD:BB:DD.F" },
	{ .name = "listen", .kind = R3_KEY_LISTEN,
	  .help = "socket for vhost-user-blk front ends" },
	{ .name = "queues", .kind = R3_KEY_UINT, .def = "4", .min = 1,
	  .max = NVME_QUEUES_MAX, .help = "I/O queues, and virtqueues" },
	{ .name = "queue_size", .kind = R3_KEY_UINT, .def = "256", .min = 2,
	  .max = NVME_QUEUE_SIZE_MAX, .help = "entries of each, at most" },
	{ .name = "mode", .kind = R3_KEY_CHOICE, .def = "hybrid",
	  .choices = "hybrid|irq|poll",
	  .help = "look for spin_us, then sleep; sleep at once; never sleep "
		  "while requests are in flight" },
	{ .name = "spin_us", .kind = R3_KEY_UINT, .def = "50", .max = 10000,
	  .help = "how long hybrid looks before it sleeps" },
	{ .name = "timeout_ms", .kind = R3_KEY_UINT, .def = "5000", .min = 50,
	  .max = 600000, .help = "a command later than this is aborted, then "
				 "the controller reset" },
	{ .name = "readonly", .kind = R3_KEY_BOOL, .def = "no",
	  .help = "refuse writes" },
	{ .name = "doorbell_buffer", .kind = R3_KEY_BOOL, .def = "yes",
	  .help = "use shadow doorbells where the controller has them" },
	R3_KEY_CPUS_ENTRY,
	{ .name = "inject", .kind = R3_KEY_STRING, .def = "",
	  .help = "wrong on purpose, for tests: crash-lba:N, hang-lba:N, wild-lba:N" },
	{ .name = NULL },
};

const struct r3_server_spec r3_driver_nvme_spec = {
	.kind = "driver",
	.type = "nvme",
	.program = "ring3-driver-nvme",
	.summary = "NVMe driver: a controller's namespace as a vhost-user-blk "
		   "disk",
	.keys = keys,
	/* VFIO: map a client's memory, interrupts */
	.calls = "ioctl:0x3b " R3_NOTIFY_CALLS,
};
