/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * priv.h - what the files of this part share
 *
 * dev -> chunk -> block -> tree -> root, inode, file -> check, dump
 *
 * A struct btrfs_block has passed leaf_check() or node_check(): whoever holds
 * one may read its items without looking at bounds, lengths or types again.
 */
#ifndef BTRFS_PRIV_H
#define BTRFS_PRIV_H

#include "format.h"
#include "ring3/btrfs.h"

#define le16 r3_get_le16
#define le32 r3_get_le32
#define le64 r3_get_le64
#define to_le16 r3_le16_of
#define to_le32 r3_le32_of
#define to_le64 r3_le64_of

/* ---- keys ---------------------------------------------------------------- */

struct btrfs_key {
	uint64_t objectid;
	uint8_t type;
	uint64_t offset;
};

#define KEY(o, t, f) ((struct btrfs_key){ (o), (t), (f) })

static inline struct btrfs_key btrfs_key_get(const struct btrfs_disk_key *d)
{
	return KEY(le64(d->objectid), d->type, le64(d->offset));
}

static inline struct btrfs_disk_key btrfs_key_put(struct btrfs_key k)
{
	return (struct btrfs_disk_key){ to_le64(k.objectid), k.type,
					to_le64(k.offset) };
}

static inline int btrfs_key_cmp(struct btrfs_key a, struct btrfs_key b)
{
	if (a.objectid != b.objectid)
		return a.objectid < b.objectid ? -1 : 1;
	if (a.type != b.type)
		return a.type < b.type ? -1 : 1;
	return a.offset < b.offset ? -1 : a.offset > b.offset;
}

/* "(257 EXTENT_DATA 0)" */
struct btrfs_key_text {
	char s[96];
};
struct btrfs_key_text btrfs_key_text(struct btrfs_key key);
const char *btrfs_type_name(uint8_t type); /* NULL: unknown */
/* "root", "extent", or the number. */
struct btrfs_key_text btrfs_tree_text(uint64_t tree);

static inline bool btrfs_is_fs_tree(uint64_t id)
{
	return id == BTRFS_FS_TREE ||
	       (id >= BTRFS_FIRST_FREE && id <= BTRFS_LAST_FREE);
}

/* ---- checksums (csum.c) -------------------------------------------------- */

uint32_t btrfs_crc32c(uint32_t seed, const void *data, size_t len); /* raw */
/* The checksum's bytes, csum_size() of them, the rest of 32 untouched. */
void btrfs_csum(enum btrfs_csum_type type, const void *data, size_t len,
		uint8_t *out);
unsigned btrfs_csum_size(enum btrfs_csum_type type);
const char *btrfs_csum_name(enum btrfs_csum_type type);
static inline uint64_t btrfs_name_hash(const void *name, size_t len)
{
	return btrfs_crc32c(0xfffffffe, name, len);
}
static inline uint64_t btrfs_extref_hash(uint64_t parent, const void *name,
					 size_t len)
{
	return btrfs_crc32c((uint32_t)parent, name, len);
}
uint64_t btrfs_data_ref_hash(uint64_t root, uint64_t ino, uint64_t off);

/* ---- compression (compress.c) -------------------------------------------- */

#define BTRFS_PROPERTY_COMPRESSION "btrfs.compression" /* an xattr */
const char *btrfs_compression_name(unsigned type); /* "zlib" */
/* The one that a property's value begins with ("zstd", "zstd:3"); 0: none. */
unsigned btrfs_compression_named(const void *value, size_t len);

/* Fills all of @out (zeros after the data's end). */
int btrfs_decompress(unsigned type, const uint8_t *in, size_t in_len,
		     uint8_t *out, size_t out_len);

/* ---- chunks (chunk.c) ---------------------------------------------------- */

#define BTRFS_CHUNKS_MAX 65536
#define BTRFS_COPIES_MAX 2

struct btrfs_chunk_map {
	uint64_t logical, length, type;
	uint64_t physical[BTRFS_COPIES_MAX];
	unsigned copies;
	uint64_t used; /* of its block group, for info */
};

/* Why a chunk item is wrong, or NULL; used on both places that hold them. */
const char *btrfs_chunk_check(const struct btrfs_chunk *c, size_t len,
			      uint64_t logical);
int btrfs_chunk_add(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_chunk *c);
int btrfs_chunks_bootstrap(struct r3_btrfs *fs);
int btrfs_chunks_load(struct r3_btrfs *fs);
const struct btrfs_chunk_map *btrfs_chunk_find(const struct r3_btrfs *fs,
					       uint64_t logical);

/* ---- tree blocks (block.c; content: leaf.c, leaf_fs.c, leaf_meta.c) ------ */

/* The bytes of a block; also of others, as a snapshot's root has those of its
 * source until one of the two changes. */
struct btrfs_body {
	unsigned users;
	bool checked; /* whole, and not changed since */
	uint8_t data[]; /* nodesize; the header is filled in by the commit */
};

struct btrfs_block {
	struct btrfs_block *hash_next;
	uint64_t logical, generation, owner, flags;
	uint32_t nritems;
	uint8_t level;
	bool touched; /* for the clock hand */
	bool dirty;   /* of the running transaction: kept until its commit */
	unsigned users;
	unsigned at;   /* in fs->dirty or in fs->clock */
	uint64_t born; /* dirty: when, in the order of this transaction */
	struct btrfs_body *body;
	uint8_t *data; /* body's */
};

/* What a parent says of a child. */
struct btrfs_expect {
	uint64_t tree;	    /* for messages and the owner rule */
	uint64_t generation;
	int level;	    /* -1: any, for a root given by hand */
	bool has_key, has_limit;
	struct btrfs_key key;	/* the child's first */
	struct btrfs_key limit; /* all its keys are below this one */
};

int btrfs_block_get(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_expect *expect,
		    struct btrfs_block **out);
void btrfs_block_put(struct btrfs_block *b);
int btrfs_cache_init(struct r3_btrfs *fs, size_t bytes);
void btrfs_cache_fini(struct r3_btrfs *fs);
/* A block at a new address: dirty, the struct zeros but for that.  Its bytes
 * are those of @like, or, with NULL, anything.  What the cache held of the
 * address before is forgotten. */
int btrfs_cache_new(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_block *like, struct btrfs_block **out);
/* Its bytes are about to change: from now on they are its alone. */
int btrfs_block_own(struct r3_btrfs *fs, struct btrfs_block *b);
/* A dirty block that will not be written. */
void btrfs_cache_forget(struct r3_btrfs *fs, struct btrfs_block *b);
/* Dirty blocks by address; the order in which they are then written. */
void btrfs_cache_sort_dirty(struct r3_btrfs *fs);
/* All dirty blocks are on the device. */
int btrfs_cache_clean(struct r3_btrfs *fs);

/* The first @copies copies of a range in one chunk are bad, these bytes are
 * good: on a volume opened for changes, write them there.  A failure only
 * leaves it as it was. */
void btrfs_mend(struct r3_btrfs *fs, uint64_t logical, unsigned copies,
		const void *good, size_t len);

/* One read of checked bytes that are no tree block: data, by copy. */
int btrfs_read_logical(struct r3_btrfs *fs, uint64_t logical, unsigned copy,
		       void *buf, size_t len);

static inline const struct btrfs_item *btrfs_item_at(
	const struct btrfs_block *b, unsigned slot)
{
	return (const struct btrfs_item *)(b->data +
		sizeof(struct btrfs_header)) + slot;
}

static inline const struct btrfs_key_ptr *btrfs_ptr_at(
	const struct btrfs_block *b, unsigned slot)
{
	return (const struct btrfs_key_ptr *)(b->data +
		sizeof(struct btrfs_header)) + slot;
}

static inline const void *btrfs_item_data(const struct btrfs_block *b,
					  unsigned slot)
{
	return b->data + sizeof(struct btrfs_header) +
	       le32(btrfs_item_at(b, slot)->offset);
}

static inline uint32_t btrfs_item_size(const struct btrfs_block *b,
				       unsigned slot)
{
	return le32(btrfs_item_at(b, slot)->size);
}

static inline struct btrfs_key btrfs_block_key(const struct btrfs_block *b,
					       unsigned slot)
{
	return btrfs_key_get(b->level ? &btrfs_ptr_at(b, slot)->key
				      : &btrfs_item_at(b, slot)->key);
}

/* The first slot with a key >= @key; nritems when all are smaller. */
unsigned btrfs_block_search(const struct btrfs_block *b, struct btrfs_key key);

/* One item, for its checks. */
struct btrfs_leaf_ctx {
	const struct r3_btrfs *fs;
	const struct btrfs_block *block;
	unsigned slot;
	struct btrfs_key key, prev; /* prev.type, objectid: 0 on the first */
	bool has_prev;
	const uint8_t *data;
	uint32_t size;
	char *why; /* where a message goes */
	size_t why_len;
};

/* Return: false and a message in ctx->why when it is wrong. */
bool btrfs_wrong(const struct btrfs_leaf_ctx *ctx, const char *fmt, ...)
	R3_PRINTF(2, 3);
typedef bool btrfs_item_check(const struct btrfs_leaf_ctx *ctx);
btrfs_item_check btrfs_check_inode, btrfs_check_inode_ref,
	btrfs_check_extref, btrfs_check_dir, btrfs_check_file_extent,
	btrfs_check_csum, btrfs_check_root, btrfs_check_root_ref,
	btrfs_check_extent_item, btrfs_check_tree_ref, btrfs_check_data_ref,
	btrfs_check_shared_data_ref, btrfs_check_block_group,
	btrfs_check_fst_info, btrfs_check_fst_extent, btrfs_check_fst_bitmap,
	btrfs_check_dev_extent, btrfs_check_dev, btrfs_check_chunk_item,
	btrfs_check_qgroup, btrfs_check_uuid;
bool btrfs_leaf_check(const struct r3_btrfs *fs, const struct btrfs_block *b,
		      char *why, size_t len);
bool btrfs_node_check(const struct r3_btrfs *fs, const struct btrfs_block *b,
		      char *why, size_t len);

/* ---- trees (tree.c) ------------------------------------------------------ */

struct btrfs_root {
	uint64_t id;
	uint64_t bytenr; /* 0: this tree is not there */
	uint64_t generation;
	uint8_t level;
};

struct btrfs_cursor {
	struct r3_btrfs *fs;
	struct btrfs_root root;
	struct btrfs_block *path[BTRFS_LEVELS_MAX];
	unsigned slot[BTRFS_LEVELS_MAX];
	bool valid; /* stands on an item */
	/* the item */
	struct btrfs_key key;
	const void *data;
	uint32_t size;
};

void btrfs_cursor_init(struct btrfs_cursor *c, struct r3_btrfs *fs,
		       const struct btrfs_root *root);
void btrfs_cursor_fini(struct btrfs_cursor *c);
/* The first item >= key; -ENOENT when there is none. */
int btrfs_cursor_seek(struct btrfs_cursor *c, struct btrfs_key key);
/* The last item <= key; -ENOENT when there is none. */
int btrfs_cursor_seek_back(struct btrfs_cursor *c, struct btrfs_key key);
int btrfs_cursor_next(struct btrfs_cursor *c); /* -ENOENT at the end */
/* The root block; and the child below slot[level], which becomes the path below
 * it.  For walk.c. */
int btrfs_cursor_load_root(struct btrfs_cursor *c);
int btrfs_cursor_load_child(struct btrfs_cursor *c, unsigned level);
int btrfs_cursor_prev(struct btrfs_cursor *c); /* -ENOENT at the start */
/* The item with this key.  -ENOENT. */
int btrfs_cursor_find(struct btrfs_cursor *c, struct btrfs_key key);
/* "tree 5 block 30408704 key (257 INODE_ITEM 0)" */
struct btrfs_where {
	char s[224];
};
struct btrfs_where btrfs_cursor_where(const struct btrfs_cursor *c);

/* ---- the volume (volume.c, super.c, root.c) ------------------------------ */

struct r3_btrfs {
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_options opts;
	struct r3_btrfs_why why;
	int why_err; /* that the text in why is about */
	struct btrfs_super super;
	unsigned super_copy, supers_good, supers_there;
	/* from the super block, checked */
	uint32_t nodesize;
	uint64_t generation, incompat, compat_ro, total_bytes;
	enum btrfs_csum_type csum_type;
	unsigned csum_size;
	const uint8_t *metadata_uuid; /* what block headers carry */

	struct btrfs_chunk_map *chunks; /* by logical */
	unsigned chunk_count, chunk_room;
	struct btrfs_root chunk_root, tree_root, extent, dev_tree, csum,
		quota, uuid, free_space, block_groups;
	struct btrfs_root fs_cached; /* the subvolume looked up last */

	struct btrfs_block **hash; /* cache of tree blocks */
	struct btrfs_block **clock; /* the clean ones, cache_count of them */
	struct btrfs_block **dirty; /* not yet written, dirty_count */
	unsigned hash_size, cache_count, cache_max, clock_room, clock_hand;
	unsigned dirty_count, dirty_room;
	uint64_t bad_copies, mended_copies;

	uint8_t *file_buf; /* one extent, 2 x BTRFS_COMPRESSED_MAX */
	struct {	   /* the decompressed extent held in it */
		uint64_t logical, disk_len, ram_len;
	} file_cached;

	/* of a volume opened for changes (trans.h); else NULL */
	struct btrfs_trans *trans;
	struct btrfs_refs *refs;
	struct btrfs_space *space;
	struct btrfs_quota *quotas;
	struct btrfs_holds *holds;
	struct btrfs_drop *drop;  /* the deleted subvolume being given back */
	uint64_t last_subvol;	  /* the largest number given; 0: not known */
	struct btrfs_names *names;
	uint64_t receiving; /* the hidden subvolume that may change */
	struct btrfs_packing *packing;
	uint64_t freed_transid; /* the last transaction that freed data */
	bool keep_orphans;	/* removing them failed in the middle */
	uint64_t orphans_seen;	/* read-only subvolumes up to it have none */
	struct r3_btrfs_why left; /* why there are some still, or empty */
};

/* Fill fs->why, return @err. */
int btrfs_fail(struct r3_btrfs *fs, int err, const char *fmt, ...)
	R3_PRINTF(3, 4);
/* Likewise of what the device said to a write or a flush. */
int btrfs_write_fail(struct r3_btrfs *fs, int err);
/* A read's error: its own, or of a write that it had to wait for. */
struct r3_btrfs_why btrfs_read_why(const struct r3_btrfs *fs, int err);
int btrfs_super_load(struct r3_btrfs *fs);
/* Make it the copy that lies at @at. */
void btrfs_super_seal(enum btrfs_csum_type type, struct btrfs_super *s,
		      uint64_t at);
/* trans.c, of a volume opened for changes */
int btrfs_trans_open(struct r3_btrfs *fs);
void btrfs_trans_close(struct r3_btrfs *fs);
/* The tree, when it is among those that may have changed; or NULL (trees.c). */
struct btrfs_tree *btrfs_tree_live(const struct r3_btrfs *fs, uint64_t id);

/* The tree's ROOT_ITEM as it is in the root tree, its key, and its root. */
int btrfs_root_load(struct r3_btrfs *fs, uint64_t id, struct btrfs_key *key,
		    struct btrfs_root_item *item, struct btrfs_root *out);
/* The tree's root of now; -ENOENT when it isn't there. */
int btrfs_root_find(struct r3_btrfs *fs, uint64_t id, struct btrfs_root *out);
/* A subvolume's; -ENOENT also for one being deleted. */
int btrfs_subvol_root(struct r3_btrfs *fs, uint64_t id,
		      struct btrfs_root *out);
/* ROOT_ITEM of any age in the form of today; what it lacks is 0. */
void btrfs_root_item_get(struct btrfs_root_item *out, const void *data,
			 size_t len);
struct timespec btrfs_time_get(struct btrfs_disk_time t);
void btrfs_uuid_text(const uint8_t *uuid, char out[37]);
/* The one that a mount shows when nothing else is asked for. */
int btrfs_default_subvol(struct r3_btrfs *fs, uint64_t *out);
/* What the ROOT_BACKREF of @id says: its parent, and its name there. */
int btrfs_subvol_parent(struct r3_btrfs *fs, uint64_t id, uint64_t *parent,
			uint64_t *dirid, char *name);
/* The inode's first name and parent directory. */
int btrfs_inode_name(struct r3_btrfs *fs, const struct btrfs_root *root,
		     uint64_t ino, uint64_t *parent, char *name);
/* The path of a subvolume from the top; @out holds R3_BTRFS_PATH_MAX. */
int btrfs_subvol_path(struct r3_btrfs *fs, uint64_t id, char *out);
/* The path of an inode in its subvolume, by its first INODE_REF. */
int btrfs_inode_path(struct r3_btrfs *fs, uint64_t subvol, uint64_t ino,
		     char *out);
/* Sectors of a file's data as they are on disk, from the first copy whose
 * checksums match; @in and @file_off are for the message. */
int btrfs_read_data(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		    uint64_t file_off, uint64_t logical, uint8_t *buf,
		    size_t len);
/* Compare with the csum tree.  @bad: first byte that does not match. */
int btrfs_data_verify(struct r3_btrfs *fs, uint64_t logical,
		      const uint8_t *data, size_t len, bool *ok,
		      uint64_t *bad);

/* inode.c: the entry of that name in a packed item, or NULL */
const struct btrfs_dir_item *btrfs_dir_item_pick(struct r3_span s,
						 const char *name, size_t len);
/* What a directory entry says of an inode with this mode. */
uint8_t btrfs_type_of_mode(uint32_t mode);

#endif
