// SPDX-License-Identifier: GPL-2.0-or-later
/* type1.c - VFIO_IOMMU_GET_INFO as bytes (linux/vfio.h), sane and not */
#include <linux/vfio.h>

#include "test.h"
#include "type1.h"

struct info {
	struct vfio_iommu_type1_info head;
	struct { /* vfio_iommu_type1_info_cap_iova_range */
		struct vfio_info_cap_header header;
		uint32_t nr_iovas, reserved;
	} ranges;
	struct vfio_iova_range v[2];
	struct vfio_iommu_type1_info_dma_avail avail;
};

/* As Linux 6.1 answers in a machine with a 39-bit VT-d. */
static const struct info linux61 = {
	.head = { .argsz = sizeof(struct info),
		  .flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		  .iova_pgsizes = 0x40201000,
		  .cap_offset = offsetof(struct info, ranges) },
	.ranges = { .header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
				.version = 1,
				.next = offsetof(struct info, avail) },
		    .nr_iovas = 2 },
	.v = { { 0, 0xfedfffff }, { 0xfef00000, 0x7fffffffff } },
	.avail = { .header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			       .version = 1 },
		   .avail = 65535 },
};

static void understood(void **state)
{
	struct r3_space_limits l = { 0 };
	struct vfio_iommu_type1_info old = {
		.argsz = sizeof(old), .flags = VFIO_IOMMU_INFO_PGSIZES,
		.iova_pgsizes = 0x1000,
	};

	(void)state;
	assert_int_equal(type1_parse_info((const uint8_t *)&linux61,
					  sizeof(linux61), &l), 0);
	assert_int_equal(l.page_sizes, 0x40201000);
	assert_int_equal(l.max_maps, 65535);
	assert_int_equal(l.range_count, 2);
	assert_int_equal(l.ranges[1].first, 0xfef00000);
	assert_int_equal(l.ranges[1].last, 0x7fffffffff);
	ROW("without capabilities: not the interrupts' window");
	assert_int_equal(type1_parse_info((uint8_t *)&old, sizeof(old), &l),
			 0);
	assert_int_equal(l.range_count, 2);
	assert_int_equal(l.ranges[0].last, 0xfedfffff);
}

static void refused(void **state)
{
	struct r3_space_limits l;
	struct info in;

	(void)state;
	ROW("cut anywhere");
	for (size_t len = 0; len < offsetof(struct info, avail) +
				    sizeof(in.avail); len++) {
		int err = type1_parse_info((const uint8_t *)&linux61, len, &l);

		assert_int_equal(err, -EPROTO);
	}
	ROW("capability outside");
	in = linux61;
	in.head.cap_offset = sizeof(in) - 4;
	assert_int_equal(type1_parse_info((uint8_t *)&in, sizeof(in), &l),
			 -EPROTO);
	in.head.cap_offset = UINT32_MAX;
	assert_int_equal(type1_parse_info((uint8_t *)&in, sizeof(in), &l),
			 -EPROTO);
	ROW("the chain loops");
	in = linux61;
	in.avail.header.next = offsetof(struct info, ranges);
	assert_int_equal(type1_parse_info((uint8_t *)&in, sizeof(in), &l),
			 -EPROTO);
	ROW("more ranges than bytes");
	in = linux61;
	in.ranges.nr_iovas = 5;
	assert_int_equal(type1_parse_info((uint8_t *)&in, sizeof(in), &l),
			 -EPROTO);
	in.ranges.nr_iovas = UINT32_MAX;
	assert_int_equal(type1_parse_info((uint8_t *)&in, sizeof(in), &l),
			 -EPROTO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(understood),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests_name("space type1", tests, NULL, NULL);
}
