// SPDX-License-Identifier: GPL-2.0-or-later
/* mem.c - memory files and their mappings */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring3/mem.h"

int r3_memfd(const char *name, size_t len)
{
	uint64_t size;
	int fd, err;

	if (!len || !r3_align_up(len, R3_PAGE_SIZE, &size) ||
	    size > INT64_MAX)
		return -EINVAL;
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

bool r3_is_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/* Its seals before its size: one that is sealed in between may be shorter than
 * it was, one that was sealed before is at least as long. */
int r3_memfd_check(int fd, uint64_t off, uint64_t len)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	uint64_t end;

	if (fstat(fd, &st))
		return -errno;
	if (!r3_add(off, len, &end) || st.st_size < 0 ||
	    end > (uint64_t)st.st_size)
		return -ERANGE;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPERM;
	return 0;
}

int r3_map(int fd, uint64_t off, size_t len, int prot, void **out)
{
	int flags = (prot & R3_READ ? PROT_READ : 0) |
		    (prot & R3_WRITE ? PROT_WRITE : 0);
	void *p;

	if (!len || !r3_is_aligned(off, R3_PAGE_SIZE) || off > INT64_MAX)
		return -EINVAL;
	p = mmap(NULL, len, flags, MAP_SHARED | MAP_POPULATE, fd, (off_t)off);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

void r3_unmap(void *addr, size_t len)
{
	if (addr)
		munmap(addr, len);
}
