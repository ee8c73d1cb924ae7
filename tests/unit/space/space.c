// SPDX-License-Identifier: GPL-2.0-or-later
/* space.c - spaces: both sides of every boundary */
#include <sys/mman.h>

#include "test.h"
#include "ring3/space.h"

#define PAGE UINT64_C(0x1000)
#define RW   (R3_READ | R3_WRITE)

/* A back end that counts, and fails when it is told to. */
struct fake {
	int fail_map, fail_unmap;
	unsigned maps, unmaps, closes;
	struct r3_region last;
};

static int fake_map(void *ctx, const struct r3_region *reg)
{
	struct fake *f = ctx;

	f->last = *reg;
	f->maps += !f->fail_map;
	return f->fail_map;
}

static int fake_unmap(void *ctx, const struct r3_region *reg)
{
	struct fake *f = ctx;

	f->last = *reg;
	f->unmaps += !f->fail_unmap;
	return f->fail_unmap;
}

static void fake_close(void *ctx)
{
	((struct fake *)ctx)->closes++;
}

static const struct r3_space_ops fake_ops = {
	.map = fake_map, .unmap = fake_unmap, .close = fake_close,
};

static const struct r3_space_limits two_ranges = {
	.page_sizes = 0x40201000, .max_maps = 8, .range_count = 2,
	.ranges = { { 0, 0xfedfffff }, { 0xfef00000, 0x7fffffffff } },
};

static struct r3_space *new_space(struct fake *f,
				  const struct r3_space_limits *limits)
{
	struct r3_space *s;

	*f = (struct fake){ 0 };
	assert_int_equal(r3_space_new(&s, &fake_ops, f, limits), 0);
	return s;
}

static void limits(void **state)
{
	static const struct {
		const char *name;
		struct r3_space_limits in;
		int want;
		uint64_t first, last; /* of the first range, after */
	} rows[] = {
		{ "whole pages",
		  { 0x1000, 1, 1, { { 0x1000, 0x2fff } } }, 0, 0x1000, 0x2fff },
		{ "cut to whole pages",
		  { 0x1000, 1, 1, { { 0x1001, 0x2ffe } } }, -EINVAL, 0, 0 },
		{ "cut, one is left",
		  { 0x1000, 1, 1, { { 0x1001, 0x3000 } } }, 0, 0x2000, 0x2fff },
		{ "one page", { 0x1000, 1, 1, { { 0, 0xfff } } }, 0, 0, 0xfff },
		{ "less than one", { 0x1000, 1, 1, { { 0, 0xffe } } }, -EINVAL,
		  0, 0 },
		{ "all there is loses its last page",
		  { 0x1000, 1, 1, { { 0, UINT64_MAX } } }, 0, 0,
		  UINT64_MAX - 0x1000 },
		{ "backwards", { 0x1000, 1, 1, { { 0x2000, 0x1fff } } },
		  -EINVAL, 0, 0 },
		{ "not ascending",
		  { 0x1000, 1, 2, { { 0x4000, 0x5fff }, { 0, 0x1fff } } },
		  -EINVAL, 0, 0 },
		{ "touching by a byte",
		  { 0x1000, 1, 2, { { 0, 0x2000 }, { 0x2000, 0x3fff } } },
		  -EINVAL, 0, 0 },
		{ "no page size", { 0, 1, 1, { { 0, 0xffff } } }, -EINVAL, 0,
		  0 },
		{ "no mappings", { 0x1000, 0, 1, { { 0, 0xffff } } }, -EINVAL,
		  0, 0 },
		{ "no range", { 0x1000, 1, 0, { { 0, 0 } } }, -EINVAL, 0, 0 },
		{ "too many ranges", { 0x1000, 1, R3_SPACE_RANGES_MAX + 1,
				       { { 0, 0 } } }, -EINVAL, 0, 0 },
		{ "huge pages only",
		  { 0x200000, 1, 1, { { 0x1000, 0x5fffff } } }, 0, 0x200000,
		  0x5fffff },
	};
	struct fake f = { 0 };

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_space *s = NULL;

		ROW(rows[i].name);
		assert_int_equal(r3_space_new(&s, &fake_ops, &f, &rows[i].in),
				 rows[i].want);
		if (!rows[i].want) {
			assert_int_equal(r3_space_limits(s)->ranges[0].first,
					 rows[i].first);
			assert_int_equal(r3_space_limits(s)->ranges[0].last,
					 rows[i].last);
		}
		r3_space_free(s);
	}
}

static void map_rules(void **state)
{
	static const struct {
		const char *name;
		uint64_t iova, off, len;
		int prot, want;
	} rows[] = {
		{ "one page", 0x10000, 0, PAGE, RW, 0 },
		{ "two, from the second", 0x20000, PAGE, 2 * PAGE, R3_READ,
		  0 },
		{ "the same", 0x10000, 0, PAGE, RW, -EEXIST },
		{ "the page before", 0xf000, 0, PAGE, RW, 0 },
		{ "the page behind", 0x11000, 0, PAGE, RW, 0 },
		{ "around one", 0x1f000, 0, 4 * PAGE, RW, -EEXIST },
		{ "its first half", 0x1f000, 0, 2 * PAGE, RW, -EEXIST },
		{ "its second half", 0x21000, 0, 2 * PAGE, RW, -EEXIST },
		{ "address by a byte", 0x30001, 0, PAGE, RW, -EINVAL },
		{ "offset by a byte", 0x30000, 1, PAGE, RW, -EINVAL },
		{ "length by a byte", 0x30000, 0, PAGE + 1, RW, -EINVAL },
		{ "nothing", 0x30000, 0, 0, RW, -EINVAL },
		{ "no rights", 0x30000, 0, PAGE, 0, -EINVAL },
		{ "unknown rights", 0x30000, 0, PAGE, 4, -EINVAL },
		{ "the file's end", 0x30000, 3 * PAGE, PAGE, RW, 0 },
		{ "past the file's end", 0x40000, 3 * PAGE, 2 * PAGE, RW,
		  -ENXIO },
		{ "behind the file's end", 0x40000, 4 * PAGE, PAGE, RW,
		  -ENXIO },
		{ "offset wraps", 0x40000, -PAGE, 2 * PAGE, RW, -EOVERFLOW },
		{ "offset over 63 bits", 0x40000, UINT64_C(1) << 63, PAGE, RW,
		  -EOVERFLOW },
		{ "address wraps", -PAGE, 0, 2 * PAGE, RW, -EOVERFLOW },
		{ "last page of a range", 0xfedff000, 0, PAGE, RW, 0 },
		{ "first of the hole", 0xfee00000, 0, PAGE, RW, -ERANGE },
		{ "last of the hole", 0xfeeff000, 0, PAGE, RW, -ERANGE },
		{ "over the hole's edge", 0xfeeff000, 0, 2 * PAGE, RW,
		  -ERANGE },
		{ "first behind the hole", 0xfef00000, 0, PAGE, RW, 0 },
		{ "last of all", 0x7ffffff000, 0, PAGE, RW, 0 },
		{ "one too many", 0x50000, 0, PAGE, RW, -ENOSPC },
	};
	struct fake f;
	struct r3_space *s = new_space(&f, &two_ranges);
	int fd = r3_memfd("m", 4 * PAGE);
	unsigned mapped = 0;

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_space_mem m = { .fd = fd, .off = rows[i].off,
					  .len = rows[i].len, .tag = i };

		ROW(rows[i].name);
		assert_int_equal(r3_space_map(s, rows[i].iova, &m,
					      rows[i].prot), rows[i].want);
		mapped += !rows[i].want;
		assert_int_equal(f.maps, mapped);
		assert_int_equal(r3_space_count(s), mapped);
		if (rows[i].want)
			continue;
		assert_int_equal(f.last.fd, fd);
		assert_int_equal(f.last.off, rows[i].off);
		assert_int_equal(f.last.prot, rows[i].prot);
		assert_int_equal(r3_space_find(s, rows[i].iova, rows[i].len,
					       rows[i].prot)->tag, i);
	}
	assert_int_equal(mapped, 8);
	close(fd);
	r3_space_free(s);
	assert_int_equal(f.unmaps, 8);
	assert_int_equal(f.closes, 1);
}

static void bad_files(void **state)
{
	struct r3_space_mem m = { .fd = -1, .len = PAGE };
	struct fake f;
	struct r3_space *s = new_space(&f, &two_ranges);
	char host;

	(void)state;
	assert_int_equal(r3_space_map(s, 0x1000, &m, RW), -EINVAL);
	m.fd = 9999;
	assert_int_equal(r3_space_map(s, 0x1000, &m, RW), -EBADF);
	m.fd = -1;
	m.host = &host;
	assert_int_equal(r3_space_map(s, 0x1000, &m, RW), 0);
	r3_space_free(s);
}

static void unmap_rules(void **state)
{
	static const struct {
		const char *name;
		uint64_t iova, len;
		int want;
	} rows[] = {
		{ "its first page", 0x10000, PAGE, -ENOENT },
		{ "its last page", 0x11000, PAGE, -ENOENT },
		{ "and one more", 0x10000, 3 * PAGE, -ENOENT },
		{ "two mappings", 0x10000, 4 * PAGE, -ENOENT },
		{ "none", 0x50000, PAGE, -ENOENT },
		{ "nothing", 0x10000, 0, -ENOENT },
		{ "length wraps", 0x10000, UINT64_MAX, -ENOENT },
		{ "exactly", 0x10000, 2 * PAGE, 0 },
		{ "again", 0x10000, 2 * PAGE, -ENOENT },
		{ "the neighbour is still there", 0x12000, 2 * PAGE, 0 },
	};
	struct fake f;
	struct r3_space *s = new_space(&f, &two_ranges);
	struct r3_space_mem m = { .fd = r3_memfd("m", 2 * PAGE),
				  .len = 2 * PAGE };

	(void)state;
	assert_int_equal(r3_space_map(s, 0x10000, &m, RW), 0);
	assert_int_equal(r3_space_map(s, 0x12000, &m, RW), 0);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		assert_int_equal(r3_space_unmap(s, rows[i].iova, rows[i].len),
				 rows[i].want);
	}
	assert_int_equal(f.unmaps, 2);
	close(m.fd);
	r3_space_free(s);
}

static void back_end_errors(void **state)
{
	struct fake f;
	struct r3_space *s = new_space(&f, &two_ranges);
	struct r3_space_mem m = { .fd = r3_memfd("m", PAGE), .len = PAGE };
	uint64_t iova = 77;

	(void)state;
	ROW("a map that failed has left nothing");
	f.fail_map = -ENOMEM;
	assert_int_equal(r3_space_map(s, 0x1000, &m, RW), -ENOMEM);
	assert_int_equal(r3_space_map_any(s, &m, RW, 0, UINT64_MAX, &iova),
			 -ENOMEM);
	assert_int_equal(iova, 77);
	assert_int_equal(r3_space_count(s), 0);
	f.fail_map = 0;
	assert_int_equal(r3_space_map(s, 0x1000, &m, RW), 0);
	ROW("an unmap that failed has taken nothing");
	f.fail_unmap = -EIO;
	assert_int_equal(r3_space_unmap(s, 0x1000, PAGE), -EIO);
	assert_non_null(r3_space_find(s, 0x1000, PAGE, RW));
	ROW("all: the table is empty whatever happened");
	assert_int_equal(r3_space_unmap_all(s), -EIO);
	assert_int_equal(r3_space_count(s), 0);
	close(m.fd);
	r3_space_free(s);
}

static void find_rules(void **state)
{
	static const struct {
		const char *name;
		uint64_t iova, len;
		int prot;
		bool want;
	} rows[] = {
		{ "all of it", 0x10000, 2 * PAGE, R3_READ, true },
		{ "its first byte", 0x10000, 1, R3_READ, true },
		{ "its last byte", 0x11fff, 1, R3_READ, true },
		{ "one past", 0x12000, 1, R3_READ, false },
		{ "one before", 0xffff, 1, R3_READ, false },
		{ "over its end", 0x11fff, 2, R3_READ, false },
		{ "against its rights", 0x10000, 1, R3_WRITE, false },
		{ "with one right too many", 0x10000, 1, RW, false },
		{ "length wraps", 0x10001, UINT64_MAX, R3_READ, false },
		{ "address at the top", UINT64_MAX, 1, R3_READ, false },
	};
	struct fake f;
	struct r3_space *s = new_space(&f, &two_ranges);
	struct r3_space_mem m = { .fd = r3_memfd("m", 2 * PAGE),
				  .len = 2 * PAGE };

	(void)state;
	assert_int_equal(r3_space_map(s, 0x10000, &m, R3_READ), 0);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		assert_int_equal(r3_space_find(s, rows[i].iova, rows[i].len,
					       rows[i].prot) != NULL,
				 rows[i].want);
	}
	assert_null(r3_space_at(s, 1));
	close(m.fd);
	r3_space_free(s);
}

/* In order: each finds what those before have left. */
static void allocation(void **state)
{
	static const struct {
		const char *name;
		uint64_t pages, align, last;
		int want;
		uint64_t iova;
	} rows[] = {
		{ "never at 0", 1, 0, UINT64_MAX, 0, 0x1000 },
		{ "behind the first", 2, 0, UINT64_MAX, 0, 0x2000 },
		{ "aligned to 64 KiB", 1, 0x10000, UINT64_MAX, 0, 0x10000 },
		{ "the gap before it", 4, 0, UINT64_MAX, 0, 0x4000 },
		{ "fills the rest of the gap", 8, 0, UINT64_MAX, 0, 0x8000 },
		{ "no room in the first range", 16, 0, UINT64_MAX, 0,
		  0x100000 },
		{ "the rest of the first range", 15, 0, UINT64_MAX, 0,
		  0x11000 },
		{ "below the first range's end", 1, 0, 0xfffff, -ENOSPC, 0 },
		{ "up to its very last byte", 1, 0, 0x110fff, 0, 0x110000 },
		{ "one byte less", 1, 0, 0x111ffe, -ENOSPC, 0 },
		{ "more than there is", 1000, 0, UINT64_MAX, -ENOSPC, 0 },
		{ "alignment that is none", 1, 0x3000, UINT64_MAX, -EINVAL,
		  0 },
		{ "alignment over all", 1, UINT64_C(1) << 63, UINT64_MAX,
		  -ENOSPC, 0 },
	};
	static const struct r3_space_limits small = {
		.page_sizes = 0x1000, .max_maps = 64, .range_count = 2,
		.ranges = { { 0, 0x1ffff }, { 0x100000, 0x1fffff } },
	};
	struct fake f;
	struct r3_space *s = new_space(&f, &small);
	int fd = r3_memfd("m", 1000 * PAGE);

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_space_mem m = { .fd = fd,
					  .len = rows[i].pages * PAGE };
		uint64_t iova = 0;

		ROW(rows[i].name);
		assert_int_equal(r3_space_map_any(s, &m, RW, rows[i].align,
						  rows[i].last, &iova),
				 rows[i].want);
		assert_int_equal(iova, rows[i].iova);
	}
	close(fd);
	r3_space_free(s);
}

static void local(void **state)
{
	struct r3_space_local_opts opts = { .max_maps = 2 };
	struct r3_space_mem m = { .fd = r3_memfd("m", 2 * PAGE), .off = PAGE,
				  .len = PAGE };
	const struct r3_region *reg;
	int plain = memfd_create("plain", MFD_CLOEXEC);
	struct r3_space *s;
	uint8_t *mem;
	void *p;

	(void)state;
	assert_int_equal(r3_map(m.fd, 0, 2 * PAGE, RW, &p), 0);
	mem = p;
	mem[PAGE + 7] = 42;
	assert_int_equal(r3_space_open_local(&s, &opts), 0);
	ROW("seen through the space");
	assert_int_equal(r3_space_map(s, 0x7000, &m, R3_READ), 0);
	close(m.fd);
	reg = r3_space_find(s, 0x7007, 1, R3_READ);
	assert_non_null(reg);
	assert_int_equal(reg->host[7], 42);
	ROW("the caller's own view is taken");
	m.fd = -1;
	m.host = mem;
	assert_int_equal(r3_space_map(s, 0x9000, &m, RW), 0);
	assert_ptr_equal(r3_space_find(s, 0x9000, 1, RW)->host, mem);
	assert_int_equal(r3_space_unmap(s, 0x9000, PAGE), 0);
	assert_int_equal(mem[PAGE + 7], 42);
	ROW("a file that could shrink");
	assert_int_equal(ftruncate(plain, PAGE), 0);
	m = (struct r3_space_mem){ .fd = plain, .len = PAGE };
	assert_int_equal(r3_space_map(s, 0xb000, &m, RW), -EPERM);
	r3_space_free(s);
	opts.allow_unsealed = true;
	assert_int_equal(r3_space_open_local(&s, &opts), 0);
	assert_int_equal(r3_space_map(s, 0xb000, &m, RW), 0);
	r3_space_free(s);
	close(plain);
	r3_unmap(p, 2 * PAGE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits),
		cmocka_unit_test(map_rules),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(unmap_rules),
		cmocka_unit_test(back_end_errors),
		cmocka_unit_test(find_rules),
		cmocka_unit_test(allocation),
		cmocka_unit_test(local),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
