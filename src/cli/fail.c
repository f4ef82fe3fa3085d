// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* A message may quote octets that are no UTF-8, or end in the middle of a character. */
static json_t *text(const char *s)
{
	json_t *v = json_string(s);
	char ascii[sizeof(((struct err *)0)->message)];
	size_t n = 0;

	if (v != NULL)
		return v;
	for (; s[n] != '\0' && n < sizeof(ascii) - 1; n++)
		ascii[n] = (unsigned char)s[n] < 0x80 ? s[n] : '?';
	ascii[n] = '\0';
	return json_string(ascii);
}

static void fail_json(const struct failure *f, bool pretty)
{
	const char *name = f->errno_name[0] != '\0' ? f->errno_name : strerrorname_np(f->err.code);
	json_t *error = json_pack("{s:o, s:o, s:s}", "message", text(f->err.message), "hint",
				  text(f->err.hint), "errno", name != NULL ? name : "EIO");
	json_t *object;

	if (f->file != NULL)
		json_object_set_new(error, "file", text(f->file));
	if (f->line > 0)
		json_object_set_new(error, "line", json_integer(f->line));
	object = json_pack("{s:o}", "error", error);
	json_dumpf(object, stderr, pretty ? JSON_INDENT(4) : JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(object);
}

int cli_fail(const struct cli *cli, const struct failure *f)
{
	fflush(stdout);
	if (cli->json) {
		fail_json(f, cli->pretty);
		return f->exit;
	}
	if (f->file != NULL && f->line > 0)
		fprintf(stderr, "%s:%d: %s\n", f->file, f->line, f->err.message);
	else if (f->file != NULL)
		fprintf(stderr, "%s: %s\n", f->file, f->err.message);
	else
		fprintf(stderr, "evb: %s\n", f->err.message);
	if (f->err.hint[0] != '\0')
		fprintf(stderr, "  %s\n", f->err.hint);
	return f->exit;
}
