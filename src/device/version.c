// SPDX-License-Identifier: GPL-2.0-or-later
/* version.c - vfio-user's VERSION message and its JSON */
#include <jansson.h>
#include <stdio.h>

#include "version.h"

/* A whole number from min to max, if it is there.  Others are errors. */
static int take_number(const json_t *caps, const char *name, uint64_t min,
		       uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(caps, name);
	json_int_t n;

	if (!v)
		return 0;
	if (!json_is_integer(v))
		return -EINVAL;
	n = json_integer_value(v);
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return -EINVAL;
	*out = (uint64_t)n;
	return 0;
}

static int take_caps(const json_t *caps, struct version *v)
{
	const json_t *multi = json_object_get(caps, "write_multiple");
	uint64_t fds = v->max_fds, xfer = v->max_xfer, maps = v->max_maps;

	if (!json_is_object(caps))
		return -EINVAL;
	if (take_number(caps, "max_msg_fds", 0, UINT32_MAX, &fds) ||
	    take_number(caps, "max_data_xfer_size", 1, UINT32_MAX, &xfer) ||
	    take_number(caps, "max_dma_maps", 1, UINT32_MAX, &maps) ||
	    take_number(caps, "pgsizes", 1, INT64_MAX, &v->page_sizes) ||
	    (multi && !json_is_boolean(multi)))
		return -EINVAL;
	v->max_fds = (uint32_t)fds;
	v->max_xfer = (uint32_t)xfer;
	v->max_maps = (uint32_t)maps;
	v->write_multi = json_is_true(multi);
	return 0;
}

static int take_json(const char *text, size_t len, struct version *v)
{
	json_t *root = json_loadb(text, len, 0, NULL);
	const json_t *caps;
	int err = 0;

	if (!json_is_object(root))
		err = -EINVAL;
	caps = json_object_get(root, "capabilities");
	if (!err && caps)
		err = take_caps(caps, v);
	json_decref(root);
	return err;
}

int version_parse(const uint8_t *data, size_t len, struct version *out)
{
	struct r3_span s = { data, len };
	const struct vu_version *head = r3_take(&s, sizeof(*head));
	struct version v = {
		.max_fds = VU_DEFAULT_FDS, .max_xfer = VU_DEFAULT_XFER,
		.max_maps = VU_DEFAULT_MAPS, .page_sizes = R3_PAGE_SIZE,
	};
	int err = 0;

	if (!head || s.len > VU_VERSION_DATA_MAX)
		return -EINVAL;
	v.major = r3_get_le16(head->major);
	v.minor = r3_get_le16(head->minor);
	if (s.len) {
		/* One string, with its NUL, and nothing behind. */
		if (memchr(s.p, 0, s.len) != s.p + s.len - 1)
			return -EINVAL;
		err = take_json((const char *)s.p, s.len - 1, &v);
	}
	if (!err)
		*out = v;
	return err;
}

/*
 * A server may only answer with capabilities that were proposed; limits of its
 * own that are lower than the defaults must be said anyway, as libvfio-user
 * does.
 */
ssize_t version_build(const struct version *v, uint8_t *buf, size_t room)
{
	struct vu_version head = {
		.major = r3_le16_of(v->major), .minor = r3_le16_of(v->minor),
	};
	int n;

	if (room < sizeof(head))
		return -ENOSPC;
	memcpy(buf, &head, sizeof(head));
	room -= sizeof(head);
	n = snprintf((char *)buf + sizeof(head), room,
		     "{\"capabilities\":{\"max_msg_fds\":%u,"
		     "\"max_data_xfer_size\":%u,\"max_dma_maps\":%u,"
		     "\"pgsizes\":%llu%s}}",
		     v->max_fds, v->max_xfer, v->max_maps,
		     (unsigned long long)v->page_sizes,
		     v->write_multi ? ",\"write_multiple\":true" : "");
	if (n < 0 || (size_t)n >= room)
		return -ENOSPC;
	return (ssize_t)sizeof(head) + n + 1;
}
