// SPDX-License-Identifier: Apache-2.0
#include "value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void mac_reads_both_separators(void **state)
{
	static const char *const wrong[] = { "",
					     "52:54:00:00:00",
					     "52:54:00:00:00:1",
					     "52:54:00:00:00:0g",
					     "52:54:00-00:00:01",
					     "52.54.00.00.00.01",
					     "52:54:00:00:00:01:",
					     " 2:54:00:00:00:01",
					     "525400:00:00:00:01" };
	struct mac m = { { 9, 9, 9, 9, 9, 9 } };
	char text[VALUE_MAC_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(value_mac(wrong[i], &m));
	assert_int_equal(m.b[0], 9);
	assert_true(value_mac("52:54:00:aB:Cd:eF", &m));
	assert_string_equal(value_mac_format(m, text), "52:54:00:ab:cd:ef");
	assert_true(value_mac("02-00-00-00-00-FF", &m));
	assert_string_equal(value_mac_format(m, text), "02:00:00:00:00:ff");
}

static void int_keeps_its_range(void **state)
{
	static const struct {
		const char *word;
		int64_t min, max, value;
		bool ok;
	} rows[] = {
		{ "0", 0, 9, 0, true },
		{ "9", 0, 9, 9, true },
		{ "10", 0, 9, 0, false },
		{ "1", 2, 9, 0, false },
		{ "0x1f", 0, 99, 31, true },
		{ "0X1F", 0, 99, 31, true },
		{ "007", 0, 9, 7, true },
		{ "", 0, 9, 0, false },
		{ "0x", 0, 9, 0, false },
		{ "-1", -9, 9, 0, false },
		{ "+1", 0, 9, 0, false },
		{ " 1", 0, 9, 0, false },
		{ "1 ", 0, 9, 0, false },
		{ "1a", 0, 99, 0, false },
		{ "9223372036854775807", 0, INT64_MAX, INT64_MAX, true },
		{ "9223372036854775808", 0, INT64_MAX, 0, false },
		{ "0x7fffffffffffffff", 0, INT64_MAX, INT64_MAX, true },
		{ "0x8000000000000000", 0, INT64_MAX, 0, false },
		{ "99999999999999999999999", 0, INT64_MAX, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t v = -7;

		assert_int_equal(value_int(rows[i].word, rows[i].min, rows[i].max, &v), rows[i].ok);
		assert_int_equal(v, rows[i].ok ? rows[i].value : -7);
	}
}

static void vid_excludes_0_and_4095(void **state)
{
	vid_t v = 7;

	assert_false(value_vid("0", &v));
	assert_false(value_vid("4095", &v));
	assert_int_equal(v, 7);
	assert_true(value_vid("4094", &v));
	assert_int_equal(v, 4094);
}

static void vlans_reads_and_writes_sets(void **state)
{
	static const struct {
		const char *word, *canonical;
	} rows[] = {
		{ "1", "1" },
		{ "4094", "4094" },
		{ "all", "all" },
		{ "1-4094", "all" },
		{ "1-4093", "1-4093" },
		{ "2-4094", "2-4094" },
		{ "30,1,10-12", "1,10-12,30" },
		{ "1,2,3", "1-3" },
		{ "1,1,1-2", "1-2" },
		{ "63,64,65,128", "63-65,128" },
		{ "", NULL },
		{ "0", NULL },
		{ "4095", NULL },
		{ "5-3", NULL },
		{ "1,", NULL },
		{ ",1", NULL },
		{ "1--2", NULL },
		{ "1-", NULL },
		{ "-3", NULL },
		{ "1 2", NULL },
		{ "all,1", NULL },
		{ "10000", NULL },
		{ "65537", NULL },
	};
	static char text[VALUE_VLANS_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vlan_set s;

		assert_int_equal(value_vlans(rows[i].word, &s), rows[i].canonical != NULL);
		if (rows[i].canonical != NULL)
			assert_string_equal(value_vlans_format(&s, text), rows[i].canonical);
	}
}

static void vlans_largest_set_fits(void **state)
{
	static char text[VALUE_VLANS_SIZE];
	struct vlan_set s = { 0 }, back;

	/* Every second VID is the longest to write: no range saves anything. */
	for (vid_t v = 2; v <= VID_MAX; v += 2)
		vlan_set_add(&s, v);
	assert_true(value_vlans(value_vlans_format(&s, text), &back));
	assert_memory_equal(&s, &back, sizeof(s));
}

static void switch_is_on_or_off(void **state)
{
	bool v = false;

	assert_true(value_switch("on", &v));
	assert_true(v);
	assert_false(value_switch("yes", &v));
	assert_false(value_switch("On", &v));
	assert_false(value_switch("", &v));
	assert_true(v);
	assert_true(value_switch("off", &v));
	assert_false(v);
}

static void units_are_those_of_tc(void **state)
{
	static const struct {
		const char *word;
		int64_t rate, size; /* -1: refused */
	} rows[] = {
		{ "0", 0, 0 },
		{ "1500", 1500, 1500 },
		{ "8bit", 8, -1 },
		{ "1kbit", 1000, -1 },
		{ "100mbit", 100000000, -1 },
		{ "100Mbit", 100000000, -1 },
		{ "2.5gbit", INT64_C(2500000000), -1 },
		{ "400gbit", INT64_C(400000000000), -1 },
		{ "1tbit", INT64_C(1000000000000), -1 },
		{ "0.001kbit", 1, -1 },
		{ "0.0001kbit", -1, -1 }, /* a tenth of a bit */
		{ "1.5", -1, -1 },
		{ "15140b", -1, 15140 },
		{ "64k", -1, 65536 },
		{ "64KB", -1, 65536 },
		{ "1.5k", -1, 1536 },
		{ "1m", -1, 1 << 20 },
		{ "2mb", -1, 2 << 20 },
		{ "1g", -1, 1 << 30 },
		{ "", -1, -1 },
		{ "mbit", -1, -1 },
		{ "k", -1, -1 },
		{ ".5mbit", -1, -1 },
		{ "1.mbit", -1, -1 },
		{ "1..5mbit", -1, -1 },
		{ "1.5.5mbit", -1, -1 },
		{ "-1mbit", -1, -1 },
		{ "1 mbit", -1, -1 },
		{ "1mbit ", -1, -1 },
		{ "1mbps", -1, -1 },
		{ "1mibit", -1, -1 },
		{ "0x10", -1, -1 },
		{ "9223372036854775807", INT64_MAX, INT64_MAX },
		{ "9223372036854775808", -1, -1 },
		{ "9223373tbit", -1, -1 },
		{ "9223372036854775807g", -1, -1 },
		{ "1.00000000000000000000000mbit", -1, -1 },
	};
	static const struct {
		int64_t v;
		const char *rate, *size;
	} words[] = {
		{ 0, "0bit", "0" },
		{ 1, "1bit", "1" },
		{ 1000, "1kbit", "1000" },
		{ 1024, "1024bit", "1k" },
		{ 2500000, "2500kbit", "2500000" },
		{ INT64_C(1000000000000), "1tbit", "976562500k" },
		{ 65536, "65536bit", "64k" },
		{ INT64_MAX, "9223372036854775807bit", "9223372036854775807" },
	};
	char text[VALUE_UNITS_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t rate = -1, size = -1;

		assert_int_equal(value_rate(rows[i].word, &rate), rows[i].rate >= 0);
		assert_int_equal(rate, rows[i].rate);
		assert_int_equal(value_size(rows[i].word, &size), rows[i].size >= 0);
		assert_int_equal(size, rows[i].size);
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int64_t v = -1;

		assert_string_equal(value_rate_format(words[i].v, text), words[i].rate);
		assert_true(value_rate(text, &v) && v == words[i].v);
		assert_string_equal(value_size_format(words[i].v, text), words[i].size);
		assert_true(value_size(text, &v) && v == words[i].v);
	}
}

static void perm_is_octal(void **state)
{
	static const char *const wrong[] = { "",      "66",   "0888", "1777",
					     "00660", "0x66", "-660", "660 " };
	unsigned perm = 1;

	assert_true(value_perm("0660", &perm) && perm == 0660);
	assert_true(value_perm("777", &perm) && perm == 0777);
	assert_true(value_perm("000", &perm) && perm == 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(value_perm(wrong[i], &perm));
}

static void names_keep_their_alphabet(void **state)
{
	static const char *const right[] = { "a",	"0",
					     "vm1",	"eth0.100",
					     "a-b_c.d", "1234567890123456789012345678901" };
	static const char *const wrong[] = { "",    "-a",  ".a",
					     "_a",  "a b", "a/b",
					     "a:b", "ä",   "12345678901234567890123456789012" };

	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(value_name(right[i]));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(value_name(wrong[i]));
}

static void devices_are_what_the_kernel_takes(void **state)
{
	static const char *const right[] = { "eth0", "a", "...", "-x", "123456789012345", "ä" };
	static const char *const wrong[] = { "",    ".",    "..",    "a/b",   "a b",
					     "a:b", "a\tb", "a\x1b", "a\x7f", "1234567890123456" };

	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(value_device(right[i]));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(value_device(wrong[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mac_reads_both_separators),
		cmocka_unit_test(int_keeps_its_range),
		cmocka_unit_test(vid_excludes_0_and_4095),
		cmocka_unit_test(vlans_reads_and_writes_sets),
		cmocka_unit_test(vlans_largest_set_fits),
		cmocka_unit_test(switch_is_on_or_off),
		cmocka_unit_test(units_are_those_of_tc),
		cmocka_unit_test(perm_is_octal),
		cmocka_unit_test(names_keep_their_alphabet),
		cmocka_unit_test(devices_are_what_the_kernel_takes),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
