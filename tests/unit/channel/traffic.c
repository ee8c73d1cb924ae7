// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * traffic.c - random traffic through each form of queue, every byte checked
 *
 * The device finishes requests out of order and in batches.  With an inflight
 * region it also dies between calls and comes back: requests are then done
 * again, in the order of their submission, and each completes once.
 */
#include "pair.h"

#define ROUNDS	 40000
#define BUFS_MAX 6
#define BUF_LEN	 24

static const struct pair_form forms[] = {
	{ "split", false, false, false, false, 16 },
	{ "split, event index", false, true, false, false, 16 },
	{ "split, indirect", false, true, true, false, 8 },
	{ "split, inflight", false, true, false, true, 16 },
	{ "split, inflight, indirect", false, false, true, true, 8 },
	{ "split, one entry", false, true, true, true, 1 },
	{ "packed", true, false, false, false, 16 },
	{ "packed, event index", true, true, false, false, 16 },
	{ "packed, size no power of two", true, true, false, false, 7 },
	{ "packed, indirect", true, true, true, false, 8 },
	{ "packed, inflight", true, true, false, true, 16 },
	{ "packed, inflight, indirect, 5", true, false, true, true, 5 },
	{ "packed, one entry", true, true, true, true, 1 },
};

struct request {
	bool used;
	uint64_t number;
	unsigned readable, writable;
	struct r3_vq_buf buf[BUFS_MAX];
};

struct world {
	struct pair p;
	struct request req[R3_VQ_SIZE_MAX];
	struct r3_vq_req held[R3_VQ_SIZE_MAX]; /* in the device's hands */
	uint32_t held_written[R3_VQ_SIZE_MAX];
	unsigned held_count;
	uint64_t numbers, completed, executed, deaths;
	unsigned kicks, calls;
};

static unsigned dice(unsigned sides)
{
	return (unsigned)random() % sides;
}

/* Each request has its own piece of the data area. */
static void submit(struct world *w)
{
	struct pair *p = &w->p;
	struct request *r;
	unsigned i = dice(p->form.size), n;
	uint64_t addr = p->data + i * BUFS_MAX * BUF_LEN;

	r = &w->req[i];
	if (r->used || dice(2)) {
		r3_vq_driver_publish(&p->driver);
		w->kicks += r3_vq_driver_should_kick(&p->driver);
		return;
	}
	*r = (struct request){ .number = ++w->numbers };
	n = 1 + dice(p->form.indirect ? BUFS_MAX :
					(unsigned)r3_min(BUFS_MAX,
							 p->form.size));
	r->readable = dice(n + 1);
	r->writable = n - r->readable;
	for (unsigned k = 0; k < n; k++) {
		r->buf[k].addr = addr + k * BUF_LEN;
		r->buf[k].len = 8 + dice(BUF_LEN - 7);
		memset(pair_host(p, r->buf[k].addr), 0, BUF_LEN);
		if (k < r->readable)
			memcpy(pair_host(p, r->buf[k].addr), &r->number, 8);
	}
	if (!r3_vq_driver_add(&p->driver, r->buf, r->readable, r->writable, r))
		r->used = true;
}

/* The device's work: check what is readable, answer in what is writable. */
static void execute(struct world *w, struct r3_vq_req *req)
{
	uint64_t number = UINT64_MAX, got;
	uint32_t written = 0;

	for (unsigned i = 0; i < req->readable; i++) {
		memcpy(&got, req->seg[i].host, 8);
		assert_true(i == 0 || got == number);
		number = got;
	}
	for (unsigned i = 0; i < req->writable; i++) {
		struct r3_vq_seg *s = &req->seg[req->readable + i];

		memset(s->host, 0x5a, s->len);
		written += s->len;
	}
	w->executed++;
	w->held[w->held_count] = *req;
	w->held_written[w->held_count++] = written;
}

static void device_takes(struct world *w)
{
	struct r3_vq_seg seg[BUFS_MAX];
	struct r3_vq_req req;
	int n = r3_vq_device_pop(&w->p.device, &req, seg, BUFS_MAX);

	assert_true(n >= 0);
	if (n)
		execute(w, &req);
}

static void device_finishes(struct world *w)
{
	unsigned n = dice(4);

	for (; n && w->held_count; n--) {
		unsigned i = dice(w->held_count);

		r3_vq_device_push(&w->p.device, &w->held[i],
				  w->held_written[i]);
		w->held[i] = w->held[--w->held_count];
		w->held_written[i] = w->held_written[w->held_count];
	}
	if (dice(3) == 0)
		return;
	r3_vq_device_publish(&w->p.device);
	w->calls += r3_vq_device_should_signal(&w->p.device);
}

static void device_dies(struct world *w)
{
	struct pair *p = &w->p;
	struct r3_vq_seg seg[BUFS_MAX];
	struct r3_vq_req req;
	uint64_t last = 0;
	int n, again;

	if (!p->form.inflight)
		return;
	/* what was staged is lost as well */
	r3_vq_device_fini(&p->device);
	w->held_count = 0;
	w->deaths++;
	pair_open_device(p, p->form.packed ? R3_VQ_BASE_PACKED : 0);
	again = r3_vq_device_recover(&p->device, p->inflight);
	assert_true(again >= 0);
	while ((n = r3_vq_device_next_inflight(&p->device, &req, seg,
					       BUFS_MAX)) == 1) {
		uint64_t number;

		again--;
		if (req.readable) {
			memcpy(&number, req.seg[0].host, 8);
			assert_true(number > last);
			last = number;
		}
		execute(w, &req);
	}
	assert_int_equal(n, 0);
	assert_int_equal(again, 0);
}

static void driver_takes(struct world *w)
{
	struct pair *p = &w->p;
	uint32_t written, room = 0;
	struct request *r;
	void *cookie;
	int n = r3_vq_driver_get(&p->driver, &cookie, &written);

	assert_true(n >= 0);
	if (!n)
		return;
	r = cookie;
	assert_true(r->used);
	for (unsigned k = r->readable; k < r->readable + r->writable; k++) {
		uint8_t *b = pair_host(p, r->buf[k].addr);

		for (unsigned i = 0; i < BUF_LEN; i++)
			assert_int_equal(b[i],
					 i < r->buf[k].len ? 0x5a : 0);
		room += r->buf[k].len;
	}
	assert_int_equal(written, room);
	r->used = false;
	w->completed++;
}

static void drain(struct world *w)
{
	struct pair *p = &w->p;

	r3_vq_driver_publish(&p->driver);
	for (unsigned i = 0; i < 20u * p->form.size; i++) {
		device_takes(w);
		device_finishes(w);
		r3_vq_device_publish(&p->device);
		driver_takes(w);
		driver_takes(w);
	}
	for (unsigned i = 0; i < p->form.size; i++)
		assert_false(w->req[i].used);
	assert_int_equal(p->driver.free_count, p->form.size);
	assert_int_equal(p->device.count, 0);
	assert_int_equal(p->device.places, 0);
}

static void traffic(void **state)
{
	const struct pair_form *form = *state;
	struct world *w = calloc(1, sizeof(*w));

	srandom(7);
	pair_open(&w->p, form);
	for (unsigned i = 0; i < ROUNDS; i++) {
		switch (dice(16)) {
		case 0 ... 5:
			submit(w);
			break;
		case 6 ... 9:
			device_takes(w);
			break;
		case 10 ... 12:
			device_finishes(w);
			break;
		case 13:
			if (dice(8) == 0)
				device_dies(w);
			break;
		default:
			driver_takes(w);
		}
	}
	drain(w);
	assert_true(w->completed > ROUNDS / 50);
	assert_true(w->kicks > 0 && w->calls > 0);
	pair_close(&w->p);
	free(w);
}

int main(void)
{
	struct CMUnitTest tests[R3_COUNT(forms)];

	for (unsigned i = 0; i < R3_COUNT(forms); i++)
		tests[i] = (struct CMUnitTest){
			.name = forms[i].name,
			.test_func = traffic,
			.initial_state = (void *)(uintptr_t)&forms[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
