// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fail.c - memory that runs out, and a device that fails, at every moment
 *
 *	fail memory|read|write|behind
 *
 * Each change below, with its commit, is done on the same volume again and
 * again, and each time one thing more goes well before the failure: one
 * allocation, or one access to the device; then all fail, or only that one.
 * Whatever fails: the call says so, with its text, and what is on the device is
 * the volume as it was before, or, if the call succeeded, as it is afterwards.
 * No write fails without being told of, with its place; with "behind" a thread
 * does the writing.
 *
 * Linked with --wrap for malloc(), calloc() and realloc().
 */
#include <pthread.h>

#include "../../fuzz/btrfs_base.h"
#include "../../unit/btrfs/stream_build.h"
#include "ops.h"

static struct {
	bool armed, once, memory, reads, behind;
	pthread_mutex_t lock; /* armed, left and failed, with "behind" */
	unsigned left;
	bool failed;
} inject;

static bool fails_now(void)
{
	bool fails;

	pthread_mutex_lock(&inject.lock);
	fails = inject.armed && !inject.left;
	if (inject.armed && inject.left)
		inject.left--;
	if (fails && inject.once)
		inject.armed = false;
	inject.failed |= fails;
	pthread_mutex_unlock(&inject.lock);
	return fails;
}

static void arm(bool armed, unsigned left)
{
	pthread_mutex_lock(&inject.lock);
	inject.armed = armed;
	inject.left = left;
	pthread_mutex_unlock(&inject.lock);
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return inject.memory && fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return inject.memory && fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return inject.memory && fails_now() ? NULL : __real_realloc(p, size);
}

/* ---- the device ----------------------------------------------------------*/

static struct r3_btrfs_dev *below;

static int bad_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len)
{
	(void)dev;
	if (!inject.memory && inject.reads && fails_now())
		return -EIO;
	return below->ops->read(below, off, buf, len);
}

static int bad_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		     size_t len)
{
	if (!inject.memory && !inject.reads && fails_now()) {
		dev->bad.off = off;
		dev->bad.err = -EIO;
		return -EIO;
	}
	return below->ops->write(below, off, buf, len);
}

static int bad_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return !inject.memory && !inject.reads && fails_now() ? -EIO : 0;
}

static void bad_close(struct r3_btrfs_dev *dev)
{
	(void)dev;
}

static const struct r3_btrfs_dev_ops bad_ops = {
	.read = bad_read, .write = bad_write, .flush = bad_flush,
	.close = bad_close,
};

/* ---- the changes ---------------------------------------------------------*/

static struct r3_btrfs_inode at(struct r3_btrfs *fs, const char *path)
{
	struct r3_btrfs_inode in = { 0 };

	must(r3_btrfs_lookup(fs, path, &in), path);
	return in;
}

/* What the changes are done to; found before anything fails. */
static struct r3_btrfs_inode sub, dir, plain, packed, prealloc, symlink_in,
	clone_in, snap;

static void find_all(struct r3_btrfs *fs)
{
	sub = at(fs, "sub");
	dir = at(fs, "sub/dir");
	plain = at(fs, "sub/plain");
	packed = at(fs, "sub/packed");
	prealloc = at(fs, "sub/prealloc");
	symlink_in = at(fs, "sub/link");
	clone_in = at(fs, "sub/clone3");
	snap = at(fs, "snap");
}

static int do_make(struct r3_btrfs *fs)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0600 };
	struct r3_btrfs_inode in;

	return r3_btrfs_make(fs, dir, "made", 4, &what, &in);
}

static int do_symlink(struct r3_btrfs *fs)
{
	struct r3_btrfs_new what = { .mode = S_IFLNK | 0777, .target = "t" };
	struct r3_btrfs_inode in;

	return r3_btrfs_make(fs, dir, "made", 4, &what, &in);
}

static int do_link(struct r3_btrfs *fs)
{
	return r3_btrfs_link(fs, plain, dir, "again", 5);
}

static int do_unlink(struct r3_btrfs *fs)
{
	return r3_btrfs_unlink(fs, sub, "packed", 6);
}

static int do_rmdir(struct r3_btrfs *fs)
{
	return r3_btrfs_rmdir(fs, dir, "deeper", 6);
}

static int do_rename(struct r3_btrfs *fs)
{
	return r3_btrfs_rename(fs, sub, "plain", 5, dir, "moved", 5, 0);
}

static int do_replace(struct r3_btrfs *fs)
{
	return r3_btrfs_rename(fs, sub, "plain", 5, sub, "packed", 6, 0);
}

static int do_setattr(struct r3_btrfs *fs)
{
	struct r3_btrfs_attr a = { .set = R3_BTRFS_SET_UID, .uid = 77 };

	return r3_btrfs_setattr(fs, plain, &a);
}

static int do_setxattr(struct r3_btrfs *fs)
{
	return r3_btrfs_setxattr(fs, plain, "user.big", 8, base_data, 3000,
				 0);
}

static int do_write(struct r3_btrfs *fs)
{
	return r3_btrfs_write(fs, plain, 5000, base_data + 100, 20000);
}

static int do_write_packed(struct r3_btrfs *fs)
{
	return r3_btrfs_write(fs, plain, 0, base_data + (1 << 17), 100000);
}

static int do_write_inline(struct r3_btrfs *fs)
{
	return r3_btrfs_write(fs, at(fs, "sub/inline"), 100, base_data, 50);
}

static int do_truncate(struct r3_btrfs *fs)
{
	return r3_btrfs_truncate(fs, packed, 5000);
}

static int do_fallocate(struct r3_btrfs *fs)
{
	return r3_btrfs_fallocate(fs, plain, 0, 30000, 100000);
}

static int do_punch(struct r3_btrfs *fs)
{
	return r3_btrfs_fallocate(fs, plain, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, 4096, 8192);
}

static int do_clone(struct r3_btrfs *fs)
{
	return r3_btrfs_clone(fs, plain, 0, 16384, prealloc, 4096);
}

static int do_snapshot(struct r3_btrfs *fs)
{
	uint64_t id;

	return r3_btrfs_snapshot(fs, sub.subvol, base_top, "new", 3, false,
				 NULL, &id);
}

static int do_subvol(struct r3_btrfs *fs)
{
	uint64_t id;

	return r3_btrfs_subvol_create(fs, base_top, "new", 3, NULL, &id);
}

static int do_subvol_delete(struct r3_btrfs *fs)
{
	return r3_btrfs_subvol_delete(fs, snap.subvol);
}

static int do_clean(struct r3_btrfs *fs)
{
	bool more;

	return r3_btrfs_clean(fs, 100, &more);
}

static int do_readonly(struct r3_btrfs *fs)
{
	return r3_btrfs_subvol_set_readonly(fs, snap.subvol, true);
}

static int do_default(struct r3_btrfs *fs)
{
	return r3_btrfs_subvol_set_default(fs, snap.subvol);
}

static int do_quota_enable(struct r3_btrfs *fs)
{
	return r3_btrfs_quota_enable(fs);
}

static int do_quota_disable(struct r3_btrfs *fs)
{
	return r3_btrfs_quota_disable(fs);
}

static int do_rescan(struct r3_btrfs *fs)
{
	return r3_btrfs_quota_rescan(fs);
}

static int do_group(struct r3_btrfs *fs)
{
	return r3_btrfs_qgroup_create(fs, R3_BTRFS_QGROUP(1, 2));
}

static int do_assign(struct r3_btrfs *fs)
{
	return r3_btrfs_qgroup_assign(fs, snap.subvol, R3_BTRFS_QGROUP(1, 1));
}

static int do_remove(struct r3_btrfs *fs)
{
	return r3_btrfs_qgroup_remove(fs, sub.subvol, R3_BTRFS_QGROUP(1, 1));
}

static int do_limit(struct r3_btrfs *fs)
{
	return r3_btrfs_qgroup_limit(fs, snap.subvol, 10 << 20, 20 << 20);
}

static int do_receive(struct r3_btrfs *fs)
{
	static struct stream_build s;

	s.len = 0;
	sb_head(&s, 1);
	sb_subvol(&s, "got", "0123456789abcdef");
	sb_path(&s, C_MKFILE, "f", 0, NULL);
	sb_write(&s, "f", 0, base_data, 9000);
	sb_cmd(&s, C_END);
	sb_end(&s);
	return sb_receive(fs, s.b, s.len);
}

static int do_scrub(struct r3_btrfs *fs)
{
	struct r3_btrfs_scrub_options o = { .readonly = true };
	struct r3_btrfs_scrub_result res;

	return r3_btrfs_scrub(fs, &o, &res);
}

enum { STEPS = 1, PLAIN = 2 };

static const struct row {
	const char *name;
	int (*run)(struct r3_btrfs *fs);
	/* STEPS: several changes, some of which may be there after a failure;
	 * PLAIN: on the volume without quotas */
	unsigned how;
} rows[] = {
	{ "make", do_make, 0 },
	{ "make a symbolic link", do_symlink, PLAIN },
	{ "link", do_link, 0 },
	{ "unlink", do_unlink, PLAIN },
	{ "rmdir", do_rmdir, PLAIN },
	{ "rename", do_rename, PLAIN },
	{ "rename over another", do_replace, PLAIN },
	{ "setattr", do_setattr, PLAIN },
	{ "setxattr", do_setxattr, 0 },
	{ "write", do_write, 0 },
	{ "write, packed", do_write_packed, STEPS },
	{ "write inline", do_write_inline, PLAIN },
	{ "truncate", do_truncate, PLAIN },
	{ "fallocate", do_fallocate, STEPS },
	{ "punch a hole", do_punch, PLAIN },
	{ "clone", do_clone, PLAIN },
	{ "snapshot", do_snapshot, 0 },
	{ "subvolume", do_subvol, 0 },
	{ "delete a subvolume", do_subvol_delete, 0 },
	{ "clean", do_clean, 0 },
	{ "read-only", do_readonly, PLAIN },
	{ "default", do_default, PLAIN },
	{ "quota enable", do_quota_enable, PLAIN },
	{ "quota disable", do_quota_disable, 0 },
	{ "quota rescan", do_rescan, 0 },
	{ "qgroup create", do_group, 0 },
	{ "qgroup assign", do_assign, 0 },
	{ "qgroup remove", do_remove, 0 },
	{ "qgroup limit", do_limit, 0 },
	{ "receive", do_receive, 0 },
	{ "scrub", do_scrub, PLAIN },
};

/* ---- what must hold ------------------------------------------------------*/

static const char *row_name;

static void no(struct r3_btrfs *fs, unsigned n, const char *what, int err)
{
	printf("not ok - %s, %u before the failure: %s (%d, text for %d: %s)\n",
	       row_name, n, what, err, fs ? fs->why_err : 0,
	       fs ? fs->why.text : "");
	exit(1);
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static struct r3_btrfs *open_good(const struct base *b, unsigned n)
{
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	int err = base_open(b, below, true, &fs, &why);

	if (err) {
		printf("# %s\n", why.text);
		no(NULL, n, "can't be opened afterwards", err);
	}
	return fs;
}

static char *picture(struct r3_btrfs *fs, unsigned n)
{
	struct r3_btrfs_check_options o = { .problem = problem };
	struct r3_btrfs_check_result res;
	char *text;
	int err = ops_lib_picture(fs, &text);

	if (err)
		no(fs, n, "can't be read afterwards", err);
	err = r3_btrfs_check(fs, &o, &res);
	if (err || res.problems)
		no(fs, n, "has problems afterwards", err);
	return text;
}

static char *picture_of_device(const struct base *b, unsigned n)
{
	struct r3_btrfs *fs = open_good(b, n);
	char *text = picture(fs, n);

	r3_btrfs_close(fs);
	return text;
}

/* The text is of this error; without memory errno says enough. */
static void judge(struct r3_btrfs *fs, unsigned n, int err)
{
	int wanted = inject.memory ? -ENOMEM : -EIO;

	if (err != wanted && err != -EROFS)
		no(fs, n, "another error", err);
	if (err && fs->why_err != err && err != -ENOMEM)
		no(fs, n, "no text", err);
}

/* After the failure all goes well again, and a volume that takes no more
 * changes says so. */
static int sync_again(struct r3_btrfs *fs, unsigned n)
{
	int err = r3_btrfs_sync(fs), late = r3_btrfs_dev_settle(fs->dev);

	arm(false, 0);
	if (err)
		judge(fs, n, err);
	if (late && late != -EIO)
		no(fs, n, "another error of a write", late);
	return err ? err : late;
}

/* A flush has no place, all else that fails here has. */
static void judge_text(struct r3_btrfs *fs, unsigned n, int err)
{
	if (inject.behind && inject.failed && err == -EIO &&
	    fs->dev->bad.err == -EIO && fs->why_err == -EIO &&
	    !strstr(fs->why.text, "writing at byte "))
		no(fs, n, "does not say where", err);
}

/* Returns whether anything failed. */
static bool one(struct base *b, const struct row *row, unsigned n,
		const char *before, const char *after)
{
	struct r3_btrfs_dev bad = { .ops = &bad_ops, .size = b->size };
	struct r3_btrfs_dev *dev = &bad;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	int err, synced = 0;
	char *text;

	if (inject.behind)
		must(r3_btrfs_dev_behind(&dev), "a thread");
	must(base_open(b, dev, true, &fs, &why), "open");
	find_all(fs);
	must(dev->ops->flush(dev), "what opening it wrote");
	fs->why_err = 0;
	inject.failed = false;
	arm(true, n);
	err = row->run(fs);
	if (err) {
		judge(fs, n, err);
		judge_text(fs, n, err);
	}
	fs->why_err = 0;
	if (err) /* what was done in steps before may be on its way */
		arm(false, 0);
	synced = sync_again(fs, n);
	judge_text(fs, n, synced);
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(dev);
	if (!inject.memory && !inject.reads && inject.failed && !err &&
	    !synced)
		no(NULL, n, "a write failed, and nobody is told", 0);
	text = picture_of_device(b, n);
	if (!err && !synced && strcmp(text, after))
		no(NULL, n, "is not what it was said to be", 0);
	if ((err || synced) && strcmp(text, before) && strcmp(text, after) &&
	    !(row->how & STEPS))
		no(NULL, n, "is half done", err);
	free(text);
	base_reset(b);
	return inject.failed;
}

static void run_row(struct base *b, const struct row *row, bool once)
{
	struct r3_btrfs_dev dev = { .ops = &bad_ops, .size = b->size };
	char *before = picture_of_device(b, 0), *after;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	unsigned n = 0;

	row_name = row->name;
	must(base_open(b, &dev, true, &fs, &why), "open");
	find_all(fs);
	must(row->run(fs), row->name);
	must(r3_btrfs_sync(fs), "sync");
	r3_btrfs_close(fs);
	after = picture_of_device(b, 0);
	base_reset(b);
	inject.once = once;
	while (one(b, row, n, before, after))
		n += once ? 1 : 3; /* not all, as a test is to take seconds */
	printf("ok - %s, %s: %u\n", row->name, once ? "once" : "for good", n);
	free(before);
	free(after);
}

int main(int argc, char **argv)
{
	inject.memory = argc > 1 && !strcmp(argv[1], "memory");
	inject.reads = argc > 1 && !strcmp(argv[1], "read");
	inject.behind = argc > 1 && !strcmp(argv[1], "behind");
	pthread_mutex_init(&inject.lock, NULL);
	for (unsigned i = 0; i < 2; i++) {
		bases[i].size = 72 << 20; /* with a second super block */
		base_prepare(&bases[i]);
	}
	for (unsigned i = 0; i < 2 * R3_COUNT(rows); i++) {
		const struct row *row = &rows[i / 2];
		struct base *b = &bases[!!(row->how & PLAIN)];

		must(r3_btrfs_dev_mem(b->bytes, b->size, &below), "device");
		run_row(b, row, i % 2);
		r3_btrfs_dev_close(below);
	}
	return 0;
}
