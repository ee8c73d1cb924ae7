// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refs.c - references that wait to be written into the extent tree
 *
 * One head an extent, found by a hash table, with a log of the references that
 * came and went.  A log is put in order, and what cancels out or comes twice
 * joined, when it is full or looked at; so to note one costs next to nothing.
 * A run takes the heads that wait, in the order of their addresses, and writes
 * one after the other; that changes the extent tree and the free space tree,
 * whose blocks are then copied, which makes new heads; so it takes those next,
 * until there are none.  A head is out of the table before it is written:
 * whatever is delayed meanwhile waits.
 *
 * A fresh extent was given away in this transaction and has no item.  When its
 * references cancel out it never gets one: a tree block is free at once, data
 * with the next run, as an operation may move a reference by dropping it first.
 */
#include <stdlib.h>

#include "edit.h"
#include "space.h"

struct ref {
	uint64_t from;	/* the parent if it is shared, else the root */
	uint64_t ino, off;
	int32_t delta;
	bool shared;
};

struct head {
	struct head *hash_next;
	uint64_t bytenr, len;
	int64_t delta;	/* sum of the references' */
	uint8_t level;
	bool data;
	bool fresh;	/* no item yet */
	bool touched;	/* referred to, or its flag is to be set */
	bool full;	/* FULL_BACKREF is to be set */
	bool batched;	/* the run has its address: nobody else frees it */
	bool mixed;	/* the log is not in order */
	uint32_t n, room;
	struct ref *refs; /* the log; one, until it needs more room */
	struct ref one;
};

struct btrfs_refs {
	struct head **heads;
	size_t heads_size; /* a power of 2 */
	size_t head_count; /* in the table */
	size_t ref_count[2]; /* in their logs: of tree blocks, of data */
	size_t waiting;	   /* heads that are touched */
	struct btrfs_extent extent; /* the one at work */
	struct btrfs_extent looked; /* the one last looked up */
	/* Free space that changes, and checksums that go, put together from
	 * neighbours before the trees hear of it. */
	struct btrfs_range given, taken, gone;
};

enum {
	TABLE_MIN = 1024,
	LOG_MIN = 4,
	/* Of items in the extent and free space trees, with half-full leaves:
	 * what an extent or a reference to data may add, and what one to a
	 * tree block does. */
	EXTENT_SPACE = 160,
	BLOCK_REF_SPACE = 2 * sizeof(struct btrfs_item),
};

/* ---- heads --------------------------------------------------------------- */

/* Neighbours on disk are neighbours in the table, for a run goes through it in
 * the order of addresses; the sum spreads what is aligned to a node's size. */
static size_t head_hash(uint64_t bytenr)
{
	return (bytenr >> 12) + (bytenr >> 14) + (bytenr >> 16);
}

static void heads_grow(struct btrfs_refs *rs)
{
	size_t size = rs->heads_size * 2;
	struct head **to = calloc(size, sizeof(*to));

	if (!to)
		return; /* chains get longer */
	for (size_t i = 0; i < rs->heads_size; i++) {
		for (struct head *h = rs->heads[i], *next; h; h = next) {
			struct head **p = &to[head_hash(h->bytenr) &
					      (size - 1)];

			next = h->hash_next;
			h->hash_next = *p;
			*p = h;
		}
	}
	free(rs->heads);
	rs->heads = to;
	rs->heads_size = size;
}

static struct head **head_slot(const struct btrfs_refs *rs, uint64_t bytenr)
{
	struct head **p = &rs->heads[head_hash(bytenr) & (rs->heads_size - 1)];

	while (*p && (*p)->bytenr != bytenr)
		p = &(*p)->hash_next;
	return p;
}

/* The head of an extent, made when it is not there. */
static int head_get(struct r3_btrfs *fs, uint64_t bytenr, uint64_t len,
		    bool data, struct head **out)
{
	struct btrfs_refs *rs = fs->refs;
	struct head *h = *head_slot(rs, bytenr);

	if (!h) {
		if (rs->head_count >= rs->heads_size)
			heads_grow(rs);
		h = calloc(1, sizeof(*h));
		if (!h)
			return btrfs_fail(fs, -ENOMEM, "out of memory");
		h->bytenr = bytenr;
		h->len = len;
		h->data = data;
		h->refs = &h->one;
		h->room = 1;
		*head_slot(rs, bytenr) = h;
		rs->head_count++;
	}
	*out = h;
	return 0;
}

static void head_touch(struct btrfs_refs *rs, struct head *h)
{
	rs->waiting += !h->touched;
	h->touched = true;
}

/* Out of the table; it is the caller's now. */
static void head_take(struct btrfs_refs *rs, struct head *h)
{
	*head_slot(rs, h->bytenr) = h->hash_next;
	rs->head_count--;
	rs->waiting -= h->touched;
	rs->ref_count[h->data] -= h->n;
}

static void head_free(struct head *h)
{
	if (h->refs != &h->one)
		free(h->refs);
	free(h);
}

/* ---- their logs ---------------------------------------------------------- */

static struct ref ref_put(const struct btrfs_ref *what, int delta)
{
	return (struct ref){ .from = what->parent ? what->parent : what->root,
			     .ino = what->data && !what->parent ? what->ino : 0,
			     .off = what->data && !what->parent ? what->off : 0,
			     .delta = delta, .shared = what->parent };
}

static struct btrfs_ref ref_get(const struct head *h, const struct ref *r)
{
	return (struct btrfs_ref){ .bytenr = h->bytenr, .len = h->len,
				   .root = r->shared ? 0 : r->from,
				   .parent = r->shared ? r->from : 0,
				   .ino = r->ino, .off = r->off,
				   .level = h->level, .data = h->data };
}

/* In the order of the keys that tree blocks' references have. */
static int ref_cmp(const void *pa, const void *pb)
{
	const struct ref *a = pa, *b = pb;

	if (a->shared != b->shared)
		return a->shared - b->shared;
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->off < b->off ? -1 : a->off > b->off;
}

/* Afterwards it has each reference once, none that has not changed. */
static void log_sort(struct head *h)
{
	uint32_t n = 0;

	if (!h->mixed)
		return;
	qsort(h->refs, h->n, sizeof(*h->refs), ref_cmp);
	for (uint32_t i = 0; i < h->n; i++) {
		if (n && !ref_cmp(&h->refs[n - 1], &h->refs[i]))
			h->refs[n - 1].delta += h->refs[i].delta;
		else
			h->refs[n++] = h->refs[i];
		n -= !h->refs[n - 1].delta;
	}
	h->n = n;
	h->mixed = false;
}

static void head_sort(struct btrfs_refs *rs, struct head *h)
{
	rs->ref_count[h->data] -= h->n;
	log_sort(h);
	rs->ref_count[h->data] += h->n;
}

/* Room for one more.  It grows when putting it in order did not halve it. */
static int log_ready(struct r3_btrfs *fs, struct head *h)
{
	uint32_t room = h->room < LOG_MIN ? LOG_MIN : 2 * h->room;
	struct ref *p;

	if (h->n < h->room)
		return 0;
	head_sort(fs->refs, h);
	if (h->n <= h->room / 2)
		return 0;
	p = realloc(h->refs == &h->one ? NULL : h->refs, room * sizeof(*p));
	if (!p)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	if (h->refs == &h->one)
		p[0] = h->one;
	h->refs = p;
	h->room = room;
	return 0;
}

static int log_add(struct r3_btrfs *fs, struct head *h,
		   const struct btrfs_ref *what, int delta)
{
	struct ref r = ref_put(what, delta);
	struct ref *last = h->n ? &h->refs[h->n - 1] : NULL;
	int err;

	if (last && !ref_cmp(last, &r)) {
		last->delta += delta;
		h->n -= !last->delta;
		fs->refs->ref_count[h->data] -= !last->delta;
		return 0;
	}
	err = log_ready(fs, h);
	if (err)
		return err;
	h->mixed |= h->n && ref_cmp(&h->refs[h->n - 1], &r) >= 0;
	h->refs[h->n++] = r;
	fs->refs->ref_count[h->data]++;
	return 0;
}

/* ---- delaying ------------------------------------------------------------ */

static int delay(struct r3_btrfs *fs, const struct btrfs_ref *what, int delta)
{
	struct head *h;
	int err = head_get(fs, what->bytenr, what->len, what->data, &h);

	if (!err)
		err = log_add(fs, h, what, delta);
	if (err)
		return err;
	fs->trans->edited = true;
	h->level = what->level;
	h->delta += delta;
	head_touch(fs->refs, h);
	btrfs_quota_ref(fs, what, delta);
	if (h->fresh && !h->data && !h->delta && !h->batched && delta < 0) {
		head_take(fs->refs, h);
		btrfs_space_give(fs, h->bytenr, h->len);
		head_free(h);
	}
	return 0;
}

int btrfs_ref_add(struct r3_btrfs *fs, const struct btrfs_ref *ref)
{
	return delay(fs, ref, 1);
}

int btrfs_ref_drop(struct r3_btrfs *fs, const struct btrfs_ref *ref)
{
	return delay(fs, ref, -1);
}

int btrfs_refs_fresh(struct r3_btrfs *fs, uint64_t bytenr, uint64_t len,
		     bool data)
{
	struct head *h;
	int err = head_get(fs, bytenr, len, data, &h);

	if (!err)
		h->fresh = true;
	return err;
}

int btrfs_ref_make_full(struct r3_btrfs *fs, uint64_t bytenr, uint8_t level)
{
	struct head *h;
	int err = head_get(fs, bytenr, fs->nodesize, false, &h);

	if (err)
		return err;
	fs->trans->edited = true;
	h->level = level;
	h->full = true;
	head_touch(fs->refs, h);
	return 0;
}

int btrfs_ref_lookup(struct r3_btrfs *fs, uint64_t bytenr, uint8_t level,
		     uint64_t *refs, uint64_t *flags)
{
	const struct head *h = *head_slot(fs->refs, bytenr);
	const struct btrfs_ref what = { .bytenr = bytenr, .len = fs->nodesize,
					.level = level };
	struct btrfs_extent *x = &fs->refs->looked;
	int err = 0;

	if (h && h->fresh) {
		*refs = 0;
		*flags = BTRFS_EXTENT_FLAG_TREE_BLOCK;
	} else {
		err = btrfs_extent_load(fs, &what, x);
		if (err)
			return err;
		*refs = x->refs;
		*flags = x->flags;
	}
	if (h)
		*refs += (uint64_t)h->delta;
	if (h && h->full)
		*flags |= BTRFS_EXTENT_FLAG_FULL_BACKREF;
	return 0;
}

/* ---- looking, growing ---------------------------------------------------- */

/* Has the extent's item one reference, inline, and is it this one? */
static bool item_is_only(const struct btrfs_extent *x,
			 const struct btrfs_ref *ref)
{
	const uint8_t *p = x->buf + x->head;
	struct btrfs_extent_data_ref d;

	if (x->keyed || x->size != x->head + 1 + sizeof(d) ||
	    *p != BTRFS_EXTENT_DATA_REF)
		return false;
	memcpy(&d, p + 1, sizeof(d));
	return le64(d.root) == ref->root && le64(d.objectid) == ref->ino &&
	       le64(d.offset) == ref->off;
}

int btrfs_ref_alone(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		    bool *out)
{
	const struct ref r = ref_put(ref, 0);
	struct head *h = *head_slot(fs->refs, ref->bytenr);
	struct btrfs_extent *x = &fs->refs->looked;
	int err = 0;

	*out = true;
	if (!h || !h->fresh) {
		err = btrfs_extent_load(fs, ref, x);
		if (!err)
			*out = item_is_only(x, ref);
	}
	if (h)
		head_sort(fs->refs, h);
	for (uint32_t i = 0; h && i < h->n; i++)
		*out = *out && (h->refs[i].delta <= 0 ||
				!ref_cmp(&h->refs[i], &r));
	return err;
}

/* Is the head that of an extent without an item, and with only this one? */
static bool only_fresh(struct btrfs_refs *rs, struct head *h,
		       const struct btrfs_ref *ref)
{
	const struct ref r = ref_put(ref, 1);

	if (!h || !h->fresh || !h->data || h->len != ref->len ||
	    h->delta != 1)
		return false;
	head_sort(rs, h);
	return h->n == 1 && !ref_cmp(&h->refs[0], &r);
}

bool btrfs_ref_grow(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		    uint64_t more)
{
	struct btrfs_refs *rs = fs->refs;
	struct head *h = *head_slot(rs, ref->bytenr);
	struct head *next = *head_slot(rs, ref->bytenr + ref->len);
	struct btrfs_ref grown = *ref;

	if (!only_fresh(rs, h, ref) || !next || !next->fresh || !next->data ||
	    next->touched || next->len != more ||
	    btrfs_group_find(fs, h->bytenr) !=
		    btrfs_group_find(fs, next->bytenr))
		return false;
	head_take(rs, next);
	head_free(next);
	h->len = grown.len = ref->len + more;
	btrfs_quota_ref(fs, ref, -1);
	btrfs_quota_ref(fs, &grown, 1);
	return true;
}

size_t btrfs_refs_count(const struct r3_btrfs *fs)
{
	const struct btrfs_refs *rs = fs->refs;

	return r3_max(rs->waiting, rs->ref_count[0] + rs->ref_count[1]);
}

size_t btrfs_refs_memory(const struct r3_btrfs *fs)
{
	const struct btrfs_refs *rs = fs->refs;

	return rs->head_count * sizeof(struct head) +
	       (rs->ref_count[0] + rs->ref_count[1]) * sizeof(struct ref);
}

uint64_t btrfs_refs_space(const struct r3_btrfs *fs)
{
	const struct btrfs_refs *rs = fs->refs;

	return r3_max(rs->waiting, rs->ref_count[1]) * EXTENT_SPACE +
	       rs->ref_count[0] * BLOCK_REF_SPACE;
}

/* ---- space that changes with them ---------------------------------------- */

static int flush_given(struct r3_btrfs *fs)
{
	struct btrfs_range r = fs->refs->given;

	fs->refs->given.len = 0;
	return r.len ? btrfs_fst_give(fs, r.start, r.len) : 0;
}

static int flush_taken(struct r3_btrfs *fs)
{
	struct btrfs_range r = fs->refs->taken;

	fs->refs->taken.len = 0;
	return r.len ? btrfs_fst_take(fs, r.start, r.len) : 0;
}

static int flush_gone(struct r3_btrfs *fs)
{
	struct btrfs_range r = fs->refs->gone;

	fs->refs->gone.len = 0;
	return r.len ? btrfs_csums_remove(fs, r.start, r.len) : 0;
}

/* Add a range to the one that is gathered, or begin anew with it. */
static int gather(struct r3_btrfs *fs, struct btrfs_range *to,
		  int (*flush)(struct r3_btrfs *fs), uint64_t start,
		  uint64_t len)
{
	int err = 0;

	if (to->len && to->start + to->len == start &&
	    btrfs_group_find(fs, to->start) == btrfs_group_find(fs, start)) {
		to->len += len;
		return 0;
	}
	err = flush(fs);
	*to = (struct btrfs_range){ start, len };
	return err;
}

static int flush_all(struct r3_btrfs *fs)
{
	int err = flush_given(fs);

	if (!err)
		err = flush_taken(fs);
	return err ? err : flush_gone(fs);
}

/* The extent's item came, or went: its group has so much more, or less. */
static int account(struct r3_btrfs *fs, const struct head *h, bool came)
{
	struct btrfs_group *g = btrfs_group_find(fs, h->bytenr);
	uint64_t used = le64(fs->super.bytes_used);

	if (!g || h->len > g->start + g->len - h->bytenr ||
	    (came ? h->len > g->len - g->used
		  : g->used < h->len || used < h->len))
		return btrfs_fail(fs, -EUCLEAN, "extent %llu does not fit its "
				  "block group", (unsigned long long)h->bytenr);
	g->used += came ? h->len : -h->len;
	fs->super.bytes_used = to_le64(used + (came ? h->len : -h->len));
	if (came)
		return gather(fs, &fs->refs->taken, flush_taken, h->bytenr,
			      h->len);
	return gather(fs, &fs->refs->given, flush_given, h->bytenr, h->len);
}

/* ---- running ------------------------------------------------------------- */

/* All references of one sign. */
static int apply_refs(struct r3_btrfs *fs, const struct head *h, bool drops)
{
	int err = 0;

	for (uint32_t i = 0; i < h->n && !err; i++) {
		const struct ref *r = &h->refs[i];
		struct btrfs_ref what = ref_get(h, r);

		if (drops ? r->delta < 0 : r->delta > 0)
			err = btrfs_extent_ref(fs, &fs->refs->extent, &what,
					       r->delta);
	}
	return err;
}

/* Without a reference, and without an item so far. */
static int apply_unborn(struct r3_btrfs *fs, const struct head *h)
{
	int err = h->data ? gather(fs, &fs->refs->gone, flush_gone, h->bytenr,
				   h->len) : 0;

	if (!err)
		btrfs_space_give(fs, h->bytenr, h->len);
	return err;
}

/* Its item is gone; what no commit has seen is free at once. */
static int apply_gone(struct r3_btrfs *fs, const struct head *h)
{
	int err = account(fs, h, false);

	if (!err && h->data)
		err = gather(fs, &fs->refs->gone, flush_gone, h->bytenr,
			     h->len);
	if (err)
		return err;
	if (fs->refs->extent.generation != btrfs_transid(fs))
		return btrfs_space_pin(fs, h->bytenr, h->len);
	btrfs_space_give(fs, h->bytenr, h->len);
	return 0;
}

static int apply(struct r3_btrfs *fs, struct head *h)
{
	struct btrfs_extent *x = &fs->refs->extent;
	const struct btrfs_ref what = ref_get(h, &h->refs[0]);
	int err;

	if (h->fresh && !h->delta)
		return apply_unborn(fs, h);
	err = h->fresh ? btrfs_extent_new(fs, &what, x)
		       : btrfs_extent_load(fs, &what, x);
	if (err)
		return err;
	if (h->full)
		x->flags |= BTRFS_EXTENT_FLAG_FULL_BACKREF;
	err = apply_refs(fs, h, false);
	if (!err)
		err = apply_refs(fs, h, true);
	if (!err)
		err = btrfs_extent_store(fs, x);
	if (!err && h->fresh)
		err = account(fs, h, true);
	else if (!err && !x->refs)
		err = apply_gone(fs, h);
	return err;
}

static bool idle(const struct head *h)
{
	return !h->full && !h->fresh && !h->n;
}

struct batched {
	uint64_t bytenr;
	struct head *head;
};

static int batched_cmp(const void *pa, const void *pb)
{
	const struct batched *a = pa, *b = pb;

	return a->bytenr < b->bytenr ? -1 : a->bytenr > b->bytenr;
}

/* All heads that wait, by address. */
static int collect(struct r3_btrfs *fs, struct batched **out)
{
	const struct btrfs_refs *rs = fs->refs;
	struct batched *p = malloc(rs->waiting * sizeof(*p));
	size_t n = 0;

	if (!p)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	for (size_t i = 0; i < rs->heads_size; i++) {
		for (struct head *h = rs->heads[i]; h; h = h->hash_next) {
			if (!h->touched)
				continue;
			h->batched = true;
			p[n++] = (struct batched){ h->bytenr, h };
		}
	}
	assert(n == rs->waiting);
	qsort(p, n, sizeof(*p), batched_cmp);
	*out = p;
	return 0;
}

static int run_batch(struct r3_btrfs *fs)
{
	struct batched *batch = NULL;
	size_t n = fs->refs->waiting;
	int err = collect(fs, &batch);

	for (size_t i = 0; i < n && !err; i++) {
		struct head *h = batch[i].head;

		head_take(fs->refs, h);
		log_sort(h);
		if (!idle(h))
			err = apply(fs, h);
		head_free(h);
	}
	free(batch);
	return err ? err : flush_all(fs);
}

int btrfs_refs_run(struct r3_btrfs *fs)
{
	int err = 0;

	while (!err && fs->refs->waiting)
		err = run_batch(fs);
	return err;
}

/* ---- opening, closing ---------------------------------------------------- */

void btrfs_refs_forget(struct r3_btrfs *fs)
{
	struct btrfs_refs *rs = fs->refs;

	for (size_t i = 0; rs->head_count && i < rs->heads_size; i++) {
		while (rs->heads[i]) {
			struct head *h = rs->heads[i];

			assert(!h->touched);
			head_take(rs, h);
			btrfs_space_give(fs, h->bytenr, h->len);
			head_free(h);
		}
	}
}

int btrfs_refs_open(struct r3_btrfs *fs)
{
	struct btrfs_refs *rs = calloc(1, sizeof(*rs));

	fs->refs = rs;
	if (rs) {
		rs->heads_size = TABLE_MIN;
		rs->heads = calloc(TABLE_MIN, sizeof(*rs->heads));
		rs->extent.buf = malloc(fs->nodesize);
		rs->extent.waiting = calloc(BTRFS_KEYED_MAX,
					    sizeof(*rs->extent.waiting));
		rs->looked.buf = malloc(fs->nodesize);
	}
	if (!rs || !rs->heads || !rs->extent.buf ||
	    !rs->extent.waiting || !rs->looked.buf)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	return 0;
}

void btrfs_refs_close(struct r3_btrfs *fs)
{
	struct btrfs_refs *rs = fs->refs;

	if (!rs)
		return;
	for (size_t i = 0; rs->heads && i < rs->heads_size; i++) {
		for (struct head *h = rs->heads[i], *next; h; h = next) {
			next = h->hash_next;
			head_free(h);
		}
	}
	free(rs->heads);
	free(rs->extent.buf);
	free(rs->extent.waiting);
	free(rs->looked.buf);
	free(rs);
	fs->refs = NULL;
}
