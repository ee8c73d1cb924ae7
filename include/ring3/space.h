/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * space.h - isolated address spaces made of mappings
 *
 * A space says which memory its user (a device, a guest, a server) reaches at
 * which I/O address.  What was not mapped can't be reached.  One table with
 * one set of checks stands before several back ends: the IOMMU through VFIO
 * type1, a vfio-user connection (device.h has that one), this process's own
 * mmap.
 *
 * A mapping is a struct r3_region of mem.h: addr is the I/O address, prot what
 * the user may do, host where this process sees the memory (or NULL), iova the
 * same as addr, tag the caller's; fd says nothing.
 *
 * Not thread-safe; not for the data path, except r3_space_find().
 */
#ifndef RING3_SPACE_H
#define RING3_SPACE_H

#include "ring3/base.h"
#include "ring3/mem.h"

#define R3_SPACE_RANGES_MAX 64
#define R3_SPACE_MAPS_MAX   65536u /* whatever a back end says */

struct r3_space;

/* I/O addresses first..last, both included, that may be used. */
struct r3_space_range {
	uint64_t first, last;
};

/* What a back end can do.  All of it is fixed when the space is made. */
struct r3_space_limits {
	uint64_t page_sizes; /* bit n set: pages of 2^n bytes.  The smallest is
			      * the unit of every address and length */
	unsigned max_maps;   /* mappings at once, 1 to R3_SPACE_MAPS_MAX */
	unsigned range_count;
	struct r3_space_range ranges[R3_SPACE_RANGES_MAX]; /* ascending */
};

/* A piece of memory to be mapped. */
struct r3_space_mem {
	int fd;	      /* memory file; -1: only @host (type1 and local) */
	uint64_t off; /* bytes into @fd, a multiple of the page size */
	uint64_t len; /* bytes, a multiple of the page size, not 0 */
	void *host;   /* where the caller sees it and keeps seeing it until
		       * the mapping is gone; NULL: the space maps it itself
		       * where the back end needs that */
	uint64_t tag; /* the caller's */
};

/*
 * A back end.  It is only called with mappings that passed every check; fd is
 * the memory's file (or -1).  It returns 0, or a negative errno and then
 * nothing has changed.
 */
struct r3_space_ops {
	bool needs_host; /* memory without host is mmapped for the mapping */
	int (*map)(void *ctx, const struct r3_region *reg);
	int (*unmap)(void *ctx, const struct r3_region *reg);
	void (*close)(void *ctx); /* may be NULL */
};

/**
 * r3_space_new() - a space over a back end
 * @limits: copied.  The ranges are cut to whole pages; empty ones vanish.
 * Return: 0, -EINVAL (limits make no sense), -ENOMEM.
 */
int r3_space_new(struct r3_space **out, const struct r3_space_ops *ops,
		 void *ctx, const struct r3_space_limits *limits);

/* Unmaps everything, closes the back end.  NULL is allowed. */
void r3_space_free(struct r3_space *space);

const struct r3_space_limits *r3_space_limits(const struct r3_space *space);
unsigned r3_space_count(const struct r3_space *space);

/**
 * r3_space_map() - let the space's user reach a piece of memory
 * @space: the address space of a device, a guest or a server
 * @iova:  first I/O address, a multiple of the page size
 * @mem:   which memory; its fd is only used during the call
 * @prot:  R3_READ, R3_WRITE or both, as the device sees it
 *
 * May sleep and allocate; memory gets pinned by some back ends.
 * Return: 0;
 *  -EINVAL    @iova, the length or the offset is no multiple of the page size,
 *             the length is 0, @prot is empty or unknown;
 *  -EOVERFLOW @iova + length or offset + length wraps;
 *  -ENXIO     @mem's file ends before offset + length;
 *  -ERANGE    not all of it lies in one of the space's ranges;
 *  -EEXIST    it overlaps a mapping;
 *  -ENOSPC    max_maps are in use, or the kernel's own limit is reached;
 *  or what the back end said (-ENOMEM: RLIMIT_MEMLOCK; -ENOTCONN: peer lost).
 */
int r3_space_map(struct r3_space *space, uint64_t iova,
		 const struct r3_space_mem *mem, int prot);

/**
 * r3_space_map_any() - the same at an address that the space chooses
 * @align: a power of two; 0: the page size.  Large memory gains from 2 MiB.
 * @last:  no byte above this address (a 32-bit device: UINT32_MAX);
 *	   UINT64_MAX: anywhere
 * @iova:  the address, never 0
 *
 * The lowest gap that fits, so the same calls give the same addresses.
 * Return: as r3_space_map(); -ENOSPC also when no gap fits.
 */
int r3_space_map_any(struct r3_space *space, const struct r3_space_mem *mem,
		     int prot, uint64_t align, uint64_t last, uint64_t *iova);

/**
 * r3_space_unmap() - take back exactly one mapping
 * @iova, @len: as it was mapped; a part of a mapping is refused
 * Return: 0, -ENOENT (no such mapping, or only a part of one), or what the
 * back end said; then the mapping is still there.
 */
int r3_space_unmap(struct r3_space *space, uint64_t iova, uint64_t len);

/* Take back all.  Return: 0 or the first error; the table is empty after. */
int r3_space_unmap_all(struct r3_space *space);

/* The mapping that holds all of [iova, iova + len) with all of @prot, or NULL.
 * O(log n), no system call. */
const struct r3_region *r3_space_find(const struct r3_space *space,
				      uint64_t iova, uint64_t len, int prot);
/* By index, ascending; NULL past the end. */
const struct r3_region *r3_space_at(const struct r3_space *space, unsigned i);

/* ---- back ends ---------------------------------------------------------- */

struct r3_space_local_opts {
	unsigned max_maps;   /* 0: 256 */
	uint64_t page_sizes; /* 0: 4 KiB only */
	bool allow_unsealed; /* take files that their owner could truncate: an
			      * access then kills us with SIGBUS */
};

/**
 * r3_space_open_local() - memory as this process sees it
 * @opts: NULL: the defaults
 *
 * map() mmaps the file, host is set: an address that somebody else wrote
 * becomes a pointer by r3_space_find().  A file that is not sealed against
 * shrinking is refused with -EPERM unless allow_unsealed.
 */
int r3_space_open_local(struct r3_space **out,
			const struct r3_space_local_opts *opts);

/**
 * r3_space_open_type1() - the address space of a VFIO container
 * @container: fd with VFIO_TYPE1v2_IOMMU set; stays the caller's and must
 *	       outlive the space
 *
 * A container may have outlived a dead driver: whatever is still mapped in it
 * is unmapped first, so make sure that no device in it can still do DMA
 * (r3_vfio_fence()).  Ranges, page sizes and the number of mappings come from
 * VFIO_IOMMU_GET_INFO; without that capability (kernel before 5.4) 39 bits
 * minus the x86 interrupt window are assumed.
 * Memory without host is mmapped for the time of the mapping.  When the kernel
 * has no room left for mappings: -ENOSPC.
 * Return: 0, -EPERM (no type1 IOMMU is set), or what the kernel said.
 */
int r3_space_open_type1(struct r3_space **out, int container);

#endif
