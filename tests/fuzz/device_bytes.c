// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device_bytes.c - what the device part parses in one piece: configuration
 * space, regions, the IOMMU's capabilities, kernel log lines, versions.  Byte 0
 * chooses.
 */
#include <stdlib.h>

#include "../../src/device/dev.h"
#include "../../src/device/version.h"
#include "../../src/space/type1.h"
#include "ring3/pci.h"

static void config(const uint8_t *p, size_t len)
{
	struct r3_pci_config c;

	if (r3_pci_decode(p, len, &c))
		return;
	assert(c.cap_count <= R3_PCI_CAPS_MAX &&
	       c.ext_cap_count <= R3_PCI_CAPS_MAX);
	for (unsigned i = 0; i < c.cap_count; i++)
		assert(c.caps[i].off >= 0x40 && c.caps[i].off + 4u <= len);
	for (unsigned i = 0; i < c.ext_cap_count; i++)
		assert(c.ext_caps[i].off >= 0x100 &&
		       c.ext_caps[i].off + 4u <= len);
	assert(c.msix.vectors <= 2048 && c.pm.state < 4);
}

static void region(const uint8_t *p, size_t len)
{
	struct r3_device_region reg;
	uint64_t off, end;

	if (device_parse_region(p, len, &reg, &off))
		return;
	assert(reg.area_count <= R3_DEVICE_AREAS_MAX);
	for (unsigned i = 0; i < reg.area_count; i++)
		assert(r3_add(reg.areas[i].off, reg.areas[i].len, &end) &&
		       end <= reg.size && reg.areas[i].len);
}

static void limits(const uint8_t *p, size_t len)
{
	struct r3_space_limits l;

	if (!type1_parse_info(p, len, &l))
		assert(l.range_count <= R3_SPACE_RANGES_MAX);
}

static void version(const uint8_t *p, size_t len)
{
	struct version v;
	uint8_t buf[512];

	if (!version_parse(p, len, &v))
		assert(v.max_xfer && version_build(&v, buf, sizeof(buf)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct r3_dma_fault f;
	uint8_t *exact;

	if (!len)
		return 0;
	/* a copy of just this size, so that a byte too many is seen */
	exact = malloc(len);
	memcpy(exact, data + 1, --len);
	switch (data[0] % 5) {
	case 0:
		config(exact, len);
		break;
	case 1:
		region(exact, len);
		break;
	case 2:
		limits(exact, len);
		break;
	case 3:
		r3_dma_fault_parse((char *)exact, len, &f);
		break;
	case 4:
		version(exact, len);
		break;
	}
	free(exact);
	return 0;
}
