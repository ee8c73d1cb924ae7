// SPDX-License-Identifier: GPL-2.0-or-later
/* config.c - a device's configuration space: capabilities, bus mastering, power
 */
#include <linux/pci_regs.h>

#include "dev.h"

#define CAPS_MAX     48	 /* a chain of 4-byte steps from 0x40 to 0xff */
#define EXT_CAPS_MAX 480 /* 8-byte steps from 0x100 to 0xfff */

static bool config_range(const struct r3_device *dev, unsigned off,
			 unsigned size)
{
	return dev->info.regions > VFIO_PCI_CONFIG_REGION_INDEX &&
	       (size == 1 || size == 2 || size == 4) && !(off % size);
}

int r3_device_config_read(struct r3_device *dev, unsigned off, unsigned size,
			  uint32_t *out)
{
	r3_le32 v = { { 0 } };
	int err;

	if (!config_range(dev, off, size))
		return -EINVAL;
	err = r3_device_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, off, v.b,
			     size);
	if (!err)
		*out = r3_get_le32(v);
	return err;
}

int r3_device_config_write(struct r3_device *dev, unsigned off, unsigned size,
			   uint32_t value)
{
	r3_le32 v = r3_le32_of(value);

	if (!config_range(dev, off, size))
		return -EINVAL;
	return r3_device_write(dev, VFIO_PCI_CONFIG_REGION_INDEX, off, v.b,
			       size);
}

int r3_device_bus_master(struct r3_device *dev, bool on)
{
	uint32_t command, want;
	int err = r3_device_config_read(dev, PCI_COMMAND, 2, &command);

	if (err)
		return err;
	want = on ? command | PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY
		  : command & ~(uint32_t)PCI_COMMAND_MASTER;
	return want == command
		       ? 0 : r3_device_config_write(dev, PCI_COMMAND, 2, want);
}

int r3_device_find_cap(struct r3_device *dev, uint8_t id, unsigned *off)
{
	uint32_t status, at, head;
	int err = r3_device_config_read(dev, PCI_STATUS, 2, &status);

	if (err)
		return err;
	if (!(status & PCI_STATUS_CAP_LIST))
		return -ENOENT;
	err = r3_device_config_read(dev, PCI_CAPABILITY_LIST, 1, &at);
	for (unsigned n = 0; !err; n++) {
		at &= ~3u;
		if (!at)
			return -ENOENT;
		if (at < 0x40 || n == CAPS_MAX)
			return -EPROTO;
		err = r3_device_config_read(dev, at, 2, &head);
		if (err)
			break;
		if ((head & 0xff) == id) {
			*off = at;
			return 0;
		}
		at = head >> 8;
	}
	return err;
}

int r3_device_find_ext_cap(struct r3_device *dev, uint16_t id, unsigned *off)
{
	const struct r3_device_region *reg =
		r3_device_region(dev, VFIO_PCI_CONFIG_REGION_INDEX);
	unsigned at = PCI_CFG_SPACE_SIZE;
	uint32_t head;
	int err;

	if (!reg || reg->size < PCI_CFG_SPACE_EXP_SIZE)
		return -ENOENT;
	for (unsigned n = 0; n < EXT_CAPS_MAX; n++) {
		err = r3_device_config_read(dev, at, 4, &head);
		if (err)
			return err;
		if (!head || head == UINT32_MAX)
			return -ENOENT;
		if (PCI_EXT_CAP_ID(head) == id) {
			*off = at;
			return 0;
		}
		at = PCI_EXT_CAP_NEXT(head);
		if (!at)
			return -ENOENT;
		if (at < PCI_CFG_SPACE_SIZE)
			return -EPROTO;
	}
	return -EPROTO;
}

int r3_device_power_state(struct r3_device *dev, unsigned *state)
{
	unsigned cap;
	uint32_t ctrl;
	int err = r3_device_find_cap(dev, PCI_CAP_ID_PM, &cap);

	if (!err)
		err = r3_device_config_read(dev, cap + PCI_PM_CTRL, 2, &ctrl);
	if (!err)
		*state = ctrl & PCI_PM_CTRL_STATE_MASK;
	return err == -ENOENT ? -EOPNOTSUPP : err;
}

int r3_device_set_power_state(struct r3_device *dev, unsigned state)
{
	unsigned cap;
	uint32_t ctrl;
	int err;

	if (state > PCI_PM_CTRL_STATE_MASK)
		return -EINVAL;
	err = r3_device_find_cap(dev, PCI_CAP_ID_PM, &cap);
	if (!err)
		err = r3_device_config_read(dev, cap + PCI_PM_CTRL, 2, &ctrl);
	if (err)
		return err == -ENOENT ? -EOPNOTSUPP : err;
	ctrl = (ctrl & ~(uint32_t)(PCI_PM_CTRL_STATE_MASK |
				   PCI_PM_CTRL_PME_STATUS)) | state;
	return r3_device_config_write(dev, cap + PCI_PM_CTRL, 2, ctrl);
}
