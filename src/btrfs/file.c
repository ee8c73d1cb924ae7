// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file.c - file data: extents, holes, checksums, the other copy
 */
#include <unistd.h>

#include "priv.h"

/* One piece of a file: an extent item, cut out. */
struct piece {
	struct r3_btrfs_extent x;
	const uint8_t *inline_data; /* valid while the cursor stands */
	uint32_t inline_len;
};

static void piece_fill(const struct btrfs_cursor *c, struct piece *p)
{
	const struct btrfs_file_extent_reg *r = c->data;
	const struct btrfs_file_extent *h = &r->head;

	memset(p, 0, sizeof(*p));
	p->x.start = c->key.offset;
	p->x.compression = h->compression;
	p->x.ram_len = le64(h->ram_bytes);
	p->x.generation = le64(h->generation);
	if (h->type == BTRFS_FILE_INLINE) {
		p->x.is_inline = true;
		p->x.len = p->x.ram_len;
		p->inline_data = (const uint8_t *)(h + 1);
		p->inline_len = c->size - sizeof(*h);
		p->x.disk_len = p->inline_len;
		return;
	}
	p->x.prealloc = h->type == BTRFS_FILE_PREALLOC;
	p->x.len = le64(r->num_bytes);
	p->x.logical = le64(r->disk_bytenr);
	p->x.disk_len = p->x.logical ? le64(r->disk_num_bytes) : 0;
	p->x.offset = le64(r->offset);
}

/* The cursor on the extent that holds @off, or on the next one. */
static int seek_extent(struct btrfs_cursor *c, uint64_t ino, uint64_t off)
{
	struct btrfs_key key = KEY(ino, BTRFS_EXTENT_DATA, off);
	struct piece p;
	int err = btrfs_cursor_seek_back(c, key);

	if (!err && c->key.objectid == ino &&
	    c->key.type == BTRFS_EXTENT_DATA) {
		piece_fill(c, &p);
		if (p.x.start + p.x.len > off)
			return 0;
	}
	if (err && err != -ENOENT)
		return err;
	err = btrfs_cursor_seek(c, key);
	if (!err && (c->key.objectid != ino ||
		     c->key.type != BTRFS_EXTENT_DATA))
		err = -ENOENT;
	return err;
}

static int next_extent(struct btrfs_cursor *c)
{
	uint64_t ino = c->key.objectid;
	int err = btrfs_cursor_next(c);

	if (!err && (c->key.objectid != ino ||
		     c->key.type != BTRFS_EXTENT_DATA))
		err = -ENOENT;
	return err;
}

static int call_hole(uint64_t from, uint64_t to,
		     int (*each)(void *arg, const struct r3_btrfs_extent *x),
		     void *arg)
{
	struct r3_btrfs_extent hole = { .start = from, .len = to - from };

	return from < to ? each(arg, &hole) : 0;
}

int r3_btrfs_each_extent(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 int (*each)(void *arg,
				     const struct r3_btrfs_extent *extent),
			 void *arg)
{
	struct r3_btrfs_stat st;
	struct btrfs_root root;
	struct btrfs_cursor c;
	uint64_t at = 0, size;
	struct piece p;
	int err = r3_btrfs_stat(fs, in, &st);

	if (!err)
		err = btrfs_subvol_root(fs, in.subvol, &root);
	if (err)
		return err;
	size = (uint64_t)st.st.st_size;
	btrfs_cursor_init(&c, fs, &root);
	err = seek_extent(&c, in.ino, 0);
	for (; !err && at < size; err = next_extent(&c)) {
		piece_fill(&c, &p);
		err = call_hole(at, r3_min(p.x.start, size), each, arg);
		if (!err && p.x.start < size)
			err = each(arg, &p.x);
		if (err)
			goto out;
		at = p.x.start + p.x.len;
	}
	if (!err || err == -ENOENT)
		err = call_hole(at, size, each, arg);
out:
	btrfs_cursor_fini(&c);
	return err;
}

/* Where what was asked for begins; pieces come in order, gaps are holes. */
static int seek_pieces(struct r3_btrfs *fs, const struct btrfs_root *root,
		       uint64_t ino, uint64_t at, uint64_t size,
		       bool want_data, uint64_t *out)
{
	struct btrfs_cursor c;
	struct piece p;
	int err;

	btrfs_cursor_init(&c, fs, root);
	err = seek_extent(&c, ino, at);
	for (; !err && at < size; err = next_extent(&c)) {
		bool data;

		piece_fill(&c, &p);
		data = p.x.is_inline || (p.x.logical && !p.x.prealloc);
		if (p.x.start > at && !want_data)
			break;
		at = r3_max(at, p.x.start);
		if (data == want_data)
			break;
		at = p.x.start + p.x.len;
	}
	btrfs_cursor_fini(&c);
	if (err && err != -ENOENT)
		return err;
	if (want_data && (err || at >= size))
		return -ENXIO;
	*out = r3_min(at, size);
	return 0;
}

int r3_btrfs_seek(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		  int whence, uint64_t *out)
{
	struct r3_btrfs_stat st;
	struct btrfs_root root;
	int err = r3_btrfs_stat(fs, in, &st);

	if (!err)
		err = btrfs_subvol_root(fs, in.subvol, &root);
	if (!err && whence != SEEK_DATA && whence != SEEK_HOLE)
		err = -EINVAL;
	if (!err && off >= (uint64_t)st.st.st_size)
		err = -ENXIO;
	if (err)
		return err;
	return seek_pieces(fs, &root, in.ino, off, (uint64_t)st.st.st_size,
			   whence == SEEK_DATA, out);
}

/* Data without checksums (NODATASUM, or a range that lacks them) is right. */
int btrfs_data_verify(struct r3_btrfs *fs, uint64_t logical,
		      const uint8_t *data, size_t len, bool *ok,
		      uint64_t *bad)
{
	uint64_t end = logical + len;
	uint8_t sum[BTRFS_CSUM_MAX];
	struct btrfs_cursor c;
	int err;

	*ok = true;
	btrfs_cursor_init(&c, fs, &fs->csum);
	err = btrfs_cursor_seek_back(&c, KEY(BTRFS_CSUM_OBJECTID,
					     BTRFS_EXTENT_CSUM, logical));
	if (err == -ENOENT)
		err = btrfs_cursor_seek(&c, KEY(BTRFS_CSUM_OBJECTID,
						BTRFS_EXTENT_CSUM, logical));
	for (; !err && *ok && c.key.offset < end; err = btrfs_cursor_next(&c)) {
		uint64_t first = c.key.offset, at, to;

		if (c.key.type != BTRFS_EXTENT_CSUM)
			continue;
		to = r3_min(end, first + c.size / fs->csum_size *
					 (uint64_t)BTRFS_SECTOR);
		for (at = r3_max(first, logical); *ok && at < to;
		     at += BTRFS_SECTOR) {
			const uint8_t *want = (const uint8_t *)c.data +
				(at - first) / BTRFS_SECTOR * fs->csum_size;

			btrfs_csum(fs->csum_type, data + (at - logical),
				   BTRFS_SECTOR, sum);
			*ok = !memcmp(sum, want, fs->csum_size);
			*bad = at;
		}
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* One copy of a range: 0 when it is good, 1 when it is bad. */
static int read_copy(struct r3_btrfs *fs, unsigned copy, uint64_t logical,
		     uint8_t *buf, size_t len)
{
	uint64_t bad;
	bool ok = false;
	int err = btrfs_read_logical(fs, logical, copy, buf, len);

	if (!err)
		err = btrfs_data_verify(fs, logical, buf, len, &ok, &bad);
	if (!err && (ok || fs->opts.ignore_csum))
		return 0;
	return err == -EUCLEAN || err == -ENOMEM ? err : 1;
}

int btrfs_read_data(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		    uint64_t file_off, uint64_t logical, uint8_t *buf,
		    size_t len)
{
	int err = read_copy(fs, 0, logical, buf, len);

	/* Each copy may be bad somewhere else: sector by sector. */
	for (size_t at = 0; err > 0 && at < len; at += BTRFS_SECTOR) {
		const struct btrfs_chunk_map *m =
			btrfs_chunk_find(fs, logical + at);
		unsigned i = 0;

		do
			err = read_copy(fs, i, logical + at, buf + at,
					BTRFS_SECTOR);
		while (err > 0 && ++i < m->copies);
		fs->bad_copies += i;
		if (err < 0)
			break;
		if (err)
			return btrfs_fail(fs, -EIO, "subvolume %llu inode %llu "
					  "offset %llu: block %llu does not "
					  "match its checksum",
					  (unsigned long long)in.subvol,
					  (unsigned long long)in.ino,
					  (unsigned long long)(file_off + at),
					  (unsigned long long)(logical + at));
		btrfs_mend(fs, logical + at, i, buf + at, BTRFS_SECTOR);
		err = at + BTRFS_SECTOR < len;
	}
	return err;
}

static int unpack_fail(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const struct piece *p)
{
	return btrfs_fail(fs, -EIO, "subvolume %llu inode %llu offset %llu: "
			  "the compressed data is damaged",
			  (unsigned long long)in.subvol,
			  (unsigned long long)in.ino,
			  (unsigned long long)p->x.start);
}

/* A compressed extent, unpacked whole into the volume's buffer; the one that
 * is there already is not unpacked again. */
static int read_packed(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const struct piece *p)
{
	uint8_t *out = fs->file_buf, *raw = out + BTRFS_COMPRESSED_MAX;
	int err;

	if (fs->file_cached.logical == p->x.logical &&
	    fs->file_cached.disk_len == p->x.disk_len &&
	    fs->file_cached.ram_len == p->x.ram_len)
		return 0;
	fs->file_cached.logical = 0;
	err = btrfs_read_data(fs, in, p->x.start, p->x.logical, raw,
			      p->x.disk_len);
	if (err)
		return err;
	err = btrfs_decompress(p->x.compression, raw, p->x.disk_len, out,
			       p->x.ram_len);
	if (err)
		return unpack_fail(fs, in, p);
	fs->file_cached.logical = p->x.logical;
	fs->file_cached.disk_len = p->x.disk_len;
	fs->file_cached.ram_len = p->x.ram_len;
	return 0;
}

static int read_inline(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const struct piece *p, uint64_t off, uint8_t *buf,
		       size_t len)
{
	const uint8_t *from = p->inline_data;

	if (p->x.compression) {
		fs->file_cached.logical = 0;
		if (btrfs_decompress(p->x.compression, from, p->inline_len,
				     fs->file_buf, p->x.ram_len))
			return unpack_fail(fs, in, p);
		from = fs->file_buf;
	}
	memcpy(buf, from + off, len);
	return 0;
}

/* @len bytes from @off of the piece; at the piece's ends whole sectors are
 * read through the volume's buffer. */
static int read_plain(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      const struct piece *p, uint64_t off, uint8_t *buf,
		      size_t len)
{
	uint64_t from = p->x.logical + p->x.offset + off;
	int err;

	while (len) {
		uint64_t head = from % BTRFS_SECTOR, n;

		if (!head && len >= BTRFS_SECTOR) {
			n = r3_align_down(len, BTRFS_SECTOR);
			n = r3_min(n, R3_MIB);
			err = btrfs_read_data(fs, in, p->x.start + off, from,
					      buf, n);
		} else {
			n = r3_min(len, BTRFS_SECTOR - head);
			fs->file_cached.logical = 0;
			err = btrfs_read_data(fs, in, p->x.start + off - head,
					      from - head, fs->file_buf,
					      BTRFS_SECTOR);
			if (!err)
				memcpy(buf, fs->file_buf + head, n);
		}
		if (err)
			return err;
		buf += n;
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int read_piece(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      const struct piece *p, uint64_t off, uint8_t *buf,
		      size_t len)
{
	int err;

	if (p->x.is_inline)
		return read_inline(fs, in, p, off, buf, len);
	if (!p->x.logical || p->x.prealloc) {
		memset(buf, 0, len);
		return 0;
	}
	if (!p->x.compression)
		return read_plain(fs, in, p, off, buf, len);
	err = read_packed(fs, in, p);
	if (!err)
		memcpy(buf, fs->file_buf + p->x.offset + off, len);
	return err;
}

/* Every piece between @off and @end; what lies between pieces is zeros. */
static int read_pieces(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const struct btrfs_root *root, uint64_t off,
		       uint64_t end, uint8_t *buf)
{
	struct btrfs_cursor c;
	struct piece p;
	uint64_t n;
	int err;

	btrfs_cursor_init(&c, fs, root);
	err = seek_extent(&c, in.ino, off);
	for (; !err && off < end; err = next_extent(&c)) {
		piece_fill(&c, &p);
		if (p.x.start > off) {
			n = r3_min(p.x.start, end) - off;
			memset(buf, 0, n);
			buf += n;
			off += n;
		}
		if (off >= end || p.x.start + p.x.len <= off)
			continue;
		n = r3_min(p.x.start + p.x.len, end) - off;
		err = read_piece(fs, in, &p, off - p.x.start, buf, n);
		if (err)
			goto out;
		buf += n;
		off += n;
	}
	if (err == -ENOENT)
		err = 0;
	if (!err)
		memset(buf, 0, end - off);
out:
	btrfs_cursor_fini(&c);
	return err;
}

int r3_btrfs_read(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		  void *buf, size_t len, size_t *got)
{
	struct r3_btrfs_stat st;
	struct btrfs_root root;
	uint64_t size;
	int err = r3_btrfs_stat(fs, in, &st);

	if (!err && S_ISDIR(st.st.st_mode))
		err = btrfs_fail(fs, -EISDIR, "it is a directory");
	if (!err)
		err = btrfs_subvol_root(fs, in.subvol, &root);
	if (err)
		return err;
	size = (uint64_t)st.st.st_size;
	len = off >= size ? 0 : r3_min(len, size - off);
	err = len ? read_pieces(fs, in, &root, off, off + len, buf) : 0;
	if (!err)
		*got = len;
	return err;
}
