// SPDX-License-Identifier: GPL-2.0-or-later
/* loop.c - the event loop: order of timers, removal while dispatching, and
 * that a poller never sleeps over work */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test.h"
#include "ring3/loop.h"

static char order[16];

static void mark(void *arg)
{
	strcat(order, arg);
}

static void timers_fire_in_order(void **state)
{
	struct r3_timer a = { 0 }, b = { 0 }, c = { 0 };
	struct r3_loop *loop;
	uint64_t start = r3_now_ns();

	(void)state;
	order[0] = 0;
	assert_int_equal(r3_loop_open(&loop), 0);
	r3_timer_set(loop, &b, 4 * R3_NS_PER_MS, mark, "b");
	r3_timer_set(loop, &a, 2 * R3_NS_PER_MS, mark, "a");
	r3_timer_set(loop, &c, 3 * R3_NS_PER_MS, mark, "c");
	r3_timer_cancel(&c);
	r3_timer_cancel(&c);
	while (strlen(order) < 2)
		assert_int_equal(r3_loop_once(loop, -1), 0);
	assert_string_equal(order, "ab");
	assert_true(r3_now_ns() - start >= 4 * R3_NS_PER_MS);
	r3_loop_close(loop);
}

struct pair {
	struct r3_loop *loop;
	struct r3_watch self, *other;
	unsigned calls;
};

static void remove_the_other(void *arg, uint32_t events)
{
	struct pair *p = arg;

	assert_true(events & EPOLLIN);
	p->calls++;
	r3_loop_unwatch(p->loop, p->other);
	r3_loop_unwatch(p->loop, p->other);
	r3_loop_unwatch(p->loop, &p->self);
}

static void a_removed_watch_is_not_called(void **state)
{
	struct pair a = { 0 }, b = { 0 };
	struct r3_loop *loop;
	int fa = eventfd(1, 0), fb = eventfd(1, 0);

	(void)state;
	assert_int_equal(r3_loop_open(&loop), 0);
	a.loop = b.loop = loop;
	a.other = &b.self;
	b.other = &a.self;
	assert_int_equal(r3_loop_watch(loop, &a.self, fa, EPOLLIN,
				       remove_the_other, &a), 0);
	assert_int_equal(r3_loop_watch(loop, &b.self, fb, EPOLLIN,
				       remove_the_other, &b), 0);
	assert_int_equal(r3_loop_once(loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(r3_loop_once(loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	r3_loop_close(loop);
	close(fa);
	close(fb);
}

struct queue {
	unsigned work, done, armed, late;
};

static unsigned poll_queue(void *arg)
{
	struct queue *q = arg;

	if (!q->work)
		return 0;
	q->work--;
	q->done++;
	return 1;
}

/* Work that comes between the last poll and the sleep. */
static bool arm_queue(void *arg)
{
	struct queue *q = arg;

	q->armed++;
	if (q->late) {
		q->late--;
		q->work++;
	}
	return q->work != 0;
}

static void work_that_comes_late_is_not_slept_over(void **state)
{
	struct queue q = { .work = 3, .late = 1 };
	struct r3_poller p = { poll_queue, arm_queue, NULL, &q, NULL };
	struct r3_loop *loop;
	uint64_t start = r3_now_ns();

	(void)state;
	assert_int_equal(r3_loop_open(&loop), 0);
	r3_loop_spin(loop, 20);
	r3_loop_add_poller(loop, &p);
	assert_int_equal(r3_loop_once(loop, 10000), 0);
	assert_int_equal(q.done, 3);
	assert_int_equal(r3_loop_once(loop, 1), 0);
	assert_int_equal(q.done, 4);
	assert_int_equal(q.armed, 2);
	assert_true(r3_now_ns() - start < 5 * R3_NS_PER_S);
	r3_loop_del_poller(loop, &p);
	q.work = 1;
	assert_int_equal(r3_loop_once(loop, 0), 0);
	assert_int_equal(q.done, 4);
	r3_loop_close(loop);
}

static void stop(void *arg)
{
	r3_loop_stop(arg, 5);
}

static void stops_with_a_code(void **state)
{
	struct r3_timer t = { 0 };
	struct r3_loop *loop;

	(void)state;
	assert_int_equal(r3_loop_open(&loop), 0);
	r3_timer_set(loop, &t, 0, stop, loop);
	assert_int_equal(r3_loop_run(loop), 5);
	r3_loop_close(loop);
}

static void draining_never_blocks(void **state)
{
	int fd = eventfd(3, EFD_CLOEXEC), pipe_fd[2]; /* a blocking one */

	(void)state;
	ROW("full, then empty");
	assert_int_equal(r3_drain(fd), 0);
	assert_int_equal(r3_drain(fd), 0);
	ROW("not for reading");
	close(fd);
	assert_int_equal(r3_drain(fd), -EBADF);
	ROW("an empty pipe, then one at its end");
	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(r3_drain(pipe_fd[0]), 0);
	close(pipe_fd[1]);
	assert_int_equal(r3_drain(pipe_fd[0]), -EPIPE);
	close(pipe_fd[0]);
}

#define FULL (UINT64_MAX - 1)

/* The fds here are as a hostile peer would leave them: blocking, full. */
static void notifying_never_blocks(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), other;
	eventfd_t n;

	(void)state;
	ROW("one by one, more than results are kept");
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(r3_notify(fd), 0);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(n, 1000);
	ROW("full");
	assert_int_equal(eventfd_write(fd, FULL), 0);
	assert_int_equal(r3_notify(fd), 0);
	assert_int_equal(r3_notify(fd), 0);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_true(n >= FULL);
	ROW("in a child");
	if (!fork())
		_exit(r3_notify(fd) ? 1 : 0);
	assert_int_equal(wait(NULL) > 0, 1);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(n, 1);
	ROW("two by turns, and a number that is used again");
	other = eventfd(0, EFD_CLOEXEC);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(r3_notify(i % 3 ? fd : other), 0);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(eventfd_read(other, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r3_notify(other), 0);
	r3_notify_close(other);
	assert_int_equal(eventfd(0, EFD_CLOEXEC), other);
	assert_int_equal(r3_notify(other), 0);
	assert_int_equal(eventfd_read(other, &n), 0);
	assert_int_equal(n, 1);
	r3_notify_close(other);
	ROW("closed, and no eventfd");
	other = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(r3_notify(other), -EINVAL);
	close(other);
	assert_int_equal(r3_notify(other), -EBADF);
	close(fd);
}

static void knows_an_eventfd(void **state)
{
	int pair[2], fds[] = {
		eventfd(0, EFD_CLOEXEC), eventfd(7, EFD_CLOEXEC),
		eventfd(7, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK),
		memfd_create("other", MFD_CLOEXEC), epoll_create1(0),
		open("/dev/null", O_RDWR), open("/tmp", O_RDONLY),
		open("/proc/self/exe", O_RDONLY), open("/", O_PATH),
	};
	eventfd_t n;

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(fds); i++)
		assert_int_equal(r3_is_eventfd(fds[i]), i < 3);
	ROW("nothing was taken, nothing added");
	assert_int_equal(eventfd_read(fds[1], &n), 0);
	assert_int_equal(n, 7);
	ROW("pipes and sockets");
	assert_int_equal(pipe(pair), 0);
	assert_false(r3_is_eventfd(pair[0]));
	assert_false(r3_is_eventfd(pair[1]));
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_false(r3_is_eventfd(pair[0]));
	close(pair[0]);
	close(pair[1]);
	for (unsigned i = 0; i < R3_COUNT(fds); i++)
		close(fds[i]);
	assert_false(r3_is_eventfd(fds[0]));
	assert_false(r3_is_eventfd(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(a_removed_watch_is_not_called),
		cmocka_unit_test(work_that_comes_late_is_not_slept_over),
		cmocka_unit_test(stops_with_a_code),
		cmocka_unit_test(draining_never_blocks),
		cmocka_unit_test(notifying_never_blocks),
		cmocka_unit_test(knows_an_eventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
