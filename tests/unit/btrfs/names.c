// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * names.c - a directory tree in memory beside one on a volume
 *
 * Random operations are done on both.  The model knows what each of them must
 * return, and what must be there afterwards.  Nodes of 4 KiB and names made to
 * have one hash bring every kind of full item about.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "trans.h"

enum {
	SIZE = 96 << 20, NODE = 4096, ITEM_MAX = NODE - 101 - 25,
	INODES = 160, ENTRIES = 400, OPS = 20000, LOOK_EVERY = 1000,
	LONG = 24, SHORT = 6, PLAIN = 30, NAMES = LONG + SHORT + PLAIN,
	XATTRS = 8,
};

struct name {
	char s[256];
	size_t len;
	unsigned group; /* names of one hash; 0: none other has it */
};

struct inode {
	bool used, dir;
	struct r3_btrfs_inode in;
	unsigned nlink, mode, held;
	int xattr[XATTRS]; /* length of the value; -1: not set */
};

struct entry {
	int parent, child; /* child -1: free */
	unsigned name;
};

struct model {
	struct name names[NAMES];
	char xattrs[XATTRS][64];
	struct inode inodes[INODES]; /* 0: the root */
	struct entry entries[ENTRIES];
	struct r3_btrfs *fs;
	struct r3_btrfs_dev *dev;
	uint8_t *bytes;
	uint32_t seed;
};

/* ---- names of one hash -------------------------------------------------- */

static uint32_t crc_table[256];
static uint8_t crc_back[256]; /* by the highest byte */

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		crc_table[i] = c;
		crc_back[c >> 24] = (uint8_t)i;
	}
}

static uint32_t crc(const char *s, size_t len)
{
	uint32_t c = 0xfffffffe;

	while (len--)
		c = c >> 8 ^ crc_table[(c ^ (uint8_t)*s++) & 0xff];
	return c;
}

/* Sets the last four bytes so that the hash is @want; false when one of them
 * can't be in a name. */
static bool forge(char *s, size_t len, uint32_t want)
{
	uint32_t v = want;

	for (int i = 0; i < 4; i++) {
		uint8_t at = crc_back[v >> 24];

		v = (v ^ crc_table[at]) << 8 | at;
	}
	v ^= crc(s, len - 4);
	for (int i = 0; i < 4; i++)
		s[len - 4 + (size_t)i] = (char)(v >> 8 * i);
	assert_int_equal(crc(s, len), want);
	return !memchr(s, 0, len) && !memchr(s, '/', len);
}

static void forge_name(char *s, size_t len, unsigned n, uint32_t want)
{
	unsigned try = 0;

	do {
		char head[32];
		int used = snprintf(head, sizeof(head), "user.%u.%u.", n,
				    try++);

		memset(s, 'x', len);
		memcpy(s, head, (size_t)used);
	} while (!forge(s, len, want));
	s[len] = 0;
}

static void make_names(struct model *m)
{
	static const size_t lens[] = { 1, 2, 3, 10, 31, 100, 254, 255 };

	for (unsigned i = 0; i < NAMES; i++) {
		struct name *n = &m->names[i];

		if (i < LONG + SHORT) {
			n->group = i < LONG ? 1 : 2;
			n->len = i < LONG ? 200 : 20;
			forge_name(n->s, n->len, i, i < LONG ? 12345 : 777);
			continue;
		}
		n->len = lens[i % R3_COUNT(lens)];
		memset(n->s, 'a' + (int)i % 26, n->len);
		n->s[0] = (char)('A' + i - LONG - SHORT);
	}
	for (unsigned i = 0; i < XATTRS; i++) {
		if (i < 4)
			forge_name(m->xattrs[i], 40, i, 99);
		else
			snprintf(m->xattrs[i], sizeof(m->xattrs[i]),
				 "user.plain%u", i);
	}
}

/* ---- the model ---------------------------------------------------------- */

static unsigned rnd(struct model *m, unsigned below)
{
	m->seed = m->seed * 1664525 + 1013904223;
	return (m->seed >> 8) % below;
}

static struct entry *find(struct model *m, int dir, unsigned name)
{
	for (int i = 0; i < ENTRIES; i++) {
		struct entry *e = &m->entries[i];

		if (e->child >= 0 && e->parent == dir && e->name == name)
			return e;
	}
	return NULL;
}

static struct entry *free_entry(struct model *m)
{
	for (int i = 0; i < ENTRIES; i++) {
		if (m->entries[i].child < 0)
			return &m->entries[i];
	}
	return NULL;
}

static int free_inode(struct model *m)
{
	for (int i = 1; i < INODES; i++) {
		if (!m->inodes[i].used)
			return i;
	}
	return -1;
}

static bool is_empty(struct model *m, int dir)
{
	for (int i = 0; i < ENTRIES; i++) {
		if (m->entries[i].child >= 0 && m->entries[i].parent == dir)
			return false;
	}
	return true;
}

/* Does the item of the name's hash have room for it? */
static bool has_room(struct model *m, int dir, unsigned name)
{
	size_t used = 0;

	for (int i = 0; i < ENTRIES; i++) {
		struct entry *e = &m->entries[i];
		struct name *n = &m->names[e->name];

		if (e->child >= 0 && e->parent == dir && n->group &&
		    n->group == m->names[name].group)
			used += 30 + n->len;
	}
	return used + 30 + m->names[name].len <= ITEM_MAX;
}

static int parent(struct model *m, int dir)
{
	for (int i = 0; i < ENTRIES; i++) {
		if (m->entries[i].child == dir)
			return m->entries[i].parent;
	}
	return -1;
}

static bool is_below(struct model *m, int dir, int top)
{
	for (; dir >= 0; dir = parent(m, dir)) {
		if (dir == top)
			return true;
	}
	return false;
}

static int may_add(struct model *m, int dir, unsigned name)
{
	if (find(m, dir, name))
		return -EEXIST;
	return has_room(m, dir, name) ? 0 : -EOVERFLOW;
}

static void drop_name(struct model *m, struct entry *e)
{
	struct inode *in = &m->inodes[e->child];

	e->child = -1;
	if (!--in->nlink && !in->held)
		in->used = false;
}

/* A used inode: a directory, or anything. */
static int pick(struct model *m, bool dir)
{
	for (;;) {
		int i = (int)rnd(m, INODES);

		if (m->inodes[i].used && (!dir || m->inodes[i].dir) &&
		    m->inodes[i].nlink)
			return i;
	}
}

/* A directory and a name in it, mostly one that is there. */
static struct entry *pick_name(struct model *m, int *dir, unsigned *name)
{
	struct entry *e = &m->entries[rnd(m, ENTRIES)];

	*dir = pick(m, true);
	*name = rnd(m, NAMES);
	if (e->child < 0)
		return find(m, *dir, *name);
	*dir = e->parent;
	*name = e->name;
	return e;
}

/* ---- operations on both ------------------------------------------------- */

#define NAME(m, n) (m)->names[n].s, (m)->names[n].len

static void expect(struct model *m, const char *what, int want, int got)
{
	if (want != got)
		fail_msg("%s: %d (%s), not %d", what, got,
			 r3_btrfs_why(m->fs), want);
}

static void do_make(struct model *m, mode_t mode)
{
	int dir = pick(m, true), i = free_inode(m), want;
	struct entry *e = free_entry(m);
	unsigned name = rnd(m, NAMES);
	struct r3_btrfs_new what = { .mode = mode, .uid = 7, .gid = 9,
				     .target = "to/some/where" };
	struct inode in = { .used = true, .dir = S_ISDIR(mode), .nlink = 1,
			    .mode = mode & 07777 };

	if (i < 0 || !e)
		return;
	want = may_add(m, dir, name);
	expect(m, "make", want, r3_btrfs_make(m->fs, m->inodes[dir].in,
					      NAME(m, name), &what, &in.in));
	if (want)
		return;
	memset(in.xattr, 0xff, sizeof(in.xattr));
	m->inodes[i] = in;
	*e = (struct entry){ dir, i, name };
}

static void do_link(struct model *m)
{
	int dir = pick(m, true), i = pick(m, false), want;
	struct entry *e = free_entry(m);
	unsigned name = rnd(m, NAMES);

	if (!e)
		return;
	if (rnd(m, 2)) { /* many names of one file in one directory */
		dir = 0;
		for (i = 1; i < INODES - 1 && (!m->inodes[i].used ||
					       !m->inodes[i].nlink ||
					       m->inodes[i].dir); i++)
			;
		name = rnd(m, LONG);
		if (!m->inodes[i].used || !m->inodes[i].nlink)
			return;
	}
	want = may_add(m, dir, name);
	if (!want && m->inodes[i].dir)
		want = -EPERM;
	expect(m, "link", want, r3_btrfs_link(m->fs, m->inodes[i].in,
					      m->inodes[dir].in,
					      NAME(m, name)));
	if (want)
		return;
	m->inodes[i].nlink++;
	*e = (struct entry){ dir, i, name };
}

static void do_remove(struct model *m, bool rmdir)
{
	unsigned name;
	int dir, want = 0;
	struct entry *e = pick_name(m, &dir, &name);

	if (!e)
		want = -ENOENT;
	else if (m->inodes[e->child].dir != rmdir)
		want = rmdir ? -ENOTDIR : -EISDIR;
	else if (rmdir && !is_empty(m, e->child))
		want = -ENOTEMPTY;
	expect(m, "remove", want,
	       (rmdir ? r3_btrfs_rmdir : r3_btrfs_unlink)(
		       m->fs, m->inodes[dir].in, NAME(m, name)));
	if (!want)
		drop_name(m, e);
}

static int rename_wants(struct model *m, struct entry *e, int to_dir,
			unsigned to, unsigned flags)
{
	struct entry *t = find(m, to_dir, to);
	bool exchange = flags == RENAME_EXCHANGE;
	struct inode *from, *there;

	if (!e || (exchange && !t))
		return -ENOENT;
	if (t && flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (t && t->child == e->child)
		return 0;
	if (!t && !has_room(m, to_dir, to))
		return -EOVERFLOW;
	from = &m->inodes[e->child];
	there = t ? &m->inodes[t->child] : NULL;
	if (from->dir && is_below(m, to_dir, e->child))
		return -EINVAL;
	if (exchange && there->dir && is_below(m, e->parent, t->child))
		return -EINVAL;
	if (!t || exchange)
		return 0;
	if (there->dir != from->dir)
		return there->dir ? -EISDIR : -ENOTDIR;
	return there->dir && !is_empty(m, t->child) ? -ENOTEMPTY : 0;
}

static void do_rename(struct model *m, unsigned flags)
{
	int dir, to_dir, want, child;
	unsigned name, to;
	struct entry *e = pick_name(m, &dir, &name), *t;

	t = pick_name(m, &to_dir, &to);
	if (rnd(m, 2)) {
		to_dir = rnd(m, 2) ? dir : pick(m, true);
		to = rnd(m, NAMES);
		t = find(m, to_dir, to);
	}
	want = rename_wants(m, e, to_dir, to, flags);

	expect(m, "rename", want,
	       r3_btrfs_rename(m->fs, m->inodes[dir].in, NAME(m, name),
			       m->inodes[to_dir].in, NAME(m, to), flags));
	if (want || (t && t->child == e->child))
		return;
	if (flags == RENAME_EXCHANGE) {
		child = e->child;
		e->child = t->child;
		t->child = child;
		return;
	}
	if (t)
		drop_name(m, t);
	e->parent = to_dir;
	e->name = to;
}

static void xattr_value(int len, char *out)
{
	memset(out, 'v' ^ (len & 15), (size_t)len);
}

static void do_xattr(struct model *m)
{
	static const int lens[] = { 0, 1, 60, 700, 1200, 2500, 3900, 4000 };
	struct inode *in = &m->inodes[pick(m, false)];
	int flags = (int)rnd(m, 3), want = 0, len = lens[rnd(m, 8)];
	unsigned x = rnd(m, XATTRS);
	size_t used = 0;
	char value[4096];

	for (unsigned i = 0; i < 4; i++) { /* these have one hash */
		if (i != x && x < 4 && in->xattr[i] >= 0)
			used += 30 + 40 + (size_t)in->xattr[i];
	}
	if (flags == XATTR_CREATE && in->xattr[x] >= 0)
		want = -EEXIST;
	else if (flags == XATTR_REPLACE && in->xattr[x] < 0)
		want = -ENODATA;
	else if (used + 30 + strlen(m->xattrs[x]) + (size_t)len > ITEM_MAX)
		want = -ERANGE;
	xattr_value(len, value);
	expect(m, "setxattr", want,
	       r3_btrfs_setxattr(m->fs, in->in, m->xattrs[x],
				 strlen(m->xattrs[x]), value, (size_t)len,
				 flags));
	if (!want)
		in->xattr[x] = len;
}

static void do_removexattr(struct model *m)
{
	struct inode *in = &m->inodes[pick(m, false)];
	unsigned x = rnd(m, XATTRS);
	int want = in->xattr[x] < 0 ? -ENODATA : 0;

	expect(m, "removexattr", want,
	       r3_btrfs_removexattr(m->fs, in->in, m->xattrs[x],
				    strlen(m->xattrs[x])));
	in->xattr[x] = -1;
}

static void do_chmod(struct model *m)
{
	struct inode *in = &m->inodes[pick(m, false)];
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE,
				   .mode = rnd(m, 010000) };

	expect(m, "setattr", 0, r3_btrfs_setattr(m->fs, in->in, &a));
	in->mode = a.mode;
}

static void do_hold(struct model *m)
{
	int i = pick(m, false);

	expect(m, "hold", 0, r3_btrfs_hold(m->fs, m->inodes[i].in));
	m->inodes[i].held++;
}

static void do_release(struct model *m)
{
	struct inode *in = &m->inodes[rnd(m, INODES)];

	if (!in->used || !in->held)
		return;
	expect(m, "release", 0, r3_btrfs_release(m->fs, in->in));
	if (!--in->held && !in->nlink)
		in->used = false;
}

static void one(struct model *m)
{
	static const unsigned flags[] = { 0, RENAME_NOREPLACE,
					  RENAME_EXCHANGE };
	unsigned n = rnd(m, 100);

	if (n < 20)
		do_make(m, S_IFREG | 0644);
	else if (n < 30)
		do_make(m, S_IFDIR | 0755);
	else if (n < 35)
		do_make(m, S_IFLNK | 0777);
	else if (n < 48)
		do_link(m);
	else if (n < 57)
		do_remove(m, n & 1);
	else if (n < 78)
		do_rename(m, flags[n % 3]);
	else if (n < 86)
		do_xattr(m);
	else if (n < 89)
		do_removexattr(m);
	else if (n < 92)
		do_chmod(m);
	else if (n < 94)
		do_hold(m);
	else
		do_release(m);
}

/* ---- comparing ---------------------------------------------------------- */

struct look {
	struct model *m;
	int dir;
	unsigned count, sum;
	uint64_t last;
};

static int see_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct look *l = arg;

	assert_true(e->index > l->last);
	l->last = e->index;
	for (int i = 0; i < ENTRIES; i++) {
		struct entry *k = &l->m->entries[i];
		struct name *n = &l->m->names[k->name];

		if (k->child < 0 || k->parent != l->dir ||
		    n->len != e->name_len || memcmp(n->s, e->name, n->len))
			continue;
		assert_int_equal(e->in.ino, l->m->inodes[k->child].in.ino);
		assert_int_equal(e->type == DT_DIR,
				 l->m->inodes[k->child].dir);
		l->count++;
		l->sum += 2 * e->name_len;
		return 0;
	}
	fail_msg("a name that the model has not");
	return 0;
}

static int see_xattr(void *arg, const char *name, size_t name_len,
		     const void *value, size_t len)
{
	struct look *l = arg;
	char want[4096];

	for (unsigned i = 0; i < XATTRS; i++) {
		if (strlen(l->m->xattrs[i]) != name_len ||
		    memcmp(l->m->xattrs[i], name, name_len))
			continue;
		assert_int_equal(len, l->m->inodes[l->dir].xattr[i]);
		xattr_value((int)len, want);
		assert_memory_equal(value, want, len);
		l->count++;
		return 0;
	}
	fail_msg("an xattr that the model has not");
	return 0;
}

static void look_at(struct model *m, int i)
{
	struct inode *in = &m->inodes[i];
	struct look l = { .m = m, .dir = i };
	struct r3_btrfs_stat st;
	unsigned want = 0;

	assert_int_equal(r3_btrfs_stat(m->fs, in->in, &st), 0);
	assert_int_equal(st.st.st_nlink, in->nlink);
	assert_int_equal(st.st.st_mode & 07777, in->mode);
	assert_int_equal(r3_btrfs_each_xattr(m->fs, in->in, see_xattr, &l), 0);
	for (unsigned x = 0; x < XATTRS; x++)
		want += in->xattr[x] >= 0;
	assert_int_equal(l.count, want);
	if (!in->dir)
		return;
	l.count = want = 0;
	assert_int_equal(r3_btrfs_each_entry(m->fs, in->in, 0, see_entry, &l),
			 0);
	for (int k = 0; k < ENTRIES; k++)
		want += m->entries[k].child >= 0 && m->entries[k].parent == i;
	assert_int_equal(l.count, want);
	assert_int_equal(st.st.st_size, l.sum);
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	print_error("check: %s\n", text);
}

static void open_it(struct model *m, bool write)
{
	struct r3_btrfs_options o = { .write = write };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(m->dev, &o, &m->fs, &why))
		fail_msg("%s", why.text);
}

/* What nobody holds any more after a crash is gone. */
static void forget_holds(struct model *m)
{
	for (int i = 0; i < INODES; i++) {
		m->inodes[i].held = 0;
		if (!m->inodes[i].nlink)
			m->inodes[i].used = false;
	}
}

static void look(struct model *m)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem };
	struct r3_btrfs_check_result r;
	uint64_t inodes = 0;

	for (int i = 0; i < INODES; i++) {
		if (m->inodes[i].used)
			look_at(m, i);
	}
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	r3_btrfs_close(m->fs);
	open_it(m, false);
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_int_equal(r.problems, 0);
	r3_btrfs_close(m->fs);
	/* opening for changes removes what was held without a name */
	open_it(m, true);
	forget_holds(m);
	expect(m, "sync", 0, r3_btrfs_sync(m->fs));
	assert_int_equal(r3_btrfs_check(m->fs, &o, &r), 0);
	assert_int_equal(r.problems, 0);
	for (int i = 0; i < INODES; i++) {
		inodes += m->inodes[i].used;
		if (m->inodes[i].used)
			look_at(m, i);
	}
	assert_int_equal(r.inodes, inodes);
}

static int setup(void **state)
{
	struct r3_btrfs_mkfs_options o = { .size = SIZE, .nodesize = NODE };
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;
	struct model *m = calloc(1, sizeof(*m));

	crc_init();
	make_names(m);
	m->bytes = calloc(1, SIZE);
	assert_int_equal(r3_btrfs_dev_mem(m->bytes, SIZE, &m->dev), 0);
	if (r3_btrfs_mkfs(m->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	for (int i = 0; i < ENTRIES; i++)
		m->entries[i].child = -1;
	m->inodes[0] = (struct inode){
		.used = true, .dir = true, .nlink = 1, .mode = 0755,
		.in = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO } };
	memset(m->inodes[0].xattr, 0xff, sizeof(m->inodes[0].xattr));
	open_it(m, true);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct model *m = *state;

	r3_btrfs_close(m->fs);
	r3_btrfs_dev_close(m->dev);
	free(m->bytes);
	free(m);
	return 0;
}

/* ---- tests -------------------------------------------------------------- */

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

static unsigned orphans(struct model *m)
{
	struct btrfs_cursor c;
	struct btrfs_root root;
	unsigned n = 0;
	int err;

	assert_int_equal(btrfs_subvol_root(m->fs, R3_BTRFS_TOP, &root), 0);
	btrfs_cursor_init(&c, m->fs, &root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_ORPHANS, 0, 0));
	for (; !err && c.key.objectid == BTRFS_ORPHANS; n++)
		err = btrfs_cursor_next(&c);
	btrfs_cursor_fini(&c);
	return n;
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
		cmocka_unit_test_setup_teardown(test_damaged_dead, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_last_snapshot, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
