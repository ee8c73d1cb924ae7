// SPDX-License-Identifier: GPL-2.0-or-later
/* spec.c - the keys of the test servers, and the list of all there are */
#include "ring3/node.h"
#include "spec.h"

static const struct r3_key server_keys[] = {
	{ .name = "listen", .kind = R3_KEY_LISTEN, .def = "",
	  .help = "where it is told what to do" },
	{ .name = "start", .kind = R3_KEY_CHOICE, .def = "ready",
	  .choices = "ready|exit|hang", .help = "what it does first" },
	{ .name = "file", .kind = R3_KEY_FILE, .def = "",
	  .help = "a file that it is given" },
	{ 0 },
};

static const struct r3_key user_keys[] = {
	{ .name = "device", .kind = R3_KEY_DEVICE, .help = "who it uses" },
	{ .name = "listen", .kind = R3_KEY_LISTEN, .def = "",
	  .help = "where it serves" },
	{ .name = "queues", .kind = R3_KEY_UINT, .def = "2", .min = 1,
	  .max = 16, .help = "how many queues" },
	{ .name = "size", .kind = R3_KEY_SIZE, .def = "1M", .min = 4096,
	  .max = 1 << 30, .help = "how large" },
	{ .name = "trim", .kind = R3_KEY_BOOL, .def = "no", .help = "trim?" },
	{ 0 },
};

const struct r3_server_spec test_server_spec = {
	.kind = "model", .type = "test", .program = "ring3-test-server",
	.summary = "a server that misbehaves on request",
	.keys = server_keys,
};

const struct r3_server_spec test_user_spec = {
	.kind = "driver", .type = "user", .program = "ring3-test-user",
	.summary = "a server that uses another", .keys = user_keys,
};

const struct r3_server_spec *const r3_node_specs[] = {
	&test_server_spec, &test_user_spec, NULL,
};
