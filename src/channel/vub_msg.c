// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vub_msg.c - what a back end does with each message
 *
 * The table says what a message must look like; a handler sees only those
 * that do.  Whatever it can't accept ends the connection.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "vub.h"

#define VUB_PROTOCOL                                               \
	(VU_PF_MQ | VU_PF_REPLY_ACK | VU_PF_INFLIGHT |             \
	 VU_PF_RESET_DEVICE | VU_PF_MEM_SLOTS)

static uint64_t protocol_of(const struct r3_vub *v)
{
	return VUB_PROTOCOL | (v->config.config_len ? VU_PF_CONFIG : 0);
}

/* The payload of v->in, changed by the handler, goes back. */
static int reply(struct r3_vub *v, uint32_t size, const int *fds,
		 unsigned count)
{
	struct vu_head head = { .request = v->in.head.request,
				.flags = VU_VERSION | VU_REPLY,
				.size = size };

	return vu_send(v->fd, &head, &v->in.payload, fds, count);
}

static int reply_u64(struct r3_vub *v, uint64_t n)
{
	v->in.payload.u64 = n;
	return reply(v, sizeof(n), NULL, 0);
}

/* ---- session ------------------------------------------------------------- */

static int get_features(struct r3_vub *v, union vu_payload *p)
{
	(void)p;
	return reply_u64(v, v->config.features | VU_F_PROTOCOL);
}

static int set_features(struct r3_vub *v, union vu_payload *p)
{
	if (p->u64 & ~(v->config.features | VU_F_PROTOCOL))
		return -EPROTO;
	if (p->u64 == v->s->features)
		return 0;
	if (vub_any_running(v))
		return -EPROTO;
	v->s->features = p->u64;
	return 0;
}

static int get_protocol_features(struct r3_vub *v, union vu_payload *p)
{
	(void)p;
	return reply_u64(v, protocol_of(v));
}

static int set_protocol_features(struct r3_vub *v, union vu_payload *p)
{
	if (p->u64 & ~protocol_of(v))
		return -EPROTO;
	v->s->protocol = p->u64;
	return 0;
}

static int set_owner(struct r3_vub *v, union vu_payload *p)
{
	(void)v;
	(void)p;
	return 0;
}

static int reset(struct r3_vub *v, union vu_payload *p)
{
	(void)p;
	vub_stop_all(v);
	for (unsigned i = 0; i < v->config.queues; i++) {
		v->s->queue[i].flags &=
			(uint8_t)~(VUB_Q_STARTED | VUB_Q_ENABLED |
				   VUB_Q_ADDR | VUB_Q_BASE);
		v->s->queue[i].base = 0;
	}
	return 0;
}

static int get_queue_num(struct r3_vub *v, union vu_payload *p)
{
	(void)p;
	return reply_u64(v, v->config.queues);
}

/* ---- memory -------------------------------------------------------------- */

static bool same_file(const struct r3_vub *v, int slot, int fd, uint64_t off)
{
	struct stat st;

	return r3_is_memory(fd) && !fstat(fd, &st) &&
	       st.st_dev == v->slot[slot].dev &&
	       st.st_ino == v->slot[slot].ino &&
	       v->s->region[slot].off == off;
}

/* Regions that are in the new table as well stay as they are: the queues in
 * them need not stop. */
static int set_mem_table(struct r3_vub *v, union vu_payload *p)
{
	struct vu_memory *m = &p->memory;
	bool stay[R3_VU_REGIONS_MAX] = { false };
	bool known[VU_FDS_MAX] = { false };
	bool stopped = false;
	int err = 0;

	if (m->count > VU_FDS_MAX || v->in.fd_count != m->count ||
	    v->in.head.size < 8 + m->count * sizeof(m->region[0]))
		return -EPROTO;
	for (unsigned i = 0; i < m->count; i++) {
		int slot = vub_find_slot(v, &m->region[i]);

		if (slot >= 0 && !stay[slot] &&
		    same_file(v, slot, v->in.fds[i], m->region[i].off))
			stay[slot] = known[i] = true;
	}
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++) {
		if (stay[i] || !v->slot[i].base)
			continue;
		if (!stopped)
			vub_stop_all(v);
		stopped = true;
		vub_del_region(v, i);
	}
	for (unsigned i = 0; i < m->count && !err; i++) {
		if (!known[i])
			err = vub_add_region(v, (unsigned)vub_free_slot(v),
					     &m->region[i],
					     vu_take_fd(&v->in, i));
	}
	return err ? err : vub_try_start_all(v);
}

static int add_mem_reg(struct r3_vub *v, union vu_payload *p)
{
	int slot = vub_free_slot(v), err;

	if (slot < 0)
		return -EPROTO; /* we said how many slots there are */
	err = vub_add_region(v, (unsigned)slot, &p->mem_reg.region,
			     vu_take_fd(&v->in, 0));
	return err ? err : vub_try_start_all(v);
}

static int rem_mem_reg(struct r3_vub *v, union vu_payload *p)
{
	int slot = vub_find_slot(v, &p->mem_reg.region);

	if (slot < 0)
		return -EPROTO;
	vub_stop_all(v);
	vub_del_region(v, (unsigned)slot);
	return v->mem.count ? vub_try_start_all(v) : 0;
}

static int get_max_mem_slots(struct r3_vub *v, union vu_payload *p)
{
	(void)p;
	return reply_u64(v, R3_VU_REGIONS_MAX);
}

/* ---- queues -------------------------------------------------------------- */

static int set_vring_num(struct r3_vub *v, union vu_payload *p)
{
	struct vu_vring_state *s = &p->state;
	struct r3_vring_layout l;

	if (s->index >= v->config.queues || v->queue[s->index].running ||
	    s->num > v->config.queue_size_max ||
	    r3_vring_layout((uint16_t)s->num,
			    v->s->features & R3_VQ_F_PACKED, &l))
		return -EPROTO;
	v->s->queue[s->index].size = (uint16_t)s->num;
	return vub_try_start(v, s->index);
}

static int set_vring_addr(struct r3_vub *v, union vu_payload *p)
{
	struct vu_vring_addr *a = &p->addr;
	struct vub_queue_state *s;

	if (a->index >= v->config.queues || a->flags)
		return -EPROTO;
	s = &v->s->queue[a->index];
	if (v->queue[a->index].running)
		return s->desc == a->desc && s->driver == a->avail &&
			       s->device == a->used ? 0 : -EPROTO;
	s->desc = a->desc;
	s->driver = a->avail;
	s->device = a->used;
	s->flags |= VUB_Q_ADDR;
	return vub_try_start(v, a->index);
}

static int set_vring_base(struct r3_vub *v, union vu_payload *p)
{
	const struct vu_inflight *f = &v->s->inflight;
	struct vu_vring_state *s = &p->state;
	size_t stride;

	if (s->index >= v->config.queues || v->queue[s->index].running)
		return -EPROTO;
	v->s->queue[s->index].base = s->num;
	v->s->queue[s->index].flags |= VUB_Q_BASE;
	if (v->s->own_inflight && s->index < f->queues) {
		/* the front end has begun anew, and so does our own record */
		stride = r3_vq_inflight_len(f->queue_size,
					    v->s->features & R3_VQ_F_PACKED);
		memset(v->inflight.host + s->index * stride, 0, stride);
	}
	return 0;
}

static int get_vring_base(struct r3_vub *v, union vu_payload *p)
{
	struct vu_vring_state *s = &p->state;

	if (s->index >= v->config.queues)
		return -EPROTO;
	vub_stop(v, s->index);
	v->s->queue[s->index].flags &= (uint8_t)~VUB_Q_STARTED;
	s->num = v->s->queue[s->index].base;
	return reply(v, sizeof(*s), NULL, 0);
}

/* The queue's index, and -1 or the fd that came with it. */
static int vring_fd(struct r3_vub *v, const union vu_payload *p,
		    unsigned *index, int *fd)
{
	*index = p->u64 & VU_INDEX;
	if (*index >= v->config.queues || p->u64 & ~(VU_INDEX | VU_NO_FD) ||
	    v->in.fd_count != (p->u64 & VU_NO_FD ? 0 : 1))
		return -EPROTO;
	*fd = vu_take_fd(&v->in, 0);
	return 0;
}

static int set_vring_kick(struct r3_vub *v, union vu_payload *p)
{
	unsigned i;
	int fd, err = vring_fd(v, p, &i, &fd);

	if (!err)
		err = vub_set_kick(v, i, fd);
	return err ? err : vub_try_start(v, i);
}

static int set_vring_call(struct r3_vub *v, union vu_payload *p)
{
	unsigned i;
	int fd, err = vring_fd(v, p, &i, &fd);

	if (!err)
		err = vub_set_call(v, i, fd);
	/* what was published before there was an fd to tell it */
	if (!err && v->queue[i].running)
		vub_call(v, i);
	return err;
}

static int set_vring_err(struct r3_vub *v, union vu_payload *p)
{
	unsigned i;
	int fd = -1, err = vring_fd(v, p, &i, &fd);

	/* nothing is ever told there: whoever breaks the rules is cut off */
	if (fd >= 0)
		close(fd);
	return err;
}

static int set_vring_enable(struct r3_vub *v, union vu_payload *p)
{
	struct vu_vring_state *s = &p->state;

	if (s->index >= v->config.queues || s->num > 1 ||
	    !(v->s->features & VU_F_PROTOCOL))
		return -EPROTO;
	if (s->num) {
		v->s->queue[s->index].flags |= VUB_Q_ENABLED;
		return vub_try_start(v, s->index);
	}
	vub_stop(v, s->index);
	v->s->queue[s->index].flags &= (uint8_t)~VUB_Q_ENABLED;
	return 0;
}

/* ---- config space -------------------------------------------------------- */

static bool config_ok(const struct r3_vub *v, const struct vu_config *c)
{
	uint32_t end;

	return c->len && r3_add(c->offset, c->len, &end) &&
	       end <= v->config.config_len &&
	       v->in.head.size == VU_CONFIG_HEAD + c->len;
}

/* QEMU asks for its whole structure, which may be longer than ours: what is
 * not there is zero. */
static int get_config(struct r3_vub *v, union vu_payload *p)
{
	struct vu_config *c = &p->config;
	uint32_t end, have;

	if (!c->len || !r3_add(c->offset, c->len, &end) ||
	    end > R3_VU_CONFIG_MAX ||
	    v->in.head.size != VU_CONFIG_HEAD + c->len)
		return -EPROTO;
	memset(c->data, 0, c->len);
	if (c->offset < v->config.config_len) {
		have = (uint32_t)r3_min(c->len,
					v->config.config_len - c->offset);
		v->ops->get_config(v->ctx, c->offset, have, c->data);
	}
	return reply(v, (uint32_t)VU_CONFIG_HEAD + c->len, NULL, 0);
}

static int set_config(struct r3_vub *v, union vu_payload *p)
{
	struct vu_config *c = &p->config;

	if (!config_ok(v, c))
		return -EPROTO;
	if (!v->ops->set_config)
		return -EPERM;
	return v->ops->set_config(v->ctx, c->offset, c->len, c->data);
}

/* ---- inflight region ----------------------------------------------------- */

static int get_inflight_fd(struct r3_vub *v, union vu_payload *p)
{
	struct vu_inflight *i = &p->inflight;
	int fd, err;

	if (!i->queues || i->queues > v->config.queues || !i->queue_size ||
	    i->queue_size > v->config.queue_size_max)
		return -EPROTO;
	/* enough for either form: features may come later */
	i->len = i->queues * r3_vq_inflight_len(i->queue_size, true);
	i->off = 0;
	fd = r3_memfd("inflight", i->len);
	if (fd < 0)
		return fd;
	err = reply(v, v->in.head.size, &fd, 1);
	close(fd);
	return err;
}

static int set_inflight_fd(struct r3_vub *v, union vu_payload *p)
{
	if (vub_any_running(v))
		return -EPROTO;
	return vub_set_inflight(v, &p->inflight, vu_take_fd(&v->in, 0));
}

/* ---- the table ----------------------------------------------------------- */

#define STATE sizeof(struct vu_vring_state)

static const struct vub_request {
	int (*fn)(struct r3_vub *v, union vu_payload *p);
	uint16_t min, max; /* bytes of payload */
	uint8_t fds_min, fds_max;
	bool replies;	   /* has an answer of its own */
	uint64_t protocol; /* features, one of which must be negotiated */
} requests[VU_REQUESTS] = {
	[VU_GET_FEATURES] = { get_features, 0, 8, 0, 0, true, 0 },
	[VU_SET_FEATURES] = { set_features, 8, 8, 0, 0, false, 0 },
	[VU_SET_OWNER] = { set_owner, 0, 8, 0, 0, false, 0 },
	[VU_RESET_OWNER] = { reset, 0, 8, 0, 0, false, 0 },
	[VU_SET_MEM_TABLE] = { set_mem_table, 8, sizeof(struct vu_memory), 0,
			       VU_FDS_MAX, false, 0 },
	[VU_SET_VRING_NUM] = { set_vring_num, STATE, STATE, 0, 0, false, 0 },
	[VU_SET_VRING_ADDR] = { set_vring_addr, sizeof(struct vu_vring_addr),
				sizeof(struct vu_vring_addr), 0, 0, false, 0 },
	[VU_SET_VRING_BASE] = { set_vring_base, STATE, STATE, 0, 0, false, 0 },
	[VU_GET_VRING_BASE] = { get_vring_base, STATE, STATE, 0, 0, true, 0 },
	[VU_SET_VRING_KICK] = { set_vring_kick, 8, 8, 0, 1, false, 0 },
	[VU_SET_VRING_CALL] = { set_vring_call, 8, 8, 0, 1, false, 0 },
	[VU_SET_VRING_ERR] = { set_vring_err, 8, 8, 0, 1, false, 0 },
	[VU_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, 8, 0, 0,
				       true, 0 },
	[VU_SET_PROTOCOL_FEATURES] = { set_protocol_features, 8, 8, 0, 0,
				       false, 0 },
	[VU_GET_QUEUE_NUM] = { get_queue_num, 0, 8, 0, 0, true, 0 },
	[VU_SET_VRING_ENABLE] = { set_vring_enable, STATE, STATE, 0, 0, false,
				  0 },
	[VU_GET_CONFIG] = { get_config, VU_CONFIG_HEAD + 1,
			    sizeof(struct vu_config), 0, 0, true,
			    VU_PF_CONFIG },
	[VU_SET_CONFIG] = { set_config, VU_CONFIG_HEAD + 1,
			    sizeof(struct vu_config), 0, 0, false,
			    VU_PF_CONFIG },
	[VU_GET_INFLIGHT_FD] = { get_inflight_fd, VU_INFLIGHT_LEN,
				 sizeof(struct vu_inflight), 0, 0, true,
				 VU_PF_INFLIGHT },
	[VU_SET_INFLIGHT_FD] = { set_inflight_fd, VU_INFLIGHT_LEN,
				 sizeof(struct vu_inflight), 1, 1, false,
				 VU_PF_INFLIGHT },
	[VU_RESET_DEVICE] = { reset, 0, 8, 0, 0, false, VU_PF_RESET_DEVICE },
	[VU_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 0, 8, 0, 0, true,
				   VU_PF_MEM_SLOTS },
	[VU_ADD_MEM_REG] = { add_mem_reg, sizeof(struct vu_mem_reg),
			     sizeof(struct vu_mem_reg), 1, 1, false,
			     VU_PF_MEM_SLOTS },
	[VU_REM_MEM_REG] = { rem_mem_reg, sizeof(struct vu_mem_reg),
			     sizeof(struct vu_mem_reg), 0, 1, false,
			     VU_PF_MEM_SLOTS },
};

int vub_message(struct r3_vub *v)
{
	const struct vu_head *h = &v->in.head;
	const struct vub_request *r;
	int err;

	if ((h->flags & VU_VERSION_MASK) != VU_VERSION ||
	    h->flags & VU_REPLY || h->request >= VU_REQUESTS)
		return -EPROTO;
	r = &requests[h->request];
	if (!r->fn || h->size < r->min || h->size > r->max ||
	    v->in.fd_count < r->fds_min || v->in.fd_count > r->fds_max ||
	    (r->protocol && !(v->s->protocol & r->protocol)))
		return -EPROTO;
	err = r->fn(v, &v->in.payload);
	if (r->replies || !(h->flags & VU_NEED_REPLY) ||
	    !(v->s->protocol & VU_PF_REPLY_ACK))
		return err == -EPERM ? 0 : err;
	/* a refusal that leaves all as it was can be told */
	if (!err || err == -EPERM)
		return reply_u64(v, err ? 1 : 0);
	reply_u64(v, 1);
	return err;
}
