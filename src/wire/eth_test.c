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

#include "eth.h"
#include "types.h"

#define DST "\x52\x54\x00\x00\x00\x02"
#define SRC "\x52\x54\x00\x00\x00\x01"

static const struct key_row {
	const char *name;
	const char *octets; /* behind the addresses */
	uint8_t size;	    /* of them */
	uint16_t beside_tpid, beside_tci;
	bool ok;
	struct eth_key key; /* but the addresses */
} key_rows[] = {
	{ "untagged", "\x08\x00", 2, 0, 0, true, { .ethertype = 0x0800, .type_offset = 12 } },
	{ "length instead of type",
	  "\x00\x26\x42\x42\x03",
	  5,
	  0,
	  0,
	  true,
	  { .ethertype = 0x0026, .type_offset = 12 } },
	{ "C-tag",
	  "\x81\x00\x60\x64\x86\xdd",
	  6,
	  0,
	  0,
	  true,
	  { .tpid = 0x8100, .tci = 0x6064, .ethertype = 0x86dd, .type_offset = 16 } },
	{ "S-tag outside C-tag",
	  "\x88\xa8\x00\x05\x81\x00\x00\x64\x08\x00",
	  10,
	  0,
	  0,
	  true,
	  { .tpid = 0x88a8, .tci = 5, .ethertype = 0x8100, .type_offset = 16 } },
	{ "tag beside",
	  "\x08\x00",
	  2,
	  0x8100,
	  0xe001,
	  true,
	  { .tpid = 0x8100, .tci = 0xe001, .ethertype = 0x0800, .type_offset = 12 } },
	{ "S-tag beside, C-tag in the octets",
	  "\x81\x00\x00\x64\x08\x00",
	  6,
	  0x88a8,
	  7,
	  true,
	  { .tpid = 0x88a8, .tci = 7, .ethertype = 0x8100, .type_offset = 12 } },
	{ "tag beside saves a cut-off inner tag",
	  "\x81\x00",
	  2,
	  0x88a8,
	  7,
	  true,
	  { .tpid = 0x88a8, .tci = 7, .ethertype = 0x8100, .type_offset = 12 } },
	{ "TPID 0x9100 is no tag of ours",
	  "\x91\x00\x00\x01\x08\x00",
	  6,
	  0,
	  0,
	  true,
	  { .ethertype = 0x9100, .type_offset = 12 } },
	{ "type is cut off", "\x08", 1, 0, 0, false, { .tpid = 0 } },
	{ "tag is cut off", "\x81\x00\x00\x64\x08", 5, 0, 0, false, { .tpid = 0 } },
	{ "tag without anything", "\x88\xa8", 2, 0, 0, false, { .tpid = 0 } },
};

static void check_key(const struct key_row *row, const struct frame *f)
{
	struct eth_key key;
	bool ok = eth_key_parse(f, &key);

	if (ok != row->ok)
		fail_msg("%s: %s", row->name, ok ? "is accepted" : "is refused");
	if (!ok)
		return;
	assert_memory_equal(key.dst.b, DST, 6);
	assert_memory_equal(key.src.b, SRC, 6);
	if (key.tpid != row->key.tpid || (key.tpid && key.tci != row->key.tci) ||
	    key.ethertype != row->key.ethertype || key.type_offset != row->key.type_offset)
		fail_msg("%s: tpid %04x tci %04x type %04x at %d", row->name, key.tpid, key.tci,
			 key.ethertype, key.type_offset);
}

/* Every row as one segment, and cut in three at every two places. */
static void test_key(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_rows); i++) {
		const struct key_row *row = &key_rows[i];
		size_t size = 12u + row->size;
		uint8_t *p = malloc(size); /* exactly, for the sanitizer's sake */
		struct iovec iov[3] = { { p, size } };
		struct frame f = { .iov = iov, .n_iov = 1, .size = (uint32_t)size };

		assert_non_null(p);
		memcpy(p, DST SRC, 12);
		memcpy(p + 12, row->octets, row->size);
		f.tpid = row->beside_tpid;
		f.tci = row->beside_tci;
		check_key(row, &f);
		f.n_iov = 3;
		for (size_t a = 0; a <= size; a++) {
			for (size_t b = a; b <= size; b++) {
				iov[0] = (struct iovec){ p, a };
				iov[1] = (struct iovec){ p + a, b - a };
				iov[2] = (struct iovec){ p + b, size - b };
				check_key(row, &f);
			}
		}
		free(p);
	}
}

static void test_shorter_than_a_header(void **state)
{
	struct eth_key key;

	for (size_t size = 0; size < ETH_HEADER_SIZE; size++) {
		uint8_t *p = calloc(1, size + 1);
		struct iovec iov = { p, size };
		struct frame f = { .iov = &iov, .n_iov = 1, .size = (uint32_t)size };

		assert_non_null(p);
		assert_false(eth_key_parse(&f, &key));
		f.tpid = 0x8100;
		assert_false(eth_key_parse(&f, &key));
		free(p);
	}
}

/* A tag before, and the same frame with another. */
static const struct tag_row {
	const char *name;
	const char *before; /* between source and EtherType */
	uint8_t before_size;
	uint16_t beside_tpid, beside_tci;
	uint16_t tpid, tci; /* asked for */
	const char *after;
	uint8_t after_size;
	uint16_t outer_tci; /* of an S-tag asked for; 0: none */
} tag_rows[] = {
	{ "nothing to nothing", "", 0, 0, 0, 0, 0, "", 0, 0 },
	{ "push", "", 0, 0, 0, 0x8100, 0x6064, "\x81\x00\x60\x64", 4, 0 },
	{ "pop", "\x81\x00\x60\x64", 4, 0, 0, 0, 0, "", 0, 0 },
	{ "replace", "\x81\x00\x60\x64", 4, 0, 0, 0x8100, 0x6065, "\x81\x00\x60\x65", 4, 0 },
	{ "C-tag to S-tag", "\x81\x00\x60\x64", 4, 0, 0, 0x88a8, 1, "\x88\xa8\x00\x01", 4, 0 },
	{ "tag beside moves in", "", 0, 0x8100, 5, 0x8100, 5, "\x81\x00\x00\x05", 4, 0 },
	{ "tag beside goes", "", 0, 0x8100, 5, 0, 0, "", 0, 0 },
	{ "tag beside goes, inner stays", "\x81\x00\x00\x64", 4, 0x88a8, 5, 0, 0,
	  "\x81\x00\x00\x64", 4, 0 },
	{ "outer goes, inner stays", "\x88\xa8\x00\x05\x81\x00\x00\x64", 8, 0, 0, 0, 0,
	  "\x81\x00\x00\x64", 4, 0 },
	{ "S-tag outside nothing", "", 0, 0, 0, 0, 0, "\x88\xa8\x00\x07", 4, 7 },
	{ "S-tag outside a new tag", "", 0, 0, 0, 0x8100, 0x6064,
	  "\x88\xa8\x60\x07\x81\x00\x60\x64", 8, 0x6007 },
	{ "S-tag outside another tag", "\x81\x00\x60\x64", 4, 0, 0, 0x8100, 1,
	  "\x88\xa8\x00\x07\x81\x00\x00\x01", 8, 7 },
	{ "S-tag outside a tag beside", "", 0, 0x8100, 5, 0x8100, 5,
	  "\x88\xa8\x00\x07\x81\x00\x00\x05", 8, 7 },
};

/* Take the outermost tag off the frame again, which has one in its octets. */
static void check_strip(const char *name, uint8_t *octets, uint32_t size, struct vnet_hdr vnet)
{
	struct iovec iov[2] = { { octets, 30 }, { octets + 30, size - 30 } }, to[2];
	struct frame f = { .iov = iov, .n_iov = 2, .size = size, .vnet = vnet };
	uint8_t before[208], after[208];

	memcpy(before, octets, size);
	eth_strip(&f, to);
	assert_int_equal(f.size, size - ETH_TAG_SIZE);
	assert_int_equal(frame_head_copy(&f, after, sizeof(after)), f.size);
	if (memcmp(after, before, 12) || memcmp(after + 12, before + 16, size - 16))
		fail_msg("%s: stripped, it is another frame", name);
	assert_int_equal(f.vnet.csum_start, vnet.csum_start - ETH_TAG_SIZE);
	assert_int_equal(f.vnet.hdr_len, vnet.hdr_len - ETH_TAG_SIZE);
	assert_ptr_equal(iov[0].iov_base, octets);

	f = (struct frame){ .iov = iov, .n_iov = 2, .size = size, .vnet = vnet };
	f.tpid = 0x88a8;
	f.tci = 7;
	eth_strip(&f, to);
	assert_true(!f.tpid && !f.tci && f.size == size && f.iov == iov);
	assert_int_equal(f.vnet.csum_start, vnet.csum_start);
}

static void check_retag(const struct tag_row *row, struct frame *in, uint16_t head)
{
	uint8_t octets[200], want[208], got[208], tag[8];
	struct iovec in_iov[3], out_iov[5];
	uint32_t size = 12 + row->before_size + 60u, n = 0;
	struct eth_key key, out_key;
	struct frame out;

	memcpy(octets, DST SRC, 12);
	memcpy(octets + 12, row->before, row->before_size);
	for (uint32_t i = 12u + row->before_size; i < size; i++)
		octets[i] = (uint8_t)(8 + i); /* first of all, an EtherType that is no tag's */
	in_iov[0] = (struct iovec){ octets, head };
	in_iov[1] = (struct iovec){ octets + head, 3 };
	in_iov[2] = (struct iovec){ octets + head + 3, size - head - 3 };
	in->iov = in_iov;
	in->n_iov = 3;
	in->size = size;
	in->tpid = row->beside_tpid;
	in->tci = row->beside_tci;
	assert_true(eth_key_parse(in, &key));
	eth_retag(&out, in, &key, (struct eth_room){ out_iov, tag },
		  (struct eth_tag){ .tpid = row->tpid,
				    .tci = row->tci,
				    .outer_tpid = row->outer_tci ? 0x88a8 : 0,
				    .outer_tci = row->outer_tci });

	memcpy(want, DST SRC, 12);
	memcpy(want + 12, row->after, row->after_size);
	memcpy(want + 12 + row->after_size, octets + 12 + row->before_size, 60);
	assert_true(out.n_iov <= in->n_iov + 2);
	for (uint16_t i = 0; i < out.n_iov; i++) {
		memcpy(got + n, out.iov[i].iov_base, out.iov[i].iov_len);
		n += (uint32_t)out.iov[i].iov_len;
	}
	if (out.size != n || n != 12u + row->after_size + 60u || memcmp(got, want, n) || out.tpid)
		fail_msg("%s, head of %u: wrong frame", row->name, head);
	assert_true(eth_key_parse(&out, &out_key));
	if (row->outer_tci)
		assert_true(out_key.tpid == 0x88a8 && out_key.tci == row->outer_tci);
	else if (row->tpid && (out_key.tpid != row->tpid || out_key.tci != row->tci ||
			       out_key.ethertype != key.ethertype || out_key.type_offset != 16))
		fail_msg("%s: its key does not tell of the tag", row->name);
	assert_int_equal(out.vnet.csum_start, in->vnet.csum_start + (int)n - (int)size);
	assert_int_equal(out.vnet.hdr_len, in->vnet.hdr_len + (int)n - (int)size);
	assert_int_equal(out.vnet.csum_offset, 16);
	assert_int_equal(out.vnet.gso_size, 40);
	if (row->after_size)
		check_strip(row->name, got, n, out.vnet);
}

static void test_retag(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(tag_rows); i++) {
		for (uint16_t head = 22; head < 60; head++) {
			struct frame in = { .vnet = { .flags = VNET_F_NEEDS_CSUM,
						      .gso_type = VNET_GSO_TCPV4,
						      .gso_size = 40,
						      .hdr_len = 58,
						      .csum_start = 38,
						      .csum_offset = 16 } };

			check_retag(&tag_rows[i], &in, head);
		}
	}
}

/* hdr_len is a guest's word: whatever it is, it neither wraps nor passes the end of the frame. */
static void test_retag_keeps_hdr_len_inside(void **state)
{
	static const struct {
		const char *name;
		uint32_t size;
		uint8_t gso_type;
		uint16_t before, tpid, hdr_len, want;
	} rows[] = {
		{ "pushed, moves", 100, 1, 0, 0x8100, 54, 58 },
		{ "popped, moves", 100, 1, 0x8100, 0, 58, 54 },
		{ "none stays none", 100, 1, 0x8100, 0, 0, 0 },
		{ "without GSO it means nothing", 100, 0, 0, 0x8100, 54, 54 },
		{ "popped, all of the frame without GSO", 100, 0, 0x8100, 0, 100, 96 },
		{ "popped, all of the frame", 100, 1, 0x8100, 0, 100, 96 },
		{ "popped, less than the tag", 100, 1, 0x8100, 0, 3, 0 },
		{ "pushed, largest", 65600, 1, 0, 0x8100, 65535, 65535 },
		{ "pushed, beyond the frame", 100, 1, 0, 0x8100, 65535, 104 },
	};
	static uint8_t octets[65600];
	struct iovec iov = { octets, 0 }, out_iov[3] = { 0 };
	uint8_t tag[4] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame out, in = { .iov = &iov, .n_iov = 1, .size = rows[i].size };
		struct eth_key key;

		iov.iov_len = rows[i].size;
		octets[12] = (uint8_t)(rows[i].before >> 8);
		in.vnet = (struct vnet_hdr){ .gso_type = rows[i].gso_type,
					     .hdr_len = rows[i].hdr_len };
		assert_true(eth_key_parse(&in, &key));
		eth_retag(&out, &in, &key, (struct eth_room){ out_iov, tag },
			  (struct eth_tag){ .tpid = rows[i].tpid, .tci = 1 });
		if (out.vnet.hdr_len != rows[i].want)
			fail_msg("%s: hdr_len is %u", rows[i].name, out.vnet.hdr_len);
	}
}

static void test_reserved_addresses(void **state)
{
	struct mac m = { { 0x01, 0x80, 0xc2, 0, 0, 0 } };

	for (int i = 0; i < 16; i++) {
		m.b[5] = (uint8_t)i;
		assert_true(mac_is_reserved(m));
	}
	m.b[5] = 0x10;
	assert_false(mac_is_reserved(m));
	for (int i = 0; i < 5; i++) {
		struct mac other = { { 0x01, 0x80, 0xc2, 0, 0, 3 } };

		other.b[i] ^= 4;
		assert_false(mac_is_reserved(other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_shorter_than_a_header),
		cmocka_unit_test(test_retag),
		cmocka_unit_test(test_retag_keeps_hdr_len_inside),
		cmocka_unit_test(test_reserved_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
