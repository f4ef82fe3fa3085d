// SPDX-License-Identifier: Apache-2.0
/* EVB TLVs of both generations, and CDCP TLVs: golden octets both ways, reserved bits, lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cdcp_tlv.h"
#include "evb_tlv.h"
#include "hex_fixture.h"
#include "types.h"

#define BRIDGE EVB_MODE_BRIDGE
#define STATION EVB_MODE_STATION

/* The value behind OUI and subtype. */
static struct cursor value_of(const struct hex *h, uint32_t oui, uint8_t subtype)
{
	struct cursor c = hex_cursor(h), value;
	struct tlv tlv = { 0 };

	assert_true(tlv_read(&c, &tlv));
	assert_true(tlv_is_of(tlv, oui, subtype, &value));
	return value;
}

static void assert_octets(const struct writer *w, const struct hex *want)
{
	assert_false(w->full);
	assert_int_equal(w->size, want->size);
	assert_memory_equal(w->octets, want->octets, want->size);
}

/* The dialogue that lldpad and its peer have, and a GroupID bridge. */
static void ratified_golden_octets_both_ways(void **state)
{
	static const struct {
		const char *octets;
		struct evb_tlv evb;
	} row[] = {
		{ "FE 09 00 80 C2 0D 00 07 6E 94 14",
		  { 0, 7, 3, 14, STATION, { 20, false }, { 20, false } } },
		{ "FE 09 00 80 C2 0D 02 00 6E 54 14",
		  { 2, 0, 3, 14, BRIDGE, { 20, false }, { 20, false } } },
		{ "FE 09 00 80 C2 0D 02 04 6E B4 34",
		  { 2, 4, 3, 14, STATION, { 20, true }, { 20, true } } },
		{ "FE 09 00 80 C2 0D 03 04 6E 74 34",
		  { 3, 4, 3, 14, BRIDGE, { 20, true }, { 20, true } } },
		{ "FE 09 00 80 C2 0D 03 05 6E B4 34",
		  { 3, 5, 3, 14, STATION, { 20, true }, { 20, true } } },
		{ "FE 09 00 80 C2 0D 07 0F FF 7F 1F",
		  { 7, 15, 7, 31, BRIDGE, { 31, true }, { 31, false } } },
		{ "FE 09 00 80 C2 0D 00 00 00 C0 00",
		  { 0, 0, 0, 0, EVB_MODE_NVO3, { 0, false }, { 0, false } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex want = hex_of(row[i].octets);
		uint8_t octets[11];
		struct writer w = writer_of(octets, sizeof(octets));
		struct evb_tlv back;

		evb_tlv_encode(&w, &row[i].evb);
		assert_octets(&w, &want);
		assert_int_equal(evb_tlv_decode(value_of(&want, OUI_8021, EVB_TLV_SUBTYPE), &back),
				 MALFORMED_none);
		assert_int_equal(back.bridge, row[i].evb.bridge);
		assert_int_equal(back.station, row[i].evb.station);
		assert_int_equal(back.retries, row[i].evb.retries);
		assert_int_equal(back.rte, row[i].evb.rte);
		assert_int_equal(back.mode, row[i].evb.mode);
		assert_int_equal(back.rwd.value, row[i].evb.rwd.value);
		assert_int_equal(back.rwd.remote, row[i].evb.rwd.remote);
		assert_int_equal(back.rka.value, row[i].evb.rka.value);
		assert_int_equal(back.rka.remote, row[i].evb.rka.remote);
	}
}

static void reserved_bits_are_ignored(void **state)
{
	struct hex h = hex_of("FE 09 00 80 C2 0D F8 F2 00 00 C0");
	struct evb_tlv evb;

	assert_int_equal(evb_tlv_decode(value_of(&h, OUI_8021, EVB_TLV_SUBTYPE), &evb), 0);
	assert_int_equal(evb.bridge, 0);
	assert_int_equal(evb.station, 2);
	assert_int_equal(evb_rr_status(evb.station), EVB_RR_UNKNOWN); /* 2 is reserved */
	assert_int_equal(evb.rka.value, 0);
	assert_false(evb.rka.remote);
	assert_int_equal(evb_rr_status(0xfd), EVB_RR_ON);
}

static void ratified_lengths(void **state)
{
	struct hex h = hex_of("03 05 6E B4 34 FF FF");
	struct evb_tlv evb;

	for (size_t n = 0; n <= h.size; n++)
		assert_int_equal(evb_tlv_decode(cursor_of(h.octets, n), &evb),
				 n < 5 ? MALFORMED_truncated : MALFORMED_none);
	assert_int_equal(evb.rka.value, 20);
}

static void draft_golden_octets_both_ways(void **state)
{
	struct hex want = hex_of("FE 0D 00 1B 3F 00 40 07 40 07 0C DF 00 00 0F");
	struct evb_draft_tlv evb = { 0x40, 7, 0x40, 7, 3295, 0, 15 }, back;
	uint8_t octets[15];
	struct writer w = writer_of(octets, sizeof(octets));

	evb_draft_tlv_encode(&w, &evb);
	assert_octets(&w, &want);
	assert_int_equal(evb_draft_tlv_decode(value_of(&want, OUI_EVB_DRAFT, EVB_DRAFT_TLV_SUBTYPE),
					      &back),
			 MALFORMED_none);
	w = writer_of(octets, sizeof(octets));
	evb_draft_tlv_encode(&w, &back);
	assert_octets(&w, &want);
	for (size_t n = 0; n < 9; n++)
		assert_int_equal(evb_draft_tlv_decode(cursor_of(want.octets + 6, n), &back),
				 MALFORMED_truncated);
	want.octets[6] = 0x3f;
	assert_int_equal(evb_draft_tlv_decode(cursor_of(want.octets + 6, 9), &back),
			 MALFORMED_mode);
}

static void cdcp_golden_octets_both_ways(void **state)
{
	struct hex want = hex_of("FE 0E 00 80 C2 0E | 88 00 00 A7 | 00 10 01 | 00 20 00");
	struct cdcp_tlv cdcp = { CDCP_STATION, true, 167, 2, { { 1, 1 }, { 2, 0 } } }, back;
	uint8_t octets[16];
	struct writer w = writer_of(octets, sizeof(octets));

	cdcp_tlv_encode(&w, &cdcp);
	assert_octets(&w, &want);
	assert_int_equal(cdcp_tlv_decode(value_of(&want, OUI_8021, CDCP_TLV_SUBTYPE), &back), 0);
	assert_int_equal(back.role, CDCP_STATION);
	assert_true(back.s_component);
	assert_int_equal(back.capacity, 167);
	assert_int_equal(back.n, 2);
	assert_memory_equal(back.channel, cdcp.channel, 2 * sizeof(back.channel[0]));
}

static void cdcp_takes_as_many_as_fit(void **state)
{
	struct cdcp_tlv cdcp = { CDCP_BRIDGE, false, 4095, CDCP_CHANNELS_MAX, { { 1, 1 } } }, back;
	uint8_t octets[600];
	struct writer w = writer_of(octets, sizeof(octets));
	struct cursor c;
	struct tlv tlv;

	for (uint16_t i = 1; i < CDCP_CHANNELS_MAX; i++)
		cdcp.channel[i] = (struct cdcp_channel){ (uint16_t)(4095 - i), (uint16_t)(i + 4) };
	cdcp_tlv_encode(&w, &cdcp);
	assert_int_equal(w.size, 2 + 509);
	c = cursor_of(octets, w.size);
	assert_true(tlv_read(&c, &tlv) && tlv_is_of(tlv, OUI_8021, CDCP_TLV_SUBTYPE, &c));
	assert_int_equal(cdcp_tlv_decode(c, &back), MALFORMED_none);
	assert_memory_equal(back.channel, cdcp.channel, sizeof(back.channel));
	/* One more than a TLV can hold, from whoever hands over more. */
	memset(octets, 0, sizeof(octets));
	assert_int_equal(cdcp_tlv_decode(cursor_of(octets, 4 + 3 * (CDCP_CHANNELS_MAX + 1)), &back),
			 MALFORMED_tlv_size);
	w = writer_of(octets, 510);
	cdcp_tlv_encode(&w, &cdcp);
	assert_true(w.full);
}

static void cdcp_rejects(void **state)
{
	static const struct {
		const char *octets;
		enum malformed want;
	} row[] = {
		{ "800000a7 001001", MALFORMED_none },
		{ "f7fff0a7 001001", MALFORMED_none }, /* reserved bits */
		{ "8000 00", MALFORMED_truncated },
		{ "800000a7", MALFORMED_tlv_size },
		{ "800000a7 001001 00", MALFORMED_tlv_size },
		{ "800000a7 001001 0020", MALFORMED_tlv_size },
		{ "800000a7 002001", MALFORMED_channels },	  /* not the default one first */
		{ "800000a7 001002", MALFORMED_channels },	  /* nor by its name only */
		{ "800000a7 001001 000005", MALFORMED_channels }, /* no index */
		{ "800000a7 001001 fff005", MALFORMED_channels },
		{ "800000a7 001001 002fff", MALFORMED_channels }, /* no VID */
		{ "800000a7 001001 002005 002006", MALFORMED_channels },
		{ "800000a7 001001 001001", MALFORMED_channels },
		{ "800000a7 001001 ffeffe", MALFORMED_none },
	};
	struct cdcp_tlv cdcp;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex h = hex_of(row[i].octets);
		enum malformed got = cdcp_tlv_decode(hex_cursor(&h), &cdcp);

		if (got != row[i].want)
			fail_msg("%s: %s", row[i].octets, malformed_name(got));
	}
}

/* A value of 511 octets and one more; and TLVs of others, or too short to be anybody's. */
static void tlv_lengths_and_owners(void **state)
{
	uint8_t octets[600], value[512] = { 0 };
	struct writer w = writer_of(octets, sizeof(octets));
	struct cursor c;
	struct tlv tlv;

	tlv_write(&w, 5, value, TLV_VALUE_MAX);
	assert_false(w.full);
	assert_int_equal(w.size, TLV_SIZE_MAX);
	assert_int_equal(octets[0] << 8 | octets[1], 5 << 9 | 511);
	w = writer_of(octets, sizeof(octets));
	tlv_write(&w, 5, value, TLV_VALUE_MAX + 1);
	assert_true(w.full);
	for (uint8_t n = 0; n < 8; n++) {
		tlv = (struct tlv){ TLV_ORG, cursor_of("\x00\x80\xc2\x0d\0\0\0", n) };
		assert_int_equal(tlv_is_of(tlv, OUI_8021, EVB_TLV_SUBTYPE, &c), n >= 4);
		assert_false(tlv_is_of(tlv, OUI_8021, CDCP_TLV_SUBTYPE, &c));
		assert_false(tlv_is_of(tlv, OUI_EVB_DRAFT, EVB_TLV_SUBTYPE, &c));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ratified_golden_octets_both_ways),
		cmocka_unit_test(reserved_bits_are_ignored),
		cmocka_unit_test(ratified_lengths),
		cmocka_unit_test(draft_golden_octets_both_ways),
		cmocka_unit_test(cdcp_golden_octets_both_ways),
		cmocka_unit_test(cdcp_takes_as_many_as_fit),
		cmocka_unit_test(cdcp_rejects),
		cmocka_unit_test(tlv_lengths_and_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
