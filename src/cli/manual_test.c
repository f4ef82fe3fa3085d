// SPDX-License-Identifier: Apache-2.0
/*
 * The manual is written by hand; here it is held against the tables it speaks of. Run with the
 * path of evb.8 in the environment variable MANUAL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drop.h"
#include "schema.h"

static int read_manual(void **state)
{
	const char *path = getenv("MANUAL");
	FILE *in = path != NULL ? fopen(path, "re") : NULL;
	static char text[128 << 10];

	if (in == NULL)
		return -1;
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	*state = text;
	return 0;
}

static void every_drop_reason_is_explained(void **state)
{
	for (int r = 0; r < DROP_REASONS_N; r++) {
		char want[256];

		snprintf(want, sizeof(want), "\n.It Cm %s\n%s\n", drop_name(r), drop_text(r));
		if (strstr(*state, want) == NULL)
			fail_msg("evb.8 lacks:%s", want);
	}
}

static int count(const char *text, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* Neither fewer nor more, so that a reason that went away leaves the manual too. */
static void no_other_drop_reason_is_there(void **state)
{
	char *section = strdup(strstr(*state, "\n.Sh DROP REASONS\n") + 1);

	*strstr(section, "\n.Sh ") = '\0';
	assert_int_equal(count(section, "\n.It Cm "), DROP_REASONS_N);
	free(section);
}

static void every_command_is_there(void **state)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++) {
		char want[64], bare[64];

		if (c[i].verb == NULL)
			continue;
		snprintf(want, sizeof(want), "Cm %s %s", c[i].object, c[i].verb);
		snprintf(bare, sizeof(bare), "\n.It Cm %s", c[i].object);
		if (strstr(*state, want) == NULL &&
		    (strcmp(c[i].verb, "show") != 0 || strstr(*state, bare) == NULL))
			fail_msg("evb.8 lacks %s", want);
	}
}

static void every_field_is_there(void **state)
{
	size_t n;
	const struct command *c = schema_commands(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; c[i].verb != NULL && k < c[i].n_fields; k++) {
			const struct field *f = &c[i].fields[k];
			char want[64];

			if ((f->flags & FIELD_POSITIONAL) != 0)
				continue;
			snprintf(want, sizeof(want), "Cm %s ", f->key);
			/* A key that needs no value ends its line. */
			if (f->type == FIELD_FLAG || (f->type == FIELD_KIND && f->arg == NULL))
				want[strlen(want) - 1] = '\n';
			if (strstr(*state, want) == NULL)
				fail_msg("evb.8 lacks %s of %s %s", f->key, c[i].object, c[i].verb);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_drop_reason_is_explained),
		cmocka_unit_test(no_other_drop_reason_is_there),
		cmocka_unit_test(every_command_is_there),
		cmocka_unit_test(every_field_is_there),
	};

	return cmocka_run_group_tests_name("manual", tests, read_manual, NULL);
}
