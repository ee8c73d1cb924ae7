// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device_client.c - a server's replies into the vfio-user client
 *
 * Input: messages of { u8 what, u16 length, bytes }, all sent before the client
 * begins.  what: bits 0-3 fds beside it; bit 4: their number in the order of
 * sending stands in for the message's id (what the client expects), unless set.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring3/device.h"
#include "ring3/log.h"
#include "send_piece.h"

static int memory;

static void use(struct r3_device *dev)
{
	struct r3_space_mem m = { .fd = memory, .len = 0x1000 };
	int fds[3] = { memory, -1, memory }, fd;
	uint8_t buf[300];
	volatile void *p;
	uint64_t iova;
	unsigned n;

	r3_device_read(dev, 0, 0, buf, 4);
	r3_device_read(dev, 0, 16, buf, sizeof(buf));
	r3_device_write(dev, 0, 0, buf, 8);
	if (!r3_device_ioeventfd(dev, 0, 0x1000, 4, &fd))
		close(fd);
	for (unsigned i = 0; i < r3_device_info(dev)->regions; i++) {
		const struct r3_device_region *reg = r3_device_region(dev, i);

		for (unsigned k = 0; k < reg->area_count; k++)
			r3_device_map_region(dev, i, reg->areas[k].off,
					     R3_PAGE_SIZE, R3_READ, &p);
	}
	r3_device_irq_set(dev, VFIO_PCI_MSIX_IRQ_INDEX, 0, fds, 3);
	r3_space_map_any(r3_device_space(dev), &m, R3_READ, 0, UINT64_MAX,
			 &iova);
	r3_device_find_cap(dev, 0x10, &n);
	r3_device_find_ext_cap(dev, 0x10, &n);
	r3_device_power_state(dev, &n);
	r3_device_reset(dev);
	r3_device_events(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t buf[65536];
	struct r3_span s = { data, len };
	struct r3_device *dev;
	const uint8_t *head;
	int pair[2];

	if (!memory) {
		r3_log_level = R3_ERROR;
		memory = r3_memfd("fuzz", 0x4000);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 0;
	for (uint16_t n = 0; n < 64 && (head = r3_take(&s, 3)); n++) {
		size_t piece = r3_min(head[1] | head[2] << 8, s.len);

		if (!piece)
			break;
		memcpy(buf, r3_take(&s, piece), piece);
		if (piece > 2 && !(*head & 0x10))
			memcpy(buf, &n, 2);
		send_piece(pair[1], buf, piece, *head & 0xf, memory);
	}
	shutdown(pair[1], SHUT_WR);
	if (!r3_device_open_vfio_user(&dev, pair[0], "fuzz", 50)) {
		use(dev);
		r3_device_close(dev);
	}
	close(pair[1]);
	return 0;
}
