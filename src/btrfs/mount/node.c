// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * node.c - the inodes that the kernel knows
 *
 * A table that only grows, with a list of the free places in it, and a hash
 * from (subvolume, inode) to a place.
 */
#include <stdlib.h>

#include "mount.h"

enum { FIRST_ROOM = 1024 };

static uint32_t bucket_of(const struct nodes *n, struct r3_btrfs_inode in,
			  uint64_t stub)
{
	uint64_t h = (in.ino ^ in.subvol << 40 ^ stub) *
		     UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 32) & (n->bucket_count - 1);
}

static void link_in(struct nodes *n, uint32_t i)
{
	struct node *node = &n->table[i];
	uint32_t *b = &n->buckets[bucket_of(n, node->in, node->stub)];

	node->next = *b;
	*b = i;
}

static int grow(struct nodes *n)
{
	uint32_t room = n->room ? n->room * 2 : FIRST_ROOM;
	struct node *table;
	uint32_t *buckets;

	if (room <= n->room)
		return -ENOMEM;
	table = reallocarray(n->table, room, sizeof(*table));
	if (!table)
		return -ENOMEM;
	n->table = table;
	n->room = room;
	buckets = calloc(room, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	free(n->buckets);
	n->buckets = buckets;
	n->bucket_count = room;
	for (uint32_t i = FUSE_ROOT_ID; i < n->used; i++) {
		if (table[i].lookups)
			link_in(n, i);
	}
	return 0;
}

int nodes_init(struct nodes *n, struct r3_btrfs_inode root)
{
	fuse_ino_t ino;
	int err;

	*n = (struct nodes){ .used = FUSE_ROOT_ID };
	err = grow(n);
	if (!err)
		err = nodes_get(n, root, 0, &ino);
	return err;
}

void nodes_fini(struct nodes *n)
{
	free(n->table);
	free(n->buckets);
}

fuse_ino_t nodes_find(const struct nodes *n, struct r3_btrfs_inode in,
		      uint64_t stub)
{
	uint32_t i = n->buckets[bucket_of(n, in, stub)];

	while (i) {
		const struct node *node = &n->table[i];

		if (node->in.ino == in.ino && node->in.subvol == in.subvol &&
		    node->stub == stub)
			return i;
		i = node->next;
	}
	return 0;
}

int nodes_get(struct nodes *n, struct r3_btrfs_inode in, uint64_t stub,
	      fuse_ino_t *out)
{
	uint32_t i = (uint32_t)nodes_find(n, in, stub);
	int err = 0;

	if (i) {
		n->table[i].lookups++;
		*out = i;
		return 0;
	}
	if (!n->free && n->used == n->room)
		err = grow(n);
	if (err)
		return err;
	i = n->free;
	if (i)
		n->free = n->table[i].next;
	else
		i = n->used++;
	n->table[i] = (struct node){ .in = in, .stub = stub, .lookups = 1 };
	link_in(n, i);
	n->count++;
	*out = i;
	return 0;
}

struct node *nodes_at(const struct nodes *n, fuse_ino_t ino)
{
	return ino >= FUSE_ROOT_ID && ino < n->used && n->table[ino].lookups
		       ? &n->table[ino] : NULL;
}

bool nodes_put(struct nodes *n, fuse_ino_t ino, uint64_t count,
	       struct node *gone)
{
	struct node *node = nodes_at(n, ino);
	uint32_t *at;

	if (!node || ino == FUSE_ROOT_ID)
		return false;
	node->lookups -= r3_min(count, node->lookups);
	if (node->lookups)
		return false;
	*gone = *node;
	at = &n->buckets[bucket_of(n, node->in, node->stub)];
	while (*at != ino)
		at = &n->table[*at].next;
	*at = node->next;
	node->next = n->free;
	n->free = (uint32_t)ino;
	n->count--;
	return true;
}

/* FNV-1a */
uint64_t nodes_stub(struct r3_btrfs_inode dir, const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ dir.ino ^ dir.subvol << 32;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}
