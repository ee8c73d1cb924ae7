// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mkfs_meta.c - the trees that describe the others
 *
 * Those of checksums, uuids, relocation, the device, chunks and roots; the
 * super block.  The last ones, which list their own blocks: mkfs_layout.c.
 */
#include "mkfs.h"

enum { CSUM_ITEM_MAX = 4096 };

/* ---- trees that nothing else changes --------------------------------------*/

static int csum_tree(struct mkfs *m)
{
	unsigned each = m->csum_size;
	/* as the kernel bounds them, so that it can merge and split */
	uint64_t max = r3_min((mkfs_item_max(m) - sizeof(struct btrfs_item)) /
			      each - 1, CSUM_ITEM_MAX);
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_CSUM_TREE);
	for (size_t i = 0; i < m->csums.n; i++) {
		const struct mkfs_csums *c = &m->csums.p[i];

		for (uint64_t at = 0; !t.err && at < c->count;) {
			uint64_t n = r3_min(c->count - at, max);
			uint8_t *to = mkfs_item(&t, KEY(BTRFS_CSUM_OBJECTID,
				BTRFS_EXTENT_CSUM,
				c->logical + at * BTRFS_SECTOR), n * each);

			if (to)
				memcpy(to, m->csum_bytes.p + c->at + at * each,
				       n * each);
			at += n;
		}
	}
	return mkfs_tree_end(&t, &m->csum_root);
}

static uint64_t uuid_part(const uint8_t *uuid, unsigned part)
{
	r3_le64 v;

	memcpy(&v, uuid + 8 * part, sizeof(v));
	return le64(v);
}

static int by_uuid(const void *pa, const void *pb)
{
	const struct mkfs_subvol *a = *(struct mkfs_subvol *const *)pa;
	const struct mkfs_subvol *b = *(struct mkfs_subvol *const *)pb;

	return btrfs_key_cmp(KEY(uuid_part(a->uuid, 0), 0,
				 uuid_part(a->uuid, 1)),
			     KEY(uuid_part(b->uuid, 0), 0,
				 uuid_part(b->uuid, 1)));
}

static int uuid_tree(struct mkfs *m)
{
	const struct mkfs_subvol **v = calloc(m->subvols.n, sizeof(*v));
	struct mkfs_tree t;

	if (!v)
		return mkfs_fail(m, -ENOMEM, "out of memory");
	for (size_t i = 0; i < m->subvols.n; i++)
		v[i] = &m->subvols.p[i];
	qsort(v, m->subvols.n, sizeof(*v), by_uuid);
	mkfs_tree_begin(&t, m, BTRFS_UUID_TREE);
	for (size_t i = 0; i < m->subvols.n; i++) {
		r3_le64 *id = mkfs_item(&t, KEY(uuid_part(v[i]->uuid, 0),
						BTRFS_UUID_SUBVOL,
						uuid_part(v[i]->uuid, 1)),
					sizeof(*id));

		if (id)
			*id = to_le64(v[i]->id);
	}
	free(v);
	return mkfs_tree_end(&t, &m->uuid_root);
}

static void put_dir_inode(struct mkfs_tree *t, uint64_t ino, uint64_t nbytes)
{
	struct timespec now = t->m->now;
	struct btrfs_disk_time when = { to_le64((uint64_t)now.tv_sec),
					to_le32((uint32_t)now.tv_nsec) };
	struct btrfs_inode_item *i =
		mkfs_item(t, KEY(ino, BTRFS_INODE_ITEM, 0), sizeof(*i));
	struct btrfs_inode_ref *r;

	if (!i)
		return;
	*i = (struct btrfs_inode_item){
		.generation = to_le64(MKFS_GENERATION),
		.nbytes = to_le64(nbytes),
		.nlink = to_le32(1),
		.mode = to_le32(S_IFDIR | 0755),
		.atime = when, .ctime = when, .mtime = when, .otime = when,
	};
	r = mkfs_item(t, KEY(ino, BTRFS_INODE_REF, ino), sizeof(*r) + 2);
	if (!r)
		return;
	*r = (struct btrfs_inode_ref){ to_le64(0), to_le16(2) };
	memcpy(r + 1, "..", 2);
}

static int reloc_tree(struct mkfs *m)
{
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_DATA_RELOC_TREE);
	put_dir_inode(&t, R3_BTRFS_ROOT_INO, 0);
	return mkfs_tree_end(&t, &m->reloc_root);
}

/* ---- chunks and the device ------------------------------------------------*/

struct stripe_at {
	uint64_t physical, logical, length;
};

static int by_physical(const void *a, const void *b)
{
	const struct stripe_at *x = a, *y = b;

	return x->physical < y->physical ? -1 : x->physical > y->physical;
}

static int dev_tree(struct mkfs *m)
{
	struct stripe_at *s = calloc(2 * m->chunks.n, sizeof(*s));
	struct mkfs_tree t;
	size_t n = 0;

	if (!s)
		return mkfs_fail(m, -ENOMEM, "out of memory");
	for (size_t i = 0; i < m->chunks.n; i++) {
		const struct mkfs_chunk *c = &m->chunks.p[i];

		for (unsigned k = 0; k < c->copies; k++)
			s[n++] = (struct stripe_at){ c->physical[k],
						     c->logical, c->length };
	}
	qsort(s, n, sizeof(*s), by_physical);
	mkfs_tree_begin(&t, m, BTRFS_DEV_TREE);
	for (size_t i = 0; i < n; i++) {
		struct btrfs_dev_extent *x =
			mkfs_item(&t, KEY(1, BTRFS_DEV_EXTENT, s[i].physical),
				  sizeof(*x));

		if (!x)
			break;
		*x = (struct btrfs_dev_extent){
			.chunk_tree = to_le64(BTRFS_CHUNK_TREE),
			.chunk_objectid = to_le64(BTRFS_FIRST_CHUNK),
			.chunk_offset = to_le64(s[i].logical),
			.length = to_le64(s[i].length),
		};
		memcpy(x->chunk_tree_uuid, m->chunk_tree_uuid, 16);
	}
	free(s);
	return mkfs_tree_end(&t, &m->dev_root);
}

static void fill_dev_item(const struct mkfs *m, struct btrfs_dev_item *d)
{
	uint64_t used = 0;

	for (size_t i = 0; i < m->chunks.n; i++)
		used += m->chunks.p[i].length * m->chunks.p[i].copies;
	*d = (struct btrfs_dev_item){
		.devid = to_le64(1),
		.total_bytes = to_le64(m->res.total_bytes),
		.bytes_used = to_le64(used),
		.io_align = to_le32(BTRFS_SECTOR),
		.io_width = to_le32(BTRFS_SECTOR),
		.sector_size = to_le32(BTRFS_SECTOR),
	};
	memcpy(d->uuid, m->dev_uuid, 16);
	memcpy(d->fsid, m->fsid, 16);
}

static size_t chunk_len(const struct mkfs_chunk *c)
{
	return sizeof(struct btrfs_chunk) +
	       c->copies * sizeof(struct btrfs_stripe);
}

static void fill_chunk(const struct mkfs *m, const struct mkfs_chunk *c,
		       struct btrfs_chunk *to)
{
	*to = (struct btrfs_chunk){
		.length = to_le64(c->length),
		.owner = to_le64(BTRFS_EXTENT_TREE),
		.stripe_len = to_le64(BTRFS_STRIPE_LEN),
		.type = to_le64(c->type),
		.io_align = to_le32(BTRFS_STRIPE_LEN),
		.io_width = to_le32(BTRFS_STRIPE_LEN),
		.sector_size = to_le32(BTRFS_SECTOR),
		.num_stripes = to_le16((uint16_t)c->copies),
		.sub_stripes = to_le16(1),
	};
	for (unsigned i = 0; i < c->copies; i++) {
		to->stripes[i].devid = to_le64(1);
		to->stripes[i].offset = to_le64(c->physical[i]);
		memcpy(to->stripes[i].dev_uuid, m->dev_uuid, 16);
	}
}

static int chunk_tree(struct mkfs *m)
{
	struct btrfs_dev_item *d;
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_CHUNK_TREE);
	d = mkfs_item(&t, KEY(BTRFS_DEV_ITEMS, BTRFS_DEV_ITEM, 1), sizeof(*d));
	if (d)
		fill_dev_item(m, d);
	for (size_t i = 0; i < m->chunks.n; i++) {
		const struct mkfs_chunk *c = &m->chunks.p[i];
		struct btrfs_chunk *to =
			mkfs_item(&t, KEY(BTRFS_FIRST_CHUNK, BTRFS_CHUNK_ITEM,
					  c->logical), chunk_len(c));

		if (to)
			fill_chunk(m, c, to);
	}
	return mkfs_tree_end(&t, &m->chunk_root);
}

/* ---- the root tree --------------------------------------------------------*/

static void put_root(struct mkfs_tree *t, const struct btrfs_root *root,
		     const struct mkfs_subvol *v)
{
	struct mkfs *m = t->m;
	struct btrfs_root_item *r =
		mkfs_item(t, KEY(root->id, BTRFS_ROOT_ITEM, 0), sizeof(*r));
	struct btrfs_disk_time now = { to_le64((uint64_t)m->now.tv_sec),
				       to_le32((uint32_t)m->now.tv_nsec) };
	bool has_dir = v || root->id == BTRFS_DATA_RELOC_TREE;

	if (!r)
		return;
	*r = (struct btrfs_root_item){
		.inode = { .generation = to_le64(1), .size = to_le64(3),
			   .nbytes = to_le64(m->nodesize),
			   .nlink = to_le32(1),
			   .mode = to_le32(S_IFDIR | 0755),
			   .flags = to_le64(BTRFS_INODE_ROOT_ITEM_INIT) },
		.generation = to_le64(MKFS_GENERATION),
		.root_dirid = to_le64(has_dir ? R3_BTRFS_ROOT_INO : 0),
		.bytenr = to_le64(root->bytenr),
		.bytes_used = to_le64(v ? v->bytes_used : m->nodesize),
		.refs = to_le32(1),
		.level = root->level,
		.generation_v2 = to_le64(MKFS_GENERATION),
	};
	if (!v)
		return;
	memcpy(r->uuid, v->uuid, sizeof(r->uuid));
	r->flags = to_le64(v->readonly ? BTRFS_ROOT_RDONLY : 0);
	r->ctransid = r->otransid = to_le64(MKFS_GENERATION);
	r->ctime = r->otime = now;
}

static void put_root_ref(struct mkfs_tree *t, uint64_t of, uint8_t type,
			 uint64_t other, const struct mkfs_link *l)
{
	struct btrfs_root_ref *r = mkfs_item(t, KEY(of, type, other),
					     sizeof(*r) + l->len);

	if (!r)
		return;
	r->dirid = to_le64(R3_BTRFS_ROOT_INO + l->parent);
	r->sequence = to_le64(l->index);
	r->name_len = to_le16(l->len);
	memcpy(r + 1, t->m->text.p + l->name, l->len);
}

/* ROOT_ITEM, ROOT_BACKREF, ROOT_REFs: subvolumes are numbered as they stand
 * in the array, so references to children ascend too. */
static void put_subvol(struct mkfs_tree *t, uint32_t index)
{
	struct mkfs *m = t->m;
	const struct mkfs_subvol *v = &m->subvols.p[index], *p;

	put_root(t, &v->root, v);
	if (index) {
		p = &m->subvols.p[v->parent];
		put_root_ref(t, v->id, BTRFS_ROOT_BACKREF, p->id,
			     &p->links.p[v->link]);
	}
	for (size_t i = 1; i < m->subvols.n; i++) {
		const struct mkfs_subvol *c = &m->subvols.p[i];

		if (c->parent == index)
			put_root_ref(t, v->id, BTRFS_ROOT_REF, c->id,
				     &v->links.p[c->link]);
	}
}

static uint64_t default_id(const struct mkfs *m)
{
	for (size_t i = 1; i < m->subvols.n; i++) {
		if (m->subvols.p[i].make_default)
			return m->subvols.p[i].id;
	}
	return BTRFS_FS_TREE;
}

/* Directory 6, whose one entry is the default subvolume. */
static void put_root_dir(struct mkfs_tree *t)
{
	static const char name[] = { 'd', 'e', 'f', 'a', 'u', 'l', 't' };
	struct btrfs_dir_item *d;

	put_dir_inode(t, BTRFS_ROOT_TREE_DIR, t->m->nodesize);
	d = mkfs_item(t, KEY(BTRFS_ROOT_TREE_DIR, BTRFS_DIR_ITEM,
			     btrfs_name_hash(name, sizeof(name))),
		      sizeof(*d) + sizeof(name));
	if (!d)
		return;
	*d = (struct btrfs_dir_item){
		.location = btrfs_key_put(KEY(default_id(t->m),
					      BTRFS_ROOT_ITEM, UINT64_MAX)),
		.name_len = to_le16(sizeof(name)),
		.type = BTRFS_FT_DIR,
	};
	memcpy(d + 1, name, sizeof(name));
}

int mkfs_root_tree(struct mkfs *m)
{
	struct btrfs_inode_ref *r;
	struct mkfs_tree t;

	mkfs_tree_begin(&t, m, BTRFS_ROOT_TREE);
	put_root(&t, &m->extent_root, NULL);
	put_root(&t, &m->dev_root, NULL);
	r = mkfs_item(&t, KEY(BTRFS_FS_TREE, BTRFS_INODE_REF,
			      BTRFS_ROOT_TREE_DIR), sizeof(*r) + 7);
	if (r) {
		*r = (struct btrfs_inode_ref){ to_le64(0), to_le16(7) };
		memcpy(r + 1, "default", 7);
	}
	put_subvol(&t, 0);
	put_root_dir(&t);
	put_root(&t, &m->csum_root, NULL);
	put_root(&t, &m->uuid_root, NULL);
	put_root(&t, &m->free_root, NULL);
	if (m->opts->block_group_tree)
		put_root(&t, &m->group_root, NULL);
	for (uint32_t i = 1; i < m->subvols.n; i++)
		put_subvol(&t, i);
	put_root(&t, &m->reloc_root, NULL);
	return mkfs_tree_end(&t, &m->root_root);
}

/* ---- the order of all ----------------------------------------------------*/

/* Where the device ends: as told, or after the last chunk with some room for
 * the kernel to make new ones: a scrub alone takes 100 MiB of them. */
static int set_size(struct mkfs *m)
{
	uint64_t used = m->next_physical, room;

	if (m->limit) {
		m->res.total_bytes = r3_align_down(m->limit, BTRFS_SECTOR);
		return 0;
	}
	room = r3_max(256 * R3_MIB, used / 4);
	m->res.total_bytes = (used + room + R3_MIB - 1) & ~(R3_MIB - 1);
	return 0;
}

/* Data comes first on the device; when the image grows as needed, the last
 * data chunk ends with its data. */
static void trim_data(struct mkfs *m)
{
	struct mkfs_chunk *c;

	if (m->limit || m->current[MKFS_DATA] == MKFS_NONE)
		return;
	c = &m->chunks.p[m->current[MKFS_DATA]];
	c->length = (c->next - c->logical + R3_MIB - 1) & ~(R3_MIB - 1);
	m->next_logical = c->logical + c->length;
	m->next_physical = c->physical[0] + c->length;
}

int mkfs_meta_trees(struct mkfs *m)
{
	int (*const trees[])(struct mkfs *) = { csum_tree, uuid_tree,
						reloc_tree };
	uint64_t dev_blocks = 4 + m->chunks.n / 16;
	int err;

	trim_data(m);
	err = mkfs_fs_trees(m);
	for (unsigned i = 0; !err && i < R3_COUNT(trees); i++)
		err = trees[i](m);
	if (!err)
		err = mkfs_reserve(m, mkfs_last_trees_bound(m) +
				      dev_blocks * m->nodesize);
	if (!err)
		err = set_size(m);
	if (!err)
		err = dev_tree(m);
	if (!err)
		err = chunk_tree(m);
	if (!err)
		err = mkfs_last_trees(m);
	return err ? err : mkfs_flush(m, &m->meta);
}

/* ---- the super block ------------------------------------------------------*/

static uint64_t incompat_bits(const struct mkfs *m)
{
	uint64_t bits = BTRFS_INCOMPAT_MIXED_BACKREF |
			BTRFS_INCOMPAT_EXTENDED_IREF | BTRFS_INCOMPAT_SKINNY |
			BTRFS_INCOMPAT_NO_HOLES;

	if (m->nodesize > BTRFS_SECTOR)
		bits |= BTRFS_INCOMPAT_BIG_METADATA;
	if (m->opts->compression == BTRFS_COMPRESS_LZO)
		bits |= BTRFS_INCOMPAT_LZO;
	if (m->opts->compression == BTRFS_COMPRESS_ZSTD)
		bits |= BTRFS_INCOMPAT_ZSTD;
	if (default_id(m) != BTRFS_FS_TREE)
		bits |= BTRFS_INCOMPAT_DEFAULT_SUBVOL;
	return bits;
}

static void fill_backup(const struct mkfs *m, struct btrfs_backup *b)
{
	const struct btrfs_root *fs = &m->subvols.p[0].root;
	r3_le64 gen = to_le64(MKFS_GENERATION);

	*b = (struct btrfs_backup){
		.tree_root = to_le64(m->root_root.bytenr),
		.tree_root_gen = gen,
		.tree_root_level = m->root_root.level,
		.chunk_root = to_le64(m->chunk_root.bytenr),
		.chunk_root_gen = gen,
		.chunk_root_level = m->chunk_root.level,
		.extent_root = to_le64(m->opts->block_group_tree
					       ? m->group_root.bytenr
					       : m->extent_root.bytenr),
		.extent_root_gen = gen,
		.extent_root_level = m->opts->block_group_tree
					     ? m->group_root.level
					     : m->extent_root.level,
		.fs_root = to_le64(fs->bytenr),
		.fs_root_gen = gen,
		.fs_root_level = fs->level,
		.dev_root = to_le64(m->dev_root.bytenr),
		.dev_root_gen = gen,
		.dev_root_level = m->dev_root.level,
		.csum_root = to_le64(m->csum_root.bytenr),
		.csum_root_gen = gen,
		.csum_root_level = m->csum_root.level,
		.total_bytes = to_le64(m->res.total_bytes),
		.bytes_used = to_le64(m->res.used_bytes),
		.num_devices = to_le64(1),
	};
}

static void fill_sys_array(const struct mkfs *m, struct btrfs_super *s)
{
	uint8_t *to = s->sys_array;

	for (size_t i = 0; i < m->chunks.n; i++) {
		const struct mkfs_chunk *c = &m->chunks.p[i];
		struct btrfs_disk_key *k = (void *)to;

		if (!(c->type & BTRFS_BG_SYSTEM))
			continue;
		*k = btrfs_key_put(KEY(BTRFS_FIRST_CHUNK, BTRFS_CHUNK_ITEM,
				       c->logical));
		fill_chunk(m, c, (struct btrfs_chunk *)(k + 1));
		to += sizeof(*k) + chunk_len(c);
	}
	s->sys_array_size = to_le32((uint32_t)(to - s->sys_array));
}

static void fill_super(struct mkfs *m, struct btrfs_super *s)
{
	uint64_t ro = BTRFS_COMPAT_RO_FREE_SPACE_TREE |
		      BTRFS_COMPAT_RO_FST_VALID;

	if (m->opts->block_group_tree)
		ro |= BTRFS_COMPAT_RO_BLOCK_GROUP_TREE;
	memset(s, 0, sizeof(*s));
	memcpy(s->fsid, m->fsid, sizeof(s->fsid));
	s->flags = to_le64(BTRFS_SUPER_WRITTEN);
	memcpy(s->magic, BTRFS_MAGIC, sizeof(s->magic));
	s->generation = to_le64(MKFS_GENERATION);
	s->root = to_le64(m->root_root.bytenr);
	s->root_level = m->root_root.level;
	s->chunk_root = to_le64(m->chunk_root.bytenr);
	s->chunk_root_level = m->chunk_root.level;
	s->chunk_root_generation = to_le64(MKFS_GENERATION);
	s->total_bytes = to_le64(m->res.total_bytes);
	s->bytes_used = to_le64(m->res.used_bytes);
	s->root_dir_objectid = to_le64(BTRFS_ROOT_TREE_DIR);
	s->num_devices = to_le64(1);
	s->sectorsize = s->stripesize = to_le32(BTRFS_SECTOR);
	s->nodesize = s->leafsize = to_le32(m->nodesize);
	s->compat_ro = to_le64(ro);
	s->incompat = to_le64(incompat_bits(m));
	s->csum_type = to_le16((uint16_t)m->csum_type);
	s->uuid_tree_generation = to_le64(MKFS_GENERATION);
	fill_dev_item(m, &s->dev_item);
	if (m->opts->label)
		memcpy(s->label, m->opts->label, strlen(m->opts->label));
	fill_sys_array(m, s);
	fill_backup(m, &s->backups[0]);
}

int mkfs_super(struct mkfs *m)
{
	struct btrfs_super s;
	int err = m->dev->ops->flush(m->dev);

	for (size_t i = 0; i < m->chunks.n; i++)
		m->res.used_bytes += m->chunks.p[i].used;
	fill_super(m, &s);
	/* The first copy last: until then it is no file system. */
	for (int i = BTRFS_SUPER_COPIES - 1; !err && i >= 0; i--) {
		uint64_t at = btrfs_super_offsets[i];

		if (at + BTRFS_STRIPE_LEN > m->res.total_bytes)
			continue;
		btrfs_super_seal(m->csum_type, &s, at);
		err = m->dev->ops->write(m->dev, at, &s, sizeof(s));
	}
	if (!err)
		err = m->dev->ops->flush(m->dev);
	return err ? mkfs_write_fail(m, err) : 0;
}
