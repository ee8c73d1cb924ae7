// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blkverify.c - a disk's client that notices everything
 *
 * Random reads, writes, write zeroes and flushes of random sizes, at random
 * places, from buffers with random alignment in random pieces, over
 * vhost-user-blk.  What each sector must hold follows from (seed, sector,
 * generation); every read is compared with the generation whose write was
 * acknowledged last, and at the end the whole disk is.  Requests that overlap
 * one in flight are not made, so there is exactly one right answer.
 *
 *	blkverify SOCKET [key=value...]
 *
 * The back end may die and come back at any time.  Prints one line of JSON;
 * exits with 1 on any I/O error, wrong byte, or when nothing moves for
 * stuck_ms.  Pauses between completions of at least gap_us are listed (start
 * and end, CLOCK_MONOTONIC) for whoever wants to know what they were.
 * SIGTERM ends the load early, then verifies.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "blk.h"

enum { GAPS_MAX = 65536, TRIES = 32, SECTOR = 512 };

struct keys {
	uint64_t seconds, ops, depth, packed, seed, size, max_len, gap_us;
	uint64_t stuck_ms, spin_us, writes, flushes, pause_us;
};

static struct keys keys = {
	.seconds = 10, .ops = UINT64_MAX, .depth = 32, .seed = 1,
	.size = 256 << 20, .max_len = 128 << 10, .gap_us = 1000,
	.stuck_ms = 30000, .spin_us = 20, .writes = 50, .flushes = 1,
};

static const struct { const char *name; uint64_t *to; } names[] = {
	{ "seconds", &keys.seconds }, { "ops", &keys.ops },
	{ "depth", &keys.depth }, { "packed", &keys.packed },
	{ "seed", &keys.seed }, { "size", &keys.size },
	{ "max_len", &keys.max_len }, { "gap_us", &keys.gap_us },
	{ "stuck_ms", &keys.stuck_ms }, { "spin_us", &keys.spin_us },
	{ "writes", &keys.writes },   /* percent */
	{ "flushes", &keys.flushes }, /* percent */
};

/* A request in flight. */
struct slot {
	struct blk_io io;
	uint32_t gen; /* that a write brings */
};

static struct {
	struct blk blk;
	uint64_t rng;
	uint64_t sectors;
	uint32_t *gen;	/* acknowledged, by sector; 0: zeroes */
	uint8_t *busy;	/* by sector */
	uint32_t next_gen;
	struct slot slots[BLK_DEPTH_MAX];
	uint8_t free[BLK_DEPTH_MAX];
	unsigned free_count;
	uint64_t reads, writes, zeroes, flushes, bytes, verified;
	uint64_t errors, corrupt;
	uint64_t last_ns, gap_max_ns;
	struct { uint64_t from, to; } gaps[GAPS_MAX];
	unsigned gap_count;
} v;

static volatile sig_atomic_t ending;

static void end(int signal)
{
	(void)signal;
	ending = 1;
}

/* ---- random numbers and contents ----------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t any(uint64_t below)
{
	v.rng += UINT64_C(0x9e3779b97f4a7c15);
	return mix(v.rng) % below;
}

static uint64_t word(uint64_t sector, uint32_t gen, unsigned i)
{
	return mix(keys.seed + sector * 64 + i +
		   gen * UINT64_C(0x9e3779b97f4a7c15));
}

static void fill(uint8_t *to, uint64_t sector, uint32_t gen)
{
	for (unsigned i = 0; i < SECTOR / 8; i++) {
		uint64_t w = word(sector, gen, i);

		memcpy(to + 8 * i, &w, 8);
	}
}

/* The first wrong byte's offset, or -1. */
static int differs(const uint8_t *p, uint64_t sector, uint32_t gen)
{
	for (unsigned i = 0; i < SECTOR / 8; i++) {
		uint64_t want = gen ? word(sector, gen, i) : 0, have;

		memcpy(&have, p + 8 * i, 8);
		if (have != want)
			return (int)(8 * i);
	}
	return -1;
}

/* Which write does this sector come from?  For the report: 0 also when none
 * of the last thousands. */
static uint32_t find_gen(const uint8_t *p, uint64_t sector)
{
	uint64_t first;

	memcpy(&first, p, 8);
	for (uint32_t g = v.next_gen; g && g + 1000000 > v.next_gen; g--) {
		if (word(sector, g, 0) == first)
			return g;
	}
	return 0;
}

static void check(const uint8_t *p, uint64_t sector)
{
	int at = differs(p, sector, v.gen[sector]);

	v.verified++;
	if (at < 0)
		return;
	if (v.corrupt++ < 10)
		fprintf(stderr, "blkverify: sector %llu byte %d is wrong: "
			"generation %u is acknowledged, found %u%s\n",
			(unsigned long long)sector, at, v.gen[sector],
			find_gen(p, sector),
			differs(p, sector, 0) < 0 ? " (zeroes)" : "");
}

/* ---- requests ------------------------------------------------------------ */

static bool is_free(uint64_t sector, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (v.busy[sector + i])
			return false;
	}
	return true;
}

static void mark(const struct blk_io *io, bool busy)
{
	memset(v.busy + io->sector, busy, io->len / SECTOR);
}

/* Mostly whole pages as operating systems do it, sometimes anything. */
static bool choose_place(struct blk_io *io)
{
	bool pages = any(10) < 7;
	uint64_t unit = pages ? 8 : 1, most = keys.max_len / SECTOR / unit;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t count = (1 + (any(4) ? any(r3_min(most, 8)) :
						any(most))) * unit;
		uint64_t sector = any(v.sectors - count + 1) / unit * unit;

		if (is_free(sector, count)) {
			io->sector = sector;
			io->len = (uint32_t)(count * SECTOR);
			return true;
		}
	}
	return false;
}

static void choose_buffer(struct blk_io *io)
{
	uint32_t left = io->len;

	io->shift = 0;
	if (!any(5))
		io->shift = (uint32_t)(any(8) * SECTOR);
	else if (!any(10))
		io->shift = (uint32_t)any(BLK_SLACK);
	for (io->pieces = 0; left; io->pieces++) {
		uint32_t part = left;

		if (io->pieces < BLK_PIECES_MAX - 1 && !any(6))
			part = 1 + (uint32_t)any(left);
		if (part < left && any(4)) /* mostly at a page's end */
			part = (uint32_t)r3_min(left, (part + 4095) & ~4095u);
		io->cut[io->pieces] = part;
		left -= part;
	}
}

static uint32_t choose_type(void)
{
	uint64_t n = any(100);

	if (n < keys.flushes && v.blk.has_flush)
		return VIRTIO_BLK_T_FLUSH;
	if (n >= 100 - keys.writes)
		return v.blk.has_zeroes && !any(50) ?
			       VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_OUT;
	return VIRTIO_BLK_T_IN;
}

static int start_one(void)
{
	unsigned i = v.free[v.free_count - 1];
	struct slot *s = &v.slots[i];
	uint8_t *p;
	int err;

	s->io = (struct blk_io){ .type = choose_type() };
	if (s->io.type != VIRTIO_BLK_T_FLUSH) {
		if (!choose_place(&s->io))
			return -EAGAIN;
		choose_buffer(&s->io);
	}
	p = blk_buf(&v.blk, i) + s->io.shift;
	s->gen = 0;
	if (s->io.type == VIRTIO_BLK_T_OUT) {
		s->gen = ++v.next_gen;
		for (uint32_t k = 0; k < s->io.len / SECTOR; k++)
			fill(p + k * SECTOR, s->io.sector + k, s->gen);
	} else if (s->io.type == VIRTIO_BLK_T_IN) {
		memset(p, 0xee, s->io.len); /* an answer without data shows */
	}
	err = blk_submit(&v.blk, i, &s->io);
	if (err)
		return err;
	mark(&s->io, true);
	v.free_count--;
	return 0;
}

static void finish_one(unsigned i, uint8_t status)
{
	struct slot *s = &v.slots[i];
	const struct blk_io *io = &s->io;
	const uint8_t *p = blk_buf(&v.blk, i) + io->shift;

	mark(io, false);
	v.free[v.free_count++] = (uint8_t)i;
	if (status) {
		if (v.errors++ < 10)
			fprintf(stderr, "blkverify: type %u sector %llu "
				"len %u: status %u\n", io->type,
				(unsigned long long)io->sector, io->len,
				status);
		return;
	}
	v.bytes += io->len;
	for (uint32_t k = 0; k < io->len / SECTOR; k++) {
		if (io->type == VIRTIO_BLK_T_IN)
			check(p + k * SECTOR, io->sector + k);
		else
			v.gen[io->sector + k] = s->gen;
	}
	v.reads += io->type == VIRTIO_BLK_T_IN;
	v.writes += io->type == VIRTIO_BLK_T_OUT;
	v.zeroes += io->type == VIRTIO_BLK_T_WRITE_ZEROES;
	v.flushes += io->type == VIRTIO_BLK_T_FLUSH;
}

static void note_gap(uint64_t now)
{
	uint64_t gap = now - v.last_ns;

	if (gap > v.gap_max_ns)
		v.gap_max_ns = gap;
	if (gap >= keys.gap_us * 1000 && v.gap_count < GAPS_MAX) {
		v.gaps[v.gap_count].from = v.last_ns;
		v.gaps[v.gap_count++].to = now;
	}
}

/* Take what is done; wait if nothing is.  0 or why it can't go on. */
static int take_some(void)
{
	uint64_t now = r3_now_ns();
	unsigned slot, taken = 0;
	uint8_t status;
	int n;

	while ((n = blk_get(&v.blk, &slot, &status)) == 1) {
		if (!taken++) {
			note_gap(now);
			v.last_ns = now;
		}
		finish_one(slot, status);
	}
	if (n < 0) {
		fprintf(stderr, "blkverify: the back end breaks the queue: "
			"%s\n", v.blk.q->why);
		return n;
	}
	if (taken || !v.blk.in_flight)
		return 0;
	if (now - v.last_ns > keys.stuck_ms * 1000000) {
		fprintf(stderr, "blkverify: nothing moves, %u in flight\n",
			v.blk.in_flight);
		return -ETIMEDOUT;
	}
	n = blk_wait(&v.blk, 200);
	return n == -ETIMEDOUT ? 0 : n;
}

static int load(void)
{
	uint64_t until = r3_now_ns() + keys.seconds * R3_NS_PER_S;
	int err = 0;

	v.last_ns = r3_now_ns();
	while (!err && !ending && keys.ops && r3_now_ns() < until) {
		while (v.free_count && keys.ops) {
			err = start_one();
			if (err)
				break;
			keys.ops--;
		}
		if (err == -EAGAIN)
			err = 0;
		if (err)
			break;
		blk_kick(&v.blk);
		err = take_some();
	}
	while (!err && v.blk.in_flight)
		err = take_some();
	return err;
}

/* Read everything back. */
static int verify_all(void)
{
	uint64_t at = 0, chunk = keys.max_len / SECTOR;
	int err = 0;

	v.last_ns = r3_now_ns();
	while (!err && (at < v.sectors || v.blk.in_flight)) {
		while (at < v.sectors && v.free_count && !err) {
			unsigned i = v.free[v.free_count - 1];
			struct slot *s = &v.slots[i];
			uint64_t n = r3_min(chunk, v.sectors - at);

			s->io = (struct blk_io){
				.type = VIRTIO_BLK_T_IN, .sector = at,
				.len = (uint32_t)n * SECTOR, .pieces = 1,
				.cut = { (uint32_t)n * SECTOR },
			};
			memset(blk_buf(&v.blk, i), 0xee, s->io.len);
			err = blk_submit(&v.blk, i, &s->io);
			if (err)
				break;
			v.free_count--;
			at += n;
		}
		blk_kick(&v.blk);
		if (!err)
			err = take_some();
	}
	return err;
}

static void print_result(int err, double seconds)
{
	printf("{\"ok\": %s, \"reads\": %llu, \"writes\": %llu, "
	       "\"zeroes\": %llu, \"flushes\": %llu, \"bytes\": %llu, "
	       "\"sectors_verified\": %llu, \"errors\": %llu, "
	       "\"corrupt\": %llu, \"reconnects\": %llu, "
	       "\"seconds\": %.2f, \"gap_max_ms\": %.3f, \"gaps\": [",
	       !err && !v.errors && !v.corrupt ? "true" : "false",
	       (unsigned long long)v.reads, (unsigned long long)v.writes,
	       (unsigned long long)v.zeroes, (unsigned long long)v.flushes,
	       (unsigned long long)v.bytes, (unsigned long long)v.verified,
	       (unsigned long long)v.errors, (unsigned long long)v.corrupt,
	       (unsigned long long)v.blk.reconnects, seconds,
	       (double)v.gap_max_ns / 1e6);
	for (unsigned i = 0; i < v.gap_count; i++)
		printf("%s[%llu, %llu]", i ? ", " : "",
		       (unsigned long long)v.gaps[i].from,
		       (unsigned long long)v.gaps[i].to);
	printf("]}\n");
}

static int read_keys(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		unsigned k = 0;

		while (eq && k < R3_COUNT(names) &&
		       (strlen(names[k].name) != (size_t)(eq - argv[i]) ||
			memcmp(names[k].name, argv[i], (size_t)(eq - argv[i]))))
			k++;
		if (!eq || k == R3_COUNT(names) ||
		    r3_parse_size(eq + 1, names[k].to)) {
			fprintf(stderr, "blkverify: %s?\n", argv[i]);
			return -EINVAL;
		}
	}
	if (!keys.depth || keys.depth > BLK_DEPTH_MAX || keys.max_len < 4096 ||
	    keys.max_len % 4096 || keys.max_len > 1 << 20)
		return -EINVAL;
	return 0;
}

static int set_up(const char *path)
{
	struct blk_conf conf = {
		.path = path, .depth = (unsigned)keys.depth,
		.packed = keys.packed, .max_len = (uint32_t)keys.max_len,
		.spin_us = (unsigned)keys.spin_us,
	};
	int err = blk_open(&v.blk, &conf);

	if (err)
		return err;
	v.rng = keys.seed;
	v.sectors = r3_min(v.blk.sectors, keys.size / SECTOR);
	v.gen = calloc(v.sectors, sizeof(*v.gen));
	v.busy = calloc(v.sectors, 1);
	if (!v.gen || !v.busy || v.sectors < keys.max_len / SECTOR * 4) {
		fprintf(stderr, "blkverify: disk too small or no memory\n");
		return -EINVAL;
	}
	for (unsigned i = 0; i < keys.depth; i++)
		v.free[v.free_count++] = (uint8_t)i;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t start;
	double seconds;
	int err;

	if (argc < 2 || read_keys(argc, argv)) {
		fprintf(stderr, "usage: blkverify SOCKET [key=value...]\n");
		return 2;
	}
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	err = set_up(argv[1]);
	if (err)
		return 2;
	fprintf(stderr, "blkverify: started\n");
	start = r3_now_ns();
	err = load();
	seconds = (double)(r3_now_ns() - start) / 1e9;
	if (!err)
		err = verify_all();
	print_result(err, seconds);
	blk_close(&v.blk);
	return err || v.errors || v.corrupt;
}
