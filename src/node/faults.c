// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faults.c - DMA outside a space, as the kernel's log tells of it
 *
 * VFIO type1 has no event for it, and a driver in its sandbox can't read the
 * log: so whoever holds the devices does.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

#define FAULTS_AT_ONCE 16 /* in one round of the loop */

static bool has_device(const struct sup_server *s, const char *bdf)
{
	for (unsigned i = 0; i < s->plan->opt_count; i++) {
		const struct r3_node_opt *o = &s->plan->opts[i];

		if (o->kind == R3_NODE_PCI && !strcmp(o->value + 4, bdf))
			return true;
	}
	return false;
}

static void report(struct sup *sup, const struct r3_dma_fault *f)
{
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		struct sup_server *s = &sup->servers[i];

		if (!has_device(s, f->device))
			continue;
		s->dma_faults++;
		r3_log(R3_WARN, "node", s->unit.name, "DMA outside its space "
		       "was blocked; please report it device=%s addr=0x%llx "
		       "direction=%s", f->device, (unsigned long long)f->addr,
		       f->write ? "write" : "read");
		return;
	}
}

static void on_log(void *arg, uint32_t events)
{
	struct sup *sup = arg;
	struct r3_dma_fault f;
	int r = 0;

	(void)events;
	for (unsigned i = 0; i < FAULTS_AT_ONCE; i++) {
		r = r3_dma_log_next(sup->kernel_log, &f);
		if (r <= 0)
			break;
		report(sup, &f);
	}
	if (r < 0) {
		r3_log(R3_WARN, "node", sup->node->name, "the kernel's log "
		       "can't be read any more: %s; DMA faults are not "
		       "reported", strerror(-r));
		r3_loop_unwatch(sup->loop, &sup->kernel_log_watch);
	}
}

void sup_watch_faults(struct sup *sup)
{
	bool any = false;
	int err;

	for (unsigned i = 0; i < sup->node->server_count; i++) {
		const struct r3_node_server *s = &sup->node->servers[i];

		for (unsigned j = 0; j < s->opt_count; j++)
			any |= s->opts[j].kind == R3_NODE_PCI;
	}
	if (!any)
		return;
	sup->kernel_log = r3_dma_log_open();
	err = sup->kernel_log < 0 ? sup->kernel_log :
				    r3_loop_watch(sup->loop,
						  &sup->kernel_log_watch,
						  sup->kernel_log, EPOLLIN,
						  on_log, sup);
	if (err)
		r3_log(R3_WARN, "node", sup->node->name, "the kernel's log "
		       "can't be read: %s; DMA faults are blocked all the "
		       "same, but not reported", strerror(-err));
}
