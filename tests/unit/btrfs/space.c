// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * space.c - space and references against a model: a byte a sector, and a list
 * of what refers to what
 *
 * Extents come, get references of all kinds from nowhere, lose them and go, in
 * random order over several commits.  After each commit the extent tree must
 * hold the model's references and no others; when all have gone, the checker
 * must find nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "space.h"

enum { IMAGE = 192 << 20, SECTORS = (1 << 30) / BTRFS_SECTOR, EXTENTS = 400,
       REFS = 8000, HOT = 3 /* extents with many references */ };

enum state { FREE, TAKEN, PINNED };

struct extent {
	uint64_t bytenr, len;
	unsigned refs;
	bool data, committed;
};

struct ref {
	unsigned extent;
	struct btrfs_ref what;
	uint32_t count;
};

struct world {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	uint64_t seed;
	uint8_t sector[SECTORS]; /* enum state */
	struct extent extents[EXTENTS]; /* len 0: none */
	struct ref refs[REFS];
	unsigned ref_count;
};

static uint64_t rnd(struct world *w, uint64_t below)
{
	w->seed = w->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (w->seed >> 33) % below;
}

static void ok_(struct world *w, int err, const char *what)
{
	if (err)
		fail_msg("%s: %s (%s)", what, strerror(-err),
			 r3_btrfs_why(w->fs));
}
#define ok(w, call) ok_(w, call, #call)

/* ---- the model ----------------------------------------------------------- */

static void mark(struct world *w, uint64_t start, uint64_t len,
		 enum state from, enum state to)
{
	for (uint64_t s = start / BTRFS_SECTOR;
	     s < (start + len) / BTRFS_SECTOR; s++) {
		assert_true(s < SECTORS);
		if (w->sector[s] != from)
			fail_msg("sector %llu is %u, not %u",
				 (unsigned long long)s, w->sector[s], from);
		w->sector[s] = (uint8_t)to;
	}
}

/* No byte of it is within 64 KiB from a super block's start, on any copy. */
static void not_at_a_super(struct world *w, const struct extent *x)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(w->fs, x->bytenr);

	assert_non_null(m);
	assert_true(x->len <= m->logical + m->length - x->bytenr);
	assert_true(m->type & (x->data ? BTRFS_BG_DATA : BTRFS_BG_METADATA));
	for (unsigned c = 0; c < m->copies; c++) {
		uint64_t p = m->physical[c] + (x->bytenr - m->logical);

		for (unsigned s = 0; s < BTRFS_SUPER_COPIES; s++)
			assert_true(p + x->len <= btrfs_super_offsets[s] ||
				    p >= btrfs_super_offsets[s] + 65536);
	}
}

/* Everything that has an extent item now and is not the model's. */
static void mark_all(struct world *w)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, w->fs, &w->fs->extent);
	err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&c)) {
		if (c.key.type == BTRFS_EXTENT_ITEM ||
		    c.key.type == BTRFS_METADATA_ITEM)
			w->sector[c.key.objectid / BTRFS_SECTOR] = TAKEN;
	}
	btrfs_cursor_fini(&c);
	assert_int_equal(err, -ENOENT);
}

static void open_image(struct world *w)
{
	const struct r3_btrfs_options o = { .write = true };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(w->dev, &o, &w->fs, &why))
		fail_msg("%s", why.text);
}

static void make(struct world *w, uint32_t nodesize, bool group_tree)
{
	const struct r3_btrfs_mkfs_options o = {
		.size = IMAGE, .nodesize = nodesize,
		.block_group_tree = group_tree,
	};
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	memset(w->bytes, 0, IMAGE);
	memset(w->sector, 0, sizeof(w->sector));
	memset(w->extents, 0, sizeof(w->extents));
	w->ref_count = 0;
	if (r3_btrfs_mkfs(w->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	open_image(w);
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	print_message("check: %s\n", text);
}

static void no_problems(struct world *w)
{
	const struct r3_btrfs_check_options o = { .data = true,
						  .problem = problem };
	struct r3_btrfs_check_result r;

	r3_btrfs_close(w->fs);
	open_image(w);
	ok(w, r3_btrfs_check(w->fs, &o, &r));
	assert_int_equal(r.problems, 0);
}

/* ---- comparing ----------------------------------------------------------- */

static int ref_cmp(const void *pa, const void *pb)
{
	const struct ref *a = pa, *b = pb;
	const uint64_t x[] = { a->what.bytenr, a->what.parent, a->what.root,
			       a->what.ino, a->what.off };
	const uint64_t y[] = { b->what.bytenr, b->what.parent, b->what.root,
			       b->what.ino, b->what.off };

	for (unsigned i = 0; i < R3_COUNT(x); i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

struct found {
	struct ref refs[REFS];
	unsigned n;
};

static void find(struct found *f, uint64_t bytenr, uint64_t parent,
		 const struct btrfs_extent_data_ref *d, uint32_t count)
{
	struct ref *r = &f->refs[f->n++];

	assert_true(f->n <= REFS);
	*r = (struct ref){ .what = { .bytenr = bytenr, .parent = parent },
			   .count = count };
	if (d) {
		r->what.root = le64(d->root);
		r->what.ino = le64(d->objectid);
		r->what.off = le64(d->offset);
		r->count = le32(d->count);
	}
}

static void find_inline(struct found *f, uint64_t bytenr, const uint8_t *p,
			uint32_t size)
{
	r3_le64 parent;
	r3_le32 count;

	while (size) {
		uint32_t len = *p == BTRFS_EXTENT_DATA_REF ? 29 : 13;

		memcpy(&parent, p + 1, sizeof(parent));
		memcpy(&count, p + 9, sizeof(count));
		assert_true(*p == BTRFS_EXTENT_DATA_REF ||
			    *p == BTRFS_SHARED_DATA_REF);
		find(f, bytenr, len == 29 ? 0 : le64(parent),
		     len == 29 ? (const void *)(p + 1) : NULL, le32(count));
		p += len;
		size -= len;
	}
}

/* References to data in the extent tree. */
static void find_all(struct world *w, struct found *f, unsigned *keyed)
{
	struct btrfs_cursor c;
	int err;

	f->n = 0;
	btrfs_cursor_init(&c, w->fs, &w->fs->extent);
	err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&c)) {
		const struct btrfs_extent_item *x = c.data;
		r3_le32 count;

		if (c.key.type == BTRFS_EXTENT_DATA_REF) {
			find(f, c.key.objectid, 0, c.data, 0);
			++*keyed;
		} else if (c.key.type == BTRFS_SHARED_DATA_REF) {
			memcpy(&count, c.data, sizeof(count));
			find(f, c.key.objectid, c.key.offset, NULL,
			     le32(count));
			++*keyed;
		} else if (c.key.type == BTRFS_EXTENT_ITEM &&
			   le64(x->flags) & BTRFS_EXTENT_FLAG_DATA) {
			find_inline(f, c.key.objectid,
				    (const uint8_t *)c.data + sizeof(*x),
				    c.size - (uint32_t)sizeof(*x));
		}
	}
	btrfs_cursor_fini(&c);
	assert_int_equal(err, -ENOENT);
}

static unsigned compare(struct world *w)
{
	struct found *f = malloc(sizeof(*f));
	unsigned keyed = 0;

	find_all(w, f, &keyed);
	assert_int_equal(f->n, w->ref_count);
	qsort(f->refs, f->n, sizeof(*f->refs), ref_cmp);
	qsort(w->refs, f->n, sizeof(*f->refs), ref_cmp);
	for (unsigned i = 0; i < f->n; i++) {
		assert_int_equal(ref_cmp(&f->refs[i], &w->refs[i]), 0);
		assert_int_equal(f->refs[i].count, w->refs[i].count);
	}
	free(f);
	return keyed;
}

/* ---- steps --------------------------------------------------------------- */

static void come(struct world *w, struct extent *x)
{
	uint64_t want = (1 + rnd(w, 64)) * BTRFS_SECTOR;

	*x = (struct extent){ .data = rnd(w, 4) };
	if (x->data) {
		ok(w, btrfs_alloc_data(w->fs, want, BTRFS_SECTOR, &x->bytenr,
				       &x->len));
		assert_true(x->len <= want);
	} else {
		x->len = w->fs->nodesize;
		ok(w, btrfs_alloc_block(w->fs, BTRFS_FS_TREE, &x->bytenr));
		assert_true(r3_is_aligned(x->bytenr, x->len));
	}
	not_at_a_super(w, x);
	mark(w, x->bytenr, x->len, FREE, TAKEN);
}

static struct ref *random_ref(struct world *w, unsigned extent)
{
	struct extent *x = &w->extents[extent];
	struct ref r = { .extent = extent,
			 .what = { .bytenr = x->bytenr, .len = x->len,
				   .data = x->data } };

	if (rnd(w, 4)) {
		r.what.root = 256 + rnd(w, 5);
		r.what.ino = 257 + rnd(w, extent < HOT ? 50 : 5);
		r.what.off = rnd(w, 5) * BTRFS_SECTOR - 2 * BTRFS_SECTOR;
	} else {
		r.what.parent = (1 + rnd(w, 50)) * w->fs->nodesize;
	}
	for (unsigned i = 0; i < w->ref_count; i++) {
		if (!ref_cmp(&w->refs[i], &r))
			return &w->refs[i];
	}
	assert_true(w->ref_count < REFS);
	w->refs[w->ref_count] = r;
	return &w->refs[w->ref_count++];
}

static void refer(struct world *w, unsigned extent)
{
	struct extent *x = &w->extents[extent];
	struct ref *r;

	if (!x->data)
		return;
	r = random_ref(w, extent);
	ok(w, btrfs_ref_add(w->fs, &r->what));
	r->count++;
	x->refs++;
}

static void unrefer(struct world *w, struct ref *r)
{
	struct extent *x = &w->extents[r->extent];

	ok(w, btrfs_ref_drop(w->fs, &r->what));
	if (!--r->count)
		*r = w->refs[--w->ref_count];
	if (--x->refs)
		return;
	/* what no commit has seen may be given away again */
	mark(w, x->bytenr, x->len, TAKEN, x->committed ? PINNED : FREE);
	x->len = 0;
}

static void step(struct world *w)
{
	unsigned n = (unsigned)rnd(w, EXTENTS);
	struct extent *x = &w->extents[n];

	if (!x->len) {
		come(w, x);
		for (unsigned i = n < HOT ? 300 : 2; i; i--)
			refer(w, n);
	} else if (rnd(w, 3)) {
		refer(w, n);
	}
	for (unsigned i = (unsigned)rnd(w, 9); i; i--) {
		n = (unsigned)rnd(w, HOT);
		if (w->extents[n].len)
			refer(w, n);
	}
	for (unsigned i = (unsigned)rnd(w, 7); i && w->ref_count; i--)
		unrefer(w, &w->refs[rnd(w, w->ref_count)]);
}

/* Tree blocks without a reference are free after a commit, and so is what was
 * pinned; the model forgets the blocks of the volume's own trees. */
static void commit(struct world *w)
{
	ok(w, btrfs_trans_commit(w->fs));
	for (unsigned i = 0; i < EXTENTS; i++) {
		struct extent *x = &w->extents[i];

		if (x->len && !x->refs)
			x->len = 0;
	}
	memset(w->sector, FREE, sizeof(w->sector));
	mark_all(w);
	for (unsigned i = 0; i < EXTENTS; i++) {
		struct extent *x = &w->extents[i];

		x->committed = true;
		for (uint64_t s = 0; s < x->len; s += BTRFS_SECTOR)
			w->sector[(x->bytenr + s) / BTRFS_SECTOR] = TAKEN;
	}
}

static void against_model(struct world *w, uint32_t nodesize, bool group_tree)
{
	unsigned keyed = 0;

	w->seed = nodesize + group_tree;
	make(w, nodesize, group_tree);
	mark_all(w);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = 0; i < 300; i++) {
			ok(w, btrfs_trans_start(w->fs, 8, BTRFS_USES));
			step(w);
			ok(w, btrfs_trans_end(w->fs, 0));
		}
		commit(w);
		keyed += compare(w);
	}
	assert_true(keyed > 100);
	while (w->ref_count) {
		ok(w, btrfs_trans_start(w->fs, 8, BTRFS_FREES));
		for (unsigned i = 0; i < 20 && w->ref_count; i++)
			unrefer(w, &w->refs[rnd(w, w->ref_count)]);
		ok(w, btrfs_trans_end(w->fs, 0));
	}
	commit(w);
	assert_int_equal(compare(w), 0);
	no_problems(w);
	r3_btrfs_close(w->fs);
}

static void nodes_of_4k(void **state)
{
	against_model(*state, 4096, false);
}

static void nodes_of_16k(void **state)
{
	against_model(*state, 16384, false);
}

static void nodes_of_64k(void **state)
{
	against_model(*state, 65536, false);
}

static void group_tree(void **state)
{
	against_model(*state, 16384, true);
}

/* Block groups of every kind until the device is full; the checker wants chunk,
 * device and block group items, and free space, to agree. */
static void groups_of_every_kind(void **state)
{
	struct world *w = *state;
	unsigned made[BTRFS_KINDS] = { 0 };
	uint64_t left;
	int err = 0;

	make(w, 16384, false);
	for (unsigned i = 0; !err; i++) {
		enum btrfs_kind kind = i % BTRFS_KINDS;

		ok(w, btrfs_trans_start(w->fs, 40, BTRFS_USES));
		left = w->fs->space->holes;
		err = btrfs_group_make(w->fs, kind);
		if (!err) {
			made[kind]++;
			assert_true(w->fs->space->holes < left);
		}
		ok(w, btrfs_trans_end(w->fs, 0));
		if (i % 2)
			ok(w, btrfs_trans_commit(w->fs));
	}
	assert_int_equal(err, -ENOSPC);
	for (unsigned k = 0; k < BTRFS_KINDS; k++)
		assert_true(made[k]);
	ok(w, btrfs_trans_commit(w->fs));
	no_problems(w);
	r3_btrfs_close(w->fs);
}

/* Bytes that this says are left can be had, to the last extent of @min. */
static void data_to_the_last_byte(void **state)
{
	struct world *w = *state;
	uint64_t bytenr, len, sum = 0, left;
	int err = 0;

	make(w, 16384, false);
	ok(w, btrfs_trans_start(w->fs, 1, BTRFS_USES));
	left = btrfs_data_left(w->fs);
	assert_true(left > IMAGE / 4 && left < IMAGE);
	while (!err) {
		err = btrfs_alloc_data(w->fs, 8 * R3_MIB, BTRFS_SECTOR,
				       &bytenr, &len);
		sum += err ? 0 : len;
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(sum <= left);
	/* what rounding to stripes and super blocks may cost */
	assert_true(left - sum < 4 * R3_MIB);
	ok(w, btrfs_trans_end(w->fs, 0));
	ok(w, btrfs_trans_commit(w->fs));
	/* nobody referred to it */
	assert_true(btrfs_data_left(w->fs) >= sum);
	no_problems(w);
	r3_btrfs_close(w->fs);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->seed = 1;
	w->bytes = calloc(1, IMAGE);
	assert_int_equal(r3_btrfs_dev_mem(w->bytes, IMAGE, &w->dev), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	r3_btrfs_dev_close(w->dev);
	free(w->bytes);
	free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_of_4k),
		cmocka_unit_test(nodes_of_16k),
		cmocka_unit_test(nodes_of_64k),
		cmocka_unit_test(group_tree),
		cmocka_unit_test(groups_of_every_kind),
		cmocka_unit_test(data_to_the_last_byte),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
