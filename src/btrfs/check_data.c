// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_data.c - read all data that has checksums and compare, every copy
 *
 * The tree of checksums is walked by one thread, which cuts data into pieces;
 * batches of them are read and summed by several, where the device allows it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"

enum {
	PIECE = 1 << 18,
	SECTORS = PIECE / BTRFS_SECTOR, /* as many as a uint64_t has bits */
	BATCH = 256, /* pieces */
	THREADS_MAX = 8,
	BAD_MAX = 1000,
};
static_assert(SECTORS <= 64, "bits of piece.bad");

struct piece {
	uint64_t logical, physical;
	uint32_t len;
	unsigned copy;
	size_t sums;  /* where its checksums begin */
	uint64_t bad; /* bit by sector */
	int err;      /* of reading */
};

struct data_pass {
	struct check *c;
	VEC(struct piece) pieces;
	VEC(uint8_t) sums;
	atomic_size_t next; /* piece to be done */
	uint64_t done, total;
	unsigned bad;
};

/* Name the first file that has the data at @logical. */
static void name_file(struct data_pass *p, unsigned copy, uint64_t logical)
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
			      copy + 1);
		return;
	}
	if (btrfs_inode_path(c->fs, r->who, r->ino, path))
		snprintf(path, sizeof(path), "?");
	check_problem(c, "data %llu copy %u: the checksum does not match: "
		      "subvolume %llu inode %llu offset %llu: %s",
		      (unsigned long long)logical, copy + 1,
		      (unsigned long long)r->who, (unsigned long long)r->ino,
		      (unsigned long long)(r->off + (logical -
						     c->extents.p[x].bytenr)),
		      path);
}

/* ---- pieces ---------------------------------------------------------------*/

static void verify(const struct data_pass *p, struct piece *x, uint8_t *buf)
{
	const struct r3_btrfs *fs = p->c->fs;
	const uint8_t *want = p->sums.p + x->sums;
	uint8_t sum[BTRFS_CSUM_MAX];

	x->err = fs->dev->ops->read(fs->dev, x->physical, buf, x->len);
	for (uint32_t i = 0; !x->err && i < x->len / BTRFS_SECTOR; i++) {
		btrfs_csum(fs->csum_type, buf + i * BTRFS_SECTOR, BTRFS_SECTOR,
			   sum);
		if (memcmp(sum, want + i * fs->csum_size, fs->csum_size))
			x->bad |= UINT64_C(1) << i;
	}
}

static void *work(void *arg)
{
	struct data_pass *p = arg;
	uint8_t *buf = malloc(PIECE);
	void *worked = buf ? p : NULL;
	size_t i;

	while (buf && (i = atomic_fetch_add(&p->next, 1)) < p->pieces.n)
		verify(p, &p->pieces.p[i], buf);
	free(buf);
	return worked;
}

static void tell(struct data_pass *p, const struct piece *x)
{
	if (x->err)
		check_problem(p->c, "data %llu copy %u: %s",
			      (unsigned long long)x->logical, x->copy + 1,
			      strerror(-x->err));
	for (unsigned i = 0; i < SECTORS; i++) {
		if (x->bad >> i & 1 && p->bad++ < BAD_MAX)
			name_file(p, x->copy, x->logical + i * BTRFS_SECTOR);
	}
	p->c->res.csum_bytes_checked += x->err ? 0 : x->len;
	if (!x->copy)
		p->done += x->len;
}

static int run_batch(struct data_pass *p)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = r3_min(cpus > 0 ? (size_t)cpus : 1, THREADS_MAX);
	pthread_t threads[THREADS_MAX];
	size_t n = 0;
	bool worked;

	if (!p->c->fs->dev->parallel)
		want = 1;
	atomic_store(&p->next, 0);
	while (n + 1 < r3_min(want, p->pieces.n) &&
	       !pthread_create(&threads[n], NULL, work, p))
		n++;
	worked = work(p);
	while (n)
		pthread_join(threads[--n], NULL);
	if (!worked)
		return -ENOMEM;
	for (size_t i = 0; i < p->pieces.n; i++)
		tell(p, &p->pieces.p[i]);
	p->pieces.n = p->sums.n = 0;
	if (p->c->opts->progress)
		p->c->opts->progress(p->c->opts->arg, p->done, p->total);
	return 0;
}

/* Checksums that belong together, of all copies. */
static int add_piece(struct data_pass *p, const struct btrfs_chunk_map *m,
		     uint64_t logical, uint32_t len, const uint8_t *sums)
{
	size_t at = p->sums.n, n = len / BTRFS_SECTOR * p->c->fs->csum_size;

	for (size_t i = 0; i < n; i++) {
		if (!vec_push(&p->sums, sums[i]))
			return -ENOMEM;
	}
	for (unsigned copy = 0; copy < m->copies; copy++) {
		struct piece x = { .logical = logical, .len = len,
				   .physical = m->physical[copy] +
					       (logical - m->logical),
				   .copy = copy, .sums = at };

		if (!vec_push(&p->pieces, x))
			return -ENOMEM;
	}
	return p->pieces.n < BATCH ? 0 : run_batch(p);
}

static int add_item(struct data_pass *p, const struct btrfs_cursor *cur)
{
	const struct r3_btrfs *fs = p->c->fs;
	uint64_t at = cur->key.offset;
	uint64_t end = at + (uint64_t)(cur->size / fs->csum_size) *
				    BTRFS_SECTOR;
	int err = 0;

	while (!err && at < end) {
		const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, at);
		const uint8_t *sums = cur->data;
		uint64_t len;

		if (!m) {
			check_problem(p->c, "data %llu: no chunk holds it",
				      (unsigned long long)at);
			p->done += end - at;
			return 0;
		}
		len = r3_min(end, m->logical + m->length) - at;
		len = r3_min(len, PIECE);
		err = add_piece(p, m, at, (uint32_t)len,
				sums + (at - cur->key.offset) / BTRFS_SECTOR *
					       fs->csum_size);
		at += len;
	}
	return err;
}

int check_data(struct check *c)
{
	struct data_pass p = { .c = c };
	struct btrfs_cursor cur;
	int err;

	for (size_t i = 0; i < c->csums.n; i++)
		p.total += c->csums.p[i].end - c->csums.p[i].start;
	btrfs_cursor_init(&cur, c->fs, &c->fs->csum);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&cur)) {
		if (cur.key.type != BTRFS_EXTENT_CSUM)
			continue;
		err = add_item(&p, &cur);
		if (err)
			break;
	}
	btrfs_cursor_fini(&cur);
	if (err == -ENOENT)
		err = p.pieces.n ? run_batch(&p) : 0;
	vec_free(&p.pieces);
	vec_free(&p.sums);
	if (p.bad > BAD_MAX)
		check_problem(c, "data: %u more sectors do not match",
			      p.bad - BAD_MAX);
	return err;
}
