// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_walk.c - read every tree block once: references, and sums over content
 *
 * A block's references to its children belong to the block, not to the trees
 * that share it: keyed to its owner, or, when it has FULL_BACKREF, to the
 * block itself.  So each block is read once however many snapshots have it.
 */
#include <xxhash.h>

#include "check.h"

/* The tree being walked. */
struct walk {
	struct check *c;
	struct btrfs_root root;
	bool content;		/* a subvolume: sum up its content */
	uint64_t last_snapshot;
	bool dropping;		/* partly deleted: begin at drop_key */
	struct btrfs_key drop_key;
	uint8_t drop_level;
	uint64_t flags_ino;	/* the inode whose flags were looked up last */
	uint64_t flags;
	bool flags_known;
};

static uint64_t hash4(const struct check *c, uint64_t a, uint64_t b,
		      uint64_t d, uint64_t e)
{
	uint64_t v[4] = { a, b, d, e };

	return XXH64(v, sizeof(v), c->seed);
}

static void found(struct check *c, uint64_t bytenr, uint8_t type, uint64_t who,
		  uint64_t ino, uint64_t off)
{
	if (!vec_push(&c->found, (struct check_ref){ bytenr, who, ino, off, 1,
						     type }))
		c->out_of_memory = true;
}

static void qcount_ok(struct check *c, bool ok)
{
	if (!ok)
		c->out_of_memory = true;
}

/* ---- what leaves of subvolumes add --------------------------------------- */

static void sum_entry(const struct check *c, struct check_sums *s,
		      struct btrfs_key key, const struct btrfs_dir_item *d)
{
	struct btrfs_key to = btrfs_key_get(&d->location);
	unsigned len = le16(d->name_len);
	uint64_t name = XXH64(d + 1, len, c->seed);
	uint64_t all = hash4(c, key.objectid, to.objectid,
			     (uint64_t)to.type << 8 | d->type, name);

	if (key.type == BTRFS_DIR_ITEM) {
		s->by_item += all;
	} else {
		s->by_index += all;
		if (to.type == BTRFS_INODE_ITEM) {
			s->index_links += hash4(c, key.objectid, to.objectid,
						key.offset, name);
			s->name_types += hash4(c, to.objectid, d->type, 1, 0);
		}
	}
	s->name_sizes += len * hash4(c, key.objectid, 0, 2, 0);
}

static void sum_dir(const struct check *c, struct check_sums *s,
		    struct btrfs_key key, struct r3_span span)
{
	while (span.len) {
		const struct btrfs_dir_item *d = r3_take(&span, sizeof(*d));

		r3_take(&span, le16(d->name_len) + le16(d->data_len));
		sum_entry(c, s, key, d);
	}
}

static void sum_refs(const struct check *c, struct check_sums *s,
		     struct btrfs_key key, struct r3_span span)
{
	while (span.len) {
		uint64_t parent = key.offset, index;
		const void *name;
		unsigned len;

		if (key.type == BTRFS_INODE_REF) {
			const struct btrfs_inode_ref *r =
				r3_take(&span, sizeof(*r));

			index = le64(r->index);
			len = le16(r->name_len);
		} else {
			const struct btrfs_inode_extref *r =
				r3_take(&span, sizeof(*r));

			parent = le64(r->parent);
			index = le64(r->index);
			len = le16(r->name_len);
		}
		name = r3_take(&span, len);
		/* ".." of the root directory has no entry */
		if (key.objectid != parent || parent != R3_BTRFS_ROOT_INO)
			s->ref_links += hash4(c, parent, key.objectid, index,
					      XXH64(name, len, c->seed));
	}
}

static void sum_inode(const struct check *c, struct check_sums *s,
		      struct btrfs_key key, const struct btrfs_inode_item *i)
{
	uint8_t type = btrfs_type_of_mode(le32(i->mode));
	uint64_t links = le32(i->nlink);

	s->inodes++;
	if (key.objectid == R3_BTRFS_ROOT_INO)
		links = 0; /* no entry leads to it */
	s->inode_types += links * hash4(c, key.objectid, type, 1, 0);
	if (type == BTRFS_FT_DIR)
		s->inode_sizes += le64(i->size) *
				  hash4(c, key.objectid, 0, 2, 0);
	if (type == BTRFS_FT_REG || type == BTRFS_FT_LNK) {
		s->files++;
		s->inode_bytes += le64(i->nbytes) *
				  hash4(c, key.objectid, 0, 3, 0);
	}
}

static void sum_extent(const struct check *c, struct check_sums *s,
		       struct btrfs_key key,
		       const struct btrfs_file_extent *x)
{
	const struct btrfs_file_extent_reg *r = (const void *)x;
	uint64_t bytes = 0, end;

	if (x->type == BTRFS_FILE_INLINE) {
		bytes = le64(x->ram_bytes);
		end = BTRFS_SECTOR;
	} else {
		if (le64(r->disk_bytenr))
			bytes = le64(r->num_bytes);
		end = key.offset + le64(r->num_bytes);
	}
	s->extent_bytes += bytes * hash4(c, key.objectid, 0, 3, 0);
	if (!s->first_ino) {
		s->first_ino = key.objectid;
		s->first_off = key.offset;
	}
	s->last_ino = key.objectid;
	s->last_end = end;
}

static void sum_item(const struct check *c, struct check_sums *s,
		     const struct btrfs_block *b, unsigned slot)
{
	struct btrfs_key key = btrfs_block_key(b, slot);
	const void *data = btrfs_item_data(b, slot);
	struct r3_span span = { data, btrfs_item_size(b, slot) };

	switch (key.type) {
	case BTRFS_INODE_ITEM:
		sum_inode(c, s, key, data);
		break;
	case BTRFS_INODE_REF:
	case BTRFS_INODE_EXTREF:
		sum_refs(c, s, key, span);
		break;
	case BTRFS_DIR_ITEM:
	case BTRFS_DIR_INDEX:
		sum_dir(c, s, key, span);
		break;
	case BTRFS_EXTENT_DATA:
		sum_extent(c, s, key, data);
	}
}

/* @b's keys follow @a's. */
static void sums_add(struct walk *w, struct check_sums *a,
		     const struct check_sums *b, uint64_t block)
{
	if (b->first_ino && a->last_ino == b->first_ino &&
	    a->last_end > b->first_off)
		check_problem(w->c, "tree %s block %llu key (%llu EXTENT_DATA "
			      "%llu): overlaps the extent before it",
			      btrfs_tree_text(w->root.id).s,
			      (unsigned long long)block,
			      (unsigned long long)b->first_ino,
			      (unsigned long long)b->first_off);
	a->by_item += b->by_item;
	a->by_index += b->by_index;
	a->index_links += b->index_links;
	a->ref_links += b->ref_links;
	a->inode_types += b->inode_types;
	a->name_types += b->name_types;
	a->inode_sizes += b->inode_sizes;
	a->name_sizes += b->name_sizes;
	a->inode_bytes += b->inode_bytes;
	a->extent_bytes += b->extent_bytes;
	a->inodes += b->inodes;
	a->files += b->files;
	if (b->first_ino) {
		if (!a->first_ino) {
			a->first_ino = b->first_ino;
			a->first_off = b->first_off;
		}
		a->last_ino = b->last_ino;
		a->last_end = b->last_end;
	}
}

/* ---- data extents -------------------------------------------------------- */

/* The inode's flags, in the tree being walked. */
static bool is_nodatasum(struct walk *w, uint64_t ino)
{
	const struct btrfs_inode_item *i;
	struct btrfs_cursor c;

	if (!w->flags_known || w->flags_ino != ino) {
		w->flags = 0;
		btrfs_cursor_init(&c, w->c->fs, &w->root);
		if (!btrfs_cursor_seek(&c, KEY(ino, BTRFS_INODE_ITEM, 0)) &&
		    c.key.objectid == ino && c.key.type == BTRFS_INODE_ITEM) {
			i = c.data;
			w->flags = le64(i->flags);
		}
		btrfs_cursor_fini(&c);
		w->flags_ino = ino;
		w->flags_known = true;
	}
	return w->flags & BTRFS_INODE_NODATASUM;
}

static void data_problem(struct walk *w, const struct btrfs_block *b,
			 struct btrfs_key key, const char *what,
			 uint64_t bytenr)
{
	check_problem(w->c, "tree %s block %llu key %s: the extent %llu %s",
		      btrfs_tree_text(w->root.id).s,
		      (unsigned long long)b->logical, btrfs_key_text(key).s,
		      (unsigned long long)bytenr, what);
}

static void walk_data(struct walk *w, const struct btrfs_block *b,
		      unsigned slot, const struct check_extent *self)
{
	const struct btrfs_file_extent_reg *x = btrfs_item_data(b, slot);
	struct btrfs_key key = btrfs_block_key(b, slot);
	uint64_t bytenr, from, to;
	struct check_extent *e;
	struct check *c = w->c;

	if (x->head.type == BTRFS_FILE_INLINE || !le64(x->disk_bytenr))
		return;
	bytenr = le64(x->disk_bytenr);
	e = check_extent_at(c, bytenr);
	if (!e || !e->data)
		data_problem(w, b, key, "is not allocated", bytenr);
	else if (e->len != le64(x->disk_num_bytes))
		data_problem(w, b, key, "has another length", bytenr);
	if (self->full_backref)
		found(c, bytenr, BTRFS_SHARED_DATA_REF, b->logical, 0, 0);
	else
		found(c, bytenr, BTRFS_EXTENT_DATA_REF, b->owner,
		      key.objectid, key.offset - le64(x->offset));
	if (e && c->qcount && w->content)
		qcount_ok(c, btrfs_qcount_edge(
			c->qcount, (uint32_t)(self - c->extents.p),
			(uint32_t)(e - c->extents.p)));
	if (x->head.type == BTRFS_FILE_PREALLOC)
		return;
	from = bytenr;
	to = bytenr + le64(x->disk_num_bytes);
	if (!x->head.compression) {
		from += le64(x->offset);
		to = from + le64(x->num_bytes);
	}
	if (!check_has_csums(c, from, to) && !is_nodatasum(w, key.objectid))
		data_problem(w, b, key, "lacks checksums", bytenr);
}

/* ---- blocks -------------------------------------------------------------- */

static int walk_block(struct walk *w, uint64_t bytenr,
		      const struct btrfs_expect *e, uint32_t *index);

static void walk_leaf(struct walk *w, const struct btrfs_block *b,
		      const struct check_extent *self, struct check_sums *sums)
{
	for (unsigned i = 0; i < b->nritems; i++) {
		if (w->content)
			sum_item(w->c, sums, b, i);
		if (btrfs_item_at(b, i)->key.type == BTRFS_EXTENT_DATA)
			walk_data(w, b, i, self);
	}
}

/* Where to begin in a node: 0, but in a tree that is being deleted what lies
 * before its drop_key is gone. */
static unsigned first_slot(const struct walk *w, const struct btrfs_block *b,
			   bool on_path)
{
	unsigned slot = 0;

	if (!on_path || b->level < w->drop_level)
		return 0;
	while (slot + 1 < b->nritems &&
	       btrfs_key_cmp(btrfs_block_key(b, slot + 1), w->drop_key) <= 0)
		slot++;
	return slot;
}

static void child_expect(const struct walk *w, const struct btrfs_block *b,
			 unsigned slot, const struct btrfs_expect *own,
			 struct btrfs_expect *e)
{
	*e = (struct btrfs_expect){
		.tree = w->root.id,
		.generation = le64(btrfs_ptr_at(b, slot)->generation),
		.level = b->level - 1,
		.has_key = true,
		.key = btrfs_block_key(b, slot),
		.has_limit = slot + 1 < b->nritems || own->has_limit,
		.limit = own->limit,
	};
	if (slot + 1 < b->nritems)
		e->limit = btrfs_block_key(b, slot + 1);
}

static void walk_node(struct walk *w, const struct btrfs_block *b,
		      size_t self, const struct btrfs_expect *own,
		      struct check_sums *sums)
{
	struct check *c = w->c;
	bool full = c->extents.p[self].full_backref, on_path = w->dropping;
	unsigned slot = first_slot(w, b, on_path);

	for (; slot < b->nritems && !c->out_of_memory; slot++) {
		uint64_t child = le64(btrfs_ptr_at(b, slot)->blockptr);
		struct btrfs_expect e;
		uint32_t index;

		found(c, child,
		      full ? BTRFS_SHARED_BLOCK_REF : BTRFS_TREE_BLOCK_REF,
		      full ? b->logical : b->owner, 0, 0);
		child_expect(w, b, slot, own, &e);
		w->dropping = on_path && b->level > w->drop_level;
		on_path = false;
		if (walk_block(w, child, &e, &index)) {
			c->incomplete = true;
			continue;
		}
		if (c->qcount && w->content)
			qcount_ok(c, btrfs_qcount_edge(
				c->qcount, (uint32_t)self,
				c->blocks.p[index].extent));
		sums_add(w, sums, &c->blocks.p[index].sums, child);
	}
	w->dropping = false;
}

/* A block that was read before, seen from another parent. */
static bool seen_fits(struct walk *w, const struct check_block *b,
		      uint64_t bytenr, const struct btrfs_expect *e)
{
	const char *wrong = NULL;

	if (e->level >= 0 && b->level != e->level)
		wrong = "level";
	else if (b->generation != e->generation)
		wrong = "generation";
	else if (btrfs_is_fs_tree(e->tree) ? !btrfs_is_fs_tree(b->owner)
					   : b->owner != e->tree)
		wrong = "owner";
	else if (e->has_key && btrfs_key_cmp(b->first, e->key))
		wrong = "first key";
	else if (e->has_limit && btrfs_key_cmp(b->last, e->limit) >= 0)
		wrong = "last key";
	if (wrong)
		check_problem(w->c, "tree %s block %llu: another %s than its "
			      "parent says", btrfs_tree_text(e->tree).s,
			      (unsigned long long)bytenr, wrong);
	return !wrong;
}

static void read_block(struct walk *w, const struct btrfs_block *b,
		       size_t self, const struct btrfs_expect *e,
		       struct check_block *out)
{
	struct check *c = w->c;

	*out = (struct check_block){ .extent = (uint32_t)self,
				     .level = b->level,
				     .generation = b->generation,
				     .owner = b->owner,
				     .reloc = b->flags & BTRFS_HEADER_RELOC };
	if (b->nritems) {
		out->first = btrfs_block_key(b, 0);
		out->last = btrfs_block_key(b, b->nritems - 1);
	}
	if (c->extents.p[self].level != b->level)
		check_problem(c, "tree extent key (%llu tree block): says "
			      "level %u, the block is level %u",
			      (unsigned long long)b->logical,
			      c->extents.p[self].level, b->level);
	if (b->level)
		walk_node(w, b, self, e, &out->sums);
	else
		walk_leaf(w, b, &c->extents.p[self], &out->sums);
}

/* Whoever changes a subvolume takes its blocks for its own that are newer than
 * its last snapshot, but for the root, which is never shared. */
static void check_shared(struct walk *w, const struct check_extent *x,
			 const struct check_block *b)
{
	if (w->content && x->refs > 1 && !b->reloc &&
	    b->generation > w->last_snapshot &&
	    x->bytenr != w->root.bytenr)
		check_problem(w->c, "tree %s block %llu: is shared, though "
			      "newer than the tree's last snapshot (%llu, at "
			      "%llu)", btrfs_tree_text(w->root.id).s,
			      (unsigned long long)x->bytenr,
			      (unsigned long long)b->generation,
			      (unsigned long long)w->last_snapshot);
}

static int walk_block(struct walk *w, uint64_t bytenr,
		      const struct btrfs_expect *e, uint32_t *index)
{
	struct check *c = w->c;
	struct check_extent *x = check_extent_at(c, bytenr);
	struct check_block info;
	struct btrfs_block *b;
	size_t self;
	int err;

	if (!x || x->data) {
		check_problem(c, "tree %s block %llu: is not allocated",
			      btrfs_tree_text(w->root.id).s,
			      (unsigned long long)bytenr);
		return -EUCLEAN;
	}
	if (x->block) {
		*index = x->block - 1;
		check_shared(w, x, &c->blocks.p[*index]);
		return seen_fits(w, &c->blocks.p[*index], bytenr, e)
			       ? 0 : -EUCLEAN;
	}
	err = btrfs_block_get(c->fs, bytenr, e, &b);
	if (err == -ENOMEM)
		c->out_of_memory = true;
	if (err) {
		check_problem(c, "%s", r3_btrfs_why(c->fs));
		return err;
	}
	c->res.tree_blocks++;
	self = (size_t)(x - c->extents.p);
	if (c->qcount && w->content)
		qcount_ok(c, btrfs_qcount_node(c->qcount, (uint32_t)self,
					       b->level, c->fs->nodesize));
	read_block(w, b, self, e, &info);
	btrfs_block_put(b);
	check_shared(w, x, &info);
	if (!vec_push(&c->blocks, info)) {
		c->out_of_memory = true;
		return -ENOMEM;
	}
	*index = (uint32_t)c->blocks.n - 1;
	c->extents.p[self].block = *index + 1;
	return 0;
}

/* ---- trees --------------------------------------------------------------- */

static bool sums_fit(const struct check_sums *s)
{
	return s->by_item == s->by_index && s->index_links == s->ref_links &&
	       s->inode_types == s->name_types &&
	       s->inode_sizes == s->name_sizes &&
	       s->inode_bytes == s->extent_bytes;
}

static int walk_tree(struct walk *w)
{
	struct check *c = w->c;
	struct btrfs_expect e = { .tree = w->root.id,
				  .generation = w->root.generation,
				  .level = w->root.level };
	const struct check_sums *s;
	bool dead = w->dropping;
	uint32_t index;

	w->content = btrfs_is_fs_tree(w->root.id);
	found(c, w->root.bytenr, BTRFS_TREE_BLOCK_REF, w->root.id, 0, 0);
	if (walk_block(w, w->root.bytenr, &e, &index)) {
		c->incomplete = true;
		return 0;
	}
	for (size_t i = 0; i < c->dead.n; i++)
		dead |= c->dead.p[i] == w->root.id;
	/* A dead subvolume counts until its last block is gone. */
	if (c->qcount && w->content)
		qcount_ok(c, btrfs_qcount_root(c->qcount,
					       c->blocks.p[index].extent,
					       w->root.id));
	if (!w->content || dead)
		return 0;
	c->res.subvolumes++;
	s = &c->blocks.p[index].sums;
	c->res.inodes += s->inodes;
	c->res.files += s->files;
	return sums_fit(s) ? 0 : check_subvolume(c, &w->root);
}

static int walk_root_item(struct check *c, const struct btrfs_cursor *cur)
{
	struct btrfs_root_item r;
	struct walk w = { .c = c };

	btrfs_root_item_get(&r, cur->data, cur->size);
	w.root = (struct btrfs_root){ cur->key.objectid, le64(r.bytenr),
				      le64(r.generation), r.level };
	w.last_snapshot = le64(r.last_snapshot);
	w.drop_key = btrfs_key_get(&r.drop_progress);
	w.drop_level = r.drop_level;
	w.dropping = w.drop_key.objectid;
	if (btrfs_is_fs_tree(w.root.id) && !le32(r.refs) &&
	    !vec_push(&c->dead, w.root.id))
		c->out_of_memory = true;
	if (!w.root.bytenr) {
		check_problem(c, "%s: block 0", btrfs_cursor_where(cur).s);
		return 0;
	}
	return walk_tree(&w);
}

int check_walk_trees(struct check *c)
{
	struct walk top[2] = { { .c = c, .root = c->fs->tree_root },
			       { .c = c, .root = c->fs->chunk_root } };
	struct btrfs_cursor cur;
	int err = 0;

	if (c->qcount) {
		for (size_t i = 0; i < c->extents.n; i++) {
			if (c->extents.p[i].data)
				qcount_ok(c, btrfs_qcount_node(
					c->qcount, (uint32_t)i, -1,
					c->extents.p[i].len));
		}
	}
	for (unsigned i = 0; i < 2 && !err; i++)
		err = walk_tree(&top[i]);
	if (err)
		return err;
	btrfs_cursor_init(&cur, c->fs, &c->fs->tree_root);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err && !c->out_of_memory; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type != BTRFS_ROOT_ITEM)
			continue;
		err = walk_root_item(c, &cur);
		if (err)
			break;
	}
	btrfs_cursor_fini(&cur);
	c->res.data_extents = 0;
	for (size_t i = 0; i < c->extents.n; i++)
		c->res.data_extents += c->extents.p[i].data;
	return err == -ENOENT ? 0 : err;
}
