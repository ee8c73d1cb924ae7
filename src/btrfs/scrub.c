// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scrub.c - read every copy of everything in use, and mend what can be mended
 *
 * The extent tree says what is in use.  A sector of data is good when it
 * matches its checksum; a tree block when its checksum, address, file system
 * and generation are right; a copy that is not gets the bytes of one that is.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "priv.h"

enum { PIECE = 1 << 20, SECTORS = PIECE / BTRFS_SECTOR,
       TEXT_MAX = R3_BTRFS_PATH_MAX + 256 };

enum copy_state { GOOD, BAD_SUM, BAD_HEADER, BAD_READ };

struct scrub {
	struct r3_btrfs *fs;
	const struct r3_btrfs_scrub_options *opts;
	struct r3_btrfs_scrub_result *res;
	uint8_t *buf[BTRFS_COPIES_MAX]; /* a piece of each copy */
	uint8_t *again;			/* what a mended sector now is */
	uint8_t state[BTRFS_COPIES_MAX][SECTORS];
	struct btrfs_cursor sums; /* on the csum item at or after the data */
	bool sums_end;
	bool wrote;
	uint64_t done, total;
};

static void problem(const struct scrub *s, const char *fmt, ...)
	R3_PRINTF(2, 3);

static void problem(const struct scrub *s, const char *fmt, ...)
{
	char text[TEXT_MAX + 128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->opts->problem)
		s->opts->problem(s->opts->arg, text);
}

static void progress(struct scrub *s, uint64_t bytes)
{
	s->done += bytes;
	if (s->opts->progress)
		s->opts->progress(s->opts->arg, s->done, s->total);
}

/* ---- mending --------------------------------------------------------------*/

static void count_bad(struct scrub *s, enum copy_state state)
{
	s->res->csum_errors += state == BAD_SUM;
	s->res->header_errors += state == BAD_HEADER;
	s->res->read_errors += state == BAD_READ;
}

/* Over one bad copy; only what reads back right counts. */
static bool mend(struct scrub *s, uint64_t physical, const uint8_t *good,
		 size_t len)
{
	struct r3_btrfs_dev *dev = s->fs->dev;

	if (s->opts->readonly || dev->ops->write(dev, physical, good, len) ||
	    dev->ops->read(dev, physical, s->again, len) ||
	    memcmp(s->again, good, len))
		return false;
	s->wrote = true;
	return true;
}

static const char *state_text(enum copy_state state)
{
	static const char *const texts[] = {
		[BAD_SUM] = "the checksum does not match",
		[BAD_HEADER] = "it is not the block that belongs here",
		[BAD_READ] = "it can't be read",
	};

	return texts[state];
}

/* @what at @logical, @len bytes at @at of the buffers, whose copies are in the
 * given states. */
static void settle(struct scrub *s, const struct btrfs_chunk_map *m,
		   const char *what, uint64_t logical, size_t at, size_t len,
		   const uint8_t *states)
{
	const uint8_t *good = NULL;

	for (unsigned c = 0; c < m->copies && !good; c++)
		good = states[c] == GOOD ? s->buf[c] + at : NULL;
	for (unsigned c = 0; c < m->copies; c++) {
		bool mended;

		if (states[c] == GOOD)
			continue;
		count_bad(s, states[c]);
		mended = good && mend(s, m->physical[c] +
				      (logical - m->logical), good, len);
		s->res->corrected += mended;
		s->res->uncorrectable += !good;
		problem(s, "%s: copy %u: %s; %s", what, c + 1,
			state_text(states[c]),
			mended ? "mended"
			: !good ? "no good copy is left"
			: s->opts->readonly ? "a good copy is there"
					    : "it could not be written");
	}
}

/* ---- tree blocks ----------------------------------------------------------*/

static enum copy_state block_state(const struct scrub *s, const uint8_t *data,
				   uint64_t logical, uint64_t generation)
{
	const struct r3_btrfs *fs = s->fs;
	const struct btrfs_header *h = (const void *)data;
	uint8_t sum[BTRFS_CSUM_MAX];

	btrfs_csum(fs->csum_type, data + BTRFS_CSUM_MAX,
		   fs->nodesize - BTRFS_CSUM_MAX, sum);
	if (memcmp(sum, h->csum, fs->csum_size))
		return BAD_SUM;
	if (le64(h->bytenr) != logical || le64(h->generation) != generation ||
	    memcmp(h->fsid, fs->metadata_uuid, BTRFS_UUID_SIZE))
		return BAD_HEADER;
	return GOOD;
}

static int scrub_block(struct scrub *s, uint64_t logical, uint64_t generation)
{
	struct r3_btrfs_dev *dev = s->fs->dev;
	uint32_t len = s->fs->nodesize;
	const struct btrfs_chunk_map *m = btrfs_chunk_find(s->fs, logical);
	uint8_t states[BTRFS_COPIES_MAX];
	bool bad = false;
	char what[64];

	if (!m || logical - m->logical > m->length - len)
		return btrfs_fail(s->fs, -EUCLEAN, "tree block %llu: no chunk "
				  "holds it", (unsigned long long)logical);
	for (unsigned c = 0; c < m->copies; c++) {
		states[c] = dev->ops->read(dev, m->physical[c] +
					   (logical - m->logical), s->buf[c],
					   len)
				    ? BAD_READ
				    : block_state(s, s->buf[c], logical,
						  generation);
		bad |= states[c] != GOOD;
	}
	if (bad) {
		snprintf(what, sizeof(what), "tree block %llu",
			 (unsigned long long)logical);
		settle(s, m, what, logical, 0, len, states);
	}
	s->res->tree_bytes += (uint64_t)len * m->copies;
	progress(s, len);
	return 0;
}

/* ---- data -----------------------------------------------------------------*/

/* The checksum of the sector at @logical, which only grows; NULL: it has none.
 * Return: 0 or damage. */
static int sum_find(struct scrub *s, uint64_t logical, const uint8_t **out)
{
	uint32_t each = s->fs->csum_size;
	int err = 0;

	*out = NULL;
	while (!s->sums_end) {
		const struct btrfs_cursor *c = &s->sums;
		uint64_t from = c->key.offset;

		if (c->key.type == BTRFS_EXTENT_CSUM) {
			uint64_t to = from + (uint64_t)(c->size / each) *
						     BTRFS_SECTOR;

			if (logical < from)
				return 0;
			if (logical < to) {
				*out = (const uint8_t *)c->data +
				       (logical - from) / BTRFS_SECTOR * each;
				return 0;
			}
		}
		err = btrfs_cursor_next(&s->sums);
		s->sums_end = err;
	}
	return err == -ENOENT ? 0 : err;
}

/* A piece of one copy; where the whole can't be read, sector by sector. */
static void read_copy(struct scrub *s, unsigned copy, uint64_t physical,
		      size_t len)
{
	struct r3_btrfs_dev *dev = s->fs->dev;

	memset(s->state[copy], GOOD, len / BTRFS_SECTOR);
	if (!dev->ops->read(dev, physical, s->buf[copy], len))
		return;
	for (size_t at = 0; at < len; at += BTRFS_SECTOR) {
		if (dev->ops->read(dev, physical + at, s->buf[copy] + at,
				   BTRFS_SECTOR))
			s->state[copy][at / BTRFS_SECTOR] = BAD_READ;
	}
}

/* Names the first file whose reference is kept in the extent's item. */
static void name_owner(struct scrub *s, const struct btrfs_cursor *extent,
		       uint64_t logical, char *out, size_t len)
{
	const struct btrfs_extent_item *x = extent->data;
	const uint8_t *inline_ref = (const uint8_t *)(x + 1);
	const struct btrfs_extent_data_ref *r = (const void *)(inline_ref + 1);
	int n = snprintf(out, len, "data %llu", (unsigned long long)logical);
	char path[R3_BTRFS_PATH_MAX];
	uint64_t off;

	if (extent->size < sizeof(*x) + 1 + sizeof(*r) ||
	    *inline_ref != BTRFS_EXTENT_DATA_REF)
		return;
	off = le64(r->offset) + (logical - extent->key.objectid);
	if (btrfs_inode_path(s->fs, le64(r->root), le64(r->objectid), path))
		snprintf(path, sizeof(path), "?");
	snprintf(out + n, len - (size_t)n, ": subvolume %llu inode %llu offset "
		 "%llu: %s", (unsigned long long)le64(r->root),
		 (unsigned long long)le64(r->objectid),
		 (unsigned long long)off, path);
}

static int scrub_sector(struct scrub *s, const struct btrfs_cursor *extent,
			const struct btrfs_chunk_map *m, uint64_t logical,
			size_t at)
{
	uint8_t sum[BTRFS_CSUM_MAX], states[BTRFS_COPIES_MAX];
	const uint8_t *want;
	bool bad = false;
	char what[TEXT_MAX];
	int err = sum_find(s, logical, &want);

	if (err)
		return err;
	if (!want)
		s->res->no_csum_bytes += BTRFS_SECTOR;
	for (unsigned c = 0; c < m->copies; c++) {
		states[c] = s->state[c][at / BTRFS_SECTOR];
		if (states[c] == GOOD && want) {
			btrfs_csum(s->fs->csum_type, s->buf[c] + at,
				   BTRFS_SECTOR, sum);
			if (memcmp(sum, want, s->fs->csum_size))
				states[c] = BAD_SUM;
		}
		bad |= states[c] != GOOD;
	}
	if (bad) {
		name_owner(s, extent, logical, what, sizeof(what));
		settle(s, m, what, logical, at, BTRFS_SECTOR, states);
	}
	return 0;
}

static int scrub_data(struct scrub *s, const struct btrfs_cursor *extent)
{
	uint64_t at = extent->key.objectid, end = at + extent->key.offset;
	int err = 0;

	while (!err && at < end) {
		const struct btrfs_chunk_map *m = btrfs_chunk_find(s->fs, at);
		uint64_t len;

		if (!m)
			return btrfs_fail(s->fs, -EUCLEAN, "data %llu: no "
					  "chunk holds it",
					  (unsigned long long)at);
		len = r3_min(end, m->logical + m->length) - at;
		len = r3_min(len, PIECE);
		for (unsigned c = 0; c < m->copies; c++)
			read_copy(s, c, m->physical[c] + (at - m->logical),
				  len);
		for (size_t off = 0; !err && off < len; off += BTRFS_SECTOR)
			err = scrub_sector(s, extent, m, at + off, off);
		s->res->data_bytes += len * m->copies;
		progress(s, len);
		at += len;
	}
	return err;
}

/* ---- the whole ------------------------------------------------------------*/

static int scrub_extent(struct scrub *s, const struct btrfs_cursor *c)
{
	const struct btrfs_extent_item *x = c->data;

	if (c->key.type != BTRFS_EXTENT_ITEM &&
	    c->key.type != BTRFS_METADATA_ITEM)
		return 0;
	if (le64(x->flags) & BTRFS_EXTENT_FLAG_DATA)
		return scrub_data(s, c);
	return scrub_block(s, c->key.objectid, le64(x->generation));
}

static int scrub_extents(struct scrub *s)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&s->sums, s->fs, &s->fs->csum);
	err = btrfs_cursor_seek(&s->sums, KEY(0, 0, 0));
	s->sums_end = err == -ENOENT;
	btrfs_cursor_init(&c, s->fs, &s->fs->extent);
	if (!err || err == -ENOENT)
		err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	while (!err) {
		err = scrub_extent(s, &c);
		if (!err)
			err = btrfs_cursor_next(&c);
	}
	btrfs_cursor_fini(&c);
	btrfs_cursor_fini(&s->sums);
	return err == -ENOENT ? 0 : err;
}

/* The copies of the super block: each should be the one that was opened. */
static void scrub_supers(struct scrub *s)
{
	struct r3_btrfs_dev *dev = s->fs->dev;
	struct btrfs_super good, copy;

	for (unsigned i = 0; i < BTRFS_SUPER_COPIES; i++) {
		uint64_t at = btrfs_super_offsets[i];
		bool mended;

		if (at + sizeof(copy) > s->fs->total_bytes)
			break;
		good = s->fs->super;
		btrfs_super_seal(s->fs->csum_type, &good, at);
		if (!dev->ops->read(dev, at, &copy, sizeof(copy)) &&
		    !memcmp(&copy, &good, sizeof(copy)))
			continue;
		s->res->super_errors++;
		mended = mend(s, at, (const uint8_t *)&good, sizeof(good));
		s->res->corrected += mended;
		problem(s, "super block %u: differs from the newest one; %s",
			i + 1, mended ? "mended" : "left as it is");
	}
}

int r3_btrfs_scrub(struct r3_btrfs *fs,
		   const struct r3_btrfs_scrub_options *opts,
		   struct r3_btrfs_scrub_result *out)
{
	size_t piece = r3_max((size_t)PIECE, (size_t)fs->nodesize);
	struct scrub s = { .fs = fs, .opts = opts, .res = out,
			   .total = le64(fs->super.bytes_used) };
	int err = 0;

	memset(out, 0, sizeof(*out));
	s.again = malloc(fs->nodesize);
	for (unsigned i = 0; i < BTRFS_COPIES_MAX; i++)
		s.buf[i] = malloc(piece);
	if (!s.again || !s.buf[0] || !s.buf[1])
		err = btrfs_fail(fs, -ENOMEM, "out of memory");
	if (!err)
		err = scrub_extents(&s);
	if (!err)
		scrub_supers(&s);
	if (s.wrote) {
		int flushed = fs->dev->ops->flush(fs->dev);

		if (flushed && !err)
			err = btrfs_write_fail(fs, flushed);
	}
	for (unsigned i = 0; i < BTRFS_COPIES_MAX; i++)
		free(s.buf[i]);
	free(s.again);
	return err;
}
