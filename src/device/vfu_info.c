// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu_info.c - the vfio-user server: what the device has */
#include "ring3/log.h"
#include "vfu.h"

uint64_t vfu_region_size(const struct r3_vfu *v, unsigned region)
{
	if (region >= VFIO_PCI_NUM_REGIONS)
		return 0;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return v->desc.config->len;
	return v->desc.regions[region].size;
}

int vfu_region_prot(const struct r3_vfu *v, unsigned region)
{
	return region == VFIO_PCI_CONFIG_REGION_INDEX
		       ? R3_READ | R3_WRITE : v->desc.regions[region].prot;
}

/* ---- is the description sane? ------------------------------------------- */

static int bad(const struct r3_vfu_desc *d, const char *what, unsigned index)
{
	r3_log(R3_ERROR, "vfio-user", d->name, "device description: %s "
	       "index=%u", what, index);
	return -EINVAL;
}

static int check_region(const struct r3_vfu_desc *d, unsigned i)
{
	const struct r3_vfu_region *reg = &d->regions[i];
	uint64_t end, from = 0;

	if (!reg->size)
		return reg->area_count ? bad(d, "areas of no region", i) : 0;
	if (!reg->prot || (reg->prot & ~(R3_READ | R3_WRITE)))
		return bad(d, "a region without rights", i);
	if (reg->area_count > R3_VFU_AREAS_MAX ||
	    (reg->area_count && reg->fd < 0))
		return bad(d, "too many areas, or areas without a file", i);
	for (unsigned k = 0; k < reg->area_count; k++) {
		const struct r3_vfu_area *a = &reg->areas[k];

		if (!a->len || !r3_is_aligned(a->off | a->len, R3_PAGE_SIZE) ||
		    !r3_add(a->off, a->len, &end) || end > reg->size ||
		    a->off < from)
			return bad(d, "a bad mappable area", i);
		from = end;
	}
	return 0;
}

int vfu_check_desc(const struct r3_vfu_desc *d)
{
	if (!d->name || !d->config ||
	    (d->config->len != 256 && d->config->len != 4096))
		return -EINVAL;
	for (unsigned i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		if (i != VFIO_PCI_CONFIG_REGION_INDEX && check_region(d, i))
			return -EINVAL;
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		if (d->irqs[i] > R3_VFU_VECTORS_MAX)
			return bad(d, "too many vectors", i);
	if (d->ioeventfd_count > R3_VFU_IOEVENTFDS_MAX)
		return bad(d, "too many ioeventfds", d->ioeventfd_count);
	for (unsigned i = 0; i < d->ioeventfd_count; i++) {
		const struct r3_vfu_ioeventfd *e = &d->ioeventfds[i];
		uint64_t end;

		if (e->fd < 0 || e->region >= VFIO_PCI_NUM_REGIONS ||
		    !r3_add(e->off, (uint64_t)e->size, &end) ||
		    end > d->regions[e->region].size)
			return bad(d, "a bad ioeventfd", i);
	}
	return 0;
}

/* ---- commands ----------------------------------------------------------- */

int vfu_info(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_info *q = vfu_head(r, sizeof(*q));
	struct vu_info reply = {
		.argsz = r3_le32_of(sizeof(reply)),
		.flags = r3_le32_of(VFIO_DEVICE_FLAGS_PCI |
				    VFIO_DEVICE_FLAGS_RESET),
		.regions = r3_le32_of(VFIO_PCI_NUM_REGIONS),
		.irqs = r3_le32_of(VFIO_PCI_NUM_IRQS),
	};

	(void)v;
	if (!q || r3_get_le32(q->argsz) < sizeof(*q))
		return -EINVAL;
	vfu_reply(r, &reply, sizeof(reply));
	return 0;
}

static uint32_t region_flags(const struct r3_vfu *v, unsigned index)
{
	int prot = vfu_region_prot(v, index);

	if (!vfu_region_size(v, index))
		return 0;
	return (prot & R3_READ ? VFIO_REGION_INFO_FLAG_READ : 0) |
	       (prot & R3_WRITE ? VFIO_REGION_INFO_FLAG_WRITE : 0);
}

static void reply_areas(struct vfu_req *r, const struct r3_vfu_region *reg)
{
	struct vu_cap_sparse cap = {
		.head = { .id = r3_le16_of(VFIO_REGION_INFO_CAP_SPARSE_MMAP),
			  .version = r3_le16_of(1) },
		.count = r3_le32_of(reg->area_count),
	};

	vfu_reply(r, &cap, sizeof(cap));
	for (unsigned i = 0; i < reg->area_count; i++) {
		struct vu_area area = {
			.offset = r3_le64_of(reg->areas[i].off),
			.size = r3_le64_of(reg->areas[i].len),
		};

		vfu_reply(r, &area, sizeof(area));
	}
}

/* With argsz too small only the fixed part goes out: argsz there says how much
 * is needed. */
int vfu_region_info(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_region_info *q = vfu_head(r, sizeof(*q));
	const struct r3_vfu_region *reg;
	struct vu_region_info reply;
	uint32_t index, flags, need = sizeof(reply);
	bool all;

	if (!q || r3_get_le32(q->argsz) < sizeof(*q))
		return -EINVAL;
	index = r3_get_le32(q->index);
	if (index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	reg = &v->desc.regions[index];
	flags = region_flags(v, index);
	if (index != VFIO_PCI_CONFIG_REGION_INDEX && reg->area_count &&
	    v->peer.max_fds) {
		need += sizeof(struct vu_cap_sparse) +
			reg->area_count * sizeof(struct vu_area);
		flags |= VFIO_REGION_INFO_FLAG_MMAP |
			 VFIO_REGION_INFO_FLAG_CAPS;
	}
	all = need > sizeof(reply) && r3_get_le32(q->argsz) >= need;
	reply = (struct vu_region_info){
		.argsz = r3_le32_of(need),
		.flags = r3_le32_of(flags),
		.index = q->index,
		.cap_offset = r3_le32_of(all ? sizeof(reply) : 0),
		.size = r3_le64_of(vfu_region_size(v, index)),
		.offset = r3_le64_of(all ? reg->fd_off : 0),
	};
	vfu_reply(r, &reply, sizeof(reply));
	if (all) {
		reply_areas(r, reg);
		r->out.fds[r->out.fd_count++] = reg->fd;
	}
	return 0;
}

/* Index of @fd among the reply's, added if it is new; -1: no room. */
static int fd_index(struct vfu_req *r, int fd, unsigned max)
{
	for (unsigned i = 0; i < r->out.fd_count; i++)
		if (r->out.fds[i] == fd)
			return (int)i;
	if (r->out.fd_count == max)
		return -1;
	r->out.fds[r->out.fd_count] = fd;
	return (int)r->out.fd_count++;
}

/* Those whose eventfd the client has no room for are left out: it then uses
 * messages for them. */
int vfu_region_io_fds(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_io_fds *q = vfu_head(r, sizeof(*q));
	unsigned max = (unsigned)r3_min(v->peer.max_fds, R3_VFU_MSG_FDS);
	struct vu_io_fds reply;
	uint32_t index, count = 0, need = sizeof(reply);

	if (!q || r3_get_le32(q->argsz) < sizeof(*q) ||
	    r3_get_le32(q->flags) || r3_get_le32(q->count))
		return -EINVAL;
	index = r3_get_le32(q->index);
	if (index >= VFIO_PCI_NUM_REGIONS || !vfu_region_size(v, index))
		return -EINVAL;
	r->out.len = sizeof(reply);
	for (unsigned i = 0; i < v->desc.ioeventfd_count; i++) {
		const struct r3_vfu_ioeventfd *e = &v->desc.ioeventfds[i];
		int at = e->region == index ? fd_index(r, e->fd, max) : -1;
		struct vu_io_fd sub = {
			.offset = r3_le64_of(e->off),
			.size = r3_le64_of(e->size),
			.fd_index = r3_le32_of((uint32_t)at),
			.type = r3_le32_of(VU_IO_EVENTFD),
		};

		if (at < 0)
			continue;
		vfu_reply(r, &sub, sizeof(sub));
		count++;
	}
	need += count * sizeof(struct vu_io_fd);
	if (r3_get_le32(q->argsz) < need) {
		r->out.len = sizeof(reply);
		r->out.fd_count = 0;
	}
	reply = (struct vu_io_fds){
		.argsz = r3_le32_of(need), .index = q->index,
		.count = r3_le32_of(count),
	};
	memcpy(r->out.p, &reply, sizeof(reply));
	return 0;
}
