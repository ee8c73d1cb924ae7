// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu_dma.c - the vfio-user server: the client's memory */
#include <stdlib.h>

#include "ring3/log.h"
#include "vfu.h"

/* ---- memory that its client could pull away ----------------------------- */

/* The mapping's tag is its guard.  A sealed file has one too: it can't shrink,
 * but where no huge page, no memory of its tmpfs is left, a touch is SIGBUS. */
static struct r3_guard *guard_of(const struct r3_region *reg)
{
	return (struct r3_guard *)(uintptr_t)reg->tag;
}

static int new_guard(struct r3_space_mem *mem)
{
	struct r3_guard *g = calloc(1, sizeof(*g));

	mem->tag = (uintptr_t)g;
	return g ? 0 : -ENOMEM;
}

static void drop_guard(struct r3_guard *g)
{
	if (g)
		r3_guard_del(g);
	free(g);
}

/* ---- commands ----------------------------------------------------------- */

static int map_guarded(struct r3_vfu *v, uint64_t addr,
		       struct r3_space_mem *mem, int prot)
{
	const struct r3_region *reg;
	int err = new_guard(mem);

	if (err)
		return err;
	err = r3_space_map(v->space, addr, mem, prot);
	if (err) {
		free((struct r3_guard *)(uintptr_t)mem->tag);
		return err;
	}
	reg = r3_space_find(v->space, addr, mem->len, 0);
	r3_guard_add(guard_of(reg), reg->host, reg->len, v->guard_fd);
	if (v->ops->dma_added)
		v->ops->dma_added(v->ctx, reg);
	return 0;
}

int vfu_dma_map(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_dma_map *m = vfu_head(r, sizeof(*m));
	struct r3_space_mem mem = { .fd = -1 };
	uint32_t flags;
	uint64_t addr;
	int err, prot;

	if (!m || r->len != sizeof(*m) || r3_get_le32(m->argsz) < sizeof(*m))
		return -EINVAL;
	flags = r3_get_le32(m->flags);
	if (flags & ~(uint32_t)(VU_MAP_READ | VU_MAP_WRITE))
		return -EINVAL;
	if (r->fd_count != 1)
		return r->fd_count ? -EINVAL : -EOPNOTSUPP;
	prot = (flags & VU_MAP_READ ? R3_READ : 0) |
	       (flags & VU_MAP_WRITE ? R3_WRITE : 0);
	addr = r3_get_le64(m->addr);
	mem.fd = r->fds[0];
	mem.off = r3_get_le64(m->offset);
	mem.len = r3_get_le64(m->size);
	v->last = NULL;
	err = r3_is_memory(mem.fd) ? map_guarded(v, addr, &mem, prot) : -EPERM;
	if (err == -EPERM && vfu_may_log(&v->refuse_log))
		r3_log(R3_WARN, "vfio-user", v->desc.name, "refused memory "
		       "that is no memfd, or that its client could truncate; "
		       "let it seal its memfd addr=0x%llx",
		       (unsigned long long)addr);
	return err;
}

static void unmap_one(struct r3_vfu *v, const struct r3_region *reg)
{
	struct r3_guard *guard = guard_of(reg);

	v->last = NULL;
	if (v->ops->dma_gone)
		v->ops->dma_gone(v->ctx, reg);
	r3_space_unmap(v->space, reg->addr, reg->len);
	drop_guard(guard);
}

static void unmap_all(struct r3_vfu *v)
{
	unsigned count;

	/* From the end: nothing has to move. */
	while ((count = r3_space_count(v->space)))
		unmap_one(v, r3_space_at(v->space, count - 1));
}

int vfu_dma_unmap(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_dma_unmap *m = vfu_head(r, sizeof(*m));
	const struct r3_region *reg;
	uint64_t addr, len;
	uint32_t flags;

	if (!m || r->len != sizeof(*m) || r3_get_le32(m->argsz) < sizeof(*m))
		return -EINVAL;
	flags = r3_get_le32(m->flags);
	addr = r3_get_le64(m->addr);
	len = r3_get_le64(m->size);
	if (flags & VU_UNMAP_DIRTY)
		return -EOPNOTSUPP;
	if (flags == VU_UNMAP_ALL && !addr && !len) {
		unmap_all(v);
	} else if (flags) {
		return -EINVAL;
	} else {
		reg = r3_space_find(v->space, addr, len, 0);
		if (!reg || reg->addr != addr || reg->len != len)
			return -ENOENT;
		unmap_one(v, reg);
	}
	vfu_reply(r, m, sizeof(*m));
	return 0;
}

void vfu_dma_drop(struct r3_vfu *v)
{
	if (v->space)
		unmap_all(v);
}

/* ---- the data path ------------------------------------------------------ */

static void fault(struct r3_vfu *v, uint64_t addr, uint64_t len, int prot)
{
	bool write = prot & R3_WRITE;

	v->stats.dma_faults++;
	if (vfu_may_log(&v->fault_log))
		r3_log(R3_WARN, "vfio-user", v->desc.name, "DMA refused: %s "
		       "addr=0x%llx len=%llu direction=%s faults=%llu",
		       r3_vfu_bus_master(v)
		       ? "outside the space, the client's driver has not "
			 "mapped this"
		       : "the client's driver has not switched bus mastering "
			 "on",
		       (unsigned long long)addr, (unsigned long long)len,
		       write ? "write" : "read",
		       (unsigned long long)v->stats.dma_faults);
	if (v->ops->dma_fault)
		v->ops->dma_fault(v->ctx, addr, len, write);
}

static void *within(const struct r3_region *reg, uint64_t addr, uint64_t len,
		    int prot)
{
	uint64_t at = addr - reg->addr;

	if (addr < reg->addr || at > reg->len || len > reg->len - at ||
	    (reg->prot & prot) != prot)
		return NULL;
	return reg->host + at;
}

void *r3_vfu_dma(struct r3_vfu *v, uint64_t addr, uint64_t len, int prot)
{
	void *p = v->last ? within(v->last, addr, len, prot) : NULL;

	if (!p) {
		v->last = r3_space_find(v->space, addr, len, prot);
		p = v->last ? within(v->last, addr, len, prot) : NULL;
	}
	if (!p || !r3_vfu_bus_master(v)) {
		fault(v, addr, len, prot);
		return NULL;
	}
	return p;
}

const struct r3_region *r3_vfu_dma_region(const struct r3_vfu *v,
					  uint64_t addr)
{
	return r3_space_find(v->space, addr, 1, 0);
}

/* One step for each mapping that the range crosses. */
static int copy(struct r3_vfu *v, uint64_t addr, void *buf, size_t len,
		int prot)
{
	uint64_t last;

	if (len && !r3_add(addr, (uint64_t)len - 1, &last)) {
		fault(v, addr, len, prot);
		return -EFAULT;
	}
	while (len) {
		const struct r3_region *reg = r3_vfu_dma_region(v, addr);
		size_t n = reg ? r3_min(len, reg->len - (addr - reg->addr))
			       : len;
		void *p = r3_vfu_dma(v, addr, n, prot);

		if (!p)
			return -EFAULT;
		if (prot & R3_WRITE)
			memcpy(p, buf, n);
		else
			memcpy(buf, p, n);
		buf = (char *)buf + n;
		addr += n;
		len -= n;
	}
	return 0;
}

int r3_vfu_dma_read(struct r3_vfu *v, uint64_t addr, void *buf, size_t len)
{
	return copy(v, addr, buf, len, R3_READ);
}

int r3_vfu_dma_write(struct r3_vfu *v, uint64_t addr, const void *buf,
		     size_t len)
{
	return copy(v, addr, (void *)buf, len, R3_WRITE);
}

bool r3_vfu_bus_master(const struct r3_vfu *v)
{
	return v->desc.config->data[PCI_COMMAND] & PCI_COMMAND_MASTER;
}
