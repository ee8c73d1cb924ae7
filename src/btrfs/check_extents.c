// SPDX-License-Identifier: GPL-2.0-or-later
/* check_extents.c - the extent tree, and whether its references are true */
#include "check.h"

static void say(struct check *c, uint64_t bytenr, uint8_t type, uint64_t who,
		uint64_t ino, uint64_t off, uint32_t count)
{
	if (!vec_push(&c->said, (struct check_ref){ bytenr, who, ino, off,
						    count, type }))
		c->out_of_memory = true;
}

static void say_inline(struct check *c, uint64_t bytenr, struct r3_span s)
{
	while (s.len) {
		const struct btrfs_inline_ref *r = (const void *)s.p;
		const struct btrfs_extent_data_ref *d;
		const r3_le32 *count;
		uint8_t type = r->type;

		r3_take(&s, 1);
		if (type == BTRFS_EXTENT_DATA_REF) {
			d = r3_take(&s, sizeof(*d));
			say(c, bytenr, type, le64(d->root), le64(d->objectid),
			    le64(d->offset), le32(d->count));
			continue;
		}
		r3_take(&s, sizeof(*r) - 1);
		if (type == BTRFS_SHARED_DATA_REF) {
			count = r3_take(&s, sizeof(*count));
			say(c, bytenr, type, le64(r->offset), 0, 0,
			    le32(*count));
		} else if (type != BTRFS_EXTENT_OWNER_REF) {
			say(c, bytenr, type, le64(r->offset), 0, 0, 1);
		}
	}
}

static void load_extent(struct check *c, const struct btrfs_cursor *cur)
{
	const struct btrfs_extent_item *x = cur->data;
	uint64_t flags = le64(x->flags);
	bool skinny = cur->key.type == BTRFS_METADATA_ITEM;
	struct check_extent e = {
		.bytenr = cur->key.objectid,
		.len = skinny ? c->fs->nodesize : cur->key.offset,
		.refs = le64(x->refs),
		.generation = le64(x->generation),
		.data = flags & BTRFS_EXTENT_FLAG_DATA,
		.full_backref = flags & BTRFS_EXTENT_FLAG_FULL_BACKREF,
		.level = skinny ? (uint8_t)cur->key.offset : 0,
	};
	struct r3_span s = { cur->data, cur->size };
	const struct btrfs_tree_block_info *info;

	r3_take(&s, sizeof(*x));
	if (!e.data && !skinny) {
		info = r3_take(&s, sizeof(*info));
		e.level = info->level;
	}
	if (c->extents.n) {
		const struct check_extent *prev =
			&c->extents.p[c->extents.n - 1];

		if (prev->bytenr + prev->len > e.bytenr)
			check_problem(c, "%s: overlaps the extent before it",
				      btrfs_cursor_where(cur).s);
	}
	if (e.data)
		c->res.data_bytes += e.len;
	else
		c->res.metadata_bytes += e.len;
	if (!vec_push(&c->extents, e))
		c->out_of_memory = true;
	say_inline(c, e.bytenr, s);
}

static void load_keyed(struct check *c, const struct btrfs_cursor *cur)
{
	const struct btrfs_extent_data_ref *d = cur->data;
	const r3_le32 *count = cur->data;
	uint64_t bytenr = cur->key.objectid;

	if (!c->extents.n || c->extents.p[c->extents.n - 1].bytenr != bytenr) {
		check_problem(c, "%s: without an extent",
			      btrfs_cursor_where(cur).s);
		return;
	}
	if (cur->key.type == BTRFS_EXTENT_DATA_REF)
		say(c, bytenr, cur->key.type, le64(d->root),
		    le64(d->objectid), le64(d->offset), le32(d->count));
	else
		say(c, bytenr, cur->key.type, cur->key.offset, 0, 0,
		    cur->key.type == BTRFS_SHARED_DATA_REF ? le32(*count) : 1);
}

static void load_group(struct check *c, const struct btrfs_cursor *cur)
{
	const struct btrfs_block_group_item *g = cur->data;

	if (!vec_push(&c->groups, (struct check_group){
			.start = cur->key.objectid, .len = cur->key.offset,
			.used = le64(g->used), .flags = le64(g->flags) }))
		c->out_of_memory = true;
}

static int load_tree(struct check *c, const struct btrfs_root *root)
{
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, c->fs, root);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err && !c->out_of_memory; err = btrfs_cursor_next(&cur)) {
		switch (cur.key.type) {
		case BTRFS_EXTENT_ITEM:
		case BTRFS_METADATA_ITEM:
			load_extent(c, &cur);
			break;
		case BTRFS_TREE_BLOCK_REF:
		case BTRFS_EXTENT_DATA_REF:
		case BTRFS_SHARED_BLOCK_REF:
		case BTRFS_SHARED_DATA_REF:
			load_keyed(c, &cur);
			break;
		case BTRFS_BLOCK_GROUP_ITEM:
			load_group(c, &cur);
		}
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}

int check_load_extents(struct check *c)
{
	int err = load_tree(c, &c->fs->extent);

	if (!err && c->fs->block_groups.bytenr)
		err = load_tree(c, &c->fs->block_groups);
	return err;
}

/* ---- comparing ----------------------------------------------------------- */

static int ref_cmp(const void *pa, const void *pb)
{
	const struct check_ref *a = pa, *b = pb;

	if (a->bytenr != b->bytenr)
		return a->bytenr < b->bytenr ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->who != b->who)
		return a->who < b->who ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->off < b->off ? -1 : a->off > b->off;
}

/* Sort, and add up equal ones. */
static size_t sort_refs(struct check_ref *p, size_t n)
{
	size_t out = 0;

	if (!n)
		return 0;
	qsort(p, n, sizeof(*p), ref_cmp);
	for (size_t i = 1; i < n; i++) {
		if (!ref_cmp(&p[out], &p[i]))
			p[out].count += p[i].count;
		else
			p[++out] = p[i];
	}
	return out + 1;
}

static void ref_text(const struct check_ref *r, char *out, size_t len)
{
	if (r->type == BTRFS_EXTENT_DATA_REF)
		snprintf(out, len, "from tree %s inode %llu offset %lld",
			 btrfs_tree_text(r->who).s,
			 (unsigned long long)r->ino, (long long)r->off);
	else if (r->type == BTRFS_TREE_BLOCK_REF)
		snprintf(out, len, "from tree %s",
			 btrfs_tree_text(r->who).s);
	else
		snprintf(out, len, "from block %llu",
			 (unsigned long long)r->who);
}

static void ref_differs(struct check *c, const struct check_ref *r,
			uint32_t said, uint32_t found)
{
	char text[128];

	ref_text(r, text, sizeof(text));
	check_problem(c, "tree extent key (%llu %s): %u references %s, the "
		      "extent tree says %u", (unsigned long long)r->bytenr,
		      btrfs_type_name(r->type), found, text, said);
}

static void compare_one_by_one(struct check *c)
{
	size_t s = 0, f = 0;

	while (s < c->said.n || f < c->found.n) {
		const struct check_ref *a = s < c->said.n ? &c->said.p[s]
							  : NULL;
		const struct check_ref *b = f < c->found.n ? &c->found.p[f]
							   : NULL;
		int cmp = !a ? 1 : !b ? -1 : ref_cmp(a, b);

		if (cmp < 0)
			ref_differs(c, a, a->count, 0);
		else if (cmp > 0)
			ref_differs(c, b, 0, b->count);
		else if (a->count != b->count)
			ref_differs(c, a, a->count, b->count);
		s += cmp <= 0;
		f += cmp >= 0;
	}
}

/* The count in each extent item is the sum of its references. */
static void compare_counts(struct check *c)
{
	size_t s = 0;

	for (size_t i = 0; i < c->extents.n; i++) {
		const struct check_extent *x = &c->extents.p[i];
		uint64_t sum = 0;

		while (s < c->said.n && c->said.p[s].bytenr < x->bytenr)
			s++;
		for (; s < c->said.n && c->said.p[s].bytenr == x->bytenr; s++)
			sum += c->said.p[s].count;
		if (sum != x->refs)
			check_problem(c, "tree extent key (%llu %s): counts "
				      "%llu references, %llu are listed",
				      (unsigned long long)x->bytenr,
				      x->data ? "EXTENT_ITEM" : "tree block",
				      (unsigned long long)x->refs,
				      (unsigned long long)sum);
		if (!x->data && !x->block)
			check_problem(c, "tree extent key (%llu tree block): "
				      "no tree reaches it",
				      (unsigned long long)x->bytenr);
	}
}

void check_compare_refs(struct check *c)
{
	c->said.n = sort_refs(c->said.p, c->said.n);
	c->found.n = sort_refs(c->found.p, c->found.n);
	c->res.references = c->found.n;
	compare_one_by_one(c);
	compare_counts(c);
}
