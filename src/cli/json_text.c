// SPDX-License-Identifier: Apache-2.0
#include "json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *json_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

const char *json_number(const json_t *object, const char *key, char buf[JSON_TEXT_SIZE])
{
	const json_t *v = json_object_get(object, key);

	buf[0] = '\0';
	if (json_is_integer(v))
		snprintf(buf, JSON_TEXT_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	return buf;
}

static char *list_words(const json_t *list)
{
	char *text = strdup("");

	for (size_t i = 0; i < json_array_size(list) && text != NULL; i++) {
		char *word = json_words(json_array_get(list, i)), *longer = NULL;

		if (word == NULL || asprintf(&longer, "%s%s%s", text, i > 0 ? "," : "", word) < 0)
			longer = NULL;
		free(word);
		free(text);
		text = longer;
	}
	return text;
}

char *json_words(const json_t *v)
{
	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (json_is_array(v))
		return list_words(v);
	if (json_is_boolean(v))
		return strdup(json_is_true(v) ? "on" : "off");
	return json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
}

bool json_is(const json_t *object, const char *key, const char *text)
{
	return strcmp(json_text(object, key), text) == 0;
}
