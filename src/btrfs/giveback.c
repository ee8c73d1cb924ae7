// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * giveback.c - what was written in vain leaves the file that the image lies in
 *
 * Once a commit is durable, what the allocator has as free is needed by
 * nobody: the roots of before, too, would soon be written over.
 */
#include "space.h"

static void discard(struct r3_btrfs *fs, uint64_t logical, uint64_t len)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, logical);

	for (unsigned i = 0; m && i < m->copies; i++)
		fs->dev->ops->discard(fs->dev, m->physical[i] +
				      (logical - m->logical), len);
}

int r3_btrfs_give_back(struct r3_btrfs *fs)
{
	int err = r3_btrfs_sync(fs);
	uint64_t at, len;

	if (err || !fs->dev->ops->discard)
		return err;
	for (unsigned i = 0; i < fs->space->count; i++) {
		const struct btrfs_group *g = fs->space->groups[i];

		for (at = 0; btrfs_group_run(g, &at, &len); at += len)
			discard(fs, g->start + at * BTRFS_SECTOR,
				len * BTRFS_SECTOR);
	}
	return 0;
}
