// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send_load.c - what differs between two subvolumes, and where it is
 *
 * The trees are compared block by block, so the time goes with what changed,
 * not with what is there.  A name that comes, goes or moves changes the inode
 * that it leads to.
 */
#include "send_diff.h"
#include "walk.h"

/* ---- inodes and their names -----------------------------------------------*/

static int keep_number(void *arg, const struct btrfs_pair *p)
{
	struct diff *d = arg;
	uint64_t ino = p->key.objectid;

	if (ino < R3_BTRFS_ROOT_INO || ino > BTRFS_LAST_FREE)
		return 0;
	if (d->changed.n && d->changed.p[d->changed.n - 1] == ino)
		return 0; /* they come in the order of keys */
	return vec_push(&d->changed, ino) ? 0 : send_no_memory(d->s);
}

static uint32_t find_ino(struct side *side, uint64_t ino)
{
	struct known *k = send_table_find(&side->by_ino, ino, 0);

	return k ? (uint32_t)k->path - 1 : NONE;
}

static bool good_name(const char *name, size_t len)
{
	return len && !memchr(name, '/', len) && !memchr(name, 0, len) &&
	       !(len == 1 && *name == '.') &&
	       !(len == 2 && !memcmp(name, "..", 2));
}

static int add_name(struct diff *d, struct side *side,
		    const struct btrfs_cursor *c, uint64_t parent,
		    const char *name, size_t len)
{
	struct name n = { .parent_ino = parent, .len = (uint16_t)len,
			  .child = (uint32_t)side->inodes.n,
			  .text = side->text.n };

	if (!good_name(name, len))
		return btrfs_fail(d->s->fs, -EUCLEAN, "%s: it is no name",
				  btrfs_cursor_where(c).s);
	for (size_t i = 0; i < len; i++) {
		if (!vec_push(&side->text, name[i]))
			return send_no_memory(d->s);
	}
	return vec_push(&side->names, n) ? 0 : send_no_memory(d->s);
}

/* The names in an INODE_REF or INODE_EXTREF item. */
static int add_names(struct diff *d, struct side *side,
		     const struct btrfs_cursor *c)
{
	struct r3_span s = { c->data, c->size };
	uint64_t parent = c->key.offset;
	int err = 0;

	while (s.len && !err) {
		size_t len;

		if (c->key.type == BTRFS_INODE_REF) {
			const struct btrfs_inode_ref *r =
				r3_take(&s, sizeof(*r));

			len = le16(r->name_len);
		} else {
			const struct btrfs_inode_extref *r =
				r3_take(&s, sizeof(*r));

			parent = le64(r->parent);
			len = le16(r->name_len);
		}
		err = add_name(d, side, c, parent, r3_take(&s, len), len);
	}
	return err;
}

/* The items of @ino from the cursor on, which stands on its INODE_ITEM. */
static int read_items(struct diff *d, struct side *side,
		      struct btrfs_cursor *c, uint64_t ino)
{
	const struct btrfs_inode_item *item = c->data;
	struct inode in = { .ino = ino, .generation = le64(item->generation),
			    .transid = le64(item->transid),
			    .mode = le32(item->mode), .other = NONE,
			    .first_name = NONE };
	size_t names = side->names.n;
	int err = 0;

	/* the root's own name leads to itself */
	while (ino != R3_BTRFS_ROOT_INO && !err) {
		err = btrfs_cursor_next(c);
		if (err == -ENOENT || (!err && (c->key.objectid != ino ||
					c->key.type > BTRFS_INODE_EXTREF))) {
			err = 0;
			break;
		}
		if (!err)
			err = add_names(d, side, c);
	}
	if (err)
		return err;
	names = side->names.n - names;
	if (!names && ino != R3_BTRFS_ROOT_INO)
		return -ENOENT; /* it was deleted while it was open */
	if (is_dir(&in) && names > 1)
		return btrfs_fail(d->s->fs, -EUCLEAN, "subvolume %llu inode "
				  "%llu: a directory with %zu names",
				  (unsigned long long)side->subvol,
				  (unsigned long long)ino, names);
	if (side->inodes.n >= NONE - 1 || !vec_push(&side->inodes, in) ||
	    !send_table_add(&side->by_ino, (struct known){
			    .key = ino, .path = side->inodes.n }))
		return send_no_memory(d->s);
	return 0;
}

/* -ENOENT: this side does not have it. */
static int read_inode(struct diff *d, struct side *side, uint64_t ino)
{
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, d->s->fs, &side->root);
	err = btrfs_cursor_seek(&c, KEY(ino, BTRFS_INODE_ITEM, 0));
	if (!err && (c.key.objectid != ino || c.key.type != BTRFS_INODE_ITEM))
		err = -ENOENT;
	if (!err)
		err = read_items(d, side, &c, ino);
	btrfs_cursor_fini(&c);
	return err;
}

/* ---- a side ---------------------------------------------------------------*/

static int find_parents(struct diff *d, struct side *side)
{
	int err = 0;

	/* names grow meanwhile: by those of the parents */
	for (size_t i = 0; !err && i < side->names.n; i++) {
		uint64_t ino = side->names.p[i].parent_ino;
		uint32_t at = find_ino(side, ino);

		if (at == NONE) {
			err = read_inode(d, side, ino);
			at = (uint32_t)side->inodes.n - 1;
		}
		if (err == -ENOENT || (!err && !is_dir(&side->inodes.p[at])))
			return btrfs_fail(d->s->fs, -EUCLEAN, "subvolume %llu "
					  "inode %llu: something lies in it, "
					  "but it is no directory",
					  (unsigned long long)side->subvol,
					  (unsigned long long)ino);
		side->names.p[i].parent = at;
	}
	return err;
}

/* A directory's depth, from the parents that are known on. */
static int find_depth(struct diff *d, struct side *side,
		      const uint32_t *name_of, uint32_t dir)
{
	uint32_t up = dir, steps = 0;

	while (up && !side->inodes.p[up].depth) {
		if (steps++ == DEPTH_MAX)
			return btrfs_fail(d->s->fs, -ENAMETOOLONG, "deeper "
					  "than a path can be");
		up = side->names.p[name_of[up]].parent;
	}
	steps += side->inodes.p[up].depth;
	for (; dir != up; dir = side->names.p[name_of[dir]].parent)
		side->inodes.p[dir].depth = steps--;
	return 0;
}

static int by_depth(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

/* Names in the order of their depth, and each linked to its inode. */
static int sort_names(struct diff *d, struct side *side)
{
	uint32_t *name_of = calloc(side->inodes.n, sizeof(*name_of));
	int err = name_of ? 0 : send_no_memory(d->s);

	for (uint32_t i = 0; !err && i < side->names.n; i++)
		name_of[side->names.p[i].child] = i;
	for (uint32_t i = 0; !err && i < side->names.n; i++) {
		struct name *n = &side->names.p[i];

		err = find_depth(d, side, name_of, n->parent);
		n->depth = side->inodes.p[n->parent].depth + 1;
	}
	free(name_of);
	if (err)
		return err;
	if (side->names.n)
		qsort(side->names.p, side->names.n, sizeof(*side->names.p),
		      by_depth);
	for (uint32_t i = (uint32_t)side->names.n; i--;) {
		struct name *n = &side->names.p[i];

		n->next = side->inodes.p[n->child].first_name;
		side->inodes.p[n->child].first_name = i;
	}
	return 0;
}

static int load_side(struct diff *d, struct side *side)
{
	int err = read_inode(d, side, R3_BTRFS_ROOT_INO);

	if (err == -ENOENT)
		return btrfs_fail(d->s->fs, -EUCLEAN, "subvolume %llu has no "
				  "root directory",
				  (unsigned long long)side->subvol);
	for (size_t i = 0; !err && i < d->changed.n; i++) {
		if (d->changed.p[i] == R3_BTRFS_ROOT_INO)
			continue;
		err = read_inode(d, side, d->changed.p[i]);
		if (err == -ENOENT)
			err = 0;
	}
	return err ? err : find_parents(d, side);
}

/* A directory above something that is only on one side, unchanged itself: the
 * other side gets it too, or it would look new or gone there. */
static int load_ancestors(struct diff *d, const struct side *from,
			  struct side *to)
{
	int err = 0;

	for (size_t i = 0; !err && i < from->inodes.n; i++) {
		uint64_t ino = from->inodes.p[i].ino;

		if (find_ino(to, ino) != NONE)
			continue;
		err = read_inode(d, to, ino);
		if (err == -ENOENT)
			err = 0;
	}
	return err ? err : find_parents(d, to);
}

/* ---- what is the same on both sides ---------------------------------------*/

static int name_cmp(const struct side *a, const struct name *x,
		    const struct side *b, const struct name *y)
{
	int cmp;

	if (x->child != y->child)
		return x->child < y->child ? -1 : 1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	cmp = memcmp(a->text.p + x->text, b->text.p + y->text,
		     r3_min(x->len, y->len));
	return cmp ? cmp : x->len - y->len;
}

static int by_child(const void *a, const void *b, void *arg)
{
	const struct side *side = arg;

	return name_cmp(side, &side->names.p[*(const uint32_t *)a], side,
			&side->names.p[*(const uint32_t *)b]);
}

/* The names of a side by inode, directory and text. */
static uint32_t *list_names(struct side *side)
{
	uint32_t *list = calloc(side->names.n + 1, sizeof(*list));

	for (uint32_t i = 0; list && i < side->names.n; i++)
		list[i] = i;
	if (list)
		qsort_r(list, side->names.n, sizeof(*list), by_child, side);
	return list;
}

/* Does the new side have this name of the old side, for the same inode in the
 * same directory?  Then it stays. */
static void match_name(struct diff *d, const uint32_t *list, struct name *o)
{
	struct inode *in = &d->old.inodes.p[o->child];
	struct name like = *o;
	size_t lo = 0, hi = d->new.names.n;

	like.child = in->other;
	like.parent = d->old.inodes.p[o->parent].other;
	if (like.child == NONE || like.parent == NONE)
		return;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct name *n = &d->new.names.p[list[mid]];
		int cmp = name_cmp(&d->new, n, &d->old, &like);

		if (!cmp) {
			o->stays = n->stays = in->kept = true;
			return;
		}
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
}

static int match(struct diff *d)
{
	uint32_t *list = list_names(&d->new);

	if (!list)
		return send_no_memory(d->s);
	for (uint32_t i = 0; i < d->old.inodes.n; i++) {
		struct inode *o = &d->old.inodes.p[i];
		uint32_t j = find_ino(&d->new, o->ino);
		struct inode *n = &d->new.inodes.p[j == NONE ? 0 : j];

		if (j == NONE || (o->mode & S_IFMT) != (n->mode & S_IFMT) ||
		    (i && o->generation != n->generation))
			continue;
		o->other = j;
		n->other = i;
	}
	for (uint32_t i = 0; i < d->old.names.n; i++)
		match_name(d, list, &d->old.names.p[i]);
	free(list);
	return 0;
}

int send_load(struct diff *d, uint64_t old, uint64_t new)
{
	int err;

	d->old.subvol = old;
	d->new.subvol = new;
	err = btrfs_subvol_root(d->s->fs, old, &d->old.root);
	if (!err)
		err = btrfs_subvol_root(d->s->fs, new, &d->new.root);
	if (!err)
		err = btrfs_compare(d->s->fs, &d->old.root, &d->new.root,
				    keep_number, d);
	if (!err)
		err = load_side(d, &d->old);
	if (!err)
		err = load_side(d, &d->new);
	if (!err)
		err = load_ancestors(d, &d->old, &d->new);
	if (!err)
		err = load_ancestors(d, &d->new, &d->old);
	if (!err)
		err = sort_names(d, &d->old);
	if (!err)
		err = sort_names(d, &d->new);
	return err ? err : match(d);
}

static void free_side(struct side *side)
{
	vec_free(&side->inodes);
	vec_free(&side->names);
	vec_free(&side->text);
	free(side->by_ino.p);
}

void send_unload(struct diff *d)
{
	free_side(&d->old);
	free_side(&d->new);
	vec_free(&d->changed);
}
