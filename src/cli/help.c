// SPDX-License-Identifier: Apache-2.0
#include "help.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "schema.h"

enum { TEXT_SIZE = 256, USAGE_SIZE = 1024, COLUMN = 36 };

/* The key of a field as the name of its value: plain ASCII. */
static const char *upper(char text[TEXT_SIZE], const char *word)
{
	snprintf(text, TEXT_SIZE, "%s", word);
	for (char *p = text; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return text;
}

static const char *alternatives(const char *const *words, char text[TEXT_SIZE])
{
	size_t len = 0;

	text[0] = '\0';
	for (; *words != NULL && len < TEXT_SIZE; words++)
		len += (size_t)snprintf(text + len, TEXT_SIZE - len, "%s%s", len > 0 ? "|" : "",
					*words);
	return text;
}

/* Objects with one verb are called without it. */
static bool has_one_verb(const struct command *c)
{
	size_t n, n_verbs = 0;
	const struct command *all = schema_commands(&n);

	for (size_t i = 0; i < n; i++)
		n_verbs += all[i].verb != NULL && strcmp(all[i].object, c->object) == 0;
	return n_verbs == 1;
}

/* What stands for the value of a field: "on|off", "MAC", "1..4094". */
static const char *value_of(const struct field *f, char text[TEXT_SIZE])
{
	switch (f->type) {
	case FIELD_NAME:
		return strcmp(f->key, "bridge") == 0 ? "BRIDGE" : "PORT";
	case FIELD_DEVICE:
		return "DEV";
	case FIELD_DEVICES:
		return "DEV[,DEV...]";
	case FIELD_STRING:
		return upper(text, f->key);
	case FIELD_WORD:
	case FIELD_WORDS:
		return alternatives(f->words, text);
	case FIELD_INT:
		snprintf(text, TEXT_SIZE, "%" PRId64 "..%" PRId64, f->min, f->max);
		return text;
	case FIELD_RATE:
		return "RATE";
	case FIELD_SIZE:
		return "SIZE";
	case FIELD_SWITCH:
		return "on|off";
	case FIELD_VID:
		return "VID";
	case FIELD_VLANS:
		return "VID[-VID][,...]|all";
	case FIELD_MAC:
		return "MAC";
	case FIELD_MACS:
		return "MAC[,MAC...]";
	case FIELD_PATH:
		return "PATH";
	case FIELD_PERM:
		return "MODE";
	case FIELD_KIND:
		return f->arg != NULL ? value_of(f->arg, text) : "";
	case FIELD_FLAG:
	case FIELD_REQUESTS:
		return "";
	}
	return "";
}

/* A field as it is typed: "mode vepa|bridge", "tap", "PORT". */
static void field_usage(const struct field *f, char out[2 * TEXT_SIZE])
{
	char text[TEXT_SIZE];
	const char *value = value_of(f, text);

	if ((f->flags & FIELD_POSITIONAL) != 0)
		snprintf(out, 2 * TEXT_SIZE, "%s", value);
	else
		snprintf(out, 2 * TEXT_SIZE, "%s%s%s", f->key, value[0] != '\0' ? " " : "", value);
}

/* A field that comes without its key, by the name of its role: PORT, FILE, [KIND...]. */
static void subject_usage(const struct field *f, char out[2 * TEXT_SIZE])
{
	bool is_required = (f->flags & FIELD_REQUIRED) != 0;
	char text[TEXT_SIZE];
	const char *value = value_of(f, text);

	if (f->type == FIELD_WORDS)
		value = "KIND...";
	else if (f->type == FIELD_WORD)
		value = "OBJECT";
	snprintf(out, 2 * TEXT_SIZE, is_required ? " %s" : " [%s]", value);
}

/* "port add PORT bridge BRIDGE tap|packet DEV|memory ..." */
static void command_usage(const struct command *c, char out[USAGE_SIZE])
{
	char text[2 * TEXT_SIZE];
	const char *verb = has_one_verb(c) ? NULL : c->verb, *sep = " ", *more = "";
	size_t len = (size_t)snprintf(out, USAGE_SIZE, "%s%s%s", c->object, verb ? " " : "",
				      verb ? verb : "");

	for (size_t i = 0; i < c->n_fields && len < USAGE_SIZE; i++) {
		const struct field *f = &c->fields[i];

		if ((f->flags & FIELD_POSITIONAL) != 0) {
			subject_usage(f, text);
			len += (size_t)snprintf(out + len, USAGE_SIZE - len, "%s", text);
		} else if ((f->flags & FIELD_REQUIRED) != 0) {
			field_usage(f, text);
			len += (size_t)snprintf(out + len, USAGE_SIZE - len, "%s%s", sep, text);
			sep = f->type == FIELD_KIND ? "|" : " ";
		} else {
			more = " ...";
		}
	}
	if (len < USAGE_SIZE)
		snprintf(out + len, USAGE_SIZE - len, "%s", more);
}

/* `left` and `right` side by side; what is too wide gets a line of its own. */
static void two_columns(FILE *out, int indent, const char *left, const char *right)
{
	int width = COLUMN - indent - 2;

	if ((int)strlen(left) > width)
		fprintf(out, "%*s%s\n%*s%s\n", indent, "", left, COLUMN, "", right);
	else
		fprintf(out, "%*s%-*s  %s\n", indent, "", width, left, right);
}

void help_overview(FILE *out)
{
	char usage[USAGE_SIZE];
	size_t n;
	const struct command *c = schema_commands(&n);

	fputs("Usage: evb [OPTION...] OBJECT [VERB] [FIELD VALUE]...\n"
	      "       evb [OPTION...] -b FILE\n\n",
	      out);
	for (size_t i = 0; i < n; i++) {
		if (c[i].verb == NULL)
			continue;
		command_usage(&c[i], usage);
		two_columns(out, 2, usage, c[i].help);
	}
	fputs("\n"
	      "  -S, --socket PATH  control socket; default $EVB_SOCKET or /run/evb/evbd.sock\n"
	      "  -j, --json         print JSON: an array, always\n"
	      "  -p, --pretty       with -j: indented\n"
	      "  -s, --stats        with counters\n"
	      "  -b, --batch FILE   apply the commands in FILE, all or none; - is standard input\n"
	      "  -V, --version      print the version\n"
	      "  -h, --help         print this\n\n"
	      "Objects and verbs may be shortened; without a verb, show is meant.\n"
	      "For the fields of an object: evb help OBJECT\n",
	      out);
}

/* The fields of a command, a line each. */
static void help_fields(const struct command *c, FILE *out)
{
	char usage[2 * TEXT_SIZE];
	bool has_none = false;

	for (size_t k = 0; k < c->n_fields; k++) {
		field_usage(&c->fields[k], usage);
		two_columns(out, 4, usage, c->fields[k].help);
		has_none |= (c->fields[k].flags & FIELD_NONE) != 0;
	}
	if (has_none && strcmp(c->verb, "set") == 0)
		fputs("    The value none gives a field back its default.\n", out);
}

void help_object(const char *object, FILE *out)
{
	char usage[USAGE_SIZE];
	const char *gap = "";
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++) {
		if (c[i].verb == NULL || strcmp(c[i].object, object) != 0)
			continue;
		command_usage(&c[i], usage);
		fprintf(out, "%sevb %s\n  %s\n", gap, usage, c[i].help);
		help_fields(&c[i], out);
		gap = "\n";
	}
}
