// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inflight.c - what a device's former life left undone
 *
 * The region survives us in a memory file; the peer holds it too and may have
 * written anything there: every index is checked, every walk is bounded.
 * Source: vhost-user, "Inflight I/O tracking", "When reconnecting".  Killed in
 * here, the next life finds the same requests in flight.
 */
#include <stdlib.h>

#include "device.h"

size_t r3_vq_inflight_len(uint16_t size, bool packed)
{
	size_t len = packed ? sizeof(struct inflight_packed) +
				      size * sizeof(struct inflight_packed_entry)
			    : sizeof(struct inflight_split) +
				      size * sizeof(struct inflight_split_entry);

	return (len + 63) / 64 * 64;
}

struct order {
	uint64_t counter;
	uint16_t at;
};

static int by_counter(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* q->again holds again_count entries: into the order of their counters. */
static int sort_again(struct r3_vq_device *q, struct order *v)
{
	qsort(v, q->again_count, sizeof(*v), by_counter);
	for (unsigned i = 0; i < q->again_count; i++)
		q->again[i] = v[i].at;
	if (q->again_count)
		q->counter = v[q->again_count - 1].counter + 1;
	return q->again_count;
}

/* ---- split --------------------------------------------------------------- */

/* The last batch was published, but perhaps not yet taken out of the region. */
static int split_finish_batch(struct r3_vq_device *q, uint16_t used)
{
	struct inflight_split *r = q->inflight;
	uint16_t n = (uint16_t)(used - ring_load(&r->used_idx));
	uint16_t at = ring_load(&r->last_batch_head);

	if (n > q->ring.size)
		return device_broken(q, "inflight region of another ring");
	for (; n; n--) {
		if (at >= q->ring.size)
			return device_broken(q, "inflight batch is no list");
		r->desc[at].inflight = 0;
		at = ring_load(&r->desc[at].next);
	}
	ring_ordered();
	r->used_idx = used;
	q->last[0] = ring_load(&r->last_batch_head);
	return 0;
}

static int split_recover(struct r3_vq_device *q, struct order *v)
{
	struct inflight_split *r = q->inflight;
	uint16_t used = ring_load(&split_used(&q->ring)->idx);
	int err;

	if (!ring_load(&r->version)) {
		r->desc_num = q->ring.size;
		r->used_idx = q->used;
		ring_ordered();
		r->version = 1;
		return 0;
	}
	if (ring_load(&r->version) != 1 ||
	    ring_load(&r->desc_num) != q->ring.size)
		return device_broken(q, "inflight region of another kind");
	err = split_finish_batch(q, used);
	if (err)
		return err;
	for (uint16_t i = 0; i < q->ring.size; i++) {
		if (!ring_load(&r->desc[i].inflight))
			continue;
		v[q->again_count].counter = ring_load(&r->desc[i].counter);
		v[q->again_count++].at = i;
	}
	/* what was taken is either used or in flight */
	q->used = used;
	q->avail = q->shadow = (uint16_t)(used + q->again_count);
	q->places = q->again_count;
	return sort_again(q, v);
}

static int split_again(struct device_walk *w, struct r3_vq_req *req,
		       uint16_t head)
{
	int err = split_walk(w, head);

	if (!err)
		device_take(w, req, head, 1, 0);
	return err;
}

/* ---- packed -------------------------------------------------------------- */

static void packed_new_region(struct r3_vq_device *q)
{
	struct inflight_packed *r = q->inflight;
	union inflight_used u = { {
		.used_idx = q->used,
		.old_used_idx = q->used,
		.used_wrap = q->used_wrap,
		.old_used_wrap = q->used_wrap,
	} };

	for (uint16_t i = 0; i < q->ring.size; i++)
		r->desc[i].next = q->link[i] = i + 1;
	r->desc_num = q->ring.size;
	r->free_head = r->old_free_head = 0;
	r->used.word = u.word;
	ring_ordered();
	r->version = 1;
}

/*
 * The last batch was not published: its first descriptor is still as the
 * driver made it.  But those behind it may already say "used", and the driver
 * would take them for new once the first is used again: take that back.
 */
static void packed_undo_batch(struct r3_vq_device *q, union inflight_used u)
{
	struct vring_packed_desc *desc = packed_desc(&q->ring);
	uint16_t at = u.old_used_idx;
	bool wrap = u.old_used_wrap;

	for (unsigned n = 0; n < q->ring.size; n++) {
		if (at == u.used_idx && wrap == u.used_wrap)
			break;
		ring_store(&desc[at].flags, ring_avail_flags(wrap));
		ring_advance(&at, &wrap, 1, q->ring.size);
	}
	ring_ordered();
}

static int packed_settle_batch(struct r3_vq_device *q)
{
	struct inflight_packed *r = q->inflight;
	union inflight_used u = { .word = ring_load(&r->used.word) };
	uint16_t flags;

	if (u.used_idx >= q->ring.size || u.old_used_idx >= q->ring.size ||
	    u.used_wrap > 1 || u.old_used_wrap > 1)
		return device_broken(q, "inflight region: used index");
	if (u.used_idx != u.old_used_idx || u.used_wrap != u.old_used_wrap) {
		flags = ring_load(&packed_desc(&q->ring)[u.old_used_idx].flags);
		if (ring_is_avail(flags, u.old_used_wrap)) {
			packed_undo_batch(q, u);
			u.used_idx = u.old_used_idx;
			u.used_wrap = u.old_used_wrap;
		} else {
			r->old_free_head = ring_load(&r->free_head);
			ring_ordered();
			u.old_used_idx = u.used_idx;
			u.old_used_wrap = u.used_wrap;
		}
		ring_store(&r->used.word, u.word);
	}
	ring_ordered();
	q->used = u.used_idx;
	q->used_wrap = u.used_wrap;
	return 0;
}

/* What is in the free list is not in flight, whatever its entry says. */
static int packed_clear_free(struct r3_vq_device *q)
{
	struct inflight_packed *r = q->inflight;
	uint16_t at = ring_load(&r->old_free_head);

	for (unsigned n = 0; n < q->ring.size && at < q->ring.size; n++) {
		r->desc[at].inflight = 0;
		at = ring_load(&r->desc[at].next);
	}
	ring_ordered();
	return 0;
}

/* Follow one request's entries, which become ours; their number or -EPROTO.
 * taken[]: 1 for each entry that belongs to a request. */
static int packed_claim(struct r3_vq_device *q, uint16_t first, uint8_t *taken)
{
	struct inflight_packed *r = q->inflight;
	uint16_t num = ring_load(&r->desc[first].num), at = first;

	if (!num || num > q->ring.size)
		return device_broken(q, "inflight region: length of a chain");
	for (uint16_t n = 1;; n++) {
		if (at >= q->ring.size || taken[at])
			return device_broken(q, "inflight region: chain");
		taken[at] = 1;
		q->last[first] = at;
		if (n == num)
			return num;
		at = q->link[at] = ring_load(&r->desc[at].next);
	}
}

/* All that is not in flight is free, in order; only free entries' links are
 * written, so that being killed here does no harm. */
static void packed_new_free(struct r3_vq_device *q, const uint8_t *taken)
{
	struct inflight_packed *r = q->inflight;
	uint16_t next = q->ring.size;

	for (uint16_t i = q->ring.size; i-- > 0;) {
		if (taken[i])
			continue;
		r->desc[i].next = q->link[i] = next;
		next = i;
	}
	ring_ordered();
	q->free_entry = next;
	r->free_head = r->old_free_head = next;
	ring_ordered();
}

static int packed_find(struct r3_vq_device *q, struct order *v, uint8_t *taken)
{
	struct inflight_packed *r = q->inflight;

	for (uint16_t i = 0; i < q->ring.size; i++) {
		int num;

		if (!ring_load(&r->desc[i].inflight))
			continue;
		num = packed_claim(q, i, taken);
		if (num < 0)
			return num;
		v[q->again_count].counter = ring_load(&r->desc[i].counter);
		v[q->again_count++].at = i;
		q->places += (uint16_t)num;
	}
	return 0;
}

static int packed_recover(struct r3_vq_device *q, struct order *v)
{
	struct inflight_packed *r = q->inflight;
	uint8_t *taken;
	int err;

	if (!ring_load(&r->version)) {
		packed_new_region(q);
		return 0;
	}
	if (ring_load(&r->version) != 1 ||
	    ring_load(&r->desc_num) != q->ring.size)
		return device_broken(q, "inflight region of another kind");
	taken = calloc(q->ring.size, 1);
	if (!taken)
		return -ENOMEM;
	err = packed_settle_batch(q);
	if (!err)
		err = packed_clear_free(q);
	if (!err)
		err = packed_find(q, v, taken);
	if (!err) {
		packed_new_free(q, taken);
		q->avail = q->used;
		q->avail_wrap = q->used_wrap;
		ring_advance(&q->avail, &q->avail_wrap, q->places,
			     q->ring.size);
		err = sort_again(q, v);
	}
	free(taken);
	return err;
}

/* The descriptors in the ring may be overwritten: the region has them. */
static int packed_again(struct device_walk *w, struct r3_vq_req *req,
			uint16_t first)
{
	struct r3_vq_device *q = w->q;
	struct inflight_packed *r = q->inflight;
	uint16_t at = first, last = q->last[first], id, n = 1;

	for (;; n++) {
		const struct inflight_packed_entry *e = &r->desc[at];
		uint64_t addr = ring_load(&e->addr);
		uint32_t len = ring_load(&e->len);
		uint16_t flags = ring_load(&e->flags);
		int err;

		id = ring_load(&e->id);
		if (flags & VRING_DESC_F_INDIRECT)
			err = device_add_table(w, addr, len);
		else
			err = device_add_buf(w, addr, len,
					     flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (at == last)
			break;
		at = q->link[at];
	}
	if (id >= q->ring.size || q->busy[id])
		return device_broken(q, "inflight region: buffer id");
	device_take(w, req, id, n, first);
	return 0;
}

/* ---- both ---------------------------------------------------------------- */

int r3_vq_device_recover(struct r3_vq_device *q, void *region)
{
	struct order *v;
	int n;

	if (!r3_is_aligned((uintptr_t)region, 8))
		return -EINVAL;
	v = calloc(q->ring.size, sizeof(*v));
	if (!v)
		return -ENOMEM;
	q->inflight = region;
	q->counter = 1;
	n = q->ring.packed ? packed_recover(q, v) : split_recover(q, v);
	free(v);
	return n;
}

int r3_vq_device_next_inflight(struct r3_vq_device *q, struct r3_vq_req *req,
			       struct r3_vq_seg *seg, unsigned max)
{
	struct device_walk w = { .q = q, .seg = seg, .max = max };
	uint16_t at;
	int err;

	if (q->broken)
		return -EPROTO;
	if (q->again_at == q->again_count)
		return 0;
	at = q->again[q->again_at];
	err = q->ring.packed ? packed_again(&w, req, at) :
			       split_again(&w, req, at);
	if (err)
		return err;
	q->again_at++;
	return 1;
}
