// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - add to an eventfd that others hold, and never wait for them
 *
 * write() waits while the counter is full, unless the file is O_NONBLOCK; but
 * whoever shares the file can fill the one and take away the other between our
 * look and our write.  The kernel itself never waits when it adds: so an
 * io_uring tells the eventfd, which is registered with it, of the completion of
 * an operation that does nothing.  The ring is made before the sandbox, and
 * restricted to that (io_uring_register(2), IORING_REGISTER_RESTRICTIONS).
 *
 * (IOCB_FLAG_RESFD of the older AIO does the same without registration, but a
 * process that has used it takes some 40 ms to die: exit_aio() in fs/aio.c.)
 *
 * Where the kernel has no io_uring, or forbids it, or is one of those that wait
 * when another eventfd is registered (before 5.17), we look whether there is room
 * and write: then a peer may win that race.
 */
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring3/loop.h"

static struct {
	bool tried;
	int fd;	  /* of the ring; -1: not to be had here */
	int told; /* the eventfd that is registered; -1: none */
	uint8_t *rings;
	void *sqes;
	size_t rings_len, sqes_len;
	uint32_t *sq_tail, *cq_head, *cq_tail;
} ring = { .fd = -1, .told = -1 };

static int do_register(unsigned what, void *arg, unsigned count)
{
	return syscall(SYS_io_uring_register, ring.fd, what, arg, count) < 0 ?
		       -errno : 0;
}

/* Nothing but the operation that does nothing, and other eventfds. */
static int restrict_ring(void)
{
	struct io_uring_restriction r[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_NOP },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_EVENTFD },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_EVENTFD },
	};
	int err = do_register(IORING_REGISTER_RESTRICTIONS, r, R3_COUNT(r));

	return err ? err : do_register(IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static void *map(size_t len, off_t what)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring.fd, what);

	return p == MAP_FAILED ? NULL : p;
}

/* One entry, for ever the same: zeros are IORING_OP_NOP. */
static int map_ring(const struct io_uring_params *p)
{
	uint32_t sq = p->sq_off.array + (uint32_t)sizeof(uint32_t);
	uint32_t cq = p->cq_off.cqes +
		      p->cq_entries * (uint32_t)sizeof(struct io_uring_cqe);

	ring.rings_len = r3_max(sq, cq);
	ring.sqes_len = sizeof(struct io_uring_sqe);
	ring.rings = map(ring.rings_len, IORING_OFF_SQ_RING);
	ring.sqes = map(ring.sqes_len, IORING_OFF_SQES);
	if (!ring.rings || !ring.sqes)
		return -ENOMEM;
	ring.sq_tail = (uint32_t *)(void *)(ring.rings + p->sq_off.tail);
	ring.cq_head = (uint32_t *)(void *)(ring.rings + p->cq_off.head);
	ring.cq_tail = (uint32_t *)(void *)(ring.rings + p->cq_off.tail);
	memset(ring.sqes, 0, ring.sqes_len);
	return 0;
}

static void close_ring(void)
{
	if (ring.rings)
		munmap(ring.rings, ring.rings_len);
	if (ring.sqes)
		munmap(ring.sqes, ring.sqes_len);
	if (ring.fd >= 0)
		close(ring.fd);
	ring.rings = ring.sqes = NULL;
	ring.fd = ring.told = -1;
}

/* A child makes one of its own. */
static void forget(void)
{
	close_ring();
	ring.tried = false;
}

void r3_notify_init(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_R_DISABLED };
	static bool watched;

	if (ring.tried)
		return;
	ring.tried = true;
	ring.fd = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring.fd < 0 || !(p.features & IORING_FEAT_LINKED_FILE) ||
	    map_ring(&p) || restrict_ring())
		close_ring();
	else if (!watched)
		watched = !pthread_atfork(NULL, NULL, forget);
}

/* From now on it is @fd that is told; -1: nobody. */
static int tell(int fd)
{
	int err = 0;

	if (fd == ring.told)
		return 0;
	if (ring.told >= 0)
		do_register(IORING_UNREGISTER_EVENTFD, NULL, 0);
	ring.told = -1;
	if (fd >= 0)
		err = do_register(IORING_REGISTER_EVENTFD, &fd, 1);
	if (!err)
		ring.told = fd;
	return err;
}

static int do_nothing(void)
{
	long n;

	__atomic_store_n(ring.sq_tail, *ring.sq_tail + 1, __ATOMIC_RELEASE);
	do {
		n = syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0);
	} while (n < 0 && errno == EINTR);
	__atomic_store_n(ring.cq_head,
			 __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	return n == 1 ? 0 : n < 0 ? -errno : -EIO;
}

static int write_if_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	if (poll(&p, 1, 0) != 1)
		return 0;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int r3_notify(int fd)
{
	int err;

	r3_notify_init();
	if (ring.fd < 0)
		return write_if_room(fd);
	err = tell(fd);
	if (err == -EINVAL || err == -EBADF)
		return err;
	if (!err)
		err = do_nothing();
	if (!err)
		return 0;
	close_ring(); /* no memory for it: this one has to get through */
	return write_if_room(fd);
}

/* An eventfd is asked for 8 bytes or more; nothing else we know of refuses
 * fewer.  Files whose reads could wait don't know RWF_NOWAIT. */
static bool refuses_half(int fd)
{
	uint32_t n;
	struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EINVAL;
}

bool r3_is_eventfd(int fd)
{
	r3_notify_init();
	if (fd < 0)
		return false;
	if (ring.fd < 0)
		return refuses_half(fd);
	tell(-1); /* the number may have been another one's */
	if (tell(fd))
		return false;
	tell(-1); /* and may become one again: our caller just closes it */
	return true;
}

void r3_notify_close(int fd)
{
	if (ring.fd >= 0 && fd == ring.told)
		tell(-1);
	close(fd);
}
