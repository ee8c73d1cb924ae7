/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops.h - random operations on a file system, the same list for every target
 *
 * A seed gives the list.  A target is ring3's library (ops_lib.c) or a mounted
 * file system (ops_posix.c); both see the same operations in the same order, so
 * that their results and what they leave behind can be compared.
 */
#ifndef OPS_H
#define OPS_H

#include "ring3/base.h"

enum { OPS_PATH_MAX = 240, OPS_DATA_MAX = 200000 };

enum op_kind { OP_FILE, OP_DIR, OP_LINK, OP_SYMLINK, OP_FIFO, OP_WRITE,
	       OP_TRUNCATE, OP_ALLOCATE, OP_PUNCH, OP_ZERO, OP_CLONE,
	       OP_RENAME, OP_EXCHANGE, OP_UNLINK, OP_RMDIR, OP_CHMOD, OP_CHOWN,
	       OP_SETXATTR, OP_REMOVEXATTR, OP_SUBVOL, OP_SNAPSHOT,
	       OP_SNAPSHOT_RO, OP_DELETE, OP_SYNC, OP_KINDS };

struct op {
	enum op_kind kind;
	char path[OPS_PATH_MAX], other[OPS_PATH_MAX];
	uint64_t off, len, other_off;
	uint32_t number; /* mode, owner, seed of the data */
};

struct ops_target {
	/* 0 or a negative errno; @data: OP_WRITE's and OP_SETXATTR's bytes */
	int (*run)(struct ops_target *t, const struct op *op,
		   const uint8_t *data);
};

struct ops;

struct ops *ops_new(uint64_t seed);
void ops_free(struct ops *o);
/* The next one, run on @target; its result. */
int ops_step(struct ops *o, struct ops_target *target, struct op *out);
void ops_print(const struct op *op, int result);
uint32_t ops_random(struct ops *o, uint32_t below);

struct r3_btrfs;
struct ops_lib {
	struct ops_target target;
	struct r3_btrfs *fs;
};
void ops_lib_init(struct ops_lib *l, struct r3_btrfs *fs);
/* Names, attributes and data (as a hash) of all files as text, the caller's to
 * free: equal for equal trees. */
int ops_lib_picture(struct r3_btrfs *fs, char **out);

struct ops_posix {
	struct ops_target target;
	const char *root;
};
void ops_posix_init(struct ops_posix *p, const char *root);

#endif
