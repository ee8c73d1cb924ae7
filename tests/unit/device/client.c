// SPDX-License-Identifier: GPL-2.0-or-later
/* client.c - our vfio-user client against our server, end to end */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "loopback.h"

#define BAR0   VFIO_PCI_BAR0_REGION_INDEX
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX

static struct r3_device *open_device(int sock)
{
	struct r3_device *dev;

	assert_int_equal(r3_device_open_vfio_user(&dev, sock, "dev", 2000), 0);
	return dev;
}

static void describes_itself(void **state)
{
	struct loopback l;
	struct r3_device *dev;
	unsigned off;
	uint32_t v;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	assert_true(r3_device_info(dev)->can_reset);
	assert_int_equal(r3_device_info(dev)->regions, VFIO_PCI_NUM_REGIONS);
	assert_int_equal(r3_device_info(dev)->irqs, VFIO_PCI_NUM_IRQS);
	assert_int_equal(r3_device_region(dev, BAR0)->size, LOOP_BAR);
	assert_int_equal(r3_device_region(dev, BAR0)->area_count, 1);
	assert_int_equal(r3_device_region(dev, BAR0)->areas[0].off, 0x1000);
	assert_int_equal(r3_device_region(dev, 1)->size, 0);
	assert_int_equal(r3_device_region(dev, CONFIG)->size, 4096);
	assert_null(r3_device_region(dev, VFIO_PCI_NUM_REGIONS));
	assert_int_equal(r3_device_irq(dev, MSIX)->count, LOOP_VECTORS);
	assert_null(r3_device_irq(dev, VFIO_PCI_NUM_IRQS));
	assert_int_equal(r3_device_config_read(dev, 0, 4, &v), 0);
	assert_int_equal(v, 0x00101b36);
	assert_int_equal(r3_device_find_cap(dev, PCI_CAP_ID_MSIX, &off), 0);
	assert_int_equal(r3_device_find_cap(dev, PCI_CAP_ID_EXP, &off), 0);
	assert_int_equal(r3_device_find_cap(dev, PCI_CAP_ID_AGP, &off),
			 -ENOENT);
	assert_int_equal(r3_device_find_ext_cap(dev, PCI_EXT_CAP_ID_ERR, &off),
			 -ENOENT);
	assert_int_equal(r3_device_feature(dev, 3, NULL, NULL), -EOPNOTSUPP);
	r3_device_close(dev);
	loopback_close(&l);
}

static void sizes_its_bars(void **state)
{
	struct loopback l;
	struct r3_device *dev;
	uint32_t v;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	/* PCI 3.0 6.2.5.1: write ones, read the size */
	assert_int_equal(r3_device_config_write(dev, 0x10, 4, UINT32_MAX), 0);
	assert_int_equal(r3_device_config_read(dev, 0x10, 4, &v), 0);
	assert_int_equal(v, 0xffffc004);
	assert_int_equal(r3_device_config_write(dev, 0x14, 4, UINT32_MAX), 0);
	assert_int_equal(r3_device_config_read(dev, 0x14, 4, &v), 0);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(r3_device_config_write(dev, 0x18, 4, UINT32_MAX), 0);
	assert_int_equal(r3_device_config_read(dev, 0x18, 4, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(r3_device_config_write(dev, 0, 4, 0), 0);
	assert_int_equal(r3_device_config_read(dev, 0, 4, &v), 0);
	assert_int_equal(v, 0x00101b36);
	r3_device_close(dev);
	loopback_close(&l);
}

static void accesses_are_checked(void **state)
{
	static const struct {
		const char *name;
		unsigned region;
		uint64_t off;
		size_t len;
		int want;
	} rows[] = {
		{ "the first byte", BAR0, 0, 1, 0 },
		{ "the last byte", BAR0, LOOP_BAR - 1, 1, 0 },
		{ "one past the end", BAR0, LOOP_BAR, 1, -ERANGE },
		{ "half past the end", BAR0, LOOP_BAR - 4, 8, -ERANGE },
		{ "all of it", BAR0, 0, LOOP_BAR, 0 },
		{ "offset wraps", BAR0, UINT64_MAX, 8, -ERANGE },
		{ "nothing", BAR0, 0, 0, -EINVAL },
		{ "no such BAR", 1, 0, 4, -EINVAL },
		{ "no such region", 99, 0, 4, -EINVAL },
		{ "the end of configuration", CONFIG, 4092, 4, 0 },
		{ "past configuration", CONFIG, 4096, 4, -ERANGE },
	};
	static uint8_t buf[LOOP_BAR];
	struct loopback l;
	struct r3_device *dev;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		assert_int_equal(r3_device_read(dev, rows[i].region,
						rows[i].off, buf, rows[i].len),
				 rows[i].want);
	}
	ROW("the device's own error");
	assert_int_equal(r3_device_write(dev, BAR0, 0x10, buf, 4), -EDOM);
	ROW("posted: its error is lost, its order kept");
	assert_int_equal(r3_device_post(dev, BAR0, 0x10, buf, 4), 0);
	memcpy(buf, "posted", 6);
	assert_int_equal(r3_device_post(dev, BAR0, 0x100, buf, 6), 0);
	assert_int_equal(r3_device_read(dev, BAR0, 0x100, buf + 8, 6), 0);
	assert_memory_equal(buf + 8, "posted", 6);
	ROW("the MSI-X table is memory, the pending bits are read only");
	memset(buf, 0x5a, 32);
	assert_int_equal(r3_device_write(dev, BAR0, LOOP_TABLE - 8, buf, 32),
			 0);
	memset(buf, 0, 32);
	assert_int_equal(r3_device_read(dev, BAR0, LOOP_TABLE - 8, buf, 32),
			 0);
	assert_int_equal(buf[0], 0x5a);
	assert_int_equal(buf[31], 0x5a);
	assert_int_equal(l.bar[LOOP_TABLE - 1], 0x5a);
	assert_int_equal(l.bar[LOOP_TABLE], 0);
	assert_int_equal(r3_device_write(dev, BAR0, LOOP_PBA, buf, 4), 0);
	assert_int_equal(r3_device_read(dev, BAR0, LOOP_PBA, buf, 4), 0);
	assert_int_equal(buf[0], 0);
	r3_device_close(dev);
	loopback_close(&l);
}

static void maps_what_can_be_mapped(void **state)
{
	static const struct {
		const char *name;
		uint64_t off, len;
		int want;
	} rows[] = {
		{ "the area", 0x1000, 0x1000, 0 },
		{ "before it", 0, 0x1000, -EOPNOTSUPP },
		{ "behind it", 0x2000, 0x1000, -EOPNOTSUPP },
		{ "more than it", 0x1000, 0x2000, -EOPNOTSUPP },
		{ "not aligned", 0x1008, 0x1000, -EINVAL },
		{ "past the region", 0x4000, 0x1000, -ERANGE },
		{ "nothing", 0x1000, 0, -EINVAL },
	};
	struct loopback l;
	struct r3_device *dev;
	volatile void *p;
	uint64_t one = 1;
	int fd;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		ROW(rows[i].name);
		assert_int_equal(r3_device_map_region(dev, BAR0, rows[i].off,
						      rows[i].len,
						      R3_READ | R3_WRITE, &p),
				 rows[i].want);
	}
	ROW("it is the device's memory");
	*(volatile uint32_t *)p = 0x12345678;
	assert_int_equal(*(uint32_t *)(l.bar + 0x1000), 0x12345678);
	r3_device_unmap_region(dev, p);
	ROW("an eventfd stands for a doorbell");
	assert_int_equal(r3_device_ioeventfd(dev, BAR0, 0x1008, 4, &fd), 0);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	close(fd);
	ROW("but not for others");
	assert_int_equal(r3_device_ioeventfd(dev, BAR0, 0x100c, 4, &fd),
			 -EOPNOTSUPP);
	assert_int_equal(r3_device_ioeventfd(dev, BAR0, 0x1008, 8, &fd),
			 -EOPNOTSUPP);
	r3_device_close(dev);
	loopback_close(&l);
	assert_int_equal(l.bells, 1);
}

static bool fired(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, 0) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
}

static void fire(struct r3_device *dev, uint8_t vector)
{
	assert_int_equal(r3_device_write(dev, BAR0, 0x40, &vector, 1), 0);
}

static void interrupts(void **state)
{
	struct loopback l;
	struct r3_device *dev;
	int fds[LOOP_VECTORS + 1], holes[LOOP_VECTORS];

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	for (unsigned i = 0; i <= LOOP_VECTORS; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fire(dev, 0); /* nobody has asked: nothing happens */
	assert_int_equal(r3_device_irq_set(dev, MSIX, 0, fds, LOOP_VECTORS),
			 0);
	fire(dev, 3);
	assert_true(fired(fds[3]));
	assert_false(fired(fds[2]));
	ROW("ranges");
	assert_int_equal(r3_device_irq_set(dev, MSIX, 0, fds,
					   LOOP_VECTORS + 1), -EINVAL);
	assert_int_equal(r3_device_irq_set(dev, MSIX, LOOP_VECTORS, fds, 1),
			 -EINVAL);
	assert_int_equal(r3_device_irq_set(dev, MSIX, 7, fds, 1), 0);
	assert_int_equal(r3_device_irq_set(dev, 99, 0, fds, 1), -EINVAL);
	fire(dev, 7);
	assert_true(fired(fds[0]));
	ROW("holes");
	memcpy(holes, fds, sizeof(holes));
	holes[0] = holes[4] = -1;
	assert_int_equal(r3_device_irq_set(dev, MSIX, 0, holes, LOOP_VECTORS),
			 0);
	fire(dev, 4);
	fire(dev, 5);
	assert_false(fired(fds[4]));
	assert_true(fired(fds[5]));
	ROW("masked ones fire when unmasked");
	assert_int_equal(r3_device_irq_mask(dev, MSIX, 5, true), 0);
	fire(dev, 5);
	assert_false(fired(fds[5]));
	assert_int_equal(r3_device_irq_mask(dev, MSIX, 5, false), 0);
	assert_true(fired(fds[5]));
	ROW("the client can raise one");
	assert_int_equal(r3_device_irq_trigger(dev, MSIX, 6), 0);
	assert_true(fired(fds[6]));
	ROW("off");
	assert_int_equal(r3_device_irq_disable(dev, MSIX), 0);
	fire(dev, 6);
	assert_false(fired(fds[6]));
	r3_device_close(dev);
	loopback_close(&l);
	for (unsigned i = 0; i <= LOOP_VECTORS; i++)
		close(fds[i]);
}

static void do_dma(struct r3_device *dev, uint64_t addr, uint32_t len,
		   bool write)
{
	struct loop_dma d = { addr, len, write };
	uint32_t go = 1;

	assert_int_equal(r3_device_write(dev, BAR0, 0x28, &d, sizeof(d)), 0);
	assert_int_equal(r3_device_write(dev, BAR0, 0x20, &go, 4), 0);
}

static void memory(void **state)
{
	struct loopback l;
	struct r3_device *dev;
	struct r3_space *space;
	struct r3_space_mem mem = { .len = 0x4000 };
	uint64_t iova;
	uint8_t *host;
	void *p;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	space = r3_device_space(dev);
	mem.fd = r3_memfd("dma", mem.len);
	assert_int_equal(r3_map(mem.fd, 0, mem.len, R3_READ | R3_WRITE, &p),
			 0);
	host = p;
	assert_int_equal(r3_space_map(space, 0x100000, &mem, R3_READ), 0);
	mem.len = 0x1000;
	assert_int_equal(r3_space_map(space, 0x104000, &mem,
				      R3_READ | R3_WRITE), 0);
	assert_int_equal(r3_space_map_any(space, &mem, R3_WRITE, 0,
					  UINT64_MAX, &iova), 0);
	assert_int_equal(iova, 0x1000);
	ROW("not without bus mastering");
	memcpy(host, "hello", 5);
	do_dma(dev, 0x100000, 5, false);
	assert_int_equal(l.faults, 1);
	assert_int_equal(r3_device_bus_master(dev, true), 0);
	ROW("the device reads");
	do_dma(dev, 0x100000, 5, false);
	assert_memory_equal(l.bar + 0x800, "hello", 5);
	ROW("across two mappings");
	memcpy(host + 0x3ffe, "ab", 2);
	memcpy(host, "cd", 2);
	do_dma(dev, 0x103ffe, 4, false);
	assert_memory_equal(l.bar + 0x800, "abcd", 4);
	ROW("the device writes");
	memcpy(l.bar + 0x800, "world", 5);
	do_dma(dev, 0x104010, 5, true);
	assert_memory_equal(host + 0x10, "world", 5);
	assert_int_equal(l.faults, 1);
	ROW("against its rights");
	do_dma(dev, 0x100000, 5, true);
	assert_int_equal(l.faults, 2);
	assert_true(l.fault_write);
	assert_int_equal(l.fault_addr, 0x100000);
	ROW("outside: the last byte");
	do_dma(dev, 0x104ffc, 5, false);
	assert_int_equal(l.faults, 3);
	assert_int_equal(l.fault_addr, 0x105000);
	assert_false(l.fault_write);
	ROW("after unmap");
	assert_int_equal(r3_space_unmap(space, 0x104000, 0x800), -ENOENT);
	assert_int_equal(r3_space_unmap(space, 0x104000, 0x1000), 0);
	do_dma(dev, 0x104000, 4, false);
	assert_int_equal(l.faults, 4);
	ROW("memory without a file");
	mem = (struct r3_space_mem){ .fd = -1, .host = host, .len = 0x1000 };
	assert_int_equal(r3_space_map(space, 0x200000, &mem, R3_READ),
			 -EOPNOTSUPP);
	r3_device_close(dev);
	loopback_close(&l);
	assert_int_equal(l.added, 3);
	assert_int_equal(l.gone, 3);
	r3_unmap(host, 0x4000);
}

static void unsealed_memory(void **state)
{
	struct r3_space_mem mem = { .len = 0x1000 }, file = mem;
	struct loopback l;
	struct r3_device *dev;

	(void)state;
	mem.fd = memfd_create("unsealed", MFD_CLOEXEC);
	file.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(mem.fd, 0x1000), 0);
	for (unsigned allow = 0; allow < 2; allow++) {
		loopback_open(&l, allow);
		dev = open_device(l.client_fd);
		assert_int_equal(r3_space_map(r3_device_space(dev), 0x1000,
					      &mem, R3_READ),
				 allow ? 0 : -EPERM);
		ROW("shorter than it says");
		mem.off = 0x1000;
		assert_int_equal(r3_space_map(r3_device_space(dev), 0x2000,
					      &mem, R3_READ), -ENXIO);
		mem.off = 0;
		ROW("no memory at all");
		assert_int_equal(r3_space_map(r3_device_space(dev), 0x2000,
					      &file, R3_READ), -EPERM);
		r3_device_close(dev);
		loopback_close(&l);
	}
	close(mem.fd);
	close(file.fd);
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

/* Memory that shrinks under the device: zeros, then the end of its client. */
static void truncated_memory(void **state)
{
	struct r3_space_mem mem = { .len = 0x2000 };
	struct loopback l;
	struct r3_device *dev;
	struct pollfd p = { .events = POLLIN };
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO };

	(void)state;
	sigaction(SIGBUS, &sa, NULL);
	mem.fd = memfd_create("shrinks", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mem.fd, 0x2000), 0);
	loopback_open(&l, true);
	dev = open_device(l.client_fd);
	assert_int_equal(r3_space_map(r3_device_space(dev), 0x1000, &mem,
				      R3_READ | R3_WRITE), 0);
	assert_int_equal(r3_device_bus_master(dev, true), 0);
	assert_int_equal(pwrite(mem.fd, "hello", 5, 0x1000), 5);
	do_dma(dev, 0x2000, 5, false);
	assert_memory_equal(l.bar + 0x800, "hello", 5);
	assert_int_equal(ftruncate(mem.fd, 0x1000), 0);
	do_dma(dev, 0x2000, 5, false);
	assert_memory_equal(l.bar + 0x800, "\0\0\0\0\0", 5);
	p.fd = r3_device_event_fd(dev);
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_int_equal(r3_device_events(dev), R3_DEVICE_LOST);
	r3_device_close(dev);
	ROW("the next client is served");
	dev = open_device(loopback_connect(&l));
	r3_device_close(dev);
	loopback_close(&l);
	assert_int_equal(l.added, l.gone);
	close(mem.fd);
}

/* The same the other way: registers that the server truncates. */
static void truncated_registers(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO };
	struct loopback l;
	struct r3_device *dev;
	volatile void *page;

	(void)state;
	sigaction(SIGBUS, &sa, NULL);
	loopback_open(&l, true);
	dev = open_device(l.client_fd);
	assert_int_equal(r3_device_map_region(dev, BAR0, 0x1000, 0x1000,
					      R3_READ | R3_WRITE, &page), 0);
	*(volatile uint32_t *)page = 7;
	assert_int_equal(r3_device_events(dev), 0);
	assert_int_equal(ftruncate(l.bar_fd, 0x1000), 0);
	*(volatile uint32_t *)page = 8;
	assert_int_equal(r3_device_events(dev), R3_DEVICE_LOST);
	assert_int_equal(r3_device_reset(dev), -ENOTCONN);
	r3_device_close(dev);
	loopback_close(&l);
}

static void resets(void **state)
{
	struct loopback l;
	struct r3_device *dev;
	unsigned off, d;
	uint32_t v;

	(void)state;
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	assert_int_equal(r3_device_bus_master(dev, true), 0);
	assert_int_equal(r3_device_reset(dev), 0);
	assert_int_equal(l.resets, 1);
	assert_int_equal(r3_device_config_read(dev, PCI_COMMAND, 2, &v), 0);
	assert_int_equal(v, 0);
	ROW("function level reset");
	assert_int_equal(r3_device_find_cap(dev, PCI_CAP_ID_EXP, &off), 0);
	assert_int_equal(r3_device_config_write(dev, off + PCI_EXP_DEVCTL, 2,
						PCI_EXP_DEVCTL_BCR_FLR), 0);
	assert_int_equal(l.resets, 2);
	assert_int_equal(r3_device_config_read(dev, off + PCI_EXP_DEVCTL, 2,
					       &v), 0);
	assert_int_equal(v, 0);
	ROW("power states");
	for (unsigned s = 0; s < 4; s += 3) {
		assert_int_equal(r3_device_set_power_state(dev, 3 - s), 0);
		assert_int_equal(r3_device_power_state(dev, &d), 0);
		assert_int_equal(d, 3 - s);
	}
	assert_int_equal(r3_device_set_power_state(dev, 4), -EINVAL);
	r3_device_close(dev);
	loopback_close(&l);
}

/* Another client finds the device as it was, and none of the first's memory. */
static void a_client_comes_back(void **state)
{
	struct r3_space_mem mem = { .len = 0x1000 };
	struct loopback l;
	struct r3_device *dev;
	uint32_t v = 0xcafe;

	(void)state;
	mem.fd = r3_memfd("dma", mem.len);
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	assert_int_equal(r3_space_map(r3_device_space(dev), 0x1000, &mem,
				      R3_READ), 0);
	assert_int_equal(r3_device_write(dev, BAR0, 0x100, &v, 4), 0);
	r3_device_close(dev);
	dev = open_device(loopback_connect(&l));
	assert_int_equal(r3_device_read(dev, BAR0, 0x100, &v, 4), 0);
	assert_int_equal(v, 0xcafe);
	assert_int_equal(r3_device_bus_master(dev, true), 0);
	do_dma(dev, 0x1000, 4, false);
	assert_int_equal(l.faults, 1);
	r3_device_close(dev);
	loopback_close(&l);
	assert_int_equal(l.attached, 2);
	assert_int_equal(l.detached, 2);
}

static void the_server_goes(void **state)
{
	struct r3_space_mem mem = { .len = 0x1000 };
	struct loopback l;
	struct r3_device *dev;
	struct pollfd p = { .events = POLLIN };
	volatile void *page;
	uint32_t v = 0;

	(void)state;
	mem.fd = r3_memfd("dma", mem.len);
	loopback_open(&l, false);
	dev = open_device(l.client_fd);
	assert_int_equal(r3_space_map(r3_device_space(dev), 0x1000, &mem,
				      R3_READ), 0);
	assert_int_equal(r3_device_map_region(dev, BAR0, 0x1000, 0x1000,
					      R3_READ, &page), 0);
	assert_int_equal(r3_device_events(dev), 0);
	p.fd = r3_device_event_fd(dev);
	assert_int_equal(poll(&p, 1, 0), 0);
	loopback_close(&l);
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_int_equal(r3_device_events(dev), R3_DEVICE_LOST);
	assert_int_equal(r3_device_events(dev), R3_DEVICE_LOST);
	assert_int_equal(r3_device_read(dev, BAR0, 0, &v, 4), -ENOTCONN);
	assert_int_equal(r3_device_reset(dev), -ENOTCONN);
	assert_int_equal(r3_space_map(r3_device_space(dev), 0x2000, &mem,
				      R3_READ), -ENOTCONN);
	assert_int_equal(*(volatile uint32_t *)page, 0);
	assert_int_equal(r3_space_unmap(r3_device_space(dev), 0x1000, 0x1000),
			 0);
	r3_device_close(dev);
}

static void a_server_that_says_nothing(void **state)
{
	struct r3_device *dev;
	uint64_t start = r3_now_ns();
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(r3_device_open_vfio_user(&dev, pair[0], "dev", 100),
			 -ETIMEDOUT);
	assert_true(r3_now_ns() - start > 90 * R3_NS_PER_MS);
	close(pair[1]);
}

/* Passes everything on, what the server says after @delay_ms. */
static void relay(int client, int server, int delay_ms)
{
	struct pollfd p[2] = { { client, POLLIN, 0 }, { server, POLLIN, 0 } };
	char buf[65536];

	while (poll(p, 2, -1) > 0) {
		bool reply = p[1].revents;
		ssize_t n = read(p[reply].fd, buf, sizeof(buf));

		if (n <= 0)
			break;
		if (reply)
			poll(NULL, 0, delay_ms);
		if (write(p[!reply].fd, buf, (size_t)n) != n)
			break;
	}
	_exit(0);
}

/* Opening takes some 16 replies. */
static void a_slow_server(void **state)
{
	static const struct {
		const char *name;
		unsigned limit_ms;
		int want;
	} rows[] = {
		{ "each reply in time, all of them not", 200, -ETIMEDOUT },
		{ "all of them in time", 5000, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < R3_COUNT(rows); i++) {
		struct r3_device *dev;
		struct loopback l;
		uint64_t start;
		int pair[2], err;
		pid_t pid;

		ROW(rows[i].name);
		loopback_open(&l, false);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		pid = fork();
		if (!pid)
			relay(pair[1], l.client_fd, 40);
		close(pair[1]);
		close(l.client_fd);
		start = r3_now_ns();
		err = r3_device_open_vfio_user(&dev, pair[0], "dev",
					       rows[i].limit_ms);
		assert_int_equal(err, rows[i].want);
		if (!err) {
			r3_device_deadline(dev, r3_now_ns());
			assert_int_equal(r3_device_reset(dev), -ETIMEDOUT);
			r3_device_close(dev);
		}
		assert_true(err || r3_now_ns() - start > 200 * R3_NS_PER_MS);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		loopback_close(&l);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes_itself),
		cmocka_unit_test(sizes_its_bars),
		cmocka_unit_test(accesses_are_checked),
		cmocka_unit_test(maps_what_can_be_mapped),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(memory),
		cmocka_unit_test(unsealed_memory),
		cmocka_unit_test(truncated_memory),
		cmocka_unit_test(truncated_registers),
		cmocka_unit_test(resets),
		cmocka_unit_test(a_client_comes_back),
		cmocka_unit_test(the_server_goes),
		cmocka_unit_test(a_server_that_says_nothing),
		cmocka_unit_test(a_slow_server),
	};

	return cmocka_run_group_tests_name("device client", tests, NULL, NULL);
}
