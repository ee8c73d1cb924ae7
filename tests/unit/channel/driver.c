// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver.c - the driver's side, with a device that breaks the rules, and the
 * waiting, the suppression and the restart of a queue
 */
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pair.h"

static const struct pair_form split = { "split", false, true, false, false, 8 };
static const struct pair_form packed = { "packed", true, true, false, false,
					 8 };

static void add(struct pair *p, unsigned readable, unsigned writable,
		void *cookie)
{
	struct r3_vq_buf buf[4];

	for (unsigned i = 0; i < readable + writable; i++)
		buf[i] = (struct r3_vq_buf){ p->data + i * 64, 16 };
	assert_int_equal(r3_vq_driver_add(&p->driver, buf, readable, writable,
					  cookie), 0);
	r3_vq_driver_publish(&p->driver);
}

static int get(struct pair *p, uint32_t *written)
{
	void *cookie;

	return r3_vq_driver_get(&p->driver, &cookie, written);
}

/* One request of one descriptor is in flight; id 0, 16 bytes of room. */
static void bad_split(void **state)
{
	static const struct {
		const char *name;
		uint16_t idx;
		uint32_t id, len;
		int get;
		uint32_t written;
	} v[] = {
		{ "nothing", 0, 0, 0, 0, 0 },
		{ "done", 1, 0, 16, 1, 16 },
		{ "more written than there was room", 1, 0, 17, 1, 16 },
		{ "index ran ahead", 2, 0, 0, -EPROTO, 0 },
		{ "index went back", 65535, 0, 0, -EPROTO, 0 },
		{ "id that is not in flight", 1, 1, 0, -EPROTO, 0 },
		{ "id behind the ring", 1, 8, 0, -EPROTO, 0 },
		{ "id of 32 bits", 1, 65536, 0, -EPROTO, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(v); i++) {
		struct vring_used *used;
		uint32_t written = 0;
		struct pair p;
		int n;

		pair_open(&p, &split);
		add(&p, 0, 1, &p);
		used = p.ring.device;
		used->ring[0] = (struct vring_used_elem){ v[i].id, v[i].len };
		used->idx = v[i].idx;
		n = get(&p, &written);
		if (n != v[i].get || written != v[i].written)
			fail_msg("%s: %d, %u bytes", v[i].name, n, written);
		assert_int_equal(r3_vq_driver_pending(&p.driver), n < 0);
		pair_close(&p);
	}
}

#define USED1 (1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED)

static void bad_packed(void **state)
{
	static const struct {
		const char *name;
		uint16_t id, flags;
		int get;
	} v[] = {
		{ "still the driver's", 0, 1 << VRING_PACKED_DESC_F_AVAIL, 0 },
		{ "used in the other lap", 0, 0, 0 },
		{ "done", 0, USED1, 1 },
		{ "id that is not in flight", 1, USED1, -EPROTO },
		{ "last id", 7, USED1, -EPROTO },
		{ "id behind the ring", 8, USED1, -EPROTO },
		{ "largest id", 65535, USED1, -EPROTO },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(v); i++) {
		struct vring_packed_desc *d;
		uint32_t written = 0;
		struct pair p;
		int n;

		pair_open(&p, &packed);
		add(&p, 0, 1, &p);
		d = p.ring.desc;
		d->id = v[i].id;
		d->len = 16;
		d->flags = v[i].flags;
		n = get(&p, &written);
		if (n != v[i].get)
			fail_msg("%s: %d", v[i].name, n);
		pair_close(&p);
	}
}

/* A completed id must not be completed again. */
static void done_twice(void **state)
{
	struct vring_used *used;
	uint32_t written;
	struct pair p;

	(void)state;
	pair_open(&p, &split);
	add(&p, 1, 0, &p);
	add(&p, 1, 0, &p);
	used = p.ring.device;
	used->ring[0].id = used->ring[1].id = 0;
	used->idx = 2;
	assert_int_equal(get(&p, &written), 1);
	assert_int_equal(get(&p, &written), -EPROTO);
	assert_int_equal(get(&p, &written), -EPROTO);
	pair_close(&p);
}

static void counts(void **state)
{
	const struct pair_form *forms[] = { &split, &packed };
	struct r3_vq_buf buf[9] = { { 0 } };
	struct pair p;

	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		pair_open(&p, forms[f]);
		assert_int_equal(r3_vq_driver_add(&p.driver, buf, 0, 0, &p),
				 -EINVAL);
		assert_int_equal(r3_vq_driver_add(&p.driver, buf, 1, 0, NULL),
				 -EINVAL);
		assert_int_equal(r3_vq_driver_add(&p.driver, buf, 9, 0, &p),
				 -EINVAL);
		assert_int_equal(r3_vq_driver_add(&p.driver, buf, 8, 0, &p),
				 0);
		assert_int_equal(r3_vq_driver_add(&p.driver, buf, 1, 0, &p),
				 -ENOSPC);
		pair_close(&p);
	}
}

static void serve_one(struct pair *p)
{
	struct r3_vq_seg seg[8];
	struct r3_vq_req req;

	assert_int_equal(r3_vq_device_pop(&p->device, &req, seg, 8), 1);
	r3_vq_device_push(&p->device, &req, 0);
	r3_vq_device_publish(&p->device);
}

/* Kick and call exactly when the other side sleeps, over many laps, with and
 * without event indices. */
static void suppression(void **state)
{
	const struct pair_form forms[] = {
		split, packed,
		{ "split, flags", false, false, false, false, 8 },
		{ "packed, flags", true, false, false, false, 8 },
	};

	(void)state;
	for (unsigned f = 0; f < R3_COUNT(forms); f++) {
		uint32_t written;
		struct pair p;

		pair_open(&p, &forms[f]);
		for (unsigned i = 0; i < 200; i++) {
			assert_false(r3_vq_device_arm(&p.device));
			assert_false(r3_vq_driver_arm(&p.driver));
			add(&p, 1, 0, &p);
			assert_true(r3_vq_driver_should_kick(&p.driver));
			assert_false(r3_vq_driver_should_kick(&p.driver));
			r3_vq_device_disarm(&p.device);
			add(&p, 1, 0, &p);
			assert_false(r3_vq_driver_should_kick(&p.driver));
			/* work is there: must not sleep */
			assert_true(r3_vq_device_arm(&p.device));
			r3_vq_device_disarm(&p.device);
			serve_one(&p);
			assert_true(r3_vq_device_should_signal(&p.device));
			r3_vq_driver_disarm(&p.driver);
			serve_one(&p);
			assert_false(r3_vq_device_should_signal(&p.device));
			assert_true(r3_vq_driver_arm(&p.driver));
			assert_int_equal(get(&p, &written), 1);
			assert_int_equal(get(&p, &written), 1);
			assert_int_equal(get(&p, &written), 0);
		}
		pair_close(&p);
	}
}

static void waiting(void **state)
{
	const struct pair_form *forms[] = { &split, &packed };
	int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t one = 1;
	uint32_t written;
	struct pair p;

	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		pair_open(&p, forms[f]);
		add(&p, 1, 0, &p);
		assert_int_equal(r3_vq_driver_wait(&p.driver, call, 20, 2),
				 -ETIMEDOUT);
		/* a call that is older than the sleep */
		assert_int_equal(write(call, &one, sizeof(one)), sizeof(one));
		assert_int_equal(r3_vq_driver_wait(&p.driver, call, 0, 2),
				 -ETIMEDOUT);
		serve_one(&p);
		assert_int_equal(r3_vq_driver_wait(&p.driver, call, 0, -1), 0);
		assert_int_equal(get(&p, &written), 1);
		pair_close(&p);
	}
	close(call);
}

/* A device without memory begins anew: all that was in flight, in order. */
static void restart(void **state)
{
	const struct pair_form *forms[] = { &split, &packed };

	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		char names[4];
		uint32_t written;
		struct pair p;

		pair_open(&p, forms[f]);
		for (unsigned i = 0; i < 4; i++)
			add(&p, 1, 1, &names[i]);
		serve_one(&p);
		serve_one(&p);
		assert_int_equal(get(&p, &written), 1);
		/* names[1] is done, but the driver has not seen it */
		r3_vq_device_fini(&p.device);
		r3_vq_driver_restart(&p.driver);
		add(&p, 1, 0, &names[0]);
		pair_open_device(&p, forms[f]->packed ? R3_VQ_BASE_PACKED : 0);
		for (unsigned i = 0; i < 4; i++) {
			void *cookie;

			serve_one(&p);
			assert_int_equal(r3_vq_driver_get(&p.driver, &cookie,
							  &written), 1);
			assert_ptr_equal(cookie, &names[(i + 1) % 4]);
		}
		assert_int_equal(get(&p, &written), 0);
		assert_int_equal(p.driver.free_count, 8);
		pair_close(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_split),   cmocka_unit_test(bad_packed),
		cmocka_unit_test(done_twice),  cmocka_unit_test(counts),
		cmocka_unit_test(suppression), cmocka_unit_test(waiting),
		cmocka_unit_test(restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
