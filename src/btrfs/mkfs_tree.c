// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_tree.c - a tree, bottom up, from items that come in order
 *
 * One block of each level is open.  A full one is given an address, finished
 * and written, and its parent gets a pointer to it.
 */
#include "mkfs.h"

void mkfs_tree_begin(struct mkfs_tree *t, struct mkfs *m, uint64_t id)
{
	memset(t, 0, sizeof(*t));
	t->m = m;
	t->id = id;
	t->kind = id == BTRFS_CHUNK_TREE ? MKFS_SYSTEM : MKFS_METADATA;
}

static uint32_t block_room(const struct mkfs *m)
{
	return m->nodesize - (uint32_t)sizeof(struct btrfs_header);
}

static struct mkfs_level *open_level(struct mkfs_tree *t, unsigned level)
{
	struct mkfs_level *l = &t->level[level];

	if (level >= BTRFS_LEVELS_MAX) {
		t->err = mkfs_fail(t->m, -EFBIG, "a tree of too many levels");
		return NULL;
	}
	if (l->buf)
		return l;
	l->buf = calloc(1, t->m->nodesize);
	if (!l->buf) {
		t->err = mkfs_fail(t->m, -ENOMEM, "out of memory");
		return NULL;
	}
	l->nritems = 0;
	l->data_end = block_room(t->m);
	if (level > t->top)
		t->top = level;
	return l;
}

static void fill_header(struct mkfs_tree *t, struct mkfs_level *l,
			unsigned level, uint64_t bytenr)
{
	struct mkfs *m = t->m;
	struct btrfs_header *h = (void *)l->buf;

	memcpy(h->fsid, m->fsid, sizeof(h->fsid));
	h->bytenr = to_le64(bytenr);
	h->flags = to_le64(BTRFS_HEADER_WRITTEN | BTRFS_MIXED_BACKREF_REV);
	memcpy(h->chunk_tree_uuid, m->chunk_tree_uuid,
	       sizeof(h->chunk_tree_uuid));
	h->generation = to_le64(MKFS_GENERATION);
	h->owner = to_le64(t->id);
	h->nritems = to_le32(l->nritems);
	h->level = (uint8_t)level;
	btrfs_csum(m->csum_type, l->buf + BTRFS_CSUM_MAX,
		   m->nodesize - BTRFS_CSUM_MAX, h->csum);
}

/* Finish the open block of a level; the address it got. */
static uint64_t close_level(struct mkfs_tree *t, unsigned level)
{
	struct mkfs_level *l = &t->level[level];
	struct mkfs *m = t->m;
	uint64_t bytenr = 0;

	t->err = mkfs_alloc(m, t->kind, m->nodesize, m->nodesize, &bytenr);
	if (!t->err && !vec_push(&m->blocks, (struct mkfs_block){
				bytenr, t->id, (uint8_t)level }))
		t->err = mkfs_fail(m, -ENOMEM, "out of memory");
	if (t->err)
		return 0;
	t->blocks++;
	if (!m->dry) {
		fill_header(t, l, level, bytenr);
		t->err = mkfs_write(m, &m->meta, bytenr, l->buf, m->nodesize);
	}
	memset(l->buf, 0, m->nodesize);
	l->nritems = 0;
	l->data_end = block_room(m);
	return bytenr;
}

static void add_pointer(struct mkfs_tree *t, unsigned level,
			struct btrfs_key key, uint64_t bytenr)
{
	struct mkfs_level *l = open_level(t, level);
	struct btrfs_key_ptr *p;
	struct btrfs_key first;
	uint64_t own;

	if (!l)
		return;
	if ((l->nritems + 1) * sizeof(*p) > block_room(t->m)) {
		first = l->first;
		own = close_level(t, level);
		if (!t->err)
			add_pointer(t, level + 1, first, own);
		if (t->err)
			return;
	}
	if (!l->nritems)
		l->first = key;
	p = (struct btrfs_key_ptr *)(l->buf + sizeof(struct btrfs_header)) +
	    l->nritems++;
	p->key = btrfs_key_put(key);
	p->blockptr = to_le64(bytenr);
	p->generation = to_le64(MKFS_GENERATION);
}

void *mkfs_item(struct mkfs_tree *t, struct btrfs_key key, size_t size)
{
	struct mkfs_level *l = t->err ? NULL : open_level(t, 0);
	struct btrfs_item *item;
	struct btrfs_key first;
	uint64_t bytenr;

	if (!l)
		return NULL;
	assert(size <= mkfs_item_max(t->m));
	if ((l->nritems + 1) * sizeof(*item) + size > l->data_end) {
		first = l->first;
		bytenr = close_level(t, 0);
		if (!t->err)
			add_pointer(t, 1, first, bytenr);
		if (t->err)
			return NULL;
	}
	if (!l->nritems)
		l->first = key;
	l->data_end -= (uint32_t)size;
	item = (struct btrfs_item *)(l->buf + sizeof(struct btrfs_header)) +
	       l->nritems++;
	item->key = btrfs_key_put(key);
	item->offset = to_le32(l->data_end);
	item->size = to_le32((uint32_t)size);
	return l->buf + sizeof(struct btrfs_header) + l->data_end;
}

int mkfs_tree_end(struct mkfs_tree *t, struct btrfs_root *root)
{
	uint64_t bytenr = 0;
	unsigned l;

	if (!t->err)
		open_level(t, 0); /* an empty tree is one empty leaf */
	for (l = 0; !t->err; l++) {
		struct btrfs_key first = t->level[l].first;

		bytenr = close_level(t, l);
		if (t->err || l == t->top)
			break;
		add_pointer(t, l + 1, first, bytenr);
	}
	for (unsigned i = 0; i < BTRFS_LEVELS_MAX; i++)
		free(t->level[i].buf);
	if (!t->err)
		*root = (struct btrfs_root){ t->id, bytenr, MKFS_GENERATION,
					     (uint8_t)l };
	return t->err;
}
