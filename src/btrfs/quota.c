// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota.c - quota groups of an open volume: what changes them, and the commit
 */
#include "quota.h"

/* ---- open and close ------------------------------------------------------ */

int btrfs_quota_open(struct r3_btrfs *fs)
{
	struct btrfs_quota *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	fs->quotas = q;
	err = quota_load(fs, q);
	if (!err && q->on && q->flags & BTRFS_QGROUP_SIMPLE)
		err = btrfs_fail(fs, -EOPNOTSUPP, "simple quotas (squota) are "
				 "on: not supported for writing");
	if (!err && q->on)
		err = quota_load_subvols(fs, q);
	q->recount = q->stale;
	return err;
}

void btrfs_quota_close(struct r3_btrfs *fs)
{
	if (!fs->quotas)
		return;
	quota_unload(fs->quotas);
	free(fs->quotas);
	fs->quotas = NULL;
}

bool btrfs_quota_on(const struct r3_btrfs *fs)
{
	return fs->quotas && fs->quotas->on;
}

/* ---- changes of groups and relations ------------------------------------- */

int quota_tree(struct r3_btrfs *fs, struct btrfs_tree **out)
{
	return btrfs_tree_get(fs, BTRFS_QUOTA_TREE, out);
}

int quota_group_add(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_qgroup_info info = { .generation =
					  to_le64(btrfs_transid(fs)) };
	struct btrfs_tree *t;
	struct quota_group *g;
	int err = quota_tree(fs, &t);

	if (!err)
		err = btrfs_item_insert(fs, t, KEY(0, BTRFS_QGROUP_INFO, id),
					&info, sizeof(info), NULL);
	if (!err)
		err = btrfs_item_insert(fs, t, KEY(0, BTRFS_QGROUP_LIMIT, id),
					NULL, sizeof(struct btrfs_qgroup_limit),
					NULL);
	if (err)
		return err;
	g = quota_group_put(fs->quotas, id);
	if (!g)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	g->has_info = g->has_limit = true;
	return 0;
}

int quota_relation_add(struct r3_btrfs *fs, uint64_t member, uint64_t group)
{
	struct btrfs_tree *t;
	int err = quota_tree(fs, &t);

	if (!err)
		err = btrfs_item_insert(fs, t, KEY(member,
						   BTRFS_QGROUP_RELATION,
						   group), NULL, 0, NULL);
	if (!err)
		err = btrfs_item_insert(fs, t, KEY(group,
						   BTRFS_QGROUP_RELATION,
						   member), NULL, 0, NULL);
	if (!err)
		err = quota_live_relation(fs, member, group, true);
	if (err)
		return err;
	return quota_relation_put(fs->quotas, member, group)
		       ? 0 : btrfs_fail(fs, -ENOMEM, "out of memory");
}

/* One that only half is there, in a tree by somebody else, goes too. */
static int relation_item_delete(struct r3_btrfs *fs, struct btrfs_tree *t,
				uint64_t a, uint64_t b)
{
	int err = btrfs_item_delete(fs, t, KEY(a, BTRFS_QGROUP_RELATION, b));

	return err == -ENOENT ? 0 : err;
}

static int relation_items_delete(struct r3_btrfs *fs, uint64_t member,
				 uint64_t group)
{
	struct btrfs_tree *t;
	int err = quota_tree(fs, &t);

	if (!err)
		err = relation_item_delete(fs, t, member, group);
	return err ? err : relation_item_delete(fs, t, group, member);
}

int quota_relation_remove(struct r3_btrfs *fs, uint64_t member,
			  uint64_t group)
{
	int err = relation_items_delete(fs, member, group);

	if (err)
		return err;
	quota_relation_take(fs->quotas, member, group);
	return quota_live_relation(fs, member, group, false);
}

/* Its own, and those of its relations to groups above it. */
static int group_items_delete(struct r3_btrfs *fs, struct quota_group *g)
{
	const struct btrfs_quota *q = fs->quotas;
	size_t at = quota_relations_of(q, g->id);
	struct btrfs_tree *t;
	int err = quota_tree(fs, &t);

	for (; !err && at < q->relations.n && q->relations.p[at].member ==
	       g->id; at++)
		err = relation_items_delete(fs, g->id,
					    q->relations.p[at].group);
	if (!err && g->has_info)
		err = btrfs_item_delete(fs, t, KEY(0, BTRFS_QGROUP_INFO,
						   g->id));
	if (!err && g->has_limit)
		err = btrfs_item_delete(fs, t, KEY(0, BTRFS_QGROUP_LIMIT,
						   g->id));
	g->has_info = g->has_limit = false;
	return err;
}

/* With its relations to groups above it. */
static void group_forget(struct btrfs_quota *q, struct quota_group *g)
{
	size_t at = quota_relations_of(q, g->id);

	while (at < q->relations.n && q->relations.p[at].member == g->id)
		quota_relation_take(q, g->id, q->relations.p[at].group);
	quota_group_take(q, g);
}

int quota_group_remove(struct r3_btrfs *fs, uint64_t id)
{
	struct quota_group *g = quota_group(fs->quotas, id);
	int err = group_items_delete(fs, g);

	if (!err)
		group_forget(fs->quotas, g);
	return err;
}

/* ---- subvolumes come and go ---------------------------------------------- */

int btrfs_quota_subvol_new(struct r3_btrfs *fs, uint64_t id, uint64_t source,
			   const uint64_t *groups, unsigned group_count)
{
	struct btrfs_quota *q = fs->quotas;
	struct btrfs_tree *t;
	int err;

	if (!btrfs_quota_on(fs))
		return 0;
	err = btrfs_tree_get(fs, id, &t);
	if (err)
		return err;
	if (!quota_subvol_put(q, (struct quota_subvol){ .id = id }))
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	/* One left behind by a subvolume of this number is taken over. */
	if (!quota_group(q, id))
		err = quota_group_add(fs, id);
	for (unsigned i = 0; !err && i < group_count; i++) {
		if (!quota_related(q, id, groups[i]))
			err = quota_relation_add(fs, id, groups[i]);
	}
	if (err)
		return err;
	if (source)
		return quota_live_snapshot(fs, source, id);
	quota_live_note(q, t->root->bytenr);
	return 0;
}

/* The group's items go at once; in memory it stays until the commit has counted
 * what groups above it lose. */
int btrfs_quota_subvol_gone(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_quota *q = fs->quotas;
	struct quota_subvol *s;
	struct quota_group *g;
	int err;

	if (!btrfs_quota_on(fs))
		return 0;
	s = quota_subvol(q, id);
	if (s)
		s->gone = true;
	g = quota_group(q, id);
	if (!g)
		return 0;
	err = group_items_delete(fs, g);
	g->gone = true;
	return err;
}

int btrfs_quota_subtree(struct r3_btrfs *fs, uint64_t bytenr,
			const struct btrfs_expect *expect)
{
	return btrfs_quota_on(fs) ? quota_live_subtree(fs, bytenr, expect) : 0;
}

/* Keyed references of a tree that is no known subvolume: of an internal tree,
 * or of a snapshot in the making, which quota_live_snapshot() counts. */
void btrfs_quota_ref(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		     int delta)
{
	(void)delta; /* either way its set may change */
	if (btrfs_quota_on(fs) && btrfs_is_fs_tree(ref->root) &&
	    (ref->parent || quota_subvol(fs->quotas, ref->root)))
		quota_live_note(fs->quotas, ref->bytenr);
}

/* ---- the commit ---------------------------------------------------------- */

static int write_info(struct r3_btrfs *fs, struct btrfs_tree *t,
		      struct quota_group *g)
{
	struct btrfs_qgroup_info info = {
		.generation = to_le64(btrfs_transid(fs)),
		.rfer = to_le64(g->rfer),
		.rfer_cmpr = to_le64(g->rfer),
		.excl = to_le64(g->excl),
		.excl_cmpr = to_le64(g->excl),
	};
	struct btrfs_spot spot;
	int err;

	if (!g->has_info)
		return 0;
	err = btrfs_item_edit(fs, t, KEY(0, BTRFS_QGROUP_INFO, g->id), &spot);
	if (!err)
		memcpy(spot.data, &info, sizeof(info));
	g->changed = false;
	return err;
}

/* Its generation must be that of the super block, or kernels take the numbers
 * for stale. */
int quota_write_status(struct r3_btrfs *fs, struct btrfs_tree *t)
{
	struct btrfs_qgroup_status s = {
		.version = to_le64(1),
		.generation = to_le64(btrfs_transid(fs)),
		.flags = to_le64(fs->quotas->on ? BTRFS_QGROUP_ON : 0),
		.enable_gen = to_le64(fs->quotas->enable_gen),
	};
	struct btrfs_spot spot;
	int err = btrfs_item_edit(fs, t, KEY(0, BTRFS_QGROUP_STATUS, 0),
				  &spot);

	if (!err)
		memcpy(spot.data, &s, r3_min(spot.size, sizeof(s)));
	return err;
}

/* What is gone need not be known any more; what was reserved is counted. */
static void forget_gone(struct btrfs_quota *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->subvols.n; i++) {
		if (!q->subvols.p[i].gone)
			q->subvols.p[n++] = q->subvols.p[i];
	}
	q->subvols.n = n;
	for (size_t i = q->groups.n; i--;) {
		q->groups.p[i].reserved = (struct quota_need){ 0 };
		if (q->groups.p[i].gone)
			group_forget(q, &q->groups.p[i]);
	}
}

int btrfs_quota_commit(struct r3_btrfs *fs)
{
	struct btrfs_quota *q = fs->quotas;
	struct btrfs_tree *t;
	int err;

	if (!btrfs_quota_on(fs))
		return 0;
	err = quota_tree(fs, &t);
	if (!err)
		err = quota_live_count(fs);
	for (size_t i = 0; !err && i < q->groups.n; i++) {
		if (q->groups.p[i].changed)
			err = write_info(fs, t, &q->groups.p[i]);
	}
	if (!err)
		err = quota_write_status(fs, t);
	if (err)
		return err;
	q->recount = q->stale = false;
	quota_live_forget(q);
	forget_gone(q);
	return 0;
}
