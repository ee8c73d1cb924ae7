// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * commit.c - all changes onto the device at once
 *
 *	references, quotas -> root items, block groups, free space: until
 *	nothing changes any more, for each of them changes trees
 *	all new blocks -> flush -> super block -> flush -> its other copies
 *
 * New blocks lie in space that was free at the last commit, so the old state is
 * whole until the first super block is there.  The other copies follow without
 * a flush: that of the next commit makes them durable before the first one is
 * written again, so at any time one copy is whole.
 */
#include "edit.h"

enum {
	RUN_MAX = 1 << 20,  /* bytes written at once */
	ROUNDS_MAX = 1000,  /* of the loop that ends when nothing changes */
};

/* Nothing is written that would not be read.  A snapshot's root has bytes that
 * were looked at when its source was loaded. */
static int check(struct r3_btrfs *fs, struct btrfs_block *b)
{
	char why[256];
	bool good = b->body->checked ||
		    (b->level ? btrfs_node_check(fs, b, why, sizeof(why))
			      : btrfs_leaf_check(fs, b, why, sizeof(why)));

	if (!good)
		return btrfs_fail(fs, -EUCLEAN, "tree %s block %llu would be "
				  "written with an error: %s",
				  btrfs_tree_text(b->owner).s,
				  (unsigned long long)b->logical, why);
	b->body->checked = true;
	return 0;
}

static void header_put(const struct r3_btrfs *fs, const struct btrfs_block *b,
		       struct btrfs_header *h)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->fsid, fs->metadata_uuid, sizeof(h->fsid));
	memcpy(h->chunk_tree_uuid, fs->trans->chunk_tree_uuid,
	       sizeof(h->chunk_tree_uuid));
	h->bytenr = to_le64(b->logical);
	h->generation = to_le64(b->generation);
	h->owner = to_le64(b->owner);
	h->flags = to_le64(b->flags);
	h->nritems = to_le32(b->nritems);
	h->level = b->level;
}

/* A block for the device: with its header, zeros where it has nothing, and the
 * checksum of all that. */
static int block_put(struct r3_btrfs *fs, struct btrfs_block *b, uint8_t *to)
{
	const size_t head = sizeof(struct btrfs_header);
	size_t low = head + b->nritems * (b->level
						  ? sizeof(struct btrfs_key_ptr)
						  : sizeof(struct btrfs_item));
	size_t high = fs->nodesize;
	int err = check(fs, b);

	if (err)
		return err;
	if (!b->level && b->nritems)
		high = head + le32(btrfs_item_at(b, b->nritems - 1)->offset);
	header_put(fs, b, (struct btrfs_header *)to);
	memcpy(to + head, b->data + head, low - head);
	memset(to + low, 0, high - low);
	memcpy(to + high, b->data + high, fs->nodesize - high);
	btrfs_csum(fs->csum_type, to + BTRFS_CSUM_MAX,
		   fs->nodesize - BTRFS_CSUM_MAX, to);
	return 0;
}

static int write_blocks(struct r3_btrfs *fs)
{
	uint8_t *buf = malloc(RUN_MAX);
	uint64_t start = 0;
	size_t len = 0;
	int err = 0;

	if (!buf)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	btrfs_cache_sort_dirty(fs);
	for (unsigned i = 0; !err && i < fs->dirty_count; i++) {
		struct btrfs_block *b = fs->dirty[i];

		if (len && (b->logical != start + len ||
			    len + fs->nodesize > RUN_MAX)) {
			err = btrfs_write_logical(fs, start, buf, len);
			len = 0;
		}
		if (!len)
			start = b->logical;
		if (!err)
			err = block_put(fs, b, buf + len);
		len += fs->nodesize;
	}
	if (!err && len)
		err = btrfs_write_logical(fs, start, buf, len);
	free(buf);
	return err;
}

/* ---- the super block ----------------------------------------------------- */

/* The oldest backup gives way. */
static struct btrfs_backup *next_backup(struct btrfs_super *s)
{
	unsigned newest = BTRFS_BACKUPS - 1;

	for (unsigned i = 0; i < BTRFS_BACKUPS; i++) {
		if (le64(s->backups[i].tree_root_gen) >
		    le64(s->backups[newest].tree_root_gen))
			newest = i;
	}
	return &s->backups[(newest + 1) % BTRFS_BACKUPS];
}

#define BACKUP(b, name, root)                                    \
	do {                                                     \
		(b)->name = to_le64((root)->bytenr);             \
		(b)->name##_gen = to_le64((root)->generation);   \
		(b)->name##_level = (root)->level;               \
	} while (0)

static int fill_backup(struct r3_btrfs *fs, struct btrfs_super *s)
{
	struct btrfs_backup *b = next_backup(s);
	struct btrfs_root top;
	int err = btrfs_root_find(fs, BTRFS_FS_TREE, &top);

	if (err)
		return err;
	memset(b, 0, sizeof(*b));
	BACKUP(b, tree_root, &fs->tree_root);
	BACKUP(b, chunk_root, &fs->chunk_root);
	BACKUP(b, extent_root, &fs->extent);
	BACKUP(b, fs_root, &top);
	BACKUP(b, dev_root, &fs->dev_tree);
	BACKUP(b, csum_root, &fs->csum);
	b->total_bytes = s->total_bytes;
	b->bytes_used = s->bytes_used;
	b->num_devices = s->num_devices;
	return 0;
}

static int fill_super(struct r3_btrfs *fs)
{
	struct btrfs_super *s = &fs->super;
	uint64_t transid = btrfs_transid(fs);

	/* Another number than the last generation says that the UUID tree is
	 * not to be trusted; then it stays so. */
	if (le64(s->uuid_tree_generation) == fs->generation)
		s->uuid_tree_generation = to_le64(transid);
	s->flags = to_le64(le64(s->flags) | BTRFS_SUPER_WRITTEN);
	s->generation = to_le64(transid);
	s->root = to_le64(fs->tree_root.bytenr);
	s->root_level = fs->tree_root.level;
	s->chunk_root = to_le64(fs->chunk_root.bytenr);
	s->chunk_root_level = fs->chunk_root.level;
	s->chunk_root_generation = to_le64(fs->chunk_root.generation);
	s->log_root = s->log_root_transid = to_le64(0);
	s->log_root_level = 0;
	return fill_backup(fs, s);
}

static int dev_error(struct r3_btrfs *fs, int err)
{
	return err ? btrfs_write_fail(fs, err) : 0;
}

static int write_super(struct r3_btrfs *fs, unsigned copy)
{
	struct btrfs_super s = fs->super;
	uint64_t at = btrfs_super_offsets[copy];

	if (at + sizeof(s) > fs->total_bytes)
		return 0;
	s.bytenr = to_le64(at);
	memset(s.csum, 0, sizeof(s.csum));
	btrfs_csum(fs->csum_type, (uint8_t *)&s + BTRFS_CSUM_MAX,
		   sizeof(s) - BTRFS_CSUM_MAX, s.csum);
	return dev_error(fs, fs->dev->ops->write(fs->dev, at, &s, sizeof(s)));
}

static int flush(struct r3_btrfs *fs)
{
	return dev_error(fs, fs->dev->ops->flush(fs->dev));
}

/* ---- the commit ---------------------------------------------------------- */

/* References, items of roots and groups: each changes trees, which gives new
 * references.  It ends because a block is copied once in a transaction. */
static int settle(struct r3_btrfs *fs)
{
	struct btrfs_tree *root_tree;
	bool again = true, groups = false;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &root_tree);

	/* The super block's generation is that of the root tree's root. */
	if (!err)
		err = btrfs_tree_root_cow(fs, root_tree);
	if (!err)
		err = btrfs_refs_run(fs);
	if (!err)
		err = btrfs_quota_commit(fs);
	for (unsigned i = 0; !err && again; i++) {
		if (i == ROUNDS_MAX)
			return btrfs_fail(fs, -ELOOP, "a commit comes to no "
					  "end");
		again = false;
		err = btrfs_trees_write(fs, &again);
		if (!err && btrfs_refs_count(fs)) {
			again = true;
			err = btrfs_refs_run(fs);
		}
		if (!err)
			err = btrfs_groups_write(fs, &groups);
		again |= groups;
	}
	return err;
}

static int write_all(struct r3_btrfs *fs)
{
	int err = write_blocks(fs);

	if (!err)
		err = fill_super(fs);
	if (!err)
		err = flush(fs);
	if (!err)
		err = write_super(fs, 0);
	if (!err)
		err = flush(fs);
	for (unsigned i = 1; !err && i < BTRFS_SUPER_COPIES; i++)
		err = write_super(fs, i);
	return err;
}

int btrfs_commit(struct r3_btrfs *fs)
{
	int err = settle(fs);

	if (!err)
		err = write_all(fs);
	if (!err)
		err = btrfs_cache_clean(fs);
	if (err)
		return err;
	fs->generation = btrfs_transid(fs);
	btrfs_trees_committed(fs);
	btrfs_space_unpin(fs);
	fs->trans->committed = fs->super;
	fs->trans->super_changed = false;
	return 0;
}
