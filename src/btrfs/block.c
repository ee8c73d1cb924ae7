// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block.c - tree blocks: read once, checked whole, kept in a bounded cache;
 * and those of the running transaction, kept until they are written
 *
 * A copy that fails in any way - unreadable, wrong checksum, wrong content, or
 * an old generation, as a lost write leaves it - is counted, and the next copy
 * is tried.
 */
#include <stdlib.h>

#include "priv.h"

enum { CACHE_MIN = 64 }; /* blocks */

int btrfs_cache_init(struct r3_btrfs *fs, size_t bytes)
{
	size_t max = bytes / fs->nodesize;

	fs->cache_max = max < CACHE_MIN ? CACHE_MIN : (unsigned)max;
	fs->clock_room = fs->cache_max;
	fs->hash_size = 1;
	while (fs->hash_size < fs->cache_max)
		fs->hash_size *= 2;
	fs->hash = calloc(fs->hash_size, sizeof(*fs->hash));
	fs->clock = calloc(fs->clock_room, sizeof(*fs->clock));
	return fs->hash && fs->clock ? 0 : -ENOMEM;
}

/* ---- bytes --------------------------------------------------------------- */

static struct btrfs_body *body_new(const struct r3_btrfs *fs)
{
	struct btrfs_body *body = malloc(sizeof(*body) + fs->nodesize);

	if (body)
		*body = (struct btrfs_body){ .users = 1 };
	return body;
}

static void body_put(struct btrfs_body *body)
{
	if (!--body->users)
		free(body);
}

static void set_body(struct btrfs_block *b, struct btrfs_body *body)
{
	b->body = body;
	b->data = body->data;
}

/* Bytes of its own, whatever they are. */
static bool body_own(const struct r3_btrfs *fs, struct btrfs_block *b)
{
	struct btrfs_body *body;

	if (b->body->users == 1)
		return true;
	body = body_new(fs);
	if (!body)
		return false;
	body_put(b->body);
	set_body(b, body);
	return true;
}

int btrfs_block_own(struct r3_btrfs *fs, struct btrfs_block *b)
{
	const struct btrfs_body *old = b->body;

	if (!body_own(fs, b))
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	if (b->body != old)
		memcpy(b->data, old->data, fs->nodesize);
	b->body->checked = false;
	return 0;
}

/* With the bytes of @like, or new ones. */
static struct btrfs_block *block_alloc(const struct r3_btrfs *fs,
				       const struct btrfs_block *like)
{
	struct btrfs_block *b = calloc(1, sizeof(*b));
	struct btrfs_body *body = like ? like->body : body_new(fs);

	if (!b || !body) {
		free(b);
		if (!like)
			free(body);
		return NULL;
	}
	body->users += like != NULL;
	set_body(b, body);
	return b;
}

static void block_free(struct btrfs_block *b)
{
	body_put(b->body);
	free(b);
}

/* ---- the cache ----------------------------------------------------------- */

static void free_blocks(struct btrfs_block **blocks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert(!blocks[i]->users);
		block_free(blocks[i]);
	}
	free(blocks);
}

void btrfs_cache_fini(struct r3_btrfs *fs)
{
	free_blocks(fs->clock, fs->cache_count);
	free_blocks(fs->dirty, fs->dirty_count);
	free(fs->hash);
}

static struct btrfs_block **bucket(const struct r3_btrfs *fs, uint64_t logical)
{
	uint64_t h = (logical >> 12) * UINT64_C(0x9e3779b97f4a7c15);

	return &fs->hash[(h >> 32) & (fs->hash_size - 1)];
}

static struct btrfs_block *cache_find(const struct r3_btrfs *fs,
				      uint64_t logical)
{
	struct btrfs_block *b = *bucket(fs, logical);

	while (b && b->logical != logical)
		b = b->hash_next;
	return b;
}

static void cache_link(struct r3_btrfs *fs, struct btrfs_block *b)
{
	struct btrfs_block **p = bucket(fs, b->logical);

	b->hash_next = *p;
	*p = b;
}

/* Afterwards nobody finds it, and whoever holds it keeps its bytes. */
static void cache_unlink(struct r3_btrfs *fs, struct btrfs_block *b)
{
	struct btrfs_block **p = bucket(fs, b->logical);

	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
	b->logical = 0;
}

/* A clean block that nobody uses or touched lately; NULL: all are in use.
 * Twice round clears every mark.  A cursor holds up to 8 blocks, and a walk
 * that goes down from within each_entry() has a cursor for each directory it is
 * in; most of their blocks are the same ones. */
static struct btrfs_block *cache_victim(struct r3_btrfs *fs)
{
	struct btrfs_block *b;

	for (unsigned i = 0; i < 2 * fs->cache_count; i++) {
		fs->clock_hand = (fs->clock_hand + 1) % fs->cache_count;
		b = fs->clock[fs->clock_hand];
		if (b->users)
			continue;
		if (!b->touched || !b->logical) {
			if (b->logical)
				cache_unlink(fs, b);
			return b;
		}
		b->touched = false;
	}
	return NULL;
}

/* A block joins the clean ones: in the place of another when there are many. */
static int clock_add(struct r3_btrfs *fs, struct btrfs_block *b)
{
	struct btrfs_block *old = NULL, **more;

	if (fs->cache_count >= fs->cache_max)
		old = cache_victim(fs);
	if (old) {
		b->at = old->at;
		block_free(old);
		fs->clock[b->at] = b;
		return 0;
	}
	if (fs->cache_count == fs->clock_room) {
		more = realloc(fs->clock,
			       2 * fs->clock_room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		fs->clock = more;
		fs->clock_room *= 2;
	}
	b->at = fs->cache_count;
	fs->clock[fs->cache_count++] = b;
	return 0;
}

/* Room for one more: a new block, or one that nobody uses or touched. */
static struct btrfs_block *cache_room(struct r3_btrfs *fs)
{
	struct btrfs_block *b = NULL;

	if (fs->cache_count >= fs->cache_max)
		b = cache_victim(fs);
	if (b)
		return body_own(fs, b) ? b : NULL;
	b = block_alloc(fs, NULL);
	if (b && clock_add(fs, b)) {
		block_free(b);
		return NULL;
	}
	return b;
}

/* ---- dirty blocks -------------------------------------------------------- */

/* Chains stay short also with many more blocks than the cache was meant for. */
static void hash_grow(struct r3_btrfs *fs)
{
	struct btrfs_block **old = fs->hash, *b, *next;
	unsigned size = fs->hash_size;

	if (fs->cache_count + fs->dirty_count < 2 * size)
		return;
	fs->hash = calloc(2 * (size_t)size, sizeof(*fs->hash));
	if (!fs->hash) { /* then they grow long */
		fs->hash = old;
		return;
	}
	fs->hash_size = 2 * size;
	for (unsigned i = 0; i < size; i++) {
		for (b = old[i]; b; b = next) {
			next = b->hash_next;
			cache_link(fs, b);
		}
	}
	free(old);
}

static bool dirty_room(struct r3_btrfs *fs)
{
	unsigned room = fs->dirty_room ? 2 * fs->dirty_room : 256;
	struct btrfs_block **more;

	if (fs->dirty_count < fs->dirty_room)
		return true;
	more = realloc(fs->dirty, room * sizeof(*more));
	if (!more)
		return false;
	fs->dirty = more;
	fs->dirty_room = room;
	return true;
}

/* Out of the dirty ones; freed, unless somebody still looks at it. */
void btrfs_cache_forget(struct r3_btrfs *fs, struct btrfs_block *b)
{
	assert(b->dirty);
	fs->dirty[b->at] = fs->dirty[--fs->dirty_count];
	fs->dirty[b->at]->at = b->at;
	b->dirty = false;
	cache_unlink(fs, b);
	if (!b->users)
		block_free(b);
	else if (clock_add(fs, b))
		abort(); /* a pointer's room, when memory is out */
}

int btrfs_cache_new(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_block *like, struct btrfs_block **out)
{
	struct btrfs_block *old = cache_find(fs, logical), *b;

	b = dirty_room(fs) ? block_alloc(fs, like) : NULL;
	if (!b)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	if (old && old->dirty)
		btrfs_cache_forget(fs, old);
	else if (old)
		cache_unlink(fs, old);
	hash_grow(fs);
	b->logical = logical;
	b->dirty = true;
	b->at = fs->dirty_count;
	fs->dirty[fs->dirty_count++] = b;
	cache_link(fs, b);
	*out = b;
	return 0;
}

static int by_logical(const void *a, const void *b)
{
	const struct btrfs_block *const *x = a, *const *y = b;

	return (*x)->logical < (*y)->logical ? -1 :
	       (*x)->logical > (*y)->logical;
}

void btrfs_cache_sort_dirty(struct r3_btrfs *fs)
{
	if (fs->dirty_count)
		qsort(fs->dirty, fs->dirty_count, sizeof(*fs->dirty),
		      by_logical);
	for (unsigned i = 0; i < fs->dirty_count; i++)
		fs->dirty[i]->at = i;
}

int btrfs_cache_clean(struct r3_btrfs *fs)
{
	while (fs->dirty_count) {
		struct btrfs_block *b = fs->dirty[fs->dirty_count - 1];

		if (clock_add(fs, b))
			return btrfs_fail(fs, -ENOMEM, "out of memory");
		fs->dirty_count--;
		b->dirty = false;
		b->touched = true;
	}
	return 0;
}

/* ---- reading ------------------------------------------------------------- */

static bool header_check(const struct r3_btrfs *fs, struct btrfs_block *b,
			 uint64_t logical, char *why, size_t len)
{
	const struct btrfs_header *h = (const void *)b->data;
	uint8_t sum[BTRFS_CSUM_MAX];
	const char *wrong = NULL;

	btrfs_csum(fs->csum_type, b->data + BTRFS_CSUM_MAX,
		   fs->nodesize - BTRFS_CSUM_MAX, sum);
	if (!fs->opts.ignore_csum && memcmp(sum, h->csum, fs->csum_size))
		wrong = "the checksum does not match";
	else if (le64(h->bytenr) != logical)
		wrong = "it belongs elsewhere";
	else if (memcmp(h->fsid, fs->metadata_uuid, BTRFS_UUID_SIZE))
		wrong = "it belongs to another file system";
	else if (h->level >= BTRFS_LEVELS_MAX)
		wrong = "its level is over 7";
	else if (le64(h->generation) > fs->generation)
		wrong = "its generation is in the future";
	else if (!(le64(h->flags) & BTRFS_HEADER_WRITTEN))
		wrong = "it is not marked as written";
	if (wrong) {
		snprintf(why, len, "%s", wrong);
		return false;
	}
	b->logical = logical;
	b->generation = le64(h->generation);
	b->owner = le64(h->owner);
	b->flags = le64(h->flags);
	b->nritems = le32(h->nritems);
	b->level = h->level;
	return b->level ? btrfs_node_check(fs, b, why, len)
			: btrfs_leaf_check(fs, b, why, len);
}

/* Blocks of subvolumes are shared by snapshots, so any subvolume may own one;
 * every other tree has only its own. */
static bool owner_fits(uint64_t tree, uint64_t owner)
{
	if (btrfs_is_fs_tree(tree) || tree == BTRFS_TREE_RELOC)
		return btrfs_is_fs_tree(owner) || owner == BTRFS_TREE_RELOC ||
		       owner == BTRFS_DATA_RELOC_TREE;
	return owner == tree;
}

static bool expect_check(const struct btrfs_block *b,
			 const struct btrfs_expect *e, char *why, size_t len)
{
	if (e->level >= 0 && b->level != e->level)
		snprintf(why, len, "its level is %u, not %d", b->level,
			 e->level);
	else if (b->generation != e->generation)
		snprintf(why, len, "its generation is %llu, not %llu",
			 (unsigned long long)b->generation,
			 (unsigned long long)e->generation);
	else if (!owner_fits(e->tree, b->owner))
		snprintf(why, len, "its owner is tree %s",
			 btrfs_tree_text(b->owner).s);
	else if (e->has_key && !b->nritems)
		snprintf(why, len, "it is empty");
	else if (e->has_key && btrfs_key_cmp(btrfs_block_key(b, 0), e->key))
		snprintf(why, len, "its first key is %s, its parent says %s",
			 btrfs_key_text(btrfs_block_key(b, 0)).s,
			 btrfs_key_text(e->key).s);
	else if (e->has_limit && b->nritems &&
		 btrfs_key_cmp(btrfs_block_key(b, b->nritems - 1),
			       e->limit) >= 0)
		snprintf(why, len, "its last key is %s, the next block "
			 "begins with %s",
			 btrfs_key_text(btrfs_block_key(b, b->nritems - 1)).s,
			 btrfs_key_text(e->limit).s);
	else
		return true;
	return false;
}

void btrfs_mend(struct r3_btrfs *fs, uint64_t logical, unsigned copies,
		const void *good, size_t len)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, logical);

	for (unsigned i = 0; fs->trans && i < copies; i++) {
		if (!fs->dev->ops->write(fs->dev, m->physical[i] +
					 (logical - m->logical), good, len))
			fs->mended_copies++;
	}
}

static int block_read(struct r3_btrfs *fs, uint64_t logical,
		      const struct btrfs_expect *e, struct btrfs_block *b)
{
	const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, logical);
	char why[256] = "", first[256] = "";
	unsigned bad = 0;

	/* copies are tried in order: the bad ones are those before */
	if (!m || logical - m->logical > m->length - fs->nodesize ||
	    m->length < fs->nodesize)
		return btrfs_fail(fs, -EUCLEAN, "tree %s block %llu: no chunk "
				  "holds it", btrfs_tree_text(e->tree).s,
				  (unsigned long long)logical);
	for (unsigned i = 0; i < m->copies; i++) {
		int err = fs->dev->ops->read(fs->dev, m->physical[i] +
					     (logical - m->logical), b->data,
					     fs->nodesize);

		if (err)
			snprintf(why, sizeof(why), "%.200s",
				 btrfs_read_why(fs, err).text);
		else if (header_check(fs, b, logical, why, sizeof(why)) &&
			 expect_check(b, e, why, sizeof(why))) {
			b->body->checked = true;
			fs->bad_copies += bad;
			btrfs_mend(fs, logical, bad, b->data, fs->nodesize);
			return 0;
		}
		if (!bad++)
			memcpy(first, why, sizeof(first));
	}
	fs->bad_copies += bad;
	return btrfs_fail(fs, -EIO, "tree %s block %llu: %s%s",
			  btrfs_tree_text(e->tree).s,
			  (unsigned long long)logical, first,
			  bad > 1 ? " (both copies bad)" : "");
}

int btrfs_block_get(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_expect *expect,
		    struct btrfs_block **out)
{
	struct btrfs_block *b = cache_find(fs, logical);
	char why[256];
	int err;

	if (!logical || !r3_is_aligned(logical, BTRFS_SECTOR))
		return btrfs_fail(fs, -EUCLEAN, "tree %s block %llu: not the "
				  "address of a block",
				  btrfs_tree_text(expect->tree).s,
				  (unsigned long long)logical);
	if (b && !expect_check(b, expect, why, sizeof(why)))
		return btrfs_fail(fs, -EUCLEAN, "tree %s block %llu: %s",
				  btrfs_tree_text(expect->tree).s,
				  (unsigned long long)logical, why);
	if (!b) {
		b = cache_room(fs);
		if (!b)
			return btrfs_fail(fs, -ENOMEM, "out of memory");
		err = block_read(fs, logical, expect, b);
		if (err) {
			b->logical = 0;
			return err;
		}
		cache_link(fs, b);
	}
	b->touched = true;
	b->users++;
	*out = b;
	return 0;
}

void btrfs_block_put(struct btrfs_block *b)
{
	assert(b->users);
	b->users--;
}

int btrfs_read_logical(struct r3_btrfs *fs, uint64_t logical, unsigned copy,
		       void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		const struct btrfs_chunk_map *m =
			btrfs_chunk_find(fs, logical);
		uint64_t n;
		int err;

		if (!m)
			return btrfs_fail(fs, -EUCLEAN, "block %llu: no chunk "
					  "holds it",
					  (unsigned long long)logical);
		if (copy >= m->copies)
			return -ENOENT;
		n = r3_min(len, m->length - (logical - m->logical));
		err = fs->dev->ops->read(fs->dev, m->physical[copy] +
					 (logical - m->logical), p, n);
		if (err)
			return btrfs_fail(fs, err, "block %llu: %s",
					  (unsigned long long)logical,
					  btrfs_read_why(fs, err).text);
		p += n;
		logical += n;
		len -= n;
	}
	return 0;
}
