/* SPDX-License-Identifier: GPL-2.0-or-later */
/* type1.h - what the kernel says of an IOMMU: a parser that tests can call */
#ifndef SPACE_TYPE1_H
#define SPACE_TYPE1_H

#include "ring3/space.h"

/* The bytes of VFIO_IOMMU_GET_INFO as limits.  0 or -EPROTO. */
int type1_parse_info(const uint8_t *info, size_t len,
		     struct r3_space_limits *out);

#endif
