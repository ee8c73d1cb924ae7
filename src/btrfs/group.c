// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * group.c - new block groups, and the items of those that are there
 *
 * A new one is: a chunk item, and its copy in the super block when it is a
 * system chunk; an extent of the device for every copy, in any hole of it; the
 * device's bytes_used; a block group item; and free space.  All of these are
 * items in trees, whose blocks must be found in the groups there are.
 */
#include <stdlib.h>

#include "edit.h"
#include "space.h"

/* No block group is smaller: a tenth of a small device would be. */
#define GROUP_MIN R3_MIB

/* ---- holes of the device ------------------------------------------------- */

static int range_cmp(const void *pa, const void *pb)
{
	const struct btrfs_range *a = pa, *b = pb;

	return a->start < b->start ? -1 : a->start > b->start;
}

struct holes {
	VEC(struct btrfs_range) r;
};

/* Where no chunk is, from 1 MiB on, in pieces of GROUP_MIN at least. */
static int find_holes(struct r3_btrfs *fs, struct holes *h)
{
	uint64_t at = BTRFS_RESERVED_START;
	uint64_t end = r3_min(le64(fs->super.dev_item.total_bytes),
			      fs->dev->size);
	VEC(struct btrfs_range) used = { 0 };
	bool ok = true;

	for (unsigned i = 0; i < fs->chunk_count; i++) {
		const struct btrfs_chunk_map *m = &fs->chunks[i];

		for (unsigned c = 0; c < m->copies; c++)
			ok &= vec_push(&used, (struct btrfs_range){
					       m->physical[c], m->length });
	}
	ok &= vec_push(&used, (struct btrfs_range){ end, 0 });
	if (ok)
		qsort(used.p, used.n, sizeof(*used.p), range_cmp);
	for (size_t i = 0; ok && i < used.n; i++) {
		uint64_t next = r3_align_down(r3_min(used.p[i].start, end),
					      BTRFS_STRIPE_LEN);

		if (next > at && next - at >= GROUP_MIN)
			ok = vec_push(&h->r, (struct btrfs_range){ at,
								   next - at });
		at = r3_max(at, used.p[i].start + used.p[i].len);
		ok &= r3_align_up(at, BTRFS_STRIPE_LEN, &at);
	}
	vec_free(&used);
	return ok ? 0 : btrfs_fail(fs, -ENOMEM, "out of memory");
}

int btrfs_holes_count(struct r3_btrfs *fs)
{
	struct holes h = { 0 };
	int err = find_holes(fs, &h);

	fs->space->holes = 0;
	for (size_t i = 0; !err && i < h.r.n; i++)
		fs->space->holes += h.r.p[i].len;
	vec_free(&h.r);
	return err;
}

/* The longest that @copies pieces of the device can be, up to @want. */
static uint64_t piece_len(const struct holes *h, unsigned copies,
			  uint64_t want)
{
	uint64_t first = 0, second = 0;

	for (size_t i = 0; i < h->r.n; i++) {
		uint64_t len = h->r.p[i].len;

		if (len > first) {
			second = first;
			first = len;
		} else if (len > second) {
			second = len;
		}
	}
	if (copies > 1)
		first = r3_max(first / 2, second);
	return r3_align_down(r3_min(first, want), BTRFS_STRIPE_LEN);
}

/* Give each copy the first hole that is long enough. */
static void place(struct holes *h, unsigned copies, uint64_t len,
		  uint64_t *physical)
{
	size_t i = 0;

	for (unsigned c = 0; c < copies; c++) {
		while (h->r.p[i].len < len)
			i++;
		physical[c] = h->r.p[i].start;
		h->r.p[i].start += len;
		h->r.p[i].len -= len;
	}
}

/* ---- what a new group is like -------------------------------------------- */

/* As the newest one of its kind; where the kernel has removed all of a kind, as
 * mkfs.btrfs makes them. */
static uint64_t flags_for(const struct r3_btrfs *fs, enum btrfs_kind kind)
{
	for (unsigned i = fs->space->count; i; i--) {
		const struct btrfs_group *g = fs->space->groups[i - 1];

		if (btrfs_group_is(g, kind))
			return g->flags;
	}
	if (kind == BTRFS_KIND_DATA)
		return BTRFS_BG_DATA |
		       (fs->incompat & BTRFS_INCOMPAT_MIXED_GROUPS
				? BTRFS_BG_METADATA : 0);
	return btrfs_kind_bits[kind] | BTRFS_BG_DUP;
}

/* The kernel's: 1 GiB, 256 MiB (1 GiB from 50 GiB on), 32 MiB; never more than
 * a tenth of the device. */
static uint64_t usual_len(const struct r3_btrfs *fs, uint64_t flags)
{
	uint64_t total = le64(fs->super.dev_item.total_bytes), len;

	if (flags & BTRFS_BG_SYSTEM)
		len = 32 * R3_MIB;
	else if (flags & BTRFS_BG_DATA || total > 50 * R3_GIB)
		len = R3_GIB;
	else
		len = 256 * R3_MIB;
	return r3_max(r3_min(len, total / 10), 8 * GROUP_MIN);
}

struct plan {
	/* Key and chunk, as the system array has them. */
	uint8_t item[sizeof(struct btrfs_disk_key) +
		     sizeof(struct btrfs_chunk) +
		     BTRFS_COPIES_MAX * sizeof(struct btrfs_stripe)];
	uint64_t logical, len, flags, physical[BTRFS_COPIES_MAX];
	unsigned copies;
};

static struct btrfs_chunk *plan_chunk(struct plan *p)
{
	return (struct btrfs_chunk *)(p->item + sizeof(struct btrfs_disk_key));
}

static uint32_t chunk_size(const struct plan *p)
{
	return (uint32_t)(sizeof(struct btrfs_chunk) +
			  p->copies * sizeof(struct btrfs_stripe));
}

static uint32_t item_size(const struct plan *p)
{
	return (uint32_t)sizeof(struct btrfs_disk_key) + chunk_size(p);
}

static void fill_item(const struct r3_btrfs *fs, struct plan *p)
{
	const struct btrfs_dev_item *dev = &fs->super.dev_item;
	struct btrfs_disk_key key = btrfs_key_put(
		KEY(BTRFS_FIRST_CHUNK, BTRFS_CHUNK_ITEM, p->logical));
	struct btrfs_chunk *c = plan_chunk(p);

	memcpy(p->item, &key, sizeof(key));
	*c = (struct btrfs_chunk){
		.length = to_le64(p->len),
		.owner = to_le64(BTRFS_EXTENT_TREE),
		.stripe_len = to_le64(BTRFS_STRIPE_LEN),
		.type = to_le64(p->flags),
		.io_align = to_le32(BTRFS_STRIPE_LEN),
		.io_width = to_le32(BTRFS_STRIPE_LEN),
		.sector_size = to_le32(BTRFS_SECTOR),
		.num_stripes = to_le16((uint16_t)p->copies),
		.sub_stripes = to_le16(1),
	};
	for (unsigned i = 0; i < p->copies; i++) {
		c->stripes[i].devid = dev->devid;
		c->stripes[i].offset = to_le64(p->physical[i]);
		memcpy(c->stripes[i].dev_uuid, dev->uuid, BTRFS_UUID_SIZE);
	}
}

/* Where it would lie; nothing is changed yet. */
static int plan_make(struct r3_btrfs *fs, uint64_t flags, struct plan *p)
{
	const struct btrfs_chunk_map *last = fs->chunks + fs->chunk_count - 1;
	struct holes h = { 0 };
	int err = find_holes(fs, &h);

	*p = (struct plan){ .flags = flags };
	p->copies = flags & BTRFS_BG_DUP ? 2 : 1;
	p->len = err ? 0 : piece_len(&h, p->copies, usual_len(fs, flags));
	if (!err && (p->len < GROUP_MIN ||
		     !r3_align_up(last->logical + last->length,
				  BTRFS_STRIPE_LEN, &p->logical) ||
		     fs->chunk_count == BTRFS_CHUNKS_MAX ||
		     (flags & BTRFS_BG_SYSTEM &&
		      le32(fs->super.sys_array_size) + item_size(p) >
			      BTRFS_SYS_ARRAY_SIZE)))
		err = btrfs_fail(fs, -ENOSPC, "no space is left for another "
				 "block group");
	if (!err) {
		place(&h, p->copies, p->len, p->physical);
		fill_item(fs, p);
	}
	vec_free(&h.r);
	return err;
}

/* ---- its items ----------------------------------------------------------- */

static int insert_dev_extents(struct r3_btrfs *fs, const struct plan *p)
{
	struct btrfs_dev_extent x = {
		.chunk_tree = to_le64(BTRFS_CHUNK_TREE),
		.chunk_objectid = to_le64(BTRFS_FIRST_CHUNK),
		.chunk_offset = to_le64(p->logical),
		.length = to_le64(p->len),
	};
	struct btrfs_tree *tree;
	int err = btrfs_tree_get(fs, BTRFS_DEV_TREE, &tree);

	memcpy(x.chunk_tree_uuid, fs->trans->chunk_tree_uuid,
	       sizeof(x.chunk_tree_uuid));
	for (unsigned i = 0; !err && i < p->copies; i++)
		err = btrfs_item_insert(fs, tree,
					KEY(le64(fs->super.dev_item.devid),
					    BTRFS_DEV_EXTENT, p->physical[i]),
					&x, sizeof(x), NULL);
	return err;
}

/* Chunk item and device item; the super block has copies of both. */
static int insert_chunk(struct r3_btrfs *fs, struct plan *p)
{
	struct btrfs_super *s = &fs->super;
	uint32_t at = le32(s->sys_array_size);
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	int err = btrfs_tree_get(fs, BTRFS_CHUNK_TREE, &tree);

	if (!err)
		err = btrfs_item_insert(fs, tree, KEY(BTRFS_FIRST_CHUNK,
						      BTRFS_CHUNK_ITEM,
						      p->logical),
					plan_chunk(p), chunk_size(p), NULL);
	if (!err)
		err = btrfs_item_edit(fs, tree,
				      KEY(BTRFS_DEV_ITEMS, BTRFS_DEV_ITEM,
					  le64(s->dev_item.devid)), &spot);
	if (err)
		return err;
	s->dev_item.bytes_used = to_le64(le64(s->dev_item.bytes_used) +
					 p->len * p->copies);
	memcpy(spot.data + offsetof(struct btrfs_dev_item, bytes_used),
	       &s->dev_item.bytes_used, sizeof(s->dev_item.bytes_used));
	if (p->flags & BTRFS_BG_SYSTEM) {
		memcpy(s->sys_array + at, p->item, item_size(p));
		s->sys_array_size = to_le32(at + item_size(p));
	}
	return 0;
}

static int groups_tree(struct r3_btrfs *fs, struct btrfs_tree **out)
{
	return btrfs_tree_get(fs, fs->block_groups.bytenr
					  ? BTRFS_BLOCK_GROUP_TREE
					  : BTRFS_EXTENT_TREE, out);
}

static int insert_group(struct r3_btrfs *fs, struct btrfs_group *g)
{
	struct btrfs_block_group_item item = {
		.chunk_objectid = to_le64(BTRFS_FIRST_CHUNK),
		.flags = to_le64(g->flags),
	};
	struct btrfs_tree *tree;
	int err = groups_tree(fs, &tree);

	if (!err)
		err = btrfs_item_insert(fs, tree,
					KEY(g->start, BTRFS_BLOCK_GROUP_ITEM,
					    g->len), &item, sizeof(item), NULL);
	return err ? err : btrfs_fst_group_new(fs, g);
}

static int plan_do(struct r3_btrfs *fs, struct plan *p)
{
	struct btrfs_group *g;
	int err = btrfs_chunk_add(fs, p->logical, plan_chunk(p));

	if (!err)
		err = btrfs_group_add(fs, p->logical, p->len, p->flags, &g);
	if (err)
		return err;
	btrfs_group_give(fs, g, g->start, g->len);
	err = btrfs_holes_count(fs);
	if (!err)
		err = insert_chunk(fs, p);
	if (!err)
		err = insert_dev_extents(fs, p);
	return err ? err : insert_group(fs, g);
}

/* Blocks that one more group may copy or split: two of the chunk tree's ways
 * down; one of the device tree's, the free space tree's and the one's that has
 * block group items, each twice. */
static bool room_for_items(const struct r3_btrfs *fs)
{
	uint64_t system = 4u * (fs->chunk_root.level + 2u);
	uint64_t metadata = 2u * (fs->dev_tree.level + 2u) +
			    2u * (fs->free_space.level + 2u) +
			    2u * ((fs->block_groups.bytenr
					   ? fs->block_groups.level
					   : fs->extent.level) + 2u);

	return fs->space->slots[BTRFS_KIND_SYSTEM] >= system &&
	       fs->space->slots[BTRFS_KIND_METADATA] >= metadata;
}

static int make(struct r3_btrfs *fs, enum btrfs_kind kind)
{
	struct plan p;
	int err;

	if (fs->space->full[kind])
		return btrfs_fail(fs, -ENOSPC, "no space is left for another "
				  "block group");
	err = plan_make(fs, flags_for(fs, kind), &p);
	fs->space->full[kind] = err == -ENOSPC; /* for good: none is removed */
	if (!err && !room_for_items(fs))
		err = btrfs_fail(fs, -ENOSPC, "no space is left for the items "
				 "of another block group");
	if (err)
		return err;
	err = plan_do(fs, &p);
	if (err) /* before an operation, or in one that changes nothing */
		btrfs_trans_abort(fs, err);
	return err;
}

/* Half full, the chunk tree gets room for more. */
static bool system_is_short(const struct r3_btrfs *fs)
{
	return fs->space->slots[BTRFS_KIND_SYSTEM] <
	       8u * (fs->chunk_root.level + 2u);
}

int btrfs_group_make(struct r3_btrfs *fs, enum btrfs_kind kind)
{
	int err = system_is_short(fs) ? make(fs, BTRFS_KIND_SYSTEM) : 0;

	return err && err != -ENOSPC ? err : make(fs, kind);
}

/* ---- how much is left ---------------------------------------------------- */

/* What @kind could still get from holes of the device. */
static uint64_t from_holes(const struct r3_btrfs *fs, enum btrfs_kind kind)
{
	return fs->space->holes /
	       (flags_for(fs, kind) & BTRFS_BG_DUP ? 2 : 1);
}

uint64_t btrfs_metadata_left(const struct r3_btrfs *fs)
{
	return fs->space->slots[BTRFS_KIND_METADATA] * fs->nodesize +
	       from_holes(fs, BTRFS_KIND_METADATA);
}

uint64_t btrfs_data_left(const struct r3_btrfs *fs)
{
	return fs->space->data_free + from_holes(fs, BTRFS_KIND_DATA);
}

void r3_btrfs_get_space(const struct r3_btrfs *fs, struct r3_btrfs_space *out)
{
	*out = (struct r3_btrfs_space){
		.total = fs->total_bytes,
		.used = le64(fs->super.bytes_used),
	};
	if (!fs->space)
		return;
	out->data_left = btrfs_data_left(fs);
	out->metadata_left = btrfs_metadata_left(fs);
}

int btrfs_space_ready(struct r3_btrfs *fs, uint64_t metadata_bytes)
{
	uint64_t slots = metadata_bytes / fs->nodesize + 1;
	int err = 0;

	while (!err && fs->space->slots[BTRFS_KIND_METADATA] < slots)
		err = btrfs_group_make(fs, BTRFS_KIND_METADATA);
	return err;
}

/* ---- used ---------------------------------------------------------------- */

static int used_write(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_group *g)
{
	struct btrfs_spot spot;
	r3_le64 used = to_le64(g->used);
	int err = btrfs_item_edit(fs, tree,
				  KEY(g->start, BTRFS_BLOCK_GROUP_ITEM,
				      g->len), &spot);

	if (err == -ENOENT)
		return btrfs_fail(fs, -EUCLEAN, "block group %llu has no item",
				  (unsigned long long)g->start);
	if (err)
		return err;
	memcpy(spot.data + offsetof(struct btrfs_block_group_item, used),
	       &used, sizeof(used));
	g->used_written = le64(used);
	return 0;
}

int btrfs_groups_write(struct r3_btrfs *fs, bool *again)
{
	struct btrfs_tree *tree;
	int err = groups_tree(fs, &tree);

	*again = false;
	for (unsigned i = 0; !err && i < fs->space->count; i++) {
		struct btrfs_group *g = fs->space->groups[i];

		if (g->used == g->used_written)
			continue;
		err = used_write(fs, tree, g);
		*again = true;
	}
	return err ? err : btrfs_fst_infos_write(fs, again);
}
