// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leaf.c - is a tree block what it should be?  Order, bounds, then each item
 *
 * After this nobody looks at bounds again.  The rules are the kernel's
 * (fs/btrfs/tree-checker.c names the same ones), plus those that a reader in
 * user space needs: names without '/' and NUL, compressed extents of at most
 * 128 KiB.
 */
#include <stdarg.h>

#include "priv.h"

static const struct item_rule {
	const char *name;
	btrfs_item_check *check; /* NULL: size only */
	uint32_t min, max;	 /* size; max 0: any */
} rules[256] = {
	[BTRFS_INODE_ITEM] = { "INODE_ITEM", btrfs_check_inode, 160, 160 },
	[BTRFS_INODE_REF] = { "INODE_REF", btrfs_check_inode_ref, 11, 0 },
	[BTRFS_INODE_EXTREF] = { "INODE_EXTREF", btrfs_check_extref, 19, 0 },
	[BTRFS_XATTR_ITEM] = { "XATTR_ITEM", btrfs_check_dir, 31, 0 },
	[BTRFS_VERITY_DESC] = { "VERITY_DESC_ITEM", NULL, 1, 0 },
	[BTRFS_VERITY_MERKLE] = { "VERITY_MERKLE_ITEM", NULL, 1, 0 },
	[BTRFS_ORPHAN_ITEM] = { "ORPHAN_ITEM", NULL, 0, 0 },
	[BTRFS_DIR_LOG_ITEM] = { "DIR_LOG_ITEM", NULL, 8, 8 },
	[BTRFS_DIR_LOG_INDEX] = { "DIR_LOG_INDEX", NULL, 8, 8 },
	[BTRFS_DIR_ITEM] = { "DIR_ITEM", btrfs_check_dir, 31, 0 },
	[BTRFS_DIR_INDEX] = { "DIR_INDEX", btrfs_check_dir, 31, 0 },
	[BTRFS_EXTENT_DATA] = { "EXTENT_DATA", btrfs_check_file_extent, 21, 0 },
	[BTRFS_EXTENT_CSUM] = { "EXTENT_CSUM", btrfs_check_csum, 4, 0 },
	[BTRFS_ROOT_ITEM] = { "ROOT_ITEM", btrfs_check_root, 239, 439 },
	[BTRFS_ROOT_BACKREF] = { "ROOT_BACKREF", btrfs_check_root_ref, 19, 0 },
	[BTRFS_ROOT_REF] = { "ROOT_REF", btrfs_check_root_ref, 19, 0 },
	[BTRFS_EXTENT_ITEM] = { "EXTENT_ITEM", btrfs_check_extent_item, 24, 0 },
	[BTRFS_METADATA_ITEM] = { "METADATA_ITEM", btrfs_check_extent_item,
				  24, 0 },
	[BTRFS_EXTENT_OWNER_REF] = { "EXTENT_OWNER_REF", NULL, 8, 8 },
	[BTRFS_TREE_BLOCK_REF] = { "TREE_BLOCK_REF", btrfs_check_tree_ref,
				   0, 0 },
	[BTRFS_EXTENT_DATA_REF] = { "EXTENT_DATA_REF", btrfs_check_data_ref,
				    28, 28 },
	[BTRFS_SHARED_BLOCK_REF] = { "SHARED_BLOCK_REF",
				     btrfs_check_tree_ref, 0, 0 },
	[BTRFS_SHARED_DATA_REF] = { "SHARED_DATA_REF",
				    btrfs_check_shared_data_ref, 4, 4 },
	[BTRFS_BLOCK_GROUP_ITEM] = { "BLOCK_GROUP_ITEM",
				     btrfs_check_block_group, 24, 24 },
	[BTRFS_FREE_SPACE_INFO] = { "FREE_SPACE_INFO", btrfs_check_fst_info,
				    8, 8 },
	[BTRFS_FREE_SPACE_EXTENT] = { "FREE_SPACE_EXTENT",
				      btrfs_check_fst_extent, 0, 0 },
	[BTRFS_FREE_SPACE_BITMAP] = { "FREE_SPACE_BITMAP",
				      btrfs_check_fst_bitmap, 1, 256 },
	[BTRFS_DEV_EXTENT] = { "DEV_EXTENT", btrfs_check_dev_extent, 48, 48 },
	[BTRFS_DEV_ITEM] = { "DEV_ITEM", btrfs_check_dev, 98, 98 },
	[BTRFS_CHUNK_ITEM] = { "CHUNK_ITEM", btrfs_check_chunk_item, 80, 0 },
	[BTRFS_RAID_STRIPE] = { "RAID_STRIPE", NULL, 1, 0 },
	[BTRFS_QGROUP_STATUS] = { "QGROUP_STATUS", btrfs_check_qgroup, 32, 40 },
	[BTRFS_QGROUP_INFO] = { "QGROUP_INFO", NULL, 40, 40 },
	[BTRFS_QGROUP_LIMIT] = { "QGROUP_LIMIT", NULL, 40, 40 },
	[BTRFS_QGROUP_RELATION] = { "QGROUP_RELATION", NULL, 0, 0 },
	[BTRFS_TEMPORARY_ITEM] = { "TEMPORARY_ITEM", NULL, 0, 0 },
	[BTRFS_PERSISTENT_ITEM] = { "PERSISTENT_ITEM", NULL, 0, 0 },
	[BTRFS_DEV_REPLACE] = { "DEV_REPLACE", NULL, 0, 0 },
	[BTRFS_UUID_SUBVOL] = { "UUID_KEY_SUBVOL", btrfs_check_uuid, 8, 0 },
	[BTRFS_UUID_RECEIVED] = { "UUID_KEY_RECEIVED_SUBVOL", btrfs_check_uuid,
				  8, 0 },
	[BTRFS_STRING_ITEM] = { "STRING_ITEM", NULL, 0, 0 },
};

/* Items without content: min = max = 0 would mean "any size". */
static bool is_empty_type(uint8_t type)
{
	return type == BTRFS_TREE_BLOCK_REF ||
	       type == BTRFS_SHARED_BLOCK_REF ||
	       type == BTRFS_FREE_SPACE_EXTENT ||
	       type == BTRFS_QGROUP_RELATION || type == BTRFS_ORPHAN_ITEM;
}

const char *btrfs_type_name(uint8_t type)
{
	return rules[type].name;
}

static void objectid_text(char *out, size_t len, uint64_t id)
{
	if (id >= BTRFS_LAST_FREE)
		snprintf(out, len, "%lld", (long long)id);
	else
		snprintf(out, len, "%llu", (unsigned long long)id);
}

struct btrfs_key_text btrfs_key_text(struct btrfs_key key)
{
	struct btrfs_key_text t;
	char id[24], off[24], type[12];

	objectid_text(id, sizeof(id), key.objectid);
	objectid_text(off, sizeof(off), key.offset);
	snprintf(type, sizeof(type), "%u", key.type);
	snprintf(t.s, sizeof(t.s), "(%s %s %s)", id,
		 rules[key.type].name ? rules[key.type].name : type, off);
	return t;
}

bool btrfs_wrong(const struct btrfs_leaf_ctx *ctx, const char *fmt, ...)
{
	int n = snprintf(ctx->why, ctx->why_len, "key %s: ",
			 btrfs_key_text(ctx->key).s);
	va_list ap;

	if (n < 0 || (size_t)n >= ctx->why_len)
		return false;
	va_start(ap, fmt);
	vsnprintf(ctx->why + n, ctx->why_len - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static bool item_check(const struct btrfs_leaf_ctx *ctx)
{
	const struct item_rule *r = &rules[ctx->key.type];

	if (is_empty_type(ctx->key.type) && ctx->size)
		return btrfs_wrong(ctx, "size %u where 0 belongs", ctx->size);
	if (ctx->size < r->min || (r->max && ctx->size > r->max))
		return btrfs_wrong(ctx, "size %u", ctx->size);
	return r->check ? r->check(ctx) : true;
}

/* Item @i lies between the table of items and the data of item i - 1. */
static bool bounds_check(const struct btrfs_leaf_ctx *ctx, uint64_t end)
{
	const struct btrfs_item *item =
		btrfs_item_at(ctx->block, ctx->slot);
	uint64_t table = (uint64_t)ctx->block->nritems * sizeof(*item);
	uint64_t offset = le32(item->offset), size = le32(item->size);

	if (offset + size != end)
		return btrfs_wrong(ctx, "item %u ends at %llu, not %llu",
				   ctx->slot,
				   (unsigned long long)(offset + size),
				   (unsigned long long)end);
	if (offset < table)
		return btrfs_wrong(ctx, "item %u lies in the table of items",
				   ctx->slot);
	return true;
}

bool btrfs_leaf_check(const struct r3_btrfs *fs, const struct btrfs_block *b,
		      char *why, size_t len)
{
	uint64_t room = fs->nodesize - sizeof(struct btrfs_header), end = room;
	struct btrfs_leaf_ctx ctx = { .fs = fs, .block = b, .why = why,
				      .why_len = len };

	if (b->nritems > room / sizeof(struct btrfs_item)) {
		snprintf(why, len, "%u items do not fit", b->nritems);
		return false;
	}
	for (; ctx.slot < b->nritems; ctx.slot++) {
		ctx.key = btrfs_block_key(b, ctx.slot);
		if (ctx.has_prev && btrfs_key_cmp(ctx.prev, ctx.key) >= 0)
			return btrfs_wrong(&ctx, "comes after %s",
					   btrfs_key_text(ctx.prev).s);
		if (!bounds_check(&ctx, end))
			return false;
		end = le32(btrfs_item_at(b, ctx.slot)->offset);
		ctx.data = btrfs_item_data(b, ctx.slot);
		ctx.size = btrfs_item_size(b, ctx.slot);
		if (!item_check(&ctx))
			return false;
		ctx.prev = ctx.key;
		ctx.has_prev = true;
	}
	return true;
}

bool btrfs_node_check(const struct r3_btrfs *fs, const struct btrfs_block *b,
		      char *why, size_t len)
{
	uint64_t room = fs->nodesize - sizeof(struct btrfs_header);
	struct btrfs_key key, prev = { 0 };

	if (!b->nritems || b->nritems > room / sizeof(struct btrfs_key_ptr)) {
		snprintf(why, len, "a node of %u pointers", b->nritems);
		return false;
	}
	for (unsigned i = 0; i < b->nritems; i++) {
		const struct btrfs_key_ptr *p = btrfs_ptr_at(b, i);

		key = btrfs_key_get(&p->key);
		if (i && btrfs_key_cmp(prev, key) >= 0) {
			snprintf(why, len, "key %s: comes after %s",
				 btrfs_key_text(key).s,
				 btrfs_key_text(prev).s);
			return false;
		}
		if (!le64(p->blockptr) ||
		    !r3_is_aligned(le64(p->blockptr), BTRFS_SECTOR) ||
		    le64(p->generation) > b->generation) {
			snprintf(why, len, "key %s: points to block %llu of "
				 "generation %llu", btrfs_key_text(key).s,
				 (unsigned long long)le64(p->blockptr),
				 (unsigned long long)le64(p->generation));
			return false;
		}
		prev = key;
	}
	return true;
}
