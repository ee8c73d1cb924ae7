// SPDX-License-Identifier: GPL-2.0-or-later
/* server_hand.c - a server started by hand opens its own files and sockets */
#include <stdio.h>

#include "ring3/open.h"
#include "server_priv.h"

#define BACKLOG	 16
#define RETRY_MS 5 /* between two tries to connect again */

static const char *vfio_user_path(const char *value)
{
	static const char prefix[] = "vfio-user:";
	size_t len = sizeof(prefix) - 1;

	return strncmp(value, prefix, len) ? NULL : value + len;
}

int (*r3_server_open_pci)(const char *bdf, int fds[3], char *why, size_t room);

static int open_pci(struct r3_server *s, const struct r3_key *k,
		    const char *value)
{
	static const char *const names[] = { "container", "group", "device" };
	char why[256] = "by hand only vfio-user:PATH can be opened; use "
			"'ring3 up' for others";
	char name[R3_SERVER_NAME_MAX];
	int fds[3], err = -EINVAL;

	if (r3_server_open_pci && !strncmp(value, "pci:", 4))
		err = r3_server_open_pci(value + 4, fds, why, sizeof(why));
	if (err) {
		fprintf(stderr, "%s: %s=%s: %s\n", s->spec->program, k->name,
			value, why);
		return err;
	}
	for (unsigned i = 0; i < R3_COUNT(fds) && !err; i++) {
		snprintf(name, sizeof(name), "%s.%s", k->name, names[i]);
		err = server_add_fd(s, name, fds[i], false);
	}
	return err;
}

static bool is_readonly(const struct r3_server *s)
{
	return server_key_index(s->spec, "readonly") >= 0 &&
	       r3_server_bool(s, "readonly");
}

static int open_key(struct r3_server *s, const struct r3_key *k,
		    const char *value)
{
	const char *path;
	int fd;

	switch (k->kind) {
	case R3_KEY_FILE:
		fd = r3_open_disk(value, is_readonly(s));
		break;
	case R3_KEY_LISTEN:
		fd = r3_unix_listen(value, 0777, BACKLOG);
		break;
	case R3_KEY_DEVICE:
		path = vfio_user_path(value);
		if (!path)
			return open_pci(s, k, value);
		fd = r3_unix_connect(path);
		break;
	default:
		return 0;
	}
	if (fd < 0) {
		fprintf(stderr, "%s: %s=%s: %s%s\n", s->spec->program, k->name,
			value, strerror(-fd), fd == -EBUSY ?
			"; another process uses it, end that one first" : "");
		return fd;
	}
	return server_add_fd(s, k->name, fd, false);
}

int server_open_by_hand(struct r3_server *s)
{
	for (int i = 0; s->spec->keys[i].name; i++) {
		const struct r3_key *k = &s->spec->keys[i];
		const char *value = s->value[i] ? s->value[i] : k->def;
		char why[160];
		int err;

		if (!value) {
			fprintf(stderr, "%s: %s= is missing: %s\n",
				s->spec->program, k->name, k->help);
			return -EINVAL;
		}
		err = r3_key_check(k, value, why, sizeof(why));
		if (err) {
			fprintf(stderr, "%s: %s=%s: %s\n", s->spec->program,
				k->name, value, why);
			return err;
		}
		err = *value ? open_key(s, k, value) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* The other server may be away: try again until it is back. */
void server_reopen_by_hand(void *arg)
{
	struct server_reopen *r = arg;
	struct r3_server *s = r->server;
	const char *path = vfio_user_path(r3_server_str(s, r->key->name));
	int fd = path ? r3_unix_connect(path) : -EINVAL;

	if (fd == -ECONNREFUSED || fd == -ENOENT || fd == -EAGAIN) {
		r3_timer_set(s->loop, &r->retry, RETRY_MS * R3_NS_PER_MS,
			     server_reopen_by_hand, r);
		return;
	}
	r->key = NULL;
	r->fn(r->arg, fd);
}
