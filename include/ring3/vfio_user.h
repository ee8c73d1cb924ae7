/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio_user.h - the server's side of vfio-user, for emulated PCI devices
 *
 * A model describes its device (configuration space, regions, interrupts) and
 * gets calls; the library speaks the protocol with one client at a time over a
 * unix stream socket (QEMU docs/interop/vfio-user.rst, version 0.1).
 *
 *	LISTEN --accepted--> HELLO --version agreed--> READY
 *	   ^                   |                         |
 *	   +------ gone, or broke the protocol ----------+
 *
 * While a client is there, others wait in the listening socket's queue.  When
 * it goes, its memory and its eventfds are dropped and the device keeps its
 * state, so that a client can come back.  Every number a client sends is
 * checked here; a request that is wrong gets an error reply, a stream that
 * can't be followed any more is cut off.  One thread only.
 *
 * Memory: a client's memory must come with a file descriptor.  Without one
 * (the protocol's DMA_READ and DMA_WRITE messages) it is refused with
 * -EOPNOTSUPP: a server would have to wait for its client in mid-request.
 */
#ifndef RING3_VFIO_USER_H
#define RING3_VFIO_USER_H

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "ring3/base.h"
#include "ring3/loop.h"
#include "ring3/mem.h"

#define R3_VFU_AREAS_MAX      8	   /* mappable areas of one region */
#define R3_VFU_IOEVENTFDS_MAX 256  /* of the whole device */
#define R3_VFU_MAPS_MAX	      1024 /* DMA mappings of the client */
#define R3_VFU_VECTORS_MAX    2048
#define R3_VFU_MSG_FDS	      16   /* fds in one message, either way */
#define R3_VFU_XFER_MAX	      (64 * 1024) /* data of one region access */

/* ---- configuration space ------------------------------------------------ */

/*
 * Data, which bits a client can change, which ones writing 1 clears.  BARs
 * get their size by it: the low bits of a BAR can't be written.
 */
struct r3_vfu_config {
	uint32_t len; /* 256 or 4096 */
	uint8_t data[4096], writable[4096], clears[4096];
	uint8_t last_cap, next_free; /* where the next capability goes */
};

struct r3_vfu_ids {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* 0x010802: NVMe */
	uint8_t revision;
};

/* A type 0 header without BARs and capabilities.  @express: 4096 bytes. */
void r3_vfu_config_init(struct r3_vfu_config *c, const struct r3_vfu_ids *ids,
			bool express);
/* BAR @bar (0 to 5) as memory of @size bytes, a power of two, at least 16;
 * @wide: 64 bits, takes @bar + 1 too.  Region bar must have the same size. */
void r3_vfu_config_bar(struct r3_vfu_config *c, unsigned bar, uint64_t size,
		       bool wide, bool prefetch);
/**
 * r3_vfu_config_cap() - append a capability
 * @body: what follows the two bytes id and next; @writable: as long, or NULL
 * Return: its offset, or -ENOSPC.
 */
int r3_vfu_config_cap(struct r3_vfu_config *c, uint8_t id, const void *body,
		      const void *writable, size_t len);
/* The usual ones.  Power management (D0 and D3hot, state kept); PCI Express
 * endpoint with function level reset; MSI-X with its table and pending bits
 * in @bar, which the library then serves itself.  Return: as above. */
int r3_vfu_config_pm(struct r3_vfu_config *c);
int r3_vfu_config_express(struct r3_vfu_config *c);
int r3_vfu_config_msix(struct r3_vfu_config *c, unsigned vectors, unsigned bar,
		       uint32_t table, uint32_t pba);

/* ---- the device --------------------------------------------------------- */

struct r3_vfu_area {
	uint64_t off, len; /* multiples of the page size */
};

struct r3_vfu_region {
	uint64_t size; /* 0: there is none */
	int prot;      /* R3_READ | R3_WRITE, for the client */
	int fd;	       /* memory file behind the areas; it stays the model's;
			* read only if area_count */
	uint64_t fd_off; /* where the region's byte 0 lies in it */
	unsigned area_count; /* 0: not mappable */
	struct r3_vfu_area areas[R3_VFU_AREAS_MAX];
};

/* A register that an eventfd stands for (VFIO_USER_DEVICE_GET_REGION_IO_FDS):
 * whoever signals it means a write there. */
struct r3_vfu_ioeventfd {
	unsigned region;
	uint64_t off;
	uint32_t size;
	int fd; /* stays the model's */
};

struct r3_vfu_desc {
	const char *name; /* for logs and fault reports */
	struct r3_vfu_config *config; /* the model's; region 7 is this */
	struct r3_vfu_region regions[VFIO_PCI_NUM_REGIONS]; /* 7 is ignored */
	unsigned irqs[VFIO_PCI_NUM_IRQS]; /* vectors of each kind */
	const struct r3_vfu_ioeventfd *ioeventfds;
	unsigned ioeventfd_count;
	bool allow_unsealed; /* take memory files (memfd, tmpfs, hugetlbfs;
			      * others are always refused) that the client could
			      * truncate (QEMU's memory-backend-file; its memfd
			      * is sealed).  They are guarded (r3_guard_add()):
			      * a client that does it is cut off, and what the
			      * device reads there until then is zeros */
};

enum r3_vfu_reset {
	R3_VFU_RESET_MESSAGE, /* VFIO_USER_DEVICE_RESET */
	R3_VFU_RESET_FUNCTION, /* function level reset, PCI Express 6.6.2 */
	R3_VFU_RESET_POWER,   /* D3hot to D0 without "no soft reset" */
};

/*
 * A model's calls; all may be NULL except access.  None may free the server;
 * r3_vfu_drop() may be called.
 */
struct r3_vfu_ops {
	/*
	 * A client reads or writes @len bytes at @off of a region, inside it
	 * and inside its rights; any @len from 1 to R3_VFU_XFER_MAX, any
	 * alignment.  Not called for configuration space and the MSI-X table.
	 * Return: 0, or a negative errno that the client gets.
	 */
	int (*access)(void *ctx, unsigned region, uint64_t off, void *data,
		      size_t len, bool write);
	/* Configuration space at [off, off + len) has been written. */
	void (*config_written)(void *ctx, unsigned off, unsigned len);
	/* Bring the device into its state after power on; when it returns, no
	 * DMA is in flight.  Configuration space is reset by the library. */
	void (*reset)(void *ctx, enum r3_vfu_reset why);
	/* Memory came; will go: when gone() returns nothing may use it. */
	void (*dma_added)(void *ctx, const struct r3_region *reg);
	void (*dma_gone)(void *ctx, const struct r3_region *reg);
	/* A client has agreed a version; it has left, and its memory
	 * (dma_gone() for each) and eventfds are gone. */
	void (*attached)(void *ctx);
	void (*detached)(void *ctx);
	/* A vector (kind @index) got an eventfd or lost it. */
	void (*irq_changed)(void *ctx, unsigned index, unsigned vector);
	/* DMA was refused: outside the mappings, against the rights, or with
	 * bus mastering off.  Already counted and (the first ones) logged. */
	void (*dma_fault)(void *ctx, uint64_t addr, uint64_t len, bool write);
};

struct r3_vfu;

struct r3_vfu_stats {
	uint64_t clients, refused; /* ever; refused: cut off as hostile */
	uint64_t requests, errors; /* messages answered; of these with error */
	uint64_t dma_faults;
};

/**
 * r3_vfu_new() - a device without a client
 * @desc: copied, except what it points to, which must stay
 * Return: 0, -EINVAL (the description makes no sense: say why in the log),
 * -ENOMEM.
 */
int r3_vfu_new(struct r3_vfu **out, struct r3_loop *loop,
	       const struct r3_vfu_desc *desc, const struct r3_vfu_ops *ops,
	       void *ctx);
/* Drops the client (detached() is called) and everything.  NULL allowed. */
void r3_vfu_free(struct r3_vfu *vfu);

/* Serve who connects to @fd, one at a time.  @fd stays the caller's. */
int r3_vfu_listen(struct r3_vfu *vfu, int fd);
/* Serve this connection, which the library now owns.  -EBUSY: there is a
 * client (@fd is then not taken). */
int r3_vfu_attach(struct r3_vfu *vfu, int fd);
/* Cut the client off. */
void r3_vfu_drop(struct r3_vfu *vfu);
bool r3_vfu_attached(const struct r3_vfu *vfu);

/**
 * r3_vfu_dma() - a client's memory, for the data path
 * @prot: what the device will do: R3_READ reads memory, R3_WRITE writes it
 *
 * Valid until dma_gone().  Another process changes it at any time: read each
 * value once.
 * Return: the address, or NULL when [addr, addr + len) is not within one
 * mapping with these rights, or bus mastering is off: counted, reported.
 */
void *r3_vfu_dma(struct r3_vfu *vfu, uint64_t addr, uint64_t len, int prot);
/* The mapping around @addr, for scatter lists that cross mappings; no report
 * when there is none. */
const struct r3_region *r3_vfu_dma_region(const struct r3_vfu *vfu,
					  uint64_t addr);
/* The same by copying, across mappings.  0 or -EFAULT (reported; part may
 * have been copied). */
int r3_vfu_dma_read(struct r3_vfu *vfu, uint64_t addr, void *buf, size_t len);
int r3_vfu_dma_write(struct r3_vfu *vfu, uint64_t addr, const void *buf,
		     size_t len);
bool r3_vfu_bus_master(const struct r3_vfu *vfu);

/* Raise an interrupt: one write to the eventfd, nothing where none is set.
 * Masked vectors fire when they are unmasked. */
void r3_vfu_irq(struct r3_vfu *vfu, unsigned index, unsigned vector);
bool r3_vfu_irq_enabled(const struct r3_vfu *vfu, unsigned index,
			unsigned vector);

const struct r3_vfu_stats *r3_vfu_stats(const struct r3_vfu *vfu);

#endif
