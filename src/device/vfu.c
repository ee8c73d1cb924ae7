// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu.c - the vfio-user server: its connection, its stream, its commands */
#include <jansson.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sock.h"
#include "vfu.h"

static void on_connection(void *arg, uint32_t events);
static void on_again(void *arg);
static void on_deadline(void *arg);

static bool armed(const struct r3_timer *t)
{
	return t->next != NULL;
}

/* ---- one client at a time ----------------------------------------------- */

static void on_listen(void *arg, uint32_t events);

static void accept_more(struct r3_vfu *v, bool on)
{
	if (!v->listening || v->accepting == on)
		return;
	if (!r3_loop_rewatch(v->loop, &v->listen, on ? EPOLLIN : 0))
		v->accepting = on;
}

int r3_vfu_attach(struct r3_vfu *v, int fd)
{
	int err;

	if (v->state != VFU_LISTEN)
		return -EBUSY;
	err = r3_loop_watch(v->loop, &v->conn, fd, EPOLLIN, on_connection, v);
	if (err)
		return err;
	v->state = VFU_HELLO;
	v->rx_len = v->rx_at = v->tx_len = v->tx_done = 0;
	v->fd_count = v->tx_fd_count = 0;
	v->writing = v->drop = false;
	v->drop_why = NULL;
	v->stats.clients++;
	accept_more(v, false);
	r3_timer_set(v->loop, &v->deadline, VFU_HELLO_MS * R3_NS_PER_MS,
		     on_deadline, v);
	return 0;
}

static void on_listen(void *arg, uint32_t events)
{
	struct r3_vfu *v = arg;
	int fd = accept4(v->listen.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (r3_vfu_attach(v, fd))
		close(fd);
}

int r3_vfu_listen(struct r3_vfu *v, int fd)
{
	int err;

	if (v->listening)
		return -EBUSY;
	err = r3_loop_watch(v->loop, &v->listen, fd,
			    v->state == VFU_LISTEN ? EPOLLIN : 0, on_listen,
			    v);
	if (err)
		return err;
	v->listening = true;
	v->accepting = v->state == VFU_LISTEN;
	return 0;
}

bool r3_vfu_attached(const struct r3_vfu *v)
{
	return v->state == VFU_READY;
}

bool vfu_may_log(struct vfu_tokens *t)
{
	uint64_t now = r3_now_ns(), back = (now - t->at_ns) / R3_NS_PER_S;

	if (back) {
		t->used -= (unsigned)r3_min(t->used, back);
		t->at_ns = now;
	}
	if (t->used == VFU_LOG_BURST)
		return false;
	t->used++;
	return true;
}

/* The client's memory and eventfds go, the device's state stays. */
static void detach(struct r3_vfu *v)
{
	bool was_ready = v->state == VFU_READY;
	const char *why = v->drop_why;
	int fd = v->conn.fd;
	eventfd_t n;

	r3_loop_unwatch(v->loop, &v->conn);
	close(fd);
	r3_timer_cancel(&v->deadline);
	r3_timer_cancel(&v->again);
	sock_close_fds(v->fds, v->fd_count);
	v->fd_count = 0;
	v->drop_why = NULL;
	v->state = VFU_LISTEN;
	vfu_irqs_drop(v);
	vfu_dma_drop(v);
	/* what it truncated is not the next one's fault */
	if (v->guard_fd >= 0)
		eventfd_read(v->guard_fd, &n);
	if (was_ready && v->ops->detached)
		v->ops->detached(v->ctx);
	if (why) {
		v->stats.refused++;
		if (vfu_may_log(&v->refuse_log))
			r3_log(R3_WARN, "vfio-user", v->desc.name, "client "
			       "cut off: %s; look at the client refused=%llu",
			       why, (unsigned long long)v->stats.refused);
	}
	accept_more(v, v->state == VFU_LISTEN);
}

/* Also from inside a callback: then it happens when that is over. */
static void cut_off(struct r3_vfu *v, const char *why)
{
	if (v->state == VFU_LISTEN)
		return;
	if (!v->drop)
		v->drop_why = why;
	v->drop = true;
	if (!v->busy)
		detach(v);
}

void r3_vfu_drop(struct r3_vfu *v)
{
	cut_off(v, NULL);
}

static void on_deadline(void *arg)
{
	struct r3_vfu *v = arg;

	cut_off(v, v->state == VFU_HELLO ? "no version within 5 s"
					 : "half a message for 5 s");
}

/* ---- sending ------------------------------------------------------------ */

static int want_write(struct r3_vfu *v, bool on)
{
	int err = 0;

	if (v->writing != on)
		err = r3_loop_rewatch(v->loop, &v->conn,
				      on ? EPOLLOUT : EPOLLIN);
	v->writing = on;
	return err;
}

/* While a reply waits for room, no further command is read: a client that
 * doesn't read its replies holds up only itself. */
static int flush(struct r3_vfu *v)
{
	while (v->tx_done < v->tx_len) {
		struct iovec iov = { v->tx + v->tx_done,
				     v->tx_len - v->tx_done };
		ssize_t n = sock_send(v->conn.fd, &iov, 1, v->tx_fds,
				      v->tx_fd_count);

		if (n == -EAGAIN)
			return want_write(v, true);
		if (n < 0)
			return (int)n;
		v->tx_fd_count = 0;
		v->tx_done += (size_t)n;
	}
	v->tx_len = v->tx_done = 0;
	return want_write(v, false);
}

static int send_reply(struct r3_vfu *v, const struct vu_head *head,
		      const struct vfu_req *r, int result)
{
	size_t payload = result ? 0 : r->out.len;
	struct vu_head reply = {
		.id = head->id,
		.command = head->command,
		.size = r3_le32_of((uint32_t)(sizeof(reply) + payload)),
		.flags = r3_le32_of(VU_TYPE_REPLY | (result ? VU_ERROR : 0)),
		.error = r3_le32_of((uint32_t)-result),
	};

	memcpy(v->tx, &reply, sizeof(reply));
	v->tx_len = sizeof(reply) + payload;
	v->tx_done = 0;
	v->tx_fd_count = result ? 0 : r->out.fd_count;
	memcpy(v->tx_fds, r->out.fds, v->tx_fd_count * sizeof(int));
	return flush(v);
}

/* ---- commands ----------------------------------------------------------- */

static int hello(struct r3_vfu *v, struct vfu_req *r)
{
	struct version peer, mine = {
		.major = VU_MAJOR,
		.max_fds = R3_VFU_MSG_FDS,
		.max_xfer = R3_VFU_XFER_MAX,
		.max_maps = R3_VFU_MAPS_MAX,
		.page_sizes = R3_PAGE_SIZE,
	};
	ssize_t len;
	int err = version_parse(r->p, r->len, &peer);

	if (!err && peer.major != VU_MAJOR)
		err = -EINVAL;
	if (!err && r->fd_count)
		err = -EINVAL;
	if (err) {
		r->hang_up = true;
		return err;
	}
	mine.minor = (uint16_t)r3_min(peer.minor, VU_MINOR);
	mine.write_multi = peer.write_multi;
	len = version_build(&mine, r->out.p, r->out.room);
	if (len < 0)
		return (int)len;
	r->out.len = (size_t)len;
	v->peer = peer;
	v->state = VFU_READY;
	r3_timer_cancel(&v->deadline);
	if (v->ops->attached)
		v->ops->attached(v->ctx);
	return 0;
}

static int not_supported(struct r3_vfu *v, struct vfu_req *r)
{
	(void)v;
	(void)r;
	return -EOPNOTSUPP;
}

/* What may come in which state; no entry: -EINVAL, before the version also
 * the end of the connection. */
static const struct {
	vfu_command *fn[VFU_STATES];
	bool fds; /* may come with file descriptors */
} commands[VU_COMMANDS] = {
	[VU_VERSION] = { .fn = { [VFU_HELLO] = hello } },
	[VU_DMA_MAP] = { .fn = { [VFU_READY] = vfu_dma_map }, .fds = true },
	[VU_DMA_UNMAP] = { .fn = { [VFU_READY] = vfu_dma_unmap } },
	[VU_GET_INFO] = { .fn = { [VFU_READY] = vfu_info } },
	[VU_GET_REGION_INFO] = { .fn = { [VFU_READY] = vfu_region_info } },
	[VU_GET_REGION_IO_FDS] = { .fn = { [VFU_READY] = vfu_region_io_fds } },
	[VU_GET_IRQ_INFO] = { .fn = { [VFU_READY] = vfu_irq_info } },
	[VU_SET_IRQS] = { .fn = { [VFU_READY] = vfu_set_irqs }, .fds = true },
	[VU_REGION_READ] = { .fn = { [VFU_READY] = vfu_region_read } },
	[VU_REGION_WRITE] = { .fn = { [VFU_READY] = vfu_region_write } },
	[VU_RESET] = { .fn = { [VFU_READY] = vfu_reset } },
	[VU_REGION_WRITE_MULTI] = { .fn = { [VFU_READY] = vfu_write_multi } },
	[VU_DEVICE_FEATURE] = { .fn = { [VFU_READY] = not_supported } },
	[VU_MIG_DATA_READ] = { .fn = { [VFU_READY] = not_supported } },
	[VU_MIG_DATA_WRITE] = { .fn = { [VFU_READY] = not_supported } },
};

static int run_command(struct r3_vfu *v, const struct vu_head *head,
		       struct vfu_req *r)
{
	uint16_t command = r3_get_le16(head->command);
	vfu_command *fn = command < VU_COMMANDS
				  ? commands[command].fn[v->state] : NULL;

	if (!fn) {
		r->hang_up = v->state == VFU_HELLO;
		return -EINVAL;
	}
	if (r3_get_le32(head->flags) & VU_ERROR)
		return -EINVAL;
	if (r->fd_count && !commands[command].fds)
		return -EINVAL;
	return fn(v, r);
}

/* 0, or a negative errno: the end of the connection. */
static int handle(struct r3_vfu *v, const struct vu_head *head,
		  const uint8_t *payload, size_t len)
{
	struct vfu_req r = { .p = payload, .len = len, .fds = v->fds };
	int result;

	if (v->fd_count && v->fds_at == v->rx_at)
		r.fd_count = v->fd_count;
	r.out.p = v->tx + sizeof(*head);
	r.out.room = sizeof(v->tx) - sizeof(*head);
	result = run_command(v, head, &r);
	if (r.fd_count) {
		sock_close_fds(v->fds, r.fd_count);
		v->fd_count = 0;
	}
	v->stats.requests++;
	v->stats.errors += result != 0;
	if (!(r3_get_le32(head->flags) & VU_NO_REPLY))
		result = send_reply(v, head, &r, result);
	else
		result = 0;
	if (r.hang_up && !v->drop) {
		v->drop_why = "wrong first message";
		v->drop = true;
	}
	return result;
}

/* ---- the stream --------------------------------------------------------- */

/* The next message in rx: its size when all of it is there, 0 when more has to
 * come, -EPROTO when the stream makes no sense. */
static ssize_t next_message(const struct r3_vfu *v, struct vu_head *head)
{
	uint32_t size;

	if (v->rx_len - v->rx_at < sizeof(*head))
		return 0;
	memcpy(head, v->rx + v->rx_at, sizeof(*head));
	size = r3_get_le32(head->size);
	if (size < sizeof(*head) || size > sizeof(v->rx) ||
	    (r3_get_le32(head->flags) & VU_TYPE_MASK) != VU_TYPE_COMMAND)
		return -EPROTO;
	return v->rx_len - v->rx_at < size ? 0 : (ssize_t)size;
}

/* What was handled makes room. */
static void compact(struct r3_vfu *v)
{
	v->rx_len -= v->rx_at;
	memmove(v->rx, v->rx + v->rx_at, v->rx_len);
	v->fds_at -= r3_min(v->fds_at, v->rx_at);
	v->rx_at = 0;
}

static int handle_all(struct r3_vfu *v)
{
	struct vu_head head;
	unsigned n = 0;
	ssize_t size = 0;
	int err = 0;

	while (!v->writing && !v->drop && !err) {
		size = next_message(v, &head);
		if (size <= 0)
			break;
		if (n++ == VFU_BATCH) {
			r3_timer_set(v->loop, &v->again, 0, on_again, v);
			break;
		}
		err = handle(v, &head, v->rx + v->rx_at + sizeof(head),
			     (size_t)size - sizeof(head));
		v->rx_at += (size_t)size;
	}
	compact(v);
	return err ? err : size < 0 ? (int)size : 0;
}

/* Where the last message in rx begins: what just came with fds is its. */
static size_t last_message(const struct r3_vfu *v)
{
	size_t at = 0;

	for (;;) {
		struct vu_head head;
		uint32_t size;

		if (v->rx_len - at < sizeof(head))
			return at;
		memcpy(&head, v->rx + at, sizeof(head));
		size = r3_get_le32(head.size);
		if (size < sizeof(head) || size >= v->rx_len - at)
			return at;
		at += size;
	}
}

/*
 * One read; the kernel ends it behind the bytes that fds came with, so they
 * belong to the last message begun.
 */
static int receive(struct r3_vfu *v)
{
	int fds[R3_VFU_MSG_FDS];
	unsigned count;
	ssize_t n;

	n = sock_recv(v->conn.fd, v->rx + v->rx_len, sizeof(v->rx) - v->rx_len,
		      fds, R3_VFU_MSG_FDS, &count);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n ? (int)n : -ECONNRESET;
	v->rx_len += (size_t)n;
	if (!count)
		return 0;
	if (v->fd_count + count > R3_VFU_MSG_FDS) {
		sock_close_fds(fds, count);
		return -EMFILE;
	}
	memcpy(v->fds + v->fd_count, fds, count * sizeof(int));
	v->fd_count += count;
	v->fds_at = last_message(v);
	return 0;
}

static const char *why_of(int err)
{
	switch (err) {
	case -EPROTO:
		return "its messages make no sense";
	case -EMFILE:
		return "too many file descriptors in a message";
	default:
		return NULL; /* it has gone */
	}
}

/* The deadline runs while half a message is here or a reply waits. */
static void watch_clock(struct r3_vfu *v)
{
	bool part = v->writing || v->rx_len;

	if (v->state != VFU_READY || armed(&v->again))
		return;
	if (!part)
		r3_timer_cancel(&v->deadline);
	else if (!armed(&v->deadline))
		r3_timer_set(v->loop, &v->deadline,
			     VFU_PART_MS * R3_NS_PER_MS, on_deadline, v);
}

static void work(struct r3_vfu *v, bool readable)
{
	int err = 0;

	v->busy = true;
	if (v->writing)
		err = flush(v);
	else if (readable && !armed(&v->again))
		err = receive(v);
	if (!err)
		err = handle_all(v);
	v->busy = false;
	if (err)
		cut_off(v, why_of(err));
	else if (v->drop)
		detach(v);
	else
		watch_clock(v);
}

static void on_connection(void *arg, uint32_t events)
{
	work(arg, events & (EPOLLIN | EPOLLHUP | EPOLLERR));
}

static void on_again(void *arg)
{
	work(arg, false);
}

/* ---- open and close ----------------------------------------------------- */

static int open_irqs(struct r3_vfu *v)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		struct vfu_irq *irq = &v->irqs[i];

		irq->count = v->desc.irqs[i];
		if (!irq->count)
			continue;
		irq->v = calloc(irq->count, sizeof(*irq->v));
		if (!irq->v)
			return -ENOMEM;
		for (unsigned k = 0; k < irq->count; k++)
			irq->v[k].fd = -1;
	}
	return 0;
}

static void on_truncated(void *arg, uint32_t events)
{
	struct r3_vfu *v = arg;
	eventfd_t n;

	(void)events;
	eventfd_read(v->guard_fd, &n);
	cut_off(v, "memory that it gave us was truncated, or there is no huge "
		   "page left for it");
}

static int open_space(struct r3_vfu *v)
{
	struct r3_space_local_opts opts = {
		.max_maps = R3_VFU_MAPS_MAX,
		.allow_unsealed = v->desc.allow_unsealed,
	};
	int err;

	v->guard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->guard_fd < 0)
		return -errno;
	err = r3_loop_watch(v->loop, &v->guard_watch, v->guard_fd, EPOLLIN,
			    on_truncated, v);
	if (err) {
		close(v->guard_fd);
		v->guard_fd = -1;
		return err;
	}
	return r3_space_open_local(&v->space, &opts);
}

int r3_vfu_new(struct r3_vfu **out, struct r3_loop *loop,
	       const struct r3_vfu_desc *desc, const struct r3_vfu_ops *ops,
	       void *ctx)
{
	struct r3_vfu *v;
	int err = vfu_check_desc(desc);

	if (err)
		return err;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	json_object_seed(0); /* now: it opens a file, which a sandbox forbids */
	v->loop = loop;
	v->desc = *desc;
	v->ops = ops;
	v->ctx = ctx;
	v->guard_fd = -1;
	err = open_irqs(v);
	if (!err)
		err = vfu_config_open(v);
	if (!err)
		err = open_space(v);
	if (err) {
		r3_vfu_free(v);
		return err;
	}
	*out = v;
	return 0;
}

void r3_vfu_free(struct r3_vfu *v)
{
	if (!v)
		return;
	if (v->state != VFU_LISTEN)
		detach(v);
	if (v->listening)
		r3_loop_unwatch(v->loop, &v->listen);
	r3_space_free(v->space);
	if (v->guard_fd >= 0) {
		r3_loop_unwatch(v->loop, &v->guard_watch);
		close(v->guard_fd);
	}
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		free(v->irqs[i].v);
	free(v->msix.mem);
	free(v);
}

const struct r3_vfu_stats *r3_vfu_stats(const struct r3_vfu *v)
{
	return &v->stats;
}
