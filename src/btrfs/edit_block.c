// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * edit_block.c - items and pointers within one block: in, out, resized, moved
 *
 * The table of items grows from the block's start and their data from its end
 * down, in the same order, without a hole between the data of two.
 */
#include "edit.h"

/* ---- leaves -------------------------------------------------------------- */

/* Where the data of items from @slot on ends: above it lies that of others. */
static uint32_t data_end(const struct r3_btrfs *fs,
			 const struct btrfs_block *leaf, unsigned slot)
{
	return slot ? le32(btrfs_item_at(leaf, slot - 1)->offset) :
		      btrfs_leaf_room(fs);
}

/* Bytes that the items [from, to) take, with their places in the table. */
static uint32_t items_size(const struct r3_btrfs *fs,
			   const struct btrfs_block *leaf, unsigned from,
			   unsigned to)
{
	return data_end(fs, leaf, from) - data_end(fs, leaf, to) +
	       (to - from) * (uint32_t)sizeof(struct btrfs_item);
}

uint32_t btrfs_leaf_free(const struct r3_btrfs *fs,
			 const struct btrfs_block *leaf)
{
	return btrfs_leaf_room(fs) - items_size(fs, leaf, 0, leaf->nritems);
}

/* The data of items from @slot on, below @end, moves by @delta bytes: down, to
 * where room is, or up when it is negative. */
static void data_shift(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		       unsigned slot, uint32_t end, int64_t delta)
{
	uint8_t *base = leaf->data + sizeof(struct btrfs_header);
	uint32_t low = data_end(fs, leaf, leaf->nritems);

	if (!delta)
		return;
	memmove(base + low - delta, base + low, end - low);
	for (unsigned i = slot; i < leaf->nritems; i++) {
		struct btrfs_item *item = btrfs_item(leaf, i);

		item->offset = to_le32((uint32_t)(le32(item->offset) - delta));
	}
}

void btrfs_leaf_open(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		     unsigned slot, const struct btrfs_key *keys, unsigned n,
		     uint32_t size)
{
	uint32_t end = data_end(fs, leaf, slot);
	struct btrfs_item *item = btrfs_item(leaf, slot);

	data_shift(fs, leaf, slot, end, (int64_t)n * size);
	memmove(item + n, item, (leaf->nritems - slot) * sizeof(*item));
	for (unsigned i = 0; i < n; i++) {
		end -= size;
		item[i] = (struct btrfs_item){ btrfs_key_put(keys[i]),
					       to_le32(end), to_le32(size) };
	}
	leaf->nritems = leaf->nritems + n;
}

void btrfs_leaf_remove(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		       unsigned slot, unsigned n)
{
	uint32_t end = data_end(fs, leaf, slot + n);
	int64_t size = data_end(fs, leaf, slot) - end;
	struct btrfs_item *item = btrfs_item(leaf, slot);

	data_shift(fs, leaf, slot + n, end, -size);
	memmove(item, item + n,
		(leaf->nritems - slot - n) * sizeof(*item));
	leaf->nritems = leaf->nritems - n;
}

void btrfs_leaf_resize(const struct r3_btrfs *fs, struct btrfs_block *leaf,
		       unsigned slot, uint32_t size)
{
	uint8_t *base = leaf->data + sizeof(struct btrfs_header);
	struct btrfs_item *item = btrfs_item(leaf, slot);
	uint32_t at = le32(item->offset), old = le32(item->size);

	if (size > old) {
		data_shift(fs, leaf, slot, at + old, size - old);
		memset(base + le32(item->offset) + old, 0, size - old);
	} else {
		memmove(base + at + old - size, base + at, size);
		data_shift(fs, leaf, slot + 1, at, (int64_t)size - old);
		item->offset = to_le32(at + old - size);
	}
	item->size = to_le32(size);
}

void btrfs_items_append(const struct r3_btrfs *fs, struct btrfs_block *to,
			const struct btrfs_block *from, unsigned slot)
{
	const size_t head = sizeof(struct btrfs_header);
	unsigned n = from->nritems - slot, at = to->nritems;
	uint32_t low = data_end(fs, from, from->nritems);
	uint32_t end = data_end(fs, from, slot);
	uint32_t to_end = data_end(fs, to, at);

	memcpy(to->data + head + to_end - (end - low), from->data + head + low,
	       end - low);
	memcpy(btrfs_item(to, at), btrfs_item_at(from, slot),
	       n * sizeof(struct btrfs_item));
	for (unsigned i = at; i < at + n; i++) {
		struct btrfs_item *item = btrfs_item(to, i);

		item->offset = to_le32(le32(item->offset) + to_end - end);
	}
	to->nritems = at + n;
}

struct btrfs_cut btrfs_leaf_cut(const struct r3_btrfs *fs,
				const struct btrfs_block *leaf, unsigned slot,
				uint32_t more, bool fresh)
{
	uint32_t all = items_size(fs, leaf, 0, leaf->nritems);
	uint32_t best = UINT32_MAX, max = btrfs_leaf_room(fs);
	struct btrfs_cut cut = { slot ? slot : !fresh, slot > 0 && !fresh };

	if (fresh && slot == leaf->nritems)
		return (struct btrfs_cut){ slot, true }; /* keys only grow */
	for (unsigned k = !fresh; k < leaf->nritems; k++) {
		uint32_t low = items_size(fs, leaf, 0, k), high = all - low;

		for (unsigned right = 0; right < 2; right++) {
			uint32_t l = low + (right ? 0 : more);
			uint32_t h = high + (right ? more : 0);
			uint32_t diff = l > h ? l - h : h - l;
			bool fits = l <= max && h <= max && diff < best;

			if (!fits || (right ? k > slot || !k
					    : k < slot + !fresh))
				continue;
			best = diff;
			cut = (struct btrfs_cut){ k, right };
		}
	}
	return cut;
}

/* ---- nodes --------------------------------------------------------------- */

void btrfs_ptr_insert(struct btrfs_block *node, unsigned slot,
		      struct btrfs_key key, const struct btrfs_block *child)
{
	struct btrfs_key_ptr *p = btrfs_ptr(node, slot);

	memmove(p + 1, p, (node->nritems - slot) * sizeof(*p));
	*p = (struct btrfs_key_ptr){ btrfs_key_put(key),
				     to_le64(child->logical),
				     to_le64(child->generation) };
	node->nritems = node->nritems + 1;
}

void btrfs_ptr_remove(struct btrfs_block *node, unsigned slot)
{
	struct btrfs_key_ptr *p = btrfs_ptr(node, slot);

	memmove(p, p + 1, (node->nritems - slot - 1) * sizeof(*p));
	node->nritems = node->nritems - 1;
}

void btrfs_ptrs_append(struct btrfs_block *to, const struct btrfs_block *from,
		       unsigned slot)
{
	unsigned n = from->nritems - slot;

	memcpy(btrfs_ptr(to, to->nritems), btrfs_ptr_at(from, slot),
	       n * sizeof(struct btrfs_key_ptr));
	to->nritems = to->nritems + n;
}

/* ---- either -------------------------------------------------------------- */

bool btrfs_fits_in(const struct r3_btrfs *fs, const struct btrfs_block *from,
		   const struct btrfs_block *to)
{
	if (to->level)
		return from->nritems + to->nritems <= btrfs_node_room(fs);
	return items_size(fs, from, 0, from->nritems) <=
	       btrfs_leaf_free(fs, to);
}
