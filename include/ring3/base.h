/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base.h - bytes, spans, checked arithmetic: what every part stands on
 *
 * Errors throughout ring3 are 0 or a negative errno; results come through an
 * out argument that is written only on success.
 */
#ifndef RING3_BASE_H
#define RING3_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define R3_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define R3_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define R3_CONTAINER(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define R3_PAGE_SIZE 4096u
#define R3_KIB	     (UINT64_C(1) << 10)
#define R3_MIB	     (UINT64_C(1) << 20)
#define R3_GIB	     (UINT64_C(1) << 30)

/* Rights of a mapping, as its user (a device, a guest, a server) sees it. */
enum { R3_READ = 1, R3_WRITE = 2 };

/* ---- byte order: structs, so that C refuses to use them as numbers ------ */

typedef struct {
	uint8_t b[2];
} r3_le16;
typedef struct {
	uint8_t b[4];
} r3_le32;
typedef struct {
	uint8_t b[8];
} r3_le64;
typedef struct {
	uint8_t b[2];
} r3_be16;
typedef struct {
	uint8_t b[4];
} r3_be32;
typedef struct {
	uint8_t b[8];
} r3_be64;

#define R3_BYTE_ORDER_(bits, order, to_host, to_wire)                         \
	static inline uint##bits##_t r3_get_##order##bits(r3_##order##bits v) \
	{                                                                     \
		uint##bits##_t n;                                             \
		memcpy(&n, v.b, sizeof(n));                                   \
		return to_host(n);                                            \
	}                                                                     \
	static inline r3_##order##bits r3_##order##bits##_of(uint##bits##_t n) \
	{                                                                     \
		r3_##order##bits v;                                           \
		n = to_wire(n);                                               \
		memcpy(v.b, &n, sizeof(n));                                   \
		return v;                                                     \
	}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define R3_SAME_(n) (n)
R3_BYTE_ORDER_(16, le, R3_SAME_, R3_SAME_)
R3_BYTE_ORDER_(32, le, R3_SAME_, R3_SAME_)
R3_BYTE_ORDER_(64, le, R3_SAME_, R3_SAME_)
R3_BYTE_ORDER_(16, be, __builtin_bswap16, __builtin_bswap16)
R3_BYTE_ORDER_(32, be, __builtin_bswap32, __builtin_bswap32)
R3_BYTE_ORDER_(64, be, __builtin_bswap64, __builtin_bswap64)
#else
#error "ring3 has only been built for little-endian machines"
#endif

/* ---- checked arithmetic: true when *out holds the exact result ---------- */

#define r3_add(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define r3_sub(a, b, out) (!__builtin_sub_overflow((a), (b), (out)))
#define r3_mul(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

static inline uint64_t r3_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t r3_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* @align is a power of two. */
static inline bool r3_is_aligned(uint64_t n, uint64_t align)
{
	return (n & (align - 1)) == 0;
}

static inline uint64_t r3_align_down(uint64_t n, uint64_t align)
{
	return n & ~(align - 1);
}

/* False when the result would not fit; *out is then untouched. */
static inline bool r3_align_up(uint64_t n, uint64_t align, uint64_t *out)
{
	uint64_t sum;

	if (!r3_add(n, align - 1, &sum))
		return false;
	*out = r3_align_down(sum, align);
	return true;
}

static inline bool r3_is_pow2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* ---- spans: bytes that a parser consumes from the front ----------------- */

struct r3_span {
	const uint8_t *p;
	size_t len;
};

/* The next @len bytes, or NULL and nothing consumed. */
static inline const void *r3_take(struct r3_span *s, size_t len)
{
	const uint8_t *p = s->p;

	if (len > s->len)
		return NULL;
	s->p += len;
	s->len -= len;
	return p;
}

/* ---- time -------------------------------------------------------------- */

#define R3_NS_PER_US UINT64_C(1000)
#define R3_NS_PER_MS UINT64_C(1000000)
#define R3_NS_PER_S  UINT64_C(1000000000)

/* Monotonic, since boot, nanoseconds. */
static inline uint64_t r3_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * R3_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- numbers in text ---------------------------------------------------- */

/**
 * r3_parse_uint() - a whole number, decimal or 0x hexadecimal
 * @text: all of it must be the number; no sign, no blanks
 * @out:  written on success
 * Return: 0, -EINVAL (not a number), -ERANGE (does not fit 64 bits).
 */
int r3_parse_uint(const char *text, uint64_t *out);

/**
 * r3_parse_size() - bytes, with an optional suffix K, M, G, T, or KiB, MiB,
 * ... (powers of 2)
 * Return: as r3_parse_uint().
 */
int r3_parse_size(const char *text, uint64_t *out);

#endif
