// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * write.c - new data of a file
 *
 * Data goes to the device at once, into space that was free; the trees then
 * take it in.  One call makes as many operations as it needs, each with at most
 * so many extents in and out.  Sectors that are written in part are completed
 * with what the file holds.
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "extent.h"
#include "names.h"

/* Whole sectors [from, to) of a file, in up to three parts: what is written
 * (@body, from @body_at on), and the sectors that it fills only in part. */
struct bytes {
	uint64_t from, to;
	const uint8_t *body;
	uint64_t body_at;
	bool has_head, has_tail;
	uint8_t head[BTRFS_SECTOR], tail[BTRFS_SECTOR];
};

struct writer {
	struct btrfs_replace r;
	struct bytes b;
	struct btrfs_packer_choice how;
	uint8_t *joined; /* BTRFS_COMPRESSED_MAX, for what lies in two parts */
};

/* The bytes at @at, and how many follow in one piece. */
static const uint8_t *bytes_at(const struct bytes *b, uint64_t at,
			       uint64_t *len)
{
	uint64_t end = b->has_tail ? b->to - BTRFS_SECTOR : b->to;

	if (b->has_head && at < b->from + BTRFS_SECTOR) {
		*len = b->from + BTRFS_SECTOR - at;
		return b->head + (at - b->from);
	}
	if (b->has_tail && at >= end) {
		*len = b->to - at;
		return b->tail + (at - end);
	}
	*len = end - at;
	return b->body + (at - b->body_at);
}

/* One sector as the file holds it, zeros past its end, which is @size. */
static int old_sector(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t at, uint64_t size, uint8_t *out)
{
	size_t got = 0;
	int err = 0;

	if (at < size)
		err = r3_btrfs_read(fs, in, at, out, BTRFS_SECTOR, &got);
	if (!err)
		memset(out + got, 0, BTRFS_SECTOR - got);
	return err;
}

/* @off to @off + @len is written; the sectors at its ends are completed. */
static int bytes_init(struct bytes *b, const struct btrfs_replace *r,
		      uint64_t off, const void *buf, uint64_t len)
{
	uint64_t end = off + len, last = r3_align_down(end, BTRFS_SECTOR);
	uint64_t size = le64(r->node.item.size), n;
	bool one;
	int err = 0;

	b->from = r3_align_down(off, BTRFS_SECTOR);
	b->to = btrfs_sectors(end);
	b->body = buf;
	b->body_at = off;
	one = b->to - b->from == BTRFS_SECTOR && len < BTRFS_SECTOR;
	b->has_head = one || off != b->from;
	b->has_tail = !one && end != b->to;
	if (b->has_head) {
		n = r3_min(end, b->from + BTRFS_SECTOR) - off;
		err = old_sector(r->fs, r->in, b->from, size, b->head);
		memcpy(b->head + (off - b->from), buf, n);
	}
	if (!err && b->has_tail) {
		err = old_sector(r->fs, r->in, last, size, b->tail);
		memcpy(b->tail, b->body + (last - off), end - last);
	}
	return err;
}

/* ---- extents --------------------------------------------------------------*/

void btrfs_packer_feature(struct r3_btrfs *fs, unsigned type)
{
	if (type == BTRFS_COMPRESS_LZO)
		btrfs_set_incompat(fs, BTRFS_INCOMPAT_LZO);
	else if (type == BTRFS_COMPRESS_ZSTD)
		btrfs_set_incompat(fs, BTRFS_INCOMPAT_ZSTD);
}

static struct btrfs_fx *next_x(struct btrfs_replace *r)
{
	assert(r->count < BTRFS_PUT_MAX);
	return &r->x[r->count++];
}

/* Space, and the quota for it. */
static int alloc(struct btrfs_replace *r, uint64_t want, uint64_t min,
		 uint64_t *logical, uint64_t *got)
{
	int err = btrfs_alloc_data(r->fs, want, min, logical, got);

	return err ? err : btrfs_quota_reserve(r->fs, r->in.subvol, *got);
}

/* Up to @len bytes at @at, plain, in one extent; *len: how many. */
static int store_plain(struct writer *w, uint64_t at, uint64_t *len)
{
	struct btrfs_replace *r = &w->r;
	uint64_t logical, got, done = 0, n;
	int err = alloc(r, r3_min(*len, BTRFS_EXTENT_MAX), BTRFS_SECTOR,
			&logical, &got);

	while (!err && done < got) {
		const uint8_t *p = bytes_at(&w->b, at + done, &n);

		n = r3_min(n, got - done);
		err = btrfs_replace_write(r, logical + done, p, n);
		done += n;
	}
	if (err)
		return err;
	*next_x(r) = (struct btrfs_fx){ .start = at, .len = got,
					.logical = logical, .disk_len = got,
					.ram_len = got,
					.type = BTRFS_FILE_REG };
	*len = got;
	return 0;
}

/* The @len bytes at @at in one piece. */
static int joined(struct writer *w, uint64_t at, uint64_t len,
		  const uint8_t **out)
{
	uint64_t n, done = 0;

	*out = bytes_at(&w->b, at, &n);
	if (n >= len)
		return 0;
	if (!w->joined)
		w->joined = malloc(BTRFS_COMPRESSED_MAX);
	if (!w->joined)
		return -ENOMEM;
	for (; done < len; done += n) {
		const uint8_t *p = bytes_at(&w->b, at + done, &n);

		n = r3_min(n, len - done);
		memcpy(w->joined + done, p, n);
	}
	*out = w->joined;
	return 0;
}

/* As store_plain(), but packed; *len 0 when that would save nothing. */
static int store_packed(struct writer *w, uint64_t at, uint64_t *len)
{
	uint64_t n = r3_min(*len, BTRFS_COMPRESSED_MAX), disk, logical, got;
	struct btrfs_replace *r = &w->r;
	const uint8_t *in;
	uint8_t *out;
	size_t packed;
	int err;

	*len = 0;
	if (n <= BTRFS_SECTOR)
		return 0;
	err = joined(w, at, n, &in);
	if (!err)
		err = btrfs_pack_bytes(r->fs, &w->how, in, n,
				       n - BTRFS_SECTOR, &out, &packed);
	if (err || !packed)
		return err;
	disk = btrfs_sectors(packed);
	memset(out + packed, 0, disk - packed);
	err = alloc(r, disk, disk, &logical, &got);
	if (err)
		return err == -ENOSPC ? 0 : err; /* plain fits between others */
	err = btrfs_replace_write(r, logical, out, disk);
	if (err)
		return err;
	btrfs_packer_feature(r->fs, w->how.type);
	*next_x(r) = (struct btrfs_fx){ .start = at, .len = n,
					.logical = logical, .disk_len = disk,
					.ram_len = n, .type = BTRFS_FILE_REG,
					.compression = (uint8_t)w->how.type };
	*len = n;
	return 0;
}

/* Is a piece preallocated space that nobody else refers to? */
static int is_ours(struct btrfs_replace *r, const struct btrfs_fx *x,
		   bool *out)
{
	struct btrfs_ref ref = btrfs_fx_ref(&r->node, x);

	*out = x->type == BTRFS_FILE_PREALLOC &&
	       x->generation > r->node.tree->last_snapshot;
	return *out ? btrfs_ref_alone(r->fs, &ref, out) : 0;
}

/* The start of *len bytes, into preallocated space where that is; *stored:
 * how many.  Else *len: how many lie before the next piece. */
static int store_in_place(struct writer *w, uint64_t at, uint64_t *len,
			  uint64_t *stored)
{
	struct btrfs_replace *r = &w->r;
	uint64_t to, done, n;
	struct btrfs_fx x;
	bool ours;
	int err;

	*stored = 0;
	err = btrfs_fx_find(r->fs, r->node.tree, r->node.ino, at, &x);
	if (err)
		return err == -ENOENT ? 0 : err;
	to = x.start > at ? x.start : btrfs_fx_end(&x);
	*len = r3_min(*len, to - at);
	err = x.start > at ? 0 : is_ours(r, &x, &ours);
	if (err || x.start > at || !ours)
		return err;
	x.offset += at - x.start;
	x.start = at;
	x.len = *len;
	x.generation = 0;
	x.type = BTRFS_FILE_REG;
	for (done = 0; !err && done < x.len; done += n) {
		const uint8_t *p = bytes_at(&w->b, at + done, &n);

		n = r3_min(n, x.len - done);
		err = btrfs_replace_write(r, x.logical + x.offset + done, p,
					  n);
	}
	*next_x(r) = x;
	*stored = x.len;
	return err;
}

static int store_one(struct writer *w, uint64_t at, uint64_t *len)
{
	uint64_t all = *len, stored;
	int err = 0;

	if (le64(w->r.node.item.flags) & BTRFS_INODE_PREALLOC) {
		err = store_in_place(w, at, &all, &stored);
		*len = stored;
		if (err || stored)
			return err;
	}
	*len = all;
	if (!w->how.type)
		return store_plain(w, at, len);
	err = store_packed(w, at, len);
	if (err || *len)
		return err;
	*len = r3_min(all, BTRFS_COMPRESSED_MAX);
	return store_plain(w, at, len);
}

/* All of the bytes, or what @max extents or the space hold; r->to: up to
 * there. */
static int store(struct writer *w, unsigned max)
{
	struct btrfs_replace *r = &w->r;
	uint64_t at = w->b.from, n;
	int err = 0;

	r->from = at;
	while (!err && at < w->b.to && r->count < max) {
		n = w->b.to - at;
		err = store_one(w, at, &n);
		if (!err)
			at += n;
	}
	r->to = at;
	return (err == -ENOSPC || err == -EDQUOT) && r->count ? 0 : err;
}

/* ---- inline data ----------------------------------------------------------*/

int btrfs_is_inline(struct r3_btrfs *fs, const struct btrfs_node *node,
		    bool *out)
{
	uint64_t nbytes = le64(node->item.nbytes);
	struct btrfs_fx x;
	int err;

	*out = false;
	/* inline data is all that there is, and not longer than a sector */
	if (!nbytes || nbytes > BTRFS_SECTOR)
		return 0;
	err = btrfs_fx_find(fs, node->tree, node->ino, 0, &x);
	if (!err)
		*out = x.type == BTRFS_FILE_INLINE;
	return err == -ENOENT ? 0 : err;
}

/* Make the whole file inline data when it may be. */
static int try_inline(struct writer *w, bool *done)
{
	struct btrfs_replace *r = &w->r;
	bool is_inline = false;
	size_t packed = 0;
	uint8_t *out;
	uint64_t n;
	int err = 0;

	*done = false;
	if (w->b.from || w->b.to > BTRFS_SECTOR || r->size > BTRFS_SECTOR)
		return 0;
	if (le64(r->node.item.nbytes))
		err = btrfs_is_inline(r->fs, &r->node, &is_inline);
	if (err || (le64(r->node.item.nbytes) && !is_inline))
		return err;
	r->inline_data = bytes_at(&w->b, 0, &n);
	r->inline_ram = r->inline_len = r->size;
	r->inline_compression = 0;
	if (w->how.type)
		err = btrfs_pack_bytes(r->fs, &w->how, r->inline_data,
				       r->size, r->size - 1, &out, &packed);
	if (!err && packed) {
		btrfs_packer_feature(r->fs, w->how.type);
		r->inline_data = out;
		r->inline_len = packed;
		r->inline_compression = (uint8_t)w->how.type;
	}
	*done = !err && r->inline_len <= BTRFS_INLINE_MAX &&
		r->inline_len < BTRFS_SECTOR;
	if (!*done)
		r->inline_data = NULL;
	r->from = 0;
	r->to = BTRFS_SECTOR;
	return err;
}

/* ---- an operation ---------------------------------------------------------*/

/* So many extents that @len bytes may become at once. */
static unsigned extents_for(const struct r3_btrfs *fs, uint64_t len)
{
	uint64_t n = len / BTRFS_SECTOR;

	/* packed or not is known later; plain ones are few unless space is
	 * in pieces, and then there are more operations */
	return (unsigned)r3_min(n, fs->opts.compression ||
				len > 8 * R3_MIB ? BTRFS_PUT_MAX : 4);
}

/* Write the first of @len bytes at @off; *done: how many. */
static int write_step(struct writer *w, struct r3_btrfs *fs,
		      struct r3_btrfs_inode in, uint64_t off, const void *buf,
		      uint64_t len, uint64_t *done)
{
	uint64_t from = r3_align_down(off, BTRFS_SECTOR), to;
	struct btrfs_replace *r = &w->r;
	bool is_inline = false;
	unsigned drops, max;
	int err;

	len = r3_min(len, BTRFS_EXTENT_MAX - (off - from));
	err = btrfs_file_reach(fs, in, from, btrfs_sectors(off + len),
			       BTRFS_DROP_MAX, &to, &drops);
	if (err)
		return err;
	len = r3_min(len, to - off);
	max = extents_for(fs, to - from);
	err = btrfs_replace_begin(r, fs, in, max, drops, to - from,
				  BTRFS_USES);
	if (err)
		return err;
	r->size = r3_max(r->size, off + len);
	err = btrfs_packer_choose(fs, &r->node, in, &w->how);
	if (!err)
		err = bytes_init(&w->b, r, off, buf, len);
	if (!err)
		err = try_inline(w, &is_inline);
	if (!err && !is_inline)
		err = store(w, max);
	else if (!err)
		err = btrfs_quota_reserve(fs, in.subvol,
					  btrfs_meta_bytes(1, r->inline_len));
	if (err)
		return btrfs_replace_cancel(r, err);
	*done = r3_min(r->to, off + len) - off;
	r->size = r3_max(le64(r->node.item.size), off + *done);
	return btrfs_replace_end(r);
}

int r3_btrfs_write(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		   const void *buf, size_t len)
{
	const uint8_t *p = buf;
	struct writer *w;
	uint64_t end, done = 0;
	int err;

	if (!len || len > SSIZE_MAX)
		return btrfs_fail(fs, -EINVAL, "a write of %zu bytes", len);
	if (!r3_add(off, len, &end) || end > BTRFS_FILE_MAX)
		return btrfs_fail(fs, -EFBIG, "a file can't be that long");
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->joined = NULL;
	do {
		err = btrfs_make_way(fs, in, off);
	} while (btrfs_replace_again(fs, err));
	while (!err && len) {
		do {
			err = write_step(w, fs, in, off, p, len, &done);
		} while (btrfs_replace_again(fs, err));
		if (!err) {
			p += done;
			off += done;
			len -= done;
		}
	}
	free(w->joined);
	free(w);
	return err;
}

/* ---- for the others -------------------------------------------------------*/

int btrfs_keep_sector(struct btrfs_replace *r, uint64_t at, size_t keep)
{
	uint8_t sector[BTRFS_SECTOR];
	uint64_t logical, got;
	int err = old_sector(r->fs, r->in, at, le64(r->node.item.size),
			     sector);

	memset(sector + keep, 0, sizeof(sector) - keep);
	if (!err)
		err = alloc(r, BTRFS_SECTOR, BTRFS_SECTOR, &logical, &got);
	if (!err)
		err = btrfs_replace_write(r, logical, sector, BTRFS_SECTOR);
	if (!err)
		*next_x(r) = (struct btrfs_fx){ .start = at, .len = got,
						.logical = logical,
						.disk_len = got,
						.ram_len = got,
						.type = BTRFS_FILE_REG };
	return err;
}

/* Sector @at, where the file ends, as an extent of its own. */
static int last_sector_out(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			   uint64_t at)
{
	struct btrfs_replace r;
	int err = btrfs_replace_begin(&r, fs, in, 1, 1, BTRFS_SECTOR,
				      BTRFS_USES);

	if (err)
		return err;
	err = btrfs_keep_sector(&r, at, BTRFS_SECTOR);
	if (err)
		return btrfs_replace_cancel(&r, err);
	r.from = at;
	r.to = at + BTRFS_SECTOR;
	return btrfs_replace_end(&r);
}

int btrfs_make_way(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off)
{
	struct btrfs_tree *tree;
	struct r3_btrfs_stat st;
	struct btrfs_fx x;
	uint64_t size, last;
	int err = btrfs_subvol_writable(fs, in.subvol, &tree);

	if (!err)
		err = r3_btrfs_stat(fs, in, &st);
	if (err || !S_ISREG(st.st.st_mode) || !st.st.st_size)
		return err;
	size = (uint64_t)st.st.st_size;
	last = r3_align_down(size - 1, BTRFS_SECTOR);
	if (off < last + BTRFS_SECTOR)
		return 0;
	err = btrfs_fx_find(fs, tree, in.ino, last, &x);
	if (err || x.start > last)
		return err == -ENOENT ? 0 : err;
	if (x.type != BTRFS_FILE_INLINE &&
	    (!x.compression || r3_is_aligned(size, BTRFS_SECTOR)))
		return 0;
	return last_sector_out(fs, in, last);
}
