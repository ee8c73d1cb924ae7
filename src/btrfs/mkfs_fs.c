// SPDX-License-Identifier: GPL-2.0-or-later
/* mkfs_fs.c - the items of subvolumes, in the order of their keys */
#include "mkfs.h"

/* INODE_REF items are kept below this, so that they fit any node; further
 * names become INODE_EXTREFs. */
enum { REFS_MAX = 3500 };

/* Names or xattrs of one inode, to be sorted by hash. */
struct hashed {
	uint64_t hash, parent; /* parent: of an extref */
	const void *bytes;
	uint32_t len, value_len;
	uint32_t link; /* index */
};

struct emit {
	struct mkfs *m;
	struct mkfs_subvol *v;
	struct mkfs_tree tree;
	VEC(struct hashed) sorted;
	VEC(uint32_t) names; /* links of one inode */
};

static uint64_t ino_of(uint32_t index)
{
	return R3_BTRFS_ROOT_INO + index;
}

static const char *name_of(const struct emit *e, const struct mkfs_link *l)
{
	return e->m->text.p + l->name;
}

static struct btrfs_disk_time time_put(struct timespec t)
{
	return (struct btrfs_disk_time){ to_le64((uint64_t)t.tv_sec),
					 to_le32((uint32_t)t.tv_nsec) };
}

static void emit_inode(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];
	struct btrfs_inode_item *i =
		mkfs_item(&e->tree, KEY(ino_of(index), BTRFS_INODE_ITEM, 0),
			  sizeof(*i));

	if (!i)
		return;
	memset(i, 0, sizeof(*i));
	i->generation = to_le64(MKFS_GENERATION);
	i->transid = to_le64(MKFS_GENERATION);
	i->size = to_le64(S_ISDIR(in->mode) ? in->dir_size : in->size);
	i->nbytes = to_le64(in->nbytes);
	i->nlink = to_le32(S_ISDIR(in->mode) ? 1 : in->nlink);
	i->uid = to_le32(in->uid);
	i->gid = to_le32(in->gid);
	i->mode = to_le32(in->mode);
	i->rdev = to_le64(in->rdev);
	i->atime = time_put(in->atime);
	i->ctime = time_put(in->ctime);
	i->mtime = time_put(in->mtime);
	i->otime = time_put(in->ctime);
}

/* ---- names of an inode ----------------------------------------------------*/

static void put_ref(uint8_t *to, uint64_t index, const void *name,
		    unsigned len)
{
	struct btrfs_inode_ref *r = (void *)to;

	r->index = to_le64(index);
	r->name_len = to_le16((uint16_t)len);
	memcpy(r + 1, name, len);
}

static int by_parent(const void *pa, const void *pb, void *arg)
{
	const struct emit *e = arg;
	const struct mkfs_link *a = &e->v->links.p[*(const uint32_t *)pa];
	const struct mkfs_link *b = &e->v->links.p[*(const uint32_t *)pb];

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int by_hash(const void *pa, const void *pb)
{
	const struct hashed *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->link < b->link ? -1 : a->link > b->link;
}

static bool push_extref(struct emit *e, uint32_t link)
{
	const struct mkfs_link *l = &e->v->links.p[link];
	uint64_t parent = ino_of(l->parent);

	return vec_push(&e->sorted, (struct hashed){
		btrfs_extref_hash(parent, name_of(e, l), l->len), parent,
		name_of(e, l), l->len, 0, link });
}

/* Runs of equal hash, each packed in one item. */
static void emit_extrefs(struct emit *e, uint64_t ino)
{
	size_t end;

	if (e->sorted.n)
		qsort(e->sorted.p, e->sorted.n, sizeof(*e->sorted.p), by_hash);
	for (size_t i = 0; i < e->sorted.n; i = end) {
		size_t size = 0;
		uint8_t *to;

		for (end = i; end < e->sorted.n &&
			      e->sorted.p[end].hash == e->sorted.p[i].hash;
		     end++)
			size += sizeof(struct btrfs_inode_extref) +
				e->sorted.p[end].len;
		if (size > mkfs_item_max(e->m)) {
			e->tree.err = mkfs_fail(e->m, -EMLINK,
						"too many names of one hash");
			return;
		}
		to = mkfs_item(&e->tree, KEY(ino, BTRFS_INODE_EXTREF,
					     e->sorted.p[i].hash), size);
		for (size_t k = i; to && k < end; k++) {
			const struct hashed *h = &e->sorted.p[k];
			struct btrfs_inode_extref *x = (void *)to;

			x->parent = to_le64(h->parent);
			x->index = to_le64(e->v->links.p[h->link].index);
			x->name_len = to_le16((uint16_t)h->len);
			memcpy(x + 1, h->bytes, h->len);
			to += sizeof(*x) + h->len;
		}
	}
}

/* All names in one directory, as far as they fit in an item. */
static bool emit_refs_of(struct emit *e, uint64_t ino, size_t first,
			 size_t end)
{
	const struct mkfs_link *links = e->v->links.p;
	size_t size = 0, fit;
	uint8_t *to;

	for (fit = first; fit < end; fit++) {
		size_t one = sizeof(struct btrfs_inode_ref) +
			     links[e->names.p[fit]].len;

		if (size + one > REFS_MAX)
			break;
		size += one;
	}
	to = mkfs_item(&e->tree, KEY(ino, BTRFS_INODE_REF,
				     ino_of(links[e->names.p[first]].parent)),
		       size);
	for (size_t i = first; to && i < fit; i++) {
		const struct mkfs_link *l = &links[e->names.p[i]];

		put_ref(to, l->index, name_of(e, l), l->len);
		to += sizeof(struct btrfs_inode_ref) + l->len;
	}
	for (; fit < end; fit++) {
		if (!push_extref(e, e->names.p[fit]))
			return false;
	}
	return true;
}

static bool emit_names(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];
	uint64_t ino = ino_of(index);
	size_t end;
	uint8_t *to;

	if (!index) { /* the root directory is its own ".." */
		to = mkfs_item(&e->tree, KEY(ino, BTRFS_INODE_REF, ino),
			       sizeof(struct btrfs_inode_ref) + 2);
		if (to)
			put_ref(to, 0, "..", 2);
		return true;
	}
	e->names.n = 0;
	e->sorted.n = 0;
	for (uint32_t l = in->first_link; l != MKFS_NONE;
	     l = e->v->links.p[l].next) {
		if (!vec_push(&e->names, l))
			return false;
	}
	qsort_r(e->names.p, e->names.n, sizeof(*e->names.p), by_parent, e);
	for (size_t i = 0; i < e->names.n; i = end) {
		uint32_t parent = e->v->links.p[e->names.p[i]].parent;

		for (end = i; end < e->names.n &&
			      e->v->links.p[e->names.p[end]].parent == parent;
		     end++)
			;
		if (!emit_refs_of(e, ino, i, end))
			return false;
	}
	emit_extrefs(e, ino);
	return true;
}

/* ---- xattrs and directories -----------------------------------------------*/

static uint8_t *put_dir(uint8_t *to, struct btrfs_key location, uint8_t type,
			const struct hashed *h)
{
	struct btrfs_dir_item *d = (void *)to;

	d->location = btrfs_key_put(location);
	d->transid = to_le64(MKFS_GENERATION);
	d->data_len = to_le16((uint16_t)h->value_len);
	d->name_len = to_le16((uint16_t)h->len);
	d->type = type;
	memcpy(d + 1, h->bytes, h->len + h->value_len);
	return to + sizeof(*d) + h->len + h->value_len;
}

static struct btrfs_key location_of(const struct emit *e,
				    const struct mkfs_link *l)
{
	if (l->subvol)
		return KEY(e->m->subvols.p[l->subvol].id, BTRFS_ROOT_ITEM, 0);
	return KEY(ino_of(l->child), BTRFS_INODE_ITEM, 0);
}

static uint8_t type_of(const struct emit *e, const struct mkfs_link *l)
{
	return btrfs_type_of_mode(l->subvol ? S_IFDIR :
				  e->v->inodes.p[l->child].mode);
}

/* DIR_ITEMs or XATTR_ITEMs from the sorted list. */
static void emit_hashed(struct emit *e, uint64_t ino, uint8_t type)
{
	bool xattr = type == BTRFS_XATTR_ITEM;
	size_t end;

	if (e->sorted.n)
		qsort(e->sorted.p, e->sorted.n, sizeof(*e->sorted.p), by_hash);
	for (size_t i = 0; i < e->sorted.n; i = end) {
		size_t size = 0;
		uint8_t *to;

		for (end = i; end < e->sorted.n &&
			      e->sorted.p[end].hash == e->sorted.p[i].hash;
		     end++)
			size += sizeof(struct btrfs_dir_item) +
				e->sorted.p[end].len +
				e->sorted.p[end].value_len;
		if (size > mkfs_item_max(e->m)) {
			e->tree.err = mkfs_fail(e->m, -EOVERFLOW,
						"too many names of one hash");
			return;
		}
		to = mkfs_item(&e->tree, KEY(ino, type, e->sorted.p[i].hash),
			       size);
		for (size_t k = i; to && k < end; k++) {
			const struct hashed *h = &e->sorted.p[k];
			const struct mkfs_link *l =
				xattr ? NULL : &e->v->links.p[h->link];

			to = put_dir(to, l ? location_of(e, l) : KEY(0, 0, 0),
				     l ? type_of(e, l) : BTRFS_FT_XATTR, h);
		}
	}
}

static bool emit_xattrs(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];
	struct r3_span s = { NULL, in->xattrs_len };

	if (!s.len)
		return true;
	s.p = (const uint8_t *)e->m->text.p + in->xattrs;
	e->sorted.n = 0;
	while (s.len) {
		const r3_le16 *head = r3_take(&s, 2 * sizeof(*head));
		struct hashed h = { .bytes = s.p, .len = le16(head[0]),
				    .value_len = le16(head[1]),
				    .link = (uint32_t)e->sorted.n };

		h.hash = btrfs_name_hash(h.bytes, h.len);
		r3_take(&s, h.len + h.value_len);
		if (!vec_push(&e->sorted, h))
			return false;
	}
	emit_hashed(e, ino_of(index), BTRFS_XATTR_ITEM);
	return true;
}

static bool emit_dir(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];
	uint8_t *to;

	e->sorted.n = 0;
	for (uint32_t i = 0; i < in->entry_count; i++) {
		uint32_t link = in->first_entry + i;
		const struct mkfs_link *l = &e->v->links.p[link];
		struct hashed h = { .bytes = name_of(e, l), .len = l->len,
				    .link = link };

		h.hash = btrfs_name_hash(h.bytes, h.len);
		if (!vec_push(&e->sorted, h))
			return false;
	}
	emit_hashed(e, ino_of(index), BTRFS_DIR_ITEM);
	for (uint32_t i = 0; i < in->entry_count; i++) {
		const struct mkfs_link *l =
			&e->v->links.p[in->first_entry + i];
		struct hashed h = { .bytes = name_of(e, l), .len = l->len };

		to = mkfs_item(&e->tree, KEY(ino_of(index), BTRFS_DIR_INDEX,
					     l->index),
			       sizeof(struct btrfs_dir_item) + l->len);
		if (to)
			put_dir(to, location_of(e, l), type_of(e, l), &h);
	}
	return true;
}

/* ---- data -----------------------------------------------------------------*/

static void emit_inline(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];
	struct btrfs_file_extent *x =
		mkfs_item(&e->tree, KEY(ino_of(index), BTRFS_EXTENT_DATA, 0),
			  sizeof(*x) + in->inline_len);

	if (!x)
		return;
	*x = (struct btrfs_file_extent){
		.generation = to_le64(MKFS_GENERATION),
		.ram_bytes = to_le64(in->inline_len),
		.type = BTRFS_FILE_INLINE,
	};
	memcpy(x + 1, e->m->text.p + in->inline_at, in->inline_len);
}

static void emit_extents(struct emit *e, uint32_t index)
{
	const struct mkfs_inode *in = &e->v->inodes.p[index];

	for (uint32_t i = 0; i < in->extent_count; i++) {
		const struct mkfs_extent *x =
			&e->v->extents.p[in->first_extent + i];
		struct btrfs_file_extent_reg *r =
			mkfs_item(&e->tree, KEY(ino_of(index),
						BTRFS_EXTENT_DATA, x->start),
				  sizeof(*r));

		if (!r)
			return;
		*r = (struct btrfs_file_extent_reg){
			.head = { .generation = to_le64(MKFS_GENERATION),
				  .ram_bytes = to_le64(x->len),
				  .compression = x->compression,
				  .type = BTRFS_FILE_REG },
			.disk_bytenr = to_le64(x->logical),
			.disk_num_bytes = to_le64(x->disk_len),
			.num_bytes = to_le64(x->len),
		};
	}
}

static int emit_subvol(struct emit *e)
{
	bool ok = true;

	mkfs_tree_begin(&e->tree, e->m, e->v->id);
	for (uint32_t i = 0; ok && !e->tree.err && i < e->v->inodes.n; i++) {
		const struct mkfs_inode *in = &e->v->inodes.p[i];

		emit_inode(e, i);
		ok = emit_names(e, i) && emit_xattrs(e, i);
		if (ok && S_ISDIR(in->mode))
			ok = emit_dir(e, i);
		if (in->is_inline)
			emit_inline(e, i);
		else
			emit_extents(e, i);
	}
	if (!ok && !e->tree.err)
		e->tree.err = mkfs_fail(e->m, -ENOMEM, "out of memory");
	mkfs_tree_end(&e->tree, &e->v->root);
	e->v->bytes_used = e->tree.blocks * e->m->nodesize;
	return e->tree.err;
}

int mkfs_fs_trees(struct mkfs *m)
{
	struct emit e = { .m = m };
	int err = 0;

	for (size_t i = 0; !err && i < m->subvols.n; i++) {
		e.v = &m->subvols.p[i];
		err = emit_subvol(&e);
	}
	vec_free(&e.sorted);
	vec_free(&e.names);
	return err;
}
