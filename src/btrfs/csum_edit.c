// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * csum_edit.c - checksums of data, into the csum tree and out of it
 *
 * An item (-10 EXTENT_CSUM logical) holds the checksums of sectors that follow
 * each other, of one extent or of several.  Items do not overlap.  They grow to
 * what the kernel allows: so much that two of them do not fill a leaf quite.
 */
#include <stdlib.h>

#include "trans.h"

enum { CSUM_ITEM_SECTORS_MAX = 4096 }; /* the kernel's PAGE_SIZE, as a count */

static struct btrfs_key csum_key(uint64_t logical)
{
	return KEY(BTRFS_CSUM_OBJECTID, BTRFS_EXTENT_CSUM, logical);
}

/* Source: linux fs/btrfs/file-item.c, MAX_CSUM_ITEMS. */
static uint32_t item_sectors_max(const struct r3_btrfs *fs)
{
	uint32_t room = fs->nodesize - (uint32_t)sizeof(struct btrfs_header) -
			2 * (uint32_t)sizeof(struct btrfs_item);

	return (uint32_t)r3_min(room / fs->csum_size - 1,
				CSUM_ITEM_SECTORS_MAX);
}

struct csum_item {
	uint64_t start, end; /* logical */
	uint32_t size;
};

/* The last item that begins before @before; -ENOENT. */
static int last_before(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		       uint64_t before, struct csum_item *out)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek_back(&c, csum_key(before - 1));
	if (!err && (c.key.objectid != BTRFS_CSUM_OBJECTID ||
		     c.key.type != BTRFS_EXTENT_CSUM))
		err = -ENOENT;
	if (!err) {
		out->start = c.key.offset;
		out->size = c.size;
		out->end = c.key.offset + (uint64_t)BTRFS_SECTOR *
						  (c.size / fs->csum_size);
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* The item keeps what lies before @logical. */
static int keep_head(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     const struct csum_item *it, uint64_t logical)
{
	uint64_t sectors = (logical - it->start) / BTRFS_SECTOR;

	return btrfs_item_resize(fs, tree, csum_key(it->start),
				 (uint32_t)sectors * fs->csum_size, NULL);
}

/* Take [from, to) out of an item that holds some of it. */
static int cut_item(struct r3_btrfs *fs, struct btrfs_tree *tree,
		    const struct csum_item *it, uint64_t from, uint64_t to)
{
	uint32_t tail = it->end > to
		? (uint32_t)((it->end - to) / BTRFS_SECTOR) * fs->csum_size : 0;
	uint8_t *kept = tail ? malloc(tail) : NULL;
	struct btrfs_spot spot;
	int err = 0;

	if (tail && !kept)
		return -ENOMEM;
	if (tail) {
		err = btrfs_item_edit(fs, tree, csum_key(it->start), &spot);
		if (!err)
			memcpy(kept, spot.data + spot.size - tail, tail);
	}
	if (!err && it->start < from)
		err = keep_head(fs, tree, it, from);
	else if (!err)
		err = btrfs_item_delete(fs, tree, csum_key(it->start));
	if (!err && tail)
		err = btrfs_item_insert(fs, tree, csum_key(to), kept, tail,
					NULL);
	free(kept);
	return err;
}

int btrfs_csums_remove(struct r3_btrfs *fs, uint64_t logical, uint64_t len)
{
	uint64_t end = logical + len;
	struct btrfs_tree *tree;
	struct csum_item it;
	int err = btrfs_tree_get(fs, BTRFS_CSUM_TREE, &tree);

	while (!err) {
		err = last_before(fs, tree, end, &it);
		if (!err && it.end <= logical)
			err = -ENOENT;
		if (!err)
			err = cut_item(fs, tree, &it, logical, end);
	}
	return err == -ENOENT ? 0 : err;
}

/* The item that ends where the new ones begin takes as many as it can. */
static int grow_item(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     const struct csum_item *it, const uint8_t *sums,
		     size_t sectors, size_t *taken)
{
	uint32_t room = item_sectors_max(fs), has = it->size / fs->csum_size;
	struct btrfs_spot spot;
	int err;

	*taken = has < room ? r3_min(room - has, sectors) : 0;
	if (!*taken)
		return 0;
	err = btrfs_item_resize(fs, tree, csum_key(it->start),
				it->size + (uint32_t)*taken * fs->csum_size,
				&spot);
	if (!err)
		memcpy(spot.data + it->size, sums, *taken * fs->csum_size);
	return err;
}

int btrfs_csums_insert(struct r3_btrfs *fs, uint64_t logical,
		       const uint8_t *sums, size_t sectors)
{
	struct btrfs_tree *tree;
	struct csum_item it;
	size_t n = 0;
	int err = btrfs_tree_get(fs, BTRFS_CSUM_TREE, &tree);

	if (!err)
		err = last_before(fs, tree, logical +
				  (uint64_t)sectors * BTRFS_SECTOR, &it);
	if (!err && it.end > logical)
		err = btrfs_fail(fs, -EUCLEAN, "block %llu has a checksum, "
				 "and is free", (unsigned long long)logical);
	if (!err && it.end == logical)
		err = grow_item(fs, tree, &it, sums, sectors, &n);
	if (err == -ENOENT)
		err = 0;
	while (!err && n < sectors) {
		size_t count = r3_min(sectors - n, item_sectors_max(fs));

		err = btrfs_item_insert(fs, tree,
					csum_key(logical + n * BTRFS_SECTOR),
					sums + n * fs->csum_size,
					(uint32_t)count * fs->csum_size, NULL);
		n += count;
	}
	return err;
}
