// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recv.c - send streams become subvolumes
 *
 *	none --SUBVOL, SNAPSHOT--> filling --END--> none, and one more is there
 *	filling --SUBVOL, SNAPSHOT--> the same, and the next is filling
 *	filling --failure--> none, and nothing of it is there
 *
 * The subvolume stays hidden until its end (hidden.c).
 */
#include <stdlib.h>

#include "recv.h"

/* ---- which subvolume ------------------------------------------------------*/

/* How well a subvolume fits to what a stream wants of it.  One that can be
 * written may have changed, unless its transid says otherwise. */
static unsigned fit(const struct btrfs_root_item *item, uint8_t type,
		    uint64_t ctransid)
{
	uint64_t its = le64(type == BTRFS_UUID_SUBVOL ? item->ctransid
						      : item->stransid);

	if (!le32(item->refs))
		return 0;
	if (!(le64(item->flags) & BTRFS_ROOT_RDONLY))
		return its == ctransid && type == BTRFS_UUID_SUBVOL ? 2 : 0;
	return its == ctransid ? 3 : 1;
}

/* The best of those that have this uuid, which may be many: snapshots of what
 * was received keep its received uuid. */
static int find_by(struct recv *r, const uint8_t *uuid, uint8_t type,
		   uint64_t ctransid, uint64_t *out)
{
	enum { MANY = 4096 };
	unsigned best = 0, its;
	struct btrfs_tree *tree;
	uint64_t id;
	int err = 0;

	for (unsigned i = 0; !err && i < MANY && best < 3; i++) {
		err = btrfs_uuid_find(r->fs, uuid, type, i, &id);
		if (!err)
			err = btrfs_tree_get(r->fs, id, &tree);
		if (err)
			break;
		its = fit(&tree->item, type, ctransid);
		if (its > best) {
			best = its;
			*out = id;
		}
	}
	if (err && err != -ENOENT)
		return err;
	return best ? 0 : -ENOENT;
}

int recv_find_subvol(struct recv *r, const uint8_t *uuid, uint64_t ctransid,
		     uint64_t *id)
{
	int err = find_by(r, uuid, BTRFS_UUID_RECEIVED, ctransid, id);

	return err == -ENOENT ? find_by(r, uuid, BTRFS_UUID_SUBVOL, ctransid,
					id) : err;
}

static int find_parent(struct recv *r, const struct btrfs_stream_cmd *c,
		       uint64_t *id)
{
	const uint8_t *uuid = c->attr[BTRFS_A_CLONE_UUID].p;
	uint64_t ctransid = recv_u64(c, BTRFS_A_CLONE_CTRANSID);
	int err = recv_find_subvol(r, uuid, ctransid, id);
	char text[37];

	if (err != -ENOENT)
		return err;
	r->fits = true;
	btrfs_uuid_text(uuid, text);
	return btrfs_fail(r->fs, -ENOENT, "subvolume '%s' is the difference "
			  "to its parent with uuid %s, transid %llu, which is "
			  "not here as a read-only subvolume: receive that one "
			  "first", r->name, text,
			  (unsigned long long)ctransid);
}

/* ---- from SUBVOL to END ---------------------------------------------------*/

/* The name is free, as far as can be told now. */
static int check_name(struct recv *r, struct r3_span name)
{
	struct btrfs_entry entry;
	struct btrfs_tree *tree;
	int err = btrfs_name_check((const char *)name.p, name.len);

	if (err)
		return recv_bad(r, "the subvolume's name is no name");
	r->fits = true;
	memcpy(r->name, name.p, name.len);
	r->name[name.len] = 0;
	err = btrfs_tree_get(r->fs, r->dir.subvol, &tree);
	if (!err)
		err = btrfs_name_find(r->fs, tree, r->dir.ino, r->name,
				      name.len, &entry);
	if (!err)
		return btrfs_fail(r->fs, -EEXIST, "'%s' exists already",
				  r->name);
	return err == -ENOENT ? 0 : err;
}

static int begin(struct recv *r, const struct btrfs_stream_cmd *c)
{
	uint64_t parent = 0;
	int err = check_name(r, c->attr[BTRFS_A_PATH]);

	if (!err && c->cmd == BTRFS_SEND_SNAPSHOT)
		err = find_parent(r, c, &parent);
	if (!err)
		err = btrfs_subvol_hidden(r->fs, parent, &r->id);
	if (err)
		return err;
	r->fs->receiving = r->id;
	memcpy(r->uuid, c->attr[BTRFS_A_UUID].p, BTRFS_UUID_SIZE);
	r->ctransid = recv_u64(c, BTRFS_A_CTRANSID);
	r->at_set = false;
	r->source = 0;
	/* Files of the parent that somebody held when it was made. */
	return parent ? btrfs_orphans_clean_in(r->fs, r->id) : 0;
}

static int tell(struct recv *r, uint64_t id)
{
	struct r3_btrfs_subvol *v = malloc(sizeof(*v));
	int err = v ? r3_btrfs_get_subvol(r->fs, id, v) : -ENOMEM;

	if (!err)
		r->opts->subvol(r->opts->arg, v);
	free(v);
	return err;
}

static int finish(struct recv *r)
{
	uint64_t id = r->id;
	int err = recv_flush(r);

	r->fits = !err;
	if (!err)
		err = btrfs_subvol_show(r->fs, id, r->dir, r->name,
					strlen(r->name), r->uuid, r->ctransid);
	if (err)
		return err;
	r->id = r->fs->receiving = 0;
	return r->opts->subvol ? tell(r, id) : 0;
}

/* What is there of it is deleted, and no other; should that fail too, whoever
 * cleans next does it. */
static void give_up(struct recv *r)
{
	struct r3_btrfs_why why = r->fs->why;
	int err = r->fs->why_err;

	r->fs->receiving = 0;
	if (r->id)
		btrfs_subvol_clean(r->fs, r->id);
	btrfs_fail(r->fs, err, "%s", why.text);
}

static int step(struct recv *r, const struct btrfs_stream_cmd *c)
{
	bool starts = c->cmd == BTRFS_SEND_SUBVOL ||
		      c->cmd == BTRFS_SEND_SNAPSHOT;
	int err = 0;

	if (r->id && (starts || c->cmd == BTRFS_SEND_END))
		err = finish(r);
	if (err || c->cmd == BTRFS_SEND_END)
		return err;
	if (starts)
		return begin(r, c);
	if (!r->id)
		return recv_bad(r, "before it is said of which subvolume");
	return recv_command(r, c);
}

/* ---- the whole ------------------------------------------------------------*/

/* What a call refuses means that the stream does not fit; other errors stay what
 * they are. */
static int kind_of(const struct recv *r, int err)
{
	if (r->fits)
		return err;
	switch (err) {
	case -ENOENT: case -EEXIST: case -ENOTDIR: case -EISDIR:
	case -ENOTEMPTY: case -EINVAL: case -ENAMETOOLONG: case -EXDEV:
	case -EPERM: case -EMLINK: case -ENODATA: case -EBUSY: case -EFBIG:
	case -ELOOP:
		return -EPROTO;
	}
	return err;
}

/* An error of a command, with where in the stream it is. */
static int explain(struct recv *r, const struct btrfs_stream_cmd *c, int err)
{
	struct r3_span path = c->attr[BTRFS_A_PATH];
	struct r3_btrfs_why was = r->fs->why;
	struct recv_text text = recv_text((const char *)path.p, path.len);

	return btrfs_fail(r->fs, kind_of(r, err), "byte %llu: %s %s: %.320s",
			  (unsigned long long)c->at,
			  btrfs_stream_cmd_name(c->cmd), text.s,
			  *was.text ? was.text : strerror(-err));
}

static int run(struct recv *r)
{
	struct btrfs_stream_cmd c;
	uint64_t next = 0; /* to tell of progress */
	int err;

	for (;;) {
		err = btrfs_stream_next(&r->stream, &c);
		if (err == -ENODATA)
			return 0;
		if (err)
			return btrfs_fail(r->fs, err, "%s",
					  r->stream_why.text);
		r->fs->why.text[0] = 0;
		r->fs->why_err = 0;
		r->fits = false;
		err = step(r, &c);
		if (err)
			return explain(r, &c, err);
		if (r->opts->progress && r->stream.at >= next) {
			r->opts->progress(r->opts->arg, r->stream.at);
			next = r->stream.at + R3_MIB;
		}
	}
}

static int find_dir(struct recv *r)
{
	const char *path = r->opts->dir ? r->opts->dir : "/";
	struct r3_btrfs_stat st;
	int err = r3_btrfs_lookup(r->fs, path, &r->dir);

	if (!err)
		err = r3_btrfs_stat(r->fs, r->dir, &st);
	if (!err && !S_ISDIR(st.st.st_mode))
		err = btrfs_fail(r->fs, -ENOTDIR, "%s: %s", path,
				 strerror(ENOTDIR));
	return err;
}

int r3_btrfs_receive(struct r3_btrfs *fs, FILE *in,
		     const struct r3_btrfs_receive_options *opts)
{
	struct recv *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r)
		return btrfs_fail(fs, err, "out of memory");
	r->fs = fs;
	r->opts = opts;
	r->names = calloc(RECV_NAMES, sizeof(*r->names));
	r->data = malloc(RECV_DATA_MAX);
	err = r->names && r->data ? find_dir(r)
				  : btrfs_fail(fs, err, "out of memory");
	if (!err) {
		err = btrfs_stream_open(&r->stream, in, &r->stream_why);
		if (err)
			btrfs_fail(fs, err, "%s", r->stream_why.text);
	}
	if (!err) {
		err = run(r);
		if (err)
			give_up(r);
		btrfs_stream_close(&r->stream);
	}
	free(r->names);
	free(r->data);
	free(r);
	return err;
}
