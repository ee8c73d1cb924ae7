// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_space.c - space: chunks, the device, block groups, free space, and
 * that checksums lie where data is
 */
#include "check.h"

/* ---- checksums ----------------------------------------------------------- */

int check_load_csums(struct check *c)
{
	unsigned each = c->fs->csum_size;
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, c->fs, &c->fs->csum);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		uint64_t start = cur.key.offset;
		uint64_t end = start + (uint64_t)BTRFS_SECTOR *
					       (cur.size / each);
		size_t n = c->csums.n;

		if (cur.key.type != BTRFS_EXTENT_CSUM)
			continue;
		if (n && c->csums.p[n - 1].end > start)
			check_problem(c, "%s: overlaps the item before it",
				      btrfs_cursor_where(&cur).s);
		if (n && c->csums.p[n - 1].end == start)
			c->csums.p[n - 1].end = end;
		else if (!vec_push(&c->csums,
				   (struct check_range){ start, end }))
			c->out_of_memory = true;
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}

/* Every checksum belongs to an extent of data. */
static void csums_in_extents(struct check *c)
{
	for (size_t i = 0; i < c->csums.n; i++) {
		uint64_t at = c->csums.p[i].start, end = c->csums.p[i].end;
		size_t x = check_extent_after(c, at);

		for (; at < end && x < c->extents.n; x++) {
			const struct check_extent *e = &c->extents.p[x];

			if (e->bytenr > at || !e->data)
				break;
			at = e->bytenr + e->len;
		}
		if (at < end)
			check_problem(c, "tree csum key (-10 EXTENT_CSUM "
				      "%llu): no data at %llu",
				      (unsigned long long)c->csums.p[i].start,
				      (unsigned long long)at);
	}
}

/* ---- chunks and the device ----------------------------------------------- */

static const struct btrfs_chunk_map *chunk_at(const struct check *c,
					      uint64_t logical)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(c->fs, logical);

	return m && m->logical == logical ? m : NULL;
}

static bool is_stripe(const struct btrfs_chunk_map *m, uint64_t physical,
		      uint64_t len)
{
	bool found = false;

	for (unsigned i = 0; m && i < m->copies; i++)
		found |= m->physical[i] == physical && m->length == len;
	return found;
}

static int dev_extents(struct check *c, uint64_t *count, uint64_t *bytes)
{
	const struct btrfs_dev_extent *x;
	struct btrfs_cursor cur;
	uint64_t last_end = 0;
	int err;

	btrfs_cursor_init(&cur, c->fs, &c->fs->dev_tree);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type != BTRFS_DEV_EXTENT)
			continue;
		x = cur.data;
		if (cur.key.offset < last_end)
			check_problem(c, "%s: overlaps the one before it",
				      btrfs_cursor_where(&cur).s);
		last_end = cur.key.offset + le64(x->length);
		if (!is_stripe(chunk_at(c, le64(x->chunk_offset)),
			       cur.key.offset, le64(x->length)))
			check_problem(c, "%s: chunk %llu has no such stripe",
				      btrfs_cursor_where(&cur).s,
				      (unsigned long long)
				      le64(x->chunk_offset));
		++*count;
		*bytes += le64(x->length);
	}
	btrfs_cursor_fini(&cur);
	return err == -ENOENT ? 0 : err;
}

static int check_device(struct check *c)
{
	const struct btrfs_dev_item *d = &c->fs->super.dev_item;
	struct btrfs_dev_item item;
	uint64_t count = 0, bytes = 0, stripes = 0;
	struct btrfs_cursor cur;
	int err = dev_extents(c, &count, &bytes);

	if (err)
		return err;
	for (unsigned i = 0; i < c->fs->chunk_count; i++)
		stripes += c->fs->chunks[i].copies;
	if (count != stripes)
		check_problem(c, "tree dev: %llu device extents for %llu "
			      "stripes of chunks", (unsigned long long)count,
			      (unsigned long long)stripes);
	btrfs_cursor_init(&cur, c->fs, &c->fs->chunk_root);
	err = btrfs_cursor_seek(&cur, KEY(BTRFS_DEV_ITEMS, BTRFS_DEV_ITEM, 0));
	if (!err) {
		memcpy(&item, cur.data, sizeof(item));
		if (le64(item.bytes_used) != bytes)
			check_problem(c, "%s: %llu bytes used, found %llu",
				      btrfs_cursor_where(&cur).s,
				      (unsigned long long)
				      le64(item.bytes_used),
				      (unsigned long long)bytes);
		if (le64(item.total_bytes) != le64(d->total_bytes) ||
		    le64(item.bytes_used) != le64(d->bytes_used) ||
		    le64(item.devid) != le64(d->devid) ||
		    memcmp(item.uuid, d->uuid, sizeof(item.uuid)))
			check_problem(c, "%s: differs from the super block's "
				      "device item",
				      btrfs_cursor_where(&cur).s);
	}
	btrfs_cursor_fini(&cur);
	return err;
}

/* ---- block groups -------------------------------------------------------- */

static struct check_group *group_of(struct check *c, uint64_t bytenr)
{
	size_t lo = 0, hi = c->groups.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->groups.p[mid].start <= bytenr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && bytenr - c->groups.p[lo - 1].start <
			     c->groups.p[lo - 1].len
		       ? &c->groups.p[lo - 1] : NULL;
}

static void extents_in_groups(struct check *c)
{
	for (size_t i = 0; i < c->extents.n; i++) {
		const struct check_extent *x = &c->extents.p[i];
		struct check_group *g = group_of(c, x->bytenr);
		uint64_t kinds = x->data ? BTRFS_BG_DATA
					 : BTRFS_BG_SYSTEM | BTRFS_BG_METADATA;

		if (!g || x->len > g->start + g->len - x->bytenr)
			check_problem(c, "tree extent key (%llu EXTENT_ITEM "
				      "%llu): in no block group",
				      (unsigned long long)x->bytenr,
				      (unsigned long long)x->len);
		else if (!(g->flags & kinds))
			check_problem(c, "tree extent key (%llu EXTENT_ITEM "
				      "%llu): in a block group of another "
				      "kind", (unsigned long long)x->bytenr,
				      (unsigned long long)x->len);
		else
			g->found += x->len;
	}
}

static void check_groups(struct check *c)
{
	uint64_t sum = 0, used = le64(c->fs->super.bytes_used);

	extents_in_groups(c);
	for (size_t i = 0; i < c->groups.n; i++) {
		struct check_group *g = &c->groups.p[i];
		const struct btrfs_chunk_map *m = chunk_at(c, g->start);

		sum += g->used;
		if (!m || m->length != g->len || m->type != g->flags)
			check_problem(c, "tree %s key (%llu BLOCK_GROUP_ITEM "
				      "%llu): no chunk is like it",
				      c->fs->block_groups.bytenr
				      ? "block-group" : "extent",
				      (unsigned long long)g->start,
				      (unsigned long long)g->len);
		if (g->used != g->found)
			check_problem(c, "tree %s key (%llu BLOCK_GROUP_ITEM "
				      "%llu): %llu bytes used, found %llu",
				      c->fs->block_groups.bytenr
				      ? "block-group" : "extent",
				      (unsigned long long)g->start,
				      (unsigned long long)g->len,
				      (unsigned long long)g->used,
				      (unsigned long long)g->found);
	}
	if (c->groups.n != c->fs->chunk_count)
		check_problem(c, "tree chunk: %u chunks, but %zu block groups",
			      c->fs->chunk_count, c->groups.n);
	if (sum != used)
		check_problem(c, "super block: %llu bytes used, found %llu",
			      (unsigned long long)used,
			      (unsigned long long)sum);
}

/* ---- free space tree ----------------------------------------------------- */

/* The free ranges of one block group, as the tree has them. */
struct free_list {
	struct check *c;
	VEC(struct check_range) r;
};

static void add_free(struct free_list *f, uint64_t start, uint64_t end)
{
	size_t n = f->r.n;

	if (n && f->r.p[n - 1].end == start)
		f->r.p[n - 1].end = end;
	else if (!vec_push(&f->r, (struct check_range){ start, end }))
		f->c->out_of_memory = true;
}

static void add_bitmap(struct free_list *f, const struct btrfs_cursor *cur)
{
	uint64_t bits = cur->key.offset / BTRFS_SECTOR;
	const uint8_t *map = cur->data;

	for (uint64_t i = 0; i < bits; i++) {
		uint64_t at = cur->key.objectid + i * BTRFS_SECTOR;

		if (map[i / 8] & 1u << i % 8)
			add_free(f, at, at + BTRFS_SECTOR);
	}
}

/* Walk the free ranges that extents leave, beside the ones of the tree. */
static void compare_free(struct free_list *f, const struct check_group *g,
			 uint32_t said)
{
	struct check *c = f->c;
	size_t x = check_extent_after(c, g->start), n = 0;
	uint64_t at = g->start, end = g->start + g->len, next;

	if (said != f->r.n)
		check_problem(c, "tree free-space key (%llu FREE_SPACE_INFO "
			      "%llu): counts %u, found %zu",
			      (unsigned long long)g->start,
			      (unsigned long long)g->len, said, f->r.n);
	while (at < end) {
		const struct check_extent *e = x < c->extents.n
						       ? &c->extents.p[x]
						       : NULL;

		next = e ? r3_min(e->bytenr, end) : end;
		if (next > at &&
		    (n == f->r.n || f->r.p[n].start != at ||
		     f->r.p[n].end != next)) {
			check_problem(c, "tree free-space: block group %llu "
				      "is free from %llu to %llu, which the "
				      "tree does not say",
				      (unsigned long long)g->start,
				      (unsigned long long)at,
				      (unsigned long long)next);
			return;
		}
		n += next > at;
		at = e && e->bytenr < end ? e->bytenr + e->len : end;
		x++;
	}
	if (n < f->r.n)
		check_problem(c, "tree free-space: block group %llu is not "
			      "free at %llu", (unsigned long long)g->start,
			      (unsigned long long)f->r.p[n].start);
}

static int check_group_free(struct check *c, struct btrfs_cursor *cur,
			    const struct check_group *g)
{
	const struct btrfs_free_space_info *info;
	struct free_list f = { .c = c };
	struct btrfs_key key = KEY(g->start, BTRFS_FREE_SPACE_INFO, g->len);
	uint32_t said = 0;
	int err = btrfs_cursor_seek(cur, key);

	if (err == -ENOENT || (!err && btrfs_key_cmp(cur->key, key))) {
		check_problem(c, "tree free-space: nothing of block group "
			      "%llu", (unsigned long long)g->start);
		return 0;
	}
	if (!err) {
		info = cur->data;
		said = le32(info->extent_count);
		err = btrfs_cursor_next(cur);
	}
	while (!err && cur->key.objectid < g->start + g->len &&
	       !c->out_of_memory) {
		if (cur->key.type == BTRFS_FREE_SPACE_EXTENT)
			add_free(&f, cur->key.objectid,
				 cur->key.objectid + cur->key.offset);
		else if (cur->key.type == BTRFS_FREE_SPACE_BITMAP)
			add_bitmap(&f, cur);
		err = btrfs_cursor_next(cur);
	}
	if (!err || err == -ENOENT) {
		compare_free(&f, g, said);
		err = 0;
	}
	vec_free(&f.r);
	return err;
}

static int check_free_space(struct check *c)
{
	struct btrfs_cursor cur;
	int err = 0;

	if (!c->fs->free_space.bytenr ||
	    !(c->fs->compat_ro & BTRFS_COMPAT_RO_FST_VALID))
		return 0;
	btrfs_cursor_init(&cur, c->fs, &c->fs->free_space);
	for (size_t i = 0; !err && i < c->groups.n; i++)
		err = check_group_free(c, &cur, &c->groups.p[i]);
	btrfs_cursor_fini(&cur);
	return err;
}

static int group_cmp(const void *a, const void *b)
{
	const struct check_group *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int check_space(struct check *c)
{
	int err;

	if (c->groups.n)
		qsort(c->groups.p, c->groups.n, sizeof(*c->groups.p),
		      group_cmp);
	csums_in_extents(c);
	check_groups(c);
	err = check_device(c);
	return err ? err : check_free_space(c);
}
