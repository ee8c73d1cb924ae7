// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_data.c - read all data that has checksums and compare, every copy
 */
#include "check.h"

enum { READ_MAX = 1 << 18, BAD_MAX = 1000 };

struct data_pass {
	struct check *c;
	uint8_t *buf;
	uint64_t done, total;
	/* what the buffer holds */
	uint64_t start, len;
	unsigned copy;
	unsigned bad;
};

/* Name the first file that has the data at @logical. */
static void name_file(struct data_pass *p, uint64_t logical)
{
	struct check *c = p->c;
	size_t x = check_extent_after(c, logical);
	const struct check_ref *r = NULL;
	char path[R3_BTRFS_PATH_MAX];

	for (size_t i = 0; x < c->extents.n && i < c->found.n && !r; i++) {
		if (c->found.p[i].bytenr == c->extents.p[x].bytenr &&
		    c->found.p[i].type == BTRFS_EXTENT_DATA_REF)
			r = &c->found.p[i];
	}
	if (!r) {
		check_problem(c, "data %llu copy %u: the checksum does not "
			      "match", (unsigned long long)logical,
			      p->copy + 1);
		return;
	}
	if (btrfs_inode_path(c->fs, r->who, r->ino, path))
		snprintf(path, sizeof(path), "?");
	check_problem(c, "data %llu copy %u: the checksum does not match: "
		      "subvolume %llu inode %llu offset %llu: %s",
		      (unsigned long long)logical, p->copy + 1,
		      (unsigned long long)r->who, (unsigned long long)r->ino,
		      (unsigned long long)(r->off + (logical -
						     c->extents.p[x].bytenr)),
		      path);
}

static int fill(struct data_pass *p, uint64_t at, uint64_t left)
{
	const struct btrfs_chunk_map *m;
	int err;

	if (at >= p->start && at - p->start < p->len)
		return 0;
	m = btrfs_chunk_find(p->c->fs, at);
	if (!m)
		return btrfs_fail(p->c->fs, -EUCLEAN, "data %llu: no chunk "
				  "holds it", (unsigned long long)at);
	p->start = at;
	p->len = r3_min(left, READ_MAX);
	p->len = r3_min(p->len, m->logical + m->length - at);
	err = btrfs_read_logical(p->c->fs, at, p->copy, p->buf, p->len);
	if (err)
		p->len = 0;
	return err;
}

/* One csum item, one copy. */
static int compare_item(struct data_pass *p, const struct btrfs_cursor *cur)
{
	struct r3_btrfs *fs = p->c->fs;
	unsigned each = fs->csum_size, n = cur->size / each;
	const uint8_t *want = cur->data;
	uint8_t sum[BTRFS_CSUM_MAX];
	int err;

	for (unsigned i = 0; i < n; i++, want += each) {
		uint64_t at = cur->key.offset + (uint64_t)i * BTRFS_SECTOR;

		err = fill(p, at, (uint64_t)(n - i) * BTRFS_SECTOR);
		if (err)
			return err;
		btrfs_csum(fs->csum_type, p->buf + (at - p->start),
			   BTRFS_SECTOR, sum);
		if (memcmp(sum, want, each) && p->bad++ < BAD_MAX)
			name_file(p, at);
	}
	p->c->res.csum_bytes_checked += (uint64_t)n * BTRFS_SECTOR;
	return 0;
}

static int compare_copies(struct data_pass *p, const struct btrfs_cursor *cur)
{
	const struct btrfs_chunk_map *m =
		btrfs_chunk_find(p->c->fs, cur->key.offset);
	int err = 0;

	for (p->copy = 0; !err && p->copy < (m ? m->copies : 1); p->copy++) {
		p->len = 0;
		err = compare_item(p, cur);
	}
	if (err && err != -ENOMEM) {
		check_problem(p->c, "%s", r3_btrfs_why(p->c->fs));
		err = 0;
	}
	p->done += (uint64_t)(cur->size / p->c->fs->csum_size) * BTRFS_SECTOR;
	if (p->c->opts->progress)
		p->c->opts->progress(p->c->opts->arg, p->done, p->total);
	return err;
}

int check_data(struct check *c)
{
	struct data_pass p = { .c = c };
	struct btrfs_cursor cur;
	int err;

	for (size_t i = 0; i < c->csums.n; i++)
		p.total += c->csums.p[i].end - c->csums.p[i].start;
	p.buf = malloc(READ_MAX);
	if (!p.buf)
		return -ENOMEM;
	btrfs_cursor_init(&cur, c->fs, &c->fs->csum);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type != BTRFS_EXTENT_CSUM)
			continue;
		err = compare_copies(&p, &cur);
		if (err)
			break;
	}
	btrfs_cursor_fini(&cur);
	free(p.buf);
	if (p.bad > BAD_MAX)
		check_problem(c, "data: %u more sectors do not match",
			      p.bad - BAD_MAX);
	return err == -ENOENT ? 0 : err;
}
