/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - one line for one event, on standard error
 *
 *	12:03:41.118 W nbd[vda] server silent, reconnecting after_ms=30000
 *
 * Figures are key=value with their unit in the key.  At warning level and
 * above the reader learns what to do next.  Never once per request: count
 * there.  A line longer than R3_LOG_LINE_MAX is cut; control characters in it
 * are replaced, so a peer's string can't forge a second line.
 */
#ifndef RING3_LOG_H
#define RING3_LOG_H

#include "ring3/base.h"

#define R3_LOG_LINE_MAX 1024

enum r3_level { R3_ERROR, R3_WARN, R3_INFO, R3_DEBUG };

/* Lines above this level are dropped; R3_INFO at start.  Per process. */
extern enum r3_level r3_log_level;

/**
 * r3_log() - write one event
 * @level:  how much it matters
 * @part:   "driver/nvme", "node"
 * @object: which one of them ("nvme0"), or NULL
 * @fmt:    what happened, without a newline
 *
 * One write(2); errno is kept.  Any thread; not from a signal handler.
 */
void r3_log(enum r3_level level, const char *part, const char *object,
	    const char *fmt, ...) R3_PRINTF(4, 5);

#endif
