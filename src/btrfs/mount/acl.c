// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acl.c - POSIX access control lists: what a file system has to do with them
 *
 * The kernel enforces them.  Here a new inode inherits them from its directory,
 * and a list and the mode are kept the same.  The bytes of the xattr are the
 * same on the disk as in the system call (linux/posix_acl_xattr.h).  What
 * inherits what: acl(5), "OBJECT CREATION AND DEFAULT ACLs".
 */
#include <sys/stat.h>

#include "mount.h"

#define VERSION 2

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 0x10,
       OTHER = 0x20 };

struct head {
	r3_le32 version;
};

struct entry {
	r3_le16 tag, perm;
	r3_le32 id;
};

/* The entries; 0: it is no list. */
static struct entry *entries(void *value, size_t len, size_t *count)
{
	struct head *h = value;

	if (len < sizeof(*h) || (len - sizeof(*h)) % sizeof(struct entry) ||
	    r3_get_le32(h->version) != VERSION)
		return NULL;
	*count = (len - sizeof(*h)) / sizeof(struct entry);
	return (struct entry *)(h + 1);
}

static struct entry *find(struct entry *e, size_t count, unsigned tag)
{
	for (size_t i = 0; i < count; i++) {
		if (r3_get_le16(e[i].tag) == tag)
			return &e[i];
	}
	return NULL;
}

static unsigned perm_of(const struct entry *e)
{
	return r3_get_le16(e->perm) & 7;
}

static void set_perm(struct entry *e, unsigned perm)
{
	e->perm = r3_le16_of((uint16_t)(perm & 7));
}

/* Both have what both had. */
static void meet(struct entry *e, mode_t *mode, unsigned shift)
{
	unsigned both = perm_of(e) & (unsigned)*mode >> shift;

	set_perm(e, both);
	*mode = (*mode & ~(mode_t)(7u << shift)) | (mode_t)(both << shift);
}

/* Whose permissions the mode's middle shows. */
static struct entry *group_class(struct entry *e, size_t count)
{
	struct entry *mask = find(e, count, MASK);

	return mask ? mask : find(e, count, GROUP_OBJ);
}

static bool is_whole(struct entry *e, size_t count)
{
	return find(e, count, USER_OBJ) && find(e, count, GROUP_OBJ) &&
	       find(e, count, OTHER);
}

int acl_inherit(void *value, size_t len, mode_t *mode, bool *needed)
{
	size_t count;
	struct entry *e = entries(value, len, &count);

	if (!e || !is_whole(e, count))
		return -EIO;
	meet(find(e, count, USER_OBJ), mode, 6);
	meet(group_class(e, count), mode, 3);
	meet(find(e, count, OTHER), mode, 0);
	*needed = count > 3;
	return 0;
}

int acl_chmod(void *value, size_t len, mode_t mode)
{
	size_t count;
	struct entry *e = entries(value, len, &count);

	if (!e || !is_whole(e, count))
		return -EIO;
	set_perm(find(e, count, USER_OBJ), mode >> 6);
	set_perm(group_class(e, count), mode >> 3);
	set_perm(find(e, count, OTHER), mode);
	return 0;
}

int acl_mode(void *value, size_t len, mode_t *mode, bool *needed)
{
	size_t count;
	struct entry *e = entries(value, len, &count);

	if (!e || !is_whole(e, count))
		return -EINVAL;
	*mode = (*mode & ~(mode_t)0777) |
		(mode_t)(perm_of(find(e, count, USER_OBJ)) << 6 |
			 perm_of(group_class(e, count)) << 3 |
			 perm_of(find(e, count, OTHER)));
	*needed = count > 3;
	return 0;
}
