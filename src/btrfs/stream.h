/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h - the send stream on the wire, and its parser
 *
 *	"btrfs-stream\0" le32 version
 *	{ le32 len, le16 command, le32 crc } attributes[len]   ... until END
 *	attribute: { le16 type, le16 len } bytes[len]
 *
 * From version 2 on, DATA has no length: it is the rest of its command.
 * Source: fs/btrfs/send.h, dev-send-stream.rst.
 */
#ifndef BTRFS_STREAM_H
#define BTRFS_STREAM_H

#include "priv.h"

#define BTRFS_STREAM_MAGIC "btrfs-stream" /* with its NUL */
enum {
	BTRFS_STREAM_VERSION_MAX = 3,
	BTRFS_STREAM_CMD_MAX = 1 << 20, /* bytes of one command */
	BTRFS_STREAM_DATA_V1 = 48 * 1024, /* what the kernel puts in a WRITE */
	BTRFS_STREAM_READ = 256 * 1024, /* bytes asked of the input at once */
	BTRFS_STREAM_BUF = BTRFS_STREAM_CMD_MAX + BTRFS_STREAM_READ,
};

struct btrfs_stream_head {
	uint8_t magic[13];
	r3_le32 version;
};
static_assert(sizeof(struct btrfs_stream_head) == 17, "wire size");

struct btrfs_cmd_head {
	r3_le32 len; /* of what follows this head */
	r3_le16 cmd;
	r3_le32 crc; /* raw crc32c of head and body, with this field 0 */
};
static_assert(sizeof(struct btrfs_cmd_head) == 10, "wire size");

struct btrfs_tlv {
	r3_le16 type;
	r3_le16 len;
};
static_assert(sizeof(struct btrfs_tlv) == 4, "wire size");

enum btrfs_send_cmd {
	BTRFS_SEND_SUBVOL = 1, BTRFS_SEND_SNAPSHOT, BTRFS_SEND_MKFILE,
	BTRFS_SEND_MKDIR, BTRFS_SEND_MKNOD, BTRFS_SEND_MKFIFO,
	BTRFS_SEND_MKSOCK, BTRFS_SEND_SYMLINK, BTRFS_SEND_RENAME,
	BTRFS_SEND_LINK, BTRFS_SEND_UNLINK, BTRFS_SEND_RMDIR,
	BTRFS_SEND_SET_XATTR, BTRFS_SEND_REMOVE_XATTR, BTRFS_SEND_WRITE,
	BTRFS_SEND_CLONE, BTRFS_SEND_TRUNCATE, BTRFS_SEND_CHMOD,
	BTRFS_SEND_CHOWN, BTRFS_SEND_UTIMES, BTRFS_SEND_END,
	BTRFS_SEND_UPDATE_EXTENT, BTRFS_SEND_FALLOCATE, BTRFS_SEND_FILEATTR,
	BTRFS_SEND_ENCODED_WRITE, BTRFS_SEND_ENABLE_VERITY,
	BTRFS_SEND_CMDS
};

enum btrfs_send_attr {
	BTRFS_A_UUID = 1, BTRFS_A_CTRANSID, BTRFS_A_INO, BTRFS_A_SIZE,
	BTRFS_A_MODE, BTRFS_A_UID, BTRFS_A_GID, BTRFS_A_RDEV, BTRFS_A_CTIME,
	BTRFS_A_MTIME, BTRFS_A_ATIME, BTRFS_A_OTIME, BTRFS_A_XATTR_NAME,
	BTRFS_A_XATTR_DATA, BTRFS_A_PATH, BTRFS_A_PATH_TO, BTRFS_A_PATH_LINK,
	BTRFS_A_FILE_OFFSET, BTRFS_A_DATA, BTRFS_A_CLONE_UUID,
	BTRFS_A_CLONE_CTRANSID, BTRFS_A_CLONE_PATH, BTRFS_A_CLONE_OFFSET,
	BTRFS_A_CLONE_LEN, BTRFS_A_FALLOCATE_MODE, BTRFS_A_FILEATTR,
	BTRFS_A_UNENCODED_FILE_LEN, BTRFS_A_UNENCODED_LEN,
	BTRFS_A_UNENCODED_OFFSET, BTRFS_A_COMPRESSION, BTRFS_A_ENCRYPTION,
	BTRFS_A_VERITY_ALGORITHM, BTRFS_A_VERITY_BLOCK_SIZE,
	BTRFS_A_VERITY_SALT, BTRFS_A_VERITY_SIG,
	BTRFS_A_COUNT
};

/* One command, checked: every attribute that it needs is there and has a
 * length that fits its kind.  Points into the stream's buffer. */
struct btrfs_stream_cmd {
	enum btrfs_send_cmd cmd;
	uint64_t at; /* of the command in the stream */
	struct r3_span attr[BTRFS_A_COUNT]; /* p NULL: not given */
};

struct btrfs_stream {
	FILE *in;
	uint32_t version;
	uint64_t at; /* bytes read */
	bool inside; /* between a head and its END */
	uint8_t *buf; /* BTRFS_STREAM_BUF */
	size_t from, to; /* what is in it and was not taken */
	struct r3_btrfs_why *why;
};

int btrfs_stream_open(struct btrfs_stream *s, FILE *in,
		      struct r3_btrfs_why *why);
void btrfs_stream_close(struct btrfs_stream *s);
/* The next command; -ENODATA when the input ends after an END.  A second
 * stream may follow the first: its head is read on the way. */
int btrfs_stream_next(struct btrfs_stream *s, struct btrfs_stream_cmd *out);
const char *btrfs_stream_cmd_name(enum btrfs_send_cmd cmd);

#endif
