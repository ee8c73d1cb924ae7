// SPDX-License-Identifier: GPL-2.0-or-later
/* dump.c - print a tree, item by item, and the super block */
#include "print.h"

#define F(type, field, kind) { #field, offsetof(struct type, field), kind }
#define FIELDS(name) static const struct btrfs_field name[]

FIELDS(inode_fields) = {
	F(btrfs_inode_item, generation, 8), F(btrfs_inode_item, transid, 8),
	F(btrfs_inode_item, size, 8),	    F(btrfs_inode_item, nbytes, 8),
	F(btrfs_inode_item, nlink, 4),	    F(btrfs_inode_item, uid, 4),
	F(btrfs_inode_item, gid, 4), F(btrfs_inode_item, mode, PRINT_OCTAL),
	F(btrfs_inode_item, rdev, 8),
	F(btrfs_inode_item, flags, PRINT_HEX),
	F(btrfs_inode_item, sequence, 8),
	F(btrfs_inode_item, atime, PRINT_TIME),
	F(btrfs_inode_item, ctime, PRINT_TIME),
	F(btrfs_inode_item, mtime, PRINT_TIME),
	F(btrfs_inode_item, otime, PRINT_TIME),
};

FIELDS(extent_fields) = {
	{ "generation", 0, 8 },	 { "ram_bytes", 8, 8 },
	{ "compression", 16, 1 }, { "extent_type", 20, 1 },
};

FIELDS(extent_reg_fields) = {
	F(btrfs_file_extent_reg, disk_bytenr, 8),
	F(btrfs_file_extent_reg, disk_num_bytes, 8),
	F(btrfs_file_extent_reg, offset, 8),
	F(btrfs_file_extent_reg, num_bytes, 8),
};

FIELDS(root_fields) = {
	F(btrfs_root_item, generation, 8), F(btrfs_root_item, root_dirid, 8),
	F(btrfs_root_item, bytenr, 8),	   F(btrfs_root_item, level, 1),
	F(btrfs_root_item, bytes_used, 8),
	F(btrfs_root_item, last_snapshot, 8),
	F(btrfs_root_item, flags, PRINT_HEX), F(btrfs_root_item, refs, 4),
	F(btrfs_root_item, drop_progress, PRINT_KEY),
	F(btrfs_root_item, drop_level, 1),
	F(btrfs_root_item, generation_v2, 8),
	F(btrfs_root_item, uuid, PRINT_UUID),
	F(btrfs_root_item, parent_uuid, PRINT_UUID),
	F(btrfs_root_item, received_uuid, PRINT_UUID),
	F(btrfs_root_item, ctransid, 8), F(btrfs_root_item, otransid, 8),
	F(btrfs_root_item, stransid, 8), F(btrfs_root_item, rtransid, 8),
	F(btrfs_root_item, ctime, PRINT_TIME),
	F(btrfs_root_item, otime, PRINT_TIME),
	F(btrfs_root_item, stime, PRINT_TIME),
	F(btrfs_root_item, rtime, PRINT_TIME),
};

FIELDS(root_ref_fields) = {
	F(btrfs_root_ref, dirid, 8), F(btrfs_root_ref, sequence, 8),
};

FIELDS(extent_item_fields) = {
	F(btrfs_extent_item, refs, 8), F(btrfs_extent_item, generation, 8),
	F(btrfs_extent_item, flags, PRINT_HEX),
};

FIELDS(data_ref_fields) = {
	F(btrfs_extent_data_ref, root, PRINT_SIGNED),
	F(btrfs_extent_data_ref, objectid, 8),
	F(btrfs_extent_data_ref, offset, PRINT_SIGNED),
	F(btrfs_extent_data_ref, count, 4),
};

FIELDS(shared_data_fields) = { { "count", 0, 4 } };

FIELDS(group_fields) = {
	F(btrfs_block_group_item, used, 8),
	F(btrfs_block_group_item, chunk_objectid, 8),
	F(btrfs_block_group_item, flags, PRINT_HEX),
};

FIELDS(fst_fields) = {
	F(btrfs_free_space_info, extent_count, 4),
	F(btrfs_free_space_info, flags, 4),
};

FIELDS(dev_extent_fields) = {
	F(btrfs_dev_extent, chunk_tree, 8),
	F(btrfs_dev_extent, chunk_objectid, 8),
	F(btrfs_dev_extent, chunk_offset, 8), F(btrfs_dev_extent, length, 8),
	F(btrfs_dev_extent, chunk_tree_uuid, PRINT_UUID),
};

FIELDS(dev_fields) = {
	F(btrfs_dev_item, devid, 8), F(btrfs_dev_item, total_bytes, 8),
	F(btrfs_dev_item, bytes_used, 8), F(btrfs_dev_item, io_align, 4),
	F(btrfs_dev_item, io_width, 4), F(btrfs_dev_item, sector_size, 4),
	{ "dev_type", offsetof(struct btrfs_dev_item, type), 8 },
	F(btrfs_dev_item, generation, 8),
	F(btrfs_dev_item, uuid, PRINT_UUID),
	F(btrfs_dev_item, fsid, PRINT_UUID),
};

FIELDS(chunk_fields) = {
	F(btrfs_chunk, length, 8),	 F(btrfs_chunk, owner, 8),
	F(btrfs_chunk, stripe_len, 8),
	{ "chunk_type", offsetof(struct btrfs_chunk, type), PRINT_HEX },
	F(btrfs_chunk, io_align, 4),	 F(btrfs_chunk, io_width, 4),
	F(btrfs_chunk, sector_size, 4),	 F(btrfs_chunk, num_stripes, 2),
	F(btrfs_chunk, sub_stripes, 2),
};

FIELDS(stripe_fields) = {
	F(btrfs_stripe, devid, 8), F(btrfs_stripe, offset, 8),
	F(btrfs_stripe, dev_uuid, PRINT_UUID),
};

FIELDS(qstatus_fields) = {
	F(btrfs_qgroup_status, version, 8),
	F(btrfs_qgroup_status, generation, 8),
	F(btrfs_qgroup_status, flags, PRINT_HEX),
	F(btrfs_qgroup_status, rescan, 8),
	F(btrfs_qgroup_status, enable_gen, 8),
};

FIELDS(qinfo_fields) = {
	F(btrfs_qgroup_info, generation, 8), F(btrfs_qgroup_info, rfer, 8),
	F(btrfs_qgroup_info, rfer_cmpr, 8), F(btrfs_qgroup_info, excl, 8),
	F(btrfs_qgroup_info, excl_cmpr, 8),
};

FIELDS(qlimit_fields) = {
	F(btrfs_qgroup_limit, flags, PRINT_HEX),
	F(btrfs_qgroup_limit, max_rfer, 8), F(btrfs_qgroup_limit, max_excl, 8),
	F(btrfs_qgroup_limit, rsv_rfer, 8), F(btrfs_qgroup_limit, rsv_excl, 8),
};

/* Types whose item is one struct and nothing more. */
static const struct {
	const struct btrfs_field *fields;
	unsigned count;
} plain[256] = {
#define PLAIN(f) { f, R3_COUNT(f) }
	[BTRFS_INODE_ITEM] = PLAIN(inode_fields),
	[BTRFS_ROOT_ITEM] = PLAIN(root_fields),
	[BTRFS_EXTENT_DATA_REF] = PLAIN(data_ref_fields),
	[BTRFS_SHARED_DATA_REF] = PLAIN(shared_data_fields),
	[BTRFS_BLOCK_GROUP_ITEM] = PLAIN(group_fields),
	[BTRFS_FREE_SPACE_INFO] = PLAIN(fst_fields),
	[BTRFS_DEV_EXTENT] = PLAIN(dev_extent_fields),
	[BTRFS_DEV_ITEM] = PLAIN(dev_fields),
	[BTRFS_QGROUP_STATUS] = PLAIN(qstatus_fields),
	[BTRFS_QGROUP_INFO] = PLAIN(qinfo_fields),
	[BTRFS_QGROUP_LIMIT] = PLAIN(qlimit_fields),
};

#define PRINT(p, f, base, len) \
	btrfs_print_fields(p, f, R3_COUNT(f), base, len)

static void dump_refs(struct btrfs_print *p, struct r3_span s, bool ext)
{
	btrfs_print_list(p, "names");
	while (s.len) {
		unsigned len;

		btrfs_print_record(p);
		if (ext) {
			const struct btrfs_inode_extref *x =
				r3_take(&s, sizeof(*x));

			btrfs_print_u64(p, "parent", le64(x->parent));
			btrfs_print_u64(p, "index", le64(x->index));
			len = le16(x->name_len);
		} else {
			const struct btrfs_inode_ref *r =
				r3_take(&s, sizeof(*r));

			btrfs_print_u64(p, "index", le64(r->index));
			len = le16(r->name_len);
		}
		btrfs_print_bytes(p, "name", r3_take(&s, len), len);
		btrfs_print_record_end(p);
	}
	btrfs_print_list_end(p);
}

static void dump_dir(struct btrfs_print *p, struct r3_span s)
{
	btrfs_print_list(p, "entries");
	while (s.len) {
		const struct btrfs_dir_item *d = r3_take(&s, sizeof(*d));
		const char *name = r3_take(&s, le16(d->name_len));
		const char *value = r3_take(&s, le16(d->data_len));

		btrfs_print_record(p);
		if (d->type != BTRFS_FT_XATTR)
			btrfs_print_text(p, "location", btrfs_key_text(
				btrfs_key_get(&d->location)).s);
		btrfs_print_u64(p, "transid", le64(d->transid));
		btrfs_print_u64(p, "type", d->type);
		btrfs_print_bytes(p, "name", name, le16(d->name_len));
		if (d->type == BTRFS_FT_XATTR)
			btrfs_print_bytes(p, "value", value,
					  le16(d->data_len));
		btrfs_print_record_end(p);
	}
	btrfs_print_list_end(p);
}

static void dump_file_extent(struct btrfs_print *p, struct r3_span s)
{
	const struct btrfs_file_extent *x = (const void *)s.p;

	PRINT(p, extent_fields, s.p, s.len);
	if (x->type != BTRFS_FILE_INLINE)
		PRINT(p, extent_reg_fields, s.p, s.len);
	else
		btrfs_print_u64(p, "inline_bytes", s.len - sizeof(*x));
}

static void dump_extent_item(struct btrfs_print *p, struct btrfs_key key,
			     struct r3_span s)
{
	const struct btrfs_extent_item *x = r3_take(&s, sizeof(*x));
	const struct btrfs_tree_block_info *info;

	PRINT(p, extent_item_fields, x, sizeof(*x));
	if (key.type == BTRFS_EXTENT_ITEM &&
	    le64(x->flags) & BTRFS_EXTENT_FLAG_TREE_BLOCK) {
		info = r3_take(&s, sizeof(*info));
		btrfs_print_text(p, "first_key",
				 btrfs_key_text(btrfs_key_get(&info->key)).s);
		btrfs_print_u64(p, "level", info->level);
	}
	btrfs_print_list(p, "inline");
	while (s.len) {
		const struct btrfs_inline_ref *r = (const void *)s.p;

		btrfs_print_record(p);
		btrfs_print_text(p, "type", btrfs_type_name(r->type));
		r3_take(&s, 1);
		if (r->type == BTRFS_EXTENT_DATA_REF) {
			PRINT(p, data_ref_fields, s.p, s.len);
			r3_take(&s, sizeof(struct btrfs_extent_data_ref));
		} else {
			struct btrfs_field f = { "parent", 0, 8 };

			if (r->type == BTRFS_TREE_BLOCK_REF ||
			    r->type == BTRFS_EXTENT_OWNER_REF)
				f = (struct btrfs_field){ "root", 0,
							  PRINT_SIGNED };
			btrfs_print_fields(p, &f, 1, s.p, s.len);
			r3_take(&s, 8);
		}
		if (r->type == BTRFS_SHARED_DATA_REF)
			PRINT(p, shared_data_fields, r3_take(&s, 4), 4);
		btrfs_print_record_end(p);
	}
	btrfs_print_list_end(p);
}

static void dump_chunk(struct btrfs_print *p, struct r3_span s)
{
	PRINT(p, chunk_fields, r3_take(&s, sizeof(struct btrfs_chunk)),
	      sizeof(struct btrfs_chunk));
	btrfs_print_list(p, "stripes");
	while (s.len) {
		btrfs_print_record(p);
		PRINT(p, stripe_fields,
		      r3_take(&s, sizeof(struct btrfs_stripe)),
		      sizeof(struct btrfs_stripe));
		btrfs_print_record_end(p);
	}
	btrfs_print_list_end(p);
}

static void dump_root_ref(struct btrfs_print *p, struct r3_span s)
{
	const struct btrfs_root_ref *r = r3_take(&s, sizeof(*r));

	PRINT(p, root_ref_fields, r, sizeof(*r));
	btrfs_print_bytes(p, "name", s.p, s.len);
}

static void dump_uuid(struct btrfs_print *p, struct r3_span s)
{
	const r3_le64 *id;

	while ((id = r3_take(&s, sizeof(*id))))
		btrfs_print_u64(p, "subvolume", le64(*id));
}

static void dump_content(struct btrfs_print *p, const struct btrfs_cursor *c)
{
	struct r3_span s = { c->data, c->size };
	uint8_t type = c->key.type;

	if (plain[type].fields) {
		btrfs_print_fields(p, plain[type].fields, plain[type].count,
				   c->data, c->size);
		return;
	}
	switch (type) {
	case BTRFS_INODE_REF:
	case BTRFS_INODE_EXTREF:
		dump_refs(p, s, type == BTRFS_INODE_EXTREF);
		break;
	case BTRFS_DIR_ITEM:
	case BTRFS_DIR_INDEX:
	case BTRFS_XATTR_ITEM:
		dump_dir(p, s);
		break;
	case BTRFS_EXTENT_DATA:
		dump_file_extent(p, s);
		break;
	case BTRFS_EXTENT_ITEM:
	case BTRFS_METADATA_ITEM:
		dump_extent_item(p, c->key, s);
		break;
	case BTRFS_CHUNK_ITEM:
		dump_chunk(p, s);
		break;
	case BTRFS_ROOT_REF:
	case BTRFS_ROOT_BACKREF:
		dump_root_ref(p, s);
		break;
	case BTRFS_UUID_SUBVOL:
	case BTRFS_UUID_RECEIVED:
		dump_uuid(p, s);
		break;
	case BTRFS_EXTENT_CSUM:
		btrfs_print_u64(p, "sectors", c->size / c->fs->csum_size);
		break;
	default:
		if (c->size)
			btrfs_print_hex(p, "bytes", c->data, c->size);
	}
}

static void dump_item(const struct btrfs_cursor *c, bool json, FILE *out)
{
	const char *type = btrfs_type_name(c->key.type);
	struct btrfs_print p;

	btrfs_print_open(&p, out, json);
	btrfs_print_u64(&p, "block", c->path[0]->logical);
	if (json) {
		fprintf(out, ",\"key\":[%lld,%u,%lld]",
			(long long)c->key.objectid, c->key.type,
			(long long)c->key.offset);
		btrfs_print_text(&p, "type", type ? type : "");
	} else {
		btrfs_print_text(&p, "key", btrfs_key_text(c->key).s);
	}
	btrfs_print_u64(&p, "size", c->size);
	dump_content(&p, c);
	btrfs_print_close(&p);
}

static int tree_root(struct r3_btrfs *fs, uint64_t tree,
		     struct btrfs_root *out)
{
	if (tree == BTRFS_ROOT_TREE)
		*out = fs->tree_root;
	else if (tree == BTRFS_CHUNK_TREE)
		*out = fs->chunk_root;
	else
		return btrfs_root_find(fs, tree, out);
	return 0;
}

int r3_btrfs_dump_tree(struct r3_btrfs *fs, uint64_t tree, bool json,
		       FILE *out)
{
	struct btrfs_root root;
	struct btrfs_cursor c;
	int err = tree_root(fs, tree, &root);

	if (err)
		return err;
	btrfs_cursor_init(&c, fs, &root);
	err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&c))
		dump_item(&c, json, out);
	btrfs_cursor_fini(&c);
	return err == -ENOENT ? 0 : err;
}

FIELDS(super_fields) = {
	F(btrfs_super, fsid, PRINT_UUID), F(btrfs_super, bytenr, 8),
	F(btrfs_super, flags, PRINT_HEX), F(btrfs_super, generation, 8),
	F(btrfs_super, root, 8), F(btrfs_super, root_level, 1),
	F(btrfs_super, chunk_root, 8), F(btrfs_super, chunk_root_level, 1),
	F(btrfs_super, chunk_root_generation, 8),
	F(btrfs_super, log_root, 8), F(btrfs_super, log_root_level, 1),
	F(btrfs_super, total_bytes, 8), F(btrfs_super, bytes_used, 8),
	F(btrfs_super, root_dir_objectid, 8), F(btrfs_super, num_devices, 8),
	F(btrfs_super, sectorsize, 4), F(btrfs_super, nodesize, 4),
	F(btrfs_super, stripesize, 4), F(btrfs_super, sys_array_size, 4),
	F(btrfs_super, compat, PRINT_HEX), F(btrfs_super, compat_ro, PRINT_HEX),
	F(btrfs_super, incompat, PRINT_HEX), F(btrfs_super, csum_type, 2),
	F(btrfs_super, cache_generation, PRINT_SIGNED),
	F(btrfs_super, uuid_tree_generation, 8),
	F(btrfs_super, metadata_uuid, PRINT_UUID),
};

FIELDS(backup_fields) = {
	F(btrfs_backup, tree_root, 8), F(btrfs_backup, tree_root_gen, 8),
	F(btrfs_backup, tree_root_level, 1), F(btrfs_backup, chunk_root, 8),
	F(btrfs_backup, chunk_root_gen, 8),
	F(btrfs_backup, chunk_root_level, 1), F(btrfs_backup, extent_root, 8),
	F(btrfs_backup, extent_root_gen, 8), F(btrfs_backup, fs_root, 8),
	F(btrfs_backup, fs_root_gen, 8), F(btrfs_backup, dev_root, 8),
	F(btrfs_backup, dev_root_gen, 8), F(btrfs_backup, csum_root, 8),
	F(btrfs_backup, csum_root_gen, 8), F(btrfs_backup, total_bytes, 8),
	F(btrfs_backup, bytes_used, 8),
};

void r3_btrfs_dump_super(const struct r3_btrfs *fs, bool json, FILE *out)
{
	const struct btrfs_super *s = &fs->super;
	struct btrfs_print p;

	btrfs_print_open(&p, out, json);
	btrfs_print_u64(&p, "copy", fs->super_copy);
	PRINT(&p, super_fields, s, sizeof(*s));
	btrfs_print_bytes(&p, "label", s->label,
			  strnlen((const char *)s->label, BTRFS_LABEL_SIZE));
	btrfs_print_list(&p, "dev_item");
	btrfs_print_record(&p);
	PRINT(&p, dev_fields, &s->dev_item, sizeof(s->dev_item));
	btrfs_print_record_end(&p);
	btrfs_print_list_end(&p);
	btrfs_print_list(&p, "backups");
	for (unsigned i = 0; i < BTRFS_BACKUPS; i++) {
		btrfs_print_record(&p);
		PRINT(&p, backup_fields, &s->backups[i],
		      sizeof(s->backups[i]));
		btrfs_print_record_end(&p);
	}
	btrfs_print_list_end(&p);
	btrfs_print_close(&p);
}
