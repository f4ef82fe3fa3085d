// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "uplink.h"

static void the_kernel_takes_the_program(void **state)
{
	struct uplink_bpf *u = NULL;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(uplink_bpf_load(&u), 0);
	uplink_bpf_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_takes_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
