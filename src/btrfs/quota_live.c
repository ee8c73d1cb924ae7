// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota_live.c - quota numbers kept exact by counting what changed
 *
 * Let R(x) be the set of subvolumes that reach extent x.  All numbers follow
 * from the R of all extents and the relations of groups.  Three things change
 * an R:
 *
 *  - A reference to x comes or goes.  x is noted; R before is looked up in the
 *    committed trees, R after in the changed ones.
 *
 *  - A snapshot S of A: R gains S wherever it has A, in all of a tree that is
 *    not touched.  As every other change to R is noted, it makes no difference
 *    when the snapshot was taken: it is taken as if it came right after the
 *    last commit, before all else.  Then S has A's numbers, and nothing of A is
 *    exclusive to A any more; and where an R "before" has A, S is put in.
 *    Only the root blocks differ, and those are noted.
 *
 *  - A subtree that others keep loses a subvolume that is being deleted.  All
 *    that is below is noted.
 *
 * A relation that comes or goes is taken in the same way, right after the last
 * commit.  So group->rfer and ->excl are at all times those of the last commit
 * with snapshots and relations of since then, and the commit adds up, for each
 * noted x, what its R was and is.
 *
 * Where numbers alone don't tell (a group has one of source and snapshot but
 * not the other, and shares extents), and where so much is noted that it would
 * not pay, all is counted anew.
 */
#include "quota_view.h"

/* 64 MiB of notes. */
#define NOTED_MAX (UINT32_C(1) << 21)
/* Below this, looking up what was noted is quick in any case. */
#define NOTED_FEW 4096
/* Bytes of an extent, where nothing better is known. */
#define EXTENT_USUAL (64 * R3_KIB)

static int no_memory(struct r3_btrfs *fs)
{
	return btrfs_fail(fs, -ENOMEM, "out of memory");
}

static void count_all(struct btrfs_quota *q)
{
	q->recount = true;
	quota_live_forget(q);
}

void quota_live_forget(struct btrfs_quota *q)
{
	quota_map_free(&q->noted);
	q->snapshots.n = 0;
}

void quota_live_note(struct btrfs_quota *q, uint64_t bytenr)
{
	if (!q->recount && (q->noted.used >= NOTED_MAX ||
			    !quota_map_put(&q->noted, bytenr, 0)))
		count_all(q);
}

/* ---- subtrees ------------------------------------------------------------ */

static void note_leaf(struct btrfs_quota *q, const struct btrfs_block *b)
{
	for (unsigned i = 0; i < b->nritems; i++) {
		const struct btrfs_file_extent_reg *x = btrfs_item_data(b, i);

		if (btrfs_item_at(b, i)->key.type == BTRFS_EXTENT_DATA &&
		    x->head.type != BTRFS_FILE_INLINE && le64(x->disk_bytenr))
			quota_live_note(q, le64(x->disk_bytenr));
	}
}

int quota_live_subtree(struct r3_btrfs *fs, uint64_t bytenr,
		       const struct btrfs_expect *expect)
{
	struct btrfs_quota *q = fs->quotas;
	struct btrfs_block *b;
	int err;

	if (q->recount)
		return 0;
	quota_live_note(q, bytenr);
	err = btrfs_block_get(fs, bytenr, expect, &b);
	if (err)
		return err;
	if (!b->level)
		note_leaf(q, b);
	for (unsigned i = 0; !err && b->level && i < b->nritems; i++) {
		const struct btrfs_key_ptr *p = btrfs_ptr_at(b, i);
		struct btrfs_expect e = { .tree = expect->tree,
					  .generation = le64(p->generation),
					  .level = b->level - 1 };

		err = quota_live_subtree(fs, le64(p->blockptr), &e);
	}
	btrfs_block_put(b);
	return err;
}

/* ---- snapshots ----------------------------------------------------------- */

static bool has_id(const quota_ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		if (ids->p[i] == id)
			return true;
	}
	return false;
}

/* Is @id the only subvolume in @group?  *out; false: no memory. */
static bool only_member(const struct btrfs_quota *q, uint64_t group,
			uint64_t id, bool *out)
{
	quota_ids up = { 0 };
	bool ok = true;

	*out = true;
	for (size_t i = 0; ok && *out && i < q->subvols.n; i++) {
		if (q->subvols.p[i].id == id)
			continue;
		up.n = 0;
		ok = quota_ancestors(q, q->subvols.p[i].id, &up);
		*out = !has_id(&up, group);
	}
	vec_free(&up);
	return ok;
}

/* A group that has @source, but not the snapshot: what the source has is not
 * exclusive any more.  *told is false: numbers don't tell how much. */
static bool lose_exclusive(const struct btrfs_quota *q, struct quota_group *g,
			   const struct quota_group *source, bool *told)
{
	bool only = false;

	if (!g->excl)
		return true;
	g->changed = true;
	if (source->excl == source->rfer) {
		g->excl -= source->excl;
		return true;
	}
	if (!only_member(q, g->id, source->id, &only))
		return false;
	*told = only;
	g->excl = 0;
	return true;
}

/* A group that has the snapshot, but not @source. */
static bool gain_referenced(struct quota_group *g,
			    const struct quota_group *source)
{
	/* nothing that the group has, the source has too */
	if (g->rfer && source->excl != source->rfer)
		return false;
	g->rfer += source->rfer;
	g->changed = true;
	return true;
}

/* Groups above the source and above the snapshot. */
static bool share_groups(struct btrfs_quota *q,
			 const struct quota_group *source,
			 const quota_ids *with_source,
			 const quota_ids *with_snapshot, bool *told)
{
	bool ok = true;

	for (size_t i = 1; ok && *told && i < with_source->n; i++) {
		struct quota_group *g = quota_group(q, with_source->p[i]);

		if (g && !has_id(with_snapshot, g->id))
			ok = lose_exclusive(q, g, source, told);
	}
	for (size_t i = 1; ok && *told && i < with_snapshot->n; i++) {
		struct quota_group *g = quota_group(q, with_snapshot->p[i]);

		if (g && !has_id(with_source, g->id))
			*told = gain_referenced(g, source);
	}
	return ok;
}

/* False: no memory. */
static bool share_numbers(struct btrfs_quota *q, uint64_t source_id,
			  uint64_t id, bool *told)
{
	quota_ids with_source = { 0 }, with_snapshot = { 0 };
	struct quota_group *source = quota_group(q, source_id);
	struct quota_group *g = quota_group(q, id);
	bool ok = quota_ancestors(q, source_id, &with_source) &&
		  quota_ancestors(q, id, &with_snapshot);

	*told = source && g && !g->rfer;
	if (ok && *told)
		ok = share_groups(q, source, &with_source, &with_snapshot,
				  told);
	if (ok && *told) {
		g->rfer = source->rfer;
		g->excl = source->excl = 0;
		g->changed = source->changed = true;
	}
	vec_free(&with_source);
	vec_free(&with_snapshot);
	return ok;
}

/* The snapshot's group and relations are there. */
int quota_live_snapshot(struct r3_btrfs *fs, uint64_t source, uint64_t id)
{
	struct btrfs_quota *q = fs->quotas;
	struct btrfs_tree *from, *to;
	bool told;
	int err;

	if (q->recount)
		return 0;
	err = btrfs_tree_get(fs, source, &from);
	if (!err)
		err = btrfs_tree_get(fs, id, &to);
	if (err)
		return err;
	if (!share_numbers(q, source, id, &told) ||
	    !vec_push(&q->snapshots, (struct quota_snapshot){ source, id }))
		return no_memory(fs);
	quota_live_note(q, to->root->bytenr);
	quota_live_note(q, from->root->bytenr);
	if (!told)
		count_all(q);
	return 0;
}

/* ---- relations ----------------------------------------------------------- */

/* Is no subvolume of @member in one of @groups by another way?  *out; false:
 * no memory. */
static bool is_apart(const struct btrfs_quota *q, uint64_t member,
		     const quota_ids *groups, bool *out)
{
	quota_ids up = { 0 };
	bool ok = true;

	*out = true;
	for (size_t i = 0; ok && *out && i < q->subvols.n; i++) {
		up.n = 0;
		ok = quota_ancestors(q, q->subvols.p[i].id, &up);
		if (!ok || !has_id(&up, member))
			continue;
		for (size_t k = 0; *out && k < groups->n; k++)
			*out = !has_id(&up, groups->p[k]);
	}
	vec_free(&up);
	return ok;
}

/* What @member has is in these groups by way of nothing else. */
static void move_numbers(struct btrfs_quota *q, const quota_ids *groups,
			 const struct quota_group *member, bool comes)
{
	for (size_t i = 0; i < groups->n; i++) {
		struct quota_group *g = quota_group(q, groups->p[i]);

		if (!g)
			continue;
		g->rfer += comes ? member->rfer : -member->rfer;
		g->excl += comes ? member->excl : -member->excl;
		g->changed = true;
	}
}

/* Groups that @member is in by way of @group alone. */
static bool groups_between(struct btrfs_quota *q, uint64_t member,
			   uint64_t group, quota_ids *out)
{
	quota_ids with = { 0 }, above = { 0 };
	bool ok = quota_ancestors(q, member, &with) &&
		  quota_ancestors(q, group, &above);

	for (size_t i = 0; ok && i < above.n; i++) {
		if (!has_id(&with, above.p[i]))
			ok = vec_push(out, above.p[i]);
	}
	vec_free(&with);
	vec_free(&above);
	return ok;
}

/* The relation is not there: not yet, or not any more. */
int quota_live_relation(struct r3_btrfs *fs, uint64_t member, uint64_t group,
			bool comes)
{
	struct btrfs_quota *q = fs->quotas;
	const struct quota_group *m = quota_group(q, member);
	quota_ids groups = { 0 };
	bool apart;
	int err = 0;

	if (q->recount || !m || !m->rfer)
		return 0;
	if (m->rfer != m->excl) {
		count_all(q);
		return 0;
	}
	if (!groups_between(q, member, group, &groups) ||
	    !is_apart(q, member, &groups, &apart))
		err = no_memory(fs);
	else if (apart)
		move_numbers(q, &groups, m, comes);
	else
		count_all(q);
	vec_free(&groups);
	return err;
}

/* ---- the commit ---------------------------------------------------------- */

struct live {
	struct r3_btrfs *fs;
	struct btrfs_qcount *qcount;
	struct quota_view before, after;
	VEC(uint32_t) with_snapshots; /* by set: 0 unknown, else set + 1 */
	VEC(uint32_t) members;
	bool *has; /* by member */
};

/* The set with the snapshots of its members. */
static int make_with_snapshots(struct live *l, uint32_t set, uint32_t *out)
{
	const struct btrfs_quota *q = l->fs->quotas;
	uint32_t count;
	const uint32_t *m = btrfs_qcount_members(l->qcount, set, &count);

	memset(l->has, 0, q->subvols.n * sizeof(*l->has));
	for (uint32_t i = 0; i < count; i++)
		l->has[m[i]] = true;
	for (size_t i = 0; i < q->snapshots.n; i++) {
		const struct quota_snapshot *s = &q->snapshots.p[i];
		size_t from = (size_t)(quota_subvol(q, s->source) -
				       q->subvols.p);
		size_t to = (size_t)(quota_subvol(q, s->id) - q->subvols.p);

		l->has[to] |= l->has[from];
	}
	l->members.n = 0;
	for (uint32_t i = 0; i < q->subvols.n; i++) {
		if (l->has[i] && !vec_push(&l->members, i))
			return -ENOMEM;
	}
	return btrfs_qcount_set(l->qcount, l->members.p,
				(uint32_t)l->members.n, out) ? 0 : -ENOMEM;
}

static int with_snapshots(struct live *l, uint32_t *set)
{
	uint32_t made;

	if (!*set || !l->fs->quotas->snapshots.n)
		return 0;
	while (l->with_snapshots.n <= *set) {
		if (!vec_push(&l->with_snapshots, 0))
			return -ENOMEM;
	}
	if (!l->with_snapshots.p[*set]) {
		if (make_with_snapshots(l, *set, &made))
			return -ENOMEM;
		l->with_snapshots.p[*set] = made + 1;
	}
	*set = l->with_snapshots.p[*set] - 1;
	return 0;
}

/* What the extent's set was and is. */
static int count_extent(struct live *l, uint64_t bytenr)
{
	struct quota_view_extent was = { 0 }, is;
	int err = quota_view_look(&l->after, bytenr, &is);

	/* the place of what was freed is not used again before the commit */
	if (!err && (!is.there || is.generation < btrfs_transid(l->fs)))
		err = quota_view_look(&l->before, bytenr, &was);
	if (!err && was.there && with_snapshots(l, &was.set))
		err = no_memory(l->fs);
	if (err || was.set == is.set)
		return err;
	btrfs_qcount_add(l->qcount, was.set, -was.len);
	btrfs_qcount_add(l->qcount, is.set, is.len);
	return 0;
}

static int bytenr_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* In the order of the extent tree. */
static int count_noted(struct live *l)
{
	const struct quota_map *noted = &l->fs->quotas->noted;
	uint64_t *all = malloc((noted->used + 1) * sizeof(*all));
	size_t n = 0;
	int err = 0;

	if (!all)
		return no_memory(l->fs);
	for (size_t i = 0; i < noted->size; i++) {
		if (noted->p[i].bytenr)
			all[n++] = noted->p[i].bytenr;
	}
	qsort(all, n, sizeof(*all), bytenr_cmp);
	for (size_t i = 0; !err && i < n; i++)
		err = count_extent(l, all[i]);
	free(all);
	return err;
}

static void put_numbers(struct btrfs_quota *q, const struct btrfs_qcount *by,
			bool whole)
{
	for (size_t i = 0; i < q->groups.n; i++) {
		struct quota_group *g = &q->groups.p[i];
		uint64_t rfer, excl;

		btrfs_qcount_get(by, g->id, &rfer, &excl);
		rfer += whole ? 0 : g->rfer;
		excl += whole ? 0 : g->excl;
		g->changed |= g->rfer != rfer || g->excl != excl;
		g->rfer = rfer;
		g->excl = excl;
	}
}

static int live_init(struct live *l, struct r3_btrfs *fs)
{
	const struct btrfs_quota *q = fs->quotas;
	bool ok;
	int err;

	*l = (struct live){ .fs = fs, .qcount = btrfs_qcount_new(),
			    .has = calloc(q->subvols.n + 1,
					  sizeof(*l->has)) };
	ok = l->qcount && l->has;
	for (size_t i = 0; ok && i < q->subvols.n; i++)
		ok = btrfs_qcount_member(l->qcount, q->subvols.p[i].id);
	for (size_t i = 0; ok && i < q->relations.n; i++)
		ok = btrfs_qcount_relation(l->qcount,
					   q->relations.p[i].member,
					   q->relations.p[i].group);
	if (!ok)
		return no_memory(fs);
	err = quota_view_init(&l->before, fs, l->qcount, true);
	return err ? err : quota_view_init(&l->after, fs, l->qcount, false);
}

static void live_fini(struct live *l)
{
	quota_view_fini(&l->before);
	quota_view_fini(&l->after);
	vec_free(&l->with_snapshots);
	vec_free(&l->members);
	free(l->has);
	btrfs_qcount_free(l->qcount);
}

static int count_changes(struct r3_btrfs *fs)
{
	struct live l;
	int err = live_init(&l, fs);

	if (!err)
		err = count_noted(&l);
	if (!err && !btrfs_qcount_run(l.qcount))
		err = no_memory(fs);
	if (!err)
		put_numbers(fs->quotas, l.qcount, false);
	live_fini(&l);
	return err;
}

static int count_whole(struct r3_btrfs *fs)
{
	struct btrfs_qcount *counted;
	int err = quota_recount(fs, &counted);

	if (err)
		return err;
	put_numbers(fs->quotas, counted, true);
	btrfs_qcount_free(counted);
	return 0;
}

static int verify(struct r3_btrfs *fs)
{
	const struct btrfs_quota *q = fs->quotas;
	struct btrfs_qcount *counted;
	int err = quota_recount(fs, &counted);

	for (size_t i = 0; !err && i < q->groups.n; i++) {
		const struct quota_group *g = &q->groups.p[i];
		uint64_t rfer, excl;

		btrfs_qcount_get(counted, g->id, &rfer, &excl);
		if (g->rfer != rfer || g->excl != excl)
			err = btrfs_fail(fs, -EUCLEAN, "quota group %s: %llu "
					 "%llu kept, %llu %llu counted",
					 quota_text(g->id).s,
					 (unsigned long long)g->rfer,
					 (unsigned long long)g->excl,
					 (unsigned long long)rfer,
					 (unsigned long long)excl);
	}
	btrfs_qcount_free(counted);
	return err;
}

/* About how many a count of all has to look at. */
static uint64_t extents(const struct r3_btrfs *fs)
{
	return fs->quotas->extents ? fs->quotas->extents
				   : le64(fs->super.bytes_used) / EXTENT_USUAL;
}

int quota_live_count(struct r3_btrfs *fs)
{
	struct btrfs_quota *q = fs->quotas;
	int err = 0;

	/* The committed trees are those of before this transaction. */
	if (q->noted.used && q->counted == btrfs_transid(fs))
		q->recount = true;
	/* Looking one up costs a few times what counting one does. */
	if (q->noted.used > NOTED_FEW && q->noted.used > extents(fs) / 4)
		q->recount = true;
	if (q->recount)
		err = count_whole(fs);
	else if (q->noted.used || q->snapshots.n)
		err = count_changes(fs);
	if (!err && q->verify)
		err = verify(fs);
	q->counted = btrfs_transid(fs);
	return err;
}
