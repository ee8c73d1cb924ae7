// SPDX-License-Identifier: GPL-2.0-or-later
/* blk_req.c - virtio-blk requests, in tables of rows (virtio 1.2, 5.2.6) */
#include "test.h"
#include "blk_req.h"

#define OK    VIRTIO_BLK_S_OK
#define IOERR VIRTIO_BLK_S_IOERR
#define UNSUPP VIRTIO_BLK_S_UNSUPP
#define ALL   UINT64_MAX
#define DISK  2048u /* sectors */

enum { RO = 1, NO_TRIM = 2, BIG = 4 }; /* how the disk is */

struct row {
	const char *name;
	unsigned disk;
	uint32_t type;
	uint64_t sector;
	unsigned head;	     /* bytes of the header that are there */
	unsigned out[3];     /* lengths of further readable pieces */
	unsigned in[3];	     /* lengths of writable pieces */
	struct { uint64_t sector; uint32_t count, flags; } range[3];
	int want;	     /* 1, 0, -EPROTO */
	uint8_t answer, op;
	uint64_t lba, blocks;
	unsigned segs;
};

#define R(...) { __VA_ARGS__ }
static const struct row rows[] = {
	{ "read one sector", 0, VIRTIO_BLK_T_IN, 7, 16, { 0 }, { 512, 1 },
	  { R(0) }, 1, 0, NVME_READ, 7, 1, 1 },
	{ "read, status in the data's piece", 0, VIRTIO_BLK_T_IN, 7, 16, { 0 },
	  { 513 }, { R(0) }, 1, 0, NVME_READ, 7, 1, 1 },
	{ "read the last sector", 0, VIRTIO_BLK_T_IN, DISK - 1, 16, { 0 },
	  { 512, 1 }, { R(0) }, 1, 0, NVME_READ, DISK - 1, 1, 1 },
	{ "read past the end", 0, VIRTIO_BLK_T_IN, DISK - 1, 16, { 0 },
	  { 1024, 1 }, { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "read at the end", 0, VIRTIO_BLK_T_IN, DISK, 16, { 0 }, { 512, 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "sector wraps round", 0, VIRTIO_BLK_T_IN, ALL, 16, { 0 }, { 1024, 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "half a sector", 0, VIRTIO_BLK_T_IN, 0, 16, { 0 }, { 256, 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "a sector in two halves", 0, VIRTIO_BLK_T_IN, 0, 16, { 0 },
	  { 256, 256, 1 }, { R(0) }, 1, 0, NVME_READ, 0, 1, 2 },
	{ "read nothing", 0, VIRTIO_BLK_T_IN, 0, 16, { 0 }, { 1 }, { R(0) }, 0,
	  OK, 0, 0, 0, 0 },
	{ "no status", 0, VIRTIO_BLK_T_OUT, 0, 16, { 512 }, { 0 }, { R(0) },
	  -EPROTO, 0, 0, 0, 0, 0 },
	{ "short header", 0, VIRTIO_BLK_T_IN, 0, 15, { 0 }, { 512, 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "header in the data's piece", 0, VIRTIO_BLK_T_OUT, 3, 8,
	  { 8 + 512 }, { 1 }, { R(0) }, 1, 0, NVME_WRITE, 3, 1, 1 },
	{ "write two pieces", 0, VIRTIO_BLK_T_OUT, 3, 16, { 512, 1024 }, { 1 },
	  { R(0) }, 1, 0, NVME_WRITE, 3, 3, 2 },
	{ "write, read only", RO, VIRTIO_BLK_T_OUT, 3, 16, { 512 }, { 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "write past the end", 0, VIRTIO_BLK_T_OUT, DISK, 16, { 512 }, { 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "4 KiB blocks, aligned", BIG, VIRTIO_BLK_T_IN, 8, 16, { 0 },
	  { 4096, 1 }, { R(0) }, 1, 0, NVME_READ, 1, 1, 1 },
	{ "4 KiB blocks, sector inside", BIG, VIRTIO_BLK_T_IN, 9, 16, { 0 },
	  { 4096, 1 }, { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "4 KiB blocks, one sector", BIG, VIRTIO_BLK_T_IN, 8, 16, { 0 },
	  { 512, 1 }, { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "flush", 0, VIRTIO_BLK_T_FLUSH, 0, 16, { 0 }, { 1 }, { R(0) }, 1, 0,
	  NVME_FLUSH, 0, 0, 0 },
	{ "identify", 0, VIRTIO_BLK_T_GET_ID, 0, 16, { 0 }, { 20, 1 },
	  { R(0) }, 0, OK, 0, 0, 0, 0 },
	{ "identify, short and long pieces", 0, VIRTIO_BLK_T_GET_ID, 0, 16,
	  { 0 }, { 3, 100, 1 }, { R(0) }, 0, OK, 0, 0, 0, 0 },
	{ "unknown type", 0, 0x77, 0, 16, { 0 }, { 1 }, { R(0) }, 0, UNSUPP,
	  0, 0, 0, 0 },
	{ "discard one range", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 16 }, { 1 },
	  { R(8, 16, 0) }, 1, 0, NVME_TRIM, 8, 16, 0 },
	{ "discard two ranges", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 32 }, { 1 },
	  { R(8, 16, 0), R(100, 1, 0) }, 1, 0, NVME_TRIM, 100, 1, 0 },
	{ "discard, second past the end", 0, VIRTIO_BLK_T_DISCARD, 0, 16,
	  { 32 }, { 1 }, { R(8, 16, 0), R(DISK, 1, 0) }, 0, IOERR, 0, 0, 0,
	  0 },
	{ "discard with unmap", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 16 }, { 1 },
	  { R(8, 16, 1) }, 0, UNSUPP, 0, 0, 0, 0 },
	{ "discard, reserved flag", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 16 },
	  { 1 }, { R(8, 16, 2) }, 0, UNSUPP, 0, 0, 0, 0 },
	{ "discard, half a range", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 24 },
	  { 1 }, { R(8, 16, 0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "discard nothing", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 0 }, { 1 },
	  { R(0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "discard, empty range", 0, VIRTIO_BLK_T_DISCARD, 0, 16, { 16 },
	  { 1 }, { R(8, 0, 0) }, 0, OK, 0, 0, 0, 0 },
	{ "discard, not offered", NO_TRIM, VIRTIO_BLK_T_DISCARD, 0, 16,
	  { 16 }, { 1 }, { R(8, 16, 0) }, 0, UNSUPP, 0, 0, 0, 0 },
	{ "discard, read only", RO, VIRTIO_BLK_T_DISCARD, 0, 16, { 16 }, { 1 },
	  { R(8, 16, 0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "write zeroes, unmap", 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, { 16 },
	  { 1 }, { R(8, 16, 1) }, 1, 0, NVME_ZEROES, 8, 16, 0 },
	{ "write zeroes, two ranges", 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16,
	  { 32 }, { 1 }, { R(8, 16, 0), R(1, 1, 0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "write zeroes, range wraps", 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16,
	  { 16 }, { 1 }, { R(ALL, 2, 0) }, 0, IOERR, 0, 0, 0, 0 },
	{ "write zeroes, more than told", 0, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16,
	  { 16 }, { 1 }, { R(0, BLK_ZEROES_MAX + 1, 0) }, 0, IOERR, 0, 0, 0,
	  0 },
};

static uint8_t mem[8][8192];

static unsigned piece(struct r3_vq_seg *seg, unsigned n, unsigned len)
{
	seg[n] = (struct r3_vq_seg){ mem[n], 0x10000u * (n + 1), len };
	return n + 1;
}

static void fill(const struct row *r, struct r3_vq_req *req,
		 struct r3_vq_seg *seg)
{
	uint8_t flat[16 + 48] = { 0 };
	unsigned n = 0, at = 0;
	uint64_t sector = r->sector;

	memcpy(flat, &r->type, 4);
	memcpy(flat + 8, &sector, 8);
	for (int i = 0; i < 3; i++) {
		memcpy(flat + 16 + 16 * i, &r->range[i].sector, 8);
		memcpy(flat + 24 + 16 * i, &r->range[i].count, 4);
		memcpy(flat + 28 + 16 * i, &r->range[i].flags, 4);
	}
	memset(mem, 0xee, sizeof(mem));
	n = piece(seg, n, r->head);
	for (int i = 0; i < 3 && r->out[i]; i++)
		n = piece(seg, n, r->out[i]);
	for (unsigned i = 0; i < n; i++) {
		size_t len = r3_min(seg[i].len, sizeof(flat) - at);

		memcpy(seg[i].host, flat + at, len);
		at += (unsigned)len;
	}
	req->readable = (uint16_t)n;
	for (int i = 0; i < 3 && r->in[i]; i++)
		n = piece(seg, n, r->in[i]);
	req->writable = (uint16_t)(n - req->readable);
	req->seg = seg;
}

static void parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct blk_disk d = {
			.sectors = DISK, .readonly = r->disk & RO,
			.block_size = r->disk & BIG ? 4096 : 512,
			.trim = !(r->disk & NO_TRIM), .zeroes = true,
			.id = "serial",
		};
		struct blk_cmd c = { 0 };
		struct r3_vq_seg seg[8];
		struct r3_vq_req req;

		ROW(r->name);
		fill(r, &req, seg);
		assert_int_equal(blk_parse(&d, &req, &c), r->want);
		if (r->want < 0)
			continue;
		/* the status is the last writable byte */
		for (unsigned k = 0; k < 8; k++) {
			if (c.status >= mem[k] && c.status < mem[k + 1])
				assert_true(k >= req.readable);
		}
		if (r->want == 0) {
			assert_int_equal(c.answer, r->answer);
			continue;
		}
		assert_int_equal(c.op, r->op);
		if (r->op != NVME_FLUSH) {
			assert_int_equal(c.lba, r->lba);
			assert_int_equal(c.blocks, r->blocks);
		}
		assert_int_equal(c.seg_count, r->segs);
	}
}

static void gives_its_id(void **state)
{
	struct blk_disk d = { .sectors = 8, .block_size = 512,
			      .id = "0123456789abcdefghij" };
	struct row r = { .type = VIRTIO_BLK_T_GET_ID, .head = 16,
			 .in = { 3, 100, 1 } };
	struct r3_vq_seg seg[8];
	struct r3_vq_req req;
	struct blk_cmd c;

	(void)state;
	fill(&r, &req, seg);
	assert_int_equal(blk_parse(&d, &req, &c), 0);
	assert_memory_equal(mem[1], "012", 3);
	assert_memory_equal(mem[2], "3456789abcdefghij\xee", 18);
	assert_ptr_equal(c.status, mem[3]);
	assert_int_equal(c.written, 104);
}

static void tells_its_limits(void **state)
{
	struct blk_disk d = { .sectors = 1000, .block_size = 4096,
			      .trim = true, .zeroes = true, .queues = 3 };
	uint8_t raw[BLK_CONFIG_LEN];
	struct virtio_blk_config c;

	(void)state;
	blk_config(&d, true, raw);
	memcpy(&c, raw, sizeof(c));
	assert_int_equal(c.capacity, 1000);
	assert_int_equal(c.blk_size, 4096);
	assert_int_equal(c.num_queues, 3);
	assert_int_equal(c.wce, 1);
	assert_int_equal(c.seg_max, BLK_SEG_MAX);
	assert_int_equal(c.max_discard_seg, BLK_TRIM_MAX);
	assert_int_equal(c.discard_sector_alignment, 8);
	assert_true(blk_features(&d) & 1 << VIRTIO_BLK_F_DISCARD);
	d.readonly = true;
	assert_false(blk_features(&d) & 1 << VIRTIO_BLK_F_DISCARD);
	assert_true(blk_features(&d) & 1 << VIRTIO_BLK_F_RO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(gives_its_id),
		cmocka_unit_test(tells_its_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
