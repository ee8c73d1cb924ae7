// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nvme_uring.c - random reads of a block device through io_uring
 *
 *	nvme_uring DEVICE DEPTH SECONDS
 *
 * The kernel's NVMe driver at its best: O_DIRECT, registered file and
 * buffers, one system call for a batch, a loop that does as little as it can.
 * Prints reads per second.
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

#include "ring3/base.h"

enum { LEN = 4096, DEPTH_MAX = 256 };

static struct io_uring ring;
static uint8_t *mem;
static uint64_t rng = 88172645463325252ull, slots;

static void submit(unsigned i)
{
	struct io_uring_sqe *e = io_uring_get_sqe(&ring);

	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	io_uring_prep_read_fixed(e, 0, mem + (size_t)i * LEN, LEN,
				 rng % slots * LEN, 0);
	e->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data64(e, i);
}

static int set_up(const char *path, unsigned depth)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	struct iovec v = { .iov_len = (size_t)depth * LEN };
	uint64_t len;
	int err;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &len))
		return -errno;
	slots = len / LEN;
	if (posix_memalign((void **)&mem, LEN, v.iov_len))
		return -ENOMEM;
	memset(mem, 0, v.iov_len);
	v.iov_base = mem;
	err = io_uring_queue_init(DEPTH_MAX, &ring, 0);
	if (!err)
		err = io_uring_register_files(&ring, &fd, 1);
	return err ? err : io_uring_register_buffers(&ring, &v, 1);
}

static uint64_t run(unsigned depth, uint64_t until)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < depth; i++)
		submit(i);
	while (r3_now_ns() < until) {
		struct io_uring_cqe *e;
		unsigned head, n = 0;

		if (io_uring_submit_and_wait(&ring, 1) < 0)
			return 0;
		io_uring_for_each_cqe(&ring, head, e) {
			if (e->res != LEN)
				return 0;
			submit((unsigned)e->user_data);
			n++;
		}
		io_uring_cq_advance(&ring, n);
		done += n;
	}
	return done;
}

int main(int argc, char **argv)
{
	unsigned depth = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	uint64_t start, done, ns;
	int err;

	if (!depth || depth > DEPTH_MAX)
		return 2;
	err = set_up(argv[1], depth);
	if (err) {
		fprintf(stderr, "nvme_uring: %s: %s\n", argv[1],
			strerror(-err));
		return 1;
	}
	start = r3_now_ns();
	done = run(depth, start + strtoull(argv[3], NULL, 10) * R3_NS_PER_S);
	ns = r3_now_ns() - start;
	printf("%.0f\n", (double)done * R3_NS_PER_S / (double)ns);
	return !done;
}
