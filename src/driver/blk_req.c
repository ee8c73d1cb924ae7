// SPDX-License-Identifier: GPL-2.0-or-later
/* blk_req.c - virtio-blk: a client's request, checked */
#include "blk_req.h"

/* Wire (virtio 1.2, 5.2.6), little endian. */
struct blk_head {
	r3_le32 type;
	r3_le32 reserved;
	r3_le64 sector;
};
static_assert(sizeof(struct blk_head) == 16, "wire size");

struct blk_range {
	r3_le64 sector;
	r3_le32 count;
	r3_le32 flags; /* bit 0: unmap */
};
static_assert(sizeof(struct blk_range) == 16, "wire size");

/* Copy and consume @len bytes from the front of the pieces. */
static bool take(struct r3_vq_seg **seg, unsigned *count, void *out,
		 size_t len)
{
	uint8_t *to = out;

	while (len) {
		struct r3_vq_seg *s = *seg;
		uint32_t n;

		if (!*count)
			return false;
		n = (uint32_t)r3_min(s->len, len);
		memcpy(to, s->host, n);
		to += n;
		len -= n;
		s->host += n;
		s->iova += n;
		s->len -= n;
		if (!s->len) {
			(*seg)++;
			(*count)--;
		}
	}
	return true;
}

static uint64_t total(const struct r3_vq_seg *seg, unsigned count)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += seg[i].len;
	return len;
}

static int answer(struct blk_cmd *cmd, uint8_t status)
{
	cmd->answer = status;
	return 0;
}

/* Sectors as blocks; false: not whole ones, or past the end. */
static bool to_blocks(const struct blk_disk *d, uint64_t sector,
		      uint64_t count, uint64_t *lba, uint64_t *blocks)
{
	uint32_t per = d->block_size / BLK_SECTOR;
	uint64_t end;

	if (!r3_add(sector, count, &end) || end > d->sectors ||
	    sector % per || count % per)
		return false;
	*lba = sector / per;
	*blocks = count / per;
	return true;
}

static int data(const struct blk_disk *d, uint64_t sector, uint64_t len,
		struct blk_cmd *cmd)
{
	if (cmd->op == NVME_WRITE && d->readonly)
		return answer(cmd, VIRTIO_BLK_S_IOERR);
	if (len % BLK_SECTOR ||
	    !to_blocks(d, sector, len / BLK_SECTOR, &cmd->lba, &cmd->blocks))
		return answer(cmd, VIRTIO_BLK_S_IOERR);
	return cmd->blocks ? 1 : answer(cmd, VIRTIO_BLK_S_OK);
}

/* DISCARD and WRITE_ZEROES: the data are ranges. */
static int ranges(const struct blk_disk *d, bool zeroes, struct blk_cmd *cmd)
{
	uint64_t len = total(cmd->seg, cmd->seg_count);
	unsigned max = zeroes ? 1 : BLK_TRIM_MAX;
	struct blk_range r;

	if (!(zeroes ? d->zeroes : d->trim))
		return answer(cmd, VIRTIO_BLK_S_UNSUPP);
	if (d->readonly || !len || len % sizeof(r) || len / sizeof(r) > max)
		return answer(cmd, VIRTIO_BLK_S_IOERR);
	while (take(&cmd->seg, &cmd->seg_count, &r, sizeof(r))) {
		uint32_t flags = r3_get_le32(r.flags);
		uint32_t count = r3_get_le32(r.count);

		if (flags & ~(zeroes ? 1u : 0u))
			return answer(cmd, VIRTIO_BLK_S_UNSUPP);
		if (count > (zeroes ? BLK_ZEROES_MAX : BLK_RANGE_MAX) ||
		    !to_blocks(d, r3_get_le64(r.sector), count, &cmd->lba,
			       &cmd->blocks))
			return answer(cmd, VIRTIO_BLK_S_IOERR);
		cmd->unmap = flags & 1;
		if (!cmd->blocks)
			continue;
		cmd->range[cmd->range_count++] = (struct nvme_range){
			cmd->lba, (uint32_t)cmd->blocks };
	}
	cmd->op = zeroes ? NVME_ZEROES : NVME_TRIM;
	cmd->seg_count = 0;
	return cmd->range_count ? 1 : answer(cmd, VIRTIO_BLK_S_OK);
}

static int get_id(const struct blk_disk *d, struct blk_cmd *cmd)
{
	size_t at = 0;

	for (unsigned i = 0; i < cmd->seg_count && at < sizeof(d->id); i++) {
		size_t n = r3_min(cmd->seg[i].len, sizeof(d->id) - at);

		memcpy(cmd->seg[i].host, d->id + at, n);
		at += n;
	}
	return answer(cmd, VIRTIO_BLK_S_OK);
}

int blk_parse(const struct blk_disk *d, const struct r3_vq_req *req,
	      struct blk_cmd *cmd)
{
	struct r3_vq_seg *out = req->seg, *in = req->seg + req->readable;
	unsigned out_count = req->readable, in_count = req->writable;
	struct blk_head head;
	uint64_t written;

	cmd->unmap = false;
	cmd->range_count = 0;
	/* the last writable byte is the status, wherever it lies */
	if (!in_count)
		return -EPROTO;
	written = total(in, in_count);
	if (written > UINT32_MAX)
		return -EPROTO;
	cmd->written = (uint32_t)written;
	in[in_count - 1].len--;
	cmd->status = in[in_count - 1].host + in[in_count - 1].len;
	if (!in[in_count - 1].len)
		in_count--;
	if (!take(&out, &out_count, &head, sizeof(head)))
		return answer(cmd, VIRTIO_BLK_S_IOERR);
	cmd->seg = out;
	cmd->seg_count = out_count;
	switch (r3_get_le32(head.type)) {
	case VIRTIO_BLK_T_IN:
		cmd->op = NVME_READ;
		cmd->seg = in;
		cmd->seg_count = in_count;
		return data(d, r3_get_le64(head.sector), written - 1, cmd);
	case VIRTIO_BLK_T_OUT:
		cmd->op = NVME_WRITE;
		return data(d, r3_get_le64(head.sector),
			    total(out, out_count), cmd);
	case VIRTIO_BLK_T_FLUSH:
		cmd->op = NVME_FLUSH;
		cmd->seg_count = 0;
		return 1;
	case VIRTIO_BLK_T_GET_ID:
		cmd->seg = in;
		cmd->seg_count = in_count;
		return get_id(d, cmd);
	case VIRTIO_BLK_T_DISCARD:
		return ranges(d, false, cmd);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return ranges(d, true, cmd);
	default:
		return answer(cmd, VIRTIO_BLK_S_UNSUPP);
	}
}

uint8_t blk_status(int err)
{
	if (!err)
		return VIRTIO_BLK_S_OK;
	return err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* ---- what the client is told --------------------------------------------- */

#define BIT(n) (UINT64_C(1) << (n))

uint64_t blk_features(const struct blk_disk *d)
{
	uint64_t f = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
		     BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_MQ) |
		     BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE);

	if (d->readonly)
		f |= BIT(VIRTIO_BLK_F_RO);
	if (d->trim && !d->readonly)
		f |= BIT(VIRTIO_BLK_F_DISCARD);
	if (d->zeroes && !d->readonly)
		f |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	return f;
}

void blk_config(const struct blk_disk *d, bool writeback, uint8_t *out)
{
	struct virtio_blk_config c = {
		.capacity = d->sectors,
		.seg_max = BLK_SEG_MAX,
		.blk_size = d->block_size,
		.wce = writeback,
		.num_queues = (uint16_t)d->queues,
		.opt_io_size = NVME_TRANSFER_MAX / d->block_size,
		.min_io_size = (uint16_t)r3_max(1, NVME_PAGE / d->block_size),
	};

	if (d->block_size < NVME_PAGE) /* log2 of blocks per 4 KiB */
		c.physical_block_exp =
			(uint8_t)__builtin_ctz(NVME_PAGE / d->block_size);
	if (d->trim) {
		c.max_discard_sectors = BLK_RANGE_MAX;
		c.max_discard_seg = BLK_TRIM_MAX;
		c.discard_sector_alignment = d->block_size / BLK_SECTOR;
	}
	if (d->zeroes) {
		c.max_write_zeroes_sectors = BLK_ZEROES_MAX;
		c.max_write_zeroes_seg = 1;
		c.write_zeroes_may_unmap = 1;
	}
	static_assert(sizeof(c) <= BLK_CONFIG_LEN, "room");
	memset(out, 0, BLK_CONFIG_LEN);
	memcpy(out, &c, sizeof(c));
}
