// SPDX-License-Identifier: GPL-2.0-or-later
/* attr.c - owner, mode, times and flags of an inode */
#include "names.h"

/* Flags that live in an inode item: all that kernels know. */
#define FLAGS_KNOWN UINT64_C(0xfff)
#define FLAGS_NOCOW (BTRFS_INODE_NODATACOW | BTRFS_INODE_NODATASUM)

/* Data that is there has checksums or not, whatever is wished for now. */
static uint64_t new_flags(const struct btrfs_node *node, uint64_t wanted)
{
	uint64_t keep = le64(node->item.flags);

	if (!S_ISREG(le32(node->item.mode)) ||
	    (!le64(node->item.size) && !le64(node->item.nbytes)))
		return (keep & ~FLAGS_KNOWN) | wanted;
	return (keep & (~FLAGS_KNOWN | FLAGS_NOCOW)) | (wanted & ~FLAGS_NOCOW);
}

static void apply(struct btrfs_node *node, const struct r3_btrfs_attr *a)
{
	struct btrfs_inode_item *i = &node->item;

	if (a->set & R3_BTRFS_SET_MODE)
		i->mode = to_le32((le32(i->mode) & ~07777u) |
				  (a->mode & 07777));
	if (a->set & R3_BTRFS_SET_UID)
		i->uid = to_le32(a->uid);
	if (a->set & R3_BTRFS_SET_GID)
		i->gid = to_le32(a->gid);
	if (a->set & R3_BTRFS_SET_ATIME)
		i->atime = btrfs_time_put(a->atime);
	if (a->set & R3_BTRFS_SET_MTIME)
		i->mtime = btrfs_time_put(a->mtime);
	if (a->set & R3_BTRFS_SET_CTIME)
		i->ctime = btrfs_time_put(a->ctime);
	if (a->set & R3_BTRFS_SET_OTIME)
		i->otime = btrfs_time_put(a->otime);
	if (a->set & R3_BTRFS_SET_FLAGS)
		i->flags = to_le64(new_flags(node, a->flags));
}

/* An inode that changed in the running transaction lies in a leaf that was
 * copied then: it takes nothing of a quota to change it again. */
static bool is_copied(const struct r3_btrfs *fs, const struct btrfs_node *node)
{
	return le64(node->item.transid) == btrfs_transid(fs) &&
	       !node->tree->shared_born;
}

int r3_btrfs_setattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     const struct r3_btrfs_attr *attr)
{
	struct btrfs_node node;
	int err = btrfs_node_get(fs, in, &node);

	if (!err && attr->set & R3_BTRFS_SET_FLAGS &&
	    attr->flags & ~FLAGS_KNOWN)
		err = btrfs_fail(fs, -EINVAL, "unknown inode flags 0x%llx",
				 (unsigned long long)attr->flags);
	if (!err && is_copied(fs, &node))
		err = btrfs_trans_start(fs, 1, BTRFS_USES);
	else if (!err)
		err = btrfs_start_within_quota(fs, in.subvol, 1,
					       btrfs_meta_bytes(1, 0));
	if (err)
		return err;
	apply(&node, attr);
	return btrfs_trans_end(fs, btrfs_node_put(fs, &node,
				!(attr->set & R3_BTRFS_SET_CTIME)));
}
