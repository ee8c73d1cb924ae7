// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel_rtt.c - the round trip of one request, beside a bare cache line
 *
 *	channel_rtt [ROUNDS] [MS]
 *
 * Two processes, each on a processor of its own.  Bare: one writes a number
 * into a cache line, the other answers in the same line: what the machine
 * itself takes.  Packed, split: add, publish and look whether to kick; pop,
 * push, publish and look whether to call; get.  All in turns in each round,
 * since the same pair of processors is ten times slower at other times; the
 * ratio is taken within a round.  Medians of chunks, then of all rounds.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring3/channel.h"

#define ROUNDS_MAX 1000
#define RING_SIZE  256
#define CHUNK	   32 /* round trips between two looks at the clock */
#define CHUNKS_MAX 8192
#define GUEST	   UINT64_C(0x100000)

enum { BARE, PACKED, PACKED_INFLIGHT, SPLIT, KINDS };

static const char *const names[KINDS] = {
	"bare cache line", "packed ring", "packed ring, inflight region",
	"split ring",
};

struct shared {
	_Alignas(64) volatile uint32_t bare;
	_Alignas(64) volatile uint32_t kind; /* what is measured now */
	volatile uint32_t ready; /* the kind that the answering side is at */
	_Alignas(4096) uint8_t ring[KINDS][64 * 1024];
	_Alignas(4096) uint8_t inflight[64 * 1024];
	_Alignas(4096) uint8_t data[4096];
};

static struct shared *s;
static struct r3_regions mem;

static struct r3_vring ring_of(unsigned kind)
{
	struct r3_vring_layout l;
	bool packed = kind != SPLIT;

	if (r3_vring_layout(RING_SIZE, packed, &l))
		abort();
	return (struct r3_vring){
		.desc = s->ring[kind], .driver = s->ring[kind] + l.driver,
		.device = s->ring[kind] + l.device, .size = RING_SIZE,
		.packed = packed, .event_idx = true,
	};
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("sched_setaffinity");
}

static void answer_bare(void)
{
	while (s->kind == BARE) {
		uint32_t now = s->bare;

		if (now & 1) /* a question */
			s->bare = now + 1;
		else
			__builtin_ia32_pause();
	}
}

static void answer_ring(struct r3_vq_device *q, unsigned kind)
{
	struct r3_vq_seg seg[4];
	struct r3_vq_req req;

	while (s->kind == kind) {
		int n = r3_vq_device_pop(q, &req, seg, 4);

		if (n < 0)
			abort();
		if (!n) {
			__builtin_ia32_pause();
			continue;
		}
		r3_vq_device_push(q, &req, 0);
		r3_vq_device_publish(q);
		(void)r3_vq_device_should_signal(q); /* nobody sleeps */
	}
}

static void answering(void)
{
	static struct r3_vq_device q[KINDS];
	struct r3_region reg = { .addr = GUEST, .len = sizeof(s->data),
				 .host = s->data, .fd = -1,
				 .prot = R3_READ | R3_WRITE };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(1);
	if (r3_regions_init(&mem, 1) || r3_regions_add(&mem, &reg, NULL))
		abort();
	for (unsigned k = PACKED; k < KINDS; k++) {
		struct r3_vring ring = ring_of(k);

		if (r3_vq_device_init(&q[k], &ring, &mem,
				      ring.packed ? R3_VQ_BASE_PACKED : 0) ||
		    (k == PACKED_INFLIGHT &&
		     r3_vq_device_recover(&q[k], s->inflight)))
			abort();
		r3_vq_device_disarm(&q[k]);
	}
	for (;;) {
		unsigned kind = s->kind;

		s->ready = kind;
		if (kind == BARE)
			answer_bare();
		else if (kind < KINDS)
			answer_ring(&q[kind], kind);
	}
}

static void trip_bare(void)
{
	uint32_t n = s->bare + 1;

	s->bare = n;
	while (s->bare == n)
		__builtin_ia32_pause();
}

static void trip_ring(struct r3_vq_driver *q)
{
	struct r3_vq_buf buf = { GUEST, 64 };
	uint32_t written;
	void *cookie;

	if (r3_vq_driver_add(q, &buf, 1, 0, q))
		abort();
	r3_vq_driver_publish(q);
	(void)r3_vq_driver_should_kick(q);
	while (!r3_vq_driver_get(q, &cookie, &written))
		__builtin_ia32_pause();
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* Nanoseconds of one round trip: the median of chunks of CHUNK, over @ms at
 * least.  A chunk in which one side lost its processor is an outlier. */
static double measure(struct r3_vq_driver *q, unsigned kind, unsigned ms)
{
	static double chunk[CHUNKS_MAX];
	uint64_t start, from, now;
	unsigned n = 0;

	s->kind = kind;
	while (s->ready != kind)
		__builtin_ia32_pause();
	start = now = r3_now_ns();
	do {
		from = now;
		for (unsigned i = 0; i < CHUNK; i++) {
			if (kind == BARE)
				trip_bare();
			else
				trip_ring(&q[kind]);
		}
		now = r3_now_ns();
		chunk[n++] = (double)(now - from) / CHUNK;
	} while (now - start < ms * R3_NS_PER_MS && n < CHUNKS_MAX);
	return median(chunk, n);
}

int main(int argc, char **argv)
{
	static double ns[KINDS][ROUNDS_MAX], ratio[KINDS][ROUNDS_MAX];
	static struct r3_vq_driver q[KINDS];
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 40;
	unsigned ms = argc > 2 ? (unsigned)atoi(argv[2]) : 20;
	pid_t pid;

	if (!rounds || rounds > ROUNDS_MAX || !ms)
		return 2;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (s == MAP_FAILED)
		return 1;
	s->kind = s->ready = KINDS;
	for (unsigned k = PACKED; k < KINDS; k++) {
		struct r3_vring ring = ring_of(k);

		if (r3_vq_driver_init(&q[k], &ring, NULL, 0, 0))
			return 1;
		r3_vq_driver_disarm(&q[k]);
	}
	pid = fork();
	if (!pid)
		answering();
	pin(0);
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned k = 0; k < KINDS; k++) {
			ns[k][r] = measure(q, k, ms);
			ratio[k][r] = ns[k][r] / ns[BARE][r];
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (unsigned k = 0; k < KINDS; k++)
		printf("%-30s %8.1f ns   %5.2f x bare\n", names[k],
		       median(ns[k], rounds), median(ratio[k], rounds));
	return 0;
}
