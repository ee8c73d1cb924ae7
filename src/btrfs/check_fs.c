// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check_fs.c - what is wrong in a subvolume whose sums differ
 *
 * Reads the subvolume item by item, joins names with inodes and says which do
 * not fit.  Only for subvolumes that are known to be damaged, and only for the
 * first of them: a damaged image could hold one tree in very many subvolumes.
 */
#include <xxhash.h>

#include "check.h"

enum { DETAIL_SUBVOLUMES = 16, DETAIL_PROBLEMS = 100 };
enum { IN_ITEM = 1, IN_INDEX = 2, IN_REF = 4 };

/* One name, as one of its three items has it. */
struct name {
	uint64_t child, parent, hash, index;
	uint8_t in;    /* IN_*; after joining, all that have it */
	uint8_t type;  /* BTRFS_FT_* that the entry says */
	bool subvol;
};

struct inode {
	uint64_t ino, size, nbytes;
	uint64_t found_size, found_bytes, found_links;
	uint32_t nlink, mode;
	bool there;
};

struct detail {
	struct check *c;
	uint64_t subvol;
	VEC(struct name) names;
	VEC(struct inode) inodes; /* by number, as they come */
	unsigned problems;
	bool no_memory;
};

static bool may_say(struct detail *d)
{
	return d->problems++ < DETAIL_PROBLEMS;
}

/* Items come in the order of inode numbers. */
static struct inode *inode_of(struct detail *d, uint64_t ino)
{
	if (d->inodes.n && d->inodes.p[d->inodes.n - 1].ino == ino)
		return &d->inodes.p[d->inodes.n - 1];
	if (!vec_push(&d->inodes, (struct inode){ .ino = ino })) {
		d->no_memory = true;
		return NULL;
	}
	return &d->inodes.p[d->inodes.n - 1];
}

static void add_name(struct detail *d, struct name n)
{
	if (!vec_push(&d->names, n))
		d->no_memory = true;
}

static void see_dir(struct detail *d, struct inode *dir, struct btrfs_key key,
		    struct r3_span s)
{
	while (s.len) {
		const struct btrfs_dir_item *e = r3_take(&s, sizeof(*e));
		unsigned len = le16(e->name_len);
		bool index = key.type == BTRFS_DIR_INDEX;

		dir->found_size += len;
		add_name(d, (struct name){
			.child = le64(e->location.objectid),
			.parent = key.objectid,
			.hash = XXH64(e + 1, len, d->c->seed),
			.index = index ? key.offset : 0,
			.in = index ? IN_INDEX : IN_ITEM,
			.type = e->type,
			.subvol = e->location.type == BTRFS_ROOT_ITEM,
		});
		r3_take(&s, len + le16(e->data_len));
	}
}

static void see_refs(struct detail *d, struct btrfs_key key, struct r3_span s)
{
	while (s.len) {
		struct name n = { .child = key.objectid, .in = IN_REF,
				  .parent = key.offset };
		unsigned len;

		if (key.type == BTRFS_INODE_REF) {
			const struct btrfs_inode_ref *r =
				r3_take(&s, sizeof(*r));

			n.index = le64(r->index);
			len = le16(r->name_len);
		} else {
			const struct btrfs_inode_extref *r =
				r3_take(&s, sizeof(*r));

			n.parent = le64(r->parent);
			n.index = le64(r->index);
			len = le16(r->name_len);
		}
		n.hash = XXH64(r3_take(&s, len), len, d->c->seed);
		if (n.child != n.parent || n.parent != R3_BTRFS_ROOT_INO)
			add_name(d, n);
	}
}

static void see_item(struct detail *d, const struct btrfs_cursor *cur)
{
	const struct btrfs_inode_item *i = cur->data;
	const struct btrfs_file_extent_reg *x = cur->data;
	struct r3_span s = { cur->data, cur->size };
	struct inode *in = inode_of(d, cur->key.objectid);

	if (!in)
		return;
	switch (cur->key.type) {
	case BTRFS_INODE_ITEM:
		in->there = true;
		in->size = le64(i->size);
		in->nbytes = le64(i->nbytes);
		in->nlink = le32(i->nlink);
		in->mode = le32(i->mode);
		break;
	case BTRFS_DIR_ITEM:
	case BTRFS_DIR_INDEX:
		see_dir(d, in, cur->key, s);
		break;
	case BTRFS_INODE_REF:
	case BTRFS_INODE_EXTREF:
		see_refs(d, cur->key, s);
		break;
	case BTRFS_EXTENT_DATA:
		if (x->head.type == BTRFS_FILE_INLINE)
			in->found_bytes += le64(x->head.ram_bytes);
		else if (le64(x->disk_bytenr))
			in->found_bytes += le64(x->num_bytes);
	}
}

static int name_cmp(const void *pa, const void *pb)
{
	const struct name *a = pa, *b = pb;

	if (a->child != b->child)
		return a->child < b->child ? -1 : 1;
	if (a->subvol != b->subvol)
		return a->subvol - b->subvol;
	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static struct inode *find_inode(struct detail *d, uint64_t ino)
{
	size_t lo = 0, hi = d->inodes.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->inodes.p[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < d->inodes.n && d->inodes.p[lo].ino == ino
		       ? &d->inodes.p[lo] : NULL;
}

/* One name with all the items that have it. */
static void judge_name(struct detail *d, const struct name *n, unsigned in,
		       uint64_t index, uint64_t ref_index)
{
	unsigned want = n->subvol ? IN_ITEM | IN_INDEX
				  : IN_ITEM | IN_INDEX | IN_REF;
	struct inode *child = n->subvol ? NULL : find_inode(d, n->child);

	if (in != want && may_say(d))
		check_problem(d->c, "tree %llu key (%llu DIR_ITEM): a name "
			      "of %s %llu is in%s%s%s, but not in%s%s%s",
			      (unsigned long long)d->subvol,
			      (unsigned long long)n->parent,
			      n->subvol ? "subvolume" : "inode",
			      (unsigned long long)n->child,
			      in & IN_ITEM ? " DIR_ITEM" : "",
			      in & IN_INDEX ? " DIR_INDEX" : "",
			      in & IN_REF ? " INODE_REF" : "",
			      want & ~in & IN_ITEM ? " DIR_ITEM" : "",
			      want & ~in & IN_INDEX ? " DIR_INDEX" : "",
			      want & ~in & IN_REF ? " INODE_REF" : "");
	else if (in == want && !n->subvol && index != ref_index && may_say(d))
		check_problem(d->c, "tree %llu key (%llu INODE_REF %llu): "
			      "index %llu, but DIR_INDEX %llu",
			      (unsigned long long)d->subvol,
			      (unsigned long long)n->child,
			      (unsigned long long)n->parent,
			      (unsigned long long)ref_index,
			      (unsigned long long)index);
	if (n->subvol || !(in & IN_INDEX))
		return;
	if (child && child->there)
		child->found_links++;
	else if (may_say(d))
		check_problem(d->c, "tree %llu key (%llu DIR_INDEX %llu): "
			      "there is no inode %llu",
			      (unsigned long long)d->subvol,
			      (unsigned long long)n->parent,
			      (unsigned long long)index,
			      (unsigned long long)n->child);
	if (child && child->there && in & (IN_ITEM | IN_INDEX) &&
	    n->type != btrfs_type_of_mode(child->mode) && may_say(d))
		check_problem(d->c, "tree %llu key (%llu INODE_ITEM 0): mode "
			      "0%o, but its directory says type %u",
			      (unsigned long long)d->subvol,
			      (unsigned long long)child->ino, child->mode,
			      n->type);
}

static void join_names(struct detail *d)
{
	size_t end;

	if (d->names.n)
		qsort(d->names.p, d->names.n, sizeof(struct name), name_cmp);
	for (size_t i = 0; i < d->names.n; i = end) {
		uint64_t index = 0, ref_index = 0;
		struct name first = d->names.p[i];
		unsigned in = 0;

		for (end = i; end < d->names.n &&
			      !name_cmp(&first, &d->names.p[end]); end++) {
			const struct name *n = &d->names.p[end];

			in |= n->in;
			if (n->in == IN_INDEX)
				index = n->index;
			if (n->in == IN_REF)
				ref_index = n->index;
			else
				first.type = n->type;
		}
		judge_name(d, &first, in, index, ref_index);
	}
}

static void judge_inode(struct detail *d, const struct inode *i)
{
	bool dir = S_ISDIR(i->mode), root = i->ino == R3_BTRFS_ROOT_INO;
	uint64_t found = i->found_links + root;
	const char *what = NULL;
	uint64_t says = 0, is = 0;

	if (!i->there)
		return;
	if (i->nlink != found) {
		what = "nlink";
		says = i->nlink;
		is = found;
	} else if (dir && i->size != i->found_size) {
		what = "directory size";
		says = i->size;
		is = i->found_size;
	} else if ((S_ISREG(i->mode) || S_ISLNK(i->mode)) &&
		   i->nbytes != i->found_bytes) {
		what = "nbytes";
		says = i->nbytes;
		is = i->found_bytes;
	}
	if (what && may_say(d))
		check_problem(d->c, "tree %llu key (%llu INODE_ITEM 0): %s is "
			      "%llu, found %llu",
			      (unsigned long long)d->subvol,
			      (unsigned long long)i->ino, what,
			      (unsigned long long)says,
			      (unsigned long long)is);
}

static int look(struct detail *d, const struct btrfs_root *root)
{
	struct btrfs_cursor cur;
	int err;

	btrfs_cursor_init(&cur, d->c->fs, root);
	err = btrfs_cursor_seek(&cur, KEY(0, 0, 0));
	for (; !err && !d->no_memory; err = btrfs_cursor_next(&cur))
		see_item(d, &cur);
	btrfs_cursor_fini(&cur);
	if (d->no_memory)
		return -ENOMEM;
	return err == -ENOENT ? 0 : err;
}

int check_subvolume(struct check *c, const struct btrfs_root *root)
{
	struct detail d = { .c = c, .subvol = root->id };
	uint64_t before = c->res.problems;
	int err = 0;

	if (c->detailed++ < DETAIL_SUBVOLUMES)
		err = look(&d, root);
	if (!err) {
		join_names(&d);
		for (size_t i = 0; i < d.inodes.n; i++)
			judge_inode(&d, &d.inodes.p[i]);
	}
	if (d.problems > DETAIL_PROBLEMS)
		check_problem(c, "tree %llu: %u more problems",
			      (unsigned long long)root->id,
			      d.problems - DETAIL_PROBLEMS);
	else if (!err && c->res.problems == before)
		check_problem(c, "tree %llu: names, inodes and extents do not "
			      "add up", (unsigned long long)root->id);
	vec_free(&d.names);
	vec_free(&d.inodes);
	return err;
}
