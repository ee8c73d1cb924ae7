// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_data.c - file data: read, packed by threads, written in order
 *
 * Without compression data is read straight into the buffer from which it is
 * written.  With it, pieces of 128 KiB go round a ring of jobs: the main thread
 * reads and writes, in order, and the others pack.  The result does not depend
 * on who was faster.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "mkfs.h"

enum { JOBS = 64, THREADS_MAX = 16, EXTENT_MAX = 128 << 20 };

/* IDLE -> READY (filled) -> BUSY (packed by a thread) -> DONE -> IDLE */
enum job_state { JOB_IDLE, JOB_READY, JOB_BUSY, JOB_DONE };

struct job {
	enum job_state state;
	uint32_t subvol, inode;
	uint64_t start; /* in the file */
	size_t len, packed; /* packed 0: not smaller */
	uint8_t in[BTRFS_COMPRESSED_MAX], out[BTRFS_COMPRESSED_MAX];
};

struct copy {
	struct mkfs *m;
	struct job *jobs; /* JOBS, or NULL */
	unsigned head, tail; /* next to fill, next to write */
	unsigned next;	     /* next to pack */
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
	pthread_mutex_t lock;
	pthread_cond_t filled, packed;
	bool stop, lock_there;
	/* the directory whose files are being read */
	int dir_fd;
	uint32_t dir_subvol, dir_inode;
	uint64_t done;
};

/* ---- where data goes ------------------------------------------------------*/

static int add_csums(struct mkfs *m, uint64_t logical, const uint8_t *data,
		     size_t len)
{
	struct mkfs_csums *c = m->csums.n ? &m->csums.p[m->csums.n - 1] : NULL;
	uint8_t sum[BTRFS_CSUM_MAX];

	if (!c || c->logical + c->count * BTRFS_SECTOR != logical) {
		if (!vec_push(&m->csums, (struct mkfs_csums){
				logical, 0, m->csum_bytes.n }))
			return mkfs_fail(m, -ENOMEM, "out of memory");
		c = &m->csums.p[m->csums.n - 1];
	}
	for (size_t at = 0; at < len; at += BTRFS_SECTOR, c->count++) {
		btrfs_csum(m->csum_type, data + at, BTRFS_SECTOR, sum);
		for (unsigned i = 0; i < m->csum_size; i++) {
			if (!vec_push(&m->csum_bytes, sum[i]))
				return mkfs_fail(m, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

/* An extent of the file; it grows the last one when it goes on from there. */
static int add_extent(struct mkfs *m, uint32_t subvol, uint32_t inode,
		      const struct mkfs_extent *x)
{
	struct mkfs_subvol *v = &m->subvols.p[subvol];
	struct mkfs_inode *in = &v->inodes.p[inode];
	struct mkfs_extent *last = NULL;

	in->nbytes += x->len;
	m->res.disk_bytes += x->disk_len;
	if (in->extent_count)
		last = &v->extents.p[v->extents.n - 1];
	else
		in->first_extent = (uint32_t)v->extents.n;
	if (last && !last->compression && !x->compression &&
	    last->start + last->len == x->start &&
	    last->logical + last->disk_len == x->logical &&
	    last->len + x->len <= EXTENT_MAX &&
	    mkfs_chunk_of(m, last->logical) == mkfs_chunk_of(m, x->logical)) {
		last->len += x->len;
		last->disk_len += x->len;
		m->refs.p[m->refs.n - 1].len += x->len;
		return 0;
	}
	in->extent_count++;
	if (!vec_push(&v->extents, *x) ||
	    !vec_push(&m->refs, (struct mkfs_data_ref){
			    x->logical, x->disk_len, v->id,
			    R3_BTRFS_ROOT_INO + inode, x->start }))
		return mkfs_fail(m, -ENOMEM, "out of memory");
	return 0;
}

/* How much may still come: a chunk of a good size. */
static uint64_t data_wanted(const struct copy *c)
{
	uint64_t left = c->m->total_bytes - c->done;

	return left + (uint64_t)c->m->res.files * BTRFS_SECTOR;
}

static int store(struct copy *c, const struct job *j, const uint8_t *data,
		 size_t len, unsigned compression)
{
	struct mkfs *m = c->m;
	size_t disk = (len + BTRFS_SECTOR - 1) & ~(size_t)(BTRFS_SECTOR - 1);
	struct mkfs_extent x = { .start = j->start, .disk_len = disk,
				 .compression = (uint8_t)compression };
	uint8_t *to;
	int err;

	x.len = (j->len + BTRFS_SECTOR - 1) & ~(uint64_t)(BTRFS_SECTOR - 1);
	err = mkfs_alloc(m, MKFS_DATA, disk, data_wanted(c), &x.logical);
	if (!err)
		err = mkfs_stage_room(m, &m->data, x.logical, disk, &to);
	if (err)
		return err;
	memcpy(to, data, len);
	memset(to + len, 0, disk - len);
	err = add_csums(m, x.logical, to, disk);
	return err ? err : add_extent(m, j->subvol, j->inode, &x);
}

static int store_job(struct copy *c, const struct job *j)
{
	size_t raw = (j->len + BTRFS_SECTOR - 1) & ~(size_t)(BTRFS_SECTOR - 1);
	size_t packed = (j->packed + BTRFS_SECTOR - 1) &
			~(size_t)(BTRFS_SECTOR - 1);

	if (j->packed && packed < raw)
		return store(c, j, j->out, j->packed,
			     c->m->opts->compression);
	return store(c, j, j->in, j->len, 0);
}

/* ---- the ring of jobs -----------------------------------------------------*/

static void *pack_thread(void *arg)
{
	struct copy *c = arg;
	struct btrfs_packer *p = btrfs_packer_new(c->m->opts->compression,
						  c->m->opts->level);
	struct job *j;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->stop && c->jobs[c->next % JOBS].state != JOB_READY)
			pthread_cond_wait(&c->filled, &c->lock);
		if (c->stop)
			break;
		j = &c->jobs[c->next++ % JOBS];
		j->state = JOB_BUSY;
		pthread_mutex_unlock(&c->lock);
		/* Not a sector saved is not worth it; without memory for a
		 * packer everything stays as it is. */
		j->packed = p && j->len > BTRFS_SECTOR
				    ? btrfs_pack(p, j->in, j->len, j->out,
						 j->len - 1) : 0;
		pthread_mutex_lock(&c->lock);
		j->state = JOB_DONE;
		pthread_cond_signal(&c->packed);
	}
	pthread_mutex_unlock(&c->lock);
	btrfs_packer_free(p);
	return NULL;
}

/* Write the oldest job, waiting for it. */
static int reap(struct copy *c)
{
	struct job *j = &c->jobs[c->tail % JOBS];
	int err;

	pthread_mutex_lock(&c->lock);
	while (j->state != JOB_DONE)
		pthread_cond_wait(&c->packed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	err = store_job(c, j);
	j->state = JOB_IDLE;
	c->tail++;
	return err;
}

static int next_job(struct copy *c, struct job **out)
{
	int err = c->head - c->tail == JOBS ? reap(c) : 0;

	*out = &c->jobs[c->head % JOBS];
	return err;
}

static void submit(struct copy *c, struct job *j)
{
	pthread_mutex_lock(&c->lock);
	j->state = JOB_READY;
	c->head++;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
}

static int start_threads(struct copy *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = c->m->opts->threads ? c->m->opts->threads
					    : (unsigned)(cpus > 0 ? cpus : 1);

	c->jobs = calloc(JOBS, sizeof(*c->jobs));
	if (!c->jobs)
		return mkfs_fail(c->m, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	pthread_cond_init(&c->packed, NULL);
	c->lock_there = true;
	while (c->thread_count < r3_min(want, THREADS_MAX)) {
		int err = pthread_create(&c->threads[c->thread_count], NULL,
					 pack_thread, c);

		if (err && !c->thread_count)
			return mkfs_fail(c->m, -err, "thread: %s",
					 strerror(err));
		if (err)
			break;
		c->thread_count++;
	}
	return 0;
}

static void stop_threads(struct copy *c)
{
	if (!c->lock_there) {
		free(c->jobs);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->filled);
	pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < c->thread_count; i++)
		pthread_join(c->threads[i], NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->filled);
	pthread_cond_destroy(&c->packed);
	free(c->jobs);
}

/* ---- reading --------------------------------------------------------------*/

static int read_fail(struct mkfs *m, int fd)
{
	char link[32], name[R3_BTRFS_PATH_MAX] = "";
	int err = -errno;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) < 0)
		strcpy(name, "?");
	return mkfs_fail(m, err, "%s: reading: %s", name, strerror(-err));
}

/* All of @len, with zeros for what is no longer there. */
static int read_file(struct mkfs *m, int fd, uint8_t *buf, size_t len,
		     uint64_t off)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return read_fail(m, fd);
		if (!n) {
			memset(buf, 0, len);
			m->res.changed++;
			return 0;
		}
		buf += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* A range that is no hole, packed. */
static int copy_packed(struct copy *c, int fd, uint32_t subvol, uint32_t inode,
		       uint64_t start, uint64_t end)
{
	struct job *j;
	int err;

	while (start < end) {
		err = next_job(c, &j);
		if (err)
			return err;
		j->subvol = subvol;
		j->inode = inode;
		j->start = start;
		j->len = r3_min(end - start, BTRFS_COMPRESSED_MAX);
		err = read_file(c->m, fd, j->in, j->len, start);
		if (err)
			return err;
		start += j->len;
		submit(c, j);
	}
	return 0;
}

/* A range as it is, straight into the buffer that is written. */
static int copy_plain(struct copy *c, int fd, uint32_t subvol, uint32_t inode,
		      uint64_t start, uint64_t end)
{
	struct mkfs *m = c->m;
	uint8_t *to;
	int err;

	while (start < end) {
		size_t len = r3_min(end - start, MKFS_STAGE);
		size_t disk = (len + BTRFS_SECTOR - 1) &
			      ~(size_t)(BTRFS_SECTOR - 1);
		struct mkfs_extent x = { .start = start, .len = disk,
					 .disk_len = disk };

		err = mkfs_alloc(m, MKFS_DATA, disk, data_wanted(c),
				 &x.logical);
		if (!err)
			err = mkfs_stage_room(m, &m->data, x.logical, disk,
					      &to);
		if (!err)
			err = read_file(m, fd, to, len, start);
		if (err)
			return err;
		memset(to + len, 0, disk - len);
		err = add_csums(m, x.logical, to, disk);
		if (!err)
			err = add_extent(m, subvol, inode, &x);
		if (err)
			return err;
		start += len;
	}
	return 0;
}

static int copy_range(struct copy *c, int fd, uint32_t subvol, uint32_t inode,
		      uint64_t start, uint64_t end)
{
	return c->jobs ? copy_packed(c, fd, subvol, inode, start, end)
		       : copy_plain(c, fd, subvol, inode, start, end);
}

/* The next range with data from @at on, whole sectors; false: none. */
static bool next_data(int fd, uint64_t at, uint64_t size, uint64_t *start,
		      uint64_t *end)
{
	off_t from = lseek(fd, (off_t)at, SEEK_DATA), to;

	if (from < 0) {
		*start = at; /* ENXIO: only a hole is left */
		*end = size;
		return errno != ENXIO;
	}
	to = lseek(fd, from, SEEK_HOLE);
	*start = r3_align_down((uint64_t)from, BTRFS_SECTOR);
	*end = to < 0 || !r3_align_up((uint64_t)to, BTRFS_SECTOR, end)
		       ? size : r3_min(*end, size);
	return *start < size;
}

static int read_inline(struct mkfs *m, int fd, struct mkfs_inode *in)
{
	uint8_t buf[MKFS_INLINE_MAX];
	int err = read_file(m, fd, buf, in->size, 0);

	if (err)
		return err;
	in->is_inline = true;
	in->inline_at = m->text.n;
	in->inline_len = (uint32_t)in->size;
	in->nbytes = in->size;
	for (uint32_t i = 0; i < in->inline_len; i++) {
		if (!vec_push(&m->text, (char)buf[i]))
			return mkfs_fail(m, -ENOMEM, "out of memory");
	}
	return 0;
}

/* "a/b/name" of the source; the first name of several does. */
static void source_path(const struct mkfs *m, uint32_t subvol, uint32_t inode,
			char *out, size_t len)
{
	size_t at = len - 1;

	out[at] = 0;
	for (;;) {
		const struct mkfs_subvol *v = &m->subvols.p[subvol];
		uint32_t link = inode ? v->inodes.p[inode].first_link
				      : v->link;
		const struct mkfs_link *l;

		if (!inode && !subvol)
			break;
		if (!inode) {
			subvol = v->parent;
			v = &m->subvols.p[subvol];
		}
		l = &v->links.p[link];
		if (at < (size_t)l->len + 1)
			break;
		if (out[at])
			out[--at] = '/';
		at -= l->len;
		memcpy(out + at, m->text.p + l->name, l->len);
		inode = l->parent;
	}
	memmove(out, out + at, len - at);
}

/* Open by directory: the files of one follow each other. */
static int open_source(struct copy *c, uint32_t subvol, uint32_t inode)
{
	const struct mkfs_subvol *v = &c->m->subvols.p[subvol];
	const struct mkfs_link *l =
		&v->links.p[v->inodes.p[inode].first_link];
	char path[R3_BTRFS_PATH_MAX * 4], name[BTRFS_NAME_MAX + 1];

	if (c->dir_fd < 0 || c->dir_subvol != subvol ||
	    c->dir_inode != l->parent) {
		if (c->dir_fd >= 0)
			close(c->dir_fd);
		source_path(c->m, subvol, l->parent, path, sizeof(path));
		c->dir_fd = openat(c->m->root_fd, *path ? path : ".",
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (c->dir_fd < 0)
			return -errno;
		c->dir_subvol = subvol;
		c->dir_inode = l->parent;
	}
	memcpy(name, c->m->text.p + l->name, l->len);
	name[l->len] = 0;
	return openat(c->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NOATIME |
		      O_CLOEXEC);
}

static int open_any(struct copy *c, uint32_t subvol, uint32_t inode)
{
	char path[R3_BTRFS_PATH_MAX * 4];
	int fd = open_source(c, subvol, inode);

	if (fd >= 0)
		return fd;
	source_path(c->m, subvol, inode, path, sizeof(path));
	/* O_NOATIME is for the owner only */
	fd = openat(c->m->root_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return mkfs_fail(c->m, -errno, "%s: %m", path);
	return fd;
}

static int copy_file(struct copy *c, uint32_t subvol, uint32_t inode)
{
	struct mkfs_inode *in = &c->m->subvols.p[subvol].inodes.p[inode];
	uint64_t at = 0, start, end, size = in->size;
	int err = 0, fd = open_any(c, subvol, inode);

	if (fd < 0)
		return fd;
	if (size <= MKFS_INLINE_MAX) {
		err = read_inline(c->m, fd, in);
	} else if (!in->holes) {
		err = copy_range(c, fd, subvol, inode, 0, size);
	} else {
		while (!err && at < size &&
		       next_data(fd, at, size, &start, &end)) {
			err = copy_range(c, fd, subvol, inode, start, end);
			at = end;
		}
	}
	close(fd);
	c->done += size;
	if (!err && c->m->opts->progress)
		c->m->opts->progress(c->m->opts->arg, c->done,
				     c->m->total_bytes);
	return err;
}

int mkfs_copy_data(struct mkfs *m)
{
	struct copy c = { .m = m, .dir_fd = -1 };
	int err = m->opts->compression ? start_threads(&c) : 0;

	for (uint32_t s = 0; !err && s < m->subvols.n; s++) {
		const struct mkfs_subvol *v = &m->subvols.p[s];

		for (uint32_t i = 0; !err && i < v->inodes.n; i++) {
			if (S_ISREG(v->inodes.p[i].mode) &&
			    v->inodes.p[i].size)
				err = copy_file(&c, s, i);
		}
		while (!err && c.jobs && c.tail != c.head)
			err = reap(&c);
	}
	stop_threads(&c);
	if (c.dir_fd >= 0)
		close(c.dir_fd);
	m->res.data_bytes = m->total_bytes;
	return err ? err : mkfs_flush(m, &m->data);
}
