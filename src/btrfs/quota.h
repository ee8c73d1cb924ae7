/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quota.h - what the files of the quota groups share
 *
 *	quota.c		what changes groups, and the commit
 *	quota_table.c	groups, relations and subvolumes in memory
 *	quota_limit.c	limits, and what may still come
 *	quota_admin.c	what people ask for: enable, assign, limit, show
 *	quota_live.c	what changed since the last commit, counted
 *	quota_view.c	  and which subvolumes reach it, before and after
 *	quota_count.c	all subvolumes counted anew, exactly
 *
 * A group's referenced bytes are those of all extents that a subvolume in it
 * reaches: tree blocks and whole data extents, each once.  Its exclusive bytes
 * are those of extents that no subvolume outside reaches.  A subvolume that is
 * being deleted counts until its last block is gone, as in kernels.
 */
#ifndef BTRFS_QUOTA_H
#define BTRFS_QUOTA_H

#include "qcount.h"
#include "trans.h"
#include "quota_map.h"
#include "ring3/vec.h"

/* Bits of struct btrfs_qgroup_limit.flags. */
#define QUOTA_LIMIT_RFER UINT64_C(1)
#define QUOTA_LIMIT_EXCL UINT64_C(2)

/* What an operation may add to a group. */
struct quota_need {
	uint64_t rfer, excl;
};

struct quota_group {
	uint64_t id;
	uint64_t rfer, excl;	     /* quota_live.c says as of when */
	uint64_t max_rfer, max_excl; /* R3_BTRFS_QGROUP_NONE: no limit */
	struct quota_need reserved;  /* since the last commit */
	bool changed;		     /* its item is to be written */
	bool has_info, has_limit;    /* items are there */
	bool gone; /* with its subvolume, since the last commit */
};

struct quota_relation {
	uint64_t member, group;
};

struct quota_snapshot {
	uint64_t source, id;
};

struct quota_subvol {
	uint64_t id;
	bool gone; /* since the last commit */
	bool dead; /* was being deleted when the volume was opened */
};

struct btrfs_quota {
	bool on;
	bool stale;   /* a kernel said so, or wrote without counting */
	bool recount; /* numbers are not known: the next commit counts all */
	bool limits;  /* a group has one, or had */
	bool refused; /* lately; but without what is only reserved, maybe not */
	uint64_t flags, enable_gen;
	VEC(struct quota_group) groups;	      /* by id */
	VEC(struct quota_relation) relations; /* by member, then group */
	VEC(struct quota_subvol) subvols;     /* by id */
	/* since the last commit */
	struct quota_map noted; /* extents whose references changed */
	VEC(struct quota_snapshot) snapshots;
	uint64_t counted; /* the transaction that was counted last */
	size_t extents;	  /* of all subvolumes, when last counted; or 0 */
	bool verify;	  /* tests: count all at every commit, and compare */
};

static inline unsigned quota_level(uint64_t id)
{
	return (unsigned)(id >> BTRFS_QGROUP_LEVEL_SHIFT);
}

static inline bool quota_is_limited(const struct quota_group *g)
{
	return g->max_rfer != R3_BTRFS_QGROUP_NONE ||
	       g->max_excl != R3_BTRFS_QGROUP_NONE;
}

/* "1/100" */
struct quota_text {
	char s[32];
};
struct quota_text quota_text(uint64_t id);

int quota_tree(struct r3_btrfs *fs, struct btrfs_tree **out);
/* Read groups and relations from the quota tree; @q is all zeros. */
int quota_load(struct r3_btrfs *fs, struct btrfs_quota *q);
/* The subvolumes there are, those being deleted too. */
int quota_load_subvols(struct r3_btrfs *fs, struct btrfs_quota *q);
void quota_unload(struct btrfs_quota *q);
struct quota_group *quota_group(const struct btrfs_quota *q, uint64_t id);
struct quota_subvol *quota_subvol(const struct btrfs_quota *q, uint64_t id);
/* The first relation of @member; those that follow may be of others. */
size_t quota_relations_of(const struct btrfs_quota *q, uint64_t member);
bool quota_related(const struct btrfs_quota *q, uint64_t member,
		   uint64_t group);

/* In memory only.  The group is made if need be; NULL or false: no memory. */
struct quota_group *quota_group_put(struct btrfs_quota *q, uint64_t id);
void quota_group_take(struct btrfs_quota *q, struct quota_group *g);
bool quota_relation_put(struct btrfs_quota *q, uint64_t member,
			uint64_t group);
void quota_relation_take(struct btrfs_quota *q, uint64_t member,
			 uint64_t group);
bool quota_subvol_put(struct btrfs_quota *q, struct quota_subvol subvol);
/* @id and every group above it, each once; false: no memory. */
typedef VEC(uint64_t) quota_ids;
bool quota_ancestors(const struct btrfs_quota *q, uint64_t id,
		     quota_ids *out);

/* Changes, in memory and in the quota tree, within an operation. */
int quota_group_add(struct r3_btrfs *fs, uint64_t id);
int quota_group_remove(struct r3_btrfs *fs, uint64_t id);
int quota_relation_add(struct r3_btrfs *fs, uint64_t member, uint64_t group);
int quota_relation_remove(struct r3_btrfs *fs, uint64_t member,
			  uint64_t group);

int quota_group_limit(struct r3_btrfs *fs, uint64_t id, uint64_t max_rfer,
		      uint64_t max_excl);
/* Within an operation or a commit. */
int quota_write_status(struct r3_btrfs *fs, struct btrfs_tree *tree);
/* Exact numbers of all groups, from every block of every subvolume; the caller
 * frees @out. */
int quota_recount(struct r3_btrfs *fs, struct btrfs_qcount **out);

/* quota_live.c: what is about to change, or has, and the sum of it at the
 * commit. */
void quota_live_note(struct btrfs_quota *q, uint64_t bytenr);
/* All of it, and what its leaves refer to. */
int quota_live_subtree(struct r3_btrfs *fs, uint64_t bytenr,
		       const struct btrfs_expect *expect);
/* Its group and its relations are there. */
int quota_live_snapshot(struct r3_btrfs *fs, uint64_t source, uint64_t id);
/* The relation is not there: not yet, or not any more. */
int quota_live_relation(struct r3_btrfs *fs, uint64_t member, uint64_t group,
			bool comes);
int quota_live_count(struct r3_btrfs *fs);
void quota_live_forget(struct btrfs_quota *q);

#endif
