/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edit_model.h - an image whose trees are changed at random, and a model
 *
 * The items are extended attributes of a subvolume's root directory, or of
 * files in it: real ones, so that every checker knows them.  With a folder as
 * argument the images are left there, for btrfs check
 * (tests/interop/btrfs/edit.py); a second argument is a seed.
 */
#ifndef TEST_BTRFS_EDIT_MODEL_H
#define TEST_BTRFS_EDIT_MODEL_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "trans.h"

enum { SIZE = 96 << 20, ITEMS = 4000, ROOTS = 8, FILES = 100 };

static const char *keep; /* folder for images */
static uint64_t seed = 88172645463325252;

struct item {
	bool there;
	uint16_t len;	/* of the value */
	uint8_t fill;
};

struct model {
	uint64_t id; /* of the subvolume */
	struct item items[ITEMS];
};

struct vol {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	size_t size;
	unsigned inodes; /* that have items */
	unsigned max_len;
	struct model m[ROOTS];
	unsigned models;
	uint64_t seed;
	unsigned problems;
	char first[512];
};

static inline uint64_t rnd(struct vol *v, uint64_t below)
{
	v->seed ^= v->seed << 13;
	v->seed ^= v->seed >> 7;
	v->seed ^= v->seed << 17;
	return v->seed % below;
}

static inline void ok(struct vol *v, int err)
{
	if (err)
		fail_msg("%s: %s", strerror(-err), r3_btrfs_why(v->fs));
}

static inline void vol_open(struct vol *v)
{
	/* the smallest cache: what is changed does not fit */
	struct r3_btrfs_options o = { .write = true, .cache_bytes = 1 };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(v->dev, &o, &v->fs, &why))
		fail_msg("%s", why.text);
}

static inline void problem(void *arg, const char *text)
{
	struct vol *v = arg;

	if (!v->problems++)
		snprintf(v->first, sizeof(v->first), "%s", text);
}

static inline void vol_check(struct vol *v)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem,
					    .arg = v };
	struct r3_btrfs_check_result r;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	if (r3_btrfs_open(v->dev, NULL, &fs, &why))
		fail_msg("%s", why.text);
	if (r3_btrfs_check(fs, &o, &r))
		fail_msg("%s", r3_btrfs_why(fs));
	r3_btrfs_close(fs);
	if (v->problems)
		fail_msg("%u problems; %s", v->problems, v->first);
}

static inline void vol_reopen(struct vol *v)
{
	r3_btrfs_close(v->fs);
	vol_check(v);
	vol_open(v);
}

static inline void vol_init(struct vol *v, size_t size, uint32_t nodesize,
			    bool bgt, const char *dir)
{
	struct r3_btrfs_mkfs_options o = { .size = size, .nodesize = nodesize,
					   .block_group_tree = bgt,
					   .rootdir = dir };
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	memset(v, 0, sizeof(*v));
	v->seed = seed;
	v->size = size;
	v->inodes = dir ? FILES + 1 : 1;
	v->bytes = calloc(1, size);
	assert_int_equal(r3_btrfs_dev_mem(v->bytes, size, &v->dev), 0);
	if (r3_btrfs_mkfs(v->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	v->max_len = nodesize - 101 - 25 - 30 - 11;
	v->m[0].id = R3_BTRFS_TOP;
	v->models = 1;
	vol_open(v);
}

static inline void vol_fini(struct vol *v, const char *name)
{
	char path[256];
	int fd;

	r3_btrfs_close(v->fs);
	vol_check(v);
	if (keep) {
		snprintf(path, sizeof(path), "%s/%s.img", keep, name);
		fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		assert_int_equal(write(fd, v->bytes, v->size), v->size);
		close(fd);
	}
	r3_btrfs_dev_close(v->dev);
	free(v->bytes);
}

/* ---- items --------------------------------------------------------------- */

static inline unsigned item_name(unsigned i, char *name)
{
	return (unsigned)sprintf(name, "user.%06u", i);
}

static inline struct btrfs_key item_key(const struct vol *v, unsigned i)
{
	char name[16];
	unsigned len = item_name(i, name);

	return KEY(R3_BTRFS_ROOT_INO + i % v->inodes, BTRFS_XATTR_ITEM,
		   btrfs_name_hash(name, len));
}

static inline void item_fill(struct vol *v, struct btrfs_spot *spot,
			     unsigned i, const struct item *item)
{
	struct btrfs_dir_item *d = (void *)spot->data;
	unsigned len;
	char name[16];

	len = item_name(i, name);
	*d = (struct btrfs_dir_item){
		.transid = to_le64(btrfs_transid(v->fs)),
		.data_len = to_le16(item->len),
		.name_len = to_le16((uint16_t)len), .type = BTRFS_FT_XATTR,
	};
	memcpy(d + 1, name, len);
	memset((char *)(d + 1) + len, item->fill, item->len);
}

static inline uint32_t item_size(const struct item *item)
{
	return (uint32_t)sizeof(struct btrfs_dir_item) + 11 + item->len;
}

static inline uint16_t random_len(struct vol *v)
{
	switch (rnd(v, 8)) {
	case 0:
		return (uint16_t)v->max_len;
	case 1:
		return (uint16_t)rnd(v, v->max_len + 1);
	default:
		return (uint16_t)rnd(v, 100);
	}
}

/* -ENOSPC, when it begins. */
static inline int change_to(struct vol *v, struct model *m, unsigned i,
			    uint16_t len)
{
	struct item *item = &m->items[i];
	struct btrfs_tree *tree;
	struct btrfs_spot spot;
	int err = btrfs_trans_start(v->fs, 1, BTRFS_USES);

	if (err == -ENOSPC)
		return err;
	ok(v, err);
	ok(v, btrfs_tree_get(v->fs, m->id, &tree));
	item->len = len;
	item->fill = (uint8_t)rnd(v, 256);
	if (item->there)
		ok(v, btrfs_item_resize(v->fs, tree, item_key(v, i),
					item_size(item), &spot));
	else
		ok(v, btrfs_item_insert(v->fs, tree, item_key(v, i), NULL,
					item_size(item), &spot));
	item_fill(v, &spot, i, item);
	item->there = true;
	ok(v, btrfs_trans_end(v->fs, 0));
	return 0;
}

static inline int change_away(struct vol *v, struct model *m, unsigned i)
{
	struct btrfs_tree *tree;
	int err = btrfs_trans_start(v->fs, 1, BTRFS_FREES);

	if (err == -ENOSPC)
		return err;
	ok(v, err);
	ok(v, btrfs_tree_get(v->fs, m->id, &tree));
	err = btrfs_item_delete(v->fs, tree, item_key(v, i));
	assert_int_equal(err, m->items[i].there ? 0 : -ENOENT);
	m->items[i].there = false;
	ok(v, btrfs_trans_end(v->fs, 0));
	return 0;
}

struct walk {
	const struct model *m;
	unsigned seen;
};

static inline int each(void *arg, const char *name, size_t name_len,
		const void *value, size_t len)
{
	struct walk *w = arg;
	const struct item *item;
	uint8_t want[65536];
	char text[12] = "";

	assert_int_equal(name_len, 11);
	memcpy(text, name, name_len);
	item = &w->m->items[strtoul(text + 5, NULL, 10)];
	assert_true(item->there);
	assert_int_equal(len, item->len);
	memset(want, item->fill, len);
	assert_memory_equal(value, want, len);
	w->seen++;
	return 0;
}

static inline void compare(struct vol *v)
{
	for (unsigned n = 0; n < v->models; n++) {
		struct walk w = { .m = &v->m[n] };
		unsigned want = 0;

		for (unsigned i = 0; i < v->inodes; i++)
			ok(v, r3_btrfs_each_xattr(v->fs,
				(struct r3_btrfs_inode){
					v->m[n].id, R3_BTRFS_ROOT_INO + i },
				each, &w));
		for (unsigned i = 0; i < ITEMS; i++)
			want += v->m[n].items[i].there;
		assert_int_equal(w.seen, want);
	}
}

static inline void change_some(struct vol *v, unsigned times,
			       unsigned del_of_8)
{
	for (unsigned n = 0; n < times; n++) {
		struct model *m = &v->m[rnd(v, v->models)];
		unsigned i = (unsigned)rnd(v, ITEMS);

		ok(v, rnd(v, 8) < del_of_8
			      ? change_away(v, m, i)
			      : change_to(v, m, i, random_len(v)));
	}
}

static inline void delete_all(struct vol *v, struct model *m)
{
	struct btrfs_tree *tree;
	unsigned count = 1;

	while (count) {
		ok(v, btrfs_trans_start(v->fs, 50, BTRFS_FREES));
		ok(v, btrfs_tree_get(v->fs, m->id, &tree));
		ok(v, btrfs_items_delete(v->fs, tree,
			KEY(R3_BTRFS_ROOT_INO, BTRFS_XATTR_ITEM, 0),
			KEY(R3_BTRFS_ROOT_INO, BTRFS_XATTR_ITEM, UINT64_MAX),
			50, &count));
		ok(v, btrfs_trans_end(v->fs, 0));
	}
	memset(m->items, 0, sizeof(m->items));
	assert_int_equal(tree->root->level, 0);
}

/* ---- files and snapshots ------------------------------------------------- */

static inline void make_files(char *dir)
{
	char path[64];
	FILE *f;

	strcpy(dir, "/tmp/r3btrfs-edit.XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i);
		f = fopen(path, "w");
		for (unsigned n = 0; n < 3000; n++)
			fprintf(f, "%u\n", i);
		fclose(f);
	}
}

static inline void remove_files(const char *dir)
{
	char path[64];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i);
		unlink(path);
	}
	rmdir(dir);
}

/* -ENOSPC. */
static inline int snapshot(struct vol *v)
{
	struct r3_btrfs_inode dir = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };
	struct model *from = &v->m[rnd(v, v->models)], *to;
	char name[24];
	uint64_t id;

	int err;

	if (v->models == ROOTS)
		return 0;
	sprintf(name, "snap%llu", (unsigned long long)rnd(v, 1u << 30));
	err = r3_btrfs_snapshot(v->fs, from->id, dir, name, strlen(name),
				false, NULL, &id);
	if (err)
		return err;
	to = &v->m[v->models++];
	*to = *from;
	to->id = id;
	return 0;
}

static inline int unsnapshot(struct vol *v)
{
	struct model *gone;
	bool more = true;
	int err;

	if (v->models < 3)
		return 0;
	gone = &v->m[1 + rnd(v, v->models - 1)];
	err = r3_btrfs_subvol_delete(v->fs, gone->id);
	if (err)
		return err;
	*gone = v->m[--v->models];
	for (unsigned i = 0; more && i < rnd(v, 20); i++)
		ok(v, r3_btrfs_clean(v->fs, 3, &more));
	return 0;
}

/* The image's folder and the seed from the command line. */
static inline void arguments(int argc, char **argv)
{
	keep = argc > 1 ? argv[1] : NULL;
	if (argc > 2)
		seed += strtoull(argv[2], NULL, 10);
}

#endif
