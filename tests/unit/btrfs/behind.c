// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * behind.c - writing done by a thread: the device below gets every byte, in
 * order where that matters, before a flush of it; readers see what was written;
 * a failure is told and stays
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring3/btrfs.h"

enum { SIZE = 48 << 20, MIB = 1 << 20 };

/* The device below: what came, and a gate at which its writes wait. */
struct below {
	struct r3_btrfs_dev dev;
	uint8_t *bytes;
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool shut, closed;
	uint64_t bad; /* a write of this byte fails; UINT64_MAX: none */
	unsigned writes, flushes;
	int late; /* what there is to tell only in the end */
};

static struct below *of(struct r3_btrfs_dev *dev)
{
	return R3_CONTAINER(dev, struct below, dev);
}

static int below_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		      size_t len)
{
	struct below *b = of(dev);

	pthread_mutex_lock(&b->lock);
	memcpy(buf, b->bytes + off, len);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

static int below_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		       size_t len)
{
	struct below *b = of(dev);
	int err = 0;

	pthread_mutex_lock(&b->lock);
	while (b->shut)
		pthread_cond_wait(&b->opened, &b->lock);
	b->writes++;
	if (off <= b->bad && b->bad < off + len) {
		err = dev->bad.err = -EIO;
		dev->bad.off = off;
	} else
		memcpy(b->bytes + off, buf, len);
	pthread_mutex_unlock(&b->lock);
	return err;
}

static int below_flush(struct r3_btrfs_dev *dev)
{
	of(dev)->flushes++;
	return 0;
}

static int below_settle(struct r3_btrfs_dev *dev)
{
	return of(dev)->late;
}

static void below_close(struct r3_btrfs_dev *dev)
{
	of(dev)->closed = true;
}

static const struct r3_btrfs_dev_ops below_ops = {
	.read = below_read, .write = below_write, .flush = below_flush,
	.close = below_close, .settle = below_settle,
};

static struct r3_btrfs_dev *begin(struct below *b)
{
	struct r3_btrfs_dev *dev = &b->dev;

	memset(b, 0, sizeof(*b));
	b->dev.ops = &below_ops;
	b->dev.size = SIZE;
	b->dev.parallel = true;
	b->bytes = calloc(1, SIZE);
	b->bad = UINT64_MAX;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->opened, NULL);
	assert_non_null(b->bytes);
	assert_int_equal(r3_btrfs_dev_behind(&dev), 0);
	assert_ptr_not_equal(dev, &b->dev);
	assert_int_equal(dev->size, SIZE);
	return dev;
}

static void end(struct below *b, struct r3_btrfs_dev *dev)
{
	r3_btrfs_dev_close(dev);
	assert_true(b->closed);
	pthread_cond_destroy(&b->opened);
	pthread_mutex_destroy(&b->lock);
	free(b->bytes);
}

static void gate(struct below *b, bool shut)
{
	pthread_mutex_lock(&b->lock);
	b->shut = shut;
	pthread_cond_broadcast(&b->opened);
	pthread_mutex_unlock(&b->lock);
}

static int put(struct r3_btrfs_dev *dev, uint64_t off, int byte, size_t len)
{
	uint8_t *p = malloc(len);
	int err;

	memset(p, byte, len);
	err = dev->ops->write(dev, off, p, len);
	memset(p, 0xee, len); /* it was copied */
	free(p);
	return err;
}

static int get(struct r3_btrfs_dev *dev, uint64_t off)
{
	uint8_t byte;

	assert_int_equal(dev->ops->read(dev, off, &byte, 1), 0);
	return byte;
}

/* The last of several writes to a place is what counts, wherever the others
 * were on their way: the same writes, done at once, are the judge. */
static void same_bytes(void **state)
{
	uint8_t *want = calloc(1, SIZE);
	struct r3_btrfs_dev *dev;
	unsigned dice = 1;
	uint64_t at = 0;
	struct below b;

	(void)state;
	dev = begin(&b);
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = 1 + (dice >> 8) % (i % 50 ? 40000 : 3 * MIB);

		dice = dice * 1664525 + 1013904223;
		if (dice >> 16 & 1) /* or it goes on from there */
			at = (dice >> 8) % (SIZE / 4);
		if (at + len > SIZE)
			at = 0;
		memset(want + at, (int)(i & 0xff), len);
		assert_int_equal(put(dev, at, (int)(i & 0xff), len), 0);
		at += len;
		if (i % 7 == 0)
			assert_int_equal(get(dev, at - 1), want[at - 1]);
		if (i % 500 == 0) {
			assert_int_equal(dev->ops->flush(dev), 0);
			assert_memory_equal(b.bytes, want, SIZE);
		}
	}
	assert_int_equal(dev->ops->flush(dev), 0);
	assert_memory_equal(b.bytes, want, SIZE);
	assert_int_equal(b.flushes, 7);
	end(&b, dev);
	free(want);
}

/* Writes that follow each other reach the device as one. */
static void joined(void **state)
{
	struct r3_btrfs_dev *dev;
	struct below b;

	(void)state;
	dev = begin(&b);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(put(dev, i * 4096, 1, 4096), 0);
	assert_int_equal(dev->ops->flush(dev), 0);
	assert_int_equal(b.writes, 1);
	end(&b, dev);
}

/* A reader does not wait for what is elsewhere, and gets what is on its way. */
static void readers(void **state)
{
	struct r3_btrfs_dev *dev;
	struct below b;

	(void)state;
	dev = begin(&b);
	b.bytes[5 * MIB] = 9;
	gate(&b, true);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(put(dev, i * MIB, 1, MIB), 0);
	assert_int_equal(get(dev, 5 * MIB), 9);
	assert_int_equal(get(dev, 3 * MIB), 0);
	gate(&b, false);
	assert_int_equal(get(dev, 3 * MIB - 1), 1);
	assert_int_equal(put(dev, 7, 2, 1), 0);
	assert_int_equal(get(dev, 7), 2);
	assert_int_equal(get(dev, 8), 1);
	end(&b, dev);
}

/* What was written is below when the device is closed, flush or not. */
static void closed(void **state)
{
	struct r3_btrfs_dev *dev;
	struct below b;
	uint8_t *bytes;

	(void)state;
	dev = begin(&b);
	bytes = b.bytes;
	assert_int_equal(put(dev, 100, 3, 10), 0);
	r3_btrfs_dev_close(dev);
	assert_true(b.closed);
	assert_int_equal(bytes[100], 3);
	assert_int_equal(bytes[109], 3);
	free(bytes);
}

/* No flush after a failed write succeeds, so no super block follows it. */
static void fails(void **state)
{
	struct r3_btrfs_dev *dev;
	struct below b;
	uint8_t byte;

	(void)state;
	dev = begin(&b);
	b.bad = 4096;
	assert_int_equal(put(dev, 4096, 1, 4096), 0);
	assert_int_equal(dev->ops->flush(dev), -EIO);
	assert_int_equal(b.flushes, 0);
	b.bad = UINT64_MAX;
	assert_int_equal(put(dev, 0, 1, 2 * MIB), -EIO);
	assert_int_equal(dev->ops->flush(dev), -EIO);
	assert_int_equal(b.flushes, 0);
	/* what is not on its way can be read still */
	assert_int_equal(dev->ops->read(dev, 8 * MIB, &byte, 1), 0);
	end(&b, dev);
}

/* A write without a flush behind it is told of, and where it was; the first one,
 * for after it nothing is written. */
static void settles(void **state)
{
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;
	struct below b;

	(void)state;
	dev = begin(&b);
	assert_int_equal(put(dev, 4096, 1, 4096), 0);
	assert_int_equal(r3_btrfs_dev_settle(dev), 0);
	assert_int_equal(b.bytes[8191], 1);
	assert_int_equal(dev->bad.err, 0);
	b.late = -ENOSPC;
	assert_int_equal(r3_btrfs_dev_settle(dev), -ENOSPC);
	b.late = 0;
	b.bad = 7 * MIB + 1;
	assert_int_equal(put(dev, 7 * MIB, 1, 4096), 0);
	put(dev, 9 * MIB, 1, 4096); /* it may hear of it */
	assert_int_equal(r3_btrfs_dev_settle(dev), -EIO);
	assert_int_equal(dev->bad.err, -EIO);
	assert_int_equal(dev->bad.off, 7 * MIB);
	r3_btrfs_dev_write_why(dev, -EIO, &why);
	assert_string_equal(why.text,
			    "writing at byte 7340032: Input/output error");
	r3_btrfs_dev_write_why(dev, -ENOSPC, &why);
	assert_string_equal(why.text,
			    "writing: no space left where the image lies");
	end(&b, dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes),
		cmocka_unit_test(joined),
		cmocka_unit_test(readers),
		cmocka_unit_test(closed),
		cmocka_unit_test(fails),
		cmocka_unit_test(settles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
