// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * main.c - ring3-btrfs-mount: an image becomes a directory
 *
 *	ring3-btrfs-mount mount image=FILE dir=DIR [subvol=PATH|ID]
 *		[options=A,B] [compression=0..3] [level=N] [sync_ms=N]
 *		[readonly] [foreground]
 *	ring3-btrfs-mount unmount dir=DIR [lazy]
 *
 * Run by 'ring3 btrfs mount', which has checked what people write.  It opens
 * the image and mounts as who called it, forks a server that then gives up all
 * rights (serve.c), and stays behind to unmount (keeper.c).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mount.h"
#include "ring3/log.h"

enum { SYNC_MS = 5000, OPTIONS_MAX = 8192 };

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	return 1;
}

/* ---- arguments ------------------------------------------------------------*/

struct words {
	struct mount_args args;
	const char *dir;
	bool lazy;
};

static bool take_number(const char *text, uint64_t max, uint64_t *out)
{
	return !r3_parse_uint(text, out) && *out <= max;
}

static bool take_word(struct words *w, const char *word)
{
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value++ - word) : strlen(word);
	struct mount_args *a = &w->args;
	uint64_t n = 0;
	bool ok = true;

#define IS(name) (len == sizeof(name) - 1 && !memcmp(word, name, len))
	if (!value && IS("readonly"))
		a->readonly = true;
	else if (!value && IS("foreground"))
		a->foreground = true;
	else if (!value && IS("lazy"))
		w->lazy = true;
	else if (!value)
		ok = false;
	else if (IS("image"))
		a->image = value;
	else if (IS("dir"))
		w->dir = value;
	else if (IS("subvol"))
		a->subvol = value;
	else if (IS("options"))
		a->options = value;
	else if (IS("compression") && take_number(value, 3, &n))
		a->compression = (unsigned)n;
	else if (IS("level") && take_number(value, 15, &n))
		a->level = (int)n;
	else if (IS("sync_ms") && take_number(value, 3600000, &n))
		a->sync_ms = n;
	else
		ok = false;
#undef IS
	return ok;
}

/* A mount whose server died can't be resolved itself: its parent can. */
static int absolute(const char *dir, char *out, size_t room)
{
	char copy[4096], parent[4096], *slash;
	size_t len = strlen(dir);
	int n;

	if (realpath(dir, parent)) {
		n = snprintf(out, room, "%s", parent);
		return (size_t)n < room ? 0 : -ENAMETOOLONG;
	}
	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (errno != ENOTCONN || len >= sizeof(copy))
		return -errno;
	memcpy(copy, dir, len);
	copy[len] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	if (!realpath(!slash ? "." : slash == copy ? "/" : copy, parent))
		return -errno;
	n = snprintf(out, room, "%s%s%s", parent, parent[1] ? "/" : "",
		     slash ? slash + 1 : copy);
	return (size_t)n < room ? 0 : -ENAMETOOLONG;
}

/* ---- the volume -----------------------------------------------------------*/

static int open_dev(struct mount *m)
{
	const struct mount_args *a = m->args;
	int err = r3_btrfs_dev_file(a->image, !a->readonly, &m->dev);

	if (!err && a->readonly)
		err = r3_btrfs_dev_share(m->dev);
	if (!a->readonly && (err == -EROFS || err == -EACCES))
		fprintf(stderr, "%s: %s; --read-only needs less\n", a->image,
			strerror(-err));
	else if (err)
		fail(a->image, r3_btrfs_dev_why(err));
	return err;
}

static int is_readonly(void *arg, const struct r3_btrfs_subvol *s)
{
	(void)arg;
	return s->readonly && !s->dead;
}

static int find_subvol(struct mount *m)
{
	struct r3_btrfs_inode in = { .ino = R3_BTRFS_ROOT_INO };
	const char *text = m->args->subvol;
	struct r3_btrfs_stat st;
	struct r3_btrfs_info info;
	int err = r3_btrfs_get_info(m->fs, &info);

	in.subvol = info.default_subvol;
	m->total_bytes = info.total_bytes;
	if (!err && text && r3_parse_uint(text, &in.subvol))
		err = r3_btrfs_lookup(m->fs, text, &in);
	if (!err && in.ino != R3_BTRFS_ROOT_INO) {
		fprintf(stderr, "%s: %s: not a subvolume\n", m->args->image,
			text);
		return -EINVAL;
	}
	if (!err)
		err = r3_btrfs_stat(m->fs, in, &st);
	if (err) {
		fprintf(stderr, "%s: subvolume %s: %s\n", m->args->image,
			text ? text : "by default", err == -ENOENT
			? "there is none" : r3_btrfs_why(m->fs));
		return err;
	}
	m->subvol = in.subvol;
	/* with read-only subvolumes each opening for writing is looked at */
	m->no_open = !r3_btrfs_each_subvol(m->fs, is_readonly, NULL);
	return nodes_init(&m->nodes, in);
}

/* The time as the kernel has it for files, which is that of its last tick.  It
 * compares it with the times that we gave a new file, and when a write makes no
 * difference it has none to tell us. */
void mount_now(struct timespec *out)
{
	clock_gettime(CLOCK_REALTIME_COARSE, out);
}

static int open_volume(struct mount *m)
{
	struct r3_btrfs_options opts = {
		.now = mount_now,
		.in_use = mount_in_use,
		.arg = m,
		.write = !m->args->readonly,
		.compression = m->args->compression,
		.level = m->args->level,
		.keep_times = true, /* the kernel has them, and tells us */
	};
	struct r3_btrfs_why why;
	int err = open_dev(m);

	if (err)
		return err;
	m->buf = malloc(MOUNT_IO_MAX);
	if (!m->buf)
		return -ENOMEM;
	err = r3_btrfs_open(m->dev, &opts, &m->fs, &why);
	if (err) {
		fail(m->args->image, why.text);
		return err;
	}
	if (*r3_btrfs_left(m->fs))
		r3_log(R3_WARN, "btrfs", m->args->image, "deleted files that "
		       "a crash left still take space, because of damage; run "
		       "'ring3 btrfs check': %s", r3_btrfs_left(m->fs));
	return find_subvol(m);
}

/* In each of our processes: what it has of the volume and the connection. */
static void close_volume(struct mount *m)
{
	if (m->session)
		fuse_session_destroy(m->session);
	nodes_fini(&m->nodes);
	r3_btrfs_close(m->fs);
	r3_btrfs_dev_close(m->dev);
	free(m->in.mem);
	free(m->buf);
}

/* ---- mounting -------------------------------------------------------------*/

/* For builds with AddressSanitizer: the one that looks for leaks stops and
 * reads other processes, which the sandbox forbids, and then tries for ever. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void op_init(void *data, struct fuse_conn_info *conn)
{
	struct mount *m = data;

	conn->want &= ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC |
				  FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE |
				  FUSE_CAP_HANDLE_KILLPRIV |
				  FUSE_CAP_AUTO_INVAL_DATA);
	conn->want |= conn->capable &
		      (FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
		       FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPENDIR_SUPPORT |
		       FUSE_CAP_IOCTL_DIR |
		       FUSE_CAP_EXPLICIT_INVAL_DATA |
		       FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_WRITEBACK_CACHE |
		       FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK);
	if (!(conn->capable & FUSE_CAP_NO_OPEN_SUPPORT))
		m->no_open = false;
	conn->max_write = MOUNT_IO_MAX;
	conn->max_read = 0;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->time_gran = 1;
}

/* "fsname=IMAGE,..." with what ends a value there escaped. */
static int mount_options(const struct mount_args *a, char *out, size_t room)
{
	char image[4096], *to = out, *end = out + room;

	if (!realpath(a->image, image))
		return -errno;
	to += snprintf(to, room, "fsname=");
	for (const char *p = image; *p && to + 2 < end; p++) {
		if (*p == ',' || *p == '\\')
			*to++ = '\\';
		*to++ = *p;
	}
	to += snprintf(to, (size_t)(end - to), ",subtype=" MOUNT_SUBTYPE
		       ",default_permissions%s%s%s",
		       a->readonly ? ",ro" : "", a->options ? "," : "",
		       a->options ? a->options : "");
	return to < end ? 0 : -ENAMETOOLONG;
}

static int do_mount(struct mount *m)
{
	static char options[OPTIONS_MAX];
	char *argv[] = { "ring3-btrfs-mount", "-o", options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_lowlevel_ops ops = { .init = op_init };
	int err = mount_options(m->args, options, sizeof(options));

	if (err)
		return fail(m->args->image, strerror(-err));
	look_ops(&ops);
	if (!m->args->readonly) {
		change_ops(&ops);
		data_ops(&ops);
	}
	m->session = fuse_session_new(&args, &ops, sizeof(ops), m);
	fuse_opt_free_args(&args);
	if (!m->session)
		return -EINVAL; /* it has said which option */
	if (!fuse_session_mount(m->session, m->args->dir))
		return wire_attach(m);
	if (access("/dev/fuse", F_OK))
		return fail(m->args->dir, "not mounted: there is no /dev/fuse "
			    "(modprobe fuse); 'ring3 btrfs get' copies "
			    "without a mount");
	if (access("/dev/fuse", R_OK | W_OK))
		return fail(m->args->dir, "not mounted: /dev/fuse is not for "
			    "this user; its mode is usually 0666");
	return fail(m->args->dir, mount_is_there(m->args->dir)
				? "not mounted: another image is there; 'ring3 "
				  "btrfs unmount' ends that"
				: "not mounted");
}

/* ---- processes ------------------------------------------------------------*/

/* Of the terminal only standard error, which is a pipe for a daemon. */
static void let_go(const struct keeper *k)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (k->log_in < 0)
		return;
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		close(null);
	}
	dup2(k->log_in, 2);
	close(k->log);
	close(k->ready);
}

/* The server has the image and the mount, the keeper has neither. */
static int fork_server(struct mount *m, struct keeper *k)
{
	int pair[2], code;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	k->server = fork();
	if (k->server < 0)
		return -errno;
	if (!k->server) {
		close(pair[0]);
		close(k->signals);
		let_go(k);
		m->keeper = pair[1];
		code = mount_serve(m);
		if (m->reader_err)
			close_volume(m);
		exit(code);
	}
	close(pair[1]);
	k->socket = pair[0];
	return 0;
}

static int keep(struct mount *m, int ready)
{
	struct keeper k = { .args = m->args, .log = -1, .log_in = -1,
			    .signals = m->signals, .ready = ready };
	int log[2], err = 0;

	if (ready >= 0) {
		setsid();
		err = pipe2(log, O_CLOEXEC) ? -errno : 0;
		if (!err) { /* its reader also writes to it: never waits */
			fcntl(log[0], F_SETFL, O_NONBLOCK);
			k.log = log[0];
			k.log_in = log[1];
		}
	}
	if (!err)
		err = fork_server(m, &k);
	if (err)
		return fail(m->args->dir, strerror(-err));
	/* the connection and the image's lock are the server's alone */
	close_volume(m);
	if (chdir("/"))
		return 1;
	return mount_keep(&k);
}

/* A child becomes the keeper; we end when all works. */
static int keep_in_background(struct mount *m)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return fail(m->args->dir, strerror(errno));
	pid = fork();
	if (pid < 0)
		return fail(m->args->dir, strerror(errno));
	if (!pid) {
		close(ready[0]);
		exit(keep(m, ready[1]));
	}
	close(ready[1]);
	close_volume(m);
	return read(ready[0], &c, 1) == 1 ? 0 : 1;
}

static int run_mount(const struct mount_args *args)
{
	struct mount m = { .args = args, .keeper = -1 };
	struct stat st;

	/* FUSE would let a directory be mounted on a file */
	if (stat(args->dir, &st) && errno == ENOTCONN)
		return fail(args->dir, "the mount there has lost its server; "
			    "'ring3 btrfs unmount' clears it away");
	if (!stat(args->dir, &st) && !S_ISDIR(st.st_mode))
		return fail(args->dir, strerror(ENOTDIR));
	if (open_volume(&m))
		goto fail;
	/* from the mount on there must be somebody to take it down again */
	m.signals = mount_signals();
	if (m.signals < 0) {
		fail(args->dir, strerror(-m.signals));
		goto fail;
	}
	if (do_mount(&m))
		goto fail;
	return args->foreground ? keep(&m, -1) : keep_in_background(&m);

fail:
	close_volume(&m);
	return 1;
}

int main(int argc, char **argv)
{
	static struct words w = { .args.sync_ms = SYNC_MS };
	bool mount = argc > 1 && !strcmp(argv[1], "mount"), ok = true;
	int err;

	for (int i = 2; i < argc && ok; i++)
		ok = take_word(&w, argv[i]);
	if (!ok || argc < 2 || !w.dir || (mount && !w.args.image) ||
	    (!mount && strcmp(argv[1], "unmount"))) {
		fprintf(stderr, "ring3-btrfs-mount: run 'ring3 btrfs mount' "
			"or 'ring3 btrfs unmount'\n");
		return 2;
	}
	err = absolute(w.dir, w.args.dir, sizeof(w.args.dir));
	if (err)
		return fail(w.dir, strerror(-err));
	return mount ? run_mount(&w.args) : mount_unmount(w.args.dir, w.lazy);
}
