// SPDX-License-Identifier: Apache-2.0
#include "config_files.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grammar.h"

enum { FILE_SIZE_MAX = 64 << 20, READ_SIZE = 64 << 10 };

/* Contents of a stream, malloc-ed; NULL with errno. */
static char *read_stream(FILE *f, size_t *size)
{
	char *text = NULL, *more;
	size_t n = 0;

	for (;;) {
		more = n < FILE_SIZE_MAX ? realloc(text, n + READ_SIZE) : NULL;
		if (!more) {
			errno = n < FILE_SIZE_MAX ? ENOMEM : EFBIG;
			break;
		}
		text = more;
		*size = fread(text + n, 1, READ_SIZE, f);
		n += *size;
		if (*size == READ_SIZE)
			continue;
		*size = n;
		if (!ferror(f))
			return text;
		break;
	}
	free(text);
	return NULL;
}

static bool append(struct config_files *c, const char *path)
{
	struct config_file *more = realloc(c->file, (c->n + 1) * sizeof(*more));

	if (!more)
		return false;
	c->file = more;
	more[c->n] = (struct config_file){ .path = strdup(path), .first_line = c->n_lines + 1 };
	if (!more[c->n].path)
		return false;
	c->n++;
	return true;
}

/* Number the requests over all files, and add them to the others. */
static bool take_requests(struct config_files *c, json_t *requests, int first_line)
{
	json_t *request;
	size_t i;

	json_array_foreach (requests, i, request) {
		json_int_t line = json_integer_value(json_object_get(request, "line"));

		if (json_object_set_new(request, "line", json_integer(first_line + line - 1)) < 0)
			return false;
	}
	return json_array_extend(c->requests, requests) == 0;
}

static bool read_file(struct config_files *c, const char *path, int *line, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t size;
	char *text = f ? read_stream(f, &size) : NULL;
	int err = errno, first_line = c->n_lines + 1;
	json_t *requests;
	bool ok;

	*line = 0;
	if (f)
		fclose(f);
	if (!text || !append(c, path)) {
		err_set(e, text ? ENOMEM : err, "%s: %s", path, strerror(text ? ENOMEM : err));
		free(text);
		return false;
	}
	c->n_lines++;
	for (size_t i = 0; i < size; i++)
		c->n_lines += text[i] == '\n';
	requests = grammar_parse_file(text, size, line, e);
	free(text);
	if (!requests) {
		*line += first_line - 1;
		return false;
	}
	ok = take_requests(c, requests, first_line);
	json_decref(requests);
	if (!ok)
		err_set(e, ENOMEM, "%s: out of memory", path);
	return ok;
}

static bool read_defaults(struct config_files *c, int *line, struct err *e)
{
	glob_t files;
	bool ok = true;
	int err;

	if (access(CONFIG_FILE, F_OK) == 0 && !read_file(c, CONFIG_FILE, line, e))
		return false;
	err = glob(CONFIG_FILES, 0, NULL, &files);
	if (err == GLOB_NOMATCH)
		return true;
	if (err) {
		err_set(e, EIO, "%s: cannot list these files", CONFIG_FILES);
		return false;
	}
	for (size_t i = 0; ok && i < files.gl_pathc; i++)
		ok = read_file(c, files.gl_pathv[i], line, e);
	globfree(&files);
	return ok;
}

bool config_files_read(struct config_files *c, const char *path, int *line, struct err *e)
{
	*c = (struct config_files){ .requests = json_array() };
	*line = 0;
	if (!c->requests) {
		err_set(e, ENOMEM, "out of memory");
		return false;
	}
	return path ? read_file(c, path, line, e) : read_defaults(c, line, e);
}

void config_files_free(struct config_files *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->file[i].path);
	free(c->file);
	json_decref(c->requests);
	*c = (struct config_files){ .n = 0 };
}

void config_files_complain(const struct config_files *c, int line, const struct err *e)
{
	const struct config_file *f = NULL;

	for (size_t i = 0; i < c->n && line >= c->file[i].first_line; i++)
		f = &c->file[i];
	if (f)
		fprintf(stderr, "%s:%d: %s\n", f->path, line - f->first_line + 1, e->message);
	else
		fprintf(stderr, "evbd: %s\n", e->message);
	if (e->hint[0])
		fprintf(stderr, "  %s\n", e->hint);
}
