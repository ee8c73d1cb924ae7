/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quota_map.h - a number for each of many extents, by address */
#ifndef BTRFS_QUOTA_MAP_H
#define BTRFS_QUOTA_MAP_H

#include <stdlib.h>

#include "ring3/base.h"

struct quota_map {
	struct quota_map_entry {
		uint64_t bytenr; /* 0: free; no extent lies there */
		uint32_t value;
	} *p;
	size_t size, used;
};

static inline void quota_map_free(struct quota_map *m)
{
	free(m->p);
	*m = (struct quota_map){ 0 };
}

static inline struct quota_map_entry *quota_map_slot_(
	const struct quota_map *m, uint64_t bytenr)
{
	uint64_t h = bytenr * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (h >> 24) & (m->size - 1);

	while (m->p[at].bytenr && m->p[at].bytenr != bytenr)
		at = (at + 1) & (m->size - 1);
	return &m->p[at];
}

static inline bool quota_map_grow_(struct quota_map *m)
{
	struct quota_map bigger = { .size = m->size ? m->size * 2 : 1024,
				    .used = m->used };

	bigger.p = calloc(bigger.size, sizeof(*bigger.p));
	if (!bigger.p)
		return false;
	for (size_t i = 0; i < m->size; i++) {
		if (m->p[i].bytenr)
			*quota_map_slot_(&bigger, m->p[i].bytenr) = m->p[i];
	}
	free(m->p);
	*m = bigger;
	return true;
}

/* NULL: it is not there. */
static inline const uint32_t *quota_map_get(const struct quota_map *m,
					    uint64_t bytenr)
{
	const struct quota_map_entry *e;

	if (!m->used)
		return NULL;
	e = quota_map_slot_(m, bytenr);
	return e->bytenr ? &e->value : NULL;
}

/* False: no memory. */
static inline bool quota_map_put(struct quota_map *m, uint64_t bytenr,
				 uint32_t value)
{
	struct quota_map_entry *e;

	if (m->used >= m->size / 2 && !quota_map_grow_(m))
		return false;
	e = quota_map_slot_(m, bytenr);
	m->used += !e->bytenr;
	*e = (struct quota_map_entry){ bytenr, value };
	return true;
}

#endif
