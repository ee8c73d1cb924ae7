// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * subvol.c - subvolumes: made, named, marked, taken away
 *
 * A subvolume is a tree with a ROOT_ITEM; an entry in a directory of another
 * subvolume; a ROOT_REF at that one, a ROOT_BACKREF here; and its uuid in the
 * uuid tree.  Taking it away leaves the tree and its ROOT_ITEM, which counts no
 * reference then, and an ORPHAN_ITEM by which clean.c finds it.
 */
#include "names.h"
#include "quota.h"
#include "subvol.h"

enum {
	/* entry (2), its directory, ROOT_ITEM, two references, uuid (2), the
	 * default, ORPHAN_ITEM */
	PLACE_ITEMS = 10,
	CREATE_ITEMS = PLACE_ITEMS + 2, /* inode, its reference */
};

static const char default_name[] = { 'd', 'e', 'f', 'a', 'u', 'l', 't' };

/* ---- finding things -------------------------------------------------------*/

int subvol_tree(struct r3_btrfs *fs, uint64_t id, struct btrfs_tree **out)
{
	struct btrfs_tree *tree;
	int err = -ENOENT;

	if (btrfs_is_fs_tree(id))
		err = btrfs_tree_get(fs, id, &tree);
	if (!err && !le32(tree->item.refs))
		err = -ENOENT;
	if (err == -ENOENT)
		return btrfs_fail(fs, err, "there is no subvolume %llu",
				  (unsigned long long)id);
	if (!err)
		*out = tree;
	return err;
}

/* The largest number in use; free ones below it are not looked for, as
 * snapshots elsewhere may still tell of them. */
static int last_id(struct r3_btrfs *fs, uint64_t *out)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek_back(&c, KEY(BTRFS_LAST_FREE, UINT8_MAX,
					     UINT64_MAX));
	if (!err)
		*out = r3_max(c.key.objectid, BTRFS_FIRST_FREE - 1);
	btrfs_cursor_fini(&c);
	return err;
}

int subvol_ids_known(struct r3_btrfs *fs)
{
	return fs->last_subvol ? 0 : last_id(fs, &fs->last_subvol);
}

int subvol_next_id(struct r3_btrfs *fs, uint64_t *out)
{
	int err = subvol_ids_known(fs);

	if (err)
		return err;
	/* The quota tree keeps a group's level above 48 bits of number. */
	if (fs->last_subvol + 1 >= UINT64_C(1) << BTRFS_QGROUP_LEVEL_SHIFT)
		return btrfs_fail(fs, -ENOSPC, "no subvolume numbers are left");
	*out = ++fs->last_subvol;
	return 0;
}

int subvol_place_find(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		      const char *name, size_t len, struct subvol_place *out)
{
	int err = btrfs_node_get_dir(fs, dir, &out->dir);

	out->name = name;
	out->len = len;
	return err ? err : btrfs_name_may_add(fs, &out->dir, name, len);
}

int subvol_may_inherit(struct r3_btrfs *fs,
		       const struct r3_btrfs_inherit *inherit)
{
	if (!inherit || !inherit->count)
		return 0;
	if (!btrfs_quota_on(fs))
		return btrfs_fail(fs, -ENOTCONN, "quotas are off: there are no "
				  "groups");
	for (unsigned i = 0; i < inherit->count; i++) {
		uint64_t group = inherit->groups[i];

		if (group >> BTRFS_QGROUP_LEVEL_SHIFT &&
		    quota_group(fs->quotas, group))
			continue;
		return btrfs_fail(fs, -ENOENT, "there is no quota group "
				  "%llu/%llu above the subvolumes' own",
				  (unsigned long long)(group >>
					BTRFS_QGROUP_LEVEL_SHIFT),
				  (unsigned long long)(group & ((UINT64_C(1)
					<< BTRFS_QGROUP_LEVEL_SHIFT) - 1)));
	}
	return 0;
}

/* ---- its place ------------------------------------------------------------*/

static struct btrfs_backref backref(const struct subvol_place *place,
				    struct btrfs_key root_key, uint64_t index)
{
	return (struct btrfs_backref){ .location = root_key,
				       .dir = place->dir.ino,
				       .index = index,
				       .name = place->name,
				       .len = place->len };
}

int subvol_place_put(struct r3_btrfs *fs, struct subvol_place *place,
		     struct btrfs_key root_key)
{
	struct btrfs_entry entry = { .location = root_key,
				     .type = BTRFS_FT_DIR };
	struct btrfs_backref ref;
	int err = btrfs_name_add(fs, &place->dir, place->name, place->len,
				 &entry);

	if (err)
		return err;
	ref = backref(place, root_key, entry.index);
	return btrfs_backref_add(fs, place->dir.tree, &ref);
}

/* ---- making one -----------------------------------------------------------*/

/* The root directory, whose parent is itself. */
static int root_dir_put(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const struct btrfs_inode_item *parent)
{
	struct {
		struct btrfs_inode_ref ref;
		char name[2];
	} up = { .ref.name_len = to_le16(2), .name = { '.', '.' } };
	struct btrfs_inode_item i = {
		.generation = to_le64(btrfs_transid(fs)),
		.transid = to_le64(btrfs_transid(fs)),
		.nlink = to_le32(1),
		.uid = parent->uid,
		.gid = parent->gid,
		.mode = to_le32(S_IFDIR | 0755),
	};
	int err;

	btrfs_now(fs, &i.otime);
	i.atime = i.ctime = i.mtime = i.otime;
	err = btrfs_item_insert(fs, tree,
				KEY(R3_BTRFS_ROOT_INO, BTRFS_INODE_ITEM, 0),
				&i, sizeof(i), NULL);
	if (err)
		return err;
	return btrfs_item_insert(fs, tree,
				 KEY(R3_BTRFS_ROOT_INO, BTRFS_INODE_REF,
				     R3_BTRFS_ROOT_INO),
				 &up, sizeof(up.ref) + sizeof(up.name), NULL);
}

static int root_item_fill(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_root_item *r = &tree->item;

	r->inode = (struct btrfs_inode_item){
		.generation = to_le64(1),
		.size = to_le64(3),
		.nbytes = to_le64(fs->nodesize),
		.nlink = to_le32(1),
		.mode = to_le32(S_IFDIR | 0755),
		.flags = to_le64(BTRFS_INODE_ROOT_ITEM_INIT),
	};
	r->root_dirid = to_le64(R3_BTRFS_ROOT_INO);
	r->bytes_used = to_le64(fs->nodesize);
	r->refs = to_le32(1);
	r->ctransid = r->otransid = to_le64(btrfs_transid(fs));
	btrfs_random(fs, r->uuid, sizeof(r->uuid));
	btrfs_now(fs, &r->otime);
	r->ctime = r->otime;
	return btrfs_tree_touch(fs, tree);
}

int subvol_tree_new(struct r3_btrfs *fs, const struct btrfs_inode_item *parent,
		    uint64_t id, struct btrfs_tree **out)
{
	int err = btrfs_tree_new(fs, KEY(id, BTRFS_ROOT_ITEM, 0), out);

	if (!err)
		err = root_item_fill(fs, *out);
	return err ? err : root_dir_put(fs, *out, parent);
}

static int create(struct r3_btrfs *fs, struct subvol_place *place, uint64_t id,
		  const struct r3_btrfs_inherit *inherit)
{
	struct btrfs_tree *tree;
	int err = subvol_tree_new(fs, &place->dir.item, id, &tree);

	if (!err)
		err = subvol_place_put(fs, place, KEY(id, BTRFS_ROOT_ITEM, 0));
	if (!err)
		err = btrfs_uuid_add(fs, tree->item.uuid, BTRFS_UUID_SUBVOL,
				     id);
	if (!err)
		err = btrfs_quota_subvol_new(fs, id, 0,
					     inherit ? inherit->groups : NULL,
					     inherit ? inherit->count : 0);
	return err;
}

int r3_btrfs_subvol_create(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			   const char *name, size_t len,
			   const struct r3_btrfs_inherit *inherit,
			   uint64_t *id)
{
	struct subvol_place place;
	uint64_t new_id = 0;
	int err = btrfs_quota_reserve(fs, dir.subvol, fs->nodesize);

	if (!err)
		err = btrfs_trans_start(fs, CREATE_ITEMS, BTRFS_USES);
	if (err)
		return err;
	err = subvol_place_find(fs, dir, name, len, &place);
	if (!err)
		err = subvol_may_inherit(fs, inherit);
	if (!err)
		err = subvol_next_id(fs, &new_id);
	if (!err)
		err = create(fs, &place, new_id, inherit);
	err = btrfs_trans_end(fs, err);
	if (!err)
		*id = new_id;
	return err;
}

/* ---- taking one away ------------------------------------------------------*/

static int nested(struct r3_btrfs *fs, uint64_t id)
{
	const struct btrfs_root_ref *r;
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(id, BTRFS_ROOT_REF, 0));
	if (!err && c.key.objectid == id && c.key.type == BTRFS_ROOT_REF) {
		r = c.data;
		err = btrfs_fail(fs, -ENOTEMPTY, "subvolume %llu holds "
				 "subvolume %llu (%.*s): delete that first",
				 (unsigned long long)id,
				 (unsigned long long)c.key.offset,
				 le16(r->name_len), (const char *)(r + 1));
	} else if (err == -ENOENT) {
		err = 0;
	}
	btrfs_cursor_fini(&c);
	return err;
}

static int may_delete(struct r3_btrfs *fs, uint64_t id)
{
	uint64_t def;
	int err = btrfs_default_subvol(fs, &def);

	if (err)
		return err;
	if (id == R3_BTRFS_TOP)
		return btrfs_fail(fs, -EPERM, "the top subvolume stays");
	if (id == def)
		return btrfs_fail(fs, -EPERM, "subvolume %llu is the default "
				  "one: make another the default first",
				  (unsigned long long)id);
	if (btrfs_holds_subvol(fs, id))
		return btrfs_fail(fs, -EBUSY, "subvolume %llu is in use",
				  (unsigned long long)id);
	return nested(fs, id);
}

/* Its place, and the entry there. */
static int place_of(struct r3_btrfs *fs, uint64_t id,
		    struct subvol_place *place, char *name,
		    struct btrfs_entry *entry)
{
	struct r3_btrfs_inode dir;
	int err = btrfs_subvol_parent(fs, id, &dir.subvol, &dir.ino, name);

	if (!err)
		err = btrfs_node_get(fs, dir, &place->dir);
	if (err)
		return err;
	place->name = name;
	place->len = strlen(name);
	err = btrfs_name_find(fs, place->dir.tree, dir.ino, name, place->len,
			      entry);
	if (!err && (entry->stub || entry->location.objectid != id ||
		     entry->location.type != BTRFS_ROOT_ITEM))
		err = -ENOENT;
	if (err == -ENOENT)
		err = btrfs_fail(fs, -EUCLEAN, "subvolume %llu: its directory "
				 "has no entry for it",
				 (unsigned long long)id);
	return err;
}

static int place_remove(struct r3_btrfs *fs, struct subvol_place *place,
			const struct btrfs_entry *entry)
{
	struct btrfs_backref ref = backref(place, entry->location,
					   entry->index);
	int err = btrfs_name_remove(fs, &place->dir, place->name, place->len,
				    entry);

	return err ? err : btrfs_backref_remove(fs, place->dir.tree, &ref);
}

static int mark_dead(struct r3_btrfs *fs, struct btrfs_tree *tree, uint64_t id)
{
	struct btrfs_root_item *r = &tree->item;
	struct btrfs_tree *roots;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);

	if (!err)
		err = btrfs_item_insert(fs, roots,
					KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM,
					    id), NULL, 0, NULL);
	if (!err)
		err = btrfs_uuid_remove(fs, r->uuid, BTRFS_UUID_SUBVOL, id);
	if (!err)
		err = btrfs_uuid_remove(fs, r->received_uuid,
					BTRFS_UUID_RECEIVED, id);
	r->flags = to_le64(le64(r->flags) | BTRFS_ROOT_DEAD);
	r->refs = to_le32(0);
	memset(&r->drop_progress, 0, sizeof(r->drop_progress));
	r->drop_level = 0;
	return err ? err : btrfs_tree_touch(fs, tree);
}

int r3_btrfs_subvol_delete(struct r3_btrfs *fs, uint64_t id)
{
	char name[BTRFS_NAME_MAX + 1];
	struct subvol_place place;
	struct btrfs_entry entry;
	struct btrfs_tree *tree;
	int err = btrfs_trans_start(fs, PLACE_ITEMS, BTRFS_CLEANS);

	if (err)
		return err;
	err = subvol_tree(fs, id, &tree);
	if (!err)
		err = may_delete(fs, id);
	if (!err)
		err = place_of(fs, id, &place, name, &entry);
	if (!err)
		err = place_remove(fs, &place, &entry);
	if (!err)
		err = mark_dead(fs, tree, id);
	return btrfs_trans_end(fs, err);
}

/* ---- marks ----------------------------------------------------------------*/

/* What a receiver noted; without it the subvolume is an ordinary one. */
static int forget_received(struct r3_btrfs *fs, struct btrfs_tree *tree)
{
	struct btrfs_root_item *r = &tree->item;
	int err = btrfs_uuid_remove(fs, r->received_uuid, BTRFS_UUID_RECEIVED,
				    tree->root->id);

	memset(r->received_uuid, 0, sizeof(r->received_uuid));
	r->stransid = r->rtransid = to_le64(0);
	r->stime = r->rtime = (struct btrfs_disk_time){ 0 };
	return err;
}

static void set_flag(struct btrfs_root_item *r, bool readonly)
{
	uint64_t flags = le64(r->flags) & ~BTRFS_ROOT_RDONLY;

	r->flags = to_le64(flags | (readonly ? BTRFS_ROOT_RDONLY : 0));
}

int r3_btrfs_subvol_set_readonly(struct r3_btrfs *fs, uint64_t id,
				 bool readonly)
{
	struct btrfs_tree *tree;
	int err = btrfs_trans_start(fs, 2, BTRFS_USES);

	if (err)
		return err;
	err = subvol_tree(fs, id, &tree);
	if (!err && !readonly)
		err = forget_received(fs, tree);
	if (!err) {
		set_flag(&tree->item, readonly);
		err = btrfs_tree_touch(fs, tree);
	}
	err = btrfs_trans_end(fs, err);
	if (err || readonly || btrfs_holds_subvol(fs, id))
		return err;
	/* as opening does with those that can be written */
	err = btrfs_orphans_clean_in(fs, id);
	return btrfs_trans_is_aborted(fs) ? err : 0;
}

int subvol_set_received(struct r3_btrfs *fs, struct btrfs_tree *tree,
			const uint8_t *uuid, uint64_t stransid)
{
	struct btrfs_root_item *r = &tree->item;
	int err = forget_received(fs, tree);

	if (!err)
		err = btrfs_uuid_add(fs, uuid, BTRFS_UUID_RECEIVED,
				     tree->root->id);
	memcpy(r->received_uuid, uuid, sizeof(r->received_uuid));
	r->stransid = to_le64(stransid);
	r->rtransid = to_le64(btrfs_transid(fs));
	btrfs_now(fs, &r->rtime);
	set_flag(r, true);
	return err ? err : btrfs_tree_touch(fs, tree);
}

/* The default is an entry of the root tree's own directory. */
static int default_put(struct r3_btrfs *fs, uint64_t id)
{
	uint64_t hash = btrfs_name_hash(default_name, sizeof(default_name));
	struct btrfs_dir_item *d;
	struct btrfs_tree *roots;
	struct btrfs_spot spot;
	int err = btrfs_tree_get(fs, BTRFS_ROOT_TREE, &roots);

	if (!err)
		err = btrfs_item_edit(fs, roots,
				      KEY(BTRFS_ROOT_TREE_DIR, BTRFS_DIR_ITEM,
					  hash), &spot);
	if (err == -ENOENT)
		err = btrfs_fail(fs, -EUCLEAN, "the root tree's directory has "
				 "no entry \"default\"");
	if (err)
		return err;
	d = (struct btrfs_dir_item *)spot.data;
	d->location = btrfs_key_put(KEY(id, BTRFS_ROOT_ITEM, UINT64_MAX));
	if (id != R3_BTRFS_TOP)
		btrfs_set_incompat(fs, BTRFS_INCOMPAT_DEFAULT_SUBVOL);
	return 0;
}

int r3_btrfs_subvol_set_default(struct r3_btrfs *fs, uint64_t id)
{
	struct btrfs_tree *tree;
	int err = btrfs_trans_start(fs, 1, BTRFS_USES);

	if (err)
		return err;
	err = subvol_tree(fs, id, &tree);
	if (!err)
		err = default_put(fs, id);
	return btrfs_trans_end(fs, err);
}
