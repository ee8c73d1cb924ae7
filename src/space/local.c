// SPDX-License-Identifier: GPL-2.0-or-later
/* local.c - a space as this process sees it: mmap */
#include "ring3/space.h"

#define LOCAL_MAPS 256 /* unless told */

/* space.c has mmapped it; what is left is whether that was wise. */
static int map_sealed(void *ctx, const struct r3_region *reg)
{
	int err = reg->fd < 0 ? 0
			      : r3_memfd_check(reg->fd, reg->off, reg->len);

	(void)ctx;
	return err == -ERANGE ? -ENXIO : err;
}

static int map_any_file(void *ctx, const struct r3_region *reg)
{
	int err = map_sealed(ctx, reg);

	return err == -EPERM ? 0 : err;
}

static int unmap(void *ctx, const struct r3_region *reg)
{
	(void)ctx;
	(void)reg;
	return 0;
}

int r3_space_open_local(struct r3_space **out,
			const struct r3_space_local_opts *opts)
{
	static const struct r3_space_ops sealed = {
		.needs_host = true, .map = map_sealed, .unmap = unmap,
	};
	static const struct r3_space_ops any = {
		.needs_host = true, .map = map_any_file, .unmap = unmap,
	};
	struct r3_space_limits limits = {
		.page_sizes = opts && opts->page_sizes ? opts->page_sizes
						       : R3_PAGE_SIZE,
		.max_maps = opts && opts->max_maps ? opts->max_maps
						   : LOCAL_MAPS,
		.range_count = 1,
		.ranges = { { 0, UINT64_MAX } },
	};

	return r3_space_new(out, opts && opts->allow_unsealed ? &any : &sealed,
			    NULL, &limits);
}
