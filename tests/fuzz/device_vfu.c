// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device_vfu.c - a client's bytes and fds into the vfio-user server
 *
 * Input: pieces of { u8 what, u16 length, bytes }.  what: bits 0-4 fds beside
 * the piece (0 to 31), bit 5 they are eventfds, not memory; bit 6 turn the loop
 * before the next piece.  Byte 0 of all: bit 0 begin with a good version.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/vfio_user.h"
#include "send_piece.h"

static struct r3_vfu *vfu;
static struct r3_loop *loop;
static struct r3_vfu_config config;
static int memory, events;
static uint8_t bar[0x4000];
static unsigned live; /* mappings that the device was told of */

static int on_access(void *ctx, unsigned region, uint64_t off, void *data,
		     size_t len, bool write)
{
	uint64_t addr;

	(void)ctx;
	(void)region;
	assert(off + len <= sizeof(bar));
	if (!write) {
		memcpy(data, bar + off, len);
		return 0;
	}
	memcpy(bar + off, data, len);
	/* The device at work: where the register says. */
	memcpy(&addr, bar, sizeof(addr));
	r3_vfu_dma_write(vfu, addr, bar + 64, bar[8]);
	r3_vfu_dma_read(vfu, addr + 1, bar + 512, bar[9]);
	r3_vfu_irq(vfu, bar[10], bar[11]);
	if (bar[12] == 0xdd)
		r3_vfu_drop(vfu);
	return bar[13] == 0xee ? -EIO : 0;
}

static void on_added(void *ctx, const struct r3_region *reg)
{
	(void)ctx;
	assert(reg->host && reg->len);
	live++;
}

static void on_gone(void *ctx, const struct r3_region *reg)
{
	(void)ctx;
	assert(reg->host && live);
	live--;
}

static void on_detached(void *ctx)
{
	(void)ctx;
	assert(!live);
}

static const struct r3_vfu_ops ops = {
	.access = on_access, .dma_added = on_added, .dma_gone = on_gone,
	.detached = on_detached,
};

static void set_up(void)
{
	static const struct r3_vfu_ids ids = { .vendor = 1, .device = 2 };
	static struct r3_vfu_ioeventfd bell = { .off = 0x1000, .size = 4 };
	struct r3_vfu_desc desc = {
		.name = "fuzz", .config = &config,
		.irqs = { 1, 1, 4, 1, 1 }, .ioeventfds = &bell,
		.ioeventfd_count = 1,
	};

	r3_log_level = R3_ERROR;
	memory = r3_memfd("fuzz", 0x4000);
	events = eventfd(0, EFD_NONBLOCK);
	bell.fd = events;
	r3_vfu_config_init(&config, &ids, true);
	r3_vfu_config_bar(&config, 0, sizeof(bar), true, false);
	r3_vfu_config_pm(&config);
	r3_vfu_config_express(&config);
	r3_vfu_config_msix(&config, 4, 0, 0x2000, 0x3000);
	desc.regions[0] = (struct r3_vfu_region){
		.size = sizeof(bar), .prot = R3_READ | R3_WRITE,
		.fd = memory, .area_count = 1, .areas = { { 0x1000, 0x1000 } },
	};
	if (r3_loop_open(&loop) || r3_vfu_new(&vfu, loop, &desc, &ops, NULL))
		abort();
}

static void turn(int sock)
{
	char bin[4096];

	for (unsigned i = 0; i < 4; i++) {
		r3_loop_once(loop, 0);
		while (recv(sock, bin, sizeof(bin), MSG_DONTWAIT) > 0)
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t hello[] = { 1, 0, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0,
					 0, 0, 0, 0, 0, 0, 1, 0 };
	struct r3_span s = { data, len };
	const uint8_t *head = r3_take(&s, 1);
	int pair[2];

	if (!vfu)
		set_up();
	if (!head || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 0;
	if (r3_vfu_attach(vfu, pair[1]))
		abort();
	if (*head & 1)
		send_piece(pair[0], hello, sizeof(hello), 0, -1);
	for (unsigned n = 0; n < 64 && (head = r3_take(&s, 3)); n++) {
		size_t piece = r3_min(head[1] | head[2] << 8, s.len);

		send_piece(pair[0], r3_take(&s, piece), piece, *head & 0x1f,
			   *head & 0x20 ? events : memory);
		if (*head & 0x40)
			turn(pair[0]);
	}
	turn(pair[0]);
	r3_vfu_drop(vfu);
	close(pair[0]);
	assert(!live);
	return 0;
}
