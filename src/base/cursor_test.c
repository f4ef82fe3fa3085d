// SPDX-License-Identifier: Apache-2.0
/* Reading and writing octets: network order, the last octet, one too many, and that it stays so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cursor.h"
#include "writer.h"

static const uint8_t ten[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x55, 0xaa };

static void numbers_are_in_network_order(void **state)
{
	struct cursor c = cursor_of(ten, sizeof(ten));

	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_u16(&c), 0x2345);
	assert_int_equal(cursor_u24(&c), 0x6789ab);
	assert_int_equal(cursor_u32(&c), 0xcdef55aa);
	assert_int_equal(c.left, 0);
	assert_false(c.failed);
}

static void reading_beyond_the_end_stays_failed(void **state)
{
	struct cursor c = cursor_of(ten, 3), sub;
	uint8_t octets[2] = { 9, 9 };

	assert_int_equal(cursor_u32(&c), 0);
	assert_true(c.failed);
	assert_int_equal(cursor_u8(&c), 0); /* though there were three */
	cursor_copy(&c, octets, sizeof(octets));
	assert_int_equal(octets[0] | octets[1], 0);
	sub = cursor_part(&c, 1);
	assert_true(sub.failed && c.failed);

	c = cursor_of(NULL, 0);
	assert_int_equal(cursor_part(&c, 0).left, 0);
	assert_false(c.failed);
}

static void a_part_ends_where_it_ends(void **state)
{
	struct cursor c = cursor_of(ten, sizeof(ten)), sub = cursor_part(&c, 2);

	assert_int_equal(cursor_u16(&sub), 0x0123);
	assert_int_equal(cursor_u8(&sub), 0);
	assert_true(sub.failed);
	assert_false(c.failed);
	assert_int_equal(cursor_u8(&c), 0x45);
	assert_int_equal(cursor_part(&c, 8).failed, true); /* 7 are left */
	assert_true(c.failed);
}

static void what_is_written_is_read(void **state)
{
	uint8_t octets[12] = { 0 };
	struct writer w = writer_of(octets, 10);

	write_u8(&w, 0x01);
	write_u16(&w, 0x2345);
	write_u24(&w, 0x6789ab);
	write_u32(&w, 0xcdef55aa);
	assert_false(w.full);
	assert_memory_equal(octets, ten, 10);
	write_octets(&w, ten, 0);
	assert_false(w.full);
}

static void writing_beyond_the_room_writes_nothing(void **state)
{
	uint8_t octets[4] = { 0, 0, 0, 0x77 };
	struct writer w = writer_of(octets, 3);

	write_u16(&w, 0x1122);
	write_u16(&w, 0x3344);
	assert_true(w.full);
	write_u8(&w, 0x55); /* would fit, but not behind what is missing */
	assert_int_equal(w.size, 2);
	assert_int_equal(octets[2], 0);
	writer_rewind(&w, 1);
	write_padding(&w, 3);
	assert_false(w.full);
	assert_memory_equal(octets, "\x11\0\0\x77", 4);
	write_padding(&w, 4);
	assert_true(w.full);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_in_network_order),
		cmocka_unit_test(reading_beyond_the_end_stays_failed),
		cmocka_unit_test(a_part_ends_where_it_ends),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(writing_beyond_the_room_writes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
