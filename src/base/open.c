// SPDX-License-Identifier: GPL-2.0-or-later
/* open.c - open the files and sockets that servers work on */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ring3/open.h"

#define LOCK_TRIES 50 /* a dead process's last I/O may still hold the file */
#define LOCK_MS	   10  /* between two of them */

static int lock_all(int fd, bool readonly)
{
	struct flock all = { .l_type = readonly ? F_RDLCK : F_WRLCK,
			     .l_whence = SEEK_SET };
	struct timespec pause = { .tv_nsec = LOCK_MS * 1000000 };

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!fcntl(fd, F_OFD_SETLK, &all))
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return 0; /* a file system without locks */
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

int r3_open_disk(const char *path, bool readonly)
{
	int flags = (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat st;
	int fd, err;

	/* without O_CREAT it means: a block device that nobody has mounted */
	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	fd = open(path, flags);
	if (fd < 0)
		return -errno;
	err = lock_all(fd, readonly);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int unix_address(struct sockaddr_un *sa, const char *path)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	strcpy(sa->sun_path, path);
	return 0;
}

int r3_unix_connect(const char *path)
{
	struct sockaddr_un sa;
	int fd, err = unix_address(&sa, path);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    fcntl(fd, F_SETFL, 0)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* -EADDRINUSE unless the path is free, or can be made so. */
static int make_room(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st))
		return 0; /* bind() says what is wrong */
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE; /* connect() "refuses" for any file */
	fd = r3_unix_connect(path);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) ? -errno : 0;
}

static int listen_at(int fd, const char *path, unsigned backlog)
{
	struct sockaddr_un sa;
	int err = unix_address(&sa, path);

	if (err)
		return err;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return -errno;
	if (!listen(fd, (int)backlog))
		return 0;
	err = -errno;
	unlink(path);
	return err;
}

/* Who waits for the path to appear connects at once, and between bind() and
 * listen() is refused; another one who starts here would then take the socket
 * for a dead one.  So it gets its name when it listens. */
static int listen_beside(int fd, const char *path, unsigned backlog)
{
	char beside[sizeof(((struct sockaddr_un *)0)->sun_path) + 16];
	int err;

	snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid());
	err = listen_at(fd, beside, backlog);
	if (err)
		return err;
	if (renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE)) {
		err = -errno; /* EINVAL: a file system that can't */
		unlink(beside);
	}
	return err;
}

static int new_socket(mode_t mode)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	fchmod(fd, mode); /* bind() goes by it, and by the umask */
	return fd;
}

int r3_unix_listen(const char *path, mode_t mode, unsigned backlog)
{
	struct sockaddr_un sa;
	int fd, err = unix_address(&sa, path);

	if (!err)
		err = make_room(path);
	if (err)
		return err;
	fd = new_socket(mode);
	if (fd < 0)
		return fd;
	err = listen_beside(fd, path, backlog);
	if (err) {
		/* no room for a longer name, or none can be moved; else this
		 * says what is wrong */
		close(fd);
		fd = new_socket(mode);
		err = fd < 0 ? fd : listen_at(fd, path, backlog);
	}
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}
