/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base_conf.c - fuzz the reader of configuration files
 *
 * Whatever the file holds, it is read within its limits or refused, and every
 * entry that is found can be asked for.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "ring3/conf.h"

static void ask_everything(struct r3_conf *conf)
{
	assert(conf->count <= R3_CONF_SECTIONS_MAX);
	for (unsigned i = 0; i < conf->count; i++) {
		struct r3_conf_section *s = &conf->v[i];

		assert(s->count <= R3_CONF_ENTRIES_MAX);
		for (unsigned j = 0; j < s->count; j++)
			assert(r3_conf_get(s, s->v[j].key));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct r3_conf *conf;
	char path[32];
	int fd;

	fd = memfd_create("conf", MFD_CLOEXEC);
	assert(fd >= 0);
	assert(write(fd, data, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!r3_conf_read(&conf, path)) {
		ask_everything(conf);
		r3_conf_free(conf);
	}
	close(fd);
	return 0;
}
