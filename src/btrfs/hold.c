// SPDX-License-Identifier: GPL-2.0-or-later
/* hold.c - inodes that stay when their last name goes, because somebody uses
 * them */
#include <search.h>
#include <stdlib.h>

#include "names.h"

struct hold {
	struct r3_btrfs_inode in;
	uint64_t count;
};

struct btrfs_holds {
	void *tree; /* of tsearch(3) */
};

/* An inode number of 0 stands for any of the subvolume. */
static int cmp(const void *pa, const void *pb)
{
	const struct hold *a = pa, *b = pb;

	if (a->in.subvol != b->in.subvol)
		return a->in.subvol < b->in.subvol ? -1 : 1;
	if (!a->in.ino || !b->in.ino || a->in.ino == b->in.ino)
		return 0;
	return a->in.ino < b->in.ino ? -1 : 1;
}

static struct hold *find(const struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	struct hold key = { .in = in };
	struct hold **h = fs->holds ? tfind(&key, &fs->holds->tree, cmp) : NULL;

	return h ? *h : NULL;
}

bool btrfs_held(const struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	return find(fs, in);
}

bool btrfs_holds_subvol(const struct r3_btrfs *fs, uint64_t subvol)
{
	return find(fs, (struct r3_btrfs_inode){ subvol, 0 });
}

static int insert(struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	struct hold *h = calloc(1, sizeof(*h));

	if (!fs->holds)
		fs->holds = calloc(1, sizeof(*fs->holds));
	if (!h || !fs->holds)
		goto fail;
	*h = (struct hold){ in, 1 };
	if (!tsearch(h, &fs->holds->tree, cmp))
		goto fail;
	return 0;

fail:
	free(h);
	return btrfs_fail(fs, -ENOMEM, "out of memory");
}

int r3_btrfs_hold(struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	struct hold *h = in.ino ? find(fs, in) : NULL;

	if (!in.ino)
		return btrfs_fail(fs, -EINVAL, "there is no inode 0");
	if (h) {
		h->count++;
		return 0;
	}
	return insert(fs, in);
}

int r3_btrfs_release(struct r3_btrfs *fs, struct r3_btrfs_inode in)
{
	struct hold *h = in.ino ? find(fs, in) : NULL;

	if (!h)
		return btrfs_fail(fs, -EINVAL, "inode %llu is not held",
				  (unsigned long long)in.ino);
	if (--h->count)
		return 0;
	tdelete(h, &fs->holds->tree, cmp);
	free(h);
	return btrfs_released(fs, in);
}

void btrfs_holds_free(struct r3_btrfs *fs)
{
	if (fs->holds)
		tdestroy(fs->holds->tree, free);
	free(fs->holds);
	fs->holds = NULL;
}
