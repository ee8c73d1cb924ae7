/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pci.h - PCI devices of this machine as sysfs shows them; decoding of
 * configuration space; giving devices to vfio-pci and back
 */
#ifndef RING3_PCI_H
#define RING3_PCI_H

#include <stdio.h>

#include "ring3/base.h"

#define R3_PCI_LIST_MAX 4096 /* devices of one machine */
#define R3_PCI_CAPS_MAX 48   /* capabilities of one chain */
#define R3_PCI_BDF_LEN	16   /* "0000:00:03.0" and the NUL */

struct r3_pci_dev {
	char bdf[R3_PCI_BDF_LEN];
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* 24 bits: base, sub, interface */
	uint8_t revision;
	int iommu_group;  /* -1: none */
	int numa_node;	  /* -1: none said */
	char driver[32];  /* "nvme", "" when none */
	char power[16];	  /* "D0", "" when unknown */
};

/* "00:03.0" or "0000:00:03.0" to the latter.  -EINVAL. */
int r3_pci_parse_bdf(const char *text, char bdf[R3_PCI_BDF_LEN]);
/* "Non-Volatile memory controller", as in the PCI ID database; never NULL. */
const char *r3_pci_class_name(uint32_t class);
const char *r3_pci_cap_name(uint8_t id);
const char *r3_pci_ext_cap_name(uint16_t id);

/* One device, or all in order of address (*out is to be freed). */
int r3_pci_get(const char *bdf, struct r3_pci_dev *out);
int r3_pci_list(struct r3_pci_dev **out, unsigned *count);
/* All devices of an IOMMU group.  *out is to be freed. */
int r3_pci_group(int group, struct r3_pci_dev **out, unsigned *count);

/* Configuration space as sysfs shows it: 64, 256 or 4096 bytes (64 without
 * rights).  Return: bytes or a negative errno. */
int r3_pci_read_config(const char *bdf, uint8_t data[4096]);
/* Sizes of the six BARs and the ROM, 0 for those that are not there. */
int r3_pci_bar_sizes(const char *bdf, uint64_t sizes[7]);

/* ---- configuration space ------------------------------------------------ */

struct r3_pci_cap {
	uint16_t id, off;
	uint8_t version; /* of extended ones, else 0 */
};

struct r3_pci_bar {
	bool present, io, wide, prefetch;
	uint64_t addr;
};

/* Configuration space, decoded.  Hostile bytes give fewer fields, never
 * nonsense lengths. */
struct r3_pci_config {
	uint16_t vendor, device, subvendor, subdevice, command, status;
	uint32_t class;
	uint8_t revision, header_type, irq_pin;
	bool multifunction;
	bool broken_caps; /* the chain loops, is too long or leaves the space */
	struct r3_pci_bar bars[6];
	unsigned cap_count, ext_cap_count;
	struct r3_pci_cap caps[R3_PCI_CAPS_MAX], ext_caps[R3_PCI_CAPS_MAX];
	struct {
		bool present;
		uint16_t vectors;
		uint8_t table_bar, pba_bar;
		uint32_t table_off, pba_off;
		bool enabled;
	} msix;
	struct {
		bool present, no_soft_reset, d1, d2;
		uint8_t state;
	} pm;
	struct {
		bool present, flr;
		uint8_t type, speed, width;
	} express;
};

/* @len: 64 to 4096.  Return: 0, -EINVAL (too short), -ENODEV (all ones). */
int r3_pci_decode(const uint8_t *data, size_t len, struct r3_pci_config *out);

/* ---- to vfio-pci and back ----------------------------------------------- */

enum { R3_PCI_FORCE = 1, R3_PCI_DRY_RUN = 2 };

/**
 * r3_pci_bind() - give a device to vfio-pci
 * @say: what is done, one line for each step, and on failure what is wrong
 *	 and what to do next
 *
 * Refused: no IOMMU; a device that carries a mounted file system, swap or the
 * default route (unless R3_PCI_FORCE); a bridge.  Others of its group are
 * named.  Already bound: 0.
 */
int r3_pci_bind(const char *bdf, unsigned flags, FILE *say);
/* Give it back to the kernel's own driver. */
int r3_pci_unbind(const char *bdf, unsigned flags, FILE *say);

#endif
