// SPDX-License-Identifier: GPL-2.0-or-later
/* guard.c - a peer truncates the memory file that we have mapped */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ring3/mem.h"

#define LEN (4 * R3_PAGE_SIZE)

static uint8_t *map(int *fd)
{
	void *p;

	*fd = memfd_create("guarded", MFD_CLOEXEC);
	assert_int_equal(ftruncate(*fd, LEN), 0);
	assert_int_equal(r3_map(*fd, 0, LEN, R3_READ | R3_WRITE, &p), 0);
	return p;
}

static void truncated(void **state)
{
	struct r3_guard a = { 0 }, b = { 0 };
	int fd_a, fd_b, wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint8_t *pa = map(&fd_a), *pb = map(&fd_b);
	uint64_t n;

	(void)state;
	signal(SIGBUS, SIG_DFL); /* cmocka catches it */
	r3_guard_add(&a, pa, LEN, wake);
	r3_guard_add(&b, pb, LEN, -1);
	memset(pa, 1, LEN);
	memset(pb, 2, LEN);
	assert_int_equal(read(wake, &n, 8), -1);
	assert_int_equal(ftruncate(fd_a, R3_PAGE_SIZE), 0);
	assert_int_equal(pa[R3_PAGE_SIZE - 1], 1);
	assert_false(a.hit);
	assert_int_equal(pa[R3_PAGE_SIZE], 0);
	assert_true(a.hit);
	pa[LEN - 1] = 7; /* no second fault */
	assert_int_equal(read(wake, &n, 8), 8);
	assert_false(b.hit);
	assert_int_equal(pb[LEN - 1], 2);
	assert_int_equal(ftruncate(fd_b, 0), 0);
	assert_int_equal(pb[0], 0);
	assert_true(b.hit);
	r3_guard_del(&b);
	r3_guard_del(&a);
	r3_guard_del(&a);
	munmap(pa, LEN);
	munmap(pb, LEN);
	close(fd_a);
	close(fd_b);
	close(wake);
}

static void outside_is_a_crash(void **state)
{
	struct r3_guard a = { 0 };
	int fd_a, fd_b, status;
	uint8_t *pa = map(&fd_a), *pb = map(&fd_b);
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		r3_guard_add(&a, pa, LEN, -1);
		if (!ftruncate(fd_b, 0))
			*(volatile uint8_t *)pb = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap(pa, LEN);
	munmap(pb, LEN);
	close(fd_a);
	close(fd_b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated),
		cmocka_unit_test(outside_is_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
