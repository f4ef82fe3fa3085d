// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "grammar.h"
#include "walk.h"

/* Append `word` if it begins with `prefix`; a "@..." stands for names known elsewhere. */
static void offer(json_t *list, const char *word, const char *prefix)
{
	if (word[0] == '@' || strncmp(word, prefix, strlen(prefix)) == 0)
		json_array_append_new(list, json_string(word));
}

static void offer_words(json_t *list, const char *const *words, const char *prefix)
{
	for (; *words != NULL; words++)
		offer(list, *words, prefix);
}

/* Who knows the names a field of type FIELD_NAME takes. */
static const char *names_of(const struct command *c, const struct field *f)
{
	/* The subject of an `add` does not exist yet. */
	if ((f->flags & FIELD_POSITIONAL) != 0 && strcmp(c->verb, "add") == 0)
		return NULL;
	return strcmp(f->key, "bridge") == 0 ? "@bridge" : "@port";
}

static void offer_value(json_t *list, const struct command *c, const struct field *f,
			const char *prefix)
{
	static const char *const switch_words[] = { "on", "off", NULL };
	const char *names;

	switch (f->type) {
	case FIELD_NAME:
		names = names_of(c, f);
		if (names != NULL)
			offer(list, names, prefix);
		break;
	case FIELD_DEVICE:
	case FIELD_DEVICES:
		offer(list, "@device", prefix);
		break;
	case FIELD_PATH:
		offer(list, "@file", prefix);
		break;
	case FIELD_KIND:
		offer_value(list, c, f->arg, prefix);
		break;
	case FIELD_STRING:
		if (strcmp(f->key, "file") == 0 || strcmp(f->key, "netns") == 0)
			offer(list, f->key[0] == 'f' ? "@file" : "@netns", prefix);
		break;
	case FIELD_WORD:
	case FIELD_WORDS:
		offer_words(list, f->words, prefix);
		break;
	case FIELD_SWITCH:
		offer_words(list, switch_words, prefix);
		break;
	case FIELD_VLANS:
		offer(list, "all", prefix);
		break;
	case FIELD_INT:
	case FIELD_RATE:
	case FIELD_SIZE:
	case FIELD_VID:
	case FIELD_MAC:
	case FIELD_MACS:
	case FIELD_PERM:
	case FIELD_FLAG:
	case FIELD_REQUESTS:
		break;
	}
	if ((f->flags & FIELD_NONE) != 0)
		offer(list, "none", prefix);
}

static void offer_keys(json_t *list, const struct walk *w, const char *prefix)
{
	bool has_kind = json_object_get(w->params, "kind") != NULL;

	for (size_t i = 0; i < w->cmd->n_fields; i++) {
		const struct field *f = &w->cmd->fields[i];
		bool is_used = f->type == FIELD_KIND ? has_kind :
						       json_object_get(w->params, f->key) != NULL;

		if ((f->flags & FIELD_POSITIONAL) == 0 && !is_used)
			offer(list, f->key, prefix);
	}
}

/* What may stand at the place the walk has reached. */
static void offer_next(json_t *list, const struct walk *w, const char *prefix)
{
	const struct field *f = w->pending != NULL ? w->pending : walk_positional(w);

	if (f != NULL)
		offer_value(list, w->cmd, f, prefix);
	if (f == NULL || (w->pending == NULL && (f->flags & FIELD_REQUIRED) == 0))
		offer_keys(list, w, prefix);
}

static void offer_verbs(json_t *list, const char *object, const char *prefix)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++)
		if (c[i].verb != NULL && strcmp(c[i].object, object) == 0)
			offer(list, c[i].verb, prefix);
}

/* Walk all words but the last and offer what may come there; nothing after a refused word. */
static void offer_after(json_t *list, int n_words, const char *const *words)
{
	struct walk w;
	struct err e;
	int i = walk_begin(&w, n_words - 1, words, &e);

	if (i < 0)
		return;
	while (i < n_words - 1 && walk_word(&w, words[i], &e) == 0)
		i++;
	if (i == n_words - 1)
		offer_next(list, &w, words[i]);
	walk_end(&w);
}

json_t *grammar_complete(int n_words, const char *const *words)
{
	const char *object = n_words > 1 ? walk_object(words[0]) : NULL;
	json_t *list = json_array();

	if (list == NULL)
		return NULL;
	if (n_words <= 1)
		offer_words(list, schema_objects(), n_words == 1 ? words[0] : "");
	if (object == NULL)
		return list;
	if (n_words == 2)
		offer_verbs(list, object, words[1]);
	if (n_words > 2 || walk_is_verbless(object))
		offer_after(list, n_words, words);
	return list;
}
