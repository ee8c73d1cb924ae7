// SPDX-License-Identifier: GPL-2.0-or-later
/* vub_mem.c - the front end's memory, as a back end sees it */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring3/log.h"
#include "vub.h"

/* A mapping has to start at a multiple of the file's page size: 2 MiB and
 * more on hugetlbfs, which says so in its block size. */
static uint64_t page_of(const struct stat *st)
{
	uint64_t block = (uint64_t)st->st_blksize;

	return r3_is_pow2(block) && block <= R3_GIB ?
		       r3_max(block, R3_PAGE_SIZE) :
		       R3_PAGE_SIZE;
}

static bool is_memory(const struct r3_vub *v, int fd)
{
	if (r3_is_memory(fd))
		return true;
	r3_log(R3_WARN, v->config.part, v->config.name, "a client's memory "
	       "must be a memfd, or a file in /dev/shm or on hugetlbfs");
	return false;
}

/* Not populated: a guest's memory is touched where it is used. */
int vub_map_file(struct r3_vub *v, struct vub_map *m, int fd, uint64_t off,
		 uint64_t len)
{
	uint64_t start, end, page;
	struct stat st;
	void *p;
	int err;

	if (!is_memory(v, fd))
		return -EPROTO;
	err = r3_memfd_check(fd, off, len);
	if ((err && err != -EPERM) || fstat(fd, &st))
		return -EPROTO;
	page = page_of(&st);
	start = r3_align_down(off, page);
	if (!r3_add(off, len, &end) || !r3_align_up(end, page, &end) ||
	    end > INT64_MAX)
		return -EPROTO;
	p = mmap(NULL, end - start, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
	if (p == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EPROTO;
	*m = (struct vub_map){ .fd = fd, .base = p, .len = end - start,
			       .host = (uint8_t *)p + (off - start),
			       .dev = st.st_dev, .ino = st.st_ino };
	/* Sealed or not: a file that can't shrink is SIGBUS all the same where
	 * no huge page, or no memory of its tmpfs, is left for it. */
	r3_guard_add(&m->guard, p, m->len, v->fault_fd);
	return 0;
}

void vub_unmap(struct vub_map *m)
{
	r3_guard_del(&m->guard);
	if (m->base)
		munmap(m->base, m->len);
	if (m->fd >= 0)
		close(m->fd);
	*m = (struct vub_map){ .fd = -1 };
}

int vub_free_slot(const struct r3_vub *v)
{
	for (int i = 0; i < R3_VU_REGIONS_MAX; i++) {
		if (!v->slot[i].base)
			return i;
	}
	return -1;
}

/* By guest address, length and user address: what REM_MEM_REG goes by. */
int vub_find_slot(const struct r3_vub *v, const struct vu_region *r)
{
	for (int i = 0; i < R3_VU_REGIONS_MAX; i++) {
		const struct vub_region_state *s = &v->s->region[i];

		if (v->slot[i].base && s->guest == r->guest &&
		    s->len == r->len && s->user == r->user)
			return i;
	}
	return -1;
}

static int tell_user(struct r3_vub *v, unsigned at)
{
	int err;

	if (!v->ops->mem_add)
		return 0;
	err = v->ops->mem_add(v->ctx, &v->mem.v[at]);
	if (err)
		r3_regions_del(&v->mem, at);
	return err;
}

int vub_add_region(struct r3_vub *v, unsigned slot, const struct vu_region *r,
		   int fd)
{
	struct vub_map *m = &v->slot[slot];
	struct r3_region reg;
	uint64_t end;
	unsigned at;
	int err = -EPROTO;

	if (fd < 0)
		return -EPROTO;
	/* whole pages, as they go into page tables of a device */
	if (!r->len || !r3_add(r->user, r->len, &end) ||
	    !r3_is_aligned(r->guest | r->len | r->user | r->off, R3_PAGE_SIZE))
		goto fail_fd;
	err = vub_map_file(v, m, fd, r->off, r->len);
	if (err)
		goto fail_fd;
	reg = (struct r3_region){
		.addr = r->guest, .len = r->len, .off = r->off, .fd = fd,
		.prot = R3_READ | R3_WRITE, .host = m->host, .iova = r->guest,
		.tag = slot,
	};
	err = r3_regions_add(&v->mem, &reg, &at);
	if (!err)
		err = tell_user(v, at);
	if (err) {
		vub_unmap(m);
		return err == -EEXIST || err == -EINVAL ? -EPROTO : err;
	}
	v->s->region[slot] = (struct vub_region_state){
		.guest = r->guest, .len = r->len, .user = r->user,
		.off = r->off,
	};
	vub_keep(v, 'm', (int)slot, fd);
	return 0;

fail_fd:
	close(fd);
	return err;
}

void vub_del_region(struct r3_vub *v, unsigned slot)
{
	if (!v->slot[slot].base)
		return;
	for (unsigned i = 0; i < v->mem.count; i++) {
		struct r3_region reg = v->mem.v[i];

		if (reg.tag != slot)
			continue;
		if (v->ops->mem_del)
			v->ops->mem_del(v->ctx, &reg);
		r3_regions_del(&v->mem, i);
		break;
	}
	vub_unmap(&v->slot[slot]);
	v->s->region[slot] = (struct vub_region_state){ 0 };
	vub_drop(v, 'm', (int)slot);
}

void *vub_user(const struct r3_vub *v, uint64_t user, uint64_t len)
{
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++) {
		const struct vub_region_state *s = &v->s->region[i];

		if (v->slot[i].base && user >= s->user &&
		    user - s->user < s->len && len <= s->len - (user - s->user))
			return v->slot[i].host + (user - s->user);
	}
	return NULL;
}

int vub_set_inflight(struct r3_vub *v, const struct vu_inflight *i, int fd)
{
	uint64_t need = 0;
	int err = -EPROTO;

	if (i->queues > v->config.queues || !i->queue_size ||
	    i->queue_size > R3_VQ_SIZE_MAX || !r3_is_aligned(i->off, 8))
		goto fail;
	need = i->queues * (uint64_t)r3_vq_inflight_len(
				   i->queue_size,
				   v->s->features & R3_VQ_F_PACKED);
	if (need > i->len)
		goto fail;
	vub_drop_inflight(v);
	err = vub_map_file(v, &v->inflight, fd, i->off, i->len);
	if (err)
		goto fail;
	v->s->inflight = *i;
	vub_keep(v, 'i', -1, fd);
	return 0;

fail:
	close(fd);
	return err;
}

void vub_drop_inflight(struct r3_vub *v)
{
	if (!v->inflight.base)
		return;
	vub_unmap(&v->inflight);
	v->s->inflight = (struct vu_inflight){ 0 };
	v->s->own_inflight = 0;
	vub_drop(v, 'i', -1);
}
