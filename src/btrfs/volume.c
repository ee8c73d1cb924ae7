// SPDX-License-Identifier: GPL-2.0-or-later
/* volume.c - open and close a volume; what is known of it as a whole */
#include <stdarg.h>
#include <stdlib.h>

#include "extent.h"

#define CACHE_DEFAULT (64 * R3_MIB)

static const struct {
	const char *name;
	uint64_t id;
} tree_names[] = {
	{ "root", BTRFS_ROOT_TREE },	   { "extent", BTRFS_EXTENT_TREE },
	{ "chunk", BTRFS_CHUNK_TREE },	   { "dev", BTRFS_DEV_TREE },
	{ "fs", BTRFS_FS_TREE },	   { "csum", BTRFS_CSUM_TREE },
	{ "quota", BTRFS_QUOTA_TREE },	   { "uuid", BTRFS_UUID_TREE },
	{ "free-space", BTRFS_FREE_SPACE_TREE },
	{ "block-group", BTRFS_BLOCK_GROUP_TREE },
	{ "data-reloc", BTRFS_DATA_RELOC_TREE },
	{ "reloc", BTRFS_TREE_RELOC },	   { "log", BTRFS_TREE_LOG },
};

int r3_btrfs_tree_id(const char *text, uint64_t *out)
{
	bool minus = text[0] == '-';
	uint64_t n;

	for (unsigned i = 0; i < R3_COUNT(tree_names); i++) {
		if (!strcmp(text, tree_names[i].name)) {
			*out = tree_names[i].id;
			return 0;
		}
	}
	if (r3_parse_uint(text + minus, &n) || !n)
		return -EINVAL;
	*out = minus ? -n : n;
	return 0;
}

struct btrfs_key_text btrfs_tree_text(uint64_t tree)
{
	struct btrfs_key_text t;

	for (unsigned i = 0; i < R3_COUNT(tree_names); i++) {
		if (tree == tree_names[i].id && tree != BTRFS_FS_TREE) {
			snprintf(t.s, sizeof(t.s), "%s", tree_names[i].name);
			return t;
		}
	}
	snprintf(t.s, sizeof(t.s), "%llu", (unsigned long long)tree);
	return t;
}

int btrfs_fail(struct r3_btrfs *fs, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fs->why.text, sizeof(fs->why.text), fmt, ap);
	va_end(ap);
	fs->why_err = err;
	return err;
}

int btrfs_write_fail(struct r3_btrfs *fs, int err)
{
	r3_btrfs_dev_write_why(fs->dev, err, &fs->why);
	fs->why_err = err;
	return err;
}

struct r3_btrfs_why btrfs_read_why(const struct r3_btrfs *fs, int err)
{
	struct r3_btrfs_why why;

	if (fs->dev->bad.err == err)
		r3_btrfs_dev_write_why(fs->dev, err, &why);
	else
		snprintf(why.text, sizeof(why.text), "%s", strerror(-err));
	return why;
}

const char *r3_btrfs_why_of(const struct r3_btrfs *fs, int err)
{
	return fs->why_err == err ? fs->why.text : strerror(-err);
}

const char *r3_btrfs_why(const struct r3_btrfs *fs)
{
	return fs->why.text;
}

const char *r3_btrfs_left(const struct r3_btrfs *fs)
{
	return fs->left.text;
}

struct timespec btrfs_time_get(struct btrfs_disk_time t)
{
	return (struct timespec){ .tv_sec = (time_t)le64(t.sec),
				  .tv_nsec = le32(t.nsec) % 1000000000 };
}

void btrfs_uuid_text(const uint8_t *u, char out[37])
{
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4],
		 u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
		 u[14], u[15]);
}

/* A tree that may be missing stays with bytenr 0. */
static int root_maybe(struct r3_btrfs *fs, uint64_t id, bool needed,
		      struct btrfs_root *out)
{
	int err = btrfs_root_find(fs, id, out);

	if (err != -ENOENT)
		return err;
	*out = (struct btrfs_root){ .id = id };
	if (!needed)
		return 0;
	return btrfs_fail(fs, -EUCLEAN, "root tree: there is no tree %s",
			  btrfs_tree_text(id).s);
}

static int load_roots(struct r3_btrfs *fs)
{
	uint64_t ro = fs->compat_ro;
	const struct {
		uint64_t id;
		bool needed;
		struct btrfs_root *out;
	} trees[] = {
		{ BTRFS_EXTENT_TREE, true, &fs->extent },
		{ BTRFS_DEV_TREE, true, &fs->dev_tree },
		{ BTRFS_CSUM_TREE, true, &fs->csum },
		{ BTRFS_QUOTA_TREE, false, &fs->quota },
		{ BTRFS_UUID_TREE, false, &fs->uuid },
		{ BTRFS_FREE_SPACE_TREE,
		  ro & BTRFS_COMPAT_RO_FREE_SPACE_TREE, &fs->free_space },
		{ BTRFS_BLOCK_GROUP_TREE,
		  ro & BTRFS_COMPAT_RO_BLOCK_GROUP_TREE, &fs->block_groups },
	};
	int err = 0;

	for (unsigned i = 0; !err && i < R3_COUNT(trees); i++)
		err = root_maybe(fs, trees[i].id, trees[i].needed,
				 trees[i].out);
	return err;
}

static void unload(struct r3_btrfs *fs)
{
	free(fs->drop);
	btrfs_packer_close(fs);
	btrfs_holds_free(fs);
	btrfs_names_free(fs);
	btrfs_trans_close(fs);
	btrfs_cache_fini(fs);
	free(fs->chunks);
}

static int load(struct r3_btrfs *fs);

/* Damage where an orphan lies must not keep all else from being changed: if
 * removing them fails in the middle, they stay. */
static int clean_orphans(struct r3_btrfs *fs)
{
	struct r3_btrfs again = { .dev = fs->dev, .opts = fs->opts,
				  .file_buf = fs->file_buf,
				  .keep_orphans = true };
	int err = btrfs_orphans_clean(fs);

	if (!err)
		err = r3_btrfs_sync(fs);
	if (!err || err == -ENOMEM || !btrfs_trans_is_aborted(fs))
		return err;
	again.left = fs->why;
	unload(fs);
	*fs = again;
	return load(fs);
}

static int load(struct r3_btrfs *fs)
{
	int err = btrfs_super_load(fs);

	if (err)
		return err;
	err = btrfs_cache_init(fs, fs->opts.cache_bytes ? fs->opts.cache_bytes
							: CACHE_DEFAULT);
	if (err)
		return btrfs_fail(fs, err, "out of memory");
	err = btrfs_chunks_bootstrap(fs);
	if (!err)
		err = btrfs_chunks_load(fs);
	if (!err)
		err = load_roots(fs);
	if (!err && fs->opts.write)
		err = btrfs_trans_open(fs);
	if (!err && fs->opts.write && !fs->keep_orphans)
		err = clean_orphans(fs);
	return err;
}

int r3_btrfs_open(struct r3_btrfs_dev *dev,
		  const struct r3_btrfs_options *opts, struct r3_btrfs **out,
		  struct r3_btrfs_why *why)
{
	struct r3_btrfs *fs = calloc(1, sizeof(*fs));
	int err;

	if (!fs) {
		snprintf(why->text, sizeof(why->text), "out of memory");
		return -ENOMEM;
	}
	fs->dev = dev;
	if (opts)
		fs->opts = *opts;
	fs->file_buf = malloc(2 * BTRFS_COMPRESSED_MAX);
	err = fs->file_buf ? load(fs)
			   : btrfs_fail(fs, -ENOMEM, "out of memory");
	if (err) {
		*why = fs->why;
		r3_btrfs_close(fs);
		return err;
	}
	*out = fs;
	return 0;
}

void r3_btrfs_close(struct r3_btrfs *fs)
{
	if (!fs)
		return;
	unload(fs);
	free(fs->file_buf);
	free(fs);
}

/* used, from the block group items */
static int load_used(struct r3_btrfs *fs)
{
	const struct btrfs_root *root = fs->block_groups.bytenr
						? &fs->block_groups
						: &fs->extent;
	struct btrfs_cursor c;
	int err = 0;

	btrfs_cursor_init(&c, fs, root);
	for (unsigned i = 0; !err && i < fs->chunk_count; i++) {
		struct btrfs_chunk_map *m = &fs->chunks[i];
		const struct btrfs_block_group_item *g;

		err = btrfs_cursor_seek(&c, KEY(m->logical,
						BTRFS_BLOCK_GROUP_ITEM, 0));
		if (err == -ENOENT)
			err = 0;
		if (err || !c.valid || c.key.objectid != m->logical ||
		    c.key.type != BTRFS_BLOCK_GROUP_ITEM)
			continue;
		g = c.data;
		m->used = le64(g->used);
	}
	btrfs_cursor_fini(&c);
	return err;
}

/* The subvolume that the entry "default" of the root tree's directory names. */
int btrfs_default_subvol(struct r3_btrfs *fs, uint64_t *out)
{
	struct btrfs_cursor c;
	const struct btrfs_dir_item *d;
	int err;

	*out = BTRFS_FS_TREE;
	btrfs_cursor_init(&c, fs, &fs->tree_root);
	err = btrfs_cursor_seek(&c, KEY(BTRFS_ROOT_TREE_DIR, BTRFS_DIR_ITEM,
					btrfs_name_hash("default", 7)));
	if (!err && c.key.objectid == BTRFS_ROOT_TREE_DIR &&
	    c.key.type == BTRFS_DIR_ITEM) {
		d = c.data;
		*out = le64(d->location.objectid);
	}
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

static int count_subvol(void *arg, const struct r3_btrfs_subvol *subvol)
{
	*(uint64_t *)arg += !subvol->dead;
	return 0;
}

int r3_btrfs_get_info(struct r3_btrfs *fs, struct r3_btrfs_info *out)
{
	struct r3_btrfs_info i = {
		.generation = fs->generation,
		.total_bytes = fs->total_bytes,
		.bytes_used = le64(fs->super.bytes_used),
		.nodesize = fs->nodesize,
		.sectorsize = BTRFS_SECTOR,
		.csum = btrfs_csum_name(fs->csum_type),
		.incompat = fs->incompat,
		.compat_ro = fs->compat_ro,
		.aborted = le64(fs->super.flags) & BTRFS_SUPER_ERROR,
		.super = fs->super_copy,
		.supers_good = fs->supers_good,
		.supers_there = fs->supers_there,
		.quota = fs->quota.bytenr,
	};
	int err;

	memcpy(i.fsid, fs->super.fsid, sizeof(i.fsid));
	memcpy(i.label, fs->super.label, BTRFS_LABEL_SIZE);
	err = load_used(fs);
	if (!err)
		err = btrfs_default_subvol(fs, &i.default_subvol);
	if (!err)
		err = r3_btrfs_each_subvol(fs, count_subvol, &i.subvolumes);
	if (err)
		return err;
	i.bad_copies = fs->bad_copies;
	i.mended_copies = fs->mended_copies;
	*out = i;
	return 0;
}

int r3_btrfs_get_chunk(struct r3_btrfs *fs, unsigned n,
		       struct r3_btrfs_chunk_info *out)
{
	const struct btrfs_chunk_map *m = fs->chunks + n;

	if (n >= fs->chunk_count)
		return -ENOENT;
	*out = (struct r3_btrfs_chunk_info){
		.logical = m->logical, .length = m->length, .used = m->used,
		.physical = { m->physical[0], m->physical[1] },
		.copies = m->copies, .type = m->type,
	};
	return 0;
}
