/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * send_diff.h - two read-only subvolumes side by side, as far as they differ
 *
 * A side holds the inodes of one subvolume that changed, whatever changed in
 * them, with all their names; and the directories above those, up to the root.
 */
#ifndef BTRFS_SEND_DIFF_H
#define BTRFS_SEND_DIFF_H

#include "send.h"

#define NONE UINT32_MAX

struct inode {
	uint64_t ino, generation, transid;
	uint32_t mode;
	uint32_t other;	     /* the same inode on the other side, or NONE */
	uint32_t first_name; /* of several; next by struct name */
	uint32_t depth;	     /* of a directory below the root; 0: not known */
	uint32_t away;	     /* old side, not 0: it stands in the root, under
				its temporary name number away - 1 */
	bool placed;	     /* new side: it is made or at its place */
	bool kept;	     /* old side: some name stays */
};

struct name {
	uint64_t parent_ino;
	uint32_t parent, child; /* inodes of this side */
	uint32_t next;		/* of the same child */
	uint32_t depth;
	bool stays; /* the other side has it too */
	uint16_t len;
	size_t text;
};

struct side {
	uint64_t subvol;
	struct btrfs_root root;
	VEC(struct inode) inodes; /* 0: the root */
	VEC(struct name) names;	  /* a directory before what is in it */
	VEC(char) text;
	struct table by_ino; /* inode number -> index + 1, in .path */
};

struct diff {
	struct send *s;
	struct side old, new;
	VEC(uint64_t) changed; /* inode numbers, each once */
};

static inline bool is_dir(const struct inode *i)
{
	return S_ISDIR(i->mode);
}

/* Fill in both sides; d->s is set, the rest zeros. */
int send_load(struct diff *d, uint64_t old, uint64_t new);
void send_unload(struct diff *d);

#endif
