/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dev.h - a device, between the front (device.c, config.c) and its back ends
 *
 * A back end embeds struct r3_device as its first member and calls
 * device_init() first and device_fini() last.  It is only called with regions,
 * offsets and vectors that exist.
 */
#ifndef DEVICE_DEV_H
#define DEVICE_DEV_H

#include "ring3/device.h"

#define DEVICE_MAPS_MAX 64 /* of regions, at once */
#define DEVICE_INFO_MAX 4096 /* bytes of a region's description */
#define DEVICE_TAG_GUARD 99 /* of guard_fd among the events */

struct device_ops {
	void (*close)(struct r3_device *dev);
	int (*read)(struct r3_device *dev, unsigned region, uint64_t off,
		    void *buf, size_t len);
	int (*write)(struct r3_device *dev, unsigned region, uint64_t off,
		     const void *buf, size_t len, bool wait);
	/* What to mmap for @off of a region. */
	int (*map_at)(struct r3_device *dev, unsigned region, uint64_t off,
		      int *fd, uint64_t *fd_off);
	int (*ioeventfd)(struct r3_device *dev, unsigned region, uint64_t off,
			 uint32_t size, int *out); /* NULL: has none */
	int (*irq_set)(struct r3_device *dev, unsigned index, unsigned start,
		       const int *fds, unsigned count);
	/* @flags: VFIO_IRQ_SET_DATA_NONE and an action */
	int (*irq_act)(struct r3_device *dev, unsigned index, unsigned start,
		       unsigned count, uint32_t flags);
	unsigned (*events)(struct r3_device *dev);
	int (*reset)(struct r3_device *dev);
	/* @flags with the number, VFIO_DEVICE_FEATURE_*; NULL: has none */
	int (*feature)(struct r3_device *dev, uint32_t flags);
};

struct r3_device {
	struct r3_device_info info;
	const struct device_ops *ops;
	struct r3_space *space;
	uint64_t deadline_ns; /* r3_device_deadline() */
	int event_fd; /* epoll over what tells of events */
	int guard_fd; /* signalled when a mapped region has gone */
	struct r3_device_region regions[R3_DEVICE_REGIONS_MAX];
	struct r3_device_irq irqs[R3_DEVICE_IRQS_MAX];
	struct {
		void *addr;
		size_t len;
		struct r3_guard guard;
	} maps[DEVICE_MAPS_MAX];
};

int device_init(struct r3_device *dev, const struct device_ops *ops,
		const char *backend, const char *name);
/* Unmaps the regions, closes the event fd; all else is the back end's. */
void device_fini(struct r3_device *dev);
int device_add_event(struct r3_device *dev, int fd, uint32_t events,
		     uint32_t tag);

/**
 * device_parse_region() - struct vfio_region_info with its capabilities, from
 * the kernel or a vfio-user server
 * @mmap_off: what has to be added to an offset for mmap()
 * Return: 0 or -EPROTO.
 */
int device_parse_region(const uint8_t *info, size_t len,
			struct r3_device_region *out, uint64_t *mmap_off);

#endif
