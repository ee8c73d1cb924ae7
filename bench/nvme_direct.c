// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nvme_direct.c - random reads through our NVMe driver's API, on VFIO
 *
 *	nvme_direct BDF poll|irq DEPTH SECONDS
 *
 * One queue; prints reads per second.  $PLAIN: without shadow doorbells, where
 * the controller has them.  The loop does as little as it can and
 * does not look at the data: bench/nvme_uring.c is its like on the kernel.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nvme.h"

enum { LEN = 4096, DEPTH_MAX = 256, START_MS = 30000 };

static struct {
	struct nvme_ctrl ctrl;
	struct nvme_io io[DEPTH_MAX];
	struct r3_vq_seg seg[DEPTH_MAX];
	uint64_t rng, done, slots;
	bool failed, stop;
} b = { .rng = 88172645463325252ull };

static void submit(struct nvme_io *io, uint64_t now)
{
	b.rng ^= b.rng << 13;
	b.rng ^= b.rng >> 7;
	b.rng ^= b.rng << 17;
	io->lba = b.rng % b.slots * (LEN / b.ctrl.ns.block_size);
	nvme_submit(&b.ctrl, 0, io, now);
}

static void done(struct nvme_io *io, int err)
{
	b.done++;
	if (err)
		b.failed = true;
	if (!b.stop)
		submit(io, r3_now_ns());
}

static int open_all(const char *bdf, bool irq)
{
	struct nvme_conf conf = { .name = bdf, .queues = 1, .queue_size = 256,
				  .interrupts = irq,
				  .doorbell_buffer = !getenv("PLAIN"),
				  .timeout_ms = 10000 };
	static struct r3_vfio_fds fds;
	struct r3_device *dev;
	char why[256];
	int err = r3_vfio_open(bdf, &fds, why, sizeof(why));

	if (err) {
		fprintf(stderr, "%s\n", why);
		return err;
	}
	err = r3_device_open_vfio(&dev, &fds, bdf);
	if (!err)
		err = nvme_ctrl_init(&b.ctrl, &conf);
	if (!err)
		err = nvme_ctrl_attach(&b.ctrl, dev, r3_now_ns());
	return err ? err : nvme_ctrl_wait_ready(&b.ctrl, START_MS);
}

static int make_buffers(unsigned depth)
{
	size_t len = (size_t)depth * LEN;
	int fd = r3_memfd("bench", len), err;
	uint64_t iova = 0x100000000;
	void *mem;

	if (fd < 0)
		return fd;
	err = r3_map(fd, 0, len, R3_READ | R3_WRITE, &mem);
	if (!err)
		err = nvme_ctrl_map(&b.ctrl, &iova, len, fd, 0,
				    R3_READ | R3_WRITE, mem);
	for (unsigned i = 0; i < depth && !err; i++) {
		b.seg[i] = (struct r3_vq_seg){ (uint8_t *)mem + i * LEN,
					       iova + i * LEN, LEN };
		b.io[i] = (struct nvme_io){
			.op = NVME_READ, .blocks = LEN / b.ctrl.ns.block_size,
			.seg = &b.seg[i], .seg_count = 1, .done = done };
	}
	return err;
}

static void wait_irq(void)
{
	struct pollfd p = { .fd = b.ctrl.irq_fd, .events = POLLIN };
	eventfd_t n;

	if (nvme_ctrl_arm(&b.ctrl) || poll(&p, 1, 1000) <= 0)
		return;
	eventfd_read(b.ctrl.irq_fd, &n);
}

static void run(unsigned depth, uint64_t until, bool irq)
{
	uint64_t now = r3_now_ns();

	for (unsigned i = 0; i < depth; i++)
		submit(&b.io[i], now);
	nvme_kick(&b.ctrl, 0);
	while (now < until && !b.failed) {
		if (!nvme_ctrl_poll(&b.ctrl, now) && irq)
			wait_irq();
		nvme_kick(&b.ctrl, 0);
		now = r3_now_ns();
	}
}

int main(int argc, char **argv)
{
	unsigned depth = argc == 5 ? (unsigned)atoi(argv[3]) : 0;
	bool irq = argc == 5 && !strcmp(argv[2], "irq");
	uint64_t start, ns;
	int err;

	if (!depth || depth > DEPTH_MAX)
		return 2;
	err = open_all(argv[1], irq);
	if (!err) {
		b.slots = b.ctrl.ns.blocks * b.ctrl.ns.block_size / LEN;
		err = make_buffers(depth);
	}
	if (err) {
		fprintf(stderr, "nvme_direct: %s\n", strerror(-err));
		return 1;
	}
	start = r3_now_ns();
	ns = strtoull(argv[4], NULL, 10) * R3_NS_PER_S;
	run(depth, start + ns, irq);
	ns = r3_now_ns() - start;
	printf("%.0f\n", (double)b.done * R3_NS_PER_S / (double)ns);
	b.stop = true;
	while (nvme_in_flight(&b.ctrl, 1) && !b.failed)
		nvme_ctrl_poll(&b.ctrl, r3_now_ns());
	nvme_ctrl_fini(&b.ctrl);
	return b.failed;
}
