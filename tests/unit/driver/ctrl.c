// SPDX-License-Identifier: GPL-2.0-or-later
/* ctrl.c - a controller's life and requests, against good and bad devices */
#include "test.h"
#include "double.h"

#define MS     R3_NS_PER_MS
#define LIMIT  1000 /* timeout_ms of the driver */
#define CLIENT UINT64_C(0x40000000)
#define CLIENT_LEN (1u << 20)
#define PENDING 1 /* no result yet */

static struct nvme_ctrl c;
static uint64_t now;
static unsigned lost_calls, ready_calls;
static uint8_t *mem;

static void lost(void *arg)
{
	(void)arg;
	lost_calls++;
}

static void ready(void *arg)
{
	(void)arg;
	ready_calls++;
}

static void start(enum double_fault fault, unsigned mdts, unsigned queues)
{
	struct nvme_conf conf = { .name = "test", .queues = 4,
				  .queue_size = 16, .interrupts = true,
				  .timeout_ms = LIMIT, .lost = lost,
				  .ready = ready };
	uint64_t iova = CLIENT;

	now = 1000 * MS;
	lost_calls = ready_calls = 0;
	double_make(fault);
	the_double.mdts = mdts;
	the_double.queues = queues;
	if (!mem)
		mem = aligned_alloc(4096, CLIENT_LEN);
	assert_int_equal(nvme_ctrl_init(&c, &conf), 0);
	assert_int_equal(nvme_ctrl_map(&c, &iova, CLIENT_LEN, -1, 0,
				       R3_READ | R3_WRITE, mem), 0);
	assert_int_equal(nvme_ctrl_attach(&c, (struct r3_device *)&the_double,
					  now), 0);
}

/* Let time pass until @done or @limit_ms; the ms it took. */
static unsigned pass(bool (*done)(void), unsigned limit_ms)
{
	for (unsigned ms = 0;; ms++, now += MS) {
		nvme_ctrl_poll(&c, now);
		nvme_ctrl_tick(&c, now);
		if (done() || ms == limit_ms)
			return ms;
	}
}

static bool settled(void)
{
	return c.state == NVME_READY || c.state == NVME_FAILED ||
	       c.state == NVME_DOWN;
}

/* ---- bring-up ------------------------------------------------------------ */

static void comes_up_or_gives_up(void **state)
{
	static const struct {
		const char *name;
		enum double_fault fault;
		enum nvme_state want;
		unsigned max_ms;
		const char *why; /* part of it */
	} rows[] = {
		{ "good", GOOD, NVME_READY, 10, NULL },
		{ "does not stop", STAYS_READY, NVME_FAILED, 5000, "stop" },
		{ "never ready", NEVER_READY, NVME_FAILED, 5000, "ready" },
		{ "fatal when enabled", FATAL_AT_ENABLE, NVME_FAILED, 100,
		  "fatal" },
		{ "can't identify", NO_IDENTIFY, NVME_FAILED, 100,
		  "identify" },
		{ "does not answer", SILENT_ADMIN, NVME_FAILED, 30000,
		  "admin" },
		{ "no queues", NO_QUEUES, NVME_FAILED, 100, "completion" },
		{ "empty namespace", EMPTY_NS, NVME_FAILED, 100, "empty" },
		{ "blocks with metadata", ODD_BLOCKS, NVME_FAILED, 100,
		  "metadata" },
		{ "8 KiB blocks", HUGE_BLOCKS, NVME_FAILED, 100, "4096" },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		unsigned ms;

		ROW(rows[i].name);
		start(rows[i].fault, 5, 4);
		ms = pass(settled, 100000);
		assert_int_equal(c.state, rows[i].want);
		assert_true(ms <= rows[i].max_ms);
		if (rows[i].why)
			assert_non_null(strstr(c.why, rows[i].why));
		nvme_ctrl_fini(&c);
	}
}

static void takes_what_there_is(void **state)
{
	static const struct {
		const char *name;
		unsigned mdts, queues, max_bytes, want_queues;
	} rows[] = {
		{ "no limit is our own", 0, 4, NVME_TRANSFER_MAX, 4 },
		{ "one page", 0 + 1, 4, 8192, 4 },
		{ "64 KiB", 4, 4, 65536, 4 },
		{ "more than we use", 10, 4, NVME_TRANSFER_MAX, 4 },
		{ "fewer queues", 5, 1, 131072, 1 },
		{ "more queues", 5, 16, 131072, 4 },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		start(GOOD, rows[i].mdts, rows[i].queues);
		pass(settled, 100);
		assert_int_equal(c.state, NVME_READY);
		assert_int_equal(c.ns.max_bytes, rows[i].max_bytes);
		assert_int_equal(c.queue_count, rows[i].want_queues);
		assert_string_equal(c.ns.serial, "double");
		nvme_ctrl_fini(&c);
	}
}

/* ---- requests ------------------------------------------------------------ */

struct req {
	struct nvme_io io;
	int result;
};

static struct req req[16];
static unsigned req_count;

static void done(struct nvme_io *io, int err)
{
	struct req *r = (struct req *)io;

	assert_int_equal(r->result, PENDING); /* never twice */
	r->result = err;
}

static bool all_done(void)
{
	for (unsigned i = 0; i < req_count; i++) {
		if (req[i].result == PENDING)
			return false;
	}
	return true;
}

static void put(uint8_t op, uint64_t lba, const struct r3_vq_seg *seg,
		unsigned count)
{
	struct req *r = &req[req_count];
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += seg[i].len;
	*r = (struct req){ .io = { .op = op, .lba = lba, .blocks = bytes / 512,
				   .seg = seg, .seg_count = count,
				   .done = done }, .result = PENDING };
	nvme_submit(&c, req_count++, &r->io, now);
}

static void kick_all(void)
{
	for (unsigned i = 0; i < c.queue_count; i++)
		nvme_kick(&c, i);
}

static struct r3_vq_seg at(uint32_t off, uint32_t len)
{
	return (struct r3_vq_seg){ mem + off, CLIENT + off, len };
}

static void survives_or_says_so(void **state)
{
	static const struct {
		const char *name;
		enum double_fault fault;
		int want[4]; /* results of reads at 5, 6, 7, 8 */
		unsigned max_ms;
		enum nvme_state end;
	} rows[] = {
#define FINE { 0, 0, 0, 0 }
#define EIO4 { -EIO, -EIO, -EIO, -EIO }
		{ "good", GOOD, FINE, 0, NVME_READY },
		{ "one unknown id", WRONG_CID, FINE, 10, NVME_READY },
		{ "one for another queue", WRONG_SQID, FINE, 10, NVME_READY },
		{ "unknown ids only", WRONG_CID_ALWAYS, EIO4, 50,
		  NVME_FAILED },
		{ "fatal status", FATAL_ONCE, FINE, 400, NVME_READY },
		{ "stuck, abort helps", STALLS_ONCE, FINE, LIMIT + 10,
		  NVME_READY },
		{ "stuck, abort does not help", STALLS_DEAF, FINE,
		  LIMIT * 3 / 2 + 10, NVME_READY },
		{ "stuck always at one block", STALLS_LBA_7,
		  { 0, 0, -ETIMEDOUT, 0 }, LIMIT * 9 / 2 + 50, NVME_READY },
		{ "fails once", FAILS_ONCE, FINE, 10, NVME_READY },
		{ "fails always", FAILS_ALWAYS, EIO4, 10, NVME_READY },
		{ "fails, no use to retry", FAILS_DNR, EIO4, 0, NVME_READY },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_vq_seg seg[4];
		unsigned ms;

		ROW(rows[i].name);
		start(rows[i].fault, 5, 1);
		pass(settled, 100);
		memset(mem, 0xee, CLIENT_LEN);
		req_count = 0;
		for (unsigned k = 0; k < 4; k++) {
			the_double.disk[(5 + k) * 512] = (uint8_t)(65 + k);
			seg[k] = at(k * 4096, 512);
			put(NVME_READ, 5 + k, &seg[k], 1);
		}
		kick_all();
		ms = pass(all_done, 100000);
		assert_true(ms <= rows[i].max_ms);
		for (unsigned k = 0; k < 4; k++) {
			assert_int_equal(req[k].result, rows[i].want[k]);
			if (!req[k].result)
				assert_int_equal(mem[k * 4096], 65 + k);
		}
		assert_int_equal(c.state, rows[i].end);
		nvme_ctrl_fini(&c);
	}
}

static void waits_for_a_new_device(void **state)
{
	static const enum double_fault faults[] = { GONE, LOST };

	(void)state;
	for (size_t i = 0; i < R3_COUNT(faults); i++) {
		struct r3_vq_seg seg = at(0, 8192);

		start(faults[i], 5, 4);
		pass(settled, 100);
		req_count = 0;
		memset(mem, 'x', 8192);
		put(NVME_WRITE, 0, &seg, 1);
		put(NVME_FLUSH, 0, NULL, 0);
		kick_all();
		pass(settled, 10);
		for (unsigned ms = 0; ms < 500 && c.state == NVME_READY;
		     ms++, now += MS)
			nvme_ctrl_tick(&c, now);
		assert_int_equal(c.state, NVME_DOWN);
		assert_int_equal(lost_calls, 1);
		assert_false(all_done());
		now += 3600 * 1000 * MS; /* there is no limit */
		double_make(GOOD);
		assert_int_equal(nvme_ctrl_attach(
			&c, (struct r3_device *)&the_double, now), 0);
		pass(all_done, 100);
		assert_int_equal(req[0].result, 0);
		assert_int_equal(req[1].result, 0);
		assert_memory_equal(the_double.disk, mem, 8192);
		assert_int_equal(ready_calls, 2);
		nvme_ctrl_fini(&c);
	}
}

static void comes_back_after_giving_up(void **state)
{
	struct r3_vq_seg seg = at(0, 512);

	(void)state;
	start(WRONG_CID_ALWAYS, 5, 4);
	pass(settled, 100);
	req_count = 0;
	put(NVME_READ, 0, &seg, 1);
	kick_all();
	pass(all_done, 100);
	assert_int_equal(c.state, NVME_FAILED);
	the_double.fault = GOOD;
	pass(settled, 5); /* still failed: the pause */
	now += 2000 * MS;
	nvme_ctrl_tick(&c, now);
	pass(settled, 10);
	assert_int_equal(c.state, NVME_READY);
	req_count = 0;
	put(NVME_READ, 0, &seg, 1);
	kick_all();
	pass(all_done, 10);
	assert_int_equal(req[0].result, 0);
	nvme_ctrl_fini(&c);
}

/* Any buffer, any limit: the bytes arrive where they belong. */
static void moves_any_buffer(void **state)
{
	uint32_t rng = 7;

	(void)state;
	start(GOOD, 3, 2); /* 32 KiB a command */
	pass(settled, 100);
	for (int round = 0; round < 400; round++) {
		struct r3_vq_seg seg[8];
		uint32_t used = 0, len = 0;
		uint8_t flat[8 * 16384];
		uint64_t lba;

		for (int k = 0; k < 8; k++) {
			uint32_t n;

			rng = rng * 1664525 + 1013904223;
			/* pages, sectors, and odd bytes */
			n = rng >> 30 == 0 ? 4096 * (1 + (rng >> 20) % 3)
			    : rng >> 30 == 1 ? 512 * (1 + (rng >> 20) % 20)
					     : 1 + (rng >> 18) % 700;
			if (k == 7)
				n = 512 - len % 512 + 512;
			used += rng >> 29 & 1 ? 4096 - used % 4096
					      : (rng >> 10) % 64;
			seg[k] = at(used, n);
			used += n;
			len += n;
		}
		lba = rng % ((DOUBLE_DISK - len) / 512);
		for (uint32_t i = 0; i < used; i++)
			mem[i] = (uint8_t)(i * 31 + rng);
		req_count = 0;
		put(NVME_WRITE, lba, seg, 8);
		kick_all();
		pass(all_done, 10);
		assert_int_equal(req[0].result, 0);
		len = 0;
		for (int k = 0; k < 8; k++) {
			memcpy(flat + len, seg[k].host, seg[k].len);
			len += seg[k].len;
		}
		assert_memory_equal(the_double.disk + lba * 512, flat, len);
		memset(mem, 0, used);
		req_count = 0;
		put(NVME_READ, lba, seg, 8);
		kick_all();
		pass(all_done, 10);
		assert_int_equal(req[0].result, 0);
		for (int k = 0, from = 0; k < 8; from += (int)seg[k++].len)
			assert_memory_equal(seg[k].host, flat + from,
					    seg[k].len);
		assert_true(the_double.largest <= 32768);
	}
	assert_true(c.counts.bounced > 0);
	nvme_ctrl_fini(&c);
}

static void aligned_buffers_are_not_copied(void **state)
{
	struct r3_vq_seg seg[] = { at(0, 65536), at(0x40000, 4096),
				   at(0x20000, 8192) };

	(void)state;
	start(GOOD, 8, 1);
	pass(settled, 100);
	req_count = 0;
	put(NVME_READ, 0, seg, 3);
	kick_all();
	pass(all_done, 10);
	assert_int_equal(req[0].result, 0);
	assert_int_equal(the_double.io_commands, 1);
	assert_int_equal(c.counts.bounced, 0);
	nvme_ctrl_fini(&c);
}

static void more_than_the_queue_holds(void **state)
{
	struct r3_vq_seg seg = at(0, 512 * 1024);

	(void)state;
	start(GOOD, 1, 1); /* 8 KiB a command, 15 at a time: 64 are needed */
	pass(settled, 100);
	req_count = 0;
	put(NVME_READ, 0, &seg, 1);
	put(NVME_FLUSH, 0, NULL, 0);
	kick_all();
	pass(all_done, 100);
	assert_int_equal(req[0].result, 0);
	assert_int_equal(req[1].result, 0);
	assert_int_equal(the_double.io_commands, 65);
	nvme_ctrl_fini(&c);
}

static void zeroes_and_trims(void **state)
{
	static const struct nvme_range ranges[] = { { 8, 1 }, { 100, 4 } };

	(void)state;
	start(GOOD, 5, 1);
	pass(settled, 100);
	memset(the_double.disk, 0xff, DOUBLE_DISK);
	req_count = 0;
	put(NVME_ZEROES, 16, NULL, 0);
	req[0].io.blocks = 8;
	req[0].io.left = 8;
	put(NVME_TRIM, 0, NULL, 0);
	req[1].io.range = ranges;
	req[1].io.range_count = 2;
	kick_all();
	pass(all_done, 10);
	assert_int_equal(req[0].result, 0);
	assert_int_equal(req[1].result, 0);
	assert_int_equal(the_double.disk[16 * 512 - 1], 0xff);
	assert_int_equal(the_double.disk[16 * 512], 0);
	assert_int_equal(the_double.disk[24 * 512 - 1], 0);
	assert_int_equal(the_double.disk[24 * 512], 0xff);
	assert_int_equal(the_double.disk[8 * 512], 0xdd);
	assert_int_equal(the_double.disk[9 * 512], 0xff);
	assert_int_equal(the_double.disk[104 * 512 - 1], 0xdd);
	nvme_ctrl_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_or_gives_up),
		cmocka_unit_test(takes_what_there_is),
		cmocka_unit_test(survives_or_says_so),
		cmocka_unit_test(waits_for_a_new_device),
		cmocka_unit_test(comes_back_after_giving_up),
		cmocka_unit_test(moves_any_buffer),
		cmocka_unit_test(aligned_buffers_are_not_copied),
		cmocka_unit_test(more_than_the_queue_holds),
		cmocka_unit_test(zeroes_and_trims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
