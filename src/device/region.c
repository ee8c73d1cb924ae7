// SPDX-License-Identifier: GPL-2.0-or-later
/* region.c - a region's description, as VFIO and vfio-user send it */
#include "dev.h"
#include "wire.h"

#define CAPS_MAX 16 /* capabilities of one region that are looked at */

static int add_area(struct r3_device_region *reg, uint64_t off, uint64_t len)
{
	uint64_t end;

	if (!r3_is_aligned(off | len, R3_PAGE_SIZE) ||
	    !r3_add(off, len, &end) || end > reg->size)
		return -EPROTO;
	if (!len)
		return 0; /* Linux says so when the MSI-X table fills a BAR */
	if (reg->area_count == R3_DEVICE_AREAS_MAX)
		return 0; /* that part is accessed the slow way */
	reg->areas[reg->area_count++] = (struct r3_device_area){ off, len };
	return 0;
}

static int parse_sparse(struct r3_span s, struct r3_device_region *reg)
{
	const struct vu_cap_sparse *head = r3_take(&s, sizeof(*head));
	uint32_t count;

	if (!head)
		return -EPROTO;
	count = r3_get_le32(head->count);
	if (count > s.len / sizeof(struct vu_area))
		return -EPROTO;
	for (uint32_t i = 0; i < count; i++) {
		const struct vu_area *a = r3_take(&s, sizeof(*a));
		int err = add_area(reg, r3_get_le64(a->offset),
				   r3_get_le64(a->size));

		if (err)
			return err;
	}
	return 0;
}

static int parse_caps(const uint8_t *info, size_t len, uint32_t at,
		      struct r3_device_region *reg, bool *sparse)
{
	for (unsigned n = 0; at; n++) {
		struct vu_cap_head cap;
		int err = 0;

		if (n == CAPS_MAX || at > len || len - at < sizeof(cap))
			return -EPROTO;
		memcpy(&cap, info + at, sizeof(cap));
		switch (r3_get_le16(cap.id)) {
		case VFIO_REGION_INFO_CAP_SPARSE_MMAP:
			if (*sparse)
				return -EPROTO;
			*sparse = true;
			err = parse_sparse((struct r3_span){ info + at,
							     len - at }, reg);
			break;
		case VFIO_REGION_INFO_CAP_MSIX_MAPPABLE:
			reg->msix_mappable = true;
			break;
		}
		if (err)
			return err;
		at = r3_get_le32(cap.next);
	}
	return 0;
}

int device_parse_region(const uint8_t *info, size_t len,
			struct r3_device_region *out, uint64_t *mmap_off)
{
	struct r3_device_region reg = { 0 };
	struct vu_region_info head;
	bool sparse = false;
	uint32_t flags, at;
	uint64_t end;
	int err = 0;

	static_assert(sizeof(head) == sizeof(struct vfio_region_info), "same");
	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, info, sizeof(head));
	flags = r3_get_le32(head.flags);
	reg.size = r3_get_le64(head.size);
	reg.prot = (flags & VFIO_REGION_INFO_FLAG_READ ? R3_READ : 0) |
		   (flags & VFIO_REGION_INFO_FLAG_WRITE ? R3_WRITE : 0);
	if (reg.size > INT64_MAX ||
	    !r3_add(r3_get_le64(head.offset), reg.size, &end) ||
	    end > INT64_MAX)
		return -EPROTO;
	at = r3_get_le32(head.cap_offset);
	if (flags & VFIO_REGION_INFO_FLAG_CAPS)
		err = parse_caps(info, len, at, &reg, &sparse);
	if (err)
		return err;
	if (!(flags & VFIO_REGION_INFO_FLAG_MMAP))
		reg.area_count = 0;
	else if (!sparse)
		err = add_area(&reg, 0, r3_align_down(reg.size, R3_PAGE_SIZE));
	if (err)
		return err;
	*out = reg;
	*mmap_off = r3_get_le64(head.offset);
	return 0;
}
