// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 12 };

struct row {
	char *cell[COLUMNS_MAX];
	char *notes; /* whole lines, or NULL */
};

struct table {
	const char *const *headers;
	size_t n_columns, n_rows, n_cells; /* n_cells: in the last row */
	size_t max_rows;		   /* allocated */
	struct row *rows;
};

struct table *table_new(const char *const *headers)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->headers = headers;
	while (headers[t->n_columns] != NULL && t->n_columns < COLUMNS_MAX)
		t->n_columns++;
	t->n_cells = t->n_columns;
	return t;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_rows; i++) {
		for (size_t k = 0; k < t->n_columns; k++)
			free(t->rows[i].cell[k]);
		free(t->rows[i].notes);
	}
	free(t->rows);
	free(t);
}

static bool row_begin(struct table *t)
{
	if (t->n_rows == t->max_rows) {
		size_t max = t->max_rows * 2 + 16;
		struct row *rows = reallocarray(t->rows, max, sizeof(*rows));

		if (rows == NULL)
			return false;
		t->rows = rows;
		t->max_rows = max;
	}
	t->rows[t->n_rows++] = (struct row){ 0 };
	t->n_cells = 0;
	return true;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (t->n_cells == t->n_columns && !row_begin(t))
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	t->rows[t->n_rows - 1].cell[t->n_cells++] = text;
}

void table_note(struct table *t, const char *fmt, ...)
{
	struct row *r;
	char *text, *notes;
	va_list ap;

	if (t->n_rows == 0) /* out of memory, before */
		return;
	r = &t->rows[t->n_rows - 1];
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text == NULL)
		return;
	if (asprintf(&notes, "%s    %s\n", r->notes != NULL ? r->notes : "", text) >= 0) {
		free(r->notes);
		r->notes = notes;
	}
	free(text);
}

static const char *content(const struct row *r, size_t column)
{
	return r->cell[column] != NULL ? r->cell[column] : "";
}

/* 0: nobody has anything to say in it. */
static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0, head = strlen(t->headers[column]);

	for (size_t i = 0; i < t->n_rows; i++) {
		size_t n = strlen(content(&t->rows[i], column));

		width = n > width ? n : width;
	}
	return width > 0 && width < head ? head : width;
}

/* Cells with two spaces between, and none behind the last. */
static void line_print(const struct table *t, const struct row *r, const size_t *width, FILE *out)
{
	size_t pad = 0;

	for (size_t k = 0; k < t->n_columns; k++) {
		const char *text = r != NULL ? content(r, k) : t->headers[k];

		if (width[k] == 0)
			continue;
		if (text[0] == '\0')
			text = "-";
		fprintf(out, "%*s%s", (int)pad, "", text);
		pad = width[k] - strlen(text) + 2;
	}
	fputc('\n', out);
	if (r != NULL && r->notes != NULL)
		fputs(r->notes, out);
}

void table_print(const struct table *t, FILE *out)
{
	size_t width[COLUMNS_MAX];

	if (t->n_rows == 0)
		return;
	for (size_t k = 0; k < t->n_columns; k++)
		width[k] = column_width(t, k);
	line_print(t, NULL, width, out);
	for (size_t i = 0; i < t->n_rows; i++)
		line_print(t, &t->rows[i], width, out);
}
