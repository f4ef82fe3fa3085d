// SPDX-License-Identifier: Apache-2.0
#include "grammar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "walk.h"

/* The last word was a key and nothing came after it. */
static int refuse_end(const struct walk *w, struct err *e)
{
	const struct field *f = w->pending->type == FIELD_KIND ? w->pending->arg : w->pending;
	char text[FIELD_TEXT_SIZE];

	err_set(e, EINVAL, "%s %s: \"%s\" needs a value", w->cmd->object, w->cmd->verb,
		w->pending->key);
	return err_hint(e, "%s is %s", f->key, field_expects(f, text));
}

static int take_words(struct walk *w, int n_words, const char *const *words, struct err *e)
{
	for (int i = 0; i < n_words; i++) {
		int err = walk_word(w, words[i], e);

		if (err != 0)
			return err;
	}
	if (w->pending != NULL)
		return refuse_end(w, e);
	return schema_check(w->cmd, w->params, e);
}

/* "port help" is how users of iproute2 ask. */
static json_t *parse_help(const char *word, const struct command **cmd)
{
	const char *object = walk_object(word);

	*cmd = walk_verb("help", "show");
	return json_pack("{s:s}", "object", object);
}

json_t *grammar_parse(int n_words, const char *const *words, const struct command **cmd,
		      struct err *e)
{
	struct walk w;
	json_t *params;
	int used;

	if (n_words == 2 && strcmp(words[1], "help") == 0 && walk_object(words[0]) != NULL)
		return parse_help(words[0], cmd);
	used = walk_begin(&w, n_words, words, e);
	if (used < 0)
		return NULL;
	if (take_words(&w, n_words - used, words + used, e) != 0) {
		walk_end(&w);
		return NULL;
	}
	*cmd = w.cmd;
	params = json_incref(w.params);
	walk_end(&w);
	return params;
}

static bool put(FILE *f, const char *word)
{
	return fputc(' ', f) != EOF && fputs(word, f) != EOF;
}

/* A word that holds a quote of one sort goes into quotes of the other; one with both, in pieces. */
static void put_quoted(FILE *f, const char *word)
{
	fputc(' ', f);
	if (word[0] != '\0' && strpbrk(word, " \t'\"#") == NULL) {
		fputs(word, f);
		return;
	}
	if (word[0] == '\0')
		fputs("\"\"", f);
	while (*word != '\0') {
		char quote = *word == '"' ? '\'' : '"';
		size_t n = quote == '"' ? strcspn(word, "\"") : strspn(word, "\"");

		fprintf(f, "%c%.*s%c", quote, (int)n, word, quote);
		word += n;
	}
}

static bool put_value(FILE *f, const struct field *field, const json_t *v)
{
	char *word = field_format(field, v);

	if (word == NULL)
		return false;
	put_quoted(f, word);
	free(word);
	return true;
}

static bool put_words(FILE *f, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		put_quoted(f, json_string_value(json_array_get(list, i)));
	return true;
}

static bool put_kind(FILE *f, const struct field *field, const json_t *params)
{
	const json_t *kind = json_object_get(params, "kind"), *v;

	if (!json_is_string(kind) || strcmp(json_string_value(kind), field->key) != 0)
		return true;
	if (!put(f, field->key))
		return false;
	v = field->arg != NULL ? json_object_get(params, field->arg->key) : NULL;
	return v == NULL || put_value(f, field->arg, v);
}

static bool put_field(FILE *f, const struct command *c, const struct field *field,
		      const json_t *params)
{
	const json_t *v;
	bool is_bare;

	if (field->type == FIELD_KIND)
		return put_kind(f, field, params);
	v = json_object_get(params, field->key);
	if (v == NULL || field->type == FIELD_REQUESTS || !field_fits(field, v))
		return true;
	if (field->type == FIELD_WORDS)
		return put_words(f, v);
	if (field->type == FIELD_FLAG)
		return !json_is_true(v) || put(f, field->key);
	is_bare = (field->flags & FIELD_POSITIONAL) != 0;
	/* An optional subject that is spelt like a key needs its own key before it. */
	if (is_bare && (field->flags & FIELD_REQUIRED) == 0 && json_is_string(v))
		is_bare = schema_field(c, json_string_value(v)) == NULL;
	if (!is_bare && !put(f, field->key))
		return false;
	return put_value(f, field, v);
}

char *grammar_format(const struct command *c, const json_t *params)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool ok;

	if (f == NULL)
		return NULL;
	ok = fputs(c->object, f) != EOF && put(f, c->verb != NULL ? c->verb : c->method);
	for (size_t i = 0; i < c->n_fields && ok; i++)
		ok = put_field(f, c, &c->fields[i], params);
	if (fclose(f) != 0 || !ok) {
		free(text);
		return NULL;
	}
	return text;
}
