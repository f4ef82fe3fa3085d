// SPDX-License-Identifier: Apache-2.0
/*
 * One walk along the words of a command: which command it is, and what the next word must be.
 * Private to api/: the grammar walks to the end, the completion stops before the last word. Pure;
 * any thread.
 */
#ifndef EVB_API_WALK_H
#define EVB_API_WALK_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "schema.h"

struct walk {
	const struct command *cmd;
	const struct field *pending; /* has had its key and waits for its value, or NULL */
	size_t n_positional;	     /* fields with FIELD_POSITIONAL that have their value */
	json_t *params;		     /* what was understood so far; owned by the walk */
};

/* The object that `word` names or begins, first match in table order; NULL: none. */
const char *walk_object(const char *word);

/* The verb of `object` that `word` names or begins, first match in table order; NULL: none. */
const struct command *walk_verb(const char *object, const char *word);

/* Has the object no verb but `show`, so that arguments may follow it at once? */
bool walk_is_verbless(const char *object);

/*
 * Find the command at the start of the words and begin the walk. Returns the number of words that
 * named it, or -errno with `e` set. After success, walk_end() frees what the walk holds.
 */
int walk_begin(struct walk *w, int n_words, const char *const *words, struct err *e);

/* Take one word. 0 or -EINVAL with `e` set. */
int walk_word(struct walk *w, const char *word, struct err *e);

/* The field that a word without a key would fill, or NULL. */
const struct field *walk_positional(const struct walk *w);

void walk_end(struct walk *w);

#endif
