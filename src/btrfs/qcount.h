/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcount.h - exact quota numbers of many subvolumes at once
 *
 * For each extent, the set of subvolumes that reach it.  Sets are interned: a
 * set is a number, equal sets are the same number, and the union of two sets
 * is worked out once.  Hundreds of snapshots that share most of their blocks
 * have few different sets.
 */
#ifndef BTRFS_QCOUNT_H
#define BTRFS_QCOUNT_H

#include "ring3/base.h"

struct btrfs_qcount;

struct btrfs_qcount *btrfs_qcount_new(void);
void btrfs_qcount_free(struct btrfs_qcount *q);
/* Adding returns false when memory is out (or the sets have no room).  Nodes
 * are numbered by the caller; a node's level is above its children's. */
bool btrfs_qcount_node(struct btrfs_qcount *q, uint32_t node, int level,
		       uint64_t bytes); /* level -1: data */
bool btrfs_qcount_edge(struct btrfs_qcount *q, uint32_t parent,
		       uint32_t child);
bool btrfs_qcount_root(struct btrfs_qcount *q, uint32_t node,
		       uint64_t subvol);
/* @member lies in @group (a relation of the quota tree). */
bool btrfs_qcount_relation(struct btrfs_qcount *q, uint64_t member,
			   uint64_t group);

/*
 * The other way: sets made by hand, and bytes that extents with a set come to
 * or, as two's complement, that they no longer do.  Members are numbered from 0
 * in the order of btrfs_qcount_member().  Set 0 is the empty one.
 */
bool btrfs_qcount_member(struct btrfs_qcount *q, uint64_t subvol);
/* @members: ascending */
bool btrfs_qcount_set(struct btrfs_qcount *q, const uint32_t *members,
		      uint32_t count, uint32_t *set);
bool btrfs_qcount_unite(struct btrfs_qcount *q, uint32_t a, uint32_t b,
			uint32_t *set);
/* Until the next set is made. */
const uint32_t *btrfs_qcount_members(const struct btrfs_qcount *q,
				     uint32_t set, uint32_t *count);
void btrfs_qcount_add(struct btrfs_qcount *q, uint32_t set, uint64_t bytes);

bool btrfs_qcount_run(struct btrfs_qcount *q);
/* After the run: numbers of a group, 0 for one that reaches nothing. */
void btrfs_qcount_get(const struct btrfs_qcount *q, uint64_t group,
		      uint64_t *rfer, uint64_t *excl);

#endif
