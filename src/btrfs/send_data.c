// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send_data.c - a file's data: written, packed as it is, or cloned
 *
 * What is to be written gathers in a run, across extents, and goes out when
 * something else comes or the file ends.
 */
#include "send.h"

enum { PUNCH_HOLE = 2 | 1 }; /* FALLOC_FL_PUNCH_HOLE | KEEP_SIZE */

static int write_run(struct send *s, uint64_t off, uint64_t to)
{
	uint64_t max = s->proto > 1 ? DATA_V2 : BTRFS_STREAM_DATA_V1;
	size_t got;
	int err = 0;

	while (!err && off < to) {
		size_t n = r3_min(to - off, max);

		send_begin(s, BTRFS_SEND_WRITE);
		send_put_path(s);
		send_put_u64(s, BTRFS_A_FILE_OFFSET, off);
		err = r3_btrfs_read(s->fs, s->in, off, send_data_room(s, n), n,
				    &got);
		if (!err && got != n)
			err = btrfs_fail(s->fs, -EIO, "%s: shorter than its "
					 "size", s->path);
		if (!err)
			err = send_end(s);
		off += n;
	}
	return err;
}

int send_flush(struct send *s)
{
	uint64_t from = s->run_from, to = s->run_to;

	s->run_from = s->run_to = 0;
	if (from == to)
		return 0;
	s->wrote = true;
	if (!s->opts->no_data)
		return write_run(s, from, to);
	send_begin(s, BTRFS_SEND_UPDATE_EXTENT);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_FILE_OFFSET, from);
	send_put_u64(s, BTRFS_A_SIZE, to - from);
	return send_end(s);
}

int send_run(struct send *s, uint64_t from, uint64_t to)
{
	int err = 0;

	if (s->run_to != from || s->run_from == s->run_to) {
		err = send_flush(s);
		s->run_from = from;
	}
	s->run_to = to;
	return err;
}

int send_zeros(struct send *s, uint64_t from, uint64_t to)
{
	r3_le32 mode = to_le32(PUNCH_HOLE);
	int err;

	if (s->proto < 2 || s->opts->no_data)
		return send_run(s, from, to);
	err = send_flush(s);
	if (err)
		return err;
	s->wrote = true;
	send_begin(s, BTRFS_SEND_FALLOCATE);
	send_put_path(s);
	send_put(s, BTRFS_A_FALLOCATE_MODE, &mode, sizeof(mode));
	send_put_u64(s, BTRFS_A_FILE_OFFSET, from);
	send_put_u64(s, BTRFS_A_SIZE, to - from);
	return send_end(s);
}

/* A packed extent, or a part of one, with all of its packed bytes. */
static int send_encoded(struct send *s, const struct r3_btrfs_extent *x,
			uint64_t from, uint64_t to)
{
	static const uint8_t codes[] = { 0, 1, 3, 2 }; /* lzo of 4K: 3 */
	r3_le32 code = to_le32(codes[x->compression]), none = to_le32(0);
	int err = send_flush(s);

	if (err)
		return err;
	s->wrote = true;
	send_begin(s, BTRFS_SEND_ENCODED_WRITE);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_FILE_OFFSET, from);
	send_put_u64(s, BTRFS_A_UNENCODED_FILE_LEN, to - from);
	send_put_u64(s, BTRFS_A_UNENCODED_LEN, x->ram_len);
	send_put_u64(s, BTRFS_A_UNENCODED_OFFSET,
		     x->offset + (from - x->start));
	send_put(s, BTRFS_A_COMPRESSION, &code, sizeof(code));
	send_put(s, BTRFS_A_ENCRYPTION, &none, sizeof(none));
	err = btrfs_read_data(s->fs, s->in, x->start, x->logical,
			      send_data_room(s, x->disk_len), x->disk_len);
	return err ? err : send_end(s);
}

static int send_clone(struct send *s, const struct origin *o, uint64_t off,
		      uint64_t len)
{
	int err = send_flush(s);

	if (err)
		return err;
	s->wrote = true;
	send_begin(s, BTRFS_SEND_CLONE);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_FILE_OFFSET, off);
	send_put_u64(s, BTRFS_A_CLONE_LEN, len);
	send_put(s, BTRFS_A_CLONE_UUID, o->uuid, 16);
	send_put_u64(s, BTRFS_A_CLONE_CTRANSID, o->ctransid);
	send_put(s, BTRFS_A_CLONE_PATH, o->path, strlen(o->path));
	send_put_u64(s, BTRFS_A_CLONE_OFFSET, o->start);
	return send_end(s);
}

/* Bytes that can be cloned for [from, to): whole sectors, but for an end of the
 * source that becomes this file's end. */
static uint64_t cloneable(const struct send *s, const struct origin *o,
			  uint64_t from, uint64_t to)
{
	uint64_t n = r3_min(o->len, to - from);

	if (!r3_is_aligned(n, BTRFS_SECTOR) &&
	    (n != o->len || from + n != s->size))
		n = r3_align_down(n, BTRFS_SECTOR);
	return n;
}

/* A piece that no clone gives: packed or plain. */
static int send_bytes(struct send *s, const struct r3_btrfs_extent *x,
		      uint64_t from, uint64_t to)
{
	struct known k = { x->logical, x->offset + (from - x->start),
			   to - from, from, 0 };
	bool whole = r3_is_aligned(from, BTRFS_SECTOR) &&
		     (r3_is_aligned(to, BTRFS_SECTOR) || to == s->size);
	int err = s->opts->compressed && x->compression && whole
			  ? send_encoded(s, x, from, to)
			  : send_run(s, from, to);

	if (err || !whole || s->pieces.n >= CLONES_MAX ||
	    send_table_find(&s->pieces, k.key, k.offset))
		return err;
	k.path = send_keep_path(s);
	return k.path && send_table_add(&s->pieces, k) ? 0
						       : send_no_memory(s);
}

int send_piece(struct send *s, const struct r3_btrfs_extent *x, uint64_t from,
	       uint64_t to)
{
	uint64_t n, next;
	int err = 0;

	if (s->opts->no_data || x->is_inline)
		return send_run(s, from, to);
	while (!err && from < to) {
		err = send_find_origin(s, x, from, &next);
		n = err ? 0 : cloneable(s, &s->origin, from, to);
		if (err && err != -ENOENT)
			return err;
		if (n) {
			err = send_clone(s, &s->origin, from, n);
		} else {
			n = r3_min(next, to) - from;
			err = send_bytes(s, x, from, from + n);
		}
		from += n;
	}
	return err;
}

static int send_extent(void *arg, const struct r3_btrfs_extent *x)
{
	struct send *s = arg;

	if (!x->is_inline && (!x->logical || x->prealloc))
		return 0;
	s->written = r3_min(x->start + x->len, s->size);
	return send_piece(s, x, x->start, s->written);
}

int send_truncate(struct send *s)
{
	s->wrote = true;
	send_begin(s, BTRFS_SEND_TRUNCATE);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_SIZE, s->size);
	return send_end(s);
}

int send_data(struct send *s, const struct r3_btrfs_stat *st)
{
	int err;

	s->size = (uint64_t)st->st.st_size;
	s->written = 0;
	err = r3_btrfs_each_extent(s->fs, s->in, send_extent, s);
	if (!err)
		err = send_flush(s);
	return err || s->written == s->size ? err : send_truncate(s);
}
