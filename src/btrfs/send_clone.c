// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send_clone.c - where a receiver has some data already
 *
 * In the new subvolume, as far as it was sent; or in a clone source.  The
 * extents of clone sources are listed, by address, when the first comes that is
 * old enough to be among them; what they share is read once.
 */
#include "send.h"
#include "walk.h"

static int add_holder(struct send *s, const struct btrfs_walk *w,
		      uint32_t source)
{
	struct btrfs_key key = btrfs_walk_key(w);
	const struct btrfs_file_extent_reg *r =
		btrfs_item_data(w->c.path[0], w->c.slot[0]);

	if (key.type != BTRFS_EXTENT_DATA ||
	    r->head.type != BTRFS_FILE_REG || !le64(r->disk_bytenr))
		return 0;
	return vec_push(&s->holders, (struct holder){
				le64(r->disk_bytenr), le64(r->offset),
				le64(r->num_bytes), key.objectid, key.offset,
				source })
		       ? 0 : send_no_memory(s);
}

/* All extents of a clone source but those below blocks that were seen. */
static int list_source(struct send *s, uint32_t source, struct table *seen)
{
	struct btrfs_root root;
	struct btrfs_walk w;
	int err = btrfs_subvol_root(s->fs, s->sources.p[source].id, &root);

	if (err)
		return err;
	err = btrfs_walk_init(&w, s->fs, &root);
	while (!err && !w.end && s->holders.n < CLONES_MAX) {
		uint64_t block;

		if (!w.level) {
			err = add_holder(s, &w, source);
			btrfs_walk_over(&w);
			continue;
		}
		block = le64(btrfs_walk_ptr(&w)->blockptr);
		if (send_table_find(seen, block, 0)) {
			btrfs_walk_over(&w);
			continue;
		}
		if (!send_table_add(seen, (struct known){ .key = block,
							  .path = 1 }))
			err = send_no_memory(s);
		if (!err)
			err = btrfs_walk_down(&w);
	}
	btrfs_walk_fini(&w);
	return err;
}

static int by_address(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->logical != y->logical)
		return x->logical < y->logical ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int list_holders(struct send *s)
{
	struct table seen = { 0 };
	int err = 0;

	s->listed = true;
	for (uint32_t i = 0; !err && i < s->sources.n; i++)
		err = list_source(s, i, &seen);
	free(seen.p);
	if (!err && s->holders.n)
		qsort(s->holders.p, s->holders.n, sizeof(*s->holders.p),
		      by_address);
	return err;
}

/* The first holder past (logical, offset). */
static size_t upper_bound(const struct send *s, uint64_t logical,
			  uint64_t offset)
{
	struct holder key = { .logical = logical, .offset = offset };
	size_t lo = 0, hi = s->holders.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_address(&s->holders.p[mid], &key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* -ENOENT: its file has no name left, or ends before this. */
static int use_holder(struct send *s, const struct holder *h, uint64_t offset)
{
	const struct source *from = &s->sources.p[h->source];
	struct r3_btrfs_inode in = { from->id, h->ino };
	struct origin *o = &s->origin;
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(s->fs, in, &st);

	if (!err)
		err = btrfs_inode_path(s->fs, from->id, h->ino, o->path_buf);
	if (err)
		return err;
	o->uuid = from->uuid;
	o->ctransid = from->ctransid;
	o->path = o->path_buf;
	o->start = h->start + (offset - h->offset);
	if (o->start >= (uint64_t)st.st.st_size)
		return -ENOENT;
	o->len = r3_min(h->offset + h->len - offset,
			(uint64_t)st.st.st_size - o->start);
	return 0;
}

static bool use_own(struct send *s, const struct r3_btrfs_extent *x,
		    uint64_t offset)
{
	struct known *k = send_table_find(&s->pieces, x->logical, offset);

	if (!k)
		return false;
	s->origin.uuid = s->uuid;
	s->origin.ctransid = s->ctransid;
	s->origin.path = s->text.p + k->path;
	s->origin.start = k->start;
	s->origin.len = k->len;
	return true;
}

int send_find_origin(struct send *s, const struct r3_btrfs_extent *x,
		     uint64_t from, uint64_t *next)
{
	enum { TRIES = 16 }; /* holders that overlap: enough for most */
	uint64_t offset = x->offset + (from - x->start);
	int err = 0;
	size_t at;

	*next = UINT64_MAX;
	if (!r3_is_aligned(from, BTRFS_SECTOR))
		return -ENOENT;
	if (use_own(s, x, offset))
		return 0;
	if (x->generation > s->sources_generation)
		return -ENOENT;
	if (!s->listed)
		err = list_holders(s);
	if (err)
		return err;
	at = upper_bound(s, x->logical, offset);
	if (at < s->holders.n && s->holders.p[at].logical == x->logical)
		*next = from + (s->holders.p[at].offset - offset);
	for (unsigned i = 0; i < TRIES && at--; i++) {
		const struct holder *h = &s->holders.p[at];

		if (h->logical != x->logical)
			break;
		if (offset - h->offset >= h->len)
			continue;
		err = use_holder(s, h, offset);
		if (err != -ENOENT)
			return err;
	}
	return -ENOENT;
}

int send_add_source(struct send *s, const struct r3_btrfs_subvol *v)
{
	struct source from = { .id = v->id, .ctransid = v->ctransid };

	if (v->id == s->subvol)
		return 0;
	memcpy(from.uuid, send_stream_uuid(v), 16);
	s->sources_generation = r3_max(s->sources_generation, v->generation);
	return vec_push(&s->sources, from) ? 0 : send_no_memory(s);
}
