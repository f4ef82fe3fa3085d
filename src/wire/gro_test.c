// SPDX-License-Identifier: Apache-2.0
/* Which segments are coalesced, and that cut again they are what they were. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "gro.h"
#include "gro_sample.h"
#include "gso.h"
#include "types.h"

enum { CAN = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_USO };

/* A burst in memory; large. */
static struct burst {
	unsigned n;
	struct gro_walk walk;
	uint8_t octets[GRO_FRAMES_MAX][GRO_SEGMENT_MAX], tag[GRO_FRAMES_MAX][2 * ETH_TAG_SIZE];
	struct iovec iov[GRO_FRAMES_MAX][6];
	struct frame frame[GRO_FRAMES_MAX];
	const struct frame *in[GRO_FRAMES_MAX];
	bool has_fixed_id;
} b;
static struct gro gro;

static void burst_init(uint16_t payload)
{
	b.n = 0;
	b.has_fixed_id = false;
	gro_walk_init(&b.walk, payload, 1);
}

static struct frame *burst_add(unsigned connection, enum gro_event event)
{
	struct gro_spec s = gro_walk_next(&b.walk, connection, event);
	struct frame *f = &b.frame[b.n];

	*f = (struct frame){ .iov = b.iov[b.n],
			     .n_iov = 1,
			     .size = gro_sample_make(&s, b.octets[b.n]) };
	b.iov[b.n][0] = (struct iovec){ b.octets[b.n], f->size };
	b.has_fixed_id |= !b.walk.next[connection].id_step;
	b.in[b.n++] = f;
	return f;
}

/* Is the next frame of the burst from *at on, of this connection, the one in `octets`? */
static void expect_segment(unsigned *at, const uint8_t *octets, uint32_t size)
{
	static uint8_t want[GRO_SEGMENT_MAX];

	assert_int_equal(sample_flatten(b.in[*at], want), size);
	if (b.has_fixed_id && eth_load16(want + 12) == ETHERTYPE_IPV4) {
		memcpy(want + 18, octets + 18, 2);
		memcpy(want + 24, octets + 24, 2);
	}
	assert_memory_equal(octets, want, size);
	++*at;
}

/* Coalesced and cut again, frames [0, n) of one connection are what they were. */
static void expect_octets(unsigned n_out)
{
	static uint8_t octets[FRAME_SIZE_MAX];
	unsigned at = 0;

	for (unsigned i = 0; i < n_out; i++) {
		const struct frame *f = gro.out[i];
		struct iovec iov[GRO_IOV_MAX + 1];
		uint8_t header[GSO_HEADERS_MAX];
		struct gso_cutter c;
		struct eth_key key;
		struct frame part;

		if (gro.n_of[i] == 1) {
			assert_ptr_equal(f, b.in[at]);
			at++;
			continue;
		}
		assert_true(eth_key_parse(f, &key) && gso_valid(f, &key));
		assert_true(gso_receiver_takes(&f->vnet, CAN) && gso_start(&c, f, &key));
		assert_int_equal(f->vnet.hdr_len, f->iov[0].iov_len);
		while (gso_next(&c, &part, iov, header))
			expect_segment(&at, octets, sample_flatten(&part, octets));
	}
	assert_int_equal(at, b.n);
}

/* How many went into each frame, as in "3 1". */
static const char *run(uint8_t can)
{
	static char text[200];
	unsigned n = gro_run(&gro, b.in, b.n, can), used = 0;

	for (unsigned i = 0; i < n; i++)
		used += (unsigned)snprintf(text + used, sizeof(text) - used, "%s%u", i ? " " : "",
					   gro.n_of[i]);
	return text;
}

/* Five segments, the third with an event; what IPv4 and IPv6 make of it. */
static const struct {
	const char *name;
	enum gro_event event;
	const char *ipv4, *ipv6;
} rows[] = {
	{ "nothing", GRO_NOTHING, "5", "5" },
	{ "PSH ends", GRO_PSH, "3 2", "3 2" },
	{ "FIN ends", GRO_FIN, "3 2", "3 2" },
	{ "SYN is alone", GRO_SYN, "2 1 2", "2 1 2" },
	{ "RST is alone", GRO_RST, "2 1 2", "2 1 2" },
	{ "URG is alone", GRO_URG, "2 1 2", "2 1 2" },
	{ "CWR is alone", GRO_CWR, "2 1 2", "2 1 2" },
	{ "ECE differs", GRO_ECE, "2 1 2", "2 1 2" },
	{ "a shorter one ends", GRO_SHORT, "3 2", "3 2" },
	{ "a longer one starts, and what is shorter ends", GRO_LONG, "2 2 1", "2 2 1" },
	{ "no payload", GRO_EMPTY, "2 1 2", "2 1 2" },
	{ "a gap", GRO_GAP, "2 3", "2 3" },
	{ "the same again", GRO_AGAIN, "2 3", "2 3" },
	{ "acknowledges more", GRO_ACK, "2 3", "2 3" },
	{ "another window", GRO_WINDOW, "2 3", "2 3" },
	{ "another timestamp", GRO_TIMESTAMP, "2 3", "2 3" },
	{ "one with SACK", GRO_SACK, "2 1 2", "2 1 2" },
	{ "one with an unknown option", GRO_UNKNOWN, "2 1 2", "2 1 2" },
	{ "another class", GRO_TOS, "2 1 2", "2 1 2" },
	{ "another TTL", GRO_TTL, "2 1 2", "2 1 2" },
	{ "another flow label", GRO_FLOW_LABEL, "5", "2 1 2" },
	{ "another identification", GRO_ID, "2 1 2", "5" },
	{ "the same identification from here on", GRO_FIXED_ID, "3 2", "5" },
	{ "no DF", GRO_NO_DF, "2 1 2", "5" },
	{ "another MAC", GRO_MAC, "2 1 2", "2 1 2" },
	{ "TCP checksum wrong", GRO_BAD_CSUM, "2 1 2", "2 1 2" },
	{ "IP checksum wrong", GRO_BAD_IP_CSUM, "2 1 2", "5" },
	{ "padding", GRO_PADDING, "2 1 2", "2 1 2" },
	{ "a tag", GRO_TAG, "2 1 2", "2 1 2" },
	{ "urgent pointer without URG", GRO_URGENT_POINTER, "2 1 2", "2 1 2" },
	{ "the other zero as checksum", GRO_MINUS_ZERO, "2 1 2", "2 1 2" },
	{ "a fragment", GRO_FRAGMENT, "2 1 2", "5" },
	{ "options or an extension header", GRO_IP_EXTRA, "2 1 2", "2 1 2" },
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows) * 2; i++) {
		const char *want = i % 2 ? rows[i / 2].ipv6 : rows[i / 2].ipv4, *got;

		burst_init(1000);
		for (unsigned k = 0; k < 5; k++)
			burst_add(i % 2, k == 2 ? rows[i / 2].event : GRO_NOTHING);
		got = run(CAN);
		if (strcmp(got, want) != 0)
			fail_msg("%s, IPv%c: %s, not %s", rows[i / 2].name, i % 2 ? '6' : '4', got,
				 want);
		expect_octets((unsigned)(strlen(got) + 1) / 2);
	}
}

/* The same with datagrams of a UDP socket. */
static const struct {
	const char *name;
	enum gro_event event;
	const char *ipv4, *ipv6;
} udp_rows[] = {
	{ "nothing", GRO_NOTHING, "5", "5" },
	{ "a shorter one ends", GRO_SHORT, "3 2", "3 2" },
	{ "a longer one starts", GRO_LONG, "2 2 1", "2 2 1" },
	{ "no payload", GRO_EMPTY, "2 1 2", "2 1 2" },
	{ "another length than IP's", GRO_WINDOW, "2 1 1 1", "2 1 1 1" },
	{ "no checksum", GRO_URGENT_POINTER, "2 1 2", "2 1 2" },
	{ "checksum wrong", GRO_BAD_CSUM, "2 1 2", "2 1 2" },
	{ "the zero that UDP has", GRO_MINUS_ZERO, "5", "5" },
	{ "IP checksum wrong", GRO_BAD_IP_CSUM, "2 1 2", "5" },
	{ "another class", GRO_TOS, "2 1 2", "2 1 2" },
	{ "another TTL", GRO_TTL, "2 1 2", "2 1 2" },
	{ "another identification", GRO_ID, "2 1 2", "5" },
	{ "no DF", GRO_NO_DF, "2 1 2", "5" },
	{ "another MAC", GRO_MAC, "2 1 2", "4 1" }, /* passes another station's */
	{ "padding", GRO_PADDING, "2 1 2", "2 1 2" },
	{ "a fragment", GRO_FRAGMENT, "2 1 2", "5" },
	{ "options or an extension header", GRO_IP_EXTRA, "2 1 2", "2 1 2" },
};

static void test_udp(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(udp_rows) * 2; i++) {
		const char *want = i % 2 ? udp_rows[i / 2].ipv6 : udp_rows[i / 2].ipv4, *got;

		burst_init(1000);
		b.walk.next[i % 2].is_udp = true;
		for (unsigned k = 0; k < 5; k++)
			burst_add(i % 2, k == 2 ? udp_rows[i / 2].event : GRO_NOTHING);
		got = run(CAN);
		if (strcmp(got, want) != 0)
			fail_msg("UDP: %s, IPv%c: %s, not %s", udp_rows[i / 2].name,
				 i % 2 ? '6' : '4', got, want);
		if (udp_rows[i / 2].event != GRO_MAC)
			expect_octets((unsigned)(strlen(got) + 1) / 2);
		assert_int_equal(*run(CAN & ~OFFLOAD_USO), '1');
	}
	/* Small ones, a whole burst; and with a connection of the same ports in between. */
	burst_init(22);
	b.walk.next[0].is_udp = true;
	for (unsigned k = 0; k < 64; k++)
		burst_add(0, GRO_NOTHING);
	assert_string_equal(run(CAN), "64");
	expect_octets(1);
	burst_init(22);
	for (unsigned k = 0; k < 8; k++)
		burst_add(0, k % 2 ? GRO_UDP : GRO_NOTHING);
	assert_int_not_equal(gro_run(&gro, b.in, b.n, CAN), 1);
	burst_init(22);
	b.walk.next[0].is_udp = true;
	for (unsigned k = 0; k < 3; k++)
		burst_add(0, GRO_BAD_CSUM)->vnet = (struct vnet_hdr){ .flags = VNET_F_NEEDS_CSUM,
								      .csum_start = 34,
								      .csum_offset = 6 };
	assert_string_equal(run(CAN), "3");
	for (unsigned k = 0; k < 3; k++)
		b.frame[k].vnet.csum_offset = 16;
	assert_string_equal(run(CAN), "1 1 1");
}

/* The same of every segment. */
static void test_all_alike(void **state)
{
	burst_init(1000);
	b.walk.next[0].id_step = 0;
	for (unsigned k = 0; k < 8; k++)
		burst_add(0, GRO_NOTHING);
	assert_string_equal(run(CAN), "8");
	expect_octets(1);
	/* A fixed identification without DF may be that of fragments: each is alone. */
	burst_init(1000);
	b.walk.next[0].id_step = 0;
	for (unsigned k = 0; k < 4; k++)
		burst_add(0, GRO_NO_DF);
	assert_string_equal(run(CAN), "1 1 1 1");
	burst_init(1000);
	for (unsigned k = 0; k < 4; k++)
		burst_add(0, GRO_NO_DF);
	assert_string_equal(run(CAN), "4");
	expect_octets(1);
	/* In a VLAN, and with options of every kind, it goes as well. */
	for (enum gro_event e = GRO_NOTHING; e < GRO_EVENTS; e++) {
		bool is_fine = e == GRO_TAG || e == GRO_SACK || e == GRO_UNKNOWN || e == GRO_ECE;

		if (!is_fine && (e < GRO_PSH || e > GRO_CWR))
			continue;
		for (unsigned c = 0; c < 2; c++) {
			burst_init(700);
			for (unsigned k = 0; k < 4; k++)
				burst_add(c, e);
			assert_string_equal(run(CAN), is_fine ? "4" : "1 1 1 1");
			expect_octets(is_fine ? 1 : 4);
		}
	}
}

static void test_first(void **state)
{
	static const enum gro_event never[] = { GRO_SYN, GRO_RST,      GRO_URG,	     GRO_CWR,
						GRO_PSH, GRO_FIN,      GRO_EMPTY,    GRO_PADDING,
						GRO_TAG, GRO_BAD_CSUM, GRO_IP_EXTRA, GRO_UDP };

	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		burst_init(1000);
		burst_add(1, never[i]);
		burst_add(1, GRO_NOTHING);
		burst_add(1, GRO_NOTHING);
		assert_string_equal(run(CAN), "1 2");
		expect_octets(2);
	}
}

static void test_largest(void **state)
{
	/* 45 times 1448 and headers are 65,212 octets of IP; 46 are too many. */
	for (unsigned c = 0; c < 2; c++) {
		burst_init(1448);
		for (unsigned k = 0; k < 64; k++)
			burst_add(c, GRO_NOTHING);
		assert_string_equal(run(CAN), "45 19");
		expect_octets(2);
	}
	/* The longest packet has 65,535 octets. */
	static const struct {
		uint16_t payload;
		const char *ipv4, *ipv6;
	} longest[] = { { 1, "64", "64" },
			{ 1022, "64", "64" },
			{ 1023, "64", "63 1" },
			{ 1024, "63 1", "63 1" } };
	for (unsigned i = 0; i < ARRAY_SIZE(longest) * 2; i++) {
		const char *want = i % 2 ? longest[i / 2].ipv6 : longest[i / 2].ipv4;

		burst_init(longest[i / 2].payload);
		for (unsigned k = 0; k < 64; k++)
			burst_add(i % 2, GRO_NOTHING);
		assert_string_equal(run(CAN), want);
		expect_octets(want[2] ? 2 : 1);
	}
}

static void test_receiver_decides(void **state)
{
	burst_init(1000);
	for (unsigned k = 0; k < 6; k++)
		burst_add(k % 2, GRO_NOTHING);
	assert_string_equal(run(OFFLOAD_CSUM | OFFLOAD_TSO4), "3 1 1 1");
	assert_string_equal(run(OFFLOAD_CSUM | OFFLOAD_TSO6), "1 3 1 1");
	assert_string_equal(run(CAN), "3 3");
}

/* Others between the segments of a connection: they do not matter, but for what is unclear. */
static void test_interleaved(void **state)
{
	burst_init(1000);
	for (unsigned k = 0; k < 32; k++)
		burst_add(k % 4, GRO_NOTHING);
	assert_string_equal(run(CAN), "8 8 8 8");
	for (unsigned i = 0; i < 4; i++) /* each in the place of its first */
		assert_memory_equal(gro.out[i]->iov[0].iov_base, b.octets[i], 12);

	burst_init(1000);
	burst_add(0, GRO_NOTHING);
	burst_add(1, GRO_UDP);
	burst_add(0, GRO_NOTHING);
	burst_add(1, GRO_IP_EXTRA);
	burst_add(0, GRO_NOTHING);
	assert_string_equal(run(CAN), "2 1 1 1");
}

/* Offload headers: what the sender's side vouches for is not summed; GSO frames are left alone. */
static void test_offload_headers(void **state)
{
	static const struct {
		struct vnet_hdr h;
		const char *want;
	} cases[] = {
		{ { .flags = 0 }, "1 1 1" },
		{ { .flags = VNET_F_DATA_VALID }, "3" },
		{ { .flags = VNET_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 }, "3" },
		{ { .flags = VNET_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 }, "1 1 1" },
		{ { .flags = VNET_F_NEEDS_CSUM, .csum_start = 36, .csum_offset = 16 }, "1 1 1" },
		{ { .flags = VNET_F_DATA_VALID, .gso_type = VNET_GSO_TCPV4, .gso_size = 500 },
		  "1 1 1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		burst_init(1000);
		for (unsigned k = 0; k < 3; k++)
			burst_add(0, GRO_BAD_CSUM)->vnet = cases[i].h;
		assert_string_equal(run(CAN), cases[i].want);
	}
	for (unsigned i = 0; i < 2; i++) {
		burst_init(1000);
		for (unsigned k = 0; k < 3; k++)
			burst_add(0, k != 1 ? GRO_NOTHING :
				     i	    ? GRO_PADDING :
					      GRO_BAD_IP_CSUM)
				->vnet.flags = VNET_F_DATA_VALID;
		assert_string_equal(run(CAN), "1 1 1");
	}
	/* Padding behind a short segment is no payload. */
	burst_init(1000);
	burst_add(0, GRO_NOTHING);
	burst_add(0, GRO_SHORT)->vnet.flags = VNET_F_DATA_VALID;
	b.frame[1].size += 6;
	b.iov[1][0].iov_len += 6;
	assert_string_equal(run(CAN), "1 1");
}

/* Frames with a new tag, and in pieces wherever they were split. */
static void test_scattered(void **state)
{
	for (uint32_t cut = FRAME_HEAD_SIZE; cut < 1000; cut += 67) {
		struct frame whole[8];

		burst_init(1000);
		for (unsigned k = 0; k < 8; k++) {
			struct frame *f = burst_add(0, GRO_NOTHING);
			struct iovec from[2] = { { b.octets[k], cut },
						 { b.octets[k] + cut, f->size - cut } };
			struct eth_key key;

			whole[k] = *f;
			whole[k].iov = from;
			whole[k].n_iov = 2;
			assert_true(eth_key_parse(&whole[k], &key));
			eth_retag(f, &whole[k], &key, (struct eth_room){ b.iov[k], b.tag[k] },
				  (struct eth_tag){ .tpid = ETHERTYPE_CTAG,
						    .tci = 100,
						    .outer_tpid = cut % 2 ? ETHERTYPE_STAG : 0,
						    .outer_tci = 7 });
		}
		assert_string_equal(run(CAN), "8");
		expect_octets(1);
	}
}

/* No more segments of memory than the receiver's port can send. */
static void test_many_pieces(void **state)
{
	burst_init(400);
	for (unsigned k = 0; k < 30; k++) {
		struct frame *f = burst_add(0, GRO_NOTHING);

		for (unsigned i = 0; i < 5; i++)
			b.iov[k][i] = (struct iovec){ b.octets[k] + (i ? 100 + i * 28 : 0),
						      i == 0 ? 128 :
						      i == 4 ? f->size - 212 :
							       28 };
		f->n_iov = 5;
	}
	assert_string_equal(run(CAN), "14 14 2");
	for (unsigned i = 0; i < 3; i++)
		assert_true(gro.out[i]->n_iov <= GRO_IOV_MAX);
	expect_octets(3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	    cmocka_unit_test(test_udp),
		cmocka_unit_test(test_all_alike),   cmocka_unit_test(test_first),
		cmocka_unit_test(test_largest),	    cmocka_unit_test(test_receiver_decides),
		cmocka_unit_test(test_interleaved), cmocka_unit_test(test_offload_headers),
		cmocka_unit_test(test_scattered),   cmocka_unit_test(test_many_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
