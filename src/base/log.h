// SPDX-License-Identifier: Apache-2.0
/*
 * Lines for the operator, on standard error, with the priority prefix of sd-daemon(3) when
 * standard error goes to the journal. Called by the control thread only and never per frame.
 */
#ifndef EVB_BASE_LOG_H
#define EVB_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log {
	enum log_level level; /* lines above it are not written */
	bool journal;	      /* prefix "<N>" instead of the level's name */
};

/* A log that writes up to `level`; looks at JOURNAL_STREAM once. */
struct log log_open(enum log_level level);

void log_line(const struct log *l, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(l, ...) log_line(l, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(l, ...) log_line(l, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(l, ...) log_line(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_line(l, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
