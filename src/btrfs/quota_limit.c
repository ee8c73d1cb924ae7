// SPDX-License-Identifier: GPL-2.0-or-later
/* quota_limit.c - limits of quota groups, and what may still come */
#include "quota.h"

int quota_group_limit(struct r3_btrfs *fs, uint64_t id, uint64_t max_rfer,
		      uint64_t max_excl)
{
	struct quota_group *g = quota_group(fs->quotas, id);
	bool rfer = max_rfer != R3_BTRFS_QGROUP_NONE;
	bool excl = max_excl != R3_BTRFS_QGROUP_NONE;
	struct btrfs_qgroup_limit l = {
		.flags = to_le64((rfer ? QUOTA_LIMIT_RFER : 0) |
				 (excl ? QUOTA_LIMIT_EXCL : 0)),
		.max_rfer = to_le64(rfer ? max_rfer : 0),
		.max_excl = to_le64(excl ? max_excl : 0),
	};
	struct btrfs_key key = KEY(0, BTRFS_QGROUP_LIMIT, id);
	struct btrfs_spot spot;
	struct btrfs_tree *t;
	int err = quota_tree(fs, &t);

	if (!err && !g->has_limit)
		err = btrfs_item_insert(fs, t, key, NULL, sizeof(l), &spot);
	else if (!err)
		err = btrfs_item_edit(fs, t, key, &spot);
	if (err)
		return err;
	memcpy(spot.data, &l, sizeof(l));
	g->has_limit = true;
	g->max_rfer = max_rfer;
	g->max_excl = max_excl;
	fs->quotas->limits |= quota_is_limited(g);
	return 0;
}

/* ---- reservations -------------------------------------------------------- */

static bool over(uint64_t used, uint64_t reserved, uint64_t bytes,
		 uint64_t max)
{
	uint64_t sum;

	return max != R3_BTRFS_QGROUP_NONE &&
	       (!r3_add(used, reserved, &sum) || !r3_add(sum, bytes, &sum) ||
		sum > max);
}

static int over_limit(struct r3_btrfs *fs, const struct quota_group *g,
		      const struct quota_need *need)
{
	bool rfer = over(g->rfer, g->reserved.rfer, need->rfer, g->max_rfer);

	if (!rfer && !over(g->excl, g->reserved.excl, need->excl, g->max_excl))
		return 0;
	fs->quotas->refused |= g->reserved.rfer != 0;
	return btrfs_fail(fs, -EDQUOT, "quota group %s: the limit of %llu "
			  "bytes %s leaves no room for %llu more",
			  quota_text(g->id).s,
			  (unsigned long long)(rfer ? g->max_rfer
						    : g->max_excl),
			  rfer ? "referenced" : "exclusive",
			  (unsigned long long)(rfer ? need->rfer
						    : need->excl));
}

/* All groups or none. */
static int reserve(struct r3_btrfs *fs, const quota_ids *groups,
		   const struct quota_need *need)
{
	struct btrfs_quota *q = fs->quotas;
	int err = 0;

	for (size_t i = 0; !err && i < groups->n; i++) {
		const struct quota_group *g = quota_group(q, groups->p[i]);

		if (g)
			err = over_limit(fs, g, need);
	}
	for (size_t i = 0; !err && i < groups->n; i++) {
		struct quota_group *g = quota_group(q, groups->p[i]);

		if (!g)
			continue;
		g->reserved.rfer += need->rfer;
		g->reserved.excl += need->excl;
	}
	return err;
}

/* A block for what items take beyond their bytes; and where blocks may be
 * shared, for the copies of the leaves that an operation changes. */
static int need_of(struct r3_btrfs *fs, uint64_t subvol, uint64_t bytes,
		   struct quota_need *need)
{
	struct btrfs_tree *t;
	int err = btrfs_tree_get(fs, subvol, &t);

	if (err)
		return err;
	if (!r3_add(bytes, 5 * fs->nodesize, &need->excl))
		return btrfs_fail(fs, -EFBIG, "%llu bytes at once",
				  (unsigned long long)bytes);
	need->rfer = bytes + fs->nodesize;
	if (!t->last_snapshot)
		need->excl = need->rfer;
	return 0;
}

bool btrfs_quota_again(struct r3_btrfs *fs)
{
	bool again = fs->quotas->refused;

	fs->quotas->refused = false;
	return again && !btrfs_trans_commit(fs);
}

int btrfs_quota_reserve(struct r3_btrfs *fs, uint64_t subvol, uint64_t bytes)
{
	struct quota_need need;
	quota_ids up = { 0 };
	int err;

	if (!btrfs_quota_on(fs) || !bytes || !fs->quotas->limits)
		return 0;
	err = need_of(fs, subvol, bytes, &need);
	if (!err && !quota_ancestors(fs->quotas, subvol, &up))
		err = btrfs_fail(fs, -ENOMEM, "out of memory");
	fs->quotas->refused = false;
	if (!err)
		err = reserve(fs, &up, &need);
	if (err == -EDQUOT && !btrfs_trans_is_open(fs) &&
	    btrfs_quota_again(fs))
		err = reserve(fs, &up, &need);
	vec_free(&up);
	return err;
}
