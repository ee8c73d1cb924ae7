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

/* What is asked for by an option of ours, or as mount(8) has it behind -o. */
struct wishes {
	const char *subvol, *compress;
	bool readonly;
	char *rest; /* FUSE's options, or NULL; whole program's life */
};

/* One word of an -o; false: it is none of ours. */
static bool take_option(struct wishes *w, const char *word)
{
	static const struct {
		const char *name;
		bool compress;
	} values[] = { { "subvol=", false }, { "subvolid=", false },
		       { "compress=", true }, { "compress-force=", true } };

	for (unsigned i = 0; i < R3_COUNT(values); i++) {
		size_t len = strlen(values[i].name);

		if (strncmp(word, values[i].name, len))
			continue;
		*(values[i].compress ? &w->compress : &w->subvol) = word + len;
		return true;
	}
	if (!strcmp(word, "ro"))
		w->readonly = true;
	return !strcmp(word, "ro") || !strcmp(word, "rw");
}

/* Every -o there is; what is left for FUSE, in one. */
static bool take_options(struct wishes *w, const struct r3_args *args)
{
	char *words, *save, *longer;

	for (unsigned i = 0; i < args->all_count; i++) {
		if (args->all[i].opt != OPT_OPTIONS)
			continue;
		words = strdup(args->all[i].value);
		if (!words)
			return false;
		for (char *o = strtok_r(words, ",", &save); o;
		     o = strtok_r(NULL, ",", &save)) {
			if (take_option(w, o))
				continue;
			if (asprintf(&longer, "%s%s%s", w->rest ? w->rest : "",
				     w->rest ? "," : "", o) < 0)
				return false;
			free(w->rest);
			w->rest = longer;
		}
	}
	return true;
}

int r3_btrfs_cmd_mount(const struct r3_args *args)
{
	const char *const *v = args->value;
	struct wishes want = { v[OPT_SUBVOL], v[OPT_COMPRESS],
			       v[OPT_READ_ONLY], NULL };
	struct words w = { .full = !take_options(&want, args) };
	unsigned compression = 0;
	uint64_t sync_s = 5;
	char number[24];
	int level = 0;

	if (want.compress &&
	    !btrfs_parse_compress(want.compress, &compression, &level))
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
	if (want.subvol)
		add(&w, "subvol=", want.subvol);
	if (want.rest)
		add(&w, "options=", want.rest);
	if (want.readonly)
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
