// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trans.c - operations: begun when there is room for them, ended, and made
 * durable many at a time
 *
 *	CLOSED --start--> OPEN --end--> CLOSED --commit--> CLOSED
 *	CLOSED, OPEN --a failure after the first change--> ABORTED
 *
 * ABORTED lasts until the volume is closed: readers see the last commit.
 */
#include <sys/random.h>

#include "edit.h"

#define DIRTY_MAX (128 * R3_MIB) /* of blocks, before a commit by itself */
#define REFS_MAX (32 * R3_MIB)	 /* of memory for references, likewise */
enum {
	COMMIT_MIN = 24,     /* blocks that any commit copies */
	COMMIT_MAX = 4096,   /* that are kept for one, of what it may copy */
	RESERVE = 64,	     /* blocks kept for what frees space */
};

/* ---- opening ------------------------------------------------------------- */

static int refuse(struct r3_btrfs *fs)
{
	const uint64_t known = BTRFS_COMPAT_RO_FREE_SPACE_TREE |
			       BTRFS_COMPAT_RO_FST_VALID |
			       BTRFS_COMPAT_RO_BLOCK_GROUP_TREE;
	const char *what = NULL;
	char text[256];

	r3_btrfs_compat_ro_names(fs->compat_ro & ~known, text, sizeof(text));
	if (fs->opts.super > 1 || fs->opts.backup)
		what = "another super block or backup was asked for, and "
		       "these can only be read";
	else if (fs->compat_ro & ~known)
		return btrfs_fail(fs, -EOPNOTSUPP, "can't be changed: it uses "
				  "%s", text);
	else if (!(fs->compat_ro & BTRFS_COMPAT_RO_FREE_SPACE_TREE))
		what = "it has no free space tree; mount it once with "
		       "-o space_cache=v2";
	else if (!(fs->compat_ro & BTRFS_COMPAT_RO_FST_VALID))
		what = "its free space tree is not valid; mount it once with "
		       "-o clear_cache,space_cache=v2";
	else if (fs->incompat & BTRFS_INCOMPAT_MIXED_GROUPS)
		what = "its data and metadata share block groups";
	else if (!(fs->incompat & BTRFS_INCOMPAT_SKINNY))
		what = "it has no SKINNY_METADATA; btrfstune -x gives it";
	else if (fs->incompat & BTRFS_INCOMPAT_SIMPLE_QUOTA)
		what = "it has simple quotas";
	else if (le64(fs->super.flags) & BTRFS_SUPER_ERROR)
		what = "a kernel met an error and marked it; run btrfs check";
	if (what)
		return btrfs_fail(fs, -EOPNOTSUPP, "can't be changed: %s",
				  what);
	return 0;
}

static int open_trees(struct r3_btrfs *fs)
{
	static const uint64_t ids[] = {
		BTRFS_ROOT_TREE, BTRFS_CHUNK_TREE, BTRFS_EXTENT_TREE,
		BTRFS_DEV_TREE, BTRFS_CSUM_TREE, BTRFS_FREE_SPACE_TREE,
		BTRFS_BLOCK_GROUP_TREE, BTRFS_QUOTA_TREE, BTRFS_UUID_TREE,
	};
	struct btrfs_tree *tree;
	int err = 0;

	for (unsigned i = 0; !err && i < R3_COUNT(ids); i++) {
		err = btrfs_tree_get(fs, ids[i], &tree);
		if (err == -ENOENT && i > 5)
			err = 0;
	}
	return err;
}

/* Every block's header carries it. */
static int chunk_tree_uuid(struct r3_btrfs *fs)
{
	struct btrfs_expect e = { .tree = BTRFS_CHUNK_TREE,
				  .generation = fs->chunk_root.generation,
				  .level = fs->chunk_root.level };
	struct btrfs_block *b;
	int err = btrfs_block_get(fs, fs->chunk_root.bytenr, &e, &b);

	if (err)
		return err;
	memcpy(fs->trans->chunk_tree_uuid,
	       ((const struct btrfs_header *)b->data)->chunk_tree_uuid,
	       BTRFS_UUID_SIZE);
	btrfs_block_put(b);
	return 0;
}

int btrfs_trans_open(struct r3_btrfs *fs)
{
	int err = refuse(fs);

	if (err)
		return err;
	fs->trans = calloc(1, sizeof(*fs->trans));
	if (!fs->trans)
		return btrfs_fail(fs, -ENOMEM, "out of memory");
	fs->trans->committed = fs->super;
	err = open_trees(fs);
	if (!err)
		err = chunk_tree_uuid(fs);
	if (!err)
		err = btrfs_space_open(fs);
	if (!err)
		err = btrfs_quota_open(fs);
	return err;
}

void btrfs_trans_close(struct r3_btrfs *fs)
{
	if (!fs->trans)
		return;
	btrfs_quota_close(fs);
	btrfs_space_close(fs);
	btrfs_trees_free(fs);
	free(fs->trans);
	fs->trans = NULL;
}

/* ---- abort --------------------------------------------------------------- */

static int aborted(struct r3_btrfs *fs)
{
	return btrfs_fail(fs, -EROFS, "an earlier change failed in the middle "
			  "(%s); the volume is as the last commit left it, and "
			  "takes no more changes until it is opened again",
			  fs->trans->aborted_why.text);
}

void btrfs_trans_abort(struct r3_btrfs *fs, int err)
{
	struct btrfs_trans *t = fs->trans;

	if (!t->aborted) {
		t->aborted = err;
		snprintf(t->aborted_why.text, sizeof(t->aborted_why.text),
			 "%s", r3_btrfs_why_of(fs, err));
	}
	while (fs->dirty_count)
		btrfs_cache_forget(fs, fs->dirty[fs->dirty_count - 1]);
	btrfs_trees_revert(fs);
	fs->super = t->committed;
}

const char *r3_btrfs_stopped(const struct r3_btrfs *fs, int *err)
{
	if (!fs->trans || !fs->trans->aborted)
		return NULL;
	*err = fs->trans->aborted;
	return fs->trans->aborted_why.text;
}

/* ---- room ---------------------------------------------------------------- */

static uint64_t tree_blocks(const struct r3_btrfs *fs, uint64_t id)
{
	const struct btrfs_tree *t = btrfs_tree_live(fs, id);

	return t ? le64(t->item.bytes_used) / fs->nodesize : 0;
}

/* Blocks that those trees have which a commit changes all over the place. */
static uint64_t commit_trees(const struct r3_btrfs *fs)
{
	return tree_blocks(fs, BTRFS_EXTENT_TREE) +
	       tree_blocks(fs, BTRFS_CSUM_TREE) +
	       tree_blocks(fs, BTRFS_FREE_SPACE_TREE) +
	       tree_blocks(fs, BTRFS_BLOCK_GROUP_TREE) +
	       tree_blocks(fs, BTRFS_QUOTA_TREE);
}

/* What committing the changes so far takes: each waiting reference may copy
 * leaves in two or three trees, but no block more than once; and it may make
 * items.  Blocks for those count twice: commit_blocks() grows by them. */
static uint64_t pending_blocks(const struct r3_btrfs *fs)
{
	uint64_t refs = btrfs_refs_count(fs);

	return r3_min(4 * refs, commit_trees(fs)) +
	       2 * btrfs_refs_space(fs) / fs->nodesize + fs->trans->changed.n;
}

/* Kept so that any commit can end, whatever it has to copy. */
static uint64_t commit_blocks(const struct r3_btrfs *fs)
{
	return COMMIT_MIN + r3_min(commit_trees(fs), COMMIT_MAX);
}

static int ready(struct r3_btrfs *fs, uint64_t blocks)
{
	return btrfs_space_ready(fs, blocks * fs->nodesize);
}

static bool nothing_changed(const struct r3_btrfs *fs)
{
	const struct btrfs_trans *t = fs->trans;

	return !fs->dirty_count && !t->changed.n && !t->super_changed &&
	       !btrfs_refs_count(fs);
}

/* The least that must be there beside what the commit takes.  What frees space
 * has its items side by side, splits nothing, and may use half of the reserve;
 * deleting subvolumes, which helps most, all of it. */
static uint64_t least(const struct r3_btrfs *fs, uint64_t items,
		      enum btrfs_purpose purpose)
{
	uint64_t way = fs->trans->level_max + 1;

	switch (purpose) {
	case BTRFS_CLEANS:
		return r3_min(items, RESERVE / 4);
	case BTRFS_FREES:
		return r3_min(items * way, RESERVE / 4) + RESERVE / 2;
	case BTRFS_USES:
		break;
	}
	return items * (2 * way + 1) + RESERVE; /* all ways down, all split */
}

/* Room for an operation and its commit; if possible without one now. */
static int make_room(struct r3_btrfs *fs, unsigned items,
		     enum btrfs_purpose purpose)
{
	int err = ready(fs, commit_blocks(fs) + pending_blocks(fs) +
			    least(fs, items, purpose));

	if (err != -ENOSPC)
		return err;
	if (!nothing_changed(fs)) {
		err = btrfs_trans_commit(fs);
		if (err)
			return err;
	}
	err = ready(fs, commit_blocks(fs) + least(fs, items, purpose));
	if (err == -ENOSPC)
		btrfs_fail(fs, err, "no space left for metadata");
	return err;
}

/* ---- operations ---------------------------------------------------------- */

int btrfs_trans_writable(struct r3_btrfs *fs)
{
	if (!fs->trans)
		return btrfs_fail(fs, -EROFS, "the volume was opened for "
				  "reading");
	return fs->trans->aborted ? aborted(fs) : 0;
}

int btrfs_trans_start(struct r3_btrfs *fs, unsigned items,
		      enum btrfs_purpose purpose)
{
	int err = btrfs_trans_writable(fs);

	if (!err) {
		assert(!fs->trans->open);
		err = make_room(fs, items, purpose);
	}
	if (err)
		return err;
	fs->trans->open = true;
	fs->trans->edited = false;
	return 0;
}

int btrfs_trans_end(struct r3_btrfs *fs, int err)
{
	struct btrfs_trans *t = fs->trans;

	assert(t->open);
	t->open = false;
	if (err) {
		if (t->edited)
			btrfs_trans_abort(fs, err);
		return err;
	}
	if (fs->dirty_count >= DIRTY_MAX / fs->nodesize ||
	    btrfs_refs_memory(fs) >= REFS_MAX)
		return btrfs_trans_commit(fs);
	return 0;
}

bool btrfs_trans_is_aborted(const struct r3_btrfs *fs)
{
	return fs->trans->aborted;
}

bool btrfs_trans_is_open(const struct r3_btrfs *fs)
{
	return fs->trans->open;
}

int btrfs_trans_commit(struct r3_btrfs *fs)
{
	int err = btrfs_trans_writable(fs);

	if (err)
		return err;
	assert(!fs->trans->open);
	if (nothing_changed(fs))
		return 0;
	err = btrfs_commit(fs);
	if (err)
		btrfs_trans_abort(fs, err);
	return err;
}

int r3_btrfs_sync(struct r3_btrfs *fs)
{
	return btrfs_trans_commit(fs);
}

/* ---- what an operation asks for ------------------------------------------ */

uint64_t btrfs_transid(const struct r3_btrfs *fs)
{
	return fs->generation + 1;
}

struct btrfs_disk_time btrfs_time_put(struct timespec t)
{
	return (struct btrfs_disk_time){ to_le64((uint64_t)t.tv_sec),
					 to_le32((uint32_t)t.tv_nsec) };
}

void btrfs_now(const struct r3_btrfs *fs, struct btrfs_disk_time *out)
{
	struct timespec now;

	if (fs->opts.now)
		fs->opts.now(&now);
	else
		clock_gettime(CLOCK_REALTIME, &now);
	*out = btrfs_time_put(now);
}

void btrfs_random(const struct r3_btrfs *fs, void *out, size_t len)
{
	uint8_t *p = out;

	if (fs->opts.random) {
		fs->opts.random(out, len);
		return;
	}
	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

void btrfs_set_incompat(struct r3_btrfs *fs, uint64_t bit)
{
	if (fs->incompat & bit)
		return;
	fs->incompat |= bit;
	fs->super.incompat = to_le64(fs->incompat);
	fs->trans->super_changed = true;
}
