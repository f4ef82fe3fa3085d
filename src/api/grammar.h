// SPDX-License-Identifier: Apache-2.0
/*
 * The grammar: words to requests and back. `evb port add vm1 bridge br0 tap mode vepa`, the same
 * line without `evb` in a configuration file, and what `evb config show` prints are one language.
 * Objects and verbs may be shortened like iproute2's (`evb p s`, first match in table order).
 */
#ifndef EVB_API_GRAMMAR_H
#define EVB_API_GRAMMAR_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "schema.h"

/*
 * Parse words (without options) to a command and its params. On success `*cmd` is set and the
 * params are returned, owned by the caller. NULL with `e` set otherwise: the message names the
 * word, the hint says what would be right there. A missing verb means `show`.
 */
json_t *grammar_parse(int n_words, const char *const *words, const struct command **cmd,
		      struct err *e);

/*
 * Parse the text of a configuration file: one command a line, '#' starts a comment, words in
 * single or double quotes may hold spaces. Only commands with .changes are allowed. Returns an
 * array of {"method", "params", "line"}, owned by the caller, or NULL with `e` set and `*line` the
 * 1-based number of the offending line (0: not the fault of a line).
 */
json_t *grammar_parse_file(const char *text, size_t size, int *line, struct err *e);

/*
 * The line that makes the request, with words quoted where needed: inverse of grammar_parse().
 * Malloc-ed; NULL without memory. Fields come in the order of the table.
 */
char *grammar_format(const struct command *c, const json_t *params);

/*
 * Completions of the last word (may be empty) after the others, as a JSON array of strings.
 * Names are not known here: "@port", "@bridge", "@device", "@netns", "@file" stand for them.
 */
json_t *grammar_complete(int n_words, const char *const *words);

#endif
