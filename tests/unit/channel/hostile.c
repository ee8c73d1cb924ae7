// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile.c - rings as a hostile driver writes them
 *
 * Each row is one request, the descriptors it starts from and what pop must
 * say; both sides of each boundary.  Memory is 64 KiB at 1 MiB, and directly
 * behind it 4 KiB more that lie elsewhere in this process.
 */
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ring3/channel.h"

#define GUEST	UINT64_C(0x100000)
#define LEN	UINT64_C(0x10000)
#define SECOND	(GUEST + LEN)
#define END	(SECOND + 0x1000)
#define DATA	(GUEST + 0x8000)
#define TABLE	(GUEST + 0x4000)
#define SIZE	8
#define SEGS	10
#define DESCS	12

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct row {
	const char *name;
	struct desc ring[SIZE];
	struct desc table[DESCS]; /* at TABLE, when an entry points there */
	int pop;		  /* 1, 0, -EPROTO */
	unsigned readable, writable;
	bool no_indirect; /* not negotiated */
};

static uint8_t memory[LEN] __attribute__((aligned(4096)));
static uint8_t second[4096] __attribute__((aligned(4096)));
static struct r3_regions mem;

/* Rows that mean the same in both forms. */
static const struct row both[] = {
	{ "one byte", { { DATA, 1, 0, 0 } }, { { 0 } }, 1, 1, 0, 0 },
	{ "no length", { { DATA, 0, 0, 0 } }, { { 0 } }, -EPROTO, 0, 0, 0 },
	{ "first byte of memory", { { GUEST, 1, W, 0 } }, { { 0 } }, 1, 0, 1,
	  0 },
	{ "byte before memory", { { GUEST - 1, 1, W, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "last byte of memory", { { END - 1, 1, W, 0 } }, { { 0 } }, 1, 0, 1,
	  0 },
	{ "byte behind memory", { { END, 1, W, 0 } }, { { 0 } }, -EPROTO, 0,
	  0, 0 },
	{ "ends with memory", { { END - 512, 512, 0, 0 } }, { { 0 } }, 1, 1, 0,
	  0 },
	{ "one byte too long", { { END - 512, 513, 0, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "spans two regions", { { SECOND - 8, 16, 0, 0 } }, { { 0 } }, 1, 2,
	  0, 0 },
	{ "end wraps round", { { UINT64_MAX - 7, 16, 0, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "all of 4 GiB", { { GUEST, UINT32_MAX, 0, 0 } }, { { 0 } }, -EPROTO,
	  0, 0, 0 },
	{ "read then write", { { DATA, 8, N, 1 }, { DATA, 8, W, 0 } },
	  { { 0 } }, 1, 1, 1, 0 },
	{ "write then read", { { DATA, 8, N | W, 1 }, { DATA, 8, 0, 0 } },
	  { { 0 } }, -EPROTO, 0, 0, 0 },
	{ "all of the ring",
	  { { DATA, 1, N, 1 }, { DATA, 1, N, 2 }, { DATA, 1, N, 3 },
	    { DATA, 1, N, 4 }, { DATA, 1, N, 5 }, { DATA, 1, N, 6 },
	    { DATA, 1, N, 7 }, { DATA, 1, 0, 0 } },
	  { { 0 } }, 1, 8, 0, 0 },
	{ "more than the ring",
	  { { DATA, 1, N, 1 }, { DATA, 1, N, 2 }, { DATA, 1, N, 3 },
	    { DATA, 1, N, 4 }, { DATA, 1, N, 5 }, { DATA, 1, N, 6 },
	    { DATA, 1, N, 7 }, { DATA, 1, N, 0 } },
	  { { 0 } }, -EPROTO, 0, 0, 0 },
	{ "indirect, two", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, N, 1 }, { DATA, 8, W, 0 } }, 1, 1, 1, 0 },
	{ "indirect, not negotiated", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, N, 1 }, { DATA, 8, W, 0 } }, -EPROTO, 0, 0, true },
	{ "indirect, no entry", { { TABLE, 0, I, 0 } }, { { 0 } }, -EPROTO, 0,
	  0, 0 },
	{ "indirect, half an entry", { { TABLE, 24, I, 0 } },
	  { { DATA, 8, 0, 0 } }, -EPROTO, 0, 0, 0 },
	{ "indirect and next", { { TABLE, 16, I | N, 1 }, { DATA, 8, 0, 0 } },
	  { { DATA, 8, 0, 0 } }, -EPROTO, 0, 0, 0 },
	{ "indirect in indirect", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, N, 1 }, { TABLE, 16, I, 0 } }, -EPROTO, 0, 0, 0 },
	{ "table ends with memory", { { END - 16, 16, I, 0 } }, { { 0 } },
	  -EPROTO /* its entry is zeros */, 0, 0, 0 },
	{ "table outside", { { END - 15, 16, I, 0 } }, { { 0 } }, -EPROTO, 0,
	  0, 0 },
	{ "table wraps round", { { UINT64_MAX - 15, 32, I, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "as many segments as there is room",
	  { { TABLE, 160, I, 0 } },
	  { { DATA, 1, N, 1 }, { DATA, 1, N, 2 }, { DATA, 1, N, 3 },
	    { DATA, 1, N, 4 }, { DATA, 1, N, 5 }, { DATA, 1, N, 6 },
	    { DATA, 1, N, 7 }, { DATA, 1, N, 8 }, { DATA, 1, N, 9 },
	    { DATA, 1, 0, 0 } }, 1, 10, 0, 0 },
	{ "one segment too many",
	  { { TABLE, 176, I, 0 } },
	  { { DATA, 1, N, 1 }, { DATA, 1, N, 2 }, { DATA, 1, N, 3 },
	    { DATA, 1, N, 4 }, { DATA, 1, N, 5 }, { DATA, 1, N, 6 },
	    { DATA, 1, N, 7 }, { DATA, 1, N, 8 }, { DATA, 1, N, 9 },
	    { DATA, 1, N, 10 }, { DATA, 1, 0, 0 } }, -EPROTO, 0, 0, 0 },
};

/* What only a split ring can get wrong. */
static const struct row split_only[] = {
	{ "chain backwards",
	  { { DATA, 8, N, 7 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { 0 },
	    { DATA, 8, 0, 0 } }, { { 0 } }, 1, 2, 0, 0 },
	{ "descriptor that is its own next", { { DATA, 8, N, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "loop of two", { { DATA, 8, N, 1 }, { DATA, 8, N, 0 } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "next behind the ring", { { DATA, 8, N, SIZE } }, { { 0 } },
	  -EPROTO, 0, 0, 0 },
	{ "direct, then indirect",
	  { { DATA, 8, N, 1 }, { TABLE, 16, I, 0 } }, { { DATA, 8, W, 0 } },
	  1, 1, 1, 0 },
	{ "table with a loop", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, N, 1 }, { DATA, 8, N, 0 } }, -EPROTO, 0, 0, 0 },
	{ "next behind the table", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, N, 2 } }, -EPROTO, 0, 0, 0 },
	{ "table that ends early", { { TABLE, 48, I, 0 } },
	  { { DATA, 8, N, 2 }, { 0 }, { DATA, 8, 0, 0 } }, 1, 2, 0, 0 },
};

static const struct row packed_only[] = {
	{ "indirect in a chain", { { DATA, 8, N, 1 }, { TABLE, 16, I, 0 } },
	  { { DATA, 8, 0, 0 } }, -EPROTO, 0, 0, 0 },
	{ "table is read to its end", { { TABLE, 32, I, 0 } },
	  { { DATA, 8, 0, 0 }, { DATA, 8, 0, 0 } }, 1, 2, 0, 0 },
};

static struct r3_vring make_ring(bool packed, bool indirect)
{
	struct r3_vring_layout l;

	assert_int_equal(r3_vring_layout(SIZE, packed, &l), 0);
	memset(memory, 0, sizeof(memory));
	return (struct r3_vring){
		.desc = memory, .driver = memory + l.driver,
		.device = memory + l.device, .size = SIZE, .packed = packed,
		.indirect = indirect,
	};
}

static void put(uint8_t *at, const struct desc *d, bool packed, bool avail)
{
	struct vring_desc s = { d->addr, d->len, d->flags, d->next };
	struct vring_packed_desc p = { d->addr, d->len, 3, d->flags };

	if (avail)
		p.flags |= 1 << VRING_PACKED_DESC_F_AVAIL;
	memcpy(at, packed ? (void *)&p : (void *)&s, 16);
}

static void one_row(const struct row *row, bool packed)
{
	struct r3_vring ring = make_ring(packed, !row->no_indirect);
	struct vring_avail *avail = ring.driver;
	struct r3_vq_seg seg[SEGS];
	struct r3_vq_req req;
	struct r3_vq_device q;
	int n;

	for (unsigned i = 0; i < SIZE; i++)
		put(memory + 16 * i, &row->ring[i], packed,
		    row->ring[i].addr);
	for (unsigned i = 0; i < DESCS; i++)
		put(memory + (TABLE - GUEST) + 16 * i, &row->table[i], packed,
		    false);
	if (!packed)
		avail->idx = 1;
	assert_int_equal(r3_vq_device_init(&q, &ring, &mem,
					   packed ? R3_VQ_BASE_PACKED : 0), 0);
	n = r3_vq_device_pop(&q, &req, seg, SEGS);
	if (n != row->pop)
		fail_msg("%s, %s: pop says %d, not %d (%s)", row->name,
			 packed ? "packed" : "split", n, row->pop,
			 q.why ? q.why : "");
	if (n == 1) {
		assert_int_equal(req.readable, row->readable);
		assert_int_equal(req.writable, row->writable);
		assert_int_equal(req.id, packed ? 3 : 0);
		r3_vq_device_push(&q, &req, 0);
		r3_vq_device_publish(&q);
	} else if (n < 0) {
		assert_non_null(q.why);
		assert_int_equal(r3_vq_device_pop(&q, &req, seg, SEGS), n);
		assert_false(r3_vq_device_arm(&q));
	}
	r3_vq_device_fini(&q);
}

static void rows(const struct row *v, unsigned count, bool packed)
{
	for (unsigned i = 0; i < count; i++)
		one_row(&v[i], packed);
}

static void split(void **state)
{
	(void)state;
	rows(both, R3_COUNT(both), false);
	rows(split_only, R3_COUNT(split_only), false);
}

static void packed(void **state)
{
	(void)state;
	rows(both, R3_COUNT(both), true);
	rows(packed_only, R3_COUNT(packed_only), true);
}

static void split_indices(void **state)
{
	static const struct {
		const char *name;
		uint16_t base, idx;
		uint16_t head[3];
		int pops[3];
	} v[] = {
		{ "nothing", 0, 0, { 0 }, { 0, 0, 0 } },
		{ "the whole ring", 0, SIZE, { 0, 1, 2 }, { 1, 1, 1 } },
		{ "one more than the ring", 0, SIZE + 1, { 0, 1, 2 },
		  { -EPROTO, -EPROTO, -EPROTO } },
		{ "index goes back", 5, 4, { 0 },
		  { -EPROTO, -EPROTO, -EPROTO } },
		{ "last head", 0, 1, { SIZE - 1 }, { 1, 0, 0 } },
		{ "head behind the ring", 0, 1, { SIZE },
		  { -EPROTO, -EPROTO, -EPROTO } },
		{ "the same head twice", 0, 2, { 1, 1 },
		  { 1, -EPROTO, -EPROTO } },
		{ "16 bits wrap round", 65535, 1, { 2, 1 }, { 1, 1, 0 } },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(v); i++) {
		struct r3_vring ring = make_ring(false, false);
		struct vring_avail *avail = ring.driver;
		struct desc d = { DATA, 8, 0, 0 };
		struct r3_vq_device q;

		for (unsigned k = 0; k < SIZE; k++)
			put(memory + 16 * k, &d, false, false);
		for (unsigned k = 0; k < 3; k++)
			avail->ring[(v[i].base + k) % SIZE] = v[i].head[k];
		avail->idx = v[i].idx;
		assert_int_equal(
			r3_vq_device_init(&q, &ring, &mem, v[i].base), 0);
		for (unsigned k = 0; k < 3; k++) {
			struct r3_vq_seg seg[SEGS];
			struct r3_vq_req req;
			int n = r3_vq_device_pop(&q, &req, seg, SEGS);

			if (n != v[i].pops[k])
				fail_msg("%s: pop %u says %d", v[i].name, k,
					 n);
		}
		r3_vq_device_fini(&q);
	}
}

static void packed_ids(void **state)
{
	static const struct {
		const char *name;
		uint16_t id[2];
		int pops[2];
	} v[] = {
		{ "last id", { SIZE - 1, 0 }, { 1, 1 } },
		{ "id of the ring's size", { SIZE, 0 },
		  { -EPROTO, -EPROTO } },
		{ "the same id twice", { 2, 2 }, { 1, -EPROTO } },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(v); i++) {
		struct r3_vring ring = make_ring(true, false);
		struct vring_packed_desc *d = ring.desc;
		struct r3_vq_device q;

		for (unsigned k = 0; k < 2; k++)
			d[k] = (struct vring_packed_desc){
				DATA, 8, v[i].id[k],
				1 << VRING_PACKED_DESC_F_AVAIL };
		assert_int_equal(r3_vq_device_init(&q, &ring, &mem,
						   R3_VQ_BASE_PACKED), 0);
		for (unsigned k = 0; k < 2; k++) {
			struct r3_vq_seg seg[SEGS];
			struct r3_vq_req req;
			int n = r3_vq_device_pop(&q, &req, seg, SEGS);

			if (n != v[i].pops[k])
				fail_msg("%s: pop %u says %d", v[i].name, k,
					 n);
		}
		r3_vq_device_fini(&q);
	}
}

/* Both wrap counters, at every place of the ring. */
static void packed_wrap(void **state)
{
	(void)state;
	for (unsigned wrap = 0; wrap < 2; wrap++) {
		for (uint16_t at = 0; at < SIZE; at++) {
			struct r3_vring ring = make_ring(true, false);
			struct vring_packed_desc *d = ring.desc;
			uint32_t half = at | wrap << 15;
			struct r3_vq_seg seg[SEGS];
			struct r3_vq_device q;
			struct r3_vq_req req;

			for (uint16_t k = 0; k < SIZE; k++)
				d[k].flags = wrap ?
					1 << VRING_PACKED_DESC_F_USED :
					1 << VRING_PACKED_DESC_F_AVAIL;
			assert_int_equal(
				r3_vq_device_init(&q, &ring, &mem,
						  half | half << 16), 0);
			assert_int_equal(r3_vq_device_base(&q),
					 half | half << 16);
			assert_int_equal(
				r3_vq_device_pop(&q, &req, seg, SEGS), 0);
			d[at] = (struct vring_packed_desc){
				DATA, 8, 1,
				wrap ? 1 << VRING_PACKED_DESC_F_AVAIL :
				       1 << VRING_PACKED_DESC_F_USED };
			assert_int_equal(
				r3_vq_device_pop(&q, &req, seg, SEGS), 1);
			r3_vq_device_push(&q, &req, 0);
			r3_vq_device_publish(&q);
			assert_int_equal(!!(d[at].flags & 0x80), wrap);
			assert_int_equal(!!(d[at].flags & 0x8000), wrap);
			r3_vq_device_fini(&q);
		}
	}
}

/* What a ring must be like to be used at all. */
static void rings(void **state)
{
	struct r3_vring ring = make_ring(false, false), r;
	struct r3_vring_layout l;
	struct r3_vq_device q;

	(void)state;
	assert_int_equal(r3_vring_layout(0, true, &l), -EINVAL);
	assert_int_equal(r3_vring_layout(R3_VQ_SIZE_MAX, false, &l), 0);
	assert_int_equal(r3_vring_layout(R3_VQ_SIZE_MAX + 1, true, &l),
			 -EINVAL);
	assert_int_equal(r3_vring_layout(7, true, &l), 0);
	assert_int_equal(r3_vring_layout(7, false, &l), -EINVAL);
	r = ring;
	r.desc = (uint8_t *)ring.desc + 8;
	assert_int_equal(r3_vq_device_init(&q, &r, &mem, 0), -EINVAL);
	r = ring;
	r.driver = NULL;
	assert_int_equal(r3_vq_device_init(&q, &r, &mem, 0), -EINVAL);
	r = ring;
	r.packed = true;
	assert_int_equal(r3_vq_device_init(&q, &r, &mem, SIZE), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split),
		cmocka_unit_test(packed),
		cmocka_unit_test(split_indices),
		cmocka_unit_test(packed_ids),
		cmocka_unit_test(packed_wrap),
		cmocka_unit_test(rings),
	};
	struct r3_region a = { .addr = GUEST, .len = LEN, .host = memory,
			       .fd = -1, .prot = R3_READ | R3_WRITE };
	struct r3_region b = { .addr = SECOND, .len = 4096, .host = second,
			       .fd = -1, .prot = R3_READ | R3_WRITE };

	if (r3_regions_init(&mem, 2) || r3_regions_add(&mem, &a, NULL) ||
	    r3_regions_add(&mem, &b, NULL))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
