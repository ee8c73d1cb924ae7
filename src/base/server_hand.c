// SPDX-License-Identifier: GPL-2.0-or-later
/* server_hand.c - a server started by hand opens its own files and sockets */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server_priv.h"

#define RETRY_MS 5 /* between two tries to connect again */

static int unix_address(struct sockaddr_un *sa, const char *path)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	strcpy(sa->sun_path, path);
	return 0;
}

int server_connect(const char *path)
{
	struct sockaddr_un sa;
	int err = unix_address(&sa, path);
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A socket left by a process that is gone may be replaced; a live one not. */
static int listen_at(const char *path)
{
	struct sockaddr_un sa;
	int err = unix_address(&sa, path);
	int fd;

	if (err)
		return err;
	fd = server_connect(path);
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	if (fd == -ECONNREFUSED)
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 16)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

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

static int open_key(struct r3_server *s, const struct r3_key *k,
		    const char *value)
{
	const char *path;
	int fd;

	switch (k->kind) {
	case R3_KEY_FILE:
		fd = open(value, O_RDWR | O_CLOEXEC);
		break;
	case R3_KEY_LISTEN:
		fd = listen_at(value);
		if (fd < 0)
			errno = -fd;
		break;
	case R3_KEY_DEVICE:
		path = vfio_user_path(value);
		if (!path)
			return open_pci(s, k, value);
		fd = server_connect(path);
		if (fd < 0)
			errno = -fd;
		break;
	default:
		return 0;
	}
	if (fd < 0) {
		int err = -errno;

		fprintf(stderr, "%s: %s=%s: %m\n", s->spec->program, k->name,
			value);
		return err;
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
	int fd = path ? server_connect(path) : -EINVAL;

	if (fd == -ECONNREFUSED || fd == -ENOENT || fd == -EAGAIN) {
		r3_timer_set(s->loop, &r->retry, RETRY_MS * R3_NS_PER_MS,
			     server_reopen_by_hand, r);
		return;
	}
	r->key = NULL;
	r->fn(r->arg, fd);
}
