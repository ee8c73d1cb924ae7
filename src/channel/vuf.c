// SPDX-License-Identifier: GPL-2.0-or-later
/* vuf.c - a vhost-user front end: connect, negotiate, connect again */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vuf.h"

#define RETRY_NS R3_NS_PER_MS /* between two tries to connect */

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* EAGAIN: its backlog is full. */
static int connect_until(const char *path, uint64_t until)
{
	for (;;) {
		int fd = connect_to(path);

		if (fd != -ECONNREFUSED && fd != -ENOENT && fd != -EAGAIN)
			return fd;
		if (r3_now_ns() >= until)
			return fd;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
	}
}

static void disconnect(struct r3_vuf *f)
{
	vu_in_reset(&f->in);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int negotiate_protocol(struct r3_vuf *f)
{
	uint64_t want = VU_PF_MQ | VU_PF_REPLY_ACK | VU_PF_CONFIG, n;
	int err;

	f->protocol = 0;
	err = vuf_get_u64(f, VU_GET_PROTOCOL_FEATURES, &n);
	if (err)
		return err;
	if (!f->config.no_inflight)
		want |= VU_PF_INFLIGHT;
	err = vuf_set_u64(f, VU_SET_PROTOCOL_FEATURES, n & want);
	if (err)
		return err;
	f->protocol = n & want;
	if (!(f->protocol & VU_PF_MQ))
		return 0;
	err = vuf_get_u64(f, VU_GET_QUEUE_NUM, &n);
	if (err)
		return err;
	return n < f->config.queues ? -ENOTSUP : 0;
}

/* The first time what both want; later the same again. */
static int negotiate(struct r3_vuf *f)
{
	struct vuf_msg owner = { .request = VU_SET_OWNER };
	uint64_t offered, want;
	int err;

	f->protocol = 0;
	err = vuf_get_u64(f, VU_GET_FEATURES, &offered);
	if (err)
		return err;
	want = f->features ? f->features :
			     offered & (f->config.features |
					f->config.required | VU_F_PROTOCOL);
	if ((want & offered) != want ||
	    (want & f->config.required) != f->config.required)
		return -ENOTSUP;
	if (want & VU_F_PROTOCOL)
		err = negotiate_protocol(f);
	if (!err)
		err = vuf_tell(f, &owner);
	if (!err)
		f->features = want;
	return err;
}

int r3_vuf_open(struct r3_vuf **out, const struct r3_vuf_config *config)
{
	struct r3_vuf *f;
	int err = -ENOMEM;

	if (!config->queues || config->queues > R3_VU_QUEUES_MAX ||
	    config->indirect_max > R3_VQ_SEGS_MAX)
		return -EINVAL;
	f = calloc(1, sizeof(*f) + config->queues * sizeof(f->queue[0]));
	if (!f)
		return -ENOMEM;
	f->config = *config;
	f->fd = f->inflight_fd = -1;
	for (unsigned i = 0; i < config->queues; i++)
		f->queue[i].kick_fd = f->queue[i].call_fd = -1;
	f->path = strdup(config->path);
	if (!f->path)
		goto fail;
	err = f->fd = connect_to(f->path);
	if (err < 0)
		goto fail;
	err = negotiate(f);
	if (!err)
		err = vuf_make_rings(f);
	if (err)
		goto fail;
	*out = f;
	return 0;

fail:
	r3_vuf_close(f);
	return err;
}

void r3_vuf_close(struct r3_vuf *f)
{
	if (!f)
		return;
	disconnect(f);
	vuf_free_rings(f);
	free(f->path);
	free(f);
}

int r3_vuf_mem_add(struct r3_vuf *f, int fd, uint64_t len, uint64_t *addr)
{
	struct vuf_region *r = &f->region[f->region_count];
	struct stat st;

	if (f->started)
		return -EBUSY;
	if (f->region_count == VU_FDS_MAX)
		return -ENOSPC;
	if (!len || !r3_is_aligned(len, R3_PAGE_SIZE) || fstat(fd, &st) ||
	    (uint64_t)st.st_size < len)
		return -EINVAL;
	r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (r->fd < 0)
		return -errno;
	r->addr = f->next_addr;
	r->len = len;
	f->next_addr += len;
	f->region_count++;
	*addr = r->addr;
	return 0;
}

int r3_vuf_start(struct r3_vuf *f)
{
	int err;

	if (f->started)
		return 0;
	err = vuf_start_queues(f);
	if (!err)
		f->started = true;
	return err;
}

int r3_vuf_stop(struct r3_vuf *f)
{
	for (unsigned i = 0; i < f->config.queues && f->started; i++) {
		struct vuf_msg m = { .request = VU_GET_VRING_BASE,
				     .size = sizeof(struct vu_vring_state),
				     .payload.state.index = i };
		int err = vuf_ask(f, &m, sizeof(struct vu_vring_state));

		if (err)
			return err;
		f->queue[i].base = f->in.payload.state.num;
	}
	f->started = false;
	return 0;
}

/* Where a back end without a memory of its own starts, and what it finds. */
static void rewind_queues(struct r3_vuf *f)
{
	bool keep = f->protocol & VU_PF_INFLIGHT && f->inflight_fd >= 0;

	for (unsigned i = 0; i < f->config.queues; i++) {
		struct vuf_queue *q = &f->queue[i];

		if (!keep) {
			r3_vq_driver_restart(&q->q);
			r3_vq_driver_publish(&q->q);
		}
		q->base = r3_vq_driver_base(&q->q);
	}
}

int r3_vuf_reconnect(struct r3_vuf *f, int timeout_ms)
{
	uint64_t until = r3_now_ns() + (uint64_t)timeout_ms * R3_NS_PER_MS;
	int err;

	disconnect(f);
	err = f->fd = connect_until(f->path, until);
	if (err < 0)
		return err == -ECONNREFUSED || err == -ENOENT ||
				       err == -EAGAIN ? -ETIMEDOUT : err;
	err = negotiate(f);
	if (!err && f->started) {
		rewind_queues(f);
		err = vuf_start_queues(f);
	}
	if (err)
		disconnect(f);
	return err;
}

int r3_vuf_fd(const struct r3_vuf *f)
{
	return f->fd;
}

uint64_t r3_vuf_features(const struct r3_vuf *f)
{
	return f->features & ~VU_F_PROTOCOL;
}

bool r3_vuf_has_inflight(const struct r3_vuf *f)
{
	return f->protocol & VU_PF_INFLIGHT;
}

static bool config_ok(uint32_t offset, uint32_t len)
{
	uint32_t end;

	return len && r3_add(offset, len, &end) && end <= R3_VU_CONFIG_MAX;
}

int r3_vuf_get_config(struct r3_vuf *f, uint32_t offset, uint32_t len,
		      void *out)
{
	struct vuf_msg m = { .request = VU_GET_CONFIG,
			     .size = (uint32_t)VU_CONFIG_HEAD + len,
			     .payload.config = { .offset = offset,
						 .len = len } };
	const struct vu_config *c = &f->in.payload.config;
	int err;

	if (!(f->protocol & VU_PF_CONFIG))
		return -ENOTSUP;
	if (!config_ok(offset, len))
		return -EINVAL;
	err = vuf_ask(f, &m, (uint32_t)VU_CONFIG_HEAD);
	if (err)
		return err;
	if (f->in.head.size != m.size || c->len != len)
		return -EPROTO;
	memcpy(out, c->data, len);
	return 0;
}

int r3_vuf_set_config(struct r3_vuf *f, uint32_t offset, uint32_t len,
		      const void *data)
{
	struct vuf_msg m = { .request = VU_SET_CONFIG,
			     .size = (uint32_t)VU_CONFIG_HEAD + len,
			     .payload.config = { .offset = offset,
						 .len = len } };

	if (!(f->protocol & VU_PF_CONFIG))
		return -ENOTSUP;
	if (!config_ok(offset, len))
		return -EINVAL;
	memcpy(m.payload.config.data, data, len);
	return vuf_tell(f, &m);
}
