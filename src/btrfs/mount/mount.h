/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mount.h - a mounted volume: what the files of ring3-btrfs-mount share
 *
 *	main.c    opens the image, mounts, makes two processes of itself
 *	keeper.c  waits for the server, and unmounts; has no image
 *	serve.c   the server: event loop, commits, sandbox; its main thread
 *	reader.c  the thread that has the requests
 *	flush.c   a thread that only asks the kernel for dirty pages
 *	node.c    the inodes that the kernel knows
 *	look.c    names, directories, attributes, data: reading them
 *	change.c  names and attributes: changing them
 *	data.c    file data: writing it
 *	acl.c     POSIX access control lists
 *	wire.c    what libfuse does not know of the protocol
 *
 * The volume has one user, this process, and the kernel above it is told to
 * keep what it learnt as long as it likes: names, attributes and pages.  So
 * nothing here changes what the kernel has not asked to be changed.
 */
#ifndef BTRFS_MOUNT_H
#define BTRFS_MOUNT_H

#define FUSE_USE_VERSION 35
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>

#include "ring3/btrfs.h"
#include "ring3/loop.h"

#define MOUNT_SUBTYPE "ring3-btrfs"

enum {
	MOUNT_IO_MAX = 1 << 20,	 /* bytes of one read or write */
	MOUNT_FSYNCS_MAX = 128,	 /* that wait for one commit */
	MOUNT_DEV_MAX = 32,
	MOUNT_STILL_THERE = 2,	 /* in the server's exit code: not unmounted */
};

/* What the kernel may keep names and attributes for. */
#define MOUNT_KEEP_S (365.0 * 24 * 3600)

struct mount_args {
	const char *image;
	char dir[4096]; /* absolute */
	const char *subvol; /* path or number; NULL: the default one */
	const char *options; /* of -o, or NULL */
	unsigned compression;
	int level;
	uint64_t sync_ms;
	bool readonly, foreground;
};

/* ---- the inodes that the kernel knows (node.c) --------------------------- */

struct node {
	struct r3_btrfs_inode in;
	uint64_t stub;	  /* which of the subvolume's stubs; else 0 */
	uint64_t lookups; /* that the kernel has not given back; 0: free */
	uint32_t next;	  /* of its hash, or of the free ones */
	bool held;	  /* has no name any more; to be released */
};

/* A node's number for FUSE is its place in the table; 1 is the root. */
struct nodes {
	struct node *table;
	uint32_t *buckets;
	uint32_t room, used, free, bucket_count, count;
};

int nodes_init(struct nodes *n, struct r3_btrfs_inode root);
void nodes_fini(struct nodes *n);
/* One lookup more.  @stub: 0 or nodes_stub().  -ENOMEM. */
int nodes_get(struct nodes *n, struct r3_btrfs_inode in, uint64_t stub,
	      fuse_ino_t *out);
/* The node, if the kernel knows it; else 0. */
fuse_ino_t nodes_find(const struct nodes *n, struct r3_btrfs_inode in,
		      uint64_t stub);
/* @count lookups less; true when it was the last one, and a copy of it. */
bool nodes_put(struct nodes *n, fuse_ino_t ino, uint64_t count,
	       struct node *gone);
/* NULL: the kernel made it up. */
struct node *nodes_at(const struct nodes *n, fuse_ino_t ino);
/* All stubs of a subvolume have one inode number: tell them apart. */
uint64_t nodes_stub(struct r3_btrfs_inode dir, const char *name, size_t len);

/* ---- the mount ----------------------------------------------------------- */

/* Who waits for a commit: fsync, or an ioctl, whose reply is another. */
struct waiter {
	fuse_req_t req;
	bool ioctl;
	size_t out; /* bytes that the ioctl replies: 0, or those of a number */
};

struct mount {
	const struct mount_args *args;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	struct fuse_session *session;
	struct r3_loop *loop;
	struct nodes nodes;
	uint64_t subvol; /* that the mount shows */
	uint64_t total_bytes;
	bool no_open;	 /* the kernel need not ask to open files */
	bool acl;
	uint8_t *buf;	 /* MOUNT_IO_MAX */
	struct fuse_buf in;
	int keeper;	 /* socket to it; -1: gone */
	int signals;	 /* signalfd, the keeper's only */
	int exit_code;
	bool ending;	 /* SIGTERM came */

	/* Held by who touches anything here but these, in the server. */
	pthread_mutex_t lock;
	pthread_t reader;
	int reader_err;	 /* it has ended; -ENODEV: as we are unmounted */
	int wake;	 /* eventfd: the main thread is to look */

	fuse_ino_t victim; /* in use, and losing its last name; or 0 */

	/* wire.c */
	bool kill_offered, kill_sgid; /* the request takes these bits away */
	uint64_t init_unique;

	/* commits (serve.c) */
	bool dirty;
	int failed; /* why no more changes are taken: a negative errno; or 0 */
	bool cleaning; /* there may be deleted subvolumes to clear away */
	uint64_t dirty_ns; /* since when */
	uint64_t commit_ns; /* that the last one took */
	uint64_t requests, requests_seen;
	struct r3_timer tick; /* the main thread's */
	struct waiter fsyncs[MOUNT_FSYNCS_MAX];
	unsigned fsync_count;
	uint64_t complained_ns;

	struct flush *flush;
};

/* Something changed: commit it before long. */
void mount_dirty(struct mount *m);
/* Reply after a commit that holds all changes until now. */
void mount_sync_for(struct mount *m, struct waiter who);
/* That commit. */
void mount_commit(struct mount *m);
/* What a write or fsync(2) gets when m->failed; positive. */
int mount_write_err(const struct mount *m);
/* Have the main thread look what changed. */
void mount_wake(struct mount *m);
/* Each thread for itself, before its first request. */
int mount_drop_rights(const struct mount *m);
/* Reply with an error; damage and broken devices are logged, and why the volume
 * takes no more changes. */
void mount_fail(struct mount *m, fuse_req_t req, int err);

/* R3_BTRFS_MOUNT_WHY; "": it takes changes. */
const char *mount_why(const struct mount *m);

void mount_now(struct timespec *out);

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* serve.c: until the file system is unmounted; the exit code.  When reader_err
 * is 0 then, the reader may still use all that is here. */
int mount_serve(struct mount *m);
/* reader.c */
int reader_start(struct mount *m);
/* keeper.c */
struct keeper {
	const struct mount_args *args;
	pid_t server;
	int socket; /* to the server */
	int log;    /* where its standard error can be read; -1: it has ours */
	int log_in; /* the other end: ours too, once it is ready */
	int ready;  /* who waits for it to be; or -1 */
	/* the keeper's own */
	int signals;
	char dev[MOUNT_DEV_MAX]; /* of the mount, "0:49" */
	bool daemon;
	char line[1024];
	size_t line_len;
};
/* A signalfd of what ends a mount; nothing of it is lost from then on. */
int mount_signals(void);
/* Until the server has ended; the exit code. */
int mount_keep(struct keeper *k);
/* Is an image mounted on @dir already? */
bool mount_is_there(const char *dir);
/* ring3 btrfs unmount; the exit code. */
int mount_unmount(const char *dir, bool lazy);

/* wire.c: between libfuse and the device */
int wire_attach(struct mount *m);

/* flush.c */
int flush_start(struct mount *m);
void flush_stop(struct mount *m);
/* Have the kernel write what it holds of a file, then go on with
 * look_seek(). */
void flush_then_seek(struct mount *m, fuse_req_t req, fuse_ino_t ino,
		     off_t off, int whence);
void look_seek(struct mount *m, fuse_req_t req, fuse_ino_t ino, off_t off,
	       int whence);

/* ---- operations ---------------------------------------------------------- */

struct r3_btrfs_inode mount_inode(const struct mount *m, fuse_ino_t ino);
/* What stat(2) shows. */
int mount_attr(struct mount *m, const struct node *n, struct stat *out);
/* One lookup more of what an entry leads to, and its attributes. */
int mount_entry(struct mount *m, struct r3_btrfs_inode in, uint64_t stub,
		struct fuse_entry_param *out);

/* acl.c; @value is the xattr's, and is changed.  -EIO: it is no list.
 * From a directory's default list: a new inode's list, and its mode with the
 * type kept; @needed: it says more than the mode. */
int acl_inherit(void *value, size_t len, mode_t *mode, bool *needed);
int acl_chmod(void *value, size_t len, mode_t mode);
/* The permission bits that a list stands for.  -EINVAL: it is no list. */
int acl_mode(void *value, size_t len, mode_t *mode, bool *needed);

/* change.c: r3_btrfs_options.in_use */
bool mount_in_use(void *arg, struct r3_btrfs_inode in);
/* setuid goes, and setgid where the group may execute or the caller is not of
 * it. */
int change_kill(fuse_req_t req, struct r3_btrfs_inode in);

void look_ops(struct fuse_lowlevel_ops *ops);
void change_ops(struct fuse_lowlevel_ops *ops);
void data_ops(struct fuse_lowlevel_ops *ops);

#endif
