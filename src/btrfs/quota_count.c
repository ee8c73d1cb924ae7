// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota_count.c - all subvolumes counted anew, exactly
 *
 * Every tree block is read once, however many subvolumes share it, and its
 * edges to what it refers to go to qcount.c.
 */
#include "quota.h"

struct count {
	struct r3_btrfs *fs;
	struct btrfs_qcount *qcount;
	uint64_t tree; /* being walked */
	struct quota_map nodes; /* of extents */
	/* of a tree that is partly deleted */
	struct btrfs_key drop_key;
	uint8_t drop_level;
};

/* The node of an extent; *fresh: it was not known, and is now. */
static int node_of(struct count *c, uint64_t bytenr, int level, uint64_t len,
		   uint32_t *node, bool *fresh)
{
	const uint32_t *known = quota_map_get(&c->nodes, bytenr);

	*fresh = !known;
	*node = known ? *known : (uint32_t)c->nodes.used;
	if (known)
		return 0;
	return quota_map_put(&c->nodes, bytenr, *node) &&
	       btrfs_qcount_node(c->qcount, *node, level, len) ? 0 : -ENOMEM;
}

static int count_leaf(struct count *c, const struct btrfs_block *b,
		      uint32_t self)
{
	const struct btrfs_file_extent_reg *x;
	uint32_t node;
	bool fresh;

	for (unsigned i = 0; i < b->nritems; i++) {
		if (btrfs_item_at(b, i)->key.type != BTRFS_EXTENT_DATA)
			continue;
		x = btrfs_item_data(b, i);
		if (x->head.type == BTRFS_FILE_INLINE || !le64(x->disk_bytenr))
			continue;
		if (node_of(c, le64(x->disk_bytenr), -1,
			    le64(x->disk_num_bytes), &node, &fresh) ||
		    !btrfs_qcount_edge(c->qcount, self, node))
			return -ENOMEM;
	}
	return 0;
}

/* What lies before the key where a deletion stands is gone. */
static unsigned first_slot(const struct count *c, const struct btrfs_block *b,
			   bool dropping)
{
	unsigned slot = 0;

	if (!dropping || b->level < c->drop_level)
		return 0;
	while (slot + 1 < b->nritems &&
	       btrfs_key_cmp(btrfs_block_key(b, slot + 1), c->drop_key) <= 0)
		slot++;
	return slot;
}

static int count_block(struct count *c, uint64_t bytenr,
		       const struct btrfs_expect *e, bool dropping,
		       uint32_t *node);

static int count_node(struct count *c, const struct btrfs_block *b,
		      bool dropping, uint32_t self)
{
	unsigned slot = first_slot(c, b, dropping);
	int err = 0;

	for (; !err && slot < b->nritems; slot++) {
		const struct btrfs_key_ptr *p = btrfs_ptr_at(b, slot);
		struct btrfs_expect e = {
			.tree = c->tree,
			.generation = le64(p->generation),
			.level = b->level - 1,
			.has_key = true,
			.key = btrfs_key_get(&p->key),
		};
		uint32_t child;

		err = count_block(c, le64(p->blockptr), &e,
				  dropping && b->level > c->drop_level,
				  &child);
		if (!err && !btrfs_qcount_edge(c->qcount, self, child))
			err = -ENOMEM;
		dropping = false;
	}
	return err;
}

static int count_block(struct count *c, uint64_t bytenr,
		       const struct btrfs_expect *e, bool dropping,
		       uint32_t *node)
{
	struct btrfs_block *b;
	bool fresh;
	int err = node_of(c, bytenr, e->level, c->fs->nodesize, node, &fresh);

	if (err || !fresh)
		return err;
	err = btrfs_block_get(c->fs, bytenr, e, &b);
	if (err)
		return err;
	err = b->level ? count_node(c, b, dropping, *node)
		       : count_leaf(c, b, *node);
	btrfs_block_put(b);
	return err;
}

static int count_subvol(struct count *c, uint64_t id)
{
	struct btrfs_expect e;
	struct btrfs_tree *t;
	uint32_t node;
	int err = btrfs_tree_get(c->fs, id, &t);

	if (err)
		return err;
	c->tree = id;
	c->drop_key = btrfs_key_get(&t->item.drop_progress);
	c->drop_level = t->item.drop_level;
	e = (struct btrfs_expect){ .tree = id,
				   .generation = t->root->generation,
				   .level = t->root->level };
	err = count_block(c, t->root->bytenr, &e, c->drop_key.objectid, &node);
	if (!err && !btrfs_qcount_root(c->qcount, node, id))
		err = -ENOMEM;
	return err;
}

static int count_all(struct count *c)
{
	const struct btrfs_quota *q = c->fs->quotas;
	int err = 0;

	for (size_t i = 0; !err && i < q->subvols.n; i++) {
		if (!q->subvols.p[i].gone)
			err = count_subvol(c, q->subvols.p[i].id);
	}
	for (size_t i = 0; !err && i < q->relations.n; i++) {
		if (!btrfs_qcount_relation(c->qcount, q->relations.p[i].member,
					   q->relations.p[i].group))
			err = -ENOMEM;
	}
	return !err && !btrfs_qcount_run(c->qcount) ? -ENOMEM : err;
}

int quota_recount(struct r3_btrfs *fs, struct btrfs_qcount **out)
{
	struct count c = { .fs = fs, .qcount = btrfs_qcount_new() };
	int err = c.qcount ? count_all(&c) : -ENOMEM;

	if (!err)
		fs->quotas->extents = c.nodes.used;
	quota_map_free(&c.nodes);
	if (err) {
		btrfs_qcount_free(c.qcount);
		return err == -ENOMEM ? btrfs_fail(fs, err, "out of memory")
				      : err;
	}
	*out = c.qcount;
	return 0;
}
