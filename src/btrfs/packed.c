// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packed.c - how a file's new data is compressed
 *
 * A file's flags come first, then its property btrfs.compression, then the
 * volume's option; data without checksums is never packed.  As the kernel's
 * fs/btrfs/inode.c, inode_need_compress(), without its guessing.
 */
#include <stdlib.h>

#include "extent.h"
#include "mkfs.h"

struct btrfs_packing {
	struct btrfs_packer *packer;
	struct btrfs_packer_choice how; /* the packer's */
	uint8_t out[BTRFS_COMPRESSED_MAX];
};

#define PROPERTY BTRFS_PROPERTY_COMPRESSION

/* "zstd" or "zstd:3"; anything else leaves @arg as it is. */
static int take_property(void *arg, const char *name, size_t name_len,
			 const void *value, size_t len)
{
	struct btrfs_packer_choice *out = arg;
	const char *v = value;
	unsigned type;
	size_t n;

	if (name_len != strlen(PROPERTY) || memcmp(name, PROPERTY, name_len))
		return 0;
	type = btrfs_compression_named(value, len);
	if (!type)
		return 0;
	n = strlen(btrfs_compression_name(type));
	out->type = type;
	out->level = 0;
	if (len > n + 1 && v[n] == ':' && v[n + 1] >= '1' && v[n + 1] <= '9')
		out->level = v[n + 1] - '0';
	return 0;
}

int btrfs_packer_choose(struct r3_btrfs *fs, const struct btrfs_node *node,
			struct r3_btrfs_inode in,
			struct btrfs_packer_choice *out)
{
	uint64_t flags = le64(node->item.flags);

	*out = (struct btrfs_packer_choice){ 0 };
	if (flags & (BTRFS_INODE_NOCOMPRESS | BTRFS_INODE_NODATASUM |
		     BTRFS_INODE_NODATACOW))
		return 0;
	out->type = fs->opts.compression;
	out->level = fs->opts.level;
	if (!(flags & BTRFS_INODE_COMPRESS))
		return 0;
	if (!out->type)
		out->type = BTRFS_COMPRESS_ZLIB;
	return r3_btrfs_each_xattr(fs, in, take_property, out);
}

static int packing_get(struct r3_btrfs *fs,
		       const struct btrfs_packer_choice *how)
{
	struct btrfs_packing *p = fs->packing;

	if (!p)
		p = fs->packing = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	if (p->packer && p->how.type == how->type &&
	    p->how.level == how->level)
		return 0;
	btrfs_packer_free(p->packer);
	p->packer = btrfs_packer_new(how->type, how->level);
	p->how = *how;
	return p->packer ? 0 : -ENOMEM;
}

int btrfs_pack_bytes(struct r3_btrfs *fs,
		     const struct btrfs_packer_choice *how,
		     const uint8_t *in, size_t len, size_t room,
		     uint8_t **out, size_t *packed)
{
	int err = packing_get(fs, how);

	if (err)
		return err;
	*out = fs->packing->out;
	*packed = btrfs_pack(fs->packing->packer, in, len, *out,
			     r3_min(room, BTRFS_COMPRESSED_MAX));
	return 0;
}

void btrfs_packer_close(struct r3_btrfs *fs)
{
	if (fs->packing)
		btrfs_packer_free(fs->packing->packer);
	free(fs->packing);
	fs->packing = NULL;
}
