// SPDX-License-Identifier: GPL-2.0-or-later
/* pci_names.c - words for PCI's numbers: classes and capabilities */
#include <linux/pci_regs.h>

#include "ring3/pci.h"

/* Base and sub class; names as in the PCI ID database. */
static const struct {
	uint16_t class;
	const char *name;
} classes[] = {
	{ 0x0100, "SCSI storage controller" },
	{ 0x0101, "IDE interface" },
	{ 0x0104, "RAID bus controller" },
	{ 0x0106, "SATA controller" },
	{ 0x0107, "Serial Attached SCSI controller" },
	{ 0x0108, "Non-Volatile memory controller" },
	{ 0x0180, "Mass storage controller" },
	{ 0x0200, "Ethernet controller" },
	{ 0x0207, "Infiniband controller" },
	{ 0x0280, "Network controller" },
	{ 0x0300, "VGA compatible controller" },
	{ 0x0302, "3D controller" },
	{ 0x0380, "Display controller" },
	{ 0x0401, "Multimedia audio controller" },
	{ 0x0403, "Audio device" },
	{ 0x0480, "Multimedia controller" },
	{ 0x0500, "RAM memory" },
	{ 0x0580, "Memory controller" },
	{ 0x0600, "Host bridge" },
	{ 0x0601, "ISA bridge" },
	{ 0x0604, "PCI bridge" },
	{ 0x0680, "Bridge" },
	{ 0x0700, "Serial controller" },
	{ 0x0780, "Communication controller" },
	{ 0x0800, "PIC" },
	{ 0x0805, "SD Host controller" },
	{ 0x0806, "IOMMU" },
	{ 0x0880, "System peripheral" },
	{ 0x0900, "Keyboard controller" },
	{ 0x0c03, "USB controller" },
	{ 0x0c05, "SMBus" },
	{ 0x0d80, "Wireless controller" },
	{ 0x1080, "Encryption controller" },
	{ 0x1180, "Signal processing controller" },
	{ 0x1200, "Processing accelerators" },
};

static const char *const caps[] = {
	[PCI_CAP_ID_PM] = "power management",
	[PCI_CAP_ID_AGP] = "AGP",
	[PCI_CAP_ID_VPD] = "vital product data",
	[PCI_CAP_ID_SLOTID] = "slot identification",
	[PCI_CAP_ID_MSI] = "MSI",
	[PCI_CAP_ID_CHSWP] = "hot swap",
	[PCI_CAP_ID_PCIX] = "PCI-X",
	[PCI_CAP_ID_HT] = "HyperTransport",
	[PCI_CAP_ID_VNDR] = "vendor specific",
	[PCI_CAP_ID_DBG] = "debug port",
	[PCI_CAP_ID_CCRC] = "CompactPCI resource control",
	[PCI_CAP_ID_SHPC] = "hot plug",
	[PCI_CAP_ID_SSVID] = "subsystem",
	[PCI_CAP_ID_AGP3] = "AGP 8x",
	[PCI_CAP_ID_SECDEV] = "secure device",
	[PCI_CAP_ID_EXP] = "PCI Express",
	[PCI_CAP_ID_MSIX] = "MSI-X",
	[PCI_CAP_ID_SATA] = "SATA",
	[PCI_CAP_ID_AF] = "advanced features",
	[PCI_CAP_ID_EA] = "enhanced allocation",
};

static const char *const ext_caps[] = {
	[PCI_EXT_CAP_ID_ERR] = "advanced error reporting",
	[PCI_EXT_CAP_ID_VC] = "virtual channel",
	[PCI_EXT_CAP_ID_DSN] = "device serial number",
	[PCI_EXT_CAP_ID_PWR] = "power budgeting",
	[PCI_EXT_CAP_ID_VNDR] = "vendor specific",
	[PCI_EXT_CAP_ID_ACS] = "access control services",
	[PCI_EXT_CAP_ID_ARI] = "alternative routing",
	[PCI_EXT_CAP_ID_ATS] = "address translation services",
	[PCI_EXT_CAP_ID_SRIOV] = "single root I/O virtualisation",
	[PCI_EXT_CAP_ID_PRI] = "page request interface",
	[PCI_EXT_CAP_ID_REBAR] = "resizable BAR",
	[PCI_EXT_CAP_ID_LTR] = "latency tolerance reporting",
	[PCI_EXT_CAP_ID_SECPCI] = "secondary PCI Express",
	[PCI_EXT_CAP_ID_PASID] = "process address space ID",
	[PCI_EXT_CAP_ID_DPC] = "downstream port containment",
	[PCI_EXT_CAP_ID_L1SS] = "L1 substates",
	[PCI_EXT_CAP_ID_PTM] = "precision time measurement",
};

const char *r3_pci_class_name(uint32_t class)
{
	for (unsigned i = 0; i < R3_COUNT(classes); i++)
		if (classes[i].class == class >> 8)
			return classes[i].name;
	return "unclassified device";
}

const char *r3_pci_cap_name(uint8_t id)
{
	return id < R3_COUNT(caps) && caps[id] ? caps[id] : "unknown";
}

const char *r3_pci_ext_cap_name(uint16_t id)
{
	return id < R3_COUNT(ext_caps) && ext_caps[id] ? ext_caps[id]
						       : "unknown";
}
