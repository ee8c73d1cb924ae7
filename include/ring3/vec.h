/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vec.h - arrays that grow */
#ifndef RING3_VEC_H
#define RING3_VEC_H

#include <stdlib.h>

#include "ring3/base.h"

#define VEC(type)               \
	struct {                \
		type *p;        \
		size_t n, room; \
	}

static inline bool vec_grow_(void **p, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *q;

	if (n < *room)
		return true;
	q = more > SIZE_MAX / 2 / size ? NULL : realloc(*p, more * size);
	if (!q)
		return false;
	*p = q;
	*room = more;
	return true;
}

/* False when memory is out; then nothing has changed. */
#define vec_push(v, ...)                                            \
	(vec_grow_((void **)&(v)->p, &(v)->room, (v)->n,            \
		   sizeof(*(v)->p)) &&                              \
	 ((v)->p[(v)->n++] = (__VA_ARGS__), true))

#define vec_free(v) free((v)->p)

#endif
