/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trans.h - changing a volume: what the files that write share
 *
 *	names, data, subvol, quota, receive	operations, one r3_btrfs_*() each
 *	        |
 *	trans.c	  start, end; commit.c: onto the device; trees.c: the trees
 *	edit.c	  items in, out and changed; cow.c: blocks copied on write
 *	refs.c	  references, delayed; alloc.c, group.c, free.c: space
 *
 * One transaction is open at a time, and an operation is the whole of what
 * lies between btrfs_trans_start() and btrfs_trans_end().  Many operations make
 * one commit.  Until a commit, nothing of it is on the device but data in space
 * that was free; a commit makes all of it durable at once, or none.
 *
 * An operation looks first and changes afterwards: whatever can be refused
 * (-ENOENT, -EEXIST, -ENOSPC, -EDQUOT, ...) is refused before its first change.
 * A failure after that is damage or a broken device; btrfs_trans_end() then
 * aborts: the volume takes no more changes, and what is on the device stays as
 * the last commit left it.
 *
 * Readers see the running transaction.  A cursor does not survive a change to
 * its tree.
 */
#ifndef BTRFS_TRANS_H
#define BTRFS_TRANS_H

#include "priv.h"

/* ---- trees that can change (trees.c) --------------------------------------*/

/* The way to a leaf of a tree; all blocks on it may be changed.  The last one
 * is kept, as neighbours are often asked for next. */
struct btrfs_path {
	struct btrfs_block *block[BTRFS_LEVELS_MAX]; /* NULL above the root */
	unsigned slot[BTRFS_LEVELS_MAX];
	uint64_t transid; /* of the transaction that it is good for; 0: none */
	bool has_low, has_high;
	struct btrfs_key low, high; /* the leaf's keys: low <= key < high */
};

struct btrfs_tree {
	struct btrfs_root *root; /* as of now; readers' copies come from it */
	struct btrfs_root committed; /* as on the device; bytenr 0: new */
	uint64_t last_snapshot; /* blocks up to this generation may be shared */
	uint64_t shared_born; /* and of the running one, those born till then */
	bool changed;		/* since the last commit */
	size_t changed_at;
	bool touched;		/* item is to be written, not just the place */
	uint64_t edited;	/* the last transaction that changed an item */
	struct btrfs_root written; /* as in the root tree's item */
	struct btrfs_path path;
	/* What goes to the root tree at commit; bytenr, level and generation
	 * are filled in then.  Not for the root and chunk trees. */
	struct btrfs_key item_key;
	struct btrfs_root_item item;
	struct btrfs_root own; /* where root points, for subvolumes */
	uint64_t next_ino; /* the next inode's number; 0: not known yet */
	struct btrfs_tree *next;
};

/* A subvolume or an internal tree by its id; stays valid until the tree is
 * removed or the volume closed.  -ENOENT: there is none. */
int btrfs_tree_get(struct r3_btrfs *fs, uint64_t id, struct btrfs_tree **out);
/* An empty tree, one leaf, with a ROOT_ITEM that the commit writes.  Within an
 * operation.  The caller fills tree->item (all zeros but the root's place). */
int btrfs_tree_new(struct r3_btrfs *fs, struct btrfs_key item_key,
		   struct btrfs_tree **out);
/* A tree whose root block is a copy of @source's, its children shared.
 * Within an operation. */
int btrfs_tree_copy(struct r3_btrfs *fs, struct btrfs_tree *source,
		    struct btrfs_key item_key, struct btrfs_tree **out);
/* The item in tree->item is to be written at commit. */
int btrfs_tree_touch(struct r3_btrfs *fs, struct btrfs_tree *tree);
/* Forget a tree whose blocks are gone, and its ROOT_ITEM. */
int btrfs_tree_remove(struct r3_btrfs *fs, struct btrfs_tree *tree);

/* ---- operations (trans.c) -------------------------------------------------*/

enum btrfs_purpose {
	BTRFS_USES,  /* takes space: -ENOSPC when little is left */
	BTRFS_FREES, /* gives space back: may use the reserve for that */
	BTRFS_CLEANS, /* so much that it is the last to be refused */
};

/* -EROFS: opened for reading, or aborted.  For calls that look at the volume
 * before they begin: after an abort it is not what it was. */
int btrfs_trans_writable(struct r3_btrfs *fs);
/**
 * btrfs_trans_start() - begin an operation
 * @items: how many items it inserts, changes or deletes, at most
 *
 * Makes sure that metadata for it and for its commit will be found: makes block
 * groups, or commits what went before.
 * Return: 0, -EROFS (opened for reading, or aborted), -ENOSPC.
 */
int btrfs_trans_start(struct r3_btrfs *fs, unsigned items,
		      enum btrfs_purpose purpose);
/* @err: what the operation came to; other than 0 aborts, unless it had changed
 * nothing yet.  Returns @err, or the error of a commit that was due. */
int btrfs_trans_end(struct r3_btrfs *fs, int err);
/* Of a change that failed in the middle, where btrfs_trans_end() would not hear
 * of it, with @err: the volume takes no more. */
void btrfs_trans_abort(struct r3_btrfs *fs, int err);
bool btrfs_trans_is_aborted(const struct r3_btrfs *fs);
bool btrfs_trans_is_open(const struct r3_btrfs *fs); /* an operation is */
/* The number of the running transaction. */
uint64_t btrfs_transid(const struct r3_btrfs *fs);
int btrfs_trans_commit(struct r3_btrfs *fs); /* between operations */
void btrfs_now(const struct r3_btrfs *fs, struct btrfs_disk_time *out);
void btrfs_random(const struct r3_btrfs *fs, void *out, size_t len);
struct btrfs_disk_time btrfs_time_put(struct timespec t);
/* Set a feature bit in the super block, before its first use. */
void btrfs_set_incompat(struct r3_btrfs *fs, uint64_t bit);

/* ---- items (edit.c) -------------------------------------------------------*/

/* Where an item's data is; until the next call that changes the tree. */
struct btrfs_spot {
	struct btrfs_key key;
	uint8_t *data;
	uint32_t size;
};

/* @data NULL: zeros.  @spot: or NULL.  -EEXIST. */
int btrfs_item_insert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key, const void *data, uint32_t size,
		      struct btrfs_spot *spot);
/* @n items without data, keys in rising order.  -EEXIST: some may be in. */
int btrfs_items_insert(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       const struct btrfs_key *keys, unsigned n);
/* To change an item's bytes in place.  -ENOENT. */
int btrfs_item_edit(struct r3_btrfs *fs, struct btrfs_tree *tree,
		    struct btrfs_key key, struct btrfs_spot *spot);
/* Longer (the new bytes at the end are zeros) or shorter.  -ENOENT. */
int btrfs_item_resize(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key, uint32_t size,
		      struct btrfs_spot *spot);
int btrfs_item_delete(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      struct btrfs_key key); /* -ENOENT */
/* All items from @from up to and with @to, at most @max; how many went. */
int btrfs_items_delete(struct r3_btrfs *fs, struct btrfs_tree *tree,
		       struct btrfs_key from, struct btrfs_key to,
		       unsigned max, unsigned *count);
/* The same item under another key that does not change the order. */
int btrfs_item_rekey(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_key from, struct btrfs_key to);
/* The largest item's data: a leaf with nothing else. */
static inline uint32_t btrfs_item_max(const struct r3_btrfs *fs)
{
	return fs->nodesize - (uint32_t)(sizeof(struct btrfs_header) +
					 sizeof(struct btrfs_item));
}

/* ---- blocks (cow.c, block.c) ----------------------------------------------*/

/* A block's own reference is dropped; when it was made in this transaction and
 * never left it, its space is free at once. */
int btrfs_block_drop(struct r3_btrfs *fs, struct btrfs_tree *tree,
		     struct btrfs_block *b, uint64_t parent);

/* ---- references (refs.c) --------------------------------------------------*/

/*
 * Every reference to an extent, kept back until the commit (or until there are
 * many), then applied to the extent tree in the order of addresses.  Equal ones
 * of opposite sign meet here and cancel out.  When the last goes: the extent's
 * space is pinned until the commit is durable, and data loses its checksums.
 *
 * @parent 0: a keyed reference, of the tree @root; else a shared one, of the
 * block @parent (and @root only says on whose behalf, for quotas).
 */
struct btrfs_ref {
	uint64_t bytenr, len;
	uint64_t root, parent;
	uint64_t ino, off; /* data: file offset less the offset in the extent */
	uint8_t level;	   /* of a tree block */
	bool data;
};

int btrfs_ref_add(struct r3_btrfs *fs, const struct btrfs_ref *ref);
int btrfs_ref_drop(struct r3_btrfs *fs, const struct btrfs_ref *ref);
/* Of a tree block, with all that is delayed: its references and flags. */
int btrfs_ref_lookup(struct r3_btrfs *fs, uint64_t bytenr, uint8_t level,
		     uint64_t *refs, uint64_t *flags);
/* Is this the only reference to a data extent, though as often as need be?
 * *out is false too where that is not easily said. */
int btrfs_ref_alone(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		    bool *out);
/* A data extent that has no item yet, and one reference, becomes longer by the
 * @more bytes behind it, which were given away for another.  False: it can't,
 * nothing has changed.  The file's item is the caller's to change. */
bool btrfs_ref_grow(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		    uint64_t more);
/* Set BTRFS_EXTENT_FLAG_FULL_BACKREF on a tree block. */
int btrfs_ref_make_full(struct r3_btrfs *fs, uint64_t bytenr, uint8_t level);
/* Apply all; what that delays too, until there is nothing left. */
int btrfs_refs_run(struct r3_btrfs *fs);
/* References that wait, or extents if these are more. */
size_t btrfs_refs_count(const struct r3_btrfs *fs);
/* Bytes: that they take in memory, and that their items may take, at most. */
size_t btrfs_refs_memory(const struct r3_btrfs *fs);
uint64_t btrfs_refs_space(const struct r3_btrfs *fs);

/* For quotas, called with every reference that comes and goes. */
void btrfs_quota_ref(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		     int delta);

/* ---- space (alloc.c, group.c, free.c) -------------------------------------*/

int btrfs_space_open(struct r3_btrfs *fs); /* reads the free space tree */
void btrfs_space_close(struct r3_btrfs *fs);
/* A tree block's place, in a block group that suits the tree. */
int btrfs_alloc_block(struct r3_btrfs *fs, uint64_t tree, uint64_t *bytenr);
/**
 * btrfs_alloc_data() - space for a data extent
 * @want: bytes, a multiple of the sector size; @min: as little as this will do
 *
 * Within an operation.  Makes block groups as needed.  The extent exists with
 * its first btrfs_ref_add(); without one by the commit it is free again.
 * Return: 0, -ENOSPC.
 */
int btrfs_alloc_data(struct r3_btrfs *fs, uint64_t want, uint64_t min,
		     uint64_t *bytenr, uint64_t *len);
/* Write to all copies; the range was allocated in this transaction. */
int btrfs_write_logical(struct r3_btrfs *fs, uint64_t logical,
			const void *data, size_t len);
/* Metadata that can still be had, with block groups that could be made. */
uint64_t btrfs_metadata_left(const struct r3_btrfs *fs);
uint64_t btrfs_data_left(const struct r3_btrfs *fs);
/* So much metadata without another block group, making one if need be. */
int btrfs_space_ready(struct r3_btrfs *fs, uint64_t metadata_bytes);
/* Of the commit: block group items that changed, until none are left to write;
 * *again when this made changes. */
int btrfs_groups_write(struct r3_btrfs *fs, bool *again);
/* The commit is durable: what it freed is free. */
void btrfs_space_unpin(struct r3_btrfs *fs);

/* ---- items that hold several entries (pack.c) ---------------------------- */

/* Would @len more bytes fit in the item, or a new one?  -EOVERFLOW. */
int btrfs_pack_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    struct btrfs_key key, size_t len);
/* One entry more, in a new item if there is none. */
int btrfs_pack_add(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_key key, const void *entry, size_t len);
/* Take out @len bytes at @at; with the last of them the item goes. */
int btrfs_pack_cut(struct r3_btrfs *fs, struct btrfs_tree *tree,
		   struct btrfs_key key, size_t at, size_t len);

/* ---- inodes and names (node.c, name.c, backref.c, orphan.c) -------------- */

/* A subvolume that may change.  -EROFS, -ENOENT: none, or being deleted. */
int btrfs_subvol_writable(struct r3_btrfs *fs, uint64_t id,
			  struct btrfs_tree **out);

/* An inode item and the tree that it lives in, for a change. */
struct btrfs_node {
	struct btrfs_tree *tree;
	uint64_t ino;
	struct btrfs_inode_item item;
};

/* -EROFS: the subvolume is read-only, -ENOENT (or dead, and not fs->receiving),
 * -EPERM: immutable or append only is not checked here. */
int btrfs_node_get(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		   struct btrfs_node *out);
/* Write node->item back; sequence and transid are counted up, and ctime set
 * when @ctime. */
int btrfs_node_put(struct r3_btrfs *fs, struct btrfs_node *node, bool ctime);
/* The next free inode number of a subvolume. */
int btrfs_node_next_ino(struct r3_btrfs *fs, struct btrfs_tree *tree,
			uint64_t *ino);

/* The next free index of a directory. */
int btrfs_node_next_index(struct r3_btrfs *fs, const struct btrfs_node *dir,
			  uint64_t *index);
void btrfs_names_free(struct r3_btrfs *fs); /* at close */

/* An entry of a directory: where it leads. */
struct btrfs_entry {
	struct btrfs_key location; /* (ino INODE_ITEM 0), (id ROOT_ITEM -1) */
	uint64_t index;
	uint8_t type; /* BTRFS_FT_* */
	bool stub; /* a subvolume that a snapshot only shows empty */
};

int btrfs_name_check(const char *name, size_t len); /* -EINVAL, ENAMETOOLONG */
/* -ENOENT */
int btrfs_name_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t dir, const char *name, size_t len,
		    struct btrfs_entry *out);
/* DIR_ITEM and DIR_INDEX, and the directory's size and times; entry->index is
 * filled in.  The reference of what it leads to is the caller's.  Would the
 * hash's item be full: -EOVERFLOW, from btrfs_name_room() before any change. */
int btrfs_name_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t dir, const char *name, size_t len);
int btrfs_name_add(struct r3_btrfs *fs, struct btrfs_node *dir,
		   const char *name, size_t len, struct btrfs_entry *entry);
int btrfs_name_remove(struct r3_btrfs *fs, struct btrfs_node *dir,
		      const char *name, size_t len,
		      const struct btrfs_entry *entry);

/* What an entry leads to has a reference back: INODE_REF or INODE_EXTREF in
 * the subvolume, or ROOT_REF and ROOT_BACKREF in the root tree. */
struct btrfs_backref {
	struct btrfs_key location; /* as in the entry */
	uint64_t dir, index;
	const char *name;
	size_t len;
};

/* Fills ref->index.  -ENOENT */
int btrfs_backref_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		       struct btrfs_backref *ref);
/* -EMLINK: no item has room for it. */
int btrfs_backref_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		       const struct btrfs_backref *ref);
int btrfs_backref_add(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      const struct btrfs_backref *ref);
int btrfs_backref_remove(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_backref *ref);

/* Is any inode of the subvolume held (r3_btrfs_hold())? */
bool btrfs_holds_subvol(const struct r3_btrfs *fs, uint64_t subvol);
void btrfs_holds_free(struct r3_btrfs *fs); /* at close */
/* Remove the inodes without a name that a crash left, in all subvolumes that can
 * be written. */
int btrfs_orphans_clean(struct r3_btrfs *fs);
/* In those that can't, but for one with inodes held: up to *roots of them, which
 * is counted down; *more: there are. */
int btrfs_orphans_clean_rest(struct r3_btrfs *fs, unsigned *roots, bool *more);
int btrfs_orphans_clean_in(struct r3_btrfs *fs, uint64_t subvol);

/* ---- subvolumes (subvol.c, uuid.c) ----------------------------------------*/

/* The @n-th subvolume with this uuid, @type BTRFS_UUID_SUBVOL or _RECEIVED, of
 * which there may be many; -ENOENT after the last. */
int btrfs_uuid_find(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		    unsigned n, uint64_t *id);
/* hidden.c: a subvolume that nobody sees yet, empty or a snapshot of @source
 * (or 0).  Until btrfs_subvol_show() it counts as a deleted one that is still
 * to be cleaned away, here or by a kernel, and only fs->receiving may change
 * it.  Operations. */
int btrfs_subvol_hidden(struct r3_btrfs *fs, uint64_t source, uint64_t *id);
/* clean.c: all of a hidden subvolume, or of a deleted one, is given back.
 * Operations. */
int btrfs_subvol_clean(struct r3_btrfs *fs, uint64_t id);
/* What was received is complete: it gets its name, is read-only from here on,
 * and known by the uuid and the transid that it has where it comes from.
 * -EEXIST, -ENOTDIR, ... as r3_btrfs_subvol_create(). */
int btrfs_subvol_show(struct r3_btrfs *fs, uint64_t id,
		      struct r3_btrfs_inode dir, const char *name, size_t len,
		      const uint8_t *uuid, uint64_t stransid);

/* ---- file data (drop.c, csum_edit.c) --------------------------------------*/

/* Take [from, to) out of a file, both multiples of the sector: extents cut,
 * references dropped, nbytes in node->item less; no items for the hole.  In
 * steps, from the end on: *done tells.  For truncation @to is UINT64_MAX. */
int btrfs_file_drop(struct r3_btrfs *fs, struct btrfs_node *node,
		    uint64_t from, uint64_t to, unsigned max_items,
		    bool *done);
/* Checksums of sectors at @logical, in; and out, when their extent goes. */
int btrfs_csums_insert(struct r3_btrfs *fs, uint64_t logical,
		       const uint8_t *sums, size_t sectors);
int btrfs_csums_remove(struct r3_btrfs *fs, uint64_t logical, uint64_t len);

/* ---- quotas (quota.c; quota.h) --------------------------------------------*/

bool btrfs_quota_on(const struct r3_btrfs *fs);
/* May @subvol take so much more?  Before the operation's first change.  What is
 * reserved counts until the commit has the exact numbers.  -EDQUOT.  Outside of
 * an operation it commits by itself when that may help; within one that is the
 * caller's to do, with btrfs_quota_again(). */
int btrfs_quota_reserve(struct r3_btrfs *fs, uint64_t subvol, uint64_t bytes);
/* After -EDQUOT, between operations: true when trying again makes sense. */
bool btrfs_quota_again(struct r3_btrfs *fs);
/* A subvolume came, its root block is there and nothing else of its own:
 * @source 0, or what it is a snapshot of. */
int btrfs_quota_subvol_new(struct r3_btrfs *fs, uint64_t id, uint64_t source,
			   const uint64_t *groups, unsigned group_count);
/* Its last block is gone. */
int btrfs_quota_subvol_gone(struct r3_btrfs *fs, uint64_t id);
/* A reference to the root of a subtree goes while others keep it: all below it
 * loses a subvolume too. */
int btrfs_quota_subtree(struct r3_btrfs *fs, uint64_t bytenr,
			const struct btrfs_expect *expect);
/* Of the commit, after the references: exact numbers into the quota tree. */
int btrfs_quota_commit(struct r3_btrfs *fs);
int btrfs_quota_open(struct r3_btrfs *fs);
void btrfs_quota_close(struct r3_btrfs *fs);

#endif
