// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keeper.c - the process beside the server: unmounts, and has no image
 *
 * The server can't unmount: it may not run programs nor name files.  So it asks
 * (SIGTERM came), and this one does it.  An unmount sends the kernel's dirty
 * pages to the server, which then ends by itself.  When somebody has files open
 * the mount point goes at once, and the server ends after the last of them.
 *
 * When the server died, the mount point stays and gives ENOTCONN: what lies
 * below it is not what anybody means to write to.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

#include "mount.h"
#include "ring3/log.h"

enum { GONE_MS = 60000, LOOK_MS = 10 };

extern char **environ;

/* Without root only fusermount3 can. */
static int run_fusermount(const char *dir, bool lazy)
{
	char *argv[] = { "fusermount3", "-u", "-q", lazy ? "-z" : "--",
			 lazy ? "--" : (char *)dir, lazy ? (char *)dir : NULL,
			 NULL };
	int status, err;
	pid_t pid;

	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	/* its only other reason, for what is mounted, is that it is in use */
	return status ? -EBUSY : 0;
}

static int unmount(const char *dir, bool lazy)
{
	if (!umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	return errno == EPERM ? run_fusermount(dir, lazy) : -errno;
}

/* ---- what is mounted ----------------------------------------------------- */

/* \040 and the like, as /proc/self/mountinfo writes blanks. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* Calls @each for every mount of ours. */
static int each_mount(void (*each)(void *arg, const char *dir,
				   const char *image, const char *dev),
		      void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char dir[4096], type[64], image[4096], dev[MOUNT_DEV_MAX];
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		char *dash = strstr(line, " - ");

		if (!dash ||
		    sscanf(line, "%*s %*s %31s %*s %4095s", dev, dir) != 2 ||
		    sscanf(dash, " - %63s %4095s", type, image) != 2 ||
		    strcmp(type, "fuse." MOUNT_SUBTYPE))
			continue;
		unescape(dir);
		unescape(image);
		each(arg, dir, image, dev);
	}
	free(line);
	fclose(f);
	return 0;
}

struct mounts {
	const char *dir, *of; /* of: count those of this image, or NULL */
	char image[4096];     /* that is mounted on dir; "": none */
	char dev[MOUNT_DEV_MAX];
	unsigned count;
};

static void look_at_mount(void *arg, const char *dir, const char *image,
			  const char *dev)
{
	struct mounts *m = arg;

	if (m->of) {
		m->count += !strcmp(image, m->of);
	} else if (!strcmp(dir, m->dir)) { /* the last one is on top */
		snprintf(m->image, sizeof(m->image), "%s", image);
		snprintf(m->dev, sizeof(m->dev), "%s", dev);
	}
}

bool mount_is_there(const char *dir)
{
	struct mounts m = { .dir = dir };

	return !each_mount(look_at_mount, &m) && *m.image;
}

/* ---- the keeper -----------------------------------------------------------*/

static void take_down(struct keeper *k)
{
	int err = unmount(k->args->dir, false);

	if (err == -EBUSY) {
		r3_log(R3_WARN, "btrfs", k->args->image, "%s is in use: "
		       "unmounted for newcomers, and served until the last "
		       "file is closed; a second SIGTERM ends it at once",
		       k->args->dir);
		err = unmount(k->args->dir, true);
	}
	if (err && err != -EINVAL)
		r3_log(R3_ERROR, "btrfs", k->args->image, "%s could not be "
		       "unmounted: %s", k->args->dir, strerror(-err));
}

/* "12:03:41.118 W btrfs[...] ..." */
static int priority(const char *line)
{
	const char *level = strchr(line, ' ');

	return level && !strncmp(level, " E ", 3)   ? LOG_ERR
	       : level && !strncmp(level, " W ", 3) ? LOG_WARNING
						    : LOG_NOTICE;
}

/* The server's messages, for the system's log once it is a daemon. */
static void take_log(struct keeper *k)
{
	ssize_t n = read(k->log, k->line + k->line_len,
			 sizeof(k->line) - 1 - k->line_len);
	char *end;

	if (n <= 0)
		return;
	k->line_len += (size_t)n;
	k->line[k->line_len] = 0;
	while ((end = strchr(k->line, '\n')) ||
	       k->line_len == sizeof(k->line) - 1) {
		size_t used = end ? (size_t)(end - k->line) + 1 : k->line_len;

		if (end)
			*end = 0;
		if (k->daemon)
			syslog(priority(k->line), "%s", k->line);
		else
			fprintf(stderr, "%s\n", k->line);
		memmove(k->line, k->line + used, k->line_len - used + 1);
		k->line_len -= used;
	}
}

/* True when the server has ended. */
static bool take_signal(struct keeper *k, int *status)
{
	struct signalfd_siginfo info;

	if (read(k->signals, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGCHLD)
		return waitpid(k->server, status, WNOHANG) == k->server;
	kill(k->server, SIGTERM); /* which asks us to unmount, or ends */
	return false;
}

/* It ended before the mount did.  Somebody may have mounted another there since
 * it went out of sight: that one stays. */
static void clear_away(const struct keeper *k)
{
	struct mounts m = { .dir = k->args->dir };

	if (!each_mount(look_at_mount, &m) && !strcmp(m.dev, k->dev))
		unmount(k->args->dir, true);
}

static int how_it_ended(const struct keeper *k, int status)
{
	if (WIFEXITED(status)) {
		if (WEXITSTATUS(status) & MOUNT_STILL_THERE)
			clear_away(k);
		return WEXITSTATUS(status) & ~MOUNT_STILL_THERE;
	}
	r3_log(R3_ERROR, "btrfs", k->args->image, "the server died of signal "
	       "%d; the image is as its last commit left it, and %s answers "
	       "ENOTCONN until 'ring3 btrfs unmount'", WTERMSIG(status),
	       k->args->dir);
	return 1;
}

int mount_signals(void)
{
	static const int which[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned i = 0; i < R3_COUNT(which); i++)
		sigaddset(&set, which[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* It works: let the command end, and let go of its terminal. */
static void become_daemon(struct keeper *k)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (k->ready < 0)
		return;
	openlog("ring3-btrfs-mount", LOG_PID, LOG_DAEMON);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		close(null);
	}
	dup2(k->log_in, 2);
	k->daemon = true;
	if (write(k->ready, "r", 1) == 1)
		close(k->ready);
	k->ready = -1;
}

static void take_message(struct keeper *k)
{
	char c;

	if (recv(k->socket, &c, 1, MSG_DONTWAIT) != 1)
		return;
	if (c == 'r')
		become_daemon(k);
	else
		take_down(k);
}

int mount_keep(struct keeper *k)
{
	struct pollfd p[3] = { { .fd = k->signals, .events = POLLIN },
			       { .fd = k->socket, .events = POLLIN },
			       { .fd = k->log, .events = POLLIN } };
	struct mounts m = { .dir = k->args->dir };
	int status = 0;

	each_mount(look_at_mount, &m);
	strcpy(k->dev, m.dev);
	while (waitpid(k->server, &status, WNOHANG) != k->server) {
		if (poll(p, R3_COUNT(p), -1) < 0 && errno != EINTR)
			break;
		if (p[2].revents)
			take_log(k);
		if (p[1].revents & POLLIN)
			take_message(k);
		else if (p[1].revents)
			p[1].fd = -1; /* it is about to end */
		if (p[0].revents && take_signal(k, &status))
			break;
	}
	status = how_it_ended(k, status);
	if (k->log >= 0)
		take_log(k); /* what we said just now, too */
	return status;
}

/* ---- ring3 btrfs unmount --------------------------------------------------*/

/* The server keeps a lock on the image until it has written all.  Others that
 * only read it keep theirs. */
static int wait_until_free(const char *image)
{
	struct mounts others = { .of = image };
	struct flock lock;
	int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0;

	if (fd < 0)
		return 0; /* nobody's business but the server's */
	each_mount(look_at_mount, &others);
	for (unsigned ms = 0; ms < GONE_MS; ms += LOOK_MS) {
		lock = (struct flock){ .l_type = others.count ? F_RDLCK
							      : F_WRLCK };
		if (fcntl(fd, F_OFD_GETLK, &lock) || lock.l_type == F_UNLCK)
			goto out;
		usleep(LOOK_MS * 1000);
	}
	err = -ETIMEDOUT;
out:
	close(fd);
	return err;
}

/* A commit that fails is told of here, not only in the log.  (Pages are not
 * held back of files that nobody has open.) */
static int sync_dir(const char *dir, char *why, size_t room)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = fsync(fd) ? -errno : 0;
	if (err == -EROFS) /* the mount is read-only */
		err = 0;
	if (err && getxattr(dir, R3_BTRFS_MOUNT_WHY, why, room - 1) <= 0)
		snprintf(why, room, "%s", strerror(-err));
	close(fd);
	return err;
}

int mount_unmount(const char *dir, bool lazy)
{
	char why[2 * sizeof(struct r3_btrfs_why)] = "";
	struct mounts m = { .dir = dir };
	int sync_err, err = each_mount(look_at_mount, &m);

	if (err || !*m.image) {
		fprintf(stderr, "%s: no image is mounted there by ring3\n",
			dir);
		return 1;
	}
	sync_err = sync_dir(dir, why, sizeof(why));
	if (sync_err == -ENOTCONN) { /* the server died: nobody is served */
		lazy = true;
		sync_err = 0;
	}
	if (sync_err) {
		fprintf(stderr, "%s: not all could be written: ", dir);
		r3_btrfs_print_name(stderr, why, strlen(why), false);
		fputc('\n', stderr);
	}
	err = unmount(dir, lazy);
	if (err)
		fprintf(stderr, "%s: %s%s\n", dir, strerror(-err),
			err == -EBUSY ? "; close what is open there (fuser -m "
			"names it), or use --lazy" : "");
	if (err || lazy)
		return err || sync_err ? 1 : 0;
	err = wait_until_free(m.image);
	if (err)
		fprintf(stderr, "%s: unmounted, but the server still writes "
			"to %s\n", dir, m.image);
	return err || sync_err ? 1 : 0;
}
