// SPDX-License-Identifier: GPL-2.0-or-later
/* vfu_access.c - the vfio-user server: reads and writes of regions, reset */
#include "vfu.h"

/* How far [off, off + len) stays inside or outside [at, at + n): the first
 * piece, and whether it is inside. */
static size_t piece(uint64_t off, size_t len, uint64_t at, size_t n,
		    bool *inside)
{
	*inside = n && off >= at && off - at < n;
	if (*inside)
		return (size_t)r3_min(len, n - (off - at));
	if (n && off < at)
		return (size_t)r3_min(len, at - off);
	return len;
}

/* The MSI-X table and its pending bits are memory of ours; the client's own
 * interrupt routing is done by eventfds. */
static int access_bar(struct r3_vfu *v, unsigned region, uint64_t off,
		      uint8_t *data, size_t len, bool write)
{
	while (len) {
		size_t n = len, m;
		bool table = false, pba = false;
		int err;

		if (v->msix.mem && region == v->msix.bar) {
			n = piece(off, n, v->msix.table, v->msix.table_len,
				  &table);
			m = piece(off, n, v->msix.pba, v->msix.pba_len, &pba);
			n = table ? n : m;
		}
		if (table || pba) {
			uint8_t *p = table ? v->msix.mem + (off - v->msix.table)
					   : v->msix.mem + v->msix.table_len +
						     (off - v->msix.pba);

			if (!write)
				memcpy(data, p, n);
			else if (table)
				memcpy(p, data, n);
		} else {
			err = v->ops->access(v->ctx, region, off, data, n,
					     write);
			if (err)
				return err;
		}
		off += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int access(struct r3_vfu *v, unsigned region, uint64_t off,
		  uint8_t *data, size_t len, bool write)
{
	uint64_t end, size = vfu_region_size(v, region);

	if (!size || !len || !r3_add(off, (uint64_t)len, &end) || end > size)
		return -EINVAL;
	if (!(vfu_region_prot(v, region) & (write ? R3_WRITE : R3_READ)))
		return -EACCES;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		vfu_config_access(v, (unsigned)off, data, len, write);
		return 0;
	}
	return access_bar(v, region, off, data, len, write);
}

int vfu_region_read(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_access *q = vfu_head(r, sizeof(*q));
	uint32_t count;
	int err;

	if (!q || r->len != sizeof(*q))
		return -EINVAL;
	count = r3_get_le32(q->count);
	if (count > R3_VFU_XFER_MAX)
		return -EINVAL;
	vfu_reply(r, q, sizeof(*q));
	err = access(v, r3_get_le32(q->region), r3_get_le64(q->offset),
		     r->out.p + r->out.len, count, false);
	r->out.len += count;
	return err;
}

int vfu_region_write(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_access *q = vfu_head(r, sizeof(*q));
	uint32_t count;

	if (!q)
		return -EINVAL;
	count = r3_get_le32(q->count);
	if (count > R3_VFU_XFER_MAX || r->len != sizeof(*q) + count)
		return -EINVAL;
	vfu_reply(r, q, sizeof(*q));
	/* the receive buffer, ours to scribble in */
	return access(v, r3_get_le32(q->region), r3_get_le64(q->offset),
		      (uint8_t *)r->p + sizeof(*q), count, true);
}

int vfu_write_multi(struct r3_vfu *v, struct vfu_req *r)
{
	const struct vu_multi *q = vfu_head(r, sizeof(*q));
	struct vu_multi_write w;
	uint64_t count;

	if (!q || !v->peer.write_multi)
		return q ? -EOPNOTSUPP : -EINVAL;
	count = r3_get_le64(q->count);
	if (count > VU_MULTI_MAX || r->len != sizeof(*q) + count * sizeof(w))
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t n;
		int err;

		memcpy(&w, r->p + sizeof(*q) + i * sizeof(w), sizeof(w));
		n = r3_get_le32(w.count);
		if (n > sizeof(w.data))
			return -EINVAL;
		err = access(v, r3_get_le32(w.region), r3_get_le64(w.offset),
			     w.data, n, true);
		if (err)
			return err;
	}
	vfu_reply(r, q, sizeof(*q));
	return 0;
}

int vfu_reset(struct r3_vfu *v, struct vfu_req *r)
{
	if (r->len)
		return -EINVAL;
	vfu_do_reset(v, R3_VFU_RESET_MESSAGE);
	return 0;
}
