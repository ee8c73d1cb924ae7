// SPDX-License-Identifier: GPL-2.0-or-later
/* check.c - check a whole volume: the order of its parts, its messages */
#include <stdarg.h>
#include <sys/random.h>

#include "check.h"

void check_problem(struct check *c, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->res.problems++;
	if (c->opts->problem)
		c->opts->problem(c->opts->arg, text);
}

size_t check_extent_after(const struct check *c, uint64_t bytenr)
{
	size_t lo = 0, hi = c->extents.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct check_extent *x = &c->extents.p[mid];

		if (x->bytenr + x->len <= bytenr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct check_extent *check_extent_at(struct check *c, uint64_t bytenr)
{
	size_t i = check_extent_after(c, bytenr);

	return i < c->extents.n && c->extents.p[i].bytenr == bytenr
		       ? &c->extents.p[i] : NULL;
}

bool check_has_csums(const struct check *c, uint64_t start, uint64_t end)
{
	size_t lo = 0, hi = c->csums.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->csums.p[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->csums.n && c->csums.p[lo].start <= start &&
	       c->csums.p[lo].end >= end;
}

static void check_fini(struct check *c)
{
	check_data_end(c);
	vec_free(&c->extents);
	vec_free(&c->said);
	vec_free(&c->found);
	vec_free(&c->blocks);
	vec_free(&c->groups);
	vec_free(&c->csums);
	vec_free(&c->dead);
	btrfs_qcount_free(c->qcount);
}

/* What the library found while reading becomes a problem like others; memory
 * that is out ends the check. */
static int part(struct check *c, int (*run)(struct check *c))
{
	int err = run(c);

	if (c->out_of_memory || err == -ENOMEM)
		return btrfs_fail(c->fs, -ENOMEM, "out of memory");
	if (err) {
		c->incomplete = true;
		check_problem(c, "%s", r3_btrfs_why(c->fs));
	}
	return 0;
}

static int run_parts(struct check *c)
{
	int (*const before[])(struct check *) = { check_load_csums,
						  check_walk_trees,
						  check_space, check_roots };
	int err = c->opts->data ? part(c, check_data_begin) : 0;

	if (!err)
		err = part(c, check_load_extents);
	/* Without the extent tree nothing says what is shared. */
	if (err || c->incomplete)
		return err;
	for (unsigned i = 0; !err && i < R3_COUNT(before); i++)
		err = part(c, before[i]);
	if (!err && !c->incomplete) {
		check_compare_refs(c);
		err = c->qcount ? part(c, check_quota) : 0;
	} else if (!err) {
		check_problem(c, "some tree blocks could not be read: "
			      "references were not compared");
	}
	if (!err && c->opts->data)
		err = part(c, check_data);
	if (c->out_of_memory)
		err = btrfs_fail(c->fs, -ENOMEM, "out of memory");
	return err;
}

int r3_btrfs_check(struct r3_btrfs *fs,
		   const struct r3_btrfs_check_options *opts,
		   struct r3_btrfs_check_result *out)
{
	struct check c = { .fs = fs, .opts = opts };
	uint64_t bad = fs->bad_copies;
	int err;

	if (getrandom(&c.seed, sizeof(c.seed), GRND_NONBLOCK) < 0)
		c.seed = r3_now_ns();
	if (fs->quota.bytenr) {
		c.qcount = btrfs_qcount_new();
		if (!c.qcount)
			return btrfs_fail(fs, -ENOMEM, "out of memory");
	}
	if (fs->supers_good < fs->supers_there)
		check_problem(&c, "super block: only %u of %u copies are good",
			      fs->supers_good, fs->supers_there);
	err = run_parts(&c);
	if (!err && fs->bad_copies > bad)
		check_problem(&c, "%llu copies of blocks are bad",
			      (unsigned long long)(fs->bad_copies - bad));
	check_fini(&c);
	if (!err)
		*out = c.res;
	return err;
}
