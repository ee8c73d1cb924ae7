// SPDX-License-Identifier: GPL-2.0-or-later
/* vfio.c - a device on Linux VFIO: the driver's half */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dev.h"

enum { TAG_ERROR, TAG_WANTED };

struct vfio {
	struct r3_device dev;
	int fd; /* the caller's */
	int event[2]; /* by tag; -1: the device has none */
	bool gone; /* a mapped region has */
	uint64_t at[R3_DEVICE_REGIONS_MAX]; /* of each region in fd */
	unsigned active[R3_DEVICE_IRQS_MAX]; /* vectors set, from 0 */
	/* of the largest set of eventfds, so that setting them allocates
	 * nothing */
	uint8_t irq_set[sizeof(struct vfio_irq_set) +
			R3_DEVICE_VECTORS_MAX * sizeof(int32_t)]
		__attribute__((aligned(8)));
};

static struct vfio *vfio_of(struct r3_device *dev)
{
	return R3_CONTAINER(dev, struct vfio, dev);
}

/* ---- regions ------------------------------------------------------------ */

static int done(ssize_t n, size_t len)
{
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int vfio_read(struct r3_device *dev, unsigned region, uint64_t off,
		     void *buf, size_t len)
{
	struct vfio *v = vfio_of(dev);

	return done(pread(v->fd, buf, len, (off_t)(v->at[region] + off)), len);
}

static int vfio_write(struct r3_device *dev, unsigned region, uint64_t off,
		      const void *buf, size_t len, bool wait)
{
	struct vfio *v = vfio_of(dev);

	(void)wait;
	return done(pwrite(v->fd, buf, len, (off_t)(v->at[region] + off)),
		    len);
}

static int vfio_map_at(struct r3_device *dev, unsigned region, uint64_t off,
		       int *fd, uint64_t *fd_off)
{
	struct vfio *v = vfio_of(dev);

	*fd = v->fd;
	*fd_off = v->at[region] + off;
	return 0;
}

/* ---- interrupts --------------------------------------------------------- */

static int vfio_irq_act(struct r3_device *dev, unsigned index, unsigned start,
			unsigned count, uint32_t flags)
{
	struct vfio *v = vfio_of(dev);
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .flags = flags, .index = index,
		.start = start, .count = count,
	};
	bool off = !count && (flags & VFIO_IRQ_SET_ACTION_TRIGGER);

	if (off && !v->active[index])
		return 0; /* Linux says -EINVAL */
	if (ioctl(v->fd, VFIO_DEVICE_SET_IRQS, &set))
		return -errno;
	if (off)
		v->active[index] = 0;
	return 0;
}

/*
 * Before Linux 6.5 MSI-X can't get more vectors while it is enabled, so a set
 * from vector 0 that is larger than before begins with disabling.
 */
static int vfio_irq_set(struct r3_device *dev, unsigned index, unsigned start,
			const int *fds, unsigned count)
{
	struct vfio *v = vfio_of(dev);
	struct vfio_irq_set *set = (struct vfio_irq_set *)v->irq_set;
	int err = 0;

	if (!start && v->active[index] && count > v->active[index])
		err = r3_device_irq_disable(dev, index);
	if (err)
		return err;
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(*set) + count * sizeof(int32_t)),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			 VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index, .start = start, .count = count,
	};
	memcpy(set->data, fds, count * sizeof(int32_t));
	if (ioctl(v->fd, VFIO_DEVICE_SET_IRQS, set))
		return -errno;
	v->active[index] = (unsigned)r3_max(v->active[index], start + count);
	return 0;
}

/* ---- the whole device --------------------------------------------------- */

static unsigned vfio_events(struct r3_device *dev)
{
	struct vfio *v = vfio_of(dev);
	struct epoll_event ev[3];
	int n = epoll_wait(dev->event_fd, ev, 3, 0);
	unsigned events = 0;

	for (int i = 0; i < n; i++) {
		unsigned tag = ev[i].data.u32;
		uint64_t count;

		if (tag == DEVICE_TAG_GUARD)
			v->gone = true;
		else if (read(v->event[tag], &count, sizeof(count)) > 0)
			events |= tag == TAG_ERROR ? R3_DEVICE_ERROR
						   : R3_DEVICE_WANTED;
	}
	return events | (v->gone ? R3_DEVICE_LOST : 0);
}

static int vfio_reset(struct r3_device *dev)
{
	return ioctl(vfio_of(dev)->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

static int vfio_feature(struct r3_device *dev, uint32_t flags)
{
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };

	return ioctl(vfio_of(dev)->fd, VFIO_DEVICE_FEATURE, &f) ? -errno : 0;
}

static void vfio_close(struct r3_device *dev)
{
	struct vfio *v = vfio_of(dev);

	for (unsigned i = 0; i < dev->info.irqs; i++)
		if (v->active[i])
			r3_device_irq_disable(dev, i);
	device_fini(dev);
	for (unsigned i = 0; i < 2; i++)
		if (v->event[i] >= 0)
			close(v->event[i]);
	free(v);
}

static const struct device_ops vfio_ops = {
	.close = vfio_close,
	.read = vfio_read,
	.write = vfio_write,
	.map_at = vfio_map_at,
	.irq_set = vfio_irq_set,
	.irq_act = vfio_irq_act,
	.events = vfio_events,
	.reset = vfio_reset,
	.feature = vfio_feature,
};

/* ---- coming up ---------------------------------------------------------- */

static int read_info(struct vfio *v)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct r3_device_info *out = &v->dev.info;

	if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info))
		return -errno;
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return -EOPNOTSUPP;
	out->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	out->regions = (unsigned)r3_min(info.num_regions,
					R3_DEVICE_REGIONS_MAX);
	out->irqs = (unsigned)r3_min(info.num_irqs, R3_DEVICE_IRQS_MAX);
	return out->regions > VFIO_PCI_CONFIG_REGION_INDEX ? 0 : -EPROTO;
}

/* VGA and ROM regions that a device has not: -EINVAL, size 0. */
static int read_region(struct vfio *v, unsigned index)
{
	union {
		struct vfio_region_info info;
		uint8_t bytes[DEVICE_INFO_MAX];
	} u = { .info = { .argsz = sizeof(u), .index = index } };

	if (ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, &u.info))
		return errno == EINVAL ? 0 : -errno;
	return device_parse_region(u.bytes,
				   r3_min(u.info.argsz, sizeof(u)),
				   &v->dev.regions[index], &v->at[index]);
}

static int read_irq(struct vfio *v, unsigned index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return errno == EINVAL ? 0 : -errno;
	v->dev.irqs[index].count = info.count;
	v->dev.irqs[index].flags = info.flags;
	return info.count > R3_DEVICE_VECTORS_MAX ? -EPROTO : 0;
}

/* Without them an uncorrected error goes unseen, and whoever unbinds the
 * device waits for us while we know nothing of it. */
static int arm_event(struct vfio *v, unsigned index, unsigned tag)
{
	const struct r3_device_irq *irq = r3_device_irq(&v->dev, index);
	int err;

	if (!irq || !irq->count)
		return 0;
	v->event[tag] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->event[tag] < 0)
		return -errno;
	err = r3_device_irq_set(&v->dev, index, 0, &v->event[tag], 1);
	return err ? err : device_add_event(&v->dev, v->event[tag], EPOLLIN,
					    tag);
}

static int come_up(struct vfio *v, int container)
{
	int err = read_info(v);

	for (unsigned i = 0; !err && i < v->dev.info.regions; i++)
		err = read_region(v, i);
	for (unsigned i = 0; !err && i < v->dev.info.irqs; i++)
		err = read_irq(v, i);
	if (!err)
		err = r3_device_bus_master(&v->dev, false);
	if (!err)
		err = r3_space_open_type1(&v->dev.space, container);
	if (!err)
		err = arm_event(v, VFIO_PCI_ERR_IRQ_INDEX, TAG_ERROR);
	if (!err)
		err = arm_event(v, VFIO_PCI_REQ_IRQ_INDEX, TAG_WANTED);
	return err;
}

int r3_device_open_vfio(struct r3_device **out, const struct r3_vfio_fds *fds,
			const char *name)
{
	struct vfio *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	v->fd = fds->device;
	v->event[TAG_ERROR] = v->event[TAG_WANTED] = -1;
	err = device_init(&v->dev, &vfio_ops, "vfio", name);
	if (!err)
		err = come_up(v, fds->container);
	if (err) {
		r3_space_free(v->dev.space);
		vfio_close(&v->dev);
		return err;
	}
	*out = &v->dev;
	return 0;
}
