// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "render.h"
#include "schema.h"
#include "table.h"
#include "value.h"

/* Keys of the head line, and those that have lines of their own below. */
static bool is_shown_elsewhere(const char *key)
{
	static const char *const keys[] = { "ifname", "bridge",	   "kind",     "role",
					    "mode",   "operstate", "mtu",      "address",
					    "reason", "hint",	   "stats64",  "drops",
					    "source", "uses-why",  "own-mode", "own-reserved" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void head(const json_t *p)
{
	static const char *const keys[] = { "bridge", "role", "mode", "mtu" };
	char *word;

	printf("%s: %s", json_text(p, "ifname"), json_text(p, "kind"));
	if (json_object_get(p, "operstate") != NULL)
		printf(" %s", json_text(p, "operstate"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *v = json_object_get(p, keys[i]);

		if (v == NULL)
			continue;
		word = json_words(v);
		printf(" %s %s", keys[i], word != NULL ? word : "");
		free(word);
	}
	putchar('\n');
}

/* The words of a setting, with the unit that it is given in; malloc-ed. */
static char *setting_words(const char *key, const json_t *v)
{
	const struct field *f = schema_field(schema_method("port.set"), key);
	char text[VALUE_UNITS_SIZE];

	if (f != NULL && f->type == FIELD_RATE)
		return strdup(value_rate_format(json_integer_value(v), text));
	if (f != NULL && f->type == FIELD_SIZE)
		return strdup(value_size_format(json_integer_value(v), text));
	return json_words(v);
}

/* Lines of "key value" pairs, each not much wider than a screen. */
static void settings(const json_t *p)
{
	json_t *o = (json_t *)(uintptr_t)p; /* jansson's iterators take no const */
	int column = 0;

	for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
		const char *key = json_object_iter_key(it);
		char *word;

		if (is_shown_elsewhere(key) || json_is_object(json_object_iter_value(it)))
			continue;
		word = setting_words(key, json_object_iter_value(it));
		if (word == NULL)
			continue;
		if (column > 0 && column + strlen(key) + strlen(word) > 76) {
			putchar('\n');
			column = 0;
		}
		column += printf("%s%s %s", column > 0 ? " " : "    ", key, word);
		free(word);
	}
	if (column > 0)
		putchar('\n');
}

static void sentence(const json_t *p, const char *key)
{
	if (json_text(p, key)[0] != '\0')
		printf("    %s: %s\n", key, json_text(p, key));
}

const char *render_policy(const json_t *port, char out[POLICY_TEXT_SIZE])
{
	static const char *const keys[][2] = { { "mode", "own-mode" },
					       { "reserved", "own-reserved" } };
	char type[JSON_TEXT_SIZE], head[JSON_TEXT_SIZE + 16];
	size_t used = 0;

	out[0] = '\0';
	json_number(json_object_get(port, "vsitype"), "id", type);
	snprintf(head, sizeof(head), "VSI type %s says", type);
	for (size_t i = 0; i < 2 && used < POLICY_TEXT_SIZE; i++) {
		char *said = json_words(json_object_get(port, keys[i][0]));
		char *own = json_words(json_object_get(port, keys[i][1]));

		if (said != NULL && own != NULL)
			used += (size_t)snprintf(out + used, POLICY_TEXT_SIZE - used,
						 "%s %s %s, its own is %s", used ? ";" : head,
						 keys[i][0], said, own);
		free(said);
		free(own);
	}
	return out;
}

static void addresses(const json_t *list, const char *label)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		printf("    %s %s\n", label, s != NULL ? s : "");
	}
}

/* A heading and a line of numbers below it, like those of ip -s link. */
static void counters(const char *label, const json_t *o, const char *const *keys)
{
	char text[JSON_TEXT_SIZE];

	if (!json_is_object(o))
		return;
	printf("    %s:", label);
	for (size_t i = 0; keys[i] != NULL; i++)
		if (json_object_get(o, keys[i]) != NULL)
			printf(" %16s", keys[i]);
	printf("\n       ");
	for (size_t i = 0; keys[i] != NULL; i++)
		if (json_object_get(o, keys[i]) != NULL)
			printf(" %16s", json_number(o, keys[i], text));
	putchar('\n');
}

static void drops(const json_t *d)
{
	json_t *o = (json_t *)(uintptr_t)d;
	const char *sep = "    drops:";

	for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
		printf("%s %s %" JSON_INTEGER_FORMAT, sep, json_object_iter_key(it),
		       json_integer_value(json_object_iter_value(it)));
		sep = ",";
	}
	if (sep[0] == ',')
		putchar('\n');
}

static void ring_cells(struct table *t, const json_t *ring)
{
	char text[JSON_TEXT_SIZE];

	if (!json_is_true(json_object_get(ring, "running"))) {
		table_cell(t, "stopped");
		table_cell(t, "%s", "");
		return;
	}
	table_cell(t, "%s", json_is_true(json_object_get(ring, "enabled")) ? "runs" : "disabled");
	table_cell(t, "%s of %s", json_number(ring, "fill", text),
		   json_number(ring, "size", (char[JSON_TEXT_SIZE]){ 0 }));
}

static void queues(const json_t *list)
{
	static const char *const headers[] = { "    QUEUE",  "TO GUEST", "FREE",
					       "FROM GUEST", "WAITING",	 NULL };
	struct table *t = table_new(headers);

	for (size_t i = 0; t != NULL && i < json_array_size(list); i++) {
		table_cell(t, "    %zu", i);
		ring_cells(t, json_object_get(json_array_get(list, i), "to_guest"));
		ring_cells(t, json_object_get(json_array_get(list, i), "from_guest"));
	}
	if (t != NULL)
		table_print(t, stdout);
	table_free(t);
}

/* "    label: key n, key n" of the integers in an object. */
static void numbers(const char *label, const json_t *from)
{
	json_t *o = (json_t *)(uintptr_t)from;
	const char *sep = "";

	printf("    %s:", label);
	for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
		if (!json_is_integer(json_object_iter_value(it)))
			continue;
		printf("%s %s %" JSON_INTEGER_FORMAT, sep, json_object_iter_key(it),
		       json_integer_value(json_object_iter_value(it)));
		sep = ",";
	}
	putchar('\n');
}

static void words_of(const json_t *o, const char *label, const char *key, const char *hex_key)
{
	char *words = json_words(json_object_get(o, key));

	printf("    %s %s: %s\n", label, json_text(o, hex_key), words != NULL ? words : "");
	free(words);
}

/* What only a vhost-user port has. */
static void vhost(const json_t *v)
{
	if (v == NULL)
		return;
	numbers("vhost", v);
	if (json_array_size(json_object_get(v, "features")) > 0) {
		words_of(v, "features", "features", "features_hex");
		words_of(v, "protocol", "protocol_features", "protocol_features_hex");
		numbers("memory", json_object_get(v, "memory"));
		queues(json_object_get(v, "queues"));
	}
	numbers("calls", json_object_get(v, "calls"));
	numbers("sizes", json_object_get(v, "sizes"));
}

void render_port_blocks(const json_t *ports)
{
	static const char *const rx[] = { "bytes", "packets", "dropped", "multicast", NULL };
	static const char *const tx[] = { "bytes", "packets", "dropped", NULL };

	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *p = json_array_get(ports, i);
		const json_t *stats = json_object_get(p, "stats64");
		char policy[POLICY_TEXT_SIZE];

		head(p);
		if (render_policy(p, policy)[0] != '\0')
			printf("    %s\n", policy);
		sentence(p, "reason");
		sentence(p, "hint");
		addresses(json_object_get(p, "address"), "mac");
		addresses(json_object_get(p, "source"), "source");
		settings(p);
		sentence(p, "uses-why");
		counters("RX", json_object_get(stats, "rx"), rx);
		counters("TX", json_object_get(stats, "tx"), tx);
		drops(json_object_get(p, "drops"));
		vhost(json_object_get(p, "vhost"));
	}
}
