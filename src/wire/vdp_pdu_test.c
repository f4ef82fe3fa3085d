// SPDX-License-Identifier: Apache-2.0
/* VDP PDUs and TLVs of both generations: golden octets both ways, formats, what is rejected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "hex_fixture.h"
#include "types.h"
#include "vdp_pdu.h"

#define UUID "11111111222233334444555555555555"
#define MANAGER "0a10 626c61626c6100000000000000000000"
#define IDS "000005 04 05" UUID /* type ID, version, VSIID */

/* The first association of a PDU. */
static enum malformed first(const struct hex *h, enum evb_generation g, struct vdp_assoc *assoc)
{
	struct vdp_pdu_item item;
	struct vdp_pdu pdu;
	enum malformed wrong = vdp_pdu_open(&pdu, g, hex_cursor(h));

	if (wrong != MALFORMED_none)
		return wrong;
	assert_true(vdp_pdu_next(&pdu, &item));
	*assoc = (struct vdp_assoc){ .manager = pdu.manager };
	return vdp_assoc_decode(item.tlv, g, assoc);
}

static void assert_encodes(const struct vdp_assoc *assoc, enum evb_generation g,
			   const struct hex *want)
{
	uint8_t octets[1600];
	struct writer w;

	for (size_t room = 0; room <= want->size; room++) {
		memset(octets, 0, sizeof(octets));
		w = writer_of(octets, room);
		vdp_pdu_begin(&w, g, &assoc->manager);
		vdp_assoc_encode(&w, g, assoc);
		vdp_pdu_end(&w);
		assert_int_equal(w.full, room < want->size);
	}
	assert_memory_equal(octets, want->octets, want->size);
}

/* Manager "blabla", Associate, one MAC/VID: what lldpad and its peer exchange. */
static void ratified_golden_octets_both_ways(void **state)
{
	struct hex want = hex_of(MANAGER "0621 00" IDS "02 0001 520000112233 00c8 0000");
	struct vdp_assoc a;
	struct vdp_filter f;

	assert_int_equal(first(&want, EVB_RATIFIED, &a), MALFORMED_none);
	assert_int_equal(a.request, VDP_ASSOCIATE);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.type_id, 5);
	assert_int_equal(a.version, 4);
	assert_memory_equal(a.manager.octets, "blabla\0\0\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(a.id.format, VSI_ID_UUID);
	assert_memory_equal(a.id.octets, hex_of(UUID).octets, 16);
	assert_int_equal(a.filters.format, VDP_FILTER_MAC_VID);
	assert_int_equal(a.filters.n, 1);
	f = vdp_filter_at(&a.filters, 0);
	assert_int_equal(mac_to_u64(f.mac), 0x520000112233);
	assert_int_equal(f.vid, 200);
	assert_encodes(&a, EVB_RATIFIED, &want);
	a.status = VDP_ACK;
	want.octets[20] = 0x40; /* success is the same octets with this status */
	assert_encodes(&a, EVB_RATIFIED, &want);
}

static void draft_golden_octets_both_ways(void **state)
{
	struct hex want =
		hex_of("fe26 001b3f02 02 00 0b 000064 02" UUID "02 0001 525400000100 0005 0000");
	struct vdp_assoc a;

	assert_int_equal(first(&want, EVB_DRAFT, &a), MALFORMED_none);
	assert_int_equal(a.request, VDP_ASSOCIATE);
	assert_int_equal(a.manager.octets[0], 11);
	assert_int_equal(a.type_id, 100);
	assert_int_equal(a.version, 2);
	assert_int_equal(a.id.format, VSI_ID_UUID);
	assert_int_equal(vdp_filter_at(&a.filters, 0).vid, 5);
	assert_encodes(&a, EVB_DRAFT, &want);
	a.request = VDP_DE_ASSOCIATE;
	a.status = VDP_DRAFT_OUT_OF_SYNC;
	want.octets[6] = 3;
	want.octets[7] = 6;
	assert_encodes(&a, EVB_DRAFT, &want);
}

static void every_filter_format_both_ways(void **state)
{
	static const struct {
		const char *entries;
		uint8_t format;
		struct vdp_filter filter[2];
		uint16_t most; /* that fit into a TLV */
	} row[] = {
		{ "b064 0000", VDP_FILTER_VID, { { .vid = 0xb064 }, { .vid = 0 } }, 243 },
		{ "520000112233 0002 520000112234 0000",
		  VDP_FILTER_MAC_VID,
		  { { .mac = { { 0x52, 0, 0, 0x11, 0x22, 0x33 } }, .vid = 2 },
		    { .mac = { { 0x52, 0, 0, 0x11, 0x22, 0x34 } } } },
		  60 },
		{ "00000001 0002 ffffffff 0ffe",
		  VDP_FILTER_GROUP_VID,
		  { { .group = 1, .vid = 2 }, { .group = UINT32_MAX, .vid = 4094 } },
		  81 },
		{ "12345678 520000112233 0002 00000002 520000112234 8001",
		  VDP_FILTER_GROUP_MAC_VID,
		  { { 0x12345678, { { 0x52, 0, 0, 0x11, 0x22, 0x33 } }, 2 },
		    { 2, { { 0x52, 0, 0, 0x11, 0x22, 0x34 } }, 0x8001 } },
		  40 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex entries = hex_of(row[i].entries);
		struct vdp_filters f = { .format = row[i].format };

		assert_int_equal(entries.size, 2 * vdp_filter_size(row[i].format));
		for (uint16_t k = 0; k < 2; k++) {
			struct vdp_filter back;

			assert_true(vdp_filter_add(&f, EVB_RATIFIED, row[i].filter[k]));
			back = vdp_filter_at(&f, k);
			assert_memory_equal(&back, &row[i].filter[k], sizeof(back));
		}
		assert_memory_equal(f.octets, entries.octets, entries.size);
		assert_int_equal(vdp_filters_check(&f), MALFORMED_none);
		while (vdp_filter_add(&f, EVB_RATIFIED, row[i].filter[0]))
			;
		assert_int_equal(f.n, row[i].most);
	}
	assert_int_equal(vdp_filter_size(0) | vdp_filter_size(5), 0);
}

/* Octets of the TLV behind the manager's. */
static void what_is_wrong_with_a_ratified_tlv(void **state)
{
	static const struct {
		const char *name, *octets;
		enum malformed want;
		enum vdp_error error;
	} row[] = {
		{ "status only", "0601 00", MALFORMED_truncated, VDP_INVALID_FORMAT },
		{ "no status", "0600", MALFORMED_truncated, VDP_INVALID_FORMAT },
		{ "no count", "0617 00" IDS "02", MALFORMED_truncated, VDP_INVALID_FORMAT },
		{ "no entry", "0619 00" IDS "02 0000", MALFORMED_filter_count, VDP_INVALID_FORMAT },
		{ "no entry, and none needed", "0819 00" IDS "02 0000", MALFORMED_none,
		  VDP_SUCCESS },
		{ "less than counted", "061f 00" IDS "01 0004 0002 0003 0004",
		  MALFORMED_filter_count, VDP_INVALID_FORMAT },
		{ "more than counted", "061d 00" IDS "01 0001 0002 0003", MALFORMED_filter_count,
		  VDP_INVALID_FORMAT },
		{ "half an entry", "061a 00" IDS "01 0001 00", MALFORMED_filter_count,
		  VDP_INVALID_FORMAT },
		{ "count that wraps", "0621 00" IDS "02 2001 520000112233 00c8",
		  MALFORMED_filter_count, VDP_INVALID_FORMAT },
		{ "format 0", "061b 00" IDS "00 0001 0002", MALFORMED_filter_format,
		  VDP_INVALID_FORMAT },
		{ "format 5", "061b 00" IDS "05 0001 0002", MALFORMED_filter_format,
		  VDP_INVALID_FORMAT },
		{ "VSIID format 0", "061b 00 000005 04 00" UUID "01 0001 0002", MALFORMED_vsi_id,
		  VDP_INVALID_FORMAT },
		{ "VSIID format 6", "061b 00 000005 04 06" UUID "01 0001 0002", MALFORMED_vsi_id,
		  VDP_INVALID_FORMAT },
		{ "IPv4 that is none", "061b 00 000005 04 01" UUID "01 0001 0002", MALFORMED_vsi_id,
		  VDP_INVALID_FORMAT },
		{ "IPv4", "061b 00 000005 04 01 00000000000000000000ffff0a000001 01 0001 0002",
		  MALFORMED_none, VDP_SUCCESS },
		{ "MAC that is none", "061b 00 000005 04 03" UUID "01 0001 0002", MALFORMED_vsi_id,
		  VDP_INVALID_FORMAT },
		{ "MAC", "061b 00 000005 04 03 00000000000000000000520000112233 01 0001 0002",
		  MALFORMED_none, VDP_SUCCESS },
		{ "local", "061b 00 000005 04 04" UUID "01 0001 0002", MALFORMED_none,
		  VDP_SUCCESS },
		{ "VID 4095", "061b 00" IDS "01 0001 0fff", MALFORMED_vid, VDP_INVALID_FILTER },
		{ "VID 0 with priority", "061b 00" IDS "01 0001 f000", MALFORMED_none,
		  VDP_SUCCESS },
		{ "VID 0 twice", "061d 00" IDS "01 0002 0000 8000", MALFORMED_vid,
		  VDP_INVALID_FILTER },
		{ "VID 0 twice, by MAC",
		  "0629 00" IDS "02 0002 520000112233 0000 520000112234 0000", MALFORMED_none,
		  VDP_SUCCESS },
		{ "multicast", "0621 00" IDS "02 0001 010000112233 00c8", MALFORMED_mac,
		  VDP_INVALID_FILTER },
		{ "MAC 0", "0621 00" IDS "02 0001 000000000000 00c8", MALFORMED_mac,
		  VDP_INVALID_FILTER },
		{ "GroupID 0", "061f 00" IDS "03 0001 00000000 0002", MALFORMED_group,
		  VDP_INVALID_FILTER },
		{ "GroupID 0 with MAC", "0625 00" IDS "04 0001 00000000 520000112233 0002",
		  MALFORMED_group, VDP_INVALID_FILTER },
	};
	struct vdp_assoc a;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char octets[400];
		struct hex h;
		enum malformed got;

		snprintf(octets, sizeof(octets), "%s %s 0000", MANAGER, row[i].octets);
		h = hex_of(octets);
		got = first(&h, EVB_RATIFIED, &a);
		if (got != row[i].want || vdp_error_of(got, EVB_RATIFIED) != row[i].error)
			fail_msg("%s: %s", row[i].name, malformed_name(got));
	}
}

static void what_is_wrong_with_a_draft_tlv(void **state)
{
	static const struct {
		const char *octets;
		enum malformed want;
	} row[] = {
		{ "fe20 001b3f02 02 00 0b 000064 02" UUID "01 0001 0005", MALFORMED_filter_format },
		{ "fe1e 001b3f02 02 00 0b 000064 02" UUID "02 0000", MALFORMED_filter_count },
		{ "fe1d 001b3f02 02 00 0b 000064 02" UUID "02 00", MALFORMED_truncated },
		{ "fe06 001b3f02 02", MALFORMED_tlv_overrun },
		{ "fe06 001b3f02 02 00", MALFORMED_truncated },
	};
	struct vdp_assoc a;

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex h = hex_of(row[i].octets);
		enum malformed got = first(&h, EVB_DRAFT, &a);

		if (got != row[i].want)
			fail_msg("%s: %s", row[i].octets, malformed_name(got));
	}
	assert_int_equal(vdp_error_of(MALFORMED_vid, EVB_DRAFT), VDP_INVALID_FORMAT);
}

static void pdus_as_a_whole(void **state)
{
	static const struct {
		const char *name, *octets;
		enum evb_generation generation;
		enum malformed want;
		unsigned n; /* associations */
	} row[] = {
		{ "manager only", MANAGER "0000", EVB_RATIFIED, MALFORMED_none, 0 },
		{ "nothing", "", EVB_RATIFIED, MALFORMED_manager, 0 },
		{ "End", "0000", EVB_RATIFIED, MALFORMED_manager, 0 },
		{ "no manager", "0601 00 0000", EVB_RATIFIED, MALFORMED_manager, 0 },
		{ "short manager", "0a0f 626c61626c61000000000000000000 0000", EVB_RATIFIED,
		  MALFORMED_manager, 0 },
		{ "manager twice", MANAGER "0601 00" MANAGER "0000", EVB_RATIFIED,
		  MALFORMED_manager, 0 },
		{ "manager after End", MANAGER "0601 00 0000" MANAGER, EVB_RATIFIED, MALFORMED_none,
		  1 },
		{ "without End", MANAGER "0601 00 0401 00", EVB_RATIFIED, MALFORMED_none, 2 },
		{ "overrun", MANAGER "0601 00 0402 00", EVB_RATIFIED, MALFORMED_tlv_overrun, 0 },
		{ "half a header", MANAGER "0601 00 04", EVB_RATIFIED, MALFORMED_tlv_overrun, 0 },
		{ "unknown types", MANAGER "0c01 00 0201 00 1001 00 0801 00 fe04 00000cf1 0000",
		  EVB_RATIFIED, MALFORMED_none, 2 },
		{ "lldpad's empty request", "0000", EVB_DRAFT, MALFORMED_none, 0 },
		{ "draft, several", "fe05 001b3f02 00 fe05 001b3f02 04 fe05 001b3f02 03 0000",
		  EVB_DRAFT, MALFORMED_none, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct hex h = hex_of(row[i].octets);
		struct vdp_pdu_item item;
		struct vdp_pdu pdu;
		unsigned n = 0;
		enum malformed got = vdp_pdu_open(&pdu, row[i].generation, hex_cursor(&h));

		while (got == MALFORMED_none && vdp_pdu_next(&pdu, &item))
			n++;
		if (got != row[i].want || n != row[i].n)
			fail_msg("%s: %s, %u", row[i].name, malformed_name(got), n);
	}
}

/* Organizational TLVs belong to the association before them. */
static void organizational_tlvs_go_along(void **state)
{
	struct hex h = hex_of(MANAGER "fe04 0080c20d | 0601 00 fe05 00000cf1 01 fe04 00000cf2 |"
				      "0401 00 | 0201 00 fe04 00000cf3 0000");
	static const unsigned want[] = { 2, 0, 1 };
	struct vdp_pdu_item item;
	struct vdp_pdu pdu;

	assert_int_equal(vdp_pdu_open(&pdu, EVB_RATIFIED, hex_cursor(&h)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct tlv tlv;
		unsigned n = 0;

		assert_true(vdp_pdu_next(&pdu, &item));
		while (tlv_read(&item.more, &tlv))
			n++;
		assert_int_equal(n, want[i]);
	}
	assert_false(vdp_pdu_next(&pdu, &item));
	assert_false(vdp_pdu_next(&pdu, &item));
}

static void a_malformed_tlv_is_its_own_answer(void **state)
{
	struct hex ratified = hex_of("0605 00 01020304"), draft = hex_of("fe07 001b3f02 02 00 0b");
	struct hex want = hex_of("0605 41 01020304 fe07 001b3f02 02 01 0b");
	struct tlv a, b, empty = { .type = VDP_ASSOCIATE };
	struct cursor c = hex_cursor(&ratified);
	uint8_t octets[32];
	struct writer w = writer_of(octets, sizeof(octets));

	assert_true(tlv_read(&c, &a));
	c = hex_cursor(&draft);
	assert_true(tlv_read(&c, &b));
	assert_false(vdp_reject_encode(&w, EVB_RATIFIED, empty, VDP_ACK));
	assert_true(vdp_reject_encode(&w, EVB_RATIFIED, a, VDP_ACK | VDP_INVALID_FORMAT));
	assert_true(vdp_reject_encode(&w, EVB_DRAFT, b, VDP_INVALID_FORMAT));
	b.value.left = 5;
	assert_false(vdp_reject_encode(&w, EVB_DRAFT, b, VDP_INVALID_FORMAT));
	assert_int_equal(w.size, want.size);
	assert_memory_equal(octets, want.octets, want.size);
}

/* 42 VSIs of one MAC and VID fit into one ECPDU, as the reference counts. */
static void forty_two_fit(void **state)
{
	struct hex one = hex_of(MANAGER "0621 00" IDS "02 0001 520000112233 00c8 0000");
	uint8_t octets[ECP_PAYLOAD_MAX];
	struct writer w = writer_of(octets, sizeof(octets) - VDP_PDU_END_SIZE);
	struct vdp_assoc a;
	unsigned n = 0;
	size_t size;

	assert_int_equal(first(&one, EVB_RATIFIED, &a), 0);
	vdp_pdu_begin(&w, EVB_RATIFIED, &a.manager);
	do {
		size = w.size;
		vdp_assoc_encode(&w, EVB_RATIFIED, &a);
	} while (!w.full && ++n);
	writer_rewind(&w, size);
	w.room += VDP_PDU_END_SIZE;
	vdp_pdu_end(&w);
	assert_false(w.full);
	assert_int_equal(n, 42);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ratified_golden_octets_both_ways),
		cmocka_unit_test(draft_golden_octets_both_ways),
		cmocka_unit_test(every_filter_format_both_ways),
		cmocka_unit_test(what_is_wrong_with_a_ratified_tlv),
		cmocka_unit_test(what_is_wrong_with_a_draft_tlv),
		cmocka_unit_test(pdus_as_a_whole),
		cmocka_unit_test(organizational_tlvs_go_along),
		cmocka_unit_test(a_malformed_tlv_is_its_own_answer),
		cmocka_unit_test(forty_two_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
