// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ns.c - an empty root and an empty network, made once for all servers
 *
 * A new network namespace costs some 400 us and a tmpfs some 200; entering
 * ready-made ones costs a few.  Nothing is in either: the root is an empty
 * read-only tmpfs, the network has only a loopback device that is down.  Each
 * server still gets a mount namespace of its own, copied from this one.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/log.h"
#include "sup.h"

static int write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -errno : 0;
}

/* An ordinary user may make namespaces only inside a user namespace.  We are
 * still ourselves in it, towards every file. */
static int own_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];
	int err;

	if (unshare(CLONE_NEWUSER))
		return -errno;
	err = write_proc("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!err)
		err = write_proc("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	if (!err)
		err = write_proc("/proc/self/gid_map", map);
	return err;
}

static int empty_the_world(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET))
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/proc", "tmpfs",
		  MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,"
		  "mode=0555") ||
	    chdir("/proc") || syscall(SYS_pivot_root, ".", ".") ||
	    umount2(".", MNT_DETACH) || chdir("/") ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY |
		  MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -errno;
	return 0;
}

static int open_ns(pid_t pid, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, what);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A helper makes them and lives until we hold them. */
static int make(struct sup *sup)
{
	int ready[2], done[2], err = -EPIPE;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	if (pipe2(done, O_CLOEXEC)) {
		err = -errno;
		close(ready[0]);
		close(ready[1]);
		return err;
	}
	pid = fork();
	if (!pid) {
		close(done[1]);
		err = empty_the_world();
		(void)!write(ready[1], &err, sizeof(err));
		(void)!read(done[0], &err, 1);
		_exit(0);
	}
	close(ready[1]);
	close(done[0]);
	if (pid > 0 && read(ready[0], &err, sizeof(err)) == sizeof(err) &&
	    !err) {
		sup->mnt = open_ns(pid, "mnt");
		sup->net = open_ns(pid, "net");
		if (sup->mnt < 0 || sup->net < 0)
			err = -errno;
	}
	close(done[1]);
	close(ready[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid < 0 ? -EAGAIN : err;
}

void sup_namespaces(struct sup *sup)
{
	int err = geteuid() ? -EPERM : make(sup);

	/* an ordinary user, or root with less than all capabilities */
	if (err == -EPERM) {
		err = own_user_namespace();
		if (!err)
			err = make(sup);
	}
	sup->namespaces = !err;
	if (err)
		r3_log(R3_WARN, "node", sup->node->name, "no namespaces here "
		       "(%s): servers keep landlock and their system call "
		       "list only; see 'ring3 doctor'", strerror(-err));
}
