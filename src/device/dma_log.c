// SPDX-License-Identifier: GPL-2.0-or-later
/* dma_log.c - DMA faults, as the kernel's IOMMU drivers log them */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ring3/device.h"

#define RECORDS_MAX 1024 /* read by one r3_dma_log_next() */

/* The text behind @word, or NULL. */
static const char *behind(const char *text, const char *word)
{
	const char *p = strstr(text, word);

	return p ? p + strlen(word) : NULL;
}

static bool take_bdf(const char *p, char out[16])
{
	unsigned domain = 0, bus, dev, fn;

	if (sscanf(p, "%4x:%2x:%2x.%1x", &domain, &bus, &dev, &fn) != 4) {
		domain = 0;
		if (sscanf(p, "%2x:%2x.%1x", &bus, &dev, &fn) != 3)
			return false;
	}
	if (dev > 31 || fn > 7)
		return false;
	snprintf(out, 16, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff,
		 dev & 0x1f, fn & 7);
	return true;
}

/* DMAR: [DMA Write NO_PASID] Request device [00:03.0] fault addr 0x40000000
 * [fault reason 0x05] ...; drivers/iommu/intel/dmar.c, 5.x without NO_PASID */
static bool parse_intel(const char *line, struct r3_dma_fault *out)
{
	const char *p = behind(line, "DMAR: [DMA ");
	const char *device, *addr;

	if (!p)
		return false;
	device = behind(p, "device [");
	addr = behind(p, "fault addr ");
	if (!device || !addr || !take_bdf(device, out->device))
		return false;
	out->write = !strncmp(p, "Write", 5);
	out->addr = strtoull(addr, NULL, 16);
	return true;
}

/* vfio-pci 0000:00:03.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000f
 * address=0x40000000 flags=0x0020]; drivers/iommu/amd/iommu.c.  The device may
 * also stand inside as device=00:03.0.  Flag bit 5: a write. */
static bool parse_amd(const char *line, struct r3_dma_fault *out)
{
	const char *event = behind(line, "AMD-Vi: Event logged [IO_PAGE_FAULT");
	const char *device, *addr, *flags, *colon;

	if (!event)
		return false;
	addr = behind(event, "address=");
	flags = behind(event, "flags=");
	device = behind(event, "device=");
	colon = strstr(line, ": AMD-Vi:");
	if (!device && colon) {
		device = colon;
		while (device > line && device[-1] != ' ')
			device--;
	}
	if (!device || !addr || !flags || !take_bdf(device, out->device))
		return false;
	out->addr = strtoull(addr, NULL, 16);
	out->write = strtoul(flags, NULL, 16) & 0x20;
	return true;
}

int r3_dma_fault_parse(const char *line, size_t len, struct r3_dma_fault *out)
{
	struct r3_dma_fault f = { 0 };
	char text[R3_DMA_LINE_MAX];

	len = r3_min(len, sizeof(text) - 1);
	memcpy(text, line, len);
	text[len] = 0;
	if (!parse_intel(text, &f) && !parse_amd(text, &f))
		return -ENOENT;
	*out = f;
	return 0;
}

int r3_dma_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

/* "6,1234,5678901,-;text\n": priority, number, microseconds, flags.
 * Documentation/ABI/testing/dev-kmsg. */
static int parse_record(const char *rec, size_t len, struct r3_dma_fault *out)
{
	const char *text = memchr(rec, ';', len);
	unsigned long long at = 0;
	int err;

	if (!text)
		return -ENOENT;
	text++;
	err = r3_dma_fault_parse(text, len - (size_t)(text - rec), out);
	if (!err && sscanf(rec, "%*u,%*u,%llu", &at) == 1)
		out->at_us = at;
	return err;
}

int r3_dma_log_next(int fd, struct r3_dma_fault *out)
{
	for (unsigned i = 0; i < RECORDS_MAX; i++) {
		char rec[8192]; /* a record is never longer */
		ssize_t n = read(fd, rec, sizeof(rec) - 1);

		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue; /* some were overwritten: those are lost */
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return 0;
		rec[n] = 0;
		if (!parse_record(rec, (size_t)n, out))
			return 1;
	}
	return 0;
}
