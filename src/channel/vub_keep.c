// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vub_keep.c - a connection that outlives its process
 *
 * What a former life left in the page is believed no more than what a front
 * end sends: it goes through the same functions.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring3/log.h"
#include "vub.h"

#define NAME_MAX_LEN 64

static void name_of(char *out, const struct r3_vub_keeper *k, char what, int n)
{
	if (n < 0)
		snprintf(out, NAME_MAX_LEN, "%.40s.%c", k->prefix, what);
	else
		snprintf(out, NAME_MAX_LEN, "%.40s.%c%d", k->prefix, what, n);
}

/* Without a supervisor nothing can be kept: then the next life finds less
 * than the page says, and starts anew. */
void vub_keep(struct r3_vub *v, char what, int n, int fd)
{
	const struct r3_vub_keeper *k = v->config.keeper;
	char name[NAME_MAX_LEN];

	if (!k || v->resuming)
		return;
	name_of(name, k, what, n);
	k->keep_fd(k->arg, name, fd);
}

void vub_drop(struct r3_vub *v, char what, int n)
{
	const struct r3_vub_keeper *k = v->config.keeper;
	char name[NAME_MAX_LEN];

	if (!k || v->resuming)
		return;
	name_of(name, k, what, n);
	k->drop_fd(k->arg, name);
}

static int kept(const struct r3_vub_keeper *k, char what, int n)
{
	char name[NAME_MAX_LEN];

	name_of(name, k, what, n);
	return k->kept_fd(k->arg, name);
}

/* The connection is over for good: nothing of it may be found again. */
static void drop_all(const struct r3_vub_keeper *k)
{
	struct vub_state *s = k->page;
	char name[NAME_MAX_LEN];

	for (int i = 0; i < R3_VU_REGIONS_MAX; i++) {
		if (!s->region[i].len)
			continue;
		name_of(name, k, 'm', i);
		k->drop_fd(k->arg, name);
	}
	for (int i = 0; i < R3_VU_QUEUES_MAX; i++) {
		if (s->queue[i].flags & VUB_Q_KICK) {
			name_of(name, k, 'k', i);
			k->drop_fd(k->arg, name);
		}
		if (s->queue[i].flags & VUB_Q_CALL) {
			name_of(name, k, 'l', i);
			k->drop_fd(k->arg, name);
		}
	}
	name_of(name, k, 'i', -1);
	k->drop_fd(k->arg, name);
	name_of(name, k, 'c', -1);
	k->drop_fd(k->arg, name);
	memset(s, 0, sizeof(*s));
}

void vub_forget(struct r3_vub *v)
{
	const struct r3_vub_keeper *k = v->config.keeper;

	if (!k)
		return;
	v->own_state = *v->s;
	v->s = &v->own_state;
	v->config.keeper = NULL;
	drop_all(k);
}

/* Take every fd of the former life out of the keeper's hands and close it. */
static void close_kept(const struct r3_vub_keeper *k)
{
	struct vub_state *s = k->page;
	int fd;

	fd = kept(k, 'c', -1);
	if (fd >= 0) {
		/* the supervisor may hold it a moment longer */
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
	fd = kept(k, 'i', -1);
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < R3_VU_REGIONS_MAX; i++) {
		fd = s->region[i].len ? kept(k, 'm', i) : -1;
		if (fd >= 0)
			close(fd);
	}
	for (int i = 0; i < R3_VU_QUEUES_MAX; i++) {
		fd = s->queue[i].flags & VUB_Q_KICK ? kept(k, 'k', i) : -1;
		if (fd >= 0)
			close(fd);
		fd = s->queue[i].flags & VUB_Q_CALL ? kept(k, 'l', i) : -1;
		if (fd >= 0)
			close(fd);
	}
	drop_all(k);
}

static int resume_regions(struct r3_vub *v, const struct vub_state *old)
{
	for (unsigned i = 0; i < R3_VU_REGIONS_MAX; i++) {
		const struct vub_region_state *o = &old->region[i];
		struct vu_region r = { o->guest, o->len, o->user, o->off };
		int err;

		if (!o->len)
			continue;
		err = vub_add_region(v, i, &r,
				     kept(v->config.keeper, 'm', (int)i));
		if (err)
			return err;
	}
	return 0;
}

static int resume_inflight(struct r3_vub *v, const struct vub_state *old)
{
	int fd, err;

	if (!old->inflight.len)
		return 0;
	fd = kept(v->config.keeper, 'i', -1);
	if (fd < 0)
		return -EPROTO;
	err = vub_set_inflight(v, &old->inflight, fd);
	v->s->own_inflight = old->own_inflight;
	return err;
}

static int resume_queue(struct r3_vub *v, unsigned i,
			const struct vub_queue_state *old)
{
	const struct r3_vub_keeper *k = v->config.keeper;
	struct vub_queue_state *s = &v->s->queue[i];
	int fd, err = 0;

	*s = *old;
	s->flags &= (uint8_t)~(VUB_Q_KICK | VUB_Q_CALL | VUB_Q_STARTED);
	if (s->size > v->config.queue_size_max)
		return -EPROTO;
	if (old->flags & VUB_Q_CALL) {
		fd = kept(k, 'l', (int)i);
		if (fd < 0)
			return -EPROTO;
		err = vub_set_call(v, i, fd);
	}
	if (!err && old->flags & VUB_Q_STARTED) {
		fd = old->flags & VUB_Q_KICK ? kept(k, 'k', (int)i) : -1;
		if (old->flags & VUB_Q_KICK && fd < 0)
			return -EPROTO;
		err = vub_set_kick(v, i, fd);
	}
	if (!err)
		err = vub_try_start(v, i);
	/* a call between "done" and "told" may be lost */
	if (!err && v->queue[i].running)
		vub_call(v, i);
	return err;
}

static int resume_all(struct r3_vub *v, const struct vub_state *old)
{
	int err;

	v->s->features = old->features;
	v->s->protocol = old->protocol;
	err = resume_regions(v, old);
	if (!err)
		err = resume_inflight(v, old);
	for (unsigned i = 0; i < v->config.queues && !err; i++)
		err = resume_queue(v, i, &old->queue[i]);
	return err;
}

static bool sane(const struct vub_state *s, const struct r3_vub_config *c)
{
	return s->magic == VUB_MAGIC && s->open == 1 && !s->busy &&
	       !(s->features & ~(c->features | VU_F_PROTOCOL));
}

/* The state is built beside the page, which stays as it was until all is
 * done: killed in here, the next life resumes just as well. */
static int resume(struct r3_vub *v, const struct vub_state *old)
{
	struct vub_state *page = v->s;
	int err;

	v->s = &v->own_state;
	v->s->magic = VUB_MAGIC;
	v->s->open = 1;
	v->resuming = true;
	err = resume_all(v, old);
	if (!err)
		err = vub_begin(v);
	if (err)
		return err;
	*page = *v->s;
	v->s = page;
	v->resuming = false;
	return 0;
}

int r3_vub_resume(struct r3_vub **out, struct r3_loop *loop,
		  const struct r3_vub_config *config,
		  const struct r3_vub_ops *ops, void *ctx)
{
	const struct r3_vub_keeper *k = config->keeper;
	struct vub_state old;
	struct r3_vub *v;
	int fd, err;

	if (!k)
		return -ENOENT;
	old = *(struct vub_state *)k->page;
	if (!old.open && !old.magic)
		return -ENOENT;
	fd = sane(&old, config) ? kept(k, 'c', -1) : -1;
	if (fd < 0)
		goto stale;
	err = vub_new(&v, loop, fd, config, ops, ctx);
	if (err)
		goto stale;
	err = resume(v, &old);
	if (!err) {
		*out = v;
		return 0;
	}
	r3_log(R3_WARN, config->part, config->name,
	       "what was kept of a client can't be used, it has to connect "
	       "again: %s", strerror(-err));
	shutdown(v->fd, SHUT_RDWR);
	vub_free(v);

stale:
	close_kept(k);
	return -ESTALE;
}
