// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chunk.c - from logical addresses to places on the device
 *
 * The super block carries the SYSTEM chunks, in which the chunk tree lies; the
 * chunk tree has them all.
 */
#include <stdlib.h>

#include "priv.h"

static const char *profile_name(uint64_t type)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} profiles[] = {
		{ BTRFS_BG_RAID0, "RAID0" },   { BTRFS_BG_RAID1, "RAID1" },
		{ BTRFS_BG_RAID10, "RAID10" }, { BTRFS_BG_RAID5, "RAID5" },
		{ BTRFS_BG_RAID6, "RAID6" },   { BTRFS_BG_RAID1C3, "RAID1C3" },
		{ BTRFS_BG_RAID1C4, "RAID1C4" },
	};

	for (unsigned i = 0; i < R3_COUNT(profiles); i++) {
		if (type & profiles[i].bit)
			return profiles[i].name;
	}
	return NULL;
}

const char *btrfs_chunk_check(const struct btrfs_chunk *c, size_t len,
			      uint64_t logical)
{
	uint64_t type = le64(c->type), length = le64(c->length), end;
	uint64_t kind = type & BTRFS_BG_TYPES, profile;
	unsigned stripes = le16(c->num_stripes);

	profile = type & BTRFS_BG_PROFILES;
	if (!stripes || len != sizeof(*c) + stripes * sizeof(c->stripes[0]))
		return "number of stripes";
	if (!length || !r3_is_aligned(length, BTRFS_SECTOR) ||
	    !r3_is_aligned(logical, BTRFS_SECTOR) ||
	    !r3_add(logical, length, &end))
		return "length or address";
	if (le64(c->stripe_len) != BTRFS_STRIPE_LEN)
		return "stripe length";
	if (le32(c->sector_size) != BTRFS_SECTOR)
		return "sector size";
	if (type & ~(BTRFS_BG_TYPES | BTRFS_BG_PROFILES) || !kind ||
	    (profile && !r3_is_pow2(profile)))
		return "type";
	if ((kind & BTRFS_BG_SYSTEM) && kind != BTRFS_BG_SYSTEM)
		return "type: system together with another";
	if ((!profile && stripes != 1) ||
	    (profile == BTRFS_BG_DUP && stripes != BTRFS_COPIES_MAX))
		return "number of stripes for its profile";
	return NULL;
}

/* Where @logical is or would go. */
static unsigned chunk_slot(const struct r3_btrfs *fs, uint64_t logical)
{
	unsigned lo = 0, hi = fs->chunk_count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (fs->chunks[mid].logical < logical)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int chunk_insert(struct r3_btrfs *fs, const struct btrfs_chunk_map *m)
{
	unsigned at = chunk_slot(fs, m->logical);
	struct btrfs_chunk_map *next;

	if (fs->chunk_count == fs->chunk_room) {
		unsigned room = fs->chunk_room ? fs->chunk_room * 2 : 64;

		next = realloc(fs->chunks, room * sizeof(*next));
		if (!next)
			return btrfs_fail(fs, -ENOMEM, "out of memory");
		fs->chunks = next;
		fs->chunk_room = room;
	}
	next = fs->chunks + at;
	if (at < fs->chunk_count && next->logical == m->logical &&
	    next->length == m->length) {
		*next = *m; /* seen in the super block already */
		return 0;
	}
	if ((at < fs->chunk_count && m->logical + m->length > next->logical) ||
	    (at && next[-1].logical + next[-1].length > m->logical))
		return btrfs_fail(fs, -EUCLEAN, "chunk %llu overlaps another",
				  (unsigned long long)m->logical);
	if (fs->chunk_count == BTRFS_CHUNKS_MAX)
		return btrfs_fail(fs, -EOPNOTSUPP, "has more than %u chunks",
				  BTRFS_CHUNKS_MAX);
	memmove(fs->chunks + at + 1, fs->chunks + at,
		(fs->chunk_count - at) * sizeof(*m));
	fs->chunks[at] = *m;
	fs->chunk_count++;
	return 0;
}

/* @c has passed btrfs_chunk_check(). */
int btrfs_chunk_add(struct r3_btrfs *fs, uint64_t logical,
		    const struct btrfs_chunk *c)
{
	struct btrfs_chunk_map m = { .logical = logical };
	const char *profile = profile_name(le64(c->type));
	uint64_t end;

	if (profile)
		return btrfs_fail(fs, -EOPNOTSUPP, "chunk %llu has the profile "
				  "%s; SINGLE and DUP are supported",
				  (unsigned long long)logical, profile);
	m.length = le64(c->length);
	m.type = le64(c->type);
	m.copies = le16(c->num_stripes);
	for (unsigned i = 0; i < m.copies; i++) {
		const struct btrfs_stripe *s = &c->stripes[i];

		m.physical[i] = le64(s->offset);
		if (le64(s->devid) != le64(fs->super.dev_item.devid))
			return btrfs_fail(fs, -EUCLEAN, "chunk %llu lies on "
					  "device %llu, which is not there",
					  (unsigned long long)logical,
					  (unsigned long long)le64(s->devid));
		if (!r3_add(m.physical[i], m.length, &end) ||
		    end > fs->dev->size)
			return btrfs_fail(fs, -EUCLEAN, "chunk %llu reaches "
					  "past the end of the device",
					  (unsigned long long)logical);
	}
	return chunk_insert(fs, &m);
}

int btrfs_chunks_bootstrap(struct r3_btrfs *fs)
{
	struct r3_span s = { fs->super.sys_array,
			     le32(fs->super.sys_array_size) };

	while (s.len) {
		const struct btrfs_disk_key *k = r3_take(&s, sizeof(*k));
		const struct btrfs_chunk *c = (const void *)s.p;
		const char *wrong;
		size_t len;
		int err;

		if (!k || k->type != BTRFS_CHUNK_ITEM || s.len < sizeof(*c))
			goto cut;
		len = sizeof(*c) +
		      le16(c->num_stripes) * sizeof(c->stripes[0]);
		if (!r3_take(&s, len))
			goto cut;
		wrong = btrfs_chunk_check(c, len, le64(k->offset));
		if (wrong)
			return btrfs_fail(fs, -EUCLEAN, "super block: system "
					  "chunk %llu has a wrong %s",
					  (unsigned long long)le64(k->offset),
					  wrong);
		err = btrfs_chunk_add(fs, le64(k->offset), c);
		if (err)
			return err;
	}
	if (fs->chunk_count)
		return 0;
cut:
	return btrfs_fail(fs, -EUCLEAN,
			  "super block: the system chunk array is damaged");
}

int btrfs_chunks_load(struct r3_btrfs *fs)
{
	struct btrfs_cursor c;
	unsigned devices = 0;
	int err;

	btrfs_cursor_init(&c, fs, &fs->chunk_root);
	err = btrfs_cursor_seek(&c, KEY(0, 0, 0));
	for (; !err; err = btrfs_cursor_next(&c)) {
		if (c.key.type == BTRFS_DEV_ITEM)
			devices++;
		if (c.key.type != BTRFS_CHUNK_ITEM)
			continue;
		err = btrfs_chunk_add(fs, c.key.offset, c.data);
		if (err)
			goto out;
	}
	if (err == -ENOENT)
		err = devices == 1 ? 0 :
		      btrfs_fail(fs, -EUCLEAN, "chunk tree: %u devices where "
				 "the super block says 1", devices);
out:
	btrfs_cursor_fini(&c);
	return err;
}

const struct btrfs_chunk_map *btrfs_chunk_find(const struct r3_btrfs *fs,
					       uint64_t logical)
{
	unsigned at = chunk_slot(fs, logical);
	const struct btrfs_chunk_map *m;

	if (!fs->chunk_count)
		return NULL;
	m = fs->chunks + at;
	if (at < fs->chunk_count && m->logical == logical)
		return m;
	if (!at || logical - m[-1].logical >= m[-1].length)
		return NULL;
	return m - 1;
}
