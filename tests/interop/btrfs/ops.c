// SPDX-License-Identifier: GPL-2.0-or-later
/* ops.c - makes up operations from a seed, and remembers what they have left */
#include <stdio.h>
#include <stdlib.h>

#include "ops.h"

enum { ENTS_MAX = 400, SYNC_EVERY = 12, SIZE_MAX_KIB = 3000 };

struct ent {
	char path[OPS_PATH_MAX];
	char kind; /* 'd', 'f', 'l', 'p', 's' a subvolume */
	bool ro;   /* in a read-only snapshot, or it */
};

struct ops {
	uint64_t state;
	unsigned next_name;
	unsigned count;
	struct ent ents[ENTS_MAX];
	uint8_t data[OPS_DATA_MAX];
};

/* xorshift64*; Vigna, "An experimental exploration of Marsaglia's xorshift
 * generators" */
uint32_t ops_random(struct ops *o, uint32_t below)
{
	o->state ^= o->state >> 12;
	o->state ^= o->state << 25;
	o->state ^= o->state >> 27;
	return (uint32_t)((o->state * UINT64_C(2685821657736338717)) >> 33) %
	       below;
}

struct ops *ops_new(uint64_t seed)
{
	struct ops *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	o->ents[o->count++] = (struct ent){ .path = "", .kind = 'd' };
	return o;
}

void ops_free(struct ops *o)
{
	free(o);
}

/* Some data packs well, some not at all. */
static void fill_data(struct ops *o, uint32_t seed, size_t len)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t i = 0; i < len; i++) {
		if (seed & 1 || i % 64 == 0) {
			x ^= x >> 12;
			x ^= x << 25;
			x ^= x >> 27;
		}
		o->data[i] = (uint8_t)(x >> 24);
	}
}

/* ---- choosing -------------------------------------------------------------*/

/* One of the kinds in @kinds; NULL: none found soon. */
static struct ent *pick(struct ops *o, const char *kinds, bool writable)
{
	for (unsigned i = 0; i < 30; i++) {
		struct ent *e = &o->ents[ops_random(o, o->count)];

		if (strchr(kinds, e->kind) && !(writable && e->ro))
			return e;
	}
	return NULL;
}

/* Mostly short; at times long, so that nodes fill. */
static bool new_name(struct ops *o, const struct ent *dir, char *out)
{
	static const char pad[] =
		"-a-rather-long-name-so-that-leaves-fill-up-sooner-than-not";
	unsigned extra = ops_random(o, 4) ? 0 : ops_random(o, sizeof(pad) - 1);

	return snprintf(out, OPS_PATH_MAX, "%s%sn%u%.*s", dir->path,
			*dir->path ? "/" : "", o->next_name++, (int)extra,
			pad) < OPS_PATH_MAX;
}

static bool choose_new(struct ops *o, struct op *op)
{
	struct ent *dir = pick(o, "ds", true);

	return dir && new_name(o, dir, op->path);
}

static bool choose_one(struct ops *o, struct op *op, const char *kinds,
		       bool writable)
{
	struct ent *e = pick(o, kinds, writable);

	if (!e || !*e->path)
		return false;
	strcpy(op->path, e->path);
	return true;
}

static bool choose_two(struct ops *o, struct op *op, const char *kinds,
		       bool from_writable)
{
	struct ent *from = pick(o, kinds, from_writable);
	struct ent *dir = pick(o, "ds", true);

	if (!from || !dir || !*from->path || !new_name(o, dir, op->other))
		return false;
	strcpy(op->path, from->path);
	return true;
}

static uint64_t some_offset(struct ops *o)
{
	switch (ops_random(o, 4)) {
	case 0:
		return 0;
	case 1:
		return ops_random(o, 8192);
	case 2:
		return (uint64_t)ops_random(o, SIZE_MAX_KIB / 4) * 4096;
	default:
		return ops_random(o, SIZE_MAX_KIB * 1024);
	}
}

static uint64_t some_length(struct ops *o)
{
	switch (ops_random(o, 4)) {
	case 0:
		return 1 + ops_random(o, 100);
	case 1:
		return 1 + ops_random(o, 5000);
	case 2:
		return (uint64_t)(1 + ops_random(o, 30)) * 4096;
	default:
		return 1 + ops_random(o, OPS_DATA_MAX - 1);
	}
}

/* Hardly any operation fails by design; what does must fail for all. */
static bool choose(struct ops *o, struct op *op)
{
	op->off = some_offset(o);
	op->len = some_length(o);
	op->number = ops_random(o, 0x10000);
	switch (op->kind) {
	case OP_FILE:
	case OP_DIR:
	case OP_SYMLINK:
	case OP_FIFO:
	case OP_SUBVOL:
		return choose_new(o, op);
	case OP_LINK:
		return choose_two(o, op, "fp", true);
	case OP_RENAME:
		return choose_two(o, op, "dfflps", true);
	case OP_EXCHANGE: {
		struct ent *b = pick(o, "fd", true);

		if (!b || !*b->path)
			return false;
		strcpy(op->other, b->path);
		return choose_one(o, op, "fd", true);
	}
	case OP_CLONE: {
		struct ent *b = pick(o, "f", true);

		if (!b)
			return false;
		strcpy(op->other, b->path);
		op->off &= ~UINT64_C(4095);
		op->other_off = some_offset(o) & ~UINT64_C(4095);
		op->len = (op->len + 4095) & ~UINT64_C(4095);
		return choose_one(o, op, "f", false);
	}
	case OP_WRITE:
	case OP_TRUNCATE:
	case OP_ALLOCATE:
	case OP_PUNCH:
	case OP_ZERO:
		return choose_one(o, op, "f", true);
	case OP_UNLINK:
		return choose_one(o, op, "flp", true);
	case OP_RMDIR:
		return choose_one(o, op, "d", true);
	case OP_CHMOD:
	case OP_CHOWN:
		return choose_one(o, op, "fd", true);
	case OP_SETXATTR:
	case OP_REMOVEXATTR:
		op->len %= 300;
		op->number %= 5;
		return choose_one(o, op, "fd", true);
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_RO:
		return choose_two(o, op, "s", false);
	case OP_DELETE:
		return choose_one(o, op, "s", false);
	default:
		return true;
	}
}

/* ---- what is left ---------------------------------------------------------*/

static struct ent *find(struct ops *o, const char *path)
{
	for (unsigned i = 0; i < o->count; i++) {
		if (!strcmp(o->ents[i].path, path))
			return &o->ents[i];
	}
	return NULL;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/';
}

static void add(struct ops *o, const char *path, char kind, bool ro)
{
	struct ent *e;

	if (o->count == ENTS_MAX)
		return; /* it is there, but nobody will touch it again */
	e = &o->ents[o->count++];
	snprintf(e->path, sizeof(e->path), "%s", path);
	e->kind = kind;
	e->ro = ro;
}

static void forget(struct ops *o, const char *path)
{
	for (unsigned i = 0; i < o->count;) {
		if (!strcmp(o->ents[i].path, path) ||
		    is_below(o->ents[i].path, path))
			o->ents[i] = o->ents[--o->count];
		else
			i++;
	}
}

/* All below @from as @to too.  Subvolumes in it are not copied: a snapshot has
 * an empty directory there, which nobody touches. */
static void copy_below(struct ops *o, const char *from, const char *to,
		       bool ro)
{
	unsigned count = o->count;

	for (unsigned i = 0; i < count; i++) {
		const struct ent *e = &o->ents[i];
		char path[2 * OPS_PATH_MAX];
		bool nested = e->kind == 's';

		if (!is_below(e->path, from))
			continue;
		for (unsigned k = 0; k < count && !nested; k++)
			nested = o->ents[k].kind == 's' &&
				 is_below(o->ents[k].path, from) &&
				 is_below(e->path, o->ents[k].path);
		snprintf(path, sizeof(path), "%s%s", to,
			 e->path + strlen(from));
		if (!nested && strlen(path) < OPS_PATH_MAX)
			add(o, path, e->kind, ro);
	}
}

static void move(struct ops *o, const char *from, const char *to)
{
	for (unsigned i = 0; i < o->count; i++) {
		struct ent *e = &o->ents[i];
		char path[2 * OPS_PATH_MAX];

		if (strcmp(e->path, from) && !is_below(e->path, from))
			continue;
		snprintf(path, sizeof(path), "%s%s", to,
			 e->path + strlen(from));
		if (strlen(path) >= OPS_PATH_MAX)
			*e = o->ents[--o->count], i--;
		else
			strcpy(e->path, path);
	}
}

static void note(struct ops *o, const struct op *op)
{
	static const char kinds[OP_KINDS] = {
		[OP_FILE] = 'f', [OP_DIR] = 'd', [OP_SYMLINK] = 'l',
		[OP_FIFO] = 'p', [OP_SUBVOL] = 's',
	};
	struct ent *e;

	switch (op->kind) {
	case OP_FILE:
	case OP_DIR:
	case OP_SYMLINK:
	case OP_FIFO:
	case OP_SUBVOL:
		add(o, op->path, kinds[op->kind], false);
		break;
	case OP_LINK:
		e = find(o, op->path);
		add(o, op->other, e ? e->kind : 'f', false);
		break;
	case OP_RENAME:
		move(o, op->path, op->other);
		break;
	case OP_EXCHANGE:
		move(o, op->path, "\1");
		move(o, op->other, op->path);
		move(o, "\1", op->other);
		break;
	case OP_UNLINK:
	case OP_RMDIR:
	case OP_DELETE:
		forget(o, op->path);
		break;
	case OP_SNAPSHOT:
	case OP_SNAPSHOT_RO:
		copy_below(o, op->path, op->other,
			   op->kind == OP_SNAPSHOT_RO);
		add(o, op->other, 's', op->kind == OP_SNAPSHOT_RO);
		break;
	default:
		break;
	}
}

/* ---- a step ---------------------------------------------------------------*/

static enum op_kind some_kind(struct ops *o)
{
	static const uint8_t weights[OP_KINDS] = {
		[OP_FILE] = 14, [OP_DIR] = 5, [OP_LINK] = 4, [OP_SYMLINK] = 2,
		[OP_FIFO] = 1, [OP_WRITE] = 24, [OP_TRUNCATE] = 5,
		[OP_ALLOCATE] = 2, [OP_PUNCH] = 3, [OP_ZERO] = 1,
		[OP_CLONE] = 5, [OP_RENAME] = 6, [OP_EXCHANGE] = 1,
		[OP_UNLINK] = 8, [OP_RMDIR] = 2, [OP_CHMOD] = 2,
		[OP_CHOWN] = 1, [OP_SETXATTR] = 4, [OP_REMOVEXATTR] = 1,
		[OP_SUBVOL] = 1, [OP_SNAPSHOT] = 2, [OP_SNAPSHOT_RO] = 1,
		[OP_DELETE] = 2,
	};
	unsigned sum = 0, at;

	if (!ops_random(o, SYNC_EVERY))
		return OP_SYNC;
	for (unsigned i = 0; i < OP_KINDS; i++)
		sum += weights[i];
	at = ops_random(o, sum);
	for (unsigned i = 0;; i++) {
		if (at < weights[i])
			return (enum op_kind)i;
		at -= weights[i];
	}
}

/* Exchanging a directory with what lies in it has no result to remember. */
static bool is_odd(const struct op *op)
{
	return (op->kind == OP_EXCHANGE || op->kind == OP_RENAME) &&
	       (!strcmp(op->path, op->other) ||
		is_below(op->other, op->path) || is_below(op->path, op->other));
}

int ops_step(struct ops *o, struct ops_target *target, struct op *out)
{
	int ret;

	do {
		memset(out, 0, sizeof(*out));
		out->kind = some_kind(o);
	} while (!choose(o, out) || is_odd(out));
	if (out->kind == OP_WRITE || out->kind == OP_SETXATTR)
		fill_data(o, out->number, out->len);
	ret = target->run(target, out, o->data);
	if (!ret)
		note(o, out);
	return ret;
}

void ops_print(const struct op *op, int result)
{
	static const char *const names[OP_KINDS] = {
		"file", "dir", "link", "symlink", "fifo", "write", "truncate",
		"allocate", "punch", "zero", "clone", "rename", "exchange",
		"unlink", "rmdir", "chmod", "chown", "setxattr",
		"removexattr", "subvol", "snapshot", "snapshot-ro", "delete",
		"sync",
	};

	printf("%s %s %s off=%llu len=%llu to=%llu n=%u: %s\n",
	       names[op->kind], op->path, op->other,
	       (unsigned long long)op->off, (unsigned long long)op->len,
	       (unsigned long long)op->other_off, op->number,
	       result ? strerrorname_np(-result) : "ok");
}
