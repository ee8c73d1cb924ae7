/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * space.h - block groups in memory: what alloc.c, free.c, group.c,
 * extent_edit.c and refs.c share
 *
 * A sector is in one of these states, and only the first is in a group's map:
 *
 *	free --alloc--> taken --the extent's item is inserted--> used
 *	  ^               |                                        |
 *	  |<-no reference-+                              last reference goes
 *	  |                                                        |
 *	  +<-- the commit is durable -- pinned <-------------------+
 *
 * The free space tree changes with the extent's item: taken is still free
 * there, pinned is free there again.  What surrounds a super block's copy is
 * free in the tree and in no map.
 */
#ifndef BTRFS_SPACE_H
#define BTRFS_SPACE_H

#include "trans.h"
#include "ring3/vec.h"

/* What is asked for; a mixed block group serves the first two. */
enum btrfs_kind { BTRFS_KIND_DATA, BTRFS_KIND_METADATA, BTRFS_KIND_SYSTEM,
		  BTRFS_KINDS };

static const uint64_t btrfs_kind_bits[BTRFS_KINDS] = {
	BTRFS_BG_DATA, BTRFS_BG_METADATA, BTRFS_BG_SYSTEM
};

struct btrfs_group {
	uint64_t start, len, flags;
	uint64_t used;	       /* bytes of extents that have items */
	uint64_t used_written; /* what its item says */
	uint64_t free;	       /* bytes in the map */
	uint64_t slots;	       /* whole places for tree blocks in the map */
	uint64_t max_run;      /* no run in the map is longer, sectors */
	uint64_t *map;	       /* a bit a sector, set: free */
	/* its FREE_SPACE_INFO */
	uint32_t extents;
	bool bitmaps;
	bool info_changed;
};

struct btrfs_range {
	uint64_t start, len;
};

struct btrfs_space {
	struct btrfs_group **groups; /* by start */
	unsigned count, room;
	uint64_t hand[BTRFS_KINDS]; /* where the last search ended */
	VEC(struct btrfs_range) pinned;
	uint64_t slots[BTRFS_KINDS]; /* of all groups: places for tree blocks */
	uint64_t data_free;	     /* and bytes for data */
	uint64_t holes; /* bytes of the device that no chunk has */
	bool full[BTRFS_KINDS]; /* no block group of this kind can be made */
};

static inline bool btrfs_group_is(const struct btrfs_group *g,
				  enum btrfs_kind kind)
{
	return g->flags & btrfs_kind_bits[kind];
}

/* ---- alloc.c: the maps --------------------------------------------------- */

/* The block group that holds @logical, or NULL. */
struct btrfs_group *btrfs_group_find(const struct r3_btrfs *fs,
				     uint64_t logical);
/* One without free space, in memory. */
int btrfs_group_add(struct r3_btrfs *fs, uint64_t start, uint64_t len,
		    uint64_t flags, struct btrfs_group **out);
/* A range of @g can be given away from now on; not what a super block needs. */
void btrfs_group_give(struct r3_btrfs *fs, struct btrfs_group *g,
		      uint64_t start, uint64_t len);
/* The same, of the group that holds it. */
void btrfs_space_give(struct r3_btrfs *fs, uint64_t start, uint64_t len);
/* The next free run of a group from sector *at on; false: there is none. */
bool btrfs_group_run(const struct btrfs_group *g, uint64_t *at, uint64_t *len);
int btrfs_space_pin(struct r3_btrfs *fs, uint64_t start, uint64_t len);

/* ---- group.c ------------------------------------------------------------- */

/* A new block group, as large as the kernel makes them, or as there is room.
 * -ENOSPC. */
int btrfs_group_make(struct r3_btrfs *fs, enum btrfs_kind kind);
/* Count what no chunk has; after btrfs_chunk_add(). */
int btrfs_holes_count(struct r3_btrfs *fs);

/* ---- free.c: the free space tree ----------------------------------------- */

/* Its ranges into the maps, for all groups. */
int btrfs_fst_load(struct r3_btrfs *fs);
int btrfs_fst_group_new(struct r3_btrfs *fs, struct btrfs_group *g);
/* A range within one group that was used is free, or the other way round. */
int btrfs_fst_give(struct r3_btrfs *fs, uint64_t start, uint64_t len);
int btrfs_fst_take(struct r3_btrfs *fs, uint64_t start, uint64_t len);
/* Counts that changed go into the tree. */
int btrfs_fst_infos_write(struct r3_btrfs *fs, bool *again);

/* ---- extent_edit.c: one extent's items ----------------------------------- */

enum { BTRFS_KEYED_MAX = 512 };

/* An extent's item taken out of the tree to be changed. */
struct btrfs_extent {
	uint64_t bytenr, len;
	struct btrfs_key key;
	bool there;	/* in the tree */
	bool keyed;	/* some of its references are items of their own */
	bool data;
	uint64_t refs, generation, flags;
	uint32_t head;	/* bytes before the first inline reference */
	uint32_t size;
	uint8_t *buf;	/* a node's size */
	/* New keyed references of tree blocks, which have no data, wait here:
	 * their items go in many at a time. */
	struct btrfs_key *waiting; /* BTRFS_KEYED_MAX */
	unsigned waiting_count;
};

/* Find it.  -EUCLEAN with a text when there is none, with @ref in it. */
int btrfs_extent_load(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		      struct btrfs_extent *x);
/* One that is not in the tree yet. */
int btrfs_extent_new(struct r3_btrfs *fs, const struct btrfs_ref *ref,
		     struct btrfs_extent *x);
/* Quicker when references come in rising order. */
int btrfs_extent_ref(struct r3_btrfs *fs, struct btrfs_extent *x,
		     const struct btrfs_ref *ref, int64_t delta);
/* Back into the tree; removed when no reference is left. */
int btrfs_extent_store(struct r3_btrfs *fs, struct btrfs_extent *x);

/* ---- refs.c -------------------------------------------------------------- */

/* @bytenr was given away: it has no item yet, and none if nobody refers to it
 * before the transaction ends. */
int btrfs_refs_fresh(struct r3_btrfs *fs, uint64_t bytenr, uint64_t len,
		     bool data);
int btrfs_refs_open(struct r3_btrfs *fs);
void btrfs_refs_close(struct r3_btrfs *fs);
/* What was given away and never referred to is free again. */
void btrfs_refs_forget(struct r3_btrfs *fs);

#endif
