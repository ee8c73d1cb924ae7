// SPDX-License-Identifier: GPL-2.0-or-later
/* space.c - one table of mappings, checked, before every back end */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ring3/space.h"

/* In reg->fd of the table: we have mmapped host.  Else -1: fds are only used
 * during a call. */
#define SPACE_OWNS_HOST (-2)

struct r3_space {
	struct r3_regions maps;
	struct r3_space_limits limits;
	uint64_t page; /* the smallest page size */
	const struct r3_space_ops *ops;
	void *ctx;
};

static bool range_to_pages(struct r3_space_range *r, uint64_t page)
{
	uint64_t end; /* one past; 0 when the range ends with the space */

	if (r->first > r->last ||
	    !r3_align_up(r->first, page, &r->first))
		return false;
	end = r3_align_down(r->last + 1, page);
	if (r->last != UINT64_MAX && end <= r->first)
		return false;
	/* A region's end must be a number: the very last page is not used. */
	r->last = (r->last == UINT64_MAX ? UINT64_MAX - page + 1 : end) - 1;
	return r->first <= r->last;
}

static int take_limits(struct r3_space *s, const struct r3_space_limits *from)
{
	struct r3_space_limits *to = &s->limits;
	unsigned i;

	if (!from->page_sizes || !from->max_maps ||
	    from->range_count > R3_SPACE_RANGES_MAX)
		return -EINVAL;
	*to = *from;
	to->max_maps = (unsigned)r3_min(from->max_maps, R3_SPACE_MAPS_MAX);
	to->range_count = 0;
	s->page = from->page_sizes & -from->page_sizes;
	for (i = 0; i < from->range_count; i++) {
		struct r3_space_range r = from->ranges[i];

		if (i && r.first <= from->ranges[i - 1].last)
			return -EINVAL;
		if (range_to_pages(&r, s->page))
			to->ranges[to->range_count++] = r;
	}
	return to->range_count ? 0 : -EINVAL;
}

int r3_space_new(struct r3_space **out, const struct r3_space_ops *ops,
		 void *ctx, const struct r3_space_limits *limits)
{
	struct r3_space *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->ops = ops;
	s->ctx = ctx;
	err = take_limits(s, limits);
	if (err)
		goto fail;
	err = r3_regions_init(&s->maps, s->limits.max_maps);
	if (err)
		goto fail;
	*out = s;
	return 0;

fail:
	free(s);
	return err;
}

void r3_space_free(struct r3_space *s)
{
	if (!s)
		return;
	r3_space_unmap_all(s);
	if (s->ops->close)
		s->ops->close(s->ctx);
	r3_regions_fini(&s->maps);
	free(s);
}

const struct r3_space_limits *r3_space_limits(const struct r3_space *s)
{
	return &s->limits;
}

unsigned r3_space_count(const struct r3_space *s)
{
	return s->maps.count;
}

static bool within_ranges(const struct r3_space *s, uint64_t first,
			  uint64_t last)
{
	for (unsigned i = 0; i < s->limits.range_count; i++)
		if (first >= s->limits.ranges[i].first &&
		    last <= s->limits.ranges[i].last)
			return true;
	return false;
}

/* Everything about the memory itself. */
static int check_mem(const struct r3_space *s, const struct r3_space_mem *mem,
		     int prot)
{
	struct stat st;
	uint64_t end;

	if (!mem->len || !r3_is_aligned(mem->len, s->page) ||
	    !r3_is_aligned(mem->off, s->page) ||
	    !prot || (prot & ~(R3_READ | R3_WRITE)))
		return -EINVAL;
	if (!r3_add(mem->off, mem->len, &end) || end > INT64_MAX)
		return -EOVERFLOW;
	if (mem->fd < 0)
		return mem->host ? 0 : -EINVAL;
	if (fstat(mem->fd, &st))
		return -errno;
	/* Devices such as /dev/mem have no size; mmap() says no to them. */
	if (S_ISREG(st.st_mode) && end > (uint64_t)st.st_size)
		return -ENXIO;
	return 0;
}

/*
 * Not populated: a guest's memory is large, mostly untouched when it comes, and
 * a server that was just restarted has to be quick.  The kernel maps 16 pages
 * around each fault.
 */
static int map_host(struct r3_region *reg)
{
	int flags = (reg->prot & R3_READ ? PROT_READ : 0) |
		    (reg->prot & R3_WRITE ? PROT_WRITE : 0);
	void *p = mmap(NULL, reg->len, flags, MAP_SHARED | MAP_NORESERVE,
		       reg->fd, (off_t)reg->off);

	if (p == MAP_FAILED)
		return -errno;
	reg->host = p;
	return 0;
}

static void unmap_host(const struct r3_region *reg)
{
	if (reg->fd == SPACE_OWNS_HOST)
		munmap(reg->host, reg->len);
}

static int map_back_end(struct r3_space *s, struct r3_region *reg)
{
	bool own = s->ops->needs_host && !reg->host;
	int err = own ? map_host(reg) : 0;

	if (err)
		return err;
	err = s->ops->map(s->ctx, reg);
	reg->fd = own ? SPACE_OWNS_HOST : -1;
	if (err)
		unmap_host(reg);
	return err;
}

static int map_checked(struct r3_space *s, uint64_t iova,
		       const struct r3_space_mem *mem, int prot)
{
	struct r3_region reg = {
		.addr = iova, .len = mem->len, .off = mem->off, .fd = mem->fd,
		.prot = prot, .host = mem->host, .iova = iova, .tag = mem->tag,
	};
	unsigned at;
	int err;

	err = r3_regions_add(&s->maps, &reg, &at);
	if (err)
		return err;
	err = map_back_end(s, &s->maps.v[at]);
	if (err)
		r3_regions_del(&s->maps, at);
	return err;
}

int r3_space_map(struct r3_space *s, uint64_t iova,
		 const struct r3_space_mem *mem, int prot)
{
	uint64_t last;
	int err = check_mem(s, mem, prot);

	if (err)
		return err;
	if (!r3_is_aligned(iova, s->page))
		return -EINVAL;
	if (!r3_add(iova, mem->len - 1, &last))
		return -EOVERFLOW;
	if (!within_ranges(s, iova, last))
		return -ERANGE;
	return map_checked(s, iova, mem, prot);
}

/* The lowest gap of @len bytes in one range, not below @from. */
static int gap_in_range(const struct r3_space *s, struct r3_space_range range,
			uint64_t len, uint64_t align, uint64_t *out)
{
	uint64_t at, last;
	unsigned i;

	if (!r3_align_up(r3_max(range.first, s->page), align, &at))
		return -ENOSPC;
	for (i = 0; i < s->maps.count; i++) {
		const struct r3_region *m = &s->maps.v[i];

		if (m->addr + (m->len - 1) < at)
			continue;
		if (!r3_add(at, len - 1, &last) || last < m->addr)
			break;
		if (!r3_align_up(m->addr + m->len, align, &at))
			return -ENOSPC;
	}
	if (!r3_add(at, len - 1, &last) || last > range.last)
		return -ENOSPC;
	*out = at;
	return 0;
}

static int find_gap(const struct r3_space *s, uint64_t len, uint64_t align,
		    uint64_t last, uint64_t *out)
{
	for (unsigned i = 0; i < s->limits.range_count; i++) {
		struct r3_space_range r = s->limits.ranges[i];

		if (r.first > last)
			break;
		r.last = r3_min(r.last, last);
		if (!gap_in_range(s, r, len, align, out))
			return 0;
	}
	return -ENOSPC;
}

int r3_space_map_any(struct r3_space *s, const struct r3_space_mem *mem,
		     int prot, uint64_t align, uint64_t last, uint64_t *iova)
{
	uint64_t at;
	int err = check_mem(s, mem, prot);

	if (err)
		return err;
	if (align && !r3_is_pow2(align))
		return -EINVAL;
	err = find_gap(s, mem->len, r3_max(align, s->page), last, &at);
	if (err)
		return err;
	err = map_checked(s, at, mem, prot);
	if (err)
		return err;
	*iova = at;
	return 0;
}

int r3_space_unmap(struct r3_space *s, uint64_t iova, uint64_t len)
{
	struct r3_region *reg = r3_regions_find(&s->maps, iova, len, 0);
	int err;

	if (!reg || reg->addr != iova || reg->len != len)
		return -ENOENT;
	err = s->ops->unmap(s->ctx, reg);
	if (err)
		return err;
	unmap_host(reg);
	r3_regions_del(&s->maps, (unsigned)(reg - s->maps.v));
	return 0;
}

int r3_space_unmap_all(struct r3_space *s)
{
	int first = 0;

	while (s->maps.count) {
		unsigned at = s->maps.count - 1;
		int err = s->ops->unmap(s->ctx, &s->maps.v[at]);

		if (err && !first)
			first = err;
		unmap_host(&s->maps.v[at]);
		r3_regions_del(&s->maps, at);
	}
	return first;
}

const struct r3_region *r3_space_find(const struct r3_space *s, uint64_t iova,
				      uint64_t len, int prot)
{
	return r3_regions_find(&s->maps, iova, len, prot);
}

const struct r3_region *r3_space_at(const struct r3_space *s, unsigned i)
{
	return i < s->maps.count ? &s->maps.v[i] : NULL;
}
