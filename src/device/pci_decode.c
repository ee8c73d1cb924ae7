// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_decode.c - bytes of configuration space as numbers.  PCI 3.0 chapter 6,
 * PCI Express 3.0 chapter 7; offsets from linux/pci_regs.h. */
#include <linux/pci_regs.h>

#include "ring3/pci.h"

struct space_bytes {
	const uint8_t *p;
	size_t len;
};

/* What lies outside reads as 0. */
static uint16_t get16(struct space_bytes b, size_t at)
{
	r3_le16 v = { { 0 } };

	if (at <= b.len && b.len - at >= sizeof(v))
		memcpy(&v, b.p + at, sizeof(v));
	return r3_get_le16(v);
}

static uint32_t get32(struct space_bytes b, size_t at)
{
	return get16(b, at) | (uint32_t)get16(b, at + 2) << 16;
}

/* ---- header ------------------------------------------------------------- */

static void decode_bars(struct space_bytes b, struct r3_pci_config *c)
{
	unsigned count = c->header_type == PCI_HEADER_TYPE_NORMAL ? 6 :
			 c->header_type == PCI_HEADER_TYPE_BRIDGE ? 2 : 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t v = get32(b, PCI_BASE_ADDRESS_0 + i * 4);
		struct r3_pci_bar *bar = &c->bars[i];

		if (!v)
			continue;
		bar->present = true;
		bar->io = v & PCI_BASE_ADDRESS_SPACE_IO;
		if (bar->io) {
			bar->addr = v & ~3u;
			continue;
		}
		bar->prefetch = v & PCI_BASE_ADDRESS_MEM_PREFETCH;
		bar->addr = v & ~0xfu;
		bar->wide = (v & PCI_BASE_ADDRESS_MEM_TYPE_MASK) ==
			    PCI_BASE_ADDRESS_MEM_TYPE_64 && i + 1 < count;
		if (bar->wide)
			bar->addr |= (uint64_t)get32(b, PCI_BASE_ADDRESS_0 +
							++i * 4) << 32;
	}
}

/* ---- capabilities ------------------------------------------------------- */

static void decode_msix(struct space_bytes b, size_t at,
			struct r3_pci_config *c)
{
	uint16_t flags = get16(b, at + PCI_MSIX_FLAGS);
	uint32_t table = get32(b, at + PCI_MSIX_TABLE);
	uint32_t pba = get32(b, at + PCI_MSIX_PBA);

	c->msix.present = true;
	c->msix.vectors = (flags & PCI_MSIX_FLAGS_QSIZE) + 1;
	c->msix.enabled = flags & PCI_MSIX_FLAGS_ENABLE;
	c->msix.table_bar = table & PCI_MSIX_TABLE_BIR;
	c->msix.table_off = table & PCI_MSIX_TABLE_OFFSET;
	c->msix.pba_bar = pba & PCI_MSIX_PBA_BIR;
	c->msix.pba_off = pba & PCI_MSIX_PBA_OFFSET;
}

static void decode_pm(struct space_bytes b, size_t at, struct r3_pci_config *c)
{
	uint16_t pmc = get16(b, at + PCI_PM_PMC);
	uint16_t ctrl = get16(b, at + PCI_PM_CTRL);

	c->pm.present = true;
	c->pm.d1 = pmc & PCI_PM_CAP_D1;
	c->pm.d2 = pmc & PCI_PM_CAP_D2;
	c->pm.no_soft_reset = ctrl & PCI_PM_CTRL_NO_SOFT_RESET;
	c->pm.state = ctrl & PCI_PM_CTRL_STATE_MASK;
}

static void decode_express(struct space_bytes b, size_t at,
			   struct r3_pci_config *c)
{
	uint16_t link = get16(b, at + PCI_EXP_LNKSTA);

	c->express.present = true;
	c->express.type =
		(get16(b, at + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_TYPE) >> 4;
	c->express.flr = get32(b, at + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR;
	c->express.speed = link & PCI_EXP_LNKSTA_CLS;
	c->express.width = (link & PCI_EXP_LNKSTA_NLW) >>
			   PCI_EXP_LNKSTA_NLW_SHIFT;
}

/* The lower two bits of a pointer are reserved (PCI 3.0 6.7). */
static void decode_caps(struct space_bytes b, struct r3_pci_config *c)
{
	size_t at = get16(b, PCI_CAPABILITY_LIST) & 0xfc;

	while (at) {
		uint16_t head = get16(b, at);

		if (at < 0x40 || at + 4 > b.len ||
		    c->cap_count == R3_PCI_CAPS_MAX) {
			/* without rights only 64 bytes can be read */
			c->broken_caps = b.len > 0x40;
			return;
		}
		c->caps[c->cap_count++] = (struct r3_pci_cap){
			.id = head & 0xff, .off = (uint16_t)at,
		};
		switch (head & 0xff) {
		case PCI_CAP_ID_MSIX:
			decode_msix(b, at, c);
			break;
		case PCI_CAP_ID_PM:
			decode_pm(b, at, c);
			break;
		case PCI_CAP_ID_EXP:
			decode_express(b, at, c);
			break;
		}
		at = head >> 8 & 0xfc;
	}
}

static void decode_ext_caps(struct space_bytes b, struct r3_pci_config *c)
{
	size_t at = PCI_CFG_SPACE_SIZE;

	while (at && b.len > PCI_CFG_SPACE_SIZE) {
		uint32_t head = get32(b, at);

		if (!head || head == UINT32_MAX)
			return;
		if (at < PCI_CFG_SPACE_SIZE || at + 4 > b.len ||
		    c->ext_cap_count == R3_PCI_CAPS_MAX) {
			c->broken_caps = true;
			return;
		}
		c->ext_caps[c->ext_cap_count++] = (struct r3_pci_cap){
			.id = PCI_EXT_CAP_ID(head), .off = (uint16_t)at,
			.version = PCI_EXT_CAP_VER(head),
		};
		at = PCI_EXT_CAP_NEXT(head);
	}
}

int r3_pci_decode(const uint8_t *data, size_t len, struct r3_pci_config *out)
{
	struct space_bytes b = { data, r3_min(len, PCI_CFG_SPACE_EXP_SIZE) };
	struct r3_pci_config c = { 0 };
	uint8_t type;

	if (len < 64)
		return -EINVAL;
	if (get32(b, PCI_VENDOR_ID) == UINT32_MAX)
		return -ENODEV;
	type = data[PCI_HEADER_TYPE];
	c.vendor = get16(b, PCI_VENDOR_ID);
	c.device = get16(b, PCI_DEVICE_ID);
	c.command = get16(b, PCI_COMMAND);
	c.status = get16(b, PCI_STATUS);
	c.revision = data[PCI_REVISION_ID];
	c.class = get32(b, PCI_CLASS_REVISION) >> 8;
	c.header_type = type & 0x7f;
	c.multifunction = type & 0x80;
	c.irq_pin = data[PCI_INTERRUPT_PIN];
	if (c.header_type == PCI_HEADER_TYPE_NORMAL) {
		c.subvendor = get16(b, PCI_SUBSYSTEM_VENDOR_ID);
		c.subdevice = get16(b, PCI_SUBSYSTEM_ID);
	}
	decode_bars(b, &c);
	if (c.status & PCI_STATUS_CAP_LIST)
		decode_caps(b, &c);
	decode_ext_caps(b, &c);
	*out = c;
	return 0;
}
