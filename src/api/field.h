// SPDX-License-Identifier: Apache-2.0
/*
 * The value of one field: from a word to JSON and back, its check, and what to tell a person who
 * got it wrong. Private to api/: the grammar and schema_check() both stand on it, so that a word
 * and a JSON value are judged alike. Pure; any thread.
 */
#ifndef EVB_API_FIELD_H
#define EVB_API_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "schema.h"

enum { FIELD_TEXT_SIZE = 200 };

/*
 * The JSON of a word, in canonical form, owned by the caller; NULL if the word does not fit the
 * field. FIELD_WORDS: the word is one element, and a string comes back. Not for FIELD_KIND,
 * FIELD_FLAG and FIELD_REQUESTS.
 */
json_t *field_parse(const struct field *f, const char *word);

/* Does the value fit the field? Not for FIELD_KIND. */
bool field_fits(const struct field *f, const json_t *v);

/* The word for a value that fits, unquoted; malloc-ed, NULL without memory. Not for FIELD_WORDS. */
char *field_format(const struct field *f, const json_t *v);

/* What would be right, as the end of a sentence: "on or off". Returns `buf`. */
const char *field_expects(const struct field *f, char buf[FIELD_TEXT_SIZE]);

/* Write the NULL-terminated `words` as "a, b or c" and return `buf`, cut if it must be. */
const char *words_join(const char *const *words, char *buf, size_t size);

/* Which of the NULL-terminated `words` was probably meant by `word`? NULL: none comes near. */
const char *words_nearest(const char *const *words, const char *word);

#endif
