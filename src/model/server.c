// SPDX-License-Identifier: GPL-2.0-or-later
/* server.c - the NVMe controller, its file and its vfio-user client in one
 * loop */
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "nvmc.h"
#include "ring3/log.h"
#include "ring3/model.h"
#include "ring3/vfio_user.h"
#include "server.h"

#define DRAIN_STEP_MS 20 /* between two signs of life */
#define DRAIN_MS 10000 /* for I/O that uses memory which is about to go */

struct model {
	struct r3_server *server;
	struct r3_loop *loop;
	struct nvmc ctl;
	struct disk disk;
	struct r3_vfu *vfu;
	struct r3_vfu_config config;
	const struct r3_region *going; /* memory that must not be found */
	const struct r3_region *last;  /* found last */
	struct r3_poller poller;
	struct r3_watch ring_watch, bell_watch;
	struct r3_vfu_ioeventfd bells[2 * NVMC_QUEUES];
	unsigned bell_count;
	int bell; /* eventfd: some doorbell was rung */
};

static void say(const struct model *m, enum r3_level level, const char *what)
{
	r3_log(level, "model/nvme", r3_server_name(m->server), "%s", what);
}

/* ---- the controller's world ---------------------------------------------- */

static bool holds(const struct r3_region *reg, uint64_t addr, uint64_t len,
		  int prot)
{
	return reg->host && addr >= reg->addr && addr - reg->addr <= reg->len &&
	       len <= reg->len - (addr - reg->addr) &&
	       (reg->prot & prot) == prot;
}

/* r3_vfu_dma() does the same, but reports what is not there; here the command
 * fails, and a queue whose memory is away just waits. */
static void *ctl_map(void *arg, uint64_t addr, uint64_t len, int prot)
{
	struct model *m = arg;
	const struct r3_region *reg = m->last;

	if (!reg || !holds(reg, addr, len, prot)) {
		reg = r3_vfu_dma_region(m->vfu, addr);
		if (!reg || reg == m->going || !holds(reg, addr, len, prot) ||
		    !r3_vfu_bus_master(m->vfu))
			return m->going ? NULL :
					  r3_vfu_dma(m->vfu, addr, len, prot);
		m->last = reg;
	}
	return reg->host + (addr - reg->addr);
}

static void ctl_start(void *arg, struct nvmc_req *r)
{
	struct model *m = arg;

	disk_start(&m->disk, r);
}

static void ctl_irq(void *arg, unsigned vector)
{
	struct model *m = arg;

	r3_vfu_irq(m->vfu, VFIO_PCI_MSIX_IRQ_INDEX, vector);
}

static void disk_done(void *ctx, struct nvmc_req *r, uint16_t status)
{
	struct model *m = ctx;

	nvmc_done(&m->ctl, r, status);
}

/* Nothing may use the client's memory when this returns. */
static void drain(struct model *m)
{
	for (unsigned ms = 0; ms < DRAIN_MS; ms += DRAIN_STEP_MS) {
		if (!disk_drain(&m->disk, DRAIN_STEP_MS))
			return;
		r3_server_alive(m->server);
	}
	/* The memory would be unmapped under the kernel: better begin anew. */
	say(m, R3_ERROR, "the file does not answer, giving up; look at the "
			 "disk below");
	_exit(1);
}

/* ---- vfio-user ----------------------------------------------------------- */

static int on_access(void *ctx, unsigned region, uint64_t off, void *data,
		     size_t len, bool write)
{
	struct model *m = ctx;

	if (region != VFIO_PCI_BAR0_REGION_INDEX)
		return -EINVAL;
	if (write)
		nvmc_bar_write(&m->ctl, off, data, len);
	else
		nvmc_bar_read(&m->ctl, off, data, len);
	return 0;
}

/* Bus mastering is what counts: without it there is no memory. */
static void on_config(void *ctx, unsigned off, unsigned len)
{
	struct model *m = ctx;

	if (off > PCI_COMMAND + 1 || off + len <= PCI_COMMAND)
		return;
	if (!r3_vfu_bus_master(m->vfu))
		drain(m);
	m->last = NULL;
	nvmc_remap(&m->ctl);
}

static void on_reset(void *ctx, enum r3_vfu_reset why)
{
	struct model *m = ctx;

	(void)why;
	nvmc_reset(&m->ctl);
	drain(m);
}

static void on_dma_added(void *ctx, const struct r3_region *reg)
{
	struct model *m = ctx;

	(void)reg;
	m->last = NULL; /* the table may have moved */
	nvmc_remap(&m->ctl);
}

static void on_dma_gone(void *ctx, const struct r3_region *reg)
{
	struct model *m = ctx;

	drain(m);
	m->last = NULL;
	m->going = reg;
	nvmc_remap(&m->ctl);
	m->going = NULL;
	m->last = NULL;
}

static void on_attached(void *ctx)
{
	struct model *m = ctx;

	r3_server_stats(m->server)->clients = 1;
	say(m, R3_INFO, "client attached");
}

static void on_detached(void *ctx)
{
	struct model *m = ctx;
	struct r3_stats *stats = r3_server_stats(m->server);

	stats->clients = 0;
	stats->clients_refused = r3_vfu_stats(m->vfu)->refused;
	say(m, R3_INFO, "client gone, the controller keeps its state");
}

static const struct r3_vfu_ops vfu_ops = {
	.access = on_access,
	.config_written = on_config,
	.reset = on_reset,
	.dma_added = on_dma_added,
	.dma_gone = on_dma_gone,
	.attached = on_attached,
	.detached = on_detached,
};

static int add_bell(struct model *m, uint32_t off)
{
	m->bells[m->bell_count++] = (struct r3_vfu_ioeventfd){
		.region = VFIO_PCI_BAR0_REGION_INDEX, .off = off, .size = 4,
		.fd = m->bell,
	};
	return 0;
}

static int build_config(struct model *m, unsigned vectors)
{
	static const struct r3_vfu_ids ids = {
		.vendor = 0x1234, .device = 0x5233, /* unassigned */
		.subvendor = 0x1234, .subdevice = 0x5233,
		.class = R3_NVME_PCI_CLASS, .revision = 1,
	};
	int err;

	r3_vfu_config_init(&m->config, &ids, true);
	r3_vfu_config_bar(&m->config, 0, NVMC_BAR_LEN, true, false);
	err = r3_vfu_config_pm(&m->config);
	if (err >= 0)
		err = r3_vfu_config_express(&m->config);
	if (err >= 0)
		err = r3_vfu_config_msix(&m->config, vectors, 0,
					 NVMC_MSIX_TABLE, NVMC_MSIX_PBA);
	return err < 0 ? err : 0;
}

static int build_device(struct model *m, unsigned queues)
{
	struct r3_vfu_desc desc = {
		.name = r3_server_name(m->server), .config = &m->config,
	};
	int err = build_config(m, queues + 1);

	if (err)
		return err;
	m->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->bell < 0)
		return -errno;
	for (unsigned i = 1; i <= queues; i++) {
		add_bell(m, r3_nvme_doorbell(i, 0, 0));
		add_bell(m, r3_nvme_doorbell(i, 1, 0));
	}
	desc.regions[VFIO_PCI_BAR0_REGION_INDEX].size = NVMC_BAR_LEN;
	desc.regions[VFIO_PCI_BAR0_REGION_INDEX].prot = R3_READ | R3_WRITE;
	desc.regions[VFIO_PCI_BAR0_REGION_INDEX].fd = -1;
	desc.irqs[VFIO_PCI_MSIX_IRQ_INDEX] = queues + 1;
	desc.ioeventfds = m->bells;
	desc.ioeventfd_count = m->bell_count;
	return r3_vfu_new(&m->vfu, m->loop, &desc, &vfu_ops, m);
}

/* ---- the loop ------------------------------------------------------------ */

static unsigned on_poll(void *arg)
{
	struct model *m = arg;
	unsigned done = nvmc_poll(&m->ctl);

	done += disk_poll(&m->disk);
	if (done) {
		struct r3_stats *stats = r3_server_stats(m->server);
		const struct nvmc_counts *c = &m->ctl.counts;

		nvmc_signal(&m->ctl);
		stats->requests = c->reads + c->writes + c->flushes +
				  c->others;
		stats->errors = c->errors;
		stats->bytes_read = c->read_bytes;
		stats->bytes_written = c->written_bytes;
		stats->resets = c->resets;
	}
	return done;
}

static bool on_arm(void *arg)
{
	struct model *m = arg;

	nvmc_signal(&m->ctl); /* of events and the like, outside poll */
	return nvmc_arm(&m->ctl);
}

/* The poller does the work; the descriptors only wake the loop. */
static void on_wake(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

/* ---- keys ---------------------------------------------------------------- */

static bool inject_number(const char *word, const char *name, uint64_t *out)
{
	size_t len = strlen(name);

	return !strncmp(word, name, len) && word[len] == ':' &&
	       !r3_parse_uint(word + len + 1, out);
}

static int inject_word(struct nvmc_inject *x, const char *word)
{
	if (!strcmp(word, "never-ready"))
		x->never_ready = true;
	else if (inject_number(word, "crash-lba", &x->crash_lba))
		x->crash = true;
	else if (!inject_number(word, "unknown-cid", &x->unknown_cid) &&
		 !inject_number(word, "fatal", &x->fatal) &&
		 !inject_number(word, "stall", &x->stall))
		return -EINVAL;
	return 0;
}

static int parse_inject(struct nvmc_inject *x, const char *text)
{
	char copy[256], *save = NULL;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	for (char *word = strtok_r(copy, ", ", &save); word;
	     word = strtok_r(NULL, ", ", &save)) {
		if (inject_word(x, word))
			return -EINVAL;
	}
	return 0;
}

/* Bytes of a file or a block device; made longer when a size is asked for. */
static int file_size(int fd, uint64_t wanted, uint64_t *out)
{
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st))
		return -errno;
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size))
		return -errno;
	if (wanted > size) {
		if (!S_ISREG(st.st_mode))
			return -ENOSPC;
		if (ftruncate(fd, (off_t)wanted))
			return -errno;
	}
	*out = wanted ? wanted : size;
	return 0;
}

static int read_conf(struct model *m, struct nvmc_conf *conf)
{
	struct r3_server *s = m->server;
	const char *serial = r3_server_str(s, "serial");
	int fd = r3_server_fd(s, "file");
	int err = file_size(fd, r3_server_uint(s, "size"), &conf->size);

	if (err) {
		r3_log(R3_ERROR, "model/nvme", r3_server_name(s),
		       "file: can't have the size that size = asks for: %s",
		       strerror(-err));
		return err;
	}
	conf->block_size = (uint32_t)r3_server_uint(s, "block_size");
	conf->size -= conf->size % conf->block_size;
	if (!conf->size) {
		say(m, R3_ERROR, "the file is empty; give it a size, or say "
				 "size = 1G");
		return -EINVAL;
	}
	conf->queues = (unsigned)r3_server_uint(s, "queues");
	conf->readonly = r3_server_bool(s, "readonly");
	snprintf(conf->serial, sizeof(conf->serial), "%s",
		 *serial ? serial : r3_server_name(s));
	err = parse_inject(&conf->inject, r3_server_str(s, "inject"));
	if (err)
		say(m, R3_ERROR, "inject = has an unknown word; see "
				 "ring3-model(1)");
	return err;
}

/* ---- life ---------------------------------------------------------------- */

static int open_disk(struct model *m)
{
	int err = disk_open(&m->disk, r3_server_fd(m->server, "file"),
			    r3_server_bool(m->server, "direct"), disk_done, m);

	if (err)
		r3_log(R3_ERROR, "model/nvme", r3_server_name(m->server),
		       "can't serve the file: %s%s", strerror(-err),
		       r3_server_bool(m->server, "direct") ?
			       "; try direct = no" : "");
	return err;
}

static int watch(struct model *m)
{
	int err = r3_loop_watch(m->loop, &m->ring_watch, m->disk.ring.ring_fd,
				EPOLLIN, on_wake, m);

	/* Edge triggered: each write wakes us, and nobody need read it. */
	if (!err)
		err = r3_loop_watch(m->loop, &m->bell_watch, m->bell,
				    EPOLLIN | EPOLLET, on_wake, m);
	if (!err)
		err = r3_vfu_listen(m->vfu, r3_server_fd(m->server, "listen"));
	if (err)
		return err;
	m->poller = (struct r3_poller){ .poll = on_poll, .arm = on_arm,
					.arg = m };
	r3_loop_spin(m->loop, (unsigned)r3_server_uint(m->server, "spin_us"));
	r3_loop_add_poller(m->loop, &m->poller);
	return 0;
}

static void fini(struct model *m)
{
	r3_loop_del_poller(m->loop, &m->poller);
	r3_loop_unwatch(m->loop, &m->ring_watch);
	r3_loop_unwatch(m->loop, &m->bell_watch);
	r3_vfu_free(m->vfu);
	disk_close(&m->disk);
	nvmc_fini(&m->ctl);
	if (m->bell >= 0)
		close(m->bell);
}

int model_nvme_main(struct r3_server *s)
{
	static const struct nvmc_ops ops = {
		.map = ctl_map, .start = ctl_start, .irq = ctl_irq,
	};
	static struct model model; /* one in a process */
	struct model *m = &model;
	struct nvmc_conf conf = { 0 };
	int err;

	*m = (struct model){ .server = s, .loop = r3_server_loop(s),
			     .bell = -1 };
	err = read_conf(m, &conf);
	if (!err)
		err = open_disk(m);
	if (!err)
		err = nvmc_init(&m->ctl, &conf, &ops, m);
	if (!err)
		err = build_device(m, conf.queues);
	if (!err)
		err = watch(m);
	if (!err)
		err = r3_server_ready(s);
	if (!err)
		err = r3_server_run(s);
	fini(m);
	return err < 0 ? 1 : err;
}
