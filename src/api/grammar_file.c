// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "grammar.h"

enum { LINE_WORDS_MAX = 128 };

/* A line cut into words: they lie in `text`, which is as long as the line, NUL-terminated each. */
struct line {
	char *text;
	int n_words;
	const char *words[LINE_WORDS_MAX];
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Characters that show nothing on a screen, so that nobody would find them in a file. */
static bool has_control(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < ' ' && !is_space(p[i])) || p[i] == 0x7f)
			return true;
	return false;
}

/* Copy the word at `*p` without its quotes to `*out`; both move behind it. */
static int word_take(const char **p, const char *end, char **out, struct err *e)
{
	char quote = '\0';

	for (; *p < end && (quote != '\0' || !is_space(**p)); (*p)++) {
		char c = **p;

		if (quote != '\0' && c == quote)
			quote = '\0';
		else if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else
			*(*out)++ = c;
	}
	*(*out)++ = '\0';
	if (quote == '\0')
		return 0;
	err_set(e, EINVAL, "a quotation mark (%c) is never closed", quote);
	return err_hint(e, "a word in quotes ends on the line it began on");
}

/* Cut a line of `n` octets into words; `l->text` has room for n + 1. */
static int line_split(struct line *l, const char *p, size_t n, struct err *e)
{
	const char *end = p + n;
	char *out = l->text;

	l->n_words = 0;
	if (has_control(p, n)) {
		err_set(e, EINVAL, "the line holds a control character");
		return err_hint(e, "is this a text file?");
	}
	for (;;) {
		char *word = out;
		int err;

		while (p < end && is_space(*p))
			p++;
		if (p == end || *p == '#')
			return 0;
		if (l->n_words == LINE_WORDS_MAX) {
			err_set(e, EINVAL, "more than %d words", LINE_WORDS_MAX);
			return err_hint(e, "addresses and VLANs are lists with commas: a,b,c");
		}
		err = word_take(&p, end, &out, e);
		if (err != 0)
			return err;
		l->words[l->n_words++] = word;
	}
}

static int refuse_command(const struct command *c, struct err *e)
{
	err_set(e, EINVAL, "\"%s %s\" changes no configuration", c->object, c->verb);
	return err_hint(e, "a file holds bridge, port and fdb commands: add, set, del");
}

/* Append the request of one line to `requests`, if there is one on it. */
static int line_parse(const struct line *l, int number, json_t *requests, struct err *e)
{
	const struct command *c;
	const char *const *words = l->words;
	int n = l->n_words;
	json_t *params, *request;

	if (n == 0)
		return 0;
	/* Whoever copies from a shell script brings the name of the program along. */
	if (strcmp(words[0], "evb") == 0) {
		err_set(e, EINVAL, "the line begins with \"evb\"");
		return err_hint(e, "leave it out: a line is what follows evb on the command line");
	}
	params = grammar_parse(n, words, &c, e);
	if (params == NULL)
		return -e->code;
	if (!c->changes) {
		json_decref(params);
		return refuse_command(c, e);
	}
	request =
		json_pack("{s:s, s:o, s:i}", "method", c->method, "params", params, "line", number);
	if (request == NULL || json_array_append_new(requests, request) != 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

json_t *grammar_parse_file(const char *text, size_t size, int *line, struct err *e)
{
	json_t *requests = json_array();
	struct line l = { .text = malloc(size + 1) };
	const char *end = text + size;
	int number = 0, err = 0;

	if (requests == NULL || l.text == NULL)
		err = err_set(e, ENOMEM, "out of memory");
	while (text < end && err == 0) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol != NULL ? eol : end) - text);

		number++;
		err = line_split(&l, text, n, e);
		if (err == 0)
			err = line_parse(&l, number, requests, e);
		text += n + (eol != NULL);
	}
	free(l.text);
	if (err == 0)
		return requests;
	json_decref(requests);
	*line = e->code == ENOMEM ? 0 : number;
	return NULL;
}
