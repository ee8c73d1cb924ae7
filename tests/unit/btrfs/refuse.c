// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refuse.c - what include/ring3/btrfs.h says is refused, is, and has changed
 * nothing: a sync afterwards has nothing to write
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <cmocka.h>

#include "ring3/btrfs.h"

enum { DEVICE = 96 << 20, SECTOR = 4096, NODATASUM = 1 };

struct world {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	struct r3_btrfs_inode top, dir, full, f, nosum, fifo, sv, sv_f, ro,
		ro_f, outer;
	uint64_t sv_id, ro_id, outer_id, inner_id;
};

static void ok_(struct world *w, int err, const char *what)
{
	if (err)
		fail_msg("%s: %s (%s)", what, strerror(-err),
			 r3_btrfs_why(w->fs));
}
#define OK(call) ok_(w, call, #call)

static uint64_t generation(struct world *w)
{
	struct r3_btrfs_info info;

	OK(r3_btrfs_get_info(w->fs, &info));
	return info.generation;
}

static void refuse_(struct world *w, int want, int got, uint64_t before,
		    const char *what)
{
	if (got != want)
		fail_msg("%s: %s (%s), not %s", what, strerror(-got),
			 r3_btrfs_why(w->fs), strerror(-want));
	OK(r3_btrfs_sync(w->fs));
	if (generation(w) != before)
		fail_msg("%s: has changed something", what);
}
#define REFUSE(err, call)                                         \
	do {                                                      \
		uint64_t before_ = generation(w);                 \
		refuse_(w, -(err), call, before_, #call);         \
	} while (0)

/* ---- the volume ---------------------------------------------------------- */

static const struct r3_btrfs_new file = { .mode = S_IFREG | 0644 };
static const struct r3_btrfs_new dir = { .mode = S_IFDIR | 0755 };
static const struct r3_btrfs_new fifo = { .mode = S_IFIFO | 0644 };
static uint8_t data[5 * SECTOR];

static struct r3_btrfs_inode make(struct world *w, struct r3_btrfs_inode at,
				  const char *name,
				  const struct r3_btrfs_new *what)
{
	struct r3_btrfs_inode in;

	OK(r3_btrfs_make(w->fs, at, name, strlen(name), what, &in));
	return in;
}

static struct r3_btrfs_inode root_of(uint64_t subvol)
{
	return (struct r3_btrfs_inode){ subvol, R3_BTRFS_ROOT_INO };
}

/* Regular files have 2 extents and end in the middle of a sector. */
static void fill(struct world *w)
{
	const struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_FLAGS,
					 .flags = NODATASUM };

	w->top = root_of(R3_BTRFS_TOP);
	w->dir = make(w, w->top, "dir", &dir);
	w->full = make(w, w->top, "full", &dir);
	make(w, w->full, "x", &file);
	w->f = make(w, w->top, "f", &file);
	OK(r3_btrfs_write(w->fs, w->f, 0, data, 2 * SECTOR));
	OK(r3_btrfs_write(w->fs, w->f, 3 * SECTOR, data, SECTOR + 100));
	OK(r3_btrfs_setxattr(w->fs, w->f, "user.a", 6, "1", 1, 0));
	w->nosum = make(w, w->top, "nosum", &file);
	OK(r3_btrfs_setattr(w->fs, w->nosum, &a));
	OK(r3_btrfs_write(w->fs, w->nosum, 0, data, 2 * SECTOR));
	w->fifo = make(w, w->top, "fifo", &fifo);
	OK(r3_btrfs_subvol_create(w->fs, w->top, "sv", 2, NULL, &w->sv_id));
	w->sv = root_of(w->sv_id);
	w->sv_f = make(w, w->sv, "f", &file);
	OK(r3_btrfs_write(w->fs, w->sv_f, 0, data, 2 * SECTOR));
	make(w, w->sv, "d", &dir);
	OK(r3_btrfs_snapshot(w->fs, w->sv_id, w->top, "ro", 2, true, NULL,
			     &w->ro_id));
	w->ro = root_of(w->ro_id);
	w->ro_f = (struct r3_btrfs_inode){ w->ro_id, w->sv_f.ino };
	OK(r3_btrfs_subvol_create(w->fs, w->top, "outer", 5, NULL,
				  &w->outer_id));
	w->outer = root_of(w->outer_id);
	OK(r3_btrfs_subvol_create(w->fs, w->outer, "inner", 5, NULL,
				  &w->inner_id));
	OK(r3_btrfs_sync(w->fs));
}

static void open_world(struct world *w, bool write)
{
	const struct r3_btrfs_options o = { .write = write };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(w->dev, &o, &w->fs, &why))
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	struct r3_btrfs_mkfs_options o = { .size = DEVICE };
	struct world *w = calloc(1, sizeof(*w));
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	memset(data, 'd', sizeof(data));
	w->bytes = calloc(1, DEVICE);
	assert_int_equal(r3_btrfs_dev_mem(w->bytes, DEVICE, &w->dev), 0);
	if (r3_btrfs_mkfs(w->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	open_world(w, true);
	fill(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	r3_btrfs_close(w->fs);
	r3_btrfs_dev_close(w->dev);
	free(w->bytes);
	free(w);
	return 0;
}

/* ---- names --------------------------------------------------------------- */

static int try_make(struct world *w, struct r3_btrfs_inode at,
		    const char *name, size_t len, mode_t mode,
		    const char *target)
{
	const struct r3_btrfs_new what = { .mode = mode, .target = target };
	struct r3_btrfs_inode in;

	return r3_btrfs_make(w->fs, at, name, len, &what, &in);
}

static void names(void **state)
{
	struct world *w = *state;
	const struct r3_btrfs_inode nowhere = { R3_BTRFS_TOP, 1 << 20 };
	const struct r3_btrfs_inode no_subvol = { 1 << 20, 256 };
	const struct r3_btrfs_inode internal = { 1, 256 }, no_inode = { 5, 0 };
	char lengthy[256];

	memset(lengthy, 'n', sizeof(lengthy));
	REFUSE(EEXIST, try_make(w, w->top, "f", 1, S_IFREG, NULL));
	REFUSE(EEXIST, try_make(w, w->top, "sv", 2, S_IFDIR, NULL));
	REFUSE(ENOTDIR, try_make(w, w->f, "n", 1, S_IFREG, NULL));
	REFUSE(ENOENT, try_make(w, nowhere, "n", 1, S_IFREG, NULL));
	REFUSE(ENOENT, try_make(w, no_subvol, "n", 1, S_IFREG, NULL));
	REFUSE(ENOENT, try_make(w, internal, "n", 1, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "", 0, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, ".", 1, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "..", 2, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "a/b", 3, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "a\0b", 3, S_IFREG, NULL));
	REFUSE(ENAMETOOLONG, try_make(w, w->top, lengthy, 256, S_IFREG, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "n", 1, 0644, NULL));
	REFUSE(EINVAL, r3_btrfs_make(w->fs, w->top, "n", 1,
				     &(struct r3_btrfs_new){
					     .mode = S_IFBLK,
					     .rdev = makedev(7, 1 << 20) },
				     &(struct r3_btrfs_inode){ 0 }));
	REFUSE(EINVAL, try_make(w, w->top, "n", 1, S_IFLNK, NULL));
	REFUSE(EINVAL, try_make(w, w->top, "n", 1, S_IFLNK, ""));
	REFUSE(EPERM, r3_btrfs_link(w->fs, w->dir, w->top, "n", 1));
	REFUSE(EXDEV, r3_btrfs_link(w->fs, w->sv_f, w->top, "n", 1));
	REFUSE(EEXIST, r3_btrfs_link(w->fs, w->f, w->top, "fifo", 4));
	REFUSE(ENOENT, r3_btrfs_link(w->fs, nowhere, w->top, "n", 1));
	REFUSE(ENOTDIR, r3_btrfs_link(w->fs, w->f, w->fifo, "n", 1));
	REFUSE(EISDIR, r3_btrfs_unlink(w->fs, w->top, "dir", 3));
	REFUSE(EISDIR, r3_btrfs_unlink(w->fs, w->top, "sv", 2));
	REFUSE(ENOENT, r3_btrfs_unlink(w->fs, w->top, "n", 1));
	REFUSE(ENOTEMPTY, r3_btrfs_rmdir(w->fs, w->top, "full", 4));
	REFUSE(EBUSY, r3_btrfs_rmdir(w->fs, w->top, "sv", 2));
	REFUSE(ENOTDIR, r3_btrfs_rmdir(w->fs, w->top, "f", 1));
	REFUSE(ENOENT, r3_btrfs_rmdir(w->fs, w->top, "n", 1));
	REFUSE(EINVAL, r3_btrfs_hold(w->fs, no_inode));
	REFUSE(EINVAL, r3_btrfs_release(w->fs, w->f));
}

static int move(struct world *w, struct r3_btrfs_inode at, const char *name,
		struct r3_btrfs_inode to, const char *to_name, unsigned flags)
{
	return r3_btrfs_rename(w->fs, at, name, strlen(name), to, to_name,
			       strlen(to_name), flags);
}

static void renames(void **state)
{
	struct world *w = *state;

	REFUSE(EINVAL, move(w, w->top, "f", w->top, "n", 4));
	REFUSE(EINVAL, move(w, w->top, "f", w->top, "n", RENAME_NOREPLACE |
							 RENAME_EXCHANGE));
	REFUSE(EEXIST, move(w, w->top, "f", w->top, "fifo", RENAME_NOREPLACE));
	REFUSE(ENOENT, move(w, w->top, "f", w->top, "n", RENAME_EXCHANGE));
	REFUSE(ENOENT, move(w, w->top, "n", w->top, "f", 0));
	REFUSE(EXDEV, move(w, w->top, "f", w->sv, "n", 0));
	REFUSE(EXDEV, move(w, w->top, "f", w->sv, "f", RENAME_EXCHANGE));
	REFUSE(EINVAL, move(w, w->top, "dir", w->dir, "n", 0));
	REFUSE(EINVAL, move(w, w->top, "sv", w->sv, "n", 0));
	REFUSE(EINVAL, move(w, w->top, "sv", w->sv, "d", RENAME_EXCHANGE));
	REFUSE(ENOTEMPTY, move(w, w->top, "dir", w->top, "sv", 0));
	REFUSE(ENOTEMPTY, move(w, w->top, "dir", w->top, "full", 0));
	REFUSE(EISDIR, move(w, w->top, "f", w->top, "dir", 0));
	REFUSE(ENOTDIR, move(w, w->top, "dir", w->top, "f", 0));
	REFUSE(EROFS, move(w, w->top, "ro", w->dir, "n", 0));
	REFUSE(ENOTDIR, move(w, w->top, "f", w->fifo, "n", 0));
	REFUSE(EINVAL, move(w, w->top, "f", w->top, "a/b", 0));
	/* nothing to do is nothing done */
	REFUSE(0, move(w, w->top, "f", w->top, "f", 0));
}

/* ---- attributes ---------------------------------------------------------- */

static int set(struct world *w, const char *name, const void *value,
	       size_t len, int flags)
{
	return r3_btrfs_setxattr(w->fs, w->f, name, strlen(name), value, len,
				 flags);
}

static void attributes(void **state)
{
	struct world *w = *state;
	const struct r3_btrfs_attr unknown = { .set = R3_BTRFS_SET_FLAGS,
					       .flags = UINT64_C(1) << 40 };
	static uint8_t large[70000];

	REFUSE(EINVAL, r3_btrfs_setattr(w->fs, w->f, &unknown));
	REFUSE(EEXIST, set(w, "user.a", "2", 1, XATTR_CREATE));
	REFUSE(ENODATA, set(w, "user.b", "2", 1, XATTR_REPLACE));
	REFUSE(ERANGE, set(w, "user.b", large, 16384, 0));
	REFUSE(ERANGE, set(w, "user.b", large, sizeof(large), 0));
	REFUSE(EINVAL, set(w, "user.b", "2", 1, 4));
	REFUSE(EINVAL, set(w, "btrfs.other", "2", 1, 0));
	REFUSE(EINVAL, set(w, "btrfs.compression", "bzip2", 5, 0));
	REFUSE(EINVAL, set(w, "", "2", 1, 0));
	REFUSE(ENODATA, r3_btrfs_removexattr(w->fs, w->f, "user.b", 6));
}

/* A value of no bytes may come without a pointer. */
static void no_value(void **state)
{
	struct world *w = *state;
	size_t len = 1;
	char value;

	OK(set(w, "user.b", NULL, 0, 0));
	OK(set(w, "user.b", NULL, 0, XATTR_REPLACE));
	OK(r3_btrfs_get_xattr(w->fs, w->f, "user.b", 6, &value, 1, &len));
	assert_int_equal(len, 0);
}

/* ---- data ---------------------------------------------------------------- */

static const uint64_t far = UINT64_C(1) << 63;

static void writes(void **state)
{
	struct world *w = *state;

	REFUSE(EISDIR, r3_btrfs_write(w->fs, w->dir, 0, data, 10));
	REFUSE(EINVAL, r3_btrfs_write(w->fs, w->fifo, 0, data, 10));
	REFUSE(EINVAL, r3_btrfs_write(w->fs, w->f, 0, data, 0));
	REFUSE(EINVAL, r3_btrfs_write(w->fs, w->f, 0, data, SIZE_MAX));
	REFUSE(EFBIG, r3_btrfs_write(w->fs, w->f, far - 1, data, 1));
	REFUSE(EFBIG, r3_btrfs_write(w->fs, w->f, UINT64_MAX, data, 10));
	REFUSE(EISDIR, r3_btrfs_truncate(w->fs, w->dir, 0));
	REFUSE(EINVAL, r3_btrfs_truncate(w->fs, w->fifo, 10));
	REFUSE(EFBIG, r3_btrfs_truncate(w->fs, w->f, far));
	REFUSE(EFBIG, r3_btrfs_truncate(w->fs, w->f, UINT64_MAX));
}

static int encoded(struct world *w, struct r3_btrfs_inode in, uint64_t off,
		   uint64_t file_len, uint64_t ram_len, unsigned compression)
{
	const struct r3_btrfs_encoded e = { .file_len = file_len,
					    .ram_len = ram_len,
					    .compression = compression };

	return r3_btrfs_write_encoded(w->fs, in, off, &e, data, 100);
}

static void packed_writes(void **state)
{
	struct world *w = *state;

	REFUSE(EISDIR, encoded(w, w->dir, 0, SECTOR, SECTOR, 1));
	REFUSE(EINVAL, encoded(w, w->fifo, 0, SECTOR, SECTOR, 1));
	REFUSE(EOPNOTSUPP, encoded(w, w->f, 1, SECTOR, SECTOR, 1));
	REFUSE(EOPNOTSUPP, encoded(w, w->f, 0, 200, 200, 1));
	REFUSE(EOPNOTSUPP, encoded(w, w->f, 0, 1 << 18, 1 << 18, 1));
	REFUSE(EOPNOTSUPP, encoded(w, w->f, 0, SECTOR, SECTOR, 4));
	REFUSE(EOPNOTSUPP, encoded(w, w->nosum, 0, SECTOR, SECTOR, 1));
	REFUSE(EFBIG, encoded(w, w->f, far - SECTOR, SECTOR, SECTOR, 1));
	REFUSE(EFBIG, encoded(w, w->f, -(uint64_t)SECTOR, SECTOR, SECTOR, 1));
}

static void allocations(void **state)
{
	enum { KEEP = FALLOC_FL_KEEP_SIZE, PUNCH = FALLOC_FL_PUNCH_HOLE };
	struct world *w = *state;

	REFUSE(EOPNOTSUPP, r3_btrfs_fallocate(w->fs, w->f, PUNCH, 0, 10));
	REFUSE(EOPNOTSUPP, r3_btrfs_fallocate(w->fs, w->f,
					      FALLOC_FL_COLLAPSE_RANGE, 0,
					      SECTOR));
	REFUSE(EINVAL, r3_btrfs_fallocate(w->fs, w->f, 0, 0, 0));
	REFUSE(EFBIG, r3_btrfs_fallocate(w->fs, w->f, 0, far - 1, 1));
	REFUSE(EFBIG, r3_btrfs_fallocate(w->fs, w->f, 0, UINT64_MAX, 1));
	REFUSE(ENOSPC, r3_btrfs_fallocate(w->fs, w->f, 0, 0, far / 2));
	REFUSE(EISDIR, r3_btrfs_fallocate(w->fs, w->dir, PUNCH | KEEP, 0, 10));
	REFUSE(EISDIR, r3_btrfs_fallocate(w->fs, w->dir, 0, 0, SECTOR));
	REFUSE(EINVAL, r3_btrfs_fallocate(w->fs, w->fifo, PUNCH | KEEP, 0,
					  10));
	REFUSE(EINVAL, r3_btrfs_fallocate(w->fs, w->fifo, KEEP, 0, SECTOR));
}

static void clones(void **state)
{
	struct world *w = *state;
	uint64_t s = SECTOR;

	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 1, s, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 0, s, w->sv_f, 1));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 0, 100, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 4 * s, 100, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 0, 2 * s, w->f, s));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 4 * s, s, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, -s, 2 * s, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 8 * s, 0, w->sv_f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 0, s, w->nosum, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->fifo, 0, 0, w->f, 0));
	REFUSE(EINVAL, r3_btrfs_clone(w->fs, w->f, 0, s, w->fifo, 0));
	REFUSE(EISDIR, r3_btrfs_clone(w->fs, w->dir, 0, s, w->f, 0));
	REFUSE(EISDIR, r3_btrfs_clone(w->fs, w->f, 0, s, w->dir, 0));
	REFUSE(EFBIG, r3_btrfs_clone(w->fs, w->f, 0, s, w->sv_f, far - s));
	REFUSE(EFBIG, r3_btrfs_clone(w->fs, w->f, 0, s, w->sv_f, -s));
}

/* ---- subvolumes, quotas -------------------------------------------------- */

static void subvolumes(void **state)
{
	struct world *w = *state;
	const uint64_t group = R3_BTRFS_QGROUP(1, 1);
	const struct r3_btrfs_inherit inherit = { &group, 1 };
	struct r3_btrfs_subvol v;
	uint64_t id;

	REFUSE(ENOENT, r3_btrfs_get_subvol(w->fs, 1 << 20, &v));
	REFUSE(EEXIST, r3_btrfs_subvol_create(w->fs, w->top, "f", 1, NULL,
					      &id));
	REFUSE(ENOTDIR, r3_btrfs_subvol_create(w->fs, w->f, "n", 1, NULL,
					       &id));
	REFUSE(EINVAL, r3_btrfs_subvol_create(w->fs, w->top, "a/b", 3, NULL,
					      &id));
	REFUSE(ENOTCONN, r3_btrfs_subvol_create(w->fs, w->top, "n", 1,
						&inherit, &id));
	REFUSE(ENOTCONN, r3_btrfs_snapshot(w->fs, w->sv_id, w->top, "n", 1,
					   false, &inherit, &id));
	REFUSE(ENOENT, r3_btrfs_snapshot(w->fs, 1 << 20, w->top, "n", 1, false,
					 NULL, &id));
	REFUSE(ENOENT, r3_btrfs_snapshot(w->fs, 2, w->top, "n", 1, false, NULL,
					 &id));
	REFUSE(EEXIST, r3_btrfs_snapshot(w->fs, w->sv_id, w->top, "f", 1,
					 false, NULL, &id));
	REFUSE(ENOENT, r3_btrfs_subvol_delete(w->fs, 1 << 20));
	REFUSE(ENOENT, r3_btrfs_subvol_delete(w->fs, 2));
	REFUSE(EPERM, r3_btrfs_subvol_delete(w->fs, R3_BTRFS_TOP));
	REFUSE(ENOTEMPTY, r3_btrfs_subvol_delete(w->fs, w->outer_id));
	REFUSE(ENOENT, r3_btrfs_subvol_set_readonly(w->fs, 1 << 20, true));
	REFUSE(ENOENT, r3_btrfs_subvol_set_default(w->fs, 1 << 20));
	OK(r3_btrfs_subvol_set_default(w->fs, w->sv_id));
	OK(r3_btrfs_hold(w->fs, w->ro_f));
	OK(r3_btrfs_sync(w->fs));
	REFUSE(EPERM, r3_btrfs_subvol_delete(w->fs, w->sv_id));
	REFUSE(EBUSY, r3_btrfs_subvol_delete(w->fs, w->ro_id));
	OK(r3_btrfs_release(w->fs, w->ro_f));
}

static int no_group(void *arg, const struct r3_btrfs_qgroup *group)
{
	(void)arg;
	(void)group;
	return 1;
}

static void quotas_off(void **state)
{
	const uint64_t g = R3_BTRFS_QGROUP(1, 1), none = R3_BTRFS_QGROUP_NONE;
	struct world *w = *state;

	REFUSE(ENOTCONN, r3_btrfs_each_qgroup(w->fs, no_group, NULL));
	REFUSE(ENOTCONN, r3_btrfs_qgroup_create(w->fs, g));
	REFUSE(ENOTCONN, r3_btrfs_qgroup_destroy(w->fs, g));
	REFUSE(ENOTCONN, r3_btrfs_qgroup_assign(w->fs, w->sv_id, g));
	REFUSE(ENOTCONN, r3_btrfs_qgroup_remove(w->fs, w->sv_id, g));
	REFUSE(ENOTCONN, r3_btrfs_qgroup_limit(w->fs, w->sv_id, none, none));
	REFUSE(ENOTCONN, r3_btrfs_quota_disable(w->fs));
	REFUSE(ENOTCONN, r3_btrfs_quota_rescan(w->fs));
}

static void quotas_on(void **state)
{
	const uint64_t a = R3_BTRFS_QGROUP(1, 1), b = R3_BTRFS_QGROUP(1, 2),
		       absent = R3_BTRFS_QGROUP(2, 1);
	const struct r3_btrfs_inherit inherit = { &absent, 1 };
	struct world *w = *state;
	uint64_t id;

	OK(r3_btrfs_quota_enable(w->fs));
	OK(r3_btrfs_qgroup_create(w->fs, a));
	OK(r3_btrfs_qgroup_create(w->fs, b));
	OK(r3_btrfs_qgroup_assign(w->fs, w->sv_id, a));
	OK(r3_btrfs_sync(w->fs));
	REFUSE(0, r3_btrfs_quota_enable(w->fs));
	REFUSE(EINVAL, r3_btrfs_qgroup_create(w->fs, 4711));
	REFUSE(EEXIST, r3_btrfs_qgroup_create(w->fs, a));
	REFUSE(EBUSY, r3_btrfs_qgroup_destroy(w->fs, w->sv_id));
	REFUSE(EBUSY, r3_btrfs_qgroup_destroy(w->fs, a));
	REFUSE(ENOENT, r3_btrfs_qgroup_destroy(w->fs, absent));
	REFUSE(EINVAL, r3_btrfs_qgroup_assign(w->fs, a, b));
	REFUSE(EINVAL, r3_btrfs_qgroup_assign(w->fs, a, w->sv_id));
	REFUSE(EEXIST, r3_btrfs_qgroup_assign(w->fs, w->sv_id, a));
	REFUSE(ENOENT, r3_btrfs_qgroup_assign(w->fs, w->sv_id, absent));
	REFUSE(ENOENT, r3_btrfs_qgroup_remove(w->fs, w->sv_id, b));
	REFUSE(ENOENT, r3_btrfs_qgroup_limit(w->fs, absent, 0, 0));
	REFUSE(ENOENT, r3_btrfs_subvol_create(w->fs, w->top, "n", 1, &inherit,
					      &id));
	OK(r3_btrfs_qgroup_limit(w->fs, R3_BTRFS_TOP, 0,
				 R3_BTRFS_QGROUP_NONE));
	OK(r3_btrfs_sync(w->fs));
	REFUSE(EDQUOT, try_make(w, w->top, "n", 1, S_IFREG, NULL));
	REFUSE(EDQUOT, r3_btrfs_link(w->fs, w->f, w->top, "n", 1));
	REFUSE(EDQUOT, set(w, "user.b", "2", 1, 0));
	REFUSE(EDQUOT, r3_btrfs_write(w->fs, w->f, 0, data, sizeof(data)));
	REFUSE(EDQUOT, r3_btrfs_fallocate(w->fs, w->f, 0, 0, 1 << 20));
	REFUSE(EDQUOT, r3_btrfs_clone(w->fs, w->sv_f, 0, SECTOR, w->f, 0));
	REFUSE(EDQUOT, r3_btrfs_subvol_create(w->fs, w->top, "n", 1, NULL,
					      &id));
}

/* ---- opened for reading, and subvolumes that are ------------------------- */

static void readonly_subvolume(void **state)
{
	struct world *w = *state;
	const struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE };
	struct r3_btrfs_inode at = w->ro, f = w->ro_f;
	uint64_t id;

	REFUSE(EROFS, try_make(w, at, "n", 1, S_IFREG, NULL));
	REFUSE(EROFS, r3_btrfs_link(w->fs, f, at, "n", 1));
	REFUSE(EROFS, r3_btrfs_unlink(w->fs, at, "f", 1));
	REFUSE(EROFS, r3_btrfs_rmdir(w->fs, at, "d", 1));
	REFUSE(EROFS, move(w, at, "f", at, "n", 0));
	REFUSE(EROFS, r3_btrfs_setattr(w->fs, f, &a));
	REFUSE(EROFS, r3_btrfs_setxattr(w->fs, f, "user.b", 6, "1", 1, 0));
	REFUSE(EROFS, r3_btrfs_removexattr(w->fs, f, "user.a", 6));
	REFUSE(EROFS, r3_btrfs_write(w->fs, f, 0, data, 10));
	REFUSE(EROFS, encoded(w, f, 0, SECTOR, SECTOR, 1));
	REFUSE(EROFS, r3_btrfs_truncate(w->fs, f, 10));
	REFUSE(EROFS, r3_btrfs_truncate(w->fs, f, 1 << 20));
	REFUSE(EROFS, r3_btrfs_fallocate(w->fs, f, 0, 0, 1));
	REFUSE(EROFS, r3_btrfs_fallocate(w->fs, f, FALLOC_FL_ZERO_RANGE, 0,
					 10));
	REFUSE(EROFS, r3_btrfs_fallocate(w->fs, f, FALLOC_FL_KEEP_SIZE |
					 FALLOC_FL_PUNCH_HOLE, 1 << 20, 10));
	REFUSE(EROFS, r3_btrfs_clone(w->fs, w->f, 0, SECTOR, f, 0));
	REFUSE(EROFS, r3_btrfs_clone(w->fs, w->f, 4 * SECTOR + 100, 0, f, 0));
	REFUSE(EROFS, r3_btrfs_subvol_create(w->fs, w->ro, "n", 1, NULL, &id));
	REFUSE(EROFS, r3_btrfs_snapshot(w->fs, w->sv_id, w->ro, "n", 1, false,
					NULL, &id));
}

static int receive(struct world *w, const char *stream, const char *at)
{
	const struct r3_btrfs_receive_options o = { .dir = at };
	FILE *in = fmemopen((void *)(uintptr_t)stream, strlen(stream), "r");
	int err;

	assert_non_null(in);
	err = r3_btrfs_receive(w->fs, in, &o);
	fclose(in);
	return err;
}

static void receives(void **state)
{
	struct world *w = *state;

	REFUSE(EPROTO, receive(w, "not a stream at all", NULL));
	REFUSE(ENOENT, receive(w, "x", "/n"));
	REFUSE(ENOTDIR, receive(w, "x", "/f"));
}

#undef REFUSE
#define REFUSE(err, call)                                             \
	do {                                                          \
		int got_ = (call);                                    \
		if (got_ != -(err))                                   \
			fail_msg("%s: %s, not %s", #call,             \
				 strerror(-got_), strerror(err));     \
	} while (0)

/* A stream of one empty subvolume, from this volume. */
static int send_and_receive(struct world *w)
{
	const struct r3_btrfs_receive_options o = { .dir = "/dir" };
	const struct r3_btrfs_send_options s = { .proto = 1 };
	FILE *stream = tmpfile();
	int err;

	assert_non_null(stream);
	OK(r3_btrfs_send(w->fs, w->ro_id, &s, stream));
	rewind(stream);
	err = r3_btrfs_receive(w->fs, stream, &o);
	fclose(stream);
	return err;
}

static void opened_for_reading(void **state)
{
	const uint64_t g = R3_BTRFS_QGROUP(1, 1);
	const struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_MODE };
	struct world *w = *state;
	struct r3_btrfs_space space;
	uint64_t id;
	bool more;

	r3_btrfs_close(w->fs);
	open_world(w, false);
	r3_btrfs_get_space(w->fs, &space);
	assert_int_equal(space.total, DEVICE);
	REFUSE(EROFS, r3_btrfs_sync(w->fs));
	REFUSE(EROFS, try_make(w, w->top, "n", 1, S_IFREG, NULL));
	REFUSE(EROFS, r3_btrfs_link(w->fs, w->f, w->top, "n", 1));
	REFUSE(EROFS, r3_btrfs_unlink(w->fs, w->top, "f", 1));
	REFUSE(EROFS, r3_btrfs_rmdir(w->fs, w->top, "dir", 3));
	REFUSE(EROFS, move(w, w->top, "f", w->top, "n", 0));
	REFUSE(EROFS, r3_btrfs_setattr(w->fs, w->f, &a));
	REFUSE(EROFS, set(w, "user.b", "1", 1, 0));
	REFUSE(EROFS, r3_btrfs_removexattr(w->fs, w->f, "user.a", 6));
	REFUSE(EROFS, r3_btrfs_write(w->fs, w->f, 0, data, 10));
	REFUSE(EROFS, encoded(w, w->f, 0, SECTOR, SECTOR, 1));
	REFUSE(EROFS, r3_btrfs_truncate(w->fs, w->f, 0));
	REFUSE(EROFS, r3_btrfs_truncate(w->fs, w->f, 1 << 20));
	REFUSE(EROFS, r3_btrfs_fallocate(w->fs, w->f, 0, 0, 1));
	REFUSE(EROFS, r3_btrfs_fallocate(w->fs, w->f, FALLOC_FL_KEEP_SIZE |
					 FALLOC_FL_PUNCH_HOLE, 0, 10));
	REFUSE(EROFS, r3_btrfs_clone(w->fs, w->f, 0, SECTOR, w->sv_f, 0));
	REFUSE(EROFS, r3_btrfs_subvol_create(w->fs, w->top, "n", 1, NULL,
					     &id));
	REFUSE(EROFS, r3_btrfs_snapshot(w->fs, w->sv_id, w->top, "n", 1, true,
					NULL, &id));
	REFUSE(EROFS, r3_btrfs_subvol_delete(w->fs, w->sv_id));
	REFUSE(EROFS, r3_btrfs_clean(w->fs, 1, &more));
	REFUSE(EROFS, r3_btrfs_subvol_set_readonly(w->fs, w->sv_id, true));
	REFUSE(EROFS, r3_btrfs_subvol_set_default(w->fs, w->sv_id));
	REFUSE(EROFS, r3_btrfs_quota_enable(w->fs));
	REFUSE(EROFS, r3_btrfs_quota_disable(w->fs));
	REFUSE(EROFS, r3_btrfs_quota_rescan(w->fs));
	REFUSE(EROFS, r3_btrfs_qgroup_create(w->fs, g));
	REFUSE(EROFS, r3_btrfs_qgroup_destroy(w->fs, g));
	REFUSE(EROFS, r3_btrfs_qgroup_assign(w->fs, w->sv_id, g));
	REFUSE(EROFS, r3_btrfs_qgroup_remove(w->fs, w->sv_id, g));
	REFUSE(EROFS, r3_btrfs_qgroup_limit(w->fs, w->sv_id, 0, 0));
	REFUSE(EROFS, send_and_receive(w));
	OK(r3_btrfs_hold(w->fs, w->f));
	OK(r3_btrfs_release(w->fs, w->f));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names), T(renames), T(attributes), T(no_value), T(writes),
		T(packed_writes), T(allocations), T(clones), T(subvolumes),
		T(quotas_off), T(quotas_on), T(readonly_subvolume),
		T(receives), T(opened_for_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
