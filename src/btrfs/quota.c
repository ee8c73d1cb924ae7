// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * quota.c - quota groups of an open volume: groups and relations in memory,
 * limits, and the commit
 */
#include "quota.h"

#define GIVEN_RFER(flags) ((flags) & QUOTA_LIMIT_RFER)
#define GIVEN_EXCL(flags) ((flags) & QUOTA_LIMIT_EXCL)

struct quota_text quota_text(uint64_t id)
{
	struct quota_text t;

	snprintf(t.s, sizeof(t.s), "%u/%llu", quota_level(id),
		 (unsigned long long)(id & ((UINT64_C(1) <<
					     BTRFS_QGROUP_LEVEL_SHIFT) - 1)));
	return t;
}

/* ---- groups and relations ------------------------------------------------ */

/* Where the group is, or would be. */
static size_t group_slot(const struct btrfs_quota *q, uint64_t id)
{
	size_t lo = 0, hi = q->groups.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (q->groups.p[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct quota_group *quota_group(const struct btrfs_quota *q, uint64_t id)
{
	size_t at = group_slot(q, id);

	return at < q->groups.n && q->groups.p[at].id == id
		       ? &q->groups.p[at] : NULL;
}

/* The group, made if need be; NULL: no memory. */
static struct quota_group *group_put(struct btrfs_quota *q, uint64_t id)
{
	size_t at = group_slot(q, id);
	struct quota_group *g;

	if (at < q->groups.n && q->groups.p[at].id == id)
		return &q->groups.p[at];
	if (!vec_push(&q->groups, (struct quota_group){ 0 }))
		return NULL;
	g = &q->groups.p[at];
	memmove(g + 1, g, (q->groups.n - 1 - at) * sizeof(*g));
	*g = (struct quota_group){ .id = id,
				   .max_rfer = R3_BTRFS_QGROUP_NONE,
				   .max_excl = R3_BTRFS_QGROUP_NONE };
	return g;
}

static void group_take(struct btrfs_quota *q, struct quota_group *g)
{
	size_t at = (size_t)(g - q->groups.p);

	memmove(g, g + 1, (--q->groups.n - at) * sizeof(*g));
}

/* Where the relation is, or would be. */
static size_t relation_slot(const struct btrfs_quota *q, uint64_t member,
			    uint64_t group)
{
	size_t lo = 0, hi = q->relations.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct quota_relation *r = &q->relations.p[mid];

		if (r->member < member ||
		    (r->member == member && r->group < group))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t quota_relations_of(const struct btrfs_quota *q, uint64_t member)
{
	return relation_slot(q, member, 0);
}

bool quota_related(const struct btrfs_quota *q, uint64_t member,
		   uint64_t group)
{
	size_t at = relation_slot(q, member, group);

	return at < q->relations.n && q->relations.p[at].member == member &&
	       q->relations.p[at].group == group;
}

static bool relation_put(struct btrfs_quota *q, uint64_t member,
			 uint64_t group)
{
	size_t at = relation_slot(q, member, group);
	struct quota_relation *r;

	if (!vec_push(&q->relations, (struct quota_relation){ 0 }))
		return false;
	r = &q->relations.p[at];
	memmove(r + 1, r, (q->relations.n - 1 - at) * sizeof(*r));
	*r = (struct quota_relation){ member, group };
	return true;
}

static void relation_take(struct btrfs_quota *q, uint64_t member,
			  uint64_t group)
{
	size_t at = relation_slot(q, member, group);
	struct quota_relation *r = &q->relations.p[at];

	memmove(r, r + 1, (--q->relations.n - at) * sizeof(*r));
}

bool quota_ancestors(const struct btrfs_quota *q, uint64_t id,
		     quota_ids *out)
{
	if (!vec_push(out, id))
		return false;
	for (size_t i = 0; i < out->n; i++) {
		size_t at = quota_relations_of(q, out->p[i]);

		for (; at < q->relations.n &&
		       q->relations.p[at].member == out->p[i]; at++) {
			uint64_t up = q->relations.p[at].group;
			size_t k = 0;

			while (k < out->n && out->p[k] != up)
				k++;
			if (k == out->n && !vec_push(out, up))
				return false;
		}
	}
	return true;
}

/* ---- subvolumes ---------------------------------------------------------- */

static size_t subvol_slot(const struct btrfs_quota *q, uint64_t id)
{
	size_t lo = 0, hi = q->subvols.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (q->subvols.p[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct quota_subvol *quota_subvol(const struct btrfs_quota *q, uint64_t id)
{
	size_t at = subvol_slot(q, id);

	return at < q->subvols.n && q->subvols.p[at].id == id
		       ? &q->subvols.p[at] : NULL;
}

static bool subvol_put(struct btrfs_quota *q, struct quota_subvol subvol)
{
	size_t at = subvol_slot(q, subvol.id);
	struct quota_subvol *s;

	if (!vec_push(&q->subvols, (struct quota_subvol){ 0 }))
		return false;
	s = &q->subvols.p[at];
	memmove(s + 1, s, (q->subvols.n - 1 - at) * sizeof(*s));
	*s = subvol;
	return true;
}

int quota_load_subvols(struct r3_btrfs *fs, struct btrfs_quota *q)
{
	struct btrfs_root_item r;
	struct btrfs_cursor c;
	bool ok = true;
	int err;

	q->subvols.n = 0;
	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_FS_TREE, BTRFS_ROOT_ITEM, 0));
	while (!err && ok && c.key.objectid <= BTRFS_LAST_FREE) {
		if (c.key.type == BTRFS_ROOT_ITEM &&
		    btrfs_is_fs_tree(c.key.objectid)) {
			btrfs_root_item_get(&r, c.data, c.size);
			ok = subvol_put(q, (struct quota_subvol){
				.id = c.key.objectid,
				.dead = !le32(r.refs) });
		}
		err = btrfs_cursor_next(&c);
	}
	btrfs_cursor_fini(&c);
	if (!ok)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	return err == -ENOENT ? 0 : err;
}

/* ---- reading the quota tree ---------------------------------------------- */

static void load_status(struct r3_btrfs *fs, struct btrfs_quota *q,
			const struct btrfs_cursor *c)
{
	struct btrfs_qgroup_status s = { 0 };

	memcpy(&s, c->data, r3_min(c->size, sizeof(s)));
	q->flags = le64(s.flags);
	q->enable_gen = le64(s.enable_gen);
	q->on = q->flags & BTRFS_QGROUP_ON;
	q->stale = q->flags & (BTRFS_QGROUP_INCONSISTENT |
			       BTRFS_QGROUP_RESCAN) ||
		   le64(s.generation) != fs->generation;
}

static bool load_info(struct btrfs_quota *q, const struct btrfs_cursor *c)
{
	const struct btrfs_qgroup_info *i = c->data;
	struct quota_group *g = group_put(q, c->key.offset);

	if (!g)
		return false;
	g->has_info = true;
	g->rfer = le64(i->rfer);
	g->excl = le64(i->excl);
	return true;
}

static bool is_limited(const struct quota_group *g)
{
	return g->max_rfer != R3_BTRFS_QGROUP_NONE ||
	       g->max_excl != R3_BTRFS_QGROUP_NONE;
}

static bool load_limit(struct btrfs_quota *q, const struct btrfs_cursor *c)
{
	const struct btrfs_qgroup_limit *l = c->data;
	struct quota_group *g = group_put(q, c->key.offset);

	if (!g)
		return false;
	g->has_limit = true;
	if (GIVEN_RFER(le64(l->flags)))
		g->max_rfer = le64(l->max_rfer);
	if (GIVEN_EXCL(le64(l->flags)))
		g->max_excl = le64(l->max_excl);
	q->limits |= is_limited(g);
	return true;
}

static bool load_item(struct r3_btrfs *fs, struct btrfs_quota *q,
		      const struct btrfs_cursor *c)
{
	if (c->key.objectid && c->key.type != BTRFS_QGROUP_RELATION)
		return true;
	switch (c->key.type) {
	case BTRFS_QGROUP_STATUS:
		load_status(fs, q, c);
		return true;
	case BTRFS_QGROUP_INFO:
		return load_info(q, c);
	case BTRFS_QGROUP_LIMIT:
		return load_limit(q, c);
	case BTRFS_QGROUP_RELATION:
		/* Stored both ways; the one from the lower to the higher. */
		return quota_level(c->key.objectid) >=
			       quota_level(c->key.offset) ||
		       quota_related(q, c->key.objectid, c->key.offset) ||
		       relation_put(q, c->key.objectid, c->key.offset);
	}
	return true;
}

int quota_load(struct r3_btrfs *fs, struct btrfs_quota *q)
{
	struct btrfs_cursor c;
	bool ok = true;
	int err;

	if (!fs->quota.bytenr)
		return 0;
	btrfs_cursor_init(&c, fs, &fs->quota);
	err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	while (!err && ok) {
		ok = load_item(fs, q, &c);
		err = btrfs_cursor_next(&c);
	}
	btrfs_cursor_fini(&c);
	if (!ok)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	return err == -ENOENT ? 0 : err;
}

void quota_unload(struct btrfs_quota *q)
{
	vec_free(&q->groups);
	vec_free(&q->relations);
	vec_free(&q->subvols);
	quota_map_free(&q->noted);
	vec_free(&q->snapshots);
	*q = (struct btrfs_quota){ 0 };
}

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
	g = group_put(fs->quotas, id);
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
	return relation_put(fs->quotas, member, group)
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
	relation_take(fs->quotas, member, group);
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
		relation_take(q, g->id, q->relations.p[at].group);
	group_take(q, g);
}

int quota_group_remove(struct r3_btrfs *fs, uint64_t id)
{
	struct quota_group *g = quota_group(fs->quotas, id);
	int err = group_items_delete(fs, g);

	if (!err)
		group_forget(fs->quotas, g);
	return err;
}

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
	fs->quotas->limits |= is_limited(g);
	return 0;
}

/* ---- limits -------------------------------------------------------------- */

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
	if (!subvol_put(q, (struct quota_subvol){ .id = id }))
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
