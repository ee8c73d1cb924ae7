// SPDX-License-Identifier: GPL-2.0-or-later
/* config.c - configuration space and regions as bytes: PCI 3.0 chapter 6,
 * linux/vfio.h; sane and hostile */
#include <linux/pci_regs.h>

#include "test.h"
#include "dev.h"
#include "ring3/pci.h"
#include "wire.h"

/* QEMU's NVMe controller bound to vfio-pci, the bytes that matter:
 * MSI-X at 0x40, PCI Express at 0x80, power management at 0x60. */
static void nvme_bytes(uint8_t c[256])
{
	static const uint8_t head[] = {
		0x36, 0x1b, 0x10, 0x00, 0x03, 0x01, 0x10, 0x00, 0x02, 0x02,
		0x08, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0xbf, 0xfe,
	};
	static const uint8_t msix[] = { 0x11, 0x80, 0x40, 0x80, 0x00, 0x20,
					0x00, 0x00, 0x00, 0x30, 0x00, 0x00 };
	static const uint8_t express[] = { 0x10, 0x60, 0x02, 0x00, 0x00, 0x80,
					   0x00, 0x10 };
	static const uint8_t pm[] = { 0x01, 0x00, 0x03, 0x00, 0x0b, 0x00, 0x00,
				      0x00 };

	memset(c, 0, 256);
	memcpy(c, head, sizeof(head));
	memcpy(c + 0x2c, "\xf4\x1a\x00\x11", 4);
	c[0x34] = 0x40;
	c[0x3d] = 1;
	memcpy(c + 0x40, msix, sizeof(msix));
	memcpy(c + 0x80, express, sizeof(express));
	memcpy(c + 0x60, pm, sizeof(pm));
}

static void decodes(void **state)
{
	struct r3_pci_config d;
	uint8_t c[256];

	(void)state;
	nvme_bytes(c);
	assert_int_equal(r3_pci_decode(c, sizeof(c), &d), 0);
	assert_int_equal(d.vendor, 0x1b36);
	assert_int_equal(d.class, 0x010802);
	assert_int_equal(d.subvendor, 0x1af4);
	assert_int_equal(d.subdevice, 0x1100);
	assert_int_equal(d.bars[0].addr, 0xfebf0000);
	assert_true(d.bars[0].wide);
	assert_false(d.bars[1].present);
	assert_int_equal(d.cap_count, 3);
	assert_int_equal(d.msix.vectors, 65);
	assert_true(d.msix.enabled);
	assert_int_equal(d.msix.table_off, 0x2000);
	assert_int_equal(d.msix.pba_off, 0x3000);
	assert_true(d.express.flr);
	assert_int_equal(d.pm.state, 3);
	assert_true(d.pm.no_soft_reset);
	assert_false(d.broken_caps);
}

static void lengths(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		int want;
		unsigned caps;
		bool broken;
	} rows[] = {
		{ "nothing", 0, -EINVAL, 0, false },
		{ "63 bytes", 63, -EINVAL, 0, false },
		{ "64: what a user without rights gets", 64, 0, 0, false },
		{ "a capability cut in two", 0x42, 0, 0, true },
		{ "the first one only", 0x44, 0, 1, true },
		{ "all", 256, 0, 3, false },
	};
	uint8_t c[256];

	(void)state;
	nvme_bytes(c);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_pci_config d;
		uint8_t *exact = malloc(rows[i].len + 1);

		ROW(rows[i].name);
		memcpy(exact, c, rows[i].len);
		assert_int_equal(r3_pci_decode(exact, rows[i].len, &d),
				 rows[i].want);
		if (!rows[i].want) {
			assert_int_equal(d.cap_count, rows[i].caps);
			assert_int_equal(d.broken_caps, rows[i].broken);
		}
		free(exact);
	}
}

static void hostile_chains(void **state)
{
	static const struct {
		const char *name;
		unsigned at;
		uint8_t value;
		unsigned caps;
		bool broken;
	} rows[] = {
		{ "a loop", 0x61, 0x40, R3_PCI_CAPS_MAX, true },
		{ "to itself", 0x41, 0x40, R3_PCI_CAPS_MAX, true },
		{ "into the header", 0x61, 0x10, 3, true },
		{ "the reserved bits don't count", 0x41, 0x83, 3, false },
		{ "no list by its status", 0x06, 0, 0, false },
		{ "no list by its pointer", 0x34, 0, 0, false },
		{ "the last four bytes", 0x61, 0xfc, 4, false },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_pci_config d;
		uint8_t c[256];

		ROW(rows[i].name);
		nvme_bytes(c);
		c[rows[i].at] = rows[i].value;
		assert_int_equal(r3_pci_decode(c, sizeof(c), &d), 0);
		assert_int_equal(d.cap_count, rows[i].caps);
		assert_int_equal(d.broken_caps, rows[i].broken);
	}
}

static void no_device(void **state)
{
	struct r3_pci_config d;
	uint8_t c[256];

	(void)state;
	memset(c, 0xff, sizeof(c));
	assert_int_equal(r3_pci_decode(c, sizeof(c), &d), -ENODEV);
}

static void extended(void **state)
{
	static uint8_t c[4096];
	struct r3_pci_config d;

	(void)state;
	nvme_bytes(c);
	memcpy(c + 0x100, "\x01\x00\x02\x15", 4); /* AER v2, next 0x150 */
	memcpy(c + 0x150, "\x0e\x00\x01\x00", 4); /* ARI v1, last */
	assert_int_equal(r3_pci_decode(c, sizeof(c), &d), 0);
	assert_int_equal(d.ext_cap_count, 2);
	assert_int_equal(d.ext_caps[0].id, PCI_EXT_CAP_ID_ERR);
	assert_int_equal(d.ext_caps[0].version, 2);
	assert_int_equal(d.ext_caps[1].off, 0x150);
	ROW("a loop");
	memcpy(c + 0x150, "\x0e\x00\x01\x10", 4);
	assert_int_equal(r3_pci_decode(c, sizeof(c), &d), 0);
	assert_int_equal(d.ext_cap_count, R3_PCI_CAPS_MAX);
	assert_true(d.broken_caps);
	ROW("below 0x100");
	memcpy(c + 0x150, "\x0e\x00\x01\x04", 4);
	assert_int_equal(r3_pci_decode(c, sizeof(c), &d), 0);
	assert_true(d.broken_caps);
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "0000:00:03.0", "0000:00:03.0" },
		{ "00:03.0", "0000:00:03.0" },
		{ "ABCD:ef:1f.7", "abcd:ef:1f.7" },
		{ "0000:00:20.0", NULL }, { "0000:00:03.8", NULL },
		{ "0000:00:03", NULL },	  { "0000:00:03.0x", NULL },
		{ "0000:00:03.00", NULL }, { "", NULL }, { ":::.", NULL },
		{ "../../etc", NULL },	  { "00:03.0/../x", NULL },
		{ "0000:00:-3.0", NULL }, { " 00:03.0", NULL },
		{ "00000:00:03.0", NULL },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		char bdf[R3_PCI_BDF_LEN] = "";

		ROW(rows[i].text);
		assert_int_equal(r3_pci_parse_bdf(rows[i].text, bdf),
				 rows[i].want ? 0 : -EINVAL);
		if (rows[i].want)
			assert_string_equal(bdf, rows[i].want);
	}
}

/* ---- a region's description --------------------------------------------- */

struct bytes {
	struct vu_region_info head;
	struct vu_cap_sparse sparse;
	struct vu_area areas[2];
	struct vu_cap_head msix;
};

static struct bytes region(void)
{
	return (struct bytes){
		.head = { .argsz = r3_le32_of(sizeof(struct bytes)),
			  .flags = r3_le32_of(0xf),
			  .cap_offset =
				  r3_le32_of(offsetof(struct bytes, sparse)),
			  .size = r3_le64_of(0x4000),
			  .offset = r3_le64_of(0x10000) },
		.sparse = { .head = { .id = r3_le16_of(1),
				      .version = r3_le16_of(1),
				      .next = r3_le32_of(offsetof(
					      struct bytes, msix)) },
			    .count = r3_le32_of(2) },
		.areas = { { r3_le64_of(0), r3_le64_of(0x1000) },
			   { r3_le64_of(0x2000), r3_le64_of(0x2000) } },
		.msix = { .id = r3_le16_of(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) },
	};
}

static void regions(void **state)
{
	struct r3_device_region reg;
	struct bytes b = region();
	uint64_t off;

	(void)state;
	assert_int_equal(device_parse_region((uint8_t *)&b, sizeof(b), &reg,
					     &off), 0);
	assert_int_equal(reg.size, 0x4000);
	assert_int_equal(off, 0x10000);
	assert_int_equal(reg.area_count, 2);
	assert_int_equal(reg.areas[1].off, 0x2000);
	assert_true(reg.msix_mappable);
	ROW("cut anywhere");
	for (size_t len = 0; len < sizeof(b); len++)
		assert_int_equal(device_parse_region((uint8_t *)&b, len, &reg,
						     &off), -EPROTO);
	ROW("not mappable, whatever the areas say");
	b.head.flags = r3_le32_of(0xb);
	assert_int_equal(device_parse_region((uint8_t *)&b, sizeof(b), &reg,
					     &off), 0);
	assert_int_equal(reg.area_count, 0);
	ROW("no areas: all of it");
	b = region();
	b.head.flags = r3_le32_of(7);
	assert_int_equal(device_parse_region((uint8_t *)&b, sizeof(b), &reg,
					     &off), 0);
	assert_int_equal(reg.area_count, 1);
	assert_int_equal(reg.areas[0].len, 0x4000);
}

static void hostile_regions(void **state)
{
	struct row {
		const char *name;
		size_t at;
		uint64_t value;
		size_t len;
	};
	static const struct row rows[] = {
#define AT(field) offsetof(struct bytes, field), /* value follows */
		{ "more areas than bytes", AT(sparse.count) 5, 4 },
		{ "very many areas", AT(sparse.count) UINT32_MAX, 4 },
		{ "an area past the end", AT(areas[1].size) 0x3000, 8 },
		{ "an area that wraps", AT(areas[1].offset) -0x1000ll, 8 },
		{ "an area not aligned", AT(areas[0].size) 0x800, 8 },
		{ "capabilities loop", AT(msix.next) 32, 4 },
		{ "capability outside", AT(msix.next) 0x1000, 4 },
		{ "capability at the top", AT(msix.next) UINT32_MAX, 4 },
		{ "size over 63 bits", AT(head.size) INT64_MIN, 8 },
		{ "offset and size wrap", AT(head.offset) INT64_MAX, 8 },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_device_region reg;
		struct bytes b = region();
		uint64_t off;

		ROW(rows[i].name);
		memcpy((uint8_t *)&b + rows[i].at, &rows[i].value,
		       rows[i].len);
		assert_int_equal(device_parse_region((uint8_t *)&b, sizeof(b),
						     &reg, &off), -EPROTO);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes),
		cmocka_unit_test(lengths),
		cmocka_unit_test(hostile_chains),
		cmocka_unit_test(no_device),
		cmocka_unit_test(extended),
		cmocka_unit_test(addresses),
		cmocka_unit_test(regions),
		cmocka_unit_test(hostile_regions),
	};

	return cmocka_run_group_tests_name("device config", tests, NULL, NULL);
}
