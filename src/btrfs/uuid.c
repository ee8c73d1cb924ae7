// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uuid.c - the uuid tree: from a uuid to the subvolumes that have it
 *
 * One item holds all their numbers: a read-only snapshot of a received
 * subvolume has its received uuid too.  A file system that no kernel has
 * mounted yet, or only one from before 3.12, may lack the tree, or some of it;
 * the super block tells.
 */
#include "subvol.h"

static struct btrfs_key uuid_key(const uint8_t *uuid, uint8_t type)
{
	r3_le64 part[2];

	memcpy(part, uuid, sizeof(part));
	return KEY(le64(part[0]), type, le64(part[1]));
}

bool btrfs_uuid_none(const uint8_t *uuid)
{
	static const uint8_t none[BTRFS_UUID_SIZE];

	return !memcmp(uuid, none, sizeof(none));
}

int btrfs_uuid_add(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		   uint64_t id)
{
	struct btrfs_key key = uuid_key(uuid, type);
	r3_le64 value = to_le64(id);
	struct btrfs_tree *tree;
	int err;

	if (!fs->uuid.bytenr || btrfs_uuid_none(uuid))
		return 0;
	err = btrfs_tree_get(fs, BTRFS_UUID_TREE, &tree);
	if (!err)
		err = btrfs_pack_room(fs, tree, key, sizeof(value));
	/* A list that fills its leaf stays as it is: who looks for the uuid
	 * finds one of the many others. */
	if (err)
		return err == -EOVERFLOW ? 0 : err;
	return btrfs_pack_add(fs, tree, key, &value, sizeof(value));
}

/* A cursor on the item; the caller ends it in every case. */
static int seek_list(struct r3_btrfs *fs, struct btrfs_key key,
		     struct btrfs_cursor *c)
{
	btrfs_cursor_init(c, fs, &fs->uuid);
	return fs->uuid.bytenr ? btrfs_cursor_find(c, key) : -ENOENT;
}

int btrfs_uuid_remove(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		      uint64_t id)
{
	struct btrfs_key key = uuid_key(uuid, type);
	r3_le64 value = to_le64(id);
	struct btrfs_tree *tree;
	struct btrfs_cursor c;
	size_t at = 0;
	int err = seek_list(fs, key, &c);

	while (!err && memcmp((const uint8_t *)c.data + at, &value,
			      sizeof(value))) {
		at += sizeof(value);
		if (at >= c.size)
			err = -ENOENT;
	}
	btrfs_cursor_fini(&c);
	if (!err)
		err = btrfs_tree_get(fs, BTRFS_UUID_TREE, &tree);
	if (err)
		return err == -ENOENT ? 0 : err;
	return btrfs_pack_cut(fs, tree, key, at, sizeof(value));
}

struct scan {
	const uint8_t *uuid;
	uint8_t type;
	unsigned left; /* matches still to go */
	uint64_t id;
};

static int scan_subvol(void *arg, const struct r3_btrfs_subvol *v)
{
	struct scan *s = arg;
	const uint8_t *its = s->type == BTRFS_UUID_SUBVOL ? v->uuid
							  : v->received_uuid;

	if (v->dead || memcmp(its, s->uuid, BTRFS_UUID_SIZE) || s->left--)
		return 0;
	s->id = v->id;
	return 1;
}

/* Where the tree is not to be trusted: every subvolume. */
static int find_by_scan(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
			unsigned n, uint64_t *id)
{
	struct scan s = { uuid, type, n, 0 };
	int err = r3_btrfs_each_subvol(fs, scan_subvol, &s);

	if (err < 0)
		return err;
	if (!err)
		return -ENOENT;
	*id = s.id;
	return 0;
}

int btrfs_uuid_find(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		    unsigned n, uint64_t *id)
{
	struct btrfs_cursor c;
	r3_le64 value;
	int err;

	if (btrfs_uuid_none(uuid))
		return -ENOENT;
	if (le64(fs->super.uuid_tree_generation) != fs->generation)
		return find_by_scan(fs, uuid, type, n, id);
	err = seek_list(fs, uuid_key(uuid, type), &c);
	if (!err && n >= c.size / sizeof(value))
		err = -ENOENT;
	if (!err) {
		memcpy(&value, (const uint8_t *)c.data + n * sizeof(value),
		       sizeof(value));
		*id = le64(value);
	}
	btrfs_cursor_fini(&c);
	return err;
}
