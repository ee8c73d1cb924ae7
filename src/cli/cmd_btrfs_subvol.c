// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_subvol.c - ring3 btrfs subvolume, snapshot */
#include <stdio.h>
#include <stdlib.h>

#include "cmd_btrfs_edit.h"
#include "progress.h"

enum {
	INHERIT_MAX = 64,	/* groups of a new subvolume */
	CLEAN_BLOCKS = 1024,	/* between two looks at the clock */
	BLOCK_SHOWN = 16384,	/* bytes, in the progress line */
};

/* ---- list, show -----------------------------------------------------------*/

static int list_subvol(void *arg, const struct r3_btrfs_subvol *v)
{
	bool json = *(const bool *)arg;
	char uuid[37], parent[37], received[37];

	btrfs_uuid_print(v->uuid, uuid);
	btrfs_uuid_print(v->parent_uuid, parent);
	btrfs_uuid_print(v->received_uuid, received);
	if (v->dead)
		return 0;
	if (!json) {
		printf("%6llu %s gen=%llu uuid=%s ",
		       (unsigned long long)v->id, v->readonly ? "ro" : "rw",
		       (unsigned long long)v->generation, uuid);
		r3_btrfs_print_name(stdout, v->path, strlen(v->path), false);
		putchar('\n');
		return 0;
	}
	printf("{\"id\":%llu,\"parent\":%llu,\"path\":",
	       (unsigned long long)v->id, (unsigned long long)v->parent);
	r3_btrfs_print_name(stdout, v->path, strlen(v->path), true);
	printf(",\"readonly\":%s,\"snapshot\":%s,\"generation\":%llu,"
	       "\"ctransid\":%llu,\"otransid\":%llu,\"stransid\":%llu,"
	       "\"rtransid\":%llu,\"uuid\":\"%s\",\"parent_uuid\":\"%s\","
	       "\"received_uuid\":\"%s\",\"otime\":%lld.%09ld}\n",
	       v->readonly ? "true" : "false", v->snapshot ? "true" : "false",
	       (unsigned long long)v->generation,
	       (unsigned long long)v->ctransid,
	       (unsigned long long)v->otransid,
	       (unsigned long long)v->stransid,
	       (unsigned long long)v->rtransid, uuid, parent, received,
	       (long long)v->otime.tv_sec, v->otime.tv_nsec);
	return 0;
}

static int run_subvolume_list(const struct r3_args *args)
{
	bool json = r3_cli_opt(args, "json");
	struct btrfs_image img;
	int ret = btrfs_open_image(args, &img);

	if (ret)
		return ret;
	return btrfs_close_image(&img, r3_btrfs_each_subvol(img.fs,
							    list_subvol,
							    &json));
}

static void print_time(struct timespec t)
{
	char text[64];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC",
		 gmtime_r(&t.tv_sec, &tm));
	printf("%s\n", text);
}

static void show_uuid(const char *name, const uint8_t *uuid)
{
	static const uint8_t none[16];
	char text[37];

	btrfs_uuid_print(uuid, text);
	printf("%s%s\n", name, memcmp(uuid, none, 16) ? text : "-");
}

static void show_text(const struct r3_btrfs_subvol *v)
{
	r3_btrfs_print_name(stdout, v->id == R3_BTRFS_TOP ? "/" : v->path,
			    v->id == R3_BTRFS_TOP ? 1 : strlen(v->path),
			    false);
	printf("\nnumber         %llu\nparent         %llu\n",
	       (unsigned long long)v->id, (unsigned long long)v->parent);
	show_uuid("uuid           ", v->uuid);
	show_uuid("parent uuid    ", v->parent_uuid);
	show_uuid("received uuid  ", v->received_uuid);
	printf("made           ");
	print_time(v->otime);
	printf("read-only      %s\nsnapshot       %s\n"
	       "generation     %llu, made at %llu, changed at %llu\n",
	       v->readonly ? "yes" : "no", v->snapshot ? "yes" : "no",
	       (unsigned long long)v->generation,
	       (unsigned long long)v->otransid,
	       (unsigned long long)v->ctransid);
	if (v->stransid)
		printf("received       at %llu, sent from %llu\n",
		       (unsigned long long)v->rtransid,
		       (unsigned long long)v->stransid);
}

static int run_show(const struct r3_args *args)
{
	struct r3_btrfs_subvol *v = malloc(sizeof(*v));
	bool json = r3_cli_opt(args, "json");
	struct btrfs_image img;
	uint64_t id;
	int ret = v ? btrfs_open_image(args, &img) : R3_EXIT_FAILED;

	if (ret) {
		free(v);
		return ret;
	}
	ret = btrfs_find_subvol(&img, args->pos[1], &id);
	if (!ret)
		ret = r3_btrfs_get_subvol(img.fs, id, v);
	if (!ret && json)
		list_subvol(&json, v);
	else if (!ret)
		show_text(v);
	free(v);
	return btrfs_close_image(&img, ret);
}

/* ---- making them ----------------------------------------------------------*/

/* What a new subvolume is made of, and where. */
struct make {
	struct btrfs_image img;
	uint64_t groups[INHERIT_MAX];
	struct r3_btrfs_inherit inherit;
	uint64_t source; /* 0: nothing, it begins empty */
	bool readonly;
	/* of the path before, as they often share it */
	char parent[R3_BTRFS_PATH_MAX];
	struct r3_btrfs_inode dir;
};

static int find_parent(struct make *m, const char *path, size_t len)
{
	char parent[R3_BTRFS_PATH_MAX];
	int err;

	if (len >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, len);
	parent[len] = 0;
	if (m->dir.ino && !strcmp(parent, m->parent))
		return 0;
	err = btrfs_lookup(m->img.fs, parent, true, &m->dir);
	memcpy(m->parent, parent, len + 1);
	return err;
}

static int make_one(struct make *m, const char *path)
{
	size_t len, at = btrfs_path_last(path, &len);
	uint64_t id;
	int err = 0;

	if (!len) {
		fprintf(stderr, "%s: %s: a name is needed at the end\n",
			m->img.name, path);
		return R3_EXIT_FAILED;
	}
	err = find_parent(m, path, at);
	if (!err && m->source)
		err = r3_btrfs_snapshot(m->img.fs, m->source, m->dir,
					path + at, len, m->readonly,
					&m->inherit, &id);
	else if (!err)
		err = r3_btrfs_subvol_create(m->img.fs, m->dir, path + at, len,
					     &m->inherit, &id);
	if (!err)
		return 0;
	edit_fail(&m->img, path, err);
	return R3_EXIT_FAILED;
}

/* One path a line. */
static int make_listed(struct make *m, FILE *in)
{
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	while (!err && getline(&line, &room, in) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			err = make_one(m, line);
	}
	free(line);
	return err;
}

static int make_all(struct make *m, const struct r3_args *args, unsigned from)
{
	int err = 0;

	for (unsigned i = from; !err && i < args->count; i++)
		err = strcmp(args->pos[i], "-")
			      ? make_one(m, args->pos[i])
			      : make_listed(m, stdin);
	return err;
}

/* The groups of every -i.  A text was printed for what is wrong. */
static int find_groups(struct make *m, const struct r3_args *args)
{
	int err;

	m->inherit.groups = m->groups;
	for (unsigned i = 0; i < args->all_count; i++) {
		if (args->cmd->opts[args->all[i].opt].letter != 'i')
			continue;
		if (m->inherit.count == INHERIT_MAX) {
			fprintf(stderr, "%s: more than %u groups\n",
				m->img.name, INHERIT_MAX);
			return R3_EXIT_FAILED;
		}
		err = btrfs_find_group(&m->img, args->all[i].value,
				       &m->groups[m->inherit.count++]);
		if (err)
			return err < 0 ? err : R3_EXIT_FAILED;
	}
	return 0;
}

/* Make what the arguments from @first on name, as @m says. */
static int make(struct make *m, const struct r3_args *args, unsigned first)
{
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &m->img);

	if (ret)
		return ret;
	ret = find_groups(m, args);
	if (!ret && first == 2)
		ret = btrfs_find_subvol(&m->img, args->pos[1], &m->source);
	if (!ret)
		ret = make_all(m, args, first);
	return btrfs_save_image(&m->img, ret);
}

static int run_create(const struct r3_args *args)
{
	struct make m = { 0 };

	return make(&m, args, 1);
}

int r3_btrfs_cmd_snapshot(const struct r3_args *args)
{
	struct make m = { .readonly = r3_cli_opt(args, "read-only") };

	return make(&m, args, 2);
}

/* ---- taking them away, marks ----------------------------------------------*/

/* @blocks: at most, about. */
static int clean(struct r3_btrfs *fs, uint64_t blocks)
{
	struct cli_progress p;
	uint64_t done = 0;
	bool more = true;
	int err = 0;

	cli_progress_begin(&p);
	while (!err && more && done < blocks) {
		unsigned now = (unsigned)r3_min(blocks - done,
						  CLEAN_BLOCKS);

		err = r3_btrfs_clean(fs, now, &more);
		done += now;
		cli_progress_show(&p, done * (uint64_t)BLOCK_SHOWN, 0);
	}
	cli_progress_end(&p);
	return err;
}

/* What was done is saved even when damage ended it. */
static int save_cleaned(struct btrfs_image *img, int err)
{
	struct r3_btrfs_why why;

	if (!err)
		return btrfs_save_image(img, 0);
	snprintf(why.text, sizeof(why.text), "%s",
		 r3_btrfs_why_of(img->fs, err));
	if (r3_btrfs_sync(img->fs))
		return btrfs_close_image(img, err);
	fprintf(stderr, "%s: deleted subvolumes still take space: %s\n",
		img->name, why.text);
	return btrfs_close_image(img, R3_EXIT_FAILED);
}

static int run_delete(const struct r3_args *args)
{
	struct btrfs_image img;
	uint64_t id;
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (ret)
		return ret;
	for (unsigned i = 1; !ret && i < args->count; i++) {
		ret = btrfs_find_subvol(&img, args->pos[i], &id);
		if (!ret)
			ret = r3_btrfs_subvol_delete(img.fs, id);
	}
	if (!ret && !r3_cli_opt(args, "no-clean"))
		return save_cleaned(&img, clean(img.fs, UINT64_MAX));
	return btrfs_save_image(&img, ret);
}

static int run_clean(const struct r3_args *args)
{
	const char *blocks = r3_cli_opt(args, "blocks");
	struct btrfs_image img;
	uint64_t n = UINT64_MAX;
	int ret;

	if (blocks && (r3_parse_uint(blocks, &n) || !n))
		return r3_cli_usage(args, "--blocks is a number from 1 on");
	ret = btrfs_open_image_rw(args->pos[0], NULL, &img);
	return ret ? ret : save_cleaned(&img, clean(img.fs, n));
}

static int run_set_default(const struct r3_args *args)
{
	struct btrfs_image img;
	uint64_t id;
	int ret = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (ret)
		return ret;
	ret = btrfs_find_subvol(&img, args->pos[1], &id);
	if (!ret)
		ret = r3_btrfs_subvol_set_default(img.fs, id);
	return btrfs_save_image(&img, ret);
}

static int run_set_readonly(const struct r3_args *args)
{
	bool on = !strcmp(args->pos[2], "on");
	struct btrfs_image img;
	uint64_t id;
	int ret;

	if (!on && strcmp(args->pos[2], "off"))
		return r3_cli_usage(args, "read-only is on or off, not '%s'",
				    args->pos[2]);
	ret = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (ret)
		return ret;
	ret = btrfs_find_subvol(&img, args->pos[1], &id);
	if (!ret)
		ret = r3_btrfs_subvol_set_readonly(img.fs, id, on);
	return btrfs_save_image(&img, ret);
}

/* ---- the tables -----------------------------------------------------------*/

#define INHERIT                                                           \
	{ .name = "inherit", .arg = "QGROUP", .letter = 'i',              \
	  .help = "put it into this quota group, as 1/100; repeatable" }

static const struct r3_opt show_opts[] = { BTRFS_WHICH, BTRFS_JSON, { 0 } };
static const struct r3_opt create_opts[] = { INHERIT, { 0 } };
static const struct r3_opt clean_opts[] = {
	{ .name = "blocks", .arg = "N",
	  .help = "stop after about so many tree blocks" },
	{ 0 },
};
static const struct r3_opt delete_opts[] = {
	{ .name = "no-clean",
	  .help = "leave its space to a later clean, or to the kernel" },
	{ 0 },
};

const struct r3_opt r3_btrfs_snapshot_opts[] = {
	{ .name = "read-only", .letter = 'r', .help = "make them read-only" },
	INHERIT,
	{ 0 },
};

const struct r3_cmd r3_btrfs_subvolume_cmds[] = {
	{ .name = "list", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = show_opts, .run = run_subvolume_list,
	  .summary = "every subvolume, by number" },
	{ .name = "show", .args = "IMAGE SUBVOLUME", .min_args = 2,
	  .max_args = 2, .opts = show_opts, .run = run_show,
	  .summary = "what is known of one subvolume" },
	{ .name = "create", .args = "IMAGE PATH...", .min_args = 2,
	  .max_args = R3_CLI_ARGS_MAX, .opts = create_opts,
	  .run = run_create, .summary = "make empty subvolumes" },
	{ .name = "delete", .args = "IMAGE SUBVOLUME...", .min_args = 2,
	  .max_args = R3_CLI_ARGS_MAX, .opts = delete_opts,
	  .run = run_delete, .summary = "delete subvolumes" },
	{ .name = "clean", .args = "IMAGE", .min_args = 1, .max_args = 1,
	  .opts = clean_opts, .run = run_clean,
	  .summary = "give back what deleted subvolumes still hold" },
	{ .name = "set-default", .args = "IMAGE SUBVOLUME", .min_args = 2,
	  .max_args = 2, .run = run_set_default,
	  .summary = "choose the one that a mount shows" },
	{ .name = "set-readonly", .args = "IMAGE SUBVOLUME on|off",
	  .min_args = 3, .max_args = 3, .run = run_set_readonly,
	  .summary = "let a subvolume be changed or not" },
	{ 0 },
};
