// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recv_path.c - paths of a stream
 *
 * They are relative to the subvolume's root.  Each part but the last must be a
 * directory of this subvolume; "..", ".", symbolic links and other subvolumes
 * lead nowhere.  Streams name the same paths many times in a row, so entries
 * are remembered.
 */
#include "recv.h"

static struct recv_name *slot(struct recv *r, const struct recv_place *p)
{
	uint64_t seed = p->dir.ino ^ p->dir.subvol << 20;
	uint32_t hash = btrfs_crc32c((uint32_t)seed, p->name, p->len);

	return &r->names[hash & (RECV_NAMES - 1)];
}

bool recv_known(struct recv *r, const struct recv_place *p, uint64_t *ino,
		uint8_t *type)
{
	const struct recv_name *n = slot(r, p);

	if (!n->ino || n->dir != p->dir.ino || n->subvol != p->dir.subvol ||
	    n->len != p->len || memcmp(n->name, p->name, p->len))
		return false;
	*ino = n->ino;
	*type = n->type;
	return true;
}

void recv_remember(struct recv *r, const struct recv_place *p, uint64_t ino,
		   uint8_t type)
{
	struct recv_name *n = slot(r, p);

	n->subvol = p->dir.subvol;
	n->dir = p->dir.ino;
	n->ino = ino;
	n->type = type;
	n->len = (uint8_t)p->len;
	memcpy(n->name, p->name, p->len);
}

void recv_forget(struct recv *r, const struct recv_place *p)
{
	uint64_t ino;
	uint8_t type;

	if (recv_known(r, p, &ino, &type))
		slot(r, p)->ino = 0;
}

static int look_up(struct recv *r, const struct recv_place *p, uint64_t *ino,
		   uint8_t *type)
{
	struct btrfs_entry entry;
	struct btrfs_tree *tree;
	int err;

	if (recv_known(r, p, ino, type))
		return 0;
	err = btrfs_tree_get(r->fs, p->dir.subvol, &tree);
	if (!err)
		err = btrfs_name_find(r->fs, tree, p->dir.ino, p->name, p->len,
				      &entry);
	if (!err && entry.location.type != BTRFS_INODE_ITEM)
		return recv_bad(r, "'%.*s' is another subvolume",
				(int)p->len, p->name);
	if (err)
		return err;
	*ino = entry.location.objectid;
	*type = entry.type;
	recv_remember(r, p, *ino, *type);
	return 0;
}

/* The first part of a path; false when there is none, or no good one. */
static bool take_part(struct r3_span *path, struct recv_place *p)
{
	const uint8_t *slash = memchr(path->p, '/', path->len);

	p->name = (const char *)path->p;
	p->len = slash ? (size_t)(slash - path->p) : path->len;
	r3_take(path, p->len + (slash != NULL));
	if (slash && !path->len)
		return false; /* "a/" */
	return p->len && p->len <= BTRFS_NAME_MAX &&
	       !memchr(p->name, 0, p->len) &&
	       !(p->len == 1 && *p->name == '.') &&
	       !(p->len == 2 && !memcmp(p->name, "..", 2));
}

/* The directory of the last part; *ino and *type lead to it, 0 when there is
 * only the root. */
static int walk(struct recv *r, uint64_t subvol, struct r3_span path,
		struct recv_place *out)
{
	struct recv_place p = { .dir = { subvol, R3_BTRFS_ROOT_INO } };
	uint8_t type;
	uint64_t ino;
	int err;

	for (;;) {
		if (!take_part(&path, &p))
			return recv_bad(r, "it is no path inside the "
					"subvolume");
		if (!path.len) {
			*out = p;
			return 0;
		}
		err = look_up(r, &p, &ino, &type);
		if (err)
			return err;
		if (type != BTRFS_FT_DIR)
			return recv_bad(r, "'%.*s' is no directory",
					(int)p.len, p.name);
		p.dir.ino = ino;
	}
}

int recv_find_place(struct recv *r, struct r3_span path,
		    struct recv_place *out)
{
	return walk(r, r->id, path, out);
}

int recv_find(struct recv *r, uint64_t subvol, struct r3_span path,
	      struct r3_btrfs_inode *out)
{
	struct recv_place p;
	uint64_t ino = R3_BTRFS_ROOT_INO;
	uint8_t type;
	int err = path.len ? walk(r, subvol, path, &p) : 0;

	if (!err && path.len)
		err = look_up(r, &p, &ino, &type);
	if (!err)
		*out = (struct r3_btrfs_inode){ subvol, ino };
	return err;
}
