// SPDX-License-Identifier: GPL-2.0-or-later
/* open.c - what servers need, opened once and held for all their lives */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "ring3/open.h"
#include "sup.h"

#define BACKLOG 64

static bool is_readonly(const struct r3_node_server *plan)
{
	for (unsigned i = 0; i < plan->opt_count; i++) {
		if (!strcmp(plan->opts[i].key, "readonly"))
			return !strcmp(plan->opts[i].value, "yes");
	}
	return false;
}

static int open_opt(struct sup_server *s, unsigned i)
{
	const struct r3_node_opt *o = &s->plan->opts[i];
	char why[256] = "";
	int fd = -1, err = 0;

	switch (o->kind) {
	case R3_NODE_FILE:
		fd = r3_open_disk(o->value, is_readonly(s->plan));
		err = fd < 0 ? fd : 0;
		if (err == -EBUSY)
			strcpy(why, "another node or program uses it");
		break;
	case R3_NODE_LISTEN:
		fd = r3_unix_listen(o->value, 0777, BACKLOG);
		err = fd < 0 ? fd : 0;
		if (err == -EADDRINUSE)
			strcpy(why, "another process listens there, or it is "
			       "no socket");
		break;
	case R3_NODE_PCI:
		err = r3_vfio_open(o->value + strlen("pci:"), &s->vfio[i],
				   why, sizeof(why));
		break;
	case R3_NODE_OPT:
	case R3_NODE_SOCKET: /* at each start anew */
		break;
	}
	s->fds[i] = fd;
	if (err)
		r3_log(R3_ERROR, "node", s->unit.name, "%s = %s: %s%s%s",
		       o->key, o->value, strerror(-err), *why ? "; " : "",
		       why);
	return err;
}

static int open_page(struct sup_server *s)
{
	void *page;
	int err;

	s->page_fd = r3_memfd(s->unit.name, R3_SERVER_PAGE_LEN);
	if (s->page_fd < 0)
		return s->page_fd;
	err = r3_map(s->page_fd, 0, R3_SERVER_PAGE_PRIV, R3_READ, &page);
	if (!err)
		s->page = page;
	return err;
}

int sup_log_open(struct sup *sup, struct sup_unit *u)
{
	char old[R3_NODE_PATH_MAX + 4];

	snprintf(u->log_path, sizeof(u->log_path), "log/%s.log", u->name);
	/* of the node's life before this one */
	snprintf(old, sizeof(old), "%s.1", u->log_path);
	renameat(sup->dir, u->log_path, sup->dir, old);
	u->log = openat(sup->dir, u->log_path,
			O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	return u->log < 0 ? -errno : 0;
}

/* Move what is there to NAME.log.1 and begin again; the writer has the file
 * open for appending and notices nothing. */
void sup_log_bound(struct sup *sup, int log, const char *path)
{
	char old[R3_NODE_PATH_MAX + 4];
	struct stat st;
	off_t off = 0;
	int fd;

	if (fstat(log, &st) || st.st_size <= SUP_LOG_MAX)
		return;
	snprintf(old, sizeof(old), "%s.1", path);
	fd = openat(sup->dir, old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (fd >= 0) {
		/* only the newest part of what may be more */
		if (st.st_size > 2 * SUP_LOG_MAX)
			off = st.st_size - SUP_LOG_MAX;
		(void)!sendfile(fd, log, &off, 2 * SUP_LOG_MAX);
		close(fd);
	}
	(void)!ftruncate(log, 0);
}

static void init_unit(struct sup *sup, struct sup_unit *u, const char *name,
		      unsigned limit)
{
	u->sup = sup;
	u->name = name;
	u->pidfd = -1;
	u->log = -1;
	u->life.limit = limit;
}

static int open_server(struct sup *sup, struct sup_server *s,
		       const struct r3_node_server *plan)
{
	int err;

	s->plan = plan;
	s->control = s->page_fd = s->reopen = -1;
	init_unit(sup, &s->unit, plan->name, plan->limit);
	for (unsigned i = 0; i < R3_SERVER_KEYS_MAX; i++) {
		s->fds[i] = -1;
		s->vfio[i] = (struct r3_vfio_fds){ -1, -1, -1 };
	}
	s->kept = calloc(SUP_KEPT_MAX, sizeof(*s->kept));
	if (!s->kept)
		return -ENOMEM;
	err = sup_log_open(sup, &s->unit);
	if (!err)
		err = open_page(s);
	for (unsigned i = 0; i < plan->opt_count && !err; i++)
		err = open_opt(s, i);
	return err;
}

int sup_open_all(struct sup *sup)
{
	struct r3_node *node = sup->node;
	int err = 0;

	sup->servers = calloc(node->server_count + 1, sizeof(*sup->servers));
	sup->guests = calloc(node->guest_count + 1, sizeof(*sup->guests));
	if (!sup->servers || !sup->guests)
		return -ENOMEM;
	for (unsigned i = 0; i < node->server_count && !err; i++)
		err = open_server(sup, &sup->servers[i], &node->servers[i]);
	for (unsigned i = 0; i < node->guest_count && !err; i++) {
		struct sup_guest *g = &sup->guests[i];

		g->plan = &node->guests[i];
		g->console = -1;
		init_unit(sup, &g->unit, g->plan->name, 0);
		err = sup_log_open(sup, &g->unit);
	}
	return err;
}

/* Sockets in the file system go; the rest goes with the process. */
void sup_close_all(struct sup *sup)
{
	for (unsigned i = 0; i < sup->node->server_count; i++) {
		struct sup_server *s = &sup->servers[i];

		for (unsigned j = 0; s->plan && j < s->plan->opt_count; j++) {
			r3_vfio_close(&s->vfio[j]);
			if (s->plan->opts[j].kind == R3_NODE_LISTEN &&
			    s->fds[j] >= 0)
				unlink(s->plan->opts[j].value);
		}
	}
}
