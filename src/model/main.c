// SPDX-License-Identifier: GPL-2.0-or-later
/* main.c - ring3-model-nvme: an emulated NVMe controller as a process */
#include "ring3/model.h"
#include "server.h"

int main(int argc, char **argv)
{
	struct r3_server *s;
	int code;

	if (r3_server_open(&s, &r3_model_nvme_spec, argc, argv))
		return 2;
	code = model_nvme_main(s);
	r3_server_close(s);
	return code;
}
