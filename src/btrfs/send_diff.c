// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * send_diff.c - the difference between two read-only subvolumes
 *
 * What differs is loaded (send_load.c), then one side is turned into the other
 * so that no step can stand in another's way:
 *
 *	1 each directory that moved goes to a name of its own in the root
 *	2 each name of a file that is not in the new tree goes; a file that
 *	  would lose its last name first goes to a name of its own in the root
 *	3 directories that are gone are removed, the deepest first
 *	4 directories are made, or moved to their place, parents first
 *	5 files are made, moved to their place, linked, and brought up to date
 *	6 directories get owner, mode, xattrs, and at last their times
 *
 * An inode is the same one when number, generation and type are.
 */
#include "send_diff.h"

struct extents {
	VEC(struct r3_btrfs_extent) x;
};

/* ---- paths ----------------------------------------------------------------*/

/* "o257-9-0" */
static void temp_name(const struct inode *i, char *out, size_t len)
{
	snprintf(out, len, "o%llu-%llu-%u", (unsigned long long)i->ino,
		 (unsigned long long)i->generation, i->away - 1);
}

/* Does a root have an entry with the hash of this name? */
static int root_has(struct diff *d, const struct side *side, const char *name,
		    bool *out)
{
	struct btrfs_key key = KEY(R3_BTRFS_ROOT_INO, BTRFS_DIR_ITEM,
				   btrfs_name_hash(name, strlen(name)));
	struct btrfs_cursor c;
	int err;

	btrfs_cursor_init(&c, d->s->fs, &side->root);
	err = btrfs_cursor_seek(&c, key);
	*out = *out || (!err && !btrfs_key_cmp(c.key, key));
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

/* A name for the root that neither root has. */
static int choose_temp_name(struct diff *d, struct inode *i, char *out,
			    size_t len)
{
	bool taken;
	int err;

	do {
		taken = false;
		i->away++;
		temp_name(i, out, len);
		err = root_has(d, &d->old, out, &taken);
		if (!err)
			err = root_has(d, &d->new, out, &taken);
	} while (!err && taken);
	return err;
}

static int too_long(struct diff *d)
{
	return btrfs_fail(d->s->fs, -ENAMETOOLONG, "a path of %d bytes and "
			  "more", R3_BTRFS_PATH_MAX);
}

/* The path of directory @dir and then @last (or NULL) goes to s->path.  On the
 * old side a directory that has moved stands in the root. */
static int set_path(struct diff *d, const struct side *side, uint32_t dir,
		    const struct name *last)
{
	char buf[R3_BTRFS_PATH_MAX], temp[64];
	size_t at = sizeof(buf) - 1;
	const struct name *n = last;

	buf[at] = 0;
	if (!n && dir)
		n = &side->names.p[side->inodes.p[dir].first_name];
	if (!last && dir && side->inodes.p[dir].away)
		n = NULL;
	while (n) {
		if (at < (size_t)n->len + 1)
			return too_long(d);
		if (buf[at])
			buf[--at] = '/';
		at -= n->len;
		memcpy(buf + at, side->text.p + n->text, n->len);
		dir = n->parent;
		n = dir && !side->inodes.p[dir].away
			    ? &side->names.p[side->inodes.p[dir].first_name]
			    : NULL;
	}
	if (dir && side->inodes.p[dir].away) {
		temp_name(&side->inodes.p[dir], temp, sizeof(temp));
		if (at < strlen(temp) + 1)
			return too_long(d);
		if (buf[at])
			buf[--at] = '/';
		at -= strlen(temp);
		memcpy(buf + at, temp, strlen(temp));
	}
	memcpy(d->s->path, buf + at, sizeof(buf) - at);
	d->s->path_at = 0;
	return 0;
}

static int simple(struct send *s, enum btrfs_send_cmd cmd)
{
	send_begin(s, cmd);
	send_put_path(s);
	return send_end(s);
}

/* From where it is (s->path) to a name of its own in the root. */
static int move_away(struct diff *d, struct inode *i)
{
	char temp[64];
	int err = choose_temp_name(d, i, temp, sizeof(temp));

	if (err)
		return err;
	send_begin(d->s, BTRFS_SEND_RENAME);
	send_put_path(d->s);
	send_put(d->s, BTRFS_A_PATH_TO, temp, strlen(temp));
	return send_end(d->s);
}

/* From there to its place, which is s->path. */
static int move_back(struct diff *d, struct inode *i)
{
	char temp[64];

	temp_name(i, temp, sizeof(temp));
	send_begin(d->s, BTRFS_SEND_RENAME);
	send_put(d->s, BTRFS_A_PATH, temp, strlen(temp));
	send_put(d->s, BTRFS_A_PATH_TO, d->s->path, strlen(d->s->path));
	i->away = 0;
	return send_end(d->s);
}

/* ---- steps 1 to 3: what is no longer so -----------------------------------*/

static int clear_away(struct diff *d)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < d->old.names.n; i++) {
		const struct name *n = &d->old.names.p[i];
		struct inode *in = &d->old.inodes.p[n->child];

		if (!is_dir(in) || n->stays || in->other == NONE)
			continue;
		err = set_path(d, &d->old, n->parent, n);
		if (!err)
			err = move_away(d, in);
	}
	for (uint32_t i = 0; !err && i < d->old.names.n; i++) {
		const struct name *n = &d->old.names.p[i];
		struct inode *in = &d->old.inodes.p[n->child];

		if (is_dir(in) || n->stays)
			continue;
		err = set_path(d, &d->old, n->parent, n);
		if (!err && in->other != NONE && !in->kept && !in->away)
			err = move_away(d, in);
		else if (!err)
			err = simple(d->s, BTRFS_SEND_UNLINK);
	}
	/* names stand in the order of a walk: backwards, the deepest first */
	for (uint32_t i = (uint32_t)d->old.names.n; !err && i--;) {
		const struct name *n = &d->old.names.p[i];

		if (!is_dir(&d->old.inodes.p[n->child]) ||
		    d->old.inodes.p[n->child].other != NONE)
			continue;
		err = set_path(d, &d->old, n->parent, n);
		if (!err)
			err = simple(d->s, BTRFS_SEND_RMDIR);
	}
	return err;
}

/* ---- what changed in an inode ---------------------------------------------*/

static int keep_extent(void *arg, const struct r3_btrfs_extent *x)
{
	struct extents *e = arg;

	return vec_push(&e->x, *x) ? 0 : -ENOMEM;
}

static bool reads_zero(const struct r3_btrfs_extent *x)
{
	return !x->is_inline && (!x->logical || x->prealloc);
}

/* The same bytes on disk at the same place of the file?  The old subvolume
 * still holds them, so nobody can have written there. */
static bool same_bytes(const struct r3_btrfs_extent *a,
		       const struct r3_btrfs_extent *b)
{
	if (reads_zero(a) || reads_zero(b))
		return reads_zero(a) && reads_zero(b);
	return !a->is_inline && !b->is_inline && a->logical == b->logical &&
	       a->compression == b->compression &&
	       a->offset - a->start == b->offset - b->start;
}

/* What the new file has in [from, to), which the old one has not. */
static int send_change(struct send *s, const struct r3_btrfs_extent *x,
		       uint64_t from, uint64_t to)
{
	from = r3_max(r3_align_down(from, BTRFS_SECTOR), x->start);
	if (reads_zero(x))
		return send_zeros(s, from, to);
	s->written = to;
	return send_piece(s, x, from, to);
}

/* Inline data has the sector to itself. */
static uint64_t end_of(const struct r3_btrfs_extent *x)
{
	return x->is_inline ? BTRFS_SECTOR : x->start + x->len;
}

/* Walk both lists of extents side by side. */
static int send_changes(struct send *s, const struct extents *o, uint64_t osize,
			const struct extents *n)
{
	static const struct r3_btrfs_extent hole;
	uint64_t at = 0;
	size_t i = 0, j = 0;
	int err = 0;

	while (!err && at < s->size && j < n->x.n) {
		const struct r3_btrfs_extent *b = &n->x.p[j], *a = &hole;
		uint64_t next = r3_min(b->start + b->len, s->size);

		if (next <= at) {
			j++;
			continue;
		}
		while (i < o->x.n && end_of(&o->x.p[i]) <= at)
			i++;
		if (i < o->x.n && at < osize) {
			a = &o->x.p[i];
			next = r3_min(next, end_of(a));
		}
		/* What the extent holds past the old end is not what was read
		 * there. */
		if (!same_bytes(a, b))
			err = send_change(s, b, at, next);
		else if (at < osize)
			next = r3_min(next, osize);
		at = next;
	}
	return err ? err : send_flush(s);
}

static int update_data(struct diff *d, struct r3_btrfs_inode old,
		       const struct r3_btrfs_stat *was,
		       const struct r3_btrfs_stat *is)
{
	uint64_t osize = (uint64_t)was->st.st_size;
	struct extents o = { 0 }, n = { 0 };
	struct send *s = d->s;
	int err = r3_btrfs_each_extent(s->fs, old, keep_extent, &o);

	s->size = (uint64_t)is->st.st_size;
	if (!err)
		err = r3_btrfs_each_extent(s->fs, s->in, keep_extent, &n);
	s->written = 0;
	/* A smaller size first: what lies past it must not come back. */
	if (!err && s->size < osize)
		err = send_truncate(s);
	if (!err)
		err = send_changes(s, &o, osize, &n);
	if (!err && s->size > osize && (s->written < s->size ||
					s->opts->no_data))
		err = send_truncate(s);
	vec_free(&o.x);
	vec_free(&n.x);
	return err;
}

/* One side's xattrs, each {name, value}, for comparing. */
struct xattr {
	const char *name, *value;
	size_t name_len, len;
};

struct xattrs {
	VEC(struct xattr) list;
};

static void free_xattrs(struct xattrs *x)
{
	for (size_t i = 0; i < x->list.n; i++)
		free((void *)(uintptr_t)x->list.p[i].name);
	vec_free(&x->list);
}

static int keep_xattr(void *arg, const char *name, size_t name_len,
		      const void *value, size_t len)
{
	struct xattrs *x = arg;
	char *copy = malloc(name_len + len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, name_len);
	if (len)
		memcpy(copy + name_len, value, len);
	if (vec_push(&x->list, (struct xattr){ copy, copy + name_len,
					       name_len, len }))
		return 0;
	free(copy);
	return -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	const struct xattr *x = a, *y = b;
	int cmp = memcmp(x->name, y->name, r3_min(x->name_len, y->name_len));

	return cmp ? cmp : (x->name_len > y->name_len) -
			   (x->name_len < y->name_len);
}

static int load_xattrs(struct send *s, struct r3_btrfs_inode in,
		       struct xattrs *x)
{
	int err = r3_btrfs_each_xattr(s->fs, in, keep_xattr, x);

	if (x->list.n)
		qsort(x->list.p, x->list.n, sizeof(*x->list.p), by_name);
	return err;
}

static const struct xattr *find_xattr(const struct xattrs *x,
				      const struct xattr *like)
{
	return x->list.n ? bsearch(like, x->list.p, x->list.n,
				   sizeof(*like), by_name) : NULL;
}

static int send_one_xattr(struct send *s, const struct xattr *x, bool set)
{
	send_begin(s, set ? BTRFS_SEND_SET_XATTR : BTRFS_SEND_REMOVE_XATTR);
	send_put_path(s);
	send_put(s, BTRFS_A_XATTR_NAME, x->name, x->name_len);
	if (set)
		send_put(s, BTRFS_A_XATTR_DATA, x->value, x->len);
	return send_end(s);
}

/* Writing and a change of owner take capabilities away. */
static bool is_capability(const struct xattr *x)
{
	static const char name[] = "security.capability";

	return x->name_len == sizeof(name) - 1 &&
	       !memcmp(x->name, name, sizeof(name) - 1);
}

/* Before all else: a capability that writing takes away can't be removed any
 * more, and receiving ends there. */
static int remove_xattrs(struct send *s, const struct xattrs *o,
			 const struct xattrs *n)
{
	int err = 0;

	for (size_t i = 0; !err && i < o->list.n; i++) {
		if (!find_xattr(n, &o->list.p[i]))
			err = send_one_xattr(s, &o->list.p[i], false);
	}
	return err;
}

static int set_xattrs(struct send *s, const struct xattrs *o,
		      const struct xattrs *n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n->list.n; i++) {
		const struct xattr *x = &n->list.p[i];
		const struct xattr *was = find_xattr(o, x);

		if (!was || was->len != x->len ||
		    memcmp(was->value, x->value, x->len) ||
		    (s->wrote && is_capability(x)))
			err = send_one_xattr(s, x, true);
	}
	return err;
}

/* Data, owner, mode. */
static int update_rest(struct diff *d, struct r3_btrfs_inode old,
		       const struct r3_btrfs_stat *was,
		       const struct r3_btrfs_stat *is)
{
	struct send *s = d->s;
	int err = 0;

	if (S_ISREG(is->st.st_mode))
		err = update_data(d, old, was, is);
	if (!err && (was->st.st_uid != is->st.st_uid ||
		     was->st.st_gid != is->st.st_gid)) {
		send_begin(s, BTRFS_SEND_CHOWN);
		send_put_path(s);
		send_put_u64(s, BTRFS_A_UID, is->st.st_uid);
		send_put_u64(s, BTRFS_A_GID, is->st.st_gid);
		s->wrote = true;
		err = send_end(s);
	}
	if (!err && !S_ISLNK(is->st.st_mode) &&
	    ((s->wrote && is->st.st_mode & (S_ISUID | S_ISGID)) ||
	     was->st.st_mode != is->st.st_mode)) {
		send_begin(s, BTRFS_SEND_CHMOD);
		send_put_path(s);
		send_put_u64(s, BTRFS_A_MODE, is->st.st_mode & 07777);
		err = send_end(s);
	}
	return err;
}

/* The inode at s->path, which both sides have, and which changed. */
static int update_inode(struct diff *d, const struct inode *o)
{
	struct r3_btrfs_inode old = { d->old.subvol, o->ino };
	struct xattrs had = { 0 }, has = { 0 };
	struct r3_btrfs_stat was, is;
	struct send *s = d->s;
	int err = r3_btrfs_stat(s->fs, old, &was);

	s->wrote = false;
	if (!err)
		err = r3_btrfs_stat(s->fs, s->in, &is);
	if (!err)
		err = load_xattrs(s, old, &had);
	if (!err)
		err = load_xattrs(s, s->in, &has);
	if (!err)
		err = remove_xattrs(s, &had, &has);
	if (!err)
		err = update_rest(d, old, &was, &is);
	if (!err)
		err = set_xattrs(s, &had, &has);
	if (!err && !S_ISDIR(is.st.st_mode))
		err = send_times(s, &is);
	free_xattrs(&had);
	free_xattrs(&has);
	return err;
}

/* ---- steps 4 to 6: what is new --------------------------------------------*/

static void set_inode(struct diff *d, const struct inode *i)
{
	d->s->in = (struct r3_btrfs_inode){ d->new.subvol, i->ino };
}

static int place_dirs(struct diff *d)
{
	struct r3_btrfs_stat st;
	int err = 0;

	for (uint32_t i = 0; !err && i < d->new.names.n; i++) {
		const struct name *n = &d->new.names.p[i];
		struct inode *in = &d->new.inodes.p[n->child];
		struct inode *o = in->other == NONE
					  ? NULL : &d->old.inodes.p[in->other];

		if (!is_dir(in) || (o && !o->away))
			continue;
		err = set_path(d, &d->new, n->parent, n);
		set_inode(d, in);
		if (!err && o)
			err = move_back(d, o);
		if (err || o)
			continue;
		err = r3_btrfs_stat(d->s->fs, d->s->in, &st);
		if (!err)
			err = send_make(d->s, &st);
	}
	return err;
}

/* A symbolic link or special file can't change what it is; a new one is made
 * whole.  s->path and s->in are set. */
static int make_file(struct diff *d)
{
	struct send *s = d->s;
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(s->fs, s->in, &st);

	if (!err)
		err = send_make(s, &st);
	if (!err)
		err = send_xattrs(s, true);
	if (!err && S_ISREG(st.st.st_mode))
		err = send_data(s, &st);
	if (!err)
		err = send_attrs(s, &st);
	return err ? err : send_times(s, &st);
}

/* Where the file can be reached now: a name that stayed, or was placed. */
static int link_to(struct diff *d, const struct name *n,
		   const struct name *existing)
{
	char target[R3_BTRFS_PATH_MAX];
	int err = set_path(d, &d->new, existing->parent, existing);

	if (err)
		return err;
	memcpy(target, d->s->path, sizeof(target));
	err = set_path(d, &d->new, n->parent, n);
	if (err)
		return err;
	send_begin(d->s, BTRFS_SEND_LINK);
	send_put_path(d->s);
	send_put(d->s, BTRFS_A_PATH_LINK, target, strlen(target));
	return send_end(d->s);
}

/* All names of one file of the new side. */
static int place_file(struct diff *d, struct inode *in)
{
	struct inode *o = in->other == NONE ? NULL
					    : &d->old.inodes.p[in->other];
	const struct name *there = NULL;
	int err = 0;

	for (uint32_t i = in->first_name; i != NONE;
	     i = d->new.names.p[i].next) {
		if (d->new.names.p[i].stays)
			there = &d->new.names.p[i];
	}
	for (uint32_t i = in->first_name; !err && i != NONE;
	     i = d->new.names.p[i].next) {
		const struct name *n = &d->new.names.p[i];

		if (n->stays)
			continue;
		if (there) {
			err = link_to(d, n, there);
			continue;
		}
		err = set_path(d, &d->new, n->parent, n);
		set_inode(d, in);
		if (!err)
			err = o ? move_back(d, o) : make_file(d);
		there = n;
	}
	if (err || !o || !there || o->transid == in->transid)
		return err;
	err = set_path(d, &d->new, there->parent, there);
	set_inode(d, in);
	return err ? err : update_inode(d, o);
}

static int place_files(struct diff *d)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < d->new.names.n; i++) {
		struct inode *in = &d->new.inodes.p[d->new.names.p[i].child];

		if (is_dir(in) || in->placed)
			continue;
		in->placed = true;
		err = place_file(d, in);
	}
	return err;
}

static int finish_dir(struct diff *d, uint32_t index, bool times)
{
	const struct inode *in = &d->new.inodes.p[index];
	const struct inode *o = in->other == NONE
					? NULL : &d->old.inodes.p[in->other];
	struct r3_btrfs_stat st;
	int err;

	/* the root's times change with what was put there meanwhile */
	if (o && o->transid == in->transid && (!times || index))
		return 0;
	err = set_path(d, &d->new, index, NULL);
	set_inode(d, in);
	if (!err)
		err = r3_btrfs_stat(d->s->fs, d->s->in, &st);
	if (err)
		return err;
	if (times)
		return send_times(d->s, &st);
	if (o)
		return update_inode(d, o);
	err = send_xattrs(d->s, true);
	return err ? err : send_attrs(d->s, &st);
}

static int finish_dirs(struct diff *d)
{
	int err = 0;

	for (unsigned times = 0; times < 2; times++) {
		for (uint32_t i = 0; !err && i < d->new.inodes.n; i++) {
			if (is_dir(&d->new.inodes.p[i]))
				err = finish_dir(d, i, times);
		}
	}
	return err;
}

/* ---- the whole ------------------------------------------------------------*/

int send_difference(struct send *s, uint64_t parent)
{
	struct diff d = { .s = s };
	int err = send_load(&d, parent, s->subvol);

	if (!err)
		err = clear_away(&d);
	if (!err)
		err = place_dirs(&d);
	if (!err)
		err = place_files(&d);
	if (!err)
		err = finish_dirs(&d);
	send_unload(&d);
	if (err == -ENOMEM)
		send_no_memory(s);
	return err;
}
