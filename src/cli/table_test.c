// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const headers[] = { "NAME", "STATE", "UPLINK", "N", NULL };

static char *printed(const struct table *t)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_print(t, out);
	fclose(out);
	return text;
}

static void without_rows_nothing_is_printed(void **state)
{
	struct table *t = table_new(headers);
	char *text = printed(t);

	assert_string_equal(text, "");
	free(text);
	table_free(t);
	table_free(NULL);
}

static void columns_fit_and_empty_ones_are_left_out(void **state)
{
	struct table *t = table_new(headers);
	char *text;

	table_cell(t, "br0");
	table_cell(t, "UP");
	table_cell(t, "%s", "");
	table_cell(t, "%d", 12345);
	table_cell(t, "a-long-name");
	table_cell(t, "%s", "");
	table_note(t, "reason %d", 1);
	table_cell(t, "%s", "");
	table_cell(t, "7");
	table_note(t, "second");
	text = printed(t);
	assert_string_equal(text, "NAME         STATE  N\n"
				  "br0          UP     12345\n"
				  "a-long-name  -      7\n"
				  "    reason 1\n"
				  "    second\n");
	free(text);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rows_nothing_is_printed),
		cmocka_unit_test(columns_fit_and_empty_ones_are_left_out),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
