// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_scan.c - the source directory: inodes, names, xattrs, into memory
 *
 * Directories are read in the order in which they were found, so the files of
 * one directory have numbers that follow each other.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mkfs.h"

enum { XATTRS_MAX = 65536 }; /* bytes of one file's names, as the kernel's */

/* A directory that waits to be read. */
struct todo {
	uint32_t subvol, inode;
	char *path; /* from rootdir */
};

/* An inode with several names, by its place in the source. */
struct hard {
	dev_t dev;
	ino_t ino;
	uint32_t subvol, inode;
	bool used;
};

struct scan {
	struct mkfs *m;
	VEC(struct todo) todo;
	struct hard *hard; /* open addressing */
	size_t hard_count, hard_room;
	char names[XATTRS_MAX], value[XATTRS_MAX];
	char shown[R3_BTRFS_PATH_MAX + NAME_MAX]; /* from rootdir, for texts */
};

static bool add_text(struct mkfs *m, const void *bytes, size_t len,
		     size_t *at)
{
	*at = m->text.n;
	while (m->text.room - m->text.n < len) {
		size_t room = m->text.room ? m->text.room * 2 : 1 << 20;
		char *p = realloc(m->text.p, room);

		if (!p)
			return false;
		m->text.p = p;
		m->text.room = room;
	}
	if (len)
		memcpy(m->text.p + m->text.n, bytes, len);
	m->text.n += len;
	return true;
}

static int no_memory(struct mkfs *m)
{
	return mkfs_fail(m, -ENOMEM, "out of memory");
}

static struct hard *hard_slot(struct hard *table, size_t room, dev_t dev,
			      ino_t ino, uint32_t subvol)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40 ^
		      (uint64_t)subvol << 20) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (h >> 24) & (room - 1);

	while (table[at].used && (table[at].ino != ino ||
				  table[at].dev != dev ||
				  table[at].subvol != subvol))
		at = (at + 1) & (room - 1);
	return &table[at];
}

static bool hard_grow(struct scan *s)
{
	size_t room = s->hard_room ? s->hard_room * 2 : 1024;
	struct hard *table = calloc(room, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < s->hard_room; i++) {
		struct hard *h = &s->hard[i];

		if (h->used)
			*hard_slot(table, room, h->dev, h->ino,
				   h->subvol) = *h;
	}
	free(s->hard);
	s->hard = table;
	s->hard_room = room;
	return true;
}

/* ---- one inode ------------------------------------------------------------*/

static int scan_xattrs(struct scan *s, struct mkfs_inode *in, const char *path)
{
	struct mkfs *m = s->m;
	ssize_t n = llistxattr(path, s->names, sizeof(s->names));
	size_t at;

	in->xattrs = m->text.n;
	if (n < 0 && errno != EOPNOTSUPP)
		return mkfs_fail(m, -errno, "%s: xattrs: %m", s->shown);
	for (char *name = s->names; n > 0 && name < s->names + n;
	     name += strlen(name) + 1) {
		size_t len = strlen(name);
		ssize_t v = lgetxattr(path, name, s->value, sizeof(s->value));
		r3_le16 head[2] = { to_le16((uint16_t)len),
				    to_le16((uint16_t)v) };

		if (v < 0 && errno == ENODATA)
			continue;
		if (v < 0)
			return mkfs_fail(m, -errno, "%s: xattr %s: %m",
					 s->shown, name);
		if (len > BTRFS_XATTR_NAME_MAX ||
		    len + (size_t)v + sizeof(struct btrfs_dir_item) >
			    mkfs_item_max(m))
			return mkfs_fail(m, -E2BIG, "%s: xattr %s of %zd "
					 "bytes does not fit a node of %u",
					 s->shown, name, v, m->nodesize);
		if (!add_text(m, head, sizeof(head), &at) ||
		    !add_text(m, name, len, &at) ||
		    !add_text(m, s->value, (size_t)v, &at))
			return no_memory(m);
	}
	in->xattrs_len = (uint32_t)(m->text.n - in->xattrs);
	return 0;
}

static void fill_inode(struct mkfs_inode *in, const struct stat *st)
{
	*in = (struct mkfs_inode){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.atime = st->st_atim,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
		.first_link = MKFS_NONE,
		.nlink = 1,
	};
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		in->rdev = (uint64_t)major(st->st_rdev) << 20 |
			   minor(st->st_rdev);
	if (S_ISREG(st->st_mode)) {
		in->size = (uint64_t)st->st_size;
		in->holes = (uint64_t)st->st_blocks * 512 < in->size;
	}
}

static int scan_symlink(struct scan *s, struct mkfs_inode *in,
			const char *path)
{
	struct mkfs *m = s->m;
	char target[R3_BTRFS_PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	if (n <= 0)
		return mkfs_fail(m, n ? -errno : -EIO, "%s: %m", s->shown);
	if ((size_t)n + sizeof(struct btrfs_file_extent) > mkfs_item_max(m) ||
	    n >= R3_BTRFS_PATH_MAX)
		return mkfs_fail(m, -E2BIG, "%s: the link does not fit a node "
				 "of %u bytes", s->shown, m->nodesize);
	in->is_inline = true;
	in->size = in->nbytes = in->inline_len = (uint32_t)n;
	return add_text(m, target, (size_t)n, &in->inline_at) ? 0
							      : no_memory(m);
}

/* A new inode in the subvolume; its index there. */
static int new_inode(struct scan *s, uint32_t subvol, const struct stat *st,
		     const char *path, uint32_t *out)
{
	struct mkfs_subvol *v = &s->m->subvols.p[subvol];
	struct mkfs_inode in;
	int err;

	fill_inode(&in, st);
	err = scan_xattrs(s, &in, path);
	if (!err && S_ISLNK(st->st_mode))
		err = scan_symlink(s, &in, path);
	if (err)
		return err;
	if (v->inodes.n >= UINT32_MAX - 1 || !vec_push(&v->inodes, in))
		return no_memory(s->m);
	*out = (uint32_t)v->inodes.n - 1;
	if (S_ISDIR(st->st_mode))
		s->m->res.directories++;
	else
		s->m->res.files++;
	s->m->total_bytes += in.size;
	return 0;
}

/* The inode of a file with several names: found again, or new. */
static int hard_inode(struct scan *s, uint32_t subvol, const struct stat *st,
		      const char *path, uint32_t *out)
{
	struct hard *h;
	int err;

	if (s->hard_count * 2 >= s->hard_room && !hard_grow(s))
		return no_memory(s->m);
	h = hard_slot(s->hard, s->hard_room, st->st_dev, st->st_ino, subvol);
	if (h->used) {
		*out = h->inode;
		s->m->subvols.p[subvol].inodes.p[h->inode].nlink++;
		return 0;
	}
	err = new_inode(s, subvol, st, path, out);
	if (err)
		return err;
	*h = (struct hard){ st->st_dev, st->st_ino, subvol, *out, true };
	s->hard_count++;
	return 0;
}

/* ---- directories ----------------------------------------------------------*/

static bool push_todo(struct scan *s, uint32_t subvol, uint32_t inode,
		      const char *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s%s%s", dir, *dir && *name ? "/" : "", name) < 0)
		return false;
	if (vec_push(&s->todo, (struct todo){ subvol, inode, path }))
		return true;
	free(path);
	return false;
}

/* The subvolume that this directory is to be; 0: none. */
static uint32_t wanted_subvol(const struct mkfs *m, const char *dir,
			      const char *name)
{
	size_t len = strlen(dir);

	for (uint32_t i = 1; i < m->subvols.n; i++) {
		const char *p = m->subvols.p[i].path;

		if (len && (strncmp(p, dir, len) || p[len++] != '/')) {
			len = strlen(dir);
			continue;
		}
		if (!strcmp(p + len, name))
			return i;
		len = strlen(dir);
	}
	return 0;
}

static int scan_entry(struct scan *s, const struct todo *dir, const char *name,
		      const struct stat *st, const char *path)
{
	struct mkfs *m = s->m;
	uint32_t sub = S_ISDIR(st->st_mode)
			       ? wanted_subvol(m, dir->path, name) : 0;
	uint32_t in_subvol = sub ? sub : dir->subvol, child;
	struct mkfs_subvol *v;
	struct mkfs_link link = { .parent = dir->inode, .subvol = sub,
				  .len = (uint16_t)strlen(name) };
	int err;

	err = !S_ISDIR(st->st_mode) && st->st_nlink > 1
		      ? hard_inode(s, in_subvol, st, path, &child)
		      : new_inode(s, in_subvol, st, path, &child);
	if (err)
		return err;
	v = &m->subvols.p[dir->subvol];
	if (!add_text(m, name, link.len, &link.name))
		return no_memory(m);
	link.index = (uint32_t)(v->links.n - v->inodes.p[dir->inode]
						      .first_entry) + 2;
	link.child = child;
	link.next = MKFS_NONE;
	v->inodes.p[dir->inode].dir_size += 2u * link.len;
	if (sub) {
		m->subvols.p[sub].parent = dir->subvol;
		m->subvols.p[sub].link = (uint32_t)v->links.n;
	} else {
		link.next = v->inodes.p[child].first_link;
		v->inodes.p[child].first_link = (uint32_t)v->links.n;
	}
	if (v->links.n >= UINT32_MAX - 1 || !vec_push(&v->links, link))
		return no_memory(m);
	if (S_ISDIR(st->st_mode) &&
	    !push_todo(s, in_subvol, child, dir->path, name))
		return no_memory(m);
	return 0;
}

static int cmp_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

/* The file that the image is made in, inside of what it is made from. */
static bool is_image(struct mkfs *m, const struct stat *st)
{
	const struct stat *image = m->opts->image;

	if (!image || st->st_dev != image->st_dev ||
	    st->st_ino != image->st_ino)
		return false;
	m->res.left_out = true;
	return true;
}

static int scan_entries(struct scan *s, const struct todo *dir, int fd,
			struct dirent **list, int n)
{
	char path[sizeof("/proc/self/fd/") + 12 + NAME_MAX + 1];
	struct stat st;
	int err = 0;

	for (int i = 0; !err && i < n; i++) {
		const char *name = list[i]->d_name;

		snprintf(s->shown, sizeof(s->shown), "%s%s%s", dir->path,
			 *dir->path ? "/" : "", name);
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
			return mkfs_fail(s->m, -errno, "%s: %m", s->shown);
		if (is_image(s->m, &st))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name);
		err = scan_entry(s, dir, name, &st, path);
	}
	return err;
}

static int scan_dir(struct scan *s, const struct todo *dir)
{
	struct mkfs *m = s->m;
	struct mkfs_subvol *v = &m->subvols.p[dir->subvol];
	struct dirent **list = NULL;
	int n, err, fd = openat(m->root_fd, *dir->path ? dir->path : ".",
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
				O_CLOEXEC);

	if (fd < 0)
		return mkfs_fail(m, -errno, "%s: %m", dir->path);
	v->inodes.p[dir->inode].first_entry = (uint32_t)v->links.n;
	/* sorted: the same tree always gives the same image layout */
	n = scandirat(fd, ".", &list, not_dots, cmp_names);
	err = n < 0 ? mkfs_fail(m, -errno, "%s: %m", dir->path)
		    : scan_entries(s, dir, fd, list, n);
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	close(fd);
	v = &m->subvols.p[dir->subvol];
	v->inodes.p[dir->inode].entry_count = (uint32_t)
		(v->links.n - v->inodes.p[dir->inode].first_entry);
	return err;
}

/* ---- the whole ------------------------------------------------------------*/

static int add_subvol(struct mkfs *m, const struct r3_btrfs_mkfs_subvol *o)
{
	struct mkfs_subvol v = {
		.id = m->subvols.n ? 255 + m->subvols.n : BTRFS_FS_TREE,
		.parent = MKFS_NONE,
	};
	const char *path = o ? o->path : "";
	size_t len;

	path += strspn(path, "/");
	len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	if (o && !len)
		return mkfs_fail(m, -EINVAL, "--subvol needs a directory "
				 "below the root");
	if (o) {
		v.readonly = o->readonly;
		v.make_default = o->make_default;
	}
	for (size_t i = 1; i < m->subvols.n; i++) {
		if (!strncmp(m->subvols.p[i].path, path, len) &&
		    !m->subvols.p[i].path[len])
			return mkfs_fail(m, -EINVAL, "--subvol %s: given twice",
					 path);
	}
	v.path = strndup(path, len);
	if (getrandom(v.uuid, sizeof(v.uuid), 0) != sizeof(v.uuid) ||
	    !v.path || !vec_push(&m->subvols, v)) {
		free(v.path);
		return no_memory(m);
	}
	return 0;
}

static int scan_root(struct scan *s)
{
	struct mkfs *m = s->m;
	struct stat st = { .st_mode = S_IFDIR | 0755,
			   .st_uid = m->opts->uid, .st_gid = m->opts->gid };
	struct mkfs_inode in;
	char path[32];
	uint32_t root;
	int err;

	if (!m->opts->rootdir) {
		st.st_atim = st.st_mtim = st.st_ctim = m->now;
		fill_inode(&in, &st);
		return vec_push(&m->subvols.p[0].inodes, in) ? 0
							     : no_memory(m);
	}
	m->root_fd = open(m->opts->rootdir, O_RDONLY | O_DIRECTORY |
			  O_CLOEXEC);
	if (m->root_fd < 0 || fstat(m->root_fd, &st))
		return mkfs_fail(m, -errno, "%s: %m", m->opts->rootdir);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/.", m->root_fd);
	err = new_inode(s, 0, &st, path, &root);
	if (!err && !push_todo(s, 0, root, "", ""))
		err = no_memory(m);
	for (size_t i = 0; !err && i < s->todo.n; i++) {
		struct todo dir = s->todo.p[i]; /* the array may move */

		err = scan_dir(s, &dir);
		free(dir.path);
		s->todo.p[i].path = NULL;
	}
	return err;
}

int mkfs_scan(struct mkfs *m)
{
	struct scan *s = calloc(1, sizeof(*s));
	int err = s ? add_subvol(m, NULL) : no_memory(m);

	for (unsigned i = 0; !err && i < m->opts->subvol_count; i++)
		err = add_subvol(m, &m->opts->subvols[i]);
	if (!err) {
		s->m = m;
		err = scan_root(s);
	}
	for (size_t i = 1; !err && i < m->subvols.n; i++) {
		if (m->subvols.p[i].parent == MKFS_NONE)
			err = mkfs_fail(m, -ENOENT, "--subvol %s: there is no "
					"such directory",
					m->subvols.p[i].path);
	}
	m->res.subvolumes = m->subvols.n ? m->subvols.n - 1 : 0;
	for (size_t i = 0; s && i < s->todo.n; i++)
		free(s->todo.p[i].path);
	if (s) {
		vec_free(&s->todo);
		free(s->hard);
	}
	free(s);
	return err;
}
