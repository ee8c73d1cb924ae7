// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backref.c - references from what an entry leads to back to the entry
 *
 * INODE_REF holds all names that an inode has in one directory, until it is
 * full; then each further name is in an INODE_EXTREF, under a hash of directory
 * and name.  A subvolume has a ROOT_REF and a ROOT_BACKREF in the root tree.
 */
#include "names.h"

struct place {
	struct btrfs_key key;
	size_t at, len; /* of the reference, in the item */
};

static struct btrfs_key ref_key(const struct btrfs_backref *ref)
{
	return KEY(ref->location.objectid, BTRFS_INODE_REF, ref->dir);
}

static struct btrfs_key extref_key(const struct btrfs_backref *ref)
{
	return KEY(ref->location.objectid, BTRFS_INODE_EXTREF,
		   btrfs_extref_hash(ref->dir, ref->name, ref->len));
}

/* ---- of inodes ---------------------------------------------------------- */

/* One reference from the front of @s: does it match? */
static bool take_ref(struct r3_span *s, struct btrfs_backref *ref)
{
	const struct btrfs_inode_ref *r = r3_take(s, sizeof(*r));
	const void *name = r3_take(s, le16(r->name_len));

	if (le16(r->name_len) != ref->len || memcmp(name, ref->name, ref->len))
		return false;
	ref->index = le64(r->index);
	return true;
}

static bool take_extref(struct r3_span *s, struct btrfs_backref *ref)
{
	const struct btrfs_inode_extref *r = r3_take(s, sizeof(*r));
	const void *name = r3_take(s, le16(r->name_len));

	if (le64(r->parent) != ref->dir || le16(r->name_len) != ref->len ||
	    memcmp(name, ref->name, ref->len))
		return false;
	ref->index = le64(r->index);
	return true;
}

/* In one item; -ENOENT. */
static int find_in(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		   struct btrfs_key key,
		   bool (*take)(struct r3_span *, struct btrfs_backref *),
		   struct btrfs_backref *ref, struct place *place)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_find(&c, key);
	if (!err) {
		struct r3_span s = { c.data, c.size };

		err = -ENOENT;
		while (err && s.len) {
			size_t left = s.len;

			if (!take(&s, ref))
				continue;
			*place = (struct place){ key, c.size - left,
						 left - s.len };
			err = 0;
		}
	}
	btrfs_cursor_fini(&c);
	return err;
}

static int find_inode_ref(struct r3_btrfs *fs, const struct btrfs_tree *tree,
			  struct btrfs_backref *ref, struct place *place)
{
	int err = find_in(fs, tree, ref_key(ref), take_ref, ref, place);

	if (err == -ENOENT)
		err = find_in(fs, tree, extref_key(ref), take_extref, ref,
			      place);
	return err;
}

/* Where a new reference goes: the key of an item with room for it. */
static int room_for(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    const struct btrfs_backref *ref, struct btrfs_key *key)
{
	int err;

	*key = ref_key(ref);
	err = btrfs_pack_room(fs, tree, *key,
			      sizeof(struct btrfs_inode_ref) + ref->len);
	if (err != -EOVERFLOW)
		return err;
	if (fs->incompat & BTRFS_INCOMPAT_EXTENDED_IREF) {
		*key = extref_key(ref);
		err = btrfs_pack_room(fs, tree, *key,
				      sizeof(struct btrfs_inode_extref) +
					      ref->len);
	}
	return err == -EOVERFLOW ? -EMLINK : err;
}

static int add_inode_ref(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_backref *ref)
{
	uint8_t buf[sizeof(struct btrfs_inode_extref) + BTRFS_NAME_MAX];
	struct btrfs_inode_extref *x = (void *)buf;
	struct btrfs_inode_ref *r = (void *)buf;
	struct btrfs_key key;
	int err = room_for(fs, tree, ref, &key);

	if (err)
		return err;
	if (key.type == BTRFS_INODE_REF) {
		r->index = to_le64(ref->index);
		r->name_len = to_le16((uint16_t)ref->len);
		memcpy(r + 1, ref->name, ref->len);
		return btrfs_pack_add(fs, tree, key, r, sizeof(*r) + ref->len);
	}
	x->parent = to_le64(ref->dir);
	x->index = to_le64(ref->index);
	x->name_len = to_le16((uint16_t)ref->len);
	memcpy(x + 1, ref->name, ref->len);
	return btrfs_pack_add(fs, tree, key, x, sizeof(*x) + ref->len);
}

/* ---- of subvolumes ------------------------------------------------------ */

/* -ENOENT also when the subvolume's place is another one. */
static int find_root_ref(struct r3_btrfs *fs, const struct btrfs_tree *tree,
			 struct btrfs_backref *ref)
{
	const struct btrfs_root_ref *r;
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_find(&c, KEY(ref->location.objectid,
					BTRFS_ROOT_BACKREF, tree->root->id));
	if (!err) {
		r = c.data;
		if (le64(r->dirid) != ref->dir ||
		    le16(r->name_len) != ref->len ||
		    memcmp(r + 1, ref->name, ref->len))
			err = -ENOENT;
		ref->index = le64(r->sequence);
	}
	btrfs_cursor_fini(&c);
	return err;
}

static int change_root_refs(struct r3_btrfs *fs, uint64_t parent,
			    const struct btrfs_backref *ref, bool add)
{
	uint8_t buf[sizeof(struct btrfs_root_ref) + BTRFS_NAME_MAX];
	struct btrfs_root_ref *r = (void *)buf;
	uint64_t id = ref->location.objectid;
	const struct btrfs_key keys[] = {
		KEY(id, BTRFS_ROOT_BACKREF, parent),
		KEY(parent, BTRFS_ROOT_REF, id),
	};
	struct btrfs_tree *roots;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);

	r->dirid = to_le64(ref->dir);
	r->sequence = to_le64(ref->index);
	r->name_len = to_le16((uint16_t)ref->len);
	memcpy(r + 1, ref->name, ref->len);
	for (unsigned i = 0; !err && i < R3_COUNT(keys); i++)
		err = add ? btrfs_item_insert(fs, roots, keys[i], buf,
					      (uint32_t)(sizeof(*r) +
							 ref->len), NULL)
			  : btrfs_item_delete(fs, roots, keys[i]);
	return err;
}

/* ---- of both ------------------------------------------------------------ */

int btrfs_backref_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		       struct btrfs_backref *ref)
{
	struct place place;

	return ref->location.type == BTRFS_ROOT_ITEM
		       ? find_root_ref(fs, tree, ref)
		       : find_inode_ref(fs, tree, ref, &place);
}

int btrfs_backref_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		       const struct btrfs_backref *ref)
{
	struct btrfs_key key;
	int err;

	if (ref->location.type == BTRFS_ROOT_ITEM)
		return 0;
	err = room_for(fs, tree, ref, &key);
	if (err == -EMLINK)
		btrfs_fail(fs, err, "inode %llu has too many names in "
			   "directory %llu",
			   (unsigned long long)ref->location.objectid,
			   (unsigned long long)ref->dir);
	return err;
}

int btrfs_backref_add(struct r3_btrfs *fs, struct btrfs_tree *tree,
		      const struct btrfs_backref *ref)
{
	return ref->location.type == BTRFS_ROOT_ITEM
		       ? change_root_refs(fs, tree->root->id, ref, true)
		       : add_inode_ref(fs, tree, ref);
}

int btrfs_backref_remove(struct r3_btrfs *fs, struct btrfs_tree *tree,
			 const struct btrfs_backref *ref)
{
	struct btrfs_backref found = *ref;
	struct place place;
	int err;

	if (ref->location.type == BTRFS_ROOT_ITEM)
		return change_root_refs(fs, tree->root->id, ref, false);
	err = find_inode_ref(fs, tree, &found, &place);
	return err ? err : btrfs_pack_cut(fs, tree, place.key, place.at,
					  place.len);
}
