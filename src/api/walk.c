// SPDX-License-Identifier: Apache-2.0
#include "walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "types.h"

enum { VERBS_MAX = 8, KEYS_MAX = 40 };

static bool begins(const char *word, const char *whole)
{
	return word[0] != '\0' && strncmp(word, whole, strlen(word)) == 0;
}

const char *walk_object(const char *word)
{
	for (const char *const *o = schema_objects(); *o != NULL; o++)
		if (begins(word, *o))
			return *o;
	return NULL;
}

/* The verbs of an object as a NULL-terminated list. */
static void verbs_of(const char *object, const char *verbs[VERBS_MAX])
{
	size_t n_commands, n = 0;
	const struct command *c = schema_commands(&n_commands);

	for (size_t i = 0; i < n_commands && n < VERBS_MAX - 1; i++)
		if (c[i].verb != NULL && strcmp(c[i].object, object) == 0)
			verbs[n++] = c[i].verb;
	verbs[n] = NULL;
}

const struct command *walk_verb(const char *object, const char *word)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++)
		if (c[i].verb != NULL && strcmp(c[i].object, object) == 0 &&
		    begins(word, c[i].verb))
			return &c[i];
	return NULL;
}

bool walk_is_verbless(const char *object)
{
	const char *verbs[VERBS_MAX];

	verbs_of(object, verbs);
	return verbs[0] != NULL && verbs[1] == NULL;
}

static int refuse_object(const char *word, struct err *e)
{
	const char *near = words_nearest(schema_objects(), word);
	char text[FIELD_TEXT_SIZE];

	err_set(e, EINVAL, "there is no object \"%.64s\"", word);
	if (near != NULL)
		return err_hint(e, "did you mean \"%s\"?", near);
	return err_hint(e, "it is %s", words_join(schema_objects(), text, sizeof(text)));
}

static int refuse_verb(const char *object, const char *word, struct err *e)
{
	const char *verbs[VERBS_MAX], *near;
	char text[FIELD_TEXT_SIZE];

	verbs_of(object, verbs);
	near = words_nearest(verbs, word);
	err_set(e, EINVAL, "%s: there is no verb \"%.64s\"", object, word);
	if (near != NULL)
		return err_hint(e, "did you mean \"%s %s\"?", object, near);
	return err_hint(e, "it is %s", words_join(verbs, text, sizeof(text)));
}

int walk_begin(struct walk *w, int n_words, const char *const *words, struct err *e)
{
	const struct command *c;
	const char *object;
	int used = 2;

	if (n_words == 0)
		return refuse_object("", e);
	object = walk_object(words[0]);
	if (object == NULL)
		return refuse_object(words[0], e);
	c = walk_verb(object, n_words > 1 ? words[1] : "show");
	if (n_words == 1 || (c == NULL && walk_is_verbless(object))) {
		c = walk_verb(object, "show");
		used = 1;
	}
	if (c == NULL)
		return refuse_verb(object, words[1], e);
	*w = (struct walk){ .cmd = c, .params = json_object() };
	return w->params != NULL ? used : err_set(e, ENOMEM, "out of memory");
}

void walk_end(struct walk *w)
{
	json_decref(w->params);
	w->params = NULL;
}

const struct field *walk_positional(const struct walk *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->cmd->n_fields; i++) {
		const struct field *f = &w->cmd->fields[i];

		if ((f->flags & FIELD_POSITIONAL) != 0 && n++ == w->n_positional)
			return f;
	}
	return NULL;
}

static int refuse_key(const struct walk *w, const char *word, struct err *e)
{
	const char *keys[KEYS_MAX], *near;
	char text[FIELD_TEXT_SIZE];
	size_t n = 0;

	for (size_t i = 0; i < w->cmd->n_fields && n < KEYS_MAX - 1; i++) {
		const struct field *f = &w->cmd->fields[i];

		/* Those still free; a positional with its value has nothing more to offer. */
		if (json_object_get(w->params, f->key) == NULL)
			keys[n++] = f->key;
	}
	keys[n] = NULL;
	err_set(e, EINVAL, "%s %s: \"%.64s\" is not understood", w->cmd->object, w->cmd->verb,
		word);
	near = words_nearest(keys, word);
	if (near != NULL)
		return err_hint(e, "did you mean \"%s\"?", near);
	if (n == 0)
		return err_hint(e, "nothing more can follow; see: evb help %s", w->cmd->object);
	if (n > 8)
		return err_hint(e, "for what can follow see: evb help %s", w->cmd->object);
	return err_hint(e, "what can follow: %s", words_join(keys, text, sizeof(text)));
}

static int refuse_value(const struct walk *w, const struct field *f, const char *word,
			struct err *e)
{
	char text[FIELD_TEXT_SIZE];
	const char *near = f->words != NULL ? words_nearest(f->words, word) : NULL;

	err_set(e, EINVAL, "%s %s: \"%.64s\" is not a value of \"%s\"", w->cmd->object,
		w->cmd->verb, word, f->key);
	if (near != NULL)
		return err_hint(e, "did you mean \"%s\"?", near);
	return err_hint(e, "%s is %s", f->key, field_expects(f, text));
}

static int refuse_twice(const struct walk *w, const char *key, struct err *e)
{
	err_set(e, EINVAL, "%s %s: \"%s\" is given twice", w->cmd->object, w->cmd->verb, key);
	return err_hint(e, "say it once");
}

static int take_value(struct walk *w, const struct field *f, const char *word, struct err *e)
{
	const struct field *type = f->type == FIELD_KIND ? f->arg : f;
	json_t *v = field_parse(type, word);

	w->pending = NULL;
	if (v == NULL)
		return refuse_value(w, type, word, e);
	if ((f->flags & FIELD_POSITIONAL) != 0)
		w->n_positional++;
	if (json_object_set_new(w->params, type->key, v) != 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

/* One more word of a list that has no end but that of the line. */
static int take_element(struct walk *w, const struct field *f, const char *word, struct err *e)
{
	json_t *list = json_object_get(w->params, f->key), *v = field_parse(f, word);

	if (v == NULL)
		return refuse_value(w, f, word, e);
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (!json_equal(json_array_get(list, i), v))
			continue;
		json_decref(v);
		return refuse_twice(w, word, e);
	}
	if (list == NULL) {
		list = json_array();
		if (json_object_set_new(w->params, f->key, list) != 0)
			list = NULL;
	}
	if (json_array_append_new(list, v) != 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

static int take_kind(struct walk *w, const struct field *f, struct err *e)
{
	const json_t *had = json_object_get(w->params, "kind");

	if (had != NULL && strcmp(json_string_value(had), f->key) == 0)
		return refuse_twice(w, f->key, e);
	if (had != NULL) {
		err_set(e, EINVAL, "%s %s: it cannot be both \"%s\" and \"%s\"", w->cmd->object,
			w->cmd->verb, json_string_value(had), f->key);
		return err_hint(e, "choose one");
	}
	if (f->arg != NULL)
		w->pending = f;
	if (json_object_set_new(w->params, "kind", json_string(f->key)) != 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

int walk_word(struct walk *w, const char *word, struct err *e)
{
	const struct field *key = schema_field(w->cmd, word), *f = w->pending;

	if (f != NULL)
		return take_value(w, f, word, e);
	/* Where the subject may be absent, a word that is a key is a key. */
	f = walk_positional(w);
	if (f != NULL && ((f->flags & FIELD_REQUIRED) != 0 || key == NULL))
		return f->type == FIELD_WORDS ? take_element(w, f, word, e) :
						take_value(w, f, word, e);
	if (key == NULL)
		return refuse_key(w, word, e);
	if (key->type == FIELD_KIND)
		return take_kind(w, key, e);
	if (json_object_get(w->params, key->key) != NULL)
		return refuse_twice(w, word, e);
	if (key->type == FIELD_FLAG)
		return json_object_set_new(w->params, word, json_true()) == 0 ?
			       0 :
			       err_set(e, ENOMEM, "out of memory");
	/* A list without keys has nothing to say by key either. */
	if (key->type == FIELD_WORDS)
		return refuse_value(w, key, word, e);
	w->pending = key;
	return 0;
}
