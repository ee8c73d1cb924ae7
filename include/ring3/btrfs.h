/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs.h - the Btrfs disk format in user space
 *
 * A volume is opened on a device, which is a small table of functions: a file,
 * a block device, or bytes in memory.  Nothing here needs root, threads or a
 * mount.  One volume belongs to one thread at a time.
 *
 * Everything on a device is hostile.  A tree block is checked whole when it is
 * read (checksum, header, order of keys, bounds and content of every item), so
 * a damaged image gives -EIO or -EUCLEAN and a text that names tree, block and
 * key; what is sound but not supported gives -EOPNOTSUPP and its name.
 */
#ifndef RING3_BTRFS_H
#define RING3_BTRFS_H

#include <stdio.h>
#include <sys/stat.h>

#include "ring3/base.h"

/* Why the last call failed, for people. */
struct r3_btrfs_why {
	char text[512];
};

/* ---- the device ---------------------------------------------------------- */

struct r3_btrfs_dev;

struct r3_btrfs_dev_ops {
	/* All of @len or an error; -EIO past the end. */
	int (*read)(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len);
	int (*write)(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		     size_t len);
	int (*flush)(struct r3_btrfs_dev *dev); /* what was written is safe */
	void (*close)(struct r3_btrfs_dev *dev);
	/* See r3_btrfs_dev_settle(); NULL: write() tells of every failure. */
	int (*settle)(struct r3_btrfs_dev *dev);
	/* Nobody needs these bytes; a hint, after a flush.  Or NULL. */
	void (*discard)(struct r3_btrfs_dev *dev, uint64_t off, uint64_t len);
};

struct r3_btrfs_dev {
	const struct r3_btrfs_dev_ops *ops;
	uint64_t size; /* bytes */
	bool parallel; /* several threads may read at once */
	/* A write that failed, for messages; err 0: not known. */
	struct {
		int err;
		uint64_t off;
	} bad;
};

/**
 * r3_btrfs_dev_file() - a file or a block device
 * @path:  which
 * @write: open it for writing too, as the only one: not while it is mounted,
 *	   itself or through a loop device; a file with a lock that ends with us
 * @out:   closed with r3_btrfs_dev_close()
 * Return: 0, what open(2) said, -EBUSY (in use by another process), -ENOTBLK
 * for anything else.
 */
int r3_btrfs_dev_file(const char *path, bool write,
		      struct r3_btrfs_dev **out);
/* What to tell people of its error. */
const char *r3_btrfs_dev_why(int err);
/* The text of a write's or flush's error: where, as far as known, and why. */
void r3_btrfs_dev_write_why(const struct r3_btrfs_dev *dev, int err,
			    struct r3_btrfs_why *out);
/**
 * r3_btrfs_dev_settle() - wait until every write is done, and hear of failures
 *
 * A thread, or the system's cache, may have writes still to do when write()
 * returns, and the last ones of a volume, the other copies of its super block,
 * have no flush behind them.  Before the device is closed; does not make sure
 * that anything survives a power cut.
 * Return: 0, or the error of a write.
 */
int r3_btrfs_dev_settle(struct r3_btrfs_dev *dev);
/* Opened for reading: keep writers off as long as it is open.  -EBUSY: there is
 * one already. */
int r3_btrfs_dev_share(struct r3_btrfs_dev *dev);
/* A device over @len bytes at @bytes, which stay the caller's. */
int r3_btrfs_dev_mem(void *bytes, size_t len, struct r3_btrfs_dev **out);
/**
 * r3_btrfs_dev_behind() - let a thread do the writing
 * @dev: what is to be written to; becomes a device above it, which closes both
 *
 * Writes are copied, up to 32 MiB of them, and what they came to is known at a
 * later write, or at the flush: after a failure no flush succeeds.  One thread
 * at a time may use it.
 * Return: 0, -ENOMEM, -EAGAIN (no thread); then *@dev stays what it is.
 */
int r3_btrfs_dev_behind(struct r3_btrfs_dev **dev);
void r3_btrfs_dev_close(struct r3_btrfs_dev *dev); /* NULL is fine */

/* ---- the volume ---------------------------------------------------------- */

struct r3_btrfs;

/* An inode is known by its subvolume and its number there. */
struct r3_btrfs_inode {
	uint64_t subvol, ino;
};

struct r3_btrfs_options {
	int super;	  /* 0: the best copy; 1 to 3: this one */
	int backup;	  /* 0: the current roots; 1 to 4: this backup */
	bool ignore_csum; /* for fuzzing: a checksum that does not match is
			     taken as right */
	size_t cache_bytes; /* of tree blocks; 0: 64 MiB */
	bool write;	    /* for changes; the device is open for writing */
	unsigned compression; /* of what is written: 0, 1 zlib, 2 lzo, 3 zstd */
	int level;	      /* 0: the usual one */
	bool keep_times; /* changed data leaves mtime and ctime to the caller,
			    who sets them: a mount's kernel does */
	/* Of an inode that is about to lose its last name: is it in use?  Then
	 * it is held, once the name is gone, as by r3_btrfs_hold(), and to be
	 * released.  NULL: none is. */
	bool (*in_use)(void *arg, struct r3_btrfs_inode in);
	void *arg;
	/* For tests that want the same image again; NULL: the system's. */
	void (*now)(struct timespec *out);
	void (*random)(void *out, size_t len);
};

/**
 * r3_btrfs_open() - open a volume, for reading or for changes
 * @dev:  stays the caller's, and must outlive the volume
 * @opts: or NULL
 * @why:  filled on failure
 * Return: 0, -EINVAL (no Btrfs there), -EIO, -EUCLEAN (damaged),
 * -EOPNOTSUPP (several devices, RAID, zones, unknown features, a log tree; for
 * writing also: no free space tree, unknown compat_ro features), -ENOMEM.
 */
int r3_btrfs_open(struct r3_btrfs_dev *dev,
		  const struct r3_btrfs_options *opts, struct r3_btrfs **out,
		  struct r3_btrfs_why *why);
void r3_btrfs_close(struct r3_btrfs *fs); /* NULL is fine */
/* Why the last call on @fs failed. */
const char *r3_btrfs_why(const struct r3_btrfs *fs);
/* Why opening for changes left deleted files that a crash had left: damage.
 * They only take space.  Empty: it didn't. */
const char *r3_btrfs_left(const struct r3_btrfs *fs);
/* Why no more changes are taken: a change failed in the middle, or a commit,
 * with *err.  NULL: they are. */
const char *r3_btrfs_stopped(const struct r3_btrfs *fs, int *err);
/* An xattr that the root of a mount by ring3 has, in no list: why it takes no
 * more changes and what to do, or nothing. */
#define R3_BTRFS_MOUNT_WHY "ring3.why"
/* Why the last call failed with @err: its text, or what errno says. */
const char *r3_btrfs_why_of(const struct r3_btrfs *fs, int err);

struct r3_btrfs_chunk_info {
	uint64_t logical, length, used;
	uint64_t physical[2];
	unsigned copies;
	uint64_t type; /* bits as on disk: 1 data, 2 system, 4 metadata */
};

struct r3_btrfs_info {
	uint8_t fsid[16];
	char label[257];
	uint64_t generation, total_bytes, bytes_used;
	uint32_t nodesize, sectorsize;
	const char *csum; /* "crc32c" */
	uint64_t incompat, compat_ro;
	bool aborted; /* a kernel met an error and marked the super block */
	unsigned super; /* 1 to 3: the copy that was used */
	unsigned supers_good, supers_there;
	uint64_t subvolumes; /* without the top one */
	uint64_t default_subvol;
	bool quota;
	uint64_t bad_copies; /* copies of blocks found bad since opening */
	uint64_t mended_copies; /* of them, written anew */
};

/* Return: 0 or why subvolumes could not be counted. */
int r3_btrfs_get_info(struct r3_btrfs *fs, struct r3_btrfs_info *out);
/* The n-th chunk; -ENOENT after the last. */
int r3_btrfs_get_chunk(struct r3_btrfs *fs, unsigned n,
		       struct r3_btrfs_chunk_info *out);
/* Names of feature bits, "NO_HOLES SKINNY_METADATA". */
void r3_btrfs_incompat_names(uint64_t bits, char *out, size_t len);
void r3_btrfs_compat_ro_names(uint64_t bits, char *out, size_t len);

/* ---- subvolumes, paths, inodes ------------------------------------------- */

#define R3_BTRFS_TOP	  UINT64_C(5) /* the top subvolume */
#define R3_BTRFS_ROOT_INO UINT64_C(256)
#define R3_BTRFS_NAME_MAX 255
#define R3_BTRFS_PATH_MAX 4096

struct r3_btrfs_subvol {
	uint64_t id, parent, dirid; /* parent 0: the top or an orphan */
	uint64_t generation, otransid, ctransid, stransid, rtransid;
	uint64_t flags;
	bool readonly, dead, snapshot;
	uint8_t uuid[16], parent_uuid[16], received_uuid[16];
	struct timespec otime, ctime;
	char name[R3_BTRFS_NAME_MAX + 1];
	char path[R3_BTRFS_PATH_MAX]; /* from the top; "" for the top itself */
};

/* Calls @each for every subvolume but the top, by id, until it returns other
 * than 0; returns that, or an error. */
int r3_btrfs_each_subvol(struct r3_btrfs *fs,
			 int (*each)(void *arg,
				     const struct r3_btrfs_subvol *subvol),
			 void *arg);

/**
 * r3_btrfs_lookup() - a path from the top subvolume, as a mount shows it
 * @path:  "/", "a/b"; crosses into subvolumes; ".." and "." are understood;
 *         symbolic links are not followed; with '/' at its end only of a
 *         directory
 * Return: 0, -ENOENT, -ENOTDIR, -ENAMETOOLONG, or damage.
 */
int r3_btrfs_lookup(struct r3_btrfs *fs, const char *path,
		    struct r3_btrfs_inode *out);

struct r3_btrfs_stat {
	struct stat st; /* st_dev is 0, st_blocks from nbytes */
	uint64_t flags; /* bits as on disk: 1 NODATASUM, 2 NODATACOW, ... */
	uint64_t rdev;	/* as on disk: minor, and major from bit 20 on */
	uint64_t generation, transid;
	struct timespec otime;
};

int r3_btrfs_stat(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		  struct r3_btrfs_stat *out);

struct r3_btrfs_dirent {
	struct r3_btrfs_inode in; /* of the root directory, for a subvolume */
	uint64_t index;
	uint8_t type; /* DT_REG, ... as in dirent.h */
	bool stub;    /* a subvolume that a snapshot only shows empty */
	uint16_t name_len;
	char name[R3_BTRFS_NAME_MAX + 1];
};

/* One name of a directory, its index left at 0.  -ENOENT. */
int r3_btrfs_lookup_at(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		       const char *name, size_t len,
		       struct r3_btrfs_dirent *out);
/* Entries in the order of the directory's index, from @from on. */
int r3_btrfs_each_entry(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			uint64_t from,
			int (*each)(void *arg,
				    const struct r3_btrfs_dirent *entry),
			void *arg);
/* Names may hold any byte; values too. */
int r3_btrfs_each_xattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			int (*each)(void *arg, const char *name,
				    size_t name_len, const void *value,
				    size_t len),
			void *arg);
/* One value.  @len: its bytes.  -ENODATA, -ERANGE (@room is too small; @len is
 * written all the same). */
int r3_btrfs_get_xattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		       const char *name, size_t name_len, void *value,
		       size_t room, size_t *len);
/* The target, NUL terminated; @out holds R3_BTRFS_PATH_MAX bytes. */
int r3_btrfs_readlink(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      char *out);

/* ---- file data ----------------------------------------------------------- */

struct r3_btrfs_extent {
	uint64_t start, len;	 /* in the file; holes included */
	uint64_t logical;	 /* 0: hole or inline */
	uint64_t disk_len;	 /* bytes on disk */
	uint64_t offset;	 /* of start in the (unpacked) extent */
	uint64_t ram_len;	 /* of the whole extent, unpacked */
	uint64_t generation;	 /* when it was written; 0: hole */
	uint8_t compression;	 /* 0, 1 zlib, 2 lzo, 3 zstd */
	bool prealloc, is_inline;
};

/* Every extent and hole from 0 to the file's size, in order. */
int r3_btrfs_each_extent(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 int (*each)(void *arg,
				     const struct r3_btrfs_extent *extent),
			 void *arg);

/* Where data (SEEK_DATA) or a hole (SEEK_HOLE) begins, at @off or after it;
 * preallocated space is a hole, and one follows the end.  -ENXIO: at or past
 * the end, or no more data. */
int r3_btrfs_seek(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		  int whence, uint64_t *out);

/**
 * r3_btrfs_read() - read from a file
 * @got: bytes read; less than @len only at the end of the file
 *
 * Data is compared with its checksums; the other copy is used when one is bad.
 * Return: 0, -EISDIR, -EIO (the text names file offset and block), or damage.
 */
int r3_btrfs_read(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		  void *buf, size_t len, size_t *got);

/* ---- changing a volume --------------------------------------------------- */
/*
 * On a volume opened with options.write.  A change is seen at once by what
 * reads through the same volume, and is durable after the next r3_btrfs_sync();
 * a crash, or closing without it, leaves the volume as that last left it.
 * Calls sync by themselves when much has gathered, never in the middle of one.
 *
 * All of them may return: -EROFS (opened for reading, a read-only subvolume, or
 * a failure in the middle of an earlier change, after which none is taken any
 * more), -ENOSPC, -EDQUOT, -ENOMEM, and damage.  What is refused has changed
 * nothing.
 */

int r3_btrfs_sync(struct r3_btrfs *fs);

struct r3_btrfs_space {
	uint64_t total, used;		    /* bytes of the device */
	/* with block groups to come; 0 when opened for reading */
	uint64_t data_left, metadata_left;
};
void r3_btrfs_get_space(const struct r3_btrfs *fs, struct r3_btrfs_space *out);

/* What a new inode is. */
struct r3_btrfs_new {
	mode_t mode; /* with its type; the caller has applied the umask */
	uint32_t uid, gid;
	dev_t rdev;	    /* of a device */
	const char *target; /* of a symbolic link */
};

/**
 * r3_btrfs_make() - a file, directory, symbolic link, device, fifo or socket
 * @dir:  a directory; its compression and NODATACOW are inherited
 *	  (its group and default ACL are not: those are the caller's)
 * @name: any bytes but '/' and NUL, 1 to R3_BTRFS_NAME_MAX of them
 * Return: 0, -EEXIST, -ENOTDIR, -ENOENT (@dir), -EINVAL, -ENAMETOOLONG,
 * -EOVERFLOW (too many names with one hash).
 */
int r3_btrfs_make(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		  const char *name, size_t len, const struct r3_btrfs_new *what,
		  struct r3_btrfs_inode *out);
/* -EPERM: a directory, -EXDEV: another subvolume, -EMLINK. */
int r3_btrfs_link(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		  struct r3_btrfs_inode dir, const char *name, size_t len);
/* What has no name left is removed, unless it is held. -EISDIR. */
int r3_btrfs_unlink(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		    const char *name, size_t len);
/* -ENOTEMPTY; -EBUSY: it is a subvolume. */
int r3_btrfs_rmdir(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		   const char *name, size_t len);
/* @flags as of renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE.  A subvolume
 * moves too, and between subvolumes nothing else does (-EXDEV).  A directory or
 * subvolume into itself: -EINVAL; a subvolume in the way: -ENOTEMPTY; a
 * read-only one keeps its directory: -EROFS. */
int r3_btrfs_rename(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
		    const char *name, size_t len, struct r3_btrfs_inode to_dir,
		    const char *to, size_t to_len, unsigned flags);
/* Keep an inode when its last name goes, until the last release; after a crash
 * the next opening for writing removes it.  Counted. */
int r3_btrfs_hold(struct r3_btrfs *fs, struct r3_btrfs_inode in);
int r3_btrfs_release(struct r3_btrfs *fs, struct r3_btrfs_inode in);

enum {
	R3_BTRFS_SET_MODE = 1, /* permission bits only */
	R3_BTRFS_SET_UID = 2,
	R3_BTRFS_SET_GID = 4,
	R3_BTRFS_SET_ATIME = 8,
	R3_BTRFS_SET_MTIME = 16,
	R3_BTRFS_SET_CTIME = 32, /* else it becomes now */
	/* as r3_btrfs_stat.flags; a file that holds data keeps NODATACOW and
	 * NODATASUM as they are */
	R3_BTRFS_SET_FLAGS = 64,
	R3_BTRFS_SET_OTIME = 128,
};
struct r3_btrfs_attr {
	unsigned set; /* R3_BTRFS_SET_* */
	mode_t mode;
	uint32_t uid, gid;
	struct timespec atime, mtime, ctime, otime;
	uint64_t flags;
};
int r3_btrfs_setattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		     const struct r3_btrfs_attr *attr);
/* @flags: 0, XATTR_CREATE, XATTR_REPLACE.  -EEXIST, -ENODATA, -ERANGE (longer
 * than an item can be).  "btrfs.compression" sets the inode's flags, too;
 * -EINVAL: not a compression, another "btrfs." name, other flags. */
int r3_btrfs_setxattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      const char *name, size_t name_len, const void *value,
		      size_t len, int flags);
int r3_btrfs_removexattr(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 const char *name, size_t name_len);

/* ---- changing file data -------------------------------------------------- */

/**
 * r3_btrfs_write() - write to a file, longer if need be
 * @len: 1 byte to SSIZE_MAX; large writes make large extents
 *
 * The data is on its way to the device when this returns, in space that was
 * free; it takes the old data's place at the next sync.
 * Return: 0; -EISDIR, -EINVAL (no regular file), -EFBIG.  A large write is
 * several changes, so of one that fails (-ENOSPC, -EDQUOT, -EIO) the first part
 * may be there: a whole number of sectors, and the file's size says so where it
 * grew.
 */
int r3_btrfs_write(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		   const void *buf, size_t len);

struct r3_btrfs_encoded {
	uint64_t file_len; /* bytes of the file that it gives */
	uint64_t ram_len;  /* bytes unpacked, up to 128 KiB */
	uint64_t ram_off;  /* where in them the file's begin */
	unsigned compression; /* 1 zlib, 2 lzo, 3 zstd */
};
/* An extent packed by somebody else, stored as it is.  -EOPNOTSUPP: it can't
 * be (not aligned, too long); unpack it and write that. */
int r3_btrfs_write_encoded(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			   uint64_t off, const struct r3_btrfs_encoded *how,
			   const void *data, size_t len);
/* A file of very many extents becomes shorter in several changes. */
int r3_btrfs_truncate(struct r3_btrfs *fs, struct r3_btrfs_inode in,
		      uint64_t size);
/* @mode as of fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE
 * with or without KEEP_SIZE.  -EOPNOTSUPP: another; -EISDIR, -EINVAL (no
 * regular file, no bytes), -EFBIG.  A long range is several changes: of one
 * that fails (-EDQUOT, -EIO) the first part may be there. */
int r3_btrfs_fallocate(struct r3_btrfs *fs, struct r3_btrfs_inode in, int mode,
		       uint64_t off, uint64_t len);
/**
 * r3_btrfs_clone() - share a range's extents (a reflink)
 * @len: 0: up to the source's end
 *
 * Between files of the volume, in any subvolumes.  Offsets are multiples of the
 * sector size; so is @len, unless it reaches the source's end, and the other
 * file's end or beyond.  Many extents go over in several changes.
 * Return: 0, -EINVAL (alignment, overlap, past the source's end, only one of
 * them is NODATASUM), -EISDIR, -EFBIG.
 */
int r3_btrfs_clone(struct r3_btrfs *fs, struct r3_btrfs_inode from,
		   uint64_t from_off, uint64_t len, struct r3_btrfs_inode to,
		   uint64_t to_off);

/* ---- subvolumes and snapshots -------------------------------------------- */

struct r3_btrfs_inherit { /* quota groups of a new subvolume */
	const uint64_t *groups;
	unsigned count;
};

/* -ENOENT: there is no subvolume @id. */
int r3_btrfs_get_subvol(struct r3_btrfs *fs, uint64_t id,
			struct r3_btrfs_subvol *out);
/* Its root directory has mode 0755 and the owner of @dir.  @inherit: or NULL.
 * -EEXIST, as r3_btrfs_make(); -ENOENT: no such quota group, -ENOTCONN: quotas
 * are off. */
int r3_btrfs_subvol_create(struct r3_btrfs *fs, struct r3_btrfs_inode dir,
			   const char *name, size_t len,
			   const struct r3_btrfs_inherit *inherit,
			   uint64_t *id);
/* Of any size in the same time; thousands make one commit. */
int r3_btrfs_snapshot(struct r3_btrfs *fs, uint64_t source,
		      struct r3_btrfs_inode dir, const char *name, size_t len,
		      bool readonly, const struct r3_btrfs_inherit *inherit,
		      uint64_t *id);
/**
 * r3_btrfs_subvol_delete() - take a subvolume away, at once for who looks
 *
 * r3_btrfs_clean() gives its space back; a crash before that leaves it to the
 * next who cleans, here or in a kernel.
 * Return: 0, -ENOENT, -EPERM (the top, the default), -ENOTEMPTY (a subvolume
 * lies in it), -EBUSY (held).
 */
int r3_btrfs_subvol_delete(struct r3_btrfs *fs, uint64_t id);
/* Up to about @blocks tree blocks of deleted subvolumes, and then, one for
 * each, read-only ones that a crash may have left deleted files in; *more:
 * there are.  One that can't be read on is left for the last: its error, -EIO
 * or -EUCLEAN, comes when the others are done. */
int r3_btrfs_clean(struct r3_btrfs *fs, unsigned blocks, bool *more);
/* Sync; then a sparse image file loses the blocks that were written to it since
 * it was opened and are not used after all. */
int r3_btrfs_give_back(struct r3_btrfs *fs);
/* Making one that was received writable forgets from where. */
int r3_btrfs_subvol_set_readonly(struct r3_btrfs *fs, uint64_t id,
				 bool readonly);
int r3_btrfs_subvol_set_default(struct r3_btrfs *fs, uint64_t id);

/* ---- quota groups -------------------------------------------------------- */

/* A group's number: level << 48 | id; at level 0 a subvolume's. */
#define R3_BTRFS_QGROUP(level, id) ((uint64_t)(level) << 48 | (id))
#define R3_BTRFS_QGROUP_NONE UINT64_MAX /* no limit */

struct r3_btrfs_qgroup {
	uint64_t id;
	uint64_t rfer, excl; /* bytes on disk: referenced; by nobody else */
	uint64_t max_rfer, max_excl; /* R3_BTRFS_QGROUP_NONE: no limit */
	const uint64_t *parents, *children;
	unsigned parent_count, child_count;
};

struct r3_btrfs_quota_state {
	bool on, stale, simple; /* stale: a kernel left them inconsistent */
};

int r3_btrfs_quota_get(struct r3_btrfs *fs, struct r3_btrfs_quota_state *out);
/* Each counts the whole volume once, exactly.  Disabling drops all groups. */
int r3_btrfs_quota_enable(struct r3_btrfs *fs);
int r3_btrfs_quota_disable(struct r3_btrfs *fs);
int r3_btrfs_quota_rescan(struct r3_btrfs *fs);
/* By level and id, until it returns other than 0. -ENOTCONN: quotas are off.
 * Numbers are those of the last sync. */
int r3_btrfs_each_qgroup(struct r3_btrfs *fs,
			 int (*each)(void *arg,
				     const struct r3_btrfs_qgroup *group),
			 void *arg);
/* -ENOTCONN, -EEXIST, -EINVAL: level 0 belongs to subvolumes. */
int r3_btrfs_qgroup_create(struct r3_btrfs *fs, uint64_t id);
/* -EBUSY: a subvolume's, or it has members. */
int r3_btrfs_qgroup_destroy(struct r3_btrfs *fs, uint64_t id);
/* -EINVAL: the group's level must be above the member's. */
int r3_btrfs_qgroup_assign(struct r3_btrfs *fs, uint64_t member,
			   uint64_t group);
int r3_btrfs_qgroup_remove(struct r3_btrfs *fs, uint64_t member,
			   uint64_t group);
int r3_btrfs_qgroup_limit(struct r3_btrfs *fs, uint64_t id, uint64_t max_rfer,
			  uint64_t max_excl);

/* ---- looking at and checking the whole ----------------------------------- */

/* Bytes that may be anything: text with \xNN for what is not printable, or a
 * JSON string with its quotes, bytes that are not UTF-8 as \u00NN. */
void r3_btrfs_print_name(FILE *out, const char *name, size_t len, bool json);
/* The super block in use, with its system chunks and backup roots. */
void r3_btrfs_dump_super(const struct r3_btrfs *fs, bool json, FILE *out);
/* "root", "extent", "5", "-9": the tree's id.  -EINVAL: not a tree's name. */
int r3_btrfs_tree_id(const char *text, uint64_t *out);
/* Every item of a tree, for people or as one JSON object a line. */
int r3_btrfs_dump_tree(struct r3_btrfs *fs, uint64_t tree, bool json,
		       FILE *out);

struct r3_btrfs_check_options {
	bool data;    /* compare all data with its checksums */
	bool qgroups; /* compare quota numbers even where they may be stale */
	/* One problem, without a newline. */
	void (*problem)(void *arg, const char *text);
	/* How far the data pass is, or NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct r3_btrfs_check_result {
	uint64_t problems;
	uint64_t tree_blocks, data_extents, references, subvolumes;
	uint64_t metadata_bytes, data_bytes, csum_bytes_checked;
	uint64_t inodes, files;
};

/* Return: 0 also when problems were found; an error when it could not go on. */
int r3_btrfs_check(struct r3_btrfs *fs,
		   const struct r3_btrfs_check_options *opts,
		   struct r3_btrfs_check_result *out);

/* ---- making an image ----------------------------------------------------- */

struct r3_btrfs_mkfs_subvol {
	const char *path; /* of a directory below rootdir */
	bool readonly, make_default;
};

struct r3_btrfs_mkfs_options {
	const char *rootdir; /* a directory to copy, or NULL */
	uint32_t uid, gid;   /* owner of the top directory without that */
	const struct stat *image; /* is left out of rootdir; or NULL */
	const struct r3_btrfs_mkfs_subvol *subvols;
	unsigned subvol_count;
	unsigned compression; /* 0, 1 zlib, 2 lzo, 3 zstd */
	int level;	      /* 0: the usual one */
	uint64_t size;	      /* bytes; 0: what the content needs, and room */
	const char *label;    /* or NULL; up to 255 bytes */
	const char *csum;     /* "crc32c" or NULL, "xxhash64", "sha256", ... */
	uint32_t nodesize;    /* 4096 to 65536, a power of 2; 0: 16384 */
	bool block_group_tree;
	unsigned threads;     /* that compress; 0: one a CPU, up to 16 */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* bytes */
	void *arg;
};

struct r3_btrfs_mkfs_result {
	uint8_t fsid[16];
	uint64_t total_bytes; /* what the device must hold */
	uint64_t used_bytes;
	uint64_t files, directories, subvolumes, data_bytes, disk_bytes;
	uint64_t changed; /* files that changed while they were read */
	bool left_out;    /* the image was found in rootdir */
};

/**
 * r3_btrfs_mkfs() - make a file system, in one pass
 * @dev: all zeros, or whatever; a file grows as it is written
 * @why: filled on failure; then what is on the device is no file system
 *
 * Trees are written bottom up and every byte once; the super block comes last.
 * Return: 0, -EINVAL (options), -ENOSPC (opts->size is too small),
 * -E2BIG (an xattr or a symbolic link that no node can hold), or what reading
 * or writing said.
 */
int r3_btrfs_mkfs(struct r3_btrfs_dev *dev,
		  const struct r3_btrfs_mkfs_options *opts,
		  struct r3_btrfs_mkfs_result *out, struct r3_btrfs_why *why);

/* ---- send streams -------------------------------------------------------- */

struct r3_btrfs_send_options {
	uint64_t parent; /* a read-only subvolume that the receiver has: send
			    the difference; 0: send all */
	unsigned proto;	 /* 1 or 2; 0: 1 */
	bool compressed; /* send packed extents as they are; needs 2 */
	bool no_data;	 /* only where data changed, not the data */
	/* Other read-only subvolumes that the receiver has: what they, or the
	 * parent, hold is sent as clones of it. */
	const uint64_t *clones;
	unsigned clone_count;
	void (*progress)(void *arg, uint64_t bytes); /* of stream; or NULL */
	void *arg;
};

/**
 * r3_btrfs_send() - write a read-only subvolume as a stream
 *
 * Data that is sent and that the subvolume holds twice (reflinks) is sent once;
 * preallocation is not sent, and what became a hole since the parent is sent as
 * zeros, or in version 2 as a hole.
 * Return: 0, -EROFS (not read-only: it could change meanwhile), -ENOENT,
 * -EINVAL (options), damage, or what writing said.
 */
int r3_btrfs_send(struct r3_btrfs *fs, uint64_t subvol,
		  const struct r3_btrfs_send_options *opts, FILE *out);

/**
 * r3_btrfs_stream_dump() - print the commands of a send stream
 * @in:   the stream, from its start
 * @json: one JSON object a line
 * @why:  filled on failure
 * Return: 0, -EPROTO (not a stream, damaged, cut off), -EOPNOTSUPP (version),
 * or what reading said.
 */
int r3_btrfs_stream_dump(FILE *in, bool json, FILE *out,
			 struct r3_btrfs_why *why);

/* ---- receive ------------------------------------------------------------- */

struct r3_btrfs_receive_options {
	const char *dir; /* from the top: where subvolumes are made; NULL "/" */
	void (*progress)(void *arg, uint64_t bytes); /* of stream; or NULL */
	/* A subvolume is complete, read-only, on its way to the device. */
	void (*subvol)(void *arg, const struct r3_btrfs_subvol *subvol);
	void *arg;
};

/**
 * r3_btrfs_receive() - make the subvolumes that a stream tells of
 * @in: streams one after the other, to the end of the file
 *
 * A subvolume shows up complete or, after a failure or a crash, not at all.
 * Several streams may have made some when it fails.
 * Return: 0, -EPROTO (no stream, damaged, cut off, or its commands do not fit;
 * the text says where), -ENOENT (its parent or a clone source is not here; the
 * text has the name and uuid), -EEXIST, -EOPNOTSUPP (version), or any change's.
 */
int r3_btrfs_receive(struct r3_btrfs *fs, FILE *in,
		     const struct r3_btrfs_receive_options *opts);

/* ---- scrub --------------------------------------------------------------- */

struct r3_btrfs_scrub_options {
	bool readonly; /* report, repair nothing */
	/* One problem, without a newline. */
	void (*problem)(void *arg, const char *text);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct r3_btrfs_scrub_result {
	uint64_t data_bytes, tree_bytes; /* read, all copies */
	uint64_t csum_errors, read_errors, header_errors, super_errors;
	uint64_t no_csum_bytes; /* data without checksums, only read */
	uint64_t corrected, uncorrectable; /* blocks */
};

/* Reads every copy of everything in use, and writes good ones over bad ones.
 * Return: 0 also when there were errors. */
int r3_btrfs_scrub(struct r3_btrfs *fs,
		   const struct r3_btrfs_scrub_options *opts,
		   struct r3_btrfs_scrub_result *out);

#endif
