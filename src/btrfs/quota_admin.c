// SPDX-License-Identifier: GPL-2.0-or-later
/* quota_admin.c - quota groups as people ask for them */
#include "quota.h"

/* ---- looking ------------------------------------------------------------- */

int r3_btrfs_quota_get(struct r3_btrfs *fs, struct r3_btrfs_quota_state *out)
{
	struct btrfs_quota q = { 0 };
	int err = quota_load(fs, &q);

	if (!err)
		*out = (struct r3_btrfs_quota_state){
			.on = q.on,
			.stale = q.on && q.stale,
			.simple = q.on && q.flags & BTRFS_QGROUP_SIMPLE,
		};
	quota_unload(&q);
	return err;
}

static int by_group(const void *a, const void *b)
{
	const struct quota_relation *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->member < y->member ? -1 : x->member > y->member;
}

struct show {
	struct btrfs_quota q;
	struct quota_relation *by_group;
	uint64_t *parents, *children; /* of all, in the order of the groups */
};

static int show_load(struct r3_btrfs *fs, struct show *s)
{
	int err = quota_load(fs, &s->q);
	size_t n = s->q.relations.n;

	if (!err && !s->q.on)
		err = btrfs_fail(fs, -ENOTCONN, "quotas are off");
	if (err)
		return err;
	s->by_group = calloc(n + 1, sizeof(*s->by_group));
	s->parents = calloc(n + 1, sizeof(*s->parents));
	s->children = calloc(n + 1, sizeof(*s->children));
	if (!s->by_group || !s->parents || !s->children)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	if (n)
		memcpy(s->by_group, s->q.relations.p,
		       n * sizeof(*s->by_group));
	qsort(s->by_group, n, sizeof(*s->by_group), by_group);
	for (size_t i = 0; i < n; i++) {
		s->parents[i] = s->q.relations.p[i].group;
		s->children[i] = s->by_group[i].member;
	}
	return 0;
}

static int show_each(const struct show *s,
		     int (*each)(void *arg,
				 const struct r3_btrfs_qgroup *group),
		     void *arg)
{
	size_t n = s->q.relations.n, up = 0, down = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < s->q.groups.n; i++) {
		const struct quota_group *g = &s->q.groups.p[i];
		struct r3_btrfs_qgroup out = {
			.id = g->id, .rfer = g->rfer, .excl = g->excl,
			.max_rfer = g->max_rfer, .max_excl = g->max_excl,
		};

		/* relations of what is no group are passed over */
		while (up < n && s->q.relations.p[up].member < g->id)
			up++;
		while (down < n && s->by_group[down].group < g->id)
			down++;
		out.parents = s->parents + up;
		out.children = s->children + down;
		for (; up < n && s->q.relations.p[up].member == g->id; up++)
			out.parent_count++;
		for (; down < n && s->by_group[down].group == g->id; down++)
			out.child_count++;
		ret = each(arg, &out);
	}
	return ret;
}

int r3_btrfs_each_qgroup(struct r3_btrfs *fs,
			 int (*each)(void *arg,
				     const struct r3_btrfs_qgroup *group),
			 void *arg)
{
	struct show s = { 0 };
	int ret = show_load(fs, &s);

	if (!ret)
		ret = show_each(&s, each, arg);
	free(s.by_group);
	free(s.parents);
	free(s.children);
	quota_unload(&s.q);
	return ret;
}

/* ---- on and off ---------------------------------------------------------- */

static int need_on(struct r3_btrfs *fs)
{
	if (!fs->quotas)
		return btrfs_fail(fs, -EROFS, "opened for reading only");
	if (!fs->quotas->on)
		return btrfs_fail(fs, -ENOTCONN, "quotas are off; quota enable "
				  "turns them on");
	return 0;
}

/* Groups or items of one operation. */
enum { BATCH = 32 };

/* The tree, not yet on: until it is, it counts for nothing. */
static int tree_make(struct r3_btrfs *fs)
{
	struct btrfs_qgroup_status s = { .version = to_le64(1) };
	struct btrfs_tree *t;
	int err = btrfs_trans_start(fs, 4, BTRFS_USES);

	if (err)
		return err;
	err = btrfs_tree_new(fs, KEY(BTRFS_QUOTA_TREE, BTRFS_ROOT_ITEM, 0),
			     &t);
	if (!err) {
		t->item.refs = to_le32(1);
		err = btrfs_tree_touch(fs, t);
	}
	if (!err)
		err = btrfs_item_insert(fs, t, KEY(0, BTRFS_QGROUP_STATUS, 0),
					&s, sizeof(s), NULL);
	return btrfs_trans_end(fs, err);
}

static int groups_make(struct r3_btrfs *fs)
{
	struct btrfs_quota *q = fs->quotas;
	size_t i = 0;
	int err = 0;

	while (!err && i < q->subvols.n) {
		size_t end = r3_min(i + BATCH, q->subvols.n);

		err = btrfs_trans_start(fs, 2 * BATCH, BTRFS_USES);
		if (err)
			break;
		for (; !err && i < end; i++) {
			if (!q->subvols.p[i].dead)
				err = quota_group_add(fs, q->subvols.p[i].id);
		}
		err = btrfs_trans_end(fs, err);
	}
	return err;
}

/* With @on the next commit counts all. */
static int write_status(struct r3_btrfs *fs, bool on)
{
	struct btrfs_quota *q = fs->quotas;
	bool was_on = q->on, recount = q->recount;
	struct btrfs_tree *t;
	int err = btrfs_trans_start(fs, 1, on ? BTRFS_USES : BTRFS_FREES);

	if (err)
		return err;
	q->on = on;
	q->recount = on;
	err = quota_tree(fs, &t);
	if (!err)
		err = quota_write_status(fs, t);
	if (err) { /* it may be that nothing has changed */
		q->on = was_on;
		q->recount = recount;
	}
	return btrfs_trans_end(fs, err);
}

static int items_drop(struct r3_btrfs *fs)
{
	struct btrfs_tree *t;
	unsigned count = BATCH;
	int err = 0;

	while (!err && count == BATCH) {
		err = btrfs_trans_start(fs, BATCH, BTRFS_FREES);
		if (err)
			break;
		err = quota_tree(fs, &t);
		if (!err)
			err = btrfs_items_delete(fs, t, KEY(0, 0, 0),
						 KEY(UINT64_MAX, UINT8_MAX,
						     UINT64_MAX), BATCH,
						 &count);
		err = btrfs_trans_end(fs, err);
	}
	return err;
}

/* Its one block that is left, and itself. */
static int tree_unmake(struct r3_btrfs *fs)
{
	struct btrfs_expect e = { .tree = BTRFS_QUOTA_TREE };
	struct btrfs_block *b;
	struct btrfs_tree *t;
	int err = quota_tree(fs, &t);

	if (err)
		return err;
	e.generation = t->root->generation;
	e.level = t->root->level;
	err = btrfs_block_get(fs, t->root->bytenr, &e, &b);
	if (err)
		return err;
	btrfs_block_put(b);
	err = btrfs_block_drop(fs, t, b, 0);
	return err ? err : btrfs_tree_remove(fs, t);
}

/* A tree that is not on, as a kernel may leave one too. */
static int tree_drop(struct r3_btrfs *fs)
{
	int err = items_drop(fs);

	if (!err)
		err = btrfs_trans_start(fs, 2, BTRFS_FREES);
	if (!err)
		err = btrfs_trans_end(fs, tree_unmake(fs));
	quota_unload(fs->quotas);
	return err ? err : btrfs_trans_commit(fs);
}

int r3_btrfs_quota_enable(struct r3_btrfs *fs)
{
	struct btrfs_quota *q = fs->quotas;
	int err;

	if (!q)
		return btrfs_fail(fs, -EROFS, "opened for reading only");
	if (q->on)
		return 0;
	/* root items say who is there, and they follow at commit */
	err = btrfs_trans_commit(fs);
	if (!err && fs->quota.bytenr)
		err = tree_drop(fs);
	if (!err)
		err = quota_load_subvols(fs, q);
	if (!err)
		err = tree_make(fs);
	if (!err)
		err = groups_make(fs);
	if (!err)
		err = write_status(fs, true);
	if (!err)
		return btrfs_trans_commit(fs);
	return err;
}

int r3_btrfs_quota_disable(struct r3_btrfs *fs)
{
	int err = need_on(fs);

	if (!err)
		err = write_status(fs, false);
	return err ? err : tree_drop(fs);
}

int r3_btrfs_quota_rescan(struct r3_btrfs *fs)
{
	int err = need_on(fs);

	if (!err)
		err = write_status(fs, true);
	return err ? err : btrfs_trans_commit(fs);
}

/* ---- groups -------------------------------------------------------------- */

static int need_group(struct r3_btrfs *fs, uint64_t id)
{
	const struct quota_group *g;
	int err = need_on(fs);

	if (err)
		return err;
	g = quota_group(fs->quotas, id);
	if (!g || g->gone)
		err = btrfs_fail(fs, -ENOENT, "there is no quota group %s",
				 quota_text(id).s);
	return err;
}

int r3_btrfs_qgroup_create(struct r3_btrfs *fs, uint64_t id)
{
	int err = need_on(fs);

	if (!err && !quota_level(id))
		err = btrfs_fail(fs, -EINVAL, "%s: groups of level 0 come with "
				 "their subvolume; make one of level 1 or "
				 "above", quota_text(id).s);
	if (!err && quota_group(fs->quotas, id))
		err = btrfs_fail(fs, -EEXIST, "quota group %s is there already",
				 quota_text(id).s);
	if (!err)
		err = btrfs_trans_start(fs, 2, BTRFS_USES);
	if (err)
		return err;
	return btrfs_trans_end(fs, quota_group_add(fs, id));
}

static bool has_members(const struct btrfs_quota *q, uint64_t id)
{
	for (size_t i = 0; i < q->relations.n; i++) {
		if (q->relations.p[i].group == id)
			return true;
	}
	return false;
}

int r3_btrfs_qgroup_destroy(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_quota *q = fs->quotas;
	int err = need_group(fs, id);

	if (!err && quota_subvol(q, id))
		err = btrfs_fail(fs, -EBUSY, "quota group %s belongs to a "
				 "subvolume", quota_text(id).s);
	if (!err && has_members(q, id))
		err = btrfs_fail(fs, -EBUSY, "quota group %s has members; "
				 "remove them first", quota_text(id).s);
	if (!err)
		err = btrfs_trans_start(fs, 2 + 2 * (unsigned)q->relations.n,
					BTRFS_FREES);
	if (err)
		return err;
	return btrfs_trans_end(fs, quota_group_remove(fs, id));
}

int r3_btrfs_qgroup_assign(struct r3_btrfs *fs, uint64_t member,
			   uint64_t group)
{
	int err = need_group(fs, member);

	if (!err)
		err = need_group(fs, group);
	if (!err && quota_level(member) >= quota_level(group))
		err = btrfs_fail(fs, -EINVAL, "quota group %s can't be in %s: "
				 "a group's level is above its members'",
				 quota_text(member).s, quota_text(group).s);
	if (!err && quota_related(fs->quotas, member, group))
		err = btrfs_fail(fs, -EEXIST, "quota group %s is in %s already",
				 quota_text(member).s, quota_text(group).s);
	if (!err)
		err = btrfs_trans_start(fs, 2, BTRFS_USES);
	if (err)
		return err;
	return btrfs_trans_end(fs, quota_relation_add(fs, member, group));
}

int r3_btrfs_qgroup_remove(struct r3_btrfs *fs, uint64_t member,
			   uint64_t group)
{
	int err = need_on(fs);

	if (!err && !quota_related(fs->quotas, member, group))
		err = btrfs_fail(fs, -ENOENT, "quota group %s is not in %s",
				 quota_text(member).s, quota_text(group).s);
	if (!err)
		err = btrfs_trans_start(fs, 2, BTRFS_FREES);
	if (err)
		return err;
	return btrfs_trans_end(fs, quota_relation_remove(fs, member, group));
}

int r3_btrfs_qgroup_limit(struct r3_btrfs *fs, uint64_t id, uint64_t max_rfer,
			  uint64_t max_excl)
{
	int err = need_group(fs, id);

	/* so that what is not counted yet is reserved, too */
	if (!err)
		err = btrfs_trans_commit(fs);
	if (!err)
		err = btrfs_trans_start(fs, 1, BTRFS_USES);
	if (err)
		return err;
	return btrfs_trans_end(fs, quota_group_limit(fs, id, max_rfer,
						     max_excl));
}
