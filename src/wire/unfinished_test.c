// SPDX-License-Identifier: Apache-2.0
#include "unfinished.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"

static const struct sample_spec specs[] = {
	{ .name = "TCP/IPv4", .gso_size = 1000, .payload = 500 },
	{ .name = "TCP/IPv4, options",
	  .ip_extra = 12,
	  .tcp_options = 12,
	  .gso_size = 1,
	  .payload = 1 },
	{ .name = "TCP/IPv6", .is_ipv6 = true, .gso_size = 1000, .payload = 333 },
	{ .name = "UDP/IPv4", .is_udp = true, .gso_size = 1000, .payload = 99 },
	{ .name = "UDP/IPv6", .is_udp = true, .is_ipv6 = true, .gso_size = 1000, .payload = 100 },
	{ .name = "tag", .tpid = 0x8100, .gso_size = 1000, .payload = 500 },
	{ .name = "two tags", .tpid = 0x88a8, .inner_tpid = 0x8100, .gso_size = 9, .payload = 9 },
};

/* Found where it is, padded or not, and not if it is complete or cut off. */
static void it_is_found(void **state)
{
	static struct sample s;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct vnet_hdr h = { 0 };
		uint8_t *field;

		sample_make(&s, &specs[i], (uint32_t)i);
		field = s.octets + s.l4 + s.vnet.csum_offset;
		if (!unfinished_csum(s.octets, s.size, &h))
			fail_msg("%s: not found", specs[i].name);
		assert_int_equal(h.flags, VNET_F_NEEDS_CSUM);
		assert_int_equal(h.csum_start, s.l4);
		assert_int_equal(h.csum_offset, s.vnet.csum_offset);
		assert_int_equal(h.gso_type, 0);
		memset(s.octets + s.size, 0, 9);
		assert_true(unfinished_csum(s.octets, s.size + 9, &h));
		s.octets[s.size + 8] = 1; /* it would be summed */
		assert_false(unfinished_csum(s.octets, s.size + 9, &h));
		for (uint32_t size = 0; size < s.size; size++) {
			uint8_t *exact = malloc(size + 1u);

			assert_non_null(exact);
			memcpy(exact, s.octets, size);
			assert_false(unfinished_csum(exact, size, &h));
			free(exact);
		}
		field[1] ^= 1;
		assert_false(unfinished_csum(s.octets, s.size, &h));
	}
}

static void others_are_left_alone(void **state)
{
	static struct sample s;
	struct vnet_hdr h = { .flags = 7 };
	uint8_t *ip;

	(void)state;
	sample_make(&s, &specs[3], 1);
	memset(s.octets + s.l4 + 6, 0, 2); /* UDP without a checksum */
	assert_false(unfinished_csum(s.octets, s.size, &h));
	sample_make(&s, &specs[3], 1);
	ip = s.octets + s.l3;
	assert_true(unfinished_csum(s.octets, s.size, &h));
	ip[6] = 0x20; /* a fragment */
	assert_false(unfinished_csum(s.octets, s.size, &h));
	ip[6] = 0;
	ip[0] = 0x44; /* header of 16 octets */
	assert_false(unfinished_csum(s.octets, s.size, &h));
	ip[0] = 0x45;
	ip[9] = 132;
	assert_false(unfinished_csum(s.octets, s.size, &h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_found),
		cmocka_unit_test(others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
