/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - vfio-user on the wire
 *
 * QEMU docs/interop/vfio-user.rst.  Everything is in the host's byte order,
 * which is little endian wherever ring3 runs (base.h).  Structures that end
 * with "..." are followed by what the comment says.
 */
#ifndef DEVICE_WIRE_H
#define DEVICE_WIRE_H

#include "ring3/base.h"

#define VU_MAJOR 0
#define VU_MINOR 1

#define VU_VERSION_DATA_MAX 4096 /* bytes of JSON with its NUL */
#define VU_DEFAULT_FDS	    1	 /* max_msg_fds when not said */
#define VU_DEFAULT_XFER	    (1024 * 1024) /* max_data_xfer_size */
#define VU_DEFAULT_MAPS	    65535 /* max_dma_maps */
#define VU_LIMIT_FDS	    253	 /* SCM_MAX_FD: what Linux passes at once */

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_GET_INFO = 4,
	VU_GET_REGION_INFO = 5,
	VU_GET_REGION_IO_FDS = 6,
	VU_GET_IRQ_INFO = 7,
	VU_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,  /* server to client */
	VU_DMA_WRITE = 12, /* server to client */
	VU_RESET = 13,
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
	VU_MIG_DATA_READ = 17,
	VU_MIG_DATA_WRITE = 18,
	VU_COMMANDS,
};

enum {
	VU_TYPE_MASK = 0xf,
	VU_TYPE_COMMAND = 0,
	VU_TYPE_REPLY = 1,
	VU_NO_REPLY = 1 << 4,
	VU_ERROR = 1 << 5,
};

struct vu_head {
	r3_le16 id;
	r3_le16 command;
	r3_le32 size; /* of the message, with this head */
	r3_le32 flags;
	r3_le32 error; /* errno when VU_ERROR is set */
};
static_assert(sizeof(struct vu_head) == 16, "wire size");

struct vu_version { /* ... JSON and a NUL, or nothing */
	r3_le16 major;
	r3_le16 minor;
};
static_assert(sizeof(struct vu_version) == 4, "wire size");

enum { VU_MAP_READ = 1, VU_MAP_WRITE = 2 };

struct vu_dma_map { /* fd beside it */
	r3_le32 argsz;
	r3_le32 flags;
	r3_le64 offset; /* into the fd */
	r3_le64 addr;
	r3_le64 size;
};
static_assert(sizeof(struct vu_dma_map) == 32, "wire size");

enum { VU_UNMAP_DIRTY = 1, VU_UNMAP_ALL = 2 };

struct vu_dma_unmap { /* the reply is the same */
	r3_le32 argsz;
	r3_le32 flags;
	r3_le64 addr;
	r3_le64 size;
};
static_assert(sizeof(struct vu_dma_unmap) == 24, "wire size");

struct vu_info {
	r3_le32 argsz;
	r3_le32 flags; /* VFIO_DEVICE_FLAGS_* */
	r3_le32 regions;
	r3_le32 irqs;
};
static_assert(sizeof(struct vu_info) == 16, "wire size");

struct vu_region_info { /* ... capabilities; fd beside it if mappable */
	r3_le32 argsz;
	r3_le32 flags; /* VFIO_REGION_INFO_FLAG_* */
	r3_le32 index;
	r3_le32 cap_offset; /* from the start of this; 0: none */
	r3_le64 size;
	r3_le64 offset; /* to be added for mmap() */
};
static_assert(sizeof(struct vu_region_info) == 32, "wire size");

struct vu_cap_head {
	r3_le16 id; /* VFIO_REGION_INFO_CAP_* */
	r3_le16 version;
	r3_le32 next; /* from the start of vu_region_info; 0: last */
};

struct vu_cap_sparse { /* ... areas */
	struct vu_cap_head head;
	r3_le32 count;
	r3_le32 reserved;
};
static_assert(sizeof(struct vu_cap_sparse) == 16, "wire size");

struct vu_area {
	r3_le64 offset;
	r3_le64 size;
};
static_assert(sizeof(struct vu_area) == 16, "wire size");

struct vu_io_fds { /* ... sub-regions; fds beside it */
	r3_le32 argsz;
	r3_le32 flags;
	r3_le32 index;
	r3_le32 count;
};
static_assert(sizeof(struct vu_io_fds) == 16, "wire size");

enum { VU_IO_EVENTFD = 0, VU_IO_REGIONFD = 1 };

struct vu_io_fd {
	r3_le64 offset;
	r3_le64 size;
	r3_le32 fd_index;
	r3_le32 type;
	r3_le32 flags;
	r3_le32 padding;
	r3_le64 datamatch;
};
static_assert(sizeof(struct vu_io_fd) == 40, "wire size");

struct vu_irq_info {
	r3_le32 argsz;
	r3_le32 flags; /* VFIO_IRQ_INFO_* */
	r3_le32 index;
	r3_le32 count;
};
static_assert(sizeof(struct vu_irq_info) == 16, "wire size");

struct vu_irq_set { /* ... bytes, one each, for DATA_BOOL; eventfds beside */
	r3_le32 argsz;
	r3_le32 flags; /* VFIO_IRQ_SET_* */
	r3_le32 index;
	r3_le32 start;
	r3_le32 count;
};
static_assert(sizeof(struct vu_irq_set) == 20, "wire size");

struct vu_access { /* ... data: write's command, read's reply */
	r3_le64 offset;
	r3_le32 region;
	r3_le32 count;
};
static_assert(sizeof(struct vu_access) == 16, "wire size");

struct vu_multi { /* ... writes */
	r3_le64 count;
};

struct vu_multi_write {
	r3_le64 offset;
	r3_le32 region;
	r3_le32 count; /* 1 to 8 */
	uint8_t data[8];
};
static_assert(sizeof(struct vu_multi_write) == 24, "wire size");

#define VU_MULTI_MAX 256 /* writes in one message */

#endif
