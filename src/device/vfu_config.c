// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu_config.c - the vfio-user server: configuration space */
#include <stdlib.h>

#include "vfu.h"

#define CAPS_FROM 0x40 /* PCI 3.0 6.1: the header ends there */

static void put16(uint8_t *p, uint16_t n)
{
	r3_le16 v = r3_le16_of(n);

	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t n)
{
	r3_le32 v = r3_le32_of(n);

	memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *p)
{
	r3_le16 v;

	memcpy(&v, p, sizeof(v));
	return r3_get_le16(v);
}

static uint32_t get32(const uint8_t *p)
{
	r3_le32 v;

	memcpy(&v, p, sizeof(v));
	return r3_get_le32(v);
}

/* ---- building ----------------------------------------------------------- */

void r3_vfu_config_init(struct r3_vfu_config *c, const struct r3_vfu_ids *ids,
			bool express)
{
	memset(c, 0, sizeof(*c));
	c->len = express ? 4096 : 256;
	c->next_free = CAPS_FROM;
	put16(c->data + PCI_VENDOR_ID, ids->vendor);
	put16(c->data + PCI_DEVICE_ID, ids->device);
	put16(c->data + PCI_SUBSYSTEM_VENDOR_ID, ids->subvendor);
	put16(c->data + PCI_SUBSYSTEM_ID, ids->subdevice);
	put32(c->data + PCI_CLASS_REVISION, ids->class << 8 | ids->revision);
	put16(c->writable + PCI_COMMAND,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
	      PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
	      PCI_COMMAND_INTX_DISABLE);
	c->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	c->writable[PCI_INTERRUPT_LINE] = 0xff;
	put16(c->clears + PCI_STATUS, 0xf900); /* the error bits */
}

void r3_vfu_config_bar(struct r3_vfu_config *c, unsigned bar, uint64_t size,
		       bool wide, bool prefetch)
{
	unsigned at = PCI_BASE_ADDRESS_0 + bar * 4;

	assert(bar + wide < 6 && r3_is_pow2(size) && size >= 16);
	put32(c->data + at,
	      (wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
	      (prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
	put32(c->writable + at, (uint32_t)~(size - 1) & ~0xfu);
	if (wide)
		put32(c->writable + at + 4, (uint32_t)(~(size - 1) >> 32));
}

int r3_vfu_config_cap(struct r3_vfu_config *c, uint8_t id, const void *body,
		      const void *writable, size_t len)
{
	unsigned at = c->next_free;
	uint64_t end;

	if (!at || len > 254 || !r3_align_up(at + 2 + len, 4, &end) ||
	    end > 256)
		return -ENOSPC;
	c->data[at] = id;
	memcpy(c->data + at + 2, body, len);
	if (writable)
		memcpy(c->writable + at + 2, writable, len);
	if (c->last_cap)
		c->data[c->last_cap + PCI_CAP_LIST_NEXT] = (uint8_t)at;
	else
		c->data[PCI_CAPABILITY_LIST] = (uint8_t)at;
	c->data[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	c->last_cap = (uint8_t)at;
	c->next_free = end == 256 ? 0 : (uint8_t)end;
	return (int)at;
}

int r3_vfu_config_pm(struct r3_vfu_config *c)
{
	uint8_t body[PCI_PM_SIZEOF - 2] = { 0 }, writable[sizeof(body)] = { 0 };

	put16(body + PCI_PM_PMC - 2, 3); /* version 1.2 */
	put16(body + PCI_PM_CTRL - 2, PCI_PM_CTRL_NO_SOFT_RESET);
	put16(writable + PCI_PM_CTRL - 2, PCI_PM_CTRL_STATE_MASK);
	return r3_vfu_config_cap(c, PCI_CAP_ID_PM, body, writable,
				 sizeof(body));
}

int r3_vfu_config_express(struct r3_vfu_config *c)
{
	uint8_t body[0x3c - 2] = { 0 }, writable[sizeof(body)] = { 0 };
	int at;

	put16(body + PCI_EXP_FLAGS - 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put32(body + PCI_EXP_DEVCAP - 2,
	      PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put32(body + PCI_EXP_LNKCAP - 2,
	      PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4 /* one lane */);
	put16(body + PCI_EXP_LNKSTA - 2,
	      PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
	put16(writable + PCI_EXP_DEVCTL - 2, 0xffff);
	at = r3_vfu_config_cap(c, PCI_CAP_ID_EXP, body, writable,
			       sizeof(body));
	if (at >= 0)
		put16(c->clears + at + PCI_EXP_DEVSTA, 0xf);
	return at;
}

int r3_vfu_config_msix(struct r3_vfu_config *c, unsigned vectors, unsigned bar,
		       uint32_t table, uint32_t pba)
{
	uint8_t body[PCI_CAP_MSIX_SIZEOF - 2] = { 0 };
	uint8_t writable[sizeof(body)] = { 0 };

	if (!vectors || vectors > R3_VFU_VECTORS_MAX || bar > 5 ||
	    ((table | pba) & 7))
		return -EINVAL;
	put16(body + PCI_MSIX_FLAGS - 2, (uint16_t)(vectors - 1));
	put32(body + PCI_MSIX_TABLE - 2, table | bar);
	put32(body + PCI_MSIX_PBA - 2, pba | bar);
	put16(writable + PCI_MSIX_FLAGS - 2,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	return r3_vfu_config_cap(c, PCI_CAP_ID_MSIX, body, writable,
				 sizeof(body));
}

/* ---- serving ------------------------------------------------------------ */

/* The model's own chain: at most 48 fit; 0: not there. */
static unsigned find_cap(const struct r3_vfu_config *c, uint8_t id)
{
	unsigned at = c->data[PCI_CAPABILITY_LIST];

	for (unsigned n = 0; at >= CAPS_FROM && at < 255 && n < 48; n++) {
		if (c->data[at] == id)
			return at;
		at = c->data[at + PCI_CAP_LIST_NEXT];
	}
	return 0;
}

/* MSI-X: table and pending bits must lie in one BAR and inside it. */
static int open_msix(struct r3_vfu *v)
{
	const uint8_t *cap = v->desc.config->data + v->msix_cap;
	uint32_t table = get32(cap + PCI_MSIX_TABLE);
	uint32_t pba = get32(cap + PCI_MSIX_PBA);
	unsigned vectors =
		(get16(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
	uint64_t size;

	v->msix.bar = table & PCI_MSIX_TABLE_BIR;
	v->msix.table = table & PCI_MSIX_TABLE_OFFSET;
	v->msix.pba = pba & PCI_MSIX_PBA_OFFSET;
	v->msix.table_len = vectors * 16;
	v->msix.pba_len = (vectors + 63) / 64 * 8;
	size = vfu_region_size(v, v->msix.bar);
	if (v->msix.bar > 5 || v->msix.bar != (pba & PCI_MSIX_PBA_BIR) ||
	    v->msix.table + v->msix.table_len > size ||
	    v->msix.pba + v->msix.pba_len > size ||
	    vectors > R3_VFU_VECTORS_MAX)
		return -EINVAL;
	v->msix.mem = calloc(1, v->msix.table_len + v->msix.pba_len);
	return v->msix.mem ? 0 : -ENOMEM;
}

int vfu_config_open(struct r3_vfu *v)
{
	v->initial = *v->desc.config;
	v->msix_cap = find_cap(&v->initial, PCI_CAP_ID_MSIX);
	v->pm_cap = find_cap(&v->initial, PCI_CAP_ID_PM);
	v->express_cap = find_cap(&v->initial, PCI_CAP_ID_EXP);
	return v->msix_cap ? open_msix(v) : 0;
}

void vfu_do_reset(struct r3_vfu *v, enum r3_vfu_reset why)
{
	if (v->ops->reset)
		v->ops->reset(v->ctx, why);
	*v->desc.config = v->initial;
	if (v->msix.mem)
		memset(v->msix.mem, 0, v->msix.table_len + v->msix.pba_len);
	vfu_irqs_reset(v);
}

static void write_bytes(struct r3_vfu_config *c, unsigned off,
			const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t *p = &c->data[off + i];
		uint8_t w = c->writable[off + i];

		*p = (uint8_t)((*p & ~w) | (data[i] & w));
		*p &= (uint8_t)~(data[i] & c->clears[off + i]);
	}
}

/* Bits that do something.  True: the device was reset. */
static bool after_write(struct r3_vfu *v, unsigned power_before)
{
	uint8_t *data = v->desc.config->data;
	uint16_t pm;

	if (v->express_cap &&
	    get16(data + v->express_cap + PCI_EXP_DEVCTL) &
		    PCI_EXP_DEVCTL_BCR_FLR) {
		vfu_do_reset(v, R3_VFU_RESET_FUNCTION);
		return true;
	}
	if (!v->pm_cap)
		return false;
	pm = get16(data + v->pm_cap + PCI_PM_CTRL);
	if (power_before == 3 && !(pm & PCI_PM_CTRL_STATE_MASK) &&
	    !(pm & PCI_PM_CTRL_NO_SOFT_RESET)) {
		vfu_do_reset(v, R3_VFU_RESET_POWER);
		return true;
	}
	return false;
}

void vfu_config_access(struct r3_vfu *v, unsigned off, uint8_t *data,
		       size_t len, bool write)
{
	struct r3_vfu_config *c = v->desc.config;
	unsigned power = 0;

	if (!write) {
		memcpy(data, c->data + off, len);
		return;
	}
	if (v->pm_cap)
		power = c->data[v->pm_cap + PCI_PM_CTRL] &
			PCI_PM_CTRL_STATE_MASK;
	write_bytes(c, off, data, len);
	if (!after_write(v, power) && v->ops->config_written)
		v->ops->config_written(v->ctx, off, (unsigned)len);
}
