// SPDX-License-Identifier: GPL-2.0-or-later
/* type1.c - a space behind the IOMMU: a VFIO container (linux/vfio.h) */
#include <linux/vfio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "ring3/log.h"
#include "type1.h"

/* Bytes of VFIO_IOMMU_GET_INFO with all capabilities that we would read. */
#define INFO_MAX 65536u
#define INFO_CAPS_MAX 32

/* What an x86 machine has when the kernel can't tell. */
static const struct r3_space_limits old_kernel = {
	.page_sizes = R3_PAGE_SIZE,
	.max_maps = R3_SPACE_MAPS_MAX,
	.range_count = 2,
	.ranges = { { 0, 0xfedfffff }, { 0xfef00000, 0x7fffffffff } },
};

/* ---- VFIO_IOMMU_GET_INFO ------------------------------------------------ */

static int take_ranges(const uint8_t *cap, size_t room,
		       struct r3_space_limits *out)
{
	struct vfio_iommu_type1_info_cap_iova_range head;
	struct vfio_iova_range range;
	unsigned n = 0;

	if (room < sizeof(head))
		return -EPROTO;
	memcpy(&head, cap, sizeof(head));
	if (head.nr_iovas > (room - sizeof(head)) / sizeof(range))
		return -EPROTO;
	/* More ranges than we can note: those left out are not used. */
	for (; n < head.nr_iovas && n < R3_SPACE_RANGES_MAX; n++) {
		memcpy(&range, cap + sizeof(head) + n * sizeof(range),
		       sizeof(range));
		out->ranges[n].first = range.start;
		out->ranges[n].last = range.end;
	}
	out->range_count = n;
	return 0;
}

static int take_avail(const uint8_t *cap, size_t room,
		      struct r3_space_limits *out)
{
	struct vfio_iommu_type1_info_dma_avail avail;

	if (room < sizeof(avail))
		return -EPROTO;
	memcpy(&avail, cap, sizeof(avail));
	out->max_maps = avail.avail;
	return 0;
}

int type1_parse_info(const uint8_t *info, size_t len,
		     struct r3_space_limits *out)
{
	struct r3_space_limits limits = old_kernel;
	struct vfio_iommu_type1_info head;
	struct vfio_info_cap_header cap;
	uint32_t at;
	int err = 0;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, info, sizeof(head));
	if (head.flags & VFIO_IOMMU_INFO_PGSIZES)
		limits.page_sizes = head.iova_pgsizes;
	at = head.flags & VFIO_IOMMU_INFO_CAPS ? head.cap_offset : 0;
	for (unsigned n = 0; at && !err; n++) {
		if (n == INFO_CAPS_MAX || at > len || len - at < sizeof(cap))
			return -EPROTO;
		memcpy(&cap, info + at, sizeof(cap));
		if (cap.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			err = take_ranges(info + at, len - at, &limits);
		else if (cap.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)
			err = take_avail(info + at, len - at, &limits);
		at = cap.next;
	}
	if (!err)
		*out = limits;
	return err;
}

static int read_limits(int container, struct r3_space_limits *out)
{
	struct vfio_iommu_type1_info head = { .argsz = sizeof(head) };
	struct vfio_iommu_type1_info *info;
	uint32_t len;
	int err;

	if (ioctl(container, VFIO_IOMMU_GET_INFO, &head))
		return -errno;
	len = (uint32_t)r3_min(r3_max(head.argsz, sizeof(head)), INFO_MAX);
	info = calloc(1, len);
	if (!info)
		return -ENOMEM;
	info->argsz = len;
	if (ioctl(container, VFIO_IOMMU_GET_INFO, info))
		err = -errno;
	else
		err = type1_parse_info((uint8_t *)info, len, out);
	free(info);
	return err;
}

/* ---- mappings ----------------------------------------------------------- */

static int container_of_ctx(void *ctx)
{
	return (int)(intptr_t)ctx;
}

static int type1_map(void *ctx, const struct r3_region *reg)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (reg->prot & R3_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
			 (reg->prot & R3_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)reg->host,
		.iova = reg->addr,
		.size = reg->len,
	};

	if (!ioctl(container_of_ctx(ctx), VFIO_IOMMU_MAP_DMA, &map))
		return 0;
	/* Our table has no overlap: the kernel's differs from it, and a device
	 * may reach memory that nobody knows of. */
	if (errno == EEXIST)
		r3_log(R3_ERROR, "space", "type1", "the kernel has a mapping "
		       "that is not ours; restart the driver iova=0x%llx",
		       (unsigned long long)reg->addr);
	return -errno;
}

static int type1_unmap(void *ctx, const struct r3_region *reg)
{
	struct vfio_iommu_type1_dma_unmap un = {
		.argsz = sizeof(un),
		.iova = reg->addr,
		.size = reg->len,
	};

	if (ioctl(container_of_ctx(ctx), VFIO_IOMMU_UNMAP_DMA, &un))
		return -errno;
	/* The kernel may succeed having unmapped nothing. */
	return un.size == reg->len ? 0 : -ENOENT;
}

/* Halves of the space, for kernels that can't unmap all (before 5.12): a
 * mapping over the middle would be in the way, none can be on x86. */
static int unmap_halves(int container)
{
	struct vfio_iommu_type1_dma_unmap un = { .argsz = sizeof(un) };

	for (unsigned half = 0; half < 2; half++) {
		un.iova = (uint64_t)half << 63;
		un.size = (UINT64_C(1) << 63) - (half ? R3_PAGE_SIZE : 0);
		if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &un))
			return -errno;
	}
	return 0;
}

static int unmap_leftovers(int container)
{
	struct vfio_iommu_type1_dma_unmap un = {
		.argsz = sizeof(un), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};

	if (ioctl(container, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL) != 1)
		return unmap_halves(container);
	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &un) ? -errno : 0;
}

int r3_space_open_type1(struct r3_space **out, int container)
{
	static const struct r3_space_ops ops = {
		.needs_host = true, .map = type1_map, .unmap = type1_unmap,
	};
	struct r3_space_limits limits;
	int err = unmap_leftovers(container);

	if (!err)
		err = read_limits(container, &limits);
	if (err)
		return err == -EINVAL || err == -ENOTTY ? -EPERM : err;
	return r3_space_new(out, &ops, (void *)(intptr_t)container, &limits);
}
