// SPDX-License-Identifier: GPL-2.0-or-later
/* check_quota.c - the quota tree's numbers against counted ones */
#include "check.h"

static int load_relations(struct check *c, uint64_t *flags)
{
	const struct btrfs_qgroup_status *s;
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, c->fs, &c->fs->quota);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type == BTRFS_QGROUP_STATUS) {
			s = cur.data;
			*flags = le64(s->flags);
		} else if (cur.key.type == BTRFS_QGROUP_RELATION &&
			   cur.key.objectid < cur.key.offset &&
			   !btrfs_qcount_relation(c->qcount, cur.key.objectid,
						  cur.key.offset)) {
			c->out_of_memory = true;
		}
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}

static void compare(struct check *c, const struct btrfs_cursor *cur)
{
	const struct btrfs_qgroup_info *i = cur->data;
	uint64_t id = cur->key.offset, rfer, excl;

	btrfs_qcount_get(c->qcount, id, &rfer, &excl);
	if (le64(i->rfer) == rfer && le64(i->excl) == excl)
		return;
	check_problem(c, "tree quota key (0 QGROUP_INFO %llu/%llu): "
		      "referenced %llu exclusive %llu, counted %llu %llu",
		      (unsigned long long)(id >> BTRFS_QGROUP_LEVEL_SHIFT),
		      (unsigned long long)(id & ((UINT64_C(1) << 48) - 1)),
		      (unsigned long long)le64(i->rfer),
		      (unsigned long long)le64(i->excl),
		      (unsigned long long)rfer, (unsigned long long)excl);
}

int check_quota(struct check *c)
{
	struct btrfs_cursor cur;
	uint64_t flags = 0;
	int err = load_relations(c, &flags);

	if (err)
		return err;
	/* Simple quotas charge whoever wrote an extent: not counted here.
	 * Numbers that say of themselves that they are stale are no damage. */
	if (!(flags & BTRFS_QGROUP_ON) || flags & BTRFS_QGROUP_SIMPLE)
		return 0;
	if (flags & (BTRFS_QGROUP_INCONSISTENT | BTRFS_QGROUP_RESCAN) &&
	    !c->opts->qgroups)
		return 0;
	if (!btrfs_qcount_run(c->qcount)) {
		c->out_of_memory = true;
		return 0;
	}
	btrfs_cursor_init(&cur, c->fs, &c->fs->quota);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type == BTRFS_QGROUP_INFO)
			compare(c, &cur);
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}
