// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * name.c - entries of a directory: found, added, removed
 *
 * A name has a DIR_ITEM, by its hash, and a DIR_INDEX, by the order in which
 * names came.  Names with one hash share a DIR_ITEM.
 */
#include "names.h"

int btrfs_name_check(const char *name, size_t len)
{
	if (!len || memchr(name, '/', len) || memchr(name, 0, len) ||
	    (len <= 2 && !memcmp(name, "..", len)))
		return -EINVAL;
	return len > BTRFS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int btrfs_name_fail(struct r3_btrfs *fs, int err, const char *name, size_t len)
{
	return btrfs_fail(fs, err, "%.*s: %s",
			  (int)r3_min(len, BTRFS_NAME_MAX), name,
			  err == -EINVAL ? "no name for a file" :
			  err == -EOVERFLOW ? "too many names with its hash" :
					      strerror(-err));
}

static struct btrfs_key item_key(uint64_t dir, const char *name, size_t len)
{
	return KEY(dir, BTRFS_DIR_ITEM, btrfs_name_hash(name, len));
}

/* ---- looking ------------------------------------------------------------ */

/* A stub has no reference back that would know its index: search for it. */
static int stub_index(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		      uint64_t dir, const char *name, size_t len,
		      uint64_t *index)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek(&c, KEY(dir, BTRFS_DIR_INDEX, 0));
	for (; !err; err = btrfs_cursor_next(&c)) {
		struct r3_span s = { c.data, c.size };

		if (c.key.objectid != dir || c.key.type != BTRFS_DIR_INDEX) {
			err = -ENOENT;
			break;
		}
		if (btrfs_dir_item_pick(s, name, len)) {
			*index = c.key.offset;
			break;
		}
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* The entry's index, which is not in the DIR_ITEM. */
static int find_index(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		      uint64_t dir, const char *name, size_t len,
		      struct btrfs_entry *e)
{
	struct btrfs_backref ref = { .location = e->location, .dir = dir,
				     .name = name, .len = len };
	int err = btrfs_backref_find(fs, tree, &ref);

	e->index = ref.index;
	e->stub = err == -ENOENT && e->location.type == BTRFS_ROOT_ITEM;
	if (e->stub)
		err = stub_index(fs, tree, dir, name, len, &e->index);
	if (err == -ENOENT)
		err = btrfs_fail(fs, -EUCLEAN, "tree %s directory %llu: its "
				 "entry %.*s has no reference back or no index",
				 btrfs_tree_text(tree->root->id).s,
				 (unsigned long long)dir, (int)len, name);
	return err;
}

int btrfs_name_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t dir, const char *name, size_t len,
		    struct btrfs_entry *out)
{
	const struct btrfs_dir_item *d = NULL;
	struct btrfs_entry e = { .index = 0 };
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_find(&c, item_key(dir, name, len));
	if (!err) {
		struct r3_span s = { c.data, c.size };

		d = btrfs_dir_item_pick(s, name, len);
		if (d) {
			e.location = btrfs_key_get(&d->location);
			e.type = d->type;
		}
	}
	btrfs_cursor_fini(&c);
	if (!err && !d)
		err = -ENOENT;
	if (!err)
		err = find_index(fs, tree, dir, name, len, &e);
	if (!err)
		*out = e;
	return err;
}

int btrfs_name_get(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		   uint64_t dir, const char *name, size_t len,
		   struct btrfs_entry *out)
{
	int err = btrfs_name_check(name, len);

	if (!err)
		err = btrfs_name_find(fs, tree, dir, name, len, out);
	if (err == -ENOENT || err == -EINVAL || err == -ENAMETOOLONG)
		btrfs_name_fail(fs, err, name, len);
	return err;
}

int btrfs_name_room(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t dir, const char *name, size_t len)
{
	return btrfs_pack_room(fs, tree, item_key(dir, name, len),
			       sizeof(struct btrfs_dir_item) + len);
}

int btrfs_name_may_add(struct r3_btrfs *fs, const struct btrfs_node *dir,
		       const char *name, size_t len)
{
	struct btrfs_cursor c;
	int err = btrfs_name_check(name, len);

	if (!err && !le32(dir->item.nlink))
		err = -ENOENT;
	if (err)
		return btrfs_name_fail(fs, err, name, len);
	btrfs_cursor_init(&c, fs, dir->tree->root);
	err = btrfs_cursor_find(&c, item_key(dir->ino, name, len));
	if (!err) {
		struct r3_span s = { c.data, c.size };

		if (btrfs_dir_item_pick(s, name, len))
			err = -EEXIST;
		else if (c.size + sizeof(struct btrfs_dir_item) + len >
			 btrfs_item_max(fs))
			err = -EOVERFLOW;
		if (err)
			btrfs_name_fail(fs, err, name, len);
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

int btrfs_dir_empty(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		    uint64_t ino)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_cursor_seek(&c, KEY(ino, BTRFS_DIR_ITEM, 0));
	if (!err && c.key.objectid == ino && c.key.type <= BTRFS_DIR_INDEX)
		err = btrfs_fail(fs, -ENOTEMPTY, "directory %llu is not empty",
				 (unsigned long long)ino);
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* ---- changing ----------------------------------------------------------- */

/* The directory's own part in a change of its entries. */
static int dir_changed(struct r3_btrfs *fs, struct btrfs_node *dir,
		       uint64_t size)
{
	dir->item.size = to_le64(size);
	btrfs_now(fs, &dir->item.mtime);
	dir->item.ctime = dir->item.mtime;
	return btrfs_node_put(fs, dir, false);
}

int btrfs_name_add(struct r3_btrfs *fs, struct btrfs_node *dir,
		   const char *name, size_t len, struct btrfs_entry *entry)
{
	uint8_t buf[sizeof(struct btrfs_dir_item) + BTRFS_NAME_MAX];
	size_t size = sizeof(struct btrfs_dir_item) + len;
	struct btrfs_dir_item *d = (void *)buf;
	int err = btrfs_node_next_index(fs, dir, &entry->index);

	if (err)
		return err;
	*d = (struct btrfs_dir_item){
		.location = btrfs_key_put(entry->location),
		.transid = to_le64(btrfs_transid(fs)),
		.name_len = to_le16((uint16_t)len),
		.type = entry->type,
	};
	memcpy(d + 1, name, len);
	err = btrfs_pack_add(fs, dir->tree, item_key(dir->ino, name, len), buf,
			     size);
	if (!err)
		err = btrfs_item_insert(fs, dir->tree,
					KEY(dir->ino, BTRFS_DIR_INDEX,
					    entry->index),
					buf, (uint32_t)size, NULL);
	return err ? err : dir_changed(fs, dir, le64(dir->item.size) + 2 * len);
}

static int cut_dir_item(struct r3_btrfs *fs, struct btrfs_tree *tree,
			struct btrfs_key key, const char *name, size_t len)
{
	const struct btrfs_dir_item *d;
	struct btrfs_spot spot;
	int err = btrfs_item_edit(fs, tree, key, &spot);

	if (err)
		return err;
	d = btrfs_dir_item_pick((struct r3_span){ spot.data, spot.size }, name,
				len);
	if (!d)
		return -ENOENT;
	return btrfs_pack_cut(fs, tree, key,
			      (size_t)((const uint8_t *)d - spot.data),
			      btrfs_dir_item_size(d));
}

int btrfs_name_remove(struct r3_btrfs *fs, struct btrfs_node *dir,
		      const char *name, size_t len,
		      const struct btrfs_entry *entry)
{
	uint64_t size = le64(dir->item.size);
	int err = cut_dir_item(fs, dir->tree, item_key(dir->ino, name, len),
			       name, len);

	if (!err)
		err = btrfs_item_delete(fs, dir->tree,
					KEY(dir->ino, BTRFS_DIR_INDEX,
					    entry->index));
	return err ? err : dir_changed(fs, dir, size - r3_min(size, 2 * len));
}
