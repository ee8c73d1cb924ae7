// SPDX-License-Identifier: GPL-2.0-or-later
/* channel_split.c - a hostile driver of a split queue, its inflight region */
#include "channel_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	walk_run(data, len, false);
	return 0;
}
