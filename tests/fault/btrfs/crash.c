// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * crash.c - what is on the device when the power goes
 *
 * Random operations run on a volume whose device keeps every write and flush.
 * Then: each prefix of the writes, and of the writes since the last flush any
 * subset, each of its sectors (512 bytes) there or not.  Every such state must
 * open, pass the check, be exactly what some commit left, and be no older than
 * the last sync that had returned; a sample must also take up work again.
 *
 *	crash [--seed N] [--states N] [--size MIB] [--nodesize BYTES] [--warm N]
 *	      [--quota] [--compress] [--behind] [--dump DIR N]
 *
 * --warm lets the first N operations go by unjudged.  With --quota the numbers
 * of each state are counted anew.  With --behind a thread does the writing.  A
 * small --size has the volume use freed space again soon, and meet its end.
 * --dump puts every N-th state into DIR, for other judges.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ops.h"
#include "ring3/btrfs.h"

enum { SECTOR = 512, PAGE = 4096, LOG_MAX = 60000, OPS_A_ROUND = 60,
       SUBSETS = 12, WRITER_EVERY = 37, GENERATIONS = 1 << 20 };


struct write {
	uint64_t off;
	size_t len; /* 0: a flush */
	uint8_t *data;
	uint64_t synced; /* generation that was safe before this */
};

struct run {
	uint64_t size;
	struct r3_btrfs_dev live;  /* what the volume writes to, */
	struct r3_btrfs_dev *dev;  /* or its thread, when it writes to this */
	struct r3_btrfs_dev state; /* what is on the device after the crash */
	uint8_t *now, *then;
	struct write log[LOG_MAX]; /* since the last round */
	unsigned count;
	struct write undo[LOG_MAX]; /* to get back from a state */
	unsigned undo_count;
	uint64_t synced;
	char **pictures; /* by generation; NULL: not known */
	struct ops *ops; /* also the source of chance here */
	struct ops *dice;
	uint64_t seed, step, states, want, unknown, writers;
	uint64_t first_write; /* of the round, for messages */
	const char *dump;
	unsigned dump_every, dumped;
};

static struct run *g;
#define SIZE g->size

static void die(const char *what, const char *why)
{
	printf("FAILED: %s: %s (seed %llu, after operation %llu, state "
	       "%llu)\n", what, why, (unsigned long long)g->seed,
	       (unsigned long long)g->step, (unsigned long long)g->states);
	if (g->dump) {
		char path[256];
		FILE *f;

		snprintf(path, sizeof(path), "%s/failed.img", g->dump);
		f = fopen(path, "w");
		fwrite(g->then, 1, SIZE, f);
		fclose(f);
		printf("the state is in %s\n", path);
	}
	exit(1);
}

/* ---- devices --------------------------------------------------------------*/

static int mem_read(struct r3_btrfs_dev *dev, uint64_t off, void *buf,
		    size_t len)
{
	if (off > SIZE || len > SIZE - off)
		return -EIO;
	memcpy(buf, (dev == &g->live ? g->now : g->then) + off, len);
	return 0;
}

static void keep(struct write *list, unsigned *count, uint64_t off,
		 const void *data, size_t len)
{
	struct write *w = &list[*count];

	if (*count == LOG_MAX)
		die("this test", "its log is full");
	*w = (struct write){ .off = off, .len = len, .synced = g->synced };
	if (len) {
		w->data = malloc(len);
		memcpy(w->data, data, len);
	}
	++*count;
}

static int live_write(struct r3_btrfs_dev *dev, uint64_t off, const void *buf,
		      size_t len)
{
	(void)dev;
	if (off > SIZE || len > SIZE - off)
		return -EIO;
	keep(g->log, &g->count, off, buf, len);
	memcpy(g->now + off, buf, len);
	return 0;
}

static int live_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	keep(g->log, &g->count, 0, NULL, 0);
	return 0;
}

static int state_write(struct r3_btrfs_dev *dev, uint64_t off,
		       const void *buf, size_t len)
{
	(void)dev;
	if (off > SIZE || len > SIZE - off)
		return -EIO;
	keep(g->undo, &g->undo_count, off, g->then + off, len);
	memcpy(g->then + off, buf, len);
	return 0;
}

static int state_flush(struct r3_btrfs_dev *dev)
{
	(void)dev;
	return 0;
}

static void no_close(struct r3_btrfs_dev *dev)
{
	(void)dev;
}

static const struct r3_btrfs_dev_ops live_ops = {
	.read = mem_read, .write = live_write,
	.flush = live_flush, .close = no_close,
}, state_ops = {
	.read = mem_read, .write = state_write,
	.flush = state_flush, .close = no_close,
};

static void go_back(void)
{
	while (g->undo_count) {
		struct write *w = &g->undo[--g->undo_count];

		memcpy(g->then + w->off, w->data, w->len);
		free(w->data);
	}
}

/* ---- judging --------------------------------------------------------------*/

/* A torn super block is no wonder here, as long as another copy is good. */
static void problem(void *arg, const char *text)
{
	char *first = arg;

	if (!*first && strncmp(text, "super block: only", 17))
		snprintf(first, 512, "%s", text);
}

static void check(struct r3_btrfs *fs, const char *what)
{
	char first[512] = "";
	struct r3_btrfs_check_options opts = { .qgroups = true,
					       .problem = problem,
					       .arg = first };
	struct r3_btrfs_check_result res;

	if (r3_btrfs_check(fs, &opts, &res))
		die(what, r3_btrfs_why(fs));
	if (*first)
		die(what, first);
}

/* Somebody mounts it and goes on. */
static void try_writer(void)
{
	struct r3_btrfs_options opts = { .write = true };
	struct r3_btrfs_new what = { .mode = S_IFREG | 0600 };
	struct r3_btrfs_inode top = { R3_BTRFS_TOP, R3_BTRFS_ROOT_INO }, in;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	bool more = true;

	if (r3_btrfs_open(&g->state, &opts, &fs, &why))
		die("opening for writing", why.text);
	while (more)
		if (r3_btrfs_clean(fs, 1000, &more))
			die("cleaning", r3_btrfs_why(fs));
	if (r3_btrfs_make(fs, top, "afterwards", 10, &what, &in) ||
	    r3_btrfs_write(fs, in, 0, "and on it goes", 14) ||
	    r3_btrfs_sync(fs))
		die("writing", r3_btrfs_why(fs));
	r3_btrfs_close(fs);
	if (r3_btrfs_open(&g->state, NULL, &fs, &why))
		die("opening again", why.text);
	check(fs, "the check after writing");
	r3_btrfs_close(fs);
	g->writers++;
}

static void dump_state(void)
{
	static const uint8_t zeros[PAGE];
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%06llu.img", g->dump,
		 (unsigned long long)g->states);
	f = fopen(path, "w");
	if (!f || ftruncate(fileno(f), (off_t)SIZE))
		die("dumping", strerror(errno));
	for (uint64_t at = 0; at < SIZE; at += PAGE) {
		if (memcmp(g->then + at, zeros, PAGE) &&
		    pwrite(fileno(f), g->then + at, PAGE, (off_t)at) != PAGE)
			die("dumping", strerror(errno));
	}
	fclose(f);
	g->dumped++;
}

static void compare(const char *want, const char *got)
{
	char text[1024];
	size_t line = 0;

	if (!want) {
		g->unknown++;
		return;
	}
	if (!strcmp(want, got))
		return;
	for (size_t i = 0; want[i] == got[i]; i++)
		line = want[i] == '\n' ? i + 1 : line;
	snprintf(text, sizeof(text), "is not what that commit held:\n- %.*s\n"
		 "+ %.*s\n", (int)strcspn(want + line, "\n"), want + line,
		 (int)strcspn(got + line, "\n"), got + line);
	die("its content", text);
}

/* @synced: the generation that somebody had been told is safe. */
static void judge(uint64_t synced)
{
	struct r3_btrfs_options opts = { .cache_bytes = 4 << 20 };
	struct r3_btrfs_info info;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;
	char *picture;

	g->states++;
	if (r3_btrfs_open(&g->state, &opts, &fs, &why))
		die("opening", why.text);
	if (r3_btrfs_get_info(fs, &info))
		die("its subvolumes", r3_btrfs_why(fs));
	if (info.generation < synced)
		die("what was synced", "is not there");
	check(fs, "the check");
	if (ops_lib_picture(fs, &picture))
		die("reading it", r3_btrfs_why(fs));
	compare(g->pictures[info.generation], picture);
	free(picture);
	r3_btrfs_close(fs);
	if (g->dump && g->states % g->dump_every == 0)
		dump_state();
	if (g->states % WRITER_EVERY == 0)
		try_writer();
}

/* ---- states ---------------------------------------------------------------*/

static void apply(const struct write *w)
{
	state_write(&g->state, w->off, w->data, w->len);
}

/* Some sectors of it. */
static void apply_torn(const struct write *w)
{
	for (size_t at = 0; at < w->len; at += SECTOR) {
		if (ops_random(g->dice, 2))
			state_write(&g->state, w->off + at, w->data + at,
				    r3_min(SECTOR, w->len - at));
	}
}

/* Of the writes [from, to), which no flush parts, any. */
static void subset(unsigned from, unsigned to)
{
	unsigned keep_of_8 = ops_random(g->dice, 9);

	for (unsigned i = from; i < to; i++) {
		if (ops_random(g->dice, 8) >= keep_of_8)
			continue;
		if (ops_random(g->dice, 4))
			apply(&g->log[i]);
		else
			apply_torn(&g->log[i]);
	}
	judge(g->log[to - 1].synced);
	go_back();
}

/* The kernel reads the first super block only, and a torn one is a volume that
 * does not mount; we take the next copy then.  With one copy on the device it
 * would be lost, as with every Btrfs: SIZE has two. */
static void epoch(unsigned from, unsigned to)
{
	for (unsigned i = 0; i < SUBSETS && from < to; i++)
		subset(from, to);
	for (unsigned i = from; i < to; i++) {
		apply(&g->log[i]);
		/* this one is for good */
		free(g->undo[--g->undo_count].data);
		judge(g->log[i].synced);
		go_back(); /* what a writer did */
	}
}

static void drop_log(void)
{
	for (unsigned i = 0; i < g->count; i++)
		free(g->log[i].data);
	g->count = 0;
}

static void replay(void)
{
	unsigned from = 0;

	for (unsigned i = 0; i <= g->count; i++) {
		if (i < g->count && g->log[i].len)
			continue;
		epoch(from, i);
		from = i + 1;
	}
	drop_log();
	if (memcmp(g->now, g->then, SIZE))
		die("this test", "replaying all gives another device");
}

/* ---- the run --------------------------------------------------------------*/

static void *room(void)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

static void remember(struct r3_btrfs *fs)
{
	struct r3_btrfs_info info;

	char **picture;

	if (r3_btrfs_get_info(fs, &info))
		die("the live volume", r3_btrfs_why(fs));
	picture = &g->pictures[info.generation];
	free(*picture);
	if (ops_lib_picture(fs, picture))
		die("reading the live volume", r3_btrfs_why(fs));
	g->synced = info.generation;
}

/* A round of operations, all of them synced in the end. */
static void work(struct r3_btrfs *fs)
{
	struct ops_lib lib;
	struct op op;
	bool more;
	int err;

	ops_lib_init(&lib, fs);
	for (unsigned i = 0; i < OPS_A_ROUND; i++) {
		err = ops_step(g->ops, &lib.target, &op);
		g->step++;
		if (err == -EIO || err == -EUCLEAN || err == -EROFS)
			die("an operation", r3_btrfs_why(fs));
		if (!err && op.kind == OP_SYNC)
			remember(fs);
	}
	if (r3_btrfs_clean(fs, 20, &more) || r3_btrfs_sync(fs))
		die("the sync", r3_btrfs_why(fs));
	remember(fs);
	/* the log is whole when nothing is on its way any more */
	if (g->dev != &g->live && g->dev->ops->flush(g->dev))
		die("the flush", "failed");
}

static struct r3_btrfs *begin(unsigned compression, uint32_t nodesize,
			      bool quota, bool behind, unsigned warm)
{
	struct r3_btrfs_mkfs_options mkfs = { .size = SIZE,
					      .nodesize = nodesize };
	struct r3_btrfs_options opts = { .write = true,
					 .compression = compression };
	struct r3_btrfs_mkfs_result res;
	struct r3_btrfs_why why;
	struct r3_btrfs *fs;

	g->live = (struct r3_btrfs_dev){ .ops = &live_ops, .size = SIZE };
	g->dev = &g->live;
	g->state = (struct r3_btrfs_dev){ .ops = &state_ops, .size = SIZE };
	g->now = room();
	g->then = room();
	g->pictures = calloc(GENERATIONS, sizeof(*g->pictures));
	if (behind && r3_btrfs_dev_behind(&g->dev))
		die("this test", "no thread");
	if (r3_btrfs_mkfs(g->dev, &mkfs, &res, &why) ||
	    r3_btrfs_open(g->dev, &opts, &fs, &why))
		die("making it", why.text);
	if (quota && (r3_btrfs_quota_enable(fs) || r3_btrfs_sync(fs)))
		die("quotas", r3_btrfs_why(fs));
	if (g->dev->ops->flush(g->dev))
		die("the flush", "failed");
	drop_log();
	for (unsigned i = 0; i < warm; i += OPS_A_ROUND) {
		work(fs);
		drop_log();
	}
	memcpy(g->then, g->now, SIZE);
	remember(fs);
	return fs;
}

int main(int argc, char **argv)
{
	unsigned compression = 0, warm = 0;
	uint32_t nodesize = 0;
	bool quota = false, behind = false;
	struct r3_btrfs *fs;

	g = calloc(1, sizeof(*g));
	g->seed = 1;
	g->want = 2000;
	g->size = 512 << 20;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			g->seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--states") && i + 1 < argc)
			g->want = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--size") && i + 1 < argc)
			g->size = strtoull(argv[++i], NULL, 0) << 20;
		else if (!strcmp(argv[i], "--nodesize") && i + 1 < argc)
			nodesize = (uint32_t)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--warm") && i + 1 < argc)
			warm = (unsigned)atoi(argv[++i]);
		else if (!strcmp(argv[i], "--quota"))
			quota = true;
		else if (!strcmp(argv[i], "--behind"))
			behind = true;
		else if (!strcmp(argv[i], "--compress"))
			compression = 3;
		else if (!strcmp(argv[i], "--dump") && i + 2 < argc) {
			g->dump = argv[++i];
			g->dump_every = (unsigned)atoi(argv[++i]);
		} else
			return 2;
	}
	g->ops = ops_new(g->seed);
	g->dice = ops_new(g->seed + 1000000);
	fs = begin(compression, nodesize, quota, behind, warm);
	while (g->states < g->want) {
		work(fs);
		replay();
	}
	r3_btrfs_close(fs);
	r3_btrfs_dev_close(g->dev);
	printf("seed %llu: %llu operations, %llu states opened, checked and "
	       "compared, %llu of them written to again; %llu at a commit "
	       "within an operation\n", (unsigned long long)g->seed,
	       (unsigned long long)g->step, (unsigned long long)g->states,
	       (unsigned long long)g->writers, (unsigned long long)g->unknown);
	if (g->unknown > g->states / 4)
		die("this test", "too few states had a known content");
	return 0;
}
