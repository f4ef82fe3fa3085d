// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct log log_open(enum log_level level)
{
	return (struct log){ .level = level, .journal = getenv("JOURNAL_STREAM") != NULL };
}

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
{
	static const struct {
		const char *name;
		int syslog; /* priority of sd-daemon(3) */
	} levels[] = { { "error", 3 }, { "warning", 4 }, { "info", 6 }, { "debug", 7 } };
	char line[512];
	va_list ap;

	if (level > l->level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (l->journal)
		fprintf(stderr, "<%d>%s\n", levels[level].syslog, line);
	else
		fprintf(stderr, "evbd: %s: %s\n", levels[level].name, line);
}
