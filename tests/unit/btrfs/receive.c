// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * receive.c - streams that do not fit, lead elsewhere, or end early
 *
 * Whatever a stream says, the volume shows what it showed before, and passes
 * its check; also when it is looked at in the middle, as after a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "ring3/btrfs.h"
#include "stream_build.h"

enum { SIZE = 48 << 20 };

static const uint8_t uuid_a[16] = "uuid of stream a";
static const uint8_t uuid_b[16] = "uuid of stream b";
static const uint8_t uuid_none[16] = "uuid of no one..";

struct image {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
};

static void open_image(struct image *i, uint8_t *bytes)
{
	struct r3_btrfs_options o = { .write = true,
				      .cache_bytes = 4 << 20 };
	struct r3_btrfs_why why;

	i->bytes = bytes;
	assert_int_equal(r3_btrfs_dev_mem(bytes, SIZE, &i->dev), 0);
	if (r3_btrfs_open(i->dev, &o, &i->fs, &why))
		fail_msg("%s", why.text);
}

static void make_image(struct image *i)
{
	struct r3_btrfs_mkfs_options o = { .size = SIZE, .nodesize = 4096 };
	struct r3_btrfs_mkfs_result r;
	uint8_t *bytes = calloc(1, SIZE);
	struct r3_btrfs_dev *dev;
	struct r3_btrfs_why why;

	assert_int_equal(r3_btrfs_dev_mem(bytes, SIZE, &dev), 0);
	if (r3_btrfs_mkfs(dev, &o, &r, &why))
		fail_msg("%s", why.text);
	r3_btrfs_dev_close(dev);
	open_image(i, bytes);
}

static void close_image(struct image *i)
{
	r3_btrfs_close(i->fs);
	r3_btrfs_dev_close(i->dev);
	free(i->bytes);
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	print_error("%s\n", text);
}

static void check(struct r3_btrfs *fs, const char *name)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem };
	struct r3_btrfs_check_result r;

	assert_int_equal(r3_btrfs_check(fs, &o, &r), 0);
	if (r.problems)
		fail_msg("%s: %llu problems", name,
			 (unsigned long long)r.problems);
}

static int count(void *arg, const struct r3_btrfs_subvol *v)
{
	*(unsigned *)arg += !v->dead;
	return 0;
}

static int count_dead(void *arg, const struct r3_btrfs_subvol *v)
{
	*(unsigned *)arg += v->dead;
	return 0;
}

static unsigned dead(struct r3_btrfs *fs)
{
	unsigned n = 0;

	assert_int_equal(r3_btrfs_each_subvol(fs, count_dead, &n), 0);
	return n;
}

/* One that waits to be cleaned away, which is not a receiver's to do. */
static void make_dead(struct r3_btrfs *fs)
{
	struct r3_btrfs_inode top;
	uint64_t id;

	assert_int_equal(r3_btrfs_lookup(fs, "/", &top), 0);
	assert_int_equal(r3_btrfs_subvol_create(fs, top, "dead", 4, NULL, &id),
			 0);
	assert_int_equal(r3_btrfs_subvol_delete(fs, id), 0);
}

static unsigned subvols(struct r3_btrfs *fs)
{
	unsigned n = 0;

	assert_int_equal(r3_btrfs_each_subvol(fs, count, &n), 0);
	return n;
}

static int receive(struct r3_btrfs *fs, const struct stream_build *s)
{
	return sb_receive(fs, s->b, s->len);
}

/* The parent: a file of 20000 bytes, a directory, links that lead out. */
static void good(struct stream_build *s)
{
	static uint8_t data[20000];

	memset(data, 'a', sizeof(data));
	sb_head(s, 1);
	sb_subvol(s, "a", uuid_a);
	sb_path(s, C_MKFILE, "o1", 0, NULL);
	sb_path(s, C_RENAME, "o1", T_PATH_TO, "file");
	sb_write(s, "file", 0, data, sizeof(data));
	sb_path(s, C_MKDIR, "dir", 0, NULL);
	sb_path(s, C_SYMLINK, "up", T_PATH_LINK, "..");
	sb_path(s, C_SYMLINK, "dir/abs", T_PATH_LINK, "/");
	sb_cmd(s, C_END);
	sb_end(s);
}

static void make(struct stream_build *s, const char *path)
{
	sb_path(s, C_MKFILE, path, 0, NULL);
}

/* ---- streams that are refused ---------------------------------------------*/

static void subvol_up(struct stream_build *s)
{
	sb_subvol(s, "..", uuid_b);
}

static void subvol_slash(struct stream_build *s)
{
	sb_subvol(s, "x/y", uuid_b);
}

static void subvol_empty(struct stream_build *s)
{
	sb_subvol(s, "", uuid_b);
}

static void subvol_there(struct stream_build *s)
{
	sb_subvol(s, "a", uuid_b);
}

static void no_parent(struct stream_build *s)
{
	sb_snapshot(s, "b", uuid_b, uuid_none);
}

static void before_subvol(struct stream_build *s)
{
	make(s, "x");
}

#define BODY(name) \
	static void name##_(struct stream_build *s); \
	static void name(struct stream_build *s) \
	{ \
		sb_snapshot(s, "b", uuid_b, uuid_a); \
		make(s, "fresh"); \
		name##_(s); \
		sb_cmd(s, C_END); \
		sb_end(s); \
	} \
	static void name##_(struct stream_build *s)

BODY(path_up) { make(s, "../x"); }
BODY(path_up_only) { make(s, ".."); }
BODY(path_dot) { make(s, "./x"); }
BODY(path_up_inside) { make(s, "dir/../../x"); }
BODY(path_root) { make(s, "/x"); }
BODY(path_twice) { make(s, "dir//x"); }
BODY(path_end) { make(s, "x/"); }
BODY(path_link) { make(s, "up/x"); }
BODY(path_link_abs) { make(s, "dir/abs/x"); }
BODY(path_file) { make(s, "file/x"); }
BODY(path_missing) { make(s, "none/x"); }
BODY(path_there) { make(s, "file"); }
BODY(rename_up) { sb_path(s, C_RENAME, "file", T_PATH_TO, "../file"); }
BODY(rename_made_up) { sb_path(s, C_RENAME, "fresh", T_PATH_TO, "../x"); }
BODY(rename_into_itself)
{
	sb_path(s, C_RENAME, "dir", T_PATH_TO, "dir/dir");
}
BODY(link_up) { sb_path(s, C_LINK, "x", T_PATH_LINK, "../a/file"); }
BODY(link_dir) { sb_path(s, C_LINK, "x", T_PATH_LINK, "dir"); }
BODY(unlink_root) { sb_path(s, C_UNLINK, "", 0, NULL); }
BODY(unlink_dir) { sb_path(s, C_UNLINK, "dir", 0, NULL); }
BODY(rmdir_full) { sb_path(s, C_RMDIR, "dir", 0, NULL); }
BODY(write_link) { sb_write(s, "up", 0, "x", 1); }
BODY(write_dir) { sb_write(s, "dir", 0, "x", 1); }
BODY(write_far) { sb_write(s, "file", INT64_MAX, "x", 1); }
BODY(no_target) { sb_path(s, C_SYMLINK, "x", T_PATH_LINK, ""); }

BODY(name_long)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[256] = 0;
	make(s, name);
}

BODY(name_nul)
{
	sb_cmd(s, C_MKFILE);
	sb_put(s, T_PATH, "a\0b", 3);
	sb_end(s);
}

BODY(clone_missing)
{
	sb_clone(s, "file", 0, 4096, uuid_none, "file", 0);
}

BODY(clone_up) { sb_clone(s, "file", 0, 4096, uuid_a, "../a/file", 0); }
BODY(clone_past) { sb_clone(s, "file", 0, 1 << 20, uuid_a, "file", 0); }
BODY(clone_wraps)
{
	sb_clone(s, "file", 4096, UINT64_MAX - 4095, uuid_a, "file", 0);
}

BODY(owner_large)
{
	sb_cmd(s, C_CHOWN);
	sb_str(s, T_PATH, "file");
	sb_u64(s, T_UID, 1);
	sb_u64(s, T_GID, UINT64_C(1) << 32);
	sb_end(s);
}

BODY(time_wrong)
{
	static const uint8_t time[12] = { 1, [11] = 0x3c };

	sb_cmd(s, C_UTIMES);
	sb_str(s, T_PATH, "file");
	sb_put(s, T_ATIME, time, 12);
	sb_put(s, T_MTIME, time, 12);
	sb_put(s, T_CTIME, time, 12);
	sb_end(s);
}

BODY(no_device)
{
	sb_cmd(s, C_MKNOD);
	sb_str(s, T_PATH, "x");
	sb_u64(s, T_MODE, 0100644);
	sb_u64(s, T_RDEV, 1);
	sb_end(s);
}

BODY(truncate_far)
{
	sb_cmd(s, C_TRUNCATE);
	sb_str(s, T_PATH, "file");
	sb_u64(s, T_SIZE, UINT64_MAX);
	sb_end(s);
}

BODY(xattr_none)
{
	sb_path(s, C_REMOVE_XATTR, "file", T_XATTR_NAME, "user.none");
}

BODY(no_data)
{
	sb_cmd(s, C_UPDATE_EXTENT);
	sb_str(s, T_PATH, "file");
	sb_u64(s, T_FILE_OFFSET, 0);
	sb_u64(s, T_SIZE, 4096);
	sb_end(s);
}

static void encoded(struct stream_build *s, uint64_t file_len, uint64_t len,
		    uint64_t off, uint32_t how)
{
	sb_cmd(s, C_ENCODED_WRITE);
	sb_str(s, T_PATH, "file");
	sb_u64(s, T_FILE_OFFSET, 100); /* not aligned: it must be unpacked */
	sb_u64(s, T_UNENCODED_FILE_LEN, file_len);
	sb_u64(s, T_UNENCODED_LEN, len);
	sb_u64(s, T_UNENCODED_OFFSET, off);
	sb_u32(s, T_COMPRESSION, how);
	sb_put(s, T_DATA, "no zstd frame", 13);
	sb_end(s);
}

BODY(encoded_damaged) { encoded(s, 4096, 4096, 0, 2); }
BODY(encoded_huge) { encoded(s, 4096, 1 << 30, 0, 2); }
BODY(encoded_wraps) { encoded(s, 4096, 8192, UINT64_MAX - 100, 2); }
BODY(encoded_past) { encoded(s, 8192, 8192, 4096, 2); }
BODY(encoded_short) { encoded(s, 4096, 4096, 0, 0); }
BODY(encoded_unknown) { encoded(s, 4096, 4096, 0, 9); }

BODY(verity)
{
	uint8_t one = 1;

	sb_cmd(s, C_ENABLE_VERITY);
	sb_str(s, T_PATH, "file");
	sb_put(s, T_VERITY_ALGORITHM, &one, 1);
	sb_u32(s, T_VERITY_BLOCK_SIZE, 4096);
	sb_end(s);
}

BODY(crc)
{
	make(s, "x");
	s->b[s->len - 1] ^= 1;
}

BODY(cut)
{
	make(s, "x");
	s->len -= 3;
	s->cmd = s->len - 20;
}

static const struct row {
	const char *name;
	void (*fill)(struct stream_build *s);
	unsigned version;
	int err;
	const char *text; /* in the message */
} rows[] = {
#define ROW(f, v, err, text) { #f, f, v, err, text }
	ROW(subvol_up, 1, -EPROTO, "byte 17"),
	ROW(subvol_slash, 1, -EPROTO, "name"),
	ROW(subvol_empty, 1, -EPROTO, "name"),
	ROW(subvol_there, 1, -EEXIST, "'a' exists"),
	ROW(no_parent, 1, -ENOENT,
	    "'b' is the difference to its parent with uuid "
	    "75756964-206f-6620-6e6f-206f6e652e2e"),
	ROW(before_subvol, 1, -EPROTO, "which subvolume"),
	ROW(path_up, 1, -EPROTO, "../x"),
	ROW(path_up_only, 1, -EPROTO, "inside"),
	ROW(path_dot, 1, -EPROTO, "inside"),
	ROW(path_up_inside, 1, -EPROTO, "inside"),
	ROW(path_root, 1, -EPROTO, "inside"),
	ROW(path_twice, 1, -EPROTO, "inside"),
	ROW(path_end, 1, -EPROTO, "inside"),
	ROW(path_link, 1, -EPROTO, "'up' is no directory"),
	ROW(path_link_abs, 1, -EPROTO, "'abs' is no directory"),
	ROW(path_file, 1, -EPROTO, "'file' is no directory"),
	ROW(path_missing, 1, -EPROTO, "none/x"),
	ROW(path_there, 1, -EPROTO, "file"),
	ROW(rename_up, 1, -EPROTO, "inside"),
	ROW(rename_made_up, 1, -EPROTO, "inside"),
	ROW(rename_into_itself, 1, -EPROTO, "dir"),
	ROW(link_up, 1, -EPROTO, "inside"),
	ROW(link_dir, 1, -EPROTO, "link x"),
	ROW(unlink_root, 1, -EPROTO, "inside"),
	ROW(unlink_dir, 1, -EPROTO, "unlink dir"),
	ROW(rmdir_full, 1, -EPROTO, "not empty"),
	ROW(write_link, 1, -EPROTO, "up"),
	ROW(write_dir, 1, -EPROTO, "dir"),
	ROW(write_far, 1, -EPROTO, "so long"),
	ROW(no_target, 1, -EPROTO, "target"),
	ROW(name_long, 1, -EPROTO, "inside"),
	ROW(name_nul, 1, -EPROTO, "inside"),
	ROW(clone_missing, 1, -ENOENT,
	    "'b' shares data with the one with uuid "
	    "75756964-206f-6620-6e6f-206f6e652e2e"),
	ROW(clone_up, 1, -EPROTO, "inside"),
	ROW(clone_past, 1, -EPROTO, "past"),
	ROW(clone_wraps, 1, -EPROTO, "so long"),
	ROW(owner_large, 1, -EPROTO, "owner"),
	ROW(time_wrong, 1, -EPROTO, "nanoseconds"),
	ROW(no_device, 1, -EPROTO, "device"),
	ROW(truncate_far, 1, -EPROTO, "truncate file"),
	ROW(xattr_none, 1, -EPROTO, "remove_xattr file"),
	ROW(no_data, 1, -EPROTO, "without data"),
	ROW(encoded_damaged, 2, -EPROTO, "damaged"),
	ROW(encoded_huge, 2, -EPROTO, "packed"),
	ROW(encoded_wraps, 2, -EPROTO, "packed"),
	ROW(encoded_past, 2, -EPROTO, "packed"),
	ROW(encoded_short, 2, -EPROTO, "are no 4096"),
	ROW(encoded_unknown, 2, -EOPNOTSUPP, "way 9"),
	ROW(verity, 3, -EOPNOTSUPP, "verity"),
	ROW(crc, 1, -EPROTO, "checksum"),
	ROW(cut, 1, -EPROTO, "byte "),
};

static void refused(void **state)
{
	static struct stream_build s, parent;
	struct image i;

	(void)state;
	make_image(&i);
	good(&parent);
	assert_int_equal(receive(i.fs, &parent), 0);
	make_dead(i.fs);
	for (unsigned n = 0; n < R3_COUNT(rows); n++) {
		const struct row *row = &rows[n];
		int err;

		s.len = 0;
		sb_head(&s, row->version);
		row->fill(&s);
		err = receive(i.fs, &s);
		if (err != row->err ||
		    !strstr(r3_btrfs_why_of(i.fs, err), row->text))
			fail_msg("%s: %d, not %d: %s", row->name, err,
				 row->err, r3_btrfs_why_of(i.fs, err));
		if (subvols(i.fs) != 1)
			fail_msg("%s: something is left", row->name);
		if (dead(i.fs) != 1)
			fail_msg("%s: %u deleted ones wait, not 1", row->name,
				 dead(i.fs));
		assert_int_equal(r3_btrfs_sync(i.fs), 0);
		check(i.fs, row->name);
	}
	close_image(&i);
}

/* ---- a look in the middle -------------------------------------------------*/

struct middle {
	struct image *i;
	const struct stream_build *s;
	size_t at;
	uint8_t *copy;
	unsigned looks;
};

/* What a crash after a commit would leave, here, between two reads. */
static void look(struct middle *m)
{
	struct image after;
	bool more = true;

	if (r3_btrfs_sync(m->i->fs))
		return;
	memcpy(m->copy, m->i->bytes, SIZE);
	open_image(&after, m->copy);
	assert_int_equal(subvols(after.fs), 1);
	check(after.fs, "in the middle");
	while (more)
		assert_int_equal(r3_btrfs_clean(after.fs, 7, &more), 0);
	assert_int_equal(r3_btrfs_sync(after.fs), 0);
	check(after.fs, "in the middle, cleaned");
	r3_btrfs_close(after.fs);
	r3_btrfs_dev_close(after.dev);
	m->looks++;
}

static ssize_t read_some(void *cookie, char *buf, size_t len)
{
	struct middle *m = cookie;

	len = r3_min(len, m->s->len - m->at);
	memcpy(buf, m->s->b + m->at, len);
	m->at += len;
	if (len)
		look(m); /* before the END, too */
	return (ssize_t)len;
}

static void in_the_middle(void **state)
{
	static struct stream_build s, parent;
	static uint8_t data[9000];
	static char buf[200];
	struct r3_btrfs_receive_options o = { 0 };
	struct middle m = { .s = &s, .copy = calloc(1, SIZE) };
	cookie_io_functions_t io = { .read = read_some };
	struct r3_btrfs_inode in;
	struct image i;
	FILE *f;

	(void)state;
	make_image(&i);
	m.i = &i;
	good(&parent);
	assert_int_equal(receive(i.fs, &parent), 0);
	sb_head(&s, 1);
	sb_snapshot(&s, "b", uuid_b, uuid_a);
	for (char name[2] = "A"; *name < 'N'; ++*name) {
		make(&s, name);
		sb_write(&s, name, 0, data, *name == 'C' ? 9000 : 200);
		if (*name % 2)
			sb_clone(&s, name, 4096, 8192, uuid_a, "file", 0);
	}
	sb_path(&s, C_UNLINK, "file", 0, NULL);
	sb_cmd(&s, C_END);
	sb_end(&s);
	f = fopencookie(&m, "r", io);
	assert_non_null(f);
	setvbuf(f, buf, _IOFBF, sizeof(buf));
	assert_int_equal(r3_btrfs_receive(i.fs, f, &o), 0);
	fclose(f);
	assert_true(m.looks > 40);
	assert_int_equal(subvols(i.fs), 2);
	assert_int_equal(r3_btrfs_lookup(i.fs, "/b/M", &in), 0);
	assert_int_equal(r3_btrfs_lookup(i.fs, "/b/file", &in), -ENOENT);
	assert_int_equal(r3_btrfs_sync(i.fs), 0);
	check(i.fs, "at the end");
	free(m.copy);
	close_image(&i);
}

/* ---- what is found --------------------------------------------------------*/

/* Received uuids come first; a writable subvolume is no parent. */
static void parents(void **state)
{
	static struct stream_build s, parent;
	struct r3_btrfs_subvol *v = malloc(sizeof(*v));
	struct r3_btrfs_inode in;
	struct image i;

	(void)state;
	make_image(&i);
	good(&parent);
	assert_int_equal(receive(i.fs, &parent), 0);
	assert_int_equal(r3_btrfs_lookup(i.fs, "/a", &in), 0);
	assert_int_equal(r3_btrfs_get_subvol(i.fs, in.subvol, v), 0);
	assert_true(v->readonly && v->stransid == 7);
	assert_memory_equal(v->received_uuid, uuid_a, 16);
	/* by its own uuid, as when what we sent comes back changed */
	sb_head(&s, 1);
	sb_snapshot(&s, "b", uuid_b, v->uuid);
	sb_cmd(&s, C_END);
	sb_end(&s);
	assert_int_equal(receive(i.fs, &s), 0);
	assert_int_equal(r3_btrfs_lookup(i.fs, "/b", &in), 0);
	assert_int_equal(r3_btrfs_get_subvol(i.fs, in.subvol, v), 0);
	assert_memory_equal(v->received_uuid, uuid_b, 16);
	/* writable: it may have changed */
	assert_int_equal(r3_btrfs_subvol_set_readonly(i.fs, in.subvol, false),
			 0);
	s.len = 0;
	sb_head(&s, 1);
	sb_snapshot(&s, "c", uuid_none, uuid_b);
	assert_int_equal(receive(i.fs, &s), -ENOENT);
	free(v);
	close_image(&i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(in_the_middle),
		cmocka_unit_test(parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
