// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - ring3-driver-nvme: an NVMe controller as a vhost-user-blk disk
 *
 * Privilege: the device's and the clients' fds, and eventfds.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ring3/driver.h"
#include "ring3/log.h"
#include "blk.h"

#define REPLY_MS    1000 /* of a vfio-user server, in one turn of the loop */
#define START_MS    60000
#define TICK_MS	    100 /* while all is well */
#define BUSY_MS	    1	/* while the controller comes up */
#define QUICK_MS    20	/* a reset may hold up the loop so long */
#define FAULTS_MAX  16	/* reported in one tick */
#define AGAIN_MS    20	/* between tries to get a device back */

struct driver {
	struct r3_server *server;
	struct r3_loop *loop;
	struct nvme_ctrl ctrl;
	enum nvme_state seen; /* by the poller */
	struct blk blk;
	struct r3_poller poller;
	struct r3_timer tick, retry;
	struct r3_watch irq_watch, event_watch;
	bool watching; /* event_watch */
	bool up;       /* past the first bring-up */
	bool vfio;
	bool gone;	 /* the device, since it was last ready */
	uint64_t resets; /* when it was last ready */
	int kmsg; /* -1: not readable, or no VFIO */
};

static const char *name_of(const struct driver *d)
{
	return r3_server_name(d->server);
}

/* A server that answers, but slowly, must not cost us our heartbeat: what one
 * turn of the loop does with the device ends at @when_ns; 0: no limit. */
static void limit_wait(struct driver *d, uint64_t when_ns)
{
	if (d->ctrl.dev)
		r3_device_deadline(d->ctrl.dev, when_ns);
}

/* ---- the loop's callbacks ------------------------------------------------ */

/* The IOMMU has refused something: say so.  Where the kernel's log can't be
 * read (in a sandbox), the supervisor does. */
static void report_faults(struct driver *d)
{
	struct r3_dma_fault f;

	for (unsigned i = 0; i < FAULTS_MAX && d->kmsg >= 0 &&
			     r3_dma_log_next(d->kmsg, &f) > 0; i++)
		r3_log(R3_WARN, NVME_PART, name_of(d), "DMA outside the space, "
		       "blocked device=%s addr=0x%llx direction=%s", f.device,
		       (unsigned long long)f.addr, f.write ? "write" : "read");
}

static void tick(void *arg)
{
	struct driver *d = arg;
	enum nvme_state s;

	report_faults(d);
	limit_wait(d, r3_now_ns() + REPLY_MS * R3_NS_PER_MS);
	nvme_ctrl_tick(&d->ctrl, r3_now_ns());
	limit_wait(d, 0);
	s = d->ctrl.state;
	r3_server_stats(d->server)->resets = d->ctrl.counts.resets;
	r3_timer_set(d->loop, &d->tick, R3_NS_PER_MS *
		     (s == NVME_READY || s == NVME_DOWN || s == NVME_FAILED
			      ? TICK_MS : BUSY_MS), tick, d);
}

static void irq(void *arg, uint32_t events)
{
	struct driver *d = arg;

	(void)events;
	/* an emulated device has it too; the poller looks at the queues */
	r3_drain(d->ctrl.irq_fd);
}

static void device_event(void *arg, uint32_t events)
{
	(void)events;
	tick(arg);
}

/* With several requests under way both sides have something to do. */
static enum r3_loop_peer turn_of(const struct driver *d)
{
	unsigned n = nvme_in_flight(&d->ctrl, 2);

	if (d->blk.sleeps || n > 1)
		return R3_LOOP_OTHERS;
	return n ? R3_LOOP_DEVICE : R3_LOOP_CLIENT;
}

static unsigned poll_all(void *arg)
{
	struct driver *d = arg;
	uint64_t now = r3_now_ns();
	unsigned n = 0;

	if (d->ctrl.state == NVME_READY)
		n = nvme_ctrl_poll(&d->ctrl, now);
	if (d->ctrl.state == NVME_RESET && d->seen == NVME_READY) {
		/* mostly up in a ms: don't wait for the timer */
		limit_wait(d, now + REPLY_MS * R3_NS_PER_MS);
		nvme_ctrl_wait_ready(&d->ctrl, QUICK_MS);
		tick(d);
	}
	d->seen = d->ctrl.state;
	n += blk_poll(&d->blk, now);
	if (n)
		r3_loop_turn(d->loop, turn_of(d));
	return n;
}

static bool arm_all(void *arg)
{
	struct driver *d = arg;
	bool work = nvme_ctrl_arm(&d->ctrl);

	return blk_arm(&d->blk) || work;
}

static void disarm_all(void *arg)
{
	struct driver *d = arg;

	nvme_ctrl_disarm(&d->ctrl);
	blk_disarm(&d->blk);
}

/* ---- the device ---------------------------------------------------------- */

static int attach(struct driver *d, struct r3_device *dev)
{
	int err = r3_loop_watch(d->loop, &d->event_watch,
				r3_device_event_fd(dev), EPOLLIN,
				device_event, d);

	if (err) {
		r3_device_close(dev);
		return err;
	}
	d->watching = true;
	err = nvme_ctrl_attach(&d->ctrl, dev, r3_now_ns());
	if (err) {
		r3_loop_unwatch(d->loop, &d->event_watch);
		d->watching = false;
	}
	return err;
}

static void reopen(void *arg);

static void reopened(void *arg, int fd)
{
	struct driver *d = arg;
	uint64_t end = r3_now_ns() + REPLY_MS * R3_NS_PER_MS;
	struct r3_device *dev;
	int err = fd < 0 ? fd : r3_device_open_vfio_user(&dev, fd, name_of(d),
							 REPLY_MS);

	if (!err) {
		r3_device_deadline(dev, end);
		err = attach(d, dev);
	}
	if (err) {
		r3_log(R3_INFO, NVME_PART, name_of(d),
		       "device not back yet: %s", strerror(-err));
		r3_timer_set(d->loop, &d->retry, AGAIN_MS * R3_NS_PER_MS,
			     reopen, d);
		return;
	}
	/* mostly up in a ms: don't wait for the timer */
	nvme_ctrl_wait_ready(&d->ctrl, QUICK_MS);
	tick(d);
}

static void reopen(void *arg)
{
	struct driver *d = arg;
	int err = r3_server_reopen(d->server, "device", reopened, d);

	if (err && err != -EALREADY)
		r3_log(R3_ERROR, NVME_PART, name_of(d),
		       "can't ask for the device again: %s; restart this "
		       "server", strerror(-err));
}

static void lost(void *arg)
{
	struct driver *d = arg;

	if (d->watching)
		r3_loop_unwatch(d->loop, &d->event_watch);
	d->watching = false;
	d->gone = true;
	r3_server_status(d->server, "waiting for its device");
	if (d->vfio)
		r3_log(R3_ERROR, NVME_PART, name_of(d), "the device is gone; "
		       "bind it to vfio-pci again and restart this server");
	else if (d->up)
		r3_timer_set(d->loop, &d->retry, 0, reopen, d);
}

static void ready(void *arg)
{
	struct driver *d = arg;
	const struct nvme_ns *ns = &d->ctrl.ns;

	r3_server_status(d->server, "%s, %llu MiB, %u queues%s", ns->model,
			 (unsigned long long)(ns->blocks * ns->block_size /
					      R3_MIB), d->ctrl.queue_count,
			 d->ctrl.dbbuf ? ", doorbell buffer" : "");
	if (d->gone || d->resets != d->ctrl.counts.resets)
		r3_log(R3_INFO, NVME_PART, name_of(d), "device is back");
	d->gone = false;
	d->resets = d->ctrl.counts.resets;
}

static int open_device(struct driver *d, struct r3_device **out)
{
	struct r3_vfio_fds fds = {
		r3_server_fd(d->server, "device.container"),
		r3_server_fd(d->server, "device.group"),
		r3_server_fd(d->server, "device.device"),
	};
	int fd = r3_server_fd(d->server, "device");

	d->vfio = fds.device >= 0;
	if (d->vfio && d->kmsg < 0)
		d->kmsg = r3_dma_log_open();
	if (d->vfio)
		return r3_device_open_vfio(out, &fds, name_of(d));
	fd = dup(fd); /* that one stays the server's */
	if (fd < 0)
		return -errno;
	return r3_device_open_vfio_user(out, fd, name_of(d), REPLY_MS);
}

/* ---- up and down --------------------------------------------------------- */

static struct nvme_conf conf_of(struct driver *d)
{
	const char *mode = r3_server_str(d->server, "mode");

	return (struct nvme_conf){
		.name = name_of(d),
		.queues = (unsigned)r3_server_uint(d->server, "queues"),
		.queue_size = (uint16_t)r3_server_uint(d->server,
						       "queue_size"),
		.interrupts = strcmp(mode, "poll") != 0,
		.doorbell_buffer = r3_server_bool(d->server,
						  "doorbell_buffer"),
		.timeout_ms = (unsigned)r3_server_uint(d->server,
						       "timeout_ms"),
		.lost = lost,
		.ready = ready,
		.arg = d,
	};
}

/* The model died while we came up: that is no reason to die as well. */
static int wait_for_another(struct driver *d)
{
	uint64_t end = r3_now_ns() + START_MS * R3_NS_PER_MS;
	int err = 0;

	if (d->ctrl.state == NVME_DOWN && !d->retry.next)
		reopen(d);
	tick(d);
	while (!err && d->ctrl.state != NVME_READY &&
	       d->ctrl.state != NVME_FAILED && r3_now_ns() < end)
		err = r3_loop_once(d->loop, BUSY_MS);
	if (!err && d->ctrl.state != NVME_READY)
		err = -ETIMEDOUT;
	return err;
}

static int bring_up(struct driver *d)
{
	struct r3_device *dev;
	int err = open_device(d, &dev);

	d->up = !d->vfio;
	if (!err)
		err = attach(d, dev);
	if (!err)
		err = nvme_ctrl_wait_ready(&d->ctrl, START_MS);
	if (!d->vfio && (err == -ENOTCONN || err == -ETIMEDOUT ||
			 err == -EPIPE))
		err = wait_for_another(d);
	if (err)
		r3_log(R3_ERROR, NVME_PART, name_of(d),
		       "the controller did not come up: %s (%s)",
		       d->ctrl.why ? d->ctrl.why : "it can't be reached",
		       strerror(-err));
	return err;
}

static int start(struct driver *d)
{
	struct nvme_conf conf = conf_of(d);
	int err = nvme_ctrl_init(&d->ctrl, &conf);

	if (!err)
		err = bring_up(d);
	if (!err)
		err = blk_open(&d->blk, d->server, &d->ctrl);
	if (!err)
		err = r3_loop_watch(d->loop, &d->irq_watch, d->ctrl.irq_fd,
				    EPOLLIN, irq, d);
	if (err)
		return err;
	d->up = true;
	d->poller = (struct r3_poller){ .poll = poll_all, .arm = arm_all,
					.disarm = disarm_all, .arg = d };
	r3_loop_add_poller(d->loop, &d->poller);
	if (!strcmp(r3_server_str(d->server, "mode"), "hybrid"))
		r3_loop_spin(d->loop, (unsigned)r3_server_uint(d->server,
							       "spin_us"));
	tick(d);
	return r3_server_ready(d->server);
}

/* By hand nobody has opened the device for us. */
static int open_pci(const char *bdf, int fds[3], char *why, size_t room)
{
	struct r3_vfio_fds v;
	int err = r3_vfio_open(bdf, &v, why, room);

	if (err)
		return err;
	fds[0] = v.container;
	fds[1] = v.group;
	fds[2] = v.device;
	return 0;
}

int main(int argc, char **argv)
{
	static struct driver d = { .kmsg = -1 };
	int err;

	r3_server_open_pci = open_pci;
	err = r3_server_open(&d.server, &r3_driver_nvme_spec, argc, argv);

	if (err)
		return 2;
	d.loop = r3_server_loop(d.server);
	err = start(&d);
	if (err) {
		r3_log(R3_ERROR, NVME_PART, name_of(&d), "can't start: %s",
		       strerror(-err));
		return 1;
	}
	err = r3_server_run(d.server);
	blk_close(&d.blk);
	nvme_ctrl_fini(&d.ctrl);
	r3_server_close(d.server);
	return err;
}
