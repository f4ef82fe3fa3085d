// SPDX-License-Identifier: Apache-2.0
/*
 * A table for people: cells come in row by row, columns get as wide as what is in them. A column
 * without any content is left out, an empty cell shows "-", and a table without rows prints
 * nothing. Knows nothing of what the cells mean.
 */
#ifndef EVB_CLI_TABLE_H
#define EVB_CLI_TABLE_H

#include <stdio.h>

struct table;

/* `headers` is NULL-terminated and outlives the table. NULL without memory. */
struct table *table_new(const char *const *headers);
void table_free(struct table *t);

/* Append a cell; the first one after a full row begins the next. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append a line below the row that was begun last, indented. */
void table_note(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void table_print(const struct table *t, FILE *out);

#endif
