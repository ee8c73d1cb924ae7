// SPDX-License-Identifier: GPL-2.0-or-later
/* open.c - listening at a path, and disks that only one may write */
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "ring3/open.h"
#include "test.h"

static char folder[] = "/tmp/r3open.XXXXXX";

static const char *at(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make(const char *name)
{
	int fd = open(at(name), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
}

/* In the folder. */
static unsigned entries(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += *e->d_name != '.';
	closedir(d);
	return n;
}

static void listening(void **state)
{
	struct stat st;
	char far[200];
	int fd, again;

	(void)state;
	ROW("a free path");
	fd = r3_unix_listen(at("s"), 0600, 4);
	assert_true(fd >= 0);
	assert_int_equal(stat(at("s"), &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(entries(), 1);
	ROW("somebody listens there");
	assert_int_equal(r3_unix_listen(at("s"), 0777, 4), -EADDRINUSE);
	ROW("a socket left behind");
	close(fd);
	again = r3_unix_listen(at("s"), 0777, 4);
	assert_true(again >= 0);
	close(again);
	ROW("an ordinary file stays as it is");
	make("file");
	assert_int_equal(r3_unix_listen(at("file"), 0777, 4), -EADDRINUSE);
	assert_int_equal(stat(at("file"), &st), 0);
	assert_int_equal(st.st_size, 8);
	ROW("a link stays as it is");
	assert_int_equal(symlink("s", at("link")), 0);
	assert_int_equal(r3_unix_listen(at("link"), 0777, 4), -EADDRINUSE);
	ROW("no such folder");
	assert_int_equal(r3_unix_listen(at("no/s"), 0777, 4), -ENOENT);
	ROW("107 bytes fit, 108 don't");
	snprintf(far, sizeof(far), "%s/%0*d", folder,
		 106 - (int)strlen(folder), 0);
	fd = r3_unix_listen(far, 0777, 4);
	assert_true(fd >= 0);
	close(fd);
	unlink(far);
	memset(far, 'a', sizeof(far));
	far[108] = 0;
	assert_int_equal(r3_unix_listen(far, 0777, 4), -ENAMETOOLONG);
	assert_int_equal(r3_unix_connect(far), -ENAMETOOLONG);
}

static void disks(void **state)
{
	int fd, other, third;

	(void)state;
	make("disk");
	ROW("one writes");
	fd = r3_open_disk(at("disk"), false);
	assert_true(fd >= 0);
	ROW("nobody else writes or reads");
	assert_int_equal(r3_open_disk(at("disk"), false), -EBUSY);
	assert_int_equal(r3_open_disk(at("disk"), true), -EBUSY);
	ROW("a duplicate holds it");
	other = dup(fd);
	close(fd);
	assert_int_equal(r3_open_disk(at("disk"), false), -EBUSY);
	close(other);
	ROW("several read, then nobody writes");
	fd = r3_open_disk(at("disk"), true);
	other = r3_open_disk(at("disk"), true);
	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(r3_open_disk(at("disk"), false), -EBUSY);
	close(fd);
	close(other);
	ROW("free again");
	third = r3_open_disk(at("disk"), false);
	assert_true(third >= 0);
	close(third);
	assert_int_equal(r3_open_disk(at("none"), false), -ENOENT);
}

static int remove_all(void **state)
{
	static const char *const names[] = { "s", "file", "link", "disk" };

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(names); i++)
		unlink(at(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listening),
		cmocka_unit_test(disks),
	};

	if (!mkdtemp(folder))
		return 1;
	return cmocka_run_group_tests(tests, NULL, remove_all);
}
