// SPDX-License-Identifier: GPL-2.0-or-later
/* leaf_fs.c - the checks of items in subvolumes, the root and csum trees */
#include "priv.h"

#define WRONG(ctx, ...) btrfs_wrong(ctx, __VA_ARGS__)

static bool is_inode_number(uint64_t ino)
{
	return (ino >= BTRFS_FIRST_FREE && ino <= BTRFS_LAST_FREE) ||
	       ino == BTRFS_ROOT_TREE_DIR || ino == BTRFS_FREE_INO ||
	       ino == BTRFS_STUB_DIR;
}

/* In a subvolume, items of an inode follow the inode, or begin the leaf. */
static bool follows_inode(const struct btrfs_leaf_ctx *ctx)
{
	return !ctx->has_prev || ctx->prev.objectid == ctx->key.objectid ||
	       !btrfs_is_fs_tree(ctx->block->owner);
}

bool btrfs_check_inode(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_inode_item *i = (const void *)ctx->data;
	uint32_t mode = le32(i->mode);

	if (!is_inode_number(ctx->key.objectid))
		return WRONG(ctx, "not the number of an inode");
	if (ctx->key.offset)
		return WRONG(ctx, "offset not 0");
	if (le64(i->generation) > ctx->fs->generation + 1 ||
	    le64(i->transid) > ctx->fs->generation + 1)
		return WRONG(ctx, "inode from the future");
	if (le64(i->size) > INT64_MAX)
		return WRONG(ctx, "size %llu",
			     (unsigned long long)le64(i->size));
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		if (le32(i->nlink) > 1)
			return WRONG(ctx, "a directory with %u links",
				     le32(i->nlink));
		break;
	default:
		return WRONG(ctx, "mode 0%o", mode);
	}
	return true;
}

bool btrfs_check_inode_ref(const struct btrfs_leaf_ctx *ctx)
{
	struct r3_span s = { ctx->data, ctx->size };

	if (!follows_inode(ctx))
		return WRONG(ctx, "without its inode before it");
	while (s.len) {
		const struct btrfs_inode_ref *r = r3_take(&s, sizeof(*r));
		unsigned len = r ? le16(r->name_len) : 0;

		if (!len || len > BTRFS_NAME_MAX || !r3_take(&s, len))
			return WRONG(ctx, "a name reaches past the item");
	}
	return true;
}

bool btrfs_check_extref(const struct btrfs_leaf_ctx *ctx)
{
	struct r3_span s = { ctx->data, ctx->size };

	if (!follows_inode(ctx))
		return WRONG(ctx, "without its inode before it");
	while (s.len) {
		const struct btrfs_inode_extref *r = r3_take(&s, sizeof(*r));
		unsigned len = r ? le16(r->name_len) : 0;
		const void *name;

		if (!len || len > BTRFS_NAME_MAX || !(name = r3_take(&s, len)))
			return WRONG(ctx, "a name reaches past the item");
		if (btrfs_extref_hash(le64(r->parent), name, len) !=
		    ctx->key.offset)
			return WRONG(ctx, "the hash of its name differs");
	}
	return true;
}

static bool is_file_name(const char *name, unsigned len)
{
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return false;
	return !(len == 1 && name[0] == '.') &&
	       !(len == 2 && name[0] == '.' && name[1] == '.');
}

static bool dir_location(const struct btrfs_dir_item *d)
{
	struct btrfs_key to = btrfs_key_get(&d->location);

	if (to.type == BTRFS_ROOT_ITEM)
		return btrfs_is_fs_tree(to.objectid) && d->type == BTRFS_FT_DIR;
	return to.type == BTRFS_INODE_ITEM && !to.offset &&
	       is_inode_number(to.objectid);
}

static bool dir_entry(const struct btrfs_leaf_ctx *ctx,
		      const struct btrfs_dir_item *d, const char *name)
{
	bool xattr = ctx->key.type == BTRFS_XATTR_ITEM;
	unsigned len = le16(d->name_len);

	if (d->type >= BTRFS_FT_MAX ||
	    xattr != (d->type == BTRFS_FT_XATTR))
		return WRONG(ctx, "an entry of type %u", d->type);
	if (!xattr && (le16(d->data_len) || !dir_location(d)))
		return WRONG(ctx, "an entry that points to %s",
			     btrfs_key_text(btrfs_key_get(&d->location)).s);
	if (!xattr && !is_file_name(name, len))
		return WRONG(ctx, "a name with '/' or NUL in it, or a dot");
	if (ctx->key.type != BTRFS_DIR_INDEX &&
	    btrfs_name_hash(name, len) != ctx->key.offset)
		return WRONG(ctx, "the hash of the name %.*s differs",
			     (int)len, name);
	return true;
}

/* DIR_ITEM, DIR_INDEX and XATTR_ITEM. */
bool btrfs_check_dir(const struct btrfs_leaf_ctx *ctx)
{
	struct r3_span s = { ctx->data, ctx->size };
	unsigned count = 0;

	if (!follows_inode(ctx))
		return WRONG(ctx, "without its inode before it");
	while (s.len) {
		const struct btrfs_dir_item *d = r3_take(&s, sizeof(*d));
		unsigned len = d ? le16(d->name_len) : 0;
		const char *name;

		if (!len || len > BTRFS_NAME_MAX ||
		    !(name = r3_take(&s, len)) ||
		    !r3_take(&s, le16(d->data_len)))
			return WRONG(ctx, "an entry reaches past the item");
		if (ctx->key.type == BTRFS_DIR_INDEX && count++)
			return WRONG(ctx, "two entries under one index");
		if (!dir_entry(ctx, d, name))
			return false;
	}
	return true;
}

static bool inline_extent(const struct btrfs_leaf_ctx *ctx,
			  const struct btrfs_file_extent *x)
{
	uint64_t ram = le64(x->ram_bytes), len = ctx->size - sizeof(*x);

	if (ctx->key.offset)
		return WRONG(ctx, "inline, but not at the file's start");
	if (ram > BTRFS_NODE_MAX)
		return WRONG(ctx, "inline data of %llu bytes",
			     (unsigned long long)ram);
	if (!x->compression && ram != len)
		return WRONG(ctx, "inline data of %llu bytes in an item for "
			     "%llu", (unsigned long long)ram,
			     (unsigned long long)len);
	return true;
}

static bool reg_extent(const struct btrfs_leaf_ctx *ctx,
		       const struct btrfs_file_extent_reg *x)
{
	uint64_t ram = le64(x->head.ram_bytes), bytenr = le64(x->disk_bytenr);
	uint64_t disk = le64(x->disk_num_bytes), num = le64(x->num_bytes);
	uint64_t skip = le64(x->offset), end;
	bool packed = x->head.compression;

	if (!r3_is_aligned(ram | bytenr | disk | num | skip, BTRFS_SECTOR))
		return WRONG(ctx, "an extent that is not aligned");
	if (!num || !r3_add(ctx->key.offset, num, &end) || end - 1 > INT64_MAX)
		return WRONG(ctx, "an extent of %llu bytes",
			     (unsigned long long)num);
	if (!bytenr)
		return true;
	if (!disk || !r3_add(bytenr, disk, &end) ||
	    !r3_add(skip, num, &end) || end > (packed ? ram : disk))
		return WRONG(ctx, "bytes %llu to %llu of an extent of %llu",
			     (unsigned long long)skip, (unsigned long long)end,
			     (unsigned long long)(packed ? ram : disk));
	if (packed && (ram > BTRFS_COMPRESSED_MAX ||
		       disk > BTRFS_COMPRESSED_MAX))
		return WRONG(ctx, "a compressed extent of %llu bytes",
			     (unsigned long long)ram);
	if (packed && x->head.type == BTRFS_FILE_PREALLOC)
		return WRONG(ctx, "preallocated and compressed");
	return true;
}

static bool after_prev_extent(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_file_extent_reg *x;
	uint64_t end = BTRFS_SECTOR;

	if (!ctx->slot || ctx->prev.objectid != ctx->key.objectid ||
	    ctx->prev.type != BTRFS_EXTENT_DATA)
		return true;
	x = btrfs_item_data(ctx->block, ctx->slot - 1);
	if (x->head.type != BTRFS_FILE_INLINE)
		end = ctx->prev.offset + le64(x->num_bytes);
	return end <= ctx->key.offset;
}

bool btrfs_check_file_extent(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_file_extent *x = (const void *)ctx->data;

	if (!follows_inode(ctx))
		return WRONG(ctx, "without its inode before it");
	if (!r3_is_aligned(ctx->key.offset, BTRFS_SECTOR))
		return WRONG(ctx, "offset not aligned");
	if (x->type > BTRFS_FILE_PREALLOC)
		return WRONG(ctx, "extent type %u", x->type);
	if (x->compression >= BTRFS_COMPRESS_TYPES)
		return WRONG(ctx, "compression %u", x->compression);
	if (x->encryption || le16(x->other_encoding))
		return WRONG(ctx, "an encoding that does not exist");
	if (le64(x->generation) > ctx->fs->generation + 1)
		return WRONG(ctx, "extent from the future");
	if (!after_prev_extent(ctx))
		return WRONG(ctx, "overlaps the extent before it");
	if (x->type == BTRFS_FILE_INLINE)
		return inline_extent(ctx, x);
	if (ctx->size != sizeof(struct btrfs_file_extent_reg))
		return WRONG(ctx, "size %u", ctx->size);
	return reg_extent(ctx, (const void *)ctx->data);
}

bool btrfs_check_csum(const struct btrfs_leaf_ctx *ctx)
{
	unsigned each = ctx->fs->csum_size;
	uint64_t end, prev_end;

	if (ctx->key.objectid != BTRFS_CSUM_OBJECTID)
		return WRONG(ctx, "not the object of checksums");
	if (!r3_is_aligned(ctx->key.offset, BTRFS_SECTOR) ||
	    ctx->size % each ||
	    !r3_add(ctx->key.offset,
		    (uint64_t)ctx->size / each * BTRFS_SECTOR, &end))
		return WRONG(ctx, "size %u", ctx->size);
	if (ctx->has_prev && ctx->prev.type == BTRFS_EXTENT_CSUM) {
		prev_end = ctx->prev.offset + (uint64_t)BTRFS_SECTOR *
			   (btrfs_item_size(ctx->block, ctx->slot - 1) / each);
		if (prev_end > ctx->key.offset)
			return WRONG(ctx, "overlaps the item before it");
	}
	return true;
}

bool btrfs_check_root(const struct btrfs_leaf_ctx *ctx)
{
	struct btrfs_root_item r;

	if (ctx->size != BTRFS_ROOT_ITEM_V1 && ctx->size != sizeof(r))
		return WRONG(ctx, "size %u", ctx->size);
	btrfs_root_item_get(&r, ctx->data, ctx->size);
	if (!ctx->key.objectid)
		return WRONG(ctx, "tree 0");
	if (le64(r.generation) > ctx->fs->generation + 1 ||
	    le64(r.last_snapshot) > ctx->fs->generation + 1)
		return WRONG(ctx, "tree from the future");
	if (!r3_is_aligned(le64(r.bytenr), BTRFS_SECTOR))
		return WRONG(ctx, "block %llu",
			     (unsigned long long)le64(r.bytenr));
	if (r.level >= BTRFS_LEVELS_MAX || r.drop_level >= BTRFS_LEVELS_MAX)
		return WRONG(ctx, "level %u", r.level);
	if (le64(r.flags) & ~(BTRFS_ROOT_RDONLY | BTRFS_ROOT_DEAD))
		return WRONG(ctx, "flags 0x%llx",
			     (unsigned long long)le64(r.flags));
	return true;
}

bool btrfs_check_root_ref(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_root_ref *r = (const void *)ctx->data;
	unsigned len = le16(r->name_len);

	if (!len || len > BTRFS_NAME_MAX || ctx->size != sizeof(*r) + len)
		return WRONG(ctx, "a name that does not fill the item");
	if (!is_file_name((const char *)(r + 1), len))
		return WRONG(ctx, "a name with '/' or NUL in it, or a dot");
	return true;
}

bool btrfs_check_uuid(const struct btrfs_leaf_ctx *ctx)
{
	return ctx->size % 8 == 0 || WRONG(ctx, "size %u", ctx->size);
}

bool btrfs_check_qgroup(const struct btrfs_leaf_ctx *ctx)
{
	const struct btrfs_qgroup_status *q = (const void *)ctx->data;

	if (ctx->key.objectid || ctx->key.offset)
		return WRONG(ctx, "not where the status is");
	if (ctx->size != 32 && ctx->size != 40)
		return WRONG(ctx, "size %u", ctx->size);
	return le64(q->version) == 1 ||
	       WRONG(ctx, "version %llu",
		     (unsigned long long)le64(q->version));
}
