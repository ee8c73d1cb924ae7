// SPDX-License-Identifier: GPL-2.0-or-later
/* output.c - a file that a command writes: whole afterwards, or as it was */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "output.h"

enum { BUF = 256 << 10 };

/* ---- when a signal ends the program -------------------------------------- */

static const char *unfinished;

static void remove_unfinished(int sig)
{
	if (unfinished)
		unlink(unfinished);
	raise(sig); /* the usual way now */
}

void cli_remove_now(void)
{
	if (unfinished)
		unlink(unfinished);
	unfinished = NULL;
}

void cli_remove_on_signal(const char *name)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = remove_unfinished,
				.sa_flags = (int)SA_RESETHAND | SA_NODEFER };
	struct sigaction old;

	unfinished = name;
	for (unsigned i = 0; name && i < R3_COUNT(signals); i++) {
		if (!sigaction(signals[i], NULL, &old) &&
		    old.sa_handler == SIG_DFL)
			sigaction(signals[i], &sa, NULL);
	}
}

mode_t cli_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

/* ---- where it is written ------------------------------------------------- */

/* May another file take the place of this one, and nobody see a difference? */
static bool replaceable(const char *path, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       st->st_uid == geteuid() &&
	       lgetxattr(path, "system.posix_acl_access", NULL, 0) < 0;
}

static void drop_temp(struct cli_output *o)
{
	cli_remove_now();
	*o->temp = 0;
}

/* "dir/.ring3-..." for "dir/name" */
static int open_temp(struct cli_output *o, gid_t group, mode_t mode)
{
	const char *slash = strrchr(o->path, '/');
	int n = snprintf(o->temp, sizeof(o->temp), "%.*s.ring3-XXXXXX",
			 slash ? (int)(slash + 1 - o->path) : 0, o->path);
	int err;

	if (n >= (int)sizeof(o->temp))
		return -ENAMETOOLONG;
	o->fd = mkostemp(o->temp, O_CLOEXEC);
	if (o->fd < 0)
		return -errno;
	cli_remove_on_signal(o->temp);
	if (!fchown(o->fd, (uid_t)-1, group) && !fchmod(o->fd, mode))
		return 0;
	err = -errno;
	close(o->fd);
	drop_temp(o);
	return err;
}

/* For a file that is not there. */
static int open_new(struct cli_output *o)
{
	return *o->path ? open_temp(o, (gid_t)-1, 0666 & ~cli_umask())
			: -ENOENT;
}

/* For one that is: with its mode and group, or not at all. */
static int open_replacing(struct cli_output *o, const struct stat *st)
{
	int err = faccessat(AT_FDCWD, o->path, W_OK, AT_EACCESS) ? -errno : 0;

	if (!err)
		err = open_temp(o, st->st_gid, st->st_mode & 07777);
	o->replaces = !err;
	return err;
}

/* What is there, as "> path" would.  Standard output by a name of it is that
 * itself, where a shell's ">>" goes on. */
static int open_there(struct cli_output *o)
{
	struct stat st, out;
	bool is_out = !fstat(STDOUT_FILENO, &out) && !stat(o->path, &st) &&
		      st.st_dev == out.st_dev && st.st_ino == out.st_ino;

	o->fd = is_out ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
		       : open(o->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (o->fd < 0)
		return -errno;
	o->may_empty = !is_out && !fstat(o->fd, &st) && S_ISREG(st.st_mode);
	return 0;
}

static int open_fd(struct cli_output *o)
{
	struct stat st;
	int err;

	if (lstat(o->path, &st))
		return errno == ENOENT ? open_new(o) : -errno;
	if (!replaceable(o->path, &st))
		return open_there(o);
	err = open_replacing(o, &st);
	/* no new file may be made there */
	return err == -EACCES || err == -EPERM || err == -EROFS ? open_there(o)
								: err;
}

/* ---- writing ------------------------------------------------------------- */

static ssize_t write_some(void *output, const char *p, size_t len)
{
	struct cli_output *o = output;
	size_t left = len;

	if (o->failed)
		return (ssize_t)len; /* what stdio still held */
	if (o->may_empty) {
		o->may_empty = false;
		o->emptied = true;
		if (ftruncate(o->fd, 0))
			return 0;
	}
	while (left) {
		ssize_t n = write(o->fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		p += n;
		left -= (size_t)n;
	}
	return (ssize_t)(len - left);
}

int cli_output_open(struct cli_output *o, const char *path)
{
	const cookie_io_functions_t io = { .write = write_some };
	int err;

	memset(o, 0, sizeof(*o));
	o->path = path;
	err = open_fd(o);
	if (!err) {
		o->file = fopencookie(o, "w", io);
		if (o->file && !setvbuf(o->file, NULL, _IOFBF, BUF))
			return 0;
		err = -ENOMEM;
		cli_output_close(o, err);
	}
	fprintf(stderr, "%s: %s\n", path, strerror(-err));
	return err;
}

/* The old file goes when the bytes of the new one are on the disk. */
static int take_place(struct cli_output *o)
{
	if (o->replaces && fdatasync(o->fd))
		return -errno;
	return rename(o->temp, o->path) ? -errno : 0;
}

static int finish(struct cli_output *o)
{
	int err = 0;

	if (fflush(o->file) || ferror(o->file))
		err = errno ? -errno : -EIO;
	if (!err && o->may_empty && ftruncate(o->fd, 0))
		err = -errno;
	if (!err && *o->temp)
		err = take_place(o);
	if (err)
		fprintf(stderr, "%s: %s\n", o->path, strerror(-err));
	return err;
}

int cli_output_close(struct cli_output *o, int err)
{
	if (!err)
		err = finish(o);
	if (err && *o->temp)
		drop_temp(o);
	/* half of it looks like something */
	if (err && o->emptied && ftruncate(o->fd, 0))
		fprintf(stderr, "%s: is not whole\n", o->path);
	cli_remove_on_signal(NULL);
	o->failed = err;
	if (o->file)
		fclose(o->file);
	close(o->fd);
	return err;
}
