/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names_model.h - a directory tree in memory beside one on a volume
 *
 * Random operations are done on both.  The model knows what each of them must
 * return, and what must be there afterwards.  Nodes of 4 KiB and names made to
 * have one hash bring every kind of full item about.
 */
#ifndef TESTS_BTRFS_NAMES_MODEL_H
#define TESTS_BTRFS_NAMES_MODEL_H

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

#endif
