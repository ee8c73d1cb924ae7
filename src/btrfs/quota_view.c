// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota_view.c - which subvolumes reach an extent, found by going up
 *
 * An extent's references are of four kinds.  Shared ones name the block above.
 * Keyed ones name a tree, and the block above is found from its root: for a
 * tree block by its first key, for data by inode and offset, which several
 * leaves may hold.  What reaches the block above reaches the extent; a block
 * at the top is reached by its tree.
 *
 * A block that a tree made after it was last snapshotted, and not by
 * relocation, is that tree's alone: there the way up is short.
 */
#include "quota_view.h"

enum { DEPTH_MAX = BTRFS_LEVELS_MAX + 1 };

static int no_memory(struct r3_btrfs *fs)
{
	return btrfs_fail(fs, -ENOMEM, "out of memory");
}

static int wrong(const struct quota_view *v, uint64_t bytenr, const char *what)
{
	return btrfs_fail(v->fs, -EUCLEAN, "tree extent: %s %llu: %s; run "
			  "check", v->committed ? "committed extent" : "extent",
			  (unsigned long long)bytenr, what);
}

/* ---- subvolumes ---------------------------------------------------------- */

static void subvol_take(struct quota_view_subvol *s,
			const struct btrfs_root *root,
			const struct btrfs_root_item *item,
			uint64_t last_snapshot)
{
	uint64_t made = le64(item->otransid);

	s->there = true;
	s->root = *root;
	s->drop_key = btrfs_key_get(&item->drop_progress);
	s->dropping = s->drop_key.objectid;
	/* A number may be used again: blocks of its last owner are no newer
	 * than this one.  Old kernels did not write when that was. */
	s->alone_after = made > last_snapshot ? made : last_snapshot;
	if (!made && root->id != BTRFS_FS_TREE)
		s->alone_after = UINT64_MAX;
}

static int subvol_load_committed(struct quota_view *v, uint64_t id,
				 struct quota_view_subvol *s)
{
	struct btrfs_root_item r;
	struct btrfs_root root;
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, v->fs, &v->tree_root);
	err = btrfs_cursor_seek(&c, KEY(id, BTRFS_ROOT_ITEM, 0));
	if (!err && c.key.objectid == id && c.key.type == BTRFS_ROOT_ITEM) {
		btrfs_root_item_get(&r, c.data, c.size);
		root = (struct btrfs_root){ id, le64(r.bytenr),
					    le64(r.generation), r.level };
		subvol_take(s, &root, &r, le64(r.last_snapshot));
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

static int subvol_load(struct quota_view *v, uint32_t member)
{
	uint64_t id = v->fs->quotas->subvols.p[member].id;
	struct quota_view_subvol *s = &v->subvols[member];
	struct btrfs_tree *t;
	int err;

	s->loaded = true;
	if (v->committed)
		return subvol_load_committed(v, id, s);
	err = btrfs_tree_get(v->fs, id, &t);
	if (!err)
		subvol_take(s, t->root, &t->item, t->last_snapshot);
	return err == -ENOENT ? 0 : err;
}

/* What the view knows of a subvolume; NULL for a tree that is none. */
static int subvol_get(struct quota_view *v, uint64_t id, uint32_t *member,
		      const struct quota_view_subvol **out)
{
	const struct btrfs_quota *q = v->fs->quotas;
	const struct quota_subvol *s = quota_subvol(q, id);
	int err = 0;

	*out = NULL;
	if (!s)
		return 0;
	*member = (uint32_t)(s - q->subvols.p);
	if (!v->subvols[*member].loaded)
		err = subvol_load(v, *member);
	if (!err && v->subvols[*member].there)
		*out = &v->subvols[*member];
	return err;
}

/* ---- sets of blocks ------------------------------------------------------ */

static int extent_set(struct quota_view *v, uint64_t bytenr,
		      struct quota_view_extent *out);

static int unite(struct quota_view *v, uint32_t *set, uint32_t with)
{
	return btrfs_qcount_unite(v->qcount, *set, with, set)
		       ? 0 : no_memory(v->fs);
}

static int add_alone(struct quota_view *v, uint32_t member)
{
	return vec_push(&v->alone, member) ? 0 : no_memory(v->fs);
}

/* All that reach the block at @bytenr. */
static int add_block(struct quota_view *v, uint64_t bytenr, uint32_t *set)
{
	const uint32_t *known = quota_map_get(&v->sets, bytenr);
	struct quota_view_extent x;
	int err;

	if (known)
		return unite(v, set, *known);
	err = extent_set(v, bytenr, &x);
	if (!err && !x.there)
		err = wrong(v, bytenr, "something refers to a block that is "
			    "not there");
	if (!err && !quota_map_put(&v->sets, bytenr, x.set))
		err = no_memory(v->fs);
	return err ? err : unite(v, set, x.set);
}

/* The same for a block that was read; *alone: one tree's own. */
static int add_read_block(struct quota_view *v, const struct btrfs_block *b,
			  uint32_t *set, bool *alone)
{
	const struct quota_view_subvol *s;
	uint32_t member;
	int err = subvol_get(v, b->owner, &member, &s);

	*alone = !err && s && !(b->flags & BTRFS_HEADER_RELOC) &&
		 b->generation > s->alone_after;
	if (err)
		return err;
	return *alone ? add_alone(v, member) : add_block(v, b->logical, set);
}

/* ---- keyed references ---------------------------------------------------- */

/* The child of @b on the way to @key. */
static unsigned child_slot(const struct btrfs_block *b, struct btrfs_key key)
{
	unsigned lo = 0, hi = b->nritems;

	while (hi - lo > 1) {
		unsigned mid = lo + (hi - lo) / 2;

		if (btrfs_key_cmp(btrfs_block_key(b, mid), key) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* The block of tree @root at @level on the way to @key. */
static int go_down(struct quota_view *v, const struct btrfs_root *root,
		   struct btrfs_key key, unsigned level,
		   struct btrfs_block **out)
{
	struct btrfs_expect e = { .tree = root->id,
				  .generation = root->generation,
				  .level = root->level };
	struct btrfs_block *b;
	int err = btrfs_block_get(v->fs, root->bytenr, &e, &b);

	while (!err && b->level > level) {
		const struct btrfs_key_ptr *p =
			btrfs_ptr_at(b, child_slot(b, key));
		struct btrfs_block *up = b;

		e.generation = le64(p->generation);
		e.level = up->level - 1;
		err = btrfs_block_get(v->fs, le64(p->blockptr), &e, &b);
		btrfs_block_put(up);
	}
	if (!err)
		*out = b;
	return err;
}

static int first_key(struct quota_view *v, uint64_t root, uint64_t bytenr,
		     uint64_t generation, int level, struct btrfs_key *key)
{
	struct btrfs_expect e = { .tree = root, .generation = generation,
				  .level = level };
	struct btrfs_block *b;
	int err = btrfs_block_get(v->fs, bytenr, &e, &b);

	if (err)
		return err;
	if (b->nritems)
		*key = btrfs_block_key(b, 0);
	else
		err = wrong(v, bytenr, "an empty block below another");
	btrfs_block_put(b);
	return err;
}

/* An extent whose references are being followed. */
struct below {
	uint64_t bytenr, len, generation;
	int level; /* -1: data */
	bool has_key;
	struct btrfs_key key; /* of a tree block, once it was needed */
};

/* A tree block, by tree @id. */
static int add_tree_ref(struct quota_view *v, struct below *x, uint64_t id,
			uint32_t *set)
{
	const struct quota_view_subvol *s;
	struct btrfs_block *b;
	uint32_t member;
	bool alone;
	int err = subvol_get(v, id, &member, &s);

	if (err || !s)
		return err;
	/* The block above one below the root is the root; roots are never
	 * shared. */
	if (x->level >= s->root.level - 1)
		return add_alone(v, member);
	if (!x->has_key)
		err = first_key(v, id, x->bytenr, x->generation, x->level,
				&x->key);
	x->has_key = true;
	if (!err)
		err = go_down(v, &s->root, x->key, (unsigned)x->level + 1, &b);
	if (err)
		return err;
	if (le64(btrfs_ptr_at(b, child_slot(b, x->key))->blockptr) !=
	    x->bytenr)
		err = wrong(v, x->bytenr, "the tree that refers to it does "
			    "not have it");
	if (!err)
		err = add_read_block(v, b, set, &alone);
	btrfs_block_put(b);
	return err;
}

static bool leads_to(const struct btrfs_cursor *c, uint64_t bytenr,
		     uint64_t off)
{
	const struct btrfs_file_extent_reg *x = c->data;

	return x->head.type != BTRFS_FILE_INLINE &&
	       le64(x->disk_bytenr) == bytenr &&
	       c->key.offset - le64(x->offset) == off;
}

/* Data, by items of inode @ino in tree @id; @count of them lie in leaves whose
 * references are keyed.  The others belong to other references of the extent:
 * they do no harm here. */
static int add_data_ref(struct quota_view *v, const struct below *x,
			const struct btrfs_extent_data_ref *d, uint32_t *set)
{
	uint64_t ino = le64(d->objectid), off = le64(d->offset);
	uint64_t start = off > INT64_MAX ? 0 : off, end;
	uint64_t span = x->len > BTRFS_COMPRESSED_MAX ? x->len
						       : BTRFS_COMPRESSED_MAX;
	const struct quota_view_subvol *s;
	uint32_t member, left = le32(d->count);
	uint64_t last = 0; /* the leaf */
	struct btrfs_cursor c;
	struct btrfs_key key;
	bool alone = false;
	int err = subvol_get(v, le64(d->root), &member, &s);

	if (err || !s)
		return err;
	key = KEY(ino, BTRFS_EXTENT_DATA, start);
	if (s->dropping && btrfs_key_cmp(key, s->drop_key) < 0)
		key = s->drop_key;
	end = off + span; /* may wrap back to small */
	btrfs_cursor_init(&c, v->fs, &s->root);
	err = btrfs_cursor_seek(&c, key);
	for (; !err && left && c.key.objectid == ino &&
	       btrfs_key_cmp(c.key, KEY(ino, BTRFS_EXTENT_DATA, end)) < 0;
	     err = btrfs_cursor_next(&c)) {
		if (c.key.type != BTRFS_EXTENT_DATA ||
		    !leads_to(&c, x->bytenr, off))
			continue;
		if (c.path[0]->logical != last)
			err = add_read_block(v, c.path[0], set, &alone);
		if (err)
			break;
		last = c.path[0]->logical;
		left -= alone && c.path[0]->owner == s->root.id;
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* ---- an extent ----------------------------------------------------------- */

static int add_plain(struct quota_view *v, struct below *x, uint8_t type,
		     uint64_t who, uint32_t *set)
{
	switch (type) {
	case BTRFS_TREE_BLOCK_REF:
		return add_tree_ref(v, x, who, set);
	case BTRFS_SHARED_BLOCK_REF:
	case BTRFS_SHARED_DATA_REF:
		return add_block(v, who, set);
	}
	return 0; /* EXTENT_OWNER_REF refers to nothing */
}

/* References in the extent's own item; their form was checked. */
static int add_inline(struct quota_view *v, struct below *x, struct r3_span s,
		      uint32_t *set)
{
	int err = 0;

	while (!err && s.len) {
		const struct btrfs_inline_ref *r = (const void *)s.p;

		if (r->type == BTRFS_EXTENT_DATA_REF) {
			r3_take(&s, 1);
			err = add_data_ref(v, x,
					   r3_take(&s,
					    sizeof(struct btrfs_extent_data_ref)),
					   set);
			continue;
		}
		r3_take(&s, sizeof(*r));
		if (r->type == BTRFS_SHARED_DATA_REF)
			r3_take(&s, sizeof(r3_le32));
		err = add_plain(v, x, r->type, le64(r->offset), set);
	}
	return err;
}

/* The cursor stands on the extent's item; what follows may be references. */
static int add_refs(struct quota_view *v, struct btrfs_cursor *c,
		    struct below *x, struct r3_span s, uint32_t *set)
{
	int err = add_inline(v, x, s, set);

	while (!err && !(err = btrfs_cursor_next(c)) &&
	       c->key.objectid == x->bytenr) {
		if (c->key.type == BTRFS_EXTENT_DATA_REF)
			err = add_data_ref(v, x, c->data, set);
		else
			err = add_plain(v, x, c->key.type, c->key.offset, set);
	}
	return err == -ENOENT ? 0 : err;
}

static int member_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Add the members from alone[first] on to the set. */
static int add_all_alone(struct quota_view *v, size_t first, uint32_t *set)
{
	uint32_t *m = v->alone.p + first, made;
	uint32_t count = (uint32_t)(v->alone.n - first), n = 0;

	if (!count)
		return 0;
	qsort(m, count, sizeof(*m), member_cmp);
	for (uint32_t i = 0; i < count; i++) {
		if (!n || m[n - 1] != m[i])
			m[n++] = m[i];
	}
	v->alone.n = first;
	return btrfs_qcount_set(v->qcount, m, n, &made)
		       ? unite(v, set, made) : no_memory(v->fs);
}

static int item_set(struct quota_view *v, struct btrfs_cursor *c,
		    struct quota_view_extent *out)
{
	const struct btrfs_extent_item *item = c->data;
	bool data = le64(item->flags) & BTRFS_EXTENT_FLAG_DATA;
	bool skinny = c->key.type == BTRFS_METADATA_ITEM;
	const struct btrfs_tree_block_info *info;
	struct r3_span s = { c->data, c->size };
	struct below x = {
		.bytenr = c->key.objectid,
		.len = skinny ? v->fs->nodesize : c->key.offset,
		.generation = le64(item->generation),
		.level = data ? -1 : (int)c->key.offset,
	};
	size_t first = v->alone.n;
	uint32_t set = 0;
	int err;

	r3_take(&s, sizeof(*item));
	if (!data && !skinny) {
		info = r3_take(&s, sizeof(*info));
		x.level = info->level;
	}
	err = add_refs(v, c, &x, s, &set);
	if (!err)
		err = add_all_alone(v, first, &set);
	v->alone.n = first;
	*out = (struct quota_view_extent){ true, x.len, x.generation, set };
	return err;
}

static int extent_set(struct quota_view *v, uint64_t bytenr,
		      struct quota_view_extent *out)
{
	struct btrfs_cursor c;
	int err;

	*out = (struct quota_view_extent){ 0 };
	if (v->depth == DEPTH_MAX)
		return wrong(v, bytenr, "its references go in a circle");
	v->depth++;
	btrfs_cursor_init(&c, v->fs, &v->extent);
	err = btrfs_cursor_seek(&c, KEY(bytenr, BTRFS_EXTENT_ITEM, 0));
	if (!err && c.key.objectid == bytenr &&
	    (c.key.type == BTRFS_EXTENT_ITEM ||
	     c.key.type == BTRFS_METADATA_ITEM))
		err = item_set(v, &c, out);
	btrfs_cursor_fini(&c);
	v->depth--;
	return err == -ENOENT ? 0 : err;
}

int quota_view_look(struct quota_view *v, uint64_t bytenr,
		    struct quota_view_extent *out)
{
	return extent_set(v, bytenr, out);
}

/* ---- the view ------------------------------------------------------------ */

int quota_view_init(struct quota_view *v, struct r3_btrfs *fs,
		    struct btrfs_qcount *qcount, bool committed)
{
	struct btrfs_tree *extent, *roots;
	int err = btrfs_tree_get(fs, BTRFS_EXTENT_TREE, &extent);

	*v = (struct quota_view){ .fs = fs, .qcount = qcount,
				  .committed = committed };
	if (!err)
		err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);
	if (err)
		return err;
	v->extent = committed ? extent->committed : *extent->root;
	v->tree_root = committed ? roots->committed : *roots->root;
	v->subvols = calloc(fs->quotas->subvols.n + 1, sizeof(*v->subvols));
	return v->subvols ? 0 : no_memory(fs);
}

void quota_view_fini(struct quota_view *v)
{
	quota_map_free(&v->sets);
	vec_free(&v->alone);
	free(v->subvols);
}
