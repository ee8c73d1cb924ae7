// SPDX-License-Identifier: GPL-2.0-or-later
/* make.c - new inodes, and new names for old ones */
#include <sys/sysmacros.h>

#include "names.h"

#define COMPRESSION BTRFS_PROPERTY_COMPRESSION

/* What is known before the first change. */
struct make {
	const struct r3_btrfs_new *what;
	struct btrfs_node dir;
	const char *name;
	size_t len, target_len;
	char compression[8]; /* the property that is inherited; "": none */
};

/* ---- what is inherited -------------------------------------------------- */

/* A directory hands its compression down to files and directories: of what its
 * property says, the name of the algorithm. */
static int inherit_compression(struct r3_btrfs *fs, struct make *m)
{
	const size_t len = strlen(COMPRESSION);
	const struct btrfs_dir_item *d;
	struct btrfs_cursor c;
	unsigned type;
	int err;

	if (!(le64(m->dir.item.flags) & BTRFS_INODE_COMPRESS) ||
	    !(S_ISREG(m->what->mode) || S_ISDIR(m->what->mode)))
		return 0;
	btrfs_cursor_init(&c, fs, m->dir.tree->root);
	err = btrfs_cursor_find(&c, KEY(m->dir.ino, BTRFS_XATTR_ITEM,
					btrfs_name_hash(COMPRESSION, len)));
	d = err ? NULL : btrfs_dir_item_pick(
		(struct r3_span){ c.data, c.size }, COMPRESSION, len);
	type = d ? btrfs_compression_named((const char *)(d + 1) + len,
					   le16(d->data_len)) : 0;
	if (type)
		strcpy(m->compression, btrfs_compression_name(type));
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* Source: the kernel's btrfs_inherit_iflags(). */
static uint64_t inherit_flags(const struct make *m)
{
	uint64_t from = le64(m->dir.item.flags), flags = 0;

	if (from & BTRFS_INODE_NOCOMPRESS)
		flags |= BTRFS_INODE_NOCOMPRESS;
	else if (from & BTRFS_INODE_COMPRESS)
		flags |= BTRFS_INODE_COMPRESS;
	if (from & BTRFS_INODE_NODATACOW) {
		flags |= BTRFS_INODE_NODATACOW;
		if (S_ISREG(m->what->mode))
			flags |= BTRFS_INODE_NODATASUM;
	}
	return flags;
}

/* ---- making ------------------------------------------------------------- */

static int check_what(struct r3_btrfs *fs, struct make *m)
{
	const struct r3_btrfs_new *w = m->what;

	if (btrfs_type_of_mode(w->mode) == BTRFS_FT_UNKNOWN)
		return btrfs_fail(fs, -EINVAL, "mode 0%o has no type",
				  w->mode);
	/* Source: linux/kdev_t.h, MINORBITS; the disk has no more either. */
	if ((S_ISCHR(w->mode) || S_ISBLK(w->mode)) &&
	    (minor(w->rdev) >> 20 || major(w->rdev) >> 12))
		return btrfs_fail(fs, -EINVAL, "no device has the number "
				  "%u:%u", major(w->rdev), minor(w->rdev));
	if (!S_ISLNK(w->mode))
		return 0;
	m->target_len = w->target ? strlen(w->target) : 0;
	if (!m->target_len)
		return btrfs_fail(fs, -EINVAL, "a symbolic link needs a "
				  "target");
	if (m->target_len >= R3_BTRFS_PATH_MAX ||
	    m->target_len + sizeof(struct btrfs_file_extent) >
		    btrfs_item_max(fs))
		return btrfs_fail(fs, -ENAMETOOLONG, "the target of a "
				  "symbolic link is too long");
	return 0;
}

static int look(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		struct make *m)
{
	int err = btrfs_node_get_dir(fs, dir, &m->dir);

	if (!err)
		err = btrfs_name_may_add(fs, &m->dir, m->name, m->len);
	if (!err)
		err = check_what(fs, m);
	if (!err)
		err = inherit_compression(fs, m);
	return err;
}

static uint64_t meta_bytes(const struct make *m)
{
	return btrfs_meta_bytes(5, sizeof(struct btrfs_inode_item) + 100 +
					   3 * m->len + m->target_len);
}

static void fill_item(struct r3_btrfs *fs, const struct make *m,
		      struct btrfs_inode_item *i)
{
	const struct r3_btrfs_new *w = m->what;
	mode_t mode = S_ISLNK(w->mode) ? S_IFLNK | 0777 : w->mode;

	memset(i, 0, sizeof(*i));
	i->generation = to_le64(btrfs_transid(fs));
	i->transid = i->generation;
	i->size = to_le64(m->target_len);
	i->nbytes = i->size;
	i->nlink = to_le32(1);
	i->uid = to_le32(w->uid);
	i->gid = to_le32(w->gid);
	i->mode = to_le32(mode & (S_IFMT | 07777));
	if (S_ISCHR(mode) || S_ISBLK(mode))
		i->rdev = to_le64((uint64_t)major(w->rdev) << 20 |
				  minor(w->rdev));
	i->flags = to_le64(inherit_flags(m));
	btrfs_now(fs, &i->otime);
	i->atime = i->ctime = i->mtime = i->otime;
}

static int put_target(struct r3_btrfs *fs, const struct make *m, uint64_t ino)
{
	uint8_t buf[sizeof(struct btrfs_file_extent) + R3_BTRFS_PATH_MAX];
	struct btrfs_file_extent *x = (void *)buf;

	*x = (struct btrfs_file_extent){
		.generation = to_le64(btrfs_transid(fs)),
		.ram_bytes = to_le64(m->target_len),
		.type = BTRFS_FILE_INLINE,
	};
	memcpy(x + 1, m->what->target, m->target_len);
	return btrfs_item_insert(fs, m->dir.tree,
				 KEY(ino, BTRFS_EXTENT_DATA, 0), buf,
				 (uint32_t)(sizeof(*x) + m->target_len), NULL);
}

static int put_compression(struct r3_btrfs *fs, const struct make *m,
			   uint64_t ino)
{
	uint8_t buf[sizeof(struct btrfs_dir_item) + 32];
	struct btrfs_dir_item *d = (void *)buf;
	size_t len = strlen(COMPRESSION), value_len = strlen(m->compression);

	*d = (struct btrfs_dir_item){
		.transid = to_le64(btrfs_transid(fs)),
		.data_len = to_le16((uint16_t)value_len),
		.name_len = to_le16((uint16_t)len),
		.type = BTRFS_FT_XATTR,
	};
	memcpy(d + 1, COMPRESSION, len);
	memcpy((char *)(d + 1) + len, m->compression, value_len);
	return btrfs_item_insert(fs, m->dir.tree,
				 KEY(ino, BTRFS_XATTR_ITEM,
				     btrfs_name_hash(COMPRESSION, len)), buf,
				 (uint32_t)btrfs_dir_item_size(d), NULL);
}

static int put_first_name(struct r3_btrfs *fs, const struct make *m,
			  uint64_t ino, uint64_t index)
{
	uint8_t buf[sizeof(struct btrfs_inode_ref) + BTRFS_NAME_MAX];
	struct btrfs_inode_ref *r = (void *)buf;

	r->index = to_le64(index);
	r->name_len = to_le16((uint16_t)m->len);
	memcpy(r + 1, m->name, m->len);
	return btrfs_item_insert(fs, m->dir.tree,
				 KEY(ino, BTRFS_INODE_REF, m->dir.ino), buf,
				 (uint32_t)(sizeof(*r) + m->len), NULL);
}

static int make(struct r3_btrfs *fs, struct make *m, uint64_t ino)
{
	struct btrfs_entry entry = {
		.location = KEY(ino, BTRFS_INODE_ITEM, 0),
		.type = btrfs_type_of_mode(m->what->mode),
	};
	struct btrfs_inode_item item;
	int err;

	fill_item(fs, m, &item);
	err = btrfs_item_insert(fs, m->dir.tree, entry.location, &item,
				sizeof(item), NULL);
	if (!err)
		err = btrfs_name_add(fs, &m->dir, m->name, m->len, &entry);
	if (!err)
		err = put_first_name(fs, m, ino, entry.index);
	if (!err && *m->compression)
		err = put_compression(fs, m, ino);
	if (!err && m->target_len)
		err = put_target(fs, m, ino);
	return err;
}

int r3_btrfs_make(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		  const char *name, size_t len, const struct r3_btrfs_new *what,
		  struct r3_btrfs_inode *out)
{
	struct make m = { .what = what, .name = name, .len = len };
	uint64_t ino;
	int err = look(fs, dir, &m);

	if (!err)
		err = btrfs_start_within_quota(fs, dir.subvol, 7,
					       meta_bytes(&m));
	if (err)
		return err;
	err = btrfs_node_next_ino(fs, m.dir.tree, &ino);
	if (!err)
		err = make(fs, &m, ino);
	err = btrfs_trans_end(fs, err);
	if (!err)
		*out = (struct r3_btrfs_inode){ dir.subvol, ino };
	return err;
}

/* ---- another name ------------------------------------------------------- */

struct name_new {
	struct btrfs_node node, dir;
	struct btrfs_backref ref;
};

static int link_look(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     struct r3_btrfs_inode dir, struct name_new *n)
{
	int err = btrfs_node_get_dir(fs, dir, &n->dir);

	if (!err && in.subvol != dir.subvol)
		err = btrfs_fail(fs, -EXDEV, "a name can't be in another "
				 "subvolume than its file");
	if (!err)
		err = btrfs_node_get(fs, in, &n->node);
	if (!err)
		err = btrfs_name_may_add(fs, &n->dir, n->ref.name,
					 n->ref.len);
	if (!err && btrfs_node_is_dir(&n->node))
		err = btrfs_fail(fs, -EPERM, "a directory has one name");
	if (!err && !le32(n->node.item.nlink))
		err = btrfs_fail(fs, -ENOENT, "inode %llu has been removed",
				 (unsigned long long)in.ino);
	if (!err && le32(n->node.item.nlink) >= BTRFS_LINKS_MAX)
		err = btrfs_fail(fs, -EMLINK, "inode %llu has %u names",
				 (unsigned long long)in.ino, BTRFS_LINKS_MAX);
	if (!err)
		err = btrfs_backref_room(fs, n->dir.tree, &n->ref);
	return err;
}

static int link_change(struct r3_btrfs *fs, struct name_new *n)
{
	struct btrfs_entry entry = {
		.location = n->ref.location,
		.type = btrfs_type_of_mode(le32(n->node.item.mode)),
	};
	int err = btrfs_name_add(fs, &n->dir, n->ref.name, n->ref.len,
				 &entry);

	n->ref.index = entry.index;
	if (!err)
		err = btrfs_backref_add(fs, n->dir.tree, &n->ref);
	n->node.item.nlink = to_le32(le32(n->node.item.nlink) + 1);
	return err ? err : btrfs_node_put(fs, &n->node, true);
}

int r3_btrfs_link(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		  struct r3_btrfs_inode dir, const char *name, size_t len)
{
	struct name_new n = {
		.ref = { .location = KEY(in.ino, BTRFS_INODE_ITEM, 0),
			 .dir = dir.ino, .name = name, .len = len },
	};
	int err = link_look(fs, in, dir, &n);

	if (!err)
		err = btrfs_start_within_quota(fs, dir.subvol, 5,
					       btrfs_meta_bytes(3, 80 +
								3 * len));
	return err ? err : btrfs_trans_end(fs, link_change(fs, &n));
}
