// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * encoded.c - extents that somebody else packed, stored as they are
 *
 * The rules of the kernel's BTRFS_IOC_ENCODED_WRITE (fs/btrfs/inode.c,
 * btrfs_do_encoded_write()): a file's extent begins and ends at sectors, or at
 * the file's end; packed is less than unpacked; checksums are of what is on the
 * device.  It is not unpacked here: a reader finds out what is damaged.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "extent.h"

static int cannot(struct r3_btrfs *fs, const char *why)
{
	return btrfs_fail(fs, -EOPNOTSUPP, "packed data can't be stored as it "
			  "is: %s", why);
}

static int check_encoded(struct r3_btrfs *fs, const struct r3_btrfs_stat *st,
			 uint64_t off, const struct r3_btrfs_encoded *how,
			 size_t len)
{
	uint64_t end;

	if (S_ISDIR(st->st.st_mode))
		return btrfs_fail(fs, -EISDIR, "it is a directory");
	if (!S_ISREG(st->st.st_mode))
		return btrfs_fail(fs, -EINVAL, "it is no regular file");
	if (!how->compression || how->compression >= BTRFS_COMPRESS_TYPES)
		return cannot(fs, "unknown compression");
	if (!r3_add(off, how->file_len, &end) ||
	    end > BTRFS_FILE_MAX)
		return btrfs_fail(fs, -EFBIG, "a file can't be that long");
	if (!how->file_len || how->ram_len > BTRFS_COMPRESSED_MAX ||
	    how->ram_off > how->ram_len ||
	    how->file_len > how->ram_len - how->ram_off)
		return cannot(fs, "its lengths");
	if (!len || len > BTRFS_COMPRESSED_MAX || len >= how->ram_len)
		return cannot(fs, "it is longer packed than unpacked");
	if (!r3_is_aligned(off | how->ram_off, BTRFS_SECTOR) ||
	    (!r3_is_aligned(end, BTRFS_SECTOR) &&
	     end < (uint64_t)st->st.st_size))
		return cannot(fs, "it is not aligned");
	if (st->flags & BTRFS_INODE_NODATASUM)
		return cannot(fs, "the file is without checksums");
	return 0;
}

/* All of the file, so small that the kernel would make it inline too? */
static bool fits_inline(const struct btrfs_replace *r, uint64_t off,
			const struct r3_btrfs_encoded *how, size_t len)
{
	return !off && !how->ram_off && how->file_len <= BTRFS_SECTOR &&
	       how->file_len == how->ram_len && how->file_len >= r->size &&
	       len <= BTRFS_INLINE_MAX && !le64(r->node.item.nbytes);
}

/* Padded to whole sectors, to the device. */
static int store(struct btrfs_replace *r, uint64_t off,
		 const struct r3_btrfs_encoded *how, const void *data,
		 size_t len)
{
	uint64_t disk = btrfs_sectors(len), logical, got;
	uint8_t *padded = calloc(1, disk);
	int err = padded ? 0 : -ENOMEM;

	if (!err)
		err = btrfs_quota_reserve(r->fs, r->in.subvol, disk);
	if (!err)
		err = btrfs_alloc_data(r->fs, disk, disk, &logical, &got);
	if (!err) {
		memcpy(padded, data, len);
		err = btrfs_replace_write(r, logical, padded, disk);
	}
	free(padded);
	if (err)
		return err;
	r->x[r->count++] = (struct btrfs_fx){
		.start = off, .len = btrfs_sectors(how->file_len),
		.logical = logical, .disk_len = disk,
		.offset = how->ram_off, .ram_len = btrfs_sectors(how->ram_len),
		.type = BTRFS_FILE_REG,
		.compression = (uint8_t)how->compression };
	return 0;
}

static int write_once(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t off, const struct r3_btrfs_encoded *how,
		      const void *data, size_t len)
{
	struct btrfs_replace r;
	int err = btrfs_make_way(fs, in, off);

	/* of 128 KiB at most, so of no more than 32 extents */
	if (!err)
		err = btrfs_replace_begin(&r, fs, in, 1, 33,
					  BTRFS_COMPRESSED_MAX, BTRFS_USES);
	if (err)
		return err;
	if (fits_inline(&r, off, how, len)) {
		r.inline_data = data;
		r.inline_len = len;
		r.inline_ram = how->file_len;
		r.inline_compression = (uint8_t)how->compression;
	} else {
		err = store(&r, off, how, data, len);
	}
	if (err)
		return btrfs_replace_cancel(&r, err);
	btrfs_packer_feature(fs, how->compression);
	r.from = off;
	r.to = off + btrfs_sectors(how->file_len);
	r.size = r3_max(r.size, off + how->file_len);
	return btrfs_replace_end(&r);
}

int r3_btrfs_write_encoded(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			   uint64_t off, const struct r3_btrfs_encoded *how,
			   const void *data, size_t len)
{
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(fs, in, &st);

	if (!err)
		err = check_encoded(fs, &st, off, how, len);
	if (err)
		return err;
	do {
		err = write_once(fs, in, off, how, data, len);
	} while (btrfs_replace_again(fs, err));
	return err;
}
