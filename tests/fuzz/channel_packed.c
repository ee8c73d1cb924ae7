// SPDX-License-Identifier: GPL-2.0-or-later
/* channel_packed.c - a hostile driver of a packed queue, its inflight region */
#include "channel_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	walk_run(data, len, true);
	return 0;
}
