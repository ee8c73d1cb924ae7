// SPDX-License-Identifier: GPL-2.0-or-later
/* mkfs.c - make a file system, from a directory or empty, in one pass */
#include <stdarg.h>
#include <sys/random.h>
#include <unistd.h>

#include "mkfs.h"

int mkfs_fail(struct mkfs *m, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->why->text, sizeof(m->why->text), fmt, ap);
	va_end(ap);
	return err;
}

int mkfs_write_fail(struct mkfs *m, int err)
{
	r3_btrfs_dev_write_why(m->dev, err, m->why);
	return err;
}

static int take_csum(struct mkfs *m)
{
	const char *name = m->opts->csum ? m->opts->csum : "crc32c";

	for (unsigned i = 0; i < BTRFS_CSUM_TYPES; i++) {
		if (!strcmp(name, btrfs_csum_name(i))) {
			m->csum_type = i;
			m->csum_size = btrfs_csum_size(i);
			return 0;
		}
	}
	return mkfs_fail(m, -EINVAL, "there is no checksum '%s': crc32c, "
			 "xxhash64, sha256, blake2b", name);
}

static int take_options(struct mkfs *m)
{
	const struct r3_btrfs_mkfs_options *o = m->opts;

	m->nodesize = o->nodesize ? o->nodesize : 16384;
	if (m->nodesize < BTRFS_NODE_MIN || m->nodesize > BTRFS_NODE_MAX ||
	    !r3_is_pow2(m->nodesize))
		return mkfs_fail(m, -EINVAL, "nodes have 4096 to 65536 bytes, "
				 "a power of 2");
	if (o->compression >= BTRFS_COMPRESS_TYPES)
		return mkfs_fail(m, -EINVAL, "compression is zlib, lzo or "
				 "zstd");
	if (o->label && strlen(o->label) >= BTRFS_LABEL_SIZE)
		return mkfs_fail(m, -EINVAL, "a label has at most 255 bytes");
	if (o->size && o->size < 32 * R3_MIB)
		return mkfs_fail(m, -EINVAL, "32 MiB is the least");
	m->limit = o->size;
	return take_csum(m);
}

static int prepare(struct mkfs *m)
{
	int err = take_options(m);

	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &m->now);
	m->next_physical = BTRFS_RESERVED_START;
	m->next_logical = 16 * R3_MIB;
	for (unsigned i = 0; i < R3_COUNT(m->current); i++)
		m->current[i] = MKFS_NONE;
	m->data.buf = malloc(MKFS_STAGE);
	m->meta.buf = malloc(MKFS_STAGE);
	if (!m->data.buf || !m->meta.buf ||
	    getrandom(m->fsid, 16, 0) != 16 ||
	    getrandom(m->dev_uuid, 16, 0) != 16 ||
	    getrandom(m->chunk_tree_uuid, 16, 0) != 16)
		return mkfs_fail(m, -ENOMEM, "out of memory");
	/* version 4, variant 1 */
	m->fsid[6] = (m->fsid[6] & 15) | 0x40;
	m->fsid[8] = (m->fsid[8] & 63) | 0x80;
	memcpy(m->res.fsid, m->fsid, 16);
	return 0;
}

/* A file system that was there is gone before the first byte is written, and
 * the kernel's copies of the super block with it. */
static int wipe(struct mkfs *m)
{
	static const uint8_t zeros[BTRFS_SUPER_SIZE];
	int err = 0;

	for (unsigned i = 0; !err && i < BTRFS_SUPER_COPIES; i++) {
		uint64_t at = btrfs_super_offsets[i];

		if (at + sizeof(zeros) <= m->dev->size)
			err = m->dev->ops->write(m->dev, at, zeros,
						 sizeof(zeros));
	}
	return err ? mkfs_write_fail(m, err) : 0;
}

static void fini(struct mkfs *m)
{
	for (size_t i = 0; i < m->subvols.n; i++) {
		free(m->subvols.p[i].path);
		vec_free(&m->subvols.p[i].inodes);
		vec_free(&m->subvols.p[i].links);
		vec_free(&m->subvols.p[i].extents);
	}
	vec_free(&m->subvols);
	vec_free(&m->text);
	vec_free(&m->chunks);
	vec_free(&m->blocks);
	vec_free(&m->refs);
	vec_free(&m->csums);
	vec_free(&m->csum_bytes);
	free(m->data.buf);
	free(m->meta.buf);
	if (m->root_fd >= 0)
		close(m->root_fd);
}

static int first_chunks(struct mkfs *m)
{
	uint64_t at;
	struct mkfs_chunk *c;
	/* The SYSTEM chunk, by an allocation that is given back. */
	int err = mkfs_alloc(m, MKFS_SYSTEM, m->nodesize, 0, &at);

	if (err)
		return err;
	c = &m->chunks.p[m->current[MKFS_SYSTEM]];
	c->next = c->logical;
	c->used = 0;
	return 0;
}

int r3_btrfs_mkfs(struct r3_btrfs_dev *dev,
		  const struct r3_btrfs_mkfs_options *opts,
		  struct r3_btrfs_mkfs_result *out, struct r3_btrfs_why *why)
{
	int (*const steps[])(struct mkfs *) = { prepare, mkfs_scan, wipe,
						first_chunks, mkfs_copy_data,
						mkfs_meta_trees, mkfs_super };
	struct mkfs m = { .opts = opts, .dev = dev, .why = why,
			  .root_fd = -1 };
	int err = 0;

	for (unsigned i = 0; !err && i < R3_COUNT(steps); i++)
		err = steps[i](&m);
	if (!err)
		*out = m.res;
	fini(&m);
	return err;
}
