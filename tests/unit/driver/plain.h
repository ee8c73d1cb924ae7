/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plain.h - of src/device, what a device has that is nothing but registers
 *
 * Stands in for it at link time; the rest is made by whoever includes this:
 * read and write, events, reset, bus master, close, and the space's functions.
 */
#ifndef TEST_DRIVER_PLAIN_H
#define TEST_DRIVER_PLAIN_H

#include "nvme.h"

int r3_device_post(struct r3_device *dev, unsigned region, uint64_t off,
		   const void *buf, size_t len)
{
	return r3_device_write(dev, region, off, buf, len);
}

const struct r3_device_info *r3_device_info(const struct r3_device *dev)
{
	static const struct r3_device_info info = { .backend = "vfio-user" };

	(void)dev;
	return &info;
}

const struct r3_device_region *r3_device_region(const struct r3_device *dev,
						unsigned index)
{
	(void)dev;
	(void)index;
	return NULL;
}

int r3_device_map_region(struct r3_device *dev, unsigned region, uint64_t off,
			 uint64_t len, int prot, volatile void **out)
{
	(void)dev, (void)region, (void)off, (void)len, (void)prot, (void)out;
	return -EOPNOTSUPP;
}

int r3_device_ioeventfd(struct r3_device *dev, unsigned region, uint64_t off,
			uint32_t size, int *out)
{
	(void)dev, (void)region, (void)off, (void)size, (void)out;
	return -EOPNOTSUPP;
}

const struct r3_device_irq *r3_device_irq(const struct r3_device *dev,
					  unsigned index)
{
	(void)dev, (void)index;
	return NULL;
}

int r3_device_irq_set(struct r3_device *dev, unsigned index, unsigned start,
		      const int *fds, unsigned count)
{
	(void)dev, (void)index, (void)start, (void)fds, (void)count;
	return 0;
}

struct r3_space *r3_device_space(struct r3_device *dev)
{
	(void)dev;
	return NULL;
}

#endif
