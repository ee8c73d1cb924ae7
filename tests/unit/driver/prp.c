// SPDX-License-Identifier: GPL-2.0-or-later
/* prp.c - PRP entries, in tables of rows; expected values from NVMe 1.4, 4.3 */
#include "test.h"
#include "nvme_prp.h"

#define LIST 0x7000000u /* device address of the list's memory */
#define K    1024u
#define DESCRIBED_MAX 8

struct row {
	const char *name;
	struct r3_vq_seg seg[6];	 /* ended by len 0 and iova 0 */
	uint64_t off, max;
	uint32_t block;
	unsigned list_at, list_count; /* entries before LIST's page end */
	uint64_t bytes, prp1, prp2;
	uint64_t list[DESCRIBED_MAX]; /* as they stand in memory, 0 ends */
};

static const struct row rows[] = {
	{ "one whole page", { { 0, 0x1000, 4 * K } }, 0, 4 * K, 512, 0, 64,
	  4 * K, 0x1000, 0, { 0 } },
	{ "one sector inside a page", { { 0, 0x1200, 512 } }, 0, 512, 512, 0,
	  64, 512, 0x1200, 0, { 0 } },
	{ "offset in the first page, ends with it", { { 0, 0x1e00, 512 } }, 0,
	  512, 512, 0, 64, 512, 0x1e00, 0, { 0 } },
	{ "offset in the first page, two pages", { { 0, 0x1e00, 1 * K } }, 0,
	  64 * K, 512, 0, 64, 1 * K, 0x1e00, 0x2000, { 0 } },
	{ "two whole pages need no list", { { 0, 0x1000, 8 * K } }, 0, 64 * K,
	  512, 0, 64, 8 * K, 0x1000, 0x2000, { 0 } },
	{ "two pages and one sector: a list", { { 0, 0x1000, 8 * K + 512 } },
	  0, 64 * K, 512, 0, 64, 8 * K + 512, 0x1000, LIST,
	  { 0x2000, 0x3000 } },
	{ "offset of a page makes it three", { { 0, 0x1200, 8 * K } }, 0,
	  64 * K, 512, 0, 64, 8 * K, 0x1200, LIST, { 0x2000, 0x3000 } },
	{ "scattered pages", { { 0, 0x9000, 4 * K }, { 0, 0x3000, 4 * K },
	  { 0, 0x5000, 4 * K } }, 0, 64 * K, 512, 0, 64, 12 * K, 0x9000, LIST,
	  { 0x3000, 0x5000 } },
	{ "first ends, last starts on a page", { { 0, 0x9c00, 1 * K },
	  { 0, 0x3000, 2 * K } }, 0, 64 * K, 512, 0, 64, 3 * K, 0x9c00,
	  0x3000, { 0 } },
	{ "second piece starts inside a page: stops", { { 0, 0x9000, 4 * K },
	  { 0, 0x3200, 512 } }, 0, 64 * K, 512, 0, 64, 4 * K, 0x9000, 0,
	  { 0 } },
	{ "first piece ends inside a page: stops", { { 0, 0x9000, 2 * K },
	  { 0, 0x3000, 4 * K } }, 0, 64 * K, 512, 0, 64, 2 * K, 0x9000, 0,
	  { 0 } },
	{ "pieces that touch are one", { { 0, 0x9000, 512 },
	  { 0, 0x9200, 512 }, { 0, 0x9400, 3 * K } }, 0, 64 * K, 512, 0, 64,
	  4 * K, 0x9000, 0, { 0 } },
	{ "touching over a page end", { { 0, 0x9800, 3 * K },
	  { 0, 0xa400, 1 * K } }, 0, 64 * K, 512, 0, 64, 4 * K, 0x9800,
	  0xa000, { 0 } },
	{ "the limit splits", { { 0, 0x1000, 64 * K } }, 0, 8 * K, 512, 0, 64,
	  8 * K, 0x1000, 0x2000, { 0 } },
	{ "after the split, the rest", { { 0, 0x1000, 16 * K } }, 8 * K,
	  64 * K, 512, 0, 64, 8 * K, 0x3000, 0x4000, { 0 } },
	{ "list full: stops on it", { { 0, 0x1000, 64 * K } }, 0, 64 * K, 512,
	  0, 2, 12 * K, 0x1000, LIST, { 0x2000, 0x3000 } },
	{ "no list at all: one page", { { 0, 0x1000, 64 * K } }, 0, 64 * K,
	  512, 0, 0, 4 * K, 0x1000, 0, { 0 } },
	{ "odd address: copy", { { 0, 0x1001, 512 } }, 0, 512, 512, 0, 64, 0,
	  0, 0, { 0 } },
	{ "word address: copy", { { 0, 0x1002, 512 } }, 0, 512, 512, 0, 64, 0,
	  0, 0, { 0 } },
	{ "dword address is allowed", { { 0, 0x1004, 512 } }, 0, 512, 512, 0,
	  64, 512, 0x1004, 0, { 0 } },
	{ "less than a block: copy", { { 0, 0x1000, 256 }, { 0, 0x8000, 256 } },
	  0, 512, 512, 0, 64, 0, 0, 0, { 0 } },
	{ "ends inside a block: shorter", { { 0, 0x1000, 4 * K + 256 },
	  { 0, 0x8000, 256 } }, 0, 64 * K, 512, 0, 64, 4 * K, 0x1000, 0,
	  { 0 } },
	{ "4 KiB blocks round down", { { 0, 0x1000, 8 * K + 512 },
	  { 0, 0x8000, 4 * K - 512 } }, 0, 64 * K, 4 * K, 0, 64, 8 * K, 0x1000,
	  0x2000, { 0 } },
	{ "list fills its page exactly", { { 0, 0x1000, 12 * K } }, 0, 64 * K,
	  512, 510, 16, 12 * K, 0x1000, LIST + 510 * 8, { 0x2000, 0x3000 } },
	{ "list crosses a page: last entry leads on",
	  { { 0, 0x1000, 16 * K } }, 0, 64 * K, 512, 510, 16, 16 * K, 0x1000,
	  LIST + 510 * 8, { 0x2000, LIST + 4096, 0x3000, 0x4000 } },
	{ "crossing needs two more entries", { { 0, 0x1000, 16 * K } }, 0,
	  64 * K, 512, 510, 3, 12 * K, 0x1000, LIST + 510 * 8,
	  { 0x2000, 0x3000 } },
	{ "empty pieces are nothing", { { 0, 0x5000, 0 },
	  { 0, 0x1000, 4 * K }, { 0, 0x5000, 0 }, { 0, 0x2000, 4 * K } }, 0,
	  64 * K, 512, 0, 64, 8 * K, 0x1000, 0x2000, { 0 } },
};

static void builds(void **state)
{
	static r3_le64 mem[1024];

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct nvme_cursor c = { .seg = r->seg, .off = r->off };
		struct nvme_prp_list l = { &mem[r->list_at],
					   LIST + r->list_at * 8u,
					   r->list_count };
		uint64_t prp[2] = { 0, 0 }, before;

		ROW(r->name);
		while (c.left < 6 && (r->seg[c.left].len ||
				      r->seg[c.left].iova))
			c.left++;
		memset(mem, 0, sizeof(mem));
		before = nvme_cursor_len(&c);
		assert_int_equal(nvme_prp_build(&c, r->max, r->block, &l, prp),
				 r->bytes);
		assert_int_equal(prp[0], r->prp1);
		assert_int_equal(prp[1], r->prp2);
		assert_int_equal(nvme_cursor_len(&c), before - r->bytes);
		for (int k = 0; r->list[k]; k++)
			assert_int_equal(r3_get_le64(l.entry[k]), r->list[k]);
	}
}

/* Whatever the pieces, taking a buffer apart command by command covers it in
 * order, and a walker after the specification finds the same addresses. */
static uint64_t walk_prps(const uint64_t prp[2], const r3_le64 *mem,
			  uint64_t mem_iova, uint64_t bytes, uint64_t *out)
{
	uint64_t n = 0, addr = prp[0], entry = 0, pages = 0;
	uint64_t first = r3_min(bytes, 4096 - (prp[0] & 4095));
	bool list = bytes > first && bytes - first > 4096;

	for (uint64_t done = 0; done < bytes; pages++) {
		uint64_t len = pages ? r3_min(bytes - done, 4096) : first;

		if (pages == 1 && !list)
			addr = prp[1];
		if (pages >= 1 && list) {
			entry = entry ? entry + 8 : prp[1];
			if ((entry & 4095) == 4088 && bytes - done > 4096)
				entry = r3_get_le64(mem[(entry - mem_iova) / 8]);
			addr = r3_get_le64(mem[(entry - mem_iova) / 8]);
		}
		assert_true(pages == 0 || (addr & 4095) == 0);
		for (uint64_t k = 0; k < len; k += 512)
			out[n++] = addr + k;
		done += len;
	}
	return n;
}

static void covers_random_buffers(void **state)
{
	static r3_le64 mem[2048];
	static uint64_t want[1 << 14], got[1 << 14];
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct r3_vq_seg seg[8];
		struct nvme_cursor c = { .seg = seg, .left = 8 };
		struct nvme_prp_list l = { &mem[500], LIST + 500 * 8, 600 };
		uint64_t n = 0, at = 0, iova = 0x100000000;

		for (int i = 0; i < 8; i++) {
			seed = seed * 1664525 + 1013904223;
			iova += 4096 * (1 + (seed >> 28)) +
				(seed & 0x100 ? 512 * (seed >> 20 & 7) : 0);
			if (!(seed & 0x300))
				iova &= ~4095ull;
			seg[i] = (struct r3_vq_seg){
				.iova = iova,
				.len = 512 * (1 + (seed >> 9) % 900) };
			if (!(seed & 0xc00))
				seg[i].len = r3_align_down(iova + seg[i].len +
							   4095, 4096) - iova;
			for (uint64_t k = 0; k < seg[i].len; k += 512)
				want[n++] = iova + k;
			iova += seg[i].len;
		}
		while (c.left) {
			uint64_t prp[2], bytes;

			bytes = nvme_prp_build(&c, 1 << 20, 512, &l, prp);
			assert_true(bytes);
			n = walk_prps(prp, mem, LIST, bytes, got);
			assert_int_equal(n, bytes / 512);
			assert_memory_equal(got, &want[at], n * 8);
			at += n;
		}
	}
}

static void copies_pieces(void **state)
{
	uint8_t a[8] = "abcdefgh", b[4] = "ijkl", flat[12];
	struct r3_vq_seg seg[] = { { a, 0, 8 }, { NULL, 0, 0 }, { b, 0, 4 } };
	struct nvme_cursor c = { seg, 3, 0 };

	(void)state;
	nvme_cursor_skip(&c, 2);
	nvme_cursor_gather(&c, flat, 8);
	assert_memory_equal(flat, "cdefghij", 8);
	assert_int_equal(nvme_cursor_len(&c), 2);
	c = (struct nvme_cursor){ seg, 3, 0 };
	nvme_cursor_scatter(&c, "0123456789AB", 12);
	assert_memory_equal(a, "01234567", 8);
	assert_memory_equal(b, "89AB", 4);
	assert_int_equal(nvme_cursor_len(&c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds),
		cmocka_unit_test(covers_random_buffers),
		cmocka_unit_test(copies_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
