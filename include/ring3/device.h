/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device.h - PCI devices through one interface with two back ends
 *
 * A struct r3_device is a real device on Linux VFIO (fds that the supervisor
 * opened) or an emulated one at the other end of a vfio-user socket.  A driver
 * doesn't notice which.  Regions and interrupts have VFIO's numbers
 * (VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX; linux/vfio.h).
 *
 * Every call is bounded: a vfio-user reply that does not come within the
 * device's deadline ends the connection.  Once the peer is lost every call
 * returns -ENOTCONN, until the device is closed and opened anew; the memory
 * of mapped regions stays readable, what is written there reaches nobody.
 * One thread only.
 */
#ifndef RING3_DEVICE_H
#define RING3_DEVICE_H

#include <linux/vfio.h>

#include "ring3/base.h"
#include "ring3/space.h"

#define R3_DEVICE_REGIONS_MAX 32
#define R3_DEVICE_IRQS_MAX    16   /* kinds of interrupt, not vectors */
#define R3_DEVICE_VECTORS_MAX 2048 /* MSI-X: PCI 3.0 6.8.2 */
#define R3_DEVICE_AREAS_MAX   16   /* mappable areas of one region */
#define R3_DEVICE_NAME_MAX    64
#define R3_DEVICE_TIMEOUT_MS  5000 /* of a vfio-user reply, unless told */

struct r3_device;

/*
 * A device opened by the supervisor.  -1: not there.  Groups and containers
 * today; with iommufd and cdev, container will be the iommufd and group -1.
 */
struct r3_vfio_fds {
	int container, group, device;
};

/* ---- for the supervisor ------------------------------------------------- */

/**
 * r3_vfio_open() - open a device that is bound to vfio-pci
 * @bdf: "0000:00:03.0" ("00:03.0" means domain 0)
 * @out: fds, close-on-exec; r3_vfio_close() them
 * @why: on failure one line: what is wrong and what to do; @room bytes
 *
 * Opening resets the device and may take seconds with a broken one.  The group
 * must be viable (all its devices on vfio-pci or without driver); type1 v2 is
 * set; a group without an IOMMU is refused.
 * Return: 0, -EINVAL (not a BDF), -ENODEV (no such device), -ENXIO (not bound
 * to vfio-pci), -EOPNOTSUPP (no IOMMU, no type1), -EBUSY (group in use or not
 * viable), or what the kernel said.
 */
int r3_vfio_open(const char *bdf, struct r3_vfio_fds *out, char *why,
		 size_t room);
void r3_vfio_close(struct r3_vfio_fds *fds);

/**
 * r3_vfio_fence() - after this the device does no DMA and raises nothing
 *
 * When a driver died: clear the bus master bit, disable all interrupts, reset.
 * Then its memory may be used again.  Reads no byte that a driver wrote.
 * Return: 0; -EOPNOTSUPP: the bus master bit is off and interrupts are, but
 * the device knows no reset; others: the fence has failed, don't reuse.
 */
int r3_vfio_fence(const struct r3_vfio_fds *fds);

/* ---- open and close ----------------------------------------------------- */

/**
 * r3_device_open_vfio() - a driver's half of r3_vfio_open()
 * @fds:  stay the caller's and must outlive the device
 * @name: for logs and errors ("nvme0")
 *
 * Arms the error and request interrupts (see r3_device_events()), unmaps what
 * a predecessor left.  Call it on a fenced device.
 * Return: 0, -EPROTO (the kernel said something impossible), or its error.
 */
int r3_device_open_vfio(struct r3_device **out, const struct r3_vfio_fds *fds,
			const char *name);

/**
 * r3_device_open_vfio_user() - an emulated device
 * @sock:    connected unix stream socket.  The device owns it from now on,
 *	     also when this fails.
 * @timeout_ms: for opening as a whole, and later for each reply; 0:
 *	     R3_DEVICE_TIMEOUT_MS
 *
 * Negotiates the version and reads what the device has.
 * Return: 0, -EPROTO (the server breaks the protocol), -ETIMEDOUT, -ENOTCONN,
 * -EOPNOTSUPP (not a PCI device).
 */
int r3_device_open_vfio_user(struct r3_device **out, int sock,
			     const char *name, unsigned timeout_ms);

/* Until told otherwise, who waits for the other end of a device gives up at
 * @when_ns (of r3_now_ns(); 0: never), however many replies it takes: the
 * connection is lost then (-ETIMEDOUT). */
void r3_device_deadline(struct r3_device *dev, uint64_t when_ns);

/* Disables interrupts and bus mastering, unmaps the space and the regions.
 * NULL is allowed. */
void r3_device_close(struct r3_device *dev);

struct r3_device_info {
	char name[R3_DEVICE_NAME_MAX];
	const char *backend; /* "vfio" or "vfio-user" */
	bool can_reset;
	unsigned regions, irqs; /* at most the maxima above */
};

const struct r3_device_info *r3_device_info(const struct r3_device *dev);

/* The space that the device's DMA goes through.  The device's; gone with it. */
struct r3_space *r3_device_space(struct r3_device *dev);

/* ---- regions ------------------------------------------------------------ */

struct r3_device_area {
	uint64_t off, len;
};

struct r3_device_region {
	uint64_t size; /* 0: there is none */
	int prot;      /* R3_READ | R3_WRITE */
	bool msix_mappable; /* the MSI-X table lies in a mappable area */
	unsigned area_count; /* parts that can be mapped; 0: none */
	struct r3_device_area areas[R3_DEVICE_AREAS_MAX];
};

/* What region @index has; never NULL for index < regions, else NULL. */
const struct r3_device_region *r3_device_region(const struct r3_device *dev,
						unsigned index);

/**
 * r3_device_read(), r3_device_write() - access a region the slow way
 * @len: 1, 2, 4 or 8 at a multiple of itself is one access of the device;
 *	 other lengths are for memory-like regions, up to 1 MiB
 * Return: 0, -EINVAL (no such region), -ERANGE (past its end), -EACCES,
 * -ENOTCONN, -ETIMEDOUT, -EIO (short), or the device's error.
 */
int r3_device_read(struct r3_device *dev, unsigned region, uint64_t off,
		   void *buf, size_t len);
int r3_device_write(struct r3_device *dev, unsigned region, uint64_t off,
		    const void *buf, size_t len);
/* As write, but need not wait until the device has seen it (a doorbell in a
 * region that can't be mapped).  Order with later calls is kept; the device's
 * error is lost. */
int r3_device_post(struct r3_device *dev, unsigned region, uint64_t off,
		   const void *buf, size_t len);

/**
 * r3_device_map_region() - see registers as memory
 * @off, @len: inside one mappable area; multiples of the page size
 * @out: unmapped by r3_device_unmap_region() or r3_device_close()
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP (not mappable), or what mmap() said.
 * It is guarded (r3_guard_add()): when what is behind it goes away (the device
 * is unplugged or in low power, a server truncates its file), reads give zeros,
 * writes reach nobody, and R3_DEVICE_LOST is told.
 */
int r3_device_map_region(struct r3_device *dev, unsigned region, uint64_t off,
			 uint64_t len, int prot, volatile void **out);
void r3_device_unmap_region(struct r3_device *dev, volatile void *addr);

/**
 * r3_device_ioeventfd() - an eventfd that stands for a register
 * @off, @size: the register (a doorbell)
 * @out: an eventfd: writing to it is like writing the register, for who gave
 *	 the value another way (shadow doorbells).  The caller closes it.
 *
 * Return: 0, -EOPNOTSUPP (VFIO, or the server has none there), -EPROTO,
 * -ENOTCONN.
 */
int r3_device_ioeventfd(struct r3_device *dev, unsigned region, uint64_t off,
			uint32_t size, int *out);

/* ---- interrupts --------------------------------------------------------- */

struct r3_device_irq {
	unsigned count; /* vectors; 0: none of this kind */
	uint32_t flags; /* VFIO_IRQ_INFO_* */
};

/* Interrupts of kind @index (VFIO_PCI_MSIX_IRQ_INDEX); NULL: no such kind. */
const struct r3_device_irq *r3_device_irq(const struct r3_device *dev,
					  unsigned index);

/**
 * r3_device_irq_set() - signal these vectors by eventfds from now on
 * @fds: one for each of vectors start..start + count - 1; -1: not signalled.
 *	 They stay the caller's.
 *
 * Set all vectors that will be used in one call from 0: before Linux 6.5
 * MSI-X can't grow while it is enabled (VFIO_IRQ_INFO_NORESIZE), so a call
 * with more than before disables the kind and sets all again.
 * Return: 0, -EINVAL (no such kind or vectors), -ENOTCONN, or the device's.
 */
int r3_device_irq_set(struct r3_device *dev, unsigned index, unsigned start,
		      const int *fds, unsigned count);
int r3_device_irq_disable(struct r3_device *dev, unsigned index);
/* INTx masks itself when it fires; unmask it after handling. */
int r3_device_irq_mask(struct r3_device *dev, unsigned index, unsigned vector,
		       bool masked);
/* Ask the device to raise it (a test of the path). */
int r3_device_irq_trigger(struct r3_device *dev, unsigned index,
			  unsigned vector);

/* What may happen to a device on its own. */
enum {
	R3_DEVICE_LOST = 1,  /* the peer or a mapped region has gone; close and
			      * open anew */
	R3_DEVICE_ERROR = 2, /* uncorrected PCIe error: reset needed */
	R3_DEVICE_WANTED = 4, /* the kernel wants it back (unbind, unplug):
			       * close it soon */
};

/**
 * r3_device_event_fd() - readable (EPOLLIN) when r3_device_events() has news
 * The device's; don't read it.
 */
int r3_device_event_fd(const struct r3_device *dev);
/* The events since the last call, R3_DEVICE_*.  LOST stays set. */
unsigned r3_device_events(struct r3_device *dev);

/* ---- the whole device --------------------------------------------------- */

/* Return: 0, -EOPNOTSUPP (knows no reset), -ENOTCONN, -ETIMEDOUT.  Bus
 * mastering and interrupts may be off after it. */
int r3_device_reset(struct r3_device *dev);
/* May the device do DMA and raise interrupts?  Off when opened. */
int r3_device_bus_master(struct r3_device *dev, bool on);

/* Configuration space; @size 1, 2 or 4 at a multiple of itself. */
int r3_device_config_read(struct r3_device *dev, unsigned off, unsigned size,
			  uint32_t *out);
int r3_device_config_write(struct r3_device *dev, unsigned off, unsigned size,
			   uint32_t value);
/* Offset of capability @id (PCI_CAP_ID_PM; linux/pci_regs.h); -ENOENT: has
 * none; -EPROTO: the chain is broken or loops. */
int r3_device_find_cap(struct r3_device *dev, uint8_t id, unsigned *off);
int r3_device_find_ext_cap(struct r3_device *dev, uint16_t id, unsigned *off);

/* Power: 0 to 3 for D0 to D3hot, by the power management capability. */
int r3_device_power_state(struct r3_device *dev, unsigned *state);
int r3_device_set_power_state(struct r3_device *dev, unsigned state);

/**
 * r3_device_feature() - VFIO_DEVICE_FEATURE_*: does the device know it?
 * @get, @set: may be NULL
 * Return: 0, -EOPNOTSUPP (not known, or no VFIO), or the kernel's error.
 */
int r3_device_feature(struct r3_device *dev, uint16_t feature, bool *get,
		      bool *set);
/* Runtime low power (D3hot, D3cold where the platform can).  Don't touch any
 * region in between; after exit treat the device as reset.  -EOPNOTSUPP. */
int r3_device_low_power_enter(struct r3_device *dev);
int r3_device_low_power_exit(struct r3_device *dev);

/* ---- DMA outside the space ---------------------------------------------- */

#define R3_DMA_LINE_MAX 1024 /* bytes of one kernel log record looked at */

struct r3_dma_fault {
	char device[16]; /* "0000:00:03.0" */
	uint64_t addr;	 /* page that was not mapped for this */
	bool write;	 /* by the device */
	uint64_t at_us;	 /* kernel log time, microseconds since boot */
};

/**
 * r3_dma_fault_parse() - a line of the kernel log as a DMA fault
 * @line: text without the /dev/kmsg head; Intel (DMAR:) and AMD (AMD-Vi:)
 * Return: 0 or -ENOENT (some other line).
 */
int r3_dma_fault_parse(const char *line, size_t len, struct r3_dma_fault *out);

/*
 * VFIO type1 has no event for a fault, the IOMMU driver only logs it (and
 * drops some when there are many).  So: open the kernel log at its end, and
 * ask it when something is wrong and from time to time.
 */
/* Return: fd of /dev/kmsg (not blocking; pollable) or a negative errno. */
int r3_dma_log_open(void);
/**
 * r3_dma_log_next() - the next DMA fault in the log
 * Reads at most 1024 records.  Return: 1 and *out, 0 (no more for now), or a
 * negative errno.
 */
int r3_dma_log_next(int fd, struct r3_dma_fault *out);

#endif
