// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost.c - a back end, message by message
 *
 * A session that is right is taken to some point; then comes one message, and
 * the back end answers, or goes on, or ends the connection: nothing else.
 */
#include "session.h"

/* ---- single messages ----------------------------------------------------- */

enum at { NEW, READY, RUNNING };

static const struct row {
	const char *name;
	enum at at;
	uint32_t request, flags, len;
	union vu_payload p;
	unsigned fds; /* the memory file, so often */
	bool lives;
} messages[] = {
	{ "version 0", NEW, VU_GET_FEATURES, 3, 0, { 0 }, 0, false },
	{ "a reply", NEW, VU_GET_FEATURES, VU_REPLY, 0, { 0 }, 0, false },
	{ "request 0", NEW, 0, 0, 0, { 0 }, 0, false },
	{ "last known request", READY, VU_REM_MEM_REG, 0, 40, { 0 }, 0,
	  false /* no such region */ },
	{ "unknown request", READY, VU_REQUESTS, 0, 0, { 0 }, 0, false },
	{ "a hole in the table", READY, 7, 0, 8, { 0 }, 0, false },
	{ "get features with an fd", NEW, VU_GET_FEATURES, 0, 0, { 0 }, 1,
	  false },
	{ "features offered", NEW, VU_SET_FEATURES, 0, 8,
	  { .u64 = R3_VQ_FEATURES | VU_F_PROTOCOL }, 0, true },
	{ "a feature not offered", NEW, VU_SET_FEATURES, 0, 8,
	  { .u64 = 1 }, 0, false },
	{ "features too short", NEW, VU_SET_FEATURES, 0, 7, { .u64 = 0 }, 0,
	  false },
	{ "other features while running", RUNNING, VU_SET_FEATURES, 0, 8,
	  { .u64 = R3_VQ_F_VERSION_1 }, 0, false },
	{ "protocol feature not offered", NEW, VU_SET_PROTOCOL_FEATURES, 0, 8,
	  { .u64 = 1 << 8 }, 0, false },
	{ "config without the feature", NEW, VU_GET_CONFIG, 0, 72,
	  { .config = { 0, 60, 0, { 0 } } }, 0, false },
	{ "all of config", READY, VU_GET_CONFIG, 0, 72,
	  { .config = { 0, 60, 0, { 0 } } }, 0, true },
	{ "config as long as it may be", READY, VU_GET_CONFIG, 0, 12 + 256,
	  { .config = { 0, 256, 0, { 0 } } }, 0, true },
	{ "config behind its end", READY, VU_GET_CONFIG, 0, 72,
	  { .config = { 200, 60, 0, { 0 } } }, 0, false },
	{ "config wraps round", READY, VU_GET_CONFIG, 0, 72,
	  { .config = { UINT32_MAX, 60, 0, { 0 } } }, 0, false },
	{ "config length is a lie", READY, VU_GET_CONFIG, 0, 72,
	  { .config = { 0, 61, 0, { 0 } } }, 0, false },
	{ "config of no bytes", READY, VU_GET_CONFIG, 0, 13,
	  { .config = { 0, 0, 0, { 0 } } }, 0, false },
	{ "config is read only", READY, VU_SET_CONFIG, 0, 13,
	  { .config = { 0, 1, 0, { 0 } } }, 0, true },
	{ "no memory", READY, VU_SET_MEM_TABLE, 0, 8,
	  { .memory = { .count = 0 } }, 0, true },
	{ "memory without fd", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1, .region = { { GUEST, MEM_LEN, USER, 0 } } }
	  }, 0, false },
	{ "memory with two fds", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1, .region = { { GUEST, MEM_LEN, USER, 0 } } }
	  }, 2, false },
	{ "memory, more than said", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 2, .region = { { GUEST, 4096, USER, 0 } } } },
	  2, false },
	{ "nine regions", READY, VU_SET_MEM_TABLE, 0, 264,
	  { .memory = { .count = 9 } }, 8, false },
	{ "one page at the end", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, 4096, USER, MEM_LEN - 4096 } } }
	  }, 1, true },
	{ "one page behind the end", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, 4096, USER, MEM_LEN } } } },
	  1, false },
	{ "longer than the file", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, MEM_LEN + 4096, USER, 0 } } } },
	  1, false },
	{ "offset wraps round", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, 8192, USER, -4096ull } } } },
	  1, false },
	{ "guest address wraps round", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { -4096ull, 8192, USER, 0 } } } },
	  1, false },
	{ "user address wraps round", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, 8192, -4096ull, 0 } } } },
	  1, false },
	{ "no whole page", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1,
			.region = { { GUEST, 4095, USER, 0 } } } },
	  1, false },
	{ "region of no bytes", READY, VU_SET_MEM_TABLE, 0, 40,
	  { .memory = { .count = 1, .region = { { GUEST, 0, USER, 0 } } } },
	  1, false },
	{ "regions side by side", READY, VU_SET_MEM_TABLE, 0, 72,
	  { .memory = { .count = 2,
			.region = { { GUEST, 4096, USER, 0 },
				    { GUEST + 4096, 4096, USER + 4096, 0 } } }
	  }, 2, true },
	{ "regions overlap", READY, VU_SET_MEM_TABLE, 0, 72,
	  { .memory = { .count = 2,
			.region = { { GUEST, 8192, USER, 0 },
				    { GUEST + 4096, 4096, USER + 8192, 0 } } }
	  }, 2, false },
	{ "queue size 64", READY, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 0, 64 } }, 0, true },
	{ "queue size 128", READY, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 0, 128 } }, 0, false },
	{ "queue size 0", READY, VU_SET_VRING_NUM, 0, 8, { .state = { 0, 0 } },
	  0, false },
	{ "queue size 48", READY, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 0, 48 } }, 0, false },
	{ "queue size 65536 + 16", READY, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 0, 65552 } }, 0, false },
	{ "last queue", READY, VU_SET_VRING_NUM, 0, 8, { .state = { 1, 16 } },
	  0, true },
	{ "queue behind the last", READY, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 2, 16 } }, 0, false },
	{ "queue 2^32 - 1", READY, VU_GET_VRING_BASE, 0, 8,
	  { .state = { UINT32_MAX, 0 } }, 0, false },
	{ "size while running", RUNNING, VU_SET_VRING_NUM, 0, 8,
	  { .state = { 0, 32 } }, 0, false },
	{ "base while running", RUNNING, VU_SET_VRING_BASE, 0, 8,
	  { .state = { 0, 0 } }, 0, false },
	{ "same addresses while running", RUNNING, VU_SET_VRING_ADDR, 0, 40,
	  { .addr = { 0, 0, USER, USER + 512, USER + 256, 0 } }, 0, true },
	{ "others while running", RUNNING, VU_SET_VRING_ADDR, 0, 40,
	  { .addr = { 0, 0, USER + 4096, USER + 512, USER + 256, 0 } }, 0,
	  false },
	{ "dirty logging", READY, VU_SET_VRING_ADDR, 0, 40,
	  { .addr = { 0, 1, USER, USER + 512, USER + 256, 0 } }, 0, false },
	{ "kick without fd", READY, VU_SET_VRING_KICK, 0, 8, { .u64 = 0 }, 0,
	  false },
	{ "kick, polling", READY, VU_SET_VRING_KICK, 0, 8, { .u64 = 0x100 }, 0,
	  true },
	{ "kick, polling, with fd", READY, VU_SET_VRING_KICK, 0, 8,
	  { .u64 = 0x100 }, 1, false },
	{ "kick is no eventfd", READY, VU_SET_VRING_KICK, 0, 8, { .u64 = 0 },
	  1, false },
	{ "kick of queue 2", READY, VU_SET_VRING_KICK, 0, 8, { .u64 = 0x102 },
	  0, false },
	{ "kick with more bits", READY, VU_SET_VRING_KICK, 0, 8,
	  { .u64 = 0x300 }, 0, false },
	{ "enable 2", READY, VU_SET_VRING_ENABLE, 0, 8, { .state = { 0, 2 } },
	  0, false },
	{ "enable, not negotiated", NEW, VU_SET_VRING_ENABLE, 0, 8,
	  { .state = { 0, 1 } }, 0, false },
	{ "inflight region, two queues", READY, VU_GET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 0, 0, 2, 64, 0 } }, 0, true },
	{ "inflight region, three queues", READY, VU_GET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 0, 0, 3, 64, 0 } }, 0, false },
	{ "inflight region, size 65", READY, VU_GET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 0, 0, 2, 65, 0 } }, 0, false },
	{ "inflight region that fits", READY, VU_SET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 2 * (16 + 64 * 16 + 48), 0, 2, 64, 0 } }, 1, true },
	{ "inflight region too short", READY, VU_SET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 2 * (16 + 64 * 16 + 48) - 1, 0, 2, 64, 0 } }, 1,
	  false },
	{ "inflight region behind the file", READY, VU_SET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 8192, MEM_LEN - 4096, 2, 64, 0 } }, 1, false },
	{ "inflight region while running", RUNNING, VU_SET_INFLIGHT_FD, 0, 20,
	  { .inflight = { 8192, 0, 2, 64, 0 } }, 1, false },
	{ "region the second time", RUNNING, VU_ADD_MEM_REG, 0, 40,
	  { .mem_reg = { 0, { GUEST, 4096, USER, 0 } } }, 1, false },
	{ "one region more", RUNNING, VU_ADD_MEM_REG, 0, 40,
	  { .mem_reg = { 0, { GUEST + MEM_LEN, 4096, USER + MEM_LEN, 0 } } },
	  1, true },
	{ "the queue's region goes", RUNNING, VU_REM_MEM_REG, 0, 40,
	  { .mem_reg = { 0, { GUEST, MEM_LEN, USER, 0 } } }, 0, true },
	{ "a region that is not there", RUNNING, VU_REM_MEM_REG, 0, 40,
	  { .mem_reg = { 0, { GUEST, 4096, USER, 0 } } }, 0, false },
	{ "reset", RUNNING, VU_RESET_DEVICE, 0, 0, { 0 }, 0, true },
};

static void one_message_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < R3_COUNT(messages); i++) {
		const struct row *r = &messages[i];
		int fds[VU_FDS_MAX];
		struct end e;

		open_end(&e, r->at != NEW);
		if (r->at == RUNNING)
			start_queue(&e);
		for (unsigned k = 0; k < VU_FDS_MAX; k++)
			fds[k] = e.memfd;
		send_it(&e, r->request, r->flags, &r->p, r->len, fds, r->fds);
		if (!!e.vub != r->lives)
			fail_msg("%s: %s", r->name, e.vub ? "lives" : "ended");
		if (!r->lives)
			assert_int_equal(e.why, -EPROTO);
		close_end(&e);
	}
}

/* ---- the stream ---------------------------------------------------------- */

static void byte_by_byte(void **state)
{
	struct vu_head head = { VU_GET_FEATURES, VU_VERSION, 8 };
	uint8_t bytes[20] = { 0 };
	struct end e;

	(void)state;
	open_end(&e, false);
	memcpy(bytes, &head, sizeof(head));
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(send(e.fd, bytes + i, 1, 0), 1);
		turn(&e);
	}
	assert_int_equal(reply(&e, VU_GET_FEATURES),
			 R3_VQ_FEATURES | VU_F_PROTOCOL);
	close_end(&e);
}

static void cut_short(void **state)
{
	struct vu_head head = { VU_SET_FEATURES, VU_VERSION, 8 };
	struct end e;

	(void)state;
	open_end(&e, false);
	assert_int_equal(send(e.fd, &head, sizeof(head), 0), sizeof(head));
	turn(&e);
	assert_non_null(e.vub);
	close_end(&e);
	assert_int_equal(e.why, 0);
}

static void too_long(void **state)
{
	struct vu_head head = { VU_SET_FEATURES, VU_VERSION, UINT32_MAX };
	struct end e;

	(void)state;
	open_end(&e, false);
	assert_int_equal(send(e.fd, &head, sizeof(head), 0), sizeof(head));
	turn(&e);
	assert_null(e.vub);
	close_end(&e);
}

static void acknowledged(void **state)
{
	struct vu_config c = { .len = 1 };
	uint64_t n = R3_VQ_F_VERSION_1 | VU_F_PROTOCOL;
	struct end e;

	(void)state;
	open_end(&e, true);
	send_it(&e, VU_SET_FEATURES, VU_NEED_REPLY, &n, 8, NULL, 0);
	assert_int_equal(reply(&e, VU_SET_FEATURES), 0);
	send_it(&e, VU_SET_CONFIG, VU_NEED_REPLY, &c, 13, NULL, 0);
	assert_int_not_equal(reply(&e, VU_SET_CONFIG), 0);
	assert_non_null(e.vub);
	n |= 1;
	send_it(&e, VU_SET_FEATURES, VU_NEED_REPLY, &n, 8, NULL, 0);
	assert_int_not_equal(reply(&e, VU_SET_FEATURES), 0);
	assert_null(e.vub);
	close_end(&e);
}

/* The same table again, with fds of its own, stops nothing. */
static void same_memory_again(void **state)
{
	struct end e;

	(void)state;
	open_end(&e, true);
	start_queue(&e);
	give_memory(&e);
	assert_int_equal(e.running, 1);
	assert_int_equal(e.added, 1);
	close_end(&e);
}

static void memory_truncated(void **state)
{
	uint64_t one = 1;
	struct end e;

	(void)state;
	signal(SIGBUS, SIG_DFL); /* cmocka catches it */
	open_end(&e, true);
	start_queue(&e);
	assert_int_equal(ftruncate(e.memfd, 0), 0);
	assert_int_equal(write(e.event, &one, sizeof(one)), sizeof(one));
	turn(&e);
	turn(&e);
	assert_null(e.vub);
	assert_int_equal(e.why, -EPROTO);
	close_end(&e);
}

static void index_ran_ahead(void **state)
{
	uint64_t one = 1;
	struct end e;

	(void)state;
	open_end(&e, true);
	start_queue(&e);
	e.mem[256 + 2] = 17; /* available index, in a ring of 16 */
	assert_int_equal(write(e.event, &one, sizeof(one)), sizeof(one));
	turn(&e);
	assert_null(e.vub);
	assert_int_equal(e.why, -EPROTO);
	close_end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_each),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(too_long),
		cmocka_unit_test(acknowledged),
		cmocka_unit_test(same_memory_again),
		cmocka_unit_test(memory_truncated),
		cmocka_unit_test(index_ran_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
