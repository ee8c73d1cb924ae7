// SPDX-License-Identifier: GPL-2.0-or-later
/* spec.c - the keys of a "[model NAME] type = nvme" section */
#include "ring3/model.h"

static const struct r3_key nvme_keys[] = {
	{ .name = "file", .kind = R3_KEY_FILE,
	  .help = "the namespace's bytes: a file or a block device" },
	{ .name = "listen", .kind = R3_KEY_LISTEN,
	  .help = "vfio-user socket" },
	{ .name = "size", .kind = R3_KEY_SIZE, .def = "0",
	  .max = UINT64_C(1) << 60,
	  .help = "bytes of the namespace; 0: the file's; more makes the file "
		  "longer" },
	{ .name = "block_size", .kind = R3_KEY_CHOICE, .def = "512",
	  .choices = "512|4096", .help = "bytes of a block" },
	{ .name = "serial", .kind = R3_KEY_STRING, .def = "",
	  .help = "serial number, up to 20 characters; empty: the name" },
	{ .name = "queues", .kind = R3_KEY_UINT, .def = "4", .min = 1,
	  .max = 32, .help = "I/O queue pairs" },
	{ .name = "readonly", .kind = R3_KEY_BOOL, .def = "no",
	  .help = "refuse writes" },
	{ .name = "direct", .kind = R3_KEY_BOOL, .def = "no",
	  .help = "past the page cache (O_DIRECT)" },
	{ .name = "spin_us", .kind = R3_KEY_UINT, .def = "20", .max = 10000,
	  .help = "look for work this long before sleeping" },
	R3_KEY_CPUS_ENTRY,
	{ .name = "inject", .kind = R3_KEY_STRING, .def = "",
	  .help = "misbehave, for tests of drivers: never-ready, "
		  "unknown-cid:N, fatal:N, stall:N, crash-lba:N; commas "
		  "between" },
	{ 0 },
};

const struct r3_server_spec r3_model_nvme_spec = {
	.kind = "model",
	.type = "nvme",
	.program = "ring3-model-nvme",
	.summary = "an NVMe controller over vfio-user, with a file behind it",
	.keys = nvme_keys,
	.calls = "preadv2 pwritev pread64 pwrite64 "
		 "fdatasync " R3_NOTIFY_CALLS,
};
