// SPDX-License-Identifier: GPL-2.0-or-later
/* extent.c - a file's extent items: found, read, made */
#include "extent.h"

struct btrfs_key btrfs_fx_key(uint64_t ino, uint64_t off)
{
	return KEY(ino, BTRFS_EXTENT_DATA, off);
}

void btrfs_fx_get(const struct btrfs_cursor *c, struct btrfs_fx *out)
{
	const struct btrfs_file_extent_reg *r = c->data;
	const struct btrfs_file_extent *h = &r->head;

	*out = (struct btrfs_fx){
		.start = c->key.offset,
		.ram_len = le64(h->ram_bytes),
		.generation = le64(h->generation),
		.type = h->type,
		.compression = h->compression,
	};
	if (h->type == BTRFS_FILE_INLINE) {
		out->len = btrfs_sectors(r3_max(out->ram_len, 1));
		return;
	}
	out->len = le64(r->num_bytes);
	out->logical = le64(r->disk_bytenr);
	out->disk_len = le64(r->disk_num_bytes);
	out->offset = le64(r->offset);
}

/* What going there has found, after @err: an extent of @ino, or -ENOENT. */
static int fx_here(const struct btrfs_cursor *c, uint64_t ino, int err,
		   struct btrfs_fx *out)
{
	if (!err && (c->key.objectid != ino ||
		     c->key.type != BTRFS_EXTENT_DATA))
		err = -ENOENT;
	if (!err)
		btrfs_fx_get(c, out);
	return err;
}

int btrfs_fx_seek(struct btrfs_cursor *c, uint64_t ino, uint64_t off,
		  struct btrfs_fx *out)
{
	struct btrfs_key key = btrfs_fx_key(ino, off);
	struct btrfs_fx x;
	int err = btrfs_cursor_seek_back(c, key);

	if (!err && c->key.objectid == ino &&
	    c->key.type == BTRFS_EXTENT_DATA) {
		btrfs_fx_get(c, &x);
		if (btrfs_fx_end(&x) <= off)
			return btrfs_fx_next(c, out);
		*out = x;
		return 0;
	}
	if (err && err != -ENOENT)
		return err;
	return fx_here(c, ino, btrfs_cursor_seek(c, key), out);
}

int btrfs_fx_next(struct btrfs_cursor *c, struct btrfs_fx *out)
{
	uint64_t ino = c->key.objectid;

	return fx_here(c, ino, btrfs_cursor_next(c), out);
}

int btrfs_fx_find(struct r3_btrfs *fs, const struct btrfs_tree *tree,
		  uint64_t ino, uint64_t off, struct btrfs_fx *out)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, fs, tree->root);
	err = btrfs_fx_seek(&c, ino, off, out);
	btrfs_cursor_fini(&c);
	return err;
}

struct btrfs_file_extent_reg btrfs_fx_put(const struct btrfs_fx *x)
{
	return (struct btrfs_file_extent_reg){
		.head = { .generation = to_le64(x->generation),
			  .ram_bytes = to_le64(x->ram_len),
			  .compression = x->compression,
			  .type = x->type },
		.disk_bytenr = to_le64(x->logical),
		.disk_num_bytes = to_le64(x->disk_len),
		.offset = to_le64(x->offset),
		.num_bytes = to_le64(x->len),
	};
}

struct btrfs_ref btrfs_fx_ref(const struct btrfs_node *node,
			      const struct btrfs_fx *x)
{
	return (struct btrfs_ref){
		.bytenr = x->logical,
		.len = x->disk_len,
		.root = node->tree->root->id,
		.ino = node->ino,
		.off = x->start - x->offset,
		.data = true,
	};
}
