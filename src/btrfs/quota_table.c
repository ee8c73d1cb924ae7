// SPDX-License-Identifier: GPL-2.0-or-later
/* quota_table.c - groups, relations and subvolumes in memory */
#include "quota.h"

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
struct quota_group *quota_group_put(struct btrfs_quota *q, uint64_t id)
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

void quota_group_take(struct btrfs_quota *q, struct quota_group *g)
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

bool quota_relation_put(struct btrfs_quota *q, uint64_t member,
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

void quota_relation_take(struct btrfs_quota *q, uint64_t member,
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

bool quota_subvol_put(struct btrfs_quota *q, struct quota_subvol subvol)
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
			ok = quota_subvol_put(q, (struct quota_subvol){
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
	struct quota_group *g = quota_group_put(q, c->key.offset);

	if (!g)
		return false;
	g->has_info = true;
	g->rfer = le64(i->rfer);
	g->excl = le64(i->excl);
	return true;
}

static bool load_limit(struct btrfs_quota *q, const struct btrfs_cursor *c)
{
	const struct btrfs_qgroup_limit *l = c->data;
	struct quota_group *g = quota_group_put(q, c->key.offset);

	if (!g)
		return false;
	g->has_limit = true;
	if (le64(l->flags) & QUOTA_LIMIT_RFER)
		g->max_rfer = le64(l->max_rfer);
	if (le64(l->flags) & QUOTA_LIMIT_EXCL)
		g->max_excl = le64(l->max_excl);
	q->limits |= quota_is_limited(g);
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
		       quota_relation_put(q, c->key.objectid, c->key.offset);
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
