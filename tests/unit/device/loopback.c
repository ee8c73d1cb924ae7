// SPDX-License-Identifier: GPL-2.0-or-later
/* loopback.c - a small device behind a vfio-user server, in a thread */
#include <sys/epoll.h>
#include <sys/mman.h>

#include "loopback.h"

static void dma(struct loopback *l)
{
	struct loop_dma d;

	memcpy(&d, l->bar + 0x28, sizeof(d));
	if (d.len > 0x800)
		return;
	if (d.write)
		r3_vfu_dma_write(l->vfu, d.addr, l->bar + 0x800, d.len);
	else
		r3_vfu_dma_read(l->vfu, d.addr, l->bar + 0x800, d.len);
}

static int on_access(void *ctx, unsigned region, uint64_t off, void *data,
		     size_t len, bool write)
{
	struct loopback *l = ctx;

	assert_int_equal(region, 0);
	assert_true(off + len <= LOOP_BAR);
	if (!write) {
		memcpy(data, l->bar + off, len);
		return 0;
	}
	if (off == 0x10)
		return -EDOM;
	memcpy(l->bar + off, data, len);
	if (off == 0x20)
		dma(l);
	if (off == 0x40)
		r3_vfu_irq(l->vfu, VFIO_PCI_MSIX_IRQ_INDEX, l->bar[0x40]);
	if (off == 0x48)
		r3_vfu_drop(l->vfu);
	return 0;
}

static void on_reset(void *ctx, enum r3_vfu_reset why)
{
	(void)why;
	((struct loopback *)ctx)->resets++;
}

static void on_config(void *ctx, unsigned off, unsigned len)
{
	(void)off;
	(void)len;
	((struct loopback *)ctx)->config_writes++;
}

static void on_added(void *ctx, const struct r3_region *reg)
{
	assert_non_null(reg->host);
	((struct loopback *)ctx)->added++;
}

static void on_gone(void *ctx, const struct r3_region *reg)
{
	(void)reg;
	((struct loopback *)ctx)->gone++;
}

static void on_attached(void *ctx)
{
	((struct loopback *)ctx)->attached++;
}

static void on_detached(void *ctx)
{
	struct loopback *l = ctx;

	assert_int_equal(l->added, l->gone);
	l->detached++;
}

static void on_fault(void *ctx, uint64_t addr, uint64_t len, bool write)
{
	struct loopback *l = ctx;

	(void)len;
	l->faults++;
	l->fault_addr = addr;
	l->fault_write = write;
}

static const struct r3_vfu_ops ops = {
	.access = on_access, .reset = on_reset, .config_written = on_config,
	.dma_added = on_added, .dma_gone = on_gone, .attached = on_attached,
	.detached = on_detached, .dma_fault = on_fault,
};

static void on_bell(void *arg, uint32_t events)
{
	struct loopback *l = arg;
	uint64_t n;

	(void)events;
	if (read(l->bell.fd, &n, sizeof(n)) == sizeof(n))
		l->bells++;
}

static void on_stop(void *arg, uint32_t events)
{
	(void)events;
	r3_loop_stop(((struct loopback *)arg)->loop, 0);
}

static void *serve(void *arg)
{
	r3_loop_run(((struct loopback *)arg)->loop);
	return NULL;
}

static void start(struct loopback *l)
{
	assert_int_equal(pthread_create(&l->thread, NULL, serve, l), 0);
}

static void stop(struct loopback *l)
{
	uint64_t one = 1;

	assert_int_equal(write(l->stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(l->thread, NULL);
	assert_int_equal(read(l->stop_fd, &one, sizeof(one)), sizeof(one));
}

static void make_config(struct loopback *l)
{
	static const struct r3_vfu_ids ids = {
		.vendor = 0x1b36, .device = 0x0010, .subvendor = 0x1af4,
		.subdevice = 0x1100, .class = 0x010802, .revision = 2,
	};

	r3_vfu_config_init(&l->config, &ids, true);
	r3_vfu_config_bar(&l->config, 0, LOOP_BAR, true, false);
	assert_true(r3_vfu_config_pm(&l->config) > 0);
	assert_true(r3_vfu_config_express(&l->config) > 0);
	assert_true(r3_vfu_config_msix(&l->config, LOOP_VECTORS, 0, LOOP_TABLE,
				       LOOP_PBA) > 0);
}

void loopback_open(struct loopback *l, bool allow_unsealed)
{
	struct r3_vfu_desc desc = {
		.name = "loop", .config = &l->config,
		.irqs = { [VFIO_PCI_INTX_IRQ_INDEX] = 1,
			  [VFIO_PCI_MSIX_IRQ_INDEX] = LOOP_VECTORS },
		.ioeventfds = &l->bell, .ioeventfd_count = 1,
		.allow_unsealed = allow_unsealed,
	};
	void *bar;
	int pair[2];

	memset(l, 0, sizeof(*l));
	make_config(l);
	l->bar_fd = allow_unsealed ? memfd_create("bar", MFD_CLOEXEC)
				   : r3_memfd("bar", LOOP_BAR);
	assert_true(l->bar_fd >= 0);
	if (allow_unsealed)
		assert_int_equal(ftruncate(l->bar_fd, LOOP_BAR), 0);
	assert_int_equal(r3_map(l->bar_fd, 0, LOOP_BAR, R3_READ | R3_WRITE,
				&bar), 0);
	l->bar = bar;
	l->bell = (struct r3_vfu_ioeventfd){
		.off = 0x1008, .size = 4,
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	l->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	desc.regions[0] = (struct r3_vfu_region){
		.size = LOOP_BAR, .prot = R3_READ | R3_WRITE, .fd = l->bar_fd,
		.area_count = 1, .areas = { { 0x1000, 0x1000 } },
	};
	assert_int_equal(r3_loop_open(&l->loop), 0);
	assert_int_equal(r3_vfu_new(&l->vfu, l->loop, &desc, &ops, l), 0);
	assert_int_equal(r3_loop_watch(l->loop, &l->bell_watch, l->bell.fd,
				       EPOLLIN, on_bell, l), 0);
	assert_int_equal(r3_loop_watch(l->loop, &l->stop_watch, l->stop_fd,
				       EPOLLIN, on_stop, l), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	l->client_fd = pair[0];
	assert_int_equal(r3_vfu_attach(l->vfu, pair[1]), 0);
	start(l);
}

int loopback_connect(struct loopback *l)
{
	int pair[2], err = -EBUSY;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	/* The one before may still be leaving. */
	for (unsigned i = 0; err == -EBUSY && i < 500; i++) {
		stop(l);
		err = r3_vfu_attach(l->vfu, pair[1]);
		start(l);
		if (err)
			usleep(1000);
	}
	assert_int_equal(err, 0);
	return pair[0];
}

void loopback_close(struct loopback *l)
{
	stop(l);
	r3_vfu_free(l->vfu);
	r3_loop_unwatch(l->loop, &l->bell_watch);
	r3_loop_unwatch(l->loop, &l->stop_watch);
	r3_loop_close(l->loop);
	r3_unmap(l->bar, LOOP_BAR);
	close(l->bar_fd);
	close(l->bell.fd);
	close(l->stop_fd);
}
