// SPDX-License-Identifier: Apache-2.0
/*
 * How libFuzzer changes inputs of control_fuzz: besides octets, it moves, doubles and drops whole
 * lines, puts one value in the place of another, and adds requests made after the schema. Octets
 * alone would hardly ever get past the JSON parser. Only linked with -Dfuzz=true.
 */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "schema.h"
#include "types.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

struct random {
	uint64_t state;
	bool is_wrong; /* the request in the making may have values that do not fit */
};

/* 0..n-1 (xorshift64*). */
static unsigned pick(struct random *r, size_t n)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return (unsigned)((r->state * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n);
}

/* ---- requests after the schema ---- */

static json_t *random_word(struct random *r, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return json_string(words[pick(r, n)]);
}

static json_t *random_mac(struct random *r)
{
	static const char *const odd[] = { "00:00:00:00:00:00", "01:80:c2:00:00:00",
					   "52-54-00-AB-cd-EF", "52:54:00:00:00", "" };

	if (r->is_wrong && pick(r, 3) == 0)
		return json_string(odd[pick(r, ARRAY_SIZE(odd))]);
	return json_sprintf("52:54:00:00:00:%02x", pick(r, 6));
}

static json_t *random_macs(struct random *r)
{
	json_t *list = json_array();

	for (unsigned n = r->is_wrong && pick(r, 3) == 0 ? 65 : 1 + pick(r, 2); n > 0; n--)
		json_array_append_new(list, random_mac(r));
	return list;
}

static json_t *random_string(struct random *r)
{
	static const char *const strings[] = {
		"c1", "/run/netns/c1", "/proc/1/ns/net", "root", "a b", "it's", "#",
		"\"", "'\"",	       "a\tb",		 "\n",	 "..",	"",	"none",
		"é",  "\x01\x02",      "vlan",		 "\\",
	};

	return json_string(strings[pick(r, ARRAY_SIZE(strings))]);
}

static json_t *random_name(struct random *r, const struct field *f)
{
	static const char *const bridges[] = { "br0", "br0", "sw0", "br1" };
	static const char *const odd[] = {
		"refused", "eth0", "vlan", "none", "-x", "show", "a-name-of-thirty-one-characters",
		"uplink"
	};

	if (pick(r, 24) == 0)
		return json_string(odd[pick(r, ARRAY_SIZE(odd))]);
	if (strcmp(f->key, "bridge") == 0)
		return json_string(bridges[pick(r, ARRAY_SIZE(bridges))]);
	return json_sprintf("p%u", pick(r, 5));
}

static json_t *random_vlans(struct random *r)
{
	static const char *const sets[] = {
		"all", "1", "1-4", "2,3", "1,10,20-30", "4094", "1-4094"
	};
	static const char *const wrong[] = { "3,1", "5-5,6", "0", "", "4095", "1-", "none" };

	if (r->is_wrong && pick(r, 3) == 0)
		return json_string(wrong[pick(r, ARRAY_SIZE(wrong))]);
	return json_string(sets[pick(r, ARRAY_SIZE(sets))]);
}

static json_t *random_int(struct random *r, const struct field *f)
{
	const int64_t values[] = { f->min, f->max, f->min - 1, f->max + 1, 0, 1500 };

	if (r->is_wrong && pick(r, 3) == 0)
		return json_integer(values[pick(r, ARRAY_SIZE(values))]);
	if (pick(r, 3) == 0)
		return json_integer(pick(r, 2) ? f->min : f->max);
	return json_integer(f->min + pick(r, (size_t)(f->max - f->min + 1)));
}

static json_t *random_request(struct random *r, unsigned depth);

static json_t *random_requests(struct random *r, unsigned depth)
{
	json_t *list = json_array();

	for (unsigned n = depth ? 0 : pick(r, 6); n > 0; n--) {
		json_t *request = random_request(r, depth + 1);

		if (pick(r, 2))
			json_object_set_new(request, "line", json_integer(n));
		json_array_append_new(list, request);
	}
	return list;
}

/* A value of the field, most of the time. */
static json_t *random_value(struct random *r, const struct field *f, unsigned depth)
{
	static const char *const devices[] = { "eth0", "eth1", "tap0", "p0", "p1", "it's" };

	if (f->flags & FIELD_NONE && pick(r, 4) == 0)
		return json_null();
	if (r->is_wrong && pick(r, 6) == 0)
		return pick(r, 2) ? json_null() : random_string(r);
	switch (f->type) {
	case FIELD_NAME:
		return random_name(r, f);
	case FIELD_DEVICE:
		return json_string(devices[pick(r, ARRAY_SIZE(devices))]);
	case FIELD_DEVICES:
		return json_sprintf("%s,%s", devices[pick(r, ARRAY_SIZE(devices))],
				    devices[pick(r, ARRAY_SIZE(devices))]);
	case FIELD_STRING:
		return random_string(r);
	case FIELD_WORD:
		return random_word(r, f->words);
	case FIELD_INT:
		return random_int(r, f);
	case FIELD_SWITCH:
		return json_boolean(pick(r, 2));
	case FIELD_VID:
		return json_integer(r->is_wrong ? pick(r, 4097) : 1 + pick(r, 4));
	case FIELD_VLANS:
		return random_vlans(r);
	case FIELD_MAC:
		return random_mac(r);
	case FIELD_MACS:
		return random_macs(r);
	case FIELD_WORDS:
		return json_pack("[o]", random_word(r, f->words));
	case FIELD_REQUESTS:
		return random_requests(r, depth);
	case FIELD_PATH:
		return json_sprintf("/nowhere/%u", pick(r, 4));
	case FIELD_PERM:
		return json_string(pick(r, 2) ? "0660" : "700");
	case FIELD_FLAG:
		return json_true();
	case FIELD_KIND:
		break;
	}
	return json_null();
}

static void add_kind(struct random *r, json_t *params)
{
	static const char *const devices[] = { "eth0", "eth1", "p0" };
	static const char *const kinds[] = { "tap", "memory", "packet", "vhost-user", "host" };
	const char *kind = kinds[pick(r, ARRAY_SIZE(kinds))];

	json_object_set_new(params, "kind", json_string(kind));
	if (strcmp(kind, "packet") == 0)
		json_object_set_new(params, "dev",
				    json_string(devices[pick(r, ARRAY_SIZE(devices))]));
	if (strcmp(kind, "vhost-user") == 0)
		json_object_set_new(params, "path", json_sprintf("/nowhere/%u", pick(r, 4)));
}

static void drop_keys(json_t *params, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_del(params, *keys);
}

static bool is(const json_t *params, const char *key, const char *word)
{
	const json_t *v = json_object_get(params, key);

	return json_is_string(v) && strcmp(json_string_value(v), word) == 0;
}

/* Drop what does not go together, so that the request has a chance of being accepted. */
static void reconcile(json_t *params, bool is_learning)
{
	static const char *const station[] = { "mode",	 "reserved", "spoof-guard", "promisc",
					       "source", "nodst",    "role",	    NULL };
	static const char *const relay[] = { "reflective-relay", NULL };
	static const char *const tap[] = { "name", "netns", "guest", NULL };
	static const char *const users[] = { "owner", "group", NULL };
	static const char *const socket[] = { "client", "queues", "config", "perm", NULL };
	static const char *const perm[] = { "owner", "group", "perm", NULL };
	static const char *const vm[] = { "guest", "owner", "group", NULL };
	static const char *const trunk[] = { "trunk", "native", NULL };
	static const char *const native[] = { "native", NULL };
	static const char *const source[] = { "source", "nodst", NULL };

	drop_keys(params, is_learning ? station : relay);
	if (!is(params, "kind", "tap"))
		drop_keys(params, tap);
	if (!is(params, "kind", "tap") && !is(params, "kind", "vhost-user"))
		drop_keys(params, users);
	if (!is(params, "kind", "vhost-user"))
		drop_keys(params, socket);
	else if (json_object_get(params, "client"))
		drop_keys(params, perm);
	if (json_object_get(params, "netns"))
		drop_keys(params, vm);
	if (json_object_get(params, "vlan"))
		drop_keys(params, trunk);
	else if (!json_object_get(params, "trunk") && !is(params, "role", "uplink"))
		drop_keys(params, native);
	if (!is(params, "mode", "source"))
		drop_keys(params, source);
}

/* sw0 is a learning bridge, the others are not. */
static void choose_type(struct random *r, const struct command *c, json_t *params)
{
	bool is_learning = is(params, "bridge", "sw0");

	if (r->is_wrong)
		return;
	if (strcmp(c->method, "bridge.add") == 0) {
		json_object_set_new(params, "type", json_string(is_learning ? "learning" : "edge"));
		if (is_learning)
			json_object_del(params, "uplink");
	}
	if (strcmp(c->method, "port.add") == 0)
		reconcile(params, is_learning);
	if (strcmp(c->method, "port.set") == 0)
		reconcile(params, pick(r, 3) == 0);
}

static json_t *random_params(struct random *r, const struct command *c, unsigned depth)
{
	json_t *params = json_object();
	unsigned rarity = 2 + pick(r, 12);

	for (size_t i = 0; i < c->n_fields; i++) {
		const struct field *f = &c->fields[i];

		if (f->type == FIELD_KIND) {
			if (!json_object_get(params, "kind"))
				add_kind(r, params);
		} else if (f->flags & FIELD_REQUIRED ? !r->is_wrong || pick(r, 8) :
						       pick(r, rarity) == 0) {
			json_object_set_new(params, f->key, random_value(r, f, depth));
		}
	}
	choose_type(r, c, params);
	return params;
}

/* {"method", "params"}; what makes for a rich configuration is more frequent than the rest. */
static json_t *random_request(struct random *r, unsigned depth)
{
	static const char *const frequent[] = { "bridge.add", "port.add", "port.add",
						"port.add",   "port.set", "port.set",
						"port.set",   "fdb.add",  "config.apply" };
	const struct command *c, *commands;
	size_t n;

	commands = schema_commands(&n);
	do {
		c = &commands[pick(r, n)];
	} while (!c->method);
	if (pick(r, 4))
		c = schema_method(frequent[pick(r, ARRAY_SIZE(frequent))]);
	r->is_wrong = pick(r, 5) == 0;
	return json_pack("{s:s, s:o}", "method", c->method, "params", random_params(r, c, depth));
}

static char *random_line(struct random *r)
{
	json_t *request = random_request(r, 0);
	char *line;

	json_object_set_new(request, "jsonrpc", json_string("2.0"));
	if (pick(r, 8))
		json_object_set_new(request, "id", json_integer(pick(r, 100)));
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	assert(line);
	return line;
}

/* ---- pieces of the input ---- */

struct span {
	size_t at, size;
};

/* A line with its newline, chosen at random. */
static struct span random_span(struct random *r, const uint8_t *data, size_t size)
{
	size_t start = size ? pick(r, size) : 0, end = start;

	while (start > 0 && data[start - 1] != '\n')
		start--;
	while (end < size && data[end++] != '\n')
		;
	return (struct span){ start, end - start };
}

/* The next value after a random place: a number, word or string. Size 0: there is none. */
static struct span random_token(struct random *r, const uint8_t *data, size_t size)
{
	size_t start = size ? pick(r, size) : 0, end;

	while (start < size && !strchr(":[,", data[start]))
		start++;
	if (start >= size - (size > 0))
		return (struct span){ size, 0 };
	end = ++start;
	if (data[end] == '"') {
		for (end++; end < size && data[end] != '"' && data[end] != '\n';)
			end++;
		end += end < size;
	} else {
		while (end < size && !strchr(",]}\n[{", data[end]))
			end++;
	}
	return (struct span){ start, end - start };
}

/* Put `n` octets in the place of `gone`; the size that results, or the same if there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t max_size, struct span gone,
		      const struct iovec *with)
{
	size_t n = with->iov_len;

	if (size - gone.size + n > max_size)
		return size;
	memmove(data + gone.at + n, data + gone.at + gone.size, size - gone.at - gone.size);
	memcpy(data + gone.at, with->iov_base, n);
	return size - gone.size + n;
}

static size_t mutate_lines(struct random *r, uint8_t *data, size_t size, size_t max_size)
{
	struct span from = random_span(r, data, size), to = random_span(r, data, size);
	struct iovec line = { NULL, from.size };

	if (pick(r, 3) == 0)
		return replace(data, size, max_size, from, &(struct iovec){ data, 0 });
	line.iov_base = malloc(from.size + 1);
	memcpy(line.iov_base, data + from.at, from.size);
	if (pick(r, 2))
		to.size = 0; /* insert it there, else it replaces what is there */
	size = replace(data, size, max_size, to, &line);
	free(line.iov_base);
	return size;
}

static size_t mutate_token(struct random *r, uint8_t *data, size_t size, size_t max_size)
{
	struct span from = random_token(r, data, size), to = random_token(r, data, size);
	struct iovec token = { malloc(from.size + 1), from.size };

	memcpy(token.iov_base, data + from.at, from.size);
	if (to.size && from.size)
		size = replace(data, size, max_size, to, &token);
	free(token.iov_base);
	return size;
}

static size_t add_line(struct random *r, uint8_t *data, size_t size, size_t max_size)
{
	struct span to = random_span(r, data, size);
	char *line = random_line(r);
	size_t n = strlen(line);

	line[n] = '\n'; /* in the place of the NUL: it is octets from here on */
	to.at = pick(r, 2) ? size : to.at + to.size;
	to.size = 0;
	size = replace(data, size, max_size, to, &(struct iovec){ line, n + 1 });
	free(line);
	return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct random r = { .state = (seed + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15) };

	switch (pick(&r, 12)) {
	case 0:
		return LLVMFuzzerMutate(data, size, max_size);
	case 1:
	case 2:
	case 3:
		return mutate_lines(&r, data, size, max_size);
	case 4:
	case 5:
		return mutate_token(&r, data, size, max_size);
	default:
		for (unsigned n = 1 + pick(&r, 4); n > 0; n--)
			size = add_line(&r, data, size, max_size);
		return size;
	}
}
