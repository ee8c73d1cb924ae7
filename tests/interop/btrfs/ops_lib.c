// SPDX-License-Identifier: GPL-2.0-or-later
/* ops_lib.c - the operations through ring3's library; a picture of a volume */
#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "ops.h"
#include "ring3/btrfs.h"

/* The directory and the name in it. */
static int parent(struct r3_btrfs *fs, const char *path,
		  struct r3_btrfs_inode *dir, const char **name)
{
	const char *slash = strrchr(path, '/');
	char up[OPS_PATH_MAX] = "/";

	*name = slash ? slash + 1 : path;
	if (slash)
		snprintf(up, sizeof(up), "%.*s", (int)(slash - path), path);
	return r3_btrfs_lookup(fs, up, dir);
}

static int make(struct r3_btrfs *fs, const struct op *op, mode_t mode)
{
	struct r3_btrfs_new what = { .mode = mode, .target = "where/it/leads" };
	struct r3_btrfs_inode dir, in;
	const char *name;
	int err = parent(fs, op->path, &dir, &name);

	return err ? err : r3_btrfs_make(fs, dir, name, strlen(name), &what,
					 &in);
}

static int two(struct r3_btrfs *fs, const struct op *op)
{
	struct r3_btrfs_inode in, dir, to;
	const char *name, *other;
	int err = parent(fs, op->path, &dir, &name);

	if (!err)
		err = parent(fs, op->other, &to, &other);
	if (!err)
		err = r3_btrfs_lookup(fs, op->path, &in);
	if (err)
		return err;
	switch (op->kind) {
	case OP_LINK:
		return r3_btrfs_link(fs, in, to, other, strlen(other));
	case OP_RENAME:
	case OP_EXCHANGE:
		return r3_btrfs_rename(fs, dir, name, strlen(name), to, other,
				       strlen(other), op->kind == OP_EXCHANGE
					       ? RENAME_EXCHANGE : 0);
	default:
		return r3_btrfs_snapshot(fs, in.subvol, to, other,
					 strlen(other),
					 op->kind == OP_SNAPSHOT_RO, NULL,
					 &(uint64_t){ 0 });
	}
}

static int one_name(struct r3_btrfs *fs, const struct op *op)
{
	struct r3_btrfs_inode dir, in;
	const char *name;
	uint64_t id;
	int err = parent(fs, op->path, &dir, &name);

	if (err)
		return err;
	switch (op->kind) {
	case OP_UNLINK:
		return r3_btrfs_unlink(fs, dir, name, strlen(name));
	case OP_RMDIR:
		return r3_btrfs_rmdir(fs, dir, name, strlen(name));
	case OP_SUBVOL:
		return r3_btrfs_subvol_create(fs, dir, name, strlen(name),
					      NULL, &id);
	default:
		err = r3_btrfs_lookup(fs, op->path, &in);
		return err ? err : r3_btrfs_subvol_delete(fs, in.subvol);
	}
}

static int change_attr(struct r3_btrfs *fs, const struct op *op)
{
	struct r3_btrfs_attr a = {
		.set = op->kind == OP_CHMOD ? R3_BTRFS_SET_MODE
			: R3_BTRFS_SET_UID | R3_BTRFS_SET_GID,
		.mode = op->number & 0777,
		.uid = op->number, .gid = op->number / 2,
	};
	struct r3_btrfs_inode in;
	int err = r3_btrfs_lookup(fs, op->path, &in);

	return err ? err : r3_btrfs_setattr(fs, in, &a);
}

static int change_file(struct r3_btrfs *fs, const struct op *op,
		       const uint8_t *data)
{
	struct r3_btrfs_inode in, to;
	char name[16];
	int err = r3_btrfs_lookup(fs, op->path, &in);

	if (err)
		return err;
	snprintf(name, sizeof(name), "user.%u", op->number);
	switch (op->kind) {
	case OP_WRITE:
		return r3_btrfs_write(fs, in, op->off, data, op->len);
	case OP_TRUNCATE:
		return r3_btrfs_truncate(fs, in, op->off);
	case OP_ALLOCATE:
		return r3_btrfs_fallocate(fs, in, 0, op->off, op->len);
	case OP_PUNCH:
		return r3_btrfs_fallocate(fs, in, FALLOC_FL_PUNCH_HOLE |
					  FALLOC_FL_KEEP_SIZE, op->off,
					  op->len);
	case OP_ZERO:
		return r3_btrfs_fallocate(fs, in, FALLOC_FL_ZERO_RANGE,
					  op->off, op->len);
	case OP_SETXATTR:
		return r3_btrfs_setxattr(fs, in, name, strlen(name), data,
					 op->len, 0);
	case OP_REMOVEXATTR:
		return r3_btrfs_removexattr(fs, in, name, strlen(name));
	default:
		err = r3_btrfs_lookup(fs, op->other, &to);
		return err ? err : r3_btrfs_clone(fs, in, op->off, op->len,
						  to, op->other_off);
	}
}

static int run(struct ops_target *t, const struct op *op, const uint8_t *data)
{
	struct r3_btrfs *fs = R3_CONTAINER(t, struct ops_lib, target)->fs;

	switch (op->kind) {
	case OP_FILE:
		return make(fs, op, S_IFREG | 0644);
	case OP_DIR:
		return make(fs, op, S_IFDIR | 0755);
	case OP_SYMLINK:
		return make(fs, op, S_IFLNK | 0777);
	case OP_FIFO:
		return make(fs, op, S_IFIFO | 0600);
	case OP_LINK:
	case OP_RENAME:
	case OP_EXCHANGE:
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_RO:
		return two(fs, op);
	case OP_UNLINK:
	case OP_RMDIR:
	case OP_SUBVOL:
	case OP_DELETE:
		return one_name(fs, op);
	case OP_CHMOD:
	case OP_CHOWN:
		return change_attr(fs, op);
	case OP_SYNC:
		return r3_btrfs_sync(fs);
	default:
		return change_file(fs, op, data);
	}
}

void ops_lib_init(struct ops_lib *l, struct r3_btrfs *fs)
{
	l->target.run = run;
	l->fs = fs;
}

/* ---- a picture ------------------------------------------------------------*/

struct picture {
	struct r3_btrfs *fs;
	FILE *out;
	uint8_t *buf;
	int depth;
};

enum { DEPTH_MAX = 200, BUF = 1 << 20 };

static int draw_inode(struct picture *p, struct r3_btrfs_inode in);

static int entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct picture *p = arg;

	fprintf(p->out, "%*s%s: type %u", p->depth, "", e->name, e->type);
	if (e->stub) {
		fprintf(p->out, "\n");
		return 0;
	}
	return draw_inode(p, e->in);
}

static int xattr(void *arg, const char *name, size_t name_len,
		 const void *value, size_t len)
{
	struct picture *p = arg;

	fprintf(p->out, " %.*s=%llx", (int)name_len, name,
		(unsigned long long)XXH64(value, len, 0));
	return 0;
}

static int draw_data(struct picture *p, struct r3_btrfs_inode in)
{
	uint64_t off = 0;
	size_t got;
	int err;

	fprintf(p->out, " data");
	do {
		err = r3_btrfs_read(p->fs, in, off, p->buf, BUF, &got);
		if (!err && got)
			fprintf(p->out, " %llx", (unsigned long long)
				XXH64(p->buf, got, 0));
		off += got;
	} while (!err && got == BUF);
	return err;
}

static int draw_inode(struct picture *p, struct r3_btrfs_inode in)
{
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(p->fs, in, &st);

	if (err)
		return err;
	fprintf(p->out, " %llu/%llu mode %o uid %u nlink %u size %lld mtime "
		"%lld.%09ld", (unsigned long long)in.subvol,
		(unsigned long long)in.ino, st.st.st_mode, st.st.st_uid,
		(unsigned)st.st.st_nlink, (long long)st.st.st_size,
		(long long)st.st.st_mtim.tv_sec, st.st.st_mtim.tv_nsec);
	err = r3_btrfs_each_xattr(p->fs, in, xattr, p);
	if (!err && S_ISREG(st.st.st_mode))
		err = draw_data(p, in);
	fprintf(p->out, "\n");
	if (!err && S_ISDIR(st.st.st_mode) && p->depth < DEPTH_MAX) {
		p->depth++;
		err = r3_btrfs_each_entry(p->fs, in, 0, entry, p);
		p->depth--;
	}
	return err;
}

int ops_lib_picture(struct r3_btrfs *fs, char **out)
{
	size_t len;
	struct picture p = { .fs = fs, .out = open_memstream(out, &len),
			     .buf = malloc(BUF) };
	int err;

	fprintf(p.out, "/: type %u", DT_DIR);
	err = draw_inode(&p, (struct r3_btrfs_inode){ R3_BTRFS_TOP,
						      R3_BTRFS_ROOT_INO });
	fclose(p.out);
	free(p.buf);
	return err;
}
