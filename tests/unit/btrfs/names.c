// SPDX-License-Identifier: GPL-2.0-or-later
/* names.c - names, inodes and orphans: at random, at their limits, damaged */
#include "names_model.h"

static void test_random(void **state)
{
	struct model *m = *state;
	const char *seed = getenv("SEED");

	m->seed = seed ? (uint32_t)atol(seed) : 1;
	for (unsigned i = 1; i <= OPS; i++) {
		one(m);
		if (i % LOOK_EVERY == 0)
			look(m);
	}
}

/* More names of one hash than an item holds. */
static void test_hash_full(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct model *m = *state;
	struct r3_btrfs_inode in;
	unsigned fit = ITEM_MAX / 230;

	for (unsigned i = 0; i < LONG; i++)
		expect(m, "make", i < fit ? 0 : -EOVERFLOW,
		       r3_btrfs_make(m->fs, m->inodes[0].in, NAME(m, i), &what,
				     &in));
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, m->inodes[0].in,
					       NAME(m, 3)));
	expect(m, "make", 0, r3_btrfs_make(m->fs, m->inodes[0].in,
					   NAME(m, LONG - 1), &what, &in));
}

struct name_row {
	const char *why, *name;
	size_t len;
	int want;
};

static void test_bad_names(void **state)
{
	static const char long_name[257] = { [0 ... 255] = 'n' };
	static const struct name_row rows[] = {
		{ "empty", "", 0, -EINVAL },
		{ "dot", ".", 1, -EINVAL },
		{ "dots", "..", 2, -EINVAL },
		{ "three dots", "...", 3, 0 },
		{ "a slash", "a/b", 3, -EINVAL },
		{ "a NUL", "a\0b", 3, -EINVAL },
		{ "255 bytes", long_name, 255, 0 },
		{ "256 bytes", long_name, 256, -ENAMETOOLONG },
	};
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct model *m = *state;
	struct r3_btrfs_inode in;

	for (unsigned i = 0; i < R3_COUNT(rows); i++)
		expect(m, rows[i].why, rows[i].want,
		       r3_btrfs_make(m->fs, m->inodes[0].in, rows[i].name,
				     rows[i].len, &what, &in));
}

/* What a file's data was written with, its flags go on saying. */
static void test_flags(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_FLAGS };
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in;
	struct r3_btrfs_stat st;

	expect(m, "make", 0, r3_btrfs_make(m->fs, root, "a", 1, &what, &in));
	a.flags = UINT64_C(1) << 40;
	expect(m, "unknown", -EINVAL, r3_btrfs_setattr(m->fs, in, &a));
	a.flags = BTRFS_INODE_NODATACOW | BTRFS_INODE_NODATASUM;
	expect(m, "empty", 0, r3_btrfs_setattr(m->fs, in, &a));
	assert_int_equal(r3_btrfs_stat(m->fs, in, &st), 0);
	assert_int_equal(st.flags, a.flags);
	expect(m, "write", 0, r3_btrfs_write(m->fs, in, 0, "data", 4));
	a.flags = BTRFS_INODE_NOCOMPRESS;
	expect(m, "with data", 0, r3_btrfs_setattr(m->fs, in, &a));
	assert_int_equal(r3_btrfs_stat(m->fs, in, &st), 0);
	assert_int_equal(st.flags, BTRFS_INODE_NODATACOW |
				   BTRFS_INODE_NODATASUM |
				   BTRFS_INODE_NOCOMPRESS);
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "a", 1));
	look(m);
}

/* A volume that was opened for reading refuses, and says so. */
static void test_read_only(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE };
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in;

	r3_btrfs_close(m->fs);
	open_it(m, false);
	expect(m, "make", -EROFS, r3_btrfs_make(m->fs, root, "a", 1, &what,
						&in));
	expect(m, "setattr", -EROFS, r3_btrfs_setattr(m->fs, root, &a));
	expect(m, "setxattr", -EROFS,
	       r3_btrfs_setxattr(m->fs, root, "user.a", 6, "", 0, 0));
	expect(m, "unlink", -EROFS, r3_btrfs_unlink(m->fs, root, "a", 1));
}

/* Metadata runs out: what is refused has changed nothing, and names can still
 * be removed. */
static void test_full(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_check_options o = { .problem = problem };
	struct r3_btrfs_check_result r;
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in;
	char name[16], value[3000] = "";
	unsigned count = 0;
	int err = 0;

	while (!err) {
		snprintf(name, sizeof(name), "f%u", count);
		err = r3_btrfs_make(m->fs, root, name, strlen(name), &what,
				    &in);
		count += !err;
		if (!err)
			err = r3_btrfs_setxattr(m->fs, in, "user.x", 6, value,
						sizeof(value), 0);
	}
	expect(m, "fill", -ENOSPC, err);
	assert_true(count > 5000); /* 96 MiB, twice, an xattr a block */
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_int_equal(r.problems, 0);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	while (count--) {
		snprintf(name, sizeof(name), "f%u", count);
		expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, name,
						       strlen(name)));
	}
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	expect(m, "make", 0, r3_btrfs_make(m->fs, root, "a", 1, &what, &in));
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "a", 1));
	look(m);
}

/* An orphan item, as a kernel of before 4.19 leaves it in the middle of a
 * truncation; and others that no kernel leaves. */
static void put_orphans(struct model *m, struct r3_btrfs_inode in,
			uint64_t size)
{
	static const uint64_t odd[] = { 0, 2, R3_BTRFS_ROOT_INO, 99999,
					BTRFS_ORPHANS, UINT64_MAX };
	struct btrfs_node node;
	int err = btrfs_trans_start(m->fs, 2 + R3_COUNT(odd), BTRFS_USES);

	if (!err)
		err = btrfs_node_get(m->fs, in, &node);
	node.item.size = to_le64(size);
	if (!err)
		err = btrfs_node_put(m->fs, &node, false);
	if (!err)
		err = btrfs_item_insert(m->fs, node.tree,
					KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM,
					    in.ino), NULL, 0, NULL);
	for (unsigned i = 0; !err && i < R3_COUNT(odd); i++)
		err = btrfs_item_insert(m->fs, node.tree,
					KEY(BTRFS_ORPHANS, BTRFS_ORPHAN_ITEM,
					    odd[i]), NULL, 0, NULL);
	expect(m, "orphans", 0, btrfs_trans_end(m->fs, err));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
}

static void test_truncation_orphan(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_check_options o = { .data = true, .problem = problem };
	struct r3_btrfs_check_result r;
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in;
	static uint8_t data[1 << 20], got[sizeof(data)];
	struct r3_btrfs_stat st;
	size_t len;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rnd(m, 256);
	expect(m, "make", 0, r3_btrfs_make(m->fs, root, "t", 1, &what, &in));
	expect(m, "write", 0, r3_btrfs_write(m->fs, in, 0, data,
					     sizeof(data)));
	put_orphans(m, in, 5000);
	r3_btrfs_close(m->fs);
	open_it(m, true);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_int_equal(r.problems, 0);
	assert_int_equal(r3_btrfs_stat(m->fs, in, &st), 0);
	assert_int_equal(st.st.st_size, 5000);
	assert_int_equal(st.st.st_blocks, 16);
	assert_int_equal(r3_btrfs_read(m->fs, in, 0, got, sizeof(got), &len),
			 0);
	assert_int_equal(len, 5000);
	assert_memory_equal(got, data, len);
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "t", 1));
	look(m);
}

/* Every copy of a tree block is bad. */
static void damage(struct model *m, uint64_t block)
{
	const struct btrfs_chunk_map *c = btrfs_chunk_find(m->fs, block);

	for (unsigned i = 0; i < c->copies; i++)
		memset(m->bytes + c->physical[i] + block - c->logical, 'x',
		       m->fs->nodesize);
}

/* A file of a subvolume that only a crash ends, @data bytes long. */
static void leave_orphan(struct model *m, uint64_t subvol, size_t data)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inode root = { subvol, R3_BTRFS_ROOT_INO }, in;
	uint8_t *bytes = calloc(1, data);

	expect(m, "make", 0, r3_btrfs_make(m->fs, root, "o", 1, &what, &in));
	expect(m, "write", 0, r3_btrfs_write(m->fs, in, 0, bytes, data));
	expect(m, "hold", 0, r3_btrfs_hold(m->fs, in));
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "o", 1));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	free(bytes);
}

static unsigned orphans_in(struct model *m, uint64_t id)
{
	struct btrfs_cursor c;
	struct btrfs_root root;
	unsigned n = 0;
	int err;

	assert_int_equal(btrfs_subvol_root(m->fs, id, &root), 0);
	btrfs_cursor_init(&c, m->fs, &root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_ORPHANS, 0, 0));
	for (; !err && c.key.objectid == BTRFS_ORPHANS; n++)
		err = btrfs_cursor_next(&c);
	btrfs_cursor_fini(&c);
	return n;
}

static unsigned orphans(struct model *m)
{
	return orphans_in(m, R3_BTRFS_TOP);
}

/* What a crash left can't be removed, as the checksums of its data are
 * damaged: all else can be changed still, also by who opens it next. */
static void test_damaged_orphan(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFDIR | 0755 };
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in;
	char name[2] = "a";

	leave_orphan(m, R3_BTRFS_TOP, 100000);
	damage(m, m->fs->csum.bytenr);
	for (; *name < 'd'; ++*name) {
		r3_btrfs_close(m->fs);
		open_it(m, true);
		assert_non_null(strstr(r3_btrfs_left(m->fs), "tree csum"));
		assert_int_equal(orphans(m), 1);
		expect(m, "mkdir", 0, r3_btrfs_make(m->fs, root, name, 1,
						    &what, &in));
		expect(m, "sync", 0, r3_btrfs_sync(m->fs));
		expect(m, "snapshot", 0,
		       r3_btrfs_snapshot(m->fs, R3_BTRFS_TOP, in, "s", 1,
					 false, NULL, &in.subvol));
		expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	}
}

/* Nothing of it was changed when the damage was met: others are removed. */
static void test_lost_orphan(void **state)
{
	struct model *m = *state;
	struct btrfs_root root;
	uint64_t id;

	assert_int_equal(r3_btrfs_subvol_create(m->fs, m->inodes[0].in, "v", 1,
						NULL, &id), 0);
	leave_orphan(m, id, 10);
	leave_orphan(m, R3_BTRFS_TOP, 10);
	assert_int_equal(btrfs_subvol_root(m->fs, id, &root), 0);
	damage(m, root.bytenr);
	r3_btrfs_close(m->fs);
	open_it(m, true);
	assert_int_equal(orphans(m), 0);
}

/* In subvolumes that are read-only now they may wait, but not for ever: until
 * there is time, or the subvolume can be written again. */
static void test_readonly_orphan(void **state)
{
	struct r3_btrfs_check_options o = { .data = false };
	struct r3_btrfs_check_result res;
	struct model *m = *state;
	bool more = true;
	uint64_t id[3];

	for (unsigned i = 0; i < R3_COUNT(id); i++) {
		const char name[] = { (char)('a' + i), 0 };

		expect(m, "create", 0,
		       r3_btrfs_subvol_create(m->fs, m->inodes[0].in, name, 1,
					      NULL, &id[i]));
		leave_orphan(m, id[i], 10000);
		expect(m, "set", 0,
		       r3_btrfs_subvol_set_readonly(m->fs, id[i], true));
	}
	/* held still, by this session */
	expect(m, "clean", 0, r3_btrfs_clean(m->fs, 1000, &more));
	assert_false(more);
	for (unsigned i = 0; i < R3_COUNT(id); i++)
		assert_int_equal(orphans_in(m, id[i]), 1);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	r3_btrfs_close(m->fs);
	open_it(m, true);
	assert_int_equal(orphans_in(m, id[0]), 1);
	expect(m, "set", 0, r3_btrfs_subvol_set_readonly(m->fs, id[0], false));
	assert_int_equal(orphans_in(m, id[0]), 0);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	expect(m, "clean", 0, r3_btrfs_clean(m->fs, 1, &more));
	assert_true(more);
	assert_int_equal(orphans_in(m, id[1]), 0);
	assert_int_equal(orphans_in(m, id[2]), 1);
	expect(m, "clean", 0, r3_btrfs_clean(m->fs, 5, &more));
	assert_false(more);
	assert_int_equal(orphans_in(m, id[2]), 0);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	expect(m, "check", 0, r3_btrfs_check(m->fs, &o, &res));
	assert_int_equal(res.problems, 0);
}

struct busy {
	uint64_t ino;
	unsigned asked;
};

static bool is_busy(void *arg, struct r3_btrfs_inode in)
{
	struct busy *b = arg;

	b->asked++;
	return in.ino == b->ino;
}

/* A file without a name, until it is released. */
static void expect_held(struct model *m, struct r3_btrfs_inode in)
{
	struct r3_btrfs_stat st;

	expect(m, "stat", 0, r3_btrfs_stat(m->fs, in, &st));
	assert_int_equal(st.st.st_nlink, 0);
	assert_int_equal(orphans(m), 1);
	expect(m, "release", 0, r3_btrfs_release(m->fs, in));
	expect(m, "stat", -ENOENT, r3_btrfs_stat(m->fs, in, &st));
	assert_int_equal(orphans(m), 0);
}

/* The caller says what is in use, of what loses its last name only. */
static void test_in_use(void **state)
{
	struct busy busy = { 0 };
	struct r3_btrfs_options o = { .write = true, .in_use = is_busy,
				      .arg = &busy };
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in[3];
	struct r3_btrfs_why why;
	struct r3_btrfs_stat st;

	r3_btrfs_close(m->fs);
	assert_int_equal(r3_btrfs_open(m->dev, &o, &m->fs, &why), 0);
	for (unsigned i = 0; i < 3; i++)
		expect(m, "make", 0, r3_btrfs_make(m->fs, root, &"abc"[i], 1,
						   &what, &in[i]));
	busy.ino = in[0].ino;
	expect(m, "link", 0, r3_btrfs_link(m->fs, in[0], root, "A", 1));
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "A", 1));
	expect(m, "unlink", -ENOENT, r3_btrfs_unlink(m->fs, root, "A", 1));
	assert_int_equal(busy.asked, 0);
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "b", 1));
	assert_int_equal(busy.asked, 1);
	expect(m, "stat", -ENOENT, r3_btrfs_stat(m->fs, in[1], &st));
	expect(m, "release", -EINVAL, r3_btrfs_release(m->fs, in[1]));
	expect(m, "rename", 0, r3_btrfs_rename(m->fs, root, "c", 1, root, "a",
					       1, 0));
	assert_int_equal(busy.asked, 2);
	expect_held(m, in[0]);
	busy.ino = in[2].ino;
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "a", 1));
	assert_int_equal(busy.asked, 3);
	expect_held(m, in[2]);
}

/* A subvolume of many blocks; the one that its inode @ino lies in. */
static uint64_t large_subvol(struct model *m, const char *name, uint64_t ino,
			     uint64_t *block)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct r3_btrfs_inode root = { .ino = R3_BTRFS_ROOT_INO }, in;
	struct btrfs_cursor c;
	struct btrfs_root tree;
	char file[32];

	expect(m, "subvolume", 0,
	       r3_btrfs_subvol_create(m->fs, m->inodes[0].in, name, 1, NULL,
				      &root.subvol));
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(file, sizeof(file), "%u", i);
		expect(m, "make", 0, r3_btrfs_make(m->fs, root, file,
						   strlen(file), &what, &in));
	}
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	assert_int_equal(btrfs_subvol_root(m->fs, root.subvol, &tree), 0);
	btrfs_cursor_init(&c, m->fs, &tree);
	assert_int_equal(btrfs_cursor_seek(&c, KEY(ino, 0, 0)), 0);
	*block = c.path[0]->logical;
	btrfs_cursor_fini(&c);
	return root.subvol;
}

static int count_dead(void *arg, const struct r3_btrfs_subvol *v)
{
	*(unsigned *)arg += v->dead;
	return 0;
}

/* Giving back the first of two deleted subvolumes stops at a damaged block;
 * what comes before it and the second go, and the volume can be changed. */
static void test_damaged_dead(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFDIR | 0755 };
	struct model *m = *state;
	struct r3_btrfs_inode in;
	uint64_t a, b, block, other;
	bool more = true;
	unsigned n = 0;

	a = large_subvol(m, "A", BTRFS_FIRST_FREE + 1700, &block);
	b = large_subvol(m, "B", BTRFS_FIRST_FREE, &other);
	expect(m, "delete", 0, r3_btrfs_subvol_delete(m->fs, a));
	expect(m, "delete", 0, r3_btrfs_subvol_delete(m->fs, b));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	damage(m, block);
	for (unsigned i = 0; i < 2; i++) {
		r3_btrfs_close(m->fs);
		open_it(m, true);
		expect(m, "clean", -EIO, r3_btrfs_clean(m->fs, 10000, &more));
		expect(m, "mkdir", 0, r3_btrfs_make(m->fs, m->inodes[0].in,
						    i ? "y" : "x", 1, &what,
						    &in));
		expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	}
	assert_int_equal(r3_btrfs_each_subvol(m->fs, count_dead, &n), 0);
	assert_int_equal(n, 1);
}

static void count_problem(void *arg, const char *text)
{
	*(unsigned *)arg += !!strstr(text, "newer than the tree's last");
}

/* A last_snapshot too small makes a writer take shared blocks for its own. */
static void test_last_snapshot(void **state)
{
	unsigned n = 0;
	struct r3_btrfs_check_options o = { .problem = count_problem,
					    .arg = &n };
	struct r3_btrfs_check_result r;
	struct model *m = *state;
	struct btrfs_tree *tree;
	uint64_t id, block, copy;

	id = large_subvol(m, "A", BTRFS_FIRST_FREE, &block);
	expect(m, "snapshot", 0,
	       r3_btrfs_snapshot(m->fs, id, m->inodes[0].in, "B", 1, false,
				 NULL, &copy));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_int_equal(r.problems, 0);
	expect(m, "start", 0, btrfs_trans_start(m->fs, 1, BTRFS_USES));
	expect(m, "tree", 0, btrfs_tree_get(m->fs, id, &tree));
	tree->last_snapshot = 1;
	expect(m, "end", 0, btrfs_trans_end(m->fs,
					    btrfs_tree_touch(m->fs, tree)));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_true(n > 0);
	assert_int_equal(r.problems, n);
}

static int see_group(void *arg, const struct r3_btrfs_qgroup *g)
{
	if (g->id == R3_BTRFS_TOP)
		*(uint64_t *)arg = g->rfer;
	return 0;
}

/* A group's limit refuses what makes metadata, never what removes some. */
static void test_quota(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	const uint64_t limit = 256 << 10;
	struct model *m = *state;
	struct r3_btrfs_inode root = m->inodes[0].in, in, first;
	uint64_t rfer = 0;
	char name[16];
	unsigned count = 0;
	int err = 0;

	expect(m, "enable", 0, r3_btrfs_quota_enable(m->fs));
	expect(m, "limit", 0, r3_btrfs_qgroup_limit(m->fs, R3_BTRFS_TOP, limit,
						    R3_BTRFS_QGROUP_NONE));
	for (; !err; count++) {
		snprintf(name, sizeof(name), "f%u", count);
		err = r3_btrfs_make(m->fs, root, name, strlen(name), &what,
				    &in);
		if (!count)
			first = in;
		if (!err && count % 50 == 0)
			expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	}
	expect(m, "make", -EDQUOT, err);
	expect(m, "link", -EDQUOT, r3_btrfs_link(m->fs, first, root, "l", 1));
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	expect(m, "groups", 0, r3_btrfs_each_qgroup(m->fs, see_group, &rfer));
	assert_in_range(rfer, limit / 2, limit);
	for (unsigned i = 0; i < count - 1; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, name,
						       strlen(name)));
	}
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	expect(m, "make", 0, r3_btrfs_make(m->fs, root, "f", 1, &what, &in));
	expect(m, "unlink", 0, r3_btrfs_unlink(m->fs, root, "f", 1));
	look(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hash_full, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bad_names, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_truncation_orphan, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_damaged_orphan, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_orphan, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_readonly_orphan, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_damaged_dead, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_last_snapshot, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
