// SPDX-License-Identifier: GPL-2.0-or-later
/* device.c - PCI devices: what both back ends share */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev.h"

#define ACCESS_MAX (1024 * 1024) /* bytes of one read or write */

int device_init(struct r3_device *dev, const struct device_ops *ops,
		const char *backend, const char *name)
{
	dev->ops = ops;
	dev->info.backend = backend;
	strncpy(dev->info.name, name, sizeof(dev->info.name) - 1);
	dev->guard_fd = -1;
	dev->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (dev->event_fd < 0)
		return -errno;
	dev->guard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->guard_fd < 0)
		return -errno;
	return device_add_event(dev, dev->guard_fd, EPOLLIN,
				DEVICE_TAG_GUARD);
}

int device_add_event(struct r3_device *dev, int fd, uint32_t events,
		     uint32_t tag)
{
	struct epoll_event ev = { .events = events, .data.u32 = tag };

	return epoll_ctl(dev->event_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void unmap_slot(struct r3_device *dev, unsigned slot)
{
	r3_guard_del(&dev->maps[slot].guard);
	munmap(dev->maps[slot].addr, dev->maps[slot].len);
	dev->maps[slot].addr = NULL;
}

void r3_device_deadline(struct r3_device *dev, uint64_t when_ns)
{
	dev->deadline_ns = when_ns;
}

void device_fini(struct r3_device *dev)
{
	for (unsigned i = 0; i < DEVICE_MAPS_MAX; i++)
		if (dev->maps[i].addr)
			unmap_slot(dev, i);
	if (dev->event_fd >= 0)
		close(dev->event_fd);
	if (dev->guard_fd >= 0)
		close(dev->guard_fd);
}

void r3_device_close(struct r3_device *dev)
{
	if (!dev)
		return;
	r3_device_bus_master(dev, false);
	r3_space_free(dev->space);
	dev->space = NULL;
	dev->ops->close(dev);
}

const struct r3_device_info *r3_device_info(const struct r3_device *dev)
{
	return &dev->info;
}

struct r3_space *r3_device_space(struct r3_device *dev)
{
	return dev->space;
}

/* ---- regions ------------------------------------------------------------ */

const struct r3_device_region *r3_device_region(const struct r3_device *dev,
						unsigned index)
{
	return index < dev->info.regions ? &dev->regions[index] : NULL;
}

static int check_access(const struct r3_device *dev, unsigned region,
			uint64_t off, size_t len, int prot)
{
	const struct r3_device_region *reg = r3_device_region(dev, region);
	uint64_t end;

	if (!reg || !reg->size || !len || len > ACCESS_MAX)
		return -EINVAL;
	if (!r3_add(off, (uint64_t)len, &end) || end > reg->size)
		return -ERANGE;
	return (reg->prot & prot) == prot ? 0 : -EACCES;
}

int r3_device_read(struct r3_device *dev, unsigned region, uint64_t off,
		   void *buf, size_t len)
{
	int err = check_access(dev, region, off, len, R3_READ);

	return err ? err : dev->ops->read(dev, region, off, buf, len);
}

int r3_device_write(struct r3_device *dev, unsigned region, uint64_t off,
		    const void *buf, size_t len)
{
	int err = check_access(dev, region, off, len, R3_WRITE);

	return err ? err : dev->ops->write(dev, region, off, buf, len, true);
}

int r3_device_post(struct r3_device *dev, unsigned region, uint64_t off,
		   const void *buf, size_t len)
{
	int err = check_access(dev, region, off, len, R3_WRITE);

	return err ? err : dev->ops->write(dev, region, off, buf, len, false);
}

static bool in_area(const struct r3_device_region *reg, uint64_t off,
		    uint64_t len)
{
	for (unsigned i = 0; i < reg->area_count; i++) {
		const struct r3_device_area *a = &reg->areas[i];

		if (off >= a->off && off - a->off < a->len &&
		    len <= a->len - (off - a->off))
			return true;
	}
	return false;
}

int r3_device_map_region(struct r3_device *dev, unsigned region, uint64_t off,
			 uint64_t len, int prot, volatile void **out)
{
	int err = check_access(dev, region, off, 1, prot);
	uint64_t fd_off;
	unsigned slot = 0;
	void *p;
	int fd;

	if (err || !prot || !len || !r3_is_aligned(off | len, R3_PAGE_SIZE))
		return err ? err : -EINVAL;
	if (!in_area(&dev->regions[region], off, len))
		return -EOPNOTSUPP;
	while (slot < DEVICE_MAPS_MAX && dev->maps[slot].addr)
		slot++;
	if (slot == DEVICE_MAPS_MAX)
		return -ENOSPC;
	err = dev->ops->map_at(dev, region, off, &fd, &fd_off);
	if (err)
		return err;
	p = mmap(NULL, len,
		 (prot & R3_READ ? PROT_READ : 0) |
			 (prot & R3_WRITE ? PROT_WRITE : 0),
		 MAP_SHARED, fd, (off_t)fd_off);
	if (p == MAP_FAILED)
		return -errno;
	dev->maps[slot].addr = p;
	dev->maps[slot].len = len;
	/* An unplugged device, a server that truncates its file: SIGBUS. */
	r3_guard_add(&dev->maps[slot].guard, p, len, dev->guard_fd);
	*out = p;
	return 0;
}

void r3_device_unmap_region(struct r3_device *dev, volatile void *addr)
{
	for (unsigned i = 0; i < DEVICE_MAPS_MAX; i++) {
		if (addr && dev->maps[i].addr == addr)
			unmap_slot(dev, i);
	}
}

int r3_device_ioeventfd(struct r3_device *dev, unsigned region, uint64_t off,
			uint32_t size, int *out)
{
	int err = check_access(dev, region, off, size, R3_WRITE);

	if (err)
		return err;
	return dev->ops->ioeventfd
		       ? dev->ops->ioeventfd(dev, region, off, size, out)
		       : -EOPNOTSUPP;
}

/* ---- interrupts --------------------------------------------------------- */

const struct r3_device_irq *r3_device_irq(const struct r3_device *dev,
					  unsigned index)
{
	return index < dev->info.irqs ? &dev->irqs[index] : NULL;
}

static bool has_vectors(const struct r3_device *dev, unsigned index,
			unsigned start, unsigned count)
{
	const struct r3_device_irq *irq = r3_device_irq(dev, index);

	return irq && start <= irq->count && count <= irq->count - start;
}

int r3_device_irq_set(struct r3_device *dev, unsigned index, unsigned start,
		      const int *fds, unsigned count)
{
	if (!count || !has_vectors(dev, index, start, count))
		return -EINVAL;
	return dev->ops->irq_set(dev, index, start, fds, count);
}

int r3_device_irq_disable(struct r3_device *dev, unsigned index)
{
	if (!has_vectors(dev, index, 0, 1))
		return -EINVAL;
	return dev->ops->irq_act(dev, index, 0, 0,
				 VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_TRIGGER);
}

int r3_device_irq_mask(struct r3_device *dev, unsigned index, unsigned vector,
		       bool masked)
{
	if (!has_vectors(dev, index, vector, 1))
		return -EINVAL;
	return dev->ops->irq_act(dev, index, vector, 1,
				 VFIO_IRQ_SET_DATA_NONE |
					 (masked ? VFIO_IRQ_SET_ACTION_MASK
						 : VFIO_IRQ_SET_ACTION_UNMASK));
}

int r3_device_irq_trigger(struct r3_device *dev, unsigned index,
			  unsigned vector)
{
	if (!has_vectors(dev, index, vector, 1))
		return -EINVAL;
	return dev->ops->irq_act(dev, index, vector, 1,
				 VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_TRIGGER);
}

int r3_device_event_fd(const struct r3_device *dev)
{
	return dev->event_fd;
}

unsigned r3_device_events(struct r3_device *dev)
{
	return dev->ops->events(dev);
}

/* ---- the whole device --------------------------------------------------- */

int r3_device_reset(struct r3_device *dev)
{
	return dev->info.can_reset ? dev->ops->reset(dev) : -EOPNOTSUPP;
}

int r3_device_feature(struct r3_device *dev, uint16_t feature, bool *get,
		      bool *set)
{
	static const uint32_t ways[] = { VFIO_DEVICE_FEATURE_GET,
					 VFIO_DEVICE_FEATURE_SET };
	bool can[2];
	int err;

	if (!dev->ops->feature)
		return -EOPNOTSUPP;
	err = dev->ops->feature(dev, VFIO_DEVICE_FEATURE_PROBE | feature);
	if (err)
		return err == -ENOTTY ? -EOPNOTSUPP : err;
	for (unsigned i = 0; i < 2; i++)
		can[i] = !dev->ops->feature(dev, VFIO_DEVICE_FEATURE_PROBE |
						 ways[i] | feature);
	if (get)
		*get = can[0];
	if (set)
		*set = can[1];
	return 0;
}

static int set_feature(struct r3_device *dev, uint32_t feature)
{
	int err = dev->ops->feature
			  ? dev->ops->feature(dev, VFIO_DEVICE_FEATURE_SET |
						   feature)
			  : -EOPNOTSUPP;

	return err == -ENOTTY ? -EOPNOTSUPP : err;
}

int r3_device_low_power_enter(struct r3_device *dev)
{
	return set_feature(dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

int r3_device_low_power_exit(struct r3_device *dev)
{
	return set_feature(dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}
