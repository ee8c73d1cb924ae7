// SPDX-License-Identifier: GPL-2.0-or-later
/* leaf_meta.c - the checks of items in the trees that describe space */
#include "priv.h"

#define WRONG(ctx, ...) btrfs_wrong(ctx, __VA_ARGS__)

static bool is_range(const struct btrfs_leaf_ctx *ctx)
{
	uint64_t end;

	return ctx->key.offset &&
	       r3_is_aligned(ctx->key.objectid | ctx->key.offset,
			     BTRFS_SECTOR) &&
	       r3_add(ctx->key.objectid, ctx->key.offset, &end);
}

/* Bytes that an inline reference takes, 0 for a type that can't be there. */
static unsigned inline_len(uint8_t type, bool data)
{
	switch (type) {
	case BTRFS_EXTENT_OWNER_REF:
		return data ? 9 : 0;
	case BTRFS_TREE_BLOCK_REF:
	case BTRFS_SHARED_BLOCK_REF:
		return data ? 0 : 9;
	case BTRFS_EXTENT_DATA_REF:
		return data ? 1 + sizeof(struct btrfs_extent_data_ref) : 0;
	case BTRFS_SHARED_DATA_REF:
		return data ? 13 : 0;
	}
	return 0;
}

/* What one inline reference counts, and its place in the order. */
static uint64_t inline_count(const uint8_t *p, uint64_t *order)
{
	const struct btrfs_inline_ref *r = (const void *)p;
	const struct btrfs_extent_data_ref *d = (const void *)(p + 1);
	r3_le32 count;

	if (*p == BTRFS_EXTENT_DATA_REF) {
		*order = btrfs_data_ref_hash(le64(d->root), le64(d->objectid),
					     le64(d->offset));
		return le32(d->count);
	}
	*order = le64(r->offset);
	if (*p == BTRFS_EXTENT_OWNER_REF)
		return 0;
	if (*p != BTRFS_SHARED_DATA_REF)
		return 1;
	memcpy(&count, p + sizeof(*r), sizeof(count));
	return le32(count);
}

static bool inline_refs(const struct btrfs_leaf_ctx *ctx, struct r3_span s,
			bool data, uint64_t refs)
{
	uint64_t sum = 0, order, last_order = 0;
	uint8_t last_type = 0;

	while (s.len) {
		uint8_t type = *s.p;
		unsigned len = inline_len(type, data);
		const uint8_t *p = len ? r3_take(&s, len) : NULL;
		uint64_t count;

		if (!p)
			return WRONG(ctx, "inline reference of type %u", type);
		count = inline_count(p, &order);
		if (!count && type != BTRFS_EXTENT_OWNER_REF)
			return WRONG(ctx, "inline reference that counts 0");
		if ((type == BTRFS_SHARED_BLOCK_REF ||
		     type == BTRFS_SHARED_DATA_REF) &&
		    (!order || !r3_is_aligned(order, BTRFS_SECTOR)))
			return WRONG(ctx, "parent %llu",
				     (unsigned long long)order);
		if (type < last_type ||
		    (type == last_type && order > last_order))
			return WRONG(ctx, "inline references out of order");
		last_type = type;
		last_order = order;
		sum += count; /* at most 64 KiB / 9 times 2^32 */
	}
	return sum <= refs ||
	       WRONG(ctx, "%llu references where it counts %llu",
		     (unsigned long long)sum, (unsigned long long)refs);
}

static bool after_prev_extent(const struct btrfs_leaf_ctx *ctx)
{
	uint64_t len;

	if (!ctx->has_prev || (ctx->prev.type != BTRFS_EXTENT_ITEM &&
			       ctx->prev.type != BTRFS_METADATA_ITEM))
		return true;
	len = ctx->prev.type == BTRFS_EXTENT_ITEM ? ctx->prev.offset
						  : ctx->fs->nodesize;
	return ctx->prev.objectid + len <= ctx->key.objectid;
}

bool btrfs_check_extent_item(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_extent_item *x = (const void *)ctx->data;
	bool skinny = ctx->key.type == BTRFS_METADATA_ITEM;
	uint64_t flags = le64(x->flags);
	bool data = flags & BTRFS_EXTENT_FLAG_DATA;
	struct r3_span s = { ctx->data, ctx->size };
	const struct btrfs_tree_block_info *info;

	r3_take(&s, sizeof(*x));
	if (!r3_is_aligned(ctx->key.objectid, BTRFS_SECTOR) ||
	    (skinny ? ctx->key.offset >= BTRFS_LEVELS_MAX : !is_range(ctx)))
		return WRONG(ctx, "not an extent");
	if (!data == !(flags & BTRFS_EXTENT_FLAG_TREE_BLOCK) ||
	    (skinny && data) ||
	    (data && flags & BTRFS_EXTENT_FLAG_FULL_BACKREF))
		return WRONG(ctx, "flags 0x%llx", (unsigned long long)flags);
	if (!le64(x->refs))
		return WRONG(ctx, "counts no reference");
	if (le64(x->generation) > ctx->fs->generation + 1)
		return WRONG(ctx, "extent from the future");
	if (!data && !skinny) {
		info = r3_take(&s, sizeof(*info));
		if (ctx->key.offset != ctx->fs->nodesize)
			return WRONG(ctx, "a tree block of another size");
		if (!info || info->level >= BTRFS_LEVELS_MAX)
			return WRONG(ctx, "level");
	}
	if (!after_prev_extent(ctx))
		return WRONG(ctx, "overlaps the extent before it");
	return inline_refs(ctx, s, data, le64(x->refs));
}

bool btrfs_check_tree_ref(const struct btrfs_leaf_ctx *ctx)
{
	return r3_is_aligned(ctx->key.objectid, BTRFS_SECTOR) ||
	       WRONG(ctx, "not an extent");
}

bool btrfs_check_data_ref(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_extent_data_ref *r = (const void *)ctx->data;

	if (!r3_is_aligned(ctx->key.objectid, BTRFS_SECTOR))
		return WRONG(ctx, "not an extent");
	return le32(r->count) || WRONG(ctx, "counts no reference");
}

bool btrfs_check_shared_data_ref(const struct btrfs_leaf_ctx *ctx)
{
	const r3_le32 *count = (const void *)ctx->data;

	if (!r3_is_aligned(ctx->key.objectid | ctx->key.offset, BTRFS_SECTOR))
		return WRONG(ctx, "not an extent");
	return le32(*count) || WRONG(ctx, "counts no reference");
}

bool btrfs_check_block_group(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_block_group_item *g = (const void *)ctx->data;
	uint64_t profile = le64(g->flags) & BTRFS_BG_PROFILES;

	if (!is_range(ctx))
		return WRONG(ctx, "not a block group");
	if (le64(g->used) > ctx->key.offset)
		return WRONG(ctx, "more bytes used than it has");
	if (le64(g->flags) & ~(BTRFS_BG_TYPES | BTRFS_BG_PROFILES) ||
	    !(le64(g->flags) & BTRFS_BG_TYPES) ||
	    (profile && !r3_is_pow2(profile)))
		return WRONG(ctx, "flags 0x%llx",
			     (unsigned long long)le64(g->flags));
	return le64(g->chunk_objectid) == BTRFS_FIRST_CHUNK ||
	       WRONG(ctx, "chunk object %llu",
		     (unsigned long long)le64(g->chunk_objectid));
}

bool btrfs_check_fst_info(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_free_space_info *i = (const void *)ctx->data;

	if (!is_range(ctx))
		return WRONG(ctx, "not a block group");
	return !(le32(i->flags) & ~BTRFS_FREE_SPACE_BITMAPS) ||
	       WRONG(ctx, "flags 0x%x", le32(i->flags));
}

bool btrfs_check_fst_extent(const struct btrfs_leaf_ctx *ctx)
{
	return is_range(ctx) || WRONG(ctx, "not a range");
}

bool btrfs_check_fst_bitmap(const struct btrfs_leaf_ctx *ctx)
{
	uint64_t bits = ctx->key.offset / BTRFS_SECTOR;

	if (!is_range(ctx))
		return WRONG(ctx, "not a range");
	return ctx->size == bits / 8 + (bits % 8 != 0) ||
	       WRONG(ctx, "a bitmap of %u bytes", ctx->size);
}

bool btrfs_check_dev_extent(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_dev_extent *x = (const void *)ctx->data;
	uint64_t end;

	if (!r3_is_aligned(ctx->key.offset | le64(x->length) |
			   le64(x->chunk_offset), BTRFS_SECTOR) ||
	    !le64(x->length) ||
	    !r3_add(ctx->key.offset, le64(x->length), &end))
		return WRONG(ctx, "not a range");
	return true;
}

bool btrfs_check_dev(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_dev_item *d = (const void *)ctx->data;

	if (ctx->key.objectid != BTRFS_DEV_ITEMS ||
	    le64(d->devid) != ctx->key.offset)
		return WRONG(ctx, "says that it is device %llu",
			     (unsigned long long)le64(d->devid));
	return le64(d->bytes_used) <= le64(d->total_bytes) ||
	       WRONG(ctx, "more bytes used than it has");
}

bool btrfs_check_chunk_item(const struct btrfs_leaf_ctx *ctx)
{
	const char *wrong;

	if (ctx->key.objectid != BTRFS_FIRST_CHUNK)
		return WRONG(ctx, "not the object of chunks");
	wrong = btrfs_chunk_check((const void *)ctx->data, ctx->size,
				  ctx->key.offset);
	return !wrong || WRONG(ctx, "a wrong %s", wrong);
}
