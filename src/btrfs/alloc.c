// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * alloc.c - places for tree blocks and data: the free sectors of every block
 * group as a map of bits
 *
 * A map costs 32 KiB a GiB, needs no memory when space becomes free, and is
 * searched 64 sectors at a time.  Searches begin where the last one of their
 * kind ended, so that what is written together lies together.  Tree blocks lie
 * at multiples of their size from the group's start: none crosses a stripe.
 */
#include <stdlib.h>

#include "space.h"

enum { WORD = 64, GOOD_RUN = 256 /* sectors, 1 MiB: not worth a new group */ };

/* ---- the map ------------------------------------------------------------- */

/* Free tree blocks of @n sectors in a word, each at a multiple of @n. */
static unsigned slots_in(uint64_t word, unsigned n)
{
	static const uint64_t starts[] = { ~UINT64_C(0), 0x5555555555555555,
					   0x1111111111111111,
					   0x0101010101010101,
					   0x0001000100010001 };

	for (unsigned s = 1; s < n; s *= 2)
		word &= word >> s;
	return (unsigned)__builtin_popcountll(
		word & starts[__builtin_ctz(n)]);
}

/* The first such block's bit at or after @bit, or WORD. */
static unsigned slot_find(uint64_t word, unsigned n, unsigned bit)
{
	word &= ~UINT64_C(0) << bit;
	for (unsigned i = (bit + n - 1) / n * n; i < WORD; i += n) {
		uint64_t mask = (UINT64_C(1) << n) - 1;

		if ((word >> i & mask) == mask)
			return i;
	}
	return WORD;
}

static unsigned sectors_of_node(const struct r3_btrfs *fs)
{
	return fs->nodesize / BTRFS_SECTOR;
}

/* One word of @g's map becomes another. */
static void word_change(struct btrfs_space *s, struct btrfs_group *g,
			unsigned n, uint64_t *w, uint64_t to)
{
	uint64_t slots = slots_in(to, n) - (uint64_t)slots_in(*w, n);
	uint64_t bytes = (uint64_t)BTRFS_SECTOR *
			 ((uint64_t)__builtin_popcountll(to) -
			  (uint64_t)__builtin_popcountll(*w));

	*w = to;
	g->slots += slots;
	g->free += bytes;
	if (btrfs_group_is(g, BTRFS_KIND_DATA))
		s->data_free += bytes;
	for (unsigned k = 0; k < BTRFS_KINDS; k++) {
		if (btrfs_group_is(g, k))
			s->slots[k] += slots;
	}
}

/* Sectors from @from up to @to of @g: into the map or out of it. */
static void map_change(const struct r3_btrfs *fs, struct btrfs_group *g,
		       uint64_t from, uint64_t to, bool set)
{
	unsigned n = sectors_of_node(fs);

	for (uint64_t at = from; at < to;) {
		uint64_t *w = &g->map[at / WORD];
		unsigned bit = at % WORD;
		unsigned len = (unsigned)r3_min(WORD - bit, to - at);
		uint64_t mask = len == WORD ? ~UINT64_C(0)
					    : ((UINT64_C(1) << len) - 1) << bit;

		word_change(fs->space, g, n, w, set ? *w | mask : *w & ~mask);
		at += len;
	}
	if (set)
		g->max_run = UINT64_MAX;
}

/* The first bit at or after @at that is @value; @end when there is none. */
static uint64_t map_next(const uint64_t *map, uint64_t at, uint64_t end,
			 bool value)
{
	while (at < end) {
		uint64_t w = value ? map[at / WORD] : ~map[at / WORD];

		w >>= at % WORD;
		if (w)
			return r3_min(at + (unsigned)__builtin_ctzll(w), end);
		at += WORD - at % WORD;
	}
	return end;
}

/* The longest run of up to @want sectors at or after @from; ends at the first
 * that is long enough. */
static void map_run(const struct btrfs_group *g, uint64_t from, uint64_t want,
		    uint64_t *start, uint64_t *len)
{
	uint64_t end = g->len / BTRFS_SECTOR, at = from, stop;

	*len = 0;
	while (*len < want) {
		at = map_next(g->map, at, end, true);
		if (at == end)
			return;
		stop = map_next(g->map, at, r3_min(end, at + want), false);
		if (stop - at > *len) {
			*start = at;
			*len = stop - at;
		}
		at = stop;
	}
}

bool btrfs_group_run(const struct btrfs_group *g, uint64_t *at, uint64_t *len)
{
	uint64_t end = g->len / BTRFS_SECTOR;

	*at = map_next(g->map, *at, end, true);
	*len = map_next(g->map, *at, end, false) - *at;
	return *at < end;
}

/* ---- groups -------------------------------------------------------------- */

/* How many groups begin at or before @logical. */
static unsigned groups_upto(const struct btrfs_space *s, uint64_t logical)
{
	unsigned lo = 0, hi = s->count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (s->groups[mid]->start <= logical)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct btrfs_group *btrfs_group_find(const struct r3_btrfs *fs,
				     uint64_t logical)
{
	const struct btrfs_space *s = fs->space;
	unsigned n = groups_upto(s, logical);

	if (!n || logical - s->groups[n - 1]->start >= s->groups[n - 1]->len)
		return NULL;
	return s->groups[n - 1];
}

int btrfs_group_add(struct r3_btrfs *fs, uint64_t start, uint64_t len,
		    uint64_t flags, struct btrfs_group **out)
{
	struct btrfs_space *s = fs->space;
	unsigned at = groups_upto(s, start);
	struct btrfs_group *g;

	if (s->count == s->room) {
		unsigned room = s->room ? s->room * 2 : 64;
		struct btrfs_group **p = realloc(s->groups,
						 room * sizeof(*p));

		if (!p)
			return btrfs_fail(fs, -ENOMEM, "out of memory");
		s->groups = p;
		s->room = room;
	}
	g = calloc(1, sizeof(*g));
	if (g)
		g->map = calloc(len / BTRFS_SECTOR / WORD + 1, sizeof(*g->map));
	if (!g || !g->map) {
		free(g);
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	}
	g->start = start;
	g->len = len;
	g->flags = flags;
	memmove(s->groups + at + 1, s->groups + at,
		(s->count++ - at) * sizeof(*s->groups));
	s->groups[at] = g;
	*out = g;
	return 0;
}

/* What a super block's copy needs, 64 KiB each as in the kernel, is taken out
 * of the map again. */
static void keep_supers(const struct r3_btrfs *fs, struct btrfs_group *g)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, g->start);

	for (unsigned i = 0; m && i < m->copies; i++) {
		uint64_t first = m->physical[i], last = first + m->length;

		for (unsigned s = 0; s < BTRFS_SUPER_COPIES; s++) {
			uint64_t from = r3_max(btrfs_super_offsets[s], first);
			uint64_t to = r3_min(btrfs_super_offsets[s] +
					     BTRFS_STRIPE_LEN, last);

			if (from < to)
				map_change(fs, g, (from - first) / BTRFS_SECTOR,
					   (to - first + BTRFS_SECTOR - 1) /
						   BTRFS_SECTOR, false);
		}
	}
}

void btrfs_group_give(struct r3_btrfs *fs, struct btrfs_group *g,
		      uint64_t start, uint64_t len)
{
	map_change(fs, g, (start - g->start) / BTRFS_SECTOR,
		   (start - g->start + len) / BTRFS_SECTOR, true);
	keep_supers(fs, g);
}

void btrfs_space_give(struct r3_btrfs *fs, uint64_t start, uint64_t len)
{
	struct btrfs_group *g = btrfs_group_find(fs, start);

	assert(g && len <= g->start + g->len - start);
	btrfs_group_give(fs, g, start, len);
}

int btrfs_space_pin(struct r3_btrfs *fs, uint64_t start, uint64_t len)
{
	struct btrfs_space *s = fs->space;
	struct btrfs_range *last = s->pinned.n ? &s->pinned.p[s->pinned.n - 1]
					       : NULL;

	/* one range never reaches into the next group */
	if (last && last->start + last->len == start &&
	    btrfs_group_find(fs, last->start) == btrfs_group_find(fs, start))
		last->len += len;
	else if (!vec_push(&s->pinned, (struct btrfs_range){ start, len }))
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	return 0;
}

void btrfs_space_unpin(struct r3_btrfs *fs)
{
	struct btrfs_space *s = fs->space;

	btrfs_refs_forget(fs);
	for (size_t i = 0; i < s->pinned.n; i++)
		btrfs_space_give(fs, s->pinned.p[i].start, s->pinned.p[i].len);
	s->pinned.n = 0;
	/* tree blocks gather at the front again, for small images */
	s->hand[BTRFS_KIND_METADATA] = 0;
	s->hand[BTRFS_KIND_SYSTEM] = 0;
}

/* ---- searching ----------------------------------------------------------- */

/* Where a search looks, the @i-th time: the group under the hand from the hand
 * on, those after it, those before it, and last the first one's beginning. */
static struct btrfs_group *look(const struct btrfs_space *s,
				enum btrfs_kind kind, unsigned i,
				uint64_t *from)
{
	uint64_t at = s->hand[kind];
	unsigned first = groups_upto(s, at);
	struct btrfs_group *g;

	first -= first > 0;
	if (!s->count || i > s->count)
		return NULL;
	g = s->groups[(first + i) % s->count];
	*from = 0;
	if (!i && at > g->start && at - g->start < g->len)
		*from = (at - g->start) / BTRFS_SECTOR;
	return g;
}

static void take(struct r3_btrfs *fs, enum btrfs_kind kind,
		 struct btrfs_group *g, uint64_t sector, uint64_t sectors)
{
	map_change(fs, g, sector, sector + sectors, false);
	fs->space->hand[kind] =
		g->start + (sector + sectors) * BTRFS_SECTOR;
}

static bool slot_in_group(const struct btrfs_group *g, unsigned n,
			  uint64_t from, uint64_t *sector)
{
	uint64_t words = g->len / BTRFS_SECTOR / WORD + 1;
	unsigned bit = from % WORD;

	for (uint64_t w = from / WORD; w < words; w++) {
		unsigned at = g->map[w] ? slot_find(g->map[w], n, bit) : WORD;

		if (at < WORD) {
			*sector = w * WORD + at;
			return true;
		}
		bit = 0;
	}
	return false;
}

int btrfs_alloc_block(struct r3_btrfs *fs, uint64_t tree, uint64_t *bytenr)
{
	enum btrfs_kind kind = tree == BTRFS_CHUNK_TREE ? BTRFS_KIND_SYSTEM
							: BTRFS_KIND_METADATA;
	unsigned n = sectors_of_node(fs);
	struct btrfs_group *g;
	uint64_t from, sector;
	int err;

	for (unsigned i = 0; (g = look(fs->space, kind, i, &from)); i++) {
		if (!btrfs_group_is(g, kind) || !g->slots ||
		    !slot_in_group(g, n, from, &sector))
			continue;
		err = btrfs_refs_fresh(fs, g->start + sector * BTRFS_SECTOR,
				       fs->nodesize, false);
		if (err)
			return err;
		take(fs, kind, g, sector, n);
		*bytenr = g->start + sector * BTRFS_SECTOR;
		return 0;
	}
	return btrfs_fail(fs, -ENOSPC, "no space is left for a block of tree "
			  "%s", btrfs_tree_text(tree).s);
}

struct run {
	struct btrfs_group *g;
	uint64_t sector, sectors;
};

/* The first run of @want sectors. */
static bool run_first(struct r3_btrfs *fs, uint64_t want, struct run *out)
{
	struct btrfs_group *g;
	uint64_t from, at = 0, len;

	for (unsigned i = 0;
	     (g = look(fs->space, BTRFS_KIND_DATA, i, &from)); i++) {
		if (!btrfs_group_is(g, BTRFS_KIND_DATA) || g->max_run < want)
			continue;
		map_run(g, from, want, &at, &len);
		if (len == want) {
			*out = (struct run){ g, at, len };
			return true;
		}
		if (!from)
			g->max_run = len;
	}
	return false;
}

/* The longest there is; its length may be 0. */
static void run_longest(const struct r3_btrfs *fs, struct run *out)
{
	const struct btrfs_space *s = fs->space;
	uint64_t at = 0, len;

	*out = (struct run){ 0 };
	for (unsigned i = 0; i < s->count; i++) {
		struct btrfs_group *g = s->groups[i];

		if (!btrfs_group_is(g, BTRFS_KIND_DATA) ||
		    g->max_run <= out->sectors)
			continue;
		map_run(g, 0, g->len / BTRFS_SECTOR, &at, &len);
		g->max_run = len;
		if (len > out->sectors)
			*out = (struct run){ g, at, len };
	}
}

/* Space for @want sectors, or for as many as is sensible, @min at least. */
static int run_find(struct r3_btrfs *fs, uint64_t want, uint64_t min,
		    struct run *out)
{
	int err;

	if (run_first(fs, want, out))
		return 0;
	run_longest(fs, out);
	if (out->sectors >= min && out->sectors >= GOOD_RUN)
		return 0;
	err = btrfs_group_make(fs, BTRFS_KIND_DATA);
	if (err && err != -ENOSPC)
		return err;
	if (!err && !run_first(fs, want, out))
		run_longest(fs, out);
	if (out->sectors >= min)
		return 0;
	return btrfs_fail(fs, -ENOSPC, "no space is left for data");
}

int btrfs_alloc_data(struct r3_btrfs *fs, uint64_t want, uint64_t min,
		     uint64_t *bytenr, uint64_t *len)
{
	struct run r;
	uint64_t at;
	int err;

	assert(min && min <= want && r3_is_aligned(want | min, BTRFS_SECTOR));
	err = run_find(fs, want / BTRFS_SECTOR, min / BTRFS_SECTOR, &r);
	if (err)
		return err;
	at = r.g->start + r.sector * BTRFS_SECTOR;
	err = btrfs_refs_fresh(fs, at, r.sectors * BTRFS_SECTOR, true);
	if (err)
		return err;
	take(fs, BTRFS_KIND_DATA, r.g, r.sector, r.sectors);
	*bytenr = at;
	*len = r.sectors * BTRFS_SECTOR;
	return 0;
}

/* ---- opening, closing, writing ------------------------------------------- */

/* The block group items; each chunk has one. */
static int groups_load(struct r3_btrfs *fs)
{
	const struct btrfs_root *root = fs->block_groups.bytenr
						? &fs->block_groups
						: &fs->extent;
	const struct btrfs_block_group_item *item;
	struct btrfs_cursor c;
	struct btrfs_group *g;
	int err = 0;

	btrfs_cursor_init(&c, fs, root);
	for (unsigned i = 0; !err && i < fs->chunk_count; i++) {
		const struct btrfs_chunk_map *m = &fs->chunks[i];
		struct btrfs_key key = KEY(m->logical, BTRFS_BLOCK_GROUP_ITEM,
					   m->length);

		err = btrfs_cursor_seek(&c, key);
		if (err == -ENOENT || (!err && btrfs_key_cmp(c.key, key)))
			err = btrfs_fail(fs, -EUCLEAN, "tree %s: chunk %llu "
					 "has no block group",
					 btrfs_tree_text(root->id).s,
					 (unsigned long long)m->logical);
		if (err)
			break;
		item = c.data;
		if (le64(item->flags) != m->type) {
			err = btrfs_fail(fs, -EUCLEAN, "%s: not of its chunk's "
					 "type", btrfs_cursor_where(&c).s);
			break;
		}
		err = btrfs_group_add(fs, m->logical, m->length,
				      le64(item->flags), &g);
		if (!err)
			g->used = g->used_written = le64(item->used);
	}
	btrfs_cursor_fini(&c);
	return err;
}

int btrfs_space_open(struct r3_btrfs *fs)
{
	int err;

	fs->space = calloc(1, sizeof(*fs->space));
	if (!fs->space)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	err = btrfs_refs_open(fs);
	if (!err)
		err = groups_load(fs);
	if (!err)
		err = btrfs_fst_load(fs);
	return err ? err : btrfs_holes_count(fs);
}

void btrfs_space_close(struct r3_btrfs *fs)
{
	struct btrfs_space *s = fs->space;

	btrfs_refs_close(fs);
	if (!s)
		return;
	for (unsigned i = 0; i < s->count; i++) {
		free(s->groups[i]->map);
		free(s->groups[i]);
	}
	free(s->groups);
	vec_free(&s->pinned);
	free(s);
	fs->space = NULL;
}

int btrfs_write_logical(struct r3_btrfs *fs, uint64_t logical,
			const void *data, size_t len)
{
	const uint8_t *p = data;
	int err = 0;

	fs->file_cached.logical = 0; /* it may be what is written over */
	while (len && !err) {
		const struct btrfs_chunk_map *m =
			btrfs_chunk_find(fs, logical);
		uint64_t off, n;

		if (!m)
			return btrfs_fail(fs, -EUCLEAN, "block %llu: no chunk "
					  "holds it",
					  (unsigned long long)logical);
		off = logical - m->logical;
		n = r3_min(len, m->length - off);
		for (unsigned i = 0; i < m->copies && !err; i++)
			err = fs->dev->ops->write(fs->dev, m->physical[i] + off,
						  p, n);
		p += n;
		logical += n;
		len -= n;
	}
	return err ? btrfs_write_fail(fs, err) : 0;
}
