// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * subvol.c - subvolumes and snapshots made, changed and deleted in any order
 *
 * Small nodes make trees of three levels from few files.  After each commit the
 * whole volume is checked as somebody else would who opens it then, and every
 * file of every subvolume is compared with what was put there.
 *
 * With a folder and a number as arguments, the volume is also left there in the
 * middle of it all, for others to look at; the number begins another order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "ring3/btrfs.h"

enum {
	SIZE = 192 << 20,
	FILES = 420,
	SUBVOLS = 24,
	STEPS = 1000,
	VALUE_MAX = 3000,
	DATA_MAX = 40000,
};

static const char *image_dir;
static unsigned order = 1;

struct subvol {
	uint64_t id;
	bool readonly;
	uint32_t version[FILES]; /* of each file; 0: it is not there */
	uint64_t ino[FILES];
};

struct volume {
	uint8_t *bytes;
	struct r3_btrfs_dev *dev;
	struct r3_btrfs *fs;
	struct subvol subvols[SUBVOLS];
	unsigned count, named, problems;
	uint32_t versions;
	uint64_t seed;
	char first[512];
};

static uint64_t rnd(struct volume *v, uint64_t below)
{
	v->seed = v->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (v->seed >> 33) % below;
}

static void ok(struct volume *v, int err)
{
	if (err)
		fail_msg("%s (%s)", r3_btrfs_why(v->fs), strerror(-err));
}

static void open_volume(struct volume *v)
{
	struct r3_btrfs_options o = { .write = true };
	struct r3_btrfs_why why;

	if (r3_btrfs_open(v->dev, &o, &v->fs, &why))
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	struct r3_btrfs_mkfs_options o = { .size = SIZE, .nodesize = 4096 };
	struct volume *v = calloc(1, sizeof(*v));
	struct r3_btrfs_mkfs_result r;
	struct r3_btrfs_why why;

	v->bytes = calloc(1, SIZE);
	v->seed = order;
	assert_int_equal(r3_btrfs_dev_mem(v->bytes, SIZE, &v->dev), 0);
	if (r3_btrfs_mkfs(v->dev, &o, &r, &why))
		fail_msg("%s", why.text);
	open_volume(v);
	*state = v;
	return 0;
}

static int teardown(void **state)
{
	struct volume *v = *state;

	r3_btrfs_close(v->fs);
	r3_btrfs_dev_close(v->dev);
	free(v->bytes);
	free(v);
	return 0;
}

/* ---- the volume as others see it ------------------------------------------*/

static void problem(void *arg, const char *text)
{
	struct volume *v = arg;

	if (!v->problems++)
		snprintf(v->first, sizeof(v->first), "%s", text);
}

static void check(struct volume *v)
{
	struct r3_btrfs_check_options o = { .data = true, .problem = problem,
					    .arg = v };
	struct r3_btrfs_check_result r;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	ok(v, r3_btrfs_sync(v->fs));
	if (r3_btrfs_open(v->dev, NULL, &fs, &why))
		fail_msg("%s", why.text);
	if (r3_btrfs_check(fs, &o, &r))
		fail_msg("%s", r3_btrfs_why(fs));
	r3_btrfs_close(fs);
	if (v->problems)
		fail_msg("%u problems, first: %s", v->problems, v->first);
}

/* ---- files, whose content follows from their version ----------------------*/

static size_t value_len(uint32_t version)
{
	return version * UINT32_C(2654435761) % VALUE_MAX;
}

static size_t data_len(uint32_t version)
{
	return version % 3 ? version * UINT32_C(40503) % DATA_MAX : 0;
}

static void fill(uint8_t *to, size_t len, uint32_t version)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(version * 131 + i * 7 + i / 251);
}

static size_t file_name(char *name, unsigned file)
{
	return (size_t)sprintf(name, "file%u", file);
}

static void file_set(struct volume *v, struct subvol *s, unsigned file)
{
	struct r3_btrfs_inode root = { s->id, R3_BTRFS_ROOT_INO }, in;
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	uint8_t value[VALUE_MAX], data[DATA_MAX];
	uint32_t version = ++v->versions;
	size_t len;
	char name[32];

	if (s->version[file])
		in = (struct r3_btrfs_inode){ s->id, s->ino[file] };
	else
		ok(v, r3_btrfs_make(v->fs, root, name, file_name(name, file),
				    &what, &in));
	s->ino[file] = in.ino;
	fill(value, len = value_len(version), version);
	ok(v, r3_btrfs_setxattr(v->fs, in, "user.v", 6, value, len, 0));
	fill(data, len = data_len(version), version);
	ok(v, r3_btrfs_truncate(v->fs, in, len / 2));
	if (len)
		ok(v, r3_btrfs_write(v->fs, in, 0, data, len));
	s->version[file] = version;
}

static void file_remove(struct volume *v, struct subvol *s, unsigned file)
{
	struct r3_btrfs_inode root = { s->id, R3_BTRFS_ROOT_INO };
	char name[32];

	if (s->version[file])
		ok(v, r3_btrfs_unlink(v->fs, root, name,
				      file_name(name, file)));
	s->version[file] = 0;
}

static int value_compare(void *arg, const char *name, size_t name_len,
			 const void *value, size_t len)
{
	uint32_t version = *(const uint32_t *)arg;
	uint8_t want[VALUE_MAX];

	assert_int_equal(name_len, 6);
	assert_memory_equal(name, "user.v", 6);
	assert_int_equal(len, value_len(version));
	fill(want, len, version);
	assert_memory_equal(value, want, len);
	return 1;
}

static void file_compare(struct volume *v, struct r3_btrfs_inode in,
			 uint32_t version)
{
	static uint8_t want[DATA_MAX + 1], data[DATA_MAX + 1];
	size_t got;

	assert_int_equal(r3_btrfs_each_xattr(v->fs, in, value_compare,
					     &version), 1);
	ok(v, r3_btrfs_read(v->fs, in, 0, data, sizeof(data), &got));
	assert_int_equal(got, data_len(version));
	fill(want, got, version);
	assert_memory_equal(data, want, got);
}

struct compare {
	struct volume *v;
	const struct subvol *s;
	unsigned seen;
};

static int compare_entry(void *arg, const struct r3_btrfs_dirent *e)
{
	struct compare *c = arg;
	unsigned file;

	if (sscanf(e->name, "file%u", &file) != 1)
		return 0;
	assert_true(file < FILES && c->s->version[file]);
	assert_int_equal(e->in.ino, c->s->ino[file]);
	file_compare(c->v, e->in, c->s->version[file]);
	c->seen++;
	return 0;
}

static void subvol_compare(struct volume *v, const struct subvol *s)
{
	struct r3_btrfs_inode root = { s->id, R3_BTRFS_ROOT_INO };
	struct compare c = { .v = v, .s = s };
	unsigned want = 0;

	for (unsigned i = 0; i < FILES; i++)
		want += s->version[i] != 0;
	ok(v, r3_btrfs_each_entry(v->fs, root, 0, compare_entry, &c));
	assert_int_equal(c.seen, want);
}

/* ---- subvolumes -----------------------------------------------------------*/

static const struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO };

static struct subvol *subvol_new(struct volume *v)
{
	struct subvol *s = &v->subvols[v->count++];
	char name[32];
	size_t len = (size_t)sprintf(name, "sv%u", v->named++);

	memset(s, 0, sizeof(*s));
	ok(v, r3_btrfs_subvol_create(v->fs, top, name, len, NULL, &s->id));
	return s;
}

static struct subvol *subvol_snapshot(struct volume *v,
				      const struct subvol *from, bool readonly)
{
	struct subvol *s = &v->subvols[v->count++];
	char name[32];
	size_t len = (size_t)sprintf(name, "sv%u", v->named++);

	*s = *from;
	s->readonly = readonly;
	ok(v, r3_btrfs_snapshot(v->fs, from->id, top, name, len, readonly,
				NULL, &s->id));
	return s;
}

static void subvol_delete(struct volume *v, unsigned i)
{
	ok(v, r3_btrfs_subvol_delete(v->fs, v->subvols[i].id));
	v->subvols[i] = v->subvols[--v->count];
}

static void clean(struct volume *v, unsigned blocks)
{
	bool more = true;

	while (more) {
		ok(v, r3_btrfs_clean(v->fs, blocks, &more));
		if (blocks)
			break;
		blocks = 1000;
	}
}

static void clean_all(struct volume *v)
{
	bool more = true;

	while (more)
		ok(v, r3_btrfs_clean(v->fs, 37, &more));
}

static void reopen(struct volume *v)
{
	ok(v, r3_btrfs_sync(v->fs));
	r3_btrfs_close(v->fs);
	open_volume(v);
}

static void one_step(struct volume *v)
{
	struct subvol *s = &v->subvols[rnd(v, v->count)];
	uint64_t what = rnd(v, 100);

	if (what < 60) {
		for (unsigned n = (unsigned)rnd(v, 4); n && !s->readonly; n--) {
			if (rnd(v, 5))
				file_set(v, s, (unsigned)rnd(v, FILES));
			else
				file_remove(v, s, (unsigned)rnd(v, FILES));
		}
	} else if (what < 75 && v->count < SUBVOLS) {
		subvol_snapshot(v, s, !rnd(v, 3));
	} else if (what < 84 && v->count > 2) {
		subvol_delete(v, (unsigned)rnd(v, v->count));
	} else if (what < 92) {
		clean(v, 1 + (unsigned)rnd(v, 30));
	} else if (what < 98) {
		check(v);
	} else {
		reopen(v);
	}
}

static void save(struct volume *v)
{
	char path[256];
	FILE *f;

	ok(v, r3_btrfs_sync(v->fs));
	snprintf(path, sizeof(path), "%s/order%u.img", image_dir, order);
	f = fopen(path, "w");
	assert_non_null(f);
	for (size_t at = 0; at < SIZE; at += 65536) {
		static const uint8_t zeros[65536];

		if (memcmp(v->bytes + at, zeros, sizeof(zeros)))
			assert_int_equal(fwrite(v->bytes + at, 1, 65536, f),
					 65536);
		else
			fseek(f, 65536, SEEK_CUR);
	}
	assert_int_equal(ftruncate(fileno(f), SIZE), 0);
	assert_int_equal(fclose(f), 0);
}

/* The judge is the check after each commit; the content is compared also with
 * what the running transaction shows. */
static void any_order(void **state)
{
	struct volume *v = *state;
	struct subvol *s = subvol_new(v);

	for (unsigned i = 0; i < FILES; i++)
		file_set(v, s, i);
	check(v);
	for (unsigned i = 0; i < STEPS; i++) {
		one_step(v);
		if (i % 50 == 0)
			subvol_compare(v, &v->subvols[rnd(v, v->count)]);
	}
	reopen(v);
	for (unsigned i = 0; i < v->count; i++)
		subvol_compare(v, &v->subvols[i]);
	if (image_dir) {
		subvol_delete(v, 0);
		clean(v, 23);
		save(v);
	}
	while (v->count) {
		subvol_delete(v, (unsigned)rnd(v, v->count));
		clean(v, 20);
		check(v);
	}
	clean_all(v);
	check(v);
}

static int create(struct volume *v, struct r3_btrfs_inode dir,
		  const char *name)
{
	uint64_t id;

	return r3_btrfs_subvol_create(v->fs, dir, name, strlen(name), NULL,
				      &id);
}

static int snapshot(struct volume *v, uint64_t source,
		    struct r3_btrfs_inode dir, const char *name)
{
	uint64_t id;

	return r3_btrfs_snapshot(v->fs, source, dir, name, strlen(name), true,
				 NULL, &id);
}

/* What is refused changes nothing, and says why. */
static void refused(void **state)
{
	struct r3_btrfs_new what = { .mode = S_IFREG | 0644 };
	struct volume *v = *state;
	uint64_t a = subvol_new(v)->id, b = subvol_new(v)->id, ro, group = 5;
	struct r3_btrfs_inode in_a = { a, R3_BTRFS_ROOT_INO }, in_ro, file;
	struct r3_btrfs_inherit inherit = { &group, 1 };

	ro = subvol_snapshot(v, &v->subvols[1], true)->id;
	in_ro = (struct r3_btrfs_inode){ ro, R3_BTRFS_ROOT_INO };
	ok(v, r3_btrfs_make(v->fs, top, "file", 4, &what, &file));
	ok(v, create(v, in_a, "inner"));
	ok(v, r3_btrfs_subvol_set_default(v->fs, b));
	check(v);
	assert_int_equal(create(v, top, "sv0"), -EEXIST);
	assert_int_equal(create(v, top, "file"), -EEXIST);
	assert_int_equal(create(v, top, ".."), -EINVAL);
	assert_int_equal(create(v, file, "x"), -ENOTDIR);
	assert_int_equal(create(v, in_ro, "x"), -EROFS);
	assert_int_equal(snapshot(v, 12345, top, "x"), -ENOENT);
	assert_int_equal(snapshot(v, a, top, "sv1"), -EEXIST);
	assert_int_equal(snapshot(v, a, in_ro, "x"), -EROFS);
	assert_int_equal(r3_btrfs_subvol_create(v->fs, top, "x", 1, &inherit,
						&group), -ENOTCONN);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, R3_BTRFS_TOP), -EPERM);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, b), -EPERM);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, a), -ENOTEMPTY);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, 12345), -ENOENT);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, 9), -ENOENT);
	ok(v, r3_btrfs_hold(v->fs, in_ro));
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, ro), -EBUSY);
	ok(v, r3_btrfs_release(v->fs, in_ro));
	ok(v, r3_btrfs_subvol_delete(v->fs, ro));
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, ro), -ENOENT);
	assert_int_equal(snapshot(v, ro, top, "x"), -ENOENT);
	assert_int_equal(r3_btrfs_subvol_set_default(v->fs, ro), -ENOENT);
	assert_int_equal(r3_btrfs_subvol_set_readonly(v->fs, ro, 0), -ENOENT);
	clean_all(v);
	ok(v, r3_btrfs_subvol_set_default(v->fs, R3_BTRFS_TOP));
	ok(v, r3_btrfs_subvol_delete(v->fs, b));
	clean_all(v);
	check(v);
}

static void reading_only(void **state)
{
	struct volume *v = *state;
	struct r3_btrfs *fs = v->fs, *other;
	uint64_t a = subvol_new(v)->id;
	struct r3_btrfs_why why;
	bool more;

	check(v);
	assert_int_equal(r3_btrfs_open(v->dev, NULL, &other, &why), 0);
	v->fs = other;
	assert_int_equal(create(v, top, "x"), -EROFS);
	assert_int_equal(snapshot(v, a, top, "x"), -EROFS);
	assert_int_equal(r3_btrfs_subvol_delete(other, a), -EROFS);
	assert_int_equal(r3_btrfs_clean(other, 1, &more), -EROFS);
	assert_int_equal(r3_btrfs_subvol_set_readonly(other, a, 1), -EROFS);
	assert_int_equal(r3_btrfs_subvol_set_default(other, a), -EROFS);
	v->fs = fs;
	r3_btrfs_close(other);
	check(v);
}

/* A file without a name, which somebody holds, is not in a snapshot. */
static void held(void **state)
{
	struct volume *v = *state;
	struct subvol *s = subvol_new(v), *shot;
	struct r3_btrfs_inode in, there;
	struct r3_btrfs_stat st;

	file_set(v, s, 0);
	file_set(v, s, 1);
	in = (struct r3_btrfs_inode){ s->id, s->ino[1] };
	ok(v, r3_btrfs_hold(v->fs, in));
	file_remove(v, s, 1);
	shot = subvol_snapshot(v, s, true);
	there = (struct r3_btrfs_inode){ shot->id, s->ino[1] };
	assert_int_equal(r3_btrfs_stat(v->fs, there, &st), -ENOENT);
	ok(v, r3_btrfs_stat(v->fs, in, &st));
	check(v);
	assert_int_equal(r3_btrfs_subvol_delete(v->fs, s->id), -EBUSY);
	ok(v, r3_btrfs_release(v->fs, in));
	assert_int_equal(r3_btrfs_stat(v->fs, in, &st), -ENOENT);
	subvol_compare(v, shot);
	check(v);
}

static int fill_up(struct volume *v, struct subvol *s, uint64_t off)
{
	struct r3_btrfs_inode in = { s->id, s->ino[0] };
	static const uint8_t data[1 << 20] = { 1 };
	int err = 0;

	while (!err) {
		err = r3_btrfs_write(v->fs, in, off, data, sizeof(data));
		off += sizeof(data);
	}
	return err;
}

/* With no space left subvolumes can be deleted, and their space comes back;
 * twice, as what is lost would add up. */
static void full(void **state)
{
	struct volume *v = *state;
	char name[32];
	int err;

	for (unsigned round = 0; round < 2; round++) {
		struct subvol *s = subvol_new(v);
		uint64_t id = 0;

		for (unsigned i = 0; i < FILES; i++)
			file_set(v, s, i);
		assert_int_equal(fill_up(v, s, 0), -ENOSPC);
		for (err = 0; !err;)
			err = r3_btrfs_snapshot(v->fs, s->id, top, name,
				(size_t)sprintf(name, "sv%u", v->named++),
				false, NULL, &id);
		assert_int_equal(err, -ENOSPC);
		check(v);
		for (; id > s->id; id--)
			ok(v, r3_btrfs_subvol_delete(v->fs, id));
		subvol_delete(v, 0);
		clean_all(v);
		check(v);
	}
}

/* Numbers go up, and are not given again while the volume is open. */
static void numbers(void **state)
{
	struct volume *v = *state;
	uint64_t first = subvol_new(v)->id;

	assert_int_equal(first, 256);
	for (unsigned i = 1; i <= 5; i++) {
		subvol_delete(v, 0);
		clean_all(v);
		assert_int_equal(subvol_new(v)->id, first + i);
	}
	check(v);
}

static void marks(void **state)
{
	struct volume *v = *state;
	struct subvol *s = subvol_new(v), *shot;
	struct r3_btrfs_subvol now, then;

	file_set(v, s, 0);
	check(v);
	ok(v, r3_btrfs_get_subvol(v->fs, s->id, &now));
	assert_false(now.readonly || now.snapshot);
	assert_string_equal(now.path, "sv0");
	assert_int_equal(now.parent, R3_BTRFS_TOP);
	shot = subvol_snapshot(v, s, true);
	ok(v, r3_btrfs_get_subvol(v->fs, shot->id, &then));
	assert_true(then.readonly && then.snapshot);
	assert_memory_equal(then.parent_uuid, now.uuid, 16);
	assert_memory_not_equal(then.uuid, now.uuid, 16);
	assert_int_equal(then.ctransid, now.ctransid);
	assert_true(then.otransid > now.ctransid);
	ok(v, r3_btrfs_subvol_set_readonly(v->fs, shot->id, false));
	check(v);
	reopen(v);
	ok(v, r3_btrfs_get_subvol(v->fs, shot->id, &then));
	assert_false(then.readonly);
	file_set(v, shot, 0);
	file_set(v, shot, 1);
	subvol_compare(v, s);
	subvol_compare(v, shot);
	check(v);
}

/* All in one commit, of a source that has changed in it and goes on to; then
 * all are given back. */
static void many(void **state)
{
	enum { COUNT = 1000 };
	struct r3_btrfs_info info;
	struct volume *v = *state;
	struct subvol *s = subvol_new(v);
	uint64_t first = 0, id = 0, used;
	char name[32];

	for (unsigned i = 0; i < 50; i++)
		file_set(v, s, i);
	check(v);
	ok(v, r3_btrfs_get_info(v->fs, &info));
	used = info.bytes_used;
	for (unsigned i = 0; i < COUNT; i++) {
		if (i % 100 == 50)
			file_set(v, s, i % 50);
		ok(v, r3_btrfs_snapshot(v->fs, s->id, top, name,
					(size_t)sprintf(name, "many%u", i),
					i % 2, NULL, &id));
		first = first ? first : id;
	}
	assert_int_equal(id, first + COUNT - 1);
	check(v);
	ok(v, r3_btrfs_get_info(v->fs, &info));
	assert_int_equal(info.subvolumes, COUNT + 1);
	for (; id >= first; id--)
		ok(v, r3_btrfs_subvol_delete(v->fs, id));
	clean_all(v);
	check(v);
	ok(v, r3_btrfs_get_info(v->fs, &info));
	assert_int_equal(info.subvolumes, 1);
	assert_true(info.bytes_used < used + used / 4);
	subvol_compare(v, s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_only, setup, teardown),
		cmocka_unit_test_setup_teardown(held, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(marks, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
		cmocka_unit_test_setup_teardown(any_order, setup, teardown),
	};

	if (argc == 3) {
		image_dir = argv[1];
		order = (unsigned)atoi(argv[2]);
		cmocka_set_test_filter("any_order");
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
