// SPDX-License-Identifier: Apache-2.0
/* LLDPDUs: golden octets both ways, what is rejected and why, and encoders without room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hex_fixture.h"
#include "lldp_pdu.h"
#include "types.h"

#define HEAD "02 07 04 525400000001 | 04 07 03 525400000002 | 06 02 0078 |"

static struct cursor text(const char *s)
{
	return cursor_of(s, strlen(s));
}

static struct lldp_pdu sample(void)
{
	return (struct lldp_pdu){
		.chassis = lldp_id_of(LLDP_CHASSIS_MAC, "\x52\x54\0\0\0\1", 6),
		.port = lldp_id_of(LLDP_PORT_MAC, "\x52\x54\0\0\0\2", 6),
		.ttl = 120,
		.port_description = text("p"),
		.system_name = text("host"),
		.system_description = text("evb"),
		.capabilities = 0x0084,
		.enabled = 0x0004,
		.address = { .subtype = 1,
			     .size = 4,
			     .octets = { 10, 0, 0, 1 },
			     .port_subtype = 2,
			     .port_number = 7 },
	};
}

static void golden_octets_both_ways(void **state)
{
	struct hex want = hex_of(HEAD "08 01 70 | 0a 04 686f7374 | 0c 03 657662 | 0e 04 0084 0004 |"
				      "10 0c 05 01 0a000001 02 00000007 00 |"
				      "fe 09 0080c2 0d 00076e9414 | 0000");
	struct hex more = hex_of("fe 09 0080c2 0d 00076e9414");
	struct lldp_pdu pdu = sample(), back;
	uint8_t octets[200];
	struct writer w = writer_of(octets, sizeof(octets));
	struct tlv tlv;
	unsigned n = 0;

	lldp_pdu_encode(&w, &pdu, hex_cursor(&more));
	assert_false(w.full);
	assert_int_equal(w.size, want.size);
	assert_memory_equal(octets, want.octets, want.size);

	write_padding(&w, 120);
	assert_int_equal(lldp_pdu_decode(cursor_of(octets, w.size), &back), MALFORMED_none);
	assert_true(lldp_id_equal(&back.chassis, &pdu.chassis));
	assert_true(lldp_id_equal(&back.port, &pdu.port));
	assert_false(lldp_id_equal(&back.port, &pdu.chassis));
	assert_int_equal(back.ttl, 120);
	assert_int_equal(back.system_name.left, 4);
	assert_memory_equal(back.system_name.at, "host", 4);
	assert_memory_equal(back.port_description.at, "p", 1);
	assert_memory_equal(back.system_description.at, "evb", 3);
	assert_int_equal(back.capabilities << 16 | back.enabled, 0x00840004);
	assert_memory_equal(&back.address, &pdu.address, sizeof(pdu.address));
	while (tlv_read(&back.optional, &tlv))
		n++;
	assert_int_equal(n, 6);
	assert_false(back.optional.failed);
	assert_memory_equal(tlv.value.at, more.octets + 2, 9);
}

/* Mandatory TLVs only, TTL 0, End: what the reference saw on the wire. */
static void shutdown_says_nothing_else(void **state)
{
	struct hex want = hex_of("0207 04 525400000001 0407 03 525400000002 0602 0000 0000");
	struct hex more = hex_of("fe 09 0080c2 0d 00076e9414");
	struct lldp_pdu pdu = sample(), back;
	uint8_t octets[60];
	struct writer w = writer_of(octets, sizeof(octets));

	pdu.ttl = 0;
	lldp_pdu_encode(&w, &pdu, hex_cursor(&more));
	assert_int_equal(w.size, want.size);
	assert_memory_equal(octets, want.octets, want.size);
	assert_int_equal(lldp_pdu_decode(cursor_of(octets, w.size), &back), MALFORMED_none);
	assert_int_equal(back.ttl, 0);
}

static void what_is_rejected_and_what_is_not(void **state)
{
	static const struct {
		const char *name, *octets;
		enum malformed want;
	} row[] = {
		{ "least", HEAD "0000", MALFORMED_none },
		{ "without End", HEAD, MALFORMED_none },
		{ "nothing", "", MALFORMED_tlv_order },
		{ "half a header", "02", MALFORMED_tlv_overrun },
		{ "End first", "0000" HEAD, MALFORMED_tlv_order },
		{ "port first", "0407 03 525400000002 0207 04 525400000001 0602 0078 0000",
		  MALFORMED_tlv_order },
		{ "no TTL", "0207 04 525400000001 0407 03 525400000002 0000", MALFORMED_tlv_order },
		{ "chassis without ID", "0201 04 0407 03 525400000002 0602 0078 0000",
		  MALFORMED_tlv_size },
		{ "empty chassis", "0200 0407 03 525400000002 0602 0078 0000", MALFORMED_tlv_size },
		{ "TTL of 3", "0207 04 525400000001 0407 03 525400000002 0603 007800 0000",
		  MALFORMED_tlv_size },
		{ "chassis twice", HEAD "0207 04 525400000001 0000", MALFORMED_tlv_order },
		{ "TTL twice", HEAD "0602 0078 0000", MALFORMED_tlv_order },
		{ "End with a value", HEAD "0001 00", MALFORMED_tlv_size },
		{ "overrun", HEAD "0a05 686f7374", MALFORMED_tlv_overrun },
		{ "overrun in the chassis", "02ff 04 525400000001", MALFORMED_tlv_overrun },
		{ "overrun after shutdown",
		  "0207 04 525400000001 0407 03 525400000002 0602 0000 0a05 68", MALFORMED_none },
		{ "garbage after End", HEAD "0000 ffff", MALFORMED_none },
		{ "empty text", HEAD "0a00 0000", MALFORMED_none },
		{ "unknown type", HEAD "1401 00 0000", MALFORMED_none },
		{ "short capabilities", HEAD "0e03 008400 0000", MALFORMED_none },
		{ "address beyond its TLV", HEAD "1009 05 01 0a000001 020000 0000",
		  MALFORMED_none },
		{ "address of nothing", HEAD "1001 01 0000", MALFORMED_none },
		{ "OID beyond its TLV", HEAD "100c 05 01 0a000001 02 00000007 01 0000",
		  MALFORMED_none },
		{ "organization of 3 octets", HEAD "fe03 0080c2 0000", MALFORMED_none },
	};
	struct lldp_pdu pdu;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex h = hex_of(row[i].octets);
		enum malformed got = lldp_pdu_decode(hex_cursor(&h), &pdu);

		if (got != row[i].want)
			fail_msg("%s: %s", row[i].name, malformed_name(got));
		assert_int_equal(pdu.address.size, 0);
		assert_int_equal(pdu.capabilities, 0);
	}
}

static void of_two_addresses_and_texts_the_first_counts(void **state)
{
	struct hex h = hex_of(HEAD "100c 05 01 0a000001 02 00000007 00 | 0a01 61 |"
				   "100c 05 01 0a000002 02 00000008 00 | 0a01 62 0000");
	struct lldp_pdu pdu;

	assert_int_equal(lldp_pdu_decode(hex_cursor(&h), &pdu), MALFORMED_none);
	assert_int_equal(pdu.address.octets[3], 1);
	assert_int_equal(pdu.address.port_number, 7);
	assert_int_equal(pdu.system_name.at[0], 'a');
}

/* Every prefix of a PDU: never taken for more than it is. */
static void every_cut_is_noticed_or_harmless(void **state)
{
	struct hex h = hex_of(HEAD "0a04 686f7374 fe09 0080c2 0d 0007 6e9414 0000");
	struct lldp_pdu pdu;

	for (size_t n = 0; n < h.size; n++) {
		enum malformed got = lldp_pdu_decode(cursor_of(h.octets, n), &pdu);
		bool at_tlv = n == 22 || n == 28 || n == 39;

		assert_int_equal(got == MALFORMED_none, at_tlv);
	}
}

static void no_room_is_said(void **state)
{
	struct lldp_pdu pdu = sample();
	uint8_t octets[200];
	static const char longest[256];

	for (size_t room = 0; room < 100; room++) {
		struct writer w = writer_of(octets, room);

		memset(octets, 0x77, sizeof(octets));
		lldp_pdu_encode(&w, &pdu, cursor_of(NULL, 0));
		assert_int_equal(w.full, room < 58);
		assert_true(w.size <= room);
		assert_int_equal(octets[room], 0x77);
	}
	pdu.system_name = cursor_of(longest, 256);
	struct writer w = writer_of(octets, sizeof(octets));

	lldp_pdu_encode(&w, &pdu, cursor_of(NULL, 0));
	assert_true(w.full);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_octets_both_ways),
		cmocka_unit_test(shutdown_says_nothing_else),
		cmocka_unit_test(what_is_rejected_and_what_is_not),
		cmocka_unit_test(of_two_addresses_and_texts_the_first_counts),
		cmocka_unit_test(every_cut_is_noticed_or_harmless),
		cmocka_unit_test(no_room_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
