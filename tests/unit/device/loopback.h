/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loopback.h - a small emulated device behind a vfio-user server, in a thread
 *
 * BAR 0: 16 KiB of memory; its page 1 can be mapped.  Register 0x10 returns an
 * error when written, 0x20 makes the device DMA: bytes 0x28 on say how.
 * 8 MSI-X vectors: writing n to 0x40 raises vector n.
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "test.h"
#include "ring3/device.h"
#include "ring3/vfio_user.h"

#define LOOP_BAR     0x4000
#define LOOP_VECTORS 8
#define LOOP_TABLE   0x2000
#define LOOP_PBA     0x3000

struct loopback {
	struct r3_loop *loop;
	struct r3_vfu *vfu;
	struct r3_vfu_config config;
	struct r3_vfu_ioeventfd bell;
	struct r3_watch bell_watch;
	uint8_t *bar;
	int bar_fd, client_fd, stop_fd;
	pthread_t thread;
	struct r3_watch stop_watch;
	/* what the device saw; read it when the thread has answered */
	unsigned resets, added, gone, attached, detached, faults, bells;
	unsigned config_writes;
	uint64_t fault_addr;
	bool fault_write;
};

/* One register write tells the device to copy: u64 addr, u32 len, u32 write. */
struct loop_dma {
	uint64_t addr;
	uint32_t len, write;
};

void loopback_open(struct loopback *l, bool allow_unsealed);
/* A further client; -1: that the server is told nothing of. */
int loopback_connect(struct loopback *l);
void loopback_close(struct loopback *l);

#endif
