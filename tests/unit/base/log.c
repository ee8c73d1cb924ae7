// SPDX-License-Identifier: GPL-2.0-or-later
/* log.c - a log line stays one line, whatever is in it */
#include <sys/mman.h>

#include "test.h"
#include "ring3/log.h"

static size_t logged(char *out, size_t room, enum r3_level level,
		     const char *text)
{
	int saved = dup(2), fd = memfd_create("stderr", 0);
	ssize_t n;

	dup2(fd, 2);
	r3_log(level, "part", "x", "%s", text);
	dup2(saved, 2);
	n = pread(fd, out, room - 1, 0);
	assert_true(n >= 0);
	out[n] = 0;
	close(saved);
	close(fd);
	return (size_t)n;
}

static void stays_one_line(void **state)
{
	char out[4096], big[3000];
	size_t n;

	(void)state;
	n = logged(out, sizeof(out), R3_WARN, "two\nlines\x1b[31m");
	assert_non_null(strstr(out, " W part[x] two?lines?[31m\n"));
	assert_ptr_equal(strchr(out, '\n'), out + n - 1);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = 0;
	n = logged(out, sizeof(out), R3_ERROR, big);
	assert_true(n <= R3_LOG_LINE_MAX);
	assert_int_equal(out[n - 1], '\n');
	assert_int_equal(logged(out, sizeof(out), R3_DEBUG, "quiet"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stays_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
