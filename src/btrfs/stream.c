// SPDX-License-Identifier: GPL-2.0-or-later
/* stream.c - parse a send stream, and print it */
#include <stdarg.h>
#include <stdlib.h>

#include "print.h"
#include "stream.h"

enum kind { KIND_U64, KIND_U32, KIND_U8, KIND_UUID, KIND_TIME, KIND_NAME,
	    KIND_DATA };

static const struct {
	const char *name;
	enum kind kind;
} attrs[BTRFS_A_COUNT] = {
	[BTRFS_A_UUID] = { "uuid", KIND_UUID },
	[BTRFS_A_CTRANSID] = { "ctransid", KIND_U64 },
	[BTRFS_A_INO] = { "ino", KIND_U64 },
	[BTRFS_A_SIZE] = { "size", KIND_U64 },
	[BTRFS_A_MODE] = { "mode", KIND_U64 },
	[BTRFS_A_UID] = { "uid", KIND_U64 },
	[BTRFS_A_GID] = { "gid", KIND_U64 },
	[BTRFS_A_RDEV] = { "rdev", KIND_U64 },
	[BTRFS_A_CTIME] = { "ctime", KIND_TIME },
	[BTRFS_A_MTIME] = { "mtime", KIND_TIME },
	[BTRFS_A_ATIME] = { "atime", KIND_TIME },
	[BTRFS_A_OTIME] = { "otime", KIND_TIME },
	[BTRFS_A_XATTR_NAME] = { "xattr_name", KIND_NAME },
	[BTRFS_A_XATTR_DATA] = { "xattr_data", KIND_DATA },
	[BTRFS_A_PATH] = { "path", KIND_NAME },
	[BTRFS_A_PATH_TO] = { "path_to", KIND_NAME },
	[BTRFS_A_PATH_LINK] = { "path_link", KIND_NAME },
	[BTRFS_A_FILE_OFFSET] = { "file_offset", KIND_U64 },
	[BTRFS_A_DATA] = { "data", KIND_DATA },
	[BTRFS_A_CLONE_UUID] = { "clone_uuid", KIND_UUID },
	[BTRFS_A_CLONE_CTRANSID] = { "clone_ctransid", KIND_U64 },
	[BTRFS_A_CLONE_PATH] = { "clone_path", KIND_NAME },
	[BTRFS_A_CLONE_OFFSET] = { "clone_offset", KIND_U64 },
	[BTRFS_A_CLONE_LEN] = { "clone_len", KIND_U64 },
	[BTRFS_A_FALLOCATE_MODE] = { "fallocate_mode", KIND_U32 },
	[BTRFS_A_FILEATTR] = { "fileattr", KIND_U64 },
	[BTRFS_A_UNENCODED_FILE_LEN] = { "unencoded_file_len", KIND_U64 },
	[BTRFS_A_UNENCODED_LEN] = { "unencoded_len", KIND_U64 },
	[BTRFS_A_UNENCODED_OFFSET] = { "unencoded_offset", KIND_U64 },
	[BTRFS_A_COMPRESSION] = { "compression", KIND_U32 },
	[BTRFS_A_ENCRYPTION] = { "encryption", KIND_U32 },
	[BTRFS_A_VERITY_ALGORITHM] = { "verity_algorithm", KIND_U8 },
	[BTRFS_A_VERITY_BLOCK_SIZE] = { "verity_block_size", KIND_U32 },
	[BTRFS_A_VERITY_SALT] = { "verity_salt", KIND_DATA },
	[BTRFS_A_VERITY_SIG] = { "verity_signature", KIND_DATA },
};

#define A(x) (UINT64_C(1) << BTRFS_A_##x)
static const struct {
	const char *name;
	uint64_t needs;
	uint32_t version; /* the first that has it */
} cmds[BTRFS_SEND_CMDS] = {
	[BTRFS_SEND_SUBVOL] = { "subvol", A(PATH) | A(UUID) | A(CTRANSID), 1 },
	[BTRFS_SEND_SNAPSHOT] = { "snapshot", A(PATH) | A(UUID) | A(CTRANSID) |
				  A(CLONE_UUID) | A(CLONE_CTRANSID), 1 },
	[BTRFS_SEND_MKFILE] = { "mkfile", A(PATH), 1 },
	[BTRFS_SEND_MKDIR] = { "mkdir", A(PATH), 1 },
	[BTRFS_SEND_MKNOD] = { "mknod", A(PATH) | A(MODE) | A(RDEV), 1 },
	[BTRFS_SEND_MKFIFO] = { "mkfifo", A(PATH), 1 },
	[BTRFS_SEND_MKSOCK] = { "mksock", A(PATH), 1 },
	[BTRFS_SEND_SYMLINK] = { "symlink", A(PATH) | A(PATH_LINK), 1 },
	[BTRFS_SEND_RENAME] = { "rename", A(PATH) | A(PATH_TO), 1 },
	[BTRFS_SEND_LINK] = { "link", A(PATH) | A(PATH_LINK), 1 },
	[BTRFS_SEND_UNLINK] = { "unlink", A(PATH), 1 },
	[BTRFS_SEND_RMDIR] = { "rmdir", A(PATH), 1 },
	[BTRFS_SEND_SET_XATTR] = { "set_xattr", A(PATH) | A(XATTR_NAME) |
				   A(XATTR_DATA), 1 },
	[BTRFS_SEND_REMOVE_XATTR] = { "remove_xattr",
				      A(PATH) | A(XATTR_NAME), 1 },
	[BTRFS_SEND_WRITE] = { "write", A(PATH) | A(FILE_OFFSET) | A(DATA), 1 },
	[BTRFS_SEND_CLONE] = { "clone", A(PATH) | A(FILE_OFFSET) |
			       A(CLONE_LEN) | A(CLONE_UUID) |
			       A(CLONE_CTRANSID) | A(CLONE_PATH) |
			       A(CLONE_OFFSET), 1 },
	[BTRFS_SEND_TRUNCATE] = { "truncate", A(PATH) | A(SIZE), 1 },
	[BTRFS_SEND_CHMOD] = { "chmod", A(PATH) | A(MODE), 1 },
	[BTRFS_SEND_CHOWN] = { "chown", A(PATH) | A(UID) | A(GID), 1 },
	[BTRFS_SEND_UTIMES] = { "utimes", A(PATH) | A(ATIME) | A(MTIME) |
				A(CTIME), 1 },
	[BTRFS_SEND_END] = { "end", 0, 1 },
	[BTRFS_SEND_UPDATE_EXTENT] = { "update_extent", A(PATH) |
				       A(FILE_OFFSET) | A(SIZE), 1 },
	[BTRFS_SEND_FALLOCATE] = { "fallocate", A(PATH) | A(FALLOCATE_MODE) |
				   A(FILE_OFFSET) | A(SIZE), 2 },
	[BTRFS_SEND_FILEATTR] = { "fileattr", A(PATH) | A(FILEATTR), 2 },
	[BTRFS_SEND_ENCODED_WRITE] = { "encoded_write", A(PATH) |
				       A(FILE_OFFSET) | A(UNENCODED_FILE_LEN) |
				       A(UNENCODED_LEN) | A(UNENCODED_OFFSET) |
				       A(DATA), 2 },
	[BTRFS_SEND_ENABLE_VERITY] = { "enable_verity", A(PATH) |
				       A(VERITY_ALGORITHM) |
				       A(VERITY_BLOCK_SIZE), 3 },
};

const char *btrfs_stream_cmd_name(enum btrfs_send_cmd cmd)
{
	return cmds[cmd].name;
}

static int fail(struct btrfs_stream *s, int err, const char *fmt, ...)
	R3_PRINTF(3, 4);

static int fail(struct btrfs_stream *s, int err, const char *fmt, ...)
{
	int n = snprintf(s->why->text, sizeof(s->why->text), "byte %llu: ",
			 (unsigned long long)s->at);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why->text + n, sizeof(s->why->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* What is there moves to the front, and more comes behind it. */
static void fill(struct btrfs_stream *s, size_t want)
{
	size_t have = s->to - s->from;

	memmove(s->buf, s->buf + s->from, have);
	s->from = 0;
	s->to = have;
	while (s->to < want) {
		size_t n = fread(s->buf + s->to, 1, BTRFS_STREAM_READ, s->in);

		s->to += n;
		if (n < BTRFS_STREAM_READ)
			break;
	}
}

/* All of @len, up to BTRFS_STREAM_CMD_MAX, which stay in the buffer until more
 * is taken; -ENODATA at the clean end of the input, if @may_end. */
static int take(struct btrfs_stream *s, size_t len, bool may_end,
		const void **out)
{
	size_t have;

	if (s->to - s->from < len)
		fill(s, len);
	have = s->to - s->from;
	if (have >= len) {
		*out = s->buf + s->from;
		s->from += len;
		s->at += len;
		return 0;
	}
	if (ferror(s->in))
		return fail(s, -EIO, "reading: %s", strerror(errno));
	if (!have && may_end)
		return -ENODATA;
	s->at += have;
	return fail(s, -EPROTO, "the stream is cut off");
}

static int read_head(struct btrfs_stream *s, bool may_end)
{
	const struct btrfs_stream_head *h;
	const void *p;
	int err = take(s, sizeof(*h), may_end, &p);

	if (err)
		return err;
	h = p;
	if (memcmp(h->magic, BTRFS_STREAM_MAGIC, sizeof(h->magic)))
		return fail(s, -EPROTO, "not a send stream");
	s->version = le32(h->version);
	if (!s->version || s->version > BTRFS_STREAM_VERSION_MAX)
		return fail(s, -EOPNOTSUPP, "stream version %u; up to %u is "
			    "supported", s->version, BTRFS_STREAM_VERSION_MAX);
	s->inside = true;
	return 0;
}

int btrfs_stream_open(struct btrfs_stream *s, FILE *in,
		      struct r3_btrfs_why *why)
{
	int err;

	*s = (struct btrfs_stream){ .in = in, .why = why };
	s->buf = malloc(BTRFS_STREAM_BUF);
	err = s->buf ? read_head(s, false) : fail(s, -ENOMEM, "out of memory");
	if (err)
		btrfs_stream_close(s);
	return err;
}

void btrfs_stream_close(struct btrfs_stream *s)
{
	free(s->buf);
	s->buf = NULL;
}

static bool attr_len_fits(unsigned attr, size_t len)
{
	switch (attrs[attr].kind) {
	case KIND_U64:
		return len == 8;
	case KIND_U32:
		return len == 4;
	case KIND_U8:
		return len == 1;
	case KIND_UUID:
		return len == 16;
	case KIND_TIME:
		return len == 12;
	case KIND_NAME:
		return len <= R3_BTRFS_PATH_MAX;
	case KIND_DATA:
		return true;
	}
	return false;
}

static int one_attr(struct btrfs_stream *s, struct r3_span *body,
		    struct btrfs_stream_cmd *c)
{
	/* The length of DATA is left out from version 2 on. */
	const r3_le16 *type = r3_take(body, sizeof(*type));
	unsigned attr = type ? le16(*type) : 0;
	const r3_le16 *len;
	size_t n = body->len;

	if (!type || !attr || attr >= BTRFS_A_COUNT)
		return fail(s, -EPROTO, "%s: attribute %u",
			    cmds[c->cmd].name, attr);
	if (s->version < 2 || attr != BTRFS_A_DATA) {
		len = r3_take(body, sizeof(*len));
		if (!len || le16(*len) > body->len)
			return fail(s, -EPROTO, "%s: %s reaches past the "
				    "command", cmds[c->cmd].name,
				    attrs[attr].name);
		n = le16(*len);
	}
	if (!attr_len_fits(attr, n) || c->attr[attr].p)
		return fail(s, -EPROTO, "%s: %s of %zu bytes%s",
			    cmds[c->cmd].name, attrs[attr].name, n,
			    c->attr[attr].p ? " for the second time" : "");
	c->attr[attr].p = r3_take(body, n);
	c->attr[attr].len = n;
	return 0;
}

static int read_body(struct btrfs_stream *s, const struct btrfs_cmd_head *h,
		     struct btrfs_stream_cmd *c)
{
	struct btrfs_cmd_head zeroed = *h;
	struct r3_span body = { .len = le32(h->len) };
	const void *p;
	uint32_t crc;
	int err = take(s, body.len, false, &p);

	if (err)
		return err;
	body.p = p;
	zeroed.crc = to_le32(0);
	crc = btrfs_crc32c(0, &zeroed, sizeof(zeroed));
	crc = btrfs_crc32c(crc, p, body.len);
	if (crc != le32(h->crc))
		return fail(s, -EPROTO, "%s: the checksum does not match",
			    cmds[c->cmd].name);
	while (body.len && !err)
		err = one_attr(s, &body, c);
	for (unsigned i = 1; !err && i < BTRFS_A_COUNT; i++) {
		if (cmds[c->cmd].needs & UINT64_C(1) << i && !c->attr[i].p)
			err = fail(s, -EPROTO, "%s without %s",
				   cmds[c->cmd].name, attrs[i].name);
	}
	return err;
}

int btrfs_stream_next(struct btrfs_stream *s, struct btrfs_stream_cmd *out)
{
	struct btrfs_stream_cmd c = { 0 };
	struct btrfs_cmd_head h;
	const void *p;
	unsigned cmd;
	int err = s->inside ? 0 : read_head(s, true);

	if (err)
		return err;
	c.at = s->at;
	err = take(s, sizeof(h), false, &p);
	if (err)
		return err;
	memcpy(&h, p, sizeof(h));
	cmd = le16(h.cmd);
	if (!cmd || cmd >= BTRFS_SEND_CMDS || cmds[cmd].version > s->version)
		return fail(s, -EPROTO, "command %u is not in version %u", cmd,
			    s->version);
	c.cmd = cmd;
	if (le32(h.len) > BTRFS_STREAM_CMD_MAX)
		return fail(s, -EPROTO, "%s of %u bytes", cmds[cmd].name,
			    le32(h.len));
	err = read_body(s, &h, &c);
	if (err)
		return err;
	s->inside = cmd != BTRFS_SEND_END;
	*out = c;
	return 0;
}

static void print_attr(struct btrfs_print *p, unsigned attr, struct r3_span v)
{
	struct btrfs_field f = { attrs[attr].name, 0, 8 };

	switch (attrs[attr].kind) {
	case KIND_NAME:
		btrfs_print_bytes(p, f.name, v.p, v.len);
		return;
	case KIND_DATA:
		if (attr == BTRFS_A_XATTR_DATA)
			btrfs_print_bytes(p, f.name, v.p, v.len);
		else
			btrfs_print_u64(p, "data_len", v.len);
		return;
	case KIND_U32:
		f.kind = 4;
		break;
	case KIND_U8:
		f.kind = 1;
		break;
	case KIND_UUID:
		f.kind = PRINT_UUID;
		break;
	case KIND_TIME:
		f.kind = PRINT_TIME;
		break;
	case KIND_U64:
		if (attr == BTRFS_A_MODE) {
			r3_le64 mode;
			char text[24];

			memcpy(&mode, v.p, sizeof(mode));
			snprintf(text, sizeof(text), "0%llo",
				 (unsigned long long)le64(mode));
			btrfs_print_text(p, f.name, text);
			return;
		}
	}
	btrfs_print_fields(p, &f, 1, v.p, v.len);
}

static void print_cmd(const struct btrfs_stream_cmd *c, bool json, FILE *out)
{
	struct btrfs_print p;

	btrfs_print_open(&p, out, json);
	btrfs_print_text(&p, "command", cmds[c->cmd].name);
	if (c->attr[BTRFS_A_PATH].p)
		print_attr(&p, BTRFS_A_PATH, c->attr[BTRFS_A_PATH]);
	for (unsigned i = 1; i < BTRFS_A_COUNT; i++) {
		if (i != BTRFS_A_PATH && c->attr[i].p)
			print_attr(&p, i, c->attr[i]);
	}
	btrfs_print_close(&p);
}

int r3_btrfs_stream_dump(FILE *in, bool json, FILE *out,
			 struct r3_btrfs_why *why)
{
	struct btrfs_stream_cmd c;
	struct btrfs_stream s;
	int err = btrfs_stream_open(&s, in, why);

	if (err)
		return err;
	while (!(err = btrfs_stream_next(&s, &c)))
		print_cmd(&c, json, out);
	btrfs_stream_close(&s);
	return err == -ENODATA ? 0 : err;
}
