// SPDX-License-Identifier: GPL-2.0-or-later
/* regions.c - tables of regions, memory files */
#include <fcntl.h>
#include <sys/mman.h>

#include "test.h"
#include "ring3/mem.h"

static struct r3_region at(uint64_t addr, uint64_t len, int prot)
{
	return (struct r3_region){
		.addr = addr, .len = len, .fd = -1, .prot = prot
	};
}

static void adds_and_refuses(void **state)
{
	static const struct {
		const char *name;
		uint64_t addr, len;
		int want;
	} rows[] = {
		{ "first", 0x10000, 0x1000, 0 },
		{ "touching above", 0x11000, 0x1000, 0 },
		{ "touching below", 0xf000, 0x1000, 0 },
		{ "the same again", 0x10000, 0x1000, -EEXIST },
		{ "last byte overlaps", 0xe001, 0x1000, -EEXIST },
		{ "first byte overlaps", 0x11fff, 0x1000, -EEXIST },
		{ "covers all", 0, 0x100000, -EEXIST },
		{ "inside", 0x10800, 1, -EEXIST },
		{ "empty", 0x50000, 0, -EINVAL },
		{ "wraps to 0", UINT64_MAX - 0xfff, 0x1000, -EINVAL },
		{ "wraps round", UINT64_MAX - 0xfff, 0x2000, -EINVAL },
		{ "highest", UINT64_MAX - 0x1fff, 0x1000, 0 },
		{ "table full", 0, 0x1000, -ENOSPC },
	};
	struct r3_regions r;

	(void)state;
	assert_int_equal(r3_regions_init(&r, 4), 0);
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_region reg = at(rows[i].addr, rows[i].len, R3_READ);

		ROW(rows[i].name);
		assert_int_equal(r3_regions_add(&r, &reg, NULL), rows[i].want);
	}
	for (unsigned i = 1; i < r.count; i++)
		assert_true(r.v[i - 1].addr < r.v[i].addr);
	r3_regions_fini(&r);
}

static void finds_whole_ranges_only(void **state)
{
	static const struct {
		const char *name;
		uint64_t addr, len;
		int prot;
		bool found;
	} rows[] = {
		{ "all of it", 0x1000, 0x1000, R3_READ | R3_WRITE, true },
		{ "last byte", 0x1fff, 1, R3_WRITE, true },
		{ "nothing, inside", 0x1fff, 0, R3_WRITE, true },
		{ "one byte past the end", 0x1fff, 2, R3_READ, false },
		{ "just past", 0x2000, 1, R3_READ, false },
		{ "just before", 0xfff, 1, R3_READ, false },
		{ "starts before", 0xfff, 2, R3_READ, false },
		{ "length wraps", 0x1800, UINT64_MAX, R3_READ, false },
		{ "spans two neighbours", 0x4800, 0x1000, R3_READ, false },
		{ "read-only, read", 0x4000, 0x10, R3_READ, true },
		{ "read-only, write", 0x4000, 0x10, R3_WRITE, false },
		{ "far above", UINT64_MAX, 1, R3_READ, false },
	};
	struct r3_region a = at(0x1000, 0x1000, R3_READ | R3_WRITE);
	struct r3_region b = at(0x4000, 0x1000, R3_READ);
	struct r3_region c = at(0x5000, 0x1000, R3_READ);
	struct r3_regions r;

	(void)state;
	assert_int_equal(r3_regions_init(&r, 4), 0);
	assert_null(r3_regions_find(&r, 0, 0, 0));
	assert_int_equal(r3_regions_add(&r, &c, NULL), 0);
	assert_int_equal(r3_regions_add(&r, &a, NULL), 0);
	assert_int_equal(r3_regions_add(&r, &b, NULL), 0);
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		assert_int_equal(!!r3_regions_find(&r, rows[i].addr,
						   rows[i].len, rows[i].prot),
				 rows[i].found);
	}
	r3_regions_del(&r, 0);
	assert_null(r3_regions_find(&r, 0x1000, 1, R3_READ));
	assert_non_null(r3_regions_find(&r, 0x4000, 1, R3_READ));
	r3_regions_fini(&r);
}

static void memory_files_keep_their_size(void **state)
{
	int fd = r3_memfd("test", 5000), plain;
	void *p;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(r3_memfd_check(fd, 0, 8192), 0);
	assert_int_equal(r3_memfd_check(fd, 4096, 4097), -ERANGE);
	assert_int_equal(r3_memfd_check(fd, UINT64_MAX, 2), -ERANGE);
	assert_int_equal(r3_map(fd, 0, 8192, R3_READ | R3_WRITE, &p), 0);
	memset(p, 1, 8192);
	r3_unmap(p, 8192);
	assert_int_equal(r3_map(fd, 1, 4096, R3_READ, &p), -EINVAL);
	assert_int_equal(r3_map(fd, 0, 0, R3_READ, &p), -EINVAL);
	close(fd);
	assert_int_equal(r3_memfd("empty", 0), -EINVAL);
	plain = memfd_create("plain", MFD_CLOEXEC);
	assert_int_equal(ftruncate(plain, 4096), 0);
	assert_int_equal(r3_memfd_check(plain, 0, 4096), -EPERM);
	close(plain);
}

static void only_memory_is_memory(void **state)
{
	static const struct {
		const char *path;
		bool is;
	} rows[] = {
		{ "/dev/shm", true },	{ "/proc/version", false },
		{ "/dev/zero", false }, { "/proc/self/exe", false },
	};
	int fd = memfd_create("sealed later", MFD_CLOEXEC);

	(void)state;
	assert_true(r3_is_memory(fd));
	close(fd);
	assert_false(r3_is_memory(fd));
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].path);
		fd = open(rows[i].path, O_RDWR | O_TMPFILE, 0600);
		if (fd < 0)
			fd = open(rows[i].path, O_RDONLY);
		if (fd < 0)
			continue; /* not on this machine */
		assert_int_equal(r3_is_memory(fd), rows[i].is);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_refuses),
		cmocka_unit_test(finds_whole_ranges_only),
		cmocka_unit_test(memory_files_keep_their_size),
		cmocka_unit_test(only_memory_is_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
