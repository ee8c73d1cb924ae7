// SPDX-License-Identifier: GPL-2.0-or-later
/* recv_data.c - what a stream says of data */
#include <stdlib.h>

#include "recv.h"

int recv_flush_data(struct recv *r)
{
	size_t len = r->data_len;

	r->data_len = 0;
	if (!len)
		return 0;
	return recv_late(r, r3_btrfs_write(r->fs, r->in, r->data_off, r->data,
					   len), r->at, r->at_len);
}

/* Bytes at an offset of the current file; they follow what has gathered, or
 * that goes out first. */
static int gather(struct recv *r, uint64_t off, const uint8_t *p, size_t len)
{
	int err = 0;

	while (len && !err) {
		size_t n;

		if (r->data_len && (r->data_off + r->data_len != off ||
				    r->data_len == RECV_DATA_MAX))
			err = recv_flush_data(r);
		if (!r->data_len)
			r->data_off = off;
		n = r3_min(len, RECV_DATA_MAX - r->data_len);
		memcpy(r->data + r->data_len, p, n);
		r->data_len += n;
		off += n;
		p += n;
		len -= n;
	}
	return err;
}

static int check_range(struct recv *r, uint64_t off, uint64_t len)
{
	uint64_t end;

	if (!r3_add(off, len, &end) || end > INT64_MAX)
		return recv_bad(r, "%llu bytes at %llu: no file is so long",
				(unsigned long long)len,
				(unsigned long long)off);
	return 0;
}

int recv_write(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t off = recv_u64(c, BTRFS_A_FILE_OFFSET);
	struct r3_span data = c->attr[BTRFS_A_DATA];
	int err = check_range(r, off, data.len);

	if (err)
		return err;
	/* What ends within a sector is the end of its file: nothing follows,
	 * so there is nothing to copy it for. */
	if (!r->data_len && data.len &&
	    !r3_is_aligned(off + data.len, BTRFS_SECTOR))
		return r3_btrfs_write(r->fs, r->in, off, data.p, data.len);
	return gather(r, off, data.p, data.len);
}

/* ---- packed data ----------------------------------------------------------*/

/* The stream's numbers for how data is packed; lzo in pieces of 4 KiB. */
static const uint8_t packings[] = { [1] = 1, [2] = 3, [3] = 2 };

static int write_unpacked(struct recv *r, uint64_t off,
			  const struct r3_btrfs_encoded *how,
			  struct r3_span data)
{
	uint8_t *out = malloc(BTRFS_COMPRESSED_MAX);
	int err;

	if (!out)
		return -ENOMEM;
	err = btrfs_decompress(how->compression, data.p, data.len, out,
			       how->ram_len);
	if (err)
		err = recv_bad(r, "the packed data is damaged");
	else
		err = gather(r, off, out + how->ram_off, how->file_len);
	free(out);
	return err;
}

int recv_encoded(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t off = recv_u64(c, BTRFS_A_FILE_OFFSET);
	uint32_t packing = recv_u32(c, BTRFS_A_COMPRESSION);
	struct r3_span data = c->attr[BTRFS_A_DATA];
	struct r3_btrfs_encoded how = {
		.file_len = recv_u64(c, BTRFS_A_UNENCODED_FILE_LEN),
		.ram_len = recv_u64(c, BTRFS_A_UNENCODED_LEN),
		.ram_off = recv_u64(c, BTRFS_A_UNENCODED_OFFSET),
	};
	int err = check_range(r, off, how.file_len);

	if (err)
		return err;
	if (!how.file_len || how.ram_len > BTRFS_COMPRESSED_MAX ||
	    how.ram_off > how.ram_len ||
	    how.file_len > how.ram_len - how.ram_off ||
	    data.len > BTRFS_COMPRESSED_MAX)
		return recv_bad(r, "%zu packed bytes for %llu of %llu bytes "
				"from %llu", data.len,
				(unsigned long long)how.file_len,
				(unsigned long long)how.ram_len,
				(unsigned long long)how.ram_off);
	if (recv_u32(c, BTRFS_A_ENCRYPTION) || packing >= R3_COUNT(packings))
		return btrfs_fail(r->fs, -EOPNOTSUPP, "data packed in way %u, "
				  "encrypted in way %u is not supported",
				  packing, recv_u32(c, BTRFS_A_ENCRYPTION));
	if (!packing && data.len < how.ram_len)
		return recv_bad(r, "%zu bytes are no %llu", data.len,
				(unsigned long long)how.ram_len);
	if (!packing)
		return gather(r, off, data.p + how.ram_off, how.file_len);
	how.compression = packings[packing];
	err = recv_flush_data(r);
	if (!err)
		err = r3_btrfs_write_encoded(r->fs, r->in, off, &how, data.p,
					     data.len);
	return err == -EOPNOTSUPP ? write_unpacked(r, off, &how, data) : err;
}

/* ---- clones ---------------------------------------------------------------*/

static int missing_source(struct recv *r, const uint8_t *uuid)
{
	char text[37];

	r->fits = true;
	btrfs_uuid_text(uuid, text);
	return btrfs_fail(r->fs, -ENOENT, "subvolume '%s' shares data with the "
			  "one with uuid %s, which is not here: receive that "
			  "one first", r->name, text);
}

static int find_source(struct recv *r, const struct btrfs_stream_cmd *c,
		       uint64_t *id)
{
	const uint8_t *uuid = c->attr[BTRFS_A_CLONE_UUID].p;
	int err;

	if (!memcmp(uuid, r->uuid, BTRFS_UUID_SIZE)) {
		*id = r->id;
		return 0;
	}
	if (!r->source || memcmp(uuid, r->source_uuid, BTRFS_UUID_SIZE)) {
		err = recv_find_subvol(r, uuid,
				       recv_u64(c, BTRFS_A_CLONE_CTRANSID),
				       &r->source);
		if (err == -ENOENT)
			return missing_source(r, uuid);
		if (err)
			return err;
		memcpy(r->source_uuid, uuid, BTRFS_UUID_SIZE);
	}
	*id = r->source;
	return 0;
}

/* What can't be shared, as with sectors of another size, is copied. */
static int copy_range(struct recv *r, struct r3_btrfs_inode from,
		      uint64_t from_off, uint64_t off, uint64_t len)
{
	enum { STEP = 128 * 1024 };
	uint8_t *buf = malloc(STEP);
	size_t got;
	int err = buf ? 0 : -ENOMEM;

	while (len && !err) {
		err = r3_btrfs_read(r->fs, from, from_off, buf,
				    r3_min(len, STEP), &got);
		if (!err && !got)
			err = recv_bad(r, "the clone reaches past its "
				       "source's end");
		if (!err)
			err = r3_btrfs_write(r->fs, r->in, off, buf, got);
		if (err)
			break;
		from_off += got;
		off += got;
		len -= got;
	}
	free(buf);
	return err;
}

int recv_clone(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t off = recv_u64(c, BTRFS_A_FILE_OFFSET);
	uint64_t from_off = recv_u64(c, BTRFS_A_CLONE_OFFSET);
	uint64_t len = recv_u64(c, BTRFS_A_CLONE_LEN), id = 0;
	struct r3_btrfs_inode from;
	int err = check_range(r, off, len);

	if (!err)
		err = check_range(r, from_off, len);
	if (!err && !len)
		err = recv_bad(r, "a clone of nothing");
	if (!err)
		err = find_source(r, c, &id);
	if (!err)
		err = recv_find(r, id, c->attr[BTRFS_A_CLONE_PATH], &from);
	if (err)
		return err;
	err = r3_btrfs_clone(r->fs, from, from_off, len, r->in, off);
	return err == -EINVAL ? copy_range(r, from, from_off, off, len) : err;
}
