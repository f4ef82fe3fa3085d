// SPDX-License-Identifier: Apache-2.0
/*
 * Small questions to JSON objects of which no key can be relied on: an absent or odd value reads
 * as empty. For printing only.
 */
#ifndef EVB_CLI_JSON_TEXT_H
#define EVB_CLI_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_TEXT_SIZE = 64 };

/* The string under `key`, or "". */
const char *json_text(const json_t *object, const char *key);

/* The integer under `key` in decimal, or "". Returns `buf`. */
const char *json_number(const json_t *object, const char *key, char buf[JSON_TEXT_SIZE]);

/* Any value as words of one line: strings as they are, lists with commas. Malloc-ed or NULL. */
char *json_words(const json_t *v);

/* Is the string under `key` equal to `text`? */
bool json_is(const json_t *object, const char *key, const char *text);

#endif
