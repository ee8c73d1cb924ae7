// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extent_edit.c - the items of one extent: its own, with references in it, and
 * the references that have items of their own
 *
 * References in the item are in the order of their types, and of one type in
 * falling order of offset, or hash.  An item of a sixteenth of a leaf takes no
 * more of them, and as long as one reference is keyed, new ones are keyed too:
 * the kernel looks for them in this way (fs/btrfs/extent-tree.c).
 */
#include "space.h"

/* Keyed data references of equal hash take the next offsets; so many are looked
 * at.  Equal hashes do not happen by chance. */
enum { COLLISIONS_MAX = 1024 };

static uint32_t item_max(const struct r3_btrfs *fs)
{
	return ((fs->nodesize - (uint32_t)sizeof(struct btrfs_header)) >> 4) -
	       (uint32_t)sizeof(struct btrfs_item);
}

static uint8_t ref_type(const struct btrfs_ref *r)
{
	if (r->data)
		return r->parent ? BTRFS_SHARED_DATA_REF
				 : BTRFS_EXTENT_DATA_REF;
	return r->parent ? BTRFS_SHARED_BLOCK_REF : BTRFS_TREE_BLOCK_REF;
}

/* The offset of a keyed item, and the place among those in the item. */
static uint64_t ref_order(const struct btrfs_ref *r)
{
	if (r->parent)
		return r->parent;
	return r->data ? btrfs_data_ref_hash(r->root, r->ino, r->off) : r->root;
}

struct ref_text {
	char s[192];
};

static struct ref_text ref_text(const struct btrfs_ref *r)
{
	struct ref_text t;

	if (r->parent)
		snprintf(t.s, sizeof(t.s), "from block %llu",
			 (unsigned long long)r->parent);
	else if (!r->data)
		snprintf(t.s, sizeof(t.s), "from tree %s",
			 btrfs_tree_text(r->root).s);
	else
		snprintf(t.s, sizeof(t.s), "from tree %s inode %llu offset "
			 "%lld", btrfs_tree_text(r->root).s,
			 (unsigned long long)r->ino, (long long)r->off);
	return t;
}

static int no_ref(struct r3_btrfs *fs, const struct btrfs_ref *r)
{
	return btrfs_fail(fs, -EUCLEAN, "tree extent: extent %llu has no "
			  "reference %s, which is to go",
			  (unsigned long long)r->bytenr, ref_text(r).s);
}

/* ---- the item ------------------------------------------------------------ */

static bool is_extent(struct btrfs_key k, uint64_t bytenr)
{
	return k.objectid == bytenr && (k.type == BTRFS_EXTENT_ITEM ||
					k.type == BTRFS_METADATA_ITEM);
}

static int take_item(struct r3_btrfs *fs, const struct btrfs_cursor *c,
		     struct btrfs_extent *x)
{
	const struct btrfs_extent_item *e = c->data;
	bool data = le64(e->flags) & BTRFS_EXTENT_FLAG_DATA;

	if (data != x->data || (data && c->key.offset != x->len))
		return btrfs_fail(fs, -EUCLEAN, "%s: not the extent that is "
				  "referred to", btrfs_cursor_where(c).s);
	x->key = c->key;
	x->there = true;
	x->refs = le64(e->refs);
	x->generation = le64(e->generation);
	x->flags = le64(e->flags);
	x->head = sizeof(*e);
	if (!data && c->key.type == BTRFS_EXTENT_ITEM)
		x->head += (uint32_t)sizeof(struct btrfs_tree_block_info);
	x->size = c->size;
	memcpy(x->buf, c->data, c->size);
	return 0;
}

int btrfs_extent_load(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		      struct btrfs_extent *x)
{
	struct btrfs_cursor c;
	int err;

	*x = (struct btrfs_extent){ .bytenr = ref->bytenr, .len = ref->len,
				    .data = ref->data, .buf = x->buf,
				    .waiting = x->waiting };
	btrfs_cursor_init(&c, fs, &fs->extent);
	err = btrfs_cursor_seek(&c, KEY(ref->bytenr, BTRFS_EXTENT_ITEM, 0));
	if (err == -ENOENT || (!err && !is_extent(c.key, ref->bytenr)))
		err = btrfs_fail(fs, -EUCLEAN, "tree extent: there is no "
				 "extent %llu, which a reference %s is about",
				 (unsigned long long)ref->bytenr,
				 ref_text(ref).s);
	else if (!err)
		err = take_item(fs, &c, x);
	if (!err) {
		err = btrfs_cursor_next(&c);
		x->keyed = !err && c.key.objectid == ref->bytenr &&
			   c.key.type < BTRFS_BLOCK_GROUP_ITEM;
		err = err == -ENOENT ? 0 : err;
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* An item that is not skinny says where its block begins; the kernel puts there
 * what is the first key when the block is new. */
static int block_info(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		      struct btrfs_tree_block_info *info)
{
	const struct btrfs_expect e = { .tree = ref->root,
					.generation = btrfs_transid(fs),
					.level = ref->level };
	struct btrfs_block *b;
	int err = btrfs_block_get(fs, ref->bytenr, &e, &b);

	if (err)
		return err;
	*info = (struct btrfs_tree_block_info){ .level = ref->level };
	if (b->nritems)
		info->key = btrfs_key_put(btrfs_block_key(b, 0));
	btrfs_block_put(b);
	return 0;
}

int btrfs_extent_new(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		     struct btrfs_extent *x)
{
	bool skinny = !ref->data && fs->incompat & BTRFS_INCOMPAT_SKINNY;
	struct btrfs_tree_block_info info;
	int err;

	*x = (struct btrfs_extent){
		.bytenr = ref->bytenr, .len = ref->len, .data = ref->data,
		.key = skinny ? KEY(ref->bytenr, BTRFS_METADATA_ITEM,
				    ref->level)
			      : KEY(ref->bytenr, BTRFS_EXTENT_ITEM, ref->len),
		.generation = btrfs_transid(fs),
		.flags = ref->data ? BTRFS_EXTENT_FLAG_DATA
				   : BTRFS_EXTENT_FLAG_TREE_BLOCK,
		.head = sizeof(struct btrfs_extent_item),
		.buf = x->buf,
		.waiting = x->waiting,
	};
	if (!ref->data && !skinny) {
		err = block_info(fs, ref, &info);
		if (err)
			return err;
		memcpy(x->buf + x->head, &info, sizeof(info));
		x->head += (uint32_t)sizeof(info);
	}
	x->size = x->head;
	return 0;
}

static int miscounted(struct r3_btrfs *fs, const struct btrfs_extent *x)
{
	return btrfs_fail(fs, -EUCLEAN, "tree extent: extent %llu has more "
			  "references than it counts",
			  (unsigned long long)x->bytenr);
}

/* An item that goes leaves no reference behind, in it or keyed; simple quotas'
 * note of who made the extent goes with it. */
static int none_left(struct r3_btrfs *fs, const struct btrfs_extent *x)
{
	uint32_t owner = x->size > x->head && x->buf[x->head] ==
						      BTRFS_EXTENT_OWNER_REF
				 ? (uint32_t)sizeof(struct btrfs_inline_ref)
				 : 0;
	struct btrfs_cursor c;
	bool more;
	int err;

	if (x->size != x->head + owner)
		return miscounted(fs, x);
	if (!x->keyed)
		return 0;
	btrfs_cursor_init(&c, fs, &fs->extent);
	err = btrfs_cursor_seek(&c, KEY(x->bytenr, BTRFS_TREE_BLOCK_REF, 0));
	more = !err && c.key.objectid == x->bytenr &&
	       c.key.type < BTRFS_BLOCK_GROUP_ITEM;
	btrfs_cursor_fini(&c);
	if (err && err != -ENOENT)
		return err;
	return more ? miscounted(fs, x) : 0;
}

/* ---- references in the item ---------------------------------------------- */

static uint32_t inline_len(uint8_t type)
{
	switch (type) {
	case BTRFS_EXTENT_DATA_REF:
		return 1 + (uint32_t)sizeof(struct btrfs_extent_data_ref);
	case BTRFS_SHARED_DATA_REF:
		return (uint32_t)(sizeof(struct btrfs_inline_ref) +
				  sizeof(r3_le32));
	}
	return (uint32_t)sizeof(struct btrfs_inline_ref);
}

/* Bytes of the count in it, 0 when it has none. */
static uint32_t count_at(uint8_t type)
{
	if (type == BTRFS_EXTENT_DATA_REF)
		return 1 + offsetof(struct btrfs_extent_data_ref, count);
	return type == BTRFS_SHARED_DATA_REF
		       ? (uint32_t)sizeof(struct btrfs_inline_ref) : 0;
}

static uint64_t inline_order(const uint8_t *p)
{
	const struct btrfs_inline_ref *r = (const void *)p;
	const struct btrfs_extent_data_ref *d = (const void *)(p + 1);

	if (*p != BTRFS_EXTENT_DATA_REF)
		return le64(r->offset);
	return btrfs_data_ref_hash(le64(d->root), le64(d->objectid),
				   le64(d->offset));
}

static bool same_data(const struct btrfs_extent_data_ref *d,
		      const struct btrfs_ref *r)
{
	return le64(d->root) == r->root && le64(d->objectid) == r->ino &&
	       le64(d->offset) == r->off;
}

/* Where the reference is in the item, or would be. */
static bool inline_find(const struct btrfs_extent *x,
			const struct btrfs_ref *r, uint32_t *out)
{
	uint8_t type = ref_type(r);
	uint64_t order = ref_order(r);
	uint32_t at = x->head;

	for (; at < x->size; at += inline_len(x->buf[at])) {
		const uint8_t *p = x->buf + at;
		uint64_t here = *p == type ? inline_order(p) : 0;

		if (*p > type || (*p == type && here < order))
			break;
		if (*p < type || here > order)
			continue;
		if (type != BTRFS_EXTENT_DATA_REF ||
		    same_data((const void *)(p + 1), r)) {
			*out = at;
			return true;
		}
	}
	*out = at;
	return false;
}

static void inline_insert(struct btrfs_extent *x, const struct btrfs_ref *r,
			  uint32_t at, uint32_t count)
{
	uint8_t type = ref_type(r), *p = x->buf + at;
	const struct btrfs_extent_data_ref d = {
		to_le64(r->root), to_le64(r->ino), to_le64(r->off),
		to_le32(count)
	};
	r3_le64 order = to_le64(ref_order(r));
	r3_le32 n = to_le32(count);

	memmove(p + inline_len(type), p, x->size - at);
	x->size += inline_len(type);
	*p = type;
	if (type == BTRFS_EXTENT_DATA_REF)
		memcpy(p + 1, &d, sizeof(d));
	else
		memcpy(p + 1, &order, sizeof(order));
	if (type == BTRFS_SHARED_DATA_REF)
		memcpy(p + count_at(type), &n, sizeof(n));
}

static void inline_remove(struct btrfs_extent *x, uint32_t at)
{
	uint32_t len = inline_len(x->buf[at]);

	memmove(x->buf + at, x->buf + at + len, x->size - at - len);
	x->size -= len;
}

/* @n as changed by @delta; what has no count field counts 1. */
static bool count_change(uint32_t *n, int64_t delta, bool counts)
{
	int64_t sum = (int64_t)*n + delta;

	if (sum < 0 || sum > (counts ? UINT32_MAX : 1))
		return false;
	*n = (uint32_t)sum;
	return true;
}

static int too_many(struct r3_btrfs *fs, const struct btrfs_ref *r,
		    int64_t delta)
{
	if (delta < 0)
		return no_ref(fs, r);
	return btrfs_fail(fs, -EUCLEAN, "tree extent: extent %llu already has "
			  "a reference %s", (unsigned long long)r->bytenr,
			  ref_text(r).s);
}

static int inline_change(struct r3_btrfs *fs, struct btrfs_extent *x,
			 const struct btrfs_ref *r, uint32_t at, int64_t delta)
{
	uint32_t off = count_at(ref_type(r)), n = 1;
	r3_le32 count;

	if (off) {
		memcpy(&count, x->buf + at + off, sizeof(count));
		n = le32(count);
	}
	if (!count_change(&n, delta, off))
		return too_many(fs, r, delta);
	count = to_le32(n);
	if (!n)
		inline_remove(x, at);
	else if (off)
		memcpy(x->buf + at + off, &count, sizeof(count));
	return 0;
}

/* ---- references with items of their own ---------------------------------- */

/* Its key; -ENOENT and in @key the first place that is free. */
static int keyed_find(struct r3_btrfs *fs, const struct btrfs_ref *r,
		      struct btrfs_key *key)
{
	uint64_t order = ref_order(r);
	/* the others' offsets are no hashes */
	unsigned collisions = r->data && !r->parent ? COLLISIONS_MAX : 0;
	struct btrfs_cursor c;
	int err;

	*key = KEY(r->bytenr, ref_type(r), order);
	btrfs_cursor_init(&c, fs, &fs->extent);
	err = btrfs_cursor_seek(&c, *key);
	while (!err && c.key.objectid == r->bytenr && c.key.type == key->type &&
	       c.key.offset - order <= collisions) {
		if (c.key.type == BTRFS_EXTENT_DATA_REF
			    ? same_data(c.data, r) : c.key.offset == order) {
			*key = c.key;
			btrfs_cursor_fini(&c);
			return 0;
		}
		if (c.key.offset == key->offset)
			key->offset++;
		err = btrfs_cursor_next(&c);
	}
	btrfs_cursor_fini(&c);
	return err && err != -ENOENT ? err : -ENOENT;
}

/* Those that wait go into the tree. */
static int keyed_flush(struct r3_btrfs *fs, struct btrfs_extent *x)
{
	struct btrfs_tree *tree;
	unsigned n = x->waiting_count;
	int err;

	if (!n)
		return 0;
	x->waiting_count = 0;
	err = btrfs_tree_get(fs, BTRFS_EXTENT_TREE, &tree);
	if (!err)
		err = btrfs_items_insert(fs, tree, x->waiting, n);
	if (err == -EEXIST)
		err = btrfs_fail(fs, -EUCLEAN, "tree extent: extent %llu "
				 "already has a reference that is to come",
				 (unsigned long long)x->bytenr);
	return err;
}

static int keyed_wait(struct r3_btrfs *fs, struct btrfs_extent *x,
		      struct btrfs_key key)
{
	unsigned n = x->waiting_count;
	int err = 0;

	if (n == BTRFS_KEYED_MAX ||
	    (n && btrfs_key_cmp(x->waiting[n - 1], key) >= 0))
		err = keyed_flush(fs, x);
	x->waiting[x->waiting_count++] = key;
	return err;
}

static int keyed_insert(struct r3_btrfs *fs, struct btrfs_extent *x,
			const struct btrfs_ref *r, struct btrfs_key key,
			uint32_t count)
{
	const struct btrfs_extent_data_ref d = {
		to_le64(r->root), to_le64(r->ino), to_le64(r->off),
		to_le32(count)
	};
	r3_le32 n = to_le32(count);
	struct btrfs_tree *tree;
	int err;

	x->keyed = true;
	if (!r->data)
		return keyed_wait(fs, x, key);
	err = btrfs_tree_get(fs, BTRFS_EXTENT_TREE, &tree);
	if (err)
		return err;
	if (key.type == BTRFS_EXTENT_DATA_REF)
		return btrfs_item_insert(fs, tree, key, &d, sizeof(d), NULL);
	return btrfs_item_insert(fs, tree, key, &n, sizeof(n), NULL);
}

static int keyed_change(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const struct btrfs_ref *r, struct btrfs_key key,
			int64_t delta)
{
	uint32_t off = r->parent ? 0 : offsetof(struct btrfs_extent_data_ref,
						count);
	struct btrfs_spot spot;
	r3_le32 count;
	uint32_t n = 1;
	int err = btrfs_item_edit(fs, tree, key, &spot);

	if (err)
		return err;
	if (r->data) {
		memcpy(&count, spot.data + off, sizeof(count));
		n = le32(count);
	}
	if (!count_change(&n, delta, r->data))
		return too_many(fs, r, delta);
	if (!n)
		return btrfs_item_delete(fs, tree, key);
	count = to_le32(n);
	if (r->data)
		memcpy(spot.data + off, &count, sizeof(count));
	return 0;
}

/* ---- either -------------------------------------------------------------- */

static int ref_insert(struct r3_btrfs *fs, struct btrfs_extent *x,
		      const struct btrfs_ref *r, uint32_t at,
		      struct btrfs_key key, int64_t delta)
{
	uint32_t n = 0;

	if (!count_change(&n, delta, r->data))
		return too_many(fs, r, delta);
	if (x->keyed || x->size + inline_len(ref_type(r)) >= item_max(fs))
		return keyed_insert(fs, x, r, key, n);
	inline_insert(x, r, at, n);
	return 0;
}

/* Where its item is; -ENOENT and in @key where it may be.  A tree block has a
 * reference once, so one that comes needs no search: that it is there already
 * would be found when it is put in. */
static int keyed_place(struct r3_btrfs *fs, struct btrfs_extent *x,
		       const struct btrfs_ref *r, int64_t delta,
		       struct btrfs_key *key)
{
	int err;

	if (!x->keyed || (!r->data && delta > 0))
		return -ENOENT;
	err = keyed_flush(fs, x);
	return err ? err : keyed_find(fs, r, key);
}

int btrfs_extent_ref(struct r3_btrfs *fs, struct btrfs_extent *x,
		     const struct btrfs_ref *r, int64_t delta)
{
	struct btrfs_key key = KEY(r->bytenr, ref_type(r), ref_order(r));
	struct btrfs_tree *tree;
	uint32_t at;
	int err;

	if (inline_find(x, r, &at)) {
		err = inline_change(fs, x, r, at, delta);
	} else {
		err = keyed_place(fs, x, r, delta, &key);
		if (err == -ENOENT) {
			err = ref_insert(fs, x, r, at, key, delta);
		} else if (!err) {
			err = btrfs_tree_get(fs, BTRFS_EXTENT_TREE, &tree);
			if (!err)
				err = keyed_change(fs, tree, r, key, delta);
		}
	}
	if (err)
		return err;
	if (delta < 0 && x->refs < (uint64_t)-delta)
		return miscounted(fs, x);
	x->refs += (uint64_t)delta;
	return 0;
}

int btrfs_extent_store(struct r3_btrfs *fs, struct btrfs_extent *x)
{
	struct btrfs_extent_item item = { to_le64(x->refs),
					  to_le64(x->generation),
					  to_le64(x->flags) };
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	int err = keyed_flush(fs, x);

	if (!err)
		err = btrfs_tree_get(fs, BTRFS_EXTENT_TREE, &tree);
	if (!err && !x->refs)
		err = none_left(fs, x);
	if (err)
		return err;
	if (!x->refs)
		return btrfs_item_delete(fs, tree, x->key);
	memcpy(x->buf, &item, sizeof(item));
	if (!x->there)
		return btrfs_item_insert(fs, tree, x->key, x->buf, x->size,
					 NULL);
	err = btrfs_item_resize(fs, tree, x->key, x->size, &spot);
	if (!err)
		memcpy(spot.data, x->buf, x->size);
	return err;
}
