// SPDX-License-Identifier: GPL-2.0-or-later
/* user.c - a device at the other end of a vfio-user socket: the client */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ring3/loop.h"
#include "sock.h"
#include "user.h"

#define USER_IO_FDS_MAX 256 /* sub-regions of a region looked at */

static struct user *user_of(struct r3_device *dev)
{
	return R3_CONTAINER(dev, struct user, dev);
}

/* ---- access ------------------------------------------------------------- */

static size_t chunk(const struct user *u, size_t len)
{
	size_t max = r3_min(u->peer.max_xfer,
			    USER_REPLY_MAX - sizeof(struct vu_access));

	return r3_min(len, max);
}

static int read_some(struct user *u, unsigned region, uint64_t off, void *buf,
		     size_t len)
{
	struct vu_access q = { r3_le64_of(off), r3_le32_of(region),
			       r3_le32_of((uint32_t)len) };
	struct {
		struct vu_access head;
		uint8_t data[64];
	} small;
	bool big = len > sizeof(small.data);
	uint8_t *reply = big ? malloc(sizeof(q) + len) : (uint8_t *)&small;
	struct user_call c = {
		.command = VU_REGION_READ,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = reply, .room = sizeof(q) + len,
	};
	int err;

	if (!reply)
		return -ENOMEM;
	err = user_call(u, &c);
	if (!err && (c.got != sizeof(q) + len || memcmp(reply, &q, sizeof(q))))
		err = user_lose(u, -EPROTO);
	if (!err)
		memcpy(buf, reply + sizeof(q), len);
	if (big)
		free(reply);
	return err;
}

static int user_read(struct r3_device *dev, unsigned region, uint64_t off,
		     void *buf, size_t len)
{
	struct user *u = user_of(dev);

	while (len) {
		size_t n = chunk(u, len);
		int err = read_some(u, region, off, buf, n);

		if (err)
			return err;
		off += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}

static int write_some(struct user *u, unsigned region, uint64_t off,
		      const void *buf, size_t len, bool wait)
{
	struct vu_access reply, q = { r3_le64_of(off), r3_le32_of(region),
				      r3_le32_of((uint32_t)len) };
	struct user_call c = {
		.command = VU_REGION_WRITE, .no_reply = !wait,
		.iov = { [1] = { &q, sizeof(q) }, [2] = { (void *)buf, len } },
		.iov_count = 3,
		.reply = &reply, .room = sizeof(reply),
	};
	int err = user_call(u, &c);

	if (!err && wait && (c.got != sizeof(q) ||
			     memcmp(&reply, &q, sizeof(q))))
		err = user_lose(u, -EPROTO);
	return err;
}

static int user_write(struct r3_device *dev, unsigned region, uint64_t off,
		      const void *buf, size_t len, bool wait)
{
	struct user *u = user_of(dev);

	while (len) {
		size_t n = chunk(u, len);
		int err = write_some(u, region, off, buf, n, wait);

		if (err)
			return err;
		off += n;
		buf = (const char *)buf + n;
		len -= n;
	}
	return 0;
}

static int user_map_at(struct r3_device *dev, unsigned region, uint64_t off,
		       int *fd, uint64_t *fd_off)
{
	struct user *u = user_of(dev);

	if (u->lost)
		return -ENOTCONN;
	if (u->mmap[region].fd < 0)
		return -EOPNOTSUPP;
	*fd = u->mmap[region].fd;
	*fd_off = u->mmap[region].off + off;
	return 0;
}

/* The sub-region for the register among the reply's. */
static int pick_io_fd(const uint8_t *reply, size_t got, uint64_t off,
		      uint32_t size, const int *fds, unsigned fd_count)
{
	struct r3_span s = { reply, got };
	const struct vu_io_fds *head = r3_take(&s, sizeof(*head));
	const struct vu_io_fd *sub;

	if (!head)
		return -EPROTO;
	for (uint32_t n = r3_get_le32(head->count); n; n--) {
		sub = r3_take(&s, sizeof(*sub));
		if (!sub || r3_get_le32(sub->fd_index) >= fd_count)
			return -EPROTO;
		if (r3_get_le64(sub->offset) == off &&
		    (r3_get_le64(sub->size) == size ||
		     !r3_get_le64(sub->size)) &&
		    r3_get_le32(sub->type) == VU_IO_EVENTFD &&
		    !r3_get_le32(sub->flags)) {
			int fd = fds[r3_get_le32(sub->fd_index)];

			if (!r3_is_eventfd(fd))
				return -EPROTO;
			fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
			return fd < 0 ? -errno : fd;
		}
	}
	return -EOPNOTSUPP;
}

static int user_ioeventfd(struct r3_device *dev, unsigned region,
			  uint64_t off, uint32_t size, int *out)
{
	struct user *u = user_of(dev);
	uint8_t reply[sizeof(struct vu_io_fds) +
		      USER_IO_FDS_MAX * sizeof(struct vu_io_fd)];
	struct vu_io_fds q = { .argsz = r3_le32_of(sizeof(reply)),
			       .index = r3_le32_of(region) };
	int fds[USER_FDS], fd;
	struct user_call c = {
		.command = VU_GET_REGION_IO_FDS,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = reply, .room = sizeof(reply), .reply_fds = fds,
	};
	int err = user_call(u, &c);

	if (err)
		return err == -ENOTCONN || u->lost ? err : -EOPNOTSUPP;
	fd = pick_io_fd(reply, c.got, off, size, fds, c.reply_fd_count);
	sock_close_fds(fds, c.reply_fd_count);
	if (fd == -EPROTO)
		return user_lose(u, fd);
	if (fd < 0)
		return fd;
	*out = fd;
	return 0;
}

/* ---- interrupts --------------------------------------------------------- */

static int set_irqs(struct user *u, unsigned index, unsigned start,
		    unsigned count, uint32_t flags, const int *fds,
		    unsigned fd_count)
{
	struct vu_irq_set q = {
		.argsz = r3_le32_of(sizeof(q)),
		.flags = r3_le32_of(flags),
		.index = r3_le32_of(index),
		.start = r3_le32_of(start),
		.count = r3_le32_of(count),
	};
	struct user_call c = {
		.command = VU_SET_IRQS,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.fds = fds, .fd_count = fd_count,
	};

	return user_call(u, &c);
}

/* Runs of vectors with fds, as many at once as the server takes; and runs
 * without, which take away. */
static int user_irq_set(struct r3_device *dev, unsigned index, unsigned start,
			const int *fds, unsigned count)
{
	struct user *u = user_of(dev);
	unsigned max = (unsigned)r3_min(u->peer.max_fds, VU_LIMIT_FDS);

	for (unsigned i = 0; i < count;) {
		bool set = fds[i] >= 0;
		unsigned n = 1;
		int err;

		if (set && !max)
			return -EOPNOTSUPP;
		while (i + n < count && (fds[i + n] >= 0) == set &&
		       (!set || n < max))
			n++;
		err = set_irqs(u, index, start + i, n,
			       VFIO_IRQ_SET_DATA_EVENTFD |
				       VFIO_IRQ_SET_ACTION_TRIGGER,
			       fds + i, set ? n : 0);
		if (err)
			return err;
		i += n;
	}
	return 0;
}

static int user_irq_act(struct r3_device *dev, unsigned index, unsigned start,
			unsigned count, uint32_t flags)
{
	return set_irqs(user_of(dev), index, start, count, flags, NULL, 0);
}

/* ---- memory ------------------------------------------------------------- */

static int user_dma_map(void *ctx, const struct r3_region *reg)
{
	struct user *u = ctx;
	struct vu_dma_map q = {
		.argsz = r3_le32_of(sizeof(q)),
		.flags = r3_le32_of((reg->prot & R3_READ ? VU_MAP_READ : 0) |
				    (reg->prot & R3_WRITE ? VU_MAP_WRITE : 0)),
		.offset = r3_le64_of(reg->off),
		.addr = r3_le64_of(reg->addr),
		.size = r3_le64_of(reg->len),
	};
	struct user_call c = {
		.command = VU_DMA_MAP,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.fds = &reg->fd, .fd_count = 1,
	};

	if (reg->fd < 0)
		return -EOPNOTSUPP;
	return user_call(u, &c);
}

/* A server that is gone has dropped everything: that is a success. */
static int user_dma_unmap(void *ctx, const struct r3_region *reg)
{
	struct user *u = ctx;
	struct vu_dma_unmap reply, q = {
		.argsz = r3_le32_of(sizeof(q)),
		.addr = r3_le64_of(reg->addr),
		.size = r3_le64_of(reg->len),
	};
	int err;

	if (u->lost)
		return 0;
	err = user_call_simple(u, VU_DMA_UNMAP, &q, sizeof(q), &reply,
			       sizeof(reply));
	return u->lost ? 0 : err;
}

static int open_space(struct user *u)
{
	static const struct r3_space_ops ops = {
		.map = user_dma_map, .unmap = user_dma_unmap,
	};
	struct r3_space_limits limits = {
		.page_sizes = u->peer.page_sizes &
			      ~(uint64_t)(R3_PAGE_SIZE - 1),
		.max_maps = u->peer.max_maps,
		.range_count = 1,
		.ranges = { { 0, UINT64_MAX } },
	};

	if (!limits.page_sizes)
		return -EPROTO;
	return r3_space_new(&u->dev.space, &ops, u, &limits);
}

/* ---- the whole device --------------------------------------------------- */

static unsigned user_events(struct r3_device *dev)
{
	struct user *u = user_of(dev);
	struct epoll_event ev;

	if (!u->lost && epoll_wait(dev->event_fd, &ev, 1, 0) > 0)
		user_lose(u, -ENOTCONN);
	return u->lost ? R3_DEVICE_LOST : 0;
}

static int user_reset(struct r3_device *dev)
{
	struct user_call c = { .command = VU_RESET };

	return user_call(user_of(dev), &c);
}

static void user_close(struct r3_device *dev)
{
	struct user *u = user_of(dev);

	device_fini(dev);
	for (unsigned i = 0; i < R3_DEVICE_REGIONS_MAX; i++)
		if (u->mmap[i].fd >= 0)
			close(u->mmap[i].fd);
	close(u->sock);
	free(u);
}

static const struct device_ops user_ops = {
	.close = user_close,
	.read = user_read,
	.write = user_write,
	.map_at = user_map_at,
	.ioeventfd = user_ioeventfd,
	.irq_set = user_irq_set,
	.irq_act = user_irq_act,
	.events = user_events,
	.reset = user_reset,
};

/* ---- coming up ---------------------------------------------------------- */

static int agree_version(struct user *u)
{
	struct version mine = {
		.major = VU_MAJOR, .minor = VU_MINOR,
		.max_fds = USER_FDS,
		.max_xfer = USER_REPLY_MAX - sizeof(struct vu_access),
		.max_maps = VU_DEFAULT_MAPS,
		.page_sizes = R3_PAGE_SIZE,
	};
	uint8_t q[512], reply[sizeof(struct vu_version) + VU_VERSION_DATA_MAX];
	ssize_t len = version_build(&mine, q, sizeof(q));
	struct user_call c = {
		.command = VU_VERSION,
		.iov = { [1] = { q, (size_t)len } }, .iov_count = 2,
		.reply = reply, .room = sizeof(reply),
	};
	int err = user_call(u, &c);

	if (err)
		return err;
	err = version_parse(reply, c.got, &u->peer);
	if (err || u->peer.major != VU_MAJOR || u->peer.minor > VU_MINOR)
		return -EPROTO;
	return 0;
}

static int read_info(struct user *u)
{
	struct vu_info info = { .argsz = r3_le32_of(sizeof(info)) };
	struct r3_device_info *out = &u->dev.info;
	uint32_t flags;
	int err = user_call_simple(u, VU_GET_INFO, &info, sizeof(info), &info,
				   sizeof(info));

	if (err)
		return err;
	flags = r3_get_le32(info.flags);
	if (!(flags & VFIO_DEVICE_FLAGS_PCI))
		return -EOPNOTSUPP;
	out->can_reset = flags & VFIO_DEVICE_FLAGS_RESET;
	/* Those over our maximum are device specific: left alone. */
	out->regions = (unsigned)r3_min(r3_get_le32(info.regions),
					R3_DEVICE_REGIONS_MAX);
	out->irqs = (unsigned)r3_min(r3_get_le32(info.irqs),
				     R3_DEVICE_IRQS_MAX);
	if (out->regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return -EPROTO;
	return 0;
}

static int read_region(struct user *u, unsigned index)
{
	uint8_t info[DEVICE_INFO_MAX];
	struct vu_region_info q = { .argsz = r3_le32_of(sizeof(info)),
				    .index = r3_le32_of(index) };
	struct r3_device_region *reg = &u->dev.regions[index];
	int fds[USER_FDS];
	struct user_call c = {
		.command = VU_GET_REGION_INFO,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = info, .room = sizeof(info), .reply_fds = fds,
	};
	int err = user_call(u, &c);

	if (err)
		return err;
	err = device_parse_region(info, c.got, reg, &u->mmap[index].off);
	if (!err && reg->area_count && c.reply_fd_count) {
		u->mmap[index].fd = fds[0];
		fds[0] = -1;
	} else {
		reg->area_count = 0;
	}
	sock_close_fds(fds, c.reply_fd_count);
	return err;
}

static int read_irq(struct user *u, unsigned index)
{
	struct vu_irq_info info = { .argsz = r3_le32_of(sizeof(info)),
				    .index = r3_le32_of(index) };
	int err = user_call_simple(u, VU_GET_IRQ_INFO, &info, sizeof(info),
				   &info, sizeof(info));

	if (err)
		return err;
	u->dev.irqs[index].count = r3_get_le32(info.count);
	u->dev.irqs[index].flags = r3_get_le32(info.flags);
	return u->dev.irqs[index].count > R3_DEVICE_VECTORS_MAX ? -EPROTO : 0;
}

static int come_up(struct user *u)
{
	int err;

	u->dev.deadline_ns = user_deadline(u);
	err = agree_version(u);
	if (!err)
		err = read_info(u);
	for (unsigned i = 0; !err && i < u->dev.info.regions; i++)
		err = read_region(u, i);
	for (unsigned i = 0; !err && i < u->dev.info.irqs; i++)
		err = read_irq(u, i);
	u->dev.deadline_ns = 0;
	return err ? err : open_space(u);
}

int r3_device_open_vfio_user(struct r3_device **out, int sock,
			     const char *name, unsigned timeout_ms)
{
	struct user *u = calloc(1, sizeof(*u));
	int err;

	if (!u) {
		close(sock);
		return -ENOMEM;
	}
	u->sock = sock;
	u->timeout_ms = timeout_ms ? timeout_ms : R3_DEVICE_TIMEOUT_MS;
	for (unsigned i = 0; i < R3_DEVICE_REGIONS_MAX; i++)
		u->mmap[i].fd = -1;
	err = device_init(&u->dev, &user_ops, "vfio-user", name);
	if (!err)
		err = device_add_event(&u->dev, sock, EPOLLRDHUP, 0);
	if (!err)
		err = come_up(u);
	if (err) {
		user_close(&u->dev);
		return err;
	}
	*out = &u->dev;
	return 0;
}
