// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xattr_edit.c - extended attributes, set and removed
 *
 * One of them means something to the file system itself: the property
 * "btrfs.compression", which also sets the inode's flags.
 */
#include <sys/xattr.h>

#include "names.h"

#define PREFIX	    "btrfs."
#define COMPRESSION BTRFS_PROPERTY_COMPRESSION

struct change {
	struct btrfs_node node;
	struct btrfs_key key;
	const char *name;
	size_t name_len;
	const void *value;
	size_t len;
	/* of the one that is there */
	bool there;
	size_t at, size; /* in the item */
	size_t item_size; /* 0: there is no item */
};

static bool name_is(const struct change *x, const char *name)
{
	return x->name_len == strlen(name) &&
	       !memcmp(x->name, name, x->name_len);
}

/* ---- the property ------------------------------------------------------- */

static bool value_begins(const struct change *x, const char *text)
{
	return x->len >= strlen(text) && !memcmp(x->value, text, strlen(text));
}

/* What the inode's flags become; false: not a compression.  Source: the
 * kernel's prop_compression_validate() and _apply(). */
static bool compression_flags(const struct change *x, uint64_t *flags,
			      uint64_t *incompat)
{
	*incompat = 0;
	*flags &= ~(BTRFS_INODE_COMPRESS | BTRFS_INODE_NOCOMPRESS);
	if (!x->len)
		return true;
	if (value_begins(x, "no")) {
		if (x->len > 2 && !(x->len == 4 && value_begins(x, "none")))
			return false;
		*flags |= BTRFS_INODE_NOCOMPRESS;
		return true;
	}
	switch (btrfs_compression_named(x->value, x->len)) {
	case BTRFS_COMPRESS_NONE:
		return false;
	case BTRFS_COMPRESS_LZO:
		*incompat = BTRFS_INCOMPAT_LZO;
		break;
	case BTRFS_COMPRESS_ZSTD:
		*incompat = BTRFS_INCOMPAT_ZSTD;
		break;
	}
	*flags |= BTRFS_INODE_COMPRESS;
	return !(*flags & (BTRFS_INODE_NODATACOW | BTRFS_INODE_NODATASUM));
}

/* *ignored: it has no meaning for this kind of inode. */
static int check_property(struct r3_btrfs *fs, const struct change *x,
			  bool *ignored)
{
	uint64_t flags = le64(x->node.item.flags), incompat;
	uint32_t mode = le32(x->node.item.mode);

	*ignored = false;
	if (x->name_len < strlen(PREFIX) ||
	    memcmp(x->name, PREFIX, strlen(PREFIX)))
		return 0;
	if (!name_is(x, COMPRESSION))
		return btrfs_fail(fs, -EINVAL, "%.*s: there is no such "
				  "property", (int)x->name_len, x->name);
	if (!compression_flags(x, &flags, &incompat))
		return btrfs_fail(fs, -EINVAL, "%.*s: not a compression, or "
				  "not possible without copy on write",
				  (int)r3_min(x->len, 32),
				  (const char *)x->value);
	*ignored = !S_ISREG(mode) && !S_ISDIR(mode);
	return 0;
}

static void apply_property(struct r3_btrfs *fs, struct change *x)
{
	uint64_t flags = le64(x->node.item.flags), incompat;

	if (!name_is(x, COMPRESSION))
		return;
	compression_flags(x, &flags, &incompat);
	x->node.item.flags = to_le64(flags);
	if (incompat & ~fs->incompat)
		btrfs_set_incompat(fs, incompat);
}

/* ---- both --------------------------------------------------------------- */

static int look(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		struct change *x)
{
	const struct btrfs_dir_item *d;
	struct btrfs_cursor c;
	int err;

	if (!x->name_len || memchr(x->name, 0, x->name_len))
		return btrfs_fail(fs, -EINVAL, "no name for an xattr");
	if (x->name_len > BTRFS_XATTR_NAME_MAX)
		return btrfs_fail(fs, -ERANGE, "the xattr's name is too long");
	err = btrfs_node_get(fs, in, &x->node);
	if (err)
		return err;
	x->key = KEY(in.ino, BTRFS_XATTR_ITEM,
		     btrfs_name_hash(x->name, x->name_len));
	btrfs_cursor_init(&c, fs, x->node.tree->root);
	err = btrfs_cursor_find(&c, x->key);
	if (!err) {
		x->item_size = c.size;
		d = btrfs_dir_item_pick((struct r3_span){ c.data, c.size },
					x->name, x->name_len);
		x->there = d;
		if (d) {
			x->at = (size_t)((const char *)d -
					 (const char *)c.data);
			x->size = btrfs_dir_item_size(d);
		}
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

static int cut(struct r3_btrfs *fs, const struct change *x)
{
	return btrfs_pack_cut(fs, x->node.tree, x->key, x->at, x->size);
}

/* ---- set ---------------------------------------------------------------- */

static int may_set(struct r3_btrfs *fs, const struct change *x, int flags)
{
	size_t size = sizeof(struct btrfs_dir_item) + x->name_len + x->len;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return btrfs_fail(fs, -EINVAL, "xattr flags 0x%x",
				  (unsigned)flags);
	if (x->there && flags & XATTR_CREATE)
		return btrfs_fail(fs, -EEXIST, "%.*s: is set already",
				  (int)x->name_len, x->name);
	if (!x->there && flags & XATTR_REPLACE)
		return btrfs_fail(fs, -ENODATA, "%.*s: is not set",
				  (int)x->name_len, x->name);
	if (x->len > UINT16_MAX ||
	    x->item_size - x->size + size > btrfs_item_max(fs))
		return btrfs_fail(fs, -ERANGE, "%.*s: a value of %zu bytes is "
				  "too long", (int)x->name_len, x->name,
				  x->len);
	return 0;
}

/* The new value is as long as the old one: in its place. */
static int overwrite(struct r3_btrfs *fs, const struct change *x)
{
	struct btrfs_spot spot;
	int err = btrfs_item_edit(fs, x->node.tree, x->key, &spot);

	if (!err && x->len)
		memcpy(spot.data + x->at + sizeof(struct btrfs_dir_item) +
			       x->name_len, x->value, x->len);
	return err;
}

static int append(struct r3_btrfs *fs, const struct change *x)
{
	struct btrfs_dir_item d = {
		.transid = to_le64(btrfs_transid(fs)),
		.data_len = to_le16((uint16_t)x->len),
		.name_len = to_le16((uint16_t)x->name_len),
		.type = BTRFS_FT_XATTR,
	};
	uint8_t *buf = fs->file_buf; /* BTRFS_COMPRESSED_MAX and more */

	fs->file_cached.logical = 0;
	memcpy(buf, &d, sizeof(d));
	memcpy(buf + sizeof(d), x->name, x->name_len);
	if (x->len)
		memcpy(buf + sizeof(d) + x->name_len, x->value, x->len);
	return btrfs_pack_add(fs, x->node.tree, x->key, buf,
			      btrfs_dir_item_size(&d));
}

static int set(struct r3_btrfs *fs, struct change *x)
{
	bool same = x->there && x->size == sizeof(struct btrfs_dir_item) +
						   x->name_len + x->len;
	int err = 0;

	if (same)
		err = overwrite(fs, x);
	else if (x->there)
		err = cut(fs, x);
	if (!err && !same)
		err = append(fs, x);
	apply_property(fs, x);
	return err ? err : btrfs_node_put(fs, &x->node, true);
}

int r3_btrfs_setxattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      const char *name, size_t name_len, const void *value,
		      size_t len, int flags)
{
	struct change x = { .name = name, .name_len = name_len,
			    .value = value, .len = len };
	bool ignored = false;
	int err = look(fs, in, &x);

	if (!err)
		err = check_property(fs, &x, &ignored);
	if (!err && !ignored && !len && name_is(&x, COMPRESSION))
		return x.there ? r3_btrfs_removexattr(fs, in, name, name_len)
			       : 0;
	if (!err && !ignored)
		err = may_set(fs, &x, flags);
	if (err || ignored)
		return err;
	err = btrfs_start_within_quota(fs, in.subvol, 4,
				       btrfs_meta_bytes(1, 30 + name_len +
							len));
	return err ? err : btrfs_trans_end(fs, set(fs, &x));
}

/* ---- removed ------------------------------------------------------------ */

static int remove_it(struct r3_btrfs *fs, struct change *x)
{
	int err = cut(fs, x);

	apply_property(fs, x);
	return err ? err : btrfs_node_put(fs, &x->node, true);
}

int r3_btrfs_removexattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 const char *name, size_t name_len)
{
	struct change x = { .name = name, .name_len = name_len };
	int err = look(fs, in, &x);

	if (!err && !x.there)
		err = btrfs_fail(fs, -ENODATA, "%.*s: is not set",
				 (int)name_len, name);
	if (!err)
		err = btrfs_trans_start(fs, 2, BTRFS_FREES);
	return err ? err : btrfs_trans_end(fs, remove_it(fs, &x));
}
