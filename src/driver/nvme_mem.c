// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_mem.c - memory that a controller's device reaches: queues, clients' */
#include <sys/mman.h>
#include <unistd.h>

#include "nvme_admin.h"

#define HIGHEST ((UINT64_C(1) << 39) - 1) /* what any IOMMU reaches */

/* ---- where what is ------------------------------------------------------- */

static size_t pages(size_t len)
{
	return r3_align_down(len + NVME_PAGE - 1, NVME_PAGE);
}

/* Bytes of a queue's two rings. */
static size_t sq_len(const struct nvme_ctrl *c)
{
	return pages(c->conf.queue_size * sizeof(struct r3_nvme_sqe));
}

static size_t rings_len(const struct nvme_ctrl *c)
{
	return sq_len(c) +
	       pages(c->conf.queue_size * sizeof(struct r3_nvme_cqe));
}

/* Offset of queue @i's submission ring; its completion ring follows. */
static size_t ring_at(const struct nvme_ctrl *c, unsigned i)
{
	return NVME_MEM_ADMIN_END + i * rings_len(c);
}

size_t nvme_mem_ring(const struct nvme_ctrl *c, unsigned i, unsigned cq)
{
	return ring_at(c, i) + (cq ? sq_len(c) : 0);
}

/* Rings first, then what is only touched when it is needed: PRP lists, bounce
 * buffers.  Return: the length of all. */
static size_t lay_out(struct nvme_ctrl *c)
{
	size_t lists = pages(c->conf.queue_size * NVME_LIST_ENTRIES *
			     sizeof(r3_le64));
	size_t at = ring_at(c, c->conf.queues);

	for (unsigned i = 0; i < c->conf.queues; i++) {
		struct nvme_ioq *q = &c->ioq[i];

		q->lists = c->mem ? c->mem + at : NULL;
		q->lists_iova = c->mem_iova + at;
		at += lists;
		q->bounce = c->mem ? c->mem + at : NULL;
		q->bounce_iova = c->mem_iova + at;
		at += NVME_BOUNCES * NVME_BOUNCE_LEN;
	}
	return at;
}

/* ---- here ---------------------------------------------------------------- */

/* Populated as far as every command needs it: the rest would cost a ms of the
 * start, and memory that most nodes never use. */
int nvme_mem_open(struct nvme_ctrl *c)
{
	void *mem;

	c->mem_len = lay_out(c);
	c->mem_fd = r3_memfd("ring3-nvme-queues", c->mem_len);
	if (c->mem_fd < 0)
		return c->mem_fd;
	mem = mmap(NULL, c->mem_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		   c->mem_fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	c->mem = mem;
	madvise(mem, ring_at(c, c->conf.queues), MADV_POPULATE_WRITE);
	lay_out(c);
	return 0;
}

void nvme_mem_close(struct nvme_ctrl *c)
{
	r3_unmap(c->mem, c->mem_len);
	if (c->mem_fd >= 0)
		close(c->mem_fd);
}

/* ---- for the device ------------------------------------------------------ */

/* Low addresses are left to guests, whose own addresses can then be used. */
static int map_high(struct r3_space *space, const struct r3_space_mem *mem,
		    uint64_t *iova)
{
	const struct r3_space_limits *l = r3_space_limits(space);

	for (unsigned i = l->range_count; i-- > 0;) {
		const struct r3_space_range *r = &l->ranges[i];
		uint64_t last = r3_min(r->last, HIGHEST);
		uint64_t at;

		if (last < r->first || last - r->first < mem->len)
			continue;
		at = r3_align_down(last - mem->len + 1, NVME_PAGE);
		if (at >= r->first && !r3_space_map(space, at, mem,
						    R3_READ | R3_WRITE)) {
			*iova = at;
			return 0;
		}
	}
	return r3_space_map_any(space, mem, R3_READ | R3_WRITE, 0, UINT64_MAX,
				iova);
}

int nvme_mem_attach(struct nvme_ctrl *c)
{
	struct r3_space *space = r3_device_space(c->dev);
	struct r3_space_mem mem = { .fd = c->mem_fd, .len = c->mem_len,
				    .host = c->mem };
	int err = 0;

	/* the clients' first: their addresses are fixed */
	for (unsigned i = 0; i < c->map_count && !err; i++) {
		const struct nvme_map *m = &c->map[i];
		struct r3_space_mem its = { m->fd, m->off, m->len, m->host,
					    0 };

		err = r3_space_map(space, m->iova, &its, m->prot);
	}
	if (!err)
		err = map_high(space, &mem, &c->mem_iova);
	if (!err)
		lay_out(c);
	return err;
}

int nvme_ctrl_map(struct nvme_ctrl *c, uint64_t *iova, uint64_t len, int fd,
		  uint64_t off, int prot, void *host)
{
	struct r3_space_mem mem = { fd, off, len, host, 0 };
	uint64_t at = *iova;
	int err = 0;

	if (c->map_count == NVME_MAPS_MAX)
		return -ENOSPC;
	if (c->dev) {
		struct r3_space *space = r3_device_space(c->dev);

		err = r3_space_map(space, at, &mem, prot);
		if (err == -ERANGE || err == -EEXIST)
			err = r3_space_map_any(space, &mem, prot, 0,
					       UINT64_MAX, &at);
		/* lost just now: the next device gets it when attached */
		if (err == -ENOTCONN || err == -ETIMEDOUT)
			err = 0;
	}
	if (err)
		return err;
	c->map[c->map_count++] =
		(struct nvme_map){ at, len, off, fd, prot, host };
	*iova = at;
	return 0;
}

void nvme_ctrl_unmap(struct nvme_ctrl *c, uint64_t iova, uint64_t len)
{
	for (unsigned i = 0; i < c->map_count; i++) {
		if (c->map[i].iova != iova || c->map[i].len != len)
			continue;
		c->map[i] = c->map[--c->map_count];
		break;
	}
	if (c->dev)
		r3_space_unmap(r3_device_space(c->dev), iova, len);
}
