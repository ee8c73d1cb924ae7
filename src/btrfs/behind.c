// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * behind.c - a device whose writes go on by themselves: copied into a ring of
 * buffers, which a thread writes to the device below, in the order in which
 * they came
 *
 *	write --> the buffer being filled --full, or the thread waits--> ring
 *	ring --thread--> device below
 *	flush: all of it is below, then the flush of what is below
 *	a write that fails: nothing more is written, and whoever writes,
 *	flushes or settles next is told, also of where it was
 *
 * So making changes, and the copying and waiting of the system's calls, go on
 * at once.  Writes that follow each other become one.  One thread uses it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "priv.h"

enum {
	BUFS = 32,	/* at most; made when there is no spare one */
	BUF = 1 << 20,	/* bytes in each */
	ENOUGH = BUF / 4, /* to wake a thread that waits */
};

struct buf {
	uint64_t off;
	size_t len;
	uint8_t *bytes; /* BUF; the thread's and the filled one's only */
};

struct behind {
	struct r3_btrfs_dev dev, *lower;
	struct buf buf[BUFS]; /* by number, modulo */
	unsigned head;	/* being filled; the user's only */
	unsigned tail;	/* written next; tail to head - 1 are the thread's */
	/* What was written goes to what is filled next, the last one first:
	 * it is in a processor's cache. */
	uint8_t *spare[BUFS];
	unsigned spare_count, made;
	bool stop;
	int err;	/* of the first write that failed; it stays */
	pthread_mutex_t lock;
	pthread_cond_t filled, written;
	pthread_t thread;
};

static struct buf *at(struct behind *b, unsigned number)
{
	return &b->buf[number % BUFS];
}

/* ---- the thread -----------------------------------------------------------*/

static void *write_all(void *arg)
{
	struct behind *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		const struct buf *x;
		int err = b->err;

		while (b->tail == b->head && !b->stop)
			pthread_cond_wait(&b->filled, &b->lock);
		if (b->tail == b->head)
			break;
		x = at(b, b->tail);
		pthread_mutex_unlock(&b->lock);
		if (!err)
			err = b->lower->ops->write(b->lower, x->off, x->bytes,
						   x->len);
		pthread_mutex_lock(&b->lock);
		if (err && !b->err)
			b->dev.bad = b->lower->bad;
		b->err = err;
		b->spare[b->spare_count++] = x->bytes;
		b->tail++;
		pthread_cond_signal(&b->written);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* ---- its user -------------------------------------------------------------*/

/* A buffer to be filled; when there are enough, or no memory, one that comes
 * back from the thread. */
static uint8_t *take_bytes(struct behind *b)
{
	uint8_t *bytes = NULL;

	if (!b->spare_count && b->made < BUFS)
		bytes = malloc(BUF);
	if (bytes) {
		b->made++;
		return bytes;
	}
	while (!b->spare_count)
		pthread_cond_wait(&b->written, &b->lock);
	return b->spare[--b->spare_count];
}

/* What was filled goes to the thread; there is one to be filled, empty.  With
 * @idle only if the thread has nothing to do. */
static int hand_over(struct behind *b, bool idle)
{
	int err;

	pthread_mutex_lock(&b->lock);
	if (at(b, b->head)->len && (!idle || b->tail == b->head)) {
		b->head++;
		pthread_cond_signal(&b->filled);
		at(b, b->head)->bytes = take_bytes(b);
		at(b, b->head)->len = 0;
	}
	err = b->err;
	pthread_mutex_unlock(&b->lock);
	return err;
}

/* All that was written is below, or failed. */
static int drain(struct behind *b)
{
	int err = hand_over(b, false);

	pthread_mutex_lock(&b->lock);
	while (b->tail != b->head)
		pthread_cond_wait(&b->written, &b->lock);
	if (!err)
		err = b->err;
	pthread_mutex_unlock(&b->lock);
	return err;
}

/* Is any of it still on its way? */
static bool is_here(struct behind *b, uint64_t off, size_t len)
{
	bool found = false;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = b->tail; i - b->tail <= b->head - b->tail; i++) {
		const struct buf *x = at(b, i);

		found |= off < x->off + x->len && x->off < off + len;
	}
	pthread_mutex_unlock(&b->lock);
	return found;
}

static int behind_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		       size_t len)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);

	if (!b->lower->parallel || is_here(b, off, len)) {
		int err = drain(b);

		if (err)
			return err;
	}
	return b->lower->ops->read(b->lower, off, buf, len);
}

static int behind_write(struct r3_btrfs_dev *dev, uint64_t off,
			const void *buf, size_t len)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);
	const uint8_t *p = buf;
	int err = 0;

	while (len && !err) {
		struct buf *x = at(b, b->head);
		size_t n = r3_min(len, BUF - x->len);

		if (x->len && (!n || x->off + x->len != off)) {
			err = hand_over(b, false);
			continue;
		}
		if (!x->len)
			x->off = off;
		memcpy(x->bytes + x->len, p, n);
		x->len += n;
		p += n;
		off += n;
		len -= n;
		if (x->len >= ENOUGH)
			err = hand_over(b, true);
	}
	return err;
}

static int behind_flush(struct r3_btrfs_dev *dev)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);
	int err = drain(b);

	return err ? err : b->lower->ops->flush(b->lower);
}

static int behind_settle(struct r3_btrfs_dev *dev)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);
	int err = drain(b);

	if (!err) {
		err = r3_btrfs_dev_settle(b->lower);
		b->dev.bad = b->lower->bad;
	}
	return err;
}

static void behind_discard(struct r3_btrfs_dev *dev, uint64_t off,
			   uint64_t len)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);

	if (!drain(b) && b->lower->ops->discard)
		b->lower->ops->discard(b->lower, off, len);
}

static void behind_free(struct behind *b)
{
	while (b->spare_count)
		free(b->spare[--b->spare_count]);
	free(at(b, b->head)->bytes);
	free(b);
}

static void behind_close(struct r3_btrfs_dev *dev)
{
	struct behind *b = R3_CONTAINER(dev, struct behind, dev);

	drain(b);
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->filled);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	pthread_cond_destroy(&b->written);
	pthread_cond_destroy(&b->filled);
	pthread_mutex_destroy(&b->lock);
	b->lower->ops->close(b->lower);
	behind_free(b);
}

static const struct r3_btrfs_dev_ops behind_ops = {
	.read = behind_read,
	.write = behind_write,
	.flush = behind_flush,
	.settle = behind_settle,
	.discard = behind_discard,
	.close = behind_close,
};

int r3_btrfs_dev_behind(struct r3_btrfs_dev **dev)
{
	struct behind *b = calloc(1, sizeof(*b));
	int err = -ENOMEM;

	if (!b)
		return err;
	b->buf[0].bytes = malloc(BUF);
	if (!b->buf[0].bytes)
		goto fail;
	b->made = 1;
	b->lower = *dev;
	b->dev.ops = &behind_ops;
	b->dev.size = b->lower->size;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->filled, NULL);
	pthread_cond_init(&b->written, NULL);
	err = -pthread_create(&b->thread, NULL, write_all, b);
	if (err)
		goto fail_locks;
	*dev = &b->dev;
	return 0;

fail_locks:
	pthread_cond_destroy(&b->written);
	pthread_cond_destroy(&b->filled);
	pthread_mutex_destroy(&b->lock);
fail:
	behind_free(b);
	return err;
}
