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
};

struct r3_btrfs_dev {
	const struct r3_btrfs_dev_ops *ops;
	uint64_t size; /* bytes */
};

/**
 * r3_btrfs_dev_file() - a file or a block device
 * @path:  which
 * @write: open it for writing too; a block device then exclusively
 * @out:   closed with r3_btrfs_dev_close()
 * Return: 0, what open(2) said, -ENOTBLK for anything else.
 */
int r3_btrfs_dev_file(const char *path, bool write,
		      struct r3_btrfs_dev **out);
/* A device over @len bytes at @bytes, which stay the caller's. */
int r3_btrfs_dev_mem(void *bytes, size_t len, struct r3_btrfs_dev **out);
void r3_btrfs_dev_close(struct r3_btrfs_dev *dev); /* NULL is fine */

/* ---- the volume ---------------------------------------------------------- */

struct r3_btrfs;

struct r3_btrfs_options {
	int super;	  /* 0: the best copy; 1 to 3: this one */
	int backup;	  /* 0: the current roots; 1 to 4: this backup */
	bool ignore_csum; /* for fuzzing: a checksum that does not match is
			     taken as right */
	size_t cache_bytes; /* of tree blocks; 0: 64 MiB */
};

/**
 * r3_btrfs_open() - open a volume for reading
 * @dev:  stays the caller's, and must outlive the volume
 * @opts: or NULL
 * @why:  filled on failure
 * Return: 0, -EINVAL (no Btrfs there), -EIO, -EUCLEAN (damaged),
 * -EOPNOTSUPP (several devices, RAID, zones, unknown features, a log tree),
 * -ENOMEM.
 */
int r3_btrfs_open(struct r3_btrfs_dev *dev,
		  const struct r3_btrfs_options *opts, struct r3_btrfs **out,
		  struct r3_btrfs_why *why);
void r3_btrfs_close(struct r3_btrfs *fs); /* NULL is fine */
/* Why the last call on @fs failed. */
const char *r3_btrfs_why(const struct r3_btrfs *fs);

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

/* An inode is known by its subvolume and its number there. */
struct r3_btrfs_inode {
	uint64_t subvol, ino;
};

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
 *         symbolic links are not followed
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
	uint8_t compression;	 /* 0, 1 zlib, 2 lzo, 3 zstd */
	bool prealloc, is_inline;
};

/* Every extent and hole from 0 to the file's size, in order. */
int r3_btrfs_each_extent(struct r3_btrfs *fs, struct r3_btrfs_inode in,
			 int (*each)(void *arg,
				     const struct r3_btrfs_extent *extent),
			 void *arg);

/**
 * r3_btrfs_read() - read from a file
 * @got: bytes read; less than @len only at the end of the file
 *
 * Data is compared with its checksums; the other copy is used when one is bad.
 * Return: 0, -EISDIR, -EIO (the text names file offset and block), or damage.
 */
int r3_btrfs_read(struct r3_btrfs *fs, struct r3_btrfs_inode in, uint64_t off,
		  void *buf, size_t len, size_t *got);

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
	void (*progress)(void *arg, uint64_t bytes); /* of stream; or NULL */
	void *arg;
};

/**
 * r3_btrfs_send() - write a read-only subvolume as a stream
 *
 * Data that is sent and that the subvolume holds twice (reflinks) is sent once;
 * preallocation is not sent, and what became a hole since the parent is sent as
 * zeros.
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

#endif
