/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - the messages of vhost-user, on one page
 *
 * Machine byte order, as both ends are on one machine.  Fields are naturally
 * aligned in a message's payload, which starts 12 bytes into it and is copied
 * out.  Source: QEMU docs/interop/vhost-user.rst.
 */
#ifndef CHANNEL_WIRE_H
#define CHANNEL_WIRE_H

#include "ring3/base.h"
#include "ring3/vhost_user.h"

enum {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4, /* deprecated: stops the queues */
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_REQUESTS
};

/* In vu_head.flags. */
#define VU_VERSION	1u
#define VU_VERSION_MASK 3u
#define VU_REPLY	(1u << 2)
#define VU_NEED_REPLY	(1u << 3)

/* Among the device's feature bits: there are protocol features. */
#define VU_F_PROTOCOL (UINT64_C(1) << 30)

#define VU_PF_MQ	   (UINT64_C(1) << 0)
#define VU_PF_REPLY_ACK	   (UINT64_C(1) << 3)
#define VU_PF_CONFIG	   (UINT64_C(1) << 9)
#define VU_PF_INFLIGHT	   (UINT64_C(1) << 12)
#define VU_PF_RESET_DEVICE (UINT64_C(1) << 13)
#define VU_PF_MEM_SLOTS	   (UINT64_C(1) << 15)

#define VU_FDS_MAX   8	    /* beside one message, and regions of one table */
#define VU_NO_FD     0x100u /* in a kick, call or err message's number */
#define VU_INDEX     0xffu

struct vu_head {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload that follows */
};
static_assert(sizeof(struct vu_head) == 12, "wire size");

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used; /* packed: the device's event suppression */
	uint64_t avail; /* packed: the driver's */
	uint64_t log;
};
static_assert(sizeof(struct vu_vring_addr) == 40, "wire size");

struct vu_region {
	uint64_t guest;
	uint64_t len;
	uint64_t user;
	uint64_t off; /* into the fd */
};

struct vu_memory {
	uint32_t count;
	uint32_t padding;
	struct vu_region region[VU_FDS_MAX];
};
static_assert(sizeof(struct vu_memory) == 8 + 8 * 32, "wire size");

struct vu_mem_reg {
	uint64_t padding;
	struct vu_region region;
};

struct vu_config {
	uint32_t offset;
	uint32_t len;
	uint32_t flags; /* 1: live migration */
	uint8_t data[R3_VU_CONFIG_MAX];
};
#define VU_CONFIG_HEAD offsetof(struct vu_config, data)
static_assert(VU_CONFIG_HEAD == 12, "wire size");

struct vu_inflight {
	uint64_t len;
	uint64_t off; /* into the fd */
	uint16_t queues;
	uint16_t queue_size;
	uint32_t padding; /* some send 20 bytes, some 24 */
};
#define VU_INFLIGHT_LEN offsetof(struct vu_inflight, padding)

union vu_payload {
	uint64_t u64;
	struct vu_vring_state state;
	struct vu_vring_addr addr;
	struct vu_memory memory;
	struct vu_mem_reg mem_reg;
	struct vu_config config;
	struct vu_inflight inflight;
};

/* Send one message, and fds with it.  0 or a negative errno; -EAGAIN when
 * the other side does not read. */
int vu_send(int socket, const struct vu_head *head,
	    const union vu_payload *payload, const int *fds, unsigned count);

/* A message as it comes in, perhaps in pieces. */
struct vu_in {
	struct vu_head head;
	union vu_payload payload;
	uint32_t got; /* bytes of head and payload */
	int fds[VU_FDS_MAX];
	unsigned fd_count;
};

/**
 * vu_receive() - take what the socket has of the next message
 * Return: 1 (complete), 0 (more to come), -EPIPE (the peer left), -EPROTO
 * (too long, too many fds), or what recvmsg() said.
 */
int vu_receive(int socket, struct vu_in *in);
/* Close the fds that nobody took, and begin with the next message. */
void vu_in_reset(struct vu_in *in);
/* One fd becomes the caller's; -1: there is none. */
int vu_take_fd(struct vu_in *in, unsigned i);

#endif
