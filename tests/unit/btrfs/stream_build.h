/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_build.h - send streams made by hand, as good or as bad as one likes
 *
 * Layout: dev-send-stream.rst of btrfs-progs; numbers are those of the page.
 */
#ifndef TEST_STREAM_BUILD_H
#define TEST_STREAM_BUILD_H

#include <errno.h>
#include <isa-l/crc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring3/btrfs.h"

enum { STREAM_MAX = 1 << 20 };

enum { /* commands */
	C_SUBVOL = 1, C_SNAPSHOT, C_MKFILE, C_MKDIR, C_MKNOD, C_MKFIFO,
	C_MKSOCK, C_SYMLINK, C_RENAME, C_LINK, C_UNLINK, C_RMDIR,
	C_SET_XATTR, C_REMOVE_XATTR, C_WRITE, C_CLONE, C_TRUNCATE, C_CHMOD,
	C_CHOWN, C_UTIMES, C_END, C_UPDATE_EXTENT, C_FALLOCATE, C_FILEATTR,
	C_ENCODED_WRITE, C_ENABLE_VERITY,
};

enum { /* attributes */
	T_UUID = 1, T_CTRANSID = 2, T_SIZE = 4, T_MODE = 5, T_UID = 6,
	T_GID = 7, T_RDEV = 8, T_CTIME = 9, T_MTIME = 10, T_ATIME = 11,
	T_XATTR_NAME = 13, T_XATTR_DATA = 14, T_PATH = 15, T_PATH_TO = 16,
	T_PATH_LINK = 17, T_FILE_OFFSET = 18, T_DATA = 19, T_CLONE_UUID = 20,
	T_CLONE_CTRANSID = 21, T_CLONE_PATH = 22, T_CLONE_OFFSET = 23,
	T_CLONE_LEN = 24, T_FALLOCATE_MODE = 25, T_UNENCODED_FILE_LEN = 27,
	T_UNENCODED_LEN = 28, T_UNENCODED_OFFSET = 29, T_COMPRESSION = 30,
	T_VERITY_ALGORITHM = 32, T_VERITY_BLOCK_SIZE = 33,
};

struct stream_build {
	uint8_t b[STREAM_MAX];
	size_t len, cmd; /* where the current command begins */
	uint32_t version;
};

static inline void sb_raw(struct stream_build *s, const void *p, size_t len)
{
	if (len > STREAM_MAX - s->len)
		abort();
	if (len)
		memcpy(s->b + s->len, p, len);
	s->len += len;
}

static inline void sb_head(struct stream_build *s, uint32_t version)
{
	sb_raw(s, "btrfs-stream", 13);
	sb_raw(s, &version, 4);
	s->version = version;
}

static inline void sb_cmd(struct stream_build *s, uint16_t cmd)
{
	s->cmd = s->len;
	sb_raw(s, "\0\0\0\0", 4);
	sb_raw(s, &cmd, 2);
	sb_raw(s, "\0\0\0\0", 4);
}

static inline void sb_put(struct stream_build *s, uint16_t type, const void *p,
			  size_t len)
{
	uint16_t n = (uint16_t)len;

	sb_raw(s, &type, 2);
	if (type != T_DATA || s->version < 2)
		sb_raw(s, &n, 2);
	sb_raw(s, p, len);
}

static inline void sb_str(struct stream_build *s, uint16_t type, const char *t)
{
	sb_put(s, type, t, strlen(t));
}

static inline void sb_u64(struct stream_build *s, uint16_t type, uint64_t v)
{
	sb_put(s, type, &v, 8);
}

static inline void sb_u32(struct stream_build *s, uint16_t type, uint32_t v)
{
	sb_put(s, type, &v, 4);
}

/* Length and checksum of the command that ends here. */
static inline void sb_end(struct stream_build *s)
{
	uint32_t len = (uint32_t)(s->len - s->cmd - 10), crc;

	memcpy(s->b + s->cmd, &len, 4);
	crc = crc32_iscsi(s->b + s->cmd, (int)(s->len - s->cmd), 0);
	memcpy(s->b + s->cmd + 6, &crc, 4);
}

/* A command with a path, and a second text. */
static inline void sb_path(struct stream_build *s, uint16_t cmd,
			   const char *path, uint16_t type, const char *text)
{
	sb_cmd(s, cmd);
	sb_str(s, T_PATH, path);
	if (text)
		sb_str(s, type, text);
	sb_end(s);
}

static inline void sb_subvol(struct stream_build *s, const char *name,
			     const void *uuid)
{
	sb_cmd(s, C_SUBVOL);
	sb_str(s, T_PATH, name);
	sb_put(s, T_UUID, uuid, 16);
	sb_u64(s, T_CTRANSID, 7);
	sb_end(s);
}

static inline void sb_snapshot(struct stream_build *s, const char *name,
			       const void *uuid, const void *parent)
{
	sb_cmd(s, C_SNAPSHOT);
	sb_str(s, T_PATH, name);
	sb_put(s, T_UUID, uuid, 16);
	sb_u64(s, T_CTRANSID, 8);
	sb_put(s, T_CLONE_UUID, parent, 16);
	sb_u64(s, T_CLONE_CTRANSID, 7);
	sb_end(s);
}

static inline void sb_write(struct stream_build *s, const char *path,
			    uint64_t off, const void *p, size_t len)
{
	sb_cmd(s, C_WRITE);
	sb_str(s, T_PATH, path);
	sb_u64(s, T_FILE_OFFSET, off);
	sb_put(s, T_DATA, p, len);
	sb_end(s);
}

static inline void sb_clone(struct stream_build *s, const char *path,
			    uint64_t off, uint64_t len, const void *uuid,
			    const char *from, uint64_t from_off)
{
	sb_cmd(s, C_CLONE);
	sb_str(s, T_PATH, path);
	sb_u64(s, T_FILE_OFFSET, off);
	sb_u64(s, T_CLONE_LEN, len);
	sb_put(s, T_CLONE_UUID, uuid, 16);
	sb_u64(s, T_CLONE_CTRANSID, 7);
	sb_str(s, T_CLONE_PATH, from);
	sb_u64(s, T_CLONE_OFFSET, from_off);
	sb_end(s);
}

/* Receive these bytes at the top; as r3_btrfs_receive(), or -ENOMEM. */
static inline int sb_receive(struct r3_btrfs *fs, const void *p, size_t len)
{
	const struct r3_btrfs_receive_options o = { 0 };
	FILE *in = fmemopen((void *)(uintptr_t)p, len, "r");
	int err;

	if (!in)
		return -ENOMEM;
	err = r3_btrfs_receive(fs, in, &o);
	fclose(in);
	return err;
}

#endif
