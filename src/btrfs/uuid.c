// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uuid.c - the uuid tree: from a uuid to the subvolumes that have it
 *
 * One item holds all their numbers: a read-only snapshot of a received
 * subvolume has its received uuid too.  A file system from before kernel 3.12
 * has no such tree until a kernel makes it, by looking at every subvolume.
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

/* Where @id stands in the list of @len bytes; @len when it does not. */
static uint32_t id_find(const uint8_t *list, uint32_t len, uint64_t id)
{
	r3_le64 want = to_le64(id);
	uint32_t at = 0;

	while (at < len && memcmp(list + at, &want, sizeof(want)))
		at += sizeof(want);
	return at;
}

int btrfs_uuid_add(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		   uint64_t id)
{
	struct btrfs_key key = uuid_key(uuid, type);
	r3_le64 value = to_le64(id);
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	uint32_t len;
	int err;

	if (!fs->uuid.bytenr || btrfs_uuid_none(uuid))
		return 0;
	err = btrfs_tree_get(fs, BTRFS_UUID_TREE, &tree);
	if (!err)
		err = btrfs_item_insert(fs, tree, key, &value, sizeof(value),
					NULL);
	if (err != -EEXIST)
		return err;
	err = btrfs_item_edit(fs, tree, key, &spot);
	if (err)
		return err;
	len = spot.size;
	/* A list that fills its leaf stays as it is: who looks for the uuid
	 * finds one of the many others. */
	if (id_find(spot.data, len, id) < len ||
	    len + sizeof(value) > btrfs_item_max(fs))
		return 0;
	err = btrfs_item_resize(fs, tree, key, len + (uint32_t)sizeof(value),
				&spot);
	if (!err)
		memcpy(spot.data + len, &value, sizeof(value));
	return err;
}

int btrfs_uuid_remove(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		      uint64_t id)
{
	struct btrfs_key key = uuid_key(uuid, type);
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	uint32_t at;
	int err;

	if (!fs->uuid.bytenr || btrfs_uuid_none(uuid))
		return 0;
	err = btrfs_tree_get(fs, BTRFS_UUID_TREE, &tree);
	if (!err)
		err = btrfs_item_edit(fs, tree, key, &spot);
	if (err)
		return err == -ENOENT ? 0 : err;
	at = id_find(spot.data, spot.size, id);
	if (at == spot.size)
		return 0;
	if (spot.size == sizeof(r3_le64))
		return btrfs_item_delete(fs, tree, key);
	memmove(spot.data + at, spot.data + at + sizeof(r3_le64),
		spot.size - at - sizeof(r3_le64));
	return btrfs_item_resize(fs, tree, key,
				 spot.size - (uint32_t)sizeof(r3_le64), &spot);
}

int btrfs_uuid_find(struct r3_btrfs *fs, const uint8_t *uuid, uint8_t type,
		    unsigned n, uint64_t *id)
{
	struct btrfs_key key = uuid_key(uuid, type);
	struct btrfs_cursor c;
	r3_le64 value;
	int err;

	if (!fs->uuid.bytenr || btrfs_uuid_none(uuid))
		return -ENOENT;
	btrfs_cursor_init(&c, fs, &fs->uuid);
	err = btrfs_cursor_seek(&c, key);
	if (!err && (btrfs_key_cmp(c.key, key) ||
		     n >= c.size / sizeof(value)))
		err = -ENOENT;
	if (!err) {
		memcpy(&value, (const uint8_t *)c.data + n * sizeof(value),
		       sizeof(value));
		*id = le64(value);
	}
	btrfs_cursor_fini(&c);
	return err;
}
