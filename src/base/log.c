// SPDX-License-Identifier: GPL-2.0-or-later
/* log.c - one line for one event */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "ring3/log.h"

enum r3_level r3_log_level = R3_INFO;

/* Nothing that a peer sent may look like another line or move the cursor. */
static void defuse(char *p, size_t len)
{
	for (; len; p++, len--) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

static size_t clamp(int n, size_t room)
{
	if (n < 0)
		return 0;
	return (size_t)n < room ? (size_t)n : room - 1;
}

void r3_log(enum r3_level level, const char *part, const char *object,
	    const char *fmt, ...)
{
	char line[R3_LOG_LINE_MAX];
	int saved = errno;
	struct timespec ts;
	size_t len, start;
	struct tm tm;
	va_list ap;

	if (level > r3_log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = clamp(snprintf(line, sizeof(line) - 1,
			     "%02d:%02d:%02d.%03ld %c %s%s%s%s ", tm.tm_hour,
			     tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000,
			     "EWID"[level], part, object ? "[" : "",
			     object ? object : "", object ? "]" : ""),
		    sizeof(line) - 1);
	start = len;
	va_start(ap, fmt);
	errno = saved; /* for %m */
	len += clamp(vsnprintf(line + len, sizeof(line) - 1 - len, fmt, ap),
		     sizeof(line) - 1 - len);
	va_end(ap);
	defuse(line + start, len - start);
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
	errno = saved;
}
