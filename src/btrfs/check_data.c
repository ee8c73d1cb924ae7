// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_data.c - read all data that has checksums and compare, every copy
 *
 * The tree of checksums is walked by the check's own thread, which cuts data
 * into pieces and puts them into a ring; others read and sum them, where the
 * device allows it.  As many as the ring holds are on their way before the
 * trees are checked, for that is work for a processor and this mostly for the
 * disk.
 *
 *	head: the next to be filled   next: to be read   tail: to be told of
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

enum {
	PIECE = 1 << 18,
	SECTORS = PIECE / BTRFS_SECTOR, /* as many as a uint64_t has bits */
	RING = 2048, /* pieces; 512 MiB of data */
	TELL = 256,  /* pieces between two calls of progress */
	THREADS_ALONE = 4, /* when nothing else gives the disk work */
	THREADS_MAX = 8,
	BAD_MAX = 1000,
};
static_assert(SECTORS <= 64, "bits of piece.bad");

struct piece {
	uint64_t logical, physical;
	uint32_t len;
	unsigned copy;
	uint64_t bad; /* bit by sector */
	int err;      /* of reading */
	bool done;
};

struct check_data {
	struct check *c;
	struct piece ring[RING];
	uint8_t *sums; /* SECTORS for each of them */
	unsigned head, next, tail;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t filled, done;
	struct worker {
		struct check_data *p;
		pthread_t thread;
		uint8_t *buf; /* PIECE */
	} worker[THREADS_MAX];
	unsigned thread_count; /* 0: each is read when it is told of */
	struct btrfs_key key; /* where the walk goes on: this item, */
	uint64_t from;	      /* and this address */
	uint64_t told, total; /* bytes of data */
	unsigned bad;
};

/* Name the first file that has the data at @logical. */
static void name_file(struct check_data *p, unsigned copy, uint64_t logical)
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

static uint8_t *sums_of(const struct check_data *p, const struct piece *x)
{
	return p->sums + (size_t)(x - p->ring) * SECTORS * p->c->fs->csum_size;
}

static void verify(const struct check_data *p, struct piece *x, uint8_t *buf)
{
	const struct r3_btrfs *fs = p->c->fs;
	const uint8_t *want = sums_of(p, x);
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
	struct worker *w = arg;
	struct check_data *p = w->p;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct piece *x;

		while (p->next == p->head && !p->stop)
			pthread_cond_wait(&p->filled, &p->lock);
		if (p->stop)
			break;
		x = &p->ring[p->next++ % RING];
		pthread_mutex_unlock(&p->lock);
		verify(p, x, w->buf);
		pthread_mutex_lock(&p->lock);
		x->done = true;
		if (x == &p->ring[p->tail % RING])
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void tell(struct check_data *p, const struct piece *x)
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
		p->told += x->len;
}

/* Wait for the oldest piece, and tell what came of it. */
static void reap(struct check_data *p)
{
	struct piece *x = &p->ring[p->tail % RING];

	if (!p->thread_count)
		verify(p, x, p->worker[0].buf);
	pthread_mutex_lock(&p->lock);
	while (p->thread_count && !x->done)
		pthread_cond_wait(&p->done, &p->lock);
	p->tail++;
	pthread_mutex_unlock(&p->lock);
	tell(p, x);
	if (p->tail % TELL == 0 && p->c->opts->progress)
		p->c->opts->progress(p->c->opts->arg, p->told, p->total);
}

static void add_piece(struct check_data *p, const struct btrfs_chunk_map *m,
		      unsigned copy, uint64_t logical, uint32_t len,
		      const uint8_t *sums)
{
	struct piece *x = &p->ring[p->head % RING];

	*x = (struct piece){ .logical = logical, .len = len, .copy = copy,
			     .physical = m->physical[copy] +
					 (logical - m->logical) };
	memcpy(sums_of(p, x), sums,
	       len / BTRFS_SECTOR * p->c->fs->csum_size);
	pthread_mutex_lock(&p->lock);
	p->head++;
	pthread_cond_signal(&p->filled);
	pthread_mutex_unlock(&p->lock);
}

/* ---- the walk -------------------------------------------------------------*/

/* Room for every copy of a piece; false: there is none, and @may_wait not. */
static bool room(struct check_data *p, unsigned copies, bool may_wait)
{
	while (p->head - p->tail + copies > RING) {
		if (!may_wait)
			return false;
		reap(p);
	}
	return true;
}

/* What an item has from p->from on; -EAGAIN: not all of it. */
static int add_item(struct check_data *p, const struct btrfs_cursor *cur,
		    bool may_wait)
{
	const struct r3_btrfs *fs = p->c->fs;
	uint64_t start = cur->key.offset, at = r3_max(start, p->from);
	uint64_t end = start + (uint64_t)(cur->size / fs->csum_size) *
				       BTRFS_SECTOR;

	for (uint64_t len; at < end; at += len) {
		const struct btrfs_chunk_map *m = btrfs_chunk_find(fs, at);
		const uint8_t *sums = cur->data;

		if (!m) {
			check_problem(p->c, "data %llu: no chunk holds it",
				      (unsigned long long)at);
			p->told += end - at;
			break;
		}
		p->from = at;
		if (!room(p, m->copies, may_wait))
			return -EAGAIN;
		len = r3_min(end, m->logical + m->length) - at;
		len = r3_min(len, PIECE);
		for (unsigned copy = 0; copy < m->copies; copy++)
			add_piece(p, m, copy, at, (uint32_t)len,
				  sums + (at - start) / BTRFS_SECTOR *
						 fs->csum_size);
	}
	p->from = end;
	return 0;
}

/* From where it ended; -ENOENT: all is in the ring or was. */
static int walk(struct check_data *p, bool may_wait)
{
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, p->c->fs, &p->c->fs->csum);
	err = btrfs_cursor_seek(&cur, p->key);
	for (; !err; err = btrfs_cursor_next(&cur)) {
		p->key = cur.key;
		if (cur.key.type == BTRFS_EXTENT_CSUM)
			err = add_item(p, &cur, may_wait);
		if (err)
			break;
	}
	btrfs_cursor_fini(&cur);
	return err;
}

/* ---- begin and end --------------------------------------------------------*/

/* A thread for each processor, or @least. */
static void start_threads(struct check_data *p, size_t least)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = r3_max(cpus > 0 ? (size_t)cpus : 1, least);

	if (!p->c->fs->dev->parallel)
		return;
	while (p->thread_count < r3_min(want, THREADS_MAX)) {
		struct worker *w = &p->worker[p->thread_count];

		if (!w->buf)
			w->buf = malloc(PIECE);
		if (!w->buf || pthread_create(&w->thread, NULL, work, w))
			return;
		p->thread_count++;
	}
}

int check_data_begin(struct check *c)
{
	struct check_data *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->c = c;
	p->sums = malloc((size_t)RING * SECTORS * c->fs->csum_size);
	p->worker[0].buf = malloc(PIECE);
	if (!p->sums || !p->worker[0].buf) {
		free(p->worker[0].buf);
		free(p->sums);
		free(p);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < THREADS_MAX; i++)
		p->worker[i].p = p;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->filled, NULL);
	pthread_cond_init(&p->done, NULL);
	c->data = p;
	start_threads(p, 1);
	/* an error comes again */
	if (p->thread_count)
		walk(p, false);
	return 0;
}

void check_data_end(struct check *c)
{
	struct check_data *p = c->data;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->filled);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->worker[i].thread, NULL);
	for (unsigned i = 0; i < THREADS_MAX; i++)
		free(p->worker[i].buf);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->filled);
	pthread_mutex_destroy(&p->lock);
	free(p->sums);
	free(p);
}

int check_data(struct check *c)
{
	struct check_data *p = c->data;
	int err;

	for (size_t i = 0; i < c->csums.n; i++)
		p->total += c->csums.p[i].end - c->csums.p[i].start;
	start_threads(p, THREADS_ALONE);
	err = walk(p, true);
	while (p->tail != p->head)
		reap(p);
	if (p->bad > BAD_MAX)
		check_problem(c, "data: %u more sectors do not match",
			      p->bad - BAD_MAX);
	return err == -ENOENT ? 0 : err;
}
