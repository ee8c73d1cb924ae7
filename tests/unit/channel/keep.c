// SPDX-License-Identifier: GPL-2.0-or-later
/* keep.c - a back end dies, and its next life goes on from what was kept */
#include "kept.h"
#include "session.h"

static unsigned kept_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KEPT_MAX; i++)
		n += kept[i].name[0] != 0;
	return n;
}

static void die(struct end *e)
{
	r3_vub_leave(e->vub);
	e->vub = NULL;
	e->running = e->added = 0;
}

static int resume(struct end *e)
{
	return r3_vub_resume(&e->vub, e->loop, &config, &ops, e);
}

static void submit(struct end *e)
{
	uint64_t one = 1;
	uint16_t *avail = (uint16_t *)(void *)(e->mem + 256);
	uint64_t desc[2] = { GUEST + 4096, 16 };

	memcpy(e->mem, desc, sizeof(desc)); /* descriptor 0 */
	avail[2 + avail[1] % 16] = 0;
	avail[1]++;
	assert_int_equal(write(e->event, &one, sizeof(one)), sizeof(one));
	turn(e);
}

static uint16_t used_index(const struct end *e)
{
	uint16_t n;

	memcpy(&n, e->mem + 512 + 2, sizeof(n));
	return n;
}

static void nothing_kept(void **state)
{
	struct end e = { 0 };

	(void)state;
	memset(page, 0, sizeof(page));
	assert_int_equal(resume(&e), -ENOENT);
}

/* The front end has no inflight region: the back end keeps one of its own. */
static void goes_on(void **state)
{
	struct end e;

	(void)state;
	open_end(&e, true);
	start_queue(&e);
	submit(&e);
	assert_int_equal(used_index(&e), 1);
	for (unsigned i = 0; i < 3; i++) {
		e.hold = true;
		submit(&e);
		assert_int_equal(used_index(&e), 1 + i);
		die(&e);
		e.hold = false;
		assert_int_equal(resume(&e), 0);
		assert_int_equal(e.running, 1);
		assert_int_equal(e.added, 1);
		assert_int_equal(e.again, i + 1);
		turn(&e);
		assert_int_equal(used_index(&e), 2 + i);
	}
	/* the socket too */
	set_state(&e, VU_GET_VRING_BASE, 0, 0);
	assert_int_equal(reply(&e, VU_GET_VRING_BASE), UINT64_C(4) << 32);
	close_end(&e);
	assert_int_equal(kept_count(), 0);
	assert_int_equal(resume(&e), -ENOENT);
}

static void message_was_waiting(void **state)
{
	struct vu_head head = { VU_GET_QUEUE_NUM, VU_VERSION, 0 };
	struct end e;

	(void)state;
	open_end(&e, true);
	start_queue(&e);
	assert_int_equal(send(e.fd, &head, sizeof(head), 0), sizeof(head));
	die(&e);
	assert_int_equal(resume(&e), 0);
	turn(&e);
	assert_int_equal(reply(&e, VU_GET_QUEUE_NUM), 2);
	close_end(&e);
}

static void stale(struct end *e)
{
	char c;

	assert_int_equal(resume(e), -ESTALE);
	assert_int_equal(e->running, 0);
	assert_int_equal(e->added, 0);
	assert_int_equal(kept_count(), 0);
	/* the front end sees it, and connects again */
	assert_int_equal(recv(e->fd, &c, 1, MSG_DONTWAIT), 0);
	assert_int_equal(resume(e), -ENOENT);
	e->closed = 1;
	close_end(e);
}

static void in_the_middle_of_a_message(void **state)
{
	struct end e;

	(void)state;
	open_end(&e, true);
	start_queue(&e);
	assert_int_equal(send(e.fd, "\1", 1, 0), 1);
	turn(&e);
	die(&e);
	stale(&e);
}

static void page_makes_no_sense(void **state)
{
	static const struct {
		const char *name;
		uint16_t at; /* in the page: struct vub_state of vub.h */
		uint8_t value;
	} v[] = {
		{ "magic", 0, 0 },
		{ "open is no bool", 4, 2 },
		{ "feature not offered", 8, 1 },
		{ "region length", 48 + 8 + 7, 1 },
		{ "region offset", 48 + 24 + 7, 1 },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(v); i++) {
		struct end e;

		open_end(&e, true);
		start_queue(&e);
		die(&e);
		page[v[i].at] = v[i].value;
		stale(&e);
	}
}

static void fd_is_missing(void **state)
{
	static const char *const names[] = { "client0.c", "client0.m0",
					     "client0.k0", "client0.i" };

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(names); i++) {
		struct end e;

		open_end(&e, true);
		start_queue(&e);
		die(&e);
		if (i == 0) /* or the peer can't see the end of it */
			shutdown(e.fd, SHUT_RDWR);
		drop_fd(NULL, names[i]);
		stale(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_kept),
		cmocka_unit_test(goes_on),
		cmocka_unit_test(message_was_waiting),
		cmocka_unit_test(in_the_middle_of_a_message),
		cmocka_unit_test(page_makes_no_sense),
		cmocka_unit_test(fd_is_missing),
	};

	config.keeper = &keeper;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
