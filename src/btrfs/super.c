// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * super.c - the super block: its copies, its features, its backup roots
 *
 * The kernel reads the first copy only.  Here the sound copy with the highest
 * generation is taken, so an image whose first 64 KiB are lost still opens.
 */
#include <stdarg.h>

#include "priv.h"

struct feature {
	uint64_t bit;
	const char *name;
	bool supported;
};

static const struct feature incompats[] = {
	{ BTRFS_INCOMPAT_MIXED_BACKREF, "MIXED_BACKREF", true },
	{ BTRFS_INCOMPAT_DEFAULT_SUBVOL, "DEFAULT_SUBVOL", true },
	{ BTRFS_INCOMPAT_MIXED_GROUPS, "MIXED_GROUPS", true },
	{ BTRFS_INCOMPAT_LZO, "COMPRESS_LZO", true },
	{ BTRFS_INCOMPAT_ZSTD, "COMPRESS_ZSTD", true },
	{ BTRFS_INCOMPAT_BIG_METADATA, "BIG_METADATA", true },
	{ BTRFS_INCOMPAT_EXTENDED_IREF, "EXTENDED_IREF", true },
	{ BTRFS_INCOMPAT_RAID56, "RAID56", false },
	{ BTRFS_INCOMPAT_SKINNY, "SKINNY_METADATA", true },
	{ BTRFS_INCOMPAT_NO_HOLES, "NO_HOLES", true },
	{ BTRFS_INCOMPAT_METADATA_UUID, "METADATA_UUID", true },
	{ BTRFS_INCOMPAT_RAID1C34, "RAID1C34", false },
	{ BTRFS_INCOMPAT_ZONED, "ZONED", false },
	{ BTRFS_INCOMPAT_EXTENT_TREE_V2, "EXTENT_TREE_V2", false },
	{ BTRFS_INCOMPAT_STRIPE_TREE, "RAID_STRIPE_TREE", false },
	{ BTRFS_INCOMPAT_SIMPLE_QUOTA, "SIMPLE_QUOTA", true },
	{ BTRFS_INCOMPAT_REMAP_TREE, "REMAP_TREE", false },
};

static const struct feature compat_ros[] = {
	{ BTRFS_COMPAT_RO_FREE_SPACE_TREE, "FREE_SPACE_TREE", true },
	{ BTRFS_COMPAT_RO_FST_VALID, "FREE_SPACE_TREE_VALID", true },
	{ BTRFS_COMPAT_RO_VERITY, "VERITY", true },
	{ BTRFS_COMPAT_RO_BLOCK_GROUP_TREE, "BLOCK_GROUP_TREE", true },
};

static void names_add(char *out, size_t len, const char *fmt, ...)
	R3_PRINTF(3, 4);

static void names_add(char *out, size_t len, const char *fmt, ...)
{
	size_t used = strlen(out);
	va_list ap;

	if (used && used + 1 < len) {
		out[used++] = ' ';
		out[used] = 0;
	}
	va_start(ap, fmt);
	vsnprintf(out + used, len - used, fmt, ap);
	va_end(ap);
}

static void names(const struct feature *table, unsigned count, uint64_t bits,
		  char *out, size_t len)
{
	*out = 0;
	for (unsigned i = 0; i < count; i++) {
		if (bits & table[i].bit)
			names_add(out, len, "%s", table[i].name);
		bits &= ~table[i].bit;
	}
	if (bits)
		names_add(out, len, "0x%llx", (unsigned long long)bits);
}

void r3_btrfs_incompat_names(uint64_t bits, char *out, size_t len)
{
	names(incompats, R3_COUNT(incompats), bits, out, len);
}

void r3_btrfs_compat_ro_names(uint64_t bits, char *out, size_t len)
{
	names(compat_ros, R3_COUNT(compat_ros), bits, out, len);
}

static uint64_t supported_incompat(void)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < R3_COUNT(incompats); i++) {
		if (incompats[i].supported)
			bits |= incompats[i].bit;
	}
	return bits;
}

/* Is it a super block that the kernel wrote here?  No message: NULL. */
static const char *copy_check(const struct btrfs_super *s, uint64_t where,
			      bool ignore_csum)
{
	uint8_t sum[BTRFS_CSUM_MAX] = { 0 };
	unsigned type = le16(s->csum_type);

	if (memcmp(s->magic, BTRFS_MAGIC, sizeof(s->magic)))
		return "has no Btrfs magic";
	if (type >= BTRFS_CSUM_TYPES)
		return "names a checksum type that does not exist";
	btrfs_csum(type, (const uint8_t *)s + BTRFS_CSUM_MAX,
		   sizeof(*s) - BTRFS_CSUM_MAX, sum);
	if (!ignore_csum && memcmp(sum, s->csum, btrfs_csum_size(type)))
		return "does not match its checksum";
	if (le64(s->bytenr) != where)
		return "says that it belongs elsewhere";
	return NULL;
}

void btrfs_super_seal(enum btrfs_csum_type type, struct btrfs_super *s,
		      uint64_t at)
{
	s->bytenr = to_le64(at);
	memset(s->csum, 0, sizeof(s->csum));
	btrfs_csum(type, (uint8_t *)s + BTRFS_CSUM_MAX,
		   sizeof(*s) - BTRFS_CSUM_MAX, s->csum);
}

static int pick_copy(struct r3_btrfs *fs)
{
	struct btrfs_super s;
	const char *wrong, *first_wrong = "would lie beyond its end";
	bool magic = false;
	int err;

	for (unsigned i = 0; i < BTRFS_SUPER_COPIES; i++) {
		uint64_t at = btrfs_super_offsets[i];

		if (at + sizeof(s) > fs->dev->size)
			break;
		err = fs->dev->ops->read(fs->dev, at, &s, sizeof(s));
		wrong = err ? "can't be read"
			    : copy_check(&s, at, fs->opts.ignore_csum);
		magic |= !err && !memcmp(s.magic, BTRFS_MAGIC, 8);
		fs->supers_there++;
		if (!i || (unsigned)fs->opts.super == i + 1)
			first_wrong = wrong ? wrong : first_wrong;
		if (wrong)
			continue;
		fs->supers_good++;
		if (fs->opts.super && (unsigned)fs->opts.super != i + 1)
			continue;
		if (fs->super_copy &&
		    le64(s.generation) <= le64(fs->super.generation))
			continue;
		fs->super = s;
		fs->super_copy = i + 1;
	}
	if (fs->super_copy)
		return 0;
	return btrfs_fail(fs, magic ? -EIO : -EINVAL, "super block %s%s",
			  first_wrong, magic ? "" : ": not a Btrfs volume");
}

static int check_features(struct r3_btrfs *fs)
{
	const struct btrfs_super *s = &fs->super;
	uint64_t unknown = fs->incompat & ~supported_incompat();
	char text[256];

	if (unknown) {
		r3_btrfs_incompat_names(unknown, text, sizeof(text));
		return btrfs_fail(fs, -EOPNOTSUPP,
				  "uses features that are not supported: %s",
				  text);
	}
	if (!(fs->incompat & BTRFS_INCOMPAT_MIXED_BACKREF))
		return btrfs_fail(fs, -EOPNOTSUPP, "has the back references "
				  "of before 2009, which are not supported");
	if (le64(s->num_devices) != 1)
		return btrfs_fail(fs, -EOPNOTSUPP, "is spread over %llu "
				  "devices; only one device is supported",
				  (unsigned long long)le64(s->num_devices));
	if (le32(s->sectorsize) != BTRFS_SECTOR)
		return btrfs_fail(fs, -EOPNOTSUPP, "has sectors of %u bytes; "
				  "only 4096 is supported",
				  le32(s->sectorsize));
	if (le64(s->log_root))
		return btrfs_fail(fs, -EOPNOTSUPP, "has a log tree of synced "
				  "files (it was not unmounted); mount it "
				  "once so that the kernel replays it");
	return 0;
}

static int check_values(struct r3_btrfs *fs)
{
	const struct btrfs_super *s = &fs->super;
	const char *wrong = NULL;

	if (fs->nodesize < BTRFS_NODE_MIN || fs->nodesize > BTRFS_NODE_MAX ||
	    !r3_is_pow2(fs->nodesize))
		wrong = "node size";
	else if (le32(s->leafsize) != fs->nodesize)
		wrong = "leaf size, which is not the node size";
	else if (s->root_level >= BTRFS_LEVELS_MAX ||
		 s->chunk_root_level >= BTRFS_LEVELS_MAX)
		wrong = "level of a root";
	else if (!r3_is_aligned(le64(s->root), BTRFS_SECTOR) ||
		 !r3_is_aligned(le64(s->chunk_root), BTRFS_SECTOR))
		wrong = "address of a root";
	else if (le32(s->sys_array_size) > BTRFS_SYS_ARRAY_SIZE)
		wrong = "size of the system chunk array";
	else if (le64(s->chunk_root_generation) > fs->generation)
		wrong = "generation of the chunk tree";
	else if (memcmp(s->dev_item.fsid, fs->metadata_uuid, BTRFS_UUID_SIZE))
		wrong = "file system id in the device item";
	else if (fs->total_bytes > fs->dev->size)
		return btrfs_fail(fs, -EUCLEAN, "needs %llu bytes but the "
				  "device has %llu: it was cut short",
				  (unsigned long long)fs->total_bytes,
				  (unsigned long long)fs->dev->size);
	if (wrong)
		return btrfs_fail(fs, -EUCLEAN, "super block %u holds a wrong "
				  "%s", fs->super_copy, wrong);
	return 0;
}

/* The roots: of now, or of one of the four backups. */
static int take_roots(struct r3_btrfs *fs)
{
	const struct btrfs_super *s = &fs->super;
	const struct btrfs_backup *b;

	fs->tree_root = (struct btrfs_root){ BTRFS_ROOT_TREE, le64(s->root),
					     fs->generation, s->root_level };
	fs->chunk_root = (struct btrfs_root){
		BTRFS_CHUNK_TREE, le64(s->chunk_root),
		le64(s->chunk_root_generation), s->chunk_root_level };
	if (!fs->opts.backup)
		return 0;
	b = &s->backups[fs->opts.backup - 1];
	if (!le64(b->tree_root) || !le64(b->chunk_root) ||
	    b->tree_root_level >= BTRFS_LEVELS_MAX ||
	    b->chunk_root_level >= BTRFS_LEVELS_MAX)
		return btrfs_fail(fs, -EUCLEAN, "backup %d holds no roots",
				  fs->opts.backup);
	fs->tree_root.bytenr = le64(b->tree_root);
	fs->tree_root.generation = le64(b->tree_root_gen);
	fs->tree_root.level = b->tree_root_level;
	fs->chunk_root.bytenr = le64(b->chunk_root);
	fs->chunk_root.generation = le64(b->chunk_root_gen);
	fs->chunk_root.level = b->chunk_root_level;
	return 0;
}

int btrfs_super_load(struct r3_btrfs *fs)
{
	const struct btrfs_super *s = &fs->super;
	int err = pick_copy(fs);

	if (err)
		return err;
	fs->nodesize = le32(s->nodesize);
	fs->generation = le64(s->generation);
	fs->incompat = le64(s->incompat);
	fs->compat_ro = le64(s->compat_ro);
	fs->total_bytes = le64(s->total_bytes);
	fs->csum_type = le16(s->csum_type);
	fs->csum_size = btrfs_csum_size(fs->csum_type);
	fs->metadata_uuid = fs->incompat & BTRFS_INCOMPAT_METADATA_UUID
				    ? s->metadata_uuid : s->fsid;
	err = check_features(fs);
	if (!err)
		err = check_values(fs);
	return err ? err : take_roots(fs);
}
