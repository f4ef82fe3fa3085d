// SPDX-License-Identifier: Apache-2.0
/*
 * Configuration files from anywhere: whatever the octets are, the parser either names a line or
 * gives requests that fit the schema and come back the same after they were written as lines.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const json_t *request)
{
	const struct command *c =
		schema_method(json_string_value(json_object_get(request, "method")));
	const json_t *params = json_object_get(request, "params");
	struct err e = { 0 };
	int number = 0;
	json_t *again;
	char *line;

	assert(c != NULL && c->changes);
	assert(schema_check(c, params, &e) == 0);
	line = grammar_format(c, params);
	assert(line != NULL);
	again = grammar_parse_file(line, strlen(line), &number, &e);
	assert(again != NULL);
	assert(json_equal(json_object_get(json_array_get(again, 0), "params"), params));
	json_decref(again);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int line = -1;
	struct err e = { 0 };
	json_t *requests = grammar_parse_file((const char *)data, size, &line, &e);

	if (requests == NULL) {
		assert(e.code != 0 && e.message[0] != '\0' && line >= 0);
		return 0;
	}
	for (size_t i = 0; i < json_array_size(requests); i++)
		round_trip(json_array_get(requests, i));
	json_decref(requests);
	return 0;
}
