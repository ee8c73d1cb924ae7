// SPDX-License-Identifier: GPL-2.0-or-later
/* disk.c - the file behind a namespace: at once, or through io_uring */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk.h"
#include "ring3/log.h"

enum {
	DISK_ENTRIES = NVMC_IO_REQS + 8, /* one of each request at a time */
	DISK_INLINE_MAX = 128 * 1024, /* bytes written at once */
	DISK_ZEROES = 64 * 1024,
	DISK_WORKERS = 8, /* io_uring's threads */
	DISK_ALIGN = 512, /* of memory, for direct I/O */
};
#define SLOW_NS	     (30 * R3_NS_PER_MS) /* a write that took this blocked */
#define SLOW_HOLD_NS R3_NS_PER_S

static uint16_t status_of(const struct nvmc_req *r, int err)
{
	switch (-err) {
	case 0:
		return R3_NVME_SUCCESS;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return R3_NVME_CAPACITY_EXCEEDED;
	case EFAULT:
		return R3_NVME_DATA_TRANSFER_ERROR;
	case EROFS:
		return R3_NVME_NS_WRITE_PROTECTED;
	}
	return r->op == NVMC_READ ? R3_NVME_UNRECOVERED_READ :
				    R3_NVME_WRITE_FAULT;
}

static void finish(struct disk *d, struct nvmc_req *r, int err)
{
	/* not one line for each: the 1st, 2nd, 4th, 8th ... */
	if (err && r3_is_pow2(++d->failed))
		r3_log(R3_WARN, "model/nvme", "file",
		       "%s failed: %s; %s at=%llu failed_so_far=%llu",
		       r->op == NVMC_READ ? "read" : "write", strerror(-err),
		       err == -ENOSPC ? "make room on its file system" :
					"look at the disk below",
		       (unsigned long long)r->off,
		       (unsigned long long)d->failed);
	d->done(d->ctx, r, status_of(r, err));
}

/* @n bytes of @r are through: drop them from its pieces. */
static void advance(struct nvmc_req *r, size_t n)
{
	uint32_t at = 0;

	r->done += (uint32_t)n;
	while (at < r->count && n >= r->iov[at].iov_len)
		n -= r->iov[at++].iov_len;
	if (at < r->count) {
		r->iov[at].iov_base = (uint8_t *)r->iov[at].iov_base + n;
		r->iov[at].iov_len -= n;
	}
	r->count -= at;
	memmove(r->iov, r->iov + at, r->count * sizeof(*r->iov));
}

/* ---- through io_uring ---------------------------------------------------- */

/* For file systems without FALLOC_FL_ZERO_RANGE: up to 1 MiB of zeroes. */
static void zero_pieces(struct disk *d, struct nvmc_req *r)
{
	uint64_t left = r3_min(r->len - r->done, NVMC_TRANSFER_MAX);

	memset(d->zeroes, 0, DISK_ZEROES);
	for (r->count = 0; left; r->count++) {
		size_t part = r3_min(left, DISK_ZEROES);

		r->iov[r->count] = (struct iovec){ d->zeroes, part };
		left -= part;
	}
}

static void prep_zero(struct disk *d, struct io_uring_sqe *e,
		      struct nvmc_req *r)
{
	int mode = FALLOC_FL_KEEP_SIZE;

	if (r->done == r->len) { /* second step, when it must be durable */
		io_uring_prep_fsync(e, 0, IORING_FSYNC_DATASYNC);
		return;
	}
	if (r->deallocate && !d->no_punch)
		mode |= FALLOC_FL_PUNCH_HOLE;
	else
		mode |= FALLOC_FL_ZERO_RANGE;
	if (d->no_zero && !(mode & FALLOC_FL_PUNCH_HOLE)) {
		zero_pieces(d, r);
		io_uring_prep_writev(e, 0, r->iov, r->count,
				     r->off + r->done);
		return;
	}
	io_uring_prep_fallocate(e, 0, mode, (off_t)r->off, (off_t)r->len);
}

/* One entry for @r's next step.  There is always room: a request has at most
 * one, and the ring has one for each. */
static void queue(struct disk *d, struct nvmc_req *r)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&d->ring);

	assert(e);
	switch ((enum nvmc_op)r->op) {
	case NVMC_READ:
		io_uring_prep_readv(e, 0, r->iov, r->count, r->off + r->done);
		break;
	case NVMC_WRITE:
		io_uring_prep_writev2(e, 0, r->iov, r->count, r->off + r->done,
				      r->durable ? RWF_DSYNC : 0);
		break;
	case NVMC_FLUSH:
		io_uring_prep_fsync(e, 0, IORING_FSYNC_DATASYNC);
		break;
	case NVMC_ZERO:
		prep_zero(d, e, r);
		break;
	case NVMC_DISCARD:
		io_uring_prep_fallocate(e, 0, FALLOC_FL_KEEP_SIZE |
					FALLOC_FL_PUNCH_HOLE,
					(off_t)r->ranges[r->done].off,
					(off_t)r->ranges[r->done].len);
		break;
	}
	e->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(e, r);
	d->queued++;
}

/* The file system can't do this: remember, and go another way or, for what
 * was only a hint, be content.  True: @r goes on. */
static bool unsupported(struct disk *d, struct nvmc_req *r)
{
	if (r->op == NVMC_ZERO && r->deallocate && !d->no_punch) {
		d->no_punch = true;
		return true;
	}
	if (r->op == NVMC_ZERO && !d->no_zero) {
		d->no_zero = true;
		return true;
	}
	if (r->op == NVMC_DISCARD)
		r->done = r->count - 1; /* the last step */
	return false;
}

/* Zero and discard: what was just done, and whether more is to do. */
static bool more_steps(const struct disk *d, struct nvmc_req *r, int res)
{
	if (r->op == NVMC_DISCARD) {
		while (++r->done < r->count && !r->ranges[r->done].len)
			;
		return r->done < r->count;
	}
	if (r->done == r->len)
		return false; /* that was the flush */
	if (res > 0 && d->no_zero)
		r->done += (uint32_t)res;
	else
		r->done = (uint32_t)r->len;
	return r->done < r->len || r->durable;
}

static void completed(struct disk *d, struct nvmc_req *r, int res)
{
	bool again = false;

	if (res == -EINTR || res == -EAGAIN) {
		again = true;
	} else if (res == -EOPNOTSUPP &&
		   (r->op == NVMC_ZERO || r->op == NVMC_DISCARD)) {
		again = unsupported(d, r);
		if (!again && r->op == NVMC_DISCARD)
			res = 0;
	} else if (res >= 0 && (r->op == NVMC_READ || r->op == NVMC_WRITE)) {
		if (!res)
			res = -EIO; /* the file has become shorter */
		else
			advance(r, (size_t)res);
		again = res > 0 && r->count;
	} else if (res >= 0 && r->op != NVMC_FLUSH) {
		again = more_steps(d, r, res);
	}
	if (again) {
		queue(d, r);
		return;
	}
	d->in_flight--;
	finish(d, r, res < 0 ? res : 0);
}

static unsigned reap(struct disk *d)
{
	struct io_uring_cqe *c;
	unsigned n = 0;

	while (d->in_flight && n < DISK_ENTRIES &&
	       !io_uring_peek_cqe(&d->ring, &c)) {
		struct nvmc_req *r = io_uring_cqe_get_data(c);
		int res = c->res;

		io_uring_cqe_seen(&d->ring, c);
		completed(d, r, res);
		n++;
	}
	return n;
}

static void submit(struct disk *d)
{
	int n;

	if (!d->queued)
		return;
	n = io_uring_submit(&d->ring);
	if (n > 0)
		d->queued -= r3_min((uint64_t)n, d->queued);
	/* -EAGAIN, -EBUSY: the rest goes with the next round */
}

unsigned disk_poll(struct disk *d)
{
	unsigned n;

	if (!d->in_flight)
		return 0;
	submit(d);
	n = reap(d);
	submit(d);
	return n;
}

int disk_drain(struct disk *d, unsigned timeout_ms)
{
	uint64_t until = r3_now_ns() + timeout_ms * R3_NS_PER_MS;

	while (d->in_flight) {
		struct __kernel_timespec ts = { .tv_nsec = 1000 * 1000 };
		struct io_uring_cqe *c;

		if (disk_poll(d))
			continue;
		if (r3_now_ns() > until)
			return -ETIMEDOUT;
		io_uring_wait_cqe_timeout(&d->ring, &c, &ts);
	}
	return 0;
}

/* ---- at once ------------------------------------------------------------- */

/* True: @r is done, or partly done and the rest may sleep. */
static bool read_now(struct disk *d, struct nvmc_req *r)
{
	ssize_t n = preadv2(d->fd, r->iov, (int)r->count, (off_t)r->off,
			    RWF_NOWAIT);

	if (n <= 0)
		return false; /* not cached, or an error that comes again */
	advance(r, (size_t)n);
	if (r->count)
		return false;
	finish(d, r, 0);
	return true;
}

static bool write_now(struct disk *d, struct nvmc_req *r)
{
	uint64_t start = r3_now_ns(), end;
	ssize_t n;

	if (d->slow_until_ns > start)
		return false;
	n = pwritev(d->fd, r->iov, (int)r->count, (off_t)r->off);
	end = r3_now_ns();
	if (end - start > SLOW_NS)
		d->slow_until_ns = end + SLOW_HOLD_NS;
	if (n <= 0)
		return false;
	advance(r, (size_t)n);
	if (r->count)
		return false;
	finish(d, r, 0);
	return true;
}

/* ---- direct, from memory that the device below can't take ---------------- */

static bool is_direct_aligned(const struct nvmc_req *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		if (((uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len) &
		    (DISK_ALIGN - 1))
			return false;
	}
	return true;
}

/* Rare (NVMe only promises dword alignment), so it may wait for the disk. */
static void bounce(struct disk *d, struct nvmc_req *r)
{
	size_t len = r->len, at = 0;
	ssize_t n;

	if (r->op == NVMC_READ) {
		n = pread(d->fd, d->bounce, len, (off_t)r->off);
	} else {
		for (uint32_t i = 0; i < r->count; at += r->iov[i++].iov_len)
			memcpy(d->bounce + at, r->iov[i].iov_base,
			       r->iov[i].iov_len);
		n = pwrite(d->fd, d->bounce, len, (off_t)r->off);
		if (n == (ssize_t)len && r->durable && fdatasync(d->fd))
			n = -1;
	}
	if (n != (ssize_t)len) {
		finish(d, r, n < 0 ? -errno : -EIO);
		return;
	}
	for (uint32_t i = 0; r->op == NVMC_READ && i < r->count;
	     at += r->iov[i++].iov_len)
		memcpy(r->iov[i].iov_base, d->bounce + at, r->iov[i].iov_len);
	finish(d, r, 0);
}

void disk_start(struct disk *d, struct nvmc_req *r)
{
	r->done = 0;
	if (d->direct && (r->op == NVMC_READ || r->op == NVMC_WRITE) &&
	    !is_direct_aligned(r)) {
		bounce(d, r);
		return;
	}
	if (r->op == NVMC_DISCARD) {
		while (r->done < r->count && !r->ranges[r->done].len)
			r->done++;
		if (r->done == r->count) {
			finish(d, r, 0);
			return;
		}
	}
	if (!d->direct && r->op == NVMC_READ && r->len <= DISK_INLINE_MAX &&
	    read_now(d, r))
		return;
	if (!d->direct && r->op == NVMC_WRITE && !r->durable &&
	    r->len <= DISK_INLINE_MAX && write_now(d, r))
		return;
	d->in_flight++;
	queue(d, r);
}

/* ---- life ---------------------------------------------------------------- */

/*
 * Direct writes belong to the device, not to the process that asked for
 * them: those of a former life may land after ours.  fallocate() waits for
 * all direct I/O of the inode (ext4, xfs); its first page exists already or
 * becomes an unwritten one, so nothing changes.
 */
static int wait_for_direct(int fd)
{
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return 0; /* not allowed, and nobody has written */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, R3_PAGE_SIZE))
		return -errno;
	return 0;
}

static int set_flags(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
	/* not ours to want when the file is somebody else's (EPERM) */
	if (!fcntl(fd, F_SETFL, flags | O_NOATIME))
		return 0;
	return fcntl(fd, F_SETFL, flags) ? -errno : 0;
}

int disk_open(struct disk *d, int fd, bool direct,
	      void (*done)(void *ctx, struct nvmc_req *r, uint16_t status),
	      void *ctx)
{
	unsigned workers[2] = { DISK_WORKERS, DISK_WORKERS };
	int err;

	*d = (struct disk){ .fd = fd, .direct = direct, .done = done,
			    .ctx = ctx };
	err = set_flags(fd, direct);
	if (!err && direct)
		err = wait_for_direct(fd);
	if (err)
		return err;
	/* touched only when needed */
	d->zeroes = aligned_alloc(R3_PAGE_SIZE, DISK_ZEROES);
	d->bounce = direct ? aligned_alloc(R3_PAGE_SIZE, NVMC_TRANSFER_MAX) :
			     NULL;
	err = -ENOMEM;
	if (!d->zeroes || (direct && !d->bounce))
		goto fail_zeroes;
	err = io_uring_queue_init(DISK_ENTRIES, &d->ring, 0);
	if (err)
		goto fail_zeroes;
	err = io_uring_register_files(&d->ring, &fd, 1);
	if (err)
		goto fail_ring;
	io_uring_register_iowq_max_workers(&d->ring, workers);
	d->open = true;
	return 0;

fail_ring:
	io_uring_queue_exit(&d->ring);
fail_zeroes:
	free(d->bounce);
	free(d->zeroes);
	return err;
}

void disk_close(struct disk *d)
{
	if (!d->open)
		return;
	io_uring_queue_exit(&d->ring);
	free(d->bounce);
	free(d->zeroes);
	d->open = false;
}
