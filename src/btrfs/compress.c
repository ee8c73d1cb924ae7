// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compress.c - pack and unpack extents: zlib, lzo, zstd, as the kernel does
 *
 * The output is as long as the extent says, whatever the data says; what the
 * data does not fill is zeros.
 */
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "mkfs.h"

static const char *const names[BTRFS_COMPRESS_TYPES] = {
	[BTRFS_COMPRESS_ZLIB] = "zlib",
	[BTRFS_COMPRESS_LZO] = "lzo",
	[BTRFS_COMPRESS_ZSTD] = "zstd",
};

const char *btrfs_compression_name(unsigned type)
{
	return names[type];
}

unsigned btrfs_compression_named(const void *value, size_t len)
{
	for (unsigned t = 1; t < BTRFS_COMPRESS_TYPES; t++) {
		size_t n = strlen(names[t]);

		if (len >= n && !memcmp(value, names[t], n))
			return t;
	}
	return BTRFS_COMPRESS_NONE;
}

static int unzlib(const uint8_t *in, size_t in_len, uint8_t *out,
		  size_t out_len, size_t *got)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)in,
		       .avail_in = (unsigned)in_len,
		       .next_out = out,
		       .avail_out = (unsigned)out_len };
	int ret;

	if (inflateInit(&z) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	*got = z.total_out;
	inflateEnd(&z);
	/* Z_BUF_ERROR: the output is full, which the kernel accepts too. */
	return ret == Z_STREAM_END || (ret == Z_BUF_ERROR && *got == out_len)
		       ? 0 : -EIO;
}

/* {le32 total} then, for each 4096 bytes, {le32 len, LZO1X}; a length never
 * crosses a sector's boundary. */
static int unlzo(const uint8_t *in, size_t in_len, uint8_t *out,
		 size_t out_len, size_t *got)
{
	size_t at = sizeof(r3_le32), total, done = 0;
	r3_le32 v;

	if (in_len < at)
		return -EIO;
	memcpy(&v, in, sizeof(v));
	total = le32(v);
	if (total > in_len || total < at)
		return -EIO;
	while (at < total && done < out_len) {
		lzo_uint len, room = out_len - done;

		if (BTRFS_SECTOR - at % BTRFS_SECTOR < sizeof(v))
			at += BTRFS_SECTOR - at % BTRFS_SECTOR;
		if (at >= total || total - at < sizeof(v))
			break;
		memcpy(&v, in + at, sizeof(v));
		at += sizeof(v);
		len = le32(v);
		if (len > total - at)
			return -EIO;
		if (room > BTRFS_SECTOR)
			room = BTRFS_SECTOR;
		if (lzo1x_decompress_safe(in + at, len, out + done, &room,
					  NULL) != LZO_E_OK)
			return -EIO;
		at += len;
		done += room;
	}
	*got = done;
	return 0;
}

static int unzstd(const uint8_t *in, size_t in_len, uint8_t *out,
		  size_t out_len, size_t *got)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer i = { in, in_len, 0 };
	ZSTD_outBuffer o = { out, out_len, 0 };
	size_t ret;

	if (!d)
		return -ENOMEM;
	/* 128 KiB: what the kernel writes, and the memory it reads with. */
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 17);
	/* The frame ends before the sector does, so no one-shot call. */
	do {
		ret = ZSTD_decompressStream(d, &o, &i);
	} while (ret && !ZSTD_isError(ret) && i.pos < i.size &&
		 o.pos < o.size);
	ZSTD_freeDCtx(d);
	*got = o.pos;
	if (ZSTD_isError(ret))
		return -EIO;
	return ret && o.pos < o.size ? -EIO : 0;
}

int btrfs_decompress(unsigned type, const uint8_t *in, size_t in_len,
		     uint8_t *out, size_t out_len)
{
	size_t got = 0;
	int err = -EIO;

	if (type == BTRFS_COMPRESS_ZLIB)
		err = unzlib(in, in_len, out, out_len, &got);
	else if (type == BTRFS_COMPRESS_LZO)
		err = unlzo(in, in_len, out, out_len, &got);
	else if (type == BTRFS_COMPRESS_ZSTD)
		err = unzstd(in, in_len, out, out_len, &got);
	if (!err)
		memset(out + got, 0, out_len - got);
	return err;
}

/* ---- packing --------------------------------------------------------------*/

struct btrfs_packer {
	unsigned type;
	int level;
	ZSTD_CCtx *zstd;
	void *lzo;
	uint8_t *lzo_out; /* one packed sector, at its worst */
};

#define LZO_WORST (BTRFS_SECTOR + BTRFS_SECTOR / 16 + 64 + 3)

void btrfs_packer_free(struct btrfs_packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p->lzo);
	free(p->lzo_out);
	free(p);
}

struct btrfs_packer *btrfs_packer_new(unsigned type, int level)
{
	struct btrfs_packer *p = calloc(1, sizeof(*p));
	bool ok = p;

	if (p) {
		p->type = type;
		p->level = level ? level : 3;
	}
	if (ok && type == BTRFS_COMPRESS_ZSTD)
		ok = (p->zstd = ZSTD_createCCtx());
	if (ok && type == BTRFS_COMPRESS_LZO) {
		p->lzo = malloc(LZO1X_1_MEM_COMPRESS);
		p->lzo_out = malloc(LZO_WORST);
		ok = p->lzo && p->lzo_out;
	}
	if (ok)
		return p;
	btrfs_packer_free(p);
	return NULL;
}

static size_t pack_zlib(struct btrfs_packer *p, const uint8_t *in, size_t len,
			uint8_t *out, size_t room)
{
	uLongf n = room;

	return compress2(out, &n, in, len, p->level) == Z_OK ? n : 0;
}

static size_t pack_lzo(struct btrfs_packer *p, const uint8_t *in, size_t len,
		       uint8_t *out, size_t room)
{
	size_t at = sizeof(r3_le32);
	r3_le32 v;

	if (room < at)
		return 0;
	for (size_t done = 0; done < len; done += BTRFS_SECTOR) {
		size_t pad = BTRFS_SECTOR - at % BTRFS_SECTOR;
		lzo_uint n = LZO_WORST;

		lzo1x_1_compress(in + done, r3_min(len - done, BTRFS_SECTOR),
				 p->lzo_out, &n, p->lzo);
		if (pad < sizeof(v)) {
			if (at + pad > room)
				return 0;
			memset(out + at, 0, pad);
			at += pad;
		}
		if (n > room || at + sizeof(v) + n > room)
			return 0;
		v = to_le32((uint32_t)n);
		memcpy(out + at, &v, sizeof(v));
		memcpy(out + at + sizeof(v), p->lzo_out, n);
		at += sizeof(v) + n;
	}
	v = to_le32((uint32_t)at);
	memcpy(out, &v, sizeof(v));
	return at;
}

size_t btrfs_pack(struct btrfs_packer *p, const uint8_t *in, size_t len,
		  uint8_t *out, size_t room)
{
	size_t n;

	switch (p->type) {
	case BTRFS_COMPRESS_ZLIB:
		return pack_zlib(p, in, len, out, room);
	case BTRFS_COMPRESS_LZO:
		return pack_lzo(p, in, len, out, room);
	case BTRFS_COMPRESS_ZSTD:
		n = ZSTD_compressCCtx(p->zstd, out, room, in, len, p->level);
		return ZSTD_isError(n) ? 0 : n;
	}
	return 0;
}
