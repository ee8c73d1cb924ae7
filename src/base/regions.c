// SPDX-License-Identifier: GPL-2.0-or-later
/* regions.c - sorted tables of regions that don't overlap */
#include <stdlib.h>

#include "ring3/mem.h"

int r3_regions_init(struct r3_regions *r, unsigned max)
{
	*r = (struct r3_regions){ .max = max };
	r->v = calloc(max, sizeof(*r->v));
	return r->v ? 0 : -ENOMEM;
}

void r3_regions_fini(struct r3_regions *r)
{
	free(r->v);
	*r = (struct r3_regions){ 0 };
}

/* Index of the first region that ends above @addr. */
static unsigned first_above(const struct r3_regions *r, uint64_t addr)
{
	unsigned lo = 0, hi = r->count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (r->v[mid].addr + (r->v[mid].len - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int r3_regions_add(struct r3_regions *r, const struct r3_region *reg,
		   unsigned *at)
{
	uint64_t last;
	unsigned i;

	if (!reg->len || !r3_add(reg->addr, reg->len - 1, &last) ||
	    last == UINT64_MAX)
		return -EINVAL;
	i = first_above(r, reg->addr);
	if (i < r->count && r->v[i].addr <= last)
		return -EEXIST;
	if (r->count == r->max)
		return -ENOSPC;
	memmove(&r->v[i + 1], &r->v[i], (r->count - i) * sizeof(*r->v));
	r->v[i] = *reg;
	r->count++;
	if (at)
		*at = i;
	return 0;
}

void r3_regions_del(struct r3_regions *r, unsigned at)
{
	assert(at < r->count);
	memmove(&r->v[at], &r->v[at + 1],
		(r->count - at - 1) * sizeof(*r->v));
	r->count--;
}

struct r3_region *r3_regions_find(const struct r3_regions *r, uint64_t addr,
				  uint64_t len, int prot)
{
	struct r3_region *reg;
	unsigned i = first_above(r, addr);
	uint64_t at;

	if (i == r->count)
		return NULL;
	reg = &r->v[i];
	if (addr < reg->addr || (reg->prot & prot) != prot)
		return NULL;
	at = addr - reg->addr;
	return len <= reg->len - at ? reg : NULL;
}
