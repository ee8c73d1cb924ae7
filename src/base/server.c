// SPDX-License-Identifier: GPL-2.0-or-later
/* server.c - a server process: its keys, its fds, its life */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ring3/log.h"
#include "ring3/mem.h"
#include "server_priv.h"

#define HEARTBEAT_MS 1000 /* until the supervisor says otherwise */

int server_key_index(const struct r3_server_spec *spec, const char *name)
{
	for (int i = 0; spec->keys[i].name; i++) {
		if (!strcmp(spec->keys[i].name, name))
			return i;
	}
	return -1;
}

int server_set(struct r3_server *s, const char *key, const char *value)
{
	int i = server_key_index(s->spec, key);
	char *copy;

	if (i < 0)
		return -ENOENT;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(s->value[i]);
	s->value[i] = copy;
	return 0;
}

int server_add_fd(struct r3_server *s, const char *name, int fd, bool kept)
{
	struct server_fd *f;

	if (s->fd_count == R3_SERVER_FDS_MAX ||
	    strlen(name) >= R3_SERVER_NAME_MAX)
		return -ENOSPC;
	f = &s->fds[s->fd_count++];
	strcpy(f->name, name);
	f->fd = fd;
	f->kept = kept;
	return 0;
}

static void print_keys(const struct r3_server_spec *spec)
{
	printf("usage: %s NAME KEY=VALUE...\n%s\n", spec->program,
	       spec->summary);
	for (const struct r3_key *k = spec->keys; k->name; k++)
		printf("  %-16s %s%s%s%s\n", k->name, k->help,
		       k->def && *k->def ? " [" : "",
		       k->def && *k->def ? k->def : "",
		       k->def && *k->def ? "]" : "");
}

static int read_words(struct r3_server *s, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		int err = -ENOENT;

		if (eq) {
			*eq = 0;
			err = server_set(s, argv[i], eq + 1);
			*eq = '=';
		}
		if (err) {
			fprintf(stderr, "%s: '%s' is not KEY=VALUE with a "
				"known key; '%s --help' lists them\n",
				s->spec->program, argv[i], s->spec->program);
			return -EINVAL;
		}
	}
	return 0;
}

static int come_up(struct r3_server *s, int argc, char **argv)
{
	void *page;
	int err, fd;

	if (argc == 3 && !strcmp(argv[2], "--supervised"))
		return server_handshake(s);
	err = read_words(s, argc, argv);
	if (!err)
		err = server_open_by_hand(s);
	if (err)
		return err;
	fd = r3_memfd("ring3-page", R3_SERVER_PAGE_LEN);
	if (fd < 0)
		return fd;
	err = r3_map(fd, 0, R3_SERVER_PAGE_LEN, R3_READ | R3_WRITE, &page);
	close(fd);
	if (!err)
		s->page = page;
	return err;
}

int r3_server_open(struct r3_server **out, const struct r3_server_spec *spec,
		   int argc, char **argv)
{
	struct r3_server *s;
	int err;

	if (argc >= 2 && (!strcmp(argv[1], "--help") ||
			  !strcmp(argv[1], "-h"))) {
		print_keys(spec);
		exit(fflush(stdout) ? 1 : 0);
	}
	if (argc < 2 || strlen(argv[1]) >= R3_SERVER_NAME_MAX) {
		fprintf(stderr, "usage: %s NAME KEY=VALUE...\n"
			"'%s --help' lists the keys\n", spec->program,
			spec->program);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->spec = spec;
	s->control = -1;
	s->heartbeat_ms = HEARTBEAT_MS;
	s->reopen.server = s;
	strcpy(s->name, argv[1]);
	signal(SIGPIPE, SIG_IGN);
	tzset(); /* the first log line would open a file, in the sandbox */
	err = r3_loop_open(&s->loop);
	if (!err)
		err = come_up(s, argc, argv);
	if (err) {
		r3_server_close(s);
		return err;
	}
	s->page->starts++;
	memset(&s->page->crash, 0, sizeof(s->page->crash));
	server_catch_faults(s->page);
	server_pin(s);
	*out = s;
	return 0;
}

void r3_server_close(struct r3_server *s)
{
	if (!s)
		return;
	r3_loop_close(s->loop);
	for (unsigned i = 0; i < s->fd_count; i++)
		close(s->fds[i].fd);
	for (unsigned i = 0; i < R3_SERVER_KEYS_MAX; i++)
		free(s->value[i]);
	if (s->control >= 0)
		close(s->control);
	server_catch_faults(NULL);
	r3_unmap(s->page, R3_SERVER_PAGE_LEN);
	free(s);
}

const char *r3_server_name(const struct r3_server *s)
{
	return s->name;
}

struct r3_loop *r3_server_loop(const struct r3_server *s)
{
	return s->loop;
}

const char *r3_server_str(const struct r3_server *s, const char *key)
{
	int i = server_key_index(s->spec, key);

	assert(i >= 0);
	return s->value[i] ? s->value[i] : s->spec->keys[i].def;
}

uint64_t r3_server_uint(const struct r3_server *s, const char *key)
{
	uint64_t n = 0;
	int err = r3_parse_size(r3_server_str(s, key), &n);

	assert(!err); /* checked when it was read */
	(void)err;
	return n;
}

bool r3_server_bool(const struct r3_server *s, const char *key)
{
	return !strcmp(r3_server_str(s, key), "yes");
}

static struct server_fd *find_fd(const struct r3_server *s, const char *name,
				 bool kept)
{
	for (unsigned i = 0; i < s->fd_count; i++) {
		const struct server_fd *f = &s->fds[i];

		if (f->kept == kept && !strcmp(f->name, name))
			return (struct server_fd *)f;
	}
	return NULL;
}

int r3_server_fd(const struct r3_server *s, const char *name)
{
	const struct server_fd *f = find_fd(s, name, false);

	return f ? f->fd : -1;
}

int r3_server_kept_fd(struct r3_server *s, const char *name)
{
	struct server_fd *f = find_fd(s, name, true);
	int fd;

	if (!f)
		return -1;
	fd = f->fd;
	*f = s->fds[--s->fd_count];
	return fd;
}

int r3_server_keep_fd(struct r3_server *s, const char *name, int fd)
{
	return server_insist(s, fd, "FDSTORE=1\nFDNAME=%s\n", name);
}

void r3_server_drop_fd(struct r3_server *s, const char *name)
{
	server_insist(s, -1, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
}

/* A server may wait for its device before it runs. */
static int watch_control(struct r3_server *s)
{
	if (s->control < 0 || s->control_watch.fn)
		return 0;
	return r3_loop_watch(s->loop, &s->control_watch, s->control, EPOLLIN,
			     server_control_ready, s);
}

int r3_server_reopen(struct r3_server *s, const char *key,
		     void (*fn)(void *arg, int fd), void *arg)
{
	int i = server_key_index(s->spec, key), err;

	if (i < 0 || s->spec->keys[i].kind != R3_KEY_DEVICE)
		return -EINVAL;
	if (s->reopen.key)
		return -EALREADY;
	s->reopen.key = &s->spec->keys[i];
	s->reopen.fn = fn;
	s->reopen.arg = arg;
	if (s->control < 0) {
		r3_timer_set(s->loop, &s->reopen.retry, 0,
			     server_reopen_by_hand, &s->reopen);
		return 0;
	}
	err = watch_control(s);
	if (!err)
		err = server_insist(s, -1, "REOPEN=%s\n", key);
	if (err)
		s->reopen.key = NULL;
	return err;
}

struct r3_stats *r3_server_stats(struct r3_server *s)
{
	return &s->page->stats;
}

void *r3_server_page(struct r3_server *s, size_t *len)
{
	*len = R3_SERVER_PAGE_LEN - R3_SERVER_PAGE_PRIV;
	return (uint8_t *)s->page + R3_SERVER_PAGE_PRIV;
}

enum r3_after r3_server_after(const struct r3_server *s)
{
	return s->after;
}

void r3_server_status(struct r3_server *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	server_tell(s, "STATUS=%s\n", text);
}

void r3_server_alive(struct r3_server *s)
{
	uint64_t now = r3_now_ns();

	if (now - s->beat_ns < s->heartbeat_ms * R3_NS_PER_MS)
		return;
	s->beat_ns = now;
	server_tell(s, "WATCHDOG=1\n");
}

static void heartbeat(void *arg)
{
	struct r3_server *s = arg;

	s->beat_ns = r3_now_ns();
	server_tell(s, "WATCHDOG=1\n");
	r3_timer_set(s->loop, &s->heartbeat, s->heartbeat_ms * R3_NS_PER_MS,
		     heartbeat, s);
}

int r3_server_ready(struct r3_server *s)
{
	int err;

	if (s->control < 0)
		return 0;
	r3_notify_init();
	err = r3_sandbox(s->name, s->spec->calls);
	if (!err)
		err = server_insist(s, -1, "READY=1\n");
	if (!err)
		heartbeat(s);
	return err;
}

static void asked_to_end(void *arg, uint32_t events)
{
	struct r3_server *s = arg;

	(void)events;
	r3_loop_stop(s->loop, 0);
}

int r3_server_run(struct r3_server *s)
{
	sigset_t set;
	int fd, err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return 1;
	err = r3_loop_watch(s->loop, &s->term_watch, fd, EPOLLIN, asked_to_end,
			    s);
	if (!err)
		err = watch_control(s);
	if (!err)
		err = r3_loop_run(s->loop);
	r3_loop_unwatch(s->loop, &s->term_watch);
	close(fd);
	return err < 0 ? 1 : err;
}
