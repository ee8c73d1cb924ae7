// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send.c - a subvolume as a send stream
 *
 * Directories are made before what is in them and get their times after it;
 * a file gets its data, then its owner, mode and xattrs (a change of owner
 * takes the set-user-id bit and capabilities away), then its times.
 */
#include <dirent.h>

#include "send.h"

/* ---- commands -------------------------------------------------------------*/

void send_begin(struct send *s, enum btrfs_send_cmd cmd)
{
	struct btrfs_cmd_head *h = (void *)s->buf;

	h->cmd = to_le16((uint16_t)cmd);
	h->crc = to_le32(0);
	s->len = sizeof(*h);
}

void send_put(struct send *s, enum btrfs_send_attr attr, const void *data,
		size_t len)
{
	struct btrfs_tlv tlv = { to_le16((uint16_t)attr),
				 to_le16((uint16_t)len) };

	memcpy(s->buf + s->len, &tlv, sizeof(tlv));
	if (len)
		memcpy(s->buf + s->len + sizeof(tlv), data, len);
	s->len += sizeof(tlv) + len;
}

void send_put_u64(struct send *s, enum btrfs_send_attr attr, uint64_t v)
{
	r3_le64 n = to_le64(v);

	send_put(s, attr, &n, sizeof(n));
}

static void send_put_time(struct send *s, enum btrfs_send_attr attr,
		     struct timespec t)
{
	struct btrfs_disk_time d = { to_le64((uint64_t)t.tv_sec),
				     to_le32((uint32_t)t.tv_nsec) };

	send_put(s, attr, &d, sizeof(d));
}

void send_put_path(struct send *s)
{
	send_put(s, BTRFS_A_PATH, s->path, strlen(s->path));
}

uint8_t *send_data_room(struct send *s, size_t len)
{
	struct btrfs_tlv tlv = { to_le16(BTRFS_A_DATA),
				 to_le16((uint16_t)len) };
	size_t head = s->proto > 1 ? sizeof(tlv.type) : sizeof(tlv);

	memcpy(s->buf + s->len, &tlv, head);
	s->len += head + len;
	return s->buf + s->len - len;
}

int send_end(struct send *s)
{
	struct btrfs_cmd_head *h = (void *)s->buf;

	h->len = to_le32((uint32_t)(s->len - sizeof(*h)));
	h->crc = to_le32(btrfs_crc32c(0, s->buf, s->len));
	if (fwrite(s->buf, 1, s->len, s->out) != s->len)
		return btrfs_fail(s->fs, errno ? -errno : -EIO,
				  "writing the stream: %s", strerror(errno));
	s->bytes += s->len;
	if (s->opts->progress)
		s->opts->progress(s->opts->arg, s->bytes);
	return 0;
}

int send_no_memory(struct send *s)
{
	return btrfs_fail(s->fs, -ENOMEM, "out of memory");
}

/* ---- what was sent --------------------------------------------------------*/

static struct known *table_slot(const struct known *p, size_t room,
				uint64_t key, uint64_t offset)
{
	uint64_t h = (key ^ offset << 44 ^ offset >> 20) *
		     UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (h >> 20) & (room - 1);

	while (p[at].path && (p[at].key != key || p[at].offset != offset))
		at = (at + 1) & (room - 1);
	return (struct known *)&p[at];
}

struct known *send_table_find(struct table *t, uint64_t key,
				uint64_t offset)
{
	struct known *k = t->n ? table_slot(t->p, t->room, key, offset) : NULL;

	return k && k->path ? k : NULL;
}

bool send_table_add(struct table *t, struct known k)
{
	if (t->n * 2 >= t->room) {
		size_t room = t->room ? t->room * 2 : 1024;
		struct known *p = calloc(room, sizeof(*p));

		if (!p)
			return false;
		for (size_t i = 0; i < t->room; i++) {
			if (t->p[i].path)
				*table_slot(p, room, t->p[i].key,
					    t->p[i].offset) = t->p[i];
		}
		free(t->p);
		t->p = p;
		t->room = room;
	}
	*table_slot(t->p, t->room, k.key, k.offset) = k;
	t->n++;
	return true;
}

/* The current path, kept; 0 when memory is out. */
size_t send_keep_path(struct send *s)
{
	size_t len = strlen(s->path) + 1;

	if (s->path_at)
		return s->path_at;
	if (!s->text.n && !vec_push(&s->text, 0))
		return 0; /* so that 0 is no path */
	s->path_at = s->text.n;
	for (size_t i = 0; i < len; i++) {
		if (!vec_push(&s->text, s->path[i]))
			return s->path_at = 0;
	}
	return s->path_at;
}

/* ---- inodes ---------------------------------------------------------------*/

static int send_xattr(void *arg, const char *name, size_t name_len,
		      const void *value, size_t len)
{
	struct send *s = arg;
	bool early = name_len > 6 && !memcmp(name, "btrfs.", 6);

	if (early != s->early)
		return 0;
	send_begin(s, BTRFS_SEND_SET_XATTR);
	send_put_path(s);
	send_put(s, BTRFS_A_XATTR_NAME, name, name_len);
	send_put(s, BTRFS_A_XATTR_DATA, value, len);
	return send_end(s);
}

int send_xattrs(struct send *s, bool early)
{
	s->early = early;
	return r3_btrfs_each_xattr(s->fs, s->in, send_xattr, s);
}

int send_times(struct send *s, const struct r3_btrfs_stat *st)
{
	send_begin(s, BTRFS_SEND_UTIMES);
	send_put_path(s);
	send_put_time(s, BTRFS_A_ATIME, st->st.st_atim);
	send_put_time(s, BTRFS_A_MTIME, st->st.st_mtim);
	send_put_time(s, BTRFS_A_CTIME, st->st.st_ctim);
	if (s->proto > 1)
		send_put_time(s, BTRFS_A_OTIME, st->otime);
	return send_end(s);
}

/* Owner, mode, xattrs. */
int send_attrs(struct send *s, const struct r3_btrfs_stat *st)
{
	int err;

	send_begin(s, BTRFS_SEND_CHOWN);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_UID, st->st.st_uid);
	send_put_u64(s, BTRFS_A_GID, st->st.st_gid);
	err = send_end(s);
	if (!err && !S_ISLNK(st->st.st_mode)) {
		send_begin(s, BTRFS_SEND_CHMOD);
		send_put_path(s);
		send_put_u64(s, BTRFS_A_MODE, st->st.st_mode & 07777);
		err = send_end(s);
	}
	return err ? err : send_xattrs(s, false);
}

int send_make(struct send *s, const struct r3_btrfs_stat *st)
{
	char target[R3_BTRFS_PATH_MAX];
	mode_t mode = st->st.st_mode;
	int err;

	send_begin(s, S_ISDIR(mode) ? BTRFS_SEND_MKDIR :
		 S_ISREG(mode) ? BTRFS_SEND_MKFILE :
		 S_ISLNK(mode) ? BTRFS_SEND_SYMLINK :
		 S_ISFIFO(mode) ? BTRFS_SEND_MKFIFO :
		 S_ISSOCK(mode) ? BTRFS_SEND_MKSOCK : BTRFS_SEND_MKNOD);
	send_put_path(s);
	send_put_u64(s, BTRFS_A_INO, s->in.ino);
	if (S_ISLNK(mode)) {
		err = r3_btrfs_readlink(s->fs, s->in, target);
		if (err)
			return err;
		send_put(s, BTRFS_A_PATH_LINK, target, strlen(target));
	} else if (!S_ISDIR(mode) && !S_ISREG(mode)) {
		/* as the kernel encodes a device for user space */
		uint64_t major = st->rdev >> 20, minor = st->rdev & 0xfffff;

		send_put_u64(s, BTRFS_A_RDEV, (minor & 0xff) | major << 8 |
			(minor & ~UINT64_C(0xff)) << 12);
		send_put_u64(s, BTRFS_A_MODE, mode);
	}
	return send_end(s);
}

/* A further name of a file that was sent. */
int send_link(struct send *s, const struct known *k)
{
	const char *path = s->text.p + k->path;

	send_begin(s, BTRFS_SEND_LINK);
	send_put_path(s);
	send_put(s, BTRFS_A_PATH_LINK, path, strlen(path));
	return send_end(s);
}

static int send_entry(void *arg, const struct r3_btrfs_dirent *e);

static int send_inode(struct send *s, struct r3_btrfs_inode in)
{
	struct r3_btrfs_stat st;
	struct known *k;
	int err = r3_btrfs_stat(s->fs, in, &st);
	bool dir = S_ISDIR(st.st.st_mode);

	if (err)
		return err;
	s->in = in;
	s->path_at = 0;
	if (!dir && st.st.st_nlink > 1) {
		k = send_table_find(&s->inodes, in.ino, 0);
		if (k)
			return send_link(s, k);
		if (!send_keep_path(s) ||
		    !send_table_add(&s->inodes, (struct known){
				    .key = in.ino, .path = s->path_at }))
			return send_no_memory(s);
	}
	if (in.ino != R3_BTRFS_ROOT_INO)
		err = send_make(s, &st);
	if (!err)
		err = send_xattrs(s, true);
	if (!err && S_ISREG(st.st.st_mode))
		err = send_data(s, &st);
	if (!err)
		err = send_attrs(s, &st);
	if (!err && dir)
		err = r3_btrfs_each_entry(s->fs, in, 0, send_entry, s);
	return err ? err : send_times(s, &st);
}

static int send_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct send *s = arg;
	size_t len = strlen(s->path);
	int err;

	/* A subvolume in it is not part of it. */
	if (e->stub || e->in.subvol != s->subvol)
		return 0;
	if (s->depth == DEPTH_MAX || len + e->name_len + 2 > sizeof(s->path))
		return btrfs_fail(s->fs, -ENAMETOOLONG, "%s/%s: deeper than a "
				  "path can be", s->path, e->name);
	snprintf(s->path + len, sizeof(s->path) - len, "%s%s", len ? "/" : "",
		 e->name);
	s->depth++;
	err = send_inode(s, e->in);
	s->depth--;
	s->path[len] = 0;
	return err;
}

/* ---- the whole ------------------------------------------------------------*/

struct find {
	uint64_t id;
	bool found;
	struct r3_btrfs_subvol subvol;
};

static int find_subvol(void *arg, const struct r3_btrfs_subvol *v)
{
	struct find *f = arg;

	if (v->id == f->id && !v->dead) {
		f->found = true;
		f->subvol = *v;
	}
	return 0;
}

const uint8_t *send_stream_uuid(const struct r3_btrfs_subvol *v)
{
	static const uint8_t none[16];

	return memcmp(v->received_uuid, none, 16) ? v->received_uuid : v->uuid;
}

static int send_start(struct send *s, const struct r3_btrfs_subvol *v,
		      const struct r3_btrfs_subvol *parent)
{
	struct btrfs_stream_head h = { .version = to_le32(s->proto) };

	memcpy(h.magic, BTRFS_STREAM_MAGIC, sizeof(h.magic));
	if (fwrite(&h, sizeof(h), 1, s->out) != 1)
		return btrfs_fail(s->fs, errno ? -errno : -EIO,
				  "writing the stream: %s", strerror(errno));
	s->bytes = sizeof(h);
	s->ctransid = v->ctransid;
	memcpy(s->uuid, send_stream_uuid(v), 16);
	send_begin(s, parent ? BTRFS_SEND_SNAPSHOT : BTRFS_SEND_SUBVOL);
	send_put(s, BTRFS_A_PATH, v->name, strlen(v->name));
	send_put(s, BTRFS_A_UUID, s->uuid, sizeof(s->uuid));
	send_put_u64(s, BTRFS_A_CTRANSID, s->ctransid);
	if (parent) {
		send_put(s, BTRFS_A_CLONE_UUID, send_stream_uuid(parent), 16);
		send_put_u64(s, BTRFS_A_CLONE_CTRANSID, parent->ctransid);
	}
	return send_end(s);
}

static int send_all(struct send *s, const struct r3_btrfs_subvol *v,
		    const struct r3_btrfs_subvol *parent)
{
	struct r3_btrfs_inode root = { v->id, R3_BTRFS_ROOT_INO };
	int err;

	s->buf = malloc(HEAD_MAX + DATA_V2 + UINT16_MAX);
	if (!s->buf)
		return send_no_memory(s);
	err = send_start(s, v, parent);
	if (!err)
		err = parent ? send_difference(s, parent->id)
			     : send_inode(s, root);
	if (err)
		return err;
	send_begin(s, BTRFS_SEND_END);
	err = send_end(s);
	if (!err && fflush(s->out))
		err = btrfs_fail(s->fs, -errno, "writing the stream: %s",
				 strerror(errno));
	return err;
}

/* A subvolume that can't change while it is sent. */
static int find_readonly(struct r3_btrfs *fs, uint64_t id, struct find *f)
{
	int err;

	f->id = id;
	err = r3_btrfs_each_subvol(fs, find_subvol, f);
	if (err)
		return err;
	if (!f->found)
		return btrfs_fail(fs, -ENOENT, "there is no subvolume %llu",
				  (unsigned long long)id);
	if (!f->subvol.readonly)
		return btrfs_fail(fs, -EROFS, "subvolume %llu is not "
				  "read-only; send a read-only snapshot",
				  (unsigned long long)id);
	return 0;
}

static int add_sources(struct send *s, struct find *f)
{
	int err = s->opts->parent ? send_add_source(s, &f[1].subvol) : 0;

	for (unsigned i = 0; !err && i < s->opts->clone_count; i++) {
		f[2].found = false;
		err = find_readonly(s->fs, s->opts->clones[i], &f[2]);
		if (!err)
			err = send_add_source(s, &f[2].subvol);
	}
	return err;
}

int r3_btrfs_send(struct r3_btrfs *fs, uint64_t subvol,
		  const struct r3_btrfs_send_options *opts, FILE *out)
{
	struct send *s = calloc(1, sizeof(*s));
	struct find *f = calloc(3, sizeof(*f)); /* it, its parent, a clone */
	int err = s && f ? 0 : btrfs_fail(fs, -ENOMEM, "out of memory");

	if (!err) {
		*s = (struct send){ .fs = fs, .opts = opts, .out = out,
				    .subvol = subvol };
		s->proto = opts->proto ? opts->proto : 1;
		err = find_readonly(fs, subvol, &f[0]);
	}
	if (!err && opts->parent)
		err = find_readonly(fs, opts->parent, &f[1]);
	if (!err)
		err = add_sources(s, f);
	if (!err && (s->proto > 2 || (opts->compressed && s->proto < 2)))
		err = btrfs_fail(fs, -EINVAL, "compressed data needs version "
				 "2 of the stream");
	if (!err)
		err = send_all(s, &f[0].subvol,
			       opts->parent ? &f[1].subvol : NULL);
	if (s) {
		vec_free(&s->text);
		vec_free(&s->sources);
		vec_free(&s->holders);
		free(s->inodes.p);
		free(s->pieces.p);
		free(s->buf);
	}
	free(s);
	free(f);
	return err;
}
