// SPDX-License-Identifier: GPL-2.0-or-later
/* queue.c - submission and completion rings, doorbells, hostile completions */
#include "test.h"
#include "nvme_queue.h"

#define SIZE 4

struct fixture {
	struct nvme_queue q;
	struct r3_nvme_sqe sq[SIZE];
	struct r3_nvme_cqe cq[SIZE];
	unsigned posted; /* completions, by the "controller" */
	uint32_t rung[64];
	unsigned rings;
};

static void ring(void *arg, uint32_t off, uint32_t value)
{
	struct fixture *f = arg;

	(void)off;
	f->rung[f->rings++ % 64] = value;
}

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(nvme_queue_init(&f->q, 1, SIZE), 0);
	nvme_queue_reset(&f->q, f->sq, f->cq);
	f->q.sq_db = (struct nvme_doorbell){ .ring = ring, .arg = f };
	f->q.cq_db = (struct nvme_doorbell){ .ring = ring, .arg = f };
}

static uint16_t add(struct fixture *f, void *user)
{
	struct r3_nvme_sqe e = { .opcode = R3_NVME_READ };
	uint16_t slot = nvme_queue_add(&f->q, &e, user);

	return nvme_queue_cid(&f->q, slot);
}

static void post(struct fixture *f, uint16_t cid, uint16_t sqid, uint16_t sqhd,
		 uint16_t status)
{
	struct r3_nvme_cqe *e = &f->cq[f->posted % SIZE];

	e->sqid = r3_le16_of(sqid);
	e->sqhd = r3_le16_of(sqhd);
	r3_nvme_cqe_store_dw3(e, R3_NVME_DW3_OF(cid, status,
						!(f->posted / SIZE % 2)));
	f->posted++;
}

static void goes_round(void **state)
{
	struct nvme_done d;
	struct fixture f;
	int users[SIZE];

	(void)state;
	make(&f);
	/* many times round both rings, with every fill level, phases flip */
	for (int round = 0; round < 50; round++) {
		int n = 1 + round % (SIZE - 1);
		uint16_t cid[SIZE];

		for (int i = 0; i < n; i++)
			cid[i] = add(&f, &users[i]);
		assert_int_equal(nvme_queue_in_flight(&f.q), n);
		nvme_queue_ring(&f.q);
		assert_int_equal(nvme_queue_next(&f.q, &d), 0);
		for (int i = n; i-- > 0;) { /* in any order */
			post(&f, cid[i], 1, f.q.tail, 0);
			assert_true(nvme_queue_pending(&f.q));
			assert_int_equal(nvme_queue_next(&f.q, &d), 1);
			assert_ptr_equal(d.user, &users[i]);
		}
		nvme_queue_ack(&f.q);
		assert_int_equal(nvme_queue_next(&f.q, &d), 0);
		assert_int_equal(nvme_queue_room(&f.q), SIZE - 1);
	}
	nvme_queue_fini(&f.q);
}

static void ids_are_unique_over_time(void **state)
{
	struct nvme_done d;
	struct fixture f;
	uint16_t before = 0xffff;
	int user;

	(void)state;
	make(&f);
	for (int i = 0; i < 200; i++) {
		uint16_t cid = add(&f, &user);

		assert_int_not_equal(cid, 0xffff);
		assert_int_not_equal(cid, before);
		before = cid;
		post(&f, cid, 1, 0, 0);
		assert_int_equal(nvme_queue_next(&f.q, &d), 1);
	}
	nvme_queue_fini(&f.q);
}

static void refuses_nonsense(void **state)
{
	static const struct {
		const char *name;
		int cid_add; /* to a good one */
		uint16_t sqid, sqhd;
		bool twice;
		int want;
	} rows[] = {
		{ "good", 0, 1, 0, false, 1 },
		{ "another queue's", 0, 2, 0, false, -EPROTO },
		{ "the admin queue's", 0, 0, 0, false, -EPROTO },
		{ "head at the last entry", 0, 1, SIZE - 1, false, 1 },
		{ "head past the queue", 0, 1, SIZE, false, -EPROTO },
		{ "head 0xffff", 0, 1, 0xffff, false, -EPROTO },
		{ "a free slot", -1, 1, 0, false, -EPROTO },
		{ "slot past the queue", 1000, 1, 0, false, -EPROTO },
		{ "an older generation", -1024, 1, 0, false, -EPROTO },
		{ "completed twice", 0, 1, 0, true, -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct nvme_done d;
		struct fixture f;
		uint16_t cid;
		int user;

		ROW(rows[i].name);
		make(&f);
		cid = add(&f, &user);
		post(&f, cid, 1, 0, 0);
		assert_int_equal(nvme_queue_next(&f.q, &d), 1);
		add(&f, &user);
		cid = add(&f, &user);
		if (rows[i].twice) {
			post(&f, cid, 1, 0, 0);
			assert_int_equal(nvme_queue_next(&f.q, &d), 1);
		}
		post(&f, (uint16_t)(cid + rows[i].cid_add *
				    (rows[i].cid_add == -1 ? -1 : 1)),
		     rows[i].sqid, rows[i].sqhd, 0);
		assert_int_equal(nvme_queue_next(&f.q, &d), rows[i].want);
		if (rows[i].want < 0)
			assert_non_null(f.q.why);
		nvme_queue_fini(&f.q);
	}
}

static void shadow_doorbells_are_enough(void **state)
{
	static const struct {
		const char *name;
		uint16_t before, now, event;
		bool rung;
	} rows[] = { /* virtio 1.2, 2.7.10's rule */
		{ "event at the old value", 3, 4, 3, true },
		{ "event inside the batch", 3, 9, 5, true },
		{ "event at the new value", 3, 4, 4, false },
		{ "event behind", 3, 4, 1, false },
		{ "event far ahead", 3, 4, 1000, false },
		{ "wraps, event passed", 65535, 1, 65535, true },
		{ "wraps, event not passed", 65535, 1, 65534, false },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct fixture f = { .rings = 0 };
		uint32_t shadow = 0, event = rows[i].event;
		struct nvme_doorbell db = { .ring = ring, .arg = &f,
					    .shadow = &shadow,
					    .event = &event,
					    .last = rows[i].before };

		ROW(rows[i].name);
		nvme_doorbell_ring(&db, rows[i].now);
		assert_int_equal(shadow, rows[i].now);
		assert_int_equal(f.rings, rows[i].rung);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_round),
		cmocka_unit_test(ids_are_unique_over_time),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(shadow_doorbells_are_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
