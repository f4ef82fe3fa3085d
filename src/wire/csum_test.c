// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "csum.h"
#include "sample.h"
#include "types.h"

static uint16_t naive(const uint8_t *p, size_t size)
{
	return (uint16_t)~sample_sum(p, (uint32_t)size, 0);
}

static void fill(uint8_t *p, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)sample_random(&seed);
}

/* The worked example of RFC 1071, 3: the sum is ddf2. */
static void test_rfc1071(void **state)
{
	static const uint8_t p[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	assert_int_equal(csum_finish(csum_add(p, sizeof(p), 0)), 0xffff - 0xddf2);
}

static void test_every_size_and_alignment(void **state)
{
	for (size_t size = 0; size <= 1200; size++) {
		/* Exactly as long as needed, so that a sanitizer sees any octet read too many. */
		for (size_t at = 0; at < 9; at++) {
			uint8_t *p = malloc(size + at + 1);

			assert_non_null(p);
			fill(p, size + at + 1, (uint32_t)(size * 16 + at));
			assert_int_equal(csum_finish(csum_add(p + at, size, 0)),
					 naive(p + at, size));
			free(p);
		}
	}
}

static void test_extremes(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x80, 0xff };
	uint8_t *p = malloc(65536 + 64);

	assert_non_null(p);
	for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
		for (size_t size = 65536 - 40; size <= 65536 + 40; size++) {
			memset(p, values[v], size);
			assert_int_equal(csum_finish(csum_add(p, size, 0)), naive(p, size));
		}
	}
	free(p);
}

/* Long enough for every lane to lose carries, and any end. */
static void test_long(void **state)
{
	uint8_t *p = malloc(65536 + 200);

	assert_non_null(p);
	for (uint32_t seed = 0; seed < 200; seed++) {
		size_t size = 65536 + seed;

		fill(p, size, seed);
		if (seed % 2) /* upper halves that are as large as can be */
			for (size_t i = 4; i + 4 <= size; i += 8)
				memset(p + i, 0xff, 4);
		assert_int_equal(csum_finish(csum_add(p, size, 0)), naive(p, size));
	}
	free(p);
}

/* A zero sum means that all is zero; other octets that add up to nothing give ffff. */
static void test_two_zeros(void **state)
{
	static const uint8_t zero[40], ones[40] = { 0xff, 0xff };

	assert_int_equal(csum_finish(csum_add(zero, sizeof(zero), 0)), 0xffff);
	assert_int_equal(csum_finish(csum_add(ones, sizeof(ones), 0)), 0);
}

static void test_finish_folds_all(void **state)
{
	assert_int_equal(csum_finish(0), 0xffff);
	assert_int_equal(csum_finish(0x1fffe), 0x0000);
	assert_int_equal(csum_finish(UINT64_C(0x0001000200030004)), 0xffff - 10);
	assert_int_equal(csum_finish(UINT64_MAX), 0);
	assert_int_equal(csum_finish(UINT64_C(0xffffffff00000001)), 0xffff - 1);
}

static void test_sums_add_up(void **state)
{
	uint8_t p[200];

	fill(p, sizeof(p), 1);
	for (size_t cut = 0; cut <= sizeof(p); cut += 2)
		assert_int_equal(
			csum_finish(csum_add(p + cut, sizeof(p) - cut, csum_add(p, cut, 0))),
			naive(p, sizeof(p)));
}

/* Every pair of cuts, odd and even, of a list of three segments with empty ones between. */
static void test_iov_split_anywhere(void **state)
{
	enum { SIZE = 90 };
	uint8_t p[SIZE];

	fill(p, SIZE, 2);
	for (size_t a = 0; a <= SIZE; a++) {
		for (size_t b = a; b <= SIZE; b++) {
			struct iovec iov[] = {
				{ p, a }, { p, 0 }, { p + a, b - a }, { p, 0 }, { p + b, SIZE - b },
			};

			assert_int_equal(csum_finish(csum_add_iov(iov, 5, 0, SIZE, 0)),
					 naive(p, SIZE));
		}
	}
}

static void test_iov_every_range(void **state)
{
	enum { SIZE = 60 };
	uint8_t p[SIZE];
	struct iovec iov[] = {
		{ p, 7 }, { p + 7, 1 }, { p + 8, 0 }, { p + 8, 21 }, { p + 29, 31 }
	};

	fill(p, SIZE, 3);
	for (size_t from = 0; from <= SIZE; from++)
		for (size_t size = 0; from + size <= SIZE; size++)
			assert_int_equal(csum_finish(csum_add_iov(iov, 5, from, size, 0)),
					 naive(p + from, size));
}

static void test_iov_beyond_the_list(void **state)
{
	uint8_t p[10];
	struct iovec iov[] = { { p, 3 }, { p + 3, 7 } };

	fill(p, sizeof(p), 4);
	assert_int_equal(csum_finish(csum_add_iov(iov, 2, 4, 1000, 0)), naive(p + 4, 6));
	assert_int_equal(csum_finish(csum_add_iov(iov, 2, 10, 1, 0)), 0xffff);
	assert_int_equal(csum_finish(csum_add_iov(iov, 2, SIZE_MAX, SIZE_MAX, 0)), 0xffff);
	assert_int_equal(csum_finish(csum_add_iov(iov, 0, 0, 10, 0x1234)), 0xffff - 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071),
		cmocka_unit_test(test_every_size_and_alignment),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_two_zeros),
		cmocka_unit_test(test_finish_folds_all),
		cmocka_unit_test(test_sums_add_up),
		cmocka_unit_test(test_iov_split_anywhere),
		cmocka_unit_test(test_iov_every_range),
		cmocka_unit_test(test_iov_beyond_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
