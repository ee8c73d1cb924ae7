/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quota_view.h - which subvolumes reach an extent, found by going up
 *
 * A view is the volume as it is, or as the last commit left it; it lasts while
 * nothing changes.  Every block's set of subvolumes is worked out once.
 */
#ifndef BTRFS_QUOTA_VIEW_H
#define BTRFS_QUOTA_VIEW_H

#include "quota.h"
#include "quota_map.h"

struct quota_view_subvol {
	bool loaded, there;
	bool dropping; /* what lies before drop_key is gone */
	struct btrfs_key drop_key;
	struct btrfs_root root;
	/* Its own blocks of later generations are nobody else's. */
	uint64_t alone_after;
};

struct quota_view {
	struct r3_btrfs *fs;
	struct btrfs_qcount *qcount; /* members: as in quotas->subvols */
	bool committed;
	struct btrfs_root extent, tree_root;
	struct quota_view_subvol *subvols; /* beside quotas->subvols */
	struct quota_map sets;		   /* of blocks */
	VEC(uint32_t) alone; /* members of the set being made; a stack */
	unsigned depth;
};

struct quota_view_extent {
	bool there;
	uint64_t len, generation;
	uint32_t set;
};

int quota_view_init(struct quota_view *v, struct r3_btrfs *fs,
		    struct btrfs_qcount *qcount, bool committed);
void quota_view_fini(struct quota_view *v);
/* out->there is false: no extent begins there. */
int quota_view_look(struct quota_view *v, uint64_t bytenr,
		    struct quota_view_extent *out);

#endif
