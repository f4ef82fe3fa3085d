// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration files at start: which ones, what is in them, and which line of which of them an
 * error is about. Called by main.c, before the loop runs.
 */
#ifndef EVB_DAEMON_CONFIG_FILES_H
#define EVB_DAEMON_CONFIG_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define CONFIG_FILE "/etc/evb/evb.conf"
#define CONFIG_FILES "/etc/evb/evb.conf.d/*.conf"

struct config_file {
	char *path;
	int first_line; /* number of its first line, counted over all files from 1 */
};

struct config_files {
	json_t *requests; /* of all files; "line" counts over all of them */
	struct config_file *file;
	size_t n;
	int n_lines;
};

/*
 * Read `path`, or with NULL the default files, as far as they exist. On failure false, `e` is set
 * and `*line` is the line it is about, counted as above, 0 for none; free `c` in either case.
 */
bool config_files_read(struct config_files *c, const char *path, int *line, struct err *e);
void config_files_free(struct config_files *c);

/* "FILE:LINE: message" and the hint, to standard error. */
void config_files_complain(const struct config_files *c, int line, const struct err *e);

#endif
