/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - everything of the Btrfs disk format on one page
 *
 * All little endian, packed, no alignment.  Source: linux/btrfs_tree.h,
 * linux/btrfs.h and btrfs-progs' On-disk-format page; where those differ from
 * each other, what the kernel writes.
 */
#ifndef BTRFS_FORMAT_H
#define BTRFS_FORMAT_H

#include "ring3/base.h"

enum {
	BTRFS_SUPER_SIZE = 4096,
	BTRFS_SUPER_COPIES = 3,
	BTRFS_CSUM_MAX = 32,
	BTRFS_UUID_SIZE = 16,
	BTRFS_LABEL_SIZE = 256,
	BTRFS_SYS_ARRAY_SIZE = 2048,
	BTRFS_BACKUPS = 4,
	BTRFS_LEVELS_MAX = 8,
	BTRFS_NODE_MIN = 4096,
	BTRFS_NODE_MAX = 65536,
	BTRFS_SECTOR = 4096, /* the only sector size that is supported */
	BTRFS_STRIPE_LEN = 65536,
	BTRFS_NAME_MAX = 255,
	BTRFS_XATTR_NAME_MAX = 255,
	BTRFS_COMPRESSED_MAX = 128 * 1024, /* of data in a compressed extent */
	BTRFS_BITMAP_BYTES = 256,	   /* free space bitmap: 2048 sectors */
};

/* Where the copies of the super block are, as far as the device reaches. */
static const uint64_t btrfs_super_offsets[BTRFS_SUPER_COPIES] = {
	UINT64_C(64) << 10, UINT64_C(64) << 20, UINT64_C(256) << 30
};

#define BTRFS_MAGIC "_BHRfS_M"
#define BTRFS_RESERVED_START (UINT64_C(1) << 20) /* of a device, never used */

/* objectids of trees and other fixed things */
#define BTRFS_ROOT_TREE		UINT64_C(1)
#define BTRFS_EXTENT_TREE	UINT64_C(2)
#define BTRFS_CHUNK_TREE	UINT64_C(3)
#define BTRFS_DEV_TREE		UINT64_C(4)
#define BTRFS_FS_TREE		UINT64_C(5)
#define BTRFS_ROOT_TREE_DIR	UINT64_C(6)
#define BTRFS_CSUM_TREE		UINT64_C(7)
#define BTRFS_QUOTA_TREE	UINT64_C(8)
#define BTRFS_UUID_TREE		UINT64_C(9)
#define BTRFS_FREE_SPACE_TREE	UINT64_C(10)
#define BTRFS_BLOCK_GROUP_TREE	UINT64_C(11)
#define BTRFS_STRIPE_TREE	UINT64_C(12)
#define BTRFS_REMAP_TREE	UINT64_C(13)
#define BTRFS_BALANCE		(-UINT64_C(4))
#define BTRFS_ORPHANS		(-UINT64_C(5))
#define BTRFS_TREE_LOG		(-UINT64_C(6))
#define BTRFS_TREE_LOG_FIXUP	(-UINT64_C(7))
#define BTRFS_TREE_RELOC	(-UINT64_C(8))
#define BTRFS_DATA_RELOC_TREE	(-UINT64_C(9))
#define BTRFS_CSUM_OBJECTID	(-UINT64_C(10))
#define BTRFS_FREE_SPACE_CACHE	(-UINT64_C(11))
#define BTRFS_FREE_INO		(-UINT64_C(12))
#define BTRFS_FIRST_FREE	UINT64_C(256)
#define BTRFS_LAST_FREE		(-UINT64_C(256))
#define BTRFS_FIRST_CHUNK	UINT64_C(256) /* objectid of every chunk */
#define BTRFS_DEV_ITEMS		UINT64_C(1)
#define BTRFS_STUB_DIR		UINT64_C(2) /* a subvolume seen in a snapshot */

/* item types */
enum {
	BTRFS_INODE_ITEM = 1,
	BTRFS_INODE_REF = 12,
	BTRFS_INODE_EXTREF = 13,
	BTRFS_XATTR_ITEM = 24,
	BTRFS_VERITY_DESC = 36,
	BTRFS_VERITY_MERKLE = 37,
	BTRFS_ORPHAN_ITEM = 48,
	BTRFS_DIR_LOG_ITEM = 60,
	BTRFS_DIR_LOG_INDEX = 72,
	BTRFS_DIR_ITEM = 84,
	BTRFS_DIR_INDEX = 96,
	BTRFS_EXTENT_DATA = 108,
	BTRFS_EXTENT_CSUM = 128,
	BTRFS_ROOT_ITEM = 132,
	BTRFS_ROOT_BACKREF = 144,
	BTRFS_ROOT_REF = 156,
	BTRFS_EXTENT_ITEM = 168,
	BTRFS_METADATA_ITEM = 169,
	BTRFS_EXTENT_OWNER_REF = 172,
	BTRFS_TREE_BLOCK_REF = 176,
	BTRFS_EXTENT_DATA_REF = 178,
	BTRFS_SHARED_BLOCK_REF = 182,
	BTRFS_SHARED_DATA_REF = 184,
	BTRFS_BLOCK_GROUP_ITEM = 192,
	BTRFS_FREE_SPACE_INFO = 198,
	BTRFS_FREE_SPACE_EXTENT = 199,
	BTRFS_FREE_SPACE_BITMAP = 200,
	BTRFS_DEV_EXTENT = 204,
	BTRFS_DEV_ITEM = 216,
	BTRFS_CHUNK_ITEM = 228,
	BTRFS_RAID_STRIPE = 230,
	BTRFS_QGROUP_STATUS = 240,
	BTRFS_QGROUP_INFO = 242,
	BTRFS_QGROUP_LIMIT = 244,
	BTRFS_QGROUP_RELATION = 246,
	BTRFS_TEMPORARY_ITEM = 248,
	BTRFS_PERSISTENT_ITEM = 249,
	BTRFS_DEV_REPLACE = 250,
	BTRFS_UUID_SUBVOL = 251,
	BTRFS_UUID_RECEIVED = 252,
	BTRFS_STRING_ITEM = 253,
};

enum btrfs_csum_type {
	BTRFS_CSUM_CRC32C,
	BTRFS_CSUM_XXHASH64,
	BTRFS_CSUM_SHA256,
	BTRFS_CSUM_BLAKE2B,
	BTRFS_CSUM_TYPES
};

/* chunks and block groups */
#define BTRFS_BG_DATA	   UINT64_C(0x1)
#define BTRFS_BG_SYSTEM	   UINT64_C(0x2)
#define BTRFS_BG_METADATA  UINT64_C(0x4)
#define BTRFS_BG_TYPES	   UINT64_C(0x7)
#define BTRFS_BG_RAID0	   UINT64_C(0x8)
#define BTRFS_BG_RAID1	   UINT64_C(0x10)
#define BTRFS_BG_DUP	   UINT64_C(0x20)
#define BTRFS_BG_RAID10	   UINT64_C(0x40)
#define BTRFS_BG_RAID5	   UINT64_C(0x80)
#define BTRFS_BG_RAID6	   UINT64_C(0x100)
#define BTRFS_BG_RAID1C3   UINT64_C(0x200)
#define BTRFS_BG_RAID1C4   UINT64_C(0x400)
#define BTRFS_BG_PROFILES  UINT64_C(0x7f8)

/* super block flags and features */
#define BTRFS_SUPER_WRITTEN UINT64_C(0x1)
#define BTRFS_SUPER_ERROR   UINT64_C(0x4)

#define BTRFS_INCOMPAT_MIXED_BACKREF   UINT64_C(0x1)
#define BTRFS_INCOMPAT_DEFAULT_SUBVOL  UINT64_C(0x2)
#define BTRFS_INCOMPAT_MIXED_GROUPS    UINT64_C(0x4)
#define BTRFS_INCOMPAT_LZO	       UINT64_C(0x8)
#define BTRFS_INCOMPAT_ZSTD	       UINT64_C(0x10)
#define BTRFS_INCOMPAT_BIG_METADATA    UINT64_C(0x20)
#define BTRFS_INCOMPAT_EXTENDED_IREF   UINT64_C(0x40)
#define BTRFS_INCOMPAT_RAID56	       UINT64_C(0x80)
#define BTRFS_INCOMPAT_SKINNY	       UINT64_C(0x100)
#define BTRFS_INCOMPAT_NO_HOLES	       UINT64_C(0x200)
#define BTRFS_INCOMPAT_METADATA_UUID   UINT64_C(0x400)
#define BTRFS_INCOMPAT_RAID1C34	       UINT64_C(0x800)
#define BTRFS_INCOMPAT_ZONED	       UINT64_C(0x1000)
#define BTRFS_INCOMPAT_EXTENT_TREE_V2  UINT64_C(0x2000)
#define BTRFS_INCOMPAT_STRIPE_TREE     UINT64_C(0x4000)
#define BTRFS_INCOMPAT_SIMPLE_QUOTA    UINT64_C(0x10000)
#define BTRFS_INCOMPAT_REMAP_TREE      UINT64_C(0x20000)

#define BTRFS_COMPAT_RO_FREE_SPACE_TREE	 UINT64_C(0x1)
#define BTRFS_COMPAT_RO_FST_VALID	 UINT64_C(0x2)
#define BTRFS_COMPAT_RO_VERITY		 UINT64_C(0x4)
#define BTRFS_COMPAT_RO_BLOCK_GROUP_TREE UINT64_C(0x8)

/* tree block header flags */
#define BTRFS_HEADER_WRITTEN UINT64_C(0x1)
#define BTRFS_HEADER_RELOC   UINT64_C(0x2)
#define BTRFS_MIXED_BACKREF_REV (UINT64_C(1) << 56)

/* extent item flags */
#define BTRFS_EXTENT_FLAG_DATA	       UINT64_C(0x1)
#define BTRFS_EXTENT_FLAG_TREE_BLOCK   UINT64_C(0x2)
#define BTRFS_EXTENT_FLAG_FULL_BACKREF UINT64_C(0x100)

/* inode flags */
#define BTRFS_INODE_NODATASUM  UINT64_C(0x1)
#define BTRFS_INODE_NODATACOW  UINT64_C(0x2)
#define BTRFS_INODE_READONLY   UINT64_C(0x4)
#define BTRFS_INODE_NOCOMPRESS UINT64_C(0x8)
#define BTRFS_INODE_PREALLOC   UINT64_C(0x10)
#define BTRFS_INODE_COMPRESS   UINT64_C(0x800)

/* in a root item's inode: its flags and limit are set, not left from before
 * kernel 2.6.38 */
#define BTRFS_INODE_ROOT_ITEM_INIT (UINT64_C(1) << 31)

/* root item flags */
#define BTRFS_ROOT_RDONLY UINT64_C(0x1)
#define BTRFS_ROOT_DEAD	  (UINT64_C(1) << 48)

/* quota status flags */
#define BTRFS_QGROUP_ON		  UINT64_C(0x1)
#define BTRFS_QGROUP_RESCAN	  UINT64_C(0x2)
#define BTRFS_QGROUP_INCONSISTENT UINT64_C(0x4)
#define BTRFS_QGROUP_SIMPLE	  UINT64_C(0x8)
#define BTRFS_QGROUP_LEVEL_SHIFT  48

enum { BTRFS_COMPRESS_NONE, BTRFS_COMPRESS_ZLIB, BTRFS_COMPRESS_LZO,
       BTRFS_COMPRESS_ZSTD, BTRFS_COMPRESS_TYPES };
enum { BTRFS_FILE_INLINE, BTRFS_FILE_REG, BTRFS_FILE_PREALLOC };
enum { BTRFS_FT_UNKNOWN, BTRFS_FT_REG, BTRFS_FT_DIR, BTRFS_FT_CHR,
       BTRFS_FT_BLK, BTRFS_FT_FIFO, BTRFS_FT_SOCK, BTRFS_FT_LNK,
       BTRFS_FT_XATTR, BTRFS_FT_MAX };

#define BTRFS_FREE_SPACE_BITMAPS 1u /* btrfs_free_space_info.flags */

struct btrfs_disk_key {
	r3_le64 objectid;
	uint8_t type;
	r3_le64 offset;
};
static_assert(sizeof(struct btrfs_disk_key) == 17, "disk size");

struct btrfs_disk_time {
	r3_le64 sec;
	r3_le32 nsec;
};

struct btrfs_dev_item {
	r3_le64 devid;
	r3_le64 total_bytes;
	r3_le64 bytes_used; /* sum of the device's extents */
	r3_le32 io_align;
	r3_le32 io_width;
	r3_le32 sector_size;
	r3_le64 type;
	r3_le64 generation;
	r3_le64 start_offset;
	r3_le32 dev_group;
	uint8_t seek_speed;
	uint8_t bandwidth;
	uint8_t uuid[BTRFS_UUID_SIZE];
	uint8_t fsid[BTRFS_UUID_SIZE];
};
static_assert(sizeof(struct btrfs_dev_item) == 98, "disk size");

struct btrfs_backup {
	r3_le64 tree_root, tree_root_gen;
	r3_le64 chunk_root, chunk_root_gen;
	r3_le64 extent_root, extent_root_gen; /* block group root, with one */
	r3_le64 fs_root, fs_root_gen;
	r3_le64 dev_root, dev_root_gen;
	r3_le64 csum_root, csum_root_gen;
	r3_le64 total_bytes, bytes_used, num_devices;
	r3_le64 unused[4];
	uint8_t tree_root_level, chunk_root_level, extent_root_level;
	uint8_t fs_root_level, dev_root_level, csum_root_level;
	uint8_t unused_8[10];
};
static_assert(sizeof(struct btrfs_backup) == 168, "disk size");

struct btrfs_super {
	uint8_t csum[BTRFS_CSUM_MAX]; /* of all that follows */
	uint8_t fsid[BTRFS_UUID_SIZE];
	r3_le64 bytenr; /* where this copy lies on the device */
	r3_le64 flags;
	uint8_t magic[8];
	r3_le64 generation;
	r3_le64 root;
	r3_le64 chunk_root;
	r3_le64 log_root; /* 0: no log tree */
	r3_le64 log_root_transid;
	r3_le64 total_bytes;
	r3_le64 bytes_used;
	r3_le64 root_dir_objectid;
	r3_le64 num_devices;
	r3_le32 sectorsize;
	r3_le32 nodesize;
	r3_le32 leafsize;
	r3_le32 stripesize;
	r3_le32 sys_array_size;
	r3_le64 chunk_root_generation;
	r3_le64 compat, compat_ro, incompat;
	r3_le16 csum_type;
	uint8_t root_level, chunk_root_level, log_root_level;
	struct btrfs_dev_item dev_item;
	uint8_t label[BTRFS_LABEL_SIZE];
	r3_le64 cache_generation;     /* of the old space cache */
	r3_le64 uuid_tree_generation; /* = generation: no rescan at mount */
	uint8_t metadata_uuid[BTRFS_UUID_SIZE];
	r3_le64 nr_global_roots;
	r3_le64 reserved[27];
	uint8_t sys_array[BTRFS_SYS_ARRAY_SIZE];
	struct btrfs_backup backups[BTRFS_BACKUPS];
	uint8_t padding[565];
};
static_assert(sizeof(struct btrfs_super) == BTRFS_SUPER_SIZE, "disk size");
static_assert(offsetof(struct btrfs_super, dev_item) == 0xc9, "disk offset");
static_assert(offsetof(struct btrfs_super, label) == 0x12b, "disk offset");
static_assert(offsetof(struct btrfs_super, sys_array) == 0x32b, "disk offset");
static_assert(offsetof(struct btrfs_super, backups) == 0xb2b, "disk offset");

struct btrfs_stripe {
	r3_le64 devid;
	r3_le64 offset;
	uint8_t dev_uuid[BTRFS_UUID_SIZE];
};

struct btrfs_chunk {
	r3_le64 length;
	r3_le64 owner; /* 2, the extent tree */
	r3_le64 stripe_len;
	r3_le64 type; /* BTRFS_BG_* */
	r3_le32 io_align;
	r3_le32 io_width;
	r3_le32 sector_size;
	r3_le16 num_stripes;
	r3_le16 sub_stripes;
	struct btrfs_stripe stripes[]; /* num_stripes */
};
static_assert(sizeof(struct btrfs_chunk) == 48, "disk size");

struct btrfs_header {
	uint8_t csum[BTRFS_CSUM_MAX]; /* of all that follows in the block */
	uint8_t fsid[BTRFS_UUID_SIZE]; /* or metadata_uuid */
	r3_le64 bytenr;
	r3_le64 flags;
	uint8_t chunk_tree_uuid[BTRFS_UUID_SIZE];
	r3_le64 generation;
	r3_le64 owner; /* tree that wrote it */
	r3_le32 nritems;
	uint8_t level; /* 0: leaf */
};
static_assert(sizeof(struct btrfs_header) == 101, "disk size");

struct btrfs_item { /* after a leaf's header; data grows from the end */
	struct btrfs_disk_key key;
	r3_le32 offset; /* of the data, from the end of the header */
	r3_le32 size;
};
static_assert(sizeof(struct btrfs_item) == 25, "disk size");

struct btrfs_key_ptr { /* after a node's header */
	struct btrfs_disk_key key; /* first key of the child */
	r3_le64 blockptr;
	r3_le64 generation;
};
static_assert(sizeof(struct btrfs_key_ptr) == 33, "disk size");

struct btrfs_inode_item {
	r3_le64 generation;
	r3_le64 transid;
	r3_le64 size;
	r3_le64 nbytes;
	r3_le64 block_group;
	r3_le32 nlink;
	r3_le32 uid;
	r3_le32 gid;
	r3_le32 mode;
	r3_le64 rdev;
	r3_le64 flags;
	r3_le64 sequence;
	r3_le64 reserved[4];
	struct btrfs_disk_time atime, ctime, mtime, otime;
};
static_assert(sizeof(struct btrfs_inode_item) == 160, "disk size");

struct btrfs_inode_ref { /* several in one item; then the name */
	r3_le64 index;
	r3_le16 name_len;
};
static_assert(sizeof(struct btrfs_inode_ref) == 10, "disk size");

struct btrfs_inode_extref {
	r3_le64 parent;
	r3_le64 index;
	r3_le16 name_len;
};
static_assert(sizeof(struct btrfs_inode_extref) == 18, "disk size");

struct btrfs_dir_item { /* several in one item; then name, then data */
	struct btrfs_disk_key location;
	r3_le64 transid;
	r3_le16 data_len; /* of an xattr's value */
	r3_le16 name_len;
	uint8_t type;
};
static_assert(sizeof(struct btrfs_dir_item) == 30, "disk size");

struct btrfs_file_extent { /* the first 21 bytes; inline data may follow */
	r3_le64 generation;
	r3_le64 ram_bytes;
	uint8_t compression;
	uint8_t encryption;
	r3_le16 other_encoding;
	uint8_t type;
};
static_assert(sizeof(struct btrfs_file_extent) == 21, "disk size");

struct btrfs_file_extent_reg {
	struct btrfs_file_extent head;
	r3_le64 disk_bytenr; /* 0: a hole */
	r3_le64 disk_num_bytes;
	r3_le64 offset; /* into the uncompressed extent */
	r3_le64 num_bytes;
};
static_assert(sizeof(struct btrfs_file_extent_reg) == 53, "disk size");

struct btrfs_root_item {
	struct btrfs_inode_item inode;
	r3_le64 generation;
	r3_le64 root_dirid;
	r3_le64 bytenr;
	r3_le64 byte_limit;
	r3_le64 bytes_used;
	r3_le64 last_snapshot;
	r3_le64 flags;
	r3_le32 refs; /* 0: being deleted */
	struct btrfs_disk_key drop_progress;
	uint8_t drop_level;
	uint8_t level;
	/* 239 bytes so far: what kernels before 3.5 wrote */
	r3_le64 generation_v2;
	uint8_t uuid[BTRFS_UUID_SIZE];
	uint8_t parent_uuid[BTRFS_UUID_SIZE];
	uint8_t received_uuid[BTRFS_UUID_SIZE];
	r3_le64 ctransid, otransid, stransid, rtransid;
	struct btrfs_disk_time ctime, otime, stime, rtime;
	r3_le64 reserved[8];
};
static_assert(sizeof(struct btrfs_root_item) == 439, "disk size");
#define BTRFS_ROOT_ITEM_V1 offsetof(struct btrfs_root_item, generation_v2)
static_assert(BTRFS_ROOT_ITEM_V1 == 239, "disk size");

struct btrfs_root_ref { /* then the name */
	r3_le64 dirid;
	r3_le64 sequence; /* the DIR_INDEX */
	r3_le16 name_len;
};
static_assert(sizeof(struct btrfs_root_ref) == 18, "disk size");

struct btrfs_extent_item { /* then inline references */
	r3_le64 refs;
	r3_le64 generation;
	r3_le64 flags;
};
static_assert(sizeof(struct btrfs_extent_item) == 24, "disk size");

struct btrfs_tree_block_info { /* follows, when it is not a skinny one */
	struct btrfs_disk_key key;
	uint8_t level;
};
static_assert(sizeof(struct btrfs_tree_block_info) == 18, "disk size");

struct btrfs_inline_ref { /* not of type EXTENT_DATA_REF */
	uint8_t type;
	r3_le64 offset; /* root or parent; SHARED_DATA_REF: then r3_le32 */
};
static_assert(sizeof(struct btrfs_inline_ref) == 9, "disk size");

struct btrfs_extent_data_ref {
	r3_le64 root;
	r3_le64 objectid;
	r3_le64 offset; /* file offset - offset in the extent; may wrap */
	r3_le32 count;
};
static_assert(sizeof(struct btrfs_extent_data_ref) == 28, "disk size");

struct btrfs_dev_extent {
	r3_le64 chunk_tree;
	r3_le64 chunk_objectid;
	r3_le64 chunk_offset;
	r3_le64 length;
	uint8_t chunk_tree_uuid[BTRFS_UUID_SIZE];
};
static_assert(sizeof(struct btrfs_dev_extent) == 48, "disk size");

struct btrfs_block_group_item {
	r3_le64 used;
	r3_le64 chunk_objectid;
	r3_le64 flags;
};
static_assert(sizeof(struct btrfs_block_group_item) == 24, "disk size");

struct btrfs_free_space_info {
	r3_le32 extent_count;
	r3_le32 flags;
};

struct btrfs_free_space_header { /* of the old space cache */
	struct btrfs_disk_key location;
	r3_le64 generation;
	r3_le64 num_entries;
	r3_le64 num_bitmaps;
};
static_assert(sizeof(struct btrfs_free_space_header) == 41, "disk size");

struct btrfs_qgroup_status {
	r3_le64 version;
	r3_le64 generation;
	r3_le64 flags;
	r3_le64 rescan;
	r3_le64 enable_gen; /* kernels before 6.7 end before it */
};
static_assert(sizeof(struct btrfs_qgroup_status) == 40, "disk size");

struct btrfs_qgroup_info {
	r3_le64 generation;
	r3_le64 rfer, rfer_cmpr, excl, excl_cmpr;
};

struct btrfs_qgroup_limit {
	r3_le64 flags; /* 1: max_rfer, 2: max_excl, ... */
	r3_le64 max_rfer, max_excl, rsv_rfer, rsv_excl;
};

#endif
