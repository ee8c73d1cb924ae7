/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs_base.h - small volumes with some of everything, and damage to them
 *
 * A volume lies in a private mapping whose changes are thrown away after each
 * run.  Damage is done to items, in all copies of a block: what results mostly
 * passes the checks of a single block, and is wrong about other blocks.
 */
#ifndef FUZZ_BTRFS_BASE_H
#define FUZZ_BTRFS_BASE_H

#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/btrfs/priv.h"

enum { PLACES_MAX = 2000, BASE_FILES = 40 };

struct place { /* of a tree block */
	uint64_t logical, physical[2];
	unsigned copies;
};

struct base {
	const char *name;
	uint32_t nodesize;
	size_t size;
	const char *csum;
	unsigned compression;
	bool groups, quota; /* a block group tree; quotas */
	uint8_t *bytes;
	struct place places[PLACES_MAX];
	unsigned place_count;
};

static struct base bases[] = {
	{ "4k", 4096, 40 << 20, "crc32c", 3, false, true, NULL, {}, 0 },
	{ "4k groups", 4096, 40 << 20, "xxhash64", 0, true, false, NULL, {},
	  0 },
	{ "16k", 16384, 64 << 20, "crc32c", 1, true, true, NULL, {}, 0 },
	{ "64k", 65536, 160 << 20, "crc32c", 2, false, false, NULL, {}, 0 },
};

static void must(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "%s: %d\n", what, err);
		abort();
	}
}

static void base_now(struct timespec *out)
{
	*out = (struct timespec){ 1700000000, 0 };
}

static uint64_t base_seed;

static void base_random(void *out, size_t len)
{
	uint8_t *p = out;

	while (len--) {
		base_seed = base_seed * UINT64_C(6364136223846793005) + 1;
		*p++ = (uint8_t)(base_seed >> 56);
	}
}

static int base_open(const struct base *b, struct r3_btrfs_dev *dev,
		     bool write, struct r3_btrfs **fs,
		     struct r3_btrfs_why *why)
{
	struct r3_btrfs_options o = { .write = write, .ignore_csum = true,
				      .cache_bytes = 1 << 20,
				      .compression = b->compression,
				      .now = base_now, .random = base_random };

	return r3_btrfs_open(dev, &o, fs, why);
}

/* ---- what is on a volume -------------------------------------------------*/

static struct r3_btrfs_inode base_make(struct r3_btrfs *fs,
				       struct r3_btrfs_inode dir,
				       const char *name, mode_t mode)
{
	struct r3_btrfs_new what = { .mode = mode, .target = "leads/there" };
	struct r3_btrfs_inode in;

	must(r3_btrfs_make(fs, dir, name, strlen(name), &what, &in), name);
	return in;
}

static uint8_t base_data[1 << 18]; /* random in its first half */

/* Data of every kind; one extent with more references than fit in an item. */
static void fill_data(struct r3_btrfs *fs, struct r3_btrfs_inode dir)
{
	struct r3_btrfs_inode file, to;
	char name[32];

	file = base_make(fs, dir, "plain", S_IFREG | 0644);
	must(r3_btrfs_write(fs, file, 0, base_data, 40000), "plain");
	to = base_make(fs, dir, "packed", S_IFREG | 0644);
	must(r3_btrfs_write(fs, to, 0, base_data + (1 << 17), 100000),
	     "packed");
	to = base_make(fs, dir, "inline", S_IFREG | 0644);
	must(r3_btrfs_write(fs, to, 0, base_data, 300), "inline");
	to = base_make(fs, dir, "prealloc", S_IFREG | 0644);
	must(r3_btrfs_fallocate(fs, to, 0, 0, 60000), "prealloc");
	must(r3_btrfs_write(fs, to, 8192, base_data, 4096), "prealloc");
	for (unsigned i = 0; i < BASE_FILES; i++) {
		snprintf(name, sizeof(name), "clone%u", i);
		to = base_make(fs, dir, name, S_IFREG | 0644);
		must(r3_btrfs_clone(fs, file, 4096, 8192, to, i * 4096),
		     "clone");
	}
}

/* Names, attributes, and as many holes in the free space as names. */
static void fill_names(struct r3_btrfs *fs, struct r3_btrfs_inode dir)
{
	struct r3_btrfs_inode file, sub;
	char name[200];

	sub = base_make(fs, dir, "dir", S_IFDIR | 0755);
	base_make(fs, sub, "deeper", S_IFDIR | 0755);
	base_make(fs, dir, "link", S_IFLNK | 0777);
	for (unsigned i = 0; i < BASE_FILES; i++) {
		memset(name, 'n', sizeof(name));
		snprintf(name + 150, 50, "%u", i);
		file = base_make(fs, sub, name, S_IFREG | 0644);
		must(r3_btrfs_write(fs, file, 0, base_data, 4096), "write");
		if (i % 2)
			must(r3_btrfs_setxattr(fs, file, "user.x", 6,
					       base_data, i * 20, 0), "xattr");
		if (i % 8 == 0)
			must(r3_btrfs_link(fs, file, dir, name, strlen(name)),
			     "link");
	}
	for (unsigned i = 1; i < BASE_FILES; i += 2) {
		memset(name, 'n', sizeof(name));
		snprintf(name + 150, 50, "%u", i);
		if (i % 3)
			must(r3_btrfs_unlink(fs, sub, name, strlen(name)),
			     "unlink");
	}
	for (unsigned i = 0; i < 30; i++) { /* more than INODE_REF holds */
		memset(name, 'l', sizeof(name));
		snprintf(name + 190, 10, "%u", i);
		must(r3_btrfs_link(fs, file, sub, name, strlen(name)), "link");
	}
}

static const struct r3_btrfs_inode base_top = { R3_BTRFS_TOP,
						R3_BTRFS_ROOT_INO };

static uint64_t base_snapshot(struct r3_btrfs *fs, uint64_t id,
			      const char *name, bool readonly)
{
	uint64_t out;

	must(r3_btrfs_snapshot(fs, id, base_top, name, strlen(name), readonly,
			       NULL, &out), name);
	return out;
}

/* Snapshots that share blocks, with changes on both sides. */
static void fill_subvols(struct r3_btrfs *fs, uint64_t id)
{
	struct r3_btrfs_inode dir = { id, R3_BTRFS_ROOT_INO }, in;
	uint64_t snap, dead, nested;

	snap = base_snapshot(fs, id, "snap", false);
	base_snapshot(fs, id, "ro", true);
	dead = base_snapshot(fs, id, "dead", false);
	must(r3_btrfs_subvol_create(fs, dir, "nested", 6, NULL, &nested),
	     "nested");
	base_make(fs, (struct r3_btrfs_inode){ nested, R3_BTRFS_ROOT_INO },
		  "file", S_IFREG | 0600);
	must(r3_btrfs_sync(fs), "sync");
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = { "n1", "n2", "n3" };
		uint64_t of = (const uint64_t[]){ id, snap, dead }[i];

		dir.subvol = of;
		in = base_make(fs, dir, names[i], S_IFREG | 0600);
		must(r3_btrfs_write(fs, in, 0, base_data, 30000), "write");
	}
	must(r3_btrfs_subvol_delete(fs, dead), "delete");
}

static void fill_quota(struct r3_btrfs *fs, uint64_t id)
{
	uint64_t high = R3_BTRFS_QGROUP(1, 1), top = R3_BTRFS_QGROUP(2, 7);

	must(r3_btrfs_quota_enable(fs), "quota");
	must(r3_btrfs_qgroup_create(fs, high), "group");
	must(r3_btrfs_qgroup_create(fs, top), "group");
	must(r3_btrfs_qgroup_assign(fs, id, high), "assign");
	must(r3_btrfs_qgroup_assign(fs, high, top), "assign");
	must(r3_btrfs_qgroup_limit(fs, top, 30 << 20, R3_BTRFS_QGROUP_NONE),
	     "limit");
}

/* An inode without a name, and a subvolume half given back. */
static void fill_halves(struct r3_btrfs *fs, uint64_t id)
{
	struct r3_btrfs_inode dir = { id, R3_BTRFS_ROOT_INO }, in;
	bool more;

	in = base_make(fs, dir, "orphan", S_IFREG | 0600);
	must(r3_btrfs_write(fs, in, 0, base_data, 50000), "orphan");
	must(r3_btrfs_hold(fs, in), "hold");
	must(r3_btrfs_unlink(fs, dir, "orphan", 6), "orphan");
	must(r3_btrfs_sync(fs), "sync");
	must(r3_btrfs_clean(fs, 2, &more), "clean");
	must(r3_btrfs_sync(fs), "sync");
}

static void fill(struct base *b, struct r3_btrfs_dev *dev)
{
	struct r3_btrfs_inode dir = { 0, R3_BTRFS_ROOT_INO };
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	must(base_open(b, dev, true, &fs, &why), "open");
	must(r3_btrfs_subvol_create(fs, base_top, "sub", 3, NULL,
				    &dir.subvol), "sub");
	if (b->quota)
		fill_quota(fs, dir.subvol);
	fill_data(fs, dir);
	fill_names(fs, dir);
	must(r3_btrfs_sync(fs), "sync");
	fill_subvols(fs, dir.subvol);
	fill_halves(fs, dir.subvol);
	r3_btrfs_close(fs);
}

/* ---- where its blocks are ------------------------------------------------*/

static void add_place(struct base *b, const struct r3_btrfs *fs,
		      uint64_t logical)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, logical);
	struct place *p = &b->places[b->place_count++];

	must(b->place_count == PLACES_MAX, "too many blocks");
	p->logical = logical;
	p->copies = m->copies;
	for (unsigned i = 0; i < m->copies; i++)
		p->physical[i] = m->physical[i] + logical - m->logical;
}

static void find_places(struct base *b, struct r3_btrfs_dev *dev)
{
	struct r3_btrfs_why why;
	struct btrfs_cursor c;
	struct r3_btrfs *fs;
	int err;

	must(base_open(b, dev, false, &fs, &why), "open");
	btrfs_cursor_init(&c, fs, &fs->extent);
	for (err = btrfs_cursor_seek(&c, KEY(0, 0, 0)); !err;
	     err = btrfs_cursor_next(&c)) {
		if (c.key.type == BTRFS_METADATA_ITEM)
			add_place(b, fs, c.key.objectid);
	}
	btrfs_cursor_fini(&c);
	r3_btrfs_close(fs);
}

static void base_prepare(struct base *b)
{
	struct r3_btrfs_mkfs_options o = { .size = b->size, .csum = b->csum,
					   .nodesize = b->nodesize,
					   .block_group_tree = b->groups };
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;
	int fd = memfd_create("base", 0);

	base_random(base_data, sizeof(base_data) / 2);
	must(ftruncate(fd, (off_t)b->size), "memory");
	b->bytes = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	must(r3_btrfs_dev_mem(b->bytes, b->size, &dev), "device");
	must(r3_btrfs_mkfs(dev, &o, &r, &why), "mkfs");
	fill(b, dev);
	find_places(b, dev);
	r3_btrfs_dev_close(dev);
	munmap(b->bytes, b->size);
	b->bytes = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
			0);
	close(fd);
}

static void base_reset(struct base *b)
{
	madvise(b->bytes, b->size, MADV_DONTNEED);
}

/* ---- damage --------------------------------------------------------------*/

struct damage { /* as in the input, 8 bytes */
	uint8_t block[2], kind, slot, at[2], value[2];
};

/* A block's items, or a node's pointers. */
struct items {
	uint8_t *block, *data;
	uint32_t count, size; /* size: of the item's data */
	struct btrfs_disk_key *key;
	size_t each; /* bytes of an item's head, or of a pointer */
	unsigned slot;
};

/* False: there is none. */
static bool items_at(const struct base *b, uint8_t *block, unsigned slot,
		     struct items *out)
{
	struct btrfs_header *h = (void *)block;
	struct btrfs_item *item;
	uint32_t max, off;

	*out = (struct items){ .block = block, .count = le32(h->nritems) };
	out->each = h->level ? sizeof(struct btrfs_key_ptr)
			     : sizeof(struct btrfs_item);
	max = (uint32_t)((b->nodesize - sizeof(*h)) / out->each);
	if (!out->count || out->count > max)
		return false;
	out->slot = slot % out->count;
	out->key = (void *)(block + sizeof(*h) + out->each * out->slot);
	if (h->level) {
		out->data = (uint8_t *)(out->key + 1);
		out->size = 16;
		return true;
	}
	item = (void *)out->key;
	off = le32(item->offset);
	out->size = le32(item->size);
	out->data = block + sizeof(*h) + off;
	return off < b->nodesize && out->size <= b->nodesize &&
	       off + out->size + sizeof(*h) <= b->nodesize;
}

static void add_le64(uint8_t *p, uint64_t n)
{
	uint64_t v;

	memcpy(&v, p, 8);
	v += n;
	memcpy(p, &v, 8);
}

static void cut_item(const struct items *i)
{
	struct btrfs_header *h = (void *)i->block;
	uint8_t *p = (uint8_t *)i->key;

	memmove(p, p + i->each, (i->count - i->slot - 1) * i->each);
	h->nritems = to_le32(i->count - 1);
}

/* Another item's content, as much as fits. */
static void copy_item(const struct base *b, const struct items *i,
		      unsigned slot)
{
	struct items from;

	if (items_at(b, i->block, slot, &from))
		memmove(i->data, from.data, r3_min(i->size, from.size));
}

static void damage_block(const struct base *b, uint8_t *block,
			 const struct damage *d)
{
	unsigned at = d->at[0] | d->at[1] << 8;
	unsigned value = d->value[0] | d->value[1] << 8;
	uint64_t number = (uint64_t)(int64_t)(int16_t)value;
	struct items i;

	if (d->kind % 12 == 0)
		block[at % b->nodesize] ^= d->value[0];
	if (!items_at(b, block, d->slot, &i))
		return;
	switch (d->kind % 12) {
	case 1:
		if (i.size)
			i.data[at % i.size] ^= d->value[0];
		break;
	case 2:
	case 3:
		if (i.size >= 8)
			add_le64(i.data + at % (i.size - 7),
				 d->kind % 12 == 2 ? number : number << 12);
		break;
	case 4:
		if (i.size >= 8)
			memcpy(i.data + at % (i.size - 7),
			       &b->places[value % b->place_count].logical, 8);
		break;
	case 5:
		cut_item(&i);
		break;
	case 6:
		copy_item(b, &i, at);
		break;
	case 7:
	case 8:
		add_le64(i.key->offset.b,
			 d->kind % 12 == 7 ? number : number << 12);
		break;
	case 9:
		add_le64(i.key->objectid.b, number);
		break;
	case 10:
		i.key->type = (uint8_t)value;
		break;
	case 11:
		if (i.size >= 8) {
			number = value;
			memcpy(i.data + at % (i.size - 7), &number, 8);
		}
		break;
	}
}

static void base_trace(const struct base *b, uint64_t at,
		       const struct damage *d)
{
	const struct btrfs_header *h = (void *)(b->bytes + at);
	struct items i;

	if (items_at(b, b->bytes + at, d->slot, &i))
		fprintf(stderr, "damage %u at %u to tree %s, level %u, %s of "
			"%u bytes\n", d->kind % 12, d->at[0] | d->at[1] << 8,
			btrfs_tree_text(le64(h->owner)).s, h->level,
			btrfs_key_text(btrfs_key_get(i.key)).s, i.size);
}

/* What a check can't tell from what is right: how old a tree's last snapshot
 * is, and what is left of one half deleted. */
static bool is_beyond_check(const struct base *b, uint64_t at,
			    const struct damage *d)
{
	struct items i;

	return items_at(b, b->bytes + at, d->slot, &i) &&
	       i.key->type == BTRFS_ROOT_ITEM;
}

/* True: it is for a check to find, if it harms. */
static inline bool base_damage(struct base *b, const struct damage *d)
{
	unsigned n = (d->block[0] | d->block[1] << 8) % (b->place_count + 1);
	bool plain;

	if (n == b->place_count) {
		b->bytes[btrfs_super_offsets[0] +
			 (d->at[0] | d->at[1] << 8) % BTRFS_SUPER_SIZE] ^=
			d->value[0];
		return true;
	}
	plain = !is_beyond_check(b, b->places[n].physical[0], d);
	if (getenv("R3_FUZZ_TRACE"))
		base_trace(b, b->places[n].physical[0], d);
	for (unsigned i = 0; i < b->places[n].copies; i++)
		damage_block(b, b->bytes + b->places[n].physical[i], d);
	return plain;
}

#endif
