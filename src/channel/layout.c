// SPDX-License-Identifier: GPL-2.0-or-later
/* layout.c - how a ring lies in memory */
#include "ring.h"

static_assert(sizeof(struct vring_desc) == 16, "virtio 1.2, 2.7.5");
static_assert(sizeof(struct vring_packed_desc) == 16, "virtio 1.2, 2.8.13");
static_assert(sizeof(struct ring_desc) == 16, "both forms");

static bool size_ok(uint16_t size, bool packed)
{
	return size && size <= R3_VQ_SIZE_MAX &&
	       (packed || r3_is_pow2(size));
}

static uint32_t align_up(uint32_t n)
{
	return (n + R3_VQ_ALIGN - 1) & ~(uint32_t)(R3_VQ_ALIGN - 1);
}

int r3_vring_layout(uint16_t size, bool packed, struct r3_vring_layout *out)
{
	struct r3_vring_layout l = { 0 };

	if (!size_ok(size, packed))
		return -EINVAL;
	l.desc_len = 16u * size;
	if (packed) {
		l.driver_len = l.device_len =
			sizeof(struct vring_packed_desc_event);
	} else {
		/* flags, idx, ring, event */
		l.driver_len = 4 + 2u * size + 2;
		l.device_len = 4 + 8u * size + 2;
	}
	l.driver = align_up(l.desc_len);
	l.device = align_up(l.driver + l.driver_len);
	l.len = align_up(l.device + l.device_len);
	*out = l;
	return 0;
}

int ring_check(const struct r3_vring *ring)
{
	if (!size_ok(ring->size, ring->packed) || !ring->desc ||
	    !ring->driver || !ring->device ||
	    !r3_is_aligned((uintptr_t)ring->desc, 16) ||
	    !r3_is_aligned((uintptr_t)ring->driver, ring->packed ? 4 : 2) ||
	    !r3_is_aligned((uintptr_t)ring->device, 4))
		return -EINVAL;
	return 0;
}

bool ring_packed_event(const struct r3_vring *ring, const void *event,
		       uint16_t at, bool wrap, uint16_t since)
{
	uint32_t e;
	uint16_t where;

	ring_fence();
	e = ring_load((const uint32_t *)event);
	if (!since)
		return false;
	switch (e >> 16 & 3) {
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	case VRING_PACKED_EVENT_FLAG_DESC:
		break;
	default:
		return true;
	}
	if (!ring->event_idx || since >= ring->size)
		return true;
	where = e & 0x7fff;
	if ((e >> VRING_PACKED_EVENT_F_WRAP_CTR & 1) != wrap)
		where -= ring->size;
	return vring_need_event(where, at, (uint16_t)(at - since));
}
