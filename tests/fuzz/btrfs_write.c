// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btrfs_write.c - a list of changes to a volume with a list of damages
 *
 *	base, damages: { u8 base, u8 count }, count x struct damage
 *	changes: struct change up to the end of the input
 *
 * The volumes and what damages do: btrfs_base.h.  Whatever was damaged, each
 * call returns, and what fails has a text.  A volume that passes its check
 * before passes it afterwards, too, also when the device failed meanwhile, and
 * nothing on it is called damaged.
 */
#include <dirent.h>
#include <linux/fs.h>
#include <sys/xattr.h>

#include "../unit/btrfs/stream_build.h"
#include "btrfs_base.h"

enum { KNOWN_MAX = 80, CHANGES_MAX = 100, LOOK_MAX = 120, FAIL_NEVER = 0 };

struct change {
	uint8_t kind, a, b, c, off[2], len[2];
};

struct known {
	struct r3_btrfs_inode in, dir;
	char name[R3_BTRFS_NAME_MAX + 1];
	size_t len;
	bool is_dir;
};

struct run {
	struct r3_btrfs *fs;
	struct base *base;
	struct known known[KNOWN_MAX];
	unsigned count, depth, looks, made;
	struct r3_btrfs_inode dir; /* the one that is being listed */
	bool clean;		   /* passed its check */
};

/* A device whose writes and flushes fail from some moment on. */
static struct {
	struct r3_btrfs_dev dev;
	struct r3_btrfs_dev *below;
	unsigned left; /* operations that go well; FAIL_NEVER: all */
	bool failed;
} failing;

static bool fails(void)
{
	if (failing.left && !--failing.left)
		failing.failed = true;
	return failing.failed;
}

static int failing_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
			size_t len)
{
	(void)dev;
	return failing.below->ops->read(failing.below, off, buf, len);
}

static int failing_write(struct r3_btrfs_dev *dev, uint64_t off,
			 const void *buf, size_t len)
{
	(void)dev;
	return fails() ? -EIO : failing.below->ops->write(failing.below, off,
							  buf, len);
}

static int failing_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return fails() ? -EIO : 0;
}

static const struct r3_btrfs_dev_ops failing_ops = {
	.read = failing_read, .write = failing_write, .flush = failing_flush,
};

/* ---- looking -------------------------------------------------------------*/

static int know(void *arg, const struct r3_btrfs_dirent *e)
{
	struct run *r = arg;
	struct r3_btrfs_inode up = r->dir;
	struct known *k;

	if (r->count == KNOWN_MAX)
		return 1;
	k = &r->known[r->count++];
	*k = (struct known){ .in = e->in, .dir = up, .len = e->name_len,
			     .is_dir = e->type == DT_DIR };
	memcpy(k->name, e->name, e->name_len);
	if (!k->is_dir || r->depth == 4)
		return 0;
	r->depth++;
	r->dir = e->in;
	r3_btrfs_each_entry(r->fs, e->in, 0, know, r);
	r->dir = up;
	r->depth--;
	return 0;
}

static void know_all(struct run *r)
{
	r->count = 1;
	r->depth = 0;
	r->known[0] = (struct known){ .in = base_top, .dir = base_top,
				      .name = "x", .len = 1, .is_dir = true };
	r->dir = base_top;
	r3_btrfs_each_entry(r->fs, base_top, 0, know, r);
}

static int see_xattr(void *arg, const char *name, size_t name_len,
		     const void *value, size_t len)
{
	uint8_t *buf = arg;

	memcpy(buf, name, name_len);
	memcpy(buf, value, len);
	return 0;
}

static int see_extent(void *arg, const struct r3_btrfs_extent *x)
{
	*(uint64_t *)arg += x->len;
	return 0;
}

static int look(void *arg, const struct r3_btrfs_dirent *e)
{
	static uint8_t buf[200000];
	char target[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_stat st;
	struct run *r = arg;
	uint64_t sum = 0;
	size_t got;

	if (r->looks++ == LOOK_MAX)
		return 1;
	r3_btrfs_stat(r->fs, e->in, &st);
	r3_btrfs_each_xattr(r->fs, e->in, see_xattr, buf);
	r3_btrfs_each_extent(r->fs, e->in, see_extent, &sum);
	r3_btrfs_readlink(r->fs, e->in, target);
	r3_btrfs_read(r->fs, e->in, 0, buf, sizeof(buf), &got);
	if (e->type != DT_DIR || r->depth == 20)
		return 0;
	r->depth++;
	r3_btrfs_each_entry(r->fs, e->in, 0, look, r);
	r->depth--;
	return 0;
}

static void look_all(struct run *r)
{
	r->depth = r->looks = 0;
	r3_btrfs_each_entry(r->fs, base_top, 0, look, r);
}

static void problem(void *arg, const char *text)
{
	if (*(bool *)arg)
		fprintf(stderr, "problem: %s\n", text);
}

static bool passes(struct r3_btrfs *fs, bool print)
{
	struct r3_btrfs_check_options o = { .problem = problem, .arg = &print,
					    .data = true };
	struct r3_btrfs_check_result res;

	return !r3_btrfs_check(fs, &o, &res) && !res.problems;
}

/* ---- changes -------------------------------------------------------------*/

static struct known *pick(struct run *r, uint8_t n)
{
	return &r->known[n % r->count];
}

/* A new name, or one that is there. */
static size_t pick_name(struct run *r, uint8_t n, char *name)
{
	if (n & 1) {
		struct known *k = pick(r, n / 2);

		memcpy(name, k->name, k->len);
		return k->len;
	}
	return (size_t)snprintf(name, R3_BTRFS_NAME_MAX, "new%u", r->made++);
}

static void known_add(struct run *r, struct r3_btrfs_inode in,
		      struct r3_btrfs_inode dir, const char *name, size_t len,
		      bool is_dir)
{
	struct known *k = r->count < KNOWN_MAX ? &r->known[r->count++]
					       : &r->known[KNOWN_MAX - 1];

	*k = (struct known){ .in = in, .dir = dir, .len = len,
			     .is_dir = is_dir };
	memcpy(k->name, name, len);
}

static int make(struct run *r, const struct change *c, unsigned n)
{
	static const mode_t modes[] = { S_IFREG, S_IFREG, S_IFDIR, S_IFLNK,
					S_IFIFO, S_IFCHR };
	struct r3_btrfs_new what = { .mode = modes[n % R3_COUNT(modes)] | 0640,
				     .target = "target" };
	struct r3_btrfs_inode in, dir = pick(r, c->a)->in;
	char name[R3_BTRFS_NAME_MAX + 1];
	size_t len = pick_name(r, c->b, name);
	int err = r3_btrfs_make(r->fs, dir, name, len, &what, &in);

	if (!err)
		known_add(r, in, dir, name, len, S_ISDIR(what.mode));
	return err;
}

static int names(struct run *r, const struct change *c)
{
	struct known *k = pick(r, c->a);
	struct r3_btrfs_inode to = pick(r, c->b)->in;
	char name[R3_BTRFS_NAME_MAX + 1];
	size_t len = pick_name(r, c->c, name);

	switch (c->kind % 5) {
	case 0:
		return r3_btrfs_link(r->fs, k->in, to, name, len);
	case 1:
		return r3_btrfs_unlink(r->fs, k->dir, k->name, k->len);
	case 2:
		return r3_btrfs_rmdir(r->fs, k->dir, k->name, k->len);
	case 3:
		return r3_btrfs_rename(r->fs, k->dir, k->name, k->len, to,
				       name, len, 0);
	default:
		k = pick(r, c->c);
		return r3_btrfs_rename(r->fs, pick(r, c->a)->dir,
				       pick(r, c->a)->name,
				       pick(r, c->a)->len, k->dir, k->name,
				       k->len, RENAME_EXCHANGE);
	}
}

static int attributes(struct run *r, const struct change *c, unsigned len)
{
	struct r3_btrfs_attr attr = { .set = c->b, .mode = c->c, .uid = c->c,
				      .flags = c->off[0] };
	struct r3_btrfs_inode in = pick(r, c->a)->in;

	switch (c->kind % 5) {
	case 0:
		return r3_btrfs_setattr(r->fs, in, &attr);
	case 1:
		return r3_btrfs_setxattr(r->fs, in, "user.x", 6, base_data,
					 len % 8000, c->b % 3);
	case 2:
		return r3_btrfs_setxattr(r->fs, in, (const char *)base_data,
					 c->b, base_data, c->c, 0);
	case 3:
		return r3_btrfs_removexattr(r->fs, in, "user.x", 6);
	default:
		return r3_btrfs_setxattr(r->fs, in, "btrfs.compression", 17,
					 c->b & 1 ? "zstd" : "lzo",
					 c->b & 1 ? 4 : 3, 0);
	}
}

static int data(struct run *r, const struct change *c, unsigned off,
		unsigned len)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE |
					     FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE };
	struct r3_btrfs_inode in = pick(r, c->a)->in;
	/* compressible or not, aligned or not */
	const uint8_t *from = base_data + (c->b & 1 ? sizeof(base_data) / 2
						    : 0);
	uint64_t at = (uint64_t)off << (c->c & 2 ? 12 : 4);

	switch (c->kind % 5) {
	case 0:
		return r3_btrfs_write(r->fs, in, at, from, len * 2 + 1);
	case 1:
		return r3_btrfs_truncate(r->fs, in, at);
	case 2:
		return r3_btrfs_fallocate(r->fs, in, modes[c->b % 4], at,
					  (len + 1) * UINT64_C(16));
	case 3:
		return r3_btrfs_clone(r->fs, in, (off & 0xffu) * 4096u,
				      (len & 0xffu) * 4096u, pick(r, c->b)->in,
				      (off >> 8) * 4096u);
	default:
		return r3_btrfs_write(r->fs, in, at & ~UINT64_C(4095), from,
				      (len % 32 + 1) * 4096u);
	}
}

static int subvols(struct run *r, const struct change *c)
{
	struct known *k = pick(r, c->a);
	struct r3_btrfs_inode dir = pick(r, c->b)->in;
	char name[R3_BTRFS_NAME_MAX + 1];
	size_t len = pick_name(r, c->c, name);
	uint64_t group = R3_BTRFS_QGROUP(1, 1), id;
	struct r3_btrfs_inherit inherit = { &group, c->off[0] & 1 };
	int err;

	switch (c->kind % 6) {
	case 0:
		err = r3_btrfs_subvol_create(r->fs, dir, name, len, &inherit,
					     &id);
		break;
	case 1:
	case 2:
		err = r3_btrfs_snapshot(r->fs, k->in.subvol, dir, name, len,
					c->kind & 1, &inherit, &id);
		break;
	case 3:
		return r3_btrfs_subvol_delete(r->fs, k->in.subvol);
	case 4:
		return r3_btrfs_subvol_set_readonly(r->fs, k->in.subvol,
						    c->b & 1);
	default:
		return r3_btrfs_subvol_set_default(r->fs, k->in.subvol);
	}
	if (!err)
		known_add(r, (struct r3_btrfs_inode){ id, R3_BTRFS_ROOT_INO },
			  dir, name, len, true);
	return err;
}

static int quotas(struct run *r, const struct change *c)
{
	uint64_t a = c->a & 1 ? R3_BTRFS_QGROUP(c->b % 4, c->c % 8)
			      : pick(r, c->b)->in.subvol;
	uint64_t b = R3_BTRFS_QGROUP(c->off[0] % 4, c->off[1] % 8);

	switch (c->kind % 8) {
	case 0:
		return r3_btrfs_quota_enable(r->fs);
	case 1:
		return r3_btrfs_quota_disable(r->fs);
	case 2:
		return r3_btrfs_quota_rescan(r->fs);
	case 3:
		return r3_btrfs_qgroup_create(r->fs, b);
	case 4:
		return r3_btrfs_qgroup_destroy(r->fs, b);
	case 5:
		return r3_btrfs_qgroup_assign(r->fs, a, b);
	case 6:
		return r3_btrfs_qgroup_remove(r->fs, a, b);
	default:
		return r3_btrfs_qgroup_limit(r->fs, a, c->len[0] << 16,
					     R3_BTRFS_QGROUP_NONE);
	}
}

/* A small subvolume comes, and its difference. */
static int receive(struct r3_btrfs *fs, const struct change *c)
{
	static struct stream_build s;
	uint8_t uuid[16] = "received", next[16] = "next";

	uuid[15] = next[15] = c->a;
	s.len = 0;
	sb_head(&s, 1);
	sb_subvol(&s, c->b & 1 ? "got" : "got2", uuid);
	sb_path(&s, C_MKFILE, "f", 0, NULL);
	sb_write(&s, "f", 0, base_data, 9000);
	sb_path(&s, C_LINK, "g", T_PATH_LINK, "f");
	sb_cmd(&s, C_END);
	sb_end(&s);
	sb_head(&s, 1);
	sb_snapshot(&s, c->b & 1 ? "next" : "next2", next, uuid);
	sb_path(&s, C_UNLINK, "g", 0, NULL);
	sb_write(&s, "f", 4096, base_data, c->c * 16u);
	sb_cmd(&s, C_END);
	sb_end(&s);
	return sb_receive(fs, s.b, s.len);
}

static int whole(struct run *r, const struct change *c)
{
	struct r3_btrfs_scrub_options scrub = { .readonly = c->a & 1 };
	struct r3_btrfs_scrub_result res;
	bool more;

	switch (c->kind % 6) {
	case 0:
	case 1:
		return r3_btrfs_sync(r->fs);
	case 2:
		return r3_btrfs_clean(r->fs, c->a, &more);
	case 3:
		return r3_btrfs_scrub(r->fs, &scrub, &res);
	case 4:
		return receive(r->fs, c);
	default:
		know_all(r);
		return 0;
	}
}

static int holds(struct run *r, const struct change *c)
{
	struct known *k = pick(r, c->a);

	return c->b & 1 ? r3_btrfs_hold(r->fs, k->in)
			: r3_btrfs_release(r->fs, k->in);
}

static int change(struct run *r, struct change c)
{
	unsigned off = c.off[0] | (unsigned)c.off[1] << 8;
	unsigned len = c.len[0] | (unsigned)c.len[1] << 8;
	unsigned group = c.kind % 9;

	c.kind /= 9;
	switch (group) {
	case 0:
		return make(r, &c, c.kind);
	case 1:
		return names(r, &c);
	case 2:
		return attributes(r, &c, len);
	case 3:
	case 4:
		return data(r, &c, off, len);
	case 5:
		return subvols(r, &c);
	case 6:
		return quotas(r, &c);
	case 7:
		return whole(r, &c);
	default:
		return holds(r, &c);
	}
}

/* ---- a run ---------------------------------------------------------------*/

static void no(const struct run *r, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %d: %s\n", r->base->name, what, err,
		r->fs ? r3_btrfs_why(r->fs) : "");
	abort();
}

/* What a good volume on a good device never says. */
static void judge(const struct run *r, int err)
{
	if (!err || !r->clean || failing.failed)
		return;
	if (err == -EUCLEAN || err == -EIO || err == -ELOOP || err == -ENOMEM ||
	    (err == -EROFS && strstr(r3_btrfs_why(r->fs), "earlier change")))
		no(r, "a good volume is called bad", err);
}

static void reopen(struct run *r)
{
	struct r3_btrfs_why why;
	int err = base_open(r->base, failing.below, true, &r->fs, &why);

	if (err) {
		r->fs = NULL;
		if (r->clean) {
			fprintf(stderr, "%s\n", why.text);
			no(r, "a good volume can't be opened", err);
		}
		return;
	}
	look_all(r);
	if (r->clean && !passes(r->fs, true))
		no(r, "problems afterwards", 0);
	r3_btrfs_close(r->fs);
	r->fs = NULL;
}

/* With $R3_FUZZ_TRACE set, what is done, to see what an input is about. */
static int traced(struct run *r, struct change c)
{
	static int trace = -1;
	int err = change(r, c);

	if (trace < 0)
		trace = getenv("R3_FUZZ_TRACE") != NULL;
	if (trace)
		fprintf(stderr, "%u/%u %u %u %u: %d %s\n", c.kind % 9u,
			c.kind / 9u, c.a, c.b, c.c, err,
			err ? r3_btrfs_why(r->fs) : "");
	return err;
}

static void changes(struct run *r, const uint8_t *in, size_t size)
{
	struct change c;

	know_all(r);
	for (unsigned i = 0; size >= sizeof(c) && i < CHANGES_MAX; i++) {
		memcpy(&c, in, sizeof(c));
		if (c.kind == 255)
			failing.left = c.a + 1u;
		else
			judge(r, traced(r, c));
		in += sizeof(c);
		size -= sizeof(c);
	}
	judge(r, r3_btrfs_sync(r->fs));
}

static bool is_clean(struct run *r)
{
	struct r3_btrfs_why why;
	bool clean;

	if (base_open(r->base, failing.below, false, &r->fs, &why))
		return false;
	clean = passes(r->fs, false);
	r3_btrfs_close(r->fs);
	return clean;
}

static void run(struct run *r, bool damages, bool plain, const uint8_t *in,
		size_t size)
{
	struct r3_btrfs_why why;

	r->clean = !damages || (plain && is_clean(r));
	if (base_open(r->base, &failing.dev, true, &r->fs, &why))
		return;
	changes(r, in, size);
	r3_btrfs_close(r->fs);
	r->fs = NULL;
	reopen(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t size)
{
	static struct run r;
	struct damage d;
	struct base *b;
	unsigned count;
	bool damages, plain = true;

	if (size < 2)
		return 0;
	b = &bases[in[0] % R3_COUNT(bases)];
	if (!b->bytes)
		base_prepare(b);
	count = in[1] % 8;
	damages = count;
	in += 2;
	size -= 2;
	for (; count && size >= sizeof(d); count--) {
		memcpy(&d, in, sizeof(d));
		plain &= base_damage(b, &d);
		in += sizeof(d);
		size -= sizeof(d);
	}
	r = (struct run){ .base = b };
	must(r3_btrfs_dev_mem(b->bytes, b->size, &failing.below), "device");
	failing.dev = (struct r3_btrfs_dev){ .ops = &failing_ops,
					     .size = b->size };
	failing.left = FAIL_NEVER;
	failing.failed = false;
	run(&r, damages, plain, in, size);
	r3_btrfs_dev_close(failing.below);
	base_reset(b);
	return 0;
}
