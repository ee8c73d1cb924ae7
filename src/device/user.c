// SPDX-License-Identifier: GPL-2.0-or-later
/* user.c - a device at the other end of a vfio-user socket: the client */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/loop.h"
#include "dev.h"
#include "sock.h"
#include "version.h"

#define USER_FDS	16 /* that we take in one message */
#define USER_STRANGERS	16 /* server's own commands while a reply is due */
#define USER_REPLY_MAX	(64 * 1024)
#define USER_IO_FDS_MAX 256 /* sub-regions of a region looked at */

struct user {
	struct r3_device dev;
	int sock;
	bool lost;
	unsigned timeout_ms;
	uint16_t next_id;
	struct version peer;
	struct {
		int fd;
		uint64_t off;
	} mmap[R3_DEVICE_REGIONS_MAX];
};

/* A command and where its reply goes. */
struct call {
	uint16_t command;
	bool no_reply;
	struct iovec iov[3]; /* [0] is the head's */
	unsigned iov_count;
	const int *fds;
	unsigned fd_count;
	/* the reply's payload, and its fds (the caller's to close) */
	void *reply;
	size_t room, got;
	int *reply_fds; /* room for USER_FDS; NULL: none may come */
	unsigned reply_fd_count;
	int error; /* that the server answered with, negative */
};

static struct user *user_of(struct r3_device *dev)
{
	return R3_CONTAINER(dev, struct user, dev);
}

/* ---- the stream --------------------------------------------------------- */

/* From now on nothing goes in or out, and the event fd says so. */
static int lose(struct user *u, int err)
{
	if (!u->lost) {
		shutdown(u->sock, SHUT_RDWR);
		r3_log(R3_WARN, "device", u->dev.info.name,
		       "vfio-user connection ended: %s; it has to be opened "
		       "anew", strerror(-err));
	}
	u->lost = true;
	return err;
}

static int wait_for(struct user *u, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = u->sock, .events = events };
	uint64_t now;
	int n;

	do {
		now = r3_now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)((deadline - now) / R3_NS_PER_MS) + 1);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int send_all(struct user *u, struct call *c, uint64_t deadline)
{
	struct iovec *iov = c->iov;
	unsigned left = c->iov_count, fds = c->fd_count;

	while (left) {
		ssize_t n = sock_send(u->sock, iov, left, c->fds, fds);
		int err = n == -EAGAIN ? wait_for(u, POLLOUT, deadline) : 0;

		if (err || (n < 0 && n != -EAGAIN))
			return err ? err : -ENOTCONN;
		if (n < 0)
			continue;
		fds = 0;
		while (left && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			left--;
		}
		if (left) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Exactly @len bytes; fds go to @fds, whose number is *@count. */
static int recv_all(struct user *u, void *buf, size_t len, uint64_t deadline,
		    int *fds, unsigned *count)
{
	while (len) {
		unsigned more;
		ssize_t n = sock_recv(u->sock, buf, len, fds + *count,
				      USER_FDS - *count, &more);
		int err = n == -EAGAIN ? wait_for(u, POLLIN, deadline) : 0;

		if (err)
			return err;
		if (n == -EAGAIN)
			continue;
		if (n <= 0)
			return n == -EMFILE ? -EPROTO : -ENOTCONN;
		*count += more;
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

static int skip(struct user *u, size_t len, uint64_t deadline, int *fds,
		unsigned *count)
{
	char bin[256];

	while (len) {
		size_t n = r3_min(len, sizeof(bin));
		int err = recv_all(u, bin, n, deadline, fds, count);

		if (err)
			return err;
		len -= n;
	}
	return 0;
}

/*
 * The server may ask for memory by messages (DMA_READ, DMA_WRITE).  All of
 * ours was given with a file, so there is nothing to answer but an error.
 */
static int refuse(struct user *u, const struct vu_head *head,
		  uint64_t deadline)
{
	struct vu_head reply = *head;
	struct call c = { .iov = { { &reply, sizeof(reply) } },
			  .iov_count = 1 };

	if (r3_get_le32(head->flags) & VU_NO_REPLY)
		return 0;
	reply.size = r3_le32_of(sizeof(reply));
	reply.flags = r3_le32_of(VU_TYPE_REPLY | VU_ERROR);
	reply.error = r3_le32_of(EOPNOTSUPP);
	return send_all(u, &c, deadline);
}

/* One message from the server.  1: it was our reply; 0: something else, dealt
 * with; negative: the connection is spoiled. */
static int receive(struct user *u, struct call *c, uint16_t id,
		   uint64_t deadline, int *fds, unsigned *count)
{
	struct vu_head head;
	uint32_t size, flags;
	int err = recv_all(u, &head, sizeof(head), deadline, fds, count);

	if (err)
		return err;
	size = r3_get_le32(head.size);
	flags = r3_get_le32(head.flags);
	if (size < sizeof(head) || size - sizeof(head) > USER_REPLY_MAX)
		return -EPROTO;
	size -= sizeof(head);
	if ((flags & VU_TYPE_MASK) == VU_TYPE_COMMAND) {
		err = skip(u, size, deadline, fds, count);
		return err ? err : refuse(u, &head, deadline);
	}
	if ((flags & VU_TYPE_MASK) != VU_TYPE_REPLY ||
	    r3_get_le16(head.id) != id ||
	    r3_get_le16(head.command) != c->command)
		return -EPROTO;
	if (flags & VU_ERROR) {
		uint32_t error = r3_get_le32(head.error);

		c->error = error && error < 4096 ? -(int)error : -EIO;
		err = skip(u, size, deadline, fds, count);
		return err ? err : 1;
	}
	if (size > c->room)
		return -EPROTO;
	c->got = size;
	err = recv_all(u, c->reply, size, deadline, fds, count);
	return err ? err : 1;
}

static int wait_reply(struct user *u, struct call *c, uint16_t id,
		      uint64_t deadline)
{
	int fds[USER_FDS];
	unsigned count = 0;
	int done = 0;

	for (unsigned n = 0; !done && n < USER_STRANGERS; n++) {
		sock_close_fds(fds, count);
		count = 0;
		done = receive(u, c, id, deadline, fds, &count);
	}
	if (done == 1 && !c->error && count && c->reply_fds) {
		memcpy(c->reply_fds, fds, count * sizeof(int));
		c->reply_fd_count = count;
	} else {
		sock_close_fds(fds, count);
	}
	return done == 1 ? 0 : done ? done : -EPROTO;
}

static uint64_t reply_deadline(const struct user *u)
{
	uint64_t end = r3_now_ns() + u->timeout_ms * R3_NS_PER_MS;

	return u->dev.deadline_ns ? r3_min(end, u->dev.deadline_ns) : end;
}

/* Return: 0, the server's error, or why the connection has ended. */
static int call(struct user *u, struct call *c)
{
	uint64_t deadline = reply_deadline(u);
	uint16_t id = u->next_id++;
	struct vu_head head = {
		.id = r3_le16_of(id),
		.command = r3_le16_of(c->command),
		.flags = r3_le32_of(c->no_reply ? VU_NO_REPLY : 0),
	};
	size_t size = sizeof(head);
	int err;

	if (u->lost)
		return -ENOTCONN;
	c->iov[0] = (struct iovec){ &head, sizeof(head) };
	if (!c->iov_count)
		c->iov_count = 1;
	for (unsigned i = 1; i < c->iov_count; i++)
		size += c->iov[i].iov_len;
	head.size = r3_le32_of((uint32_t)size);
	err = send_all(u, c, deadline);
	if (!err && !c->no_reply)
		err = wait_reply(u, c, id, deadline);
	if (err)
		return lose(u, err);
	return c->error;
}

/* A command whose payload and reply are one struct each. */
static int simple_call(struct user *u, uint16_t command, void *payload,
		       size_t len, void *reply, size_t reply_len)
{
	struct call c = {
		.command = command,
		.iov = { [1] = { payload, len } }, .iov_count = 2,
		.reply = reply, .room = reply_len,
	};
	int err = call(u, &c);

	if (!err && c.got < reply_len)
		return lose(u, -EPROTO);
	return err;
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
	struct call c = {
		.command = VU_REGION_READ,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = reply, .room = sizeof(q) + len,
	};
	int err;

	if (!reply)
		return -ENOMEM;
	err = call(u, &c);
	if (!err && (c.got != sizeof(q) + len || memcmp(reply, &q, sizeof(q))))
		err = lose(u, -EPROTO);
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
	struct call c = {
		.command = VU_REGION_WRITE, .no_reply = !wait,
		.iov = { [1] = { &q, sizeof(q) }, [2] = { (void *)buf, len } },
		.iov_count = 3,
		.reply = &reply, .room = sizeof(reply),
	};
	int err = call(u, &c);

	if (!err && wait && (c.got != sizeof(q) ||
			     memcmp(&reply, &q, sizeof(q))))
		err = lose(u, -EPROTO);
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
		    (r3_get_le64(sub->size) == size || !r3_get_le64(sub->size)) &&
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
	struct call c = {
		.command = VU_GET_REGION_IO_FDS,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = reply, .room = sizeof(reply), .reply_fds = fds,
	};
	int err = call(u, &c);

	if (err)
		return err == -ENOTCONN || u->lost ? err : -EOPNOTSUPP;
	fd = pick_io_fd(reply, c.got, off, size, fds, c.reply_fd_count);
	sock_close_fds(fds, c.reply_fd_count);
	if (fd == -EPROTO)
		return lose(u, fd);
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
	struct call c = {
		.command = VU_SET_IRQS,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.fds = fds, .fd_count = fd_count,
	};

	return call(u, &c);
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
	struct call c = {
		.command = VU_DMA_MAP,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.fds = &reg->fd, .fd_count = 1,
	};

	if (reg->fd < 0)
		return -EOPNOTSUPP;
	return call(u, &c);
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
	err = simple_call(u, VU_DMA_UNMAP, &q, sizeof(q), &reply,
			  sizeof(reply));
	return u->lost ? 0 : err;
}

static int open_space(struct user *u)
{
	static const struct r3_space_ops ops = {
		.map = user_dma_map, .unmap = user_dma_unmap,
	};
	struct r3_space_limits limits = {
		.page_sizes = u->peer.page_sizes & ~(uint64_t)(R3_PAGE_SIZE - 1),
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
		lose(u, -ENOTCONN);
	return u->lost ? R3_DEVICE_LOST : 0;
}

static int user_reset(struct r3_device *dev)
{
	struct call c = { .command = VU_RESET };

	return call(user_of(dev), &c);
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
	struct call c = {
		.command = VU_VERSION,
		.iov = { [1] = { q, (size_t)len } }, .iov_count = 2,
		.reply = reply, .room = sizeof(reply),
	};
	int err = call(u, &c);

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
	int err = simple_call(u, VU_GET_INFO, &info, sizeof(info), &info,
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
	struct call c = {
		.command = VU_GET_REGION_INFO,
		.iov = { [1] = { &q, sizeof(q) } }, .iov_count = 2,
		.reply = info, .room = sizeof(info), .reply_fds = fds,
	};
	int err = call(u, &c);

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
	int err = simple_call(u, VU_GET_IRQ_INFO, &info, sizeof(info), &info,
			      sizeof(info));

	if (err)
		return err;
	u->dev.irqs[index].count = r3_get_le32(info.count);
	u->dev.irqs[index].flags = r3_get_le32(info.flags);
	return u->dev.irqs[index].count > R3_DEVICE_VECTORS_MAX ? -EPROTO : 0;
}

static int come_up(struct user *u)
{
	int err;

	u->dev.deadline_ns = reply_deadline(u);
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
