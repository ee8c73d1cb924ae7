// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmd_btrfs_mount.c - ring3 btrfs mount, unmount
 *
 * What people write becomes the words of ring3-btrfs-mount, which does it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd_btrfs.h"
#include "ring3/node.h"

/* By index in the tables of options, which are in cmd_btrfs.c. */
enum { OPT_READ_ONLY, OPT_OPTIONS, OPT_SUBVOL, OPT_COMPRESS, OPT_SYNC,
       OPT_FOREGROUND };
enum { OPT_LAZY };
enum { WORDS_MAX = 16, SYNC_MAX_S = 3600 };

struct words {
	char *argv[WORDS_MAX + 1];
	unsigned count;
	bool full; /* no memory */
};

static void add(struct words *w, const char *name, const char *value)
{
	char *word;

	if (w->count == WORDS_MAX ||
	    asprintf(&word, "%s%s", name, value) < 0) {
		w->full = true;
		return;
	}
	w->argv[w->count++] = word;
}

static int run_program(struct words *w)
{
	static const char name[] = "ring3-btrfs-mount";
	char dir[R3_NODE_PATH_MAX] = "?", path[R3_NODE_PATH_MAX + sizeof(name)];
	int err = r3_node_libexec(dir, sizeof(dir));

	if (w->full)
		err = -ENOMEM;
	if (!err) {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		execv(path, w->argv);
		err = -errno;
	}
	fprintf(stderr, "can't start %s in %s: %s\n", name, dir,
		strerror(-err));
	return R3_EXIT_FAILED;
}

/* Every -o there is, in one. */
static char *join_options(const struct r3_args *args)
{
	char *all = NULL, *longer;

	for (unsigned i = 0; i < args->all_count; i++) {
		if (args->all[i].opt != OPT_OPTIONS)
			continue;
		if (asprintf(&longer, "%s%s%s", all ? all : "", all ? "," : "",
			     args->all[i].value) < 0)
			return all;
		free(all);
		all = longer;
	}
	return all;
}

int r3_btrfs_cmd_mount(const struct r3_args *args)
{
	const char *const *v = args->value;
	struct words w = { 0 };
	unsigned compression = 0;
	uint64_t sync_s = 5;
	char number[24];
	int level = 0;

	if (v[OPT_COMPRESS] &&
	    !btrfs_parse_compress(v[OPT_COMPRESS], &compression, &level))
		return r3_cli_usage(args, "--compress is zlib[:1-9], lzo or "
				    "zstd[:1-15]");
	if (v[OPT_SYNC] && (r3_parse_uint(v[OPT_SYNC], &sync_s) || !sync_s ||
			    sync_s > SYNC_MAX_S))
		return r3_cli_usage(args, "--sync-interval is 1 to %d seconds",
				    SYNC_MAX_S);
	add(&w, "ring3-btrfs-mount", "");
	add(&w, "mount", "");
	add(&w, "image=", args->pos[0]);
	add(&w, "dir=", args->pos[1]);
	snprintf(number, sizeof(number), "%u", compression);
	add(&w, "compression=", number);
	snprintf(number, sizeof(number), "%d", level);
	add(&w, "level=", number);
	snprintf(number, sizeof(number), "%llu",
		 (unsigned long long)sync_s * 1000);
	add(&w, "sync_ms=", number);
	if (v[OPT_SUBVOL])
		add(&w, "subvol=", v[OPT_SUBVOL]);
	if (v[OPT_OPTIONS])
		add(&w, "options=", join_options(args));
	if (v[OPT_READ_ONLY])
		add(&w, "readonly", "");
	if (v[OPT_FOREGROUND])
		add(&w, "foreground", "");
	return run_program(&w);
}

int r3_btrfs_cmd_unmount(const struct r3_args *args)
{
	struct words w = { 0 };

	add(&w, "ring3-btrfs-mount", "");
	add(&w, "unmount", "");
	add(&w, "dir=", args->pos[0]);
	if (args->value[OPT_LAZY])
		add(&w, "lazy", "");
	return run_program(&w);
}
