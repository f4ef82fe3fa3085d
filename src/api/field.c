// SPDX-License-Identifier: Apache-2.0
#include "field.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types.h"
#include "value.h"

/* PATH_LEN_MAX: sun_path, without the NUL. */
enum { STRING_LEN_MAX = 255, WORD_LEN_MAX = 32, PATH_LEN_MAX = 107 };

static json_t *parse_int(const struct field *f, const char *word)
{
	int64_t v, min = f->type == FIELD_VID ? 1 : f->min;
	int64_t max = f->type == FIELD_VID ? VID_MAX : f->max;

	return value_int(word, min, max, &v) ? json_integer(v) : NULL;
}

/* A number with a unit. */
static json_t *parse_scaled(const struct field *f, const char *word)
{
	int64_t v;
	bool is_one = f->type == FIELD_RATE ? value_rate(word, &v) : value_size(word, &v);

	return is_one && v >= f->min && v <= f->max ? json_integer(v) : NULL;
}

static json_t *parse_vlans(const char *word)
{
	struct vlan_set s;
	char *text;
	json_t *v;

	if (!value_vlans(word, &s))
		return NULL;
	text = malloc(VALUE_VLANS_SIZE);
	if (text == NULL)
		return NULL;
	v = json_string(value_vlans_format(&s, text));
	free(text);
	return v;
}

static json_t *parse_mac(const char *word, size_t len)
{
	char text[VALUE_MAC_SIZE];
	struct mac m;

	if (len != sizeof(text) - 1)
		return NULL;
	memcpy(text, word, len);
	text[len] = '\0';
	return value_mac(text, &m) ? json_string(value_mac_format(m, text)) : NULL;
}

static json_t *parse_macs(const struct field *f, const char *word)
{
	json_t *list = json_array();

	for (;;) {
		size_t len = strcspn(word, ",");

		if (json_array_append_new(list, parse_mac(word, len)) != 0 ||
		    json_array_size(list) > (size_t)f->max) {
			json_decref(list);
			return NULL;
		}
		if (word[len] == '\0')
			return list;
		word += len + 1;
	}
}

/* A string that fits the field, as it is. */
static json_t *parse_string(const struct field *f, const char *word)
{
	json_t *v = json_string(word);

	if (v != NULL && (f->type == FIELD_WORDS || field_fits(f, v)))
		return v;
	json_decref(v);
	return NULL;
}

static bool words_have(const char *const *words, const char *word)
{
	for (; *words != NULL; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

json_t *field_parse(const struct field *f, const char *word)
{
	unsigned perm;
	bool is_on;

	if ((f->flags & FIELD_NONE) != 0 && strcmp(word, "none") == 0)
		return json_null();
	switch (f->type) {
	case FIELD_INT:
	case FIELD_VID:
		return parse_int(f, word);
	case FIELD_RATE:
	case FIELD_SIZE:
		return parse_scaled(f, word);
	case FIELD_SWITCH:
		return value_switch(word, &is_on) ? json_boolean(is_on) : NULL;
	case FIELD_VLANS:
		return parse_vlans(word);
	case FIELD_MAC:
		return parse_mac(word, strlen(word));
	case FIELD_MACS:
		return parse_macs(f, word);
	case FIELD_WORDS:
		return words_have(f->words, word) ? parse_string(f, word) : NULL;
	case FIELD_NAME:
	case FIELD_DEVICE:
	case FIELD_DEVICES:
	case FIELD_STRING:
	case FIELD_WORD:
	case FIELD_PATH:
		return parse_string(f, word);
	case FIELD_PERM:
		return value_perm(word, &perm) ? json_sprintf("%04o", perm) : NULL;
	case FIELD_FLAG:
	case FIELD_KIND:
	case FIELD_REQUESTS:
		return NULL;
	}
	return NULL;
}

static size_t len_max(const struct field *f)
{
	if (f->type == FIELD_PATH)
		return PATH_LEN_MAX;
	return f->max > 0 ? (size_t)f->max : STRING_LEN_MAX;
}

/* Printable, in one line: what a terminal and a configuration file can show. */
static bool string_fits(const struct field *f, const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return n >= 1 && n <= len_max(f);
}

static bool integer_fits(const struct field *f, const json_t *v)
{
	json_int_t i = json_integer_value(v);

	if (!json_is_integer(v))
		return false;
	return f->type == FIELD_VID ? i >= 1 && i <= VID_MAX : i >= f->min && i <= f->max;
}

static bool macs_fit(const struct field *f, const json_t *v)
{
	size_t n = json_array_size(v);
	struct mac m;

	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (s == NULL || !value_mac(s, &m))
			return false;
	}
	return n >= 1 && n <= (size_t)f->max;
}

static bool devices_fit(const char *s)
{
	char dev[32];

	for (;;) {
		size_t size = strcspn(s, ",");

		snprintf(dev, sizeof(dev), "%.*s", size < sizeof(dev) ? (int)size : 31, s);
		if (!value_device(dev))
			return false;
		if (s[size] == '\0')
			return true;
		s += size + 1;
	}
}

static bool words_fit(const struct field *f, const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (s == NULL || !words_have(f->words, s))
			return false;
	}
	return json_is_array(v);
}

static bool requests_fit(const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *r = json_array_get(v, i), *params = json_object_get(r, "params");
		const json_t *line = json_object_get(r, "line");

		if (!json_is_string(json_object_get(r, "method")) ||
		    (params != NULL && !json_is_object(params)) ||
		    (line != NULL && !json_is_integer(line)))
			return false;
	}
	return json_is_array(v);
}

bool field_fits(const struct field *f, const json_t *v)
{
	const char *s = json_string_value(v);
	struct vlan_set vlans;
	struct mac m;
	unsigned perm;

	if (json_is_null(v))
		return (f->flags & FIELD_NONE) != 0;
	/* A string of JSON may hold a NUL: what follows it must not go unseen. */
	if (s != NULL && strlen(s) != json_string_length(v))
		return false;
	switch (f->type) {
	case FIELD_NAME:
		return s != NULL && value_name(s);
	case FIELD_DEVICE:
		return s != NULL && value_device(s);
	case FIELD_DEVICES:
		return s != NULL && devices_fit(s);
	case FIELD_STRING:
		return s != NULL && string_fits(f, s);
	case FIELD_WORD:
		return s != NULL && words_have(f->words, s);
	case FIELD_INT:
	case FIELD_RATE:
	case FIELD_SIZE:
	case FIELD_VID:
		return integer_fits(f, v);
	case FIELD_SWITCH:
	case FIELD_FLAG:
		return json_is_boolean(v);
	case FIELD_PATH:
		return s != NULL && s[0] == '/' && string_fits(f, s);
	case FIELD_PERM:
		return s != NULL && value_perm(s, &perm);
	case FIELD_VLANS:
		return s != NULL && value_vlans(s, &vlans);
	case FIELD_MAC:
		return s != NULL && value_mac(s, &m);
	case FIELD_MACS:
		return macs_fit(f, v);
	case FIELD_WORDS:
		return words_fit(f, v);
	case FIELD_REQUESTS:
		return requests_fit(v);
	case FIELD_KIND:
		return false;
	}
	return false;
}

static char *format_macs(const json_t *v)
{
	size_t n = json_array_size(v);
	char *text = malloc(n * VALUE_MAC_SIZE + 1);

	if (text == NULL)
		return NULL;
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			strcat(text, ",");
		strcat(text, json_string_value(json_array_get(v, i)));
	}
	return text;
}

char *field_format(const struct field *f, const json_t *v)
{
	char number[VALUE_UNITS_SIZE];

	if (json_is_null(v))
		return strdup("none");
	switch (f->type) {
	case FIELD_INT:
	case FIELD_VID:
		snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(v));
		return strdup(number);
	case FIELD_RATE:
		return strdup(value_rate_format(json_integer_value(v), number));
	case FIELD_SIZE:
		return strdup(value_size_format(json_integer_value(v), number));
	case FIELD_SWITCH:
		return strdup(json_is_true(v) ? "on" : "off");
	case FIELD_MACS:
		return format_macs(v);
	case FIELD_NAME:
	case FIELD_DEVICE:
	case FIELD_DEVICES:
	case FIELD_STRING:
	case FIELD_WORD:
	case FIELD_VLANS:
	case FIELD_MAC:
	case FIELD_WORDS:
	case FIELD_PATH:
	case FIELD_PERM:
	case FIELD_KIND:
		return strdup(json_is_string(v) ? json_string_value(v) : "");
	case FIELD_FLAG:
	case FIELD_REQUESTS:
		return strdup("");
	}
	return NULL;
}

static const char *expects(const struct field *f, char *buf, size_t size)
{
	char min[VALUE_UNITS_SIZE], max[VALUE_UNITS_SIZE];

	switch (f->type) {
	case FIELD_NAME:
		return "1 to 31 of A-Z a-z 0-9 . _ -, first a letter or digit";
	case FIELD_DEVICE:
		return "the name of a network device: at most 15 octets, no '/', ':' or space";
	case FIELD_DEVICES:
		return "the name of a network device: at most 15 octets, no '/', ':' or space; "
		       "or several, as in eth0,eth1";
	case FIELD_STRING:
		snprintf(buf, size, "1 to %zu printable characters", len_max(f));
		return buf;
	case FIELD_PATH:
		snprintf(buf, size, "an absolute path of at most %d characters", PATH_LEN_MAX);
		return buf;
	case FIELD_PERM:
		return "octal, as in 0660";
	case FIELD_INT:
		snprintf(buf, size, "a number from %" PRId64 " to %" PRId64, f->min, f->max);
		return buf;
	case FIELD_RATE:
		snprintf(buf, size, "bits a second from %s to %s, as in 100mbit or 2.5gbit",
			 value_rate_format(f->min, min), value_rate_format(f->max, max));
		return buf;
	case FIELD_SIZE:
		snprintf(buf, size, "octets from %s to %s, as in 64k or 1m",
			 value_size_format(f->min, min), value_size_format(f->max, max));
		return buf;
	case FIELD_SWITCH:
		return "on or off";
	case FIELD_VID:
		return "a VLAN ID from 1 to 4094";
	case FIELD_VLANS:
		return "VLAN IDs from 1 to 4094 as in 1,10,20-30, or all";
	case FIELD_MAC:
		return "a MAC address as in 52:54:00:00:00:01";
	case FIELD_MACS:
		snprintf(buf, size,
			 "up to %" PRId64 " MAC addresses as in "
			 "52:54:00:00:00:01,52:54:00:00:00:02",
			 f->max);
		return buf;
	case FIELD_WORD:
	case FIELD_WORDS:
		return words_join(f->words, buf, size);
	case FIELD_REQUESTS:
		return "an array of {\"method\", \"params\", \"line\"}";
	case FIELD_FLAG:
	case FIELD_KIND:
		return f->key;
	}
	return "";
}

const char *field_expects(const struct field *f, char buf[FIELD_TEXT_SIZE])
{
	char text[FIELD_TEXT_SIZE - sizeof(", or none")];

	snprintf(buf, FIELD_TEXT_SIZE, "%s%s", expects(f, text, sizeof(text)),
		 (f->flags & FIELD_NONE) != 0 ? ", or none" : "");
	return buf;
}

const char *words_join(const char *const *words, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; words[i] != NULL && len < size; i++) {
		const char *between = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";

		len += (size_t)snprintf(buf + len, size - len, "%s%s", between, words[i]);
	}
	return buf;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Letters to insert, delete or replace to turn one word into the other (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_LEN_MAX + 1];
	unsigned n = (unsigned)strlen(b);

	if (n > WORD_LEN_MAX || strlen(a) > WORD_LEN_MAX)
		return WORD_LEN_MAX;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *words_nearest(const char *const *words, const char *word)
{
	const char *best = NULL;
	unsigned best_distance = 3;

	for (; *words != NULL; words++) {
		unsigned d = distance(word, *words);

		/* A beginning is as good as one slip; a word must not be guessed from its ruins. */
		if (strlen(word) >= 3 && strncmp(word, *words, strlen(word)) == 0)
			d = d < 1 ? d : 1;
		if (d < best_distance && d * 2 <= strlen(word)) {
			best = *words;
			best_distance = d;
		}
	}
	return best;
}
