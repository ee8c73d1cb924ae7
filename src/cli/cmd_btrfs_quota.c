// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_quota.c - ring3 btrfs quota and qgroup */
#include <stdio.h>
#include <stdlib.h>

#include "cmd_btrfs.h"
#include "ring3/vec.h"

#define LEVEL(id) ((id) >> 48)
#define NUMBER(id) ((id) & ((UINT64_C(1) << 48) - 1))

static int bad_group(const struct btrfs_image *img, const char *text)
{
	fprintf(stderr, "%s: '%s' is no quota group: name it LEVEL/NUMBER, by "
		"a subvolume's number or by its path\n", img->name, text);
	return R3_EXIT_USAGE;
}

int btrfs_find_group(const struct btrfs_image *img, const char *text,
		     uint64_t *out)
{
	const char *slash = strchr(text, '/');
	struct r3_btrfs_inode in;
	uint64_t level, id;
	char head[8];
	int err;

	if (!r3_parse_uint(text, &id)) {
		*out = id;
		return LEVEL(id) ? bad_group(img, text) : 0;
	}
	if (slash && slash != text && slash - text < (int)sizeof(head)) {
		snprintf(head, sizeof(head), "%.*s", (int)(slash - text),
			 text);
		if (!r3_parse_uint(head, &level) &&
		    !r3_parse_uint(slash + 1, &id)) {
			*out = R3_BTRFS_QGROUP(level, id);
			return level > UINT16_MAX || LEVEL(id)
				       ? bad_group(img, text) : 0;
		}
	}
	err = btrfs_lookup(img->fs, text, false, &in);
	if (err == -EIO || err == -EUCLEAN || err == -ENOMEM)
		return err;
	if (err || in.ino != R3_BTRFS_ROOT_INO)
		return bad_group(img, text);
	*out = in.subvol;
	return 0;
}

/* Of btrfs_find_group()'s failure, the exit code. */
static int close_groupless(struct btrfs_image *img, int err)
{
	int code = btrfs_close_image(img, err);

	return err > 0 ? err : code;
}

/* ---- quota --------------------------------------------------------------- */

static int change(const struct r3_args *args, int (*call)(struct r3_btrfs *fs))
{
	struct btrfs_image img;
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &img);

	return ret ? ret : btrfs_save_image(&img, call(img.fs));
}

static int run_quota_enable(const struct r3_args *args)
{
	return change(args, r3_btrfs_quota_enable);
}

static int run_quota_disable(const struct r3_args *args)
{
	return change(args, r3_btrfs_quota_disable);
}

static int run_quota_rescan(const struct r3_args *args)
{
	return change(args, r3_btrfs_quota_rescan);
}

static int run_quota_status(const struct r3_args *args)
{
	struct r3_btrfs_quota_state s;
	struct btrfs_image img;
	int ret = btrfs_open_image(args, &img);

	if (ret)
		return ret;
	ret = r3_btrfs_quota_get(img.fs, &s);
	if (!ret && r3_cli_opt(args, "json"))
		printf("{\"on\":%s,\"mode\":\"%s\",\"stale\":%s}\n",
		       s.on ? "true" : "false", s.simple ? "simple" : "full",
		       s.stale ? "true" : "false");
	else if (!ret)
		printf("quotas   %s\nnumbers  %s\n",
		       !s.on ? "off" : s.simple ? "on, simple" : "on",
		       !s.on ? "none" : s.stale
			       ? "stale; the next change, or quota rescan, "
				 "makes them exact"
			       : "exact");
	return btrfs_close_image(&img, ret);
}

/* ---- qgroup -------------------------------------------------------------- */

static int change_group(const struct r3_args *args,
			int (*call)(struct r3_btrfs *fs, uint64_t id))
{
	struct btrfs_image img;
	uint64_t id;
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (ret)
		return ret;
	ret = btrfs_find_group(&img, args->pos[1], &id);
	if (ret)
		return close_groupless(&img, ret);
	return btrfs_save_image(&img, call(img.fs, id));
}

static int run_qgroup_create(const struct r3_args *args)
{
	return change_group(args, r3_btrfs_qgroup_create);
}

static int run_qgroup_destroy(const struct r3_args *args)
{
	return change_group(args, r3_btrfs_qgroup_destroy);
}

static int change_member(const struct r3_args *args,
			 int (*call)(struct r3_btrfs *fs, uint64_t member,
				     uint64_t group))
{
	struct btrfs_image img;
	uint64_t member, group;
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (ret)
		return ret;
	ret = btrfs_find_group(&img, args->pos[1], &member);
	if (!ret)
		ret = btrfs_find_group(&img, args->pos[2], &group);
	if (ret)
		return close_groupless(&img, ret);
	return btrfs_save_image(&img, call(img.fs, member, group));
}

static int run_qgroup_assign(const struct r3_args *args)
{
	return change_member(args, r3_btrfs_qgroup_assign);
}

static int run_qgroup_remove(const struct r3_args *args)
{
	return change_member(args, r3_btrfs_qgroup_remove);
}

/* The group's present limits; the one that is not given stays. */
struct limits {
	uint64_t id, rfer, excl;
};

static int take_limits(void *arg, const struct r3_btrfs_qgroup *g)
{
	struct limits *l = arg;

	if (g->id != l->id)
		return 0;
	l->rfer = g->max_rfer;
	l->excl = g->max_excl;
	return 1;
}

static int run_qgroup_limit(const struct r3_args *args)
{
	struct limits l = { .rfer = R3_BTRFS_QGROUP_NONE,
			    .excl = R3_BTRFS_QGROUP_NONE };
	uint64_t size = R3_BTRFS_QGROUP_NONE;
	struct btrfs_image img;
	int ret;

	if (strcmp(args->pos[2], "none") &&
	    r3_parse_size(args->pos[2], &size))
		return r3_cli_usage(args, "'%s' is no size: bytes, with K, M, "
				    "G or T, or none", args->pos[2]);
	ret = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (ret)
		return ret;
	ret = btrfs_find_group(&img, args->pos[1], &l.id);
	if (ret)
		return close_groupless(&img, ret);
	ret = r3_btrfs_each_qgroup(img.fs, take_limits, &l);
	if (ret >= 0) {
		*(r3_cli_opt(args, "exclusive") ? &l.excl : &l.rfer) = size;
		ret = r3_btrfs_qgroup_limit(img.fs, l.id, l.rfer, l.excl);
	}
	return btrfs_save_image(&img, ret);
}

/* ---- qgroup show --------------------------------------------------------- */

enum { GROUPS_WIDTH = 12 };

struct path {
	uint64_t id;
	char *path;
};

struct show {
	bool json, parents, children;
	VEC(struct path) paths; /* by id */
};

static int take_path(void *arg, const struct r3_btrfs_subvol *v)
{
	struct show *s = arg;
	struct path one = { v->id, NULL };

	if (v->dead)
		return 0;
	one.path = strdup(v->path);
	if (one.path && vec_push(&s->paths, one))
		return 0;
	free(one.path);
	return -ENOMEM;
}

static int path_cmp(const void *a, const void *b)
{
	const struct path *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* NULL: no subvolume has this number. */
static const char *path_of(const struct show *s, uint64_t id)
{
	struct path key = { .id = id }, *p;

	if (id == R3_BTRFS_TOP)
		return "";
	p = s->paths.n ? bsearch(&key, s->paths.p, s->paths.n, sizeof(key),
				 path_cmp)
		       : NULL;
	return p ? p->path : NULL;
}

static void json_limit(const char *name, uint64_t max)
{
	if (max == R3_BTRFS_QGROUP_NONE)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%llu", name, (unsigned long long)max);
}

static void json_groups(const char *name, const uint64_t *ids, unsigned count)
{
	printf(",\"%s\":[", name);
	for (unsigned i = 0; i < count; i++)
		printf("%s\"%llu/%llu\"", i ? "," : "",
		       (unsigned long long)LEVEL(ids[i]),
		       (unsigned long long)NUMBER(ids[i]));
	putchar(']');
}

static void show_json(const struct show *s, const struct r3_btrfs_qgroup *g)
{
	const char *path = path_of(s, g->id);

	printf("{\"qgroup\":\"%llu/%llu\",\"referenced\":%llu,"
	       "\"exclusive\":%llu", (unsigned long long)LEVEL(g->id),
	       (unsigned long long)NUMBER(g->id), (unsigned long long)g->rfer,
	       (unsigned long long)g->excl);
	json_limit("max_referenced", g->max_rfer);
	json_limit("max_exclusive", g->max_excl);
	json_groups("parents", g->parents, g->parent_count);
	json_groups("children", g->children, g->child_count);
	printf(",\"path\":");
	if (path)
		r3_btrfs_print_name(stdout, path, strlen(path), true);
	else
		printf("null");
	printf("}\n");
}

static void text_limit(uint64_t max)
{
	if (max == R3_BTRFS_QGROUP_NONE)
		printf(" %14s", "none");
	else
		printf(" %14llu", (unsigned long long)max);
}

/* "1/1,1/2" in a column, or as wide as it needs. */
static void text_groups(const uint64_t *ids, unsigned count)
{
	int width = 0;

	putchar(' ');
	for (unsigned i = 0; i < count; i++)
		width += printf("%s%llu/%llu", i ? "," : "",
				(unsigned long long)LEVEL(ids[i]),
				(unsigned long long)NUMBER(ids[i]));
	if (!count)
		width = printf("-");
	printf("%*s", width < GROUPS_WIDTH ? GROUPS_WIDTH - width : 0, "");
}

static void show_text(const struct show *s, const struct r3_btrfs_qgroup *g)
{
	const char *path = path_of(s, g->id);
	char id[32];

	snprintf(id, sizeof(id), "%llu/%llu",
		 (unsigned long long)LEVEL(g->id),
		 (unsigned long long)NUMBER(g->id));
	printf("%-10s %14llu %14llu", id, (unsigned long long)g->rfer,
	       (unsigned long long)g->excl);
	text_limit(g->max_rfer);
	text_limit(g->max_excl);
	if (s->parents)
		text_groups(g->parents, g->parent_count);
	if (s->children)
		text_groups(g->children, g->child_count);
	if (path) {
		printf(" /");
		r3_btrfs_print_name(stdout, path, strlen(path), false);
	} else if (!LEVEL(g->id)) {
		printf(" (its subvolume is gone)");
	}
	putchar('\n');
}

static int show_group(void *arg, const struct r3_btrfs_qgroup *g)
{
	const struct show *s = arg;

	if (s->json)
		show_json(s, g);
	else
		show_text(s, g);
	return 0;
}

static void show_head(const struct show *s)
{
	printf("%-10s %14s %14s %14s %14s", "group", "referenced", "exclusive",
	       "max referenced", "max exclusive");
	if (s->parents)
		printf(" %-*s", GROUPS_WIDTH, "parents");
	if (s->children)
		printf(" %-*s", GROUPS_WIDTH, "children");
	printf(" path\n");
}

static int run_qgroup_show(const struct r3_args *args)
{
	struct show s = { .json = r3_cli_opt(args, "json"),
			  .parents = r3_cli_opt(args, "parents"),
			  .children = r3_cli_opt(args, "children") };
	struct r3_btrfs_quota_state state = { 0 };
	struct btrfs_image img;
	int ret = btrfs_open_image(args, &img);

	if (ret)
		return ret;
	ret = r3_btrfs_quota_get(img.fs, &state);
	if (!ret)
		ret = r3_btrfs_each_subvol(img.fs, take_path, &s);
	if (!ret && state.on && !s.json)
		show_head(&s);
	if (!ret)
		ret = r3_btrfs_each_qgroup(img.fs, show_group, &s);
	if (!ret && state.stale)
		fprintf(stderr, "%s: these numbers are stale; quota rescan "
			"makes them exact\n", img.name);
	for (size_t i = 0; i < s.paths.n; i++)
		free(s.paths.p[i].path);
	vec_free(&s.paths);
	return btrfs_close_image(&img, ret);
}

/* ---- the commands --------------------------------------------------------- */

static const struct r3_opt status_opts[] = { BTRFS_WHICH, BTRFS_JSON,
					   { 0 } };

const struct r3_cmd r3_btrfs_quota_cmds[] = {
	{ .name = "enable", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .run = run_quota_enable,
	  .summary = "a quota group for each subvolume, exact from now on" },
	{ .name = "disable", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .run = run_quota_disable,
	  .summary = "take all quota groups and limits away" },
	{ .name = "rescan", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .run = run_quota_rescan,
	  .summary = "count anew what a kernel left stale" },
	{ .name = "status", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = status_opts, .run = run_quota_status,
	  .summary = "whether quotas are on, and their numbers exact" },
	{ 0 },
};

static const struct r3_opt qgroup_limit_opts[] = {
	{ .name = "exclusive", .letter = 'e',
	  .help = "limit the exclusive bytes, not the referenced ones" },
	{ 0 },
};

static const struct r3_opt qgroup_show_opts[] = {
	BTRFS_WHICH, BTRFS_JSON,
	{ .name = "parents", .letter = 'p', .help = "groups it is in" },
	{ .name = "children", .letter = 'c', .help = "groups in it" },
	{ 0 },
};

const struct r3_cmd r3_btrfs_qgroup_cmds[] = {
	{ .name = "show", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = qgroup_show_opts, .run = run_qgroup_show,
	  .summary = "all groups: bytes, limits, paths" },
	{ .name = "create", .args = "IMAGE GROUP", .min_args = 2,
	  .max_args = 2, .run = run_qgroup_create,
	  .summary = "make a group of level 1 or above" },
	{ .name = "destroy", .args = "IMAGE GROUP", .min_args = 2,
	  .max_args = 2, .run = run_qgroup_destroy,
	  .summary = "take away a group without members" },
	{ .name = "assign", .args = "IMAGE MEMBER GROUP", .min_args = 3,
	  .max_args = 3, .run = run_qgroup_assign,
	  .summary = "put a group into one of a higher level" },
	{ .name = "remove", .args = "IMAGE MEMBER GROUP", .min_args = 3,
	  .max_args = 3, .run = run_qgroup_remove,
	  .summary = "take a group out of another" },
	{ .name = "limit", .args = "IMAGE GROUP SIZE|none", .min_args = 3,
	  .max_args = 3, .opts = qgroup_limit_opts,
	  .run = run_qgroup_limit,
	  .summary = "how much a group may hold" },
	{ 0 },
};
