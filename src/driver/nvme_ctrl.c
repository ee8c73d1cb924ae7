// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme_ctrl.c - a controller's life: reset, bring-up, loss */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/loop.h"
#include "nvme_admin.h"

#define TO_UNIT_MS  500	  /* of CAP.TO */
#define READY_MIN_MS 1000 /* even when CAP.TO says less */
#define READY_MAX_MS 120000
#define ADMIN_MS    5000  /* for the answers of one step of the bring-up */
#define LATE_MS	    200	  /* without an answer: look at CSTS */
#define PAUSE_MS    1000  /* in FAILED, before the next try */
#define BAR	    VFIO_PCI_BAR0_REGION_INDEX
#define MSIX	    VFIO_PCI_MSIX_IRQ_INDEX
#define BAR_MAP_MAX (64 * 1024u) /* of doorbells */

/* ---- coming and going ---------------------------------------------------- */

int nvme_ctrl_init(struct nvme_ctrl *c, const struct nvme_conf *conf)
{
	int err;

	if (!conf->queues || conf->queues > NVME_QUEUES_MAX ||
	    conf->queue_size < 2 || conf->queue_size > NVME_QUEUE_SIZE_MAX)
		return -EINVAL;
	*c = (struct nvme_ctrl){ .conf = *conf, .mem_fd = -1, .irq_fd = -1 };
	c->queue_count = conf->queues;
	for (unsigned i = 0; i < conf->queues; i++)
		c->ioq[i].kick_fd = -1;
	err = nvme_queue_init(&c->admin, 0, NVME_ADMIN_SIZE);
	for (unsigned i = 0; i < conf->queues && !err; i++)
		err = nvme_ioq_init(&c->ioq[i], (uint16_t)(i + 1),
				    conf->queue_size);
	c->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!err && c->irq_fd < 0)
		err = -errno;
	if (!err)
		err = nvme_mem_open(c);
	if (err)
		nvme_ctrl_fini(c);
	return err;
}

/* ---- registers ----------------------------------------------------------- */

static int get32(struct nvme_ctrl *c, uint32_t off, uint32_t *out)
{
	r3_le32 v;
	int err = r3_device_read(c->dev, BAR, off, &v, sizeof(v));

	if (!err)
		*out = r3_get_le32(v);
	return err;
}

static int put32(struct nvme_ctrl *c, uint32_t off, uint32_t value)
{
	r3_le32 v = r3_le32_of(value);

	return r3_device_write(c->dev, BAR, off, &v, sizeof(v));
}

static int put64(struct nvme_ctrl *c, uint32_t off, uint64_t value)
{
	r3_le64 v = r3_le64_of(value);

	return r3_device_write(c->dev, BAR, off, &v, sizeof(v));
}

/* A doorbell that can't be reached by a store. */
static void ring_slowly(void *arg, uint32_t off, uint32_t value)
{
	struct nvme_ctrl *c = arg;
	r3_le32 v = r3_le32_of(value);

	/* a lost connection is noticed by its event */
	if (c->dev)
		r3_device_post(c->dev, BAR, off, &v, sizeof(v));
}

static void ring_event(void *arg, uint32_t off, uint32_t value)
{
	struct nvme_ioq *ioq = arg;

	(void)off;
	(void)value; /* stands in the shadow doorbell */
	r3_notify(ioq->kick_fd); /* the server holds it too */
}

static bool is_emulated(const struct nvme_ctrl *c)
{
	return !strcmp(r3_device_info(c->dev)->backend, "vfio-user");
}

/* ---- states -------------------------------------------------------------- */

static void enter(struct nvme_ctrl *c, enum nvme_state s, uint64_t now_ns,
		  uint64_t limit_ms)
{
	c->state = s;
	c->deadline_ns = now_ns + limit_ms * R3_NS_PER_MS;
}

static void close_device(struct nvme_ctrl *c)
{
	for (unsigned i = 0; i < c->conf.queues; i++) {
		if (c->ioq[i].kick_fd >= 0)
			r3_notify_close(c->ioq[i].kick_fd);
		c->ioq[i].kick_fd = -1;
	}
	for (unsigned i = 0; i < c->conf.queues; i++) {
		/* late because nobody was there: not their fault */
		if (c->ioq[i].first)
			c->ioq[i].first->stuck = false;
	}
	c->bar = NULL;
	r3_device_close(c->dev);
	c->dev = NULL;
	c->state = NVME_DOWN;
}

static void lose(struct nvme_ctrl *c, const char *why)
{
	c->why = why;
	r3_log(R3_WARN, NVME_PART, c->conf.name,
	       "device lost: %s; waiting for it to come back", why);
	if (c->conf.lost)
		c->conf.lost(c->conf.arg);
	close_device(c);
}

void nvme_ctrl_drop(struct nvme_ctrl *c, const char *why)
{
	if (c->dev)
		lose(c, why);
}

static uint64_t ready_limit_ms(const struct nvme_ctrl *c)
{
	uint64_t ms = R3_NVME_CAP_TO(c->cap) * TO_UNIT_MS;

	return r3_min(r3_max(ms, READY_MIN_MS), READY_MAX_MS);
}

/* What the device did makes no sense, or it can't be reached. */
static void trouble(struct nvme_ctrl *c, int err, const char *why,
		    uint64_t now_ns)
{
	if (err == -ENOTCONN || err == -ETIMEDOUT || err == -EPIPE)
		lose(c, err == -ETIMEDOUT ? "it does not answer"
					  : "connection closed");
	else
		nvme_ctrl_reset(c, why, now_ns);
}

/* One vector for all queues: one thread looks at all of them anyway. */
static int set_irqs(struct nvme_ctrl *c)
{
	const struct r3_device_irq *irq = r3_device_irq(c->dev, MSIX);

	c->vectors = irq && irq->count ? 1 : 0;
	return c->vectors ? r3_device_irq_set(c->dev, MSIX, 0, &c->irq_fd, 1)
			  : 0;
}

/* Clear CC.EN; from here on nothing old may be done any more. */
static int begin_reset(struct nvme_ctrl *c, uint64_t now_ns)
{
	r3_le64 cap;
	int err = r3_device_bus_master(c->dev, true);

	if (!err)
		err = set_irqs(c);
	if (!err)
		err = r3_device_read(c->dev, BAR, R3_NVME_CAP, &cap,
				     sizeof(cap));
	if (err)
		return err;
	c->cap = r3_get_le64(cap);
	enter(c, NVME_RESET, now_ns, ready_limit_ms(c));
	return put32(c, R3_NVME_CC, 0);
}

void nvme_ctrl_reset(struct nvme_ctrl *c, const char *why, uint64_t now_ns)
{
	int err;

	c->why = why;
	c->counts.resets++;
	if (++c->attempts > NVME_ATTEMPTS) {
		r3_log(R3_ERROR, NVME_PART, c->conf.name,
		       "device given up: %s; requests fail until it works "
		       "again, next try in_ms=%u", why, PAUSE_MS);
		enter(c, NVME_FAILED, now_ns, PAUSE_MS);
		put32(c, R3_NVME_CC, 0);
		r3_device_bus_master(c->dev, false); /* no late DMA */
		for (unsigned i = 0; i < c->conf.queues; i++)
			nvme_ioq_fail(c, &c->ioq[i], -EIO);
		return;
	}
	r3_log(R3_WARN, NVME_PART, c->conf.name,
	       "%s; resetting the controller attempt=%u", why, c->attempts);
	/* the second time the hard way, where there is one */
	if (c->attempts > 1 && r3_device_info(c->dev)->can_reset)
		r3_device_reset(c->dev);
	err = begin_reset(c, now_ns);
	if (err == -ENOTCONN || err == -ETIMEDOUT || err == -EPIPE)
		lose(c, "it can't be reached");
	else if (err)
		enter(c, NVME_RESET, now_ns, READY_MIN_MS);
}

/* CAP says what the controller can; what we can't do with it is final. */
static const char *unusable(uint64_t cap)
{
	if (cap == UINT64_MAX)
		return "registers read as ones: the device is gone";
	if (R3_NVME_CAP_MPSMIN(cap))
		return "it has no 4 KiB pages";
	if (!(R3_NVME_CAP_CSS(cap) & 1))
		return "it has no NVM command set";
	if (R3_NVME_CAP_MQES(cap) < 1)
		return "its queues are too small";
	return NULL;
}

static int enable(struct nvme_ctrl *c, uint64_t now_ns)
{
	const unsigned size = NVME_ADMIN_SIZE;
	int err;

	nvme_queue_reset(&c->admin, c->mem + NVME_MEM_ASQ,
			 c->mem + NVME_MEM_ACQ);
	c->admin.sq_db = nvme_ctrl_doorbell(c, 0, 0);
	c->admin.cq_db = nvme_ctrl_doorbell(c, 0, 1);
	c->admin_waiting = 0;
	c->admin_failed = false;
	err = put32(c, R3_NVME_AQA, R3_NVME_AQA_OF(size, size));
	if (!err)
		err = put64(c, R3_NVME_ASQ, c->mem_iova + NVME_MEM_ASQ);
	if (!err)
		err = put64(c, R3_NVME_ACQ, c->mem_iova + NVME_MEM_ACQ);
	if (err)
		return err;
	enter(c, NVME_ENABLE, now_ns, ready_limit_ms(c));
	return put32(c, R3_NVME_CC, R3_NVME_CC_EN |
		     R3_NVME_SQES << R3_NVME_CC_IOSQES_SHIFT |
		     R3_NVME_CQES << R3_NVME_CC_IOCQES_SHIFT);
}

/* @shadow: the doorbell buffer is in use. */
struct nvme_doorbell nvme_ctrl_doorbell(struct nvme_ctrl *c, unsigned qid,
					unsigned cq)
{
	uint32_t off = r3_nvme_doorbell(qid, cq, R3_NVME_CAP_DSTRD(c->cap));
	uint32_t at = off - R3_NVME_DOORBELLS;
	struct nvme_doorbell db = { .ring = ring_slowly, .arg = c,
				    .off = off };

	if (c->bar && at + sizeof(uint32_t) <= c->bar_len)
		db.reg = (volatile uint32_t *)(volatile void *)(c->bar + at);
	if (qid && c->dbbuf) {
		db.shadow = (uint32_t *)(void *)(c->mem + NVME_MEM_DB + at);
		db.event = (uint32_t *)(void *)(c->mem + NVME_MEM_EI + at);
	}
	if (!qid && is_emulated(c))
		db.reg = NULL; /* nobody may be looking at the memory */
	if (db.shadow && c->ioq[qid - 1].kick_fd >= 0 && !cq) {
		db.reg = NULL;
		db.ring = ring_event;
		db.arg = &c->ioq[qid - 1];
	}
	return db;
}

/* Rings of I/O queue @i, empty. */
void nvme_ctrl_clear_queue(struct nvme_ctrl *c, unsigned i)
{
	struct nvme_ioq *ioq = &c->ioq[i];
	size_t sq = nvme_mem_ring(c, i, 0), cq = nvme_mem_ring(c, i, 1);

	ioq->q.size = nvme_ctrl_queue_size(c);
	nvme_queue_reset(&ioq->q, c->mem + sq, c->mem + cq);
	if (c->dbbuf && ioq->kick_fd < 0 && is_emulated(c) &&
	    r3_device_ioeventfd(c->dev, BAR,
				r3_nvme_doorbell(i + 1, 0,
						 R3_NVME_CAP_DSTRD(c->cap)),
				4, &ioq->kick_fd))
		ioq->kick_fd = -1;
	ioq->q.sq_db = nvme_ctrl_doorbell(c, i + 1, 0);
	ioq->q.cq_db = nvme_ctrl_doorbell(c, i + 1, 1);
	nvme_ioq_rewind(ioq);
}

uint16_t nvme_ctrl_queue_size(const struct nvme_ctrl *c)
{
	return (uint16_t)r3_min(c->conf.queue_size,
				R3_NVME_CAP_MQES(c->cap) + 1);
}

static void enter_ready(struct nvme_ctrl *c, uint64_t now_ns)
{
	enter(c, NVME_READY, now_ns, 0);
	for (unsigned i = 0; i < c->queue_count; i++) {
		/* their time starts again */
		for (struct nvme_io *io = c->ioq[i].first; io; io = io->next)
			io->since_ns = now_ns;
		nvme_kick(c, i);
	}
	if (c->conf.ready)
		c->conf.ready(c->conf.arg);
}

/* All answers of a step have come: the next one. */
static void next_step(struct nvme_ctrl *c, uint64_t now_ns)
{
	if (c->admin_failed) {
		nvme_ctrl_reset(c, c->why, now_ns);
		return;
	}
	switch (c->state) {
	case NVME_IDENTIFY:
		enter(c, NVME_QUEUES, now_ns, ADMIN_MS);
		nvme_admin_create_cqs(c);
		break;
	case NVME_QUEUES:
		enter(c, NVME_START, now_ns, ADMIN_MS);
		nvme_admin_create_sqs(c);
		break;
	case NVME_START:
		enter_ready(c, now_ns);
		break;
	default:
		break;
	}
}

/* Waiting for CSTS.RDY in RESET and ENABLE. */
static void look_at_csts(struct nvme_ctrl *c, uint64_t now_ns)
{
	const char *why = unusable(c->cap);
	uint32_t csts;
	int err = get32(c, R3_NVME_CSTS, &csts);

	if (!err && why) {
		c->attempts = NVME_ATTEMPTS; /* trying again won't help */
		nvme_ctrl_reset(c, why, now_ns);
		return;
	}
	if (err || csts == UINT32_MAX) {
		trouble(c, err ? err : -ENOTCONN, "CSTS can't be read",
			now_ns);
		return;
	}
	if (c->state == NVME_RESET && !(csts & R3_NVME_CSTS_RDY)) {
		err = enable(c, now_ns);
		if (err) {
			trouble(c, err, "it refused to be enabled", now_ns);
			return;
		}
		err = get32(c, R3_NVME_CSTS, &csts);
	}
	if (err)
		trouble(c, err, "CSTS can't be read", now_ns);
	else if (c->state == NVME_ENABLE && csts & R3_NVME_CSTS_CFS)
		nvme_ctrl_reset(c, "fatal status while enabling", now_ns);
	else if (c->state == NVME_ENABLE && csts & R3_NVME_CSTS_RDY) {
		enter(c, NVME_IDENTIFY, now_ns, ADMIN_MS);
		nvme_admin_identify(c);
	} else if (now_ns > c->deadline_ns) {
		c->attempts++; /* it took long enough: one more try only */
		nvme_ctrl_reset(c, c->state == NVME_RESET
				? "it did not stop in time (CSTS.RDY is 1)"
				: "it did not get ready in time (CSTS.RDY "
				  "is 0)", now_ns);
	}
}

/* ---- the user's side ----------------------------------------------------- */

static void map_doorbells(struct nvme_ctrl *c)
{
	const struct r3_device_region *r = r3_device_region(c->dev, BAR);
	volatile void *p;

	c->bar = NULL;
	for (unsigned i = 0; r && i < r->area_count; i++) {
		const struct r3_device_area *a = &r->areas[i];

		if (a->off > R3_NVME_DOORBELLS ||
		    a->off + a->len <= R3_NVME_DOORBELLS)
			continue;
		c->bar_len = r3_min(a->off + a->len - R3_NVME_DOORBELLS,
				    BAR_MAP_MAX);
		if (!r3_device_map_region(c->dev, BAR, R3_NVME_DOORBELLS,
					  c->bar_len, R3_READ | R3_WRITE, &p))
			c->bar = p;
		return;
	}
}

int nvme_ctrl_attach(struct nvme_ctrl *c, struct r3_device *dev,
		     uint64_t now_ns)
{
	int err;

	assert(!c->dev);
	c->dev = dev;
	err = nvme_mem_attach(c);
	if (!err) {
		map_doorbells(c);
		err = begin_reset(c, now_ns);
	}
	if (err)
		close_device(c);
	return err;
}

static unsigned poll_admin(struct nvme_ctrl *c, uint64_t now_ns)
{
	struct nvme_done d;
	unsigned n = 0;
	int r = 0;

	while (n < NVME_ADMIN_SIZE &&
	       (r = nvme_queue_next(&c->admin, &d)) > 0) {
		nvme_admin_done(c, &d);
		n++;
	}
	if (n)
		nvme_queue_ack(&c->admin);
	if (r < 0)
		nvme_ctrl_reset(c, c->admin.why, now_ns);
	else if (n && !c->admin_waiting)
		next_step(c, now_ns);
	return n;
}

static unsigned poll_io(struct nvme_ctrl *c, uint64_t now_ns)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->queue_count; i++) {
		struct nvme_ioq *ioq = &c->ioq[i];
		int r = nvme_ioq_reap(c, ioq, now_ns);

		if (r < 0) {
			nvme_ctrl_reset(c, ioq->q.why, now_ns);
			return n;
		}
		if (r)
			c->attempts = 0;
		n += (unsigned)r;
		if (ioq->issue)
			nvme_kick(c, i);
	}
	return n;
}

unsigned nvme_ctrl_poll(struct nvme_ctrl *c, uint64_t now_ns)
{
	unsigned n = 0;

	switch (c->state) {
	case NVME_DOWN:
	case NVME_FAILED:
		return 0;
	case NVME_RESET:
	case NVME_ENABLE:
		look_at_csts(c, now_ns);
		return 0;
	case NVME_READY:
		n = poll_io(c, now_ns);
		if (c->state != NVME_READY || !nvme_queue_pending(&c->admin))
			return n;
		/* fallthrough */
	default:
		return n + poll_admin(c, now_ns);
	}
}

/* A command is late: abort it; if it then still does not end, reset. */
static void check_queue(struct nvme_ctrl *c, struct nvme_ioq *ioq,
			uint64_t now_ns)
{
	uint64_t oldest = nvme_ioq_oldest(ioq);
	uint64_t limit = c->conf.timeout_ms * R3_NS_PER_MS;

	if (oldest == UINT64_MAX || now_ns - oldest < limit)
		return;
	c->counts.timeouts++;
	if (now_ns - oldest < 2 * limit && nvme_ctrl_abort(c, ioq))
		return;
	if (now_ns - oldest < limit + limit / 2)
		return;
	ioq->first->stuck = true;
	nvme_ctrl_reset(c, "a command was not completed in time", now_ns);
}

/* Nothing has come for a while: is it still well? */
static void check_health(struct nvme_ctrl *c, uint64_t now_ns)
{
	uint64_t oldest = UINT64_MAX;
	uint32_t csts;
	int err;

	for (unsigned i = 0; i < c->queue_count; i++)
		oldest = r3_min(oldest, nvme_ioq_oldest(&c->ioq[i]));
	if (oldest == UINT64_MAX || now_ns - oldest < LATE_MS * R3_NS_PER_MS)
		return;
	err = get32(c, R3_NVME_CSTS, &csts);
	if (err || csts == UINT32_MAX)
		trouble(c, err ? err : -ENOTCONN, "CSTS can't be read", now_ns);
	else if (csts & R3_NVME_CSTS_CFS)
		nvme_ctrl_reset(c, "it reports a fatal status (CSTS.CFS)",
				now_ns);
}

void nvme_ctrl_tick(struct nvme_ctrl *c, uint64_t now_ns)
{
	unsigned events;

	if (c->state == NVME_DOWN)
		return;
	events = r3_device_events(c->dev);
	if (events & R3_DEVICE_LOST) {
		lose(c, "connection closed");
		return;
	}
	if (events & R3_DEVICE_WANTED) {
		lose(c, "the kernel wants it back");
		return;
	}
	if (events & R3_DEVICE_ERROR) {
		nvme_ctrl_reset(c, "uncorrected PCIe error", now_ns);
		return;
	}
	if (c->state == NVME_FAILED) {
		if (now_ns < c->deadline_ns)
			return;
		c->attempts = NVME_ATTEMPTS - 1; /* one try */
		nvme_ctrl_reset(c, c->why, now_ns);
		return;
	}
	if (c->state != NVME_READY) {
		nvme_ctrl_poll(c, now_ns);
		if (c->state >= NVME_IDENTIFY && c->state < NVME_READY &&
		    now_ns > c->deadline_ns)
			nvme_ctrl_reset(c, "it did not answer an admin command",
					now_ns);
		return;
	}
	for (unsigned i = 0; i < c->queue_count && c->state == NVME_READY; i++)
		check_queue(c, &c->ioq[i], now_ns);
	if (c->state == NVME_READY)
		check_health(c, now_ns);
}

bool nvme_ctrl_arm(struct nvme_ctrl *c)
{
	if (c->state != NVME_READY)
		return false;
	if (c->quiet) {
		for (unsigned i = 0; i < c->queue_count; i++)
			__atomic_store_n(&c->quiet_word[i + 1], 1,
					 __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	for (unsigned i = 0; i < c->queue_count; i++) {
		nvme_queue_ack(&c->ioq[i].q);
		if (nvme_queue_pending(&c->ioq[i].q))
			return true;
	}
	return !(c->conf.interrupts && c->vectors) && nvme_in_flight(c, 1);
}

void nvme_ctrl_disarm(struct nvme_ctrl *c)
{
	if (!c->quiet || c->state != NVME_READY)
		return;
	for (unsigned i = 0; i < c->queue_count; i++)
		__atomic_store_n(&c->quiet_word[i + 1], 0, __ATOMIC_RELAXED);
}

int nvme_ctrl_wait_ready(struct nvme_ctrl *c, unsigned limit_ms)
{
	uint64_t end = r3_now_ns() + limit_ms * R3_NS_PER_MS;

	for (;;) {
		struct pollfd p = { .fd = c->irq_fd, .events = POLLIN };
		uint64_t now = r3_now_ns();

		nvme_ctrl_tick(c, now);
		if (c->state == NVME_READY)
			return 0;
		if (c->state == NVME_FAILED)
			return -EIO;
		if (c->state == NVME_DOWN)
			return -ENOTCONN;
		if (now > end)
			return -ETIMEDOUT;
		if (poll(&p, 1, 1) > 0)
			r3_drain(c->irq_fd);
	}
}

void nvme_ctrl_fini(struct nvme_ctrl *c)
{
	if (c->dev) {
		/* a normal shutdown would flush the cache: nothing that was
		 * acknowledged needs it */
		put32(c, R3_NVME_CC, 0);
		close_device(c);
	}
	nvme_queue_fini(&c->admin);
	for (unsigned i = 0; i < c->conf.queues; i++)
		nvme_ioq_fini(&c->ioq[i]);
	nvme_mem_close(c);
	if (c->irq_fd >= 0)
		close(c->irq_fd);
}
