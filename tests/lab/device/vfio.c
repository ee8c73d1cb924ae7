// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfio.c - devices and spaces on the kernel's real VFIO, with QEMU's NVMe
 * controller bound to vfio-pci.  Runs in the lab; its address is argv[1].
 */
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "test.h"
#include "ring3/device.h"

#define BAR0	 VFIO_PCI_BAR0_REGION_INDEX
#define MSIX	 VFIO_PCI_MSIX_IRQ_INDEX
#define MEM_LEN	 (4 * R3_PAGE_SIZE)
#define MEM_IOVA 0x100000
#define OUTSIDE	 0x40000000

/* NVMe 1.4 3.1: registers */
enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30,
       SQ0TDBL = 0x1000, CQ0HDBL = 0x1004 };

static const char *bdf;

struct rig {
	struct r3_vfio_fds fds;
	struct r3_device *dev;
	struct r3_space *space;
	int memfd;
	uint8_t *mem; /* page 0: submission, 1: completion, 2: data */
	unsigned tail;
};

static void open_rig(struct rig *r)
{
	char why[256] = "";
	void *p;

	memset(r, 0, sizeof(*r));
	if (r3_vfio_open(bdf, &r->fds, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(r3_vfio_fence(&r->fds), 0);
	assert_int_equal(r3_device_open_vfio(&r->dev, &r->fds, "nvme"), 0);
	r->space = r3_device_space(r->dev);
	r->memfd = r3_memfd("rig", MEM_LEN);
	assert_int_equal(r3_map(r->memfd, 0, MEM_LEN, R3_READ | R3_WRITE, &p),
			 0);
	r->mem = p;
}

static void close_rig(struct rig *r)
{
	r3_device_close(r->dev);
	r3_vfio_close(&r->fds);
	r3_unmap(r->mem, MEM_LEN);
	close(r->memfd);
}

static void map_rig(struct rig *r)
{
	struct r3_space_mem m = { .fd = r->memfd, .len = MEM_LEN,
				  .host = r->mem };

	assert_int_equal(r3_space_map(r->space, MEM_IOVA, &m,
				      R3_READ | R3_WRITE), 0);
}

static void set(struct rig *r, unsigned reg, uint64_t v, size_t len)
{
	assert_int_equal(r3_device_write(r->dev, BAR0, reg, &v, len), 0);
}

static uint32_t get(struct rig *r, unsigned reg)
{
	uint32_t v = 0;

	assert_int_equal(r3_device_read(r->dev, BAR0, reg, &v, 4), 0);
	return v;
}

static void enable(struct rig *r, uint64_t sq)
{
	assert_int_equal(r3_device_bus_master(r->dev, true), 0);
	set(r, AQA, 7 << 16 | 7, 4);
	set(r, ASQ, sq, 8);
	set(r, ACQ, MEM_IOVA + R3_PAGE_SIZE, 8);
	set(r, CC, 6 << 16 | 4 << 20 | 1, 4);
	for (unsigned i = 0; !(get(r, CSTS) & 1); i++) {
		assert_true(i < 2000);
		usleep(1000);
	}
	r->tail = 0;
}

/* Identify controller to @addr; true when a completion came within 2 s. */
static bool identify(struct rig *r, uint64_t addr)
{
	volatile uint32_t *sqe = (void *)(r->mem + 64 * r->tail);
	volatile uint16_t *status =
		(void *)(r->mem + R3_PAGE_SIZE + 16 * r->tail + 14);

	memset((void *)sqe, 0, 64);
	sqe[0] = 6 | (r->tail + 1) << 16;
	sqe[6] = (uint32_t)addr;
	sqe[7] = (uint32_t)(addr >> 32);
	sqe[10] = 1;
	r->tail++;
	set(r, SQ0TDBL, r->tail, 4);
	for (unsigned i = 0; !(*status & 1) && i < 2000; i++)
		usleep(1000);
	return *status & 1;
}

/* ---- opening ------------------------------------------------------------ */

static void opening(void **state)
{
	struct r3_vfio_fds fds;
	char why[256];
	struct rig r;

	(void)state;
	assert_int_equal(r3_vfio_open("0000:77:00.0", &fds, why, sizeof(why)),
			 -ENODEV);
	assert_int_equal(r3_vfio_open("nonsense", &fds, why, sizeof(why)),
			 -EINVAL);
	assert_int_equal(r3_vfio_open("0000:00:1f.2", &fds, why, sizeof(why)),
			 -ENXIO);
	open_rig(&r);
	ROW("twice");
	assert_int_equal(r3_vfio_open(bdf, &fds, why, sizeof(why)), -EBUSY);
	ROW("what it has");
	assert_true(r3_device_info(r.dev)->can_reset);
	assert_int_equal(r3_device_region(r.dev, BAR0)->size, 0x4000);
	assert_true(r3_device_region(r.dev, BAR0)->msix_mappable);
	assert_int_equal(r3_device_irq(r.dev, MSIX)->count, 65);
	assert_int_equal(r3_device_irq(r.dev, VFIO_PCI_ERR_IRQ_INDEX)->count,
			 1);
	assert_int_equal(r3_device_events(r.dev), 0);
	close_rig(&r);
}

/* ---- the space ---------------------------------------------------------- */

static void space_checks(void **state)
{
	static const struct {
		const char *name;
		uint64_t iova, len;
		int want;
	} rows[] = {
		{ "a mapping", 0x200000, 0x2000, 0 },
		{ "the same again", 0x200000, 0x2000, -EEXIST },
		{ "its last page", 0x201000, 0x1000, -EEXIST },
		{ "the page behind it", 0x202000, 0x1000, 0 },
		{ "the page before it", 0x1ff000, 0x1000, 0 },
		{ "the last page before the interrupts", 0xfedff000, 0x1000,
		  0 },
		{ "the interrupts' window", 0xfee00000, 0x1000, -ERANGE },
		{ "over its edge", 0xfedff000, 0x2000, -ERANGE },
		{ "the first page behind it", 0xfef00000, 0x1000, 0 },
		{ "the last page of 39 bits", 0x7ffffff000, 0x1000, 0 },
		{ "the first of the 40th", 0x8000000000, 0x1000, -ERANGE },
		{ "not aligned", 0x300800, 0x1000, -EINVAL },
		{ "half a page", 0x300000, 0x800, -EINVAL },
	};
	const struct r3_space_limits *l;
	struct rig r;

	(void)state;
	open_rig(&r);
	l = r3_space_limits(r.space);
	assert_int_equal(l->page_sizes & 0x201000, 0x201000);
	assert_int_equal(l->max_maps, 65535);
	assert_int_equal(l->range_count, 2);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_space_mem m = { .fd = r.memfd, .len = rows[i].len,
					  .host = i % 2 ? r.mem : NULL };

		ROW(rows[i].name);
		assert_int_equal(r3_space_map(r.space, rows[i].iova, &m,
					      R3_READ), rows[i].want);
	}
	assert_int_equal(r3_space_unmap(r.space, 0x200000, 0x1000), -ENOENT);
	assert_int_equal(r3_space_unmap(r.space, 0x200000, 0x2000), 0);
	close_rig(&r);
}

/* What our checks stand before: the kernel's own answers. */
static void kernel_agrees(void **state)
{
	static const struct {
		const char *name;
		uint64_t iova, size;
		int want;
	} rows[] = {
		{ "a mapping", 0x200000, 0x2000, 0 },
		{ "overlap", 0x201000, 0x1000, EEXIST },
		{ "the interrupts' window", 0xfee00000, 0x1000, EINVAL },
		{ "not aligned", 0x300800, 0x1000, EINVAL },
	};
	struct vfio_iommu_type1_dma_unmap un = {
		.argsz = sizeof(un), .iova = 0x200000, .size = 0x1000,
	};
	struct rig r;

	(void)state;
	open_rig(&r);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ,
			.vaddr = (uintptr_t)r.mem, .iova = rows[i].iova,
			.size = rows[i].size,
		};
		int rc = ioctl(r.fds.container, VFIO_IOMMU_MAP_DMA, &map);

		ROW(rows[i].name);
		assert_int_equal(rc ? errno : 0, rows[i].want);
	}
	ROW("a part of a mapping");
	assert_int_equal(ioctl(r.fds.container, VFIO_IOMMU_UNMAP_DMA, &un), -1);
	assert_int_equal(errno, EINVAL);
	ROW("a mapping that isn't in our table");
	un.size = 0x2000;
	map_rig(&r);
	close_rig(&r);
}

static void mapping_limit(void **state)
{
	struct r3_space_mem m = { .len = R3_PAGE_SIZE };
	uint64_t iova = 0;
	unsigned n = 0;
	struct rig r;
	int err;

	(void)state;
	open_rig(&r);
	m.fd = r.memfd;
	m.host = r.mem;
	do {
		err = r3_space_map(r.space, (uint64_t)(n + 1) << 12, &m,
				   R3_READ);
		n += !err;
	} while (!err && n < 70000);
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(n, 65535);
	assert_int_equal(r3_space_map_any(r.space, &m, R3_READ, 0, UINT64_MAX,
					  &iova), -ENOSPC);
	assert_int_equal(r3_space_unmap(r.space, 0x1000, 0x1000), 0);
	assert_int_equal(r3_space_map_any(r.space, &m, R3_READ, 0, UINT64_MAX,
					  &iova), 0);
	assert_int_equal(iova, 0x1000);
	close_rig(&r);
}

/* ---- the device at work ------------------------------------------------- */

static void works(void **state)
{
	volatile void *regs;
	struct pollfd p = { .events = POLLIN };
	int fds[4];
	struct rig r;

	(void)state;
	open_rig(&r);
	map_rig(&r);
	for (unsigned i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(r3_device_irq_set(r.dev, MSIX, 0, fds, 1), 0);
	ROW("more vectors than before");
	assert_int_equal(r3_device_irq_set(r.dev, MSIX, 0, fds, 4), 0);
	enable(&r, MEM_IOVA);
	assert_true(identify(&r, MEM_IOVA + 2 * R3_PAGE_SIZE));
	ROW("serial number, NVMe 1.4 figure 247: bytes 4 to 23");
	assert_memory_equal(r.mem + 2 * R3_PAGE_SIZE + 4, "lab0 ", 5);
	ROW("interrupt");
	p.fd = fds[0];
	assert_int_equal(poll(&p, 1, 1000), 1);
	ROW("registers as memory");
	assert_int_equal(r3_device_map_region(r.dev, BAR0, 0, 0x1000,
					      R3_READ | R3_WRITE, &regs), 0);
	assert_int_equal(((volatile uint32_t *)regs)[CSTS / 4], 1);
	ROW("reset");
	assert_int_equal(r3_device_reset(r.dev), 0);
	assert_int_equal(get(&r, CC), 0);
	assert_int_equal(get(&r, CSTS), 0);
	assert_int_equal(r3_device_ioeventfd(r.dev, BAR0, SQ0TDBL, 4, fds),
			 -EOPNOTSUPP);
	close_rig(&r);
}

static bool find_fault(int log, uint64_t addr, bool write)
{
	struct r3_dma_fault f;

	for (unsigned i = 0; i < 200; i++) {
		int n = r3_dma_log_next(log, &f);

		assert_true(n >= 0);
		if (n && f.addr == addr && f.write == write &&
		    !strcmp(f.device, bdf))
			return true;
		if (!n)
			usleep(10000);
	}
	return false;
}

static void dma_outside(void **state)
{
	int log = r3_dma_log_open();
	struct rig r;

	(void)state;
	assert_true(log >= 0);
	open_rig(&r);
	map_rig(&r);
	enable(&r, MEM_IOVA);
	ROW("the device writes where nothing is mapped");
	memset(r.mem + 2 * R3_PAGE_SIZE, 0xa5, R3_PAGE_SIZE);
	identify(&r, OUTSIDE);
	assert_true(find_fault(log, OUTSIDE, true));
	for (unsigned i = 0; i < R3_PAGE_SIZE; i++)
		assert_int_equal(r.mem[2 * R3_PAGE_SIZE + i], 0xa5);
	ROW("the device reads where nothing is mapped");
	assert_int_equal(r3_device_reset(r.dev), 0);
	enable(&r, OUTSIDE + R3_PAGE_SIZE);
	set(&r, SQ0TDBL, 1, 4);
	assert_true(find_fault(log, OUTSIDE + R3_PAGE_SIZE, false));
	close_rig(&r);
	close(log);
}

/* The supervisor's fds keep the device open: what a dead driver left has to be
 * taken away by the fence and by the next open. */
static void driver_dies(void **state)
{
	struct r3_device *dev;
	struct rig r;
	uint32_t command;
	int status;
	pid_t pid;

	(void)state;
	open_rig(&r);
	r3_device_close(r.dev);
	pid = fork();
	if (!pid) {
		if (r3_device_open_vfio(&r.dev, &r.fds, "child"))
			_exit(1);
		r.space = r3_device_space(r.dev);
		map_rig(&r);
		enable(&r, MEM_IOVA);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(r3_vfio_fence(&r.fds), 0);
	assert_int_equal(r3_device_open_vfio(&dev, &r.fds, "next"), 0);
	r.dev = dev;
	r.space = r3_device_space(dev);
	assert_int_equal(r3_device_config_read(dev, PCI_COMMAND, 2, &command),
			 0);
	assert_int_equal(command & PCI_COMMAND_MASTER, 0);
	assert_int_equal(get(&r, CC), 0);
	map_rig(&r);
	enable(&r, MEM_IOVA);
	assert_true(identify(&r, MEM_IOVA + 2 * R3_PAGE_SIZE));
	close_rig(&r);
}

/* cmocka has a handler of its own; a server has one that does this. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!r3_guard_fault(info->si_addr)) {
		signal(sig, SIG_DFL);
		kill(getpid(), sig);
	}
}

static void power(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO };
	volatile void *regs;
	bool can_set = false;
	struct rig r;
	unsigned d;

	(void)state;
	sigaction(SIGBUS, &sa, NULL);
	open_rig(&r);
	assert_int_equal(r3_device_set_power_state(r.dev, 3), 0);
	assert_int_equal(r3_device_power_state(r.dev, &d), 0);
	assert_int_equal(d, 3);
	assert_int_equal(r3_device_set_power_state(r.dev, 0), 0);
	assert_int_equal(r3_device_power_state(r.dev, &d), 0);
	assert_int_equal(d, 0);
	ROW("low power is known, migration is not");
	assert_int_equal(r3_device_feature(r.dev,
					   VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
					   NULL, &can_set), 0);
	assert_true(can_set);
	assert_int_equal(r3_device_feature(r.dev,
					   VFIO_DEVICE_FEATURE_MIGRATION,
					   NULL, NULL), -EOPNOTSUPP);
	assert_int_equal(r3_device_map_region(r.dev, BAR0, 0, 0x1000, R3_READ,
					      &regs), 0);
	assert_int_not_equal(*(volatile uint32_t *)regs, 0);
	assert_int_equal(r3_device_low_power_enter(r.dev), 0);
	ROW("registers that are out of reach: zeros and an event");
	assert_int_equal(*(volatile uint32_t *)regs, 0);
	assert_int_equal(r3_device_events(r.dev), R3_DEVICE_LOST);
	ROW("a fence wakes it");
	assert_int_equal(r3_vfio_fence(&r.fds), 0);
	assert_int_equal(get(&r, CC), 0);
	close_rig(&r);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening),
		cmocka_unit_test(space_checks),
		cmocka_unit_test(kernel_agrees),
		cmocka_unit_test(mapping_limit),
		cmocka_unit_test(works),
		cmocka_unit_test(dma_outside),
		cmocka_unit_test(driver_dies),
		cmocka_unit_test(power),
	};

	bdf = argc > 1 ? argv[1] : "";
	return cmocka_run_group_tests_name("device vfio", tests, NULL, NULL);
}
