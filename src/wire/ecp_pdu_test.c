// SPDX-License-Identifier: Apache-2.0
/* ECPDUs of both generations and their envelopes: golden octets both ways, and what is rejected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ecp_pdu.h"
#include "hex_fixture.h"
#include "types.h"

static void golden_octets_both_ways(void **state)
{
	static const struct {
		const char *octets;
		enum evb_generation generation;
		struct ecp_pdu pdu;
	} row[] = {
		{ "10 01 00 01 aabb", EVB_RATIFIED, { ECP_REQUEST, 1, { NULL, 2, false } } },
		{ "14 01 ff ff", EVB_RATIFIED, { ECP_ACK, 0xffff, { NULL, 0, false } } },
		{ "001b3f 00 0000 00 0001 fe", EVB_DRAFT, { ECP_REQUEST, 1, { NULL, 1, false } } },
		{ "001b3f 00 0000 01 1234", EVB_DRAFT, { ECP_ACK, 0x1234, { NULL, 0, false } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex want = hex_of(row[i].octets);
		uint8_t octets[16];
		struct writer w = writer_of(octets, want.size);
		struct ecp_pdu back;

		assert_int_equal(ecp_pdu_decode(row[i].generation, hex_cursor(&want), &back), 0);
		assert_int_equal(back.operation, row[i].pdu.operation);
		assert_int_equal(back.sequence, row[i].pdu.sequence);
		assert_int_equal(back.payload.left, row[i].pdu.payload.left);
		ecp_pdu_encode(&w, row[i].generation, &back);
		assert_false(w.full);
		assert_memory_equal(octets, want.octets, want.size);
		w = writer_of(octets, want.size - 1);
		ecp_pdu_encode(&w, row[i].generation, &back);
		assert_true(w.full);
	}
}

static void what_is_rejected(void **state)
{
	static const struct {
		const char *octets;
		enum evb_generation generation;
		enum malformed want;
	} row[] = {
		{ "", EVB_RATIFIED, MALFORMED_truncated },
		{ "10", EVB_RATIFIED, MALFORMED_truncated },
		{ "1001 00", EVB_RATIFIED, MALFORMED_truncated },
		{ "0001 0001", EVB_RATIFIED, MALFORMED_version },
		{ "2001 0001", EVB_RATIFIED, MALFORMED_version },
		{ "1002 0001", EVB_RATIFIED, MALFORMED_subtype },
		{ "1101 0001", EVB_RATIFIED, MALFORMED_subtype },
		{ "1801 0001", EVB_RATIFIED, MALFORMED_operation },
		{ "1c01 0001", EVB_RATIFIED, MALFORMED_operation },
		{ "001b3f 00 0000", EVB_DRAFT, MALFORMED_truncated },
		{ "001b3f 00 0000 00 00", EVB_DRAFT, MALFORMED_truncated },
		{ "0080c2 00 0000 00 0001", EVB_DRAFT, MALFORMED_foreign },
		{ "001b3f 01 0000 00 0001", EVB_DRAFT, MALFORMED_foreign },
		{ "001b3f 00 0001 00 0001", EVB_DRAFT, MALFORMED_subtype },
		{ "001b3f 00 0000 02 0001", EVB_DRAFT, MALFORMED_operation },
	};
	struct ecp_pdu pdu;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex h = hex_of(row[i].octets);
		enum malformed got = ecp_pdu_decode(row[i].generation, hex_cursor(&h), &pdu);

		if (got != row[i].want)
			fail_msg("%s: %s", row[i].octets, malformed_name(got));
	}
}

static void envelopes(void **state)
{
	struct hex h = hex_of("0180c2000000 92f96989865a 8940 1001 0001");
	struct cursor c = hex_cursor(&h);
	struct envelope e = envelope_read(&c);
	enum evb_generation g;
	uint8_t octets[14];
	struct writer w = writer_of(octets, sizeof(octets));

	assert_true(mac_equal(e.dst, ecp_group(EVB_RATIFIED)));
	assert_true(ecp_generation(e.ethertype, &g));
	assert_int_equal(g, EVB_RATIFIED);
	assert_int_equal(c.left, 4);
	envelope_write(&w, e);
	assert_memory_equal(octets, h.octets, 14);
	assert_true(ecp_generation(0x88b7, &g) && g == EVB_DRAFT);
	assert_false(ecp_generation(0x88cc, &g));
	assert_int_equal(ecp_ethertype(EVB_DRAFT), 0x88b7);
	assert_int_equal(ecp_group(EVB_DRAFT).b[5], 0x0e);
	c = cursor_of(h.octets, 13);
	envelope_read(&c);
	assert_true(c.failed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_octets_both_ways),
		cmocka_unit_test(what_is_rejected),
		cmocka_unit_test(envelopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
