// SPDX-License-Identifier: Apache-2.0
/* Do the params of a request have the form that the table in schema.c says? */
#include "schema.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "types.h"

/* The field of kind `kind`, or the one whose value has the key `arg`, or the first; else NULL. */
static const struct field *kind_field(const struct command *c, const char *kind, const char *arg)
{
	for (size_t i = 0; i < c->n_fields; i++) {
		const struct field *f = &c->fields[i];

		if (f->type != FIELD_KIND || (kind != NULL && strcmp(f->key, kind) != 0))
			continue;
		if (arg == NULL || (f->arg != NULL && strcmp(f->arg->key, arg) == 0))
			return f;
	}
	return NULL;
}

static void kinds_join(const struct command *c, char *buf, size_t size)
{
	const char *words[8];
	size_t n = 0;

	for (size_t i = 0; i < c->n_fields && n < ARRAY_SIZE(words) - 1; i++)
		if (c->fields[i].type == FIELD_KIND)
			words[n++] = c->fields[i].key;
	words[n] = NULL;
	words_join(words, buf, size);
}

/* The verb for a message: of a row without words, the second half of its method. */
static const char *verb_of(const struct command *c)
{
	return c->verb != NULL ? c->verb : c->method + strlen(c->object) + 1;
}

/* Refuse a kind that is absent or not one. */
static int kind_refuse(const struct command *c, const json_t *kind, struct err *e)
{
	char text[FIELD_TEXT_SIZE];

	if (kind == NULL)
		err_set(e, EINVAL, "%s %s: the kind is missing", c->object, verb_of(c));
	else
		err_set(e, EINVAL, "%s %s: \"%.64s\" is not a kind", c->object, verb_of(c),
			json_is_string(kind) ? json_string_value(kind) : "that");
	kinds_join(c, text, sizeof(text));
	return err_hint(e, "it is %s", text);
}

/* "kind" and the value that goes with it: the keys of params that no field has as its own. */
static int check_kind(const struct command *c, const json_t *params, struct err *e)
{
	const json_t *kind = json_object_get(params, "kind"), *v;
	const struct field *f;
	char text[FIELD_TEXT_SIZE];

	if (kind_field(c, NULL, NULL) == NULL)
		return 0;
	f = json_is_string(kind) ? kind_field(c, json_string_value(kind), NULL) : NULL;
	if (f == NULL)
		return kind_refuse(c, kind, e);
	for (size_t i = 0; i < c->n_fields; i++) {
		const struct field *arg = c->fields[i].arg;

		if (arg == NULL || arg == f->arg || json_object_get(params, arg->key) == NULL)
			continue;
		err_set(e, EINVAL, "%s %s: \"%s\" does not go with %s", c->object, verb_of(c),
			arg->key, f->key);
		return err_hint(e, "leave it out, or make the port a %s port", c->fields[i].key);
	}
	if (f->arg == NULL)
		return 0;
	v = json_object_get(params, f->arg->key);
	if (v != NULL && field_fits(f->arg, v))
		return 0;
	err_set(e, EINVAL, "%s %s: \"%s\" needs a %s", c->object, verb_of(c), f->key, f->arg->help);
	return err_hint(e, "write %s %s: %s", f->key, f->arg->type == FIELD_PATH ? "PATH" : "DEV",
			field_expects(f->arg, text));
}

static int check_unknown(const struct command *c, const char *key, struct err *e)
{
	const char *keys[64], *near;
	size_t n = 0;

	for (size_t i = 0; i < c->n_fields && n < ARRAY_SIZE(keys) - 1; i++)
		keys[n++] = c->fields[i].key;
	keys[n] = NULL;
	near = words_nearest(keys, key);
	err_set(e, EINVAL, "%s %s: there is no field \"%.64s\"", c->object, verb_of(c), key);
	if (near != NULL)
		return err_hint(e, "did you mean \"%s\"?", near);
	return err_hint(e, "see: evb help %s", c->object);
}

static int check_value(const struct command *c, const struct field *f, const json_t *v,
		       struct err *e)
{
	char text[FIELD_TEXT_SIZE];
	char *shown;

	if (field_fits(f, v))
		return 0;
	shown = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	err_set(e, EINVAL, "%s %s: %.64s%s is not a value of \"%s\"", c->object, verb_of(c),
		shown != NULL ? shown : "this", shown != NULL && strlen(shown) > 64 ? "..." : "",
		f->key);
	free(shown);
	return err_hint(e, "%s is %s", f->key, field_expects(f, text));
}

/* One key of params. */
static int check_key(const struct command *c, const char *key, const json_t *v, struct err *e)
{
	const struct field *f = schema_field(c, key);

	if (f != NULL && f->type != FIELD_KIND)
		return check_value(c, f, v, e);
	if (kind_field(c, NULL, NULL) != NULL &&
	    (strcmp(key, "kind") == 0 || kind_field(c, NULL, key) != NULL))
		return 0; /* check_kind() looks at them together */
	return check_unknown(c, key, e);
}

int schema_check(const struct command *c, const json_t *params, struct err *e)
{
	json_t *p = (json_t *)(uintptr_t)params; /* jansson's iterators take no const */

	if (params != NULL && !json_is_object(params)) {
		err_set(e, EINVAL, "%s %s: params are not an object", c->object, verb_of(c));
		return err_hint(e, "they are {\"key\": value, ...}; see: evb help %s", c->object);
	}
	for (void *it = json_object_iter(p); it != NULL; it = json_object_iter_next(p, it)) {
		int err = check_key(c, json_object_iter_key(it), json_object_iter_value(it), e);

		if (err != 0)
			return err;
	}
	for (size_t i = 0; i < c->n_fields; i++) {
		const struct field *f = &c->fields[i];

		if (f->type == FIELD_KIND || (f->flags & FIELD_REQUIRED) == 0 ||
		    json_object_get(params, f->key) != NULL)
			continue;
		err_set(e, EINVAL, "%s %s: \"%s\" is missing", c->object, verb_of(c), f->key);
		return err_hint(e, "%s: %s", f->key, f->help);
	}
	return check_kind(c, params, e);
}
