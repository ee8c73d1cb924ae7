/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pair.h - both sides of one queue in one process, for tests */
#ifndef TEST_CHANNEL_PAIR_H
#define TEST_CHANNEL_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ring3/channel.h"

#define PAIR_GUEST UINT64_C(0x100000) /* where the memory starts */
#define PAIR_DATA  (64 * 1024)	      /* behind the ring */
#define PAIR_TABLE 8		      /* entries of an indirect table */

struct pair_form {
	const char *name;
	bool packed, event_idx, indirect, inflight;
	uint16_t size;
};

struct pair {
	struct pair_form form;
	struct r3_vring ring;
	struct r3_vring_layout layout;
	struct r3_regions mem;
	struct r3_vq_device device;
	struct r3_vq_driver driver;
	uint8_t *host;	/* ring, tables, data */
	uint64_t data;	/* as the driver names it */
	size_t len;
	void *inflight;
};

static inline uint8_t *pair_host(struct pair *p, uint64_t addr)
{
	return p->host + (addr - PAIR_GUEST);
}

static inline void pair_open_device(struct pair *p, uint32_t base)
{
	assert_int_equal(
		r3_vq_device_init(&p->device, &p->ring, &p->mem, base), 0);
}

static inline void pair_open(struct pair *p, const struct pair_form *form)
{
	struct r3_region reg = { .addr = PAIR_GUEST, .fd = -1,
				 .prot = R3_READ | R3_WRITE };
	size_t tables;

	*p = (struct pair){ .form = *form };
	assert_int_equal(
		r3_vring_layout(form->size, form->packed, &p->layout), 0);
	tables = (size_t)form->size * PAIR_TABLE * 16;
	p->len = p->layout.len + tables + PAIR_DATA;
	p->host = aligned_alloc(4096, (p->len + 4095) / 4096 * 4096);
	memset(p->host, 0, p->len);
	p->data = PAIR_GUEST + p->layout.len + tables;
	p->ring = (struct r3_vring){
		.desc = p->host,
		.driver = p->host + p->layout.driver,
		.device = p->host + p->layout.device,
		.size = form->size,
		.packed = form->packed,
		.event_idx = form->event_idx,
		.indirect = form->indirect,
	};
	assert_int_equal(r3_regions_init(&p->mem, 4), 0);
	reg.len = p->len;
	reg.host = p->host;
	reg.iova = PAIR_GUEST;
	assert_int_equal(r3_regions_add(&p->mem, &reg, NULL), 0);
	assert_int_equal(
		r3_vq_driver_init(&p->driver, &p->ring,
				  form->indirect ? p->host + p->layout.len :
						   NULL,
				  PAIR_GUEST + p->layout.len, PAIR_TABLE),
		0);
	pair_open_device(p, form->packed ? R3_VQ_BASE_PACKED : 0);
	if (form->inflight) {
		p->inflight = calloc(
			1, r3_vq_inflight_len(form->size, form->packed));
		assert_int_equal(
			r3_vq_device_recover(&p->device, p->inflight), 0);
	}
}

static inline void pair_close(struct pair *p)
{
	r3_vq_device_fini(&p->device);
	r3_vq_driver_fini(&p->driver);
	r3_regions_fini(&p->mem);
	free(p->host);
	free(p->inflight);
}

#endif
