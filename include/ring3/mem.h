/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mem.h - memory files, mappings of them, and tables of mapped regions
 */
#ifndef RING3_MEM_H
#define RING3_MEM_H

#include "ring3/base.h"

/**
 * r3_memfd() - a memory file whose size can no longer change
 * @name: shown in /proc/PID/maps
 * @len:  bytes, rounded up to a page
 *
 * Sealed against growing, shrinking and further seals, so that no holder can
 * pull it from under another (SIGBUS).
 * Return: the fd (close-on-exec) or a negative errno.
 */
int r3_memfd(const char *name, size_t len);

/* A file of memory alone: a memfd, or one on tmpfs or hugetlbfs?  For an fd
 * that a peer gave, before anything else is asked of it: no file system gets to
 * hear of it, which fstat(), or touching a page, could make us wait for (FUSE,
 * a network, a disk). */
bool r3_is_memory(int fd);

/**
 * r3_memfd_check() - is this fd safe to map?
 * A peer's memory file must be a memfd sealed against shrinking, or every
 * access could fault: then whoever maps it needs r3_guard_add().
 * Return: 0 when sealed and at least @off + @len long; -EPERM when not
 * sealed but long enough; -ERANGE when too short; -EBADF and so on.
 */
int r3_memfd_check(int fd, uint64_t off, uint64_t len);

/**
 * r3_map() - mmap a shared file, populated
 * @prot: R3_READ, R3_WRITE or both
 * @out:  the address
 * Return: 0, -EINVAL (unaligned, empty), or what mmap() said.
 */
int r3_map(int fd, uint64_t off, size_t len, int prot, void **out);
void r3_unmap(void *addr, size_t len);

/*
 * A file that a peer can truncate: touching what is gone raises SIGBUS.  A
 * guard turns that into zeros in private memory, a note, and a wake-up, so
 * that only this peer is cut off.  A fault outside of all guards is a crash
 * as before.
 */
struct r3_guard {
	void *addr; /* NULL: not in use */
	size_t len;
	int wake_fd;
	volatile bool hit;
	struct r3_guard *next;
};

/**
 * r3_guard_add() - from now on a fault in this mapping is the peer's
 * @g:	     the caller's memory, until r3_guard_del()
 * @addr:    a mapping of whole pages, huge ones included
 * @wake_fd: eventfd written to on a fault; -1: none
 *
 * On the first fault all of the mapping is replaced.  Call in the thread that
 * touches the memory, not from within a signal handler.
 */
void r3_guard_add(struct r3_guard *g, void *addr, size_t len, int wake_fd);
void r3_guard_del(struct r3_guard *g); /* before it is unmapped */
/* For the process's SIGBUS handler: true when a guard took care of it. */
bool r3_guard_fault(void *addr);

/*
 * A table of regions that don't overlap, sorted by address: a guest's memory,
 * a device's mappings, a local space.  Lookups are the one place where an
 * address that a peer wrote becomes a pointer.
 */
struct r3_region {
	uint64_t addr; /* first address as the peer sees it */
	uint64_t len;  /* bytes, not 0; addr + len does not wrap */
	uint64_t off;  /* where it starts in @fd */
	int fd;	       /* the owner closes it; -1: none */
	int prot;      /* R3_READ | R3_WRITE */
	uint8_t *host; /* mapped here, or NULL */
	uint64_t iova; /* where a device sees addr; the user's to set */
	uint64_t tag;  /* the user's */
};

struct r3_regions {
	struct r3_region *v;
	unsigned count, max;
};

int r3_regions_init(struct r3_regions *r, unsigned max);
void r3_regions_fini(struct r3_regions *r); /* frees the table only */
/**
 * r3_regions_add() - Return: 0, -EINVAL (empty or wraps), -EEXIST (overlap),
 * -ENOSPC (table full).  *@at: index in the table, may be NULL.
 */
int r3_regions_add(struct r3_regions *r, const struct r3_region *reg,
		   unsigned *at);
void r3_regions_del(struct r3_regions *r, unsigned at);
/* The region that holds all of [addr, addr + len) and has all of @prot, or
 * NULL.  @len may be 0.  O(log n). */
struct r3_region *r3_regions_find(const struct r3_regions *r, uint64_t addr,
				  uint64_t len, int prot);

#endif
